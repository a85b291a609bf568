//! Statuses: reports built for a receiver's system, and the matrix of a document.

use bytes::Bytes;
use edxml::write::StatusDraft;
use edxml::{Organ, StatusCode, Timestamp};
use ledger::event::{PackageAccepted, PackageKind};
use ledger::id::{AgencyId, DeliveryId, PackageId};
use ledger::registry::Registry;
use ledger::rows::{CellRow, DeliveryRow, DocumentKey, HolderRow};
use ledger::time::Ms;

use crate::admission::{document_key, reason_missing};
use crate::agencies::not_registered;
use crate::made::{About, number_and_notation, response_for};
use crate::refusal::{Name, Refusal};
use crate::service::{Caller, Exchange, Inner, Peer, party};
use crate::types::{
    Cell, DocumentRef, Matrix, PushOptions, RecallAnswer, RecallState, Receipt, Report, Staff,
    StatusEvent,
};

/// The first package of a document and who holds it.
pub(crate) struct Known {
    pub(crate) first: PackageAccepted,
    pub(crate) holders: Vec<AgencyId>,
}

/// What a status says.
pub(crate) struct Said<'a> {
    pub(crate) code: StatusCode,
    pub(crate) reason: &'a str,
    pub(crate) staff: &'a Staff,
}

impl Exchange {
    /// Builds a status package and pushes it for the reporting agency.
    ///
    /// # Errors
    /// BAD_ARGUMENT with the argument's name, UNKNOWN_RECEIVER, UNKNOWN_DOCUMENT,
    /// REASON_MISSING, or what a push brings.
    pub async fn report(&self, peer: &Peer, report: Report) -> Result<Receipt, Refusal> {
        let inner = &self.inner;
        let registry = inner.ledger.registry();
        let code = StatusCode::parse(&report.code).ok_or_else(|| {
            Refusal::argument(
                "code",
                format!("Mã trạng thái {:?} không phải hai chữ số.", report.code),
                format!("The status code {:?} is not two digits.", report.code),
            )
        })?;
        if code.needs_reason() && report.reason.trim().is_empty() {
            return Err(reason_missing(code.number()));
        }
        let to = registry.resolve(&report.to).ok_or_else(|| {
            Refusal::new(Name::UnknownReceiver).at(
                "to",
                format!("Mã cơ quan {:?} không có trong danh mục.", report.to),
                format!("The code {:?} is not registered.", report.to),
            )
        })?;
        let is_take_back = code.number() == 13;
        let key = document_key(&report.document_id);
        let candidates = reporters(&registry, peer, report.from.as_deref())?;
        let mut found = None;
        for from in &candidates {
            let sender = if is_take_back { *from } else { to };
            let Some(known) = inner.known(DocumentKey::of(sender, &key)).await? else {
                continue;
            };
            let concerned = if is_take_back { to } else { *from };
            if known.holders.contains(&concerned) || candidates.len() == 1 {
                found = Some((*from, known));
                break;
            }
        }
        let Some((from, known)) = found else {
            return Err(Refusal::new(Name::UnknownDocument).at(
                "document_id",
                format!(
                    "Trục không biết văn bản {:?} giữa {} và cơ quan của hệ thống.",
                    report.document_id, report.to
                ),
                format!(
                    "The axis knows no document {:?} between {} and an agency of the system.",
                    report.document_id, report.to
                ),
            ));
        };
        let now = inner.now();
        let facts = known.first.document.clone().unwrap_or_default();
        let number = number_and_notation(&facts);
        let about = About {
            sender: to,
            sender_code: &report.to,
            key: &facts.document_key,
            id: facts.document_id.as_deref().unwrap_or(&facts.document_key),
            code: &number,
            date: &facts.promulgation_date,
        };
        let what = Said {
            code,
            reason: &report.reason,
            staff: &report.staff,
        };
        let bytes = said(&registry, &about, from, report.from.as_deref(), &what, now)?;
        self.push(peer, Bytes::from(bytes), PushOptions::default())
            .await
    }

    /// The state of a document at each of its receivers. A system sees documents that its
    /// agencies sent or received.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn matrix(&self, caller: &Caller, document: DocumentRef) -> Result<Matrix, Refusal> {
        let inner = &self.inner;
        let registry = inner.ledger.registry();
        let not_found = || Refusal::new(Name::NotFound);
        let document = inner.document_of(document).await?;
        let known = inner.known(document).await?.ok_or_else(not_found)?;
        let mut sees = None;
        if let Caller::System(peer) = caller {
            let mine = |agency: AgencyId| registry.systems_of(agency).contains(peer.system());
            if !mine(document.sender) {
                // A receiver sees its own cells; those of the others are the sender's to see.
                let own: Vec<_> = known
                    .holders
                    .iter()
                    .copied()
                    .filter(|id| mine(*id))
                    .collect();
                if own.is_empty() {
                    return Err(not_found());
                }
                sees = Some(own);
            }
        }
        let now = inner.now();
        let read = inner
            .ask(move |query| {
                let holders = query.holders(document);
                let mut cells = Vec::with_capacity(holders.len());
                for (agency, holder) in holders {
                    if sees.as_ref().is_some_and(|own| !own.contains(&agency)) {
                        continue;
                    }
                    let Some(package) = PackageId::from_slice(&holder.package) else {
                        continue;
                    };
                    let delivery = DeliveryId::of(package, agency);
                    let row = query.delivery(delivery).unwrap_or_default();
                    let cell = query.cell(document, agency);
                    let mut events = Vec::new();
                    for event in query.cell_events(document, agency) {
                        let Some(package) = PackageId::from_slice(&event.package) else {
                            continue;
                        };
                        let said = query
                            .package(package)?
                            .and_then(|package| package.facts.status)
                            .unwrap_or_default();
                        events.push(StatusEvent {
                            package,
                            code: u8::try_from(event.code).unwrap_or_default(),
                            at: Ms(event.at),
                            reason_class: said.reason_class(),
                            description: said.description,
                            staff: said.staff,
                            timestamp: said.timestamp,
                            made_by_axis: event.made_by_axis,
                        });
                    }
                    let asked_at = asked_at(query, &holder)?;
                    let overdue = query.is_overdue(document, agency, now);
                    let recall = asked_at.map(|(request, at)| recall(&cell, request, at, &events));
                    cells.push((
                        agency,
                        delivery,
                        row,
                        cell.current(),
                        recall,
                        overdue,
                        events,
                    ));
                }
                Ok(cells)
            })
            .await?;
        let facts = known.first.document.clone().unwrap_or_default();
        Ok(Matrix {
            document_id: facts.document_id.unwrap_or(facts.document_key),
            sender: party(&registry, document.sender, &known.first.sender_code),
            level: u8::try_from(known.first.level).unwrap_or_default(),
            due_at: facts.due_at_ms.map(Ms),
            cells: read
                .into_iter()
                .map(|(agency, delivery, row, status, recall, overdue, events)| {
                    let row: DeliveryRow = row;
                    Cell {
                        receiver: party(&registry, agency, ""),
                        delivery,
                        state: row.state(),
                        round: row.round,
                        status,
                        recall: recall.map(|state: RecallState| {
                            let open = state.answer == RecallAnswer::Asked;
                            let limit = inner.options.alerts.unanswered;
                            if open && inner.is_late(state.asked_at, now, limit) {
                                let answer = RecallAnswer::NoAnswer;
                                return RecallState { answer, ..state };
                            }
                            state
                        }),
                        overdue,
                        events,
                    }
                })
                .collect(),
        })
    }
}

/// The package that asked a receiver for the document, and when.
fn asked_at(
    query: &ledger::Query,
    holder: &HolderRow,
) -> Result<Option<(PackageId, Ms)>, ledger::QueryError> {
    let Some(request) = PackageId::from_slice(&holder.recalled_by) else {
        return Ok(None);
    };
    let package = query.package(request)?;
    Ok(package.map(|package| (request, Ms(package.facts.accepted_at_ms))))
}

fn recall(cell: &CellRow, request: PackageId, asked_at: Ms, events: &[StatusEvent]) -> RecallState {
    // In one record the request stands first: the axis's own 15 answers it there.
    let answer = match cell.answer_code {
        _ if cell.answer < cell.request || cell.answer == 0 => RecallAnswer::Asked,
        15 => RecallAnswer::Agreed,
        _ => RecallAnswer::Refused,
    };
    let said = match answer {
        RecallAnswer::Asked | RecallAnswer::NoAnswer => None,
        _ => events.iter().rfind(|event| matches!(event.code, 15 | 16)),
    };
    RecallState {
        answer,
        request,
        asked_at,
        reason: said
            .map(|event| event.description.clone())
            .unwrap_or_default(),
    }
}

impl Inner {
    /// The document that is named.
    pub(crate) async fn document_of(&self, document: DocumentRef) -> Result<DocumentKey, Refusal> {
        match document {
            DocumentRef::Document {
                sender,
                document_id,
            } => {
                let registry = self.ledger.registry();
                let sender = registry
                    .resolve(&sender)
                    .ok_or_else(|| not_registered(&sender, "sender"))?;
                Ok(DocumentKey::of(sender, &document_key(&document_id)))
            }
            DocumentRef::Package(id) => {
                let package = self.ask(move |query| query.package(id)).await?;
                package
                    .and_then(|package| package.document_key())
                    .ok_or_else(|| Refusal::new(Name::NotFound))
            }
        }
    }

    /// What is known of a document; `None` if nothing of it came.
    pub(crate) async fn known(&self, document: DocumentKey) -> Result<Option<Known>, Refusal> {
        self.ask(move |query| {
            let holders = query.holders(document);
            for id in query.about(document) {
                if let Some(package) = query.package(id)?
                    && package.facts.kind == PackageKind::Document as i32
                {
                    let holders = holders.into_iter().map(|(agency, _)| agency).collect();
                    return Ok(Some(Known {
                        first: package.facts,
                        holders,
                    }));
                }
            }
            Ok(None)
        })
        .await
    }
}

/// A status package of `from`, under the code by which it was named or else its own.
pub(crate) fn said(
    registry: &Registry,
    about: &About<'_>,
    from: AgencyId,
    from_code: Option<&str>,
    what: &Said<'_>,
    now: Ms,
) -> Result<Vec<u8>, Refusal> {
    let reporter = registry.agency(from).cloned().unwrap_or_default();
    let from_code = from_code.unwrap_or(&reporter.code);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let staff = edxml::Staff {
        department: text(&what.staff.department),
        name: text(&what.staff.name),
        mobile: text(&what.staff.mobile),
        email: text(&what.staff.email),
    };
    let draft = StatusDraft {
        from: Organ::new(from_code, Some(&reporter.name)),
        response_for: response_for(about),
        staff: (staff != edxml::Staff::default()).then_some(staff),
        code: what.code,
        description: text(what.reason),
        timestamp: timestamp(now)?,
    };
    edxml::write::status(&draft).map_err(|error| {
        let text = error.to_string();
        Refusal::argument(
            "reason",
            format!("Không lập được gói trạng thái: {text}."),
            format!("The status package cannot be built: {text}."),
        )
    })
}

/// The agencies that may be reporting: the one named, or all of the system.
pub(crate) fn reporters(
    registry: &Registry,
    peer: &Peer,
    from: Option<&str>,
) -> Result<Vec<AgencyId>, Refusal> {
    let own = |agency: &AgencyId| registry.systems_of(*agency).contains(peer.system());
    match from {
        Some(code) => {
            let agency = registry.resolve(code).filter(own).ok_or_else(|| {
                Refusal::new(Name::ForeignSender).at(
                    "from",
                    format!(
                        "Mã {code:?} không phải là cơ quan của hệ thống {}.",
                        peer.system()
                    ),
                    format!(
                        "The code {code:?} is not an agency of the system {}.",
                        peer.system()
                    ),
                )
            })?;
            Ok(vec![agency])
        }
        None => Ok(registry.served_by(peer.system()).collect()),
    }
}

fn timestamp(now: Ms) -> Result<Timestamp, Refusal> {
    Timestamp::from_unix_seconds(now.0.div_euclid(1_000))
        .ok_or_else(|| Refusal::new(Name::Internal))
}
