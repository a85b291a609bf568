//! Dates and times as packages carry them (reference section h.2).
//!
//! The standard forms are `yyyy/MM/dd` and `yyyy/MM/dd HH:mm:ss`, without a zone and meant as
//! Vietnam time. Reading is lenient: dashes, day first, ISO 8601 with `T`, fraction and zone are
//! understood; the value says whether it stood in the standard form, because the national SDK
//! silently misreads every other one.

use std::fmt;

/// A day, with the text it was read from.
///
/// Two dates are equal when they name the same day, however they were written.
///
/// ```
/// use edxml::Date;
/// let date = Date::parse("11/04/2019").unwrap();
/// assert_eq!(date.to_string(), "2019/04/11");
/// assert!(!date.standard && date.text == "11/04/2019");
/// ```
#[derive(Debug, Clone)]
pub struct Date {
    /// 1..=9999.
    pub year: u16,
    /// 1..=12.
    pub month: u8,
    /// 1..=31, a day that exists.
    pub day: u8,
    /// The text as sent.
    pub text: String,
    /// Whether the text was exactly `yyyy/MM/dd`.
    pub standard: bool,
}

/// A moment in Vietnam time (UTC+07:00) to the second, with the text it was read from.
///
/// Two are equal when they name the same second, however they were written. A text that carries
/// a zone is converted to Vietnam time; a fraction of a second is dropped.
#[derive(Debug, Clone)]
pub struct Timestamp {
    /// 1..=9999.
    pub year: u16,
    /// 1..=12.
    pub month: u8,
    /// 1..=31, a day that exists.
    pub day: u8,
    /// 0..=23; 0 if the text had no time.
    pub hour: u8,
    /// 0..=59.
    pub minute: u8,
    /// 0..=59.
    pub second: u8,
    /// The text as sent.
    pub text: String,
    /// Whether the text was exactly `yyyy/MM/dd HH:mm:ss`.
    pub standard: bool,
}

/// Vietnam's offset from UTC in seconds.
const VIETNAM: i64 = 7 * 3600;
const DAY: i64 = 86_400;

impl Date {
    /// The day `year`/`month`/`day` in standard form, or `None` if there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        exists(year, month, day).then(|| Date {
            year,
            month,
            day,
            text: format!("{year:04}/{month:02}/{day:02}"),
            standard: true,
        })
    }

    /// Reads any of the forms of section h.2; `None` if the text is none of them or names a day
    /// that does not exist.
    pub fn parse(text: &str) -> Option<Date> {
        let parts = Parts::parse(text.trim())?;
        let (year, month, day, _) = parts.in_vietnam()?;
        let standard = parts.year_first
            && parts.separator == b'/'
            && parts.padded
            && parts.clock.is_none()
            && text.len() == 10;
        Some(Date {
            year,
            month,
            day,
            text: text.to_owned(),
            standard,
        })
    }
}

impl Timestamp {
    /// A moment in standard form, or `None` if there is no such day or time of day.
    pub fn new(
        year: u16,
        month: u8,
        day: u8,
        hour: u8,
        minute: u8,
        second: u8,
    ) -> Option<Timestamp> {
        (exists(year, month, day) && hour < 24 && minute < 60 && second < 60).then(|| Timestamp {
            year,
            month,
            day,
            hour,
            minute,
            second,
            text: format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}"),
            standard: true,
        })
    }

    /// The Vietnam time of a number of seconds since 1970-01-01T00:00:00Z; `None` outside the
    /// years 1..=9999.
    pub fn from_unix_seconds(seconds: i64) -> Option<Timestamp> {
        let local = seconds.checked_add(VIETNAM)?;
        let (year, month, day) = civil(local.div_euclid(DAY))?;
        let clock = local.rem_euclid(DAY);
        let part = |n: i64| u8::try_from(n).ok();
        Timestamp::new(
            year,
            month,
            day,
            part(clock / 3600)?,
            part(clock / 60 % 60)?,
            part(clock % 60)?,
        )
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(&self) -> i64 {
        days(self.year, self.month, self.day) * DAY
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
            - VIETNAM
    }

    /// Reads any of the forms of section h.2; a text without a time of day means midnight.
    /// `None` if the text is none of them or names a day or time that does not exist.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let parts = Parts::parse(text.trim())?;
        let (year, month, day, clock) = parts.in_vietnam()?;
        let part = |n: i64| u8::try_from(n).ok();
        let standard = parts.year_first
            && parts.separator == b'/'
            && parts.padded
            && parts.clock.is_some_and(|clock| clock.plain)
            && text.len() == 19;
        Some(Timestamp {
            year,
            month,
            day,
            hour: part(clock / 3600)?,
            minute: part(clock / 60 % 60)?,
            second: part(clock % 60)?,
            text: text.to_owned(),
            standard,
        })
    }
}

impl fmt::Display for Date {
    /// The standard form, `yyyy/MM/dd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}/{:02}/{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for Timestamp {
    /// The standard form, `yyyy/MM/dd HH:mm:ss`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}/{:02}/{:02} {:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }
}

impl Date {
    fn key(&self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }
}

impl PartialEq for Date {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Date {}

impl PartialOrd for Date {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Date {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::hash::Hash for Date {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.unix_seconds() == other.unix_seconds()
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.unix_seconds().cmp(&other.unix_seconds())
    }
}

impl std::hash::Hash for Timestamp {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.unix_seconds().hash(state);
    }
}

/// A text taken apart, not yet moved to Vietnam time.
struct Parts {
    year: u16,
    month: u8,
    day: u8,
    year_first: bool,
    separator: u8,
    padded: bool,
    clock: Option<Clock>,
}

#[derive(Clone, Copy)]
struct Clock {
    /// Seconds of the day.
    seconds: i64,
    /// Seconds east of UTC, if the text has a zone.
    zone: Option<i64>,
    /// Whether it was exactly `HH:mm:ss` after one space.
    plain: bool,
}

impl Parts {
    fn parse(text: &str) -> Option<Parts> {
        let mut rest = Digits(text.as_bytes());
        let (first, first_digits) = rest.number(4)?;
        let separator = rest.one_of(b"/-")?;
        let (second, second_digits) = rest.number(2)?;
        rest.expect(separator)?;
        let (third, third_digits) = rest.number(4)?;
        let year_first = match (first_digits, third_digits) {
            (4, 1 | 2) => true,
            (1 | 2, 4) => false,
            _ => return None,
        };
        let (year, day, day_digits) = if year_first {
            (first, third, third_digits)
        } else {
            (third, first, first_digits)
        };
        let parts = Parts {
            year,
            month: u8::try_from(second).ok()?,
            day: u8::try_from(day).ok()?,
            year_first,
            separator,
            padded: second_digits == 2 && day_digits == 2,
            clock: if rest.0.is_empty() {
                None
            } else {
                Some(Clock::parse(rest)?)
            },
        };
        exists(parts.year, parts.month, parts.day).then_some(parts)
    }

    /// Year, month, day and second of the day in Vietnam.
    fn in_vietnam(&self) -> Option<(u16, u8, u8, i64)> {
        let clock = match self.clock {
            None => return Some((self.year, self.month, self.day, 0)),
            Some(clock) => clock,
        };
        let shift = clock.zone.map_or(0, |zone| VIETNAM - zone);
        let moment = days(self.year, self.month, self.day) * DAY + clock.seconds + shift;
        let (year, month, day) = civil(moment.div_euclid(DAY))?;
        Some((year, month, day, moment.rem_euclid(DAY)))
    }
}

impl Clock {
    /// Reads ` HH:mm[:ss[.fraction]][zone]`, with `T` in place of the space allowed.
    fn parse(mut rest: Digits<'_>) -> Option<Clock> {
        let start = rest.0;
        if rest.one_of(b"Tt").is_none() {
            rest.expect(b' ')?;
            while rest.one_of(b" ").is_some() {}
        }
        let one_space = start.len() - rest.0.len() == 1 && start[0] == b' ';
        let (hour, hour_digits) = rest.number(2)?;
        rest.expect(b':')?;
        let (minute, minute_digits) = rest.number(2)?;
        let (mut second, mut second_digits) = (0, 0);
        let mut fraction = false;
        if rest.one_of(b":").is_some() {
            (second, second_digits) = rest.number(2)?;
            if rest.one_of(b".,").is_some() {
                fraction = true;
                rest.number(usize::MAX)?;
            }
        }
        let spaced = rest.one_of(b" ").is_some();
        let zone = rest.zone()?;
        if !rest.0.is_empty()
            || (spaced && zone.is_none())
            || hour > 23
            || minute > 59
            || second > 59
        {
            return None;
        }
        Some(Clock {
            seconds: i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second),
            zone,
            plain: one_space
                && !fraction
                && zone.is_none()
                && (hour_digits, minute_digits, second_digits) == (2, 2, 2),
        })
    }
}

/// What is left of a text, taken from the front.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// A number of 1 to `most` digits (its value saturates) and how many digits it had.
    fn number(&mut self, most: usize) -> Option<(u16, usize)> {
        let count = self
            .0
            .iter()
            .take(most)
            .take_while(|b| b.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let value = digits.iter().fold(0u16, |n, b| {
            n.saturating_mul(10).saturating_add(u16::from(b - b'0'))
        });
        (count > 0).then_some((value, count))
    }

    fn one_of(&mut self, set: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        set.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.one_of(&[byte]).map(|_| ())
    }

    /// `Z`, `+07:00`, `+0700` or `+07`; `Some(None)` when nothing is left.
    fn zone(&mut self) -> Option<Option<i64>> {
        if self.0.is_empty() {
            return Some(None);
        }
        if self.one_of(b"Zz").is_some() {
            return Some(Some(0));
        }
        let sign = if self.one_of(b"+-")? == b'+' { 1 } else { -1 };
        let (hours, 2) = self.number(2)? else {
            return None;
        };
        let minutes = if self.0.is_empty() {
            0
        } else {
            let _ = self.one_of(b":");
            let (minutes, 2) = self.number(2)? else {
                return None;
            };
            minutes
        };
        (hours <= 14 && minutes < 60)
            .then(|| Some(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60)))
    }
}

fn exists(year: u16, month: u8, day: u8) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=9999).contains(&year) && (1..=length).contains(&day)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(year: u16, month: u8, day: u8) -> i64 {
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    // Years start in March, so that the leap day is the last of the year.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

/// The inverse of [`days`]; `None` outside the years 1..=9999.
fn civil(days: i64) -> Option<(u16, u8, u8)> {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let year = u16::try_from(year)
        .ok()
        .filter(|y| (1..=9999).contains(y))?;
    Some((year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_read_in_every_form_met() {
        for (text, value, standard) in [
            ("2019/01/16", "2019/01/16", true),
            (" 2019/01/16", "2019/01/16", false),
            ("2019-01-16", "2019/01/16", false),
            ("16/01/2019", "2019/01/16", false),
            ("16-1-2019", "2019/01/16", false),
            ("2019/1/6", "2019/01/06", false),
            ("2019/01/16 10:00:00", "2019/01/16", false),
            ("2019-01-16T00:00:00", "2019/01/16", false),
            ("2019-01-16T00:00:00.0000000+07:00", "2019/01/16", false),
            ("2019-01-15T17:00:00Z", "2019/01/16", false),
            ("2020/02/29", "2020/02/29", true),
        ] {
            let date = Date::parse(text).unwrap_or_else(|| panic!("{text} is a date"));
            assert_eq!(
                (date.to_string().as_str(), date.standard),
                (value, standard),
                "{text}"
            );
            assert_eq!(date.text, text);
        }
        for text in [
            "",
            "null",
            "2014/02/30",
            "2019/13/01",
            "0000/01/01",
            "19/01/16",
            "2019/01",
            "2019/01-16",
            "2019.01.16",
            "2019/01/16x",
            "2019/01/16 ",
            "20190116",
            "2019/01/16 25:00:00",
            "2019/01/16 10:00:00 ",
            "१२/०१/२०१९",
        ] {
            let found = Date::parse(text);
            assert!(found.is_none() || text.ends_with(' '), "{text}: {found:?}");
        }
    }

    #[test]
    fn times_are_read_in_every_form_met() {
        for (text, value, standard) in [
            ("2018/09/28 00:00:00", "2018/09/28 00:00:00", true),
            ("28/09/2018 16:35:56", "2018/09/28 16:35:56", false),
            ("2018-09-28T16:35:56", "2018/09/28 16:35:56", false),
            (
                "2018-09-28T16:35:56.123+07:00",
                "2018/09/28 16:35:56",
                false,
            ),
            ("2018-09-28T09:35:56Z", "2018/09/28 16:35:56", false),
            ("2018-09-28T20:35:56 +0000", "2018/09/29 03:35:56", false),
            ("2018/09/28  16:35", "2018/09/28 16:35:00", false),
            ("2018/09/28 6:35:01", "2018/09/28 06:35:01", false),
            ("2018/09/28", "2018/09/28 00:00:00", false),
        ] {
            let time = Timestamp::parse(text).unwrap_or_else(|| panic!("{text} is a time"));
            assert_eq!(
                (time.to_string().as_str(), time.standard),
                (value, standard),
                "{text}"
            );
        }
        for text in [
            "",
            "16:35:56",
            "2018/09/28 24:00:00",
            "2018/09/28T",
            "2018/09/28 16",
            "2018/09/28 16:35:56 PM",
        ] {
            assert!(Timestamp::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn unix_seconds_go_there_and_back(seconds in -62_000_000_000i64..250_000_000_000) {
            let time = Timestamp::from_unix_seconds(seconds).unwrap();
            prop_assert_eq!(time.unix_seconds(), seconds);
            let again = Timestamp::parse(&time.to_string()).unwrap();
            prop_assert!(again.standard);
            prop_assert_eq!(again, time);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "[0-9TZ:/+. -]{0,40}|\\PC{0,30}") {
            let _ = Date::parse(&text);
            let _ = Timestamp::parse(&text);
        }
    }
}
