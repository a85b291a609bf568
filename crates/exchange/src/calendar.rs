//! The working calendar of Vietnam: which days and hours are worked, how much working time
//! lies between two moments, and whether a document was sent on time.
//!
//! Saturdays and Sundays are off; holidays, days in lieu and swapped days come from one data
//! file a year. The axis carries those of 2025 and 2026; a folder of the province's own files
//! adds years and replaces built-in ones. What depends on a year without a file is not
//! guessed: it is [`UnknownYear`], which says what to add.
//!
//! Everything here is pure: no clock, and no file after [`Calendar::open`].
//!
//! Sources: QĐ 28/2018 Art. 6.2 (same day, at the latest the next working morning); NĐ
//! 30/2020 Art. 4.2c, 18.1 (the next working day); Bộ luật Lao động 2019 Art. 112 (holidays).

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::{Date, Weekday};
use ledger::time::Ms;

mod hours;
mod year;

pub use hours::{BadHours, Hours, TimeOfDay};
pub use year::{CalendarError, Year};

const DAY: i64 = 86_400_000;
/// Vietnam is seven hours ahead of UTC, all year.
const VIETNAM: i64 = 7 * 3_600_000;
const EPOCH: Date = Date::constant(1970, 1, 1);

/// There is no calendar for this year, so nothing that depends on it can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the working days of {year} are not known: put a file {year}.toml into the folder that calendar.folder of the configuration names"
)]
pub struct UnknownYear {
    /// The year.
    pub year: i16,
}

/// Until when a document counts as sent on time (duty TM-03). The day it was promulgated
/// always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTimeRule {
    /// QĐ 28/2018 Art. 6.2: until this hour of the next working day.
    NextWorkingMorning {
        /// When the morning ends; what comes at this very minute is late.
        ends: TimeOfDay,
    },
    /// NĐ 30/2020 Art. 18.1: until the end of the next working day.
    NextWorkingDay,
}

impl Default for OnTimeRule {
    fn default() -> Self {
        Self::NextWorkingMorning {
            ends: TimeOfDay::of(11, 30),
        }
    }
}

/// Whether a document came to the axis on time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On the day it was promulgated, or dated later than it came.
    SameDay,
    /// Later, and within the rule.
    InTime,
    /// Too late.
    Late,
}

impl Verdict {
    /// The word for scripts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SameDay => "same_day",
            Self::InTime => "in_time",
            Self::Late => "late",
        }
    }
}

/// What a calendar is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CalendarOptions {
    /// Files of the province's own, `*.toml`, one a year.
    pub folder: Option<PathBuf>,
    /// When people work on a working day.
    pub hours: Hours,
    /// What counts as sent on time.
    pub on_time: OnTimeRule,
}

/// The working calendar.
#[derive(Debug, Clone)]
pub struct Calendar {
    years: BTreeMap<i16, Year>,
    hours: Hours,
    on_time: OnTimeRule,
}

impl Calendar {
    /// The built-in years, and those of the folder.
    ///
    /// # Errors
    /// A file that cannot be read or says something impossible, with its place.
    pub fn open(options: &CalendarOptions) -> Result<Self, CalendarError> {
        Ok(Self {
            years: year::all(options.folder.as_deref())?,
            hours: options.hours.clone(),
            on_time: options.on_time,
        })
    }

    /// The years that are known, in order.
    pub fn years(&self) -> impl Iterator<Item = &Year> {
        self.years.values()
    }

    /// The working hours of a working day.
    #[must_use]
    pub const fn hours(&self) -> &Hours {
        &self.hours
    }

    /// What counts as sent on time.
    #[must_use]
    pub const fn on_time_rule(&self) -> OnTimeRule {
        self.on_time
    }

    /// Whether people work on this day.
    ///
    /// # Errors
    /// If its year has no file.
    pub fn is_working(&self, day: Date) -> Result<bool, UnknownYear> {
        let year = self
            .years
            .get(&day.year())
            .ok_or_else(|| UnknownYear { year: day.year() })?;
        Ok(year.worked.contains_key(&day)
            || !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
                && !year.off.contains_key(&day))
    }

    /// The first working day after this one.
    ///
    /// # Errors
    /// If a year on the way has no file.
    pub fn next_working_day(&self, day: Date) -> Result<Date, UnknownYear> {
        let mut next = day;
        loop {
            next = next
                .tomorrow()
                .map_err(|_| UnknownYear { year: next.year() })?;
            if self.is_working(next)? {
                return Ok(next);
            }
        }
    }

    /// Milliseconds of working time in [`from`, `to`); 0 if `to` is not later.
    ///
    /// # Errors
    /// If a year on the way has no file.
    pub fn working_ms(&self, from: Ms, to: Ms) -> Result<u64, UnknownYear> {
        if to <= from {
            return Ok(0);
        }
        let (first, last) = (Moment::of(from), Moment::of(Ms(to.0 - 1)));
        let mut sum = 0;
        let mut day = first.day;
        loop {
            if self.is_working(day)? {
                let begin = if day == first.day { first.of_day } else { 0 };
                let end = if day == last.day {
                    last.of_day + 1
                } else {
                    DAY
                };
                sum += self.hours.within(begin, end);
            }
            if day == last.day {
                return Ok(sum);
            }
            day = day
                .tomorrow()
                .map_err(|_| UnknownYear { year: day.year() })?;
        }
    }

    /// The first moment at which `working_ms` of working time have passed since `from`: four
    /// hours from 10:00 end at 16:00 over a lunch break from 11:30 to 13:30. No time at all
    /// has passed at `from` itself.
    ///
    /// # Errors
    /// If a year on the way has no file.
    pub fn after(&self, from: Ms, working_ms: u64) -> Result<Ms, UnknownYear> {
        let mut left = working_ms;
        if left == 0 {
            return Ok(from);
        }
        let mut at = Moment::of(from);
        loop {
            if self.is_working(at.day)? {
                match self.hours.pass(at.of_day, left) {
                    Ok(end) => return Ok(Moment { of_day: end, ..at }.ms()),
                    Err(passed) => left -= passed,
                }
            }
            at = Moment {
                day: at.day.tomorrow().map_err(|_| UnknownYear {
                    year: at.day.year(),
                })?,
                of_day: 0,
            };
        }
    }

    /// When the working day ends in which something comes: that of the next working day for
    /// what comes after the hours, or on a day off (NĐ 30/2020 Art. 21.2c: a receipt on the
    /// same day).
    ///
    /// # Errors
    /// If a year on the way has no file.
    pub fn day_ends(&self, came: Ms) -> Result<Ms, UnknownYear> {
        let at = Moment::of(came);
        let of_day = self.hours.end().ms();
        if at.of_day < of_day && self.is_working(at.day)? {
            return Ok(Moment { of_day, ..at }.ms());
        }
        let day = self.next_working_day(at.day)?;
        Ok(Moment { day, of_day }.ms())
    }

    /// The first moment at which a document of that date is late.
    ///
    /// # Errors
    /// If a year on the way has no file.
    pub fn late_from(&self, promulgated: Date) -> Result<Ms, UnknownYear> {
        let day = self.next_working_day(promulgated)?;
        let of_day = match self.on_time {
            OnTimeRule::NextWorkingMorning { ends } => ends.ms(),
            OnTimeRule::NextWorkingDay => DAY,
        };
        Ok(Moment { day, of_day }.ms())
    }

    /// Whether a document of that date, accepted at that moment, came on time (duty TM-03).
    ///
    /// # Errors
    /// If a year on the way has no file.
    pub fn verdict(&self, promulgated: Date, accepted: Ms) -> Result<Verdict, UnknownYear> {
        if Moment::of(accepted).day <= promulgated {
            return Ok(Verdict::SameDay);
        }
        Ok(if accepted < self.late_from(promulgated)? {
            Verdict::InTime
        } else {
            Verdict::Late
        })
    }
}

/// A moment as Vietnam's clocks show it: the day, and milliseconds since its midnight.
#[derive(Debug, Clone, Copy)]
struct Moment {
    day: Date,
    of_day: i64,
}

impl Moment {
    fn of(at: Ms) -> Self {
        let local = at.0.saturating_add(VIETNAM);
        let days = jiff::Span::new().try_days(local.div_euclid(DAY));
        // A moment outside the years that dates have is in no known year either.
        let day = days.map_or(Date::MAX, |days| EPOCH.saturating_add(days));
        Self {
            day,
            of_day: local.rem_euclid(DAY),
        }
    }

    fn ms(self) -> Ms {
        let days = EPOCH
            .until(self.day)
            .map_or(0, |span| i64::from(span.get_days()));
        Ms(days * DAY + self.of_day - VIETNAM)
    }
}

#[cfg(test)]
mod tests;
