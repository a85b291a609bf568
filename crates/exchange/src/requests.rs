//! What systems ask of the registry: an agency to be added, changed or closed. A request is a
//! recorded change that gives nobody anything; a registrar approves or does otherwise.

use ledger::event::{AgencyOperation, AgencyState};
use ledger::id::AgencyId;
use ledger::registry::Agency;

use crate::draft::Draft;
use crate::refusal::{Name, Refusal};
use crate::registrar::{AgencyFacts, new_agency};
use crate::service::{Exchange, Peer};

/// Requested agencies that may wait for a registrar's word. More would only bury them.
const MOST: usize = 1_000;

impl Exchange {
    /// Files a request to add an agency: it stands in the registry as `requested`, and sends and
    /// receives nothing before it is approved. One that is registered already is to be changed:
    /// that stands with it until a registrar does it. The same request again changes nothing.
    ///
    /// # Errors
    /// BAD_REGISTRY with each thing at fault, NOT_FOUND for its parent, WRONG_AGENCY_STATE for a
    /// closed one, LIMIT_REACHED while too many wait; the ledger's.
    pub async fn request_agency(&self, peer: &Peer, facts: &AgencyFacts) -> Result<(), Refusal> {
        let wanted = |agency: &Agency| {
            let mut differs = Vec::new();
            for (what, is, asked) in [
                ("tên", &agency.name, &facts.name),
                ("liên hệ", &agency.contact, &facts.contact),
            ] {
                if !asked.is_empty() && **is != **asked {
                    differs.push(format!("{what}: {asked:?}"));
                }
            }
            differs
        };
        self.file(peer, |draft| {
            let Some(id) = draft.registry().resolve(&facts.code) else {
                let requested =
                    |(_, agency): &(AgencyId, &Agency)| agency.state == AgencyState::Requested;
                if draft.registry().agencies().filter(requested).count() >= MOST {
                    return Err(too_many());
                }
                let mut agency = new_agency(draft, facts)?;
                agency.state = AgencyState::Requested;
                draft.add(agency, AgencyOperation::Request);
                return Ok(());
            };
            let Some(agency) = draft.registry().agency(id) else {
                return Err(Refusal::new(Name::NotFound));
            };
            match agency.state {
                AgencyState::Closed => Err(closed(&facts.code)),
                AgencyState::Requested => {
                    let mut asked = new_agency(draft, facts)?;
                    asked.state = AgencyState::Requested;
                    draft.set(id, AgencyOperation::Request, |agency| *agency = asked);
                    Ok(())
                }
                _ => {
                    let mut differs = wanted(agency);
                    let parent = facts.parent.as_str();
                    if !parent.is_empty() && agency.parent != Some(draft.find(parent, "pcode")?) {
                        differs.push(format!("cơ quan cấp trên: {parent:?}"));
                    }
                    if !differs.is_empty() {
                        let asked =
                            format!("{} đề nghị thay đổi: {}", peer.system(), differs.join("; "));
                        ask(draft, id, &asked);
                    }
                    Ok(())
                }
            }
        })
        .await
    }

    /// Files a request to close an agency of the calling system. The same request again changes
    /// nothing, nor does one for an agency that is closed.
    ///
    /// # Errors
    /// NOT_FOUND; PERMISSION_DENIED for another system's agency; the ledger's.
    pub async fn request_closing(&self, peer: &Peer, code: &str) -> Result<(), Refusal> {
        self.file(peer, |draft| {
            let id = draft.find(code, "AgencyCode")?;
            let registry = draft.registry();
            let state = crate::registrar::state_of(registry, id);
            if state == AgencyState::Closed {
                return Ok(());
            }
            // One that was only asked for is nobody's yet; who asked may think otherwise.
            let own = registry.systems_of(id).contains(peer.system());
            if !own && state != AgencyState::Requested {
                return Err(Refusal::new(Name::PermissionDenied).at(
                    "AgencyCode",
                    format!("Cơ quan {code} không thuộc hệ thống đang gọi."),
                    format!("The agency {code} is not of the calling system."),
                ));
            }
            ask(draft, id, &format!("{} đề nghị đóng", peer.system()));
            Ok(())
        })
        .await
    }

    async fn file(
        &self,
        peer: &Peer,
        mut make: impl FnMut(&mut Draft) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.inner.still_valid(peer)?;
        let now = self.inner.now();
        self.inner
            .change_registry(|registry| {
                let mut draft = Draft::new(registry, peer.actor(), now, now, "");
                make(&mut draft)?;
                let (facts, _, _) = draft.finish()?;
                Ok((facts, ()))
            })
            .await
    }
}

/// Writes what is asked for beside the agency; nothing else of it changes.
fn ask(draft: &mut Draft, id: AgencyId, asked: &str) {
    draft.set(id, AgencyOperation::Request, |agency| {
        if agency.state != AgencyState::Suspended {
            agency.reason = asked.into();
        } else if !agency.reason.contains(asked) {
            // Why it is suspended is told on.
            agency.reason = format!("{} ({asked})", agency.reason).into();
        }
    });
}

fn closed(code: &str) -> Refusal {
    Refusal::new(Name::WrongAgencyState).at(
        "code",
        format!("Cơ quan {code} đã đóng; đề nghị quản trị trục mở lại."),
        format!("The agency {code} is closed; ask the operator to reopen it."),
    )
}

fn too_many() -> Refusal {
    Refusal::new(Name::LimitReached)
        .at(
            "code",
            format!("Đã có {MOST} đề nghị chờ duyệt; gửi lại sau khi quản trị trục duyệt bớt."),
            format!("{MOST} requests wait for approval; come again when some are decided."),
        )
        .retry_after(3_600_000)
}
