//! `cargo xtask fuzz`: the bodies of `tests/fuzz` of the crates that read what others write, under
//! libFuzzer.
//!
//! `cargo xtask test --part fuzz` runs the same bodies on the stable toolchain, with a mutator of its
//! own and without coverage; this chore is for longer, deeper runs.

use anyhow::{Result, bail};

use crate::need;
use crate::step::{Step, output};

/// A crate with fuzz bodies.
struct Fuzzed {
    /// Its folder.
    folder: &'static str,
    /// The targets in its folder `fuzz`; a test holds the list and the folder together.
    targets: &'static [&'static str],
    /// What libFuzzer begins from, beside what it found in former runs.
    seeds: &'static [&'static str],
}

const FUZZED: &[Fuzzed] = &[
    Fuzzed {
        folder: "crates/edxml",
        targets: &["package", "identifier", "date", "base64", "zip", "older"],
        seeds: &[
            "crates/edxml/tests/data/documents",
            "crates/edxml/tests/data/status",
            "crates/edxml/tests/data/malformed",
            "crates/edxml/tests/data/older-forms",
        ],
    },
    Fuzzed {
        folder: "crates/vxp",
        targets: &["headers", "list", "body"],
        seeds: &["crates/vxp/tests/vectors"],
    },
];

fn all() -> impl Iterator<Item = (&'static Fuzzed, &'static str)> {
    FUZZED
        .iter()
        .flat_map(|fuzzed| fuzzed.targets.iter().map(move |target| (fuzzed, *target)))
}

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
        .find(|name| all().all(|(_, target)| target != name.as_str()))
    {
        let known: Vec<_> = all().map(|(_, target)| target).collect();
        bail!(
            "no target is called `{name}`; there are: {}",
            known.join(", ")
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
    let chosen = |name: &str| args.target.is_empty() || args.target.iter().any(|t| t == name);
    for (fuzzed, target) in all().filter(|(_, name)| chosen(name)) {
        let folder = format!("{}/fuzz", fuzzed.folder);
        let corpus = format!("{folder}/corpus/{target}");
        std::fs::create_dir_all(&corpus)?;
        let seconds = format!("-max_total_time={}", args.seconds);
        let mut words = vec![
            "run",
            "nightly",
            "cargo",
            "fuzz",
            "run",
            "--fuzz-dir",
            &folder,
            target,
            &corpus,
        ];
        words.extend(fuzzed.seeds);
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
        for fuzzed in FUZZED {
            let folder = root.join(fuzzed.folder);
            let files: BTreeSet<String> = std::fs::read_dir(folder.join("fuzz/targets"))
                .unwrap()
                .map(|file| {
                    let path = file.unwrap().path();
                    path.file_stem().unwrap().to_string_lossy().into_owned()
                })
                .collect();
            let known: BTreeSet<String> =
                fuzzed.targets.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(files, known);
            let manifest = std::fs::read_to_string(folder.join("fuzz/Cargo.toml")).unwrap();
            let bodies = std::fs::read_to_string(folder.join("tests/fuzz/bodies.rs")).unwrap();
            for name in fuzzed.targets {
                let path = format!("path = \"targets/{name}.rs\"");
                assert!(manifest.contains(&path), "{name}");
                assert!(bodies.contains(&format!("(\"{name}\", {name})")), "{name}");
            }
            for seeds in fuzzed.seeds {
                assert!(root.join(seeds).is_dir(), "{seeds}");
            }
        }
    }
}
