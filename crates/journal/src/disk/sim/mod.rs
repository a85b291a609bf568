//! A disk in memory that fails on command and remembers what a power cut may undo.
//!
//! It is for tests, this crate's and those of the crates above it. [`SimDisk::recording`] keeps
//! every operation; a [`Replay`] steps through them and makes any disk that a power cut at that
//! moment may leave.
//!
//! ```
//! use journal::disk::{Disk, sim::SimDisk};
//!
//! # fn main() -> std::io::Result<()> {
//! let disk = SimDisk::recording();
//! disk.create("/file".as_ref())?;
//! disk.mark(1);
//! let mut replay = disk.replay();
//! while replay.step().is_some() {}
//! // The name was never synced: it may be there or not.
//! assert_eq!(replay.choices(), [2]);
//! assert!(replay.crash(&[0]).open("/file".as_ref(), journal::disk::Access::Read).is_err());
//! assert!(replay.crash(&[1]).open("/file".as_ref(), journal::disk::Access::Read).is_ok());
//! # Ok(())
//! # }
//! ```

mod model;

use std::io::{self, IoSlice};
use std::path::{Component, Path};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::model::{FileNode, FolderNode, Model, NameChange, Node, ROOT};
use super::{Access, Disk, File, Held, Listed, Locking, folder_of};

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug)]
struct State {
    model: Model,
    record: Option<Record>,
    locks: Vec<usize>,
    fail_sync: Option<(u64, io::ErrorKind)>,
    fail_write: Option<(u64, io::ErrorKind)>,
    full: bool,
    lies: bool,
    held: u64,
    waiting: u64,
}

#[derive(Clone, Debug)]
struct Record {
    start: Model,
    ops: Vec<Op>,
}

#[derive(Clone, Debug)]
enum Op {
    Node(Node),
    Change(usize, NameChange),
    Write(usize, usize, Vec<u8>),
    Lengthen(usize, usize),
    Sync(usize, bool),
    Mark(u64),
}

impl Op {
    fn apply(&self, model: &mut Model) {
        match self {
            Op::Node(node) => model.nodes.push(node.clone()),
            Op::Change(folder, change) => {
                if let Some(folder) = model.folder(*folder) {
                    folder.change(change.clone());
                }
            }
            Op::Write(file, offset, bytes) => {
                if let Some(file) = model.file(*file) {
                    file.write(*offset, bytes);
                }
            }
            Op::Lengthen(file, len) => {
                if let Some(file) = model.file(*file) {
                    file.lengthen(*len);
                }
            }
            Op::Sync(node, good) => match model.nodes.get_mut(*node) {
                Some(Node::File(file)) => file.sync(*good),
                Some(Node::Folder(folder)) => folder.sync(*good),
                None => {}
            },
            Op::Mark(_) => {}
        }
    }
}

impl State {
    fn new(model: Model) -> State {
        State {
            model,
            record: None,
            locks: Vec::new(),
            fail_sync: None,
            fail_write: None,
            full: false,
            lies: false,
            held: 0,
            waiting: 0,
        }
    }

    fn run(&mut self, op: Op) {
        op.apply(&mut self.model);
        if let Some(record) = &mut self.record {
            record.ops.push(op);
        }
    }

    fn folder_of(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((
            self.find(folder_of(path))?,
            name.to_string_lossy().into_owned(),
        ))
    }

    fn names(&self, folder: usize) -> io::Result<&FolderNode> {
        match &self.model.nodes[folder] {
            Node::Folder(folder) => Ok(folder),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let mut node = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let name = name.to_string_lossy();
                node = *self
                    .names(node)?
                    .names
                    .get(&*name)
                    .ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(node)
    }

    fn add(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let (folder, name) = self.folder_of(path)?;
        if self.names(folder)?.names.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = self.model.nodes.len();
        self.run(Op::Node(node));
        self.run(Op::Change(folder, NameChange::Added(name, number)));
        Ok(number)
    }

    /// Counts down to a failure that was asked for.
    fn fails(countdown: &mut Option<(u64, io::ErrorKind)>) -> Option<io::Error> {
        let (left, kind) = countdown.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let kind = *kind;
        *countdown = None;
        Some(kind.into())
    }
}

impl Default for SimDisk {
    fn default() -> SimDisk {
        SimDisk::new()
    }
}

impl SimDisk {
    fn with(state: State) -> SimDisk {
        SimDisk(Arc::new(Inner {
            state: Mutex::new(state),
            released: Condvar::new(),
        }))
    }

    /// An empty disk.
    #[must_use]
    pub fn new() -> SimDisk {
        SimDisk::with(State::new(Model::new()))
    }

    /// An empty disk that records what is done to it.
    #[must_use]
    pub fn recording() -> SimDisk {
        let disk = SimDisk::new();
        disk.record();
        disk
    }

    /// Begins a new record with what is there now.
    pub fn record(&self) {
        let mut state = self.lock_state();
        state.record = Some(Record {
            start: state.model.clone(),
            ops: Vec::new(),
        });
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a mark into the record; a [`Replay`] comes by it.
    pub fn mark(&self, mark: u64) {
        self.lock_state().run(Op::Mark(mark));
    }

    /// Steps through the record so far, from its beginning.
    #[must_use]
    pub fn replay(&self) -> Replay {
        let state = self.lock_state();
        let start = state.model.clone();
        let record = state.record.clone().unwrap_or(Record {
            start,
            ops: Vec::new(),
        });
        Replay {
            model: record.start,
            ops: record.ops.into_iter(),
        }
    }

    /// What a power cut now may leave; see [`Replay::choices`] and [`Replay::crash`].
    #[must_use]
    pub fn now(&self) -> Replay {
        Replay {
            model: self.lock_state().model.clone(),
            ops: Vec::new().into_iter(),
        }
    }

    /// Lets the sync after the next `after` ones fail, once; of files and folders alike.
    pub fn fail_sync(&self, after: u64, kind: io::ErrorKind) {
        self.lock_state().fail_sync = Some((after, kind));
    }

    /// Lets the write after the next `after` ones fail, once, with half of it done.
    pub fn fail_write(&self, after: u64, kind: io::ErrorKind) {
        self.lock_state().fail_write = Some((after, kind));
    }

    /// Says whether there is no room for longer files.
    pub fn set_full(&self, full: bool) {
        self.lock_state().full = full;
    }

    /// Says whether syncs only pretend.
    pub fn set_lying(&self, lies: bool) {
        self.lock_state().lies = lies;
    }

    /// Lets every sync of a file wait until the hold is dropped.
    #[must_use]
    pub fn hold_syncs(&self) -> Hold {
        self.lock_state().held += 1;
        Hold(self.clone())
    }

    /// Waits until a sync waits for a hold.
    ///
    /// # Panics
    /// If none does within half a minute: then nothing is synced that should be.
    pub fn wait_for_held_sync(&self) {
        let state = self.lock_state();
        let (state, _) = self
            .0
            .released
            .wait_timeout_while(state, Duration::from_secs(30), |state| state.waiting == 0)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(state.waiting > 0, "no sync came");
    }
}

/// While it lives, syncs of files wait.
#[derive(Debug)]
pub struct Hold(SimDisk);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.lock_state().held -= 1;
        self.0.0.released.notify_all();
    }
}

/// Steps through a record.
#[derive(Debug)]
pub struct Replay {
    model: Model,
    ops: std::vec::IntoIter<Op>,
}

/// What a replay came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An operation that changes what is on the disk or may be.
    Change,
    /// A sync.
    Sync,
    /// A mark of the test's.
    Mark(u64),
}

impl Replay {
    /// Does the next operation of the record.
    pub fn step(&mut self) -> Option<Step> {
        let op = self.ops.next()?;
        op.apply(&mut self.model);
        Some(match op {
            Op::Mark(mark) => Step::Mark(mark),
            Op::Sync(..) => Step::Sync,
            _ => Step::Change,
        })
    }

    /// How many outcomes each thing has that a power cut now leaves open: 0 is what was last
    /// made sure, higher ones what was done since, the newest last.
    #[must_use]
    pub fn choices(&self) -> Vec<usize> {
        self.model.choices()
    }

    /// The disk as it is after a power cut now, with an outcome picked for each of
    /// [`Replay::choices`]; missing picks are 0.
    #[must_use]
    pub fn crash(&self, picks: &[usize]) -> SimDisk {
        SimDisk::with(State::new(self.model.crash(picks)))
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let node = self.lock_state().find(path)?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            node,
            access,
        }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.lock_state();
        if state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let node = state.add(path, Node::File(FileNode::default()))?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            node,
            access: Access::Write,
        }))
    }

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        match self
            .lock_state()
            .add(path, Node::Folder(FolderNode::default()))
        {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        let node = state.find(from)?;
        let (old, old_name) = state.folder_of(from)?;
        let (new, new_name) = state.folder_of(to)?;
        state.run(Op::Change(new, NameChange::Added(new_name, node)));
        state.run(Op::Change(old, NameChange::Removed(old_name)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.find(path)?;
        let (folder, name) = state.folder_of(path)?;
        state.run(Op::Change(folder, NameChange::Removed(name)));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        let node = state.find(path)?;
        let error = State::fails(&mut state.fail_sync);
        if !state.lies {
            state.run(Op::Sync(node, error.is_none()));
        }
        error.map_or(Ok(()), Err)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let state = self.lock_state();
        let node = state.find(path)?;
        let names = &state.names(node)?.names;
        let listed = names.iter().map(|(name, node)| Listed {
            name: name.clone(),
            folder: matches!(state.model.nodes[*node], Node::Folder(_)),
        });
        Ok(listed.collect())
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.lock_state();
        match state.find(path) {
            Ok(node) => Ok(match &state.model.nodes[node] {
                Node::File(file) => Some(file.data.len() as u64),
                Node::Folder(_) => None,
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Locking> {
        let mut state = self.lock_state();
        let node = match state.find(path) {
            Ok(node) => node,
            Err(_) => state.add(path, Node::File(FileNode::default()))?,
        };
        if state.locks.contains(&node) {
            return Ok(Locking::Taken { pid: None });
        }
        state.locks.push(node);
        Ok(Locking::Held(Box::new(SimLock {
            disk: self.clone(),
            node,
        })))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    node: usize,
}

impl Held for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let node = self.node;
        self.disk.lock_state().locks.retain(|held| *held != node);
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    node: usize,
    access: Access,
}

fn to_usize(n: u64) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl SimFile {
    /// The disk, if this handle may write.
    fn writing(&self) -> io::Result<MutexGuard<'_, State>> {
        match self.access {
            Access::Write => Ok(self.disk.lock_state()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock_state();
        let file = state
            .model
            .file(self.node)
            .ok_or(io::ErrorKind::IsADirectory)?;
        let start = to_usize(offset)?.min(file.data.len());
        let part = &file.data[start..];
        let len = part.len().min(buf.len());
        buf[..len].copy_from_slice(&part[..len]);
        Ok(len)
    }

    fn write_at(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut state = self.writing()?;
        let mut bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let offset = to_usize(offset)?;
        let error = State::fails(&mut state.fail_write);
        if error.is_some() {
            bytes.truncate(bytes.len() / 2);
        }
        let len = state
            .model
            .file(self.node)
            .map_or(0, |file| file.data.len());
        if state.full && offset + bytes.len() > len {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.run(Op::Write(self.node, offset, bytes));
        error.map_or(Ok(()), Err)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock_state();
        while state.held > 0 {
            state.waiting += 1;
            self.disk.0.released.notify_all();
            state = self
                .disk
                .0
                .released
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        let error = State::fails(&mut state.fail_sync);
        if !state.lies {
            state.run(Op::Sync(self.node, error.is_none()));
        }
        error.map_or(Ok(()), Err)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.writing()?;
        if state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = to_usize(len)?;
        state.run(Op::Lengthen(self.node, len));
        Ok(())
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        let mut state = self.writing()?;
        let (offset, len) = (to_usize(offset)?, to_usize(len)?);
        state.run(Op::Write(self.node, offset, vec![0; len]));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.lock_state();
        let file = state
            .model
            .file(self.node)
            .ok_or(io::ErrorKind::IsADirectory)?;
        Ok(file.data.len() as u64)
    }
}
