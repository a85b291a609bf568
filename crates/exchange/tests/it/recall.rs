//! Taking a document back: before and after its fetch.

use exchange::refusal::Name;
use exchange::{Caller, DeliveryState, Outcome, Redeliver};

use crate::ground::{A, B, C, Ground, new, operator, recall, report};

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
async fn a_recall_before_the_fetch_leaves_the_receiver_nothing_and_the_sender_a_15() {
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
async fn content_is_not_served_after_a_recall_even_to_one_that_acknowledged_it() {
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
async fn only_the_sender_recalls_and_only_from_receivers() {
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
