//! Dead deliveries: given up after too many leases ended unsettled. What is dead waits for an
//! operator: retried, or dropped with a reason that the sender sees.

use std::sync::Arc;

use ledger::event::{Actor, DeliveryState, PackageKind};
use ledger::id::{DeliveryId, PackageId, SystemId};
use ledger::open::Place;
use ledger::time::Ms;
use ledger::{Change, ChangeDelivery, Command, Committed, Fact};

use crate::agencies::not_registered;
use crate::lease::Worn;
use crate::pause::needs_reason;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator, party};
use crate::types::{Lane, Page, Party};

/// A dead delivery in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadDelivery {
    /// Its id.
    pub delivery: DeliveryId,
    /// Its package.
    pub package: PackageId,
    /// Document or status.
    pub kind: PackageKind,
    /// Its receiver.
    pub receiver: Party,
    /// The systems that serve the receiver.
    pub systems: Vec<SystemId>,
    /// Its lane.
    pub lane: Lane,
    /// Its round.
    pub round: u32,
    /// When its package was accepted.
    pub accepted_at: Ms,
    /// Since when it is dead.
    pub since: Ms,
    /// Why.
    pub reason: String,
}

/// What becomes of a dead delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revival {
    /// It is offered again, and its leases count from nothing.
    Retry,
    /// It is given up for good.
    Drop,
}

/// The answer to [`Exchange::revive`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revived {
    /// Those that changed.
    pub done: Vec<DeliveryId>,
    /// Those left as they are, with the refusal's name.
    pub skipped: Vec<(DeliveryId, &'static str)>,
}

impl Exchange {
    /// Dead deliveries, by receiver; of one agency if it is named by any of its codes.
    ///
    /// # Errors
    /// NOT_FOUND for an unknown agency; BAD_ARGUMENT for a token that is not this list's.
    pub async fn dead(
        &self,
        agency: Option<&str>,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<DeadDelivery>, Refusal> {
        let registry = self.inner.ledger.registry();
        let only = match agency {
            None => None,
            Some(code) => Some(
                registry
                    .resolve(code)
                    .ok_or_else(|| not_registered(code, "agency"))?,
            ),
        };
        let after = match page_token {
            "" => only.map(Place::before),
            token => Some(Place::from_token(token).ok_or_else(|| {
                Refusal::argument(
                    "page_token",
                    "Mã trang không hợp lệ.",
                    "The page token is not valid.",
                )
            })?),
        };
        let size = if page_size == 0 {
            100
        } else {
            page_size.min(1_000)
        } as usize;
        let mut found: Vec<_> = {
            let open = self.inner.ledger.open_deliveries();
            let places = open.tallies().dead(after);
            places
                .take_while(|place| only.is_none_or(|only| only == place.receiver))
                .take(size + 1)
                .filter_map(|place| Some((*place, *open.get(place)?)))
                .collect()
        };
        let more = found.len() > size;
        found.truncate(size);
        let next = match found.last() {
            Some((last, _)) if more => last.token(),
            _ => String::new(),
        };
        let items = self
            .inner
            .ask(move |query| {
                let mut items = Vec::with_capacity(found.len());
                for (place, open) in found {
                    let delivery = open.id(&place);
                    let Some(row) = query.delivery(delivery) else {
                        continue;
                    };
                    items.push(DeadDelivery {
                        delivery,
                        package: open.package,
                        kind: open.kind(),
                        receiver: party(&registry, place.receiver, ""),
                        systems: registry.systems_of(place.receiver).to_vec(),
                        lane: place.lane(),
                        round: row.round,
                        accepted_at: open.accepted_at,
                        since: Ms(row.changed_at),
                        reason: last_reason(query, open.package, delivery, DeliveryState::Dead)?.0,
                    });
                }
                Ok(items)
            })
            .await?;
        Ok(Page { items, next })
    }

    /// Retries dead deliveries, or drops them for good.
    ///
    /// # Errors
    /// BAD_ARGUMENT without a reason; what the ledger brings. One that is not dead is named
    /// among those skipped.
    pub async fn revive(
        &self,
        operator: &Operator,
        deliveries: &[DeliveryId],
        what: Revival,
        why: &str,
    ) -> Result<Revived, Refusal> {
        needs_reason(why)?;
        let mut revived = Revived::default();
        for delivery in deliveries {
            let command = Command::Change(Box::new(ChangeDelivery {
                delivery: *delivery,
                change: match what {
                    Revival::Retry => Change::Retried,
                    Revival::Drop => Change::Dropped,
                },
                round: None,
                at: self.inner.now(),
                actor: operator.actor(why),
                via: "operator",
                reason: why.to_owned(),
                own_01: None,
            }));
            match self.inner.commit(command).await {
                Ok(Committed::Changed { changed: true, .. }) => {
                    if let Some(place) = self.inner.leases.settled(delivery) {
                        self.inner.offer_again(&[place]);
                    }
                    revived.done.push(*delivery);
                }
                Ok(_) => revived.skipped.push((*delivery, Name::WrongState.as_str())),
                Err(refusal)
                    if matches!(
                        refusal.name,
                        Name::WrongState | Name::Recalled | Name::NotFound
                    ) =>
                {
                    revived.skipped.push((*delivery, refusal.name.as_str()));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(revived)
    }
}

/// Why a delivery came into the state it is in, and by whom, as its last event of that kind
/// says.
pub(crate) fn last_reason(
    query: &ledger::Query,
    package: PackageId,
    delivery: DeliveryId,
    state: DeliveryState,
) -> Result<(String, Option<Actor>), ledger::QueryError> {
    let records = query.events(package)?;
    let facts = records.into_iter().rev().flat_map(|record| record.facts);
    for fact in facts {
        if let Fact::Delivery(_, changed) = fact
            && changed.delivery == delivery.as_bytes()[..]
            && changed.to == state as i32
        {
            return Ok((changed.reason, changed.actor));
        }
    }
    Ok((String::new(), None))
}

/// Records as dead what wore its leases out.
pub(crate) async fn bury(inner: Arc<Inner>) {
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => return,
            () = inner.leases.wearing() => {}
        }
        for Worn {
            delivery,
            unsettled,
        } in inner.leases.take_worn()
        {
            let command = Command::Change(Box::new(ChangeDelivery {
                delivery,
                change: Change::Dead,
                round: None,
                at: inner.now(),
                actor: Actor {
                    axis: true,
                    ..Actor::default()
                },
                via: "axis",
                reason: format!(
                    "{unsettled} lượt giữ không được xác nhận ({unsettled} leases ended unsettled)"
                ),
                own_01: None,
            }));
            match inner.commit(command).await {
                Ok(_) => {
                    tracing::warn!(%delivery, unsettled, "a delivery is dead: its leases ended unsettled; see `axis dead list`");
                    inner.leases.settled(&delivery);
                }
                Err(refusal)
                    if matches!(
                        refusal.name,
                        Name::WrongState | Name::Recalled | Name::NotFound
                    ) =>
                {
                    // Settled or recalled meanwhile.
                    inner.leases.settled(&delivery);
                }
                Err(refusal) => {
                    tracing::error!(%delivery, %refusal, "a worn delivery could not be recorded as dead; it is offered again");
                    if let Some(place) = inner.leases.revive(&delivery) {
                        inner.offer_again(&[place]);
                    }
                }
            }
        }
    }
}
