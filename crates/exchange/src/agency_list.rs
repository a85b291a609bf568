//! A list of agencies: reading it, and what it would change. One list is one act, checked as a
//! whole like any other act of a registrar; its rows may be true from different moments on.

use std::collections::HashMap;

use edxml::identifier::{AgencyCode, Form};
use ledger::Fact;
use ledger::event::{Actor, AgencyOperation, AgencyState};
use ledger::id::AgencyId;
use ledger::registry::{Agency, Registry, canonical_code};
use ledger::time::Ms;
use lists::{Column, Columns, Entry, Format, List, Row, State};

use crate::closing::end_deliveries;
use crate::draft::{Draft, difference};
use crate::refusal::Detail;
use crate::types::{ImportOrder, ImportProblem, Imported};

/// Differences told of one list when nothing is said.
const USUAL_DIFFERENCES: usize = 1_000;

/// Reads a list in the format it is said to have, or in any; of a workbook the sheet with this
/// name, or the first one with a heading.
pub(crate) fn read(
    bytes: &[u8],
    format: Option<Format>,
    sheet: &str,
) -> Result<List, Vec<ImportProblem>> {
    lists::read_as(bytes, format, sheet).map_err(|problems| {
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
fn codes(entry: &Entry) -> impl Iterator<Item = (Column, &str)> {
    [
        (Column::Code, entry.code.as_str()),
        (Column::Code2020, entry.code_2020.as_str()),
    ]
    .into_iter()
    .filter(|(_, code)| !code.is_empty())
}

/// What a list would change, and what is wrong with it. A row may name its own moment and
/// decision; else the order's count. `open` counts an agency's open deliveries.
pub(crate) fn plan(
    registry: &Registry,
    list: &List,
    actor: Actor,
    now: Ms,
    order: &ImportOrder,
    open: impl Fn(AgencyId) -> usize,
) -> (Vec<Fact>, Imported) {
    let usual = order.effective.unwrap_or(now);
    let mut imported = Imported::default();
    let mut problems = Problems {
        list,
        found: Vec::new(),
    };
    let moments: Vec<Ms> = list
        .rows
        .iter()
        .map(|row| problems.moment(row, usual))
        .collect();
    let in_list = rows_by_code(list, &mut problems);
    let ids = identities(registry, list, &moments, &mut problems);
    let mut turns: Vec<usize> = (0..list.rows.len()).collect();
    // What is true first comes first; of one moment, in the order of the list.
    turns.sort_by_key(|at| moments[*at]);
    let mut draft = Draft::new(registry, actor, now, usual, &order.decision);
    let mut closed: Vec<usize> = Vec::new();
    for at in turns {
        let (row, id, moment) = (&list.rows[at], ids[at], moments[at]);
        let decision = match row.entry.decision.as_str() {
            "" => &order.decision,
            own => own,
        };
        draft.order(moment, decision);
        let then = draft.registry();
        let resolve = |code: &str| {
            let in_list = in_list.get(&canonical_code(code)).map(|at| ids[*at]);
            in_list.or_else(|| then.resolve(code))
        };
        let before = then.agency(id);
        let agency = agency_of(row, before, list.columns, order, &resolve, &mut problems);
        if before == Some(&agency) {
            imported.unchanged += 1;
            continue;
        }
        if before.is_some() {
            imported.changed += 1;
        } else {
            imported.added += 1;
        }
        let was_open = before.is_some_and(|before| before.state != AgencyState::Closed);
        if was_open && agency.state == AgencyState::Closed {
            closed.push(at);
        }
        draft.put(id, agency, AgencyOperation::Import);
    }
    // With the successors in their places: their systems may take over what waits.
    for at in closed {
        let (row, id) = (&list.rows[at], ids[at]);
        draft.order(moments[at], &order.decision);
        let successors = draft
            .registry()
            .agency(id)
            .map(|agency| agency.successors.to_vec());
        let successors = successors.unwrap_or_default();
        if let Err(waiting) = end_deliveries(&mut draft, id, &successors, order.deliveries, &open) {
            let (_, vi, en) = waiting.told(row.entry.main_code(), &draft);
            problems.add(row.number, Column::State, vi, en);
        }
    }
    let before = registry.clone();
    match draft.checked() {
        Ok((facts, _, after)) if problems.found.is_empty() => {
            let most = match order.differences {
                0 => USUAL_DIFFERENCES,
                most => most,
            };
            let told = ids.iter().zip(&moments).filter_map(|(id, moment)| {
                difference(&before.as_of(*moment), &after.as_of(*moment), *id)
            });
            imported.differences = told.take(most).collect();
            (facts, imported)
        }
        Ok(_) => {
            imported.problems = problems.found;
            (Vec::new(), imported)
        }
        Err(faults) => {
            let row_of: HashMap<AgencyId, u32> = ids
                .iter()
                .copied()
                .zip(list.rows.iter().map(|row| row.number))
                .collect();
            for fault in faults {
                let row = fault.agency.and_then(|id| row_of.get(&id).copied());
                problems.add_fault(row.unwrap_or(0), fault.detail);
            }
            problems.found.sort_by_key(|problem| problem.row);
            imported.problems = problems.found;
            (Vec::new(), imported)
        }
    }
}

/// What is wrong with a list.
struct Problems<'l> {
    list: &'l List,
    found: Vec<ImportProblem>,
}

impl Problems<'_> {
    fn add(&mut self, row: u32, column: Column, vi: impl Into<String>, en: impl Into<String>) {
        self.found.push(ImportProblem {
            row,
            column: column.id().to_owned(),
            cell: self.list.cell(row, column),
            message: vi.into(),
            message_en: en.into(),
        });
    }

    /// What is wrong with the whole, where the row has not been complained of already.
    fn add_fault(&mut self, row: u32, fault: Detail) {
        let column = match fault.path.as_str() {
            "parent" => Column::Parent,
            "children" => Column::State,
            "successors" => Column::Successors,
            _ => Column::Code,
        };
        let told = |one: &ImportProblem| one.row == row && one.column == column.id();
        if row == 0 || !self.found.iter().any(told) {
            self.add(row, column, fault.message, fault.message_en);
        }
    }

    /// From when a row holds.
    fn moment(&mut self, row: &Row, usual: Ms) -> Ms {
        let Some(day) = row.entry.effective else {
            return usual;
        };
        // 00:00 of it in Vietnam.
        Ms::parse(&day.to_string()).unwrap_or_else(|_| {
            self.add(
                row.number,
                Column::Effective,
                format!("Ngày {day} không dùng được."),
                format!("The day {day} cannot be used."),
            );
            usual
        })
    }
}

/// An agency as a row tells it.
fn agency_of(
    row: &Row,
    before: Option<&Agency>,
    columns: Columns,
    order: &ImportOrder,
    resolve: &impl Fn(&str) -> Option<AgencyId>,
    problems: &mut Problems<'_>,
) -> Agency {
    let (number, row) = (row.number, &row.entry);
    let mut agency = before.cloned().unwrap_or_else(|| Agency {
        state: AgencyState::Active,
        ..Agency::default()
    });
    recode(&mut agency, row);
    agency.name = row.name.as_str().into();
    describe(&mut agency, row, columns);
    let had = |code: &str| {
        let code = canonical_code(code);
        before.is_some_and(|before| before.codes().any(|own| canonical_code(own) == code))
    };
    if order.irregular.is_empty() {
        for (column, code) in codes(row).filter(|(_, code)| !had(code)) {
            irregular(number, column, code, problems);
        }
    } else if agency.codes().any(|code| !had(code) && is_irregular(code)) {
        agency.irregular = order.irregular.as_str().into();
    }
    if columns.has(Column::Parent) {
        agency.parent = match row.parent.as_str() {
            "" => None,
            code => {
                let parent = resolve(code);
                if parent.is_none() {
                    unknown(number, Column::Parent, code, problems);
                }
                parent
            }
        };
    }
    if !row.successors.is_empty() {
        let mut successors = Vec::new();
        for code in &row.successors {
            match resolve(code) {
                Some(successor) => successors.push(successor),
                None => unknown(number, Column::Successors, code, problems),
            }
        }
        agency.successors = successors.into();
    }
    if agency.forwards_to_successor
        && agency.state == AgencyState::Closed
        && agency.successors.len() != 1
    {
        problems.add(
            number,
            Column::Forward,
            "Chuyển tiếp cần đúng một cơ quan kế thừa.",
            "Forwarding needs exactly one successor.",
        );
    }
    agency
}

/// Which row each code of today stands in, and what is wrong with the rows by themselves.
fn rows_by_code(list: &List, problems: &mut Problems<'_>) -> HashMap<String, usize> {
    let mut in_list: HashMap<String, usize> = HashMap::new();
    for (at, row) in list.rows.iter().enumerate() {
        if codes(&row.entry).next().is_none() {
            problems.add(
                row.number,
                Column::Code,
                "Thiếu mã cơ quan.",
                "The agency's code is missing.",
            );
        }
        if row.entry.name.is_empty() {
            problems.add(
                row.number,
                Column::Name,
                "Thiếu tên cơ quan.",
                "The agency's name is missing.",
            );
        }
        for (column, code) in codes(&row.entry) {
            if let Some(other) = in_list.insert(canonical_code(code), at)
                && other != at
            {
                let first = list.rows[other].number;
                problems.add(
                    row.number,
                    column,
                    format!("Mã {code} đã có ở dòng {first}."),
                    format!("The code {code} stands in row {first} already."),
                );
            }
        }
    }
    in_list
}

/// Which agency each row is at its moment: known by a code of that day, else by one of former
/// times, or new.
fn identities(
    registry: &Registry,
    list: &List,
    moments: &[Ms],
    problems: &mut Problems<'_>,
) -> Vec<AgencyId> {
    let mut next = registry.next_agency().0;
    let mut ids = Vec::with_capacity(list.rows.len());
    for (row, moment) in list.rows.iter().zip(moments) {
        let registry = registry.as_of(*moment);
        let mut known = codes(&row.entry).filter_map(|(_, code)| registry.resolve(code));
        let first = known.next();
        if let (Some(first), Some(second)) = (first, known.next())
            && first != second
        {
            problems.add(
                row.number,
                Column::Code2020,
                "Hai mã của dòng này đang thuộc hai cơ quan khác nhau.",
                "The two codes of this row belong to two different agencies.",
            );
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

fn unknown(row: u32, column: Column, code: &str, problems: &mut Problems<'_>) {
    let (vi, en) = match column {
        Column::Parent => ("Mã cơ quan cấp trên", "The parent"),
        _ => ("Mã cơ quan kế thừa", "The successor"),
    };
    problems.add(
        row,
        column,
        format!("{vi} {code:?} không có trong tệp cũng như trong danh mục."),
        format!("{en} {code:?} is neither in the file nor registered."),
    );
}

fn is_irregular(code: &str) -> bool {
    matches!(AgencyCode::new(code).form(), Form::Irregular(_))
}

/// Tells of a code that follows no form which rule it breaks.
fn irregular(row: u32, column: Column, code: &str, problems: &mut Problems<'_>) {
    let Form::Irregular(rule) = AgencyCode::new(code).form() else {
        return;
    };
    let rule_vi = rule.text_vi();
    problems.add(
        row,
        column,
        format!(
            "Mã {code:?} không theo mẫu nào: {rule_vi}. Nếu đúng là mã đang dùng, nhập với --irregular --why LÝ-DO."
        ),
        format!(
            "The code {code:?} follows no form: {rule}. If it is in use all the same, import with --irregular --why WHY."
        ),
    );
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
    if let Some(forward) = row.forward {
        agency.forwards_to_successor = forward;
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
    use crate::closing::OpenDeliveries;

    fn planned(registry: &Registry, csv: &str) -> (Vec<Fact>, Imported) {
        let list = read(csv.as_bytes(), None, "").unwrap();
        plan(
            registry,
            &list,
            Actor::default(),
            Ms(1),
            &ImportOrder::default(),
            |_| 0,
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
        let wrong = read(b"code,name,state\nH99.1,A,shut\n", None, "").unwrap_err();
        assert_eq!(
            (wrong[0].cell.as_str(), wrong[0].column.as_str()),
            ("C2", "state")
        );
    }

    #[test]
    fn a_code_that_follows_no_form_is_taken_with_a_reason() {
        let list = read("code,name\n28.22.H17,Đội\n".as_bytes(), None, "").unwrap();
        let order = ImportOrder {
            irregular: "mã đang dùng".to_owned(),
            ..ImportOrder::default()
        };
        let registry = Registry::default();
        let (facts, imported) = plan(&registry, &list, Actor::default(), Ms(1), &order, |_| 0);
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

    #[test]
    fn a_row_may_have_its_own_moment_and_decision() {
        let mut registry = Registry::default();
        let csv = "code,name,parent,effective,decision\n\
            H99.2,Sở Hai,H99.1,2025-07-01,2/QĐ\nH99.1,Sở Một,,01/01/2024,\nH99.3,Sở Ba,,,\n";
        taken(&mut registry, csv);
        let at = |text: &str| registry.as_of(Ms::parse(text).unwrap());
        let known = |registry: &Registry, code: &str| registry.resolve(code).is_some();
        assert!(!known(&at("2023-12-31T23:59:59+07:00"), "H99.1"));
        assert!(known(&at("2024-01-01"), "H99.1") && !known(&at("2024-01-01"), "H99.2"));
        let (day, before) = (at("2025-07-01"), at("2025-06-30T23:59:59+07:00"));
        assert!(known(&day, "H99.2") && !known(&before, "H99.2"));
        let version = day.version_of(day.resolve("H99.2").unwrap()).unwrap();
        assert_eq!(&*version.stamp.decision, "2/QĐ");
        // Under one that is not there yet, and the row is named.
        let early =
            "code,name,parent,effective\nH99.5,Năm,H99.4,2024-01-01\nH99.4,Bốn,,2025-01-01\n";
        let (_, imported) = planned(&registry, early);
        let told: Vec<_> = imported
            .problems
            .iter()
            .map(|p| (p.row, p.cell.as_str()))
            .collect();
        assert_eq!(told, [(2, "C2")], "{imported:?}");
    }

    #[test]
    fn what_is_wrong_with_the_whole_names_the_row() {
        let mut registry = Registry::default();
        taken(
            &mut registry,
            "code,name,parent\nH99.1,Một,\nH99.1.1,Chi cục,H99.1\n",
        );
        // The old code of one is another's main code.
        let (_, imported) = planned(&registry, "code,name,other_codes\nH99.7,Mới,H99.1\n");
        assert_eq!(
            imported.problems,
            [],
            "known by a code of former times: it is renamed"
        );
        let (_, imported) = planned(
            &registry,
            "code,code_2020,name,other_codes\nH99.8,,Tám,\nH99.9,,Chín,H99.8\n",
        );
        let told: Vec<_> = imported
            .problems
            .iter()
            .map(|p| (p.row, p.column.as_str()))
            .collect();
        assert!(told.contains(&(3, "code")), "{imported:?}");
    }

    #[test]
    fn closing_one_with_open_deliveries_needs_a_word_on_them() {
        let mut registry = Registry::default();
        taken(&mut registry, "code,name\nH99.1,Một\nH99.2,Hai\n");
        let list = "code,name,state,successors\nH99.1,Một,closed,H99.2\n";
        let list = read(list.as_bytes(), None, "").unwrap();
        let with = |deliveries| {
            let order = ImportOrder {
                deliveries,
                ..ImportOrder::default()
            };
            plan(&registry, &list, Actor::default(), Ms(1), &order, |_| 3)
                .1
                .problems
        };
        let unsaid = with(OpenDeliveries::Unsaid);
        assert_eq!((unsaid[0].row, unsaid[0].cell.as_str()), (2, "C2"));
        assert!(unsaid[0].message.contains("còn 3 bản gửi"), "{unsaid:?}");
        assert_eq!(with(OpenDeliveries::Stay), []);
        // The successor is served by no system.
        assert_eq!(with(OpenDeliveries::Move).len(), 1);
    }

    /// Of a long list only those are looked at again that a later moment may concern.
    #[test]
    fn a_long_list_is_held_against_what_is_planned() {
        let mut registry = Registry::default();
        taken(
            &mut registry,
            "code,name,effective\nH99.500,Sau này,2099-01-01\n",
        );
        taken(&mut registry, "code,name\nH99.600,Cấp trên\n");
        let closing = "code,name,state,effective\nH99.600,Cấp trên,closed,2098-01-01\n";
        taken(&mut registry, closing);
        let mut list = String::from("code,name,parent\n");
        for at in 0..100 {
            list.push_str(&format!("H99.7.{at},Đơn vị {at},\n"));
        }
        let (facts, _) = planned(&registry, &list);
        assert_eq!(facts.len(), 1);
        list.push_str("H99.500,Bây giờ,\nH99.601,Cấp dưới,H99.600\n");
        let (_, imported) = planned(&registry, &list);
        let told: Vec<_> = imported
            .problems
            .iter()
            .map(|p| (p.row, p.column.as_str(), p.message.contains("209")))
            .collect();
        assert_eq!(told, [(102, "code", true), (103, "parent", true)]);
    }
}
