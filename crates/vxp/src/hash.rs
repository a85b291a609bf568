//! `hash-file`: the SHA-256 of the package's file.

use std::fmt::Write as _;

/// How a hash is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HashForm {
    /// As the SDK does: each byte in hex *without* a leading zero, so that 0x0a is `a` and the
    /// text has 32 to 64 digits.
    #[default]
    Unpadded,
    /// As everybody else does: 64 digits.
    Padded,
}

/// A SHA-256 as text.
#[must_use]
pub fn write(sha256: &[u8; 32], form: HashForm) -> String {
    let mut text = String::with_capacity(64);
    for byte in sha256 {
        // Writing to a String does not fail.
        let _ = match form {
            HashForm::Unpadded => write!(text, "{byte:x}"),
            HashForm::Padded => write!(text, "{byte:02x}"),
        };
    }
    text
}

/// Whether the text is that SHA-256, in either form; upper case is taken as well.
#[must_use]
pub fn agrees(text: &str, sha256: &[u8; 32]) -> bool {
    let text = text.trim();
    [HashForm::Unpadded, HashForm::Padded]
        .into_iter()
        .any(|form| write(sha256, form).eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f16_both_forms_of_a_hash_agree_and_no_other_does() {
        let mut sha256 = [0xab; 32];
        sha256[0] = 0x0a;
        sha256[31] = 0;
        assert!(write(&sha256, HashForm::Unpadded).starts_with("aab"));
        assert!(write(&sha256, HashForm::Unpadded).ends_with("ab0"));
        assert_eq!(write(&sha256, HashForm::Padded).len(), 64);
        for form in [HashForm::Unpadded, HashForm::Padded] {
            let text = write(&sha256, form);
            assert!(agrees(&text, &sha256));
            assert!(agrees(&text.to_uppercase(), &sha256));
            assert!(!agrees(&text[1..], &sha256));
            assert!(!agrees(&format!("{text}0"), &sha256));
        }
        assert!(!agrees("", &sha256));
    }
}
