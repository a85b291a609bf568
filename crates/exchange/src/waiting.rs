//! What waits for a system, as a list that leases nothing and changes nothing.

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use ledger::event::PackageKind;
use ledger::id::{AgencyId, DeliveryId, PackageId};
use ledger::open::{OpenDelivery, Place};
use ledger::time::Ms;
use ledger::{Query, StoredPackage};

use crate::refusal::Refusal;
use crate::service::{Exchange, Inner, Peer, party};
use crate::types::{DeliveryState, Party};

/// Rows that are looked up together.
const PAGE: usize = 256;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingAsked {
    /// Documents or statuses.
    pub kind: PackageKind,
    /// Accepted at this moment or later.
    pub since: Option<Ms>,
    /// Accepted at this moment or before.
    pub until: Option<Ms>,
}

/// A delivery that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its id.
    pub delivery: DeliveryId,
    /// Its package.
    pub package: PackageId,
    /// Document or status.
    pub kind: PackageKind,
    /// Who sent it, the code as written.
    pub sender: Party,
    /// For whom it is, the code as written.
    pub receiver: Party,
    /// pending or fetched.
    pub state: DeliveryState,
    /// When its package was accepted.
    pub accepted_at: Ms,
}

/// The deliveries that waited when the list was asked for, in order of acceptance. Those that
/// end meanwhile are left out.
#[derive(Debug)]
pub struct WaitingList {
    inner: Arc<Inner>,
    places: VecDeque<(Place, OpenDelivery)>,
}

impl Exchange {
    /// What waits for the system's agencies and may be fetched: the `limit` oldest.
    ///
    /// # Errors
    /// PERMISSION_DENIED for a system that takes from a broker; UNAUTHENTICATED.
    pub fn waiting(
        &self,
        peer: &Peer,
        asked: WaitingAsked,
        limit: usize,
    ) -> Result<WaitingList, Refusal> {
        let mut oldest: BinaryHeap<ByAge> = BinaryHeap::new();
        self.each_waiting(peer, asked, |place, open| {
            oldest.push(ByAge(*place, *open));
            if oldest.len() > limit {
                oldest.pop();
            }
        })?;
        let places = oldest.into_sorted_vec();
        Ok(WaitingList {
            inner: Arc::clone(&self.inner),
            places: places.into_iter().map(|ByAge(p, open)| (p, open)).collect(),
        })
    }

    /// How many deliveries wait.
    ///
    /// # Errors
    /// As [`Exchange::waiting`].
    pub fn count_waiting(&self, peer: &Peer, asked: WaitingAsked) -> Result<u64, Refusal> {
        let mut count = 0;
        self.each_waiting(peer, asked, |_, _| count += 1)?;
        Ok(count)
    }

    fn each_waiting(
        &self,
        peer: &Peer,
        asked: WaitingAsked,
        mut each: impl FnMut(&Place, &OpenDelivery),
    ) -> Result<(), Refusal> {
        let inner = &self.inner;
        inner.still_valid(peer)?;
        inner.takes_directly(peer)?;
        let registry = inner.ledger.registry();
        let agencies: Vec<AgencyId> = registry
            .served_by(peer.system())
            .filter(|agency| {
                let pauses = registry.pauses();
                registry.may_receive(*agency) && pauses.between(peer.system(), *agency).is_none()
            })
            .collect();
        let open = inner.ledger.open_deliveries();
        for agency in agencies {
            for (place, delivery) in open.of(agency) {
                let at = delivery.accepted_at;
                if delivery.is_deliverable()
                    && delivery.kind() == asked.kind
                    && asked.since.is_none_or(|since| since <= at)
                    && asked.until.is_none_or(|until| at <= until)
                {
                    each(place, delivery);
                }
            }
        }
        Ok(())
    }
}

impl WaitingList {
    /// The next rows; empty when the list is over.
    ///
    /// # Errors
    /// What the disk brings.
    pub async fn next_page(&mut self) -> Result<Vec<Waiting>, Refusal> {
        while !self.places.is_empty() {
            let few = self.places.len().min(PAGE);
            let page: Vec<_> = self.places.drain(..few).collect();
            let registry = self.inner.ledger.registry();
            let rows = self.inner.ask(move |query| {
                let mut packages: HashMap<PackageId, Arc<StoredPackage>> = HashMap::new();
                let mut rows = Vec::with_capacity(page.len());
                for (place, open) in page {
                    let package = match packages.get(&open.package) {
                        Some(known) => Arc::clone(known),
                        None => match stored(query, open.package)? {
                            Some(package) => {
                                packages.insert(open.package, Arc::clone(&package));
                                package
                            }
                            None => continue,
                        },
                    };
                    let delivery = open.id(&place);
                    let row = query
                        .delivery_at_hand(delivery)
                        .or_else(|| query.delivery(delivery));
                    let state = row.map(|row| row.state()).unwrap_or_default();
                    if !matches!(state, DeliveryState::Pending | DeliveryState::Fetched) {
                        continue;
                    }
                    let facts = &package.facts;
                    let mut receivers = facts.receivers.iter();
                    let written = receivers
                        .find(|receiver| receiver.agency == place.receiver.0)
                        .map_or("", |receiver| receiver.code.as_str());
                    rows.push(Waiting {
                        delivery,
                        package: open.package,
                        kind: open.kind(),
                        sender: party(&registry, AgencyId(facts.sender), &facts.sender_code),
                        receiver: party(&registry, place.receiver, written),
                        state,
                        accepted_at: open.accepted_at,
                    });
                }
                Ok(rows)
            });
            let rows = rows.await?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }
}

fn stored(query: &Query, id: PackageId) -> Result<Option<Arc<StoredPackage>>, ledger::QueryError> {
    match query.package_at_hand(id) {
        Some(at_hand) => Ok(Some(at_hand.package)),
        None => Ok(query.package(id)?.map(Arc::new)),
    }
}

/// The youngest on top.
struct ByAge(Place, OpenDelivery);

impl ByAge {
    fn key(&self) -> (u64, Place) {
        (self.0.position, self.0)
    }
}

impl Ord for ByAge {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for ByAge {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByAge {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ByAge {}
