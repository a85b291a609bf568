//! The golden vectors of `vectors/make.py`, made with openssl and Python, in both directions:
//! the server half reads what they send and writes what they answer, the client half signs what
//! they sign and reads what they answer.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vxp::Operation;
use vxp::answer::{
    Agency2020Row, AgencyRow, Counted, Envelope, Got, Received, Registration, Sent, SentCopy,
    UnitRow,
};
use vxp::list::{ListReader, ListWriter};
use vxp::package::PackageBody;
use vxp::signature::{Claim, Parameters};

#[derive(Deserialize)]
struct Request {
    operation: String,
    method: String,
    path: String,
    secret: String,
    parameters: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: String,
    package: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    operation: String,
    answer: Value,
}

fn lines<T: DeserializeOwned>(text: &str) -> Vec<T> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn requests() -> Vec<Request> {
    lines(include_str!("vectors/requests.jsonl"))
}

fn answers() -> Vec<Answer> {
    lines(include_str!("vectors/answers.jsonl"))
}

fn headers(of: &Request) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &of.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

#[test]
fn every_operation_has_vectors_in_both_directions() {
    let all: BTreeSet<_> = Operation::ALL.iter().map(|one| one.name()).collect();
    let requests = requests();
    let asked: BTreeSet<_> = requests.iter().map(|one| one.operation.as_str()).collect();
    assert_eq!(asked, all);
    let answers = answers();
    let mut told: BTreeSet<_> = answers.iter().map(|one| one.operation.as_str()).collect();
    // Its answer is the package.
    told.insert("downloadEdoc");
    assert_eq!(told, all);
}

#[test]
fn what_openssl_signed_is_accepted_and_means_what_was_written() {
    for request in requests() {
        let claim = Claim::read(&headers(&request)).unwrap();
        assert!(claim.is_signed_with(request.secret.as_bytes()));
        assert!(!claim.is_signed_with(b"another"));
        assert_eq!(claim.system(), "he-thong-thu");
        assert!(claim.timestamp().is_some());
        let has: Vec<_> = claim.parameters().iter().collect();
        let wrote: Vec<_> = request
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(has, wrote);
        let operation = Operation::of_path(&request.path).unwrap();
        assert_eq!(operation.name(), request.operation);
        assert!(operation.takes(&request.method.parse().unwrap()));
    }
}

#[test]
fn what_we_sign_is_what_openssl_signed() {
    for request in requests() {
        let mut parameters = Parameters::new();
        for (name, value) in &request.parameters {
            parameters.set(name, value.as_str());
        }
        let ours = parameters.sign(request.secret.as_bytes()).unwrap();
        let theirs = headers(&request);
        assert_eq!(ours, theirs, "{}", request.operation);
    }
}

#[test]
fn f16_bodies_give_the_file_whichever_way_hash_and_end_are_written() {
    let mut seen = 0;
    for request in requests() {
        let Some(package) = &request.package else {
            continue;
        };
        seen += 1;
        let claim = Claim::read(&headers(&request)).unwrap();
        let announced = claim.parameters().get("hash-file").unwrap();
        let mut body = PackageBody::new(announced);
        let mut out = Vec::new();
        let sent = Bytes::from(STANDARD.decode(&request.body).unwrap());
        body.push(&sent, |bytes| out.extend(bytes)).unwrap();
        body.end(|bytes| out.extend(bytes)).unwrap();
        assert_eq!(out, STANDARD.decode(package).unwrap());
    }
    assert_eq!(seen, 5);
}

#[test]
fn the_body_of_register_agency_is_one_agency() {
    let requests = requests();
    let request = requests
        .iter()
        .find(|one| one.operation == "registerAgency");
    let body = STANDARD.decode(&request.unwrap().body).unwrap();
    let agency: Registration = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (agency.code.as_str(), agency.name.as_str()),
        ("000.01.01.H99", "Phòng thử")
    );
}

/// Reads an answer as the client does, and writes it as the server does.
fn whole<T: DeserializeOwned + Serialize>(answer: &Value) -> Value {
    let read: T = serde_json::from_str(&answer.to_string()).unwrap();
    serde_json::to_value(&read).unwrap()
}

fn list<R: DeserializeOwned + Serialize>(answer: &Value) -> Value {
    let mut reader = ListReader::<R>::default();
    let mut writer = ListWriter::new();
    let push = reader.push(answer.to_string().as_bytes(), |row| writer.push(&row));
    push.unwrap();
    assert!(reader.end().unwrap().is_ok());
    serde_json::from_slice(&writer.end()).unwrap()
}

#[test]
fn answers_are_read_and_written_alike() {
    for Answer { operation, answer } in answers() {
        let again = match operation.as_str() {
            "sendEdoc" => whole::<Sent>(&answer),
            "getEdoc" => whole::<Got>(&answer),
            "countReceiveEdoc" | "countReceiveStatus" => whole::<Counted>(&answer),
            "updateStatus" | "registerAgency" | "deleteAgency" => whole::<Envelope>(&answer),
            "getReceivedEdocList" => list::<Received>(&answer),
            "getSentEdocList" => list::<SentCopy>(&answer),
            "getAgenciesList" => list::<AgencyRow>(&answer),
            "getAgenciesListQD20" => list::<Agency2020Row>(&answer),
            "getSynchronizeUnit" => list::<UnitRow>(&answer),
            other => panic!("{other}"),
        };
        assert_eq!(again, answer, "{operation}");
    }
}
