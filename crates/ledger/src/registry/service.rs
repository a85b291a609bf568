//! Which system serves which agency, from when on: one at a time.

use std::sync::Arc;

use rpds::HashTrieMapSync;

use super::agency::Stamp;
use crate::event::ServiceChanged;
use crate::id::{AgencyId, SystemId};
use crate::time::Ms;

/// An agency is served by a system, or nobody, from a moment until the next period.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// The system; `None` = nobody.
    pub system: Option<SystemId>,
    /// From when.
    pub from: Ms,
    /// When and by whom it was recorded.
    pub stamp: Arc<Stamp>,
    number: u32,
}

/// The periods of all agencies.
#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    periods: HashTrieMapSync<AgencyId, Vec<Period>>,
    /// The agencies that a system ever served, by id.
    ever: HashTrieMapSync<SystemId, Vec<AgencyId>>,
}

impl Services {
    /// The periods of an agency, in the order of time.
    pub(super) fn of(&self, agency: AgencyId) -> &[Period] {
        self.periods.get(&agency).map_or(&[], Vec::as_slice)
    }

    /// The system that serves an agency at a moment.
    pub(super) fn at(&self, agency: AgencyId, at: Ms) -> Option<&SystemId> {
        let periods = self.of(agency);
        let next = periods.partition_point(|period| period.from <= at);
        periods.get(next.checked_sub(1)?)?.system.as_ref()
    }

    /// The agencies that a system serves at a moment, by id.
    pub(super) fn served(&self, system: &SystemId, at: Ms) -> impl Iterator<Item = AgencyId> {
        let ever = self.ever.get(system).map_or(&[][..], Vec::as_slice);
        ever.iter()
            .copied()
            .filter(move |agency| self.at(*agency, at) == Some(system))
    }

    pub(super) fn set(
        &mut self,
        agency: AgencyId,
        system: Option<SystemId>,
        from: Ms,
        stamp: &Arc<Stamp>,
    ) {
        if let Some(system) = &system {
            if !self.ever.contains_key(system) {
                self.ever.insert_mut(system.clone(), Vec::new());
            }
            if let Some(ever) = self.ever.get_mut(system)
                && let Err(place) = ever.binary_search(&agency)
            {
                ever.insert(place, agency);
            }
        }
        if !self.periods.contains_key(&agency) {
            self.periods.insert_mut(agency, Vec::new());
        }
        let Some(periods) = self.periods.get_mut(&agency) else {
            return;
        };
        let number = u32::try_from(periods.len()).unwrap_or(u32::MAX);
        let place = periods.partition_point(|period| period.from <= from);
        let stamp = Arc::clone(stamp);
        periods.insert(
            place,
            Period {
                system,
                from,
                stamp,
                number,
            },
        );
    }

    /// The events that make them again, of each agency in the order of the journal.
    pub(super) fn saved(&self) -> Vec<ServiceChanged> {
        let mut agencies: Vec<_> = self.periods.iter().collect();
        agencies.sort_by_key(|(agency, _)| **agency);
        let mut saved = Vec::new();
        for (agency, periods) in agencies {
            let mut periods: Vec<_> = periods.iter().collect();
            periods.sort_by_key(|period| period.number);
            saved.extend(periods.into_iter().map(|period| {
                ServiceChanged {
                    system: period
                        .system
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    agencies: vec![agency.0],
                    from_ms: period.from.0,
                    until_ms: None,
                    at_ms: period.stamp.at.0,
                    actor: period.stamp.actor.clone(),
                    decision: period.stamp.decision.to_string(),
                }
            }));
        }
        saved
    }
}
