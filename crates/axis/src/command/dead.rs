//! `axis dead`: deliveries that were given up after too many leases.

use api::v1;
use serde::Serialize;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::{output, shape, story, words};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show dead deliveries
    List(List),
    /// Offer them again; their leases count from nothing
    Retry(Decide),
    /// Give them up for good; the senders see the reason
    Drop(Decide),
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only this agency (any of its codes)
    #[arg(long, value_name = "CODE")]
    agency: Option<String>,
    /// One JSON object a delivery on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Decide {
    /// Deliveries
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
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

/// What `--json` prints of a decision.
#[derive(Debug, Serialize)]
struct Decided {
    done: Vec<String>,
    skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
struct Skipped {
    delivery: String,
    reason: String,
}

impl Decided {
    fn new(done: Vec<String>, skipped: Vec<v1::SkippedDead>) -> Self {
        let skipped = skipped.into_iter().map(|skipped| Skipped {
            delivery: skipped.delivery_id,
            reason: skipped.reason,
        });
        Self {
            done,
            skipped: skipped.collect(),
        }
    }
}

/// Runs `axis dead`.
///
/// # Errors
/// A refusal, nothing that could be done, or no axis there.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List(args) => list(args).await,
        Command::Retry(args) => {
            let client = args.operator.connect(args.patience).await?;
            let request = v1::RetryDeadRequest {
                delivery_ids: args.ids,
                why: args.why,
            };
            let answer = client.retry_dead(request).await?;
            let decided = Decided::new(answer.delivery_ids, answer.skipped);
            tell(&decided, args.json, "được gửi lại", "retried")
        }
        Command::Drop(args) => {
            let client = args.operator.connect(args.patience).await?;
            let request = v1::DropDeadRequest {
                delivery_ids: args.ids,
                why: args.why,
            };
            let answer = client.drop_dead(request).await?;
            let decided = Decided::new(answer.delivery_ids, answer.skipped);
            tell(&decided, args.json, "đã bỏ", "dropped")
        }
    }
}

async fn list(args: List) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let mut request = v1::ListDeadRequest {
        agency: args.agency,
        ..v1::ListDeadRequest::default()
    };
    let mut dead = Vec::new();
    loop {
        let page = client.list_dead(request.clone()).await?;
        dead.extend(page.deliveries.iter().map(shape::Dead::from));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if args.json {
        for delivery in &dead {
            output::json(delivery)?;
        }
        return Ok(());
    }
    if dead.is_empty() {
        output::line("Không có bản gửi nào ngừng gửi (nothing is dead).")?;
        return Ok(());
    }
    let rows = dead.iter().map(|dead| {
        [
            dead.delivery.clone(),
            dead.receiver.clone(),
            dead.systems.join(", "),
            words::lane_vi(dead.lane).to_owned(),
            story::clock(&dead.accepted_at),
            story::clock(&dead.since),
            dead.reason.clone(),
        ]
    });
    let header = [
        "Bản gửi",
        "Bên nhận",
        "Hệ thống",
        "Làn",
        "Nhận lúc",
        "Ngừng từ",
        "Lý do",
    ];
    output::line(output::table(header, rows))?;
    Ok(())
}

fn tell(decided: &Decided, json: bool, vi: &str, en: &str) -> Result<(), Failure> {
    let (done, skipped) = (decided.done.len(), decided.skipped.len());
    if json {
        output::json(decided)?;
    } else {
        if skipped > 0 {
            let rows = decided.skipped.iter();
            let rows = rows.map(|skipped| [skipped.delivery.clone(), skipped.reason.clone()]);
            output::line(output::table(["Bỏ qua", "Lý do"], rows))?;
        }
        output::line(format!(
            "{done} bản gửi {vi}, {skipped} bỏ qua ({done} {en}, {skipped} skipped)."
        ))?;
    }
    // Nothing was done: scripts want to know.
    if done == 0 {
        Err(Failure::Told)
    } else {
        Ok(())
    }
}
