//! A disk that is well until it is told to fail.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use journal::disk::{Access, Disk, File, Listed, Locking, OsDisk};

/// The system's disk, until [`Sick::fails`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Sick(Arc<AtomicBool>);

impl Sick {
    /// From now on nothing can be synced, or everything again.
    pub(crate) fn fails(&self, fails: bool) {
        self.0.store(fails, Ordering::SeqCst);
    }

    fn file(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(SickFile {
            disk: self.clone(),
            file,
        })
    }
}

#[derive(Debug)]
struct SickFile {
    disk: Sick,
    file: Arc<dyn File>,
}

impl Disk for Sick {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        OsDisk.open(path, access).map(|file| self.file(file))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        OsDisk.create(path).map(|file| self.file(file))
    }

    fn make_folder(&self, path: &Path) -> io::Result<bool> {
        OsDisk.make_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        OsDisk.sync_folder(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        OsDisk.list(path)
    }

    fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        OsDisk.len(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Locking> {
        OsDisk.lock(path)
    }
}

impl File for SickFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.file.write_at(slices, offset)
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.0.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk does not answer"));
        }
        self.file.sync()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.punch_hole(offset, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
