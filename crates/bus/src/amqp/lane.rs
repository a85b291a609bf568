//! The consumer of a lane's queue.

use std::sync::Arc;

use lapin::message::Delivery;

use crate::{BoxFuture, ConsumeError, Consumer, Message, Queue, Taken};

use super::Inner;
use super::fault::Fault;
use super::feed::{After, Feed, Tap, Tapped, tap};

/// An attached consumer.
#[derive(Debug)]
pub(super) struct Attached(Feed<Message>);

impl Attached {
    pub(super) async fn open(
        inner: &Arc<Inner>,
        queue: Queue,
        window: u16,
    ) -> Result<Self, ConsumeError> {
        let unacked = inner.unacked(&queue);
        let tap = LaneTap {
            inner: Arc::clone(inner),
            queue,
            window,
        };
        let opened = Feed::open(tap, unacked, inner.closed.clone());
        match tokio::time::timeout(inner.config.confirm_within, opened).await {
            Ok(feed) => Ok(Self(feed?)),
            Err(_) => Err(Fault::no_answer().into()),
        }
    }
}

impl Consumer for Attached {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Taken, ConsumeError>>> {
        Box::pin(async move {
            let held = self.0.next().await?;
            Some(Ok(Taken::new(
                held.item,
                held.redelivered,
                held.tag,
                held.origin,
            )))
        })
    }
}

#[derive(Debug)]
struct LaneTap {
    inner: Arc<Inner>,
    queue: Queue,
    window: u16,
}

impl Tap for LaneTap {
    type Item = Message;

    fn attach(&self, _after: After) -> BoxFuture<'_, Result<Tapped, Fault>> {
        Box::pin(async move {
            let inner = &self.inner;
            let session = inner.soon().await?;
            // It is never closed.
            let _turn = inner
                .attaching
                .acquire()
                .await
                .map_err(|_| Fault::no_answer())?;
            inner.stand(&session, &self.queue).await?;
            let (place, channel) = session.channel(&inner.config).await?;
            let name = self.queue.to_string();
            // A queue that has no leader never answers.
            let tapping = tap(channel, Some(place), name.clone(), self.window, None);
            match tokio::time::timeout(inner.config.confirm_within, tapping).await {
                Ok(Ok(tapped)) => Ok(tapped),
                Err(_) => {
                    inner.teller.fault(&name, Some(super::NO_ANSWER));
                    Err(Fault::no_answer())
                }
                Ok(Err(fault)) => {
                    if matches!(fault, Fault::Missing(_)) {
                        // Made anew next time.
                        inner.forget(&self.queue);
                    } else {
                        inner.note(&name, &fault);
                    }
                    Err(fault)
                }
            }
        })
    }

    fn read(&self, delivery: &mut Delivery) -> Result<Message, &'static str> {
        super::wire::message(delivery)
    }

    fn bury(&self, delivery: Delivery, reason: &'static str) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let queue = self.queue.to_string();
            tracing::warn!(
                queue,
                reason,
                "a message that is none of the axis's lies in a queue; it goes to axis.dead"
            );
            self.inner
                .bury(delivery.properties, delivery.data.into(), &queue, reason)
                .await
                .is_ok()
        })
    }
}
