//! Queues per system and lane, with AMQP's meaning: publish and be confirmed, consume with a
//! window, ack, depth.
//!
//! The bus is transport. The backlog and the truth are in the ledger; a queue holds a window
//! of wake-ups, each naming a delivery, and whatever a bus loses is published again. This
//! crate does not know what a package is.
//!
//! What every [`Bus`] promises, and `tests/contract.rs` checks of each implementation:
//!
//! * a publish that resolves to `Ok` is in its queue;
//! * first deliveries of one queue leave in the order of their publishes;
//! * a consumer holds at most its window unacked; several consumers share a queue;
//! * an acked message never comes again; one that is not acked (dropped, given back, its
//!   consumer dropped) comes before those never delivered, marked redelivered, and those given
//!   back together keep their order;
//! * [`Consumer::next`] may be dropped at any await and loses nothing;
//! * closing the bus ends every consumer.
//!
//! [`Embedded`] is the bus inside the process, [`Amqp`] the one over RabbitMQ. [`Lanes`] consumes the four queues of a system
//! in the order of their priority, with a share for the lower ones.
//!
//! ```
//! use std::sync::Arc;
//! use bus::{Bus, Embedded, Lane, Lanes, Message, Queue};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bus: Arc<dyn Bus> = Arc::new(Embedded::default());
//! let message = Message { id: [7; 16], agency: 1, ..Message::default() };
//! bus.publish(&Queue::new("so-noi-vu", Lane::Flash), message).await?;
//!
//! let mut lanes = Lanes::open(&*bus, "so-noi-vu", 10).await?;
//! if let Some((lane, taken)) = lanes.next().await.transpose()? {
//!     assert_eq!((lane, taken.message.agency), (Lane::Flash, 1));
//!     taken.ack();
//! }
//! # Ok(())
//! # }
//! ```

pub mod amqp;
mod embedded;
mod error;
pub mod headers;
mod lanes;
mod message;
mod queue;
mod turns;

use std::fmt::Debug;
use std::pin::Pin;

use tokio::sync::watch;

pub use amqp::Amqp;
pub use embedded::Embedded;
pub use error::{ConsumeError, PublishError, QueueError, Source};
pub use headers::Headers;
pub use lanes::Lanes;
pub use message::{MAX_BODY, Message, Taken};
pub use queue::{Lane, Queue};
pub use turns::Turns;

/// A future on the heap, so that the traits can be used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How full a queue is. Zeros for a queue that nobody has used yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that consumers hold unacked, those that a broker handed out ahead included.
    pub unacked: u64,
    /// Consumers attached.
    pub consumers: u32,
}

/// Queues of messages. Queues are made at first use.
///
/// A future that is dropped before it resolved has done its work or has not, with nothing in
/// between; one that was never polled has done nothing.
pub trait Bus: Send + Sync + Debug {
    /// Puts `message` at the end of `queue`. Resolves when the bus confirms it.
    ///
    /// # Errors
    /// [`PublishError`]; the message is not known to be in the queue.
    fn publish(&self, queue: &Queue, message: Message) -> BoxFuture<'_, Result<(), PublishError>>;

    /// Attaches a consumer that holds at most `window` messages unacked at a time.
    ///
    /// # Errors
    /// [`ConsumeError`]; no consumer was attached.
    fn consume(
        &self,
        queue: &Queue,
        window: u16,
    ) -> BoxFuture<'_, Result<Box<dyn Consumer>, ConsumeError>>;

    /// How full `queue` is now. With a broker the numbers may be a moment old, and `unacked`
    /// counts this bus's own consumers.
    ///
    /// # Errors
    /// [`QueueError`].
    fn depth(&self, queue: &Queue) -> BoxFuture<'_, Result<Depth, QueueError>>;

    /// Removes the messages that wait in `queue` and says how many; those that consumers hold
    /// stay theirs.
    ///
    /// # Errors
    /// [`QueueError`]; some may be gone.
    fn purge(&self, queue: &Queue) -> BoxFuture<'_, Result<u64, QueueError>>;

    /// Makes `queue` unless it is there: for one who consumes it without this bus, and comes
    /// before the first message.
    ///
    /// # Errors
    /// [`QueueError`].
    fn make(&self, queue: &Queue) -> BoxFuture<'_, Result<(), QueueError>> {
        let _ = queue;
        Box::pin(async { Ok(()) })
    }

    /// How the way to the broker stands, now and whenever it changes; `None` for a bus that has
    /// no broker and is always there.
    fn link(&self) -> Option<watch::Receiver<amqp::Link>> {
        None
    }

    /// Ends every consumer and refuses what comes after. Closing twice is no error.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// An attached consumer. Dropping it gives back what it holds unacked.
pub trait Consumer: Send + Debug {
    /// The next message; waits while there is none or the window is full. `None` once the bus
    /// is closed. Dropping the future loses nothing and marks nothing as redelivered.
    ///
    /// # Errors
    /// [`ConsumeError`]; the consumer may be asked again unless it is
    /// [`Refused`](ConsumeError::Refused).
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Taken, ConsumeError>>>;
}
