//! Reading a list, whatever it comes as.

use std::borrow::Cow;

use serde_json::Value;

use crate::assemble::{Assembly, Cell, MAX_COLUMNS};
use crate::charset;
use crate::column::Column;
use crate::entry::List;
use crate::problem::Problem;
use crate::sheet;
use crate::write::Format;

/// Bytes of a list.
pub const MAX_BYTES: usize = 64 << 20;
/// Rows of a list.
pub const MAX_ROWS: usize = 200_000;
/// Bytes of an XLSX file's parts, unpacked.
pub const MAX_INFLATED: u64 = 256 << 20;
/// Characters of a name: OrganName's limit is 200; longer ones are met.
pub const MAX_NAME: usize = 500;
/// Problems told at once.
pub(crate) const MAX_PROBLEMS: usize = 1_000;

/// Reads a list: CSV, XLSX or JSON, told apart by their first bytes.
///
/// # Errors
/// Everything that is wrong with it, up to a thousand problems, in the order of its rows.
pub fn read(bytes: &[u8]) -> Result<List, Vec<Problem>> {
    read_sheet(bytes, "")
}

/// Reads a list as [`read()`] does, of an XLSX the sheet with this name; an empty name means the
/// first one that has a heading.
///
/// # Errors
/// As [`read()`]'s.
pub fn read_sheet(bytes: &[u8], sheet: &str) -> Result<List, Vec<Problem>> {
    read_as(bytes, None, sheet)
}

/// Reads a list in the format that it is said to have; `None` = as its first bytes tell. The sheet
/// as [`read_sheet()`]'s.
///
/// # Errors
/// As [`read()`]'s; a workbook that is said to be a text, and a text that is said to be a workbook.
pub fn read_as(bytes: &[u8], format: Option<Format>, sheet: &str) -> Result<List, Vec<Problem>> {
    if bytes.len() > MAX_BYTES {
        let (size, max) = (bytes.len() >> 20, MAX_BYTES >> 20);
        return Err(vec![Problem::file(
            format!("Tệp {size} MiB lớn quá {max} MiB."),
            format!("The file's {size} MiB are more than {max} MiB."),
        )]);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(vec![Problem::file(
            "Tệp là Excel đời cũ (.xls) hoặc có mật khẩu; lưu lại dạng .xlsx không mật khẩu rồi nhập lại.",
            "The file is an old Excel file (.xls) or has a password; save it as .xlsx without one and import again.",
        )]);
    }
    let is_workbook = bytes.starts_with(b"PK\x03\x04");
    if let Some(said) = format.filter(|said| (*said == Format::Xlsx) != is_workbook) {
        let said = said.word();
        return Err(vec![Problem::file(
            format!("Tệp được nêu là {said} nhưng không phải {said}."),
            format!("The file is said to be {said}, and is not."),
        )]);
    }
    if is_workbook {
        return sheet::read(bytes, sheet);
    }
    let text = charset::decode(bytes).map_err(|problem| vec![problem])?;
    let is_json = match format {
        Some(said) => said == Format::Json,
        None => text.trim_start().starts_with(['[', '{']),
    };
    if is_json { json(&text) } else { csv(&text) }
}

/// The delimiter under which the head of the text has the most known headings.
fn delimiter(text: &str) -> u8 {
    let known = |delimiter: u8| {
        let lines = text.lines().take(30);
        let best = lines.map(|line| {
            line.split(char::from(delimiter))
                .filter(|heading| Column::of_heading(heading.trim_matches('"')).is_some())
                .count()
        });
        best.max().unwrap_or(0)
    };
    // In doubt the first.
    let mut best = (b',', known(b','));
    for other in [b';', b'\t'] {
        let count = known(other);
        if count > best.1 {
            best = (other, count);
        }
    }
    best.0
}

fn csv(text: &str) -> Result<List, Vec<Problem>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut assembly = Assembly::default();
    let mut record = csv::StringRecord::new();
    loop {
        let row = u32::try_from(reader.position().line()).unwrap_or(u32::MAX);
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                assembly.complain(Problem::row(
                    row,
                    format!("Không đọc được dòng này: {error}."),
                    format!("The row cannot be read: {error}."),
                ));
                break;
            }
        }
        // The reader skips empty lines before a record; its own position is right.
        let row = record
            .position()
            .map_or(row, |at| u32::try_from(at.line()).unwrap_or(u32::MAX));
        let cells: Vec<_> = (0..MAX_COLUMNS)
            .zip(&record)
            .map(|(at, text)| (at, csv_cell(text)))
            .collect();
        assembly.row(row, &cells);
        if assembly.is_over() {
            break;
        }
    }
    assembly.finish()
}

/// A cell of CSV: what spreadsheets take for a formula is one, unless a quote stands before it
/// (as [`crate::write()`] puts it there).
fn csv_cell(text: &str) -> Cell<'_> {
    let quoted = text.trim_start_matches('\'');
    let escaped = quoted.len() < text.len() && quoted.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if escaped {
        Cell::Text(Cow::Borrowed(&text[1..]))
    } else if text.trim_start().starts_with('=') {
        Cell::Formula
    } else {
        Cell::Text(Cow::Borrowed(text))
    }
}

/// An array of objects, by itself or as an object's field (`data`, `agencies`).
fn json(text: &str) -> Result<List, Vec<Problem>> {
    let whole: Value = serde_json::from_str(text).map_err(|error| {
        let row = u32::try_from(error.line()).unwrap_or(u32::MAX);
        vec![Problem::row(
            row,
            format!("Tệp JSON hỏng: {error}."),
            format!("The JSON is broken: {error}."),
        )]
    })?;
    let rows = match whole {
        Value::Array(rows) => Some(rows),
        Value::Object(fields) => fields.into_iter().find_map(|(_, value)| match value {
            Value::Array(rows) => Some(rows),
            _ => None,
        }),
        _ => None,
    };
    let Some(rows) = rows else {
        return Err(vec![Problem::file(
            "Tệp JSON không có mảng cơ quan nào.",
            "The JSON has no array of agencies.",
        )]);
    };
    // Fields that are empty are left out, so the columns are those of all rows.
    let mut names: Vec<String> = Vec::new();
    for row in &rows {
        let Value::Object(fields) = row else { continue };
        for name in fields.keys() {
            if !names.contains(name) && names.len() < MAX_COLUMNS as usize {
                names.push(name.clone());
            }
        }
    }
    let mut assembly = Assembly::default();
    assembly.name_columns(names.iter().map(String::as_str));
    for (number, row) in (1..).zip(&rows) {
        let Value::Object(fields) = row else {
            assembly.complain(Problem::row(
                number,
                "Phần tử này không phải một đối tượng.",
                "This element is no object.",
            ));
            continue;
        };
        let cells: Vec<_> = (0..)
            .zip(&names)
            .filter_map(|(at, name)| Some((at, json_cell(fields.get(name)?))))
            .collect();
        assembly.row(number, &cells);
        if assembly.is_over() {
            break;
        }
    }
    assembly.finish()
}

fn json_cell(value: &Value) -> Cell<'_> {
    match value {
        Value::Null => Cell::Empty,
        Value::Bool(flag) => Cell::Text(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Number(number) => Cell::Number(number.to_string()),
        Value::String(text) => Cell::Text(Cow::Borrowed(text)),
        Value::Array(texts) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            Cell::Text(Cow::Owned(texts.join(" ")))
        }
        Value::Object(_) => Cell::Broken,
    }
}
