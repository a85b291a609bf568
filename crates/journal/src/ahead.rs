//! Segments made ahead of need, and what is said when the disk has no room for them.
//!
//! One whole unused segment always stays behind the one in use: it is the reserve. What may not
//! use the reserve is refused as soon as it could not be whole again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::segment;

/// Whether there is room for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// There is.
    Ok,
    /// The next segment cannot be made: only entries that use the reserve pass. It is tried
    /// again without being asked.
    Reserve,
}

/// A number that outsiders cannot know.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[derive(Debug)]
pub(crate) struct Ahead {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    size: u32,
    retry_after: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// The highest segment there is.
    ready: u32,
    /// The highest one that the preparer shall make.
    wanted: u32,
    making: bool,
    /// When to try again, if the last attempt failed.
    short: Option<Instant>,
    closed: bool,
}

impl Ahead {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        size: u32,
        retry_after: Duration,
        ready: u32,
    ) -> Ahead {
        let state = State {
            ready,
            wanted: 0,
            making: false,
            short: None,
            closed: false,
        };
        Ahead {
            disk,
            folder,
            size,
            retry_after,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn space(&self) -> Space {
        if self.lock().short.is_some() {
            Space::Reserve
        } else {
            Space::Ok
        }
    }

    /// Lets the preparer know which segment will be needed.
    pub(crate) fn want(&self, segment: u32) {
        let mut state = self.lock();
        if segment > state.wanted {
            state.wanted = segment;
            self.changed.notify_all();
        }
    }

    /// Whether a segment is there, without making it.
    pub(crate) fn is_ready(&self, segment: u32) -> bool {
        self.lock().ready >= segment
    }

    /// Makes sure a segment is there and that the last attempt to make one did not fail.
    pub(crate) fn ensure(&self, segment: u32) -> bool {
        let mut state = self.lock();
        loop {
            if state.making {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            } else if state.short.is_none() && state.ready >= segment {
                return true;
            } else if state.short.is_some_and(|again| Instant::now() < again) {
                return false;
            } else {
                let made;
                (state, made) = self.make_next(state);
                if !made {
                    return false;
                }
            }
        }
    }

    fn make_next<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        state.making = true;
        let number = state.ready + 1;
        drop(state);
        let made = self.make(number);
        let mut state = self.lock();
        state.making = false;
        let ok = made.is_ok();
        match made {
            Ok(()) => {
                state.ready = number;
                if state.short.take().is_some() {
                    tracing::info!(
                        segment = number,
                        "the next journal segment could be made again"
                    );
                }
            }
            Err(error) => {
                if state.short.is_none() {
                    tracing::warn!(segment = number, %error, "the next journal segment cannot be made; the reserve is in use");
                }
                state.short = Some(Instant::now() + self.retry_after);
            }
        }
        self.changed.notify_all();
        (state, ok)
    }

    fn make(&self, number: u32) -> io::Result<()> {
        segment::create(
            self.disk.as_ref(),
            &self.folder,
            number,
            self.size,
            random(),
        )
    }

    /// Sends the preparer home and waits for what it has in hand: the folder may be another
    /// process's right after.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        while state.making {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Makes the next segments ahead, on a thread of its own.
#[derive(Clone, Debug)]
pub struct Preparer {
    pub(crate) ahead: Arc<Ahead>,
}

impl Preparer {
    /// Works until the journal is stopped or dropped. Without it, appends make segments when
    /// they need them.
    pub fn run(&self) {
        let ahead = &self.ahead;
        let mut state = ahead.lock();
        // Nothing is begun once it is closed.
        while !state.closed {
            let now = Instant::now();
            if state.making || (state.short.is_none() && state.ready >= state.wanted) {
                state = ahead
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            } else if let Some(again) = state.short.filter(|again| *again > now) {
                let wait = again - now;
                (state, _) = ahead
                    .changed
                    .wait_timeout(state, wait)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                (state, _) = ahead.make_next(state);
            }
        }
    }
}
