//! What was changed of agencies, told to people.

use ledger::event::AgencyOperation;
use ledger::id::AgencyId;
use ledger::registry::{Agency, Field, Registry};
use ledger::time::Ms;

use crate::draft::{Touched, field_texts};
use crate::history::actor;
use crate::refusal::Refusal;
use crate::service::Exchange;

/// Changes told of one act.
const MAX_CHANGES: usize = 1_000;

/// One change of one agency, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// The agency.
    pub agency: AgencyId,
    /// Its main code after the change.
    pub code: String,
    /// Its name after the change.
    pub name: String,
    /// Of the change in the agency's history.
    pub number: u32,
    /// What it did: add, request, approve, …
    pub operation: &'static str,
    /// From when it is true.
    pub effective: Ms,
    /// When it was recorded.
    pub recorded: Ms,
    /// By whom.
    pub by: String,
    /// The decision.
    pub decision: String,
    /// Why.
    pub why: String,
    /// Whether it has not taken effect.
    pub planned: bool,
    /// Field, before, after.
    pub fields: Vec<(&'static str, String, String)>,
}

impl Exchange {
    /// Changes of one agency, or of all, the last recorded first.
    ///
    /// # Errors
    /// NOT_FOUND for the code, BAD_ARGUMENT for a token that is not this list's.
    pub fn changes(
        &self,
        code: Option<&str>,
        since: Option<Ms>,
        planned_only: bool,
        size: usize,
        page_token: &str,
    ) -> Result<crate::types::Page<ChangeRecord>, Refusal> {
        let registry = self.inner.ledger.registry();
        let now = registry.at();
        let of: Vec<AgencyId> = match code {
            None => registry.ids().collect(),
            // All that ever had it: its history may be another body's before a day.
            Some(code) => match registry.claims(code) {
                [] => return Err(crate::agencies::not_registered(code, "code")),
                claims => claims.to_vec(),
            },
        };
        let skip = match page_token {
            "" => 0,
            token => token.parse::<usize>().map_err(|_| {
                Refusal::argument(
                    "page_token",
                    "Mã trang không hợp lệ.",
                    "The page token is not valid.",
                )
            })?,
        };
        let mut found: Vec<(Ms, AgencyId, u32)> = Vec::new();
        for id in of {
            let versions = registry.life(id).map_or(&[][..], |life| life.versions());
            let wanted = versions.iter().filter(|version| {
                since.is_none_or(|since| version.stamp.at >= since)
                    && (!planned_only || version.from > now)
            });
            found.extend(wanted.map(|version| (version.stamp.at, id, version.number)));
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        let more = found.len() > skip + size;
        let items = found
            .into_iter()
            .skip(skip)
            .take(size)
            .filter_map(|(_, id, number)| change_record(&registry, id, number, now))
            .collect();
        let next = if more {
            (skip + size).to_string()
        } else {
            String::new()
        };
        Ok(crate::types::Page { items, next })
    }
}

/// The word for what a change did; of a registrar's change, by what it set.
pub(crate) const fn operation_word(operation: AgencyOperation, sets: u32) -> &'static str {
    const CODES: u32 = Field::Code.bit()
        | Field::Code2020.bit()
        | Field::OtherCodes.bit()
        | Field::Irregular.bit();
    match operation {
        AgencyOperation::Change if sets == Field::Name.bit() => "rename",
        AgencyOperation::Change if sets == Field::Parent.bit() => "move",
        AgencyOperation::Change if sets & !CODES == 0 => "recode",
        AgencyOperation::Change if sets == Field::ForwardsToSuccessor.bit() => "policy",
        AgencyOperation::Change => "describe",
        AgencyOperation::Add => "add",
        AgencyOperation::Request => "request",
        AgencyOperation::Approve => "approve",
        AgencyOperation::Activate => "activate",
        AgencyOperation::Suspend => "suspend",
        AgencyOperation::Resume => "resume",
        AgencyOperation::Close => "close",
        AgencyOperation::Reopen => "reopen",
        AgencyOperation::Merge => "merge",
        AgencyOperation::Split => "split",
        AgencyOperation::Import => "import",
        AgencyOperation::Unspecified | AgencyOperation::Record => "record",
    }
}

/// What was touched, for people: the first ones.
pub(crate) fn told(registry: &Registry, touched: &[Touched], now: Ms) -> Vec<ChangeRecord> {
    let touched = touched.iter().take(MAX_CHANGES);
    touched
        .filter_map(|one| change_record(registry, one.agency, one.number, now))
        .collect()
}

fn change_record(registry: &Registry, id: AgencyId, number: u32, now: Ms) -> Option<ChangeRecord> {
    let versions = registry.life(id)?.versions();
    let place = versions
        .iter()
        .position(|version| version.number == number)?;
    let version = versions.get(place)?;
    let none = Agency::default();
    let before = place
        .checked_sub(1)
        .and_then(|before| versions.get(before))
        .map_or(&none, |version| &version.agency);
    let view = registry.as_of(version.from);
    let stamp = &version.stamp;
    Some(ChangeRecord {
        agency: id,
        code: version.agency.code.to_string(),
        name: version.agency.name.to_string(),
        number,
        operation: operation_word(version.operation, version.sets),
        effective: version.from,
        recorded: stamp.at,
        by: actor(stamp.actor.as_ref()),
        decision: stamp.decision.to_string(),
        why: stamp
            .actor
            .as_ref()
            .map(|actor| actor.why.clone())
            .unwrap_or_default(),
        planned: version.from > now,
        fields: field_texts(&view, before, &version.agency),
    })
}
