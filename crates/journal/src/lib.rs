//! A durable log of records and payload files.
//!
//! It promises:
//!
//! * What [`Journal::append`] returned for is durable: it is there, unchanged, after any crash
//!   or power cut. A batch is one write and one sync; the next one is written only after that
//!   sync returned.
//! * Nothing is invented and nothing silently changed. Every byte is under a checksum, every
//!   record in a chain of SHA-256, every payload under its own. What a crash cut short is told
//!   from damage: the first is cut off and reported, the second refused with its place.
//! * After a failed write or sync nothing more is written: what then is durable is unknown
//!   until the journal is opened again.
//! * A full disk stops what may wait while a reserve of one segment still carries the rest.
//!
//! The journal knows nothing of what a record means, and does not depend on a clock or a
//! network. It is synchronous: one thread owns the [`Journal`] and appends, any number of them
//! read through a [`Reader`]. All files are touched through [`disk`], a seam that tests break.
//! The bytes are described in [`format`](mod@format).
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use journal::disk::sim::SimDisk;
//! use journal::{Entry, Journal, Options, Payload, ScanStart};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In earnest it is `journal::disk::OsDisk`.
//! let disk = Arc::new(SimDisk::new());
//! let options = Options { segment_size: 64 << 10, inline_limit: 16 << 10, ..Options::default() };
//! let mut journal = Journal::open(disk, "/data".as_ref(), options)?.journal;
//! let entry = Entry {
//!     body: Bytes::from_static(b"a package was accepted"),
//!     payload: Payload::None,
//!     uses_reserve: false,
//!     removes: None,
//! };
//! let written = journal.append(&[entry])?;
//! assert_eq!(written[0].position, 1);
//!
//! let reader = journal.reader();
//! assert_eq!(&reader.record(written[0].location)?.body[..], b"a package was accepted");
//! assert_eq!(reader.scan(ScanStart::Beginning).count(), 1);
//! journal.stop()?;
//! # Ok(())
//! # }
//! ```

mod ahead;
mod anchor;
mod damage;
pub mod disk;
pub mod durable;
pub mod format;
mod open;
mod payloads;
mod reader;
mod removal;
mod segment;
mod shared;
mod tail;
mod verify;
mod walk;
mod writer;

pub use ahead::{Preparer, Space};
pub use anchor::{Anchor, NotAnAnchor};
pub use damage::{Damage, Reason, TornTail};
pub use format::{Kind, PayloadRef};
pub use open::{OpenError, Opened, Options};
pub use payloads::{Payloads, Temporary};
pub use reader::{Location, PayloadReader, ReadError, Reader, Record, Scan, ScanStart};
pub use removal::Swept;
pub use verify::{Progress, Report, Verify, VerifyError, verify};
pub use writer::{AppendError, Entry, Journal, Payload, Written};
