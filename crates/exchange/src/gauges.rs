//! What the exchange can tell of itself at any moment, without asking a disk: for metrics.

use ledger::id::SystemId;
use ledger::time::Ms;

use crate::alerts::Backlog;
use crate::service::Exchange;

/// How the way to the broker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusState {
    /// Queues in memory: always there.
    Embedded,
    /// Connected, and the broker takes messages.
    Up,
    /// Connected; the broker takes none until its alarm is over.
    Blocked,
    /// Not connected.
    Away,
}

/// The exchange at one moment.
#[derive(Debug, Clone)]
pub struct Gauges {
    /// When it was opened.
    pub started_at: Ms,
    /// Now, by its clock.
    pub now: Ms,
    /// It does what it is for.
    pub serving: bool,
    /// A failed write has made it read-only.
    pub read_only: bool,
    /// Only the disk's reserve is left.
    pub reserve: bool,
    /// The last synced record.
    pub position: u64,
    /// Rows that wait for the index.
    pub index_lag: usize,
    /// Leases held.
    pub leases: usize,
    /// Streams attached, by system.
    pub streams: Vec<(SystemId, u32)>,
    /// The bus.
    pub bus: BusState,
    /// Connections to the broker made so far.
    pub bus_connections: u64,
    /// Agencies registered.
    pub agencies: usize,
    /// Systems registered.
    pub systems: usize,
    /// The first end of a key of each system that has one.
    pub key_ends: Vec<(String, Ms)>,
    /// What waits for whom.
    pub backlog: Backlog,
}

impl Exchange {
    /// How the exchange stands now. Cheap: counts that are kept anyway.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        let inner = &self.inner;
        let registry = inner.ledger.registry();
        let key_ends = registry.systems().filter_map(|system| {
            let ends = system.keys.iter().filter_map(|key| key.not_after_ms);
            Some((system.facts.system.clone(), Ms(ends.min()?)))
        });
        let link = inner.relay.bus().link();
        let link = link.as_ref().map(|link| link.borrow());
        let (bus, bus_connections) = match &link {
            None => (BusState::Embedded, 0),
            Some(link) if link.is_up() => (BusState::Up, link.generation),
            Some(link) if link.is_connected() => (BusState::Blocked, link.generation),
            Some(link) => (BusState::Away, link.generation),
        };
        Gauges {
            started_at: inner.started_at,
            now: inner.now(),
            serving: self.is_serving(),
            read_only: inner.ledger.is_read_only(),
            reserve: inner.ledger.space() == journal::Space::Reserve,
            position: inner.ledger.last().map_or(0, |last| last.position),
            index_lag: inner.ledger.index_lag(),
            leases: inner.leases.len(),
            streams: inner.relay.all_streams(),
            bus,
            bus_connections,
            agencies: registry.agencies().count(),
            systems: registry.systems().count(),
            key_ends: key_ends.collect(),
            backlog: self.backlog(),
        }
    }
}
