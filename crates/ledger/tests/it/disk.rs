//! What the ledger says and does when its disk fails or is full.

use std::io::ErrorKind;

use journal::disk::{Disk as _, OsDisk};
use ledger::event::{DeliveryState as S, Heartbeat};
use ledger::id::PackageId;
use ledger::time::Ms;
use ledger::{Change, Command, CommitError, Committed, Fact, Ledger, OpenError};

use crate::world::{
    NOON, World, acknowledge, change, delivery, document, id, operator, recall, sim_disk,
};

fn pushes(n: u32) -> Vec<Command> {
    (0..n)
        .map(|n| Command::Accept(Box::new(document(id(n), 1, "K", &[2], "the same bytes"))))
        .collect()
}

/// The package of the one answer that brought something new, and how many repeat it.
fn one_and_repeats(answers: Vec<Result<Committed, CommitError>>) -> (PackageId, usize) {
    let mut new = Vec::new();
    let mut repeats = Vec::new();
    for answer in answers {
        let Ok(Committed::Accepted(accepted)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(accepted.receivers.len(), 1);
        assert_eq!(accepted.receivers[0].package, accepted.package);
        assert_eq!(accepted.receivers[0].duplicate, accepted.anchor.is_none());
        match accepted.anchor {
            Some(_) => new.push(accepted.package),
            None => repeats.push(accepted.package),
        }
    }
    let [new] = new[..] else { panic!("{new:?}") };
    assert!(repeats.iter().all(|package| *package == new));
    (new, repeats.len())
}

#[test]
fn the_same_package_from_fifty_tasks_is_one_delivery() {
    let world = World::new();
    let (package, repeats) = one_and_repeats(world.commit_all(pushes(50)));
    assert_eq!(repeats, 49);
    assert_eq!(world.open_of(2), [(package, S::Pending)]);
    assert_eq!(world.ledger.last().unwrap().position, 1);
}

#[test]
fn fifty_pushes_under_a_failing_sync_are_unknown_and_then_one_delivery() {
    let (world, disk) = World::on_sim();
    // A push waits for the segment that is made ahead: no sync but the next batch's is to come.
    world.accepted(document(id(900), 1, "before", &[3], "before"));
    let before = world.ledger.last();
    // The first batch is held at its sync, so that what it rests on is not yet durable.
    let held = disk.hold_syncs();
    disk.fail_sync(0, ErrorKind::Other);
    let ledger = world.ledger.clone();
    let waiting = std::thread::spawn({
        move || {
            disk.wait_for_held_sync();
            // Nothing is to be seen before the sync has returned.
            let seen = (ledger.last(), ledger.query().delivery(delivery(id(0), 2)));
            let open = ledger.open_deliveries().len();
            drop(held);
            (seen, open)
        }
    });
    let answers = world.commit_all(pushes(50));
    assert_eq!(waiting.join().unwrap(), ((before, None), 1));
    let unknown = answers
        .iter()
        .filter(|a| **a == Err(CommitError::Unknown))
        .count();
    let read_only = answers
        .iter()
        .filter(|a| **a == Err(CommitError::ReadOnly))
        .count();
    assert!(unknown > 0 && unknown + read_only == 50, "{answers:?}");
    assert!(world.ledger.is_read_only());
    assert_eq!(
        world.commit(change(delivery(id(0), 2), Change::Fetched)),
        Err(CommitError::ReadOnly)
    );
    assert_eq!((world.ledger.last(), world.open_of(2).len()), (before, 0));

    let world = world.reopen();
    assert!(!world.ledger.is_read_only());
    // The records may have reached the disk or not.
    let mut anchored = 0;
    for answer in world.commit_all(pushes(50)) {
        let Ok(Committed::Accepted(accepted)) = answer else {
            panic!()
        };
        anchored += usize::from(accepted.anchor.is_some());
    }
    assert!(anchored <= 1);
    assert_eq!(world.open_of(2).len(), 1);
}

#[test]
fn after_a_power_cut_fifty_unknown_pushes_are_one_delivery() {
    let (world, disk) = World::on_sim();
    world.accepted(document(id(900), 1, "before", &[2], "before"));
    let before = world.ledger.last().unwrap();
    disk.fail_sync(0, ErrorKind::Other);
    let answers = world.commit_all(pushes(50));
    assert!(!answers.iter().any(Result::is_ok));
    // Nothing that was not sure is left.
    let after = disk.now().crash(&[]);
    let mut options = world.options.clone();
    options.disk = std::sync::Arc::new(after);
    let folder = std::sync::Arc::clone(&world.folder);
    drop(world);
    let world = World::open(folder, options);
    assert_eq!(world.ledger.last(), Some(before));
    assert_eq!(world.state(id(900), 2), Some(S::Pending));
    let (_, repeats) = one_and_repeats(world.commit_all(pushes(50)));
    assert_eq!(repeats, 49);
    assert_eq!(world.open_of(2).len(), 2);
}

/// Fills the journal until a push is refused.
fn fill(world: &World) -> u32 {
    let text = "x".repeat(3_000);
    for n in 0..1_000 {
        let accept = document(id(n), 1, &format!("K{n}"), &[2], &format!("{n} {text}"));
        match world.commit(accept) {
            Ok(_) => {}
            Err(CommitError::Full) => return n,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("never full");
}

#[test]
fn a_full_disk_refuses_pushes_and_carries_fetches_settles_and_recalls() {
    let (world, disk) = World::on_sim();
    world.accepted(document(id(5_000), 1, "first", &[2], "first"));
    disk.set_full(true);
    let full_at = fill(&world);
    assert!(full_at > 5);
    assert_eq!(world.ledger.space(), journal::Space::Reserve);
    assert!(!world.ledger.is_read_only());

    assert_eq!(
        world.changed(change(delivery(id(0), 2), Change::Fetched)).0,
        S::Fetched
    );
    assert_eq!(
        world.changed(acknowledge(id(0), 2, 1, "K0", 2_000)).0,
        S::Acknowledged
    );
    let recalled = world.accepted(recall(id(3_000), 1, "R1", "K1", &[2], 3_001));
    assert!(recalled.anchor.is_some());
    assert_eq!(world.state(id(1), 2), Some(S::Recalled));
    let redeliver = change(delivery(id(0), 2), Change::Redelivered);
    assert_eq!(world.commit(redeliver.clone()), Err(CommitError::Full));
    let more = document(id(4_000), 1, "more", &[2], "more");
    assert_eq!(world.commit(more.clone()), Err(CommitError::Full));

    disk.set_full(false);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while world.commit(more.clone()) == Err(CommitError::Full) {
        assert!(std::time::Instant::now() < deadline, "it did not recover");
        std::thread::yield_now();
    }
    assert_eq!(world.state(id(4_000), 2), Some(S::Pending));
    assert_eq!(world.changed(redeliver), (S::Pending, 2, true));
    assert_eq!(world.ledger.space(), journal::Space::Ok);
    // What was refused has left no trace, what was accepted is there.
    let world = world.reopen();
    assert_eq!(world.state(id(full_at), 2), None);
    assert_eq!(world.state(id(full_at - 1), 2), Some(S::Pending));
}

#[test]
fn settles_in_one_batch_with_a_push_that_finds_the_disk_full_go_on() {
    let (world, disk) = World::on_sim();
    for n in 0..40 {
        world.accepted(document(
            id(n),
            1,
            &format!("K{n}"),
            &[2],
            &format!("text {n}"),
        ));
    }
    disk.set_full(true);
    let text = "x".repeat(3_000);
    for n in 0..40_u32 {
        let push = document(
            id(100 + n),
            1,
            &format!("L{n}"),
            &[2],
            &format!("{n} {text}"),
        );
        let commands = vec![
            Command::Accept(Box::new(push)),
            Command::Change(Box::new(acknowledge(
                id(n),
                2,
                1,
                &format!("K{n}"),
                500 + n,
            ))),
            Command::Accept(Box::new(document(id(200 + n), 1, "M", &[2], "again"))),
        ];
        let answers = world.commit_all(commands);
        assert!(answers[1].is_ok(), "{answers:?}");
    }
    assert_eq!(world.ledger.space(), journal::Space::Reserve);
}

#[test]
fn a_failed_write_makes_it_read_only_and_nothing_is_told_that_is_not_so() {
    let (world, disk) = World::on_sim();
    world.accepted(document(id(1), 1, "K1", &[2], "one"));
    disk.fail_write(0, ErrorKind::Other);
    let second = document(id(2), 1, "K2", &[2], "two");
    assert_eq!(world.commit(second.clone()), Err(CommitError::Unknown));
    assert!(world.ledger.is_read_only());
    assert_eq!(world.commit(second.clone()), Err(CommitError::ReadOnly));
    let settle = acknowledge(id(1), 2, 1, "K1", 50);
    assert_eq!(world.commit(settle.clone()), Err(CommitError::ReadOnly));
    // What was durable is served on.
    assert_eq!(world.state(id(1), 2), Some(S::Pending));
    assert!(world.ledger.query().package(id(1)).unwrap().is_some());
    assert_eq!(world.state(id(2), 2), None);

    let world = world.reopen();
    world.accepted(second);
    assert_eq!(world.changed(settle).0, S::Acknowledged);
    assert_eq!(world.open_of(2), [(id(2), S::Pending)]);
}

#[test]
fn a_removal_that_finds_nothing_harms_nobody() {
    let world = World::new();
    let mut bare = document(id(1), 1, "K1", &[2], "one");
    bare.package.size = 0;
    let bare = ledger::Accept {
        payload: journal::Payload::None,
        ..bare
    };
    world.accepted(bare);
    world.accepted(document(id(2), 1, "K2", &[2], "two"));
    world.changed(acknowledge(id(2), 2, 1, "K2", 50));
    let remove = |package| Command::RemovePayload {
        package,
        at: Ms(NOON),
        actor: operator(),
        decision: "77/QĐ-UBND".into(),
    };
    let refused = Err(CommitError::Conflict(ledger::Conflict::NoPayload));
    assert_eq!(world.commit(remove(id(1))), refused);
    // The axis's own 01 stands in the record of an acknowledgement.
    assert_eq!(world.commit(remove(id(50))), refused);
    let not_found = Err(CommitError::Conflict(ledger::Conflict::NotFound));
    assert_eq!(world.commit(remove(id(99))), not_found);
    assert!(!world.ledger.is_read_only());
    world.accepted(document(id(3), 1, "K3", &[2], "three"));
}

#[test]
fn an_index_ahead_of_the_journal_stops_the_start() {
    let (world, disk) = World::on_sim();
    world.accepted(document(id(1), 1, "K1", &[2], "one"));
    let earlier = disk.now().crash(&[]);
    world.accepted(document(id(2), 1, "K2", &[2], "two"));
    world.ledger.close();
    let mark = journal::durable::read_file(&disk, &world.root().join("index.mark")).unwrap();
    let mut options = world.options.clone();
    let folder = std::sync::Arc::clone(&world.folder);
    drop(world);
    journal::durable::write_file(&earlier, &folder.path().join("index.mark"), &mark.unwrap())
        .unwrap();
    options.disk = std::sync::Arc::new(earlier);
    let refused = Ledger::open(options.clone(), &mut |_, _| {});
    let Err(OpenError::JournalBehind { index, journal, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(index > journal && journal == 1);
    // Without it, the loss is accepted.
    ledger::remove_derived(folder.path()).unwrap();
    let world = World::open(folder, options);
    assert!(!world.start.index_trusted);
    assert_eq!(world.open_of(2), [(id(1), S::Pending)]);
}

#[test]
fn an_index_of_another_journal_is_not_believed() {
    let (world, disk) = World::on_sim();
    world.accepted(document(id(1), 1, "K1", &[2], "one"));
    world.ledger.close();
    let mark = journal::durable::read_file(&disk, &world.root().join("index.mark")).unwrap();
    let mut options = world.options.clone();
    let folder = std::sync::Arc::clone(&world.folder);
    drop(world);
    // Another journal, at least as long, in its place.
    let other_folder = tempfile::tempdir().unwrap();
    let other = sim_disk(folder.path());
    options.disk = std::sync::Arc::new(other.clone());
    let elsewhere = folder.path().join("index");
    let aside = other_folder.path().join("index");
    OsDisk.rename(&elsewhere, &aside).unwrap();
    let world = World::open(folder, options.clone());
    for n in 10..14 {
        world.accepted(document(id(n), 1, &format!("L{n}"), &[3], "other"));
    }
    world.ledger.close();
    let folder = std::sync::Arc::clone(&world.folder);
    drop(world);
    std::fs::remove_dir_all(&elsewhere).unwrap();
    OsDisk.rename(&aside, &elsewhere).unwrap();
    journal::durable::write_file(&other, &folder.path().join("index.mark"), &mark.unwrap())
        .unwrap();
    let world = World::open(folder, options);
    assert!(!world.start.index_trusted);
    assert_eq!(world.state(id(1), 2), None);
    assert_eq!(world.open_of(3).len(), 4);
}

fn world_with_something() -> World {
    let world = World::new();
    for n in 0..20 {
        world.accepted(document(
            id(n),
            1,
            &format!("K{n}"),
            &[2, 3],
            &format!("text {n}"),
        ));
    }
    world.changed(acknowledge(id(3), 2, 1, "K3", 100));
    world
}

fn is_whole(world: &World) {
    assert_eq!(world.open_of(2).len(), 19);
    assert_eq!(world.open_of(3).len(), 20);
    assert_eq!(world.state(id(3), 2), Some(S::Acknowledged));
    assert!(world.ledger.query().package(id(7)).unwrap().is_some());
    let again = world.accepted(document(id(200), 1, "K7", &[2, 3], "text 7"));
    assert_eq!((again.anchor, again.package), (None, id(7)));
}

#[test]
fn a_clean_stop_is_trusted_and_little_is_read() {
    let world = world_with_something().reopen();
    assert!(world.start.stopped_cleanly && world.start.index_trusted);
    assert!(world.start.checkpoint_used);
    assert!(world.start.replayed <= 1, "{}", world.start.replayed);
    is_whole(&world);
}

#[test]
fn a_deleted_or_damaged_index_or_checkpoint_is_made_again() {
    type Break = fn(&std::path::Path);
    fn garble(path: &std::path::Path) {
        let mut bytes = std::fs::read(path).unwrap();
        for byte in bytes.iter_mut().step_by(7) {
            *byte ^= 0x5a;
        }
        journal::durable::write_file(&OsDisk, path, &bytes).unwrap();
    }
    let breaks: [(&str, Break, bool); 8] = [
        (
            "no mark",
            |root| std::fs::remove_file(root.join("index.mark")).unwrap(),
            false,
        ),
        (
            "no index",
            |root| std::fs::remove_dir_all(root.join("index")).unwrap(),
            false,
        ),
        (
            "garbled mark",
            |root| garble(&root.join("index.mark")),
            false,
        ),
        (
            "garbled index",
            |root| garble(&root.join("index/db")),
            false,
        ),
        (
            "garbled configuration",
            |root| garble(&root.join("index/conf")),
            false,
        ),
        (
            "another fold",
            |root| {
                let path = root.join("index.mark");
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.replace("\"fold_version\":", "\"fold_version\":9");
                journal::durable::write_file(&OsDisk, &path, text.as_bytes()).unwrap();
            },
            false,
        ),
        (
            "no checkpoint",
            |root| std::fs::remove_file(root.join("checkpoint")).unwrap(),
            true,
        ),
        (
            "garbled checkpoint",
            |root| garble(&root.join("checkpoint")),
            true,
        ),
    ];
    for (name, break_it, index_stays) in breaks {
        let world = world_with_something();
        world.ledger.close();
        let (folder, options) = (std::sync::Arc::clone(&world.folder), world.options.clone());
        drop(world);
        break_it(folder.path());
        let world = World::open(folder, options);
        assert_eq!(world.start.index_trusted, index_stays, "{name}");
        assert_eq!(world.start.checkpoint_used, !index_stays, "{name}");
        assert!(world.start.replayed > 20, "{name}");
        is_whole(&world);
        let _ = world
            .commit(Command::Note(Fact::Heartbeat(Heartbeat { at_ms: 1 })))
            .unwrap();
    }
}

#[test]
fn what_waits_at_a_close_gets_an_answer_and_later_commands_are_refused() {
    let world = World::new();
    let ledger = world.ledger.clone();
    let closer = std::thread::spawn(move || ledger.close());
    let mut stored = 0;
    for (n, answer) in world
        .commit_all(pushes_of_many(300))
        .into_iter()
        .enumerate()
    {
        match answer {
            Ok(_) => stored += 1,
            Err(CommitError::Closed) => {}
            Err(error) => panic!("{n}: {error}"),
        }
    }
    closer.join().unwrap();
    let after = document(id(900), 1, "after", &[2], "after");
    assert_eq!(world.commit(after), Err(CommitError::Closed));
    assert!(!world.ledger.note(Fact::Heartbeat(Heartbeat { at_ms: 1 })));
    let world = world.reopen();
    assert!(world.start.stopped_cleanly);
    assert_eq!(world.open_of(2).len(), stored);
}

fn pushes_of_many(n: u32) -> Vec<Command> {
    (0..n)
        .map(|n| {
            let text = format!("bytes {n}");
            Command::Accept(Box::new(document(id(n), 1, &format!("K{n}"), &[2], &text)))
        })
        .collect()
}
