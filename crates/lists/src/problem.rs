//! What is wrong with a list, and where.

use crate::column::Column;

/// One thing wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The row, counted as spreadsheets do from 1; of JSON the object's number. 0 = the file.
    pub row: u32,
    /// The column's id (see [`Column::id`]); empty if the row or the file is meant.
    pub column: String,
    /// The cell as spreadsheets name it (`D7`); empty if none is meant.
    pub cell: String,
    /// What is wrong and what to do, in Vietnamese.
    pub message: String,
    /// The same in English.
    pub message_en: String,
}

impl Problem {
    /// About the file as a whole.
    pub(crate) fn file(vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self::row(0, vi, en)
    }

    /// About a row.
    pub(crate) fn row(row: u32, vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            row,
            column: String::new(),
            cell: String::new(),
            message: vi.into(),
            message_en: en.into(),
        }
    }

    /// Names the column.
    pub(crate) fn in_column(mut self, column: Column) -> Self {
        column.id().clone_into(&mut self.column);
        self
    }

    /// Names the cell, by its column counted from 0.
    pub(crate) fn in_cell(mut self, column: u32) -> Self {
        self.cell = cell_name(self.row, column);
        self
    }
}

/// A cell as spreadsheets name it: row from 1, column from 0.
pub(crate) fn cell_name(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut left = column + 1;
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'A' + u8::try_from(left % 26).unwrap_or(0)));
        left /= 26;
    }
    let letters: String = letters.into_iter().rev().collect();
    format!("{letters}{row}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_named_as_spreadsheets_do() {
        for (column, name) in [
            (0, "A7"),
            (25, "Z7"),
            (26, "AA7"),
            (701, "ZZ7"),
            (702, "AAA7"),
        ] {
            assert_eq!(cell_name(7, column), name);
        }
    }
}
