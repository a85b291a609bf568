//! What a queue carries, and the hold on it that a consumer gets.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::headers::Headers;

/// The longest body, in bytes, that every bus carries; a broker carries more.
pub const MAX_BODY: usize = 64;

/// A wake-up with ids. What it is about stands in the ledger.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The delivery's id. The bus neither reads nor compares it.
    pub id: [u8; 16],
    /// The receiving agency.
    pub agency: u32,
    /// Opaque to the bus, at most [`MAX_BODY`] bytes ([`MAX_INLINE`](crate::amqp::MAX_INLINE)
    /// over a broker). A slice of a larger buffer keeps all of it in memory; give one of its own.
    pub body: Bytes,
    /// Text pairs for who reads the queue without the axis; none for direct systems.
    pub headers: Headers,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Message({:032x} for {}, {} bytes)",
            u128::from_be_bytes(self.id),
            self.agency,
            self.body.len()
        )
    }
}

/// How a message in hand ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Gone for good.
    Ack,
    /// Back to the front of its queue.
    Requeue,
}

/// Where a message in hand came from. It is told once per tag, from a destructor at times: it
/// must neither block nor fail. A tag it knows no more (its consumer left) is no error.
pub(crate) trait Settle: fmt::Debug + Send + Sync {
    fn settle(&self, tag: u64, verdict: Verdict);
}

/// A message in hand, unacked.
///
/// Dropped without [`ack`](Self::ack) it goes back to the front of its queue and comes again,
/// marked redelivered. When its consumer is dropped it is back in the queue at once, and an
/// ack that comes after that changes nothing: a message may always come twice.
#[derive(Debug)]
#[must_use = "a message that is dropped goes back to its queue"]
pub struct Taken {
    /// The message.
    pub message: Message,
    /// False: nobody had it before. True: somebody may have had it.
    pub redelivered: bool,
    tag: u64,
    origin: Option<Arc<dyn Settle>>,
}

impl Taken {
    pub(crate) fn new(
        message: Message,
        redelivered: bool,
        tag: u64,
        origin: Arc<dyn Settle>,
    ) -> Self {
        Self {
            message,
            redelivered,
            tag,
            origin: Some(origin),
        }
    }

    /// Removes it from the queue for good. Does not wait: when a broker is lost before it saw
    /// the ack, the message comes again. Dropping the consumer after it takes nothing back.
    pub fn ack(mut self) {
        self.settle(Verdict::Ack);
    }

    /// Gives it back to the front of its queue; the same as dropping it.
    pub fn requeue(mut self) {
        self.settle(Verdict::Requeue);
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(origin) = self.origin.take() {
            origin.settle(self.tag, verdict);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.settle(Verdict::Requeue);
    }
}
