//! Pauses: to whom nothing is delivered for now, by whose word and why.

use std::collections::BTreeMap;

use crate::event::{DeliveryPaused, DeliveryResumed};
use crate::fact::Fact;
use crate::id::{AgencyId, SystemId};

/// To whom delivery is paused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Paused {
    /// One agency, whichever system serves it.
    Agency(AgencyId),
    /// A system, for all its agencies.
    System(SystemId),
}

impl Paused {
    fn of(agency: u32, system: &str) -> Option<Self> {
        match (agency, system) {
            (0, system) => system.parse().ok().map(Self::System),
            (agency, _) => Some(Self::Agency(AgencyId(agency))),
        }
    }

    /// As events write it: the agency (0 if it is a system) and the system.
    #[must_use]
    pub fn written(&self) -> (u32, String) {
        match self {
            Self::Agency(agency) => (agency.0, String::new()),
            Self::System(system) => (0, system.to_string()),
        }
    }
}

/// All pauses.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pauses(BTreeMap<Paused, DeliveryPaused>);

impl Pauses {
    /// The pause of an agency or a system itself.
    #[must_use]
    pub fn of(&self, whom: &Paused) -> Option<&DeliveryPaused> {
        self.0.get(whom)
    }

    /// What keeps a system from receiving for an agency: the system's pause, or the agency's.
    #[must_use]
    pub fn between(&self, system: &SystemId, agency: AgencyId) -> Option<&DeliveryPaused> {
        if self.0.is_empty() {
            return None;
        }
        self.of(&Paused::System(system.clone()))
            .or_else(|| self.of(&Paused::Agency(agency)))
    }

    /// All of them, systems after agencies.
    pub fn iter(&self) -> impl Iterator<Item = (&Paused, &DeliveryPaused)> {
        self.0.iter()
    }

    /// Whether a fact changes them.
    #[must_use]
    pub const fn concerns(fact: &Fact) -> bool {
        matches!(fact, Fact::DeliveryPaused(_) | Fact::DeliveryResumed(_))
    }

    pub(crate) fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::DeliveryPaused(paused) => {
                if let Some(whom) = Paused::of(paused.agency, &paused.system) {
                    self.0.insert(whom, (**paused).clone());
                }
            }
            Fact::DeliveryResumed(resumed) => {
                let DeliveryResumed { agency, system, .. } = &**resumed;
                if let Some(whom) = Paused::of(*agency, system) {
                    self.0.remove(&whom);
                }
            }
            _ => {}
        }
    }
}
