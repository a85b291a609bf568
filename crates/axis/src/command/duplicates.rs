//! `axis duplicates`: numbers that more than one document of an agency has in one year.

use api::v1;

use crate::door::EitherArgs;
use crate::failure::Failure;
use crate::{output, shape, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of this agency (any of its codes)
    #[arg(long, value_name = "CODE")]
    agency: Option<String>,
    /// Only of this year of promulgation
    #[arg(long, value_name = "YEAR")]
    year: Option<i32>,
    /// At most this many numbers; 0 means all
    #[arg(long, value_name = "N", default_value_t = 100)]
    max: usize,
    /// One JSON object a number on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

/// Runs `axis duplicates`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.door.connect().await?;
    let mut left = if args.max == 0 { usize::MAX } else { args.max };
    let mut request = v1::ListDuplicatesRequest {
        agency: args.agency,
        year: args.year,
        ..v1::ListDuplicatesRequest::default()
    };
    let mut numbers = Vec::new();
    while left > 0 {
        request.page_size = super::page_of(left);
        let page = client.list_duplicates(request.clone()).await?;
        left = left.saturating_sub(page.numbers.len());
        for number in &page.numbers {
            let number = shape::DuplicateNumber::from(number);
            if args.json {
                output::json(&number)?;
            } else {
                numbers.push(number);
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if !args.json {
        output::line(table(&numbers))?;
    }
    Ok(())
}

fn table(numbers: &[shape::DuplicateNumber]) -> String {
    if numbers.is_empty() {
        return "Không có số, ký hiệu nào trùng trong năm (every number is unique in its year)."
            .to_owned();
    }
    let rows = numbers.iter().flat_map(|number| {
        number.documents.iter().map(|document| {
            [
                number.agency.clone(),
                number.year.to_string(),
                number.number.clone(),
                document.document.clone(),
                output::shorten(&document.subject, 40),
                story::clock(&document.accepted_at),
                document.id.clone(),
            ]
        })
    });
    output::table(
        [
            "Cơ quan",
            "Năm",
            "Số/ký hiệu",
            "Mã văn bản",
            "Trích yếu",
            "Lúc nhận",
            "Gói tin",
        ],
        rows,
    )
}
