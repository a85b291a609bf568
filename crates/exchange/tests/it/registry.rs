//! The registry's duties: dated changes, closed codes, suspension, who serves whom, accounts.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use exchange::refusal::{Name, Refusal};
use exchange::{
    ActRecord, AgencyEdit, AgencyFacts, AgencySearch, ChildAgencies, Closing, Credentials,
    Exchange, NewAccount, Next, OpenDeliveries, Operator, Options, Order, Role, Successor,
};
use ledger::time::{Clock, Ms};

use crate::ground::{A, B, C, Ground, named, new, operator, report};

/// One clock for each ground that wants to move it.
static NEXT: LazyLock<Mutex<Clock>> = LazyLock::new(|| Mutex::new(Clock::system()));

fn standing(options: &mut Options) {
    options.clock = NEXT.lock().unwrap().clone();
}

/// A ground whose clock stands at the evening of 2026-11-22.
async fn ground() -> (Ground, Clock) {
    let clock = Clock::standing_at(Ms::parse("2026-11-22T20:00:00+07:00").unwrap());
    // Parallel tests of one process share the static; each takes its own clock in turn.
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _turn = TURN.lock().await;
    *NEXT.lock().unwrap() = clock.clone();
    (Ground::with(standing).await, clock)
}

const HOUR: i64 = 3_600_000;

fn from(effective: &str) -> Order {
    Order {
        effective: Some(Ms::parse(effective).unwrap()),
        decision: "45/QĐ-UBND".to_owned(),
        ..Order::default()
    }
}

fn now() -> Order {
    Order {
        decision: "45/QĐ-UBND".to_owned(),
        ..Order::default()
    }
}

fn facts(code: &str, name: &str) -> AgencyFacts {
    AgencyFacts {
        code: code.to_owned(),
        name: name.to_owned(),
        ..AgencyFacts::default()
    }
}

fn rename(name: &str) -> AgencyEdit {
    AgencyEdit {
        name: Some(name.to_owned()),
        ..AgencyEdit::default()
    }
}

async fn add(exchange: &Exchange, code: &str, name: &str) -> Result<ActRecord, Refusal> {
    exchange
        .add_agency(&operator(), &now(), &facts(code, name), false)
        .await
}

fn name_of(exchange: &Exchange, code: &str) -> String {
    exchange.agency(code, None).unwrap().name
}

#[tokio::test]
async fn rg_01_agencies_are_made_moved_renamed_closed_and_bad_codes_named_with_their_rule() {
    let (ground, _) = ground().await;
    let it = &ground.exchange;
    let made = add(it, "000.00.09.H99", "  Sở Tư pha\u{301}p ")
        .await
        .unwrap();
    // Composed and trimmed.
    assert_eq!(made.agency.name, "Sở Tư pháp");
    it.change_agency(
        &operator(),
        &now(),
        "000.00.09.H99",
        &rename("Sở Tư pháp mới"),
    )
    .await
    .unwrap();
    let moved = AgencyEdit {
        parent: Some(A.to_owned()),
        ..AgencyEdit::default()
    };
    let moved = it
        .change_agency(&operator(), &now(), "000.00.09.H99", &moved)
        .await
        .unwrap();
    assert_eq!(
        (moved.agency.name.as_str(), moved.agency.parent.as_str()),
        ("Sở Tư pháp mới", A)
    );
    assert_eq!(
        moved.changes[0].fields,
        [("parent", String::new(), A.to_owned())]
    );
    let closed = it
        .close_agency(&operator(), &now(), "000.00.09.H99", &Closing::default())
        .await
        .unwrap();
    assert_eq!(closed.agency.state, "closed");

    for (code, fault, says) in [
        ("28.22.H17", "CODE_FORM", "leading groups"),
        ("h99.77", "CODE_FORM", "small letters"),
        ("000.00.0X.H99", "CODE_FORM", "groups"),
        ("Н99.77", "CODE_LOOKALIKE", "U+041D"),
        ("H99 .77", "CODE_FORM", "white space"),
        ("", "CODE_MISSING", "missing"),
    ] {
        let refused = add(it, code, "Một cơ quan").await.unwrap_err();
        assert_eq!(named(&refused), (Name::BadRegistry, vec![fault]), "{code}");
        assert!(refused.details[0].message_en.contains(says), "{refused:?}");
    }
    // Breakers of the real world are registered on purpose, look-alikes never.
    let mut breaker = facts("28.22.H17", "Trung tâm");
    breaker.irregular = "mã đang dùng trên trục quốc gia".to_owned();
    it.add_agency(&operator(), &now(), &breaker, false)
        .await
        .unwrap();
    breaker.code = "Н99.77".to_owned();
    let refused = it
        .add_agency(&operator(), &now(), &breaker, false)
        .await
        .unwrap_err();
    assert_eq!(named(&refused).1, ["CODE_LOOKALIKE"]);
}

#[tokio::test]
async fn rg_01_what_cannot_be_is_refused_with_its_name() {
    let (ground, _) = ground().await;
    let it = &ground.exchange;
    let taken = add(it, "H99.02", "Sở khác").await.unwrap_err();
    assert_eq!(named(&taken), (Name::BadRegistry, vec!["CODE_TAKEN"]));
    assert!(
        taken.details[0].message.contains("Sở Tài chính"),
        "{taken:?}"
    );
    // Planned ones collide too, from their moment on.
    it.add_agency(
        &operator(),
        &from("2027-01-01"),
        &facts("H99.77", "Mới"),
        false,
    )
    .await
    .unwrap();
    let taken = add(it, "H99.77", "Cũng mới").await.unwrap_err();
    assert_eq!(named(&taken).1, ["CODE_TAKEN"]);
    assert!(taken.details[0].message.contains("2027-01-01"), "{taken:?}");

    let under = |parent: &str| AgencyEdit {
        parent: Some(parent.to_owned()),
        ..AgencyEdit::default()
    };
    it.change_agency(&operator(), &now(), B, &under(A))
        .await
        .unwrap();
    let cycle = it
        .change_agency(&operator(), &now(), A, &under(B))
        .await
        .unwrap_err();
    assert_eq!(named(&cycle).1, ["PARENT_CYCLE"]);
    let children = it
        .close_agency(
            &operator(),
            &now(),
            A,
            &Closing {
                deliveries: OpenDeliveries::Stay,
                ..Closing::default()
            },
        )
        .await
        .unwrap_err();
    assert_eq!(named(&children).1, ["CHILDREN_OPEN"]);
    assert!(children.details[0].message.contains(B), "{children:?}");

    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let open = it
        .close_agency(&operator(), &now(), B, &Closing::default())
        .await
        .unwrap_err();
    assert_eq!(named(&open).1, ["DELIVERIES_OPEN"]);
    let itself = it
        .merge_agencies(
            &operator(),
            &now(),
            &[B.to_owned(), C.to_owned()],
            &Successor::Known("H99.03".to_owned()),
            false,
            OpenDeliveries::Stay,
        )
        .await
        .unwrap_err();
    assert_eq!(named(&itself).1, ["MERGE_INTO_ITSELF"]);
    // Nothing of all that changed anything.
    assert_eq!(it.agency(A, None).unwrap().parent, "");
    assert_eq!(it.agency(B, None).unwrap().state, "active");
    let dry = Order {
        dry_run: true,
        ..now()
    };
    it.change_agency(&operator(), &dry, C, &rename("Thử"))
        .await
        .unwrap();
    assert_eq!(name_of(it, C), "Sở Y tế");
}

#[tokio::test]
async fn rg_02_both_codes_and_the_old_one_find_one_agency() {
    let (ground, _) = ground().await;
    let it = &ground.exchange;
    let id = it.agency("H99.02", None).unwrap().id;
    assert_eq!(it.agency(B, None).unwrap().id, id);
    let recode = AgencyEdit {
        code_2020: Some("H99.151.03".to_owned()),
        ..AgencyEdit::default()
    };
    it.change_agency(&operator(), &now(), B, &recode)
        .await
        .unwrap();
    for code in ["H99.151.03", "h99.151.03", "H99.02", B] {
        assert_eq!(it.agency(code, None).unwrap().id, id, "{code}");
    }
    ground
        .push(&ground.a, new("d1", &["H99.02"]))
        .await
        .unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None]);
    let drop = AgencyEdit {
        drop_old_codes: true,
        ..AgencyEdit::default()
    };
    it.change_agency(&operator(), &now(), B, &drop)
        .await
        .unwrap();
    assert_eq!(it.agency("H99.02", None).unwrap_err().name, Name::NotFound);
}

#[tokio::test]
async fn rg_03_a_change_dated_tomorrow_works_tomorrow_at_midnight() {
    let (ground, clock) = ground().await;
    let it = &ground.exchange;
    let planned = it
        .add_agency(
            &operator(),
            &from("2026-11-23"),
            &facts("H99.09", "Sở mới"),
            false,
        )
        .await
        .unwrap();
    assert!(planned.planned);
    it.change_agency(
        &operator(),
        &from("2026-11-23"),
        C,
        &rename("Sở Y tế và Dân số"),
    )
    .await
    .unwrap();
    let refused = ground.refused(&ground.a, new("d1", &["H99.09"])).await;
    assert_eq!(refused.name, Name::UnknownReceiver);
    // One millisecond before midnight in Vietnam.
    clock.advance(4 * HOUR - 1);
    assert_eq!(name_of(it, C), "Sở Y tế");
    assert_eq!(
        ground.refused(&ground.a, new("d1", &["H99.09"])).await.name,
        Name::UnknownReceiver
    );
    clock.advance(1);
    assert_eq!(name_of(it, C), "Sở Y tế và Dân số");
    ground
        .push(&ground.a, new("d1", &["H99.09"]))
        .await
        .unwrap();
    // Who, which decision, and both days can be asked for afterwards, also after a restart.
    let ground = ground.restarted().await;
    let it = &ground.exchange;
    let changes = it.changes(Some(C), None, false, 10, "").unwrap().items;
    assert_eq!(changes[0].decision, "45/QĐ-UBND");
    assert_eq!(changes[0].by, "Lan");
    assert_eq!(
        changes[0].fields[0],
        ("name", "Sở Y tế".to_owned(), "Sở Y tế và Dân số".to_owned())
    );
    let yesterday = Some(Ms::parse("2026-11-22T21:00:00+07:00").unwrap());
    assert_eq!(it.agency(C, yesterday).unwrap().name, "Sở Y tế");
    assert_eq!(
        it.agency("H99.09", yesterday).unwrap_err().name,
        Name::NotFound
    );
    let between = it.differences(yesterday, None, 10, "").unwrap().items;
    let told: Vec<_> = between.iter().map(|d| (d.code.as_str(), d.what)).collect();
    assert_eq!(told, [(C, "changed"), ("H99.09", "added")]);
}

#[tokio::test]
async fn rg_03_a_planned_change_can_be_taken_back_until_it_works() {
    let (ground, clock) = ground().await;
    let it = &ground.exchange;
    let planned = it
        .change_agency(&operator(), &from("2026-11-23"), C, &rename("Sai"))
        .await
        .unwrap();
    let number = planned.changes[0].number;
    it.withdraw_change(&operator(), &now(), C, number)
        .await
        .unwrap();
    clock.advance(24 * HOUR);
    assert_eq!(name_of(it, C), "Sở Y tế");
    let done = it
        .change_agency(&operator(), &now(), C, &rename("Đúng"))
        .await
        .unwrap();
    let number = done.changes[0].number;
    let late = it
        .withdraw_change(&operator(), &now(), C, number)
        .await
        .unwrap_err();
    assert_eq!(late.name, Name::BadRegistry);
}

#[tokio::test]
async fn rg_03_two_registrars_do_not_overwrite_each_other() {
    let (ground, _) = ground().await;
    let it = &ground.exchange;
    let seen = u64::from(it.agency(C, None).unwrap().revision);
    let order = Order {
        revision: Some(seen),
        ..now()
    };
    let binh = Operator {
        person: "Bình".to_owned(),
        ..operator()
    };
    let (one, other) = tokio::join!(
        async { it.change_agency(&binh, &order, C, &rename("Bình")).await },
        async {
            it.change_agency(&operator(), &order, C, &rename("Lan"))
                .await
        },
    );
    let (won, lost) = match (&one, &other) {
        (Ok(_), Err(lost)) => ("Bình", lost),
        (Err(lost), Ok(_)) => ("Lan", lost),
        both => panic!("{both:?}"),
    };
    assert_eq!(lost.name, Name::RegistryConflict);
    assert!(lost.details[0].message.contains(won), "{lost:?}");
    assert_eq!(name_of(it, C), won);
}

async fn merge(ground: &Ground, forward: bool, deliveries: OpenDeliveries) {
    ground
        .exchange
        .merge_agencies(
            &operator(),
            &now(),
            &[B.to_owned()],
            &Successor::Known(C.to_owned()),
            forward,
            deliveries,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn rg_05_documents_to_a_closed_code_are_refused_naming_the_successor() {
    let (ground, clock) = ground().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    merge(&ground, false, OpenDeliveries::Stay).await;
    clock.advance(HOUR);
    let refused = ground.refused(&ground.a, new("d2", &[B])).await;
    assert_eq!(refused.name, Name::ClosedReceiver);
    assert!(refused.details[0].message.contains(C), "{refused:?}");
    // What had come stays with the system that served it, under the code of that day; and what
    // became of it can still be reported.
    assert_eq!(ground.take_all(&ground.b).await, [None]);
    ground
        .push(&ground.b, report(3, B, A, "d1", ""))
        .await
        .unwrap();
    assert_eq!(ground.take_all(&ground.a).await, [Some(1), Some(3)]);
    let closed = ground.refused(&ground.b, {
        use edxml::Organ;
        let mut draft = crate::ground::draft("d9", &[A]);
        draft.document.from = Organ::new(B, None);
        edxml::write::document(&draft)
    });
    assert_eq!(closed.await.name, Name::SenderInactive);
}

#[tokio::test]
async fn rg_05_documents_to_a_closed_code_go_to_the_successor_marked_and_what_waited_moves() {
    let (ground, _) = ground().await;
    let before = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    merge(&ground, true, OpenDeliveries::Move).await;
    // What waited for B is fetched by C's system now; its history names B.
    assert!(ground.fetch(&ground.b).await.is_none());
    let (header, _) = ground.fetch(&ground.c).await.unwrap();
    assert_eq!(header.package, before.package);
    assert_eq!(header.receiver.main_code, B);
    let outcome = exchange::Outcome::Acknowledged;
    ground
        .settle(&ground.c, header.delivery, outcome)
        .await
        .unwrap();

    let receipt = ground.push(&ground.a, new("d2", &[B])).await.unwrap();
    let receiver = &receipt.receivers[0];
    assert_eq!(receiver.agency.main_code, C);
    assert_eq!(
        (
            receiver.agency.code.as_str(),
            receiver.forwarded_from.as_str()
        ),
        (B, B)
    );
    // Named beside its predecessor it gets one copy.
    let both = ground.push(&ground.a, new("d3", &[B, C])).await.unwrap();
    assert_eq!(both.receivers.len(), 1);
    assert_eq!(ground.take_all(&ground.c).await, [None, None]);
    // The event says it as well: after a restart it can be read.
    let ground = ground.restarted().await;
    let again = ground.push(&ground.a, new("d2", &[B])).await.unwrap();
    assert!(again.duplicate && again.package == receipt.package);
}

#[tokio::test]
async fn rg_05_a_new_agency_may_take_over_the_code_of_one_it_replaces() {
    let (ground, clock) = ground().await;
    let it = &ground.exchange;
    add(it, "H99.02.01", "Chi cục Thuế").await.unwrap();
    let under = AgencyEdit {
        parent: Some(B.to_owned()),
        ..AgencyEdit::default()
    };
    it.change_agency(&operator(), &now(), "H99.02.01", &under)
        .await
        .unwrap();
    let old = it.agency(B, None).unwrap().id;
    let mut merged = facts(B, "Sở Tài chính và Y tế");
    merged.code_2020 = "H99.20".to_owned();
    let made = it
        .merge_agencies(
            &operator(),
            &from("2026-11-23"),
            &[B.to_owned(), C.to_owned()],
            &Successor::New(Box::new(merged)),
            false,
            OpenDeliveries::Stay,
        )
        .await
        .unwrap();
    assert!(made.planned && made.agency.id != old);
    assert_eq!(it.agency(B, None).unwrap().id, old);
    clock.advance(4 * HOUR);
    assert_eq!(it.agency(B, None).unwrap().id, made.agency.id);
    assert_eq!(
        it.agency("H99.02.01", None).unwrap().parent_id,
        Some(made.agency.id)
    );
    let closed = it.agency("H99.03", None).unwrap();
    assert_eq!(
        (closed.state, closed.successor_ids.as_slice()),
        ("closed", &[made.agency.id][..])
    );
    // Its code is another's now: it cannot come back with it.
    let reopened = it
        .reopen_agency(&operator(), &now(), "H99.02")
        .await
        .unwrap_err();
    assert_eq!(named(&reopened).1, ["CODE_TAKEN"]);
    let split = [facts("H99.21", "Một"), facts("H99.22", "Hai")];
    let split = split.map(|new| Successor::New(Box::new(new)));
    it.split_agency(
        &operator(),
        &now(),
        "H99.20",
        &split,
        false,
        OpenDeliveries::Stay,
        &ChildAgencies::Under("H99.21".to_owned()),
    )
    .await
    .unwrap();
    let refused = ground.refused(&ground.a, new("d1", &["H99.20"])).await;
    let told = &refused.details[0].message;
    assert!(told.contains("H99.21") && told.contains("H99.22"), "{told}");
    assert_eq!(it.agency("H99.02.01", None).unwrap().parent, "H99.21");
}

#[tokio::test]
async fn rg_08_a_foreign_sender_is_refused_with_both_names_and_service_moves_on_its_day() {
    let (ground, clock) = ground().await;
    let it = &ground.exchange;
    let refused = ground.refused(&ground.b, new("d1", &[C])).await;
    assert_eq!(refused.name, Name::ForeignSender);
    assert!(
        refused.details[0].message.contains("Sở Nội vụ"),
        "{refused:?}"
    );
    assert!(refused.details[0].message.contains(" b"), "{refused:?}");
    let periods = it
        .serve_agencies(&operator(), &from("2026-11-23"), "b", &[A.to_owned()], None)
        .await
        .unwrap();
    let told: Vec<_> = periods
        .iter()
        .map(|p| (p.system.as_ref().unwrap().to_string(), p.until.is_some()))
        .collect();
    assert_eq!(told, [("a".to_owned(), true), ("b".to_owned(), false)]);
    ground
        .push(&ground.c, {
            let mut draft = crate::ground::draft("d0", &[A]);
            draft.document.from = edxml::Organ::new(C, None);
            edxml::write::document(&draft)
        })
        .await
        .unwrap();
    ground.push(&ground.a, new("d1", &[C])).await.unwrap();
    clock.advance(4 * HOUR);
    // From that day on it is B's system that sends and gets for it, also what waited.
    assert_eq!(
        ground.refused(&ground.a, new("d2", &[C])).await.name,
        Name::ForeignSender
    );
    ground.push(&ground.b, new("d2", &[C])).await.unwrap();
    assert!(ground.fetch(&ground.a).await.is_none());
    let (header, _) = ground.fetch(&ground.b).await.unwrap();
    assert_eq!(header.receiver.main_code, A);
}

#[tokio::test]
async fn ex_13_who_is_not_approved_yet_is_refused_with_the_reason() {
    let (ground, _) = ground().await;
    let it = &ground.exchange;
    it.add_agency(
        &operator(),
        &now(),
        &facts("H99.09", "Hội Chữ thập đỏ"),
        true,
    )
    .await
    .unwrap();
    let key = crate::ground::add(it, "hctd", "H99.09").await;
    let key = Credentials::Key {
        system: "hctd",
        key: &key,
    };
    let hctd = it.authenticate(key).unwrap();
    let send = |id: &str| {
        let mut draft = crate::ground::draft(id, &[A]);
        draft.document.from = edxml::Organ::new("H99.09", None);
        edxml::write::document(&draft)
    };
    // As HTTP tells it: 403, with the reason.
    let refused = ground.refused(&hctd, send("d0")).await;
    assert_eq!(refused.name.row().http, 403);
    assert_eq!(refused.name, Name::SenderInactive);
    assert!(
        refused.details[0].message.contains("đề nghị"),
        "{refused:?}"
    );
    let refused = ground.refused(&ground.a, new("d1", &["H99.09"])).await;
    assert_eq!(refused.name, Name::UnknownReceiver);
    assert!(
        refused.details[0].message_en.contains("requested"),
        "{refused:?}"
    );
    let without = Order::default();
    let refused = it
        .approve_agency(&operator(), &without, "H99.09", true)
        .await
        .unwrap_err();
    assert_eq!(
        (refused.name, refused.details[0].path.as_str()),
        (Name::BadArgument, "decision")
    );
    it.approve_agency(&operator(), &now(), "H99.09", false)
        .await
        .unwrap();
    assert_eq!(it.agency("H99.09", None).unwrap().state, "approved");
    it.approve_agency(&operator(), &now(), "H99.09", true)
        .await
        .unwrap();
    ground
        .push(&ground.a, new("d1", &["H99.09"]))
        .await
        .unwrap();
    ground.push(&hctd, send("d0")).await.unwrap();
    let told = it
        .changes(Some("H99.09"), None, false, 10, "")
        .unwrap()
        .items;
    let told: Vec<_> = told
        .iter()
        .rev()
        .map(|c| (c.operation, c.by.as_str(), c.decision.as_str()))
        .collect();
    let decision = "45/QĐ-UBND";
    assert_eq!(
        told,
        [
            ("request", "Lan", decision),
            ("approve", "Lan", decision),
            ("activate", "Lan", decision)
        ]
    );
}

#[tokio::test]
async fn ex_15_a_suspended_agency_cannot_send_and_fetches_what_is_queued() {
    let (ground, _) = ground().await;
    let it = &ground.exchange;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let why = Order {
        why: "phát tán nội dung quảng cáo".to_owned(),
        ..now()
    };
    assert_eq!(
        it.suspend_agency(&operator(), &now(), B, false)
            .await
            .unwrap_err()
            .name,
        Name::BadArgument
    );
    it.suspend_agency(&operator(), &why, B, false)
        .await
        .unwrap();
    let send = |id: &str| {
        let mut draft = crate::ground::draft(id, &[A]);
        draft.document.from = edxml::Organ::new(B, None);
        edxml::write::document(&draft)
    };
    let refused = ground.refused(&ground.b, send("d2")).await;
    assert_eq!(refused.name, Name::SenderInactive);
    // It is told why.
    assert!(
        refused.details[0].message.contains("quảng cáo"),
        "{refused:?}"
    );
    ground.push(&ground.a, new("d3", &[B])).await.unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None, None]);
    it.resume_agency(&operator(), &now(), B).await.unwrap();
    ground.push(&ground.b, send("d2")).await.unwrap();
    // The other policy: it gets nothing either, until it is resumed.
    it.suspend_agency(&operator(), &why, B, true).await.unwrap();
    ground.push(&ground.a, new("d4", &[B])).await.unwrap();
    assert!(ground.fetch(&ground.b).await.is_none());
    it.resume_agency(&operator(), &now(), B).await.unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None]);
}

#[tokio::test]
async fn sc_06_the_old_key_dies_at_once_or_after_the_overlap_and_its_streams_with_it() {
    let (ground, clock) = ground().await;
    let it = &ground.exchange;
    let old = Credentials::Key {
        system: "b",
        key: ground.key(1),
    };
    let mut stream = it.subscribe(&ground.b, 1).await.unwrap();
    assert!(matches!(stream.next().await, Next::CaughtUp));
    let overlap = Some(Duration::from_secs(3_600));
    let (_, key) = it.add_key(&operator(), "b", overlap).await.unwrap();
    it.authenticate(old).unwrap();
    // It waits already when the key ends, and is not asked again.
    let mut waiting = std::pin::pin!(stream.next());
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    clock.advance(HOUR - 1);
    it.authenticate(old).unwrap();
    clock.advance(1);
    assert_eq!(
        it.authenticate(old).unwrap_err().name,
        Name::Unauthenticated
    );
    it.authenticate(Credentials::Key {
        system: "b",
        key: &key,
    })
    .unwrap();
    let Ok(Next::Cut(refusal)) = tokio::time::timeout(Duration::from_secs(20), waiting).await
    else {
        panic!("the stream outlived its key")
    };
    assert_eq!(refusal.name, Name::Unauthenticated);
}

#[tokio::test]
async fn sc_07_a_key_over_age_appears_among_those_due() {
    let (ground, clock) = ground().await;
    let it = &ground.exchange;
    assert!(it.due(365, 30).is_empty());
    clock.advance(365 * 24 * HOUR);
    let due = it.due(365, 30);
    let told: Vec<_> = due
        .iter()
        .map(|d| (d.system.as_str(), d.credential.as_str(), d.why, d.age_days))
        .collect();
    assert_eq!(
        told,
        [
            ("a", "key 1", "old", 365),
            ("b", "key 1", "old", 365),
            ("c", "key 1", "old", 365)
        ]
    );
    it.add_key(&operator(), "a", Some(Duration::from_secs(86_400)))
        .await
        .unwrap();
    assert_eq!(it.due(1_000, 30)[0].why, "ending");
    clock.advance(24 * HOUR);
    assert_eq!(it.due(1_000, 30)[0].why, "ended");
}

#[tokio::test]
async fn sc_05_one_person_has_one_account_which_wrong_keys_lock() {
    let (ground, clock) = ground().await;
    let it = &ground.exchange;
    let account = |id: &str, person: &str| NewAccount {
        id: id.to_owned(),
        person: person.to_owned(),
        role: "registrar".to_owned(),
        ..NewAccount::default()
    };
    let (_, key) = it
        .add_account(&operator(), &account("lan", "Nguyễn Thị Lan"))
        .await
        .unwrap();
    let shared = it
        .add_account(&operator(), &account("lan2", "nguyễn thị lan"))
        .await
        .unwrap_err();
    assert_eq!(shared.name, Name::AlreadyExists);
    let lan = it.authenticate_account("lan", &key).unwrap();
    assert_eq!(
        (lan.role, lan.person.as_str()),
        (Role::Registrar, "Nguyễn Thị Lan")
    );
    let changed = it
        .change_agency(&lan, &now(), C, &rename("Khác"))
        .await
        .unwrap();
    assert_eq!(changed.agency.changed_by, "Nguyễn Thị Lan");

    let unknown = it.authenticate_account("ai", &key).unwrap_err();
    for _ in 0..5 {
        assert_eq!(it.authenticate_account("lan", "sai").unwrap_err(), unknown);
    }
    // Locked: the right key is refused alike, until a while has passed.
    assert_eq!(it.authenticate_account("lan", &key).unwrap_err(), unknown);
    clock.advance(15 * 60_000);
    it.authenticate_account("lan", &key).unwrap();
    it.revoke_account(&operator(), "lan", "nghỉ việc")
        .await
        .unwrap();
    assert_eq!(it.authenticate_account("lan", &key).unwrap_err(), unknown);
    // Its id is not given again.
    let again = it
        .add_account(&operator(), &account("lan", "Người khác"))
        .await
        .unwrap_err();
    assert_eq!(again.name, Name::AlreadyExists);
    // No key stands in what is kept.
    assert!(it.accounts()[0].revoked.is_some());
}

#[tokio::test]
async fn sc_09_a_system_is_suspended_with_reason_and_person_only() {
    let (ground, _) = ground().await;
    let it = &ground.exchange;
    let nobody = Operator::default();
    assert_eq!(
        it.suspend_system(&nobody, "b", true, "lý do")
            .await
            .unwrap_err()
            .name,
        Name::BadArgument
    );
    assert_eq!(
        it.suspend_system(&operator(), "b", true, "")
            .await
            .unwrap_err()
            .name,
        Name::BadArgument
    );
    let record = it
        .suspend_system(&operator(), "b", true, "sự cố mã độc")
        .await
        .unwrap();
    assert_eq!(
        (
            record.suspended,
            record.reason.as_str(),
            record.changed_by.as_str()
        ),
        (true, "sự cố mã độc", "Lan")
    );
    let key = Credentials::Key {
        system: "b",
        key: ground.key(1),
    };
    assert_eq!(
        it.authenticate(key).unwrap_err().name,
        Name::Unauthenticated
    );
    let back = it
        .suspend_system(&operator(), "b", false, "")
        .await
        .unwrap();
    assert_eq!(
        (back.suspended, back.agencies.as_slice()),
        (false, &[B.to_owned()][..])
    );
    it.authenticate(key).unwrap();
}

#[tokio::test]
async fn rg_07_a_change_is_visible_to_senders_at_once() {
    let (ground, _) = ground().await;
    add(&ground.exchange, "H99.09", "Sở mới").await.unwrap();
    ground
        .push(&ground.a, new("d1", &["H99.09"]))
        .await
        .unwrap();
    let search = AgencySearch {
        search: "so  MOI".to_owned(),
        states: vec!["active".to_owned()],
        ..AgencySearch::default()
    };
    let found = ground.exchange.agencies(&search, 10, "").unwrap().items;
    assert_eq!(found.len(), 1);
}
