//! Packages that the axis makes itself: its 01 when a document is settled, its 15 when a
//! recall finds a document that was never fetched, and statuses built for a receiver's
//! system. Whole and with their ids before they are appended.

use bytes::Bytes;
use edxml::write::{StatusDraft, status};
use edxml::{AgencyCode, Date, Organ, ResponseFor, StatusCode, Timestamp};
use ledger::event::{Actor, DocumentFacts, PackageAccepted, PackageKind, Receiver, StatusFacts};
use ledger::id::{AgencyId, PackageId};
use ledger::registry::Registry;
use ledger::time::Ms;
use sha2::{Digest as _, Sha256};

use crate::types::{DeliveryState, Lane};

/// What the axis's own 01 says of itself.
const ARRIVED: &str =
    "Trục liên thông: hệ thống của bên nhận đã nhận văn bản (trạng thái do trục phát hành)";
/// What the axis's own 15 says of itself.
const TAKEN_BACK: &str = "Trục liên thông: văn bản được thu hồi trước khi bên nhận lấy về (trạng thái do trục phát hành)";

/// The document that a made status is about.
pub(crate) struct About<'a> {
    pub(crate) sender: AgencyId,
    pub(crate) sender_code: &'a str,
    pub(crate) key: &'a str,
    pub(crate) id: &'a str,
    /// `number/notation`.
    pub(crate) code: &'a str,
    pub(crate) date: &'a str,
}

/// The axis's own 01 for `receiver`, to the sender of the document.
pub(crate) fn arrived(
    registry: &Registry,
    document: &PackageAccepted,
    receiver: AgencyId,
    id: PackageId,
    now: Ms,
) -> Option<PackageAccepted> {
    let facts = document.document.as_ref()?;
    let written = document.receivers.iter().find(|r| r.agency == receiver.0);
    let code = number_and_notation(facts);
    let about = About {
        sender: AgencyId(document.sender),
        sender_code: &document.sender_code,
        key: &facts.document_key,
        id: facts.document_id.as_deref().unwrap_or(&facts.document_key),
        code: &code,
        date: &facts.promulgation_date,
    };
    let receiver_code = written.map_or("", |receiver| receiver.code.as_str());
    make(
        registry,
        &about,
        receiver,
        receiver_code,
        StatusCode::ARRIVED,
        ARRIVED,
        id,
        now,
    )
}

/// The axis's own 15 for a receiver that never fetched what is taken back.
pub(crate) fn taken_back(
    registry: &Registry,
    about: &About<'_>,
    receiver: AgencyId,
    receiver_code: &str,
    id: PackageId,
    now: Ms,
) -> Option<PackageAccepted> {
    make(
        registry,
        about,
        receiver,
        receiver_code,
        StatusCode::AGREED,
        TAKEN_BACK,
        id,
        now,
    )
}

/// Why a receiver is left out.
pub(crate) struct LeftOut<'a> {
    /// Update or replacement.
    pub(crate) kind: edxml::BusinessKind,
    /// Its number and notation.
    pub(crate) by: &'a str,
}

/// The 13 in the sender's name for a receiver that an update or replacement leaves out.
pub(crate) fn withdrawn(
    registry: &Registry,
    about: &About<'_>,
    receiver: AgencyId,
    why: &LeftOut<'_>,
    id: PackageId,
    now: Ms,
) -> Option<PackageAccepted> {
    let by = match why.kind {
        edxml::BusinessKind::Update => "được cập nhật",
        _ => "được thay thế",
    };
    let by_what = why.by;
    let description = format!(
        "Trục liên thông: văn bản {by} bởi {by_what}, cơ quan không còn trong danh sách nhận (yêu cầu do trục lập thay cơ quan gửi)"
    );
    make(
        registry,
        about,
        receiver,
        "",
        StatusCode::new(13)?,
        &description,
        id,
        now,
    )
}

pub(crate) fn number_and_notation(facts: &DocumentFacts) -> String {
    let code = edxml::Code {
        number: facts.number.clone(),
        notation: facts.notation.clone(),
    };
    code.to_string()
}

#[allow(clippy::too_many_arguments)] // the parts of one status, each of another kind
fn make(
    registry: &Registry,
    about: &About<'_>,
    receiver: AgencyId,
    receiver_code: &str,
    code: StatusCode,
    description: &str,
    id: PackageId,
    now: Ms,
) -> Option<PackageAccepted> {
    let reporter = registry.agency(receiver)?;
    let receiver_code = if receiver_code.is_empty() {
        &*reporter.code
    } else {
        receiver_code
    };
    // A 13 goes the other way: from the document's sender to its receiver.
    let asks = code.number() == 13;
    let sender_name = registry.agency(about.sender).map(|facts| &*facts.name);
    let (from, from_code, from_name, to, to_code) = if asks {
        (
            about.sender,
            about.sender_code,
            sender_name,
            receiver,
            receiver_code,
        )
    } else {
        let name = Some(&*reporter.name);
        (
            receiver,
            receiver_code,
            name,
            about.sender,
            about.sender_code,
        )
    };
    let draft = StatusDraft {
        from: Organ::new(from_code, from_name),
        response_for: ResponseFor {
            organ_id: AgencyCode::new(to_code),
            ..response_for(about)
        },
        staff: None,
        code,
        description: Some(description.to_owned()),
        timestamp: Timestamp::from_unix_seconds(now.0.div_euclid(1_000))?,
    };
    let bytes = match status(&draft) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) => {
            tracing::warn!(%error, "the axis could not make its own status; the exchange goes on without it");
            return None;
        }
    };
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    Some(PackageAccepted {
        id: Bytes::copy_from_slice(id.as_bytes()),
        accepted_at_ms: now.0,
        actor: Some(Actor {
            axis: true,
            ..Actor::default()
        }),
        kind: PackageKind::Status.into(),
        sender: from.0,
        sender_code: from_code.to_owned(),
        sha256: Bytes::copy_from_slice(&sha256),
        size: bytes.len() as u64,
        essence_sha256: Bytes::copy_from_slice(&sha256),
        made: bytes,
        lane: if asks { Lane::Flash } else { Lane::Status }.into(),
        receivers: vec![Receiver {
            agency: to.0,
            code: to_code.to_owned(),
            state: DeliveryState::Pending.into(),
            ..Receiver::default()
        }],
        status: Some(StatusFacts {
            code: u32::from(code.number()),
            document_key: about.key.to_owned(),
            document_code: about.code.to_owned(),
            promulgation_date: about.date.to_owned(),
            document_sender: Some(about.sender.0),
            cell_receiver: Some(receiver.0),
            description: description.to_owned(),
            timestamp: now.edxml(),
            made_by_axis: true,
            ..StatusFacts::default()
        }),
        day: now.day(),
        ..PackageAccepted::default()
    })
}

pub(crate) fn response_for(about: &About<'_>) -> ResponseFor {
    ResponseFor {
        organ_id: AgencyCode::new(about.sender_code),
        code: (!about.code.is_empty()).then(|| about.code.to_owned()),
        promulgation_date: Date::parse(about.date),
        document_id: Some(about.id.to_owned()),
    }
}
