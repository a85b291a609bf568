//! What `amqp` systems send: settles and packages.
//!
//! Letters come through a connection of their own. A partner can write properties that lapin
//! cannot read (a text that is not UTF-8), and lapin ends the connection over them: nothing else
//! may hang on it. After a loss letters are taken one at a time for a while, so that the broker's
//! count of returns, which in the end takes such a letter away, rises for that letter alone.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;

use crate::headers::Headers;
use crate::message::{Settle, Verdict};
use crate::{BoxFuture, PublishError};

use super::Inner;
use super::fault::Fault;
use super::feed::{After, Feed, Held, Tap, Tapped, tap};
use super::line::Line;
use super::publish::Target;
use super::{access, topology, wire};

/// How much memory the letters of one inlet may take.
const BYTES: usize = 64 << 20;

/// So many letters are taken one at a time after a loss.
const CAREFUL: u32 = 50;

/// How much of a letter that is too long goes to the dead ones.
const EXCERPT: usize = 64 << 10;

/// Where a letter came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inlet {
    /// `axis.settle`.
    Settle,
    /// `axis.ingress`.
    Ingress,
}

impl Inlet {
    /// The queue's name.
    #[must_use]
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Settle => topology::SETTLE,
            Self::Ingress => topology::INGRESS,
        }
    }
}

/// A message of an `amqp` system, held until [`ack`](Self::ack) or [`dead`](Self::dead). Dropped
/// before that it goes back to its queue and comes again.
#[must_use = "a letter that is dropped comes again"]
#[non_exhaustive]
pub struct Letter {
    /// Where it came in.
    pub from: Inlet,
    /// Who sent it: the user that the broker checked against the connection's login. `None` when
    /// the sender left it out; then nobody knows.
    pub user_id: Option<String>,
    /// Under which routing key it was sent. The topic permissions hold a system to its user's
    /// name; without them it is a claim.
    pub routing_key: String,
    /// Its headers, those whose values are text, numbers or truth values.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// The media type that the sender claims.
    pub content_type: Option<String>,
    /// Where the sender wants the answer: a claim, checked by [`reply`](Self::reply).
    pub reply_to: Option<String>,
    /// What the sender wants to see in the answer.
    pub correlation_id: Option<String>,
    /// Somebody may have had it before.
    pub redelivered: bool,
    hold: Hold,
}

/// The hold on a letter; lets it go back when dropped.
struct Hold {
    inner: Arc<Inner>,
    properties: BasicProperties,
    tag: u64,
    origin: Option<Arc<dyn Settle>>,
}

impl Hold {
    fn settle(&mut self, verdict: Verdict) {
        if let Some(origin) = self.origin.take() {
            origin.settle(self.tag, verdict);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(Verdict::Requeue);
    }
}

/// An answer did not get on its way. The sender is not told; what was decided stands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The letter asked for no answer.
    #[error("the letter names no queue for an answer")]
    NotAsked,
    /// The queue is not one that this sender may be answered in.
    #[error(
        "the queue {reply_to:?} is not one for answers to {user}: axis.reply.…, amq.gen-… or direct reply-to"
    )]
    NotTheirs {
        /// What it asked for.
        reply_to: String,
        /// Who asked.
        user: String,
    },
    /// The broker did not take it.
    #[error("the answer could not be published")]
    Publish(#[from] PublishError),
}

impl Letter {
    /// Removes it from its queue for good. Does not wait: when the broker is lost before it saw
    /// the ack, the letter comes again.
    pub fn ack(mut self) {
        self.hold.settle(Verdict::Ack);
    }

    /// Puts it into `axis.dead` with the reason, waits for the confirm, and then acks it.
    ///
    /// # Errors
    /// The dead letter was not confirmed: the letter goes back to its queue and comes again.
    pub async fn dead(mut self, reason: &str) -> Result<(), PublishError> {
        let Hold {
            inner, properties, ..
        } = &self.hold;
        let body = self.body.clone();
        inner
            .bury(properties.clone(), body, self.from.queue(), reason)
            .await?;
        self.hold.settle(Verdict::Ack);
        Ok(())
    }

    /// Answers its sender through the default exchange, with its correlation id. An answer that
    /// reaches no queue any more is not an error: the sender did not wait.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub async fn reply(
        &self,
        content_type: &str,
        headers: Headers,
        body: Bytes,
    ) -> Result<(), ReplyError> {
        let reply_to = self.reply_to.as_ref().ok_or(ReplyError::NotAsked)?;
        let system = self.user_id.as_deref().and_then(access::system_of);
        if !access::may_reply_to(system.as_deref(), reply_to) {
            return Err(ReplyError::NotTheirs {
                reply_to: reply_to.clone(),
                user: self.user_id.clone().unwrap_or_else(|| "nobody".to_owned()),
            });
        }
        let message_id = wire::fresh_id();
        let mut properties = wire::persistent()
            .with_message_id(message_id.as_str().into())
            .with_content_type(content_type.into())
            .with_headers(wire::table(&headers));
        if let Some(id) = &self.correlation_id {
            properties = properties.with_correlation_id(id.as_str().into());
        }
        let target = Target::Reply(reply_to.clone());
        self.hold
            .inner
            .publish(target, message_id, properties, body)
            .await?;
        Ok(())
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter")
            .field("from", &self.from)
            .field("user_id", &self.user_id)
            .field("bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

/// The letters, as they come; settles first. Outages are waited through: after one what was not
/// acked comes again.
#[derive(Debug)]
pub struct Letters {
    inner: Arc<Inner>,
    settles: Feed<Opened>,
    packages: Feed<Opened>,
}

impl Letters {
    pub(super) fn open(inner: &Arc<Inner>, window: NonZeroU16) -> Self {
        let line = Arc::new(tokio::sync::Mutex::default());
        let feed = |inlet, window| {
            let tap = InletTap {
                inner: Arc::clone(inner),
                line: Arc::clone(&line),
                inlet,
                window,
            };
            Feed::begin(tap, inner.closed.clone())
        };
        let most = BYTES / inner.config.max_letter.max(1);
        let packages = u16::try_from(most)
            .unwrap_or(u16::MAX)
            .clamp(1, window.get());
        Self {
            inner: Arc::clone(inner),
            settles: feed(Inlet::Settle, window.get()),
            packages: feed(Inlet::Ingress, packages),
        }
    }

    /// The next one; `None` once the bus is closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Letter> {
        let (from, held) = tokio::select! {
            biased;
            held = self.settles.next() => (Inlet::Settle, held?),
            held = self.packages.next() => (Inlet::Ingress, held?),
        };
        let Held {
            item:
                Opened {
                    properties,
                    routing_key,
                    body,
                },
            redelivered,
            tag,
            origin,
        } = held;
        let text =
            |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
        Some(Letter {
            from,
            user_id: text(properties.user_id()),
            routing_key,
            headers: properties
                .headers()
                .as_ref()
                .map(wire::headers)
                .unwrap_or_default(),
            body,
            content_type: text(properties.content_type()),
            reply_to: text(properties.reply_to()).filter(|queue| !queue.is_empty()),
            correlation_id: text(properties.correlation_id()),
            redelivered,
            hold: Hold {
                inner: Arc::clone(&self.inner),
                properties,
                tag,
                origin: Some(origin),
            },
        })
    }
}

/// What was read of a letter.
struct Opened {
    properties: BasicProperties,
    routing_key: String,
    body: Bytes,
}

#[derive(Debug)]
struct InletTap {
    inner: Arc<Inner>,
    /// Both mailboxes' letters come through it.
    line: Arc<tokio::sync::Mutex<Option<Line>>>,
    inlet: Inlet,
    window: u16,
}

impl Tap for InletTap {
    type Item = Opened;

    fn attach(&self, after: After) -> BoxFuture<'_, Result<Tapped, Fault>> {
        Box::pin(async move {
            let inner = &self.inner;
            // Where there is no session there is no broker.
            inner.soon().await?;
            let (place, channel) = {
                let mut line = self.line.lock().await;
                let up = line.as_ref().filter(|line| line.is_up());
                let place = match up.and_then(Line::place) {
                    Some(place) => Some(place),
                    None => {
                        let opened = Line::open(&inner.config, "listens").await;
                        let opened =
                            opened.map_err(|cause| Fault::Away(cause.to_string().into()))?;
                        line.insert(opened).place()
                    }
                };
                match &*line {
                    Some(line) => (place, line.channel().await?),
                    None => return Err(Fault::no_answer()),
                }
            };
            let (window, until) = match after {
                After::Loss => (1, Some(CAREFUL)),
                After::Nothing | After::Proof => (self.window, None),
            };
            let name = self.inlet.queue();
            let tapping = tap(channel, place, name.to_owned(), window, until);
            let Ok(tapped) = tokio::time::timeout(inner.config.confirm_within, tapping).await
            else {
                inner.teller.fault(name, Some(super::NO_ANSWER));
                return Err(Fault::no_answer());
            };
            match &tapped {
                Ok(_) => inner.teller.fault(name, None),
                Err(fault) => inner.note(name, fault),
            }
            tapped
        })
    }

    fn read(&self, delivery: &mut Delivery) -> Result<Opened, &'static str> {
        if delivery.data.len() > self.inner.config.max_letter {
            return Err("it is longer than bus.max_letter_bytes allows");
        }
        Ok(Opened {
            properties: std::mem::take(&mut delivery.properties),
            routing_key: delivery.routing_key.to_string(),
            body: std::mem::take(&mut delivery.data).into(),
        })
    }

    fn bury(&self, delivery: Delivery, reason: &'static str) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let queue = self.inlet.queue();
            let bytes = delivery.data.len();
            tracing::warn!(queue, reason, bytes, "a letter goes to axis.dead");
            let mut body = delivery.data;
            body.truncate(EXCERPT);
            self.inner
                .bury(delivery.properties, body.into(), queue, reason)
                .await
                .is_ok()
        })
    }
}
