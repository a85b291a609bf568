//! Rows in layers: what a batch is about to change, over what is synced but not yet in the
//! index, over the index.

use std::collections::BTreeMap;

use prost::Message;

use crate::rows::{Key, Value, View};

/// Changed rows, by key.
pub(crate) type Changes = BTreeMap<Key, Value>;

/// Changes over a view: reads see the changes first.
pub(crate) struct Layer<'a> {
    base: &'a dyn View,
    changes: Changes,
}

impl<'a> Layer<'a> {
    pub(crate) fn over(base: &'a dyn View) -> Self {
        Self {
            base,
            changes: Changes::new(),
        }
    }

    pub(crate) fn put(&mut self, key: Key, row: &impl Message) {
        self.changes.insert(key, Some(row.encode_to_vec()));
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.changes.insert(key, None);
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn into_changes(self) -> Changes {
        self.changes
    }
}

impl View for Layer<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.changes.get(key) {
            Some(value) => value.clone(),
            None => self.base.get(key),
        }
    }

    fn any(&self, prefix: &[u8]) -> bool {
        let mut own = within(&self.changes, prefix).peekable();
        if own.peek().is_none() {
            return self.base.any(prefix);
        }
        own.any(|(_, value)| value.is_some()) || !self.scan(prefix).is_empty()
    }

    fn scan(&self, prefix: &[u8]) -> Vec<(Key, Vec<u8>)> {
        merge(self.base.scan(prefix), &self.changes, prefix)
    }
}

/// The changes whose keys begin with `prefix`.
fn within<'a>(
    changes: &'a Changes,
    prefix: &'a [u8],
) -> impl Iterator<Item = (&'a Key, &'a Value)> {
    changes
        .range(prefix.to_vec()..)
        .take_while(move |(key, _)| key.starts_with(prefix))
}

/// `rows` with the changes under `prefix` laid over them.
pub(crate) fn merge(
    rows: Vec<(Key, Vec<u8>)>,
    changes: &Changes,
    prefix: &[u8],
) -> Vec<(Key, Vec<u8>)> {
    let mut over = within(changes, prefix).peekable();
    if over.peek().is_none() {
        return rows;
    }
    let mut merged: BTreeMap<Key, Vec<u8>> = rows.into_iter().collect();
    for (key, value) in over {
        match value {
            Some(value) => {
                merged.insert(key.clone(), value.clone());
            }
            None => {
                merged.remove(key);
            }
        }
    }
    merged.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;
    impl View for Nothing {
        fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }
        fn any(&self, _: &[u8]) -> bool {
            false
        }
        fn scan(&self, _: &[u8]) -> Vec<(Key, Vec<u8>)> {
            Vec::new()
        }
    }

    #[test]
    fn a_layer_hides_and_adds() {
        let mut below = Layer::over(&Nothing);
        below.changes.insert(b"a1".to_vec(), Some(vec![1]));
        below.changes.insert(b"a2".to_vec(), Some(vec![2]));
        let mut above = Layer::over(&below);
        above.changes.insert(b"a1".to_vec(), None);
        above.changes.insert(b"a3".to_vec(), Some(vec![3]));
        above.changes.insert(b"b".to_vec(), Some(vec![4]));
        assert_eq!(above.get(b"a1"), None);
        assert_eq!(above.get(b"a2"), Some(vec![2]));
        let keys: Vec<_> = above.scan(b"a").into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [b"a2".to_vec(), b"a3".to_vec()]);
        assert!(above.any(b"b") && above.any(b"a") && !above.any(b"c"));
        above.changes.insert(b"a2".to_vec(), None);
        above.changes.insert(b"a3".to_vec(), None);
        assert!(!above.any(b"a"));
    }
}
