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
    waiting: BTreeMap<Order, Place>,
    published: HashMap<DeliveryId, Place>,
    /// Published and not leased, by lane.
    counts: [usize; 4],
}

impl Outlet {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing waits and nothing is on its way.
    pub(crate) fn is_drained(&self) -> bool {
        let flow = self.flow();
        flow.waiting.is_empty() && flow.published.is_empty()
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
        leases: &Leases,
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
            outlet.flow().streams += 1;
            (Arc::clone(outlet), is_new)
        };
        if is_new {
            // What becomes ready from here on is added by `ready`; this adds what stood before.
            let backlog = backlog(system, ledger, leases);
            outlet.add(backlog.into_iter());
            tokio::spawn(pump(Arc::clone(self), Arc::clone(&outlet), ledger.clone()));
        }
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
    pub(crate) fn ready(&self, places: &[Place], registry: &Registry, leases: &Leases) {
        if places.is_empty() {
            return;
        }
        let outlets = self.outlets().clone();
        if outlets.is_empty() {
            return;
        }
        let _ = leases;
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

fn backlog(system: &SystemId, ledger: &Ledger, leases: &Leases) -> Vec<Place> {
    let registry = ledger.registry();
    let Some(served) = registry.system(system.as_str()) else {
        return Vec::new();
    };
    let open = ledger.open_deliveries();
    let agencies = served.facts.agencies.iter().map(|agency| AgencyId(*agency));
    agencies
        .flat_map(|agency| open.of(agency))
        .filter(|(place, delivery)| {
            delivery.is_deliverable() && !leases.is_held(&delivery.id(place))
        })
        .map(|(place, _)| *place)
        .collect()
}

/// Publishes what waits, lane by lane, as far as the window goes, until the last stream left.
async fn pump(relay: Arc<Relay>, outlet: Arc<Outlet>, ledger: Ledger) {
    let system: Arc<str> = outlet.system.as_str().into();
    loop {
        let next = {
            let mut flow = outlet.flow();
            if flow.closed {
                break;
            }
            take(&mut flow, &ledger, relay.window)
        };
        let Some((place, delivery)) = next else {
            outlet.drained.notify_waiters();
            outlet.work.notified().await;
            continue;
        };
        let queue = Queue::new(Arc::clone(&system), bus_lane(place.lane()));
        let message = Message {
            id: *delivery.as_bytes(),
            agency: place.receiver.0,
            body: bytes::Bytes::new(),
        };
        if let Err(error) = relay.bus.publish(&queue, message).await {
            if relay.bus_is_closed(&error) {
                break;
            }
            tracing::warn!(%error, system = %outlet.system, "a wake-up could not be published; it is tried again");
            outlet.arrived(&delivery);
            outlet.add(std::iter::once(place));
            tokio::time::sleep(PAUSE).await;
        }
    }
    for lane in bus::Lane::ALL {
        // Wake-ups without a stream are of no use; the next stream publishes anew.
        let _ = relay
            .bus
            .purge(&Queue::new(Arc::clone(&system), lane))
            .await;
    }
}

impl Relay {
    fn bus_is_closed(&self, error: &bus::PublishError) -> bool {
        matches!(error, bus::PublishError::Closed)
    }
}

/// The next delivery to publish: the first in serving order whose lane's window has room.
fn take(flow: &mut Flow, ledger: &Ledger, window: usize) -> Option<(Place, DeliveryId)> {
    let open = ledger.open_deliveries();
    let mut from: Order = (0, 0, 0, 0, 0);
    loop {
        let (order, place) = flow.waiting.range(from..).next().map(|(o, p)| (*o, *p))?;
        let lane = lane_number(place.lane());
        if flow.counts[lane] >= window {
            // This lane is full: go on with the next one.
            from = (order.0.checked_add(1)?, 0, 0, 0, 0);
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
        if flow.published.contains_key(&id) {
            continue;
        }
        flow.counts[lane] += 1;
        flow.published.insert(id, place);
        return Some((place, id));
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
