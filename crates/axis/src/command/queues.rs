//! `axis queues`: what waits, per agency.

use api::v1;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::{output, shape, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this agency (any of its codes)
    #[arg(long, value_name = "CODE")]
    agency: Option<String>,
    /// One JSON object an agency on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

/// Runs `axis queues`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let queues = client
        .queues(v1::QueuesRequest {
            agency: args.agency,
            ..v1::QueuesRequest::default()
        })
        .await?
        .queues;
    let queues: Vec<_> = queues.iter().map(shape::Queue::from).collect();
    if args.json {
        for queue in &queues {
            output::json(queue)?;
        }
        return Ok(());
    }
    output::line(table(&queues))?;
    Ok(())
}

fn table(queues: &[shape::Queue]) -> String {
    if queues.is_empty() {
        return "Không có gì đang chờ (nothing waits).".to_owned();
    }
    output::table(
        [
            "Cơ quan",
            "Tên",
            "Hệ thống",
            "Chờ",
            "Đã lấy",
            "Giữ",
            "Ngừng",
            "Hỏa tốc",
            "Khẩn",
            "Trạng thái",
            "Thường",
            "Cũ nhất",
        ],
        queues.iter().map(|queue| {
            [
                queue.agency.clone(),
                output::shorten(queue.name.as_deref().unwrap_or(""), 32),
                queue.systems.join(", "),
                queue.pending.to_string(),
                queue.fetched.to_string(),
                queue.held.to_string(),
                queue.dead.to_string(),
                queue.lanes.flash.to_string(),
                queue.lanes.urgent.to_string(),
                queue.lanes.status.to_string(),
                queue.lanes.routine.to_string(),
                queue
                    .oldest_at
                    .as_deref()
                    .map(story::clock)
                    .unwrap_or_default(),
            ]
        }),
    )
}
