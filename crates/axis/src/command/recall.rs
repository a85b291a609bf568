//! `axis recall`: takes a document back from some or all of its receivers, by a status 13 to each.

use api::client::Error;
use api::v1;
use serde::Serialize;

use crate::door::{Patience, SystemArgs};
use crate::failure::Failure;
use crate::output;

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
    receivers: Vec<Receiver>,
}

#[derive(Debug, Serialize)]
struct Receiver {
    receiver: String,
    /// Of the status 13.
    package: Option<String>,
    /// `asked`: it has had the document and must answer. `agreed`: the axis took the document
    /// back before it was fetched.
    answer: Option<String>,
    /// The refusal's name.
    refused: Option<String>,
}

/// Runs `axis recall`.
///
/// # Errors
/// No such document, a refusal for one of the receivers (the others are asked all the same), or
/// no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.system.connect(args.patience).await?;
    let sender = match &args.from {
        Some(code) => code.clone(),
        None => sender(&client, &args.document).await?,
    };
    let request = v1::MatrixRequest {
        sender,
        document_id: args.document.clone(),
        package_id: String::new(),
    };
    let receivers = if args.to.is_empty() {
        let matrix = client.matrix(request.clone()).await?;
        let cells = matrix.cells.iter();
        cells
            .map(|cell| main_code(cell.receiver.as_ref()))
            .collect()
    } else {
        args.to
    };
    let mut told = Vec::with_capacity(receivers.len());
    let mut failed = None;
    for receiver in receivers {
        let report = v1::ReportRequest {
            code: "13".to_owned(),
            document_id: args.document.clone(),
            to: receiver.clone(),
            from: args.from.clone(),
            reason: args.reason.clone(),
            staff: Some(v1::Staff {
                name: args.staff.clone(),
                ..v1::Staff::default()
            }),
        };
        let asked = client.report(report).await;
        let refused = match &asked {
            Err(Error::Refused(refused)) => Some(refused.name.clone()),
            _ => None,
        };
        let package = match asked {
            Ok(receipt) => Some(receipt.package_id),
            Err(error) if refused.is_some() => {
                failed.get_or_insert(error);
                None
            }
            Err(error) => return Err(error.into()),
        };
        told.push(Receiver {
            receiver,
            package,
            answer: None,
            refused,
        });
    }
    let matrix = client.matrix(request).await?;
    for told in told.iter_mut().filter(|told| told.refused.is_none()) {
        let cell = matrix.cells.iter().find(|cell| {
            let agency = cell.receiver.as_ref();
            agency.is_some_and(|of| of.code == told.receiver || of.main_code == told.receiver)
        });
        let recall = cell.and_then(|cell| cell.recall.as_ref());
        told.answer = recall.map(|recall| recall.answer.clone());
    }
    tell(&args.document, told, args.json)?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// The sender of a document, from its story.
async fn sender(client: &api::Client, document: &str) -> Result<String, Failure> {
    let id = document.to_owned();
    let trace = client.trace(v1::TraceRequest { id }).await?;
    let first = trace
        .packages
        .iter()
        .find(|package| package.kind() == v1::PackageKind::Document);
    Ok(first.map_or_else(String::new, |package| main_code(package.sender.as_ref())))
}

fn main_code(agency: Option<&v1::Agency>) -> String {
    agency.map(|of| of.main_code.clone()).unwrap_or_default()
}

fn tell(document: &str, receivers: Vec<Receiver>, json: bool) -> std::io::Result<()> {
    if json {
        return output::json(&Recalled {
            document: document.to_owned(),
            receivers,
        });
    }
    let rows = receivers.iter().map(|told| {
        let what = match (told.answer.as_deref(), &told.refused) {
            (_, Some(name)) => format!("không thu hồi được: {name}"),
            (Some("agreed"), _) => "đã rút lại trước khi bên nhận lấy".to_owned(),
            (Some("refused"), _) => "bên nhận từ chối trả lại".to_owned(),
            _ => "đã yêu cầu, chờ bên nhận trả lời".to_owned(),
        };
        let package = told.package.clone().unwrap_or_default();
        [told.receiver.clone(), what, package]
    });
    output::line(output::table(["Bên nhận", "Thu hồi", "Gói tin"], rows))
}
