//! The bus inside the process: queues in memory, gone with it. The ledger fills them again.
//!
//! Nothing runs by itself here. Who publishes, acks or leaves wakes the consumers that have
//! something to take by that; a consumer waits in line and keeps its place until it is served,
//! so that a quick one cannot starve a slow one.

mod line;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::line::{Line, Seat, Turn};
use crate::message::Settle;
use crate::{
    BoxFuture, Bus, ConsumeError, Consumer, Depth, MAX_BODY, Message, PublishError, Queue,
    QueueError, Taken,
};

/// How many messages a queue holds unless told: four windows of the relay.
// The compiler unwraps.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The bus inside the process.
///
/// Memory is bounded: a queue holds at most its capacity, waiting and unacked together, and a
/// publish beyond it is [`PublishError::Full`]. A message that goes back takes its old place,
/// before all that were published after it. After [`close`](Bus::close) the queues are empty.
pub struct Embedded {
    capacity: NonZeroUsize,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    by_queue: HashMap<Queue, Arc<Line>>,
    closed: bool,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Embedded {
    /// A bus whose queues hold at most `capacity` messages each.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self {
            capacity,
            lines: Mutex::default(),
        }
    }

    /// The line of `queue`, made if it is not there; `None` once the bus is closed.
    fn line(&self, queue: &Queue) -> Option<Arc<Line>> {
        let mut lines = lock(&self.lines);
        if lines.closed {
            return None;
        }
        if let Some(line) = lines.by_queue.get(queue) {
            return Some(Arc::clone(line));
        }
        Some(Arc::clone(lines.by_queue.entry(queue.clone()).or_default()))
    }

    /// The line of `queue` if somebody has used it; asking makes none.
    fn existing(&self, queue: &Queue) -> Result<Option<Arc<Line>>, QueueError> {
        let lines = lock(&self.lines);
        if lines.closed {
            Err(QueueError::Closed)
        } else {
            Ok(lines.by_queue.get(queue).cloned())
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = lock(&self.lines);
        f.debug_struct("Embedded")
            .field("capacity", &self.capacity)
            .field("queues", &lines.by_queue.len())
            .field("closed", &lines.closed)
            .finish()
    }
}

impl Bus for Embedded {
    fn publish(&self, queue: &Queue, message: Message) -> BoxFuture<'_, Result<(), PublishError>> {
        let queue = queue.clone();
        Box::pin(async move {
            if message.body.len() > MAX_BODY {
                return Err(PublishError::TooLong {
                    length: message.body.len(),
                    limit: MAX_BODY,
                });
            }
            let line = self.line(&queue).ok_or(PublishError::Closed)?;
            line.push(message, self.capacity.get())
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
            let line = self.line(&queue).ok_or(ConsumeError::Closed)?;
            let attached: Box<dyn Consumer> = Box::new(Attached(line.sit(window)));
            Ok(attached)
        })
    }

    fn depth(&self, queue: &Queue) -> BoxFuture<'_, Result<Depth, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            Ok(self
                .existing(&queue)?
                .map(|line| line.depth())
                .unwrap_or_default())
        })
    }

    fn purge(&self, queue: &Queue) -> BoxFuture<'_, Result<u64, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            Ok(self
                .existing(&queue)?
                .map(|line| line.purge())
                .unwrap_or_default())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let lines = {
                let mut lines = lock(&self.lines);
                lines.closed = true;
                std::mem::take(&mut lines.by_queue)
            };
            for line in lines.into_values() {
                line.close();
            }
        })
    }
}

/// The consumer; leaves when dropped.
#[derive(Debug)]
struct Attached(Arc<Seat>);

impl Consumer for Attached {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Taken, ConsumeError>>> {
        Box::pin(async move {
            let seat = &self.0;
            let mut place = Place { seat, waits: false };
            loop {
                match seat.line.ask(seat.number) {
                    Turn::Take {
                        tag,
                        message,
                        redelivered,
                    } => {
                        place.waits = false;
                        let origin: Arc<dyn Settle> = Arc::<Seat>::clone(seat);
                        return Some(Ok(Taken::new(message, redelivered, tag, origin)));
                    }
                    Turn::Closed => return None,
                    Turn::Wait => place.waits = true,
                }
                // Only this consumer waits here, so a wake-up between asking and waiting is kept.
                seat.wake.notified().await;
            }
        })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.line.leave(self.0.number);
    }
}

/// A place in line, given up when the wait is.
struct Place<'a> {
    seat: &'a Seat,
    waits: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.waits {
            self.seat.line.stop_waiting(self.seat.number);
        }
    }
}

/// No code of others runs under these locks and none of ours panics half-way, so what a
/// poisoned one guards is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
