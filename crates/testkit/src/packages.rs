//! Packages as an agency's system writes them.

use edxml::write::{DocumentDraft, StatusDraft, document, status};
use edxml::{BusinessKind, Date, Organ, Priority, Replacement, ResponseFor, StatusCode, Timestamp};

/// A document to be sent. Two of the same values are the same bytes.
///
/// ```
/// use testkit::Document;
/// let package = Document::new("000.00.01.H99", &["000.00.02.H99"], "van-ban-1").bytes();
/// assert!(edxml::read(&package, &edxml::Limits::default()).refusal().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    draft: DocumentDraft,
}

impl Document {
    /// A new document with this DocumentId, of level 0, with one short attachment.
    #[must_use]
    pub fn new(from: &str, to: &[&str], id: &str) -> Self {
        let to = to.iter().map(|code| Organ::new(*code, None)).collect();
        let from = Organ::new(from, Some("Sở Nội vụ"));
        let mut draft = DocumentDraft {
            document: Default::default(),
            attachments: Vec::new(),
        };
        draft.document.from = from;
        draft.document.to = to;
        draft.document.code.number = "12".to_owned();
        draft.document.code.notation = "SNV-VP".to_owned();
        draft.document.promulgation.date = Date::new(2026, 3, 2);
        draft.document.document_id = Some(id.to_owned());
        draft.document.subject = Some(format!("V/v kiểm tra {id}"));
        draft.document.promulgation.place = Some("Quảng Nam".to_owned());
        draft.attach(
            "van-ban.txt",
            "text/plain",
            format!("Nội dung {id}").into_bytes(),
        );
        Self { draft }
    }

    /// Sets level 0 (ordinary) to 4.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.draft.document.other_info.priority = Priority::new(level).unwrap_or_default();
        self
    }

    /// Adds a file of so many bytes that no compression makes small; the same for the same seed.
    #[must_use]
    pub fn attach(mut self, bytes: usize, seed: u64) -> Self {
        let name = format!("tep-{}.bin", self.draft.attachments.len() + 1);
        self.draft
            .attach(name, "application/octet-stream", noise(bytes, seed));
        self
    }

    /// Makes the package about so many bytes large: its attachment takes the rest.
    #[must_use]
    pub fn sized(self, bytes: usize, seed: u64) -> Self {
        let head = document(&self.draft).len() + 400;
        let rest = bytes.saturating_sub(head) / 4 * 3;
        self.attach(rest, seed)
    }

    /// Makes it a recall of the document with its own DocumentId.
    #[must_use]
    pub fn recalling(mut self, reason: &str) -> Self {
        let document = &mut self.draft.document;
        document.business.kind = BusinessKind::Recall;
        document.business.reason = Some(reason.to_owned());
        document.business.document_id = document.document_id.clone();
        self
    }

    /// Makes it a replacement of another document at its receivers.
    #[must_use]
    pub fn replacing(mut self, id: &str) -> Self {
        let organs = self.draft.document.to.iter();
        let replacement = Replacement {
            document_id: Some(id.to_owned()),
            organ_ids: organs.map(|organ| organ.id.clone()).collect(),
        };
        let business = &mut self.draft.document.business;
        business.kind = BusinessKind::Replace;
        business.reason = Some("Sửa lỗi".to_owned());
        business.replacements = vec![replacement];
        self
    }

    /// Anything else.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut DocumentDraft)) -> Self {
        change(&mut self.draft);
        self
    }

    /// The package.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        document(&self.draft)
    }
}

/// A status package: `from` reports `code` on a document of `to`.
///
/// # Panics
/// If the values make no status; the message says why.
#[must_use]
pub fn status_package(from: &str, to: &str, document: &str, code: &str, reason: &str) -> Vec<u8> {
    let made = (|| {
        let draft = StatusDraft {
            from: Organ::new(from, None),
            response_for: ResponseFor {
                organ_id: to.into(),
                document_id: Some(document.to_owned()),
                code: Some("12/SNV-VP".to_owned()),
                promulgation_date: Date::new(2026, 3, 2),
            },
            staff: None,
            code: StatusCode::parse(code).ok_or("no status code")?,
            description: (!reason.is_empty()).then(|| reason.to_owned()),
            timestamp: Timestamp::new(2026, 3, 2, 8, 30, 0).ok_or("no time")?,
        };
        status(&draft).map_err(|error| error.to_string())
    })();
    made.unwrap_or_else(|why: String| panic!("no status package can be made: {why}"))
}

/// Bytes without a pattern, the same for the same seed.
#[must_use]
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Numbers that look drawn, the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait)] // it never ends
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number below `end`, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edxml::{Limits, Package, read};

    const FROM: &str = "000.00.01.H99";
    const TO: &str = "000.00.02.H99";

    #[test]
    fn a_document_is_accepted_and_has_about_the_size_asked_for() {
        for size in [8 << 10, 64 << 10, 1 << 20] {
            let package = Document::new(FROM, &[TO], "a").sized(size, 7).bytes();
            assert!(package.len().abs_diff(size) < 600, "{}", package.len());
            let findings = read(&package, &Limits::default()).findings;
            let told = |finding: &edxml::Finding| finding.severity != edxml::Severity::Info;
            assert!(!findings.iter().any(told), "{findings:?}");
        }
        assert_eq!(
            Document::new(FROM, &[TO], "a").bytes(),
            Document::new(FROM, &[TO], "a").bytes()
        );
    }

    #[test]
    fn recall_replacement_and_status_are_what_they_say() {
        let of = |bytes: &[u8]| match read(bytes, &Limits::default()).package {
            Some(Package::Document(document)) => document.business.kind,
            other => panic!("{other:?}"),
        };
        let document = Document::new(FROM, &[TO], "a");
        assert_eq!(of(&document.bytes()), BusinessKind::New);
        assert_eq!(
            of(&document.clone().recalling("sai").bytes()),
            BusinessKind::Recall
        );
        assert_eq!(of(&document.replacing("b").bytes()), BusinessKind::Replace);
        let status = read(&status_package(TO, FROM, "a", "03", ""), &Limits::default());
        assert!(status.findings.is_empty() && status.package.is_some());
    }
}
