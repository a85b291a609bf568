//! Leases: who has a delivery in hand. In memory only: a restart ends them all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ledger::id::{DeliveryId, SystemId};
use ledger::open::Place;
use ledger::time::Ms;

/// Who holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A stream, until it ends.
    Stream(u64),
    /// A fetch, until this time.
    Until(Ms),
}

#[derive(Debug, Clone)]
struct Lease {
    place: Place,
    system: SystemId,
    holder: Holder,
}

#[derive(Debug, Default)]
struct Held {
    leases: HashMap<DeliveryId, Lease>,
    /// Offers made in the present round and not settled: the next offer is a redelivery.
    offers: HashMap<DeliveryId, u32>,
}

/// All leases.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    held: Mutex<Held>,
}

impl Leases {
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
            },
        );
        let offers = held.offers.entry(delivery).or_default();
        *offers += 1;
        Some(*offers - 1)
    }

    /// How many are held.
    pub(crate) fn len(&self) -> usize {
        self.held().leases.len()
    }

    /// Whether somebody has it.
    pub(crate) fn is_held(&self, delivery: &DeliveryId) -> bool {
        self.held().leases.contains_key(delivery)
    }

    /// Makes a fetch's lease last until `until`; a stream's lasts as long as the stream.
    /// `None` if the system has no lease on it.
    pub(crate) fn extend(&self, delivery: &DeliveryId, system: &SystemId, until: Ms) -> Option<()> {
        let mut held = self.held();
        let lease = held
            .leases
            .get_mut(delivery)
            .filter(|lease| lease.system == *system)?;
        if let Holder::Until(end) = &mut lease.holder {
            *end = (*end).max(until);
        }
        Some(())
    }

    /// Keeps a delivery from being offered until then, whoever had it.
    pub(crate) fn put_aside(&self, delivery: &DeliveryId, until: Ms) {
        if let Some(lease) = self.held().leases.get_mut(delivery) {
            lease.holder = Holder::Until(until);
        }
    }

    /// Keeps a delivery that this stream holds from being offered until then.
    pub(crate) fn leave(&self, delivery: &DeliveryId, stream: u64, until: Ms) {
        if let Some(lease) = self.held().leases.get_mut(delivery)
            && lease.holder == Holder::Stream(stream)
        {
            lease.holder = Holder::Until(until);
        }
    }

    /// Ends the round: the lease, if there was one, and the count of offers.
    pub(crate) fn settled(&self, delivery: &DeliveryId) -> Option<Place> {
        let mut held = self.held();
        held.offers.remove(delivery);
        held.leases.remove(delivery).map(|lease| lease.place)
    }

    /// Gives a lease back unsettled.
    pub(crate) fn release(&self, delivery: &DeliveryId, system: &SystemId) -> Option<Place> {
        let mut held = self.held();
        if held.leases.get(delivery)?.system != *system {
            return None;
        }
        held.leases.remove(delivery).map(|lease| lease.place)
    }

    /// Ends the leases of a stream.
    pub(crate) fn end_stream(&self, stream: u64) -> Vec<Place> {
        self.end(|lease| lease.holder == Holder::Stream(stream))
    }

    /// Ends the leases whose time is over.
    pub(crate) fn end_expired(&self, now: Ms) -> Vec<Place> {
        self.end(|lease| matches!(lease.holder, Holder::Until(end) if end <= now))
    }

    fn end(&self, over: impl Fn(&Lease) -> bool) -> Vec<Place> {
        let mut held = self.held();
        let mut ended: Vec<Place> = held
            .leases
            .extract_if(|_, lease| over(lease))
            .map(|(_, lease)| lease.place)
            .collect();
        ended.sort_unstable();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::id::{AgencyId, PackageId};

    #[test]
    fn a_delivery_is_leased_once_and_again_when_the_lease_ends() {
        let leases = Leases::default();
        let system: SystemId = "a".parse().unwrap();
        let other: SystemId = "b".parse().unwrap();
        let delivery = DeliveryId::of(PackageId::from_parts(1, 0, 0), AgencyId(1));
        let place = Place::default();
        assert_eq!(
            leases.take(delivery, place, &system, Holder::Until(Ms(10))),
            Some(0)
        );
        assert_eq!(
            leases.take(delivery, place, &system, Holder::Stream(1)),
            None
        );
        assert!(leases.release(&delivery, &other).is_none());
        assert!(leases.extend(&delivery, &system, Ms(20)).is_some());
        assert!(leases.end_expired(Ms(10)).is_empty());
        assert_eq!(leases.end_expired(Ms(20)), [place]);
        assert_eq!(
            leases.take(delivery, place, &system, Holder::Stream(1)),
            Some(1)
        );
        assert_eq!(leases.end_stream(2), []);
        assert_eq!(leases.end_stream(1), [place]);
        assert_eq!(
            leases.take(delivery, place, &system, Holder::Stream(1)),
            Some(2)
        );
        leases.settled(&delivery);
        assert_eq!(
            leases.take(delivery, place, &system, Holder::Stream(1)),
            Some(0)
        );
    }
}
