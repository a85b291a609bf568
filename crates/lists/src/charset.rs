//! Which characters the bytes of a text file mean.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1258};
use unicode_normalization::UnicodeNormalization as _;

use crate::problem::Problem;

/// The text of a file in UTF-8, UTF-16 or Windows-1258, without its byte order mark.
pub(crate) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Problem> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return strictly(encoding, &bytes[mark..]);
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return strictly(encoding, bytes);
    }
    if std::str::from_utf8(bytes).is_ok() {
        return strictly(UTF_8, bytes);
    }
    let text = strictly(WINDOWS_1258, bytes)?;
    // Windows-1258 writes most tone marks as characters of their own.
    let text: String = text.nfc().collect();
    if let Some(odd) = text.chars().find(|c| !is_of_a_vietnamese_text(*c)) {
        return Err(Problem::file(
            format!(
                "Không nhận ra bảng mã của tệp (ký tự {odd:?} lạ nếu đọc theo Windows-1258; có thể là TCVN3, phông .VnTime). Chuyển sang Unicode (UTF-8) rồi nhập lại."
            ),
            format!(
                "The file's encoding is not known (read as Windows-1258 it has {odd:?}; it may be TCVN3). Convert it to Unicode (UTF-8) and import again."
            ),
        ));
    }
    Ok(Cow::Owned(text))
}

fn strictly<'b>(encoding: &'static Encoding, bytes: &'b [u8]) -> Result<Cow<'b, str>, Problem> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| {
            let name = encoding.name();
            Problem::file(
                format!(
                    "Tệp có byte không đúng bảng mã {name}; lưu lại dạng CSV UTF-8 rồi nhập lại."
                ),
                format!(
                    "The file has bytes that are not {name}; save it as CSV UTF-8 and import again."
                ),
            )
        })
}

/// UTF-16 without its mark: the headings and separators are ASCII, so every other byte of them
/// is zero.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(512)];
    let zeros = |from: usize| {
        head.iter()
            .skip(from)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    let many = head.len() / 6 + 1;
    if odd >= many && even == 0 {
        Some(UTF_16LE)
    } else if even >= many && odd == 0 {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// ASCII, Vietnamese letters, and the marks that word processors put in. What is left out on
/// purpose (`®`, `§`, `«`, `µ` …) are the letters đ, Đ, ô, à of TCVN3.
fn is_of_a_vietnamese_text(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control() || matches!(c, '\n' | '\r' | '\t');
    }
    if matches!(
        c,
        'đ' | 'Đ' | '\u{a0}' | '–' | '—' | '‘' | '’' | '“' | '”' | '…' | '•'
    ) {
        return true;
    }
    let mut parts = std::iter::once(c).nfd();
    let base = parts.next().map(|base| base.to_ascii_lowercase());
    matches!(base, Some('a' | 'e' | 'i' | 'o' | 'u' | 'y'))
        && parts.all(|mark| {
            // grave, acute, circumflex, tilde, breve, hook, horn, dot below
            matches!(
                mark,
                '\u{300}'
                    | '\u{301}'
                    | '\u{302}'
                    | '\u{303}'
                    | '\u{306}'
                    | '\u{309}'
                    | '\u{31b}'
                    | '\u{323}'
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "mã;tên\n000.00.01.H99;Ủy ban nhân dân xã Đồng Mỹ Thượng – “Trại Ớt”\n";

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    /// As Windows-1258 writes it: vowels with their hat composed, tones apart.
    fn windows_1258(text: &str) -> Vec<u8> {
        let mut apart = String::new();
        for c in text.chars() {
            let (_, _, missing) = WINDOWS_1258.encode(c.encode_utf8(&mut [0; 4]));
            if !missing {
                apart.push(c);
                continue;
            }
            let mut marks: Vec<char> = std::iter::once(c).nfd().collect();
            let tone = marks.iter().position(|m| {
                matches!(m, '\u{300}' | '\u{301}' | '\u{303}' | '\u{309}' | '\u{323}')
            });
            let tone = tone.map(|at| marks.remove(at));
            apart.extend(marks.into_iter().nfc().chain(tone));
        }
        let (bytes, _, missing) = WINDOWS_1258.encode(&apart);
        assert!(!missing, "{apart}");
        bytes.into_owned()
    }

    #[test]
    fn every_encoding_of_the_same_list_is_the_same_text() {
        let marked = format!("\u{feff}{TEXT}");
        for (name, bytes) in [
            ("UTF-8", TEXT.as_bytes().to_vec()),
            ("UTF-8 marked", marked.as_bytes().to_vec()),
            ("UTF-16LE marked", utf16(&marked, u16::to_le_bytes)),
            ("UTF-16BE marked", utf16(&marked, u16::to_be_bytes)),
            ("UTF-16LE", utf16(TEXT, u16::to_le_bytes)),
            ("UTF-16BE", utf16(TEXT, u16::to_be_bytes)),
            ("Windows-1258", windows_1258(TEXT)),
        ] {
            let text = decode(&bytes).unwrap();
            assert_eq!(text, TEXT, "{name}");
        }
    }

    #[test]
    fn tcvn3_is_refused_by_name_and_not_taken_for_something_else() {
        // "Sở Nội vụ", "Uỷ ban" in TCVN3.
        let found = decode(b"S\xeb N\xe9i v\xf4;\xb5\xae").unwrap_err();
        assert!(found.message.contains("TCVN3"), "{}", found.message);
        let torn = [0xff, 0xfe, b'a', 0, 0x00, 0xd8];
        assert!(decode(&torn).unwrap_err().message_en.contains("UTF-16LE"));
    }
}
