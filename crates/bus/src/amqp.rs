//! The bus over RabbitMQ.
#![allow(dead_code, reason = "the engine is on its way")]

mod access;
mod config;
mod inlet;
mod link;
mod topology;

use std::num::NonZeroU16;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::{
    BoxFuture, Bus, ConsumeError, Consumer, Depth, Message, PublishError, Queue, QueueError, Source,
};

pub use access::{Access, Topic, system_of, user_of};
pub use config::{AmqpConfig, AmqpConfigError, AmqpTls, MAX_INLINE};
pub use inlet::{Inlet, Letter, Letters, ReplyError};
pub use link::{Cause, Link, LinkState};
pub use topology::{DEAD, INGRESS, SETTLE, definitions, reply_queue};

/// The bus over RabbitMQ (AMQP 0-9-1).
#[derive(Debug)]
pub struct Amqp {
    #[expect(dead_code, reason = "the connection comes next")]
    config: AmqpConfig,
    link: link::Teller,
    /// Kept so that letters wait and do not end.
    letters: mpsc::Sender<Letter>,
}

impl Amqp {
    /// Opens the bus. Returns at once: the connection is made, and made again, in the background,
    /// and [`link`](Self::link) tells how it stands.
    ///
    /// # Errors
    /// [`AmqpConfigError`]: what is given does not fit together.
    pub fn open(config: AmqpConfig) -> Result<Arc<Self>, AmqpConfigError> {
        config.check()?;
        Ok(Arc::new(Self {
            config,
            link: link::Teller::new(),
            letters: mpsc::channel(1).0,
        }))
    }

    /// How the way to the broker stands, now and whenever it changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.watch()
    }

    /// Begins to read `axis.settle` and `axis.ingress`, at most `window` letters unacked of each.
    /// Several inlets share the letters.
    #[must_use]
    pub fn inlet(&self, window: NonZeroU16) -> Letters {
        let (sender, letters) = mpsc::channel(usize::from(window.get()));
        drop(self.letters.clone());
        drop(sender);
        Letters::new(letters)
    }
}

fn away() -> Source {
    "the broker is away".into()
}

impl Bus for Amqp {
    fn publish(
        &self,
        _queue: &Queue,
        _message: Message,
    ) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async { Err(PublishError::Unavailable { source: away() }) })
    }

    fn consume(
        &self,
        _queue: &Queue,
        _window: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Consumer>, ConsumeError>> {
        Box::pin(async { Err(ConsumeError::Unavailable { source: away() }) })
    }

    fn depth(&self, _queue: &Queue) -> BoxFuture<'_, Result<Depth, QueueError>> {
        Box::pin(async { Err(QueueError::Unavailable { source: away() }) })
    }

    fn purge(&self, _queue: &Queue) -> BoxFuture<'_, Result<u64, QueueError>> {
        Box::pin(async { Err(QueueError::Unavailable { source: away() }) })
    }

    fn link(&self) -> Option<watch::Receiver<Link>> {
        Some(self.link())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
