//! `axis check`: what the axis would say to these files. Needs no axis.

mod convert;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use edxml::{Encoding, Finding, Level, Limits, Reading, Severity};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Paint, Tone};

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
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// The line that a finding is about, as far as it fits, and where in it.
#[derive(Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// Characters before the place.
    before: usize,
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
            excerpt: None,
        }
    }
}

impl Verdict<'_> {
    fn accepted(&self) -> bool {
        self.verdict == "accepted"
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
        warnings += verdict
            .findings
            .iter()
            .filter(|found| found.severity == Severity::Warning.as_str())
            .count();
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
    Ok(Box::new(File::open(path)?))
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

/// The line around a byte of the source. `None` if there is nothing to see.
fn excerpt(
    source: &mut (impl Read + Seek + ?Sized),
    offset: u64,
    encoding: Encoding,
) -> io::Result<Option<Excerpt>> {
    const BEFORE: u64 = 60;
    const AFTER: u64 = 120;
    // Even, so that two-byte units stay whole.
    let start = offset.saturating_sub(BEFORE);
    source.seek(SeekFrom::Start(start))?;
    let mut window = Vec::new();
    source
        .take(offset - start + AFTER)
        .read_to_end(&mut window)?;
    let full = window.len() as u64 == offset - start + AFTER;
    let at = usize::try_from(offset - start).map_or(window.len(), |at| at.min(window.len()));
    let (before, after) = window.split_at(at);
    let (before, after) = (narrow(before, encoding), narrow(after, encoding));
    let (before, after) = (before.as_ref(), after.as_ref());
    let (before, cut) = match before.iter().rposition(|b| *b == b'\n') {
        Some(end) => (&before[end + 1..], false),
        None => (before, start > 0),
    };
    // The window may begin inside a character.
    let whole = before
        .iter()
        .position(|b| b & 0xC0 != 0x80)
        .unwrap_or(before.len());
    let before = &before[whole..];
    let line_end = after.iter().position(|b| matches!(b, b'\n' | b'\r'));
    let long = line_end.is_none() && full;
    let mut after = &after[..line_end.unwrap_or(after.len())];
    if let (true, Err(error)) = (long, std::str::from_utf8(after)) {
        after = &after[..error.valid_up_to()];
    }
    let plain = |bytes: &[u8]| -> String {
        let text = String::from_utf8_lossy(bytes);
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    };
    let mut head = plain(before);
    let trimmed = if cut {
        head.clone()
    } else {
        head.trim_start().to_owned()
    };
    head = if cut {
        format!("…{trimmed}")
    } else {
        trimmed
    };
    let text = format!("{head}{}{}", plain(after), if long { "…" } else { "" });
    let text = text.trim_end().to_owned();
    Ok((!text.is_empty()).then(|| Excerpt {
        before: head.chars().count(),
        text,
    }))
}

/// UTF-16 as UTF-8, for people to see.
fn narrow(bytes: &[u8], encoding: Encoding) -> Cow<'_, [u8]> {
    let unit = match encoding {
        Encoding::Utf8 => return Cow::Borrowed(bytes),
        Encoding::Utf16Le => u16::from_le_bytes,
        Encoding::Utf16Be => u16::from_be_bytes,
    };
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .filter(|c| *c != '\u{FEFF}')
        .collect();
    Cow::Owned(text.into_bytes())
}

fn judge<'a>(name: &'a str, reading: &Reading, level: Level) -> Verdict<'a> {
    Verdict {
        file: name,
        kind: reading.package.as_ref().map(|package| package.kind()),
        verdict: reading.verdict_at(level).as_str(),
        level: level.as_str(),
        findings_dropped: reading.findings_dropped,
        findings: reading.findings.iter().map(Found::from).collect(),
    }
}

fn unreadable<'a>(name: &'a str, error: &io::Error, level: Level) -> Verdict<'a> {
    Verdict {
        file: name,
        kind: None,
        verdict: "refused",
        level: level.as_str(),
        findings_dropped: 0,
        findings: vec![Found {
            code: CANNOT_READ,
            severity: Severity::Error.as_str(),
            path: String::new(),
            line: 0,
            column: 0,
            message: format!("Không đọc được tệp: {error}"),
            message_en: format!("The file cannot be read: {error}"),
            section: None,
            excerpt: None,
        }],
    }
}

/// Like a compiler: the place first, then what and where inside, then what to do, twice.
fn human(verdict: &Verdict<'_>, paint: Paint) -> String {
    let mut text = String::new();
    for found in &verdict.findings {
        text += &told(verdict.file, found, paint);
    }
    if verdict.findings_dropped > 0 {
        text += &format!(
            "{}: … {} more findings\n",
            verdict.file, verdict.findings_dropped
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
    text + &format!("{}: {}, {kind}", verdict.file, paint.tone(tone, words))
}

/// One finding.
fn told(file: &str, found: &Found, paint: Paint) -> String {
    let place = if found.line == 0 {
        file.to_owned()
    } else {
        format!("{file}:{}:{}", found.line, found.column)
    };
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
    text.push('\n');
    if !found.path.is_empty() {
        text += &format!("    {}\n", found.path);
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
        text += &format!("    {line}\n");
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
            text.ends_with("TỪ CHỐI (refused), không xác định (unknown)"),
            "{text}"
        );
    }

    #[test]
    fn a_warning_refuses_at_the_strict_level_only() {
        let (name, reading) = sample("documents/day-first-date.edxml");
        assert_eq!(judge(&name, &reading, Level::Axis).verdict, "accepted");
        assert_eq!(judge(&name, &reading, Level::Strict).verdict, "refused");
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
    fn the_place_is_marked_in_its_line() {
        let text = "<a>\r\n  <b>Huế</b><c>x</c>\r\n</a>";
        let mark = |needle: &str| {
            let offset = text.find(needle).unwrap() as u64;
            let found = excerpt(&mut Cursor::new(text), offset, Encoding::Utf8);
            found.unwrap().unwrap()
        };
        // In UTF-16 the same is seen.
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let units = text[..text.find("<c>").unwrap()].encode_utf16().count();
        let seen = excerpt(&mut Cursor::new(wide), 2 * units as u64, Encoding::Utf16Be);
        assert_eq!(seen.unwrap().unwrap(), mark("<c>"));
        let found = mark("<c>");
        assert_eq!(found.text, "<b>Huế</b><c>x</c>");
        assert_eq!(found.before, "<b>Huế</b>".chars().count());
        assert_eq!(mark("<b>").before, 0);
        assert_eq!(mark("<a>").text, "<a>");
        let long = format!("{}!{}", "ế".repeat(100), "ế".repeat(100));
        let found = excerpt(&mut Cursor::new(&long), 300, Encoding::Utf8)
            .unwrap()
            .unwrap();
        assert_eq!(found.text.chars().nth(found.before), Some('!'));
        assert!(found.text.starts_with("…ế") && found.text.ends_with("ế…"));
        assert_eq!(
            excerpt(&mut Cursor::new(""), 0, Encoding::Utf8).unwrap(),
            None
        );
        assert!(
            excerpt(&mut Cursor::new("ab"), 9, Encoding::Utf8)
                .unwrap()
                .is_some()
        );

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
