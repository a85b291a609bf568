//! Questions: they read what is synced and never decide anything.

use bytes::Bytes;
use journal::{Anchor, PayloadReader, ReadError};

use crate::event::PackageAccepted;
use crate::fact::{self, Fact, FactError};
use crate::id::{AgencyId, DeliveryId, PackageId};
use crate::index::IndexError;
use crate::recent::AtHand;
use crate::rows::{
    self, CellEventRow, CellRow, DeliveryRow, DocumentKey, HolderRow, Key, NamesPackageRow,
    PackageRow, PointerRow, View, read,
};
use crate::sequencer::unpacked;
use crate::state::State;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The journal cannot be read there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record is not understood.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// A package as it was accepted.
#[derive(Debug, Clone)]
pub struct StoredPackage {
    /// Its id.
    pub id: PackageId,
    /// Its facts.
    pub facts: PackageAccepted,
    /// Its record's anchor.
    pub anchor: Anchor,
    location: u64,
}

impl StoredPackage {
    pub(crate) fn new(id: PackageId, facts: PackageAccepted, written: &journal::Written) -> Self {
        Self {
            id,
            facts,
            anchor: written.anchor(),
            location: crate::sequencer::packed(written.location),
        }
    }

    /// The document that it is about.
    #[must_use]
    pub fn document_key(&self) -> Option<DocumentKey> {
        crate::fold::document_of(&self.facts)
    }
}

/// A package's bytes.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // short-lived, and one at a time
pub enum PackageBytes {
    /// Made by the axis, whole in the event.
    Made(Bytes),
    /// A sender's, checked against its SHA-256 while it is read.
    Payload(PayloadReader),
}

/// One record that touches a package.
#[derive(Debug, Clone)]
pub struct RecordedFacts {
    /// Its anchor.
    pub anchor: Anchor,
    /// All facts of its transaction.
    pub facts: Vec<Fact>,
}

/// Reads the state; blocking (it may read files), so not for a runtime's own threads.
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) state: std::sync::Arc<State>,
    pub(crate) reader: journal::Reader,
}

impl Query {
    /// A package that was accepted a moment ago. Never waits for a disk.
    #[must_use]
    pub fn package_at_hand(&self, id: PackageId) -> Option<AtHand> {
        self.state.recent(id)
    }

    /// A delivery that changed a moment ago. Never waits for a disk.
    #[must_use]
    pub fn delivery_at_hand(&self, id: DeliveryId) -> Option<DeliveryRow> {
        let row = self.state.fresh(&rows::delivery(id))?;
        prost::Message::decode(row.as_slice()).ok()
    }

    /// A package.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn package(&self, id: PackageId) -> Result<Option<StoredPackage>, QueryError> {
        let Some(row) = read::<PackageRow>(&*self.state, &rows::package(id)) else {
            return Ok(None);
        };
        let record = self.reader.record(unpacked(row.location))?;
        let anchor = record.anchor();
        let fact = fact::decode(record.body)?
            .into_iter()
            .nth(row.fact as usize);
        Ok(match fact {
            // A row that points elsewhere finds nothing rather than another's package.
            Some(Fact::PackageAccepted(facts)) if facts.id == id.as_bytes()[..] => {
                Some(StoredPackage {
                    id,
                    facts: *facts,
                    anchor,
                    location: row.location,
                })
            }
            _ => None,
        })
    }

    /// A package's bytes.
    ///
    /// # Errors
    /// If they were removed, or cannot be read.
    pub fn bytes(&self, package: &StoredPackage) -> Result<PackageBytes, QueryError> {
        if package.facts.made.is_empty() {
            return Ok(PackageBytes::Payload(
                self.reader.payload(unpacked(package.location))?,
            ));
        }
        Ok(PackageBytes::Made(package.facts.made.clone()))
    }

    /// Whether a package's content left by a recorded decision.
    #[must_use]
    pub fn is_removed(&self, id: PackageId) -> bool {
        read::<PackageRow>(&*self.state, &rows::package(id)).is_some_and(|row| row.removed)
    }

    /// Whether a receiver may still be served the package.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn is_awaited(&self, package: &StoredPackage) -> Result<bool, QueryError> {
        let mut receivers: Vec<u32> = package.facts.receivers.iter().map(|r| r.agency).collect();
        for fact in self
            .events(package.id)?
            .iter()
            .flat_map(|record| &record.facts)
        {
            if let Fact::ReceiversAdded(added) = fact
                && added.package == package.id.as_bytes()[..]
            {
                receivers.extend(added.receivers.iter().map(|receiver| receiver.agency));
            }
        }
        Ok(receivers.into_iter().any(|receiver| {
            let delivery = DeliveryId::of(package.id, AgencyId(receiver));
            let row = self.delivery(delivery);
            row.is_some_and(|row| crate::fold::is_open(row.state()) && !row.recalled)
        }))
    }

    /// Whether accepting a package would record something, as far as the synced state tells.
    ///
    /// # Errors
    /// The conflict that would refuse it.
    pub fn preview(&self, package: PackageAccepted) -> Result<bool, crate::Conflict> {
        let accept = crate::Accept {
            package,
            payload: journal::Payload::None,
            own_15: Vec::new(),
            withdrawals: Vec::new(),
        };
        crate::decide::accept(&*self.state, accept).map(|decision| !decision.facts.is_empty())
    }

    /// A delivery.
    #[must_use]
    pub fn delivery(&self, id: DeliveryId) -> Option<DeliveryRow> {
        read(&*self.state, &rows::delivery(id))
    }

    /// Whether a delivery's document was recalled from its receiver.
    #[must_use]
    pub fn is_recalled(&self, row: &DeliveryRow) -> bool {
        crate::decide::is_recalled(&*self.state, row)
    }

    /// A cell; the default one before the first status.
    #[must_use]
    pub fn cell(&self, document: DocumentKey, receiver: AgencyId) -> CellRow {
        read(&*self.state, &rows::cell(document, receiver)).unwrap_or_default()
    }

    /// The statuses of a cell in journal order.
    #[must_use]
    pub fn cell_events(&self, document: DocumentKey, receiver: AgencyId) -> Vec<CellEventRow> {
        decoded(self.state.scan(&rows::cell_events(document, receiver)))
    }

    /// Who holds a document, by receiver.
    #[must_use]
    pub fn holders(&self, document: DocumentKey) -> Vec<(AgencyId, HolderRow)> {
        let rows = self.state.scan(&rows::holders(document));
        rows.into_iter()
            .filter_map(|(key, value)| {
                let agency = key
                    .last_chunk::<4>()
                    .map(|id| AgencyId(u32::from_be_bytes(*id)))?;
                Some((agency, prost::Message::decode(value.as_slice()).ok()?))
            })
            .collect()
    }

    /// The packages about a document, in journal order.
    #[must_use]
    pub fn about(&self, document: DocumentKey) -> Vec<PackageId> {
        packages(self.state.scan(&rows::all_about(document)))
    }

    /// The packages that name a document by this key text, whoever sent it.
    #[must_use]
    pub fn by_document_id(&self, key: &str) -> Vec<PackageId> {
        packages(self.state.scan(&rows::by_document_id(rows::key_hash(key))))
    }

    /// The records that touch a package, in journal order.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn events(&self, package: PackageId) -> Result<Vec<RecordedFacts>, QueryError> {
        let pointers: Vec<PointerRow> = decoded(self.state.scan(&rows::events(package)));
        pointers
            .into_iter()
            .map(|pointer| self.recorded(pointer.location))
            .collect()
    }

    /// Up to `limit` packages, the newest first: of an agency, of a number/notation, or all;
    /// before `cursor` if it is not empty. Each with the cursor behind it.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn newest(
        &self,
        by: &By,
        cursor: &[u8],
        limit: usize,
    ) -> Result<Vec<(PackageId, Key)>, QueryError> {
        let prefix = by.prefix();
        let before = if cursor.is_empty() {
            Vec::new()
        } else {
            [prefix.as_slice(), cursor].concat()
        };
        let rows = self.state.scan_back(&prefix, &before, limit)?;
        Ok(rows
            .into_iter()
            .filter_map(|(key, value)| {
                let names: NamesPackageRow = prost::Message::decode(value.as_slice()).ok()?;
                Some((
                    PackageId::from_slice(&names.package)?,
                    key[prefix.len()..].to_vec(),
                ))
            })
            .collect())
    }

    /// Up to `limit` refusals, the newest first, as [`Query::newest`].
    ///
    /// # Errors
    /// If the index or the journal cannot be read.
    pub fn refused(
        &self,
        cursor: &[u8],
        limit: usize,
    ) -> Result<Vec<(crate::event::PackageRefused, Key)>, QueryError> {
        let prefix = [rows::REFUSED];
        let before = if cursor.is_empty() {
            Vec::new()
        } else {
            [&prefix, cursor].concat()
        };
        let mut refusals = Vec::new();
        for (key, value) in self.state.scan_back(&prefix, &before, limit)? {
            let Ok(pointer) = <PointerRow as prost::Message>::decode(value.as_slice()) else {
                continue;
            };
            let number = key
                .last_chunk::<4>()
                .map_or(0, |n| u32::from_be_bytes(*n) as usize);
            let fact = self
                .recorded(pointer.location)?
                .facts
                .into_iter()
                .nth(number);
            if let Some(Fact::PackageRefused(refused)) = fact {
                refusals.push((*refused, key[1..].to_vec()));
            }
        }
        Ok(refusals)
    }

    pub(crate) fn recorded(&self, location: u64) -> Result<RecordedFacts, QueryError> {
        let record = self.reader.record(unpacked(location))?;
        let anchor = record.anchor();
        Ok(RecordedFacts {
            anchor,
            facts: fact::decode(record.body)?,
        })
    }
}

/// What packages are listed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// All, in journal order.
    Time,
    /// Sent by or for an agency.
    Agency(AgencyId),
    /// Number and notation.
    Number(String, String),
    /// The document's key text.
    DocumentId(String),
}

impl By {
    fn prefix(&self) -> Key {
        match self {
            Self::Time => vec![rows::BY_TIME],
            Self::Agency(agency) => rows::by_agency(*agency),
            Self::Number(number, notation) => rows::by_number(number, notation),
            Self::DocumentId(key) => rows::by_document_id(rows::key_hash(key)),
        }
    }
}

fn decoded<R: prost::Message + Default>(rows: Vec<(Key, Vec<u8>)>) -> Vec<R> {
    rows.into_iter()
        .filter_map(|(_, value)| R::decode(value.as_slice()).ok())
        .collect()
}

fn packages(rows: Vec<(Key, Vec<u8>)>) -> Vec<PackageId> {
    decoded::<NamesPackageRow>(rows)
        .into_iter()
        .filter_map(|names| PackageId::from_slice(&names.package))
        .collect()
}
