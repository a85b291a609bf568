//! What registrars do: each act is one transaction, true from its moment on.

use ledger::Fact;
use ledger::event::{AgencyChangeWithdrawn, AgencyOperation, AgencyState};
use ledger::id::AgencyId;
use ledger::registry::{Agency, Registry, state_word};
use ledger::time::Ms;

use crate::agencies::agency_record;
use crate::changes::{ChangeRecord, told};
use crate::draft::{Draft, Touched};
use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Operator};
use crate::types::AgencyRecord;

/// From when, by which decision and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// From when it is true; `None` = now.
    pub effective: Option<Ms>,
    /// Number of the decision.
    pub decision: String,
    /// Why.
    pub why: String,
    /// The agency's revision that was seen (of a merge or split: the registry's version);
    /// another one now is a conflict.
    pub revision: Option<u64>,
    /// Checks everything, changes nothing.
    pub dry_run: bool,
}

/// What an agency is to be; codes of others in any form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in AgencyRecord
pub struct AgencyFacts {
    pub code: String,
    pub code_2020: String,
    pub other_codes: Vec<String>,
    pub name: String,
    pub parent: String,
    pub kind: String,
    pub level: String,
    pub contact: String,
    pub centre: String,
    pub forwards_to_successor: bool,
    /// Why a code that follows no form is registered.
    pub irregular: String,
}

/// What to change of an agency; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in AgencyRecord
pub struct AgencyEdit {
    pub name: Option<String>,
    /// A new main code; the one before stays among the others unless it is dropped.
    pub code: Option<String>,
    pub code_2020: Option<String>,
    pub drop_old_codes: bool,
    /// Any code of the new parent; empty = none.
    pub parent: Option<String>,
    pub kind: Option<String>,
    pub level: Option<String>,
    pub contact: Option<String>,
    pub centre: Option<String>,
    pub forwards_to_successor: Option<bool>,
    pub irregular: Option<String>,
}

/// A successor: there already, or new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Successor {
    /// Any code of it.
    Known(String),
    /// What it is to be.
    New(Box<AgencyFacts>),
}

/// What an act changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRecord {
    /// The agency as of the effective time.
    pub agency: AgencyRecord,
    /// Everything that changed, or would; the first ones.
    pub changes: Vec<ChangeRecord>,
    /// From when.
    pub effective: Ms,
    /// Whether that lies in the future.
    pub planned: bool,
}

impl Exchange {
    /// Runs one act: the draft is made anew if the registry changed meanwhile.
    pub(crate) async fn act(
        &self,
        operator: &Operator,
        order: &Order,
        mut make: impl FnMut(&mut Draft) -> Result<AgencyId, Refusal>,
    ) -> Result<ActRecord, Refusal> {
        let now = self.inner.now();
        let effective = order.effective.unwrap_or(now);
        self.inner
            .change_registry(|registry| {
                let by = operator.actor(&order.why);
                let mut draft = Draft::new(registry, by, now, effective, &order.decision);
                let main = make(&mut draft)?;
                let (facts, touched, after) = draft.finish()?;
                if touched.is_empty() && facts.is_empty() {
                    return Err(nothing_changes());
                }
                let agency = after
                    .agency(main)
                    .map(|agency| agency_record(&after, main, agency))
                    .ok_or_else(|| Refusal::new(Name::Internal))?;
                let told = ActRecord {
                    agency,
                    changes: told(&after, &touched, now),
                    effective,
                    planned: effective > now,
                };
                let facts = if order.dry_run { Vec::new() } else { facts };
                Ok((facts, told))
            })
            .await
    }

    /// A new agency, active or requested.
    ///
    /// # Errors
    /// BAD_REGISTRY with each thing at fault; NOT_FOUND for its parent; the ledger's.
    pub async fn add_agency(
        &self,
        operator: &Operator,
        order: &Order,
        facts: &AgencyFacts,
        requested: bool,
    ) -> Result<ActRecord, Refusal> {
        self.act(operator, order, |draft| {
            let mut agency = new_agency(draft, facts)?;
            let operation = if requested {
                agency.state = AgencyState::Requested;
                AgencyOperation::Request
            } else {
                AgencyOperation::Add
            };
            Ok(draft.add(agency, operation))
        })
        .await
    }

    /// requested → approved, and on to active if asked; approved → active.
    ///
    /// # Errors
    /// BAD_ARGUMENT without a decision, WRONG_AGENCY_STATE, REGISTRY_CONFLICT, as above.
    pub async fn approve_agency(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
        activate: bool,
    ) -> Result<ActRecord, Refusal> {
        if order.decision.trim().is_empty() {
            return Err(Refusal::argument(
                "decision",
                "Phê duyệt phải ghi số quyết định (--decision).",
                "An approval names its decision (--decision).",
            ));
        }
        self.act(operator, order, |draft| {
            let id = known(draft, order, code)?;
            let state = state_of(draft.registry(), id);
            let (to, operation) = match (state, activate) {
                (AgencyState::Requested, false) => {
                    (AgencyState::Approved, AgencyOperation::Approve)
                }
                (AgencyState::Requested, true) => (AgencyState::Active, AgencyOperation::Approve),
                (AgencyState::Approved, _) => (AgencyState::Active, AgencyOperation::Activate),
                (AgencyState::Seen, _) => (AgencyState::Active, AgencyOperation::Approve),
                _ => return Err(wrong_state(draft.registry(), id, "requested, approved")),
            };
            draft.set(id, operation, |agency| agency.state = to);
            Ok(id)
        })
        .await
    }

    /// Renames, recodes, moves, describes.
    ///
    /// # Errors
    /// As [`Exchange::approve_agency`].
    pub async fn change_agency(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
        edit: &AgencyEdit,
    ) -> Result<ActRecord, Refusal> {
        self.act(operator, order, |draft| {
            let id = known(draft, order, code)?;
            let parent = match edit.parent.as_deref() {
                None => None,
                Some("") => Some(None),
                Some(code) => Some(Some(draft.find(code, "parent")?)),
            };
            draft.set(id, AgencyOperation::Change, |agency| {
                edit_agency(agency, edit);
                if let Some(parent) = parent {
                    agency.parent = parent;
                }
            });
            Ok(id)
        })
        .await
    }

    /// Stops an agency sending, with a reason that it is shown.
    ///
    /// # Errors
    /// BAD_ARGUMENT without reason or person; as above.
    pub async fn suspend_agency(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
        fetches_nothing: bool,
    ) -> Result<ActRecord, Refusal> {
        if order.why.trim().is_empty() {
            return Err(Refusal::argument(
                "why",
                "Tạm dừng phải ghi lý do (--why); cơ quan được thấy lý do này.",
                "A suspension names its reason (--why); the agency is shown it.",
            ));
        }
        if operator.person.trim().is_empty() {
            return Err(Refusal::argument(
                "by",
                "Tạm dừng phải ghi người quyết định (--by).",
                "A suspension names the person (--by).",
            ));
        }
        self.act(operator, order, |draft| {
            let id = known(draft, order, code)?;
            if state_of(draft.registry(), id) != AgencyState::Active {
                return Err(wrong_state(draft.registry(), id, "active"));
            }
            draft.set(id, AgencyOperation::Suspend, |agency| {
                agency.state = AgencyState::Suspended;
                agency.reason = order.why.as_str().into();
                agency.fetches_nothing_suspended = fetches_nothing;
            });
            Ok(id)
        })
        .await
    }

    /// suspended → active.
    ///
    /// # Errors
    /// As above.
    pub async fn resume_agency(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
    ) -> Result<ActRecord, Refusal> {
        self.back_to_active(
            operator,
            order,
            code,
            AgencyState::Suspended,
            AgencyOperation::Resume,
        )
        .await
    }

    /// closed → active, if its codes are free.
    ///
    /// # Errors
    /// As above.
    pub async fn reopen_agency(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
    ) -> Result<ActRecord, Refusal> {
        self.back_to_active(
            operator,
            order,
            code,
            AgencyState::Closed,
            AgencyOperation::Reopen,
        )
        .await
    }

    async fn back_to_active(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
        from: AgencyState,
        operation: AgencyOperation,
    ) -> Result<ActRecord, Refusal> {
        self.act(operator, order, |draft| {
            let id = known(draft, order, code)?;
            if state_of(draft.registry(), id) != from {
                return Err(wrong_state(draft.registry(), id, state_word(from)));
            }
            draft.set(id, operation, |agency| {
                agency.state = AgencyState::Active;
                agency.reason = Box::default();
                agency.fetches_nothing_suspended = false;
                if from == AgencyState::Closed {
                    agency.successors = Box::default();
                }
            });
            Ok(id)
        })
        .await
    }

    /// Takes back a change that has not taken effect.
    ///
    /// # Errors
    /// NOT_FOUND, BAD_REGISTRY if it has taken effect, or if what stays would be unsound.
    pub async fn withdraw_change(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
        number: u32,
    ) -> Result<ActRecord, Refusal> {
        let now = self.inner.now();
        self.inner
            .change_registry(|registry| {
                // A planned agency is not there yet.
                let found = registry
                    .resolve(code)
                    .or_else(|| registry.claims(code).first().copied());
                let id = found.ok_or_else(|| crate::agencies::not_registered(code, "code"))?;
                same_revision(registry, id, order)?;
                let planned = registry.life(id).and_then(|life| {
                    let mut versions = life.versions().iter();
                    versions.find(|version| version.number == number)
                });
                let Some(planned) = planned else {
                    return Err(Refusal::new(Name::NotFound).at(
                        "number",
                        format!("Cơ quan {code} không có thay đổi số {number}."),
                        format!("The agency {code} has no change number {number}."),
                    ));
                };
                let effective = planned.from;
                if effective <= now {
                    let at = effective.iso();
                    return Err(Refusal::new(Name::BadRegistry).at(
                        "number",
                        format!(
                            "Thay đổi số {number} đã có hiệu lực từ {at}; ghi một thay đổi mới."
                        ),
                        format!(
                            "The change number {number} took effect at {at}; record a new change."
                        ),
                    ));
                }
                let before = registry.as_of(effective);
                let changes = told(&before, &[Touched { agency: id, number }], now);
                let agency = before
                    .agency(id)
                    .map(|agency| agency_record(&before, id, agency))
                    .ok_or_else(|| Refusal::new(Name::Internal))?;
                let fact = Fact::AgencyChangeWithdrawn(Box::new(AgencyChangeWithdrawn {
                    agency: id.0,
                    number,
                    at_ms: now.0,
                    actor: Some(operator.actor(&order.why)),
                }));
                let told = ActRecord {
                    agency,
                    changes,
                    effective,
                    planned: true,
                };
                let facts = if order.dry_run {
                    Vec::new()
                } else {
                    vec![fact]
                };
                Ok((facts, told))
            })
            .await
    }
}

pub(crate) fn new_agency(draft: &Draft, facts: &AgencyFacts) -> Result<Agency, Refusal> {
    let parent = match facts.parent.as_str() {
        "" => None,
        code => Some(draft.find(code, "parent")?),
    };
    let text = |text: &String| text.as_str().into();
    // Without a 2016 code the other one is the main one.
    let (code, code_2020) = if facts.code.trim().is_empty() {
        (&facts.code_2020, &facts.code)
    } else {
        (&facts.code, &facts.code_2020)
    };
    Ok(Agency {
        code: text(code),
        code_2020: text(code_2020),
        other_codes: facts.other_codes.iter().map(text).collect(),
        name: text(&facts.name),
        parent,
        state: AgencyState::Active,
        kind: text(&facts.kind),
        level: text(&facts.level),
        contact: text(&facts.contact),
        centre: text(&facts.centre),
        forwards_to_successor: facts.forwards_to_successor,
        irregular: text(&facts.irregular),
        ..Agency::default()
    })
}

fn edit_agency(agency: &mut Agency, edit: &AgencyEdit) {
    let mut old = Vec::new();
    if let Some(code) = &edit.code {
        let before = std::mem::replace(&mut agency.code, code.as_str().into());
        old.push(before);
    }
    if let Some(code) = &edit.code_2020 {
        let before = std::mem::replace(&mut agency.code_2020, code.as_str().into());
        old.push(before);
    }
    if edit.drop_old_codes {
        agency.other_codes = Box::default();
    } else if !old.is_empty() {
        let mut others = std::mem::take(&mut agency.other_codes).into_vec();
        let now = [agency.code.clone(), agency.code_2020.clone()];
        old.retain(|code| !code.is_empty());
        for code in old {
            if !others.contains(&code) {
                others.push(code);
            }
        }
        others.retain(|code| !now.contains(code));
        agency.other_codes = others.into();
    }
    for (field, value) in [
        (&mut agency.name, &edit.name),
        (&mut agency.kind, &edit.kind),
        (&mut agency.level, &edit.level),
        (&mut agency.contact, &edit.contact),
        (&mut agency.centre, &edit.centre),
        (&mut agency.irregular, &edit.irregular),
    ] {
        if let Some(value) = value {
            *field = value.as_str().into();
        }
    }
    if let Some(forwards) = edit.forwards_to_successor {
        agency.forwards_to_successor = forwards;
    }
}

/// The agency that an act is about, if nobody changed it since it was seen.
pub(crate) fn known(draft: &Draft, order: &Order, code: &str) -> Result<AgencyId, Refusal> {
    let id = draft.find(code, "code")?;
    same_revision(draft.before(), id, order)?;
    Ok(id)
}

fn same_revision(registry: &Registry, id: AgencyId, order: &Order) -> Result<(), Refusal> {
    let Some(life) = registry.life(id) else {
        return Ok(());
    };
    let is = u64::from(life.revision());
    if order.revision.is_none_or(|seen| seen == is) {
        return Ok(());
    }
    let last = life.versions().iter().max_by_key(|version| version.number);
    let (who, when) = last.map_or_else(Default::default, |version| {
        let stamp = &version.stamp;
        (actor(stamp.actor.as_ref()), stamp.at.iso())
    });
    Err(Refusal::new(Name::RegistryConflict).at(
        "revision",
        format!("{who} đã thay đổi cơ quan này lúc {when} (phiên bản {is}). Xem lại rồi làm lại."),
        format!(
            "{who} changed this agency at {when} (revision {is}). Look at it again, then repeat."
        ),
    ))
}

pub(crate) fn same_version(registry: &Registry, order: &Order) -> Result<(), Refusal> {
    let is = registry.version();
    if order.revision.is_none_or(|seen| seen == is) {
        return Ok(());
    }
    Err(Refusal::new(Name::RegistryConflict).at(
        "revision",
        format!("Danh mục đã thay đổi (phiên bản {is}). Xem lại rồi làm lại."),
        format!("The registry has changed (version {is}). Look at it again, then repeat."),
    ))
}

pub(crate) fn state_of(registry: &Registry, id: AgencyId) -> AgencyState {
    registry.agency(id).map(Agency::state).unwrap_or_default()
}

pub(crate) fn wrong_state(registry: &Registry, id: AgencyId, wanted: &str) -> Refusal {
    let (code, state) = registry.agency(id).map_or_else(Default::default, |agency| {
        (agency.code.to_string(), state_word(agency.state))
    });
    Refusal::new(Name::WrongAgencyState).at(
        "code",
        format!("Cơ quan {code} đang ở trạng thái {state}; thao tác này cần {wanted}."),
        format!("The agency {code} is {state}; this needs {wanted}."),
    )
}

fn nothing_changes() -> Refusal {
    Refusal::new(Name::BadRegistry).at("", "Không có gì thay đổi.", "Nothing would change.")
}
