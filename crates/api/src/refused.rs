//! A refusal on the wire: what a [`Refusal`] becomes as a `google.rpc.Status`, and back.
//!
//! | In the status | What |
//! |---|---|
//! | code, message | from the table of refusals; English, one line |
//! | `ErrorInfo` | reason = the name, domain = `axis.v1`; metadata `code`, `path`, `line`, `column` of the first thing at fault, `omitted` = how many found no room |
//! | `BadRequest` | one violation a thing at fault: field = path, reason = code, description = `line:column text` (English; no place if there is none), localized message = Vietnamese |
//! | `LocalizedMessage` | twice: `vi` and `en` |
//! | `RetryInfo` | if sending the same again may help |
//!
//! A status travels in one HTTP/2 header block, and common clients refuse blocks above 8 KiB.
//! So the things at fault are told in full while there is room, then in English only, and
//! the rest are counted.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use exchange::refusal::{GrpcCode, Name, Refusal};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

/// The `ErrorInfo` domain of every refusal.
pub const DOMAIN: &str = "axis.v1";

/// Bytes of details up to which findings are told in both languages, and at most.
const ROOM_FOR_BOTH: usize = 2_800;
const ROOM: usize = 4_000;
/// Longest text of one finding, and of the status message, in characters.
const TEXT: usize = 300;

/// The delay told when a retry helps and the refusal names no time.
const RETRY: Duration = Duration::from_secs(5);

/// A refusal as a client reads it from a status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusalView {
    /// The refusal's name, as in the table (`UNKNOWN_RECEIVER`).
    pub name: String,
    /// What is wrong, Vietnamese.
    pub message: String,
    /// The same, English.
    pub message_en: String,
    /// Each thing at fault, as far as the status had room.
    pub details: Vec<DetailView>,
    /// Things at fault that found no room in the status.
    pub omitted: u32,
    /// When sending the same again may help.
    pub retry_after: Option<Duration>,
}

/// One thing at fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DetailView {
    /// The finding's code, or the refusal's name.
    pub code: String,
    /// Element path or argument name.
    pub path: String,
    /// 1-based; 0 if there is none.
    pub line: u32,
    /// 1-based, in characters; 0 if there is none.
    pub column: u32,
    /// Vietnamese; empty if the status had no room for it.
    pub message: String,
    /// English.
    pub message_en: String,
}

impl fmt::Display for RefusalView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message_en)
    }
}

/// The gRPC code of the table's code.
pub(crate) const fn code(of: GrpcCode) -> Code {
    match of {
        GrpcCode::InvalidArgument => Code::InvalidArgument,
        GrpcCode::Unauthenticated => Code::Unauthenticated,
        GrpcCode::PermissionDenied => Code::PermissionDenied,
        GrpcCode::NotFound => Code::NotFound,
        GrpcCode::AlreadyExists => Code::AlreadyExists,
        GrpcCode::FailedPrecondition => Code::FailedPrecondition,
        GrpcCode::ResourceExhausted => Code::ResourceExhausted,
        GrpcCode::Unavailable => Code::Unavailable,
        GrpcCode::DataLoss => Code::DataLoss,
        GrpcCode::Aborted => Code::Aborted,
        GrpcCode::Internal => Code::Internal,
    }
}

/// A refusal without details, as a status.
pub(crate) fn named(name: Name) -> Status {
    status(&Refusal::new(name))
}

/// An argument that is not what it should be, as a status.
pub(crate) fn argument(path: &str, vi: impl Into<String>, en: impl Into<String>) -> Status {
    status(&Refusal::argument(path, vi, en))
}

/// The status that tells a refusal. The only place where this is decided.
pub(crate) fn status(refusal: &Refusal) -> Status {
    let row = refusal.name.row();
    let first = refusal.details.first();
    let mut info = HashMap::new();
    if let Some(first) = first {
        info.insert("code".to_owned(), first.code.clone());
        info.insert("path".to_owned(), cut(&first.path));
        info.insert("line".to_owned(), first.line.to_string());
        info.insert("column".to_owned(), first.column.to_string());
    }

    let mut violations = Vec::new();
    let mut used = 0;
    for detail in &refusal.details {
        let en = cut(&detail.message_en);
        let place = match detail.line {
            0 => String::new(),
            line => format!("{line}:{} ", detail.column),
        };
        let mut violation = pb::bad_request::FieldViolation {
            field: cut(&detail.path),
            description: format!("{place}{en}"),
            reason: detail.code.clone(),
            localized_message: Some(localized("vi", &detail.message)),
        };
        if used + violation.encoded_len() > ROOM_FOR_BOTH {
            violation.localized_message = None;
        }
        used += violation.encoded_len() + 4;
        if used > ROOM {
            let omitted = refusal.details.len() - violations.len();
            info.insert("omitted".to_owned(), omitted.to_string());
            break;
        }
        violations.push(violation);
    }

    let mut details = vec![any(
        "google.rpc.ErrorInfo",
        &pb::ErrorInfo {
            reason: row.name.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: info,
        },
    )];
    if !violations.is_empty() {
        let request = pb::BadRequest {
            field_violations: violations,
        };
        details.push(any("google.rpc.BadRequest", &request));
    }
    let vi = first.map_or(row.vi, |detail| &detail.message);
    let en = first.map_or(row.en, |detail| &detail.message_en);
    details.push(any("google.rpc.LocalizedMessage", &localized("vi", vi)));
    details.push(any("google.rpc.LocalizedMessage", &localized("en", en)));
    let after = refusal
        .retry_after_ms
        .map(Duration::from_millis)
        .or_else(|| row.retry.then_some(RETRY));
    if let Some(after) = after.and_then(|after| prost_types::Duration::try_from(after).ok()) {
        details.push(any(
            "google.rpc.RetryInfo",
            &pb::RetryInfo {
                retry_delay: Some(after),
            },
        ));
    }

    let code = code(row.grpc);
    let message = format!("{}: {}", row.name, cut(en));
    let body = pb::Status {
        code: code as i32,
        message: message.clone(),
        details,
    };
    Status::with_details(code, message, body.encode_to_vec().into())
}

/// The refusal that a status tells; `None` if it is not one of the axis's.
pub(crate) fn view(status: &Status) -> Option<RefusalView> {
    let body = pb::Status::decode(status.details()).ok()?;
    let mut view = RefusalView::default();
    let mut ours = false;
    for detail in &body.details {
        let bytes = detail.value.as_slice();
        match detail.type_url.rsplit('/').next().unwrap_or_default() {
            "google.rpc.ErrorInfo" => {
                let info = pb::ErrorInfo::decode(bytes).ok()?;
                ours = info.domain == DOMAIN;
                view.name = info.reason;
                let omitted = info.metadata.get("omitted").and_then(|n| n.parse().ok());
                view.omitted = omitted.unwrap_or(0);
            }
            "google.rpc.BadRequest" => {
                let request = pb::BadRequest::decode(bytes).ok()?;
                view.details
                    .extend(request.field_violations.into_iter().map(detail_view));
            }
            "google.rpc.LocalizedMessage" => {
                let message = pb::LocalizedMessage::decode(bytes).ok()?;
                match message.locale.as_str() {
                    "vi" => view.message = message.message,
                    _ => view.message_en = message.message,
                }
            }
            "google.rpc.RetryInfo" => {
                let retry = pb::RetryInfo::decode(bytes).ok()?;
                view.retry_after = retry.retry_delay.and_then(|after| after.try_into().ok());
            }
            _ => {}
        }
    }
    ours.then_some(view)
}

fn detail_view(violation: pb::bad_request::FieldViolation) -> DetailView {
    let (line, column, text) = place(&violation.description);
    DetailView {
        code: violation.reason,
        path: violation.field,
        line,
        column,
        message_en: text.to_owned(),
        message: violation
            .localized_message
            .map(|text| text.message)
            .unwrap_or_default(),
    }
}

/// Splits `12:5 text` into line, column and text; a text without a place has neither.
fn place(description: &str) -> (u32, u32, &str) {
    let split = || {
        let (place, text) = description.split_once(' ')?;
        let (line, column) = place.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?, text))
    };
    split().unwrap_or((0, 0, description))
}

fn localized(locale: &str, message: &str) -> pb::LocalizedMessage {
    pb::LocalizedMessage {
        locale: locale.to_owned(),
        message: cut(message),
    }
}

/// The text, at most [`TEXT`] characters of it.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::refusal::Detail;

    #[test]
    fn every_refusal_becomes_a_status_and_reads_back() {
        for &name in Name::ALL {
            let row = name.row();
            let status = named(name);
            assert_eq!(status.code(), code(row.grpc), "{}", row.name);
            assert_ne!(status.code(), Code::Ok);
            assert!(
                status.message().starts_with(row.name),
                "{}",
                status.message()
            );
            let view = view(&status).expect(row.name);
            assert_eq!(view.name, row.name);
            assert_eq!(
                (view.message.as_str(), view.message_en.as_str()),
                (row.vi, row.en)
            );
            assert_eq!(view.retry_after.is_some(), row.retry, "{}", row.name);
            assert!(view.details.is_empty() && view.omitted == 0);
        }
    }

    #[test]
    fn places_paths_and_both_texts_survive() {
        let refusal = Refusal {
            name: Name::BadPackage,
            details: vec![
                Detail {
                    code: "NO_NUMBER".into(),
                    path: "edXML/edXMLEnvelope".into(),
                    line: 12,
                    column: 5,
                    message: "Thiếu số".into(),
                    message_en: "3:4 is no number".into(),
                },
                Detail {
                    code: "NO_DATE".into(),
                    message_en: "No date".into(),
                    ..Detail::default()
                },
            ],
            retry_after_ms: Some(1_500),
        };
        let view = view(&status(&refusal)).expect("a refusal");
        assert_eq!(view.details.len(), 2);
        let first = &view.details[0];
        assert_eq!((first.line, first.column), (12, 5));
        assert_eq!(first.code, "NO_NUMBER");
        assert_eq!(first.path, "edXML/edXMLEnvelope");
        assert_eq!(first.message, "Thiếu số");
        assert_eq!(first.message_en, "3:4 is no number");
        assert_eq!(
            (view.details[1].line, view.details[1].message_en.as_str()),
            (0, "No date")
        );
        assert_eq!(view.retry_after, Some(Duration::from_millis(1_500)));
        assert_eq!(view.message, "Thiếu số");
    }

    #[test]
    fn the_first_detail_stands_in_error_info() {
        let refusal = Refusal::new(Name::UnknownReceiver).at("To[2]/OrganId", "sai", "wrong");
        let body = pb::Status::decode(status(&refusal).details()).expect("details");
        let info = pb::ErrorInfo::decode(body.details[0].value.as_slice()).expect("info first");
        assert_eq!(info.reason, "UNKNOWN_RECEIVER");
        assert_eq!(info.domain, "axis.v1");
        assert_eq!(info.metadata["path"], "To[2]/OrganId");
        assert_eq!(info.metadata["code"], "UNKNOWN_RECEIVER");
        assert_eq!(info.metadata["line"], "0");
    }

    #[test]
    fn a_status_fits_the_header_block_of_common_clients() {
        for (letter, most) in [("e", 8 * 1024), ("ữ", 16 * 1024)] {
            let mut refusal = Refusal::new(Name::UnknownReceiver);
            for n in 0..500 {
                let length = if n % 50 == 0 { 5_000 } else { 40 };
                let (vi, en) = ("ữ".repeat(length), letter.repeat(length));
                refusal = refusal.at(format!("To[{n}]/OrganId"), vi, en);
            }
            let status = status(&refusal);
            // As on the wire: base64 in the details, percent encoding in the message.
            let message: usize = status
                .message()
                .bytes()
                .map(|b| if b.is_ascii_graphic() { 1 } else { 3 })
                .sum();
            let size = status.details().len().div_ceil(3) * 4 + message;
            assert!(size < most, "{size}");
            let view = view(&status).expect("a refusal");
            assert_eq!(view.details.len() + view.omitted as usize, 500);
            assert!(view.details.len() > 5 && view.omitted > 0);
            assert_eq!(view.details[0].message.chars().count(), TEXT + 1);
            assert!(
                view.details
                    .iter()
                    .all(|detail| !detail.message_en.is_empty())
            );
        }
    }

    #[test]
    fn a_foreign_status_is_no_refusal() {
        assert_eq!(view(&Status::unavailable("connection refused")), None);
        let foreign = pb::Status {
            code: 3,
            message: String::new(),
            details: vec![],
        };
        let bytes = foreign.encode_to_vec();
        assert_eq!(
            view(&Status::with_details(Code::Internal, "", bytes.into())),
            None
        );
        assert_eq!(
            view(&Status::with_details(
                Code::Internal,
                "",
                vec![0xff; 9].into()
            )),
            None
        );
    }
}
