//! The published list of agencies, for everybody: `/registry/v1/…` (duty RG-04).
//!
//! What is told here was published on purpose (`axis registry publish`): no contacts, no names
//! of people, nothing of systems. A version never changes, so it may be kept for ever; the last
//! one is asked for again after a minute (duty RG-07), and costs nothing if it is the same:
//! `ETag` and `Last-Modified` answer 304.
//!
//! * `agencies.json`, `agencies.csv`: the last version
//! * `agencies/{code}`: one agency of it, by any of its codes
//! * `versions`: all versions, with when and how they were sent to the ministry
//! * `versions/{number}/agencies.json`, `….csv`: one version

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use exchange::refusal::{Name, Refusal};
use exchange::{Exchange, Publication};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use ledger::time::Ms;
use serde_json::json;

/// How long the last version may be kept before it is asked for again.
const FRESH: &str = "public, max-age=60";
/// A version by its number never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub(crate) fn routes(exchange: &Exchange) -> Router {
    Router::new()
        .route("/registry/v1/agencies.json", get(last_json))
        .route("/registry/v1/agencies.csv", get(last_csv))
        .route("/registry/v1/agencies/{code}", get(agency))
        .route("/registry/v1/versions", get(versions))
        .route(
            "/registry/v1/versions/{version}/agencies.json",
            get(json_of),
        )
        .route("/registry/v1/versions/{version}/agencies.csv", get(csv_of))
        .with_state(exchange.clone())
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Csv,
}

async fn last_json(State(exchange): State<Exchange>, asked: HeaderMap) -> Response {
    list(&exchange, None, Form::Json, &asked).await
}

async fn last_csv(State(exchange): State<Exchange>, asked: HeaderMap) -> Response {
    list(&exchange, None, Form::Csv, &asked).await
}

async fn json_of(
    State(exchange): State<Exchange>,
    Path(version): Path<u64>,
    asked: HeaderMap,
) -> Response {
    list(&exchange, Some(version), Form::Json, &asked).await
}

async fn csv_of(
    State(exchange): State<Exchange>,
    Path(version): Path<u64>,
    asked: HeaderMap,
) -> Response {
    list(&exchange, Some(version), Form::Csv, &asked).await
}

async fn list(
    exchange: &Exchange,
    version: Option<u64>,
    form: Form,
    asked: &HeaderMap,
) -> Response {
    let publication = match exchange.publication(version).await {
        Ok(publication) => publication,
        Err(refusal) => return refused(&refusal),
    };
    let (mime, suffix, body) = match form {
        Form::Json => ("application/json", "json", publication.json.clone()),
        Form::Csv => ("text/csv; charset=utf-8", "csv", publication.csv.clone()),
    };
    let kept = if version.is_some() { FOR_EVER } else { FRESH };
    answer(&publication, suffix, mime, kept, body, asked)
}

async fn agency(
    State(exchange): State<Exchange>,
    Path(code): Path<String>,
    asked: HeaderMap,
) -> Response {
    let publication = match exchange.publication(None).await {
        Ok(publication) => publication,
        Err(refusal) => return refused(&refusal),
    };
    let Some(agency) = publication.agency(&code) else {
        return error(
            StatusCode::NOT_FOUND,
            "Mã cơ quan không có trong danh mục đã công bố.",
            "The code is not in the published list.",
        );
    };
    let body = json!({ "version": publication.about.version, "agency": agency }).to_string();
    // The whole list's tag serves each of its agencies: they change together.
    answer(
        &publication,
        "agency",
        "application/json",
        FRESH,
        body.into(),
        &asked,
    )
}

async fn versions(State(exchange): State<Exchange>) -> Response {
    let versions = match exchange.publications().await {
        Ok(versions) => versions,
        Err(refusal) => return refused(&refusal),
    };
    let told = versions.iter().map(|one| {
        let sent = one.sent.as_ref();
        json!({
            "version": one.version,
            "published_at": one.at.iso(),
            "as_of": one.as_of.iso(),
            "agencies": one.agencies,
            "sha256": hex(&one.sha256),
            "note": one.note,
            "sent_on": sent.map(|sent| day(sent.day)),
            "sent_document": sent.map(|sent| sent.document.as_str()),
        })
    });
    let body = json!({ "versions": told.collect::<Vec<_>>() }).to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, FRESH),
    ];
    (headers, body).into_response()
}

/// The answer with what caches need, or 304 if the caller has it already.
fn answer(
    publication: &Arc<Publication>,
    suffix: &str,
    mime: &'static str,
    kept: &'static str,
    body: Bytes,
    asked: &HeaderMap,
) -> Response {
    let about = &publication.about;
    let tag = format!("\"{}-{suffix}\"", &hex(&about.sha256)[..32]);
    let modified = about.at;
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ETAG, &tag);
    set(header::CACHE_CONTROL, kept);
    set(
        HeaderName::from_static("axis-list-version"),
        &about.version.to_string(),
    );
    if let Some(date) = http_date(modified) {
        set(header::LAST_MODIFIED, &date);
    }
    if has_already(asked, &tag, modified) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    set(header::CONTENT_TYPE, mime);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    (StatusCode::OK, headers, body).into_response()
}

/// RFC 9110, 13.1: a tag counts before a date.
fn has_already(asked: &HeaderMap, tag: &str, modified: Ms) -> bool {
    let mut tags = asked.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.filter_map(|value| value.to_str().ok()).any(|value| {
            value
                .split(',')
                .map(|one| one.trim().trim_start_matches("W/"))
                .any(|one| one == "*" || one == tag)
        });
    }
    let since = asked
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| rfc2822::DateTimeParser::new().parse_timestamp(value).ok());
    since.is_some_and(|since| modified.0 / 1_000 <= since.as_second())
}

fn http_date(at: Ms) -> Option<String> {
    let at = Timestamp::from_millisecond(at.0).ok()?;
    rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .ok()
}

/// A day counted from 1970-01-01.
fn day(days: i32) -> String {
    Ms(i64::from(days) * 86_400_000).iso()[..10].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refused(refusal: &Refusal) -> Response {
    let told = refusal.details.first();
    match (refusal.name, told) {
        (Name::NotFound, Some(detail)) => {
            error(StatusCode::NOT_FOUND, &detail.message, &detail.message_en)
        }
        _ => error(
            StatusCode::SERVICE_UNAVAILABLE,
            "Danh mục tạm thời không đọc được.",
            "The list cannot be read for now.",
        ),
    }
}

fn error(status: StatusCode, vi: &str, en: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let body = json!({ "error": vi, "error_en": en }).to_string();
    (status, headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn who_has_it_already_is_told_so() {
        let at = Ms(1_795_309_200_504);
        let date = http_date(at).unwrap();
        assert!(date.ends_with(" GMT"), "{date}");
        let has = |asked: &HeaderMap| has_already(asked, "\"ab-json\"", at);
        assert!(!has(&HeaderMap::new()));
        for tags in ["\"ab-json\"", "\"x\", W/\"ab-json\"", "*"] {
            assert!(has(&asked(header::IF_NONE_MATCH, tags)), "{tags}");
        }
        assert!(!has(&asked(header::IF_NONE_MATCH, "\"ab-csv\"")));
        assert!(has(&asked(header::IF_MODIFIED_SINCE, &date)));
        let before = http_date(Ms(at.0 - 2_000)).unwrap();
        assert!(!has(&asked(header::IF_MODIFIED_SINCE, &before)));
        // A tag that does not fit counts, whatever the date says.
        let mut both = asked(header::IF_MODIFIED_SINCE, &date);
        both.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""));
        assert!(!has(&both));
    }
}
