//! Full and failing disks, limits, and who sees what when.

use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use journal::disk::Disk;
use journal::disk::sim::SimDisk;
use journal::{AppendError, Entry, Journal, Kind, Options, Payload, ScanStart, Space, verify};

use crate::world::{
    Expectation, Expected, compare, keep, open, options, payload_path, root, sha256,
};

fn expected(body: &str) -> Expected {
    let body = body.as_bytes().repeat(20);
    Expected {
        kind: Kind::Data,
        body,
        payload: None,
        in_file: false,
    }
}

fn entry(body: &str, uses_reserve: bool) -> Entry {
    Entry {
        uses_reserve,
        ..expected(body).entry()
    }
}

#[test]
fn a_full_disk_refuses_what_may_wait_and_carries_the_rest_for_a_whole_segment() {
    let disk = SimDisk::new();
    let mut journal = open(&disk).unwrap().journal;
    let mut now = Expectation::default();
    let mut append = |journal: &mut Journal, what: &str, uses_reserve| {
        let appended = journal.append(&[entry(what, uses_reserve)]);
        if appended.is_ok() {
            now.sure.push(Rc::new(expected(what)));
        }
        appended
    };
    append(&mut journal, "before", false).unwrap();
    disk.set_full(true);
    // What is there already is used up, one whole segment kept back.
    let refused = loop {
        if let Err(e) = append(&mut journal, "normal", false) {
            break e;
        }
    };
    assert!(matches!(refused, AppendError::Full), "{refused}");
    assert_eq!(journal.space(), Space::Reserve);
    let mut bytes = 0;
    while append(&mut journal, "important", true).is_ok() {
        bytes += entry("important", true).stored_len();
        let refused = append(&mut journal, "normal", false).unwrap_err();
        assert!(matches!(refused, AppendError::Full), "{refused}");
    }
    assert!(
        bytes > journal.batch_limit() - 512,
        "the reserve carried only {bytes} bytes"
    );
    let mixed = [entry("important", true), entry("normal", false)];
    assert!(matches!(journal.append(&mixed), Err(AppendError::Full)));
    // It recovers by itself.
    disk.set_full(false);
    append(&mut journal, "again", false).unwrap();
    assert_eq!(journal.space(), Space::Ok);
    // A stop finds room whatever comes.
    disk.set_full(true);
    while append(&mut journal, "important", true).is_ok() {}
    compare(&journal.reader(), &now).unwrap();
    journal.stop().unwrap();
    now.sure.push(Rc::new(Expected::stopped()));
    let opened = open(&disk);
    disk.set_full(false);
    // Opening needs a little room for its mark.
    let opened = opened.or_else(|_| open(&disk)).unwrap();
    assert!(opened.stopped_cleanly);
    compare(&opened.journal.reader(), &now).unwrap();
}

#[test]
fn the_preparer_makes_room_again_and_ends_with_the_journal() {
    let disk = SimDisk::new();
    let options = Options {
        retry_after: Duration::from_millis(1),
        ..options()
    };
    let mut journal = Journal::open(Arc::new(disk.clone()), root(), options)
        .unwrap()
        .journal;
    let preparer = journal.preparer();
    disk.set_full(true);
    let refused = loop {
        if let Err(e) = journal.append(&[entry("normal", false)]) {
            break e;
        }
    };
    assert!(matches!(refused, AppendError::Full));
    let thread = std::thread::spawn(move || preparer.run());
    disk.set_full(false);
    while journal.space() == Space::Reserve {
        std::thread::yield_now();
    }
    for _ in 0..100 {
        journal.append(&[entry("normal", false)]).unwrap();
    }
    drop(journal);
    thread.join().unwrap();
    verify(Arc::new(disk), root(), &[]).unwrap();
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_the_next_open() {
    for (sync, kind) in [(true, ErrorKind::Other), (false, ErrorKind::StorageFull)] {
        let disk = SimDisk::new();
        let mut journal = open(&disk).unwrap().journal;
        let mut now = Expectation::default();
        journal.append(&[entry("first", false)]).unwrap();
        now.sure.push(Rc::new(expected("first")));
        if sync {
            disk.fail_sync(0, kind);
        } else {
            disk.fail_write(0, kind);
        }
        let batch = [entry("second", false), entry("third", false)];
        match journal.append(&batch) {
            Err(AppendError::Failed { source, .. }) => assert_eq!(source.kind(), kind),
            other => panic!("{other:?}"),
        }
        assert!(journal.is_read_only());
        for uses_reserve in [false, true] {
            let refused = journal
                .append(&[entry("fourth", uses_reserve)])
                .unwrap_err();
            assert!(matches!(refused, AppendError::ReadOnly), "{refused}");
        }
        compare(&journal.reader(), &now).unwrap();
        assert!(matches!(journal.stop(), Err(AppendError::ReadOnly)));
        let opened = open(&disk).unwrap();
        assert!(!opened.stopped_cleanly);
        now.may = vec![Rc::new(expected("second")), Rc::new(expected("third"))];
        compare(&opened.journal.reader(), &now).unwrap();
    }
}

#[test]
fn refusals_come_before_any_write() {
    let disk = SimDisk::recording();
    let mut journal = open(&disk).unwrap().journal;
    keep(&journal, b"kept").unwrap();
    let plain = entry("plain", false);
    journal.append(std::slice::from_ref(&plain)).unwrap();
    let large = vec![1; 2049];
    let payload = Payload::Inline {
        sha256: sha256(&large),
        bytes: large.into(),
    };
    let missing = Payload::File {
        sha256: [7; 32],
        len: 4,
    };
    let other_len = Payload::File {
        sha256: sha256(b"kept"),
        len: 5,
    };
    type Fits = fn(&AppendError) -> bool;
    let refused: [(Entry, Fits); 6] = [
        (
            Entry {
                payload,
                ..plain.clone()
            },
            |e| {
                matches!(
                    e,
                    AppendError::TooLarge {
                        len: 2049,
                        limit: 2048
                    }
                )
            },
        ),
        (
            Entry {
                body: vec![0; 9000].into(),
                ..plain.clone()
            },
            |e| matches!(e, AppendError::TooLarge { .. }),
        ),
        (
            Entry {
                payload: missing,
                ..plain.clone()
            },
            |e| matches!(e, AppendError::PayloadMissing { sha256 } if *sha256 == [7; 32]),
        ),
        (
            Entry {
                payload: other_len,
                ..plain.clone()
            },
            |e| matches!(e, AppendError::PayloadMissing { .. }),
        ),
        (
            Entry {
                removes: Some(1),
                ..plain.clone()
            },
            |e| matches!(e, AppendError::NothingToRemove { position: 1 }),
        ),
        (
            Entry {
                removes: Some(2),
                ..plain.clone()
            },
            |e| matches!(e, AppendError::NothingToRemove { position: 2 }),
        ),
    ];
    disk.record();
    for (entry, fits) in refused {
        let error = journal.append(&[plain.clone(), entry]).unwrap_err();
        assert!(fits(&error), "{error}");
    }
    assert_eq!(disk.replay().step(), None, "something was written");
    assert_eq!(journal.append(&[plain]).unwrap()[0].position, 2);
}

#[test]
fn readers_see_a_record_only_once_it_is_durable() {
    let disk = SimDisk::new();
    let mut journal = open(&disk).unwrap().journal;
    // The segments this needs are there before the syncs are held.
    journal.append(&[entry("first", false)]).unwrap();
    let reader = journal.reader();
    let hold = disk.hold_syncs();
    let (told, done) = channel();
    let writer = std::thread::spawn(move || {
        let written = journal.append(&[entry("second", false)]).unwrap();
        told.send(written[0]).unwrap();
    });
    disk.wait_for_held_sync();
    assert_eq!(reader.last().unwrap().position, 1);
    assert_eq!(reader.scan(ScanStart::Beginning).count(), 1);
    assert!(done.try_recv().is_err());
    drop(hold);
    let written = done.recv().unwrap();
    writer.join().unwrap();
    assert_eq!(reader.last(), Some(written.anchor()));
    assert_eq!(reader.record(written.location).unwrap().position, 2);
}

#[test]
fn a_batch_lies_in_one_segment_and_is_one_write_and_one_sync() {
    let disk = SimDisk::recording();
    let mut journal = open(&disk).unwrap().journal;
    journal.append(&[entry("first", false)]).unwrap();
    disk.record();
    let batch: Vec<_> = (0..4)
        .map(|n| entry(&format!("record {n}"), false))
        .collect();
    let written = journal.append(&batch).unwrap();
    let mut replay = disk.replay();
    let steps: Vec<_> = std::iter::from_fn(|| replay.step()).collect();
    use journal::disk::sim::Step::{Change, Sync};
    assert_eq!(steps, [Change, Sync]);
    assert!(written.iter().all(|w| w.location.segment == 1));
}

#[test]
fn a_file_stays_until_the_last_record_that_names_it_lost_its_payload() {
    let disk = SimDisk::new();
    let mut journal = open(&disk).unwrap().journal;
    let file = Expected {
        kind: Kind::Data,
        body: b"named".to_vec(),
        payload: Some(b"the same bytes".to_vec()),
        in_file: true,
    };
    keep(&journal, b"the same bytes").unwrap();
    keep(&journal, b"the same bytes").unwrap();
    journal.append(&[file.entry(), file.entry()]).unwrap();
    let path = payload_path(b"the same bytes");
    let removal = |removes| Entry {
        removes: Some(removes),
        ..entry("why", true)
    };
    journal.append(&[removal(1)]).unwrap();
    assert!(Disk::len(&disk, &path).unwrap().is_some());
    assert!(journal.reader().is_removed(1));
    journal.append(&[removal(2)]).unwrap();
    assert_eq!(Disk::len(&disk, &path).unwrap(), None);
    drop(journal);
    let report = verify(Arc::new(disk.clone()), root(), &[]).unwrap();
    assert_eq!((report.records, report.removed), (4, 2));
    // The same bytes may come again, and a sweep leaves them alone; what nobody names it takes.
    let mut journal = open(&disk).unwrap().journal;
    keep(&journal, b"the same bytes").unwrap();
    journal.append(&[file.entry()]).unwrap();
    keep(&journal, b"orphan").unwrap();
    let swept = journal.sweep().unwrap();
    assert_eq!((swept.files, swept.bytes), (1, 6));
    drop(journal);
    drop(open(&disk).unwrap());
    assert!(Disk::len(&disk, &path).unwrap().is_some());
}
