//! The open deliveries, sorted, in chunks.
//!
//! A `BTreeMap` leaves its nodes half empty when keys come in order, as positions do: nearly
//! 90 bytes for an entry of 48. Chunks that grow in small steps keep it under 64.

use crate::open::{OpenDelivery, Place};

type Entry = (Place, OpenDelivery);

/// Entries of a full chunk; a split leaves two halves.
const FULL: usize = 128;
/// By how many entries a chunk grows, and how many it may have to spare.
const STEP: usize = 12;

/// Entries by place.
#[derive(Debug, Default, Clone)]
pub(crate) struct Chunks {
    /// None is empty; each is sorted, and all of it is before the next.
    chunks: Vec<Vec<Entry>>,
    len: usize,
}

impl Chunks {
    /// Of entries in the order of their places.
    pub(crate) fn of_sorted(entries: Vec<Entry>) -> Self {
        let len = entries.len();
        let chunks = entries.chunks(FULL - STEP).map(<[_]>::to_vec).collect();
        Self { chunks, len }
    }

    /// The chunk where an entry of that place is or belongs, and its place there.
    fn find(&self, place: &Place) -> (usize, Result<usize, usize>) {
        let behind = self
            .chunks
            .partition_point(|chunk| chunk.first().is_some_and(|(first, _)| first <= place));
        let at = behind.saturating_sub(1);
        let within = self.chunks.get(at).map_or(Err(0), |chunk| {
            chunk.binary_search_by(|(found, _)| found.cmp(place))
        });
        (at, within)
    }

    pub(crate) fn get(&self, place: &Place) -> Option<&OpenDelivery> {
        let (chunk, within) = self.find(place);
        Some(&self.chunks.get(chunk)?.get(within.ok()?)?.1)
    }

    /// Returns what stood there.
    pub(crate) fn insert(&mut self, place: Place, open: OpenDelivery) -> Option<OpenDelivery> {
        let (at, within) = self.find(&place);
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        let chunk = &mut self.chunks[at];
        match within {
            Ok(within) => Some(std::mem::replace(&mut chunk[within].1, open)),
            Err(within) => {
                if chunk.len() == chunk.capacity() {
                    chunk.reserve_exact(STEP);
                }
                chunk.insert(within, (place, open));
                self.len += 1;
                if chunk.len() >= FULL {
                    let behind = chunk.split_off(FULL / 2);
                    chunk.shrink_to_fit();
                    self.chunks.insert(at + 1, behind);
                }
                None
            }
        }
    }

    /// Returns what stood there.
    pub(crate) fn remove(&mut self, place: &Place) -> Option<OpenDelivery> {
        let (at, Ok(within)) = self.find(place) else {
            return None;
        };
        let chunk = &mut self.chunks[at];
        let (_, removed) = chunk.remove(within);
        self.len -= 1;
        let len = chunk.len();
        if len == 0 {
            let _ = self.chunks.remove(at);
            return Some(removed);
        }
        if chunk.capacity() > len + len / 4 + STEP {
            chunk.shrink_to(len + STEP / 2);
        }
        self.join(at);
        if let Some(before) = at.checked_sub(1) {
            self.join(before);
        }
        Some(removed)
    }

    /// Makes one of a chunk and the next, if they are small.
    fn join(&mut self, at: usize) {
        let len = |at: usize| self.chunks.get(at).map(Vec::len);
        if let (Some(one), Some(two)) = (len(at), len(at + 1))
            && one + two <= FULL / 2
        {
            let next = self.chunks.remove(at + 1);
            self.chunks[at].reserve_exact(next.len());
            self.chunks[at].extend(next);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Place, &OpenDelivery)> {
        self.chunks
            .iter()
            .flatten()
            .map(|(place, open)| (place, open))
    }

    /// Those from a place on.
    pub(crate) fn from(&self, place: Place) -> impl Iterator<Item = (&Place, &OpenDelivery)> {
        let (at, within) = self.find(&place);
        let (Ok(within) | Err(within)) = within;
        let first = self
            .chunks
            .get(at)
            .map_or(&[][..], |chunk| &chunk[within..]);
        let rest = self.chunks.get(at + 1..).unwrap_or_default();
        first
            .iter()
            .chain(rest.iter().flatten())
            .map(|(place, open)| (place, open))
    }

    /// The bytes that it takes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        // The allocator adds at most 16 bytes to each of its pieces.
        let chunk = |chunk: &Vec<Entry>| chunk.capacity() * size_of::<Entry>() + 16;
        self.chunks.capacity() * size_of::<Vec<Entry>>()
            + self.chunks.iter().map(chunk).sum::<usize>()
    }
}

impl PartialEq for Chunks {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Chunks {}
