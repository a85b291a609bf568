//! What the bus says of its queues, asked in the background: an operator's question never waits
//! for a broker, and no refresh lists it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bus::amqp::LinkState;
use bus::{Depth, Queue, QueueError};
use ledger::id::SystemId;
use ledger::time::Ms;

use crate::relay::{Outlet, bus_lane, lane_number};
use crate::service::Inner;

/// How often the bus is asked.
const EVERY: Duration = Duration::from_secs(2);
/// Systems asked about at a time: with 2,000 fed each is asked about every 80 seconds.
const AT_A_TIME: usize = 50;

/// The depths last heard, by system and lane.
#[derive(Debug, Default)]
pub(crate) struct Depths(Mutex<HashMap<SystemId, [Depth; 4]>>);

impl Depths {
    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<SystemId, [Depth; 4]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of a system's queues; zeros before the first answer.
    pub(crate) fn of(&self, system: &SystemId) -> [Depth; 4] {
        self.known().get(system).copied().unwrap_or_default()
    }
}

/// What keeps the bus from carrying messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) since: Ms,
    pub(crate) reason: String,
    /// The broker is there and takes nothing until its alarm is over.
    pub(crate) blocked: bool,
}

impl Inner {
    /// What keeps the bus from carrying messages now; never for one in memory.
    pub(crate) fn bus_trouble(&self) -> Option<Trouble> {
        let link = self.relay.bus().link()?;
        let link = link.borrow();
        let (reason, blocked) = match &link.state {
            LinkState::Blocked { reason } => (reason.clone(), true),
            LinkState::Away { cause } => (cause.to_string(), false),
            _ => return None,
        };
        let since = link.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Trouble {
            since: Ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            reason,
            blocked,
        })
    }

    /// Why the broker does not give the queue of a system's lane, by the queue's name; `None` if
    /// it does.
    pub(crate) fn queue_fault(&self, system: &SystemId, lane: bus::Lane) -> Option<String> {
        let link = self.relay.bus().link()?;
        let faults = Arc::clone(&link.borrow().faults);
        if faults.is_empty() {
            return None;
        }
        let name = Queue::new(system.as_str(), lane).to_string();
        let reason = faults.get(&name)?;
        Some(format!("{name}: {reason}"))
    }
}

/// Asks the bus, some systems at a time, until the exchange closes.
pub(crate) async fn watch(inner: Arc<Inner>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut last: Option<SystemId> = None;
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => return,
            _ = every.tick() => {}
        }
        let mut fed = inner.relay.fed();
        fed.sort_unstable();
        inner
            .depths
            .known()
            .retain(|system, _| fed.binary_search(system).is_ok());
        let from = match &last {
            Some(last) => fed.partition_point(|system| system <= last),
            None => 0,
        };
        let (before, behind) = fed.split_at(from);
        for system in behind.iter().chain(before).take(AT_A_TIME) {
            last = Some(system.clone());
            let Some(outlet) = inner.relay.outlet_of(system) else {
                continue;
            };
            let answer = tokio::select! {
                () = inner.closing.cancelled() => return,
                answer = ask(&inner, system, &outlet) => answer,
            };
            match answer {
                Ok(depths) => {
                    inner.depths.known().insert(system.clone(), depths);
                }
                // The link tells what is wrong with the broker; what was heard last stands.
                Err(error) => {
                    tracing::debug!(%error, %system, "the bus does not say how full its queues are");
                    break;
                }
            }
        }
    }
}

/// How full the queues are that something was published to.
async fn ask(inner: &Inner, system: &SystemId, outlet: &Outlet) -> Result<[Depth; 4], QueueError> {
    let mut depths = [Depth::default(); 4];
    for lane in outlet.used_lanes() {
        let queue = Queue::new(system.as_str(), bus_lane(lane));
        depths[lane_number(lane)] = match inner.relay.bus().depth(&queue).await {
            Ok(depth) => depth,
            Err(QueueError::Missing) => Depth::default(),
            Err(error) => return Err(error),
        };
    }
    Ok(depths)
}
