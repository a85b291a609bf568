//! Small files that must be whole or absent after a power cut: checkpoints, keys.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use crate::disk::{Access, Disk, folder_of, read_exact_at, remove_if_there};

/// Writes a file so that after any crash either the former or the new content is there, whole.
/// On return the new one is durable. Only the owner may read it.
///
/// # Errors
/// Whatever the disk says; the former content may stand or the new one.
pub fn write_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path);
    remove_if_there(disk, &new)?;
    let written = (|| {
        let file = disk.create(&new)?;
        file.write_at(&mut [IoSlice::new(bytes)], 0)?;
        file.sync()?;
        disk.rename(&new, path)
    })();
    if let Err(e) = written {
        // The error told is the first; a remainder is replaced by the next write.
        let _ = disk.remove(&new);
        return Err(e);
    }
    disk.sync_folder(folder_of(path))
}

/// Reads a whole file; `None` if there is none.
///
/// # Errors
/// Whatever the disk says.
pub fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, Access::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    read_exact_at(file.as_ref(), &mut bytes, 0)?;
    Ok(Some(bytes))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    path.with_file_name(name)
}
