//! The seam to the file system: the one place through which durable files are touched.
//!
//! [`OsDisk`] is the real thing; [`sim::SimDisk`] keeps files in memory, fails on command, and
//! rebuilds every state that a power cut may leave.

mod os;
pub mod sim;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use os::OsDisk;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name, without the folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub folder: bool,
}

/// The outcome of asking for a lock.
#[derive(Debug)]
pub enum Locking {
    /// It is ours until the value is dropped.
    Held(Box<dyn Held>),
    /// Another process has it.
    Taken {
        /// That process, if it left its id.
        pid: Option<u32>,
    },
}

/// A held lock; dropping it gives it back.
pub trait Held: Send + Sync + fmt::Debug {}

/// A file system. A name is durable only once its folder is synced, bytes only once their file is.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens an existing file.
    ///
    /// # Errors
    /// `NotFound`, or whatever the system says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;
    /// Makes a new, empty file that only its owner may read, open for writing.
    ///
    /// # Errors
    /// `AlreadyExists`, or whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Makes a folder that only its owner may enter; `false` if it is there already.
    ///
    /// # Errors
    /// Whatever the system says.
    fn make_folder(&self, path: &Path) -> io::Result<bool>;
    /// Gives a file another name, replacing what has it.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    ///
    /// # Errors
    /// `NotFound`, or whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, in no order.
    ///
    /// # Errors
    /// `NotFound`, or whatever the system says.
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>>;
    /// A file's length; `None` if there is no such file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn len(&self, path: &Path) -> io::Result<Option<u64>>;
    /// Locks a file, made if needed, for this process.
    ///
    /// # Errors
    /// Whatever the system says; a taken lock is no error.
    fn lock(&self, path: &Path) -> io::Result<Locking>;
}

/// An open file. Reads and writes name their offset, so that one handle serves many threads.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads at most `buf.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `slices` one behind the other, lengthening the file if needed.
    ///
    /// # Errors
    /// Whatever the system says; any part may have been written then.
    fn write_at(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Makes what was written durable, with the length (`fdatasync`).
    ///
    /// # Errors
    /// Whatever the system says; what was written since the last sync may or may not be durable
    /// then, and a later sync does not tell.
    fn sync(&self) -> io::Result<()>;
    /// Makes a file `len` bytes long, all of them zero and with their space taken.
    ///
    /// # Errors
    /// `StorageFull`, or whatever the system says.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Gives the space of a range back; it reads as zeros afterwards.
    ///
    /// # Errors
    /// Whatever the system says.
    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()>;
    /// The file's length.
    ///
    /// # Errors
    /// Whatever the system says.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Fills `buf`.
///
/// # Errors
/// `UnexpectedEof` if the file ends before, or whatever the system says.
pub(crate) fn read_exact_at(
    file: &dyn File,
    mut buf: &mut [u8],
    mut offset: u64,
) -> io::Result<()> {
    while !buf.is_empty() {
        match file.read_at(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The folder a name stands in; of a bare relative name the empty path, which is the current one.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// Removes a file's name if it is there; says whether it was.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.remove(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// At most 64 KiB of zeros.
pub(crate) fn zeros(len: u64) -> &'static [u8] {
    &ZEROS[..usize::try_from(len).map_or(ZEROS.len(), |len| len.min(ZEROS.len()))]
}

/// Writes zeros from `start` to `end`.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn write_zeros(file: &dyn File, start: u64, end: u64) -> io::Result<()> {
    let mut at = start;
    while at < end {
        let mut slices = [IoSlice::new(&[]); 16];
        let mut len = 0;
        for slice in &mut slices {
            let part = zeros(end - at - len);
            *slice = IoSlice::new(part);
            len += part.len() as u64;
        }
        file.write_at(&mut slices, at)?;
        at += len;
    }
    Ok(())
}

/// The last offset in `start..end` that is not zero.
///
/// # Errors
/// Whatever the system says.
pub(crate) fn last_nonzero(file: &dyn File, start: u64, end: u64) -> io::Result<Option<u64>> {
    let mut buf = vec![0; zeros(end.saturating_sub(start)).len()];
    let mut at = start;
    let mut last = None;
    while at < end {
        let len = zeros(end - at).len();
        let part = &mut buf[..len];
        read_exact_at(file, part, at)?;
        if part != zeros(len as u64) {
            last = part.iter().rposition(|b| *b != 0).map(|i| at + i as u64);
        }
        at += len as u64;
    }
    Ok(last)
}
