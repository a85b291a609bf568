//! Bad and hostile input: refused fast, by name, at its place; and nothing ever panics.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod sound;

use std::time::{Duration, Instant};

use edxml::{Finding, FindingCode as F, Form, Limits, Package, Reading, Severity, read};
use proptest::prelude::*;

use sound::QCVN;

/// Reads, and looks at the language of what was found.
fn check(text: impl AsRef<[u8]>) -> Reading {
    let reading = read(text.as_ref(), &Limits::default());
    for finding in &reading.findings {
        speaks_vietnamese(finding);
    }
    reading
}

/// No English words stand in the Vietnamese text. Quoted values are the sender's own.
fn speaks_vietnamese(finding: &Finding) {
    const ENGLISH: &[&str] = &[
        "the",
        "is",
        "it",
        "its",
        "of",
        "and",
        "has",
        "not",
        "never",
        "where",
        "with",
        "after",
        "inside",
        "outside",
        "begins",
        "looks",
        "stands",
        "characters",
        "opened",
        "nothing",
        "missing",
        "place",
        "closed",
    ];
    let text = finding.message_vi();
    let unquoted: String = text.split('"').step_by(2).collect();
    let english = unquoted
        .split(|c: char| !c.is_alphanumeric())
        .find(|word| ENGLISH.contains(word));
    assert_eq!(english, None, "{}: {text}", finding.code);
    if finding.detail != finding.detail_vi {
        assert!(!text.contains(&finding.detail), "{text}");
        assert!(finding.message_en().contains(&finding.detail), "{finding}");
    }
}

fn codes(reading: &Reading) -> Vec<F> {
    reading.findings.iter().map(|f| f.code).collect()
}

/// A sound document, with one text replaced.
fn document(from: &str, to: &str) -> String {
    let text = sound::document();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn status(from: &str, to: &str) -> String {
    let text = format!(
        r#"<edXML xmlns="{QCVN}"><edXML:edXMLEnvelope xmlns:edXML="{QCVN}"><edXML:edXMLHeader><edXML:MessageHeader><edXML:From><edXML:OrganId>000.00.13.H47</edXML:OrganId></edXML:From><edXML:ResponseFor><edXML:OrganId>000.00.12.H47</edXML:OrganId><edXML:DocumentId>x</edXML:DocumentId></edXML:ResponseFor><edXML:StatusCode>03</edXML:StatusCode><edXML:Timestamp>2026/03/02 08:00:00</edXML:Timestamp></edXML:MessageHeader></edXML:edXMLHeader></edXML:edXMLEnvelope></edXML>"#
    );
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn the_sound_ones_are_sound() {
    assert_eq!(codes(&check(document("", ""))), []);
    assert_eq!(codes(&check(status("", ""))), []);
}

#[test]
fn one_fault_in_a_document_is_found_by_name_and_place() {
    let header = "edXML/edXMLEnvelope/edXMLHeader/MessageHeader";
    let body = "edXML/edXMLEnvelope/edXMLBody/edXMLManifest";
    let at = |tail: &str| format!("{header}/{tail}");
    for (from, to, code, path, refused) in [
        ("<edXML:From><edXML:OrganId>000.00.12.H47</edXML:OrganId>", "<edXML:From>", F::NoFrom, at("From/OrganId"), true),
        ("<edXML:From><edXML:OrganId>000.00.12.H47</edXML:OrganId><edXML:OrganName>Sở Nội vụ</edXML:OrganName></edXML:From>", "", F::NoFrom, at("From"), true),
        ("<edXML:From><edXML:OrganId>000.00.12.H47</edXML:OrganId>", "<edXML:From><edXML:OrganId> </edXML:OrganId>", F::NoFrom, at("From/OrganId"), true),
        ("<edXML:To><edXML:OrganId>000.00.13.H47</edXML:OrganId></edXML:To>", "", F::NoTo, at("To"), true),
        ("</edXML:To>", "</edXML:To><edXML:To/>", F::NoTo, at("To[2]/OrganId"), true),
        ("<edXML:CodeNumber>7</edXML:CodeNumber>", "", F::NoNumber, at("Code/CodeNumber"), true),
        ("<edXML:PromulgationDate>2026/03/02</edXML:PromulgationDate>", "", F::NoDate, at("PromulgationInfo/PromulgationDate"), true),
        ("<edXML:PromulgationDate>2026/03/02<", "<edXML:PromulgationDate> <", F::NoDate, at("PromulgationInfo/PromulgationDate"), true),
        ("<edXML:PromulgationDate>2026/03/02<", "<edXML:PromulgationDate>2026/02/30<", F::UnreadableDate, at("PromulgationInfo/PromulgationDate"), true),
        ("<Attachment><ContentId>1</ContentId><AttachmentName>a.pdf</AttachmentName><ContentTransferEncoded>JVBERi0xLjQK</ContentTransferEncoded></Attachment>", "", F::ReferenceWithoutAttachment, format!("{body}/Reference"), true),
        ("JVBERi0xLjQK", "@@@", F::BadBase64, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), true),
        ("JVBERi0xLjQK", "JVBERi0xLjQKJVBER", F::BadBase64, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), true),
        ("JVBERi0xLjQK", "JVBERi0xLjQK*", F::ForeignBase64, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), false),
        ("JVBERi0xLjQK", "JVBERi0xLjQKJV", F::Base64Padding, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), false),
        ("JVBERi0xLjQK", "JVBERi0xLjQKJe+/ve+/ve+/ve+/vQ==", F::ContentDestroyed, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), false),
        ("<ContentTransferEncoded>", "<ContentType>application/zip</ContentType><ContentTransferEncoded>", F::ContentTypeDiffers, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), false),
        ("<ContentTransferEncoded>JVBERi0xLjQK", "<ContentType>application/pdf</ContentType><ContentTransferEncoded>UEsDBBQACAgI", F::ContentTypeDiffers, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), false),
        ("JVBERi0xLjQK", "", F::EmptyAttachment, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), false),
        ("<ContentTransferEncoded>JVBERi0xLjQK</ContentTransferEncoded>", "", F::EmptyAttachment, "edXML/AttachmentEncoded/Attachment/ContentTransferEncoded".into(), false),
        ("<edXML:Reference><edXML:ContentId>cid:1</edXML:ContentId><edXML:AttachmentName>a.pdf</edXML:AttachmentName></edXML:Reference>", "", F::AttachmentWithoutReference, "edXML/AttachmentEncoded/Attachment".into(), false),
        ("<ContentId>1</ContentId><AttachmentName>a.pdf", "<ContentId>1</ContentId><AttachmentName>b.pdf", F::ManifestDiffers, format!("{body}/Reference"), false),
        ("<ContentId>1</ContentId>", "<ContentId>2</ContentId>", F::ManifestDiffers, format!("{body}/Reference"), false),
        ("<AttachmentName>a.pdf</AttachmentName>", "", F::NoAttachmentName, "edXML/AttachmentEncoded/Attachment/AttachmentName".into(), false),
        ("</edXML:Reference>", "</edXML:Reference><edXML:Reference><edXML:ContentId>cid:2</edXML:ContentId></edXML:Reference>", F::ReferenceWithoutAttachment, format!("{body}/Reference[2]"), true),
        ("<edXML:CodeNotation>SNV-VP</edXML:CodeNotation>", "", F::NoNotation, at("Code/CodeNotation"), false),
        ("<edXML:Subject>V/v thử</edXML:Subject>", "", F::NoSubject, at("Subject"), false),
        ("<edXML:DocumentId>000.00.12.H47,2026,7</edXML:DocumentId>", "", F::NoDocumentId, at("DocumentId"), false),
        ("</edXML:To>", "</edXML:To><edXML:To><edXML:OrganId>000.00.13.H47</edXML:OrganId></edXML:To>", F::DuplicateTo, at("To[2]"), false),
        ("<edXML:OrganId>000.00.13.H47", "<edXML:OrganId>H47;13", F::IrregularAgencyCode, at("To/OrganId"), false),
        ("2026/03/02<", "2026-03-02<", F::NonstandardDate, at("PromulgationInfo/PromulgationDate"), false),
        ("2026/03/02 08:00:00", "2026-03-02T08:00:00", F::NonstandardTime, "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/TraceHeader/Timestamp".into(), false),
        ("2026/03/02 08:00:00", "hôm qua", F::BadTime, "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/TraceHeader/Timestamp".into(), false),
        ("<edXML:Priority>1", "<edXML:Priority>khẩn", F::BadPriority, at("OtherInfo/Priority"), false),
        ("<edXML:Priority>1", "<edXML:Priority>+1", F::BadPriority, at("OtherInfo/Priority"), false),
        ("<edXML:Priority>1", "<edXML:Priority> 1", F::NumberWithSpaces, at("OtherInfo/Priority"), false),
        ("<edXML:Priority>1", "<edXML:Priority>4", F::LegacyPriority, at("OtherInfo/Priority"), false),
        ("<edXML:Priority>1</edXML:Priority>", "<edXML:PageAmount>hai</edXML:PageAmount>", F::BadNumber, at("OtherInfo/PageAmount"), false),
        ("<edXML:SteeringType>0", "<edXML:SteeringType>", F::SteeringType, at("SteeringType"), false),
        ("<edXML:SteeringType>0", "<edXML:SteeringType> 0", F::SteeringType, at("SteeringType"), false),
        ("<edXML:Subject>", "<edXML:Subject>a</edXML:Subject><edXML:Subject>", F::DuplicateElement, at("Subject[2]"), false),
        ("<edXML:Subject>", "chữ thừa<edXML:Subject>", F::UnexpectedText, header.into(), false),
        ("<edXML:Subject>", "<edXML:Mới/><edXML:Subject>", F::UnknownElement, at("Mới"), false),
        ("<edXML:Subject>", "<edXML:Receiver/><edXML:Subject>", F::MisplacedElement, at("Receiver"), false),
        ("V/v thử", "V/v th\u{FFFD}", F::ReplacementCharacter, at("Subject"), false),
        ("V/v thử", "V/v b¸o c¸o t×nh h×nh", F::LegacyText, at("Subject"), false),
        ("<edXML:Type>2<", "<edXML:Type>18<", F::UnknownClass, at("DocumentType"), false),
        ("<edXML:TypeDetail>18<", "<edXML:TypeDetail>33<", F::UnknownType, at("DocumentType"), false),
        ("<edXML:SteeringType>0", "<edXML:SteeringType>7", F::UnknownSteering, at("SteeringType"), false),
        ("<edXML:OrganName>Sở Nội vụ</edXML:OrganName>", "", F::UsuallyPresent, at("From/OrganName"), false),
        ("<edXML:Place>Huế</edXML:Place>", "", F::UsuallyPresent, at("PromulgationInfo/Place"), false),
        ("<edXML:TypeName>Công văn</edXML:TypeName>", "", F::UsuallyPresent, at("DocumentType/TypeName"), false),
        ("<edXML:FullName>Nguyễn Văn A</edXML:FullName>", "", F::UsuallyPresent, at("SignerInfo/FullName"), false),
        ("<edXML:SteeringType>0</edXML:SteeringType>", "", F::UsuallyPresent, at("SteeringType"), false),
        ("<edXML:Priority>1</edXML:Priority>", "<edXML:PageAmount>1000</edXML:PageAmount>", F::ValueTooLong, at("OtherInfo/PageAmount"), false),
        ("V/v thử", "V/v\u{85}thử", F::ControlCharacter, at("Subject"), false),
        ("<edXML:CodeNumber>7<", "<edXML:CodeNumber>123456789012<", F::ValueTooLong, at("Code/CodeNumber"), false),
        ("<edXML:Reference>", "<edXML:Reference xlink:href=\"\">", F::UnboundPrefix, format!("{body}/Reference"), false),
        ("<AttachmentEncoded>", "<AttachmentEncoded xmlns=\"urn:x\">", F::ForeignNamespace, "edXML/AttachmentEncoded/Attachment".into(), false),
        ("encoding=\"UTF-8\"", "encoding=\"windows-1258\"", F::DeclaredEncoding, String::new(), false),
        ("<edXML:Timestamp>2026/03/02 08:00:00</edXML:Timestamp>", "<edXML:TimeStamp>2026/03/02 08:00:00</edXML:TimeStamp>", F::OlderSpelling, "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/TraceHeader/TimeStamp".into(), false),
        ("<edXML:TraceHeaderList>", "<edXML:TraceHeaderList><edXML:Bussiness><edXML:BussinessDocType>9</edXML:BussinessDocType></edXML:Bussiness>", F::BadBusinessType, "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Bussiness/BussinessDocType".into(), false),
        ("<edXML:TraceHeaderList>", "<edXML:TraceHeaderList><edXML:Bussiness><edXML:BussinessDocType>1</edXML:BussinessDocType></edXML:Bussiness>", F::NoReason, "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Bussiness/BussinessDocReason".into(), false),
        ("<edXML:TraceHeaderList>", "<edXML:TraceHeaderList><edXML:Bussiness><edXML:BussinessDocType>3</edXML:BussinessDocType><edXML:BussinessDocReason>x</edXML:BussinessDocReason></edXML:Bussiness>", F::NoTarget, "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Bussiness/ReplacementInfoList/ReplacementInfo/DocumentId".into(), false),
        ("<edXML:TraceHeaderList>", "<edXML:TraceHeaderList><edXML:Bussiness><edXML:BussinessDocumentInfo><edXML:DocumentInfo>2</edXML:DocumentInfo></edXML:BussinessDocumentInfo></edXML:Bussiness>", F::BadFlag, "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Bussiness/BussinessDocumentInfo/DocumentInfo".into(), false),
    ] {
        let reading = check(document(from, to));
        assert_eq!(codes(&reading), [code], "{from} -> {to}: {:#?}", reading.findings);
        let finding = &reading.findings[0];
        assert_eq!(finding.path, path, "{from} -> {to}");
        assert_eq!(reading.refusal().is_some(), refused, "{finding}");
        assert!(finding.line > 0 && finding.column > 0);
        assert!(!finding.message_vi().contains("{}") && !finding.message_en().contains("{}"));
        let routed = !matches!(code, F::NoFrom) && (code != F::NoTo || path.ends_with("[2]/OrganId"));
        assert_eq!(reading.package.is_some(), routed, "{code}");
    }
}

#[test]
fn one_fault_in_a_status_is_found_by_name() {
    for (from, to, code, refused) in [
        (
            "<edXML:StatusCode>03</edXML:StatusCode>",
            "",
            F::NoStatusCode,
            true,
        ),
        (
            "<edXML:StatusCode>03<",
            "<edXML:StatusCode><",
            F::NoStatusCode,
            true,
        ),
        (
            "<edXML:StatusCode>03<",
            "<edXML:StatusCode>ba<",
            F::BadStatusCode,
            true,
        ),
        (
            "<edXML:StatusCode>03<",
            "<edXML:StatusCode>103<",
            F::BadStatusCode,
            true,
        ),
        (
            "<edXML:StatusCode>03<",
            "<edXML:StatusCode>3<",
            F::OneDigitStatus,
            false,
        ),
        (
            "<edXML:StatusCode>03<",
            "<edXML:StatusCode>07<",
            F::UnknownStatus,
            false,
        ),
        (
            "<edXML:StatusCode>03<",
            "<edXML:StatusCode>02<",
            F::NoReason,
            false,
        ),
        (
            "<edXML:ResponseFor><edXML:OrganId>000.00.12.H47</edXML:OrganId><edXML:DocumentId>x</edXML:DocumentId></edXML:ResponseFor>",
            "",
            F::NoResponseFor,
            true,
        ),
        (
            "<edXML:OrganId>000.00.12.H47</edXML:OrganId>",
            "",
            F::NoResponseFor,
            true,
        ),
        (
            "<edXML:DocumentId>x</edXML:DocumentId>",
            "",
            F::NoAnsweredDocument,
            false,
        ),
        (
            "<edXML:Timestamp>2026/03/02 08:00:00</edXML:Timestamp>",
            "",
            F::NoTimestamp,
            false,
        ),
    ] {
        let reading = check(status(from, to));
        assert_eq!(
            codes(&reading),
            [code],
            "{from} -> {to}: {:#?}",
            reading.findings
        );
        assert_eq!(reading.refusal().is_some(), refused, "{code}");
        assert_eq!(
            matches!(reading.package, Some(Package::Status(_))),
            !refused,
            "{code}"
        );
    }
}

#[test]
fn what_is_no_package_is_named() {
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let attribute = format!(" a=\"{}\"", "x".repeat(1 << 20));
    let long_tag = format!(" a=\"{}\"", "x".repeat(100_000));
    let attributes: String = (0..1_000_000).map(|i| format!(" a{i}=\"\"")).collect();
    let some_attributes: String = (0..100).map(|i| format!(" a{i}=\"\"")).collect();
    let name = "x".repeat(300);
    let laughs =
        "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>";
    let big_dtd = format!("<!DOCTYPE a [{}]><a/>", "<!ENTITY a \"x\">".repeat(200_000));
    let external = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>";
    let root = |inside: &str| format!("<edXML xmlns=\"{QCVN}\">{inside}</edXML>");
    let envelope = |inside: &str| {
        root(&format!(
            "<edXML:edXMLEnvelope xmlns:edXML=\"{QCVN}\">{inside}</edXML:edXMLEnvelope>"
        ))
    };
    let subject = |text: &str| document("V/v thử", text);
    for (text, code) in [
        (String::new(), F::Empty),
        ("xin chào".into(), F::NotXml),
        ("<?xml version=\"1.0\"?>".into(), F::NotXml),
        ("<!-- -->".into(), F::NotXml),
        ("<html><body/></html>".into(), F::NotEdxml),
        ("<a/>".into(), F::NotEdxml),
        (root(""), F::NotEdxml),
        (envelope(""), F::NoMessageHeader),
        (
            format!("<edXMLEnvelope xmlns=\"{QCVN}\"/>"),
            F::EnvelopeAsRoot,
        ),
        (
            "<EdXMLEnvelope xmlns=\"http://www.go.vn/eDoc\"/>".into(),
            F::OlderFormDraft,
        ),
        (
            format!("<?xml version=\"1.0\"?>{}", document("", "")),
            F::NotWellFormed,
        ),
        (
            format!("\r\n{}", document("", "")),
            F::JunkBeforeDeclaration,
        ),
        (
            document(
                "edXMLEnvelope xmlns:edXML=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\"",
                "edXMLEnvelope xmlns:edXML=\"urn:x\"",
            ),
            F::WrongNamespace,
        ),
        (
            document("", "").replace("edXMLEnvelope", "edXmlEnvelope"),
            F::WrongCase,
        ),
        (deep, F::NotEdxml),
        (
            document("<edXML:Subject>", &"<a>".repeat(10_000)),
            F::TooDeep,
        ),
        (
            document("<edXML:Subject>", &format!("<edXML:Subject{attribute}>")),
            F::TagTooLong,
        ),
        (
            document("<edXML:Subject>", &format!("<edXML:Subject{long_tag}>")),
            F::TagTooLong,
        ),
        (
            document("<edXML:Subject>", &format!("<edXML:Subject{attributes}>")),
            F::TooManyAttributes,
        ),
        (
            document(
                "<edXML:Subject>",
                &format!("<edXML:Subject{some_attributes}>"),
            ),
            F::TooManyAttributes,
        ),
        (
            document("<edXML:Subject>", &format!("<{name}/><edXML:Subject>")),
            F::NameTooLong,
        ),
        (subject(&"x".repeat(2 << 20)), F::TextTooLong),
        (subject(&"&amp;".repeat(2 << 20)), F::TextTooLong),
        (
            subject(&format!("<!--{}-->", "x".repeat(2 << 20))),
            F::TextTooLong,
        ),
        (
            subject(&format!("<![CDATA[{}]]>", "x".repeat(2 << 20))),
            F::TextTooLong,
        ),
        (
            document(
                "<edXML:Subject>",
                &format!("{}<edXML:Subject>", "<x/>".repeat(300_000)),
            ),
            F::TooManyElements,
        ),
        (laughs.into(), F::Doctype),
        (big_dtd, F::Doctype),
        (external.into(), F::Doctype),
        (subject("&xxe;"), F::UnknownEntity),
        (
            document("<edXML:Subject>", "<edXML:Subject a=\"&xxe;\">"),
            F::UnknownEntity,
        ),
        (subject("a & b"), F::NotWellFormed),
        (subject("<b>"), F::NotWellFormed),
        (
            document("<edXML:Subject>", "<edXML:Subject a=1>"),
            F::NotWellFormed,
        ),
        (
            document("<edXML:Subject>", "<edXML:Subject a=\"1\" a=\"2\">"),
            F::NotWellFormed,
        ),
        (
            document("<edXML:Subject>", "<edXML:Subject a=\"<\">"),
            F::NotWellFormed,
        ),
        (
            document("<edXML:Subject>", "<1/><edXML:Subject>"),
            F::NotWellFormed,
        ),
        (
            document("<edXML:Subject>", "<!-- -- --><edXML:Subject>"),
            F::NotWellFormed,
        ),
        (document("</edXML>\n", ""), F::NotWellFormed),
        (
            document("</edXML:Subject>", "</edXML:Content>"),
            F::NotWellFormed,
        ),
        (
            document("</edXML:To>", "</edXML:ToPlaces>"),
            F::NotWellFormed,
        ),
        (
            document("JVBERi0xLjQK", "JVBE</AttachmentEncoded>"),
            F::NotWellFormed,
        ),
        (document("JVBERi0xLjQK", "<![CDATA[JVBE"), F::NotWellFormed),
        (subject("\u{1}"), F::IllegalCharacter),
        (subject("&#1;"), F::IllegalCharacter),
        (subject("\u{FFFF}"), F::IllegalCharacter),
        (document("JVBERi0xLjQK", "JVBE\0"), F::IllegalCharacter),
    ] {
        let start = Instant::now();
        let reading = check(&text);
        let spent = start.elapsed();
        let refusal = reading
            .refusal()
            .unwrap_or_else(|| panic!("{code}: accepted"));
        assert_eq!(refusal.code, code, "{:#?}", reading.findings);
        // Generous: an unoptimised build on a busy machine.
        assert!(spent < Duration::from_secs(5), "{code} took {spent:?}");
        assert!(refusal.detail.chars().count() <= 120);
    }
}

#[test]
fn older_forms_are_named() {
    let multipart =
        "--b\r\nContent-Type: text/xml\r\n\r\n<?xml version=\"1.0\"?><Envelope/>\r\n--b--";
    let reading = check(multipart);
    assert_eq!(
        (reading.form, codes(&reading)),
        (Form::Multipart, vec![F::OlderFormMultipart])
    );
    let soap = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"/>";
    let reading = check(soap);
    assert_eq!(
        (reading.form, codes(&reading)),
        (Form::Soap, vec![F::OlderFormSoap])
    );
}

#[test]
fn lenient_reading_accepts_what_real_readers_accept() {
    let plain = document("", "");
    let sound = check(&plain).package.unwrap();
    let named = |code: F| vec![code];
    let no_prefix = plain
        .replace("xmlns:edXML=", "xmlns=")
        .replace("edXML:", "");
    for (text, expected) in [
        (no_prefix, named(F::OtherPrefix)),
        (
            plain
                .replace("edXML:", "q:")
                .replace("xmlns:edXML", "xmlns:q"),
            named(F::OtherPrefix),
        ),
        (
            plain.replace(&format!(" xmlns:edXML=\"{QCVN}\""), ""),
            named(F::UnboundPrefix),
        ),
        (plain.replace(&format!(" xmlns=\"{QCVN}\""), ""), vec![]),
        (plain.replace("edXMLManifest", "Manifest"), vec![]),
        (
            plain
                .replace("<edXML xmlns", "<eDoc xmlns")
                .replace("</edXML>", "</eDoc>"),
            named(F::RootName),
        ),
        (
            plain.replace("JVBERi0xLjQK", "\r\n  JVBE\r\n  Ri0x\r\n  LjQK\r\n"),
            vec![],
        ),
        (plain.replace("JVBERi0xLjQK", "JVBE&#13;\nRi0xLjQK"), vec![]),
        (
            plain.replace("JVBERi0xLjQK", "<![CDATA[JVBERi0x]]><!-- c --> LjQK"),
            vec![],
        ),
        (
            plain.replace("V/v thử", "V/v <![CDATA[th]]>&#x1EED;<!-- c -->"),
            vec![],
        ),
        (plain.replace("V/v thử", "<?pi?>V/v thử"), vec![]),
        (format!("{plain}\r\n<!-- end -->\r\n"), vec![]),
        (format!("{plain}\0\0"), named(F::TrailingBytes)),
        (format!("{plain}<edXML/>"), named(F::TrailingBytes)),
    ] {
        let reading = check(&text);
        assert_eq!(codes(&reading), expected, "{text}");
        assert!(reading.refusal().is_none());
        let Some(Package::Document(read)) = reading.package else {
            panic!("{text}")
        };
        let Package::Document(sound) = &sound else {
            panic!()
        };
        assert_eq!(read.subject, sound.subject);
        assert_eq!(read.to, sound.to);
        assert_eq!(read.attachments[0].magic, b"%PDF-1.4\n");
        assert_eq!(read.attachments[0].decoded_len, 9);
    }
}

#[test]
fn order_does_not_matter() {
    let moved = "<edXML:SteeringType>0</edXML:SteeringType>";
    let text = document(moved, "").replacen("<edXML:From>", &format!("{moved}<edXML:From>"), 1);
    let Some(Package::Document(read)) = check(text).package else {
        panic!()
    };
    assert_eq!(read.steering_type, Some(0));
}

#[test]
fn invalid_utf8_is_refused_at_every_position() {
    let package = document("", "").into_bytes();
    // What follows the root element is another matter.
    for position in 0..package.len() - 1 {
        let mut broken = package.clone();
        broken[position] = 0xFF;
        let reading = check(&broken);
        assert!(
            reading.refusal().is_some(),
            "at {position}: {:?}",
            reading.findings
        );
    }
}

#[test]
fn truncation_is_refused_at_every_position() {
    let package = document("", "").into_bytes();
    let end = package.len() - 1;
    for position in 0..end {
        let reading = check(&package[..position]);
        let refusal = reading
            .refusal()
            .unwrap_or_else(|| panic!("cut at {position}"));
        let named = matches!(
            refusal.code,
            F::Empty | F::NotXml | F::NotWellFormed | F::InvalidEncoding | F::UnknownEntity
        );
        assert!(named, "at {position}: {refusal}");
    }
}

#[test]
fn a_source_that_fails_fails_the_reading() {
    struct Failing<'a>(&'a [u8]);
    impl std::io::Read for Failing<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            let count = self.0.len().min(out.len()).min(1000);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }
    let package = document("", "").into_bytes();
    for cut in (0..=package.len()).step_by(97) {
        let source = std::io::BufReader::new(Failing(&package[..cut]));
        let failed = edxml::read_from(source, &Limits::default());
        assert_eq!(
            failed.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset,
            "cut at {cut}"
        );
    }
}

#[test]
fn memory_does_not_grow_with_the_package() {
    /// Base64 without end, made as it is read.
    struct Endless {
        head: Vec<u8>,
        left: u64,
        tail: Vec<u8>,
    }
    impl std::io::Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            for part in [true, false] {
                let bytes = if part { &mut self.head } else { &mut self.tail };
                if !part && self.left > 0 {
                    let count = usize::try_from(self.left.min(out.len() as u64)).unwrap();
                    out[..count].fill(b'A');
                    self.left -= count as u64;
                    return Ok(count);
                }
                if !bytes.is_empty() {
                    let count = bytes.len().min(out.len());
                    out[..count].copy_from_slice(&bytes[..count]);
                    bytes.drain(..count);
                    return Ok(count);
                }
            }
            Ok(0)
        }
    }
    let text = document("", "");
    for wrapper in [("", ""), ("<![CDATA[", "]]>")] {
        let (head, tail) = text.split_once("JVBERi0xLjQK").unwrap();
        let source = Endless {
            head: format!("{head}{}", wrapper.0).into_bytes(),
            left: 64 << 20,
            tail: format!("{}{tail}", wrapper.1).into_bytes(),
        };
        // A text this long would be refused if it were collected: the limit is 1 MiB.
        let reading =
            edxml::read_from(std::io::BufReader::new(source), &Limits::default()).unwrap();
        assert!(reading.refusal().is_none(), "{:?}", reading.findings);
        let Some(Package::Document(document)) = reading.package else {
            panic!()
        };
        assert_eq!(document.attachments[0].encoded_len, 64 << 20);
        assert_eq!(document.attachments[0].decoded_len, 48 << 20);
    }
}

#[test]
fn findings_are_capped_and_counted() {
    let to: String = (0..1000)
        .map(|i| format!("<edXML:To><edXML:OrganId>x{i}</edXML:OrganId></edXML:To>"))
        .collect();
    let reading = check(document(
        "<edXML:DocumentId>",
        &format!("{to}<edXML:DocumentId>"),
    ));
    assert_eq!(reading.findings.len(), 200);
    assert_eq!(reading.findings_dropped, 800);
    assert!(reading.refusal().is_none());
}

fn mutations() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, Vec<u8>)>> {
    let pieces = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        prop::sample::select(vec![
            "<",
            ">",
            "</",
            "/>",
            "&",
            "]]>",
            "<![CDATA[",
            "<!--",
            "-->",
            "<?",
            "<!DOCTYPE",
            "=",
            "\"",
            "xmlns",
            "edXML:",
            "<edXML:To>",
            "</edXML:To>",
            "<edXML:StatusCode>3</edXML:StatusCode>",
            "<edXML:Code>",
            "\u{FEFF}",
            "&#13;",
            "\0",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0u8..40, pieces), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let reading = read(&bytes, &Limits::default());
        prop_assert!(reading.refusal().is_some());
    }

    #[test]
    fn no_mutation_makes_reading_panic_or_lie(mutations in mutations(), which in 0..2, window in 1usize..200) {
        let mut package = if which == 0 { document("", "") } else { status("", "") }.into_bytes();
        for (index, removed, piece) in mutations {
            let at = index.index(package.len() + 1);
            let end = (at + usize::from(removed)).min(package.len());
            package.splice(at..end, piece);
        }
        let reading = read(&package, &Limits::default());
        // What is accepted has a package, and what has none says why.
        prop_assert!(reading.package.is_some() || reading.refusal().is_some());
        for finding in &reading.findings {
            prop_assert!(finding.offset <= package.len() as u64);
            prop_assert_eq!(finding.severity, finding.code.severity());
        }
        if let Some(Package::Document(document)) = &reading.package
            && reading.refusal().is_none()
        {
            prop_assert!(document.promulgation.date.is_some());
            prop_assert!(!document.code.number.is_empty());
        }
        for range in reading.spans.inessential() {
            prop_assert!(range.start < range.end && range.end <= package.len() as u64);
        }
        // By windows of any size the same is read.
        let stream = std::io::BufReader::with_capacity(window, &package[..]);
        prop_assert_eq!(edxml::read_from(stream, &Limits::default()).unwrap(), reading);
        let errors = read(&package, &Limits::default()).findings.iter().filter(|f| f.severity == Severity::Error).count();
        prop_assert!(errors <= 200);
    }
}
