//! `axis why`: why something has not arrived, whose turn it is, and the command that helps.

use std::fmt::Write as _;

use api::v1;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::output::{self, Paint, Tone};
use crate::{shape, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An agency (any code), a system, a delivery, a package, or a DocumentId; `system:ID` and
    /// `agency:CODE` where one text names both
    #[arg(value_name = "CODE|ID")]
    id: String,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

/// Runs `axis why`.
///
/// # Errors
/// A refusal, nothing of that name, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let why = client.why(v1::WhyRequest { id: args.id }).await?;
    let why = shape::Why::from(why);
    if args.json {
        output::json(&why)?;
        return Ok(());
    }
    output::line(told(&why, Paint::for_stdout()))?;
    Ok(())
}

fn told(why: &shape::Why, paint: Paint) -> String {
    let name = why.name.as_deref().unwrap_or_default();
    let mut text = paint.tone(Tone::Strong, format!("{name} {}", why.id).trim());
    for finding in &why.findings {
        let tone = if finding.turn == "nobody" || finding.turn == "axis" {
            Tone::Good
        } else {
            Tone::Bad
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n\n{}\n  {}\n  {}",
            paint.tone(tone, &finding.cause),
            finding.message,
            paint.tone(Tone::Faint, &finding.message_en),
        );
        if why.kind == "packages"
            && let (Some(agency), Some(delivery)) = (&finding.agency, &finding.delivery)
        {
            let _ = write!(text, "\n  Bản gửi (delivery): {delivery} → {agency}");
        }
        if let Some(since) = &finding.since {
            let _ = write!(text, "\n  Từ (since): {}", story::clock(since));
        }
        let _ = write!(
            text,
            "\n  Đến lượt (turn): {} ({})",
            finding.turn_vi, finding.turn
        );
        if let Some(command) = &finding.command {
            let _ = write!(text, "\n  Lệnh (command): {command}");
        }
    }
    if why.more > 0 {
        let _ = write!(
            text,
            "\n\nCòn {0} bản gửi khác (and {0} more deliveries).",
            why.more
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of the table as an operator reads it.
    #[test]
    fn each_cause_is_told_in_both_languages() {
        let at = |text: &str| ledger::time::Ms::parse(text).ok();
        let about = exchange::About {
            agency: "Sở Tài chính (000.00.02.H99)".to_owned(),
            code: "000.00.02.H99".to_owned(),
            system: "so-tai-chinh".to_owned(),
            whom: "so-tai-chinh".to_owned(),
            delivery: "0f5fd3a0-6f0e-5c77-9c46-d0e0fd2f4a11".to_owned(),
            package: "019aa3c9e4f0000000000001".to_owned(),
            since: at("2026-11-22T08:00:05+07:00"),
            until: at("2026-11-22T08:05:05+07:00"),
            by: "Nguyễn Thị Lan".to_owned(),
            reason: "chuyển máy chủ".to_owned(),
            count: 12,
        };
        let finding = |cause: &exchange::Cause| {
            let row = cause.row();
            v1::why_response::Finding {
                cause: row.name.to_owned(),
                turn: row.turn.word().to_owned(),
                turn_vi: row.turn.vi().to_owned(),
                message: about.fill(row.vi),
                message_en: about.fill(row.en),
                command: about.fill(row.command),
                ..v1::why_response::Finding::default()
            }
        };
        let why = v1::WhyResponse {
            kind: "system".to_owned(),
            id: "so-tai-chinh".to_owned(),
            findings: exchange::Cause::ALL.iter().map(finding).collect(),
            ..v1::WhyResponse::default()
        };
        insta::assert_snapshot!(told(&why.into(), output::PLAIN));
    }

    #[test]
    fn a_cause_is_told_with_whose_turn_it_is_and_what_helps() {
        let finding = v1::why_response::Finding {
            cause: "PAUSED".to_owned(),
            turn: "operator".to_owned(),
            turn_vi: "quản trị trục".to_owned(),
            since: "2026-11-22T08:00:05.000+07:00".to_owned(),
            message: "Lan đã tạm dừng.".to_owned(),
            message_en: "Lan has paused it.".to_owned(),
            command: "axis resume so-b --why \"…\"".to_owned(),
            ..v1::why_response::Finding::default()
        };
        let why = v1::WhyResponse {
            kind: "agency".to_owned(),
            id: "000.00.02.H99".to_owned(),
            name: "Sở Tài chính".to_owned(),
            findings: vec![finding],
            more: 2,
        };
        let text = told(&why.into(), output::PLAIN);
        assert_eq!(
            text,
            "Sở Tài chính 000.00.02.H99\n\nPAUSED\n  Lan đã tạm dừng.\n  Lan has paused it.\n  \
             Từ (since): 22/11/2026 08:00:05\n  Đến lượt (turn): quản trị trục (operator)\n  \
             Lệnh (command): axis resume so-b --why \"…\"\n\n\
             Còn 2 bản gửi khác (and 2 more deliveries)."
        );
    }
}
