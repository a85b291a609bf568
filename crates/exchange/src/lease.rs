//! Leases: who has a delivery in hand, and how often one ended unsettled. In memory only: a
//! restart ends them all and counts from nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ledger::id::{AgencyId, DeliveryId, SystemId};
use ledger::open::Place;
use ledger::tally::LANES;
use ledger::time::Ms;
use tokio::sync::Notify;

use crate::relay::lane_number;

/// When a lease ends: by a clock that never jumps, and as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) at: Instant,
    pub(crate) told: Ms,
}

/// Who holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A stream, until it ends.
    Stream(u64),
    /// A fetch, until this time.
    Until(End),
    /// Nobody any more: its leases are used up, and that it is dead is being recorded.
    Dying,
}

/// What is told of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InHand {
    pub(crate) system: SystemId,
    pub(crate) since: Ms,
    /// When it ends by itself; `None` for a stream's.
    pub(crate) until: Option<Ms>,
}

#[derive(Debug, Clone)]
struct Lease {
    place: Place,
    system: SystemId,
    holder: Holder,
    since: Ms,
    /// The delivery has left for the receiver under this lease.
    offered: bool,
}

/// What was tried with a delivery in its present round.
#[derive(Debug, Clone, Copy)]
struct Tried {
    place: Place,
    /// Leases taken: the next offer is a redelivery.
    leases: u32,
    /// Of those whose content left, how many ended unsettled.
    unsettled: u32,
}

/// A delivery whose leases are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worn {
    pub(crate) delivery: DeliveryId,
    pub(crate) unsettled: u32,
}

#[derive(Debug, Default)]
struct Held {
    leases: HashMap<DeliveryId, Lease>,
    tried: HashMap<DeliveryId, Tried>,
    in_hand: HashMap<AgencyId, [u64; LANES]>,
    worn: Vec<Worn>,
}

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<Held>,
    /// Unsettled leases after which a delivery is dead; 0 = never.
    limit: u32,
    wearing: Notify,
    /// Whose turn it is among the lanes of what a system fetches.
    turns: Mutex<HashMap<SystemId, bus::Turns>>,
}

impl Held {
    fn remove(&mut self, delivery: &DeliveryId) -> Option<Lease> {
        let lease = self.leases.remove(delivery)?;
        if let Some(lanes) = self.in_hand.get_mut(&lease.place.receiver) {
            let count = &mut lanes[lane_number(lease.place.lane())];
            *count = count.saturating_sub(1);
            if lanes.iter().all(|count| *count == 0) {
                self.in_hand.remove(&lease.place.receiver);
            }
        }
        Some(lease)
    }

    /// Ends a lease unsettled; the delivery's place if it is to be offered again.
    fn end(&mut self, delivery: &DeliveryId, limit: u32) -> Option<Place> {
        let lease = self.leases.get_mut(delivery)?;
        if lease.holder == Holder::Dying {
            return None;
        }
        if lease.offered
            && let Some(tried) = self.tried.get_mut(delivery)
        {
            tried.unsettled = tried.unsettled.saturating_add(1);
            if limit > 0 && tried.unsettled >= limit {
                lease.holder = Holder::Dying;
                self.worn.push(Worn {
                    delivery: *delivery,
                    unsettled: tried.unsettled,
                });
                return None;
            }
        }
        self.remove(delivery).map(|lease| lease.place)
    }
}

impl Leases {
    /// Leases after `limit` of which, ended unsettled, a delivery is dead; 0 = never.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// What `first_of` finds in the lane whose turn it is for the system, and counts it.
    pub(crate) fn turn<T>(
        &self,
        system: &SystemId,
        first_of: impl Fn(bus::Lane) -> Option<T>,
    ) -> Option<T> {
        let mut all = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = all.entry(system.clone()).or_default();
        for lane in turns.order() {
            if let Some(found) = first_of(lane) {
                turns.served(lane);
                return Some(found);
            }
        }
        turns.rest();
        None
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lease if nobody has it; says how often the delivery was offered before.
    pub(crate) fn take(
        &self,
        delivery: DeliveryId,
        place: Place,
        system: &SystemId,
        holder: Holder,
        now: Ms,
    ) -> Option<u32> {
        let mut held = self.held();
        if held.leases.contains_key(&delivery) {
            return None;
        }
        held.leases.insert(
            delivery,
            Lease {
                place,
                system: system.clone(),
                holder,
                since: now,
                offered: false,
            },
        );
        held.in_hand.entry(place.receiver).or_default()[lane_number(place.lane())] += 1;
        let tried = held.tried.entry(delivery).or_insert(Tried {
            place,
            leases: 0,
            unsettled: 0,
        });
        tried.leases += 1;
        Some(tried.leases - 1)
    }

    /// The delivery leaves for the receiver: from now on the lease counts.
    pub(crate) fn offered(&self, delivery: &DeliveryId) {
        if let Some(lease) = self.held().leases.get_mut(delivery) {
            lease.offered = true;
        }
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.held().leases.len()
    }

    /// Whether somebody has it.
    pub(crate) fn is_held(&self, delivery: &DeliveryId) -> bool {
        self.held().leases.contains_key(delivery)
    }

    /// Who has it.
    pub(crate) fn in_hand(&self, delivery: &DeliveryId) -> Option<InHand> {
        let held = self.held();
        let lease = held.leases.get(delivery)?;
        Some(InHand {
            system: lease.system.clone(),
            since: lease.since,
            until: match lease.holder {
                Holder::Until(end) => Some(end.told),
                Holder::Stream(_) | Holder::Dying => None,
            },
        })
    }

    /// How many deliveries of a receiver are in hand, by lane.
    pub(crate) fn counts(&self) -> HashMap<AgencyId, [u64; LANES]> {
        self.held().in_hand.clone()
    }

    /// Makes a fetch's lease last until `until`; a stream's lasts as long as the stream.
    /// `None` if the system has no lease on it.
    pub(crate) fn extend(
        &self,
        delivery: &DeliveryId,
        system: &SystemId,
        until: End,
    ) -> Option<()> {
        let mut held = self.held();
        let lease = held
            .leases
            .get_mut(delivery)
            .filter(|lease| lease.system == *system && lease.holder != Holder::Dying)?;
        if let Holder::Until(end) = &mut lease.holder {
            *end = (*end).max(until);
        }
        Some(())
    }

    /// Keeps a delivery from being offered until then, whoever had it.
    pub(crate) fn put_aside(&self, delivery: &DeliveryId, until: End) {
        if let Some(lease) = self.held().leases.get_mut(delivery)
            && lease.holder != Holder::Dying
        {
            lease.holder = Holder::Until(until);
        }
    }

    /// Keeps a delivery that this stream holds from being offered until then.
    pub(crate) fn leave(&self, delivery: &DeliveryId, stream: u64, until: End) {
        if let Some(lease) = self.held().leases.get_mut(delivery)
            && lease.holder == Holder::Stream(stream)
        {
            lease.holder = Holder::Until(until);
        }
    }

    /// Ends the round: the lease, if there was one, and what was counted.
    pub(crate) fn settled(&self, delivery: &DeliveryId) -> Option<Place> {
        let mut held = self.held();
        held.tried.remove(delivery);
        held.remove(delivery).map(|lease| lease.place)
    }

    /// Gives a lease back unsettled.
    pub(crate) fn release(&self, delivery: &DeliveryId, system: &SystemId) -> Option<Place> {
        let mut held = self.held();
        if held.leases.get(delivery)?.system != *system {
            return None;
        }
        let place = held.end(delivery, self.limit);
        self.wore(&held);
        place
    }

    /// An `amqp` system took a delivery from its queue and did not settle it in time: that is a
    /// lease that ended unsettled. Whether it is to be offered again.
    pub(crate) fn lapsed(
        &self,
        delivery: DeliveryId,
        place: Place,
        system: &SystemId,
        now: Ms,
    ) -> bool {
        let holder = Holder::Stream(u64::MAX);
        if self.take(delivery, place, system, holder, now).is_none() {
            return false;
        }
        self.offered(&delivery);
        self.release(&delivery, system).is_some()
    }

    /// Ends the leases of a stream.
    pub(crate) fn end_stream(&self, stream: u64) -> Vec<Place> {
        self.end(|lease| lease.holder == Holder::Stream(stream))
    }

    /// Ends the leases whose time is over.
    pub(crate) fn end_expired(&self, now: Instant) -> Vec<Place> {
        self.end(|lease| matches!(lease.holder, Holder::Until(end) if end.at <= now))
    }

    fn end(&self, over: impl Fn(&Lease) -> bool) -> Vec<Place> {
        let mut held = self.held();
        let over: Vec<DeliveryId> = held
            .leases
            .iter()
            .filter(|(_, lease)| over(lease))
            .map(|(delivery, _)| *delivery)
            .collect();
        let mut ended: Vec<Place> = over
            .iter()
            .filter_map(|delivery| held.end(delivery, self.limit))
            .collect();
        self.wore(&held);
        ended.sort_unstable();
        ended
    }

    fn wore(&self, held: &Held) {
        if !held.worn.is_empty() {
            self.wearing.notify_one();
        }
    }

    /// Resolves when leases of some delivery are used up.
    pub(crate) async fn wearing(&self) {
        self.wearing.notified().await;
    }

    /// Those whose leases are used up, once each. Nobody is offered them until
    /// [`Leases::settled`] or [`Leases::revive`].
    pub(crate) fn take_worn(&self) -> Vec<Worn> {
        std::mem::take(&mut self.held().worn)
    }

    /// That a delivery is dead could not be recorded: it is offered again, and dies at the end
    /// of the next lease.
    pub(crate) fn revive(&self, delivery: &DeliveryId) -> Option<Place> {
        self.held().remove(delivery).map(|lease| lease.place)
    }

    /// Forgets what was tried with deliveries that nobody has in hand and that are open no
    /// more: recalled, or settled over another way.
    pub(crate) fn forget(&self, is_open: impl Fn(&DeliveryId, &Place) -> bool) {
        // The ledger is asked without the lock: commits wait for its readers.
        let idle: Vec<(DeliveryId, Place)> = {
            let held = self.held();
            let idle = held.tried.iter();
            idle.filter(|(delivery, _)| !held.leases.contains_key(delivery))
                .map(|(delivery, tried)| (*delivery, tried.place))
                .collect()
        };
        let gone = idle
            .into_iter()
            .filter(|(delivery, place)| !is_open(delivery, place));
        for (delivery, _) in gone {
            let mut held = self.held();
            if !held.leases.contains_key(&delivery) {
                held.tried.remove(&delivery);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use ledger::id::PackageId;

    fn delivery(number: u32) -> DeliveryId {
        DeliveryId::of(PackageId::from_parts(1, 0, number), AgencyId(1))
    }

    fn system(id: &str) -> SystemId {
        id.parse().unwrap()
    }

    #[test]
    fn a_delivery_is_leased_once_and_again_when_the_lease_ends() {
        let leases = Leases::default();
        let (one, other) = (system("a"), system("b"));
        let (delivery, place) = (delivery(0), Place::default());
        let start = Instant::now();
        let end = |seconds| End {
            at: start + Duration::from_secs(seconds),
            told: Ms(0),
        };
        let at = |seconds| start + Duration::from_secs(seconds);
        let take = |holder| leases.take(delivery, place, &one, holder, Ms(0));
        assert_eq!(take(Holder::Until(end(10))), Some(0));
        assert_eq!(take(Holder::Stream(1)), None);
        assert!(leases.release(&delivery, &other).is_none());
        assert!(leases.extend(&delivery, &one, end(20)).is_some());
        assert!(leases.end_expired(at(10)).is_empty());
        assert_eq!(leases.end_expired(at(20)), [place]);
        assert_eq!(take(Holder::Stream(1)), Some(1));
        assert_eq!(leases.end_stream(2), []);
        assert_eq!(leases.end_stream(1), [place]);
        assert_eq!(take(Holder::Stream(1)), Some(2));
        leases.settled(&delivery);
        assert_eq!(take(Holder::Stream(1)), Some(0));
    }

    #[test]
    fn leases_wear_out_only_when_something_left_under_them() {
        let leases = Leases::new(2);
        let (one, delivery, place) = (system("a"), delivery(0), Place::default());
        let take = |stream| leases.take(delivery, place, &one, Holder::Stream(stream), Ms(0));
        // Three streams that broke before anything left count nothing.
        for stream in 0..3 {
            assert!(take(stream).is_some());
            assert_eq!(leases.end_stream(stream), [place]);
        }
        assert!(take(3).is_some());
        leases.offered(&delivery);
        assert_eq!(leases.release(&delivery, &one), Some(place));
        assert!(take(4).is_some());
        leases.offered(&delivery);
        assert_eq!(leases.end_stream(4), [], "it is not offered again");
        let worn = Worn {
            delivery,
            unsettled: 2,
        };
        assert_eq!(leases.take_worn(), [worn]);
        assert_eq!(leases.take_worn(), []);
        // Nobody gets it, and nobody gives it back.
        assert_eq!(take(5), None);
        assert!(leases.release(&delivery, &one).is_none());
        // It could not be recorded: offered once more, and then worn again.
        assert_eq!(leases.revive(&delivery), Some(place));
        assert!(take(6).is_some());
        leases.offered(&delivery);
        assert_eq!(leases.end_stream(6), []);
        assert_eq!(leases.take_worn().len(), 1);
        // Retried: everything counts from nothing.
        leases.settled(&delivery);
        assert_eq!(take(7), Some(0));
        leases.offered(&delivery);
        assert_eq!(leases.end_stream(7), [place]);
    }

    #[test]
    fn what_is_in_hand_is_counted_and_what_is_over_is_forgotten() {
        let leases = Leases::default();
        let one = system("a");
        for number in 0..3 {
            let holder = Holder::Stream(u64::from(number));
            leases.take(delivery(number), Place::default(), &one, holder, Ms(7));
        }
        let counted = |leases: &Leases| leases.counts().values().flatten().sum::<u64>();
        assert_eq!(counted(&leases), 3);
        leases.end_stream(0);
        leases.settled(&delivery(1));
        assert_eq!(counted(&leases), 1);
        let in_hand = leases.in_hand(&delivery(2)).unwrap();
        assert_eq!((in_hand.since, in_hand.until), (Ms(7), None));
        assert_eq!(leases.held().tried.len(), 2);
        leases.forget(|_, _| true);
        assert_eq!(leases.held().tried.len(), 2);
        leases.forget(|_, _| false);
        assert_eq!(leases.held().tried.len(), 1, "the one in hand stays");
        leases.end_stream(2);
        assert!(leases.counts().is_empty());
    }
}
