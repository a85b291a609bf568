//! The ledger's threads: one commits, one writes the index and the checkpoint, one makes the
//! journal's next segment ahead.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use journal::Journal;
use tokio::sync::mpsc;

use crate::event::Stopped;
use crate::id::PackageId;
use crate::sequencer::{Published, Request, Sequencer};
use crate::state::State;
use crate::{Command, Fact, Health, Observer, Options, Visible, checkpoint};

/// Commands that may wait for the commit thread.
const QUEUE: usize = 8_192;
/// Commands in one batch.
const BATCH: usize = 2_048;
/// Rows that may wait for the index before commits wait for it.
const MAX_LAG: usize = 2_000_000;
/// How long rows gather before they are written: a row that changes meanwhile is written once.
const GATHER: Duration = Duration::from_millis(50);
/// How often the index is handed to the system, and anchors leave the data folder.
const FLUSH: Duration = Duration::from_secs(2);
const ANCHOR: Duration = Duration::from_secs(60);
/// Records after which a checkpoint is worth its cost.
const CHECKPOINT: u64 = 200_000;

pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) state: Arc<State>,
    pub(crate) health: Arc<Health>,
    pub(crate) observer: Arc<Mutex<Option<Observer>>>,
    pub(crate) options: Options,
    pub(crate) last_package: Option<PackageId>,
    /// The position of the checkpoint that there is.
    pub(crate) checkpointed: u64,
}

#[derive(Debug)]
pub(crate) struct Worker {
    commit: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn join(self) {
        if self.commit.join().is_err() {
            tracing::error!("the commit thread ended badly");
        }
    }
}

/// Between the commit thread and the index thread.
#[derive(Debug, Default)]
struct Signal {
    state: Mutex<Signalled>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Signalled {
    dirty: bool,
    closing: bool,
    failed: bool,
    last_package: Option<PackageId>,
}

impl Signal {
    fn set(&self, change: impl FnOnce(&mut Signalled)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

pub(crate) fn start(parts: Parts) -> std::io::Result<(mpsc::Sender<Request>, Worker)> {
    let (commands, waiting) = mpsc::channel(QUEUE);
    let signal = Arc::<Signal>::default();
    signal.set(|signalled| signalled.last_package = parts.last_package);
    let preparer = parts.journal.preparer();
    let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let prepare = named("axis-segments").spawn(move || preparer.run())?;
    let index = {
        let (signal, state, options) = (
            Arc::clone(&signal),
            Arc::clone(&parts.state),
            parts.options.clone(),
        );
        let checkpointed = parts.checkpointed;
        named("axis-index").spawn(move || write_index(&signal, &state, &options, checkpointed))?
    };
    let commit = named("axis-commit").spawn(move || {
        let mut commit = Commit {
            sequencer: Sequencer::new(parts.journal, parts.health),
            state: parts.state,
            observer: parts.observer,
            signal,
            last_package: parts.last_package,
        };
        commit.run(waiting);
        commit.close(&parts.options, index, prepare);
    })?;
    Ok((commands, Worker { commit }))
}

struct Commit {
    sequencer: Sequencer,
    state: Arc<State>,
    observer: Arc<Mutex<Option<Observer>>>,
    signal: Arc<Signal>,
    last_package: Option<PackageId>,
}

impl Commit {
    fn run(&mut self, mut waiting: mpsc::Receiver<Request>) {
        let mut requests = VecDeque::with_capacity(BATCH);
        loop {
            if requests.is_empty() {
                let Some(request) = waiting.blocking_recv() else {
                    return;
                };
                requests.push_back(request);
            }
            while requests.len() < BATCH
                && let Ok(request) = waiting.try_recv()
            {
                requests.push_back(request);
            }
            self.wait_for_index();
            self.batch(&mut requests);
        }
    }

    fn batch(&mut self, requests: &mut VecDeque<Request>) {
        let published = self.sequencer.run(&self.state, requests);
        let Some(Published {
            ready,
            registry_changed,
            revoked,
            rerouted,
            last_package,
        }) = published
        else {
            return;
        };
        self.last_package = self.last_package.max(last_package);
        let last_package = self.last_package;
        self.signal.set(|signalled| {
            signalled.dirty = true;
            signalled.last_package = last_package;
        });
        if let Some(observer) = &*self.observer.lock().unwrap_or_else(PoisonError::into_inner) {
            observer(Visible {
                ready: &ready,
                registry_changed,
                revoked,
                rerouted,
            });
        }
    }

    /// The index may lag, not without bound.
    fn wait_for_index(&self) {
        let mut signalled = self
            .signal
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while self.state.lag() > MAX_LAG && !signalled.failed {
            signalled = self
                .signal
                .changed
                .wait_timeout(signalled, GATHER)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Ends in good order: a `stopped` fact, then the index and the checkpoint, then the
    /// journal's own mark behind which no damage can be a torn tail.
    fn close(mut self, options: &Options, index: JoinHandle<()>, prepare: JoinHandle<()>) {
        let fact = Fact::Stopped(Stopped {
            at_ms: options.clock.now().0,
        });
        let (reply, _) = tokio::sync::oneshot::channel();
        self.batch(&mut VecDeque::from([Request {
            command: Command::Note(fact),
            reply,
        }]));
        let joined = |thread: JoinHandle<()>| {
            if thread.join().is_err() {
                tracing::error!("a thread of the ledger ended badly");
            }
        };
        // The journal holds the folder's lock: it goes last.
        self.signal.set(|signalled| signalled.closing = true);
        joined(index);
        let read_only = self.sequencer.is_read_only() || !self.state.readable();
        let journal = self.sequencer.into_journal();
        if read_only {
            drop(journal);
        } else if let Err(error) = journal.stop() {
            tracing::error!(%error, "the journal could not be closed in good order");
        }
        joined(prepare);
    }
}

/// The index thread: rows, checkpoint, anchors.
fn write_index(signal: &Signal, state: &State, options: &Options, checkpointed: u64) {
    let mut index = IndexThread {
        state,
        options,
        checkpointed,
        flushed: Instant::now(),
        anchored: None,
    };
    loop {
        let (closing, last_package) = {
            let guard = signal.state.lock().unwrap_or_else(PoisonError::into_inner);
            let mut guard = signal
                .changed
                .wait_while(guard, |signalled| !signalled.dirty && !signalled.closing)
                .unwrap_or_else(PoisonError::into_inner);
            if !guard.closing {
                guard = signal
                    .changed
                    .wait_timeout_while(guard, GATHER, |signalled| !signalled.closing)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            guard.dirty = false;
            (guard.closing, guard.last_package)
        };
        if let Err(error) = index.step(last_package, closing) {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "the index could not be written; it is made again at the next start");
            signal.set(|signalled| signalled.failed = true);
            // Nothing more is written to it; queries go on over what stands in memory.
            index.distrust();
            return;
        }
        signal.changed.notify_all();
        if closing {
            return;
        }
    }
}

struct IndexThread<'a> {
    state: &'a State,
    options: &'a Options,
    checkpointed: u64,
    flushed: Instant,
    anchored: Option<Instant>,
}

impl IndexThread<'_> {
    fn step(
        &mut self,
        last_package: Option<PackageId>,
        closing: bool,
    ) -> Result<(), crate::IndexError> {
        if !self.state.readable() {
            self.distrust();
        }
        let position = self.state.write_index()?;
        let disk = &*self.options.disk;
        if closing || self.flushed.elapsed() > FLUSH {
            self.state.index().flush()?;
            self.flushed = Instant::now();
        }
        if closing || position > self.checkpointed + CHECKPOINT {
            self.checkpoint(last_package);
            self.checkpointed = position;
        }
        if closing || self.anchored.is_none_or(|at| at.elapsed() > ANCHOR) {
            self.write_anchor();
            self.anchored = Some(Instant::now());
        }
        if closing && self.state.readable() {
            self.state.index().close(disk, &self.options.root)?;
        }
        Ok(())
    }

    /// After an I/O error the next start makes the index again.
    fn distrust(&self) {
        if let Err(error) = crate::index::Index::distrust(&*self.options.disk, &self.options.root) {
            tracing::error!(%error, "the index could not be marked as damaged; run `axis index rebuild` before the next start");
        }
    }

    fn checkpoint(&self, last_package: Option<PackageId>) {
        let bytes = {
            // Nothing is published while the guard is held, so the three agree.
            let open = self.state.open();
            let Some(last) = self.state.last() else {
                return;
            };
            let registry = self.state.registry();
            let now = self.options.clock.now();
            checkpoint::encode(last, &open, &registry, last_package, now)
        };
        if let Err(error) = checkpoint::write(&*self.options.disk, &self.options.root, &bytes) {
            tracing::warn!(%error, "the checkpoint could not be written; the next start reads more of the journal");
        }
    }

    fn write_anchor(&self) {
        let (Some(path), Some(last)) = (&self.options.anchors, self.state.last()) else {
            return;
        };
        let line = format!("{} {last}\n", self.options.clock.now().iso());
        let written = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| {
                file.write_all(line.as_bytes())
                    .and_then(|()| file.sync_data())
            });
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "the anchor could not be written outside the data folder");
        }
    }
}
