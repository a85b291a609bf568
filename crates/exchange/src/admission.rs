//! Admission: from the bytes of a push to the command that accepts it, or the refusal.
//! The first check that fails answers; within a check everything at fault is named at once.

use std::collections::HashSet;

use bytes::Bytes;
use edxml::{BusinessKind, Package, Reading};
use ledger::event::{
    Actor, AgencyState, DocumentFacts, OnTime, PackageAccepted, PackageKind, Particulars,
    ReasonClass, Receiver, StatusFacts,
};
use ledger::id::{AgencyId, PackageId, SystemId};
use ledger::registry::{Agency, Registry};
use ledger::time::Ms;
use unicode_normalization::UnicodeNormalization as _;

use crate::calendar::Verdict;
use crate::clocks;
use crate::refusal::{Detail, Name, Refusal};
use crate::rules::Rules;
use crate::types::{DeliveryState, Lane, PushOptions};
use crate::withdrawal;

/// Warnings kept of one package.
const WARNINGS: usize = 50;

/// A package that has come whole, read and hashed.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) reading: Reading,
    pub(crate) sha256: [u8; 32],
    pub(crate) essence: [u8; 32],
    pub(crate) size: u64,
}

/// What admission made of a candidate.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) facts: PackageAccepted,
    /// Receivers left out by `accept_known`: the code as written, the refusal's name.
    pub(crate) omitted: Vec<(String, &'static str)>,
}

/// The text under which a DocumentId is known: trimmed, NFC.
pub(crate) fn document_key(id: &str) -> String {
    id.trim().nfc().collect()
}

/// Checks 1, 3 and 5 to 7 as far as they need no state; the sequencer does the rest.
pub(crate) fn admit(
    registry: &Registry,
    system: &SystemId,
    candidate: &Candidate,
    options: PushOptions,
    rules: &Rules,
    id: PackageId,
    now: Ms,
) -> Result<Admitted, Refusal> {
    // Reading comes before "who sends", because From stands in the package.
    let Some(package) = &candidate.reading.package else {
        return Err(unreadable(&candidate.reading));
    };
    let from = package.from().id.as_str();
    let is_status = matches!(package, Package::Status(_));
    let sender = sender(registry, system, from, is_status)?;
    if candidate.reading.refusal().is_some() {
        return Err(unreadable(&candidate.reading));
    }
    let mut admitted = match package {
        Package::Document(document) => {
            rules.secrecy.check(document)?;
            let to = document.to.iter().map(|organ| organ.id.as_str());
            let to = to.chain(withdrawal::added(document, registry));
            let (receivers, omitted) = receivers(registry, to, "To", options)?;
            let kind = document.business.kind;
            let level = document.other_info.priority.level();
            let facts = PackageAccepted {
                kind: PackageKind::Document.into(),
                lane: document_lane(kind, level).into(),
                level: u32::from(level),
                receivers,
                document: Some(document_facts(document, &candidate.sha256, rules, now)),
                ..PackageAccepted::default()
            };
            Admitted { facts, omitted }
        }
        Package::Status(status) => {
            let to = status.response_for.organ_id.as_str();
            let path = "ResponseFor/OrganId";
            let (receivers, _) =
                receivers(registry, std::iter::once(to), path, PushOptions::default())?;
            let lane = if status.code.number() == 13 {
                Lane::Flash
            } else {
                Lane::Status
            };
            let facts = PackageAccepted {
                kind: PackageKind::Status.into(),
                lane: lane.into(),
                receivers,
                status: Some(status_facts(status, rules)?),
                ..PackageAccepted::default()
            };
            Admitted {
                facts,
                omitted: Vec::new(),
            }
        }
    };
    let facts = &mut admitted.facts;
    facts.id = Bytes::copy_from_slice(id.as_bytes());
    facts.accepted_at_ms = now.0;
    facts.actor = Some(Actor {
        system: system.to_string(),
        ..Actor::default()
    });
    facts.sender = sender.0;
    facts.sender_code = from.to_owned();
    facts.sha256 = Bytes::copy_from_slice(&candidate.sha256);
    facts.essence_sha256 = Bytes::copy_from_slice(&candidate.essence);
    facts.size = candidate.size;
    facts.day = now.day();
    facts.warnings = warnings(&candidate.reading);
    facts
        .warnings
        .extend(clocks::contradicted(package, now, &rules.clocks));
    Ok(admitted)
}

/// Check 1: From is an agency of the calling system.
fn sender(
    registry: &Registry,
    system: &SystemId,
    code: &str,
    is_status: bool,
) -> Result<AgencyId, Refusal> {
    let foreign = |whose: &str, whose_vi: &str| {
        Refusal::new(Name::ForeignSender).at(
            "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/From/OrganId",
            format!("Mã {code:?} {whose_vi}, không phải của hệ thống {system}."),
            format!("The code {code:?} {whose}, not of the system {system}."),
        )
    };
    let Some(agency) = registry.resolve(code) else {
        return Err(foreign("is not registered", "chưa được đăng ký"));
    };
    if !registry.systems_of(agency).contains(system) {
        let name = registry.agency(agency).map_or("", |agency| &*agency.name);
        return Err(foreign(
            &format!("is an agency ({name}) of another system"),
            &format!("là cơ quan ({name}) của hệ thống khác"),
        ));
    }
    let Some(facts) = registry.agency(agency) else {
        return Err(foreign("is not registered", "chưa được đăng ký"));
    };
    let may_send = match facts.state {
        AgencyState::Active => true,
        // What it had received before is still processed and reported on.
        AgencyState::Closed => is_status,
        _ => false,
    };
    if !may_send {
        let word = ledger::registry::state_word(facts.state);
        let word_vi = lists::State::of_word(word).map_or(word, lists::State::word_vi);
        let (vi, en) = match &*facts.reason {
            "" => (String::new(), String::new()),
            reason => (format!(" Lý do: {reason}"), format!(" Reason: {reason}")),
        };
        return Err(Refusal::new(Name::SenderInactive).at(
            "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/From/OrganId",
            format!("Cơ quan {code} đang ở trạng thái {word_vi} ({word}), chưa được gửi.{vi}"),
            format!("The agency {code} is {word}: it may not send.{en}"),
        ));
    }
    Ok(agency)
}

/// Check 3: every finding that refuses the package, all at once.
fn unreadable(reading: &Reading) -> Refusal {
    let mut refusal = Refusal::new(Name::BadPackage);
    let errors = reading
        .findings
        .iter()
        .filter(|finding| finding.severity == edxml::Severity::Error);
    refusal.details = errors
        .map(|finding| Detail {
            code: finding.code.as_str().to_owned(),
            path: finding.path.clone(),
            line: finding.line,
            column: finding.column,
            message: finding.message_vi(),
            message_en: finding.message_en(),
        })
        .collect();
    refusal
}

type Receivers = (Vec<Receiver>, Vec<(String, &'static str)>);

/// Check 5: distinct, registered and active; every bad code is named.
fn receivers<'a>(
    registry: &Registry,
    codes: impl Iterator<Item = &'a str>,
    element: &str,
    options: PushOptions,
) -> Result<Receivers, Refusal> {
    let mut receivers = Vec::new();
    let mut seen = HashSet::new();
    let mut bad: Vec<(&str, Name, Detail)> = Vec::new();
    for (number, code) in (1..).zip(codes) {
        let path = match (element, number) {
            ("To", 1) => "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To/OrganId".to_owned(),
            ("To", _) => {
                format!("edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[{number}]/OrganId")
            }
            _ => format!("edXML/edXMLEnvelope/edXMLHeader/MessageHeader/{element}"),
        };
        let mut refuse = |name: Name, message: String, message_en: String| {
            let detail = Detail {
                code: name.as_str().to_owned(),
                path: path.clone(),
                message,
                message_en,
                ..Detail::default()
            };
            bad.push((code, name, detail));
        };
        let named = registry.resolve(code);
        let facts = named.and_then(|id| registry.agency(id));
        let (Some(named), Some(facts)) = (named, facts) else {
            refuse(
                Name::UnknownReceiver,
                format!("Mã cơ quan nhận {code:?} không có trong danh mục."),
                format!("The receiver's code {code:?} is not registered."),
            );
            continue;
        };
        let mut agency = named;
        match facts.state() {
            AgencyState::Active | AgencyState::Suspended => {}
            AgencyState::Closed => match successor(registry, facts) {
                Some(successor) => agency = successor,
                None => {
                    let (message, message_en) = closed(registry, code, facts);
                    refuse(Name::ClosedReceiver, message, message_en);
                    continue;
                }
            },
            state => {
                let word = ledger::registry::state_word(state);
                refuse(
                    Name::UnknownReceiver,
                    format!(
                        "Cơ quan nhận {code} ({}) chưa hoạt động ({word}).",
                        facts.name
                    ),
                    format!(
                        "The receiver {code} ({}) is not active ({word}).",
                        facts.name
                    ),
                );
                continue;
            }
        }
        let forwarded_from = if agency == named { 0 } else { named.0 };
        if !seen.insert(agency) {
            let same = |receiver: &&mut Receiver| receiver.agency == agency.0;
            if let Some(receiver) = receivers.iter_mut().find(same)
                && (forwarded_from != 0 || receiver.forwarded_from != 0)
            {
                // Named by itself and as somebody's successor: one copy.
                if forwarded_from == 0 {
                    code.clone_into(&mut receiver.code);
                } else if receiver.forwarded_from == 0 {
                    receiver.forwarded_from = forwarded_from;
                }
                continue;
            }
            refuse(
                Name::RepeatedReceiver,
                format!(
                    "Cơ quan nhận {code} ({}) đã có ở phần tử To trước.",
                    facts.name
                ),
                format!(
                    "The receiver {code} ({}) stands in an earlier To already.",
                    facts.name
                ),
            );
            continue;
        }
        receivers.push(Receiver {
            agency: agency.0,
            code: code.to_owned(),
            state: DeliveryState::Pending.into(),
            reason: String::new(),
            forwarded_from,
        });
    }
    let Some((_, name, _)) = bad.first() else {
        return Ok((receivers, Vec::new()));
    };
    if options.accept_known && !receivers.is_empty() {
        let omitted = bad
            .into_iter()
            .map(|(code, name, _)| (code.to_owned(), name.as_str()));
        return Ok((receivers, omitted.collect()));
    }
    let mut refusal = Refusal::new(*name);
    refusal.details = bad.into_iter().map(|(_, _, detail)| detail).collect();
    Err(refusal)
}

/// Who gets what is sent to a closed agency, if its policy is to forward: the one successor, or
/// that one's, as long as each forwards.
fn successor(registry: &Registry, closed: &Agency) -> Option<AgencyId> {
    const LONGEST: usize = 16;
    let mut closed = closed;
    for _ in 0..LONGEST {
        let [next] = *closed.successors else {
            return None;
        };
        if !closed.forwards_to_successor {
            return None;
        }
        let agency = registry.agency(next)?;
        match agency.state {
            AgencyState::Active | AgencyState::Suspended => return Some(next),
            AgencyState::Closed => closed = agency,
            _ => return None,
        }
    }
    None
}

/// What to tell who sends to a closed agency.
fn closed(registry: &Registry, code: &str, facts: &Agency) -> (String, String) {
    let successors: Vec<_> = facts
        .successors
        .iter()
        .filter_map(|id| registry.agency(*id))
        .map(|agency| format!("{} ({})", agency.code, agency.name))
        .collect();
    let (vi, en) = if successors.is_empty() {
        (
            "không có cơ quan kế thừa".to_owned(),
            "it has no successor".to_owned(),
        )
    } else {
        let list = successors.join(", ");
        (format!("gửi cho {list}"), format!("send to {list}"))
    };
    (
        format!("Cơ quan nhận {code} ({}) đã đóng: {vi}.", facts.name),
        format!("The receiver {code} ({}) is closed: {en}.", facts.name),
    )
}

/// The finding that a document's reading let pass.
fn warnings(reading: &Reading) -> Vec<ledger::event::Warning> {
    reading
        .findings
        .iter()
        .filter(|finding| finding.severity == edxml::Severity::Warning)
        .take(WARNINGS)
        .map(|finding| ledger::event::Warning {
            code: finding.code.as_str().to_owned(),
            path: finding.path.clone(),
            line: finding.line,
            column: finding.column,
            message: finding.message_vi(),
            message_en: finding.message_en(),
        })
        .collect()
}

fn document_lane(kind: BusinessKind, level: u8) -> Lane {
    match (kind, level) {
        (BusinessKind::Recall, _) | (_, 3..) => Lane::Flash,
        (_, 1 | 2) => Lane::Urgent,
        (_, 0) => Lane::Routine,
    }
}

/// Whether a document of that date is on time now; the date as the header has it.
fn on_time(date: Option<&edxml::Date>, rules: &Rules, now: Ms) -> OnTime {
    let civil = |date: &edxml::Date| {
        let part = |number: u8| i8::try_from(number).ok();
        let year = i16::try_from(date.year).ok()?;
        jiff::civil::Date::new(year, part(date.month)?, part(date.day)?).ok()
    };
    let Some(date) = date.and_then(civil) else {
        return OnTime::Unspecified;
    };
    match rules.calendar.verdict(date, now) {
        Ok(Verdict::SameDay) => OnTime::SameDay,
        Ok(Verdict::InTime) => OnTime::InTime,
        Ok(Verdict::Late) => OnTime::Late,
        Err(_) => OnTime::Unknown,
    }
}

fn document_facts(
    document: &edxml::Document,
    sha256: &[u8; 32],
    rules: &Rules,
    now: Ms,
) -> DocumentFacts {
    let date = document.promulgation.date.as_ref();
    let key = match &document.document_id {
        Some(id) => document_key(id),
        None => {
            let date = date.map(ToString::to_string).unwrap_or_default();
            let kind = document.business.kind.number();
            document_key(&format!("~{}|{date}|{kind}|{}", document.code, hex(sha256)))
        }
    };
    let targets = match document.business.kind {
        BusinessKind::New => Vec::new(),
        BusinessKind::Replace if !document.business.replacements.is_empty() => {
            let ids = document.business.replacements.iter();
            distinct(ids.filter_map(|replaced| replaced.document_id.as_deref()))
        }
        _ => distinct(document.target_id().into_iter()),
    };
    DocumentFacts {
        document_key: key,
        document_id: document.document_id.clone(),
        business: u32::from(document.business.kind.number()),
        number: document.code.number.clone(),
        notation: document.code.notation.clone(),
        promulgation_date: date.map(ToString::to_string).unwrap_or_default(),
        subject: document.subject.clone().unwrap_or_default(),
        type_name: document.document_type.name.clone().unwrap_or_default(),
        signer: document.signer.full_name.clone().unwrap_or_default(),
        due_date: document
            .due_date
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        targets,
        attachments: document
            .attachments
            .iter()
            .filter_map(|a| a.name.clone())
            .collect(),
        year: date.map_or(0, |date| i32::from(date.year)),
        on_time: on_time(date, rules, now).into(),
        due_at_ms: document.due_date.as_ref().and_then(due_at),
        particulars: Some(particulars(document)),
    }
}

/// When a document is to be ended: at the hour that its DueDate names, as those of hỏa tốc hẹn
/// giờ do (duty PR-06), else with the day.
fn due_at(date: &edxml::Date) -> Option<i64> {
    const DAY: i64 = 86_400;
    let at = edxml::Timestamp::parse(&date.text)?;
    // Many write a day as its midnight.
    let names_an_hour = (at.hour, at.minute, at.second) != (0, 0, 0);
    let end = at.unix_seconds() + if names_an_hour { 0 } else { DAY };
    end.checked_mul(1_000)
}

/// What else it says of itself (duty EX-05), whole.
fn particulars(document: &edxml::Document) -> Particulars {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let other = &document.other_info;
    let answers = document.response_for.iter();
    Particulars {
        content: text(&document.content),
        place: text(&document.promulgation.place),
        type_class: document.document_type.class.unwrap_or_default(),
        type_detail: document.document_type.detail.unwrap_or_default(),
        signer_position: text(&document.signer.position),
        signer_competence: text(&document.signer.competence),
        to_places: document.to_places.clone(),
        sphere: text(&other.sphere),
        typer_notation: text(&other.typer_notation),
        copies: other.promulgation_amount.unwrap_or_default(),
        pages: other.page_amount.unwrap_or_default(),
        appendixes: other.appendixes.clone(),
        paper: document.business.paper,
        steering_type: document.steering_type,
        reason: text(&document.business.reason),
        staff: document
            .business
            .staff
            .as_ref()
            .map(clerk)
            .unwrap_or_default(),
        answers: answers
            .filter_map(|answered| answered.code.clone())
            .collect(),
        sender_name: text(&document.from.name),
    }
}

/// A clerk in one line: who answers for it (duty RJ-02).
fn clerk(staff: &edxml::Staff) -> String {
    let known = [&staff.name, &staff.department, &staff.mobile, &staff.email];
    let known: Vec<_> = known.into_iter().flatten().map(String::as_str).collect();
    known.join(", ")
}

fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for key in ids.map(document_key) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn status_facts(status: &edxml::Status, rules: &Rules) -> Result<StatusFacts, Refusal> {
    let description = status.description.clone().unwrap_or_default();
    if matches!(status.code.number(), 2 | 13 | 16) && description.trim().is_empty() {
        return Err(reason_missing(status.code.number()));
    }
    let about = &status.response_for;
    let staff = status.staff.as_ref().map(clerk);
    let reason_class = if status.code.number() == 2 {
        rules.reasons.class(&description)
    } else {
        ReasonClass::Unspecified
    };
    let date = about.promulgation_date.as_ref().map(ToString::to_string);
    // Without a DocumentId the document is known by its number and date.
    let key = match document_key(about.document_id.as_deref().unwrap_or_default()) {
        key if key.is_empty() && status.code.number() != 13 => {
            let code = document_key(about.code.as_deref().unwrap_or_default());
            ledger::rows::code_key(&code, date.as_deref().unwrap_or_default())
        }
        key => key,
    };
    Ok(StatusFacts {
        reason_class: reason_class.into(),
        code: u32::from(status.code.number()),
        document_key: key,
        document_code: about.code.clone().unwrap_or_default(),
        promulgation_date: about
            .promulgation_date
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        description,
        staff: staff.unwrap_or_default(),
        timestamp: status
            .timestamp
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        ..StatusFacts::default()
    })
}

pub(crate) fn reason_missing(code: u8) -> Refusal {
    Refusal::new(Name::ReasonMissing).at(
        "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/Description",
        format!("Trạng thái {code:02} phải kèm lý do."),
        format!("The status {code:02} needs a reason."),
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
