//! What happens when commands race: every order, and for each order every way in which the
//! sequencer may have drained them.

use std::collections::BTreeSet;

use super::world::{
    acknowledge, change, delivery, document, document_key, id, recall, status, status_13,
};
use super::{Answer, Desk};
use crate::command::{Command, CommitError, Committed, Conflict};
use crate::event::DeliveryState as S;
use crate::fact::Change;
use crate::id::{AgencyId, DeliveryId};
use crate::rows::{self, CellRow, DeliveryRow, HolderRow, View, read};

const SENDER: u32 = 1;
const TO: u32 = 2;

/// A race: what stands before it, and what races. Ids count from `base`, and the document's
/// key is made of it, so that one ledger serves any number of runs.
struct Race {
    before: fn(u32) -> Vec<Command>,
    racing: fn(u32) -> Vec<Command>,
}

fn key(base: u32) -> String {
    format!("K{base}")
}

fn put(wish: impl Into<super::world::Wish>) -> Command {
    wish.into().0
}

fn push(base: u32, n: u32) -> Command {
    put(document(
        id(base + n),
        SENDER,
        &key(base),
        &[TO],
        &format!("bytes {base}"),
    ))
}

fn given(base: u32) -> Vec<Command> {
    vec![push(base, 0)]
}

fn given_acknowledged(base: u32) -> Vec<Command> {
    vec![push(base, 0), settle(base, 50)]
}

fn of(base: u32) -> DeliveryId {
    delivery(id(base), TO)
}

fn settle(base: u32, own: u32) -> Command {
    put(acknowledge(id(base), TO, SENDER, &key(base), base + own))
}

fn settle_round(base: u32, round: u32) -> Command {
    let mut settle = acknowledge(id(base), TO, SENDER, &key(base), base + 70 + round);
    settle.round = Some(round);
    put(settle)
}

fn simple(base: u32, what: Change) -> Command {
    put(change(of(base), what))
}

fn take_back(base: u32) -> Command {
    let recalling = format!("R{base}");
    put(recall(
        id(base + 20),
        SENDER,
        &recalling,
        &key(base),
        &[TO],
        base + 21,
    ))
}

fn report(base: u32, n: u32, code: u32, text: &str) -> Command {
    let bytes = format!("{text} {base}");
    put(status(id(base + n), TO, SENDER, &key(base), code, &bytes))
}

/// What an answer says, without ids.
fn said(answer: &Answer) -> String {
    match answer {
        Ok(Committed::Accepted(accepted)) => {
            let repeated: Vec<_> = accepted.receivers.iter().map(|r| r.duplicate).collect();
            let new = accepted.anchor.is_some();
            format!(
                "accepted new={new} repeated={repeated:?} without={}",
                accepted.without.len()
            )
        }
        Ok(Committed::Changed {
            state,
            round,
            changed,
        }) => format!("{state:?} round={round} changed={changed}"),
        Ok(Committed::AllAccepted(all)) => {
            let new: Vec<_> = all.iter().map(|a| a.anchor.is_some()).collect();
            format!("accepted new={new:?}")
        }
        Ok(Committed::Recorded) => "recorded".into(),
        Ok(Committed::Alert { position }) => format!("alert new={}", position.is_some()),
        Err(CommitError::Conflict(conflict)) => {
            let text = format!("{conflict:?}");
            text.split([' ', '{', '('])
                .next()
                .unwrap_or_default()
                .to_owned()
        }
        Err(error) => format!("{error:?}"),
    }
}

/// What stands after a race, without ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct After {
    answers: Vec<String>,
    state: String,
    seen: Vec<u32>,
    own: bool,
    axis_01: bool,
    current: Option<u8>,
    recalled: bool,
    /// Packages about the document, and how many deliveries wait at either side.
    about: usize,
    waiting: (usize, usize),
}

fn after(desk: &Desk, base: u32, answers: Vec<String>) -> After {
    let view = &desk.state;
    let document = document_key(SENDER, &key(base));
    let to = AgencyId(TO);
    let row: Option<DeliveryRow> = read(view, &rows::delivery(of(base)));
    let cell: CellRow = read(view, &rows::cell(document, to)).unwrap_or_default();
    let holder: Option<HolderRow> = read(view, &rows::holder(document, to));
    let waiting = |agency: u32| {
        let open = view.open();
        let ids = base..base + 100;
        open.of(AgencyId(agency))
            .filter(|(_, open)| open.is_deliverable() && ids.contains(&open.package.counter()))
            .count()
    };
    After {
        answers,
        state: row.map_or_else(String::new, |row| {
            format!("{:?}/{}", row.state(), row.round)
        }),
        seen: (0..64)
            .filter(|code| cell.seen & (1 << code) != 0)
            .collect(),
        own: cell.own,
        axis_01: cell.axis_01,
        current: cell.current(),
        recalled: holder.is_some_and(|holder| !holder.recalled_by.is_empty()),
        about: view.scan(&rows::all_about(document)).len(),
        waiting: (waiting(TO), waiting(SENDER)),
    }
}

fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(n - 1) {
        for at in 0..n {
            let mut order = order.clone();
            order.insert(at, n - 1);
            all.push(order);
        }
    }
    all
}

/// Runs every order in every batching; the outcomes, each with its answers in the order in
/// which the race names its commands.
fn explore(desk: &mut Desk, race: &Race, base: &mut u32) -> BTreeSet<After> {
    let n = (race.racing)(0).len();
    let mut outcomes = BTreeSet::new();
    for order in orders(n) {
        let mut same: Option<After> = None;
        for split in 0..1_u32 << (n - 1) {
            *base += 100;
            for command in (race.before)(*base) {
                desk.one(command).unwrap();
            }
            let mut racing: Vec<_> = (race.racing)(*base).into_iter().map(Some).collect();
            let mut answers = vec![String::new(); n];
            let mut batch = Vec::new();
            for (at, number) in order.iter().enumerate() {
                batch.push((*number, racing[*number].take().unwrap()));
                if at + 1 == n || split & (1 << at) != 0 {
                    let (numbers, commands): (Vec<_>, Vec<_>) =
                        std::mem::take(&mut batch).into_iter().unzip();
                    for (number, answer) in numbers.into_iter().zip(desk.run(commands)) {
                        answers[number] = said(&answer);
                    }
                }
            }
            let outcome = after(desk, *base, answers);
            match &same {
                None => same = Some(outcome),
                Some(same) => assert_eq!(same, &outcome, "order {order:?}, split {split:b}"),
            }
        }
        outcomes.extend(same);
    }
    outcomes
}

/// Explores a race, and that a batch whose sync fails leaves nothing to be seen, and can be
/// sent again.
fn outcomes(race: &Race) -> BTreeSet<After> {
    let mut desk = Desk::new();
    let mut base = 0;
    let outcomes = explore(&mut desk, race, &mut base);

    base += 100;
    for command in (race.before)(base) {
        desk.one(command).unwrap();
    }
    let (before, last) = (desk.dump(), desk.state.last());
    let open = desk.state.open().clone();
    desk.disk.fail_sync(0, std::io::ErrorKind::Other);
    for answer in desk.run((race.racing)(base)) {
        assert_eq!(answer, Err(CommitError::Unknown));
    }
    assert!(desk.sequencer.is_read_only());
    assert_eq!(desk.dump(), before);
    assert_eq!(desk.state.last(), last);
    assert_eq!(*desk.state.open(), open);
    for answer in desk.run((race.racing)(base)) {
        assert_eq!(answer, Err(CommitError::ReadOnly));
    }
    let mut desk = desk.reopen();
    // Whether it was durable or not: sent again, it is there once. (An operator's redelivery
    // is no such command: a second one is a second round.)
    let _ = desk.run((race.racing)(base));
    let again = desk.run((race.racing)(base));
    let resent = after(&desk, base, Vec::new());
    let known = |outcome: &After| (outcome.recalled, outcome.axis_01, outcome.about);
    assert!(
        outcomes
            .iter()
            .any(|outcome| known(outcome) == known(&resent)),
        "{resent:?} after {again:?}"
    );
    outcomes
}

#[test]
fn the_same_package_three_times_is_one_delivery() {
    let race = Race {
        before: |_| Vec::new(),
        racing: |base| vec![push(base, 0), push(base, 1), push(base, 2)],
    };
    let outcomes = outcomes(&race);
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        let new = "accepted new=true repeated=[false] without=0";
        let repeated = "accepted new=false repeated=[true] without=0";
        let is = |text: &str| outcome.answers.iter().filter(|said| *said == text).count();
        assert_eq!((is(new), is(repeated)), (1, 2));
        assert_eq!(outcome.waiting, (1, 0));
        assert_eq!(outcome.about, 1);
    }
}

#[test]
fn a_fetch_races_a_recall_in_exactly_two_ways() {
    let race = Race {
        before: given,
        racing: |base| vec![simple(base, Change::Fetched), take_back(base)],
    };
    let outcomes: Vec<_> = outcomes(&race).into_iter().collect();
    assert_eq!(outcomes.len(), 2);
    let [fetched, recalled] = &outcomes[..] else {
        panic!()
    };
    // The receiver has it: the recall is served, its answer awaited.
    assert_eq!(fetched.state, "Fetched/1");
    assert_eq!(fetched.answers[0], "Fetched round=1 changed=true");
    // Of the two only the recall is offered.
    assert_eq!((fetched.current, fetched.waiting), (None, (1, 0)));
    // It has not: neither is served, and the axis answers for it.
    assert_eq!(recalled.state, "Recalled/1");
    assert_eq!(recalled.answers[0], "Recalled");
    assert_eq!((recalled.current, recalled.waiting), (Some(15), (0, 1)));
    assert!(fetched.recalled && recalled.recalled);
}

/// Two receivers, and somebody who never got the document.
fn asks(base: u32, to: &[u32]) -> Command {
    let asked = to.iter().zip(0..).map(|(to, n)| {
        let text = format!("13 {base} {to}");
        let own = base + 40 + n;
        let mut asks = status_13(id(base + 20 + n), SENDER, &key(base), *to, &text, own);
        // Its bytes stand in the event.
        asks.package.made = text.into_bytes().into();
        asks.payload = journal::Payload::None;
        asks
    });
    Command::AcceptAll(asked.collect())
}

#[test]
fn several_are_asked_in_one_record_or_nobody_is() {
    const OTHER: u32 = 3;
    let mut desk = Desk::new();
    let given = |base: u32| {
        let text = format!("document {base}");
        put(document(id(base), SENDER, &key(base), &[TO, OTHER], &text))
    };
    desk.one(given(100)).unwrap();
    desk.one(simple(100, Change::Fetched)).unwrap();
    let before = (desk.dump(), desk.state.last());
    let with_a_stranger = desk.one(asks(100, &[TO, 7, OTHER]));
    assert_eq!(
        with_a_stranger,
        Err(CommitError::Conflict(Conflict::NotAReceiver {
            agency: AgencyId(7)
        }))
    );
    assert_eq!((desk.dump(), desk.state.last()), before, "nothing of it");
    let position = before.1.unwrap().position;
    let Ok(Committed::AllAccepted(all)) = desk.one(asks(100, &[TO, OTHER])) else {
        panic!()
    };
    let at = |accepted: &crate::Accepted| accepted.anchor.as_ref().unwrap().position;
    assert_eq!(all.iter().map(at).collect::<Vec<_>>(), [position + 1; 2]);
    // Who had fetched must answer, who had not is answered for.
    let fetched = after(&desk, 100, Vec::new());
    assert_eq!(
        (fetched.state.as_str(), fetched.current),
        ("Fetched/1", Some(13))
    );
    let unread: CellRow = read(
        &desk.state,
        &rows::cell(document_key(SENDER, &key(100)), AgencyId(OTHER)),
    )
    .unwrap();
    assert_eq!(unread.current(), Some(15));
    // Sent again word for word it brings nothing new.
    let Ok(Committed::AllAccepted(again)) = desk.one(asks(100, &[TO, OTHER])) else {
        panic!()
    };
    assert!(again.iter().all(|accepted| accepted.anchor.is_none()));
    assert_eq!(desk.state.last().unwrap().position, position + 1);
}

#[test]
fn a_fetch_races_a_recall_of_several_in_exactly_two_ways() {
    let race = Race {
        before: given,
        racing: |base| vec![simple(base, Change::Fetched), asks(base, &[TO])],
    };
    let outcomes: Vec<_> = outcomes(&race).into_iter().collect();
    let ends: Vec<_> = outcomes
        .iter()
        .map(|after| (after.state.as_str(), after.current, after.waiting))
        .collect();
    assert_eq!(
        ends,
        [
            ("Fetched/1", Some(13), (1, 0)),
            ("Recalled/1", Some(15), (0, 1))
        ]
    );
}

#[test]
fn a_settle_races_a_recall_in_exactly_two_ways() {
    let race = Race {
        before: given,
        racing: |base| vec![settle(base, 50), take_back(base)],
    };
    let outcomes: Vec<_> = outcomes(&race).into_iter().collect();
    assert_eq!(outcomes.len(), 2);
    let [settled, recalled] = &outcomes[..] else {
        panic!()
    };
    assert_eq!(
        (settled.state.as_str(), settled.axis_01),
        ("Acknowledged/1", true)
    );
    assert_eq!(settled.seen, [1]);
    assert_eq!(
        (recalled.state.as_str(), recalled.axis_01),
        ("Recalled/1", false)
    );
    assert_eq!(recalled.seen, [15]);
    assert_eq!(recalled.answers[0], "Recalled");
}

#[test]
fn a_status_13_races_a_fetch_and_a_settle() {
    let race = Race {
        before: given,
        racing: |base| {
            let asked = format!("13 {base}");
            vec![
                simple(base, Change::Fetched),
                settle(base, 50),
                put(status_13(
                    id(base + 20),
                    SENDER,
                    &key(base),
                    TO,
                    &asked,
                    base + 21,
                )),
            ]
        },
    };
    for outcome in outcomes(&race) {
        assert!(outcome.recalled);
        let had = outcome.state == "Acknowledged/1";
        assert_eq!(outcome.axis_01, had, "{outcome:?}");
        assert_eq!(
            outcome.seen.contains(&15),
            !outcome.answers[0].contains("round") && !had
        );
    }
}

#[test]
fn settling_twice_settles_once_and_gives_one_01() {
    let race = Race {
        before: given,
        racing: |base| {
            vec![
                settle(base, 50),
                settle(base, 51),
                simple(base, Change::Fetched),
            ]
        },
    };
    for outcome in outcomes(&race) {
        assert_eq!(outcome.state, "Acknowledged/1");
        assert_eq!((outcome.seen, outcome.waiting), (vec![1], (0, 1)));
        let changed = |said: &&String| said.starts_with("Acknowledged") && said.contains("=true");
        assert_eq!(outcome.answers[..2].iter().filter(changed).count(), 1);
    }
}

#[test]
fn a_settle_of_an_earlier_round_leaves_a_redelivery_alone() {
    let race = Race {
        before: given_acknowledged,
        racing: |base| {
            vec![
                simple(base, Change::Redelivered),
                settle_round(base, 1),
                settle_round(base, 2),
            ]
        },
    };
    for outcome in outcomes(&race) {
        assert!(outcome.answers[1].ends_with("changed=false"), "{outcome:?}");
        let settled = outcome.answers[2].ends_with("changed=true");
        let expected = if settled {
            "Acknowledged/2"
        } else {
            "Pending/2"
        };
        assert_eq!(outcome.state, expected);
        // No second 01 by the axis.
        assert_eq!(outcome.waiting.1, 1);
    }
}

#[test]
fn the_axis_makes_its_01_only_before_any_status_of_the_receiver() {
    let race = Race {
        before: given,
        racing: |base| {
            vec![
                settle(base, 50),
                report(base, 30, 1, "own 01"),
                report(base, 31, 3, "own 03"),
            ]
        },
    };
    for outcome in outcomes(&race) {
        assert!(outcome.own);
        // 03 reaches the sender, and one 01: the axis's or the receiver's, whichever was
        // first; neither if 03 was there before the settle and the receiver sent no 01.
        assert_eq!(outcome.waiting.1, 2, "{outcome:?}");
        assert_eq!(outcome.seen, [1, 3]);
    }
}

#[test]
fn a_status_races_its_document() {
    let race = Race {
        before: |_| Vec::new(),
        racing: |base| vec![push(base, 0), report(base, 30, 3, "03"), settle(base, 50)],
    };
    for outcome in outcomes(&race) {
        assert_eq!(
            outcome.about,
            2 + usize::from(outcome.axis_01),
            "{outcome:?}"
        );
        assert!(outcome.seen.contains(&3) && outcome.own);
        assert_eq!(outcome.current, Some(3));
    }
}

#[test]
fn the_same_15_counts_again_after_a_newer_request() {
    let race = Race {
        before: |base| vec![push(base, 0), simple(base, Change::Fetched)],
        racing: |base| {
            let asked = format!("13 {base}");
            vec![
                report(base, 30, 15, "15"),
                report(base, 31, 15, "15"),
                put(status_13(
                    id(base + 20),
                    SENDER,
                    &key(base),
                    TO,
                    &asked,
                    base + 21,
                )),
            ]
        },
    };
    let outcomes = outcomes(&race);
    let between = |outcome: &After| outcome.current == Some(15) && outcome.about == 4;
    assert!(outcomes.iter().any(between), "{outcomes:?}");
}

#[test]
fn four_at_once_leave_one_of_the_allowed_states() {
    let race = Race {
        before: given,
        racing: |base| {
            vec![
                simple(base, Change::Fetched),
                settle(base, 50),
                take_back(base),
                simple(base, Change::Redelivered),
            ]
        },
    };
    let states: BTreeSet<_> = outcomes(&race)
        .into_iter()
        .map(|after| after.state)
        .collect();
    let allowed = [
        "Acknowledged/1",
        "Pending/2",
        "Fetched/2",
        "Recalled/1",
        "Recalled/2",
    ];
    assert!(
        states.iter().all(|state| allowed.contains(&state.as_str())),
        "{states:?}"
    );
}

/// The table has no word for it: a dropped state cannot come out of a race.
#[test]
fn what_is_dead_is_tried_again_or_dropped_but_not_both() {
    let race = Race {
        before: |base| {
            let dead = [Change::Fetched, Change::Dead].map(|what| simple(base, what));
            [given(base), dead.into()].concat()
        },
        racing: |base| vec![simple(base, Change::Retried), simple(base, Change::Dropped)],
    };
    for outcome in outcomes(&race) {
        let done = outcome
            .answers
            .iter()
            .filter(|said| said.ends_with("changed=true"));
        assert_eq!(done.count(), 1, "{outcome:?}");
        let expected = [S::Pending, S::Dropped].map(|state| format!("{state:?}/1"));
        assert!(expected.contains(&outcome.state));
    }
}

#[test]
fn a_recall_of_what_the_receiver_had_before_it_died_is_served() {
    let race = Race {
        before: |base| {
            let dead = [Change::Fetched, Change::Dead].map(|what| simple(base, what));
            [given(base), dead.into()].concat()
        },
        racing: |base| vec![simple(base, Change::Retried), take_back(base)],
    };
    for outcome in outcomes(&race) {
        assert_eq!(outcome.state, "Recalled/1");
        assert_eq!(
            outcome.waiting,
            (1, 0),
            "the recall, and no 15 of the axis's: {outcome:?}"
        );
    }
}

#[test]
fn a_settle_in_one_batch_with_a_push_that_finds_the_disk_full_is_not_refused() {
    let mut desk = Desk::new();
    for base in (0..4_000).step_by(100) {
        desk.one(push(base, 0)).unwrap();
    }
    desk.disk.set_full(true);
    let text = "x".repeat(4_000);
    let mut refused = 0;
    for base in (0..4_000).step_by(100) {
        let more = |n: u32| {
            let key = format!("more {base} {n}");
            put(document(
                id(base + n),
                SENDER,
                &key,
                &[TO],
                &format!("{base} {n}|{text}"),
            ))
        };
        // The settle of a push in the same batch rests on it.
        let unfounded = put(change(delivery(id(base + 10), TO), Change::Acknowledged));
        let batch = vec![more(10), settle(base, 50), unfounded, more(11)];
        let said: Vec<_> = desk.run(batch).iter().map(said).collect();
        assert_eq!(said[1], "Acknowledged round=1 changed=true");
        let full = said[0] == "Full";
        assert_eq!(said[3] == "Full", full);
        assert_eq!(said[2] == "NotFound", full, "{said:?}");
        refused += usize::from(full);
    }
    assert!(refused > 2, "{refused}");
    assert!(!desk.sequencer.is_read_only());
}
