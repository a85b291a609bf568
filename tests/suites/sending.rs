//! `axis send`, as scripts use it.

use serde_json::{Value, json};
use testkit::Document;

use crate::house::{A, B, C, House, document, sha256};

fn keys(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn each_file_has_one_line_in_its_order_and_one_refusal_stops_none() {
    let house = House::new();
    let good = |id: &str| Document::new(A, &[B, C], id).bytes();
    let first = house.axis.file("1.edxml", &good("d1")).unwrap();
    let bad = house.axis.file("2.edxml", b"no package").unwrap();
    let unknown = Document::new(A, &[B, "000.00.88.H99"], "d3").bytes();
    let unknown = house.axis.file("3.edxml", &unknown).unwrap();
    let last = house.axis.file("4.edxml", &good("d4")).unwrap();
    let missing = house.axis.data().join("missing.edxml");
    let folder = house.axis.data();
    let paths = [&first, &bad, &unknown, &missing, folder, &first, &last];
    let mut args = args!["send", "--json"];
    args.extend(paths.iter().map(std::ffi::OsString::from));
    let sent = house.cli(&house.a).run(args).unwrap().code(1).unwrap();
    let lines = sent.json().unwrap();
    assert_eq!(lines.len(), paths.len());
    for (path, line) in paths.iter().zip(&lines) {
        assert_eq!(line["file"], path.display().to_string());
    }

    let receipt = &lines[0];
    assert_eq!(
        keys(receipt)[..10],
        [
            "file",
            "id",
            "kind",
            "sha256",
            "size",
            "accepted_at",
            "receivers",
            "duplicate",
            "warnings",
            "anchor"
        ]
    );
    let bytes = good("d1");
    let id = receipt["id"].as_str().unwrap();
    assert!(
        id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(receipt["kind"], "document");
    assert_eq!(receipt["sha256"], sha256(&bytes));
    assert_eq!(receipt["size"], bytes.len());
    assert!(receipt["accepted_at"].as_str().unwrap().ends_with("+07:00"));
    assert_eq!(receipt["receivers"], json!([B, C]));
    assert_eq!(
        (&receipt["duplicate"], &receipt["warnings"]),
        (&json!(false), &json!([]))
    );
    assert!(receipt["anchor"].as_str().unwrap().len() > 40);
    assert_eq!(receipt["document"], "d1");

    for (line, code, path) in [
        (&lines[1], "NOT_XML", ""),
        (
            &lines[2],
            "UNKNOWN_RECEIVER",
            "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[2]/OrganId",
        ),
        (&lines[3], "CANNOT_READ", ""),
        (&lines[4], "CANNOT_READ", ""),
    ] {
        assert_eq!(keys(line), ["file", "refused"]);
        let refused = &line["refused"];
        assert_eq!(
            keys(refused)[..5],
            ["code", "path", "line", "column", "message"]
        );
        assert_eq!(
            (&refused["code"], &refused["path"]),
            (&json!(code), &json!(path)),
            "{line}"
        );
        assert!(!refused["message"].as_str().unwrap().is_empty());
        assert_ne!(refused["message"], refused["message_en"]);
    }
    assert_eq!(
        (&lines[1]["refused"]["line"], &lines[1]["refused"]["column"]),
        (&json!(1), &json!(1))
    );
    assert!(
        lines[4]["refused"]["message_en"]
            .as_str()
            .unwrap()
            .contains("*.edxml")
    );
    assert!(
        lines[2]["refused"]["message"]
            .as_str()
            .unwrap()
            .contains("000.00.88.H99")
    );

    // The same file again: the first receipt again, and no second delivery.
    let mut again = lines[5].clone();
    assert_eq!(again["duplicate"], true);
    again["duplicate"] = json!(false);
    for delivery in again["deliveries"].as_array_mut().unwrap() {
        delivery["duplicate"] = json!(false);
    }
    assert_eq!(&again, receipt);
    assert_eq!(lines[6]["duplicate"], false);
    let out = tempfile::tempdir().unwrap();
    assert_eq!(house.receive(&house.b, out.path()).len(), 2);
}

#[test]
fn stdin_is_a_file_too_and_a_large_one_is_streamed() {
    let house = House::new();
    let bytes = document("large").sized(9 << 20, 1).bytes();
    let sent = house
        .cli(&house.a)
        .stdin(bytes.clone())
        .run(["send", "-", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    let line = &sent.json().unwrap()[0];
    assert_eq!(
        (&line["file"], &line["sha256"]),
        (&json!("-"), &json!(sha256(&bytes)))
    );
    let out = tempfile::tempdir().unwrap();
    let got = house.receive(&house.b, out.path());
    assert!(std::fs::read(got[0]["file"].as_str().unwrap()).unwrap() == bytes);
}

#[test]
fn people_get_text_with_both_languages_and_the_same_exit_codes() {
    let house = House::new();
    let good = house.axis.file("a.edxml", &document("a").bytes()).unwrap();
    let sent = house
        .cli(&house.a)
        .run(args!["send", good])
        .unwrap()
        .ok()
        .unwrap();
    assert!(
        sent.stdout.contains("trục đã nhận (accepted)") && sent.stdout.contains(B),
        "{}",
        sent.stdout
    );
    assert!(!sent.stdout.contains('\u{1b}'), "no colour when piped");
    let bad = Document::new(A, &["000.00.88.H99"], "b").bytes();
    let bad = house.axis.file("b.edxml", &bad).unwrap();
    let refused = house
        .cli(&house.a)
        .run(args!["send", bad])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        refused.stdout.is_empty()
            && refused.stderr.contains("Mã cơ quan nhận")
            && refused.stderr.contains("not registered")
            && refused.stderr.contains("000.00.88.H99"),
        "{}",
        refused.stderr
    );
}

#[test]
fn known_receivers_get_it_when_the_sender_says_so() {
    let house = House::new();
    let package = Document::new(A, &[B, "000.00.88.H99"], "d").bytes();
    let file = house.axis.file("d.edxml", &package).unwrap();
    let sent = house
        .cli(&house.a)
        .run(args!["send", "--accept-known", "--json", file,])
        .unwrap()
        .ok()
        .unwrap();
    let line = &sent.json().unwrap()[0];
    assert_eq!(line["receivers"], json!([B]));
    assert_eq!(
        line["omitted"],
        json!([{"receiver": "000.00.88.H99", "reason": "UNKNOWN_RECEIVER"}])
    );
}
