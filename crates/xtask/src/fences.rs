//! What the compiler cannot check and the design fixes: who may depend on what, which crates must
//! not be in the graph, what lies at the top, and that no file names a machine or a registry.
//!
//! Each fence is a pure function from what cargo or git says to a list of breaches; a breach says
//! what is wrong and what to do.

mod graph;
mod texts;

use std::path::Path;

use anyhow::{Context, Result};

use crate::step::{Failure, Outcome, output};
use crate::tally::Tally;

/// Checks every fence.
pub(crate) fn run() -> Outcome {
    let failure = |why| Failure {
        why,
        rerun: "cargo xtask test --part fences".to_owned(),
        tally: Tally::default(),
    };
    let breaches = breaches().map_err(|error| failure(format!("{error:#}")))?;
    if breaches.is_empty() {
        return Ok(Tally::default().into());
    }
    for breach in &breaches {
        println!("  - {breach}");
    }
    Err(failure(format!(
        "{} broken:\n  - {}",
        breaches.len(),
        breaches.join("\n  - ")
    )))
}

fn breaches() -> Result<Vec<String>> {
    let metadata = output(
        "cargo",
        &["metadata", "--format-version", "1", "--no-deps", "--locked"],
    )?;
    let members = graph::members(&metadata)?;
    // What is built for any target, with every feature of ours; an unused option in Cargo.lock is
    // not in it.
    let tree = output(
        "cargo",
        &[
            "tree",
            "--workspace",
            "--locked",
            "--all-features",
            "--target",
            "all",
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ],
    )?;
    let mut found = graph::owners(&members);
    found.extend(graph::order(&members));
    found.extend(graph::versions(&tree));

    let files = files()?;
    found.extend(texts::top_level(&files));
    for file in &files {
        // A file that git still lists and that is deleted in the checkout is no breach.
        let path = Path::new(file);
        if path.is_file() {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {file}"))?;
            found.extend(texts::places(file, &String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(found)
}

/// The files that are or would be committed, relative to the root.
pub(crate) fn files() -> Result<Vec<String>> {
    let listed = output(
        "git",
        &[
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ],
    )?;
    Ok(listed.split_terminator('\0').map(str::to_owned).collect())
}
