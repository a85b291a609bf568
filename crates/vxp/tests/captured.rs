//! The official client's requests, as they came over the wire when SDKVXP 2.0.1 was run against
//! a throwaway server (`data/captured.jsonl`; invented credentials).

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use vxp::Operation;
use vxp::package::PackageBody;
use vxp::signature::{Claim, HeaderFault};

#[derive(Deserialize)]
struct Captured {
    operation: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body_base64: Option<String>,
    answer: serde_json::Value,
}

fn captured() -> Vec<Captured> {
    include_str!("data/captured.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn headers(of: &Captured) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &of.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn secret(system: &str) -> &'static [u8] {
    match system {
        "sys-a" => b"key-a",
        "sys-b" => b"key-b",
        other => panic!("{other}"),
    }
}

#[test]
fn nb_03_every_request_of_the_official_client_is_understood_and_its_signature_holds() {
    let captured = captured();
    assert_eq!(captured.len(), 27);
    for request in &captured {
        let claim = Claim::read(&headers(request)).unwrap();
        // One was sent with a wrong secret, to see what the client makes of the refusal.
        let wrong = request.answer["ErrorCode"] == "15";
        assert_eq!(
            claim.is_signed_with(secret(claim.system())),
            !wrong,
            "{}",
            request.operation
        );
        assert!(!claim.is_signed_with(b"key-c"));
        assert!(claim.timestamp().is_some());
        let operation = Operation::of_path(&request.path).unwrap();
        assert_eq!(operation.name(), request.operation);
        assert!(operation.takes(&request.method.parse().unwrap()));
        assert_eq!(claim.parameters().get("SYSTEMID"), Some(claim.system()));
    }
}

#[test]
fn the_files_that_it_sends_are_what_it_has_hashed() {
    let mut packages = 0;
    for request in captured().iter().filter(|one| one.operation == "sendEdoc") {
        let claim = Claim::read(&headers(request)).unwrap();
        let announced = claim.parameters().get("hash-file").unwrap();
        let sent = Bytes::from(
            STANDARD
                .decode(request.body_base64.as_deref().unwrap())
                .unwrap(),
        );
        let mut body = PackageBody::new(announced);
        let mut file = Vec::new();
        body.push(&sent, |bytes| file.extend(bytes)).unwrap();
        body.end(|bytes| file.extend(bytes)).unwrap();
        assert_eq!(file, sent[..sent.len() - 2], "all but the appended CR LF");
        packages += 1;
    }
    assert!(packages >= 4);
}

/// Parameters of earlier calls are there and signed, whatever the operation.
#[test]
fn parameters_of_earlier_calls_leak_into_later_ones() {
    let leaks = captured().iter().any(|request| {
        let claim = Claim::read(&headers(request)).unwrap();
        request.operation == "updateStatus" && claim.parameters().get("filePath").is_some()
    });
    assert!(leaks);
}

#[test]
fn whatever_is_altered_is_refused() {
    for request in captured() {
        let untouched = headers(&request);
        for (name, value) in &request.headers {
            let lower = name.to_ascii_lowercase();
            let outside = [
                "xroadvnpt-version",
                "xroadvnpt-sign-header-key",
                "xroadvnpt-sign-header",
                "xroadvnpt-hash-header",
            ];
            if !lower.starts_with("xroadvnpt-") || outside.contains(&lower.as_str()) {
                continue;
            }
            let header = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let mut altered = untouched.clone();
            let other = HeaderValue::from_str(&format!("{value}x")).unwrap();
            altered.insert(&header, other.clone());
            assert!(
                matches!(Claim::read(&altered), Err(HeaderFault::Differs(_))),
                "{name}"
            );
            altered.remove(&header);
            assert!(
                matches!(Claim::read(&altered), Err(HeaderFault::Missing(_))),
                "{name}"
            );
            let mut twice = untouched.clone();
            twice.append(&header, other);
            assert!(Claim::read(&twice).is_err(), "{name}");
            let mut same = untouched.clone();
            same.append(&header, HeaderValue::from_str(value).unwrap());
            assert!(
                matches!(Claim::read(&same), Err(HeaderFault::Repeated(_))),
                "{name}"
            );
        }
        // The text and the signature go together.
        let text = untouched
            .get("xroadvnpt-sign-header")
            .unwrap()
            .to_str()
            .unwrap();
        let spaced = text.replacen(',', ", ", 1);
        let mut altered = untouched.clone();
        altered.insert(
            "xroadvnpt-sign-header",
            HeaderValue::from_str(&spaced).unwrap(),
        );
        let claim = Claim::read(&altered).unwrap();
        assert!(
            !claim.is_signed_with(secret(claim.system())),
            "the text as it was received"
        );
    }
}

#[test]
fn what_is_not_signed_is_not_there() {
    let captured = captured();
    let request = captured
        .iter()
        .find(|one| one.operation == "getEdoc")
        .unwrap();
    let mut more = headers(request);
    more.insert(
        "xroadvnpt-agencycode",
        HeaderValue::from_static("000.00.01.H99"),
    );
    let claim = Claim::read(&more).unwrap();
    assert_eq!(claim.parameters().get("AgencyCode"), None);
}

#[test]
fn headers_that_are_no_signed_request_are_refused_by_name() {
    let captured = captured();
    let untouched = headers(&captured[0]);
    let with = |name: &'static str, value: &str| {
        let mut headers = untouched.clone();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        Claim::read(&headers).unwrap_err()
    };
    for missing in ["xroadvnpt-sign-header", "xroadvnpt-hash-header"] {
        let mut headers = untouched.clone();
        headers.remove(missing);
        assert_eq!(
            Claim::read(&headers).unwrap_err(),
            HeaderFault::Missing(missing.to_owned())
        );
    }
    assert_eq!(
        with("xroadvnpt-hash-header", "ab"),
        HeaderFault::NotASignature
    );
    assert_eq!(
        with("xroadvnpt-hash-header", &"zz".repeat(32)),
        HeaderFault::NotASignature
    );
    let text = "xroadvnpt-sign-header";
    for no_object in ["", "[]", "{", "{}x", r#"{"XroadVnpt-systemid":1}"#] {
        assert_eq!(with(text, no_object), HeaderFault::NotJson, "{no_object}");
    }
    let twice = r#"{"XroadVnpt-systemid":"sys-a","XroadVnpt-systemid":"sys-b"}"#;
    assert_eq!(with(text, twice), HeaderFault::NotJson);
    assert!(matches!(with(text, "{}"), HeaderFault::Missing(_)));
    assert!(matches!(
        with(text, r#"{"Content-Type":"application/json"}"#),
        HeaderFault::ForeignName(_)
    ));
    assert!(matches!(
        with(text, r#"{"XroadVnpt-":""}"#),
        HeaderFault::ForeignName(_)
    ));
    let many: Vec<_> = (0..70).map(|n| format!(r#""XroadVnpt-a{n}":"""#)).collect();
    assert_eq!(
        with(text, &format!("{{{}}}", many.join(","))),
        HeaderFault::TooLarge
    );
    let long = format!(r#"{{"XroadVnpt-a":"{}"}}"#, "x".repeat(130 << 10));
    assert_eq!(with(text, &long), HeaderFault::TooLarge);
}
