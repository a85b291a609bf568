//! The bytes of a package as they stream by: where we are, in bytes, lines and columns, and how
//! much one piece of markup may still take.
//!
//! Lines and columns are counted lazily over whole windows of the input, so that tokenising costs
//! nothing for them and 50 MiB of base64 next to nothing.

use std::io::{self, BufRead, Read};

use crate::detail::Detail;
use crate::finding::{FindingCode, Position};
use crate::sniff;
use crate::utf16::Utf16;

/// How the package's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

impl Encoding {
    /// `"UTF-8"`, `"UTF-16LE"` or `"UTF-16BE"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Encoding::Utf8 => "UTF-8",
            Encoding::Utf16Le => "UTF-16LE",
            Encoding::Utf16Be => "UTF-16BE",
        }
    }
}

/// How many bytes are looked at to tell what kind of file this is.
const HEAD: usize = 1024;

/// A source with some bytes put back in front of it.
#[derive(Debug)]
pub(crate) struct Headed<R> {
    head: Vec<u8>,
    at: usize,
    inner: R,
}

impl<R: BufRead> Headed<R> {
    #[cfg(test)]
    pub(crate) fn new(inner: R) -> Headed<R> {
        Headed {
            head: Vec::new(),
            at: 0,
            inner,
        }
    }

    pub(crate) fn fill(&mut self) -> io::Result<&[u8]> {
        if self.at < self.head.len() {
            return Ok(&self.head[self.at..]);
        }
        self.inner.fill_buf()
    }

    pub(crate) fn consume(&mut self, amount: usize) {
        if self.at < self.head.len() {
            self.at += amount;
        } else {
            self.inner.consume(amount);
        }
    }

    /// Makes the window longer by bytes of the next one; `false` at the end of the source.
    fn lengthen(&mut self) -> io::Result<bool> {
        if self.at < self.head.len() {
            self.head.drain(..self.at);
        } else {
            self.head.clear();
            self.head.extend_from_slice(self.inner.fill_buf()?);
            self.inner.consume(self.head.len());
        }
        self.at = 0;
        let next = self.inner.fill_buf()?;
        let used = next.len().min(16);
        self.head.extend_from_slice(&next[..used]);
        self.inner.consume(used);
        Ok(used > 0)
    }
}

#[derive(Debug)]
enum Input<R> {
    Plain(Headed<R>),
    Wide(Utf16<R>),
}

impl<R: BufRead> Input<R> {
    fn fill(&mut self) -> io::Result<&[u8]> {
        match self {
            Input::Plain(input) => input.fill(),
            Input::Wide(input) => input.fill(),
        }
    }

    fn lengthen(&mut self) -> io::Result<bool> {
        match self {
            Input::Plain(input) => input.lengthen(),
            Input::Wide(input) => input.lengthen(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Input::Plain(input) => input.consume(amount),
            Input::Wide(input) => input.consume(amount),
        }
    }
}

/// A counted, bounded [`BufRead`] in UTF-8 over a source in any encoding we accept.
///
/// Two places can be asked for later: where the present token began, and a pin. Each is an index
/// into the present window until its position is counted, which happens when it is asked for or
/// when the window goes. Invariant: nothing beyond a place is counted before the place itself, so
/// `counted <= pin <= token <= pos` as far as they are uncounted.
#[derive(Debug)]
pub(crate) struct Source<R> {
    input: Input<R>,
    encoding: Encoding,
    /// What the window's consumer has taken, as an index into the present window.
    pos: usize,
    /// How far it may go in the present window: to its end, or to that of the budget.
    end: usize,
    /// Where the budget ends, as an index from the start of the present window.
    stop: usize,
    /// How far lines are counted.
    counted: usize,
    /// The position at `counted`.
    mark: Position,
    token: usize,
    token_mark: Option<Position>,
    pin: usize,
    pin_mark: Option<Position>,
    overrun: bool,
    failure: Option<io::Error>,
}

/// What the first bytes say.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) refusal: Option<(FindingCode, Detail<'static>)>,
    pub(crate) byte_order_mark: bool,
}

impl<R: BufRead> Source<R> {
    /// Looks at the first bytes, strips a byte order mark, and decides the encoding.
    pub(crate) fn open(mut inner: R) -> io::Result<(Source<R>, Opening)> {
        let mut head = Vec::with_capacity(HEAD);
        // A source may hand out a byte at a time; gather enough to tell what it is.
        while head.len() < HEAD {
            let window = match inner.fill_buf() {
                Ok(window) => window,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if window.is_empty() {
                break;
            }
            let used = window.len().min(HEAD - head.len());
            head.extend_from_slice(&window[..used]);
            inner.consume(used);
        }
        let (encoding, bom) = match head.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
            _ if is_utf32(&head) => (Encoding::Utf8, 0),
            [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
            [b'<', 0, ..] => (Encoding::Utf16Le, 0),
            [0, b'<', ..] => (Encoding::Utf16Be, 0),
            _ => (Encoding::Utf8, 0),
        };
        let refusal = match encoding {
            _ if is_utf32(&head) => {
                let wide = Detail::words("it is UTF-32", "tệp dùng UTF-32");
                Some((FindingCode::InvalidEncoding, wide))
            }
            Encoding::Utf8 => sniff::refuse(&head[bom..]),
            // Only the Latin part of the head is ever looked at.
            _ => {
                let low = bom + usize::from(encoding == Encoding::Utf16Be);
                let latin: Vec<u8> = head.iter().skip(low).step_by(2).copied().collect();
                sniff::refuse(&latin)
            }
        };
        let headed = Headed {
            head,
            at: bom,
            inner,
        };
        let input = match encoding {
            Encoding::Utf8 => Input::Plain(headed),
            Encoding::Utf16Le => Input::Wide(Utf16::new(headed, true)),
            Encoding::Utf16Be => Input::Wide(Utf16::new(headed, false)),
        };
        let source = Source {
            input,
            encoding,
            pos: 0,
            end: 0,
            stop: usize::MAX,
            counted: 0,
            mark: Position {
                offset: bom as u64,
                ..Position::default()
            },
            token: 0,
            token_mark: None,
            pin: 0,
            pin_mark: None,
            overrun: false,
            failure: None,
        };
        Ok((
            source,
            Opening {
                refusal,
                byte_order_mark: bom > 0,
            },
        ))
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Begins a token here that may take `budget` bytes.
    pub(crate) fn begin(&mut self, budget: usize) {
        self.token = self.pos;
        self.token_mark = None;
        self.stop = self.pos.saturating_add(budget);
        // The window's true end is looked up again when this one is reached.
        self.end = self.pos.max(self.end.min(self.stop));
    }

    /// Remembers where the present token began, in place of what was pinned before.
    pub(crate) fn pin(&mut self) {
        self.pin = self.token;
        self.pin_mark = self.token_mark;
    }

    /// The position remembered.
    pub(crate) fn pinned(&mut self) -> Position {
        if let Some(mark) = self.pin_mark {
            return mark;
        }
        self.count_to(self.pin);
        self.pin_mark = Some(self.mark);
        self.mark
    }

    /// Where the present token began.
    pub(crate) fn token_mark(&mut self) -> Position {
        if let Some(mark) = self.token_mark {
            return mark;
        }
        self.pinned();
        self.count_to(self.token);
        self.token_mark = Some(self.mark);
        self.mark
    }

    /// Where we are.
    pub(crate) fn here(&mut self) -> Position {
        self.token_mark();
        self.count_to(self.pos);
        self.mark
    }

    /// The byte offset in the package where we are.
    pub(crate) fn offset(&mut self) -> u64 {
        match self.encoding {
            Encoding::Utf8 => self.mark.offset + (self.pos - self.counted) as u64,
            _ => self.here().offset,
        }
    }

    /// Whether a token took more than its budget.
    pub(crate) fn overrun(&self) -> bool {
        self.overrun
    }

    /// The error of the source itself, if it had one.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// The next `amount` bytes, fewer only at the end of the source or of the budget; nothing is
    /// consumed.
    pub(crate) fn peek(&mut self, amount: usize) -> io::Result<&[u8]> {
        while self.fill_buf()?.len() < amount.min(self.stop - self.pos) {
            self.turn();
            // The window is taken anew by the next look at it.
            match self.input.lengthen() {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failure = Some(e);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        let window = self.fill_buf()?;
        Ok(&window[..window.len().min(amount)])
    }

    /// Moves the counting on to `to` in the present window, which must not lie before `counted`.
    fn count_to(&mut self, to: usize) {
        if to <= self.counted {
            return;
        }
        // The window is not exhausted, so this returns it without touching the source; an error
        // is impossible, and if a source breaks its contract the count merely stays behind.
        let Ok(window) = self.input.fill() else {
            return;
        };
        if let Some(passed) = window.get(self.counted..to) {
            count(&mut self.mark, passed, self.encoding);
            self.counted = to;
        }
    }

    /// Gives back what is taken of the window, and counts it.
    fn turn(&mut self) {
        self.token_mark();
        self.count_to(self.pos);
        self.input.consume(self.pos);
        if self.stop != usize::MAX {
            self.stop -= self.pos;
        }
        self.pos = 0;
        self.end = 0;
        self.counted = 0;
        self.token = 0;
        self.pin = 0;
    }

    /// Makes more of the source available, if the budget allows.
    #[cold]
    fn refill(&mut self) -> io::Result<()> {
        if self.pos >= self.stop {
            self.overrun = true;
            return Err(io::ErrorKind::Other.into());
        }
        if self.failure.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        loop {
            match self.input.fill() {
                Ok(window) if self.pos > 0 && self.pos >= window.len() => {}
                Ok(window) => {
                    self.end = window.len().min(self.stop);
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    self.failure = Some(e);
                    return Err(io::ErrorKind::Other.into());
                }
            }
            self.turn();
        }
    }
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let window = self.fill_buf()?;
        let amount = window.len().min(out.len());
        out[..amount].copy_from_slice(&window[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

impl<R: BufRead> BufRead for Source<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.pos >= self.end {
            self.refill()?;
        }
        match self.input.fill() {
            Ok(window) => Ok(window.get(self.pos..self.end).unwrap_or_default()),
            Err(_) => Ok(&[]),
        }
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.pos += amount;
    }
}

/// Whether this begins like XML in UTF-32, which no reader of packages is known to take.
fn is_utf32(head: &[u8]) -> bool {
    let begins = [
        [0xFF, 0xFE, 0, 0],
        [0, 0, 0xFE, 0xFF],
        [b'<', 0, 0, 0],
        [0, 0, 0, b'<'],
    ];
    begins.iter().any(|begin| head.starts_with(begin))
}

/// Moves a position over some bytes of UTF-8.
pub(crate) fn count(mark: &mut Position, bytes: &[u8], encoding: Encoding) {
    let clip = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = match memchr::memrchr(b'\n', bytes) {
        None => bytes,
        Some(last) => {
            let lines = memchr::memchr_iter(b'\n', bytes).count();
            mark.line = mark.line.saturating_add(clip(lines));
            mark.column = 1;
            &bytes[last + 1..]
        }
    };
    mark.column = mark.column.saturating_add(clip(characters(line)));
    mark.offset += match encoding {
        Encoding::Utf8 => bytes.len() as u64,
        // Characters beyond the basic plane, four bytes in UTF-8, take two units.
        _ => {
            let pairs = bytes.iter().filter(|b| **b >= 0xF0).count();
            2 * (characters(bytes) + pairs) as u64
        }
    };
}

/// The number of characters: of bytes that do not continue one.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().map(|b| usize::from(b & 0xC0 != 0x80)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    /// Line, column and offset by the plainest means.
    fn naive(text: &str, offset: usize) -> Position {
        let head = &text[..offset];
        let line_start = head.rfind('\n').map_or(0, |i| i + 1);
        Position {
            offset: offset as u64,
            line: u32::try_from(head.matches('\n').count()).unwrap() + 1,
            column: u32::try_from(head[line_start..].chars().count()).unwrap() + 1,
        }
    }

    proptest! {
        #[test]
        fn positions_are_those_of_a_naive_count(
            text in "[a\nế€😀<]{0,200}",
            window in 1usize..40,
            steps in proptest::collection::vec((0usize..30, any::<[bool; 4]>()), 0..30),
        ) {
            let reader = BufReader::with_capacity(window, text.as_bytes());
            let (mut source, _) = Source::open(reader).unwrap();
            let (mut at, mut token, mut pin) = (0, 0, 0);
            for (step, [begin, set_pin, ask, ask_pin]) in steps {
                let mut left = step.min(text.len() - at);
                // Only at characters, as tokens are.
                while !text.is_char_boundary(at + left) { left += 1; }
                at += left;
                while left > 0 {
                    let available = source.fill_buf().unwrap().len().min(left);
                    source.consume(available);
                    left -= available;
                }
                prop_assert_eq!(source.offset(), at as u64);
                if begin { source.begin(usize::MAX); token = at; }
                if set_pin { source.pin(); pin = token; }
                if ask_pin { prop_assert_eq!(source.pinned(), naive(&text, pin)); }
                if ask {
                    prop_assert_eq!(source.here(), naive(&text, at));
                    prop_assert_eq!(source.token_mark(), naive(&text, token));
                }
            }
        }

        #[test]
        fn a_budget_stops_the_source(window in 1usize..40, budget in 0usize..100) {
            let text = [b'x'; 100];
            let reader = BufReader::with_capacity(window, &text[..]);
            let (mut source, _) = Source::open(reader).unwrap();
            source.begin(budget);
            let mut taken = 0;
            while let Ok(window) = source.fill_buf() {
                if window.is_empty() { break; }
                let amount = window.len();
                source.consume(amount);
                taken += amount;
            }
            prop_assert_eq!(taken, budget);
            prop_assert!(source.overrun());
        }
    }
}
