//! The sequencer: one thread that drains what waits, decides it in order, appends it as one
//! batch with one sync, makes it visible, and only then tells anyone.
//!
//! Decisions see the batch being made over the state that is synced. Since the next batch is
//! decided only after the previous sync returned, "what is appended and not yet synced" is
//! exactly the batch at hand; when its sync fails it is forgotten whole and every waiter
//! hears "unknown".

use std::collections::VecDeque;

use journal::{AppendError, Entry, Journal, Payload, Space, Written};

use crate::command::{Accepted, Command, CommitError, Committed, Conflict};
use crate::decide;
use crate::fact::{self, Fact};
use crate::fold;
use crate::id::PackageId;
use crate::layer::Layer;
use crate::open::Place;
use crate::registry::Registry;
use crate::state::State;

/// A command and where its answer goes.
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) reply: tokio::sync::oneshot::Sender<Result<Committed, CommitError>>,
}

/// One command's part in a batch.
struct Decided {
    reply: tokio::sync::oneshot::Sender<Result<Committed, CommitError>>,
    answer: Result<Committed, Conflict>,
    /// Its record's number in the batch.
    entry: Option<usize>,
}

/// What a batch made visible.
pub(crate) struct Published {
    pub(crate) ready: Vec<Place>,
    pub(crate) registry_changed: bool,
    pub(crate) revoked: bool,
}

pub(crate) struct Sequencer {
    journal: Journal,
    read_only: bool,
}

impl Sequencer {
    pub(crate) const fn new(journal: Journal) -> Self {
        Self {
            journal,
            read_only: false,
        }
    }

    pub(crate) const fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(crate) fn space(&self) -> Space {
        self.journal.space()
    }

    pub(crate) fn into_journal(self) -> Journal {
        self.journal
    }

    /// Decides, appends, syncs and publishes a batch, and tells every waiter.
    /// What does not fit this batch stays in `requests`.
    pub(crate) fn run(
        &mut self,
        state: &State,
        requests: &mut VecDeque<Request>,
    ) -> Option<Published> {
        if self.read_only || !state.readable() {
            for request in requests.drain(..) {
                let _ = request.reply.send(Err(CommitError::ReadOnly));
            }
            return None;
        }
        let mut layer = Layer::over(state);
        let mut next = state.last().map_or(1, |last| last.position + 1);
        let mut registry_version = state.registry().version();
        let reserve_only = self.journal.space() == Space::Reserve;
        let mut entries: Vec<Entry> = Vec::with_capacity(requests.len());
        let mut transactions: Vec<Vec<Fact>> = Vec::with_capacity(requests.len());
        let mut decided = Vec::with_capacity(requests.len());
        let mut room = self.journal.batch_limit();
        while let Some(Request { command, reply }) = requests.pop_front() {
            let weight = command.weight();
            if weight > room && !entries.is_empty() {
                requests.push_front(Request { command, reply });
                break;
            }
            room = room.saturating_sub(weight);
            let uses_reserve = command.uses_reserve();
            if reserve_only && !uses_reserve {
                let _ = reply.send(Err(CommitError::Full));
                continue;
            }
            match decide_one(&layer, registry_version, command) {
                Ok(Made {
                    facts,
                    payload,
                    removes,
                    answer,
                }) if !facts.is_empty() => {
                    let body = fact::encode(&facts);
                    let entry = Entry {
                        body,
                        payload,
                        uses_reserve,
                        removes,
                    };
                    if entry.stored_len() > self.journal.batch_limit() {
                        let _ = reply.send(Err(CommitError::TooLarge));
                        continue;
                    }
                    fold::apply(&mut layer, next, &facts);
                    registry_version +=
                        facts.iter().filter(|f| Registry::concerns(f)).count() as u64;
                    decided.push(Decided {
                        reply,
                        answer: Ok(answer),
                        entry: Some(entries.len()),
                    });
                    entries.push(entry);
                    transactions.push(facts);
                    next += 1;
                }
                Ok(made) => decided.push(Decided {
                    reply,
                    answer: Ok(made.answer),
                    entry: None,
                }),
                Err(conflict) => decided.push(Decided {
                    reply,
                    answer: Err(conflict),
                    entry: None,
                }),
            }
        }
        if !state.readable() {
            // Something was decided on a read that failed: nothing of it may stand.
            return tell_all(decided, &CommitError::ReadOnly);
        }
        if entries.is_empty() {
            for Decided { reply, answer, .. } in decided {
                let _ = reply.send(answer.map_err(CommitError::Conflict));
            }
            return None;
        }
        let written = match self.journal.append(&entries) {
            Ok(written) => written,
            Err(AppendError::Full) => return tell_all(decided, &CommitError::Full),
            // Nothing was written, and each may be sent again: a payload file that left
            // meanwhile is kept anew, and the next batch is another one.
            Err(error @ (AppendError::TooLarge { .. } | AppendError::PayloadMissing { .. })) => {
                tracing::warn!(%error, "a batch was not appended");
                return tell_all(decided, &CommitError::Unknown);
            }
            Err(AppendError::ReadOnly) => {
                self.read_only = true;
                return tell_all(decided, &CommitError::ReadOnly);
            }
            Err(error) => {
                tracing::error!(%error, source = ?std::error::Error::source(&error), "the journal could not be written; the axis is read-only until it is restarted");
                self.read_only = true;
                return tell_all(decided, &CommitError::Unknown);
            }
        };
        let published = publish(state, layer, &written, &transactions);
        for Decided {
            reply,
            answer,
            entry,
        } in decided
        {
            let written = entry.and_then(|entry| written.get(entry));
            let answer = answer.map(|answer| anchored(answer, written));
            let _ = reply.send(answer.map_err(CommitError::Conflict));
        }
        Some(published)
    }
}

fn tell_all(decided: Vec<Decided>, error: &CommitError) -> Option<Published> {
    for Decided { reply, .. } in decided {
        let _ = reply.send(Err(error.clone()));
    }
    None
}

fn publish(
    state: &State,
    mut layer: Layer<'_>,
    written: &[Written],
    transactions: &[Vec<Fact>],
) -> Published {
    for (written, facts) in written.iter().zip(transactions) {
        fold::place(
            &mut layer,
            written.position,
            packed(written.location),
            facts,
        );
    }
    let facts = || transactions.iter().flatten();
    let registry_changed = facts().any(Registry::concerns);
    let revoked = facts().any(|fact| {
        matches!(
            fact,
            Fact::SystemKeyRevoked(_) | Fact::SystemPinRevoked(_) | Fact::SystemRecorded(_)
        )
    });
    let ready = match written.last() {
        Some(last) => state.publish(layer.into_changes(), facts(), last.anchor()),
        None => Vec::new(),
    };
    Published {
        ready,
        registry_changed,
        revoked,
    }
}

fn anchored(answer: Committed, written: Option<&Written>) -> Committed {
    match (answer, written) {
        (Committed::Accepted(accepted), Some(written)) => Committed::Accepted(Accepted {
            anchor: Some(written.anchor()),
            ..accepted
        }),
        (answer, _) => answer,
    }
}

/// A location as index rows keep it.
pub(crate) const fn packed(location: journal::Location) -> u64 {
    (location.segment as u64) << 32 | location.offset as u64
}

/// The location in an index row.
#[allow(clippy::cast_possible_truncation)] // the two halves of `packed`
pub(crate) const fn unpacked(location: u64) -> journal::Location {
    journal::Location {
        segment: (location >> 32) as u32,
        offset: location as u32,
    }
}

struct Made {
    facts: Vec<Fact>,
    payload: Payload,
    removes: Option<u64>,
    answer: Committed,
}

impl Made {
    const fn plain(facts: Vec<Fact>, answer: Committed) -> Self {
        Self {
            facts,
            payload: Payload::None,
            removes: None,
            answer,
        }
    }
}

fn decide_one(
    layer: &Layer<'_>,
    registry_version: u64,
    command: Command,
) -> Result<Made, Conflict> {
    match command {
        Command::Accept(mut accept) => {
            let payload = std::mem::replace(&mut accept.payload, Payload::None);
            let id = accept.package.id.clone();
            let decision = decide::accept(layer, *accept)?;
            // The payload goes with the record that holds the package itself.
            let holds =
                |fact: &Fact| matches!(fact, Fact::PackageAccepted(package) if package.id == id);
            let payload = if decision.facts.iter().any(holds) {
                payload
            } else {
                Payload::None
            };
            let answer = Committed::Accepted(decision.answer);
            Ok(Made {
                facts: decision.facts,
                payload,
                removes: None,
                answer,
            })
        }
        Command::Change(change) => {
            let decision = decide::change(layer, *change)?;
            let (state, round, changed) = decision.answer;
            Ok(Made::plain(
                decision.facts,
                Committed::Changed {
                    state,
                    round,
                    changed,
                },
            ))
        }
        Command::Register { version, facts } => {
            if version != registry_version {
                return Err(Conflict::RegistryChanged);
            }
            Ok(Made::plain(facts, Committed::Recorded))
        }
        Command::Note(fact) => Ok(Made::plain(vec![fact], Committed::Recorded)),
        Command::RemovePayload {
            package,
            at,
            actor,
            decision,
        } => {
            let (fact, position) = decide::remove_payload(layer, package, at, actor, decision)?;
            let mut made = Made::plain(vec![fact], Committed::Recorded);
            made.removes = Some(position);
            Ok(made)
        }
    }
}

/// The highest package id among facts.
pub(crate) fn highest_package(facts: &[Fact]) -> Option<PackageId> {
    facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::PackageAccepted(package) => PackageId::from_slice(&package.id),
            _ => None,
        })
        .max()
}
