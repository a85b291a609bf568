//! A package's bytes out of the body of `sendEdoc`, and into the answer of `getEdoc`.
//!
//! The SDK sends the file as it is and a CR LF behind it that is not the file's; some programs
//! send base64 text. `hash-file` tells what the file is: the bytes with the CR LF if they have
//! that hash, else without.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::hash;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Non-blank bytes that tell base64 from XML.
const SNIFFED: usize = 4;

/// A body that is no package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyFault {
    /// It begins as base64 and is none.
    #[error("the body begins as base64 and cannot be decoded as that")]
    NotBase64,
    /// Its SHA-256 is not the announced one.
    #[error("the SHA-256 of the body is not the one in XroadVnpt-hash-file")]
    WrongHash,
}

/// Bytes whose last two are held back, for they may be the CR LF that is not the file's.
#[derive(Debug, Default)]
struct Tail {
    hash: Sha256,
    held: BytesMut,
}

impl Tail {
    fn push(&mut self, chunk: &Bytes, mut out: impl FnMut(Bytes)) {
        let mut pass = |hash: &mut Sha256, bytes: Bytes| {
            if !bytes.is_empty() {
                hash.update(&bytes);
                out(bytes);
            }
        };
        if chunk.len() >= 2 {
            let held = self.held.split().freeze();
            pass(&mut self.hash, held);
            let last = chunk.len() - 2;
            pass(&mut self.hash, chunk.slice(..last));
            self.held.extend_from_slice(&chunk[last..]);
        } else {
            self.held.extend_from_slice(chunk);
            let over = self.held.len().saturating_sub(2);
            let first = self.held.split_to(over).freeze();
            pass(&mut self.hash, first);
        }
    }

    /// What is held, less the CR LF if `announced` is the hash without it; `None` if it is
    /// neither hash.
    fn end(self, announced: &str) -> Option<Bytes> {
        let whole = self.hash.clone().chain_update(&self.held).finalize();
        if hash::agrees(announced, &whole.into()) {
            return Some(self.held.freeze());
        }
        let without = self.hash.finalize();
        (&self.held[..] == b"\r\n" && hash::agrees(announced, &without.into())).then(Bytes::new)
    }
}

#[derive(Debug)]
enum Form {
    /// Too little came to tell.
    Unknown(BytesMut),
    Raw,
    Base64 {
        /// Digits that do not make three bytes yet.
        digits: Vec<u8>,
        /// Padding came: nothing may follow.
        over: bool,
        /// The text itself: the announced hash may be that of the text.
        text: Tail,
    },
}

/// Takes a body apart as it comes. What [`PackageBody::push`] gives may be passed on at once;
/// it is a package only when [`PackageBody::end`] has said so.
#[derive(Debug)]
pub struct PackageBody {
    announced: String,
    form: Form,
    file: Tail,
}

impl PackageBody {
    /// A body whose file has this hash, padded or not.
    #[must_use]
    pub fn new(announced: impl Into<String>) -> Self {
        Self {
            announced: announced.into(),
            form: Form::Unknown(BytesMut::new()),
            file: Tail::default(),
        }
    }

    /// Takes the next bytes of the body; `out` gets the package's.
    ///
    /// # Errors
    /// [`BodyFault::NotBase64`].
    pub fn push(&mut self, chunk: &Bytes, mut out: impl FnMut(Bytes)) -> Result<(), BodyFault> {
        let known;
        let chunk = match &mut self.form {
            Form::Unknown(start) => {
                start.extend_from_slice(chunk);
                let Some(base64) = is_base64(start) else {
                    return Ok(());
                };
                known = start.split().freeze();
                self.form = Self::form(base64);
                &known
            }
            _ => chunk,
        };
        self.take(chunk, &mut out)
    }

    fn form(base64: bool) -> Form {
        if !base64 {
            return Form::Raw;
        }
        Form::Base64 {
            digits: Vec::new(),
            over: false,
            text: Tail::default(),
        }
    }

    fn take(&mut self, chunk: &Bytes, out: &mut impl FnMut(Bytes)) -> Result<(), BodyFault> {
        match &mut self.form {
            Form::Unknown(_) | Form::Raw => self.file.push(chunk, out),
            Form::Base64 { digits, over, text } => {
                text.push(chunk, |_| {});
                digits.extend(chunk.iter().filter(|byte| !byte.is_ascii_whitespace()));
                let whole = digits.len() / 4 * 4;
                if whole == 0 {
                    return Ok(());
                }
                if *over {
                    return Err(BodyFault::NotBase64);
                }
                *over = digits[..whole].contains(&b'=');
                let bytes = BASE64
                    .decode(&digits[..whole])
                    .map_err(|_| BodyFault::NotBase64)?;
                digits.drain(..whole);
                self.file.push(&bytes.into(), out);
            }
        }
        Ok(())
    }

    /// The body is whole: gives the last bytes and checks the hash.
    ///
    /// # Errors
    /// [`BodyFault`].
    pub fn end(mut self, mut out: impl FnMut(Bytes)) -> Result<(), BodyFault> {
        if let Form::Unknown(start) = &mut self.form {
            let start = start.split().freeze();
            self.form = Form::Raw;
            self.take(&start, &mut out)?;
        }
        let mut text = None;
        if let Form::Base64 {
            digits,
            over,
            text: whole,
        } = self.form
        {
            if !digits.is_empty() {
                let bytes = BASE64.decode(&digits).ok().filter(|_| !over);
                let bytes = bytes.ok_or(BodyFault::NotBase64)?;
                self.file.push(&bytes.into(), &mut out);
            }
            text = Some(whole);
        }
        let last = match (text, self.file) {
            (None, file) => file.end(&self.announced),
            (Some(text), file) => {
                let held = file.held.clone().freeze();
                let own = file.end(&self.announced);
                own.or_else(|| text.end(&self.announced).map(|_| held))
            }
        };
        let last = last.ok_or(BodyFault::WrongHash)?;
        if !last.is_empty() {
            out(last);
        }
        Ok(())
    }
}

/// Whether a body is base64, from its beginning; `None` while too little is there. Base64 of
/// `<` and a letter begins with `P` and one of `A` to `H`, of the marks of UTF-8 and UTF-16 with `77u/`,
/// `//` and `/v`.
fn is_base64(start: &[u8]) -> Option<bool> {
    let mut text = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    let mut first = [0; SNIFFED];
    for place in &mut first {
        *place = *text.next()?;
    }
    let digits = first
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    let begins = match first {
        [b'P', second, ..] => (b'A'..=b'H').contains(&second),
        [b'7', b'7', b'u', b'/'] | [b'/', b'/' | b'v', ..] => true,
        _ => false,
    };
    Some(digits && begins)
}

/// Base64 of a stream of bytes, chunk by chunk.
#[derive(Debug, Default)]
pub struct Base64Text {
    rest: BytesMut,
}

impl Base64Text {
    /// The text of the next bytes, as far as they make whole groups.
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        self.rest.extend_from_slice(chunk);
        let whole = self.rest.len() / 3 * 3;
        let bytes = self.rest.split_to(whole);
        BASE64.encode(&bytes).into()
    }

    /// The text of what is left.
    #[must_use]
    pub fn end(self) -> Bytes {
        BASE64.encode(&self.rest).into()
    }

    /// How long the text of so many bytes is.
    #[must_use]
    pub const fn len_of(bytes: u64) -> u64 {
        bytes.div_ceil(3) * 4
    }
}

/// Decodes a whole base64 text, blanks in it ignored.
///
/// # Errors
/// [`BodyFault::NotBase64`].
pub fn decode(text: &str) -> Result<Vec<u8>, BodyFault> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    BASE64.decode(digits).map_err(|_| BodyFault::NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashForm;
    use proptest::prelude::*;

    fn announced(bytes: &[u8]) -> String {
        hash::write(&Sha256::digest(bytes).into(), HashForm::Unpadded)
    }

    fn taken(body: &[u8], announced: &str, cuts: &[usize]) -> Result<Vec<u8>, BodyFault> {
        let mut package = PackageBody::new(announced);
        let mut out = Vec::new();
        let mut from = 0;
        for cut in cuts.iter().map(|cut| cut % (body.len() + 1)) {
            if cut > from {
                let chunk = Bytes::copy_from_slice(&body[from..cut]);
                package.push(&chunk, |bytes| out.extend(bytes))?;
                from = cut;
            }
        }
        package.push(&Bytes::copy_from_slice(&body[from..]), |bytes| {
            out.extend(bytes)
        })?;
        package.end(|bytes| out.extend(bytes))?;
        Ok(out)
    }

    #[test]
    fn the_trailing_cr_lf_is_the_files_only_if_the_hash_says_so() {
        let file = b"<edXML/>".as_slice();
        let sent = [file, b"\r\n"].concat();
        assert_eq!(taken(&sent, &announced(file), &[]).unwrap(), file);
        assert_eq!(taken(&sent, &announced(&sent), &[]).unwrap(), sent);
        assert_eq!(taken(file, &announced(file), &[]).unwrap(), file);
        // One CR LF is dropped, not two.
        let twice = [&sent[..], b"\r\n"].concat();
        assert_eq!(
            taken(&twice, &announced(file), &[]),
            Err(BodyFault::WrongHash)
        );
        assert_eq!(taken(&twice, &announced(&sent), &[]).unwrap(), sent);
        assert_eq!(
            taken(&sent, &announced(b"x"), &[]),
            Err(BodyFault::WrongHash)
        );
        assert_eq!(taken(b"", &announced(b""), &[]).unwrap(), b"");
        assert_eq!(taken(b"\r\n", &announced(b""), &[]).unwrap(), b"");
    }

    #[test]
    fn base64_is_known_by_its_first_letters_and_hashed_either_way() {
        for file in ["<edXML>Sở</edXML>", "\u{feff}<?xml?>"] {
            let text = BASE64.encode(file);
            let lines = format!("{}\r\n{}\r\n", &text[..6], &text[6..]);
            for hash in [
                announced(file.as_bytes()),
                announced(lines.trim_end().as_bytes()),
            ] {
                assert_eq!(
                    taken(lines.as_bytes(), &hash, &[]).unwrap(),
                    file.as_bytes()
                );
            }
        }
        assert_eq!(is_base64(b" \r\nPD94"), Some(true));
        assert_eq!(is_base64(b"<?xm"), Some(false));
        assert_eq!(is_base64(b"PK\x03\x04"), Some(false));
        assert_eq!(is_base64(b"PD9"), None);
        let broken = "PD94bWw=PD94";
        assert_eq!(
            taken(broken.as_bytes(), "x", &[]),
            Err(BodyFault::NotBase64)
        );
        assert_eq!(taken(b"PD94bW!=", "x", &[]), Err(BodyFault::NotBase64));
    }

    proptest! {
        #[test]
        fn however_a_body_is_cut_the_package_is_the_same(
            inside in proptest::collection::vec(any::<u8>(), 0..200),
            mut cuts in proptest::collection::vec(0_usize..400, 0..8),
            crlf: bool,
            base64: bool,
        ) {
            cuts.sort_unstable();
            let file = [b"<a>".as_slice(), &inside].concat();
            let mut body = if base64 { BASE64.encode(&file).into_bytes() } else { file.clone() };
            if crlf {
                body.extend(b"\r\n");
            }
            prop_assert_eq!(taken(&body, &announced(&file), &cuts), Ok(file));
        }

        #[test]
        fn base64_in_pieces_is_base64(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..8)) {
            let mut text = Base64Text::default();
            let mut written = Vec::new();
            for chunk in &chunks {
                written.extend(text.push(chunk));
            }
            written.extend(text.end());
            let whole = chunks.concat();
            prop_assert_eq!(written.len() as u64, Base64Text::len_of(whole.len() as u64));
            prop_assert_eq!(decode(std::str::from_utf8(&written).unwrap()), Ok(whole));
        }

        #[test]
        fn no_body_makes_it_panic(
            body in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(0_usize..300, 0..4),
        ) {
            let _ = taken(&body, "ab", &cuts);
        }
    }
}
