//! The ledger: transactions of events and their meaning.
//!
//! **The ledger is the truth.** Its journal holds every event in commit order; the index and
//! the state in memory are derived and can be made again. What it promises:
//!
//! * An answer is given only when everything it rests on is synced: [`Ledger::commit`].
//! * A command is refused before it is appended, or not at all; nothing is rolled back. After
//!   a failed sync every waiter hears [`CommitError::Unknown`] and the ledger is read-only
//!   until it is opened again.
//! * Questions see synced events only: [`Ledger::query`].
//! * The state made live equals the one made again from the journal: [`fold`].
//!
//! The methods of [`Ledger`] are the seam for a ledger on PostgreSQL.
//!
//! ```
//! use ledger::event::{Heartbeat};
//! use ledger::{Command, Committed, Fact, Ledger, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let mut options = Options::new(folder.path());
//! options.journal.segment_size = 1 << 20;
//! let (ledger, _) = Ledger::open(options, &mut |_, _| {})?;
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! let note = Command::Note(Fact::Heartbeat(Heartbeat { at_ms: 1 }));
//! assert_eq!(runtime.block_on(ledger.commit(note))?, Committed::Recorded);
//! ledger.close();
//! # Ok(())
//! # }
//! ```

#[cfg(test)]
extern crate self as ledger;

pub mod alert;
mod checkpoint;
mod chunks;
mod command;
mod decide;
pub mod fact;
pub mod fold;
pub mod id;
mod index;
mod layer;
mod linked;
pub mod open;
pub mod owed;
pub mod pause;
#[cfg(test)]
mod proofs;
pub mod publication;
mod query;
mod recent;
pub mod registry;
#[allow(missing_docs)] // the fields of rows are named for what they hold
pub mod rows;
mod sequencer;
mod start;
mod state;
pub mod tally;
pub mod time;
mod worker;

/// The events, as they stand in the journal.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::pedantic
)]
pub mod event {
    include!(concat!(env!("OUT_DIR"), "/axis.ledger.v1.rs"));
}

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLockReadGuard};

use journal::disk::{Disk, OsDisk};
use journal::{Anchor, Payloads, Space};

pub use command::{
    Accept, Accepted, ChangeDelivery, Command, CommitError, Committed, Conflict, Reached,
    Withdrawal,
};
pub use fact::{Change, Fact};
pub use index::IndexError;
pub use linked::{RepeatedNumber, StatusChange, Unmatched};
pub use query::{By, PackageBytes, Query, QueryError, RecordedFacts, StoredPackage};
pub use recent::AtHand;
pub use start::{OpenError, Progress, Start};

use crate::id::PackageId;
use crate::open::{Open, Place};
use crate::registry::Registry;
use crate::state::State;
use crate::time::{Clock, Ms};

/// What became visible with a batch.
#[derive(Debug)]
pub struct Visible<'a> {
    /// The places of deliveries that may be offered now.
    pub ready: &'a [Place],
    /// The registry changed.
    pub registry_changed: bool,
    /// Credentials or a system's agencies changed: open streams are to be looked at again.
    pub revoked: bool,
    /// Somebody was paused or resumed, or is served by another system: what waits may flow
    /// otherwise than before.
    pub rerouted: bool,
}

/// Called by the commit thread after each batch; must be quick.
pub type Observer = Box<dyn Fn(Visible<'_>) + Send>;

/// How the ledger is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder.
    pub root: PathBuf,
    /// The node, part of package ids.
    pub node: u16,
    /// The journal's options.
    pub journal: journal::Options,
    /// The clock of package ids and of the checkpoint's time.
    pub clock: Clock,
    /// A file outside the data folder that anchors are appended to, if any.
    pub anchors: Option<PathBuf>,
    /// The disk.
    pub disk: Arc<dyn Disk>,
}

impl Options {
    /// The defaults for a data folder.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            node: 0,
            journal: journal::Options::default(),
            clock: Clock::system(),
            anchors: None,
            disk: Arc::new(OsDisk),
        }
    }
}

/// The truth of what was exchanged. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    commands: Mutex<Option<tokio::sync::mpsc::Sender<sequencer::Request>>>,
    query: Query,
    payloads: Payloads,
    clock: Clock,
    ids: Mutex<Ids>,
    health: Arc<Health>,
    worker: Mutex<Option<worker::Worker>>,
    observer: Arc<Mutex<Option<Observer>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("last", &self.query.state.last())
            .finish_non_exhaustive()
    }
}

/// What the commit thread says of itself.
#[derive(Debug, Default)]
struct Health {
    read_only: AtomicBool,
    reserve: AtomicBool,
    /// The longest append of a batch since it was last asked for, in microseconds.
    slowest_sync: AtomicU64,
}

/// The source of package ids: above the last one in the journal, whatever the clock says.
#[derive(Debug)]
struct Ids {
    node: u16,
    clock: Clock,
    last: Option<PackageId>,
}

impl Ids {
    fn next(&mut self) -> PackageId {
        let now = u64::try_from(self.clock.now().0).unwrap_or(0);
        let (ms, counter) = match self.last {
            Some(last) if last.ms() >= now => match last.counter().checked_add(1) {
                Some(counter) => (last.ms(), counter),
                None => (last.ms() + 1, 0),
            },
            _ => (now, 0),
        };
        let id = PackageId::from_parts(ms, self.node, counter);
        self.last = Some(id);
        id
    }
}

impl Ledger {
    /// Opens the ledger in its data folder: journal, checkpoint, index; makes the index again
    /// if it cannot be trusted, telling `progress` the position reached and the last one.
    /// Blocking.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(options: Options, progress: Progress<'_>) -> Result<(Self, Start), OpenError> {
        let opened = start::open(&options.disk, &options.root, options.journal, progress)?;
        let reader = opened.journal.reader();
        let payloads = opened.journal.payloads();
        let last = reader.last();
        let state = Arc::new(State::new(opened.index, opened.open, opened.registry, last));
        let health = Arc::<Health>::default();
        let observer = Arc::<Mutex<Option<Observer>>>::default();
        let (commands, worker) = worker::start(worker::Parts {
            journal: opened.journal,
            state: Arc::clone(&state),
            health: Arc::clone(&health),
            observer: Arc::clone(&observer),
            options: options.clone(),
            last_package: opened.last_package,
            checkpointed: opened.checkpointed,
        })
        .map_err(OpenError::Thread)?;
        let clock = options.clock.clone();
        let ids = Ids {
            node: options.node,
            clock: options.clock,
            last: opened.last_package,
        };
        let inner = Inner {
            commands: Mutex::new(Some(commands)),
            query: Query { state, reader },
            payloads,
            clock,
            ids: Mutex::new(ids),
            health,
            worker: Mutex::new(Some(worker)),
            observer,
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            opened.start,
        ))
    }

    /// Sets who is told of each batch; replaces the one before.
    pub fn observe(&self, observer: Observer) {
        *self
            .inner
            .observer
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// Asks for a command to be recorded. The answer comes when everything it rests on is
    /// synced; a caller that leaves does not stop a command that was taken.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub async fn commit(&self, command: Command) -> Result<Committed, CommitError> {
        let commands = self
            .inner
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(commands) = commands else {
            return Err(CommitError::Closed);
        };
        let (reply, answer) = tokio::sync::oneshot::channel();
        commands
            .send(sequencer::Request { command, reply })
            .await
            .map_err(|_| CommitError::Closed)?;
        drop(commands);
        // The commit thread answers every request it takes, or is gone with the journal.
        answer.await.unwrap_or(Err(CommitError::Unknown))
    }

    /// Records something without waiting for it; `false` if too much waits already.
    #[must_use]
    pub fn note(&self, fact: Fact) -> bool {
        let commands = self
            .inner
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (reply, _) = tokio::sync::oneshot::channel();
        commands.is_some_and(|commands| {
            commands
                .try_send(sequencer::Request {
                    command: Command::Note(fact),
                    reply,
                })
                .is_ok()
        })
    }

    /// For questions.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.inner.query
    }

    /// The registry as of now.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.inner
            .query
            .state
            .registry()
            .as_of_now(self.inner.clock.now())
    }

    /// The open deliveries; commits wait while the guard is held.
    pub fn open_deliveries(&self) -> RwLockReadGuard<'_, Open> {
        self.inner.query.state.open()
    }

    /// Where large payloads are put before they are committed.
    #[must_use]
    pub fn payloads(&self) -> &Payloads {
        &self.inner.payloads
    }

    /// A new package id, above every one in the journal.
    #[must_use]
    pub fn next_package_id(&self) -> PackageId {
        self.inner
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    }

    /// The moment now.
    #[must_use]
    pub fn now(&self) -> Ms {
        self.inner.clock.now()
    }

    /// The last synced record.
    #[must_use]
    pub fn last(&self) -> Option<Anchor> {
        self.inner.query.state.last()
    }

    /// Whether a failed write or sync has made it read-only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.inner.health.read_only.load(Ordering::SeqCst) || !self.inner.query.state.readable()
    }

    /// Whether the disk has room for more than the reserve.
    #[must_use]
    pub fn space(&self) -> Space {
        if self.inner.health.reserve.load(Ordering::SeqCst) {
            Space::Reserve
        } else {
            Space::Ok
        }
    }

    /// The longest write and sync of a batch since this was last asked.
    #[must_use]
    pub fn take_slowest_sync(&self) -> std::time::Duration {
        let slowest = self.inner.health.slowest_sync.swap(0, Ordering::Relaxed);
        std::time::Duration::from_micros(slowest)
    }

    /// Rows that wait for the index.
    #[must_use]
    pub fn index_lag(&self) -> usize {
        self.inner.query.state.lag()
    }

    /// Takes no more commands, finishes those taken, writes index, checkpoint and the
    /// journal's `stopped` record. Blocking.
    pub fn close(&self) {
        drop(
            self.inner
                .commands
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let worker = self
            .inner
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(worker) = worker {
            worker.join();
        }
    }
}

/// Removes index and checkpoint of a data folder that no axis uses: the next start makes them
/// again from the journal.
///
/// # Errors
/// If a file cannot be removed.
pub fn remove_derived(root: &Path) -> Result<(), IndexError> {
    index::Index::remove(root)?;
    let path = root.join("checkpoint");
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(IndexError::Io { path, source })
        }
        _ => Ok(()),
    }
}
