//! Writing a list.

use rust_xlsxwriter::{Format as Style, Workbook, XlsxError};

use crate::column::Column;
use crate::entry::Entry;

/// What a list is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// UTF-8 with a byte order mark, commas, English headings: Excel and programs open it.
    Csv,
    /// A sheet with Vietnamese headings, codes as text.
    Xlsx,
    /// An array of objects under `agencies`.
    Json,
}

impl Format {
    /// The format of a file with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::of_word(name.rsplit_once('.')?.1)
    }

    /// The format with this word, as a file's name ends: `csv`, `xlsx`, `json`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [Self::Csv, Self::Xlsx, Self::Json];
        all.into_iter()
            .find(|format| format.word().eq_ignore_ascii_case(word))
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
            Self::Json => "json",
        }
    }
}

/// A list cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// As XLSX: a text is longer than a cell holds, or there are too many rows.
    #[error("the list does not fit into a sheet")]
    Xlsx(#[from] XlsxError),
    /// As CSV.
    #[error("the list cannot be written as CSV")]
    Csv(#[from] csv::Error),
    /// As JSON.
    #[error("the list cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// The columns of what is written, with their width in a sheet.
const WRITTEN: [(Column, f64); 14] = [
    (Column::Code, 18.0),
    (Column::Code2020, 18.0),
    (Column::Name, 52.0),
    (Column::Parent, 18.0),
    (Column::Kind, 16.0),
    (Column::Level, 8.0),
    (Column::State, 12.0),
    (Column::Successors, 20.0),
    (Column::Forward, 10.0),
    (Column::OtherCodes, 24.0),
    (Column::Effective, 12.0),
    (Column::Decision, 20.0),
    (Column::Centre, 14.0),
    (Column::Contact, 28.0),
];

/// Writes a list; [`read`](crate::read()) reads it back unchanged.
///
/// # Errors
/// See [`WriteError`].
pub fn write(entries: &[Entry], format: Format) -> Result<Vec<u8>, WriteError> {
    match format {
        Format::Csv => csv(entries),
        Format::Xlsx => xlsx(entries),
        Format::Json => Ok(serde_json::to_vec_pretty(
            &serde_json::json!({ "agencies": entries }),
        )?),
    }
}

fn cell(entry: &Entry, column: Column) -> String {
    match column {
        Column::Code => entry.code.clone(),
        Column::Code2020 => entry.code_2020.clone(),
        Column::Name => entry.name.clone(),
        Column::Parent => entry.parent.clone(),
        Column::Kind => entry.kind.clone(),
        Column::Level => entry.level.clone(),
        Column::State => entry.state.map(|s| s.word().to_owned()).unwrap_or_default(),
        Column::Successors => entry.successors.join(" "),
        Column::OtherCodes => entry.other_codes.join(" "),
        Column::Effective => entry
            .effective
            .map(|day| day.to_string())
            .unwrap_or_default(),
        Column::Forward => entry.forward.map(|f| f.to_string()).unwrap_or_default(),
        Column::Decision => entry.decision.clone(),
        Column::Centre => entry.centre.clone(),
        Column::Contact => entry.contact.clone(),
        Column::AnyCode | Column::Id | Column::ParentId | Column::Deleted => String::new(),
    }
}

/// A text that a spreadsheet would run as a formula gets a quote before it.
fn harmless(text: String) -> String {
    if text
        .trim_start_matches('\'')
        .starts_with(['=', '+', '-', '@', '\t', '\r'])
    {
        format!("'{text}")
    } else {
        text
    }
}

fn csv(entries: &[Entry]) -> Result<Vec<u8>, WriteError> {
    // The mark tells Excel that this is UTF-8.
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    writer.write_record(WRITTEN.map(|(column, _)| column.id()))?;
    for entry in entries {
        writer.write_record(WRITTEN.map(|(column, _)| harmless(cell(entry, column))))?;
    }
    writer
        .into_inner()
        .map_err(|error| WriteError::Csv(error.into_error().into()))
}

fn xlsx(entries: &[Entry]) -> Result<Vec<u8>, WriteError> {
    let text = Style::new().set_num_format("@");
    let bold = Style::new().set_bold().set_num_format("@");
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    sheet.set_name("Danh mục cơ quan")?;
    sheet.set_freeze_panes(1, 0)?;
    for (at, (column, width)) in (0_u16..).zip(WRITTEN) {
        sheet.set_column_width(at, width)?;
        sheet.set_column_format(at, &text)?;
        sheet.write_string_with_format(0, at, column.heading(), &bold)?;
    }
    for (row, entry) in (1_u32..).zip(entries) {
        for (at, (column, _)) in (0_u16..).zip(WRITTEN) {
            let text_here = cell(entry, column);
            if !text_here.is_empty() {
                sheet.write_string_with_format(row, at, text_here, &text)?;
            }
        }
    }
    Ok(book.save_to_buffer()?)
}
