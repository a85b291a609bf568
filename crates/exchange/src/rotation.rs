//! Who serves whom from when on, who is suspended, and which credentials are due.

use ledger::Fact;
use ledger::event::SystemRecorded;
use ledger::id::{AgencyId, SystemId};
use ledger::registry::{Period, Registry};
use ledger::time::Ms;

use crate::agencies::not_registered;
use crate::draft::Draft;
use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::registrar::Order;
use crate::service::{Exchange, Operator};
use crate::systems::known_system;
use crate::types::{Due, ServicePeriod, SystemRecord};

const DAY: i64 = 86_400_000;

impl Exchange {
    /// Gives agencies to a system from a moment on, and until one if said; an empty id means
    /// that nobody serves them. Open deliveries follow.
    ///
    /// # Errors
    /// NOT_FOUND for a code or the system; BAD_ARGUMENT for an end before the beginning.
    pub async fn serve_agencies(
        &self,
        operator: &Operator,
        order: &Order,
        system: &str,
        agencies: &[String],
        until: Option<Ms>,
    ) -> Result<Vec<ServicePeriod>, Refusal> {
        let now = self.inner.now();
        let from = order.effective.unwrap_or(now);
        if until.is_some_and(|until| until <= from) {
            return Err(Refusal::argument(
                "until",
                "Thời điểm kết thúc phải sau thời điểm bắt đầu.",
                "The end must come after the beginning.",
            ));
        }
        if agencies.is_empty() {
            return Err(Refusal::argument(
                "agencies",
                "Phải nêu ít nhất một cơ quan.",
                "Name at least one agency.",
            ));
        }
        self.inner
            .change_registry(|registry| {
                let system = match system {
                    "" => None,
                    id => Some(known_system(registry, id)?),
                };
                let by = operator.actor(&order.why);
                let mut draft = Draft::new(registry, by, now, from, &order.decision);
                let mut ids = Vec::new();
                for code in agencies {
                    let id = draft.find(code, "agencies")?;
                    if !ids.contains(&id.0) {
                        ids.push(id.0);
                    }
                }
                draft.serve(ids.clone(), system.as_ref(), until);
                let (facts, _, after) = draft.finish()?;
                let periods = ids
                    .into_iter()
                    .flat_map(|id| periods(&after, AgencyId(id)))
                    .collect();
                let facts = if order.dry_run { Vec::new() } else { facts };
                Ok((facts, periods))
            })
            .await
    }

    /// Who serves an agency, from when to when, planned too.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub fn service_of(&self, code: &str) -> Result<Vec<ServicePeriod>, Refusal> {
        let registry = self.inner.ledger.registry();
        let id = registry
            .resolve(code)
            .ok_or_else(|| not_registered(code, "code"))?;
        Ok(periods(&registry, id))
    }

    /// Suspends a system, or lets it in again. Its streams are cut.
    ///
    /// # Errors
    /// NOT_FOUND; BAD_ARGUMENT without a reason or a person.
    pub async fn suspend_system(
        &self,
        operator: &Operator,
        system: &str,
        suspended: bool,
        why: &str,
    ) -> Result<SystemRecord, Refusal> {
        if suspended && (why.trim().is_empty() || operator.person.trim().is_empty()) {
            return Err(Refusal::argument(
                "why",
                "Tạm dừng phải ghi lý do (--why) và người quyết định (--by).",
                "A suspension names its reason (--why) and the person (--by).",
            ));
        }
        let now = self.inner.now();
        self.inner
            .change_registry(|registry| {
                known_system(registry, system)?;
                let facts = registry.system(system).map(|system| &system.facts);
                let facts = facts.filter(|facts| facts.suspended != suspended);
                let facts = facts.map(|facts| {
                    Fact::SystemRecorded(Box::new(SystemRecorded {
                        suspended,
                        at_ms: now.0,
                        actor: Some(operator.actor(why)),
                        ..facts.clone()
                    }))
                });
                Ok((facts.into_iter().collect(), ()))
            })
            .await?;
        let registry = self.inner.ledger.registry();
        let record = registry
            .system(system)
            .and_then(|system| self.inner.system_record(&registry, system));
        record.ok_or_else(|| Refusal::new(Name::Internal))
    }

    /// Keys, pins and accounts that are older than so many days, or end within so many.
    #[must_use]
    pub fn due(&self, older_than_days: u32, ending_within_days: u32) -> Vec<Due> {
        let registry = self.inner.ledger.registry();
        let now = registry.at();
        let judged = |added: i64, end: Option<i64>| {
            let age = now.0.saturating_sub(added).max(0) / DAY;
            let why = match end {
                Some(end) if end <= now.0 => Some("ended"),
                Some(end) if end - now.0 <= i64::from(ending_within_days) * DAY => Some("ending"),
                _ => (age >= i64::from(older_than_days)).then_some("old"),
            };
            why.map(|why| (why, u32::try_from(age).unwrap_or(u32::MAX)))
        };
        let mut due = Vec::new();
        let mut push = |system: &str, account: &str, credential: String, added, end| {
            if let Some((why, age_days)) = judged(added, end) {
                due.push(Due {
                    system: system.to_owned(),
                    account: account.to_owned(),
                    credential,
                    added_at: Ms(added),
                    age_days,
                    not_after: end.map(Ms),
                    why,
                });
            }
        };
        for system in registry.systems() {
            let id = &system.facts.system;
            for key in &system.keys {
                let name = format!("key {}", key.key_id);
                push(id, "", name, key.at_ms, key.not_after_ms);
            }
            for pin in &system.pins {
                let hash = crate::admission::hex(&pin.spki_sha256);
                push(id, "", format!("pin {hash}"), pin.at_ms, pin.not_after_ms);
            }
        }
        for account in registry
            .accounts()
            .filter(|account| account.revoked.is_none())
        {
            let added = &account.added;
            let name = "key".to_owned();
            push("", &added.account, name, added.at_ms, added.not_after_ms);
        }
        due
    }
}

/// The periods of an agency; what was replaced before it began is left out.
fn periods(registry: &Registry, id: AgencyId) -> Vec<ServicePeriod> {
    let agency = registry
        .agency(id)
        .map(|agency| agency.code.to_string())
        .unwrap_or_default();
    let all = registry.service(id);
    let next = |at: usize| all.get(at + 1).map(|period: &Period| period.from);
    let system = |period: &Period| -> Option<SystemId> { period.system.clone() };
    all.iter()
        .enumerate()
        .filter(|(at, period)| next(*at) != Some(period.from))
        .map(|(at, period)| ServicePeriod {
            agency: agency.clone(),
            system: system(period),
            from: period.from,
            until: next(at),
            recorded: period.stamp.at,
            by: actor(period.stamp.actor.as_ref()),
            decision: period.stamp.decision.to_string(),
        })
        .collect()
}
