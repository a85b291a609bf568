//! Receivers that an update or replacement leaves out (duty RC-05; NĐ 30/2020 Art. 18.3): the
//! axis takes the document back from them in the sender's name, in the same transaction.
//!
//! An update says who leaves in its ReceiverList. A replacement leaves out whoever holds a
//! replaced document and is not among its receivers; where its ReplacementInfo lists
//! receivers, only these.

use edxml::{BusinessKind, Document, Package};
use ledger::Withdrawal;
use ledger::event::PackageAccepted;
use ledger::id::AgencyId;
use ledger::registry::Registry;
use ledger::rows::DocumentKey;
use ledger::time::Ms;

use crate::admission::{Candidate, document_key};
use crate::made::{self, About, number_and_notation};
use crate::refusal::Refusal;
use crate::service::Inner;

/// The codes that an update adds to its receivers and that do not stand in To.
pub(crate) fn added<'a>(document: &'a Document, registry: &Registry) -> Vec<&'a str> {
    if document.business.kind != BusinessKind::Update {
        return Vec::new();
    }
    let known = |code: &str| {
        let agency = registry.resolve(code);
        agency.is_some()
            && document
                .to
                .iter()
                .any(|organ| registry.resolve(organ.id.as_str()) == agency)
    };
    document
        .business
        .receivers
        .iter()
        .filter(|change| change.added == Some(true))
        .map(|change| change.organ_id.as_str())
        .filter(|code| !known(code))
        .collect()
}

impl Inner {
    /// The recalls that an admitted package may make due, each whole; the sequencer takes
    /// those of receivers that hold the document when it is appended.
    pub(crate) async fn withdrawals(
        &self,
        candidate: &Candidate,
        facts: &PackageAccepted,
        now: Ms,
    ) -> Result<Vec<Withdrawal>, Refusal> {
        let (Some(Package::Document(document)), Some(of)) =
            (&candidate.reading.package, &facts.document)
        else {
            return Ok(Vec::new());
        };
        let registry = self.ledger.registry();
        let sender = AgencyId(facts.sender);
        let stays = |agency: AgencyId| facts.receivers.iter().any(|r| r.agency == agency.0);
        let mut left: Vec<(String, AgencyId)> = Vec::new();
        match document.business.kind {
            BusinessKind::Update => {
                let leaving = document.business.receivers.iter();
                let leaving = leaving
                    .filter(|change| change.added == Some(false))
                    .filter_map(|change| registry.resolve(change.organ_id.as_str()))
                    .filter(|agency| !stays(*agency));
                for agency in leaving {
                    left.extend(of.targets.iter().map(|target| (target.clone(), agency)));
                }
            }
            BusinessKind::Replace => {
                for target in &of.targets {
                    let key = DocumentKey::of(sender, target);
                    let holders = self.ask(move |query| Ok(query.holders(key))).await?;
                    let listed = listed(document, target, &registry);
                    let leaving = holders
                        .into_iter()
                        .filter(|(agency, holder)| {
                            !stays(*agency)
                                && holder.recalled_by.is_empty()
                                && (listed.is_empty() || listed.contains(agency))
                        })
                        .map(|(agency, _)| (target.clone(), agency));
                    left.extend(leaving);
                }
            }
            _ => {}
        }
        left.sort();
        left.dedup();
        let by = number_and_notation(of);
        let mut made = Vec::with_capacity(left.len());
        for (target, receiver) in left {
            let Some(old) = self.first_of(DocumentKey::of(sender, &target)).await? else {
                continue;
            };
            let code = number_and_notation(&old);
            let about = About {
                sender,
                sender_code: &facts.sender_code,
                key: &target,
                id: old.document_id.as_deref().unwrap_or(&target),
                code: &code,
                date: &old.promulgation_date,
            };
            let id = self.ledger.next_package_id();
            let why = made::LeftOut {
                kind: document.business.kind,
                by: &by,
            };
            let Some(recall) = made::withdrawn(&registry, &about, receiver, &why, id, now) else {
                continue;
            };
            let id = self.ledger.next_package_id();
            let own_15 = made::taken_back(&registry, &about, receiver, "", id, now);
            made.push(Withdrawal {
                receiver,
                target,
                recall,
                own_15,
            });
        }
        Ok(made)
    }

    /// The facts of a document's first package.
    async fn first_of(
        &self,
        document: DocumentKey,
    ) -> Result<Option<ledger::event::DocumentFacts>, Refusal> {
        self.ask(move |query| {
            for id in query.about(document) {
                if let Some(package) = query.package(id)?
                    && let Some(facts) = package.facts.document
                {
                    return Ok(Some(facts));
                }
            }
            Ok(None)
        })
        .await
    }
}

/// The receivers that the replacement lists for a replaced document.
fn listed(document: &Document, target: &str, registry: &Registry) -> Vec<AgencyId> {
    let of_target = document.business.replacements.iter().filter(|replaced| {
        replaced
            .document_id
            .as_deref()
            .is_some_and(|id| document_key(id) == target)
    });
    of_target
        .flat_map(|replaced| &replaced.organ_ids)
        .filter_map(|code| registry.resolve(code.as_str()))
        .collect()
}
