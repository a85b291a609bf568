//! The columns of a list, and the headings that people give them.

use unicode_normalization::UnicodeNormalization as _;

/// What a column of a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// The main code: the form of 2016 where there is one.
    Code,
    /// The code in the form of 2020.
    Code2020,
    /// Codes of former times and others, several in a cell.
    OtherCodes,
    /// A code whose form tells which of the two it is.
    AnyCode,
    /// The agency's name.
    Name,
    /// A code of the agency above it.
    Parent,
    /// What kind of body it is (department, commune …).
    Kind,
    /// Its level: 1 to 4.
    Level,
    /// How to reach it.
    Contact,
    /// The integration centre that it hangs on.
    Centre,
    /// Its state, see [`State`](crate::State).
    State,
    /// Codes of those that take over from a closed one, several in a cell.
    Successors,
    /// Whether packages to a closed one go to its one successor.
    Forward,
    /// From when this holds.
    Effective,
    /// The decision that this rests on.
    Decision,
    /// The row's number in the list that it comes from (national list: `id`).
    Id,
    /// The parent's [`Column::Id`] (national list: `pid`).
    ParentId,
    /// Whether the list marks it as gone (national list: `deleted`).
    Deleted,
}

/// A row of the table of columns: its id, its heading for people, and what else it is called,
/// as [`plain`] writes it.
type Named = (Column, &'static str, &'static str, &'static [&'static str]);

/// Every column. Add a synonym here and nowhere else.
#[rustfmt::skip]
const TABLE: &[Named] = &[
    (Column::Code, "code", "Mã định danh (2016)", &[
        "ma dinh danh 2016", "ma 2016", "ma qcvn 102", "ma dinh danh qcvn 102", "ma dinh danh theo qcvn 102",
        "ma dinh danh theo qcvn 102 2016 btttt", "code102", "code 102", "code 2016",
    ]),
    (Column::Code2020, "code_2020", "Mã định danh (2020)", &[
        "code2020", "code 2020", "ma 2020", "ma dinh danh 2020", "ma qd 20", "ma qd20", "ma dinh danh qd 20",
        "ma dinh danh moi", "ma moi", "ma dinh danh theo qd 20 2020 qd ttg", "ma dinh danh theo quyet dinh 20 2020 qd ttg",
    ]),
    (Column::OtherCodes, "other_codes", "Mã cũ, mã khác", &[
        "ma cu", "ma khac", "ma dinh danh cu", "cac ma cu", "oldcode", "old code", "old codes", "other codes",
    ]),
    (Column::AnyCode, "any_code", "Mã định danh", &[
        "ma", "ma dinh danh dien tu", "ma dinh danh co quan", "ma dinh danh don vi", "ma dinh danh co quan don vi",
        "ma dinh danh cua co quan to chuc", "ma co quan", "ma don vi", "ma co quan don vi", "organid", "organ id",
    ]),
    (Column::Name, "name", "Tên cơ quan", &[
        "ten", "ten don vi", "ten co quan don vi", "ten co quan to chuc", "ten don vi co quan", "co quan don vi",
        "ten co quan to chuc don vi", "don vi", "co quan", "organname", "organ name", "agency",
    ]),
    (Column::Parent, "parent", "Mã cơ quan cấp trên", &[
        "ma don vi cha", "don vi cha", "ma cha", "cap tren", "ma cap tren", "don vi cap tren", "ma don vi cap tren",
        "co quan cap tren", "co quan chu quan", "ma co quan chu quan", "don vi chu quan", "ma dinh danh cap tren",
        "truc thuoc", "pcode", "parent code",
    ]),
    (Column::Kind, "kind", "Loại", &["loai hinh", "loai co quan", "loai don vi", "type"]),
    (Column::Level, "level", "Cấp", &["cap don vi", "cap co quan", "cap hanh chinh"]),
    (Column::Contact, "contact", "Liên hệ", &["email", "mail", "thu dien tu", "dien thoai", "thong tin lien he"]),
    (Column::Centre, "centre", "Trung tâm tích hợp", &["trung tam", "centercode", "center code", "ma trung tam"]),
    (Column::State, "state", "Trạng thái", &["tinh trang", "trang thai hoat dong", "status"]),
    (Column::Successors, "successors", "Cơ quan kế thừa", &[
        "ke thua", "ma ke thua", "ma co quan ke thua", "ma don vi ke thua", "sap nhap vao", "chuyen sang",
    ]),
    (Column::Forward, "forwards_to_successor", "Chuyển tiếp cho cơ quan kế thừa", &[
        "chuyen tiep", "chuyen tiep van ban", "forward", "forwards",
    ]),
    (Column::Effective, "effective", "Hiệu lực từ", &[
        "ngay hieu luc", "hieu luc", "co hieu luc tu", "tu ngay", "ngay ap dung", "effective from", "valid from",
    ]),
    (Column::Decision, "decision", "Quyết định", &["so quyet dinh", "van ban", "can cu"]),
    (Column::Id, "id", "Số trong danh sách", &[]),
    (Column::ParentId, "pid", "Số cấp trên trong danh sách", &["parent id", "parentid"]),
    (Column::Deleted, "deleted", "Đã xóa", &["da xoa", "xoa"]),
];

impl Column {
    fn named(self) -> &'static Named {
        // The table has a row for each, which a test says of all of them.
        TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[0])
    }

    /// Its name in CSV and JSON: `code`, `code_2020`, `name`, `parent` …
    #[must_use]
    pub fn id(self) -> &'static str {
        self.named().1
    }

    /// Its heading for people.
    #[must_use]
    pub fn heading(self) -> &'static str {
        self.named().2
    }

    /// The column that this heading means.
    #[must_use]
    pub fn of_heading(heading: &str) -> Option<Self> {
        let heading = plain(heading);
        let named = TABLE.iter().find(|(_, id, vietnamese, others)| {
            heading == plain(id) || heading == plain(vietnamese) || others.contains(&&*heading)
        });
        named.map(|row| row.0)
    }

    /// Whether its cells hold codes, whose every character counts.
    #[must_use]
    pub const fn holds_codes(self) -> bool {
        matches!(
            self,
            Self::Code
                | Self::Code2020
                | Self::OtherCodes
                | Self::AnyCode
                | Self::Parent
                | Self::Successors
        )
    }
}

/// Which columns a list has: what it has not, it says nothing about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Columns(u32);

impl Columns {
    /// Adds one.
    pub fn insert(&mut self, column: Column) {
        self.0 |= 1 << column as u32;
    }

    /// Whether it is there.
    #[must_use]
    pub const fn has(self, column: Column) -> bool {
        self.0 & (1 << column as u32) != 0
    }
}

impl FromIterator<Column> for Columns {
    fn from_iter<I: IntoIterator<Item = Column>>(columns: I) -> Self {
        let mut all = Self::default();
        columns.into_iter().for_each(|column| all.insert(column));
        all
    }
}

/// Text for comparing what people write: lower case, without diacritics (đ as d), letters and
/// digits alone, one blank between words.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfkd().flat_map(char::to_lowercase) {
        if unicode_normalization::char::is_combining_mark(c) {
            continue;
        }
        if c.is_alphanumeric() {
            if gap && !plain.is_empty() {
                plain.push(' ');
            }
            gap = false;
            plain.push(if c == 'đ' { 'd' } else { c });
        } else {
            gap = true;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_known_with_and_without_diacritics() {
        for (heading, column) in [
            ("Mã định danh", Some(Column::AnyCode)),
            ("MA DINH DANH", Some(Column::AnyCode)),
            ("  Mã  cơ quan: ", Some(Column::AnyCode)),
            ("Ma\u{303} đi\u{323}nh danh (2020)", Some(Column::Code2020)),
            ("Tên đơn vị", Some(Column::Name)),
            ("ten_don_vi", Some(Column::Name)),
            ("Đơn vị cha", Some(Column::Parent)),
            ("Đơn vị cấp trên", Some(Column::Parent)),
            ("code102", Some(Column::Code)),
            ("oldCode", Some(Column::OtherCodes)),
            ("Ngày hiệu lực", Some(Column::Effective)),
            ("STT", None),
            ("", None),
        ] {
            assert_eq!(Column::of_heading(heading), column, "{heading}");
        }
    }

    #[test]
    fn every_column_has_one_row_and_no_heading_means_two() {
        let mut seen = std::collections::HashMap::new();
        for (at, (column, id, heading, others)) in TABLE.iter().enumerate() {
            assert_eq!(*column as usize, at, "{column:?} stands at its place");
            assert_eq!(column.id(), *id);
            for name in [plain(id), plain(heading)]
                .iter()
                .map(String::as_str)
                .chain(others.iter().copied())
            {
                assert_eq!(plain(name), name, "synonyms are written plain");
                let other = seen.insert(name.to_owned(), *column);
                assert!(other.is_none_or(|other| other == *column), "{name}");
            }
        }
    }
}
