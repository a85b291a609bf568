//! Document ids (`DocumentId`): an opaque key of the sender, with structure where it has one
//! (reference section d).

use crate::identifier::AgencyCode;
use crate::time::Date;

/// The most characters that receivers keep of a document id.
const LONGEST: usize = 200;

/// A document id, taken apart. The key is always the text, trimmed and compared exactly; the
/// structure is a hint for people and programs, and most texts in use have none.
///
/// ```
/// use edxml::DocumentId;
/// let id = DocumentId::parse(" 000.00.00.G22,2015/09/30,7816/VPCP-TTĐT ");
/// let DocumentId::Axis { organ, date, code } = id else { panic!() };
/// assert_eq!((organ.as_str(), date.as_str()), ("000.00.00.G22", "2015/09/30"));
/// assert_eq!(code, "7816/VPCP-TTĐT");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocumentId {
    /// Agency, year of issue, number of the document in that year: the form of Decision
    /// 28/2018/QĐ-TTg, `000.00.01.H08,2018,10`.
    Legal {
        /// Who issued it.
        organ: AgencyCode,
        /// Year of issue.
        year: u16,
        /// Number in that year, digits as written.
        number: String,
    },
    /// Agency, date, number and notation: the form in use on the national axis.
    Axis {
        /// Who issued it.
        organ: AgencyCode,
        /// Date as written, `yyyy/MM/dd`; days that do not exist are met (2014/02/30).
        date: String,
        /// Number and notation.
        code: String,
    },
    /// A UUID in small letters: what the national SDK makes when it is given nothing.
    Uuid(String),
    /// Anything else, trimmed.
    Opaque(String),
}

/// Why no document id can be made of these values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentIdError {
    /// The agency code has other characters than capital letters, digits and dots.
    #[error(
        "the agency code \"{0}\" cannot stand in a document id: capital letters, digits and dots can"
    )]
    Organ(String),
    /// The year is not one of four digits.
    #[error("the year {0} has not four digits")]
    Year(u16),
    /// The result would have more than 200 characters.
    #[error("the document id would have more than {LONGEST} characters")]
    TooLong,
}

impl DocumentId {
    /// Takes a text apart; what has no known structure is opaque.
    pub fn parse(text: &str) -> DocumentId {
        let text = text.trim();
        if let Some(uuid) = uuid(text) {
            return DocumentId::Uuid(uuid);
        }
        let mut parts = text.splitn(3, ',');
        if let (Some(organ), Some(when), Some(rest)) = (parts.next(), parts.next(), parts.next())
            && is_organ(organ)
        {
            let organ = AgencyCode::new(organ);
            if let Some(year) = four_digits(when)
                && !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_digit())
            {
                let number = rest.to_owned();
                return DocumentId::Legal {
                    organ,
                    year,
                    number,
                };
            }
            if is_slashed(when) && !rest.is_empty() {
                let (date, code) = (when.to_owned(), rest.to_owned());
                return DocumentId::Axis { organ, date, code };
            }
        }
        DocumentId::Opaque(text.to_owned())
    }

    /// Makes an id in the legal form: the `number`-th document of this agency in that year.
    ///
    /// ```
    /// use edxml::DocumentId;
    /// let id = DocumentId::legal(&"000.00.01.H08".into(), 2018, 10)?;
    /// assert_eq!(id.to_string(), "000.00.01.H08,2018,10");
    /// # Ok::<(), edxml::DocumentIdError>(())
    /// ```
    ///
    /// # Errors
    /// If the values do not read back as this form.
    pub fn legal(
        organ: &AgencyCode,
        year: u16,
        number: u32,
    ) -> Result<DocumentId, DocumentIdError> {
        let organ = checked(organ)?;
        if !(1000..=9999).contains(&year) {
            return Err(DocumentIdError::Year(year));
        }
        let number = number.to_string();
        short(DocumentId::Legal {
            organ,
            year,
            number,
        })
    }

    /// Makes an id in the form of the national axis.
    ///
    /// # Errors
    /// If the values do not read back as this form.
    pub fn axis(
        organ: &AgencyCode,
        date: &Date,
        code: &str,
    ) -> Result<DocumentId, DocumentIdError> {
        let (organ, date) = (checked(organ)?, date.to_string());
        let code = code.trim().to_owned();
        short(DocumentId::Axis { organ, date, code })
    }
}

impl std::fmt::Display for DocumentId {
    /// The text; of a UUID in small letters.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DocumentId::Legal {
                organ,
                year,
                number,
            } => {
                write!(f, "{},{year:04},{number}", organ.as_str())
            }
            DocumentId::Axis { organ, date, code } => {
                write!(f, "{},{date},{code}", organ.as_str())
            }
            DocumentId::Uuid(text) | DocumentId::Opaque(text) => f.write_str(text),
        }
    }
}

fn checked(organ: &AgencyCode) -> Result<AgencyCode, DocumentIdError> {
    let text = organ.as_str().trim();
    if is_organ(text) {
        Ok(AgencyCode::new(text))
    } else {
        Err(DocumentIdError::Organ(text.to_owned()))
    }
}

fn short(id: DocumentId) -> Result<DocumentId, DocumentIdError> {
    if id.to_string().chars().count() > LONGEST {
        return Err(DocumentIdError::TooLong);
    }
    Ok(id)
}

fn is_organ(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'.';
    !text.is_empty() && text.bytes().all(allowed)
}

fn four_digits(text: &str) -> Option<u16> {
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Whether it is written like `yyyy/MM/dd`, be there such a day or not.
fn is_slashed(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'/',
            _ => b.is_ascii_digit(),
        })
}

fn uuid(text: &str) -> Option<String> {
    let groups = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let whole = groups.iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|b| b.is_ascii_hexdigit())
        })
    });
    (whole && parts.next().is_none()).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_in_use_have_their_form() {
        for (text, form) in [
            ("000.00.01.H08,2018,10", "legal"),
            ("H08.01,2026,007", "legal"),
            ("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT", "axis"),
            ("000.00.00.G22,2014/02/30,7806/VPCP-TTĐT", "axis"),
            ("000.00.00.G22,2015/09/30,7816,VPCP", "axis"),
            ("6F9619FF-8B86-D011-B42D-00CF4FC964FF", "uuid"),
            ("6f9619ff-8b86-d011-b42d-00cf4fc964f", "opaque"),
            ("6f9619ff-8b86-d011-b42d-00cf4fc964ff-1", "opaque"),
            ("H08-2018-10", "opaque"),
            ("h08,2018,10", "opaque"),
            ("H08,18,10", "opaque"),
            ("H08,2018,", "opaque"),
            ("H08,2018,a", "opaque"),
            ("H08,2018/1/1,a", "opaque"),
            (",2018,10", "opaque"),
            ("", "opaque"),
        ] {
            let id = DocumentId::parse(text);
            let found = match id {
                DocumentId::Legal { .. } => "legal",
                DocumentId::Axis { .. } => "axis",
                DocumentId::Uuid(_) => "uuid",
                DocumentId::Opaque(_) => "opaque",
            };
            assert_eq!(found, form, "{text}");
            assert!(id.to_string().eq_ignore_ascii_case(text), "{text}");
        }
    }

    #[test]
    fn what_would_not_read_back_is_not_made() {
        let organ = AgencyCode::new("H08.01");
        assert_eq!(
            DocumentId::legal(&"vxp.saas.03".into(), 2026, 1),
            Err(DocumentIdError::Organ("vxp.saas.03".to_owned()))
        );
        assert_eq!(
            DocumentId::legal(&organ, 26, 1),
            Err(DocumentIdError::Year(26))
        );
        let date = Date::new(2026, 3, 2).unwrap();
        let id = DocumentId::axis(&organ, &date, " 12/SNV ").unwrap();
        assert_eq!(id.to_string(), "H08.01,2026/03/02,12/SNV");
        let long = "x".repeat(190);
        assert_eq!(
            DocumentId::axis(&organ, &date, &long),
            Err(DocumentIdError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn what_is_made_reads_back(organ in "[A-Z0-9.]{1,35}", year in 1000u16..=9999, number in any::<u32>()) {
            let id = DocumentId::legal(&organ.as_str().into(), year, number).unwrap();
            prop_assert_eq!(DocumentId::parse(&id.to_string()), id);
        }

        #[test]
        fn no_text_is_lost(text in "[A-Z0-9.,/-]{0,40}|\\PC{0,40}") {
            let id = DocumentId::parse(&text);
            prop_assert!(id.to_string().eq_ignore_ascii_case(text.trim()));
            prop_assert_eq!(DocumentId::parse(&id.to_string()), id);
        }
    }
}
