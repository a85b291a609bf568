//! UTF-16 read as UTF-8.

use std::io::{self, BufRead};

use crate::source::Headed;

/// Turns a source of UTF-16 units into UTF-8, a window at a time.
///
/// A lone surrogate or an odd last byte becomes the byte 0xFF, which no UTF-8 has, so that whoever
/// validates the text finds it at its place.
#[derive(Debug)]
pub(crate) struct Utf16<R> {
    inner: Headed<R>,
    little: bool,
    out: Vec<u8>,
    at: usize,
    half: Option<u8>,
    high: Option<u16>,
}

impl<R: BufRead> Utf16<R> {
    pub(crate) fn new(inner: Headed<R>, little: bool) -> Utf16<R> {
        Utf16 {
            inner,
            little,
            out: Vec::new(),
            at: 0,
            half: None,
            high: None,
        }
    }

    pub(crate) fn fill(&mut self) -> io::Result<&[u8]> {
        if self.at == self.out.len() {
            self.out.clear();
            self.at = 0;
            self.lengthen()?;
        }
        Ok(&self.out[self.at..])
    }

    /// Makes the window longer; `false` at the end of the source.
    pub(crate) fn lengthen(&mut self) -> io::Result<bool> {
        let before = self.out.len();
        while self.out.len() == before {
            let window = match self.inner.fill() {
                Ok(window) => window,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if window.is_empty() {
                if self.half.take().is_some() | self.high.take().is_some() {
                    self.out.push(0xFF);
                }
                break;
            }
            // A window of the slice source may be the whole package: take it in pieces.
            let used = window.len().min(32 * 1024);
            for &byte in &window[..used] {
                let Some(first) = self.half.take() else {
                    self.half = Some(byte);
                    continue;
                };
                let unit = if self.little {
                    u16::from_le_bytes([first, byte])
                } else {
                    u16::from_be_bytes([first, byte])
                };
                push(&mut self.out, &mut self.high, unit);
            }
            self.inner.consume(used);
        }
        Ok(self.out.len() > before)
    }

    pub(crate) fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.out.len());
    }
}

fn push(out: &mut Vec<u8>, high: &mut Option<u16>, unit: u16) {
    let before = high.take();
    let character = match (before, unit) {
        (Some(first), 0xDC00..=0xDFFF) => char::from_u32(
            0x1_0000 + ((u32::from(first) - 0xD800) << 10) + (u32::from(unit) - 0xDC00),
        ),
        (before, unit) => {
            if before.is_some() {
                out.push(0xFF);
            }
            if (0xD800..0xDC00).contains(&unit) {
                *high = Some(unit);
                return;
            }
            char::from_u32(u32::from(unit))
        }
    };
    match character {
        Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => out.push(0xFF),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    fn all(bytes: &[u8], little: bool, window: usize) -> Vec<u8> {
        let reader = BufReader::with_capacity(window, bytes);
        let mut source = Utf16::new(Headed::new(reader), little);
        let mut out = Vec::new();
        loop {
            let part = source.fill().unwrap().to_vec();
            if part.is_empty() {
                return out;
            }
            source.consume(part.len());
            out.extend(part);
        }
    }

    proptest! {
        #[test]
        fn text_comes_out_as_it_went_in(text in "\\PC{0,80}", window in 1usize..20) {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            prop_assert_eq!(all(&little, true, window), text.as_bytes());
            prop_assert_eq!(all(&big, false, window), text.as_bytes());
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let out = all(&bytes, true, 7);
            let valid = char::decode_utf16(bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])))
                .all(|c| c.is_ok()) && bytes.len() % 2 == 0;
            prop_assert_eq!(std::str::from_utf8(&out).is_ok(), valid);
        }
    }
}
