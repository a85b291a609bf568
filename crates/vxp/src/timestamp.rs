//! `timestamp`: when the client's object was made, not when the request was sent.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, offset};

/// A moment in the protocol's form `ddMMyyyy'T'HHmmss+SSSS`: Vietnam time, a literal `+`, then
/// milliseconds padded to four digits. It is not a zone offset, though it looks like one.
///
/// The SDK sets it once when its object is made, so that a client that runs for days sends one
/// that is days old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    ms: i64,
}

/// The text is not of that form, or names no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a timestamp has the form ddMMyyyyTHHmmss+SSSS, for example 22112026T045914+0625")]
pub struct NotATimestamp;

pub(crate) fn vietnam() -> TimeZone {
    TimeZone::fixed(offset(7))
}

impl Timestamp {
    /// Of milliseconds since 1970 (UTC).
    #[must_use]
    pub const fn of_ms(ms: i64) -> Self {
        Self { ms }
    }

    /// Milliseconds since 1970 (UTC).
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.ms
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.ms).map_err(|_| fmt::Error)?;
        let at = moment.to_zoned(vietnam()).datetime();
        write!(
            f,
            "{:02}{:02}{:04}T{:02}{:02}{:02}+{:04}",
            at.day(),
            at.month(),
            at.year(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let text = text.trim();
        let bytes = text.as_bytes();
        let shape = bytes.len() == 20
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 => *byte == b'T',
                15 => *byte == b'+',
                _ => byte.is_ascii_digit(),
            });
        if !shape {
            return Err(NotATimestamp);
        }
        let number = |from: usize, to: usize| text[from..to].parse::<i16>().unwrap_or(i16::MAX);
        let small = |from: usize, to: usize| i8::try_from(number(from, to)).unwrap_or(i8::MAX);
        let ms = number(16, 20);
        if ms > 999 {
            return Err(NotATimestamp);
        }
        let at = DateTime::new(
            number(4, 8),
            small(2, 4),
            small(0, 2),
            small(9, 11),
            small(11, 13),
            small(13, 15),
            i32::from(ms) * 1_000_000,
        )
        .map_err(|_| NotATimestamp)?;
        let zoned = at.to_zoned(vietnam()).map_err(|_| NotATimestamp)?;
        Ok(Self {
            ms: zoned.timestamp().as_millisecond(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_behind_the_plus_is_milliseconds_in_four_digits() {
        let first: Timestamp = "22112026T045914+0625".parse().unwrap();
        let next: Timestamp = "22112026T045914+0626".parse().unwrap();
        assert_eq!(next.ms() - first.ms(), 1);
        // 04:59:14 in Vietnam is 21:59:14 of the day before in UTC.
        assert_eq!(first.ms(), 1_795_298_354_625);
        assert_eq!(first.to_string(), "22112026T045914+0625");
    }

    #[test]
    fn what_names_no_moment_is_refused() {
        for text in [
            "",
            "22112026T045914+062",
            "22112026T045914-0625",
            "22112026t045914+0625",
            "30022026T045914+0625",
            "22132026T045914+0625",
            "22112026T245914+0625",
            "22112026T045914+1000",
            "22112026T045914+0625Z",
            "２2112026T045914+062",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATimestamp), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(ms in 0_i64..4_000_000_000_000) {
            let written = Timestamp::of_ms(ms).to_string();
            proptest::prop_assert_eq!(written.parse::<Timestamp>(), Ok(Timestamp::of_ms(ms)));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,30}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
