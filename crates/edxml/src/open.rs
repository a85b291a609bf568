//! Opening attachments: the file that people mean, taken out of the ZIP that the national SDK puts
//! around most files (reference section h.3). Nothing in an archive is trusted.

use std::io::{self, Cursor, Read, Seek};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::kind::ContentKind;
use crate::package::Attachment;

/// What opening one attachment may cost before it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenLimits {
    /// Most bytes of the attachment as decoded.
    pub packed: u64,
    /// Most bytes of the file in the ZIP.
    pub unpacked: u64,
    /// Most bytes that one byte of the ZIP may become. Text becomes ten to thirty times smaller;
    /// a bomb a thousand times.
    pub ratio: u64,
}

impl Default for OpenLimits {
    fn default() -> Self {
        OpenLimits {
            packed: 64 << 20,
            unpacked: 256 << 20,
            ratio: 200,
        }
    }
}

/// An attachment opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The file.
    pub bytes: Vec<u8>,
    /// The name that it had in the ZIP around it, if there was one: untrusted, and by the national
    /// SDK random; the name for people is the attachment's.
    pub entry: Option<String>,
}

impl Opened {
    /// What the file really is.
    pub fn kind(&self) -> ContentKind {
        ContentKind::of_file(&self.bytes)
    }
}

/// Why an attachment cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is longer than [`OpenLimits::packed`].
    #[error("the attachment has more than {0} bytes")]
    TooLarge(u64),
    /// The file in the ZIP is longer than [`OpenLimits::unpacked`].
    #[error("the file in the ZIP has more than {0} bytes")]
    TooLargeInside(u64),
    /// The file in the ZIP grows more than [`OpenLimits::ratio`] times.
    #[error("the file in the ZIP becomes more than {0} times as long: a ZIP bomb")]
    Bomb(u64),
    /// The file in the ZIP is encrypted.
    #[error("the file in the ZIP is encrypted")]
    Encrypted,
    /// The archive is damaged, or packed in a way that is not supported.
    #[error("the ZIP cannot be unpacked")]
    Damaged(#[source] ZipError),
    /// The package cannot be read, or its content is not base64.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Attachment {
    /// The file that people mean: the only entry of the ZIP around it where there is such a ZIP
    /// ([`is_wrapped`](Attachment::is_wrapped)), else the content itself. A ZIP inside that ZIP
    /// stays closed.
    ///
    /// `package` is the package that this attachment was read from. For a content without end in
    /// memory use [`decode`](Attachment::decode).
    ///
    /// # Errors
    /// What the limits refuse, a ZIP that cannot be unpacked, and the errors of `package`.
    pub fn open<R: Read + Seek>(
        &self,
        package: R,
        limits: &OpenLimits,
    ) -> Result<Opened, OpenError> {
        if self.decoded_len > limits.packed {
            return Err(OpenError::TooLarge(limits.packed));
        }
        let mut bytes = Vec::new();
        let mut decoder = self.decode(package)?.take(limits.packed.saturating_add(1));
        decoder.read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limits.packed {
            return Err(OpenError::TooLarge(limits.packed));
        }
        let unpacked = if self.is_wrapped() {
            only_entry(&bytes, limits)?
        } else {
            None
        };
        Ok(match unpacked {
            Some((name, inside)) => Opened {
                bytes: inside,
                entry: Some(name),
            },
            None => Opened { bytes, entry: None },
        })
    }
}

/// The one file in an archive; `None` if there are several or none.
fn only_entry(archive: &[u8], limits: &OpenLimits) -> Result<Option<(String, Vec<u8>)>, OpenError> {
    if !says_one_entry(archive) {
        return Ok(None);
    }
    let mut zip = ZipArchive::new(Cursor::new(archive)).map_err(OpenError::Damaged)?;
    if zip.len() != 1 {
        return Ok(None);
    }
    let raw = zip.by_index_raw(0).map_err(OpenError::Damaged)?;
    if raw.is_dir() {
        return Ok(None);
    }
    if raw.encrypted() {
        return Err(OpenError::Encrypted);
    }
    let name = match raw.name() {
        Ok(name) => name.into_owned(),
        Err(_) => String::from_utf8_lossy(raw.name_raw()).into_owned(),
    };
    let announced = raw.size();
    drop(raw);
    // What is announced may be a lie; what comes out is counted all the same.
    let most = limits
        .unpacked
        .min((archive.len() as u64).saturating_mul(limits.ratio));
    let refusal = || {
        if most < limits.unpacked {
            OpenError::Bomb(limits.ratio)
        } else {
            OpenError::TooLargeInside(limits.unpacked)
        }
    };
    if announced > most {
        return Err(refusal());
    }
    let entry = zip.by_index(0).map_err(OpenError::Damaged)?;
    let mut inside = Vec::new();
    entry
        .take(most.saturating_add(1))
        .read_to_end(&mut inside)
        .map_err(|e| OpenError::Damaged(ZipError::Io(e)))?;
    if inside.len() as u64 > most {
        return Err(refusal());
    }
    Ok(Some((name, inside)))
}

/// Whether the record at the archive's end says that there is one entry, in a directory of a size
/// that one entry can have. Asked before anything is made of the archive: one of a million entries
/// costs nothing.
fn says_one_entry(archive: &[u8]) -> bool {
    const RECORD: usize = 22;
    let tail = &archive[archive.len().saturating_sub(RECORD + usize::from(u16::MAX))..];
    let Some(record) =
        memchr::memmem::rfind(tail, b"PK\x05\x06").and_then(|at| tail.get(at..at + RECORD))
    else {
        return false;
    };
    let here = u16::from_le_bytes([record[8], record[9]]);
    let all = u16::from_le_bytes([record[10], record[11]]);
    let size = u32::from_le_bytes([record[12], record[13], record[14], record[15]]);
    here == 1 && all == 1 && size <= 46 + 3 * u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn open(name: &str, content: &[u8], limits: &OpenLimits) -> Result<Opened, OpenError> {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(content);
        let attachment = Attachment {
            name: Some(name.to_owned()),
            encoded: 0..text.len() as u64,
            decoded_len: content.len() as u64,
            magic: content[..content.len().min(16)].to_vec(),
            ..Attachment::default()
        };
        attachment.open(Cursor::new(text.as_bytes()), limits)
    }

    #[test]
    fn one_file_is_taken_out_and_everything_else_left_as_it_is() {
        let limits = OpenLimits::default();
        let one = pack(&[("u-u-i-d.txt", b"xin chao")]);
        let opened = open("a.txt", &one, &limits).unwrap();
        assert_eq!(
            (opened.bytes.as_slice(), opened.entry.as_deref()),
            (&b"xin chao"[..], Some("u-u-i-d.txt"))
        );
        // A name that is absurd is only told.
        let absurd = pack(&[("../../etc/passwd", b"%PDF-1.4")]);
        let opened = open("a.pdf", &absurd, &limits).unwrap();
        assert_eq!(opened.entry.as_deref(), Some("../../etc/passwd"));
        assert_eq!(opened.kind(), ContentKind::Pdf);
        // Closed: a ZIP by nature, several files, none, a folder, a ZIP inside.
        let two = pack(&[("a", b"1"), ("b", b"2")]);
        let mut folder = ZipWriter::new(Cursor::new(Vec::new()));
        folder
            .add_directory("x/", SimpleFileOptions::default())
            .unwrap();
        let folder = folder.finish().unwrap().into_inner();
        for (name, content) in [
            ("a.zip", &one),
            ("a.docx", &one),
            ("a.doc", &two),
            ("a.doc", &folder),
            ("a.doc", &pack(&[])),
        ] {
            let opened = open(name, content, &limits).unwrap();
            assert_eq!((&opened.bytes, opened.entry), (content, None), "{name}");
        }
        let nested = pack(&[("in.zip", &one)]);
        assert_eq!(open("a.doc", &nested, &limits).unwrap().bytes, one);
        assert_eq!(open("a.doc", b"%PDF", &limits).unwrap().bytes, b"%PDF");
    }

    #[test]
    fn what_passes_a_limit_is_refused() {
        let mut limits = OpenLimits::default();
        let zeros = vec![0u8; 4 << 20];
        let bomb = pack(&[("a", &zeros)]);
        assert!(matches!(
            open("a.doc", &bomb, &limits),
            Err(OpenError::Bomb(200))
        ));
        limits.ratio = 5000;
        limits.unpacked = 1 << 20;
        assert!(matches!(
            open("a.doc", &bomb, &limits),
            Err(OpenError::TooLargeInside(_))
        ));
        limits.unpacked = 4 << 20;
        assert_eq!(open("a.doc", &bomb, &limits).unwrap().bytes.len(), 4 << 20);
        limits.packed = 10;
        assert!(matches!(
            open("a.doc", &bomb, &limits),
            Err(OpenError::TooLarge(10))
        ));
        // A size that is announced too small: what comes out is counted, or the archive damaged.
        let mut liar = bomb;
        let limits = OpenLimits::default();
        for at in 0..liar.len() - 4 {
            if liar[at..].starts_with(&(4u32 << 20).to_le_bytes()) {
                liar[at..at + 4].copy_from_slice(&100u32.to_le_bytes());
            }
        }
        assert!(matches!(
            open("a.doc", &liar, &limits),
            Err(OpenError::Bomb(_) | OpenError::Damaged(_))
        ));
    }

    /// Four gigabytes announced by a few bytes: refused before anything is unpacked.
    #[test]
    fn what_is_announced_too_large_is_not_unpacked() {
        let mut liar = pack(&[("a", b"xin chao")]);
        let directory = memchr::memmem::rfind(&liar, b"PK\x01\x02").unwrap();
        for at in [22, directory + 24] {
            liar[at..at + 4].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
        }
        assert!(matches!(
            open("a.doc", &liar, &OpenLimits::default()),
            Err(OpenError::Bomb(_) | OpenError::Damaged(_))
        ));
    }

    #[test]
    fn encrypted_and_damaged_archives_are_named() {
        let limits = OpenLimits::default();
        let mut locked = pack(&[("a", b"xin chao")]);
        let directory = memchr::memmem::rfind(&locked, b"PK\x01\x02").unwrap();
        locked[6] |= 1;
        locked[directory + 8] |= 1;
        assert!(matches!(
            open("a.doc", &locked, &limits),
            Err(OpenError::Encrypted)
        ));
        let mut damaged = pack(&[("a", b"xin chao, xin chao")]);
        damaged[32] ^= 0xFF;
        assert!(matches!(
            open("a.doc", &damaged, &limits),
            Err(OpenError::Damaged(_))
        ));
        // Cut off: no record at the end, so it stays what it is.
        let cut = &locked[..20];
        assert_eq!(open("a.doc", cut, &limits).unwrap().bytes, cut);
    }

    proptest! {
        #[test]
        fn no_archive_makes_it_panic(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut archive = pack(&[("a.txt", b"xin chao xin chao")]);
            for (at, byte) in changes {
                let at = at.index(archive.len());
                archive[at] = byte;
            }
            let _ = open("a.doc", &archive, &OpenLimits::default());
            archive.truncate(cut.index(archive.len()) + 1);
            let _ = open("a.doc", &archive, &OpenLimits::default());
        }
    }
}
