//! Every value of every code list, as a package carries it, has its row.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use edxml::{
    BusinessKind, Date, Document, Limits, Organ, Package, Priority, Reading, StatusCode, read,
    write,
};

const STATUS: &str = include_str!("data/status/01-inbox.edxml");

fn document() -> String {
    let date = Date::new(2026, 3, 2).unwrap();
    let to = vec![Organ::new("000.00.13.H47", None)];
    let from = Organ::new("000.00.12.H47", Some("Sở Nội vụ"));
    let mut draft = write::DocumentDraft::new(from, to, "12", "SNV-VP", date);
    draft.document.business.reason = Some("x".to_owned());
    draft.document.business.document_id = Some("y".to_owned());
    String::from_utf8(write::document(&draft)).unwrap()
}

fn with(name: &str, old: &str, new: &str) -> (Reading, Document) {
    let text = document();
    let element = |value: &str| format!("<edXML:{name}>{value}</edXML:{name}>");
    assert!(text.contains(&element(old)), "{name}");
    let reading = read(
        text.replace(&element(old), &element(new)).as_bytes(),
        &Limits::default(),
    );
    match &reading.package {
        Some(Package::Document(document)) => {
            let document = (**document).clone();
            (reading, document)
        }
        other => panic!("{other:?}"),
    }
}

fn codes(reading: &Reading) -> Vec<&'static str> {
    let findings = reading.findings.iter().map(|finding| finding.code.as_str());
    findings
        .filter(|code| !matches!(*code, "USUALLY_PRESENT" | "NO_SUBJECT" | "NO_DOCUMENT_ID"))
        .collect()
}

#[test]
fn every_status_code_is_read_named_and_written() {
    let known = [
        ("01", "đã đến", "arrived", false),
        ("02", "từ chối tiếp nhận", "rejected", true),
        ("03", "đã tiếp nhận", "accepted", false),
        ("04", "phân công", "assigned", false),
        ("05", "đang xử lý", "processing", false),
        ("06", "hoàn thành", "finished", false),
        ("13", "lấy lại", "take back", true),
        ("15", "đồng ý", "agreed", false),
        ("16", "từ chối", "declined", true),
    ];
    for number in 0..=99u8 {
        let digits = format!("{number:02}");
        let row = known.iter().find(|(code, ..)| *code == digits);
        let (vi, en, reason) = match row {
            Some((_, vi, en, reason)) => (*vi, *en, *reason),
            None => ("không rõ", "unknown", false),
        };
        let code = StatusCode::new(number).unwrap();
        assert_eq!((code.label_vi(), code.label_en()), (vi, en), "{digits}");
        assert_eq!(
            (code.is_known(), code.needs_reason()),
            (row.is_some(), reason),
            "{digits}"
        );
        assert_eq!((code.to_string(), code.number()), (digits.clone(), number));

        let mut written = vec![(digits.clone(), true)];
        if number < 10 {
            written.push((number.to_string(), false));
        }
        for (text, plain) in written {
            let package = STATUS.replace(
                "<edXML:StatusCode>01</edXML:StatusCode>",
                &format!("<edXML:StatusCode>{text}</edXML:StatusCode>"),
            );
            let reading = read(package.as_bytes(), &Limits::default());
            let Some(Package::Status(status)) = &reading.package else {
                panic!("{text}")
            };
            assert_eq!(status.code, code, "{text}");
            let mut expected = Vec::new();
            if !plain {
                expected.push("ONE_DIGIT_STATUS");
            }
            if row.is_none() {
                expected.push("UNKNOWN_STATUS");
            }
            assert_eq!(codes(&reading), expected, "{text}");
        }
    }
    assert_eq!(StatusCode::new(100), None);
    for text in ["", "100", "-1", "+1", "1a", "०१", "0 1"] {
        assert_eq!(StatusCode::parse(text), None, "{text}");
    }
}

#[test]
fn every_priority_is_read() {
    for (text, priority, vi, found) in [
        ("0", Priority::Ordinary, "thường", None),
        ("1", Priority::Urgent, "khẩn", None),
        ("2", Priority::VeryUrgent, "thượng khẩn", None),
        ("3", Priority::Express, "hỏa tốc", None),
        (
            "4",
            Priority::ExpressAtHour,
            "hỏa tốc hẹn giờ",
            Some("LEGACY_PRIORITY"),
        ),
        ("5", Priority::Ordinary, "thường", Some("BAD_PRIORITY")),
        ("khẩn", Priority::Ordinary, "thường", Some("BAD_PRIORITY")),
        ("", Priority::Ordinary, "thường", Some("EMPTY_NUMBER")),
        ("03", Priority::Express, "hỏa tốc", None),
        (
            " 3 ",
            Priority::Express,
            "hỏa tốc",
            Some("NUMBER_WITH_SPACES"),
        ),
    ] {
        let (reading, document) = with("Priority", "0", text);
        assert_eq!(document.other_info.priority, priority, "{text}");
        assert_eq!(priority.label_vi(), vi);
        assert_eq!(codes(&reading), Vec::from_iter(found), "{text}");
    }
}

#[test]
fn every_business_kind_is_read() {
    for (text, kind, vi, found) in [
        ("0", BusinessKind::New, "văn bản mới", None),
        ("1", BusinessKind::Recall, "thu hồi", None),
        ("2", BusinessKind::Update, "cập nhật", None),
        ("3", BusinessKind::Replace, "thay thế", Some("NO_TARGET")),
        (
            "4",
            BusinessKind::New,
            "văn bản mới",
            Some("BAD_BUSINESS_TYPE"),
        ),
        ("", BusinessKind::New, "văn bản mới", Some("EMPTY_NUMBER")),
        (
            " 1",
            BusinessKind::Recall,
            "thu hồi",
            Some("NUMBER_WITH_SPACES"),
        ),
        (
            "thu hồi",
            BusinessKind::New,
            "văn bản mới",
            Some("BAD_BUSINESS_TYPE"),
        ),
    ] {
        let (reading, document) = with("BussinessDocType", "0", text);
        assert_eq!(document.business.kind, kind, "{text}");
        assert_eq!(kind.label_vi(), vi);
        assert_eq!(codes(&reading), Vec::from_iter(found), "{text}");
    }
}

#[test]
fn every_class_and_steering_type_is_read() {
    for (text, class, found) in [
        ("1", Some(1), None),
        ("2", Some(2), None),
        ("0", Some(0), Some("UNKNOWN_CLASS")),
        ("18", Some(18), Some("UNKNOWN_CLASS")),
        ("hai", None, Some("BAD_NUMBER")),
        ("-1", None, Some("BAD_NUMBER")),
        ("", None, Some("EMPTY_NUMBER")),
        ("2 ", Some(2), Some("NUMBER_WITH_SPACES")),
    ] {
        let (reading, document) = with("Type", "2", text);
        assert_eq!(document.document_type.class, class, "{text}");
        assert_eq!(codes(&reading), Vec::from_iter(found), "{text}");
    }
    for (text, value, found) in [
        ("0", Some(0), None),
        ("1", Some(1), None),
        ("2", Some(2), None),
        ("3", Some(3), None),
        ("4", Some(4), Some("UNKNOWN_STEERING")),
        ("", None, Some("STEERING_TYPE")),
        ("một", None, Some("STEERING_TYPE")),
    ] {
        let (reading, document) = with("SteeringType", "0", text);
        assert_eq!(document.steering_type, value, "{text}");
        assert_eq!(codes(&reading), Vec::from_iter(found), "{text}");
    }
}

/// Every position of both lists of kinds, and one beyond each end (section g.2).
#[test]
fn every_kind_of_document_is_read() {
    const NORMATIVE: &[&str] = &[
        "Hiến pháp",
        "Luật",
        "Pháp lệnh",
        "Lệnh",
        "Nghị quyết",
        "Nghị quyết liên tịch",
        "Nghị định",
        "Quyết định",
        "Thông tư",
        "Thông tư liên tịch",
        "Chỉ thị",
        "Bộ luật",
        "Văn bản quy phạm pháp luật của chính quyền địa phương ở đơn vị hành chính - kinh tế đặc biệt",
    ];
    const ADMINISTRATIVE: &[&str] = &[
        "Nghị quyết (cá biệt)",
        "Quyết định (cá biệt)",
        "Chỉ thị",
        "Quy chế",
        "Quy định",
        "Thông cáo",
        "Thông báo",
        "Hướng dẫn",
        "Chương trình",
        "Kế hoạch",
        "Phương án",
        "Đề án",
        "Dự án",
        "Báo cáo",
        "Biên bản",
        "Tờ trình",
        "Hợp đồng",
        "Công văn",
        "Công điện",
        "Bản ghi nhớ",
        "Bản cam kết",
        "Bản thỏa thuận",
        "Giấy chứng nhận",
        "Giấy ủy quyền",
        "Giấy mời",
        "Giấy giới thiệu",
        "Giấy nghỉ phép",
        "Giấy đi đường",
        "Giấy biên nhận hồ sơ",
        "Phiếu gửi",
        "Phiếu chuyển",
        "Thư công",
    ];
    for (class, list) in [("1", NORMATIVE), ("2", ADMINISTRATIVE)] {
        for detail in 0..=list.len() + 1 {
            let kind = format!(
                "{class}</edXML:Type><edXML:TypeDetail>{detail}</edXML:TypeDetail><edXML:Type>{class}"
            );
            let (reading, document) = with("Type", "2", &kind);
            let name = detail.checked_sub(1).and_then(|at| list.get(at)).copied();
            assert_eq!(document.document_type.listed(), name, "{class} {detail}");
            let mut expected = vec!["DUPLICATE_ELEMENT"];
            if name.is_none() {
                expected.insert(0, "UNKNOWN_TYPE");
            }
            assert_eq!(codes(&reading), expected, "{class} {detail}");
        }
    }
}

/// 0 and 1, and what else is met (section b.3).
#[test]
fn every_flag_is_read() {
    for (text, flag, found) in [
        ("0", Some(false), None),
        ("1", Some(true), None),
        ("false", Some(false), None),
        ("true", Some(true), None),
        ("2", None, Some("BAD_FLAG")),
        ("có", None, Some("BAD_FLAG")),
        ("", None, None),
    ] {
        let info = format!(
            "2</edXML:BussinessDocType><edXML:BussinessDocumentInfo>\
             <edXML:DocumentInfo>{text}</edXML:DocumentInfo>\
             <edXML:DocumentReceiver>{text}</edXML:DocumentReceiver>\
             <edXML:ReceiverList><edXML:Receiver><edXML:OrganId>H47.1</edXML:OrganId>\
             <edXML:ReceiverType>{text}</edXML:ReceiverType></edXML:Receiver></edXML:ReceiverList>\
             </edXML:BussinessDocumentInfo><edXML:BussinessDocType>2"
        );
        let (reading, document) = with("BussinessDocType", "0", &info);
        let business = document.business;
        let flags = [
            business.info.document,
            business.info.receivers,
            business.receivers[0].added,
        ];
        assert_eq!(flags, [flag; 3], "{text}");
        let told = codes(&reading);
        let told: Vec<_> = told
            .into_iter()
            .filter(|code| *code != "DUPLICATE_ELEMENT")
            .collect();
        assert_eq!(
            told,
            Vec::from_iter([found; 3].into_iter().flatten()),
            "{text}"
        );
    }
    for (text, paper, found) in [
        ("0", Some(0), None),
        ("1", Some(1), None),
        ("12", Some(12), None),
        ("có", None, Some("BAD_NUMBER")),
    ] {
        let paper_too = format!(
            "0</edXML:BussinessDocType><edXML:Paper>{text}</edXML:Paper><edXML:BussinessDocType>0"
        );
        let (reading, document) = with("BussinessDocType", "0", &paper_too);
        assert_eq!(document.business.paper, paper, "{text}");
        let told = codes(&reading);
        assert_eq!(told.contains(&"BAD_NUMBER"), found.is_some(), "{text}");
    }
}
