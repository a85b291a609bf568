//! A cursor over the elements of a package: well-formedness, limits, namespaces and paths, so that
//! what reads the elements need only ask for the next child and its text.
//!
//! After a fatal finding the cursor is stopped: every element seems to end at once, and what was
//! gathered until then stays.

mod markup;
mod tell;

use std::io::{self, BufRead};

use quick_xml::Reader as Xml;
use quick_xml::events::{BytesStart, Event};

use crate::detail::{self, Detail};
use crate::finding::{FindingCode, Findings, Position};
use crate::limits::Limits;
use crate::name::Name;
use crate::namespace::{Namespaces, Space};
use crate::source::Source;
use crate::text::{Traits, is_name};

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A child begins; it is on the stack.
    Open(Name),
    /// The element on top of the stack ended; it is off the stack.
    Close,
    /// Text, in [`Cursor::text`].
    Text,
    /// A comment or processing instruction.
    Aside,
    /// The end of the package, or a fatal finding.
    End,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) name: Name,
    pub(crate) space: Space,
    /// Where it begins; `None` while that is still the source's pin, as it is for most elements
    /// from beginning to end.
    at: Option<Position>,
    written: Written,
    index: u32,
    counts: usize,
    text_told: bool,
    /// Its tag was taken by `plain_tag`, so that the parser knows nothing of it.
    plain: bool,
}

/// A name as sent, in [`Cursor::written`].
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    from: usize,
    /// Where the local name begins, after the prefix and its colon.
    local: usize,
    to: usize,
}

/// A place kept for a later finding.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) at: Position,
    pub(crate) path: String,
}

pub(crate) struct Cursor<'l, R> {
    xml: Xml<Source<R>>,
    limits: &'l Limits,
    buf: Vec<u8>,
    /// The text last read; `read_text` collects here.
    pub(crate) text: String,
    pub(crate) frames: Vec<Frame>,
    /// The element closed last.
    last: Option<Frame>,
    /// How often each name stood so far in each open element.
    counts: Vec<(Name, u32)>,
    /// The names of the open elements, and behind them that of the one closed last.
    written: String,
    namespaces: Namespaces,
    told_prefixes: Vec<String>,
    /// The first elements that were there and held no text, for findings that ask for it.
    blanks: Vec<Place>,
    pub(crate) findings: Findings,
    envelope_at: Position,
    elements: u32,
    kept: usize,
    /// Whether the text being collected may hold characters worth a finding.
    marked: bool,
    /// Whether white space matters: inside an element that is read as text.
    collecting: bool,
    /// The element on top was written `<x/>` and is to be closed.
    empty: bool,
    started: bool,
    /// The parser has told a text and waits for the markup behind it.
    awaited: bool,
    /// The value of the attribute `href`, whatever its prefix, of the element opened last.
    pub(crate) href: Option<String>,
    /// Inside the signature, whose content is not ours to judge.
    pub(crate) quiet: bool,
    stopped: bool,
    failure: Option<io::Error>,
}

/// Most namespace declarations in force at one place: each name is looked up among them.
const MOST_DECLARATIONS: usize = 256;

/// Most elements without text whose places are kept.
const MOST_BLANKS: usize = 64;

/// Characters of names that need no second look.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        plain[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
        byte += 1;
    }
    plain
};

/// Writes a name behind that of the parent, over those of its former children.
fn write_name(names: &mut String, from: usize, full: &str) -> Written {
    names.truncate(from);
    names.push_str(full);
    let prefix = memchr::memchr(b':', full.as_bytes()).map_or(0, |colon| colon + 1);
    Written {
        from,
        local: from + prefix,
        to: from + full.len(),
    }
}

impl<'l, R: BufRead> Cursor<'l, R> {
    pub(crate) fn new(source: Source<R>, limits: &'l Limits) -> Cursor<'l, R> {
        let mut xml = Xml::from_reader(source);
        let config = xml.config_mut();
        config.check_comments = true;
        // The parser does not see every tag; names are compared here.
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        Cursor {
            xml,
            limits,
            buf: Vec::with_capacity(1024),
            text: String::with_capacity(256),
            frames: Vec::with_capacity(16),
            last: None,
            counts: Vec::with_capacity(64),
            written: String::with_capacity(256),
            namespaces: Namespaces::default(),
            told_prefixes: Vec::new(),
            blanks: Vec::new(),
            envelope_at: Position::default(),
            findings: Findings::new(limits.findings),
            elements: 0,
            kept: 0,
            marked: false,
            collecting: false,
            empty: false,
            started: false,
            awaited: false,
            href: None,
            quiet: false,
            stopped: false,
            failure: None,
        }
    }

    pub(crate) fn source(&mut self) -> &mut Source<R> {
        self.xml.get_mut()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the element on top was written `<x/>`.
    pub(crate) fn is_empty_element(&self) -> bool {
        self.empty
    }

    /// The source's own error, if it had one.
    pub(crate) fn into_findings(self) -> io::Result<Findings> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.findings),
        }
    }

    // ---- elements -------------------------------------------------------------------------

    /// The next child of the element on top; `None` when that element has ended. The child must
    /// be read to its end before the next call, by `open` until `None`, `read_text` or `skip`.
    pub(crate) fn open(&mut self) -> Option<Name> {
        loop {
            self.text.clear();
            self.pass_blank();
            match self.token() {
                Token::Open(name) => return Some(name),
                Token::Close | Token::End => return None,
                Token::Text => self.stray_text(),
                Token::Aside => {}
            }
        }
    }

    /// Reads the element on top to its end; its text, `None` if there is nothing but white space.
    pub(crate) fn read_text(&mut self) -> Option<&str> {
        self.text.clear();
        self.marked = false;
        self.collecting = true;
        self.take_plain();
        loop {
            match self.token() {
                Token::Open(_) => {
                    // Kept aside, so that the child's text does not run into ours.
                    let text = std::mem::take(&mut self.text);
                    self.tell_misplaced();
                    self.skip();
                    self.text = text;
                }
                Token::Close => break,
                Token::End => return None,
                Token::Text | Token::Aside => {}
            }
        }
        self.collecting = false;
        if self.text.trim().is_empty() {
            if self.blanks.len() < MOST_BLANKS {
                let place = self.last_place();
                self.blanks.push(place);
            }
            return None;
        }
        self.kept += self.text.len();
        if self.kept > self.limits.kept_text {
            let at = self.source().token_mark();
            self.stop(
                FindingCode::HeaderTooLarge,
                at,
                &self.limits.kept_text.to_string(),
            );
            return None;
        }
        self.check_text();
        Some(&self.text)
    }

    /// Reads the element on top to its end; whether it had any content.
    pub(crate) fn skip(&mut self) -> bool {
        let depth = self.frames.len();
        let mut content = false;
        loop {
            self.text.clear();
            self.pass_blank();
            match self.token() {
                Token::Close if self.frames.len() < depth => return content,
                Token::End => return content,
                Token::Aside => {}
                Token::Text => content |= !self.text.trim_ascii().is_empty(),
                Token::Open(_) | Token::Close => content = true,
            }
        }
    }

    /// Passes white space without making a token of it. Half of a header's tokens are such.
    fn pass_blank(&mut self) {
        if self.empty || self.stopped {
            return;
        }
        let source = self.xml.get_mut();
        source.begin(usize::MAX);
        // To its end whatever the windows, so that what follows has one place. An error is kept
        // by the source, and met again by the token.
        while let Ok(window) = source.fill_buf() {
            let blank = |b: &&u8| matches!(**b, b' ' | b'\n' | b'\r' | b'\t');
            let passed = window.iter().take_while(blank).count();
            let whole = passed > 0 && passed == window.len();
            source.consume(passed);
            if !whole {
                return;
            }
        }
    }

    /// Takes a text that needs no second look, up to the next markup, straight from the window.
    /// Whatever is not so plain is left to `token`.
    fn take_plain(&mut self) {
        if self.empty || self.stopped {
            return;
        }
        let source = self.xml.get_mut();
        source.begin(self.limits.text_length);
        let Ok(window) = source.fill_buf() else {
            return;
        };
        let Some(end) = memchr::memchr2(b'<', b'&', window) else {
            return;
        };
        let bytes = &window[..end];
        if window[end] == b'<'
            && Traits::of(bytes).is_plain()
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            self.text.push_str(text);
            source.consume(end);
        }
    }

    fn stray_text(&mut self) {
        if self.text.trim_ascii().is_empty() || self.quiet {
            return;
        }
        if let Some(frame) = self.frames.last_mut()
            && std::mem::replace(&mut frame.text_told, true)
        {
            return;
        }
        let at = self.source().token_mark();
        let place = Place {
            at,
            path: self.path(),
        };
        let text = std::mem::take(&mut self.text);
        self.tell_at(FindingCode::UnexpectedText, &place, &text);
        self.text = text;
    }

    // ---- tokens ---------------------------------------------------------------------------

    /// The next piece. Text is appended to `self.text`.
    pub(crate) fn token(&mut self) -> Token {
        if self.stopped {
            return Token::End;
        }
        if std::mem::take(&mut self.empty) {
            self.close();
            return Token::Close;
        }
        if let Some(token) = self.plain_tag() {
            return token;
        }
        // Taken out for as long as the event borrows it.
        let mut buf = std::mem::take(&mut self.buf);
        buf.clear();
        self.xml.get_mut().begin(self.limits.token_length());
        let event = self.xml.read_event_into(&mut buf);
        self.awaited = matches!(event, Ok(Event::Text(_)));
        let token = match event {
            Ok(Event::Start(tag)) => self.start(&tag, false),
            Ok(Event::Empty(tag)) => self.start(&tag, true),
            Ok(Event::End(tag)) => self.end(tag.name().as_ref()),
            Ok(Event::Text(text)) => self.characters(&text, false),
            Ok(Event::CData(text)) => self.characters(&text, true),
            Ok(Event::GeneralRef(reference)) => self.reference(&reference),
            Ok(Event::Comment(text)) => self.aside(&text),
            Ok(Event::PI(pi)) => self.instruction(&pi),
            Ok(Event::Decl(declaration)) => self.declaration(&declaration),
            Ok(Event::DocType(_)) => self.stop_here(FindingCode::Doctype, ""),
            Ok(Event::Eof) => self.end_of_file(),
            Err(error) => self.error(&error, &buf),
        };
        self.started = true;
        self.buf = buf;
        token
    }

    /// Takes a tag that is nothing but a name of plain characters straight from the window, past
    /// the parser. Nine tags of ten are such; the others, and any doubt, are left to the parser.
    fn plain_tag(&mut self) -> Option<Token> {
        let top = self.frames.last()?;
        if self.awaited {
            return None;
        }
        let source = self.xml.get_mut();
        source.begin(self.limits.token_length());
        let [b'<', tag @ ..] = source.fill_buf().ok()? else {
            return None;
        };
        if let [b'/', tag @ ..] = tag {
            let name = self.written.get(top.written.from..top.written.to)?;
            let behind = tag.strip_prefix(name.as_bytes())?;
            if !top.plain || behind.first() != Some(&b'>') {
                return None;
            }
            source.consume(name.len() + 3);
            self.close();
            return Some(Token::Close);
        }
        let most = self.limits.name_length.saturating_add(1);
        let mut name = tag.iter().take(most);
        let length = name.position(|b| !PLAIN[usize::from(*b)])?;
        if tag[length] != b'>' || !tag[0].is_ascii_alphabetic() {
            return None;
        }
        let full = std::str::from_utf8(&tag[..length]).ok()?;
        let written = write_name(&mut self.written, top.written.to, full);
        source.consume(length + 2);
        Some(self.open_element(written, None, false))
    }

    fn start(&mut self, tag: &BytesStart<'_>, empty: bool) -> Token {
        let limits = self.limits;
        if tag.len() > limits.tag_length {
            return self.stop_here(FindingCode::TagTooLong, &limits.tag_length.to_string());
        }
        let full = tag.name();
        let full: &str = full.as_ref();
        if full.len() > limits.name_length {
            return self.stop_here(FindingCode::NameTooLong, &limits.name_length.to_string());
        }
        let parent = self.frames.last().map_or(0, |frame| frame.written.to);
        let written = write_name(&mut self.written, parent, full);
        self.open_element(written, Some(tag), empty)
    }

    /// The element whose name has just been written begins; without a tag there are no attributes.
    fn open_element(
        &mut self,
        written: Written,
        tag: Option<&BytesStart<'_>>,
        empty: bool,
    ) -> Token {
        let limits = self.limits;
        self.elements += 1;
        if self.elements > limits.elements {
            return self.stop_here(FindingCode::TooManyElements, &limits.elements.to_string());
        }
        if self.frames.len() >= limits.depth as usize {
            return self.stop_here(FindingCode::TooDeep, &limits.depth.to_string());
        }
        let (name, spelling) = Name::look_up(&self.written[written.local..written.to]);
        let known_prefix = matches!(self.prefix_of(&written), "" | "edXML");
        let full = &self.written[written.from..written.to];
        if (name == Name::Unknown || !known_prefix) && !is_name(full) {
            let detail = Detail::words(
                format!("<{full}> is no name"),
                format!("<{full}> không phải tên hợp lệ"),
            );
            return self.stop_here(FindingCode::NotWellFormed, detail);
        }
        let depth = self.frames.len() + 1;
        let mut prefixed = None;
        self.href = None;
        if let Some(tag) = tag {
            match self.attributes(tag.attributes_raw(), tag, depth) {
                Ok(true) => prefixed = Some(tag),
                Ok(false) => {}
                Err(token) => return token,
            }
        }
        // The pin was the start of the parent; now that it moves on, the parent must know.
        if self.frames.last().is_some_and(|parent| parent.at.is_none()) {
            let at = self.source().pinned();
            if let Some(parent) = self.frames.last_mut() {
                parent.at = Some(at);
            }
        }
        self.source().pin();
        let index = self.count(name);
        let parent = self.frames.last().map_or(Name::Unknown, |f| f.name);
        let space = self.namespaces.space(self.prefix_of(&written));
        self.frames.push(Frame {
            name,
            space,
            at: None,
            written,
            index,
            counts: self.counts.len(),
            text_told: false,
            plain: tag.is_none(),
        });
        self.empty = empty;
        if depth == 2 && name == Name::Envelope {
            self.envelope_at = self.source().pinned();
        }
        if !self.quiet && name != Name::Signature {
            if index > 1 && !name.repeats_in(parent) {
                let local = self.top_label().to_owned();
                self.tell(FindingCode::DuplicateElement, &local);
            }
            self.check_space(space);
            if let Some(tag) = prefixed
                && let Some(token) = self.check_attribute_prefixes(tag)
            {
                return token;
            }
            self.check_spelling(name, spelling, parent);
        }
        Token::Open(name)
    }

    /// The prefix of a name, without its colon.
    fn prefix_of(&self, written: &Written) -> &str {
        let end = written.local.saturating_sub(1).max(written.from);
        self.written.get(written.from..end).unwrap_or_default()
    }

    /// An end tag that the parser has read.
    fn end(&mut self, found: &str) -> Token {
        let Some(frame) = self.frames.last() else {
            return self.stop_here(FindingCode::NotWellFormed, detail::never_opened(found));
        };
        let expected = &self.written[frame.written.from..frame.written.to];
        if found == expected {
            self.close();
            return Token::Close;
        }
        let expected = expected.to_owned();
        let line = self.top_at().line;
        let detail = Detail::words(
            format!("</{found}> stands where </{expected}>, opened in line {line}, should end"),
            format!("gặp </{found}> trong khi <{expected}> mở ở dòng {line} chưa đóng"),
        );
        // What seemed misplaced inside the element was so because it never ended.
        let inside = format!("{}/", self.path());
        self.findings.list.retain(|finding| {
            finding.code != FindingCode::MisplacedElement || !finding.path.starts_with(&inside)
        });
        self.stop_here(FindingCode::NotWellFormed, detail)
    }

    /// Which of its name the child about to open is, from 1.
    fn count(&mut self, name: Name) -> u32 {
        let base = self.frames.last().map_or(0, |frame| frame.counts);
        let seen = self.counts[base..].iter_mut().find(|(n, _)| *n == name);
        match seen {
            // One unknown name is not another.
            Some(_) if name == Name::Unknown => 1,
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.counts.push((name, 1));
                1
            }
        }
    }

    fn close(&mut self) {
        let depth = self.frames.len();
        if let Some(frame) = self.frames.pop() {
            self.counts.truncate(frame.counts);
            self.last = Some(frame);
        }
        self.namespaces.leave(depth);
    }
}
