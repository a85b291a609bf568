//! One's own list beside the national one.

use std::collections::HashSet;

use edxml::identifier::{AgencyCode, Form};

use crate::column::{Column, plain};
use crate::difference::{ByCode, canonical};
use crate::entry::{Entry, Row, State};

/// An agency as both lists tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// One's own entry.
    pub own: Entry,
    /// The national one, with its row.
    pub national: Row,
    /// What differs: column, own, national. Parents differ if they are different agencies.
    pub fields: Vec<(Column, String, String)>,
}

/// How one's own list stands to the national one (duty NB-07).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Own agencies that the national list does not have.
    pub missing_there: Vec<Entry>,
    /// National entries under the codes of this province that are not registered here.
    pub missing_here: Vec<Row>,
    /// In both, told differently.
    pub different: Vec<Pair>,
    /// In use here, closed there.
    pub closed_there: Vec<Pair>,
    /// Closed here, in use there.
    pub closed_here: Vec<Pair>,
    /// In both and alike.
    pub alike: usize,
}

/// Compares one's own list with the national one. Of the national list only what lies under the
/// level-1 codes of one's own counts as missing here. Names are compared as people read them,
/// without case and diacritics; closed agencies of one's own are not missed there.
#[must_use]
pub fn compare(own: &[Entry], national: &[Row]) -> Comparison {
    let here = ByCode::new(own);
    let there = ByCode::new(national);
    let mut found = Comparison::default();
    for entry in own {
        let in_use = entry.state != Some(State::Closed);
        let Some(like) = there.like(entry) else {
            if in_use && entry.state != Some(State::Seen) {
                found.missing_there.push(entry.clone());
            }
            continue;
        };
        let pair = |fields| Pair {
            own: entry.clone(),
            national: like.clone(),
            fields,
        };
        let state = like.entry.state;
        if in_use && state == Some(State::Closed) {
            found.closed_there.push(pair(Vec::new()));
            continue;
        }
        if !in_use && state != Some(State::Closed) {
            // Its code may have gone over to its successor, which is then in use in both.
            if here.like(&like.entry) == Some(entry) {
                found.closed_here.push(pair(Vec::new()));
            }
            continue;
        }
        let fields = unlike(entry, &like.entry, &here, &there);
        if fields.is_empty() {
            found.alike += 1;
        } else {
            found.different.push(pair(fields));
        }
    }
    let provinces: HashSet<String> = own
        .iter()
        .flat_map(|entry| [&entry.code, &entry.code_2020])
        .filter_map(|code| level_1(code))
        .collect();
    let missing_here = national.iter().filter(|row| {
        let entry = &row.entry;
        entry.state != Some(State::Closed)
            && here.like(entry).is_none()
            && entry
                .codes()
                .any(|code| level_1(code).is_some_and(|code| provinces.contains(&code)))
    });
    found.missing_here = missing_here.cloned().collect();
    found
}

fn unlike(
    own: &Entry,
    national: &Entry,
    here: &ByCode<'_, Entry>,
    there: &ByCode<'_, Row>,
) -> Vec<(Column, String, String)> {
    let mut fields = Vec::new();
    let mut tell = |column, own: &str, national: &str| {
        fields.push((column, own.to_owned(), national.to_owned()));
    };
    if plain(&own.name) != plain(&national.name) {
        tell(Column::Name, &own.name, &national.name);
    }
    // A code that one side leaves out is no difference; two that exclude each other are one.
    for (column, a, b) in [
        (Column::Code, &own.code, &national.code),
        (Column::Code2020, &own.code_2020, &national.code_2020),
    ] {
        let known = own.codes().any(|code| canonical(code) == canonical(b));
        if !a.is_empty() && !b.is_empty() && canonical(a) != canonical(b) && !known {
            tell(column, a, b);
        }
    }
    if !own.parent.is_empty() && !national.parent.is_empty() {
        // The same parent may be called by another of its codes.
        let mine = here.code(&own.parent);
        let same = canonical(&own.parent) == canonical(&national.parent)
            || mine.is_some_and(|mine| {
                mine.codes()
                    .any(|code| canonical(code) == canonical(&national.parent))
            })
            || there.code(&national.parent).is_some_and(|theirs| {
                theirs
                    .entry
                    .codes()
                    .any(|code| canonical(code) == canonical(&own.parent))
            });
        if !same {
            tell(Column::Parent, &own.parent, &national.parent);
        }
    }
    fields
}

/// The level-1 code that a code lies under.
fn level_1(code: &str) -> Option<String> {
    let code = canonical(code);
    let group = match AgencyCode::new(code.as_str()).form() {
        Form::Form2016 => code.rsplit('.').next(),
        Form::Form2020 => code.split('.').next(),
        Form::Enterprise | Form::Irregular(_) => None,
    };
    group.map(str::to_owned)
}
