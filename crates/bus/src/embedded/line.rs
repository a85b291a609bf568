//! One queue in memory and those who sit at it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::lock;
use crate::message::{Settle, Verdict};
use crate::{Depth, Message, PublishError};

/// One queue.
#[derive(Default)]
pub(super) struct Line {
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
pub(super) enum Turn {
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
    pub(super) fn push(&self, message: Message, capacity: usize) -> Result<(), PublishError> {
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

    pub(super) fn sit(self: Arc<Self>, window: u16) -> Arc<Seat> {
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
    pub(super) fn ask(&self, seat: u64) -> Turn {
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
    pub(super) fn stop_waiting(&self, seat: u64) {
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

    pub(super) fn leave(&self, seat: u64) {
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

    pub(super) fn depth(&self) -> Depth {
        let state = lock(&self.state);
        Depth {
            ready: state.ready.len() as u64,
            unacked: state.unacked as u64,
            consumers: u32::try_from(state.seats.len()).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn purge(&self) -> u64 {
        let purged = std::mem::take(&mut lock(&self.state).ready);
        purged.len() as u64
    }

    pub(super) fn close(&self) {
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
pub(super) struct Seat {
    pub(super) line: Arc<Line>,
    pub(super) number: u64,
    pub(super) wake: Arc<Notify>,
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
