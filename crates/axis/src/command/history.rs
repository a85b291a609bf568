//! `axis history`: search packages, or the pushes that were refused.

use api::v1;

use crate::command::{KindArg, time_argument};
use crate::door::EitherArgs;
use crate::failure::Failure;
use crate::{output, shape, words};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only packages from or to this agency (any of its codes)
    #[arg(long, value_name = "CODE")]
    agency: Option<String>,
    /// Only packages of this edXML DocumentId
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    document: String,
    /// Only documents with this number and notation: 7816/VPCP-TTĐT
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "",
        hide_default_value = true
    )]
    number: String,
    /// Accepted at or after this date or time: 2026-07-01, 2026-07-01T08:00:00+07:00
    #[arg(long, value_name = "TIME", value_parser = time_argument, default_value = "", hide_default_value = true)]
    since: String,
    /// Accepted before this date or time
    #[arg(long, value_name = "TIME", value_parser = time_argument, default_value = "", hide_default_value = true)]
    until: String,
    /// Only documents, or only statuses
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// Only documents with all these words in one of their fields (subject, signer, post, kind,
    /// places, file names, …)
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    text: String,
    /// Only documents of this level: 0 ordinary to 4 hỏa tốc hẹn giờ
    #[arg(long, value_name = "0-4", value_parser = clap::value_parser!(u32).range(0..=4))]
    level: Option<u32>,
    /// Only documents that a paper copy follows (true), or that none follows (false)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    paper: Option<bool>,
    /// Only documents that a receiver has not finished (06) by their due date
    #[arg(long)]
    overdue: bool,
    /// The pushes that were refused instead (operators only)
    #[arg(long)]
    refused: bool,
    /// At most this many; 0 means all
    #[arg(long, value_name = "N", default_value_t = 100)]
    max: usize,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

/// The most that the axis gives in one page.
const PAGE: u32 = 1_000;

/// Runs `axis history`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.door.connect().await?;
    let mut left = if args.max == 0 { usize::MAX } else { args.max };
    let mut request = v1::SearchRequest {
        agency: args.agency,
        document_id: args.document,
        number: args.number,
        since: args.since,
        until: args.until,
        kind: args.kind.map(|kind| v1::PackageKind::from(kind) as i32),
        refused: args.refused,
        text: args.text,
        level: args.level,
        paper: args.paper,
        overdue: args.overdue,
        ..v1::SearchRequest::default()
    };
    let mut packages = Vec::new();
    let mut refusals = Vec::new();
    loop {
        request.page_size = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = client.search(request.clone()).await?;
        let got = page.packages.len() + page.refusals.len();
        if args.json {
            for package in page.packages.iter().take(left) {
                output::json(&shape::Package::from(package))?;
            }
            for refusal in page.refusals.iter().take(left) {
                output::json(&shape::RefusedPush::from(refusal))?;
            }
        } else {
            packages.extend(page.packages);
            refusals.extend(page.refusals);
        }
        left = left.saturating_sub(got);
        if left == 0 || page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if !args.json {
        output::line(if args.refused {
            refused_table(&refusals)
        } else {
            package_table(&packages)
        })?;
    }
    Ok(())
}

fn package_table(packages: &[v1::PackageSummary]) -> String {
    if packages.is_empty() {
        return "Không có gói tin nào (no packages).".to_owned();
    }
    output::table(
        [
            "Thời điểm",
            "Gói tin",
            "Loại",
            "Bên gửi",
            "Số/ký hiệu",
            "Nội dung",
            "Bên nhận",
        ],
        packages.iter().map(|package| {
            let (number, about) = crate::story::about(package);
            [
                crate::story::clock(&package.accepted_at),
                package.package_id.clone(),
                words::kind_vi(package.kind()).to_owned(),
                shape::code(package.sender.as_ref()),
                number,
                output::shorten(&about, 48),
                receivers(&package.deliveries),
            ]
        }),
    )
}

/// Each receiver with its state; many are counted.
fn receivers(deliveries: &[v1::DeliverySummary]) -> String {
    const SHOWN: usize = 3;
    let mut text = deliveries
        .iter()
        .take(SHOWN)
        .map(|delivery| {
            format!(
                "{} {}",
                shape::code(delivery.receiver.as_ref()),
                words::state_vi(delivery.state())
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    if deliveries.len() > SHOWN {
        text += &format!(", … +{}", deliveries.len() - SHOWN);
    }
    text
}

fn refused_table(refusals: &[v1::RefusalSummary]) -> String {
    if refusals.is_empty() {
        return "Không có lần từ chối nào (no refusals).".to_owned();
    }
    output::table(
        [
            "Thời điểm",
            "Hệ thống",
            "Mã lỗi",
            "Bên gửi",
            "Vị trí",
            "Cỡ",
            "Số lần",
        ],
        refusals.iter().map(|refusal| {
            [
                crate::story::clock(&refusal.at),
                refusal.system.clone(),
                refusal.code.clone(),
                refusal.sender_code.clone(),
                refusal.path.clone(),
                output::size(refusal.size),
                refusal.count.to_string(),
            ]
        }),
    )
}
