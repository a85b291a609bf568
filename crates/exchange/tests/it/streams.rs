//! Streams that come and go, many at once, while operators look.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use exchange::refusal::Name;
use exchange::{
    Caller, FetchFilter, Next, Outcome, PushOptions, QueuesAsked, Revoke, Subscription,
};

use crate::ground::{B, Ground, new, operator};

/// What comes next; a stream that stalls fails the test.
async fn next(stream: &mut Subscription) -> Next {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.next());
    next.await.expect("the stream stalls")
}

/// What an old stream leaves behind takes nothing from the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_that_comes_as_another_goes_gets_what_waits() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    for round in 0..300 {
        let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
        let Next::Offer(offer) = next(&mut stream).await else {
            panic!("nothing was offered in round {round}")
        };
        assert_eq!(offer.header.redelivered, round > 0);
    }
}

/// Looking takes locks that commits and streams take as well: none may wait for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_operator_may_look_while_deliveries_flow() {
    const EACH: usize = 60;
    const SENDERS: usize = 4;
    let ground = Ground::new().await;
    let stop = Arc::new(AtomicBool::new(false));
    let look = || {
        let (stop, exchange) = (Arc::clone(&stop), ground.exchange.clone());
        tokio::task::spawn_blocking(move || {
            let operator = Caller::Operator(operator());
            while !stop.load(Ordering::SeqCst) {
                exchange.queues(&operator, &QueuesAsked::default()).unwrap();
            }
        })
    };
    let looking = [look(), look()];
    let send = async |sender: usize| {
        for number in 0..EACH {
            let package = new(&format!("d{sender}-{number}"), &[B]);
            ground.push(&ground.a, package).await.unwrap();
        }
    };
    let take = async || {
        let mut stream = ground.exchange.subscribe(&ground.b, 1_000).await.unwrap();
        let mut taken = 0;
        while taken < EACH * SENDERS {
            if let Next::Offer(offer) = next(&mut stream).await {
                let delivery = offer.header.delivery;
                let settled = ground.settle(&ground.b, delivery, Outcome::Acknowledged);
                settled.await.unwrap();
                taken += 1;
            }
        }
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(take(), send(0), send(1), send(2), send(3));
    for looked in looking {
        looked.await.unwrap();
    }
}

#[tokio::test]
async fn what_comes_later_does_not_keep_a_stream_from_having_caught_up() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
    assert!(matches!(next(&mut stream).await, Next::Offer(_)));
    // No credit is left for this one.
    ground.push(&ground.a, new("d2", &[B])).await.unwrap();
    assert!(matches!(next(&mut stream).await, Next::CaughtUp));
    stream.add_credit(1);
    assert!(matches!(next(&mut stream).await, Next::Offer(_)));
}

#[tokio::test]
async fn a_stream_beside_one_without_credit_gets_everything_before_it_has_caught_up() {
    let ground = Ground::new().await;
    for number in 0..3 {
        ground
            .push(&ground.a, new(&format!("d{number}"), &[B]))
            .await
            .unwrap();
    }
    let _idle = ground.exchange.subscribe(&ground.b, 0).await.unwrap();
    let mut stream = ground.exchange.subscribe(&ground.b, 9).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(next(&mut stream).await, Next::Offer(_)));
    }
    assert!(matches!(next(&mut stream).await, Next::CaughtUp));
}

#[tokio::test]
async fn a_call_that_began_before_a_revocation_ends_with_it() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (header, _) = ground.fetch(&ground.b).await.unwrap();
    ground.push(&ground.a, new("d2", &[B])).await.unwrap();
    let mut upload = ground
        .exchange
        .upload(&ground.a, PushOptions::default())
        .await
        .unwrap();
    upload.write(new("d3", &[B]).into()).await.unwrap();
    for system in ["a", "b"] {
        ground
            .exchange
            .revoke(&operator(), system, Revoke::All)
            .await
            .unwrap();
    }
    let refused = [
        upload.finish().await.unwrap_err(),
        ground
            .exchange
            .fetch(&ground.b, &FetchFilter::default())
            .await
            .unwrap_err(),
        ground
            .settle(&ground.b, header.delivery, Outcome::Acknowledged)
            .await
            .unwrap_err(),
        ground
            .exchange
            .download(&ground.b, sent.receivers[0].delivery)
            .await
            .unwrap_err(),
    ];
    assert_eq!(
        refused.map(|refusal| refusal.name),
        [Name::Unauthenticated; 4]
    );
}

#[tokio::test]
async fn a_revoked_key_stays_dead_when_its_number_is_given_again() {
    let ground = Ground::new().await;
    let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
    ground
        .exchange
        .revoke(&operator(), "b", Revoke::Key(1))
        .await
        .unwrap();
    let (number, _) = ground
        .exchange
        .add_key(&operator(), "b", None)
        .await
        .unwrap();
    assert_eq!(number, 1);
    let Next::Cut(refusal) = next(&mut stream).await else {
        panic!("not cut")
    };
    assert_eq!(refusal.name, Name::Unauthenticated);
}

#[tokio::test]
async fn an_upload_that_lost_a_chunk_cannot_be_finished() {
    let ground = Ground::new().await;
    let mut upload = ground
        .exchange
        .upload(&ground.a, PushOptions::default())
        .await
        .unwrap();
    upload.write(new("d1", &[B]).into()).await.unwrap();
    let refused = upload.write(vec![b' '; 51 << 20].into()).await.unwrap_err();
    assert_eq!(refused.name, Name::TooLarge);
    assert_eq!(upload.finish().await.unwrap_err().name, Name::Incomplete);
    assert!(ground.fetch(&ground.b).await.is_none());
}
