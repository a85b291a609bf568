//! The sequencer: one thread that drains what waits, decides it in order, appends it as one
//! batch with one sync, makes it visible, and only then tells anyone.
//!
//! Decisions see the batch being made over the state that is synced. Since the next batch is
//! decided only after the previous sync returned, "what is appended and not yet synced" is
//! exactly the batch at hand; when its sync fails it is forgotten whole and every waiter
//! hears "unknown".

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use journal::{AppendError, Entry, Journal, Payload, Space, Written};

use crate::Health;
use crate::alert;
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
    pub(crate) reply: Reply,
}

type Reply = tokio::sync::oneshot::Sender<Result<Committed, CommitError>>;

/// One command's part in a batch.
struct Decided {
    reply: Reply,
    answer: Result<Committed, Conflict>,
    /// Its record's number in the batch.
    entry: Option<usize>,
    uses_reserve: bool,
    /// What may use the reserve, to be decided anew if the batch finds the disk full.
    again: Option<Command>,
}

/// What a batch made visible.
pub(crate) struct Published {
    pub(crate) ready: Vec<Place>,
    pub(crate) registry_changed: bool,
    pub(crate) revoked: bool,
    pub(crate) rerouted: bool,
    /// The highest package id in it.
    pub(crate) last_package: Option<PackageId>,
}

/// A batch being made.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    transactions: Vec<Vec<Fact>>,
    decided: Vec<Decided>,
}

pub(crate) struct Sequencer {
    journal: Journal,
    inline_limit: u64,
    read_only: bool,
    health: Arc<Health>,
}

impl Sequencer {
    pub(crate) fn new(journal: Journal, health: Arc<Health>) -> Self {
        Self {
            inline_limit: journal.payloads().inline_limit(),
            journal,
            read_only: false,
            health,
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only || self.journal.is_read_only()
    }

    /// Whoever is told of a failure finds it in the ledger's health.
    fn report(&self) {
        let reserve = self.journal.space() == Space::Reserve;
        self.health.reserve.store(reserve, Ordering::SeqCst);
        self.health
            .read_only
            .store(self.is_read_only(), Ordering::SeqCst);
    }

    fn measure(&self, entries: &[Entry], took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.health
            .slowest_sync
            .fetch_max(micros, Ordering::Relaxed);
        metrics::histogram!("axis_journal_sync_seconds").record(took.as_secs_f64());
        #[allow(clippy::cast_precision_loss)] // a batch has at most thousands
        metrics::histogram!("axis_journal_batch_records").record(entries.len() as f64);
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
        self.report();
        if self.is_read_only() || !state.readable() {
            for request in requests.drain(..) {
                let _ = request.reply.send(Err(CommitError::ReadOnly));
            }
            return None;
        }
        let mut layer = Layer::over(state);
        let Batch {
            entries,
            transactions,
            decided,
        } = self.decide(state, &mut layer, requests);
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
        let began = Instant::now();
        let appended = self.journal.append(&entries);
        self.measure(&entries, began.elapsed());
        self.read_only |= matches!(
            appended,
            Err(AppendError::Failed { .. } | AppendError::ReadOnly)
        );
        self.report();
        let written = match appended {
            Ok(written) => written,
            Err(AppendError::Full) => {
                full(decided, requests);
                return None;
            }
            // Such a command is alone in its batch.
            Err(AppendError::NothingToRemove { .. }) => {
                return tell_all(decided, &CommitError::Conflict(Conflict::NoPayload));
            }
            Err(AppendError::ReadOnly) => return tell_all(decided, &CommitError::ReadOnly),
            Err(error @ AppendError::Failed { .. }) => {
                tracing::error!(%error, source = ?std::error::Error::source(&error), "the journal could not be written; the axis is read-only until it is restarted");
                return tell_all(decided, &CommitError::Unknown);
            }
            // Nothing was written, and each may be sent again: a payload file that left
            // meanwhile is kept anew, and the next batch is another one.
            Err(error) => {
                tracing::warn!(%error, "a batch was not appended");
                return tell_all(decided, &CommitError::Unknown);
            }
        };
        let published = publish(state, layer, &written, transactions, &entries);
        for Decided {
            reply,
            answer,
            entry,
            ..
        } in decided
        {
            let written = entry.and_then(|entry| written.get(entry));
            let answer = answer.map(|answer| anchored(answer, written));
            let _ = reply.send(answer.map_err(CommitError::Conflict));
        }
        Some(published)
    }

    /// Decides one command after the other, each over what those before it will have changed.
    fn decide(
        &self,
        state: &State,
        layer: &mut Layer<'_>,
        requests: &mut VecDeque<Request>,
    ) -> Batch {
        let mut batch = Batch::default();
        let mut next = state.last().map_or(1, |last| last.position + 1);
        let mut registry_version = state.registry().version();
        let reserve_only = self.journal.space() == Space::Reserve;
        let mixed = !reserve_only && requests.iter().any(|r| !r.command.uses_reserve());
        let limit = self.journal.batch_limit();
        let (mut room, mut left) = (limit, limit);
        while let Some(Request { command, reply }) = requests.pop_front() {
            let weight = command.weight();
            // What a removal names must be durable, and its failing be nobody else's.
            let alone = matches!(command, Command::RemovePayload { .. });
            if !batch.decided.is_empty() && (alone || weight > room) {
                requests.push_front(Request { command, reply });
                break;
            }
            room = room.saturating_sub(weight);
            let uses_reserve = command.uses_reserve();
            if reserve_only && !uses_reserve {
                let _ = reply.send(Err(CommitError::Full));
                continue;
            }
            let again = (mixed && uses_reserve).then(|| command.clone());
            let (made, answer) = match decide_one(layer, registry_version, command) {
                Ok((made, answer)) => (made, Ok(answer)),
                Err(conflict) => (Made::default(), Err(conflict)),
            };
            let mut entry = None;
            if !made.facts.is_empty() {
                let (facts, appended) = made.into_entry(uses_reserve);
                let len = appended.stored_len();
                if len > limit || inline_len(&appended) > self.inline_limit {
                    let _ = reply.send(Err(CommitError::TooLarge));
                    continue;
                }
                if len > left {
                    // It was weighed too light; it fits another batch.
                    let _ = reply.send(Err(CommitError::Unknown));
                    continue;
                }
                left -= len;
                fold::apply(layer, next, &facts);
                registry_version += facts.iter().filter(|f| Registry::concerns(f)).count() as u64;
                entry = Some(batch.entries.len());
                batch.entries.push(appended);
                batch.transactions.push(facts);
                next += 1;
            }
            batch.decided.push(Decided {
                reply,
                answer,
                entry,
                uses_reserve,
                again,
            });
            if alone {
                break;
            }
        }
        batch
    }
}

/// The disk turned out to be full under a batch, of which nothing was written: what may use
/// the reserve is put back to be decided anew without the rest.
fn full(decided: Vec<Decided>, requests: &mut VecDeque<Request>) {
    let alone = decided.iter().all(|decided| decided.uses_reserve);
    for Decided { reply, again, .. } in decided.into_iter().rev() {
        match again {
            Some(command) if !alone => requests.push_front(Request { command, reply }),
            _ => {
                let _ = reply.send(Err(CommitError::Full));
            }
        }
    }
}

fn inline_len(entry: &Entry) -> u64 {
    match &entry.payload {
        Payload::Inline { bytes, .. } => bytes.len() as u64,
        Payload::None | Payload::File { .. } => 0,
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
    transactions: Vec<Vec<Fact>>,
    entries: &[Entry],
) -> Published {
    for (written, facts) in written.iter().zip(&transactions) {
        fold::place(
            &mut layer,
            written.position,
            packed(written.location),
            facts,
        );
    }
    debug_assert!(
        written.first().map(|w| w.position) == Some(state.last().map_or(1, |l| l.position + 1))
    );
    let facts = || transactions.iter().flatten();
    let registry_changed = facts().any(Registry::concerns);
    let revoked = facts().any(Registry::revokes);
    let rerouted = facts().any(Registry::reroutes);
    let ready = match written.last() {
        Some(last) => state.publish(layer.into_changes(), facts(), last.anchor()),
        None => Vec::new(),
    };
    let last_package = transactions.iter().filter_map(|f| highest_package(f)).max();
    state.remember(written, transactions, entries);
    Published {
        ready,
        registry_changed,
        revoked,
        rerouted,
        last_package,
    }
}

fn anchored(answer: Committed, written: Option<&Written>) -> Committed {
    match (answer, written) {
        (Committed::Accepted(accepted), Some(written)) => Committed::Accepted(Accepted {
            anchor: Some(written.anchor()),
            ..accepted
        }),
        (Committed::AllAccepted(mut all), Some(written)) => {
            // The first has nothing to record if it was there before; the others may.
            for accepted in all.iter_mut().filter(|accepted| accepted.is_new()) {
                accepted.anchor = Some(written.anchor());
            }
            Committed::AllAccepted(all)
        }
        (Committed::Alert { .. }, Some(written)) => Committed::Alert {
            position: Some(written.position),
        },
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

/// What a command is recorded as; no facts if there is nothing to record.
struct Made {
    facts: Vec<Fact>,
    payload: Payload,
    removes: Option<u64>,
}

impl Default for Made {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl Made {
    const fn of(facts: Vec<Fact>) -> Self {
        Self {
            facts,
            payload: Payload::None,
            removes: None,
        }
    }

    fn into_entry(self, uses_reserve: bool) -> (Vec<Fact>, Entry) {
        let entry = Entry {
            body: fact::encode(&self.facts),
            payload: self.payload,
            uses_reserve,
            removes: self.removes,
        };
        (self.facts, entry)
    }
}

fn decide_one(
    layer: &Layer<'_>,
    registry_version: u64,
    command: Command,
) -> Result<(Made, Committed), Conflict> {
    match command {
        Command::Accept(mut accept) => {
            let payload = std::mem::replace(&mut accept.payload, Payload::None);
            let id = accept.package.id.clone();
            let size = accept.package.size;
            let decision = decide::accept(layer, *accept)?;
            // The payload goes with the record that holds the package itself.
            let holds =
                |fact: &Fact| matches!(fact, Fact::PackageAccepted(package) if package.id == id);
            let payload = if decision.facts.iter().any(holds) {
                // A push that seemed to bring nothing new came without its bytes.
                if matches!(payload, Payload::None) && size > 0 {
                    return Err(Conflict::BytesMissing);
                }
                payload
            } else {
                Payload::None
            };
            let made = Made {
                payload,
                ..Made::of(decision.facts)
            };
            Ok((made, Committed::Accepted(decision.answer)))
        }
        Command::AcceptAll(all) => {
            let decision = decide::accept_all(layer, all)?;
            Ok((
                Made::of(decision.facts),
                Committed::AllAccepted(decision.answer),
            ))
        }
        Command::Change(change) => {
            let decision = decide::change(layer, *change)?;
            let (state, round, changed) = decision.answer;
            let answer = Committed::Changed {
                state,
                round,
                changed,
            };
            Ok((Made::of(decision.facts), answer))
        }
        Command::Register { version, facts } => {
            if version != registry_version {
                return Err(Conflict::RegistryChanged);
            }
            Ok((Made::of(facts), Committed::Recorded))
        }
        Command::Note(fact) => Ok((Made::of(vec![fact]), Committed::Recorded)),
        Command::Raise(alert) => Ok(told(alert::raise(layer, alert))),
        Command::Clear(alert) => Ok(told(alert::clear(layer, alert))),
        Command::RemovePayload {
            package,
            at,
            actor,
            decision,
        } => {
            let removal = decide::remove_payload(layer, package, at, actor, decision)?;
            let made = removal.map_or_else(Made::default, |(fact, position)| Made {
                removes: Some(position),
                ..Made::of(vec![fact])
            });
            Ok((made, Committed::Recorded))
        }
    }
}

fn told(fact: Option<Fact>) -> (Made, Committed) {
    // Its position is known once it is written.
    let made = Made::of(fact.into_iter().collect());
    (made, Committed::Alert { position: None })
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
