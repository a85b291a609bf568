//! The relay: keeps the bus filled from the ledger. The backlog stays in the ledger; the
//! queues hold a window of wake-ups. What was published is memory only: after a reconnect, a
//! restart or a wiped broker the window is published again.
//!
//! One pump for each system that is fed: `direct` ones while a stream is attached, `amqp` ones
//! always. One more task ([`sentry`]) looks whether the queues still hold what was published.

mod intake;
mod outlet;
mod pump;
mod sentry;
mod wakeup;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::Bus;
use ledger::event::Attachment;
use ledger::id::{DeliveryId, SystemId};
use ledger::open::Place;
use ledger::registry::{Registry, System};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::service::Inner;
use crate::types::Lane;

pub(crate) use outlet::Outlet;
use outlet::Terms;
use pump::Pump;
pub(crate) use sentry::watch;

/// How the relay works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Published and not leased (`amqp`: not settled), per system and lane.
    pub(crate) window: usize,
    /// After how long an `amqp` system's unsettled message is published again.
    pub(crate) settle: Duration,
    /// Every published queue is looked at once in this time.
    pub(crate) check: Duration,
}

/// Fills the queues of the systems that are fed.
#[derive(Debug)]
pub(crate) struct Relay {
    bus: Arc<dyn Bus>,
    settings: Settings,
    outlets: Mutex<HashMap<SystemId, Arc<Outlet>>>,
    /// The last pump of each system. The next one begins when it has ended: its last purge must
    /// not take what the next one has published.
    pumps: Mutex<HashMap<SystemId, JoinHandle<()>>>,
    streams: AtomicU64,
    /// Counts changes after which streams must look whether they may go on.
    generation: watch::Sender<u64>,
    /// Systems have come or go, are paused or resumed, or serve other agencies.
    rerouted: Notify,
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
    pub(crate) fn new(bus: Arc<dyn Bus>, settings: Settings) -> Self {
        Self {
            bus,
            settings: Settings {
                window: settings.window.max(1),
                ..settings
            },
            outlets: Mutex::default(),
            pumps: Mutex::default(),
            streams: AtomicU64::new(0),
            generation: watch::Sender::new(0),
            rerouted: Notify::new(),
        }
    }

    fn outlets(&self) -> MutexGuard<'_, HashMap<SystemId, Arc<Outlet>>> {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn bus(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Whether the queues are a broker's: only then can a system be attached to them.
    pub(crate) fn has_broker(&self) -> bool {
        self.bus.link().is_some()
    }

    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Credentials or agencies changed: every stream looks again.
    pub(crate) fn look_again(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Somebody was paused or resumed, or is served by another system.
    pub(crate) fn rerouted(&self) {
        self.rerouted.notify_one();
    }

    /// Streams attached, by system.
    pub(crate) fn all_streams(&self) -> Vec<(SystemId, u32)> {
        let outlets = self.outlets();
        let streams = outlets
            .iter()
            .map(|(id, outlet)| (id.clone(), outlet.streams()));
        streams.collect()
    }

    /// What stands between the ledger and a system; `None` if it is not fed.
    pub(crate) fn outlet_of(&self, system: &SystemId) -> Option<Arc<Outlet>> {
        self.outlets().get(system).cloned()
    }

    /// The systems that are fed.
    pub(crate) fn fed(&self) -> Vec<SystemId> {
        self.outlets().keys().cloned().collect()
    }

    /// Streams attached for a system.
    pub(crate) fn streams(&self, system: &SystemId) -> u32 {
        self.outlets()
            .get(system)
            .map_or(0, |outlet| outlet.streams())
    }

    /// Attaches a stream: the system's backlog starts to flow. Returns the stream's number.
    pub(crate) fn attach(&self, inner: &Arc<Inner>, system: &SystemId) -> (u64, Arc<Outlet>) {
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let mut outlets = self.outlets();
        let outlet = self.outlet(&mut outlets, inner, system);
        outlet.stream_comes();
        (stream, outlet)
    }

    /// Detaches a stream; with the last one the flow stops.
    pub(crate) fn detach(&self, outlet: &Arc<Outlet>) {
        let mut outlets = self.outlets();
        if outlet.stream_goes() {
            outlets.remove(outlet.system());
        }
    }

    /// Feeds the `amqp` systems of the registry, and no others of them; gives every fed system
    /// its backlog anew: an agency that has come to it, or was resumed, may have one.
    fn reconcile(&self, inner: &Arc<Inner>) {
        let registry = inner.ledger.registry();
        let mut outlets = self.outlets();
        if self.has_broker() {
            for system in registry.systems() {
                let Some(terms) = terms(system) else { continue };
                let Ok(id) = system.facts.system.parse::<SystemId>() else {
                    continue;
                };
                self.outlet(&mut outlets, inner, &id).feed(Some(terms));
            }
        }
        outlets.retain(|id, outlet| {
            let terms = registry.system(id.as_str()).and_then(terms);
            outlet.feed(terms.filter(|_| self.has_broker()))
        });
    }

    /// The outlet of a system, with its pump.
    fn outlet(
        &self,
        outlets: &mut HashMap<SystemId, Arc<Outlet>>,
        inner: &Arc<Inner>,
        system: &SystemId,
    ) -> Arc<Outlet> {
        if let Some(outlet) = outlets.get(system) {
            return Arc::clone(outlet);
        }
        // What an earlier run left on a broker is not known here.
        let outlet = Arc::new(Outlet::new(system.clone(), self.has_broker()));
        outlets.insert(system.clone(), Arc::clone(&outlet));
        let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
        let before = pumps.remove(system);
        let pump = Pump::new(Arc::clone(inner), Arc::clone(&outlet));
        pumps.insert(system.clone(), inner.tasks.spawn(pump.run(before)));
        outlet
    }

    /// Deliveries became ready: those of systems that are fed go on their way.
    pub(crate) fn ready(&self, places: &[Place], registry: &Registry) {
        if places.is_empty() {
            return;
        }
        let outlets = self.outlets();
        if outlets.is_empty() {
            return;
        }
        for place in places {
            if !registry.may_receive(place.receiver) {
                continue;
            }
            for system in registry.systems_of(place.receiver) {
                if let Some(outlet) = outlets.get(system) {
                    outlet.add(*place);
                }
            }
        }
    }

    /// A delivery was settled: it makes room in the window of the `amqp` system that had it.
    pub(crate) fn settled(&self, system: &SystemId, delivery: &DeliveryId) {
        let outlet = self.outlets().get(system).map(Arc::clone);
        if let Some(outlet) = outlet.filter(|outlet| outlet.terms().is_some()) {
            let _ = outlet.arrived(delivery);
        }
    }

    /// A delivery was given back by an `amqp` system: it is published again.
    pub(crate) fn given_back(&self, system: &SystemId, delivery: &DeliveryId) {
        let outlet = self.outlets().get(system).map(Arc::clone);
        if let Some(outlet) = outlet.filter(|outlet| outlet.terms().is_some()) {
            outlet.publish_again(|id, _| id == delivery);
        }
    }

    pub(crate) async fn close(&self) {
        self.look_again();
        self.bus.close().await;
    }
}

/// On what terms a system is fed without a stream; `None` if it is not.
fn terms(system: &System) -> Option<Terms> {
    let fed = system.facts.attachment() == Attachment::Amqp && !system.facts.suspended;
    fed.then_some(Terms {
        inline: system.facts.inline_bytes,
    })
}

pub(crate) const fn ledger_lane(lane: bus::Lane) -> Lane {
    match lane {
        bus::Lane::Flash => Lane::Flash,
        bus::Lane::Urgent => Lane::Urgent,
        bus::Lane::Status => Lane::Status,
        bus::Lane::Routine => Lane::Routine,
    }
}

pub(crate) const fn bus_lane(lane: Lane) -> bus::Lane {
    match lane {
        Lane::Flash => bus::Lane::Flash,
        Lane::Urgent => bus::Lane::Urgent,
        Lane::Status => bus::Lane::Status,
        Lane::Routine | Lane::Unspecified => bus::Lane::Routine,
    }
}
