//! Statuses go home, once each, and into their cells.

use exchange::refusal::Name;
use exchange::{Caller, DocumentRef, Report};

use crate::ground::{A, B, C, Ground, new, operator, report};

async fn cells(ground: &Ground, id: &str) -> Vec<(String, Option<u8>, Vec<(u8, bool)>)> {
    let document = DocumentRef::Document {
        sender: A.to_owned(),
        document_id: id.to_owned(),
    };
    let caller = Caller::Operator(operator());
    let matrix = ground.exchange.matrix(&caller, document).await.unwrap();
    let cell = |cell: exchange::Cell| {
        let events = cell
            .events
            .iter()
            .map(|event| (event.code, event.made_by_axis));
        (cell.receiver.code, cell.status, events.collect())
    };
    matrix.cells.into_iter().map(cell).collect()
}

#[tokio::test]
async fn the_axis_issues_one_01_and_a_receivers_own_later_one_is_not_delivered() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B, C])).await.unwrap();
    assert_eq!(ground.take_all(&ground.b).await, [None]);
    assert_eq!(ground.take_all(&ground.a).await, [Some(1)]);
    ground
        .push(&ground.b, report(1, B, A, "d1", ""))
        .await
        .unwrap();
    assert!(ground.fetch(&ground.a).await.is_none());
    for code in [3, 5, 6] {
        let sent = report(code, B, A, "d1", "");
        let receipt = ground.push(&ground.b, sent.clone()).await.unwrap();
        assert!(!receipt.duplicate);
        assert!(ground.push(&ground.b, sent).await.unwrap().duplicate);
    }
    assert_eq!(
        ground.take_all(&ground.a).await,
        [Some(3), Some(5), Some(6)]
    );
    let cells = cells(&ground, "d1").await;
    assert_eq!(
        cells[0],
        (
            B.to_owned(),
            Some(6),
            vec![(1, true), (1, false), (3, false), (5, false), (6, false)]
        )
    );
    assert_eq!(cells[1], (C.to_owned(), None, vec![]));
}

#[tokio::test]
async fn a_receiver_that_answers_before_it_settles_gets_no_01_of_the_axis() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (header, _) = ground.fetch(&ground.b).await.unwrap();
    ground
        .push(&ground.b, report(3, B, A, "d1", ""))
        .await
        .unwrap();
    ground
        .settle(&ground.b, header.delivery, exchange::Outcome::Acknowledged)
        .await
        .unwrap();
    assert_eq!(ground.take_all(&ground.a).await, [Some(3)]);
}

#[tokio::test]
async fn a_status_before_its_document_is_delivered_at_once_and_matched_later() {
    let ground = Ground::new().await;
    ground
        .push(&ground.b, report(3, B, A, "d1", ""))
        .await
        .unwrap();
    assert_eq!(ground.take_all(&ground.a).await, [Some(3)]);
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    assert_eq!(cells(&ground, "d1").await[0].1, Some(3));
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let refused = ground.refused(&ground.c, report(6, C, A, "d1", "")).await;
    assert_eq!(refused.name, Name::NotAReceiver);
    let answer = Report {
        code: "02".to_owned(),
        document_id: "d1".to_owned(),
        to: A.to_owned(),
        ..Report::default()
    };
    let refused = ground
        .exchange
        .report(&ground.b, answer.clone())
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::ReasonMissing);
    for (bad, name) in [
        (
            Report {
                code: "x".to_owned(),
                ..answer.clone()
            },
            Name::BadArgument,
        ),
        (
            Report {
                code: "03".to_owned(),
                to: "X".to_owned(),
                ..answer.clone()
            },
            Name::UnknownReceiver,
        ),
        (
            Report {
                code: "03".to_owned(),
                document_id: "d9".to_owned(),
                ..answer.clone()
            },
            Name::UnknownDocument,
        ),
        (
            Report {
                code: "03".to_owned(),
                from: Some(C.to_owned()),
                ..answer.clone()
            },
            Name::ForeignSender,
        ),
    ] {
        assert_eq!(
            ground
                .exchange
                .report(&ground.b, bad)
                .await
                .unwrap_err()
                .name,
            name
        );
    }
    let refusal = Report {
        reason: "Sai địa chỉ".to_owned(),
        ..answer
    };
    let receipt = ground.exchange.report(&ground.b, refusal).await.unwrap();
    assert_eq!(receipt.receivers[0].agency.main_code, A);
    assert_eq!(cells(&ground, "d1").await[0].1, Some(2));
}
