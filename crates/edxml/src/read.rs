//! Reading a package: the frame, from the first byte to the last.

use std::io::{self, BufRead};
use std::ops::Range;

use crate::check;
use crate::content::Content;
use crate::cursor::{Cursor, Place, Token};
use crate::detail::Detail;
use crate::finding::{Finding, FindingCode, Findings, Level, Position};
use crate::header::Header;
use crate::limits::Limits;
use crate::name::Name;
use crate::namespace::Space;
use crate::package::{Attachment, Package, Reference, Unknown};
use crate::source::{Encoding, Source};
use crate::spans::Spans;

/// Which form of the format a file is in (reference section a).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Form {
    /// That of QCVN 102:2016, the only one accepted.
    Current,
    /// The SOAP form of 2012 to 2014, or the files that went with it.
    Soap,
    /// The multipart MIME form of the same years.
    Multipart,
    /// None that we know.
    #[default]
    Unknown,
}

/// Whether a package is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing refuses it.
    Accepted,
    /// At least one finding refuses it.
    Refused,
}

impl Verdict {
    /// `"accepted"` or `"refused"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
        }
    }
}

/// What was read of a package, and what was found wrong with it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// The package, if enough could be read to route it: there may be errors nevertheless.
    pub package: Option<Package>,
    /// What was found, in the order of the file.
    pub findings: Vec<Finding>,
    /// How many more findings there were than [`Limits::findings`] lets keep.
    pub findings_dropped: u64,
    /// Where parts stand in the bytes.
    pub spans: Spans,
    /// Which form the file is in.
    pub form: Form,
    /// How the bytes are written.
    pub encoding: Encoding,
}

impl Reading {
    /// The first finding that refuses the package at the axis level; `None` if it is accepted.
    pub fn refusal(&self) -> Option<&Finding> {
        self.refusal_at(Level::Axis)
    }

    /// The first finding that refuses the package at this level.
    pub fn refusal_at(&self, level: Level) -> Option<&Finding> {
        let refuses = |finding: &&Finding| {
            finding
                .code
                .refuses_from()
                .is_some_and(|from| from <= level)
        };
        self.findings.iter().find(refuses)
    }

    /// Accepted or refused at the axis level.
    pub fn verdict(&self) -> Verdict {
        self.verdict_at(Level::Axis)
    }

    /// Accepted or refused at this level.
    pub fn verdict_at(&self, level: Level) -> Verdict {
        match self.refusal_at(level) {
            Some(_) => Verdict::Refused,
            None => Verdict::Accepted,
        }
    }
}

/// Reads a package held in memory. Never fails and never panics: whatever is wrong is a finding.
///
/// ```
/// let reading = edxml::read(b"<html/>", &edxml::Limits::default());
/// assert_eq!(reading.refusal().unwrap().code, edxml::FindingCode::NotEdxml);
/// ```
pub fn read(bytes: &[u8], limits: &Limits) -> Reading {
    read_from(bytes, limits).unwrap_or_else(|e| {
        // A slice cannot fail to be read; if it ever did, that must not look like acceptance.
        let at = Position::default();
        let finding = Finding::new(FindingCode::NotXml, String::new(), at, &e.to_string());
        Reading {
            findings: vec![finding],
            ..Reading::default()
        }
    })
}

/// Reads a package in one pass over its source, in memory bounded by the limits whatever its size:
/// the content of attachments is scanned where it is, never collected.
///
/// An accepted package has been read to the end of the source. Reading a refused one may stop
/// where it became hopeless; what is left in the source is then the caller's.
///
/// # Errors
/// Only those of the source.
pub fn read_from(source: impl BufRead, limits: &Limits) -> io::Result<Reading> {
    read_until(source, limits, Frame::default())
}

/// Reads a package up to its attachments: the header and the manifest, at a cost that does not
/// grow with the attachments. What a whole reading finds there, this finds; of what follows
/// nothing is known, so a package accepted here may be refused when it is read whole. Attachments
/// that stand before the envelope, as in no package ever seen, are read past.
///
/// ```
/// # use edxml::{Date, Limits, Organ, Package, read_header, write};
/// # let date = Date::new(2026, 3, 2).unwrap();
/// # let to = vec![Organ::new("H47.2", None)];
/// # let mut draft = write::DocumentDraft::new(Organ::new("H47.1", None), to, "1", "A", date);
/// # draft.attach("a.pdf", "application/pdf", vec![0; 100_000]);
/// # let package = write::document(&draft);
/// let mut source = &package[..];
/// let reading = read_header(&mut source, &Limits::default())?;
/// let Some(Package::Document(document)) = reading.package else { panic!() };
/// assert_eq!((document.manifest.len(), document.attachments.len()), (1, 0));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Only those of the source.
pub fn read_header(source: impl BufRead, limits: &Limits) -> io::Result<Reading> {
    let frame = Frame {
        header_only: true,
        ..Frame::default()
    };
    read_until(source, limits, frame)
}

/// Reads a package that may be in the SOAP form: what that is for the current form is refused,
/// here is read.
pub(crate) fn read_older(package: &[u8], limits: &Limits) -> Reading {
    let frame = Frame {
        older_too: true,
        ..Frame::default()
    };
    // A slice cannot fail to be read.
    read_until(package, limits, frame).unwrap_or_default()
}

fn read_until(source: impl BufRead, limits: &Limits, mut frame: Frame) -> io::Result<Reading> {
    let (source, opening) = Source::open(source)?;
    let encoding = source.encoding();
    let mut cursor = Cursor::new(source, limits);
    let first = Place {
        at: cursor.source().here(),
        path: String::new(),
    };
    if opening.byte_order_mark && encoding == Encoding::Utf8 {
        cursor.tell_at(FindingCode::ByteOrderMark, &first, "");
    }
    if encoding != Encoding::Utf8 {
        cursor.tell_at(FindingCode::Utf16, &first, encoding.as_str());
    }
    if let Some((code, detail)) = opening.refusal {
        cursor.tell_at(code, &first, detail);
        if code == FindingCode::OlderFormMultipart {
            frame.form = Form::Multipart;
        }
    } else {
        frame.read(&mut cursor);
    }
    let whole = !cursor.stopped();
    let package = check::assemble(&mut frame, &mut cursor, whole);
    let Findings {
        mut list, dropped, ..
    } = cursor.into_findings()?;
    // Cross-checks come last but belong to places before.
    list.sort_by_key(|finding| finding.offset);
    Ok(Reading {
        package,
        findings: list,
        findings_dropped: dropped,
        spans: frame.header.spans,
        form: frame.form,
        encoding,
    })
}

/// The root of the files of the older form, where they travel without their envelope.
pub(crate) const ALL_DOCUMENT: &str = "AllDocument";

/// All that is gathered while reading, before it is put together.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) form: Form,
    /// Nothing after the envelope is wanted.
    pub(crate) header_only: bool,
    /// The SOAP form is read, not refused.
    pub(crate) older_too: bool,
    pub(crate) header: Header,
    pub(crate) manifest: Vec<(Reference, Place)>,
    pub(crate) attachments: Vec<(Attachment, Place)>,
}

impl Frame {
    fn read<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let root = loop {
            match c.token() {
                Token::Open(name) => break name,
                Token::End => {
                    // A mark or a declaration may have been told of what holds nothing else.
                    if !c.findings.refuse() {
                        c.stop_here(
                            FindingCode::NotXml,
                            Detail::words("no element in it", "không có phần tử nào"),
                        );
                    }
                    return;
                }
                Token::Close | Token::Text | Token::Aside => c.text.clear(),
            }
        };
        self.root(c, root);
        if !c.stopped() && !self.header_only {
            trailing(c);
        }
    }

    fn root<R: BufRead>(&mut self, c: &mut Cursor<'_, R>, root: Name) {
        let label = c.top_label().to_owned();
        let space = c.frames.last().map_or(Space::None, |frame| frame.space);
        // Its prefix is sometimes not declared.
        if matches!(space, Space::Soap | Space::Unbound) && label == "Envelope" {
            self.form = Form::Soap;
            if self.older_too {
                self.soap_envelope(c);
            } else {
                c.stop_here(FindingCode::OlderFormSoap, "SOAP Envelope");
            }
            return;
        }
        if label == ALL_DOCUMENT {
            self.form = Form::Soap;
            c.stop_here(FindingCode::OlderFormSoap, ALL_DOCUMENT);
            return;
        }
        if matches!(space, Space::Draft | Space::EDoc) {
            let detail = if space == Space::Draft {
                "http://www.go.vn/eDoc"
            } else {
                "http://www.e-doc.vn/Schema/"
            };
            c.stop_here(FindingCode::OlderFormDraft, detail);
            return;
        }
        if label.eq_ignore_ascii_case("edXMLEnvelope") {
            c.stop_here(FindingCode::EnvelopeAsRoot, &label);
            return;
        }
        // Another root may yet hold an envelope; its first child decides.
        let mut doubtful = root != Name::Root;
        if label != "edXML" && !doubtful {
            c.tell(FindingCode::RootName, &label);
        }
        let mut enveloped = false;
        while let Some(name) = c.open() {
            let child = c.top_label();
            let envelope = child.eq_ignore_ascii_case("edXMLEnvelope");
            if doubtful {
                if !envelope {
                    let detail = Detail::words(
                        format!("its root is {label}"),
                        format!("phần tử gốc là {label}"),
                    );
                    c.stop_here(FindingCode::NotEdxml, detail);
                    return;
                }
                doubtful = false;
                let place = root_place(c, &label);
                c.tell_at(FindingCode::RootName, &place, &label);
            }
            if envelope {
                enveloped = true;
                self.envelope(c);
            } else if name == Name::AttachmentEncoded && enveloped && self.header_only {
                return;
            } else if name == Name::AttachmentEncoded {
                self.attachment_encoded(c);
            } else {
                self.header.other(c, name);
            }
        }
        if !enveloped && !c.stopped() {
            let detail = Detail::words(
                format!("its root {label} has no edXMLEnvelope"),
                format!("phần tử gốc {label} không có edXMLEnvelope"),
            );
            c.stop_here(FindingCode::NotEdxml, detail);
        }
    }

    /// The envelope of the SOAP form (section a.3): the header's parts are those of the current
    /// form, and the body holds the manifest; files are elsewhere.
    fn soap_envelope<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        while let Some(name) = c.open() {
            match c.top_label() {
                "Header" => self.header.read(c),
                "Body" => {
                    while let Some(name) = c.open() {
                        match name {
                            Name::Manifest => self.manifest(c),
                            _ => self.header.other(c, name),
                        }
                    }
                }
                _ => self.header.other(c, name),
            }
        }
    }

    fn envelope<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let label = c.top_label().to_owned();
        let space = c.frames.last().map_or(Space::None, |frame| frame.space);
        let prefix = c.top_prefix().to_owned();
        match space {
            Space::Qcvn | Space::Unbound => {}
            Space::None => c.tell(FindingCode::NoNamespace, ""),
            Space::Draft => {
                c.stop_here(FindingCode::OlderFormDraft, "http://www.go.vn/eDoc");
                return;
            }
            _ => {
                let uri = c.uri(&prefix).to_owned();
                c.tell(FindingCode::WrongNamespace, &uri);
            }
        }
        self.form = Form::Current;
        if label != "edXMLEnvelope" {
            c.tell(FindingCode::WrongCase, &label);
        }
        if prefix != "edXML" {
            c.tell(FindingCode::OtherPrefix, &prefix);
        }
        while let Some(name) = c.open() {
            match name {
                Name::Header => self.header.read(c),
                Name::Body => {
                    while let Some(name) = c.open() {
                        match name {
                            Name::Manifest => self.manifest(c),
                            _ => self.header.other(c, name),
                        }
                    }
                }
                Name::AttachmentEncoded => {
                    c.tell_misplaced();
                    self.attachment_encoded(c);
                }
                _ => self.header.other(c, name),
            }
        }
    }

    fn manifest<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        while let Some(name) = c.open() {
            if name != Name::Reference {
                self.header.other(c, name);
                continue;
            }
            let place = c.place();
            let mut reference = Reference::default();
            // The older form, and .NET beside the element, name the file so.
            let href = c.href.take().filter(|href| !href.is_empty());
            while let Some(name) = c.open() {
                match name {
                    Name::ContentId => reference.content_id = c.trimmed(500),
                    Name::ContentType => reference.content_type = c.trimmed(200),
                    Name::Description => reference.description = c.prose(500),
                    Name::AttachmentName => reference.name = c.trimmed_within(200, 500),
                    _ => self.header.other(c, name),
                }
            }
            if !c.stopped() {
                reference.content_id = reference.content_id.or(href);
                self.manifest.push((reference, place));
            }
        }
    }

    fn attachment_encoded<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        while let Some(name) = c.open() {
            if name != Name::Attachment {
                self.header.other(c, name);
                continue;
            }
            let place = c.place();
            let mut attachment = Attachment::default();
            let mut content = None;
            while let Some(name) = c.open() {
                match name {
                    Name::ContentId => attachment.content_id = c.trimmed(500),
                    Name::ContentType => attachment.content_type = c.trimmed(200),
                    Name::Description => attachment.description = c.prose(500),
                    Name::AttachmentName => attachment.name = c.trimmed_within(200, 500),
                    Name::FieldName | Name::MimeType | Name::Format => {
                        c.prose(500);
                    }
                    Name::ContentTransferEncoded => {
                        let read = c.read_content();
                        content = Some((read, c.last_place()));
                    }
                    _ => self.header.other(c, name),
                }
            }
            if c.stopped() {
                return;
            }
            match content {
                Some((content, at)) => judge(c, &mut attachment, content, &at),
                None => {
                    attachment.decodable = true;
                    let name = attachment.name.clone().unwrap_or_default();
                    let child = "ContentTransferEncoded";
                    c.tell_missing(FindingCode::EmptyAttachment, &place, child, &name);
                }
            }
            self.attachments.push((attachment, place));
        }
    }
}

/// Takes over what is known of an attachment's content.
fn judge<R: BufRead>(
    c: &mut Cursor<'_, R>,
    attachment: &mut Attachment,
    content: Content,
    at: &Place,
) {
    let mut outcome = content.outcome;
    attachment.decodable = outcome.broken.is_none();
    let odd = Place {
        at: content.foreign_at.unwrap_or(at.at),
        path: at.path.clone(),
    };
    if let Some(why) = outcome.broken.take() {
        c.tell_at(FindingCode::BadBase64, &odd, why);
    } else if outcome.encoded == 0 {
        let name = attachment.name.clone().unwrap_or_default();
        c.tell_at(FindingCode::EmptyAttachment, at, &name);
    }
    if let Some(what) = outcome.foreign.take() {
        c.tell_at(FindingCode::ForeignBase64, &odd, what);
    }
    if let Some(what) = outcome.padding.take() {
        c.tell_at(FindingCode::Base64Padding, at, what);
    }
    attachment.encoding = c.source().encoding();
    attachment.encoded = content.span;
    attachment.encoded_len = outcome.encoded;
    attachment.decoded_len = outcome.decoded;
    attachment.magic = outcome.magic;
    let kind = attachment.kind();
    if kind.is_destroyed() {
        let detail = Detail::words(kind.label_en(), kind.label_vi());
        c.tell_at(FindingCode::ContentDestroyed, at, detail);
    } else if attachment.contradicts_type() {
        let declared = attachment.content_type.clone().unwrap_or_default();
        let detail = Detail::words(
            format!("{declared}, {}", kind.label_en()),
            format!("{declared}, {}", kind.label_vi()),
        );
        c.tell_at(FindingCode::ContentTypeDiffers, at, detail);
    }
}

fn root_place<R: BufRead>(c: &mut Cursor<'_, R>, label: &str) -> Place {
    Place {
        at: c.root_at(),
        path: label.to_owned(),
    }
}

/// What follows the root element: white space, comments, or bytes that do not belong there.
fn trailing<R: BufRead>(c: &mut Cursor<'_, R>) {
    loop {
        c.source().begin(usize::MAX);
        let (blank, rest) = match c.source().fill_buf() {
            Err(_) => {
                // The token meets the same error and keeps it.
                c.token();
                return;
            }
            Ok([]) => return,
            Ok(window) => {
                let blank = window
                    .iter()
                    .take_while(|b| b.is_ascii_whitespace())
                    .count();
                (blank, window.len() - blank)
            }
        };
        c.source().consume(blank);
        if rest == 0 {
            continue;
        }
        c.source().begin(usize::MAX);
        let aside = c
            .source()
            .peek(4)
            .is_ok_and(|b| b == b"<!--" || b.starts_with(b"<?"));
        if aside {
            if c.token() == Token::End {
                return;
            }
            continue;
        }
        let shown = match c.source().peek(40) {
            Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Err(_) => String::new(),
        };
        let place = Place {
            at: c.source().here(),
            path: String::new(),
        };
        c.tell_at(FindingCode::TrailingBytes, &place, &shown);
        drain(c);
        return;
    }
}

/// Reads the source to its end.
fn drain<R: BufRead>(c: &mut Cursor<'_, R>) {
    loop {
        c.source().begin(usize::MAX);
        let amount = match c.source().fill_buf() {
            Ok([]) => return,
            Ok(window) => window.len(),
            Err(_) => {
                c.token();
                return;
            }
        };
        c.source().consume(amount);
    }
}

/// An element kept although unknown: where it stands.
pub(crate) fn unknown(path: String, span: Range<u64>) -> Unknown {
    Unknown { path, span }
}
