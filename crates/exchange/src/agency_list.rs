//! A list of agencies as CSV: reading it, and what it would change.

use std::collections::HashMap;

use ledger::Fact;
use ledger::event::AgencyState;
use ledger::id::AgencyId;
use ledger::registry::{Registry, canonical_code};
use ledger::time::Ms;

use crate::service::Operator;
use crate::types::{ImportProblem, Imported};

/// Rows of one list.
const MAX_ROWS: usize = 200_000;
/// The longest name: OrganName's limit is 200 characters; longer ones are met.
const MAX_NAME: usize = 500;

/// One row of a list.
#[derive(Debug)]
pub(crate) struct ListRow {
    number: u32,
    code: String,
    code_2020: String,
    name: String,
    parent: String,
    /// `active`, `suspended` or `closed`; empty keeps what is known.
    state: String,
    /// Codes of those that take over from a closed agency; empty keeps what is known.
    successors: Vec<String>,
}

impl ListRow {
    fn codes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("code", self.code.as_str()),
            ("code_2020", self.code_2020.as_str()),
        ]
        .into_iter()
        .filter(|(_, code)| !code.is_empty())
    }
}

fn problem(row: u32, column: &str, vi: impl Into<String>, en: impl Into<String>) -> ImportProblem {
    ImportProblem {
        row,
        column: column.to_owned(),
        message: vi.into(),
        message_en: en.into(),
    }
}

pub(crate) fn rows(csv: &[u8]) -> Result<Vec<ListRow>, Vec<ImportProblem>> {
    let text = csv.strip_prefix("\u{feff}".as_bytes()).unwrap_or(csv);
    if std::str::from_utf8(text).is_err() {
        return Err(vec![problem(
            1,
            "",
            "Tệp không phải UTF-8; lưu lại dạng CSV UTF-8 rồi nhập lại.",
            "The file is not UTF-8; save it as CSV UTF-8 and import again.",
        )]);
    }
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text);
    let headings = match reader.headers() {
        Ok(headings) => headings.clone(),
        Err(error) => {
            return Err(vec![problem(
                1,
                "",
                format!("Không đọc được dòng tiêu đề: {error}."),
                format!("The header cannot be read: {error}."),
            )]);
        }
    };
    let column = |name: &str| {
        headings
            .iter()
            .position(|heading| heading.eq_ignore_ascii_case(name))
    };
    let mut problems = Vec::new();
    let mut found = HashMap::new();
    for name in ["code", "code_2020", "name", "parent"] {
        match column(name) {
            Some(at) => {
                found.insert(name, at);
            }
            None => problems.push(problem(
                1,
                name,
                format!("Thiếu cột {name:?}; tiêu đề phải có code,code_2020,name,parent."),
                format!(
                    "The column {name:?} is missing; the header needs code,code_2020,name,parent."
                ),
            )),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // These two may be left out.
    for name in ["state", "successors"] {
        if let Some(at) = column(name) {
            found.insert(name, at);
        }
    }
    let mut rows = Vec::new();
    for (number, record) in (2..).zip(reader.records()) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(problem(
                    number,
                    "",
                    format!("Không đọc được dòng này: {error}."),
                    format!("The row cannot be read: {error}."),
                ));
                continue;
            }
        };
        let cell = |name: &str| {
            found
                .get(name)
                .and_then(|at| record.get(*at))
                .unwrap_or_default()
                .to_owned()
        };
        let row = ListRow {
            number,
            code: cell("code"),
            code_2020: cell("code_2020"),
            name: cell("name"),
            parent: cell("parent"),
            state: cell("state"),
            successors: cell("successors")
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        rows.push(row);
        if rows.len() > MAX_ROWS {
            problems.push(problem(
                number,
                "",
                format!("Quá {MAX_ROWS} dòng; chia nhỏ tệp."),
                format!("More than {MAX_ROWS} rows; split the file."),
            ));
            break;
        }
    }
    if problems.is_empty() {
        Ok(rows)
    } else {
        Err(problems)
    }
}

/// What a list would change, and what is wrong with it.
pub(crate) fn plan(
    registry: &Registry,
    rows: &[ListRow],
    operator: &Operator,
    decision: &str,
    now: Ms,
) -> (Vec<Fact>, Imported) {
    let mut imported = Imported::default();
    let problems = &mut imported.problems;
    let mut in_list: HashMap<String, usize> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        if row.codes().next().is_none() {
            problems.push(problem(
                row.number,
                "code",
                "Thiếu mã cơ quan.",
                "The agency's code is missing.",
            ));
        }
        if row.name.is_empty() {
            problems.push(problem(
                row.number,
                "name",
                "Thiếu tên cơ quan.",
                "The agency's name is missing.",
            ));
        }
        if row.name.chars().count() > MAX_NAME {
            problems.push(problem(
                row.number,
                "name",
                format!("Tên dài quá {MAX_NAME} ký tự."),
                format!("The name is longer than {MAX_NAME} characters."),
            ));
        }
        for (column, code) in row.codes() {
            if code.len() > 64 || code.chars().any(|c| c.is_whitespace() || c.is_control()) {
                problems.push(problem(
                    row.number,
                    column,
                    format!("Mã {code:?} không hợp lệ."),
                    format!("The code {code:?} is not valid."),
                ));
            }
            if let Some(other) = in_list.insert(canonical_code(code), at)
                && other != at
            {
                let first = rows[other].number;
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
    let mut ids = Vec::with_capacity(rows.len());
    for row in rows {
        let mut known = row.codes().filter_map(|(_, code)| registry.resolve(code));
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
    let parent_of = |row: &ListRow| -> Result<Option<AgencyId>, ()> {
        if row.parent.is_empty() {
            return Ok(None);
        }
        resolve(&row.parent).map(Some).ok_or(())
    };
    let mut parents: HashMap<AgencyId, AgencyId> = registry
        .agencies()
        .filter_map(|(id, agency)| agency.parent.map(|parent| (id, AgencyId(parent))))
        .collect();
    let mut facts = Vec::new();
    for (row, id) in rows.iter().zip(&ids) {
        let Ok(parent) = parent_of(row) else {
            problems.push(problem(
                row.number,
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
        match parent {
            Some(parent) => parents.insert(*id, parent),
            None => parents.remove(id),
        };
        let before = registry.agency(*id);
        let mut agency = before.cloned().unwrap_or_default();
        agency.agency = id.0;
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
        match row.state.as_str() {
            "active" => agency.state = AgencyState::Active.into(),
            "suspended" => agency.state = AgencyState::Suspended.into(),
            "closed" => agency.state = AgencyState::Closed.into(),
            "" if agency.state() == AgencyState::Unspecified => {
                agency.state = AgencyState::Active.into();
            }
            "" => {}
            other => problems.push(problem(
                row.number,
                "state",
                format!("Trạng thái {other:?} không có; ghi active, suspended hoặc closed."),
                format!("There is no state {other:?}; write active, suspended or closed."),
            )),
        }
        if !row.successors.is_empty() {
            agency.successors.clear();
        }
        for code in &row.successors {
            match resolve(code) {
                Some(successor) => agency.successors.push(successor.0),
                None => problems.push(problem(
                    row.number,
                    "successors",
                    format!(
                        "Mã cơ quan kế thừa {code:?} không có trong tệp cũng như trong danh mục."
                    ),
                    format!("The successor {code:?} is neither in the file nor registered."),
                )),
            }
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
        agency.at_ms = now.0;
        agency.effective_at_ms = now.0;
        agency.actor = Some(operator.actor(""));
        agency.decision = decision.to_owned();
        facts.push(Fact::AgencyRecorded(Box::new(agency)));
    }
    for (row, id) in rows.iter().zip(&ids) {
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
    (facts, imported)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator() -> Operator {
        Operator {
            uid: 0,
            person: "Lan".to_owned(),
        }
    }

    fn planned(registry: &Registry, csv: &str) -> (Vec<Fact>, Imported) {
        plan(
            registry,
            &rows(csv.as_bytes()).unwrap(),
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
        assert_eq!(parent, registry.resolve("000.00.00.h99").map(|id| id.0));
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
            registry.agency(id).unwrap().clone()
        };
        let first = of(&registry, "A1");
        assert_eq!(first.state(), AgencyState::Closed);
        let successors = ["A2", "A3"].map(|code| of(&registry, code).agency);
        assert_eq!(first.successors, successors);
        assert_eq!(of(&registry, "A3").state(), AgencyState::Suspended);
        // A list without these columns leaves them as they are.
        let (facts, imported) = planned(&registry, "code,code_2020,name,parent\nA1,,Một,\n");
        assert_eq!((facts.len(), imported.unchanged), (0, 1));
        let (_, imported) = planned(&registry, &csv.replace("closed,A2 A3", "shut,A9"));
        let told: Vec<_> = imported
            .problems
            .iter()
            .map(|p| (p.row, p.column.as_str()))
            .collect();
        assert_eq!(told, [(2, "state"), (2, "successors")]);
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
        assert_eq!(rows(b"ma,ten\n").unwrap_err().len(), 4);
        assert_eq!(
            rows(b"code,code_2020,name,parent\n\xff\n")
                .unwrap_err()
                .len(),
            1
        );
    }
}
