//! `cargo xtask model`: the exchange against its model, for longer than among the other tests.
//!
//! The cases and what they are compared with stand in `crates/exchange/tests/model`. The run
//! prints how often each event met each state, and a failure as the least that shows it.

use anyhow::Result;

use crate::step::Step;
use crate::tally::Runner;

/// The one test that runs the cases.
const TEST: &str = "the_exchange_is_what_its_model_says_whatever_happens_to_it";

/// How many cases, and which.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// So many cases; from 10000 on, each cell within reach must be met 50 times.
    #[arg(long, default_value_t = 10_000)]
    cases: u64,
    /// What they are drawn from; the same seed gives the same cases.
    #[arg(long)]
    seed: Option<u64>,
    /// The number of the first case: to see one again.
    #[arg(long, default_value_t = 0)]
    first: u64,
}

/// `cargo xtask model`; `false` when a case failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    if let Err(failure) = step(args).run() {
        println!(
            "\nthe model and the exchange differ: {}\nto see it again:\n    {}",
            failure.why, failure.rerun
        );
        return Ok(false);
    }
    Ok(true)
}

fn step(args: &Args) -> Step {
    let test = ["test", "--locked", "-p", "exchange", "--test", "model"];
    let choice = ["--", "--exact", "--nocapture", TEST];
    let step = Step::cargo(&[test.as_slice(), &choice].concat())
        .env("AXIS_MODEL_CASES", &args.cases.to_string())
        .env("AXIS_MODEL_FIRST", &args.first.to_string())
        .counted(Runner::Libtest);
    match args.seed {
        Some(seed) => step.env("AXIS_MODEL_SEED", &seed.to_string()),
        None => step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_test_that_it_runs_exists_and_reads_what_it_is_told() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source =
            std::fs::read_to_string(root.join("crates/exchange/tests/model/main.rs")).unwrap();
        assert!(source.contains(&format!("fn {TEST}()")));
        let args = Args {
            cases: 7,
            seed: Some(3),
            first: 5,
        };
        let typed = step(&args).to_string();
        for told in [
            "AXIS_MODEL_CASES=7",
            "AXIS_MODEL_SEED=3",
            "AXIS_MODEL_FIRST=5",
        ] {
            let (variable, _) = told.split_once('=').unwrap();
            assert!(source.contains(&format!("\"{variable}\"")), "{variable}");
            assert!(typed.contains(told), "{typed}");
        }
    }
}
