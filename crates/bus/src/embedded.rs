//! The bus inside the process: queues in memory, gone with it. The ledger fills them again.
//!
//! Nothing runs by itself here. Who publishes, acks or leaves wakes the consumers that have
//! something to take by that; a consumer waits in line and keeps its place until it is served,
//! so that a quick one cannot starve a slow one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::message::{Settle, Verdict};
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

/// One queue.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What waits, by place.
    ready: VecDeque<Held>,
    /// The attached consumers.
    seats: BTreeMap<u64, Occupied>,
    /// The seats that wait for a message and have room for it, longest first. The n-th of them
    /// may take when n messages are ready.
    waiting: VecDeque<u64>,
    unacked: usize,
    closed: bool,
    next_place: u64,
    next_tag: u64,
    next_seat: u64,
}

/// A message and its place in the order of publishes.
struct Held {
    place: u64,
    returned: bool,
    message: Message,
}

/// What the line knows of a consumer.
struct Occupied {
    window: usize,
    unacked: BTreeMap<u64, Held>,
    wake: Arc<Notify>,
}

/// Those to be woken once the lock is let go: waking runs code that is not ours.
#[must_use]
struct Wake(Vec<Arc<Notify>>);

impl Wake {
    fn all(self) {
        for sleeper in self.0 {
            sleeper.notify_one();
        }
    }
}

/// What a consumer that asks gets.
enum Turn {
    Take {
        tag: u64,
        message: Message,
        redelivered: bool,
    },
    Wait,
    Closed,
}

impl State {
    fn give_back(&mut self, mut held: Held) {
        held.returned = true;
        let at = self.ready.partition_point(|other| other.place < held.place);
        self.ready.insert(at, held);
        self.unacked -= 1;
    }

    /// Takes `seat` out of the line; says how many turns it leaves to those behind it.
    fn leave_line(&mut self, seat: u64) -> usize {
        let Some(at) = self.waiting.iter().position(|&other| other == seat) else {
            return 0;
        };
        self.waiting.remove(at);
        usize::from(at < self.ready.len())
    }

    /// The waiting seats whose turn comes as `ready` grew from `before`.
    fn turns_since(&self, before: usize) -> Wake {
        let turns = self.waiting.iter().take(self.ready.len()).skip(before);
        Wake(
            turns
                .filter_map(|seat| self.seats.get(seat))
                .map(|seat| Arc::clone(&seat.wake))
                .collect(),
        )
    }
}

impl Line {
    fn push(&self, message: Message, capacity: usize) -> Result<(), PublishError> {
        let wake = {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(PublishError::Closed);
            }
            let before = state.ready.len();
            if before + state.unacked >= capacity {
                return Err(PublishError::Full { capacity });
            }
            let place = state.next_place;
            state.next_place += 1;
            state.ready.push_back(Held {
                place,
                returned: false,
                message,
            });
            state.turns_since(before)
        };
        wake.all();
        Ok(())
    }

    fn sit(self: Arc<Self>, window: u16) -> Arc<Seat> {
        let wake = Arc::new(Notify::new());
        let number = {
            let mut state = lock(&self.state);
            let number = state.next_seat;
            state.next_seat += 1;
            let occupied = Occupied {
                window: usize::from(window),
                unacked: BTreeMap::new(),
                wake: Arc::clone(&wake),
            };
            state.seats.insert(number, occupied);
            number
        };
        Arc::new(Seat {
            line: self,
            number,
            wake,
        })
    }

    /// Takes what is `seat`'s turn, or puts it in line.
    fn ask(&self, seat: u64) -> Turn {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.closed {
            return Turn::Closed;
        }
        let Some(occupied) = state.seats.get_mut(&seat) else {
            return Turn::Closed;
        };
        if occupied.unacked.len() >= occupied.window {
            // Not in line: its turn would keep a message from those who have room.
            return Turn::Wait;
        }
        let in_line = state.waiting.iter().position(|&other| other == seat);
        if in_line.unwrap_or(state.waiting.len()) < state.ready.len()
            && let Some(held) = state.ready.pop_front()
        {
            if let Some(at) = in_line {
                state.waiting.remove(at);
            }
            let tag = state.next_tag;
            state.next_tag += 1;
            state.unacked += 1;
            let turn = Turn::Take {
                tag,
                message: held.message.clone(),
                redelivered: held.returned,
            };
            occupied.unacked.insert(tag, held);
            return turn;
        }
        if in_line.is_none() {
            state.waiting.push_back(seat);
        }
        Turn::Wait
    }

    /// Takes `seat` out of the line; the turn it may have had goes on to the next.
    fn stop_waiting(&self, seat: u64) {
        let wake = {
            let mut state = lock(&self.state);
            let passed_on = state.leave_line(seat);
            let before = state.ready.len() - passed_on;
            state.turns_since(before)
        };
        wake.all();
    }

    fn settle(&self, seat: u64, tag: u64, verdict: Verdict) {
        let wake = {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            if state.closed {
                return;
            }
            // A seat that was left has given back its messages already.
            let Some(occupied) = state.seats.get_mut(&seat) else {
                return;
            };
            let was_full = occupied.unacked.len() >= occupied.window;
            let Some(held) = occupied.unacked.remove(&tag) else {
                return;
            };
            let with_room = was_full.then(|| Arc::clone(&occupied.wake));
            let mut wake = match verdict {
                Verdict::Ack => {
                    state.unacked -= 1;
                    Wake(Vec::new())
                }
                Verdict::Requeue => {
                    let before = state.ready.len();
                    state.give_back(held);
                    state.turns_since(before)
                }
            };
            wake.0.extend(with_room);
            wake
        };
        wake.all();
    }

    fn leave(&self, seat: u64) {
        let wake = {
            let mut state = lock(&self.state);
            let Some(occupied) = state.seats.remove(&seat) else {
                return;
            };
            if state.closed {
                return;
            }
            // Its wait ended before, unless that future was leaked.
            let passed_on = state.leave_line(seat);
            let before = state.ready.len() - passed_on;
            for held in occupied.unacked.into_values() {
                state.give_back(held);
            }
            state.turns_since(before)
        };
        wake.all();
    }

    fn depth(&self) -> Depth {
        let state = lock(&self.state);
        Depth {
            ready: state.ready.len() as u64,
            unacked: state.unacked as u64,
            consumers: u32::try_from(state.seats.len()).unwrap_or(u32::MAX),
        }
    }

    fn purge(&self) -> u64 {
        let purged = std::mem::take(&mut lock(&self.state).ready);
        purged.len() as u64
    }

    fn close(&self) {
        let wake = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.ready = VecDeque::new();
            state.unacked = 0;
            let seats = state.seats.values_mut();
            Wake(
                seats
                    .map(|seat| {
                        seat.unacked.clear();
                        Arc::clone(&seat.wake)
                    })
                    .collect(),
            )
        };
        wake.all();
    }
}

/// A consumer's place at a line; the messages in hand know it.
struct Seat {
    line: Arc<Line>,
    number: u64,
    wake: Arc<Notify>,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seat({})", self.number)
    }
}

impl Settle for Seat {
    fn settle(&self, tag: u64, verdict: Verdict) {
        self.line.settle(self.number, tag, verdict);
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
