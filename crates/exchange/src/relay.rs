//! The relay: keeps the bus filled from the ledger. The backlog stays in the ledger; the
//! queues hold a window of wake-ups. What was published is memory only.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::{Bus, Message, Queue};
use ledger::Ledger;
use ledger::id::{AgencyId, DeliveryId, SystemId};
use ledger::open::Place;
use ledger::registry::Registry;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::lease::Leases;
use crate::types::Lane;

/// How long a refused publish waits before it is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// Fills the queues of the systems that have a stream attached.
#[derive(Debug)]
pub(crate) struct Relay {
    bus: Arc<dyn Bus>,
    window: usize,
    outlets: Mutex<HashMap<SystemId, Arc<Outlet>>>,
    /// The last pump of each system. The next one begins when it has ended: its last purge must
    /// not take what the next one has published.
    pumps: Mutex<HashMap<SystemId, JoinHandle<()>>>,
    streams: AtomicU64,
    /// Counts changes after which streams must look whether they may go on.
    generation: watch::Sender<u64>,
}

/// What goes out to one system.
#[derive(Debug)]
pub(crate) struct Outlet {
    system: SystemId,
    flow: Mutex<Flow>,
    /// There may be something to publish.
    work: Notify,
    /// Something left the flow.
    drained: Notify,
}

type Order = (u8, u8, u64, u32, u32);

#[derive(Debug, Default)]
struct Flow {
    streams: u32,
    closed: bool,
    /// How often the backlog was asked for (once by each stream that comes), and up to which
    /// time of asking it has been added.
    asked: u64,
    filled: u64,
    waiting: BTreeMap<Order, Place>,
    published: HashMap<DeliveryId, Place>,
    /// Published and not leased, by lane.
    counts: [usize; 4],
}

impl Outlet {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing accepted up to `position` waits or is on its way to a stream. What comes
    /// later does not count: it may never stop coming.
    pub(crate) fn is_drained(&self, position: u64) -> bool {
        let flow = self.flow();
        let mut places = flow.waiting.values().chain(flow.published.values());
        flow.filled == flow.asked && !places.any(|place| place.position <= position)
    }

    /// Resolves when something left the flow after this call.
    pub(crate) fn drained(&self) -> tokio::sync::futures::Notified<'_> {
        self.drained.notified()
    }

    /// A published delivery has reached a stream: it is no longer counted.
    pub(crate) fn arrived(&self, delivery: &DeliveryId) -> Option<Place> {
        let mut flow = self.flow();
        let place = flow.published.remove(delivery);
        if let Some(place) = &place {
            let lane = lane_number(place.lane());
            flow.counts[lane] = flow.counts[lane].saturating_sub(1);
        }
        drop(flow);
        self.work.notify_one();
        self.drained.notify_waiters();
        place
    }

    /// A delivery that could not be published waits again.
    fn put_back(&self, delivery: &DeliveryId, place: Place) {
        let mut flow = self.flow();
        if flow.published.remove(delivery).is_some() {
            let lane = lane_number(place.lane());
            flow.counts[lane] = flow.counts[lane].saturating_sub(1);
        }
        flow.waiting.insert(place.order(), place);
    }

    fn fill(&self, asked: u64, backlog: Vec<Place>) {
        let mut flow = self.flow();
        flow.waiting
            .extend(backlog.into_iter().map(|place| (place.order(), place)));
        flow.filled = asked;
    }

    fn add(&self, places: impl Iterator<Item = Place>) {
        let mut flow = self.flow();
        flow.waiting
            .extend(places.map(|place| (place.order(), place)));
        drop(flow);
        self.work.notify_one();
    }
}

/// 0 to 3, in serving order.
pub(crate) const fn lane_number(lane: Lane) -> usize {
    match lane {
        Lane::Flash => 0,
        Lane::Urgent => 1,
        Lane::Status => 2,
        Lane::Routine | Lane::Unspecified => 3,
    }
}

impl Relay {
    pub(crate) fn new(bus: Arc<dyn Bus>, window: usize) -> Self {
        Self {
            bus,
            window: window.max(1),
            outlets: Mutex::default(),
            pumps: Mutex::default(),
            streams: AtomicU64::new(0),
            generation: watch::Sender::new(0),
        }
    }

    fn outlets(&self) -> MutexGuard<'_, HashMap<SystemId, Arc<Outlet>>> {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bus(&self) -> &dyn Bus {
        &*self.bus
    }

    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Credentials or agencies changed: every stream looks again.
    pub(crate) fn look_again(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Streams attached for a system.
    pub(crate) fn streams(&self, system: &SystemId) -> u32 {
        self.outlets()
            .get(system)
            .map_or(0, |outlet| outlet.flow().streams)
    }

    /// Attaches a stream: the system's backlog starts to flow. Returns the stream's number.
    pub(crate) fn attach(
        self: &Arc<Self>,
        system: &SystemId,
        ledger: &Ledger,
        leases: &Arc<Leases>,
    ) -> (u64, Arc<Outlet>) {
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let (outlet, is_new) = {
            let mut outlets = self.outlets();
            let mut is_new = false;
            let outlet = outlets.entry(system.clone()).or_insert_with(|| {
                is_new = true;
                Arc::new(Outlet {
                    system: system.clone(),
                    flow: Mutex::default(),
                    work: Notify::new(),
                    drained: Notify::new(),
                })
            });
            let mut flow = outlet.flow();
            flow.streams += 1;
            flow.asked += 1;
            drop(flow);
            (Arc::clone(outlet), is_new)
        };
        if is_new {
            let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
            let before = pumps.remove(system);
            let pump = Pump {
                relay: Arc::clone(self),
                outlet: Arc::clone(&outlet),
                ledger: ledger.clone(),
                leases: Arc::clone(leases),
            };
            pumps.insert(system.clone(), tokio::spawn(pump.run(before)));
        }
        outlet.work.notify_one();
        (stream, outlet)
    }

    /// Detaches a stream; with the last one the flow stops.
    pub(crate) fn detach(&self, outlet: &Arc<Outlet>) {
        let mut outlets = self.outlets();
        let mut flow = outlet.flow();
        flow.streams -= 1;
        if flow.streams == 0 {
            flow.closed = true;
            drop(flow);
            outlets.remove(&outlet.system);
            outlet.work.notify_one();
        }
    }

    /// Deliveries became ready: those of systems with a stream go on their way.
    pub(crate) fn ready(&self, places: &[Place], registry: &Registry) {
        if places.is_empty() {
            return;
        }
        let outlets = self.outlets().clone();
        if outlets.is_empty() {
            return;
        }
        for place in places {
            for system in registry.systems_of(place.receiver) {
                if let Some(outlet) = outlets.get(system) {
                    outlet.add(std::iter::once(*place));
                }
            }
        }
    }

    pub(crate) async fn close(&self) {
        self.look_again();
        self.bus.close().await;
    }
}

/// What stands open for the agencies of a system. The guard is let go between agencies, so that
/// commits do not wait for the whole of a long list.
fn backlog(system: &SystemId, ledger: &Ledger) -> Vec<Place> {
    let registry = ledger.registry();
    let Some(served) = registry.system(system.as_str()) else {
        return Vec::new();
    };
    let mut places = Vec::new();
    for agency in &served.facts.agencies {
        let open = ledger.open_deliveries();
        places.extend(
            open.of(AgencyId(*agency))
                .filter(|(_, delivery)| delivery.is_deliverable())
                .map(|(place, _)| *place),
        );
    }
    places
}

/// Publishes what waits for one system, lane by lane, as far as the window goes, until the last
/// stream left.
struct Pump {
    relay: Arc<Relay>,
    outlet: Arc<Outlet>,
    ledger: Ledger,
    leases: Arc<Leases>,
}

/// What a pump does next.
enum Step {
    /// Add the backlog, asked for so many times.
    Fill(u64),
    Publish(Place, DeliveryId),
    Wait,
    End,
}

impl Pump {
    async fn run(self, before: Option<JoinHandle<()>>) {
        if let Some(before) = before {
            // However it ended, it publishes and purges no more.
            let _ = before.await;
        }
        let outlet = &self.outlet;
        let system: Arc<str> = outlet.system.as_str().into();
        loop {
            let (place, delivery) = match self.step() {
                Step::Publish(place, delivery) => (place, delivery),
                // What becomes ready since the outlet stands is added by `ready`; this is what
                // stood before. Whoever asks has a receipt perhaps that `ready` has not heard of.
                Step::Fill(asked) => {
                    let (id, ledger) = (outlet.system.clone(), self.ledger.clone());
                    let backlog = tokio::task::spawn_blocking(move || backlog(&id, &ledger));
                    // Without an answer the runtime is ending.
                    outlet.fill(asked, backlog.await.unwrap_or_default());
                    continue;
                }
                Step::Wait => {
                    outlet.drained.notify_waiters();
                    outlet.work.notified().await;
                    continue;
                }
                Step::End => break,
            };
            let queue = Queue::new(Arc::clone(&system), bus_lane(place.lane()));
            let message = Message {
                id: *delivery.as_bytes(),
                agency: place.receiver.0,
                ..Message::default()
            };
            if let Err(error) = self.relay.bus.publish(&queue, message).await {
                if matches!(error, bus::PublishError::Closed) {
                    break;
                }
                tracing::warn!(%error, system = %outlet.system, "a wake-up could not be published; it is tried again");
                outlet.put_back(&delivery, place);
                tokio::time::sleep(PAUSE).await;
            }
        }
        for lane in bus::Lane::ALL {
            // Wake-ups without a stream are of no use; the next stream publishes anew.
            let queue = Queue::new(Arc::clone(&system), lane);
            let _ = self.relay.bus.purge(&queue).await;
        }
    }

    /// Takes the next delivery to publish: the first in serving order whose lane's window has
    /// room.
    fn step(&self) -> Step {
        // The open deliveries before the flow, never the other way round: a commit that waits
        // for their guard holds up new readers, and one of those must not hold a lock that an
        // older reader wants.
        let open = self.ledger.open_deliveries();
        let mut flow = self.outlet.flow();
        if flow.closed {
            return Step::End;
        }
        if flow.filled != flow.asked {
            return Step::Fill(flow.asked);
        }
        let mut from: Order = (0, 0, 0, 0, 0);
        loop {
            let Some((order, place)) = flow.waiting.range(from..).next().map(|(o, p)| (*o, *p))
            else {
                return Step::Wait;
            };
            let lane = lane_number(place.lane());
            if flow.counts[lane] >= self.relay.window {
                // This lane is full: go on with the next one.
                let Some(next) = order.0.checked_add(1) else {
                    return Step::Wait;
                };
                from = (next, 0, 0, 0, 0);
                continue;
            }
            flow.waiting.remove(&order);
            let Some(delivery) = open
                .get(&place)
                .filter(|delivery| delivery.is_deliverable())
            else {
                continue;
            };
            let id = delivery.id(&place);
            // One that is leased is offered again when its lease ends.
            if flow.published.contains_key(&id) || self.leases.is_held(&id) {
                continue;
            }
            flow.counts[lane] += 1;
            flow.published.insert(id, place);
            return Step::Publish(place, id);
        }
    }
}

const fn bus_lane(lane: Lane) -> bus::Lane {
    match lane {
        Lane::Flash => bus::Lane::Flash,
        Lane::Urgent => bus::Lane::Urgent,
        Lane::Status => bus::Lane::Status,
        Lane::Routine | Lane::Unspecified => bus::Lane::Routine,
    }
}
