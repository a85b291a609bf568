//! The index: all of sled in one module.
//!
//! sled 0.34.7 is kept to what was seen to hold: one task writes, `flush` only and never
//! `flush_async`, values under 512 bytes, and everything in it can be made again from the
//! journal. It is trusted after a clean close, or when the same boot and the same folder
//! wrote it; else it is removed and made again.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::disk::Disk;
use journal::{Anchor, durable};
use serde::{Deserialize, Serialize};

use crate::fold::FOLD_VERSION;
use crate::layer::Changes;
use crate::rows::Key;

/// The key that holds the anchor up to which rows are written.
const POSITION: &[u8] = b"#position";
/// How long a lock of sled's may outlive its database.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Bytes kept allocated behind the end of sled's file. One failed write ends sled until it is
/// opened anew, and with it every query; so what passes while the disk is full, from the
/// journal's reserve, finds room here.
const RESERVE: u64 = 16 << 20;
/// The largest value that sled may get.
const MAX_VALUE: usize = 512;

/// The index cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// sled failed.
    #[error(
        "the index in {folder} failed; stop the axis, run `axis index rebuild`, start it again"
    )]
    Sled {
        /// Its folder.
        folder: PathBuf,
        /// What sled says.
        source: sled::Error,
    },
    /// Its folder or its mark cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// sled has no kind of its own for this.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn anchor(bytes: &[u8]) -> Option<Anchor> {
    let (position, chain) = bytes.split_first_chunk::<8>()?;
    Some(Anchor {
        position: u64::from_be_bytes(*position),
        chain: chain.try_into().ok()?,
    })
}

/// Who wrote the index, beside it: decides whether it is trusted.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Mark {
    fold_version: u32,
    clean: bool,
    boot: String,
    device: u64,
    inode: u64,
}

/// The rows on disk.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    db: sled::Db,
    folder: Arc<Path>,
}

/// An opened index.
pub(crate) struct OpenedIndex {
    pub(crate) index: Index,
    /// Rows are written up to this record; `None` = empty.
    pub(crate) at: Option<Anchor>,
    /// It was there and could be trusted.
    pub(crate) trusted: bool,
}

impl Index {
    /// Opens the index in `root/index`; removes it first if it cannot be trusted.
    pub(crate) fn open(disk: &dyn Disk, root: &Path) -> Result<OpenedIndex, IndexError> {
        let folder = root.join("index");
        let trusted = Self::trusted(disk, root, &folder);
        if !trusted {
            Self::remove(root)?;
        }
        let opened = match Self::open_sled(&folder) {
            Ok(db) => Ok((db, trusted)),
            Err(IndexError::Sled { source, .. }) if trusted && !is_locked(&source) => {
                tracing::warn!(%source, "the index cannot be opened and is made again");
                // It looked sound and is not: make it again.
                Self::remove(root)?;
                Self::open_sled(&folder).map(|db| (db, false))
            }
            Err(error) => Err(error),
        };
        let (db, trusted) = opened?;
        let index = Self {
            db,
            folder: folder.as_path().into(),
        };
        index.mark(disk, root, false)?;
        index.reserve();
        let at = index
            .db
            .get(POSITION)
            .map_err(|source| index.failed(source))?
            .and_then(|bytes| anchor(&bytes));
        Ok(OpenedIndex {
            index,
            at,
            trusted: trusted && at.is_some(),
        })
    }

    /// Makes sure that the next start does not use it.
    pub(crate) fn distrust(disk: &dyn Disk, root: &Path) -> Result<(), IndexError> {
        let path = root.join("index.mark");
        let removed = match disk.remove(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(source),
            _ => disk.sync_folder(root),
        };
        removed.map_err(|source| IndexError::Io { path, source })
    }

    /// Removes the index and its mark: the next start makes it again.
    pub(crate) fn remove(root: &Path) -> Result<(), IndexError> {
        for path in [root.join("index.mark"), root.join("index")] {
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            match removed {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(IndexError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn open_sled(folder: &Path) -> Result<sled::Db, IndexError> {
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(64 << 20)
            .flush_every_ms(None);
        // Who has the journal's lock may have this one too; but sled's threads give it back
        // a little after the database was dropped.
        let patience = Instant::now() + LOCK_PATIENCE;
        loop {
            match config.open() {
                Ok(db) => return Ok(db),
                // Nothing tells when it is free.
                #[allow(clippy::disallowed_methods)]
                Err(source) if is_locked(&source) && Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(source) => {
                    return Err(IndexError::Sled {
                        folder: folder.to_owned(),
                        source,
                    });
                }
            }
        }
    }

    fn trusted(disk: &dyn Disk, root: &Path, folder: &Path) -> bool {
        let Ok(Some(bytes)) = durable::read_file(disk, &root.join("index.mark")) else {
            return false;
        };
        let (Ok(mark), Ok(here)) = (
            serde_json::from_slice::<Mark>(&bytes),
            Self::here(folder, false),
        ) else {
            return false;
        };
        let same_place = mark.device == here.device && mark.inode == here.inode;
        mark.fold_version == FOLD_VERSION && same_place && (mark.clean || mark.boot == here.boot)
    }

    fn here(folder: &Path, clean: bool) -> std::io::Result<Mark> {
        let metadata = std::fs::metadata(folder)?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(Mark {
            fold_version: FOLD_VERSION,
            clean,
            boot: boot.trim().to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    fn mark(&self, disk: &dyn Disk, root: &Path, clean: bool) -> Result<(), IndexError> {
        let path = root.join("index.mark");
        let io = |source| IndexError::Io {
            path: path.clone(),
            source,
        };
        let mark = Self::here(&self.folder, clean).map_err(io)?;
        let bytes = serde_json::to_vec(&mark).map_err(|e| io(e.into()))?;
        durable::write_file(disk, &path, &bytes).map_err(io)
    }

    /// Writes rows and the record they bring the index to, as one.
    pub(crate) fn write(&self, changes: &Changes, at: Anchor) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => {
                    debug_assert!(value.len() < MAX_VALUE, "{}", value.len());
                    batch.insert(key.as_slice(), value.as_slice());
                }
                None => batch.remove(key.as_slice()),
            }
        }
        batch.insert(
            POSITION,
            [&at.position.to_be_bytes(), &at.chain[..]].concat(),
        );
        self.reserve();
        self.db
            .apply_batch(batch)
            .map_err(|source| self.failed(source))
    }

    /// Allocates what is missing of the reserve, if the disk has room for it.
    fn reserve(&self) {
        let topped_up = std::fs::File::options()
            .write(true)
            .open(self.folder.join("db"))
            .and_then(|file| {
                let metadata = file.metadata()?;
                let allocated = metadata.blocks() * 512;
                if allocated >= metadata.len() + RESERVE / 2 {
                    return Ok(());
                }
                let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
                Ok(rustix::fs::fallocate(&file, keep, metadata.len(), RESERVE)?)
            });
        if let Err(error) = topped_up {
            // The disk is full, or its file system knows no such thing: what is there must do.
            tracing::debug!(%error, "the index's reserve was not topped up");
        }
    }

    /// Hands what is written to the system.
    pub(crate) fn flush(&self) -> Result<(), IndexError> {
        self.db
            .flush()
            .map(drop)
            .map_err(|source| self.failed(source))
    }

    /// Closes in good order: the next start trusts it.
    pub(crate) fn close(&self, disk: &dyn Disk, root: &Path) -> Result<(), IndexError> {
        self.flush()?;
        self.mark(disk, root, true)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let value = self.db.get(key).map_err(|source| self.failed(source))?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// Up to `limit` rows under `prefix`, in key order; backwards from `before` if asked.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, IndexError> {
        let rows = self.db.scan_prefix(prefix).take(limit);
        rows.map(|row| {
            row.map(|(k, v)| (k.to_vec(), v.to_vec()))
                .map_err(|e| self.failed(e))
        })
        .collect()
    }

    /// Up to `limit` rows under `prefix` with keys below `before`, the last first.
    pub(crate) fn scan_back(
        &self,
        prefix: &[u8],
        before: &[u8],
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, IndexError> {
        let rows = self
            .db
            .range(prefix.to_vec()..before.to_vec())
            .rev()
            .take(limit);
        rows.map(|row| {
            row.map(|(k, v)| (k.to_vec(), v.to_vec()))
                .map_err(|e| self.failed(e))
        })
        .collect()
    }

    /// Up to `limit` rows under `prefix` with keys above `after`, the first first.
    pub(crate) fn scan_on(
        &self,
        prefix: &[u8],
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<(Key, Vec<u8>)>, IndexError> {
        use std::ops::Bound;
        let above: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (
            Bound::Excluded(after.max(prefix).to_vec()),
            Bound::Unbounded,
        );
        let rows = self.db.range(above).take(limit);
        rows.take_while(|row| !matches!(row, Ok((key, _)) if !key.starts_with(prefix)))
            .map(|row| {
                row.map(|(k, v)| (k.to_vec(), v.to_vec()))
                    .map_err(|e| self.failed(e))
            })
            .collect()
    }

    fn failed(&self, source: sled::Error) -> IndexError {
        IndexError::Sled {
            folder: self.folder.to_path_buf(),
            source,
        }
    }
}
