//! What goes in and comes out of the exchange, whatever the protocol.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use bytes::Bytes;
use ledger::id::{AgencyId, DeliveryId, PackageId, SystemId};
use ledger::time::{Clock, Ms};

pub use ledger::event::{DeliveryState, Lane, PackageKind};

/// How a push is to be treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PushOptions {
    /// Deliver to the receivers that are known and active, and name the others in the
    /// receipt, instead of refusing the whole package.
    pub accept_known: bool,
}

/// An agency as people see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// The code as written in the package; where nothing was written, the main code.
    pub code: String,
    /// The main code in the registry.
    pub main_code: String,
    /// The name in the registry.
    pub name: String,
}

/// What the sender gets when a package is durable.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The package; of a push that brought nothing new, the first one.
    pub package: PackageId,
    /// Document or status.
    pub kind: PackageKind,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// When it was accepted.
    pub accepted_at: Ms,
    /// Each receiver with its delivery.
    pub receivers: Vec<ReceiverReceipt>,
    /// True when nothing new came of the push.
    pub duplicate: bool,
    /// What was found and let pass.
    pub warnings: Vec<Warning>,
    /// Opaque: the place in the journal, and the chain up to it.
    pub anchor: String,
    /// Reserved for signed evidence.
    pub evidence: Bytes,
    /// The edXML DocumentId as sent.
    pub document_id: Option<String>,
    /// Receivers left out: the code as written, and the refusal's name.
    pub omitted: Vec<(String, &'static str)>,
}

/// A receiver in a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverReceipt {
    /// Who.
    pub agency: Party,
    /// Its delivery.
    pub delivery: DeliveryId,
    /// It had the document before this push.
    pub duplicate: bool,
    /// The package that the delivery belongs to.
    pub package: PackageId,
    /// Main code of the closed agency that was named, whose successor this is; empty if none.
    pub forwarded_from: String,
}

/// Something found in a package that did not refuse it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warning {
    /// The finding's code.
    pub code: String,
    /// Element path.
    pub path: String,
    /// 1-based; 0 if there is none.
    pub line: u32,
    /// 1-based; 0 if there is none.
    pub column: u32,
    /// Vietnamese.
    pub message: String,
    /// English.
    pub message_en: String,
}

/// What a receiver is told of a delivery before its content.
#[derive(Debug, Clone)]
pub struct Header {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its package.
    pub package: PackageId,
    /// Document or status.
    pub kind: PackageKind,
    /// Who sent it.
    pub sender: Party,
    /// For whom it is.
    pub receiver: Party,
    /// Its lane.
    pub lane: Lane,
    /// edXML Priority, 0 to 4.
    pub level: u8,
    /// Its round, from 1.
    pub round: u32,
    /// Offered before, in this round.
    pub redelivered: bool,
    /// SHA-256 of the package's bytes.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// When it was accepted.
    pub accepted_at: Ms,
    /// When the lease ends, if it ends by itself.
    pub leased_until: Option<Ms>,
    /// What it says.
    pub facts: Facts,
}

/// What a package says, as far as the axis keeps it apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// Of a document.
    Document(Box<ledger::event::DocumentFacts>),
    /// Of a status.
    Status(ledger::event::StatusFacts),
}

/// Which deliveries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchFilter {
    /// For this agency only (any of its codes).
    pub agency: Option<String>,
    /// Of this kind only.
    pub kind: Option<PackageKind>,
}

/// How a delivery ends for its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it durably.
    Acknowledged,
    /// The receiver cannot read it.
    Failed,
    /// The lease is given back; it is offered again.
    Released,
}

/// A receiver's word on a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// The round it was offered in; 0 = the current one.
    pub round: u32,
    /// How it ends.
    pub outcome: Outcome,
    /// Due for [`Outcome::Failed`].
    pub reason: String,
    /// SHA-256 of what was received, where the receiver says it: another one settles nothing.
    pub sha256: Option<[u8; 32]>,
    /// How it came: `settle`, `subscribe`, `vxp`, `amqp`, …
    pub via: &'static str,
}

/// The answer to a [`Settle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Its state now.
    pub state: DeliveryState,
    /// When.
    pub at: Ms,
    /// False if it was so before, or an earlier round was named.
    pub changed: bool,
}

/// A status to be built and pushed for a receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// `01` to `16`.
    pub code: String,
    /// The document's edXML DocumentId.
    pub document_id: String,
    /// Who gets it: the document's sender; for 13 one of its receivers.
    pub to: String,
    /// Who reports; may be left out if the system serves only one agency that can.
    pub from: Option<String>,
    /// Why, or free text.
    pub reason: String,
    /// The clerk.
    pub staff: Staff,
}

/// A clerk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Staff {
    /// Department.
    pub department: String,
    /// Name.
    pub name: String,
    /// Mobile number.
    pub mobile: String,
    /// Mail address.
    pub email: String,
}

/// Names a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentRef {
    /// By its sender (any code) and DocumentId.
    Document {
        /// The sender.
        sender: String,
        /// The edXML DocumentId.
        document_id: String,
    },
    /// By one of its packages.
    Package(PackageId),
}

/// The state of a document at each of its receivers.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The edXML DocumentId.
    pub document_id: String,
    /// Its sender.
    pub sender: Party,
    /// edXML Priority, 0 to 4.
    pub level: u8,
    /// When it is to be ended, if it says so.
    pub due_at: Option<Ms>,
    /// One cell a receiver.
    pub cells: Vec<Cell>,
}

/// The cells of a matrix, each counted once: what is refused is not received (duty RJ-05).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MatrixCounts {
    /// Cells in all.
    pub receivers: u32,
    /// Not fetched, or fetched and not settled.
    pub waiting: u32,
    /// Settled, or a status of the receiver's says so; not finished.
    pub received: u32,
    /// 06.
    pub finished: u32,
    /// 02, or held here and refused.
    pub refused: u32,
    /// Given back, or taken back before the fetch.
    pub recalled: u32,
    /// The receiver cannot read it, or it was given up.
    pub failed: u32,
    /// Of all these, those past the due moment without an end.
    pub overdue: u32,
}

impl Matrix {
    /// How many receivers stand where.
    #[must_use]
    pub fn counts(&self) -> MatrixCounts {
        use DeliveryState as S;
        let mut counts = MatrixCounts::default();
        for cell in &self.cells {
            counts.receivers += 1;
            counts.overdue += u32::from(cell.overdue);
            *match (cell.status, cell.state) {
                (Some(2), _) | (_, S::Refused) => &mut counts.refused,
                (Some(15), _) | (_, S::Recalled) => &mut counts.recalled,
                (Some(6), _) => &mut counts.finished,
                (Some(1 | 3..=5), _) | (_, S::Acknowledged | S::Forwarded) => &mut counts.received,
                (_, S::Failed | S::Dead | S::Dropped) => &mut counts.failed,
                _ => &mut counts.waiting,
            } += 1;
        }
        counts
    }
}

/// Where the recall of a document stands at one receiver (duty RC-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecallAnswer {
    /// It was asked, not long ago.
    Asked,
    /// It was asked, and has not answered in the working hours that are set.
    NoAnswer,
    /// 15: it gives the document back.
    Agreed,
    /// 16: it does not, and says why.
    Refused,
}

impl RecallAnswer {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::NoAnswer => "no-answer",
            Self::Agreed => "agreed",
            Self::Refused => "refused",
        }
    }
}

/// The recall of a document at one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecallState {
    /// Where it stands.
    pub answer: RecallAnswer,
    /// The package that asked last.
    pub request: PackageId,
    /// When that was accepted.
    pub asked_at: Ms,
    /// What the receiver said with its 15 or 16.
    pub reason: String,
}

/// A document at one receiver.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The receiver.
    pub receiver: Party,
    /// The delivery that brought the document.
    pub delivery: DeliveryId,
    /// The delivery's state.
    pub state: DeliveryState,
    /// The delivery's round.
    pub round: u32,
    /// The current status.
    pub status: Option<u8>,
    /// The recall, if the document was asked back from this receiver.
    pub recall: Option<RecallState>,
    /// The due moment passed without an end.
    pub overdue: bool,
    /// All statuses, in journal order.
    pub events: Vec<StatusEvent>,
}

/// One status of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEvent {
    /// Its package.
    pub package: PackageId,
    /// Its code.
    pub code: u8,
    /// When the axis accepted it.
    pub at: Ms,
    /// Its text.
    pub description: String,
    /// The person who answers for it, as sent; may be empty.
    pub staff: String,
    /// When, by that person's clock, as sent; may be empty.
    pub timestamp: String,
    /// Of a 02: the class of its reason, as [`crate::reason_word`] says.
    pub reason_class: crate::ReasonClass,
    /// The axis issued it.
    pub made_by_axis: bool,
}

/// What to look for in the history; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Sender or receiver, any code.
    pub agency: Option<String>,
    /// edXML DocumentId.
    pub document_id: Option<String>,
    /// `number/notation`.
    pub number: Option<String>,
    /// Accepted at or after.
    pub since: Option<Ms>,
    /// Accepted before.
    pub until: Option<Ms>,
    /// Of this kind only.
    pub kind: Option<PackageKind>,
    /// Documents with all these words in one of their texts (number, subject, signer, post,
    /// kind, names of files, places, content, …), without regard to case and to how diacritics
    /// are composed.
    pub text: Option<String>,
    /// Documents of this level only, 0 to 4.
    pub level: Option<u8>,
    /// Documents that a paper copy follows, or those that none follows.
    pub paper: Option<bool>,
    /// Documents that a receiver has not ended by their due moment.
    pub overdue: bool,
    /// 0 = 100; at most 1,000.
    pub page_size: u32,
    /// Of the page before; empty for the first.
    pub page_token: String,
}

/// One page of an answer.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The token for the next page; empty if there is none.
    pub next: String,
}

/// A package in a list.
#[derive(Debug, Clone)]
pub struct PackageSummary {
    /// Its id.
    pub package: PackageId,
    /// Document or status.
    pub kind: PackageKind,
    /// Its sender.
    pub sender: Party,
    /// When it was accepted.
    pub accepted_at: Ms,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its size in bytes.
    pub size: u64,
    /// edXML Priority, 0 to 4.
    pub level: u8,
    /// Its content left by decision; the record stays.
    pub content_removed: bool,
    /// What it says.
    pub facts: Facts,
    /// Its deliveries.
    pub deliveries: Vec<DeliverySummary>,
}

/// A delivery in a list.
#[derive(Debug, Clone)]
pub struct DeliverySummary {
    /// Its id.
    pub delivery: DeliveryId,
    /// Its receiver.
    pub receiver: Party,
    /// Its state.
    pub state: DeliveryState,
    /// Its round.
    pub round: u32,
    /// When the state last changed.
    pub changed_at: Ms,
    /// The current status of its cell, for a document.
    pub status: Option<u8>,
}

/// A refused push in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalSummary {
    /// When.
    pub at: Ms,
    /// By which system.
    pub system: String,
    /// The refusal's name.
    pub code: String,
    /// From, as written.
    pub sender_code: String,
    /// SHA-256 of what came; empty if it was cut off.
    pub sha256: Bytes,
    /// Bytes that came.
    pub size: u64,
    /// Where the fault is.
    pub path: String,
    /// More than 1 when refusals were summarised.
    pub count: u32,
}

/// A story: of a package, a delivery or a document.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The packages it is about.
    pub packages: Vec<PackageSummary>,
    /// What happened, in journal order.
    pub events: Vec<TraceEvent>,
}

/// One step of a story.
#[derive(Debug, Clone)]
pub struct TraceEvent {
    /// When.
    pub at: Ms,
    /// `accepted`, `fetched`, `acknowledged`, `status`, …
    pub kind: &'static str,
    /// Of which package.
    pub package: PackageId,
    /// Of which delivery, if of one.
    pub delivery: Option<DeliveryId>,
    /// A system, a person, or `axis`.
    pub actor: String,
    /// How: `fetch`, `subscribe`, `download`, …; may be empty.
    pub via: String,
    /// What, Vietnamese.
    pub detail: String,
    /// What, English.
    pub detail_en: String,
    /// The agency concerned.
    pub agency: Option<Party>,
    /// The bytes concerned.
    pub sha256: Option<[u8; 32]>,
    /// The delivery's round; 0 if of no delivery.
    pub round: u32,
    /// The record's anchor.
    pub anchor: String,
}

/// What to deliver again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeliver {
    /// All deliveries of a package.
    Package(PackageId),
    /// The deliveries of an agency accepted since a time.
    Agency {
        /// Any code of it.
        code: String,
        /// Since when.
        since: Ms,
    },
}

/// The answer to [`Redeliver`].
#[derive(Debug, Clone, Default)]
pub struct Redelivered {
    /// Deliveries with a new round: id, package, round.
    pub opened: Vec<(DeliveryId, PackageId, u32)>,
    /// Deliveries left as they are, with the refusal's name.
    pub skipped: Vec<(DeliveryId, &'static str)>,
}

/// The axis about itself.
#[derive(Debug, Clone)]
pub struct Info {
    /// When it started.
    pub started_at: Ms,
    /// Now.
    pub now: Ms,
    /// The last record's position.
    pub position: u64,
    /// The last record's anchor; empty before the first.
    pub anchor: String,
    /// `trusted` or `rebuilt`.
    pub index: &'static str,
    /// `ok` or `reserve`.
    pub space: &'static str,
    /// After a failed write.
    pub read_only: bool,
    /// To whom delivery is paused.
    pub pauses: Vec<crate::pause::Pause>,
}

/// What is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProblem {
    /// As spreadsheets count, from 1; of JSON the object's number. 0 = the file.
    pub row: u32,
    /// The column's id ([`lists::Column::id`]).
    pub column: String,
    /// The cell, as spreadsheets name it (`D7`), where it is known.
    pub cell: String,
    /// Vietnamese.
    pub message: String,
    /// English.
    pub message_en: String,
}

/// What an import did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Agencies that are new.
    pub added: u32,
    /// Agencies whose facts changed.
    pub changed: u32,
    /// Agencies as they were.
    pub unchanged: u32,
    /// If there is one, nothing was changed.
    pub problems: Vec<ImportProblem>,
    /// What it changes, or would; the first ones.
    pub differences: Vec<AgencyDifference>,
}

/// How a list is taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOrder {
    /// From when rows are true that do not say it; `None` = now.
    pub effective: Option<Ms>,
    /// Number of the decision of rows that name none.
    pub decision: String,
    /// Why, where no decision says it.
    pub why: String,
    /// Why codes that follow no form are registered all the same; empty = they are refused.
    pub irregular: String,
    /// What becomes of what waits for agencies that the list closes.
    pub deliveries: crate::closing::OpenDeliveries,
    /// The format that the list is said to have; `None` = as its bytes tell.
    pub format: Option<lists::Format>,
    /// The sheet of a workbook; empty = the first with a heading.
    pub sheet: String,
    /// Differences told at most; 0 = 1,000.
    pub differences: usize,
    /// Checks everything, changes nothing.
    pub dry_run: bool,
}

/// A system to add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewSystem {
    /// Its id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// The agencies it serves, any code of each.
    pub agencies: Vec<String>,
    /// `direct` (or empty) or `amqp`, which needs a broker.
    pub attachment: String,
    /// Of an `amqp` system: packages up to this size in bytes travel in the message; 0 = none.
    pub inline_bytes: u64,
    /// Its own limits.
    pub limits: OwnLimits,
    /// Whether the axis issues 01 for what it settles.
    pub axis_acknowledges: bool,
    /// Whether it gets a key.
    pub with_key: bool,
}

/// An agency that differs between two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencyDifference {
    /// Its id.
    pub agency: AgencyId,
    /// Its main code, the later one.
    pub code: String,
    /// Its name, the later one.
    pub name: String,
    /// `added`, `changed`, `removed`.
    pub what: &'static str,
    /// Field, before, after.
    pub fields: Vec<(&'static str, String, String)>,
}

/// Which agencies to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgencySearch {
    /// Words that stand in a code or the name, without regard to case and diacritics.
    pub search: String,
    /// As of when; `None` = now.
    pub as_of: Option<Ms>,
    /// States; none = all.
    pub states: Vec<String>,
    /// Any code of the one directly above; empty = all.
    pub parent: String,
}

/// An agency of the registry, as of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencyRecord {
    /// Its id here.
    pub id: AgencyId,
    /// Main code.
    pub code: String,
    /// Code of the 2020 form.
    pub code_2020: String,
    /// Old codes.
    pub other_codes: Vec<String>,
    /// Name.
    pub name: String,
    /// Main code of its parent; empty if it has none.
    pub parent: String,
    /// `requested`, `approved`, `active`, `suspended`, `closed`, `seen`.
    pub state: &'static str,
    /// Main codes of its successors.
    pub successors: Vec<String>,
    /// Its parent's id.
    pub parent_id: Option<AgencyId>,
    /// Ids of its successors.
    pub successor_ids: Vec<AgencyId>,
    /// The system that serves it: one or none.
    pub systems: Vec<SystemId>,
    /// Kind, in the registrar's words.
    pub kind: String,
    /// Level, in the registrar's words.
    pub level: String,
    /// Contact, in the registrar's words.
    pub contact: String,
    /// Centre code.
    pub centre: String,
    /// After it is closed, packages to its codes go to its one successor.
    pub forwards_to_successor: bool,
    /// While suspended it gets nothing either.
    pub fetches_nothing_suspended: bool,
    /// Why a code that follows no form was registered.
    pub irregular: String,
    /// Why it is suspended or closed.
    pub reason: String,
    /// The decision by which it is as it is.
    pub decision: String,
    /// From when it is as it is.
    pub effective_from: Ms,
    /// Grows with each change, planned ones too.
    pub revision: u32,
    /// When the next planned change takes effect.
    pub next_change: Option<Ms>,
    /// When it was last changed.
    pub changed_at: Ms,
    /// By whom.
    pub changed_by: String,
}

/// A system of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemRecord {
    /// Its id.
    pub id: SystemId,
    /// Its name, for people.
    pub name: String,
    /// Main codes of the agencies it serves.
    pub agencies: Vec<String>,
    /// `direct` or `amqp`.
    pub attachment: &'static str,
    /// Of an `amqp` system: packages up to this size travel in the message; 0 = none.
    pub inline_bytes: u64,
    /// Its own limits.
    pub limits: OwnLimits,
    /// The limits that count: its own, else the axis's.
    pub in_force: Limits,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Why it is suspended.
    pub reason: String,
    /// Valid keys.
    pub keys: Vec<KeyRecord>,
    /// Valid pins.
    pub pins: Vec<PinRecord>,
    /// When it was last changed.
    pub changed_at: Ms,
    /// By whom.
    pub changed_by: String,
}

/// A key of a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its number.
    pub id: u32,
    /// Since when.
    pub added_at: Ms,
    /// By whom.
    pub added_by: String,
    /// Its end; `None` = until revoked.
    pub not_after: Option<Ms>,
}

/// A certificate pin of a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinRecord {
    /// SHA-256 of the public key.
    pub spki_sha256: [u8; 32],
    /// The certificate's subject.
    pub subject: String,
    /// Since when.
    pub added_at: Ms,
    /// By whom.
    pub added_by: String,
    /// Its end; `None` = until revoked.
    pub not_after: Option<Ms>,
}

/// A key, pin or account that is due for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The system; empty if it is an account.
    pub system: String,
    /// The account; empty if it is a system's.
    pub account: String,
    /// `key 2`, `pin 1f0a…`, `key`.
    pub credential: String,
    /// Since when.
    pub added_at: Ms,
    /// Its age in whole days.
    pub age_days: u32,
    /// Its end.
    pub not_after: Option<Ms>,
    /// `old`, `ending`, `ended`.
    pub why: &'static str,
}

/// An agency is served by a system from a moment to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePeriod {
    /// Main code.
    pub agency: String,
    /// The system; `None` = nobody.
    pub system: Option<SystemId>,
    /// From when.
    pub from: Ms,
    /// Until when; `None` = on and on.
    pub until: Option<Ms>,
    /// When it was recorded.
    pub recorded: Ms,
    /// By whom.
    pub by: String,
    /// The decision.
    pub decision: String,
}

/// What to take back from a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoke {
    /// All keys and pins.
    All,
    /// One key.
    Key(u32),
    /// One pin.
    Pin([u8; 32]),
}

/// What was taken back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Keys.
    pub keys: u32,
    /// Pins.
    pub pins: u32,
    /// Streams that were open and end now.
    pub streams_cut: u32,
}

/// What a check of the journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// No damage.
    pub sound: bool,
    /// Records checked.
    pub records: u64,
    /// Payloads checked.
    pub payloads: u64,
    /// Their bytes.
    pub payload_bytes: u64,
    /// Segments read.
    pub segments: u32,
    /// Anchor of the last record checked.
    pub anchor: String,
    /// The damage: segment, offset, reason.
    pub damage: Option<(String, u64, String)>,
    /// A torn tail, said and harmless.
    pub torn_tail: String,
}

/// What one system may use at a time, and one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one package.
    pub max_package: u64,
    /// Subscribe streams of one system.
    pub max_streams: u32,
    /// Bytes of one system's pushes under way.
    pub max_bytes_in_flight: u64,
    /// Pushes of one system in a second; 0 = no limit.
    pub max_pushes_per_second: u32,
    /// Open deliveries that wait for one system, unless the system has a number of its own.
    pub max_open_deliveries: u64,
    /// Requests of one system at once, where each is one of its own (VXP).
    pub max_requests: u32,
    /// Such requests of one system in a second; 0 = no limit.
    pub max_requests_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_package: 50 << 20,
            max_streams: 16,
            max_bytes_in_flight: 256 << 20,
            max_pushes_per_second: 1_000,
            max_open_deliveries: 5_000_000,
            max_requests: 32,
            max_requests_per_second: 200,
        }
    }
}

impl Limits {
    /// With what a system has of its own.
    #[must_use]
    pub fn with(&self, own: &OwnLimits) -> Self {
        Self {
            max_streams: own.max_streams.unwrap_or(self.max_streams),
            max_bytes_in_flight: own
                .max_bytes_in_flight
                .unwrap_or(self.max_bytes_in_flight)
                .max(self.max_package),
            max_pushes_per_second: own
                .max_pushes_per_second
                .unwrap_or(self.max_pushes_per_second),
            max_open_deliveries: own.max_open_deliveries.unwrap_or(self.max_open_deliveries),
            ..self.clone()
        }
    }
}

/// The limits that a system has of its own; `None` = the axis's, and so is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// Its Subscribe streams at a time.
    pub max_streams: Option<u32>,
    /// Bytes of its pushes under way.
    pub max_bytes_in_flight: Option<u64>,
    /// Its pushes in a second.
    pub max_pushes_per_second: Option<u32>,
    /// Open deliveries that may wait for it.
    pub max_open_deliveries: Option<u64>,
}

/// How the exchange is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data folder.
    pub data: PathBuf,
    /// The file of the key that seals systems' keys; `None` = `<data folder>.key`.
    pub key_file: Option<PathBuf>,
    /// The node, part of package ids.
    pub node: u16,
    /// The clock.
    pub clock: Clock,
    /// Limits.
    pub limits: Limits,
    /// How long a fetched delivery is leased.
    pub lease: Duration,
    /// Leases that may end unsettled before a delivery is dead; 0 = any number.
    pub max_unsettled_leases: u32,
    /// Deliveries published per system and lane and not yet leased (`amqp` systems: not yet
    /// settled).
    pub window: usize,
    /// After how long what an `amqp` system has taken and not settled is published again.
    pub settle: Duration,
    /// In which time every queue with something published is looked at once, on a broker.
    pub check_queues: Duration,
    /// The queues; `None` = in memory, within the process.
    pub bus: Option<Arc<dyn Bus>>,
    /// The vhost of the broker, if the queues are on one.
    pub vhost: String,
    /// Bytes of a journal segment.
    pub segment_size: u64,
    /// A file outside the data folder that anchors are appended to.
    pub anchors: Option<PathBuf>,
    /// The disk under the journal: the system's, or one that a test breaks.
    pub disk: Arc<dyn journal::disk::Disk>,
    /// From when on something is an alert.
    pub alerts: crate::AlertLimits,
    /// What the province sets of the rules.
    pub rules: crate::RuleOptions,
    /// The program's version, for the journal.
    pub version: String,
}

impl Options {
    /// The defaults for a data folder.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            key_file: None,
            node: 0,
            clock: Clock::system(),
            limits: Limits::default(),
            lease: Duration::from_secs(300),
            max_unsettled_leases: 20,
            window: 1_000,
            settle: Duration::from_secs(900),
            check_queues: Duration::from_secs(10),
            bus: None,
            vhost: "/".to_owned(),
            segment_size: 64 << 20,
            anchors: None,
            disk: Arc::new(journal::disk::OsDisk),
            alerts: crate::AlertLimits::default(),
            rules: crate::RuleOptions::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
