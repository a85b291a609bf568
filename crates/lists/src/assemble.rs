//! From rows of cells to a list: finds the heading, then takes row after row.

use std::borrow::Cow;
use std::collections::HashMap;

use edxml::identifier::{AgencyCode, Form};
use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization as _;

use crate::column::{Column, plain};
use crate::entry::{Entry, List, Row, State};
use crate::problem::Problem;
use crate::read::{MAX_NAME, MAX_PROBLEMS, MAX_ROWS};

/// Rows that may stand above the heading: titles, the name of the body, a date.
const TITLE_ROWS: u32 = 30;
/// Columns that are looked at.
pub(crate) const MAX_COLUMNS: u32 = 256;
/// Bytes of a code; longer ones were never met.
const MAX_CODE: usize = 64;

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    Empty,
    Text(Cow<'a, str>),
    /// A number as the file has it: what stood before it (zeros) is lost.
    Number(String),
    Formula,
    /// What a spreadsheet shows as `#REF!` and the like.
    Broken,
}

/// A column of the list and where it stands, from 0.
#[derive(Debug, Clone, Copy)]
struct Found {
    column: Column,
    at: u32,
}

/// Makes a list of rows as they come.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    heading: Vec<Found>,
    heading_row: u32,
    looked_at: u32,
    /// The headings of the row that came nearest to a heading.
    nearest: (usize, Vec<String>),
    list: List,
    /// The national list's ids and parents, by row.
    ids: Vec<(String, String)>,
    problems: Vec<Problem>,
}

impl Assembly {
    /// Whether the heading was found.
    pub(crate) fn has_heading(&self) -> bool {
        !self.heading.is_empty()
    }

    /// The heading's row; 0 before it is found.
    pub(crate) const fn heading_row(&self) -> u32 {
        self.heading_row
    }

    /// Whether nothing more is worth reading.
    pub(crate) fn is_over(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
            || self.list.rows.len() > MAX_ROWS
            || (!self.has_heading() && self.looked_at >= TITLE_ROWS)
    }

    pub(crate) fn complain(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Takes the names of a table's columns as they are: JSON has no titles above them.
    pub(crate) fn name_columns<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        let cells: Vec<_> = (0..)
            .zip(names)
            .map(|(at, name)| (at, Cell::Text(Cow::Borrowed(name))))
            .collect();
        self.look_for_heading(0, &cells);
    }

    /// Takes a row: cells with their columns from 0, in order.
    pub(crate) fn row(&mut self, number: u32, cells: &[(u32, Cell<'_>)]) {
        let blank = cells.iter().all(|(_, cell)| match cell {
            Cell::Empty => true,
            Cell::Text(text) => text.trim().is_empty(),
            _ => false,
        });
        if blank || self.is_over() {
            return;
        }
        if self.has_heading() {
            self.entry(number, cells);
        } else {
            self.look_for_heading(number, cells);
        }
    }

    fn look_for_heading(&mut self, number: u32, cells: &[(u32, Cell<'_>)]) {
        self.looked_at += 1;
        let texts: Vec<(u32, &str)> = cells
            .iter()
            .filter_map(|(at, cell)| match cell {
                Cell::Text(text) if !text.trim().is_empty() => Some((*at, text.trim())),
                _ => None,
            })
            .collect();
        let mut found: Vec<Found> = Vec::new();
        let mut ignored = Vec::new();
        for (at, text) in &texts {
            match Column::of_heading(text) {
                Some(column) => found.push(Found { column, at: *at }),
                None if plain(text) != "stt" => ignored.push((*text).to_owned()),
                None => {}
            }
        }
        let has = |found: &[Found], column| found.iter().any(|f| f.column == column);
        // The national list by Decision 20: `code` is the new one beside `code102`.
        if found.iter().filter(|f| f.column == Column::Code).count() == 2
            && !has(&found, Column::Code2020)
        {
            let plain_code = texts.iter().find(|(_, text)| plain(text) == "code");
            if let Some((at, _)) = plain_code
                && let Some(new) = found.iter_mut().find(|f| f.at == *at)
            {
                new.column = Column::Code2020;
            }
        }
        let codes = [Column::Code, Column::Code2020, Column::AnyCode];
        if !has(&found, Column::Name) || !codes.iter().any(|code| has(&found, *code)) {
            if found.len() > self.nearest.0 || self.nearest.1.is_empty() {
                let shown = texts.iter().map(|(_, text)| (*text).to_owned()).collect();
                self.nearest = (found.len(), shown);
            }
            return;
        }
        for (i, one) in found.iter().enumerate() {
            let several = matches!(
                one.column,
                Column::OtherCodes | Column::Successors | Column::Contact
            );
            if !several && found[..i].iter().any(|other| other.column == one.column) {
                let id = one.column.heading();
                self.problems.push(
                    Problem::row(
                        number,
                        format!("Hai cột cùng nghĩa {id:?}; đổi tên hoặc xóa một cột."),
                        format!("Two columns mean {id:?}; rename or remove one."),
                    )
                    .in_column(one.column)
                    .in_cell(one.at),
                );
            }
        }
        self.list.columns = found.iter().map(|f| f.column).collect();
        self.list.ignored = ignored;
        self.list.places = found.iter().map(|f| (f.column, f.at)).collect();
        self.heading = found;
        self.heading_row = number;
    }

    fn entry(&mut self, number: u32, cells: &[(u32, Cell<'_>)]) {
        let mut entry = Entry::default();
        let mut any_code = String::new();
        let (mut id, mut parent_id) = (String::new(), String::new());
        let mut deleted = false;
        let mut told = false;
        for Found { column, at } in self.heading.clone() {
            let Ok(place) = cells.binary_search_by_key(&at, |(at, _)| *at) else {
                continue;
            };
            let Some(text) = self.text(number, column, at, &cells[place].1) else {
                continue;
            };
            if text.is_empty() {
                continue;
            }
            told = true;
            let place = |problem: Problem| problem.in_column(column).in_cell(at);
            match column {
                Column::Code => entry.code = text,
                Column::Code2020 => entry.code_2020 = text,
                Column::AnyCode => any_code = text,
                Column::OtherCodes => entry.other_codes.extend(several(&text)),
                Column::Successors => entry.successors.extend(several(&text)),
                Column::Name => {
                    if text.chars().count() > MAX_NAME {
                        self.complain(place(Problem::row(
                            number,
                            format!("Tên dài quá {MAX_NAME} ký tự."),
                            format!("The name is longer than {MAX_NAME} characters."),
                        )));
                    }
                    entry.name = text;
                }
                Column::Parent => entry.parent = text,
                Column::Kind => entry.kind = text,
                Column::Level => entry.level = text,
                Column::Contact if entry.contact.is_empty() => entry.contact = text,
                Column::Contact => {
                    entry.contact.push_str("; ");
                    entry.contact.push_str(&text);
                }
                Column::Centre => entry.centre = text,
                Column::Decision => entry.decision = text,
                Column::State => match State::of_word(&text) {
                    Some(state) => entry.state = Some(state),
                    None => self.complain(place(Problem::row(
                        number,
                        format!("Không có trạng thái {text:?}; ghi active (hoạt động), suspended (tạm dừng) hoặc closed (đã đóng)."),
                        format!("There is no state {text:?}; write active, suspended or closed."),
                    ))),
                },
                Column::Forward => match yes(&text) {
                    Some(forward) => entry.forward = Some(forward),
                    None => self.complain(place(Problem::row(
                        number,
                        format!("{text:?} không phải có hoặc không."),
                        format!("{text:?} is neither yes nor no."),
                    ))),
                },
                Column::Effective => match date(&text) {
                    Some(day) => entry.effective = Some(day),
                    None => self.complain(place(Problem::row(
                        number,
                        format!("Ngày {text:?} không đọc được; ghi như 2026-07-01 hoặc 01/07/2026."),
                        format!("The day {text:?} cannot be read; write 2026-07-01 or 01/07/2026."),
                    ))),
                },
                Column::Id => id = text,
                Column::ParentId => parent_id = text,
                Column::Deleted => deleted = yes(&text) == Some(true),
            }
        }
        if !told {
            return;
        }
        if self.list.rows.len() == MAX_ROWS {
            self.problems.clear();
            self.problems.push(Problem::row(
                number,
                format!("Danh sách quá {MAX_ROWS} dòng; cả nước chưa đến 120.000 cơ quan. Kiểm tra lại tệp hoặc chia nhỏ."),
                format!("The list has more than {MAX_ROWS} rows; the whole country has fewer than 120,000 agencies. Check the file or split it."),
            ));
            self.list.rows.push(Row { number, entry });
            return;
        }
        if !any_code.is_empty() {
            let new = AgencyCode::new(any_code.as_str()).form() == Form::Form2020;
            if new && entry.code_2020.is_empty() {
                entry.code_2020 = any_code;
            } else if entry.code.is_empty() {
                entry.code = any_code;
            }
        }
        if deleted {
            entry.state = Some(State::Closed);
        }
        if self.list.columns.has(Column::ParentId) {
            self.ids.push((id, parent_id));
        }
        self.list.rows.push(Row { number, entry });
    }

    /// A cell's text, trimmed and composed, white space within as one blank; `None` if it was
    /// complained of.
    fn text(&mut self, number: u32, column: Column, at: u32, cell: &Cell<'_>) -> Option<String> {
        let at_fault =
            |vi: String, en: String| Problem::row(number, vi, en).in_column(column).in_cell(at);
        let heading = column.heading();
        let text: Cow<'_, str> = match cell {
            Cell::Empty => return Some(String::new()),
            Cell::Formula => {
                self.complain(at_fault(
                    format!("Ô ở cột {heading:?} là công thức; dán lại thành giá trị (Paste Values) rồi nhập lại."),
                    format!("The cell in {heading:?} is a formula; paste it as a value and import again."),
                ));
                return None;
            }
            Cell::Broken => {
                self.complain(at_fault(
                    format!("Ô ở cột {heading:?} báo lỗi (#REF!, #N/A …); sửa lại rồi nhập lại."),
                    format!("The cell in {heading:?} shows an error (#REF!, #N/A …); mend it and import again."),
                ));
                return None;
            }
            Cell::Number(digits) if column.holds_codes() => {
                self.complain(at_fault(
                    format!("Ô ở cột {heading:?} là số {digits}: các số 0 ở đầu đã mất. Định dạng cột là Text và nhập lại mã."),
                    format!("The cell in {heading:?} is the number {digits}: zeros before it are lost. Format the column as text and write the code again."),
                ));
                return None;
            }
            Cell::Number(digits) => Cow::Borrowed(digits.as_str()),
            Cell::Text(text) => Cow::Borrowed(text),
        };
        // One blank for white space of any kind: cells have line breaks and no-break spaces.
        let mut tidy = String::with_capacity(text.len());
        for word in text.split_whitespace() {
            if !tidy.is_empty() {
                tidy.push(' ');
            }
            tidy.extend(word.nfc());
        }
        if let Some(odd) = tidy.chars().find(|c| c.is_control()) {
            self.complain(at_fault(
                format!("Ô ở cột {heading:?} có ký tự điều khiển {odd:?}."),
                format!("The cell in {heading:?} has the control character {odd:?}."),
            ));
            return None;
        }
        if column.holds_codes()
            && let Some((vi, en)) = wrong_code(&tidy, column)
        {
            self.complain(at_fault(vi, en));
            return None;
        }
        Some(tidy)
    }

    /// The list, or what is wrong with it.
    pub(crate) fn finish(mut self) -> Result<List, Vec<Problem>> {
        if self.problems.is_empty() && !self.has_heading() {
            let seen = self
                .nearest
                .1
                .iter()
                .take(12)
                .cloned()
                .collect::<Vec<_>>()
                .join(" | ");
            self.problems.push(Problem::row(
                1,
                format!("Không thấy dòng tiêu đề: cần một cột mã (\"Mã định danh\", code, code_2020 …) và một cột tên (\"Tên cơ quan\", name …). Thấy: {seen:?}."),
                format!("No heading was found: a column of codes (\"Mã định danh\", code, code_2020 …) and one of names (\"Tên cơ quan\", name …) are needed. Seen: {seen:?}."),
            ));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        if !self.ids.is_empty() && !self.list.columns.has(Column::Parent) {
            self.list.columns.insert(Column::Parent);
            let codes: HashMap<&str, &str> = self
                .ids
                .iter()
                .zip(&self.list.rows)
                .map(|((id, _), row)| (id.as_str(), row.entry.main_code()))
                .collect();
            let parents: Vec<String> = self
                .ids
                .iter()
                .map(|(_, parent)| {
                    codes
                        .get(parent.as_str())
                        .map_or_else(String::new, |c| (*c).to_owned())
                })
                .collect();
            for (row, parent) in self.list.rows.iter_mut().zip(parents) {
                row.entry.parent = parent;
            }
        }
        if self.list.columns.has(Column::Deleted) {
            self.list.columns.insert(Column::State);
        }
        Ok(self.list)
    }
}

fn several(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split([' ', ',', ';', '|'])
        .filter(|code| !code.is_empty())
        .map(str::to_owned)
}

/// Yes or no, as people write it.
fn yes(text: &str) -> Option<bool> {
    match plain(text).as_str() {
        "true" | "1" | "x" | "co" | "yes" => Some(true),
        "false" | "0" | "khong" | "no" => Some(false),
        _ => None,
    }
}

/// A day as written in Vietnam or by ISO 8601; a time behind it is left out.
fn date(text: &str) -> Option<Date> {
    let day = text.split(['T', ' ']).next()?;
    if let Ok(date) = day.parse() {
        return Some(date);
    }
    let mut parts = day.split(['/', '-', '.']);
    let (d, m, y) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || y.len() != 4 {
        return None;
    }
    Date::new(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?).ok()
}

/// What no code may have: what cannot be seen or is taken for another letter. Its form is the
/// registry's matter.
fn wrong_code(text: &str, column: Column) -> Option<(String, String)> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii()) {
        let point = u32::from(odd);
        let (vi, en) = looks_like(odd).map_or_else(
            || (String::new(), String::new()),
            |like| {
                (
                    format!(" trông giống chữ {like:?}"),
                    format!(", which looks like {like:?}"),
                )
            },
        );
        return Some((
            format!(
                "Mã {text:?} có ký tự {odd:?} (U+{point:04X}){vi}; mã chỉ có chữ A–Z, số và dấu chấm. Gõ lại mã."
            ),
            format!(
                "The code {text:?} has the character {odd:?} (U+{point:04X}){en}; codes have A–Z, digits and dots alone. Type it again."
            ),
        ));
    }
    let several = matches!(column, Column::OtherCodes | Column::Successors);
    if !several && (text.contains(' ') || text.len() > MAX_CODE) {
        return Some((
            format!("Mã {text:?} không hợp lệ: có khoảng trắng hoặc dài quá {MAX_CODE} ký tự."),
            format!(
                "The code {text:?} is not valid: it has white space or more than {MAX_CODE} characters."
            ),
        ));
    }
    None
}

/// The Latin letter or digit that a letter of another script is taken for.
fn looks_like(odd: char) -> Option<char> {
    let pairs = [
        ("АВСЕНКМОРТХІЈЅ", "ABCEHKMOPTXIJS"),
        ("асеорхуіј", "aceopxyij"),
        ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX"),
    ];
    let wide = std::iter::once(odd)
        .nfkc()
        .next()
        .filter(char::is_ascii_alphanumeric);
    wide.or_else(|| {
        pairs.iter().find_map(|(others, latin)| {
            let at = others.chars().position(|c| c == odd)?;
            latin.chars().nth(at)
        })
    })
}
