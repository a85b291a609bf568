//! What receivers owe: documents to fetch, recalls to answer, documents to end in time.

use std::time::Duration;

use edxml::write::document;
use edxml::{Date, Priority};
use exchange::refusal::Name;
use exchange::{
    AlertKind, Caller, Credentials, DocumentRef, Matrix, MatrixCounts, NewSystem, Outcome, Owing,
    RecallAnswer, Remind, Search,
};
use ledger::time::{Clock, Ms};

use crate::alerts::{incident, stands};
use crate::ground::{A, B, C, Ground, decided, draft, new, operator, recall, report};

/// Monday, 2026-11-23 08:00 in Vietnam.
const MONDAY: Ms = Ms(1_795_395_600_000);
const HOUR: i64 = 3_600_000;

async fn reminding(remind: Option<Duration>) -> Ground {
    let clock = Clock::standing_at(MONDAY);
    Ground::with(move |options| {
        options.clock = clock.clone();
        options.alerts.every = Duration::from_millis(10);
        options.alerts.disk_free_percent = 0;
        options.alerts.sync = Duration::from_secs(600);
        // What these alerts say of is looked at in other tests.
        let never = Duration::from_secs(1_000 * 86_400);
        options.alerts.oldest = [never; 4];
        options.alerts.unattended = never;
        options.alerts.escalate = Vec::new();
        // It has a test of its own.
        options.alerts.remind = remind;
    })
    .await
}

/// Without reminders of the axis's own.
async fn ground() -> Ground {
    reminding(None).await
}

fn pass(ground: &Ground, ms: i64) {
    ground.clock().advance(ms);
}

fn everything() -> Caller {
    Caller::Operator(operator())
}

async fn matrix(ground: &Ground, id: &str) -> Matrix {
    let document = DocumentRef::Document {
        sender: A.to_owned(),
        document_id: id.to_owned(),
    };
    ground
        .exchange
        .matrix(&everything(), document)
        .await
        .unwrap()
}

async fn answers(ground: &Ground, id: &str) -> Vec<(String, Option<RecallAnswer>, String)> {
    let mut answers: Vec<_> = matrix(ground, id)
        .await
        .cells
        .into_iter()
        .map(|cell| {
            let reason = cell.recall.as_ref().map(|recall| recall.reason.clone());
            let answer = cell.recall.map(|recall| recall.answer);
            (cell.receiver.main_code, answer, reason.unwrap_or_default())
        })
        .collect();
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    answers
}

async fn owed(ground: &Ground) -> Vec<(Owing, String, String)> {
    let reminders = ground.exchange.reminders().await.unwrap().into_iter();
    reminders
        .map(|reminder| {
            let agency = reminder.agency.main_code;
            (reminder.owing, agency, reminder.document_id)
        })
        .collect()
}

#[tokio::test]
async fn rc_02_the_matrix_tells_four_states_and_who_does_not_answer_is_reminded() {
    let ground = ground().await;
    for (id, to) in [("d-1", &[A, B, C] as &[&str]), ("d-2", &[B])] {
        ground.push(&ground.a, new(id, to)).await.unwrap();
    }
    assert_eq!(answers(&ground, "d-2").await[0].1, None, "nobody asked");
    // Before the fetch the axis answers; after it the receiver must.
    ground.push(&ground.a, recall("d-2", &[B])).await.unwrap();
    assert_eq!(
        answers(&ground, "d-2").await[0].1,
        Some(RecallAnswer::Agreed)
    );
    for peer in [&ground.b, &ground.c, &ground.a] {
        ground.take_all(peer).await;
    }
    let asked = ground
        .push(&ground.a, recall("d-1", &[A, B, C]))
        .await
        .unwrap();
    let asked = asked.package.to_string();
    for peer in [&ground.b, &ground.c] {
        ground.take_all(peer).await;
    }
    let agrees = report(15, B, A, "d-1", "Đã hủy");
    ground.push(&ground.b, agrees).await.unwrap();
    let declines = report(16, C, A, "d-1", "Đang dùng để giải quyết hồ sơ");
    ground.push(&ground.c, declines).await.unwrap();
    ground.take_all(&ground.a).await;
    let told =
        |code: &str, answer, reason: &str| (code.to_owned(), Some(answer), reason.to_owned());
    let expected = |open| {
        [
            told(A, open, ""),
            told(B, RecallAnswer::Agreed, "Đã hủy"),
            told(C, RecallAnswer::Refused, "Đang dùng để giải quyết hồ sơ"),
        ]
    };
    assert_eq!(answers(&ground, "d-1").await, expected(RecallAnswer::Asked));
    assert_eq!(owed(&ground).await, []);

    // Eight working hours later, over the lunch break and the night.
    pass(&ground, 25 * HOUR);
    let ground = ground.restarted().await;
    assert_eq!(
        answers(&ground, "d-1").await,
        expected(RecallAnswer::NoAnswer)
    );
    assert_eq!(
        owed(&ground).await,
        [(Owing::Unanswered, A.to_owned(), "d-1".to_owned())]
    );
    stands(&ground.exchange, &[("recall-unanswered", &asked)]).await;

    // A reminder is the recall once more, with a reason, to who owes the answer only.
    let whom = || Remind::Agency(A.to_owned());
    let refused = ground.exchange.remind(&operator(), whom(), " ").await;
    assert_eq!(refused.unwrap_err().name, Name::BadArgument);
    let reminded = ground
        .exchange
        .remind(&operator(), whom(), "quá hạn trả lời")
        .await
        .unwrap();
    assert_eq!(reminded.sent.len(), 1);
    assert_eq!(
        (reminded.sent[0].2.to_string(), reminded.sent[0].3),
        (asked.clone(), 2)
    );
    assert!(ground.fetch(&ground.b).await.is_none());
    let (header, _) = ground.fetch(&ground.a).await.expect("the recall once more");
    assert_eq!((header.delivery, header.round), (reminded.sent[0].1, 2));

    let agrees = report(15, A, A, "d-1", "");
    ground.push(&ground.a, agrees).await.unwrap();
    stands(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::RecallUnanswered, &asked).await;
    let none = ground
        .exchange
        .remind(&operator(), whom(), "lần nữa")
        .await
        .unwrap();
    assert_eq!(none, exchange::Reminded::default());
    ground.exchange.close().await;
}

/// The request once more, or nothing for now.
async fn asked_again(ground: &Ground) -> (exchange::Header, u32) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Some((header, _)) = ground.fetch(&ground.b).await {
            let settled = ground.settle(&ground.b, header.delivery, Outcome::Acknowledged);
            settled.await.unwrap();
            let round = header.round;
            return (header, round);
        }
        assert!(std::time::Instant::now() < deadline, "nothing comes");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rc_02_the_axis_itself_asks_again_and_not_twice_over_a_restart() {
    let ground = reminding(Some(Duration::from_secs(8 * 3_600))).await;
    for id in ["d-1", "d-2"] {
        ground.push(&ground.a, new(id, &[B])).await.unwrap();
    }
    ground.take_all(&ground.b).await;
    // The second one an hour after the first; the receiver takes both and says nothing.
    let first = ground.push(&ground.a, recall("d-1", &[B])).await.unwrap();
    pass(&ground, HOUR);
    let second = ground.push(&ground.a, recall("d-2", &[B])).await.unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None, None]);

    // Eight and a half working hours after the first, seven and a half after the second.
    pass(&ground, 24 * HOUR);
    let (header, round) = asked_again(&ground).await;
    assert_eq!((header.package, round), (first.package, 2));
    // A restart forgets nothing and repeats nothing: what comes next is the second one.
    let ground = ground.restarted().await;
    pass(&ground, HOUR);
    let (header, round) = asked_again(&ground).await;
    assert_eq!((header.package, round), (second.package, 2));
    assert!(ground.fetch(&ground.b).await.is_none());

    // Who answers is left alone; who does not is asked again when the time has passed again.
    ground
        .push(&ground.b, report(15, B, A, "d-1", ""))
        .await
        .unwrap();
    pass(&ground, 26 * HOUR);
    let (header, round) = asked_again(&ground).await;
    assert_eq!((header.package, round), (second.package, 3));
    assert!(ground.fetch(&ground.b).await.is_none());
    let trace = ground
        .exchange
        .trace(&everything(), &first.package.to_string())
        .await
        .unwrap();
    let reminders = trace
        .events
        .iter()
        .filter(|event| event.kind == "redelivered");
    let reminders: Vec<_> = reminders.collect();
    assert_eq!(reminders.len(), 1, "{reminders:?}");
    ground.exchange.close().await;
}

#[tokio::test]
async fn sta_04_who_has_not_said_01_or_later_by_the_end_of_the_day_is_listed() {
    let ground = ground().await;
    ground
        .push(&ground.a, new("d-1", &[A, B, C]))
        .await
        .unwrap();
    // B settles: the axis says 01 for it. A says 03 without settling. C does nothing.
    ground.take_all(&ground.b).await;
    ground
        .push(&ground.a, report(3, A, A, "d-1", ""))
        .await
        .unwrap();
    let told = ground.take_all(&ground.a).await;
    assert!(told.contains(&Some(1)), "B's 01 by the axis: {told:?}");
    pass(&ground, 9 * HOUR - 60_000);
    assert_eq!(owed(&ground).await, [], "16:59");
    pass(&ground, 60_000);
    let mute = [(Owing::Unconfirmed, C.to_owned(), String::new())];
    assert_eq!(owed(&ground).await, mute, "17:00");
    let ground = ground.restarted().await;
    assert_eq!(owed(&ground).await, mute);
    let reminder = ground.exchange.reminders().await.unwrap().remove(0);
    assert_eq!((reminder.since, reminder.count), (MONDAY, 1));
    ground.take_all(&ground.c).await;
    assert_eq!(owed(&ground).await, []);
    ground.exchange.close().await;
}

#[tokio::test]
async fn sta_04_one_whose_01_the_axis_does_not_say_owes_it_after_it_settled_too() {
    let ground = ground().await;
    let (exchange, code) = (&ground.exchange, "000.00.04.H99");
    let csv = format!("code,code_2020,name,parent\n{code},,Sở Y tế,\n");
    let by = operator();
    let imported = exchange.import_agencies(&by, csv.into(), decided("14/QĐ"));
    imported.await.unwrap();
    let system = NewSystem {
        id: "y".to_owned(),
        agencies: vec![code.to_owned()],
        axis_acknowledges: false,
        with_key: true,
        ..NewSystem::default()
    };
    let (_, key) = exchange.add_system(&operator(), system).await.unwrap();
    let credentials = Credentials::Key {
        system: "y",
        key: &key.unwrap(),
    };
    let y = exchange.authenticate(credentials).unwrap();
    ground.push(&ground.a, new("d-1", &[code])).await.unwrap();
    ground.take_all(&y).await;
    pass(&ground, 9 * HOUR);
    let mute = [(Owing::Unconfirmed, code.to_owned(), String::new())];
    assert_eq!(owed(&ground).await, mute);
    ground
        .push(&y, report(1, code, A, "d-1", ""))
        .await
        .unwrap();
    ground.take_all(&ground.a).await;
    assert_eq!(owed(&ground).await, []);
    ground.exchange.close().await;
}

#[tokio::test]
async fn ex_12_who_has_not_fetched_for_the_working_hours_set_is_in_alert_and_digest() {
    let ground = ground().await;
    ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    // Seven working hours are over when Monday is.
    pass(&ground, 24 * HOUR);
    let mute = || (Owing::Unconfirmed, B.to_owned(), String::new());
    assert_eq!(
        owed(&ground).await,
        [mute()],
        "24 hours, less than 8 of work"
    );
    pass(&ground, HOUR);
    let late = (Owing::Unfetched, B.to_owned(), String::new());
    assert_eq!(owed(&ground).await, [late, mute()]);
    stands(&ground.exchange, &[("unfetched", B)]).await;
    let alert = &ground.exchange.standing_alerts()[0];
    assert!(alert.detail.vi.contains("Sở Tài chính: 1"), "{alert:?}");
    ground.take_all(&ground.b).await;
    stands(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::Unfetched, B).await;
    // The 01 that this made waits for A from now on.
    assert_eq!(owed(&ground).await, []);
    ground.exchange.close().await;
}

#[tokio::test]
async fn pr_06_a_document_with_an_hour_is_an_alert_at_that_hour_less_the_lead() {
    let ground = ground().await;
    let mut urgent = draft("d-1", &[B]);
    urgent.document.other_info.priority = Priority::new(4).unwrap();
    urgent.document.due_date = Date::new(2026, 11, 23);
    let bytes = String::from_utf8(document(&urgent)).unwrap();
    let bytes = bytes.replace("2026/11/23<", "2026/11/23 16:00:00<");
    ground.push(&ground.a, bytes.into_bytes()).await.unwrap();
    // The hour is shown.
    let told = matrix(&ground, "d-1").await;
    assert_eq!(told.level, 4);
    assert_eq!(told.due_at.unwrap().iso(), "2026-11-23T16:00:00+07:00");
    // One of level 3 with the same hour is nobody's alert.
    let other = bytes_of_level_3();
    ground.push(&ground.a, other).await.unwrap();
    pass(&ground, 6 * HOUR - 60_000);
    assert_eq!(owed(&ground).await, [], "13:59");
    pass(&ground, 2 * 60_000);
    let due = [(Owing::DueSoon, B.to_owned(), "d-1".to_owned())];
    assert_eq!(owed(&ground).await, due);
    let package = ground.exchange.reminders().await.unwrap()[0]
        .package
        .unwrap();
    let package = package.to_string();
    stands(&ground.exchange, &[("due-soon", &package)]).await;
    ground.take_all(&ground.b).await;
    ground.take_all(&ground.a).await;
    stands(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::DueSoon, &package).await;
    ground.exchange.close().await;
}

fn bytes_of_level_3() -> Vec<u8> {
    let mut other = draft("d-2", &[B]);
    other.document.other_info.priority = Priority::new(3).unwrap();
    other.document.due_date = Date::new(2026, 11, 23);
    let bytes = String::from_utf8(document(&other)).unwrap();
    bytes.replace("2026/11/23<", "2026/11/23 16:00:00<").into()
}

#[tokio::test]
async fn tm_05_overdue_is_what_has_no_06_after_its_due_date() {
    let ground = ground().await;
    for (id, day) in [("d-1", Some(23)), ("d-2", Some(27)), ("d-3", None)] {
        let mut seeded = draft(id, &[B, C]);
        seeded.document.due_date = day.and_then(|day| Date::new(2026, 11, day));
        ground.push(&ground.a, document(&seeded)).await.unwrap();
    }
    let overdue = async |ground: &Ground| -> Vec<String> {
        let search = Search {
            overdue: true,
            ..Search::default()
        };
        let page = ground.exchange.search(&everything(), search).await.unwrap();
        let facts = page.items.into_iter().map(|item| item.facts);
        facts
            .filter_map(|facts| match facts {
                exchange::Facts::Document(document) => document.document_id,
                exchange::Facts::Status(_) => None,
            })
            .collect()
    };
    let cells = async |ground: &Ground| -> Vec<(String, bool)> {
        let cells = matrix(ground, "d-1").await.cells.into_iter();
        let mut cells: Vec<_> = cells.map(|c| (c.receiver.main_code, c.overdue)).collect();
        cells.sort();
        cells
    };
    ground
        .push(&ground.b, report(6, B, A, "d-1", ""))
        .await
        .unwrap();
    // The day counts to its end.
    pass(&ground, 15 * HOUR);
    assert_eq!(overdue(&ground).await, [""; 0], "23:00 of the day");
    pass(&ground, 2 * HOUR);
    let ground = ground.restarted().await;
    assert_eq!(overdue(&ground).await, ["d-1"]);
    assert_eq!(
        cells(&ground).await,
        [(B.to_owned(), false), (C.to_owned(), true)]
    );
    assert_eq!(matrix(&ground, "d-1").await.counts().overdue, 1);
    // What was not even settled is owed besides.
    let late = async |ground: &Ground| {
        let mut late = owed(ground).await;
        late.retain(|(owing, _, _)| *owing == Owing::Overdue);
        late
    };
    let of_c = (Owing::Overdue, C.to_owned(), "d-1".to_owned());
    assert_eq!(late(&ground).await, [of_c]);
    ground
        .push(&ground.c, report(6, C, A, "d-1", ""))
        .await
        .unwrap();
    assert_eq!(overdue(&ground).await, [""; 0]);
    assert_eq!(late(&ground).await, []);
    // The others came due meanwhile, for both receivers.
    pass(&ground, 5 * 24 * HOUR);
    assert_eq!(overdue(&ground).await, ["d-2"]);
    ground.exchange.close().await;
}

#[tokio::test]
async fn rj_05_what_is_refused_is_not_counted_as_received() {
    let ground = ground().await;
    ground
        .push(&ground.a, new("d-1", &[A, B, C]))
        .await
        .unwrap();
    // B fetches and settles, and refuses all the same; C has it; A has not fetched.
    ground.take_all(&ground.b).await;
    ground.take_all(&ground.c).await;
    let refuses = report(2, B, A, "d-1", "Gửi nhầm địa chỉ");
    ground.push(&ground.b, refuses).await.unwrap();
    let counts = matrix(&ground, "d-1").await.counts();
    assert_eq!(
        counts,
        MatrixCounts {
            receivers: 3,
            waiting: 1,
            received: 1,
            refused: 1,
            ..MatrixCounts::default()
        }
    );
    ground.exchange.close().await;
}
