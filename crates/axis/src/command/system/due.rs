//! Keys, certificates and accounts that are to be changed.

use api::v1;
use clap::Args;
use serde::Serialize;

use super::Common;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct DueArgs {
    /// Those that are so many days old
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..))]
    older_than: u32,
    /// Those that end within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    ending_within: u32,
    #[command(flatten)]
    common: Common,
}

/// What is to be changed, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Due<'a> {
    system: Option<&'a str>,
    account: Option<&'a str>,
    credential: &'a str,
    added_at: &'a str,
    age_days: u32,
    not_after: Option<&'a str>,
    why: &'a str,
}

impl<'a> From<&'a v1::DueCredential> for Due<'a> {
    fn from(of: &'a v1::DueCredential) -> Self {
        let some = |text: &'a str| (!text.is_empty()).then_some(text);
        Self {
            system: some(&of.system),
            account: some(&of.account),
            credential: &of.credential,
            added_at: &of.added_at,
            age_days: of.age_days,
            not_after: some(&of.not_after),
            why: &of.why,
        }
    }
}

pub(super) async fn due(args: DueArgs) -> Result<(), Failure> {
    let request = v1::ListDueRequest {
        older_than_days: args.older_than,
        ending_within_days: args.ending_within,
    };
    let answer = args.common.connect().await?.list_due(request).await?;
    let due = answer.due.iter().map(Due::from);
    if args.common.json {
        for one in due {
            output::json(&one)?;
        }
        return Ok(());
    }
    if answer.due.is_empty() {
        output::line("Không có khóa, chứng thư hay tài khoản nào đến hạn (nothing is due).")?;
        return Ok(());
    }
    let rows = due.map(|one| {
        let whose = match (one.system, one.account) {
            (Some(system), _) => format!("hệ thống {system}"),
            (None, account) => format!("tài khoản {}", account.unwrap_or_default()),
        };
        let why = match one.why {
            "old" => "quá tuổi, cần thay",
            "ending" => "sắp hết hạn",
            "ended" => "đã hết hạn",
            other => other,
        };
        [
            whose,
            output::shorten(one.credential, 17),
            one.added_at.to_owned(),
            one.age_days.to_string(),
            one.not_after.unwrap_or_default().to_owned(),
            why.to_owned(),
        ]
    });
    let heading = ["Của ai", "Khóa", "Từ", "Số ngày", "Đến", "Vì sao"];
    output::line(output::table(heading, rows))?;
    Ok(())
}
