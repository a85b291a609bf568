//! Files that appear whole: under a name that nobody takes for theirs first, then durable, then
//! renamed, and the folder synced. A reader sees all of it or none of it, also after a power cut.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

const PREFIX: &str = ".axis-";
const SUFFIX: &str = ".part";

/// Begins a file in this folder; dropping it leaves nothing behind.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // As any new file: what the umask allows.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Makes the file durable under its name, in the folder in which it was begun, in place of what
/// is there: the bytes first, then the name, then the folder.
///
/// # Errors
/// If the disk refuses; then the name is what it was, or the new file.
pub(crate) fn appear(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// Makes durable that a name is there, or gone.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// A folder that one process works in, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Hold(#[allow(dead_code)] File);

/// What a connector does with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// `axis send --watch`.
    Sends,
    /// `axis receive --follow`.
    Receives,
}

impl Use {
    const fn file(self) -> &'static str {
        match self {
            Self::Sends => ".axis-sends",
            Self::Receives => ".axis-receives",
        }
    }
}

/// Why a folder is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    #[error("another connector works in {}; end it first", .0.display())]
    Taken(PathBuf),
    #[error(
        "{} is the folder of the other direction: what is received there would be sent back. Use one folder to send from and another to receive into",
        .0.display()
    )]
    Other(PathBuf),
    #[error("cannot use the folder {}: {source}", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
}

/// Takes a folder for oneself.
///
/// # Errors
/// See [`HoldError`].
pub(crate) fn take(folder: &Path, of: Use) -> Result<Hold, HoldError> {
    let failed = |source| HoldError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let other = match of {
        Use::Sends => Use::Receives,
        Use::Receives => Use::Sends,
    };
    if folder.join(other.file()).exists() {
        return Err(HoldError::Other(folder.to_owned()));
    }
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(of.file()))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(HoldError::Taken(folder.to_owned())),
        // Not every network file system has locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    Ok(Hold(lock))
}

/// Removes what a process that was killed had begun in a folder that is one's own.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let begun = name
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if begun && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_nobodys_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = begin(folder.path()).unwrap();
        file.write_all(b"half").unwrap();
        assert!(
            names(folder.path())
                .iter()
                .all(|name| name.starts_with('.'))
        );
        let path = folder.path().join("whole");
        appear(file, &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"half");
        assert_eq!(names(folder.path()), ["whole"]);
    }

    #[test]
    fn one_connector_has_a_folder_and_sweeps_what_a_killed_one_left() {
        let folder = tempfile::tempdir().unwrap();
        let left = begin(folder.path()).unwrap().into_temp_path();
        let left = left.keep().unwrap();
        let held = take(folder.path(), Use::Sends).unwrap();
        sweep(folder.path()).unwrap();
        assert!(!left.exists());
        let again = take(folder.path(), Use::Sends);
        assert!(matches!(again, Err(HoldError::Taken(_))), "{again:?}");
        let other = take(folder.path(), Use::Receives);
        assert!(matches!(other, Err(HoldError::Other(_))), "{other:?}");
        drop(held);
        assert!(take(folder.path(), Use::Sends).is_ok());
    }
}
