//! `axis show`: a package as a person wants to read it, and its attachments as files. Needs no axis.

use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use edxml::{
    Attachment, BusinessKind, Document, Limits, OpenLimits, Organ, Package, Reading, Severity,
    Status, safe_file_name,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Paint, Tone};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Write the attachments into this folder, taken out of the ZIP that the national SDK puts
    /// around them; no file there is ever overwritten
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// A package as `--json` prints it.
#[derive(Debug, Serialize)]
struct Shown {
    file: String,
    kind: &'static str,
    verdict: &'static str,
    errors: usize,
    warnings: usize,
    signed: bool,
    from: Party,
    to: Vec<Party>,
    document: Option<Paper>,
    status: Option<Report>,
    trace: Vec<Trace>,
    attachments: Vec<Attached>,
}

#[derive(Debug, Serialize)]
struct Party {
    code: String,
    name: Option<String>,
}

impl From<&Organ> for Party {
    fn from(organ: &Organ) -> Self {
        Self {
            code: organ.id.as_str().trim().to_owned(),
            name: organ.name.clone(),
        }
    }
}

/// What a document says of itself.
#[derive(Debug, Serialize)]
struct Paper {
    id: Option<String>,
    number: String,
    notation: String,
    date: Option<String>,
    place: Option<String>,
    type_name: Option<String>,
    subject: Option<String>,
    content: Option<String>,
    /// 0 to 4.
    priority: u8,
    signer: Option<String>,
    signer_position: Option<String>,
    due_date: Option<String>,
    pages: Option<u32>,
    /// 0 new, 1 recall, 2 update, 3 replacement.
    business: u8,
    reason: Option<String>,
    /// The documents recalled, updated or replaced.
    targets: Vec<String>,
    /// The documents answered.
    answers: Vec<String>,
    to_places: Vec<String>,
}

/// What a status reports.
#[derive(Debug, Serialize)]
struct Report {
    code: String,
    label: &'static str,
    document: Option<String>,
    document_code: Option<String>,
    description: Option<String>,
    at: Option<String>,
    staff: Option<String>,
}

#[derive(Debug, Serialize)]
struct Trace {
    code: Option<String>,
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Attached {
    name: Option<String>,
    description: Option<String>,
    content_type: Option<String>,
    /// The real kind of the file, that inside a ZIP of the SDK where there is one.
    kind: &'static str,
    #[serde(skip)]
    label: &'static str,
    /// Bytes of the file.
    size: u64,
    /// Whether it came in a ZIP of the SDK.
    zipped: bool,
    /// Where `--extract` put it.
    extracted: Option<String>,
    /// Why it cannot be opened.
    problem: Option<String>,
}

/// Runs `axis show`.
///
/// # Errors
/// A file that is no package, or that cannot be read or written.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let bytes = load(&args.file).map_err(|error| Failure::file("read", &args.file, &error))?;
    let reading = edxml::read(&bytes, &Limits::default());
    let file = args.file.display().to_string();
    let Some(package) = &reading.package else {
        let file = output::plain(&file);
        let finding = reading.refusal().map_or_else(String::new, |finding| {
            let (line, column, code) = (finding.line, finding.column, finding.code);
            let (vi, en) = (finding.message_vi(), finding.message_en());
            let text = format!("{file}:{line}:{column}: {code}\n    {vi}\n    {en}");
            text.split('\n')
                .map(|line| format!("\n  {}", output::plain(line)))
                .collect()
        });
        return Err(Failure::refused(format!(
            "{file} không đọc được như một gói tin edXML (cannot be read as a package); \
             `axis check` cho biết tất cả (tells all){finding}"
        )));
    };
    if let Some(folder) = &args.extract {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    }
    let shown = show(file, &bytes, &reading, package, args.extract.as_deref())?;
    if args.json {
        output::json(&shown)?;
    } else {
        output::line(human(&shown, Paint::for_stdout()))?;
    }
    if shown.attachments.iter().any(|file| file.problem.is_some()) && args.extract.is_some() {
        return Err(Failure::Told);
    }
    Ok(())
}

fn load(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn show(
    file: String,
    bytes: &[u8],
    reading: &Reading,
    package: &Package,
    extract: Option<&Path>,
) -> Result<Shown, Failure> {
    let count = |severity| {
        let findings = reading.findings.iter();
        findings.filter(|found| found.severity == severity).count()
    };
    let mut shown = Shown {
        file,
        kind: package.kind(),
        verdict: reading.verdict().as_str(),
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        signed: false,
        from: Party::from(package.from()),
        to: Vec::new(),
        document: None,
        status: None,
        trace: Vec::new(),
        attachments: Vec::new(),
    };
    match package {
        Package::Status(status) => {
            shown.signed = status.signed;
            shown.to = vec![Party {
                code: status.response_for.organ_id.as_str().trim().to_owned(),
                name: None,
            }];
            shown.status = Some(report(status));
        }
        Package::Document(document) => {
            shown.signed = document.signed;
            shown.to = document.to.iter().map(Party::from).collect();
            shown.document = Some(paper(document));
            shown.trace = document
                .trace
                .iter()
                .map(|step| Trace {
                    code: step.organ_id.as_ref().map(|code| code.as_str().to_owned()),
                    at: step.timestamp.as_ref().map(ToString::to_string),
                })
                .collect();
            for (index, attachment) in document.attachments.iter().enumerate() {
                // A file without a name has perhaps one in the manifest.
                let mut named = document.manifest.iter();
                let named = named.find(|reference| reference.attachment == Some(index));
                let name = attachment.name.as_ref();
                let name = name.or_else(|| named.and_then(|reference| reference.name.as_ref()));
                let attached = attached(attachment, name.cloned(), index, bytes, extract)?;
                shown.attachments.push(attached);
            }
        }
    }
    Ok(shown)
}

fn paper(document: &Document) -> Paper {
    let business = &document.business;
    let targets = match business.kind {
        BusinessKind::New => Vec::new(),
        BusinessKind::Recall | BusinessKind::Update => document
            .target_id()
            .map(str::to_owned)
            .into_iter()
            .collect(),
        BusinessKind::Replace => business
            .replacements
            .iter()
            .filter_map(|replaced| replaced.document_id.clone())
            .collect(),
    };
    let answers = document.response_for.iter();
    Paper {
        id: document.document_id.clone(),
        number: document.code.number.clone(),
        notation: document.code.notation.clone(),
        date: document.promulgation.date.as_ref().map(ToString::to_string),
        place: document.promulgation.place.clone(),
        type_name: document.document_type.name.clone(),
        subject: document.subject.clone(),
        content: document.content.clone(),
        priority: document.other_info.priority.level(),
        signer: document.signer.full_name.clone(),
        signer_position: document.signer.position.clone(),
        due_date: document.due_date.as_ref().map(ToString::to_string),
        pages: document.other_info.page_amount,
        business: business.kind.number(),
        reason: business.reason.clone(),
        targets,
        answers: answers
            .filter_map(|answer| answer.document_id.clone().or_else(|| answer.code.clone()))
            .collect(),
        to_places: document.to_places.clone(),
    }
}

fn report(status: &Status) -> Report {
    Report {
        code: status.code.to_string(),
        label: status.code.label_vi(),
        document: status.response_for.document_id.clone(),
        document_code: status.response_for.code.clone(),
        description: status.description.clone(),
        at: status.timestamp.as_ref().map(ToString::to_string),
        staff: status.staff.as_ref().and_then(|staff| staff.name.clone()),
    }
}

/// Opens an attachment, and writes it out if asked to.
fn attached(
    attachment: &Attachment,
    name: Option<String>,
    index: usize,
    package: &[u8],
    extract: Option<&Path>,
) -> Result<Attached, Failure> {
    let mut shown = Attached {
        name,
        description: attachment.description.clone(),
        content_type: attachment.content_type.clone(),
        kind: attachment.kind().as_str(),
        label: attachment.kind().label_vi(),
        size: attachment.decoded_len,
        zipped: false,
        extracted: None,
        problem: None,
    };
    if !attachment.decodable {
        (shown.kind, shown.label) = ("unreadable", "không đọc được");
        shown.problem = Some("không phải base64 (not base64)".to_owned());
        return Ok(shown);
    }
    match attachment.open(Cursor::new(package), &OpenLimits::default()) {
        Ok(opened) => {
            shown.zipped = opened.entry.is_some();
            shown.kind = opened.kind().as_str();
            shown.label = opened.kind().label_vi();
            shown.size = opened.bytes.len() as u64;
            if let Some(folder) = extract {
                let name = shown.name.as_deref().and_then(safe_file_name);
                let name = name.unwrap_or_else(|| format!("tep-{}", index + 1));
                let path = place(folder, &name, &opened.bytes)
                    .map_err(|error| Failure::file("write", &folder.join(&name), &error))?;
                shown.extracted = Some(path.display().to_string());
            }
        }
        Err(error) => shown.problem = Some(error.to_string()),
    }
    Ok(shown)
}

/// Writes a new file under this name, or under the same with a number where that is taken.
fn place(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    for number in 1..10_000 {
        let path = match number {
            1 => folder.join(name),
            _ => folder.join(format!("{stem} ({number}){ending}")),
        };
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(bytes)?;
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Lines of a label and a value; what is absent has no line.
struct Sheet {
    text: String,
    paint: Paint,
}

impl Sheet {
    fn line(&mut self, label: &str, value: Option<impl AsRef<str>>) {
        let Some(value) = value else { return };
        // One line, and no byte of the package that a terminal would obey.
        let value: String = value
            .as_ref()
            .split(char::is_whitespace)
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .filter(|c| !c.is_control())
            .map(output::visible)
            .collect();
        let padded = format!("{label:<14}");
        self.text += &format!("  {} {value}\n", self.paint.tone(Tone::Faint, padded));
    }
}

fn party(party: &Party) -> String {
    match &party.name {
        Some(name) => format!("{} · {name}", party.code),
        None => party.code.clone(),
    }
}

fn human(shown: &Shown, paint: Paint) -> String {
    let mut sheet = Sheet {
        text: String::new(),
        paint,
    };
    let title = match (&shown.document, &shown.status) {
        (Some(paper), _) => {
            let kind = BusinessKind::new(paper.business)
                .unwrap_or_default()
                .label_vi();
            let name = paper.type_name.as_deref().unwrap_or("Văn bản");
            let code = [paper.number.as_str(), paper.notation.as_str()];
            let code: Vec<_> = code.into_iter().filter(|part| !part.is_empty()).collect();
            format!("{name} {} ({kind})", code.join("/"))
        }
        (None, Some(report)) => format!("Trạng thái {} · {}", report.code, report.label),
        (None, None) => shown.kind.to_owned(),
    };
    let title = output::plain(&title);
    sheet.text += &format!("{}\n", paint.tone(Tone::Strong, title));
    sheet.line("Từ", Some(party(&shown.from)));
    for to in &shown.to {
        sheet.line("Đến", Some(party(to)));
    }
    if let Some(paper) = &shown.document {
        let date = paper.date.as_ref().map(|date| match &paper.place {
            Some(place) => format!("{date}, {place}"),
            None => date.clone(),
        });
        sheet.line("Ngày", date);
        sheet.line("Trích yếu", paper.subject.as_ref());
        let content = paper
            .content
            .as_ref()
            .filter(|text| paper.subject.as_ref() != Some(*text));
        sheet.line("Nội dung", content);
        let priority = edxml::Priority::new(paper.priority).unwrap_or_default();
        sheet.line("Độ khẩn", Some(priority.label_vi()));
        let signer = paper
            .signer
            .as_ref()
            .map(|name| match &paper.signer_position {
                Some(position) => format!("{name}, {position}"),
                None => name.clone(),
            });
        sheet.line("Người ký", signer);
        sheet.line("Hạn xử lý", paper.due_date.as_ref());
        sheet.line("Số trang", paper.pages.map(|pages| pages.to_string()));
        sheet.line("Mã văn bản", paper.id.as_ref());
        sheet.line(
            "Lý do",
            paper.reason.as_ref().filter(|_| paper.business > 0),
        );
        for target in &paper.targets {
            sheet.line("Đối với", Some(target));
        }
        for answer in &paper.answers {
            sheet.line("Trả lời", Some(answer));
        }
        for place in &paper.to_places {
            sheet.line("Nơi nhận", Some(place));
        }
    }
    if let Some(report) = &shown.status {
        let document = report.document.as_ref().or(report.document_code.as_ref());
        sheet.line("Văn bản", document);
        sheet.line("Lúc", report.at.as_ref());
        sheet.line("Người báo", report.staff.as_ref());
        sheet.line("Ghi chú", report.description.as_ref());
    }
    for step in &shown.trace {
        let code = step.code.as_deref().unwrap_or("?");
        let at = step.at.as_deref().unwrap_or("?");
        sheet.line("Qua", Some(format!("{at} · {code}")));
    }
    if shown.signed {
        sheet.line("Chữ ký", Some("có, chưa kiểm tra (present, not verified)"));
    }
    for file in &shown.attachments {
        let name = file.name.as_deref().unwrap_or("(không tên)");
        let zipped = if file.zipped { ", trong ZIP" } else { "" };
        let mut line = format!(
            "{name} · {}, {}{zipped}",
            file.label,
            output::size(file.size)
        );
        if let Some(problem) = &file.problem {
            line += &format!(" · {}", paint.tone(Tone::Bad, problem));
        }
        sheet.line("Tệp", Some(line));
        sheet.line("  →", file.extracted.as_ref());
    }
    let verdict = if shown.verdict == "accepted" {
        paint.tone(Tone::Good, "ĐƯỢC NHẬN (accepted)")
    } else {
        paint.tone(Tone::Bad, "TỪ CHỐI (refused)")
    };
    sheet.text
        + &format!(
            "{}: {verdict}, {} lỗi, {} cảnh báo ({} errors, {} warnings)",
            output::plain(&shown.file),
            shown.errors,
            shown.warnings,
            shown.errors,
            shown.warnings
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PLAIN;

    fn sample(name: &str, extract: Option<&Path>) -> Shown {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("samples")
            .join(name);
        let bytes = load(&path).unwrap();
        let reading = edxml::read(&bytes, &Limits::default());
        let package = reading.package.as_ref().unwrap();
        show(name.to_owned(), &bytes, &reading, package, extract).unwrap()
    }

    #[test]
    fn a_document_is_shown_as_a_person_reads_it() {
        let text = human(&sample("documents/new.edxml", None), PLAIN);
        for part in [
            "Công văn 74fass22/VPCP-TTĐT (văn bản mới)",
            "000.00.00.A80",
            "28.22.H17",
            "2019/01/16, Hà Nội",
            "V/v kết nối",
            "2018/09/28",
            "1896_QD-TTg_m_294779.doc · ",
            "trong ZIP",
            "ĐƯỢC NHẬN (accepted)",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let recall = human(&sample("documents/recall.edxml", None), PLAIN);
        assert!(
            recall.contains("(thu hồi)") && recall.contains("Đối với"),
            "{recall}"
        );
        let replacement = sample("documents/replacement.edxml", None);
        assert_eq!(replacement.document.unwrap().targets.len(), 2);
    }

    #[test]
    fn a_status_is_shown_with_what_it_says() {
        let text = human(&sample("status/02-rejection.edxml", None), PLAIN);
        assert!(
            text.starts_with("Trạng thái 02 · từ chối tiếp nhận"),
            "{text}"
        );
        assert!(
            text.contains("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT"),
            "{text}"
        );
    }

    #[test]
    fn attachments_are_written_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for expected in ["1896_QD-TTg_m_294779.doc", "1896_QD-TTg_m_294779 (2).doc"] {
            let shown = sample("documents/new.edxml", Some(folder.path()));
            let file = &shown.attachments[0];
            let path = folder.path().join(expected);
            assert_eq!(file.extracted.as_deref(), path.to_str());
            assert_eq!(std::fs::metadata(&path).unwrap().len(), file.size);
        }
        assert!(place(folder.path(), "x", b"1").unwrap().ends_with("x"));
        assert!(place(folder.path(), "x", b"1").unwrap().ends_with("x (2)"));
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        let mut sheet = Sheet {
            text: String::new(),
            paint: PLAIN,
        };
        sheet.line("Tên", Some("a\u{1b}[2J\r\n b\u{7}\u{202e}cod.exe"));
        assert!(
            sheet.text.trim_end().ends_with("a[2J b·cod.exe"),
            "{:?}",
            sheet.text
        );
    }

    #[test]
    fn the_object_has_the_fixed_keys() {
        let value = serde_json::to_value(sample("documents/new.edxml", None)).unwrap();
        let keys: Vec<_> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            [
                "file",
                "kind",
                "verdict",
                "errors",
                "warnings",
                "signed",
                "from",
                "to",
                "document",
                "status",
                "trace",
                "attachments"
            ]
        );
        let attachment = &value["attachments"][0];
        assert_eq!(attachment["zipped"], true);
        assert_eq!(attachment["content_type"], "application/zip");
    }
}
