//! Statuses as they come: a stream of the changes of cells, resumed by a token.
//!
//! The token is a place in the journal, so it holds over restarts and needs no memory here:
//! the axis keeps nothing of a watcher that is away. A watcher pulls; pages are bounded.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::id::{AgencyId, PackageId};
use ledger::time::Ms;
use ledger::{Query, StatusChange};
use tokio::sync::watch;

use crate::history::own_agencies;
use crate::refusal::{Name, Refusal};
use crate::service::{Caller, Exchange, Inner, party};
use crate::types::Party;

/// Changes read at once.
const PAGE: usize = 128;

/// A status that came to a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedStatus {
    /// Resumes behind this change.
    pub token: String,
    /// The status's package.
    pub package: PackageId,
    /// The document's edXML DocumentId.
    pub document_id: String,
    /// The document's sender.
    pub sender: Party,
    /// The receiver whose cell it is.
    pub receiver: Party,
    /// Its code.
    pub code: u8,
    /// When the axis accepted it.
    pub at: Ms,
    /// Its text.
    pub description: String,
    /// The axis made it.
    pub made_by_axis: bool,
}

/// What a watcher is told next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// A status.
    Status(Box<WatchedStatus>),
    /// Everything up to now was told. The token resumes here.
    CaughtUp(String),
}

/// The statuses of the documents that a caller sent or received.
#[derive(Debug)]
pub struct StatusWatch {
    inner: Arc<Inner>,
    caller: Caller,
    cursor: Vec<u8>,
    read: VecDeque<(Option<Box<WatchedStatus>>, Vec<u8>)>,
    /// [`Watched::CaughtUp`] is due when there is nothing more.
    told: bool,
    ticks: watch::Receiver<u64>,
}

impl Exchange {
    /// Watches statuses: behind the token, or from now on if it is empty.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a token that is none, or from a later axis than this data.
    pub fn watch_statuses(&self, caller: &Caller, token: &str) -> Result<StatusWatch, Refusal> {
        let last = self.inner.ledger.last();
        let now = last.map_or(0, |last| last.position);
        let cursor = if token.is_empty() {
            Query::after_position(now)
        } else {
            let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
            let position = bytes.first_chunk::<8>().map(|at| u64::from_be_bytes(*at));
            if bytes.len() != 12 || position.is_none_or(|position| position > now) {
                return Err(Refusal::argument(
                    "token",
                    "Mã tiếp tục không hợp lệ với dữ liệu này; bắt đầu lại với mã rỗng và xem lại ma trận trạng thái.",
                    "The token does not fit this data; begin anew with an empty one and look at the matrix.",
                ));
            }
            bytes
        };
        Ok(StatusWatch {
            inner: Arc::clone(&self.inner),
            caller: caller.clone(),
            cursor,
            read: VecDeque::new(),
            told: false,
            ticks: self.inner.ticks.subscribe(),
        })
    }
}

impl StatusWatch {
    /// The next change, or that there is none yet; waits where both were told.
    ///
    /// # Errors
    /// UNAUTHENTICATED once the caller's credentials were revoked; NOT_SERVING when the axis
    /// stops; both can be resumed with the last token.
    pub async fn next(&mut self) -> Result<Watched, Refusal> {
        loop {
            if let Some((status, cursor)) = self.read.pop_front() {
                self.cursor = cursor;
                match status {
                    Some(status) => {
                        self.told = false;
                        return Ok(Watched::Status(status));
                    }
                    None => continue,
                }
            }
            // Marked before reading: what comes meanwhile ticks again.
            let _ = self.ticks.borrow_and_update();
            self.fill().await?;
            if !self.read.is_empty() {
                continue;
            }
            if !self.told {
                self.told = true;
                return Ok(Watched::CaughtUp(URL_SAFE_NO_PAD.encode(&self.cursor)));
            }
            tokio::select! {
                () = self.inner.closing.cancelled() => {
                    return Err(Refusal::new(Name::NotServing).retry_after(5_000));
                }
                changed = self.ticks.changed() => if changed.is_err() {
                    return Err(Refusal::new(Name::NotServing).retry_after(5_000));
                },
            }
        }
    }

    /// Reads the next page; rows that are not for the caller only move the cursor.
    async fn fill(&mut self) -> Result<(), Refusal> {
        if let Caller::System(peer) = &self.caller {
            self.inner.still_valid(peer)?;
        }
        let registry = self.inner.ledger.registry();
        let mine = own_agencies(&registry, &self.caller);
        let cursor = self.cursor.clone();
        let read = self.inner.ask(move |query| {
            let rows = query.status_changes(&cursor, PAGE)?;
            let mut read = VecDeque::with_capacity(rows.len());
            for (change, cursor) in rows {
                let for_caller = mine.as_deref().is_none_or(|mine: &[AgencyId]| {
                    mine.contains(&change.document.sender) || mine.contains(&change.receiver)
                });
                let status = if for_caller {
                    Some(Box::new(told(query, &registry, change, &cursor)?))
                } else {
                    None
                };
                read.push_back((status, cursor));
            }
            Ok(read)
        });
        self.read = read.await?;
        Ok(())
    }
}

fn told(
    query: &Query,
    registry: &ledger::registry::Registry,
    change: StatusChange,
    cursor: &[u8],
) -> Result<WatchedStatus, ledger::QueryError> {
    let status = query.package(change.package)?;
    let status = status
        .and_then(|package| package.facts.status)
        .unwrap_or_default();
    // A status by number only: the document knows its id.
    let document_id = if ledger::rows::is_code_key(&status.document_key) {
        let first = query.about(change.document).into_iter().next();
        match first {
            Some(first) => query
                .package(first)?
                .and_then(|package| package.facts.document)
                .map(|document| document.document_id.unwrap_or(document.document_key))
                .unwrap_or_default(),
            None => String::new(),
        }
    } else {
        status.document_key
    };
    Ok(WatchedStatus {
        token: URL_SAFE_NO_PAD.encode(cursor),
        package: change.package,
        document_id,
        sender: party(registry, change.document.sender, ""),
        receiver: party(registry, change.receiver, ""),
        code: u8::try_from(change.code).unwrap_or_default(),
        at: change.at,
        description: status.description,
        made_by_axis: change.made_by_axis,
    })
}
