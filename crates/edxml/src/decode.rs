//! The content of an attachment, decoded as it is read.

use std::io::{self, Read, Seek, SeekFrom};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::base64::is_data;
use crate::package::Attachment;
use crate::source::Encoding;

/// Bits left over in a last character are let through, as the national SDK does.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// How much of the package is read at once.
const PIECE: usize = 32 * 1024;

impl Attachment {
    /// The decoded content, in pieces as it is read; in memory bounded whatever its size.
    ///
    /// `package` is the package that this attachment was read from. White space, foreign
    /// characters and markup in the content are skipped, just as reading the package skipped them:
    /// of an attachment that is [`decodable`](Attachment::decodable) exactly
    /// [`decoded_len`](Attachment::decoded_len) bytes come.
    ///
    /// ```
    /// # use edxml::{Date, Limits, Organ, Package, read, write};
    /// # let date = Date::new(2026, 3, 2).unwrap();
    /// # let mut draft = write::DocumentDraft::new(
    /// #     Organ::new("H47.1", None), vec![Organ::new("H47.2", None)], "1", "A", date);
    /// # draft.attach("a.pdf", "application/pdf", b"%PDF-1.7 and so on".to_vec());
    /// # let package = write::document(&draft);
    /// use std::io::{Cursor, Read};
    /// let reading = read(&package, &Limits::default());
    /// let Some(Package::Document(document)) = &reading.package else { panic!() };
    /// let mut content = Vec::new();
    /// document.attachments[0].decode(Cursor::new(&package))?.read_to_end(&mut content)?;
    /// assert_eq!(content, b"%PDF-1.7 and so on");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `package`, now or while reading; `InvalidData` while reading if the content is not
    /// base64, `UnexpectedEof` if the package is shorter than it was.
    pub fn decode<R: Read + Seek>(&self, mut package: R) -> io::Result<Decoder<R>> {
        package.seek(SeekFrom::Start(self.encoded.start))?;
        Ok(Decoder {
            package,
            left: self.encoded.end.saturating_sub(self.encoded.start),
            encoding: self.encoding,
            raw: Vec::new(),
            markup: Markup::default(),
            data: Vec::new(),
            padded: false,
            decoded: Vec::new(),
            at: 0,
            ended: false,
        })
    }
}

/// The decoded content of an attachment: see [`Attachment::decode`].
#[derive(Debug)]
pub struct Decoder<R> {
    package: R,
    /// Bytes of the package not read yet.
    left: u64,
    encoding: Encoding,
    /// Bytes read and not looked at yet: part of a UTF-16 unit, at most.
    raw: Vec<u8>,
    markup: Markup,
    /// Base64 characters not decoded yet.
    data: Vec<u8>,
    padded: bool,
    decoded: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Decoder<R> {
    /// Decodes the next piece of the package.
    fn refill(&mut self) -> io::Result<()> {
        let start = self.raw.len();
        let room = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        self.raw.resize(start + room, 0);
        let count = match self.package.read(&mut self.raw[start..]) {
            Ok(count) => count,
            Err(e) => {
                self.raw.truncate(start);
                return Err(e);
            }
        };
        self.raw.truncate(start + count);
        if count == 0 && room > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        self.ended = self.left == 0;
        let raw = std::mem::take(&mut self.raw);
        match self.encoding {
            Encoding::Utf8 => {
                if self.markup.is_text() && memchr::memchr2(b'<', b'&', &raw).is_none() {
                    self.take(&raw)?;
                } else {
                    self.take_marked(&raw)?;
                }
            }
            Encoding::Utf16Le | Encoding::Utf16Be => {
                let units = raw.chunks_exact(2);
                let odd = units.remainder().to_vec();
                let narrow: Vec<u8> = units
                    .map(|unit| {
                        let unit = match self.encoding {
                            Encoding::Utf16Le => u16::from_le_bytes([unit[0], unit[1]]),
                            _ => u16::from_be_bytes([unit[0], unit[1]]),
                        };
                        // Whatever is not ASCII is foreign, and as such one like another.
                        u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(0x80)
                    })
                    .collect();
                self.take_marked(&narrow)?;
                self.raw = odd;
            }
        }
        self.decode_data()
    }

    /// Takes text without markup.
    fn take(&mut self, text: &[u8]) -> io::Result<()> {
        for &byte in text {
            self.character(byte)?;
        }
        Ok(())
    }

    fn take_marked(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            if let Some(text) = self.markup.feed(byte) {
                self.character(text)?;
            }
        }
        Ok(())
    }

    fn character(&mut self, byte: u8) -> io::Result<()> {
        if is_data(byte) {
            if self.padded {
                return Err(broken("data goes on after the padding"));
            }
            self.data.push(byte);
        } else {
            self.padded |= byte == b'=';
        }
        Ok(())
    }

    fn decode_data(&mut self) -> io::Result<()> {
        let whole = if self.ended {
            self.data.len()
        } else {
            self.data.len() / 4 * 4
        };
        if whole % 4 == 1 {
            return Err(broken("the content is cut off"));
        }
        self.decoded.clear();
        self.at = 0;
        ENGINE
            .decode_vec(&self.data[..whole], &mut self.decoded)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.data.drain(..whole);
        Ok(())
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not base64: {why}"))
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.decoded.len() {
            if self.ended || out.is_empty() {
                return Ok(0);
            }
            if self.left == 0 {
                self.ended = true;
                return Ok(0);
            }
            self.refill()?;
        }
        let count = out.len().min(self.decoded.len() - self.at);
        out[..count].copy_from_slice(&self.decoded[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Where in the markup of the content we are. The package has been read before, so the markup is
/// known to be well-formed; if it is another package now, nonsense comes out, and nothing worse.
#[derive(Debug, Default)]
struct Markup {
    state: State,
    /// Open elements inside the content, whose text is not the content's.
    depth: usize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// After `<`, with what followed.
    Opened(Vec<u8>),
    /// In a tag: whether it closes, the quote that is open, the byte before.
    Tag(bool, Option<u8>, u8),
    /// In what ends with this, of which so many bytes have come.
    Until(&'static [u8], usize),
    /// In CDATA, after so many `]`.
    CData(usize),
    /// After `&`, with what followed.
    Reference(Vec<u8>),
}

impl Markup {
    fn is_text(&self) -> bool {
        matches!(self.state, State::Text) && self.depth == 0
    }

    /// Takes a byte of the package; the byte of the content's text that it makes.
    fn feed(&mut self, byte: u8) -> Option<u8> {
        let outside = self.depth == 0;
        match &mut self.state {
            State::Text => match byte {
                b'<' => {
                    self.state = State::Opened(Vec::new());
                    None
                }
                b'&' => {
                    self.state = State::Reference(Vec::new());
                    None
                }
                _ => outside.then_some(byte),
            },
            State::Opened(seen) => {
                seen.push(byte);
                match seen.as_slice() {
                    b"?" => self.state = State::Until(b"?>", 0),
                    b"!--" => self.state = State::Until(b"-->", 0),
                    b"![CDATA[" => self.state = State::CData(0),
                    b"/" => self.state = State::Tag(true, None, b'/'),
                    [b'!', ..] if seen.len() < 8 => {}
                    _ => self.state = State::Tag(false, None, byte),
                }
                None
            }
            State::Tag(closes, quote, before) => {
                match (*quote, byte) {
                    (Some(open), _) if open == byte => *quote = None,
                    (Some(_), _) => {}
                    (None, b'"' | b'\'') => *quote = Some(byte),
                    (None, b'>') => {
                        match (*closes, *before) {
                            (true, _) => self.depth = self.depth.saturating_sub(1),
                            (false, b'/') => {}
                            (false, _) => self.depth += 1,
                        }
                        self.state = State::Text;
                        return None;
                    }
                    (None, _) => {}
                }
                *before = byte;
                None
            }
            State::Until(end, come) => {
                if byte == end[*come] {
                    *come += 1;
                    if *come == end.len() {
                        self.state = State::Text;
                    }
                } else {
                    // `--` may be longer before its `>`: the last two still count.
                    let again = usize::from(byte == end[0]);
                    *come = if *come == 2 && byte == end[1] {
                        2
                    } else {
                        again
                    };
                }
                None
            }
            State::CData(brackets) => match byte {
                b']' => {
                    *brackets += 1;
                    None
                }
                b'>' if *brackets >= 2 => {
                    self.state = State::Text;
                    None
                }
                _ => {
                    *brackets = 0;
                    outside.then_some(byte)
                }
            },
            State::Reference(name) => {
                if byte != b';' {
                    if name.len() < 16 {
                        name.push(byte);
                    }
                    return None;
                }
                let text = resolve(name);
                self.state = State::Text;
                text.filter(|_| outside)
            }
        }
    }
}

/// The ASCII character that a reference stands for; any other is foreign, so that it may be left
/// out.
fn resolve(name: &[u8]) -> Option<u8> {
    let name = std::str::from_utf8(name).ok()?;
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    u8::try_from(code.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn decode(text: &[u8], encoding: Encoding) -> io::Result<Vec<u8>> {
        let attachment = Attachment {
            encoded: 0..text.len() as u64,
            encoding,
            ..Attachment::default()
        };
        let mut content = Vec::new();
        let mut decoder = attachment.decode(Cursor::new(text))?;
        decoder.read_to_end(&mut content).map(|_| content)
    }

    #[test]
    fn markup_and_foreign_characters_are_skipped() {
        for text in [
            "QUJDREU=",
            "QUJDREU",
            " QU\r\nJD\tRE U = ",
            "QUJD*đREU=",
            "<![CDATA[QUJDREU=]]>",
            "<![CDATA[QUJD]]]]>REU=",
            "QUJD<!-- REU -->REU=",
            "QUJD<!-- REU - -- --->REU=",
            "QUJD<?x REU ??>REU=",
            "QUJD<a b='>' c=\"/>\">QQ<b/>QQ</a>REU=",
            "QUJD<a/>REU=",
            "&#13;&#81;&#x55;JD&amp;&lt;REU=",
        ] {
            assert_eq!(
                decode(text.as_bytes(), Encoding::Utf8).unwrap(),
                b"ABCDE",
                "{text}"
            );
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(
                decode(&wide, Encoding::Utf16Be).unwrap(),
                b"ABCDE",
                "{text}"
            );
        }
        assert_eq!(decode(b"", Encoding::Utf8).unwrap(), b"");
        for broken in ["Q", "QUJDQ", "QQ==QUJD"] {
            let error = decode(broken.as_bytes(), Encoding::Utf8).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{broken}");
        }
    }

    #[test]
    fn a_package_that_became_shorter_is_an_error() {
        let attachment = Attachment {
            encoded: 0..100,
            ..Attachment::default()
        };
        let mut decoder = attachment.decode(Cursor::new(b"QUJD")).unwrap();
        let error = decoder.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn what_was_encoded_comes_out(
            bytes in proptest::collection::vec(any::<u8>(), 0..70_000),
            line in 1usize..200,
        ) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let lines: Vec<&[u8]> = encoded.as_bytes().chunks(line).collect();
            prop_assert_eq!(&decode(&lines.join(&b"\r\n"[..]), Encoding::Utf8).unwrap(), &bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes, Encoding::Utf8);
            let _ = decode(&bytes, Encoding::Utf16Le);
        }
    }
}
