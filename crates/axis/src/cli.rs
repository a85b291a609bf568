//! The command line.

use clap::{Parser, Subcommand};

use crate::command;
use crate::failure::Failure;

/// Version and commit: what `axis --version` tells and what the daemon says of itself.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("AXIS_COMMIT"), ")");

/// Trục liên thông văn bản nội tỉnh: the hub through which the agencies of one province exchange
/// official documents (edXML, QCVN 102:2016).
///
/// Exit codes: 0 done, 1 refused or not found, 2 wrong use, 3 the axis cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "axis", version = VERSION, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the axis
    Serve(command::serve::Args),
    /// Make certificates
    #[command(subcommand)]
    Pki(command::pki::Command),
}

impl Cli {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// What the command could not do.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(args) => Box::pin(command::serve::run(args)).await,
            Command::Pki(command) => command::pki::run(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Duty SC-10: the version tells the release and the commit.
    #[test]
    fn sc_10_the_version_tells_release_and_commit() {
        let version = Cli::command().render_version();
        assert!(
            version.starts_with(&format!("axis {} (", env!("CARGO_PKG_VERSION"))),
            "{version}"
        );
        assert!(version.trim_end().ends_with(')'));
    }
}
