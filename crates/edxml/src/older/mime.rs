//! The parts of a multipart/related body, as they were before they were encoded for the way.
//!
//! The body is cut at its boundaries here, byte for byte (RFC 2046, section 5.1); only the headers
//! of the parts, with their folded lines and encoded names, are left to the mail parser. What it
//! would make of the contents is not asked for.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Message, MessageParser, MimeHeaders};
use memchr::memmem;

use super::ConvertError;
use crate::sniff::is_multipart;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Most parts of one body. A document has a handful of files.
const MOST_PARTS: usize = 1000;

/// Longest header of a part, or of the body.
const LONGEST_HEADER: usize = 64 * 1024;

/// How deep a multipart part may stand in another.
const DEEPEST: usize = 4;

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// `Content-ID` without its brackets.
    pub(super) id: Option<String>,
    /// The file name, from either header.
    pub(super) name: Option<String>,
    /// As the header says; `application/octet-stream` if it does not.
    pub(super) content_type: String,
    /// The content, decoded.
    pub(super) bytes: Vec<u8>,
    /// Where the content stands in the body, if it stands there as it is.
    pub(super) start: Option<usize>,
}

impl Part {
    /// Whether it may be the envelope.
    pub(super) fn is_xml(&self) -> bool {
        let kind = self.content_type.to_ascii_lowercase();
        kind.ends_with("/xml") || kind.ends_with("+xml")
    }
}

/// The parts in their order; `None` if this is no multipart body.
///
/// # Errors
/// [`ConvertError::BadPart`] if one is not encoded as it says, [`ConvertError::CutOff`] if the last
/// boundary is missing, [`ConvertError::TooManyParts`].
pub(super) fn parts(body: &[u8]) -> Result<Option<Vec<Part>>, ConvertError> {
    let text = body.trim_ascii_start();
    if !is_multipart(&text[..text.len().min(4096)]) {
        return Ok(None);
    }
    let from = body.len() - text.len();
    // A body taken from HTTP begins with its first boundary: the header that named it is gone.
    let boundary = match first_boundary(text) {
        Some(boundary) => Some(boundary),
        None => headers(text).and_then(|headers| boundary_of(&headers)),
    };
    let Some(boundary) = boundary else {
        return Ok(None);
    };
    let mut parts = Vec::new();
    take_apart(body, from..body.len(), &boundary, 0, &mut parts)?;
    Ok(Some(parts))
}

/// Adds what stands between the boundaries in this range of the body.
fn take_apart(
    body: &[u8],
    range: Range<usize>,
    boundary: &str,
    depth: usize,
    parts: &mut Vec<Part>,
) -> Result<(), ConvertError> {
    for piece in pieces(body, range, boundary)? {
        if parts.len() >= MOST_PARTS {
            return Err(ConvertError::TooManyParts(MOST_PARTS));
        }
        let (head, start) = head_and_content(&body[piece.clone()]);
        let bad = |shown: Option<&str>| ConvertError::BadPart(shown.unwrap_or("?").to_owned());
        if head.len() > LONGEST_HEADER {
            return Err(bad(None));
        }
        let content = piece.start + start..piece.end;
        let headers = headers(head);
        let headers = headers.as_ref();
        if let Some(inner) = headers.and_then(boundary_of) {
            if depth >= DEEPEST {
                return Err(bad(None));
            }
            take_apart(body, content, &inner, depth + 1, parts)?;
            continue;
        }
        let id = headers.and_then(MimeHeaders::content_id).map(str::to_owned);
        let name = headers
            .and_then(MimeHeaders::attachment_name)
            .map(str::to_owned);
        let raw = &body[content.clone()];
        let encoding = headers.and_then(MimeHeaders::content_transfer_encoding);
        let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
        let decoded = match encoding.as_str() {
            "base64" => {
                let packed: Vec<u8> = raw
                    .iter()
                    .copied()
                    .filter(|b| !b.is_ascii_whitespace())
                    .collect();
                BASE64.decode(packed).ok()
            }
            "quoted-printable" => quoted_printable_decode(raw),
            _ => Some(raw.to_vec()),
        };
        let bytes = decoded.ok_or_else(|| bad(name.as_deref().or(id.as_deref())))?;
        let plain = !matches!(encoding.as_str(), "base64" | "quoted-printable");
        let content_type = headers.and_then(MimeHeaders::content_type);
        let content_type = content_type.map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        });
        parts.push(Part {
            start: plain.then_some(content.start),
            content_type: content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            id,
            name,
            bytes,
        });
    }
    Ok(())
}

/// What stands between the boundaries, without the line ends that belong to them. What stands
/// before the first and behind the last is nobody's.
fn pieces(
    body: &[u8],
    range: Range<usize>,
    boundary: &str,
) -> Result<Vec<Range<usize>>, ConvertError> {
    let text = &body[range.clone()];
    let delimiter = format!("--{boundary}");
    let mut pieces = Vec::new();
    let mut open = None;
    for at in memmem::find_iter(text, delimiter.as_bytes()) {
        if at > 0 && text[at - 1] != b'\n' {
            continue;
        }
        let behind = &text[at + delimiter.len()..];
        let line = memchr::memchr(b'\n', behind).map_or(behind, |end| &behind[..end]);
        let (last, rest) = match line.strip_prefix(b"--") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        if !rest.iter().all(u8::is_ascii_whitespace) {
            // Another boundary that begins like this one, or no boundary at all.
            continue;
        }
        if let Some(start) = open.take() {
            let piece = &text[start..at.max(start)];
            let piece = piece.strip_suffix(b"\n").unwrap_or(piece);
            let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
            let start = range.start + start;
            pieces.push(start..start + piece.len());
        }
        if last {
            return Ok(pieces);
        }
        open = Some((at + delimiter.len() + line.len() + 1).min(text.len()));
    }
    Err(ConvertError::CutOff)
}

/// A part's header, and where behind it the content begins.
fn head_and_content(part: &[u8]) -> (&[u8], usize) {
    let mut at = 0;
    while let Some(end) = memchr::memchr(b'\n', &part[at..]) {
        let line = &part[at..at + end];
        if line.is_empty() || line == b"\r" {
            return (&part[..at], at + end + 1);
        }
        at += end + 1;
    }
    (part, part.len())
}

/// The headers that a text begins with.
fn headers(text: &[u8]) -> Option<Message<'_>> {
    let (head, _) = head_and_content(&text[..text.len().min(LONGEST_HEADER)]);
    MessageParser::new().parse_headers(head)
}

/// The boundary that headers of a multipart body name.
fn boundary_of(headers: &Message<'_>) -> Option<String> {
    let kind = headers.content_type()?;
    let multipart = kind.ctype().eq_ignore_ascii_case("multipart");
    let boundary = kind.attribute("boundary").filter(|_| multipart)?;
    (!boundary.is_empty()).then(|| boundary.to_owned())
}

/// The boundary, if the text begins with it.
fn first_boundary(text: &[u8]) -> Option<String> {
    let line = text.strip_prefix(b"--")?.split(|b| *b == b'\n').next()?;
    let boundary = std::str::from_utf8(line).ok()?.trim_end();
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ';
    (!boundary.is_empty() && boundary.chars().all(plain)).then(|| boundary.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contents(body: &[u8]) -> Vec<Vec<u8>> {
        let parts = parts(body).unwrap().unwrap();
        parts.into_iter().map(|part| part.bytes).collect()
    }

    #[test]
    fn a_body_is_cut_at_its_boundaries_and_nowhere_else() {
        for (body, expected) in [
            ("--b\ncontent-id: <1>\n\nx\n--b--", vec!["x"]),
            (
                "--b\r\ncontent-id: <1>\r\n\r\nx\r\n\r\n--b--\r\nepilogue",
                vec!["x\r\n"],
            ),
            (
                "--b\ncontent-id: <1>\n\n--bb\nx--b\n--b--x\n--b\n\n\n--b--",
                vec!["--bb\nx--b\n--b--x", ""],
            ),
            (
                "--b \t\ncontent-id: <1>\n\n--b --\n--b-- \n",
                vec!["--b --"],
            ),
            (
                "Content-Type: multipart/related;\r\n boundary=\"b 1\"\r\n\r\npreamble\r\n--b 1\r\n\r\nx\r\n--b 1--",
                vec!["x"],
            ),
            (
                "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/related; boundary=b\n\n--b\n\n1\n--b\n\n2\n--b--\n--a\n\n3\n--a--",
                vec!["1", "2", "3"],
            ),
            (
                "--b\ncontent-transfer-encoding: BASE64 \n\neHl\n6\n--b--",
                vec!["xyz"],
            ),
            (
                "--b\ncontent-transfer-encoding: quoted-printable\n\na=C3=A0 =\nb\n--b--",
                vec!["aà b"],
            ),
            ("--b\ncontent-id: <no end of the header>\n--b--", vec![""]),
        ] {
            let expected: Vec<Vec<u8>> = expected
                .iter()
                .map(|text| text.as_bytes().to_vec())
                .collect();
            assert_eq!(contents(body.as_bytes()), expected, "{body:?}");
        }
    }

    #[test]
    fn what_is_cut_off_too_many_too_deep_or_badly_encoded_is_refused() {
        let cut = |body: &str| matches!(parts(body.as_bytes()), Err(ConvertError::CutOff));
        assert!(cut("--b\ncontent-id: <1>\n\nx\n"));
        assert!(cut("--b\ncontent-id: <1>\n\nx\n--b"));
        assert!(cut("--b\ncontent-id: <1>\n\nx\n--b--y"));
        let many = format!(
            "--b\ncontent-id: <1>{}\n--b--",
            "\n\nx\n--b".repeat(MOST_PARTS + 1)
        );
        assert!(matches!(
            parts(many.as_bytes()),
            Err(ConvertError::TooManyParts(_))
        ));
        let mut deep = "--b\n\ncontent-x\n--b--".to_owned();
        for level in 0..10 {
            let head = format!("Content-Type: multipart/mixed; boundary=b{level}\n\n");
            deep = format!("--c{level}\n{head}{deep}\n--c{level}--");
        }
        assert!(parts(deep.as_bytes()).is_err());
        let long = format!("--b\ncontent-id: {}\n\n\n--b--", "x".repeat(100_000));
        assert!(matches!(
            parts(long.as_bytes()),
            Err(ConvertError::BadPart(_))
        ));
        for (encoding, content) in [
            ("base64", "a*b="),
            ("quoted-printable", "a=ZZ"),
            ("quoted-printable", "a=="),
        ] {
            let body = format!(
                "--b\nContent-ID: <7>\ncontent-transfer-encoding: {encoding}\n\n{content}\n--b--"
            );
            assert!(
                matches!(parts(body.as_bytes()), Err(ConvertError::BadPart(id)) if id == "7"),
                "{body}"
            );
        }
    }

    proptest! {
        /// Whatever a part holds, short of its own boundary, comes out.
        #[test]
        fn any_content_comes_out_as_it_is(
            contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5),
        ) {
            let mut body = b"--b0undary\r\ncontent-id: <x>".to_vec();
            for content in &contents {
                body.extend_from_slice(b"\r\n\r\n");
                body.extend_from_slice(content);
                body.extend_from_slice(b"\r\n--b0undary");
            }
            body.extend_from_slice(b"--");
            // Every part but the first begins behind an empty line, without a header.
            let found = parts(&body).unwrap().unwrap();
            prop_assert_eq!(found.len(), contents.len());
            for (part, content) in found.iter().zip(&contents) {
                prop_assert_eq!(&part.bytes, content);
                let start = part.start.unwrap();
                prop_assert_eq!(&body[start..start + content.len()], content.as_slice());
            }
        }

        #[test]
        fn no_body_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(vec![
            "--b", "--", "\n", "\r\n", "=", "a=", " ", "\t", "content-transfer-encoding: quoted-printable",
            "content-transfer-encoding: base64", "content-type: multipart/mixed; boundary=b", "content-id: <x",
            "=?utf-8?Q?=", "=?utf-8?B?", "?=", "filename*0*=", ";", "%", "\"", "x", "é", ":", "\0",
        ]), 0..60)) {
            let text = format!("--b\ncontent-type: {}", pieces.concat());
            let _ = parts(text.as_bytes());
        }
    }
}
