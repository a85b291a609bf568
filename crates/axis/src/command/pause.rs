//! `axis pause`, `axis resume`: delivery to an agency or a system stops and goes on; admission
//! goes on all the while.

use api::v1;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::{output, shape, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A system's id, or any code of an agency; `system:ID` and `agency:CODE` where one text
    /// names both
    #[arg(value_name = "CODE|SYSTEM")]
    whom: String,
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

/// Runs `axis pause`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn pause(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let request = v1::PauseRequest {
        whom: args.whom,
        why: args.why,
    };
    let paused = client.pause(request).await?.pause.unwrap_or_default();
    let paused = shape::Pause::from(paused);
    if args.json {
        output::json(&paused)?;
        return Ok(());
    }
    let whom = whom(&paused);
    output::line(format!(
        "Đã tạm dừng giao cho {whom}; trục vẫn nhận văn bản, giao lại bằng `axis resume` (paused)."
    ))?;
    Ok(())
}

/// Runs `axis resume`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn resume(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let request = v1::ResumeRequest {
        whom: args.whom,
        why: args.why,
    };
    let over = client.resume(request).await?.pause.unwrap_or_default();
    let over = shape::Pause::from(over);
    if args.json {
        output::json(&over)?;
        return Ok(());
    }
    let (whom, since) = (whom(&over), story::clock(&over.since));
    output::line(format!(
        "Đã giao tiếp cho {whom}; tạm dừng từ {since} do {} (resumed).",
        over.by
    ))?;
    Ok(())
}

fn whom(pause: &shape::Pause) -> String {
    match (&pause.system, &pause.agency, &pause.name) {
        (Some(system), ..) => format!("hệ thống {system}"),
        (None, Some(code), Some(name)) => format!("{name} ({code})"),
        (None, code, _) => code.clone().unwrap_or_default(),
    }
}
