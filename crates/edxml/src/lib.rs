//! The QCVN 102:2016 package format (edXML): reading, checking and writing.
//!
//! A package is one XML file that carries an official document, or a status report on one, between
//! agencies. This crate turns its bytes into typed values and findings, and values into bytes. It
//! knows nothing of files, networks or the rest of Axis.
//!
//! What it promises:
//!
//! * **Lenient in, strict out.** What the national SDK reads, it reads, and more: any prefix, any
//!   order, old spellings, day-first dates. Whatever a receiver may stumble over is a [`Finding`]
//!   with a stable code, a path, a line, a column, and what to do, in Vietnamese and English.
//! * **Bounded.** One pass; memory bounded by [`Limits`] whatever the package's size; the content of
//!   attachments is scanned where it is and located by offset, never collected. No DTD, no entity,
//!   no input makes it panic.
//! * **Unchanged.** Nothing is rewritten; [`Spans`] say where the parts stand in the bytes as sent.
//!
//! ```
//! use edxml::{Date, Limits, Organ, Package, Timestamp, build};
//!
//! let mut letter = build::Document::new(
//!     Organ::new("000.00.12.H47", Some("Sở Nội vụ")),
//!     Organ::new("28.22.H17", None),
//!     "12",
//!     "SNV-VP",
//!     Date::new(2026, 3, 2).unwrap(),
//! );
//! letter.attach("van-ban.pdf", b"%PDF-1.7 ...".to_vec())?;
//! let built = letter.finish(&Timestamp::new(2026, 3, 2, 8, 30, 0).unwrap())?;
//!
//! let reading = edxml::read(&built.bytes, &Limits::default());
//! assert!(reading.refusal().is_none());
//! let Some(Package::Document(document)) = &reading.package else { panic!() };
//! assert_eq!(document.code.to_string(), "12/SNV-VP");
//! assert_eq!(document.attachments[0].magic, b"%PDF-1.7 ...");
//! // Accepted, with a word on the odd agency code.
//! let odd = reading.findings.iter().find(|f| f.code == edxml::FindingCode::IrregularAgencyCode);
//! assert_eq!(odd.unwrap().path, "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To/OrganId");
//! # Ok::<(), build::Error>(())
//! ```

mod base64;
pub mod build;
mod catalog;
mod check;
mod code;
mod content;
mod cursor;
mod decode;
mod detail;
mod document_id;
mod document_type;
mod file_name;
mod finding;
mod header;
pub mod identifier;
mod kind;
mod leaf;
mod limits;
mod name;
mod namespace;
mod older;
mod open;
mod package;
mod read;
mod sniff;
mod source;
mod spans;
mod text;
mod time;
mod trace;
mod utf16;
pub mod write;

pub use catalog::FindingCode;
pub use code::{BusinessKind, Priority, StatusCode};
pub use decode::Decoder;
pub use document_id::{DocumentId, DocumentIdError};
pub use file_name::safe_file_name;
pub use finding::{Finding, Level, Position, Severity};
pub use identifier::AgencyCode;
pub use kind::ContentKind;
pub use limits::Limits;
pub use namespace::NAMESPACE;
pub use older::{ConvertError, Converted, convert};
pub use open::{OpenError, OpenLimits, Opened};
pub use package::*;
pub use read::{Form, Reading, Verdict, read, read_from, read_header};
pub use source::Encoding;
pub use spans::{Spans, essence};
pub use time::{Date, Timestamp};
pub use trace::{TraceError, with_trace};

/// The examples of the README hold too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
