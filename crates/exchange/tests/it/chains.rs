//! Documents and statuses that hang together: unmatched statuses, watches, replacements,
//! numbers that are not unique.

use edxml::write::{DocumentDraft, StatusDraft, document, status};
use edxml::{
    BusinessKind, Date, Organ, ReceiverChange, Replacement, ResponseFor, StatusCode, Timestamp,
};
use exchange::refusal::Name;
use exchange::{
    Caller, DeliveryState, DocumentRef, Exchange, Matrix, NumberSearch, Outcome, Peer, StatusWatch,
    Watched, WatchedStatus,
};

use crate::ground::{A, B, C, Ground, decided, draft, new, operator, recall, report};

fn everything() -> Caller {
    Caller::Operator(operator())
}

fn system(peer: &Peer) -> Caller {
    Caller::System(peer.clone())
}

/// A status that names its document by number and date only.
fn by_number(code: u8, from: &str, to: &str) -> Vec<u8> {
    status(&StatusDraft {
        from: Organ::new(from, None),
        response_for: ResponseFor {
            organ_id: to.into(),
            code: Some("12/SNV-VP".to_owned()),
            promulgation_date: Date::new(2026, 11, 20),
            document_id: None,
        },
        staff: None,
        code: StatusCode::new(code).unwrap(),
        description: None,
        timestamp: Timestamp::new(2026, 11, 20, 8, 0, 0).unwrap(),
    })
    .unwrap()
}

async fn unmatched(exchange: &Exchange, caller: &Caller) -> Vec<(String, u8)> {
    let page = exchange.unmatched(caller, 0, "").await.unwrap();
    assert_eq!(page.next, "");
    let statuses = page.items.into_iter();
    let mut found: Vec<_> = statuses
        .map(|s| {
            (
                format!(
                    "{}{}",
                    s.document_id,
                    if s.document_id.is_empty() {
                        s.document_code
                    } else {
                        String::new()
                    }
                ),
                s.code,
            )
        })
        .collect();
    found.sort();
    found
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

async fn status_of(ground: &Ground, id: &str, receiver: &str) -> Option<u8> {
    let matrix = matrix(ground, id).await;
    let cell = matrix
        .cells
        .iter()
        .find(|cell| cell.receiver.main_code == receiver);
    cell.unwrap().status
}

#[tokio::test]
async fn sta_01_24_orders_of_the_same_statuses_end_in_the_same_state() {
    let ground = Ground::new().await;
    let codes = [1_u8, 3, 5, 6];
    let mut orders: Vec<Vec<u8>> = Vec::new();
    for a in codes {
        for b in codes {
            for c in codes {
                for d in codes {
                    let order = vec![a, b, c, d];
                    if codes.iter().all(|code| order.contains(code)) {
                        orders.push(order);
                    }
                }
            }
        }
    }
    assert_eq!(orders.len(), 24);
    for (number, order) in orders.iter().enumerate() {
        // The last third of the documents comes after some of their statuses.
        let id = format!("p-{number}");
        let early = if number % 3 == 0 { 2 } else { 0 };
        for code in &order[..early] {
            ground
                .push(&ground.b, report(*code, B, A, &id, ""))
                .await
                .unwrap();
        }
        ground.push(&ground.a, new(&id, &[B])).await.unwrap();
        for code in &order[early..] {
            ground
                .push(&ground.b, report(*code, B, A, &id, ""))
                .await
                .unwrap();
        }
        let matrix = matrix(&ground, &id).await;
        let cell = &matrix.cells[0];
        assert_eq!(cell.status, Some(6), "{order:?}");
        let mut seen: Vec<u8> = cell.events.iter().map(|event| event.code).collect();
        seen.sort_unstable();
        assert_eq!(seen, codes, "{order:?}: the full list of events");
        // A refusal beats progress, whenever it comes.
        ground
            .push(&ground.b, report(2, B, A, &id, "nhầm"))
            .await
            .unwrap();
        assert_eq!(status_of(&ground, &id, B).await, Some(2));
    }
    ground.exchange.close().await;
}

#[test]
fn sta_02_each_code_shows_its_vietnamese_label() {
    for (code, label) in [
        (1, "Đã đến"),
        (2, "Từ chối tiếp nhận"),
        (3, "Đã tiếp nhận"),
        (4, "Phân công"),
        (5, "Đang xử lý"),
        (6, "Hoàn thành"),
        (13, "Lấy lại"),
        (15, "Đồng ý"),
        (16, "Từ chối"),
    ] {
        let told = StatusCode::new(code).unwrap().label_vi();
        assert!(
            told.to_lowercase().starts_with(&label.to_lowercase()),
            "{code:02} is told as {told:?}, not {label:?}"
        );
    }
}

#[tokio::test]
async fn sta_05_a_document_for_2000_receivers_shows_2000_states_in_one_call() {
    let ground = Ground::new().await;
    let mut csv = "code,code_2020,name,parent\n".to_owned();
    let codes: Vec<String> = (0..2_000)
        .map(|n| format!("{:03}.{:02}.77.H99", n / 100, n % 100))
        .collect();
    for (number, code) in codes.iter().enumerate() {
        csv += &format!("{code},H99.77.{number},Ủy ban xã {number},\n");
    }
    let imported = ground
        .exchange
        .import_agencies(&operator(), csv.into(), decided("13/QĐ"))
        .await
        .unwrap();
    assert_eq!((imported.added, imported.problems.len()), (2_000, 0));
    let to: Vec<&str> = codes.iter().map(String::as_str).collect();
    ground.push(&ground.a, new("all", &to)).await.unwrap();
    let matrix = matrix(&ground, "all").await;
    assert_eq!(matrix.cells.len(), 2_000);
    let mut shown: Vec<_> = matrix
        .cells
        .iter()
        .map(|cell| cell.receiver.main_code.as_str())
        .collect();
    shown.sort_unstable();
    assert_eq!(shown, to);
    assert!(
        matrix
            .cells
            .iter()
            .all(|cell| cell.state == DeliveryState::Pending && cell.status.is_none())
    );
    ground.exchange.close().await;
}

#[tokio::test]
async fn sta_06_a_status_finds_its_document_by_number_and_date() {
    let ground = Ground::new().await;
    // Before the document: it is delivered at once, and waits.
    ground.push(&ground.b, by_number(3, B, A)).await.unwrap();
    assert_eq!(ground.take_all(&ground.a).await, [Some(3)]);
    assert_eq!(
        unmatched(&ground.exchange, &everything()).await,
        [("12/SNV-VP".to_owned(), 3)]
    );
    // One of a document that never comes, and one of another agency.
    ground
        .push(&ground.c, report(5, C, A, "foreign", ""))
        .await
        .unwrap();
    assert_eq!(unmatched(&ground.exchange, &everything()).await.len(), 2);
    assert_eq!(
        unmatched(&ground.exchange, &system(&ground.b)).await.len(),
        1
    );
    assert_eq!(
        unmatched(&ground.exchange, &system(&ground.a)).await.len(),
        2
    );

    let ground = ground.restarted().await;
    assert_eq!(unmatched(&ground.exchange, &everything()).await.len(), 2);
    // The document comes: matched once, and not delivered again.
    ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    assert_eq!(status_of(&ground, "d-1", B).await, Some(3));
    assert_eq!(
        unmatched(&ground.exchange, &everything()).await,
        [("foreign".to_owned(), 5)]
    );
    ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    assert_eq!(matrix(&ground, "d-1").await.cells[0].events.len(), 1);
    // After the document.
    ground.push(&ground.b, by_number(6, B, A)).await.unwrap();
    assert_eq!(status_of(&ground, "d-1", B).await, Some(6));
    assert_eq!(ground.take_all(&ground.a).await, [Some(5), Some(6)]);
    // The foreign one stays in the list, once, and comes to nobody again.
    let ground = ground.restarted().await;
    assert_eq!(
        unmatched(&ground.exchange, &everything()).await,
        [("foreign".to_owned(), 5)]
    );
    assert!(ground.fetch(&ground.a).await.is_none());
    ground.exchange.close().await;
}

#[tokio::test]
async fn sta_07_a_state_that_cannot_be_is_refused() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    let refusal = ground.refused(&ground.c, report(6, C, A, "d-1", "")).await;
    assert_eq!(refusal.name, Name::NotAReceiver);
    let refusal = ground.refused(&ground.c, by_number(6, C, A)).await;
    assert_eq!(refusal.name, Name::NotAReceiver, "also by number and date");
    assert_eq!(status_of(&ground, "d-1", B).await, None);
    ground.exchange.close().await;
}

/// What a watch tells until it has caught up, and the token there.
async fn told(watch: &mut StatusWatch) -> (Vec<WatchedStatus>, String) {
    let mut statuses = Vec::new();
    loop {
        match watch.next().await.unwrap() {
            Watched::Status(status) => statuses.push(*status),
            Watched::CaughtUp(token) => return (statuses, token),
        }
    }
}

fn short(statuses: &[WatchedStatus]) -> Vec<(&str, &str, u8, bool)> {
    let short = statuses.iter();
    short
        .map(|s| {
            (
                s.document_id.as_str(),
                s.receiver.main_code.as_str(),
                s.code,
                s.made_by_axis,
            )
        })
        .collect()
}

#[tokio::test]
async fn sta_05_a_watch_tells_each_status_once_and_resumes_over_a_restart() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d-1", &[B, C])).await.unwrap();
    let mut watch = ground
        .exchange
        .watch_statuses(&system(&ground.a), "")
        .unwrap();
    let (statuses, start) = told(&mut watch).await;
    assert_eq!(statuses, [], "from now on");

    ground.push(&ground.b, by_number(3, B, A)).await.unwrap();
    let next = tokio::time::timeout(std::time::Duration::from_secs(20), told(&mut watch));
    let (statuses, token) = next.await.unwrap();
    assert_eq!(short(&statuses), [("d-1", B, 3, false)]);
    assert_eq!(statuses[0].sender.main_code, A);

    // While nobody watches, and over a restart.
    ground.take_all(&ground.c).await;
    drop(watch);
    let ground = ground.restarted().await;
    ground
        .push(&ground.b, report(5, B, A, "d-1", ""))
        .await
        .unwrap();
    let mut watch = ground
        .exchange
        .watch_statuses(&system(&ground.a), &token)
        .unwrap();
    let (statuses, _) = told(&mut watch).await;
    assert_eq!(
        short(&statuses),
        [("d-1", C, 1, true), ("d-1", B, 5, false)]
    );
    // Each has a token of its own.
    let mut watch = ground
        .exchange
        .watch_statuses(&system(&ground.a), &statuses[0].token)
        .unwrap();
    assert_eq!(short(&told(&mut watch).await.0), [("d-1", B, 5, false)]);
    // A receiver sees its own cells only, an operator all.
    let mut watch = ground
        .exchange
        .watch_statuses(&system(&ground.c), &start)
        .unwrap();
    assert_eq!(short(&told(&mut watch).await.0), [("d-1", C, 1, true)]);
    let mut watch = ground
        .exchange
        .watch_statuses(&everything(), &start)
        .unwrap();
    assert_eq!(told(&mut watch).await.0.len(), 3);

    for wrong in ["x", "AAAA", "________________"] {
        let refusal = ground
            .exchange
            .watch_statuses(&everything(), wrong)
            .unwrap_err();
        assert_eq!(refusal.name, Name::BadArgument, "{wrong}");
    }
    // The axis stops: the watch ends, the token stays good.
    let ended = tokio::spawn(async move { watch.next().await });
    ground.exchange.close().await;
    let refusal = ended.await.unwrap().unwrap_err();
    assert_eq!(refusal.name, Name::NotServing);
}

#[tokio::test]
async fn sta_06_an_early_status_is_watched_when_its_document_comes() {
    let ground = Ground::new().await;
    let mut watch = ground.exchange.watch_statuses(&everything(), "").unwrap();
    told(&mut watch).await;
    ground
        .push(&ground.b, report(3, B, A, "late", ""))
        .await
        .unwrap();
    ground.push(&ground.a, new("late", &[B])).await.unwrap();
    let mut seen = Vec::new();
    while seen.is_empty() {
        seen = told(&mut watch).await.0;
    }
    assert_eq!(short(&seen), [("late", B, 3, false)]);
    ground.exchange.close().await;
}

fn replacement(id: &str, of: &str, to: &[&str]) -> Vec<u8> {
    let mut draft = draft(id, to);
    draft.document.code.number = "13".to_owned();
    draft.document.business.kind = BusinessKind::Replace;
    draft.document.business.reason = Some("Đính chính".to_owned());
    draft.document.business.replacements = vec![Replacement {
        document_id: Some(of.to_owned()),
        organ_ids: Vec::new(),
    }];
    document(&draft)
}

fn state(matrix: &Matrix, receiver: &str) -> DeliveryState {
    let cell = matrix
        .cells
        .iter()
        .find(|cell| cell.receiver.main_code == receiver);
    cell.unwrap().state
}

#[tokio::test]
async fn rc_05_a_replacement_reaches_who_is_added_and_recalls_from_who_is_left_out() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("old", &[B, C])).await.unwrap();
    // B has it, C has not fetched.
    ground.take_all(&ground.b).await;
    ground.take_all(&ground.a).await;
    let before = ground.exchange.info().position;
    // To B and, newly, to A itself; C is left out.
    ground
        .push(&ground.a, replacement("new", "old", &[B, A]))
        .await
        .unwrap();
    assert_eq!(
        ground.exchange.info().position,
        before + 1,
        "one transaction"
    );

    let old = matrix(&ground, "old").await;
    assert_eq!(state(&old, C), DeliveryState::Recalled);
    assert_eq!(
        status_of(&ground, "old", C).await,
        Some(15),
        "it never had it"
    );
    assert_eq!(state(&old, B), DeliveryState::Acknowledged, "B stays");
    assert!(
        ground.fetch(&ground.c).await.is_none(),
        "neither document nor recall"
    );
    let fresh = matrix(&ground, "new").await;
    assert_eq!(
        (state(&fresh, A), state(&fresh, B)),
        (DeliveryState::Pending, DeliveryState::Pending)
    );
    // The sender is told of the 15.
    // Then its own copy, and the 01 for it.
    assert_eq!(ground.take_all(&ground.a).await, [Some(15), None, Some(1)]);

    // Both directions of the chain.
    let trace = async |id: &str| {
        let trace = ground.exchange.trace(&everything(), id).await.unwrap();
        let linked = trace
            .events
            .into_iter()
            .filter(|event| event.kind == "linked");
        linked.map(|event| event.detail_en).collect::<Vec<_>>()
    };
    assert_eq!(trace("new").await, ["replaces the document old"]);
    let back = trace("old").await;
    assert!(
        back.len() == 1 && back[0].starts_with("the document new (package "),
        "{back:?}"
    );
    assert!(back[0].ends_with(") replaces it"), "{back:?}");
    ground.exchange.close().await;
}

#[tokio::test]
async fn rc_05_one_that_is_left_out_after_it_fetched_is_asked_to_give_it_back() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("old", &[B, C])).await.unwrap();
    ground.take_all(&ground.b).await;
    ground.take_all(&ground.c).await;
    ground.take_all(&ground.a).await;
    ground
        .push(&ground.a, replacement("new", "old", &[B]))
        .await
        .unwrap();
    // C gets a 13 in A's name, made by the axis, and is asked.
    let (header, bytes) = ground.fetch(&ground.c).await.expect("a recall");
    let exchange::Facts::Status(facts) = &header.facts else {
        panic!("no status")
    };
    assert_eq!((facts.code, facts.made_by_axis), (13, true));
    assert!(
        facts.description.contains("13/SNV-VP"),
        "{}",
        facts.description
    );
    assert_eq!(
        (header.sender.code.as_str(), header.receiver.code.as_str()),
        (A, C)
    );
    let reading = edxml::read(bytes.as_slice(), &edxml::Limits::default());
    assert_eq!(reading.refusal(), None, "what the axis makes can be read");
    assert_eq!(status_of(&ground, "old", C).await, Some(13));
    ground
        .settle(&ground.c, header.delivery, Outcome::Acknowledged)
        .await
        .unwrap();
    ground
        .push(&ground.c, report(15, C, A, "old", ""))
        .await
        .unwrap();
    assert_eq!(status_of(&ground, "old", C).await, Some(15));
    // The same replacement again brings nothing new.
    let again = ground
        .push(&ground.a, replacement("new", "old", &[B]))
        .await
        .unwrap();
    assert!(again.duplicate);
    assert!(ground.fetch(&ground.c).await.is_none());
    ground.exchange.close().await;
}

#[tokio::test]
async fn rc_05_an_update_applies_its_list_of_receivers() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("doc", &[B])).await.unwrap();
    let mut update = draft("doc", &[A]);
    update.document.business.kind = BusinessKind::Update;
    update.document.business.reason = Some("Đổi nơi nhận".to_owned());
    update.document.business.document_id = Some("doc".to_owned());
    update.document.business.info.receivers = Some(true);
    update.document.business.receivers = vec![
        ReceiverChange {
            organ_id: C.into(),
            added: Some(true),
        },
        ReceiverChange {
            organ_id: B.into(),
            added: Some(false),
        },
    ];
    let receipt = ground.push(&ground.a, document(&update)).await.unwrap();
    let mut receivers: Vec<_> = receipt
        .receivers
        .iter()
        .map(|r| r.agency.main_code.as_str())
        .collect();
    receivers.sort_unstable();
    assert_eq!(receivers, [A, C], "C is added, though To does not name it");
    assert!(
        ground.fetch(&ground.b).await.is_none(),
        "B was left out before it fetched"
    );
    assert_eq!(
        state(&matrix(&ground, "doc").await, B),
        DeliveryState::Recalled
    );
    assert_eq!(ground.take_all(&ground.c).await, [None]);
    ground.exchange.close().await;
}

fn numbered(id: &str, number: &str, year: u16) -> Vec<u8> {
    let mut draft: DocumentDraft = draft(id, &[B]);
    draft.document.code.number = number.to_owned();
    draft.document.promulgation.date = Date::new(year, 3, 2);
    document(&draft)
}

async fn repeated(
    exchange: &Exchange,
    caller: &Caller,
    search: NumberSearch,
) -> Vec<(i32, String, Vec<String>)> {
    let page = exchange.repeated_numbers(caller, search).await.unwrap();
    let numbers = page.items.into_iter().map(|number| {
        let documents = number.documents.into_iter();
        let mut ids: Vec<_> = documents.map(|document| document.document_id).collect();
        ids.sort();
        (number.year, number.number, ids)
    });
    numbers.collect()
}

#[tokio::test]
async fn ex_09_numbers_that_are_not_unique_in_a_year_are_listed_and_warned_of() {
    let ground = Ground::new().await;
    let plain = ground
        .push(&ground.a, numbered("n-1", "12", 2026))
        .await
        .unwrap();
    let warned =
        |receipt: &exchange::Receipt| receipt.warnings.iter().any(|w| w.code == "NUMBER_REPEATED");
    assert!(!warned(&plain));
    // Sent again, it is the same document; the same number next year is another.
    assert!(
        ground
            .push(&ground.a, numbered("n-1", "12", 2026))
            .await
            .unwrap()
            .duplicate
    );
    let next_year = ground
        .push(&ground.a, numbered("n-2", "12", 2025))
        .await
        .unwrap();
    assert!(!warned(&next_year));
    assert_eq!(
        repeated(&ground.exchange, &everything(), NumberSearch::default()).await,
        []
    );
    // Another document with the number in the year.
    let second = ground
        .push(&ground.a, numbered("n-3", "12", 2026))
        .await
        .unwrap();
    assert!(warned(&second) && !second.duplicate);
    ground
        .push(&ground.a, numbered("n-4", "12", 2026))
        .await
        .unwrap();
    ground
        .push(&ground.a, numbered("n-5", "99", 2026))
        .await
        .unwrap();
    let expected = [(
        2026,
        "12/SNV-VP".to_owned(),
        ["n-1", "n-3", "n-4"].map(str::to_owned).to_vec(),
    )];
    let ground = ground.restarted().await;
    let of = |agency: Option<&str>, year| NumberSearch {
        agency: agency.map(str::to_owned),
        year,
        ..NumberSearch::default()
    };
    for (caller, search) in [
        (everything(), of(None, None)),
        (everything(), of(Some(A), Some(2026))),
        (system(&ground.a), of(None, None)),
    ] {
        assert_eq!(repeated(&ground.exchange, &caller, search).await, expected);
    }
    for (caller, search) in [
        (everything(), of(Some(B), None)),
        (everything(), of(None, Some(2025))),
        (system(&ground.b), of(None, None)),
    ] {
        assert_eq!(repeated(&ground.exchange, &caller, search).await, []);
    }
    ground.exchange.close().await;
}

#[tokio::test]
async fn ex_08_a_duplicate_brings_no_second_delivery_and_other_bytes_are_a_conflict() {
    let ground = Ground::new().await;
    let first = ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    let again = ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    assert_eq!((again.package, again.duplicate), (first.package, true));
    let mut other = draft("d-1", &[B]);
    other.document.subject = Some("V/v khác".to_owned());
    let refusal = ground.refused(&ground.a, document(&other)).await;
    assert_eq!(refusal.name, Name::Conflict);
    // Updates and recalls of the same document are delivered.
    let mut update = draft("d-1", &[B]);
    update.document.business.kind = BusinessKind::Update;
    update.document.business.reason = Some("Đính chính".to_owned());
    update.document.business.document_id = Some("d-1".to_owned());
    ground.push(&ground.a, document(&update)).await.unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None, None]);
    ground.push(&ground.a, recall("d-1", &[B])).await.unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None]);
    ground.exchange.close().await;
}
