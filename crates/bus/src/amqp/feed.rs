//! Consuming: one channel a consumer, attached again whenever it is lost.
//!
//! A task reads what the broker hands out into a short queue (at most the window) and sends acks
//! and returns. Who takes a message holds its tag and the number of the attachment it came
//! through: after a loss the tag means nothing any more, and the broker hands the message out
//! again, marked.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::BoxFuture;
use crate::message::{Settle, Verdict};

use super::fault::Fault;
use super::line::Place;

/// How long a farewell may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Between two attempts to attach.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// An attached channel.
pub(super) struct Tapped {
    pub(super) consumer: Consumer,
    pub(super) channel: Channel,
    pub(super) place: Option<Place>,
    /// Attach anew once so many were settled and none is held: this attachment is a careful one.
    pub(super) until: Option<u32>,
}

/// What came before an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing: the first one.
    Nothing,
    /// A loss.
    Loss,
    /// A careful attachment that went well.
    Proof,
}

/// Where messages are taken from.
pub(super) trait Tap: Send + Sync + fmt::Debug + 'static {
    /// What a message becomes.
    type Item: Send;
    /// Attaches, waiting until there is a broker to attach to.
    fn attach(&self, after: After) -> BoxFuture<'_, Result<Tapped, Fault>>;
    /// Reads a message, or says why it cannot be read.
    fn read(&self, delivery: &mut Delivery) -> Result<Self::Item, &'static str>;
    /// Puts a message that cannot be read to the dead letters; resolves when it is there.
    fn bury(&self, delivery: Delivery, reason: &'static str) -> BoxFuture<'_, bool>;
}

/// Opens a channel, sets the window, consumes.
pub(super) async fn tap(
    channel: Channel,
    place: Option<Place>,
    queue: String,
    window: u16,
    until: Option<u32>,
) -> Result<Tapped, Fault> {
    channel
        .basic_qos(window, BasicQosOptions::default())
        .await?;
    let consumer = channel
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    Ok(Tapped {
        consumer,
        channel,
        place,
        until,
    })
}

/// A message taken from a feed.
pub(super) struct Held<T> {
    pub(super) item: T,
    pub(super) redelivered: bool,
    pub(super) tag: u64,
    pub(super) origin: Arc<dyn Settle>,
}

/// A consumer. Dropped, it gives back what it holds.
pub(super) struct Feed<T> {
    shared: Arc<Shared<T>>,
    closed: CancellationToken,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// For the task: something is to be settled, or the consumer left.
    work: Notify,
    /// For whoever waits for the next one.
    ready: Notify,
    /// Handed out by the broker and not settled, over all consumers of the queue.
    unacked: Arc<AtomicU64>,
}

struct State<T> {
    ready: VecDeque<(u64, bool, T)>,
    verdicts: Vec<(u64, Verdict)>,
    attachment: u64,
    left: bool,
}

/// One attachment, as those who hold its messages know it.
struct Origin<T> {
    shared: Arc<Shared<T>>,
    attachment: u64,
}

impl<T> fmt::Debug for Origin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.attachment)
    }
}

impl<T: Send> Settle for Origin<T> {
    fn settle(&self, tag: u64, verdict: Verdict) {
        let mut state = self.shared.lock();
        if !state.left && state.attachment == self.attachment {
            state.verdicts.push((tag, verdict));
            drop(state);
            self.shared.work.notify_one();
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Feed<T> {
    /// Attaches; after that it is attached again by itself whenever it is lost, until it is
    /// dropped or `closed`.
    pub(super) async fn open<P: Tap<Item = T>>(
        tap: P,
        unacked: Arc<AtomicU64>,
        closed: CancellationToken,
    ) -> Result<Self, Fault> {
        let first = tap.attach(After::Nothing).await?;
        let feed = Self::new(unacked, closed);
        feed.spawn(tap, Some(first));
        Ok(feed)
    }

    /// The same without waiting for the first attachment.
    pub(super) fn begin<P: Tap<Item = T>>(tap: P, closed: CancellationToken) -> Self {
        let feed = Self::new(Arc::default(), closed);
        feed.spawn(tap, None);
        feed
    }

    fn new(unacked: Arc<AtomicU64>, closed: CancellationToken) -> Self {
        let shared = Shared {
            state: Mutex::new(State {
                ready: VecDeque::new(),
                verdicts: Vec::new(),
                attachment: 0,
                left: false,
            }),
            work: Notify::new(),
            ready: Notify::new(),
            unacked,
        };
        Self {
            shared: Arc::new(shared),
            closed,
        }
    }

    fn spawn<P: Tap<Item = T>>(&self, tap: P, first: Option<Tapped>) {
        let task = Task {
            shared: Arc::clone(&self.shared),
            closed: self.closed.clone(),
            tap,
            held: BTreeSet::new(),
        };
        tokio::spawn(task.run(first));
    }

    /// The next message; `None` once closed. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Held<T>> {
        loop {
            if self.closed.is_cancelled() {
                return None;
            }
            {
                let mut state = self.shared.lock();
                if let Some((tag, redelivered, item)) = state.ready.pop_front() {
                    let origin: Arc<dyn Settle> = Arc::new(Origin {
                        shared: Arc::clone(&self.shared),
                        attachment: state.attachment,
                    });
                    return Some(Held {
                        item,
                        redelivered,
                        tag,
                        origin,
                    });
                }
            }
            tokio::select! {
                // Only this consumer waits here, so a wake-up between looking and waiting is kept.
                () = self.shared.ready.notified() => {}
                () = self.closed.cancelled() => {}
            }
        }
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.shared.lock().left = true;
        self.shared.work.notify_one();
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Feed")
            .field("ready", &state.ready.len())
            .field("attachment", &state.attachment)
            .finish_non_exhaustive()
    }
}

/// How an attachment ended.
enum End {
    /// Attach again.
    Lost,
    /// Attach again at once: it was a careful one and all went well.
    Proved,
    /// The consumer left or the bus was closed.
    Left,
}

struct Task<P: Tap> {
    shared: Arc<Shared<P::Item>>,
    closed: CancellationToken,
    tap: P,
    /// Tags handed out by the broker in this attachment and not settled.
    held: BTreeSet<u64>,
}

impl<P: Tap> Task<P> {
    async fn run(mut self, first: Option<Tapped>) {
        let mut next = first;
        let mut failures = 0;
        let mut after = After::Nothing;
        loop {
            let tapped = match next.take() {
                Some(tapped) => Ok(tapped),
                None => tokio::select! {
                    tapped = self.tap.attach(after) => tapped,
                    () = self.closed.cancelled() => return,
                    () = left(&self.shared) => return,
                },
            };
            let end = match tapped {
                Ok(tapped) => {
                    failures = 0;
                    self.serve(tapped).await
                }
                Err(_) => End::Lost,
            };
            match end {
                End::Left => return,
                End::Proved => after = After::Proof,
                End::Lost => {
                    after = After::Loss;
                    let pause = PAUSES[failures.min(PAUSES.len() - 1)];
                    failures += 1;
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.closed.cancelled() => return,
                        () = left(&self.shared) => return,
                    }
                }
            }
        }
    }

    async fn serve(&mut self, mut tapped: Tapped) -> End {
        {
            let mut state = self.shared.lock();
            state.attachment += 1;
            state.verdicts.clear();
            state.ready.clear();
        }
        let mut settled = 0;
        let end = loop {
            tokio::select! {
                delivery = tapped.consumer.next() => match delivery {
                    Some(Ok(delivery)) => {
                        if !self.receive(delivery, &tapped.channel).await {
                            break End::Lost;
                        }
                    }
                    // The channel is gone, or the queue under the consumer is.
                    Some(Err(_)) | None => break End::Lost,
                },
                () = self.shared.work.notified() => {
                    let (verdicts, has_left) = {
                        let mut state = self.shared.lock();
                        (std::mem::take(&mut state.verdicts), state.left)
                    };
                    settled += u32::try_from(verdicts.len()).unwrap_or(u32::MAX);
                    let sent = self.settle(verdicts, &tapped.channel).await;
                    if has_left {
                        break End::Left;
                    }
                    if sent.is_err() {
                        break End::Lost;
                    }
                    if self.held.is_empty() && tapped.until.is_some_and(|until| settled >= until) {
                        break End::Proved;
                    }
                }
                () = self.closed.cancelled() => break End::Left,
            }
        };
        {
            let mut state = self.shared.lock();
            // What is in hand belongs to nobody from here on.
            state.attachment += 1;
            state.ready.clear();
            state.verdicts.clear();
        }
        // The broker takes back what was held, in its order.
        let farewell = tapped.channel.close(200, "the consumer leaves".into());
        let _ = tokio::time::timeout(CLOSE_WITHIN, farewell).await;
        self.forget_all();
        drop(tapped.place);
        end
    }

    async fn receive(&mut self, mut delivery: Delivery, channel: &Channel) -> bool {
        let tag = delivery.delivery_tag;
        let redelivered = delivery.redelivered;
        self.held.insert(tag);
        self.shared.unacked.fetch_add(1, Ordering::Relaxed);
        match self.tap.read(&mut delivery) {
            Ok(item) => {
                self.shared.lock().ready.push_back((tag, redelivered, item));
                self.shared.ready.notify_one();
                true
            }
            Err(reason) => {
                let verdict = if self.tap.bury(delivery, reason).await {
                    Verdict::Ack
                } else {
                    Verdict::Requeue
                };
                self.settle(vec![(tag, verdict)], channel).await.is_ok()
            }
        }
    }

    /// Sends acks and returns: what is acked below all that are held, in one.
    async fn settle(
        &mut self,
        mut verdicts: Vec<(u64, Verdict)>,
        channel: &Channel,
    ) -> lapin::Result<()> {
        // Those given back together keep their order.
        verdicts.sort_unstable_by_key(|(tag, _)| *tag);
        let (acked, returned): (Vec<_>, Vec<_>) = verdicts
            .into_iter()
            .partition(|(_, verdict)| *verdict == Verdict::Ack);
        for (tag, _) in returned {
            self.forget(tag);
            let options = BasicNackOptions {
                requeue: true,
                ..BasicNackOptions::default()
            };
            channel.basic_nack(tag, options).await?;
        }
        for (tag, _) in &acked {
            self.forget(*tag);
        }
        let lowest = self.held.first().copied().unwrap_or(u64::MAX);
        let together = acked.partition_point(|(tag, _)| *tag < lowest);
        if let Some((tag, _)) = together.checked_sub(1).and_then(|last| acked.get(last)) {
            let options = BasicAckOptions { multiple: true };
            channel.basic_ack(*tag, options).await?;
        }
        for (tag, _) in acked.iter().skip(together) {
            channel.basic_ack(*tag, BasicAckOptions::default()).await?;
        }
        Ok(())
    }

    fn forget(&mut self, tag: u64) {
        if self.held.remove(&tag) {
            self.shared.unacked.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn forget_all(&mut self) {
        let held = u64::try_from(std::mem::take(&mut self.held).len()).unwrap_or_default();
        self.shared.unacked.fetch_sub(held, Ordering::Relaxed);
    }
}

/// Resolves when the consumer has left.
async fn left<T>(shared: &Shared<T>) {
    loop {
        if shared.lock().left {
            return;
        }
        shared.work.notified().await;
    }
}
