//! The header of a package: who, to whom, what, and what for.

use std::io::BufRead;
use std::ops::Range;

use crate::code::{BusinessKind, Priority, StatusCode};
use crate::cursor::{Cursor, Place};
use crate::finding::FindingCode;
use crate::leaf::plain_digits;
use crate::name::Name;
use crate::package::{
    Business, Code, Document, DocumentType, Organ, OtherInfo, Promulgation, ReceiverChange,
    Replacement, ResponseFor, Signer, Staff, TraceHeader, Unknown,
};
use crate::read::unknown;
use crate::spans::Spans;
use crate::time::Timestamp;

/// How many unknown elements are kept.
const UNKNOWN_KEPT: usize = 1000;

/// What the header says, document or status alike.
#[derive(Debug, Default)]
pub(crate) struct Header {
    /// Where `MessageHeader` stands; `None` if there is none.
    pub(crate) message: Option<Place>,
    /// `MessageHeader` was written `Status`.
    pub(crate) named_status: bool,
    pub(crate) document: Document,
    pub(crate) from: Option<(Organ, Place)>,
    /// Receivers, with and without an id.
    pub(crate) to: Vec<(Organ, Place)>,
    pub(crate) response_for: Vec<(ResponseFor, Place)>,
    pub(crate) code: Option<Place>,
    pub(crate) promulgation: Option<Place>,
    /// The text of `StatusCode`, and where.
    pub(crate) status_code: Option<(Option<String>, Place)>,
    pub(crate) staff: Option<Staff>,
    pub(crate) description: Option<String>,
    pub(crate) timestamp: Option<Timestamp>,
    /// A `Timestamp` was there, readable or not.
    pub(crate) timed: bool,
    /// A date was there that is none, and has been told.
    pub(crate) date_told: bool,
    pub(crate) business: Option<Place>,
    pub(crate) unknown: Vec<Unknown>,
    pub(crate) spans: Spans,
}

impl Header {
    pub(crate) fn read<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        while let Some(name) = c.open() {
            match name {
                Name::MessageHeader => {
                    self.named_status = c.top_label() == "Status";
                    self.message = Some(c.place());
                    self.message_header(c);
                }
                Name::TraceHeaderList => {
                    let start = element_start(c);
                    self.trace_header_list(c);
                    let end = c.source().offset();
                    if !c.stopped() && self.spans.trace_header_list.is_none() {
                        self.spans.trace_header_list = Some(start..end);
                    }
                }
                _ => self.other(c, name),
            }
        }
    }

    fn message_header<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        while let Some(name) = c.open() {
            let document = &mut self.document;
            match name {
                Name::From => {
                    let place = c.place();
                    let organ = organ(c, &mut self.unknown);
                    // Who is let in by one `From` must not be taken for another.
                    if let Some((before, _)) = &self.from {
                        c.tell_contradiction(&place, &before.id, &organ.id);
                    }
                    self.from = Some((organ, place));
                }
                Name::To => {
                    let start = element_start(c);
                    let place = c.place();
                    let organ = organ(c, &mut self.unknown);
                    let end = c.source().offset();
                    if !c.stopped() {
                        self.spans.to.push(start..end);
                    }
                    self.to.push((organ, place));
                }
                Name::DocumentId => {
                    let (id, span) = document_id(c);
                    document.document_id = id;
                    self.spans.document_id = span;
                }
                Name::Code => {
                    self.code = Some(c.place());
                    self.code(c);
                }
                Name::PromulgationInfo => {
                    self.promulgation = Some(c.place());
                    self.promulgation(c);
                }
                Name::DocumentType => self.document_type(c),
                Name::Subject => document.subject = c.prose(500),
                Name::Content => document.content = c.prose(500),
                Name::SignerInfo => self.signer(c),
                Name::DueDate => document.due_date = c.date(FindingCode::BadDate),
                Name::ToPlaces => {
                    let mut places = std::mem::take(&mut document.to_places);
                    self.each(c, Name::Place, |c| places.extend(c.prose_within(150, 1000)));
                    let all: usize = places.iter().map(|place| place.chars().count()).sum();
                    if all > 1000 && !c.stopped() {
                        c.tell_last(FindingCode::ValueTooLong, "1000");
                    }
                    self.document.to_places = places;
                }
                Name::OtherInfo => self.other_info(c),
                Name::ResponseFor => self.response_for(c),
                Name::SteeringType => document.steering_type = steering_type(c),
                Name::ResponseForTask => {
                    let mut codes = std::mem::take(&mut document.task_codes);
                    self.each(c, Name::TaskCode, |c| codes.extend(c.trimmed(200)));
                    self.document.task_codes = codes;
                }
                Name::ApplicationType => document.application_type = c.prose(100),
                Name::StatusCode => {
                    let text = c.read_text().map(str::to_owned);
                    let place = c.last_place();
                    if let Some((Some(before), _)) = &self.status_code
                        && text.as_ref().is_some_and(|text| text != before)
                    {
                        c.tell_at(FindingCode::Contradiction, &place, "StatusCode");
                    }
                    self.status_code = Some((text, place));
                }
                Name::StaffInfo => self.staff = Some(staff(c, &mut self.unknown)),
                Name::Description => self.description = c.prose(4000),
                Name::Timestamp => {
                    self.timestamp = c.time();
                    self.timed = true;
                }
                _ => self.other(c, name),
            }
        }
    }

    fn code<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let mut code = Code::default();
        while let Some(name) = c.open() {
            match name {
                Name::CodeNumber => code.number = c.trimmed(11).unwrap_or_default(),
                Name::CodeNotation => code.notation = c.trimmed(30).unwrap_or_default(),
                _ => self.other(c, name),
            }
        }
        self.document.code = code;
    }

    fn promulgation<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let mut promulgation = Promulgation::default();
        self.date_told = false;
        while let Some(name) = c.open() {
            match name {
                Name::Place => promulgation.place = c.prose(50),
                Name::PromulgationDate => {
                    promulgation.date = c.date(FindingCode::UnreadableDate);
                    // Text that is no date is told; no text at all is still to be told.
                    self.date_told = !c.text.trim_ascii().is_empty();
                }
                _ => self.other(c, name),
            }
        }
        self.document.promulgation = promulgation;
    }

    fn document_type<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let mut kind = DocumentType::default();
        while let Some(name) = c.open() {
            match name {
                Name::Type => kind.class = c.number(),
                Name::TypeDetail => kind.detail = c.number(),
                Name::TypeName => kind.name = c.prose(100),
                _ => self.other(c, name),
            }
        }
        if let (Some(class), false) = (kind.class, c.stopped()) {
            if !matches!(class, 1 | 2) {
                c.tell_last(FindingCode::UnknownClass, &class.to_string());
            } else if let (Some(detail), None) = (kind.detail, kind.listed()) {
                c.tell_last(FindingCode::UnknownType, &detail.to_string());
            }
        }
        self.document.document_type = kind;
    }

    fn signer<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let mut signer = Signer::default();
        while let Some(name) = c.open() {
            match name {
                Name::Competence => signer.competence = c.prose(100),
                Name::Position => signer.position = c.prose(100),
                Name::FullName => signer.full_name = c.prose(50),
                _ => self.other(c, name),
            }
        }
        self.document.signer = signer;
    }

    fn other_info<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let mut info = OtherInfo::default();
        while let Some(name) = c.open() {
            match name {
                Name::Priority => info.priority = priority(c),
                Name::SphereOfPromulgation => info.sphere = c.prose(100),
                Name::TyperNotation => info.typer_notation = c.prose(10),
                Name::PromulgationAmount => info.promulgation_amount = c.amount(),
                Name::PageAmount => info.page_amount = c.amount(),
                Name::Appendixes => {
                    self.each(c, Name::Appendix, |c| info.appendixes.extend(c.prose(250)));
                }
                Name::Direction => info.direction = c.flag(),
                // SDK additions without a documented sense.
                Name::ReplyFors | Name::ReferenceCodes => self.keep(c),
                _ => self.other(c, name),
            }
        }
        self.document.other_info = info;
    }

    fn response_for<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let place = c.place();
        let mut response = ResponseFor::default();
        while let Some(name) = c.open() {
            match name {
                Name::OrganId => {
                    let id = c.agency().unwrap_or_default();
                    let place = c.last_place();
                    c.tell_contradiction(&place, &response.organ_id, &id);
                    response.organ_id = id;
                }
                Name::Code => response.code = c.trimmed(100),
                Name::PromulgationDate => {
                    response.promulgation_date = c.date(FindingCode::BadDate);
                }
                Name::DocumentId => {
                    let (id, span) = document_id(c);
                    response.document_id = id;
                    self.spans.response_for_document_ids.extend(span);
                }
                _ => self.other(c, name),
            }
        }
        // An empty element answers nothing.
        if response != ResponseFor::default() {
            self.response_for.push((response, place));
        }
    }

    fn trace_header_list<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        while let Some(name) = c.open() {
            match name {
                Name::TraceHeader => self.trace_header(c),
                Name::Business => {
                    self.business = Some(c.place());
                    self.business(c);
                }
                // The SDK allows it here too.
                Name::Paper => self.document.business.paper = c.number(),
                _ => self.other(c, name),
            }
        }
    }

    fn trace_header<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let place = c.place();
        let mut trace = TraceHeader::default();
        while let Some(name) = c.open() {
            match name {
                Name::OrganId => trace.organ_id = c.trace_agency(),
                Name::Timestamp => trace.timestamp = c.time(),
                _ => self.other(c, name),
            }
        }
        let nobody = trace
            .organ_id
            .as_ref()
            .is_none_or(|organ| organ.as_str().trim().eq_ignore_ascii_case("null"));
        if nobody && !c.stopped() {
            c.tell_missing(FindingCode::NoTraceOrgan, &place, "OrganId", "");
        }
        self.document.trace.push(trace);
    }

    fn business<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        let mut business = Business {
            paper: self.document.business.paper,
            ..Business::default()
        };
        self.spans.business_document_ids.clear();
        while let Some(name) = c.open() {
            match name {
                Name::BusinessDocType => business.kind = business_kind(c),
                Name::BusinessDocReason => business.reason = c.prose(500),
                Name::DocumentId => {
                    let (id, span) = document_id(c);
                    business.document_id = id;
                    self.spans.business_document_ids.extend(span);
                }
                Name::BusinessDocumentInfo => self.business_info(c, &mut business),
                Name::ReplacementInfoList => {
                    while let Some(name) = c.open() {
                        match name {
                            Name::ReplacementInfo => {
                                let replacement = self.replacement(c);
                                business.replacements.push(replacement);
                            }
                            _ => self.other(c, name),
                        }
                    }
                }
                Name::StaffInfo => business.staff = Some(staff(c, &mut self.unknown)),
                Name::Paper => business.paper = c.number(),
                _ => self.other(c, name),
            }
        }
        self.document.business = business;
    }

    fn business_info<R: BufRead>(&mut self, c: &mut Cursor<'_, R>, business: &mut Business) {
        while let Some(name) = c.open() {
            match name {
                Name::DocumentInfo => business.info.document = c.flag(),
                Name::DocumentReceiver => business.info.receivers = c.flag(),
                Name::ReceiverList => {
                    while let Some(name) = c.open() {
                        match name {
                            Name::Receiver => {
                                let change = self.receiver(c);
                                business.receivers.push(change);
                            }
                            _ => self.other(c, name),
                        }
                    }
                }
                _ => self.other(c, name),
            }
        }
    }

    fn receiver<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) -> ReceiverChange {
        let mut change = ReceiverChange {
            organ_id: Default::default(),
            added: None,
        };
        while let Some(name) = c.open() {
            match name {
                Name::OrganId => change.organ_id = c.agency().unwrap_or_default(),
                Name::ReceiverType => change.added = c.flag(),
                _ => self.other(c, name),
            }
        }
        change
    }

    fn replacement<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) -> Replacement {
        let mut replacement = Replacement::default();
        while let Some(name) = c.open() {
            match name {
                Name::DocumentId => {
                    let (id, span) = document_id(c);
                    replacement.document_id = id;
                    self.spans.business_document_ids.extend(span);
                }
                Name::OrganIdList => {
                    let ids = &mut replacement.organ_ids;
                    self.each(c, Name::OrganId, |c| ids.extend(c.agency()));
                }
                _ => self.other(c, name),
            }
        }
        replacement
    }

    /// Reads a list: each child of this name by `one`.
    fn each<R: BufRead>(
        &mut self,
        c: &mut Cursor<'_, R>,
        item: Name,
        mut one: impl FnMut(&mut Cursor<'_, R>),
    ) {
        while let Some(name) = c.open() {
            if name == item {
                one(c);
            } else {
                self.other(c, name);
            }
        }
    }

    /// Anything else: the signature, SDK additions, unknown and misplaced elements.
    pub(crate) fn other<R: BufRead>(&mut self, c: &mut Cursor<'_, R>, name: Name) {
        match name {
            Name::Signature => {
                let start = element_start(c);
                c.quiet = true;
                let content = c.skip();
                c.quiet = false;
                let end = c.source().offset();
                if !c.stopped() && self.spans.signature.is_none() {
                    self.spans.signature = Some(start..end);
                }
                self.document.signed |= content;
            }
            Name::Agency | Name::Feedback | Name::DepartmentId | Name::StaffId => self.keep(c),
            _ => {
                c.tell_misplaced();
                self.keep(c);
            }
        }
    }

    fn keep<R: BufRead>(&mut self, c: &mut Cursor<'_, R>) {
        keep(c, &mut self.unknown);
    }
}

/// Reads past an element and remembers where it stands.
fn keep<R: BufRead>(c: &mut Cursor<'_, R>, kept: &mut Vec<Unknown>) {
    let start = element_start(c);
    let path = (kept.len() < UNKNOWN_KEPT).then(|| c.path());
    c.skip();
    let end = c.source().offset();
    if let Some(path) = path {
        kept.push(unknown(path, start..end));
    }
}

fn element_start<R: BufRead>(c: &mut Cursor<'_, R>) -> u64 {
    c.top_at().offset
}

fn other<R: BufRead>(c: &mut Cursor<'_, R>, name: Name, kept: &mut Vec<Unknown>) {
    // The SDK's own additions to bodies and clerks.
    let known = matches!(
        name,
        Name::Agency | Name::Feedback | Name::DepartmentId | Name::StaffId
    );
    if !known {
        c.tell_misplaced();
    }
    keep(c, kept);
}

fn organ<R: BufRead>(c: &mut Cursor<'_, R>, kept: &mut Vec<Unknown>) -> Organ {
    let mut organ = Organ::default();
    while let Some(name) = c.open() {
        match name {
            Name::OrganId => {
                let id = c.agency().unwrap_or_default();
                let place = c.last_place();
                c.tell_contradiction(&place, &organ.id, &id);
                organ.id = id;
            }
            Name::OrganizationInCharge => organ.in_charge = c.prose_within(200, 500),
            Name::OrganName => organ.name = c.prose(200),
            Name::OrganAdd => organ.address = c.prose_within(250, 500),
            Name::Email => organ.email = c.prose(100),
            Name::Telephone => organ.telephone = c.prose_within(20, 50),
            Name::Fax => organ.fax = c.prose_within(20, 50),
            Name::Website => organ.website = c.prose_within(20, 100),
            _ => other(c, name, kept),
        }
    }
    organ
}

fn staff<R: BufRead>(c: &mut Cursor<'_, R>, kept: &mut Vec<Unknown>) -> Staff {
    let mut staff = Staff::default();
    while let Some(name) = c.open() {
        match name {
            Name::Department => staff.department = c.prose(300),
            Name::Staff => staff.name = c.prose_within(100, 300),
            Name::Mobile => staff.mobile = c.prose_within(30, 50),
            Name::Email => staff.email = c.prose(100),
            _ => other(c, name, kept),
        }
    }
    staff
}

/// A `DocumentId`: its text, trimmed, and where it stands.
fn document_id<R: BufRead>(c: &mut Cursor<'_, R>) -> (Option<String>, Option<Range<u64>>) {
    let start = c.source().offset();
    let id = c.trimmed(200);
    // The closing tag is the present token.
    let end = c.source().token_mark().offset;
    let span = (id.is_some() && start < end).then_some(start..end);
    (id, span)
}

fn priority<R: BufRead>(c: &mut Cursor<'_, R>) -> Priority {
    let Some(text) = c.read_text() else {
        c.tell_empty_number();
        return Priority::default();
    };
    let digits = text.trim();
    let priority = digits
        .parse()
        .ok()
        .filter(|_| plain_digits(digits))
        .and_then(Priority::new);
    match priority {
        Some(Priority::ExpressAtHour) => c.tell_last(FindingCode::LegacyPriority, ""),
        Some(_) if digits.len() == text.len() => {}
        Some(_) => {
            let text = text.to_owned();
            c.tell_last(FindingCode::NumberWithSpaces, &text);
        }
        None => {
            let text = text.to_owned();
            c.tell_last(FindingCode::BadPriority, &text);
        }
    }
    priority.unwrap_or_default()
}

fn business_kind<R: BufRead>(c: &mut Cursor<'_, R>) -> BusinessKind {
    let Some(text) = c.read_text() else {
        c.tell_empty_number();
        return BusinessKind::default();
    };
    let digits = text.trim();
    let kind = digits
        .parse()
        .ok()
        .filter(|_| plain_digits(digits))
        .and_then(BusinessKind::new);
    let code = match kind {
        Some(_) if digits.len() == text.len() => return kind.unwrap_or_default(),
        Some(_) => FindingCode::NumberWithSpaces,
        None => FindingCode::BadBusinessType,
    };
    let text = text.to_owned();
    c.tell_last(code, &text);
    kind.unwrap_or_default()
}

fn steering_type<R: BufRead>(c: &mut Cursor<'_, R>) -> Option<u32> {
    let text = c.read_text().unwrap_or_default();
    let digits = text.trim();
    let number: Option<u32> = digits.parse().ok().filter(|_| plain_digits(digits));
    if number.is_none() || digits.len() != text.len() {
        let text = text.to_owned();
        if !c.stopped() {
            c.tell_last(FindingCode::SteeringType, &text);
        }
    } else if let Some(odd) = number.filter(|number| *number > 3) {
        c.tell_last(FindingCode::UnknownSteering, &odd.to_string());
    }
    number
}

/// The status code of this text, told if it is not written with two digits.
pub(crate) fn status_code<R: BufRead>(
    c: &mut Cursor<'_, R>,
    text: &str,
    place: &Place,
) -> Option<StatusCode> {
    let Some(code) = StatusCode::parse(text) else {
        c.tell_at(FindingCode::BadStatusCode, place, text);
        return None;
    };
    if text.len() != 2 {
        c.tell_at(FindingCode::OneDigitStatus, place, text);
    }
    if !code.is_known() {
        c.tell_at(FindingCode::UnknownStatus, place, &code.to_string());
    }
    Some(code)
}
