//! The same push answers alike; other bytes are a conflict; new receivers get their copy.

use edxml::write::document;
use exchange::refusal::Name;
use exchange::{Outcome, PushOptions};

use crate::ground::{B, C, Ground, draft, new};

#[tokio::test]
async fn the_same_package_from_many_tasks_is_one_delivery_with_equal_receipts() {
    let ground = Ground::new().await;
    let package = new("d1", &[B]);
    let pushes = (0..50).map(|_| {
        let (exchange, peer) = (ground.exchange.clone(), ground.a.clone());
        let package = package.clone();
        tokio::spawn(async move {
            exchange
                .push(&peer, package.into(), PushOptions::default())
                .await
        })
    });
    let mut receipts = Vec::new();
    for push in pushes.collect::<Vec<_>>() {
        receipts.push(push.await.unwrap().unwrap());
    }
    let first = receipts[0].clone();
    for receipt in &receipts {
        assert_eq!(
            (
                receipt.package,
                receipt.sha256,
                &receipt.anchor,
                receipt.accepted_at
            ),
            (
                first.package,
                first.sha256,
                &first.anchor,
                first.accepted_at
            )
        );
    }
    assert_eq!(
        receipts.iter().filter(|receipt| !receipt.duplicate).count(),
        1
    );
    assert_eq!(ground.take_all(&ground.b).await, [None]);
}

#[tokio::test]
async fn other_bytes_under_the_same_document_id_are_a_conflict_naming_the_first() {
    let ground = Ground::new().await;
    let first = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let mut other = draft("d1", &[B]);
    other.document.subject = Some("Khác".to_owned());
    let refused = ground.refused(&ground.a, document(&other)).await;
    assert_eq!(refused.name, Name::Conflict);
    assert!(
        refused.details[0]
            .message
            .contains(&first.package.to_string())
    );
    assert_eq!(ground.take_all(&ground.b).await, [None]);
}

#[tokio::test]
async fn a_longer_list_of_receivers_reaches_the_new_ones_only() {
    let ground = Ground::new().await;
    let first = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None]);
    let second = ground.push(&ground.a, new("d1", &[B, C])).await.unwrap();
    let told: Vec<_> = second
        .receivers
        .iter()
        .map(|r| {
            (
                r.agency.main_code.as_str(),
                r.duplicate,
                r.package == first.package,
            )
        })
        .collect();
    assert_eq!(told, [(B, true, true), (C, false, false)]);
    assert!(!second.duplicate);
    assert!(ground.fetch(&ground.b).await.is_none());
    let (header, bytes) = ground.fetch(&ground.c).await.unwrap();
    assert_eq!(bytes, new("d1", &[B, C]));
    ground
        .settle(&ground.c, header.delivery, Outcome::Acknowledged)
        .await
        .unwrap();
    let third = ground.push(&ground.a, new("d1", &[B, C])).await.unwrap();
    assert!(third.duplicate && third.receivers.iter().all(|receiver| receiver.duplicate));
}

#[tokio::test]
async fn duplicates_are_known_after_a_restart_and_large_ones_leave_no_second_file() {
    let ground = Ground::new().await;
    let mut large = draft("d1", &[B]);
    large.attach("b.bin", "application/octet-stream", vec![7; 600 << 10]);
    let large = document(&large);
    let first = ground.push(&ground.a, large.clone()).await.unwrap();
    let ground = ground.restarted().await;
    let again = ground.push(&ground.a, large.clone()).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(again.package, first.package);
    let (_, bytes) = ground.fetch(&ground.b).await.unwrap();
    assert_eq!(bytes, large);
}
