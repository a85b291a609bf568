//! Reading what is durable, while the writer goes on.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::anchor::Anchor;
use crate::damage::{Damage, Reason, Trouble};
use crate::disk::{Access, File};
use crate::format::{HEADER, Hash, Kind, PayloadRef};
use crate::segment::Segment;
use crate::shared::{Published, Shared};
use crate::walk::{Found, Run, Step, Walk};

/// Where a record stands: 8 bytes that may be kept in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The segment's number.
    pub segment: u32,
    /// Bytes from the segment's beginning.
    pub offset: u32,
}

/// A record without its payload's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the journal, from 1 without a gap.
    pub position: u64,
    /// Where it stands.
    pub location: Location,
    /// What it is.
    pub kind: Kind,
    /// What was appended as its body.
    pub body: Bytes,
    /// Its payload, also when that was removed.
    pub payload: PayloadRef,
    /// The chain up to and with this record.
    pub chain: [u8; 32],
}

impl Record {
    /// The anchor at this record.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor {
            position: self.position,
            chain: self.chain,
        }
    }

    pub(crate) fn of(segment: u32, found: Found) -> Record {
        let Found { offset, head, body } = found;
        Record {
            position: head.position,
            location: Location { segment, offset },
            kind: head.kind,
            body,
            payload: head.payload,
            chain: head.chain,
        }
    }
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The disk failed.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The journal is damaged there.
    #[error("the journal is damaged: {0}")]
    Damaged(Damage),
    /// The payload is not what was appended; its last chunk was not handed out.
    #[error("the payload is damaged: {0}")]
    PayloadDamaged(Damage),
    /// The payload was removed by a later record.
    #[error("the payload of record {position} was removed")]
    Removed {
        /// The record's position.
        position: u64,
    },
    /// The record never had a payload.
    #[error("record {position} has no payload")]
    NoPayload {
        /// The record's position.
        position: u64,
    },
    /// No durable record can stand there.
    #[error("the journal ends before segment {}, offset {}", .0.segment, .0.offset)]
    BeyondEnd(Location),
    /// A newer Axis wrote the segment.
    #[error("{path} is of format {format}, newer than this build reads")]
    NewerFormat {
        /// The segment.
        path: std::path::PathBuf,
        /// Its format.
        format: u32,
    },
}

impl From<Trouble> for ReadError {
    fn from(trouble: Trouble) -> ReadError {
        match trouble {
            Trouble::Io { path, source } => ReadError::Io { path, source },
            Trouble::Damage(damage) => ReadError::Damaged(damage),
            Trouble::Newer { path, format } => ReadError::NewerFormat { path, format },
        }
    }
}

/// Where a scan begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanStart {
    /// With the first record.
    Beginning,
    /// With the record behind this position; `After(0)` is the beginning.
    After(u64),
    /// With the record that stands there.
    At(Location),
}

/// Reads records and payloads. Clones are cheap and serve any thread.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    /// The last durable record.
    #[must_use]
    pub fn last(&self) -> Option<Anchor> {
        self.shared.published().last
    }

    /// The record at a location, its checksum checked.
    ///
    /// # Errors
    /// [`ReadError::BeyondEnd`], [`ReadError::Damaged`], or the disk's.
    pub fn record(&self, at: Location) -> Result<Record, ReadError> {
        let (segment, found) = self.find(at)?;
        Ok(Record::of(segment.number, found))
    }

    /// Whether a later record removed the payload of this one.
    #[must_use]
    pub fn is_removed(&self, position: u64) -> bool {
        self.shared.published().removed.contains(&position)
    }

    fn find(&self, at: Location) -> Result<(Arc<Segment>, Found), ReadError> {
        let end = self.shared.published().end_of(at.segment).unwrap_or(0);
        if at.offset < HEADER || at.offset >= end {
            return Err(ReadError::BeyondEnd(at));
        }
        let segment = self.shared.segment(at.segment)?;
        match Walk::read_one(&segment, at.offset)? {
            Ok(found) => Ok((segment, found)),
            Err(reason) => Err(ReadError::Damaged(segment.damage(at.offset, reason))),
        }
    }

    /// The records from a start up to the one that is last now, in order: heads and bodies,
    /// payloads skipped. Each is checked against its checksum, its chain and the one before it.
    /// An error ends it.
    #[must_use]
    pub fn scan(&self, from: ScanStart) -> Scan {
        let until = self.shared.published().clone();
        let (segment, skip) = match from {
            ScanStart::Beginning => (1, 0),
            ScanStart::After(position) => (until.segment_of(position.saturating_add(1)), position),
            ScanStart::At(location) => (location.segment, 0),
        };
        let at = match from {
            ScanStart::At(location) => Some(location),
            ScanStart::Beginning | ScanStart::After(_) => None,
        };
        Scan {
            reader: self.clone(),
            until,
            segment,
            at,
            skip,
            walk: None,
            ended: false,
        }
    }

    /// A record's payload, to be streamed.
    ///
    /// # Errors
    /// [`ReadError::Removed`], [`ReadError::NoPayload`], [`ReadError::PayloadDamaged`] if the
    /// file is missing, those of [`Reader::record`], or the disk's.
    pub fn payload(&self, at: Location) -> Result<PayloadReader, ReadError> {
        let (segment, found) = self.find(at)?;
        let position = found.head.position;
        if self.is_removed(position) {
            return Err(ReadError::Removed { position });
        }
        let damage = |reason| ReadError::PayloadDamaged(segment.damage(at.offset, reason));
        let (path, file, start, len, sha256) = match found.head.payload {
            PayloadRef::None => return Err(ReadError::NoPayload { position }),
            PayloadRef::Inline { len, sha256 } => {
                let start = u64::from(found.payload_offset());
                (
                    segment.path.clone(),
                    Arc::clone(&segment.file),
                    start,
                    u64::from(len),
                    sha256,
                )
            }
            PayloadRef::File { len, sha256 } => {
                let path = self.shared.payloads.path(&sha256);
                match self.shared.disk.open(&path, Access::Read) {
                    Ok(file) => (path, file, 0, len, sha256),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        // A removal may have come in between.
                        if self.is_removed(position) {
                            return Err(ReadError::Removed { position });
                        }
                        return Err(damage(Reason::PayloadMissing { position }));
                    }
                    Err(source) => return Err(ReadError::Io { path, source }),
                }
            }
        };
        let whole = segment.damage(at.offset, Reason::Payload { position });
        Ok(PayloadReader {
            reader: self.clone(),
            path,
            file,
            at: start,
            left: len,
            len,
            position,
            hash: Sha256::new(),
            sha256,
            damage: whole,
            state: Progress::Reading,
        })
    }
}

/// The records of [`Reader::scan`].
#[derive(Debug)]
pub struct Scan {
    reader: Reader,
    until: Published,
    segment: u32,
    at: Option<Location>,
    skip: u64,
    walk: Option<Walk>,
    ended: bool,
}

impl Scan {
    /// The position of the last record this scan will come to.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.until.last.map(|anchor| anchor.position)
    }

    fn step(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let Some(end) = self.until.end_of(self.segment) else {
                return match self.at.take() {
                    Some(at) => Err(ReadError::BeyondEnd(at)),
                    None => Ok(None),
                };
            };
            let walk = match &mut self.walk {
                Some(walk) => walk,
                None => {
                    let walk = self.begin(end)?;
                    self.walk.insert(walk)
                }
            };
            if walk.offset >= end {
                if let Some(footer) = self.until.sealed.get(self.segment as usize - 1)
                    && Run::after_sealed(footer).position != walk.run.position
                {
                    let damage = walk.segment.damage(end, Reason::FooterDiffers);
                    return Err(ReadError::Damaged(damage));
                }
                self.segment += 1;
                self.walk = None;
                continue;
            }
            let offset = walk.offset;
            let reason = match walk.next()? {
                Step::Record(found) if found.head.position <= self.skip => continue,
                Step::Record(found) => return Ok(Some(Record::of(self.segment, found))),
                Step::Blank => Reason::NotARecord,
                Step::Bad(reason) => reason,
            };
            return Err(ReadError::Damaged(walk.segment.damage(offset, reason)));
        }
    }

    /// The walk over the scan's segment, from its first record or the one asked for.
    fn begin(&mut self, end: u32) -> Result<Walk, ReadError> {
        let start = self.until.start_of(self.segment);
        let Some(at) = self.at.take() else {
            return Ok(Walk::new(
                self.reader.shared.segment(self.segment)?,
                HEADER,
                start,
            ));
        };
        if at.offset >= end {
            return Err(ReadError::BeyondEnd(at));
        }
        let segment = self.reader.shared.segment(self.segment)?;
        let mut walk = Walk::new(Arc::clone(&segment), HEADER, start);
        while walk.offset < at.offset {
            let offset = walk.offset;
            let reason = match walk.next()? {
                Step::Record(_) => continue,
                Step::Blank => Reason::NotARecord,
                Step::Bad(reason) => reason,
            };
            return Err(ReadError::Damaged(segment.damage(offset, reason)));
        }
        if walk.offset == at.offset {
            return Ok(walk);
        }
        Err(ReadError::Damaged(
            segment.damage(at.offset, Reason::NotARecord),
        ))
    }
}

impl Iterator for Scan {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step().transpose();
        self.ended = !matches!(step, Some(Ok(_)));
        step
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Reading,
    Done,
    Damaged,
}

/// A payload's bytes in order, checked against their SHA-256 before the last of them is handed
/// out. Memory does not grow with the payload.
#[derive(Debug)]
pub struct PayloadReader {
    reader: Reader,
    path: std::path::PathBuf,
    file: Arc<dyn File>,
    at: u64,
    left: u64,
    len: u64,
    position: u64,
    hash: Sha256,
    sha256: Hash,
    damage: Damage,
    state: Progress,
}

impl PayloadReader {
    /// Bytes of the whole payload.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the payload has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The SHA-256 the payload must have.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The next bytes, at most `max` of them and at least one; `None` behind the last.
    ///
    /// # Errors
    /// [`ReadError::PayloadDamaged`] instead of the last chunk if the bytes are not those that
    /// were appended, [`ReadError::Removed`] if they were removed meanwhile, or the disk's.
    pub fn next_chunk(&mut self, max: usize) -> Result<Option<Bytes>, ReadError> {
        match self.state {
            Progress::Done => return Ok(None),
            Progress::Damaged => return Err(self.damaged()),
            Progress::Reading => {}
        }
        let len = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(max.max(1));
        let mut chunk = vec![0; len];
        match crate::disk::read_exact_at(self.file.as_ref(), &mut chunk, self.at) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(self.damaged()),
            Err(source) => {
                return Err(ReadError::Io {
                    path: self.path.clone(),
                    source,
                });
            }
        }
        self.hash.update(&chunk);
        self.at += len as u64;
        self.left -= len as u64;
        if self.left == 0 {
            let found: Hash = std::mem::take(&mut self.hash).finalize().into();
            if found != self.sha256 {
                return Err(self.damaged());
            }
            self.state = Progress::Done;
        }
        Ok((!chunk.is_empty()).then(|| Bytes::from(chunk)))
    }

    fn damaged(&mut self) -> ReadError {
        self.state = Progress::Damaged;
        if self.reader.is_removed(self.position) {
            return ReadError::Removed {
                position: self.position,
            };
        }
        ReadError::PayloadDamaged(self.damage.clone())
    }
}

/// Whether a record's payload leaves by it.
pub(crate) fn removal_of(kind: Kind) -> Option<u64> {
    match kind {
        Kind::Removal { removes } => Some(removes),
        Kind::Data | Kind::Stopped => None,
    }
}
