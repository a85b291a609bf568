//! What is tried on any bytes at all, one plain function an entry. Each panics if a promise is
//! broken, and does nothing else; a fuzzer needs no more.

use std::io::{BufReader, Cursor, Read};

use edxml::identifier::AgencyCode;
use edxml::{
    Date, DocumentId, Limits, OpenLimits, Package, Timestamp, TraceHeader, convert, read,
    read_from, read_header, safe_file_name, with_trace,
};

/// A name and what is done.
pub(crate) type Body = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const BODIES: &[Body] = &[
    ("package", package),
    ("identifier", identifier),
    ("date", date),
    ("base64", base64),
    ("zip", zip),
    ("older", older),
];

/// A whole package: what is accepted can be used, what is refused says why, by windows of any size
/// the same is read, and of the header nothing else than of the whole.
pub(crate) fn package(bytes: &[u8]) {
    let limits = Limits::default();
    let reading = read(bytes, &limits);
    assert!(reading.package.is_some() || reading.refusal().is_some());
    for finding in &reading.findings {
        assert!(finding.offset <= bytes.len() as u64);
        assert!(!finding.message_vi().is_empty() && !finding.message_en().is_empty());
    }
    let windows = BufReader::with_capacity(bytes.len() % 97 + 1, bytes);
    assert_eq!(read_from(windows, &limits).unwrap(), reading);
    let header = read_header(bytes, &limits).unwrap();
    if reading.refusal().is_none() {
        assert!(header.refusal().is_none(), "{:?}", header.findings);
    }
    let mut essence = 0;
    edxml::essence(bytes, &reading.spans, |piece| essence += piece.len()).unwrap();
    assert!(essence <= bytes.len());
    let Some(Package::Document(document)) = &reading.package else {
        return;
    };
    for attachment in document.attachments.iter().filter(|file| file.decodable) {
        let mut content = Vec::new();
        let decoded = attachment.decode(Cursor::new(bytes));
        decoded.unwrap().read_to_end(&mut content).unwrap();
        assert_eq!(content.len() as u64, attachment.decoded_len);
        assert!(content.starts_with(&attachment.magic));
        let _ = attachment.open(Cursor::new(bytes), &OpenLimits::default());
    }
    if let Ok(longer) = with_trace(bytes, &reading, &TraceHeader::default()) {
        assert!(longer.len() > bytes.len());
    }
}

/// Agency codes, document ids, file names.
pub(crate) fn identifier(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let code = AgencyCode::new(text.as_ref());
    let canonical = code.canonical();
    assert_eq!(AgencyCode::new(canonical.as_str()).canonical(), canonical);
    let _ = (code.form(), code.hint_2020());
    let id = DocumentId::parse(&text);
    assert_eq!(DocumentId::parse(&id.to_string()), id);
    if let Some(name) = safe_file_name(&text) {
        assert_eq!(safe_file_name(&name), Some(name));
    }
}

/// Dates and times: what is read is written in the standard form and reads back the same.
pub(crate) fn date(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(date) = Date::parse(&text) {
        let again = Date::parse(&date.to_string());
        assert!(again.is_some_and(|again| again.standard && again == date));
    }
    if let Some(time) = Timestamp::parse(&text) {
        let again = Timestamp::parse(&time.to_string());
        assert!(again.is_some_and(|again| again.standard && again == time));
    }
}

/// The content of an attachment, whatever it is.
pub(crate) fn base64(bytes: &[u8]) {
    package(&around(bytes));
}

/// An attachment that holds these bytes, to be unpacked.
pub(crate) fn zip(bytes: &[u8]) {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    package(&around(text.as_bytes()));
}

/// A package of the older form: what is converted is a package, and converting never invents a
/// sender or a receiver.
pub(crate) fn older(bytes: &[u8]) {
    if let Ok(converted) = convert(bytes, &Limits::default()) {
        assert!(!converted.changes.is_empty());
        let reading = read(&converted.bytes, &Limits::default());
        assert!(reading.package.is_some(), "{:?}", reading.findings);
        assert!(convert(&converted.bytes, &Limits::default()).is_err());
    }
}

/// A package with this content.
fn around(content: &[u8]) -> Vec<u8> {
    const SAMPLE: &str = include_str!("../data/documents/new.edxml");
    let start = SAMPLE.rfind("QCVN_102_2016\">").unwrap() + "QCVN_102_2016\">".len();
    let end = start + SAMPLE[start..].find('<').unwrap();
    [
        &SAMPLE.as_bytes()[..start],
        content,
        &SAMPLE.as_bytes()[end..],
    ]
    .concat()
}
