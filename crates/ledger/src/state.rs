//! What is synced, as queries see it: memory over index, never unsynced events.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use arc_swap::ArcSwap;
use journal::Anchor;

use crate::fact::Fact;
use crate::index::{Index, IndexError};
use crate::layer::{Changes, merge, within};
use crate::open::{Open, Place};
use crate::registry::Registry;
use crate::rows::{Key, View};

/// Rows that are synced and not yet in the index, in the two layers that let one be written
/// while the other fills.
#[derive(Debug, Default)]
struct Fresh {
    filling: Changes,
    writing: Arc<Changes>,
    position: u64,
}

/// The state up to the last synced record.
#[derive(Debug)]
pub(crate) struct State {
    fresh: RwLock<Fresh>,
    index: Index,
    open: RwLock<Open>,
    registry: ArcSwap<Registry>,
    last: RwLock<Option<Anchor>>,
    /// A read of the index has failed: nothing may be decided on it any more.
    unreadable: AtomicBool,
}

impl State {
    pub(crate) fn new(
        index: Index,
        position: u64,
        open: Open,
        registry: Registry,
        last: Option<Anchor>,
    ) -> Self {
        Self {
            fresh: RwLock::new(Fresh {
                position,
                ..Fresh::default()
            }),
            index,
            open: RwLock::new(open),
            registry: ArcSwap::from_pointee(registry),
            last: RwLock::new(last),
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

    /// Makes a synced batch visible; returns the places that became deliverable.
    pub(crate) fn publish<'a>(
        &self,
        changes: Changes,
        facts: impl Iterator<Item = &'a Fact>,
        last: Anchor,
    ) -> Vec<Place> {
        let ready = self
            .open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .absorb(&changes);
        let mut registry: Option<Registry> = None;
        for fact in facts.filter(|fact| Registry::concerns(fact)) {
            registry
                .get_or_insert_with(|| Registry::clone(&self.registry.load()))
                .apply(fact);
        }
        if let Some(registry) = registry {
            self.registry.store(Arc::new(registry));
        }
        {
            let mut fresh = self.fresh.write().unwrap_or_else(PoisonError::into_inner);
            if fresh.filling.is_empty() {
                fresh.filling = changes;
            } else {
                fresh.filling.extend(changes);
            }
            fresh.position = last.position;
        }
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(last);
        ready
    }

    /// Rows waiting for the index.
    pub(crate) fn lag(&self) -> usize {
        let fresh = self.fresh.read().unwrap_or_else(PoisonError::into_inner);
        fresh.filling.len() + fresh.writing.len()
    }

    /// Writes what waits to the index, as one batch. One task calls this. Returns the
    /// position the index is at.
    pub(crate) fn write_index(&self) -> Result<u64, IndexError> {
        let (changes, position) = {
            let mut fresh = self.fresh.write().unwrap_or_else(PoisonError::into_inner);
            if fresh.filling.is_empty() && fresh.writing.is_empty() {
                return Ok(fresh.position);
            }
            // After a failed write the rows still stand in `writing`: newer ones go over them.
            let filling = std::mem::take(&mut fresh.filling);
            let mut writing = Changes::clone(&fresh.writing);
            if writing.is_empty() {
                writing = filling;
            } else {
                writing.extend(filling);
            }
            fresh.writing = Arc::new(writing);
            (Arc::clone(&fresh.writing), fresh.position)
        };
        self.index.write(&changes, position)?;
        self.fresh
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .writing = Arc::default();
        Ok(position)
    }

    /// Up to `limit` rows under `prefix` with keys below `before` (all, if empty), the last
    /// first.
    pub(crate) fn scan_back(
        &self,
        prefix: &[u8],
        before: &[u8],
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, IndexError> {
        let mut end = prefix.to_vec();
        end.extend([0xff; 24]);
        let before = if before.is_empty() {
            end
        } else {
            before.to_vec()
        };
        let fresh = self.fresh.read().unwrap_or_else(PoisonError::into_inner);
        let gone = |changes: &Changes| {
            within(changes, prefix)
                .filter(|(_, value)| value.is_none())
                .count()
        };
        let spare = gone(&fresh.writing) + gone(&fresh.filling);
        let below = self.index.scan_back(prefix, &before, limit + spare)?;
        let mut rows: BTreeMap<Key, Vec<u8>> = below.into_iter().collect();
        for changes in [&*fresh.writing, &fresh.filling] {
            for (key, value) in changes.range(prefix.to_vec()..before.clone()) {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        Ok(rows.into_iter().rev().take(limit).collect())
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
        !self.scan(prefix).is_empty()
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(Key, Vec<u8>)> {
        let fresh = self.fresh.read().unwrap_or_else(PoisonError::into_inner);
        let rows = self.reported(self.index.scan(prefix, usize::MAX));
        let rows = merge(rows, &fresh.writing, prefix);
        merge(rows, &fresh.filling, prefix)
    }
}
