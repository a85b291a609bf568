//! What is synced, as queries see it: memory over index, never unsynced events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use arc_swap::ArcSwap;
use journal::{Anchor, Entry, Written};

use crate::fact::Fact;
use crate::id::PackageId;
use crate::index::{Index, IndexError};
use crate::layer::{Changes, merge};
use crate::open::{Open, Place};
use crate::recent::{AtHand, Recent};
use crate::registry::Registry;
use crate::rows::{Key, View};

/// Rows that are synced and not yet in the index, in the two layers that let one be written
/// while the other fills.
#[derive(Debug, Default)]
struct Fresh {
    filling: Changes,
    writing: Arc<Changes>,
    last: Option<Anchor>,
}

/// The state up to the last synced record.
#[derive(Debug)]
pub(crate) struct State {
    fresh: RwLock<Fresh>,
    index: Index,
    open: RwLock<Open>,
    registry: ArcSwap<Registry>,
    last: RwLock<Option<Anchor>>,
    recent: Mutex<Recent>,
    /// A read of the index has failed: nothing may be decided on it any more.
    unreadable: AtomicBool,
}

impl State {
    pub(crate) fn new(index: Index, open: Open, registry: Registry, last: Option<Anchor>) -> Self {
        Self {
            fresh: RwLock::new(Fresh {
                last,
                ..Fresh::default()
            }),
            index,
            open: RwLock::new(open),
            registry: ArcSwap::from_pointee(registry),
            last: RwLock::new(last),
            recent: Mutex::default(),
            unreadable: AtomicBool::new(false),
        }
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    pub(crate) fn open(&self) -> RwLockReadGuard<'_, Open> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn last(&self) -> Option<Anchor> {
        *self.last.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    /// Makes a synced batch visible; returns the places that became deliverable. Who finds a
    /// place among the open deliveries finds its rows, and who holds their guard sees rows,
    /// registry and last record stand still.
    pub(crate) fn publish<'a>(
        &self,
        changes: Changes,
        facts: impl Iterator<Item = &'a Fact>,
        last: Anchor,
    ) -> Vec<Place> {
        let mut registry: Option<Registry> = None;
        for fact in facts.filter(|fact| Registry::concerns(fact)) {
            registry
                .get_or_insert_with(|| Registry::clone(&self.registry.load()))
                .apply(fact);
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let ready = open.absorb(&changes);
        {
            let mut fresh = self.fresh.write().unwrap_or_else(PoisonError::into_inner);
            if fresh.filling.is_empty() {
                fresh.filling = changes;
            } else {
                fresh.filling.extend(changes);
            }
            fresh.last = Some(last);
        }
        if let Some(registry) = registry {
            self.registry.store(Arc::new(registry));
        }
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(last);
        ready
    }

    /// Keeps what a batch brought at hand, once it is visible.
    pub(crate) fn remember(
        &self,
        written: &[Written],
        transactions: Vec<Vec<Fact>>,
        entries: &[Entry],
    ) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for ((written, facts), entry) in written.iter().zip(transactions).zip(entries) {
            recent.absorb(written, facts, &entry.payload);
        }
    }

    /// A package accepted a moment ago.
    pub(crate) fn recent(&self, id: PackageId) -> Option<AtHand> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.get(id)
    }

    /// The row's value, if it changed so lately that it stands in memory.
    pub(crate) fn fresh(&self, key: &[u8]) -> Option<Vec<u8>> {
        let fresh = self.fresh.read().unwrap_or_else(PoisonError::into_inner);
        let value = fresh.filling.get(key).or_else(|| fresh.writing.get(key));
        value.cloned().flatten()
    }

    /// Rows waiting for the index.
    pub(crate) fn lag(&self) -> usize {
        let fresh = self.fresh.read().unwrap_or_else(PoisonError::into_inner);
        fresh.filling.len() + fresh.writing.len()
    }

    /// Writes what waits to the index, as one batch. One task calls this. Returns the
    /// position the index is at.
    pub(crate) fn write_index(&self) -> Result<u64, IndexError> {
        let (changes, last) = {
            let mut fresh = self.fresh.write().unwrap_or_else(PoisonError::into_inner);
            let Some(last) = fresh.last else { return Ok(0) };
            // Also without rows: the position goes on, so that a start reads less.
            let filling = std::mem::take(&mut fresh.filling);
            // After a failed write the rows still stand in `writing`: newer ones go over them.
            if fresh.writing.is_empty() {
                fresh.writing = Arc::new(filling);
            } else {
                Arc::make_mut(&mut fresh.writing).extend(filling);
            }
            (Arc::clone(&fresh.writing), last)
        };
        self.index.write(&changes, last)?;
        let written = std::mem::take(
            &mut self
                .fresh
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .writing,
        );
        // Freed without the lock.
        drop(written);
        Ok(last.position)
    }

    /// The rows of `range` that are not in the index yet, newer over older. They are copied,
    /// so that no commit waits while the index is read: what moves there meanwhile stands in
    /// the copy.
    fn fresh_rows(&self, from: &[u8], below: Option<&[u8]>) -> Changes {
        let fresh = self.fresh.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows = Changes::new();
        for changes in [&*fresh.writing, &fresh.filling] {
            for (key, value) in changes.range(from.to_vec()..) {
                let inside = match below {
                    Some(below) => key.as_slice() < below,
                    None => key.starts_with(from),
                };
                if !inside {
                    break;
                }
                rows.insert(key.clone(), value.clone());
            }
        }
        rows
    }

    /// Up to `limit` rows under `prefix` with keys below `before` (all, if empty), the last
    /// first.
    pub(crate) fn scan_back(
        &self,
        prefix: &[u8],
        before: &[u8],
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, IndexError> {
        let end = if before.is_empty() {
            [prefix, &[0xff; 24]].concat()
        } else {
            before.to_vec()
        };
        let fresh = self.fresh_rows(prefix, Some(&end));
        let gone = fresh.values().filter(|value| value.is_none()).count();
        let below = self
            .index
            .scan_back(prefix, &end, limit.saturating_add(gone))?;
        let mut rows: BTreeMap<Key, Vec<u8>> = below.into_iter().collect();
        for (key, value) in fresh {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(rows.into_iter().rev().take(limit).collect())
    }

    /// Up to `limit` rows under `prefix` with keys above `after`, the first first.
    pub(crate) fn scan_on(
        &self,
        prefix: &[u8],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, IndexError> {
        let fresh = self.fresh_rows(prefix, None);
        let gone = fresh.values().filter(|value| value.is_none()).count();
        let below = self
            .index
            .scan_on(prefix, after, limit.saturating_add(gone))?;
        let mut rows: BTreeMap<Key, Vec<u8>> = below.into_iter().collect();
        for (key, value) in fresh {
            match value {
                Some(value) if key.as_slice() > after => rows.insert(key, value),
                _ => rows.remove(&key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    /// Whether every read of the index has succeeded so far.
    pub(crate) fn readable(&self) -> bool {
        !self.unreadable.load(Ordering::SeqCst)
    }

    fn reported<T: Default>(&self, read: Result<T, IndexError>) -> T {
        read.unwrap_or_else(|error| {
            tracing::error!(%error, "the index cannot be read");
            self.unreadable.store(true, Ordering::SeqCst);
            T::default()
        })
    }
}

impl View for State {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        {
            let fresh = self.fresh.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(value) = fresh.filling.get(key).or_else(|| fresh.writing.get(key)) {
                return value.clone();
            }
        }
        self.reported(self.index.get(key))
    }

    fn any(&self, prefix: &[u8]) -> bool {
        let fresh = self.fresh_rows(prefix, None);
        if fresh.values().any(Option::is_some) {
            return true;
        }
        let rows = self.reported(self.index.scan(prefix, fresh.len() + 1));
        rows.iter().any(|(key, _)| !fresh.contains_key(key))
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(Key, Vec<u8>)> {
        let fresh = self.fresh_rows(prefix, None);
        let rows = self.reported(self.index.scan(prefix, usize::MAX));
        merge(rows, &fresh, prefix)
    }
}
