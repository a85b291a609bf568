//! One agency of a list.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::column::{Column, Columns, plain};
use crate::problem::cell_name;

/// An agency as a list tells it. Texts are trimmed and composed (NFC); what is not told is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The main code: the form of 2016 where there is one.
    pub code: String,
    /// The code in the form of 2020.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code_2020: String,
    /// Codes of former times and others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_codes: Vec<String>,
    /// Its name.
    pub name: String,
    /// A code of the agency above it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent: String,
    /// What kind of body it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its level.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub level: String,
    /// How to reach it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contact: String,
    /// The integration centre.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub centre: String,
    /// Its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Codes of those that take over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub successors: Vec<String>,
    /// Whether packages to it, once it is closed, go to its one successor.
    #[serde(
        rename = "forwards_to_successor",
        skip_serializing_if = "Option::is_none"
    )]
    pub forward: Option<bool>,
    /// The day, in Vietnam, from which this holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<Date>,
    /// The decision.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub decision: String,
}

impl Entry {
    /// Its codes of now, then the others.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        [self.code.as_str(), self.code_2020.as_str()]
            .into_iter()
            .chain(self.other_codes.iter().map(String::as_str))
            .filter(|code| !code.is_empty())
    }

    /// The code to call it by.
    #[must_use]
    pub fn main_code(&self) -> &str {
        self.codes().next().unwrap_or_default()
    }
}

/// The state of an agency, as the registry keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asked for.
    Requested,
    /// Approved by a decision, not yet connected.
    Approved,
    /// In service.
    Active,
    /// Cannot send for now.
    Suspended,
    /// Closed for good.
    Closed,
    /// Seen in traffic only.
    Seen,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Requested,
        Self::Approved,
        Self::Active,
        Self::Suspended,
        Self::Closed,
        Self::Seen,
    ];

    /// The word in CSV, JSON and the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::Seen => "seen",
        }
    }

    /// The word for people.
    #[must_use]
    pub const fn word_vi(self) -> &'static str {
        match self {
            Self::Requested => "đề nghị",
            Self::Approved => "đã duyệt",
            Self::Active => "hoạt động",
            Self::Suspended => "tạm dừng",
            Self::Closed => "đã đóng",
            Self::Seen => "mới thấy",
        }
    }

    /// The state that this word means, in either language, with or without diacritics.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let word = plain(word);
        let own = Self::ALL
            .into_iter()
            .find(|state| word == state.word() || word == plain(state.word_vi()));
        own.or(match word.as_str() {
            "dang hoat dong" | "con hieu luc" | "dang su dung" => Some(Self::Active),
            "tam ngung" | "tam khoa" => Some(Self::Suspended),
            "dong" | "giai the" | "da giai the" | "sap nhap" | "da sap nhap" | "het hieu luc"
            | "ngung hoat dong" => Some(Self::Closed),
            "cho duyet" | "dang cho duyet" => Some(Self::Requested),
            _ => None,
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, counted as in [`Problem`](crate::Problem).
    pub number: u32,
    /// What it says.
    pub entry: Entry,
}

impl AsRef<Entry> for Row {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

impl AsRef<Self> for Entry {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// A list as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The columns it has: what it has not, it says nothing about.
    pub columns: Columns,
    /// Its rows, in their order.
    pub rows: Vec<Row>,
    /// Headings that mean nothing here; their columns were left out.
    pub ignored: Vec<String>,
    /// Where each column stands, from 0.
    pub(crate) places: Vec<(Column, u32)>,
}

impl List {
    /// The cell of a row in a column, as spreadsheets name it; empty if the list has no such
    /// column. A code may stand in a column of codes of any form.
    #[must_use]
    pub fn cell(&self, row: u32, column: Column) -> String {
        let place = |wanted| self.places.iter().find(|(column, _)| *column == wanted);
        let code = matches!(column, Column::Code | Column::Code2020);
        let place = place(column).or_else(|| place(Column::AnyCode).filter(|_| code));
        place.map_or_else(String::new, |(_, at)| cell_name(row, *at))
    }
}
