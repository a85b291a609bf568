//! Characters and names that XML allows.

/// What kinds of bytes a text holds, found in one pass without branches or look-ups, so that the
/// compiler makes vector instructions of it.
#[derive(Clone, Copy)]
pub(crate) struct Traits(u8);

impl Traits {
    /// A control character that XML does not allow.
    pub(crate) const CONTROL: u8 = 1;
    /// A carriage return.
    pub(crate) const RETURN: u8 = 2;
    /// The first byte of U+FFFD to U+FFFF or of a control character beyond ASCII; DEL.
    pub(crate) const MARKED: u8 = 4;
    /// A `>`, which may end a `]]>`.
    pub(crate) const GREATER: u8 = 8;

    pub(crate) fn of(text: &[u8]) -> Traits {
        let mut found = 0;
        for &b in text {
            let control = (b < 0x20) & (b != b'\n') & (b != b'\r') & (b != b'\t');
            let marked = (b == 0x7F) | (b == 0xC2) | (b == 0xEF);
            found |= u8::from(control)
                | u8::from(b == b'\r') << 1
                | u8::from(marked) << 2
                | u8::from(b == b'>') << 3;
        }
        Traits(found)
    }

    /// Whether it holds none of them.
    pub(crate) fn is_plain(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn has(self, any: u8) -> bool {
        self.0 & any != 0
    }
}

/// The first character that XML 1.0 does not allow.
pub(crate) fn illegal(text: &[u8]) -> Option<u32> {
    if !Traits::of(text).has(Traits::CONTROL | Traits::MARKED) {
        return None;
    }
    let control = text
        .iter()
        .find(|b| **b < 0x20 && !matches!(**b, b'\n' | b'\r' | b'\t'));
    match control {
        Some(control) => Some(u32::from(*control)),
        None => memchr::memmem::find(text, b"\xEF\xBF\xBE")
            .map(|_| 0xFFFE)
            .or_else(|| memchr::memmem::find(text, b"\xEF\xBF\xBF").map(|_| 0xFFFF)),
    }
}

pub(crate) fn name_of(character: u32) -> String {
    format!("U+{character:04X}")
}

/// Whether this may be the name of an element or attribute. Characters beyond ASCII are all let
/// through.
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        part.bytes().enumerate().all(|(i, b)| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80.. => true,
            b'0'..=b'9' | b'-' | b'.' => i > 0,
            _ => false,
        }) && !part.is_empty()
    };
    match name.split_once(':') {
        Some((prefix, local)) => part(prefix) && part(local),
        None => part(name),
    }
}

/// Whether a text looks like Vietnamese in an encoding from before Unicode (TCVN3 or VNI) that was
/// taken for Latin-1: several words with letters that no Vietnamese word has, and none that only
/// Vietnamese has.
pub(crate) fn is_legacy(text: &str) -> bool {
    // U+1E00 to U+1FFF, where most Vietnamese letters stand, begin with this byte in UTF-8; nearly
    // every sound text ends here.
    if text.is_ascii() || memchr::memchr(0xE1, text.as_bytes()).is_some() {
        return false;
    }
    if text.contains(['ă', 'Ă', 'đ', 'Đ', 'ơ', 'Ơ', 'ư', 'Ư']) {
        return false;
    }
    let odd_words = |odd: &[char]| {
        let words = text.split_whitespace();
        words
            .filter(|word| word.contains(odd) && word.bytes().any(|b| b.is_ascii_alphabetic()))
            .count()
    };
    const TCVN3: &[char] = &[
        'µ', '¸', '¶', '·', '¹', '¨', '»', '¾', '¼', '½', 'Æ', '©', '®', 'ª', '«', '¬', '\u{AD}',
        '§', '×', '÷', 'Ö', 'Ø', 'ß', 'Ç', 'Ñ', 'Î', 'å', 'æ', 'ç', 'ë', 'î', 'ï', 'ñ', 'ö', 'ø',
        'û', 'ü', 'þ',
    ];
    const VNI: &[char] = &[
        'ø', 'û', 'ï', 'å', 'ä', 'ö', 'ë', 'ü', 'ñ', 'Ø', 'Û', 'Ï', 'Å', 'Ä', 'Ö', 'Ë', 'Ü', 'Ñ',
        'æ', 'î',
    ];
    odd_words(TCVN3) >= 3 || odd_words(VNI) >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_does_not_allow_is_found_anywhere() {
        for (text, odd) in [
            ("", None),
            ("chữ\t\r\n thường\u{7F}\u{FFFD}", None),
            ("a\u{1}", Some(1)),
            ("\0a", Some(0)),
            ("a\u{FFFE}b", Some(0xFFFE)),
            ("\u{FFFD}\u{FFFF}", Some(0xFFFF)),
        ] {
            assert_eq!(illegal(text.as_bytes()), odd, "{text:?}");
        }
    }

    #[test]
    fn names_are_told_from_what_is_none() {
        for name in ["a", "edXML:From", "_x-1.y", "Mới", "đơn:vị"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "", "1", "-a", ":", "a:", ":a", "a:1", "a b", "a\"", "a:b:c", "a/b",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn text_from_before_unicode_is_told_from_text() {
        for text in [
            "Céng hoµ x· héi chñ nghÜa ViÖt Nam",
            "V/v b¸o c¸o t×nh h×nh thùc hiÖn",
            "Coäng hoøa xaõ hoäi chuû nghóa Vieät Nam",
            "V/v baùo caùo thöïc hieän nhieäm vuï",
        ] {
            assert!(is_legacy(text), "{text}");
        }
        for text in [
            "",
            "V/v bao cao",
            "Cộng hòa xã hội chủ nghĩa Việt Nam",
            "Báo cáo tháng ba",
            "Thông báo hoàn thành công tác năm",
            "Quá trình hoà giải, quê quán, toàn khoá, khoét",
            "Müller và Citroën",
            "© 2026 · 5 µm",
        ] {
            assert!(!is_legacy(text), "{text}");
        }
        // Decomposed text is no legacy text.
        assert!(!is_legacy("Cô\u{323}ng ho\u{300}a xa\u{303} hô\u{323}i"));
    }
}
