//! Statuses as they come, the lists of what does not fit together, and that every refusal is
//! provoked somewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::v1;
use edxml::write::StatusDraft;
use edxml::{Organ, ResponseFor, StatusCode, Timestamp};
use exchange::refusal::Name;

use crate::house::*;

fn report(code: &str, document: &str) -> v1::ReportRequest {
    v1::ReportRequest {
        code: code.to_owned(),
        document_id: document.to_owned(),
        to: SNV.to_owned(),
        reason: "nhầm".to_owned(),
        ..Default::default()
    }
}

async fn until_now(watch: &mut api::client::StatusWatch) -> (Vec<String>, String) {
    let mut codes = Vec::new();
    loop {
        let next = tokio::time::timeout(SOON, watch.next()).await.unwrap();
        let message = next.unwrap().unwrap();
        match message.change {
            Some(change) => codes.push(change.code),
            None => return (codes, message.token),
        }
    }
}

#[tokio::test]
async fn sta_05_a_watch_over_the_wire_resumes_with_its_token() {
    let house = House::open().await;
    let sender = house.client("snv").await;
    push(&sender, &document("71", &[STC])).await;
    let request = v1::WatchRequest::default();
    let mut watch = sender.watch_statuses(request).await.unwrap();
    let (codes, token) = until_now(&mut watch).await;
    assert_eq!(codes, [""; 0]);
    let receiver = house.client("stc").await;
    receiver.report(report("03", "71")).await.unwrap();
    let next = tokio::time::timeout(SOON, watch.next()).await.unwrap();
    let change = next.unwrap().unwrap().change.unwrap();
    assert_eq!(
        (change.code.as_str(), change.document_id.as_str()),
        ("03", "71")
    );
    assert_eq!(change.receiver.unwrap().main_code, STC);
    drop(watch);
    receiver.report(report("05", "71")).await.unwrap();
    let mut watch = sender
        .watch_statuses(v1::WatchRequest { token })
        .await
        .unwrap();
    assert_eq!(until_now(&mut watch).await.0, ["03", "05"]);
    // Somebody who has no part in the document sees nothing of it; an operator does.
    let stranger = house.client("syt").await;
    let first = v1::WatchRequest {
        token: "AAAAAAAAAAAAAAAA".to_owned(),
    };
    let mut watch = stranger.watch_statuses(first.clone()).await.unwrap();
    assert_eq!(until_now(&mut watch).await.0, [""; 0]);
    let mut watch = house.admin().await.watch_statuses(first).await.unwrap();
    assert_eq!(until_now(&mut watch).await.0, ["03", "05"]);
    let wrong = v1::WatchRequest {
        token: "?".to_owned(),
    };
    assert_eq!(refused(sender.watch_statuses(wrong).await), "BAD_ARGUMENT");
    drop(watch);
    house.close().await;
}

#[tokio::test]
async fn sta_06_ex_09_what_does_not_fit_together_is_listed() {
    let house = House::open().await;
    let receiver = house.client("stc").await;
    let early = edxml::write::status(&StatusDraft {
        from: Organ::new(STC, None),
        response_for: ResponseFor {
            organ_id: SNV.into(),
            code: Some("7/SNV".to_owned()),
            promulgation_date: edxml::Date::new(2026, 11, 20),
            document_id: Some("72".to_owned()),
        },
        staff: None,
        code: StatusCode::new(3).unwrap(),
        description: None,
        timestamp: Timestamp::new(2026, 11, 20, 8, 0, 0).unwrap(),
    });
    push(&receiver, &early.unwrap().into()).await;
    let listed = house
        .admin()
        .await
        .list_unmatched(v1::ListUnmatchedRequest::default())
        .await
        .unwrap();
    let status = &listed.statuses[0];
    assert_eq!(
        (listed.statuses.len(), listed.next_page_token.as_str()),
        (1, "")
    );
    assert_eq!(
        (
            status.code.as_str(),
            status.document_id.as_str(),
            status.document_code.as_str()
        ),
        ("03", "72", "7/SNV")
    );
    assert_eq!(status.sender.as_ref().unwrap().main_code, STC);

    let sender = house.client("snv").await;
    push(&sender, &document("73", &[STC])).await;
    let second = String::from_utf8(document("74", &[STC]).to_vec()).unwrap();
    let second = second.replace("CodeNumber>74<", "CodeNumber>73<");
    let receipt = push(&sender, &second.into()).await;
    assert_eq!(receipt.warnings[0].code, "NUMBER_REPEATED");
    let request = v1::ListDuplicatesRequest::default();
    let listed = sender.list_duplicates(request.clone()).await.unwrap();
    assert_eq!(listed.numbers.len(), 1);
    let number = &listed.numbers[0];
    assert_eq!((number.year, number.number.as_str()), (2026, "73/SNV-VP"));
    let mut ids: Vec<_> = number
        .documents
        .iter()
        .map(|d| d.document_id.as_str())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["73", "74"]);
    assert_eq!(number.agency.as_ref().unwrap().main_code, SNV);
    // Not another's to see.
    let listed = receiver.list_duplicates(request).await.unwrap();
    assert_eq!(listed.numbers.len(), 0);
    house.close().await;
}

#[tokio::test]
async fn sc_01_rj_04_a_secret_is_refused_over_the_wire_with_text_place_and_no_retry() {
    let house = House::open().await;
    let sender = house.client("snv").await;
    let package = String::from_utf8(document("75", &[STC]).to_vec()).unwrap();
    let at = package.find("Subject>").expect("a subject") + "Subject>".len();
    let marked = format!("{}[TỐI MẬT] {}", &package[..at], &package[at..]);
    let error = sender
        .push(marked.into(), v1::PushOptions::default())
        .await
        .unwrap_err();
    let refusal = error.refusal().expect("a refusal");
    assert_eq!(refusal.name, "SECRET_MARK");
    assert!(
        refusal.details[0].path.ends_with("MessageHeader/Subject"),
        "{refusal:?}"
    );
    assert_eq!(refusal.retry_after, None::<Duration>);
    house.close().await;
}

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            *into += &std::fs::read_to_string(&path).unwrap();
        }
    }
}

/// Refusals that nothing in these tests provokes over gRPC, and why.
const UNPROVOKED: [(&str, &str); 3] = [
    ("INTERNAL", "a fault of the axis, which none can order"),
    (
        "READ_ONLY",
        "needs a disk that fails: crates/exchange and crates/ledger have one",
    ),
    ("WRONG_HASH", "only a settle over the broker claims a hash"),
];

/// Duty RJ-04: a name that no test over gRPC expects is no refusal that somebody has seen.
#[test]
fn rj_04_every_refusal_is_expected_by_a_test_over_the_wire() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    for folder in [
        "tests/it",
        "src/server/tests",
        "../../tests/suites",
        "../../tests/clients",
    ] {
        sources(&root.join(folder), &mut tests);
    }
    for name in Name::ALL {
        let name = name.as_str();
        let expected = tests.matches(&format!("\"{name}\"")).count();
        let excused = UNPROVOKED.iter().any(|(excused, _)| *excused == name);
        assert_eq!(
            expected > usize::from(excused),
            !excused,
            "{name} is expected {expected} times by tests over gRPC; provoke it, or say in UNPROVOKED why not"
        );
    }
}
