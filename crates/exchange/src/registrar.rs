//! What registrars do: each act is one transaction, true from its moment on.

use ledger::Fact;
use ledger::event::{AgencyChangeWithdrawn, AgencyOperation, AgencyState};
use ledger::id::AgencyId;
use ledger::registry::{Agency, Field, Registry, state_word};
use ledger::time::Ms;

use crate::agencies::agency_record;
use crate::draft::{Draft, Touched, children, field_texts};
use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Operator};
use crate::types::AgencyRecord;

/// Changes told of one act.
const MAX_CHANGES: usize = 1_000;

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

/// What becomes of the open deliveries of an agency that is closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OpenDeliveries {
    /// It was not said: refused if there are any, or may be.
    #[default]
    Unsaid,
    /// They stay with the system that serves it.
    Stay,
    /// The one successor's system serves it from then on.
    Move,
}

/// What becomes of the agencies under one that is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChildAgencies {
    /// It was not said: refused if there are any.
    #[default]
    Unsaid,
    /// They are closed too, with the same successors.
    Close,
    /// They move under the agency with this code.
    Under(String),
}

/// How an agency is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closing {
    /// Any code of each that takes over.
    pub successors: Vec<String>,
    /// Packages to its codes go to its one successor, marked.
    pub forward: bool,
    /// What waits for it.
    pub deliveries: OpenDeliveries,
    /// Those under it.
    pub children: ChildAgencies,
}

/// A successor: there already, or new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Successor {
    /// Any code of it.
    Known(String),
    /// What it is to be.
    New(Box<AgencyFacts>),
}

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
    async fn act(
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
            return Err(due(
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
            return Err(due(
                "why",
                "Tạm dừng phải ghi lý do (--why); cơ quan được thấy lý do này.",
                "A suspension names its reason (--why); the agency is shown it.",
            ));
        }
        if operator.person.trim().is_empty() {
            return Err(due(
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

    /// Ends an agency.
    ///
    /// # Errors
    /// As above; BAD_REGISTRY names open children and deliveries of which nothing was said.
    pub async fn close_agency(
        &self,
        operator: &Operator,
        order: &Order,
        code: &str,
        closing: &Closing,
    ) -> Result<ActRecord, Refusal> {
        self.act(operator, order, |draft| {
            let id = known(draft, order, code)?;
            let mut successors = Vec::new();
            for code in &closing.successors {
                successors.push(draft.find(code, "successors")?);
            }
            let end = End {
                successors: &successors,
                forward: closing.forward,
                deliveries: closing.deliveries,
                operation: AgencyOperation::Close,
                reason: &order.why,
            };
            self.end(draft, id, &end, &closing.children)?;
            Ok(id)
        })
        .await
    }

    /// Closes several agencies into one; those under them move to it.
    ///
    /// # Errors
    /// As above; BAD_REGISTRY for a merge into one of them.
    pub async fn merge_agencies(
        &self,
        operator: &Operator,
        order: &Order,
        sources: &[String],
        into: &Successor,
        forward: bool,
        deliveries: OpenDeliveries,
    ) -> Result<ActRecord, Refusal> {
        if sources.is_empty() {
            return Err(due(
                "sources",
                "Phải nêu các cơ quan được sáp nhập.",
                "Name the agencies to be merged.",
            ));
        }
        self.act(operator, order, |draft| {
            same_version(draft.before(), order)?;
            let mut closing = Vec::new();
            for code in sources {
                let id = draft.find(code, "sources")?;
                if !closing.contains(&id) {
                    closing.push(id);
                }
            }
            let into = match into {
                Successor::Known(code) => {
                    let into = draft.find(code, "into")?;
                    if closing.contains(&into) {
                        draft.fault(
                            "MERGE_INTO_ITSELF",
                            "into",
                            format!("{code} vừa được sáp nhập vừa là cơ quan nhận; bỏ khỏi danh sách sáp nhập."),
                            format!("{code} is both merged and the one merged into; take it out of the sources."),
                        );
                        return Ok(into);
                    }
                    if state_of(draft.registry(), into) == AgencyState::Closed {
                        return Err(wrong_state(draft.registry(), into, "active"));
                    }
                    into
                }
                // Its code may be one of theirs: they are closed in the same moment.
                Successor::New(facts) => {
                    let agency = new_agency(draft, facts)?;
                    draft.add(agency, AgencyOperation::Merge)
                }
            };
            let end = End {
                successors: &[into],
                forward,
                deliveries,
                operation: AgencyOperation::Merge,
                reason: &order.why,
            };
            for id in closing {
                self.end(draft, id, &end, &ChildAgencies::Unsaid)?;
                let under = children(draft.registry()).remove(&id).unwrap_or_default();
                for child in under {
                    draft.set(child, AgencyOperation::Merge, |agency| {
                        agency.parent = Some(into);
                    });
                }
            }
            Ok(into)
        })
        .await
    }

    /// Names several successors of one agency and closes it, unless it goes on.
    ///
    /// # Errors
    /// As above.
    #[expect(
        clippy::too_many_arguments,
        reason = "one for each thing to be said of a split"
    )]
    pub async fn split_agency(
        &self,
        operator: &Operator,
        order: &Order,
        source: &str,
        into: &[Successor],
        goes_on: bool,
        deliveries: OpenDeliveries,
        under: &ChildAgencies,
    ) -> Result<ActRecord, Refusal> {
        if into.is_empty() {
            return Err(due(
                "into",
                "Phải nêu các cơ quan kế thừa.",
                "Name the successors.",
            ));
        }
        self.act(operator, order, |draft| {
            same_version(draft.before(), order)?;
            let source = draft.find(source, "source")?;
            let mut successors = Vec::new();
            for one in into {
                let id = match one {
                    Successor::Known(code) => draft.find(code, "into")?,
                    Successor::New(facts) => {
                        let agency = new_agency(draft, facts)?;
                        draft.add(agency, AgencyOperation::Split)
                    }
                };
                successors.push(id);
            }
            if goes_on {
                draft.set(source, AgencyOperation::Split, |agency| {
                    agency.successors = successors.clone().into();
                });
                return Ok(source);
            }
            let end = End {
                successors: &successors,
                forward: false,
                deliveries,
                operation: AgencyOperation::Split,
                reason: &order.why,
            };
            self.end(draft, source, &end, under)?;
            Ok(source)
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

    /// Closes one agency in a draft.
    fn end(
        &self,
        draft: &mut Draft,
        id: AgencyId,
        end: &End<'_>,
        under: &ChildAgencies,
    ) -> Result<(), Refusal> {
        if state_of(draft.registry(), id) == AgencyState::Closed {
            return Err(wrong_state(draft.registry(), id, "active"));
        }
        if end.forward && end.successors.len() != 1 {
            return Err(due(
                "forward",
                "Chuyển tiếp cần đúng một cơ quan kế thừa.",
                "Forwarding needs exactly one successor.",
            ));
        }
        draft.set(id, end.operation, |agency| {
            agency.state = AgencyState::Closed;
            agency.successors = end.successors.into();
            agency.forwards_to_successor = end.forward;
            agency.reason = end.reason.into();
        });
        self.end_deliveries(draft, id, end)?;
        let below = children(draft.registry()).remove(&id).unwrap_or_default();
        match under {
            ChildAgencies::Unsaid => {}
            ChildAgencies::Close => {
                for child in below {
                    self.end(draft, child, end, under)?;
                }
            }
            ChildAgencies::Under(code) => {
                let parent = draft.find(code, "children_to")?;
                for child in below {
                    draft.set(child, end.operation, |agency| agency.parent = Some(parent));
                }
            }
        }
        Ok(())
    }

    /// What becomes of what waits for an agency that is closed.
    fn end_deliveries(
        &self,
        draft: &mut Draft,
        id: AgencyId,
        end: &End<'_>,
    ) -> Result<(), Refusal> {
        let code = draft
            .registry()
            .agency(id)
            .map(|agency| agency.code.to_string())
            .unwrap_or_default();
        match end.deliveries {
            OpenDeliveries::Stay => {}
            OpenDeliveries::Unsaid => {
                let open = self.inner.ledger.open_deliveries().of(id).count();
                let served = !draft.registry().systems_of(id).is_empty();
                if open > 0 || (draft.is_planned() && served) {
                    draft.fault(
                        "DELIVERIES_OPEN",
                        "deliveries",
                        format!("{code} còn {open} bản gửi chưa kết thúc nhận, hoặc có thể còn khi đóng. Nói rõ giữ nguyên hay chuyển theo cơ quan kế thừa (--deliveries stay|move)."),
                        format!("{code} has {open} open deliveries, or may have some then. Say whether they stay or move to the successor (--deliveries stay|move)."),
                    );
                }
            }
            OpenDeliveries::Move => {
                let [successor] = end.successors else {
                    return Err(due(
                        "deliveries",
                        "Chuyển bản gửi cần đúng một cơ quan kế thừa.",
                        "Moving deliveries needs exactly one successor.",
                    ));
                };
                let system = draft.registry().systems_of(*successor).first().cloned();
                match system {
                    Some(system) => draft.serve(vec![id.0], Some(&system), None),
                    None => draft.fault(
                        "SUCCESSOR_WITHOUT_SYSTEM",
                        "deliveries",
                        format!("Cơ quan kế thừa của {code} chưa có hệ thống kết nối vào {}; gán hệ thống trước (axis system serve).", draft.effective().iso()),
                        format!("The successor of {code} is served by no system at {}; give it one first (axis system serve).", draft.effective().iso()),
                    ),
                }
            }
        }
        Ok(())
    }

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
                due(
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

/// How agencies end.
struct End<'a> {
    successors: &'a [AgencyId],
    forward: bool,
    deliveries: OpenDeliveries,
    operation: AgencyOperation,
    reason: &'a str,
}

fn new_agency(draft: &Draft, facts: &AgencyFacts) -> Result<Agency, Refusal> {
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
fn known(draft: &Draft, order: &Order, code: &str) -> Result<AgencyId, Refusal> {
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

fn same_version(registry: &Registry, order: &Order) -> Result<(), Refusal> {
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

fn state_of(registry: &Registry, id: AgencyId) -> AgencyState {
    registry.agency(id).map(Agency::state).unwrap_or_default()
}

fn wrong_state(registry: &Registry, id: AgencyId, wanted: &str) -> Refusal {
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

pub(crate) fn due(path: &str, vi: &str, en: &str) -> Refusal {
    Refusal::new(Name::BadArgument).at(path, vi, en)
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
fn told(registry: &Registry, touched: &[Touched], now: Ms) -> Vec<ChangeRecord> {
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
