//! `axis check --convert`: a package of the older form becomes one of the current form.

use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use edxml::{Level, Limits};
use serde::Serialize;

use super::{Found, check, human, open, told, unreadable};
use crate::failure::Failure;
use crate::output::{self, Paint};

/// What was changed, as `--json` prints it before the verdict on the new file.
#[derive(Debug, Serialize)]
struct Change<'a> {
    file: &'a str,
    converted: &'a str,
    changes: Vec<Found>,
}

/// Converts, writes, and checks what was written.
///
/// # Errors
/// If it cannot be converted or written; [`Failure::Told`] if the new file is refused.
pub(super) fn run(
    file: &Path,
    output: &Path,
    level: Level,
    json: bool,
    paint: Paint,
) -> Result<(), Failure> {
    let (from, to) = (file.display().to_string(), output.display().to_string());
    if output.as_os_str() == "-" {
        return Err(Failure::usage("-o takes the name of a new file, not `-`"));
    }
    let mut package = Vec::new();
    open(file)
        .and_then(|mut source| source.read_to_end(&mut package))
        .map_err(|error| Failure::file("read", file, &error))?;
    let converted = edxml::convert(&package, &Limits::default())
        .map_err(|error| Failure::refused(format!("{from}: {}\n{error}", error.text_vi())))?;
    save(output, &converted.bytes)?;
    let changes: Vec<Found> = converted.changes.iter().map(Found::from).collect();
    let verdict = check(output, &to, level, !json).unwrap_or_else(|e| unreadable(&to, &e, level));
    if json {
        let (file, converted) = (from.as_str(), to.as_str());
        output::json(&Change {
            file,
            converted,
            changes,
        })?;
        output::json(&verdict)?;
    } else {
        for change in &changes {
            output::line(told(&output::plain(&from), change, level, paint).trim_end())?;
        }
        output::line(human(&verdict, paint))?;
    }
    match verdict.accepted() {
        true => Ok(()),
        false => Err(Failure::Told),
    }
}

/// Writes a new file, whole or not at all.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut target = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::refused(format!(
            "{0} đã có, không ghi đè; hãy chọn tên khác\n\
             {0} exists and is not overwritten; choose another name",
            path.display()
        )),
        _ => Failure::file("write", path, &error),
    })?;
    target.write_all(bytes).map_err(|error| {
        // Half a package must not be taken for one; that it stays is worth no second message.
        let _ = std::fs::remove_file(path);
        Failure::file("write", path, &error)
    })
}
