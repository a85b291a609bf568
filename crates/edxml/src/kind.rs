//! What an attachment really is, by its first bytes, whatever it is called (reference section h.3).

use crate::package::Attachment;

/// The kind of a content by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentKind {
    /// Nothing at all.
    Empty,
    /// PDF.
    Pdf,
    /// PDF whose binary parts a text conversion has replaced by U+FFFD; it cannot be mended.
    DestroyedPdf,
    /// Another binary file that a text conversion has destroyed.
    Destroyed,
    /// ZIP, or a kind of file that is one: docx, xlsx, odt, jar.
    Zip,
    /// Word from 2007 on (docx); like the next three, told from any ZIP by
    /// [`of_file`](ContentKind::of_file) alone.
    Word,
    /// Excel from 2007 on (xlsx).
    Excel,
    /// PowerPoint from 2007 on (pptx).
    PowerPoint,
    /// OpenDocument: odt, ods, odp.
    OpenDocument,
    /// The old files of Word, Excel and PowerPoint.
    OldOffice,
    /// Rich text.
    Rtf,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF.
    Gif,
    /// TIFF.
    Tiff,
    /// RAR.
    Rar,
    /// 7-Zip.
    SevenZip,
    /// gzip.
    Gzip,
    /// XML or HTML.
    Xml,
    /// None of these.
    Unknown,
}

/// U+FFFD in UTF-8: what a text conversion makes of a byte that it does not understand.
const REPLACED: &[u8] = b"\xEF\xBF\xBD";

impl ContentKind {
    /// The kind of a content that begins with these bytes; sixteen are enough.
    pub fn of(magic: &[u8]) -> ContentKind {
        let replaced = memchr::memmem::find(magic, REPLACED);
        match magic {
            [] => ContentKind::Empty,
            [b'%', b'P', b'D', b'F', ..] if replaced.is_some() => ContentKind::DestroyedPdf,
            [b'%', b'P', b'D', b'F', ..] => ContentKind::Pdf,
            [b'P', b'K', 3, 4, ..] if replaced.is_some() => ContentKind::Destroyed,
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => ContentKind::Zip,
            [0xD0, 0xCF, 0x11, 0xE0, ..] => ContentKind::OldOffice,
            [b'{', b'\\', b'r', b't', b'f', ..] => ContentKind::Rtf,
            [0xFF, 0xD8, 0xFF, ..] => ContentKind::Jpeg,
            [0x89, b'P', b'N', b'G', ..] => ContentKind::Png,
            [b'G', b'I', b'F', b'8', ..] => ContentKind::Gif,
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => ContentKind::Tiff,
            [b'R', b'a', b'r', b'!', 0x1A, 7, ..] => ContentKind::Rar,
            [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => ContentKind::SevenZip,
            [0x1F, 0x8B, ..] => ContentKind::Gzip,
            [b'<', b'?' | b'!' | b'h' | b'H', ..] => ContentKind::Xml,
            // What begins so was a JPEG, a PNG, an old Word file.
            _ if replaced == Some(0) => ContentKind::Destroyed,
            _ => ContentKind::Unknown,
        }
    }

    /// The kind of a whole file: of a ZIP also what kind of ZIP, by the names in its directory.
    pub fn of_file(bytes: &[u8]) -> ContentKind {
        let kind = ContentKind::of(&bytes[..bytes.len().min(16)]);
        if kind != ContentKind::Zip {
            return kind;
        }
        // The names stand in the archive's directory, at its end.
        let directory = &bytes[bytes.len().saturating_sub(256 * 1024)..];
        let has = |name: &[u8]| memchr::memmem::find(directory, name).is_some();
        let first = bytes.get(30..).unwrap_or_default();
        if first.starts_with(b"mimetypeapplication/vnd.oasis.opendocument") {
            ContentKind::OpenDocument
        } else if !has(b"[Content_Types].xml") {
            ContentKind::Zip
        } else if has(b"word/document.xml") {
            ContentKind::Word
        } else if has(b"xl/workbook.xml") {
            ContentKind::Excel
        } else if has(b"ppt/presentation.xml") {
            ContentKind::PowerPoint
        } else {
            ContentKind::Zip
        }
    }

    /// In Vietnamese, for people.
    pub fn label_vi(self) -> &'static str {
        match self {
            ContentKind::Empty => "rỗng",
            ContentKind::DestroyedPdf => "PDF đã hỏng do chuyển mã",
            ContentKind::Destroyed => "tệp đã hỏng do chuyển mã",
            ContentKind::OldOffice => "Word/Excel kiểu cũ",
            ContentKind::Unknown => "không rõ loại",
            other => other.label_en(),
        }
    }

    /// In English, for people.
    pub fn label_en(self) -> &'static str {
        match self {
            ContentKind::Empty => "empty",
            ContentKind::Pdf => "PDF",
            ContentKind::DestroyedPdf => "PDF destroyed by a text conversion",
            ContentKind::Destroyed => "file destroyed by a text conversion",
            ContentKind::Zip => "ZIP",
            ContentKind::Word => "Word (docx)",
            ContentKind::Excel => "Excel (xlsx)",
            ContentKind::PowerPoint => "PowerPoint (pptx)",
            ContentKind::OpenDocument => "OpenDocument",
            ContentKind::OldOffice => "old Word or Excel file",
            ContentKind::Rtf => "RTF",
            ContentKind::Jpeg => "JPEG",
            ContentKind::Png => "PNG",
            ContentKind::Gif => "GIF",
            ContentKind::Tiff => "TIFF",
            ContentKind::Rar => "RAR",
            ContentKind::SevenZip => "7-Zip",
            ContentKind::Gzip => "gzip",
            ContentKind::Xml => "XML",
            ContentKind::Unknown => "unknown",
        }
    }

    /// A stable word for scripts: `pdf`, `destroyed-pdf`, `zip` …
    pub fn as_str(self) -> &'static str {
        match self {
            ContentKind::Empty => "empty",
            ContentKind::Pdf => "pdf",
            ContentKind::DestroyedPdf => "destroyed-pdf",
            ContentKind::Destroyed => "destroyed",
            ContentKind::Zip => "zip",
            ContentKind::Word => "docx",
            ContentKind::Excel => "xlsx",
            ContentKind::PowerPoint => "pptx",
            ContentKind::OpenDocument => "opendocument",
            ContentKind::OldOffice => "old-office",
            ContentKind::Rtf => "rtf",
            ContentKind::Jpeg => "jpeg",
            ContentKind::Png => "png",
            ContentKind::Gif => "gif",
            ContentKind::Tiff => "tiff",
            ContentKind::Rar => "rar",
            ContentKind::SevenZip => "7z",
            ContentKind::Gzip => "gzip",
            ContentKind::Xml => "xml",
            ContentKind::Unknown => "unknown",
        }
    }

    /// Whether a text conversion has destroyed it.
    pub fn is_destroyed(self) -> bool {
        matches!(self, ContentKind::DestroyedPdf | ContentKind::Destroyed)
    }

    /// The kinds that a declared MIME type promises; empty if it promises none that we know.
    fn promised(content_type: &str) -> &'static [ContentKind] {
        match bare_type(content_type).as_str() {
            "application/pdf" => &[ContentKind::Pdf],
            "application/zip" | "application/x-zip-compressed" => &[ContentKind::Zip],
            "application/docx"
            | "application/xlsx"
            | "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
            | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => {
                &[ContentKind::Zip]
            }
            "image/jpeg" | "image/jpg" => &[ContentKind::Jpeg],
            "image/png" => &[ContentKind::Png],
            "image/gif" => &[ContentKind::Gif],
            "image/tiff" => &[ContentKind::Tiff],
            _ => &[],
        }
    }
}

impl Attachment {
    /// What the content really is, by its first bytes.
    pub fn kind(&self) -> ContentKind {
        if self.decoded_len == 0 {
            return ContentKind::Empty;
        }
        ContentKind::of(&self.magic)
    }

    /// Whether the declared type promises another kind than the content certainly is. A content of
    /// no known kind contradicts only the type ZIP, because receivers then fail to unpack it.
    pub fn contradicts_type(&self) -> bool {
        let promised = ContentKind::promised(self.content_type.as_deref().unwrap_or_default());
        let kind = self.kind();
        if promised.is_empty() || promised.contains(&kind) || kind.is_destroyed() {
            return false;
        }
        match kind {
            ContentKind::Empty => false,
            ContentKind::Unknown => promised == [ContentKind::Zip],
            _ => true,
        }
    }

    /// Whether the content may be a ZIP around a file, as the national SDK sends most files: it
    /// begins like a ZIP, and the name is not that of a kind of ZIP; or it is declared as ZIP under
    /// a name like `a.xlsx`, which the SDK wraps too. Whether there is one entry and no more, which
    /// tells a wrapped xlsx from a plain one, [`open`](Attachment::open) finds out.
    pub fn is_wrapped(&self) -> bool {
        let name = self.name.as_deref().unwrap_or_default();
        let declared = bare_type(self.content_type.as_deref().unwrap_or_default());
        let as_zip = matches!(
            declared.as_str(),
            "application/zip" | "application/x-zip-compressed"
        );
        let ending = name
            .rsplit_once('.')
            .map_or("", |(_, ending)| ending.trim());
        self.kind() == ContentKind::Zip
            && !ending.eq_ignore_ascii_case("zip")
            && (as_zip || !is_zip_name(name))
    }
}

/// A MIME type without its parameters, in small letters.
fn bare_type(content_type: &str) -> String {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

/// Whether files with such a name are ZIP files by their nature.
fn is_zip_name(name: &str) -> bool {
    const KINDS: &[&str] = &[
        "zip", "docx", "xlsx", "pptx", "docm", "xlsm", "pptm", "dotx", "xltx", "odt", "ods", "odp",
        "jar", "war", "epub", "apk", "kmz", "vsdx", "ofd",
    ];
    name.rsplit_once('.').is_some_and(|(_, kind)| {
        let kind = kind.trim();
        KINDS.iter().any(|known| kind.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_told_apart_by_their_first_bytes() {
        for (magic, kind) in [
            (&b""[..], "empty"),
            (b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n", "pdf"),
            (b"%PDF-1.4\n%\xEF\xBF\xBD\xEF\xBF\xBD", "destroyed-pdf"),
            (b"%PDF-1.4\r\n%\xEF\xBF\xBD\xEF\xBF", "destroyed-pdf"),
            (b"PK\x03\x04\x14\0\0\0", "zip"),
            (b"PK\x05\x06", "zip"),
            (b"PK\x03\x04\x14\0\0\0\xEF\xBF\xBD", "destroyed"),
            (b"\xEF\xBF\xBDPNG\r\n", "destroyed"),
            (b"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "destroyed"),
            (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "old-office"),
            (b"{\\rtf1", "rtf"),
            (b"\xFF\xD8\xFF\xE0", "jpeg"),
            (b"\x89PNG\r\n", "png"),
            (b"GIF89a", "gif"),
            (b"II*\0", "tiff"),
            (b"MM\0*", "tiff"),
            (b"Rar!\x1A\x07\0", "rar"),
            (b"7z\xBC\xAF\x27\x1C", "7z"),
            (b"\x1F\x8B\x08", "gzip"),
            (b"<?xml version", "xml"),
            (b"xin ch\xC3\xA0o", "unknown"),
            (b"<<<", "unknown"),
        ] {
            assert_eq!(ContentKind::of(magic).as_str(), kind, "{magic:?}");
        }
    }

    #[test]
    fn kinds_of_zip_are_told_apart_by_what_is_in_them() {
        use std::io::Write as _;
        use zip::write::{SimpleFileOptions, ZipWriter};
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (names, kind) in [
            (&["[Content_Types].xml", "word/document.xml"][..], "docx"),
            (&["[Content_Types].xml", "xl/workbook.xml"], "xlsx"),
            (&["[Content_Types].xml", "ppt/presentation.xml"], "pptx"),
            (&["[Content_Types].xml", "x"], "zip"),
            (&["word/document.xml"], "zip"),
            (&["mimetype", "content.xml"], "opendocument"),
            (&["a.pdf"], "zip"),
        ] {
            let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
            for name in names {
                zip.start_file(*name, stored).unwrap();
                zip.write_all(b"application/vnd.oasis.opendocument.text")
                    .unwrap();
            }
            let bytes = zip.finish().unwrap().into_inner();
            assert_eq!(ContentKind::of_file(&bytes).as_str(), kind, "{names:?}");
            assert_eq!(ContentKind::of(&bytes).as_str(), "zip");
        }
        assert_eq!(ContentKind::of_file(b"%PDF-1.7").as_str(), "pdf");
        assert_eq!(ContentKind::of_file(b"PK\x03\x04").as_str(), "zip");
    }

    #[test]
    fn a_type_that_promises_another_kind_is_told() {
        for (content_type, magic, contradicts) in [
            ("application/pdf", &b"%PDF-1.4"[..], false),
            ("application/pdf", b"PK\x03\x04", true),
            ("application/PDF; name=a", b"\xFF\xD8\xFF", true),
            ("application/pdf", b"xin", false),
            ("application/pdf", b"", false),
            ("application/zip", b"PK\x03\x04", false),
            ("application/zip", b"%PDF-1.4", true),
            ("application/zip", b"xin", true),
            ("application/zip", b"", false),
            ("application/doc", b"PK\x03\x04", false),
            ("application/docx", b"PK\x03\x04", false),
            ("image/png", b"\x89PNG", false),
            ("", b"%PDF-1.4", false),
        ] {
            let attachment = Attachment {
                content_type: Some(content_type.to_owned()),
                magic: magic.to_vec(),
                decoded_len: magic.len() as u64,
                ..Attachment::default()
            };
            assert_eq!(
                attachment.contradicts_type(),
                contradicts,
                "{content_type} {magic:?}"
            );
        }
    }

    #[test]
    fn only_what_is_no_zip_by_nature_is_wrapped() {
        for (name, wrapped) in [
            (Some("a.doc"), true),
            (Some("a.pdf"), true),
            (None, true),
            (Some("a.zip"), false),
            (Some("a.DOCX"), false),
            (Some("a.ZIP "), false),
            (Some("a.odt "), false),
        ] {
            let attachment = Attachment {
                name: name.map(str::to_owned),
                magic: b"PK\x03\x04".to_vec(),
                decoded_len: 4,
                ..Attachment::default()
            };
            assert_eq!(attachment.is_wrapped(), wrapped, "{name:?}");
            // Declared as ZIP: the SDK wraps every file but a few.
            let declared = Attachment {
                content_type: Some("application/zip".to_owned()),
                ..attachment
            };
            let zip = name.is_some_and(|name| name.trim().to_lowercase().ends_with(".zip"));
            assert_eq!(declared.is_wrapped(), !zip, "{name:?}");
        }
    }
}
