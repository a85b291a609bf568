//! Every sample has its verdict and its findings; no file may be added without a row.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use edxml::{BusinessKind, Document, Form, Limits, Package, Reading, Status, StatusCode, read};

/// File, verdict, codes of the findings in the order of the file.
const TABLE: &[(&str, &str, &[&str])] = &[
    (
        "documents/day-first-date.edxml",
        "accepted",
        &[
            "NONSTANDARD_DATE",
            "UNKNOWN_TYPE",
            "NONSTANDARD_DATE",
            "NONSTANDARD_TIME",
        ],
    ),
    (
        "documents/new.edxml",
        "accepted",
        &["IRREGULAR_AGENCY_CODE", "UNKNOWN_TYPE"],
    ),
    ("documents/recall.edxml", "accepted", &["UNKNOWN_TYPE"]),
    (
        "documents/received-from-national-axis-2025.edxml",
        "accepted",
        &[
            "USUALLY_PRESENT",
            "IRREGULAR_AGENCY_CODE",
            "VALUE_LONG",
            "IRREGULAR_AGENCY_CODE",
            "VALUE_LONG",
            "UNKNOWN_TYPE",
            "NO_TRACE_ORGAN",
            "NO_TRACE_ORGAN",
            "CONTENT_TYPE_DIFFERS",
        ],
    ),
    ("documents/replacement.edxml", "accepted", &["UNKNOWN_TYPE"]),
    (
        "documents/spelled-business.edxml",
        "accepted",
        &["UNKNOWN_TYPE", "BUSINESS_SPELLING"],
    ),
    ("documents/update.edxml", "accepted", &["UNKNOWN_TYPE"]),
    ("malformed/doctype.edxml", "refused", &["DOCTYPE"]),
    (
        "malformed/junk-before-declaration.edxml",
        "refused",
        &["JUNK_BEFORE_DECLARATION"],
    ),
    (
        "malformed/not-well-formed.edxml",
        "refused",
        &["NOT_WELL_FORMED"],
    ),
    (
        "older-forms/soap-2803-status.xml",
        "refused",
        &["OLDER_FORM_SOAP"],
    ),
    ("status/01-inbox.edxml", "accepted", &[]),
    ("status/02-rejection.edxml", "accepted", &[]),
    ("status/03-acceptance.edxml", "accepted", &[]),
    ("status/04-assignment.edxml", "accepted", &[]),
    ("status/05-processing.edxml", "accepted", &[]),
    ("status/06-finish.edxml", "accepted", &[]),
    ("status/13-cancellation.edxml", "accepted", &[]),
    ("status/15-change-acceptance.edxml", "accepted", &[]),
    ("status/16-change-rejection.edxml", "accepted", &[]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn bytes(file: &str) -> Vec<u8> {
    fs::read(folder().join(file)).unwrap()
}

fn reading(file: &str) -> Reading {
    read(&bytes(file), &Limits::default())
}

fn document(file: &str) -> Document {
    match reading(file).package {
        Some(Package::Document(document)) => *document,
        other => panic!("{file}: {other:?}"),
    }
}

fn status(file: &str) -> Status {
    match reading(file).package {
        Some(Package::Status(status)) => *status,
        other => panic!("{file}: {other:?}"),
    }
}

#[test]
fn every_sample_has_its_verdict_and_findings() {
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(folder()).unwrap() {
        for file in fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(self::folder()).unwrap();
            let name = name.to_str().unwrap().replace('\\', "/");
            let reading = reading(&name);
            let codes: Vec<_> = reading.findings.iter().map(|f| f.code.as_str()).collect();
            found.insert(name, (reading.verdict().as_str(), codes));
        }
    }
    let expected: BTreeMap<_, _> = TABLE
        .iter()
        .map(|(file, verdict, codes)| ((*file).to_owned(), (*verdict, codes.to_vec())))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_document_is_read_whole() {
    let reading = reading("documents/new.edxml");
    assert_eq!(reading.form, Form::Current);
    let d = document("documents/new.edxml");
    assert_eq!(d.from.id.as_str(), "000.00.00.A80");
    assert_eq!(d.from.email.as_deref(), Some("vpcp@gov.vn"));
    assert_eq!(d.to.len(), 1);
    assert_eq!(d.to[0].id.as_str(), "28.22.H17");
    assert_eq!(d.to[0].telephone.as_deref(), Some("(84-4) 3821 5137"));
    assert_eq!(d.code.to_string(), "74fass22/VPCP-TTĐT");
    assert_eq!(d.promulgation.place.as_deref(), Some("Hà Nội"));
    assert_eq!(d.promulgation.date.unwrap().to_string(), "2019/01/16");
    assert_eq!(d.document_type.class, Some(1));
    assert_eq!(d.document_type.detail, Some(0));
    assert_eq!(d.document_type.name.as_deref(), Some("Công văn"));
    assert!(d.subject.as_deref().unwrap().starts_with("V/v kết nối"));
    assert_eq!(d.signer.competence.as_deref(), Some("TL. BO TRUONG"));
    assert_eq!(d.due_date.unwrap().to_string(), "2018/09/28");
    assert_eq!(d.other_info.page_amount, Some(22));
    assert_eq!(d.other_info.direction, Some(false));
    assert_eq!(d.other_info.appendixes.len(), 1);
    assert_eq!(d.steering_type, Some(1));
    assert_eq!(d.to_places.len(), 2);
    assert_eq!(
        d.document_id.as_deref(),
        Some("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT")
    );
    assert_eq!(
        d.trace[0].timestamp.as_ref().unwrap().to_string(),
        "2018/09/28 00:00:00"
    );
    assert_eq!(d.business.kind, BusinessKind::New);
    assert_eq!(d.business.paper, Some(0));
    assert_eq!(
        d.business.staff.unwrap().mobile.as_deref(),
        Some("84912000001")
    );
    assert!(d.signed && d.unknown.is_empty());
    assert_eq!(d.manifest[0].attachment, Some(0));
    let attachment = &d.attachments[0];
    assert_eq!(attachment.content_id.as_deref(), Some("cid:209"));
    assert_eq!(&attachment.magic[..4], b"PK\x03\x04");
    assert!(attachment.decodable);
}

#[test]
fn recall_update_and_replacement_say_what_they_mean() {
    let recall = document("documents/recall.edxml");
    assert_eq!(recall.business.kind, BusinessKind::Recall);
    assert_eq!(recall.business.document_id, None);
    assert_eq!(recall.target_id(), recall.document_id.as_deref());
    assert_eq!(recall.to.len(), 3);
    assert_eq!(
        recall.response_for[0].code.as_deref(),
        Some("267/VPCP-TTĐT")
    );

    let update = document("documents/update.edxml");
    assert_eq!(update.business.kind, BusinessKind::Update);
    assert_eq!(
        update.target_id(),
        Some("000.00.00.G22,2014/02/30,7806/VPCP-TTĐT")
    );
    assert_eq!(update.business.info.document, Some(true));
    let changes = &update.business.receivers;
    assert_eq!(
        (changes[0].added, changes[1].added),
        (Some(false), Some(true))
    );

    let replacement = document("documents/replacement.edxml");
    assert_eq!(replacement.business.kind, BusinessKind::Replace);
    assert_eq!(replacement.business.replacements.len(), 2);
    assert_eq!(
        replacement.business.replacements[1].organ_ids[1].as_str(),
        "000.00.00.H14"
    );

    // The one-s spelling is read like the other.
    let spelled = document("documents/spelled-business.edxml");
    assert_eq!(
        spelled.business.reason.as_deref(),
        Some("Văn bản điện tử mới")
    );
}

#[test]
fn every_status_code_of_the_samples_is_read() {
    for (file, code) in [
        ("status/01-inbox.edxml", StatusCode::ARRIVED),
        ("status/02-rejection.edxml", StatusCode::REJECTED),
        ("status/03-acceptance.edxml", StatusCode::ACCEPTED),
        ("status/04-assignment.edxml", StatusCode::ASSIGNED),
        ("status/05-processing.edxml", StatusCode::PROCESSING),
        ("status/06-finish.edxml", StatusCode::FINISHED),
        ("status/13-cancellation.edxml", StatusCode::TAKE_BACK),
        ("status/15-change-acceptance.edxml", StatusCode::AGREED),
        ("status/16-change-rejection.edxml", StatusCode::DECLINED),
    ] {
        let status = status(file);
        assert_eq!(status.code, code, "{file}");
        assert_eq!(
            status.response_for.document_id.as_deref(),
            Some("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT")
        );
        assert_eq!(status.timestamp.unwrap().to_string(), "2015/09/20 11:08:36");
        assert!(status.staff.is_some() && status.description.is_some());
    }
}

#[test]
fn spans_say_where_the_parts_stand() {
    let file = bytes("documents/recall.edxml");
    let text = std::str::from_utf8(&file).unwrap();
    let spans = reading("documents/recall.edxml").spans;
    let at = |range: &std::ops::Range<u64>| {
        &text[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    };
    assert_eq!(spans.to.len(), 3);
    for to in &spans.to {
        assert!(at(to).starts_with("<edXML:To>") && at(to).ends_with("</edXML:To>"));
    }
    let trace = at(spans.trace_header_list.as_ref().unwrap());
    assert!(trace.starts_with("<edXML:TraceHeaderList>"));
    assert!(trace.ends_with("</edXML:TraceHeaderList>"));
    let signature = at(spans.signature.as_ref().unwrap());
    assert!(signature.starts_with("<Signature>") && signature.ends_with("</Signature>"));
    let id = "000.00.00.G22,2015/09/30,7816/VPCP-TTĐT";
    assert_eq!(at(spans.document_id.as_ref().unwrap()), id);
    let answered: Vec<_> = spans.response_for_document_ids.iter().map(at).collect();
    assert_eq!(answered, ["000.00.04.G14,2012/08/06,267/VPCP-TTĐT"]);

    let update = reading("documents/update.edxml").spans;
    assert_eq!(update.business_document_ids.len(), 1);
    let replacement = reading("documents/replacement.edxml").spans;
    assert_eq!(replacement.business_document_ids.len(), 2);

    let mut essence = Vec::new();
    edxml::essence(&file[..], &spans, |piece| essence.extend_from_slice(piece)).unwrap();
    let essence = String::from_utf8(essence).unwrap();
    for gone in ["<edXML:To>", "TraceHeader", "Signature", "Bussiness"] {
        assert!(!essence.contains(gone), "{gone}");
    }
    for kept in [
        "<edXML:From>",
        "<edXML:Subject>",
        "<edXML:ToPlaces>",
        "UEsDB",
    ] {
        assert!(essence.contains(kept), "{kept}");
    }
}

#[test]
fn attachments_are_located_to_the_byte() {
    use base64::Engine as _;
    for (file, verdict, _) in TABLE {
        if *verdict == "refused" || file.starts_with("status") {
            continue;
        }
        let package = bytes(file);
        for attachment in document(file).attachments {
            let start = usize::try_from(attachment.encoded.start).unwrap();
            let end = usize::try_from(attachment.encoded.end).unwrap();
            let encoded: Vec<u8> = package[start..end]
                .iter()
                .copied()
                .filter(|b| !b.is_ascii_whitespace())
                .collect();
            let decoded = base64::engine::general_purpose::STANDARD
                .decode(&encoded)
                .unwrap();
            assert_eq!(attachment.encoded_len, encoded.len() as u64, "{file}");
            assert_eq!(attachment.decoded_len, decoded.len() as u64, "{file}");
            assert_eq!(attachment.magic, decoded[..16], "{file}");
        }
    }
}

/// The samples' attachments are ZIPs around one file, as the national SDK makes them.
#[test]
fn attachments_are_opened_to_what_people_mean() {
    use std::io::{Cursor, Read};
    let mut opened = 0;
    for (file, verdict, _) in TABLE {
        if *verdict == "refused" || file.starts_with("status") {
            continue;
        }
        let package = bytes(file);
        for attachment in document(file).attachments {
            let mut content = Vec::new();
            let mut decoder = attachment.decode(Cursor::new(&package)).unwrap();
            decoder.read_to_end(&mut content).unwrap();
            assert_eq!(content.len() as u64, attachment.decoded_len, "{file}");
            let limits = edxml::OpenLimits::default();
            let inside = attachment.open(Cursor::new(&package), &limits).unwrap();
            assert!(inside.entry.is_some() && !inside.bytes.is_empty(), "{file}");
            assert_ne!(inside.bytes, content, "{file}");
            opened += 1;
        }
    }
    assert_eq!(opened, 7);
}

#[test]
fn the_header_alone_says_what_the_whole_says_of_it() {
    for (file, _, _) in TABLE {
        let whole = reading(file);
        let alone = edxml::read_header(&bytes(file)[..], &Limits::default()).unwrap();
        let codes = |reading: &Reading| -> Vec<_> {
            let of_the_header = |path: &str| !path.contains("AttachmentEncoded");
            let findings = reading.findings.iter();
            findings
                .filter(|f| of_the_header(&f.path))
                .map(|f| f.code)
                .collect()
        };
        assert_eq!(codes(&alone), codes(&whole), "{file}");
        match (alone.package, whole.package) {
            (Some(Package::Document(alone)), Some(Package::Document(mut whole))) => {
                whole.attachments.clear();
                whole
                    .manifest
                    .iter_mut()
                    .for_each(|line| line.attachment = None);
                assert_eq!(alone, whole, "{file}");
            }
            (alone, whole) => assert_eq!(alone, whole, "{file}"),
        }
    }
}

/// A source that ends in an error where the attachments begin: nothing of them is asked for.
#[test]
fn the_header_is_read_without_touching_the_attachments() {
    struct Guarded<'a>(&'a [u8]);
    impl std::io::Read for Guarded<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::Error::other("touched"));
            }
            std::io::Read::read(&mut self.0, out)
        }
    }
    let package = bytes("documents/new.edxml");
    let needle = b"<AttachmentEncoded>";
    let end = package
        .windows(needle.len())
        .position(|w| w == needle)
        .unwrap()
        + needle.len();
    let source = || std::io::BufReader::with_capacity(64, Guarded(&package[..end]));
    let reading = edxml::read_header(source(), &Limits::default()).unwrap();
    assert!(reading.package.is_some() && reading.refusal().is_none());
    assert!(edxml::read_from(source(), &Limits::default()).is_err());
}

#[test]
fn a_stream_in_small_windows_reads_like_the_whole() {
    for (file, _, _) in TABLE {
        let package = bytes(file);
        for window in [1, 2, 3, 7, 64, 1000] {
            let stream = std::io::BufReader::with_capacity(window, &package[..]);
            let streamed = edxml::read_from(stream, &Limits::default()).unwrap();
            assert_eq!(streamed, reading(file), "{file} by {window}");
        }
    }
}

#[test]
fn utf16_and_a_byte_order_mark_change_nothing_but_offsets() {
    for (file, verdict, _) in TABLE {
        if *verdict == "refused" {
            continue;
        }
        let text = String::from_utf8(bytes(file)).unwrap();
        let text = text.replace("encoding=\"UTF-8\"", "encoding=\"UTF-16\"");
        for (big, mark) in [(false, true), (true, true), (false, false), (true, false)] {
            let encode = |text: &str| -> Vec<u8> {
                text.encode_utf16()
                    .flat_map(|unit| {
                        if big {
                            unit.to_be_bytes()
                        } else {
                            unit.to_le_bytes()
                        }
                    })
                    .collect()
            };
            let mut package = encode(if mark { "\u{FEFF}" } else { "" });
            package.extend(encode(&text));
            let wide = read(&package, &Limits::default());
            let plain = reading(file);
            assert_eq!(
                wide.verdict(),
                plain.verdict(),
                "{file}: {:?}",
                wide.findings
            );
            let found = |reading: &Reading| -> Vec<_> {
                let ours = reading
                    .findings
                    .iter()
                    .filter(|f| f.code.as_str() != "UTF16");
                ours.map(|f| (f.code, f.path.clone(), f.line, f.column))
                    .collect()
            };
            assert_eq!(found(&wide), found(&plain), "{file}");
            if let Some(id) = &wide.spans.document_id {
                let start = usize::try_from(id.start).unwrap();
                let end = usize::try_from(id.end).unwrap();
                let plain_id = plain.spans.document_id.unwrap();
                let same = text.as_bytes();
                // The declaration is one byte longer in this text.
                let shift = text.len() - bytes(file).len();
                let plain_range = usize::try_from(plain_id.start).unwrap() + shift
                    ..usize::try_from(plain_id.end).unwrap() + shift;
                let expected = std::str::from_utf8(&same[plain_range]).unwrap();
                assert_eq!(package[start..end], encode(expected)[..], "{file}");
            }
        }
        let mut marked = vec![0xEF, 0xBB, 0xBF];
        marked.extend(bytes(file));
        let marked = read(&marked, &Limits::default());
        assert_eq!(marked.findings[0].code.as_str(), "BYTE_ORDER_MARK");
        assert!(marked.refusal().is_none());
    }
}
