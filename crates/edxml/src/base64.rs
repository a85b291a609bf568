//! Base64 checked while it streams by, never collected.
//!
//! White space is free; other foreign characters are skipped and counted, as the national SDK
//! skips them. What cannot be decoded even so is told apart from what is merely untidy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::detail::Detail;

/// Characters needed for the first 16 decoded bytes: 24, less two that only pad.
const MAGIC_CHARACTERS: usize = 24;
const MAGIC_BYTES: usize = 16;

const DATA: u8 = 0;
const WHITE: u8 = 1;
const PADDING: u8 = 2;
const FOREIGN: u8 = 3;

const CLASS: [u8; 256] = {
    let mut class = [FOREIGN; 256];
    let mut byte = 0u8;
    while byte < 128 {
        class[byte as usize] = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => DATA,
            b' ' | b'\t' | b'\r' | b'\n' => WHITE,
            b'=' => PADDING,
            _ => FOREIGN,
        };
        byte += 1;
    }
    class
};

/// Whether a byte is one of the 64.
pub(crate) fn is_data(byte: u8) -> bool {
    CLASS[usize::from(byte)] == DATA
}

/// What is known of a base64 text so far.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    data: u64,
    padding: u64,
    foreign: u64,
    data_after_padding: bool,
    first: Vec<u8>,
    odd: Vec<u8>,
    sequence: [u8; 4],
    sequence_len: usize,
    fault: Option<Fault>,
}

/// What makes the whole file unreadable, not just the base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Invalid UTF-8.
    Encoding,
    /// A character that XML does not allow.
    Illegal(u8),
}

/// The outcome.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Base64 characters, padding included.
    pub(crate) encoded: u64,
    /// Bytes they decode to; 0 if they do not.
    pub(crate) decoded: u64,
    /// The first decoded bytes.
    pub(crate) magic: Vec<u8>,
    pub(crate) fault: Option<Fault>,
    /// Why it cannot be decoded.
    pub(crate) broken: Option<Detail<'static>>,
    /// What foreign characters were skipped.
    pub(crate) foreign: Option<Detail<'static>>,
    /// What is wrong with the padding.
    pub(crate) padding: Option<Detail<'static>>,
}

impl Scan {
    /// Takes the next bytes. The index of the first foreign character ever, if it is in them.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut found = None;
        let mut at = 0;
        while at < bytes.len() {
            if self.first.len() == MAGIC_CHARACTERS && self.padding == 0 && self.sequence_len == 0 {
                at += self.feed_blocks(&bytes[at..]);
            }
            // Whatever stopped the blocks is near: a few bytes one by one, then blocks again.
            let end = bytes.len().min(at + BLOCK);
            for (index, &byte) in bytes[at..end].iter().enumerate() {
                if self.feed_one(byte) && found.is_none() && self.foreign == 1 {
                    found = Some(at + index);
                }
            }
            at = end;
        }
        found
    }

    /// Takes whole blocks of nothing but data and white space; how many bytes that was.
    fn feed_blocks(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for block in bytes.chunks_exact(BLOCK) {
            let (data, white) = tally(block);
            if data + white != BLOCK_U8 {
                break;
            }
            self.data += u64::from(data);
            taken += BLOCK;
        }
        taken
    }

    /// Takes one byte; whether it begins a foreign character.
    fn feed_one(&mut self, byte: u8) -> bool {
        if self.sequence_len > 0 {
            return self.continue_sequence(byte);
        }
        match CLASS[usize::from(byte)] {
            DATA => {
                self.data += 1;
                self.data_after_padding |= self.padding > 0;
                if self.first.len() < MAGIC_CHARACTERS {
                    self.first.push(byte);
                }
                false
            }
            WHITE => false,
            PADDING => {
                self.padding += 1;
                false
            }
            _ => {
                self.foreign += 1;
                if byte >= 0x80 {
                    self.sequence[0] = byte;
                    self.sequence_len = 1;
                    if !(0xC2..=0xF4).contains(&byte) {
                        self.fault.get_or_insert(Fault::Encoding);
                        self.sequence_len = 0;
                    }
                } else if byte < 0x20 {
                    self.fault.get_or_insert(Fault::Illegal(byte));
                }
                if self.odd.len() < 8 && !self.odd.contains(&byte) && byte < 0x80 {
                    self.odd.push(byte);
                }
                true
            }
        }
    }

    /// Goes on with a character of several bytes.
    fn continue_sequence(&mut self, byte: u8) -> bool {
        if byte & 0xC0 != 0x80 {
            self.fault.get_or_insert(Fault::Encoding);
            self.sequence_len = 0;
            return self.feed_one(byte);
        }
        self.sequence[self.sequence_len] = byte;
        self.sequence_len += 1;
        let whole = match self.sequence[0] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            _ => 4,
        };
        if self.sequence_len == whole {
            if std::str::from_utf8(&self.sequence[..whole]).is_err() {
                self.fault.get_or_insert(Fault::Encoding);
            }
            self.sequence_len = 0;
        }
        false
    }

    /// The fault found so far.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The verdict at the end of the text.
    pub(crate) fn finish(mut self) -> Outcome {
        if self.sequence_len > 0 {
            self.fault.get_or_insert(Fault::Encoding);
        }
        let broken = if self.foreign > 0 && self.foreign * 8 > self.data + self.foreign {
            let (odd, all) = (self.foreign, self.data + self.foreign);
            Some(Detail::words(
                format!(
                    "{odd} of {all} characters are foreign{}",
                    self.examples("such as")
                ),
                format!("{odd} trên {all} ký tự lạ{}", self.examples("như")),
            ))
        } else if self.data_after_padding {
            Some(Detail::words(
                "data goes on after the padding",
                "còn dữ liệu sau phần đệm",
            ))
        } else if self.data % 4 == 1 && self.foreign > 0 {
            Some(Detail::words(
                format!(
                    "without its {} foreign characters{} it does not come out whole",
                    self.foreign,
                    self.examples("such as")
                ),
                format!(
                    "bỏ {} ký tự lạ{} thì không còn trọn vẹn",
                    self.foreign,
                    self.examples("như")
                ),
            ))
        } else if self.data % 4 == 1 {
            Some(Detail::words(
                format!("cut off after {} characters", self.data),
                format!("bị cắt sau {} ký tự", self.data),
            ))
        } else if self.data == 0 && self.padding > 0 {
            Some(Detail::words("nothing but padding", "chỉ có phần đệm"))
        } else {
            None
        };
        let due = (4 - self.data % 4) % 4;
        let padding = (broken.is_none() && self.padding != due).then(|| {
            Detail::words(
                format!("{} = in place of {due}", self.padding),
                format!("{} dấu = thay vì {due}", self.padding),
            )
        });
        let foreign = (broken.is_none() && self.foreign > 0).then(|| {
            Detail::words(
                format!("{}{}", self.foreign, self.examples("such as")),
                format!("{}{}", self.foreign, self.examples("như")),
            )
        });
        Outcome {
            encoded: self.data + self.padding,
            decoded: if broken.is_none() {
                self.data / 4 * 3 + (self.data % 4).saturating_sub(1)
            } else {
                0
            },
            magic: magic(&self.first),
            fault: self.fault,
            broken,
            foreign,
            padding,
        }
    }

    fn examples(&self, such_as: &str) -> String {
        if self.odd.is_empty() {
            return String::new();
        }
        let shown: Vec<String> = self
            .odd
            .iter()
            .map(|&byte| format!("{:?}", char::from(byte)))
            .collect();
        format!(", {such_as} {}", shown.join(" "))
    }
}

const BLOCK: usize = 64;
const BLOCK_U8: u8 = 64;

/// How many bytes of a block are data, and how many are white space. Written without branches or
/// look-ups, so that the compiler makes vector instructions of it.
fn tally(block: &[u8]) -> (u8, u8) {
    let (mut data, mut white) = (0u8, 0u8);
    for &b in block {
        // Small letters fold onto capitals: one comparison for both.
        let letter = (b | 0x20).wrapping_sub(b'a') < 26;
        let digit = b.wrapping_sub(b'0') < 10;
        data += u8::from(letter | digit | (b == b'+') | (b == b'/'));
        white += u8::from((b == b'\n') | (b == b'\r') | (b == b' ') | (b == b'\t'));
    }
    (data, white)
}

/// Decodes the first characters, as many as make whole bytes.
fn magic(first: &[u8]) -> Vec<u8> {
    let usable = if first.len() % 4 == 1 {
        first.len() - 1
    } else {
        first.len()
    };
    // Bits left over in a last character cut off here are no error.
    let whole = &first[..usable / 4 * 4];
    let mut bytes = STANDARD_NO_PAD.decode(whole).unwrap_or_default();
    if let [a, b, rest @ ..] = &first[whole.len()..usable] {
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bytes.push(value(*a) << 2 | value(*b) >> 4);
        if let [c] = rest {
            bytes.push(value(*b) << 4 | value(*c) >> 2);
        }
    }
    bytes.truncate(MAGIC_BYTES);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    fn scan(text: &[u8]) -> Outcome {
        let mut scan = Scan::default();
        scan.feed(text);
        scan.finish()
    }

    #[test]
    fn undecodable_and_untidy_are_told_apart() {
        for (text, broken, foreign, padding) in [
            ("", false, false, false),
            ("QUJD", false, false, false),
            ("QUJD\r\n QUJD\t", false, false, false),
            ("QUI=", false, false, false),
            ("QQ==", false, false, false),
            ("QUI", false, false, true),
            ("QQ", false, false, true),
            ("QQ=", false, false, true),
            ("QUJD=", false, false, true),
            ("QUJDQUJD*QUJD", false, true, false),
            ("QUJDQUJDQUJDQUJDế", false, true, false),
            ("Q", true, false, false),
            ("QUJDQ", true, false, false),
            ("====", true, false, false),
            ("QQ==QUJD", true, false, false),
            ("@@@@", true, false, false),
            ("${__StringFromFile(test.txt,,,)}", true, false, false),
            ("đây không phải là base64", true, false, false),
        ] {
            let outcome = scan(text.as_bytes());
            assert_eq!(
                (
                    outcome.broken.is_some(),
                    outcome.foreign.is_some(),
                    outcome.padding.is_some()
                ),
                (broken, foreign, padding),
                "{text}: {outcome:?}"
            );
            assert_eq!(outcome.fault, None, "{text}");
        }
    }

    #[test]
    fn what_spoils_the_whole_file_is_a_fault() {
        assert_eq!(scan(b"QUJD\0").fault, Some(Fault::Illegal(0)));
        assert_eq!(scan(b"QUJD\xFF").fault, Some(Fault::Encoding));
        assert_eq!(scan(b"QUJD\xE1\xBA").fault, Some(Fault::Encoding));
        assert_eq!(scan(b"QUJD\xE1\xBAQ").fault, Some(Fault::Encoding));
        assert_eq!(scan(b"QUJD\xED\xA0\x80").fault, Some(Fault::Encoding));
    }

    proptest! {
        #[test]
        fn sizes_and_magic_are_those_of_the_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            breaks in proptest::collection::vec(0usize..600, 0..20),
            cut in 1usize..100,
        ) {
            let mut text = STANDARD.encode(&bytes).into_bytes();
            for at in breaks {
                let at = at.min(text.len());
                text.insert(at, b'\n');
            }
            let mut scan = Scan::default();
            for part in text.chunks(cut) {
                prop_assert_eq!(scan.feed(part), None);
            }
            let outcome = scan.finish();
            prop_assert_eq!(outcome.broken, None);
            prop_assert_eq!(outcome.padding, None);
            prop_assert_eq!(outcome.decoded, bytes.len() as u64);
            prop_assert_eq!(&outcome.magic[..], &bytes[..bytes.len().min(16)]);
        }

        #[test]
        fn any_bytes_in_any_pieces_give_one_outcome(
            bytes in proptest::collection::vec(prop_oneof![Just(b'A'), Just(b'='), any::<u8>()], 0..300),
            cut in 1usize..100,
        ) {
            let mut scan_parts = Scan::default();
            for part in bytes.chunks(cut) {
                scan_parts.feed(part);
            }
            let whole = scan(&bytes);
            if std::str::from_utf8(&bytes).is_err() {
                prop_assert!(whole.fault.is_some());
            }
            prop_assert_eq!(scan_parts.finish(), whole);
        }
    }
}
