//! docs/errors.md is made from the tables that the code goes by, and must be current.
//!
//! `AXIS_BLESS=1 cargo test -p api errors_page` writes it anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use edxml::{FindingCode, Level};
use exchange::refusal::Name;

const HEAD: &str = "\
# What the axis says when it says no

Made from the tables that the axis itself goes by; a test holds it current. How these reach a
client: [the integration guide](integration.md#when-a-call-fails).

## Refusals

The name is `ErrorInfo.reason`. It is never renamed and never means something else; new ones may
come, and a client treats one that it does not know by its gRPC code. *Retry*: the same call, after
the time in `RetryInfo`, may succeed.

| Name | gRPC code | Retry | What it means and what to do |
|---|---|---|---|
";

const FINDINGS: &str = "
## Findings in a package

What stands in `BadRequest` when a push is refused with `BAD_PACKAGE` (`reason` = the code), and in
the receipt's `warnings` when the package was taken all the same. `axis check FILE` says the same
without sending. `…` stands for the value at fault.

| Code | The axis | What it means and what to do |
|---|---|---|
";

fn page() -> String {
    let mut page = String::from(HEAD);
    for name in Name::ALL {
        let row = name.row();
        let retry = if row.retry { "yes" } else { "" };
        let (vi, en) = (cell(row.vi), cell(row.en));
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {retry} | {vi}<br>{en} |",
            row.name,
            upper(&format!("{:?}", row.grpc))
        );
    }
    page += FINDINGS;
    for code in FindingCode::ALL {
        let refuses = code
            .refuses_from()
            .is_some_and(|level| level <= Level::Axis);
        let verdict = if refuses { "refuses" } else { "warns" };
        let (vi, en) = (cell(code.text_vi()), cell(code.text_en()));
        let _ = writeln!(page, "| `{}` | {verdict} | {vi}<br>{en} |", code.as_str());
    }
    page
}

/// `InvalidArgument` as gRPC writes it.
fn upper(code: &str) -> String {
    let mut text = String::new();
    for letter in code.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
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
fn the_errors_page_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = page();
    if std::env::var_os("AXIS_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/errors.md is not what the tables say; write it anew:\n    \
         AXIS_BLESS=1 cargo test -p api errors_page"
    );
}

#[test]
fn codes_are_written_as_grpc_writes_them() {
    assert_eq!(upper("InvalidArgument"), "INVALID_ARGUMENT");
    assert_eq!(upper("NotFound"), "NOT_FOUND");
    assert_eq!(cell("<a|b> &lt; {}"), "&lt;a\\|b&gt; &amp;lt; …");
}
