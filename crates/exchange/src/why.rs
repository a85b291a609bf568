//! Why is this stuck? From a code or an id to causes of the closed table.

use ledger::event::{AgencyState, DeliveryState};
use ledger::id::{AgencyId, DeliveryId, PackageId, SystemId};
use ledger::open::{OpenDelivery, Place};
use ledger::pause::Paused;
use ledger::registry::Registry;
use ledger::tally::{LANES, LaneTally};
use ledger::time::Ms;

use crate::cause::{About, Cause, MANY};
use crate::dead::last_reason;
use crate::depth::Trouble;
use crate::history::actor;
use crate::lease::InHand;
use crate::pause;
use crate::queues::{COMES, is_shut_out};
use crate::refusal::{Name, Refusal};
use crate::relay::{bus_lane, lane_number};
use crate::service::{Caller, Exchange, Inner, Operator, party};

/// Causes told of one question.
const TOLD: usize = 50;

/// The answer to "why is this stuck?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What the question named: `agency`, `system`, `delivery` or `packages`.
    pub kind: &'static str,
    /// Its id or main code.
    pub id: String,
    /// Its name, if it has one.
    pub name: String,
    /// The causes; what holds up the most comes first. Never empty.
    pub findings: Vec<Finding>,
    /// Deliveries that were not looked at, because there are too many.
    pub more: u64,
}

/// One cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub cause: Cause,
    /// What it is about.
    pub about: About,
}

impl Finding {
    fn new(cause: Cause, about: About) -> Self {
        Self { cause, about }
    }

    /// What it says, Vietnamese.
    #[must_use]
    pub fn vi(&self) -> String {
        self.about.fill(self.cause.row().vi)
    }

    /// What it says, English.
    #[must_use]
    pub fn en(&self) -> String {
        self.about.fill(self.cause.row().en)
    }

    /// The command that helps; empty if none does.
    #[must_use]
    pub fn command(&self) -> String {
        self.about.fill(self.cause.row().command)
    }
}

/// Where a delivery stands between the ledger and its receiver's system.
#[derive(Debug, Clone, Default)]
struct Standing {
    read_only: bool,
    system: Option<SystemId>,
    suspended: bool,
    no_credentials: bool,
    paused: bool,
    in_hand: Option<InHand>,
    bus: Option<Trouble>,
    /// Why the broker does not give the lane's queue.
    fault: Option<String>,
    amqp: bool,
    streams: u32,
    comes: bool,
    came: bool,
    inactive: bool,
    published: bool,
    window_full: bool,
    ahead: u64,
}

/// Why a delivery that may be offered is not with its receiver yet: the first that holds.
fn cause(standing: &Standing) -> Cause {
    let Standing {
        read_only,
        system,
        suspended,
        no_credentials,
        paused,
        in_hand,
        bus,
        fault,
        amqp,
        streams,
        comes,
        came,
        inactive,
        published,
        window_full,
        ahead,
    } = standing;
    match () {
        () if *read_only => Cause::ReadOnly,
        () if system.is_none() => Cause::NoSystem,
        () if let Some(lease) = in_hand => {
            if lease.until.is_some() {
                Cause::Leased
            } else {
                Cause::InStream
            }
        }
        () if *paused => Cause::Paused,
        () if *suspended => Cause::SystemSuspended,
        () if *no_credentials => Cause::NoCredentials,
        () if let Some(trouble) = bus.as_ref().filter(|_| *amqp || *streams > 0) => {
            if trouble.blocked {
                Cause::BusBlocked
            } else {
                Cause::BusAway
            }
        }
        () if fault.is_some() && (*amqp || *streams > 0) => Cause::QueueFault,
        () if *amqp && *published => Cause::AmqpUnsettled,
        () if *streams > 0 && *published => Cause::ReceiverSlow,
        () if (*amqp || *streams > 0) && *window_full => Cause::WindowFull,
        () if *amqp || *streams > 0 || *comes => {
            if *ahead > 0 {
                Cause::Behind
            } else {
                Cause::OnItsWay
            }
        }
        () if *inactive => Cause::AgencyInactive,
        () if *came => Cause::StayedAway,
        () => Cause::NeverCame,
    }
}

impl Exchange {
    /// Why is this stuck: an agency (any code), a system, a delivery, a package, or a document
    /// by its edXML DocumentId. `system:ID` and `agency:CODE` where one text names both.
    ///
    /// # Errors
    /// NOT_FOUND if nothing is called that; BAD_ARGUMENT if a system and an agency are.
    pub async fn why(&self, operator: &Operator, id: &str) -> Result<Why, Refusal> {
        let given = id.trim();
        let registry = self.inner.ledger.registry();
        let mut why = match pause::named(&registry, given) {
            Ok(Paused::System(system)) => self.inner.why_system(&registry, &system),
            Ok(Paused::Agency(agency)) => self.inner.why_agency(&registry, agency),
            Err(refusal) if refusal.name != Name::NotFound => return Err(refusal),
            Err(_) => self.why_deliveries(operator, &registry, given).await?,
        };
        for (number, finding) in self.inner.axis_wide().into_iter().enumerate() {
            if !why.findings.iter().any(|has| has.cause == finding.cause) {
                why.findings.insert(number, finding);
            }
        }
        Ok(why)
    }

    async fn why_deliveries(
        &self,
        operator: &Operator,
        registry: &Registry,
        given: &str,
    ) -> Result<Why, Refusal> {
        let caller = Caller::Operator(operator.clone());
        let trace = self.trace(&caller, given).await?;
        let only = given.parse::<DeliveryId>().ok();
        let mut deliveries: Vec<(PackageId, DeliveryId, Ms, DeliveryState)> = trace
            .packages
            .iter()
            .flat_map(|package| {
                package
                    .deliveries
                    .iter()
                    .map(|d| (package.package, d.delivery, d.changed_at, d.state))
            })
            .filter(|(_, delivery, ..)| only.is_none_or(|only| only == *delivery))
            .collect();
        // What still needs somebody comes first.
        deliveries.sort_by_key(|(.., state)| !ledger::fold::is_open(*state));
        let more = deliveries.len().saturating_sub(TOLD) as u64;
        deliveries.truncate(TOLD);
        let mut findings = Vec::with_capacity(deliveries.len());
        for (package, delivery, changed_at, _) in deliveries {
            findings.extend(
                self.inner
                    .why_delivery(registry, package, delivery, changed_at)
                    .await?,
            );
        }
        Ok(Why {
            kind: if only.is_some() {
                "delivery"
            } else {
                "packages"
            },
            id: given.to_owned(),
            name: String::new(),
            findings,
            more,
        })
    }
}

impl Inner {
    /// What holds up everything.
    fn axis_wide(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.ledger.is_read_only() {
            findings.push(Finding::new(Cause::ReadOnly, About::default()));
        }
        if let Some(trouble) = self.bus_trouble() {
            let cause = if trouble.blocked {
                Cause::BusBlocked
            } else {
                Cause::BusAway
            };
            let about = About {
                since: Some(trouble.since),
                reason: trouble.reason,
                ..About::default()
            };
            findings.push(Finding::new(cause, about));
        }
        if self.ledger.space() == journal::Space::Reserve {
            findings.push(Finding::new(Cause::DiskReserve, About::default()));
        }
        findings
    }

    async fn why_delivery(
        &self,
        registry: &Registry,
        package: PackageId,
        delivery: DeliveryId,
        changed_at: Ms,
    ) -> Result<Option<Finding>, Refusal> {
        let Some(row) = self.ask(move |query| Ok(query.delivery(delivery))).await? else {
            return Ok(None);
        };
        let receiver = AgencyId(row.receiver);
        let state = row.state();
        let mut about = about(registry, receiver);
        about.delivery = delivery.to_string();
        about.package = package.to_string();
        if let Some(system) = registry.systems_of(receiver).first() {
            about.system = system.to_string();
        }
        about.since = Some(changed_at);
        let place = Place::of(&row);
        let waits = {
            let open = self.ledger.open_deliveries();
            open.get(&place)
                .filter(|open| open.is_deliverable())
                .copied()
        };
        if let Some(waiting) = waits {
            return Ok(Some(self.why_waiting(registry, &place, &waiting, about)));
        }
        let (reason, by) = self
            .ask(move |query| last_reason(query, package, delivery, state))
            .await?;
        about.reason = reason;
        about.by = actor(by.as_ref());
        let cause = match state {
            DeliveryState::Held => {
                about.reason = self.held_reason(package, receiver, about.reason).await?;
                Cause::Held
            }
            DeliveryState::Refused => Cause::Refused,
            DeliveryState::Acknowledged => Cause::Acknowledged,
            DeliveryState::Failed => Cause::Failed,
            DeliveryState::Recalled => Cause::Recalled,
            DeliveryState::Forwarding => Cause::Forwarding,
            DeliveryState::Forwarded => Cause::Forwarded,
            DeliveryState::Dead => Cause::Dead,
            DeliveryState::Dropped => Cause::Dropped,
            // Open and not to be offered: it was recalled after it was fetched.
            DeliveryState::Fetched | DeliveryState::Pending => Cause::RecallUnanswered,
            DeliveryState::Unspecified => return Ok(None),
        };
        Ok(Some(Finding::new(cause, about)))
    }

    /// Why admission holds a delivery: told with the receiver in the package's own event.
    async fn held_reason(
        &self,
        package: PackageId,
        receiver: AgencyId,
        known: String,
    ) -> Result<String, Refusal> {
        if !known.is_empty() {
            return Ok(known);
        }
        self.ask(move |query| {
            let stored = query.package(package)?;
            let receivers = stored
                .map(|stored| stored.facts.receivers)
                .unwrap_or_default();
            let held = receivers.into_iter().find(|r| r.agency == receiver.0);
            Ok(held.map(|held| held.reason).unwrap_or_default())
        })
        .await
    }

    /// The cause of one delivery that may be offered.
    fn why_waiting(
        &self,
        registry: &Registry,
        place: &Place,
        open: &OpenDelivery,
        mut about: About,
    ) -> Finding {
        let delivery = open.id(place);
        let system = registry.systems_of(place.receiver).first().cloned();
        let standing = self.standing(registry, place, &delivery, system.as_ref());
        let found = cause(&standing);
        about.since = Some(open.accepted_at);
        self.tell(registry, found, &standing, place.receiver, &mut about);
        Finding::new(found, about)
    }

    /// Fills in what a cause's texts want to know.
    fn tell(
        &self,
        registry: &Registry,
        cause: Cause,
        standing: &Standing,
        receiver: AgencyId,
        about: &mut About,
    ) {
        let Some(system) = &standing.system else {
            return;
        };
        about.system = system.to_string();
        match cause {
            Cause::Leased | Cause::InStream => {
                if let Some(lease) = &standing.in_hand {
                    about.system = lease.system.to_string();
                    about.since = Some(lease.since);
                    about.until = lease.until;
                }
            }
            Cause::Paused => paused(registry, system, receiver, about),
            Cause::NeverCame => about.since = Some(self.started_at),
            Cause::StayedAway => about.since = self.last_fetch_of(registry, system),
            Cause::ReceiverSlow => about.count = self.in_hands_of(registry, system),
            Cause::WindowFull => about.count = self.options.window as u64,
            Cause::Behind => about.count = standing.ahead,
            Cause::AmqpUnsettled => {
                let depths = self.depths.of(system).into_iter();
                about.count = depths
                    .map(|depth| u64::from(depth.consumers))
                    .max()
                    .unwrap_or(0);
            }
            Cause::QueueFault => about.reason = standing.fault.clone().unwrap_or_default(),
            Cause::BusAway | Cause::BusBlocked => {
                if let Some(trouble) = self.bus_trouble() {
                    about.since = Some(trouble.since);
                    about.reason = trouble.reason;
                }
            }
            _ => {}
        }
    }

    fn standing(
        &self,
        registry: &Registry,
        place: &Place,
        delivery: &DeliveryId,
        system: Option<&SystemId>,
    ) -> Standing {
        let mut standing = self.standing_of(registry, place.receiver, system);
        standing.in_hand = self.leases.in_hand(delivery);
        let Some(system) = system else {
            return standing;
        };
        if let Some(outlet) = self.relay.outlet_of(system) {
            standing.amqp = outlet.is_amqp();
            standing.published = outlet.is_published(delivery);
            let lane = lane_number(place.lane());
            standing.window_full = outlet.published()[lane] >= self.options.window;
        }
        standing.fault = self.queue_fault(system, bus_lane(place.lane()));
        standing.ahead = self.ahead(registry, system, place);
        standing
    }

    /// What is so for all that waits for an agency from a system.
    fn standing_of(
        &self,
        registry: &Registry,
        receiver: AgencyId,
        system: Option<&SystemId>,
    ) -> Standing {
        let mut standing = Standing {
            read_only: self.ledger.is_read_only(),
            system: system.cloned(),
            bus: self.bus_trouble(),
            inactive: registry.agency(receiver).is_some_and(|agency| {
                matches!(agency.state(), AgencyState::Suspended | AgencyState::Closed)
            }),
            ..Standing::default()
        };
        let Some(id) = system else { return standing };
        if let Some(system) = registry.system(id.as_str()) {
            standing.suspended = system.facts.suspended;
            standing.no_credentials = !system.facts.suspended && is_shut_out(registry, system);
        }
        standing.paused = registry.pauses().between(id, receiver).is_some();
        standing.streams = self.relay.streams(id);
        let last = self.last_fetch_of(registry, id);
        standing.came = last.is_some();
        standing.comes = last.is_some_and(|at| self.now().0.saturating_sub(at.0) <= COMES);
        standing
    }

    fn last_fetch_of(&self, registry: &Registry, system: &SystemId) -> Option<Ms> {
        let last = self
            .last_fetch
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let served = registry.served_by(system);
        served.filter_map(|id| last.get(&id)).max().copied()
    }

    fn in_hands_of(&self, registry: &Registry, system: &SystemId) -> u64 {
        let counts = self.leases.counts();
        let served = registry.served_by(system);
        served.filter_map(|id| counts.get(&id)).flatten().sum()
    }

    /// How many deliveries of the system that nobody has in hand go before this one; more than
    /// [`MANY`] are not counted to the end.
    fn ahead(&self, registry: &Registry, system: &SystemId, place: &Place) -> u64 {
        let mut ahead = 0;
        for agency in registry.served_by(system) {
            if registry.pauses().between(system, agency).is_some() {
                continue;
            }
            // Let go between agencies: commits wait for it.
            let open = self.ledger.open_deliveries();
            let before = open
                .of(agency)
                .take_while(|(p, _)| p.order() < place.order());
            let free = before.filter(|(p, delivery)| {
                delivery.is_deliverable() && !self.leases.is_held(&delivery.id(p))
            });
            let most = usize::try_from(MANY + 1 - ahead).unwrap_or(usize::MAX);
            ahead += free.take(most).count() as u64;
            if ahead > MANY {
                break;
            }
        }
        ahead
    }

    fn why_agency(&self, registry: &Registry, agency: AgencyId) -> Why {
        let systems = registry.systems_of(agency);
        let facts = party(registry, agency, "");
        let mut about = about(registry, agency);
        about.whom.clone_from(&facts.main_code);
        let findings = self.why_queue(registry, &[agency], systems.first(), &about);
        Why {
            kind: "agency",
            id: facts.main_code,
            name: facts.name,
            findings,
            more: 0,
        }
    }

    fn why_system(&self, registry: &Registry, id: &SystemId) -> Why {
        let system = registry.system(id.as_str());
        let agencies: Vec<AgencyId> = registry.served_by(id).collect();
        let about = About {
            system: id.to_string(),
            whom: id.to_string(),
            ..About::default()
        };
        let findings = self.why_queue(registry, &agencies, Some(id), &about);
        Why {
            kind: "system",
            id: id.to_string(),
            name: system.map(|s| s.facts.name.clone()).unwrap_or_default(),
            findings,
            more: 0,
        }
    }

    /// The causes of what is open for some agencies of one system: pauses, what was given up or
    /// is held, and of each lane the delivery that comes first.
    fn why_queue(
        &self,
        registry: &Registry,
        agencies: &[AgencyId],
        system: Option<&SystemId>,
        asked: &About,
    ) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        let (mut dead, mut held) = (0, 0);
        let mut firsts: [Option<(Place, OpenDelivery)>; LANES] = [None; LANES];
        for agency in agencies {
            let open = self.ledger.open_deliveries();
            let Some(tally) = open.tallies().of(*agency) else {
                continue;
            };
            dead += tally.iter().map(|lane| lane.dead).sum::<u64>();
            held += tally.iter().map(|lane| lane.held).sum::<u64>();
            if tally.iter().map(LaneTally::open).sum::<u64>() == 0 {
                continue;
            }
            for lane in (0..LANES).filter(|lane| tally[*lane].waiting > 0) {
                let first = open
                    .of_lane(*agency, of_lane(lane))
                    .find(|(_, delivery)| delivery.is_deliverable());
                if let Some((place, delivery)) = first
                    && firsts[lane].is_none_or(|(best, _)| place.order() < best.order())
                {
                    firsts[lane] = Some((*place, *delivery));
                }
            }
        }
        if let Some(system) = system {
            for agency in agencies {
                if registry.pauses().between(system, *agency).is_some() {
                    let mut about = asked.clone();
                    about.system = system.to_string();
                    paused(registry, system, *agency, &mut about);
                    let finding = Finding::new(Cause::Paused, about);
                    if findings.len() < TOLD && !findings.contains(&finding) {
                        findings.push(finding);
                    }
                }
            }
        }
        for (place, delivery) in firsts.into_iter().flatten() {
            let mut about = about(registry, place.receiver);
            about.whom.clone_from(&asked.whom);
            about.delivery = delivery.id(&place).to_string();
            about.package = delivery.package.to_string();
            let finding = self.why_waiting(registry, &place, &delivery, about);
            // One word a cause: the others of the lane wait for the same.
            if !findings.iter().any(|has| has.cause == finding.cause) {
                findings.push(finding);
            }
        }
        let count = |cause, count| {
            let about = About {
                count,
                ..asked.clone()
            };
            Finding::new(cause, about)
        };
        if dead > 0 {
            findings.push(count(Cause::SomeDead, dead));
        }
        if held > 0 {
            findings.push(count(Cause::SomeHeld, held));
        }
        if findings.is_empty() {
            findings.push(count(Cause::NothingWaits, 0));
        }
        findings
    }
}

const fn of_lane(number: usize) -> crate::types::Lane {
    use crate::types::Lane;
    match number {
        0 => Lane::Flash,
        1 => Lane::Urgent,
        2 => Lane::Status,
        _ => Lane::Routine,
    }
}

fn about(registry: &Registry, agency: AgencyId) -> About {
    let party = party(registry, agency, "");
    let name = if party.name.is_empty() {
        party.main_code.clone()
    } else {
        format!("{} ({})", party.name, party.main_code)
    };
    About {
        agency: name,
        whom: party.main_code.clone(),
        code: party.main_code,
        ..About::default()
    }
}

/// Whom the pause names, by whom, why and since when.
fn paused(registry: &Registry, system: &SystemId, agency: AgencyId, about: &mut About) {
    let Some(fact) = registry.pauses().between(system, agency) else {
        return;
    };
    about.whom = if fact.agency == 0 {
        system.to_string()
    } else {
        party(registry, agency, "").main_code
    };
    about.since = Some(Ms(fact.at_ms));
    about.by = actor(fact.actor.as_ref());
    about.reason = fact
        .actor
        .as_ref()
        .map(|actor| actor.why.clone())
        .unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each cause of a waiting delivery has its ground, and gives way to those before it.
    #[test]
    fn the_first_ground_that_holds_is_the_cause() {
        let in_hand = |until| {
            Some(InHand {
                system: "so-b".parse().unwrap(),
                since: Ms(0),
                until,
            })
        };
        // From the last to be said to the first: each step adds a ground over those before it.
        type Step = (fn(&mut Standing), Cause);
        let mut standing = Standing {
            system: Some("so-b".parse().unwrap()),
            ..Standing::default()
        };
        assert_eq!(cause(&standing), Cause::NeverCame);
        let steps: [Step; 13] = [
            (|s| s.came = true, Cause::StayedAway),
            (|s| s.inactive = true, Cause::AgencyInactive),
            (|s| s.comes = true, Cause::OnItsWay),
            (|s| s.ahead = 3, Cause::Behind),
            (
                |s| {
                    s.streams = 1;
                    s.window_full = true;
                },
                Cause::WindowFull,
            ),
            (|s| s.published = true, Cause::ReceiverSlow),
            (|s| s.amqp = true, Cause::AmqpUnsettled),
            (
                |s| s.fault = Some("axis.system.so-b.flash".to_owned()),
                Cause::QueueFault,
            ),
            (
                |s| {
                    s.bus = Some(Trouble {
                        since: Ms(0),
                        reason: String::new(),
                        blocked: true,
                    });
                },
                Cause::BusBlocked,
            ),
            (
                |s| {
                    s.bus = s.bus.take().map(|bus| Trouble {
                        blocked: false,
                        ..bus
                    })
                },
                Cause::BusAway,
            ),
            (|s| s.no_credentials = true, Cause::NoCredentials),
            (|s| s.suspended = true, Cause::SystemSuspended),
            (|s| s.paused = true, Cause::Paused),
        ];
        for (step, expected) in steps {
            step(&mut standing);
            assert_eq!(cause(&standing), expected);
        }
        standing.in_hand = in_hand(None);
        assert_eq!(cause(&standing), Cause::InStream);
        standing.in_hand = in_hand(Some(Ms(9)));
        assert_eq!(cause(&standing), Cause::Leased);
        standing.system = None;
        assert_eq!(cause(&standing), Cause::NoSystem);
        standing.read_only = true;
        assert_eq!(cause(&standing), Cause::ReadOnly);
        // Without a stream the bus does not matter: a fetch reads the ledger.
        let fetches = Standing {
            system: Some("so-b".parse().unwrap()),
            bus: standing.bus.clone(),
            comes: true,
            ..Standing::default()
        };
        assert_eq!(cause(&fetches), Cause::OnItsWay);
    }
}
