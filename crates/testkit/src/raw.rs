//! `raw`: what a broker alone can do. A bare publisher and consumer on one durable quorum queue,
//! with confirms and manual acks; it checks nothing and keeps nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Channels to publish over, and as many to consume over.
    pub channels: usize,
    /// Messages that the broker hands out ahead, a channel.
    pub prefetch: u16,
    /// Messages between their publish and their ack at any time.
    pub window: usize,
}

/// What came of a round; times in microseconds.
#[derive(Clone, Debug, Default)]
pub struct RawRound {
    /// Messages published, delivered and acked.
    pub messages: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// From the publish to its confirm.
    pub confirmed: Vec<u64>,
    /// From the publish to the consumer's ack.
    pub acked: Vec<u64>,
}

/// A publisher and a consumer.
#[derive(Debug)]
pub struct Raw {
    queue: String,
    channels: Vec<Channel>,
    started: Started,
    acked: Arc<Mutex<Vec<u64>>>,
    room: Arc<Semaphore>,
    _consumers: JoinSet<()>,
    _connections: [Connection; 2],
}

type Started = Arc<Mutex<HashMap<u64, Instant>>>;

impl Raw {
    /// Connects to `amqp://user:password@host:port/vhost` and attaches a consumer.
    ///
    /// # Errors
    /// The broker does not.
    pub async fn open(url: &str, name: &str, setting: Setting) -> Result<Self> {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let (publishes, consumes) = (connect().await?, connect().await?);
        let queue = format!("raw.{name}");
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let first = consumes.create_channel().await?;
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        first
            .queue_declare(queue.as_str().into(), options, arguments)
            .await?;
        let room = Arc::new(Semaphore::new(setting.window));
        let (started, acked) = (Started::default(), Arc::new(Mutex::new(Vec::new())));
        let (mut channels, mut consumers) = (Vec::new(), JoinSet::new());
        for _ in 0..setting.channels {
            let channel = publishes.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            channels.push(channel);
            let channel = consumes.create_channel().await?;
            channel
                .basic_qos(setting.prefetch, BasicQosOptions::default())
                .await?;
            let mut consumer = channel
                .basic_consume(
                    queue.as_str().into(),
                    "".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await?;
            let (started, acked) = (Arc::clone(&started), Arc::clone(&acked));
            let room = Arc::clone(&room);
            consumers.spawn(async move {
                // The channel lives as long as its consumer is read.
                let _channel = channel;
                while let Some(Ok(delivery)) = consumer.next().await {
                    let id = delivery.properties.message_id();
                    let number = id.as_ref().and_then(|id| id.as_str().parse().ok());
                    if delivery
                        .acker
                        .ack(BasicAckOptions::default())
                        .await
                        .is_err()
                    {
                        return;
                    }
                    let since = number.and_then(|number: u64| lock(&started).remove(&number));
                    if let Some(since) = since {
                        lock(&acked).push(micros(since));
                        room.add_permits(1);
                    }
                }
            });
        }
        Ok(Self {
            queue,
            channels,
            started,
            acked,
            room,
            _consumers: consumers,
            _connections: [publishes, consumes],
        })
    }

    /// Publishes what `body` makes of a number, for so long, and waits until all is acked.
    ///
    /// # Errors
    /// The broker did not take a message, or made no progress.
    pub async fn round(
        &self,
        setting: Setting,
        lasting: Duration,
        first: u64,
        body: impl Fn(u64) -> Bytes,
    ) -> Result<RawRound> {
        const PATIENCE: Duration = Duration::from_secs(60);
        let begun = Instant::now();
        let mut number = first;
        let mut confirms = JoinSet::new();
        let mut confirmed = Vec::new();
        while begun.elapsed() < lasting {
            let place = tokio::time::timeout(PATIENCE, self.room.acquire());
            place.await.context("no message came to its end")??.forget();
            let channel = &self.channels[usize::try_from(number)? % self.channels.len()];
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_message_id(number.to_string().into());
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let since = Instant::now();
            lock(&self.started).insert(number, since);
            let confirm = channel
                .basic_publish(
                    "".into(),
                    self.queue.as_str().into(),
                    options,
                    &body(number),
                    properties,
                )
                .await?;
            confirms.spawn(async move { confirm.await.map(|said| (said, micros(since))) });
            while let Some(done) = confirms.try_join_next() {
                confirmed.push(taken(done??)?);
            }
            number += 1;
        }
        while let Some(done) = confirms.join_next().await {
            confirmed.push(taken(done??)?);
        }
        let all = u32::try_from(setting.window)?;
        let rest = tokio::time::timeout(PATIENCE, self.room.acquire_many(all));
        // Given back as the round ends: the next one begins with an empty queue.
        drop(rest.await.context("not every message came to its end")??);
        Ok(RawRound {
            messages: number - first,
            elapsed: begun.elapsed(),
            confirmed,
            acked: std::mem::take(&mut *lock(&self.acked)),
        })
    }
}

fn taken((said, micros): (lapin::Confirmation, u64)) -> Result<u64> {
    ensure!(
        matches!(said, lapin::Confirmation::Ack(None)),
        "the broker did not take a message: {said:?}"
    );
    Ok(micros)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
