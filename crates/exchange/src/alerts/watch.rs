//! What must be looked for: the task's eyes. A look reads counts that are kept anyway, a few
//! for each receiver and system, never what is counted.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus::amqp::{Cause, Link, LinkState};
use ledger::id::{AgencyId, SystemId};
use ledger::pause::Paused;
use ledger::registry::Registry;
use ledger::tally::{LaneTally, Tally};
use ledger::time::Ms;

use super::{AlertLimits, Kind, Wish, Words};
use crate::admission::hex;
use crate::refusal::Refusal;
use crate::reminders::{Owing, Reminder};
use crate::service::{Inner, party};

/// What is dear and changes slowly is looked at no more often.
const SELDOM: Duration = Duration::from_secs(30);
/// The subject of what is about no system.
const AXIS: &str = "axis";
/// The subject of what is about the broker.
const BUS: &str = "bus";
/// The subject of agencies that no system serves.
const NO_SYSTEM: &str = "-";
/// The looks among which slow syncs are counted, and how many are too many.
const SYNCS: u16 = 0xfff;
const SLOW: u32 = 3;
/// The lanes' words, in serving order.
const LANES: [&str; 4] = ["flash", "urgent", "status", "routine"];
/// Those whose delay is told step by step.
const URGENT: [&str; 2] = ["flash", "urgent"];
/// Statuses without a document that one look reads at most, and for how long they are news.
const UNMATCHED: usize = 10_000;
const UNMATCHED_NEWS: Duration = Duration::from_secs(30 * 86_400);

/// After how long without another an alert of this kind ends by itself; `None` = its
/// condition says when.
pub(super) const fn quiet(kind: Kind, limits: &AlertLimits) -> Option<Duration> {
    match kind {
        Kind::BusJunk | Kind::BusLost => Some(limits.quiet),
        Kind::ClockOff => Some(limits.steady),
        Kind::SecretMark => Some(Duration::from_secs(86_400)),
        _ => None,
    }
}

/// What waits for whom, at one look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// By system; agencies that no system serves are under `None`.
    pub systems: BTreeMap<Option<SystemId>, SystemBacklog>,
    /// All open deliveries by state, each counted once.
    pub states: BTreeMap<&'static str, u64>,
    /// When it was looked; 0 before the first time.
    pub at: Ms,
}

/// What waits for one system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemBacklog {
    /// By lane, in serving order.
    pub lanes: [LaneBacklog; 4],
    /// The same without what a pause keeps back: nobody is to be hurried to fetch that.
    pub offered: [LaneBacklog; 4],
    /// A pause keeps something back.
    pub is_paused: bool,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When one of its agencies last fetched, since the start.
    pub last_fetch: Option<Ms>,
    /// Streams attached; of an `amqp` system its consumers on the broker, as last heard.
    pub streams: u32,
}

/// What waits in one lane of a system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneBacklog {
    /// Deliveries that may be offered.
    pub waiting: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Ms>,
}

impl SystemBacklog {
    /// The oldest that the system could have.
    fn oldest(&self) -> Option<Ms> {
        self.offered.iter().filter_map(|lane| lane.oldest).min()
    }
}

/// What the task remembers between looks.
pub(super) struct Watch {
    limits: AlertLimits,
    /// A restart forgets who fetched.
    started: Ms,
    clock: (Instant, Ms),
    seldom: Option<Instant>,
    /// The last looks that saw a sync, the newest in the lowest bit: whether it was slow.
    syncs: u16,
    /// When a pause was last seen to keep something back from a system: since then nobody could
    /// have fetched it.
    paused: BTreeMap<Option<SystemId>, Ms>,
}

impl Watch {
    pub(super) fn new(inner: &Inner) -> Self {
        Self {
            limits: inner.options.alerts.clone(),
            started: inner.started_at,
            clock: (Instant::now(), inner.now()),
            seldom: None,
            // What stood at the stop ends when it is seen to be over, not by the restart.
            syncs: if inner.alerts.stands(Kind::SyncSlow, AXIS) {
                SYNCS
            } else {
                0
            },
            paused: BTreeMap::new(),
        }
    }

    pub(super) async fn look(&mut self, inner: &Arc<Inner>) -> Vec<Wish> {
        let now = inner.now();
        let mut found = Found::default();
        self.node(inner, &mut found);
        self.clock(inner, &mut found);
        if self
            .seldom
            .is_none_or(|at| at.elapsed() >= SELDOM.min(self.limits.every * 6))
        {
            self.seldom = Some(Instant::now());
            self.disk(inner, &mut found).await;
            self.ends(inner, now, &mut found);
            owed(inner, now, &mut found).await;
        }
        let backlog = count(inner, now);
        self.judge(inner, &backlog, now, &mut found);
        found.quieten(inner, &self.limits, now);
        found.wishes(inner)
    }

    /// What the node says of itself.
    fn node(&mut self, inner: &Inner, found: &mut Found) {
        let read_only = inner.ledger.is_read_only();
        found.axis(
            Kind::ReadOnly,
            read_only
                .then(|| Words::new("Ghi nhật ký đã thất bại.", "Writing the journal failed.")),
        );
        let reserve = inner.ledger.space() == journal::Space::Reserve;
        found.axis(
            Kind::DiskReserve,
            reserve.then(|| Words::new("Chỉ còn phần dự trữ.", "Only the reserve is left.")),
        );
        let lag = inner.ledger.index_lag();
        // It stands until half is written: no flapping at the limit.
        let stands = inner.alerts.stands(Kind::IndexLag, AXIS);
        let limit = if stands {
            self.limits.index_lag / 2
        } else {
            self.limits.index_lag
        };
        found.axis(
            Kind::IndexLag,
            (lag > limit)
                .then(|| Words::new(format!("{lag} dòng đang chờ."), format!("{lag} rows wait."))),
        );
        let sync = inner.ledger.take_slowest_sync();
        if sync > Duration::ZERO {
            self.syncs = self.syncs << 1 | u16::from(sync > self.limits.sync);
        }
        // One slow sync is a hiccup. Several among the last looks are slow; none is over.
        let slow = (self.syncs & SYNCS).count_ones();
        let stands = inner.alerts.stands(Kind::SyncSlow, AXIS);
        let ms = sync.as_millis();
        found.axis(
            Kind::SyncSlow,
            (slow >= SLOW || stands && slow > 0).then(|| {
                Words::new(
                    format!("Lần ghi chậm nhất vừa qua mất {ms} ms."),
                    format!("The slowest sync of late took {ms} ms."),
                )
            }),
        );
    }

    /// The wall clock against the time that passed.
    fn clock(&mut self, inner: &Inner, found: &mut Found) {
        let (was, wall) = std::mem::replace(&mut self.clock, (Instant::now(), inner.now()));
        let off = jump(wall, self.clock.1, self.clock.0 - was);
        if inner.options.clock.passes()
            && off.unsigned_abs() > as_ms(self.limits.clock).unsigned_abs()
        {
            let detail = Words::new(
                format!("Đồng hồ nhảy {off} ms."),
                format!("The clock jumped by {off} ms."),
            );
            found.raise(Kind::ClockOff, AXIS, detail);
        }
    }

    /// Free space; it asks the file system, which may take its time.
    async fn disk(&self, inner: &Inner, found: &mut Found) {
        let data = inner.options.data.clone();
        let free = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&data)).await;
        let Ok(Ok(of)) = free else { return };
        let percent = of.f_bavail.saturating_mul(100) / of.f_blocks.max(1);
        let limit = u64::from(self.limits.disk_free_percent);
        let stands = inner.alerts.stands(Kind::DiskFilling, AXIS);
        let filling = percent < limit + u64::from(stands && limit > 0);
        // Tenths of a GiB.
        let gib = of.f_bavail.saturating_mul(of.f_frsize) / ((1 << 30) / 10);
        let gib = format!("{}.{} GiB", gib / 10, gib % 10);
        found.axis(
            Kind::DiskFilling,
            filling.then(|| {
                Words::new(
                    format!("Còn trống {percent} % ({gib})."),
                    format!("{percent} % free ({gib})."),
                )
            }),
        );
    }

    /// Certificates of the listeners, and systems' keys and pinned certificates, that end soon.
    fn ends(&self, inner: &Inner, now: Ms, found: &mut Found) {
        let soon = Ms(now.0 + as_ms(self.limits.ending));
        if let Some(watched) = inner.alerts.certificates() {
            let ending = watched.into_iter().filter(|(_, end)| *end < soon);
            found.all(
                Kind::CertificateEnding,
                ending.map(|(file, end)| (file, ends(end))),
            );
        }
        let registry = inner.ledger.registry();
        let mut ending = Vec::new();
        for system in registry.systems().filter(|system| !system.facts.suspended) {
            let id = &system.facts.system;
            let keys = system.keys.iter();
            let keys = keys.map(|key| (key.key_id.to_string(), key.not_after_ms));
            let pins = system.pins.iter().map(|pin| {
                let hash = hex(&pin.spki_sha256);
                let begin = hash.get(..12).unwrap_or(&hash);
                (format!("cert-{begin}"), pin.not_after_ms)
            });
            for credentials in [keys.collect::<Vec<_>>(), pins.collect()] {
                let soon = |end: Option<i64>| end.map(Ms).filter(|end| *end < soon);
                // One that lasts takes over from those that end: they are being changed.
                if credentials.iter().any(|(_, end)| soon(*end).is_none()) {
                    continue;
                }
                ending.extend(credentials.into_iter().filter_map(|(name, end)| {
                    soon(end).map(|end| (format!("{id}/{name}"), ends(end)))
                }));
            }
        }
        found.all(Kind::KeyEnding, ending);
    }

    /// What waits too long, is left alone, or was given up. A pause is on purpose: what it
    /// keeps back hurries nobody, and when it is over nobody was away meanwhile.
    fn judge(&mut self, inner: &Inner, round: &Backlog, now: Ms, found: &mut Found) {
        let (mut old, mut unattended, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        let mut escalated = Vec::new();
        self.paused
            .retain(|system, _| round.systems.contains_key(system));
        for (system, backlog) in &round.systems {
            if backlog.is_paused {
                self.paused.insert(system.clone(), now);
            }
            let name = system.as_ref().map_or(NO_SYSTEM, SystemId::as_str);
            for ((lane, word), limit) in backlog.offered.iter().zip(LANES).zip(self.limits.oldest) {
                let Some(oldest) = lane.oldest else { continue };
                let waiting = lane.waiting;
                let said = || {
                    Words::new(
                        format!("{waiting} văn bản chờ, cũ nhất từ {}.", oldest.told()),
                        format!("{waiting} wait, the oldest since {}.", oldest.told()),
                    )
                };
                if now.0 - oldest.0 > as_ms(limit) {
                    old.push((format!("{name}/{word}"), said()));
                }
                // The limit itself is the first step.
                for (step, times) in (2..).zip(&self.limits.escalate) {
                    let over = now.0 - oldest.0 > as_ms(limit.saturating_mul(*times));
                    if over && URGENT.contains(&word) {
                        escalated.push((format!("{name}/{word}/{step}"), said()));
                    }
                }
            }
            let limit = as_ms(self.limits.unattended);
            if let Some(oldest) = backlog.oldest() {
                // Nobody is known to be away before it was watched for so long; who was known
                // to be away before a restart still is.
                let stands = inner.alerts.stands(Kind::QueueUnattended, name);
                let started = (!stands).then_some(self.started);
                let paused = self.paused.get(system).copied();
                let since = [started, backlog.last_fetch, Some(oldest), paused];
                let since = since.into_iter().flatten().max().unwrap_or(now);
                if backlog.streams == 0 && now.0 - since.0 > limit {
                    unattended.push((name.to_owned(), left_alone(name, oldest)));
                }
            }
            if backlog.dead > 0 {
                let count = backlog.dead;
                let detail = Words::new(
                    format!("{count} bản gửi đã dừng giao."),
                    format!("{count} dead deliveries."),
                );
                dead.push((name.to_owned(), detail));
            }
        }
        found.all(Kind::OldestAge, old);
        found.all(Kind::Escalated, escalated);
        found.all(Kind::QueueUnattended, unattended);
        found.all(Kind::DeadLetters, dead);
    }
}

/// What receivers owe.
async fn owed(inner: &Inner, now: Ms, found: &mut Found) {
    let late = inner.unfetched(now).into_iter().map(|late| {
        let (count, since) = (late.count, late.since.iso());
        let detail = Words::new(
            format!(
                "{}: {count} gói tin chờ, cũ nhất từ {since}.",
                late.agency.name
            ),
            format!(
                "{}: {count} wait, the oldest since {since}.",
                late.agency.name
            ),
        );
        (late.agency.main_code, detail)
    });
    found.all(Kind::Unfetched, late);
    // What cannot be read now is judged at the next look.
    if let Ok(unanswered) = inner.unanswered(now).await {
        found.all(Kind::RecallUnanswered, by_package(unanswered));
    }
    if let Ok(unmatched) = unmatched(inner, now).await {
        found.all(Kind::StatusUnmatched, unmatched);
    }
    if let Ok(mut due) = inner.due(now).await {
        due.retain(|due| due.owing == Owing::DueSoon);
        found.all(Kind::DueSoon, by_package(due));
    }
}

/// Agencies that were told of the state of documents that have not come.
async fn unmatched(
    inner: &Inner,
    now: Ms,
) -> Result<impl Iterator<Item = (String, Words<String>)>, Refusal> {
    let waiting = inner.ask(|query| query.unmatched(&[], UNMATCHED)).await?;
    let limit = as_ms(inner.options.alerts.unmatched);
    let mut agencies: BTreeMap<AgencyId, (u64, Ms)> = BTreeMap::new();
    for (status, _) in waiting {
        let age = now.0 - status.at.0;
        if age > limit && age <= as_ms(UNMATCHED_NEWS) {
            let first = (0, status.at);
            let (count, oldest) = agencies.entry(status.document_sender).or_insert(first);
            *count += 1;
            *oldest = status.at.min(*oldest);
        }
    }
    let registry = inner.ledger.registry();
    Ok(agencies.into_iter().map(move |(agency, (count, oldest))| {
        let (code, since) = (party(&registry, agency, "").main_code, oldest.iso());
        let detail = Words::new(
            format!("{count} trạng thái, cũ nhất từ {since}."),
            format!("{count} statuses, the oldest since {since}."),
        );
        (code, detail)
    }))
}

/// One subject a package, whoever owes it.
fn by_package(reminders: Vec<Reminder>) -> impl Iterator<Item = (String, Words<String>)> {
    let mut packages: BTreeMap<String, (Reminder, Vec<String>)> = BTreeMap::new();
    for reminder in reminders {
        let Some(package) = reminder.package else {
            continue;
        };
        let code = reminder.agency.main_code.clone();
        let (_, who) = packages
            .entry(package.to_string())
            .or_insert_with(|| (reminder, Vec::new()));
        who.push(code);
    }
    packages.into_iter().map(|(package, (first, who))| {
        let (at, who) = (first.since.iso(), who.join(", "));
        let id = first.document_id;
        let detail = match first.owing {
            Owing::DueSoon => Words::new(
                format!("Văn bản {id} đến giờ lúc {at}; chưa nhận xong: {who}."),
                format!("The document {id} is due at {at}; not settled by {who}."),
            ),
            _ => Words::new(
                format!("Văn bản {id} thu hồi từ {at}; chưa trả lời: {who}."),
                format!("The document {id} was asked back at {at}; no answer from {who}."),
            ),
        };
        (package, detail)
    })
}

/// Resolves when the way to the broker has changed; never with queues in memory.
pub(super) async fn moved(link: &mut Option<tokio::sync::watch::Receiver<Link>>) {
    let is_news = match link {
        Some(link) => link.changed().await.is_ok(),
        None => false,
    };
    if !is_news {
        std::future::pending::<()>().await;
    }
}

/// What was seen of the way to the broker. It may change twice between two looks, and one fault
/// may come in steps: a vhost that is deleted takes its queues first and then the connection,
/// and is not whole again at once when it comes back.
#[derive(Debug, Default)]
pub(super) struct LinkSeen {
    generation: u64,
    deleted: Arc<BTreeMap<String, u64>>,
    /// Since when the broker has been there.
    up: Option<Instant>,
    /// Queues that were found gone, and when: told if the connection outlives them.
    gone: BTreeMap<String, Instant>,
}

/// What the way to the broker says now.
pub(super) fn bus(
    inner: &Inner,
    link: Option<&mut tokio::sync::watch::Receiver<Link>>,
    seen: &mut LinkSeen,
) -> Vec<Wish> {
    let Some(link) = link.map(|link| link.borrow_and_update().clone()) else {
        return Vec::new();
    };
    let mut found = Found::default();
    let steady = inner.options.alerts.bus_steady;
    let before = std::mem::replace(&mut seen.generation, link.generation);
    let is_new = before > 0 && link.generation > before;
    let deleted = std::mem::replace(&mut seen.deleted, Arc::clone(&link.deleted));
    for (name, times) in link.deleted.iter() {
        if deleted.get(name) != Some(times) {
            seen.gone.insert(name.clone(), Instant::now());
        }
    }
    let (cause, blocked) = match &link.state {
        // It is closed with the axis, or has not been tried yet: neither is news.
        LinkState::Away {
            cause: Cause::Starting | Cause::Closed,
        } => return Vec::new(),
        LinkState::Away { cause } => (Some(cause.to_string()), None),
        LinkState::Blocked { reason } => (None, Some(reason.clone())),
        _ => (None, None),
    };
    if is_new || cause.is_some() {
        // They went with the connection: it is that which is told.
        seen.gone.clear();
        seen.up = None;
    }
    if cause.is_none() {
        let up = *seen.up.get_or_insert_with(Instant::now);
        if is_new && !inner.alerts.stands(Kind::BusAway, BUS) {
            // Another connection, and nobody saw the end of the one before: it is one incident
            // all the same.
            let said = "the connection to the broker was lost, and is made again";
            let (subject, detail) = told_of_bus(said.to_owned());
            found.raise(Kind::BusAway, &subject, detail);
        } else if up.elapsed() >= steady {
            found.all(Kind::BusAway, None);
        }
        // What an absent broker would say of these is not known.
        found.all(Kind::BusBlocked, blocked.map(told_of_bus));
        let faults = link.faults.iter();
        found.all(
            Kind::BusFault,
            faults.map(|(name, reason)| (name.clone(), Words::new(reason, reason))),
        );
        let outlived = inner.options.alerts.bus_outlived;
        let lasting = seen.gone.extract_if(.., |_, at| at.elapsed() >= outlived);
        for (name, _) in lasting {
            found.raise(Kind::BusLost, &name, lost());
        }
    } else {
        found.all(Kind::BusAway, cause.map(told_of_bus));
    }
    found.wishes(inner)
}

/// What the broker said of itself, about the bus.
fn told_of_bus(reason: String) -> (String, Words<String>) {
    let vi = format!("Broker báo: {reason}");
    (BUS.to_owned(), Words::new(vi, reason))
}

/// Of a queue that was deleted under the axis.
fn lost() -> Words<String> {
    Words::new(
        "Hàng đợi đã bị xóa trên broker; trục đã tạo lại và gửi lại những gì nằm trong đó.",
        "The queue was deleted at the broker; the axis has made it anew and publishes again what lay in it.",
    )
}

/// What waits for whom, from the ledger's own counts.
pub(super) fn count(inner: &Inner, now: Ms) -> Backlog {
    let registry = inner.ledger.registry();
    let mut backlog = Backlog {
        at: now,
        ..Backlog::default()
    };
    {
        // Commits wait for the guard: a few counts of each receiver are read under it.
        let open = inner.ledger.open_deliveries();
        for (receiver, tally) in open.tallies().iter() {
            backlog.add(&registry, receiver, tally);
        }
    }
    let last_fetch = inner.last_fetches();
    for (system, backlog) in &mut backlog.systems {
        let Some(system) = system else { continue };
        backlog.streams = inner.consumers(system).0;
        let agencies = registry.served_by(system);
        backlog.last_fetch = agencies.filter_map(|a| last_fetch.get(&a).copied()).max();
    }
    backlog
}

fn left_alone(system: &str, oldest: Ms) -> Words<String> {
    let since = oldest.told();
    if system == NO_SYSTEM {
        return Words::new(
            format!(
                "Có văn bản chờ từ {since} cho cơ quan chưa có hệ thống kết nối nào: `axis queues --by agency` cho biết cơ quan nào, `axis system add` thêm hệ thống."
            ),
            format!(
                "Deliveries wait since {since} for agencies that no system serves: `axis queues --by agency` tells which, `axis system add` adds one."
            ),
        );
    }
    Words::new(
        format!("Có văn bản chờ từ {since}; không có luồng nhận."),
        format!("Deliveries wait since {since}; no stream is attached."),
    )
}

fn ends(not_after: Ms) -> Words<String> {
    Words::new(
        format!("Hết hạn {}.", not_after.told()),
        format!("Ends {}.", not_after.told()),
    )
}

/// How far the wall clock moved more than the time that passed, in milliseconds.
fn jump(before: Ms, now: Ms, passed: Duration) -> i64 {
    now.0 - before.0 - as_ms(passed)
}

fn as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Backlog {
    fn add(&mut self, registry: &Registry, receiver: AgencyId, tally: &Tally) {
        for lane in tally {
            for (state, count) in [
                ("held", lane.held),
                ("pending", lane.pending),
                ("fetched", lane.fetched),
                ("forwarding", lane.forwarding),
                ("dead", lane.dead),
            ] {
                *self.states.entry(state).or_default() += count;
            }
        }
        if tally.iter().all(|lane| lane.open() == 0) {
            return;
        }
        let pauses = registry.pauses();
        let systems = registry.systems_of(receiver);
        if systems.is_empty() {
            let paused = pauses.of(&Paused::Agency(receiver)).is_some();
            self.systems.entry(None).or_default().add(tally, paused);
        }
        for system in systems {
            let paused = pauses.between(system, receiver).is_some();
            let backlog = self.systems.entry(Some(system.clone())).or_default();
            backlog.add(tally, paused);
        }
    }
}

impl SystemBacklog {
    fn add(&mut self, tally: &Tally, paused: bool) {
        for (at, lane) in tally.iter().enumerate() {
            self.dead += lane.dead;
            self.lanes[at].add(lane);
            if !paused {
                self.offered[at].add(lane);
            } else if lane.waiting > 0 {
                self.is_paused = true;
            }
        }
    }
}

impl LaneBacklog {
    fn add(&mut self, of: &LaneTally) {
        self.waiting += of.waiting;
        self.oldest = [self.oldest, of.oldest()].into_iter().flatten().min();
    }
}

/// What a look found: of each kind that was looked for, the subjects it holds of.
#[derive(Default)]
struct Found {
    raised: Vec<(Kind, String, Words<String>)>,
    cleared: Vec<(Kind, String)>,
    /// Kinds whose every subject was looked at: those not raised are cleared.
    whole: Vec<Kind>,
}

impl Found {
    fn raise(&mut self, kind: Kind, subject: &str, detail: Words<String>) {
        self.raised.push((kind, subject.to_owned(), detail));
    }

    /// Of a kind with one subject.
    fn axis(&mut self, kind: Kind, holds: Option<Words<String>>) {
        self.all(kind, holds.map(|detail| (AXIS.to_owned(), detail)));
    }

    fn all(&mut self, kind: Kind, holds: impl IntoIterator<Item = (String, Words<String>)>) {
        self.whole.push(kind);
        self.raised.extend(
            holds
                .into_iter()
                .map(|(subject, detail)| (kind, subject, detail)),
        );
    }

    /// Ends what was not seen for long enough.
    fn quieten(&mut self, inner: &Inner, limits: &AlertLimits, now: Ms) {
        for kind in Kind::ALL {
            let Some(quiet) = quiet(*kind, limits) else {
                continue;
            };
            for subject in inner.alerts.subjects(*kind) {
                let seen = inner.alerts.last_seen(*kind, &subject, now);
                let again = self
                    .raised
                    .iter()
                    .any(|(k, s, _)| k == kind && *s == subject);
                if !again && now.0 - seen.0 > as_ms(quiet) {
                    self.cleared.push((*kind, subject));
                }
            }
        }
    }

    fn wishes(self, inner: &Inner) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let raised: HashSet<(Kind, &str)> = self
            .raised
            .iter()
            .map(|(kind, subject, _)| (*kind, subject.as_str()))
            .collect();
        for kind in self.whole {
            for subject in inner.alerts.subjects(kind) {
                if !raised.contains(&(kind, subject.as_str())) {
                    wishes.push(Wish::Clear(kind, subject));
                }
            }
        }
        wishes.extend(
            self.cleared
                .into_iter()
                .map(|(kind, subject)| Wish::Clear(kind, subject)),
        );
        let raised = self.raised.into_iter();
        wishes.extend(raised.map(|(kind, subject, detail)| Wish::Raise(kind, subject, detail)));
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_clock_is_told_from_time_that_passes() {
        let second = Duration::from_secs(1);
        assert_eq!(jump(Ms(10_000), Ms(11_000), second), 0);
        assert_eq!(jump(Ms(10_000), Ms(71_000), second), 60_000);
        assert_eq!(jump(Ms(10_000), Ms(1_000), second), -10_000);
    }
}
