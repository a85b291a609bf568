//! Reading a journal whole and comparing every byte with what its checksums say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::anchor::Anchor;
use crate::damage::{AtPath, Damage, Reason, TornTail, Trouble};
use crate::disk::{Access, Disk, File};
use crate::format::{FORMAT, Footer, HEADER, Hash, PayloadRef};
use crate::open::check_footer;
use crate::payloads::Payloads;
use crate::reader::removal_of;
use crate::segment::{FOLDER, Names, Sealing, Segment};
use crate::tail::{check_inline, check_unused, examine};
use crate::walk::{Found, Run, Step, Walk};

/// What was found in a sound journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments with records.
    pub segments: u32,
    /// Records, each with head, body and payload as they were appended.
    pub records: u64,
    /// Payloads that are there.
    pub payloads: u64,
    /// Bytes of these payloads.
    pub payload_bytes: u64,
    /// Payloads that a record removed.
    pub removed: u64,
    /// The last record.
    pub last: Option<Anchor>,
    /// An unfinished batch behind it, left by a crash; the next open cuts it off.
    pub torn_tail: Option<TornTail>,
    /// Anchors that were compared and fit.
    pub anchors: usize,
}

/// Why a journal was not found sound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Something is not as it was written. Damage of the structure ends the reading; damaged
    /// payloads are all listed, up to a hundred.
    #[error("the journal is damaged: {}", found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Damaged {
        /// What was found, at least one.
        found: Vec<Damage>,
        /// What was sound up to there.
        report: Box<Report>,
    },
    /// The folder has no journal.
    #[error("there is no journal in {}", root.display())]
    NoJournal {
        /// The data folder.
        root: PathBuf,
    },
    /// A newer Axis wrote it.
    #[error("{} is of journal format {format}; this build reads up to format {known}. Use the newer Axis", path.display())]
    NewerFormat {
        /// The segment.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format this build reads.
        known: u32,
    },
    /// The disk failed.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What to verify beyond the journal itself.
#[derive(Default)]
pub struct Verify<'a> {
    /// Anchors to compare with the records at their positions.
    pub anchors: &'a [Anchor],
    /// The last position to read. For a folder whose daemon is running, pass a position that is
    /// durable: what comes behind it may be half-written, and is not looked at.
    pub up_to: Option<u64>,
    /// Told now and then how far it is.
    pub progress: Option<&'a mut dyn FnMut(Progress)>,
}

impl std::fmt::Debug for Verify<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verify")
            .field("anchors", &self.anchors)
            .field("up_to", &self.up_to)
            .finish_non_exhaustive()
    }
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The segment being read.
    pub segment: u32,
    /// Segments there are.
    pub segments: u32,
    /// Records read.
    pub records: u64,
}

/// Reads the journal of a folder whole: structure, chain, every body and payload, unused space.
/// Nothing is written and no lock taken, so a copy can be read, and a stopped folder. For a
/// folder whose daemon runs, use [`Verify::up_to`].
///
/// # Errors
/// See [`VerifyError`].
pub fn verify(disk: Arc<dyn Disk>, root: &Path, anchors: &[Anchor]) -> Result<Report, VerifyError> {
    Verify {
        anchors,
        ..Verify::default()
    }
    .run(disk, root)
}

/// Damaged payloads that are listed.
const LISTED: usize = 100;
/// Records between two words of progress.
const STRIDE: u64 = 1000;

impl Verify<'_> {
    /// Does it; see [`verify`].
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn run(self, disk: Arc<dyn Disk>, root: &Path) -> Result<Report, VerifyError> {
        let folder = root.join(FOLDER);
        let names = match disk.list(&folder) {
            Ok(listed) => Names::of(listed),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Names::default(),
            Err(source) => {
                return Err(VerifyError::Io {
                    path: folder,
                    source,
                });
            }
        };
        if names.segments.is_empty() && !names.running {
            return Err(VerifyError::NoJournal {
                root: root.to_owned(),
            });
        }
        let mut reading = Reading {
            payloads: Payloads::new(Arc::clone(&disk), root, 0),
            disk,
            folder,
            names,
            options: self,
            removed: BTreeSet::new(),
            removed_in_sealed: BTreeSet::new(),
            found: Vec::new(),
            report: Report::default(),
        };
        match reading.run() {
            Ok(()) if reading.found.is_empty() => return Ok(reading.report),
            Ok(()) => {}
            // What ends the reading goes first.
            Err(Trouble::Damage(damage)) => reading.found.insert(0, damage),
            Err(Trouble::Io { path, source }) => return Err(VerifyError::Io { path, source }),
            Err(Trouble::Newer { path, format }) => {
                return Err(VerifyError::NewerFormat {
                    path,
                    format,
                    known: FORMAT,
                });
            }
        }
        Err(VerifyError::Damaged {
            found: reading.found,
            report: Box::new(reading.report),
        })
    }
}

struct Reading<'a> {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    names: Names,
    payloads: Payloads,
    options: Verify<'a>,
    /// The positions whose payloads some record removed.
    removed: BTreeSet<u64>,
    removed_in_sealed: BTreeSet<u64>,
    found: Vec<Damage>,
    report: Report,
}

/// How the reading of one segment ended.
enum Ended {
    Sealed(Footer),
    /// The records end here; what follows must be unused.
    Here,
    /// The position up to which was asked for has come.
    Enough,
}

impl Reading<'_> {
    fn run(&mut self) -> Result<(), Trouble> {
        self.names.check_gaps()?;
        self.collect_removals();
        let mut run = Run::START;
        let mut sealed = 0;
        for number in self.names.segments.clone() {
            self.tell(number);
            let segment = Arc::new(Segment::open(
                self.disk.as_ref(),
                &self.folder,
                number,
                Access::Read,
            )?);
            match self.segment(&segment, run)? {
                Ended::Enough => return Ok(()),
                Ended::Sealed(footer) => {
                    run = Run::after_sealed(&footer);
                    sealed = number;
                }
                Ended::Here => return self.anchors_beyond(segment.size, &segment),
            }
        }
        // The next segment is made before one is sealed.
        Err(Damage {
            segment: sealed + 1,
            offset: 0,
            reason: Reason::SegmentMissing,
        }
        .into())
    }

    fn tell(&mut self, segment: u32) {
        let segments = u32::try_from(self.names.segments.len()).unwrap_or(u32::MAX);
        let records = self.report.records;
        if let Some(progress) = &mut self.options.progress {
            progress(Progress {
                segment,
                segments,
                records,
            });
        }
    }

    /// Reads the heads of all segments for removals. What is wrong is left for the reading
    /// proper to find.
    fn collect_removals(&mut self) {
        let mut run = Run::START;
        for &number in &self.names.segments {
            let opened = Segment::open(self.disk.as_ref(), &self.folder, number, Access::Read);
            let Ok(segment) = opened else { return };
            let sealing = segment.footer();
            let mut walk = Walk::new(Arc::new(segment), HEADER, run);
            let sealed = match sealing {
                Ok(Sealing::Sealed(footer)) if footer.removals == 0 => {
                    run = Run::after_sealed(&footer);
                    continue;
                }
                Ok(Sealing::Sealed(_)) => true,
                _ => false,
            };
            while let Ok(Step::Record(found)) = walk.next() {
                self.removed.extend(removal_of(found.head.kind));
                if sealed {
                    self.removed_in_sealed.extend(removal_of(found.head.kind));
                }
            }
            if !sealed {
                return;
            }
            run = Run {
                batch: crate::format::Batch::closed(walk.run.batch.number),
                ..walk.run
            };
        }
    }

    fn segment(&mut self, segment: &Arc<Segment>, start: Run) -> Result<Ended, Trouble> {
        if let Some(up_to) = self.options.up_to
            && up_to < start.position
        {
            return Ok(Ended::Enough);
        }
        self.report.segments += 1;
        let footer = match segment.footer()? {
            Sealing::Sealed(footer) => footer,
            Sealing::Open | Sealing::Damaged if self.options.up_to.is_none() => {
                return self.unsealed(segment, start).map(|()| Ended::Here);
            }
            // Its writer may be at it: nothing but the records asked for is looked at.
            Sealing::Open | Sealing::Damaged => {
                return self
                    .records(segment, start, segment.limit())
                    .and_then(|walk| match walk {
                        None => Ok(Ended::Enough),
                        Some(walk) => {
                            Err(walk.segment.damage(walk.offset, Reason::NotARecord).into())
                        }
                    });
            }
        };
        check_footer(segment, &start, &footer)?;
        let Some(walk) = self.records(segment, start, footer.end)? else {
            return Ok(Ended::Enough);
        };
        let fits = walk.offset == footer.end
            && walk.run.position == footer.last + 1
            && walk.run.chain == footer.chain
            && walk.run.batch.number <= footer.batch;
        if !fits {
            return Err(segment
                .damage(segment.limit(), Reason::FooterDiffers)
                .into());
        }
        let unused = crate::disk::last_nonzero(
            segment.file.as_ref(),
            u64::from(footer.end),
            u64::from(segment.limit()),
        );
        if unused.at(&segment.path)?.is_some() {
            return Err(segment.damage(footer.end, Reason::NotZero).into());
        }
        Ok(Ended::Sealed(footer))
    }

    /// The records up to `end`; `None` when the last one asked for has come.
    fn records(
        &mut self,
        segment: &Arc<Segment>,
        start: Run,
        end: u32,
    ) -> Result<Option<Walk>, Trouble> {
        let mut walk = Walk::new(Arc::clone(segment), HEADER, start);
        while walk.offset < end {
            let offset = walk.offset;
            let reason = match walk.next()? {
                Step::Record(found) => {
                    self.record(segment, &found)?;
                    if self.options.up_to == Some(found.head.position) {
                        return self.anchors_beyond(found.offset, segment).map(|()| None);
                    }
                    continue;
                }
                Step::Blank => Reason::NotARecord,
                Step::Bad(reason) => reason,
            };
            return Err(segment.damage(offset, reason).into());
        }
        Ok(Some(walk))
    }

    /// The segment in use of a journal that nobody writes.
    fn unsealed(&mut self, segment: &Arc<Segment>, start: Run) -> Result<(), Trouble> {
        let tail = examine(segment, start, &self.removed)?;
        let walk = self.records(segment, start, tail.end)?;
        debug_assert!(
            walk.is_some(),
            "without a last position all records are read"
        );
        let as_stopped = tail.torn.is_none() && (tail.stopped || tail.run.position == 1);
        if !self.names.running && !as_stopped {
            return Err(segment.damage(tail.end, Reason::NotAsStopped).into());
        }
        let (disk, numbers) = (self.disk.as_ref(), &self.names.segments);
        check_unused(disk, &self.folder, numbers, segment, &tail)?;
        self.report.torn_tail = tail.torn;
        Ok(())
    }

    fn anchors_beyond(&self, offset: u32, segment: &Segment) -> Result<(), Trouble> {
        let last = self.report.last.map_or(0, |anchor| anchor.position);
        match self
            .options
            .anchors
            .iter()
            .find(|anchor| anchor.position > last)
        {
            // Position 0 was never given out.
            None if self
                .options
                .anchors
                .iter()
                .all(|anchor| anchor.position > 0) =>
            {
                Ok(())
            }
            beyond => {
                let position = beyond.map_or(0, |anchor| anchor.position);
                Err(segment
                    .damage(offset, Reason::AnchorBeyondEnd { position })
                    .into())
            }
        }
    }

    fn record(&mut self, segment: &Arc<Segment>, found: &Found) -> Result<(), Trouble> {
        let (position, chain) = (found.head.position, found.head.chain);
        self.report.records += 1;
        self.report.last = Some(Anchor { position, chain });
        if self.report.records.is_multiple_of(STRIDE) {
            self.tell(segment.number);
        }
        for anchor in self
            .options
            .anchors
            .iter()
            .filter(|a| a.position == position)
        {
            if anchor.chain != chain {
                let reason = Reason::AnchorDiffers { position };
                return Err(segment.damage(found.offset, reason).into());
            }
            self.report.anchors += 1;
        }
        if self.removed.contains(&position) {
            self.report.removed += 1;
            return self.removed_payload(segment, found);
        }
        let Some(reason) = self.payload(segment, found)? else {
            return Ok(());
        };
        if self.options.up_to.is_some() {
            // The daemon may have removed it since the removals were collected.
            self.collect_removals();
            if self.removed.contains(&position) {
                self.report.removed += 1;
                return Ok(());
            }
        }
        if self.found.len() < LISTED {
            self.found.push(segment.damage(found.offset, reason));
        }
        Ok(())
    }

    /// What a record of a sealed segment removed is gone. A later removal may be unfinished.
    fn removed_payload(&mut self, segment: &Segment, found: &Found) -> Result<(), Trouble> {
        let position = found.head.position;
        let mut start = u64::from(found.payload_offset());
        if !self.removed_in_sealed.contains(&position) {
            start += u64::from(found.head.inline_len());
        }
        let end = u64::from(found.offset) + found.head.stored_len();
        let left = crate::disk::last_nonzero(segment.file.as_ref(), start, end);
        if left.at(&segment.path)?.is_some() && self.found.len() < LISTED {
            self.found
                .push(segment.damage(found.offset, Reason::RemovedPayload { position }));
        }
        Ok(())
    }

    /// What is wrong with a record's payload.
    fn payload(&mut self, segment: &Segment, found: &Found) -> Result<Option<Reason>, Trouble> {
        if let Some(reason) = check_inline(segment, found)? {
            return Ok(Some(reason));
        }
        let position = found.head.position;
        let (hash, len, sha256) = match found.head.payload {
            PayloadRef::None => return Ok(None),
            PayloadRef::Inline { len, sha256 } => {
                let (start, len) = (u64::from(found.payload_offset()), u64::from(len));
                (
                    hash(segment.file.as_ref(), start, len).at(&segment.path)?,
                    len,
                    sha256,
                )
            }
            PayloadRef::File { len, sha256 } => {
                let path = self.payloads.path(&sha256);
                let file = match self.disk.open(&path, Access::Read) {
                    Ok(file) => file,
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        return Ok(Some(Reason::PayloadMissing { position }));
                    }
                    Err(source) => return Err(Trouble::Io { path, source }),
                };
                if file.len().at(&path)? != len {
                    return Ok(Some(Reason::Payload { position }));
                }
                (hash(file.as_ref(), 0, len).at(&path)?, len, sha256)
            }
        };
        if hash != sha256 {
            return Ok(Some(Reason::Payload { position }));
        }
        self.report.payloads += 1;
        self.report.payload_bytes += len;
        Ok(None)
    }
}

/// The SHA-256 of a part of a file.
fn hash(file: &dyn File, mut at: u64, mut left: u64) -> std::io::Result<Hash> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    while left > 0 {
        let len = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        crate::disk::read_exact_at(file, &mut chunk[..len], at)?;
        hash.update(&chunk[..len]);
        at += len as u64;
        left -= len as u64;
    }
    Ok(hash.finalize().into())
}
