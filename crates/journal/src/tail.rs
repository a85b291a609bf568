//! The end of the journal: telling a torn tail from damage.
//!
//! A batch is written only after the sync before it returned. So whatever is wrong in the *last*
//! batch may be a write that a crash cut short, and nobody was told that it is durable; damage
//! with any trace of a later batch behind it is something else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::damage::{Damage, Reason, TornTail, Trouble};
use crate::disk::{Access, Disk};
use crate::format::{HEAD, HEADER, Kind, PayloadRef, RECORD_MAGIC, traces_of_head};
use crate::segment::Segment;
use crate::walk::{Found, Run, Step, Walk};

/// What the segment that is not sealed holds.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    pub(crate) run: Run,
    /// Where the last whole record ends.
    pub(crate) end: u32,
    /// Where the last batch begins; `end` if there is no record.
    pub(crate) last_batch: u32,
    pub(crate) records: u32,
    pub(crate) stopped: bool,
    /// The removal records here: their offset, and the position whose payload they remove.
    pub(crate) removals: Vec<(u32, u64)>,
    /// The highest batch number of which there is any trace.
    pub(crate) highest_batch: u64,
    pub(crate) torn: Option<TornTail>,
}

/// A payload that does not fit its record, and the tail without that record and what follows.
struct Suspect {
    position: u64,
    batch: u64,
    offset: u32,
    without: Tail,
    reason: Reason,
}

/// Reads the segment that is not sealed, from its first record.
///
/// `removed` holds the positions whose payloads earlier segments' records removed.
pub(crate) fn examine(
    segment: &Arc<Segment>,
    start: Run,
    removed: &BTreeSet<u64>,
) -> Result<Tail, Trouble> {
    let mut walk = Walk::new(Arc::clone(segment), HEADER, start);
    let mut tail = Tail {
        run: start,
        end: walk.offset,
        last_batch: walk.offset,
        records: 0,
        stopped: false,
        removals: Vec::new(),
        highest_batch: start.batch.number,
        torn: None,
    };
    let mut suspects: Vec<Suspect> = Vec::new();
    let broken = loop {
        match walk.next()? {
            Step::Record(found) => {
                if let Some(reason) = check_inline(segment, &found)? {
                    suspects.push(Suspect {
                        position: found.head.position,
                        batch: found.head.batch.number,
                        offset: found.offset,
                        without: tail.clone(),
                        reason,
                    });
                }
                if found.head.batch.number != tail.run.batch.number || tail.records == 0 {
                    tail.last_batch = found.offset;
                }
                tail.stopped = found.head.kind == Kind::Stopped;
                if let Kind::Removal { removes } = found.head.kind {
                    tail.removals.push((found.offset, removes));
                }
                tail.records += 1;
                tail.run = walk.run;
                tail.end = walk.offset;
            }
            Step::Blank => break None,
            Step::Bad(reason) => break Some(reason),
        }
    };
    let removed_here =
        |position: &u64| tail.removals.iter().any(|(_, removes)| removes == position);
    let suspect = suspects
        .into_iter()
        .find(|s| !removed.contains(&s.position) && !removed_here(&s.position));
    let (mut tail, reason) = match suspect {
        Some(suspect) if suspect.batch != tail.run.batch.number => {
            let later = u64::from(tail.last_batch);
            let reason = Reason::BeforeLaterBatch {
                damage: Box::new(suspect.reason),
                later,
            };
            return Err(segment.damage(suspect.offset, reason).into());
        }
        Some(suspect) => (suspect.without, suspect.reason),
        None => (tail, broken.unwrap_or(Reason::NotZero)),
    };
    let number = tail.run.batch.number;
    tail.highest_batch = tail.highest_batch.max(number);
    if let Some(last) = segment.last_nonzero(tail.end)? {
        look_behind(segment, &mut tail, reason)?;
        tail.torn = Some(TornTail {
            segment: segment.number,
            offset: u64::from(tail.end),
            bytes: last + 1 - u64::from(tail.end),
            position: tail.run.position,
        });
    }
    Ok(tail)
}

/// Whether an inline payload is what was written, with the padding behind it.
pub(crate) fn check_inline(segment: &Segment, found: &Found) -> Result<Option<Reason>, Trouble> {
    let len = found.head.inline_len();
    let offset = found.payload_offset();
    let end = u64::from(found.offset) + found.head.stored_len();
    let stored = usize::try_from(end - u64::from(offset)).unwrap_or(usize::MAX);
    if stored == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; stored];
    segment.read(&mut bytes, offset)?;
    let (payload, padding) = bytes.split_at(len as usize);
    if padding.iter().any(|b| *b != 0) {
        return Ok(Some(Reason::NotZero));
    }
    let inline = matches!(found.head.payload, PayloadRef::Inline { .. });
    if inline && crc32c::crc32c(payload) != found.head.payload_crc {
        return Ok(Some(Reason::Payload {
            position: found.head.position,
        }));
    }
    Ok(None)
}

/// Refuses when anything behind the tail's end was written after the batch at that end.
///
/// A trace is a head's mark and the segment's salt; the rest of the head may be damaged too. A
/// batch that begins at or before the next position is the torn one itself.
fn look_behind(segment: &Segment, tail: &mut Tail, reason: Reason) -> Result<(), Trouble> {
    const WINDOW: u32 = 256 * 1024;
    let mut window = Vec::new();
    let mut at = tail.end;
    while at + HEAD <= segment.limit() {
        let len = (WINDOW + HEAD).min(segment.limit() - at);
        window.resize(len as usize, 0);
        segment.read(&mut window, at)?;
        let heads = len - HEAD + 1;
        for offset in (0..heads).step_by(crate::format::ALIGN as usize) {
            let bytes = &window[offset as usize..];
            if bytes[..4] != RECORD_MAGIC {
                continue;
            }
            let Some((salt, batch, first)) = traces_of_head(bytes) else {
                continue;
            };
            if salt != segment.salt {
                continue;
            }
            if first > tail.run.position {
                let later = u64::from(at + offset);
                let reason = Reason::BeforeLaterBatch {
                    damage: Box::new(reason),
                    later,
                };
                return Err(segment.damage(tail.end, reason).into());
            }
            tail.highest_batch = tail.highest_batch.max(batch);
        }
        at += heads.next_multiple_of(crate::format::ALIGN);
    }
    Ok(())
}

/// Refuses bytes in the segments behind the one in use, where a later batch would stand.
pub(crate) fn check_unused(
    disk: &dyn Disk,
    folder: &Path,
    numbers: &[u32],
    active: &Segment,
    tail: &Tail,
) -> Result<(), Trouble> {
    for &number in numbers.iter().filter(|number| **number > active.number) {
        let unused = Segment::open(disk, folder, number, Access::Read)?;
        if let Some(last) = unused.last_nonzero(HEADER)? {
            // A segment is sealed before the next one is used: one of the two is damaged.
            return Err(Trouble::Damage(match &tail.torn {
                Some(_) => active.damage(tail.end, Reason::Footer),
                None => Damage {
                    segment: number,
                    offset: last,
                    reason: Reason::NotZero,
                },
            }));
        }
    }
    Ok(())
}
