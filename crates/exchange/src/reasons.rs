//! Why receivers refuse documents (duty RJ-03; NĐ 30/2020 Art. 21.2b): the text of a 02 is put
//! into one of five classes, so that refusals can be counted by them.
//!
//! A system that knows the class says so by a code at the beginning of the text, such as
//! `[SAI-DIA-CHI] …` or `SAI-DIA-CHI: …`. Texts without a code are looked through for words.
//! What fits nothing is `other`. Codes and words are a setting.

pub use ledger::event::ReasonClass;

use unicode_normalization::UnicodeNormalization as _;

/// The classes that have codes and words, in the order in which words are looked for.
pub const CLASSES: [ReasonClass; 5] = [
    ReasonClass::WrongAddress,
    ReasonClass::Incomplete,
    ReasonClass::BadSignature,
    ReasonClass::Unreadable,
    ReasonClass::Other,
];

/// The name of a class in the configuration and for scripts; empty if the reason has none.
#[must_use]
pub const fn reason_word(class: ReasonClass) -> &'static str {
    match class {
        ReasonClass::Unspecified => "",
        ReasonClass::WrongAddress => "wrong_address",
        ReasonClass::Incomplete => "incomplete",
        ReasonClass::BadSignature => "bad_signature",
        ReasonClass::Unreadable => "unreadable",
        ReasonClass::Other => "other",
    }
}

/// How the reasons are told apart: codes and words of each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonOptions {
    /// A code and its class.
    pub codes: Vec<(String, ReasonClass)>,
    /// Words, looked for in this order, and their class.
    pub words: Vec<(String, ReasonClass)>,
}

impl Default for ReasonOptions {
    fn default() -> Self {
        use ReasonClass as C;
        let owned = |table: &[(&str, C)]| {
            table
                .iter()
                .map(|(text, class)| ((*text).to_owned(), *class))
                .collect()
        };
        Self {
            codes: owned(&[
                ("SAI-DIA-CHI", C::WrongAddress),
                ("THIEU", C::Incomplete),
                ("CHU-KY", C::BadSignature),
                ("KHONG-DOC-DUOC", C::Unreadable),
                ("KHAC", C::Other),
            ]),
            words: owned(&[
                ("sai địa chỉ", C::WrongAddress),
                ("gửi nhầm", C::WrongAddress),
                ("không thuộc thẩm quyền", C::WrongAddress),
                ("không đúng nơi nhận", C::WrongAddress),
                ("chữ ký", C::BadSignature),
                ("chữ kí", C::BadSignature),
                ("không ký số", C::BadSignature),
                ("chưa ký số", C::BadSignature),
                ("không đọc được", C::Unreadable),
                ("không mở được", C::Unreadable),
                ("lỗi phông", C::Unreadable),
                ("lỗi font", C::Unreadable),
                ("tệp hỏng", C::Unreadable),
                ("file hỏng", C::Unreadable),
                ("thiếu", C::Incomplete),
                ("không đầy đủ", C::Incomplete),
                ("chưa đầy đủ", C::Incomplete),
            ]),
        }
    }
}

/// The codes and words, ready to be looked for.
#[derive(Debug)]
pub(crate) struct Reasons {
    codes: Vec<(String, ReasonClass)>,
    words: Vec<(String, ReasonClass)>,
}

impl Reasons {
    pub(crate) fn of(options: &ReasonOptions) -> Self {
        let ready = |table: &[(String, ReasonClass)]| -> Vec<_> {
            table
                .iter()
                .map(|(text, class)| (plain(text), *class))
                .filter(|(text, _)| !text.is_empty())
                .collect()
        };
        Self {
            codes: ready(&options.codes),
            words: ready(&options.words),
        }
    }

    /// The class of a refusal's text.
    pub(crate) fn class(&self, text: &str) -> ReasonClass {
        let text = plain(text);
        let begins_with = |code: &str| {
            let rest = text.strip_prefix('[').unwrap_or(&text);
            rest.strip_prefix(code).is_some_and(|rest| {
                !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-')
            })
        };
        if let Some((_, class)) = self.codes.iter().find(|(code, _)| begins_with(code)) {
            return *class;
        }
        let named = self.words.iter().find(|(word, _)| has_word(&text, word));
        named.map_or(ReasonClass::Other, |(_, class)| *class)
    }
}

/// In NFC, lower case, single spaces.
fn plain(text: &str) -> String {
    let text: String = text.nfc().flat_map(char::to_lowercase).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `word` stands in `text` as whole syllables.
fn has_word(text: &str, word: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(char::is_alphanumeric);
    let begins = |before: &str| !before.ends_with(char::is_alphanumeric);
    text.match_indices(word)
        .any(|(at, _)| begins(&text[..at]) && ends(&text[at + word.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rj_03_reasons_fall_into_classes_by_code_or_words() {
        use ReasonClass as C;
        let reasons = Reasons::of(&ReasonOptions::default());
        for (text, class) in [
            ("[SAI-DIA-CHI] chuyển Sở Y tế", C::WrongAddress),
            ("sai-dia-chi: chuyển Sở Y tế", C::WrongAddress),
            ("THIEU phụ lục 2", C::Incomplete),
            // A code is a whole word at the beginning.
            ("THIEUX gì đó", C::Other),
            ("Nguyễn Văn An, Văn thư: văn bản gửi nhầm", C::WrongAddress),
            ("Văn bản THIẾU phụ lục", C::Incomplete),
            ("Chữ ký số không hợp lệ", C::BadSignature),
            ("Tệp không  mở được", C::Unreadable),
            ("Không thuộc thẩm quyền giải quyết", C::WrongAddress),
            // The code says more than the words.
            ("KHAC: thiếu thời gian", C::Other),
            ("Đề nghị gửi bản giấy", C::Other),
            ("thiếuu", C::Other),
        ] {
            assert_eq!(reasons.class(text), class, "{text}");
        }
        // Composed otherwise, the same.
        assert_eq!(reasons.class("thie\u{302}\u{301}u"), C::Incomplete);
        for class in CLASSES {
            assert!(!reason_word(class).is_empty());
        }
    }

    #[test]
    fn rj_03_codes_and_words_are_a_setting() {
        let options = ReasonOptions {
            codes: vec![("A1".to_owned(), ReasonClass::Unreadable)],
            words: vec![(" ".to_owned(), ReasonClass::Incomplete)],
        };
        let reasons = Reasons::of(&options);
        assert_eq!(reasons.class("a1 - x"), ReasonClass::Unreadable);
        assert_eq!(reasons.class("thiếu phụ lục"), ReasonClass::Other);
    }
}
