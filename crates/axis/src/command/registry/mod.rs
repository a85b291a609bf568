//! `axis registry`: the agencies, their changes and their lists.

mod change;
mod file;
mod idle;
mod look;
mod told;
mod tree;

use api::client::Client;
use api::v1;
use clap::{Args, Subcommand, ValueEnum};

use crate::door::{EitherArgs, PersonArgs};
use crate::failure::Failure;

/// A question, which anybody may ask that the axis knows.
#[derive(Debug, Args)]
struct AskArgs {
    /// JSON on stdout, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

impl AskArgs {
    async fn connect(&self) -> Result<Client, Failure> {
        self.door.connect().await
    }
}

/// An act of a person.
#[derive(Debug, Args)]
struct ActArgs {
    /// JSON on stdout, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: PersonArgs,
}

impl ActArgs {
    async fn connect(&self) -> Result<Client, Failure> {
        self.door.connect().await
    }
}

/// From when, by which decision, why.
#[derive(Debug, Args)]
struct WhenArgs {
    /// From when: a day (00:00 of it in Vietnam) or a moment; may lie ahead [default: now]
    #[arg(long, value_name = "MOMENT")]
    effective: Option<String>,
    /// The number of the decision
    #[arg(long, value_name = "NUMBER")]
    decision: Option<String>,
    /// Why, where no decision says it
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Check everything and show what would change; change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Whether codes may follow no form.
#[derive(Debug, Args)]
struct IrregularArgs {
    /// Register codes that follow no form all the same, for the reason that --why gives
    #[arg(long, requires = "why")]
    irregular: bool,
}

impl IrregularArgs {
    /// The reason, if they may.
    fn reason(&self, when: &WhenArgs) -> Option<String> {
        when.why.clone().filter(|_| self.irregular)
    }
}

/// What becomes of what waits for a closed agency.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Deliveries {
    /// It stays with the system that serves the agency now
    Stay,
    /// The successor's system serves it
    Move,
}

impl Deliveries {
    fn wire(said: Option<Self>) -> i32 {
        match said {
            None => v1::OpenDeliveries::Unspecified,
            Some(Self::Stay) => v1::OpenDeliveries::Stay,
            Some(Self::Move) => v1::OpenDeliveries::Move,
        }
        .into()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The agencies as a tree, or what lies under one of them
    Tree(look::TreeArgs),
    /// The agencies, or those that match
    List(look::ListArgs),
    /// The agencies whose codes or names have all these words, in any order
    Search(look::SearchArgs),
    /// One agency, by any of its codes
    Show(look::ShowArgs),
    /// The agencies as they were, or will be, at a moment
    AsOf(look::AsOfArgs),
    /// What was changed, by whom and by which decision, the last first
    Log(look::LogArgs),
    /// What differs between two moments, or two published versions
    Diff(look::DiffArgs),

    /// A new agency
    Add(change::AddArgs),
    /// Ask for a new agency, to be approved
    Request(change::AddArgs),
    /// Approve one that was asked for
    Approve(change::ApproveArgs),
    /// Another name
    Rename(change::RenameArgs),
    /// Another code; it is still found by the one before
    Recode(change::RecodeArgs),
    /// Under another agency
    Move(change::MoveArgs),
    /// Kind, level, contact, centre, policy
    Describe(change::DescribeArgs),
    /// Several become one
    Merge(change::MergeArgs),
    /// One becomes several
    Split(change::SplitArgs),
    /// End an agency
    Close(change::CloseArgs),
    /// Open a closed one again
    Reopen(change::StateArgs),
    /// Stop one sending
    Suspend(change::SuspendArgs),
    /// Let it send again
    Resume(change::StateArgs),
    /// Take back a planned change (its number: axis registry log)
    Withdraw(change::WithdrawArgs),

    /// Take agencies from a list: CSV, XLSX or JSON, all of it or nothing
    Import(file::ImportArgs),
    /// The list as a file: CSV, XLSX or JSON
    Export(file::ExportArgs),
    /// Make the next published version of the list
    Publish(file::PublishArgs),
    /// The published versions
    Versions(file::VersionsArgs),
    /// Note that a version was sent to the ministry
    Sent(file::SentArgs),
    /// Compare with another list, such as the national one
    Compare(file::CompareArgs),
    /// Codes in packages that nobody registered
    Unknown(file::UnknownArgs),
    /// Active agencies that neither sent nor received anything in a period
    Idle(idle::IdleArgs),
    /// Take over agencies from another list, such as the national one
    Adopt(file::AdoptArgs),
}

/// Runs `axis registry`.
///
/// # Errors
/// A refusal, problems in a file, or no axis there.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Tree(args) => look::tree(args).await,
        Command::List(args) => look::list(args).await,
        Command::Search(args) => look::search(args).await,
        Command::Show(args) => look::show(args).await,
        Command::AsOf(args) => look::as_of(args).await,
        Command::Log(args) => look::log(args).await,
        Command::Diff(args) => look::diff(args).await,
        Command::Add(args) => change::add(args, false).await,
        Command::Request(args) => change::add(args, true).await,
        Command::Approve(args) => change::approve(args).await,
        Command::Rename(args) => change::rename(args).await,
        Command::Recode(args) => change::recode(args).await,
        Command::Move(args) => change::move_under(args).await,
        Command::Describe(args) => change::describe(args).await,
        Command::Merge(args) => change::merge(args).await,
        Command::Split(args) => change::split(args).await,
        Command::Close(args) => change::close(args).await,
        Command::Reopen(args) => change::reopen(args).await,
        Command::Suspend(args) => change::suspend(args).await,
        Command::Resume(args) => change::resume(args).await,
        Command::Withdraw(args) => change::withdraw(args).await,
        Command::Import(args) => file::import(args).await,
        Command::Export(args) => file::export(args).await,
        Command::Publish(args) => file::publish(args).await,
        Command::Versions(args) => file::versions(args).await,
        Command::Sent(args) => file::sent(args).await,
        Command::Compare(args) => file::compare(args).await,
        Command::Unknown(args) => file::unknown(args).await,
        Command::Idle(args) => idle::idle(args).await,
        Command::Adopt(args) => file::adopt(args).await,
    }
}
