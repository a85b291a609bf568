//! What a national list costs: memory, the time to look a code up beside a bare hash map's, and
//! the time of one change while somebody keeps each snapshot.
//!
//! `cargo bench -p ledger --bench registry`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and what it cannot do ends it"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use ledger::Fact;
use ledger::event::{AgenciesChanged, AgencyChange, AgencyRecorded, AgencyState};
use ledger::id::AgencyId;
use ledger::registry::{EVERYTHING, Field, Registry};
use ledger::time::Ms;

/// As many as the national list has.
const AGENCIES: u32 = 120_000;
const ROUNDS: usize = 7;

fn agency(id: u32) -> AgencyRecorded {
    let (group, number) = (id / 1_000, id % 1_000);
    AgencyRecorded {
        agency: id,
        code: format!(
            "{number:03}.{:02}.{:02}.H{:02}",
            group % 100,
            id % 97,
            group % 64
        ),
        code_2020: format!("H{:02}.{group:03}.{number:03}", group % 64),
        name: format!("Ủy ban nhân dân xã số {id}, tỉnh thử nghiệm {group}"),
        parent: (id > 1).then_some(1 + id / 100),
        state: AgencyState::Active.into(),
        kind: "Ủy ban nhân dân cấp xã".into(),
        level: "3".into(),
        ..AgencyRecorded::default()
    }
}

fn act(changes: Vec<(AgencyRecorded, u32)>) -> Fact {
    Fact::AgenciesChanged(Box::new(AgenciesChanged {
        decision: "1/QĐ-TTg".into(),
        changes: changes
            .into_iter()
            .map(|(to, sets)| AgencyChange {
                to: Some(to),
                sets,
                ..AgencyChange::default()
            })
            .collect(),
        ..AgenciesChanged::default()
    }))
}

/// Memory of this process that is in use, MiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let codes: Vec<String> = (1..=AGENCIES).map(|id| agency(id).code_2020).collect();
    let before = resident();
    let started = Instant::now();
    let mut registry = Registry::default();
    for first in (1..=AGENCIES).step_by(1_000) {
        let some = (first..first + 1_000).map(|id| (agency(id), EVERYTHING));
        registry.apply(&act(some.collect()));
    }
    let taken = started.elapsed();
    println!(
        "{AGENCIES} agencies: {:.0} MiB, taken over in {taken:?}",
        resident() - before
    );

    let bare: HashMap<&str, AgencyId> = codes
        .iter()
        .zip(1..)
        .map(|(code, id)| (code.as_str(), AgencyId(id)))
        .collect();
    let seen = registry.as_of(Ms(1));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // Alternated, in an order that no cache likes.
    let asked: Vec<&str> = (0..codes.len())
        .map(|at| codes[at * 7_919 % codes.len()].as_str())
        .collect();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        for code in &asked {
            black_box(seen.resolve(black_box(code)));
        }
        ours.push(started.elapsed());
        let started = Instant::now();
        for code in &asked {
            black_box(bare.get(black_box(*code)));
        }
        theirs.push(started.elapsed());
    }
    let each = |time: Duration| time / AGENCIES;
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "a code looked up: {:?}; in a bare hash map: {:?}; ratio {:.1}",
        each(ours),
        each(theirs),
        ours.as_secs_f64() / theirs.as_secs_f64()
    );

    let mut held = Vec::new();
    let started = Instant::now();
    for id in 1..=1_000 {
        held.push(registry.clone());
        let to = AgencyRecorded {
            agency: id,
            name: format!("Tên mới {id}"),
            ..AgencyRecorded::default()
        };
        registry.apply(&act(vec![(to, Field::Name.bit())]));
    }
    println!(
        "a change of one agency, each snapshot kept: {:?}",
        started.elapsed() / 1_000
    );
}
