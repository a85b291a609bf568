//! The one writer: a batch is one positioned write and one sync.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::ahead::{Ahead, Preparer, Space};
use crate::anchor::{Anchor, hex};
use crate::damage::{AtPath, Trouble};
use crate::disk::{Access, Held, zeros};
use crate::format::{ALIGN, Batch, FOOTER, Footer, HEAD, HEADER, Head, Kind, PayloadRef, aligned};
use crate::payloads::Payloads;
use crate::reader::{Location, ReadError, Reader};
use crate::removal::Target;
use crate::segment::{RUNNING, Segment};
use crate::shared::Shared;
use crate::walk::Run;

/// What is appended as one record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the record says; the journal does not look into it.
    pub body: Bytes,
    /// What comes with it.
    pub payload: Payload,
    /// Whether it may still be appended when only the reserve is left.
    pub uses_reserve: bool,
    /// The position of a durable record whose payload leaves by this one.
    pub removes: Option<u64>,
}

/// The payload of an entry. Its SHA-256 is the caller's word; it was hashed once, on its way in.
#[derive(Clone, Debug)]
pub enum Payload {
    /// None.
    None,
    /// Stored behind the record; at most [`Options::inline_limit`](crate::Options) bytes.
    Inline {
        /// The bytes.
        bytes: Bytes,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
    /// A payload file that was [kept](crate::Temporary::keep).
    File {
        /// Its SHA-256.
        sha256: [u8; 32],
        /// Its bytes.
        len: u64,
    },
}

impl Payload {
    fn to_ref(&self) -> PayloadRef {
        match self {
            Payload::None => PayloadRef::None,
            Payload::Inline { bytes, sha256 } => {
                // A longer one was refused before.
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                PayloadRef::Inline {
                    len,
                    sha256: *sha256,
                }
            }
            Payload::File { sha256, len } => PayloadRef::File {
                len: *len,
                sha256: *sha256,
            },
        }
    }

    fn inline(&self) -> &[u8] {
        match self {
            Payload::Inline { bytes, .. } => bytes,
            Payload::None | Payload::File { .. } => &[],
        }
    }
}

impl Entry {
    /// Bytes the record takes in a segment. The sum over a batch must not pass
    /// [`Journal::batch_limit`].
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        let (body, inline) = (self.body.len() as u64, self.payload.inline().len() as u64);
        aligned(u64::from(HEAD) + body + inline)
    }

    fn kind(&self) -> Kind {
        self.removes
            .map_or(Kind::Data, |removes| Kind::Removal { removes })
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its number in the journal, from 1 without a gap.
    pub position: u64,
    /// Where it stands.
    pub location: Location,
    /// The chain up to and with it.
    pub chain: [u8; 32],
}

impl Written {
    /// The anchor at this record.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor {
            position: self.position,
            chain: self.chain,
        }
    }
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The disk has no room beyond the reserve. Nothing was written; entries that use the
    /// reserve may be appended without the others.
    #[error("the disk is full: only what uses the reserve can be written")]
    Full,
    /// The batch, or an inline payload of it, is larger than a segment or the limit allows.
    /// Nothing was written.
    #[error("{len} bytes are more than the limit of {limit}")]
    TooLarge {
        /// What it takes.
        len: u64,
        /// What there may be.
        limit: u64,
    },
    /// A payload file named by an entry is not there, or has another length. Nothing was
    /// written; the payload must be kept again.
    #[error("there is no payload file {} of that length", hex(sha256))]
    PayloadMissing {
        /// Its SHA-256.
        sha256: [u8; 32],
    },
    /// The record a removal names is not durable yet, or has no payload. Nothing was written.
    #[error("record {position} has no payload to remove")]
    NothingToRemove {
        /// Its position.
        position: u64,
    },
    /// The record a removal names cannot be read. Nothing was written.
    #[error("record {position}, whose payload is to be removed, cannot be read")]
    Unreadable {
        /// Its position.
        position: u64,
        /// Why.
        source: ReadError,
    },
    /// A write or sync failed: whether the batch is durable is unknown until the journal is
    /// opened again. Nothing can be appended before that.
    #[error("cannot write {path}; whether the records are durable is unknown")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A former write or sync failed; see [`AppendError::Failed`].
    #[error("the journal is read-only since a write failed; it must be opened again")]
    ReadOnly,
}

/// The segment in use, as its writer sees it.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u32,
    /// The position of its first record, there or to come.
    pub(crate) first: u64,
    pub(crate) removals: u32,
}

/// The journal's one writer. It owns the data folder until it is dropped.
#[derive(Debug)]
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ahead: Arc<Ahead>,
    pub(crate) active: Active,
    pub(crate) run: Run,
    pub(crate) highest_batch: u64,
    pub(crate) stopped: bool,
    pub(crate) read_only: bool,
    pub(crate) batch_limit: u64,
    /// The heads of the batch being written, kept to be filled again.
    pub(crate) heads: Vec<u8>,
    pub(crate) _lock: Box<dyn Held>,
}

/// The largest batch a segment of that size takes; room for the record of a stop stays.
pub(crate) fn batch_limit(segment_size: u32) -> u64 {
    u64::from(segment_size - HEADER - FOOTER - HEAD)
}

impl Journal {
    /// Appends entries as one batch, in order. When this returns they are durable; until then
    /// no reader sees them.
    ///
    /// # Errors
    /// See [`AppendError`]. All but [`AppendError::Failed`] are refusals before any write.
    pub fn append(&mut self, batch: &[Entry]) -> Result<Vec<Written>, AppendError> {
        if self.read_only {
            return Err(AppendError::ReadOnly);
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let targets = self.check(batch)?;
        let len: u64 = batch.iter().map(Entry::stored_len).sum();
        self.make_room(len, batch.iter().all(|entry| entry.uses_reserve))?;
        let written = self
            .write(batch, len, Entry::kind)
            .map_err(|e| self.failed(e))?;
        self.active.removals += u32::try_from(targets.len()).unwrap_or(u32::MAX);
        for target in targets {
            if let Err(trouble) = self.remove(&target) {
                // The record of the removal is durable, and the next open does what is left of
                // it; nothing may be appended before.
                let error = self.failed(trouble);
                tracing::error!(%error, "a removed payload could not be taken away");
                break;
            }
        }
        Ok(written)
    }

    /// The most bytes a batch may take, counted by [`Entry::stored_len`].
    #[must_use]
    pub fn batch_limit(&self) -> u64 {
        self.batch_limit
    }

    /// A reader of what is durable.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The payload files.
    #[must_use]
    pub fn payloads(&self) -> Payloads {
        self.shared.payloads.clone()
    }

    /// What makes segments ahead, for a thread of its own.
    #[must_use]
    pub fn preparer(&self) -> Preparer {
        Preparer {
            ahead: Arc::clone(&self.ahead),
        }
    }

    /// Whether there is room for everything.
    #[must_use]
    pub fn space(&self) -> Space {
        self.ahead.space()
    }

    /// Whether a write failed, so that nothing can be appended any more.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Ends the journal cleanly with a record of that, as a batch of its own.
    ///
    /// # Errors
    /// [`AppendError::Failed`] and [`AppendError::ReadOnly`]; the journal counts as not stopped
    /// then.
    pub fn stop(mut self) -> Result<(), AppendError> {
        if self.read_only {
            return Err(AppendError::ReadOnly);
        }
        if !self.stopped {
            let entry = Entry {
                body: Bytes::new(),
                payload: Payload::None,
                uses_reserve: true,
                removes: None,
            };
            let len = entry.stored_len();
            self.write(&[entry], len, |_| Kind::Stopped)
                .map_err(|e| self.failed(e))?;
        }
        let running = self.shared.folder.join(RUNNING);
        let unmarked = (|| {
            self.shared.disk.remove(&running).at(&running)?;
            self.shared
                .disk
                .sync_folder(&self.shared.folder)
                .at(&self.shared.folder)
        })();
        unmarked.map_err(|e| self.failed(e))
    }

    /// Refuses what cannot be appended, and finds what removals name.
    fn check(&self, batch: &[Entry]) -> Result<Vec<Target>, AppendError> {
        let mut targets = Vec::new();
        let mut len = 0;
        for entry in batch {
            len += entry.stored_len();
            if len > self.batch_limit {
                return Err(AppendError::TooLarge {
                    len,
                    limit: self.batch_limit,
                });
            }
            match &entry.payload {
                Payload::None => {}
                Payload::Inline { bytes, sha256: _ } => {
                    let (len, limit) = (bytes.len() as u64, self.shared.payloads.inline_limit());
                    if len > limit {
                        return Err(AppendError::TooLarge { len, limit });
                    }
                }
                // A removal or a sweep may have taken it since it was kept. Both are done by
                // this writer, so what is here now stays.
                Payload::File { sha256, len } => {
                    let path = self.shared.payloads.path(sha256);
                    match self.shared.disk.len(&path) {
                        Ok(Some(found)) if found == *len => {}
                        _ => return Err(AppendError::PayloadMissing { sha256: *sha256 }),
                    }
                }
            }
            if let Some(position) = entry.removes {
                targets.push(self.target(position)?);
            }
        }
        Ok(targets)
    }

    fn fits(&self, len: u64) -> bool {
        let room = self.active.segment.limit()
            - HEAD
            - self.active.offset.min(self.active.segment.limit() - HEAD);
        len <= u64::from(room)
    }

    /// Makes the segment in use one that takes `len` bytes, or refuses before any write.
    fn make_room(&mut self, len: u64, uses_reserve: bool) -> Result<(), AppendError> {
        let rolls = !self.fits(len);
        let number = self.active.segment.number;
        let next = number + u32::from(rolls);
        let room = if uses_reserve {
            !rolls || self.ahead.is_ready(next) || self.ahead.ensure(next)
        } else {
            self.ahead.ensure(next + 1)
        };
        if !room {
            return Err(AppendError::Full);
        }
        if rolls {
            self.roll().map_err(|e| self.failed(e))?;
        }
        let half = self.active.segment.size / 2;
        if self.active.offset < half && u64::from(self.active.offset) + len >= u64::from(half) {
            self.ahead.want(self.active.segment.number + 2);
        }
        Ok(())
    }

    /// Seals the segment in use and goes on in the next one, which is there.
    fn roll(&mut self) -> Result<(), Trouble> {
        let segment = &self.active.segment;
        let records = self.run.position - self.active.first;
        let footer = Footer {
            segment: segment.number,
            records: u32::try_from(records).unwrap_or(u32::MAX),
            first: self.active.first,
            last: self.run.position - 1,
            batch: self.highest_batch,
            end: self.active.offset,
            removals: self.active.removals,
            salt: segment.salt,
            chain: self.run.chain,
        };
        let offset = u64::from(segment.limit());
        segment
            .file
            .write_at(&mut [IoSlice::new(&footer.encode())], offset)
            .at(&segment.path)?;
        segment.file.sync().at(&segment.path)?;
        let number = segment.number + 1;
        let disk = self.shared.disk.as_ref();
        let next = Segment::open(disk, &self.shared.folder, number, Access::Write)?;
        self.active = Active {
            segment: Arc::new(next),
            offset: HEADER,
            first: self.run.position,
            removals: 0,
        };
        self.run = Run::after_sealed(&footer);
        let mut published = self.shared.publish();
        published.sealed.push(footer);
        published.end = HEADER;
        drop(published);
        self.ahead.want(number + 1);
        Ok(())
    }

    /// Writes a batch that fits, syncs it and publishes it.
    fn write(
        &mut self,
        batch: &[Entry],
        len: u64,
        kind: impl Fn(&Entry) -> Kind,
    ) -> Result<Vec<Written>, Trouble> {
        let segment = Arc::clone(&self.active.segment);
        let numbers = Batch {
            number: self.highest_batch + 1,
            first: self.run.position,
            // Both were checked against the segment's size.
            count: u32::try_from(batch.len()).unwrap_or(u32::MAX),
            len: u32::try_from(len).unwrap_or(u32::MAX),
        };
        let mut run = self.run;
        let mut offset = self.active.offset;
        let mut written = Vec::with_capacity(batch.len());
        self.heads.clear();
        for entry in batch {
            let inline = entry.payload.inline();
            let head = Head {
                kind: kind(entry),
                payload: entry.payload.to_ref(),
                payload_crc: if inline.is_empty() {
                    0
                } else {
                    crc32c::crc32c(inline)
                },
                salt: segment.salt,
                position: run.position,
                batch: numbers,
                segment: segment.number,
                body_len: u32::try_from(entry.body.len()).unwrap_or(u32::MAX),
                chain: run.chain,
            };
            let chain = head.encode(&mut self.heads, &run.chain, &entry.body);
            let location = Location {
                segment: segment.number,
                offset,
            };
            written.push(Written {
                position: run.position,
                location,
                chain,
            });
            run = Run {
                position: run.position + 1,
                chain,
                batch: numbers,
            };
            offset += u32::try_from(entry.stored_len()).unwrap_or(u32::MAX);
        }
        let mut slices = Vec::with_capacity(batch.len() * 4);
        for (entry, head) in batch.iter().zip(self.heads.chunks_exact(HEAD as usize)) {
            let inline = entry.payload.inline();
            let unpadded = (head.len() + entry.body.len() + inline.len()) as u64;
            let padding = zeros(aligned(unpadded) - unpadded);
            let parts = [head, &entry.body, inline, padding];
            slices.extend(
                parts
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .map(IoSlice::new),
            );
        }
        debug_assert_eq!(offset % ALIGN, 0);
        let file = segment.file.as_ref();
        file.write_at(&mut slices, u64::from(self.active.offset))
            .at(&segment.path)?;
        file.sync().at(&segment.path)?;
        self.stopped = batch
            .last()
            .is_some_and(|entry| kind(entry) == Kind::Stopped);
        self.run = run;
        self.highest_batch = numbers.number;
        self.active.offset = offset;
        let mut published = self.shared.publish();
        published.end = offset;
        published.last = Some(Anchor {
            position: run.position - 1,
            chain: run.chain,
        });
        Ok(written)
    }

    /// From here on nothing is written.
    pub(crate) fn failed(&mut self, trouble: Trouble) -> AppendError {
        self.read_only = true;
        let (path, source) = match trouble {
            Trouble::Io { path, source } => (path, source),
            Trouble::Damage(damage) => (self.shared.folder.clone(), std::io::Error::other(damage)),
            Trouble::Newer { path, format: _ } => (path, std::io::ErrorKind::InvalidData.into()),
        };
        AppendError::Failed { path, source }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.ahead.close();
    }
}
