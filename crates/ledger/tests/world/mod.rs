//! What the proofs have in common: packages and changes of every sort, from few words.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub
)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use journal::Payload;
use journal::disk::Disk;
use journal::disk::sim::SimDisk;
use ledger::event::{
    Actor, AgencyRecorded, AgencyState, DeliveryState, DocumentFacts, Lane, PackageAccepted,
    PackageKind, Receiver, StatusFacts, SystemRecorded,
};
use ledger::id::{AgencyId, DeliveryId, PackageId};
use ledger::rows::DocumentKey;
use ledger::time::{Clock, Ms};
use ledger::{
    Accept, Accepted, Change, ChangeDelivery, Command, CommitError, Committed, Fact, Ledger,
    Options, Start,
};
use sha2::{Digest, Sha256};

pub const NOON: i64 = 1_795_309_200_000;

pub fn id(n: u32) -> PackageId {
    PackageId::from_parts(1_000_000, 0, n)
}

pub fn raw(id: PackageId) -> Bytes {
    id.as_bytes().to_vec().into()
}

pub fn axis() -> Actor {
    Actor {
        axis: true,
        ..Actor::default()
    }
}

pub fn operator() -> Actor {
    Actor {
        uid: Some(0),
        person: "Bình".into(),
        why: "theo quyết định".into(),
        ..Actor::default()
    }
}

fn package(id: PackageId, sender: u32, to: &[u32], bytes: &str) -> PackageAccepted {
    let essence = bytes.split('|').next().unwrap();
    PackageAccepted {
        id: raw(id),
        accepted_at_ms: NOON,
        actor: Some(Actor {
            system: format!("system-{sender}"),
            ..Actor::default()
        }),
        sender,
        sender_code: format!("H{sender}"),
        sha256: Sha256::digest(bytes).to_vec().into(),
        size: bytes.len() as u64,
        essence_sha256: Sha256::digest(essence).to_vec().into(),
        receivers: to
            .iter()
            .map(|to| Receiver {
                agency: *to,
                code: format!("H{to}"),
                state: DeliveryState::Pending.into(),
                ..Receiver::default()
            })
            .collect(),
        day: Ms(NOON).day(),
        ..PackageAccepted::default()
    }
}

fn inline(bytes: &str) -> Payload {
    Payload::Inline {
        bytes: Bytes::from(bytes.to_owned()),
        sha256: Sha256::digest(bytes).into(),
    }
}

/// A document of type 0. What stands behind `|` in its bytes is outside the essence.
pub fn document(id: PackageId, sender: u32, key: &str, to: &[u32], bytes: &str) -> Accept {
    typed(id, sender, key, to, bytes, 0, &[])
}

/// A document of a type, with what it recalls, updates or replaces.
pub fn typed(
    id: PackageId,
    sender: u32,
    key: &str,
    to: &[u32],
    bytes: &str,
    business: u32,
    targets: &[&str],
) -> Accept {
    let facts = DocumentFacts {
        document_key: key.to_owned(),
        document_id: Some(key.to_owned()),
        business,
        number: "12".into(),
        notation: "UBND-VP".into(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        year: 2026,
        ..DocumentFacts::default()
    };
    let lane = if business == 1 {
        Lane::Flash
    } else {
        Lane::Routine
    };
    Accept {
        package: PackageAccepted {
            kind: PackageKind::Document.into(),
            lane: lane.into(),
            document: Some(facts),
            ..package(id, sender, to, bytes)
        },
        payload: inline(bytes),
        own_15: Vec::new(),
        withdrawals: Vec::new(),
    }
}

/// A recall, with the axis's 15 for each receiver under ids from `own` on.
pub fn recall(id: PackageId, sender: u32, key: &str, target: &str, to: &[u32], own: u32) -> Accept {
    let mut accept = typed(id, sender, key, to, &format!("recall {key}"), 1, &[target]);
    accept.own_15 = own_15(sender, target, to, own);
    accept
}

/// A status 13.
pub fn status_13(
    id: PackageId,
    sender: u32,
    target: &str,
    to: u32,
    bytes: &str,
    own: u32,
) -> Accept {
    let mut accept = status(id, sender, to, target, 13, bytes);
    accept.own_15 = own_15(sender, target, &[to], own);
    accept
}

fn own_15(sender: u32, target: &str, to: &[u32], own: u32) -> Vec<(AgencyId, PackageAccepted)> {
    (own..)
        .zip(to)
        .map(|(own, to)| (AgencyId(*to), made(self::id(own), *to, sender, target, 15)))
        .collect()
}

/// A status by `from` on a document of `to`.
pub fn status(id: PackageId, from: u32, to: u32, key: &str, code: u32, bytes: &str) -> Accept {
    let facts = StatusFacts {
        code,
        document_key: key.to_owned(),
        ..StatusFacts::default()
    };
    Accept {
        package: PackageAccepted {
            kind: PackageKind::Status.into(),
            lane: Lane::Status.into(),
            status: Some(facts),
            ..package(id, from, &[to], bytes)
        },
        payload: inline(bytes),
        own_15: Vec::new(),
        withdrawals: Vec::new(),
    }
}

/// A status that the axis makes for `from` to the document's sender `to`.
pub fn made(id: PackageId, from: u32, to: u32, key: &str, code: u32) -> PackageAccepted {
    let bytes = format!("<made>{code} {from} {to} {key} {id}</made>");
    let facts = StatusFacts {
        code,
        document_key: key.to_owned(),
        document_sender: Some(to),
        cell_receiver: Some(from),
        made_by_axis: true,
        ..StatusFacts::default()
    };
    PackageAccepted {
        kind: PackageKind::Status.into(),
        lane: Lane::Status.into(),
        status: Some(facts),
        actor: Some(axis()),
        made: Bytes::from(bytes.clone()),
        ..package(id, from, &[to], &bytes)
    }
}

pub fn delivery(package: PackageId, to: u32) -> DeliveryId {
    DeliveryId::of(package, AgencyId(to))
}

pub fn change(delivery: DeliveryId, change: Change) -> ChangeDelivery {
    ChangeDelivery {
        delivery,
        change,
        round: None,
        at: Ms(NOON + 1_000),
        actor: axis(),
        via: "fetch",
        reason: String::new(),
        own_01: None,
    }
}

/// An acknowledgement that would make the axis's 01.
pub fn acknowledge(
    package: PackageId,
    to: u32,
    sender: u32,
    key: &str,
    own: u32,
) -> ChangeDelivery {
    ChangeDelivery {
        own_01: Some(Box::new(made(id(own), to, sender, key, 1))),
        ..change(delivery(package, to), Change::Acknowledged)
    }
}

pub fn agency(id: u32, code: &str, state: AgencyState) -> Fact {
    Fact::AgencyRecorded(Box::new(AgencyRecorded {
        agency: id,
        code: code.into(),
        state: state.into(),
        ..AgencyRecorded::default()
    }))
}

pub fn system(id: &str, agencies: &[u32]) -> Fact {
    Fact::SystemRecorded(Box::new(SystemRecorded {
        system: id.into(),
        agencies: agencies.to_vec(),
        ..SystemRecorded::default()
    }))
}

pub fn document_key(sender: u32, key: &str) -> DocumentKey {
    DocumentKey::of(AgencyId(sender), key)
}

impl From<Accept> for Wish {
    fn from(accept: Accept) -> Self {
        Self(Command::Accept(Box::new(accept)))
    }
}

impl From<ChangeDelivery> for Wish {
    fn from(change: ChangeDelivery) -> Self {
        Self(Command::Change(Box::new(change)))
    }
}

impl From<Command> for Wish {
    fn from(command: Command) -> Self {
        Self(command)
    }
}

/// A command, however it is put.
pub struct Wish(pub Command);

/// A ledger in a folder of its own, with a runtime to ask it.
pub struct World {
    pub folder: Arc<tempfile::TempDir>,
    pub options: Options,
    pub ledger: Ledger,
    pub start: Start,
    runtime: Arc<tokio::runtime::Runtime>,
}

pub fn options(root: &Path) -> Options {
    let mut options = Options::new(root);
    options.journal.segment_size = 64 << 10;
    options.journal.inline_limit = 4 << 10;
    options.clock = Clock::standing_at(Ms(NOON));
    options
}

/// A disk in memory that has the folders above `root`.
pub fn sim_disk(root: &Path) -> SimDisk {
    let disk = SimDisk::new();
    let mut above: VecDeque<&Path> = root.ancestors().skip(1).collect();
    while let Some(folder) = above.pop_back() {
        if folder.parent().is_some() {
            disk.make_folder(folder).unwrap();
            disk.sync_folder(folder.parent().unwrap()).unwrap();
        }
    }
    disk
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        change(&mut options);
        Self::open(Arc::new(folder), options)
    }

    /// With the journal on a disk in memory; the index is in the real folder.
    pub fn on_sim() -> (Self, SimDisk) {
        let folder = tempfile::tempdir().unwrap();
        let disk = sim_disk(folder.path());
        let mut options = options(folder.path());
        options.disk = Arc::new(disk.clone());
        options.journal.retry_after = std::time::Duration::from_millis(5);
        (Self::open(Arc::new(folder), options), disk)
    }

    pub fn open(folder: Arc<tempfile::TempDir>, options: Options) -> Self {
        let (ledger, start) = Ledger::open(options.clone(), &mut |_, _| {}).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        Self {
            folder,
            options,
            ledger,
            start,
            runtime: Arc::new(runtime),
        }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn commit(&self, wish: impl Into<Wish>) -> Result<Committed, CommitError> {
        self.runtime.block_on(self.ledger.commit(wish.into().0))
    }

    /// All at once, each from a task of its own; the answers in the order of the commands.
    pub fn commit_all(&self, commands: Vec<Command>) -> Vec<Result<Committed, CommitError>> {
        let tasks: Vec<_> = commands
            .into_iter()
            .map(|command| {
                let ledger = self.ledger.clone();
                self.runtime
                    .spawn(async move { ledger.commit(command).await })
            })
            .collect();
        self.runtime.block_on(async {
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.unwrap());
            }
            answers
        })
    }

    pub fn accepted(&self, accept: Accept) -> Accepted {
        match self.commit(accept) {
            Ok(Committed::Accepted(accepted)) => accepted,
            other => panic!("not accepted: {other:?}"),
        }
    }

    /// The state, round and whether it changed.
    pub fn changed(&self, change: ChangeDelivery) -> (DeliveryState, u32, bool) {
        match self.commit(change) {
            Ok(Committed::Changed {
                state,
                round,
                changed,
            }) => (state, round, changed),
            other => panic!("not changed: {other:?}"),
        }
    }

    pub fn state(&self, package: PackageId, to: u32) -> Option<DeliveryState> {
        let row = self.ledger.query().delivery(delivery(package, to))?;
        Some(row.state())
    }

    /// The states of all open deliveries of a receiver, in serving order.
    pub fn open_of(&self, receiver: u32) -> Vec<(PackageId, DeliveryState)> {
        self.ledger
            .open_deliveries()
            .of(AgencyId(receiver))
            .map(|(_, open)| (open.package, open.state()))
            .collect()
    }

    /// Closes in good order and opens again.
    pub fn reopen(self) -> Self {
        let (folder, options) = (Arc::clone(&self.folder), self.options.clone());
        self.ledger.close();
        drop(self);
        Self::open(folder, options)
    }
}
