//! The tree of agencies, drawn.

use std::collections::{BTreeMap, BTreeSet};

use crate::output::{Paint, Tone};
use crate::shape::Agency;

use super::told::state_vi;

/// Agencies under their parents, in the order in which they came.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    tops: Vec<&'a Agency>,
    under: BTreeMap<&'a str, Vec<&'a Agency>>,
}

impl<'a> Tree<'a> {
    /// `root` alone with what lies under it, or all. Who names a parent that is not among them
    /// stands at the top.
    pub(super) fn new(agencies: &'a [Agency], root: Option<&str>) -> Self {
        let known: BTreeSet<&str> = agencies.iter().map(|agency| agency.code.as_str()).collect();
        let mut tree = Self {
            tops: Vec::new(),
            under: BTreeMap::new(),
        };
        for agency in agencies {
            let parent = agency.parent.as_deref();
            match parent.filter(|parent| known.contains(parent)) {
                Some(parent) if root != Some(agency.code.as_str()) => {
                    tree.under.entry(parent).or_default().push(agency);
                }
                _ if root.is_none_or(|root| root == agency.code) => tree.tops.push(agency),
                _ => {}
            }
        }
        tree
    }

    fn under(&self, agency: &Agency) -> &[&'a Agency] {
        self.under
            .get(agency.code.as_str())
            .map_or(&[], Vec::as_slice)
    }

    /// The agencies that are drawn: each before those under it.
    pub(super) fn within(&self, depth: usize) -> Vec<&'a Agency> {
        let mut found = Vec::new();
        let mut next: Vec<_> = self.tops.iter().rev().map(|top| (*top, 0)).collect();
        while let Some((agency, level)) = next.pop() {
            found.push(agency);
            if level < depth {
                let children = self.under(agency).iter().rev();
                next.extend(children.map(|child| (*child, level + 1)));
            }
        }
        found
    }

    /// Draws it, so many levels deep under the tops.
    pub(super) fn draw(&self, depth: usize, paint: Paint) -> String {
        let mut lines = Vec::new();
        for top in &self.tops {
            lines.push(line(top, paint));
            self.branch(top, "", depth, paint, &mut lines);
        }
        lines.join("\n")
    }

    fn branch(
        &self,
        of: &Agency,
        indent: &str,
        depth: usize,
        paint: Paint,
        lines: &mut Vec<String>,
    ) {
        let children = self.under(of);
        if depth == 0 && !children.is_empty() {
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
            let indent = format!("{indent}{below}");
            self.branch(child, &indent, depth - 1, paint, lines);
        }
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
        insta::assert_snapshot!(Tree::new(&agencies, None).draw(9, PLAIN), @r"
        UBND tỉnh Lâm Hải  H99
        ├─ Sở Nội vụ  H99.1
        │  └─ Chi cục Văn thư  H99.1.1  [tạm dừng]
        └─ Sở Cũ  H99.2  [đã đóng] → H99.1
        Của nơi khác  H77.3
        ");
        insta::assert_snapshot!(Tree::new(&agencies, Some("H99.1")).draw(9, PLAIN), @r"
        Sở Nội vụ  H99.1
        └─ Chi cục Văn thư  H99.1.1  [tạm dừng]
        ");
        insta::assert_snapshot!(Tree::new(&agencies, None).draw(0, PLAIN), @r"
        UBND tỉnh Lâm Hải  H99
        └─ … 2 cơ quan
        Của nơi khác  H77.3
        ");
        let codes = |root, depth| -> Vec<&str> {
            let tree = Tree::new(&agencies, root);
            tree.within(depth)
                .iter()
                .map(|agency| agency.code.as_str())
                .collect()
        };
        assert_eq!(codes(Some("H99"), 1), ["H99", "H99.1", "H99.2"]);
        assert_eq!(
            codes(None, 9),
            ["H99", "H99.1", "H99.1.1", "H99.2", "H77.3"]
        );
    }
}
