//! `axis redeliver`: opens a new round of deliveries that were settled, for a receiver that
//! restored an old backup.

use api::v1;
use api::v1::redeliver_request::What;
use serde::Serialize;

use crate::command::time_argument;
use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["agency", "package"])))]
pub(crate) struct Args {
    /// Everything accepted for this agency (any of its codes) since --since
    #[arg(long, value_name = "CODE", requires = "since")]
    agency: Option<String>,
    /// Since when: 2026-07-01, 2026-07-01T08:00:00+07:00
    #[arg(long, value_name = "TIME", value_parser = time_argument, requires = "agency")]
    since: Option<String>,
    /// One package, to all its receivers
    #[arg(long, value_name = "ID")]
    package: Option<String>,
    /// The reason, for the record
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Redelivered<'a> {
    opened: Vec<Opened<'a>>,
    skipped: Vec<Skipped<'a>>,
}

#[derive(Debug, Serialize)]
struct Opened<'a> {
    delivery: &'a str,
    package: &'a str,
    round: u32,
}

#[derive(Debug, Serialize)]
struct Skipped<'a> {
    delivery: &'a str,
    reason: &'a str,
}

/// Runs `axis redeliver`.
///
/// # Errors
/// A refusal, nothing to deliver again, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let what = match (args.agency, args.since, args.package) {
        (Some(code), Some(since), _) => What::Agency(v1::AgencySince { code, since }),
        (_, _, Some(package)) => What::PackageId(package),
        _ => {
            return Err(Failure::usage(
                "give --agency CODE --since TIME, or --package ID",
            ));
        }
    };
    let client = args.operator.connect(args.patience).await?;
    let answer = client
        .redeliver(v1::RedeliverRequest {
            what: Some(what),
            why: args.why,
        })
        .await?;
    let redelivered = Redelivered {
        opened: answer
            .deliveries
            .iter()
            .map(|opened| Opened {
                delivery: &opened.delivery_id,
                package: &opened.package_id,
                round: opened.round,
            })
            .collect(),
        skipped: answer
            .skipped
            .iter()
            .map(|skipped| Skipped {
                delivery: &skipped.delivery_id,
                reason: &skipped.reason,
            })
            .collect(),
    };
    if args.json {
        output::json(&redelivered)?;
        return Ok(());
    }
    if !redelivered.opened.is_empty() {
        let rows = redelivered.opened.iter().map(|opened| {
            [
                opened.delivery.to_owned(),
                opened.package.to_owned(),
                opened.round.to_string(),
            ]
        });
        output::line(output::table(["Bản gửi", "Gói tin", "Lượt"], rows))?;
    }
    if !redelivered.skipped.is_empty() {
        let rows = redelivered
            .skipped
            .iter()
            .map(|skipped| [skipped.delivery.to_owned(), skipped.reason.to_owned()]);
        output::line(output::table(["Bỏ qua", "Lý do"], rows))?;
    }
    output::line(format!(
        "{opened} bản gửi được gửi lại, {skipped} bỏ qua ({opened} delivered again, {skipped} skipped).",
        opened = redelivered.opened.len(),
        skipped = redelivered.skipped.len()
    ))?;
    Ok(())
}
