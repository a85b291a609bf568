//! What a bus answers when it cannot.

use std::error::Error;

/// Why a broker could not be asked.
pub type Source = Box<dyn Error + Send + Sync>;

/// A message is not known to be in its queue.
///
/// The ledger has it: whatever the variant, the publisher keeps it as not published. After
/// [`Unavailable`](Self::Unavailable) it may be in the queue all the same, so that sending it
/// again may double it; a second message for a delivery that is leased or settled is dropped
/// by the one who takes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The broker is away, or gave no confirm in time: not sent, try again.
    #[error("the bus cannot be reached")]
    Unavailable {
        /// What happened on the way.
        #[source]
        source: Source,
    },
    /// The broker answered and did not take it: not sent, try again.
    #[error("the bus did not take the message: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// The queue holds as many messages as it may: try again when some were acked.
    #[error("the queue is full: it holds {capacity} messages")]
    Full {
        /// How many it may hold, waiting and unacked together.
        capacity: usize,
    },
    /// The body is longer than this bus carries; trying again does not help.
    #[error("a body of {length} bytes is longer than the {limit} that the bus carries")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// The most bytes that a body may have.
        limit: usize,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}

/// A queue could not be consumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The broker is away: try again.
    #[error("the bus cannot be reached")]
    Unavailable {
        /// What happened on the way.
        #[source]
        source: Source,
    },
    /// The broker answered and does not give this queue.
    #[error("the bus does not give the queue: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// A window of 0 would never be given anything.
    #[error("a consumer needs a window of at least 1")]
    NoWindow,
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}

/// A queue could not be looked at or purged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The queue was there and is gone, with what was in it: deleted, or the broker was wiped.
    /// What was published to it is to be published again, which makes it anew.
    #[error("the queue is gone from the broker")]
    Missing,
    /// The broker is away: try again.
    #[error("the bus cannot be reached")]
    Unavailable {
        /// What happened on the way.
        #[source]
        source: Source,
    },
    /// The broker answered and does not allow it.
    #[error("the bus refuses: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}
