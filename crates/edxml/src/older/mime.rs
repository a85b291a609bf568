//! The parts of a multipart/related body, as they were before they were encoded for the way.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{MessageParser, MimeHeaders};

use super::ConvertError;
use crate::sniff::is_multipart;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// `Content-ID` without its brackets.
    pub(super) id: Option<String>,
    /// The file name, from either header.
    pub(super) name: Option<String>,
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
        kind.ends_with("/xml") || kind.ends_with("+xml") || kind.is_empty()
    }
}

/// The parts in their order; `None` if this is no multipart body.
///
/// # Errors
/// [`ConvertError::BadPart`] if one is not encoded as it says.
pub(super) fn parts(body: &[u8]) -> Result<Option<Vec<Part>>, ConvertError> {
    let text = body.trim_ascii_start();
    if !is_multipart(&text[..text.len().min(4096)]) {
        return Ok(None);
    }
    // A body taken from HTTP begins with its first boundary: the header that named it is gone.
    let message: Cow<'_, [u8]> = match boundary(text) {
        None => Cow::Borrowed(text),
        Some(boundary) => {
            let header =
                format!("Content-Type: multipart/related; boundary=\"{boundary}\"\r\n\r\n");
            Cow::Owned([header.as_bytes(), text].concat())
        }
    };
    let added = message.len() - text.len();
    let skipped = body.len() - text.len();
    // The parser decodes quoted-printable on its own and can overflow doing so (`a=` before a
    // boundary): what it cannot take apart is a broken part, and no reason to end the program.
    let parse = || MessageParser::new().parse(message.as_ref());
    let Ok(parsed) = std::panic::catch_unwind(parse) else {
        return Err(ConvertError::BadPart("?".to_owned()));
    };
    let Some(parsed) = parsed else {
        return Ok(None);
    };
    let mut parts = Vec::new();
    for part in parsed.parts.iter().filter(|part| !part.is_multipart()) {
        let (start, end) = (
            part.raw_body_offset() as usize,
            part.raw_end_offset() as usize,
        );
        let raw = message.get(start..end).unwrap_or_default();
        let id = part.content_id().map(str::to_owned);
        let name = part.attachment_name().map(str::to_owned);
        let bad = || {
            let shown = name.as_deref().or(id.as_deref()).unwrap_or("?");
            ConvertError::BadPart(shown.to_owned())
        };
        // By the header, not by what the parser made of a broken content.
        let encoding = part.content_transfer_encoding().unwrap_or_default();
        let (bytes, plain) = match encoding.trim().to_ascii_lowercase().as_str() {
            "base64" => {
                let packed: Vec<u8> = raw
                    .iter()
                    .copied()
                    .filter(|b| !b.is_ascii_whitespace())
                    .collect();
                (BASE64.decode(packed).map_err(|_| bad())?, false)
            }
            "quoted-printable" => (quoted_printable_decode(raw).ok_or_else(bad)?, false),
            _ => (raw.to_vec(), true),
        };
        let content_type = part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        });
        parts.push(Part {
            start: plain.then(|| start - added + skipped),
            content_type: content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            id,
            name,
            bytes,
        });
    }
    Ok(Some(parts))
}

/// The boundary, if the text begins with it.
fn boundary(text: &[u8]) -> Option<String> {
    let line = text.strip_prefix(b"--")?.split(|b| *b == b'\n').next()?;
    let boundary = std::str::from_utf8(line).ok()?.trim_end();
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ';
    (!boundary.is_empty() && boundary.chars().all(plain)).then(|| boundary.to_owned())
}
