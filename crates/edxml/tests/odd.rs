//! Odd packages after sections (b) to (i) of the reference and section 5.5 of that of the national
//! axis: what is read of them, what is told, what is refused.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use edxml::{Document, Limits, Package, Reading, Status, read};

const NEW: &str = include_str!("data/documents/new.edxml");
const STATUS: &str = include_str!("data/status/03-acceptance.edxml");

/// The sample with each text replaced by another, everywhere.
fn with(sample: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(sample.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// What is found beside what the unchanged sample has.
fn told(reading: &Reading) -> Vec<&'static str> {
    let codes = reading.findings.iter().map(|finding| finding.code.as_str());
    let of_sample = ["IRREGULAR_AGENCY_CODE", "UNKNOWN_TYPE"];
    codes.filter(|code| !of_sample.contains(code)).collect()
}

fn document(package: &[u8]) -> (Reading, Document) {
    let reading = read(package, &Limits::default());
    match &reading.package {
        Some(Package::Document(document)) => {
            let document = (**document).clone();
            (reading, document)
        }
        _ => panic!("{:?}", reading.findings),
    }
}

fn status(package: &str) -> (Reading, Status) {
    let reading = read(package.as_bytes(), &Limits::default());
    match &reading.package {
        Some(Package::Status(status)) => {
            let status = (**status).clone();
            (reading, status)
        }
        _ => panic!("{:?}", reading.findings),
    }
}

const QCVN: &str = "http://www.mic.gov.vn/TBT/QCVN_102_2016";

/// All of these are the same document to whoever reads it, and accepted.
#[test]
fn however_a_document_is_dressed_it_says_the_same() {
    let declared = format!(" xmlns:edXML=\"{QCVN}\"");
    let root = format!("<edXML xmlns=\"{QCVN}\">");
    for (changes, expected) in [
        // Prefixes.
        (
            vec![(declared.as_str(), ""), ("edXML:", "")],
            vec!["OTHER_PREFIX"],
        ),
        (
            vec![("xmlns:edXML", "xmlns:ns0"), ("edXML:", "ns0:")],
            vec!["OTHER_PREFIX"],
        ),
        (vec![(declared.as_str(), "")], vec!["UNBOUND_PREFIX"]),
        (vec![(root.as_str(), "<edXML>")], vec![]),
        (
            vec![
                ("<AttachmentEncoded>", "<edXML:AttachmentEncoded>"),
                ("</AttachmentEncoded>", "</edXML:AttachmentEncoded>"),
            ],
            vec!["UNBOUND_PREFIX"],
        ),
        // The frame.
        (
            vec![(root.as_str(), "<Goi>"), ("</edXML>", "</Goi>")],
            vec!["ROOT_NAME"],
        ),
        (vec![("edXMLManifest", "Manifest")], vec![]),
        (vec![("edXMLHeader", "edXmlHeader")], vec!["OLDER_SPELLING"]),
        (
            vec![
                ("</edXML:edXMLEnvelope>", ""),
                (
                    "</AttachmentEncoded>",
                    "</AttachmentEncoded></edXML:edXMLEnvelope>",
                ),
            ],
            vec!["MISPLACED_ELEMENT"],
        ),
        (
            vec![
                ("<edXML:edXMLHeader>", "\r\n\r\n<edXML:edXMLHeader   >"),
                ("</edXML:edXMLHeader>", "</edXML:edXMLHeader\n>"),
            ],
            vec![],
        ),
        // Attributes of .NET.
        (
            vec![(
                "<edXML:TraceHeaderList>",
                "<edXML:TraceHeaderList edXML:id=\"1\" edXML:version=\"1.0\" mustUnderstand=\"1\" actor=\"http://schemas.xmlsoap.org/soap/actor/next\">",
            )],
            vec![],
        ),
        (
            vec![(
                "<edXML:Reference>",
                "<edXML:Reference xlink:href=\"cid:209\" xlink:role=\"x\" xlink:type=\"simple\">",
            )],
            vec!["UNBOUND_PREFIX"],
        ),
        (
            vec![("<edXML:Fax>", "<edXML:Fax xsi:nil=\"true\">")],
            vec!["UNBOUND_PREFIX"],
        ),
        // Signatures.
        (
            vec![(
                "<Signature>",
                "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\">",
            )],
            vec![],
        ),
        (
            vec![
                ("<Signature>", "<edXML:DigitalSignature>"),
                ("</Signature>", "</edXML:DigitalSignature>"),
            ],
            vec![],
        ),
        // Comments, instructions, CDATA, character references.
        (
            vec![("<edXML:From>", "<!-- gửi --><?x y?><edXML:From><!-- -->")],
            vec![],
        ),
        (vec![("000.00.00.A80", "<![CDATA[000.00.00.A80]]>")], vec![]),
        (
            vec![(
                "<edXML:OrganId>000.00.00.A80",
                "<edXML:OrganId>000.00&#46;00.A80",
            )],
            vec![],
        ),
        // Ids, with and without their prefix.
        (vec![("<ContentId>cid:209", "<ContentId>209")], vec![]),
        (vec![("<ContentId>cid:209", "<ContentId>CID:209 ")], vec![]),
        (
            vec![
                ("<edXML:ContentId>cid:209</edXML:ContentId>", ""),
                ("<edXML:Reference>", "<edXML:Reference href=\"cid:209\">"),
            ],
            vec![],
        ),
        // SDK additions that mean nothing to the axis.
        (
            vec![(
                "<edXML:From>",
                "<edXML:From><edXML:Agency><edXML:OrganId>x</edXML:OrganId><edXML:ExecuteRole>1</edXML:ExecuteRole></edXML:Agency><edXML:Feedback/>",
            )],
            vec![],
        ),
        // Empty elements, ends of lines, the declaration.
        (
            vec![(
                "</edXML:MessageHeader>",
                "<edXML:ResponseFor/><edXML:ResponseFor> </edXML:ResponseFor></edXML:MessageHeader>",
            )],
            vec![],
        ),
        (
            vec![("encoding=\"UTF-8\"", "encoding='utf-8' standalone='yes'")],
            vec![],
        ),
        (vec![("</edXML>", "</edXML>\r\n\r\n")], vec![]),
        (
            vec![("</edXML>", "</edXML>\r\n--boundary--")],
            vec!["TRAILING_BYTES"],
        ),
        (vec![("</edXML>", "</edXML>\u{0}")], vec!["TRAILING_BYTES"]),
    ] {
        let text = with(NEW, &changes);
        let (reading, read) = document(text.as_bytes());
        assert_eq!(told(&reading), expected, "{changes:?}");
        assert!(reading.refusal().is_none(), "{changes:?}");
        let (_, plain) = document(NEW.as_bytes());
        assert_eq!(read.from, plain.from, "{changes:?}");
        assert_eq!(read.to, plain.to, "{changes:?}");
        assert_eq!(
            (&read.code, &read.document_id),
            (&plain.code, &plain.document_id),
            "{changes:?}"
        );
        assert_eq!(read.business, plain.business, "{changes:?}");
        assert_eq!(read.signed, plain.signed, "{changes:?}");
        assert_eq!(read.manifest[0].attachment, Some(0), "{changes:?}");
        assert_eq!(
            read.attachments[0].decoded_len,
            plain.attachments[0].decoded_len
        );
        assert_eq!(read.attachments[0].magic, plain.attachments[0].magic);
    }
}

/// What real senders get wrong, and what is made of it.
#[test]
fn what_is_odd_is_named() {
    let date = "<edXML:PromulgationDate>2019/01/16<";
    let dated = |text: &str| format!("<edXML:PromulgationDate>{text}<");
    let (iso, day_first, impossible, short, words) = (
        dated("2019-01-16T00:00:00+07:00"),
        dated("16/1/2019"),
        dated("2014/02/30"),
        dated("16/01/19"),
        dated("ngày 16 tháng 01"),
    );
    for (from, to, expected, accepted) in [
        (date, iso.as_str(), vec!["NONSTANDARD_DATE"], true),
        (date, day_first.as_str(), vec!["NONSTANDARD_DATE"], true),
        (date, impossible.as_str(), vec!["UNREADABLE_DATE"], false),
        (date, short.as_str(), vec!["UNREADABLE_DATE"], false),
        (date, words.as_str(), vec!["UNREADABLE_DATE"], false),
        (
            "2018/09/28 00:00:00",
            "9/28/2018 8:00:00 PM",
            vec!["BAD_TIME"],
            true,
        ),
        (
            "2018/09/28 00:00:00",
            "28/09/2018 20:35:56",
            vec!["NONSTANDARD_TIME"],
            true,
        ),
        // The SDK does not notice these.
        (
            "<edXML:PageAmount>22<",
            "<edXML:PageAmount> 22 <",
            vec!["NUMBER_WITH_SPACES"],
            true,
        ),
        (
            "<edXML:PageAmount>22<",
            "<edXML:PageAmount>hai mươi<",
            vec!["BAD_NUMBER"],
            true,
        ),
        (
            "<edXML:PageAmount>22<",
            "<edXML:PageAmount><",
            vec!["EMPTY_NUMBER"],
            true,
        ),
        (
            "<edXML:SteeringType>1<",
            "<edXML:SteeringType><",
            vec!["STEERING_TYPE"],
            true,
        ),
        // Characters.
        (
            "Hà Nội",
            "H\u{FFFD} N\u{FFFD}i",
            vec!["REPLACEMENT_CHARACTER"],
            true,
        ),
        // The code in one text, as in ResponseFor.
        (
            "<edXML:CodeNumber>74fass22</edXML:CodeNumber>",
            "74fass22/VPCP",
            vec!["NO_NUMBER", "UNEXPECTED_TEXT"],
            false,
        ),
        // A package is a document or a status.
        (
            "</edXML:MessageHeader>",
            "<edXML:StatusCode>03</edXML:StatusCode></edXML:MessageHeader>",
            vec!["MISPLACED_ELEMENT"],
            true,
        ),
        // An older builder.
        (
            "</edXML:TraceHeader>",
            "<edXML:Business><edXML:BusinessName>x</edXML:BusinessName></edXML:Business></edXML:TraceHeader>",
            vec!["BUSINESS_SPELLING", "MISPLACED_ELEMENT"],
            true,
        ),
        // Repeated.
        (
            "<edXML:DocumentId>",
            "<edXML:DocumentId>x</edXML:DocumentId><edXML:DocumentId>",
            vec!["DUPLICATE_ELEMENT"],
            true,
        ),
        (
            "</edXML:To>",
            "</edXML:To><edXML:To><edXML:OrganId>28.22.h17</edXML:OrganId></edXML:To>",
            vec!["DUPLICATE_TO"],
            true,
        ),
        // Names of attachments.
        (
            "<ContentId>cid:209",
            "<ContentId>cid:210",
            vec!["MANIFEST_DIFFERS"],
            true,
        ),
        (
            "<AttachmentName>",
            "<AttachmentName>../../",
            vec!["MANIFEST_DIFFERS"],
            true,
        ),
    ] {
        assert!(NEW.contains(from), "{from}");
        let text = NEW.replacen(from, to, 1);
        let reading = read(text.as_bytes(), &Limits::default());
        assert_eq!(told(&reading), expected, "{from} -> {to}");
        assert_eq!(reading.refusal().is_none(), accepted, "{from} -> {to}");
    }
}

/// Whoever is let in by one sender must not be shown as another: receivers differ in whether the
/// first or the last of two counts.
#[test]
fn two_answers_to_one_question_are_refused() {
    let other = "<edXML:From><edXML:OrganId>000.00.00.G22</edXML:OrganId></edXML:From>";
    let same = "<edXML:From><edXML:OrganId>000.00.00.a80</edXML:OrganId></edXML:From>";
    let header = format!("<edXML:MessageHeader>{other}</edXML:MessageHeader>");
    let envelope = format!(
        "<edXML:edXMLEnvelope xmlns:edXML=\"{QCVN}\"><edXML:edXMLHeader>{header}</edXML:edXMLHeader></edXML:edXMLEnvelope>"
    );
    for (before, added, refused) in [
        ("</edXML:From>", other, true),
        ("</edXML:From>", same, false),
        ("</edXML:MessageHeader>", header.as_str(), true),
        ("</edXML:edXMLEnvelope>", envelope.as_str(), true),
        (
            "<edXML:From>\r\n",
            "<edXML:OrganId>000.00.00.G22</edXML:OrganId>",
            true,
        ),
        (
            "<edXML:To>\r\n",
            "<edXML:OrganId>000.00.00.G22</edXML:OrganId>",
            true,
        ),
        (
            "<edXML:To>\r\n",
            "<edXML:OrganId> 28.22.h17 </edXML:OrganId>",
            false,
        ),
    ] {
        let text = NEW.replace("\r\n", "\n").replace('\n', "\r\n");
        assert!(text.contains(before), "{before}");
        let text = text.replacen(before, &format!("{before}{added}"), 1);
        let reading = read(text.as_bytes(), &Limits::default());
        let codes = told(&reading);
        assert_eq!(
            codes.contains(&"CONTRADICTION"),
            refused,
            "{added}: {codes:?}"
        );
        assert!(codes.contains(&"DUPLICATE_ELEMENT"), "{added}: {codes:?}");
        assert_eq!(reading.refusal().is_some(), refused, "{added}: {codes:?}");
    }
    for (from, to, refused) in [
        (
            "<edXML:StatusCode>",
            "<edXML:StatusCode>06</edXML:StatusCode><edXML:StatusCode>",
            true,
        ),
        (
            "<edXML:StatusCode>",
            "<edXML:StatusCode>03</edXML:StatusCode><edXML:StatusCode>",
            false,
        ),
        (
            "<edXML:ResponseFor>",
            "<edXML:ResponseFor><edXML:OrganId>H47.1</edXML:OrganId></edXML:ResponseFor><edXML:ResponseFor>",
            true,
        ),
    ] {
        let reading = read(with(STATUS, &[(from, to)]).as_bytes(), &Limits::default());
        assert_eq!(told(&reading).contains(&"CONTRADICTION"), refused, "{to}");
        assert_eq!(reading.refusal().is_some(), refused, "{to}");
    }
}

#[test]
fn odd_statuses_are_read() {
    for (changes, expected) in [
        (
            vec![("StatusCode>03<", "StatusCode>3<")],
            vec!["ONE_DIGIT_STATUS"],
        ),
        (
            vec![("StatusCode>03<", "StatusCode> 03\r\n<")],
            vec!["ONE_DIGIT_STATUS"],
        ),
        (
            vec![("MessageHeader", "Status"), ("Timestamp", "TimeStamp")],
            vec!["OLDER_SPELLING", "OLDER_SPELLING"],
        ),
        (
            vec![("edXML:", ""), ("xmlns:edXML", "xmlns")],
            vec!["OTHER_PREFIX"],
        ),
        (
            vec![("2015/09/20 11:08:36", "2015-09-20T11:08:36.123+07:00")],
            vec!["NONSTANDARD_TIME"],
        ),
        (
            vec![(
                "<edXML:StatusCode>",
                "<edXML:To><edXML:OrganId>H47.1</edXML:OrganId></edXML:To><edXML:StatusCode>",
            )],
            vec!["MISPLACED_ELEMENT"],
        ),
    ] {
        let (reading, read) = status(&with(STATUS, &changes));
        assert_eq!(told(&reading), expected, "{changes:?}");
        assert_eq!(read.code, edxml::StatusCode::ACCEPTED);
        assert_eq!(read.from.id.as_str(), status(STATUS).1.from.id.as_str());
    }
}

/// A decomposed name is the same name: manifest and attachment may differ in that alone.
#[test]
fn names_are_compared_composed() {
    let (name, composed, decomposed) = (
        "1896_QD-TTg_m_294779.doc",
        "Quyết định.doc",
        "Quye\u{302}\u{301}t di\u{323}nh.doc",
    );
    let decomposed = decomposed.replacen('d', "đ", 1);
    for ids in [true, false] {
        let mut text = with(NEW, &[(name, composed)]);
        let name = |name: &str| format!("<AttachmentName>{name}<");
        text = with(&text, &[(&name(composed), &name(&decomposed))]);
        if !ids {
            text = with(
                &text,
                &[("<ContentId>cid:209</ContentId>", "<ContentId>x</ContentId>")],
            );
        }
        let (reading, read) = document(text.as_bytes());
        assert_eq!(read.manifest[0].attachment, Some(0));
        let expected = if ids {
            vec![]
        } else {
            vec!["MANIFEST_DIFFERS"]
        };
        assert_eq!(told(&reading), expected);
        assert_ne!(read.manifest[0].name, read.attachments[0].name);
    }
}

/// Where two limits are in use, the smaller is a note and the larger a warning (section b).
#[test]
fn lengths_have_two_limits() {
    for (element, some, most) in [
        ("OrganizationInCharge", 200, 500),
        ("OrganAdd", 250, 500),
        ("Telephone", 20, 50),
        ("Fax", 20, 50),
        ("Website", 20, 100),
        ("OrganName", 200, 200),
        ("Email", 100, 100),
    ] {
        for length in [some, some + 1, most, most + 1] {
            let expected = match length {
                _ if length > most => Some("VALUE_TOO_LONG"),
                _ if length > some => Some("VALUE_LONG"),
                _ => None,
            };
            // Letters of three bytes: characters count, not bytes.
            let start = format!("<edXML:{element}>");
            let at = NEW.find(&start).unwrap() + start.len();
            let end = at + NEW[at..].find('<').unwrap();
            let text = format!("{}{}{}", &NEW[..at], "ế".repeat(length), &NEW[end..]);
            let (reading, _) = document(text.as_bytes());
            assert_eq!(
                told(&reading),
                Vec::from_iter(expected),
                "{element} {length}"
            );
        }
    }
}

#[test]
fn a_declaration_of_any_encoding_makes_no_panic() {
    for name in ["utf-1ế", "utf-16", "ế", "", "UTF-16LE", "utf8"] {
        let text = NEW.replace("UTF-8", name);
        let _ = read(text.as_bytes(), &Limits::default());
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let reading = read(&wide, &Limits::default());
        assert!(
            reading.findings.iter().any(|f| f.code.as_str() == "UTF16"),
            "{name}"
        );
    }
}

/// Each name is looked up among the declarations in force: thousands of these are refused, so that
/// time stays in proportion to the bytes.
#[test]
fn a_thicket_of_namespaces_is_refused() {
    let declarations: String = (0..60).map(|i| format!(" xmlns:a{i}=\"b\"")).collect();
    let thicket = format!("<x{declarations}>").repeat(90);
    let text = with(
        NEW,
        &[(
            "<edXML:From>",
            &format!("{thicket}{}<edXML:From>", "<zz:y/>".repeat(10_000)),
        )],
    );
    let reading = read(text.as_bytes(), &Limits::default());
    assert_eq!(
        reading.refusal().unwrap().code.as_str(),
        "TOO_MANY_ATTRIBUTES"
    );
}

/// Section b.6: what the national SDK takes without a word and understands otherwise. The receiver
/// may run it, so that the sender is told.
#[test]
fn what_the_sdk_misreads_in_silence_is_a_warning_that_says_so() {
    for (from, to, code) in [
        ("2019/01/16<", "2019-01-16<", "NONSTANDARD_DATE"),
        ("2019/01/16<", "16/01/2019<", "NONSTANDARD_DATE"),
        (
            "2018/09/28 00:00:00",
            "2018-09-28T20:35:56",
            "NONSTANDARD_TIME",
        ),
        ("edXML:Timestamp>", "edXML:TimeStamp>", "OLDER_SPELLING"),
        ("edXML:Position>", "edXML:Function>", "OLDER_SPELLING"),
        (
            "edXML:OrganizationInCharge>",
            "edXML:OrganInCharge>",
            "OLDER_SPELLING",
        ),
        ("edXML:Bussiness>", "edXML:Business>", "BUSINESS_SPELLING"),
        (
            "edXML:BussinessDocType>",
            "edXML:BusinessDocType>",
            "BUSINESS_SPELLING",
        ),
        ("PageAmount>22<", "PageAmount>22 <", "NUMBER_WITH_SPACES"),
        ("PageAmount>22<", "PageAmount>hai<", "BAD_NUMBER"),
        ("PageAmount>22<", "PageAmount><", "EMPTY_NUMBER"),
        ("Priority>0<", "Priority>khẩn<", "BAD_PRIORITY"),
        ("SteeringType>1<", "SteeringType> 1<", "STEERING_TYPE"),
    ] {
        let reading = read(with(NEW, &[(from, to)]).as_bytes(), &Limits::default());
        assert!(reading.refusal().is_none(), "{from} -> {to}");
        let mut findings = reading.findings.iter();
        let told = findings.find(|finding| finding.code.as_str() == code);
        let told = told.unwrap_or_else(|| panic!("{from} -> {to}: {:?}", reading.findings));
        assert_eq!(told.severity, edxml::Severity::Warning, "{told}");
        assert!(told.message_en().contains("national SDK"), "{told}");
        assert!(told.message_vi().contains("SDK quốc gia"), "{told}");
    }
}
