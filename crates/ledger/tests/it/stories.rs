//! What happens to documents and statuses, from a push to the last row.

use ledger::event::DeliveryState as S;
use ledger::id::AgencyId;
use ledger::time::{Clock, Ms};
use ledger::{Accept, Change, Command, CommitError, Committed, Conflict, Fact, PackageBytes};

use crate::world::{
    NOON, World, acknowledge, change, delivery, document, document_key, id, made, operator, recall,
    status, typed,
};

fn payload(world: &World, n: u32) -> Result<Vec<u8>, ledger::QueryError> {
    let query = world.ledger.query();
    let package = query.package(id(n))?.unwrap();
    let mut bytes = Vec::new();
    match query.bytes(&package)? {
        PackageBytes::Made(made) => bytes.extend(made),
        PackageBytes::Payload(mut reader) => {
            while let Some(chunk) = reader.next_chunk(1_000)? {
                bytes.extend(chunk);
            }
        }
    }
    Ok(bytes)
}

fn large(world: &World, accept: Accept, bytes: &[u8]) -> Accept {
    let mut temporary = world.ledger.payloads().begin().unwrap();
    temporary.write(bytes).unwrap();
    let (sha256, len) = temporary.keep().unwrap();
    let payload = journal::Payload::File { sha256, len };
    Accept { payload, ..accept }
}

#[test]
fn a_removed_payload_is_gone_and_its_heads_stay() {
    let mut world = World::new();
    world.accepted(document(id(1), 1, "K1", &[2], "inline bytes"));
    let long = "long ".repeat(3_000);
    let accept = large(
        &world,
        document(id(2), 1, "K2", &[2], &long),
        long.as_bytes(),
    );
    world.accepted(accept);
    world.changed(acknowledge(id(1), 2, 1, "K1", 50));
    assert_eq!(payload(&world, 1).unwrap(), b"inline bytes");
    assert_eq!(payload(&world, 2).unwrap(), long.as_bytes());
    for n in [1, 2, 1] {
        let remove = Command::RemovePayload {
            package: id(n),
            at: Ms(NOON),
            actor: operator(),
            decision: "77/QĐ-UBND".into(),
        };
        assert_eq!(world.commit(remove), Ok(Committed::Recorded));
    }
    for _ in 0..2 {
        for n in [1, 2] {
            let removed = payload(&world, n).unwrap_err();
            assert!(
                matches!(
                    &removed,
                    ledger::QueryError::Read(journal::ReadError::Removed { .. })
                ),
                "{removed}"
            );
            let query = world.ledger.query();
            assert!(query.package(id(n)).unwrap().is_some());
            let facts: Vec<_> = query.events(id(n)).unwrap();
            let decisions = facts
                .iter()
                .flat_map(|record| &record.facts)
                .filter(|fact| matches!(fact, Fact::PayloadRemoved(removed) if removed.decision == "77/QĐ-UBND"))
                .count();
            assert_eq!(decisions, 1, "the second removal changes nothing");
        }
        let listed = world
            .ledger
            .query()
            .newest(&ledger::By::Time, &[], 10)
            .unwrap();
        assert_eq!(listed.len(), 3);
        // The axis's own 01 stands in its event.
        assert_eq!(
            payload(&world, 50).unwrap(),
            made(id(50), 2, 1, "K1", 1).made
        );
        world = world.reopen();
    }
    // New receivers of the same bytes get a package that has them.
    let again = world.accepted(document(id(3), 1, "K1", &[2, 4], "inline bytes"));
    assert_eq!(again.package, id(3));
    assert_eq!(payload(&world, 3).unwrap(), b"inline bytes");
    let anchor = again.anchor.unwrap();
    world.ledger.close();
    let disk = std::sync::Arc::new(journal::disk::OsDisk);
    let root = world.root().to_owned();
    drop(world.ledger);
    let report = journal::verify(disk, &root, &[anchor]).unwrap();
    assert_eq!(report.removed, 2);
}

#[test]
fn a_status_before_its_document_is_delivered_at_once_and_matched_later() {
    let world = World::new();
    let early = world.accepted(status(id(1), 2, 1, "K", 3, "03 by 2"));
    assert!(early.anchor.is_some());
    assert_eq!(world.open_of(1), [(id(1), S::Pending)]);
    // Not about this sender's document, and not by a receiver of it.
    world.accepted(status(id(2), 3, 1, "K", 5, "05 by 3"));
    let key = document_key(1, "K");
    let query = world.ledger.query();
    assert_eq!(query.cell(key, AgencyId(2)).seen, 0);

    world.accepted(document(id(10), 1, "K", &[2], "bytes"));
    let cell = query.cell(key, AgencyId(2));
    assert_eq!((cell.current(), cell.own), (Some(3), true));
    let history = query.cell_events(key, AgencyId(2));
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].package, id(1).as_bytes());
    assert_eq!(query.cell(key, AgencyId(3)).seen, 0);
    let mut about = query.about(key);
    about.sort_unstable();
    assert_eq!(about, [id(1), id(2), id(10)]);
    // Matched when it becomes a receiver.
    world.accepted(document(id(11), 1, "K", &[2, 3], "bytes"));
    assert_eq!(query.cell(key, AgencyId(3)).current(), Some(5));
    // The axis says nothing where the receiver has spoken.
    world.changed(acknowledge(id(10), 2, 1, "K", 60));
    assert!(query.package(id(60)).unwrap().is_none());
    assert_eq!(world.open_of(1).len(), 2);
}

#[test]
fn the_axis_gives_its_01_once_and_a_later_one_of_the_receiver_is_only_recorded() {
    let world = World::new();
    world.accepted(document(id(1), 1, "K", &[2], "bytes"));
    world.changed(acknowledge(id(1), 2, 1, "K", 50));
    let redelivered = change(delivery(id(1), 2), Change::Redelivered);
    assert_eq!(world.changed(redelivered), (S::Pending, 2, true));
    world.changed(acknowledge(id(1), 2, 1, "K", 51));
    assert_eq!(world.open_of(1), [(id(50), S::Pending)]);
    let own = world.accepted(status(id(2), 2, 1, "K", 1, "01 by 2"));
    assert!(own.anchor.is_some());
    assert_eq!(world.open_of(1), [(id(50), S::Pending)]);
    let key = document_key(1, "K");
    let history = world.ledger.query().cell_events(key, AgencyId(2));
    let by_axis: Vec<_> = history.iter().map(|event| event.made_by_axis).collect();
    assert_eq!(by_axis, [true, false]);
    // What follows is delivered.
    world.accepted(status(id(3), 2, 1, "K", 3, "03 by 2"));
    assert_eq!(world.open_of(1).len(), 2);
    // An 01 for a recall is not made, whoever asks for it.
    world.changed(change(delivery(id(50), 1), Change::Acknowledged));
    let recalled = world.accepted(recall(id(5), 1, "R", "K", &[2], 70));
    assert!(recalled.anchor.is_some());
    world.changed(acknowledge(id(5), 2, 1, "R", 71));
    assert!(world.ledger.query().package(id(71)).unwrap().is_none());
}

#[test]
fn the_same_bytes_with_more_receivers_add_deliveries_of_the_first_package() {
    let world = World::new();
    world.accepted(document(id(1), 1, "K", &[2, 3], "bytes"));
    let again = world.accepted(document(id(2), 1, "K", &[3, 4, 5], "bytes"));
    assert_eq!(again.package, id(1));
    assert!(again.anchor.is_some());
    let reached: Vec<_> = again
        .receivers
        .iter()
        .map(|reached| (reached.receiver.0, reached.package, reached.duplicate))
        .collect();
    assert_eq!(
        reached,
        [(3, id(1), true), (4, id(1), false), (5, id(1), false)]
    );
    assert_eq!(world.state(id(1), 5), Some(S::Pending));
    // Only new ones.
    let only = world.accepted(document(id(3), 1, "K", &[6], "bytes"));
    assert_eq!((only.package, only.anchor.is_some()), (id(1), true));
    assert!(world.ledger.query().package(id(2)).unwrap().is_none());
    assert_eq!(world.ledger.query().events(id(1)).unwrap().len(), 3);
    assert_eq!(world.ledger.query().holders(document_key(1, "K")).len(), 5);
    let world = world.reopen();
    assert_eq!(world.open_of(6), [(id(1), S::Pending)]);
}

#[test]
fn bytes_that_differ_outside_the_essence_make_a_package_for_new_receivers_alone() {
    let world = World::new();
    world.accepted(document(id(1), 1, "K", &[2], "bytes|2"));
    let again = world.accepted(document(id(2), 1, "K", &[2, 3], "bytes|2,3"));
    assert_eq!(again.package, id(2));
    let facts = world.ledger.query().package(id(2)).unwrap().unwrap().facts;
    assert_eq!(facts.follows, id(1).as_bytes()[..]);
    assert_eq!(facts.duplicates, [2]);
    assert_eq!(
        (world.state(id(2), 2), world.state(id(2), 3)),
        (None, Some(S::Pending))
    );
    // The bytes of the second package for a fourth: found behind a holder of the first.
    let fourth = world.accepted(document(id(3), 1, "K", &[4], "bytes|2,3"));
    assert_eq!(fourth.package, id(2));
    // Other bytes refuse the whole push.
    let other = document(id(4), 1, "K", &[3, 9], "other|3,9");
    let Err(CommitError::Conflict(Conflict::OtherContent { first, receiver })) =
        world.commit(other)
    else {
        panic!()
    };
    assert_eq!((first, receiver), (id(2), AgencyId(3)));
    assert_eq!(world.state(id(4), 9), None);
}

#[test]
fn a_recall_takes_back_every_document_it_names_and_their_updates() {
    let world = World::new();
    world.accepted(document(id(1), 1, "K1", &[2, 3], "one"));
    world.accepted(document(id(2), 1, "K2", &[2], "two"));
    world.accepted(typed(id(3), 1, "K1", &[2, 3], "update", 2, &["K1"]));
    world.changed(change(delivery(id(1), 3), Change::Fetched));
    let mut both = typed(id(10), 1, "R", &[2, 3, 4], "recall", 1, &["K1", "K2"]);
    both.own_15 = vec![
        (AgencyId(2), made(id(20), 2, 1, "K1", 15)),
        (AgencyId(2), made(id(21), 2, 1, "K2", 15)),
        (AgencyId(3), made(id(22), 3, 1, "K1", 15)),
    ];
    let recalled = world.accepted(both);
    assert_eq!(recalled.without, [AgencyId(4)]);
    for (package, to, state) in [
        (1, 2, S::Recalled),
        (2, 2, S::Recalled),
        (3, 2, S::Recalled),
        (10, 2, S::Recalled),
        // It has the first: the recall is served, the update is not.
        (1, 3, S::Fetched),
        (3, 3, S::Recalled),
        (10, 3, S::Pending),
    ] {
        assert_eq!(
            world.state(id(package), to),
            Some(state),
            "{package} to {to}"
        );
    }
    assert_eq!(world.open_of(2), []);
    let answers: Vec<_> = world
        .open_of(1)
        .into_iter()
        .map(|(package, _)| package)
        .collect();
    assert_eq!(answers, [id(20), id(21)]);
    // Never served again, sent again or updated.
    let refused = Err(CommitError::Conflict(Conflict::Recalled));
    assert_eq!(
        world.commit(change(delivery(id(1), 3), Change::Fetched)),
        refused
    );
    let by = |answer| match answer {
        Err(CommitError::Conflict(Conflict::DocumentRecalled { by, .. })) => by,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        by(world.commit(document(id(30), 1, "K1", &[3], "one"))),
        id(10)
    );
    let update = typed(id(31), 1, "K1", &[3], "update 2", 2, &["K1"]);
    assert_eq!(by(world.commit(update)), id(10));
    // The receiver agrees: the recall is still what took it back.
    world.accepted(status(id(32), 3, 1, "K1", 15, "15 by 3"));
    assert_eq!(world.state(id(1), 3), Some(S::Recalled));
    assert_eq!(
        by(world.commit(document(id(33), 1, "K1", &[3], "one"))),
        id(10)
    );
    let cell = world
        .ledger
        .query()
        .cell(document_key(1, "K1"), AgencyId(3));
    assert_eq!(cell.current(), Some(15));
}

#[test]
fn package_ids_stay_above_the_last_one_whatever_the_clock_says() {
    let world = World::new();
    let first = world.ledger.next_package_id();
    world.accepted(document(first, 1, "K", &[2], "bytes"));
    // The axis's own 01 has the highest id of all.
    let own = world.ledger.next_package_id();
    let mut settle = acknowledge(first, 2, 1, "K", 0);
    settle.own_01 = Some(Box::new(made(own, 2, 1, "K", 1)));
    world.changed(settle);
    world.options.clock.advance(-3_600_000);
    let third = world.ledger.next_package_id();
    assert!(first < own && own < third);

    // From index and checkpoint, which know of it only what they were told; then from the
    // journal alone.
    let (folder, mut options) = (std::sync::Arc::clone(&world.folder), world.options.clone());
    options.clock = Clock::standing_at(Ms(1));
    world.ledger.close();
    drop(world);
    for derived in [true, false] {
        if !derived {
            ledger::remove_derived(folder.path()).unwrap();
        }
        let world = World::open(std::sync::Arc::clone(&folder), options.clone());
        let found = (world.start.checkpoint_used, world.start.index_trusted);
        assert_eq!(found, (derived, derived));
        assert!(world.ledger.next_package_id() > own);
        world.ledger.close();
    }
}

#[test]
fn the_registry_is_changed_only_on_the_version_it_was_read_at() {
    let world = World::new();
    let agency =
        |n: u32| crate::world::agency(n, &format!("H{n}"), ledger::event::AgencyState::Active);
    let version = world.ledger.registry().version();
    let commands = (1..=10)
        .map(|n| Command::Register {
            version,
            facts: vec![agency(n)],
        })
        .collect();
    let answers = world.commit_all(commands);
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    let changed = Err(CommitError::Conflict(Conflict::RegistryChanged));
    assert_eq!(done, 1);
    assert_eq!(
        answers.iter().filter(|answer| **answer == changed).count(),
        9
    );
    assert_eq!(world.ledger.registry().agencies().count(), 1);
}
