//! The packages that are pushed: sound documents of an exact size, each with its own DocumentId.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};

/// Stands where each package's number goes; the numbers are as long.
const NUMBER: &str = "NNNNNNNNNNNN";

/// What every DocumentId begins with.
const DOCUMENT: &str = "axis-bench-";

/// Everything but the attachment's content.
const BEFORE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2016">
<edXML:edXMLEnvelope xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016">
<edXML:edXMLHeader>
<edXML:MessageHeader>
<edXML:From><edXML:OrganId>FROM</edXML:OrganId><edXML:OrganName>Sở Nội vụ</edXML:OrganName><edXML:OrganAdd>Số 1 Trần Phú</edXML:OrganAdd><edXML:Email>vanthu@example.vn</edXML:Email></edXML:From>
<edXML:To><edXML:OrganId>TOTO</edXML:OrganId><edXML:OrganName>Sở Tài chính</edXML:OrganName><edXML:OrganAdd>Số 2 Trần Phú</edXML:OrganAdd><edXML:Email>vanthu@example.vn</edXML:Email></edXML:To>
<edXML:DocumentId>axis-bench-NNNNNNNNNNNN</edXML:DocumentId>
<edXML:Code><edXML:CodeNumber>NNNNNNNNNNNN</edXML:CodeNumber><edXML:CodeNotation>CV-SNV</edXML:CodeNotation></edXML:Code>
<edXML:PromulgationInfo><edXML:Place>Việt Nam</edXML:Place><edXML:PromulgationDate>2026/01/16</edXML:PromulgationDate></edXML:PromulgationInfo>
<edXML:DocumentType><edXML:Type>2</edXML:Type><edXML:TypeName>Công văn</edXML:TypeName></edXML:DocumentType>
<edXML:Subject>V/v kết nối, liên thông phần mềm quản lý văn bản</edXML:Subject>
<edXML:SignerInfo><edXML:Competence>KT. Giám đốc</edXML:Competence><edXML:Position>Phó giám đốc</edXML:Position><edXML:FullName>Nguyễn Thị Lan</edXML:FullName></edXML:SignerInfo>
<edXML:OtherInfo><edXML:Priority>0</edXML:Priority><edXML:PageAmount>2</edXML:PageAmount></edXML:OtherInfo>
</edXML:MessageHeader>
<edXML:TraceHeaderList>
<edXML:TraceHeader><edXML:OrganId>FROM</edXML:OrganId><edXML:Timestamp>2026/01/16 08:00:00</edXML:Timestamp></edXML:TraceHeader>
<edXML:Bussiness><edXML:BussinessDocType>0</edXML:BussinessDocType><edXML:BussinessDocReason>Văn bản điện tử mới</edXML:BussinessDocReason><edXML:Paper>0</edXML:Paper></edXML:Bussiness>
</edXML:TraceHeaderList>
</edXML:edXMLHeader>
<edXML:edXMLBody>
<edXML:edXMLManifest version="1.0">
<edXML:Reference><edXML:ContentId>cid:1</edXML:ContentId><edXML:ContentType>application/pdf</edXML:ContentType><edXML:Description>cv.pdf</edXML:Description><edXML:AttachmentName>cv.pdf</edXML:AttachmentName></edXML:Reference>
</edXML:edXMLManifest>
</edXML:edXMLBody>
</edXML:edXMLEnvelope>
<AttachmentEncoded><Attachment><ContentId>cid:1</ContentId><AttachmentName>cv.pdf</AttachmentName><ContentType>application/pdf</ContentType><ContentTransferEncoded>"#;
const BEHIND: &str = "</ContentTransferEncoded></Attachment></AttachmentEncoded>\n</edXML>\n";

/// Packages of one size from one agency to another.
#[derive(Clone, Debug)]
pub(super) struct Packages {
    /// The part with the places of the number.
    head: Bytes,
    places: Vec<usize>,
    /// The rest, the same in all: a package that is sent in chunks needs no copy of it.
    tail: Bytes,
}

impl Packages {
    /// Packages of exactly `size` bytes.
    pub(super) fn new(from: &str, to: &str, size: usize) -> Result<Self> {
        let head = BEFORE.replace("FROM", from).replace("TOTO", to);
        let room = size
            .checked_sub(head.len() + BEHIND.len())
            .context("a package that small does not exist")?;
        // Whole groups of base64; what is left over becomes white space behind the content.
        let mut tail = String::with_capacity(size - head.len());
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        while tail.len() < room / 4 * 4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let letter = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                [usize::try_from(state >> 58)?];
            tail.push(char::from(letter));
        }
        tail.push_str(BEHIND);
        tail.extend(std::iter::repeat_n('\n', room % 4));
        ensure!(head.len() + tail.len() == size, "the size is missed");
        let places = head.match_indices(NUMBER).map(|(at, _)| at).collect();
        Ok(Self {
            head: head.into(),
            places,
            tail: tail.into(),
        })
    }

    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The package with this number, in two pieces.
    pub(super) fn pieces(&self, number: u64) -> (Bytes, Bytes) {
        (self.numbered(number, 0).freeze(), self.tail.clone())
    }

    /// The package with this number.
    pub(super) fn whole(&self, number: u64) -> Bytes {
        let mut package = self.numbered(number, self.tail.len());
        package.extend_from_slice(&self.tail);
        package.freeze()
    }

    fn numbered(&self, number: u64, more: usize) -> BytesMut {
        let mut head = BytesMut::with_capacity(self.head.len() + more);
        head.extend_from_slice(&self.head);
        let mut text = String::with_capacity(NUMBER.len());
        // Writing to a string does not fail.
        let _ = write!(text, "{number:0width$}", width = NUMBER.len());
        for &at in &self.places {
            if let Some(place) = head.get_mut(at..at + text.len()) {
                place.copy_from_slice(text.as_bytes());
            }
        }
        head
    }

    /// The number of the package with this DocumentId.
    pub(super) fn number_of(document_id: &str) -> Option<u64> {
        document_id.strip_prefix(DOCUMENT)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_its_size_and_its_number() {
        for size in [8 << 10, (8 << 10) + 1, (8 << 10) + 2, 100_003] {
            let packages = Packages::new("H01.1", "H01.2", size).unwrap();
            let whole = packages.whole(77);
            assert_eq!((whole.len(), packages.size()), (size, size));
            let (head, tail) = packages.pieces(77);
            assert_eq!(whole, [head, tail].concat());
            let text = std::str::from_utf8(&whole).unwrap();
            let id = text.split("DocumentId>").nth(1).unwrap();
            assert_eq!(
                Packages::number_of(&id[..id.len() - "</edXML:".len()]),
                Some(77)
            );
            assert_eq!(text.matches("000000000077").count(), 2);
        }
        assert!(Packages::new("H01.1", "H01.2", 100).is_err());
    }
}
