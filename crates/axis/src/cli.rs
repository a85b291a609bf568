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
    /// Show the whole story on real packages: an axis in a temporary folder
    Demo(command::demo::Args),
    /// Run the axis
    Serve(command::serve::Args),
    /// Check edXML files; needs no axis
    Check(command::check::Args),
    /// Show a package as a person reads it, and take out its attachments; needs no axis
    Show(command::show::Args),
    /// Push packages (as a system)
    Send(command::send::Args),
    /// Receive what waits (as a system)
    Receive(command::receive::Args),
    /// Report a processing status, or show those of a document
    #[command(subcommand)]
    Status(command::status::Command),
    /// Tell the story of a package, a delivery or a document
    Trace(command::trace::Args),
    /// Search packages, or refused pushes
    History(command::history::Args),
    /// The agencies
    #[command(subcommand)]
    Registry(command::registry::Command),
    /// The connected systems and their keys
    #[command(subcommand)]
    System(command::system::Command),
    /// People's accounts, for those who come over the network
    #[command(subcommand)]
    Access(command::access::Command),
    /// What waits, per system and lane or per agency, the worst first
    Queues(command::queues::Args),
    /// The same live in a terminal, with the alerts
    Top(command::top::Args),
    /// What the broker team sets up for the AMQP bus
    #[command(subcommand)]
    Bus(command::bus::Command),
    /// What must be looked at: alerts that stand, or all there were
    Alerts(command::alerts::Args),
    /// Why something has not arrived, whose turn it is, and what helps
    Why(command::why::Args),
    /// Stop delivery to an agency or a system; admission goes on
    Pause(command::pause::Args),
    /// Let what a pause kept flow
    Resume(command::pause::Args),
    /// Deliveries given up after too many leases
    #[command(subcommand)]
    Dead(command::dead::Command),
    /// Deliver again what was settled: after a receiver restored an old backup
    Redeliver(command::redeliver::Args),
    /// Take a document back from its receivers (as its sender's system)
    Recall(command::recall::Args),
    /// What agencies owe; or ask again for the answer to a recall
    Remind(command::remind::Args),
    /// Remove the content of an approved list of packages; their record stays
    Remove(command::remove::Args),
    /// Statuses whose document has not come
    Unmatched(command::unmatched::Args),
    /// Numbers that more than one document of an agency has in one year
    Duplicates(command::duplicates::Args),
    /// The working days and hours that the rules count by; needs no axis
    Calendar(command::calendar::Args),
    /// Check the journal: chain, records, payloads, anchors
    Verify(command::verify::Args),
    /// The index
    #[command(subcommand)]
    Index(command::index::Command),
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
            Command::Demo(args) => Box::pin(command::demo::run(args)).await,
            Command::Serve(args) => Box::pin(command::serve::run(args)).await,
            Command::Check(args) => command::check::run(&args),
            Command::Show(args) => command::show::run(&args),
            Command::Send(args) => Box::pin(command::send::run(args)).await,
            Command::Receive(args) => Box::pin(command::receive::run(args)).await,
            Command::Status(command) => Box::pin(command::status::run(command)).await,
            Command::Trace(args) => Box::pin(command::trace::run(args)).await,
            Command::History(args) => Box::pin(command::history::run(args)).await,
            Command::Registry(command) => Box::pin(command::registry::run(command)).await,
            Command::System(command) => Box::pin(command::system::run(command)).await,
            Command::Access(command) => Box::pin(command::access::run(command)).await,
            Command::Queues(args) => Box::pin(command::queues::run(args)).await,
            Command::Top(args) => Box::pin(command::top::run(args)).await,
            Command::Bus(command) => Box::pin(command::bus::run(command)).await,
            Command::Alerts(args) => Box::pin(command::alerts::run(args)).await,
            Command::Why(args) => Box::pin(command::why::run(args)).await,
            Command::Pause(args) => Box::pin(command::pause::pause(args)).await,
            Command::Resume(args) => Box::pin(command::pause::resume(args)).await,
            Command::Dead(command) => Box::pin(command::dead::run(command)).await,
            Command::Redeliver(args) => Box::pin(command::redeliver::run(args)).await,
            Command::Recall(args) => Box::pin(command::recall::run(args)).await,
            Command::Remind(args) => Box::pin(command::remind::run(args)).await,
            Command::Remove(args) => Box::pin(command::remove::run(args)).await,
            Command::Unmatched(args) => Box::pin(command::unmatched::run(args)).await,
            Command::Duplicates(args) => Box::pin(command::duplicates::run(args)).await,
            Command::Calendar(args) => command::calendar::run(&args),
            Command::Verify(args) => Box::pin(command::verify::run(args)).await,
            Command::Index(command) => command::index::run(command),
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
