//! The end of a bus, and what it refuses.

use std::sync::Arc;

use bus::{Bus, ConsumeError, PublishError, QueueError};

use super::*;

pub(crate) async fn closing_wakes_every_consumer(bus: Arc<dyn Bus>) {
    let queue = fresh();
    publish(&*bus, &queue, 0..1).await;
    // One with a full window, one with an empty queue, one that waits at another queue.
    let mut full = consume(&*bus, &queue, 1).await;
    let held = take(&mut full).await;
    let empty = consume(&*bus, &queue, 1).await;
    let elsewhere = consume(&*bus, &fresh(), 1).await;
    let mut ends = Vec::new();
    for mut consumer in [full, empty, elsewhere] {
        let (waits, is_waiting) = tokio::sync::oneshot::channel();
        ends.push(tokio::spawn(async move {
            {
                let mut wait = consumer.next();
                assert!(
                    at_once(wait.as_mut()).await.is_none(),
                    "there is nothing to take"
                );
                waits.send(()).unwrap();
                assert!(wait.await.is_none(), "a closed bus gives nothing");
            }
            assert!(consumer.next().await.is_none(), "nor does it later");
        }));
        soon(is_waiting).await.unwrap();
    }
    soon(bus.close()).await;
    for end in ends {
        soon(end).await.unwrap();
    }
    held.ack();
}

pub(crate) async fn a_closed_bus_refuses(bus: Arc<dyn Bus>) {
    let queue = fresh();
    publish(&*bus, &queue, 0..3).await;
    let mut consumer = consume(&*bus, &queue, 1).await;
    let held = take(&mut consumer).await;
    soon(bus.close()).await;
    soon(bus.close()).await;
    assert!(soon(consumer.next()).await.is_none());
    drop(held);
    drop(consumer);
    assert!(matches!(
        soon(bus.publish(&queue, message(3))).await,
        Err(PublishError::Closed)
    ));
    assert!(matches!(
        soon(bus.consume(&queue, 1)).await,
        Err(ConsumeError::Closed)
    ));
    assert!(matches!(
        soon(bus.depth(&queue)).await,
        Err(QueueError::Closed)
    ));
    assert!(matches!(
        soon(bus.purge(&queue)).await,
        Err(QueueError::Closed)
    ));
}

pub(crate) async fn a_window_of_nothing_is_refused(bus: Arc<dyn Bus>) {
    let refused = soon(bus.consume(&fresh(), 0)).await;
    assert!(matches!(refused, Err(ConsumeError::NoWindow)));
}
