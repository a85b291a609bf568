//! `axis queues`, `why`, `pause`, `resume`, `dead`: what an operator sees and does at two in the
//! morning.

use serde_json::json;

use crate::house::{B, House, document};

/// One story: a document does not arrive; the operator looks, asks why, pauses the receiver
/// while its server is moved, lets it go on, and it arrives. Duty SC-09: who and why.
#[test]
fn an_operator_finds_out_why_a_document_has_not_arrived() {
    let house = House::new();
    let sent = house.send(&[document("d1").bytes()]);
    let package = sent[0]["id"].as_str().unwrap().to_owned();

    let queues = house.ask(&["queues"]);
    assert_eq!(queues[0]["state"], "no-consumer");
    let line = queues.iter().find(|line| line["system"] == "so-b").unwrap();
    assert_eq!(
        (&line["lane"], &line["pending"]),
        (&json!("routine"), &json!(1))
    );
    assert_eq!(
        (&line["in_per_minute"], &line["streams"]),
        (&json!(1), &json!(0))
    );

    let why = house.ask(&["why", B]);
    let finding = &why[0]["findings"][0];
    assert_eq!(
        (&finding["cause"], &finding["turn"]),
        (&json!("NEVER_CAME"), &json!("receiver"))
    );
    let text = house
        .axis
        .operate(["why", &package])
        .unwrap()
        .ok()
        .unwrap()
        .stdout;
    assert!(
        text.contains("chưa kết nối lần nào") && text.contains("Lệnh (command)"),
        "{text}"
    );
    house
        .axis
        .operate(["why", "nobody"])
        .unwrap()
        .code(1)
        .unwrap();

    house
        .axis
        .operate(["pause", "so-b"])
        .unwrap()
        .code(2)
        .unwrap();
    let paused = house.ask(&["pause", "so-b", "--why", "chuyển máy chủ", "--by", "Lan"]);
    assert_eq!(
        (&paused[0]["system"], &paused[0]["by"]),
        (&json!("so-b"), &json!("Lan"))
    );
    let out = tempfile::tempdir().unwrap();
    assert!(house.receive(&house.b, out.path()).is_empty());
    let why = house.ask(&["why", &package]);
    let finding = &why[0]["findings"];
    let finding = finding
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["system"] == "so-b")
        .unwrap();
    assert_eq!(finding["cause"], "PAUSED");
    assert!(
        finding["message"]
            .as_str()
            .unwrap()
            .contains("chuyển máy chủ")
    );
    let command = finding["command"].as_str().unwrap().replace('…', "xong");
    assert_eq!(command, "axis resume so-b --why \"xong\"");
    house.ask(&["resume", "so-b", "--why", "xong", "--by", "Lan"]);
    assert_eq!(house.receive(&house.b, out.path()).len(), 1);
    let why = house.ask(&["why", &package]);
    let causes = why[0]["findings"].as_array().unwrap();
    assert!(
        causes.iter().any(|f| f["cause"] == "ACKNOWLEDGED"),
        "{why:?}"
    );

    assert!(house.ask(&["dead", "list"]).is_empty());
    let args = args!["dead", "retry", "nonsense", "--why", "x"];
    house.axis.operate(args).unwrap().code(1).unwrap();
}
