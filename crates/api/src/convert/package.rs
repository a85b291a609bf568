//! Packages and deliveries: receipts, headers, settles.

use edxml::StatusCode;
use exchange::refusal::Refusal;
use exchange::{Facts, Header, Outcome, PushOptions, Receipt, Settle, Settled};
use ledger::time::Ms;

use super::{agency, delivery_id, hex, kind, lane, state, status_code};
use crate::{refused, v1};

/// Longest reason of a settle, in bytes.
const REASON: usize = 2_000;

pub(crate) fn push_options(options: Option<v1::PushOptions>) -> PushOptions {
    let v1::PushOptions { accept_known } = options.unwrap_or_default();
    PushOptions { accept_known }
}

pub(crate) fn receipt(receipt: Receipt) -> v1::Receipt {
    v1::Receipt {
        package_id: receipt.package.to_string(),
        kind: kind(receipt.kind).into(),
        sha256: hex(&receipt.sha256),
        size: receipt.size,
        accepted_at: receipt.accepted_at.iso_ms(),
        receivers: receipt
            .receivers
            .into_iter()
            .map(|receiver| v1::ReceiverReceipt {
                agency: Some(agency(receiver.agency)),
                delivery_id: receiver.delivery.to_string(),
                duplicate: receiver.duplicate,
                package_id: receiver.package.to_string(),
                forwarded_from: receiver.forwarded_from,
            })
            .collect(),
        duplicate: receipt.duplicate,
        warnings: receipt
            .warnings
            .into_iter()
            .map(|warning| v1::Finding {
                code: warning.code,
                severity: v1::Severity::Warning.into(),
                path: warning.path,
                line: warning.line,
                column: warning.column,
                message: warning.message,
                message_en: warning.message_en,
            })
            .collect(),
        anchor: receipt.anchor,
        evidence: receipt.evidence,
        document_id: receipt.document_id,
        omitted: receipt
            .omitted
            .into_iter()
            .map(|(code, reason)| v1::OmittedReceiver {
                code,
                reason: reason.to_owned(),
            })
            .collect(),
    }
}

pub(crate) fn header(header: Header) -> v1::DeliveryHeader {
    let (document, status) = facts(header.facts);
    v1::DeliveryHeader {
        delivery_id: header.delivery.to_string(),
        package_id: header.package.to_string(),
        kind: kind(header.kind).into(),
        sender: Some(agency(header.sender)),
        receiver: Some(agency(header.receiver)),
        lane: lane(header.lane).into(),
        level: u32::from(header.level),
        round: header.round,
        redelivered: header.redelivered,
        sha256: hex(&header.sha256),
        size: header.size,
        accepted_at: header.accepted_at.iso_ms(),
        leased_until: header
            .leased_until
            .map(|until| until.iso_ms())
            .unwrap_or_default(),
        document,
        status,
    }
}

/// The header's part of its kind.
pub(super) fn facts(facts: Facts) -> (Option<v1::DocumentHeader>, Option<v1::StatusHeader>) {
    match facts {
        Facts::Document(document) => {
            let document = *document;
            let document = v1::DocumentHeader {
                document_id: document.document_id,
                business: document.business,
                number: document.number,
                notation: document.notation,
                promulgation_date: document.promulgation_date,
                subject: document.subject,
                type_name: document.type_name,
                signer: document.signer,
                due_date: document.due_date,
                due_at: document
                    .due_at_ms
                    .map(|at| Ms(at).iso())
                    .unwrap_or_default(),
                particulars: document.particulars.map(particulars),
                attachments: document.attachments,
                targets: document.targets,
            };
            (Some(document), None)
        }
        Facts::Status(status) => {
            let status = v1::StatusHeader {
                code: status_code(status.code),
                label: label(status.code),
                reason_class: reason_class(status.reason_class()),
                staff: status.staff,
                timestamp: status.timestamp,
                document_id: status.document_key,
                description: status.description,
                made_by_axis: status.made_by_axis,
            };
            (None, Some(status))
        }
    }
}

fn particulars(of: ledger::event::Particulars) -> v1::Particulars {
    v1::Particulars {
        content: of.content,
        place: of.place,
        type_class: of.type_class,
        type_detail: of.type_detail,
        signer_position: of.signer_position,
        signer_competence: of.signer_competence,
        to_places: of.to_places,
        sphere: of.sphere,
        typer_notation: of.typer_notation,
        copies: of.copies,
        pages: of.pages,
        appendixes: of.appendixes,
        paper: of.paper,
        steering_type: of.steering_type,
        reason: of.reason,
        staff: of.staff,
        answers: of.answers,
        sender_name: of.sender_name,
    }
}

/// The class of a refusal's reason; empty if it has none.
pub(crate) fn reason_class(class: exchange::ReasonClass) -> String {
    if class == exchange::ReasonClass::Unspecified {
        return String::new();
    }
    exchange::reason_word(class).to_owned()
}

/// What a status code means, Vietnamese; empty if the standard has none.
pub(crate) fn label(code: u32) -> String {
    let code = u8::try_from(code).ok().and_then(StatusCode::new);
    code.map(|code| code.label_vi().to_owned())
        .unwrap_or_default()
}

/// A settle as a client wrote it. `via` is how it came.
pub(crate) fn settle(request: v1::SettleRequest, via: &'static str) -> Result<Settle, Refusal> {
    let outcome = match v1::Outcome::try_from(request.outcome) {
        Ok(v1::Outcome::Acknowledged) => Outcome::Acknowledged,
        Ok(v1::Outcome::Failed) => Outcome::Failed,
        Ok(v1::Outcome::Released) => Outcome::Released,
        Ok(v1::Outcome::Unspecified) | Err(_) => {
            return Err(Refusal::argument(
                "outcome",
                "Phải là acknowledged, failed hoặc released.",
                "Must be acknowledged, failed or released.",
            ));
        }
    };
    if request.reason.len() > REASON {
        return Err(Refusal::argument(
            "reason",
            format!("Lý do tối đa {REASON} byte."),
            format!("A reason has at most {REASON} bytes."),
        ));
    }
    Ok(Settle {
        delivery: delivery_id(&request.delivery_id)?,
        round: request.round,
        outcome,
        sha256: match request.sha256.as_str() {
            "" => None,
            text => Some(super::from_hex("sha256", text)?),
        },
        reason: request.reason,
        via,
    })
}

pub(crate) fn settled(settled: &Settled) -> v1::SettleResponse {
    v1::SettleResponse {
        delivery_id: settled.delivery.to_string(),
        state: state(settled.state).into(),
        settled_at: settled.at.iso_ms(),
        changed: settled.changed,
    }
}

/// A settle on a stream that was refused.
pub(crate) fn settle_refused(delivery_id: String, refusal: &Refusal) -> v1::SettleRefused {
    let row = refusal.name.row();
    let first = refusal.details.first();
    v1::SettleRefused {
        delivery_id,
        reason: row.name.to_owned(),
        message: first.map_or(row.vi, |detail| &detail.message).to_owned(),
        message_en: first.map_or(row.en, |detail| &detail.message_en).to_owned(),
    }
}

/// A message's chunk is longer than the contract allows.
pub(crate) fn long_chunk(length: usize, most: usize) -> tonic::Status {
    refused::argument(
        "chunk",
        format!("Mỗi đoạn tối đa {most} byte; đoạn này có {length}."),
        format!("A chunk has at most {most} bytes; this one has {length}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(outcome: i32, reason: &str) -> v1::SettleRequest {
        let delivery_id = "6d1f3b0e-5a0c-5b55-9c0e-617869730001".to_owned();
        v1::SettleRequest {
            delivery_id,
            round: 3,
            outcome,
            reason: reason.to_owned(),
            sha256: String::new(),
        }
    }

    #[test]
    fn a_settle_needs_an_outcome_and_a_delivery() {
        let read = settle(request(1, ""), "settle").unwrap();
        assert_eq!(
            (read.outcome, read.round, read.via),
            (Outcome::Acknowledged, 3, "settle")
        );
        assert_eq!(
            settle(request(2, "hỏng"), "settle").unwrap().outcome,
            Outcome::Failed
        );
        assert_eq!(
            settle(request(3, ""), "settle").unwrap().outcome,
            Outcome::Released
        );
        let path = |request| {
            settle(request, "settle").unwrap_err().details[0]
                .path
                .clone()
        };
        assert_eq!(path(request(0, "")), "outcome");
        assert_eq!(path(request(9, "")), "outcome");
        assert_eq!(path(request(1, &"x".repeat(REASON + 1))), "reason");
        let unknown = v1::SettleRequest {
            delivery_id: "1".into(),
            ..request(1, "")
        };
        assert_eq!(path(unknown), "delivery_id");
    }

    #[test]
    fn labels_are_those_of_the_standard() {
        assert!(!label(1).is_empty());
        assert_ne!(label(1), label(6));
        assert_eq!(label(100), "");
        assert_eq!(status_code(3), "03");
    }
}
