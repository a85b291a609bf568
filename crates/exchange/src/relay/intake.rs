//! What the streams of one system take from its queues: one consumer a lane, shared by all.

use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use bus::{Bus, ConsumeError, Lane, Lanes, Taken};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

/// Messages that a broker hands out ahead, for each lane.
const AHEAD: u16 = 256;
/// How long a queue that cannot be had is left alone.
const PAUSE: Duration = Duration::from_millis(250);
/// How long the consumers stay attached while no stream asks. What was handed out ahead would
/// else lie unacked until the broker takes it for a consumer that hangs.
const IDLE: Duration = Duration::from_secs(60);

/// The shared end of a system's queues.
///
/// Several streams ask in turn, so that one without credit holds up no other, and only one
/// holds what the broker hands out ahead.
#[derive(Debug)]
pub(super) struct Intake {
    lanes: Mutex<Option<Lanes>>,
    asked: Lock<Instant>,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            lanes: Mutex::new(None),
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
        bus: &dyn Bus,
        system: &str,
        used: impl Fn() -> Vec<Lane>,
        more: &Notify,
    ) -> Option<Taken> {
        let mut held = self.lanes.lock().await;
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        loop {
            let lanes = held.get_or_insert_with(|| Lanes::of(system, AHEAD));
            let mut more = std::pin::pin!(more.notified());
            more.as_mut().enable();
            let attached = async {
                for lane in used() {
                    lanes.attach(bus, lane).await?;
                }
                Ok(())
            };
            let failed = match attached.await {
                Ok(()) => tokio::select! {
                    next = lanes.next() => match next {
                        Some(Ok((_, taken))) => return Some(taken),
                        Some(Err(error)) => error,
                        None => return None,
                    },
                    () = more => continue,
                },
                Err(error) => error,
            };
            match failed {
                ConsumeError::Closed => return None,
                // The link tells operators; here it would be a line for each stream.
                error @ ConsumeError::Unavailable { .. } => {
                    tracing::debug!(%error, system, "the queues cannot be had now");
                }
                error => {
                    tracing::warn!(%error, system, "the system's queues cannot be consumed; it is tried again");
                    *held = None;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Detaches the consumers; what they held goes back to the queues.
    pub(super) async fn leave(&self) {
        *self.lanes.lock().await = None;
    }

    /// Detaches them if nobody has asked for a while.
    pub(super) fn leave_if_idle(&self) {
        // Whoever waits for a message holds the lock.
        if let Ok(mut lanes) = self.lanes.try_lock()
            && self
                .asked
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .elapsed()
                > IDLE
        {
            *lanes = None;
        }
    }
}
