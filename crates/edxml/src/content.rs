//! The content of an attachment, read past without being collected.

use std::io::BufRead;
use std::ops::Range;

use crate::base64::{Fault, Outcome, Scan};
use crate::cursor::{Cursor, Token};
use crate::detail::Detail;
use crate::finding::{FindingCode, Position};
use crate::text::name_of;

/// What stands between the tags of `ContentTransferEncoded`.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) span: Range<u64>,
    pub(crate) outcome: Outcome,
    /// Where the first foreign character stands.
    pub(crate) foreign_at: Option<Position>,
}

fn inside_attachment() -> Detail<'static> {
    Detail::words("inside an attachment", "bên trong tệp đính kèm")
}

const CDATA: &[u8] = b"<![CDATA[";

impl<R: BufRead> Cursor<'_, R> {
    /// Reads the element on top to its end, scanning its text straight from the source.
    pub(crate) fn read_content(&mut self) -> Content {
        let mut scan = Scan::default();
        let mut foreign_at = None;
        let start = self.source().offset();
        let mut end = start;
        let depth = self.frames.len();
        while !self.stopped() && self.frames.len() >= depth {
            if self.is_empty_element() {
                self.token();
                break;
            }
            self.source().begin(usize::MAX);
            let next = match self.source().fill_buf() {
                Ok(window) => match memchr::memchr2(b'<', b'&', window) {
                    Some(0) => window[0],
                    Some(at) => {
                        self.scan(at, &mut scan, &mut foreign_at);
                        continue;
                    }
                    // At the end of the source the token says what is missing.
                    None if window.is_empty() => b'<',
                    None => {
                        let all = window.len();
                        self.scan(all, &mut scan, &mut foreign_at);
                        continue;
                    }
                },
                // The token meets the same error and keeps it.
                Err(_) => b'<',
            };
            if next == b'<' && self.source().peek(CDATA.len()).is_ok_and(|b| b == CDATA) {
                self.source().consume(CDATA.len());
                self.scan_cdata(&mut scan, &mut foreign_at);
                continue;
            }
            end = self.source().offset();
            self.text.clear();
            match self.token() {
                // A character reference, such as the &#13; that some writers put at line ends.
                Token::Text => {
                    let text = std::mem::take(&mut self.text);
                    if scan.feed(text.as_bytes()).is_some() {
                        foreign_at = Some(self.source().token_mark());
                    }
                    self.text = text;
                }
                Token::Open(_) => {
                    self.tell_misplaced();
                    self.skip();
                }
                Token::Aside => {}
                Token::Close | Token::End => break,
            }
        }
        let outcome = scan.finish();
        if let (Some(Fault::Encoding), false) = (outcome.fault, self.stopped()) {
            self.stop_here(FindingCode::InvalidEncoding, inside_attachment());
        }
        Content {
            span: start..end.max(start),
            outcome,
            foreign_at,
        }
    }

    /// Scans the next `amount` bytes of the window.
    fn scan(&mut self, amount: usize, scan: &mut Scan, foreign_at: &mut Option<Position>) {
        let source = self.source();
        let Ok(window) = source.fill_buf() else {
            return;
        };
        let found = scan.feed(&window[..amount]);
        match found {
            None => source.consume(amount),
            Some(index) => {
                source.consume(index);
                *foreign_at = Some(source.here());
                source.consume(amount - index);
            }
        }
        let code_and_detail = match scan.fault() {
            None => return,
            Some(Fault::Illegal(byte)) => {
                let name = name_of(u32::from(byte));
                (FindingCode::IllegalCharacter, Detail::value(name))
            }
            Some(Fault::Encoding) => (FindingCode::InvalidEncoding, inside_attachment()),
        };
        let at = foreign_at.unwrap_or_else(|| self.source().token_mark());
        let (code, detail) = code_and_detail;
        self.stop(code, at, detail);
    }

    /// Scans up to and over `]]>`.
    fn scan_cdata(&mut self, scan: &mut Scan, foreign_at: &mut Option<Position>) {
        while !self.stopped() {
            self.source().begin(usize::MAX);
            let (amount, bracket) = match self.source().fill_buf() {
                Ok(window) => match memchr::memchr(b']', window) {
                    Some(at) => (at, true),
                    None => (window.len(), false),
                },
                Err(_) => (0, false),
            };
            if amount > 0 {
                self.scan(amount, scan, foreign_at);
            } else if !bracket {
                // The end of the source, or its error: the token that is due says so.
                let opened = self.source().token_mark();
                if self.token() != Token::End {
                    let detail = Detail::words("CDATA is never closed", "CDATA không được đóng");
                    self.stop(FindingCode::NotWellFormed, opened, detail);
                }
                return;
            } else if self.source().peek(3).is_ok_and(|b| b == b"]]>") {
                self.source().consume(3);
                return;
            } else {
                self.scan(1, scan, foreign_at);
            }
        }
    }
}
