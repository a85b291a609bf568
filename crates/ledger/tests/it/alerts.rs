//! One raising and one clearing of each incident, whoever asks how often, and over a restart.

use ledger::event::{AlertCleared, AlertRaised, AlertTold};
use ledger::time::Ms;
use ledger::{Command, Committed, Fact, alert::Alert};

use crate::world::{NOON, World};

fn raise(subject: &str, detail: &str) -> Command {
    Command::Raise(AlertRaised {
        kind: "oldest-age".to_owned(),
        subject: subject.to_owned(),
        at_ms: NOON,
        detail: detail.to_owned(),
        detail_en: String::new(),
    })
}

fn clear(subject: &str) -> Command {
    Command::Clear(AlertCleared {
        kind: "oldest-age".to_owned(),
        subject: subject.to_owned(),
        at_ms: NOON + 60_000,
    })
}

fn changed(world: &World, command: Command) -> bool {
    match world.commit(command) {
        Ok(Committed::Alert { position }) => position.is_some(),
        other => panic!("not an alert: {other:?}"),
    }
}

fn standing(world: &World) -> Vec<String> {
    let alerts = world.ledger.query().standing_alerts().unwrap();
    alerts.into_iter().map(|a| a.raised.subject).collect()
}

fn history(world: &World) -> Vec<Alert> {
    world.ledger.query().alerts(&[], 100).unwrap()
}

#[test]
fn an_alert_stands_once_and_falls_once() {
    let mut world = World::new();
    assert!(!changed(&world, clear("a/flash")), "nothing stands yet");
    assert!(changed(&world, raise("a/flash", "first")));
    assert!(!changed(&world, raise("a/flash", "again")));
    assert!(changed(&world, raise("a/urgent", "other")));
    for _ in 0..2 {
        assert_eq!(standing(&world), ["a/flash", "a/urgent"]);
        assert!(!changed(&world, raise("a/flash", "after a restart")));
        world = world.reopen();
    }
    assert!(changed(&world, clear("a/flash")));
    assert!(!changed(&world, clear("a/flash")));
    world = world.reopen();
    assert!(!changed(&world, clear("a/flash")));
    assert_eq!(standing(&world), ["a/urgent"]);
    // A new incident is a new alert.
    assert!(changed(&world, raise("a/flash", "second")));
    let told = |at: (u64, u32)| {
        Fact::AlertTold(AlertTold {
            position: at.0,
            fact: at.1,
            at_ms: NOON + 1,
            ..AlertTold::default()
        })
    };
    let newest = &history(&world)[0];
    assert_eq!(newest.raised.detail, "second");
    world.commit(Command::Note(told(newest.at))).unwrap();
    let lines = |world: &World| -> Vec<(String, Option<Ms>, Option<Ms>)> {
        let line = |a: Alert| (a.raised.detail, a.cleared_at, a.told_raised_at);
        history(world).into_iter().map(line).collect()
    };
    let expected = [
        ("second".to_owned(), None, Some(Ms(NOON + 1))),
        ("other".to_owned(), None, None),
        ("first".to_owned(), Some(Ms(NOON + 60_000)), None),
    ];
    assert_eq!(lines(&world), expected);
    // Without index and checkpoint the journal tells the same.
    let (folder, options) = (world.folder.clone(), world.options.clone());
    world.ledger.close();
    drop(world);
    ledger::remove_derived(folder.path()).unwrap();
    let world = World::open(folder, options);
    assert_eq!(lines(&world), expected);
    assert_eq!(standing(&world), ["a/urgent", "a/flash"]);
}

#[test]
fn many_who_raise_at_once_raise_one() {
    let world = World::new();
    let raised = |answers: Vec<Result<Committed, _>>| {
        let is = |answer: &Result<Committed, ledger::CommitError>| {
            matches!(answer, Ok(Committed::Alert { position: Some(_) }))
        };
        answers.iter().filter(|answer| is(answer)).count()
    };
    for _ in 0..20 {
        let all = (0..50).map(|n| raise("b", &n.to_string())).collect();
        assert_eq!(raised(world.commit_all(all)), 1);
        let all = (0..50).map(|_| clear("b")).collect();
        assert_eq!(raised(world.commit_all(all)), 1);
    }
    assert_eq!(history(&world).len(), 20);
}

#[test]
fn the_history_goes_on_page_by_page() {
    let world = World::new();
    for n in 0..7 {
        assert!(changed(&world, raise(&format!("s{n}"), "")));
    }
    let mut seen = Vec::new();
    let mut cursor = Vec::new();
    loop {
        let page = world.ledger.query().alerts(&cursor, 3).unwrap();
        let Some(last) = page.last() else { break };
        cursor = last.cursor.clone();
        seen.extend(page.into_iter().map(|alert| alert.raised.subject));
    }
    assert_eq!(seen, ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]);
}
