//! Changing the registry: each command is one act, by a person, from a moment on.

use api::v1;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::output;
use crate::shape::{Agency, Change};

use super::{look, told};

/// From when, by which decision, why.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    /// From when: a day (00:00 of it in Vietnam) or a moment; may lie ahead [default: now]
    #[arg(
        long,
        value_name = "MOMENT",
        default_value = "",
        hide_default_value = true
    )]
    effective: String,
    /// The number of the decision
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "",
        hide_default_value = true
    )]
    decision: String,
    /// Why, where no decision says it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    why: String,
    /// Only if it is still at this revision (axis registry show)
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    /// Check everything and show what would change; change nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

impl OrderArgs {
    fn order(&self) -> Option<v1::Order> {
        Some(v1::Order {
            effective: self.effective.clone(),
            decision: self.decision.clone(),
            why: self.why.clone(),
            revision: self.revision,
            dry_run: self.dry_run,
        })
    }

    async fn connect(&self) -> Result<api::client::Client, Failure> {
        self.operator.connect(self.patience).await
    }

    fn tell(&self, answer: &v1::ChangeAgencyResponse) -> Result<(), Failure> {
        let done = Done {
            agency: answer.agency.as_ref().map(Agency::from),
            changes: answer.changes.iter().map(Change::from).collect(),
            effective: answer.effective.clone(),
            planned: answer.planned,
            dry_run: self.dry_run,
        };
        if self.json {
            output::json(&done)?;
            return Ok(());
        }
        if !done.changes.is_empty() {
            output::line(told::changes(&done.changes))?;
        }
        if let Some(agency) = done.agency {
            output::line("")?;
            output::line(look::card(agency))?;
        }
        let said = match (done.dry_run, done.planned) {
            (true, _) => "Chưa thay đổi gì (dry run).".to_owned(),
            (false, true) => format!("Đã ghi, có hiệu lực từ {} (planned).", done.effective),
            (false, false) => format!("Đã ghi, hiệu lực từ {} (done).", done.effective),
        };
        output::line("")?;
        output::line(said)?;
        Ok(())
    }
}

/// What `--json` prints of a change.
#[derive(Debug, Serialize)]
struct Done {
    agency: Option<Agency>,
    changes: Vec<Change>,
    effective: String,
    planned: bool,
    dry_run: bool,
}

/// What describes an agency.
#[derive(Debug, Args)]
pub(crate) struct FactsArgs {
    /// Its code in the form of 2020
    #[arg(
        long,
        value_name = "CODE",
        default_value = "",
        hide_default_value = true
    )]
    code_2020: String,
    /// An older or other code (may be given several times)
    #[arg(long, value_name = "CODE")]
    other_code: Vec<String>,
    /// The agency above it, any code
    #[arg(
        long,
        value_name = "CODE",
        default_value = "",
        hide_default_value = true
    )]
    parent: String,
    /// Kind: sở, xã, phường, trường …
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    kind: String,
    /// Level: 1 to 4
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    level: String,
    /// How to reach it
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    contact: String,
    /// Its integration centre
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    centre: String,
    /// Register a code that follows no form all the same, for this reason
    #[arg(
        long,
        value_name = "WHY",
        default_value = "",
        hide_default_value = true
    )]
    irregular: String,
}

impl FactsArgs {
    fn facts(self, code: String, name: String) -> v1::AgencyFacts {
        v1::AgencyFacts {
            code,
            code_2020: self.code_2020,
            other_codes: self.other_code,
            name,
            parent: self.parent,
            kind: self.kind,
            level: self.level,
            contact: self.contact,
            centre: self.centre,
            forwards_to_successor: false,
            irregular: self.irregular,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its main code: the form of 2016 where it has one
    code: String,
    /// Its name
    name: String,
    #[command(flatten)]
    facts: FactsArgs,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The code
    code: String,
    /// Put it into service at once
    #[arg(long)]
    activate: bool,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The code
    code: String,
    /// The new name
    name: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecodeArgs {
    /// Any of its codes
    code: String,
    /// The new main code
    new_code: Option<String>,
    /// The new code in the form of 2020
    #[arg(long, value_name = "CODE")]
    code_2020: Option<String>,
    /// The code before no longer finds it
    #[arg(long)]
    drop_old: bool,
    /// Register a code that follows no form all the same, for this reason
    #[arg(long, value_name = "WHY")]
    irregular: Option<String>,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The code
    code: String,
    /// The agency it goes under
    #[arg(required_unless_present = "top", conflicts_with = "top")]
    parent: Option<String>,
    /// Under no agency
    #[arg(long)]
    top: bool,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DescribeArgs {
    /// The code
    code: String,
    /// Kind
    #[arg(long, value_name = "TEXT")]
    kind: Option<String>,
    /// Level
    #[arg(long, value_name = "TEXT")]
    level: Option<String>,
    /// How to reach it
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// Its integration centre
    #[arg(long, value_name = "TEXT")]
    centre: Option<String>,
    /// Once it is closed, packages to its codes go to its one successor (true), or are
    /// refused, naming it (false)
    #[arg(long, value_name = "BOOL")]
    forward: Option<bool>,
    #[command(flatten)]
    order: OrderArgs,
}

/// What becomes of what waits for a closed agency.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Deliveries {
    /// It stays with the system that serves the agency now
    Stay,
    /// The successor's system serves it
    Move,
}

fn deliveries(of: Option<Deliveries>) -> i32 {
    match of {
        None => v1::OpenDeliveries::Unspecified,
        Some(Deliveries::Stay) => v1::OpenDeliveries::Stay,
        Some(Deliveries::Move) => v1::OpenDeliveries::Move,
    }
    .into()
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The codes of those that are merged
    #[arg(required = true)]
    sources: Vec<String>,
    /// The agency they become part of
    #[arg(
        long,
        value_name = "CODE",
        required_unless_present = "new_code",
        conflicts_with = "new_code"
    )]
    into: Option<String>,
    /// The code of the new agency they become
    #[arg(long, value_name = "CODE", requires = "name")]
    new_code: Option<String>,
    /// The new agency's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Packages to the old codes go to the successor, marked; else they are refused, naming it
    #[arg(long)]
    forward: bool,
    /// What becomes of what waits for the merged
    #[arg(long, value_name = "WHAT")]
    deliveries: Option<Deliveries>,
    #[command(flatten)]
    facts: FactsArgs,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// The code of the one that is split
    source: String,
    /// A successor that is there (may be given several times)
    #[arg(long, value_name = "CODE")]
    into: Vec<String>,
    /// A new successor, CODE=NAME (may be given several times)
    #[arg(long, value_name = "CODE=NAME")]
    new: Vec<String>,
    /// The one split goes on
    #[arg(long)]
    goes_on: bool,
    /// What becomes of what waits for it
    #[arg(long, value_name = "WHAT")]
    deliveries: Option<Deliveries>,
    /// Agencies under it go under this one
    #[arg(
        long,
        value_name = "CODE",
        default_value = "",
        hide_default_value = true
    )]
    children_to: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CloseArgs {
    /// The code
    code: String,
    /// Who takes over (may be given several times)
    #[arg(long, value_name = "CODE")]
    successor: Vec<String>,
    /// Packages to its codes go to its one successor, marked; else they are refused, naming it
    #[arg(long)]
    forward: bool,
    /// What becomes of what waits for it
    #[arg(long, value_name = "WHAT")]
    deliveries: Option<Deliveries>,
    /// Close the agencies under it, too
    #[arg(long, conflicts_with = "children_to")]
    close_children: bool,
    /// Agencies under it go under this one
    #[arg(
        long,
        value_name = "CODE",
        default_value = "",
        hide_default_value = true
    )]
    children_to: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    /// The code
    code: String,
    /// It does not get what waits for it, either
    #[arg(long)]
    fetches_nothing: bool,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// The code
    code: String,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WithdrawArgs {
    /// The code
    code: String,
    /// The change's number (axis registry log CODE)
    number: u64,
    #[command(flatten)]
    order: OrderArgs,
}

pub(super) async fn add(args: AddArgs, requested: bool) -> Result<(), Failure> {
    let AddArgs {
        code,
        name,
        facts,
        order,
    } = args;
    let request = v1::AddAgencyRequest {
        order: order.order(),
        agency: Some(facts.facts(code, name)),
        requested,
    };
    order.tell(&order.connect().await?.add_agency(request).await?)
}

pub(super) async fn approve(args: ApproveArgs) -> Result<(), Failure> {
    let ApproveArgs {
        code,
        activate,
        order,
    } = args;
    let request = v1::ApproveAgencyRequest {
        order: order.order(),
        code,
        activate,
    };
    order.tell(&order.connect().await?.approve_agency(request).await?)
}

async fn change(order: &OrderArgs, request: v1::ChangeAgencyRequest) -> Result<(), Failure> {
    let request = v1::ChangeAgencyRequest {
        order: order.order(),
        ..request
    };
    order.tell(&order.connect().await?.change_agency(request).await?)
}

pub(super) async fn rename(args: RenameArgs) -> Result<(), Failure> {
    let request = v1::ChangeAgencyRequest {
        code: args.code,
        name: Some(args.name),
        ..v1::ChangeAgencyRequest::default()
    };
    change(&args.order, request).await
}

pub(super) async fn recode(args: RecodeArgs) -> Result<(), Failure> {
    if args.new_code.is_none() && args.code_2020.is_none() {
        return Err(Failure::usage(
            "which code? Give NEW_CODE, --code-2020 CODE, or both",
        ));
    }
    let request = v1::ChangeAgencyRequest {
        code: args.code,
        new_code: args.new_code,
        new_code_2020: args.code_2020,
        drop_old_codes: args.drop_old,
        irregular: args.irregular,
        ..v1::ChangeAgencyRequest::default()
    };
    change(&args.order, request).await
}

pub(super) async fn move_under(args: MoveArgs) -> Result<(), Failure> {
    let request = v1::ChangeAgencyRequest {
        code: args.code,
        parent: Some(args.parent.unwrap_or_default()),
        ..v1::ChangeAgencyRequest::default()
    };
    change(&args.order, request).await
}

pub(super) async fn describe(args: DescribeArgs) -> Result<(), Failure> {
    let request = v1::ChangeAgencyRequest {
        code: args.code,
        kind: args.kind,
        level: args.level,
        contact: args.contact,
        centre: args.centre,
        forwards_to_successor: args.forward,
        ..v1::ChangeAgencyRequest::default()
    };
    change(&args.order, request).await
}

pub(super) async fn merge(args: MergeArgs) -> Result<(), Failure> {
    let MergeArgs {
        sources,
        into,
        new_code,
        name,
        forward,
        deliveries: waiting,
        facts,
        order,
    } = args;
    let new_agency = new_code.map(|code| facts.facts(code, name.unwrap_or_default()));
    let request = v1::MergeAgenciesRequest {
        order: order.order(),
        sources,
        into: into.unwrap_or_default(),
        new_agency,
        forward,
        deliveries: deliveries(waiting),
    };
    order.tell(&order.connect().await?.merge_agencies(request).await?)
}

pub(super) async fn split(args: SplitArgs) -> Result<(), Failure> {
    let new_agencies: Result<Vec<_>, Failure> = args
        .new
        .iter()
        .map(|new| {
            let (code, name) = new
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--new is CODE=NAME, not {new:?}")))?;
            Ok(v1::AgencyFacts {
                code: code.trim().to_owned(),
                name: name.trim().to_owned(),
                ..v1::AgencyFacts::default()
            })
        })
        .collect();
    let request = v1::SplitAgencyRequest {
        order: args.order.order(),
        source: args.source,
        into: args.into,
        new_agencies: new_agencies?,
        goes_on: args.goes_on,
        deliveries: deliveries(args.deliveries),
        children_to: args.children_to,
    };
    args.order
        .tell(&args.order.connect().await?.split_agency(request).await?)
}

pub(super) async fn close(args: CloseArgs) -> Result<(), Failure> {
    let request = v1::CloseAgencyRequest {
        order: args.order.order(),
        code: args.code,
        successors: args.successor,
        forward: args.forward,
        deliveries: deliveries(args.deliveries),
        close_children: args.close_children,
        children_to: args.children_to,
    };
    args.order
        .tell(&args.order.connect().await?.close_agency(request).await?)
}

pub(super) async fn suspend(args: SuspendArgs) -> Result<(), Failure> {
    let request = v1::SuspendAgencyRequest {
        order: args.order.order(),
        code: args.code,
        fetches_nothing: args.fetches_nothing,
    };
    args.order
        .tell(&args.order.connect().await?.suspend_agency(request).await?)
}

fn state(args: &StateArgs) -> v1::StateRequest {
    v1::StateRequest {
        order: args.order.order(),
        code: args.code.clone(),
    }
}

pub(super) async fn reopen(args: StateArgs) -> Result<(), Failure> {
    args.order.tell(
        &args
            .order
            .connect()
            .await?
            .reopen_agency(state(&args))
            .await?,
    )
}

pub(super) async fn resume(args: StateArgs) -> Result<(), Failure> {
    args.order.tell(
        &args
            .order
            .connect()
            .await?
            .resume_agency(state(&args))
            .await?,
    )
}

pub(super) async fn withdraw(args: WithdrawArgs) -> Result<(), Failure> {
    let request = v1::WithdrawChangeRequest {
        order: args.order.order(),
        code: args.code,
        number: args.number,
    };
    args.order
        .tell(&args.order.connect().await?.withdraw_change(request).await?)
}
