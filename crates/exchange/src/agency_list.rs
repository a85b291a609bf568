//! A list of agencies: reading it, and what it would change. One list is one act, true from one
//! moment on, checked as a whole like any other act of a registrar.

use std::collections::HashMap;

use edxml::identifier::{AgencyCode, Form};
use ledger::Fact;
use ledger::event::{Actor, AgencyOperation, AgencyState};
use ledger::id::AgencyId;
use ledger::registry::{Agency, Registry, canonical_code};
use ledger::time::Ms;
use lists::{Column, Columns, Entry, List, State};

use crate::draft::{Draft, difference};
use crate::types::{ImportOrder, ImportProblem, Imported};

/// Differences told of one list when nothing is said.
const USUAL_DIFFERENCES: usize = 1_000;

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

/// The codes of today that a row tells, with their columns.
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
    actor: Actor,
    now: Ms,
    order: &ImportOrder,
) -> (Vec<Fact>, Imported) {
    let effective = order.effective.unwrap_or(now);
    let mut draft = Draft::new(registry, actor, now, effective, &order.decision);
    let then = draft.registry().clone();
    let mut imported = Imported::default();
    let problems = &mut imported.problems;
    let in_list = rows_by_code(list, problems);
    let ids = identities(&then, list, problems);
    let resolve = |code: &str| {
        let in_list = in_list.get(&canonical_code(code)).map(|at| ids[*at]);
        in_list.or_else(|| then.resolve(code))
    };
    let mut parents: HashMap<AgencyId, AgencyId> = then
        .agencies()
        .filter_map(|(id, agency)| agency.parent.map(|parent| (id, parent)))
        .collect();
    for (row, id) in list.rows.iter().zip(&ids) {
        let (number, row) = (row.number, &row.entry);
        let before = then.agency(*id);
        let mut agency = before.cloned().unwrap_or_else(|| Agency {
            state: AgencyState::Active,
            ..Agency::default()
        });
        recode(&mut agency, row);
        agency.name = row.name.as_str().into();
        describe(&mut agency, row, list.columns);
        let had = |code: &str| {
            let code = canonical_code(code);
            before.is_some_and(|before| before.codes().any(|own| canonical_code(own) == code))
        };
        if order.irregular.is_empty() {
            for (column, code) in codes(row).filter(|(_, code)| !had(code)) {
                problems.extend(irregular(number, column, code));
            }
        } else if agency.codes().any(|code| !had(code) && is_irregular(code)) {
            agency.irregular = order.irregular.as_str().into();
        }
        if list.columns.has(Column::Parent) {
            agency.parent = match row.parent.as_str() {
                "" => None,
                code => {
                    let parent = resolve(code);
                    if parent.is_none() {
                        problems.push(unknown(number, Column::Parent, code));
                    }
                    parent
                }
            };
        }
        match agency.parent {
            Some(parent) => parents.insert(*id, parent),
            None => parents.remove(id),
        };
        if !row.successors.is_empty() {
            let mut successors = Vec::new();
            for code in &row.successors {
                match resolve(code) {
                    Some(successor) => successors.push(successor),
                    None => problems.push(unknown(number, Column::Successors, code)),
                }
            }
            agency.successors = successors.into();
        }
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
    if !problems.is_empty() {
        return (Vec::new(), imported);
    }
    match draft.finish() {
        Ok((facts, _, after)) => {
            let most = match order.differences {
                0 => USUAL_DIFFERENCES,
                most => most,
            };
            let told = ids.iter().filter_map(|id| difference(&then, &after, *id));
            imported.differences = told.take(most).collect();
            (facts, imported)
        }
        Err(refusal) => {
            // What is wrong with the whole names the agencies, not rows.
            let details = refusal.details.into_iter();
            let told =
                details.map(|detail| problem(0, &detail.path, detail.message, detail.message_en));
            problems.extend(told);
            (Vec::new(), imported)
        }
    }
}

/// Which row each code of today stands in, and what is wrong with the rows by themselves.
fn rows_by_code(list: &List, problems: &mut Vec<ImportProblem>) -> HashMap<String, usize> {
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
    in_list
}

/// Which agency each row is: known by a code of today, else by one of former times, or new.
fn identities(
    registry: &Registry,
    list: &List,
    problems: &mut Vec<ImportProblem>,
) -> Vec<AgencyId> {
    let mut next = registry.next_agency().0;
    let mut ids = Vec::with_capacity(list.rows.len());
    for row in &list.rows {
        let mut known = codes(&row.entry).filter_map(|(_, code)| registry.resolve(code));
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
        let former = || row.entry.codes().find_map(|code| registry.resolve(code));
        ids.push(first.or_else(former).unwrap_or_else(|| {
            let id = AgencyId(next);
            next += 1;
            id
        }));
    }
    ids
}

fn unknown(row: u32, column: Column, code: &str) -> ImportProblem {
    let (vi, en) = match column {
        Column::Parent => ("Mã cơ quan cấp trên", "The parent"),
        _ => ("Mã cơ quan kế thừa", "The successor"),
    };
    problem(
        row,
        column.id(),
        format!("{vi} {code:?} không có trong tệp cũng như trong danh mục."),
        format!("{en} {code:?} is neither in the file nor registered."),
    )
}

fn is_irregular(code: &str) -> bool {
    matches!(AgencyCode::new(code).form(), Form::Irregular(_))
}

/// That a code follows no form, with the rule it breaks.
fn irregular(row: u32, column: &str, code: &str) -> Option<ImportProblem> {
    let Form::Irregular(rule) = AgencyCode::new(code).form() else {
        return None;
    };
    let rule_vi = rule.text_vi();
    Some(problem(
        row,
        column,
        format!(
            "Mã {code:?} không theo mẫu nào: {rule_vi}. Nếu đúng là mã đang dùng, nhập với --irregular LÝ-DO."
        ),
        format!(
            "The code {code:?} follows no form: {rule}. If it is in use all the same, import with --irregular WHY."
        ),
    ))
}

/// Takes over the codes of a row: one that it does not tell stays; those that it replaces are
/// kept if the list says so.
fn recode(agency: &mut Agency, row: &Entry) {
    // A list with one column of codes may name an agency by either: that recodes nothing.
    let same = |a: &str, b: &str| canonical_code(a) == canonical_code(b);
    if !row.code.is_empty() && !same(&row.code, &agency.code_2020) {
        agency.code = row.code.as_str().into();
    }
    if !row.code_2020.is_empty() && !same(&row.code_2020, &agency.code) {
        agency.code_2020 = row.code_2020.as_str().into();
    }
    if agency.code.is_empty() {
        agency.code = std::mem::take(&mut agency.code_2020);
    }
    // Codes of former times are only ever added by a list.
    let mut others = agency.other_codes.to_vec();
    for code in &row.other_codes {
        let known = agency
            .codes()
            .chain(others.iter().map(|code| &**code))
            .any(|own| canonical_code(own) == canonical_code(code));
        if !known {
            others.push(code.as_str().into());
        }
    }
    if others.len() != agency.other_codes.len() {
        agency.other_codes = others.into();
    }
}

/// Takes over what describes an agency, as far as the list has a column for it.
fn describe(agency: &mut Agency, row: &Entry, columns: Columns) {
    for (column, field, told) in [
        (Column::Kind, &mut agency.kind, &row.kind),
        (Column::Level, &mut agency.level, &row.level),
        (Column::Contact, &mut agency.contact, &row.contact),
        (Column::Centre, &mut agency.centre, &row.centre),
    ] {
        if columns.has(column) && **field != **told {
            *field = told.as_str().into();
        }
    }
    if let Some(state) = row.state {
        agency.state = state_of(state);
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

    fn planned(registry: &Registry, csv: &str) -> (Vec<Fact>, Imported) {
        let list = read(csv.as_bytes(), "").unwrap();
        plan(
            registry,
            &list,
            Actor::default(),
            Ms(1),
            &ImportOrder::default(),
        )
    }

    fn taken(registry: &mut Registry, csv: &str) -> Imported {
        let (facts, imported) = planned(registry, csv);
        assert_eq!(imported.problems, []);
        facts.iter().for_each(|fact| registry.apply(fact));
        imported
    }

    #[test]
    fn a_list_is_taken_over_and_the_same_list_changes_nothing() {
        let csv = "\u{feff}code,code_2020,name,parent\n000.00.01.H99,H99.01,Sở Nội vụ,000.00.00.H99\n000.00.00.H99,H99,UBND tỉnh,\n";
        let mut registry = Registry::default();
        assert_eq!(taken(&mut registry, csv).added, 2);
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
        let [told] = &imported.differences[..] else {
            panic!("{imported:?}");
        };
        assert_eq!((told.what, told.fields[0].0), ("changed", "name"));
    }

    #[test]
    fn an_agency_is_closed_with_its_successors_and_stays_so() {
        let csv = "code,code_2020,name,parent,state,successors\nH99.1,,Một,,closed,H99.2 H99.3\nH99.2,,Hai,,,\nH99.3,,Ba,,suspended,\n";
        let mut registry = Registry::default();
        taken(&mut registry, csv);
        let of = |registry: &Registry, code: &str| {
            let id = registry.resolve(code).unwrap();
            (id, registry.agency(id).unwrap().clone())
        };
        let (_, first) = of(&registry, "H99.1");
        assert_eq!(first.state(), AgencyState::Closed);
        let successors = ["H99.2", "H99.3"].map(|code| of(&registry, code).0);
        assert_eq!(*first.successors, successors);
        assert_eq!(of(&registry, "H99.3").1.state(), AgencyState::Suspended);
        // A list without these columns leaves them as they are.
        let (facts, imported) = planned(&registry, "code,code_2020,name,parent\nH99.1,,Một,\n");
        assert_eq!((facts.len(), imported.unchanged), (0, 1));
        let (_, imported) = planned(
            &registry,
            &csv.replace("closed,H99.2 H99.3", "closed,H99.9"),
        );
        let told: Vec<_> = imported
            .problems
            .iter()
            .map(|p| (p.row, p.column.as_str()))
            .collect();
        assert_eq!(told, [(2, "successors")]);
    }

    #[test]
    fn one_column_of_codes_may_name_an_agency_by_either_code() {
        let mut registry = Registry::default();
        let both = "code,code_2020,name\n000.00.01.H99,H99.1,Sở Nội vụ\n,H99.2,Sở Y tế\n";
        taken(&mut registry, both);
        for list in [
            "Mã định danh,Tên\nH99.1,Sở Nội vụ\nH99.2,Sở Y tế\n",
            "code,name\nH99.1,Sở Nội vụ\nH99.2,Sở Y tế\n",
            "Mã định danh,Tên\n000.00.01.H99,Sở Nội vụ\nH99.2,Sở Y tế\n",
        ] {
            assert_eq!(taken(&mut registry, list).unchanged, 2, "{list}");
        }
    }

    #[test]
    fn a_row_is_known_by_a_code_of_former_times() {
        let mut registry = Registry::default();
        taken(&mut registry, "code,name\n000.01.02.H98,Chi cục\n");
        let id = registry.resolve("000.01.02.H98").unwrap();
        let imported = taken(
            &mut registry,
            "code,name,other_codes\n000.41.02.H99,Chi cục,000.01.02.H98\n",
        );
        assert_eq!((imported.added, imported.changed), (0, 1));
        assert_eq!(registry.resolve("000.41.02.H99"), Some(id));
        assert_eq!(registry.resolve("000.01.02.H98"), Some(id));
    }

    #[test]
    fn problems_name_row_and_column() {
        let csv = "code,code_2020,name,parent\nH99.1,H99.7,Một,\nH99.1,,Hai,\n,,Ba,\nH99.4,,,H99.9\nH99.5,,Năm,H99.6\nH99.6,,Sáu,H99.5\n28.22.H17,,Bảy,\n";
        let (facts, imported) = planned(&Registry::default(), csv);
        assert!(facts.is_empty());
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
            (8, "code"),
        ] {
            assert!(told.contains(&expected), "{expected:?} not in {told:?}");
        }
        let wrong = read(b"code,name,state\nH99.1,A,shut\n", "").unwrap_err();
        assert_eq!(
            (wrong[0].cell.as_str(), wrong[0].column.as_str()),
            ("C2", "state")
        );
    }

    #[test]
    fn a_code_that_follows_no_form_is_taken_with_a_reason() {
        let list = read("code,name\n28.22.H17,Đội\n".as_bytes(), "").unwrap();
        let order = ImportOrder {
            irregular: "mã đang dùng".to_owned(),
            ..ImportOrder::default()
        };
        let registry = Registry::default();
        let (facts, imported) = plan(&registry, &list, Actor::default(), Ms(1), &order);
        assert_eq!((facts.len(), imported.added), (1, 1), "{imported:?}");
    }

    #[test]
    fn closing_one_with_agencies_under_it_needs_them_in_the_list() {
        let mut registry = Registry::default();
        let csv = "code,name,parent\nH99.1,Một,\nH99.1.1,Chi cục,H99.1\nH99.2,Hai,\n";
        taken(&mut registry, csv);
        let (facts, imported) = planned(
            &registry,
            "code,name,state,successors\nH99.1,Một,closed,H99.2\n",
        );
        assert!(
            facts.is_empty() && imported.problems.len() == 1,
            "{imported:?}"
        );
        let whole =
            "code,name,parent,state,successors\nH99.1,Một,,closed,H99.2\nH99.1.1,Chi cục,H99.2,,\n";
        assert_eq!(taken(&mut registry, whole).changed, 2);
    }
}
