//! What exactly is wrong, as it is put into a finding's text: a value, which is the same in every
//! language, or words, which are said in both.

use std::borrow::Cow;

use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::attributes::AttrError;

/// The detail of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail<'a> {
    pub(crate) en: Cow<'a, str>,
    /// `None` if the other is no language's.
    pub(crate) vi: Option<Cow<'a, str>>,
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Detail<'a> {
    /// A value.
    fn from(value: &'a T) -> Detail<'a> {
        Detail {
            en: Cow::Borrowed(value.as_ref()),
            vi: None,
        }
    }
}

impl<'a> Detail<'a> {
    /// A value that was made.
    pub(crate) fn value(value: String) -> Detail<'a> {
        Detail {
            en: Cow::Owned(value),
            vi: None,
        }
    }

    /// Words.
    pub(crate) fn words(en: impl Into<Cow<'a, str>>, vi: impl Into<Cow<'a, str>>) -> Detail<'a> {
        Detail {
            en: en.into(),
            vi: Some(vi.into()),
        }
    }

    pub(crate) fn vi(&self) -> &str {
        self.vi.as_deref().unwrap_or(&self.en)
    }
}

/// What the parser has against the markup.
pub(crate) fn markup(error: &Error) -> Detail<'static> {
    match error {
        Error::Syntax(error) => syntax(error),
        Error::IllFormed(error) => ill_formed(error),
        Error::InvalidAttr(error) => attribute(error),
        other => Detail::words(other.to_string(), "phần mềm đọc XML từ chối đoạn này"),
    }
}

fn syntax(error: &SyntaxError) -> Detail<'static> {
    let (en, vi) = match error {
        SyntaxError::InvalidBangMarkup => (
            "`<!` begins nothing that XML knows",
            "sau `<!` không phải cú pháp XML",
        ),
        SyntaxError::UnclosedPI => (
            "a processing instruction never ends, `?>` is missing",
            "chỉ thị xử lý không kết thúc, thiếu `?>`",
        ),
        SyntaxError::UnclosedXmlDecl => (
            "the XML declaration never ends, `?>` is missing",
            "khai báo XML không kết thúc, thiếu `?>`",
        ),
        SyntaxError::UnclosedComment => (
            "a comment never ends, `-->` is missing",
            "chú thích không kết thúc, thiếu `-->`",
        ),
        SyntaxError::UnclosedDoctype => (
            "DOCTYPE never ends, `>` is missing",
            "DOCTYPE không kết thúc, thiếu `>`",
        ),
        SyntaxError::UnclosedCData => (
            "CDATA never ends, `]]>` is missing",
            "CDATA không kết thúc, thiếu `]]>`",
        ),
        SyntaxError::UnclosedTag => (
            "a tag never ends, `>` is missing",
            "thẻ không kết thúc, thiếu `>`",
        ),
        SyntaxError::UnclosedSingleQuotedAttributeValue
        | SyntaxError::UnclosedDoubleQuotedAttributeValue => (
            "the value of an attribute never ends, its quote is missing",
            "giá trị thuộc tính không kết thúc, thiếu dấu nháy đóng",
        ),
    };
    Detail::words(en, vi)
}

fn ill_formed(error: &IllFormedError) -> Detail<'static> {
    let (en, vi) = match error {
        IllFormedError::MissingEndTag(name) => {
            return Detail::words(
                format!("<{name}> is never closed"),
                format!("<{name}> không được đóng"),
            );
        }
        IllFormedError::MissingDeclVersion(_) => (
            "the XML declaration does not begin with a version",
            "khai báo XML không bắt đầu bằng version",
        ),
        IllFormedError::UnknownVersion => return unknown_version(),
        IllFormedError::DoubleHyphenInComment => {
            ("`--` inside a comment", "có `--` trong chú thích")
        }
        IllFormedError::UnclosedReference => return bare_ampersand(),
        other => {
            return Detail::words(other.to_string(), "cú pháp phần tử không đúng");
        }
    };
    Detail::words(en, vi)
}

/// A version of XML that nobody has written down.
pub(crate) fn unknown_version() -> Detail<'static> {
    Detail::words(
        "the XML version is neither 1.0 nor 1.1",
        "phiên bản XML không phải 1.0 hay 1.1",
    )
}

/// `&` that begins no reference.
pub(crate) fn bare_ampersand() -> Detail<'static> {
    Detail::words(
        "`&` without the `;` that ends a reference; write `&amp;`",
        "có `&` nhưng thiếu `;` kết thúc; hãy viết `&amp;`",
    )
}

/// Two attributes of one name.
pub(crate) fn attribute_twice() -> Detail<'static> {
    Detail::words(
        "an attribute stands twice in one element",
        "một thuộc tính lặp lại trong cùng phần tử",
    )
}

/// An end tag without its start.
pub(crate) fn never_opened(name: &str) -> Detail<'static> {
    Detail::words(
        format!("</{name}> ends an element that was never opened"),
        format!("</{name}> đóng một phần tử chưa được mở"),
    )
}

/// What the parser has against an attribute.
pub(crate) fn attribute(error: &AttrError) -> Detail<'static> {
    let (en, vi) = match error {
        AttrError::ExpectedEq(_) => (
            "an attribute has no `=` after its name",
            "thuộc tính thiếu `=` sau tên",
        ),
        AttrError::ExpectedValue(_) => ("an attribute has no value", "thuộc tính không có giá trị"),
        AttrError::UnquotedValue(_) => (
            "the value of an attribute is not in quotes",
            "giá trị thuộc tính không nằm trong dấu nháy",
        ),
        AttrError::ExpectedQuote(_, _) => (
            "the value of an attribute lacks its closing quote",
            "giá trị thuộc tính thiếu dấu nháy đóng",
        ),
        AttrError::Duplicated(_, _) => return attribute_twice(),
    };
    Detail::words(en, vi)
}
