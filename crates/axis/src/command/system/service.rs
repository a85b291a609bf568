//! Who serves whom, from when to when, and systems that are kept out for a while.

use api::v1;
use clap::Args;
use serde::Serialize;

use super::Common;
use crate::failure::Failure;
use crate::{output, shape};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The system that serves the agencies
    #[arg(required_unless_present = "nobody")]
    id: Option<String>,
    /// An agency, by any of its codes; may be given more than once
    #[arg(long = "agency", value_name = "CODE", required = true, num_args = 1..)]
    agencies: Vec<String>,
    /// No system serves them from then on
    #[arg(long, conflicts_with = "id")]
    nobody: bool,
    /// From when: a day (00:00 of it in Vietnam) or a moment; may lie ahead [default: now]
    #[arg(long, value_name = "MOMENT")]
    effective: Option<String>,
    /// Until when [default: until another system serves them]
    #[arg(long, value_name = "MOMENT")]
    until: Option<String>,
    /// The number of the decision
    #[arg(long, value_name = "NUMBER")]
    decision: Option<String>,
    /// Why, where no decision says it
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Show the periods as they would be; change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct ServedArgs {
    /// The agency, by any of its codes
    code: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    /// The system
    id: String,
    /// Why; the system is told
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The system
    id: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// A period in which a system, or nobody, serves an agency, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Period<'a> {
    agency: &'a str,
    system: Option<&'a str>,
    from: &'a str,
    until: Option<&'a str>,
    recorded: &'a str,
    by: Option<&'a str>,
    decision: Option<&'a str>,
}

impl<'a> From<&'a v1::ServicePeriod> for Period<'a> {
    fn from(of: &'a v1::ServicePeriod) -> Self {
        let some = |text: &'a str| (!text.is_empty()).then_some(text);
        Self {
            agency: &of.agency,
            system: some(&of.system),
            from: &of.from,
            until: some(&of.until),
            recorded: &of.recorded,
            by: some(&of.by),
            decision: some(&of.decision),
        }
    }
}

fn print(periods: &[v1::ServicePeriod], json: bool) -> Result<(), Failure> {
    let periods = periods.iter().map(Period::from);
    if json {
        for period in periods {
            output::json(&period)?;
        }
        return Ok(());
    }
    if periods.len() == 0 {
        output::line("Chưa có hệ thống nào phục vụ (served by no system): axis system serve")?;
        return Ok(());
    }
    let rows = periods.map(|period| {
        [
            period.agency.to_owned(),
            period.system.unwrap_or("(không có)").to_owned(),
            period.from.to_owned(),
            period.until.unwrap_or_default().to_owned(),
            period.by.unwrap_or_default().to_owned(),
            period.decision.unwrap_or_default().to_owned(),
        ]
    });
    let heading = [
        "Cơ quan",
        "Hệ thống",
        "Từ",
        "Đến",
        "Người làm",
        "Quyết định",
    ];
    output::line(output::table(heading, rows))?;
    Ok(())
}

pub(super) async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let request = v1::ServeAgenciesRequest {
        order: Some(v1::Order {
            effective: args.effective.unwrap_or_default(),
            decision: args.decision.unwrap_or_default(),
            why: args.why.unwrap_or_default(),
            revision: None,
            dry_run: args.dry_run,
        }),
        id: args.id.unwrap_or_default(),
        agencies: args.agencies,
        until: args.until.unwrap_or_default(),
    };
    let answer = args.common.connect().await?.serve_agencies(request).await?;
    print(&answer.periods, args.common.json)?;
    if args.dry_run && !args.common.json {
        output::line("\nChưa thay đổi gì (dry run).")?;
    }
    Ok(())
}

pub(super) async fn served(args: ServedArgs) -> Result<(), Failure> {
    let request = v1::ListServiceRequest { code: args.code };
    let answer = args.common.connect().await?.list_service(request).await?;
    print(&answer.periods, args.common.json)
}

pub(super) async fn suspend(args: SuspendArgs) -> Result<(), Failure> {
    stop(args.id, args.why, true, &args.common).await
}

pub(super) async fn resume(args: ResumeArgs) -> Result<(), Failure> {
    stop(args.id, args.why.unwrap_or_default(), false, &args.common).await
}

async fn stop(id: String, why: String, suspended: bool, common: &Common) -> Result<(), Failure> {
    let request = v1::SuspendSystemRequest { id, suspended, why };
    let answer = common.connect().await?.suspend_system(request).await?;
    let system = shape::System::from(&answer);
    if common.json {
        output::json(&system)?;
        return Ok(());
    }
    let id = system.id;
    output::line(if suspended {
        format!(
            "Hệ thống {id} bị tạm dừng: lời gọi tiếp theo bị từ chối, kết nối đang mở bị ngắt (suspended)."
        )
    } else {
        format!("Hệ thống {id} hoạt động lại (resumed).")
    })?;
    Ok(())
}
