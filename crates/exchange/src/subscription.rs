//! A stream of deliveries to a system: leased when they reach it, prepared several at a time,
//! handed out in order, within the credit that the client gives.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use ledger::id::DeliveryId;
use ledger::open::Place;
use tokio::sync::{Notify, watch};

use crate::delivery::{Offer, is_its_own};
use crate::lease::Holder;
use crate::limit::Part;
use crate::refusal::{Name, Refusal};
use crate::relay::Outlet;
use crate::service::{Exchange, Inner, Peer};

/// Deliveries prepared at the same time for one stream.
const PREPARED: usize = 64;

/// What a stream brings next.
#[derive(Debug)]
pub enum Next {
    /// A delivery.
    Offer(Box<Offer>),
    /// What waited when the stream was opened has been offered. Comes once.
    CaughtUp,
    /// The stream ends: credentials were revoked, or the axis is stopping.
    Cut(Refusal),
}

type Prepared = (DeliveryId, Place, Result<Option<Offer>, Refusal>);
type Preparing = Pin<Box<dyn Future<Output = Prepared> + Send>>;

/// The deliveries of a system as they come. Dropping it gives its leases back.
pub struct Subscription {
    inner: Arc<Inner>,
    peer: Peer,
    stream: u64,
    outlet: Arc<Outlet>,
    credit: Arc<Credit>,
    preparing: FuturesOrdered<Preparing>,
    caught_up: bool,
    /// The last position when the stream was opened: what was accepted up to it waited then.
    opened_at: u64,
    /// Deliveries of those among `preparing`.
    of_backlog: usize,
    generation: watch::Receiver<u64>,
    _permit: Part,
}

#[derive(Debug)]
struct Credit {
    left: AtomicU32,
    added: Notify,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("system", self.peer.system())
            .field("credit", &self.credit)
            .finish_non_exhaustive()
    }
}

/// Adds credit to a subscription from elsewhere.
#[derive(Debug, Clone)]
pub struct CreditHandle(Arc<Credit>);

impl CreditHandle {
    /// The client is ready for so many more deliveries.
    pub fn add(&self, deliveries: u32) {
        let add = |left: u32| Some(left.saturating_add(deliveries));
        // The closure always gives a value.
        let _ = self
            .0
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        self.0.added.notify_one();
    }
}

impl Exchange {
    /// Opens a stream of deliveries for all agencies of the system.
    ///
    /// # Errors
    /// LIMIT_REACHED with too many streams; NOT_SERVING while the axis stops.
    pub async fn subscribe(&self, peer: &Peer, credit: u32) -> Result<Subscription, Refusal> {
        let inner = Arc::clone(&self.inner);
        if inner.closing.is_cancelled() {
            return Err(Refusal::new(Name::NotServing).retry_after(5_000));
        }
        inner.takes_directly(peer)?;
        let limits = inner.limits_of(peer.system());
        let permit = inner.usages.stream(peer.system(), &limits)?;
        let generation = inner.relay.generation();
        let opened_at = inner.ledger.last().map_or(0, |last| last.position);
        let (stream, outlet) = inner.relay.attach(&inner, peer.system());
        Ok(Subscription {
            peer: peer.clone(),
            stream,
            outlet,
            credit: Arc::new(Credit {
                left: AtomicU32::new(credit),
                added: Notify::new(),
            }),
            preparing: FuturesOrdered::new(),
            caught_up: false,
            opened_at,
            of_backlog: 0,
            generation,
            _permit: permit,
            inner,
        })
    }
}

impl Subscription {
    /// The client is ready for so many more deliveries.
    pub fn add_credit(&self, deliveries: u32) {
        self.credit().add(deliveries);
    }

    /// For adding credit while [`Subscription::next`] waits.
    #[must_use]
    pub fn credit(&self) -> CreditHandle {
        CreditHandle(Arc::clone(&self.credit))
    }

    /// What comes next; waits for it. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Next {
        loop {
            if self.inner.closing.is_cancelled() {
                return Next::Cut(Refusal::new(Name::NotServing).retry_after(5_000));
            }
            let _ = *self.generation.borrow_and_update();
            if let Err(refusal) = self.inner.still_valid(&self.peer) {
                return Next::Cut(refusal);
            }
            let outlet = Arc::clone(&self.outlet);
            let mut drained = std::pin::pin!(outlet.drained());
            drained.as_mut().enable();
            if !self.caught_up && self.of_backlog == 0 && self.outlet.is_drained(self.opened_at) {
                self.caught_up = true;
                return Next::CaughtUp;
            }
            let has_credit = self.credit.left.load(Ordering::SeqCst) > 0;
            let may_take = has_credit && self.preparing.len() < PREPARED;
            let closing = self.inner.closing.clone();
            let credit = Arc::clone(&self.credit);
            tokio::select! {
                () = closing.cancelled() => {}
                _ = self.generation.changed() => {}
                Some((delivery, place, prepared)) = self.preparing.next(), if !self.preparing.is_empty() => {
                    self.of_backlog -= usize::from(place.position <= self.opened_at);
                    match prepared {
                        Ok(Some(offer)) => {
                            self.inner.leases.offered(&delivery);
                            return Next::Offer(Box::new(offer));
                        }
                        // Recalled or settled on its way: the credit is for another one. It is
                        // looked at once more, because a new round may have come meanwhile.
                        Ok(None) => {
                            let aside = self.inner.aside();
                            self.inner.leases.leave(&delivery, self.stream, aside);
                            self.add_credit(1);
                        }
                        Err(refusal) => return self.stumble(delivery, refusal),
                    }
                }
                taken = outlet.next(self.inner.relay.bus()), if may_take => match taken {
                    Some(taken) => {
                        if let Some(id) = DeliveryId::from_slice(&taken.message.id) {
                            self.lease(id);
                        }
                        // As soon as the lease stands: the broker has nothing to wait for.
                        taken.ack();
                    }
                    None => return Next::Cut(Refusal::new(Name::NotServing).retry_after(5_000)),
                },
                () = credit.added.notified(), if !has_credit => {}
                () = &mut drained, if !self.caught_up => {}
            }
        }
    }

    /// Leases a delivery that reached this stream and begins to prepare it. One that is leased
    /// or no longer deliverable is let go.
    fn lease(&mut self, id: DeliveryId) {
        let Some(place) = self.outlet.arrived(&id) else {
            return;
        };
        let open = self.inner.ledger.open_deliveries();
        let Some(delivery) = open
            .get(&place)
            .filter(|delivery| delivery.is_deliverable())
            .copied()
        else {
            return;
        };
        drop(open);
        if !self.inner.may_receive(self.peer.system(), place.receiver) {
            return;
        }
        let holder = Holder::Stream(self.stream);
        let Some(before) =
            self.inner
                .leases
                .take(id, place, self.peer.system(), holder, self.inner.now())
        else {
            return;
        };
        self.credit.left.fetch_sub(1, Ordering::SeqCst);
        self.of_backlog += usize::from(place.position <= self.opened_at);
        let (inner, peer) = (Arc::clone(&self.inner), self.peer.clone());
        self.preparing.push_back(Box::pin(async move {
            let prepared = inner
                .prepare(&peer, place, delivery, before, None, "subscribe")
                .await;
            (id, place, prepared)
        }));
    }

    /// A delivery could not be prepared: the stream ends with the reason. One that is itself at
    /// fault is put aside for the time of a lease, so that a new stream gets the others meanwhile.
    fn stumble(&self, delivery: DeliveryId, refusal: Refusal) -> Next {
        tracing::error!(%delivery, %refusal, "a delivery could not be served");
        if is_its_own(refusal.name) {
            self.inner
                .leases
                .put_aside(&delivery, self.inner.lease_end());
        }
        Next::Cut(refusal)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.inner.relay.detach(&self.outlet);
        let ended = self.inner.leases.end_stream(self.stream);
        if !self.inner.closing.is_cancelled() {
            self.inner.offer_again(&ended);
        }
    }
}
