//! What the exchange may ask of the ledger, and the answers.

use prost::Message as _;

use crate::event::{Actor, AlertCleared, AlertRaised, DeliveryState, PackageAccepted};
use crate::fact::{Change, Fact};
use crate::id::{AgencyId, DeliveryId, PackageId};
use crate::time::Ms;
use journal::{Anchor, Payload};

/// A command; its preconditions are checked against everything appended before it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Command {
    /// Accept a package.
    Accept(Box<Accept>),
    /// Accept several statuses in one transaction, or none of them. Their bytes stand in the
    /// events: together they have no payload.
    AcceptAll(Vec<Accept>),
    /// Change the state of a delivery.
    Change(Box<ChangeDelivery>),
    /// Record facts about the registry, made on this version of it.
    Register {
        /// The registry's version that the facts rest on.
        version: u64,
        /// Agency and system facts.
        facts: Vec<Fact>,
    },
    /// Record something that needs no precondition (a refusal, a heartbeat).
    Note(Fact),
    /// Raise an alert; one of that kind and subject that stands is left as it is.
    Raise(AlertRaised),
    /// Clear an alert; without one that stands nothing is recorded.
    Clear(AlertCleared),
    /// Let a package's payload leave, by decision.
    RemovePayload {
        /// The package.
        package: PackageId,
        /// When.
        at: Ms,
        /// Who and why.
        actor: Actor,
        /// The decision's number.
        decision: String,
    },
}

impl Command {
    /// Whether it may use the disk's reserve: what lets waiting deliveries out may, what
    /// brings more in may not.
    #[must_use]
    pub fn uses_reserve(&self) -> bool {
        match self {
            Self::Accept(accept) => accept.is_recall(),
            Self::AcceptAll(all) => all.iter().all(Accept::is_recall),
            Self::Change(change) => change.change != Change::Redelivered,
            // What was paused is let out; another change of the registry can wait.
            Self::Register { facts, .. } => facts.iter().all(crate::pause::Pauses::concerns),
            Self::Note(fact) => !matches!(fact, Fact::PackageRefused(_)),
            // What goes wrong must be told above all when the disk is full.
            Self::Raise(_) | Self::Clear(_) => true,
            Self::RemovePayload { .. } => true,
        }
    }
}

impl Command {
    /// About how many bytes its record takes; more rather than less.
    pub(crate) fn weight(&self) -> u64 {
        // Heads, and what a decision adds of itself: ids, numbers, a matched status.
        const RECORD: u64 = 1 << 10;
        let encoded: usize = match self {
            Self::Accept(accept) => accept.weight(),
            Self::AcceptAll(all) => all.iter().map(Accept::weight).sum(),
            Self::Register { facts, .. } => {
                facts.iter().map(|fact| fact.encode().encoded_len()).sum()
            }
            Self::Change(change) => {
                let own_01 = change.own_01.as_ref().map_or(0, |own| own.encoded_len());
                change.actor.encoded_len() + change.reason.len() + own_01
            }
            Self::Note(fact) => fact.encode().encoded_len(),
            Self::Raise(alert) => alert.encoded_len(),
            Self::Clear(alert) => alert.encoded_len(),
            Self::RemovePayload {
                actor, decision, ..
            } => actor.encoded_len() + decision.len(),
        };
        RECORD + encoded as u64
    }
}

/// A package to accept.
#[derive(Debug, Clone)]
pub struct Accept {
    /// Its facts, with all receivers, resolved and distinct.
    pub package: PackageAccepted,
    /// Its bytes.
    pub payload: Payload,
    /// For a recall (type 1 or status 13): the 15 that the axis makes for a receiver that has
    /// not fetched the document.
    pub own_15: Vec<(AgencyId, PackageAccepted)>,
    /// For an update or replacement: the recalls for receivers that it leaves out, of which
    /// the sequencer takes those that are due.
    pub withdrawals: Vec<Withdrawal>,
}

impl Accept {
    /// About how many bytes it takes of its record.
    fn weight(&self) -> usize {
        let inline = match &self.payload {
            Payload::Inline { bytes, .. } => bytes.len(),
            _ => 0,
        };
        let package = &self.package;
        let own: usize = self.own_15.iter().map(|(_, own)| own.encoded_len()).sum();
        let actor = package.actor.as_ref().map_or(0, Actor::encoded_len);
        // A recall changes a delivery of each receiver.
        let changed = package.receivers.len() * (160 + actor);
        inline + package.encoded_len() + own + changed
    }

    /// Whether it takes a document back: a package of type 1, or a status 13.
    #[must_use]
    pub fn is_recall(&self) -> bool {
        let by_package = self
            .package
            .document
            .as_ref()
            .is_some_and(|facts| facts.business == 1);
        let by_status = self
            .package
            .status
            .as_ref()
            .is_some_and(|facts| facts.code == 13);
        by_package || by_status
    }
}

/// The recall that the axis makes for a receiver that an update or replacement leaves out.
#[derive(Debug, Clone)]
pub struct Withdrawal {
    /// From whom the document is taken back.
    pub receiver: AgencyId,
    /// The document's key text.
    pub target: String,
    /// The 13, made by the axis in the sender's name.
    pub recall: PackageAccepted,
    /// The 15 that answers it if the receiver has not fetched.
    pub own_15: Option<PackageAccepted>,
}

/// A change of a delivery's state.
#[derive(Debug, Clone)]
pub struct ChangeDelivery {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// What happened.
    pub change: Change,
    /// The round it was offered in; `None` = the current one.
    pub round: Option<u32>,
    /// When.
    pub at: Ms,
    /// Who.
    pub actor: Actor,
    /// How: `fetch`, `subscribe`, `download`, …
    pub via: &'static str,
    /// Why, where a reason is due.
    pub reason: String,
    /// For an acknowledgement: the 01 that the axis makes if the receiver has sent none yet.
    pub own_01: Option<Box<PackageAccepted>>,
}

/// The answer to a command that was recorded, or needed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Committed {
    /// To [`Command::Accept`].
    Accepted(Accepted),
    /// To [`Command::AcceptAll`], in its order.
    AllAccepted(Vec<Accepted>),
    /// To [`Command::Change`].
    Changed {
        /// The state now.
        state: DeliveryState,
        /// The round now.
        round: u32,
        /// False if it was so already, or an earlier round was named.
        changed: bool,
    },
    /// To [`Command::Raise`] and [`Command::Clear`].
    Alert {
        /// The record's position; `None` if the alert stood already, or none stood: nothing
        /// was recorded.
        position: Option<u64>,
    },
    /// To [`Command::Register`], [`Command::Note`] and [`Command::RemovePayload`].
    Recorded,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The new package; of a push that brought nothing new, the first one.
    pub package: PackageId,
    /// The record's place in the journal; `None` if the push brought nothing new.
    pub anchor: Option<Anchor>,
    /// Each receiver that has a delivery by this push or had one before; of a receiver's own
    /// 01 behind the axis's, which is recorded and not delivered again, the one that has
    /// that 01.
    pub receivers: Vec<Reached>,
    /// Receivers of a recall that have no delivery of the document: they get nothing.
    pub without: Vec<AgencyId>,
    /// A package of another document of the sender that has the same number and notation in
    /// the same year.
    pub same_number: Option<PackageId>,
}

impl Accepted {
    /// Whether anything of it was recorded.
    pub(crate) fn is_new(&self) -> bool {
        self.receivers.iter().any(|reached| !reached.duplicate)
    }
}

/// A receiver with its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The receiver.
    pub receiver: AgencyId,
    /// The package that its delivery belongs to.
    pub package: PackageId,
    /// It had the delivery before this push.
    pub duplicate: bool,
}

/// A precondition does not hold; nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Conflict {
    /// Other bytes under a document key that a receiver has already.
    #[error("the document was sent before with other bytes, as package {first}")]
    OtherContent {
        /// The first package.
        first: PackageId,
        /// The receiver that has it.
        receiver: AgencyId,
    },
    /// The document was recalled from this receiver.
    #[error("the document was recalled from the receiver by package {by}")]
    DocumentRecalled {
        /// The receiver.
        receiver: AgencyId,
        /// The recall.
        by: PackageId,
    },
    /// No such document of this sender.
    #[error("no document of this sender has the key {key:?}")]
    UnknownDocument {
        /// The key text named.
        key: String,
    },
    /// The reporting agency (for 13: the agency named) is not a receiver of the document.
    #[error("the agency is not a receiver of the document")]
    NotAReceiver {
        /// Which agency.
        agency: AgencyId,
    },
    /// There is no such delivery or package.
    #[error("there is no such delivery or package")]
    NotFound,
    /// The delivery table does not allow it.
    #[error("the delivery is {state:?}, which does not allow this")]
    WrongState {
        /// The state now.
        state: DeliveryState,
    },
    /// The delivery's document was recalled.
    #[error("the document was recalled")]
    Recalled,
    /// The package has no payload of its own that could leave.
    #[error("the package has no payload of its own")]
    NoPayload,
    /// The package would be recorded, and its bytes were not given: push it again with them.
    #[error("the package's bytes were not given")]
    BytesMissing,
    /// The registry changed meanwhile: read it again.
    #[error("the registry has changed meanwhile")]
    RegistryChanged,
}

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A precondition does not hold.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The disk has only its reserve left; nothing was recorded.
    #[error("the disk is full: only the reserve is left")]
    Full,
    /// The write or sync failed: not known whether it was recorded. Sending again is safe.
    #[error("the journal could not be written; it is not known whether the command was recorded")]
    Unknown,
    /// An earlier write failed; the ledger takes nothing until it is opened again.
    #[error("the ledger is read-only after a failed write")]
    ReadOnly,
    /// The command does not fit one record; nothing was recorded.
    #[error("the command does not fit one record of the journal")]
    TooLarge,
    /// The ledger is closed.
    #[error("the ledger is closed")]
    Closed,
}
