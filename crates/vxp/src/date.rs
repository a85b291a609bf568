//! `fromDate` and `toDate`: no form is fixed, so several are read.

use jiff::civil::{Date, DateTime, Time};

use crate::timestamp::vietnam;

/// A window of time, in milliseconds since 1970; an end that is absent is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// The first moment in it.
    pub from_ms: Option<i64>,
    /// The last moment in it.
    pub to_ms: Option<i64>,
}

impl Window {
    /// Of the two parameters; one that cannot be read counts as absent.
    #[must_use]
    pub fn read(from: Option<&str>, to: Option<&str>) -> Self {
        Self {
            from_ms: from.and_then(|text| moment(text, false)),
            to_ms: to.and_then(|text| moment(text, true)),
        }
    }

    /// Whether a moment lies in it.
    #[must_use]
    pub fn holds(&self, ms: i64) -> bool {
        self.from_ms.is_none_or(|from| from <= ms) && self.to_ms.is_none_or(|to| ms <= to)
    }
}

/// A moment in Vietnam time: `dd/MM/yyyy` or `yyyy/MM/dd` with `/` or `-`, and a time behind it
/// or not. A day alone is its first moment, or its last one.
fn moment(text: &str, last: bool) -> Option<i64> {
    let text = text.trim();
    let (day, time) = match text.split_once([' ', 'T']) {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let parts: Vec<&str> = day.split(['/', '-']).collect();
    let [a, b, c] = parts.as_slice() else {
        return None;
    };
    let (year, month, day) = if a.len() == 4 { (a, b, c) } else { (c, b, a) };
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    let time = match time {
        None if last => Time::new(23, 59, 59, 999_000_000).ok()?,
        None => Time::midnight(),
        Some(time) => {
            let time = time.split(['.', '+', 'Z']).next()?;
            let mut parts = time.split(':').map(str::parse::<i8>);
            let mut part = || parts.next().unwrap_or(Ok(0)).ok();
            Time::new(part()?, part()?, part()?, 0).ok()?
        }
    };
    let at = DateTime::from_parts(date, time).to_zoned(vietnam()).ok()?;
    Some(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_clients_are_known_to_send_are_read() {
        let noon = moment("22/11/2026 12:00:00", false).unwrap();
        for text in [
            "2026/11/22 12:00:00",
            "2026-11-22 12:00:00",
            "2026-11-22T12:00:00.000Z",
            "22-11-2026 12:00",
        ] {
            assert_eq!(moment(text, false), Some(noon), "{text}");
        }
        let day = Window::read(Some("22/11/2026"), Some("22/11/2026"));
        assert!(day.holds(noon) && !day.holds(noon + 12 * 3_600_000));
        assert_eq!(Window::read(Some("hôm nay"), None), Window::default());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}", last: bool) {
            let _ = moment(&text, last);
        }
    }
}
