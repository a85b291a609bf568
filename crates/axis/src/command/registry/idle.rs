//! `axis registry idle`: agencies that neither sent nor received anything in a period.

use api::v1;
use clap::Args;
use serde::Serialize;

use super::AskArgs;
use crate::failure::Failure;
use crate::{output, shape, story};

#[derive(Debug, Args)]
pub(crate) struct IdleArgs {
    /// From this day or moment on [default: 30 days ago]
    #[arg(
        long,
        value_name = "TIME",
        default_value = "",
        hide_default_value = true
    )]
    since: String,
    /// Until then; a day counts to its end [default: now]
    #[arg(
        long,
        value_name = "TIME",
        default_value = "",
        hide_default_value = true
    )]
    until: String,
    #[command(flatten)]
    ask: AskArgs,
}

/// An agency without traffic, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Idle {
    code: String,
    name: String,
    /// The last package before the period.
    last_at: Option<String>,
    /// Whether a system serves it.
    served: bool,
}

pub(super) async fn idle(args: IdleArgs) -> Result<(), Failure> {
    let client = args.ask.connect().await?;
    let request = v1::ListIdleRequest {
        since: args.since,
        until: args.until,
    };
    let answer = client.list_idle(request).await?;
    let idle = answer.agencies.into_iter().map(|of| Idle {
        code: shape::code(of.agency.as_ref()),
        name: shape::name(of.agency.as_ref()).to_owned(),
        last_at: (!of.last_at.is_empty()).then_some(of.last_at),
        served: of.served,
    });
    let idle: Vec<_> = idle.collect();
    if args.ask.json {
        return Ok(idle.iter().try_for_each(output::json)?);
    }
    if idle.is_empty() {
        output::line("Cơ quan nào cũng có giao dịch (every agency had traffic).")?;
        return Ok(());
    }
    let count = idle.len();
    let rows = idle.into_iter().map(|of| {
        let last = of.last_at.as_deref().map(story::clock);
        let served = if of.served {
            ""
        } else {
            "chưa có hệ thống"
        };
        [
            of.code,
            of.name,
            last.unwrap_or_else(|| "chưa bao giờ".to_owned()),
            served.to_owned(),
        ]
    });
    output::line(output::table(["Mã", "Tên", "Lần cuối", ""], rows))?;
    Ok(output::line(format!(
        "{count} cơ quan không có giao dịch (agencies without traffic), {} – {}.",
        story::clock(&answer.since),
        story::clock(&answer.until)
    ))?)
}
