//! The schemas in docs/schema agree with what is read and written, by the word of an independent
//! validator: xmllint of libxml2.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod generated;

use std::path::{Path, PathBuf};
use std::process::Command;

use edxml::build::{Reason, Status};
use edxml::{StatusCode, convert, write};
use generated::{documents, reports, time};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

fn schema(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    folder.join(name)
}

/// Which of the files do not follow the schema, with what the validator says.
fn faults(schema_name: &str, files: &[PathBuf]) -> Vec<String> {
    assert!(!files.is_empty());
    let run = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .arg(schema(schema_name))
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("xmllint: {error}; type: apt-get install libxml2-utils"));
    let said = String::from_utf8(run.stderr).unwrap();
    let valid = said.lines().filter(|line| line.ends_with(" validates"));
    let faults: Vec<_> = said
        .lines()
        .filter(|line| !line.ends_with(" validates"))
        .map(str::to_owned)
        .collect();
    // Each file was really looked at.
    let failed = said
        .lines()
        .filter(|line| line.ends_with(" fails to validate"));
    assert_eq!(valid.count() + failed.count(), files.len(), "{said}");
    assert_eq!(run.status.success(), faults.is_empty(), "{said}");
    faults
}

fn samples(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "scratch files for another program"
    )]
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn every_sample_follows_the_schema_of_receivers() {
    let mut files = samples("documents");
    files.extend(samples("status"));
    assert_eq!(files.len(), 16);
    assert_eq!(faults("edxml-consumer.xsd", &files), [] as [&str; 0]);
}

#[test]
fn what_is_built_follows_the_schemas_of_senders_and_receivers() {
    let folder = Folder::new();
    let mut runner = TestRunner::deterministic();
    let (mut all, mut reported) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let plan = documents().new_tree(&mut runner).unwrap().current();
        let built = plan.document().finish(&plan.sent).unwrap();
        all.push(folder.put(&format!("document-{number}.edxml"), &built.bytes));
        let report = reports().new_tree(&mut runner).unwrap().current();
        let at = time().new_tree(&mut runner).unwrap().current();
        let about = plan.document().answered().unwrap();
        let told = Status::report(plan.to[0].clone(), about.clone(), report);
        let reason = Reason::new("Nhầm nơi nhận").unwrap();
        let asked = Status::take_back(plan.from, about, plan.to[0].id.clone(), reason);
        for (kind, status) in [("told", told), ("asked", asked)] {
            let built = status.finish(&at).unwrap();
            reported.push(folder.put(&format!("{kind}-{number}.edxml"), &built.bytes));
        }
    }
    // Codes without a meaning are written, too.
    for number in 0..=99 {
        let draft = write::StatusDraft {
            from: edxml::Organ::new("H47.1", None),
            response_for: edxml::ResponseFor {
                organ_id: "H47.2".into(),
                document_id: Some("x".to_owned()),
                ..edxml::ResponseFor::default()
            },
            staff: None,
            code: StatusCode::new(number).unwrap(),
            description: Some("x".to_owned()),
            timestamp: edxml::Timestamp::new(2026, 3, 2, 8, 30, 0).unwrap(),
        };
        let package = write::status(&draft).unwrap();
        reported.push(folder.put(&format!("code-{number}.edxml"), &package));
    }
    assert_eq!(faults("edxml-document.xsd", &all), [] as [&str; 0]);
    assert_eq!(faults("edxml-status.xsd", &reported), [] as [&str; 0]);
    all.extend(reported);
    assert_eq!(faults("edxml-consumer.xsd", &all), [] as [&str; 0]);
}

#[test]
fn what_was_converted_follows_the_schema_of_senders() {
    let older = std::fs::read(&samples("older-forms")[0]).unwrap();
    let converted = convert(&older, &edxml::Limits::default()).unwrap();
    let folder = Folder::new();
    let file = folder.put("status.edxml", &converted.bytes);
    assert_eq!(faults("edxml-status.xsd", &[file]), [] as [&str; 0]);
}

/// A schema that lets everything through would be none.
#[test]
fn the_schemas_refuse_what_is_wrong() {
    let folder = Folder::new();
    let mut runner = TestRunner::deterministic();
    let plan = documents().new_tree(&mut runner).unwrap().current();
    let sound = plan.document().finish(&plan.sent).unwrap().bytes;
    let sound = String::from_utf8(sound).unwrap();
    let date = format!("{}</edXML:PromulgationDate>", plan.date);
    for (schema, number, from, to) in [
        (
            "edxml-document.xsd",
            1,
            date.as_str(),
            "2026-03-02</edXML:PromulgationDate>",
        ),
        (
            "edxml-document.xsd",
            2,
            "<edXML:Priority>",
            "<edXML:Priority>1",
        ),
        (
            "edxml-document.xsd",
            3,
            "edXML:Bussiness>",
            "edXML:Business>",
        ),
        ("edxml-document.xsd", 4, "edXML:From>", "edXML:Sender>"),
        ("edxml-document.xsd", 5, "edXML:To>", "edXML:From>"),
        ("edxml-consumer.xsd", 6, "edXML:From>", "edXML:Sender>"),
        ("edxml-consumer.xsd", 7, "edXMLEnvelope", "edXmlEnvelope"),
        ("edxml-consumer.xsd", 8, "QCVN_102_2016", "QCVN_102_2012"),
        ("edxml-status.xsd", 9, "edXML:Subject>", "edXML:Subject>"),
    ] {
        let broken = sound.replace(from, to);
        let file = folder.put(&format!("{number}.edxml"), broken.as_bytes());
        assert!(!faults(schema, &[file]).is_empty(), "{from} -> {to}");
    }
}
