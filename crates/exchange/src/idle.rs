//! Agencies that neither sent nor received anything in a period (duty EX-01: all documents pass
//! through the connected systems; who has no traffic is looked after).

use ledger::event::AgencyState;
use ledger::id::AgencyId;
use ledger::time::Ms;
use ledger::{By, Query, QueryError};

use crate::refusal::Refusal;
use crate::service::{Exchange, party};
use crate::types::Party;

/// Packages of an agency passed by at a time, on the way back to the period's end.
const PAGE: usize = 256;

/// An agency without traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdleAgency {
    /// The agency.
    pub agency: Party,
    /// The last package that it sent or got before the period; none if it never did.
    pub last: Option<Ms>,
    /// Whether a system serves it.
    pub is_served: bool,
}

impl Exchange {
    /// Active agencies without a package from `since` on and before `until`; who had none for
    /// longest, and ever, first.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a period that ends before it begins; INTERNAL if the ledger cannot be
    /// read.
    pub async fn idle_agencies(&self, since: Ms, until: Ms) -> Result<Vec<IdleAgency>, Refusal> {
        if until <= since {
            return Err(Refusal::argument(
                "until",
                "Kỳ phải kết thúc sau khi bắt đầu.",
                "The period must end after it begins.",
            ));
        }
        let registry = self.inner.ledger.registry();
        let active = registry
            .agencies()
            .filter(|(_, agency)| agency.state == AgencyState::Active)
            .map(|(id, _)| id)
            .collect::<Vec<_>>();
        let found = self.inner.ask(move |query| {
            let mut idle = Vec::new();
            for agency in active {
                let last = last_before(query, agency, until)?;
                if last.is_none_or(|last| last < since) {
                    idle.push((agency, last));
                }
            }
            Ok(idle)
        });
        let told = found.await?.into_iter().map(|(agency, last)| IdleAgency {
            agency: party(&registry, agency, ""),
            last,
            is_served: !registry.systems_of(agency).is_empty(),
        });
        let mut told: Vec<_> = told.collect();
        told.sort_by_key(|idle| idle.last);
        Ok(told)
    }
}

/// When the last package of an agency before a moment was accepted; its id tells.
fn last_before(query: &Query, agency: AgencyId, until: Ms) -> Result<Option<Ms>, QueryError> {
    let mut cursor = Vec::new();
    loop {
        // Most often the newest one answers.
        let size = if cursor.is_empty() { 1 } else { PAGE };
        let page = query.newest(&By::Agency(agency), &cursor, size)?;
        let Some((_, behind)) = page.last() else {
            return Ok(None);
        };
        cursor.clone_from(behind);
        let at = |id: &ledger::id::PackageId| Ms(i64::try_from(id.ms()).unwrap_or(i64::MAX));
        if let Some((id, _)) = page.iter().find(|(id, _)| at(id) < until) {
            return Ok(Some(at(id)));
        }
    }
}
