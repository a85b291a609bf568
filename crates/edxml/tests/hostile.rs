//! Packages that are odd on purpose: what no XML reader may take is refused at its place, what real
//! readers take is read, and whatever is done to any byte, reading ends, fast, with an answer that
//! holds together.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod sound;

use std::time::{Duration, Instant};

use edxml::{FindingCode as F, Limits, Package, Reading, read};

use sound::QCVN;

/// A sound document without indentation, so that columns are told easily.
fn sound() -> String {
    let text = sound::document();
    text.lines()
        .map(|line| format!("{}\n", line.trim_start()))
        .collect()
}

fn with(from: &str, to: &str) -> String {
    let text = sound();
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// In front of the subject, line 12 column 1.
fn before(markup: &str) -> String {
    with("<edXML:Subject>", &format!("{markup}<edXML:Subject>"))
}

/// In place of the subject's text, line 12 column 16.
fn subject(text: &str) -> String {
    with("V/v thử", text)
}

/// In the subject's tag, line 12 column 1.
fn attributes(text: &str) -> String {
    with("<edXML:Subject>", &format!("<edXML:Subject {text}>"))
}

/// In place of the base64, line 21 column 118.
fn content(text: &str) -> String {
    with("JVBERi0xLjQK", text)
}

fn quick(bytes: &[u8]) -> Reading {
    let start = Instant::now();
    let reading = read(bytes, &Limits::default());
    let spent = start.elapsed();
    // Generous: an unoptimised build on a busy machine.
    assert!(spent < Duration::from_secs(5), "{spent:?}");
    reading
}

#[test]
fn what_no_xml_reader_may_take_is_refused_at_its_place() {
    for (text, code, line, column) in [
        // The declaration.
        (with("1.0", "2.0"), F::NotWellFormed, 1, 1),
        (with("version=\"1.0\" ", ""), F::NotWellFormed, 1, 1),
        (
            with("encoding=\"UTF-8\"", "standalone=\"maybe\""),
            F::NotWellFormed,
            1,
            1,
        ),
        (before("<?xml version=\"1.0\"?>"), F::NotWellFormed, 12, 1),
        (with("encoding", "charset"), F::NotWellFormed, 1, 1),
        (with("\"1.0\" ", "\"1.0\""), F::NotWellFormed, 1, 1),
        // Outside the root.
        (
            with("<edXML xmlns", "x<edXML xmlns"),
            F::NotWellFormed,
            2,
            1,
        ),
        (
            with("<edXML xmlns", "&#65;<edXML xmlns"),
            F::NotWellFormed,
            2,
            1,
        ),
        (
            with("<edXML xmlns", "<![CDATA[x]]><edXML xmlns"),
            F::NotWellFormed,
            2,
            1,
        ),
        (
            with("<edXML xmlns", "</a><edXML xmlns"),
            F::NotWellFormed,
            2,
            1,
        ),
        (sound() + &sound(), F::NotWellFormed, 23, 1),
        // Document types, wherever.
        (
            with("<edXML xmlns", "<!doctype a><edXML xmlns"),
            F::Doctype,
            2,
            1,
        ),
        (before("<!DOCTYPE a>"), F::Doctype, 12, 1),
        (before("<!ELEMENT a>"), F::NotWellFormed, 12, 1),
        (before("<![INCLUDE[x]]>"), F::NotWellFormed, 12, 1),
        // Instructions and comments.
        (before("<?XML x?>"), F::NotWellFormed, 12, 1),
        (before("<? x?>"), F::NotWellFormed, 12, 1),
        (before("<!-- x --->"), F::NotWellFormed, 12, 1),
        (before("<!-->"), F::NotWellFormed, 12, 1),
        // Names.
        (before("<edXML:a:b/>"), F::NotWellFormed, 12, 1),
        (before("<:a/>"), F::NotWellFormed, 12, 1),
        (before("<edXML:/>"), F::NotWellFormed, 12, 1),
        (before("< a/>"), F::NotWellFormed, 12, 1),
        (before("<edXML:\0a/>"), F::NotWellFormed, 12, 1),
        (
            with("</edXML:Subject>", "</edXML:Subject a=\"1\">"),
            F::NotWellFormed,
            12,
            23,
        ),
        (
            with("</edXML:Subject>", "</ edXML:Subject>"),
            F::NotWellFormed,
            12,
            23,
        ),
        (
            with("</edXML:Subject>", "</edXML:Subject/>"),
            F::NotWellFormed,
            12,
            23,
        ),
        // Attributes.
        (attributes("a=\"1\"b=\"2\""), F::NotWellFormed, 12, 1),
        (attributes("a"), F::NotWellFormed, 12, 1),
        (attributes("a=\"x & y\""), F::NotWellFormed, 12, 1),
        (attributes("a=\"&#1;\""), F::IllegalCharacter, 12, 1),
        (attributes("a=\"&xxe;\""), F::UnknownEntity, 12, 1),
        (
            attributes("xmlns:a=\"x\" xmlns:a=\"y\""),
            F::NotWellFormed,
            12,
            1,
        ),
        (
            attributes("xmlns:a=\"x\" xmlns:b=\"x\" a:c=\"1\" b:c=\"2\""),
            F::NotWellFormed,
            12,
            1,
        ),
        (attributes("xmlns:xml=\"urn:x\""), F::NotWellFormed, 12, 1),
        (attributes("xmlns:xmlns=\"urn:x\""), F::NotWellFormed, 12, 1),
        (
            attributes(&format!("{}=\"1\"", "p".repeat(60_000))),
            F::NameTooLong,
            12,
            1,
        ),
        (
            with("version=\"1.0\">", "version=\"1.0>"),
            F::NotWellFormed,
            19,
            18,
        ),
        // Texts and references.
        (subject("a ]]> b"), F::NotWellFormed, 12, 16),
        (subject("a\u{C}b"), F::IllegalCharacter, 12, 16),
        (before("\u{C}"), F::IllegalCharacter, 12, 1),
        (subject("&#0;"), F::IllegalCharacter, 12, 16),
        (subject("&#xD800;"), F::IllegalCharacter, 12, 16),
        (subject("&#x110000;"), F::IllegalCharacter, 12, 16),
        (subject("&#99999999999999;"), F::IllegalCharacter, 12, 16),
        (subject("&#;"), F::IllegalCharacter, 12, 16),
        (subject("&#+65;"), F::IllegalCharacter, 12, 16),
        (subject("&#X41;"), F::IllegalCharacter, 12, 16),
        (subject("&#xFFFE;"), F::IllegalCharacter, 12, 16),
        (subject("&nbsp;"), F::UnknownEntity, 12, 16),
        (subject("&Amp;"), F::UnknownEntity, 12, 16),
        (subject("&;"), F::NotWellFormed, 12, 16),
        (subject("& ;"), F::NotWellFormed, 12, 16),
        (subject("&amp"), F::NotWellFormed, 12, 16),
        // Base64.
        (content("JVBE&xxe;Ri0x"), F::UnknownEntity, 21, 122),
        (content("QQ==QUJD"), F::BadBase64, 21, 94),
        (content("QUJDQ"), F::BadBase64, 21, 94),
        (
            content("data:application/pdf;base64,JVBE"),
            F::BadBase64,
            21,
            122,
        ),
        (content("JVBERi0xLjQ-_w"), F::BadBase64, 21, 129),
        // What cannot be routed, or is two things at once.
        (with("<edXML:To>", "<edXML:To/><edXML:To>"), F::NoTo, 7, 1),
        (
            with("000.00.13.H47</edXML:OrganId>", "\r\n\t </edXML:OrganId>"),
            F::NoTo,
            7,
            11,
        ),
        // Absent: at the parent. There and empty: at the element.
        (
            with("<edXML:CodeNumber>7</edXML:CodeNumber>", ""),
            F::NoNumber,
            9,
            1,
        ),
        (with("CodeNumber>7<", "CodeNumber><"), F::NoNumber, 9, 13),
        (
            with(
                "<edXML:PromulgationDate>2026/03/02</edXML:PromulgationDate>",
                "<PromulgationDate/>",
            ),
            F::NoDate,
            10,
            55,
        ),
        (
            with(
                "<edXML:OrganId>000.00.12.H47</edXML:OrganId>",
                "000.00.12.H47",
            ),
            F::NoFrom,
            6,
            1,
        ),
        (
            with(
                "<edXML:From>",
                "<x:From xmlns:x=\"urn:x\"><x:OrganId>H47.9</x:OrganId></x:From><edXML:From>",
            ),
            F::Contradiction,
            6,
            62,
        ),
        (
            sound().replace("MessageHeader", "messageHeader"),
            F::NoMessageHeader,
            3,
            1,
        ),
        (
            sound().replace(QCVN, &QCVN.to_uppercase()),
            F::WrongNamespace,
            3,
            1,
        ),
        (sound().replace("http:", "https:"), F::WrongNamespace, 3, 1),
        (
            sound().replace("2016\"", "2016/\""),
            F::WrongNamespace,
            3,
            1,
        ),
        // Without end.
        (
            with(
                "</edXML:Subject>",
                &format!("</edXML:Subject{}>", " ".repeat(1 << 20)),
            ),
            F::TagTooLong,
            12,
            23,
        ),
        (
            before(&format!("<!--{}-->", " ".repeat(2 << 20))),
            F::TextTooLong,
            12,
            1,
        ),
        (
            before(&format!("{}{}", "<a>".repeat(97), "</a>".repeat(97))),
            F::TooDeep,
            12,
            289,
        ),
    ] {
        let reading = quick(text.as_bytes());
        let refusal = reading
            .refusal()
            .unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(
            (refusal.code, refusal.line, refusal.column),
            (code, line, column),
            "{refusal}\n{}",
            text.chars().take(4000).collect::<String>()
        );
    }
}

#[test]
fn what_real_readers_take_is_read_and_what_is_odd_in_it_named() {
    let attachment = "<Attachment><ContentId>2</ContentId><ContentTransferEncoded>QUJD</ContentTransferEncoded></Attachment>";
    let named = "<ContentId>1</ContentId>";
    for (text, codes) in [
        (sound(), vec![]),
        (with("1.0", "1.1"), vec![F::XmlVersion]),
        (with("UTF-8", "UTF-16"), vec![F::DeclaredEncoding]),
        (with("UTF-8", "windows-1258"), vec![F::DeclaredEncoding]),
        (attributes("a = '&lt;&#65;' b=\"'\""), vec![]),
        (attributes("xml:lang=\"vi\""), vec![]),
        (attributes("xmlns:edXML=\"\""), vec![F::UnboundPrefix]),
        (
            attributes("xmlns:edXML=\"urn:x\""),
            vec![F::ForeignNamespace],
        ),
        (
            with("<edXML:From>", "<edXML:From xmlns:edXML=\"urn:x\">"),
            vec![F::ForeignNamespace],
        ),
        (
            with("<AttachmentEncoded>", "<AttachmentEncoded xmlns=\"urn:x\">"),
            vec![F::ForeignNamespace],
        ),
        (sound().replace(QCVN, &format!(" {QCVN} ")), vec![]),
        (
            before(
                "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/passwd\"/>",
            ),
            vec![F::ForeignNamespace, F::UnknownElement],
        ),
        (
            with(
                "<edXML xmlns",
                "<?xml-stylesheet href=\"http://x/x.xsl\"?><edXML xmlns",
            ),
            vec![],
        ),
        (with("000.00.13.H47", "000.00<!-- x -->.13.H47"), vec![]),
        (with("000.00.13.H47", "000.00<?x y?>.13.H47"), vec![]),
        (with("000.00.13.H47", "000.00<![CDATA[.13.]]>H47"), vec![]),
        (with("000.00.13.H47", "&#48;00&#x2E;00.13.H47"), vec![]),
        (
            with("000.00.12.H47", "\u{FEFF}000.00.12.H47"),
            vec![F::IrregularAgencyCode],
        ),
        (
            with("000.00.12.H47", "000.00.12.H47\u{200B}"),
            vec![F::IrregularAgencyCode],
        ),
        (
            with("000.00.12.H47", "000.00.12.Н47"),
            vec![F::IrregularAgencyCode],
        ),
        (with("000.00.13.H47", "null"), vec![F::IrregularAgencyCode]),
        (subject("a ]]&gt; b <![CDATA[ > ]]> ]] >"), vec![]),
        (subject("a\u{85}b"), vec![F::ControlCharacter]),
        (
            sound().replace(named, "<Content-ID>1</Content-ID>"),
            vec![F::UnknownElement],
        ),
        (
            sound().replace(named, "<ContentID>1</ContentID>"),
            vec![F::UnknownElement],
        ),
        (sound().replace(named, ""), vec![]),
        // Neither id nor name: by position.
        (
            sound()
                .replace(named, "")
                .replace("<AttachmentName>a.pdf</AttachmentName>", ""),
            vec![F::NoAttachmentName],
        ),
        (content("<![CDATA[JVBE]]>Ri0x<!-- x -->LjQK"), vec![]),
        (content("JVBE&#82;i0xLjQK"), vec![]),
        (content("JVBERi0xLjQ"), vec![F::Base64Padding]),
        (content("JVBE<a/>Ri0xLjQK"), vec![F::UnknownElement]),
        (
            with(
                "<edXML:TraceHeaderList>",
                "<edXML:TraceHeaderList/><edXML:TraceHeaderList>",
            ),
            vec![F::DuplicateElement],
        ),
        (
            before("<edXML:StatusCode>13</edXML:StatusCode>"),
            vec![F::MisplacedElement],
        ),
        (
            with("</edXML>\n", "</edXML>\n<!DOCTYPE a>"),
            vec![F::TrailingBytes],
        ),
        // Much of something, but within the limits.
        (before(&" ".repeat(4 << 20)), vec![]),
        (before(&"<!---->".repeat(100_000)), vec![]),
        (content(&"<![CDATA[QUJD]]>".repeat(50_000)), vec![]),
        (
            before(&format!("{}{}", "<a>".repeat(95), "</a>".repeat(95))),
            vec![F::UnknownElement],
        ),
        (
            with(
                "</AttachmentEncoded>",
                &format!("{}</AttachmentEncoded>", attachment.repeat(10_000)),
            ),
            vec![F::AttachmentWithoutReference, F::NoAttachmentName],
        ),
        (
            with(
                "<edXML:To>",
                &format!(
                    "{}<edXML:To>",
                    "<edXML:To><edXML:OrganId>H47.9</edXML:OrganId></edXML:To>".repeat(10_000)
                ),
            ),
            vec![F::DuplicateTo],
        ),
    ] {
        let shown: String = text.chars().take(4000).collect();
        let reading = quick(text.as_bytes());
        let mut found: Vec<F> = reading
            .findings
            .iter()
            .map(|finding| finding.code)
            .collect();
        found.sort();
        found.dedup();
        let mut codes = codes;
        codes.sort();
        assert_eq!(found, codes, "{shown}");
        assert!(reading.refusal().is_none(), "{shown}");
        let Some(Package::Document(document)) = &reading.package else {
            panic!("{shown}")
        };
        assert_eq!(document.manifest[0].attachment, Some(0), "{shown}");
    }
}

#[test]
fn every_encoding_is_read_or_named() {
    let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    };
    let declared = with("UTF-8", "utf-16");
    let plain = quick(sound().as_bytes());
    for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        for mark in ["", "\u{FEFF}"] {
            let text = format!("{mark}{declared}");
            let reading = quick(&wide(&text, bytes));
            let codes: Vec<F> = reading
                .findings
                .iter()
                .map(|finding| finding.code)
                .collect();
            assert_eq!(codes, [F::Utf16]);
            let names = |reading: &Reading| match &reading.package {
                Some(Package::Document(d)) => (d.from.clone(), d.to.clone(), d.subject.clone()),
                other => panic!("{other:?}"),
            };
            assert_eq!(names(&reading), names(&plain));

            // Half a surrogate pair, at its place.
            let mut broken = wide(&text, bytes);
            let at = 2 * text[..text.find("V/v").unwrap()].encode_utf16().count();
            broken[at..at + 2].copy_from_slice(&bytes(0xD800));
            let reading = quick(&broken);
            let refusal = reading.refusal().unwrap();
            assert_eq!(
                (refusal.code, refusal.line, refusal.column),
                (F::InvalidEncoding, 12, 16),
                "{refusal}"
            );
            assert_eq!(refusal.offset, at as u64);
            assert!(refusal.detail.starts_with("half a character"), "{refusal}");
        }
    }
    let four = |text: &str, bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
        text.chars().flat_map(|c| bytes(u32::from(c))).collect()
    };
    for mark in ["", "\u{FEFF}"] {
        let text = format!("{mark}{}", sound());
        for bytes in [four(&text, u32::to_le_bytes), four(&text, u32::to_be_bytes)] {
            let reading = quick(&bytes);
            let refusal = reading.refusal().unwrap();
            assert_eq!(
                (refusal.code, refusal.offset),
                (F::InvalidEncoding, 0),
                "{refusal}"
            );
        }
    }
    // Windows-1258 as its declaration says: the first letter beyond ASCII.
    let text = with("UTF-8", "windows-1258").replace("Sở Nội vụ", "So Noi vu");
    let at = text.find("Huế").unwrap() + 2;
    let mut bytes = text.into_bytes();
    bytes.splice(at..at + 3, [0xEA, 0xEC]);
    let reading = quick(&bytes);
    let refusal = reading.refusal().unwrap();
    assert_eq!(
        (refusal.code, refusal.line, refusal.column, refusal.offset),
        (F::InvalidEncoding, 10, 40, at as u64),
        "{refusal}"
    );
}

#[test]
fn what_holds_nothing_but_a_declaration_is_no_package() {
    for text in [
        "<?xml version=\"1.0\"?>",
        "\u{FEFF}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<?xml version=\"1.1\"?><!-- -->",
        "<?xml version=\"1.0\" encoding=\"windows-1258\"?>",
    ] {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [text.as_bytes(), &wide] {
            let reading = quick(bytes);
            assert_eq!(
                reading.refusal().map(|refusal| refusal.code),
                Some(F::NotXml),
                "{text}"
            );
        }
    }
}

/// What holds of any answer.
fn holds_together(bytes: &[u8]) {
    let reading = quick(bytes);
    assert!(reading.package.is_some() || reading.refusal().is_some());
    for finding in &reading.findings {
        let offset = usize::try_from(finding.offset).unwrap();
        let passed = bytes.get(..offset).unwrap();
        // Line and column are those of the offset: characters are bytes that continue none.
        let line = passed.iter().filter(|b| **b == b'\n').count() + 1;
        let start = passed
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let column = passed[start..]
            .iter()
            .filter(|b| **b & 0xC0 != 0x80)
            .count()
            + 1;
        let told = (finding.line as usize, finding.column as usize);
        assert_eq!(told, (line, column), "{finding}");
    }
}

#[test]
fn whatever_is_done_to_any_byte_the_answer_holds_together() {
    let package = sound().into_bytes();
    for at in 0..package.len() {
        for byte in *b"<>&\"/= \n\0A;" {
            let mut changed = package.clone();
            changed[at] = byte;
            holds_together(&changed);
        }
        for bytes in [&b"\xC3"[..], b"\xF0\x9F", b"\xED\xA0\x80", b"\xC0\x80"] {
            let mut changed = package.clone();
            changed.splice(at..at, bytes.iter().copied());
            let reading = quick(&changed);
            // Half a character and half a pair are in no UTF-8.
            let outside = at + 1 >= package.len();
            assert!(outside || reading.refusal().is_some(), "{bytes:?} at {at}");
        }
        let mut cut = package.clone();
        cut.remove(at);
        holds_together(&cut);
        holds_together(&package[at..]);
    }
}

#[test]
fn utf16_cut_anywhere_is_refused() {
    let text = sound();
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The last two bytes are a line feed behind the root.
    for end in 0..bytes.len() - 2 {
        assert!(quick(&bytes[..end]).refusal().is_some(), "cut at {end}");
    }
}
