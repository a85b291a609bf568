//! What can only be judged with the whole package in hand: what is missing, what contradicts.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::BufRead;

use unicode_normalization::UnicodeNormalization;

use crate::code::BusinessKind;
use crate::cursor::{Cursor, Place};
use crate::detail::Detail;
use crate::finding::FindingCode;
use crate::header::{Header, status_code};
use crate::package::{Attachment, Package, Reference, Status, bare_id};
use crate::read::{Form, Frame};

/// Puts the package together and tells what is missing. `whole` is false if reading stopped
/// early: then nothing is said to be missing, because it may have followed.
pub(crate) fn assemble<R: BufRead>(
    frame: &mut Frame,
    c: &mut Cursor<'_, R>,
    whole: bool,
) -> Option<Package> {
    if frame.form != Form::Current && !(frame.older_too && frame.form == Form::Soap) {
        return None;
    }
    let Some(message) = frame.header.message.clone() else {
        if whole {
            let envelope = Place {
                at: c.envelope_at(),
                path: "edXML/edXMLEnvelope/edXMLHeader".to_owned(),
            };
            c.tell_missing(FindingCode::NoMessageHeader, &envelope, "MessageHeader", "");
        }
        return None;
    };
    let from_known = from(&frame.header, c, &message, whole);
    if is_status(&frame.header) {
        let status = status(&mut frame.header, c, &message, whole);
        return status.filter(|_| from_known);
    }
    let routed = document(frame, c, &message, whole);
    let document = std::mem::take(&mut frame.header.document);
    (from_known && routed).then(|| Package::Document(Box::new(document)))
}

/// A status has a StatusCode or is called one; or it answers something and has nothing else that
/// a document has.
fn is_status(header: &Header) -> bool {
    let of_a_document = header.code.is_some() || header.promulgation.is_some();
    header.named_status
        || (header.status_code.is_some() && (header.to.is_empty() || !of_a_document))
        || (!header.response_for.is_empty() && header.to.is_empty() && !of_a_document)
}

fn from<R: BufRead>(header: &Header, c: &mut Cursor<'_, R>, message: &Place, whole: bool) -> bool {
    match &header.from {
        Some((organ, _)) if !organ.id.is_blank() => return true,
        Some((_, place)) if whole => {
            c.tell_missing(FindingCode::NoFrom, place, "OrganId", "");
        }
        None if whole => c.tell_missing(FindingCode::NoFrom, message, "From", ""),
        _ => {}
    }
    false
}

fn status<R: BufRead>(
    header: &mut Header,
    c: &mut Cursor<'_, R>,
    message: &Place,
    whole: bool,
) -> Option<Package> {
    if whole && !header.timed {
        c.tell_missing(FindingCode::NoTimestamp, message, "Timestamp", "");
    }
    let code = match header.status_code.take() {
        Some((Some(text), place)) => status_code(c, &text, &place),
        Some((None, place)) => {
            c.tell_at(FindingCode::NoStatusCode, &place, "");
            None
        }
        None => {
            if whole {
                c.tell_missing(FindingCode::NoStatusCode, message, "StatusCode", "");
            }
            None
        }
    };
    if whole && header.description.is_none() && code.is_some_and(|code| code.needs_reason()) {
        c.tell_missing(FindingCode::NoReason, message, "Description", "Description");
    }
    for (_, place) in &header.to {
        c.tell_at(FindingCode::MisplacedElement, place, "To");
    }
    for pair in header.response_for.windows(2) {
        let [(before, _), (now, place)] = pair else {
            continue;
        };
        c.tell_contradiction(place, &before.organ_id, &now.organ_id);
    }
    // The last one counts, as everywhere.
    let answered = header.response_for.pop();
    match &answered {
        Some((response, place)) => {
            if response.organ_id.is_blank() && whole {
                c.tell_missing(FindingCode::NoResponseFor, place, "OrganId", "");
            }
            if response.document_id.is_none() && response.code.is_none() && whole {
                c.tell_at(FindingCode::NoAnsweredDocument, place, "");
            }
        }
        None if whole => {
            c.tell_missing(FindingCode::NoResponseFor, message, "ResponseFor", "");
        }
        None => {}
    }
    let (response_for, _) = answered.filter(|(response, _)| !response.organ_id.is_blank())?;
    let (from, _) = header.from.take()?;
    Some(Package::Status(Box::new(Status {
        from,
        response_for,
        staff: header.staff.take(),
        code: code?,
        description: header.description.take(),
        timestamp: header.timestamp.take(),
        signed: header.document.signed,
        unknown: std::mem::take(&mut header.unknown),
    })))
}

/// Completes the document; whether it can be routed.
fn document<R: BufRead>(
    frame: &mut Frame,
    c: &mut Cursor<'_, R>,
    message: &Place,
    whole: bool,
) -> bool {
    if let Some((_, place)) = &frame.header.status_code {
        c.tell_at(FindingCode::MisplacedElement, place, "StatusCode");
    }
    receivers(&mut frame.header, c, message, whole);
    if whole {
        required(&frame.header, c, message);
        business(&frame.header, c, message);
    }
    let attachments_known = whole && !frame.header_only;
    pair(
        &mut frame.manifest,
        &frame.attachments,
        c,
        attachments_known,
    );
    let header = &mut frame.header;
    let document = &mut header.document;
    if let Some((from, _)) = header.from.take() {
        document.from = from;
    }
    document.response_for = header.response_for.drain(..).map(|(r, _)| r).collect();
    document.manifest = frame.manifest.drain(..).map(|(r, _)| r).collect();
    document.attachments = frame.attachments.drain(..).map(|(a, _)| a).collect();
    document.unknown = std::mem::take(&mut header.unknown);
    !document.to.is_empty()
}

fn receivers<R: BufRead>(header: &mut Header, c: &mut Cursor<'_, R>, message: &Place, whole: bool) {
    if header.to.is_empty() && whole {
        c.tell_missing(FindingCode::NoTo, message, "To", "");
    }
    let mut seen = HashSet::new();
    for (organ, place) in header.to.drain(..) {
        if organ.id.is_blank() {
            if whole {
                c.tell_missing(FindingCode::NoTo, &place, "OrganId", "");
            }
            continue;
        }
        if !seen.insert(organ.id.canonical()) {
            c.tell_at(FindingCode::DuplicateTo, &place, organ.id.as_str());
        }
        header.document.to.push(organ);
    }
}

/// The elements that every document should have.
fn required<R: BufRead>(header: &Header, c: &mut Cursor<'_, R>, message: &Place) {
    let document = &header.document;
    let code = header.code.as_ref();
    if document.code.number.is_empty() {
        missing_in(
            c,
            FindingCode::NoNumber,
            code,
            message,
            "Code",
            "CodeNumber",
        );
    }
    if document.code.notation.is_empty() {
        missing_in(
            c,
            FindingCode::NoNotation,
            code,
            message,
            "Code",
            "CodeNotation",
        );
    }
    if document.promulgation.date.is_none() && !header.date_told {
        let (parent, child) = ("PromulgationInfo", "PromulgationDate");
        let place = header.promulgation.as_ref();
        missing_in(c, FindingCode::NoDate, place, message, parent, child);
    }
    if document.subject.is_none() {
        c.tell_missing(FindingCode::NoSubject, message, "Subject", "");
    }
    if document.document_id.is_none() {
        c.tell_missing(FindingCode::NoDocumentId, message, "DocumentId", "");
    }
    usual(header, c, message);
}

/// What every real document has, and some receivers ask for.
fn usual<R: BufRead>(header: &Header, c: &mut Cursor<'_, R>, message: &Place) {
    let document = &header.document;
    let steered = document.steering_type.is_some() || c.findings.has(FindingCode::SteeringType);
    // A sender that is missing altogether has been told.
    let named = header
        .from
        .as_ref()
        .is_none_or(|(from, _)| from.name.is_some());
    for (there, child) in [
        (named, "From/OrganName"),
        (
            document.promulgation.place.is_some(),
            "PromulgationInfo/Place",
        ),
        (document.document_type.class.is_some(), "DocumentType/Type"),
        (
            document.document_type.name.is_some(),
            "DocumentType/TypeName",
        ),
        (document.signer.full_name.is_some(), "SignerInfo/FullName"),
        (steered, "SteeringType"),
    ] {
        if !there {
            c.tell_missing(FindingCode::UsuallyPresent, message, child, child);
        }
    }
}

fn missing_in<R: BufRead>(
    c: &mut Cursor<'_, R>,
    code: FindingCode,
    parent_place: Option<&Place>,
    message: &Place,
    parent: &str,
    child: &str,
) {
    match parent_place {
        Some(place) => c.tell_missing(code, place, child, ""),
        None => c.tell_missing(code, message, &format!("{parent}/{child}"), ""),
    }
}

/// What recall, update and replacement must say.
fn business<R: BufRead>(header: &Header, c: &mut Cursor<'_, R>, message: &Place) {
    let business = &header.document.business;
    if business.kind == BusinessKind::New {
        return;
    }
    let place = header.business.as_ref().unwrap_or(message);
    if business.reason.is_none() {
        let child = "BussinessDocReason";
        c.tell_missing(FindingCode::NoReason, place, child, child);
    }
    let missing = match business.kind {
        BusinessKind::New => None,
        BusinessKind::Recall => header
            .document
            .target_id()
            .is_none()
            .then_some("DocumentId"),
        BusinessKind::Update => business.document_id.is_none().then_some("DocumentId"),
        BusinessKind::Replace => business
            .replacements
            .iter()
            .all(|replaced| replaced.document_id.is_none())
            .then_some("ReplacementInfoList/ReplacementInfo/DocumentId"),
    };
    if let Some(child) = missing {
        c.tell_missing(FindingCode::NoTarget, place, child, child);
    }
}

/// Pairs references and attachments: by id without `cid:`, then by name, then by position where
/// neither can contradict.
fn pair<R: BufRead>(
    manifest: &mut [(Reference, Place)],
    attachments: &[(Attachment, Place)],
    c: &mut Cursor<'_, R>,
    whole: bool,
) {
    let mut taken = vec![false; attachments.len()];
    pair_by(
        manifest,
        attachments,
        &mut taken,
        |reference| reference.content_id.as_deref().map(bare_id).map(composed),
        |attachment| attachment.content_id.as_deref().map(bare_id).map(composed),
    );
    pair_by(
        manifest,
        attachments,
        &mut taken,
        |reference| reference.name.as_deref().map(composed),
        |attachment| attachment.name.as_deref().map(composed),
    );
    let mut free = (0..attachments.len())
        .filter(|&i| !taken[i])
        .collect::<Vec<_>>()
        .into_iter();
    let mut by_position = Vec::new();
    for (reference, _) in manifest.iter_mut().filter(|(r, _)| r.attachment.is_none()) {
        let Some(index) = free.next() else { break };
        let attachment = &attachments[index].0;
        let ids_may_agree = reference.content_id.is_none() || attachment.content_id.is_none();
        let names_may_agree = reference.name.is_none() || attachment.name.is_none();
        if ids_may_agree && names_may_agree {
            reference.attachment = Some(index);
            by_position.push(index);
        }
    }
    for index in by_position {
        taken[index] = true;
    }
    tell_pairs(manifest, attachments, &taken, c, whole);
}

/// A name for comparing: Vietnamese text may be in composed or decomposed form.
fn composed(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfc().collect()),
    }
}

/// Pairs what is still free and has the same key.
fn pair_by<'a>(
    manifest: &mut [(Reference, Place)],
    attachments: &'a [(Attachment, Place)],
    taken: &mut [bool],
    reference_key: impl Fn(&Reference) -> Option<Cow<'_, str>>,
    attachment_key: impl Fn(&'a Attachment) -> Option<Cow<'a, str>>,
) {
    let mut by_key = HashMap::<Cow<'_, str>, VecDeque<usize>>::new();
    for (index, (attachment, _)) in attachments.iter().enumerate() {
        if let (false, Some(key)) = (taken[index], attachment_key(attachment)) {
            by_key.entry(key).or_default().push_back(index);
        }
    }
    for (reference, _) in manifest.iter_mut().filter(|(r, _)| r.attachment.is_none()) {
        let key = reference_key(reference);
        let free = key.and_then(|key| by_key.get_mut(key.as_ref())?.pop_front());
        if let Some(index) = free {
            reference.attachment = Some(index);
            taken[index] = true;
        }
    }
}

fn tell_pairs<R: BufRead>(
    manifest: &[(Reference, Place)],
    attachments: &[(Attachment, Place)],
    taken: &[bool],
    c: &mut Cursor<'_, R>,
    whole: bool,
) {
    let mut ids = HashSet::new();
    for (reference, place) in manifest {
        let named = reference
            .content_id
            .as_deref()
            .or(reference.name.as_deref())
            .unwrap_or("?");
        if let Some(id) = reference.content_id.as_deref()
            && !ids.insert(composed(bare_id(id)))
        {
            c.tell_at(FindingCode::DuplicateContentId, place, id);
        }
        match reference.attachment {
            None if whole => c.tell_at(FindingCode::ReferenceWithoutAttachment, place, named),
            None => {}
            Some(index) => {
                if let Some(difference) = difference(reference, &attachments[index].0) {
                    c.tell_at(FindingCode::ManifestDiffers, place, difference);
                }
            }
        }
    }
    for ((attachment, place), taken) in attachments.iter().zip(taken) {
        if !taken && whole {
            let named = attachment
                .name
                .as_deref()
                .or(attachment.content_id.as_deref())
                .unwrap_or("?");
            c.tell_at(FindingCode::AttachmentWithoutReference, place, named);
        }
        if attachment.name.is_none() {
            c.tell_missing(FindingCode::NoAttachmentName, place, "AttachmentName", "");
        }
    }
}

/// What manifest and attachment say differently.
fn difference(reference: &Reference, attachment: &Attachment) -> Option<Detail<'static>> {
    let id = |id: &Option<String>| id.as_deref().map(|id| bare_id(id).to_owned());
    let fields = [
        (
            "ContentId",
            id(&reference.content_id),
            id(&attachment.content_id),
        ),
        (
            "AttachmentName",
            reference.name.clone(),
            attachment.name.clone(),
        ),
        (
            "ContentType",
            reference.content_type.clone(),
            attachment.content_type.clone(),
        ),
    ];
    fields
        .into_iter()
        .find_map(|(field, here, there)| match (here, there) {
            (Some(here), Some(there)) if composed(&here) != composed(&there) => {
                Some(Detail::words(
                    format!("{field} is \"{here}\" and \"{there}\""),
                    format!("{field} là \"{here}\" và \"{there}\""),
                ))
            }
            _ => None,
        })
}
