//! One segment's file: its name, how it comes to be, its header and footer.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::damage::{AtPath, Damage, Reason, Trouble};
use crate::disk::{Access, Disk, File, Listed, last_nonzero, read_exact_at, remove_if_there};
use crate::format::{BadHeader, FOOTER, Footer, HEAD, HEADER, SegmentHeader};

/// The folder of the segments inside the data folder.
pub(crate) const FOLDER: &str = "journal";
/// The name that stands in it from an open until a clean stop.
pub(crate) const RUNNING: &str = "running";
const UNFINISHED: &str = ".new";

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(crate) size: u32,
    pub(crate) salt: u64,
}

/// What stands in the place of a footer.
pub(crate) enum Sealing {
    Open,
    Sealed(Footer),
    Damaged,
}

pub(crate) fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:010}.seg"))
}

/// The names of a journal's folder, told apart.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The segments' numbers, rising.
    pub(crate) segments: Vec<u32>,
    /// Segments whose making was cut short.
    pub(crate) unfinished: Vec<String>,
    pub(crate) running: bool,
}

impl Names {
    pub(crate) fn of(listed: Vec<Listed>) -> Names {
        let mut names = Names::default();
        for Listed { name, .. } in listed {
            if name == RUNNING {
                names.running = true;
            } else if name.ends_with(UNFINISHED) {
                names.unfinished.push(name);
            } else if let Some(number) = name
                .strip_suffix(".seg")
                .filter(|digits| digits.len() == 10)
                .and_then(|digits| digits.parse().ok())
            {
                names.segments.push(number);
            }
        }
        names.segments.sort_unstable();
        names
    }

    /// Refuses a gap in the numbers.
    pub(crate) fn check_gaps(&self) -> Result<(), Damage> {
        for (number, expected) in self.segments.iter().zip(1..) {
            if *number != expected {
                return Err(Damage {
                    segment: expected,
                    offset: 0,
                    reason: Reason::SegmentMissing,
                });
            }
        }
        Ok(())
    }
}

/// Makes a segment: whole, zeroed and durable under its name when this returns.
pub(crate) fn create(
    disk: &dyn Disk,
    folder: &Path,
    number: u32,
    size: u32,
    salt: u64,
) -> std::io::Result<()> {
    let path = path_of(folder, number);
    let new = folder.join(format!("{number:010}{UNFINISHED}"));
    // Left by an attempt that failed half-way; never used, or it would count as ready.
    for left in [&new, &path] {
        remove_if_there(disk, left)?;
    }
    let made = (|| {
        let file = disk.create(&new)?;
        file.allocate(u64::from(size))?;
        let header = SegmentHeader { number, size, salt }.encode();
        file.write_at(&mut [IoSlice::new(&header)], 0)?;
        file.sync()?;
        disk.rename(&new, &path)
    })();
    if made.is_err() {
        // Gives the space back at once; the open sweeps it otherwise.
        let _ = disk.remove(&new);
    }
    made?;
    disk.sync_folder(folder)
}

impl Segment {
    pub(crate) fn open(
        disk: &dyn Disk,
        folder: &Path,
        number: u32,
        access: Access,
    ) -> Result<Segment, Trouble> {
        let path = path_of(folder, number);
        let file = disk.open(&path, access).at(&path)?;
        let damage = |offset, reason| {
            Trouble::Damage(Damage {
                segment: number,
                offset,
                reason,
            })
        };
        let found = file.len().at(&path)?;
        if found < u64::from(HEADER) {
            return Err(damage(
                found,
                Reason::SegmentLength {
                    expected: u64::from(HEADER),
                    found,
                },
            ));
        }
        let mut bytes = [0; HEADER as usize];
        read_exact_at(file.as_ref(), &mut bytes, 0).at(&path)?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) => header,
            Err(BadHeader::Damaged) => return Err(damage(0, Reason::Header)),
            Err(BadHeader::Newer(format)) => return Err(Trouble::Newer { path, format }),
        };
        if header.number != number || header.size < HEADER + HEAD + FOOTER {
            return Err(damage(0, Reason::Header));
        }
        let expected = u64::from(header.size);
        if found != expected {
            let offset = found.min(expected);
            return Err(damage(offset, Reason::SegmentLength { expected, found }));
        }
        Ok(Segment {
            number,
            path,
            file,
            size: header.size,
            salt: header.salt,
        })
    }

    /// Where records must end.
    pub(crate) fn limit(&self) -> u32 {
        self.size - FOOTER
    }

    pub(crate) fn footer(&self) -> Result<Sealing, Trouble> {
        let mut bytes = [0; FOOTER as usize];
        self.read(&mut bytes, self.limit())?;
        if bytes == [0; FOOTER as usize] {
            return Ok(Sealing::Open);
        }
        Ok(match Footer::decode(&bytes) {
            Some(footer)
                if footer.segment == self.number
                    && footer.salt == self.salt
                    && (HEADER..=self.limit()).contains(&footer.end) =>
            {
                Sealing::Sealed(footer)
            }
            _ => Sealing::Damaged,
        })
    }

    pub(crate) fn read(&self, buf: &mut [u8], offset: u32) -> Result<(), Trouble> {
        read_exact_at(self.file.as_ref(), buf, u64::from(offset)).at(&self.path)
    }

    /// The last byte from `start` to the segment's end that is not zero.
    pub(crate) fn last_nonzero(&self, start: u32) -> Result<Option<u64>, Trouble> {
        last_nonzero(self.file.as_ref(), u64::from(start), u64::from(self.size)).at(&self.path)
    }

    pub(crate) fn damage(&self, offset: u32, reason: Reason) -> Damage {
        Damage {
            segment: self.number,
            offset: u64::from(offset),
            reason,
        }
    }
}
