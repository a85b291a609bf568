//! How agencies end: closed, merged, split; and what becomes of what waits for them and of those
//! under them.

use ledger::event::{AgencyOperation, AgencyState};
use ledger::id::AgencyId;

use crate::draft::{Draft, children};
use crate::refusal::Refusal;
use crate::registrar::{
    ActRecord, Order, Successor, known, new_agency, same_version, state_of, wrong_state,
};
use crate::service::{Exchange, Operator};

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

/// How agencies end.
struct End<'a> {
    successors: &'a [AgencyId],
    forward: bool,
    deliveries: OpenDeliveries,
    operation: AgencyOperation,
    reason: &'a str,
}

/// Why it cannot be said what becomes of the deliveries of an agency that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// Nothing was said, and there are so many, or may be some then.
    Unsaid(usize),
    /// They cannot move to several successors, nor to none.
    NotOneSuccessor,
    /// They cannot move to a successor that no system serves.
    NoSystem,
}

impl Waiting {
    /// Its code, and how it is told of the agency with this code, in both languages.
    pub(crate) fn told(self, code: &str, draft: &Draft) -> (&'static str, String, String) {
        let at = draft.effective().iso();
        match self {
            Self::Unsaid(open) => (
                "DELIVERIES_OPEN",
                format!(
                    "{code} còn {open} bản gửi chưa kết thúc nhận, hoặc có thể còn khi đóng. Nói rõ giữ nguyên hay chuyển theo cơ quan kế thừa (--deliveries stay|move)."
                ),
                format!(
                    "{code} has {open} open deliveries, or may have some then. Say whether they stay or move to the successor (--deliveries stay|move)."
                ),
            ),
            Self::NotOneSuccessor => (
                "NOT_ONE_SUCCESSOR",
                format!("Chuyển bản gửi của {code} cần đúng một cơ quan kế thừa."),
                format!("Moving the deliveries of {code} needs exactly one successor."),
            ),
            Self::NoSystem => (
                "SUCCESSOR_WITHOUT_SYSTEM",
                format!(
                    "Cơ quan kế thừa của {code} chưa có hệ thống kết nối vào {at}; gán hệ thống trước (axis system serve)."
                ),
                format!(
                    "The successor of {code} is served by no system at {at}; give it one first (axis system serve)."
                ),
            ),
        }
    }
}

/// Does with what waits for a closed agency what was said; `open` counts its open deliveries.
pub(crate) fn end_deliveries(
    draft: &mut Draft,
    id: AgencyId,
    successors: &[AgencyId],
    said: OpenDeliveries,
    open: impl FnOnce(AgencyId) -> usize,
) -> Result<(), Waiting> {
    match said {
        OpenDeliveries::Stay => Ok(()),
        OpenDeliveries::Unsaid => {
            let open = open(id);
            let served = !draft.registry().systems_of(id).is_empty();
            if open > 0 || (draft.is_planned() && served) {
                return Err(Waiting::Unsaid(open));
            }
            Ok(())
        }
        OpenDeliveries::Move => {
            let [successor] = successors else {
                return Err(Waiting::NotOneSuccessor);
            };
            let system = draft.registry().systems_of(*successor).first().cloned();
            let system = system.ok_or(Waiting::NoSystem)?;
            draft.serve(vec![id.0], Some(&system), None);
            Ok(())
        }
    }
}

impl Exchange {
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
            return Err(Refusal::argument(
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
            return Err(Refusal::argument(
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
            return Err(Refusal::argument(
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
        let open = |id| self.inner.ledger.open_deliveries().of(id).count();
        match end_deliveries(draft, id, end.successors, end.deliveries, open) {
            Ok(()) => {}
            Err(Waiting::NotOneSuccessor) => {
                return Err(Refusal::argument(
                    "deliveries",
                    "Chuyển bản gửi cần đúng một cơ quan kế thừa.",
                    "Moving deliveries needs exactly one successor.",
                ));
            }
            Err(waiting) => {
                let code = draft
                    .registry()
                    .agency(id)
                    .map(|agency| agency.code.clone());
                let (name, vi, en) = waiting.told(&code.unwrap_or_default(), draft);
                draft.fault(name, "deliveries", vi, en);
            }
        }
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
}
