//! What waits, for whom, how long, and whether anybody comes for it: per system and lane, or
//! per agency. Every figure is kept as things happen; a question sums up counts and never walks
//! over deliveries nor asks a broker.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus::Depth;
use ledger::event::Attachment;
use ledger::id::{AgencyId, SystemId};
use ledger::pause::Paused;
use ledger::registry::{Registry, System};
use ledger::tally::{LANES, LaneTally, Tallies};
use ledger::time::Ms;

use crate::agencies::not_registered;
use crate::refusal::{Name, Refusal};
use crate::relay::bus_lane;
use crate::service::{Caller, Exchange, Inner, party};
use crate::types::{Lane, Page, Party};

/// A receiver that fetched so lately counts as one that comes.
pub(crate) const COMES: i64 = 10 * 60_000;

/// The lanes in serving order.
const SERVED: [Lane; LANES] = [Lane::Flash, Lane::Urgent, Lane::Status, Lane::Routine];

/// How lines are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// A line for each lane of each system.
    #[default]
    System,
    /// A line for each agency.
    Agency,
}

/// Which queues are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuesAsked {
    /// How lines are made.
    pub by: GroupBy,
    /// This system's only.
    pub system: Option<String>,
    /// This agency's only, by any of its codes.
    pub agency: Option<String>,
    /// Also those that nothing is open for.
    pub all: bool,
    /// 0 = 500; at most 2,000.
    pub page_size: u32,
    /// Of the page before; empty for the first.
    pub page_token: String,
}

/// How a queue stands; the worst first. One word a line: what to look at, not all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueState {
    /// The axis cannot deliver: read-only, its bus is away, or the broker does not give the queue.
    Blocked,
    /// No system serves the agency.
    NoSystem,
    /// The system is suspended, or has neither key nor certificate.
    ShutOut,
    /// Something waits, no stream is attached, and nobody fetched lately.
    NoConsumer,
    /// Some deliveries were given up.
    DeadLetters,
    /// Somebody comes, and yet the oldest waits longer than a lease and nothing moves.
    Slow,
    /// An operator has paused delivery.
    Paused,
    /// All that is open is held.
    Held,
    /// Something waits and moves.
    Flowing,
    /// Nothing waits.
    Idle,
}

impl QueueState {
    /// Every state, the worst first.
    pub const ALL: [Self; 10] = [
        Self::Blocked,
        Self::NoSystem,
        Self::ShutOut,
        Self::NoConsumer,
        Self::DeadLetters,
        Self::Slow,
        Self::Paused,
        Self::Held,
        Self::Flowing,
        Self::Idle,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::NoSystem => "no-system",
            Self::ShutOut => "shut-out",
            Self::NoConsumer => "no-consumer",
            Self::DeadLetters => "dead-letters",
            Self::Slow => "slow",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::Flowing => "flowing",
            Self::Idle => "idle",
        }
    }
}

/// One line: a lane of a system, or an agency.
#[derive(Debug, Clone)]
pub struct QueueLine {
    /// The system, in lines by system; `None` for agencies that no system serves.
    pub system: Option<SystemId>,
    /// The lane, in lines by system.
    pub lane: Option<Lane>,
    /// The agency, in lines by agency.
    pub agency: Option<Party>,
    /// The systems that serve the agency, or the line's own.
    pub systems: Vec<SystemId>,
    /// How it stands.
    pub state: QueueState,
    /// The figures.
    pub figures: Figures,
    /// Wake-ups in the bus that nobody has taken yet, as last heard. By system only.
    pub ready: u64,
    /// Wake-ups that consumers of the bus hold, as last heard. By system only.
    pub unacked: u64,
    /// Streams attached; of an `amqp` system its consumers on the broker, as last heard.
    pub streams: u32,
    /// The last fetch or delivery over a stream since the axis started.
    pub last_fetch: Option<Ms>,
    /// Since when delivery is paused, if it is.
    pub paused: Option<Ms>,
}

/// Figures of one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Held with a reason.
    pub held: u64,
    /// Not fetched yet.
    pub pending: u64,
    /// Fetched and not settled.
    pub fetched: u64,
    /// On their way to another axis.
    pub forwarding: u64,
    /// Given up.
    pub dead: u64,
    /// Those that may be offered, by lane: flash, urgent, status, routine.
    pub lanes: [u64; LANES],
    /// In a receiver's hands: leased, not settled.
    pub leased: u64,
    /// Acceptance of the oldest that may be offered, to the second.
    pub oldest: Option<Ms>,
    /// Deliveries that came in the last minute.
    pub came: u64,
    /// Deliveries that ended in the last minute.
    pub left: u64,
}

impl Figures {
    fn add(&mut self, lane: usize, of: &LaneTally, now: Ms) {
        self.held += of.held;
        self.pending += of.pending;
        self.fetched += of.fetched;
        self.forwarding += of.forwarding;
        self.dead += of.dead;
        self.lanes[lane] += of.waiting;
        self.came += of.came.last_minute(now);
        self.left += of.left.last_minute(now);
        if let Some(at) = of.oldest() {
            self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
        }
    }

    /// Those that may be offered.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.lanes.iter().sum()
    }

    /// All that are open.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.held + self.pending + self.fetched + self.forwarding + self.dead
    }
}

/// What a line is about: a system's lane, or an agency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Lane(Option<SystemId>, usize),
    Agency(AgencyId),
}

/// What the figures do not tell of a line.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    blocked: bool,
    no_system: bool,
    shut_out: bool,
    paused: bool,
    streams: u32,
    last_fetch: Option<Ms>,
    lease_ms: i64,
}

/// How a line stands.
fn state(figures: &Figures, around: &Around, now: Ms) -> QueueState {
    let waits = figures.waiting() > 0;
    let comes = around.streams > 0
        || around
            .last_fetch
            .is_some_and(|at| now.0.saturating_sub(at.0) <= COMES);
    let old = figures
        .oldest
        .is_some_and(|at| now.0.saturating_sub(at.0) > around.lease_ms);
    match () {
        () if waits && around.blocked => QueueState::Blocked,
        () if waits && around.no_system => QueueState::NoSystem,
        () if waits && around.shut_out => QueueState::ShutOut,
        () if around.paused => QueueState::Paused,
        () if waits && !comes => QueueState::NoConsumer,
        () if figures.dead > 0 => QueueState::DeadLetters,
        () if waits && old && figures.left == 0 => QueueState::Slow,
        () if waits || figures.forwarding > 0 => QueueState::Flowing,
        () if figures.held > 0 => QueueState::Held,
        () => QueueState::Idle,
    }
}

/// Whether a system cannot show who it is: it is suspended, or nothing it has is valid any more.
/// Of an `amqp` system the broker has checked that.
pub(crate) fn is_shut_out(registry: &Registry, system: &System) -> bool {
    let at = registry.at();
    let is_known = system.keys_at(at).next().is_some()
        || system.pins_at(at).next().is_some()
        || system.facts.attachment() == Attachment::Amqp;
    system.facts.suspended || !is_known
}

/// Sums the counts up by line. Its cost is the receivers' number, whatever waits for them: the
/// deliveries themselves are out of its reach.
fn sums(
    tallies: &Tallies,
    registry: &Registry,
    by: GroupBy,
    wanted: impl Fn(AgencyId) -> bool,
    now: Ms,
) -> BTreeMap<Line, Figures> {
    let mut lines: BTreeMap<Line, Figures> = BTreeMap::new();
    for (agency, tally) in tallies.iter().filter(|(agency, _)| wanted(*agency)) {
        for (lane, of) in tally.iter().enumerate() {
            match by {
                GroupBy::Agency => {
                    let figures = lines.entry(Line::Agency(agency)).or_default();
                    figures.add(lane, of, now);
                }
                GroupBy::System => {
                    let systems = registry.systems_of(agency);
                    for system in systems {
                        let line = Line::Lane(Some(system.clone()), lane);
                        lines.entry(line).or_default().add(lane, of, now);
                    }
                    if systems.is_empty() {
                        lines
                            .entry(Line::Lane(None, lane))
                            .or_default()
                            .add(lane, of, now);
                    }
                }
            }
        }
    }
    lines
}

impl Exchange {
    /// What waits: the lines with something open, with a pause, or asked for by name; those in
    /// trouble first, and of them the one that waits longest. A page begins behind the line that
    /// the page before ended with, as lines stand then. A system sees its own agencies.
    ///
    /// # Errors
    /// NOT_FOUND for an agency or a system that is unknown, or not the caller's; BAD_ARGUMENT
    /// for a token that is not this list's.
    pub fn queues(&self, caller: &Caller, asked: &QueuesAsked) -> Result<Page<QueueLine>, Refusal> {
        let inner = &self.inner;
        let now = inner.now();
        let registry = inner.ledger.registry();
        let mine = |id: AgencyId| match caller {
            Caller::Operator(_) => true,
            Caller::System(peer) => registry.systems_of(id).contains(peer.system()),
        };
        let agency = match &asked.agency {
            None => None,
            Some(code) => Some(
                registry
                    .resolve(code)
                    .filter(|id| mine(*id))
                    .ok_or_else(|| not_registered(code, "agency"))?,
            ),
        };
        let system: Option<SystemId> = match &asked.system {
            None => None,
            Some(id) => Some(
                registry
                    .system(id)
                    .and_then(|system| system.facts.system.parse().ok())
                    .filter(|id| match caller {
                        Caller::Operator(_) => true,
                        Caller::System(peer) => peer.system() == id,
                    })
                    .ok_or_else(|| no_system(id))?,
            ),
        };
        let after = after(&asked.page_token)?;
        let wanted = |id: AgencyId| {
            mine(id)
                && agency.is_none_or(|agency| agency == id)
                && system
                    .as_ref()
                    .is_none_or(|system| registry.systems_of(id).contains(system))
        };
        let mut lines = {
            let open = inner.ledger.open_deliveries();
            sums(open.tallies(), &registry, asked.by, wanted, now)
        };
        if let Some(system) = &system {
            lines.retain(|line, _| match line {
                Line::Lane(of, _) => of.as_ref() == Some(system),
                Line::Agency(_) => true,
            });
        }
        let named = agency.is_some() || system.is_some();
        for line in others(&registry, asked, agency, system.as_ref(), &wanted) {
            lines.entry(line).or_default();
        }
        let sight = Sight::of(inner, &registry);
        let mut rows: Vec<(Key, Figures, Around)> = lines
            .into_iter()
            .map(|(line, mut figures)| {
                let around = sight.around(&line, &mut figures);
                let state = state(&figures, &around, now);
                let oldest = figures.oldest.map_or(i64::MAX, |at| at.0);
                (Key(state, oldest, line), figures, around)
            })
            .filter(|(key, figures, around)| {
                named
                    || asked.all
                    || figures.open() > 0
                    || around.paused
                    || key.0 < QueueState::Idle
            })
            .filter(|(key, ..)| after.as_ref().is_none_or(|after| key.token() > *after))
            .collect();
        rows.sort_by_cached_key(|(key, ..)| key.token());
        let size = if asked.page_size == 0 {
            500
        } else {
            asked.page_size.min(2_000)
        } as usize;
        let more = rows.len() > size;
        rows.truncate(size);
        let next = match rows.last() {
            Some((last, ..)) if more => URL_SAFE_NO_PAD.encode(last.token()),
            _ => String::new(),
        };
        let items = rows
            .into_iter()
            .map(|(key, figures, around)| sight.told(key, figures, &around))
            .collect();
        Ok(Page { items, next })
    }
}

/// Lines that stand without anything open: named, paused, or all.
fn others(
    registry: &Registry,
    asked: &QueuesAsked,
    agency: Option<AgencyId>,
    system: Option<&SystemId>,
    wanted: &impl Fn(AgencyId) -> bool,
) -> Vec<Line> {
    let lanes = |system: &SystemId| {
        let system = system.clone();
        (0..LANES).map(move |lane| Line::Lane(Some(system.clone()), lane))
    };
    let mut lines = Vec::new();
    match asked.by {
        GroupBy::Agency => {
            lines.extend(agency.map(Line::Agency));
            let all = registry.agencies().map(|(id, _)| id);
            let all = all.filter(|id| (asked.all || system.is_some()) && wanted(*id));
            lines.extend(all.map(Line::Agency));
            for (whom, _) in registry.pauses().iter() {
                if let Paused::Agency(id) = whom
                    && wanted(*id)
                {
                    lines.push(Line::Agency(*id));
                }
            }
        }
        GroupBy::System => {
            if let Some(agency) = agency {
                let systems = registry.systems_of(agency).iter();
                lines.extend(systems.flat_map(lanes));
            }
            lines.extend(system.into_iter().flat_map(lanes));
            if asked.all && agency.is_none() && system.is_none() {
                let systems = registry.systems();
                let ids: Vec<SystemId> = systems
                    .filter_map(|system| system.facts.system.parse().ok())
                    .filter(|id| registry.served_by(id).any(&wanted))
                    .collect();
                lines.extend(ids.iter().flat_map(lanes));
            }
            for (whom, _) in registry.pauses().iter() {
                if let Paused::System(id) = whom
                    && system.is_none_or(|system| system == id)
                    && agency.is_none()
                {
                    lines.extend(lanes(id));
                }
            }
        }
    }
    lines
}

fn no_system(id: &str) -> Refusal {
    Refusal::new(Name::NotFound).at(
        "system",
        format!("Không có hệ thống {id:?}."),
        format!("There is no system {id:?}."),
    )
}

/// Where a line stands in the list: by trouble, then by age, then by name.
#[derive(Debug, Clone)]
struct Key(QueueState, i64, Line);

impl Key {
    /// In the same order as bytes.
    fn token(&self) -> Vec<u8> {
        let rank = QueueState::ALL.iter().position(|state| *state == self.0);
        let mut bytes = vec![u8::try_from(rank.unwrap_or_default()).unwrap_or(u8::MAX)];
        bytes.extend(self.1.max(0).to_be_bytes());
        match &self.2 {
            Line::Agency(agency) => bytes.extend(agency.0.to_be_bytes()),
            Line::Lane(system, lane) => {
                bytes.extend(system.as_ref().map_or("", SystemId::as_str).bytes());
                bytes.push(0);
                bytes.push(u8::try_from(*lane).unwrap_or(u8::MAX));
            }
        }
        bytes
    }
}

fn after(token: &str) -> Result<Option<Vec<u8>>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    if bytes.len() < 11 {
        return Err(Refusal::argument(
            "page_token",
            "Mã trang không hợp lệ; dùng mã mà trang trước trả về.",
            "The page token is not valid; use the one that the page before gave.",
        ));
    }
    Ok(Some(bytes))
}

/// What else is known at one moment, looked up by line.
struct Sight<'a> {
    inner: &'a Inner,
    registry: &'a Registry,
    blocked: bool,
    bus_trouble: bool,
    leased: std::collections::HashMap<AgencyId, [u64; LANES]>,
    leased_by_system: BTreeMap<Option<SystemId>, [u64; LANES]>,
    last_fetch: std::collections::HashMap<AgencyId, Ms>,
    last_fetch_by_system: BTreeMap<SystemId, Ms>,
}

impl Inner {
    /// Who takes from the bus for a system: its streams here, or its own consumers on the
    /// broker as last heard; and whether it stands still without the bus.
    pub(crate) fn consumers(&self, system: &SystemId) -> (u32, bool) {
        let outlet = self.relay.outlet_of(system);
        if outlet.is_some_and(|outlet| outlet.is_amqp()) {
            let depths = self.depths.of(system).into_iter();
            return (depths.map(|depth| depth.consumers).max().unwrap_or(0), true);
        }
        let streams = self.relay.streams(system);
        (streams, streams > 0)
    }
}

impl<'a> Sight<'a> {
    fn of(inner: &'a Inner, registry: &'a Registry) -> Self {
        let leased = inner.leases.counts();
        let last_fetch = inner
            .last_fetch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut leased_by_system: BTreeMap<Option<SystemId>, [u64; LANES]> = BTreeMap::new();
        for (agency, lanes) in &leased {
            let systems = registry.systems_of(*agency);
            let of = systems.iter().map(|system| Some(system.clone()));
            for system in of.chain(systems.is_empty().then_some(None)) {
                let sum = leased_by_system.entry(system).or_default();
                sum.iter_mut().zip(lanes).for_each(|(sum, of)| *sum += of);
            }
        }
        let mut last_fetch_by_system: BTreeMap<SystemId, Ms> = BTreeMap::new();
        for (agency, at) in &last_fetch {
            for system in registry.systems_of(*agency) {
                let last = last_fetch_by_system.entry(system.clone()).or_insert(*at);
                *last = (*last).max(*at);
            }
        }
        Self {
            inner,
            registry,
            blocked: inner.ledger.is_read_only(),
            bus_trouble: inner.bus_trouble().is_some(),
            leased,
            leased_by_system,
            last_fetch,
            last_fetch_by_system,
        }
    }

    fn around(&self, line: &Line, figures: &mut Figures) -> Around {
        let lease_ms = i64::try_from(self.inner.options.lease.as_millis()).unwrap_or(i64::MAX);
        let shut_out = |system: &SystemId| {
            self.registry
                .system(system.as_str())
                .is_some_and(|system| is_shut_out(self.registry, system))
        };
        let pauses = self.registry.pauses();
        let known = Around {
            blocked: self.blocked,
            lease_ms,
            ..Around::default()
        };
        match line {
            Line::Lane(system, lane) => {
                let leased = self.leased_by_system.get(system);
                figures.leased = leased.map_or(0, |lanes| lanes[*lane]);
                let Some(system) = system else {
                    return Around {
                        no_system: true,
                        ..known
                    };
                };
                let (streams, needs_bus) = self.inner.consumers(system);
                let fault = || self.inner.queue_fault(system, bus_lane(SERVED[*lane]));
                Around {
                    blocked: self.blocked || needs_bus && (self.bus_trouble || fault().is_some()),
                    shut_out: shut_out(system),
                    paused: pauses.of(&Paused::System(system.clone())).is_some(),
                    streams,
                    last_fetch: self.last_fetch_by_system.get(system).copied(),
                    ..known
                }
            }
            Line::Agency(agency) => {
                let leased = self.leased.get(agency);
                figures.leased = leased.map_or(0, |lanes| lanes.iter().sum());
                let systems = self.registry.systems_of(*agency);
                let mut of = systems.iter();
                Around {
                    no_system: systems.is_empty(),
                    shut_out: !systems.is_empty() && systems.iter().all(shut_out),
                    paused: pauses.of(&Paused::Agency(*agency)).is_some()
                        || (!systems.is_empty()
                            && of.all(|id| pauses.of(&Paused::System(id.clone())).is_some())),
                    blocked: self.blocked
                        || (self.bus_trouble
                            && systems.iter().any(|id| self.inner.consumers(id).1)),
                    streams: systems.iter().map(|id| self.inner.consumers(id).0).sum(),
                    last_fetch: self.last_fetch.get(agency).copied(),
                    ..known
                }
            }
        }
    }

    fn told(&self, key: Key, figures: Figures, around: &Around) -> QueueLine {
        let Key(state, _, line) = key;
        let pauses = self.registry.pauses();
        let since = |whom: &Paused| pauses.of(whom).map(|fact| Ms(fact.at_ms));
        match line {
            Line::Lane(system, lane) => {
                let depth = system
                    .as_ref()
                    .map_or_else(Depth::default, |system| self.inner.depths.of(system)[lane]);
                QueueLine {
                    lane: Some(SERVED[lane]),
                    agency: None,
                    systems: system.iter().cloned().collect(),
                    state,
                    figures,
                    ready: depth.ready,
                    unacked: depth.unacked,
                    streams: around.streams,
                    last_fetch: around.last_fetch,
                    paused: system
                        .as_ref()
                        .and_then(|system| since(&Paused::System(system.clone()))),
                    system,
                }
            }
            Line::Agency(agency) => {
                let systems = self.registry.systems_of(agency).to_vec();
                let by_system = systems
                    .iter()
                    .find_map(|system| since(&Paused::System(system.clone())));
                QueueLine {
                    system: None,
                    lane: None,
                    agency: Some(party(self.registry, agency, "")),
                    state,
                    figures,
                    ready: 0,
                    unacked: 0,
                    streams: around.streams,
                    last_fetch: around.last_fetch,
                    paused: since(&Paused::Agency(agency))
                        .or_else(|| by_system.filter(|_| around.paused)),
                    systems,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(waiting: u64, dead: u64, held: u64, oldest: Option<i64>) -> Figures {
        Figures {
            lanes: [0, 0, 0, waiting],
            pending: waiting,
            dead,
            held,
            oldest: oldest.map(Ms),
            ..Figures::default()
        }
    }

    #[test]
    fn every_state_has_its_ground_and_the_worst_wins() {
        const NOW: Ms = Ms(100_000_000);
        let around = Around {
            streams: 1,
            lease_ms: 300_000,
            ..Around::default()
        };
        let fresh = Some(NOW.0 - 1_000);
        let old = Some(NOW.0 - 400_000);
        let gone = Around {
            streams: 0,
            last_fetch: Some(Ms(NOW.0 - COMES - 1)),
            ..around
        };
        let fetches = Around {
            streams: 0,
            last_fetch: Some(Ms(NOW.0 - COMES)),
            ..around
        };
        let with = |change: fn(&mut Around)| {
            let mut all = gone;
            change(&mut all);
            all
        };
        let cases = [
            (figures(0, 0, 0, None), around, QueueState::Idle),
            (figures(1, 0, 9, fresh), around, QueueState::Flowing),
            (figures(1, 0, 0, fresh), fetches, QueueState::Flowing),
            (figures(0, 0, 9, None), around, QueueState::Held),
            (figures(1, 0, 0, old), around, QueueState::Slow),
            (figures(1, 1, 0, old), around, QueueState::DeadLetters),
            (figures(0, 1, 0, None), gone, QueueState::DeadLetters),
            (figures(1, 1, 0, old), gone, QueueState::NoConsumer),
            (
                figures(1, 1, 0, old),
                with(|a| a.paused = true),
                QueueState::Paused,
            ),
            (
                figures(1, 1, 0, old),
                with(|a| a.shut_out = true),
                QueueState::ShutOut,
            ),
            (
                figures(1, 1, 0, old),
                with(|a| a.no_system = true),
                QueueState::NoSystem,
            ),
            (
                figures(1, 1, 0, old),
                with(|a| a.blocked = true),
                QueueState::Blocked,
            ),
            (
                figures(0, 0, 0, None),
                with(|a| a.blocked = true),
                QueueState::Idle,
            ),
        ];
        for (figures, around, expected) in cases {
            assert_eq!(
                state(&figures, &around, NOW),
                expected,
                "{figures:?} {around:?}"
            );
        }
        let moving = Figures {
            left: 3,
            ..figures(1, 0, 0, old)
        };
        assert_eq!(state(&moving, &around, NOW), QueueState::Flowing);
    }

    #[test]
    fn the_list_is_in_the_order_of_its_tokens() {
        let line = |lane| Line::Lane(Some("so-a".parse().unwrap()), lane);
        let mut keys = [
            Key(QueueState::Idle, i64::MAX, line(0)),
            Key(QueueState::NoConsumer, 9, line(1)),
            Key(QueueState::NoConsumer, 8, line(3)),
            Key(QueueState::NoConsumer, 8, line(2)),
            Key(QueueState::Blocked, 10, line(0)),
        ];
        keys.sort_by_key(Key::token);
        let order: Vec<_> = keys
            .iter()
            .map(|key| (key.0, key.1, key.2.clone()))
            .collect();
        assert!(order.is_sorted());
        assert_eq!(order[0].0, QueueState::Blocked);
    }
}
