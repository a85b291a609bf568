//! Proofs that need to see inside: every order and every batching of commands that race, and
//! the derived state against a naive model.
#![allow(clippy::unwrap_used)]

mod model;
mod races;
#[path = "../tests/world/mod.rs"]
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use journal::disk::sim::SimDisk;

use crate::command::{Command, CommitError, Committed};
use crate::rows::{Key, View};
use crate::sequencer::{Request, Sequencer};
use crate::start;
use crate::state::State;

type Answer = Result<Committed, CommitError>;

/// The sequencer over its state, without threads: a batch is what the test says.
struct Desk {
    sequencer: Sequencer,
    state: State,
    start: start::Start,
    folder: Arc<tempfile::TempDir>,
    disk: SimDisk,
}

impl Desk {
    fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let disk = world::sim_disk(folder.path());
        Self::open(folder, disk)
    }

    fn open(folder: Arc<tempfile::TempDir>, disk: SimDisk) -> Self {
        let options = world::options(folder.path()).journal;
        let opened = start::open(
            &(Arc::new(disk.clone()) as Arc<dyn journal::disk::Disk>),
            folder.path(),
            options,
            &mut |_, _| {},
        )
        .unwrap();
        let last = opened.journal.reader().last();
        Self {
            state: State::new(opened.index, opened.open, opened.registry, last),
            sequencer: Sequencer::new(opened.journal, Arc::default()),
            start: opened.start,
            folder,
            disk,
        }
    }

    /// As after the end of a process, nothing closed.
    fn reopen(self) -> Self {
        let (folder, disk) = (Arc::clone(&self.folder), self.disk.clone());
        drop(self);
        Self::open(folder, disk)
    }

    /// One batch.
    fn run(&mut self, commands: Vec<Command>) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut requests = VecDeque::new();
        for command in commands {
            let (reply, answer) = tokio::sync::oneshot::channel();
            requests.push_back(Request { command, reply });
            answers.push(answer);
        }
        while !requests.is_empty() {
            let _ = self.sequencer.run(&self.state, &mut requests);
        }
        answers
            .into_iter()
            .map(|mut answer| answer.try_recv().unwrap())
            .collect()
    }

    fn one(&mut self, command: impl Into<world::Wish>) -> Answer {
        self.run(vec![command.into().0]).remove(0)
    }

    /// All rows, wherever they are.
    fn dump(&self) -> BTreeMap<Key, Vec<u8>> {
        let rows = self.state.scan(b"").into_iter();
        rows.filter(|(key, _)| !key.starts_with(b"#")).collect()
    }
}
