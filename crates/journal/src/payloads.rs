//! Payload files: streamed in under a temporary name, kept under their SHA-256.

use std::io::{self, BufRead, BufReader, IoSlice, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::ahead::random;
use crate::anchor::{hex, unhex};
use crate::damage::{AtPath, Trouble};
use crate::disk::{Disk, File, remove_if_there};
use crate::format::Hash;

const FOLDER: &str = "payloads";
const TEMPORARY: &str = "tmp";

/// The payload files of a data folder. Clones are cheap and serve any thread.
#[derive(Clone, Debug)]
pub struct Payloads {
    disk: Arc<dyn Disk>,
    folder: Arc<Path>,
    inline_limit: u64,
}

impl Payloads {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: &Path, inline_limit: u64) -> Payloads {
        Payloads {
            disk,
            folder: root.join(FOLDER).into(),
            inline_limit,
        }
    }

    /// Bytes up to which a payload goes into the record; a larger one must become a file.
    #[must_use]
    pub fn inline_limit(&self) -> u64 {
        self.inline_limit
    }

    /// Begins a payload file that nobody sees yet.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn begin(&self) -> io::Result<Temporary> {
        loop {
            let path = self
                .temporary()
                .join(format!("{:016x}{:016x}", random(), random()));
            match self.disk.create(&path) {
                Ok(file) => {
                    return Ok(Temporary {
                        payloads: self.clone(),
                        path: Some(path),
                        file,
                        hash: Sha256::new(),
                        len: 0,
                    });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn temporary(&self) -> PathBuf {
        self.folder.join(TEMPORARY)
    }

    fn home(&self, sha256: &Hash) -> PathBuf {
        self.folder.join(hex(&sha256[..1]))
    }

    pub(crate) fn path(&self, sha256: &Hash) -> PathBuf {
        self.home(sha256).join(hex(sha256))
    }

    /// Makes the folders.
    ///
    /// Names in them need no sync here: one of a payload is synced when it is kept, and the
    /// temporary folder is made again if it is lost.
    pub(crate) fn make_folders(&self) -> Result<(), Trouble> {
        let temporary = self.temporary();
        for folder in [&*self.folder, &temporary] {
            self.disk.make_folder(folder).at(folder)?;
        }
        Ok(())
    }

    /// Removes what was begun and never kept.
    pub(crate) fn empty_temporary(&self) -> Result<(), Trouble> {
        let temporary = self.temporary();
        for left in self.disk.list(&temporary).at(&temporary)? {
            let path = temporary.join(left.name);
            self.disk.remove(&path).at(&path)?;
        }
        Ok(())
    }

    /// Removes a payload file and makes that durable. Also where the name is gone already the
    /// folder is synced: whoever removed it may not have got that far.
    pub(crate) fn remove(&self, sha256: &Hash) -> Result<(), Trouble> {
        let path = self.path(sha256);
        remove_if_there(self.disk.as_ref(), &path).at(&path)?;
        let home = self.home(sha256);
        match self.disk.sync_folder(&home) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => synced.at(&home),
        }
    }

    /// The SHA-256 that name the files that are there.
    pub(crate) fn names(&self) -> Result<Vec<Hash>, Trouble> {
        let mut names = Vec::new();
        for home in self.disk.list(&self.folder).at(&self.folder)? {
            if !home.folder || home.name == TEMPORARY {
                continue;
            }
            let folder = self.folder.join(&home.name);
            for file in self.disk.list(&folder).at(&folder)? {
                names.extend(unhex::<32>(&file.name).filter(|sha| hex(&sha[..1]) == home.name));
            }
        }
        Ok(names)
    }
}

/// A payload file on its way in. Dropped, it is gone.
#[derive(Debug)]
pub struct Temporary {
    payloads: Payloads,
    /// Taken when the file has got its final name.
    path: Option<PathBuf>,
    file: Arc<dyn File>,
    hash: Sha256,
    len: u64,
}

impl Temporary {
    /// Appends bytes. Each call is one write: bring chunks, not single bytes.
    ///
    /// # Errors
    /// Whatever the disk says; the payload can only be dropped then.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(&mut [IoSlice::new(bytes)], self.len)?;
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// SHA-256 of what was written so far: hashed once, on its way in.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// Reads what was written so far, from the start.
    #[must_use]
    pub fn reader(&self) -> impl BufRead + Send + 'static {
        let from = FromStart {
            file: Arc::clone(&self.file),
            at: 0,
            end: self.len,
        };
        BufReader::with_capacity(64 * 1024, from)
    }

    /// Makes the payload durable under its SHA-256 and returns that and its length. A record
    /// may name it from then on; until one does, a sweep may take it away.
    ///
    /// # Errors
    /// Whatever the disk says; the payload is not kept then.
    pub fn keep(mut self) -> io::Result<([u8; 32], u64)> {
        let sha256: Hash = std::mem::take(&mut self.hash).finalize().into();
        let disk = &self.payloads.disk;
        let home = self.payloads.home(&sha256);
        let path = self.payloads.path(&sha256);
        disk.make_folder(&home)?;
        // One of another length is damaged, and replaced.
        if disk.len(&path)? != Some(self.len) {
            self.file.sync()?;
            if let Some(temporary) = &self.path {
                disk.rename(temporary, &path)?;
                self.path = None;
            }
        }
        // Also for a name that was there: whoever made it may not have got this far.
        disk.sync_folder(&home)?;
        disk.sync_folder(&self.payloads.folder)?;
        Ok((sha256, self.len))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // The next open sweeps what stays.
            if let Err(error) = self.payloads.disk.remove(&path) {
                tracing::debug!(%error, "a temporary payload could not be removed");
            }
        }
    }
}

#[derive(Debug)]
struct FromStart {
    file: Arc<dyn File>,
    at: u64,
    end: u64,
}

impl Read for FromStart {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = buf.len().min(left);
        let read = self.file.read_at(&mut buf[..len], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
