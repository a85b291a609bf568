//! Taking a document back: before and after its fetch.

use exchange::refusal::Name;
use exchange::{Caller, DeliveryState, Outcome, Recall, RecallAnswer, Redeliver};

use crate::ground::{A, B, C, Ground, decided, named, new, operator, recall, report};

async fn states(ground: &Ground, package: &str) -> Vec<DeliveryState> {
    let caller = Caller::Operator(operator());
    let trace = ground.exchange.trace(&caller, package).await.unwrap();
    trace.packages[0]
        .deliveries
        .iter()
        .map(|delivery| delivery.state)
        .collect()
}

#[tokio::test]
async fn rc_03_a_recall_before_the_fetch_leaves_the_receiver_nothing_and_the_sender_a_15() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[B, C])).await.unwrap();
    let recalled = ground.push(&ground.a, recall("d1", &[B])).await.unwrap();
    assert!(ground.fetch(&ground.b).await.is_none());
    assert_eq!(ground.take_all(&ground.a).await, [Some(15)]);
    assert_eq!(
        states(&ground, &sent.package.to_string()).await,
        [DeliveryState::Recalled, DeliveryState::Pending]
    );
    assert_eq!(
        states(&ground, &recalled.package.to_string()).await,
        [DeliveryState::Recalled]
    );
    // C was not asked, and still gets it.
    assert_eq!(ground.take_all(&ground.c).await, [None]);
    let refused = ground.refused(&ground.a, new("d1", &[B])).await;
    assert_eq!(refused.name, Name::DocumentRecalled);
    let refused = ground
        .exchange
        .download(&ground.b, sent.receivers[0].delivery)
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::Recalled);
}

#[tokio::test]
async fn a_recall_after_the_fetch_is_served_and_its_15_ends_the_delivery() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (header, _) = ground.fetch(&ground.b).await.unwrap();
    ground.push(&ground.a, recall("d1", &[B])).await.unwrap();
    ground
        .settle(&ground.b, header.delivery, Outcome::Released)
        .await
        .unwrap();
    // The recall overtakes; the document is offered no more.
    let (offered, _) = ground.fetch(&ground.b).await.unwrap();
    assert!(matches!(&offered.facts, exchange::Facts::Document(facts) if facts.business == 1));
    ground
        .settle(&ground.b, offered.delivery, Outcome::Acknowledged)
        .await
        .unwrap();
    assert!(ground.fetch(&ground.b).await.is_none());
    let answer = report(15, B, A, "d1", "Đã hủy");
    ground.push(&ground.b, answer).await.unwrap();
    assert_eq!(ground.take_all(&ground.a).await, [Some(15)]);
    assert_eq!(
        states(&ground, &sent.package.to_string()).await,
        [DeliveryState::Recalled]
    );
    let redelivered = ground
        .exchange
        .redeliver(&operator(), Redeliver::Package(sent.package), "thử")
        .await
        .unwrap();
    assert_eq!(redelivered.skipped.len(), 1);
    assert_eq!(redelivered.skipped[0].1, "RECALLED");
}

#[tokio::test]
async fn rc_03_content_is_not_served_after_a_recall_even_to_one_that_acknowledged_it() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    ground.take_all(&ground.b).await;
    let delivery = sent.receivers[0].delivery;
    assert!(ground.exchange.download(&ground.b, delivery).await.is_ok());
    let take_back = report(13, A, B, "d1", "Ban hành nhầm");
    ground.push(&ground.a, take_back).await.unwrap();
    let refused = ground
        .exchange
        .download(&ground.b, delivery)
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::Recalled);
    assert_eq!(ground.take_all(&ground.b).await, [Some(13)]);
    // The auditor's record stands.
    assert_eq!(
        states(&ground, &sent.package.to_string()).await,
        [DeliveryState::Acknowledged]
    );
}

#[tokio::test]
async fn rc_01_only_the_sender_recalls_and_only_from_receivers() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let foreign = ground.refused(&ground.c, recall("d1", &[B])).await;
    assert_eq!(foreign.name, Name::ForeignSender);
    let unknown = ground.refused(&ground.a, recall("d2", &[B])).await;
    assert_eq!(unknown.name, Name::UnknownDocument);
    let nobody = ground.refused(&ground.a, recall("d1", &[C])).await;
    assert_eq!(nobody.name, Name::NotAReceiver);
    let some = ground.push(&ground.a, recall("d1", &[B, C])).await.unwrap();
    assert_eq!(some.receivers.len(), 1);
    assert!(
        some.warnings
            .iter()
            .any(|w| w.code == "RECALL_WITHOUT_DELIVERY" && w.message.contains(C))
    );
}

#[tokio::test]
async fn rc_01_a_recall_for_3_of_5_receivers_reaches_3() {
    let ground = Ground::new().await;
    let csv =
        "code,code_2020,name,parent\n000.00.04.H99,H99.04,Sở Y,\n000.00.05.H99,H99.05,Sở Z,\n";
    ground
        .exchange
        .import_agencies(&operator(), csv.into(), decided("13/QĐ"))
        .await
        .unwrap();
    let all = [A, B, C, "000.00.04.H99", "000.00.05.H99"];
    let sent = ground.push(&ground.a, new("d1", &all)).await.unwrap();
    // B has it and must answer; the two that have not fetched lose it.
    ground.take_all(&ground.b).await;
    let some = [B, C, "000.00.05.H99"];
    let recalled = ground.push(&ground.a, recall("d1", &some)).await.unwrap();
    let mut reached: Vec<_> = recalled
        .receivers
        .iter()
        .map(|receiver| receiver.agency.main_code.as_str())
        .collect();
    reached.sort_unstable();
    assert_eq!(reached, some);
    use DeliveryState as S;
    assert_eq!(
        states(&ground, &sent.package.to_string()).await,
        [
            S::Pending,
            S::Acknowledged,
            S::Recalled,
            S::Pending,
            S::Recalled
        ]
    );
    // The recall is served to B alone.
    assert_eq!(
        states(&ground, &recalled.package.to_string()).await,
        [S::Pending, S::Recalled, S::Recalled]
    );
}

fn by_name(document: &str, to: &[&str]) -> Recall {
    Recall {
        document_id: document.to_owned(),
        to: to.iter().map(|code| (*code).to_owned()).collect(),
        reason: "Ban hành nhầm".to_owned(),
        ..Recall::default()
    }
}

#[tokio::test]
async fn rc_01_a_recall_by_name_asks_all_that_are_named_in_one_transaction_or_nobody() {
    let ground = Ground::new().await;
    let (exchange, a) = (&ground.exchange, &ground.a);
    ground.push(a, new("d1", &[B, C])).await.unwrap();
    ground.push(a, new("d2", &[B])).await.unwrap();
    ground.take_all(&ground.b).await;
    let position = exchange.info().position;
    // Who is not registered and who never got it: each is named, and B is not asked either.
    let wrong = by_name("d2", &[B, "000.00.77.H99", C]);
    let refused = exchange.recall(a, wrong).await.unwrap_err();
    let codes = [Name::UnknownReceiver, Name::NotAReceiver].map(Name::as_str);
    assert_eq!(named(&refused), (Name::UnknownReceiver, codes.to_vec()));
    assert!(refused.details[1].message_en.contains(C), "{refused:?}");
    let mute = Recall {
        reason: " ".to_owned(),
        ..by_name("d1", &[])
    };
    let refused = exchange.recall(a, mute).await.unwrap_err();
    assert_eq!(refused.name, Name::ReasonMissing);
    let refused = exchange.recall(&ground.b, by_name("d1", &[])).await;
    assert_eq!(refused.unwrap_err().name, Name::UnknownDocument);
    assert_eq!(exchange.info().position, position, "nothing was recorded");
    assert!(ground.fetch(&ground.b).await.is_none());

    // All that have it, by one record; a code named twice is one receiver.
    let (sender, told) = exchange.recall(a, by_name("d1", &[])).await.unwrap();
    assert_eq!(exchange.info().position, position + 1);
    let mut answers: Vec<_> = told
        .iter()
        .map(|of| (of.receiver.main_code.as_str(), of.answer))
        .collect();
    answers.sort_unstable_by_key(|(code, _)| *code);
    assert_eq!(
        answers,
        [(B, RecallAnswer::Asked), (C, RecallAnswer::Agreed)]
    );
    assert_eq!(sender.main_code, A);
    assert_eq!(ground.take_all(&ground.b).await, [Some(13)]);
    assert_eq!(ground.take_all(&ground.c).await, [None; 0]);
    let told = ground.take_all(a).await;
    assert_eq!(told.iter().filter(|code| **code == Some(15)).count(), 1);
    let (_, told) = exchange
        .recall(a, by_name("d2", &[B, "H99.02", B]))
        .await
        .unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn rc_01_a_document_is_taken_back_from_300_receivers_by_one_record() {
    // A record lies in one segment.
    let ground = Ground::with(|options| options.segment_size = 64 << 20).await;
    let codes: Vec<_> = (0..300)
        .map(|n| format!("{:03}.{:02}.09.H99", n / 100, n % 100))
        .collect();
    let rows: String = codes
        .iter()
        .map(|code| format!("{code},,X {code},\n"))
        .collect();
    let csv = format!("code,code_2020,name,parent\n{rows}");
    ground
        .exchange
        .import_agencies(&operator(), csv.into(), decided("15/QĐ"))
        .await
        .unwrap();
    let to: Vec<_> = codes.iter().map(String::as_str).collect();
    ground.push(&ground.a, new("d1", &to)).await.unwrap();
    let position = ground.exchange.info().position;
    let (_, told) = ground
        .exchange
        .recall(&ground.a, by_name("d1", &[]))
        .await
        .unwrap();
    assert_eq!(told.len(), 300);
    assert!(told.iter().all(|of| of.answer == RecallAnswer::Agreed));
    assert_eq!(ground.exchange.info().position, position + 1);
}

/// One document: whether the content was served, and where its delivery stands.
async fn race(ground: &Ground, number: usize) -> bool {
    let id = format!("race-{number}");
    let sent = ground.push(&ground.a, new(&id, &[B])).await.unwrap();
    let (exchange, sender) = (ground.exchange.clone(), ground.a.clone());
    let back = recall(&id, &[B]);
    let recall = tokio::spawn(async move {
        let options = exchange::PushOptions::default();
        exchange.push(&sender, back.into(), options).await
    });
    // The fetch begins a little later each time, so that now one, now the other comes first.
    for _ in 0..number % 50 * 20 {
        tokio::task::yield_now().await;
    }
    let fetched = ground.fetch(&ground.b).await;
    let recalled = recall.await.unwrap().unwrap();
    let document = states(ground, &sent.package.to_string()).await;
    let recall = states(ground, &recalled.package.to_string()).await;
    match fetched {
        // The content went out: the recall is served and waits for the receiver's word.
        Some((header, bytes)) if header.package == sent.package => {
            assert!(!bytes.is_empty());
            assert_eq!(document, [DeliveryState::Fetched], "{id}");
            assert_eq!(recall, [DeliveryState::Pending], "{id}");
            assert_eq!(ground.take_all(&ground.b).await, [None], "{id}: the recall");
            ground
                .push(&ground.b, report(15, B, A, &id, ""))
                .await
                .unwrap();
            assert_eq!(ground.take_all(&ground.a).await, [Some(15)], "{id}");
            true
        }
        // It did not: nothing is served any more, and the axis has answered.
        fetched => {
            assert!(fetched.is_none(), "{id}: {fetched:?}");
            assert_eq!(document, [DeliveryState::Recalled], "{id}");
            assert_eq!(recall, [DeliveryState::Recalled], "{id}");
            assert!(ground.fetch(&ground.b).await.is_none(), "{id}");
            assert_eq!(ground.take_all(&ground.a).await, [Some(15)], "{id}");
            let delivery = sent.receivers[0].delivery;
            let refused = ground.exchange.download(&ground.b, delivery).await;
            assert_eq!(refused.unwrap_err().name, Name::Recalled, "{id}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rc_04_a_fetch_and_a_recall_race_1000_times_with_two_outcomes_only() {
    let ground = Ground::new().await;
    let mut served = 0;
    for number in 0..1_000 {
        served += usize::from(race(&ground, number).await);
    }
    // Both were seen: the race was one.
    assert!((1..1_000).contains(&served), "{served} of 1000 were served");
}
