//! What kind of file this is, by its first bytes.

use crate::detail::Detail;
use crate::finding::FindingCode;

/// Why a file that begins like this cannot be edXML; `None` if it may be.
pub(crate) fn refuse(head: &[u8]) -> Option<(FindingCode, Detail<'static>)> {
    let text = head.trim_ascii_start();
    if text.is_empty() {
        return Some((FindingCode::Empty, Detail::from("")));
    }
    if text.first() == Some(&b'<') {
        let late = text.len() < head.len() && declared(text);
        return late.then(|| {
            (
                FindingCode::JunkBeforeDeclaration,
                Detail::words("white space or empty lines", "khoảng trắng hoặc dòng trống"),
            )
        });
    }
    if is_multipart(text) {
        return Some((FindingCode::OlderFormMultipart, Detail::value(shown(text))));
    }
    let start = (0..text.len()).find(|&i| {
        let rest = &text[i..];
        declared(rest) || rest.starts_with(b"<edXML") || rest.starts_with(b"<edxml")
    });
    if let Some(start) = start {
        let junk = format!("\"{}\"", shown(&text[..start]));
        return Some((FindingCode::JunkBeforeDeclaration, Detail::value(junk)));
    }
    let kind = match text {
        [b'P', b'K', 3, 4, ..] => Detail::words("it is a ZIP file", "đây là tệp ZIP"),
        [b'%', b'P', b'D', b'F', ..] => Detail::words("it is a PDF file", "đây là tệp PDF"),
        [0x1F, 0x8B, ..] => Detail::words("it is a gzip file", "đây là tệp gzip"),
        [0xD0, 0xCF, 0x11, 0xE0, ..] => Detail::words(
            "it is an old Word or Excel file",
            "đây là tệp Word hoặc Excel kiểu cũ",
        ),
        [b'{' | b'[', ..] => Detail::words("it looks like JSON", "có vẻ là JSON"),
        _ => {
            let start = shown(text);
            Detail::words(
                format!("it begins with \"{start}\""),
                format!("tệp bắt đầu bằng \"{start}\""),
            )
        }
    };
    Some((FindingCode::NotXml, kind))
}

fn declared(text: &[u8]) -> bool {
    text.starts_with(b"<?xml") && text.get(5).is_none_or(|b| b.is_ascii_whitespace())
}

/// A MIME body with its headers, or from its first boundary on.
pub(crate) fn is_multipart(text: &[u8]) -> bool {
    let has = |needle: &[u8]| {
        text.windows(needle.len())
            .any(|window| window.eq_ignore_ascii_case(needle))
    };
    let begins = |needle: &[u8]| {
        text.get(..needle.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(needle))
    };
    if begins(b"--") {
        return has(b"\ncontent-");
    }
    (begins(b"mime-version:") || begins(b"content-")) && has(b"multipart/")
}

fn shown(bytes: &[u8]) -> String {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        use FindingCode as F;
        for (head, code) in [
            (&b""[..], Some(F::Empty)),
            (b" \r\n", Some(F::Empty)),
            (b"<edXML>", None),
            (b"\n<edXML>", None),
            (b"<?xml version='1.0'?>", None),
            (b"\n<?xml version='1.0'?>", Some(F::JunkBeforeDeclaration)),
            (b"1212<?xml version='1.0'?>", Some(F::JunkBeforeDeclaration)),
            (b"x<edXML>", Some(F::JunkBeforeDeclaration)),
            (b"<?xml-stylesheet?><a/>", None),
            (b"PK\x03\x04", Some(F::NotXml)),
            (b"%PDF-1.4", Some(F::NotXml)),
            (b"{\"a\":1}", Some(F::NotXml)),
            (b"xin ch\xC3\xA0o", Some(F::NotXml)),
            (b"\xFF\x00", Some(F::NotXml)),
            (
                b"--b1\r\nContent-Type: text/xml\r\n\r\n<?xml version='1.0'?>",
                Some(F::OlderFormMultipart),
            ),
            (
                b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b1\r\n",
                Some(F::OlderFormMultipart),
            ),
        ] {
            let found = refuse(head).map(|(code, _)| code);
            assert_eq!(found, code, "{:?}", String::from_utf8_lossy(head));
        }
    }
}
