//! The pages for operators hold what the code says: alerts and metrics. `AXIS_BLESS=1` writes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::path::PathBuf;

use exchange::AlertKind;

fn page(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../docs", name]
        .iter()
        .collect()
}

/// Holds what stands between the marks of a page against `expected`.
fn hold(name: &str, mark: &str, expected: &str) {
    let path = page(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {mark}: generated -->\n\n"),
        format!("\n<!-- {mark}: end -->"),
    );
    let (before, rest) = text
        .split_once(&begin)
        .expect("the page has its first mark");
    let (found, after) = rest.split_once(&end).expect("the page has its second mark");
    if std::env::var_os("AXIS_BLESS").is_some() {
        let text = format!("{before}{begin}{expected}{end}{after}");
        #[expect(
            clippy::disallowed_methods,
            reason = "a page need not survive a power cut"
        )]
        std::fs::write(path, text).unwrap();
        return;
    }
    assert_eq!(
        found, expected,
        "docs/{name} is behind: AXIS_BLESS=1 cargo test -p console"
    );
}

#[test]
fn the_pages_list_every_alert_and_every_metric() {
    let (mut en, mut vi) = (String::new(), String::new());
    for kind in AlertKind::ALL {
        let told = kind.told();
        let (name, subject) = (told.name, told.subject);
        let severity = told.severity.as_str();
        writeln!(
            en,
            "**`{name}`** ({severity}; about: {subject}). {}. {}\n*Do*: {}\n",
            told.title.en, told.means.en, told.act.en
        )
        .unwrap();
        let level = match severity {
            "critical" => "nghiêm trọng",
            _ => "cảnh báo",
        };
        writeln!(
            vi,
            "**{}** (`{name}`, {level}). {}\n*Việc cần làm*: {}\n",
            told.title.vi, told.means.vi, told.act.vi
        )
        .unwrap();
    }
    hold("operations.md", "alerts", &en);
    hold("vi/van-hanh.md", "alerts", &vi);
    hold("operations.md", "metrics", &console::metrics::markdown());
}
