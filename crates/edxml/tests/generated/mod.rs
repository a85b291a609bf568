//! Packages that a sender may build, drawn at random with what they must read back as.

use edxml::build::{self, Answered, Purpose, Reason, Replaced, Report, Steering};
use edxml::{
    AgencyCode, Date, DocumentId, DocumentType, Organ, Priority, Signer, Staff, Timestamp,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

/// What a document is built from.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) from: Organ,
    pub(crate) to: Vec<Organ>,
    pub(crate) number: String,
    pub(crate) notation: String,
    pub(crate) date: Date,
    pub(crate) id: Option<DocumentId>,
    pub(crate) kind: DocumentType,
    pub(crate) texts: Vec<String>,
    pub(crate) signer: Signer,
    pub(crate) due: Option<Date>,
    pub(crate) priority: Priority,
    pub(crate) amounts: (u16, u16),
    pub(crate) staff: Option<Staff>,
    pub(crate) paper: Option<bool>,
    pub(crate) answers: Option<(AgencyCode, DocumentId)>,
    pub(crate) purpose: Purpose,
    /// Name, content, whether in the manner of the SDK.
    pub(crate) files: Vec<(String, Vec<u8>, bool)>,
    pub(crate) sent: Timestamp,
}

impl Plan {
    pub(crate) fn document(&self) -> build::Document {
        let mut receivers = self.to.iter().cloned();
        let mut document = build::Document::new(
            self.from.clone(),
            receivers.next().unwrap(),
            self.number.clone(),
            self.notation.clone(),
            self.date.clone(),
        );
        for receiver in receivers {
            document.also_to(receiver);
        }
        document
            .subject(&self.texts[0])
            .content(&self.texts[1])
            .place(&self.texts[2])
            .sphere(&self.texts[3])
            .typist("NV")
            .appendix(&self.texts[4])
            .place_of_receipt(&self.texts[5])
            .kind(self.kind.clone())
            .signer(self.signer.clone())
            .priority(self.priority)
            .amounts(self.amounts.0, self.amounts.1)
            .steering(Steering::Report)
            .purpose(self.purpose.clone());
        if let Some(id) = &self.id {
            document.id(id.clone());
        }
        if let Some(due) = &self.due {
            document.due(due.clone());
        }
        if let Some(staff) = &self.staff {
            document.staff(staff.clone());
        }
        if let Some(paper) = self.paper {
            document.paper(paper);
        }
        if let Some((sender, id)) = &self.answers {
            document.answers(Answered::new(sender.clone(), id));
        }
        for (name, bytes, as_sdk) in &self.files {
            if *as_sdk {
                document.attach(name.as_str(), bytes.clone()).unwrap();
            } else {
                document.attach_raw(name.as_str(), "application/octet-stream", bytes.clone());
            }
        }
        document
    }
}

/// Prose: markup, line ends and marks included; not blank.
fn prose() -> impl Strategy<Value = String> {
    "[ -~\n\r<>&\"'ếĐđ😀]{0,20}[a-zA-Zế<&]"
}

fn agency() -> impl Strategy<Value = AgencyCode> {
    prop_oneof![
        "[0-9]{3}\\.[0-9]{2}\\.[0-9]{2}\\.[A-Z][0-9]{2}",
        "[A-Z][0-9]{2}(\\.[0-9]{2}){0,3}",
        "[0-9]{10}",
    ]
    .prop_map(AgencyCode::from)
}

fn organ() -> impl Strategy<Value = Organ> {
    (agency(), prose(), of(prose())).prop_map(|(id, name, address)| {
        let mut organ = Organ::new(id, Some(&name));
        organ.address = address;
        organ
    })
}

fn organs() -> impl Strategy<Value = Vec<Organ>> {
    vec(organ(), 1..5).prop_map(|mut organs| {
        let mut seen = std::collections::HashSet::new();
        organs.retain(|organ| seen.insert(organ.id.canonical()));
        organs
    })
}

fn date() -> impl Strategy<Value = Date> {
    (1000u16..=9999, 1u8..=12, 1u8..=28).prop_map(|(y, m, d)| Date::new(y, m, d).unwrap())
}

pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    (0i64..4_000_000_000).prop_map(|seconds| Timestamp::from_unix_seconds(seconds).unwrap())
}

fn id() -> impl Strategy<Value = DocumentId> {
    prop_oneof![
        (agency(), 1000u16..9999, any::<u32>())
            .prop_map(|(organ, year, number)| DocumentId::legal(&organ, year, number).unwrap()),
        (agency(), date(), "[0-9]{1,4}/[A-ZĐ]{1,5}-[A-ZĐ]{1,5}")
            .prop_map(|(organ, date, code)| DocumentId::axis(&organ, &date, &code).unwrap()),
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
            .prop_map(|text| DocumentId::parse(&text)),
    ]
}

fn reason() -> impl Strategy<Value = Reason> {
    prose().prop_map(|text| Reason::new(text).unwrap())
}

fn staff() -> impl Strategy<Value = Staff> {
    (prose(), of(prose())).prop_map(|(name, department)| Staff {
        department,
        name: Some(name),
        mobile: Some("0900000000".to_owned()),
        email: Some("vt@example.vn".to_owned()),
    })
}

fn purpose() -> impl Strategy<Value = Purpose> {
    let replaced = || {
        (id(), vec(agency(), 0..3)).prop_map(|(document, receivers)| Replaced {
            document,
            receivers,
        })
    };
    prop_oneof![
        Just(Purpose::New),
        (reason(), of(id())).prop_map(|(reason, document)| Purpose::Recall { reason, document }),
        (
            reason(),
            id(),
            any::<bool>(),
            vec((agency(), any::<bool>()), 0..3)
        )
            .prop_map(|(reason, document, content, receivers)| Purpose::Update {
                reason,
                document,
                content,
                receivers
            }),
        (reason(), replaced(), vec(replaced(), 0..2)).prop_map(|(reason, first, others)| {
            Purpose::Replace {
                reason,
                first,
                others,
            }
        }),
    ]
}

fn kind() -> impl Strategy<Value = DocumentType> {
    prop_oneof![
        (1u32..=13).prop_map(|position| DocumentType::normative(position).unwrap()),
        (1u32..=32).prop_map(|position| DocumentType::administrative(position).unwrap()),
    ]
}

fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>, bool)>> {
    let name = "[a-zĐế]{1,12}\\.(pdf|docx|txt|xlsx|PDF|zip)";
    let plain = |(name, bytes, as_sdk): (String, Vec<u8>, bool)| {
        // What begins like another kind of file would rightly be told.
        (name, [b"noi dung ".as_slice(), &bytes].concat(), as_sdk)
    };
    vec(
        (name, vec(any::<u8>(), 0..200), any::<bool>()).prop_map(plain),
        0..4,
    )
}

/// Any document that the builder can express.
pub(crate) fn documents() -> impl Strategy<Value = Plan> {
    (
        (
            organ(),
            organs(),
            "[0-9]{1,4}",
            "[A-ZĐ]{1,6}-[A-ZĐ]{1,6}",
            date(),
        ),
        (of(id()), kind(), vec(prose(), 6), of(date()), 0u8..=4),
        ((0u16..1000, 0u16..1000), of(staff()), of(any::<bool>())),
        (of((agency(), id())), purpose(), files(), time(), prose()),
    )
        .prop_map(
            |(
                (from, to, number, notation, date),
                (id, kind, texts, due, level),
                (amounts, staff, paper),
                (answers, purpose, files, sent, name),
            )| Plan {
                from,
                to,
                number,
                notation,
                date,
                id,
                kind,
                texts,
                signer: Signer {
                    competence: Some("TM.".to_owned()),
                    position: None,
                    full_name: Some(name),
                },
                due,
                priority: Priority::new(level).unwrap(),
                amounts,
                staff,
                paper,
                answers,
                purpose,
                files,
                sent,
            },
        )
}

/// Every report there is.
pub(crate) fn reports() -> impl Strategy<Value = Report> {
    prop_oneof![
        Just(Report::Arrived),
        reason().prop_map(Report::Rejected),
        Just(Report::Accepted),
        Just(Report::Assigned),
        Just(Report::Processing),
        Just(Report::Finished),
        Just(Report::Agreed),
        reason().prop_map(Report::Declined),
    ]
}
