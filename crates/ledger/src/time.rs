//! Time: UTC inside, Vietnam time (+07:00) outside. Vietnam has no daylight saving, so the
//! fixed offset needs no zone database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use tokio::sync::watch;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ms(pub i64);

/// The text is not a date or time in ISO 8601.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a date (2026-07-01) or time (2026-07-01T08:00:00+07:00)")]
pub struct NotATime(pub String);

fn vietnam() -> TimeZone {
    TimeZone::fixed(Offset::constant(7))
}

impl Ms {
    /// ISO 8601 with `+07:00`, whole seconds: `2026-11-22T08:00:00+07:00`.
    #[must_use]
    pub fn iso(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S+07:00")
    }

    /// ISO 8601 with milliseconds.
    #[must_use]
    pub fn iso_ms(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%.3f+07:00")
    }

    /// As people write it in Vietnam: `22/11/2026 08:00:00`.
    #[must_use]
    pub fn told(self) -> String {
        self.format("%d/%m/%Y %H:%M:%S")
    }

    /// As edXML writes times: `2026/11/22 08:00:00`, Vietnam time.
    #[must_use]
    pub fn edxml(self) -> String {
        self.format("%Y/%m/%d %H:%M:%S")
    }

    fn format(self, pattern: &str) -> String {
        match Timestamp::from_millisecond(self.0) {
            Ok(at) => at.to_zoned(vietnam()).strftime(pattern).to_string(),
            Err(_) => String::new(),
        }
    }

    /// The Vietnam calendar day: days since 1970-01-01.
    #[must_use]
    pub fn day(self) -> i32 {
        let day = (self.0 + 7 * 3_600_000).div_euclid(86_400_000);
        i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
    }

    /// Reads ISO 8601: a time with an offset, a time without one (Vietnam time), or a date
    /// (its first moment in Vietnam).
    ///
    /// # Errors
    /// If the text is none of these.
    pub fn parse(text: &str) -> Result<Self, NotATime> {
        let refused = || NotATime(text.to_owned());
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self(at.as_millisecond()));
        }
        let at = text
            .parse::<jiff::civil::DateTime>()
            .or_else(|_| {
                text.parse::<jiff::civil::Date>()
                    .map(|date| date.at(0, 0, 0, 0))
            })
            .map_err(|_| refused())?;
        let zoned = at.to_zoned(vietnam()).map_err(|_| refused())?;
        Ok(Self(zoned.timestamp().as_millisecond()))
    }
}

/// The clock of the whole exchange: the system's, or one that a test sets.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Set>>);

#[derive(Debug)]
struct Set {
    /// The moment, or how far it is ahead of the system's clock if it passes.
    ms: AtomicI64,
    passes: bool,
    /// How far the steady time is ahead of the system's, in milliseconds.
    passed: AtomicU64,
    moved: watch::Sender<()>,
}

/// Tells when a test has moved a clock.
#[derive(Debug)]
pub struct Moves(Option<watch::Receiver<()>>);

impl Moves {
    /// Resolves when the clock was moved since the last call, or since [`Clock::moves`]; never
    /// with the system's clock.
    pub async fn next(&mut self) {
        if let Some(moved) = &mut self.0
            && moved.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands until [`Clock::advance`] moves it.
    #[must_use]
    pub fn standing_at(now: Ms) -> Self {
        Self::set(now.0, false)
    }

    /// A clock that passes as the system's does, and jumps when [`Clock::advance`] moves it.
    #[must_use]
    pub fn that_jumps() -> Self {
        Self::set(0, true)
    }

    fn set(ms: i64, passes: bool) -> Self {
        let ms = AtomicI64::new(ms);
        Self(Some(Arc::new(Set {
            ms,
            passes,
            passed: AtomicU64::new(0),
            moved: watch::Sender::new(()),
        })))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Ms {
        let system = || Timestamp::now().as_millisecond();
        match &self.0 {
            None => Ms(system()),
            Some(set) => {
                let ms = set.ms.load(Ordering::SeqCst);
                Ms(if set.passes { system() + ms } else { ms })
            }
        }
    }

    /// Whether it passes by itself.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.0.as_ref().is_none_or(|set| set.passes)
    }

    /// Now by a time that never jumps: for what ends after a while, whatever becomes of the
    /// clock. Only its differences mean something.
    #[must_use]
    pub fn steady(&self) -> Instant {
        let now = Instant::now();
        let passed = self
            .0
            .as_ref()
            .map_or(0, |set| set.passed.load(Ordering::SeqCst));
        now.checked_add(Duration::from_millis(passed))
            .unwrap_or(now)
    }

    /// Sets a test's clock forward or back, as somebody may who sets a computer's; the system's
    /// does not move. No time passes by that: [`Clock::steady`] stays.
    pub fn advance(&self, ms: i64) {
        if let Some(set) = &self.0 {
            set.ms.fetch_add(ms, Ordering::SeqCst);
            set.moved.send_replace(());
        }
    }

    /// Lets so many milliseconds pass for a test's clock, steady time and all.
    pub fn pass(&self, ms: u64) {
        if let Some(set) = &self.0 {
            set.passed.fetch_add(ms, Ordering::SeqCst);
            self.advance(i64::try_from(ms).unwrap_or(i64::MAX));
        }
    }

    /// For waiting until a test moves the clock.
    #[must_use]
    pub fn moves(&self) -> Moves {
        Moves(self.0.as_ref().map(|set| set.moved.subscribe()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_vietnam_time() {
        let at = Ms(1_795_309_200_123);
        assert_eq!(at.iso(), "2026-11-22T08:00:00+07:00");
        assert_eq!(at.iso_ms(), "2026-11-22T08:00:00.123+07:00");
        assert_eq!(at.told(), "22/11/2026 08:00:00");
        assert_eq!(at.edxml(), "2026/11/22 08:00:00");
        assert_eq!(Ms::parse(&at.iso_ms()), Ok(at));
        assert_eq!(Ms::parse("2026-11-22T08:00:00.123"), Ok(at));
    }

    #[test]
    fn a_clock_that_is_set_lets_no_time_pass() {
        let clock = Clock::standing_at(Ms(1_000));
        let before = clock.steady();
        clock.advance(-500);
        assert_eq!(clock.now(), Ms(500));
        assert!(clock.steady() < before + Duration::from_secs(3_600));
        clock.pass(3_600_000);
        assert_eq!(clock.now(), Ms(3_600_500));
        assert!(clock.steady() >= before + Duration::from_secs(3_600));
        Clock::system().pass(1_000);
    }

    #[test]
    fn the_day_is_cut_at_vietnam_midnight() {
        let midnight = Ms::parse("2026-11-22").unwrap();
        assert_eq!(midnight.iso(), "2026-11-22T00:00:00+07:00");
        assert_eq!(Ms(midnight.0 - 1).day() + 1, midnight.day());
        assert!(Ms::parse("22/11/2026").is_err());
    }
}
