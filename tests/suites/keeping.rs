//! What the axis keeps of a document and lets go: every field, shown and found again; content
//! that leaves by decision only; recalls and who answers them. All from the command line.

use api::v1;
use edxml::write::{DocumentDraft, document as written};
use edxml::{Date, Organ, Priority, ResponseFor};
use serde_json::{Value, json};
use testkit::{Document, System};

use crate::house::{A, B, C, House, document, drain, push};

impl House {
    /// What the operator is answered, a JSON value a line.
    fn told(&self, words: &[&str]) -> Vec<Value> {
        let words = words.iter().copied().chain(["--json"]);
        self.axis
            .operate(words)
            .unwrap()
            .ok()
            .unwrap()
            .json()
            .unwrap()
    }

    fn as_system(&self, system: &System, words: &[&str]) -> testkit::Finished {
        self.cli(system).run(words.iter().copied()).unwrap()
    }
}

/// A document with every field of its header.
fn full() -> DocumentDraft {
    let mut from = Organ::new(A, Some("Sở Nội vụ tỉnh"));
    from.email = Some("vanthu@example.vn".to_owned());
    let to = vec![Organ::new(B, Some("Sở Tài chính")), Organ::new(C, None)];
    let date = Date::new(2026, 11, 20).unwrap();
    let mut draft = DocumentDraft::new(from, to, "345", "SNV-TCCB", date);
    let document = &mut draft.document;
    document.document_id = Some("full".to_owned());
    document.promulgation.place = Some("Bình Minh".to_owned());
    document.document_type.class = Some(2);
    document.document_type.detail = Some(9);
    document.document_type.name = Some("Công văn".to_owned());
    document.subject = Some("V/v rà soát biên chế".to_owned());
    document.content = Some("Đề nghị các sở báo cáo số liệu".to_owned());
    document.signer.competence = Some("KT. GIÁM ĐỐC".to_owned());
    document.signer.position = Some("Phó Giám đốc".to_owned());
    document.signer.full_name = Some("Trần Thị Ngọc".to_owned());
    document.due_date = Date::new(2026, 12, 1);
    document.to_places = vec!["Như trên".to_owned(), "Lưu: VT, TCCB".to_owned()];
    document.other_info.priority = Priority::new(2).unwrap();
    document.other_info.sphere = Some("Trong tỉnh".to_owned());
    document.other_info.typer_notation = Some("NTH".to_owned());
    document.other_info.promulgation_amount = Some(12);
    document.other_info.page_amount = Some(3);
    document.other_info.appendixes = vec!["Biểu 01".to_owned(), "Biểu 02".to_owned()];
    document.response_for = vec![ResponseFor {
        organ_id: B.into(),
        code: Some("11/STC-NS".to_owned()),
        promulgation_date: Date::new(2026, 11, 2),
        document_id: None,
    }];
    document.steering_type = Some(1);
    document.business.paper = Some(1);
    draft.attach(
        "công văn 345.pdf",
        "application/pdf",
        b"%PDF-1.7 1".to_vec(),
    );
    draft.attach("biểu 01.xlsx", "application/zip", b"PK".to_vec());
    draft
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_05_ex_16_every_field_is_kept_shown_and_found_again() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let bytes = written(&full());
    push(&a, &bytes).await;
    let line = house.told(&["history", "--document", "full"]).remove(0);
    let told = &line["document"];
    let expected = json!({
        "id": "full", "business": 0, "number": "345", "notation": "SNV-TCCB",
        "promulgation_date": "2026/11/20", "subject": "V/v rà soát biên chế",
        "type_name": "Công văn", "signer": "Trần Thị Ngọc", "due_date": "2026/12/01",
        "due_at": "2026-12-02T00:00:00+07:00",
        "attachments": ["công văn 345.pdf", "biểu 01.xlsx"], "targets": [],
        "sender_name": "Sở Nội vụ tỉnh", "content": "Đề nghị các sở báo cáo số liệu",
        "place": "Bình Minh", "type_class": 2, "type_detail": 9,
        "signer_position": "Phó Giám đốc", "signer_competence": "KT. GIÁM ĐỐC",
        "to_places": ["Như trên", "Lưu: VT, TCCB"], "sphere": "Trong tỉnh",
        "typer_notation": "NTH", "copies": 12, "pages": 3,
        "appendixes": ["Biểu 01", "Biểu 02"], "paper": 1, "steering_type": 1,
        "reason": null, "staff": null, "answers": ["11/STC-NS"],
    });
    assert_eq!(*told, expected);
    assert_eq!(line["level"], 2);
    let trace = house.told(&["trace", "full"]).remove(0);
    assert_eq!(trace["packages"][0]["document"], expected);
    // Over gRPC to the receiver, and in the bytes.
    let (header, received) = drain(&b).await.remove(0);
    let more = header.document.unwrap().particulars.unwrap();
    assert_eq!(
        (more.signer_position.as_str(), more.paper, more.pages),
        ("Phó Giám đốc", Some(1), 3)
    );
    assert_eq!(received, bytes);
    // Found by any of its texts, by level and by the mark of a paper copy.
    push(&a, &document("other").bytes()).await;
    for words in [
        "--text=345/SNV-TCCB",
        "--text=RÀ SOÁT",
        "--text=ngọc phó",
        "--text=biểu 02",
        "--text=bình minh",
        "--text=lưu: vt",
        "--text=số liệu",
        "--text=11/stc-ns",
        "--text=biểu 01.xlsx",
        "--level=2",
        "--paper",
    ] {
        let found = house.told(&["history", "--kind", "document", words]);
        let ids: Vec<_> = found.iter().map(|line| &line["document"]["id"]).collect();
        assert_eq!(ids, ["full"], "{words}");
    }
    let without = house.told(&["history", "--kind", "document", "--paper=false"]);
    assert_eq!(without.len(), 1);
    assert_eq!(without[0]["document"]["id"], "other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_06_a_subject_of_501_characters_passes_with_a_warning_and_comes_out_whole() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let subject: String = "Ế".repeat(501);
    let mut long = full();
    long.document.subject = Some(subject.clone());
    let bytes = written(&long);
    let receipt = push(&a, &bytes).await;
    let warning = receipt
        .warnings
        .iter()
        .find(|warning| warning.path.ends_with("/Subject"));
    let warning = warning.expect("the length is warned of");
    assert!(warning.code.starts_with("VALUE_"), "{warning:?}");
    assert!(warning.message.contains("500"), "{warning:?}");
    let line = house.told(&["history", "--document", "full"]).remove(0);
    assert_eq!(line["document"]["subject"], Value::String(subject));
    assert_eq!(drain(&b).await.remove(0).1, bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_10_composed_and_decomposed_texts_search_alike_and_tcvn3_is_flagged() {
    let house = House::new();
    let a = house.client(&house.a).await;
    // "Báo cáo quý" with marks of their own.
    let decomposed = "V/v ba\u{301}o ca\u{301}o quy\u{301}";
    let mut nfd = full();
    nfd.document.document_id = Some("nfd".to_owned());
    nfd.document.subject = Some(decomposed.to_owned());
    push(&a, &written(&nfd)).await;
    for words in ["báo cáo quý", "ba\u{301}o ca\u{301}o quy\u{301}"] {
        let found = house.told(&["history", "--text", words]);
        assert_eq!(found.len(), 1, "{words:?}");
        // As it was sent.
        assert_eq!(found[0]["document"]["subject"], decomposed);
    }
    let mut old = full();
    old.document.document_id = Some("tcvn3".to_owned());
    old.document.subject = Some("VÒ viÖc b¸o c¸o c«ng t¸c n¨m 2026".to_owned());
    let receipt = push(&a, &written(&old)).await;
    let codes: Vec<_> = receipt.warnings.iter().map(|w| w.code.as_str()).collect();
    assert!(codes.contains(&"LEGACY_TEXT"), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_11_agencies_delete_nothing_and_an_approved_list_removes_content_only() {
    let mut house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let receipt = push(&a, &document("d").bytes()).await;
    let kept = push(&a, &document("kept").bytes()).await;
    let header = drain(&b).await.remove(0).0;
    // A system has no such call.
    let by_system = b
        .remove(api::v1::RemoveRequest {
            package_ids: vec![receipt.package_id.clone()],
            decision: "tự ý".to_owned(),
        })
        .await;
    assert!(by_system.is_err(), "{by_system:?}");
    let list = |text: &str| house.axis.file("list.txt", text.as_bytes()).unwrap();
    let remove = |list: &std::path::Path, more: &[&str]| {
        let mut words = args!["remove", "--list", list, "--by", "Trần Thị Lan", "--json"];
        words.extend(more.iter().map(std::ffi::OsString::from));
        house.axis.operate(words).unwrap()
    };
    // One wrong line, and nothing leaves; no decision is wrong use.
    let decision = ["--decision", "77/QĐ-UBND"];
    let wrong = list(&format!("{}\n{}\n", receipt.package_id, "0".repeat(24)));
    remove(&wrong, &decision).code(1).unwrap();
    remove(&list("mọi gói tin\n"), &decision).code(2).unwrap();
    let good = list(&format!("# Danh mục đã duyệt\n{}\n", receipt.package_id));
    remove(&good, &[]).code(2).unwrap();
    let trace = house.told(&["trace", &receipt.package_id]).remove(0);
    assert_eq!(trace["packages"][0]["content_removed"], false);

    let done = remove(&good, &decision)
        .ok()
        .unwrap()
        .json()
        .unwrap()
        .remove(0);
    assert_eq!(
        (&done["removed"], &done["removed_bytes"]),
        (&json!(1), &json!(receipt.size))
    );
    house.axis.kill9().unwrap();
    house.axis.restart().unwrap();
    let trace = house.told(&["trace", &receipt.package_id]).remove(0);
    assert_eq!(trace["packages"][0]["content_removed"], true);
    assert_eq!(trace["packages"][0]["sha256"], json!(receipt.sha256));
    let events = trace["events"].as_array().unwrap();
    let removed = events
        .iter()
        .find(|event| event["kind"] == "payload-removed");
    let removed = removed.expect("it stands in the record");
    assert_eq!(removed["actor"], "Trần Thị Lan");
    assert!(removed["detail"].as_str().unwrap().contains("77/QĐ-UBND"));
    let b = house.client(&house.b).await;
    let request = api::v1::DownloadRequest {
        delivery_id: header.delivery_id.clone(),
    };
    let download = match b.download(request).await {
        Ok(mut deliveries) => deliveries.next().await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(crate::house::refused(download).name, "REMOVED");
    let verified = house.told(&["verify", "--anchor", &kept.anchor]).remove(0);
    assert_eq!(verified["sound"], true, "{verified}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rc_02_a_recall_is_followed_from_the_command_line() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    push(&a, &Document::new(A, &[B, C], "d").bytes()).await;
    drain(&b).await;
    let words = ["recall", "d", "--reason", "Ban hành nhầm", "--json"];
    let told = house
        .as_system(&house.a, &words)
        .ok()
        .unwrap()
        .json()
        .unwrap()
        .remove(0);
    let answers = |told: &Value| -> Vec<(String, String)> {
        let told = told.as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut told: Vec<_> = told
            .map(|one| {
                let answer = one
                    .get("answer")
                    .unwrap_or_else(|| &one["recall"]["answer"]);
                (text(&one["receiver"]), text(answer))
            })
            .collect();
        told.sort();
        told
    };
    let pair = |code: &str, answer: &str| (code.to_owned(), answer.to_owned());
    assert_eq!(
        answers(&told["receivers"]),
        [pair(B, "asked"), pair(C, "agreed")]
    );
    // All named or none: one that never got it leaves the others unasked, and is named.
    push(&a, &Document::new(A, &[B], "e").bytes()).await;
    let with_a_stranger = ["recall", "e", "--to", &format!("{B},{C}"), "--reason", "x"];
    let refused = house.as_system(&house.a, &with_a_stranger).code(1).unwrap();
    assert!(refused.stderr.contains("NOT_A_RECEIVER") && refused.stderr.contains(C));
    let untouched = house
        .told(&["status", "matrix", "e", "--sender", A])
        .remove(0);
    assert_eq!(untouched["cells"][0]["recall"], Value::Null);
    drain(&b).await;
    // B has taken the request and says nothing: it is asked again, by name and with a reason.
    house.axis.operate(["remind", B]).unwrap().code(2).unwrap();
    let reminded = house
        .told(&["remind", "d", "--sender", A, "--why", "chưa trả lời"])
        .remove(0);
    assert_eq!(reminded["sent"].as_array().unwrap().len(), 1, "{reminded}");
    assert_eq!(reminded["sent"][0]["receiver"], B);
    assert_eq!(drain(&b).await.len(), 1, "the request once more");
    let declines = ["status", "report", "16", "--document", "d", "--to", A];
    let why = ["--reason", "Đang dùng", "--staff", "Lê Văn Bình"];
    let declines = [&declines[..], &why[..]].concat();
    house.as_system(&house.b, &declines).ok().unwrap();
    let matrix = house
        .told(&["status", "matrix", "d", "--sender", A])
        .remove(0);
    assert_eq!(
        answers(&matrix["cells"]),
        [pair(B, "refused"), pair(C, "agreed")]
    );
    let at_b = matrix["cells"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cell| cell["receiver"] == B);
    let at_b = at_b.unwrap();
    assert_eq!(at_b["recall"]["reason"], "Đang dùng");
    assert_eq!(
        at_b["events"].as_array().unwrap().last().unwrap()["staff"],
        "Lê Văn Bình"
    );
    assert_eq!(matrix["counts"]["receivers"], 2);
    assert_eq!(house.told(&["remind"]), [Value::Null; 0], "nothing is owed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sta_05_2000_receivers_are_one_call_of_the_matrix_and_one_of_the_recall() {
    let axis = testkit::Axis::builder()
        .config(crate::house::SMALL)
        .start()
        .unwrap();
    axis.register(2_001).unwrap();
    let system = axis.add_system("so-a", &[A]).unwrap();
    let a = crate::house::client(&axis, &system).await;
    let codes: Vec<_> = (2..=2_001).map(testkit::agency).collect();
    let to: Vec<_> = codes.iter().map(String::as_str).collect();
    push(&a, &Document::new(A, &to, "d").bytes()).await;
    let request = v1::MatrixRequest {
        sender: A.to_owned(),
        document_id: "d".to_owned(),
        ..v1::MatrixRequest::default()
    };
    let matrix = a.matrix(request).await.unwrap();
    assert_eq!(matrix.cells.len(), 2_000);
    assert_eq!(matrix.counts.unwrap().waiting, 2_000);
    let words = ["status", "matrix", "d", "--sender", A, "--json"];
    let told = axis.operate(words).unwrap().ok().unwrap().json().unwrap();
    let cells = told[0]["cells"].as_array().unwrap();
    let named: std::collections::BTreeSet<_> = cells
        .iter()
        .map(|cell| cell["receiver"].as_str().unwrap())
        .collect();
    assert_eq!(named, to.iter().copied().collect());
    // Small segments hold a recall of some of them; it is refused as a whole or taken as a whole.
    let request = v1::RecallRequest {
        document_id: "d".to_owned(),
        to: codes[..200].to_vec(),
        reason: "Ban hành nhầm".to_owned(),
        ..v1::RecallRequest::default()
    };
    let recalled = a.recall(request).await.unwrap();
    assert!(recalled.receivers.iter().all(|of| of.answer == "agreed"));
    assert_eq!(recalled.receivers.len(), 200);
}
