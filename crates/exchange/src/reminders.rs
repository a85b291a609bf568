//! What receivers owe and have not done: documents not fetched or not confirmed, recalls not
//! answered, documents due. A list for people (the digest), and the reminders of recalls: those
//! that an operator sends, and those that the axis sends by itself.
//!
//! The axis remembers nothing of its own reminders: a reminder opens a new round of the recall's
//! delivery, and when that last changed stands in its row. So a restart neither forgets one nor
//! sends one twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ledger::event::{Actor, DeliveryState, PackageKind};
use ledger::id::{AgencyId, DeliveryId, PackageId};
use ledger::owed::{AskedRow, DueRow};
use ledger::pause::Paused;
use ledger::rows::DocumentKey;
use ledger::time::Ms;
use ledger::{Change, ChangeDelivery, Command, Committed, Query, QueryError};

use crate::agencies::not_registered;
use crate::pause::needs_reason;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator, party};
use crate::types::{DocumentRef, Party};

/// Open recalls, and documents due, that one look reads at most.
const LOOKED_AT: usize = 10_000;

/// What is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owing {
    /// Packages wait for an agency longer than the working hours that are set (duty EX-12).
    Unfetched,
    /// Documents came on a working day that is over, and the receiver has neither settled them
    /// nor said 01 or later (duty STA-04).
    Unconfirmed,
    /// A receiver that has had the document has not said 15 or 16 to its recall for longer than
    /// the working hours that are set (duty RC-02).
    Unanswered,
    /// A document of hỏa tốc hẹn giờ comes due soon and is not settled (duty PR-06).
    DueSoon,
    /// The due moment passed and the receiver has not said 06 (duty TM-05).
    Overdue,
}

impl Owing {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unfetched => "unfetched",
            Self::Unconfirmed => "unconfirmed",
            Self::Unanswered => "unanswered",
            Self::DueSoon => "due-soon",
            Self::Overdue => "overdue",
        }
    }
}

/// One thing that an agency owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    /// What.
    pub owing: Owing,
    /// Who owes it.
    pub agency: Party,
    /// Whose document it is; none where several are counted.
    pub sender: Option<Party>,
    /// The edXML DocumentId; empty where several are counted.
    pub document_id: String,
    /// The package that asks: the recall, the document with the due date; none where several
    /// are counted.
    pub package: Option<PackageId>,
    /// Acceptance of the oldest that waits, of the recall; the due moment.
    pub since: Ms,
    /// How many packages.
    pub count: u64,
}

/// To whom a reminder goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remind {
    /// Everybody who owes an answer to the recall of a document.
    Document(DocumentRef),
    /// An agency, for each recall that it has not answered (any of its codes).
    Agency(String),
}

/// The answer to [`Exchange::remind`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reminded {
    /// Recalls that are delivered once more: receiver, delivery, package, round.
    pub sent: Vec<(Party, DeliveryId, PackageId, u32)>,
    /// Receivers whose delivery of the recall stays as it is, with the refusal's name;
    /// `WAITING_ALREADY` if it was not fetched yet.
    pub skipped: Vec<(Party, DeliveryId, &'static str)>,
}

impl Exchange {
    /// The digest: what is owed now, the oldest first within each kind.
    ///
    /// # Errors
    /// INTERNAL if the ledger cannot be read.
    pub async fn reminders(&self) -> Result<Vec<Reminder>, Refusal> {
        let inner = &self.inner;
        let now = inner.now();
        let mut reminders = inner.unfetched(now);
        reminders.extend(inner.unconfirmed(now).await?);
        reminders.extend(inner.unanswered(now).await?);
        reminders.extend(inner.due(now).await?);
        reminders.sort_by_key(|reminder| (reminder.owing, reminder.since));
        Ok(reminders)
    }

    /// Delivers the recalls that are not answered once more, to those who owe the answer.
    ///
    /// # Errors
    /// BAD_ARGUMENT without a reason; NOT_FOUND for an unknown document or agency.
    pub async fn remind(
        &self,
        operator: &Operator,
        whom: Remind,
        why: &str,
    ) -> Result<Reminded, Refusal> {
        needs_reason(why)?;
        let inner = &self.inner;
        let asked = match whom {
            Remind::Document(document) => inner.asked_of(document).await?,
            Remind::Agency(code) => {
                let registry = inner.ledger.registry();
                let agency = registry
                    .resolve(&code)
                    .ok_or_else(|| not_registered(&code, "agency"))?;
                let mut asked = inner.ask(|query| Ok(query.asked(LOOKED_AT)?)).await?;
                asked.retain(|row| row.receiver == agency.0);
                asked
            }
        };
        inner.ask_again(asked, &operator.actor(why), why).await
    }
}

/// Sends the reminders of the axis's own, until the exchange closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    /// Working hours are counted: a look now and then is enough.
    const SELDOM: Duration = Duration::from_secs(60);
    let Some(after) = inner.options.alerts.remind else {
        return;
    };
    let every = SELDOM.min(inner.options.alerts.every * 12);
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => return,
            _ = look.tick() => {}
        }
        match inner.remind_late(after).await {
            Ok(reminded) => {
                for (whom, _, request, round) in reminded.sent {
                    tracing::info!(agency = whom.main_code, package = %request, round, "a recall that is not answered is delivered once more");
                }
            }
            // The disk is full, or the ledger closes: it is tried again at the next look.
            Err(refusal) => {
                tracing::debug!(
                    refusal = refusal.name.as_str(),
                    "reminders could not be sent"
                );
            }
        }
    }
}

impl Inner {
    /// Delivers once more each recall that its receiver has had for so much working time, since
    /// it was asked or last reminded, and has not answered.
    async fn remind_late(&self, after: Duration) -> Result<Reminded, Refusal> {
        let now = self.now();
        let asked = self
            .ask(|query| {
                let rows = query.asked(LOOKED_AT)?.into_iter();
                let with = |row: AskedRow| {
                    let request = row.request_id()?;
                    let delivery = DeliveryId::of(request, AgencyId(row.receiver));
                    query.delivery(delivery).map(|delivery| (row, delivery))
                };
                Ok(rows.filter_map(with).collect::<Vec<_>>())
            })
            .await?;
        let late = asked.into_iter().filter(|(row, delivery)| {
            // What was not settled comes again as it is.
            let is_settled = matches!(
                delivery.state(),
                DeliveryState::Acknowledged | DeliveryState::Failed
            );
            let since = match delivery.round {
                1 => row.at,
                _ => delivery.changed_at,
            };
            is_settled && self.is_late(Ms(since), now, after)
        });
        let late: Vec<_> = late.map(|(row, _)| row).collect();
        if late.is_empty() {
            return Ok(Reminded::default());
        }
        let hours = after.as_secs() / 3_600;
        let why = format!("Quá {hours} giờ làm việc chưa trả lời yêu cầu thu hồi");
        let actor = Actor {
            axis: true,
            ..Actor::default()
        };
        self.ask_again(late, &actor, &why).await
    }

    /// Opens a new round of the deliveries of these requests.
    async fn ask_again(
        &self,
        asked: Vec<AskedRow>,
        actor: &Actor,
        why: &str,
    ) -> Result<Reminded, Refusal> {
        let registry = self.ledger.registry();
        let mut reminded = Reminded::default();
        for row in asked {
            let Some(request) = row.request_id() else {
                continue;
            };
            let receiver = AgencyId(row.receiver);
            let delivery = DeliveryId::of(request, receiver);
            let command = Command::Change(Box::new(ChangeDelivery {
                delivery,
                change: Change::Redelivered,
                round: None,
                at: self.now(),
                actor: actor.clone(),
                via: "reminder",
                reason: why.to_owned(),
                own_01: None,
            }));
            let whom = party(&registry, receiver, "");
            match self.commit(command).await {
                Ok(Committed::Changed {
                    round,
                    changed: true,
                    ..
                }) => {
                    if let Some(place) = self.leases.settled(&delivery) {
                        self.offer_again(&[place]);
                    }
                    reminded.sent.push((whom, delivery, request, round));
                }
                // Nobody fetched the recall yet: it is at the head of the queue as it is.
                Ok(_) => reminded.skipped.push((whom, delivery, "WAITING_ALREADY")),
                Err(refusal) if refusal.name == Name::WrongState => {
                    reminded
                        .skipped
                        .push((whom, delivery, refusal.name.as_str()));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(reminded)
    }

    /// Agencies that have not confirmed what came on a working day that is over.
    async fn unconfirmed(&self, now: Ms) -> Result<Vec<Reminder>, Refusal> {
        let day_is_over = |came: Ms| match self.rules.calendar.day_ends(came) {
            Ok(end) => end <= now,
            // In a year without a calendar a day is 24 hours.
            Err(_) => now.0 - came.0 >= 86_400_000,
        };
        let open: Vec<(AgencyId, DeliveryId, Ms)> = {
            // Commits wait for the guard: those who have nothing that old are passed by.
            let open = self.ledger.open_deliveries();
            let tallies = open.tallies().iter();
            let late = tallies.filter(|(_, tally)| {
                let oldest = tally.iter().filter_map(|lane| lane.oldest()).min();
                oldest.is_some_and(day_is_over)
            });
            let of = |receiver| {
                open.of(receiver).filter_map(move |(place, delivery)| {
                    let is_document = delivery.kind() == PackageKind::Document;
                    (is_document && delivery.is_deliverable() && day_is_over(delivery.accepted_at))
                        .then(|| {
                            let id = DeliveryId::of(delivery.package, place.receiver);
                            (place.receiver, id, delivery.accepted_at)
                        })
                })
            };
            late.flat_map(|(receiver, _)| of(receiver))
                .take(LOOKED_AT)
                .collect()
        };
        let mut owed = self
            .ask(move |query| {
                let mute = open.into_iter().filter(|(receiver, delivery, _)| {
                    let row = query.delivery(*delivery);
                    let row = row.filter(ledger::rows::DeliveryRow::asks_for_01);
                    let document = row.and_then(|row| row.document_key());
                    document.is_some_and(|document| !query.cell(document, *receiver).own)
                });
                let mut owed: Vec<_> = mute.map(|(receiver, _, at)| (receiver, at)).collect();
                let settled = query.unconfirmed(LOOKED_AT)?.into_iter();
                owed.extend(settled.map(|row| (AgencyId(row.receiver), Ms(row.accepted_at))));
                Ok(owed)
            })
            .await?;
        owed.retain(|(_, at)| day_is_over(*at));
        let registry = self.ledger.registry();
        let agencies: BTreeSet<AgencyId> = owed.iter().map(|(agency, _)| *agency).collect();
        let told = agencies.into_iter().filter_map(|agency| {
            let mine = || owed.iter().filter(|(of, _)| *of == agency);
            Some(Reminder {
                owing: Owing::Unconfirmed,
                agency: party(&registry, agency, ""),
                sender: None,
                document_id: String::new(),
                package: None,
                since: mine().map(|(_, at)| *at).min()?,
                count: mine().count() as u64,
            })
        });
        Ok(told.collect())
    }

    /// Whether more working time than that has passed; in a year without a calendar any time
    /// counts.
    pub(crate) fn is_late(&self, from: Ms, now: Ms, limit: std::time::Duration) -> bool {
        let passed = self
            .rules
            .calendar
            .working_ms(from, now)
            .unwrap_or_else(|_| u64::try_from(now.0 - from.0).unwrap_or(0));
        u128::from(passed) > limit.as_millis()
    }

    /// Agencies for whom something waits too long.
    pub(crate) fn unfetched(&self, now: Ms) -> Vec<Reminder> {
        let registry = self.ledger.registry();
        let waiting: Vec<(AgencyId, Ms, u64)> = {
            // Commits wait for the guard: a few counts of each receiver are read under it.
            let open = self.ledger.open_deliveries();
            let tallies = open.tallies().iter();
            tallies
                .filter_map(|(receiver, tally)| {
                    let oldest = tally.iter().filter_map(|lane| lane.oldest()).min()?;
                    let count = tally.iter().map(|lane| lane.waiting).sum();
                    Some((receiver, oldest, count))
                })
                .collect()
        };
        let limit = self.options.alerts.unfetched;
        // Who is kept from receiving owes nothing.
        let pauses = registry.pauses();
        let paused = |agency: AgencyId| {
            let mut systems = registry.systems_of(agency).iter();
            pauses.of(&Paused::Agency(agency)).is_some()
                || systems.any(|system| pauses.between(system, agency).is_some())
        };
        let late = waiting.into_iter().filter(|(receiver, oldest, _)| {
            self.is_late(*oldest, now, limit) && !paused(*receiver)
        });
        late.map(|(receiver, oldest, count)| Reminder {
            owing: Owing::Unfetched,
            agency: party(&registry, receiver, ""),
            sender: None,
            document_id: String::new(),
            package: None,
            since: oldest,
            count,
        })
        .collect()
    }

    /// Receivers that owe an answer to a recall for too long.
    pub(crate) async fn unanswered(&self, now: Ms) -> Result<Vec<Reminder>, Refusal> {
        let mut asked = self.ask(|query| Ok(query.asked(LOOKED_AT)?)).await?;
        let limit = self.options.alerts.unanswered;
        asked.retain(|row| self.is_late(Ms(row.at), now, limit));
        let owed = asked.into_iter().filter_map(|row| {
            let (document, package) = (row.document_key()?, row.request_id()?);
            Some(Owed {
                owing: Owing::Unanswered,
                document,
                receiver: AgencyId(row.receiver),
                package,
                since: Ms(row.at),
            })
        });
        self.named(owed.collect()).await
    }

    /// Documents that are overdue, and those of hỏa tốc hẹn giờ that come due soon.
    pub(crate) async fn due(&self, now: Ms) -> Result<Vec<Reminder>, Refusal> {
        let lead = i64::try_from(self.options.alerts.due_lead.as_millis()).unwrap_or(i64::MAX);
        let until = Ms(now.0.saturating_add(lead));
        let owed = self
            .ask(move |query| {
                let rows = query.due_before(until, LOOKED_AT)?.into_iter();
                Ok(rows.filter_map(|row| due(query, &row, now)).collect())
            })
            .await?;
        self.named(owed).await
    }

    async fn asked_of(&self, document: DocumentRef) -> Result<Vec<AskedRow>, Refusal> {
        let document = self.document_of(document).await?;
        self.ask(move |query| {
            let holders = query.holders(document).into_iter();
            Ok(holders
                .filter_map(|(agency, _)| query.asked_of(document, agency))
                .collect())
        })
        .await
    }

    /// With names and DocumentIds; each document is read once.
    async fn named(&self, owed: Vec<Owed>) -> Result<Vec<Reminder>, Refusal> {
        let registry = self.ledger.registry();
        let (owed, ids) = self
            .ask(move |query| {
                let mut ids = BTreeMap::new();
                for one in &owed {
                    let key = (one.document.sender.0, one.document.hash);
                    if let std::collections::btree_map::Entry::Vacant(free) = ids.entry(key) {
                        free.insert(document_id(query, one.document)?);
                    }
                }
                Ok((owed, ids))
            })
            .await?;
        let told = owed.into_iter().map(|one| Reminder {
            owing: one.owing,
            agency: party(&registry, one.receiver, ""),
            sender: Some(party(&registry, one.document.sender, "")),
            document_id: ids
                .get(&(one.document.sender.0, one.document.hash))
                .cloned()
                .unwrap_or_default(),
            package: Some(one.package),
            since: one.since,
            count: 1,
        });
        Ok(told.collect())
    }
}

struct Owed {
    owing: Owing,
    document: DocumentKey,
    receiver: AgencyId,
    package: PackageId,
    since: Ms,
}

fn due(query: &Query, row: &DueRow, now: Ms) -> Option<Owed> {
    const EXPRESS_AT_AN_HOUR: u32 = 4;
    let package = row.package_id()?;
    let receiver = AgencyId(row.receiver);
    let owing = if row.due_at < now.0 {
        Owing::Overdue
    } else {
        // Before the hour it counts that the document has come; after it, that it is done.
        let delivery = query.delivery(DeliveryId::of(package, receiver))?;
        let has_come = matches!(
            delivery.state(),
            DeliveryState::Acknowledged | DeliveryState::Recalled | DeliveryState::Refused
        );
        if row.level != EXPRESS_AT_AN_HOUR || has_come {
            return None;
        }
        Owing::DueSoon
    };
    Some(Owed {
        owing,
        document: row.document_key()?,
        receiver,
        package,
        since: Ms(row.due_at),
    })
}

/// The DocumentId of a document's first package; its key text if it had none.
fn document_id(query: &Query, document: DocumentKey) -> Result<String, QueryError> {
    for id in query.about(document) {
        if let Some(package) = query.package(id)?
            && package.facts.kind == PackageKind::Document as i32
        {
            let facts = package.facts.document.unwrap_or_default();
            return Ok(facts.document_id.unwrap_or(facts.document_key));
        }
    }
    Ok(String::new())
}
