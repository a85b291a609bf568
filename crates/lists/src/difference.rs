//! What two lists differ in.

use std::collections::HashMap;

use edxml::identifier::AgencyCode;

use crate::column::Column;
use crate::entry::Entry;

/// What became of a list: the agencies added, removed and changed, in the order of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the new one alone.
    pub added: Vec<Entry>,
    /// In the old one alone.
    pub removed: Vec<Entry>,
    /// In both, not alike.
    pub changed: Vec<Changed>,
}

/// An agency that is told differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The code to call it by, of the new list.
    pub code: String,
    /// Its name in the new list.
    pub name: String,
    /// What differs: column, before, after.
    pub fields: Vec<(Column, String, String)>,
}

impl Difference {
    /// Whether the lists say the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Finds the entries of one list by any of their codes. A code that several have leads to the
/// one whose code of now it is, then to the first.
#[derive(Debug)]
pub(crate) struct ByCode<'e, T> {
    found: HashMap<String, &'e T>,
}

impl<'e, T: AsRef<Entry>> ByCode<'e, T> {
    pub(crate) fn new(entries: &'e [T]) -> Self {
        let mut found = HashMap::new();
        for told in entries {
            let entry = told.as_ref();
            for code in [&entry.code, &entry.code_2020] {
                if !code.is_empty() {
                    found.entry(canonical(code)).or_insert(told);
                }
            }
        }
        for told in entries {
            for code in &told.as_ref().other_codes {
                found.entry(canonical(code)).or_insert(told);
            }
        }
        Self { found }
    }

    pub(crate) fn code(&self, code: &str) -> Option<&'e T> {
        self.found.get(&canonical(code)).copied()
    }

    /// The one that shares a code with this entry, its codes of now first.
    pub(crate) fn like(&self, entry: &Entry) -> Option<&'e T> {
        entry.codes().find_map(|code| self.code(code))
    }
}

pub(crate) fn canonical(code: &str) -> String {
    AgencyCode::new(code).canonical()
}

/// What became of `old` in `new`. Agencies are the same if they share a code.
#[must_use]
pub fn difference(old: &[Entry], new: &[Entry]) -> Difference {
    let before = ByCode::new(old);
    let mut matched: HashMap<*const Entry, ()> = HashMap::new();
    let mut found = Difference::default();
    for entry in new {
        // One of the old list stands for one of the new: a split leaves the first with it.
        let former = before
            .like(entry)
            .filter(|former| matched.insert(std::ptr::from_ref(*former), ()).is_none());
        let Some(former) = former else {
            found.added.push(entry.clone());
            continue;
        };
        let fields = fields(former, entry);
        if !fields.is_empty() {
            found.changed.push(Changed {
                code: entry.main_code().to_owned(),
                name: entry.name.clone(),
                fields,
            });
        }
    }
    found.removed = old
        .iter()
        .filter(|entry| !matched.contains_key(&std::ptr::from_ref(*entry)))
        .cloned()
        .collect();
    found
}

/// The columns in which two entries differ.
pub(crate) fn fields(old: &Entry, new: &Entry) -> Vec<(Column, String, String)> {
    let word = |entry: &Entry| entry.state.map(|s| s.word().to_owned()).unwrap_or_default();
    let day = |entry: &Entry| {
        entry
            .effective
            .map(|day| day.to_string())
            .unwrap_or_default()
    };
    let forward = |entry: &Entry| entry.forward.map(|f| f.to_string()).unwrap_or_default();
    let both = |of: fn(&Entry) -> &String| (of(old).clone(), of(new).clone());
    let pairs = [
        (Column::Code, both(|e| &e.code)),
        (Column::Code2020, both(|e| &e.code_2020)),
        (
            Column::OtherCodes,
            (old.other_codes.join(" "), new.other_codes.join(" ")),
        ),
        (Column::Name, both(|e| &e.name)),
        (Column::Parent, both(|e| &e.parent)),
        (Column::Kind, both(|e| &e.kind)),
        (Column::Level, both(|e| &e.level)),
        (Column::Contact, both(|e| &e.contact)),
        (Column::Centre, both(|e| &e.centre)),
        (Column::State, (word(old), word(new))),
        (
            Column::Successors,
            (old.successors.join(" "), new.successors.join(" ")),
        ),
        (Column::Forward, (forward(old), forward(new))),
        (Column::Effective, (day(old), day(new))),
        (Column::Decision, both(|e| &e.decision)),
    ];
    pairs
        .into_iter()
        .filter(|(_, (old, new))| old != new)
        .map(|(column, (old, new))| (column, old, new))
        .collect()
}
