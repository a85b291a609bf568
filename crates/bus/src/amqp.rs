//! The bus over RabbitMQ.
//!
//! A keeper task makes the connection, and makes it anew whenever it is lost; [`Link`] tells how
//! it stands. Under it a session lives as long as its connections do: publishers with
//! a channel each, consumers with a channel each, questions on a few more. What was promised
//! through a lost one is not known, and said so: the ledger publishes it again.
//!
//! lapin's own log lines hold whole messages, so a program that uses this must not write what
//! comes from the target `lapin`; what matters of it is told by the link and by this crate.

mod access;
mod config;
mod fault;
mod feed;
mod inlet;
mod lane;
mod line;
mod link;
mod publish;
mod session;
mod topology;
mod wire;

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::{
    BoxFuture, Bus, ConsumeError, Consumer, Depth, Message, PublishError, Queue, QueueError,
};

use self::fault::Fault;
use self::link::Teller;
use self::publish::{Job, Target};
use self::session::Session;
use self::topology::QueueSpec;

pub use access::{Access, Topic, system_of, user_of};
pub use config::{AmqpConfig, AmqpConfigError, AmqpTls, MAX_INLINE};
pub use inlet::{Inlet, Letter, Letters, ReplyError};
pub use link::{Cause, Link, LinkState};
pub use topology::{DEAD, INGRESS, SETTLE, definitions, reply_queue};

/// The first pause before another attempt to connect, doubled each time.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that stood so long was a good one: the pauses begin anew.
const STEADY: Duration = Duration::from_secs(5);
/// What the link says of a queue whose broker is there and does not answer for it: without its
/// leader, or made in the second before its broker was killed.
const NO_ANSWER: &str = "the broker gives no answer for this queue: look at it with `rabbitmq-queues quorum_status`; if it has no leader, delete it, the axis makes it anew";
/// Consumers that attach at a time: after a broker's restart all of them come.
const ATTACHING: usize = 16;

/// The bus over RabbitMQ (AMQP 0-9-1). Dropped without [`close`](Bus::close) it ends as well,
/// with what is on its way.
///
/// * [`publish`](Bus::publish) resolves when the broker has the message on disk. While it is
///   away the answer is [`Unavailable`](PublishError::Unavailable) at once; while it is blocked
///   by its alarms a publish waits, at most [`confirm_within`](AmqpConfig::confirm_within).
/// * A [`Consumer`] outlives the connection: it is attached again by itself, and only attaching
///   the first time can fail. What it held is handed out again, marked.
/// * [`depth`](Bus::depth) says [`Missing`](QueueError::Missing) of a queue that this bus has
///   used and that is gone: a deleted queue, a wiped broker.
#[derive(Debug)]
pub struct Amqp {
    inner: Arc<Inner>,
    _ends: DropGuard,
}

impl Amqp {
    /// Opens the bus, inside a tokio runtime. Returns at once: the connection is made, and made
    /// again, in the background, and [`link`](Self::link) tells how it stands.
    ///
    /// # Errors
    /// [`AmqpConfigError`]: what is given does not fit together.
    pub fn open(config: AmqpConfig) -> Result<Arc<Self>, AmqpConfigError> {
        config.check()?;
        let closed = CancellationToken::new();
        let inner = Arc::new(Inner {
            config,
            teller: Teller::new(),
            session: watch::Sender::new(None),
            queues: Mutex::default(),
            attaching: Semaphore::new(ATTACHING),
            dead: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            closed: closed.clone(),
        });
        inner.tasks.spawn(keep(Arc::clone(&inner)));
        inner.tasks.close();
        Ok(Arc::new(Self {
            inner,
            _ends: closed.drop_guard(),
        }))
    }

    /// How the way to the broker stands, now and whenever it changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.inner.teller.watch()
    }

    /// Begins to read `axis.settle` and `axis.ingress`: at most `window` settles unacked, and as
    /// many packages as 64 MiB hold. Several inlets share the letters.
    #[must_use]
    pub fn inlet(&self, window: NonZeroU16) -> Letters {
        Letters::open(&self.inner, window)
    }

    /// How many messages went to `axis.dead` since the bus was opened.
    #[must_use]
    pub fn dead_letters(&self) -> u64 {
        self.inner.dead.load(Ordering::Relaxed)
    }
}

/// What the tasks share.
#[derive(Debug)]
struct Inner {
    config: AmqpConfig,
    teller: Teller,
    session: watch::Sender<Option<Arc<Session>>>,
    queues: Mutex<HashMap<Queue, Known>>,
    attaching: Semaphore,
    dead: AtomicU64,
    tasks: TaskTracker,
    closed: CancellationToken,
}

/// A queue that this bus has used.
#[derive(Debug, Default)]
struct Known {
    /// In which session it was made or seen; 0 when it is gone.
    generation: u64,
    /// Whether it was ever there.
    stood: bool,
    /// Held while it is made. RabbitMQ 3.10 refuses messages of a quorum queue that is being made
    /// from two sides.
    making: Arc<tokio::sync::Mutex<()>>,
    /// Held by this bus's consumers.
    unacked: Arc<AtomicU64>,
}

/// Makes the connection whenever there is none.
async fn keep(inner: Arc<Inner>) {
    let mut pause = PAUSE;
    while !inner.closed.is_cancelled() {
        let began = Instant::now();
        let cause = tokio::select! {
            cause = inner.session() => cause,
            () = inner.closed.cancelled() => Cause::Closed,
        };
        let session = inner.session.send_replace(None);
        if let Some(session) = session {
            session.close().await;
        }
        if inner.closed.is_cancelled() {
            break;
        }
        if began.elapsed() >= STEADY {
            pause = PAUSE;
        }
        tracing::warn!(broker = inner.config.address(), %cause, "the bus is away; it is tried again");
        inner.teller.becomes(LinkState::Away { cause });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = inner.closed.cancelled() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    inner.teller.becomes(LinkState::Away {
        cause: Cause::Closed,
    });
}

impl Inner {
    /// One time of being connected: from the attempt to its end.
    async fn session(self: &Arc<Self>) -> Cause {
        let generation = self.teller.watch().borrow().generation + 1;
        let blocked = watch::Sender::new(false);
        let ended = CancellationToken::new();
        let opened = Session::open(&self.config, generation, ended, blocked.subscribe()).await;
        let session = match opened {
            Ok(session) => Arc::new(session),
            Err(cause) => return cause,
        };
        session.furnish(&self.config, &self.teller).await;
        if !session.has_kept() {
            // They went with the broker's memory, and nobody deleted them.
            let mut queues = self.queues();
            queues.values_mut().for_each(|known| known.generation = 0);
        }
        let queues: Arc<dyn publish::Queues> = Arc::<Self>::clone(self);
        session.publishers.begin(&queues);
        self.teller.connected(generation);
        tracing::info!(broker = self.config.address(), generation, "the bus is up");
        self.session.send_replace(Some(Arc::clone(&session)));
        tokio::select! {
            cause = session.watch(&self.teller, &blocked) => cause,
            () = session.ended.cancelled() => Cause::Lost {
                said: "a channel was closed by the broker".to_owned(),
            },
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<Queue, Known>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, if there is one.
    fn now(&self) -> Option<Arc<Session>> {
        self.session.borrow().clone()
    }

    /// The session, once there is one.
    async fn soon(&self) -> Result<Arc<Session>, Fault> {
        let mut watch = self.session.subscribe();
        let session = watch.wait_for(Option::is_some).await;
        session
            .ok()
            .and_then(|session| session.clone())
            .ok_or_else(Fault::no_answer)
    }

    /// Why there is no session.
    fn away(&self) -> Fault {
        let said = match &self.teller.watch().borrow().state {
            LinkState::Away { cause } => cause.to_string(),
            LinkState::Up | LinkState::Blocked { .. } => "the connection just ended".to_owned(),
        };
        Fault::Away(said.into())
    }

    /// Makes `queue`, or looks whether it is there, unless it is known to be.
    async fn stand(&self, session: &Session, queue: &Queue) -> Result<(), Fault> {
        if publish::Queues::stands(self, queue, session.generation) {
            return Ok(());
        }
        let making = Arc::clone(&self.queues().entry(queue.clone()).or_default().making);
        let _alone = making.lock().await;
        if publish::Queues::stands(self, queue, session.generation) {
            return Ok(());
        }
        let spec = QueueSpec::lane(queue);
        // Made without a look, one that is gone would be there again and nobody the wiser.
        let made = if session.has_kept() && self.was_there(queue) {
            match session.look(&self.config, &spec.name).await {
                Err(Fault::Missing(_)) => {
                    self.forget(queue);
                    session.declare(&self.config, &spec).await
                }
                looked => looked,
            }
        } else {
            session.declare(&self.config, &spec).await
        };
        match made {
            Ok(_) => {
                {
                    let mut queues = self.queues();
                    let known = queues.entry(queue.clone()).or_default();
                    (known.generation, known.stood) = (session.generation, true);
                }
                self.teller.fault(&spec.name, None);
                Ok(())
            }
            Err(fault) => {
                self.note(&spec.name, &fault);
                Err(fault)
            }
        }
    }

    /// Tells what the broker does not give; that it is away is told elsewhere.
    fn note(&self, name: &str, fault: &Fault) {
        if !matches!(fault, Fault::Away(_)) {
            self.teller.fault(name, Some(&fault.reason()));
        }
    }

    /// It is gone. Told if it stood under this connection, or under one before to a broker that
    /// has kept the rest: what a broker lost while it was away is no news of a queue.
    fn forget(&self, queue: &Queue) {
        let stood = {
            let mut queues = self.queues();
            let known = queues.get_mut(queue);
            known.map_or(0, |known| std::mem::replace(&mut known.generation, 0))
        };
        let told = self
            .now()
            .is_some_and(|now| stood > 0 && (stood == now.generation || now.has_kept()));
        if told {
            self.teller.deleted(queue.to_string());
        }
    }

    /// Whether it was there when this bus last looked, over whichever connection.
    fn was_there(&self, queue: &Queue) -> bool {
        self.queues()
            .get(queue)
            .is_some_and(|known| known.generation > 0)
    }

    /// Whether this bus has ever seen it.
    fn stood(&self, queue: &Queue) -> bool {
        self.queues().get(queue).is_some_and(|known| known.stood)
    }

    fn unacked(&self, queue: &Queue) -> Arc<AtomicU64> {
        Arc::clone(&self.queues().entry(queue.clone()).or_default().unacked)
    }

    /// Publishes and waits for the confirm, within the time that the broker has.
    async fn publish(
        &self,
        target: Target,
        message_id: String,
        properties: BasicProperties,
        body: Bytes,
    ) -> Result<(), PublishError> {
        if self.closed.is_cancelled() {
            return Err(PublishError::Closed);
        }
        let session = self.now().ok_or_else(|| self.away())?;
        let queue = match &target {
            Target::Lane(queue) => Some(queue.to_string()),
            Target::Dead | Target::Reply(_) => None,
        };
        let (answer, confirmed) = oneshot::channel();
        let job = Job {
            target,
            message_id,
            properties,
            body,
            answer,
        };
        let sent = async {
            session.publishers.hand_over(job).await?;
            match confirmed.await {
                Ok(confirmed) => confirmed,
                Err(_) => Err(self.away().into()),
            }
        };
        let outcome = match tokio::time::timeout(self.config.confirm_within, sent).await {
            Ok(outcome) => {
                if let (Some(queue), true) = (&queue, outcome.is_ok() && self.teller.has_faults()) {
                    self.teller.fault(queue, None);
                }
                outcome
            }
            Err(_) => {
                // While it is blocked nobody is answered.
                if let (Some(queue), true) = (&queue, self.teller.is_up()) {
                    self.teller.fault(queue, Some(NO_ANSWER));
                }
                Err(Fault::no_answer().into())
            }
        };
        if outcome.is_err() && self.closed.is_cancelled() {
            return Err(PublishError::Closed);
        }
        outcome
    }

    /// Puts a message to the dead letters, with the reason.
    async fn bury(
        &self,
        properties: BasicProperties,
        body: Bytes,
        queue: &str,
        reason: &str,
    ) -> Result<(), PublishError> {
        let (properties, message_id) = wire::dead(&properties, queue, reason);
        self.publish(Target::Dead, message_id, properties, body)
            .await?;
        self.dead.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl publish::Queues for Inner {
    fn stands(&self, queue: &Queue, generation: u64) -> bool {
        self.queues()
            .get(queue)
            .is_some_and(|known| known.generation == generation)
    }

    fn make(self: Arc<Self>, queue: Queue) -> BoxFuture<'static, Result<(), Fault>> {
        Box::pin(async move {
            let session = self.now().ok_or_else(|| self.away())?;
            self.stand(&session, &queue).await
        })
    }

    fn gone(&self, queue: &Queue) {
        self.forget(queue);
    }
}

impl Bus for Amqp {
    fn publish(&self, queue: &Queue, message: Message) -> BoxFuture<'_, Result<(), PublishError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let length = message.body.len();
            if length > MAX_INLINE {
                return Err(PublishError::TooLong {
                    length,
                    limit: MAX_INLINE,
                });
            }
            let id = wire::message_id(&message);
            let properties = wire::properties(&message, &id);
            self.inner
                .publish(Target::Lane(queue), id, properties, message.body)
                .await
        })
    }

    fn consume(
        &self,
        queue: &Queue,
        window: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Consumer>, ConsumeError>> {
        let queue = queue.clone();
        Box::pin(async move {
            if window == 0 {
                return Err(ConsumeError::NoWindow);
            }
            if self.inner.closed.is_cancelled() {
                return Err(ConsumeError::Closed);
            }
            if self.inner.now().is_none() {
                return Err(self.inner.away().into());
            }
            let attached: Box<dyn Consumer> =
                Box::new(lane::Attached::open(&self.inner, queue, window).await?);
            Ok(attached)
        })
    }

    fn depth(&self, queue: &Queue) -> BoxFuture<'_, Result<Depth, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let inner = &self.inner;
            if inner.closed.is_cancelled() {
                return Err(QueueError::Closed);
            }
            let session = inner.now().ok_or_else(|| inner.away())?;
            match session.look(&inner.config, &queue.to_string()).await {
                Ok(seen) => Ok(Depth {
                    ready: seen.ready.into(),
                    unacked: inner.unacked(&queue).load(Ordering::Relaxed),
                    consumers: seen.consumers,
                }),
                Err(Fault::Missing(_)) => {
                    if inner.stood(&queue) {
                        inner.forget(&queue);
                        Err(QueueError::Missing)
                    } else {
                        Ok(Depth::default())
                    }
                }
                Err(fault) => Err(fault.into()),
            }
        })
    }

    fn purge(&self, queue: &Queue) -> BoxFuture<'_, Result<u64, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let inner = &self.inner;
            if inner.closed.is_cancelled() {
                return Err(QueueError::Closed);
            }
            let session = inner.now().ok_or_else(|| inner.away())?;
            let stood = inner.stood(&queue);
            // Asked about a queue that is not there, the broker closes the channel; with many
            // systems that is thousands of channels at the first documents after a start.
            let purged = match inner.stand(&session, &queue).await {
                Ok(()) => session.purge(&inner.config, &queue.to_string()).await,
                Err(fault) => Err(fault),
            };
            match purged {
                Ok(purged) => Ok(purged.into()),
                Err(Fault::Missing(_)) if !stood => Ok(0),
                Err(fault) => Err(fault.into()),
            }
        })
    }

    fn make(&self, queue: &Queue) -> BoxFuture<'_, Result<(), QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let inner = &self.inner;
            if inner.closed.is_cancelled() {
                return Err(QueueError::Closed);
            }
            let session = inner.now().ok_or_else(|| inner.away())?;
            Ok(inner.stand(&session, &queue).await?)
        })
    }

    fn link(&self) -> Option<watch::Receiver<Link>> {
        Some(self.link())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.inner.closed.cancel();
            self.inner.tasks.wait().await;
        })
    }
}
