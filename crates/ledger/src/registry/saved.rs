//! The registry as a checkpoint holds it.

use super::{Inner, Registry, System};
use crate::event::{RegistrySaved, SystemRecorded};
use crate::fact::Fact;

impl Registry {
    /// Everything in it, at all moments.
    pub(crate) fn saved(&self) -> RegistrySaved {
        let inner = &*self.inner;
        let systems = || inner.systems.values();
        RegistrySaved {
            version: inner.version,
            last_agency: inner.last_agency,
            agencies: inner
                .lives
                .iter()
                .map(|(id, life)| life.saved(id))
                .collect(),
            systems: systems().map(|system| system.facts.clone()).collect(),
            keys: systems().flat_map(|system| system.keys.clone()).collect(),
            pins: systems().flat_map(|system| system.pins.clone()).collect(),
            services: inner.services.saved(),
            paused: inner
                .pauses
                .iter()
                .map(|(_, paused)| paused.clone())
                .collect(),
            accounts: inner
                .accounts
                .0
                .values()
                .map(|account| account.added.clone())
                .collect(),
            revoked: inner
                .accounts
                .0
                .values()
                .filter_map(|account| account.revoked.clone())
                .collect(),
        }
    }

    /// The registry that was saved.
    pub(crate) fn restored(saved: RegistrySaved) -> Self {
        let mut registry = Self::default();
        for system in saved.systems {
            // Whom it serves stands in the periods.
            registry.inner_mut().keep_system(&system);
        }
        let facts = (saved
            .keys
            .into_iter()
            .map(Box::new)
            .map(Fact::SystemKeyAdded))
        .chain(
            saved
                .pins
                .into_iter()
                .map(Box::new)
                .map(Fact::SystemPinAdded),
        )
        .chain(
            saved
                .services
                .into_iter()
                .map(Box::new)
                .map(Fact::ServiceChanged),
        )
        .chain(
            saved
                .paused
                .into_iter()
                .map(Box::new)
                .map(Fact::DeliveryPaused),
        )
        .chain(
            saved
                .accounts
                .into_iter()
                .map(Box::new)
                .map(Fact::AccountAdded),
        )
        .chain(
            saved
                .revoked
                .into_iter()
                .map(Box::new)
                .map(Fact::AccountRevoked),
        );
        facts.for_each(|fact| registry.apply(&fact));
        for life in saved.agencies {
            for change in life.changes {
                registry.apply(&Fact::AgenciesChanged(Box::new(change)));
            }
            registry
                .inner_mut()
                .set_revision(life.agency, life.revision);
        }
        let inner = registry.inner_mut();
        inner.version = saved.version;
        inner.last_agency = inner.last_agency.max(saved.last_agency);
        registry
    }
}

impl Inner {
    /// A system's facts, without a look at whom it serves.
    pub(super) fn keep_system(&mut self, facts: &SystemRecorded) -> Vec<u32> {
        let systems = std::sync::Arc::make_mut(&mut self.systems);
        match systems.get_mut(&facts.system) {
            Some(system) => std::mem::replace(&mut system.facts, facts.clone()).agencies,
            None => {
                let system = System {
                    facts: facts.clone(),
                    keys: Vec::new(),
                    pins: Vec::new(),
                };
                systems.insert(facts.system.clone(), system);
                Vec::new()
            }
        }
    }
}
