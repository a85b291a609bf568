//! `axis remove`: removes the content of the packages on an approved list. Their records, hashes
//! and the chain stay; the decision and the person stand in the journal.

use std::path::PathBuf;

use api::v1;
use serde::Serialize;

use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The approved list: a text file with a package id a line; what follows `#` is not read
    #[arg(long, value_name = "FILE")]
    list: PathBuf,
    /// Number and date of the decision that approves the list
    #[arg(long, value_name = "NUMBER")]
    decision: String,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Removed<'a> {
    decision: &'a str,
    removed: u64,
    removed_bytes: u64,
    packages: Vec<Package<'a>>,
}

#[derive(Debug, Serialize)]
struct Package<'a> {
    package: &'a str,
    size: u64,
    removed: bool,
}

/// Runs `axis remove`.
///
/// # Errors
/// A list that cannot be read, a refusal, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let path = args.list.display();
    let list = std::fs::read_to_string(&args.list)
        .map_err(|error| Failure::usage(format!("the list {path} cannot be read: {error}")))?;
    let package_ids = ids(&list).map_err(|(line, text)| {
        Failure::usage(format!(
            "{path}, line {line}: {text:?} is no package id (24 hex digits); nothing was removed"
        ))
    })?;
    let client = args.operator.connect(args.patience).await?;
    let request = v1::RemoveRequest {
        package_ids,
        decision: args.decision.clone(),
    };
    let answer = client.remove(request).await?;
    let removed = answer.removals.iter().filter(|of| of.removed).count();
    if args.json {
        let packages = answer.removals.iter().map(|of| Package {
            package: &of.package_id,
            size: of.size,
            removed: of.removed,
        });
        output::json(&Removed {
            decision: &args.decision,
            removed: removed as u64,
            removed_bytes: answer.removed_bytes,
            packages: packages.collect(),
        })?;
        return Ok(());
    }
    let rows = answer.removals.iter().map(|of| {
        let done = if of.removed {
            "đã xóa nội dung"
        } else {
            "đã xóa từ trước"
        };
        [
            of.package_id.clone(),
            output::size(of.size),
            done.to_owned(),
        ]
    });
    output::line(output::table(["Gói tin", "Cỡ", "Kết quả"], rows))?;
    output::line(format!(
        "Đã xóa nội dung {removed} gói tin, {bytes}, theo quyết định {decision}; hồ sơ và mã băm vẫn còn ({removed} removed; records stay).",
        bytes = output::size(answer.removed_bytes),
        decision = args.decision,
    ))?;
    Ok(())
}

/// The ids of a list, or the first line that is none.
fn ids(list: &str) -> Result<Vec<String>, (usize, &str)> {
    let mut ids = Vec::new();
    for (number, line) in list.lines().enumerate() {
        let id = line.split('#').next().unwrap_or_default();
        let id = id.trim_start_matches('\u{feff}').trim();
        if id.is_empty() {
            continue;
        }
        if id.parse::<ledger::id::PackageId>().is_err() {
            return Err((number + 1, id));
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_an_id_a_line_and_remarks() {
        let list =
            "\u{feff}# QĐ 77\n0123456789ab00070000002a # 12/SNV\r\n\n0123456789ab00070000002b";
        assert_eq!(
            ids(list).unwrap(),
            ["0123456789ab00070000002a", "0123456789ab00070000002b"]
        );
        assert_eq!(
            ids("0123456789ab00070000002a\nmọi gói"),
            Err((2, "mọi gói"))
        );
    }
}
