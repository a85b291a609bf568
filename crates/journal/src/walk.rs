//! Walking the records of one segment in order, each checked against the one before it.

use std::sync::Arc;

use bytes::Bytes;

use crate::damage::{Reason, Trouble};
use crate::format::{Batch, Footer, HEAD, Hash, Head, chain_fits, checksum_fits};
use crate::segment::Segment;

/// What the next record must follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The next record's position.
    pub(crate) position: u64,
    /// The chain of the record before it.
    pub(crate) chain: Hash,
    /// The batch of the record before it.
    pub(crate) batch: Batch,
}

impl Run {
    pub(crate) const START: Run = Run {
        position: 1,
        chain: [0; 32],
        batch: Batch::closed(0),
    };

    /// What stands behind a record.
    pub(crate) fn after(head: &Head) -> Run {
        Run {
            position: head.position + 1,
            chain: head.chain,
            batch: head.batch,
        }
    }

    /// What stands behind a sealed segment.
    pub(crate) fn after_sealed(footer: &Footer) -> Run {
        Run {
            position: footer.last + 1,
            chain: footer.chain,
            batch: Batch::closed(footer.batch),
        }
    }

    fn check(&self, head: &Head, bytes: &[u8], body: &[u8]) -> Result<(), Reason> {
        if head.position != self.position {
            return Err(Reason::Position {
                expected: self.position,
                found: head.position,
            });
        }
        let goes_on = head.batch == self.batch
            && head.position - self.batch.first < u64::from(self.batch.count);
        let begins = head.batch.number > self.batch.number
            && head.batch.first == head.position
            && head.batch.count > 0;
        if !goes_on && !begins {
            return Err(Reason::Batch);
        }
        if !chain_fits(bytes, &self.chain, body) {
            return Err(Reason::Chain);
        }
        Ok(())
    }
}

/// A record as it stands in a segment.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) offset: u32,
    pub(crate) head: Head,
    pub(crate) body: Bytes,
}

impl Found {
    /// Where an inline payload begins.
    pub(crate) fn payload_offset(&self) -> u32 {
        self.offset + HEAD + self.head.body_len
    }
}

/// What the walk came upon.
#[derive(Debug)]
pub(crate) enum Step {
    Record(Found),
    /// Zeros, or no room, where a head would begin.
    Blank,
    Bad(Reason),
}

/// A walk; it reads ahead and skips payloads.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) segment: Arc<Segment>,
    pub(crate) offset: u32,
    pub(crate) run: Run,
    ahead: Vec<u8>,
    ahead_at: u32,
    step: u32,
}

const READ_AHEAD: u32 = 64 * 1024;

impl Walk {
    pub(crate) fn new(segment: Arc<Segment>, offset: u32, run: Run) -> Walk {
        Walk {
            segment,
            offset,
            run,
            ahead: Vec::new(),
            ahead_at: 0,
            step: READ_AHEAD,
        }
    }

    /// The record at `offset`, without what it must follow from.
    pub(crate) fn read_one(
        segment: &Arc<Segment>,
        offset: u32,
    ) -> Result<Result<Found, Reason>, Trouble> {
        let mut walk = Walk::new(Arc::clone(segment), offset, Run::START);
        walk.step = 4096;
        match walk.parse()? {
            Parsed::Record(head, _) => Ok(Ok(walk.found(head))),
            Parsed::Blank => Ok(Err(Reason::NotARecord)),
            Parsed::Bad(reason) => Ok(Err(reason)),
        }
    }

    pub(crate) fn next(&mut self) -> Result<Step, Trouble> {
        let (head, end) = match self.parse()? {
            Parsed::Record(head, end) => (head, end),
            Parsed::Blank => return Ok(Step::Blank),
            Parsed::Bad(reason) => return Ok(Step::Bad(reason)),
        };
        let run = self.run;
        let (head_bytes, body) = self
            .ahead(self.offset, HEAD + head.body_len)?
            .split_at(HEAD as usize);
        if let Err(reason) = run.check(&head, head_bytes, body) {
            return Ok(Step::Bad(reason));
        }
        let found = self.found(head);
        self.run = Run::after(&found.head);
        self.offset = end;
        Ok(Step::Record(found))
    }

    /// The record at the walk's offset, whole and of this segment, and where it ends.
    fn parse(&mut self) -> Result<Parsed, Trouble> {
        let room = self.segment.limit().saturating_sub(self.offset);
        if room < HEAD {
            return Ok(Parsed::Blank);
        }
        let (salt, number) = (self.segment.salt, self.segment.number);
        let offset = self.offset;
        let bytes = self.ahead(offset, HEAD)?;
        if bytes.iter().all(|b| *b == 0) {
            return Ok(Parsed::Blank);
        }
        let head = match Head::decode(bytes) {
            Ok(head) => head,
            Err(reason) => return Ok(Parsed::Bad(reason)),
        };
        if head.salt != salt || head.segment != number {
            return Ok(Parsed::Bad(Reason::Head));
        }
        let Some(len) = u32::try_from(head.stored_len())
            .ok()
            .filter(|len| *len <= room)
        else {
            return Ok(Parsed::Bad(Reason::Head));
        };
        let bytes = self.ahead(offset, HEAD + head.body_len)?;
        let (head_bytes, body) = bytes.split_at(HEAD as usize);
        if !checksum_fits(head_bytes, body) {
            return Ok(Parsed::Bad(Reason::Checksum));
        }
        Ok(Parsed::Record(head, offset + len))
    }

    /// Only after `parse`, which has read head and body.
    fn found(&self, head: Head) -> Found {
        let start = (self.offset - self.ahead_at + HEAD) as usize;
        let body = Bytes::copy_from_slice(&self.ahead[start..start + head.body_len as usize]);
        Found {
            offset: self.offset,
            head,
            body,
        }
    }

    /// `len` bytes at `offset`, all before the segment's limit.
    fn ahead(&mut self, offset: u32, len: u32) -> Result<&[u8], Trouble> {
        let have = u32::try_from(self.ahead.len()).unwrap_or(u32::MAX);
        if offset < self.ahead_at || offset + len > self.ahead_at + have {
            let read = len.max(self.step).min(self.segment.limit() - offset);
            if self.ahead.len() != read as usize {
                self.ahead = vec![0; read as usize];
            }
            self.ahead_at = offset;
            if let Err(trouble) = self.segment.read(&mut self.ahead, offset) {
                self.ahead.clear();
                return Err(trouble);
            }
        }
        let start = (offset - self.ahead_at) as usize;
        Ok(&self.ahead[start..start + len as usize])
    }
}

enum Parsed {
    Record(Head, u32),
    Blank,
    Bad(Reason),
}
