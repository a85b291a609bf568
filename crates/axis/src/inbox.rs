//! Deliveries becoming files: whole and durable under their name, or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use api::v1;
use tempfile::NamedTempFile;

use crate::shape;

/// A folder that receives packages.
#[derive(Debug)]
pub(crate) struct Inbox {
    folder: PathBuf,
}

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
        };
        fs::create_dir_all(folder).map_err(|source| inbox.failed(source))?;
        Ok(inbox)
    }

    fn failed(&self, source: io::Error) -> Failed {
        Failed {
            folder: self.folder.clone(),
            source,
        }
    }

    /// Starts a file for a delivery.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn begin<'a>(
        &'a self,
        header: &'a v1::DeliveryHeader,
    ) -> Result<Arriving<'a>, Failed> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".axis-").suffix(".part");
        // As any new file: what the umask allows.
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder
            .tempfile_in(&self.folder)
            .map_err(|source| self.failed(source))?;
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
        let path = self.inbox.folder.join(file_name(self.header));
        let kept = self.file.as_file().sync_all().and_then(|()| {
            self.file.persist(&path).map_err(|error| error.error)?;
            File::open(&self.inbox.folder)?.sync_all()
        });
        kept.map_err(|source| self.inbox.failed(source))?;
        Ok(path)
    }
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
