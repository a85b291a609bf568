//! Writing packages, in the order and layout of the national SDK: prefix `edXML`, CR LF, two
//! spaces, empty texts left out, plain digits (reference sections a.2 and b.5).

mod elements;

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::code::StatusCode;
use crate::identifier::AgencyCode;
use crate::namespace::NAMESPACE;
use crate::package::{Document, Organ, ResponseFor, Staff, Status, TraceHeader};
use crate::time::{Date, Timestamp};

/// Why a package cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that the format demands is empty.
    #[error("{field} is empty; a package without it would be refused")]
    Missing {
        /// Path under `MessageHeader`.
        field: &'static str,
    },
    /// A character that XML cannot hold.
    #[error("{field} has the character U+{:04X}, which XML cannot hold", u32::from(*.character))]
    IllegalCharacter {
        /// Path under `MessageHeader`.
        field: &'static str,
        /// The character.
        character: char,
    },
}

/// A status to be written.
///
/// ```
/// use edxml::{Limits, Organ, Package, StatusCode, Timestamp, ResponseFor, read, write};
/// let draft = write::StatusDraft {
///     from: Organ::new("000.00.00.H41", Some("UBND Tỉnh Nghệ An")),
///     response_for: ResponseFor {
///         organ_id: "000.00.00.G22".into(),
///         document_id: Some("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT".to_owned()),
///         ..ResponseFor::default()
///     },
///     staff: None,
///     code: StatusCode::ACCEPTED,
///     description: None,
///     timestamp: Timestamp::new(2026, 3, 2, 8, 30, 0).unwrap(),
/// };
/// let bytes = write::status(&draft)?;
/// let reading = read(&bytes, &Limits::default());
/// let Some(Package::Status(status)) = reading.package else { panic!() };
/// assert_eq!(status.code, StatusCode::ACCEPTED);
/// # Ok::<(), write::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StatusDraft {
    /// Who reports; its id is needed.
    pub from: Organ,
    /// The document reported on; `organ_id` is needed, and `document_id` or `code`.
    pub response_for: ResponseFor,
    /// The clerk.
    pub staff: Option<Staff>,
    /// What is reported.
    pub code: StatusCode,
    /// Reason or free text; needed for 02, 13 and 16.
    pub description: Option<String>,
    /// When, in Vietnam time.
    pub timestamp: Timestamp,
}

/// A document to be written, with its attachments.
///
/// ```
/// use edxml::{Date, Limits, Organ, read, write};
/// let mut draft = write::DocumentDraft::new(
///     Organ::new("000.00.12.H47", Some("Sở Nội vụ")),
///     vec![Organ::new("000.00.13.H47", None)],
///     "12",
///     "SNV-VP",
///     Date::new(2026, 3, 2).unwrap(),
/// );
/// draft.document.subject = Some("V/v kiểm tra".to_owned());
/// draft.attach("van-ban.pdf", "application/pdf", b"%PDF-1.7".to_vec());
/// let reading = read(&write::document(&draft), &Limits::default());
/// assert!(reading.refusal().is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DocumentDraft {
    /// The header. Its `manifest`, `attachments`, `signed` and `unknown` are not written; an
    /// absent `steering_type` is written as 0, an absent type class as 2.
    pub document: Document,
    /// The files, each announced in the manifest.
    pub attachments: Vec<File>,
}

/// A file to be attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// `ContentId` with `cid:`; made from the file's position if absent.
    pub content_id: Option<String>,
    /// File name.
    pub name: String,
    /// MIME type.
    pub content_type: String,
    /// Description.
    pub description: Option<String>,
    /// The content, not encoded.
    pub bytes: Vec<u8>,
}

impl DocumentDraft {
    /// A new document with the fields that the axis asks for.
    pub fn new(
        from: Organ,
        to: Vec<Organ>,
        number: impl Into<String>,
        notation: impl Into<String>,
        date: Date,
    ) -> DocumentDraft {
        let mut document = Document {
            from,
            to,
            ..Document::default()
        };
        document.code.number = number.into();
        document.code.notation = notation.into();
        document.promulgation.date = Some(date);
        DocumentDraft {
            document,
            attachments: Vec::new(),
        }
    }

    /// Adds a file.
    pub fn attach(
        &mut self,
        name: impl Into<String>,
        content_type: impl Into<String>,
        bytes: Vec<u8>,
    ) -> &mut DocumentDraft {
        self.attachments.push(File {
            content_id: None,
            name: name.into(),
            content_type: content_type.into(),
            description: None,
            bytes,
        });
        self
    }

    /// Adds a file the way the national SDK does: pdf, doc, docx, zip, xsl and xslx (its spelling)
    /// as they are, everything else in a ZIP of one entry, declared as ZIP under the file's own
    /// name. Receivers that use the SDK, and [`Attachment::open`](crate::Attachment::open), take
    /// the file out again.
    ///
    /// # Errors
    /// If the file cannot be packed: it has 4 GiB or more.
    pub fn attach_as_sdk(
        &mut self,
        name: impl Into<String>,
        bytes: Vec<u8>,
    ) -> std::io::Result<&mut DocumentDraft> {
        const RAW: &[&str] = &["pdf", "doc", "docx", "zip", "xsl", "xslx"];
        let name = name.into();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if RAW.contains(&ending) {
            let content_type = format!("application/{ending}");
            return Ok(self.attach(name, content_type, bytes));
        }
        let entry = match ending.chars().all(|c| c.is_ascii_alphanumeric()) && !ending.is_empty() {
            true => format!("{}.{ending}", self.attachments.len() + 1),
            false => format!("{}", self.attachments.len() + 1),
        };
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(entry, SimpleFileOptions::default())?;
        zip.write_all(&bytes)?;
        let packed = zip.finish()?.into_inner();
        Ok(self.attach(name, "application/zip", packed))
    }
}

/// Writes a status package.
///
/// # Errors
/// [`Error::Missing`] if a needed value is empty, [`Error::IllegalCharacter`] if a text holds what
/// XML cannot.
pub fn status(draft: &StatusDraft) -> Result<Vec<u8>, Error> {
    let response = &draft.response_for;
    let reason = draft.description.as_deref().unwrap_or_default();
    let needed = [
        ("From/OrganId", !draft.from.id.is_blank()),
        ("ResponseFor/OrganId", !response.organ_id.is_blank()),
        (
            "ResponseFor/DocumentId",
            [&response.document_id, &response.code]
                .into_iter()
                .flatten()
                .any(|text| !text.trim().is_empty()),
        ),
        (
            "Description",
            !draft.code.needs_reason() || !reason.trim().is_empty(),
        ),
    ];
    if let Some((field, _)) = needed.into_iter().find(|(_, there)| !there) {
        return Err(Error::Missing { field });
    }
    status_or_illegal(draft)
        .map_err(|(field, character)| Error::IllegalCharacter { field, character })
}

/// A status, or the element whose text XML cannot hold.
pub(crate) fn status_or_illegal(draft: &StatusDraft) -> Result<Vec<u8>, (&'static str, char)> {
    let w = status_of(
        &draft.from,
        &draft.response_for,
        draft.staff.as_ref(),
        draft.code,
        draft.description.as_deref(),
        Some(&draft.timestamp),
    );
    match w.illegal {
        Some(illegal) => Err(illegal),
        None => Ok(w.out),
    }
}

/// A status as it was read, whatever is missing in it.
pub(crate) fn status_as_read(status: &Status) -> Vec<u8> {
    status_of(
        &status.from,
        &status.response_for,
        status.staff.as_ref(),
        status.code,
        status.description.as_deref(),
        status.timestamp.as_ref(),
    )
    .out
}

fn status_of(
    from: &Organ,
    response: &ResponseFor,
    staff: Option<&Staff>,
    code: StatusCode,
    description: Option<&str>,
    timestamp: Option<&Timestamp>,
) -> Writer {
    let mut w = Writer::new(2048);
    w.begin();
    w.organ("From", from);
    w.response_for(response);
    w.staff(staff);
    w.leaf("StatusCode", &code.to_string());
    w.text("Description", description);
    if let Some(timestamp) = timestamp {
        w.leaf("Timestamp", &timestamp.to_string());
    }
    w.close("MessageHeader");
    w.close("edXMLHeader");
    w.close("edXMLEnvelope");
    w.out.extend_from_slice(b"</edXML>\r\n");
    w
}

/// Writes a document package.
///
/// Characters that XML cannot hold (control characters but tab and line ends) become U+FFFD.
/// Nothing else is checked: [`read`](crate::read()) the result to know whether it is accepted.
pub fn document(draft: &DocumentDraft) -> Vec<u8> {
    document_of(draft).out
}

/// A document, or the element whose text XML cannot hold.
pub(crate) fn document_or_illegal(draft: &DocumentDraft) -> Result<Vec<u8>, (&'static str, char)> {
    let w = document_of(draft);
    match w.illegal {
        Some(illegal) => Err(illegal),
        None => Ok(w.out),
    }
}

fn document_of(draft: &DocumentDraft) -> Writer {
    let size: usize = draft
        .attachments
        .iter()
        .map(|f| f.bytes.len() / 3 * 4 + 1024)
        .sum();
    let document = &draft.document;
    let mut w = Writer::new(size + 4096 + 512 * document.to.len());
    w.begin();
    w.message_header(document);
    w.open("TraceHeaderList");
    w.business(&document.business);
    for trace in &document.trace {
        w.trace(trace);
    }
    w.close("TraceHeaderList");
    w.close("edXMLHeader");
    w.open("edXMLBody");
    w.manifest(&draft.attachments);
    w.close("edXMLBody");
    w.close("edXMLEnvelope");
    w.attachments(&draft.attachments);
    w.out.extend_from_slice(b"</edXML>\r\n");
    w
}

/// One `TraceHeader` on its own: names with this prefix (its colon included), lines that end so,
/// one step deeper than `indent`.
pub(crate) fn trace_header(prefix: &str, indent: &[u8], end: &[u8], step: &TraceHeader) -> Vec<u8> {
    let mut w = Writer::new(256);
    let deeper: &[u8] = if end.is_empty() { b"" } else { b"  " };
    let line = |w: &mut Writer, steps: usize| {
        w.out.extend_from_slice(indent);
        w.out.extend_from_slice(&deeper.repeat(steps));
    };
    line(&mut w, 1);
    w.out
        .extend_from_slice(format!("<{prefix}TraceHeader>").as_bytes());
    w.out.extend_from_slice(end);
    let organ = step
        .organ_id
        .as_ref()
        .map(|organ| organ.as_str().to_owned());
    let time = step.timestamp.as_ref().map(ToString::to_string);
    for (name, text) in [("OrganId", organ), ("Timestamp", time)] {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        line(&mut w, 2);
        w.out
            .extend_from_slice(format!("<{prefix}{name}>").as_bytes());
        w.escape(name, &text);
        w.out
            .extend_from_slice(format!("</{prefix}{name}>").as_bytes());
        w.out.extend_from_slice(end);
    }
    line(&mut w, 1);
    w.out
        .extend_from_slice(format!("</{prefix}TraceHeader>").as_bytes());
    w.out.extend_from_slice(end);
    w.out
}

/// Elements onto bytes. All but the frame and `AttachmentEncoded` carry the prefix.
struct Writer {
    out: Vec<u8>,
    depth: usize,
    illegal: Option<(&'static str, char)>,
}

impl Writer {
    fn new(size: usize) -> Writer {
        Writer {
            out: Vec::with_capacity(size),
            depth: 1,
            illegal: None,
        }
    }

    /// Everything up to and with the start of `MessageHeader`.
    fn begin(&mut self) {
        // Writing to a Vec cannot fail.
        let _ = write!(
            self.out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<edXML xmlns=\"{NAMESPACE}\">\r\n  \
             <edXML:edXMLEnvelope xmlns:edXML=\"{NAMESPACE}\">\r\n"
        );
        self.depth = 2;
        self.open("edXMLHeader");
        self.open("MessageHeader");
    }

    fn indent(&mut self) {
        const SPACES: &[u8] = &[b' '; 32];
        let width = (self.depth * 2).min(SPACES.len());
        self.out.extend_from_slice(&SPACES[..width]);
    }

    fn tag(&mut self, start: &str, name: &str, end: &str) {
        self.out.extend_from_slice(start.as_bytes());
        self.out.extend_from_slice(b"edXML:");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(end.as_bytes());
    }

    fn open(&mut self, name: &str) {
        self.indent();
        self.tag("<", name, ">\r\n");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.indent();
        self.tag("</", name, ">\r\n");
    }

    fn leaf(&mut self, name: &'static str, text: &str) {
        self.indent();
        self.tag("<", name, ">");
        self.escape(name, text);
        self.tag("</", name, ">\r\n");
    }

    /// A text that is left out when there is nothing in it.
    fn text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            self.leaf(name, text);
        }
    }

    fn number(&mut self, name: &'static str, number: Option<u32>) {
        if let Some(number) = number {
            self.leaf(name, &number.to_string());
        }
    }

    fn flag(&mut self, name: &'static str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.leaf(name, if flag { "1" } else { "0" });
        }
    }

    fn date(&mut self, name: &'static str, date: Option<&Date>) {
        if let Some(date) = date {
            self.leaf(name, &date.to_string());
        }
    }

    fn agency(&mut self, name: &'static str, code: &AgencyCode) {
        self.text(name, Some(code.as_str()));
    }

    fn escape(&mut self, field: &'static str, text: &str) {
        for character in text.chars() {
            match character {
                '<' => self.out.extend_from_slice(b"&lt;"),
                '>' => self.out.extend_from_slice(b"&gt;"),
                '&' => self.out.extend_from_slice(b"&amp;"),
                // A reader would make a line feed of it.
                '\r' => self.out.extend_from_slice(b"&#13;"),
                '\t' | '\n' | ' '..='\u{FFFD}' | '\u{10000}'.. => {
                    let mut utf8 = [0; 4];
                    self.out
                        .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                }
                _ => {
                    self.illegal.get_or_insert((field, character));
                    self.out.extend_from_slice("\u{FFFD}".as_bytes());
                }
            }
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        // In pieces that need no padding, so that one small buffer is enough.
        for piece in bytes.chunks(48 * 1024) {
            let start = self.out.len();
            self.out.resize(start + piece.len().div_ceil(3) * 4, 0);
            let written = STANDARD.encode_slice(piece, &mut self.out[start..]);
            // The room is exactly what the encoding takes, so this keeps all of it.
            self.out.truncate(start + written.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> StatusDraft {
        StatusDraft {
            from: Organ::new("A", None),
            response_for: ResponseFor {
                organ_id: "B".into(),
                document_id: Some("id".to_owned()),
                ..ResponseFor::default()
            },
            staff: None,
            code: StatusCode::ARRIVED,
            description: None,
            timestamp: Timestamp::new(2026, 1, 1, 0, 0, 0).unwrap(),
        }
    }

    #[test]
    fn a_status_that_would_be_refused_is_not_written() {
        assert!(status(&draft()).is_ok());
        let missing = |change: fn(&mut StatusDraft)| {
            let mut draft = draft();
            change(&mut draft);
            match status(&draft) {
                Err(Error::Missing { field }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(missing(|d| d.from.id = " ".into()), "From/OrganId");
        assert_eq!(
            missing(|d| d.response_for.organ_id = "".into()),
            "ResponseFor/OrganId"
        );
        assert_eq!(
            missing(|d| d.response_for.document_id = None),
            "ResponseFor/DocumentId"
        );
        assert_eq!(missing(|d| d.code = StatusCode::REJECTED), "Description");
        let mut odd = draft();
        odd.description = Some("a\u{1}".to_owned());
        assert_eq!(
            status(&odd),
            Err(Error::IllegalCharacter {
                field: "Description",
                character: '\u{1}'
            })
        );
    }

    #[test]
    fn the_layout_is_that_of_the_sdk() {
        let text = String::from_utf8(status(&draft()).unwrap()).unwrap();
        let expected = concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n",
            "<edXML xmlns=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\">\r\n",
            "  <edXML:edXMLEnvelope xmlns:edXML=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\">\r\n",
            "    <edXML:edXMLHeader>\r\n",
            "      <edXML:MessageHeader>\r\n",
            "        <edXML:From>\r\n",
            "          <edXML:OrganId>A</edXML:OrganId>\r\n",
            "        </edXML:From>\r\n",
            "        <edXML:ResponseFor>\r\n",
            "          <edXML:OrganId>B</edXML:OrganId>\r\n",
            "          <edXML:DocumentId>id</edXML:DocumentId>\r\n",
            "        </edXML:ResponseFor>\r\n",
            "        <edXML:StatusCode>01</edXML:StatusCode>\r\n",
            "        <edXML:Timestamp>2026/01/01 00:00:00</edXML:Timestamp>\r\n",
            "      </edXML:MessageHeader>\r\n",
            "    </edXML:edXMLHeader>\r\n",
            "  </edXML:edXMLEnvelope>\r\n",
            "</edXML>\r\n",
        );
        assert_eq!(text, expected);
    }
}
