//! A point of the journal that can be shown to somebody and compared later.

use std::fmt::{self, Write};
use std::str::FromStr;

/// A position and the chain there. Who keeps one can later tell whether the journal up to that
/// position is still the same.
///
/// As text it is an opaque token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The record's position, from 1.
    pub position: u64,
    /// The chain of that record.
    pub chain: [u8; 32],
}

/// The text is no anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an anchor: it must be copied whole, as it was given out")]
#[non_exhaustive]
pub struct NotAnAnchor;

const BYTES: usize = 8 + 32 + 4;

impl Anchor {
    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.position.to_be_bytes());
        bytes[8..40].copy_from_slice(&self.chain);
        let crc = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.to_bytes()))
    }
}

impl FromStr for Anchor {
    type Err = NotAnAnchor;

    fn from_str(text: &str) -> Result<Anchor, NotAnAnchor> {
        let bytes: [u8; BYTES] = unhex(text).ok_or(NotAnAnchor)?;
        let mut anchor = Anchor {
            position: 0,
            chain: [0; 32],
        };
        let mut position = [0; 8];
        position.copy_from_slice(&bytes[..8]);
        anchor.position = u64::from_be_bytes(position);
        anchor.chain.copy_from_slice(&bytes[8..40]);
        if anchor.to_bytes() == bytes {
            Ok(anchor)
        } else {
            Err(NotAnAnchor)
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A string takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes of exactly `2 * N` lower-case hexadecimal digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N
        || digits
            .iter()
            .any(|d| !matches!(d, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| {
            if digit <= b'9' {
                digit - b'0'
            } else {
                digit - b'a' + 10
            }
        };
        *byte = value(pair[0]) << 4 | value(pair[1]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_a_damaged_one_does_not() {
        let anchor = Anchor {
            position: 1234,
            chain: [0xab; 32],
        };
        let token = anchor.to_string();
        assert_eq!(token.parse(), Ok(anchor));
        assert!(token[1..].parse::<Anchor>().is_err());
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(other.parse::<Anchor>(), Err(NotAnAnchor));
        }
    }
}
