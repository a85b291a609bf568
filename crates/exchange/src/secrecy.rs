//! State secrets do not pass this axis (duty SC-01; QĐ 28/2018 Art. 1.2): a document whose
//! header fields or file names carry a mark of secrecy is refused, and nothing of its content
//! is kept.
//!
//! Software can only see marks and words. Two kinds are told apart, because Vietnamese writes
//! syllables apart and "mật" is also a part of harmless words (bảo mật, mật khẩu, mật độ):
//!
//! * a *mark* counts where it stands alone: nothing but punctuation, or the end of the text,
//!   beside it. `[MẬT] V/v …`, `12/BC-MẬT` and `Mật.pdf` are marked; "bảo mật thông tin" is
//!   not.
//! * a *phrase* counts wherever its syllables follow each other, as whole syllables.
//!
//! Texts are compared after NFC and without regard to case. In a file name written without any
//! Vietnamese letter the phrases are also looked for without diacritics (`TUYET_MAT.pdf`), the
//! marks are not: "mat" may be anything.

use std::collections::BTreeSet;

use edxml::Document;
use unicode_normalization::UnicodeNormalization as _;

use crate::refusal::{Detail, Name, Refusal};

/// A place of a document in which marks are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecrecyField {
    /// `Subject`.
    Subject,
    /// `Content`.
    Content,
    /// `Code/CodeNotation`.
    Notation,
    /// `DocumentType/TypeName`.
    TypeName,
    /// `OtherInfo/SphereOfPromulgation`.
    Sphere,
    /// `OtherInfo/Appendixes`.
    Appendixes,
    /// Names and descriptions of attachments, in manifest and body.
    FileNames,
}

impl SecrecyField {
    /// Every field.
    pub const ALL: [Self; 7] = [
        Self::Subject,
        Self::Content,
        Self::Notation,
        Self::TypeName,
        Self::Sphere,
        Self::Appendixes,
        Self::FileNames,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Content => "content",
            Self::Notation => "notation",
            Self::TypeName => "type_name",
            Self::Sphere => "sphere",
            Self::Appendixes => "appendixes",
            Self::FileNames => "file_names",
        }
    }

    /// The field of that name.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.word() == word)
    }
}

/// What is looked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecrecyOptions {
    /// Words that count where they stand alone.
    pub marks: Vec<String>,
    /// Words that count wherever they stand.
    pub phrases: Vec<String>,
    /// Where.
    pub fields: BTreeSet<SecrecyField>,
}

impl Default for SecrecyOptions {
    fn default() -> Self {
        Self {
            marks: vec!["MẬT".to_owned()],
            phrases: vec!["TỐI MẬT".to_owned(), "TUYỆT MẬT".to_owned()],
            fields: SecrecyField::ALL.into_iter().collect(),
        }
    }
}

/// The marks, ready to be looked for.
#[derive(Debug)]
pub(crate) struct Secrecy {
    marks: Vec<Vec<String>>,
    phrases: Vec<Vec<String>>,
    bare_phrases: Vec<Vec<String>>,
    fields: BTreeSet<SecrecyField>,
}

impl Secrecy {
    pub(crate) fn of(options: &SecrecyOptions) -> Self {
        let words = |texts: &[String]| -> Vec<Vec<String>> {
            texts
                .iter()
                .map(|text| syllables(text).map(|syllable| syllable.text).collect())
                .filter(|words: &Vec<String>| !words.is_empty())
                .collect()
        };
        let phrases = words(&options.phrases);
        let bare = |phrase: &Vec<String>| phrase.iter().map(|word| without_marks(word)).collect();
        Self {
            bare_phrases: phrases.iter().map(bare).collect(),
            marks: words(&options.marks),
            phrases,
            fields: options.fields.clone(),
        }
    }

    /// Refuses a document that carries a mark, naming the place and not the text.
    pub(crate) fn check(&self, document: &Document) -> Result<(), Refusal> {
        let mut details: Vec<Detail> = Vec::new();
        let mut look = |field: SecrecyField, path: &str, text: Option<&str>| {
            let told = details.iter().any(|detail| detail.path == path);
            if let Some(text) = text
                && self.fields.contains(&field)
                && !told
                && let Some(mark) = self.find(text, field == SecrecyField::FileNames)
            {
                details.push(Detail {
                    code: Name::SecretMark.as_str().to_owned(),
                    path: path.to_owned(),
                    message: format!("Có dấu hiệu mật: {mark:?}."),
                    message_en: format!("A mark of secrecy: {mark:?}."),
                    ..Detail::default()
                });
            }
        };
        use SecrecyField as F;
        let header = "edXML/edXMLEnvelope/edXMLHeader/MessageHeader";
        let at = |element: &str| format!("{header}/{element}");
        look(F::Subject, &at("Subject"), document.subject.as_deref());
        look(F::Content, &at("Content"), document.content.as_deref());
        look(
            F::Notation,
            &at("Code/CodeNotation"),
            Some(&document.code.notation),
        );
        look(
            F::TypeName,
            &at("DocumentType/TypeName"),
            document.document_type.name.as_deref(),
        );
        let other = &document.other_info;
        look(
            F::Sphere,
            &at("OtherInfo/SphereOfPromulgation"),
            other.sphere.as_deref(),
        );
        for appendix in &other.appendixes {
            look(
                F::Appendixes,
                &at("OtherInfo/Appendixes/Appendix"),
                Some(appendix),
            );
        }
        let manifest = "edXML/edXMLEnvelope/edXMLBody/edXMLManifest/Reference";
        for reference in &document.manifest {
            for text in [&reference.name, &reference.description] {
                look(F::FileNames, manifest, text.as_deref());
            }
        }
        let attachments = "edXML/AttachmentEncoded/Attachment";
        for attachment in &document.attachments {
            for text in [&attachment.name, &attachment.description] {
                look(F::FileNames, attachments, text.as_deref());
            }
        }
        if details.is_empty() {
            return Ok(());
        }
        let mut refusal = Refusal::new(Name::SecretMark);
        refusal.details = details;
        Err(refusal)
    }

    /// The first mark or phrase in a text.
    fn find(&self, text: &str, is_file_name: bool) -> Option<String> {
        let parts: Vec<Syllable> = syllables(text).collect();
        let phrase = sequence(&parts, &self.phrases, |_, _| true);
        let found = phrase.or_else(|| {
            sequence(&parts, &self.marks, |first, last| {
                first.after_punctuation && last.before_punctuation
            })
        });
        if found.is_some() || !is_file_name || !text.is_ascii() {
            return found;
        }
        sequence(&parts, &self.bare_phrases, |_, _| true)
    }
}

/// A run of letters and digits, lower case, in NFC.
struct Syllable {
    text: String,
    /// What stands before it is more than spaces, or the beginning.
    after_punctuation: bool,
    before_punctuation: bool,
}

/// A text's syllables. An underscore parts them as a space does, since file names have it for
/// one; what else is no letter, digit or space is punctuation.
fn syllables(text: &str) -> impl Iterator<Item = Syllable> {
    let mut found: Vec<Syllable> = Vec::new();
    let mut punctuation = true;
    let mut inside = false;
    for letter in text.nfc().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            if !inside {
                found.push(Syllable {
                    text: String::new(),
                    after_punctuation: punctuation,
                    before_punctuation: true,
                });
                inside = true;
            }
            if let Some(last) = found.last_mut() {
                last.text.push(letter);
            }
            continue;
        }
        if inside {
            inside = false;
            punctuation = false;
            if let Some(last) = found.last_mut() {
                last.before_punctuation = false;
            }
        }
        if !letter.is_whitespace() && letter != '_' {
            punctuation = true;
            if let Some(last) = found.last_mut() {
                last.before_punctuation = true;
            }
        }
    }
    if let Some(last) = found.last_mut() {
        // Nothing but spaces follows.
        last.before_punctuation = true;
    }
    found.into_iter()
}

/// The first of `wanted` whose words follow each other in `parts`, if `counts` of its first
/// and last syllable.
fn sequence(
    parts: &[Syllable],
    wanted: &[Vec<String>],
    counts: impl Fn(&Syllable, &Syllable) -> bool,
) -> Option<String> {
    let fits = |words: &&Vec<String>| {
        parts.windows(words.len()).any(|window| {
            let same = window.iter().zip(*words).all(|(part, word)| part.text == *word);
            same && matches!((window.first(), window.last()), (Some(first), Some(last)) if counts(first, last))
        })
    };
    wanted
        .iter()
        .find(fits)
        .map(|words| words.join(" ").to_uppercase())
}

/// A word without diacritics; đ is d.
fn without_marks(word: &str) -> String {
    word.nfd()
        .filter(|letter| !unicode_normalization::char::is_combining_mark(*letter))
        .map(|letter| if letter == 'đ' { 'd' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        Secrecy::of(&SecrecyOptions::default()).find(text, false)
    }

    fn found_in_file_name(text: &str) -> Option<String> {
        Secrecy::of(&SecrecyOptions::default()).find(text, true)
    }

    #[test]
    fn sc_01_marks_are_seen_where_they_stand_alone() {
        for text in [
            "MẬT",
            "Mật",
            "[MẬT] V/v rà soát quy hoạch",
            "(mật) Báo cáo quý",
            "MẬT: Báo cáo tình hình",
            "Báo cáo tình hình - Mật",
            "  MẬT  ",
            "BC-MẬT",
            "12/BC-MẬT/2026",
            "Báo cáo.MẬT.pdf",
        ] {
            assert_eq!(found(text).as_deref(), Some("MẬT"), "{text}");
        }
        // The same letters, composed otherwise.
        assert_eq!(found("[M\u{1EA4}T]").as_deref(), None, "mất is not mật");
        assert_eq!(found("[MA\u{323}\u{302}T]").as_deref(), Some("MẬT"));
        assert_eq!(found("[MA\u{302}\u{323}T]").as_deref(), Some("MẬT"));
    }

    #[test]
    fn sc_01_phrases_are_seen_wherever_they_stand() {
        for (text, phrase) in [
            ("Độ mật: Tối mật", "TỐI MẬT"),
            ("V/v quản lý hồ sơ TUYỆT MẬT năm 2026", "TUYỆT MẬT"),
            ("tuyệt   mật", "TUYỆT MẬT"),
            ("Phụ lục_Tối_mật.docx", "TỐI MẬT"),
        ] {
            assert_eq!(found(text).as_deref(), Some(phrase), "{text}");
        }
        for (name, phrase) in [
            ("BC_TUYET_MAT.pdf", Some("TUYET MAT")),
            ("phu luc toi mat.docx", Some("TOI MAT")),
            ("mat.pdf", None),
            ("MAT BANG QUY HOACH.pdf", None),
            // With Vietnamese letters in it, the name is read as written.
            ("Tới mặt bằng.pdf", None),
            ("tôi mất.pdf", None),
        ] {
            assert_eq!(found_in_file_name(name).as_deref(), phrase, "{name}");
        }
    }

    #[test]
    fn sc_01_harmless_words_raise_no_alarm() {
        for text in [
            "V/v tăng cường bảo mật thông tin",
            "BẢO MẬT THÔNG TIN",
            "Bảo mật",
            "Hướng dẫn đổi mật khẩu hệ thống",
            "Mật độ dân số",
            "Mật ong rừng U Minh",
            "bí mật kinh doanh",
            "V/v quản lý văn bản mật trên môi trường mạng",
            "bảo-mật thông tin",
            "Tổng kết tình mật thiết",
            "mặt bằng; mất an toàn",
            "an_toan_bao_mat.pdf",
            "tối đa mật độ",
            "",
            "///",
        ] {
            // "bảo-mật thông" : a dash before, a word after.
            assert_eq!(found(text), None, "{text}");
            assert_eq!(found_in_file_name(text), None, "{text}");
        }
    }

    #[test]
    fn sc_01_words_and_fields_are_a_setting() {
        let options = SecrecyOptions {
            marks: Vec::new(),
            phrases: vec!["văn bản mật".to_owned(), " ".to_owned()],
            fields: [SecrecyField::Subject].into(),
        };
        let secrecy = Secrecy::of(&options);
        assert_eq!(
            secrecy.find("Quản lý VĂN BẢN MẬT", false).as_deref(),
            Some("VĂN BẢN MẬT")
        );
        assert_eq!(secrecy.find("[MẬT]", false), None);
        for field in SecrecyField::ALL {
            assert_eq!(SecrecyField::of_word(field.word()), Some(field));
        }
        assert_eq!(SecrecyField::of_word("nội dung"), None);
    }
}
