//! XLSX: the first sheet that has a heading, cell by cell, so that a sheet that claims to be
//! large costs nothing.

use std::borrow::Cow;
use std::io::{Cursor, Read as _, sink};

use calamine::{DataRef, Reader as _, SheetType, SheetVisible, Xlsx};

use crate::assemble::{Assembly, Cell, MAX_COLUMNS};
use crate::entry::List;
use crate::problem::{Problem, cell_name};
use crate::read::MAX_INFLATED;

/// Files inside an XLSX.
const MAX_PARTS: usize = 2_000;

pub(crate) fn read(bytes: &[u8], wanted: &str) -> Result<List, Vec<Problem>> {
    within_bounds(bytes).map_err(|problem| vec![problem])?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    let sheets: Vec<String> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet)
        .filter(|sheet| match wanted {
            "" => sheet.visible == SheetVisible::Visible,
            name => sheet.name == name,
        })
        .map(|sheet| sheet.name.clone())
        .collect();
    if sheets.is_empty() {
        return Err(vec![Problem::file(
            format!("Tệp không có trang {wanted:?} nào đọc được."),
            format!("The file has no sheet {wanted:?} to read."),
        )]);
    }
    let mut first = None;
    for name in sheets {
        let mut assembly = Assembly::default();
        fill(&mut book, &name, &mut assembly).map_err(|error| broken(&error))?;
        if assembly.has_heading() {
            let merged = book
                .merge_cells_by_sheet_name(&name)
                .map_err(|error| broken(&error))?;
            for area in merged {
                // Titles above the heading may be merged: nothing is read there.
                let (row, column) = (area.start.0 + 1, area.start.1);
                if area.end.0 + 1 >= assembly.heading_row() && column < MAX_COLUMNS {
                    let (from, to) = (
                        cell_name(row, column),
                        cell_name(area.end.0 + 1, area.end.1),
                    );
                    assembly.complain(
                        Problem::row(
                            row,
                            format!("Các ô {from}:{to} bị gộp (merge); bỏ gộp và ghi đủ từng ô rồi nhập lại."),
                            format!("The cells {from}:{to} are merged; unmerge them, fill each, and import again."),
                        )
                        .in_cell(column),
                    );
                }
            }
            return assembly.finish();
        }
        first.get_or_insert(assembly);
    }
    first.unwrap_or_default().finish()
}

fn fill(
    book: &mut Xlsx<Cursor<&[u8]>>,
    name: &str,
    assembly: &mut Assembly,
) -> Result<(), calamine::XlsxError> {
    let mut cells = book.worksheet_cells_reader(name)?;
    let mut row: Vec<(u32, Cell<'_>)> = Vec::new();
    let mut number = 0;
    while let Some(cell) = cells.next_cell_with_formula_metadata()? {
        let (at, column) = cell.pos;
        if at + 1 != number {
            assembly.row(number, &row);
            row.clear();
            if assembly.is_over() {
                return Ok(());
            }
            number = at + 1;
        }
        if column >= MAX_COLUMNS {
            continue;
        }
        let value = if cell.formula.is_some() {
            Cell::Formula
        } else {
            value(cell.value)
        };
        // A hostile file may name cells twice or in disorder; a row is searched by column.
        match row.binary_search_by_key(&column, |(at, _)| *at) {
            Ok(place) => row[place].1 = value,
            Err(place) => row.insert(place, (column, value)),
        }
    }
    assembly.row(number, &row);
    Ok(())
}

fn value(value: DataRef<'_>) -> Cell<'_> {
    match value {
        DataRef::Empty => Cell::Empty,
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            Cell::Text(Cow::Owned(text))
        }
        DataRef::SharedString(text) => Cell::Text(Cow::Borrowed(text)),
        DataRef::Int(number) => Cell::Number(number.to_string()),
        DataRef::Float(number) => Cell::Number(number.to_string()),
        DataRef::Bool(flag) => Cell::Text(Cow::Borrowed(if flag { "true" } else { "false" })),
        DataRef::DateTime(time) => {
            let (year, month, day, ..) = time.to_ymd_hms_milli();
            Cell::Text(Cow::Owned(format!("{year:04}-{month:02}-{day:02}")))
        }
        DataRef::Error(_) => Cell::Broken,
    }
}

/// Unpacks every part once and counts: what a part claims of its size proves nothing.
fn within_bounds(bytes: &[u8]) -> Result<(), Problem> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| torn(&error))?;
    let too_large = || {
        let max = MAX_INFLATED >> 20;
        Problem::file(
            format!(
                "Tệp XLSX giải nén ra quá {max} MiB hoặc quá {MAX_PARTS} phần; lưu riêng trang danh sách rồi nhập lại."
            ),
            format!(
                "The XLSX unpacks to more than {max} MiB or {MAX_PARTS} parts; save the list's sheet alone and import again."
            ),
        )
    };
    if archive.len() > MAX_PARTS {
        return Err(too_large());
    }
    let mut left = MAX_INFLATED;
    for at in 0..archive.len() {
        let part = archive.by_index(at).map_err(|error| torn(&error))?;
        let read =
            std::io::copy(&mut part.take(left + 1), &mut sink()).map_err(|error| torn(&error))?;
        left = left.checked_sub(read).ok_or_else(too_large)?;
    }
    Ok(())
}

fn torn(error: &dyn std::fmt::Display) -> Problem {
    Problem::file(
        format!("Không đọc được tệp XLSX: {error}. Mở bằng Excel, lưu lại rồi nhập lại."),
        format!("The XLSX cannot be read: {error}. Open it in Excel, save it and import again."),
    )
}

fn broken(error: &calamine::XlsxError) -> Vec<Problem> {
    vec![torn(error)]
}
