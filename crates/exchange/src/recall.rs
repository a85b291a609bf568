//! A recall that a system asks for by name (duties RC-01 to RC-04): the axis builds a status 13
//! for each receiver, and all of them are asked in one transaction, or none.

use std::collections::HashSet;

use bytes::Bytes;
use edxml::StatusCode;
use journal::Payload;
use ledger::id::{AgencyId, PackageId};
use ledger::registry::Registry;
use ledger::rows::DocumentKey;
use ledger::{Accept, Command, Committed};

use crate::admission::{self, Candidate, document_key, reason_missing};
use crate::made::{About, number_and_notation};
use crate::refusal::{Name, Refusal};
use crate::service::{Caller, Exchange, Peer, party};
use crate::status::{Known, Said, reporters, said};
use crate::types::{DocumentRef, Party, PushOptions, RecallAnswer, Staff};

/// What is to be taken back, and from whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recall {
    /// The document's edXML DocumentId.
    pub document_id: String,
    /// From these receivers (any of their codes); empty = from all that have the document.
    pub to: Vec<String>,
    /// The document's sender; may be left out if only one agency of the system sent it.
    pub from: Option<String>,
    /// Why; every receiver reads it.
    pub reason: String,
    /// Who answers for it.
    pub staff: Staff,
}

/// A receiver that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// The receiver.
    pub receiver: Party,
    /// The status 13 that asks it.
    pub package: PackageId,
    /// Asked: it has had the document and must answer. Agreed: the axis took the document back
    /// before it was fetched.
    pub answer: RecallAnswer,
}

const CODE: u8 = 13;

impl Exchange {
    /// Takes a document back from receivers, all in one transaction.
    ///
    /// # Errors
    /// A [`Refusal`], and then nobody is asked: REASON_MISSING; UNKNOWN_DOCUMENT;
    /// UNKNOWN_RECEIVER and NOT_A_RECEIVER, naming each receiver at fault; BAD_ARGUMENT if
    /// several agencies of the system sent such a document; what a push brings.
    pub async fn recall(
        &self,
        peer: &Peer,
        recall: Recall,
    ) -> Result<(Party, Vec<Recalled>), Refusal> {
        let inner = &self.inner;
        if recall.reason.trim().is_empty() {
            return Err(reason_missing(CODE));
        }
        let share = inner.begin(peer)?;
        inner.still_valid(peer)?;
        let registry = inner.ledger.registry();
        let (sender, known) = self.to_take_back(&registry, peer, &recall).await?;
        let receivers = named(&registry, &known, &recall.to)?;
        let now = inner.now();
        let facts = known.first.document.clone().unwrap_or_default();
        let number = number_and_notation(&facts);
        let mut all = Vec::with_capacity(receivers.len());
        for (receiver, code) in &receivers {
            let about = About {
                sender: *receiver,
                sender_code: code,
                key: &facts.document_key,
                id: facts.document_id.as_deref().unwrap_or(&facts.document_key),
                code: &number,
                date: &facts.promulgation_date,
            };
            let what = Said {
                code: StatusCode::new(CODE).ok_or_else(|| Refusal::new(Name::Internal))?,
                reason: &recall.reason,
                staff: &recall.staff,
            };
            let bytes = said(
                &registry,
                &about,
                sender,
                recall.from.as_deref(),
                &what,
                now,
            )?;
            let mut admitted = admission::admit(
                &registry,
                peer.system(),
                &Candidate::of(&bytes),
                PushOptions::default(),
                &inner.rules,
                inner.ledger.next_package_id(),
                now,
            )?;
            admitted.facts.made = Bytes::from(bytes);
            all.push(Accept {
                own_15: inner.own_15(&admitted.facts, now),
                package: admitted.facts,
                payload: Payload::None,
                withdrawals: Vec::new(),
            });
        }
        let committed = inner.commit(Command::AcceptAll(all)).await?;
        let Committed::AllAccepted(accepted) = committed else {
            return Err(Refusal::new(Name::Internal));
        };
        drop(share);
        let asked = accepted.iter().filter(|accepted| accepted.anchor.is_some());
        metrics::counter!("axis_statuses_total", "code" => "13").increment(asked.count() as u64);
        let document = DocumentRef::Document {
            sender: registry
                .agency(sender)
                .map_or_else(String::new, |agency| agency.code.to_string()),
            document_id: recall.document_id,
        };
        let matrix = self.matrix(&Caller::System(peer.clone()), document).await?;
        let told = receivers.iter().zip(&accepted).map(|((agency, code), of)| {
            let receiver = party(&registry, *agency, code);
            let mut cells = matrix.cells.iter();
            let cell = cells.find(|cell| cell.receiver.main_code == receiver.main_code);
            let answer = cell.and_then(|cell| cell.recall.as_ref());
            Recalled {
                answer: answer.map_or(RecallAnswer::Asked, |recall| recall.answer),
                package: of.package,
                receiver,
            }
        });
        Ok((matrix.sender, told.collect()))
    }

    /// The document of an agency of the system, and whose it is.
    async fn to_take_back(
        &self,
        registry: &Registry,
        peer: &Peer,
        recall: &Recall,
    ) -> Result<(AgencyId, Known), Refusal> {
        let key = document_key(&recall.document_id);
        let mut found = None;
        for agency in reporters(registry, peer, recall.from.as_deref())? {
            let document = DocumentKey::of(agency, &key);
            let Some(known) = self.inner.known(document).await? else {
                continue;
            };
            if found.replace((agency, known)).is_some() {
                return Err(Refusal::argument(
                    "from",
                    "Nhiều cơ quan của hệ thống đã gửi văn bản mang mã này: nêu from.",
                    "Several agencies of the system sent a document with this id: name from.",
                ));
            }
        }
        found.ok_or_else(|| {
            let id = &recall.document_id;
            Refusal::new(Name::UnknownDocument).at(
                "document_id",
                format!("Cơ quan của hệ thống chưa gửi văn bản {id:?} qua trục."),
                format!("No agency of the system has sent a document {id:?} through the axis."),
            )
        })
    }
}

/// The receivers that are named, each once, under the code by which it was named; all that
/// have the document if none is.
fn named(
    registry: &Registry,
    known: &Known,
    to: &[String],
) -> Result<Vec<(AgencyId, String)>, Refusal> {
    if to.is_empty() {
        let code = |agency: &AgencyId| {
            let facts = registry.agency(*agency);
            facts.map_or_else(String::new, |facts| facts.code.to_string())
        };
        let all = known.holders.iter().map(|agency| (*agency, code(agency)));
        return Ok(all.collect());
    }
    let (mut found, mut seen) = (Vec::with_capacity(to.len()), HashSet::new());
    let mut refused: Option<Refusal> = None;
    for code in to {
        let (name, vi, en) = match registry.resolve(code) {
            Some(agency) if known.holders.contains(&agency) => {
                if seen.insert(agency) {
                    found.push((agency, code.clone()));
                }
                continue;
            }
            Some(_) => (
                Name::NotAReceiver,
                format!("{code:?} chưa từng được gửi văn bản này."),
                format!("{code:?} never got this document."),
            ),
            None => (
                Name::UnknownReceiver,
                format!("Mã cơ quan {code:?} không có trong danh mục."),
                format!("The code {code:?} is not registered."),
            ),
        };
        // All are told at once; the first names the refusal.
        let more = Refusal::new(name).at("to", vi, en);
        match &mut refused {
            Some(first) => first.details.extend(more.details),
            None => refused = Some(more),
        }
    }
    refused.map_or(Ok(found), Err)
}
