//! The operating system's files.

use std::io::{BufRead, Read};
use std::rc::Rc;
use std::sync::Arc;

use journal::disk::{Access, Disk, OsDisk};
use journal::{Journal, Kind, OpenError, Opened, Verify, VerifyError, durable, verify};

use crate::world::{Dice, Expectation, Expected, chain_of, compare, keep, options};

fn open(root: &std::path::Path) -> Result<Opened, OpenError> {
    Journal::open(Arc::new(OsDisk), root, options())
}

#[test]
fn records_and_payloads_come_back_from_real_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let mut now = Expectation::default();
    let mut dice = Dice(3);
    let mut journal = open(&root).unwrap().journal;
    for n in 0..40 {
        let (body, payload) = (dice.below(500), dice.below(1500));
        let expected = Expected {
            kind: Kind::Data,
            body: dice.bytes(body),
            payload: Some(dice.bytes(payload)),
            in_file: n % 3 == 0,
        };
        if expected.in_file {
            keep(&journal, expected.payload.as_deref().unwrap()).unwrap();
        }
        journal.append(&[expected.entry()]).unwrap();
        now.sure.push(Rc::new(expected));
        if n % 11 == 10 {
            drop(journal);
            journal = open(&root).unwrap().journal;
        }
    }
    for removes in [1, 2, 30] {
        let removal = Expected {
            kind: Kind::Removal { removes },
            payload: None,
            ..Expected::stopped()
        };
        journal.append(&[removal.entry()]).unwrap();
        now.sure.push(Rc::new(removal));
    }
    compare(&journal.reader(), &now).unwrap();
    let last = journal.reader().last().unwrap();
    let mut told = 0;
    let mut progress = |_| told += 1;
    let live = Verify {
        anchors: &[last],
        up_to: Some(last.position),
        progress: Some(&mut progress),
    };
    assert_eq!(live.run(Arc::new(OsDisk), &root).unwrap().removed, 3);
    assert!(told > 1);
    journal.stop().unwrap();
    now.sure.push(Rc::new(Expected::stopped()));
    let report = verify(Arc::new(OsDisk), &root, &[last]).unwrap();
    assert_eq!((report.records, report.removed, report.anchors), (44, 3, 1));
    let opened = open(&root).unwrap();
    assert!(opened.stopped_cleanly);
    compare(&opened.journal.reader(), &now).unwrap();
}

#[test]
fn a_folder_in_use_is_refused_with_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path()).unwrap();
    match open(folder.path()) {
        Err(OpenError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    drop(opened);
    open(folder.path()).unwrap();
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap().journal.stop().unwrap();
    let path = folder.path().join("journal/0000000001.seg");
    let file = OsDisk.open(&path, Access::Write).unwrap();
    let mut start = [0; 16];
    assert_eq!(file.read_at(&mut start, 0).unwrap(), 16);
    start[8] = 2;
    let crc = crc32c::crc32c(&start[..12]);
    start[12..].copy_from_slice(&crc.to_le_bytes());
    file.write_at(&mut [std::io::IoSlice::new(&start)], 0)
        .unwrap();
    match open(folder.path()) {
        Err(e @ OpenError::NewerFormat { format: 2, .. }) => {
            assert!(chain_of(&e).contains("format 2"));
        }
        other => panic!("{other:?}"),
    }
    match verify(Arc::new(OsDisk), folder.path(), &[]) {
        Err(VerifyError::NewerFormat { format: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_temporary_payload_reads_from_its_start_and_leaves_with_its_push() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path()).unwrap().journal;
    let temporaries = || {
        std::fs::read_dir(folder.path().join("payloads/tmp"))
            .unwrap()
            .count()
    };
    let mut temporary = journal.payloads().begin().unwrap();
    temporary.write(b"first line\n").unwrap();
    temporary.write(b"second line\n").unwrap();
    let mut reader = temporary.reader();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "first line\n");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), temporary.len()), ("second line\n", 23));
    let other = journal.payloads().begin().unwrap();
    assert_eq!(temporaries(), 2);
    drop(temporary);
    assert_eq!(temporaries(), 1);
    // What a killed process left, the next open sweeps.
    std::mem::forget(other);
    drop(journal);
    let _opened = open(folder.path()).unwrap();
    assert_eq!(temporaries(), 0);
}

#[test]
fn a_durable_file_is_replaced_whole_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    assert_eq!(durable::read_file(&OsDisk, &path).unwrap(), None);
    for content in ["one", "another, longer", "x"] {
        durable::write_file(&OsDisk, &path, content.as_bytes()).unwrap();
        assert_eq!(
            durable::read_file(&OsDisk, &path).unwrap().unwrap(),
            content.as_bytes()
        );
    }
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
