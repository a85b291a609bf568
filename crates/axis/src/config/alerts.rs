//! `[alerts]`: from when on something is an alert.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, within};

/// From when on something is an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// How often it is looked for.
    pub(crate) every_seconds: u64,
    /// How long a delivery may wait in each lane.
    pub(crate) flash_minutes: u64,
    pub(crate) urgent_minutes: u64,
    pub(crate) status_minutes: u64,
    pub(crate) routine_minutes: u64,
    /// How long deliveries may wait for a system that neither streams nor fetches.
    pub(crate) unattended_minutes: u64,
    /// Working hours after which an agency that has not fetched what waits is reminded of.
    pub(crate) unfetched_working_hours: u64,
    /// Working hours after which a receiver that has not answered a recall is reminded of.
    pub(crate) unanswered_working_hours: u64,
    /// Working hours after which a recall that is not answered is delivered once more.
    pub(crate) remind_working_hours: u64,
    /// Times its lane's limit after which what waits urgently is told again.
    pub(crate) escalate_at: Vec<u32>,
    /// How long a status may wait for its document.
    pub(crate) unmatched_hours: u64,
    /// How long before the hour of a document of hỏa tốc hẹn giờ an alert rises.
    pub(crate) due_minutes: u64,
    /// Free space of the data folder's disk below which it is filling.
    pub(crate) disk_free_percent: u8,
    /// A sync of the journal that takes longer is slow.
    pub(crate) sync_ms: u64,
    /// Rows that may wait for the index.
    pub(crate) index_lag_rows: usize,
    /// How long before its end a certificate or key is said to be ending.
    pub(crate) ending_days: u64,
    /// How far the wall clock may move against the time that passed.
    pub(crate) clock_seconds: u64,
    /// After how long without another an alert about something that does not last ends.
    pub(crate) quiet_seconds: u64,
}

impl Default for Alerts {
    fn default() -> Self {
        let of = exchange::AlertLimits::default();
        let minutes = of.oldest.map(|limit| limit.as_secs() / 60);
        Self {
            every_seconds: of.every.as_secs(),
            flash_minutes: minutes[0],
            urgent_minutes: minutes[1],
            status_minutes: minutes[2],
            routine_minutes: minutes[3],
            unattended_minutes: of.unattended.as_secs() / 60,
            unfetched_working_hours: of.unfetched.as_secs() / 3_600,
            unanswered_working_hours: of.unanswered.as_secs() / 3_600,
            remind_working_hours: of.remind.map_or(0, |after| after.as_secs() / 3_600),
            escalate_at: of.escalate,
            unmatched_hours: of.unmatched.as_secs() / 3_600,
            due_minutes: of.due_lead.as_secs() / 60,
            disk_free_percent: of.disk_free_percent,
            sync_ms: of.sync.as_secs() * 1_000,
            index_lag_rows: of.index_lag,
            ending_days: of.ending.as_secs() / 86_400,
            clock_seconds: of.clock.as_secs(),
            quiet_seconds: of.quiet.as_secs(),
        }
    }
}

impl Alerts {
    /// As the exchange is told.
    pub(crate) fn limits(&self) -> exchange::AlertLimits {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        exchange::AlertLimits {
            every: Duration::from_secs(self.every_seconds),
            oldest: [
                minutes(self.flash_minutes),
                minutes(self.urgent_minutes),
                minutes(self.status_minutes),
                minutes(self.routine_minutes),
            ],
            unattended: minutes(self.unattended_minutes),
            unfetched: minutes(self.unfetched_working_hours * 60),
            unanswered: minutes(self.unanswered_working_hours * 60),
            remind: (self.remind_working_hours > 0)
                .then(|| minutes(self.remind_working_hours * 60)),
            escalate: self.escalate_at.clone(),
            unmatched: minutes(self.unmatched_hours * 60),
            due_lead: minutes(self.due_minutes),
            disk_free_percent: self.disk_free_percent,
            sync: Duration::from_millis(self.sync_ms),
            index_lag: self.index_lag_rows,
            ending: Duration::from_secs(self.ending_days * 86_400),
            clock: Duration::from_secs(self.clock_seconds),
            quiet: Duration::from_secs(self.quiet_seconds),
            ..exchange::AlertLimits::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        const YEAR: u64 = 366 * 24 * 60;
        within("alerts.every_seconds", self.every_seconds, 1, 300)?;
        for (key, minutes) in [
            ("alerts.flash_minutes", self.flash_minutes),
            ("alerts.urgent_minutes", self.urgent_minutes),
            ("alerts.status_minutes", self.status_minutes),
            ("alerts.routine_minutes", self.routine_minutes),
            ("alerts.unattended_minutes", self.unattended_minutes),
            ("alerts.due_minutes", self.due_minutes),
        ] {
            within(key, minutes, 1, YEAR)?;
        }
        for (key, hours) in [
            (
                "alerts.unfetched_working_hours",
                self.unfetched_working_hours,
            ),
            (
                "alerts.unanswered_working_hours",
                self.unanswered_working_hours,
            ),
        ] {
            within(key, hours, 1, 2_000)?;
        }
        within(
            "alerts.remind_working_hours",
            self.remind_working_hours,
            0,
            2_000,
        )?;
        within("alerts.unmatched_hours", self.unmatched_hours, 1, 8_784)?;
        if self.escalate_at.len() > 5
            || self.escalate_at.first().is_some_and(|first| *first < 2)
            || !self.escalate_at.is_sorted_by(|a, b| a < b)
            || self.escalate_at.last().is_some_and(|last| *last > 1_000)
        {
            return Err(ConfigError::Value {
                key: "alerts.escalate_at",
                value: format!("{:?}", self.escalate_at),
                allowed:
                    "at most five whole numbers from 2 to 1000, each larger than the one before"
                        .to_owned(),
            });
        }
        within("alerts.disk_free_percent", self.disk_free_percent, 0, 90)?;
        within("alerts.sync_ms", self.sync_ms, 1, 600_000)?;
        within("alerts.index_lag_rows", self.index_lag_rows, 1, 2_000_000)?;
        within("alerts.ending_days", self.ending_days, 1, 3_650)?;
        within("alerts.clock_seconds", self.clock_seconds, 1, 86_400)?;
        within("alerts.quiet_seconds", self.quiet_seconds, 1, 86_400)
    }
}
