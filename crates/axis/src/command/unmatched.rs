//! `axis unmatched`: statuses whose document has not come.

use api::v1;

use crate::door::EitherArgs;
use crate::failure::Failure;
use crate::{output, shape, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// At most this many; 0 means all
    #[arg(long, value_name = "N", default_value_t = 100)]
    max: usize,
    /// One JSON object a line on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

/// Runs `axis unmatched`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.door.connect().await?;
    let mut left = if args.max == 0 { usize::MAX } else { args.max };
    let mut request = v1::ListUnmatchedRequest::default();
    let mut statuses = Vec::new();
    while left > 0 {
        request.page_size = super::page_of(left);
        let page = client.list_unmatched(request.clone()).await?;
        left = left.saturating_sub(page.statuses.len());
        for status in &page.statuses {
            let status = shape::Unmatched::from(status);
            if args.json {
                output::json(&status)?;
            } else {
                statuses.push(status);
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if !args.json {
        statuses.sort_by(|a, b| a.at.cmp(&b.at));
        output::line(table(&statuses))?;
    }
    Ok(())
}

fn table(statuses: &[shape::Unmatched]) -> String {
    if statuses.is_empty() {
        return "Mọi trạng thái đều đã khớp với văn bản (every status has its document)."
            .to_owned();
    }
    output::table(
        [
            "Lúc",
            "Trạng thái",
            "Bên báo",
            "Bên gửi văn bản",
            "Văn bản",
            "Gói tin",
        ],
        statuses.iter().map(|status| {
            [
                story::clock(&status.at),
                format!("{} {}", status.code, status.label),
                status.sender.clone(),
                status.document_sender.clone(),
                status.document_id.clone().unwrap_or_else(|| {
                    format!("{} ngày {}", status.document_code, status.promulgation_date)
                }),
                status.id.clone(),
            ]
        }),
    )
}
