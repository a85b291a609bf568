//! One consumer over the four queues of a system.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::turns::{SHARES, Turns};
use crate::{BoxFuture, Bus, ConsumeError, Consumer, Lane, Queue, Taken};

/// Consumes the four queues of one system: flash, urgent, status, routine, in that order, with
/// a share for the lower ones.
///
/// Their turns are those of [`Turns`]; when no lane has a message the round starts afresh. So a
/// lane that has messages waits for at most [`longest_wait`](Self::longest_wait) takes of other
/// lanes, however many come there.
///
/// By default none is attached: what is not there brings nothing.
#[derive(Debug, Default)]
pub struct Lanes {
    /// In the order of [`Lane::ALL`]; those attached so far.
    consumers: [Option<Box<dyn Consumer>>; 4],
    turns: Turns,
}

impl Lanes {
    /// Attaches to the four queues of `system`. The window counts for each lane apart: routine
    /// messages that are slow to be acked do not hold up a flash one.
    ///
    /// # Errors
    /// As [`Bus::consume`]; no consumer stays attached.
    pub async fn open(
        bus: &dyn Bus,
        system: impl Into<Arc<str>>,
        window: u16,
    ) -> Result<Self, ConsumeError> {
        let system = system.into();
        let mut lanes = Self::default();
        for lane in Lane::ALL {
            let queue = Queue::new(Arc::clone(&system), lane);
            lanes.put(lane, bus.consume(&queue, window).await?);
        }
        Ok(lanes)
    }

    /// Takes a consumer of a lane's queue: a system may use one lane only, and attaching may take
    /// its time while other lanes flow. The one that it had leaves.
    pub fn put(&mut self, lane: Lane, consumer: Box<dyn Consumer>) {
        self.consumers[lane as usize] = Some(consumer);
    }

    /// Whether a lane has a consumer.
    #[must_use]
    pub const fn has(&self, lane: Lane) -> bool {
        self.consumers[lane as usize].is_some()
    }

    /// The most takes of other lanes that can come before one of `lane`, while `lane` has a
    /// message waiting and room in its window: what the others have left of this round (all of
    /// it, if `lane` alone was busy so far), then the higher lanes' share of the next.
    /// 7 for flash, 19 for urgent, 25 for status, 28 for routine.
    #[must_use]
    pub fn longest_wait(lane: Lane) -> u32 {
        let share_of = |others: fn(&Lane, &Lane) -> bool| -> u32 {
            Lane::ALL
                .iter()
                .zip(SHARES)
                .filter(|(other, _)| others(other, &lane))
                .map(|(_, share)| share)
                .sum()
        };
        share_of(PartialEq::ne) + share_of(PartialOrd::lt)
    }

    /// The next message and its lane; waits while there is none in any lane with room in its
    /// window. `None` once the bus is closed. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`Consumer::next`], of the lane asked.
    pub async fn next(&mut self) -> Option<Result<(Lane, Taken), ConsumeError>> {
        let Self {
            consumers, turns, ..
        } = self;
        // Kept while all wait, so that each lane keeps its place among the queue's consumers.
        let mut asks = consumers
            .each_mut()
            .map(|consumer| consumer.as_mut().map_or(Ask::Absent, Ask::Unasked));
        let (lane, answer) = poll_fn(|cx| choose(&mut asks, turns, cx)).await;
        answer.map(|taken| taken.map(|taken| (lane, taken)))
    }
}

type Answer = Option<Result<Taken, ConsumeError>>;

/// A lane's consumer within one call of `next`. Asked only when its turn comes: asking takes.
enum Ask<'a> {
    Unasked(&'a mut Box<dyn Consumer>),
    Asked(BoxFuture<'a, Answer>),
    /// Between the two, inside `poll`.
    Moving,
    /// Not attached: nothing comes.
    Absent,
}

impl Ask<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        if let Self::Unasked(_) = self
            && let Self::Unasked(consumer) = std::mem::replace(self, Self::Moving)
        {
            *self = Self::Asked(consumer.next());
        }
        match self {
            Self::Asked(next) => Pin::as_mut(next).poll(cx),
            Self::Unasked(_) | Self::Moving | Self::Absent => Poll::Pending,
        }
    }
}

/// Asks the lanes in the order of their turns; the first answer counts.
fn choose(
    asks: &mut [Ask<'_>; 4],
    turns: &mut Turns,
    cx: &mut Context<'_>,
) -> Poll<(Lane, Answer)> {
    for lane in turns.order() {
        let Poll::Ready(answer) = asks[lane as usize].poll(cx) else {
            continue;
        };
        if matches!(answer, Some(Ok(_))) {
            turns.served(lane);
        }
        return Poll::Ready((lane, answer));
    }
    turns.rest();
    Poll::Pending
}
