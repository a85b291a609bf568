//! `axis status`: report a processing status as a receiver, or show those of a document.

use api::v1;
use clap::Subcommand;

use crate::door::{EitherArgs, Patience, SystemArgs};
use crate::failure::Failure;
use crate::{output, shape, story, words};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a status package and push it (as a system)
    Report(ReportArgs),
    /// The state of a document at each of its receivers
    Matrix(MatrixArgs),
    /// Statuses as they come, until interrupted
    Watch(WatchArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// 01 arrived, 02 refused, 03 accepted, 04 assigned, 05 in progress, 06 finished, 13 take back,
    /// 15 agreed, 16 declined
    code: String,
    /// The edXML DocumentId of the document
    #[arg(long, value_name = "ID")]
    document: String,
    /// The agency that gets the status: the document's sender (for 13: one of its receivers)
    #[arg(long, value_name = "ORGAN")]
    to: String,
    /// The reporting agency; may be left out if the system serves one agency only
    #[arg(long, value_name = "ORGAN")]
    from: Option<String>,
    /// The reason; 02, 13 and 16 need one
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// The clerk's name
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    staff: String,
    /// The clerk's department
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    department: String,
    /// The clerk's mobile phone
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "",
        hide_default_value = true
    )]
    mobile: String,
    /// The clerk's e-mail
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    email: String,
    /// One JSON object on stdout: the receipt
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    system: SystemArgs,
    #[command(flatten)]
    patience: Patience,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MatrixArgs {
    /// The edXML DocumentId (with --sender), or the id of one of the document's packages
    id: String,
    /// The document's sender (any of its codes)
    #[arg(long, value_name = "CODE")]
    sender: Option<String>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// Resume behind this token, as an earlier watch printed it [default: from now on]
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    token: String,
    /// End once everything up to now was told
    #[arg(long)]
    until_now: bool,
    /// One JSON object a status on stdout, each with its token
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

/// Runs `axis status`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Report(args) => report(args).await,
        Command::Matrix(args) => matrix(args).await,
        Command::Watch(args) => watch(args).await,
    }
}

async fn report(args: ReportArgs) -> Result<(), Failure> {
    let client = args.system.connect(args.patience).await?;
    let receipt = client
        .report(v1::ReportRequest {
            code: args.code.clone(),
            document_id: args.document,
            to: args.to,
            from: args.from,
            reason: args.reason,
            staff: Some(v1::Staff {
                department: args.department,
                name: args.staff,
                mobile: args.mobile,
                email: args.email,
            }),
        })
        .await?;
    let receipt = shape::Receipt::from(&receipt);
    if args.json {
        output::json(&receipt)?;
    } else {
        output::line(format!(
            "Đã gửi trạng thái {code} tới {to} (status sent)\n  gói tin  {id}\n  lúc      {at}",
            code = args.code,
            to = receipt.receivers.join(", "),
            id = receipt.id,
            at = story::clock(&receipt.accepted_at),
        ))?;
    }
    Ok(())
}

async fn matrix(args: MatrixArgs) -> Result<(), Failure> {
    let request = match args.sender {
        Some(sender) => v1::MatrixRequest {
            sender,
            document_id: args.id,
            package_id: String::new(),
        },
        None if args.id.parse::<ledger::id::PackageId>().is_ok() => v1::MatrixRequest {
            package_id: args.id,
            ..v1::MatrixRequest::default()
        },
        None => {
            return Err(Failure::usage(format!(
                "{} is no package id (24 hex digits); with a DocumentId give --sender CODE too",
                args.id
            )));
        }
    };
    let client = args.door.connect().await?;
    let answer = client.matrix(request).await?;
    if args.json {
        output::json(&shape::Matrix::from(&answer))?;
    } else {
        output::line(matrix_table(&answer))?;
    }
    Ok(())
}

async fn watch(args: WatchArgs) -> Result<(), Failure> {
    let client = args.door.connect().await?;
    let request = v1::WatchRequest { token: args.token };
    let mut watched = client.watch_statuses(request).await?;
    while let Some(message) = watched.next().await? {
        match &message.change {
            Some(change) if args.json => {
                output::json(&shape::Watched::of(&message.token, change))?;
            }
            Some(change) => output::line(format!(
                "{}  {} {}  {}  {} -> {}  {}",
                story::clock(&change.at),
                change.code,
                change.label,
                change.document_id,
                story::agency(change.receiver.as_ref()),
                story::agency(change.sender.as_ref()),
                output::shorten(&change.description, 48),
            ))?,
            None if args.until_now => {
                if !args.json {
                    output::line(format!("Mã tiếp tục (token): {}", message.token))?;
                }
                return Ok(());
            }
            None => {}
        }
    }
    Ok(())
}

fn matrix_table(matrix: &v1::MatrixResponse) -> String {
    let due = match matrix.due_at.as_str() {
        "" => String::new(),
        at => format!("Hạn xử lý {}\n", story::clock(at)),
    };
    let head = format!(
        "Văn bản {}\nBên gửi {}\n{due}\n",
        matrix.document_id,
        story::agency(matrix.sender.as_ref())
    );
    let rows = matrix.cells.iter().map(|cell| {
        let last = cell.events.last();
        let recall = cell.recall.as_ref();
        let mut standing = recall
            .map_or("", |recall| recall_vi(&recall.answer))
            .to_owned();
        if cell.overdue {
            standing.push_str(if standing.is_empty() { "" } else { "; " });
            standing.push_str("quá hạn");
        }
        [
            story::agency(cell.receiver.as_ref()),
            words::state_vi(cell.delivery_state()).to_owned(),
            if cell.status.is_empty() {
                "-".to_owned()
            } else {
                format!("{} {}", cell.status, cell.status_label)
            },
            last.map(|event| story::clock(&event.at))
                .unwrap_or_default(),
            standing,
            last.map(said).unwrap_or_default(),
        ]
    });
    let table = output::table(
        [
            "Bên nhận",
            "Bản gửi",
            "Trạng thái",
            "Lúc",
            "Thu hồi / hạn",
            "Ghi chú",
        ],
        rows,
    );
    head + &table + &counted(matrix.counts.unwrap_or_default())
}

/// The text of a status and who answers for it.
fn said(event: &v1::StatusEvent) -> String {
    let text = output::shorten(&event.description, 48);
    match (text.as_str(), event.staff.as_str()) {
        (_, "") => text,
        ("", staff) => staff.to_owned(),
        (text, staff) => format!("{text} ({})", output::shorten(staff, 32)),
    }
}

fn recall_vi(answer: &str) -> &str {
    match answer {
        "asked" => "đã yêu cầu thu hồi",
        "no-answer" => "chưa trả lời thu hồi",
        "agreed" => "đồng ý thu hồi",
        "refused" => "từ chối thu hồi",
        other => other,
    }
}

/// How many receivers stand where; what is refused is told apart from what is received.
fn counted(counts: v1::MatrixCounts) -> String {
    let told = [
        (counts.waiting, "chờ nhận"),
        (counts.received, "đã nhận"),
        (counts.finished, "hoàn thành"),
        (counts.refused, "từ chối"),
        (counts.recalled, "thu hồi"),
        (counts.failed, "hỏng"),
        (counts.overdue, "quá hạn"),
    ];
    let told: Vec<_> = told
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{word} {count}"))
        .collect();
    format!("\n\n{} bên nhận: {}", counts.receivers, told.join(", "))
}
