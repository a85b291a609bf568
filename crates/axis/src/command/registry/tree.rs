//! The tree of agencies, drawn.

use std::collections::{BTreeMap, BTreeSet};

use crate::output::{Paint, Tone};
use crate::shape::Agency;

use super::told::state_vi;

/// Draws agencies under their parents, in the order in which they came; `root` alone with what
/// lies under it, or all. Who names a parent that is not among them stands at the top.
pub(super) fn draw(agencies: &[Agency], root: Option<&str>, depth: usize, paint: Paint) -> String {
    let known: BTreeSet<&str> = agencies.iter().map(|agency| agency.code.as_str()).collect();
    let mut under: BTreeMap<&str, Vec<&Agency>> = BTreeMap::new();
    let mut tops = Vec::new();
    for agency in agencies {
        match agency
            .parent
            .as_deref()
            .filter(|parent| known.contains(parent))
        {
            Some(parent) if root != Some(agency.code.as_str()) => {
                under.entry(parent).or_default().push(agency);
            }
            _ if root.is_none_or(|root| root == agency.code) => tops.push(agency),
            _ => {}
        }
    }
    let mut lines = Vec::new();
    for top in tops {
        lines.push(line(top, paint));
        branch(top, &under, "", depth, paint, &mut lines);
    }
    lines.join("\n")
}

fn branch(
    of: &Agency,
    under: &BTreeMap<&str, Vec<&Agency>>,
    indent: &str,
    depth: usize,
    paint: Paint,
    lines: &mut Vec<String>,
) {
    let Some(children) = under.get(of.code.as_str()) else {
        return;
    };
    if depth == 0 {
        lines.push(format!("{indent}└─ … {} cơ quan", children.len()));
        return;
    }
    for (at, child) in children.iter().enumerate() {
        let (turn, below) = if at + 1 == children.len() {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        lines.push(format!("{indent}{turn}{}", line(child, paint)));
        branch(
            child,
            under,
            &format!("{indent}{below}"),
            depth - 1,
            paint,
            lines,
        );
    }
}

fn line(agency: &Agency, paint: Paint) -> String {
    let codes = match &agency.code_2020 {
        Some(new) => format!("{} · {new}", agency.code),
        None => agency.code.clone(),
    };
    let mut line = format!("{}  {}", agency.name, paint.tone(Tone::Faint, codes));
    if agency.state != "active" {
        line += &format!("  [{}]", paint.tone(Tone::Bad, state_vi(&agency.state)));
    }
    if !agency.successors.is_empty() {
        line += &format!(" → {}", agency.successors.join(", "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PLAIN;

    fn agency(code: &str, name: &str, parent: Option<&str>, state: &str) -> Agency {
        let record = api::v1::AgencyRecord {
            code: code.to_owned(),
            name: name.to_owned(),
            parent: parent.unwrap_or_default().to_owned(),
            state: state.to_owned(),
            ..api::v1::AgencyRecord::default()
        };
        Agency::from(&record)
    }

    #[test]
    fn a_tree_is_drawn_with_what_is_not_in_service_marked() {
        let mut merged = agency("H99.2", "Sở Cũ", Some("H99"), "closed");
        merged.successors = vec!["H99.1".to_owned()];
        let agencies = [
            agency("H99", "UBND tỉnh Lâm Hải", None, "active"),
            agency("H99.1", "Sở Nội vụ", Some("H99"), "active"),
            agency("H99.1.1", "Chi cục Văn thư", Some("H99.1"), "suspended"),
            merged,
            agency("H77.3", "Của nơi khác", Some("H77"), "active"),
        ];
        insta::assert_snapshot!(draw(&agencies, None, 9, PLAIN), @r"
        UBND tỉnh Lâm Hải  H99
        ├─ Sở Nội vụ  H99.1
        │  └─ Chi cục Văn thư  H99.1.1  [tạm dừng]
        └─ Sở Cũ  H99.2  [đã đóng] → H99.1
        Của nơi khác  H77.3
        ");
        insta::assert_snapshot!(draw(&agencies, Some("H99.1"), 9, PLAIN), @r"
        Sở Nội vụ  H99.1
        └─ Chi cục Văn thư  H99.1.1  [tạm dừng]
        ");
        insta::assert_snapshot!(draw(&agencies, None, 0, PLAIN), @r"
        UBND tỉnh Lâm Hải  H99
        └─ … 2 cơ quan
        Của nơi khác  H77.3
        ");
    }
}
