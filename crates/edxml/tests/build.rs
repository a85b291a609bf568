//! What the builder makes is accepted, and reads back as it was meant.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod generated;

use std::io::Cursor;

use edxml::build::{Answered, Document, Error, Purpose, Reason, Report, Status};
use edxml::{
    BusinessKind, Date, DocumentId, FindingCode, Limits, Organ, Package, Severity, StatusCode,
    Timestamp, read,
};
use generated::{documents, reports, time};
use proptest::prelude::*;

fn date() -> Date {
    Date::new(2026, 3, 2).unwrap()
}

fn now() -> Timestamp {
    Timestamp::new(2026, 3, 2, 8, 30, 0).unwrap()
}

fn letter() -> Document {
    let from = Organ::new("000.00.12.H47", Some("Sở Nội vụ"));
    let to = Organ::new("000.00.13.H47", None);
    Document::new(from, to, "12", "SNV-VP", date())
}

fn parsed(bytes: &[u8]) -> edxml::Document {
    match read(bytes, &Limits::default()).package {
        Some(Package::Document(document)) => *document,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_document_reads_back_as_it_was_built(plan in documents()) {
        let built = plan.document().finish(&plan.sent).unwrap();
        let told = |code: &FindingCode| matches!(code, FindingCode::LegacyPriority | FindingCode::ValueLong | FindingCode::ContentTypeDiffers);
        for finding in &built.findings {
            prop_assert!(told(&finding.code), "{finding}");
        }
        let read = parsed(&built.bytes);
        prop_assert_eq!(&read.from, &plan.from);
        prop_assert_eq!(&read.to, &plan.to);
        prop_assert_eq!((&read.code.number, &read.code.notation), (&plan.number, &plan.notation));
        prop_assert_eq!(read.promulgation.date.as_ref(), Some(&plan.date));
        let id = match &plan.id {
            Some(id) => id.to_string(),
            None => format!("{},{},{}/{}", plan.from.id, plan.date, plan.number, plan.notation),
        };
        prop_assert_eq!(read.document_id, Some(id));
        prop_assert_eq!(&read.document_type, &plan.kind);
        let texts = [&read.subject, &read.content, &read.promulgation.place, &read.other_info.sphere];
        for (text, meant) in texts.into_iter().zip(&plan.texts) {
            prop_assert_eq!(text.as_ref(), Some(meant));
        }
        prop_assert_eq!(&read.other_info.appendixes, &plan.texts[4..5]);
        prop_assert_eq!(&read.to_places, &plan.texts[5..6]);
        prop_assert_eq!(&read.signer, &plan.signer);
        prop_assert_eq!(&read.due_date, &plan.due);
        prop_assert_eq!(read.other_info.priority, plan.priority);
        prop_assert_eq!(read.other_info.promulgation_amount, Some(u32::from(plan.amounts.0)));
        prop_assert_eq!(read.other_info.page_amount, Some(u32::from(plan.amounts.1)));
        prop_assert_eq!(read.steering_type, Some(2));
        prop_assert_eq!(&read.business.staff, &plan.staff);
        prop_assert_eq!(read.business.paper, plan.paper.map(u32::from));
        let answered: Vec<_> = read.response_for.iter().map(|a| (a.organ_id.clone(), a.document_id.clone().unwrap())).collect();
        let meant: Vec<_> = plan.answers.iter().map(|(organ, id)| (organ.clone(), id.to_string())).collect();
        prop_assert_eq!(answered, meant);
        prop_assert_eq!(&read.trace[0].organ_id, &Some(plan.from.id.clone()));
        prop_assert_eq!(&read.trace[0].timestamp, &Some(plan.sent.clone()));
        let (kind, reason) = match &plan.purpose {
            Purpose::New => (BusinessKind::New, None),
            Purpose::Recall { reason, document } => {
                prop_assert_eq!(&read.business.document_id, &document.as_ref().map(ToString::to_string));
                (BusinessKind::Recall, Some(reason))
            }
            Purpose::Update { reason, document, content, receivers } => {
                prop_assert_eq!(&read.business.document_id, &Some(document.to_string()));
                prop_assert_eq!(read.business.info.document, Some(*content));
                prop_assert_eq!(read.business.info.receivers, Some(!receivers.is_empty()));
                let changes: Vec<_> = read.business.receivers.iter().map(|c| (c.organ_id.clone(), c.added.unwrap())).collect();
                prop_assert_eq!(&changes, receivers);
                (BusinessKind::Update, Some(reason))
            }
            Purpose::Replace { reason, first, others } => {
                let meant: Vec<_> = std::iter::once(first).chain(others).map(|r| (Some(r.document.to_string()), r.receivers.clone())).collect();
                let replaced: Vec<_> = read.business.replacements.iter().map(|r| (r.document_id.clone(), r.organ_ids.clone())).collect();
                prop_assert_eq!(replaced, meant);
                (BusinessKind::Replace, Some(reason))
            }
        };
        prop_assert_eq!(read.business.kind, kind);
        prop_assert_eq!(read.business.reason.as_deref(), reason.map(Reason::as_str));
        prop_assert_eq!(read.attachments.len(), plan.files.len());
        for ((name, content, as_sdk), attachment) in plan.files.iter().zip(&read.attachments) {
            prop_assert_eq!(attachment.name.as_ref(), Some(name));
            let opened = attachment.open(Cursor::new(&built.bytes), &Default::default()).unwrap();
            prop_assert_eq!(&opened.bytes, content);
            let raw = ["pdf", "docx", "zip"].iter().any(|kind| name.ends_with(&format!(".{kind}")));
            prop_assert_eq!(opened.entry.is_some(), *as_sdk && !raw);
        }
    }

    #[test]
    fn a_status_reads_back_as_it_was_built(plan in documents(), report in reports(), at in time()) {
        let document = parsed(&plan.document().finish(&plan.sent).unwrap().bytes);
        let about = Answered::received(&document);
        let receiver = plan.to[0].clone();
        let (code, reason) = match &report {
            Report::Rejected(reason) => (StatusCode::REJECTED, Some(reason.as_str().to_owned())),
            Report::Declined(reason) => (StatusCode::DECLINED, Some(reason.as_str().to_owned())),
            other => (other.code(), None),
        };
        let asked = Status::take_back(plan.from.clone(), about.clone(), receiver.id.clone(), Reason::new("Nhầm").unwrap());
        let told = Status::report(receiver.clone(), about, report);
        for (status, from, to, code, reason) in [
            (told, &receiver, &plan.from.id, code, reason),
            (asked, &plan.from, &receiver.id, StatusCode::TAKE_BACK, Some("Nhầm".to_owned())),
        ] {
            let built = status.finish(&at).unwrap();
            prop_assert!(built.findings.iter().all(|f| f.severity == Severity::Info), "{:?}", built.findings);
            let Some(Package::Status(read)) = read(&built.bytes, &Limits::default()).package else { panic!() };
            prop_assert_eq!(&read.from, from);
            prop_assert_eq!(&read.response_for.organ_id, to);
            prop_assert_eq!(&read.response_for.document_id, &document.document_id);
            prop_assert_eq!(read.response_for.code, Some(document.code.to_string()));
            prop_assert_eq!(read.response_for.promulgation_date.as_ref(), Some(&plan.date));
            prop_assert_eq!((read.code, read.description), (code, reason));
            prop_assert_eq!(read.timestamp, Some(at.clone()));
        }
    }
}

/// The builder's order and layout, for every eye: what the SDK writes (section a.2 and b.5).
#[test]
fn a_document_is_laid_out_as_the_sdk_does() {
    let mut letter = letter();
    letter.subject("V/v thử & nghiệm").place("Huế");
    letter.purpose(Purpose::Update {
        reason: Reason::new("Sai số").unwrap(),
        document: DocumentId::parse("000.00.12.H47,2026/03/01,11/SNV-VP"),
        content: true,
        receivers: vec![("H47.1".into(), true)],
    });
    letter.attach("a.pdf", b"%PDF-1.7".to_vec()).unwrap();
    let built = letter.finish(&now()).unwrap();
    insta::assert_snapshot!(
        String::from_utf8(built.bytes)
            .unwrap()
            .replace("\r\n", "\n")
    );
}

#[test]
fn what_would_be_refused_is_not_built() {
    assert!(matches!(Reason::new(" \n"), Err(Error::NoReason)));
    let refused = |document: Document| match document.finish(&now()) {
        Err(Error::Refused(finding)) => finding.code.as_str(),
        other => panic!("{other:?}"),
    };
    let sound = Organ::new("H47.1", None);
    let id = DocumentId::parse("x");
    let with = |from: &Organ, to: &Organ, number: &str| {
        let mut document = Document::new(from.clone(), to.clone(), number, "A", date());
        document.id(id.clone());
        document
    };
    let nobody = Organ::new(" ", None);
    assert_eq!(refused(with(&nobody, &sound, "1")), "NO_FROM");
    assert_eq!(refused(with(&sound, &nobody, "1")), "NO_TO");
    assert_eq!(refused(with(&sound, &sound, " ")), "NO_NUMBER");
    let odd = Document::new(Organ::new("h47;1", None), sound.clone(), "1", "A", date());
    assert!(matches!(odd.finish(&now()), Err(Error::Id(_))));
    let mut letter = letter();
    letter.subject("a\u{1}");
    match letter.finish(&now()) {
        Err(Error::IllegalCharacter { field, character }) => {
            assert_eq!((field, character), ("Subject", '\u{1}'));
        }
        other => panic!("{other:?}"),
    }
    let about = Answered::new(" ", &id);
    let status = Status::report(sound, about, Report::Arrived)
        .note("đã đến")
        .finish(&now());
    assert!(
        matches!(status, Err(Error::Refused(finding)) if finding.code == FindingCode::NoResponseFor)
    );
}

#[test]
fn a_receiver_is_named_once() {
    let mut letter = letter();
    letter
        .also_to(Organ::new(" 000.00.13.h47 ", None))
        .also_to(Organ::new("000.00.14.H47", None));
    let read = parsed(&letter.finish(&now()).unwrap().bytes);
    let to: Vec<_> = read.to.iter().map(|to| to.id.as_str()).collect();
    assert_eq!(to, ["000.00.13.H47", "000.00.14.H47"]);
}
