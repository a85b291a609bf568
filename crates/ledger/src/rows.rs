//! The rows of the index: their keys and values, and how they are looked up through layers.
//!
//! Rows are derived: `axis index rebuild` makes them again from the journal, so their layout
//! may change with [`FOLD_VERSION`](crate::fold::FOLD_VERSION). Values stay under 512 bytes.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::id::{AgencyId, DeliveryId, PackageId};

/// A row's key.
pub type Key = Vec<u8>;
/// A row's value; `None` = the row is gone.
pub type Value = Option<Vec<u8>>;

/// Reads rows as they stand at some moment.
pub trait View {
    /// The row's value.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;
    /// Whether any row begins so.
    fn any(&self, prefix: &[u8]) -> bool;
    /// The rows that begin so, in the order of their keys.
    fn scan(&self, prefix: &[u8]) -> Vec<(Key, Vec<u8>)>;
}

/// The row of that kind under `key`, if there is one. A row that does not decode counts as
/// absent only if the index is damaged, which its checks find at the start.
pub fn read<R: Message + Default>(view: &dyn View, key: &[u8]) -> Option<R> {
    R::decode(view.get(key)?.as_slice()).ok()
}

/// 16 bytes that stand for a document key text in row keys.
#[must_use]
pub fn key_hash(text: &str) -> [u8; 16] {
    let mut hash = [0; 16];
    hash.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
    hash
}

/// A document: its sender and the hash of its key text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DocumentKey {
    /// Whose document.
    pub sender: AgencyId,
    /// [`key_hash`] of its key text.
    pub hash: [u8; 16],
}

impl DocumentKey {
    /// Of the key text.
    #[must_use]
    pub fn of(sender: AgencyId, key: &str) -> Self {
        Self {
            sender,
            hash: key_hash(key),
        }
    }

    fn write(&self, table: u8) -> Key {
        let mut key = Vec::with_capacity(33);
        key.push(table);
        key.extend(self.sender.0.to_be_bytes());
        key.extend(self.hash);
        key
    }
}

/// What is known of a package without reading the journal.
#[derive(Clone, PartialEq, Message)]
pub struct PackageRow {
    #[prost(fixed64, tag = "1")]
    pub location: u64,
    #[prost(uint64, tag = "2")]
    pub position: u64,
    /// Which of its record's facts it is.
    #[prost(uint32, tag = "3")]
    pub fact: u32,
    /// The axis made it: its bytes stand in the event, its record's payload is another's.
    #[prost(bool, tag = "4")]
    pub made: bool,
    /// Its payload left by a recorded decision.
    #[prost(bool, tag = "5")]
    pub removed: bool,
}

/// A delivery.
#[derive(Clone, PartialEq, Message)]
pub struct DeliveryRow {
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub receiver: u32,
    #[prost(enumeration = "crate::event::DeliveryState", tag = "3")]
    pub state: i32,
    #[prost(uint32, tag = "4")]
    pub round: u32,
    #[prost(enumeration = "crate::event::Lane", tag = "5")]
    pub lane: i32,
    #[prost(uint32, tag = "6")]
    pub level: u32,
    /// Position of acceptance, and the delivery's number within that record.
    #[prost(uint64, tag = "7")]
    pub position: u64,
    #[prost(uint32, tag = "8")]
    pub number: u32,
    #[prost(int64, tag = "9")]
    pub accepted_at: i64,
    #[prost(int64, tag = "10")]
    pub changed_at: i64,
    /// The document's sender and key hash: its cell, for kind document.
    #[prost(uint32, tag = "11")]
    pub sender: u32,
    #[prost(bytes = "vec", tag = "12")]
    pub document: Vec<u8>,
    #[prost(enumeration = "crate::event::PackageKind", tag = "13")]
    pub kind: i32,
    #[prost(uint32, tag = "14")]
    pub business: u32,
    /// The receiver has had the content, in this round or an earlier one.
    #[prost(bool, tag = "15")]
    pub fetched: bool,
    /// The document was recalled from this receiver: it is offered no more.
    #[prost(bool, tag = "16")]
    pub recalled: bool,
}

impl DeliveryRow {
    /// Whether its receiver is to say that it arrived: statuses and recalls are answered
    /// otherwise.
    #[must_use]
    pub fn asks_for_01(&self) -> bool {
        const RECALL: u32 = 1;
        self.kind == crate::event::PackageKind::Document as i32 && self.business != RECALL
    }

    /// The package.
    #[must_use]
    pub fn package_id(&self) -> Option<PackageId> {
        PackageId::from_slice(&self.package)
    }

    /// The document it is about.
    #[must_use]
    pub fn document_key(&self) -> Option<DocumentKey> {
        let hash = self.document.as_slice().try_into().ok()?;
        Some(DocumentKey {
            sender: AgencyId(self.sender),
            hash,
        })
    }
}

/// Which package brought a document to a receiver, and whether it was recalled there.
#[derive(Clone, PartialEq, Message)]
pub struct HolderRow {
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub sha256: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub essence: Vec<u8>,
    /// The package that recalled it; empty if none did.
    #[prost(bytes = "vec", tag = "4")]
    pub recalled_by: Vec<u8>,
}

/// A cell: document x receiver.
#[derive(Clone, PartialEq, Message)]
pub struct CellRow {
    /// Bit n: code n was seen.
    #[prost(uint64, tag = "1")]
    pub seen: u64,
    /// Position of the latest open request (recall by package or 13, update, replacement).
    #[prost(uint64, tag = "2")]
    pub request: u64,
    /// Position and code (15 or 16) of the answer to it; 0 while there is none.
    #[prost(uint64, tag = "3")]
    pub answer: u64,
    #[prost(uint32, tag = "4")]
    pub answer_code: u32,
    /// A status of the receiver's own was seen (not only the axis's 01).
    #[prost(bool, tag = "5")]
    pub own: bool,
    /// The axis has made its 01.
    #[prost(bool, tag = "6")]
    pub axis_01: bool,
    /// Code of the latest request: 13, or 0 for a request by package.
    #[prost(uint32, tag = "7")]
    pub request_code: u32,
    /// When the document is to be ended here, milliseconds; absent if it does not say.
    #[prost(int64, optional, tag = "8")]
    pub due_at: Option<i64>,
}

impl CellRow {
    /// The current status: an answered request beats an open one beats the set; in the set 02
    /// beats progress, else the furthest of 01..06. `None` before the first.
    #[must_use]
    pub fn current(&self) -> Option<u8> {
        // In one record the request stands first: the axis's own 15 is in the record of the
        // recall that it answers.
        if self.answer >= self.request && self.answer_code == 15 {
            return Some(15);
        }
        if self.request > self.answer && self.request_code == 13 {
            return Some(13);
        }
        let has = |code: u8| self.seen & (1 << code) != 0;
        if has(2) {
            return Some(2);
        }
        [6, 5, 4, 3, 1].into_iter().find(|code| has(*code))
    }
}

/// One status in a cell's history.
#[derive(Clone, PartialEq, Message)]
pub struct CellEventRow {
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub code: u32,
    #[prost(int64, tag = "3")]
    pub at: i64,
    #[prost(bool, tag = "4")]
    pub made_by_axis: bool,
}

/// A status that waits for its document.
#[derive(Clone, PartialEq, Message)]
pub struct UnmatchedRow {
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
    /// The reporting agency.
    #[prost(uint32, tag = "2")]
    pub from: u32,
    /// Whose document it is said to be.
    #[prost(uint32, tag = "3")]
    pub document_sender: u32,
    #[prost(uint32, tag = "4")]
    pub code: u32,
    #[prost(int64, tag = "5")]
    pub at: i64,
}

/// A location in the journal, where the row only points.
#[derive(Clone, PartialEq, Message)]
pub struct PointerRow {
    #[prost(fixed64, tag = "1")]
    pub location: u64,
}

/// One alert, from its raising on.
#[derive(Clone, PartialEq, Message)]
pub struct AlertRow {
    /// Of the record that raised it.
    #[prost(fixed64, tag = "1")]
    pub location: u64,
    /// When it was cleared, milliseconds; absent while it stands.
    #[prost(int64, optional, tag = "2")]
    pub cleared_at: Option<i64>,
    /// When somebody was told of its raising.
    #[prost(int64, optional, tag = "3")]
    pub told_raised_at: Option<i64>,
    /// When somebody was told of its clearing.
    #[prost(int64, optional, tag = "4")]
    pub told_cleared_at: Option<i64>,
}

/// Which alert stands: its place in the journal.
#[derive(Clone, PartialEq, Message)]
pub struct StandingAlertRow {
    #[prost(uint64, tag = "1")]
    pub position: u64,
    #[prost(uint32, tag = "2")]
    pub fact: u32,
}

/// A package id, where the row only points.
#[derive(Clone, PartialEq, Message)]
pub struct NamesPackageRow {
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
}

impl NamesPackageRow {
    /// Of a package id.
    #[must_use]
    pub fn of(package: &[u8]) -> Self {
        Self {
            package: package.to_vec(),
        }
    }
}

/// A document's key text, where only its number is known.
#[derive(Clone, PartialEq, Message)]
pub struct KeyTextRow {
    #[prost(string, tag = "1")]
    pub key: String,
}

/// Key texts longer than this are not kept by number: values stay small.
pub const KEY_TEXT: usize = 400;

/// The key text under which a status without a DocumentId is known until its document is
/// found: number/notation and date, as [`DocumentKey::of`] takes key texts.
#[must_use]
pub fn code_key(code: &str, date: &str) -> String {
    format!("~code|{}|{}", code.trim().to_lowercase(), date.trim())
}

/// Whether a key text is one of [`code_key`]'s.
#[must_use]
pub fn is_code_key(key: &str) -> bool {
    key.starts_with("~code|")
}

/// `Y`: the key text of a sender's document by [`code_key`].
#[must_use]
pub fn by_code(sender: AgencyId, code_key: &str) -> Key {
    DocumentKey::of(sender, code_key).write(b'Y')
}

/// `l`: packages that recall, update or replace a document, in journal order.
#[must_use]
pub fn links(document: DocumentKey) -> Key {
    document.write(b'l')
}

/// `Z`: the documents of a sender with one number/notation in one year.
#[must_use]
pub fn same_number(sender: AgencyId, year: i32, number: &str, notation: &str) -> Key {
    let mut key = in_year(SAME_NUMBER, sender, year);
    key.extend(number_hash(number, notation));
    key
}

/// `z`: the numbers of a sender that more than one document has in a year.
#[must_use]
pub fn repeated_number(sender: AgencyId, year: i32, number: &str, notation: &str) -> Key {
    let mut key = in_year(REPEATED, sender, year);
    key.extend(number_hash(number, notation));
    key
}

/// A status of a cell, in the order in which cells changed.
#[derive(Clone, PartialEq, Message)]
pub struct WatchRow {
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
    /// Whose document, and the hash of its key text.
    #[prost(uint32, tag = "2")]
    pub sender: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub document: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub receiver: u32,
    #[prost(uint32, tag = "5")]
    pub code: u32,
    /// When the status was accepted.
    #[prost(int64, tag = "6")]
    pub at: i64,
    #[prost(bool, tag = "7")]
    pub made_by_axis: bool,
}

/// `V`: statuses of cells, in the order in which the cells changed.
pub const WATCHED: u8 = b'V';

/// `Z`: documents by number in a year.
pub const SAME_NUMBER: u8 = b'Z';
/// `z`: numbers that are not unique in a year: (sender, year) and the documents' prefix.
pub const REPEATED: u8 = b'z';

fn in_year(table: u8, sender: AgencyId, year: i32) -> Key {
    let mut key = tagged(table, &sender.0.to_be_bytes());
    key.extend(year.to_be_bytes());
    key
}

/// `P`: a package.
#[must_use]
pub fn package(id: PackageId) -> Key {
    tagged(b'P', id.as_bytes())
}

/// `D`: a delivery.
#[must_use]
pub fn delivery(id: DeliveryId) -> Key {
    tagged(b'D', id.as_bytes())
}

/// `H`: who holds a document of type 0, by receiver.
#[must_use]
pub fn holder(document: DocumentKey, receiver: AgencyId) -> Key {
    let mut key = document.write(b'H');
    key.extend(receiver.0.to_be_bytes());
    key
}

/// `H`: all holders of a document.
#[must_use]
pub fn holders(document: DocumentKey) -> Key {
    document.write(b'H')
}

/// `R`: all packages of type 1 to 3 of a document to a receiver.
#[must_use]
pub fn repeats(document: DocumentKey, receiver: AgencyId) -> Key {
    let mut key = document.write(b'R');
    key.extend(receiver.0.to_be_bytes());
    key
}

/// `R`: a package of type 1 to 3, by receiver and SHA-256.
#[must_use]
pub fn repeat(document: DocumentKey, receiver: AgencyId, sha256: &[u8]) -> Key {
    let mut key = repeats(document, receiver);
    key.extend(&sha256[..sha256.len().min(16)]);
    key
}

/// `S`: a status package, by the reporting agency and SHA-256.
#[must_use]
pub fn status(from: AgencyId, sha256: &[u8]) -> Key {
    let mut key = tagged(b'S', &from.0.to_be_bytes());
    key.extend(&sha256[..sha256.len().min(16)]);
    key
}

/// `U`: a package about a document, by position and its number in the record.
#[must_use]
pub fn about(document: DocumentKey, position: u64, fact: u32) -> Key {
    let mut key = document.write(b'U');
    key.extend(position.to_be_bytes());
    key.extend(fact.to_be_bytes());
    key
}

/// `U`: all packages about a document.
#[must_use]
pub fn all_about(document: DocumentKey) -> Key {
    document.write(b'U')
}

/// `C`: a cell.
#[must_use]
pub fn cell(document: DocumentKey, receiver: AgencyId) -> Key {
    let mut key = document.write(b'C');
    key.extend(receiver.0.to_be_bytes());
    key
}

/// `c`: the statuses of a cell, in journal order.
#[must_use]
pub fn cell_events(document: DocumentKey, receiver: AgencyId) -> Key {
    let mut key = document.write(b'c');
    key.extend(receiver.0.to_be_bytes());
    key
}

/// `I`: documents by the hash of their key text alone, for a search by DocumentId.
#[must_use]
pub fn by_document_id(hash: [u8; 16]) -> Key {
    tagged(b'I', &hash)
}

/// `N`: packages by number/notation.
#[must_use]
pub fn by_number(number: &str, notation: &str) -> Key {
    tagged(b'N', &number_hash(number, notation))
}

/// `T`: packages in journal order.
pub const BY_TIME: u8 = b'T';
/// `X`: refusals in journal order.
pub const REFUSED: u8 = b'X';
/// `W`: alerts in the order of their raising.
pub const ALERTS: u8 = b'W';
/// `M`: statuses whose document has not come yet.
pub const UNMATCHED: u8 = b'M';

/// `A`: packages sent by or for an agency, in journal order.
#[must_use]
pub fn by_agency(agency: AgencyId) -> Key {
    tagged(b'A', &agency.0.to_be_bytes())
}

/// `E`: the records that touch a package, in journal order.
#[must_use]
pub fn events(package: PackageId) -> Key {
    tagged(b'E', package.as_bytes())
}

/// `M`: the statuses that wait for a document with this key text, whoever sent it.
#[must_use]
pub fn unmatched(hash: [u8; 16]) -> Key {
    tagged(UNMATCHED, &hash)
}

/// `w`: the alert that stands, by kind and subject.
#[must_use]
pub fn standing_alert(kind: &str, subject: &str) -> Key {
    tagged(STANDING_ALERTS, &key_hash(&format!("{kind}\0{subject}")))
}

/// `w`: the alerts that stand.
pub const STANDING_ALERTS: u8 = b'w';

/// Adds the place in the journal to a key.
#[must_use]
pub fn at(mut prefix: Key, position: u64, number: u32) -> Key {
    prefix.extend(position.to_be_bytes());
    prefix.extend(number.to_be_bytes());
    prefix
}

fn number_hash(number: &str, notation: &str) -> [u8; 16] {
    let text = format!("{}/{}", number.trim(), notation.trim()).to_lowercase();
    key_hash(&text)
}

fn tagged(table: u8, rest: &[u8]) -> Key {
    let mut key = Vec::with_capacity(1 + rest.len() + 12);
    key.push(table);
    key.extend(rest);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tables_have_one_letter() {
        let agency = AgencyId(1);
        let document = DocumentKey::of(agency, "d");
        let package_id = PackageId::from_slice(&[0; 12]).unwrap();
        let mut letters = vec![
            package(package_id)[0],
            delivery(DeliveryId::of(package_id, agency))[0],
            holders(document)[0],
            repeats(document, agency)[0],
            status(agency, &[0; 32])[0],
            all_about(document)[0],
            cell(document, agency)[0],
            cell_events(document, agency)[0],
            by_document_id([0; 16])[0],
            by_number("1", "a")[0],
            by_agency(agency)[0],
            events(package_id)[0],
            by_code(agency, "1/a")[0],
            links(document)[0],
            BY_TIME,
            REFUSED,
            UNMATCHED,
            WATCHED,
            SAME_NUMBER,
            REPEATED,
            ALERTS,
            STANDING_ALERTS,
            crate::owed::ASKED,
            crate::owed::DUE,
            crate::publication::VERSIONS,
            crate::publication::UNKNOWN,
        ];
        let tables = letters.len();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), tables);
    }

    #[test]
    fn the_set_part_of_a_cell_does_not_depend_on_order() {
        let cell = |codes: &[u8]| CellRow {
            seen: codes.iter().fold(0, |seen, code| seen | 1 << code),
            ..CellRow::default()
        };
        assert_eq!(cell(&[]).current(), None);
        assert_eq!(cell(&[1]).current(), Some(1));
        assert_eq!(cell(&[5, 3, 1]).current(), Some(5));
        assert_eq!(cell(&[6, 2]).current(), Some(2));
        assert_eq!(cell(&[7, 12]).current(), None);
    }
}
