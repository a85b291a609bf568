//! What a package may cost before it is refused.

/// Bounds on reading; a package that passes one is refused at that place, nothing after it is read.
///
/// The defaults are far above anything seen in real packages. They bound memory: a reading never
/// holds more than about `kept_text` plus two times the longest text or tag, plus some 300 bytes
/// for each element, whatever the package's size. Time is in proportion to the bytes read, which
/// the caller bounds: nothing here is slower on a hostile package than on another of its size.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Deepest nesting of elements, the root being 1.
    pub depth: u32,
    /// Most attributes on one element, namespace declarations included.
    pub attributes: u32,
    /// Longest name of an element or attribute, in bytes, prefix included.
    pub name_length: usize,
    /// Longest tag (from `<` to `>`, attributes included), in bytes.
    pub tag_length: usize,
    /// Longest text, comment or CDATA section outside attachments, in bytes.
    pub text_length: usize,
    /// Most bytes of text kept from the header in all.
    pub kept_text: usize,
    /// Most elements in a package.
    pub elements: u32,
    /// Most warnings kept, and most errors kept; what is beyond is only counted.
    pub findings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 100,
            attributes: 64,
            name_length: 256,
            tag_length: 64 * 1024,
            text_length: 1024 * 1024,
            kept_text: 8 * 1024 * 1024,
            elements: 250_000,
            findings: 200,
        }
    }
}

impl Limits {
    /// The most bytes that one piece of markup or text may take while it is read.
    pub(crate) fn token_length(&self) -> usize {
        self.tag_length.max(self.text_length)
    }
}
