//! `cargo xtask bench`: drives a real daemon and measures it.
//!
//! Beside the axis runs `echo`, a bare gRPC server that receives the same bytes from the same
//! driver and answers. Rounds of all contenders alternate, and what counts are the ratios of
//! their medians: absolute rates say more about the machine and its neighbours.
//!
//! With `--bus amqp` beside `raw` as well: what a broker alone can do with the same bytes.
//!
//! The driver needs the crates of the axis and must itself be optimised, so it stands behind the
//! feature `bench` of this crate: without it [`run`] calls this program again, built for release
//! with the feature.

use std::path::PathBuf;

use anyhow::Result;

#[cfg(feature = "bench")]
mod echo;
#[cfg(feature = "bench")]
mod figures;
#[cfg(feature = "bench")]
mod ground;
#[cfg(feature = "bench")]
mod load;
#[cfg(feature = "bench")]
mod many;
#[cfg(feature = "bench")]
mod package;
#[cfg(feature = "bench")]
mod raw;
#[cfg(feature = "bench")]
mod series;
#[cfg(feature = "bench")]
mod surroundings;

/// What to measure and where the figures go.
#[derive(Debug, clap::Args)]
#[cfg_attr(not(feature = "bench"), allow(dead_code))]
pub(crate) struct Args {
    /// Two short rounds a size: shows that the driver works, not how fast the axis is.
    #[arg(long)]
    quick: bool,
    /// Only these sizes; may be given more than once.
    #[arg(long = "size", value_name = "SIZE", value_parser = ["8KiB", "64KiB", "1MiB", "20MiB"])]
    sizes: Vec<String>,
    /// Rounds of each contender at each size.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The axis behind TLS too.
    #[arg(long)]
    tls: bool,
    /// Beside them the axis over a private RabbitMQ, and `raw`: a bare publisher and consumer at
    /// their best setting, which is looked for first.
    #[arg(long, value_name = "BUS", value_parser = ["amqp"])]
    bus: Option<String>,
    /// In place of the rounds: 2,000 agencies in 50 systems, then in 2,000, all streaming over a
    /// private RabbitMQ: times, memory, and how long they wait when it was killed.
    #[arg(long, conflicts_with_all = ["bus", "tls", "sizes"])]
    many: bool,
    /// Where the daemon keeps its data while it is measured: the disk that counts [default: the
    /// system's temporary folder].
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
    /// Write the figures here as JSON, besides the table on the screen (from the workspace's root).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be the echo.
    #[arg(long, hide = true)]
    echo_server: bool,
}

/// Measures; `false` when a figure misses its bound.
#[cfg(feature = "bench")]
pub(crate) fn run(args: &Args) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if args.echo_server {
        return runtime.block_on(echo::serve()).map(|()| true);
    }
    series::run(&runtime, args)
}

/// Builds the optimised driver and hands over to it.
#[cfg(not(feature = "bench"))]
pub(crate) fn run(_: &Args) -> Result<bool> {
    use crate::step::Step;

    let given: Vec<String> = std::env::args().skip(2).collect();
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
    call.extend(given.iter().map(String::as_str));
    match Step::cargo(&call).run() {
        Ok(_) => Ok(true),
        Err(failure) => {
            eprintln!("bench failed: {}", failure.why);
            Ok(false)
        }
    }
}
