//! Opening: checkpoint and index where they can be used, the journal for the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::Disk;
use journal::{Journal, ReadError, Reader, ScanStart, TornTail};

use crate::checkpoint;
use crate::event::PackageAccepted;
use crate::fact::{self, Fact, FactError};
use crate::fold;
use crate::id::{AgencyId, DeliveryId, PackageId};
use crate::index::{Index, IndexError, OpenedIndex};
use crate::layer::Layer;
use crate::open::Open;
use crate::registry::Registry;
use crate::rows::{self, DeliveryRow, DocumentKey, Key, View, read};
use crate::sequencer::{highest_package, packed};

/// Rows that are written to the index at once while it is made again.
const BATCH: usize = 50_000;

/// Why the ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    /// A record cannot be read.
    #[error("the journal cannot be read; `axis verify` tells where")]
    Read(#[from] ReadError),
    /// A record is not understood.
    #[error("record {position} cannot be understood")]
    Fact {
        /// Its position.
        position: u64,
        /// Why.
        source: FactError,
    },
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The index knows records that the journal does not have.
    #[error(
        "the index is at record {index}, the journal ends at {journal}: records are missing from the journal in {folder}; restore it from a backup, or, if the loss is accepted, run `axis index rebuild`"
    )]
    JournalBehind {
        /// The index's position.
        index: u64,
        /// The journal's last.
        journal: u64,
        /// The data folder.
        folder: PathBuf,
    },
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// How an opening went.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// What was cut off the journal's end, if a batch had been torn.
    pub torn_tail: Option<TornTail>,
    /// The journal ends with a `stopped` record.
    pub stopped_cleanly: bool,
    /// The index was used as found.
    pub index_trusted: bool,
    /// The checkpoint was used.
    pub checkpoint_used: bool,
    /// Records read from the journal.
    pub replayed: u64,
}

/// Progress of an opening: (position reached, last position).
pub type Progress<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

pub(crate) struct Opened {
    pub(crate) journal: Journal,
    pub(crate) index: Index,
    pub(crate) open: Open,
    pub(crate) registry: Registry,
    pub(crate) last_package: Option<PackageId>,
    /// The position of the checkpoint that was used; 0 = none.
    pub(crate) checkpointed: u64,
    pub(crate) start: Start,
}

struct OverIndex<'a>(&'a Index, std::cell::RefCell<Option<IndexError>>);

impl OverIndex<'_> {
    /// The first read that failed.
    fn sound(&self) -> Result<(), IndexError> {
        self.1.borrow_mut().take().map_or(Ok(()), Err)
    }

    fn kept<T: Default>(&self, read: Result<T, IndexError>) -> T {
        read.unwrap_or_else(|error| {
            self.1.borrow_mut().get_or_insert(error);
            T::default()
        })
    }
}

impl View for OverIndex<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.kept(self.0.get(key))
    }
    fn any(&self, prefix: &[u8]) -> bool {
        !self.kept(self.0.scan(prefix, 1)).is_empty()
    }
    fn scan(&self, prefix: &[u8]) -> Vec<(Key, Vec<u8>)> {
        self.kept(self.0.scan(prefix, usize::MAX))
    }
}

pub(crate) fn open(
    disk: &Arc<dyn Disk>,
    root: &Path,
    options: journal::Options,
    progress: Progress<'_>,
) -> Result<Opened, OpenError> {
    let opened = Journal::open(Arc::clone(disk), root, options)?;
    let mut journal = opened.journal;
    let reader = journal.reader();
    let mut index = open_index(disk, root, &reader)?;
    let (derived, index) = loop {
        let trusted = index.trusted;
        let saved = checkpoint::read(&**disk, root)
            .filter(|(_, anchor)| is_in_journal(&reader, *anchor))
            .map(|(saved, _)| saved);
        match derive(&reader, &index, saved, progress) {
            Ok(derived) => break (derived, index.index),
            // It looked sound and is not: made again from the journal.
            Err(OpenError::Index(error)) if trusted => {
                tracing::warn!(%error, "the index is damaged and is made again");
                drop(index);
                Index::remove(root)?;
                index = Index::open(&**disk, root)?;
            }
            Err(error) => return Err(error),
        }
    };
    if derived.from == 0 {
        match journal.sweep() {
            Ok(swept) => tracing::debug!(?swept, "payload files without a package were removed"),
            Err(error) => {
                tracing::warn!(%error, "the sweep of payload files failed; it is tried again at the next full replay")
            }
        }
    }
    let start = Start {
        torn_tail: opened.torn_tail,
        stopped_cleanly: opened.stopped_cleanly,
        ..derived.start
    };
    Ok(Opened {
        journal,
        index,
        open: derived.saved.open,
        registry: derived.saved.registry,
        last_package: derived.saved.last_package,
        checkpointed: derived.checkpointed,
        start,
    })
}

/// The index, unless it knows records that the journal does not have. One of another history
/// is not used.
fn open_index(
    disk: &Arc<dyn Disk>,
    root: &Path,
    reader: &Reader,
) -> Result<OpenedIndex, OpenError> {
    let opened = Index::open(&**disk, root)?;
    let Some(at) = opened.at else {
        return Ok(opened);
    };
    let last = reader.last().map_or(0, |last| last.position);
    if at.position > last {
        return Err(OpenError::JournalBehind {
            index: at.position,
            journal: last,
            folder: root.to_owned(),
        });
    }
    if is_in_journal(reader, at) {
        return Ok(opened);
    }
    tracing::warn!(
        position = at.position,
        "the index belongs to another journal and is made again"
    );
    drop(opened);
    Index::remove(root)?;
    Ok(Index::open(&**disk, root)?)
}

/// What stands in memory, and how it was made.
struct Derived {
    saved: checkpoint::Saved,
    /// The position behind which the journal was read.
    from: u64,
    checkpointed: u64,
    start: Start,
}

/// Brings memory and index from where they are to the journal's end.
fn derive(
    reader: &Reader,
    index: &OpenedIndex,
    saved: Option<checkpoint::Saved>,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Derived, OpenError> {
    let mut start = Start {
        index_trusted: index.trusted,
        checkpoint_used: saved.is_some(),
        ..Start::default()
    };
    let last = reader.last().map_or(0, |last| last.position);
    let indexed = index.at.map_or(0, |at| at.position);
    let mut saved = saved.unwrap_or_default();
    let checkpointed = saved.position;
    let from = saved.position.min(indexed);
    let base = OverIndex(&index.index, std::cell::RefCell::default());
    let mut layer = Layer::over(&base);
    let mut at = None;
    for record in reader.scan(ScanStart::After(from)) {
        let record = record?;
        let position = record.position;
        let anchor = record.anchor();
        at = Some(anchor);
        let facts = if record.body.is_empty() {
            Vec::new()
        } else {
            fact::decode(record.body).map_err(|source| OpenError::Fact { position, source })?
        };
        if position > saved.position {
            facts.iter().for_each(|fact| saved.registry.apply(fact));
        }
        saved.last_package = saved.last_package.max(highest_package(&facts));
        if position <= indexed {
            for delivery in touched(&base, &facts) {
                if let Some(row) = read::<DeliveryRow>(&base, &rows::delivery(delivery)) {
                    saved.open.absorb_row(&row);
                }
            }
        } else {
            fold::apply(&mut layer, position, &facts);
            fold::place(&mut layer, position, packed(record.location), &facts);
            if layer.len() >= BATCH {
                let changes = std::mem::replace(&mut layer, Layer::over(&base)).into_changes();
                base.sound()?;
                saved.open.absorb(&changes);
                index.index.write(&changes, anchor)?;
            }
        }
        start.replayed += 1;
        if start.replayed.is_multiple_of(10_000) {
            progress(position, last);
        }
    }
    let changes = layer.into_changes();
    // Nothing that rests on a failed read is written.
    base.sound()?;
    saved.open.absorb(&changes);
    if last > indexed
        && let Some(at) = at
    {
        index.index.write(&changes, at)?;
    }
    progress(last, last);
    Ok(Derived {
        saved,
        from,
        checkpointed,
        start,
    })
}

fn is_in_journal(reader: &Reader, anchor: journal::Anchor) -> bool {
    reader
        .last()
        .is_some_and(|last| anchor.position <= last.position)
        && reader
            .scan(ScanStart::After(anchor.position.saturating_sub(1)))
            .next()
            .is_some_and(|record| record.is_ok_and(|record| record.anchor() == anchor))
}

/// The deliveries that facts make, change, or mark as recalled.
fn touched(view: &dyn View, facts: &[Fact]) -> Vec<DeliveryId> {
    let mut deliveries = Vec::new();
    for fact in facts {
        match fact {
            Fact::PackageAccepted(package) => {
                if let Some(id) = PackageId::from_slice(&package.id) {
                    let to = package.receivers.iter().map(|r| AgencyId(r.agency));
                    deliveries.extend(to.map(|to| DeliveryId::of(id, to)));
                }
                deliveries.extend(marked(view, package));
            }
            Fact::ReceiversAdded(added) => {
                if let Some(id) = PackageId::from_slice(&added.package) {
                    let to = added.receivers.iter().map(|r| AgencyId(r.agency));
                    deliveries.extend(to.map(|to| DeliveryId::of(id, to)));
                }
            }
            Fact::Delivery(_, changed) => {
                deliveries.extend(DeliveryId::from_slice(&changed.delivery))
            }
            _ => {}
        }
    }
    deliveries
}

/// The copies that a recall marks: the fold does it without an event of their own.
fn marked(view: &dyn View, package: &PackageAccepted) -> Vec<DeliveryId> {
    let mut copies: Vec<(DocumentKey, AgencyId)> = Vec::new();
    let sender = AgencyId(package.sender);
    if let Some(facts) = package
        .document
        .as_ref()
        .filter(|facts| facts.business == 1)
    {
        for target in &facts.targets {
            let document = DocumentKey::of(sender, target);
            let to = package.receivers.iter().map(|r| AgencyId(r.agency));
            copies.extend(to.map(|to| (document, to)));
        }
    }
    if let Some(facts) = package.status.as_ref().filter(|facts| facts.code == 13)
        && let (Some(document), Some(receiver)) = (fold::document_of(package), facts.cell_receiver)
    {
        copies.push((document, AgencyId(receiver)));
    }
    let brought = copies
        .into_iter()
        .flat_map(|(document, receiver)| fold::brought(view, document, receiver));
    brought.map(|(delivery, _)| delivery).collect()
}
