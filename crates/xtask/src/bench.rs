//! `cargo xtask bench`: drives a real daemon and measures it.
//!
//! The driver needs the crates of the axis and must itself be optimised, so it stands behind the
//! feature `bench` of this crate: without it [`run`] calls this program again, built for release
//! with the feature. The measuring itself goes into `bench/load.rs`.

use std::path::PathBuf;

use anyhow::Result;

/// What to measure and where the figures go.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fewer packages a size: shows that the driver works, not how fast the axis is.
    #[arg(long)]
    quick: bool,
    /// Write the figures here as JSON, besides the table on the screen (from the workspace's root).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures; `false` when a figure misses its bound.
#[cfg(feature = "bench")]
pub(crate) fn run(args: &Args) -> Result<bool> {
    anyhow::bail!(
        "nothing can be measured before the daemon serves (quick: {}, json: {:?})",
        args.quick,
        args.json
    )
}

/// Builds the optimised driver and hands over to it.
#[cfg(not(feature = "bench"))]
pub(crate) fn run(args: &Args) -> Result<bool> {
    use crate::step::Step;

    let mut call = vec![
        "run",
        "--release",
        "--locked",
        "--package",
        "xtask",
        "--features",
        "bench",
        "--",
        "bench",
    ];
    if args.quick {
        call.push("--quick");
    }
    let json = args
        .json
        .as_ref()
        .map(|path| path.to_string_lossy().into_owned());
    if let Some(json) = &json {
        call.extend(["--json", json]);
    }
    match Step::cargo(&call).run() {
        Ok(_) => Ok(true),
        Err(failure) => {
            eprintln!("bench failed: {}", failure.why);
            Ok(false)
        }
    }
}
