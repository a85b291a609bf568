//! Rounds and leases.

use exchange::refusal::Name;
use exchange::{DeliveryState, Next, Outcome, Redeliver, Settle};
use ledger::time::Ms;

use crate::ground::{B, Ground, new, operator};

#[tokio::test]
async fn a_redelivery_is_a_new_round_of_the_same_delivery() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (first, bytes) = ground.fetch(&ground.b).await.unwrap();
    ground
        .settle(&ground.b, first.delivery, Outcome::Acknowledged)
        .await
        .unwrap();
    let since = Redeliver::Agency {
        code: "H99.02".to_owned(),
        since: Ms(0),
    };
    let refused = ground
        .exchange
        .redeliver(&operator(), since.clone(), " ")
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::BadArgument);
    let opened = ground
        .exchange
        .redeliver(&operator(), since, "khôi phục")
        .await
        .unwrap();
    assert_eq!(opened.opened, [(first.delivery, sent.package, 2)]);
    let (second, again) = ground.fetch(&ground.b).await.unwrap();
    assert_eq!(
        (second.delivery, second.round, again),
        (first.delivery, 2, bytes)
    );
    // A settle of the first round changes nothing now.
    let late = Settle {
        delivery: first.delivery,
        round: 1,
        outcome: Outcome::Acknowledged,
        reason: String::new(),
        via: "settle",
        sha256: None,
    };
    let settled = ground.exchange.settle(&ground.b, late).await.unwrap();
    assert_eq!(
        (settled.changed, settled.state),
        (false, DeliveryState::Fetched)
    );
    let settled = ground
        .settle(&ground.b, first.delivery, Outcome::Acknowledged)
        .await
        .unwrap();
    assert_eq!(
        (settled.changed, settled.state),
        (true, DeliveryState::Acknowledged)
    );
    // One 01 for the cell, not one a round.
    assert_eq!(ground.take_all(&ground.a).await, [Some(1)]);
}

#[tokio::test]
async fn an_unsettled_delivery_comes_again_marked_when_its_lease_is_gone() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (first, _) = ground.fetch(&ground.b).await.unwrap();
    assert!(!first.redelivered);
    assert!(ground.fetch(&ground.b).await.is_none());
    ground
        .settle(&ground.b, first.delivery, Outcome::Released)
        .await
        .unwrap();
    let (second, _) = ground.fetch(&ground.b).await.unwrap();
    assert!(second.redelivered);
    // A restart ends all leases.
    let ground = ground.restarted().await;
    let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
    let Next::Offer(third) = stream.next().await else {
        panic!("not offered")
    };
    assert!(third.header.redelivered);
    drop(stream);
    assert!(ground.fetch(&ground.b).await.is_some());
}

#[tokio::test]
async fn only_the_receiver_settles_and_failing_needs_a_reason() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let delivery = sent.receivers[0].delivery;
    let refused = ground
        .settle(&ground.c, delivery, Outcome::Acknowledged)
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::ForeignDelivery);
    let unknown = ledger::id::DeliveryId::of(sent.package, ledger::id::AgencyId(99));
    let refused = ground
        .settle(&ground.b, unknown, Outcome::Acknowledged)
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::NotFound);
    let failed = ground
        .settle(&ground.b, delivery, Outcome::Failed)
        .await
        .unwrap();
    assert_eq!(failed.state, DeliveryState::Failed);
    let refused = ground
        .settle(&ground.b, delivery, Outcome::Acknowledged)
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::WrongState);
}

#[tokio::test]
async fn credit_bounds_what_a_stream_holds_and_what_it_held_goes_to_the_next() {
    let ground = Ground::new().await;
    for number in 0..5 {
        ground
            .push(&ground.a, new(&format!("d{number}"), &[B]))
            .await
            .unwrap();
    }
    let mut stream = ground.exchange.subscribe(&ground.b, 2).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(stream.next().await, Next::Offer(_)));
    }
    let waits = tokio::time::timeout(std::time::Duration::from_millis(50), stream.next()).await;
    assert!(waits.is_err(), "more than the credit");
    stream.add_credit(1);
    assert!(matches!(stream.next().await, Next::Offer(_)));
    drop(stream);
    assert_eq!(ground.take_all(&ground.b).await.len(), 5);
}
