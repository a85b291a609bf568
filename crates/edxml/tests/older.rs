//! The older forms: refused by name, converted on request.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::io::{Cursor, Read as _};

use edxml::{ConvertError, Document, Form, Limits, Package, convert, read};

const STATUS: &str = include_str!("data/older-forms/soap-2803-status.xml");

/// A document of 2014, its files as the other parts of the body: after the names and dates of
/// section a.3.
const ENVELOPE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/" xmlns:edXML="http://www.e-doc.vn/Schema/" xmlns:xlink="http://www.w3.org/1999/xlink">
  <S:Header>
    <edXML:MessageHeader>
      <edXML:From><edXML:OrganId>000.00.04.H47</edXML:OrganId><edXML:OrganInCharge>UBND tỉnh</edXML:OrganInCharge><edXML:OrganName>Sở A</edXML:OrganName></edXML:From>
      <edXML:To><edXML:OrganId>000.00.05.H47</edXML:OrganId></edXML:To>
      <edXML:To><edXML:OrganId>000.00.06.H47</edXML:OrganId></edXML:To>
      <edXML:Code><edXML:CodeNumber>12</edXML:CodeNumber><edXML:CodeNotation>SA-VP</edXML:CodeNotation></edXML:Code>
      <edXML:PromulgationInfo><edXML:Place>Huế</edXML:Place><edXML:Date>15/03/2015</edXML:Date></edXML:PromulgationInfo>
      <edXML:DocumentType><edXML:TypeName>Công văn</edXML:TypeName></edXML:DocumentType>
      <edXML:Subject>V/v thử</edXML:Subject>
      <edXML:Author><edXML:Competence>TM.</edXML:Competence><edXML:Function>Giám đốc</edXML:Function><edXML:FullName>Nguyễn Văn A</edXML:FullName></edXML:Author>
      <edXML:OtherInfo><edXML:Priority> 2</edXML:Priority><edXML:PageAmount>hai</edXML:PageAmount></edXML:OtherInfo>
      <edXML:DocumentId>000.00.04.H47,2015/03/15,12/SA-VP</edXML:DocumentId>
    </edXML:MessageHeader>
    <edXML:TraceHeaderList><edXML:TraceHeader><edXML:OrganId>000.00.04.H47</edXML:OrganId><edXML:TimeStamp>15/03/2015 08:00:00</edXML:TimeStamp></edXML:TraceHeader></edXML:TraceHeaderList>
    <edXML:ErrorList/>
  </S:Header>
  <S:Body>
    <edXML:Manifest><edXML:Reference xlink:href="cid:f1@axis"><edXML:AttachmentName>Công văn.pdf</edXML:AttachmentName><edXML:Description>Bản chính</edXML:Description></edXML:Reference><edXML:Reference xlink:href="cid:f2"><edXML:AttachmentName>b.bin</edXML:AttachmentName></edXML:Reference></edXML:Manifest>
  </S:Body>
</S:Envelope>"#;

/// The whole body: one file in base64, one as it is, one that the manifest does not name.
fn body(head: &str, envelope: &str) -> Vec<u8> {
    let mut body = format!(
        "{head}--b1\r\nContent-Type: text/xml; charset=utf-8\r\nContent-ID: <root>\r\n\r\n{envelope}\r\n\
         --b1\r\nContent-Type: application/pdf\r\nContent-ID: <f1@axis>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         JVBERi0x\r\nLjQK\r\n\
         --b1\r\nContent-Type: application/octet-stream; name=\"b.bin\"\r\nContent-ID: <f2>\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(BINARY);
    body.extend_from_slice(
        b"\r\n--b1\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename*=UTF-8''ghi%20ch%C3%BA.txt\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nxin ch=C3=A0o=\r\n!\r\n--b1--\r\n",
    );
    body
}

/// Bytes that a text conversion would destroy.
const BINARY: &[u8] = b"\x00\xFF\r\n-b1\r\n--b\n\r\n\r\n\xC3\r\n";

fn document(bytes: &[u8]) -> Document {
    let reading = read(bytes, &Limits::default());
    assert!(reading.refusal().is_none(), "{:?}", reading.findings);
    match reading.package {
        Some(Package::Document(document)) => *document,
        other => panic!("{other:?}"),
    }
}

fn told(changes: &[edxml::Finding]) -> Vec<String> {
    let line = |f: &edxml::Finding| format!("{}:{} {} {}", f.line, f.column, f.code, f.detail);
    changes.iter().map(line).collect()
}

#[test]
fn the_older_forms_are_refused_by_name() {
    let files = "<AllDocument><Document><Attach><Attachment/></Attach></Document></AllDocument>";
    let unbound = "<SOAP-ENV:Envelope><SOAP-ENV:Header/></SOAP-ENV:Envelope>";
    let twelve = "<Envelope xmlns=\"http://www.w3.org/2003/05/soap-envelope\"/>";
    let leftover = "<edXML:Envelope xmlns:edXML=\"http://schemas.xmlsoap.org/soap/envelope/\"/>";
    let multipart = body("", ENVELOPE);
    let headed = body(
        "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b1\r\n\r\n",
        ENVELOPE,
    );
    for (package, code, form) in [
        (STATUS.as_bytes(), "OLDER_FORM_SOAP", Form::Soap),
        (ENVELOPE.as_bytes(), "OLDER_FORM_SOAP", Form::Soap),
        (files.as_bytes(), "OLDER_FORM_SOAP", Form::Soap),
        (unbound.as_bytes(), "OLDER_FORM_SOAP", Form::Soap),
        (twelve.as_bytes(), "OLDER_FORM_SOAP", Form::Soap),
        (leftover.as_bytes(), "OLDER_FORM_SOAP", Form::Soap),
        (&multipart, "OLDER_FORM_MULTIPART", Form::Multipart),
        (&headed, "OLDER_FORM_MULTIPART", Form::Multipart),
    ] {
        let reading = read(package, &Limits::default());
        let refusal = reading.refusal().unwrap();
        assert_eq!((refusal.code.as_str(), reading.form), (code, form));
        assert_eq!(reading.package, None);
    }
}

#[test]
fn a_status_of_2014_becomes_one_of_today() {
    let converted = convert(STATUS.as_bytes(), &Limits::default()).unwrap();
    let reading = read(&converted.bytes, &Limits::default());
    let codes: Vec<_> = reading.findings.iter().map(|f| f.code.as_str()).collect();
    assert_eq!(codes, [] as [&str; 0], "{:?}", reading.findings);
    let Some(Package::Status(status)) = reading.package else {
        panic!()
    };
    assert_eq!(status.from.id.as_str(), "000.00.05.H47");
    assert_eq!(status.from.in_charge.as_deref(), Some("Cơ quan thử B"));
    assert_eq!(status.response_for.organ_id.as_str(), "000.00.04.H47");
    assert_eq!(status.response_for.code.as_deref(), Some("12/STTTT-VP"));
    assert_eq!(status.code, edxml::StatusCode::ACCEPTED);
    assert_eq!(status.timestamp.unwrap().to_string(), "2015/03/15 09:05:10");
    assert_eq!(status.staff.unwrap().name.as_deref(), Some("Văn Thư Thử"));
    insta::assert_snapshot!(told(&converted.changes).join("\n"), @r"
    1:1 CONVERTED SOAP (2012–2014)
    4:5 REWRITTEN Status → MessageHeader
    5:106 REWRITTEN 15/03/2015 → 2015/03/15
    6:63 REWRITTEN OrganInCharge → OrganizationInCharge
    9:7 REWRITTEN TimeStamp → Timestamp
    9:7 REWRITTEN 15/03/2015 09:05:10 → 2015/03/15 09:05:10
    ");
}

#[test]
fn a_document_of_2014_becomes_one_of_today_with_its_files() {
    let bare = convert(&body("", ENVELOPE), &Limits::default()).unwrap();
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=\"b1\"; type=\"text/xml\"\r\n\r\n";
    let headed = convert(&body(head, ENVELOPE), &Limits::default()).unwrap();
    assert_eq!(headed.bytes, bare.bytes);
    let document = document(&bare.bytes);
    assert_eq!(document.to.len(), 2);
    assert_eq!(
        document.promulgation.date.unwrap().to_string(),
        "2015/03/15"
    );
    assert_eq!(document.signer.position.as_deref(), Some("Giám đốc"));
    assert_eq!(document.other_info.priority, edxml::Priority::VeryUrgent);
    assert_eq!(document.other_info.page_amount, None);
    assert_eq!(document.trace.len(), 1);
    let files: Vec<_> = document
        .attachments
        .iter()
        .map(|file| {
            let mut content = Vec::new();
            let mut decoder = file.decode(Cursor::new(&bare.bytes)).unwrap();
            decoder.read_to_end(&mut content).unwrap();
            (
                file.name.clone().unwrap(),
                file.content_type.clone().unwrap(),
                content,
            )
        })
        .collect();
    let file = |name: &str, kind: &str, content: &[u8]| {
        (name.to_owned(), kind.to_owned(), content.to_vec())
    };
    assert_eq!(
        files,
        [
            file("Công văn.pdf", "application/pdf", b"%PDF-1.4\n"),
            file("b.bin", "application/octet-stream", BINARY),
            file("ghi chú.txt", "text/plain", "xin chào!".as_bytes()),
        ]
    );
    assert_eq!(
        document.manifest[0].content_id.as_deref(),
        Some("cid:f1@axis")
    );
    assert_eq!(
        document.manifest[0].description.as_deref(),
        Some("Bản chính")
    );
    // Places are those in the body, whatever stands before the envelope.
    let codes = |changes: &[edxml::Finding]| -> Vec<_> {
        changes
            .iter()
            .map(|f| (f.code, f.path.clone(), f.detail.clone()))
            .collect()
    };
    assert_eq!(codes(&headed.changes), codes(&bare.changes));
    for change in bare.changes.iter().filter(|change| !change.path.is_empty()) {
        let whole = body("", ENVELOPE);
        let place = usize::try_from(change.offset).unwrap();
        let name = change.path.rsplit('/').next().unwrap();
        let text = String::from_utf8_lossy(&whole[place..]);
        assert!(text.starts_with(&format!("<edXML:{name}")), "{change}");
        let line = whole[..place].iter().filter(|b| **b == b'\n').count() + 1;
        assert_eq!(usize::try_from(change.line).unwrap(), line, "{change}");
    }
    insta::assert_snapshot!(told(&bare.changes).join("\n"), @r"
    5:1 CONVERTED SOAP (2012–2014)
    9:63 REWRITTEN OrganInCharge → OrganizationInCharge
    13:61 REWRITTEN Date → PromulgationDate
    13:61 REWRITTEN 15/03/2015 → 2015/03/15
    16:7 REWRITTEN Author → SignerInfo
    16:61 REWRITTEN Function → Position
    17:24 REWRITTEN 2
    17:59 LEFT_OUT hai
    20:91 REWRITTEN TimeStamp → Timestamp
    20:91 REWRITTEN 15/03/2015 08:00:00 → 2015/03/15 08:00:00
    21:5 LEFT_OUT ErrorList
    1:1 ADDED DocumentType/Type 2
    1:1 ADDED SteeringType 0
    ");
}

#[test]
fn what_cannot_be_converted_whole_is_not_converted() {
    let limits = Limits::default();
    let fails = |package: &[u8]| convert(package, &limits).unwrap_err();
    assert!(matches!(
        fails(include_bytes!("data/documents/new.edxml")),
        ConvertError::NotOlder
    ));
    for (package, code) in [
        ("", "EMPTY"),
        ("<html/>", "NOT_EDXML"),
        ("{}", "NOT_XML"),
        (
            "<S:Envelope xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\"><S:Header>",
            "NOT_WELL_FORMED",
        ),
        (
            "<S:Envelope xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\"><S:Header/></S:Envelope>",
            "NO_MESSAGE_HEADER",
        ),
        (
            &STATUS.replace("<edXML:OrganId>000.00.05.H47</edXML:OrganId>", ""),
            "NO_FROM",
        ),
        (
            &STATUS.replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<!DOCTYPE a>"),
            "DOCTYPE",
        ),
    ] {
        match fails(package.as_bytes()) {
            ConvertError::Unreadable(finding) => assert_eq!(finding.code.as_str(), code),
            other => panic!("{package}: {other}"),
        }
    }
    // The envelope alone has no files; half a package is none.
    match fails(ENVELOPE.as_bytes()) {
        ConvertError::NoFile(name) => assert_eq!(name, "Công văn.pdf"),
        other => panic!("{other}"),
    }
    assert!(matches!(
        fails(&body("", "xin chào")),
        ConvertError::NoEnvelope
    ));
    // Files in a document of their own, before the envelope, behind it, or without it.
    let files = "<AllDocument><Document><Attach><Attachment><name>a</name></Attachment></Attach></Document></AllDocument>";
    assert!(matches!(fails(files.as_bytes()), ConvertError::FilesAlone));
    assert!(matches!(fails(&body("", files)), ConvertError::FilesAlone));
    let part = format!("--b1\r\nContent-Type: text/xml\r\n\r\n{files}\r\n--b1--");
    let both = String::from_utf8_lossy(&body("", ENVELOPE)).replace("--b1--", &part);
    assert!(matches!(fails(both.as_bytes()), ConvertError::FilesAlone));
    // A body cut off anywhere is no whole body.
    let whole = body("", ENVELOPE);
    for end in (0..whole.len() - 3).step_by(7) {
        convert(&whole[..end], &limits).unwrap_err();
    }
    assert!(matches!(
        fails(&whole[..whole.len() - 4]),
        ConvertError::CutOff
    ));
    let broken = String::from_utf8_lossy(&body("", ENVELOPE)).replace("JVBERi0x", "JVBERi0*");
    assert!(matches!(fails(broken.as_bytes()), ConvertError::BadPart(id) if id == "f1@axis"));
}
