//! Deliveries becoming files: whole and durable under their name, or not there.
//!
//! Of a delivery that was kept and not settled yet a note is left in `.axis-kept`: if this process
//! is killed between the two, the delivery comes again, and whoever took its file meanwhile does
//! not find it there a second time.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::v1;
use tempfile::NamedTempFile;

use crate::appear::{self, Hold, HoldError, Use};
use crate::shape;

/// A folder that receives packages.
#[derive(Debug)]
pub(crate) struct Inbox {
    folder: PathBuf,
    /// Of a connector.
    own: Option<Own>,
}

/// A connector's folder.
#[derive(Debug)]
struct Own {
    _hold: Hold,
    /// Deliveries that were kept, now or before a kill, and not settled as far as is known here.
    kept: Mutex<HashSet<String>>,
}

impl Own {
    fn kept(&self) -> MutexGuard<'_, HashSet<String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the notes are.
const KEPT: &str = ".axis-kept";

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write in {}: {source}", folder.display())]
pub(crate) struct Failed {
    folder: PathBuf,
    source: io::Error,
}

impl Inbox {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failed> {
        let inbox = Self {
            folder: folder.to_owned(),
            own: None,
        };
        fs::create_dir_all(folder).map_err(|source| inbox.failed(source))?;
        Ok(inbox)
    }

    /// Takes the folder for a connector, and sweeps up what one that was killed had begun.
    ///
    /// # Errors
    /// If it cannot be made, or is another connector's.
    pub(crate) fn take(folder: &Path) -> Result<Self, HoldError> {
        let failed = |source| HoldError::Folder {
            folder: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let hold = appear::take(folder, Use::Receives)?;
        let kept = notes(folder).map_err(failed)?;
        appear::sweep(folder).map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            own: Some(Own {
                _hold: hold,
                kept: Mutex::new(kept),
            }),
        })
    }

    /// The name of a delivery that was kept here before and not settled; the file may have been
    /// taken away since.
    pub(crate) fn kept(&self, header: &v1::DeliveryHeader) -> Option<PathBuf> {
        let is_kept = self.own.as_ref()?.kept().contains(&note_name(header));
        is_kept.then(|| self.folder.join(file_name(header)))
    }

    /// A delivery was settled: its note is needed no more.
    pub(crate) fn settled(&self, header: &v1::DeliveryHeader) {
        if let (Some(own), Some(note)) = (&self.own, self.note(header)) {
            own.kept().remove(&note_name(header));
            // One that stays is never asked for again: the round is over.
            let _ = fs::remove_file(note);
        }
    }

    /// Says durably that the file begun is this delivery's, before it gets its name. From then on
    /// it is there under one name or the other.
    fn leave_note(&self, note: &Path, file: &NamedTempFile) -> io::Result<()> {
        let begun = file.path().file_name().unwrap_or_default();
        file.as_file().sync_all()?;
        appear::sync_folder(file.path())?;
        let mut written = File::create(note)?;
        written.write_all(begun.as_encoded_bytes())?;
        written.sync_all()?;
        appear::sync_folder(note)
    }

    fn note(&self, header: &v1::DeliveryHeader) -> Option<PathBuf> {
        self.own.as_ref()?;
        Some(self.folder.join(KEPT).join(note_name(header)))
    }

    fn failed(&self, source: io::Error) -> Failed {
        Failed {
            folder: self.folder.clone(),
            source,
        }
    }

    /// Whether so many bytes can be written here.
    ///
    /// # Errors
    /// If they cannot.
    pub(crate) fn room_for(&self, bytes: u64) -> Result<(), Failed> {
        let write = || {
            let mut file = appear::begin(&self.folder)?;
            io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
            file.as_file().sync_all()
        };
        write().map_err(|source| self.failed(source))
    }

    /// Starts a file for a delivery.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn begin<'a>(
        &'a self,
        header: &'a v1::DeliveryHeader,
    ) -> Result<Arriving<'a>, Failed> {
        let file = appear::begin(&self.folder).map_err(|source| self.failed(source))?;
        Ok(Arriving {
            inbox: self,
            header,
            file,
        })
    }
}

/// A delivery that has begun to arrive; dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Arriving<'a> {
    inbox: &'a Inbox,
    header: &'a v1::DeliveryHeader,
    file: NamedTempFile,
}

impl Arriving<'_> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.file
            .write_all(bytes)
            .map_err(|source| self.inbox.failed(source))
    }

    /// Makes the whole delivery durable under its name: the bytes first, then the name, then the
    /// folder. That the bytes are those of the header was checked while they came.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(crate) fn keep(self) -> Result<PathBuf, Failed> {
        let inbox = self.inbox;
        let path = inbox.folder.join(file_name(self.header));
        let kept = match inbox.note(self.header) {
            None => appear::appear(self.file, &path),
            Some(note) => inbox
                .leave_note(&note, &self.file)
                .and_then(|()| named(self.file, &path, &note)),
        };
        kept.map_err(|source| inbox.failed(source))?;
        if let Some(own) = &inbox.own {
            own.kept().insert(note_name(self.header));
        }
        Ok(path)
    }
}

/// Gives the file its name, or takes the note back; if that fails too, the file begun stays, and
/// tells the next start that the note is not true.
fn named(file: NamedTempFile, path: &Path, note: &Path) -> io::Result<()> {
    if let Err(refused) = file.persist(path) {
        if fs::remove_file(note).is_err() {
            let _ = refused.file.keep();
        }
        return Err(refused.error);
    }
    appear::sync_folder(path)
}

/// The notes of what was kept; those whose file never got its name are removed, and those of
/// long ago, which nobody will ask for.
fn notes(folder: &Path) -> io::Result<HashSet<String>> {
    const LONG_AGO: Duration = Duration::from_secs(90 * 86_400);
    let notes = folder.join(KEPT);
    fs::create_dir_all(&notes)?;
    let mut kept = HashSet::new();
    for entry in fs::read_dir(&notes)? {
        let entry = entry?;
        let begun = fs::read_to_string(entry.path())?;
        let was_named = !begun.is_empty() && !folder.join(begun).exists();
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        match entry.file_name().into_string() {
            Ok(name) if was_named && age < LONG_AGO => {
                kept.insert(name);
            }
            _ => fs::remove_file(entry.path())?,
        }
    }
    Ok(kept)
}

/// The name of a note: of this delivery in this round.
fn note_name(header: &v1::DeliveryHeader) -> String {
    let id = header.delivery_id.chars();
    let id: String = id.filter(|c| c.is_ascii_hexdigit() || *c == '-').collect();
    format!("{id}.{}", header.round)
}

/// A name that is safe on any file system and one for each package and receiver: a delivery that
/// comes again replaces its own file.
fn file_name(header: &v1::DeliveryHeader) -> String {
    let code = shape::code(header.receiver.as_ref());
    let safe: String = code
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .take(64)
        .collect();
    let package = &header.package_id;
    if safe == code && !safe.is_empty() {
        format!("{package}-{safe}.edxml")
    } else {
        // Two codes may look alike once made safe; their deliveries do not.
        let delivery: String = header
            .delivery_id
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(8)
            .collect();
        format!("{package}-{safe}-{delivery}.edxml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(receiver: &str) -> v1::DeliveryHeader {
        v1::DeliveryHeader {
            delivery_id: "6d1f3b0e-5a0c-5b55-9c0e-617869730001".to_owned(),
            package_id: "0123456789ab00070000002a".to_owned(),
            receiver: Some(v1::Agency {
                code: receiver.to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_delivery_becomes_a_whole_file_under_its_name_and_nothing_before() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(&folder.path().join("deep/in")).unwrap();
        let header = header("000.00.00.H41");
        let mut arriving = inbox.begin(&header).unwrap();
        arriving.write(b"one").unwrap();
        arriving.write(b"two").unwrap();
        assert!(
            listing(&inbox.folder)
                .iter()
                .all(|name| name.starts_with(".axis-"))
        );
        let file = arriving.keep().unwrap();
        assert_eq!(
            listing(&inbox.folder),
            ["0123456789ab00070000002a-000.00.00.H41.edxml"]
        );
        assert_eq!(fs::read(file).unwrap(), b"onetwo");
    }

    #[test]
    fn what_is_cut_off_leaves_nothing_and_what_comes_again_replaces_itself() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(folder.path()).unwrap();
        let header = header("H41");
        let mut cut = inbox.begin(&header).unwrap();
        cut.write(b"half").unwrap();
        drop(cut);
        assert!(listing(folder.path()).is_empty());
        for content in [b"one", b"two"] {
            let mut arriving = inbox.begin(&header).unwrap();
            arriving.write(content).unwrap();
            assert_eq!(fs::read(arriving.keep().unwrap()).unwrap(), content);
        }
        assert_eq!(listing(folder.path()).len(), 1);
    }

    #[test]
    fn what_was_kept_and_not_settled_is_known_after_a_restart_and_what_was_not_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::take(folder.path()).unwrap();
        let (kept, settled, cut) = (header("H1"), header("H2"), header("H3"));
        let of = |mut header: v1::DeliveryHeader, n: u32| {
            header.round = n;
            header
        };
        let (kept, settled, cut) = (of(kept, 1), of(settled, 2), of(cut, 3));
        for header in [&kept, &settled] {
            let mut arriving = inbox.begin(header).unwrap();
            arriving.write(b"whole").unwrap();
            arriving.keep().unwrap();
            assert!(
                inbox.kept(header).is_some(),
                "a settle whose answer is lost"
            );
        }
        inbox.settled(&settled);
        assert!(inbox.kept(&settled).is_none());
        // Killed between the note and the name.
        let arriving = inbox.begin(&cut).unwrap();
        inbox
            .leave_note(&inbox.note(&cut).unwrap(), &arriving.file)
            .unwrap();
        let begun = arriving.file.into_temp_path().keep().unwrap();
        drop(inbox);
        // The receiver has taken its file meanwhile.
        fs::remove_file(folder.path().join(file_name(&kept))).unwrap();
        let inbox = Inbox::take(folder.path()).unwrap();
        assert!(inbox.kept(&kept).is_some());
        assert!(inbox.kept(&settled).is_none() && inbox.kept(&cut).is_none());
        assert!(
            inbox.kept(&of(kept, 2)).is_none(),
            "another round is to be delivered"
        );
        assert!(!begun.exists());
    }

    #[test]
    fn a_hostile_code_cannot_leave_the_folder_or_take_anothers_name() {
        for code in ["../../etc/passwd", "H 41", "mã/khác", ""] {
            let name = file_name(&header(code));
            assert!(
                !name.contains('/') && name.ends_with("-6d1f3b0e.edxml"),
                "{name}"
            );
        }
        assert!(file_name(&header(&"x".repeat(500))).len() < 128);
    }
}
