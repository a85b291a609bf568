//! Limits of each system: pushes a second, bytes under way, streams. A system has the axis's
//! limits, or its own, which may change at any time. Over them it hears when to come again; the
//! others do not notice.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use ledger::Fact;
use ledger::event::SystemRecorded;
use ledger::id::SystemId;
use ledger::registry::Registry;

use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator};
use crate::systems::known_system;
use crate::types::{Limits, OwnLimits, SystemRecord};

/// No system is asked to come again sooner than this.
const SOONEST: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Usage {
    /// With the rate that it was made for.
    pushes: Option<(NonZeroU32, DefaultDirectRateLimiter)>,
    refusals: DefaultDirectRateLimiter,
    bytes: Arc<AtomicU64>,
    streams: Arc<AtomicU64>,
    turns: Arc<AtomicU64>,
    requests: Option<DefaultDirectRateLimiter>,
    unsaid: u32,
}

/// One request of a system under way; its place is given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Turn {
    _place: Arc<Part>,
}

/// All systems' usage. The registry bounds how many there are.
#[derive(Debug)]
pub(crate) struct Usages {
    limits: Limits,
    systems: Mutex<HashMap<SystemId, Usage>>,
}

/// A part of what a system uses, given back when dropped.
#[derive(Debug)]
pub(crate) struct Part {
    of: Arc<AtomicU64>,
    count: u64,
}

impl Part {
    const fn none(of: Arc<AtomicU64>) -> Self {
        Self { of, count: 0 }
    }

    /// Takes more, if all parts together stay within the limit then.
    fn grow(&mut self, more: u64, limit: u64) -> bool {
        let taken = self
            .of
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|used| *used <= limit)
            });
        if taken.is_ok() {
            self.count += more;
        }
        taken.is_ok()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.of.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// A system's bytes under way by one push.
#[derive(Debug)]
pub(crate) struct Share {
    part: Part,
    limit: u64,
}

impl Share {
    /// Counts more bytes of the same push.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        if self.part.grow(bytes, self.limit) {
            return Ok(());
        }
        let wait = Duration::from_secs(1);
        Err(over("bytes in flight", "dung lượng đang gửi", wait))
    }
}

impl Usages {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            systems: Mutex::default(),
        }
    }

    /// The axis's limits.
    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The limits that count for a system.
    pub(crate) fn in_force(&self, registry: &Registry, system: &SystemId) -> Limits {
        match registry.system(system.as_str()) {
            Some(system) => self.limits.with(&OwnLimits::of(&system.facts)),
            None => self.limits.clone(),
        }
    }

    /// Refuses limits that no package could pass.
    pub(crate) fn check(&self, own: &OwnLimits) -> Result<(), Refusal> {
        let least = self.limits.max_package;
        match own.max_bytes_in_flight {
            Some(most) if most < least => Err(Refusal::argument(
                "max_bytes_in_flight",
                format!(
                    "Phải ít nhất bằng cỡ của một gói tin, {least} byte; nếu không, gói tin lớn không bao giờ gửi được."
                ),
                format!(
                    "It is at least one package's limit, {least} bytes; else a large package never passes."
                ),
            )),
            _ => Ok(()),
        }
    }

    fn of<T>(&self, system: &SystemId, ask: impl FnOnce(&mut Usage) -> T) -> T {
        let mut systems = self.systems.lock().unwrap_or_else(PoisonError::into_inner);
        ask(systems.entry(system.clone()).or_insert_with(|| Usage {
            pushes: None,
            refusals: RateLimiter::direct(Quota::per_second(NonZeroU32::MIN).allow_burst(BURST)),
            bytes: Arc::default(),
            streams: Arc::default(),
            turns: Arc::default(),
            requests: NonZeroU32::new(self.limits.max_requests_per_second)
                .map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            unsaid: 0,
        }))
    }

    /// Begins a push.
    pub(crate) fn push(&self, system: &SystemId, limits: &Limits) -> Result<Share, Refusal> {
        self.of(system, |usage| {
            usage
                .pushes_at(limits.max_pushes_per_second)
                .map_err(|wait| over("pushes a second", "số gói mỗi giây", wait))?;
            Ok(Share {
                part: Part::none(Arc::clone(&usage.bytes)),
                limit: limits.max_bytes_in_flight,
            })
        })
    }

    /// Begins a request.
    pub(crate) fn request(&self, system: &SystemId) -> Result<Turn, Refusal> {
        let most = self.limits.max_requests.into();
        self.of(system, |usage| {
            if let Some(requests) = &usage.requests
                && let Err(until) = requests.check()
            {
                let wait = until.wait_time_from(DefaultClock::default().now());
                return Err(over("requests a second", "số yêu cầu mỗi giây", wait));
            }
            let mut place = Part::none(Arc::clone(&usage.turns));
            if !place.grow(1, most) {
                let wait = Duration::from_secs(1);
                return Err(over("requests at once", "số yêu cầu cùng lúc", wait));
            }
            Ok(Turn {
                _place: Arc::new(place),
            })
        })
    }

    /// Begins a stream.
    pub(crate) fn stream(&self, system: &SystemId, limits: &Limits) -> Result<Part, Refusal> {
        let mut part = self.of(system, |usage| Part::none(Arc::clone(&usage.streams)));
        if part.grow(1, limits.max_streams.into()) {
            return Ok(part);
        }
        Err(over("streams", "số luồng nhận", Duration::from_secs(5)))
    }

    /// Whether a refusal may be recorded now, and how many it stands for.
    pub(crate) fn refusal(&self, system: &SystemId) -> Option<u32> {
        self.of(system, |usage| {
            if usage.refusals.check().is_err() {
                usage.unsaid = usage.unsaid.saturating_add(1);
                return None;
            }
            Some(1 + std::mem::take(&mut usage.unsaid))
        })
    }
}

impl Usage {
    /// Counts a push at this rate a second (0 = no limit); or how long it has to wait.
    fn pushes_at(&mut self, rate: u32) -> Result<(), Duration> {
        let Some(rate) = NonZeroU32::new(rate) else {
            self.pushes = None;
            return Ok(());
        };
        // Another rate begins afresh.
        let made = self.pushes.take().filter(|(of, _)| *of == rate);
        let made = made.unwrap_or_else(|| (rate, RateLimiter::direct(Quota::per_second(rate))));
        let (_, pushes) = self.pushes.insert(made);
        let checked = pushes.check();
        checked.map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

/// Refusals of one system recorded at once before they are summarised.
#[allow(clippy::unwrap_used)] // 20 is not zero
const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();

fn over(en: &str, vi: &str, wait: Duration) -> Refusal {
    // Rounded up: at the time told it goes.
    let wait = wait.max(SOONEST).as_micros().div_ceil(1_000);
    let wait = u64::try_from(wait).unwrap_or(u64::MAX);
    Refusal::new(Name::LimitReached)
        .at(
            "",
            format!("Đã chạm giới hạn: {vi}. Gửi lại sau {wait} ms."),
            format!("Limit reached: {en}. Send again after {wait} ms."),
        )
        .retry_after(wait)
}

impl OwnLimits {
    /// Those that were recorded.
    pub(crate) fn of(facts: &SystemRecorded) -> Self {
        Self {
            max_streams: narrow(facts.max_streams),
            max_bytes_in_flight: some(facts.max_bytes_in_flight),
            max_pushes_per_second: narrow(facts.max_pushes_per_second),
            max_open_deliveries: some(facts.max_open_deliveries),
        }
    }

    /// The facts with these limits.
    pub(crate) fn recorded(&self, facts: SystemRecorded) -> SystemRecorded {
        SystemRecorded {
            max_streams: self.max_streams.map_or(0, u64::from),
            max_bytes_in_flight: self.max_bytes_in_flight.unwrap_or(0),
            max_pushes_per_second: self.max_pushes_per_second.map_or(0, u64::from),
            max_open_deliveries: self.max_open_deliveries.unwrap_or(0),
            ..facts
        }
    }
}

fn some(recorded: u64) -> Option<u64> {
    (recorded > 0).then_some(recorded)
}

fn narrow(recorded: u64) -> Option<u32> {
    some(recorded).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX))
}

impl Inner {
    /// The limits that count for a system now.
    pub(crate) fn limits_of(&self, system: &SystemId) -> Limits {
        self.usages.in_force(&self.ledger.registry(), system)
    }
}

impl Exchange {
    /// Changes a system's own limits: `change` is given those it has. What is open already stays:
    /// streams and pushes over a smaller limit are not cut, and no others begin.
    ///
    /// # Errors
    /// NOT_FOUND; BAD_ARGUMENT for limits that no package could pass.
    pub async fn set_limits(
        &self,
        operator: &Operator,
        system: &str,
        change: impl Fn(OwnLimits) -> OwnLimits + Send + Sync,
        why: &str,
    ) -> Result<SystemRecord, Refusal> {
        let now = self.inner.now();
        self.inner
            .change_registry(|registry| {
                known_system(registry, system)?;
                let Some(facts) = registry.system(system).map(|system| &system.facts) else {
                    return Err(Refusal::new(Name::Internal));
                };
                let before = OwnLimits::of(facts);
                let limits = change(before);
                self.inner.usages.check(&limits)?;
                if limits == before {
                    return Ok((Vec::new(), ()));
                }
                // Why a system is suspended stands in its last record.
                let suspended = facts.actor.as_ref().filter(|_| facts.suspended);
                let why = suspended.map_or(why, |actor| actor.why.as_str());
                let facts = SystemRecorded {
                    at_ms: now.0,
                    actor: Some(operator.actor(why)),
                    ..facts.clone()
                };
                let recorded = limits.recorded(facts);
                Ok((vec![Fact::SystemRecorded(Box::new(recorded))], ()))
            })
            .await?;
        let registry = self.inner.ledger.registry();
        let record = registry
            .system(system)
            .and_then(|system| self.inner.system_record(&registry, system));
        record.ok_or_else(|| Refusal::new(Name::Internal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usages() -> (Usages, SystemId) {
        (Usages::new(Limits::default()), "a".parse().unwrap())
    }

    #[test]
    fn bytes_in_flight_are_given_back() {
        let (usages, a) = usages();
        let limits = Limits {
            max_bytes_in_flight: 8 << 10,
            ..Limits::default()
        };
        let mut first = usages.push(&a, &limits).unwrap();
        first.grow(8 << 10).unwrap();
        let mut second = usages.push(&a, &limits).unwrap();
        let refused = second.grow(1).unwrap_err();
        assert_eq!(refused.name, Name::LimitReached);
        assert!(refused.retry_after_ms.is_some_and(|after| after >= 1_000));
        let b = "b".parse().unwrap();
        usages.push(&b, &limits).unwrap().grow(8 << 10).unwrap();
        drop(first);
        usages.push(&a, &limits).unwrap().grow(8 << 10).unwrap();
    }

    #[test]
    fn a_smaller_limit_counts_what_is_under_way_and_a_larger_one_lets_more_in() {
        let (usages, a) = usages();
        let of = |max_streams| Limits {
            max_streams,
            ..Limits::default()
        };
        let open = [(); 3].map(|()| usages.stream(&a, &of(3)).unwrap());
        assert!(usages.stream(&a, &of(3)).is_err());
        assert!(usages.stream(&a, &of(2)).is_err());
        let fourth = usages.stream(&a, &of(4)).unwrap();
        drop(open);
        let _second = usages.stream(&a, &of(2)).unwrap();
        assert!(usages.stream(&a, &of(2)).is_err());
        drop(fourth);
        usages.stream(&a, &of(2)).unwrap();
    }

    #[test]
    fn pushes_over_the_rate_hear_when_it_goes_again() {
        let (usages, a) = usages();
        let of = |max_pushes_per_second| Limits {
            max_pushes_per_second,
            ..Limits::default()
        };
        let refused = |rate| {
            let mut pushed = (0..1_000).map(|_| usages.push(&a, &of(rate)));
            pushed.find_map(Result::err).expect("1,000 pushes at once")
        };
        let after = refused(2).retry_after_ms.unwrap();
        assert!((100..=502).contains(&after), "{after}");
        // No limit, then another one, which begins afresh.
        for _ in 0..100 {
            usages.push(&a, &of(0)).unwrap();
        }
        usages.push(&a, &of(1)).unwrap();
        assert!(refused(1).retry_after_ms.unwrap() <= 1_002);
    }

    #[test]
    fn requests_at_once_and_a_second_are_bounded_for_each_system_alone() {
        let usages = Usages::new(Limits {
            max_requests: 2,
            max_requests_per_second: 1_000,
            ..Limits::default()
        });
        let [a, b] = ["a", "b"].map(|id| id.parse().unwrap());
        let first = usages.request(&a).unwrap();
        let _second = usages.request(&a).unwrap();
        assert_eq!(usages.request(&a).unwrap_err().name, Name::LimitReached);
        let _other = usages.request(&b).unwrap();
        drop((first.clone(), first));
        usages.request(&a).unwrap();
    }

    #[test]
    fn refusals_beyond_the_burst_are_summarised() {
        let (usages, a) = usages();
        let recorded = (0..100).filter_map(|_| usages.refusal(&a)).count();
        assert!((20..=22).contains(&recorded), "{recorded}");
    }

    #[test]
    fn a_limit_of_its_own_is_never_below_one_package() {
        let (usages, _) = usages();
        let own = |max_bytes_in_flight| OwnLimits {
            max_bytes_in_flight: Some(max_bytes_in_flight),
            ..OwnLimits::default()
        };
        let least = usages.limits().max_package;
        assert!(usages.check(&own(least - 1)).is_err());
        assert!(usages.check(&own(least)).is_ok());
        // The axis's may have grown since.
        let grown = Limits {
            max_package: least + 1,
            ..Limits::default()
        };
        assert_eq!(grown.with(&own(least)).max_bytes_in_flight, least + 1);
    }
}
