//! What happens in a case: small numbers, so that things meet, and picks that are read as
//! "the so-and-so-many-th of what there is".

use std::collections::BTreeSet;

use bytes::Bytes;
use edxml::write::{DocumentDraft, StatusDraft};
use edxml::{
    BusinessKind, Date, Organ, Priority, ReceiverChange, Replacement, ResponseFor, StatusCode,
    Timestamp,
};
use exchange::Outcome;
use proptest::prelude::*;
use proptest::sample::select;

use crate::model::{Agency, Sending, System};

/// The agencies' codes.
pub(crate) const CODES: [&str; 4] = [
    "000.00.01.H99",
    "000.00.02.H99",
    "000.00.03.H99",
    "000.00.04.H99",
];

/// Of all that there is, or of what is in somebody's hands: whichever the pick falls on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub(crate) among: Among,
    pub(crate) number: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Among {
    All,
    /// Those in somebody's hands, if there are any.
    Leased,
    /// The dead ones, if there are any.
    Dead,
    /// Those dead or dropped, if there are any.
    GivenUp,
}

/// Which round a settle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    Any,
    Current,
    Other,
}

/// Which DocumentId: a document's own, or that of what amends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Document,
    Update,
    Replacement,
}

/// How the disk fails in the middle of something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The sync after so many.
    Sync(u64),
    /// The write after so many: half of it is done.
    Write(u64),
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Document {
        from: Agency,
        key: u8,
        to: BTreeSet<Agency>,
        body: u8,
    },
    Update {
        from: Agency,
        key: u8,
        /// With a DocumentId of its own.
        own: bool,
        to: BTreeSet<Agency>,
        off: BTreeSet<Agency>,
        body: u8,
    },
    Replacement {
        from: Agency,
        key: u8,
        to: BTreeSet<Agency>,
        body: u8,
    },
    Recall {
        from: Agency,
        key: u8,
        whose: Whose,
        to: BTreeSet<Agency>,
        body: u8,
    },
    Report {
        from: Agency,
        to: Agency,
        key: u8,
        whose: Whose,
        code: u8,
        body: u8,
    },
    Fetch {
        system: System,
        /// Of the system's agency with this number only.
        only: Option<usize>,
    },
    Settle {
        pick: Pick,
        outcome: Outcome,
        round: Round,
        /// By a system whose delivery it is not.
        foreign: bool,
    },
    Extend(Pick),
    Download(Pick),
    /// Attaches a stream, or ends it.
    Stream(System),
    /// A stream comes, takes everything, and goes.
    Stumble(System),
    Redeliver(Pick),
    Revive {
        pick: Pick,
        retry: bool,
    },
    /// Pauses an agency, or from number 4 on a system; or resumes it.
    Pause(usize),
    /// So many seconds go by.
    Pass(u64),
    /// Somebody sets the clock.
    Set(i64),
    /// A stop in good order, and a start.
    Restart,
    /// The process is killed: everything written stands, the index is trusted.
    Kill,
    /// A power cut; the number says which of the writes that were not synced survive.
    Cut(u64),
    /// A power cut in the middle of something.
    Torn {
        fault: Fault,
        survive: u64,
        of: Box<Event>,
    },
}

/// How long the leases of a case are lived through.
const PASSES: [u64; 4] = [20, 200, 301, 86_400];

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let fault = prop_oneof![
        (0_u64..2).prop_map(Fault::Sync),
        (0_u64..2).prop_map(Fault::Write),
    ];
    let torn =
        (fault, any::<u64>(), prop_oneof![sent(), received()]).prop_map(|(fault, survive, of)| {
            Event::Torn {
                fault,
                survive,
                of: Box::new(of),
            }
        });
    prop_oneof![
        26 => sent(),
        35 => received(),
        7 => handled(),
        3 => (0_usize..7).prop_map(Event::Pause),
        7 => select(PASSES.to_vec()).prop_map(Event::Pass),
        2 => select(vec![-3_600_i64, 7_200]).prop_map(Event::Set),
        5 => Just(Event::Restart),
        5 => Just(Event::Kill),
        5 => any::<u64>().prop_map(Event::Cut),
        5 => torn,
    ]
}

fn agencies() -> impl Strategy<Value = BTreeSet<Agency>> {
    prop::collection::btree_set(0_usize..4, 1..4)
}

/// What a sender does.
fn sent() -> impl Strategy<Value = Event> {
    let from = || prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let key = || prop_oneof![4 => Just(0_u8), 3 => Just(1), 1 => Just(2)];
    let whose = || {
        prop_oneof![
            4 => Just(Whose::Document),
            1 => Just(Whose::Update),
            1 => Just(Whose::Replacement),
        ]
    };
    let codes = vec![1_u8, 2, 3, 4, 5, 6, 15, 15, 15, 16, 16];
    prop_oneof![
        9 => (from(), key(), agencies(), prop_oneof![5 => Just(0_u8), 1 => Just(1)])
            .prop_map(|(from, key, to, body)| Event::Document { from, key, to, body }),
        3 => (from(), key(), any::<bool>(), agencies(), prop::collection::btree_set(0_usize..4, 0..3), 0_u8..2)
            .prop_map(|(from, key, own, to, off, body)| Event::Update { from, key, own, to, off, body }),
        2 => (from(), key(), agencies(), 0_u8..2)
            .prop_map(|(from, key, to, body)| Event::Replacement { from, key, to, body }),
        3 => (from(), key(), whose(), agencies(), 0_u8..2)
            .prop_map(|(from, key, whose, to, body)| Event::Recall { from, key, whose, to, body }),
        2 => (from(), 0_usize..4, key(), whose(), 0_u8..2)
            .prop_map(|(from, to, key, whose, body)| Event::Report { from, to, key, whose, code: 13, body }),
        9 => (0_usize..4, from(), key(), whose(), select(codes), 0_u8..2)
            .prop_map(|(from, to, key, whose, code, body)| Event::Report { from, to, key, whose, code, body }),
    ]
}

fn pick(leased: u32) -> impl Strategy<Value = Pick> {
    let among = prop_oneof![
        3 * leased => Just(Among::Leased),
        2 => Just(Among::All),
        1 => Just(Among::GivenUp),
    ];
    (among, any::<u16>()).prop_map(|(among, number)| Pick { among, number })
}

/// What a receiver does, and an operator for it, in one transaction.
fn received() -> impl Strategy<Value = Event> {
    let dead = any::<u16>().prop_map(|number| Pick {
        among: Among::Dead,
        number,
    });
    let outcome = prop_oneof![
        3 => Just(Outcome::Acknowledged),
        2 => Just(Outcome::Failed),
        3 => Just(Outcome::Released),
    ];
    let round = prop_oneof![
        3 => Just(Round::Any),
        2 => Just(Round::Current),
        1 => Just(Round::Other),
    ];
    prop_oneof![
        14 => (0_usize..3, prop::option::weighted(0.2, 0_usize..2))
            .prop_map(|(system, only)| Event::Fetch { system, only }),
        16 => (pick(2), outcome, round, prop::bool::weighted(0.05))
            .prop_map(|(pick, outcome, round, foreign)| {
                Event::Settle { pick, outcome, round, foreign }
            }),
        2 => pick(1).prop_map(Event::Download),
        4 => (prop_oneof![3 => dead, 1 => pick(1)], prop::bool::weighted(0.4))
            .prop_map(|(pick, retry)| Event::Revive { pick, retry }),
    ]
}

/// What they do in none, or in several.
fn handled() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => pick(1).prop_map(Event::Extend),
        3 => (0_usize..3).prop_map(Event::Stream),
        2 => (0_usize..3).prop_map(Event::Stumble),
        3 => pick(1).prop_map(Event::Redeliver),
    ]
}

/// The DocumentId under a key.
pub(crate) fn id(key: u8, whose: Whose) -> String {
    match whose {
        Whose::Document => format!("k{key}"),
        Whose::Update => format!("k{key}-update"),
        Whose::Replacement => format!("k{key}-replacement"),
    }
}

/// The levels of the keys: routine, urgent, flash.
const LEVELS: [u8; 3] = [0, 1, 3];

impl Event {
    /// The package, if the event sends a document of any type.
    pub(crate) fn sending(&self) -> Option<Sending> {
        let none = BTreeSet::new();
        let (from, key, whose, target, kind, to, off, body) = match self {
            Self::Document {
                from,
                key,
                to,
                body,
            } => (
                from,
                key,
                Whose::Document,
                None,
                BusinessKind::New,
                to,
                &none,
                body,
            ),
            Self::Update {
                from,
                key,
                own,
                to,
                off,
                body,
            } => {
                let whose = if *own { Whose::Update } else { Whose::Document };
                let target = Some(id(*key, Whose::Document));
                (
                    from,
                    key,
                    whose,
                    target,
                    BusinessKind::Update,
                    to,
                    off,
                    body,
                )
            }
            Self::Replacement {
                from,
                key,
                to,
                body,
            } => {
                let target = Some(id(*key, Whose::Document));
                (
                    from,
                    key,
                    Whose::Replacement,
                    target,
                    BusinessKind::Replace,
                    to,
                    &none,
                    body,
                )
            }
            Self::Recall {
                from,
                key,
                whose,
                to,
                body,
            } => {
                let target = Some(id(*key, *whose));
                (
                    from,
                    key,
                    *whose,
                    target,
                    BusinessKind::Recall,
                    to,
                    &none,
                    body,
                )
            }
            _ => return None,
        };
        let own = id(*key, whose);
        let level = LEVELS[usize::from(*key)];
        let organs = to.iter().map(|to| Organ::new(CODES[*to], None));
        let date = Date::new(2026, 11, 20).unwrap();
        let sender = Organ::new(CODES[*from], None);
        let mut draft = DocumentDraft::new(sender, organs.collect(), "12", "VP", date);
        let subject = format!("V/v {own} {} {body}", kind.number());
        draft.document.document_id = Some(own.clone());
        draft.document.subject = Some(subject.clone());
        draft.document.other_info.priority = Priority::new(level).unwrap();
        draft.document.business.kind = kind;
        if let Some(target) = &target {
            draft.document.business.reason = Some("Đính chính".to_owned());
            draft.document.business.document_id = Some(target.clone());
        }
        if kind == BusinessKind::Replace {
            draft.document.business.replacements = vec![Replacement {
                document_id: target.clone(),
                organ_ids: Vec::new(),
            }];
        }
        if !off.is_empty() {
            draft.document.business.info.receivers = Some(true);
            let off = off.iter().map(|agency| ReceiverChange {
                organ_id: CODES[*agency].into(),
                added: Some(false),
            });
            draft.document.business.receivers = off.collect();
        }
        draft.attach("a.pdf", "application/pdf", b"%PDF-1.7 thu".to_vec());
        Some(Sending {
            from: *from,
            id: own,
            target,
            business: kind.number(),
            to: to.iter().copied().collect(),
            off: off.iter().copied().collect(),
            level,
            essence: subject,
            bytes: Bytes::from(edxml::write::document(&draft)),
        })
    }

    /// The status package, if the event reports: who, to whom, about what, which code, the bytes.
    pub(crate) fn report(&self) -> Option<(Agency, Agency, String, u8, Bytes)> {
        let Self::Report {
            from,
            to,
            key,
            whose,
            code,
            body,
        } = self
        else {
            return None;
        };
        let about = id(*key, *whose);
        let asks = *code == 13;
        let draft = StatusDraft {
            from: Organ::new(CODES[*from], None),
            response_for: ResponseFor {
                organ_id: CODES[*to].into(),
                code: Some("12/VP".to_owned()),
                promulgation_date: Date::new(2026, 11, 20),
                document_id: Some(about.clone()),
            },
            staff: None,
            code: StatusCode::new(*code).unwrap(),
            description: Some(format!("{}{body}", if asks { "lấy lại " } else { "" })),
            timestamp: Timestamp::new(2026, 11, 20, 8, 0, 0).unwrap(),
        };
        let bytes = Bytes::from(edxml::write::status(&draft).unwrap());
        Some((*from, *to, about, *code, bytes))
    }

    /// Whether it ends the process.
    pub(crate) const fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Restart | Self::Kill | Self::Cut(_) | Self::Torn { .. }
        )
    }
}
