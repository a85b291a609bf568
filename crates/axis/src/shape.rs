//! The objects that `--json` prints: stable, documented in `docs/cli.md`. What is absent is
//! `null`; times are ISO 8601 with `+07:00`; hashes are hex.

mod particulars;
mod queues;
mod registry;

use api::v1;
use serde::Serialize;

pub(crate) use particulars::Particulars;
pub(crate) use queues::{Dead, Pause, Queue, Why};
pub(crate) use registry::{
    Agency, Change, Difference, FieldChange, Limits, Publication, System, UnknownCode,
};

use crate::words;

/// A text that may be absent.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The code of an agency, as written in the package if it came from one.
pub(crate) fn code(agency: Option<&v1::Agency>) -> String {
    agency.map_or_else(String::new, |agency| {
        if agency.code.is_empty() {
            &agency.main_code
        } else {
            &agency.code
        }
        .clone()
    })
}

/// The registered name of an agency.
pub(crate) fn name(agency: Option<&v1::Agency>) -> &str {
    agency.map_or("", |agency| agency.name.as_str())
}

/// A finding in a package.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) code: String,
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) message: String,
    pub(crate) message_en: String,
}

impl From<&v1::Finding> for Finding {
    fn from(of: &v1::Finding) -> Self {
        Self {
            code: of.code.clone(),
            path: of.path.clone(),
            line: of.line,
            column: of.column,
            message: of.message.clone(),
            message_en: of.message_en.clone(),
        }
    }
}

/// A receipt.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Receipt {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) accepted_at: String,
    pub(crate) receivers: Vec<String>,
    pub(crate) duplicate: bool,
    pub(crate) warnings: Vec<Finding>,
    pub(crate) anchor: String,
    pub(crate) document: Option<String>,
    pub(crate) deliveries: Vec<ReceiptDelivery>,
    pub(crate) omitted: Vec<Omitted>,
}

/// One receiver's delivery in a receipt.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReceiptDelivery {
    pub(crate) id: String,
    pub(crate) receiver: String,
    pub(crate) receiver_name: Option<String>,
    pub(crate) duplicate: bool,
    pub(crate) package: String,
}

/// A receiver that `--accept-known` left out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Omitted {
    pub(crate) receiver: String,
    pub(crate) reason: String,
}

impl From<&v1::Receipt> for Receipt {
    fn from(of: &v1::Receipt) -> Self {
        Self {
            id: of.package_id.clone(),
            kind: words::kind(of.kind()),
            sha256: of.sha256.clone(),
            size: of.size,
            accepted_at: of.accepted_at.clone(),
            receivers: of
                .receivers
                .iter()
                .map(|receiver| code(receiver.agency.as_ref()))
                .collect(),
            duplicate: of.duplicate,
            warnings: of.warnings.iter().map(Finding::from).collect(),
            anchor: of.anchor.clone(),
            document: of.document_id.clone(),
            deliveries: of
                .receivers
                .iter()
                .map(|receiver| ReceiptDelivery {
                    id: receiver.delivery_id.clone(),
                    receiver: code(receiver.agency.as_ref()),
                    receiver_name: some(name(receiver.agency.as_ref())),
                    duplicate: receiver.duplicate,
                    package: receiver.package_id.clone(),
                })
                .collect(),
            omitted: of
                .omitted
                .iter()
                .map(|omitted| Omitted {
                    receiver: omitted.code.clone(),
                    reason: omitted.reason.clone(),
                })
                .collect(),
        }
    }
}

/// A package in a search or a trace.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) sender: String,
    pub(crate) sender_name: Option<String>,
    pub(crate) accepted_at: String,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    pub(crate) level: u32,
    pub(crate) content_removed: bool,
    pub(crate) document: Option<Document>,
    pub(crate) status: Option<Status>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// What a document says of itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Document {
    pub(crate) id: Option<String>,
    pub(crate) business: u32,
    pub(crate) number: String,
    pub(crate) notation: String,
    pub(crate) promulgation_date: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) type_name: Option<String>,
    pub(crate) signer: Option<String>,
    pub(crate) due_date: Option<String>,
    pub(crate) due_at: Option<String>,
    pub(crate) attachments: Vec<String>,
    pub(crate) targets: Vec<String>,
    #[serde(flatten)]
    pub(crate) particulars: Particulars,
}

/// What a status says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    pub(crate) code: String,
    pub(crate) label: String,
    pub(crate) document: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) staff: Option<String>,
    pub(crate) timestamp: Option<String>,
    pub(crate) reason_class: Option<String>,
    pub(crate) made_by_axis: bool,
}

/// A delivery in a search or a trace.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) receiver: String,
    pub(crate) receiver_name: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) round: u32,
    pub(crate) changed_at: Option<String>,
    pub(crate) status: Option<String>,
}

impl From<&v1::PackageSummary> for Package {
    fn from(of: &v1::PackageSummary) -> Self {
        Self {
            id: of.package_id.clone(),
            kind: words::kind(of.kind()),
            sender: code(of.sender.as_ref()),
            sender_name: some(name(of.sender.as_ref())),
            accepted_at: of.accepted_at.clone(),
            sha256: of.sha256.clone(),
            size: of.size,
            level: of.level,
            content_removed: of.content_removed,
            document: of.document.as_ref().map(|document| Document {
                id: document.document_id.clone(),
                business: document.business,
                number: document.number.clone(),
                notation: document.notation.clone(),
                promulgation_date: some(&document.promulgation_date),
                subject: some(&document.subject),
                type_name: some(&document.type_name),
                signer: some(&document.signer),
                due_date: some(&document.due_date),
                due_at: some(&document.due_at),
                attachments: document.attachments.clone(),
                targets: document.targets.clone(),
                particulars: Particulars::from(document.particulars.clone().unwrap_or_default()),
            }),
            status: of.status.as_ref().map(|status| Status {
                code: status.code.clone(),
                label: status.label.clone(),
                document: some(&status.document_id),
                description: some(&status.description),
                staff: some(&status.staff),
                timestamp: some(&status.timestamp),
                reason_class: some(&status.reason_class),
                made_by_axis: status.made_by_axis,
            }),
            deliveries: of
                .deliveries
                .iter()
                .map(|delivery| Delivery {
                    id: delivery.delivery_id.clone(),
                    receiver: code(delivery.receiver.as_ref()),
                    receiver_name: some(name(delivery.receiver.as_ref())),
                    state: words::state(delivery.state()),
                    round: delivery.round,
                    changed_at: some(&delivery.changed_at),
                    status: some(&delivery.status),
                })
                .collect(),
        }
    }
}

/// A refused push.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RefusedPush {
    pub(crate) at: String,
    pub(crate) system: String,
    pub(crate) code: String,
    pub(crate) sender: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) size: u64,
    pub(crate) path: Option<String>,
    pub(crate) count: u32,
}

impl From<&v1::RefusalSummary> for RefusedPush {
    fn from(of: &v1::RefusalSummary) -> Self {
        Self {
            at: of.at.clone(),
            system: of.system.clone(),
            code: of.code.clone(),
            sender: some(&of.sender_code),
            sha256: some(&of.sha256),
            size: of.size,
            path: some(&of.path),
            count: of.count,
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) package: String,
    pub(crate) delivery: Option<String>,
    pub(crate) agency: Option<String>,
    pub(crate) actor: String,
    pub(crate) via: Option<String>,
    pub(crate) detail: String,
    pub(crate) detail_en: String,
    pub(crate) sha256: Option<String>,
    pub(crate) round: u32,
    pub(crate) anchor: Option<String>,
}

/// A story.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trace {
    pub(crate) id: String,
    pub(crate) packages: Vec<Package>,
    pub(crate) events: Vec<Event>,
}

impl Trace {
    /// The story that was asked for by `id`.
    pub(crate) fn of(id: &str, trace: &v1::TraceResponse) -> Self {
        Self {
            id: id.to_owned(),
            packages: trace.packages.iter().map(Package::from).collect(),
            events: trace
                .events
                .iter()
                .map(|event| Event {
                    at: event.at.clone(),
                    kind: event.kind.clone(),
                    package: event.package_id.clone(),
                    delivery: some(&event.delivery_id),
                    agency: event.agency.as_ref().map(|agency| code(Some(agency))),
                    actor: event.actor.clone(),
                    via: some(&event.via),
                    detail: event.detail.clone(),
                    detail_en: event.detail_en.clone(),
                    sha256: some(&event.sha256),
                    round: event.round,
                    anchor: some(&event.anchor),
                })
                .collect(),
        }
    }
}

/// A status whose document has not come.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Unmatched {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) label: String,
    pub(crate) sender: String,
    pub(crate) document_sender: String,
    pub(crate) at: String,
    pub(crate) document_id: Option<String>,
    pub(crate) document_code: String,
    pub(crate) promulgation_date: String,
    pub(crate) description: String,
}

impl From<&v1::UnmatchedStatus> for Unmatched {
    fn from(of: &v1::UnmatchedStatus) -> Self {
        Self {
            id: of.package_id.clone(),
            code: of.code.clone(),
            label: of.label.clone(),
            sender: code(of.sender.as_ref()),
            document_sender: code(of.document_sender.as_ref()),
            at: of.at.clone(),
            document_id: some(&of.document_id),
            document_code: of.document_code.clone(),
            promulgation_date: of.promulgation_date.clone(),
            description: of.description.clone(),
        }
    }
}

/// A number that more than one document of an agency has in one year.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DuplicateNumber {
    pub(crate) agency: String,
    pub(crate) year: i32,
    pub(crate) number: String,
    pub(crate) documents: Vec<NumberedDocument>,
}

/// One of the documents under a number.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NumberedDocument {
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) promulgation_date: String,
    pub(crate) subject: String,
    pub(crate) accepted_at: String,
}

impl From<&v1::DuplicateNumber> for DuplicateNumber {
    fn from(of: &v1::DuplicateNumber) -> Self {
        let documents = of.documents.iter();
        Self {
            agency: code(of.agency.as_ref()),
            year: of.year,
            number: of.number.clone(),
            documents: documents
                .map(|document| NumberedDocument {
                    id: document.package_id.clone(),
                    document: document.document_id.clone(),
                    promulgation_date: document.promulgation_date.clone(),
                    subject: document.subject.clone(),
                    accepted_at: document.accepted_at.clone(),
                })
                .collect(),
        }
    }
}

/// A status as it comes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Watched {
    pub(crate) token: String,
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) sender: String,
    pub(crate) receiver: String,
    pub(crate) code: String,
    pub(crate) label: String,
    pub(crate) at: String,
    pub(crate) description: String,
    pub(crate) made_by_axis: bool,
}

impl Watched {
    /// Of a change and the token behind it.
    pub(crate) fn of(token: &str, change: &v1::StatusChange) -> Self {
        Self {
            token: token.to_owned(),
            id: change.package_id.clone(),
            document: change.document_id.clone(),
            sender: code(change.sender.as_ref()),
            receiver: code(change.receiver.as_ref()),
            code: change.code.clone(),
            label: change.label.clone(),
            at: change.at.clone(),
            description: change.description.clone(),
            made_by_axis: change.made_by_axis,
        }
    }
}

/// The statuses of a document, one cell a receiver.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Matrix {
    pub(crate) document: String,
    pub(crate) sender: String,
    pub(crate) sender_name: Option<String>,
    pub(crate) level: u32,
    pub(crate) due_at: Option<String>,
    pub(crate) counts: MatrixCounts,
    pub(crate) cells: Vec<Cell>,
}

/// How many receivers stand where; each is counted once, but for `overdue`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MatrixCounts {
    pub(crate) receivers: u32,
    pub(crate) waiting: u32,
    pub(crate) received: u32,
    pub(crate) finished: u32,
    pub(crate) refused: u32,
    pub(crate) recalled: u32,
    pub(crate) failed: u32,
    pub(crate) overdue: u32,
}

/// The recall of a document at one receiver.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Recall {
    pub(crate) answer: String,
    pub(crate) package: String,
    pub(crate) asked_at: String,
    pub(crate) reason: Option<String>,
}

/// One receiver's cell.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) receiver: String,
    pub(crate) receiver_name: Option<String>,
    pub(crate) delivery: String,
    pub(crate) state: &'static str,
    pub(crate) round: u32,
    pub(crate) status: Option<String>,
    pub(crate) status_label: Option<String>,
    pub(crate) recall: Option<Recall>,
    pub(crate) overdue: bool,
    pub(crate) events: Vec<StatusEvent>,
}

/// One status that came.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StatusEvent {
    pub(crate) package: String,
    pub(crate) code: String,
    pub(crate) label: String,
    pub(crate) at: String,
    pub(crate) description: Option<String>,
    pub(crate) staff: Option<String>,
    pub(crate) timestamp: Option<String>,
    pub(crate) reason_class: Option<String>,
    pub(crate) made_by_axis: bool,
}

impl From<&v1::MatrixResponse> for Matrix {
    fn from(of: &v1::MatrixResponse) -> Self {
        Self {
            document: of.document_id.clone(),
            sender: code(of.sender.as_ref()),
            sender_name: some(name(of.sender.as_ref())),
            level: of.level,
            due_at: some(&of.due_at),
            counts: MatrixCounts::from(of.counts.unwrap_or_default()),
            cells: of
                .cells
                .iter()
                .map(|cell| Cell {
                    receiver: code(cell.receiver.as_ref()),
                    receiver_name: some(name(cell.receiver.as_ref())),
                    delivery: cell.delivery_id.clone(),
                    state: words::state(cell.delivery_state()),
                    round: cell.round,
                    status: some(&cell.status),
                    status_label: some(&cell.status_label),
                    recall: cell.recall.as_ref().map(|recall| Recall {
                        answer: recall.answer.clone(),
                        package: recall.request_package_id.clone(),
                        asked_at: recall.asked_at.clone(),
                        reason: some(&recall.reason),
                    }),
                    overdue: cell.overdue,
                    events: cell
                        .events
                        .iter()
                        .map(|event| StatusEvent {
                            package: event.package_id.clone(),
                            code: event.code.clone(),
                            label: event.label.clone(),
                            at: event.at.clone(),
                            description: some(&event.description),
                            staff: some(&event.staff),
                            timestamp: some(&event.timestamp),
                            reason_class: some(&event.reason_class),
                            made_by_axis: event.made_by_axis,
                        })
                        .collect(),
                })
                .collect(),
        }
    }
}

impl From<v1::MatrixCounts> for MatrixCounts {
    fn from(of: v1::MatrixCounts) -> Self {
        Self {
            receivers: of.receivers,
            waiting: of.waiting,
            received: of.received,
            finished: of.finished,
            refused: of.refused,
            recalled: of.recalled,
            failed: of.failed,
            overdue: of.overdue,
        }
    }
}
