//! `axis check`: what the axis would say to these files. Needs no axis.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use edxml::{Finding, Level, Limits, Reading, Severity};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{self, Paint, Tone};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How much is asked of a package
    #[arg(long, value_enum, default_value_t = Asked::Axis)]
    level: Asked,
    /// One JSON object a file on stdout
    #[arg(long)]
    json: bool,
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
    let (mut refused, mut warnings) = (0, 0);
    for path in &args.files {
        let name = path.display().to_string();
        let verdict =
            match open(path).and_then(|source| edxml::read_from(source, &Limits::default())) {
                Ok(reading) => judge(&name, &reading, level),
                Err(error) => unreadable(&name, &error, level),
            };
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
    if !args.json && args.files.len() > 1 {
        output::line(format!(
            "{files} tệp: {accepted} được nhận, {refused} bị từ chối, {warnings} cảnh báo \
             ({files} files: {accepted} accepted, {refused} refused, {warnings} warnings)",
            files = args.files.len(),
            accepted = args.files.len() - refused,
        ))?;
    }
    if refused > 0 {
        Err(Failure::Told)
    } else {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    if path.is_dir() {
        return Err(io::Error::other(format!(
            "it is a folder; name the files in it: {}/*.edxml",
            path.display()
        )));
    }
    Ok(Box::new(BufReader::with_capacity(
        256 << 10,
        File::open(path)?,
    )))
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
        }],
    }
}

/// Like a compiler: the place first, then what and where inside, then what to do, twice.
fn human(verdict: &Verdict<'_>, paint: Paint) -> String {
    let mut text = String::new();
    for found in &verdict.findings {
        let place = if found.line == 0 {
            verdict.file.to_owned()
        } else {
            format!("{}:{}:{}", verdict.file, found.line, found.column)
        };
        let tone = if found.severity == Severity::Error.as_str() {
            Tone::Bad
        } else {
            Tone::Strong
        };
        text += &format!(
            "{place}: {}: {}\n",
            paint.tone(tone, found.severity),
            found.code
        );
        for line in [found.path.as_str(), &found.message, &found.message_en] {
            if !line.is_empty() {
                text += &format!("    {line}\n");
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PLAIN;

    fn sample(name: &str) -> (String, Reading) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("samples")
            .join(name);
        let reading = edxml::read_from(open(&path).unwrap(), &Limits::default()).unwrap();
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
                "message_en"
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_by_name() {
        let error = open(Path::new("/no/such/file")).err().unwrap();
        let verdict = unreadable("/no/such/file", &error, Level::Axis);
        assert!(!verdict.accepted());
        assert!(human(&verdict, PLAIN).starts_with("/no/such/file: error: CANNOT_READ"));
        assert!(
            open(Path::new(env!("CARGO_MANIFEST_DIR")))
                .err()
                .unwrap()
                .to_string()
                .contains("*.edxml")
        );
    }
}
