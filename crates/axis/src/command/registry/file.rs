//! Lists as files: taken over, written, published, compared.

use std::io::Write as _;
use std::path::PathBuf;

use api::v1;
use clap::Args;
use serde::Serialize;

use crate::door::EitherArgs;
use crate::failure::Failure;
use crate::output;
use crate::shape::{Difference, Publication, UnknownCode};

use super::{ActArgs, AskArgs, Deliveries, IrregularArgs, WhenArgs, told};

/// Bytes of a list in one call: what the axis takes, less what stands around it.
const MAX_MESSAGE: usize = (32 << 20) - (64 << 10);

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// CSV, XLSX or JSON with a column of codes and one of names at least
    file: PathBuf,
    #[command(flatten)]
    when: WhenArgs,
    /// The sheet of a workbook [default: the first with a heading]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    #[command(flatten)]
    irregular: IrregularArgs,
    /// What becomes of what waits for agencies that the list closes
    #[arg(long, value_name = "WHAT")]
    deliveries: Option<Deliveries>,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write; its ending (.csv, .xlsx, .json) says the format. - is stdout
    file: PathBuf,
    /// The format, where the name does not say it
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "xlsx", "json"])]
    format: Option<String>,
    /// As of a day or a moment
    #[arg(long, value_name = "MOMENT")]
    as_of: Option<String>,
    /// A published version
    #[arg(long, value_name = "NUMBER", conflicts_with = "as_of")]
    version: Option<u64>,
    /// Closed ones too
    #[arg(long)]
    closed: bool,
    /// Say what was written as one JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// What is to be said of this version
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The list as of a day or a moment [default: now]
    #[arg(long, value_name = "MOMENT")]
    as_of: Option<String>,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VersionsArgs {
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SentArgs {
    /// The version
    version: u64,
    /// The day: 2026-07-01
    #[arg(long, value_name = "DAY")]
    on: String,
    /// The number of the document that it was sent with
    #[arg(long, value_name = "NUMBER")]
    document: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The other list: CSV, XLSX or JSON, also as the national axis answers it
    file: PathBuf,
    /// The sheet of a workbook
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UnknownArgs {
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// The codes to take over; without any, all that are under this province's codes and
    /// missing here
    codes: Vec<String>,
    /// The list to take them from
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The sheet of a workbook
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    #[command(flatten)]
    when: WhenArgs,
    #[command(flatten)]
    irregular: IrregularArgs,
    #[command(flatten)]
    act: ActArgs,
}

/// What `--json` prints of an export.
#[derive(Debug, Serialize)]
struct Exported<'a> {
    file: &'a str,
    agencies: u32,
    sha256: &'a str,
}

/// What `--json` prints of an import.
#[derive(Debug, Serialize)]
struct Imported<'a> {
    added: u32,
    changed: u32,
    unchanged: u32,
    dry_run: bool,
    problems: Vec<Problem<'a>>,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Problem<'a> {
    row: u32,
    column: &'a str,
    cell: &'a str,
    message: &'a str,
    message_en: &'a str,
}

impl<'a> From<&'a v1::ImportProblem> for Problem<'a> {
    fn from(of: &'a v1::ImportProblem) -> Self {
        Self {
            row: of.row,
            column: &of.column,
            cell: &of.cell,
            message: &of.message,
            message_en: &of.message_en,
        }
    }
}

fn read(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::file("read", file, &error))
}

/// A list that fits into one call. A larger file is read here, and sent as its rows alone.
fn sendable(bytes: Vec<u8>, name: &str, sheet: &str) -> Result<Vec<u8>, Failure> {
    if bytes.len() <= MAX_MESSAGE {
        return Ok(bytes);
    }
    let list = parse(&bytes, name, sheet)?;
    let entries: Vec<_> = list.rows.into_iter().map(|row| row.entry).collect();
    let smaller = lists::write(&entries, lists::Format::Csv).map_err(|e| Failure::caused_by(&e))?;
    if smaller.len() > MAX_MESSAGE {
        return Err(Failure::refused(format!(
            "{name}: {} is too much for one list; split it",
            output::size(smaller.len() as u64)
        )));
    }
    Ok(smaller)
}

fn parse(bytes: &[u8], name: &str, sheet: &str) -> Result<lists::List, Failure> {
    lists::read_sheet(bytes, sheet).map_err(|problems| {
        for problem in problems.iter().take(100) {
            let problem = Problem {
                row: problem.row,
                column: &problem.column,
                cell: &problem.cell,
                message: &problem.message,
                message_en: &problem.message_en,
            };
            tell(name, &problem);
        }
        Failure::refused("the list cannot be read; mend what is named")
    })
}

/// A problem on stderr, with its place.
fn tell(file: &str, problem: &Problem<'_>) {
    let Problem {
        row,
        column,
        cell,
        message: vi,
        message_en: en,
    } = problem;
    let place = match (*cell, *row, *column) {
        ("", 0, _) => String::new(),
        ("", row, "") => format!(":{row}"),
        ("", row, column) => format!(":{row} ({column})"),
        (cell, _, "") => format!(":{cell}"),
        (cell, _, column) => format!(":{cell} ({column})"),
    };
    eprintln!("{file}{place}: {vi}\n    {en}");
}

pub(super) async fn import(mut args: ImportArgs) -> Result<(), Failure> {
    args.act.door.for_a_list();
    let name = args.file.display().to_string();
    let sheet = args.sheet.unwrap_or_default();
    let list = sendable(read(&args.file)?, &name, &sheet)?;
    let client = args.act.connect().await?;
    let irregular = args.irregular.reason(&args.when);
    let request = v1::ImportAgenciesRequest {
        csv: list.into(),
        dry_run: args.when.dry_run,
        decision: args.when.decision.unwrap_or_default(),
        effective: args.when.effective.unwrap_or_default(),
        why: args.when.why.unwrap_or_default(),
        sheet,
        irregular: irregular.unwrap_or_default(),
        deliveries: Deliveries::wire(args.deliveries),
        ..v1::ImportAgenciesRequest::default()
    };
    let answer = client.import_agencies(request).await?;
    imported(&answer, &name, args.when.dry_run, args.act.json)
}

fn imported(
    answer: &v1::ImportAgenciesResponse,
    file: &str,
    dry_run: bool,
    json: bool,
) -> Result<(), Failure> {
    let problems: Vec<_> = answer.problems.iter().map(Problem::from).collect();
    let differences: Vec<_> = answer.differences.iter().map(Difference::from).collect();
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
            differences,
        })?;
    } else if failed {
        for problem in &problems {
            tell(file, problem);
        }
        eprintln!("axis: nothing was changed; mend the rows named and import again");
    } else {
        if dry_run && !differences.is_empty() {
            output::line(told::differences(&differences))?;
            output::line("")?;
        }
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

pub(super) async fn export(args: ExportArgs) -> Result<(), Failure> {
    let name = args.file.display().to_string();
    if args.json && name == "-" {
        return Err(Failure::usage(
            "--json says what was written, and here stdout is the list itself; name a file",
        ));
    }
    let by_name = || {
        name.rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase())
    };
    let format = args
        .format
        .or_else(by_name)
        .filter(|format| matches!(format.as_str(), "csv" | "xlsx" | "json"))
        .ok_or_else(|| {
            Failure::usage("which format? Name the file .csv, .xlsx or .json, or give --format")
        })?;
    let client = args.door.connect().await?;
    let request = v1::ExportAgenciesRequest {
        format,
        as_of: args.as_of.unwrap_or_default(),
        publication: args.version,
        closed: args.closed,
    };
    let exported = client.export_agencies(request).await?;
    if name == "-" {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&exported.file)?;
        stdout.flush()?;
        return Ok(());
    }
    std::fs::File::create(&args.file)
        .and_then(|mut file| file.write_all(&exported.file))
        .map_err(|error| Failure::file("write", &args.file, &error))?;
    let v1::ExportAgenciesResponse {
        agencies, sha256, ..
    } = exported;
    if args.json {
        output::json(&Exported {
            file: &name,
            agencies,
            sha256: &sha256,
        })?;
        return Ok(());
    }
    output::line(format!(
        "{name}: {agencies} cơ quan (agencies), SHA-256 {sha256}"
    ))?;
    Ok(())
}

fn print(publication: &v1::Publication, json: bool) -> Result<(), Failure> {
    let publication = Publication::from(publication);
    if json {
        output::json(&publication)?;
    } else {
        output::line(versions_table([publication]))?;
    }
    Ok(())
}

fn versions_table(versions: impl IntoIterator<Item = Publication>) -> String {
    let rows = versions.into_iter().map(|one| {
        let sent = match (one.sent_on, one.sent_document) {
            (Some(on), Some(document)) => format!("{on} theo {document}"),
            _ => String::new(),
        };
        [
            one.version.to_string(),
            one.at,
            one.agencies.to_string(),
            one.by.unwrap_or_default(),
            sent,
            one.note.unwrap_or_default(),
            one.sha256.chars().take(16).collect(),
        ]
    });
    output::table(
        [
            "Phiên bản",
            "Công bố lúc",
            "Cơ quan",
            "Người công bố",
            "Gửi bộ",
            "Ghi chú",
            "SHA-256",
        ],
        rows,
    )
}

pub(super) async fn publish(args: PublishArgs) -> Result<(), Failure> {
    let client = args.act.connect().await?;
    let request = v1::PublishRequest {
        note: args.note.unwrap_or_default(),
        as_of: args.as_of.unwrap_or_default(),
    };
    print(&client.publish(request).await?, args.act.json)
}

pub(super) async fn versions(args: VersionsArgs) -> Result<(), Failure> {
    let client = args.ask.connect().await?;
    let answer = client
        .list_publications(v1::ListPublicationsRequest {})
        .await?;
    let versions = answer.publications.iter().map(Publication::from);
    if args.ask.json {
        for version in versions {
            output::json(&version)?;
        }
    } else if answer.publications.is_empty() {
        output::line(
            "Danh mục chưa công bố lần nào (nothing published yet): axis registry publish",
        )?;
    } else {
        output::line(versions_table(versions))?;
    }
    Ok(())
}

pub(super) async fn sent(args: SentArgs) -> Result<(), Failure> {
    let client = args.act.connect().await?;
    let request = v1::MarkSentRequest {
        version: args.version,
        on: args.on,
        document: args.document,
    };
    print(&client.mark_sent(request).await?, args.act.json)
}

pub(super) async fn compare(mut args: CompareArgs) -> Result<(), Failure> {
    args.ask.door.for_a_list();
    let name = args.file.display().to_string();
    let sheet = args.sheet.unwrap_or_default();
    let list = sendable(read(&args.file)?, &name, &sheet)?;
    let client = args.ask.connect().await?;
    let request = v1::CompareListRequest {
        list: list.into(),
        sheet,
        ..v1::CompareListRequest::default()
    };
    let answer = client.compare_list(request).await?;
    if !answer.problems.is_empty() {
        for problem in &answer.problems {
            tell(&name, &Problem::from(problem));
        }
        return Err(Failure::Told);
    }
    let found: Vec<_> = answer.differences.iter().map(Difference::from).collect();
    if args.ask.json {
        for difference in &found {
            output::json(difference)?;
        }
        return Ok(());
    }
    if !found.is_empty() {
        output::line(told::differences(&found))?;
        output::line("")?;
    }
    output::line(format!(
        "{} giống nhau (alike), {} khác (different or missing).",
        answer.same,
        found.len()
    ))?;
    Ok(())
}

pub(super) async fn unknown(args: UnknownArgs) -> Result<(), Failure> {
    let client = args.ask.connect().await?;
    let answer = client.list_unknown(v1::ListUnknownRequest {}).await?;
    let codes = answer.codes.iter().map(UnknownCode::from);
    if args.ask.json {
        for code in codes {
            output::json(&code)?;
        }
        return Ok(());
    }
    if answer.codes.is_empty() {
        output::line("Không có mã lạ nào (no unknown codes).")?;
        return Ok(());
    }
    let rows = codes.map(|code| {
        [
            code.code,
            if code.role == "sender" {
                "bên gửi"
            } else {
                "bên nhận"
            }
            .to_owned(),
            code.count.to_string(),
            code.first_seen,
            code.last_seen,
            code.senders.join(", "),
        ]
    });
    output::line(output::table(
        [
            "Mã",
            "Vai trò",
            "Số lần",
            "Thấy lần đầu",
            "Thấy lần cuối",
            "Từ ai",
        ],
        rows,
    ))?;
    Ok(())
}

pub(super) async fn adopt(mut args: AdoptArgs) -> Result<(), Failure> {
    args.act.door.for_a_list();
    let name = args.from.display().to_string();
    let bytes = read(&args.from)?;
    let sheet = args.sheet.unwrap_or_default();
    let list = parse(&bytes, &name, &sheet)?;
    let client = args.act.connect().await?;
    let mut wanted = args.codes.clone();
    if wanted.is_empty() {
        let request = v1::CompareListRequest {
            list: sendable(bytes, &name, &sheet)?.into(),
            sheet,
            ..v1::CompareListRequest::default()
        };
        let answer = client.compare_list(request).await?;
        let missing = answer
            .differences
            .into_iter()
            .filter(|one| one.what == "missing_here");
        wanted.extend(missing.map(|one| one.code));
        if wanted.is_empty() {
            output::line("Không thiếu cơ quan nào (nothing is missing here).")?;
            return Ok(());
        }
    }
    let canonical = |code: &str| code.trim().to_uppercase();
    let mut chosen = Vec::new();
    for code in &wanted {
        let is_it = |row: &&lists::Row| {
            row.entry
                .codes()
                .any(|own| canonical(own) == canonical(code))
        };
        let row = list.rows.iter().find(is_it).ok_or_else(|| {
            Failure::refused(format!("{name} has no agency with the code {code}"))
        })?;
        chosen.push(row.entry.clone());
    }
    let irregular = args.irregular.reason(&args.when);
    let file = lists::write(&chosen, lists::Format::Json).map_err(|e| Failure::caused_by(&e))?;
    let request = v1::ImportAgenciesRequest {
        csv: file.into(),
        dry_run: args.when.dry_run,
        decision: args.when.decision.unwrap_or_default(),
        effective: args.when.effective.unwrap_or_default(),
        why: args.when.why.unwrap_or_else(|| format!("theo {name}")),
        irregular: irregular.unwrap_or_default(),
        ..v1::ImportAgenciesRequest::default()
    };
    let answer = client.import_agencies(request).await?;
    imported(&answer, &name, args.when.dry_run, args.act.json)
}
