//! A data folder that an early build wrote, opened by each build from then on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::{Disk, OsDisk};
use ledger::event::{AgencyState, DeliveryState as S};
use ledger::id::AgencyId;
use ledger::time::Ms;
use ledger::{By, Change, Command, Fact, PackageBytes};

use crate::world::{
    NOON, World, acknowledge, agency, change, delivery, document, document_key, id, operator,
    options, recall, status, system, typed,
};

fn kept() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "kept-journal"]
        .iter()
        .collect()
}

/// Copies files and folders, the lock left out.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = OsDisk.make_folder(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else if entry.file_name() != "lock" {
            let _ = std::fs::copy(&path, &target).unwrap();
        }
    }
}

const LONG: usize = 5_000;

/// With `AXIS_BLESS=1`, and if there is none: what is kept from then on.
fn bless() {
    if std::env::var_os("AXIS_BLESS").is_none() || kept().exists() {
        return;
    }
    let world = World::with(|options| options.journal.segment_size = 16 << 10);
    let facts = vec![
        agency(1, "000.00.01.H99", AgencyState::Active),
        agency(2, "000.00.02.H99", AgencyState::Active),
        agency(3, "000.00.03.H99", AgencyState::Closed),
        system("so-noi-vu", &[1, 2]),
    ];
    world
        .commit(Command::Register { version: 0, facts })
        .unwrap();
    world.accepted(document(id(1), 1, "K1", &[2, 3], "văn bản một"));
    let long = "x".repeat(LONG);
    let mut temporary = world.ledger.payloads().begin().unwrap();
    temporary.write(long.as_bytes()).unwrap();
    let (sha256, len) = temporary.keep().unwrap();
    let large = document(id(2), 1, "K2", &[2], &long);
    let payload = journal::Payload::File { sha256, len };
    world.accepted(ledger::Accept { payload, ..large });
    world.changed(change(delivery(id(1), 2), Change::Fetched));
    world.changed(acknowledge(id(1), 2, 1, "K1", 10));
    world.accepted(status(id(3), 2, 1, "K1", 5, "05"));
    world.accepted(status(id(4), 3, 1, "K9", 3, "03 before its document"));
    world.accepted(document(id(5), 1, "K9", &[3], "chín"));
    world.accepted(recall(id(6), 1, "R2", "K2", &[2], 20));
    world.changed(change(delivery(id(5), 3), Change::Fetched));
    world.changed(change(delivery(id(5), 3), Change::Dead));
    world.changed(change(delivery(id(1), 2), Change::Redelivered));
    world.accepted(document(id(7), 1, "K1", &[2, 1], "văn bản một"));
    world.accepted(typed(id(8), 1, "K1", &[2], "cập nhật", 2, &["K1"]));
    world.accepted(document(id(9), 1, "K10", &[3], "rời đi"));
    let remove = Command::RemovePayload {
        package: id(9),
        at: Ms(NOON),
        actor: operator(),
        decision: "77/QĐ-UBND".into(),
    };
    world.commit(remove).unwrap();
    world.ledger.close();
    let root = world.root().to_owned();
    let _ = OsDisk.make_folder(&kept()).unwrap();
    for part in ["journal", "payloads"] {
        copy(&root.join(part), &kept().join(part));
    }
}

fn bytes(world: &World, n: u32) -> Option<Vec<u8>> {
    let query = world.ledger.query();
    let package = query.package(id(n)).unwrap()?;
    let PackageBytes::Payload(mut reader) = query.bytes(&package).ok()? else {
        return None;
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_chunk(700).unwrap() {
        bytes.extend(chunk);
    }
    Some(bytes)
}

fn is_as_it_was(world: &World) {
    let registry = world.ledger.registry();
    assert_eq!(registry.resolve("000.00.02.h99"), Some(AgencyId(2)));
    assert_eq!(registry.agencies().count(), 3);
    assert_eq!(registry.systems_of(AgencyId(1))[0].as_str(), "so-noi-vu");
    assert_eq!(registry.next_agency(), AgencyId(4));
    let states = [
        (1, 2, S::Pending),
        (1, 3, S::Pending),
        (1, 1, S::Pending),
        (2, 2, S::Recalled),
        (6, 2, S::Recalled),
        (5, 3, S::Dead),
        (8, 2, S::Pending),
        (9, 3, S::Pending),
        (3, 1, S::Pending),
        (10, 1, S::Pending),
        (20, 1, S::Pending),
    ];
    for (package, to, state) in states {
        assert_eq!(
            world.state(id(package), to),
            Some(state),
            "{package} to {to}"
        );
    }
    let query = world.ledger.query();
    assert_eq!(query.delivery(delivery(id(1), 2)).unwrap().round, 2);
    let order: Vec<_> = world
        .open_of(1)
        .into_iter()
        .map(|(package, _)| package)
        .collect();
    assert_eq!(order, [10, 3, 4, 20, 1].map(id));
    let current = |key: &str, to| query.cell(document_key(1, key), AgencyId(to)).current();
    assert_eq!(
        [current("K1", 2), current("K2", 2), current("K9", 3)],
        [Some(5), Some(15), Some(3)]
    );
    assert_eq!(query.newest(&By::Time, &[], 100).unwrap().len(), 10);
    assert_eq!(bytes(world, 1).unwrap(), "văn bản một".as_bytes());
    assert_eq!(bytes(world, 2).unwrap().len(), LONG);
    assert_eq!(bytes(world, 9), None);
    let redelivered = query.events(id(1)).unwrap().iter().any(|record| {
        matches!(&record.facts[..], [Fact::Delivery(Change::Redelivered, changed)] if changed.round == 2)
    });
    assert!(redelivered);
}

#[test]
fn a_journal_of_an_early_build_is_opened_and_means_the_same() {
    bless();
    let folder = tempfile::tempdir().unwrap();
    copy(&kept(), folder.path());
    let report = journal::verify(Arc::new(OsDisk), folder.path(), &[]).unwrap();
    assert_eq!((report.removed, report.torn_tail), (1, None));
    let mut options = options(folder.path());
    options.journal.segment_size = 16 << 10;
    let world = World::open(Arc::new(folder), options);
    assert!(world.start.stopped_cleanly && !world.start.index_trusted);
    is_as_it_was(&world);
    // Rebuilt, and from index and checkpoint.
    let world = world.reopen();
    assert!(world.start.index_trusted && world.start.checkpoint_used);
    is_as_it_was(&world);
    world.changed(acknowledge(id(1), 3, 1, "K1", 30));
    assert_eq!(world.state(id(30), 1), Some(S::Pending));
}
