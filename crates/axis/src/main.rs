//! The one binary: configuration, wiring, commands.
//!
//! `axis serve` is the daemon; `axis demo` an axis of its own in a temporary folder; the other
//! commands speak to a daemon, as a system (`--server`) or as its operator (`--data`), or work
//! on files alone (`check`, `pki`). One file a command under [`command`].
//!
//! Exit codes: 0 done, 1 refused or not found, 2 wrong use, 3 the axis cannot be reached.

mod appear;
mod certificates;
mod cli;
mod command;
mod config;
mod descriptors;
mod door;
mod failure;
mod inbox;
mod log;
mod output;
mod refusal;
mod shape;
mod signals;
mod story;
mod supervised;
mod watchdog;
mod words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The only provider of cryptography; it can be installed already by nobody but us.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("axis: a provider of cryptography is installed already");
        return ExitCode::FAILURE;
    }
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("axis: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(cli.run());
    // A blocked thread (a read from a terminal) must not keep a finished command alive.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
