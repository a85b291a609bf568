//! Appending to the trace changes no other byte, in every sample.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::path::Path;

use edxml::{Limits, Package, Timestamp, TraceError, TraceHeader, read, with_trace};

fn step() -> TraceHeader {
    TraceHeader {
        organ_id: Some("H47<&".into()),
        timestamp: Timestamp::new(2026, 3, 2, 8, 30, 0),
    }
}

#[test]
fn one_element_comes_last_and_nothing_else_changes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/documents");
    let mut tried = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let original = std::fs::read_to_string(&path).unwrap();
        // Also without indentation, with another prefix, and with none.
        let packed: String = original.lines().map(str::trim_start).collect();
        let other = original
            .replace("edXML:", "e:")
            .replace("xmlns:edXML", "xmlns:e");
        let bare = original.replace("<edXML:", "<").replace("</edXML:", "</");
        for package in [original, packed, other, bare] {
            let before = read(package.as_bytes(), &Limits::default());
            let longer = with_trace(package.as_bytes(), &before, &step()).unwrap();
            let after = read(&longer, &Limits::default());
            let (Some(Package::Document(old)), Some(Package::Document(new))) =
                (&before.package, &after.package)
            else {
                panic!("{}", path.display())
            };
            assert_eq!(new.trace.len(), old.trace.len() + 1);
            assert_eq!(new.trace[..old.trace.len()], old.trace[..]);
            assert_eq!(new.trace.last(), Some(&step()), "{}", path.display());
            let codes = |reading: &edxml::Reading| -> Vec<_> {
                reading
                    .findings
                    .iter()
                    .map(|finding| finding.code)
                    .collect()
            };
            assert_eq!(codes(&after), codes(&before), "{}", path.display());
            // What was put in is one piece; without it the package is the one before.
            let same = package
                .bytes()
                .zip(&longer)
                .take_while(|(a, b)| a == *b)
                .count();
            let added = longer.len() - package.len();
            let found = (0..=same).any(|at| {
                package.as_bytes()[..at] == longer[..at]
                    && package.as_bytes()[at..] == longer[at + added..]
            });
            assert!(found, "{}", path.display());
            tried += 1;
        }
    }
    assert_eq!(tried, 28);
}

#[test]
fn where_there_is_no_list_nothing_is_appended() {
    let status = include_bytes!("data/status/01-inbox.edxml");
    let reading = read(status, &Limits::default());
    assert_eq!(
        with_trace(status, &reading, &step()),
        Err(TraceError::NoList)
    );
    let document = include_bytes!("data/documents/new.edxml");
    let reading = read(document, &Limits::default());
    assert_eq!(
        with_trace(b"", &reading, &step()),
        Err(TraceError::OtherPackage)
    );
}
