//! Packages accepted a moment ago. Most packages are fetched right after they came: what they
//! say need not be read from the journal. A sender's bytes are not kept: they are read from the
//! store and checked against their hash each time they leave.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use journal::{Payload, Written};

use crate::fact::Fact;
use crate::id::PackageId;
use crate::query::StoredPackage;

/// What they may take together, and how many there may be.
const ROOM: usize = 8 << 20;
const MOST: usize = 1_024;
/// What one takes beside its bytes: its facts and its places here; more rather than less.
const FACTS: usize = 2 << 10;

/// A package from memory.
#[derive(Debug, Clone)]
pub struct AtHand {
    /// The package.
    pub package: Arc<StoredPackage>,
    /// Its bytes, if the axis made it; a sender's are read from the store.
    pub bytes: Option<Bytes>,
}

impl AtHand {
    fn room(&self) -> usize {
        FACTS + self.bytes.as_ref().map_or(0, Bytes::len)
    }
}

/// The latest packages, as many as there is room for.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    packages: HashMap<PackageId, AtHand>,
    order: VecDeque<PackageId>,
    room: usize,
}

impl Recent {
    pub(crate) fn get(&self, id: PackageId) -> Option<AtHand> {
        self.packages.get(&id).cloned()
    }

    /// Takes over a record that is synced and visible.
    pub(crate) fn absorb(&mut self, written: &Written, facts: Vec<Fact>, payload: &Payload) {
        for fact in facts {
            match fact {
                Fact::PackageAccepted(facts) => {
                    let bytes = match payload {
                        _ if !facts.made.is_empty() => Some(facts.made.clone()),
                        Payload::Inline { .. } | Payload::File { .. } => None,
                        Payload::None => continue,
                    };
                    if let Some(id) = PackageId::from_slice(&facts.id) {
                        let package = StoredPackage::new(id, *facts, written);
                        self.add(AtHand {
                            package: Arc::new(package),
                            bytes,
                        });
                    }
                }
                // What has left is not served, from wherever.
                Fact::PayloadRemoved(removed) => {
                    if let Some(id) = PackageId::from_slice(&removed.package) {
                        self.forget(id);
                    }
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, at_hand: AtHand) {
        let id = at_hand.package.id;
        self.room += at_hand.room();
        if let Some(before) = self.packages.insert(id, at_hand) {
            self.room -= before.room();
        } else {
            self.order.push_back(id);
        }
        while (self.room > ROOM || self.order.len() > MOST)
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// Its place in the order stays until it is the oldest: forgetting it twice does nothing.
    fn forget(&mut self, id: PackageId) {
        if let Some(gone) = self.packages.remove(&id) {
            self.room -= gone.room();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{PackageAccepted, PayloadRemoved};

    fn written(position: u64) -> Written {
        Written {
            position,
            location: journal::Location {
                segment: 1,
                offset: 64,
            },
            chain: [7; 32],
        }
    }

    fn id(n: u64) -> PackageId {
        PackageId::from_parts(n, 0, 0)
    }

    fn accepted(n: u64, made: usize) -> Vec<Fact> {
        vec![Fact::PackageAccepted(Box::new(PackageAccepted {
            id: id(n).as_bytes().to_vec().into(),
            made: vec![1; made].into(),
            ..PackageAccepted::default()
        }))]
    }

    #[test]
    fn the_latest_stay_and_the_oldest_leave() {
        let mut recent = Recent::default();
        let (each, fits) = (100_000, (ROOM / (100_000 + FACTS)) as u64);
        assert!(fits < MOST as u64);
        for n in 1..=fits + 3 {
            recent.absorb(&written(n), accepted(n, each), &Payload::None);
            assert!(recent.room <= ROOM);
        }
        assert!(recent.get(id(3)).is_none());
        let at_hand = recent.get(id(4)).unwrap();
        assert_eq!(at_hand.bytes.unwrap().len(), each);
        assert_eq!(
            at_hand.package.anchor.position, 4,
            "the oldest that is left"
        );
        assert_eq!(recent.packages.len() as u64, fits);
        assert_eq!(recent.order.len() as u64, fits);
    }

    #[test]
    fn small_ones_are_counted() {
        let mut recent = Recent::default();
        for n in 1..=MOST as u64 + 1 {
            recent.absorb(&written(n), accepted(n, 1), &Payload::None);
        }
        assert_eq!((recent.packages.len(), recent.order.len()), (MOST, MOST));
        assert!(recent.get(id(1)).is_none() && recent.get(id(2)).is_some());
    }

    #[test]
    fn what_was_removed_is_not_at_hand() {
        let mut recent = Recent::default();
        recent.absorb(&written(1), accepted(1, 10), &Payload::None);
        recent.absorb(&written(2), accepted(2, 10), &Payload::None);
        let removed = Fact::PayloadRemoved(Box::new(PayloadRemoved {
            package: id(1).as_bytes().to_vec().into(),
            ..PayloadRemoved::default()
        }));
        recent.absorb(&written(3), vec![removed], &Payload::None);
        assert!(recent.get(id(1)).is_none() && recent.get(id(2)).is_some());
        assert_eq!(recent.room, FACTS + 10);
    }

    #[test]
    fn a_senders_bytes_are_not_kept_and_the_axis_s_own_are() {
        let mut recent = Recent::default();
        let payloads = [
            Payload::File {
                sha256: [0; 32],
                len: 9,
            },
            Payload::Inline {
                bytes: Bytes::from_static(b"sent"),
                sha256: [0; 32],
            },
        ];
        for payload in payloads {
            recent.absorb(&written(1), accepted(1, 0), &payload);
            assert_eq!(recent.get(id(1)).unwrap().bytes, None);
        }
        recent.absorb(&written(2), accepted(2, 4), &Payload::None);
        assert_eq!(recent.get(id(2)).unwrap().bytes.unwrap().len(), 4);
    }
}
