//! Alerts: what an operator must know, raised once and cleared once.
//!
//! Whoever finds something at once (damaged content, junk on the bus) calls
//! [`Alerts::raise`]; what must be looked for is looked for by one task ([`watch`]) every few
//! seconds, with bounded work. Both go through that task to the ledger, which decides whether
//! an alert is new. An alert that the ledger cannot take (it is read-only) stands in memory
//! and is told all the same.

mod kind;
mod limits;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::event::{AlertCleared, AlertRaised, AlertTold};
use ledger::id::PackageId;
use ledger::time::Ms;
use ledger::{Command, Committed, Fact, Ledger, QueryError};

pub use kind::{Kind, Severity, Told, Words};
pub use limits::AlertLimits;
pub use watch::{Backlog, LaneBacklog, SystemBacklog};

use crate::history::{cursor, page_size};
use crate::refusal::Refusal;
use crate::service::{Exchange, Inner};

/// Raisings and clearings that may wait for the task.
const WAITING: usize = 1_024;
/// Cleared alerts whose notice may be owed, at most.
const ENDED: usize = 1_024;
/// How far back a start looks for notices that are owed.
const LOOK_BACK: usize = 256;
/// Bytes of a subject and of a detail in one language, at most.
const SUBJECT: usize = 200;
const DETAIL: usize = 1_000;

/// An alert, standing or cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The kind's name; [`Kind::of_name`] tells what it means, unless a newer build wrote it.
    pub kind: String,
    /// What it is about, as [`Told::subject`] says.
    pub subject: String,
    /// What was found.
    pub detail: Words<String>,
    /// When it was raised.
    pub raised_at: Ms,
    /// When it was cleared; `None` while it stands.
    pub cleared_at: Option<Ms>,
    /// When a notice of its raising went out.
    pub told_at: Option<Ms>,
    /// When a notice of its clearing went out.
    pub told_cleared_at: Option<Ms>,
    /// Its place in the journal; `None` if it could not be recorded and stands in memory only.
    pub at: Option<(u64, u32)>,
}

impl Alert {
    /// How bad it is; an unknown kind is a warning.
    #[must_use]
    pub fn severity(&self) -> Severity {
        Kind::of_name(&self.kind).map_or(Severity::Warning, |kind| kind.told().severity)
    }

    fn of(alert: ledger::alert::Alert) -> Self {
        let AlertRaised {
            kind,
            subject,
            at_ms,
            detail,
            detail_en,
        } = alert.raised;
        Self {
            kind,
            subject,
            detail: Words {
                vi: detail,
                en: detail_en,
            },
            raised_at: Ms(at_ms),
            cleared_at: alert.cleared_at,
            told_at: alert.told_raised_at,
            told_cleared_at: alert.told_cleared_at,
            at: Some(alert.at),
        }
    }
}

/// A page of the history of alerts, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertPage {
    /// Standing and cleared ones.
    pub alerts: Vec<Alert>,
    /// The token of the next page; empty behind the last one.
    pub next: String,
}

#[derive(Debug)]
enum Wish {
    Raise(Kind, String, Words<String>),
    Clear(Kind, String),
}

#[derive(Debug, Default)]
struct Board {
    standing: BTreeMap<(String, String), Alert>,
    /// Cleared, and whoever was told of the raising is owed the good news.
    ended: VecDeque<Alert>,
    /// When an alert that ends by itself was last raised anew.
    seen: BTreeMap<(String, String), Ms>,
    /// Ends of certificates, by file; `None` until they are known.
    certificates: Option<BTreeMap<String, Ms>>,
}

/// The board of alerts: in memory what stands, in the ledger the truth.
#[derive(Debug)]
pub(crate) struct Alerts {
    wishes: tokio::sync::mpsc::Sender<Wish>,
    /// Taken by the task.
    waiting: Mutex<Option<tokio::sync::mpsc::Receiver<Wish>>>,
    board: Mutex<Board>,
    changed: tokio::sync::watch::Sender<u64>,
}

impl Alerts {
    /// With what stands in the ledger, and the notices still owed.
    pub(crate) fn load(ledger: &Ledger) -> Result<Self, QueryError> {
        let query = ledger.query();
        let mut board = Board::default();
        for alert in query.standing_alerts()? {
            let alert = Alert::of(alert);
            let key = (alert.kind.clone(), alert.subject.clone());
            board.standing.insert(key, alert);
        }
        for alert in query.alerts(&[], LOOK_BACK)?.into_iter().map(Alert::of) {
            if alert.cleared_at.is_some()
                && alert.told_at.is_some()
                && alert.told_cleared_at.is_none()
            {
                board.ended.push_front(alert);
            }
        }
        let (wishes, waiting) = tokio::sync::mpsc::channel(WAITING);
        Ok(Self {
            wishes,
            waiting: Mutex::new(Some(waiting)),
            board: Mutex::new(board),
            changed: tokio::sync::watch::Sender::new(0),
        })
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises an alert, unless it stands. Never waits.
    pub(crate) fn raise(&self, kind: Kind, subject: &str, detail: Words<String>) {
        self.wish(Wish::Raise(kind, cut(subject, SUBJECT), detail));
    }

    /// Clears an alert, if it stands. Never waits.
    pub(crate) fn clear(&self, kind: Kind, subject: &str) {
        self.wish(Wish::Clear(kind, cut(subject, SUBJECT)));
    }

    fn wish(&self, wish: Wish) {
        if let Err(refused) = self.wishes.try_send(wish) {
            let wish = refused.into_inner();
            tracing::error!(?wish, "too many alerts at once: this one is only logged");
        }
    }

    fn any(&self, kind: Kind) -> bool {
        let board = self.board();
        board.standing.keys().any(|(name, _)| name == kind.name())
    }

    fn stands(&self, kind: Kind, subject: &str) -> bool {
        let key = (kind.name().to_owned(), subject.to_owned());
        self.board().standing.contains_key(&key)
    }

    /// What stands, the worst and oldest first.
    pub(crate) fn standing(&self) -> Vec<Alert> {
        let mut alerts: Vec<_> = self.board().standing.values().cloned().collect();
        alerts.sort_by_key(|alert| (alert.severity(), alert.raised_at));
        alerts
    }

    /// When an alert that ends by itself was last raised anew; after a restart, now.
    fn last_seen(&self, kind: Kind, subject: &str, now: Ms) -> Ms {
        let key = (kind.name().to_owned(), subject.to_owned());
        *self.board().seen.entry(key).or_insert(now)
    }

    /// Stored content of a package was read: whole, or not as its hash says.
    pub(crate) fn read(&self, package: PackageId, whole: bool) {
        if !whole {
            let detail = Words::new(
                "Nội dung đọc từ đĩa không khớp mã băm SHA-256; không giao.",
                "Content read from disk does not match its SHA-256; it is not delivered.",
            );
            self.raise(Kind::ContentDamaged, &package.to_string(), detail);
        } else if self.any(Kind::ContentDamaged) {
            self.clear(Kind::ContentDamaged, &package.to_string());
        }
    }

    fn subjects(&self, kind: Kind) -> Vec<String> {
        let board = self.board();
        let of_kind = board
            .standing
            .keys()
            .filter(|(name, _)| name == kind.name());
        of_kind.map(|(_, subject)| subject.clone()).collect()
    }

    fn certificates(&self) -> Option<BTreeMap<String, Ms>> {
        self.board().certificates.clone()
    }

    fn bump(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// The task: wishes as they come, and a look around every few seconds.
pub(crate) async fn run(inner: Arc<Inner>) {
    let waiting = inner
        .alerts
        .waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let Some(mut waiting) = waiting else { return };
    let mut watch = watch::Watch::new(&inner);
    let mut look = tokio::time::interval(inner.options.alerts.every);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut link = inner.relay.bus().link();
    let mut seen = watch::LinkSeen::default();
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => break,
            () = watch::moved(&mut link) => {
                for wish in watch::bus(&inner, link.as_mut(), &mut seen) {
                    inner.fulfil(wish).await;
                }
            }
            wish = waiting.recv() => match wish {
                Some(wish) => inner.fulfil(wish).await,
                None => break,
            },
            _ = look.tick() => {
                for wish in watch::bus(&inner, link.as_mut(), &mut seen) {
                    inner.fulfil(wish).await;
                }
                for wish in watch.look(&inner).await {
                    inner.fulfil(wish).await;
                }
                inner.record_late().await;
            }
        }
    }
    // What was found before the stop is recorded; what is found after it, by the next start.
    while let Ok(wish) = waiting.try_recv() {
        inner.fulfil(wish).await;
    }
}

impl Inner {
    async fn fulfil(&self, wish: Wish) {
        match wish {
            Wish::Raise(kind, subject, detail) => self.raise(kind, subject, detail).await,
            Wish::Clear(kind, subject) => self.clear(kind.name(), subject).await,
        }
    }

    async fn raise(&self, kind: Kind, subject: String, detail: Words<String>) {
        let now = self.now();
        let key = (kind.name().to_owned(), subject);
        {
            let mut board = self.alerts.board();
            if watch::quiet(kind, &self.options.alerts).is_some() {
                board.seen.insert(key.clone(), now);
            }
            if board.standing.contains_key(&key) {
                return;
            }
        }
        let mut alert = Alert {
            kind: key.0.clone(),
            subject: key.1.clone(),
            detail: Words {
                vi: cut(&detail.vi, DETAIL),
                en: cut(&detail.en, DETAIL),
            },
            raised_at: now,
            cleared_at: None,
            told_at: None,
            told_cleared_at: None,
            at: None,
        };
        self.record(&mut alert).await;
        tracing::info!(
            kind = alert.kind,
            subject = alert.subject,
            detail = alert.detail.en,
            "an alert was raised: {}",
            kind.told().title.en
        );
        self.alerts.board().standing.insert(key, alert);
        self.alerts.bump();
    }

    async fn record(&self, alert: &mut Alert) {
        let raised = AlertRaised {
            kind: alert.kind.clone(),
            subject: alert.subject.clone(),
            at_ms: alert.raised_at.0,
            detail: alert.detail.vi.clone(),
            detail_en: alert.detail.en.clone(),
        };
        match self.ledger.commit(Command::Raise(raised)).await {
            Ok(Committed::Alert { position }) => alert.at = position.map(|position| (position, 0)),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, kind = alert.kind, "an alert could not be recorded; it stands in memory only");
            }
        }
    }

    /// Alerts that could not be recorded when they were raised, once it is possible again.
    async fn record_late(&self) {
        if self.ledger.is_read_only() {
            return;
        }
        let late: Vec<Alert> = {
            let board = self.alerts.board();
            let unrecorded = board.standing.values().filter(|alert| alert.at.is_none());
            unrecorded.cloned().collect()
        };
        for mut alert in late {
            self.record(&mut alert).await;
            let key = (alert.kind.clone(), alert.subject.clone());
            self.alerts.board().standing.insert(key, alert);
        }
    }

    async fn clear(&self, kind: &str, subject: String) {
        let key = (kind.to_owned(), subject);
        let Some(mut alert) = self.alerts.board().standing.get(&key).cloned() else {
            return;
        };
        let now = self.now();
        if alert.at.is_some() {
            let cleared = AlertCleared {
                kind: key.0.clone(),
                subject: key.1.clone(),
                at_ms: now.0,
            };
            if let Err(error) = self.ledger.commit(Command::Clear(cleared)).await {
                // It stands until its end can be recorded.
                return tracing::warn!(%error, kind, "the end of an alert could not be recorded");
            }
        }
        tracing::info!(kind, subject = alert.subject, "an alert was cleared");
        alert.cleared_at = Some(now);
        {
            let mut board = self.alerts.board();
            board.standing.remove(&key);
            board.seen.remove(&key);
            if alert.told_at.is_some() {
                board.ended.push_back(alert);
                if board.ended.len() > ENDED {
                    board.ended.pop_front();
                }
            }
        }
        self.alerts.bump();
    }
}

impl Exchange {
    /// Raises an alert, unless that kind and subject stands. Never waits.
    pub fn raise_alert(&self, kind: Kind, subject: &str, detail: Words<String>) {
        self.inner.alerts.raise(kind, subject, detail);
    }

    /// Clears an alert, if it stands. Never waits.
    pub fn clear_alert(&self, kind: Kind, subject: &str) {
        self.inner.alerts.clear(kind, subject);
    }

    /// The alerts that stand, the worst and oldest first; also those that could not be
    /// recorded.
    #[must_use]
    pub fn standing_alerts(&self) -> Vec<Alert> {
        self.inner.alerts.standing()
    }

    /// The history of alerts, standing and cleared, the newest first: a page of at most
    /// `size` (0 = 100, at most 1,000), from where the page before ended.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a token that no page gave; INTERNAL if the ledger cannot be read.
    pub async fn alert_history(&self, token: &str, size: u32) -> Result<AlertPage, Refusal> {
        let cursor = cursor(token)?;
        let limit = page_size(size);
        let found = self
            .inner
            .ask(move |query| query.alerts(&cursor, limit))
            .await?;
        let next = match found.last() {
            Some(last) if found.len() == limit => URL_SAFE_NO_PAD.encode(&last.cursor),
            _ => String::new(),
        };
        Ok(AlertPage {
            alerts: found.into_iter().map(Alert::of).collect(),
            next,
        })
    }

    /// Says when the listeners' certificates end, by file: all of them, and again whenever one
    /// was renewed. Until it is said for the first time, nothing is judged of them.
    pub fn watch_certificates(&self, ends: BTreeMap<String, Ms>) {
        let ends = ends
            .into_iter()
            .map(|(file, end)| (cut(&file, SUBJECT), end));
        self.inner.alerts.board().certificates = Some(ends.collect());
    }

    /// The ends of the certificates that are watched, by file.
    #[must_use]
    pub fn watched_certificates(&self) -> BTreeMap<String, Ms> {
        self.inner.alerts.certificates().unwrap_or_default()
    }

    /// What waits for whom, from counts that are kept anyway.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        watch::count(&self.inner, self.inner.now())
    }

    /// Changes whenever an alert was raised or cleared.
    #[must_use]
    pub fn alert_changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.inner.alerts.changed.subscribe()
    }

    /// Alerts of which nobody was told: standing ones, and cleared ones whose raising was told.
    #[must_use]
    pub fn untold_alerts(&self) -> Vec<Alert> {
        let board = self.inner.alerts.board();
        let standing = board.standing.values().filter(|a| a.told_at.is_none());
        standing.chain(&board.ended).cloned().collect()
    }

    /// A notice of this alert, as [`Exchange::untold_alerts`] gave it, went out: recorded, so
    /// that a restart does not send it again.
    pub async fn alert_told(&self, alert: &Alert) {
        let now = self.inner.now();
        let key = (alert.kind.clone(), alert.subject.clone());
        let cleared = alert.cleared_at.is_some();
        {
            let mut board = self.inner.alerts.board();
            if cleared {
                board.ended.retain(|ended| {
                    ended.at != alert.at
                        || ended.at.is_none()
                            && (ended.kind != alert.kind || ended.subject != alert.subject)
                });
            } else if let Some(standing) = board.standing.get_mut(&key)
                && standing.raised_at == alert.raised_at
            {
                standing.told_at = Some(now);
            } else if alert.cleared_at.is_none() {
                // It was cleared while the notice went out: the end is owed.
                let mut ended = alert.clone();
                ended.told_at = Some(now);
                ended.cleared_at = Some(now);
                board.ended.push_back(ended);
            }
        }
        self.inner.alerts.bump();
        let Some((position, fact)) = alert.at else {
            return;
        };
        let told = AlertTold {
            kind: key.0,
            subject: key.1,
            position,
            fact,
            cleared,
            at_ms: now.0,
        };
        if let Err(error) = self
            .inner
            .ledger
            .commit(Command::Note(Fact::AlertTold(told)))
            .await
        {
            tracing::warn!(%error, "a notice could not be recorded; it may go out again after a restart");
        }
    }
}
