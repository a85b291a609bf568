//! What a package says: documents, statuses, their parts.
//!
//! Prose is kept as sent; identifiers, numbers and names of files are trimmed. An element that is
//! absent, empty or only white space is `None`.

use std::ops::Range;

use crate::code::{BusinessKind, Priority, StatusCode};
use crate::identifier::AgencyCode;
use crate::source::Encoding;
use crate::time::{Date, Timestamp};

/// One edXML file: a document or a status.
#[derive(Debug, Clone, PartialEq)]
pub enum Package {
    /// A document, a recall, an update or a replacement.
    Document(Box<Document>),
    /// A report on a document.
    Status(Box<Status>),
}

impl Package {
    /// The sender (`MessageHeader/From`).
    pub fn from(&self) -> &Organ {
        match self {
            Package::Document(document) => &document.from,
            Package::Status(status) => &status.from,
        }
    }

    /// `"document"` or `"status"`.
    pub fn kind(&self) -> &'static str {
        match self {
            Package::Document(_) => "document",
            Package::Status(_) => "status",
        }
    }
}

/// A document package (reference sections b.2 to b.4).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// Sender; always has an id.
    pub from: Organ,
    /// Receivers in the order sent; each has an id.
    pub to: Vec<Organ>,
    /// Number and notation.
    pub code: Code,
    /// Place and date of issue.
    pub promulgation: Promulgation,
    /// Kind of document.
    pub document_type: DocumentType,
    /// Abstract, trích yếu.
    pub subject: Option<String>,
    /// Short content.
    pub content: Option<String>,
    /// Who signed.
    pub signer: Signer,
    /// Deadline.
    pub due_date: Option<Date>,
    /// "Nơi nhận" lines as printed; not the routing list.
    pub to_places: Vec<String>,
    /// Urgency and other data.
    pub other_info: OtherInfo,
    /// The documents that this one answers.
    pub response_for: Vec<ResponseFor>,
    /// 0, 1 or 2 by the usual reading; its sense is disputed (section b.2 note 1).
    pub steering_type: Option<u32>,
    /// The sender's identifier of the document, trimmed (section d).
    pub document_id: Option<String>,
    /// Tasks that this document reports on.
    pub task_codes: Vec<String>,
    /// SDK addition, values like `MCDT_DT`.
    pub application_type: Option<String>,
    /// Who passed the package on, and when; in the order of the file.
    pub trace: Vec<TraceHeader>,
    /// New, recall, update or replacement.
    pub business: Business,
    /// The attachments announced.
    pub manifest: Vec<Reference>,
    /// The attachments carried.
    pub attachments: Vec<Attachment>,
    /// Whether a `Signature` element with content is there. Nothing is verified.
    pub signed: bool,
    /// Elements that this crate does not know, in the order of the file.
    pub unknown: Vec<Unknown>,
}

impl Document {
    /// For a recall or update: the id of the document meant, `Bussiness/DocumentId` if present,
    /// else `MessageHeader/DocumentId`.
    pub fn target_id(&self) -> Option<&str> {
        self.business
            .document_id
            .as_deref()
            .or(self.document_id.as_deref())
    }
}

/// A status package (reference section f.1).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// Who reports; always has an id.
    pub from: Organ,
    /// The document reported on; its `organ_id` is who gets the report.
    pub response_for: ResponseFor,
    /// The clerk.
    pub staff: Option<Staff>,
    /// What is reported.
    pub code: StatusCode,
    /// Reason or free text.
    pub description: Option<String>,
    /// When, by the sender's clock.
    pub timestamp: Option<Timestamp>,
    /// Whether a `Signature` element with content is there. Nothing is verified.
    pub signed: bool,
    /// Elements that this crate does not know, in the order of the file.
    pub unknown: Vec<Unknown>,
}

/// A body (`From`, `To`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Organ {
    /// `OrganId`.
    pub id: AgencyCode,
    /// `OrganizationInCharge`: the governing body.
    pub in_charge: Option<String>,
    /// `OrganName`.
    pub name: Option<String>,
    /// `OrganAdd`.
    pub address: Option<String>,
    /// `Email`.
    pub email: Option<String>,
    /// `Telephone`, free text.
    pub telephone: Option<String>,
    /// `Fax`, free text.
    pub fax: Option<String>,
    /// `Website`.
    pub website: Option<String>,
}

impl Organ {
    /// A body with an id and a name.
    pub fn new(id: impl Into<AgencyCode>, name: Option<&str>) -> Organ {
        Organ {
            id: id.into(),
            name: name.map(str::to_owned),
            ..Organ::default()
        }
    }
}

/// Number and notation, `số/ký hiệu`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Code {
    /// `CodeNumber`, a text; empty if absent.
    pub number: String,
    /// `CodeNotation`; empty if absent.
    pub notation: String,
}

impl std::fmt::Display for Code {
    /// `number/notation`, or the one that is there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.number.as_str(), self.notation.as_str()) {
            (number, "") => f.write_str(number),
            ("", notation) => f.write_str(notation),
            (number, notation) => write!(f, "{number}/{notation}"),
        }
    }
}

/// Place and date of issue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promulgation {
    /// `Place`.
    pub place: Option<String>,
    /// `PromulgationDate`; always there in a package that is accepted.
    pub date: Option<Date>,
}

/// Kind of document (section g.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentType {
    /// 1 legal normative, 2 administrative; other values are met.
    pub class: Option<u32>,
    /// Position in the list of the class.
    pub detail: Option<u32>,
    /// What people read, e.g. "Công văn"; take this first, the numbers often contradict it.
    pub name: Option<String>,
}

/// Who signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signer {
    /// Capacity: TM., KT., TL., TUQ.
    pub competence: Option<String>,
    /// Position.
    pub position: Option<String>,
    /// Full name.
    pub full_name: Option<String>,
}

/// `OtherInfo`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtherInfo {
    /// Urgency; ordinary if absent or unreadable.
    pub priority: Priority,
    /// Circulation.
    pub sphere: Option<String>,
    /// Initials of the typist.
    pub typer_notation: Option<String>,
    /// Number of copies issued.
    pub promulgation_amount: Option<u32>,
    /// Number of pages.
    pub page_amount: Option<u32>,
    /// Names of annexes.
    pub appendixes: Vec<String>,
    /// SDK addition without a documented sense.
    pub direction: Option<bool>,
}

/// A document that is answered, or that a status reports on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseFor {
    /// Sender of that document; in a status, who gets the report.
    pub organ_id: AgencyCode,
    /// `number/notation` in one text.
    pub code: Option<String>,
    /// Its date of issue.
    pub promulgation_date: Option<Date>,
    /// Its id, trimmed.
    pub document_id: Option<String>,
}

/// `TraceHeader`: a hint for diagnosis, nothing is signed (section i).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceHeader {
    /// Who passed the package on; absent or `null` in files of 2025.
    pub organ_id: Option<AgencyCode>,
    /// When.
    pub timestamp: Option<Timestamp>,
}

/// `Bussiness` (section e).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Business {
    /// What the package is for.
    pub kind: BusinessKind,
    /// Why; due for recall, update and replacement.
    pub reason: Option<String>,
    /// The document that is recalled or updated, trimmed. See [`Document::target_id`].
    pub document_id: Option<String>,
    /// For an update: what changed.
    pub info: BusinessInfo,
    /// For an update: who joins or leaves the receivers.
    pub receivers: Vec<ReceiverChange>,
    /// For a replacement: the documents replaced.
    pub replacements: Vec<Replacement>,
    /// Person in charge; the last one if there are several.
    pub staff: Option<Staff>,
    /// 1 if a paper copy is sent too; other values are kept.
    pub paper: Option<u32>,
}

/// `BussinessDocumentInfo`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusinessInfo {
    /// The data of the document changed.
    pub document: Option<bool>,
    /// The list of receivers changed.
    pub receivers: Option<bool>,
}

/// One receiver that joins or leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverChange {
    /// Who.
    pub organ_id: AgencyCode,
    /// `true` joins (`ReceiverType` 1), `false` leaves (0); `None` if not said.
    pub added: Option<bool>,
}

/// One replaced document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Its id, trimmed.
    pub document_id: Option<String>,
    /// Its receivers.
    pub organ_ids: Vec<AgencyCode>,
}

/// A clerk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Staff {
    /// Department.
    pub department: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Mobile telephone.
    pub mobile: Option<String>,
    /// E-mail.
    pub email: Option<String>,
}

/// One line of the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    /// `ContentId`, trimmed, with its `cid:` as sent.
    pub content_id: Option<String>,
    /// MIME type as declared.
    pub content_type: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// File name as sent: untrusted.
    pub name: Option<String>,
    /// Index in [`Document::attachments`] of the attachment it announces.
    pub attachment: Option<usize>,
}

/// One attachment. Its content stays where it is; the offsets say where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// `ContentId`, trimmed, with its `cid:` as sent.
    pub content_id: Option<String>,
    /// File name as sent: untrusted.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// MIME type as declared; often wrong.
    pub content_type: Option<String>,
    /// Byte offsets in the package of what stands between the tags of
    /// `ContentTransferEncoded`: base64, white space, perhaps a CDATA wrapper.
    pub encoded: Range<u64>,
    /// Number of base64 characters in it, padding included.
    pub encoded_len: u64,
    /// Number of bytes it decodes to.
    pub decoded_len: u64,
    /// The first decoded bytes, at most 16.
    pub magic: Vec<u8>,
    /// Whether the content can be decoded.
    pub decodable: bool,
    /// How the bytes at `encoded` are written.
    pub(crate) encoding: Encoding,
}

/// An element that this crate does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Where it stands, like the paths of findings.
    pub path: String,
    /// Its bytes in the package, from `<` to `>`.
    pub span: Range<u64>,
}

/// `cid:` taken off, for comparing ids of references and attachments.
pub(crate) fn bare_id(id: &str) -> &str {
    id.strip_prefix("cid:")
        .or_else(|| id.strip_prefix("CID:"))
        .unwrap_or(id)
        .trim()
}
