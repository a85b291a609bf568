//! `cargo xtask lint`: what can be said without running anything.

use anyhow::Result;

use crate::need;
use crate::parts::{self, Part};
use crate::step::{Done, Outcome, Step};
use crate::tally::Tally;

/// The parts of `cargo xtask lint`; the first ones are those of `cargo xtask test`.
#[rustfmt::skip]
const PARTS: &[Part] = &[
    parts::FMT,
    parts::CLIPPY,
    parts::RUSTDOC,
    Part { name: "deny", what: "bans, licences and sources as deny.toml says", needs: &[&need::CARGO_DENY], run: deny },
    Part { name: "advisories", what: "no known vulnerability in the graph", needs: &[&need::CARGO_DENY], run: advisories },
];

/// `cargo xtask lint`; `false` when a part failed.
pub(crate) fn run(args: &parts::Args) -> Result<bool> {
    parts::run_table(PARTS, args)
}

fn deny() -> Outcome {
    Step::cargo(&[
        "deny",
        "--workspace",
        "--all-features",
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ])
    .run()
}

/// The database comes over the network. Without one nothing is known, which is said and is no
/// failure; with one every advisory counts.
fn advisories() -> Outcome {
    if let Err(failure) = Step::cargo(&["deny", "--workspace", "fetch", "db"]).run() {
        println!(
            "NOT CHECKED: the advisory database could not be fetched ({}); where the network allows, type\n    {}",
            failure.why, failure.rerun
        );
        return Ok(Done {
            tally: Tally::default(),
            said: "NOT CHECKED, no network",
        });
    }
    Step::cargo(&[
        "deny",
        "--workspace",
        "--all-features",
        "--locked",
        "check",
        "--disable-fetch",
        "advisories",
    ])
    .run()
}
