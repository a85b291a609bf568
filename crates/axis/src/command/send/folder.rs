//! `axis send --watch`: a folder into which a system drops packages.
//!
//! What became of a file stands beside it: `NAME.receipt.json` or `NAME.error.txt`, with the
//! file's SHA-256. These are all that is remembered. A file without a result of its very bytes is
//! sent; sending the same bytes again brings the first receipt and no second delivery, so it does
//! not matter when this ends, and how.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::appear::{self, Hold, HoldError, Use};

/// The ends of the names of results.
const RECEIPT: &str = ".receipt.json";
const ERROR: &str = ".error.txt";
/// The ends of the names of what is still being written.
const UNFINISHED: [&str; 6] = [".tmp", ".part", ".partial", ".crdownload", ".swp", "~"];
/// A name with a result's end behind it still is a name.
const LONGEST_NAME: usize = 240;
/// How much longer a file that does not read as a package may still be on its way.
const DOUBT: u32 = 5;

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// How long a file must not have changed.
    settled: Duration,
    seen: HashMap<OsString, Seen>,
    _hold: Hold,
}

/// A file as it was last seen.
#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    /// Since when it has looked so.
    since: Instant,
    state: State,
}

/// What is known of a file's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none of these bytes.
    Open,
    /// The receipt was beside it; whoever takes that away has read it.
    Accepted,
    /// The error is beside it; whoever takes that away wants it sent again.
    Refused,
}

/// What changes with a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &fs::Metadata) -> Self {
        Self {
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// A file that is to be sent.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    stamp: Stamp,
    /// SHA-256 of its bytes, lower-case hex.
    sha256: String,
}

/// What became of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome<'a> {
    /// The receipt, JSON.
    Receipt(&'a [u8]),
    /// What is wrong, for people.
    Error(&'a str),
}

impl Folder {
    /// Takes the folder, which must be there.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub(super) fn open(path: &Path, settled: Duration) -> Result<Self, HoldError> {
        let hold = appear::take(path, Use::Sends)?;
        appear::sweep(path).map_err(|source| HoldError::Folder {
            folder: path.to_owned(),
            source,
        })?;
        Ok(Self {
            _hold: hold,
            path: path.to_owned(),
            settled,
            seen: HashMap::new(),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How often to look.
    pub(super) fn every(&self) -> Duration {
        (self.settled / 2).clamp(Duration::from_millis(50), Duration::from_secs(1))
    }

    /// The files that are whole and have no result, the oldest first.
    ///
    /// # Errors
    /// If the folder cannot be read; one file that cannot is passed by.
    pub(super) fn look(&mut self) -> io::Result<Vec<Dropped>> {
        let mut there = HashSet::new();
        let mut errors = HashSet::new();
        let mut settled = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(of) = name.to_str().and_then(|name| name.strip_suffix(ERROR)) {
                errors.insert(OsString::from(of));
            }
            // Of a link the file that it names is somebody else's.
            if !is_candidate(&name) || !entry.file_type()?.is_file() {
                continue;
            }
            let Ok(meta) = entry.metadata() else { continue };
            there.insert(name.clone());
            let stamp = Stamp::of(&meta);
            let seen = self.seen.entry(name.clone()).or_insert_with(|| Seen {
                stamp,
                since: Instant::now(),
                state: State::Open,
            });
            if seen.stamp != stamp {
                *seen = Seen {
                    stamp,
                    since: Instant::now(),
                    state: State::Open,
                };
            }
        }
        self.seen.retain(|name, _| there.contains(name));
        for (name, seen) in &mut self.seen {
            if seen.state == State::Refused && !errors.contains(name) {
                seen.state = State::Open;
            }
            if seen.state == State::Open && seen.since.elapsed() >= self.settled {
                settled.push((seen.stamp.modified, name.clone()));
            }
        }
        settled.sort();
        let names = settled.into_iter().map(|(_, name)| name);
        Ok(names.filter_map(|name| self.examine(name)).collect())
    }

    /// The file if it is to be sent now.
    fn examine(&mut self, name: OsString) -> Option<Dropped> {
        let path = self.path.join(&name);
        let seen = self.seen.get_mut(&name)?;
        let Some((sha256, is_whole)) = read(&path, seen.stamp) else {
            // It changed, or left, under the reading: the next look sees.
            return None;
        };
        if let Some((state, of)) = result_of(&path)
            && of == sha256
        {
            seen.state = state;
            return None;
        }
        // A file that is no package is sent all the same in the end: the axis says what is wrong.
        if !is_whole && seen.since.elapsed() < self.settled * DOUBT {
            return None;
        }
        Some(Dropped {
            stamp: seen.stamp,
            name,
            path,
            sha256,
        })
    }

    /// Whether it still is the file that was examined.
    pub(super) fn is_same(dropped: &Dropped) -> bool {
        let meta = fs::symlink_metadata(&dropped.path);
        meta.is_ok_and(|meta| Stamp::of(&meta) == dropped.stamp)
    }

    /// Puts the result beside the file, in place of an earlier one.
    ///
    /// # Errors
    /// If the disk refuses; then the file is sent again, which brings the first receipt.
    pub(super) fn put(&mut self, dropped: &Dropped, outcome: Outcome<'_>) -> io::Result<()> {
        let (end, other, state) = match outcome {
            Outcome::Receipt(_) => (RECEIPT, ERROR, State::Accepted),
            Outcome::Error(_) => (ERROR, RECEIPT, State::Refused),
        };
        let mut file = appear::begin(&self.path)?;
        match outcome {
            Outcome::Receipt(json) => file.write_all(json)?,
            Outcome::Error(text) => {
                writeln!(file, "SHA-256 {}\n\n{text}", dropped.sha256)?;
            }
        }
        appear::appear(file, &beside(&dropped.path, end))?;
        // The result of other bytes under this name.
        match fs::remove_file(beside(&dropped.path, other)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(seen) = self.seen.get_mut(&dropped.name)
            && seen.stamp == dropped.stamp
        {
            seen.state = state;
        }
        Ok(())
    }
}

fn is_candidate(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    let lower = name.to_string_lossy().to_lowercase();
    !bytes.starts_with(b".")
        && bytes.len() <= LONGEST_NAME
        && ![RECEIPT, ERROR]
            .iter()
            .chain(&UNFINISHED)
            .any(|end| lower.ends_with(end))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The SHA-256 of a file and whether it is a whole package; `None` if it is not as it was seen.
fn read(path: &Path, stamp: Stamp) -> Option<(String, bool)> {
    let file = File::open(path).ok()?;
    let as_seen = |file: &File| file.metadata().is_ok_and(|meta| Stamp::of(&meta) == stamp);
    if !as_seen(&file) {
        return None;
    }
    let mut hashed = Hashed {
        file: &file,
        hash: Sha256::new(),
    };
    let mut source = BufReader::with_capacity(64 << 10, &mut hashed);
    let reading = edxml::read_from(&mut source, &edxml::Limits::default()).ok()?;
    let is_whole = reading.refusal().is_none();
    io::copy(&mut source, &mut io::sink()).ok()?;
    let sha256 = hex(&hashed.hash.finalize());
    as_seen(&file).then_some((sha256, is_whole))
}

/// A file whose bytes are hashed while they are read.
struct Hashed<'a> {
    file: &'a File,
    hash: Sha256,
}

impl Read for Hashed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands beside a file, and the SHA-256 of the bytes that it is about.
fn result_of(path: &Path) -> Option<(State, String)> {
    #[derive(serde::Deserialize)]
    struct Receipt {
        sha256: String,
    }
    if let Ok(json) = fs::read(beside(path, RECEIPT)) {
        let receipt: Option<Receipt> = serde_json::from_slice(&json).ok();
        return receipt.map(|receipt| (State::Accepted, receipt.sha256));
    }
    let text = fs::read_to_string(beside(path, ERROR)).ok()?;
    let sha256 = text.lines().next()?.strip_prefix("SHA-256 ")?;
    Some((State::Refused, sha256.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &[u8] = include_bytes!("../../../../../docs/examples/cong-van.edxml");

    fn folder(settled: Duration) -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), settled).unwrap();
        (dir, folder)
    }

    fn drop_in(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
        let path = dir.path().join(name);
        File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    }

    fn names(dropped: &[Dropped]) -> Vec<&str> {
        dropped.iter().filter_map(|one| one.name.to_str()).collect()
    }

    #[test]
    fn what_is_whole_is_taken_and_what_is_being_written_is_not() {
        let (dir, mut folder) = folder(Duration::ZERO);
        drop_in(&dir, "a.edxml", PACKAGE);
        for name in [
            "b.edxml.tmp",
            "c.PART",
            ".hidden.edxml",
            "d.edxml~",
            "e.edxml.error.txt",
        ] {
            drop_in(&dir, name, PACKAGE);
        }
        fs::create_dir(dir.path().join("folder.edxml")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("a.edxml"), dir.path().join("link")).unwrap();
        assert_eq!(names(&folder.look().unwrap()), ["a.edxml"]);
        // Renamed in, it is there.
        let from = dir.path().join("b.edxml.tmp");
        let mut command = std::process::Command::new("mv");
        assert!(
            command
                .arg(from)
                .arg(dir.path().join("b.edxml"))
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(names(&folder.look().unwrap()).len(), 2);
    }

    #[test]
    fn a_file_that_grows_is_not_taken_until_it_has_settled() {
        let (dir, mut folder) = folder(Duration::from_secs(3_600));
        drop_in(&dir, "a.edxml", &PACKAGE[..100]);
        assert!(folder.look().unwrap().is_empty());
        let first = folder.seen[OsStr::new("a.edxml")].since;
        assert!(folder.look().unwrap().is_empty());
        assert_eq!(
            folder.seen[OsStr::new("a.edxml")].since,
            first,
            "it has not changed"
        );
        drop_in(&dir, "a.edxml", PACKAGE);
        assert!(folder.look().unwrap().is_empty());
        assert!(
            folder.seen[OsStr::new("a.edxml")].since > first,
            "it counts anew"
        );
        folder.settled = Duration::ZERO;
        assert_eq!(names(&folder.look().unwrap()), ["a.edxml"]);
    }

    #[test]
    fn half_a_package_waits_longer_before_the_axis_is_asked_what_is_wrong() {
        let (dir, mut folder) = folder(Duration::from_secs(3_600));
        drop_in(&dir, "a.edxml", &PACKAGE[..PACKAGE.len() / 2]);
        drop_in(&dir, "b.edxml", PACKAGE);
        assert!(folder.look().unwrap().is_empty());
        let long_ago = |folder: &mut Folder, seconds: u64| {
            for seen in folder.seen.values_mut() {
                seen.since = seen
                    .since
                    .checked_sub(Duration::from_secs(seconds))
                    .unwrap();
            }
        };
        folder.settled = Duration::from_secs(10);
        long_ago(&mut folder, 11);
        assert_eq!(names(&folder.look().unwrap()), ["b.edxml"]);
        long_ago(&mut folder, 40);
        let mut both = folder.look().unwrap();
        both.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(names(&both), ["a.edxml", "b.edxml"]);
    }

    #[test]
    fn a_result_answers_for_its_bytes_only_and_over_restarts() {
        let (dir, mut folder) = folder(Duration::ZERO);
        let path = drop_in(&dir, "a.edxml", PACKAGE);
        let dropped = folder.look().unwrap().remove(0);
        assert!(Folder::is_same(&dropped));
        folder.put(&dropped, Outcome::Error("sai")).unwrap();
        assert!(folder.look().unwrap().is_empty());
        // Whoever takes the error away wants it sent again.
        fs::remove_file(beside(&path, ERROR)).unwrap();
        assert_eq!(folder.look().unwrap().len(), 1);
        let json = format!("{{\"sha256\":\"{}\"}}", dropped.sha256);
        folder
            .put(&dropped, Outcome::Receipt(json.as_bytes()))
            .unwrap();
        assert!(!beside(&path, ERROR).exists(), "one result");
        assert!(folder.look().unwrap().is_empty());
        drop(folder);
        let mut folder = Folder::open(dir.path(), Duration::ZERO).unwrap();
        assert!(folder.look().unwrap().is_empty());
        // Other bytes under the name are another package.
        let mut other = PACKAGE.to_vec();
        other.extend_from_slice(b"\r\n");
        drop_in(&dir, "a.edxml", &other);
        assert!(!Folder::is_same(&dropped));
        assert_eq!(folder.look().unwrap().len(), 1);
    }
}
