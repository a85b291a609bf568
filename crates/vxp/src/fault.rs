//! What is answered instead of what was asked for.

/// The numbers that the protocol's own checks answer with. The national list is not public;
/// these are of the same family (Lạng Sơn's axis).
pub mod number {
    /// Success.
    pub const OK: u16 = 0;
    /// The file or a parameter is not valid.
    pub const INVALID: u16 = 10;
    /// System id or secret are wrong.
    pub const CREDENTIALS: u16 = 15;
    /// A fault of the axis, or a limit: to be sent again.
    pub const SYSTEM: u16 = 20;
    /// What is named cannot be processed.
    pub const NOT_POSSIBLE: u16 = 21;
}

/// A refusal in the protocol's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{number} {name}: {text}")]
pub struct Fault {
    /// `ErrorCode`.
    pub number: u16,
    /// The stable name behind the number.
    pub name: &'static str,
    /// `ErrorDesc`, for people.
    pub text: String,
    /// The HTTP status where the body cannot tell it: of `downloadEdoc`, and of what is no
    /// operation at all. Everything else answers 200, as the SDK expects.
    pub http: u16,
    /// When to try again, in milliseconds, if that helps.
    pub retry_after_ms: Option<u64>,
}

impl Fault {
    /// A parameter that is missing or cannot be.
    #[must_use]
    pub fn argument(text: impl Into<String>) -> Self {
        Self::new(number::INVALID, "BAD_ARGUMENT", 400, text)
    }

    /// Who calls is not known.
    #[must_use]
    pub fn unauthenticated(text: impl Into<String>) -> Self {
        Self::new(number::CREDENTIALS, "UNAUTHENTICATED", 401, text)
    }

    /// Any other.
    #[must_use]
    pub fn new(number: u16, name: &'static str, http: u16, text: impl Into<String>) -> Self {
        Self {
            number,
            name,
            text: text.into(),
            http,
            retry_after_ms: None,
        }
    }
}

/// A text in US-ASCII: the SDK reads the answer to `sendEdoc` as that. Vietnamese letters lose
/// their marks, anything else becomes `?`.
#[must_use]
pub fn ascii(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfd()
        .filter(|c| !unicode_normalization::char::is_combining_mark(*c))
        .map(|c| match c {
            'đ' => 'd',
            'Đ' => 'D',
            '“' | '”' => '"',
            '‘' | '’' => '\'',
            '–' | '—' => '-',
            c if c.is_ascii() => c,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn t9_vietnamese_without_its_marks_stays_readable() {
        let text = super::ascii("Đơn vị gửi “Sở Nội vụ” không khớp – đã đăng ký: 文");
        assert_eq!(text, "Don vi gui \"So Noi vu\" khong khop - da dang ky: ?");
    }
}
