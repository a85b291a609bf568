//! Questions across documents: statuses that wait for their document, statuses in the order
//! in which cells changed, documents that name another, numbers that are not unique.

use crate::id::{AgencyId, PackageId};
use crate::query::{Query, QueryError};
use crate::rows::{self, DocumentKey, Key, NamesPackageRow, UnmatchedRow, View, WatchRow};
use crate::time::Ms;

/// A status that waits for its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmatched {
    /// Its package.
    pub package: PackageId,
    /// Who reports.
    pub from: AgencyId,
    /// Whose document it is said to be.
    pub document_sender: AgencyId,
    /// Its code.
    pub code: u32,
    /// When it was accepted.
    pub at: Ms,
}

/// A status of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    /// Its package.
    pub package: PackageId,
    /// The cell's document.
    pub document: DocumentKey,
    /// The cell's receiver.
    pub receiver: AgencyId,
    /// Its code.
    pub code: u32,
    /// When it was accepted; of one that came before its document, earlier than the cell
    /// changed.
    pub at: Ms,
    /// The axis made it.
    pub made_by_axis: bool,
}

/// A number that more than one document of a sender has in one year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedNumber {
    /// Whose documents.
    pub sender: AgencyId,
    /// The year of promulgation.
    pub year: i32,
    /// The first package of each document.
    pub packages: Vec<PackageId>,
}

impl Query {
    /// Up to `limit` statuses that wait, beyond `cursor` if it is not empty; each with the
    /// cursor behind it. In no order that means something.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn unmatched(
        &self,
        cursor: &[u8],
        limit: usize,
    ) -> Result<Vec<(Unmatched, Key)>, QueryError> {
        self.page(&[rows::UNMATCHED], cursor, limit, |_, row: UnmatchedRow| {
            Some(Unmatched {
                package: PackageId::from_slice(&row.package)?,
                from: AgencyId(row.from),
                document_sender: AgencyId(row.document_sender),
                code: row.code,
                at: Ms(row.at),
            })
        })
    }

    /// Up to `limit` statuses after `cursor` (12 bytes: position and number), in the order in
    /// which cells changed; each with its cursor.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn status_changes(
        &self,
        cursor: &[u8],
        limit: usize,
    ) -> Result<Vec<(StatusChange, Key)>, QueryError> {
        self.page(&[rows::WATCHED], cursor, limit, |_, row: WatchRow| {
            Some(StatusChange {
                package: PackageId::from_slice(&row.package)?,
                document: DocumentKey {
                    sender: AgencyId(row.sender),
                    hash: row.document.as_slice().try_into().ok()?,
                },
                receiver: AgencyId(row.receiver),
                code: row.code,
                at: Ms(row.at),
                made_by_axis: row.made_by_axis,
            })
        })
    }

    /// The cursor behind everything that has happened up to a position.
    #[must_use]
    pub fn after_position(position: u64) -> Key {
        rows::at(Vec::new(), position, u32::MAX)
    }

    /// The packages that recall, update or replace a document, in journal order.
    #[must_use]
    pub fn linked(&self, document: DocumentKey) -> Vec<PackageId> {
        let rows = self.state.scan(&rows::links(document));
        rows.into_iter()
            .filter_map(|(_, value)| package(&value))
            .collect()
    }

    /// Up to `limit` numbers that are not unique in their year: of one sender or all, beyond
    /// `cursor` if it is not empty; each with the cursor behind it.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn repeated_numbers(
        &self,
        sender: Option<AgencyId>,
        cursor: &[u8],
        limit: usize,
    ) -> Result<Vec<(RepeatedNumber, Key)>, QueryError> {
        let mut prefix = vec![rows::REPEATED];
        if let Some(sender) = sender {
            prefix.extend(sender.0.to_be_bytes());
        }
        self.page(&prefix, cursor, limit, |key, _: NamesPackageRow| {
            // `z`, sender, year, number: the documents lie under the same after a `Z`.
            let sender = u32::from_be_bytes(key.get(1..5)?.try_into().ok()?);
            let year = i32::from_be_bytes(key.get(5..9)?.try_into().ok()?);
            let documents = [&[rows::SAME_NUMBER], key.get(1..)?].concat();
            let rows = self.state.scan(&documents).into_iter();
            Some(RepeatedNumber {
                sender: AgencyId(sender),
                year,
                packages: rows.filter_map(|(_, value)| package(&value)).collect(),
            })
        })
    }

    fn page<R: prost::Message + Default, T>(
        &self,
        prefix: &[u8],
        cursor: &[u8],
        limit: usize,
        read: impl Fn(&[u8], R) -> Option<T>,
    ) -> Result<Vec<(T, Key)>, QueryError> {
        let after = [&prefix[..1], cursor].concat();
        let rows = self.state.scan_on(prefix, &after, limit)?;
        Ok(rows
            .into_iter()
            .filter_map(|(key, value)| {
                let row = R::decode(value.as_slice()).ok()?;
                Some((read(&key, row)?, key[1..].to_vec()))
            })
            .collect())
    }
}

fn package(value: &[u8]) -> Option<PackageId> {
    let names = <NamesPackageRow as prost::Message>::decode(value).ok()?;
    PackageId::from_slice(&names.package)
}
