//! What receivers owe: an answer to a recall (duty RC-02), an end to a document that is due by a
//! moment (TM-05), a word that a document has arrived (STA-04). A row stands only while it is owed, so that whoever looks for what is late
//! reads what is open and nothing else.

use prost::Message;

use crate::event::PackageAccepted;
use crate::id::{AgencyId, PackageId};
use crate::index::IndexError;
use crate::layer::Layer;
use crate::query::Query;
use crate::rows::{self, CellRow, DocumentKey, Key, View, read};
use crate::time::Ms;

/// `Q`: receivers that were asked to give a document back and have not answered.
pub(crate) const ASKED: u8 = b'Q';
/// `q`: documents that are due at a receiver that has not ended them, by that moment.
pub(crate) const DUE: u8 = b'q';
/// `u`: documents that a receiver has settled without a 01, its own or the axis's.
pub(crate) const UNCONFIRMED: u8 = b'u';

/// A receiver was asked to give a document back and has not answered.
#[derive(Clone, PartialEq, Message)]
pub struct AskedRow {
    /// The package that asks: a recall, or a status 13.
    #[prost(bytes = "vec", tag = "1")]
    pub request: Vec<u8>,
    /// When it was accepted, milliseconds.
    #[prost(int64, tag = "2")]
    pub at: i64,
    /// Whose document.
    #[prost(uint32, tag = "3")]
    pub sender: u32,
    /// The hash of its key text.
    #[prost(bytes = "vec", tag = "4")]
    pub document: Vec<u8>,
    /// Who owes it.
    #[prost(uint32, tag = "5")]
    pub receiver: u32,
}

impl AskedRow {
    /// The package that asks.
    #[must_use]
    pub fn request_id(&self) -> Option<PackageId> {
        PackageId::from_slice(&self.request)
    }

    /// The document asked for.
    #[must_use]
    pub fn document_key(&self) -> Option<DocumentKey> {
        document_of(self.sender, &self.document)
    }
}

/// A document is due at a receiver that has not ended it.
#[derive(Clone, PartialEq, Message)]
pub struct DueRow {
    /// The package that says when it is due.
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
    /// When it is due, milliseconds.
    #[prost(int64, tag = "2")]
    pub due_at: i64,
    /// Whose document.
    #[prost(uint32, tag = "3")]
    pub sender: u32,
    /// The hash of its key text.
    #[prost(bytes = "vec", tag = "4")]
    pub document: Vec<u8>,
    /// Who owes it.
    #[prost(uint32, tag = "5")]
    pub receiver: u32,
    /// edXML Priority, 0 to 4.
    #[prost(uint32, tag = "6")]
    pub level: u32,
}

impl DueRow {
    /// The package that says when it is due.
    #[must_use]
    pub fn package_id(&self) -> Option<PackageId> {
        PackageId::from_slice(&self.package)
    }

    /// The document that is due.
    #[must_use]
    pub fn document_key(&self) -> Option<DocumentKey> {
        document_of(self.sender, &self.document)
    }
}

/// A receiver has settled a document, and nobody has said that it arrived.
#[derive(Clone, PartialEq, Message)]
pub struct UnconfirmedRow {
    /// When the document was accepted, milliseconds.
    #[prost(int64, tag = "1")]
    pub accepted_at: i64,
    /// Who owes it.
    #[prost(uint32, tag = "2")]
    pub receiver: u32,
}

fn document_of(sender: u32, hash: &[u8]) -> Option<DocumentKey> {
    Some(DocumentKey {
        sender: AgencyId(sender),
        hash: hash.try_into().ok()?,
    })
}

fn asked_key(document: DocumentKey, receiver: AgencyId) -> Key {
    let mut key = vec![ASKED];
    of_cell(&mut key, document, receiver);
    key
}

fn due_key(due_at: i64, document: DocumentKey, receiver: AgencyId) -> Key {
    let mut key = due_from(due_at);
    of_cell(&mut key, document, receiver);
    key
}

/// What is due at that moment and later comes behind this key.
fn due_from(due_at: i64) -> Key {
    let mut key = vec![DUE];
    key.extend(u64::try_from(due_at).unwrap_or(0).to_be_bytes());
    key
}

fn unconfirmed_key(document: DocumentKey, receiver: AgencyId) -> Key {
    let mut key = vec![UNCONFIRMED];
    of_cell(&mut key, document, receiver);
    key
}

fn of_cell(key: &mut Key, document: DocumentKey, receiver: AgencyId) {
    key.extend(document.sender.0.to_be_bytes());
    key.extend(document.hash);
    key.extend(receiver.0.to_be_bytes());
}

/// A receiver is asked to give a document back.
pub(crate) fn ask(
    layer: &mut Layer<'_>,
    document: DocumentKey,
    receiver: AgencyId,
    request: &[u8],
    at: i64,
) {
    let row = AskedRow {
        request: request.to_vec(),
        at,
        sender: document.sender.0,
        document: document.hash.to_vec(),
        receiver: receiver.0,
    };
    layer.put(asked_key(document, receiver), &row);
}

/// A receiver said whether it gives the document back.
pub(crate) fn answered(layer: &mut Layer<'_>, document: DocumentKey, receiver: AgencyId) {
    let key = asked_key(document, receiver);
    if layer.get(&key).is_some() {
        layer.remove(key);
    }
}

/// A receiver settled a document, and the axis says no 01 for it.
pub(crate) fn settled(
    layer: &mut Layer<'_>,
    document: DocumentKey,
    receiver: AgencyId,
    accepted_at: i64,
) {
    let cell: CellRow = read(layer, &rows::cell(document, receiver)).unwrap_or_default();
    if cell.own || cell.axis_01 {
        return;
    }
    let row = UnconfirmedRow {
        accepted_at,
        receiver: receiver.0,
    };
    layer.put(unconfirmed_key(document, receiver), &row);
}

/// A receiver said something of a document, or the axis said that it arrived.
pub(crate) fn confirmed(layer: &mut Layer<'_>, document: DocumentKey, receiver: AgencyId) {
    let key = unconfirmed_key(document, receiver);
    if layer.get(&key).is_some() {
        layer.remove(key);
    }
}

/// A package that says when its document is due comes to a receiver.
pub(crate) fn due(layer: &mut Layer<'_>, package: &PackageAccepted, receiver: AgencyId) {
    let Some(facts) = package
        .document
        .as_ref()
        .filter(|facts| facts.business != 1)
    else {
        return;
    };
    let (Some(due_at), Some(document)) = (facts.due_at_ms, crate::fold::document_of(package))
    else {
        return;
    };
    ended(layer, document, receiver);
    let key = rows::cell(document, receiver);
    let mut cell: CellRow = read(layer, &key).unwrap_or_default();
    if cell.current().is_some_and(ends) {
        return;
    }
    cell.due_at = Some(due_at);
    layer.put(key, &cell);
    let row = DueRow {
        package: package.id.to_vec(),
        due_at,
        sender: document.sender.0,
        document: document.hash.to_vec(),
        receiver: receiver.0,
        level: package.level,
    };
    layer.put(due_key(due_at, document, receiver), &row);
}

/// Whether a document with this status is no longer due: finished, refused, given back.
#[must_use]
pub const fn ends(status: u8) -> bool {
    matches!(status, 2 | 6 | 15)
}

/// A receiver has ended a document, or it was recalled from it.
pub(crate) fn ended(layer: &mut Layer<'_>, document: DocumentKey, receiver: AgencyId) {
    let cell: Option<CellRow> = read(layer, &rows::cell(document, receiver));
    if let Some(due_at) = cell.and_then(|cell| cell.due_at) {
        let key = due_key(due_at, document, receiver);
        if layer.get(&key).is_some() {
            layer.remove(key);
        }
    }
}

impl Query {
    /// Receivers that were asked to give a document back and have not answered, at most `limit`.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn asked(&self, limit: usize) -> Result<Vec<AskedRow>, IndexError> {
        let rows = self.state.scan_back(&[ASKED], &[], limit)?;
        Ok(decoded(rows))
    }

    /// The open request to give a document back, of one receiver.
    #[must_use]
    pub fn asked_of(&self, document: DocumentKey, receiver: AgencyId) -> Option<AskedRow> {
        read(&*self.state, &asked_key(document, receiver))
    }

    /// Documents that were settled without a 01, at most `limit`.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn unconfirmed(&self, limit: usize) -> Result<Vec<UnconfirmedRow>, IndexError> {
        let rows = self.state.scan_back(&[UNCONFIRMED], &[], limit)?;
        Ok(decoded(rows))
    }

    /// What was to be ended before `before` and is not, the latest due first, at most `limit`.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn due_before(&self, before: Ms, limit: usize) -> Result<Vec<DueRow>, IndexError> {
        let rows = self.state.scan_back(&[DUE], &due_from(before.0), limit)?;
        Ok(decoded(rows))
    }

    /// Whether a document was to be ended at a receiver before `now` and is not.
    #[must_use]
    pub fn is_overdue(&self, document: DocumentKey, receiver: AgencyId, now: Ms) -> bool {
        let cell = self.cell(document, receiver);
        cell.due_at.is_some_and(|due_at| {
            due_at < now.0
                && self
                    .state
                    .get(&due_key(due_at, document, receiver))
                    .is_some()
        })
    }
}

fn decoded<R: Message + Default>(rows: Vec<(Key, Vec<u8>)>) -> Vec<R> {
    rows.into_iter()
        .filter_map(|(_, value)| R::decode(value.as_slice()).ok())
        .collect()
}
