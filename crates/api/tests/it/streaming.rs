//! Subscribe: deliveries as they come.

use std::time::Duration;

use api::client::{Client, Event, Subscription};
use api::v1;
use api::v1::subscribe_request::{Open, Request};
use api::v1::subscribe_response::Response;

use crate::house::*;

async fn next(subscription: &mut Subscription) -> Event {
    let next = tokio::time::timeout(SOON, subscription.next())
        .await
        .expect("nothing came");
    next.unwrap().expect("the stream ended")
}

async fn delivery(subscription: &mut Subscription) -> (v1::DeliveryHeader, Vec<u8>) {
    let Event::Delivery(header) = next(subscription).await else {
        panic!("no delivery")
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = subscription.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    (*header, bytes)
}

/// The refusal with which the axis ends a stream.
async fn end(subscription: &mut Subscription) -> String {
    let ended = async {
        loop {
            match subscription.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ended without a word"),
                Err(error) => return error.refusal().expect("a refusal").name.clone(),
            }
        }
    };
    tokio::time::timeout(SOON, ended)
        .await
        .expect("the stream goes on")
}

#[tokio::test]
async fn what_waits_comes_first_then_what_is_pushed_and_settles_go_the_same_way() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    let waiting = document("31", &[STC]);
    push(&sender, &waiting).await;
    let mut stream = receiver.subscribe(10).await.unwrap();
    let (header, bytes) = delivery(&mut stream).await;
    assert_eq!(bytes, waiting);
    assert_eq!(header.document.as_ref().unwrap().number, "31");
    assert_eq!(next(&mut stream).await, Event::CaughtUp);

    let large = document_with("32", &[STC], vec![0xa5; 900_000]);
    sender
        .push_stream(&large[..], v1::PushOptions::default())
        .await
        .unwrap();
    let (second, bytes) = delivery(&mut stream).await;
    assert!(bytes == large);
    for id in [&header.delivery_id, &second.delivery_id] {
        stream
            .sender()
            .settle(settle(id, v1::Outcome::Acknowledged));
        let Event::Settled(settled) = next(&mut stream).await else {
            panic!("not settled")
        };
        assert_eq!(settled.delivery_id, *id);
        assert_eq!(settled.state(), v1::DeliveryState::Acknowledged);
    }
    stream
        .sender()
        .settle(settle("nonsense", v1::Outcome::Acknowledged));
    let Event::SettleRefused(told) = next(&mut stream).await else {
        panic!("not refused")
    };
    assert_eq!(
        (told.delivery_id.as_str(), told.reason.as_str()),
        ("nonsense", "BAD_ARGUMENT")
    );
    assert!(!told.message.is_empty() && !told.message_en.is_empty());

    drop(stream);
    assert_eq!(crate::house::waiting(&sender).await.len(), 2, "both 01");
    house.close().await;
}

#[tokio::test]
async fn no_more_comes_than_the_credit_allows() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    for id in ["33", "34", "35"] {
        push(&sender, &document(id, &[STC])).await;
    }
    let mut stream = receiver.subscribe(1).await.unwrap();
    let (first, _) = delivery(&mut stream).await;
    // A settle is answered on the stream; a second delivery would have come before.
    stream
        .sender()
        .settle(settle(&first.delivery_id, v1::Outcome::Acknowledged));
    assert!(matches!(next(&mut stream).await, Event::Settled(_)));
    // The others are free for a fetch meanwhile.
    let got = all(&mut receiver.fetch(v1::FetchRequest::default()).await.unwrap()).await;
    assert_eq!(got.len(), 1);
    stream.sender().credit(5);
    let (last, _) = delivery(&mut stream).await;
    assert_ne!(last.delivery_id, got[0].0.delivery_id);
    assert_eq!(next(&mut stream).await, Event::CaughtUp);
    house.close().await;
}

#[tokio::test]
async fn what_a_stream_did_not_settle_is_offered_again_when_it_ends() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    push(&sender, &document("36", &[STC])).await;
    let mut stream = receiver.subscribe(10).await.unwrap();
    let (first, _) = delivery(&mut stream).await;
    assert!(waiting(&receiver).await.is_empty());
    drop(stream);
    let again = async {
        loop {
            if let Some((header, _)) = waiting(&receiver).await.pop() {
                return header;
            }
        }
    };
    let second = tokio::time::timeout(SOON, again)
        .await
        .expect("the lease was kept");
    assert_eq!(second.delivery_id, first.delivery_id);
    assert!(second.redelivered);
    house.close().await;
}

#[tokio::test]
async fn a_stream_is_cut_when_its_key_is_revoked_and_when_the_axis_stops() {
    let mut house = House::open().await;
    let (kept, mut cut) = (house.client("syt").await, subscribed(&house, "stc").await);
    let mut kept = kept.subscribe(10).await.unwrap();
    assert_eq!(next(&mut kept).await, Event::CaughtUp);
    let revoke = v1::RevokeSystemRequest {
        id: "stc".to_owned(),
        ..Default::default()
    };
    let revoked = house.admin().await.revoke_system(revoke).await.unwrap();
    assert_eq!((revoked.keys, revoked.streams_cut), (1, 1));
    assert_eq!(end(&mut cut).await, "UNAUTHENTICATED");

    // The other's stream went on until now.
    push(&house.client("snv").await, &document("37", &[SYT])).await;
    delivery(&mut kept).await;
    let stopping = async {
        house.stop().await;
    };
    let (name, ()) = tokio::join!(end(&mut kept), stopping);
    assert_eq!(name, "NOT_SERVING");
    house.close().await;
}

async fn subscribed(house: &House, system: &str) -> Subscription {
    let mut stream = house.client(system).await.subscribe(10).await.unwrap();
    assert_eq!(next(&mut stream).await, Event::CaughtUp);
    stream
}

#[tokio::test]
async fn a_stream_opens_with_open_and_a_sane_credit() {
    let house = House::open().await;
    let client: Client = house.client("stc").await;
    for credit in [0, 1_001] {
        let mut stream = client.subscribe(credit).await.unwrap();
        assert_eq!(end(&mut stream).await, "BAD_ARGUMENT");
    }
    let mut stream = client.subscribe(1).await.unwrap();
    assert_eq!(next(&mut stream).await, Event::CaughtUp);
    stream.sender().credit(1_001);
    assert_eq!(end(&mut stream).await, "BAD_ARGUMENT");

    let mut raw = house.raw("stc").await;
    for first in [Some(Request::Credit(1)), None] {
        let messages = tokio_stream::iter([v1::SubscribeRequest { request: first }]);
        let mut stream = raw.subscribe(messages).await.unwrap().into_inner();
        assert_eq!(reason(&stream.message().await.unwrap_err()), "BAD_ARGUMENT");
    }
    house.close().await;
}

#[tokio::test]
async fn a_client_that_has_said_everything_goes_on_receiving() {
    let house = House::open().await;
    let mut raw = house.raw("stc").await;
    let open = Request::Open(Open { credit: 5 });
    // The stream of requests ends here, as in clients that pass a list.
    let messages = tokio_stream::iter([v1::SubscribeRequest {
        request: Some(open),
    }]);
    let mut stream = raw.subscribe(messages).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap().response;
    assert!(matches!(first, Some(Response::CaughtUp(_))));
    push(&house.client("snv").await, &document("38", &[STC])).await;
    let next = tokio::time::timeout(SOON, stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(matches!(next.response, Some(Response::Frame(_))));
    house.close().await;
}

#[tokio::test]
async fn many_deliveries_and_settles_cross_without_waiting_for_each_other() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    const MANY: usize = 60;
    for n in 0..MANY {
        push(
            &sender,
            &document_with(&format!("m{n}"), &[STC], vec![1; 20_000]),
        )
        .await;
    }
    let mut stream = receiver.subscribe(1_000).await.unwrap();
    let (mut seen, mut settled) = (0, 0);
    let crossing = async {
        while settled < MANY {
            match stream.next().await.unwrap().unwrap() {
                Event::Delivery(header) => {
                    // Settled before its content has been read.
                    let done = settle(&header.delivery_id, v1::Outcome::Acknowledged);
                    stream.sender().settle(done);
                    seen += 1;
                }
                Event::Settled(answer) => settled += usize::from(answer.changed),
                Event::CaughtUp => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), crossing)
        .await
        .expect("it hangs");
    assert_eq!(seen, MANY);
    house.close().await;
}
