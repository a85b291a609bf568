//! The exchange against a model of it (design sections 5 to 7): random agencies' documents,
//! updates, replacements, recalls and statuses, fetches, streams, settles, pauses, passing time,
//! stops, kills and power cuts happen to both; after each step all packages, deliveries, cells
//! and queues agree, and what is offered is what the model has on offer, once.
//!
//! `cargo xtask model` runs many cases and prints the table of what was met. A case is told by
//! the seed and its number: the variables `AXIS_MODEL_SEED`, `AXIS_MODEL_CASES` (how many) and
//! `AXIS_MODEL_FIRST` (the number of the first) choose them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod case;
mod event;
mod found;
mod hits;
mod model;
mod world;

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use self::event::Event;
use self::hits::Hits;
use self::world::{Start, Wrong};

/// The cases of the short form.
const SHORT: u64 = 60;
/// From so many cases on, every cell within reach must have been met so often.
const LONG: u64 = 10_000;
const MET: u64 = 50;
/// The seed, unless one is given.
const SEED: u64 = 20_261_122;
/// Steps of a case.
const STEPS: std::ops::Range<usize> = 30..45;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().expect("a whole number"),
        Err(_) => default,
    }
}

/// Runs one life after the other on one thread.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// One case, shrunk if it fails.
fn one(start: &Start, seed: u64, number: u64, hits: &RefCell<Hits>) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&number.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = ProptestConfig {
        max_shrink_iters: 500,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let cases = (1_u32..3, prop::collection::vec(event::event(), STEPS));
    let tree = cases.new_tree(&mut runner);
    let tree = tree.map_err(|reason| reason.to_string())?;
    let (_, events) = tree.current();
    let ran = runner.run_one(tree, |(unsettled, events)| {
        let mut hits = hits.borrow_mut();
        run(case::case(start, unsettled, &events, &mut hits)).map_err(TestCaseError::fail)
    });
    match ran {
        Ok(_) => Ok(()),
        Err(TestError::Fail(why, least)) => Err(format!(
            "seed {seed}, case {number} ({} steps) fails: {why}\nthe least that does: {least:#?}",
            events.len()
        )),
        Err(TestError::Abort(why)) => Err(format!("seed {seed}, case {number}: {why}")),
    }
}

/// The cases, on as many threads as there are cores.
fn all(seed: u64, first: u64, cases: u64) -> Result<Hits, String> {
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let total = Mutex::new((Hits::default(), Vec::<String>::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let start = run(Start::new());
                let hits = RefCell::new(Hits::default());
                while !failed.load(Ordering::SeqCst) {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= first + cases {
                        break;
                    }
                    if let Err(why) = one(&start, seed, number, &hits) {
                        failed.store(true, Ordering::SeqCst);
                        total.lock().unwrap().1.push(why);
                    }
                }
                total.lock().unwrap().0.add(hits.into_inner());
            });
        }
    });
    let (hits, failures) = total.into_inner().unwrap();
    if failures.is_empty() {
        return Ok(hits);
    }
    Err(failures.join("\n"))
}

#[test]
fn the_exchange_is_what_its_model_says_whatever_happens_to_it() {
    let seed = number("AXIS_MODEL_SEED", SEED);
    let cases = number("AXIS_MODEL_CASES", SHORT);
    let begun = std::time::Instant::now();
    println!("seed {seed}, {cases} cases");
    let hits = match all(seed, number("AXIS_MODEL_FIRST", 0), cases) {
        Ok(hits) => hits,
        Err(why) => panic!("{why}"),
    };
    println!("{}\nseed {seed}, in {:.0?}", hits.table(), begun.elapsed());
    let unforeseen = hits.unforeseen();
    assert!(unforeseen.is_empty(), "{unforeseen:?}");
    let least = if cases >= LONG { MET } else { 0 };
    let seldom = hits.seldom(least);
    assert!(
        seldom.is_empty(),
        "met fewer than {least} times: {seldom:?}"
    );
}

/// Runs these events as a case.
pub(crate) fn holds(events: &[Event]) {
    let ran: Result<(), Wrong> = run(async {
        let start = Start::new().await;
        case::case(&start, 2, events, &mut Hits::default()).await
    });
    if let Err(wrong) = ran {
        panic!("{wrong}");
    }
}
