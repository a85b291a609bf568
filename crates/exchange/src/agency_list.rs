//! A list of agencies: reading it, and what it would change.

use std::collections::HashMap;

use ledger::Fact;
use ledger::event::{AgencyOperation, AgencyRecorded, AgencyState};
use ledger::id::AgencyId;
use ledger::registry::{Agency, Registry, canonical_code};
use ledger::time::Ms;
use lists::{Column, Columns, Entry, List, State};

use crate::draft::Draft;
use crate::service::Operator;
use crate::types::{ImportProblem, Imported};

fn problem(row: u32, column: &str, vi: impl Into<String>, en: impl Into<String>) -> ImportProblem {
    ImportProblem {
        row,
        column: column.to_owned(),
        cell: String::new(),
        message: vi.into(),
        message_en: en.into(),
    }
}

/// Reads a list in any of its formats; of a workbook the sheet with this name, or the first one
/// with a heading.
pub(crate) fn read(bytes: &[u8], sheet: &str) -> Result<List, Vec<ImportProblem>> {
    lists::read_sheet(bytes, sheet).map_err(|problems| {
        let problems = problems.into_iter().map(|problem| ImportProblem {
            row: problem.row,
            column: problem.column,
            cell: problem.cell,
            message: problem.message,
            message_en: problem.message_en,
        });
        problems.collect()
    })
}

fn codes(entry: &Entry) -> impl Iterator<Item = (&'static str, &str)> {
    [
        (Column::Code.id(), entry.code.as_str()),
        (Column::Code2020.id(), entry.code_2020.as_str()),
    ]
    .into_iter()
    .filter(|(_, code)| !code.is_empty())
}

/// What a list would change, and what is wrong with it.
pub(crate) fn plan(
    registry: &Registry,
    list: &List,
    operator: &Operator,
    decision: &str,
    now: Ms,
) -> (Vec<Fact>, Imported) {
    let mut imported = Imported::default();
    let problems = &mut imported.problems;
    let mut in_list: HashMap<String, usize> = HashMap::new();
    for (at, row) in list.rows.iter().enumerate() {
        if codes(&row.entry).next().is_none() {
            problems.push(problem(
                row.number,
                "code",
                "Thiếu mã cơ quan.",
                "The agency's code is missing.",
            ));
        }
        if row.entry.name.is_empty() {
            problems.push(problem(
                row.number,
                "name",
                "Thiếu tên cơ quan.",
                "The agency's name is missing.",
            ));
        }
        for (column, code) in codes(&row.entry) {
            if let Some(other) = in_list.insert(canonical_code(code), at)
                && other != at
            {
                let first = list.rows[other].number;
                problems.push(problem(
                    row.number,
                    column,
                    format!("Mã {code} đã có ở dòng {first}."),
                    format!("The code {code} stands in row {first} already."),
                ));
            }
        }
    }
    // Which agency each row is: known by either code, or new.
    let mut next = registry.next_agency().0;
    let mut ids = Vec::with_capacity(list.rows.len());
    for row in &list.rows {
        let mut known = row.entry.codes().filter_map(|code| registry.resolve(code));
        let first = known.next();
        if let (Some(first), Some(second)) = (first, known.next())
            && first != second
        {
            problems.push(problem(
                row.number,
                "code_2020",
                "Hai mã của dòng này đang thuộc hai cơ quan khác nhau.",
                "The two codes of this row belong to two different agencies.",
            ));
        }
        ids.push(first.unwrap_or_else(|| {
            let id = AgencyId(next);
            next += 1;
            id
        }));
    }
    let resolve = |code: &str| {
        let in_list = in_list.get(&canonical_code(code)).map(|at| ids[*at]);
        in_list.or_else(|| registry.resolve(code))
    };
    let parent_of = |entry: &Entry| -> Result<Option<AgencyId>, ()> {
        if entry.parent.is_empty() {
            return Ok(None);
        }
        resolve(&entry.parent).map(Some).ok_or(())
    };
    let mut parents: HashMap<AgencyId, AgencyId> = registry
        .agencies()
        .filter_map(|(id, agency)| agency.parent.map(|parent| (id, parent)))
        .collect();
    let mut draft = Draft::new(registry, operator.actor(""), now, now, decision);
    for (row, id) in list.rows.iter().zip(&ids) {
        let (number, row) = (row.number, &row.entry);
        let Ok(parent) = parent_of(row) else {
            problems.push(problem(
                number,
                "parent",
                format!(
                    "Mã cơ quan cấp trên {:?} không có trong tệp cũng như trong danh mục.",
                    row.parent
                ),
                format!(
                    "The parent {:?} is neither in the file nor registered.",
                    row.parent
                ),
            ));
            continue;
        };
        let before = registry.agency(*id);
        let parent = if list.columns.has(Column::Parent) {
            parent
        } else {
            before.and_then(|agency| agency.parent)
        };
        match parent {
            Some(parent) => parents.insert(*id, parent),
            None => parents.remove(id),
        };
        let mut agency = before.map(|agency| agency.values(*id)).unwrap_or_default();
        // A row with one code only keeps the other one that is known.
        if !row.code.is_empty() {
            agency.code.clone_from(&row.code);
        }
        if !row.code_2020.is_empty() {
            agency.code_2020.clone_from(&row.code_2020);
        }
        if agency.code.is_empty() {
            agency.code.clone_from(&agency.code_2020);
            agency.code_2020.clear();
        }
        agency.name.clone_from(&row.name);
        agency.parent = parent.map(|parent| parent.0);
        describe(&mut agency, row, list.columns);
        if let Some(state) = row.state {
            agency.state = state_of(state).into();
        } else if agency.state() == AgencyState::Unspecified {
            agency.state = AgencyState::Active.into();
        }
        if !row.successors.is_empty() {
            agency.successors.clear();
        }
        for code in &row.successors {
            match resolve(code) {
                Some(successor) => agency.successors.push(successor.0),
                None => problems.push(problem(
                    number,
                    "successors",
                    format!(
                        "Mã cơ quan kế thừa {code:?} không có trong tệp cũng như trong danh mục."
                    ),
                    format!("The successor {code:?} is neither in the file nor registered."),
                )),
            }
        }
        let agency = Agency::of(&agency);
        if before == Some(&agency) {
            imported.unchanged += 1;
            continue;
        }
        if before.is_some() {
            imported.changed += 1;
        } else {
            imported.added += 1;
        }
        draft.put(*id, agency, AgencyOperation::Import);
    }
    for (row, id) in list.rows.iter().zip(&ids) {
        let mut at = *id;
        let mut steps = 0;
        while let Some(parent) = parents.get(&at) {
            at = *parent;
            steps += 1;
            if at == *id || steps > 64 {
                problems.push(problem(
                    row.number,
                    "parent",
                    "Quan hệ cấp trên tạo thành vòng.",
                    "The parents form a cycle.",
                ));
                break;
            }
        }
    }
    (draft.unchecked(), imported)
}

/// Takes over what describes an agency, as far as the list has a column for it.
fn describe(agency: &mut AgencyRecorded, row: &Entry, columns: Columns) {
    for (column, field, told) in [
        (Column::Kind, &mut agency.kind, &row.kind),
        (Column::Level, &mut agency.level, &row.level),
        (Column::Contact, &mut agency.contact, &row.contact),
        (Column::Centre, &mut agency.centre, &row.centre),
    ] {
        if columns.has(column) {
            field.clone_from(told);
        }
    }
    // Codes of former times are only ever added by a list.
    for code in &row.other_codes {
        let known =
            ledger::registry::codes(agency).any(|own| canonical_code(own) == canonical_code(code));
        if !known {
            agency.other_codes.push(code.clone());
        }
    }
}

const fn state_of(state: State) -> AgencyState {
    match state {
        State::Requested => AgencyState::Requested,
        State::Approved => AgencyState::Approved,
        State::Active => AgencyState::Active,
        State::Suspended => AgencyState::Suspended,
        State::Closed => AgencyState::Closed,
        State::Seen => AgencyState::Seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator() -> Operator {
        Operator {
            uid: 0,
            person: "Lan".to_owned(),
            ..Operator::default()
        }
    }

    fn planned(registry: &Registry, csv: &str) -> (Vec<Fact>, Imported) {
        plan(
            registry,
            &read(csv.as_bytes(), "").unwrap(),
            &operator(),
            "",
            Ms(1),
        )
    }

    #[test]
    fn a_list_is_taken_over_and_the_same_list_changes_nothing() {
        let csv = "\u{feff}code,code_2020,name,parent\n000.00.01.H99,H99.01,Sở Nội vụ,000.00.00.H99\n000.00.00.H99,H99,UBND tỉnh,\n";
        let mut registry = Registry::default();
        let (facts, imported) = planned(&registry, csv);
        assert_eq!((imported.added, imported.problems.len()), (2, 0));
        facts.iter().for_each(|fact| registry.apply(fact));
        let child = registry.resolve("H99.01").unwrap();
        let parent = registry.agency(child).unwrap().parent;
        assert_eq!(parent, registry.resolve("000.00.00.h99"));
        let (facts, imported) = planned(&registry, csv);
        assert_eq!((facts.len(), imported.unchanged), (0, 2));
        let (_, imported) = planned(
            &registry,
            &csv.replace("Sở Nội vụ", "Sở Nội vụ và Lao động"),
        );
        assert_eq!((imported.changed, imported.unchanged), (1, 1));
    }

    #[test]
    fn an_agency_is_closed_with_its_successors_and_stays_so() {
        let csv = "code,code_2020,name,parent,state,successors\nA1,,Một,,closed,A2 A3\nA2,,Hai,,,\nA3,,Ba,,suspended,\n";
        let mut registry = Registry::default();
        let (facts, imported) = planned(&registry, csv);
        assert!(imported.problems.is_empty(), "{:?}", imported.problems);
        facts.iter().for_each(|fact| registry.apply(fact));
        let of = |registry: &Registry, code: &str| {
            let id = registry.resolve(code).unwrap();
            (id, registry.agency(id).unwrap().clone())
        };
        let (_, first) = of(&registry, "A1");
        assert_eq!(first.state(), AgencyState::Closed);
        let successors = ["A2", "A3"].map(|code| of(&registry, code).0);
        assert_eq!(*first.successors, successors);
        assert_eq!(of(&registry, "A3").1.state(), AgencyState::Suspended);
        // A list without these columns leaves them as they are.
        let (facts, imported) = planned(&registry, "code,code_2020,name,parent\nA1,,Một,\n");
        assert_eq!((facts.len(), imported.unchanged), (0, 1));
        let (_, imported) = planned(&registry, &csv.replace("closed,A2 A3", "closed,A9"));
        let told: Vec<_> = imported
            .problems
            .iter()
            .map(|p| (p.row, p.column.as_str()))
            .collect();
        assert_eq!(told, [(2, "successors")]);
    }

    #[test]
    fn problems_name_row_and_column() {
        let csv = "code,code_2020,name,parent\nA1,B1,Một,\nA1,,Hai,\n,,Ba,\nA4,,,X9\nA5,,Năm,A6\nA6,,Sáu,A5\n";
        let (_, imported) = planned(&Registry::default(), csv);
        let told: Vec<_> = imported
            .problems
            .iter()
            .map(|p| (p.row, p.column.as_str()))
            .collect();
        for expected in [
            (3, "code"),
            (4, "code"),
            (5, "name"),
            (5, "parent"),
            (6, "parent"),
            (7, "parent"),
        ] {
            assert!(told.contains(&expected), "{expected:?} not in {told:?}");
        }
        let wrong = read(b"code,name,state\nA1,A,shut\n", "").unwrap_err();
        assert_eq!(
            (wrong[0].cell.as_str(), wrong[0].column.as_str()),
            ("C2", "state")
        );
    }
}
