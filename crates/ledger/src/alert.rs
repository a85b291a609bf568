//! Alerts: one raising and one clearing of each incident, whoever asks how often, and over a
//! restart. What stands is a row like any other, so the sequencer decides on everything
//! appended before, synced or not.

use crate::event::{AlertCleared, AlertRaised, AlertTold};
use crate::fact::Fact;
use crate::layer::Layer;
use crate::query::{Query, QueryError};
use crate::rows::{self, AlertRow, Key, StandingAlertRow, View, read};
use crate::time::Ms;

/// An alert, as it was raised and what has become of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The event that raised it.
    pub raised: AlertRaised,
    /// When it was cleared; `None` while it stands.
    pub cleared_at: Option<Ms>,
    /// When somebody was told of its raising by a notice.
    pub told_raised_at: Option<Ms>,
    /// When somebody was told of its clearing.
    pub told_cleared_at: Option<Ms>,
    /// Its place in the journal: record and fact.
    pub at: (u64, u32),
    /// Where a listing goes on behind it.
    pub cursor: Key,
}

pub(crate) fn raise(view: &dyn View, alert: AlertRaised) -> Option<Fact> {
    standing(view, &alert.kind, &alert.subject)
        .is_none()
        .then_some(Fact::AlertRaised(alert))
}

pub(crate) fn clear(view: &dyn View, alert: AlertCleared) -> Option<Fact> {
    standing(view, &alert.kind, &alert.subject).map(|_| Fact::AlertCleared(alert))
}

fn standing(view: &dyn View, kind: &str, subject: &str) -> Option<StandingAlertRow> {
    read(view, &rows::standing_alert(kind, subject))
}

fn key(position: u64, fact: u32) -> Key {
    rows::at(vec![rows::ALERTS], position, fact)
}

/// Lays the rows of an alert's event.
pub(crate) fn apply(layer: &mut Layer<'_>, position: u64, number: u32, fact: &Fact) {
    match fact {
        Fact::AlertRaised(AlertRaised { kind, subject, .. }) => {
            // Its location is known once it is written: `place`.
            layer.put(key(position, number), &AlertRow::default());
            let row = StandingAlertRow {
                position,
                fact: number,
            };
            layer.put(rows::standing_alert(kind, subject), &row);
        }
        Fact::AlertCleared(AlertCleared {
            kind,
            subject,
            at_ms,
        }) => {
            let Some(at) = standing(layer, kind, subject) else {
                return;
            };
            change(layer, at.position, at.fact, |row| {
                row.cleared_at = Some(*at_ms);
            });
            layer.remove(rows::standing_alert(kind, subject));
        }
        Fact::AlertTold(AlertTold {
            position,
            fact,
            cleared,
            at_ms,
            ..
        }) => change(layer, *position, *fact, |row| {
            let told = if *cleared {
                &mut row.told_cleared_at
            } else {
                &mut row.told_raised_at
            };
            *told = Some(*at_ms);
        }),
        _ => {}
    }
}

fn change(layer: &mut Layer<'_>, position: u64, fact: u32, change: impl FnOnce(&mut AlertRow)) {
    let key = key(position, fact);
    if let Some(mut row) = read::<AlertRow>(layer, &key) {
        change(&mut row);
        layer.put(key, &row);
    }
}

/// Lays where the raising stands in the journal.
pub(crate) fn place(layer: &mut Layer<'_>, position: u64, number: u32, location: u64) {
    change(layer, position, number, |row| row.location = location);
}

impl Query {
    /// The alerts that stand, oldest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn standing_alerts(&self) -> Result<Vec<Alert>, QueryError> {
        let mut standing: Vec<(u64, u32)> = self
            .state
            .scan(&[rows::STANDING_ALERTS])
            .into_iter()
            .filter_map(|(_, value)| {
                let row = <StandingAlertRow as prost::Message>::decode(value.as_slice()).ok()?;
                Some((row.position, row.fact))
            })
            .collect();
        standing.sort_unstable();
        let mut alerts = Vec::with_capacity(standing.len());
        for at in standing {
            if let Some(row) = read::<AlertRow>(&*self.state, &key(at.0, at.1)) {
                alerts.extend(self.alert(at, &row)?);
            }
        }
        Ok(alerts)
    }

    /// Up to `limit` alerts, standing and cleared, the newest first; behind `cursor` if it is
    /// not empty.
    ///
    /// # Errors
    /// If the index or the journal cannot be read.
    pub fn alerts(&self, cursor: &[u8], limit: usize) -> Result<Vec<Alert>, QueryError> {
        let prefix = [rows::ALERTS];
        let before = if cursor.is_empty() {
            Vec::new()
        } else {
            [&prefix, cursor].concat()
        };
        let mut alerts = Vec::new();
        for (key, value) in self.state.scan_back(&prefix, &before, limit)? {
            let Ok(row) = <AlertRow as prost::Message>::decode(value.as_slice()) else {
                continue;
            };
            let Some((position, fact)) = key[1..].split_first_chunk::<8>() else {
                continue;
            };
            let Ok(fact) = fact.try_into().map(u32::from_be_bytes) else {
                continue;
            };
            alerts.extend(self.alert((u64::from_be_bytes(*position), fact), &row)?);
        }
        Ok(alerts)
    }

    fn alert(&self, at: (u64, u32), row: &AlertRow) -> Result<Option<Alert>, QueryError> {
        let facts = self.recorded(row.location)?.facts;
        let Some(Fact::AlertRaised(raised)) = facts.into_iter().nth(at.1 as usize) else {
            return Ok(None);
        };
        Ok(Some(Alert {
            raised,
            cleared_at: row.cleared_at.map(Ms),
            told_raised_at: row.told_raised_at.map(Ms),
            told_cleared_at: row.told_cleared_at.map(Ms),
            at,
            cursor: key(at.0, at.1)[1..].to_vec(),
        }))
    }
}
