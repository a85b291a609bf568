//! The registry as it stands: agencies, their codes, and the systems that serve them.
//! An immutable snapshot that readers share; a change makes a new one.

use std::collections::{BTreeMap, HashMap};

use unicode_normalization::UnicodeNormalization;

use crate::event::{AgencyRecorded, AgencyState, SystemKeyAdded, SystemPinAdded, SystemRecorded};
use crate::fact::Fact;
use crate::id::{AgencyId, SystemId};
use crate::pause::Pauses;

/// A code as it is looked up: trimmed, NFC, upper case. What was written stays beside it.
#[must_use]
pub fn canonical_code(code: &str) -> String {
    let code = code.trim();
    if code
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b.is_ascii_lowercase())
    {
        return code.to_owned();
    }
    code.nfc().flat_map(char::to_uppercase).collect()
}

/// A connected system with its credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// Its facts as last recorded.
    pub facts: SystemRecorded,
    /// Valid keys, sealed.
    pub keys: Vec<SystemKeyAdded>,
    /// Valid certificate pins.
    pub pins: Vec<SystemPinAdded>,
}

/// Agencies and systems at one moment.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    version: u64,
    agencies: BTreeMap<AgencyId, AgencyRecorded>,
    /// Who claims a code, by id.
    by_code: HashMap<String, Vec<AgencyId>>,
    systems: BTreeMap<String, System>,
    serves: HashMap<AgencyId, Vec<SystemId>>,
    pauses: Pauses,
    last_agency: u32,
}

impl Registry {
    /// Grows by one with each change; a change states which version it was made on.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The agency with this code, in any of its forms. Should several claim it, one that is
    /// not closed comes first, then the one with the lowest id: whatever the order in which
    /// they were recorded.
    #[must_use]
    pub fn resolve(&self, code: &str) -> Option<AgencyId> {
        let claims = self.by_code.get(&canonical_code(code))?;
        let is_closed = |id: &AgencyId| {
            self.agencies
                .get(id)
                .is_some_and(|agency| agency.state() == AgencyState::Closed)
        };
        claims.iter().copied().min_by_key(|id| (is_closed(id), *id))
    }

    /// An agency's facts.
    #[must_use]
    pub fn agency(&self, id: AgencyId) -> Option<&AgencyRecorded> {
        self.agencies.get(&id)
    }

    /// All agencies, by id.
    pub fn agencies(&self) -> impl Iterator<Item = (AgencyId, &AgencyRecorded)> {
        self.agencies.iter().map(|(id, agency)| (*id, agency))
    }

    /// A system.
    #[must_use]
    pub fn system(&self, id: &str) -> Option<&System> {
        self.systems.get(id)
    }

    /// All systems, by id.
    pub fn systems(&self) -> impl Iterator<Item = &System> {
        self.systems.values()
    }

    /// The systems that serve an agency, by id.
    #[must_use]
    pub fn systems_of(&self, agency: AgencyId) -> &[SystemId] {
        self.serves.get(&agency).map_or(&[], Vec::as_slice)
    }

    /// The system that a certificate's public key (SHA-256 of its SPKI) is pinned to.
    #[must_use]
    pub fn pinned(&self, spki_sha256: &[u8]) -> Option<&System> {
        self.systems
            .values()
            .find(|system| system.pins.iter().any(|pin| pin.spki_sha256 == spki_sha256))
    }

    /// To whom delivery is paused.
    #[must_use]
    pub const fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// The id for the next new agency.
    #[must_use]
    pub const fn next_agency(&self) -> AgencyId {
        AgencyId(self.last_agency.saturating_add(1))
    }

    /// Whether a fact changes the registry.
    #[must_use]
    pub const fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::AgencyRecorded(_)
                | Fact::SystemRecorded(_)
                | Fact::SystemKeyAdded(_)
                | Fact::SystemKeyRevoked(_)
                | Fact::SystemPinAdded(_)
                | Fact::SystemPinRevoked(_)
        ) || Pauses::concerns(fact)
    }

    /// Takes over one fact.
    pub fn apply(&mut self, fact: &Fact) {
        if !Self::concerns(fact) {
            return;
        }
        self.version += 1;
        match fact {
            Fact::AgencyRecorded(agency) => self.record_agency(agency),
            Fact::SystemRecorded(system) => self.record_system(system),
            Fact::SystemKeyAdded(key) => {
                if let Some(system) = self.systems.get_mut(&key.system) {
                    system.keys.push((**key).clone());
                }
            }
            Fact::SystemKeyRevoked(revoked) => {
                if let Some(system) = self.systems.get_mut(&revoked.system) {
                    system.keys.retain(|key| key.key_id != revoked.key_id);
                }
            }
            Fact::SystemPinAdded(pin) => {
                if let Some(system) = self.systems.get_mut(&pin.system) {
                    system.pins.push((**pin).clone());
                }
            }
            Fact::SystemPinRevoked(revoked) => {
                if let Some(system) = self.systems.get_mut(&revoked.system) {
                    system
                        .pins
                        .retain(|pin| pin.spki_sha256 != revoked.spki_sha256);
                }
            }
            _ => self.pauses.apply(fact),
        }
    }

    fn record_agency(&mut self, agency: &AgencyRecorded) {
        let id = AgencyId(agency.agency);
        self.last_agency = self.last_agency.max(id.0);
        if let Some(before) = self.agencies.insert(id, agency.clone()) {
            for code in codes(&before) {
                let code = canonical_code(code);
                if let Some(claims) = self.by_code.get_mut(&code) {
                    claims.retain(|claim| *claim != id);
                    if claims.is_empty() {
                        self.by_code.remove(&code);
                    }
                }
            }
        }
        for code in codes(agency) {
            let claims = self.by_code.entry(canonical_code(code)).or_default();
            if let Err(at) = claims.binary_search(&id) {
                claims.insert(at, id);
            }
        }
    }

    fn record_system(&mut self, facts: &SystemRecorded) {
        let Ok(id) = facts.system.parse::<SystemId>() else {
            return;
        };
        for systems in self.serves.values_mut() {
            systems.retain(|system| *system != id);
        }
        for agency in &facts.agencies {
            let systems = self.serves.entry(AgencyId(*agency)).or_default();
            if let Err(at) = systems.binary_search(&id) {
                systems.insert(at, id.clone());
            }
        }
        match self.systems.get_mut(&facts.system) {
            Some(system) => system.facts = facts.clone(),
            None => {
                let system = System {
                    facts: facts.clone(),
                    keys: Vec::new(),
                    pins: Vec::new(),
                };
                self.systems.insert(facts.system.clone(), system);
            }
        }
    }

    pub(crate) fn set_last_agency(&mut self, last: u32) {
        self.last_agency = self.last_agency.max(last);
    }

    pub(crate) const fn last_agency(&self) -> u32 {
        self.last_agency
    }

    /// The facts that make this registry from nothing.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> + '_ {
        let agencies = self
            .agencies
            .values()
            .map(|agency| Fact::AgencyRecorded(Box::new(agency.clone())));
        let systems = self.systems.values().flat_map(|system| {
            let keys = system
                .keys
                .iter()
                .map(|key| Fact::SystemKeyAdded(Box::new(key.clone())));
            let pins = system
                .pins
                .iter()
                .map(|pin| Fact::SystemPinAdded(Box::new(pin.clone())));
            std::iter::once(Fact::SystemRecorded(Box::new(system.facts.clone())))
                .chain(keys)
                .chain(pins)
        });
        let pauses = self.pauses.iter();
        let pauses = pauses.map(|(_, paused)| Fact::DeliveryPaused(Box::new(paused.clone())));
        agencies.chain(systems).chain(pauses)
    }
}

/// Every code of an agency, as recorded.
pub fn codes(agency: &AgencyRecorded) -> impl Iterator<Item = &str> {
    [agency.code.as_str(), agency.code_2020.as_str()]
        .into_iter()
        .chain(agency.other_codes.iter().map(String::as_str))
        .filter(|code| !code.is_empty())
}

/// The word for an agency's state.
#[must_use]
pub const fn state_word(state: AgencyState) -> &'static str {
    match state {
        AgencyState::Unspecified => "unknown",
        AgencyState::Requested => "requested",
        AgencyState::Approved => "approved",
        AgencyState::Active => "active",
        AgencyState::Suspended => "suspended",
        AgencyState::Closed => "closed",
        AgencyState::Seen => "seen",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agency(id: u32, code: &str, code_2020: &str) -> Fact {
        Fact::AgencyRecorded(Box::new(AgencyRecorded {
            agency: id,
            code: code.into(),
            code_2020: code_2020.into(),
            ..AgencyRecorded::default()
        }))
    }

    #[test]
    fn both_codes_find_one_agency_and_a_changed_code_is_let_go() {
        let mut registry = Registry::default();
        registry.apply(&agency(1, "000.00.15.H99", "H99.15"));
        assert_eq!(registry.resolve(" h99.15 "), Some(AgencyId(1)));
        assert_eq!(registry.resolve("000.00.15.H99"), Some(AgencyId(1)));
        assert_eq!(registry.next_agency(), AgencyId(2));
        registry.apply(&agency(1, "000.00.16.H99", "H99.15"));
        assert_eq!(registry.resolve("000.00.15.H99"), None);
        assert_eq!(registry.resolve("000.00.16.H99"), Some(AgencyId(1)));
    }
}
