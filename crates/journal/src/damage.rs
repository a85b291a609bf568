//! What can be wrong with a journal, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Damage in a journal: where it was found and what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment}, offset {offset}: {reason}")]
pub struct Damage {
    /// The segment's number.
    pub segment: u32,
    /// Bytes from the segment's beginning.
    pub offset: u64,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong at a place of the journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The segment's file is not there though another one needs it.
    #[error("the segment is missing")]
    SegmentMissing,
    /// The segment's file has another length than its header says.
    #[error("the file has {found} bytes instead of {expected}")]
    SegmentLength {
        /// What the header says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// The segment's header is damaged or another segment's.
    #[error("the segment's header is damaged")]
    Header,
    /// A segment that others follow has no footer, or a damaged one.
    #[error("the sealed segment's footer is missing or damaged")]
    Footer,
    /// Footer and records disagree.
    #[error("the footer does not fit the records")]
    FooterDiffers,
    /// No record begins where one must.
    #[error("no record begins here")]
    NotARecord,
    /// A record's head has impossible fields.
    #[error("the record's head is damaged")]
    Head,
    /// Head or body differ from what was written.
    #[error("the record's checksum does not fit")]
    Checksum,
    /// The record does not follow the one before it.
    #[error("position {found} stands where {expected} belongs")]
    Position {
        /// The next position.
        expected: u64,
        /// The record's.
        found: u64,
    },
    /// The record's batch does not follow the one before it.
    #[error("the record's batch does not follow the batch before it")]
    Batch,
    /// The record's chain does not follow from the record before it.
    #[error("the chain is broken")]
    Chain,
    /// A payload's bytes differ from what was written.
    #[error("the payload of record {position} is damaged")]
    Payload {
        /// The record's position.
        position: u64,
    },
    /// A payload file is not there, and no record removed it.
    #[error("the payload file of record {position} is missing")]
    PayloadMissing {
        /// The record's position.
        position: u64,
    },
    /// A removed payload still has bytes.
    #[error("the removed payload of record {position} is not empty")]
    RemovedPayload {
        /// The record's position.
        position: u64,
    },
    /// Bytes stand where nothing was ever written.
    #[error("bytes stand where the segment is unused")]
    NotZero,
    /// A damaged batch with a later one behind it.
    #[error("{damage}, and a later batch stands behind it at offset {later}")]
    BeforeLaterBatch {
        /// What is wrong with the earlier batch.
        damage: Box<Reason>,
        /// Where the later batch was seen.
        later: u64,
    },
    /// The journal was stopped cleanly, yet it does not end so.
    #[error("the journal was stopped cleanly, yet it does not end with the record of that")]
    NotAsStopped,
    /// The journal ends before an anchor that was given out.
    #[error("the journal ends before position {position}, for which an anchor was given out")]
    AnchorBeyondEnd {
        /// The anchor's position.
        position: u64,
    },
    /// The record at an anchor's position is another one.
    #[error("the record at position {position} is not the one an anchor was given out for")]
    AnchorDiffers {
        /// The anchor's position.
        position: u64,
    },
}

/// A last batch that was cut short when the process or the machine died. No append that it
/// belongs to had returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's number.
    pub segment: u32,
    /// Where the whole records end, in bytes from the segment's beginning.
    pub offset: u64,
    /// Bytes from there to the last one that was written.
    pub bytes: u64,
    /// The position the first lost record had, which the next append gets.
    pub position: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TornTail {
            segment,
            offset,
            bytes,
            position,
        } = self;
        write!(
            f,
            "segment {segment}, offset {offset}: {bytes} bytes of an unfinished batch, from position {position}"
        )
    }
}

/// What stands in the way of reading a journal's structure; the border errors are made of it.
#[derive(Debug)]
pub(crate) enum Trouble {
    Io { path: PathBuf, source: io::Error },
    Damage(Damage),
    Newer { path: PathBuf, format: u32 },
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Trouble {
        Trouble::Damage(damage)
    }
}

/// Names the path an I/O error is about.
pub(crate) trait AtPath<T> {
    fn at(self, path: &Path) -> Result<T, Trouble>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, Trouble> {
        self.map_err(|source| Trouble::Io {
            path: path.to_owned(),
            source,
        })
    }
}
