//! What `amqp` systems send: settles and packages.

use std::fmt;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::PublishError;
use crate::headers::Headers;

/// Where a letter came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inlet {
    /// `axis.settle`.
    Settle,
    /// `axis.ingress`.
    Ingress,
}

/// A message of an `amqp` system, held until [`ack`](Self::ack) or [`dead`](Self::dead). Dropped
/// before that it goes back to its queue and comes again.
#[must_use = "a letter that is dropped comes again"]
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
        "the queue {reply_to:?} is not one of {user}'s: axis.reply.…, amq.gen-… or direct reply-to"
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
    pub fn ack(self) {}

    /// Puts it into `axis.dead` with the reason, waits for the confirm, and then acks it.
    ///
    /// # Errors
    /// The dead letter was not confirmed: the letter goes back to its queue and comes again.
    pub async fn dead(self, reason: &str) -> Result<(), PublishError> {
        let _ = reason;
        Err(PublishError::Closed)
    }

    /// Answers its sender through the default exchange, with its correlation id. An answer that
    /// reaches no queue any more is not an error: the sender did not wait.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub async fn reply(&self, headers: Headers, body: Bytes) -> Result<(), ReplyError> {
        let _ = (headers, body);
        Err(ReplyError::NotAsked)
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

/// The letters, as they come. Outages are waited through: after one what was not acked comes
/// again.
#[derive(Debug)]
pub struct Letters(mpsc::Receiver<Letter>);

impl Letters {
    pub(super) fn new(letters: mpsc::Receiver<Letter>) -> Self {
        Self(letters)
    }

    /// The next one; `None` once the bus is closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Letter> {
        self.0.recv().await
    }
}
