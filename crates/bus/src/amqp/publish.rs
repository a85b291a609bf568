//! Publishing: many messages in flight, each confirmed by the broker or not sent.
//!
//! A few tasks, each with a channel of its own; a queue's messages go through one of them, in
//! the order of their publishes. A message counts as sent when the broker has acked it and has
//! not returned it. What the broker returns (a queue is gone) comes before the ack, and lapin
//! hangs it on the next ack of the channel, whosever that is. So returns are told apart by their
//! message id: whoever has one of another's hanging on him does not know how he stands, and the
//! other one was not sent.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{PublishError, Queue};

use super::fault::{Fault, told};
use super::line::Line;
use super::topology;

/// Channels that publish. One saturates a core of the broker; a queue that is slow there holds
/// up its channel, so there are some.
const PUBLISHERS: usize = 4;

/// Messages of one publisher without their confirm.
const IN_FLIGHT: usize = 4_096;

/// Messages that wait for a publisher's attention.
const WAITING: usize = 1_024;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Into the queue of a lane.
    Lane(Queue),
    /// To the dead letters.
    Dead,
    /// Into a queue for answers, if it is still there.
    Reply(String),
}

/// A message to publish.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) target: Target,
    /// Also among the properties.
    pub(super) message_id: String,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
    pub(super) answer: oneshot::Sender<Result<(), PublishError>>,
}

/// Who makes queues, and is told when one is gone.
pub(super) trait Queues: Send + Sync + fmt::Debug {
    /// Whether the queue is known to be there under this session.
    fn stands(&self, queue: &Queue, generation: u64) -> bool;
    /// Makes it.
    fn make(self: Arc<Self>, queue: Queue) -> BoxFuture<'static, Result<(), Fault>>;
    /// It is there no more.
    fn gone(&self, queue: &Queue);
}

/// The publishers of a session.
#[derive(Debug)]
pub(super) struct Publishers {
    jobs: Vec<mpsc::Sender<Job>>,
    hash: RandomState,
    /// Taken when they begin.
    waiting: std::sync::Mutex<Vec<(Channel, mpsc::Receiver<Job>)>>,
    generation: u64,
    ended: CancellationToken,
    blocked: watch::Receiver<bool>,
}

impl Publishers {
    /// Opens their channels.
    pub(super) async fn open(
        line: &Line,
        generation: u64,
        ended: &CancellationToken,
        blocked: watch::Receiver<bool>,
    ) -> lapin::Result<Self> {
        let (mut jobs, mut waiting) = (Vec::new(), Vec::new());
        for _ in 0..PUBLISHERS {
            let channel = line.channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            let (sender, receiver) = mpsc::channel(WAITING);
            jobs.push(sender);
            waiting.push((channel, receiver));
        }
        Ok(Self {
            jobs,
            hash: RandomState::new(),
            waiting: std::sync::Mutex::new(waiting),
            generation,
            ended: ended.clone(),
            blocked,
        })
    }

    /// Begins. They end with the session.
    pub(super) fn begin(&self, queues: &Arc<dyn Queues>) {
        let waiting = std::mem::take(
            &mut *self
                .waiting
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        for (channel, jobs) in waiting {
            let publisher = Publisher {
                channel,
                queues: Arc::clone(queues),
                generation: self.generation,
                in_flight: FuturesUnordered::new(),
                pending: HashMap::new(),
                next: 0,
                making: FuturesUnordered::new(),
                parked: HashMap::new(),
                strays: HashSet::new(),
            };
            tokio::spawn(publisher.run(jobs, self.ended.clone(), self.blocked.clone()));
        }
    }

    /// The way to the publisher of `target`; waits while it has much to do.
    pub(super) async fn hand_over(&self, job: Job) -> Result<(), PublishError> {
        let at = match &job.target {
            Target::Lane(queue) => self.hash.hash_one(queue),
            Target::Dead => 0,
            Target::Reply(queue) => self.hash.hash_one(queue),
        };
        let publishers = u64::try_from(self.jobs.len()).unwrap_or(1).max(1);
        let at = usize::try_from(at % publishers).unwrap_or_default();
        let lost = || PublishError::Unavailable {
            source: "the connection to the broker was lost".into(),
        };
        let jobs = self.jobs.get(at).ok_or_else(lost)?;
        jobs.send(job).await.map_err(|_| lost())
    }
}

/// A message on its way.
struct Pending {
    target: Target,
    message_id: String,
    answer: oneshot::Sender<Result<(), PublishError>>,
}

/// What came of one.
type Done = (u64, lapin::Result<Confirmation>);

struct Publisher {
    channel: Channel,
    queues: Arc<dyn Queues>,
    generation: u64,
    in_flight: FuturesUnordered<BoxFuture<'static, Done>>,
    pending: HashMap<u64, Pending>,
    next: u64,
    making: FuturesUnordered<BoxFuture<'static, (Queue, Result<(), Fault>)>>,
    /// What waits for its queue to be made, in order.
    parked: HashMap<Queue, VecDeque<Job>>,
    /// Returned messages whose ack has not been seen.
    strays: HashSet<String>,
}

impl Publisher {
    async fn run(
        mut self,
        mut jobs: mpsc::Receiver<Job>,
        ended: CancellationToken,
        mut blocked: watch::Receiver<bool>,
    ) {
        loop {
            let stopped = *blocked.borrow_and_update();
            let parked: usize = self.parked.values().map(VecDeque::len).sum();
            let room = !stopped && self.in_flight.len() + parked < IN_FLIGHT;
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                Some(done) = self.in_flight.next() => self.judge(done),
                Some((queue, made)) = self.making.next() => self.made(&queue, made),
                job = jobs.recv(), if room => match job {
                    Some(job) => self.take(job),
                    None => break,
                },
                changed = blocked.changed() => if changed.is_err() { break },
            }
            if !self.channel.status().connected() {
                // What is in flight has its error by now or never gets an answer.
                break;
            }
        }
        // What has its confirm already was sent; the rest hears that it is not known to be.
        while let Some(Some(done)) = self.in_flight.next().now_or_never() {
            self.judge(done);
        }
        ended.cancel();
    }

    fn take(&mut self, job: Job) {
        if job.answer.is_closed() {
            // Its time is over.
            return;
        }
        if let Target::Lane(queue) = &job.target {
            if let Some(parked) = self.parked.get_mut(queue) {
                parked.push_back(job);
                return;
            }
            if !self.queues.stands(queue, self.generation) {
                let (queue, queues) = (queue.clone(), Arc::clone(&self.queues));
                self.parked.insert(queue.clone(), VecDeque::from([job]));
                self.making.push(Box::pin(async move {
                    let made = queues.make(queue.clone()).await;
                    (queue, made)
                }));
                return;
            }
        }
        self.send(job);
    }

    fn made(&mut self, queue: &Queue, made: Result<(), Fault>) {
        for job in self.parked.remove(queue).unwrap_or_default() {
            match &made {
                Ok(()) => self.send(job),
                Err(fault) => answer(
                    job.answer,
                    Err(match fault {
                        Fault::Away(source) => PublishError::Unavailable {
                            source: source.to_string().into(),
                        },
                        Fault::Missing(reason) | Fault::Refused(reason) => PublishError::Refused {
                            reason: reason.clone(),
                        },
                    }),
                ),
            }
        }
    }

    /// Puts it on its way, behind all that went before.
    fn send(&mut self, job: Job) {
        let number = self.next;
        self.next += 1;
        let (exchange, key, mandatory) = match &job.target {
            Target::Lane(queue) => ("", queue.to_string(), true),
            Target::Dead => (topology::DEAD, String::new(), true),
            Target::Reply(queue) => ("", queue.clone(), false),
        };
        let (channel, body, properties) = (self.channel.clone(), job.body, job.properties);
        let mut way: BoxFuture<'static, Done> = Box::pin(async move {
            let options = BasicPublishOptions {
                mandatory,
                ..BasicPublishOptions::default()
            };
            let sent = channel
                .basic_publish(exchange.into(), key.into(), options, &body, properties)
                .await;
            let confirmed = match sent {
                Ok(confirm) => confirm.await,
                Err(error) => Err(error),
            };
            (number, confirmed)
        });
        self.pending.insert(
            number,
            Pending {
                target: job.target,
                message_id: job.message_id,
                answer: job.answer,
            },
        );
        // The first poll queues its frames: asked here, messages leave in this order.
        match way.poll_unpin(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(done) => self.judge(done),
            std::task::Poll::Pending => self.in_flight.push(way),
        }
    }

    /// Answers for `first` and for all that are done by now. An ack that carries a return is done
    /// before the ack of the returned message is, and whoever is done first is seen no later: so
    /// all are looked at for returns before any is answered.
    fn judge(&mut self, first: Done) {
        let mut done = vec![first];
        while let Some(Some(next)) = self.in_flight.next().now_or_never() {
            done.push(next);
        }
        let mut judged = Vec::with_capacity(done.len());
        for (number, result) in done {
            let Some(pending) = self.pending.remove(&number) else {
                continue;
            };
            let verdict = match result {
                Err(error) => Err(PublishError::Unavailable {
                    source: told(&error).into(),
                }),
                Ok(Confirmation::Ack(None)) => Ok(()),
                Ok(Confirmation::Nack(None)) => Err(PublishError::Refused {
                    reason: "the broker could not keep it".to_owned(),
                }),
                Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                    let stray = returned.properties.message_id().as_ref();
                    if let Some(stray) = stray {
                        self.strays.insert(stray.to_string());
                    }
                    Err(PublishError::Unavailable {
                        source: "the broker's answer was about another message".into(),
                    })
                }
                Ok(Confirmation::NotRequested) => Err(PublishError::Unavailable {
                    source: "the channel gives no confirms".into(),
                }),
            };
            judged.push((pending, verdict));
        }
        for (pending, mut verdict) in judged {
            if self.strays.remove(&pending.message_id) {
                if let Target::Lane(queue) = &pending.target {
                    self.queues.gone(queue);
                }
                verdict = Err(PublishError::Refused {
                    reason: "the broker has no such queue".to_owned(),
                });
            }
            answer(pending.answer, verdict);
        }
        if self.pending.is_empty() {
            self.strays.clear();
        }
    }
}

fn answer(to: oneshot::Sender<Result<(), PublishError>>, verdict: Result<(), PublishError>) {
    // Whoever asked may have left.
    let _ = to.send(verdict);
}
