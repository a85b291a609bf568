//! The hours of a working day.

use std::fmt;
use std::str::FromStr;

const MINUTE: i64 = 60_000;

/// The text is no time of day or no list of working hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: must be hours in order, such as \"07:30-11:30\", \"13:30-17:00\"")]
pub struct BadHours(pub String);

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    minutes: u16,
}

impl TimeOfDay {
    /// Hour and minute; what is beyond a day counts as its end.
    #[must_use]
    pub const fn of(hour: u8, minute: u8) -> Self {
        let minutes = hour as u16 * 60 + minute as u16;
        Self {
            minutes: if minutes > 1_440 { 1_440 } else { minutes },
        }
    }

    /// Milliseconds since midnight.
    pub(super) const fn ms(self) -> i64 {
        self.minutes as i64 * MINUTE
    }
}

impl FromStr for TimeOfDay {
    type Err = BadHours;

    /// `HH:MM`, 00:00 to 24:00.
    fn from_str(text: &str) -> Result<Self, BadHours> {
        let bad = || BadHours(text.to_owned());
        let two = |digits: &str| -> Option<u8> {
            (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| digits.parse().ok())?
        };
        let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
        match (two(hour), two(minute)) {
            (Some(hour @ 0..24), Some(minute @ 0..60)) => Ok(Self::of(hour, minute)),
            (Some(24), Some(0)) => Ok(Self::of(24, 0)),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}

/// The spans of a working day, in order, apart from each other, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours(Vec<(TimeOfDay, TimeOfDay)>);

impl Default for Hours {
    /// 07:30 to 11:30 and 13:30 to 17:00.
    fn default() -> Self {
        Self(vec![
            (TimeOfDay::of(7, 30), TimeOfDay::of(11, 30)),
            (TimeOfDay::of(13, 30), TimeOfDay::of(17, 0)),
        ])
    }
}

impl Hours {
    /// From texts such as `07:30-11:30`.
    ///
    /// # Errors
    /// If one is none, is empty, or they overlap or are out of order.
    pub fn parse<S: AsRef<str>>(spans: &[S]) -> Result<Self, BadHours> {
        let all = || {
            BadHours(
                spans
                    .iter()
                    .map(AsRef::as_ref)
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        };
        let mut hours: Vec<(TimeOfDay, TimeOfDay)> = Vec::with_capacity(spans.len());
        for text in spans {
            let (begin, end) = text.as_ref().split_once('-').ok_or_else(all)?;
            let (begin, end) = (begin.trim().parse()?, end.trim().parse()?);
            if begin >= end || hours.last().is_some_and(|(_, last)| *last > begin) {
                return Err(all());
            }
            hours.push((begin, end));
        }
        if hours.is_empty() {
            return Err(all());
        }
        Ok(Self(hours))
    }

    /// When the last span ends.
    pub(super) fn end(&self) -> TimeOfDay {
        self.0.last().map_or(TimeOfDay::of(24, 0), |(_, end)| *end)
    }

    /// The spans as texts, `07:30-11:30`.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(begin, end)| format!("{begin}-{end}"))
    }

    /// Working milliseconds of a working day between two moments of it.
    pub(super) fn within(&self, from: i64, to: i64) -> u64 {
        let overlap = |(begin, end): &(TimeOfDay, TimeOfDay)| {
            u64::try_from(end.ms().min(to) - begin.ms().max(from)).unwrap_or(0)
        };
        self.0.iter().map(overlap).sum()
    }

    /// The moment of a working day at which `left` working milliseconds have passed since
    /// `from`; or how many pass until its end, if they are fewer.
    pub(super) fn pass(&self, from: i64, left: u64) -> Result<i64, u64> {
        let mut passed = 0;
        for (begin, end) in &self.0 {
            let begin = begin.ms().max(from);
            let span = u64::try_from(end.ms() - begin).unwrap_or(0);
            if span > 0 && passed + span >= left {
                return Ok(begin + i64::try_from(left - passed).unwrap_or(0));
            }
            passed += span;
        }
        Err(passed)
    }
}
