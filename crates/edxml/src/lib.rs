//! The QCVN 102:2016 package format: reading, checking and writing edXML.
//!
//! wip
mod base64;
pub mod catalog;
mod check;
pub mod code;
mod content;
mod cursor;
pub mod finding;
mod header;
pub mod identifier;
mod leaf;
mod limits;
mod name;
mod namespace;
pub mod package;
mod read;
mod sniff;
mod source;
mod spans;
pub mod time;
mod utf16;

pub use catalog::FindingCode;
pub use code::{BusinessKind, Priority, StatusCode};
pub use finding::{Finding, Level, Position, Severity};
pub use identifier::AgencyCode;
pub use limits::Limits;
pub use namespace::NAMESPACE;
pub use package::*;
pub use read::{Form, Reading, Verdict, read, read_from};
pub use source::Encoding;
pub use spans::{Spans, essence};
pub use time::{Date, Timestamp};
