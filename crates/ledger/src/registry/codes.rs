//! Which agencies ever had a code.
//!
//! Snapshots share one hash map, so that a code is found as fast as in any, and beside it a small
//! persistent map of what changed since; once that has grown, both become one map again.

use std::collections::HashMap;
use std::sync::Arc;

use rpds::HashTrieMapSync;

use crate::id::AgencyId;

/// Changes beside the map before the two become one: so many, and a quarter of the map's.
const FEW: usize = 1_024;

/// Who ever had a code: hardly ever more than one.
#[derive(Debug, Clone)]
enum Claims {
    One(AgencyId),
    Many(Box<[AgencyId]>),
}

impl Claims {
    /// Of ids in order; none is no claim.
    fn of(ids: &[AgencyId]) -> Option<Self> {
        match ids {
            [] => None,
            [only] => Some(Self::One(*only)),
            several => Some(Self::Many(several.into())),
        }
    }

    fn all(&self) -> &[AgencyId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

/// Codes in their canonical form, each with the agencies that ever had it, by id.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    settled: Arc<HashMap<Box<str>, Claims>>,
    /// What comes before the settled map; `None` = nobody any more.
    recent: HashTrieMapSync<Box<str>, Option<Claims>>,
}

impl Codes {
    /// The agencies that ever had a code, by id.
    pub(super) fn get(&self, code: &str) -> &[AgencyId] {
        let recent = if self.recent.is_empty() {
            None
        } else {
            self.recent.get(code)
        };
        let claims = match recent {
            Some(claims) => claims.as_ref(),
            None => self.settled.get(code),
        };
        claims.map_or(&[], Claims::all)
    }

    /// Adds one that has a code.
    pub(super) fn add(&mut self, code: Box<str>, id: AgencyId) {
        let mut ids = self.get(&code).to_vec();
        if let Err(place) = ids.binary_search(&id) {
            ids.insert(place, id);
            self.set(code, Claims::of(&ids));
        }
    }

    /// Takes one away that no longer has it.
    pub(super) fn remove(&mut self, code: Box<str>, id: AgencyId) {
        let mut ids = self.get(&code).to_vec();
        if let Ok(place) = ids.binary_search(&id) {
            ids.remove(place);
            self.set(code, Claims::of(&ids));
        }
    }

    fn set(&mut self, code: Box<str>, claims: Option<Claims>) {
        // Nobody else reads the map: while the axis starts, mostly.
        if self.recent.is_empty()
            && let Some(settled) = Arc::get_mut(&mut self.settled)
        {
            put(settled, code, claims);
            return;
        }
        self.recent.insert_mut(code, claims);
        if self.recent.size() > FEW.max(self.settled.len() / 4) {
            let recent = std::mem::take(&mut self.recent);
            let settled = Arc::make_mut(&mut self.settled);
            for (code, claims) in &recent {
                put(settled, code.clone(), claims.clone());
            }
        }
    }
}

fn put(map: &mut HashMap<Box<str>, Claims>, code: Box<str>, claims: Option<Claims>) {
    match claims {
        Some(claims) => drop(map.insert(code, claims)),
        None => drop(map.remove(&code)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a snapshot told it goes on telling, however much changes afterwards.
        #[test]
        fn codes_are_a_map_of_sets_and_a_snapshot_stays(
            acts in proptest::collection::vec((0_u32..400, 1_u32..4, any::<bool>(), any::<bool>()), 0..3_000),
        ) {
            let mut codes = Codes::default();
            let mut model: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
            let mut kept = Vec::new();
            for (at, (code, id, add, keep)) in acts.into_iter().enumerate() {
                // Many codes, so that the changes become one map now and then.
                let code = code + u32::try_from(at % 7).unwrap_or(0) * 1_000;
                let name = || code.to_string().into_boxed_str();
                if add {
                    codes.add(name(), AgencyId(id));
                    model.entry(code).or_default().insert(id);
                } else {
                    codes.remove(name(), AgencyId(id));
                    model.entry(code).or_default().remove(&id);
                }
                if keep && at % 500 == 0 {
                    kept.push((codes.clone(), model.clone()));
                }
            }
            kept.push((codes, model));
            for (codes, model) in kept {
                for (code, ids) in model {
                    let found: BTreeSet<u32> =
                        codes.get(&code.to_string()).iter().map(|id| id.0).collect();
                    prop_assert_eq!(found, ids);
                }
            }
        }
    }
}
