//! `axis remind`: what agencies owe (the digest), or a reminder to those who owe an answer.

use api::v1;
use api::v1::remind_request::Whom;
use serde::Serialize;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::{output, shape, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A code: the agency is asked again for each recall that it has not answered. A package id or,
    /// with --sender, a DocumentId: everybody who owes the answer. Left out: the list of what is owed
    #[arg(value_name = "CODE|DOCUMENT", requires = "why")]
    whom: Option<String>,
    /// The sender of the document (any of its codes)
    #[arg(long, value_name = "CODE", requires = "whom")]
    sender: Option<String>,
    /// The reason, for the record
    #[arg(long, value_name = "TEXT", requires = "whom")]
    why: Option<String>,
    /// JSON on stdout: one object a thing owed, or one object of what was sent
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

/// One thing owed, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Owed {
    owing: String,
    agency: String,
    agency_name: String,
    sender: Option<String>,
    document: Option<String>,
    package: Option<String>,
    since: String,
    count: u64,
}

impl Owed {
    fn of(reminder: v1::Reminder) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Self {
            agency: shape::code(reminder.agency.as_ref()),
            agency_name: shape::name(reminder.agency.as_ref()).to_owned(),
            sender: some(shape::code(reminder.sender.as_ref())),
            document: some(reminder.document_id),
            package: some(reminder.package_id),
            owing: reminder.owing,
            since: reminder.since,
            count: reminder.count,
        }
    }
}

/// What a reminder did, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Reminded {
    sent: Vec<Sent>,
    skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
struct Sent {
    receiver: String,
    delivery: String,
    package: String,
    round: u32,
}

#[derive(Debug, Serialize)]
struct Skipped {
    receiver: String,
    delivery: String,
    reason: String,
}

/// Runs `axis remind`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.operator.connect(args.patience).await?;
    let (Some(whom), Some(why)) = (args.whom, args.why) else {
        let answer = client.list_reminders(v1::ListRemindersRequest {}).await?;
        let owed: Vec<Owed> = answer.reminders.into_iter().map(Owed::of).collect();
        if args.json {
            return Ok(owed.iter().try_for_each(output::json)?);
        }
        return Ok(output::line(table(&owed))?);
    };
    let whom = match args.sender {
        Some(sender) => Whom::Document(v1::DocumentName {
            sender,
            document_id: whom,
        }),
        None if whom.parse::<ledger::id::PackageId>().is_ok() => Whom::PackageId(whom),
        None => Whom::Agency(whom),
    };
    let request = v1::RemindRequest {
        whom: Some(whom),
        why,
    };
    let answer = client.remind(request).await?;
    let reminded = Reminded {
        sent: answer.sent.into_iter().map(sent).collect(),
        skipped: answer.skipped.into_iter().map(skipped).collect(),
    };
    if args.json {
        return Ok(output::json(&reminded)?);
    }
    let rows = reminded.sent.iter().map(|sent| {
        [
            sent.receiver.clone(),
            "gửi lại yêu cầu thu hồi".to_owned(),
            sent.package.clone(),
            sent.round.to_string(),
        ]
    });
    let skipped = reminded.skipped.iter().map(|skipped| {
        [
            skipped.receiver.clone(),
            format!("bỏ qua: {}", skipped.reason),
            skipped.delivery.clone(),
            String::new(),
        ]
    });
    output::line(output::table(
        ["Bên nhận", "Việc", "Gói tin", "Lượt"],
        rows.chain(skipped),
    ))?;
    output::line(format!(
        "Đã nhắc {sent}, bỏ qua {skipped} ({sent} reminded, {skipped} skipped).",
        sent = reminded.sent.len(),
        skipped = reminded.skipped.len()
    ))?;
    Ok(())
}

fn sent(sent: v1::remind_response::Sent) -> Sent {
    Sent {
        receiver: shape::code(sent.receiver.as_ref()),
        delivery: sent.delivery_id,
        package: sent.package_id,
        round: sent.round,
    }
}

fn skipped(skipped: v1::remind_response::Skipped) -> Skipped {
    Skipped {
        receiver: shape::code(skipped.receiver.as_ref()),
        delivery: skipped.delivery_id,
        reason: skipped.reason,
    }
}

fn table(owed: &[Owed]) -> String {
    if owed.is_empty() {
        return "Không có gì phải nhắc (nothing is owed).".to_owned();
    }
    let rows = owed.iter().map(|owed| {
        let what = match owed.owing.as_str() {
            "unfetched" => "chưa lấy văn bản",
            "unconfirmed" => "chưa báo đã nhận trong ngày",
            "unanswered" => "chưa trả lời thu hồi",
            "due-soon" => "sắp đến giờ hẹn",
            "overdue" => "quá hạn xử lý",
            other => other,
        };
        [
            what.to_owned(),
            format!("{} ({})", owed.agency_name, owed.agency),
            story::clock(&owed.since),
            owed.count.to_string(),
            owed.document.clone().unwrap_or_default(),
            owed.package.clone().unwrap_or_default(),
        ]
    });
    output::table(
        ["Việc", "Cơ quan", "Từ / hạn", "Số", "Văn bản", "Gói tin"],
        rows,
    )
}
