//! What a journal must hold, kept beside it, and the comparison of the two.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journal::disk::Disk;
use journal::disk::sim::SimDisk;
use journal::{
    Entry, Journal, Kind, Opened, Options, Payload, PayloadRef, ReadError, Reader, Record,
    ScanStart,
};
use sha2::{Digest, Sha256};

pub(crate) const ROOT: &str = "/data";

pub(crate) fn root() -> &'static Path {
    Path::new(ROOT)
}

pub(crate) fn options() -> Options {
    Options {
        segment_size: 8192,
        inline_limit: 2048,
        retry_after: Duration::ZERO,
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Numbers that look random and are the same for a seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll().to_le_bytes()[0] | 1).collect()
    }
}

/// A record that was appended, or tried.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) kind: Kind,
    pub(crate) body: Vec<u8>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) in_file: bool,
}

impl Expected {
    pub(crate) fn entry(&self) -> Entry {
        let payload = match &self.payload {
            None => Payload::None,
            Some(bytes) if self.in_file => Payload::File {
                sha256: sha256(bytes),
                len: bytes.len() as u64,
            },
            Some(bytes) => Payload::Inline {
                sha256: sha256(bytes),
                bytes: Bytes::copy_from_slice(bytes),
            },
        };
        let removes = match self.kind {
            Kind::Removal { removes } => Some(removes),
            _ => None,
        };
        Entry {
            body: Bytes::copy_from_slice(&self.body),
            payload,
            uses_reserve: false,
            removes,
        }
    }

    pub(crate) fn stopped() -> Expected {
        Expected {
            kind: Kind::Stopped,
            body: Vec::new(),
            payload: None,
            in_file: false,
        }
    }

    fn is(&self, record: &Record) -> bool {
        let payload = match &self.payload {
            None => PayloadRef::None,
            Some(bytes) if self.in_file => PayloadRef::File {
                len: bytes.len() as u64,
                sha256: sha256(bytes),
            },
            Some(bytes) => PayloadRef::Inline {
                len: u32::try_from(bytes.len()).unwrap(),
                sha256: sha256(bytes),
            },
        };
        record.kind == self.kind && record.body == self.body && record.payload == payload
    }
}

/// What must be in a journal, and what may be behind that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expectation {
    pub(crate) sure: Vec<Rc<Expected>>,
    pub(crate) may: Vec<Rc<Expected>>,
    /// A payload file that was kept and that no record names yet.
    pub(crate) kept: Option<Vec<u8>>,
    /// What a small durable file beside may hold.
    pub(crate) note: Vec<Option<u64>>,
}

pub(crate) fn open(disk: &SimDisk) -> Result<Opened, String> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Journal::open(disk, root(), options()).map_err(|e| format!("open: {}", chain_of(&e)))
}

pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain_of(source)),
    }
}

/// Everything a reader gives, compared with what is expected; says how many records there are.
pub(crate) fn compare(reader: &Reader, expected: &Expectation) -> Result<usize, String> {
    let records: Vec<Record> = reader
        .scan(ScanStart::Beginning)
        .collect::<Result<_, _>>()
        .map_err(|e| format!("scan: {e}"))?;
    if records.len() < expected.sure.len() {
        return Err(format!(
            "{} records of {} are lost",
            expected.sure.len() - records.len(),
            expected.sure.len()
        ));
    }
    let all: Vec<_> = expected.sure.iter().chain(&expected.may).collect();
    if records.len() > all.len() {
        return Err(format!(
            "{} records were invented",
            records.len() - all.len()
        ));
    }
    let removed: BTreeSet<u64> = records
        .iter()
        .filter_map(|record| match record.kind {
            Kind::Removal { removes } => Some(removes),
            _ => None,
        })
        .collect();
    for ((record, expected), position) in records.iter().zip(all).zip(1..) {
        if record.position != position || !expected.is(record) {
            return Err(format!("record {position} is changed"));
        }
        if reader.record(record.location).ok().as_ref() != Some(record) {
            return Err(format!("record {position} reads otherwise alone"));
        }
        let read = read_payload(reader, record);
        let fits = match (&expected.payload, read) {
            (Some(_), Err(ReadError::Removed { .. })) => removed.contains(&position),
            (None, Err(ReadError::NoPayload { .. })) => true,
            (Some(bytes), Ok(read)) => !removed.contains(&position) && *bytes == read,
            _ => false,
        };
        if !fits {
            return Err(format!("the payload of record {position} is changed"));
        }
    }
    let last = records.last().map(Record::anchor);
    if reader.last() != last {
        return Err("the last record is another one".to_owned());
    }
    Ok(records.len())
}

pub(crate) fn read_payload(reader: &Reader, record: &Record) -> Result<Vec<u8>, ReadError> {
    let mut payload = reader.payload(record.location)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next_chunk(700)? {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes.len() as u64, payload.len());
    Ok(bytes)
}

pub(crate) fn keep(journal: &Journal, bytes: &[u8]) -> std::io::Result<()> {
    let mut temporary = journal.payloads().begin()?;
    for chunk in bytes.chunks(900) {
        temporary.write(chunk)?;
    }
    let kept = temporary.keep()?;
    assert_eq!(kept, (sha256(bytes), bytes.len() as u64));
    Ok(())
}

pub(crate) fn text(what: impl Debug) -> String {
    format!("{what:?}")
}

/// Where a payload file is, and its bytes if it is there.
pub(crate) fn payload_path(bytes: &[u8]) -> std::path::PathBuf {
    let name: String = sha256(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    root().join("payloads").join(&name[..2]).join(&name)
}

/// Whether what records removed is truly gone from the disk, not only from what readers give.
pub(crate) fn removed_is_gone(
    disk: &SimDisk,
    reader: &Reader,
    expected: &[Rc<Expected>],
) -> Result<(), String> {
    for (record, expected) in reader.scan(ScanStart::Beginning).zip(expected) {
        let record = record.map_err(|e| e.to_string())?;
        let Some(bytes) = expected.payload.as_ref().filter(|bytes| !bytes.is_empty()) else {
            continue;
        };
        if !reader.is_removed(record.position) {
            continue;
        }
        let left = if expected.in_file {
            disk.len(&payload_path(bytes))
                .map_err(|e| e.to_string())?
                .is_some()
        } else {
            let path = root().join(format!("journal/{:010}.seg", record.location.segment));
            let file = disk
                .open(&path, journal::disk::Access::Read)
                .map_err(|e| e.to_string())?;
            let mut found = vec![0; bytes.len()];
            let start = u64::from(record.location.offset) + 144 + record.body.len() as u64;
            file.read_at(&mut found, start).map_err(|e| e.to_string())?;
            found.iter().any(|byte| *byte != 0)
        };
        if left {
            return Err(format!(
                "the removed payload of record {} is still there",
                record.position
            ));
        }
    }
    Ok(())
}

/// The same files on another disk, all of them durable.
pub(crate) fn copy(disk: &SimDisk) -> SimDisk {
    let now = disk.now();
    let newest: Vec<_> = now.choices().iter().map(|c| c - 1).collect();
    now.crash(&newest)
}
