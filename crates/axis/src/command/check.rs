//! `axis check`: what the axis would say to these files. Needs no axis.

mod convert;
mod excerpt;

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use edxml::{Finding, FindingCode, Level, Limits, Reading, Severity};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Paint, Tone};
use excerpt::{Excerpt, excerpt};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files; of a folder, all *.edxml and *.xml in it and below; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How much is asked of a package
    #[arg(long, value_enum, default_value_t = Asked::Axis)]
    level: Asked,
    /// One JSON object a file on stdout
    #[arg(long)]
    json: bool,
    /// Turn one package of the SOAP form of 2012 to 2014 into the current form, then check that
    #[arg(long, requires = "output")]
    convert: bool,
    /// The file that the converted package becomes; one that exists is never overwritten
    #[arg(short, long, value_name = "FILE", requires = "convert")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Asked {
    /// It can be read and routed
    Readable,
    /// What the axis asks of a push
    Axis,
    /// Nothing that a known receiver stumbles over
    Strict,
}

impl From<Asked> for Level {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Readable => Self::Readable,
            Asked::Axis => Self::Axis,
            Asked::Strict => Self::Strict,
        }
    }
}

/// One file's verdict, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    file: &'a str,
    kind: Option<&'static str>,
    verdict: &'static str,
    level: &'static str,
    findings: Vec<Found>,
    /// Findings beyond those listed.
    findings_dropped: u64,
    #[serde(skip)]
    asked: Level,
}

#[derive(Debug, Serialize)]
struct Found {
    code: &'static str,
    severity: &'static str,
    path: String,
    line: u32,
    column: u32,
    message: String,
    message_en: String,
    /// Of the engineering reference of QCVN 102 on which the finding rests.
    section: Option<&'static str>,
    /// `None` if the file could not be read.
    #[serde(skip)]
    kind: Option<FindingCode>,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

impl From<&Finding> for Found {
    fn from(finding: &Finding) -> Self {
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            path: finding.path.clone(),
            line: finding.line,
            column: finding.column,
            message: finding.message_vi(),
            message_en: finding.message_en(),
            section: Some(finding.code.section()),
            kind: Some(finding.code),
            excerpt: None,
        }
    }
}

impl Verdict<'_> {
    fn accepted(&self) -> bool {
        self.verdict == "accepted"
    }

    fn count(&self, severity: Severity) -> usize {
        let found = self.findings.iter();
        found
            .filter(|found| found.severity == severity.as_str())
            .count()
    }
}

/// The code of a file that could not be read at all; it is no finding of the format.
const CANNOT_READ: &str = "CANNOT_READ";

/// Runs `axis check`.
///
/// # Errors
/// [`Failure::Told`] if any file is refused.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let level = Level::from(args.level);
    let paint = Paint::for_stdout();
    if let Some(output) = &args.output {
        let [file] = args.files.as_slice() else {
            return Err(Failure::usage("--convert takes one FILE"));
        };
        return convert::run(file, output, level, args.json, paint);
    }
    let (mut refused, mut warnings) = (0, 0);
    let files = files(&args.files);
    for (path, unlisted) in &files {
        let name = path.display().to_string();
        let verdict = match unlisted {
            None => check(path, &name, level, !args.json),
            Some(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        let verdict = verdict.unwrap_or_else(|error| unreadable(&name, &error, level));
        refused += usize::from(!verdict.accepted());
        warnings += verdict.count(Severity::Warning);
        if args.json {
            output::json(&verdict)?;
        } else {
            output::line(human(&verdict, paint))?;
        }
    }
    if !args.json && files.len() > 1 {
        output::line(format!(
            "{files} tệp: {accepted} được nhận, {refused} bị từ chối, {warnings} cảnh báo \
             ({files} files: {accepted} accepted, {refused} refused, {warnings} warnings)",
            files = files.len(),
            accepted = files.len() - refused,
        ))?;
    }
    if refused > 0 {
        Err(Failure::Told)
    } else {
        Ok(())
    }
}

/// What can be read twice: once whole, and again around the places found.
trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

fn open(path: &Path) -> io::Result<Box<dyn Source>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(Box::new(Cursor::new(bytes)));
    }
    let mut file = File::open(path)?;
    if file.metadata()?.is_file() {
        return Ok(Box::new(file));
    }
    // A pipe, such as the shell makes of `<(…)`, goes by once.
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Box::new(Cursor::new(bytes)))
}

/// The files meant: folders become what is in them, in order. A folder that cannot be listed, or
/// has no package in it, stands for itself with the reason.
fn files(named: &[PathBuf]) -> Vec<(PathBuf, Option<io::Error>)> {
    let mut files = Vec::new();
    for path in named {
        if path == Path::new("-") || !path.is_dir() {
            files.push((path.clone(), None));
            continue;
        }
        let mut inside = Vec::new();
        match walk(path, &mut inside, 0) {
            Err(error) => files.push((path.clone(), Some(error))),
            Ok(()) if inside.is_empty() => {
                let error = io::Error::other(
                    "thư mục không có tệp *.edxml hay *.xml (the folder has no *.edxml or *.xml in it)",
                );
                files.push((path.clone(), Some(error)));
            }
            Ok(()) => {
                inside.sort();
                files.extend(inside.into_iter().map(|path| (path, None)));
            }
        }
    }
    files
}

/// Collects the packages below a folder. Links to folders are not followed.
fn walk(folder: &Path, found: &mut Vec<PathBuf>, depth: usize) -> io::Result<()> {
    const DEEPEST: usize = 32;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if depth < DEEPEST {
                walk(&path, found, depth + 1)?;
            }
        } else if path.extension().is_some_and(|kind| {
            kind.eq_ignore_ascii_case("edxml") || kind.eq_ignore_ascii_case("xml")
        }) {
            found.push(path);
        }
    }
    Ok(())
}

fn check<'a>(path: &Path, name: &'a str, level: Level, excerpts: bool) -> io::Result<Verdict<'a>> {
    let mut source = open(path)?;
    let buffered = BufReader::with_capacity(256 << 10, &mut source);
    let reading = edxml::read_from(buffered, &Limits::default())?;
    let mut verdict = judge(name, &reading, level);
    if excerpts {
        for (found, finding) in verdict.findings.iter_mut().zip(&reading.findings) {
            found.excerpt = excerpt(&mut source, finding.offset, reading.encoding)?;
        }
    }
    Ok(verdict)
}

fn judge<'a>(name: &'a str, reading: &Reading, level: Level) -> Verdict<'a> {
    Verdict {
        file: name,
        kind: reading.package.as_ref().map(|package| package.kind()),
        verdict: reading.verdict_at(level).as_str(),
        level: level.as_str(),
        findings_dropped: reading.findings_dropped,
        findings: reading.findings.iter().map(Found::from).collect(),
        asked: level,
    }
}

fn unreadable<'a>(name: &'a str, error: &io::Error, level: Level) -> Verdict<'a> {
    Verdict {
        file: name,
        kind: None,
        verdict: "refused",
        level: level.as_str(),
        findings_dropped: 0,
        asked: level,
        findings: vec![Found {
            code: CANNOT_READ,
            severity: Severity::Error.as_str(),
            path: String::new(),
            line: 0,
            column: 0,
            message: format!("Không đọc được tệp: {error}"),
            message_en: format!("The file cannot be read: {error}"),
            section: None,
            kind: None,
            excerpt: None,
        }],
    }
}

/// Like a compiler: the place first, then what and where inside, then what to do, twice; the
/// verdict and the counts at the end.
fn human(verdict: &Verdict<'_>, paint: Paint) -> String {
    let file = output::plain(verdict.file);
    let mut text = String::new();
    for found in &verdict.findings {
        text += &told(&file, found, verdict.asked, paint);
    }
    if verdict.findings_dropped > 0 {
        let more = verdict.findings_dropped;
        text += &format!("{file}: … còn {more} điều nữa ({more} more findings)\n");
    }
    let older = |found: &Found| {
        matches!(
            found.kind,
            Some(FindingCode::OlderFormSoap | FindingCode::OlderFormMultipart)
        )
    };
    if verdict.findings.iter().any(older) {
        text += &format!(
            "    `axis check --convert -o MỚI.edxml {file}` chuyển sang mẫu hiện hành \
             (turns it into today's form)\n"
        );
    }
    let kind = match verdict.kind {
        Some("document") => "văn bản (document)",
        Some(_) => "trạng thái (status)",
        None => "không xác định (unknown)",
    };
    let (tone, words) = if verdict.accepted() {
        (Tone::Good, "ĐƯỢC NHẬN (accepted)")
    } else {
        (Tone::Bad, "TỪ CHỐI (refused)")
    };
    let words = paint.tone(tone, words);
    let level = match verdict.asked {
        Level::Axis => String::new(),
        asked => format!(", mức {0} (level {0})", asked.as_str()),
    };
    let (errors, warnings) = (
        verdict.count(Severity::Error),
        verdict.count(Severity::Warning),
    );
    text + &format!(
        "{file}: {words}{level}, {kind}: {errors} lỗi, {warnings} cảnh báo \
         ({errors} errors, {warnings} warnings)"
    )
}

/// One finding.
fn told(file: &str, found: &Found, asked: Level, paint: Paint) -> String {
    let place = if found.line == 0 {
        file.to_owned()
    } else {
        format!("{file}:{}:{}", found.line, found.column)
    };
    let refuses = found.kind.and_then(FindingCode::refuses_from);
    let refuses = refuses.is_some_and(|level| level <= asked);
    let tone = match found.severity {
        "error" => Tone::Bad,
        _ => Tone::Strong,
    };
    let severity = paint.tone(tone, found.severity);
    let mut text = format!("{place}: {severity}: {}", found.code);
    if let Some(section) = found.section {
        let section = format!("(QCVN 102, {section})");
        text += &format!(" {}", paint.tone(Tone::Faint, section));
    }
    if refuses && found.severity != "error" {
        let asked = asked.as_str();
        text += &format!(" – bị từ chối ở mức {asked} (refuses at this level)");
    }
    text.push('\n');
    if !found.path.is_empty() {
        text += &format!("    {}\n", output::plain(&found.path));
    }
    if let Some(excerpt) = &found.excerpt {
        let number = format!("{:>7}", found.line);
        let bar = paint.tone(Tone::Faint, format!("{number} |"));
        let empty = paint.tone(Tone::Faint, format!("{} |", " ".repeat(number.len())));
        let mark = paint.tone(tone, "^");
        let indent = " ".repeat(excerpt.before);
        text += &format!("{bar} {}\n{empty} {indent}{mark}\n", excerpt.text);
    }
    for line in [&found.message, &found.message_en] {
        text += &format!("    {}\n", output::plain(line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PLAIN;

    fn sample(name: &str) -> (String, Reading) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("samples")
            .join(name);
        let bytes = std::fs::read(&path).unwrap();
        let reading = edxml::read(&bytes, &Limits::default());
        (name.to_owned(), reading)
    }

    #[test]
    fn a_sound_sample_is_accepted_and_a_broken_one_told_where() {
        let (name, reading) = sample("documents/new.edxml");
        let verdict = judge(&name, &reading, Level::Axis);
        assert_eq!(
            (verdict.verdict, verdict.kind, verdict.level),
            ("accepted", Some("document"), "axis")
        );

        let (name, reading) = sample("malformed/not-well-formed.edxml");
        let verdict = judge(&name, &reading, Level::Axis);
        assert_eq!(verdict.verdict, "refused");
        let text = human(&verdict, PLAIN);
        let error = verdict
            .findings
            .iter()
            .find(|found| found.severity == "error")
            .unwrap();
        assert!(
            text.contains(&format!(
                "{name}:{}:{}: error: {}",
                error.line, error.column, error.code
            )),
            "{text}"
        );
        assert!(text.contains(&error.message) && text.contains(&error.message_en));
        assert!(
            text.ends_with(
                "TỪ CHỐI (refused), không xác định (unknown): 1 lỗi, 0 cảnh báo (1 errors, 0 warnings)"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_warning_refuses_at_the_strict_level_only() {
        let (name, reading) = sample("documents/day-first-date.edxml");
        assert_eq!(judge(&name, &reading, Level::Axis).verdict, "accepted");
        assert!(!human(&judge(&name, &reading, Level::Axis), PLAIN).contains("this level"));
        let strict = judge(&name, &reading, Level::Strict);
        assert_eq!(strict.verdict, "refused");
        let text = human(&strict, PLAIN);
        assert!(text.contains("warning: NONSTANDARD_DATE"), "{text}");
        assert!(
            text.contains("bị từ chối ở mức strict (refuses at this level)"),
            "{text}"
        );
        assert!(text.contains("mức strict (level strict)"), "{text}");
    }

    #[test]
    fn the_object_has_the_fixed_keys() {
        let (name, reading) = sample("malformed/doctype.edxml");
        let value = serde_json::to_value(judge(&name, &reading, Level::Axis)).unwrap();
        let keys = |value: &serde_json::Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            keys(&value),
            [
                "file",
                "kind",
                "verdict",
                "level",
                "findings",
                "findings_dropped"
            ]
        );
        assert_eq!(
            keys(&value["findings"][0]),
            [
                "code",
                "severity",
                "path",
                "line",
                "column",
                "message",
                "message_en",
                "section"
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_by_name() {
        let error = open(Path::new("/no/such/file")).err().unwrap();
        let verdict = unreadable("/no/such/file", &error, Level::Axis);
        assert!(!verdict.accepted());
        assert!(human(&verdict, PLAIN).starts_with("/no/such/file: error: CANNOT_READ"));
    }

    #[test]
    fn the_mark_stands_under_the_place() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let file = folder.join("malformed/not-well-formed.edxml");
        let name = file.display().to_string();
        let text = human(&check(&file, &name, Level::Axis, true).unwrap(), PLAIN);
        let lines: Vec<_> = text.lines().collect();
        let caret = lines
            .iter()
            .position(|line| line.trim_end().ends_with('^'))
            .unwrap();
        let column = lines[caret].chars().count() - 1;
        assert_eq!(lines[caret - 1].chars().nth(column), Some('<'), "{text}");
    }

    #[test]
    fn nothing_that_a_terminal_would_obey_is_printed() {
        let (_, reading) = sample("malformed/doctype.edxml");
        let text = human(
            &judge("a\u{1b}[2J\u{202e}.edxml", &reading, Level::Axis),
            PLAIN,
        );
        assert!(text.starts_with("a [2J·.edxml:2:1: error"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }

    #[test]
    fn a_folder_stands_for_the_packages_below_it() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let listed = files(&[samples, PathBuf::from("-"), PathBuf::from("no-such-file")]);
        assert!(listed.len() >= 22 && listed.iter().all(|(_, error)| error.is_none()));
        assert!(listed.windows(2).take(19).all(|pair| pair[0].0 < pair[1].0));
        let empty = tempfile::tempdir().unwrap();
        let listed = files(&[empty.path().to_owned()]);
        assert!(matches!(listed.as_slice(), [(_, Some(_))]), "{listed:?}");
    }
}
