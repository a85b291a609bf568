//! The bus over RabbitMQ while there is no broker. With one: `tests/broker`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers are tests too"
)]

use std::sync::Arc;
use std::time::Duration;

use bus::amqp::{AmqpConfig, Cause, Link, LinkState};
use bus::{Amqp, Bus, ConsumeError, Lane, Message, PublishError, Queue, QueueError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

const NEVER: Duration = Duration::from_secs(60);

fn queue() -> Queue {
    Queue::new("so-noi-vu", Lane::Urgent)
}

fn open(port: u16) -> Arc<Amqp> {
    Amqp::open(AmqpConfig::new(&format!("amqp://axis@127.0.0.1:{port}/tinh")).unwrap()).unwrap()
}

async fn unreachable(amqp: &Amqp) -> Link {
    let mut watch = amqp.link();
    let told = watch.wait_for(|link| {
        matches!(
            &link.state,
            LinkState::Away {
                cause: Cause::Unreachable { .. }
            }
        )
    });
    tokio::time::timeout(NEVER, told)
        .await
        .unwrap()
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_told_at_once_and_holds_up_nobody() {
    // A port that nobody listens on.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let amqp = open(port);
    assert_eq!(amqp.link().borrow().generation, 0);
    let link = unreachable(&amqp).await;
    assert!(!link.is_connected());
    let LinkState::Away { cause } = link.state else {
        panic!("{link:?}")
    };
    assert!(cause.to_string().contains("refused"), "{cause}");
    assert!(matches!(
        amqp.publish(&queue(), Message::default()).await,
        Err(PublishError::Unavailable { .. })
    ));
    assert!(matches!(
        amqp.consume(&queue(), 1).await,
        Err(ConsumeError::Unavailable { .. })
    ));
    assert!(matches!(
        amqp.depth(&queue()).await,
        Err(QueueError::Unavailable { .. })
    ));
    assert!(matches!(
        amqp.purge(&queue()).await,
        Err(QueueError::Unavailable { .. })
    ));
    let mut letters = amqp.inlet(1.try_into().unwrap());
    tokio::time::timeout(NEVER, amqp.close()).await.unwrap();
    assert!(letters.next().await.is_none());
    assert!(matches!(
        amqp.link().borrow().state,
        LinkState::Away {
            cause: Cause::Closed
        }
    ));
    assert!(matches!(
        amqp.publish(&queue(), Message::default()).await,
        Err(PublishError::Closed)
    ));
}

/// Somebody listens and says nothing: the attempt has its end, and its socket too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_never_answers_is_given_up_and_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let amqp = open(listener.local_addr().unwrap().port());
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut said = Vec::new();
    tokio::time::timeout(NEVER, socket.read_to_end(&mut said))
        .await
        .expect("the socket stays open")
        .unwrap();
    assert!(said.starts_with(b"AMQP"), "{said:?}");
    unreachable(&amqp).await;
}

#[tokio::test]
async fn a_body_too_long_is_refused_before_anything_else() {
    let amqp = open(1);
    let message = Message {
        body: vec![0; bus::amqp::MAX_INLINE + 1].into(),
        ..Message::default()
    };
    assert!(matches!(
        amqp.publish(&queue(), message).await,
        Err(PublishError::TooLong { .. })
    ));
}
