//! Truncation at every offset and a flipped bit at every byte of a small journal: damage is
//! named with its place, a torn tail only ever takes from the last batch, and nothing changed
//! is ever returned.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use journal::disk::sim::SimDisk;
use journal::disk::{Access, Disk};
use journal::{Anchor, Journal, Kind, OpenError, Options, Reason, ScanStart, VerifyError, verify};

use crate::world::{
    Dice, Expectation, Expected, compare, copy, keep, options, payload_path, read_payload, root,
    text,
};

/// A small journal: sealed segments, one in use with several batches, one unused.
struct Small {
    disk: SimDisk,
    now: Expectation,
    /// Records before the last batch, and where that begins and ends.
    before: usize,
    segment: u32,
    batch: std::ops::Range<u32>,
    anchors: Vec<Anchor>,
}

fn small_options() -> Options {
    Options {
        segment_size: 4096,
        inline_limit: 512,
        ..options()
    }
}

fn open(disk: &SimDisk) -> Result<journal::Opened, OpenError> {
    Journal::open(Arc::new(disk.clone()), root(), small_options())
}

fn small() -> Small {
    let disk = SimDisk::new();
    let mut journal = open(&disk).unwrap().journal;
    let mut dice = Dice(5);
    let mut small = Small {
        disk,
        now: Expectation::default(),
        before: 0,
        segment: 0,
        batch: 0..0,
        anchors: Vec::new(),
    };
    loop {
        let batch: Vec<_> = (0..2u8)
            .map(|n| Expected {
                kind: Kind::Data,
                body: dice.bytes(20),
                payload: Some(dice.bytes(150)),
                in_file: n == 1 && small.now.sure.len() == 4,
            })
            .collect();
        for expected in batch.iter().filter(|expected| expected.in_file) {
            keep(&journal, expected.payload.as_deref().unwrap()).unwrap();
        }
        let entries: Vec<_> = batch.iter().map(Expected::entry).collect();
        small.before = small.now.sure.len();
        let written = journal.append(&entries).unwrap();
        small
            .anchors
            .extend(written.iter().map(journal::Written::anchor));
        small.now.sure.extend(batch.into_iter().map(Rc::new));
        small.segment = written[0].location.segment;
        let len: u64 = entries.iter().map(journal::Entry::stored_len).sum();
        let start = written[0].location.offset;
        small.batch = start..start + u32::try_from(len).unwrap();
        if small.segment == 3 && start > 1500 {
            drop(journal);
            small.disk = copy(&small.disk);
            return small;
        }
    }
}

fn path(segment: u32) -> PathBuf {
    root().join(format!("journal/{segment:010}.seg"))
}

fn content(disk: &SimDisk, path: &Path) -> Vec<u8> {
    let len = Disk::len(disk, path).unwrap().unwrap();
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    let file = disk.open(path, Access::Read).unwrap();
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn set(disk: &SimDisk, path: &Path, offset: usize, byte: u8) {
    let file = disk.open(path, Access::Write).unwrap();
    file.write_at(&mut [IoSlice::new(&[byte])], offset as u64)
        .unwrap();
}

/// Every byte that was written, and some of those that were not.
fn bytes_to_flip(content: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let end = content.iter().rposition(|b| *b != 0).unwrap() + 8;
    (0..content.len())
        .filter(move |at| content[*at] != 0 || *at < end && at % 3 == 0 || at % 61 == 0)
}

/// What opening and reading a damaged copy gives; `Ok` holds the number of records that are
/// left, all of them unchanged.
fn use_it(disk: &SimDisk, now: &Expectation) -> Result<usize, String> {
    let opened = open(disk).map_err(text)?;
    let reader = opened.journal.reader();
    let left = reader
        .last()
        .map_or(0, |last| usize::try_from(last.position).unwrap());
    for (record, expected) in reader.scan(ScanStart::Beginning).zip(&now.sure) {
        let record = record.map_err(text)?;
        assert_eq!(record.body, expected.body, "a changed body was returned");
        let payload = read_payload(&reader, &record).map_err(text)?;
        assert_eq!(
            Some(&payload),
            expected.payload.as_ref(),
            "a changed payload was returned"
        );
    }
    assert!(
        left == now.sure.len() || opened.torn_tail.is_some(),
        "records went without a word"
    );
    Ok(left)
}

#[test]
fn a_flipped_bit_is_named_or_cut_off_with_the_last_batch() {
    let small = small();
    assert_eq!(use_it(&small.disk, &small.now), Ok(small.now.sure.len()));
    let mut cut = 0;
    for segment in 1..=4 {
        let path = path(segment);
        let content = content(&small.disk, &path);
        for at in bytes_to_flip(&content) {
            let disk = &copy(&small.disk);
            set(disk, &path, at, content[at] ^ (1 << (at % 8)));
            // From the last batch on a crash may have been at work.
            let last = segment == small.segment && at >= small.batch.start as usize;
            let place = format!("segment {segment}, byte {at}");
            match verify(Arc::new(disk.clone()), root(), &[]) {
                Ok(report) => {
                    assert!(
                        last && report.torn_tail.is_some(),
                        "{place} was passed over"
                    );
                    assert!(
                        report.records >= small.before as u64,
                        "{place} took too much"
                    );
                    cut += 1;
                }
                Err(VerifyError::Damaged { found, .. }) => {
                    assert_eq!(found[0].segment, segment, "{place}: {}", found[0]);
                    assert!(found[0].offset <= at as u64, "{place}: {}", found[0]);
                }
                Err(e) => panic!("{place}: {e}"),
            }
            // Whatever was cut off, the anchors given out for it tell.
            assert!(
                verify(Arc::new(disk.clone()), root(), &small.anchors).is_err()
                    || at >= small.batch.end as usize,
                "{place}"
            );
            match use_it(disk, &small.now) {
                // Padding of a sealed segment is read by `verify` alone.
                Ok(left) if segment < small.segment => {
                    assert_eq!(left, small.now.sure.len(), "{place}");
                }
                Ok(left) => assert!(last && left >= small.before, "{place}: {left} are left"),
                Err(said) => assert!(
                    said.contains(&format!("segment: {segment}")),
                    "{place}: {said}"
                ),
            }
        }
    }
    assert!(cut > 100, "the last batch was never cut");
}

#[test]
fn after_a_clean_stop_no_flipped_bit_is_a_torn_tail() {
    let small = small();
    open(&small.disk).unwrap().journal.stop().unwrap();
    let stopped = copy(&small.disk);
    let path = path(small.segment);
    let content = content(&stopped, &path);
    for at in bytes_to_flip(&content).filter(|at| *at >= small.batch.start as usize) {
        let disk = &copy(&stopped);
        set(disk, &path, at, content[at] ^ (1 << (at % 8)));
        let said = verify(Arc::new(disk.clone()), root(), &[])
            .map_err(text)
            .unwrap_err();
        assert!(
            said.contains(&format!("segment: {}", small.segment)),
            "byte {at}: {said}"
        );
        match open(disk) {
            Err(OpenError::Damaged { damage, .. }) => assert_eq!(damage.segment, small.segment),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

/// Replaces a file by its first bytes.
fn truncate(disk: &SimDisk, path: &Path, content: &[u8], len: usize) {
    disk.remove(path).unwrap();
    let file = disk.create(path).unwrap();
    file.write_at(&mut [IoSlice::new(&content[..len])], 0)
        .unwrap();
}

#[test]
fn a_truncated_segment_is_refused_at_every_length() {
    let small = small();
    for segment in 1..=4 {
        let disk = copy(&small.disk);
        let content = content(&disk, &path(segment));
        let step = if segment == small.segment { 1 } else { 97 };
        for len in (0..content.len()).rev().step_by(step) {
            truncate(&disk, &path(segment), &content, len);
            match open(&disk) {
                Err(OpenError::Damaged { damage, .. }) => assert_eq!(damage.segment, segment),
                other => panic!("segment {segment} of {len} bytes: {other:?}"),
            }
            match verify(Arc::new(disk.clone()), root(), &[]) {
                Err(VerifyError::Damaged { found, .. }) => assert_eq!(found[0].segment, segment),
                other => panic!("segment {segment} of {len} bytes: {other:?}"),
            }
        }
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let small = small();
    for (segment, last) in [(1, 1), (2, 2), (3, 3), (1, 4), (2, 4), (3, 4)] {
        let disk = copy(&small.disk);
        for segment in segment..=last {
            disk.remove(&path(segment)).unwrap();
        }
        for damage in [
            match open(&disk) {
                Err(OpenError::Damaged { damage, .. }) => damage,
                other => panic!("{other:?}"),
            },
            match verify(Arc::new(disk.clone()), root(), &[]) {
                Err(VerifyError::Damaged { found, .. }) => found[0].clone(),
                other => panic!("{other:?}"),
            },
        ] {
            assert_eq!(
                (damage.segment, damage.reason),
                (segment, Reason::SegmentMissing),
                "{segment} to {last}"
            );
        }
    }
}

#[test]
fn a_damaged_payload_file_is_named_and_its_last_chunk_kept_back() {
    let small = small();
    let disk = &small.disk;
    let (position, expected) = (1..)
        .zip(&small.now.sure)
        .find(|(_, expected)| expected.in_file)
        .unwrap();
    let bytes = expected.payload.as_ref().unwrap();
    let path = payload_path(bytes);
    let expect = |reason: &Reason| match verify(Arc::new(disk.clone()), root(), &[]) {
        Err(VerifyError::Damaged { found, .. }) => assert_eq!(found[0].reason, *reason),
        other => panic!("{other:?}"),
    };
    for at in 0..bytes.len() {
        set(disk, &path, at, bytes[at] ^ 4);
        expect(&Reason::Payload { position });
        let opened = open(&copy(disk)).unwrap();
        let reader = opened.journal.reader();
        let record = reader
            .scan(ScanStart::After(position - 1))
            .next()
            .unwrap()
            .unwrap();
        let mut payload = reader.payload(record.location).unwrap();
        let mut given = 0;
        let error = loop {
            match payload.next_chunk(64) {
                Ok(chunk) => given += chunk.expect("the end of a damaged payload").len(),
                Err(e) => break e,
            }
        };
        assert!(
            matches!(error, journal::ReadError::PayloadDamaged(_)),
            "{error}"
        );
        assert!(given < bytes.len());
        set(disk, &path, at, bytes[at]);
    }
    truncate(disk, &path, bytes, bytes.len() - 1);
    expect(&Reason::Payload { position });
    disk.remove(&path).unwrap();
    expect(&Reason::PayloadMissing { position });
    assert!(
        use_it(disk, &small.now)
            .unwrap_err()
            .contains("PayloadMissing")
    );
}

#[test]
fn anchors_tell_a_truncated_journal_and_a_rewritten_one() {
    let small = small();
    verify(Arc::new(small.disk.clone()), root(), &small.anchors).unwrap();
    let mut other = small.anchors.clone();
    other[1].chain[0] ^= 1;
    let beyond = [Anchor {
        position: 1000,
        chain: [0; 32],
    }];
    for (anchors, reason) in [
        (&other[..], Reason::AnchorDiffers { position: 2 }),
        (&beyond[..], Reason::AnchorBeyondEnd { position: 1000 }),
    ] {
        match verify(Arc::new(small.disk.clone()), root(), anchors) {
            Err(VerifyError::Damaged { found, .. }) => assert_eq!(found[0].reason, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_payload_cannot_pose_as_a_later_batch() {
    // A head of a far later batch, sent in as a payload, and a crash that tears its record.
    let refused_with_salt_of = |segment: u32| {
        let small = small();
        let disk = copy(&small.disk);
        let mut journal = open(&disk).unwrap().journal;
        let mut forged = content(&disk, &path(segment))[64..64 + 144].to_vec();
        forged[32..40].fill(0x7f);
        // Where the payload begins, a record may begin too.
        let expected = Expected {
            kind: Kind::Data,
            body: Vec::new(),
            payload: Some(forged),
            in_file: false,
        };
        let written = journal.append(&[expected.entry()]).unwrap();
        assert_eq!(written[0].location.segment, small.segment);
        drop(journal);
        let offset = written[0].location.offset as usize;
        set(&disk, &path(small.segment), offset + 20, 0xff);
        match open(&disk) {
            Ok(opened) => {
                assert_eq!(opened.torn_tail.unwrap().offset, offset as u64);
                compare(&opened.journal.reader(), &small.now).unwrap();
                false
            }
            Err(OpenError::Damaged { .. }) => true,
            Err(e) => panic!("{e}"),
        }
    };
    assert!(!refused_with_salt_of(2));
    // It is the salt that keeps it from that, and a sender cannot know the segment's.
    assert!(refused_with_salt_of(3));
}

#[test]
fn an_edit_with_a_right_checksum_breaks_the_chain() {
    for (segment, mends_chain) in [(1, false), (1, true), (3, false), (3, true)] {
        let small = small();
        let disk = &small.disk;
        let path = path(segment);
        let mut bytes = content(disk, &path);
        // The first record of the segment: its body changed, its checksum made to fit, and by a
        // careful hand its chain too, which the next record then does not follow from.
        bytes[64 + 144] ^= 1;
        let record = |bytes: &[u8]| (bytes[64..64 + 108].to_vec(), bytes[208..228].to_vec());
        let (fields, body) = record(&bytes);
        if mends_chain {
            let before = [0; 32];
            let previous = if segment == 1 {
                &before[..]
            } else {
                let last = small.anchors.iter().rev();
                let first = u64::from_le_bytes(bytes[80..88].try_into().unwrap());
                &last
                    .into_iter()
                    .find(|a| a.position + 1 == first)
                    .unwrap()
                    .chain[..]
            };
            let chain = crate::world::sha256(&[previous, &fields, &body].concat());
            bytes[64 + 112..64 + 144].copy_from_slice(&chain);
        }
        let crc = crc32c::crc32c(&[&fields, &bytes[64 + 112..64 + 144], &body].concat());
        bytes[64 + 108..64 + 112].copy_from_slice(&crc.to_le_bytes());
        for (at, byte) in bytes.iter().enumerate().take(256) {
            set(disk, &path, at, *byte);
        }
        let said = verify(Arc::new(disk.clone()), root(), &[])
            .map_err(text)
            .unwrap_err();
        assert!(
            said.contains("Chain") && said.contains(&format!("segment: {segment}")),
            "{said}"
        );
        let said = match open(disk) {
            Err(e) => text(e),
            Ok(opened) => {
                let broken = opened
                    .journal
                    .reader()
                    .scan(ScanStart::Beginning)
                    .find_map(Result::err);
                text(broken.unwrap())
            }
        };
        assert!(said.contains("Chain"), "{said}");
    }
}
