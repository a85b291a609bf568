//! The registry's agencies: looked up, and changed by list. Each change is made on one version
//! of the registry and committed only if that still stands.

use std::sync::Arc;

use bytes::Bytes;
use ledger::id::AgencyId;
use ledger::registry::{Agency, Registry, state_word};
use ledger::time::Ms;
use ledger::{Command, CommitError, Conflict, Fact};

use crate::agency_list;
use crate::history::actor;
use crate::publications::off;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator, party, refused_commit};
use crate::types::{
    AgencyDifference, AgencyRecord, AgencySearch, ImportOrder, Imported, Page, Party,
};

/// How often a change is made anew because the registry changed meanwhile.
const ATTEMPTS: u32 = 5;
/// Problems told of one list.
const MAX_PROBLEMS: usize = 100;

impl Inner {
    /// Commits what `make` makes of the registry; makes it anew if the registry changed.
    pub(crate) async fn change_registry<T>(
        &self,
        mut make: impl FnMut(&Registry) -> Result<(Vec<Fact>, T), Refusal>,
    ) -> Result<T, Refusal> {
        for _ in 0..ATTEMPTS {
            let registry = self.ledger.registry();
            let (facts, made) = make(&registry)?;
            if facts.is_empty() {
                return Ok(made);
            }
            let command = Command::Register {
                version: registry.version(),
                facts,
            };
            match self.ledger.commit(command).await {
                Ok(_) => return Ok(made),
                Err(CommitError::Conflict(Conflict::RegistryChanged)) => {}
                Err(error) => return Err(refused_commit(&error)),
            }
        }
        Err(Refusal::new(Name::OutcomeUnknown).retry_after(1_000))
    }
}

impl Exchange {
    /// An agency and what the registry knows of how to reach it; none for a code that leads
    /// nowhere.
    #[must_use]
    pub fn contact_of(&self, code: &str) -> Option<(Party, String)> {
        let registry = self.inner.ledger.registry();
        let agency = registry.resolve(code)?;
        let contact = registry.agency(agency)?.contact.to_string();
        Some((party(&registry, agency, ""), contact))
    }

    /// The registry as of a moment; now, if none is named.
    #[must_use]
    pub fn registry(&self, as_of: Option<Ms>) -> Registry {
        let registry = self.inner.ledger.registry();
        as_of.map_or_else(|| registry.clone(), |at| registry.as_of(at))
    }

    /// Agencies as asked for, by id.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a token that is not this list's; NOT_FOUND for the parent.
    pub fn agencies(
        &self,
        asked: &AgencySearch,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<AgencyRecord>, Refusal> {
        let registry = self.registry(asked.as_of);
        let parent = match asked.parent.as_str() {
            "" => None,
            code => Some(
                registry
                    .resolve(code)
                    .ok_or_else(|| not_registered(code, "parent"))?,
            ),
        };
        let after = match page_token {
            "" => 0,
            token => token.parse::<u32>().map_err(|_| {
                Refusal::argument(
                    "page_token",
                    "Mã trang không hợp lệ.",
                    "The page token is not valid.",
                )
            })?,
        };
        let size = if page_size == 0 {
            1_000
        } else {
            page_size.min(10_000)
        } as usize;
        let wanted = plain(&asked.search);
        let words: Vec<&str> = wanted.split_whitespace().collect();
        let matches = |agency: &Agency| {
            let name = plain(&agency.name);
            let codes: Vec<_> = agency.codes().map(plain).collect();
            words
                .iter()
                .all(|word| name.contains(word) || codes.iter().any(|code| code.contains(word)))
                && (asked.states.is_empty()
                    || asked
                        .states
                        .iter()
                        .any(|state| *state == state_word(agency.state)))
                && parent.is_none_or(|parent| agency.parent == Some(parent))
        };
        let mut items: Vec<AgencyRecord> = registry
            .agencies()
            .filter(|(id, agency)| id.0 > after && matches(agency))
            .take(size + 1)
            .map(|(id, agency)| agency_record(&registry, id, agency))
            .collect();
        let more = items.len() > size;
        items.truncate(size);
        let next = if more {
            items.last().map(|last| last.id.to_string())
        } else {
            None
        };
        Ok(Page {
            items,
            next: next.unwrap_or_default(),
        })
    }

    /// The agencies that differ between two moments, by id; `None` = now.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a token that is not this list's.
    pub fn differences(
        &self,
        from: Option<Ms>,
        to: Option<Ms>,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<AgencyDifference>, Refusal> {
        let (from, to) = (self.registry(from), self.registry(to));
        let after = match page_token {
            "" => 0,
            token => token.parse::<u32>().map_err(|_| {
                Refusal::argument(
                    "page_token",
                    "Mã trang không hợp lệ.",
                    "The page token is not valid.",
                )
            })?,
        };
        let size = page_size.clamp(1, 10_000) as usize;
        let ids = to.ids().filter(|id| id.0 > after);
        let mut items: Vec<_> = ids
            .filter_map(|id| crate::draft::difference(&from, &to, id))
            .take(size + 1)
            .collect();
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more);
        let next = next.map(|last| last.agency.to_string()).unwrap_or_default();
        Ok(Page { items, next })
    }

    /// The agency with this code, in any of its forms.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub fn agency(&self, code: &str, as_of: Option<Ms>) -> Result<AgencyRecord, Refusal> {
        let registry = self.registry(as_of);
        let id = registry.resolve(code);
        let found = id.and_then(|id| {
            registry
                .agency(id)
                .map(|agency| agency_record(&registry, id, agency))
        });
        found.ok_or_else(|| not_registered(code, "code"))
    }

    /// Takes over a list: CSV, XLSX or JSON with a column of codes and one of names at least.
    /// One list is one act: it is checked as a whole and applies whole or not at all.
    ///
    /// # Errors
    /// The ledger's; what is wrong with the list stands in the answer.
    pub async fn import_agencies(
        &self,
        operator: &Operator,
        file: Bytes,
        order: ImportOrder,
    ) -> Result<Imported, Refusal> {
        // A long list takes seconds: not on a runtime's own thread.
        let (format, sheet) = (order.format, order.sheet.clone());
        let list = match off(move || Ok(agency_list::read(&file, format, &sheet))).await? {
            Ok(list) => list,
            Err(problems) => {
                return Ok(Imported {
                    problems,
                    ..Imported::default()
                });
            }
        };
        let now = self.inner.now();
        let actor = operator.actor(&order.why);
        let (list, order) = (Arc::new(list), Arc::new(order));
        for _ in 0..ATTEMPTS {
            let registry = self.inner.ledger.registry();
            let version = registry.version();
            let inner = Arc::clone(&self.inner);
            let (list, order, actor) = (Arc::clone(&list), Arc::clone(&order), actor.clone());
            let (facts, imported) = off(move || {
                let open = |id| inner.ledger.open_deliveries().of(id).count();
                let (mut facts, mut imported) =
                    agency_list::plan(&registry, &list, actor, now, &order, open);
                if order.dry_run || !imported.problems.is_empty() {
                    facts.clear();
                    imported.problems.truncate(MAX_PROBLEMS);
                }
                Ok((facts, imported))
            })
            .await?;
            if facts.is_empty() {
                return Ok(imported);
            }
            match self
                .inner
                .ledger
                .commit(Command::Register { version, facts })
                .await
            {
                Ok(_) => return Ok(imported),
                Err(CommitError::Conflict(Conflict::RegistryChanged)) => {}
                Err(error) => return Err(refused_commit(&error)),
            }
        }
        Err(Refusal::new(Name::OutcomeUnknown).retry_after(1_000))
    }
}

pub(crate) fn agency_record(registry: &Registry, id: AgencyId, agency: &Agency) -> AgencyRecord {
    let code = |id: AgencyId| {
        registry
            .agency(id)
            .map(|agency| agency.code.to_string())
            .unwrap_or_default()
    };
    let version = registry.version_of(id);
    let stamp = version.map(|version| &*version.stamp);
    let life = registry.life(id);
    let at = registry.at();
    let next = life.and_then(|life| life.versions().iter().find(|version| version.from > at));
    AgencyRecord {
        id,
        code: agency.code.to_string(),
        code_2020: agency.code_2020.to_string(),
        other_codes: agency.other_codes.iter().map(ToString::to_string).collect(),
        name: agency.name.to_string(),
        parent: agency.parent.map(code).unwrap_or_default(),
        parent_id: agency.parent,
        state: state_word(agency.state),
        successors: agency.successors.iter().map(|id| code(*id)).collect(),
        successor_ids: agency.successors.to_vec(),
        systems: registry.systems_of(id).to_vec(),
        kind: agency.kind.to_string(),
        level: agency.level.to_string(),
        contact: agency.contact.to_string(),
        centre: agency.centre.to_string(),
        forwards_to_successor: agency.forwards_to_successor,
        fetches_nothing_suspended: agency.fetches_nothing_suspended,
        irregular: agency.irregular.to_string(),
        reason: agency.reason.to_string(),
        decision: stamp
            .map(|stamp| stamp.decision.to_string())
            .unwrap_or_default(),
        effective_from: version.map(|version| version.from).unwrap_or_default(),
        revision: life.map_or(0, ledger::registry::Life::revision),
        next_change: next.map(|version| version.from),
        changed_at: stamp.map(|stamp| stamp.at).unwrap_or_default(),
        changed_by: actor(stamp.and_then(|stamp| stamp.actor.as_ref())),
    }
}

/// Text for searching: lower case, without diacritics, đ as d.
fn plain(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfd()
        .filter(|c| !unicode_normalization::char::is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'đ' { 'd' } else { c })
        .collect()
}

/// The refusal of a code that nobody has.
pub(crate) fn not_registered(code: &str, path: &str) -> Refusal {
    Refusal::new(Name::NotFound).at(
        path,
        format!("Mã cơ quan {code:?} không có trong danh mục."),
        format!("The code {code:?} is not registered."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_diacritics() {
        assert_eq!(plain("Sở Đất đai"), "so dat dai");
    }
}
