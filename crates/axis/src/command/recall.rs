//! `axis recall`: takes a document back from some or all of its receivers, by a status 13 to each,
//! in one transaction: all of them are asked, or none.

use api::v1;
use serde::Serialize;

use crate::door::{Patience, SystemArgs};
use crate::failure::Failure;
use crate::{output, shape};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The edXML DocumentId of the document
    #[arg(value_name = "DOCUMENT")]
    document: String,
    /// Only from these receivers [default: from all]
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    to: Vec<String>,
    /// The document's sender; may be left out if the system serves one agency only
    #[arg(long, value_name = "CODE")]
    from: Option<String>,
    /// Why; every receiver reads it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who answers for it
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    staff: String,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    system: SystemArgs,
    #[command(flatten)]
    patience: Patience,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Recalled {
    document: String,
    sender: String,
    receivers: Vec<Receiver>,
}

#[derive(Debug, Serialize)]
struct Receiver {
    receiver: String,
    receiver_name: String,
    /// Of the status 13.
    package: String,
    /// `asked`: it has had the document and must answer. `agreed`: the axis took the document
    /// back before it was fetched.
    answer: String,
}

/// Runs `axis recall`.
///
/// # Errors
/// No such document, a receiver that never got it (then nobody is asked), or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.system.connect(args.patience).await?;
    let staff = v1::Staff {
        name: args.staff,
        ..v1::Staff::default()
    };
    let request = v1::RecallRequest {
        document_id: args.document,
        to: args.to,
        from: args.from,
        reason: args.reason,
        staff: Some(staff),
    };
    let answer = client.recall(request).await?;
    let receivers = answer.receivers.into_iter().map(|of| Receiver {
        receiver: shape::code(of.receiver.as_ref()),
        receiver_name: shape::name(of.receiver.as_ref()).to_owned(),
        package: of.package_id,
        answer: of.answer,
    });
    let recalled = Recalled {
        document: answer.document_id,
        sender: shape::code(answer.sender.as_ref()),
        receivers: receivers.collect(),
    };
    if args.json {
        return Ok(output::json(&recalled)?);
    }
    Ok(output::line(table(&recalled.receivers))?)
}

fn table(receivers: &[Receiver]) -> String {
    let rows = receivers.iter().map(|of| {
        let what = match of.answer.as_str() {
            "agreed" => "đã rút lại trước khi bên nhận lấy",
            "refused" => "bên nhận từ chối trả lại",
            _ => "đã yêu cầu, chờ bên nhận trả lời",
        };
        let whom = format!("{} ({})", of.receiver_name, of.receiver);
        [whom, what.to_owned(), of.package.clone()]
    });
    output::table(["Bên nhận", "Thu hồi", "Gói tin"], rows)
}
