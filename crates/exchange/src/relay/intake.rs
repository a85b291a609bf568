//! What the streams of one system take from its queues: one consumer a lane, shared by all.

use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use bus::{Bus, ConsumeError, Consumer, Lane, Lanes, Queue, Taken};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Messages that a broker hands out ahead, for each lane.
const AHEAD: u16 = 256;
/// How long a queue that cannot be had is left alone.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a lane on its way holds up those that are there.
const TOGETHER: Duration = Duration::from_secs(1);
/// How long the consumers stay attached while no stream asks. What was handed out ahead would
/// else lie unacked until the broker takes it for a consumer that hangs.
const IDLE: Duration = Duration::from_secs(60);

/// The shared end of a system's queues.
///
/// Several streams ask in turn, so that one without credit holds up no other, and only one
/// holds what the broker hands out ahead.
#[derive(Debug)]
pub(super) struct Intake {
    held: Mutex<Held>,
    asked: Lock<Instant>,
}

/// What became of attaching a consumer.
type Attached = Result<Box<dyn Consumer>, ConsumeError>;

/// The consumers, and those on their way.
#[derive(Debug, Default)]
struct Held {
    lanes: Lanes,
    /// Attaching takes a broker some turns, and who asks turns to other things meanwhile: it is
    /// done in tasks, which end with this.
    attaching: JoinSet<(Lane, Attached)>,
    /// Since when a lane is on its way.
    under_way: [Option<Instant>; 4],
    /// Until when a lane that could not be attached is left alone.
    rests: [Option<Instant>; 4],
}

impl Held {
    /// Nothing attached, and nothing tried for a while.
    fn resting() -> Self {
        Self {
            rests: [Some(Instant::now() + PAUSE); 4],
            ..Self::default()
        }
    }

    /// Begins to attach the lanes that are used; the time when one is to be tried again.
    fn begin(&mut self, bus: &Arc<dyn Bus>, system: &str, used: &[Lane]) -> Option<Instant> {
        let now = Instant::now();
        let mut again = None;
        for lane in used.iter().copied() {
            let number = lane as usize;
            if self.lanes.has(lane) || self.under_way[number].is_some() {
                continue;
            }
            if let Some(rests) = self.rests[number].filter(|rests| *rests > now) {
                again = [again, Some(rests)].into_iter().flatten().min();
                continue;
            }
            let (bus, queue) = (Arc::clone(bus), Queue::new(system, lane));
            self.under_way[number] = Some(now);
            self.attaching
                .spawn(async move { (lane, bus.consume(&queue, AHEAD).await) });
        }
        again
    }

    /// Until when nothing is taken: the lane on its way may be the more urgent one. One that
    /// takes long to come holds up the others no more.
    fn waits(&self) -> Option<Instant> {
        let since = self.under_way.iter().flatten().max();
        since
            .map(|since| *since + TOGETHER)
            .filter(|until| *until > Instant::now())
    }

    /// A consumer stands, or why it does not.
    fn attached(&mut self, lane: Lane, result: Attached) -> Result<(), ConsumeError> {
        self.under_way[lane as usize] = None;
        match result {
            Ok(consumer) => {
                self.lanes.put(lane, consumer);
                Ok(())
            }
            Err(error) => {
                self.rests[lane as usize] = Some(Instant::now() + PAUSE);
                Err(error)
            }
        }
    }
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            held: Mutex::default(),
            asked: Lock::new(Instant::now()),
        }
    }

    /// The next message of the lanes that `used` names; waits as long as the broker is away.
    /// `None` once the bus is closed. Dropping the future loses nothing.
    ///
    /// A lane is attached when something goes through it: most systems use one or two, and a
    /// queue costs the broker memory. `more` tells that another lane has come to be used.
    pub(super) async fn next(
        &self,
        bus: &Arc<dyn Bus>,
        system: &str,
        used: impl Fn() -> Vec<Lane>,
        more: &Notify,
    ) -> Option<Taken> {
        let mut held = self.held.lock().await;
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        loop {
            let mut more = std::pin::pin!(more.notified());
            more.as_mut().enable();
            let again = held.begin(bus, system, &used());
            let waits = held.waits();
            let again = [again, waits].into_iter().flatten().min();
            let Held {
                lanes, attaching, ..
            } = &mut *held;
            let failed = tokio::select! {
                next = lanes.next(), if waits.is_none() => match next {
                    Some(Ok((_, taken))) => return Some(taken),
                    Some(Err(error)) => {
                        *held = Held::resting();
                        Err(error)
                    }
                    None => return None,
                },
                Some(joined) = attaching.join_next(), if !attaching.is_empty() => match joined {
                    Ok((lane, result)) => held.attached(lane, result),
                    // The runtime is ending, or the bus has a fault that is told by itself.
                    Err(_) => {
                        *held = Held::resting();
                        Ok(())
                    }
                },
                () = more => continue,
                () = at(again) => continue,
            };
            match failed {
                Ok(()) => {}
                Err(ConsumeError::Closed) => return None,
                // The link tells operators; here it would be a line for each stream.
                Err(error @ ConsumeError::Unavailable { .. }) => {
                    tracing::debug!(%error, system, "a queue cannot be had now");
                }
                Err(error) => {
                    tracing::warn!(%error, system, "a queue cannot be consumed; it is tried again");
                }
            }
        }
    }

    /// Detaches the consumers; what they held goes back to the queues.
    pub(super) async fn leave(&self) {
        *self.held.lock().await = Held::default();
    }

    /// Detaches them if nobody has asked for a while.
    pub(super) fn leave_if_idle(&self) {
        // Whoever waits for a message holds the lock.
        if let Ok(mut held) = self.held.try_lock()
            && self
                .asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .elapsed()
                > IDLE
        {
            *held = Held::default();
        }
    }
}

/// Resolves at a moment; never, if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
