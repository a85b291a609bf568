//! The answers to letters: JSON, with the outcome in a header as well.

use bus::headers::Headers;
use bytes::Bytes;
use exchange::refusal::Refusal;
use serde_json::{Value, json};

use crate::v1;

/// The header that says how it went: `accepted`, `settled` or `refused`.
pub const OUTCOME: &str = "axis-outcome";

type Answer = (Headers, Bytes);

fn answer(outcome: &'static str, mut body: Value) -> Answer {
    body["outcome"] = outcome.into();
    let headers = Headers::from_iter([(OUTCOME, outcome)]);
    (headers, body.to_string().into())
}

/// To a package: its receipt, with the fields of `axis send --json`.
pub(super) fn accepted(receipt: &v1::Receipt) -> Answer {
    let code = |agency: &Option<v1::Agency>| {
        let agency = agency.as_ref();
        agency.map_or(String::new(), |agency| agency.code.clone())
    };
    let findings: Vec<Value> = receipt
        .warnings
        .iter()
        .map(|finding| {
            json!({
                "code": finding.code, "path": finding.path,
                "line": finding.line, "column": finding.column,
                "message": finding.message, "message_en": finding.message_en,
            })
        })
        .collect();
    let deliveries: Vec<Value> = receipt
        .receivers
        .iter()
        .map(|receiver| {
            json!({
                "id": receiver.delivery_id, "receiver": code(&receiver.agency),
                "receiver_name": receiver.agency.as_ref().map(|agency| &agency.name),
                "duplicate": receiver.duplicate, "package": receiver.package_id,
            })
        })
        .collect();
    let omitted: Vec<Value> = receipt
        .omitted
        .iter()
        .map(|omitted| json!({ "receiver": omitted.code, "reason": omitted.reason }))
        .collect();
    let kind = match receipt.kind() {
        v1::PackageKind::Status => "status",
        _ => "document",
    };
    answer(
        "accepted",
        json!({
            "id": receipt.package_id, "kind": kind, "sha256": receipt.sha256,
            "size": receipt.size, "accepted_at": receipt.accepted_at,
            "duplicate": receipt.duplicate, "document": receipt.document_id,
            "deliveries": deliveries, "omitted": omitted, "warnings": findings,
            "anchor": receipt.anchor,
        }),
    )
}

/// To a settle.
pub(super) fn settled(settled: &v1::SettleResponse) -> Answer {
    let state = settled.state().as_str_name();
    let state = state.trim_start_matches("DELIVERY_STATE_").to_lowercase();
    answer(
        "settled",
        json!({
            "delivery": settled.delivery_id, "state": state,
            "settled_at": settled.settled_at, "changed": settled.changed,
        }),
    )
}

/// A refusal: its name, what is at fault, and when to send again if that helps.
pub(super) fn refused(refusal: &Refusal) -> Answer {
    let row = refusal.name.row();
    let details: Vec<Value> = refusal
        .details
        .iter()
        .map(|detail| {
            json!({
                "code": detail.code, "path": detail.path,
                "line": detail.line, "column": detail.column,
                "message": detail.message, "message_en": detail.message_en,
            })
        })
        .collect();
    answer(
        "refused",
        json!({
            "name": row.name, "message": row.vi, "message_en": row.en,
            "retry": row.retry, "retry_after_ms": refusal.retry_after_ms,
            "details": details,
        }),
    )
}
