//! `cargo xtask fuzz`: the bodies of `crates/edxml/tests/fuzz` under libFuzzer.
//!
//! `cargo xtask test --part fuzz` runs the same bodies on the stable toolchain, with a mutator of its
//! own and without coverage; this chore is for longer, deeper runs.

use anyhow::{Result, bail};

use crate::need;
use crate::step::{Step, output};

/// The targets of `crates/edxml/fuzz`; a test holds the list and the folder together.
const TARGETS: &[&str] = &["package", "identifier", "date", "base64", "zip", "older"];

const FOLDER: &str = "crates/edxml/fuzz";

/// What libFuzzer begins from, beside what it found in former runs.
const SEEDS: &[&str] = &[
    "crates/edxml/tests/data/documents",
    "crates/edxml/tests/data/status",
    "crates/edxml/tests/data/malformed",
    "crates/edxml/tests/data/older-forms",
];

/// How long, and what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this target (may be given several times).
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// How long each target runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u32,
}

/// `cargo xtask fuzz`; `false` when a target found something.
pub(crate) fn run(args: &Args) -> Result<bool> {
    if let Some(name) = args
        .target
        .iter()
        .find(|name| !TARGETS.contains(&name.as_str()))
    {
        bail!(
            "no target is called `{name}`; there are: {}",
            TARGETS.join(", ")
        );
    }
    if output("rustup", &["run", "nightly", "cargo", "--version"]).is_err() {
        bail!(
            "there is no nightly toolchain, and libFuzzer needs one; type\n    \
             rustup toolchain install nightly --profile minimal\n\
             The same bodies run on the stable toolchain:\n    cargo xtask test --part fuzz"
        );
    }
    need::ensure(&[&need::CARGO_FUZZ])?;
    let chosen = |name: &&&str| args.target.is_empty() || args.target.iter().any(|t| t == *name);
    for target in TARGETS.iter().filter(chosen) {
        let corpus = format!("{FOLDER}/corpus/{target}");
        std::fs::create_dir_all(&corpus)?;
        let seconds = format!("-max_total_time={}", args.seconds);
        let mut words = vec![
            "run",
            "nightly",
            "cargo",
            "fuzz",
            "run",
            "--fuzz-dir",
            FOLDER,
            target,
            &corpus,
        ];
        words.extend(SEEDS);
        // A package may be large; time and memory must not be.
        words.extend([
            "--",
            &seconds,
            "-max_len=65536",
            "-timeout=10",
            "-rss_limit_mb=1024",
        ]);
        if let Err(failure) = Step::new("rustup", &words).run() {
            println!(
                "\n{target} failed: {}\nto see it again:\n    {}",
                failure.why, failure.rerun
            );
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_target_has_its_file_and_its_body() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let files: BTreeSet<String> = std::fs::read_dir(root.join(FOLDER).join("targets"))
            .unwrap()
            .map(|file| {
                file.unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let known: BTreeSet<String> = TARGETS.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(files, known);
        let manifest = std::fs::read_to_string(root.join(FOLDER).join("Cargo.toml")).unwrap();
        let bodies =
            std::fs::read_to_string(root.join("crates/edxml/tests/fuzz/bodies.rs")).unwrap();
        for name in TARGETS {
            assert!(
                manifest.contains(&format!("path = \"targets/{name}.rs\"")),
                "{name}"
            );
            assert!(bodies.contains(&format!("(\"{name}\", {name})")), "{name}");
        }
        for seeds in SEEDS {
            assert!(root.join(seeds).is_dir(), "{seeds}");
        }
    }
}
