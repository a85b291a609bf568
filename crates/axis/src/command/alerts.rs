//! `axis alerts`: what an operator must know.

use api::v1;
use serde::Serialize;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::{output, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also those that were cleared, the newest first
    #[arg(long)]
    all: bool,
    /// With --all: at most this many; 0 means all
    #[arg(long, value_name = "N", default_value_t = 100, requires = "all")]
    max: usize,
    /// One JSON object an alert on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

/// The most that the axis gives in one page.
const PAGE: u32 = 1_000;

/// An alert, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Shape<'a> {
    kind: &'a str,
    severity: &'static str,
    subject: &'a str,
    title: &'a str,
    title_en: &'a str,
    detail: &'a str,
    detail_en: &'a str,
    action: &'a str,
    action_en: &'a str,
    raised_at: &'a str,
    cleared_at: Option<&'a str>,
    told_at: Option<&'a str>,
    recorded: bool,
}

impl<'a> From<&'a v1::Alert> for Shape<'a> {
    fn from(of: &'a v1::Alert) -> Self {
        let some = |text: &'a String| (!text.is_empty()).then_some(text.as_str());
        Self {
            kind: &of.kind,
            severity: severity(of),
            subject: &of.subject,
            title: &of.title,
            title_en: &of.title_en,
            detail: &of.detail,
            detail_en: &of.detail_en,
            action: &of.action,
            action_en: &of.action_en,
            raised_at: &of.raised_at,
            cleared_at: some(&of.cleared_at),
            told_at: some(&of.told_at),
            recorded: of.recorded,
        }
    }
}

fn severity(of: &v1::Alert) -> &'static str {
    match of.severity() {
        v1::AlertSeverity::Critical => "critical",
        v1::AlertSeverity::Warning | v1::AlertSeverity::Unspecified => "warning",
    }
}

/// Runs `axis alerts`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let mut left = if args.max == 0 { usize::MAX } else { args.max };
    let mut request = v1::AlertsRequest {
        all: args.all,
        ..v1::AlertsRequest::default()
    };
    let mut alerts = Vec::new();
    loop {
        request.page_size = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = client.alerts(request.clone()).await?;
        left = left.saturating_sub(page.alerts.len());
        alerts.extend(page.alerts);
        if left == 0 || page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if args.json {
        for alert in &alerts {
            output::json(&Shape::from(alert))?;
        }
        return Ok(());
    }
    output::line(if args.all {
        table(&alerts)
    } else {
        standing(&alerts)
    })?;
    Ok(())
}

/// What stands, each with what to do.
fn standing(alerts: &[v1::Alert]) -> String {
    if alerts.is_empty() {
        return "Không có cảnh báo nào (no alerts).".to_owned();
    }
    let one = |alert: &v1::Alert| {
        let v1::Alert {
            title,
            title_en,
            detail,
            detail_en,
            action,
            action_en,
            kind,
            subject,
            ..
        } = alert;
        let level = match severity(alert) {
            "critical" => "NGHIÊM TRỌNG (critical)",
            _ => "CẢNH BÁO (warning)",
        };
        let since = story::clock(&alert.raised_at);
        let (title, title_en) = if title.is_empty() {
            (kind, kind)
        } else {
            (title, title_en)
        };
        let mut text = format!(
            "{level}  {title}: {subject}\n  {kind}, từ (since) {since}\n  {detail}\n  → {action}\n  {title_en}. {detail_en}\n  → {action_en}"
        );
        if !alert.recorded {
            text.push_str("\n  (chưa ghi được vào sổ cái; not recorded)");
        }
        text
    };
    let all: Vec<String> = alerts.iter().map(one).collect();
    all.join("\n\n")
}

/// The history, a line each.
fn table(alerts: &[v1::Alert]) -> String {
    if alerts.is_empty() {
        return "Không có cảnh báo nào (no alerts).".to_owned();
    }
    output::table(
        ["Từ", "Đến", "Mức", "Loại", "Về", "Chi tiết"],
        alerts.iter().map(|alert| {
            let until = if alert.cleared_at.is_empty() {
                "đang mở".to_owned()
            } else {
                story::clock(&alert.cleared_at)
            };
            [
                story::clock(&alert.raised_at),
                until,
                severity(alert).to_owned(),
                alert.kind.clone(),
                alert.subject.clone(),
                output::shorten(&alert.detail, 60),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::AlertKind;

    fn alert(kind: AlertKind, subject: &str) -> v1::Alert {
        let told = kind.told();
        let severity = match told.severity {
            exchange::Severity::Critical => v1::AlertSeverity::Critical,
            exchange::Severity::Warning => v1::AlertSeverity::Warning,
        };
        v1::Alert {
            kind: told.name.to_owned(),
            severity: severity.into(),
            subject: subject.to_owned(),
            title: told.title.vi.to_owned(),
            title_en: told.title.en.to_owned(),
            detail: "12 văn bản chờ, cũ nhất từ 22/11/2026 08:00:05.".to_owned(),
            detail_en: "12 wait, the oldest since 22/11/2026 08:00:05.".to_owned(),
            action: told.act.vi.to_owned(),
            action_en: told.act.en.to_owned(),
            raised_at: "2026-11-22T08:10:06.000+07:00".to_owned(),
            recorded: true,
            ..v1::Alert::default()
        }
    }

    #[test]
    fn what_stands_is_told_with_what_to_do() {
        let memory = v1::Alert {
            recorded: false,
            ..alert(AlertKind::ReadOnly, "axis")
        };
        let alerts = [alert(AlertKind::OldestAge, "so-tai-chinh/flash"), memory];
        insta::assert_snapshot!(standing(&alerts));
        assert_eq!(standing(&[]), "Không có cảnh báo nào (no alerts).");
    }

    #[test]
    fn the_history_is_a_line_each() {
        let over = v1::Alert {
            cleared_at: "2026-11-22T08:12:00.000+07:00".to_owned(),
            ..alert(AlertKind::QueueUnattended, "so-y-te")
        };
        insta::assert_snapshot!(table(&[alert(AlertKind::DeadLetters, "so-y-te"), over]));
        assert_eq!(table(&[]), "Không có cảnh báo nào (no alerts).");
    }
}
