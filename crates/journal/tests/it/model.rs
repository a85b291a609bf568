//! The journal beside a plain vector, over random operations.

use std::rc::Rc;
use std::sync::Arc;

use journal::disk::sim::SimDisk;
use journal::{AppendError, Kind, Record, ScanStart, Verify, verify};
use proptest::prelude::*;

use crate::world::{Expectation, Expected, compare, keep, open, root};

#[derive(Clone, Debug)]
enum Action {
    Append(Vec<(Vec<u8>, Option<Vec<u8>>, bool)>),
    Remove(prop::sample::Index),
    Stop,
    Drop,
    Sweep,
    ScanAfter(prop::sample::Index),
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..max)
}

fn action() -> impl Strategy<Value = Action> {
    let record = (bytes(200), prop::option::of(bytes(700)), any::<bool>());
    prop_oneof![
        6 => prop::collection::vec(record, 1..4).prop_map(Action::Append),
        1 => any::<prop::sample::Index>().prop_map(Action::Remove),
        1 => Just(Action::Stop),
        1 => Just(Action::Drop),
        1 => Just(Action::Sweep),
        1 => any::<prop::sample::Index>().prop_map(Action::ScanAfter),
    ]
}

fn run(actions: Vec<Action>) -> Result<(), TestCaseError> {
    let disk = SimDisk::new();
    let mut now = Expectation::default();
    let mut anchors = Vec::new();
    let mut journal = open(&disk).map_err(TestCaseError::fail)?.journal;
    for action in actions {
        match action {
            Action::Append(records) => {
                let batch: Vec<_> = records
                    .into_iter()
                    .map(|(body, payload, in_file)| Expected {
                        kind: Kind::Data,
                        in_file: in_file && payload.is_some(),
                        body,
                        payload,
                    })
                    .collect();
                for expected in batch.iter().filter(|expected| expected.in_file) {
                    keep(&journal, expected.payload.as_deref().unwrap()).unwrap();
                }
                let entries: Vec<_> = batch.iter().map(Expected::entry).collect();
                let written = journal.append(&entries).unwrap();
                prop_assert_eq!(written.len(), entries.len());
                prop_assert_eq!(written[0].position, now.sure.len() as u64 + 1);
                anchors.extend(written.iter().map(journal::Written::anchor));
                now.sure.extend(batch.into_iter().map(Rc::new));
            }
            Action::Remove(_) if now.sure.is_empty() => {}
            Action::Remove(index) => {
                let at = index.index(now.sure.len());
                let removal = Expected {
                    kind: Kind::Removal {
                        removes: at as u64 + 1,
                    },
                    body: b"why".to_vec(),
                    payload: None,
                    in_file: false,
                };
                match journal.append(&[removal.entry()]) {
                    Ok(_) => now.sure.push(Rc::new(removal)),
                    Err(AppendError::NothingToRemove { .. }) => {
                        prop_assert!(now.sure[at].payload.is_none());
                    }
                    Err(e) => return Err(TestCaseError::fail(e.to_string())),
                }
            }
            Action::Stop => {
                let stopped = now
                    .sure
                    .last()
                    .is_none_or(|last| last.kind == Kind::Stopped);
                journal.stop().unwrap();
                if !stopped {
                    now.sure.push(Rc::new(Expected::stopped()));
                }
                let opened = open(&disk).map_err(TestCaseError::fail)?;
                prop_assert!(opened.stopped_cleanly && opened.torn_tail.is_none());
                journal = opened.journal;
            }
            Action::Drop => {
                drop(journal);
                let opened = open(&disk).map_err(TestCaseError::fail)?;
                prop_assert_eq!(opened.torn_tail, None);
                journal = opened.journal;
            }
            Action::Sweep => {
                journal.sweep().unwrap();
            }
            Action::ScanAfter(index) => {
                let after = index.index(now.sure.len() + 1) as u64;
                let reader = journal.reader();
                let records: Result<Vec<Record>, _> =
                    reader.scan(ScanStart::After(after)).collect();
                let records = records.unwrap();
                let positions: Vec<u64> = records.iter().map(|r| r.position).collect();
                let expected: Vec<u64> = (after + 1..=now.sure.len() as u64).collect();
                prop_assert_eq!(positions, expected);
                if let Some(first) = records.first() {
                    let same: Result<Vec<_>, _> =
                        reader.scan(ScanStart::At(first.location)).collect();
                    prop_assert_eq!(same.unwrap(), records);
                }
            }
        }
        compare(&journal.reader(), &now).map_err(TestCaseError::fail)?;
    }
    let last = now.sure.len() as u64;
    let live = Verify {
        anchors: &anchors,
        up_to: (last > 0).then_some(last),
        progress: None,
    };
    let report = live.run(Arc::new(disk.clone()), root()).unwrap();
    prop_assert_eq!(report.records, last);
    drop(journal);
    let report = verify(Arc::new(disk), root(), &anchors).unwrap();
    prop_assert_eq!((report.records, report.anchors), (last, anchors.len()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_is_a_vector(actions in prop::collection::vec(action(), 1..30)) {
        run(actions)?;
    }
}
