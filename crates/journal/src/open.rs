//! Opening a data folder: from whatever a crash left to a journal that can be written.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ahead::{Ahead, random};
use crate::anchor::Anchor;
use crate::damage::{AtPath, Damage, Reason, TornTail, Trouble};
use crate::disk::{Access, Disk, Held, Locking, folder_of, remove_if_there, write_zeros};
use crate::format::{Footer, HEAD, HEADER};
use crate::payloads::Payloads;
use crate::reader::{ReadError, removal_of};
use crate::removal::{Target, take_away};
use crate::segment::{self, FOLDER, Names, RUNNING, Sealing, Segment};
use crate::shared::{Published, Shared};
use crate::tail::{Tail, check_unused, examine};
use crate::walk::{Run, Step, Walk};
use crate::writer::{Active, Journal, batch_limit};

/// How a journal is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a segment; 4 KiB to 2 GiB, in steps of 4 KiB. Segments that are in use keep
    /// theirs.
    pub segment_size: u64,
    /// Bytes up to which a payload may be stored behind its record.
    pub inline_limit: u64,
    /// How long to wait before a segment that could not be made is tried again.
    pub retry_after: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_size: 64 << 20,
            inline_limit: 256 << 10,
            retry_after: Duration::from_secs(1),
        }
    }
}

/// A journal that was opened, and what was found.
#[derive(Debug)]
pub struct Opened {
    /// The writer.
    pub journal: Journal,
    /// The last record.
    pub last: Option<Anchor>,
    /// An unfinished batch that was cut off.
    pub torn_tail: Option<TornTail>,
    /// Whether the journal ended with a clean stop, or is new.
    pub stopped_cleanly: bool,
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the folder.
    #[error("{} is in use by another process{}", root.display(), pid.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
    Locked {
        /// The data folder.
        root: PathBuf,
        /// That process, if it left its id.
        pid: Option<u32>,
    },
    /// The journal is damaged, and not by a crash.
    #[error("the journal is damaged: {damage}. Run `axis verify --data {}` for the whole picture; nothing was changed", root.display())]
    Damaged {
        /// The data folder.
        root: PathBuf,
        /// What was found first.
        damage: Damage,
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
    /// The options cannot be.
    #[error("{name} cannot be {value}")]
    Options {
        /// The option.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// The disk failed.
    #[error("cannot open the journal: {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The sealed segments, and the one behind them.
struct Layout {
    sealed: Vec<Footer>,
    run: Run,
    active: Arc<Segment>,
    names: Names,
}

impl Journal {
    /// Opens the journal of a data folder, made if there is none, and locks the folder.
    ///
    /// What a crash left is put right: an unfinished last batch is cut off, temporary files
    /// removed, removals finished. Anything else that does not fit is refused, and nothing
    /// written.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(disk: Arc<dyn Disk>, root: &Path, options: Options) -> Result<Opened, OpenError> {
        let size = segment_size(&options)?;
        open(disk, root, options, size).map_err(|failure| match failure {
            Failure::Locked(pid) => OpenError::Locked {
                root: root.to_owned(),
                pid,
            },
            Failure::Trouble(Trouble::Io { path, source }) => OpenError::Io { path, source },
            Failure::Trouble(Trouble::Damage(damage)) => OpenError::Damaged {
                root: root.to_owned(),
                damage,
            },
            Failure::Trouble(Trouble::Newer { path, format }) => OpenError::NewerFormat {
                path,
                format,
                known: crate::format::FORMAT,
            },
        })
    }
}

enum Failure {
    Locked(Option<u32>),
    Trouble(Trouble),
}

impl<T: Into<Trouble>> From<T> for Failure {
    fn from(trouble: T) -> Failure {
        Failure::Trouble(trouble.into())
    }
}

fn segment_size(options: &Options) -> Result<u32, OpenError> {
    let value = options.segment_size;
    let refused = OpenError::Options {
        name: "segment_size",
        value,
    };
    if !(4096..=2 << 30).contains(&value) || !value.is_multiple_of(4096) {
        return Err(refused);
    }
    let size = u32::try_from(value).map_err(|_| refused)?;
    if options.inline_limit + u64::from(HEAD) > batch_limit(size) {
        return Err(OpenError::Options {
            name: "inline_limit",
            value: options.inline_limit,
        });
    }
    Ok(size)
}

fn open(disk: Arc<dyn Disk>, root: &Path, options: Options, size: u32) -> Result<Opened, Failure> {
    let lock = lock(disk.as_ref(), root)?;
    let folder = root.join(FOLDER);
    disk.make_folder(&folder).at(&folder)?;
    let payloads = Payloads::new(Arc::clone(&disk), root, options.inline_limit);
    payloads.make_folders()?;
    disk.sync_folder(root).at(root)?;

    let layout = lay_out(disk.as_ref(), &folder, size)?;
    let removed = removed_in_sealed(disk.as_ref(), &folder, &layout.sealed)?;
    let tail = examine(&layout.active, layout.run, &removed)?;
    check_unused(
        disk.as_ref(),
        &folder,
        &layout.names.segments,
        &layout.active,
        &tail,
    )?;
    if !layout.names.running {
        check_stopped(&layout, &tail)?;
    }
    let stopped_cleanly = tail.torn.is_none() && (tail.stopped || tail.run.position == 1);

    // Everything fits: from here on the folder is changed.
    mark_running(disk.as_ref(), &folder)?;
    payloads.empty_temporary()?;
    for left in &layout.names.unfinished {
        let path = folder.join(left);
        remove_if_there(disk.as_ref(), &path).at(&path)?;
    }
    let stopped_before = !layout.names.running;
    let ready = drop_misfits(disk.as_ref(), &folder, &layout, size)?;
    if !stopped_before {
        settle(disk.as_ref(), &folder, &layout, &tail)?;
    }
    let last = (tail.run.position > 1).then(|| Anchor {
        position: tail.run.position - 1,
        chain: tail.run.chain,
    });
    let mut removed = removed;
    removed.extend(tail.removals.iter().map(|(_, removes)| *removes));
    let published = Published {
        sealed: layout.sealed,
        end: tail.end,
        last,
        removed,
    };
    let ahead = Ahead::new(
        Arc::clone(&disk),
        folder.clone(),
        size,
        options.retry_after,
        ready,
    );
    let shared = Arc::new(Shared::new(disk, folder, payloads, published));
    for (_, removes) in &tail.removals {
        finish_removal(&shared, *removes)?;
    }
    let number = layout.active.number;
    let half_full = tail.end >= layout.active.size / 2;
    ahead.want(number + 1 + u32::from(half_full));
    if let Some(torn) = &tail.torn {
        tracing::warn!(%torn, "an unfinished batch was cut off the journal");
    }
    let journal = Journal {
        shared,
        ahead: Arc::new(ahead),
        active: Active {
            segment: layout.active,
            offset: tail.end,
            first: layout.run.position,
            removals: u32::try_from(tail.removals.len()).unwrap_or(u32::MAX),
        },
        run: tail.run,
        highest_batch: tail.highest_batch,
        stopped: tail.stopped || tail.run.position == 1,
        read_only: false,
        batch_limit: batch_limit(size),
        heads: Vec::new(),
        _lock: lock,
    };
    Ok(Opened {
        journal,
        last,
        torn_tail: tail.torn,
        stopped_cleanly,
    })
}

fn lock(disk: &dyn Disk, root: &Path) -> Result<Box<dyn Held>, Failure> {
    if disk.make_folder(root).at(root)? {
        let parent = folder_of(root);
        disk.sync_folder(parent).at(parent)?;
    }
    let path = root.join("lock");
    match disk.lock(&path).at(&path)? {
        Locking::Held(held) => Ok(held),
        Locking::Taken { pid } => Err(Failure::Locked(pid)),
    }
}

/// Reads headers and footers; makes the first segment of a new journal.
fn lay_out(disk: &dyn Disk, folder: &Path, size: u32) -> Result<Layout, Trouble> {
    let mut names = Names::of(disk.list(folder).at(folder)?);
    names.check_gaps()?;
    if names.segments.is_empty() {
        if names.running {
            return Err(missing(1).into());
        }
        segment::create(disk, folder, 1, size, random()).at(folder)?;
        names.segments.push(1);
    }
    let mut sealed = Vec::new();
    let mut run = Run::START;
    for &number in &names.segments {
        let segment = Segment::open(disk, folder, number, Access::Write)?;
        let Sealing::Sealed(footer) = segment.footer()? else {
            let active = Arc::new(segment);
            return Ok(Layout {
                sealed,
                run,
                active,
                names,
            });
        };
        check_footer(&segment, &run, &footer)?;
        run = Run::after_sealed(&footer);
        sealed.push(footer);
    }
    // The next segment is made before one is sealed.
    let next = names.segments.last().map_or(1, |last| last + 1);
    Err(missing(next).into())
}

fn missing(segment: u32) -> Damage {
    Damage {
        segment,
        offset: 0,
        reason: Reason::SegmentMissing,
    }
}

/// Refuses a footer that does not follow from the one before it.
pub(crate) fn check_footer(segment: &Segment, run: &Run, footer: &Footer) -> Result<(), Damage> {
    let follows = footer.first == run.position
        && footer.last + 1 == footer.first + u64::from(footer.records)
        && footer.batch >= run.batch.number;
    if follows {
        Ok(())
    } else {
        Err(segment.damage(segment.limit(), Reason::FooterDiffers))
    }
}

/// The positions whose payloads were removed by records of sealed segments.
pub(crate) fn removed_in_sealed(
    disk: &dyn Disk,
    folder: &Path,
    sealed: &[Footer],
) -> Result<std::collections::BTreeSet<u64>, Trouble> {
    let mut removed = std::collections::BTreeSet::new();
    let mut run = Run::START;
    for footer in sealed {
        if footer.removals > 0 {
            let segment = Segment::open(disk, folder, footer.segment, Access::Read)?;
            let mut walk = Walk::new(Arc::new(segment), HEADER, run);
            while walk.offset < footer.end {
                let offset = walk.offset;
                match walk.next()? {
                    Step::Record(found) => removed.extend(removal_of(found.head.kind)),
                    Step::Blank => {
                        return Err(walk.segment.damage(offset, Reason::NotARecord).into());
                    }
                    Step::Bad(reason) => return Err(walk.segment.damage(offset, reason).into()),
                }
            }
        }
        run = Run::after_sealed(footer);
    }
    Ok(removed)
}

/// A journal that was stopped cleanly ends with the record of that, and nothing behind it.
fn check_stopped(layout: &Layout, tail: &Tail) -> Result<(), Damage> {
    let new = tail.run.position == 1;
    if tail.torn.is_none() && (tail.stopped || new) {
        return Ok(());
    }
    Err(layout.active.damage(tail.end, Reason::NotAsStopped))
}

/// Also makes durable the names that a killed process may have left unsynced.
fn mark_running(disk: &dyn Disk, folder: &Path) -> Result<(), Trouble> {
    let running = folder.join(RUNNING);
    if disk.len(&running).at(&running)?.is_none() {
        disk.create(&running).at(&running)?;
    }
    disk.sync_folder(folder).at(folder)
}

/// Removes unused segments of another size, the last one first, so that no crash leaves a gap.
/// Returns the highest segment that stays.
fn drop_misfits(
    disk: &dyn Disk,
    folder: &Path,
    layout: &Layout,
    size: u32,
) -> Result<u32, Trouble> {
    let mut ready = layout.active.number;
    let mut misfits = Vec::new();
    for &number in layout
        .names
        .segments
        .iter()
        .filter(|n| **n > layout.active.number)
    {
        let unused = Segment::open(disk, folder, number, Access::Read)?;
        if unused.size == size && misfits.is_empty() {
            ready = number;
        } else {
            misfits.push(unused.path);
        }
    }
    for path in misfits.iter().rev() {
        disk.remove(path).at(path)?;
        disk.sync_folder(folder).at(folder)?;
    }
    Ok(ready)
}

/// Makes durable what was found, and cuts off what was torn.
///
/// What can be read back need not be on the disk: the sync may never have been asked for, or
/// may have failed, after which the system takes the pages for clean and a mere sync does
/// nothing. So what may be in that state is written again: the last batch, the zeros behind it,
/// and the footer before it if the segment in use is still empty.
fn settle(disk: &dyn Disk, folder: &Path, layout: &Layout, tail: &Tail) -> Result<(), Trouble> {
    if let (0, Some(footer)) = (tail.records, layout.sealed.last()) {
        let sealed = Segment::open(disk, folder, footer.segment, Access::Write)?;
        let footer = footer.encode();
        sealed
            .file
            .write_at(&mut [IoSlice::new(&footer)], u64::from(sealed.limit()))
            .at(&sealed.path)?;
        sealed.file.sync().at(&sealed.path)?;
    }
    let active = &layout.active;
    let mut batch = vec![0; (tail.end - tail.last_batch) as usize];
    active.read(&mut batch, tail.last_batch)?;
    let file = active.file.as_ref();
    file.write_at(&mut [IoSlice::new(&batch)], u64::from(tail.last_batch))
        .at(&active.path)?;
    write_zeros(file, u64::from(tail.end), u64::from(active.size)).at(&active.path)?;
    file.sync().at(&active.path)
}

/// Does again what a removal record in the segment in use asks for.
fn finish_removal(shared: &Arc<Shared>, removes: u64) -> Result<(), Trouble> {
    let done = Target::find(shared, removes)
        .and_then(|target| target.map_or(Ok(()), |target| take_away(shared, &target)));
    done.map_err(|error| match error {
        ReadError::Io { path, source } => Trouble::Io { path, source },
        ReadError::Damaged(damage) | ReadError::PayloadDamaged(damage) => Trouble::Damage(damage),
        ReadError::NewerFormat { path, format } => Trouble::Newer { path, format },
        other => Trouble::Io {
            path: shared.folder.clone(),
            source: std::io::Error::other(other),
        },
    })
}
