//! Building packages that are accepted: what every receiver needs is asked for by the types, and
//! what is built has been read back before it is handed out.
//!
//! [`write`](crate::write) puts any values into the format and asks nothing; whoever sends
//! documents wants this module instead.
//!
//! ```
//! use edxml::build::{Document, Purpose, Reason, Report, Status};
//! use edxml::{Date, Organ, Timestamp};
//!
//! let sender = Organ::new("000.00.12.H47", Some("Sở Nội vụ"));
//! let receiver = Organ::new("000.00.13.H47", Some("Sở Tài chính"));
//! let date = Date::new(2026, 3, 2).unwrap();
//! let now = Timestamp::new(2026, 3, 2, 8, 30, 0).unwrap();
//!
//! let mut letter = Document::new(sender, receiver.clone(), "12", "SNV-VP", date);
//! letter.subject("V/v thử nghiệm liên thông").attach("a.pdf", b"%PDF-1.7".to_vec())?;
//! let sent = letter.finish(&now)?;
//!
//! // It was a mistake: the same document, taken back.
//! letter.purpose(Purpose::Recall { reason: Reason::new("Nhầm nơi nhận")?, document: None });
//! let recall = letter.finish(&now)?;
//!
//! // The receiver has registered it.
//! let about = letter.answered()?;
//! let status = Status::report(receiver, about, Report::Accepted).finish(&now)?;
//! assert!(edxml::read(&status.bytes, &edxml::Limits::default()).findings.is_empty());
//! # Ok::<(), edxml::build::Error>(())
//! ```

mod document;
mod status;

pub use document::{Document, Purpose, Replaced, Steering};
pub use status::{Report, Status};

use crate::document_id::{DocumentId, DocumentIdError};
use crate::finding::{Finding, Level};
use crate::identifier::AgencyCode;
use crate::limits::Limits;
use crate::package::{self, ResponseFor};
use crate::time::Date;

/// Why a package cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A reason is empty.
    #[error("the reason is empty; say why in words")]
    NoReason,
    /// No document id can be made of sender, date and number; give one with
    /// [`Document::id`](Document::id).
    #[error("no document id can be made of sender, date and number")]
    Id(#[from] DocumentIdError),
    /// A text has a character that XML cannot hold.
    #[error("{field} has the character U+{:04X}, which XML cannot hold", u32::from(*.character))]
    IllegalCharacter {
        /// The element.
        field: &'static str,
        /// The character.
        character: char,
    },
    /// A file cannot be packed in the manner of the national SDK.
    #[error("the file cannot be packed as ZIP")]
    Zip(#[from] std::io::Error),
    /// What was built would be refused.
    #[error("the package would be refused: {0}")]
    Refused(Box<Finding>),
}

/// A package that was built.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Built {
    /// The package.
    pub bytes: Vec<u8>,
    /// What some receiver may stumble over: warnings and notes, never errors.
    pub findings: Vec<Finding>,
}

impl Built {
    /// Reads the package back: what was written is what a receiver will find.
    fn checked(bytes: Vec<u8>) -> Result<Built, Error> {
        let reading = crate::read(&bytes, &Limits::default());
        match reading.refusal_at(Level::Axis) {
            Some(refusal) => Err(Error::Refused(Box::new(refusal.clone()))),
            None => Ok(Built {
                bytes,
                findings: reading.findings,
            }),
        }
    }
}

/// A reason in words, never empty: due for recall, update, replacement, and the statuses 02, 13
/// and 16.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason(String);

impl Reason {
    /// A reason.
    ///
    /// # Errors
    /// [`Error::NoReason`] if there is nothing but white space.
    pub fn new(text: impl Into<String>) -> Result<Reason, Error> {
        let text = text.into();
        match text.trim().is_empty() {
            true => Err(Error::NoReason),
            false => Ok(Reason(text)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A document that a document answers or a status reports on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered(ResponseFor);

impl Answered {
    /// By sender and id; number/notation and date help receivers that do not know the id.
    pub fn new(sender: impl Into<AgencyCode>, id: &DocumentId) -> Answered {
        Answered(ResponseFor {
            organ_id: sender.into(),
            document_id: Some(id.to_string()),
            ..ResponseFor::default()
        })
    }

    /// With number/notation and date of the document.
    #[must_use]
    pub fn numbered(mut self, code: impl Into<String>, date: Date) -> Answered {
        self.0.code = Some(code.into());
        self.0.promulgation_date = Some(date);
        self
    }

    /// A document that was received, by all that it says of itself.
    pub fn received(document: &package::Document) -> Answered {
        let code = document.code.to_string();
        Answered(ResponseFor {
            organ_id: document.from.id.clone(),
            code: (!code.is_empty()).then_some(code),
            promulgation_date: document.promulgation.date.clone(),
            document_id: document.document_id.clone(),
        })
    }
}
