//! Taking payloads away: those that a record removed, and files that no record names.

use std::collections::HashSet;
use std::sync::Arc;

use crate::damage::{AtPath, Trouble};
use crate::disk::Access;
use crate::format::{Hash, PayloadRef};
use crate::reader::{Location, ReadError, ScanStart};
use crate::segment::Segment;
use crate::shared::Shared;
use crate::writer::{AppendError, Journal};

/// A payload that shall leave.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) position: u64,
    location: Location,
    body_len: u32,
    payload: PayloadRef,
}

/// What a sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Payload files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Target {
    /// Finds the record at a position; `None` if it is not durable or has no payload.
    pub(crate) fn find(shared: &Arc<Shared>, position: u64) -> Result<Option<Target>, ReadError> {
        let reader = crate::Reader {
            shared: Arc::clone(shared),
        };
        let Some(before) = position.checked_sub(1) else {
            return Ok(None);
        };
        let Some(record) = reader.scan(ScanStart::After(before)).next().transpose()? else {
            return Ok(None);
        };
        if record.payload == PayloadRef::None {
            return Ok(None);
        }
        Ok(Some(Target {
            position,
            location: record.location,
            // A body's length was read from 32 bits.
            body_len: u32::try_from(record.body.len()).unwrap_or(u32::MAX),
            payload: record.payload,
        }))
    }
}

/// Gives the space of a removed payload back. Doing it twice changes nothing.
pub(crate) fn take_away(shared: &Arc<Shared>, target: &Target) -> Result<(), ReadError> {
    shared.publish().removed.insert(target.position);
    match target.payload {
        PayloadRef::None => {}
        PayloadRef::Inline { len: 0, .. } => {}
        PayloadRef::Inline { len, .. } => {
            let Location { segment, offset } = target.location;
            let segment =
                Segment::open(shared.disk.as_ref(), &shared.folder, segment, Access::Write)?;
            let start = offset + crate::format::HEAD + target.body_len;
            segment
                .file
                .punch_hole(u64::from(start), u64::from(len))
                .at(&segment.path)?;
            segment.file.sync().at(&segment.path)?;
        }
        PayloadRef::File { sha256, .. } => {
            let path = shared.payloads.path(&sha256);
            let there = shared.disk.len(&path).at(&path)?.is_some();
            let stays = there && named(shared)?.contains(&sha256);
            if !stays {
                shared.payloads.remove(&sha256)?;
            }
        }
    }
    Ok(())
}

/// The files that records name whose payload was not removed.
fn named(shared: &Arc<Shared>) -> Result<HashSet<Hash>, ReadError> {
    let reader = crate::Reader {
        shared: Arc::clone(shared),
    };
    let mut named = HashSet::new();
    for record in reader.scan(ScanStart::Beginning) {
        let record = record?;
        if let PayloadRef::File { sha256, .. } = record.payload
            && !reader.is_removed(record.position)
        {
            named.insert(sha256);
        }
    }
    Ok(named)
}

impl Journal {
    pub(crate) fn target(&self, position: u64) -> Result<Target, AppendError> {
        match Target::find(&self.shared, position) {
            Ok(Some(target)) => Ok(target),
            Ok(None) => Err(AppendError::NothingToRemove { position }),
            Err(source) => Err(AppendError::Unreadable { position, source }),
        }
    }

    pub(crate) fn remove(&self, target: &Target) -> Result<(), Trouble> {
        take_away(&self.shared, target).map_err(|error| match error {
            ReadError::Io { path, source } => Trouble::Io { path, source },
            other => {
                let source = std::io::Error::other(other);
                Trouble::Io {
                    path: self.shared.folder.clone(),
                    source,
                }
            }
        })
    }

    /// Removes payload files that no record names: left by pushes that ended between keeping
    /// the payload and appending its record. It reads all heads, so it belongs to a full
    /// replay. A payload kept but not appended yet may be taken too; its append is refused then.
    ///
    /// # Errors
    /// What stands in the way of reading the journal or removing a file.
    pub fn sweep(&mut self) -> Result<Swept, ReadError> {
        let named = named(&self.shared)?;
        let mut swept = Swept::default();
        for sha256 in self.shared.payloads.names()? {
            if named.contains(&sha256) {
                continue;
            }
            let path = self.shared.payloads.path(&sha256);
            swept.bytes += self.shared.disk.len(&path).at(&path)?.unwrap_or(0);
            self.shared.payloads.remove(&sha256)?;
            swept.files += 1;
        }
        Ok(swept)
    }
}
