//! Changing the registry: each command is one act, by a person, from a moment on.

use api::v1;
use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::output;
use crate::shape::{Agency, Change};

use super::{ActArgs, Deliveries, IrregularArgs, WhenArgs, look, told};

/// How an act is recorded.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    #[command(flatten)]
    when: WhenArgs,
    /// Only if it is still at this revision (axis registry show)
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    #[command(flatten)]
    act: ActArgs,
}

impl OrderArgs {
    fn order(&self) -> Option<v1::Order> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Some(v1::Order {
            effective: text(&self.when.effective),
            decision: text(&self.when.decision),
            why: text(&self.when.why),
            revision: self.revision,
            dry_run: self.when.dry_run,
        })
    }

    async fn connect(&self) -> Result<api::client::Client, Failure> {
        self.act.connect().await
    }

    fn tell(&self, answer: &v1::ChangeAgencyResponse) -> Result<(), Failure> {
        let done = Done {
            agency: answer.agency.as_ref().map(Agency::from),
            changes: answer.changes.iter().map(Change::from).collect(),
            effective: answer.effective.clone(),
            planned: answer.planned,
            dry_run: self.when.dry_run,
        };
        if self.act.json {
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
    #[arg(long, value_name = "CODE")]
    code_2020: Option<String>,
    /// An older or other code (may be given several times)
    #[arg(long, value_name = "CODE")]
    other_code: Vec<String>,
    /// The agency above it, any code
    #[arg(long, value_name = "CODE")]
    parent: Option<String>,
    /// Kind: sở, xã, phường, trường …
    #[arg(long, value_name = "TEXT")]
    kind: Option<String>,
    /// Level: 1 to 4
    #[arg(long, value_name = "TEXT")]
    level: Option<String>,
    /// How to reach it
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// Its integration centre
    #[arg(long, value_name = "TEXT")]
    centre: Option<String>,
    #[command(flatten)]
    irregular: IrregularArgs,
}

impl FactsArgs {
    fn facts(self, code: String, name: String, when: &WhenArgs) -> v1::AgencyFacts {
        v1::AgencyFacts {
            code,
            code_2020: self.code_2020.unwrap_or_default(),
            other_codes: self.other_code,
            name,
            parent: self.parent.unwrap_or_default(),
            kind: self.kind.unwrap_or_default(),
            level: self.level.unwrap_or_default(),
            contact: self.contact.unwrap_or_default(),
            centre: self.centre.unwrap_or_default(),
            forwards_to_successor: false,
            irregular: self.irregular.reason(when).unwrap_or_default(),
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
    #[command(flatten)]
    irregular: IrregularArgs,
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
    #[arg(long, value_name = "CODE")]
    children_to: Option<String>,
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
    #[arg(long, value_name = "CODE")]
    children_to: Option<String>,
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
        agency: Some(facts.facts(code, name, &order.when)),
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
        irregular: args.irregular.reason(&args.order.when),
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
    let new_agency = new_code.map(|code| facts.facts(code, name.unwrap_or_default(), &order.when));
    let request = v1::MergeAgenciesRequest {
        order: order.order(),
        sources,
        into: into.unwrap_or_default(),
        new_agency,
        forward,
        deliveries: Deliveries::wire(waiting),
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
        deliveries: Deliveries::wire(args.deliveries),
        children_to: args.children_to.unwrap_or_default(),
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
        deliveries: Deliveries::wire(args.deliveries),
        close_children: args.close_children,
        children_to: args.children_to.unwrap_or_default(),
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
