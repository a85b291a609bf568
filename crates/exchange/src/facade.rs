//! SKELETON: the public face of the exchange; bodies follow.
#![allow(missing_docs, clippy::unimplemented, unused_variables, missing_debug_implementations, clippy::missing_errors_doc)]
use crate::refusal::Refusal;
use bytes::Bytes;
use ledger::id::{AgencyId, DeliveryId, PackageId, SystemId};
use ledger::time::Ms;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use ledger::event::{DeliveryState, Lane, PackageKind};

// ---------- who calls ----------
/// A system that has shown who it is.
#[derive(Debug, Clone)]
pub struct Peer { pub system: SystemId /* private inside later; use peer.system() */ }
impl Peer { pub fn system(&self) -> &SystemId { &self.system } }

pub enum Credentials<'a> { Key { system: &'a str, key: &'a str }, Certificate { spki_sha256: [u8; 32] } }

/// Who asks a question or changes something: a system, or an operator at the admin socket.
#[derive(Debug, Clone)]
pub enum Caller { System(Peer), Operator(Operator) }
#[derive(Debug, Clone)]
pub struct Operator { pub uid: u32, pub person: String }

// ---------- pushing ----------
#[derive(Debug, Clone, Copy, Default)]
pub struct PushOptions { pub accept_known: bool }

#[derive(Debug, Clone)]
pub struct Party { pub code: String, pub main_code: String, pub name: String }
#[derive(Debug, Clone)]
pub struct Receipt {
    pub package: PackageId, pub kind: PackageKind, pub sha256: [u8; 32], pub size: u64, pub accepted_at: Ms,
    pub receivers: Vec<ReceiverReceipt>, pub duplicate: bool, pub warnings: Vec<Warning>, pub anchor: String,
    pub evidence: Bytes, pub document_id: Option<String>, pub omitted: Vec<(String, &'static str)>,
}
#[derive(Debug, Clone)]
pub struct ReceiverReceipt { pub agency: Party, pub delivery: DeliveryId, pub duplicate: bool, pub package: PackageId }
#[derive(Debug, Clone)]
pub struct Warning { pub code: String, pub path: String, pub line: u32, pub column: u32, pub message: String, pub message_en: String }

/// A package on its way in, in chunks; dropping it leaves nothing behind.
pub struct Upload { _p: () }
impl Upload {
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> { unimplemented!() }
    pub async fn finish(self) -> Result<Receipt, Refusal> { unimplemented!() }
}

// ---------- receiving ----------
/// A leased delivery with its content, `fetched` durably when the first content is asked for.
pub struct Offer { pub header: Header, pub content: Content }
#[derive(Debug, Clone)]
pub struct Header {
    pub delivery: DeliveryId, pub package: PackageId, pub kind: PackageKind, pub sender: Party, pub receiver: Party,
    pub lane: Lane, pub level: u8, pub round: u32, pub redelivered: bool, pub sha256: [u8; 32], pub size: u64,
    pub accepted_at: Ms, pub leased_until: Option<Ms>, pub facts: Facts,
}
#[derive(Debug, Clone)]
pub enum Facts { Document(ledger::event::DocumentFacts), Status(ledger::event::StatusFacts) }
pub struct Content { _p: () }
impl Content {
    /// The next bytes, at most `max`; `None` after the last. A hash mismatch is CONTENT_DAMAGED before the last chunk.
    pub async fn next_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Refusal> { unimplemented!() }
}
#[derive(Debug, Clone, Default)]
pub struct FetchFilter { pub agency: Option<String>, pub kind: Option<PackageKind> }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome { Acknowledged, Failed, Released }
#[derive(Debug, Clone)]
pub struct Settle { pub delivery: DeliveryId, pub round: u32 /* 0 = current */, pub outcome: Outcome, pub reason: String, pub via: &'static str }
#[derive(Debug, Clone)]
pub struct Settled { pub delivery: DeliveryId, pub state: DeliveryState, pub at: Ms, pub changed: bool }

/// The deliveries of a system as they come. Dropping it gives its leases back.
pub struct Subscription { _p: () }
#[derive(Debug)]
pub enum Next { Offer(Box<Offer>), CaughtUp, /* key revoked or axis stopping */ Cut(Refusal) }
impl std::fmt::Debug for Offer { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("Offer") } }
impl Subscription {
    pub fn add_credit(&self, deliveries: u32) { unimplemented!() }
    /// Waits for a delivery within the credit. Cancel-safe.
    pub async fn next(&mut self) -> Next { unimplemented!() }
}

// ---------- asking ----------
pub struct Report { pub code: String, pub document_id: String, pub to: String, pub from: Option<String>, pub reason: String, pub staff: edxml_staff::Staff }
pub mod edxml_staff { #[derive(Debug, Clone, Default)] pub struct Staff { pub department: String, pub name: String, pub mobile: String, pub email: String } }
pub enum DocumentRef { Document { sender: String, document_id: String }, Package(PackageId) }
pub struct Matrix { pub document_id: String, pub sender: Party, pub cells: Vec<Cell> }
pub struct Cell { pub receiver: Party, pub delivery: DeliveryId, pub state: DeliveryState, pub round: u32, pub status: Option<u8>, pub events: Vec<StatusEvent> }
#[derive(Debug, Clone)]
pub struct StatusEvent { pub package: PackageId, pub code: u8, pub at: Ms, pub description: String, pub made_by_axis: bool }

#[derive(Default)]
pub struct Search { pub agency: Option<String>, pub document_id: Option<String>, pub number: Option<String>, pub since: Option<Ms>, pub until: Option<Ms>, pub kind: Option<PackageKind>, pub page_size: u32, pub page_token: String }
pub struct Page<T> { pub items: Vec<T>, pub next: String }
#[derive(Debug, Clone)]
pub struct PackageSummary { pub package: PackageId, pub kind: PackageKind, pub sender: Party, pub accepted_at: Ms, pub sha256: [u8; 32], pub size: u64, pub facts: Facts, pub deliveries: Vec<DeliverySummary> }
#[derive(Debug, Clone)]
pub struct DeliverySummary { pub delivery: DeliveryId, pub receiver: Party, pub state: DeliveryState, pub round: u32, pub changed_at: Ms, pub status: Option<u8> }
pub struct RefusalSummary { pub at: Ms, pub system: String, pub code: String, pub sender_code: String, pub sha256: Bytes, pub size: u64, pub path: String, pub count: u32 }
pub struct Trace { pub packages: Vec<PackageSummary>, pub events: Vec<TraceEvent> }
pub struct TraceEvent { pub at: Ms, pub kind: &'static str, pub package: PackageId, pub delivery: Option<DeliveryId>, pub actor: String, pub via: String, pub detail: String, pub detail_en: String, pub agency: Option<Party>, pub sha256: Option<[u8; 32]>, pub round: u32, pub anchor: String }
pub struct AgencyQueue { pub agency: Party, pub systems: Vec<SystemId>, pub pending: u64, pub fetched: u64, pub held: u64, pub dead: u64, pub lanes: [u64; 4] /* flash urgent status routine */, pub oldest: Option<Ms>, pub streams: u32, pub last_fetch: Option<Ms> }
pub enum Redeliver { Package(PackageId), Agency { code: String, since: Ms } }
pub struct Redelivered { pub opened: Vec<(DeliveryId, PackageId, u32)>, pub skipped: Vec<(DeliveryId, &'static str)> }
pub struct Info { pub started_at: Ms, pub now: Ms, pub position: u64, pub anchor: String, pub index: String, pub space: String, pub read_only: bool }
pub struct ImportProblem { pub row: u32, pub column: String, pub message: String, pub message_en: String }
pub struct Imported { pub added: u32, pub changed: u32, pub unchanged: u32, pub problems: Vec<ImportProblem> }
pub struct NewSystem { pub id: String, pub name: String, pub agencies: Vec<String>, pub attachment: String, pub axis_acknowledges: bool, pub with_key: bool }
pub struct AgencyRecord { pub id: AgencyId, pub code: String, pub code_2020: String, pub other_codes: Vec<String>, pub name: String, pub parent: String, pub state: &'static str, pub successors: Vec<String>, pub systems: Vec<SystemId>, pub changed_at: Ms, pub changed_by: String }
pub struct SystemRecord { pub id: SystemId, pub name: String, pub agencies: Vec<String>, pub attachment: &'static str, pub suspended: bool, pub keys: Vec<(u32, Ms, String)>, pub pins: Vec<([u8; 32], String, Ms, String)>, pub changed_at: Ms, pub changed_by: String }
pub enum Revoke { All, Key(u32), Pin([u8; 32]) }
pub struct Revoked { pub keys: u32, pub pins: u32, pub streams_cut: u32 }
/// What `verify` found; a plain mirror of journal::Report.
pub struct Verified { pub sound: bool, pub records: u64, pub payloads: u64, pub payload_bytes: u64, pub segments: u32, pub anchor: String, pub damage: Option<(String, u64, String)>, pub torn_tail: String }

pub struct Limits { pub max_package: u64, pub max_streams: u32, pub max_bytes_in_flight: u64, pub max_pushes_per_second: u32, pub max_open_deliveries: u64 }
impl Default for Limits { fn default() -> Self { Self { max_package: 50 << 20, max_streams: 16, max_bytes_in_flight: 256 << 20, max_pushes_per_second: 1_000, max_open_deliveries: 1_000_000 } } }
pub struct Options {
    pub data: PathBuf, pub key_file: Option<PathBuf> /* None = <data folder>.key */, pub node: u16, pub clock: ledger::time::Clock,
    pub limits: Limits, pub lease: Duration, pub window: usize, pub segment_size: u64, pub anchors: Option<PathBuf>, pub version: String,
}

#[derive(Debug, Clone)]
pub struct Exchange(Arc<()>);
/// Why the exchange could not be opened; Display says what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError { #[error("{0}")] Other(String) }

impl Exchange {
    pub async fn open(options: Options) -> Result<Self, OpenError> { unimplemented!() }
    /// Drains: refuses new calls, ends leases, closes the ledger.
    pub async fn close(&self) { unimplemented!() }
    pub fn authenticate(&self, credentials: Credentials<'_>) -> Result<Peer, Refusal> { unimplemented!() }
    pub async fn push(&self, peer: &Peer, package: Bytes, options: PushOptions) -> Result<Receipt, Refusal> { unimplemented!() }
    pub async fn upload(&self, peer: &Peer, options: PushOptions) -> Result<Upload, Refusal> { unimplemented!() }
    pub async fn subscribe(&self, peer: &Peer, credit: u32) -> Result<Subscription, Refusal> { unimplemented!() }
    /// Leases the next waiting delivery, if any.
    pub async fn fetch(&self, peer: &Peer, filter: &FetchFilter) -> Result<Option<Offer>, Refusal> { unimplemented!() }
    pub async fn settle(&self, peer: &Peer, settle: Settle) -> Result<Settled, Refusal> { unimplemented!() }
    pub fn extend(&self, peer: &Peer, delivery: DeliveryId) -> Result<Ms, Refusal> { unimplemented!() }
    pub async fn download(&self, peer: &Peer, delivery: DeliveryId) -> Result<Offer, Refusal> { unimplemented!() }
    pub async fn report(&self, peer: &Peer, report: Report) -> Result<Receipt, Refusal> { unimplemented!() }
    pub async fn matrix(&self, caller: &Caller, document: DocumentRef) -> Result<Matrix, Refusal> { unimplemented!() }
    pub async fn search(&self, caller: &Caller, search: Search) -> Result<Page<PackageSummary>, Refusal> { unimplemented!() }
    pub async fn search_refused(&self, caller: &Caller, search: Search) -> Result<Page<RefusalSummary>, Refusal> { unimplemented!() }
    pub async fn trace(&self, caller: &Caller, id: &str) -> Result<Trace, Refusal> { unimplemented!() }
    pub async fn queues(&self, caller: &Caller, agency: Option<&str>) -> Result<Vec<AgencyQueue>, Refusal> { unimplemented!() }
    pub async fn redeliver(&self, operator: &Operator, what: Redeliver, why: &str) -> Result<Redelivered, Refusal> { unimplemented!() }
    pub async fn info(&self) -> Info { unimplemented!() }
    pub async fn verify(&self, anchors: &[String]) -> Result<Verified, Refusal> { unimplemented!() }
    pub fn agencies(&self, search: &str, page_size: u32, page_token: &str) -> Result<Page<AgencyRecord>, Refusal> { unimplemented!() }
    pub fn agency(&self, code: &str) -> Result<AgencyRecord, Refusal> { unimplemented!() }
    pub async fn import_agencies(&self, operator: &Operator, csv: Bytes, decision: &str, dry_run: bool) -> Result<Imported, Refusal> { unimplemented!() }
    pub fn systems(&self) -> Vec<SystemRecord> { unimplemented!() }
    pub async fn add_system(&self, operator: &Operator, system: NewSystem) -> Result<(SystemRecord, Option<String>), Refusal> { unimplemented!() }
    pub async fn add_key(&self, operator: &Operator, system: &str) -> Result<(u32, String), Refusal> { unimplemented!() }
    pub async fn pin(&self, operator: &Operator, system: &str, spki_sha256: [u8; 32], subject: &str) -> Result<(), Refusal> { unimplemented!() }
    pub async fn revoke(&self, operator: &Operator, system: &str, what: Revoke) -> Result<Revoked, Refusal> { unimplemented!() }
}
