//! The reckoning: what was sent against the files on the receivers' side. The axis is not asked.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What a receiver is owed: these bytes, once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owed {
    /// The receiver's code.
    pub(crate) receiver: String,
    /// SHA-256 of the bytes.
    pub(crate) sha256: [u8; 32],
}

impl Owed {
    /// These bytes to this receiver.
    pub(crate) fn new(receiver: &str, bytes: &[u8]) -> Self {
        Self {
            receiver: receiver.to_owned(),
            sha256: Sha256::digest(bytes).into(),
        }
    }
}

/// How the comparison came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Files on the receivers' side.
    pub(crate) files: usize,
    /// Owed, and not there byte for byte.
    pub(crate) lost: usize,
    /// There more often than owed.
    pub(crate) doubled: usize,
}

/// Compares what is owed with every file under `folders`, the receivers' folders by code.
///
/// A file that nobody is owed (altered, or another's) is no double of anything: what it should
/// have been is counted as lost.
///
/// # Errors
/// If a folder or file cannot be read.
pub(crate) fn compare(owed: &[Owed], folders: &BTreeMap<String, PathBuf>) -> io::Result<Tally> {
    // For each: copies owed, copies there.
    let mut balance: BTreeMap<Owed, (usize, usize)> = BTreeMap::new();
    for one in owed {
        balance.entry(one.clone()).or_default().0 += 1;
    }
    let mut tally = Tally::default();
    for (receiver, folder) in folders {
        for file in files(folder)? {
            tally.files += 1;
            let found = Owed::new(receiver, &fs::read(file)?);
            balance.entry(found).or_default().1 += 1;
        }
    }
    for (owed, there) in balance.into_values() {
        tally.lost += owed.saturating_sub(there);
        // The first copy of what nobody is owed replaces something; further ones double it.
        tally.doubled += there.saturating_sub(owed.max(1));
    }
    Ok(tally)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        // A receiver to whom nothing came has no folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test's files need not last")]
mod tests {
    use super::*;

    struct Side {
        _root: tempfile::TempDir,
        folders: BTreeMap<String, PathBuf>,
    }

    /// Two receivers, each with the files given.
    fn side(first: &[&[u8]], second: &[&[u8]]) -> Side {
        let root = tempfile::tempdir().unwrap();
        let mut folders = BTreeMap::new();
        for (code, files) in [("H41", first), ("H14", second)] {
            let folder = root.path().join(code);
            fs::create_dir(&folder).unwrap();
            for (n, bytes) in files.iter().enumerate() {
                fs::write(folder.join(n.to_string()), bytes).unwrap();
            }
            folders.insert(code.to_owned(), folder);
        }
        Side {
            _root: root,
            folders,
        }
    }

    fn owed() -> Vec<Owed> {
        vec![
            Owed::new("H41", b"a"),
            Owed::new("H14", b"a"),
            Owed::new("H41", b"b"),
        ]
    }

    fn tally(first: &[&[u8]], second: &[&[u8]]) -> (usize, usize, usize) {
        let Tally {
            files,
            lost,
            doubled,
        } = compare(&owed(), &side(first, second).folders).unwrap();
        (files, lost, doubled)
    }

    #[test]
    fn everything_there_once_is_neither_lost_nor_doubled() {
        assert_eq!(tally(&[b"a", b"b"], &[b"a"]), (3, 0, 0));
    }

    #[test]
    fn what_is_missing_altered_or_at_another_receiver_is_lost() {
        assert_eq!(tally(&[b"a"], &[b"a"]), (2, 1, 0));
        assert_eq!(tally(&[b"a", b"B"], &[b"a"]), (3, 1, 0));
        assert_eq!(tally(&[b"a"], &[b"a", b"b"]), (3, 1, 0));
        assert_eq!(tally(&[], &[]), (0, 3, 0));
    }

    #[test]
    fn what_is_there_again_is_doubled() {
        assert_eq!(tally(&[b"a", b"a", b"b", b"b", b"b"], &[b"a"]), (6, 0, 3));
    }

    #[test]
    fn a_receiver_without_a_folder_has_nothing() {
        let mut side = side(&[b"a", b"b"], &[]);
        side.folders
            .insert("H14".to_owned(), PathBuf::from("no-such-folder"));
        assert_eq!(compare(&owed(), &side.folders).unwrap().lost, 1);
    }
}
