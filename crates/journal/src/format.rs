//! The bytes of the journal, format 1.
//!
//! All numbers are little-endian; every part begins at a multiple of 8 bytes. A data folder holds
//!
//! ```text
//! lock                        held by the process that owns the folder
//! journal/0000000001.seg …    segments, numbered without a gap from 1
//! journal/running             there from an open until a clean stop
//! payloads/ab/abcd…           payload files, named by their SHA-256
//! payloads/tmp/…              payloads that are not kept yet
//! ```
//!
//! A segment has a fixed size, zeros where nothing was written, and three parts: a header (64
//! bytes), records, and in its last 128 bytes, once it is sealed, a footer.
//!
//! ```text
//! segment header                       record head (144 bytes)
//!  0  8  "AXISJRNL"                      0  4  "AXRC"
//!  8  4  format (1)                      4  2  format (1)
//! 12  4  CRC32C of bytes 0..12           6  1  kind: 1 data, 2 removal, 3 stopped
//! 16  4  segment number                  7  1  payload: 0 none, 1 inline, 2 file
//! 20  4  size of the segment             8  8  salt of the segment
//! 24  8  salt                           16  8  position
//! 32 28  zero                           24  8  batch number
//! 60  4  CRC32C of bytes 0..60          32  8  position of the batch's first record
//!                                       40  4  records in the batch
//! footer (last 128 bytes)               44  4  bytes of the batch, padding included
//!  0  4  "AXRF"                         48  4  segment number
//!  4  2  format (1)                     52  4  length of the body
//!  6  2  zero                           56  8  length of the payload
//!  8  4  segment number                 64  8  position whose payload this record removes, or 0
//! 12  4  records                        72 32  SHA-256 of the payload, or zeros
//! 16  8  position of the first record  104  4  CRC32C of an inline payload, or 0
//! 24  8  position of the last record   108  4  CRC32C of bytes 0..108, 112..144 and the body
//! 32  8  highest batch number          112 32  chain
//! 40  4  end of the last record
//! 44  4  removal records
//! 48  8  salt
//! 56 32  chain of the last record
//! 88 36  zero
//! 124 4  CRC32C of bytes 0..124
//! ```
//!
//! Behind a head stand the body, an inline payload, and zeros up to the next multiple of 8. The
//! first sixteen bytes of a segment's header keep their meaning in every later format, so that a
//! newer one can be named instead of being taken for damage.
//!
//! The **chain** of a record is SHA-256 over the chain of the record before it (zeros before the
//! first), bytes 0..108 of its head, and its body. A payload enters it by its SHA-256.
//!
//! The **salt** is drawn at random for each segment. It keeps a payload from posing as a record:
//! who sends a payload cannot know it.
//!
//! A batch is what one sync made durable: records with one batch number, in one segment. Batch
//! numbers rise; a batch may stand with fewer records than it announces only where a torn tail
//! was cut behind it.

use sha2::{Digest, Sha256};

use crate::damage::Reason;

/// The newest format this build reads, and the one it writes.
pub const FORMAT: u32 = 1;
/// Bytes of a segment's header.
pub(crate) const HEADER: u32 = 64;
/// Bytes of a record's head.
pub(crate) const HEAD: u32 = 144;
/// Bytes of a sealed segment's footer.
pub(crate) const FOOTER: u32 = 128;
/// Every record begins at a multiple of this.
pub(crate) const ALIGN: u32 = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"AXISJRNL";
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"AXRC";
const FOOTER_MAGIC: [u8; 4] = *b"AXRF";
const RECORD_FORMAT: u16 = 1;
/// Where the checksum stands in a head; what stands before it enters the chain.
const HEAD_CRC: usize = 108;
const HEAD_CHAIN: usize = 112;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut n = [0; 2];
    n.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(n)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut n = [0; 4];
    n.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(n)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut n = [0; 8];
    n.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(n)
}

fn hash_at(bytes: &[u8], at: usize) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(&bytes[at..at + 32]);
    hash
}

/// `len` up to the next record's beginning.
pub(crate) const fn aligned(len: u64) -> u64 {
    len.next_multiple_of(ALIGN as u64)
}

/// What the first bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) size: u32,
    pub(crate) salt: u64,
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged,
    Newer(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER as usize] {
        let mut b = [0; HEADER as usize];
        b[..8].copy_from_slice(&SEGMENT_MAGIC);
        b[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        let start = crc32c::crc32c(&b[..12]);
        b[12..16].copy_from_slice(&start.to_le_bytes());
        b[16..20].copy_from_slice(&self.number.to_le_bytes());
        b[20..24].copy_from_slice(&self.size.to_le_bytes());
        b[24..32].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&b[..60]);
        b[60..].copy_from_slice(&crc.to_le_bytes());
        b
    }

    pub(crate) fn decode(b: &[u8; HEADER as usize]) -> Result<SegmentHeader, BadHeader> {
        if b[..8] != SEGMENT_MAGIC || u32_at(b, 12) != crc32c::crc32c(&b[..12]) {
            return Err(BadHeader::Damaged);
        }
        let format = u32_at(b, 8);
        if format > FORMAT {
            return Err(BadHeader::Newer(format));
        }
        if format != FORMAT || u32_at(b, 60) != crc32c::crc32c(&b[..60]) {
            return Err(BadHeader::Damaged);
        }
        Ok(SegmentHeader {
            number: u32_at(b, 16),
            size: u32_at(b, 20),
            salt: u64_at(b, 24),
        })
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was appended.
    Data,
    /// Appended too, and it takes the payload of an earlier record away.
    Removal {
        /// The position of that record.
        removes: u64,
    },
    /// The journal was stopped cleanly here; body and payload are empty.
    Stopped,
}

/// What a record says of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadRef {
    /// It has none.
    None,
    /// It stands behind the body.
    Inline {
        /// Its bytes.
        len: u32,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
    /// It is a payload file.
    File {
        /// Its bytes.
        len: u64,
        /// Their SHA-256, and the file's name.
        sha256: [u8; 32],
    },
}

/// The batch a record belongs to, as its head has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) len: u32,
}

impl Batch {
    /// A batch that nothing can continue: where a segment or the journal begins.
    pub(crate) const fn closed(number: u64) -> Batch {
        Batch {
            number,
            first: 0,
            count: 0,
            len: 0,
        }
    }
}

/// A record's head without its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) payload: PayloadRef,
    pub(crate) payload_crc: u32,
    pub(crate) salt: u64,
    pub(crate) position: u64,
    pub(crate) batch: Batch,
    pub(crate) segment: u32,
    pub(crate) body_len: u32,
    pub(crate) chain: Hash,
}

impl Head {
    /// Writes the head's bytes, checksum and chain included, and returns the chain.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, previous: &Hash, body: &[u8]) -> Hash {
        let start = out.len();
        let (kind, removes) = match self.kind {
            Kind::Data => (1, 0),
            Kind::Removal { removes } => (2, removes),
            Kind::Stopped => (3, 0),
        };
        let (payload, len, sha256) = match self.payload {
            PayloadRef::None => (0, 0, [0; 32]),
            PayloadRef::Inline { len, sha256 } => (1, u64::from(len), sha256),
            PayloadRef::File { len, sha256 } => (2, len, sha256),
        };
        out.extend_from_slice(&RECORD_MAGIC);
        out.extend_from_slice(&RECORD_FORMAT.to_le_bytes());
        out.extend_from_slice(&[kind, payload]);
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.position.to_le_bytes());
        out.extend_from_slice(&self.batch.number.to_le_bytes());
        out.extend_from_slice(&self.batch.first.to_le_bytes());
        out.extend_from_slice(&self.batch.count.to_le_bytes());
        out.extend_from_slice(&self.batch.len.to_le_bytes());
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.body_len.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&removes.to_le_bytes());
        out.extend_from_slice(&sha256);
        out.extend_from_slice(&self.payload_crc.to_le_bytes());
        let chain = chain(previous, &out[start..start + HEAD_CRC], body);
        let crc = checksum(&out[start..start + HEAD_CRC], &chain, body);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&chain);
        chain
    }

    /// Reads the fields; the checksum and the chain are checked once the body is there too.
    pub(crate) fn decode(b: &[u8]) -> Result<Head, Reason> {
        if b[..4] != RECORD_MAGIC || u16_at(b, 4) != RECORD_FORMAT {
            return Err(Reason::NotARecord);
        }
        let (len, sha256, removes) = (u64_at(b, 56), hash_at(b, 72), u64_at(b, 64));
        let payload = match b[7] {
            0 if len == 0 && sha256 == [0; 32] => PayloadRef::None,
            1 => match u32::try_from(len) {
                Ok(len) => PayloadRef::Inline { len, sha256 },
                Err(_) => return Err(Reason::Head),
            },
            2 => PayloadRef::File { len, sha256 },
            _ => return Err(Reason::Head),
        };
        let body_len = u32_at(b, 52);
        let kind = match b[6] {
            1 if removes == 0 => Kind::Data,
            2 if removes != 0 => Kind::Removal { removes },
            3 if removes == 0 && payload == PayloadRef::None && body_len == 0 => Kind::Stopped,
            _ => return Err(Reason::Head),
        };
        let payload_crc = u32_at(b, 104);
        if payload_crc != 0 && !matches!(payload, PayloadRef::Inline { .. }) {
            return Err(Reason::Head);
        }
        Ok(Head {
            kind,
            payload,
            payload_crc,
            salt: u64_at(b, 8),
            position: u64_at(b, 16),
            batch: Batch {
                number: u64_at(b, 24),
                first: u64_at(b, 32),
                count: u32_at(b, 40),
                len: u32_at(b, 44),
            },
            segment: u32_at(b, 48),
            body_len,
            chain: hash_at(b, HEAD_CHAIN),
        })
    }

    /// Bytes of the payload that stand in the segment.
    pub(crate) fn inline_len(&self) -> u32 {
        match self.payload {
            PayloadRef::Inline { len, .. } => len,
            PayloadRef::None | PayloadRef::File { .. } => 0,
        }
    }

    /// Bytes of the whole record in the segment, padding included.
    pub(crate) fn stored_len(&self) -> u64 {
        aligned(u64::from(HEAD) + u64::from(self.body_len) + u64::from(self.inline_len()))
    }
}

/// The salt, batch number and batch's first position of what may be left of a head; `None`
/// where no head of this format ever stood.
pub(crate) fn traces_of_head(b: &[u8]) -> Option<(u64, u64, u64)> {
    (b[..4] == RECORD_MAGIC).then(|| (u64_at(b, 8), u64_at(b, 24), u64_at(b, 32)))
}

/// Whether the head's checksum fits head and body.
pub(crate) fn checksum_fits(head: &[u8], body: &[u8]) -> bool {
    u32_at(head, HEAD_CRC) == checksum(&head[..HEAD_CRC], &head[HEAD_CHAIN..HEAD_CHAIN + 32], body)
}

/// Whether the head's chain follows from `previous`.
pub(crate) fn chain_fits(head: &[u8], previous: &Hash, body: &[u8]) -> bool {
    head[HEAD_CHAIN..HEAD_CHAIN + 32] == chain(previous, &head[..HEAD_CRC], body)
}

fn checksum(fields: &[u8], chain: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(fields), chain), body)
}

fn chain(previous: &Hash, fields: &[u8], body: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(fields);
    hash.update(body);
    hash.finalize().into()
}

/// What a sealed segment's last bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) segment: u32,
    pub(crate) records: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) batch: u64,
    pub(crate) end: u32,
    pub(crate) removals: u32,
    pub(crate) salt: u64,
    pub(crate) chain: Hash,
}

impl Footer {
    pub(crate) fn encode(&self) -> [u8; FOOTER as usize] {
        let mut b = [0; FOOTER as usize];
        b[..4].copy_from_slice(&FOOTER_MAGIC);
        b[4..6].copy_from_slice(&RECORD_FORMAT.to_le_bytes());
        b[8..12].copy_from_slice(&self.segment.to_le_bytes());
        b[12..16].copy_from_slice(&self.records.to_le_bytes());
        b[16..24].copy_from_slice(&self.first.to_le_bytes());
        b[24..32].copy_from_slice(&self.last.to_le_bytes());
        b[32..40].copy_from_slice(&self.batch.to_le_bytes());
        b[40..44].copy_from_slice(&self.end.to_le_bytes());
        b[44..48].copy_from_slice(&self.removals.to_le_bytes());
        b[48..56].copy_from_slice(&self.salt.to_le_bytes());
        b[56..88].copy_from_slice(&self.chain);
        let crc = crc32c::crc32c(&b[..124]);
        b[124..].copy_from_slice(&crc.to_le_bytes());
        b
    }

    pub(crate) fn decode(b: &[u8; FOOTER as usize]) -> Option<Footer> {
        if b[..4] != FOOTER_MAGIC
            || u16_at(b, 4) != RECORD_FORMAT
            || u32_at(b, 124) != crc32c::crc32c(&b[..124])
        {
            return None;
        }
        Some(Footer {
            segment: u32_at(b, 8),
            records: u32_at(b, 12),
            first: u64_at(b, 16),
            last: u64_at(b, 24),
            batch: u64_at(b, 32),
            end: u32_at(b, 40),
            removals: u32_at(b, 44),
            salt: u64_at(b, 48),
            chain: hash_at(b, 56),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_was_written() {
        let head = Head {
            kind: Kind::Removal { removes: 7 },
            payload: PayloadRef::Inline {
                len: 12,
                sha256: [9; 32],
            },
            payload_crc: 77,
            salt: 0x0102_0304_0506_0708,
            position: 11,
            batch: Batch {
                number: 4,
                first: 10,
                count: 3,
                len: 800,
            },
            segment: 2,
            body_len: 4,
            chain: [0; 32],
        };
        let mut bytes = Vec::new();
        let chain = head.encode(&mut bytes, &[1; 32], b"body");
        assert_eq!(bytes.len(), HEAD as usize);
        assert_eq!(Head::decode(&bytes), Ok(Head { chain, ..head }));
        assert!(checksum_fits(&bytes, b"body") && chain_fits(&bytes, &[1; 32], b"body"));
        assert!(!checksum_fits(&bytes, b"bodY") && !chain_fits(&bytes, &[2; 32], b"body"));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!checksum_fits(&flipped, b"body"), "bit {bit} went unseen");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = SegmentHeader {
            number: 1,
            size: 4096,
            salt: 3,
        }
        .encode();
        bytes[8] = 2;
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Damaged));
        let crc = crc32c::crc32c(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Newer(2)));
    }
}
