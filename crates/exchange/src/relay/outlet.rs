//! What goes out to one system: what waits to be published, and what was.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Bus, Depth, Taken};
use ledger::id::{DeliveryId, SystemId};
use ledger::open::Place;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::intake::Intake;
use super::{bus_lane, lane_number};
use crate::types::Lane;

/// The first and the longest rest of a lane whose queue took nothing.
const REST: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How an `amqp` system is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// Packages up to this size travel in the message.
    pub(super) inline: u64,
}

/// What goes out to one system.
#[derive(Debug)]
pub(crate) struct Outlet {
    system: SystemId,
    flow: Mutex<Flow>,
    intake: Intake,
    /// There may be something to publish.
    pub(super) work: Notify,
    /// Something left the flow.
    drained: Notify,
    /// A lane was used for the first time.
    widened: Notify,
}

/// A place in the order of serving.
pub(super) type Order = (u8, u8, u64, u32, u32);

/// A published delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) place: Place,
    pub(super) round: u16,
    /// When the bus confirmed it; `None` while it is on its way there.
    confirmed: Option<Instant>,
}

/// A delivery that waits to be published.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    place: Place,
    /// The round in which it was published before: somebody may have had it.
    before: Option<u16>,
}

#[derive(Debug, Default)]
struct Flow {
    streams: u32,
    terms: Option<Terms>,
    closed: bool,
    /// How often the backlog was asked for (once by each stream that comes), and up to which
    /// time of asking it has been added.
    asked: u64,
    filled: u64,
    waiting: BTreeMap<Order, Waiting>,
    published: HashMap<DeliveryId, Sent>,
    lanes: [LaneFlow; 4],
}

#[derive(Debug, Default, Clone, Copy)]
struct LaneFlow {
    /// Published and not leased (`amqp`: not settled).
    published: usize,
    /// The queue may hold what is not known here: it is purged before the next publish.
    unknown: bool,
    /// Something was published here since the outlet stands.
    used: bool,
    /// Failures in a row, and until when the lane rests for them.
    failures: u32,
    rests: Option<Instant>,
    /// How often in a row the queue held less than was published.
    short: u32,
}

/// What a pump does next.
pub(super) enum Step {
    /// Add the backlog, asked for so many times.
    Fill(u64),
    /// Empty the lane's queue.
    Purge(Lane),
    /// Publish this delivery, marked if it was published before.
    Publish {
        id: DeliveryId,
        place: Place,
        again: bool,
    },
    /// Nothing can be done, until that time if one is told.
    Wait(Option<Instant>),
    End,
}

/// What stands at a place when a pump asks.
pub(super) enum Standing {
    /// It may be published; its id and its round.
    Deliverable(DeliveryId, u16),
    /// Leased, settled, recalled or gone.
    Not,
}

impl Outlet {
    pub(super) fn new(system: SystemId, unknown: bool) -> Self {
        let lane = LaneFlow {
            unknown,
            ..LaneFlow::default()
        };
        Self {
            system,
            flow: Mutex::new(Flow {
                lanes: [lane; 4],
                ..Flow::default()
            }),
            intake: Intake::new(),
            work: Notify::new(),
            drained: Notify::new(),
            widened: Notify::new(),
        }
    }

    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn system(&self) -> &SystemId {
        &self.system
    }

    pub(super) fn streams(&self) -> u32 {
        self.flow().streams
    }

    pub(super) fn terms(&self) -> Option<Terms> {
        self.flow().terms
    }

    /// Whether it is fed over the broker, and not over streams of this axis.
    pub(crate) fn is_amqp(&self) -> bool {
        self.terms().is_some()
    }

    /// Published and not leased (`amqp`: not settled), by lane.
    pub(crate) fn published(&self) -> [usize; 4] {
        self.flow().lanes.map(|lane| lane.published)
    }

    /// Whether a delivery is among those.
    pub(crate) fn is_published(&self, delivery: &DeliveryId) -> bool {
        self.flow().published.contains_key(delivery)
    }

    pub(super) const fn intake(&self) -> &Intake {
        &self.intake
    }

    /// The next wake-up of any lane. `None` once the bus is closed.
    pub(crate) async fn next(&self, bus: &Arc<dyn Bus>) -> Option<Taken> {
        let used = || self.used_lanes().into_iter().map(bus_lane).collect();
        let system = self.system.as_str();
        self.intake.next(bus, system, used, &self.widened).await
    }

    pub(super) fn stream_comes(&self) {
        let mut flow = self.flow();
        flow.streams += 1;
        flow.asked += 1;
        drop(flow);
        self.work.notify_one();
    }

    /// Whether nobody is left to be fed: the outlet is closed then.
    pub(super) fn stream_goes(&self) -> bool {
        let mut flow = self.flow();
        flow.streams -= 1;
        let ends = flow.streams == 0 && flow.terms.is_none();
        flow.closed |= ends;
        drop(flow);
        self.work.notify_one();
        ends
    }

    /// Takes over how the system is fed without a stream, and asks for its backlog; whether
    /// anybody is fed still.
    pub(super) fn feed(&self, terms: Option<Terms>) -> bool {
        let mut flow = self.flow();
        flow.asked += 1;
        flow.terms = terms;
        flow.closed |= flow.streams == 0 && terms.is_none();
        let closed = flow.closed;
        drop(flow);
        self.work.notify_one();
        !closed
    }

    /// Whether nothing accepted up to `position` waits or is on its way to a stream. What comes
    /// later does not count: it may never stop coming.
    pub(crate) fn is_drained(&self, position: u64) -> bool {
        let flow = self.flow();
        let published = flow.published.values().map(|sent| sent.place);
        let waiting = flow.waiting.values().map(|waiting| waiting.place);
        let mut places = waiting.chain(published);
        flow.filled == flow.asked && !places.any(|place| place.position <= position)
    }

    /// Resolves when something left the flow after this call.
    pub(crate) fn drained(&self) -> tokio::sync::futures::Notified<'_> {
        self.drained.notified()
    }

    pub(super) fn tell_drained(&self) {
        self.drained.notify_waiters();
    }

    /// A published delivery has reached its stream, or was settled by its `amqp` system: it is
    /// no longer counted. `None`: it was not published, as far as is known here.
    pub(crate) fn arrived(&self, delivery: &DeliveryId) -> Option<Place> {
        let mut flow = self.flow();
        let sent = flow.forget(delivery);
        drop(flow);
        self.work.notify_one();
        self.drained.notify_waiters();
        sent.map(|sent| sent.place)
    }

    pub(super) fn add(&self, place: Place) {
        self.flow().wait(place, None);
        self.work.notify_one();
    }

    pub(super) fn fill(&self, asked: u64, backlog: Vec<Place>) {
        let mut flow = self.flow();
        for place in backlog {
            flow.wait(place, None);
        }
        flow.filled = asked;
    }

    /// Takes the next delivery to publish: the first in serving order whose lane has room in its
    /// window and does not rest. `stand` says what is at a place.
    pub(super) fn step(&self, window: usize, stand: impl Fn(&Place) -> Standing) -> Step {
        let mut flow = self.flow();
        if flow.closed {
            return Step::End;
        }
        if flow.filled != flow.asked {
            return Step::Fill(flow.asked);
        }
        let now = Instant::now();
        let mut wake: Option<Instant> = None;
        let mut from: Order = (0, 0, 0, 0, 0);
        loop {
            let next = flow.waiting.range(from..).next();
            let Some((order, Waiting { place, before })) = next.map(|(o, w)| (*o, *w)) else {
                return Step::Wait(wake);
            };
            let lane = flow.lanes[lane_number(place.lane())];
            let rests = lane.rests.filter(|until| *until > now);
            if rests.is_some() || lane.published >= window {
                wake = [wake, rests].into_iter().flatten().min();
                // Go on with the next lane.
                let Some(next) = order.0.checked_add(1) else {
                    return Step::Wait(wake);
                };
                from = (next, 0, 0, 0, 0);
                continue;
            }
            if lane.unknown {
                return Step::Purge(place.lane());
            }
            flow.waiting.remove(&order);
            // One that is leased is offered again when its lease ends.
            let Standing::Deliverable(id, round) = stand(&place) else {
                continue;
            };
            match flow.published.get(&id) {
                Some(sent) if sent.round == round => continue,
                // A new round was opened before the end of the old one was seen.
                Some(_) => drop(flow.forget(&id)),
                None => {}
            }
            let lane = &mut flow.lanes[lane_number(place.lane())];
            lane.published += 1;
            if !std::mem::replace(&mut lane.used, true) {
                self.widened.notify_waiters();
            }
            let sent = Sent {
                place,
                round,
                confirmed: None,
            };
            flow.published.insert(id, sent);
            return Step::Publish {
                id,
                place,
                again: before == Some(round),
            };
        }
    }

    /// The lane's queue holds nothing that is not known here.
    pub(super) fn purged(&self, lane: Lane) {
        self.flow().lanes[lane_number(lane)].unknown = false;
    }

    /// The bus has confirmed it.
    pub(super) fn confirmed(&self, delivery: &DeliveryId) {
        let mut flow = self.flow();
        if let Some(sent) = flow.published.get_mut(delivery) {
            sent.confirmed = Some(Instant::now());
            let lane = lane_number(sent.place.lane());
            flow.lanes[lane].failures = 0;
            flow.lanes[lane].rests = None;
        }
    }

    /// It could not be published and waits again; its lane rests. `perhaps`: it may be in the
    /// queue all the same. Whether it is news that the lane takes nothing.
    pub(super) fn not_sent(&self, delivery: &DeliveryId, place: Place, perhaps: bool) -> bool {
        let mut flow = self.flow();
        let round = flow.forget(delivery).map(|sent| sent.round);
        flow.wait(place, round.filter(|_| perhaps));
        flow.rest(place.lane())
    }

    /// The lane's queue could not be used; it rests. Whether that is news.
    pub(super) fn rest(&self, lane: Lane) -> bool {
        self.flow().rest(lane)
    }

    /// It turned out not to be deliverable.
    pub(super) fn dropped(&self, delivery: &DeliveryId) {
        let _ = self.arrived(delivery);
    }

    /// Everything published is published again: what the queues hold is not known any more.
    pub(super) fn lost_sight(&self) {
        let mut flow = self.flow();
        for lane in &mut flow.lanes {
            lane.unknown |= lane.used;
            lane.rests = None;
            lane.failures = 0;
        }
        flow.requeue(|_, _| true);
        drop(flow);
        self.work.notify_one();
    }

    /// The queue of the lane is gone or was emptied: its window is published again.
    pub(super) fn lost_queue(&self, lane: Lane) -> usize {
        let number = lane_number(lane);
        let mut flow = self.flow();
        flow.lanes[number].unknown = true;
        flow.lanes[number].short = 0;
        let requeued = flow.requeue(|_, sent| lane_number(sent.place.lane()) == number);
        drop(flow);
        self.work.notify_one();
        requeued
    }

    /// Publishes again what fits.
    pub(super) fn publish_again(&self, fits: impl Fn(&DeliveryId, &Sent) -> bool) -> usize {
        let requeued = self.flow().requeue(fits);
        self.work.notify_one();
        requeued
    }

    /// The lanes in which something is published and confirmed.
    pub(super) fn published_lanes(&self) -> Vec<Lane> {
        let flow = self.flow();
        let lanes = [Lane::Flash, Lane::Urgent, Lane::Status, Lane::Routine];
        let used = lanes.into_iter().zip(flow.lanes);
        used.filter(|(_, of)| of.published > 0)
            .map(|(lane, _)| lane)
            .collect()
    }

    /// What was published and is no longer deliverable makes room.
    pub(super) fn prune(&self, stand: impl Fn(&Place) -> bool) {
        let places: Vec<(DeliveryId, Place)> = {
            let flow = self.flow();
            let published = flow.published.iter();
            published.map(|(id, sent)| (*id, sent.place)).collect()
        };
        let gone: Vec<DeliveryId> = places
            .into_iter()
            .filter(|(_, place)| !stand(place))
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            self.dropped(&id);
        }
    }

    /// Holds what was confirmed before `asked` against what the queue then had. Whether less is
    /// there than must be, twice in a row: a broker's numbers may be a moment old.
    pub(super) fn is_short(&self, lane: Lane, asked: Instant, depth: Depth) -> bool {
        let number = lane_number(lane);
        let mut flow = self.flow();
        let known = flow.published.values().filter(|sent| {
            lane_number(sent.place.lane()) == number
                && sent.confirmed.is_some_and(|confirmed| confirmed <= asked)
        });
        let short = known.count() as u64 > depth.ready + depth.unacked;
        let of = &mut flow.lanes[number];
        of.short = if short { of.short + 1 } else { 0 };
        of.short >= 2
    }

    /// The deliveries of the lane that were published longer ago than `settle`, are not settled
    /// and wait in the queue no more, which has `ready` messages: a queue gives its oldest
    /// first, so that the youngest are those that are there.
    pub(super) fn unsettled(
        &self,
        lane: Lane,
        ready: u64,
        settle: Duration,
    ) -> Vec<(DeliveryId, Place)> {
        let number = lane_number(lane);
        let flow = self.flow();
        let mut of_lane: Vec<(Instant, DeliveryId, Place)> = flow
            .published
            .iter()
            .filter(|(_, sent)| lane_number(sent.place.lane()) == number)
            .filter_map(|(id, sent)| Some((sent.confirmed?, *id, sent.place)))
            .collect();
        drop(flow);
        of_lane.sort_unstable();
        let waiting = usize::try_from(ready).unwrap_or(usize::MAX);
        of_lane.truncate(of_lane.len().saturating_sub(waiting));
        of_lane
            .into_iter()
            .filter(|(confirmed, ..)| confirmed.elapsed() > settle)
            .map(|(_, id, place)| (id, place))
            .collect()
    }

    /// Queues that were used and are of no use once no stream is attached.
    pub(crate) fn used_lanes(&self) -> Vec<Lane> {
        let flow = self.flow();
        let lanes = [Lane::Flash, Lane::Urgent, Lane::Status, Lane::Routine];
        let used = lanes.into_iter().zip(flow.lanes);
        used.filter(|(_, of)| of.used)
            .map(|(lane, _)| lane)
            .collect()
    }
}

impl Flow {
    fn wait(&mut self, place: Place, before: Option<u16>) {
        let waiting = self.waiting.entry(place.order());
        let waiting = waiting.or_insert(Waiting { place, before });
        waiting.before = waiting.before.max(before);
    }

    fn forget(&mut self, delivery: &DeliveryId) -> Option<Sent> {
        let sent = self.published.remove(delivery)?;
        let lane = &mut self.lanes[lane_number(sent.place.lane())];
        lane.published = lane.published.saturating_sub(1);
        Some(sent)
    }

    fn requeue(&mut self, fits: impl Fn(&DeliveryId, &Sent) -> bool) -> usize {
        let lost: Vec<(DeliveryId, Sent)> = self
            .published
            .extract_if(|id, sent| fits(id, sent))
            .collect();
        for (_, sent) in &lost {
            let lane = &mut self.lanes[lane_number(sent.place.lane())];
            lane.published = lane.published.saturating_sub(1);
            self.wait(sent.place, Some(sent.round));
        }
        lost.len()
    }

    fn rest(&mut self, lane: Lane) -> bool {
        let of = &mut self.lanes[lane_number(lane)];
        let now = Instant::now();
        if of.rests.is_some_and(|until| until > now) {
            // Others that were on their way with the first one.
            return false;
        }
        let (shortest, longest) = REST;
        of.rests = Some(now + (shortest * 2_u32.pow(of.failures.min(6))).min(longest));
        of.failures = of.failures.saturating_add(1);
        of.failures == 1
    }
}
