//! The registry's agencies: looked up, and changed by list. Each change is made on one version
//! of the registry and committed only if that still stands.

use bytes::Bytes;
use ledger::event::AgencyRecorded;
use ledger::id::AgencyId;
use ledger::registry::{Registry, codes, state_word};
use ledger::time::Ms;
use ledger::{Command, CommitError, Conflict, Fact};

use crate::agency_list;
use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator, refused_commit};
use crate::types::{AgencyRecord, Imported, Page};

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
    /// Agencies whose codes or name match, by id.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a token that is not this list's.
    pub fn agencies(
        &self,
        search: &str,
        page_size: u32,
        page_token: &str,
    ) -> Result<Page<AgencyRecord>, Refusal> {
        let registry = self.inner.ledger.registry();
        let after = match page_token {
            "" => 0,
            token => token.parse::<u32>().map_err(|_| {
                Refusal::new(Name::BadArgument).at(
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
        let wanted = plain(search);
        let matches = |agency: &AgencyRecorded| {
            wanted.is_empty()
                || codes(agency).any(|code| plain(code).contains(&wanted))
                || plain(&agency.name).contains(&wanted)
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

    /// The agency with this code, in any of its forms.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub fn agency(&self, code: &str) -> Result<AgencyRecord, Refusal> {
        let registry = self.inner.ledger.registry();
        let id = registry.resolve(code);
        let found = id.and_then(|id| {
            registry
                .agency(id)
                .map(|agency| agency_record(&registry, id, agency))
        });
        found.ok_or_else(|| {
            Refusal::new(Name::NotFound).at(
                "code",
                format!("Mã cơ quan {code:?} không có trong danh mục."),
                format!("The code {code:?} is not registered."),
            )
        })
    }

    /// Takes over a list: CSV, XLSX or JSON with a column of codes and one of names at least.
    /// All or nothing; a dry run changes nothing.
    ///
    /// # Errors
    /// BAD_REGISTRY names rows, columns and reasons; the ledger's.
    pub async fn import_agencies(
        &self,
        operator: &Operator,
        file: Bytes,
        decision: &str,
        dry_run: bool,
    ) -> Result<Imported, Refusal> {
        // A long list takes seconds: not on a runtime's own thread.
        let read = tokio::task::spawn_blocking(move || agency_list::read(&file, ""));
        let list = match read.await {
            Ok(Ok(list)) => list,
            Ok(Err(problems)) => {
                return Ok(Imported {
                    problems,
                    ..Imported::default()
                });
            }
            Err(_) => return Err(Refusal::new(Name::Internal)),
        };
        let now = self.inner.now();
        self.inner
            .change_registry(|registry| {
                let (facts, mut imported) =
                    agency_list::plan(registry, &list, operator, decision, now);
                if imported.problems.is_empty() && !dry_run {
                    return Ok((facts, imported));
                }
                imported.problems.truncate(MAX_PROBLEMS);
                Ok((Vec::new(), imported))
            })
            .await
    }
}

fn agency_record(registry: &Registry, id: AgencyId, agency: &AgencyRecorded) -> AgencyRecord {
    let code = |id: u32| {
        registry
            .agency(AgencyId(id))
            .map(|agency| agency.code.clone())
            .unwrap_or_default()
    };
    AgencyRecord {
        id,
        code: agency.code.clone(),
        code_2020: agency.code_2020.clone(),
        other_codes: agency.other_codes.clone(),
        name: agency.name.clone(),
        parent: agency.parent.map(code).unwrap_or_default(),
        state: state_word(agency.state()),
        successors: agency.successors.iter().map(|id| code(*id)).collect(),
        systems: registry.systems_of(id).to_vec(),
        changed_at: Ms(agency.at_ms),
        changed_by: actor(agency.actor.as_ref()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_without_diacritics() {
        assert_eq!(plain("Sở Đất đai"), "so dat dai");
    }
}
