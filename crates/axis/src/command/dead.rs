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
    output::line(table(&dead))?;
    Ok(())
}

fn table(dead: &[shape::Dead]) -> String {
    if dead.is_empty() {
        return "Không có bản gửi nào ngừng gửi (nothing is dead).".to_owned();
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
    output::table(header, rows)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_told_with_receiver_since_when_and_why() {
        let dead = v1::DeadDelivery {
            delivery_id: "0f5fd3a0-6f0e-5c77-9c46-d0e0fd2f4a11".to_owned(),
            receiver: Some(v1::Agency {
                main_code: "000.00.02.H99".to_owned(),
                ..v1::Agency::default()
            }),
            systems: vec!["so-tai-chinh".to_owned(), "du-phong".to_owned()],
            lane: v1::Lane::Flash.into(),
            accepted_at: "2026-11-22T08:00:05.123+07:00".to_owned(),
            since: "2026-11-22T09:10:00.000+07:00".to_owned(),
            reason: "20 lượt giữ không được xác nhận (20 leases ended unsettled)".to_owned(),
            ..v1::DeadDelivery::default()
        };
        insta::assert_snapshot!(table(&[shape::Dead::from(&dead)]));
        assert_eq!(
            table(&[]),
            "Không có bản gửi nào ngừng gửi (nothing is dead)."
        );
    }
}
