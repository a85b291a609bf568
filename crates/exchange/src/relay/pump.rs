//! Publishes what waits for one system, lane by lane, as far as the window goes.

use std::sync::Arc;
use std::time::Duration;

use bus::{Message, PublishError, Queue, QueueError};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use ledger::Ledger;
use ledger::id::{DeliveryId, SystemId};
use ledger::open::Place;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::outlet::{Outlet, Standing, Step};
use super::{bus_lane, wakeup};
use crate::refusal::Refusal;
use crate::service::Inner;
use crate::types::Lane;

/// Publishes of one system on their way at once.
const UNDER_WAY: usize = 256;
/// After how long the queues of an `amqp` system are tried again that could not be made.
const AGAIN: Duration = Duration::from_secs(1);
/// Messages with their headers made at the same time for one `amqp` system.
const PREPARED: usize = 32;

/// The pump of one outlet.
pub(super) struct Pump {
    inner: Arc<Inner>,
    outlet: Arc<Outlet>,
    system: Arc<str>,
    /// The broker's link; `None` with queues in memory, which are always there.
    link: Option<watch::Receiver<bus::amqp::Link>>,
    /// The connection over which was published.
    generation: u64,
    /// The connection over which the queues of an `amqp` system were made: it may come to them
    /// before the first message does.
    made: Option<u64>,
}

/// A message to publish; `None` if it turned out that nothing is to be published.
type Made = (DeliveryId, Place, Result<Option<Message>, Refusal>);
type Landed = (DeliveryId, Place, Result<(), PublishError>);

/// Why the pump leaves the loop.
enum End {
    /// Nobody is fed any more.
    Unfed,
    /// The axis is stopping.
    Closing,
}

impl Pump {
    pub(super) fn new(inner: Arc<Inner>, outlet: Arc<Outlet>) -> Self {
        let link = inner.relay.bus().link();
        let generation = link.as_ref().map_or(0, |link| link.borrow().generation);
        Self {
            system: outlet.system().as_str().into(),
            inner,
            outlet,
            link,
            generation,
            made: None,
        }
    }

    pub(super) async fn run(mut self, before: Option<JoinHandle<()>>) {
        if let Some(before) = before {
            // However it ended, it publishes and purges no more.
            let _ = before.await;
        }
        if let End::Closing = self.pump().await {
            return;
        }
        // Wake-ups without a stream are of no use; the next stream publishes anew.
        self.outlet.intake().leave().await;
        for lane in self.outlet.used_lanes() {
            let _ = self.inner.relay.bus().purge(&self.queue(lane)).await;
        }
    }

    async fn pump(&mut self) -> End {
        let closing = self.inner.closing.clone();
        let outlet = Arc::clone(&self.outlet);
        let mut preparing: FuturesOrdered<BoxFuture<'static, Made>> = FuturesOrdered::new();
        let mut under_way: FuturesUnordered<BoxFuture<'static, Landed>> = FuturesUnordered::new();
        let mut ended = false;
        loop {
            let mut until = None;
            if outlet.terms().is_some() && self.made != Some(self.generation) && self.is_up() {
                until = self.make_queues().await;
            }
            while !ended
                && self.is_up()
                && preparing.len() < PREPARED
                && under_way.len() < UNDER_WAY
            {
                match self.step() {
                    // What becomes ready since the outlet stands is added by `ready`; this is
                    // what stood before. Whoever asks has a receipt perhaps that `ready` has not
                    // heard of.
                    Step::Fill(asked) => {
                        let (id, ledger) = (outlet.system().clone(), self.inner.ledger.clone());
                        let backlog = tokio::task::spawn_blocking(move || backlog(&id, &ledger));
                        // Without an answer the runtime is ending.
                        outlet.fill(asked, backlog.await.unwrap_or_default());
                    }
                    Step::Purge(lane) => self.purge(lane).await,
                    Step::Publish { id, place, again } => match outlet.terms() {
                        None => under_way.push(self.wake(id, place)),
                        Some(terms) => {
                            let (inner, system) =
                                (Arc::clone(&self.inner), outlet.system().clone());
                            preparing.push_back(Box::pin(async move {
                                let made = wakeup::make(&inner, &system, terms, id, again);
                                (id, place, made.await)
                            }));
                        }
                    },
                    Step::Wait(at) => {
                        until = [until, at].into_iter().flatten().min();
                        outlet.tell_drained();
                        break;
                    }
                    Step::End => ended = true,
                }
            }
            if ended && preparing.is_empty() && under_way.is_empty() {
                return End::Unfed;
            }
            let rested = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = closing.cancelled() => return End::Closing,
                Some((id, place, made)) = preparing.next(), if !preparing.is_empty() => match made {
                    Ok(Some(message)) => under_way.push(self.publish(id, place, message)),
                    Ok(None) => outlet.dropped(&id),
                    Err(refusal) => {
                        if outlet.not_sent(&id, place, false) {
                            tracing::warn!(%refusal, system = %self.system, delivery = %id, "a message could not be made; it is tried again");
                        }
                    }
                },
                Some(landed) = under_way.next(), if !under_way.is_empty() => match self.landed(landed) {
                    None => {}
                    Some(end) => return end,
                },
                () = outlet.work.notified() => {}
                () = changed(&mut self.link) => self.look_at_link(),
                () = rested => {}
            }
        }
    }

    fn is_up(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.borrow().is_up())
    }

    /// Over a new connection everything is published again: the broker may be another one, or
    /// have lost what it had.
    fn look_at_link(&mut self) {
        let Some(link) = &mut self.link else { return };
        let generation = link.borrow_and_update().generation;
        if std::mem::replace(&mut self.generation, generation) != generation {
            self.outlet.lost_sight();
        }
    }

    fn queue(&self, lane: Lane) -> Queue {
        Queue::new(Arc::clone(&self.system), bus_lane(lane))
    }

    fn step(&self) -> Step {
        // The open deliveries before the flow, never the other way round: a commit that waits
        // for their guard holds up new readers, and one of those must not hold a lock that an
        // older reader wants.
        let registry = self.inner.ledger.registry();
        let open = self.inner.ledger.open_deliveries();
        let window = self.inner.relay.settings.window;
        self.outlet.step(window, |place| {
            let delivery = open.get(place).filter(|delivery| delivery.is_deliverable());
            let pauses = registry.pauses();
            // Whoever is resumed is given the backlog anew.
            let delivery = delivery.filter(|_| {
                pauses
                    .between(self.outlet.system(), place.receiver)
                    .is_none()
            });
            match delivery.map(|delivery| (delivery.id(place), delivery.round)) {
                Some((id, round)) if !self.inner.leases.is_held(&id) => {
                    Standing::Deliverable(id, round)
                }
                _ => Standing::Not,
            }
        })
    }

    /// Makes the queues of an `amqp` system; when to try again if the broker does not.
    async fn make_queues(&mut self) -> Option<Instant> {
        for lane in bus::Lane::ALL {
            let queue = Queue::new(Arc::clone(&self.system), lane);
            if let Err(error) = self.inner.relay.bus().make(&queue).await {
                tracing::debug!(%error, %queue, "a queue could not be made; it is tried again");
                return Some(Instant::now() + AGAIN);
            }
        }
        self.made = Some(self.generation);
        None
    }

    /// Empties a queue that may hold what was published before, and is published again.
    async fn purge(&self, lane: Lane) {
        match self.inner.relay.bus().purge(&self.queue(lane)).await {
            Ok(_) | Err(QueueError::Missing | QueueError::Closed) => self.outlet.purged(lane),
            Err(error) => {
                if self.outlet.rest(lane) {
                    tracing::debug!(%error, system = %self.system, lane = bus_lane(lane).as_str(), "a queue could not be emptied; it is tried again");
                }
            }
        }
    }

    /// A wake-up for the streams of this axis: ids, nothing else.
    fn wake(&self, id: DeliveryId, place: Place) -> BoxFuture<'static, Landed> {
        let message = Message {
            id: *id.as_bytes(),
            agency: place.receiver.0,
            ..Message::default()
        };
        self.publish(id, place, message)
    }

    fn publish(
        &self,
        id: DeliveryId,
        place: Place,
        message: Message,
    ) -> BoxFuture<'static, Landed> {
        let queue = self.queue(place.lane());
        let inner = Arc::clone(&self.inner);
        let since = self.link.is_some().then(Instant::now);
        Box::pin(async move {
            let published = inner.relay.bus().publish(&queue, message).await;
            if let Some(since) = since {
                count(&published, since);
            }
            (id, place, published)
        })
    }

    /// A publish has ended.
    fn landed(&self, (id, place, published): Landed) -> Option<End> {
        match published {
            Ok(()) => self.outlet.confirmed(&id),
            Err(PublishError::Closed) => return Some(End::Closing),
            Err(error) => {
                let perhaps = matches!(error, PublishError::Unavailable { .. });
                let is_news = self.outlet.not_sent(&id, place, perhaps);
                match error {
                    // The link tells it, once for all systems.
                    PublishError::Unavailable { .. } => {
                        tracing::debug!(%error, system = %self.system, "a wake-up could not be published; it is tried again");
                    }
                    error if is_news => {
                        tracing::warn!(%error, system = %self.system, lane = bus_lane(place.lane()).as_str(), "wake-ups could not be published; they are tried again");
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

/// Counts what came of a publish to a broker.
fn count(published: &Result<(), PublishError>, since: Instant) {
    let outcome = match published {
        Ok(()) => {
            metrics::histogram!("axis_bus_confirm_seconds").record(since.elapsed());
            "confirmed"
        }
        Err(PublishError::Unavailable { .. }) => "unavailable",
        Err(PublishError::Closed) => return,
        Err(_) => "refused",
    };
    metrics::counter!("axis_bus_publishes_total", "outcome" => outcome).increment(1);
}

/// Resolves when the link says something new; never with queues in memory.
async fn changed(link: &mut Option<watch::Receiver<bus::amqp::Link>>) {
    if let Some(link) = link
        && link.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// What stands open for the agencies of a system. The guard is let go between agencies, so that
/// commits do not wait for the whole of a long list.
fn backlog(system: &SystemId, ledger: &Ledger) -> Vec<Place> {
    let registry = ledger.registry();
    let mut places = Vec::new();
    for agency in registry.served_by(system) {
        if !registry.may_receive(agency) {
            continue;
        }
        let open = ledger.open_deliveries();
        places.extend(
            open.of(agency)
                .filter(|(_, delivery)| delivery.is_deliverable())
                .map(|(place, _)| *place),
        );
    }
    places
}
