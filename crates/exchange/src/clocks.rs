//! Senders' clocks (duty TM-02): times in a package that the axis's own clock contradicts are
//! flagged in the receipt and in the record; the package passes, and the axis's time counts.

use edxml::{Date, Package, Timestamp};
use ledger::event::Warning;
use ledger::time::Ms;

/// From when on a sender's time is flagged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockLimits {
    /// Seconds that a time may be ahead of the axis's clock. A date is ahead if it is a later
    /// day in Vietnam.
    pub ahead_seconds: u32,
    /// Days that a time or date may lie back.
    pub behind_days: u32,
}

impl Default for ClockLimits {
    fn default() -> Self {
        Self {
            ahead_seconds: 300,
            behind_days: 365,
        }
    }
}

const HEADER: &str = "edXML/edXMLEnvelope/edXMLHeader";

/// What the axis's clock contradicts.
pub(crate) fn contradicted(package: &Package, now: Ms, limits: &ClockLimits) -> Vec<Warning> {
    let mut found = Vec::new();
    match package {
        Package::Document(document) => {
            if let Some(date) = &document.promulgation.date {
                let path = format!("{HEADER}/MessageHeader/PromulgationInfo/PromulgationDate");
                found.extend(date_off(date, now, limits, &path));
            }
            // Those before the last are of whoever passed it on.
            if let Some(time) = document
                .trace
                .last()
                .and_then(|last| last.timestamp.as_ref())
            {
                let path = format!("{HEADER}/TraceHeaderList/TraceHeader/Timestamp");
                found.extend(time_off(time, now, limits, &path));
            }
        }
        Package::Status(status) => {
            if let Some(time) = &status.timestamp {
                let path = format!("{HEADER}/MessageHeader/Timestamp");
                found.extend(time_off(time, now, limits, &path));
            }
        }
    }
    found
}

fn time_off(time: &Timestamp, now: Ms, limits: &ClockLimits, path: &str) -> Option<Warning> {
    let seconds = time.unix_seconds().saturating_sub(now.0.div_euclid(1_000));
    if seconds > i64::from(limits.ahead_seconds) {
        return Some(warning(
            "CLOCK_AHEAD",
            path,
            format!(
                "Thời gian {:?} đi trước giờ của trục {seconds} giây; thống kê dùng giờ của trục.",
                time.text
            ),
            format!(
                "The time {:?} is {seconds} seconds ahead of the axis's clock; statistics use the axis's time.",
                time.text
            ),
        ));
    }
    let days = seconds.saturating_neg().div_euclid(86_400);
    (days > i64::from(limits.behind_days)).then(|| {
        warning(
            "CLOCK_BEHIND",
            path,
            format!(
                "Thời gian {:?} lùi {days} ngày so với giờ của trục.",
                time.text
            ),
            format!("The time {:?} lies {days} days back.", time.text),
        )
    })
}

fn date_off(date: &Date, now: Ms, limits: &ClockLimits, path: &str) -> Option<Warning> {
    let midnight = Timestamp::new(date.year, date.month, date.day, 0, 0, 0)?;
    let day = Ms(midnight.unix_seconds().saturating_mul(1_000)).day();
    let days = i64::from(day) - i64::from(now.day());
    if days > 0 {
        return Some(warning(
            "DATE_AHEAD",
            path,
            format!("Ngày ban hành {date} ở tương lai ({days} ngày)."),
            format!("The date of promulgation {date} is {days} days in the future."),
        ));
    }
    (-days > i64::from(limits.behind_days)).then(|| {
        warning(
            "DATE_BEHIND",
            path,
            format!("Ngày ban hành {date} đã qua {} ngày.", -days),
            format!("The date of promulgation {date} is {} days back.", -days),
        )
    })
}

fn warning(code: &str, path: &str, message: String, message_en: String) -> Warning {
    Warning {
        code: code.to_owned(),
        path: path.to_owned(),
        message,
        message_en,
        ..Warning::default()
    }
}
