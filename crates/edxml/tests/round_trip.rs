//! What is written reads back the same.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use edxml::{
    AgencyCode, BusinessInfo, BusinessKind, Date, Document, FindingCode, Limits, Organ, Package,
    Priority, ReceiverChange, Replacement, ResponseFor, Staff, StatusCode, Timestamp, TraceHeader,
    read, write,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

/// Prose as it may stand in an element: markup, line ends and marks included; not blank.
fn prose() -> impl Strategy<Value = String> {
    "[ -~\t\n\r<>&\"'ếĐđ😀\u{A0}]{0,30}[a-zA-Zế<&]"
}

/// An identifier: no white space around it.
fn word() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.,/<&Đ-]{1,20}"
}

fn agency() -> impl Strategy<Value = AgencyCode> {
    prop_oneof!["[0-9]{3}\\.[0-9]{2}\\.[0-9]{2}\\.[A-Z][0-9]{2}", word()].prop_map(AgencyCode::from)
}

fn organ() -> impl Strategy<Value = Organ> {
    (agency(), vec(of(prose()), 7)).prop_map(|(id, texts)| {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().flatten();
        let mut organ = Organ::new(id, None);
        organ.in_charge = next();
        organ.name = next();
        organ.address = next();
        organ.email = next();
        organ.telephone = next();
        organ.fax = next();
        organ.website = next();
        organ
    })
}

fn staff() -> impl Strategy<Value = Staff> {
    (of(prose()), of(prose()), of(prose()), of(prose())).prop_map(
        |(department, name, mobile, email)| Staff {
            department,
            name,
            mobile,
            email,
        },
    )
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (0i64..4_000_000_000).prop_map(|seconds| Timestamp::from_unix_seconds(seconds).unwrap())
}

fn date() -> impl Strategy<Value = Date> {
    (1u16..=9999, 1u8..=12, 1u8..=28).prop_map(|(y, m, d)| Date::new(y, m, d).unwrap())
}

fn response_for() -> impl Strategy<Value = ResponseFor> {
    (agency(), of(word()), of(date()), word()).prop_map(
        |(organ_id, code, promulgation_date, id)| ResponseFor {
            organ_id,
            code,
            promulgation_date,
            document_id: Some(id),
        },
    )
}

fn document() -> impl Strategy<Value = Document> {
    let parties = (organ(), vec(organ(), 1..4));
    let texts = (vec(word(), 3), vec(of(prose()), 10), vec(prose(), 0..3));
    let times = (
        date(),
        of(date()),
        vec((of(agency()), of(timestamp())), 0..3),
    );
    let numbers = (vec(of(0u32..1000), 6), of(any::<bool>()), 0u8..=4);
    let business = (
        0u8..=3,
        of(prose()),
        of(word()),
        (of(any::<bool>()), of(any::<bool>())),
        vec((agency(), of(any::<bool>())), 0..3),
        vec((of(word()), vec(agency(), 0..3)), 0..3),
        of(staff()),
    );
    (
        parties,
        texts,
        times,
        numbers,
        business,
        vec(response_for(), 0..3),
    )
        .prop_map(
            |(
                (from, to),
                (words, prose, lines),
                (date, due, trace),
                (numbers, flag, level),
                business,
                answers,
            )| {
                let mut d = Document::default();
                d.from = from;
                d.to = to;
                d.document_id = Some(words[0].clone());
                d.code.number = words[1].clone();
                d.code.notation = words[2].clone();
                d.promulgation.date = Some(date);
                d.due_date = due;
                let mut prose = prose.into_iter();
                let mut next = || prose.next().flatten();
                d.promulgation.place = next();
                d.document_type.name = next();
                d.subject = next();
                d.content = next();
                d.signer.competence = next();
                d.signer.position = next();
                d.signer.full_name = next();
                d.other_info.sphere = next();
                d.other_info.typer_notation = next();
                d.application_type = next();
                d.to_places = lines.clone();
                d.other_info.appendixes = lines;
                d.task_codes = words;
                // Never written empty.
                d.document_type.class = Some(numbers[0].unwrap_or(2));
                d.steering_type = Some(numbers[1].unwrap_or(0));
                d.document_type.detail = numbers[2];
                d.other_info.promulgation_amount = numbers[3];
                d.other_info.page_amount = numbers[4];
                d.business.paper = numbers[5];
                d.other_info.direction = flag;
                d.other_info.priority = Priority::new(level).unwrap();
                d.response_for = answers;
                d.trace = trace
                    .into_iter()
                    .map(|(organ_id, timestamp)| TraceHeader {
                        organ_id,
                        timestamp,
                    })
                    .collect();
                let (kind, reason, id, (document, receivers), changes, replaced, staff) = business;
                d.business.kind = BusinessKind::new(kind).unwrap();
                d.business.reason = reason;
                d.business.document_id = id;
                d.business.info = BusinessInfo {
                    document,
                    receivers,
                };
                d.business.receivers = changes
                    .into_iter()
                    .map(|(organ_id, added)| ReceiverChange { organ_id, added })
                    .collect();
                d.business.replacements = replaced
                    .into_iter()
                    .map(|(document_id, organ_ids)| Replacement {
                        document_id,
                        organ_ids,
                    })
                    .collect();
                d.business.staff = staff;
                d
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_document_reads_back_as_written(
        document in document(),
        files in vec((word(), "[a-z]{1,9}/[a-z]{1,9}", vec(any::<u8>(), 0..200)), 0..4),
    ) {
        let mut draft = write::DocumentDraft { document, attachments: vec![] };
        for (name, kind, bytes) in &files {
            draft.attach(name.as_str(), kind.as_str(), bytes.clone());
        }
        let bytes = write::document(&draft);
        let reading = read(&bytes, &Limits::default());
        prop_assert!(reading.refusal().is_none(), "{:?}", reading.findings);
        let Some(Package::Document(read)) = reading.package else { panic!() };
        let mut read = *read;
        prop_assert_eq!(read.manifest.len(), files.len());
        prop_assert_eq!(read.attachments.len(), files.len());
        for (index, (name, kind, content)) in files.iter().enumerate() {
            let attachment = &read.attachments[index];
            prop_assert_eq!(attachment.name.as_ref(), Some(name));
            prop_assert_eq!(attachment.content_type.as_ref(), Some(kind));
            prop_assert_eq!(attachment.decoded_len, content.len() as u64);
            prop_assert_eq!(&attachment.magic[..], &content[..content.len().min(16)]);
            prop_assert_eq!(read.manifest[index].attachment, Some(index));
        }
        read.manifest.clear();
        read.attachments.clear();
        prop_assert_eq!(read, draft.document);
    }

    #[test]
    fn a_status_reads_back_as_written(
        from in organ(),
        response_for in response_for(),
        staff in of(staff()),
        code in 0u8..=99,
        description in prose(),
        timestamp in timestamp(),
    ) {
        let draft = write::StatusDraft {
            from,
            response_for,
            staff,
            code: StatusCode::new(code).unwrap(),
            description: Some(description),
            timestamp,
        };
        let bytes = write::status(&draft).unwrap();
        let reading = read(&bytes, &Limits::default());
        let expected = |code: FindingCode| matches!(code, FindingCode::UnknownStatus | FindingCode::IrregularAgencyCode | FindingCode::ValueLong);
        prop_assert!(reading.findings.iter().all(|f| expected(f.code)), "{:?}", reading.findings);
        let Some(Package::Status(read)) = reading.package else { panic!() };
        prop_assert_eq!(read.from, draft.from);
        prop_assert_eq!(read.response_for, draft.response_for);
        prop_assert_eq!(read.staff, draft.staff);
        prop_assert_eq!(read.code, draft.code);
        prop_assert_eq!(read.description, draft.description);
        prop_assert_eq!(read.timestamp, Some(draft.timestamp));
    }
}

#[test]
fn a_large_document_is_written_and_read_whole() {
    let date = Date::new(2026, 3, 2).unwrap();
    let from = Organ::new("H47.01", None);
    let mut draft =
        write::DocumentDraft::new(from, vec![Organ::new("H47.02", None)], "1", "A", date);
    let bytes: Vec<u8> = (0u32..3_000_001).map(|i| (i % 251) as u8).collect();
    draft.attach("a.bin", "application/octet-stream", bytes.clone());
    let package = write::document(&draft);
    let reading = read(&package, &Limits::default());
    let Some(Package::Document(document)) = reading.package else {
        panic!()
    };
    let attachment = &document.attachments[0];
    assert_eq!(attachment.decoded_len, bytes.len() as u64);
    use base64::Engine as _;
    let range = usize::try_from(attachment.encoded.start).unwrap()
        ..usize::try_from(attachment.encoded.end).unwrap();
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(&package[range])
        .unwrap();
    assert!(decoded == bytes);
}

#[test]
fn files_attached_in_the_manner_of_the_sdk_come_out_as_they_went_in() {
    use std::io::Cursor;
    let date = Date::new(2026, 3, 2).unwrap();
    let to = vec![Organ::new("H47.02", None)];
    let mut draft = write::DocumentDraft::new(Organ::new("H47.01", None), to, "1", "A", date);
    let files: [(&str, &[u8], &str, bool); 7] = [
        ("a.pdf", b"%PDF-1.4 x", "application/pdf", false),
        ("a.doc", b"\xD0\xCF\x11\xE0", "application/doc", false),
        ("a.PDF", b"%PDF-1.4 y", "application/zip", true),
        (
            "Danh sách.txt",
            "xin chào".as_bytes(),
            "application/zip",
            true,
        ),
        ("a.xlsx", b"x", "application/zip", true),
        ("khong-duoi", b"", "application/zip", true),
        ("a.b/c", b"z", "application/zip", true),
    ];
    for (name, bytes, ..) in files {
        draft.attach_as_sdk(name, bytes.to_vec()).unwrap();
    }
    let package = write::document(&draft);
    let reading = read(&package, &Limits::default());
    assert!(
        reading
            .findings
            .iter()
            .all(|f| f.severity == edxml::Severity::Info
                || f.code == FindingCode::NoSubject
                || f.code == FindingCode::NoDocumentId),
        "{:?}",
        reading.findings
    );
    let Some(Package::Document(document)) = reading.package else {
        panic!()
    };
    for ((name, bytes, content_type, zipped), attachment) in files.iter().zip(&document.attachments)
    {
        assert_eq!(attachment.name.as_deref(), Some(*name));
        assert_eq!(
            attachment.content_type.as_deref(),
            Some(*content_type),
            "{name}"
        );
        let opened = attachment
            .open(Cursor::new(&package), &Default::default())
            .unwrap();
        assert_eq!(
            (opened.bytes.as_slice(), opened.entry.is_some()),
            (*bytes, *zipped),
            "{name}"
        );
    }
}
