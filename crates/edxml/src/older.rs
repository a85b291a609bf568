//! Packages of the older form (reference section a.3), turned into the current one: a SOAP envelope
//! with the header, its files as the other parts of a multipart/related body.
//!
//! It is read by the same reader and written by the same writer as the current form, so that only
//! what differs is here: where the files are, and what to tell about the change.

mod mime;

use crate::finding::{Finding, FindingCode, Level, Position};
use crate::limits::Limits;
use crate::name::Name;
use crate::package::{Document, Package, Reference, bare_id};
use crate::read::{Form, Reading, read_older};
use crate::time::{Date, Timestamp};
use crate::write::{self, DocumentDraft, File};

use mime::Part;

/// A package converted to the current form.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Converted {
    /// The package in the current form. [`read`](crate::read()) it to know whether it is accepted.
    pub bytes: Vec<u8>,
    /// What was written anew, added or left out, each at its place in the older package; the first
    /// says from which form.
    pub changes: Vec<Finding>,
}

/// Why a package is not converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// It is in the current form, or in none that is known.
    #[error("this is no package of the older SOAP form; there is nothing to convert")]
    NotOlder,
    /// It cannot be read, or not be routed.
    #[error("the older package cannot be read: {0}")]
    Unreadable(Box<Finding>),
    /// The multipart body has no part that is a SOAP envelope.
    #[error("the multipart body has no part with the SOAP envelope")]
    NoEnvelope,
    /// A part of the body says base64 and is none.
    #[error("the part {0} of the multipart body is not in the encoding that it names")]
    BadPart(String),
    /// The last boundary of the body is missing.
    #[error("the multipart body ends without its last boundary: it is cut off")]
    CutOff,
    /// The body has more parts than any package has files.
    #[error("the multipart body has more than {0} parts")]
    TooManyParts(usize),
    /// The files are in a document of their own, as the older form allows. It says neither whose
    /// they are nor to whom they go, so that nothing but a guess could bring the two together.
    #[error(
        "the files are in an AllDocument, which is not converted: it does not say whose they are. Convert the envelope with its files as the other parts of one multipart/related body"
    )]
    FilesAlone,
    /// A file that is announced is not there. In the older form files stand outside the envelope.
    #[error(
        "the file {0} is announced, but not in this body; convert the whole multipart/related body, not the envelope alone"
    )]
    NoFile(String),
}

impl ConvertError {
    /// The same in Vietnamese.
    pub fn text_vi(&self) -> String {
        match self {
            ConvertError::NotOlder => {
                "Đây không phải gói tin theo mẫu SOAP cũ; không có gì để chuyển.".to_owned()
            }
            ConvertError::Unreadable(finding) => format!(
                "Không đọc được gói tin cũ, dòng {}, cột {}: {}",
                finding.line,
                finding.column,
                finding.message_vi()
            ),
            ConvertError::NoEnvelope => {
                "Nội dung nhiều phần không có phần nào là phong bì SOAP.".to_owned()
            }
            ConvertError::BadPart(part) => {
                format!("Phần {part} không đúng cách mã hóa đã khai.")
            }
            ConvertError::CutOff => {
                "Nội dung nhiều phần thiếu ranh giới kết thúc: dữ liệu bị cắt.".to_owned()
            }
            ConvertError::TooManyParts(most) => {
                format!("Nội dung nhiều phần có hơn {most} phần.")
            }
            ConvertError::FilesAlone => {
                "Các tệp nằm trong AllDocument, không chuyển được: nó không \
                 ghi tệp của gói nào. Hãy chuyển phong bì cùng các tệp, mỗi tệp là một phần của \
                 nội dung multipart/related."
                    .to_owned()
            }
            ConvertError::NoFile(name) => format!(
                "Tệp {name} có trong danh mục nhưng không có trong nội dung; hãy chuyển cả nội \
                 dung multipart/related, không chỉ phong bì."
            ),
        }
    }
}

/// Turns a package of the older form into the current one: a SOAP envelope alone, or in a
/// multipart/related body with its files. Values are taken over as they are understood (dates and
/// times in the current form); signatures are not, because they cannot hold.
///
/// ```
/// let older = br#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
///     xmlns:e="http://www.e-doc.vn/Schema/"><s:Header><e:Status>
///     <e:From><e:OrganId>000.00.05.H47</e:OrganId></e:From>
///     <e:ResponseFor><e:OrganId>000.00.04.H47</e:OrganId><e:Code>12/VP</e:Code></e:ResponseFor>
///     <e:StatusCode>3</e:StatusCode><e:TimeStamp>15/03/2015 09:05:10</e:TimeStamp>
///     </e:Status></s:Header><s:Body/></s:Envelope>"#;
/// let converted = edxml::convert(older, &edxml::Limits::default())?;
/// let text = String::from_utf8_lossy(&converted.bytes);
/// assert!(text.contains("<edXML:Timestamp>2015/03/15 09:05:10</edXML:Timestamp>"));
/// # Ok::<(), edxml::ConvertError>(())
/// ```
///
/// # Errors
/// If it is not in the older form, cannot be routed, or lacks a file that it announces.
pub fn convert(package: &[u8], limits: &Limits) -> Result<Converted, ConvertError> {
    let Some(parts) = mime::parts(package)? else {
        return finish(read_older(package, limits), Vec::new(), 0, 0);
    };
    let mut envelope = None;
    let mut files = Vec::new();
    for part in parts {
        if part.is_xml() {
            let reading = read_older(&part.bytes, limits);
            if is_all_document(&reading) {
                return Err(ConvertError::FilesAlone);
            }
            if envelope.is_none() && reading.form == Form::Soap {
                envelope = Some((reading, part.start));
                continue;
            }
        }
        files.push(part);
    }
    let (reading, start) = envelope.ok_or(ConvertError::NoEnvelope)?;
    // Where the envelope stands in the body as it is, places are told in the body.
    let before = start.and_then(|start| package.get(..start));
    let lines = before.map_or(0, |before| memchr::memchr_iter(b'\n', before).count());
    finish(reading, files, before.map_or(0, <[u8]>::len), lines)
}

fn finish(
    reading: Reading,
    parts: Vec<Part>,
    offset: usize,
    lines: usize,
) -> Result<Converted, ConvertError> {
    if reading.form != Form::Soap {
        return Err(match reading.refusal_at(Level::Readable) {
            Some(refusal) if reading.form == Form::Unknown => {
                ConvertError::Unreadable(Box::new(refusal.clone()))
            }
            _ => ConvertError::NotOlder,
        });
    }
    if is_all_document(&reading) {
        return Err(ConvertError::FilesAlone);
    }
    if let Some(refusal) = reading.refusal_at(Level::Readable) {
        return Err(ConvertError::Unreadable(Box::new(refusal.clone())));
    }
    let mut changes = changes(&reading);
    for change in &mut changes {
        change.offset += offset as u64;
        change.line = change
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
    }
    let bytes = match reading.package {
        None => return Err(ConvertError::NotOlder),
        Some(Package::Status(status)) => write::status_as_read(&status),
        Some(Package::Document(document)) => {
            changes.extend(added(&document));
            let attachments = files(&document.manifest, parts)?;
            let document = *document;
            write::document(&DocumentDraft {
                document,
                attachments,
            })
        }
    };
    Ok(Converted { bytes, changes })
}

/// Whether the root is that of files without an envelope.
fn is_all_document(reading: &Reading) -> bool {
    let mut findings = reading.findings.iter();
    findings.any(|finding| {
        finding.code == FindingCode::OlderFormSoap && finding.detail == crate::read::ALL_DOCUMENT
    })
}

/// The files of the body, in the order of the manifest, and behind them those that it does not
/// name.
fn files(manifest: &[Reference], mut parts: Vec<Part>) -> Result<Vec<File>, ConvertError> {
    let mut files = Vec::with_capacity(parts.len());
    for reference in manifest {
        let id = reference.content_id.as_deref().map(bare_id);
        let named = |part: &Part| part.id.is_some() && part.id.as_deref() == id;
        let called = |part: &Part| part.name.is_some() && part.name == reference.name;
        let at = parts
            .iter()
            .position(named)
            .or_else(|| parts.iter().position(called));
        let Some(at) = at else {
            let shown = reference.name.as_deref().or(id).unwrap_or("?");
            return Err(ConvertError::NoFile(shown.to_owned()));
        };
        let part = parts.remove(at);
        files.push(File {
            content_id: id.map(|id| format!("cid:{id}")),
            name: reference
                .name
                .clone()
                .or(part.name)
                .unwrap_or_else(|| format!("tep-{}", files.len() + 1)),
            content_type: part.content_type,
            description: reference.description.clone(),
            bytes: part.bytes,
        });
    }
    for part in parts {
        let name = part
            .name
            .unwrap_or_else(|| format!("tep-{}", files.len() + 1));
        files.push(File {
            content_id: part.id.map(|id| format!("cid:{id}")),
            name,
            content_type: part.content_type,
            description: None,
            bytes: part.bytes,
        });
    }
    Ok(files)
}

/// What the reading found that the writing mends or cannot keep.
fn changes(reading: &Reading) -> Vec<Finding> {
    let first = Finding::new(
        FindingCode::Converted,
        String::new(),
        Position::default(),
        "SOAP (2012–2014)",
    );
    let mut changes = vec![first];
    for finding in &reading.findings {
        let old = finding.detail.as_str();
        let (code, detail) = match finding.code {
            FindingCode::NonstandardDate => {
                let new = Date::parse(old).map(|date| date.to_string());
                (FindingCode::Rewritten, new)
            }
            FindingCode::NonstandardTime => {
                let new = Timestamp::parse(old).map(|time| time.to_string());
                (FindingCode::Rewritten, new)
            }
            FindingCode::OlderSpelling | FindingCode::BusinessSpelling => {
                let new = Name::look_up(old).0.current();
                (FindingCode::Rewritten, new.map(str::to_owned))
            }
            FindingCode::OneDigitStatus => {
                let new = crate::StatusCode::parse(old).map(|code| code.to_string());
                (FindingCode::Rewritten, new)
            }
            FindingCode::NumberWithSpaces => (FindingCode::Rewritten, Some(old.trim().to_owned())),
            FindingCode::UnknownElement
            | FindingCode::MisplacedElement
            | FindingCode::DuplicateElement
            | FindingCode::UnexpectedText
            | FindingCode::BadNumber
            | FindingCode::BadFlag
            | FindingCode::BadDate
            | FindingCode::BadTime => (FindingCode::LeftOut, None),
            _ => continue,
        };
        let detail = match detail {
            Some(new) if new != old.trim() => format!("{old} → {new}"),
            _ => old.trim().to_owned(),
        };
        let at = Position {
            offset: finding.offset,
            line: finding.line,
            column: finding.column,
        };
        changes.push(Finding::new(code, finding.path.clone(), at, &detail));
    }
    if reading.spans.signature.is_some() {
        let path = "Envelope/Header/Signature".to_owned();
        let left = Finding::new(FindingCode::LeftOut, path, Position::default(), "Signature");
        changes.push(left);
    }
    changes
}

/// What the writer adds to a document that does not say it.
fn added(document: &Document) -> Vec<Finding> {
    let values = [
        (
            document.document_type.class.is_none(),
            "DocumentType/Type 2",
        ),
        (document.steering_type.is_none(), "SteeringType 0"),
    ];
    let values = values.into_iter().filter(|(absent, _)| *absent);
    values
        .map(|(_, value)| {
            let place = Position::default();
            Finding::new(FindingCode::Added, String::new(), place, value)
        })
        .collect()
}
