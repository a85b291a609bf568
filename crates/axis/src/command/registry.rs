//! `axis registry`: the agencies.

use std::path::PathBuf;

use api::v1;
use clap::Subcommand;
use serde::Serialize;

use crate::door::{EitherArgs, OperatorArgs, Patience};
use crate::failure::Failure;
use crate::{output, shape};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The agencies, or those that match
    List {
        /// A part of a code or a name, without regard to case and diacritics
        #[arg(default_value = "", hide_default_value = true)]
        search: String,
        /// One JSON object an agency on stdout
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        door: EitherArgs,
    },
    /// One agency, by any of its codes
    Show {
        /// The code
        code: String,
        /// One JSON object on stdout
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        door: EitherArgs,
    },
    /// Take agencies from a CSV file: all of it or nothing
    Import {
        /// UTF-8, with the header `code,code_2020,name,parent` at least
        file: PathBuf,
        /// Check only; change nothing
        #[arg(long)]
        dry_run: bool,
        /// The decision that the change rests on, for the record
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        decision: String,
        /// One JSON object on stdout
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        operator: OperatorArgs,
        #[command(flatten)]
        patience: Patience,
    },
}

/// Runs `axis registry`.
///
/// # Errors
/// A refusal, problems in the file, or no axis there.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::List { search, json, door } => list(search, json, &door).await,
        Command::Show { code, json, door } => show(code, json, &door).await,
        Command::Import {
            file,
            dry_run,
            decision,
            json,
            operator,
            patience,
        } => {
            let csv = std::fs::read(&file).map_err(|error| Failure::file("read", &file, &error))?;
            let client = operator.connect(patience).await?;
            let request = v1::ImportAgenciesRequest {
                csv: csv.into(),
                dry_run,
                decision,
                ..v1::ImportAgenciesRequest::default()
            };
            let answer = client.import_agencies(request).await?;
            imported(&answer, &file.display().to_string(), dry_run, json)
        }
    }
}

async fn list(search: String, json: bool, door: &EitherArgs) -> Result<(), Failure> {
    let client = door.connect().await?;
    let mut request = v1::ListAgenciesRequest {
        search,
        ..v1::ListAgenciesRequest::default()
    };
    let mut rows = Vec::new();
    loop {
        let page = client.list_agencies(request.clone()).await?;
        for agency in page.agencies.iter().map(shape::Agency::from) {
            if json {
                output::json(&agency)?;
            } else {
                rows.push([
                    agency.code,
                    agency.code_2020.unwrap_or_default(),
                    agency.name,
                    agency.parent.unwrap_or_default(),
                    state_vi(&agency.state).to_owned(),
                    agency.systems.join(", "),
                ]);
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if json {
        return Ok(());
    }
    if rows.is_empty() {
        output::line(
            "Không có cơ quan nào (no agencies). Nhập danh mục: axis registry import FILE.csv",
        )?;
    } else {
        output::line(output::table(
            ["Mã", "Mã 2020", "Tên", "Cấp trên", "Tình trạng", "Hệ thống"],
            rows,
        ))?;
    }
    Ok(())
}

/// The state of an agency in Vietnamese.
fn state_vi(state: &str) -> &str {
    match state {
        "requested" => "đề nghị",
        "approved" => "đã duyệt",
        "active" => "hoạt động",
        "suspended" => "tạm dừng",
        "closed" => "đã đóng",
        "seen" => "chưa đăng ký",
        other => other,
    }
}

async fn show(code: String, json: bool, door: &EitherArgs) -> Result<(), Failure> {
    let client = door.connect().await?;
    let agency = shape::Agency::from(
        &client
            .get_agency(v1::GetAgencyRequest {
                code,
                ..v1::GetAgencyRequest::default()
            })
            .await?,
    );
    if json {
        output::json(&agency)?;
        return Ok(());
    }
    let rows = [
        ("Mã (code)", agency.code),
        ("Mã 2020", agency.code_2020.unwrap_or_default()),
        ("Mã khác (other codes)", agency.other_codes.join(", ")),
        ("Tên (name)", agency.name),
        ("Cấp trên (parent)", agency.parent.unwrap_or_default()),
        (
            "Tình trạng (state)",
            format!("{} ({})", state_vi(&agency.state), agency.state),
        ),
        ("Kế thừa (successors)", agency.successors.join(", ")),
        ("Hệ thống (systems)", agency.systems.join(", ")),
        (
            "Thay đổi (changed)",
            format!(
                "{} {}",
                agency.changed_at.unwrap_or_default(),
                agency.changed_by.unwrap_or_default()
            ),
        ),
    ];
    let rows = rows
        .into_iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| [name.to_owned(), value]);
    output::line(output::table(["", ""], rows).trim_start())?;
    Ok(())
}

/// What `--json` prints of an import.
#[derive(Debug, Serialize)]
struct Imported<'a> {
    added: u32,
    changed: u32,
    unchanged: u32,
    dry_run: bool,
    problems: Vec<Problem<'a>>,
}

#[derive(Debug, Serialize)]
struct Problem<'a> {
    row: u32,
    column: &'a str,
    message: &'a str,
    message_en: &'a str,
}

fn imported(
    answer: &v1::ImportAgenciesResponse,
    file: &str,
    dry_run: bool,
    json: bool,
) -> Result<(), Failure> {
    let problems: Vec<_> = answer
        .problems
        .iter()
        .map(|problem| Problem {
            row: problem.row,
            column: &problem.column,
            message: &problem.message,
            message_en: &problem.message_en,
        })
        .collect();
    let failed = !problems.is_empty();
    if json {
        let v1::ImportAgenciesResponse {
            added,
            changed,
            unchanged,
            ..
        } = *answer;
        output::json(&Imported {
            added,
            changed,
            unchanged,
            dry_run,
            problems,
        })?;
    } else if failed {
        for problem in &problems {
            eprintln!(
                "{file}:{}: {}: {}\n    {}",
                problem.row, problem.column, problem.message, problem.message_en
            );
        }
        eprintln!("axis: nothing was changed; mend the rows named and import again");
    } else {
        let done = if dry_run {
            "Chưa thay đổi gì (dry run)"
        } else {
            "Đã nhập (imported)"
        };
        output::line(format!(
            "{done}: {} thêm mới (added), {} thay đổi (changed), {} giữ nguyên (unchanged).",
            answer.added, answer.changed, answer.unchanged
        ))?;
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}
