//! What stands while the broker is there: the connections, and what is known on them.
//!
//! Publishing has a connection of its own: when the broker's alarms block it, consuming, acking
//! and asking go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Event, ExchangeKind};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::config::AmqpConfig;
use super::fault::{Fault, told};
use super::line::{Line, Place};
use super::link::{Cause, LinkState, Teller};
use super::publish::Publishers;
use super::topology::{self, Mailbox, QueueSpec};

/// Questions to the broker at a time.
const QUESTIONS: usize = 8;

/// How often a connection's state is looked at, beside the events it tells: an end that tells
/// nothing is noticed by this.
const LOOK: Duration = Duration::from_millis(250);

/// One time of being connected.
#[derive(Debug)]
pub(super) struct Session {
    /// Its number; see [`Link::generation`](super::Link::generation).
    pub(super) generation: u64,
    pub(super) publishers: Publishers,
    publish: Line,
    /// Of the consumers and the questions; more than one when they need more channels than a
    /// connection has.
    consume: Mutex<Vec<Arc<Line>>>,
    /// One new line at a time.
    widening: tokio::sync::Mutex<()>,
    /// Channels for questions that wait for the next one.
    idle: Mutex<Vec<(Place, Channel)>>,
    questions: Semaphore,
    /// The axis's own queues stood when it began: the broker has kept what it had.
    kept: AtomicBool,
    /// Told when it ends.
    pub(super) ended: CancellationToken,
}

/// What the broker says of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) ready: u32,
    pub(super) consumers: u32,
}

impl Session {
    /// Connects. The session's number is given once it stands.
    pub(super) async fn open(
        config: &AmqpConfig,
        generation: u64,
        ended: CancellationToken,
        blocked: watch::Receiver<bool>,
    ) -> Result<Self, Cause> {
        let publish = Line::open(config, "publishes").await?;
        let consume = Line::open(config, "consumes").await?;
        let publishers = Publishers::open(&publish, generation, &ended, blocked)
            .await
            .map_err(|error| Cause::Lost { said: told(&error) })?;
        Ok(Self {
            generation,
            publishers,
            publish,
            consume: Mutex::new(vec![Arc::new(consume)]),
            widening: tokio::sync::Mutex::default(),
            idle: Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
            kept: AtomicBool::new(false),
            ended,
        })
    }

    /// Resolves when it ends, with the cause; tells on the way when the broker blocks.
    pub(super) async fn watch(&self, teller: &Teller, blocked: &watch::Sender<bool>) -> Cause {
        let mut events = self.publish.events();
        let mut look = tokio::time::interval(LOOK);
        let mut said = "the connection ended".to_owned();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        blocked.send_replace(true);
                        teller.becomes(LinkState::Blocked { reason });
                    }
                    Some(Event::ConnectionUnblocked) => {
                        blocked.send_replace(false);
                        teller.becomes(LinkState::Up);
                    }
                    Some(Event::Error(error)) => said = told(&error),
                    Some(_) => {}
                    None => return Cause::Lost { said },
                },
                _ = look.tick() => {}
            }
            let up = self.publish.is_up() && self.lines().iter().all(|line| line.is_up());
            if !up {
                return Cause::Lost { said };
            }
        }
    }

    pub(super) async fn close(&self) {
        self.ended.cancel();
        let lines: Vec<_> = self.lines().clone();
        for line in lines {
            line.close().await;
        }
        self.publish.close().await;
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Arc<Line>>> {
        lock(&self.consume)
    }

    /// A channel of its own.
    pub(super) async fn channel(&self, config: &AmqpConfig) -> Result<(Place, Channel), Fault> {
        let (place, line) = match self.free() {
            Some(found) => found,
            None => {
                let _one = self.widening.lock().await;
                match self.free() {
                    Some(found) => found,
                    None => {
                        let line = Line::open(config, "consumes").await;
                        let line =
                            Arc::new(line.map_err(|cause| Fault::Away(cause.to_string().into()))?);
                        let place = line.place().ok_or_else(Fault::no_answer)?;
                        self.lines().push(Arc::clone(&line));
                        (place, line)
                    }
                }
            }
        };
        match tokio::time::timeout(config.confirm_within, line.channel()).await {
            Ok(channel) => Ok((place, channel?)),
            Err(_) => Err(Fault::no_answer()),
        }
    }

    fn free(&self) -> Option<(Place, Arc<Line>)> {
        let mut lines = self.lines();
        lines.retain(|line| !line.is_spent());
        lines
            .iter()
            .find_map(|line| line.place().map(|place| (place, Arc::clone(line))))
    }

    /// Asks the broker something on a channel that a refusal may cost.
    pub(super) async fn ask<T, F, A>(&self, config: &AmqpConfig, question: F) -> Result<T, Fault>
    where
        F: FnOnce(Channel) -> A + Send,
        A: Future<Output = lapin::Result<T>> + Send,
    {
        // It is never closed. Waiting for it does not count: each question before has its own
        // time, and after a start thousands of queues may be asked about.
        let permit = self.questions.acquire().await;
        let _permit = permit.map_err(|_| Fault::no_answer())?;
        let asked = async {
            let idle = lock(&self.idle)
                .pop()
                .filter(|(_, channel)| channel.status().connected());
            let (place, channel) = match idle {
                Some(idle) => idle,
                None => self.channel(config).await?,
            };
            let answer = question(channel.clone()).await?;
            lock(&self.idle).push((place, channel));
            Ok(answer)
        };
        match tokio::time::timeout(config.confirm_within, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::no_answer()),
        }
    }

    /// Makes a queue, or (if it is not ours to make) looks whether it is there.
    pub(super) async fn declare(
        &self,
        config: &AmqpConfig,
        spec: &QueueSpec,
    ) -> Result<Seen, Fault> {
        let options = if config.declare {
            QueueDeclareOptions::durable()
        } else {
            passive()
        };
        let (name, table) = (spec.name.clone(), spec.table());
        let declared = self
            .ask(config, async move |channel: Channel| {
                channel.queue_declare(name.into(), options, table).await
            })
            .await;
        match declared {
            Ok(queue) => Ok(Seen {
                ready: queue.message_count(),
                consumers: queue.consumer_count(),
            }),
            Err(Fault::Missing(_)) if !config.declare => Err(Fault::Missing(format!(
                "the queue {} is missing; import what `axis bus definitions` prints",
                spec.name
            ))),
            Err(fault) => Err(fault),
        }
    }

    /// What the broker says of a queue now.
    pub(super) async fn look(&self, config: &AmqpConfig, name: &str) -> Result<Seen, Fault> {
        let name = name.to_owned();
        let queue = self
            .ask(config, async move |channel: Channel| {
                let nothing = FieldTable::default();
                channel.queue_declare(name.into(), passive(), nothing).await
            })
            .await?;
        Ok(Seen {
            ready: queue.message_count(),
            consumers: queue.consumer_count(),
        })
    }

    pub(super) async fn purge(&self, config: &AmqpConfig, name: &str) -> Result<u32, Fault> {
        let name = name.to_owned();
        self.ask(config, async move |channel: Channel| {
            channel
                .queue_purge(name.into(), QueuePurgeOptions::default())
                .await
        })
        .await
    }

    /// Whether the broker has kept the axis's own queues since the connection before. What else is
    /// gone then was not lost with a broker: somebody deleted it.
    pub(super) fn has_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// Makes or looks at what there is once; tells what the broker does not give.
    pub(super) async fn furnish(&self, config: &AmqpConfig, teller: &Teller) {
        let mut kept = true;
        for mailbox in topology::mailboxes() {
            let name = mailbox.queue.name.clone();
            kept &= !matches!(self.look(config, &name).await, Err(Fault::Missing(_)));
            match self.mailbox(config, mailbox).await {
                Ok(()) => teller.fault(&name, None),
                Err(fault) => {
                    let reason = fault.reason();
                    tracing::warn!(name, reason, "the broker does not give a queue of the axis");
                    teller.fault(&name, Some(&reason));
                }
            }
        }
        self.kept.store(kept, Ordering::Relaxed);
    }

    async fn mailbox(&self, config: &AmqpConfig, mailbox: Mailbox) -> Result<(), Fault> {
        let name = mailbox.queue.name.clone();
        let options = ExchangeDeclareOptions {
            passive: !config.declare,
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let kind = match mailbox.kind {
            "fanout" => ExchangeKind::Fanout,
            _ => ExchangeKind::Topic,
        };
        let exchange = name.clone();
        let made = self
            .ask(config, async move |channel: Channel| {
                channel
                    .exchange_declare(exchange.into(), kind, options, FieldTable::default())
                    .await
            })
            .await;
        match made {
            Err(Fault::Missing(_)) => {
                return Err(Fault::Missing(format!(
                    "the exchange {name} is missing; import what `axis bus definitions` prints"
                )));
            }
            made => made?,
        }
        self.declare(config, &mailbox.queue).await?;
        if !config.declare {
            return Ok(());
        }
        self.ask(config, async move |channel: Channel| {
            channel
                .queue_bind(
                    name.clone().into(),
                    name.into(),
                    mailbox.binding.into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
        })
        .await
    }
}

fn passive() -> QueueDeclareOptions {
    QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::durable()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
