//! What stands in tags and between them, as the parser tells it: attributes, texts, references,
//! declarations, and what is wrong with them.

use std::io::BufRead;

use quick_xml::events::{BytesDecl, BytesPI, BytesRef, BytesStart};

use super::{Cursor, MOST_DECLARATIONS, Place, Token};
use crate::detail::{self, Detail};
use crate::finding::FindingCode;
use crate::namespace::Space;
use crate::source::{Encoding, count};
use crate::text::{Traits, illegal, is_name, name_of};

/// What the prefix `xml` means everywhere.
const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

impl<R: BufRead> Cursor<'_, R> {
    /// Checks the attributes and takes over declarations; whether any other has a prefix.
    pub(super) fn attributes(
        &mut self,
        raw: &str,
        tag: &BytesStart<'_>,
        depth: usize,
    ) -> Result<bool, Token> {
        if raw.trim_ascii().is_empty() {
            return Ok(false);
        }
        if let Some(odd) = illegal(raw.as_bytes()) {
            return Err(self.stop_here(FindingCode::IllegalCharacter, &name_of(odd)));
        }
        if is_glued(raw) {
            return Err(self.stop_here(FindingCode::NotWellFormed, glued()));
        }
        let mut count = 0;
        let mut prefixed = false;
        for attribute in tag.attributes() {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(e) => {
                    return Err(self.stop_here(FindingCode::NotWellFormed, detail::attribute(&e)));
                }
            };
            count += 1;
            if count > self.limits.attributes {
                let most = self.limits.attributes.to_string();
                return Err(self.stop_here(FindingCode::TooManyAttributes, &most));
            }
            let key: &str = attribute.key.as_ref();
            if key.len() > self.limits.name_length {
                let most = self.limits.name_length.to_string();
                return Err(self.stop_here(FindingCode::NameTooLong, &most));
            }
            if !is_name(key) {
                let detail = Detail::words(
                    format!("{key} is no attribute name"),
                    format!("{key} không phải tên thuộc tính"),
                );
                return Err(self.stop_here(FindingCode::NotWellFormed, detail));
            }
            let value: &str = &attribute.value;
            if value.contains('<') {
                let detail = Detail::words(
                    format!("< in the value of the attribute {key}"),
                    format!("có < trong giá trị của thuộc tính {key}"),
                );
                return Err(self.stop_here(FindingCode::NotWellFormed, detail));
            }
            let value = match attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0) {
                Ok(value) => value,
                Err(_) => {
                    let (code, detail) = bad_reference(value);
                    return Err(self.stop_here(code, detail));
                }
            };
            if let Some(odd) = illegal(value.as_bytes()) {
                return Err(self.stop_here(FindingCode::IllegalCharacter, &name_of(odd)));
            }
            match key.split_once(':') {
                _ if key.starts_with("xmlns") && self.namespaces.len() >= MOST_DECLARATIONS => {
                    let detail = Detail::words(
                        format!("{MOST_DECLARATIONS} inherited"),
                        format!("{MOST_DECLARATIONS} (kế thừa)"),
                    );
                    return Err(self.stop_here(FindingCode::TooManyAttributes, detail));
                }
                None if key == "xmlns" => self.namespaces.declare(depth, "", value.trim()),
                Some(("xmlns", prefix @ ("xml" | "xmlns")))
                    if prefix != "xml" || value.trim() != XML_NAMESPACE =>
                {
                    let detail = Detail::words(
                        format!("the prefix {prefix} is XML's own and cannot be declared anew"),
                        format!("tiền tố {prefix} là của XML, không được khai báo lại"),
                    );
                    return Err(self.stop_here(FindingCode::NotWellFormed, detail));
                }
                Some(("xmlns", prefix)) => self.namespaces.declare(depth, prefix, value.trim()),
                Some((_, local)) => {
                    prefixed = true;
                    if local == "href" {
                        self.href = Some(value.trim().to_owned());
                    }
                }
                None => {}
            }
        }
        Ok(prefixed)
    }

    /// Tells the prefixes of attributes that are not declared, and refuses two attributes that are
    /// one under two prefixes. Only when the tag has been read whole are all its declarations known.
    pub(super) fn check_attribute_prefixes(&mut self, tag: &BytesStart<'_>) -> Option<Token> {
        let mut attributes = tag.attributes();
        let prefixed: Vec<(&str, &str)> = attributes
            .with_checks(false)
            .flatten()
            .filter_map(|attribute| attribute.key.0.split_once(':'))
            .filter(|(prefix, _)| *prefix != "xmlns")
            .collect();
        for (i, (prefix, local)) in prefixed.iter().enumerate() {
            if self.namespaces.space(prefix) == Space::Unbound {
                self.tell_unbound(prefix);
                continue;
            }
            let uri = self.namespaces.uri(prefix);
            let twice = prefixed[..i].iter().any(|(former, name)| {
                name == local && former != prefix && self.namespaces.uri(former) == uri
            });
            if twice {
                return Some(self.stop_here(FindingCode::NotWellFormed, detail::attribute_twice()));
            }
        }
        None
    }

    /// Text, or the content of a CDATA section.
    pub(super) fn characters(&mut self, text: &str, cdata: bool) -> Token {
        if !self.collecting && text.bytes().all(|b| b.is_ascii_whitespace() && b != 0x0C) {
            return Token::Text;
        }
        let traits = Traits::of(text.as_bytes());
        if traits.has(Traits::CONTROL | Traits::MARKED)
            && let Some(odd) = illegal(text.as_bytes())
        {
            return self.stop_here(FindingCode::IllegalCharacter, &name_of(odd));
        }
        if !cdata && traits.has(Traits::GREATER) && text.contains("]]>") {
            let detail = Detail::words(
                "`]]>` in a text; write `]]&gt;`",
                "có `]]>` trong đoạn chữ; hãy viết `]]&gt;`",
            );
            return self.stop_here(FindingCode::NotWellFormed, detail);
        }
        self.marked |= traits.has(Traits::MARKED);
        if !traits.has(Traits::RETURN) {
            self.text.push_str(text);
        } else {
            // XML counts CR LF, and CR alone, as one line feed.
            let mut rest = text;
            while let Some(at) = memchr::memchr(b'\r', rest.as_bytes()) {
                self.text.push_str(&rest[..at]);
                self.text.push('\n');
                rest = &rest[at + 1..];
                rest = rest.strip_prefix('\n').unwrap_or(rest);
            }
            self.text.push_str(rest);
        }
        if self.frames.is_empty() && !text.trim_ascii().is_empty() {
            let mut at = self.source().token_mark();
            if !cdata {
                let blank = text.len() - text.trim_ascii_start().len();
                let encoding = self.source().encoding();
                count(&mut at, &text.as_bytes()[..blank], encoding);
            }
            return self.stop(FindingCode::NotWellFormed, at, outside());
        }
        self.text_token()
    }

    fn text_token(&mut self) -> Token {
        if self.text.len() > self.limits.text_length {
            let most = self.limits.text_length.to_string();
            return self.stop_here(FindingCode::TextTooLong, &most);
        }
        Token::Text
    }

    pub(super) fn reference(&mut self, reference: &BytesRef<'_>) -> Token {
        let character = match referred(reference) {
            Ok(character) => character,
            Err((code, detail)) => return self.stop_here(code, detail),
        };
        if self.frames.is_empty() {
            return self.stop_here(FindingCode::NotWellFormed, outside());
        }
        self.marked |= !character.is_ascii();
        self.text.push(character);
        self.text_token()
    }

    pub(super) fn aside(&mut self, text: &str) -> Token {
        match illegal(text.as_bytes()) {
            Some(odd) => self.stop_here(FindingCode::IllegalCharacter, &name_of(odd)),
            None => Token::Aside,
        }
    }

    /// A processing instruction.
    pub(super) fn instruction(&mut self, instruction: &BytesPI<'_>) -> Token {
        let target = instruction.target();
        if !is_name(target) || target.eq_ignore_ascii_case("xml") {
            let detail = Detail::words(
                format!("<?{target} begins no processing instruction"),
                format!("<?{target} không phải chỉ thị xử lý hợp lệ"),
            );
            return self.stop_here(FindingCode::NotWellFormed, detail);
        }
        self.aside(instruction)
    }

    pub(super) fn declaration(&mut self, declaration: &BytesDecl<'_>) -> Token {
        if self.started {
            let detail = Detail::words(
                "an XML declaration stands inside the file",
                "khai báo XML nằm giữa tệp",
            );
            return self.stop_here(FindingCode::NotWellFormed, detail);
        }
        if let Some(odd) = illegal(declaration.as_bytes()) {
            return self.stop_here(FindingCode::IllegalCharacter, &name_of(odd));
        }
        if let Some(odd) = odd_declaration(declaration) {
            return self.stop_here(FindingCode::NotWellFormed, odd);
        }
        let version = match declaration.version() {
            Ok(version) => version.into_owned(),
            Err(error) => {
                return self.stop_here(FindingCode::NotWellFormed, detail::markup(&error));
            }
        };
        if version != "1.0" {
            let digits = version.strip_prefix("1.").unwrap_or_default();
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return self.stop_here(FindingCode::NotWellFormed, detail::unknown_version());
            }
            self.tell_here(FindingCode::XmlVersion, &version);
        }
        if let Some(standalone) = declaration.standalone()
            && !matches!(standalone.as_deref(), Ok("yes" | "no"))
        {
            let detail = Detail::words(
                "standalone is neither yes nor no in the XML declaration",
                "standalone trong khai báo XML không phải yes hay no",
            );
            return self.stop_here(FindingCode::NotWellFormed, detail);
        }
        let written = self.source().encoding().as_str();
        if let Some(Ok(declared)) = declaration.encoding() {
            let same = if written == "UTF-8" {
                declared.eq_ignore_ascii_case("utf-8") || declared.eq_ignore_ascii_case("utf8")
            } else {
                declared
                    .get(..6)
                    .is_some_and(|head| head.eq_ignore_ascii_case("utf-16"))
            };
            if !same {
                self.tell_here(FindingCode::DeclaredEncoding, &declared);
            }
        }
        Token::Aside
    }

    /// A finding about what stands before the root.
    fn tell_here(&mut self, code: FindingCode, detail: &str) {
        let at = self.source().token_mark();
        let path = String::new();
        self.tell_at(code, &Place { at, path }, detail);
    }

    pub(super) fn end_of_file(&mut self) -> Token {
        let Some(frame) = self.frames.last().copied() else {
            self.stopped = true;
            return Token::End;
        };
        let line = self.top_at().line;
        let label = self.label(&frame);
        let detail = Detail::words(
            format!("{label}, opened in line {line}, is never closed"),
            format!("{label}, mở ở dòng {line}, không được đóng"),
        );
        let at = self.source().here();
        self.stop(FindingCode::NotWellFormed, at, detail)
    }

    pub(super) fn error(&mut self, error: &quick_xml::Error, buf: &[u8]) -> Token {
        match error {
            quick_xml::Error::Io(_) if self.source().overrun() => self.overrun(buf),
            quick_xml::Error::Io(e) => {
                self.stopped = true;
                let failure = self.source().take_failure();
                self.failure = Some(failure.unwrap_or_else(|| e.kind().into()));
                Token::End
            }
            quick_xml::Error::Encoding(_) => {
                let mut at = self.source().token_mark();
                let valid = match std::str::from_utf8(buf) {
                    Ok(text) => text,
                    Err(e) => std::str::from_utf8(&buf[..e.valid_up_to()]).unwrap_or_default(),
                };
                let encoding = self.source().encoding();
                count(&mut at, valid.as_bytes(), encoding);
                let detail = match buf.get(valid.len()) {
                    Some(_) if encoding != Encoding::Utf8 => Detail::words(
                        format!("half a character at offset {}", at.offset),
                        format!("nửa ký tự ở vị trí {}", at.offset),
                    ),
                    Some(byte) => Detail::words(
                        format!("the byte 0x{byte:02X} at offset {}", at.offset),
                        format!("byte 0x{byte:02X} ở vị trí {}", at.offset),
                    ),
                    None => Detail::from(""),
                };
                self.stop(FindingCode::InvalidEncoding, at, detail)
            }
            other => self.stop_here(FindingCode::NotWellFormed, detail::markup(other)),
        }
    }

    /// A token took more than any may: says which limit it passed.
    fn overrun(&mut self, buf: &[u8]) -> Token {
        let limits = self.limits;
        let (code, most) = if buf.starts_with(b"<!D") || buf.starts_with(b"<!d") {
            (FindingCode::Doctype, String::new())
        } else if buf.first() == Some(&b'<') && !buf.starts_with(b"<!") && !buf.starts_with(b"<?") {
            let attributes = memchr::memchr_iter(b'=', buf).count();
            if attributes > limits.attributes as usize {
                (
                    FindingCode::TooManyAttributes,
                    limits.attributes.to_string(),
                )
            } else {
                (FindingCode::TagTooLong, limits.tag_length.to_string())
            }
        } else {
            (FindingCode::TextTooLong, limits.text_length.to_string())
        };
        self.stop_here(code, &most)
    }
}

/// What is wrong with the attributes of an XML declaration: they are three at most, in this order.
fn odd_declaration(declaration: &BytesDecl<'_>) -> Option<Detail<'static>> {
    let content: &str = declaration;
    let tag = BytesStart::from_content(content, "xml".len());
    let mut known = ["version", "encoding", "standalone"].into_iter();
    for attribute in tag.attributes() {
        match attribute {
            Ok(attribute) if known.any(|name| name == attribute.key.0) => {}
            Ok(attribute) => {
                let key = attribute.key.0;
                return Some(Detail::words(
                    format!("{key} is out of place in the XML declaration"),
                    format!("{key} không đúng chỗ trong khai báo XML"),
                ));
            }
            Err(error) => return Some(detail::attribute(&error)),
        }
    }
    is_glued(tag.attributes_raw()).then(glued)
}

fn glued() -> Detail<'static> {
    Detail::words(
        "no space between two attributes",
        "thiếu khoảng trắng giữa hai thuộc tính",
    )
}

fn outside() -> Detail<'static> {
    Detail::words("text outside the root element", "có chữ ngoài phần tử gốc")
}

/// Whether an attribute begins right behind the closing quote of another.
fn is_glued(raw: &str) -> bool {
    let mut rest = raw.as_bytes();
    while let Some(open) = memchr::memchr2(b'"', b'\'', rest) {
        let quote = rest[open];
        let Some(close) = memchr::memchr(quote, &rest[open + 1..]) else {
            return false;
        };
        rest = &rest[open + close + 2..];
        if rest.first().is_some_and(|b| !b.is_ascii_whitespace()) {
            return true;
        }
    }
    false
}

/// The character that a reference stands for, of which this is the name.
fn referred(name: &str) -> Result<char, (FindingCode, Detail<'static>)> {
    Ok(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => match name.strip_prefix('#') {
            Some(number) => return numbered(number),
            None if is_name(name) => {
                return Err((FindingCode::UnknownEntity, Detail::value(name.to_owned())));
            }
            None => {
                return Err((FindingCode::NotWellFormed, detail::bare_ampersand()));
            }
        },
    })
}

/// The character of this number, decimal or after an `x` hexadecimal.
fn numbered(number: &str) -> Result<char, (FindingCode, Detail<'static>)> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let code = match digits.chars().all(|c| c.is_digit(radix)) {
        true => u32::from_str_radix(digits, radix).ok(),
        false => None,
    };
    match code.and_then(char::from_u32) {
        Some(c)
            if matches!(c, '\t' | '\n' | '\r' | ' '..) && !matches!(c, '\u{FFFE}' | '\u{FFFF}') =>
        {
            Ok(c)
        }
        _ => {
            let shown = code.map_or_else(|| format!("&#{number};"), name_of);
            Err((FindingCode::IllegalCharacter, Detail::value(shown)))
        }
    }
}

/// What is wrong with the references in the value of an attribute.
fn bad_reference(value: &str) -> (FindingCode, Detail<'static>) {
    for behind in value.split('&').skip(1) {
        let Some((name, _)) = behind.split_once(';') else {
            break;
        };
        if let Err(wrong) = referred(name) {
            return wrong;
        }
    }
    (FindingCode::NotWellFormed, detail::bare_ampersand())
}
