//! A bus as a broker is: away at times, wiped, refusing a queue, handing out ahead.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::amqp::{Cause, Link, LinkState};
use bus::{
    BoxFuture, Bus, ConsumeError, Consumer, Depth, Embedded, Lane, Message, PublishError, Queue,
    QueueError, Taken,
};
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Moody {
    queues: Mutex<Arc<Embedded>>,
    link: watch::Sender<Link>,
    /// Counts how often all consumers were cut off.
    cut: watch::Sender<u64>,
    missing: Mutex<HashSet<Queue>>,
    refused: Mutex<HashSet<Queue>>,
    /// How long attaching a consumer takes.
    attaching: Mutex<Duration>,
    /// Every queue that was published to.
    made: Mutex<HashSet<Queue>>,
    /// Every message that was confirmed: its queue and itself.
    published: Mutex<Vec<(Queue, Message)>>,
}

impl Moody {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            queues: Mutex::default(),
            link: watch::Sender::new(Link::new(LinkState::Up, 1)),
            cut: watch::Sender::new(0),
            missing: Mutex::default(),
            refused: Mutex::default(),
            attaching: Mutex::default(),
            made: Mutex::default(),
            published: Mutex::default(),
        })
    }

    /// The broker goes away; what it held is gone with it.
    pub(crate) fn goes_away(&self) {
        let said = "pulled out".to_owned();
        let cause = Cause::Lost { said };
        let generation = self.link.borrow().generation;
        self.link
            .send_replace(Link::new(LinkState::Away { cause }, generation));
        *self.queues.lock().unwrap() = Arc::default();
        self.cut.send_modify(|cut| *cut += 1);
    }

    /// It takes nothing more, as a broker short of memory, or takes again.
    pub(crate) fn blocks(&self, blocks: bool) {
        let reason = "low on memory".to_owned();
        let state = if blocks {
            LinkState::Blocked { reason }
        } else {
            LinkState::Up
        };
        let generation = self.link.borrow().generation;
        self.link.send_replace(Link::new(state, generation));
    }

    /// A queue cannot be used, or none is at fault.
    pub(crate) fn faults(&self, faulty: Option<&str>) {
        let faults = faulty.map(|queue| (queue.to_owned(), "ACCESS_REFUSED".to_owned()));
        self.link
            .send_modify(|link| link.faults = Arc::new(faults.into_iter().collect()));
    }

    /// A queue is deleted under the connection, and the bus has noticed.
    pub(crate) fn deletes(&self, queue: &str) {
        self.link.send_modify(|link| {
            *Arc::make_mut(&mut link.deleted)
                .entry(queue.to_owned())
                .or_default() += 1;
        });
    }

    /// It comes back, empty.
    pub(crate) fn comes_back(&self) {
        let generation = self.link.borrow().generation + 1;
        self.link.send_replace(Link::new(LinkState::Up, generation));
    }

    /// All queues are deleted while the connection stays.
    pub(crate) fn loses_queues(&self) {
        let gone = std::mem::take(&mut *self.made.lock().unwrap());
        self.missing.lock().unwrap().extend(gone);
        *self.queues.lock().unwrap() = Arc::default();
        self.cut.send_modify(|cut| *cut += 1);
    }

    /// All queues are emptied while the connection stays.
    pub(crate) async fn loses_messages(&self) {
        let here = Arc::clone(&self.queues.lock().unwrap());
        let queues = self.made.lock().unwrap().clone();
        for queue in queues {
            here.purge(&queue).await.unwrap();
        }
    }

    /// A queue takes nothing, or takes again.
    pub(crate) fn refuses(&self, queue: &Queue, refuses: bool) {
        let mut refused = self.refused.lock().unwrap();
        if refuses {
            refused.insert(queue.clone());
        } else {
            refused.remove(queue);
        }
    }

    /// Attaching a consumer takes so long, as over a network.
    pub(crate) fn attaches_within(&self, time: Duration) {
        *self.attaching.lock().unwrap() = time;
    }

    /// What was confirmed for a system since the last call.
    pub(crate) fn published(&self, system: &str) -> Vec<(Lane, Message)> {
        let mut published = self.published.lock().unwrap();
        published
            .extract_if(.., |(queue, _)| &*queue.system == system)
            .map(|(queue, message)| (queue.lane, message))
            .collect()
    }

    fn here(&self) -> Option<Arc<Embedded>> {
        let connected = self.link.borrow().is_connected();
        connected.then(|| Arc::clone(&self.queues.lock().unwrap()))
    }
}

impl Bus for Moody {
    fn publish(&self, queue: &Queue, message: Message) -> BoxFuture<'_, Result<(), PublishError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let here = self.here();
            let here = here.ok_or_else(|| PublishError::Unavailable {
                source: "away".into(),
            })?;
            if self.refused.lock().unwrap().contains(&queue) {
                return Err(PublishError::Refused {
                    reason: "ACCESS_REFUSED".to_owned(),
                });
            }
            let mut kept = message.clone();
            kept.body = bytes::Bytes::new();
            here.publish(&queue, kept).await?;
            self.missing.lock().unwrap().remove(&queue);
            self.made.lock().unwrap().insert(queue.clone());
            self.published.lock().unwrap().push((queue, message));
            Ok(())
        })
    }

    fn consume(
        &self,
        queue: &Queue,
        window: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Consumer>, ConsumeError>> {
        let queue = queue.clone();
        let attaching = *self.attaching.lock().unwrap();
        Box::pin(async move {
            tokio::time::sleep(attaching).await;
            let here = self.here();
            let here = here.ok_or_else(|| ConsumeError::Unavailable {
                source: "away".into(),
            })?;
            let consumer = here.consume(&queue, window).await?;
            let attached: Box<dyn Consumer> = Box::new(Attached {
                _queues: here,
                cut: self.cut.subscribe(),
                consumer,
            });
            Ok(attached)
        })
    }

    fn depth(&self, queue: &Queue) -> BoxFuture<'_, Result<Depth, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            if self.missing.lock().unwrap().contains(&queue) {
                return Err(QueueError::Missing);
            }
            let here = self.here();
            let here = here.ok_or_else(|| QueueError::Unavailable {
                source: "away".into(),
            })?;
            here.depth(&queue).await
        })
    }

    fn purge(&self, queue: &Queue) -> BoxFuture<'_, Result<u64, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let here = self.here();
            let here = here.ok_or_else(|| QueueError::Unavailable {
                source: "away".into(),
            })?;
            here.purge(&queue).await
        })
    }

    fn link(&self) -> Option<watch::Receiver<Link>> {
        Some(self.link.subscribe())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let queues = Arc::clone(&self.queues.lock().unwrap());
            queues.close().await;
        })
    }
}

/// A consumer that does not outlive its connection.
#[derive(Debug)]
struct Attached {
    _queues: Arc<Embedded>,
    cut: watch::Receiver<u64>,
    consumer: Box<dyn Consumer>,
}

impl Consumer for Attached {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Taken, ConsumeError>>> {
        Box::pin(async move {
            tokio::select! {
                biased;
                _ = self.cut.changed() => {
                    let reason = "the channel is gone".to_owned();
                    Some(Err(ConsumeError::Refused { reason }))
                }
                next = self.consumer.next() => next,
            }
        })
    }
}
