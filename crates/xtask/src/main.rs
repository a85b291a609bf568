//! The project's chores, run as `cargo xtask <chore>`.
//!
//! * `test`: everything that must hold before a change is taken, part by part (see [`parts`]).
//! * `lint`: what can be said without running anything: format, clippy, docs, licences, advisories.
//! * `sabotage`: breaks one promise at a time in a copy of the tree and names the test that notices.
//! * `fuzz`: the package format's fuzz bodies under libFuzzer, where a nightly toolchain is.
//! * `model`: the exchange against a model of it, many random cases long.
//! * `duties`: runs the tests that prove the duties and writes `docs/duties.md`.
//! * `bench`: drives a real daemon and prints rates, latencies, CPU per package and memory.
//!
//! Promises: a chore never skips because something is missing (it installs it or says the line to
//! type), and what failed is followed by the exact command that shows it again.
//!
//! ```text
//! cargo xtask test --list
//! cargo xtask test --part fences --part doctests
//! cargo xtask sabotage --only fence-blind
//! ```

mod bench;
mod duties;
mod fences;
mod fuzz;
mod lint;
mod model;
mod need;
mod parts;
mod sabotage;
mod step;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Everything that must hold before a change is taken.
    Test(parts::Args),
    /// Format, clippy, documentation, bans, licences, sources, advisories.
    Lint(parts::Args),
    /// Break one promise at a time and name the test that notices.
    Sabotage(sabotage::Args),
    /// Fuzz the package format under libFuzzer; needs a nightly toolchain.
    Fuzz(fuzz::Args),
    /// The exchange against its model: random cases, the table of what they met.
    Model(model::Args),
    /// Run the tests that prove the duties, and write the page that says so.
    Duties(duties::Args),
    /// Drive a real daemon and measure it.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let chore = Chore::parse();
    let done = enter_workspace().and_then(|()| match chore {
        Chore::Test(args) => parts::run(&args),
        Chore::Lint(args) => lint::run(&args),
        Chore::Sabotage(args) => sabotage::run(&args),
        Chore::Fuzz(args) => fuzz::run(&args),
        Chore::Model(args) => model::run(&args),
        Chore::Duties(args) => duties::run(&args),
        Chore::Bench(args) => bench::run(&args),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every chore works from the workspace's root, wherever it was called.
fn enter_workspace() -> Result<()> {
    let manifest = step::output(
        "cargo",
        &["locate-project", "--workspace", "--message-format", "plain"],
    )?;
    let mut root = PathBuf::from(manifest.trim());
    let _ = root.pop();
    std::env::set_current_dir(&root)
        .with_context(|| format!("cannot enter the workspace at {}", root.display()))
}
