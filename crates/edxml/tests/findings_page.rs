//! docs/findings.md is made from the table of findings, and must be current.
//!
//! `AXIS_BLESS=1 cargo test -p edxml findings_page` writes it anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use edxml::{FindingCode, Level};

const HEAD: &str = "\
# What can be found in a package

Made from the table that the reader itself goes by; a test holds it current. `axis check FILE` finds
all of these and says where; the code is stable, never renamed, and never means something else.

A package is read at one of three levels, each asking all that the one before does:

* **readable**: it can be read and routed;
* **axis**: what the axis asks of a push;
* **strict**: nothing that any known receiver stumbles over.

*Refused from* is the lowest level at which the finding refuses a package. Below that it is a
warning, and a finding without a level is only worth knowing. *Section* is that of the engineering
reference of QCVN 102:2016 on which it rests. `…` stands for the value at fault.

";

const LEVELS: [(Option<Level>, &str); 4] = [
    (
        Some(Level::Readable),
        "## Refused from the level readable\n",
    ),
    (Some(Level::Axis), "## Refused from the level axis\n"),
    (Some(Level::Strict), "## Refused at the level strict only\n"),
    (None, "## Never refused\n"),
];

fn page() -> String {
    let mut page = String::from(HEAD);
    let mut told = 0;
    for (level, heading) in LEVELS {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{heading}");
        let _ = writeln!(
            page,
            "| Code | Severity | Section | What is wrong and what to do |"
        );
        let _ = writeln!(page, "|---|---|---|---|");
        let codes = FindingCode::ALL.iter();
        for code in codes.filter(|code| code.refuses_from() == level) {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {}<br>{} |",
                code.as_str(),
                code.severity().as_str(),
                code.section(),
                cell(code.text_vi()),
                cell(code.text_en())
            );
            told += 1;
        }
        page.push('\n');
    }
    assert_eq!(told, FindingCode::ALL.len());
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace("{}", "…")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('|', "\\|")
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a committed page, under version control"
)]
fn the_findings_page_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings.md");
    let page = page();
    if std::env::var_os("AXIS_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/findings.md is not what the table says; write it anew:\n    \
         AXIS_BLESS=1 cargo test -p edxml findings_page"
    );
}
