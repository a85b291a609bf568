//! Limits of each system: pushes a second, bytes under way, streams. A system over its limits
//! hears when to come again; the others do not notice.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use ledger::id::SystemId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::{Name, Refusal};
use crate::types::Limits;

/// Bytes under way are counted in blocks of this size.
const BLOCK: u64 = 4 << 10;

#[derive(Debug)]
struct Usage {
    pushes: Option<DefaultDirectRateLimiter>,
    refusals: DefaultDirectRateLimiter,
    blocks: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    requests: Option<DefaultDirectRateLimiter>,
    unsaid: u32,
}

/// One request of a system under way; its place is given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Turn {
    _place: Arc<OwnedSemaphorePermit>,
}

/// All systems' usage. The registry bounds how many there are.
#[derive(Debug)]
pub(crate) struct Usages {
    limits: Limits,
    systems: Mutex<HashMap<SystemId, Usage>>,
}

/// A share of a system's bytes under way, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    blocks: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Share {
    /// Counts more bytes of the same push.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let before = self.bytes.div_ceil(BLOCK);
        self.bytes += bytes;
        let more = u32::try_from(self.bytes.div_ceil(BLOCK) - before).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        let permit = Arc::clone(&self.blocks)
            .try_acquire_many_owned(more)
            .map_err(|_| over("bytes in flight", "dung lượng đang gửi", 1_000))?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        Ok(())
    }
}

impl Usages {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            systems: Mutex::default(),
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    fn of<T>(&self, system: &SystemId, ask: impl FnOnce(&mut Usage) -> T) -> T {
        let mut systems = self.systems.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = &self.limits;
        ask(systems.entry(system.clone()).or_insert_with(|| Usage {
            pushes: NonZeroU32::new(limits.max_pushes_per_second)
                .map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            refusals: RateLimiter::direct(Quota::per_second(NonZeroU32::MIN).allow_burst(BURST)),
            blocks: Arc::new(Semaphore::new(
                usize::try_from(limits.max_bytes_in_flight.div_ceil(BLOCK))
                    .unwrap_or(Semaphore::MAX_PERMITS)
                    .min(Semaphore::MAX_PERMITS),
            )),
            streams: Arc::new(Semaphore::new(limits.max_streams as usize)),
            turns: Arc::new(Semaphore::new(limits.max_requests as usize)),
            requests: NonZeroU32::new(limits.max_requests_per_second)
                .map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            unsaid: 0,
        }))
    }

    /// Begins a push.
    pub(crate) fn push(&self, system: &SystemId) -> Result<Share, Refusal> {
        self.of(system, |usage| {
            if usage
                .pushes
                .as_ref()
                .is_some_and(|pushes| pushes.check().is_err())
            {
                return Err(over("pushes a second", "số gói mỗi giây", 1_000));
            }
            Ok(Share {
                blocks: Arc::clone(&usage.blocks),
                held: None,
                bytes: 0,
            })
        })
    }

    /// Begins a request.
    pub(crate) fn request(&self, system: &SystemId) -> Result<Turn, Refusal> {
        self.of(system, |usage| {
            if let Some(requests) = &usage.requests
                && requests.check().is_err()
            {
                return Err(over("requests a second", "số yêu cầu mỗi giây", 1_000));
            }
            let place = Arc::clone(&usage.turns).try_acquire_owned();
            let place =
                place.map_err(|_| over("requests at once", "số yêu cầu cùng lúc", 1_000))?;
            Ok(Turn {
                _place: Arc::new(place),
            })
        })
    }

    /// Begins a stream.
    pub(crate) fn stream(&self, system: &SystemId) -> Result<OwnedSemaphorePermit, Refusal> {
        let streams = self.of(system, |usage| Arc::clone(&usage.streams));
        streams
            .try_acquire_owned()
            .map_err(|_| over("streams", "số luồng nhận", 5_000))
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

/// Refusals of one system recorded at once before they are summarised.
#[allow(clippy::unwrap_used)] // 20 is not zero
const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();

fn over(en: &str, vi: &str, retry_after_ms: u64) -> Refusal {
    Refusal::new(Name::LimitReached)
        .at(
            "",
            format!("Đã chạm giới hạn: {vi}. Gửi lại sau {retry_after_ms} ms."),
            format!("Limit reached: {en}. Send again after {retry_after_ms} ms."),
        )
        .retry_after(retry_after_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usages(limits: Limits) -> (Usages, SystemId) {
        (Usages::new(limits), "a".parse().unwrap())
    }

    #[test]
    fn bytes_in_flight_are_given_back() {
        let (usages, a) = usages(Limits {
            max_bytes_in_flight: 8 << 10,
            ..Limits::default()
        });
        let mut first = usages.push(&a).unwrap();
        first.grow(8 << 10).unwrap();
        let mut second = usages.push(&a).unwrap();
        let refused = second.grow(1).unwrap_err();
        assert_eq!(
            (refused.name, refused.retry_after_ms),
            (Name::LimitReached, Some(1_000))
        );
        let b = "b".parse().unwrap();
        usages.push(&b).unwrap().grow(8 << 10).unwrap();
        drop(first);
        usages.push(&a).unwrap().grow(8 << 10).unwrap();
    }

    #[test]
    fn requests_at_once_and_a_second_are_bounded_for_each_system_alone() {
        let (usages, a) = usages(Limits {
            max_requests: 2,
            max_requests_per_second: 1_000,
            ..Limits::default()
        });
        let b = "b".parse().unwrap();
        let first = usages.request(&a).unwrap();
        let _second = usages.request(&a).unwrap();
        assert_eq!(usages.request(&a).unwrap_err().name, Name::LimitReached);
        let _other = usages.request(&b).unwrap();
        drop((first.clone(), first));
        usages.request(&a).unwrap();
    }

    #[test]
    fn refusals_beyond_the_burst_are_summarised() {
        let (usages, a) = usages(Limits::default());
        let recorded = (0..100).filter_map(|_| usages.refusal(&a)).count();
        assert!((20..=22).contains(&recorded), "{recorded}");
    }
}
