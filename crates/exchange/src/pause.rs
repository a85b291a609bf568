//! Pausing delivery to an agency or a system, and resuming it. Admission goes on meanwhile.

use ledger::Fact;
use ledger::event::{DeliveryPaused, DeliveryResumed};
use ledger::id::SystemId;
use ledger::pause::Paused;
use ledger::registry::Registry;
use ledger::time::Ms;

use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Operator, party};
use crate::types::Party;

/// A pause, or one that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The system, if delivery to a system is paused.
    pub system: Option<SystemId>,
    /// The agency, if delivery to an agency is.
    pub agency: Option<Party>,
    /// Since when.
    pub since: Ms,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
}

impl Exchange {
    /// Pauses delivery to a system, or to an agency whichever system serves it: named by a
    /// system's id or any code of an agency; `system:ID` and `agency:CODE` where one text names
    /// both. What is in a receiver's hands stays there and may be settled.
    ///
    /// # Errors
    /// BAD_ARGUMENT without a reason; NOT_FOUND; ALREADY_EXISTS if it is paused.
    pub async fn pause(
        &self,
        operator: &Operator,
        whom: &str,
        why: &str,
    ) -> Result<Pause, Refusal> {
        needs_reason(why)?;
        let (by, now) = (operator.actor(why), self.inner.now());
        self.inner
            .change_registry(|registry| {
                let paused = named(registry, whom)?;
                if let Some(before) = registry.pauses().of(&paused) {
                    let (who, since) = (actor(before.actor.as_ref()), Ms(before.at_ms).told());
                    return Err(Refusal::new(Name::AlreadyExists).at(
                        "whom",
                        format!("Việc giao cho {whom} đã tạm dừng từ {since}, do {who}."),
                        format!("Delivery to {whom} is paused since {since}, by {who}."),
                    ));
                }
                let (agency, system) = paused.written();
                let fact = DeliveryPaused {
                    agency,
                    system,
                    at_ms: now.0,
                    actor: Some(by.clone()),
                };
                let told = pause(registry, &paused, &fact);
                Ok((vec![Fact::DeliveryPaused(Box::new(fact))], told))
            })
            .await
    }

    /// Ends a pause: what waits flows. Returns the pause that is over.
    ///
    /// # Errors
    /// BAD_ARGUMENT without a reason; NOT_FOUND; WRONG_STATE if it is not paused.
    pub async fn resume(
        &self,
        operator: &Operator,
        whom: &str,
        why: &str,
    ) -> Result<Pause, Refusal> {
        needs_reason(why)?;
        let (by, now) = (operator.actor(why), self.inner.now());
        self.inner
            .change_registry(|registry| {
                let paused = named(registry, whom)?;
                let Some(before) = registry.pauses().of(&paused) else {
                    return Err(Refusal::new(Name::WrongState).at(
                        "whom",
                        format!("Việc giao cho {whom} không bị tạm dừng."),
                        format!("Delivery to {whom} is not paused."),
                    ));
                };
                let (agency, system) = paused.written();
                let fact = DeliveryResumed {
                    agency,
                    system,
                    at_ms: now.0,
                    actor: Some(by.clone()),
                };
                let over = pause(registry, &paused, before);
                Ok((vec![Fact::DeliveryResumed(Box::new(fact))], over))
            })
            .await
    }

    /// All pauses.
    #[must_use]
    pub fn pauses(&self) -> Vec<Pause> {
        let registry = self.inner.ledger.registry();
        let pauses = registry.pauses().iter();
        pauses
            .map(|(whom, fact)| pause(&registry, whom, fact))
            .collect()
    }
}

fn pause(registry: &Registry, whom: &Paused, fact: &DeliveryPaused) -> Pause {
    let (system, agency) = match whom {
        Paused::System(system) => (Some(system.clone()), None),
        Paused::Agency(agency) => (None, Some(party(registry, *agency, ""))),
    };
    Pause {
        system,
        agency,
        since: Ms(fact.at_ms),
        by: actor(fact.actor.as_ref()),
        why: fact
            .actor
            .as_ref()
            .map(|actor| actor.why.clone())
            .unwrap_or_default(),
    }
}

/// Refuses what an operator does to deliveries without saying why.
pub(crate) fn needs_reason(why: &str) -> Result<(), Refusal> {
    if !why.trim().is_empty() {
        return Ok(());
    }
    Err(Refusal::argument(
        "why",
        "Thao tác này phải kèm lý do (--why).",
        "This needs a reason (--why).",
    ))
}

/// Whom an operator names: a system by its id, or an agency by any of its codes.
pub(crate) fn named(registry: &Registry, whom: &str) -> Result<Paused, Refusal> {
    let whom = whom.trim();
    let (system, agency) = match (whom.strip_prefix("system:"), whom.strip_prefix("agency:")) {
        (Some(id), _) => (Some(id), None),
        (_, Some(code)) => (None, Some(code)),
        _ => (Some(whom), Some(whom)),
    };
    let system = system
        .and_then(|id| registry.system(id))
        .and_then(|system| system.facts.system.parse().ok())
        .map(Paused::System);
    let agency = agency
        .and_then(|code| registry.resolve(code))
        .map(Paused::Agency);
    match (system, agency) {
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(_), Some(_)) => Err(Refusal::argument(
            "whom",
            format!(
                "{whom:?} vừa là mã hệ thống vừa là mã cơ quan: ghi system:{whom} hoặc agency:{whom}."
            ),
            format!(
                "{whom:?} is a system's id and an agency's code: write system:{whom} or agency:{whom}."
            ),
        )),
        (None, None) => Err(Refusal::new(Name::NotFound).at(
            "whom",
            format!("Không có hệ thống hay cơ quan nào mang mã {whom:?}."),
            format!("No system and no agency is called {whom:?}."),
        )),
    }
}
