//! Looks whether the queues still hold what was published: a broker that was wiped, a queue that
//! was deleted, an `amqp` system that took messages and never settled them.
//!
//! One task for all systems. Every queue in which something is published is looked at once in
//! the time of [`Settings::check`](super::Settings::check), a few at a time; a system without a
//! backlog costs nothing.

use std::sync::Arc;

use bus::{Queue, QueueError};
use futures_util::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior};

use super::bus_lane;
use super::outlet::Outlet;
use crate::service::Inner;
use crate::types::Lane;

/// In how many parts the queues are looked at.
const PARTS: usize = 10;
/// Questions to the broker at a time.
const ASKED: usize = 8;

/// Watches until the exchange closes.
pub(crate) async fn watch(inner: Arc<Inner>) {
    let relay = &inner.relay;
    let part = relay.settings.check / u32::try_from(PARTS).unwrap_or(1);
    let mut tick = tokio::time::interval(part);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    relay.reconcile(&inner);
    let mut number = 0;
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => return,
            () = relay.rerouted.notified() => {
                relay.reconcile(&inner);
                continue;
            }
            _ = tick.tick() => {}
        }
        let Some(link) = relay.bus().link() else {
            // Queues in memory lose nothing.
            continue;
        };
        number = (number + 1) % PARTS;
        let part: Vec<Arc<Outlet>> = {
            let outlets = relay.outlets();
            let all = outlets.values();
            all.filter(|outlet| place_in_round(outlet.system().as_str()) == number)
                .map(Arc::clone)
                .collect()
        };
        for outlet in &part {
            outlet.intake().leave_if_idle();
        }
        if !link.borrow().is_connected() {
            continue;
        }
        let questions = part.into_iter().flat_map(|outlet| {
            let lanes = outlet.published_lanes();
            lanes
                .into_iter()
                .map(move |lane| (Arc::clone(&outlet), lane))
        });
        let looked = futures_util::stream::iter(questions)
            .map(|(outlet, lane)| look(&inner, outlet, lane))
            .buffer_unordered(ASKED)
            .for_each(|()| std::future::ready(()));
        tokio::select! {
            () = inner.closing.cancelled() => return,
            () = looked => {}
        }
    }
}

/// In which part of a round a system's queues are looked at.
fn place_in_round(system: &str) -> usize {
    system.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(byte))
    }) % PARTS
}

async fn look(inner: &Inner, outlet: Arc<Outlet>, lane: Lane) {
    let relay = &inner.relay;
    let amqp = outlet.terms().is_some();
    if amqp {
        // Settled by another way than a settle: recalled, dropped, moved.
        outlet.prune(|place| {
            let open = inner.ledger.open_deliveries();
            open.get(place)
                .is_some_and(ledger::open::OpenDelivery::is_deliverable)
                && inner.serves(outlet.system(), place.receiver)
        });
    }
    let system = outlet.system().as_str();
    let asked = Instant::now();
    let depth = relay.bus().depth(&Queue::new(system, bus_lane(lane))).await;
    let lane_name = bus_lane(lane).as_str();
    match depth {
        Err(QueueError::Missing) => {
            let again = outlet.lost_queue(lane);
            tracing::warn!(
                system,
                lane = lane_name,
                again,
                "a queue was gone from the broker; what was in it is published again"
            );
        }
        Err(error) => {
            tracing::debug!(%error, system, lane = lane_name, "a queue could not be looked at")
        }
        Ok(depth) if amqp => {
            let settle = relay.settings.settle;
            let mut lost = outlet.unsettled(lane, depth.ready, settle);
            if lost.is_empty() {
                return;
            }
            lost.retain(|(id, place)| {
                let lapsed = inner
                    .leases
                    .lapsed(*id, *place, outlet.system(), inner.now());
                if !lapsed {
                    // Too often: it is dead now, or about to be.
                    outlet.dropped(id);
                }
                lapsed
            });
            let again = outlet.publish_again(|id, _| lost.iter().any(|(lost, _)| lost == id));
            tracing::info!(
                system,
                lane = lane_name,
                again,
                "deliveries were taken and not settled in time; they are published again"
            );
        }
        Ok(depth) => {
            if outlet.is_short(lane, asked, depth) {
                let again = outlet.lost_queue(lane);
                tracing::warn!(
                    system,
                    lane = lane_name,
                    again,
                    "a queue held less than was published; it is published again"
                );
            }
        }
    }
}
