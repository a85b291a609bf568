//! The registry: agencies with their codes and history, the systems that serve them, people's
//! accounts.
//!
//! Everything in it is dated. A [`Registry`] is an immutable snapshot, seen as of one moment:
//! [`Ledger::registry`](crate::Ledger::registry) gives it as of now, [`Registry::as_of`] as of
//! any other, past or planned. What was recorded for the future takes effect when a question is
//! asked as of a later moment; nothing has to happen for it.
//!
//! Snapshots share what they have in common: one is cheap to keep, and a change of one agency
//! copies a few nodes of a tree, not the list.

mod account;
mod agency;
mod codes;
mod lives;
mod saved;
mod service;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rpds::RedBlackTreeSetSync;
use unicode_normalization::UnicodeNormalization;

pub use self::account::Account;
pub use self::agency::{Agency, EVERYTHING, Field, Life, Stamp, Version};
pub use self::service::Period;

use self::account::Accounts;
use self::codes::Codes;
use self::lives::Lives;
use self::service::Services;
use crate::event::{
    AgenciesChanged, AgencyOperation, AgencyRecorded, AgencyState, SystemKeyAdded, SystemPinAdded,
    SystemRecorded,
};
use crate::fact::Fact;
use crate::id::{AgencyId, SystemId};
use crate::pause::Pauses;
use crate::time::Ms;

/// A code as it is looked up: trimmed, NFC, upper case. What was written stays beside it.
#[must_use]
pub fn canonical_code(code: &str) -> String {
    canonical(code).into_owned()
}

fn canonical(code: &str) -> Cow<'_, str> {
    let code = code.trim();
    if code
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b.is_ascii_lowercase())
    {
        return Cow::Borrowed(code);
    }
    Cow::Owned(code.nfc().flat_map(char::to_uppercase).collect())
}

/// A connected system with its credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// Its facts as last recorded. Whom it serves is dated and stands in the registry:
    /// [`Registry::served_by`].
    pub facts: SystemRecorded,
    /// Its keys that were not revoked, sealed; some may have ended: [`System::keys_at`].
    pub keys: Vec<SystemKeyAdded>,
    /// Its certificate pins that were not revoked; some may have ended: [`System::pins_at`].
    pub pins: Vec<SystemPinAdded>,
}

impl System {
    /// The keys that are valid at a moment.
    pub fn keys_at(&self, at: Ms) -> impl Iterator<Item = &SystemKeyAdded> {
        let valid = move |key: &&SystemKeyAdded| key.not_after_ms.is_none_or(|end| at.0 < end);
        self.keys.iter().filter(valid)
    }

    /// The certificate pins that are valid at a moment.
    pub fn pins_at(&self, at: Ms) -> impl Iterator<Item = &SystemPinAdded> {
        let valid = move |pin: &&SystemPinAdded| pin.not_after_ms.is_none_or(|end| at.0 < end);
        self.pins.iter().filter(valid)
    }
}

#[derive(Debug, Clone, Default)]
struct Inner {
    version: u64,
    lives: Lives,
    by_code: Codes,
    systems: Arc<BTreeMap<String, System>>,
    services: Services,
    pauses: Pauses,
    accounts: Arc<Accounts>,
    /// Every moment at which something begins or ends.
    moments: RedBlackTreeSetSync<Ms>,
    last_agency: u32,
    /// The last moment at which something was true at once when it was recorded.
    settled: Ms,
    /// The stamp of the last change read, to be shared by the next one of the same act.
    stamp: Arc<Stamp>,
}

/// Agencies, systems and accounts as of one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
    at: Ms,
}

impl Default for Registry {
    /// Nothing, as of the end of time: whatever it is given is true.
    fn default() -> Self {
        Self {
            inner: Arc::default(),
            at: Ms(i64::MAX),
        }
    }
}

impl Registry {
    /// The same registry as of another moment.
    #[must_use]
    pub fn as_of(&self, at: Ms) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            at,
        }
    }

    /// The same registry as of now. What was true at once when it was recorded stays so, also
    /// when the clock is set back.
    #[must_use]
    pub(crate) fn as_of_now(&self, clock: Ms) -> Self {
        self.as_of(clock.max(self.inner.settled))
    }

    /// The moment as of which it is seen.
    #[must_use]
    pub const fn at(&self) -> Ms {
        self.at
    }

    /// Grows by one with each recorded fact; a change states which version it was made on.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.inner.version
    }

    /// The first moment after this one at which something begins or ends.
    #[must_use]
    pub fn next_moment(&self) -> Option<Ms> {
        let after = (Bound::Excluded(self.at), Bound::Unbounded);
        self.inner.moments.range(after).next().copied()
    }

    /// The agency with this code, in any of its forms. Should several claim it, one that is
    /// not closed comes first, then the one with the lowest id: whatever the order in which
    /// they were recorded.
    #[must_use]
    pub fn resolve(&self, code: &str) -> Option<AgencyId> {
        let code = canonical(code);
        match self.inner.by_code.get(&code) {
            [] => None,
            [only] => self.has_code(*only, &code).then_some(*only),
            ids => {
                let has = ids.iter().copied().filter(|id| self.has_code(*id, &code));
                let closed = |id| {
                    self.agency(id)
                        .is_none_or(|agency| agency.state == AgencyState::Closed)
                };
                has.min_by_key(|id| (closed(*id), *id))
            }
        }
    }

    /// Every agency that ever had this code, or is to have it, by id.
    #[must_use]
    pub fn claims(&self, code: &str) -> &[AgencyId] {
        self.inner.by_code.get(&canonical(code))
    }

    fn has_code(&self, id: AgencyId, code: &str) -> bool {
        let Some(life) = self.inner.lives.get(id) else {
            return false;
        };
        match life.versions() {
            [only] => only.from <= self.at,
            _ => life
                .at(self.at)
                .is_some_and(|version| version.agency.codes().any(|has| canonical(has) == code)),
        }
    }

    /// An agency as it is at this moment.
    #[must_use]
    pub fn agency(&self, id: AgencyId) -> Option<&Agency> {
        self.version_of(id).map(|version| &version.agency)
    }

    /// An agency as it is at this moment, with the change that made it so.
    #[must_use]
    pub fn version_of(&self, id: AgencyId) -> Option<&Version> {
        self.inner.lives.get(id)?.at(self.at)
    }

    /// An agency through time.
    #[must_use]
    pub fn life(&self, id: AgencyId) -> Option<&Life> {
        self.inner.lives.get(id)
    }

    /// All agencies that there are at this moment, by id.
    pub fn agencies(&self) -> impl Iterator<Item = (AgencyId, &Agency)> {
        self.ids()
            .filter_map(|id| self.agency(id).map(|agency| (id, agency)))
    }

    /// The ids of all agencies that there ever were or are to be.
    pub fn ids(&self) -> impl Iterator<Item = AgencyId> {
        // Given in order, from 1.
        (1..=self.inner.last_agency).map(AgencyId)
    }

    /// A system.
    #[must_use]
    pub fn system(&self, id: &str) -> Option<&System> {
        self.inner.systems.get(id)
    }

    /// All systems, by id.
    pub fn systems(&self) -> impl Iterator<Item = &System> {
        self.inner.systems.values()
    }

    /// The system that serves an agency at this moment: one or none.
    #[must_use]
    pub fn systems_of(&self, agency: AgencyId) -> &[SystemId] {
        self.inner
            .services
            .at(agency, self.at)
            .map_or(&[], std::slice::from_ref)
    }

    /// Whether what waits for an agency may be fetched: not while it is suspended so.
    #[must_use]
    pub fn may_receive(&self, agency: AgencyId) -> bool {
        self.agency(agency).is_none_or(|agency| {
            agency.state != AgencyState::Suspended || !agency.fetches_nothing_suspended
        })
    }

    /// The agencies that a system serves at this moment, by id.
    pub fn served_by(&self, system: &SystemId) -> impl Iterator<Item = AgencyId> {
        self.inner.services.served(system, self.at)
    }

    /// Who serves an agency through time.
    #[must_use]
    pub fn service(&self, agency: AgencyId) -> &[Period] {
        self.inner.services.of(agency)
    }

    /// The system that a certificate's public key (SHA-256 of its SPKI) is pinned to.
    #[must_use]
    pub fn pinned(&self, spki_sha256: &[u8]) -> Option<&System> {
        self.systems().find(|system| {
            let mut pins = system.pins_at(self.at);
            pins.any(|pin| pin.spki_sha256 == spki_sha256)
        })
    }

    /// To whom delivery is paused.
    #[must_use]
    pub fn pauses(&self) -> &Pauses {
        &self.inner.pauses
    }

    /// A person's account, valid or not.
    #[must_use]
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.inner.accounts.0.get(id)
    }

    /// All accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.inner.accounts.0.values()
    }

    /// The id for the next new agency.
    #[must_use]
    pub fn next_agency(&self) -> AgencyId {
        AgencyId(self.inner.last_agency.saturating_add(1))
    }

    /// Whether a fact changes the registry.
    #[must_use]
    pub const fn concerns(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::AgencyRecorded(_)
                | Fact::AgenciesChanged(_)
                | Fact::AgencyChangeWithdrawn(_)
                | Fact::ServiceChanged(_)
                | Fact::SystemRecorded(_)
                | Fact::SystemKeyAdded(_)
                | Fact::SystemKeyRevoked(_)
                | Fact::SystemKeyEnds(_)
                | Fact::SystemPinAdded(_)
                | Fact::SystemPinRevoked(_)
                | Fact::SystemPinEnds(_)
                | Fact::AccountAdded(_)
                | Fact::AccountRevoked(_)
        ) || Pauses::concerns(fact)
    }

    /// Whether a fact may take away what a caller has shown, or what it may see.
    #[must_use]
    pub const fn revokes(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::SystemKeyRevoked(_)
                | Fact::SystemKeyEnds(_)
                | Fact::SystemPinRevoked(_)
                | Fact::SystemPinEnds(_)
                | Fact::SystemRecorded(_)
                | Fact::ServiceChanged(_)
                | Fact::AccountRevoked(_)
        )
    }

    /// Whether what waits may flow otherwise after a fact.
    #[must_use]
    pub const fn reroutes(fact: &Fact) -> bool {
        matches!(
            fact,
            Fact::SystemRecorded(_)
                | Fact::ServiceChanged(_)
                | Fact::AgenciesChanged(_)
                | Fact::AgencyChangeWithdrawn(_)
        ) || Pauses::concerns(fact)
    }

    /// Takes over one fact.
    pub fn apply(&mut self, fact: &Fact) {
        if Self::concerns(fact) {
            self.inner_mut().apply(fact);
        }
    }

    fn inner_mut(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.inner)
    }

    #[cfg(test)]
    pub(crate) fn last_agency(&self) -> u32 {
        self.inner.last_agency
    }
}

impl Inner {
    fn apply(&mut self, fact: &Fact) {
        self.version += 1;
        match fact {
            Fact::AgencyRecorded(agency) => self.record_agency(agency),
            Fact::AgenciesChanged(changed) => self.change_agencies(changed),
            Fact::AgencyChangeWithdrawn(withdrawn) => {
                self.withdraw(AgencyId(withdrawn.agency), withdrawn.number);
            }
            Fact::ServiceChanged(changed) => {
                let stamp = self.stamp(changed.at_ms, changed.actor.as_ref(), &changed.decision);
                let system = changed.system.parse::<SystemId>().ok();
                let from = Ms(changed.from_ms);
                self.settle(from, stamp.at);
                for agency in changed.agencies.iter().copied().map(AgencyId) {
                    self.services.set(agency, system.clone(), from, &stamp);
                    self.moment(from);
                    if let Some(until) = changed.until_ms.map(Ms) {
                        self.services.set(agency, None, until, &stamp);
                        self.moment(until);
                    }
                }
            }
            Fact::SystemRecorded(facts) => self.record_system(facts),
            Fact::AccountAdded(_) | Fact::AccountRevoked(_) => {
                if let Fact::AccountAdded(added) = fact
                    && let Some(end) = added.not_after_ms
                {
                    self.moment(Ms(end));
                }
                Arc::make_mut(&mut self.accounts).apply(fact);
            }
            Fact::SystemKeyAdded(_)
            | Fact::SystemKeyRevoked(_)
            | Fact::SystemKeyEnds(_)
            | Fact::SystemPinAdded(_)
            | Fact::SystemPinRevoked(_)
            | Fact::SystemPinEnds(_) => self.change_credential(fact),
            _ => self.pauses.apply(fact),
        }
    }

    fn change_credential(&mut self, fact: &Fact) {
        let (system, end) = match fact {
            Fact::SystemKeyAdded(key) => (&key.system, key.not_after_ms),
            Fact::SystemKeyRevoked(key) => (&key.system, None),
            Fact::SystemKeyEnds(key) => (&key.system, Some(key.not_after_ms)),
            Fact::SystemPinAdded(pin) => (&pin.system, pin.not_after_ms),
            Fact::SystemPinRevoked(pin) => (&pin.system, None),
            Fact::SystemPinEnds(pin) => (&pin.system, Some(pin.not_after_ms)),
            _ => return,
        };
        let Some(system) = Arc::make_mut(&mut self.systems).get_mut(system) else {
            return;
        };
        match fact {
            Fact::SystemKeyAdded(key) => system.keys.push((**key).clone()),
            Fact::SystemKeyRevoked(revoked) => {
                system.keys.retain(|key| key.key_id != revoked.key_id);
            }
            Fact::SystemKeyEnds(ends) => {
                let keys = system.keys.iter_mut();
                keys.filter(|key| key.key_id == ends.key_id)
                    .for_each(|key| key.not_after_ms = Some(ends.not_after_ms));
            }
            Fact::SystemPinAdded(pin) => system.pins.push((**pin).clone()),
            Fact::SystemPinRevoked(revoked) => {
                system
                    .pins
                    .retain(|pin| pin.spki_sha256 != revoked.spki_sha256);
            }
            Fact::SystemPinEnds(ends) => {
                let pins = system.pins.iter_mut();
                pins.filter(|pin| pin.spki_sha256 == ends.spki_sha256)
                    .for_each(|pin| pin.not_after_ms = Some(ends.not_after_ms));
            }
            _ => {}
        }
        if let Some(end) = end {
            self.moment(Ms(end));
        }
    }

    /// The whole of an agency's facts: an event of type 20.
    fn record_agency(&mut self, agency: &AgencyRecorded) {
        let stamp = self.stamp(agency.at_ms, agency.actor.as_ref(), &agency.decision);
        let version = Version {
            number: 0,
            from: Ms(agency.effective_at_ms),
            sets: EVERYTHING,
            operation: AgencyOperation::Record,
            stamp,
            agency: Agency::of(agency),
        };
        self.change(AgencyId(agency.agency), version);
    }

    fn change_agencies(&mut self, changed: &AgenciesChanged) {
        let stamp = self.stamp(changed.at_ms, changed.actor.as_ref(), &changed.decision);
        for change in &changed.changes {
            let Some(to) = &change.to else { continue };
            let version = Version {
                number: change.number,
                from: Ms(changed.effective_at_ms),
                sets: change.sets,
                operation: change.operation(),
                stamp: Arc::clone(&stamp),
                agency: Agency::of(to),
            };
            self.change(AgencyId(to.agency), version);
        }
    }

    fn change(&mut self, id: AgencyId, mut version: Version) {
        self.last_agency = self.last_agency.max(id.0);
        self.moment(version.from);
        self.settle(version.from, version.stamp.at);
        let life = self.lives.begun(id);
        if version.number == 0 {
            version.number = life.revision() + 1;
        }
        let first = version.from;
        life.change(version);
        let versions = life.versions().iter();
        let later = versions.filter(|version| version.from >= first);
        let codes: Vec<Box<str>> = later
            .flat_map(|version| version.agency.codes().map(|code| canonical(code).into()))
            .collect();
        for code in codes {
            self.by_code.add(code, id);
        }
    }

    fn withdraw(&mut self, id: AgencyId, number: u32) {
        let codes = |life: &Life| -> Vec<Box<str>> {
            let versions = life.versions().iter();
            versions
                .flat_map(|version| version.agency.codes().map(|code| canonical(code).into()))
                .collect()
        };
        let Some(life) = self.lives.get_mut(id) else {
            return;
        };
        let before = codes(life);
        life.withdraw(number);
        let after = codes(life);
        if after.is_empty() {
            self.lives.remove(id);
        }
        for code in before.into_iter().filter(|code| !after.contains(code)) {
            self.by_code.remove(code, id);
        }
    }

    fn set_revision(&mut self, agency: u32, revision: u32) {
        if let Some(life) = self.lives.get_mut(AgencyId(agency)) {
            life.set_revision(revision);
        }
    }

    /// A system's facts: agencies that its list names newly are served by it from then on, those
    /// it names no more are not.
    fn record_system(&mut self, facts: &SystemRecorded) {
        let Ok(id) = facts.system.parse::<SystemId>() else {
            return;
        };
        let before = self.keep_system(facts);
        let stamp = self.stamp(facts.at_ms, facts.actor.as_ref(), "");
        let at = Ms(facts.at_ms);
        self.settle(at, at);
        for agency in &before {
            if !facts.agencies.contains(agency)
                && self.services.at(AgencyId(*agency), at) == Some(&id)
            {
                self.services.set(AgencyId(*agency), None, at, &stamp);
                self.moment(at);
            }
        }
        for agency in &facts.agencies {
            if !before.contains(agency) {
                self.services
                    .set(AgencyId(*agency), Some(id.clone()), at, &stamp);
                self.moment(at);
            }
        }
    }

    /// Notes what was true when it was recorded.
    fn settle(&mut self, from: Ms, recorded: Ms) {
        if from <= recorded {
            self.settled = self.settled.max(from);
        }
    }

    fn moment(&mut self, at: Ms) {
        if !self.moments.contains(&at) {
            self.moments.insert_mut(at);
        }
    }

    /// The stamp of an act; that of the change before if it is the same.
    fn stamp(
        &mut self,
        at_ms: i64,
        actor: Option<&crate::event::Actor>,
        decision: &str,
    ) -> Arc<Stamp> {
        let last = &*self.stamp;
        let same =
            last.at.0 == at_ms && last.actor.as_ref() == actor && &*last.decision == decision;
        if !same {
            self.stamp = Arc::new(Stamp {
                at: Ms(at_ms),
                actor: actor.cloned(),
                decision: decision.into(),
            });
        }
        Arc::clone(&self.stamp)
    }
}

/// Every code in an event's values, as recorded.
pub fn codes(values: &AgencyRecorded) -> impl Iterator<Item = &str> {
    [values.code.as_str(), values.code_2020.as_str()]
        .into_iter()
        .chain(values.other_codes.iter().map(String::as_str))
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
mod tests;
