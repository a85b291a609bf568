//! The exchange as a whole: opening, closing, who calls, and what its parts share.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::Embedded;
use bytes::Bytes;
use ledger::event::{Actor, Attachment, Heartbeat, Started};
use ledger::id::{AgencyId, SystemId};
use ledger::registry::{Registry, System};
use ledger::time::Ms;
use ledger::{Command, CommitError, Committed, Conflict, Fact, Ledger, QueryError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{Attempts, Role};
use crate::alerts::{self, Alerts, Kind, Words};
use crate::depth::Depths;
use crate::keys::{KeyFileError, Sealer};
use crate::lease::Leases;
use crate::limit::Usages;
use crate::refusal::{Name, Refusal};
use crate::relay::{self, Relay};
use crate::rules::Rules;
use crate::types::{Options, Party};

/// Why the exchange cannot be opened; each says what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data folder cannot be made or found.
    #[error("cannot use the data folder {path}")]
    Folder {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] ledger::OpenError),
    /// The key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The standing alerts could not be read.
    #[error("the alerts that stand could not be read; `axis verify` tells where")]
    Alerts(#[source] QueryError),
    /// A calendar cannot be used.
    #[error(transparent)]
    Calendar(#[from] crate::calendar::CalendarError),
    /// The start could not be recorded.
    #[error("the start could not be recorded in the journal")]
    Commit(#[from] CommitError),
    /// Opening was ended from outside.
    #[error("opening was cut off")]
    Cut,
}

/// How a caller shows who it is.
#[derive(Debug, Clone, Copy)]
pub enum Credentials<'a> {
    /// A system's id and its key.
    Key {
        /// The system's id.
        system: &'a str,
        /// The key's text.
        key: &'a str,
    },
    /// A client certificate that TLS has checked: the SHA-256 of its public key (SPKI).
    Certificate {
        /// The hash.
        spki_sha256: [u8; 32],
    },
    /// A system's id, and a proof that only who has its key can give.
    Signed {
        /// The system's id.
        system: &'a str,
        /// The proof.
        proof: &'a dyn Proof,
    },
    /// The login that a broker has checked and put into a message (`user_id`).
    Broker {
        /// The user's name on the broker.
        user: &'a str,
    },
}

/// Something made with a system's key, as the signature of a request is.
pub trait Proof: std::fmt::Debug {
    /// Whether it was made with the key of this text; in constant time.
    fn holds(&self, key: &str) -> bool;
}

/// A system that has shown who it is.
#[derive(Debug, Clone)]
pub struct Peer {
    system: SystemId,
    credential: Credential,
}

#[derive(Clone, PartialEq, Eq)]
enum Credential {
    /// The sealed key: a key's number may come again after it was revoked, its seal never.
    Key(Bytes),
    Pin([u8; 32]),
    /// The broker checked the login; what it names is an `amqp` system.
    Broker,
}

impl Peer {
    /// The system.
    #[must_use]
    pub const fn system(&self) -> &SystemId {
        &self.system
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor {
            system: self.system.to_string(),
            ..Actor::default()
        }
    }

    /// Whether what it showed still stands.
    pub(crate) fn is_valid(&self, registry: &Registry) -> bool {
        registry.system(self.system.as_str()).is_some_and(|system| {
            !system.facts.suspended
                && match &self.credential {
                    Credential::Key(sealed) => system
                        .keys_at(registry.at())
                        .any(|key| key.sealed == *sealed),
                    Credential::Pin(pin) => system
                        .pins_at(registry.at())
                        .any(|p| p.spki_sha256 == pin[..]),
                    Credential::Broker => system.facts.attachment() == Attachment::Amqp,
                }
        })
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(…)",
            Self::Pin(_) => "Pin(…)",
            Self::Broker => "Broker",
        })
    }
}

/// A person who acts: at the admin socket, or over the network by an account. What the role may
/// call is decided at the door.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operator {
    /// The peer's user id at the admin socket.
    pub uid: u32,
    /// The person, as `--by` names them, or as the account does.
    pub person: String,
    /// The account; empty at the admin socket.
    pub account: String,
    /// The role.
    pub role: Role,
}

impl Operator {
    pub(crate) fn actor(&self, why: &str) -> Actor {
        Actor {
            uid: self.account.is_empty().then_some(self.uid),
            account: self.account.clone(),
            person: self.person.clone(),
            why: why.to_owned(),
            ..Actor::default()
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A system: it sees what its agencies sent and received.
    System(Peer),
    /// A person: sees everything, unless the door's table of rights says otherwise.
    Operator(Operator),
}

impl Caller {
    /// Its role.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self {
            Self::System(_) => Role::System,
            Self::Operator(operator) => operator.role,
        }
    }
}

/// The exchange. Clones share it.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) rules: Rules,
    pub(crate) ledger: Ledger,
    pub(crate) sealer: Sealer,
    pub(crate) usages: Usages,
    pub(crate) attempts: Attempts,
    pub(crate) leases: Arc<Leases>,
    pub(crate) relay: Arc<Relay>,
    /// What the bus says of its queues.
    pub(crate) depths: Depths,
    /// Counts batches that became visible, for whoever waits for something new.
    pub(crate) ticks: tokio::sync::watch::Sender<u64>,
    pub(crate) started_at: Ms,
    pub(crate) index_trusted: bool,
    /// The last fetch of each agency since the start.
    pub(crate) last_fetch: Mutex<HashMap<AgencyId, Ms>>,
    pub(crate) alerts: Alerts,
    pub(crate) publishing: crate::publications::Publishing,
    pub(crate) strangers: crate::unknown::Strangers,
    /// Cancelled when the exchange closes.
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Exchange {
    /// Opens the exchange in its data folder; tells `progress` the position reached and the
    /// last one while the journal is read.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        options: Options,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let opening = options.clone();
        let rules = Rules::open(&options.rules)?;
        let opened = tokio::task::spawn_blocking(move || {
            let options = opening;
            let folder = |source| OpenError::Folder {
                path: options.data.clone(),
                source,
            };
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&options.data)
                .map_err(folder)?;
            let mut ledger_options = ledger::Options::new(&options.data);
            ledger_options.node = options.node;
            ledger_options.clock = options.clock.clone();
            ledger_options.anchors = options.anchors.clone();
            ledger_options.disk = Arc::clone(&options.disk);
            ledger_options.journal.segment_size = options.segment_size;
            let (ledger, start) = Ledger::open(ledger_options, &mut progress)?;
            let key_file = options
                .key_file
                .clone()
                .unwrap_or_else(|| beside(&options.data));
            match Sealer::open(&key_file, &ledger.registry()) {
                Ok(sealer) => match Alerts::load(&ledger) {
                    Ok(alerts) => Ok((ledger, start, sealer, alerts)),
                    Err(error) => {
                        ledger.close();
                        Err(OpenError::Alerts(error))
                    }
                },
                Err(error) => {
                    ledger.close();
                    Err(OpenError::Key(error))
                }
            }
        });
        let (ledger, start, sealer, alerts) = opened.await.map_err(|_| OpenError::Cut)??;
        let now = options.clock.now();
        let torn_tail = start
            .torn_tail
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        if !torn_tail.is_empty() {
            tracing::warn!(
                torn_tail,
                "the last batch was torn by the last stop and was cut off; no receipt was given for it"
            );
        }
        let started = Started {
            at_ms: now.0,
            version: options.version.clone(),
            torn_tail,
        };
        ledger.commit(Command::Note(Fact::Started(started))).await?;
        let inner = Arc::new(Inner {
            attempts: Attempts::default(),
            usages: Usages::new(options.limits.clone()),
            leases: Arc::new(Leases::new(options.max_unsettled_leases)),
            relay: Arc::new(Relay::new(
                options
                    .bus
                    .clone()
                    .unwrap_or_else(|| Arc::new(Embedded::default())),
                relay::Settings {
                    window: options.window,
                    settle: options.settle,
                    check: options.check_queues,
                },
            )),
            ledger,
            sealer,
            depths: Depths::default(),
            ticks: tokio::sync::watch::Sender::new(0),
            started_at: now,
            index_trusted: start.index_trusted,
            last_fetch: Mutex::default(),
            publishing: crate::publications::Publishing::default(),
            strangers: crate::unknown::Strangers::default(),
            alerts,
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            rules,
            options,
        });
        let weak = Arc::downgrade(&inner);
        inner.ledger.observe(Box::new(move |visible| {
            if let Some(inner) = weak.upgrade() {
                inner.ticks.send_modify(|ticks| *ticks += 1);
                inner.relay.ready(visible.ready, &inner.ledger.registry());
                if visible.revoked {
                    inner.relay.look_again();
                }
                if visible.rerouted {
                    inner.relay.rerouted();
                }
            }
        }));
        inner.tasks.spawn(heartbeat(Arc::clone(&inner)));
        inner.tasks.spawn(end_leases(Arc::clone(&inner)));
        inner.tasks.spawn(take_effect(Arc::clone(&inner)));
        inner.tasks.spawn(alerts::run(Arc::clone(&inner)));
        inner.tasks.spawn(relay::watch(Arc::clone(&inner)));
        inner.tasks.spawn(crate::dead::bury(Arc::clone(&inner)));
        inner.tasks.spawn(crate::reminders::run(Arc::clone(&inner)));
        inner.tasks.spawn(crate::depth::watch(Arc::clone(&inner)));
        inner.tasks.close();
        Ok(Self { inner })
    }

    /// Ends in good order: streams are cut, leases end, the ledger is closed.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.relay.close().await;
        self.inner.tasks.wait().await;
        let ledger = self.inner.ledger.clone();
        let closed = tokio::task::spawn_blocking(move || ledger.close()).await;
        if closed.is_err() {
            tracing::error!("the ledger could not be closed in good order");
        }
    }

    /// Who shows these credentials.
    ///
    /// # Errors
    /// UNAUTHENTICATED, alike whatever is wrong with them.
    pub fn authenticate(&self, credentials: Credentials<'_>) -> Result<Peer, Refusal> {
        let registry = self.inner.ledger.registry();
        let found = match credentials {
            Credentials::Key { system, key } => registry.system(system).and_then(|system| {
                let id = &system.facts.system;
                let valid = system
                    .keys_at(registry.at())
                    .find(|k| self.inner.sealer.matches(id, &k.sealed, key));
                valid.map(|key| (system, Credential::Key(key.sealed.clone())))
            }),
            Credentials::Signed { system, proof } => registry.system(system).and_then(|system| {
                let id = &system.facts.system;
                let sealer = &self.inner.sealer;
                let valid = system.keys_at(registry.at()).find(|k| {
                    let text = sealer.text(id, &k.sealed);
                    text.is_some_and(|text| proof.holds(&text))
                });
                valid.map(|key| (system, Credential::Key(key.sealed.clone())))
            }),
            Credentials::Certificate { spki_sha256 } => registry
                .pinned(&spki_sha256)
                .map(|system| (system, Credential::Pin(spki_sha256))),
            Credentials::Broker { user } => bus::amqp::system_of(user)
                .and_then(|id| registry.system(&id))
                .filter(|system| system.facts.attachment() == Attachment::Amqp)
                .map(|system| (system, Credential::Broker)),
        };
        let refused = || {
            metrics::counter!("axis_unauthenticated_total").increment(1);
            Refusal::new(Name::Unauthenticated)
        };
        let (system, credential): (&System, Credential) = found.ok_or_else(refused)?;
        if system.facts.suspended {
            return Err(refused());
        }
        let system = system.facts.system.parse().map_err(|_| refused())?;
        Ok(Peer { system, credential })
    }

    /// A message from the bus meant nothing or was not allowed, and is among the dead letters:
    /// operators are told. `subject` is the system or the queue that it came from.
    pub fn junk_came(&self, subject: &str, reason: &Refusal) {
        let row = reason.name.row();
        let told = reason.details.first();
        let detail = Words::new(
            told.map_or(row.vi, |detail| detail.message.as_str()),
            told.map_or(row.en, |detail| detail.message_en.as_str()),
        );
        self.inner.alerts.raise(Kind::BusJunk, subject, detail);
    }

    /// Begins a request of a system that asks by single requests (VXP): its place among those
    /// at once is given back when the turn is dropped.
    ///
    /// # Errors
    /// LIMIT_REACHED, NOT_SERVING.
    pub fn begin_request(&self, peer: &Peer) -> Result<crate::RequestTurn, Refusal> {
        if self.inner.closing.is_cancelled() {
            return Err(Refusal::new(Name::NotServing).retry_after(5_000));
        }
        self.inner.usages.request(peer.system())
    }

    /// Whether the exchange takes packages: not closing, not read-only.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        !self.inner.closing.is_cancelled() && !self.inner.ledger.is_read_only()
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Ms {
        self.options.clock.now()
    }

    pub(crate) async fn commit(&self, command: Command) -> Result<Committed, Refusal> {
        self.ledger
            .commit(command)
            .await
            .map_err(|error| refused_commit(&error))
    }

    /// Asks the ledger something that may read files.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&ledger::Query) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let query = self.ledger.query().clone();
        match tokio::task::spawn_blocking(move || ask(&query)).await {
            Ok(answer) => answer.map_err(|error| refused_query(&error)),
            Err(_) => Err(Refusal::new(Name::Internal)),
        }
    }

    /// Refuses a peer whose key or certificate was revoked since it showed it: calls that last
    /// long must not outlive them.
    pub(crate) fn still_valid(&self, peer: &Peer) -> Result<(), Refusal> {
        if peer.is_valid(&self.ledger.registry()) {
            return Ok(());
        }
        Err(Refusal::new(Name::Unauthenticated).at(
            "axis-key",
            "Khóa hoặc chứng thư của hệ thống đã bị thu hồi.",
            "The system's key or certificate was revoked.",
        ))
    }

    /// Refuses an `amqp` system what only a `direct` one does: taking from the same queues, or
    /// past them.
    pub(crate) fn takes_directly(&self, peer: &Peer) -> Result<(), Refusal> {
        let registry = self.ledger.registry();
        let system = registry.system(peer.system().as_str());
        if system.is_some_and(|system| system.facts.attachment() == Attachment::Amqp) {
            return Err(Refusal::new(Name::PermissionDenied).at(
                "attachment",
                "Hệ thống kiểu amqp nhận từ hàng đợi của mình trên RabbitMQ; nội dung tải bằng Download.",
                "An amqp system receives from its queues on RabbitMQ; the content is had by Download.",
            ));
        }
        Ok(())
    }

    /// Whether an agency is served by the system.
    pub(crate) fn serves(&self, system: &SystemId, agency: AgencyId) -> bool {
        self.ledger.registry().systems_of(agency).contains(system)
    }

    /// When each agency last fetched, since the start.
    pub(crate) fn last_fetches(&self) -> HashMap<AgencyId, Ms> {
        self.last_fetch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether a system may receive for an agency now: it serves it, and nobody has paused that.
    pub(crate) fn may_receive(&self, system: &SystemId, agency: AgencyId) -> bool {
        let registry = self.ledger.registry();
        registry.systems_of(agency).contains(system)
            && registry.pauses().between(system, agency).is_none()
    }

    pub(crate) fn fetched_now(&self, agency: AgencyId, at: Ms) {
        self.last_fetch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(agency, at);
    }
}

pub(crate) fn party(registry: &Registry, agency: AgencyId, code: &str) -> Party {
    let facts = registry.agency(agency);
    let main_code = facts.map_or("", |facts| &*facts.code);
    Party {
        code: if code.is_empty() {
            main_code.to_owned()
        } else {
            code.to_owned()
        },
        main_code: main_code.to_owned(),
        name: facts.map_or("", |facts| &*facts.name).to_owned(),
    }
}

/// `<data folder>.key`, beside the data folder: outside its backups.
fn beside(data: &Path) -> PathBuf {
    let whole = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let mut name = whole.file_name().unwrap_or_default().to_os_string();
    name.push(".key");
    whole.with_file_name(name)
}

/// A heartbeat each minute, so that outages can be told afterwards.
async fn heartbeat(inner: Arc<Inner>) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => {
                inner.record_counted_unknown();
                return;
            }
            _ = minute.tick() => {}
        }
        inner.leases.forget(|delivery, place| {
            let open = inner.ledger.open_deliveries();
            open.get(place)
                .is_some_and(|found| found.id(place) == *delivery)
        });
        inner.record_counted_unknown();
        let fact = Fact::Heartbeat(Heartbeat {
            at_ms: inner.now().0,
        });
        if let Err(error) = inner.ledger.commit(Command::Note(fact)).await {
            tracing::error!(%error, "the heartbeat could not be recorded");
        }
    }
}

/// What was planned becomes true by itself; who is served otherwise from then on, or shows what
/// has ended, is looked at again.
async fn take_effect(inner: Arc<Inner>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut seen = inner.now();
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => return,
            _ = second.tick() => {}
        }
        let registry = inner.ledger.registry();
        let now = registry.at();
        // Also when the clock was set back and comes again to where it was.
        if registry
            .as_of(seen.min(now))
            .next_moment()
            .is_some_and(|next| next <= now)
        {
            tracing::info!("a planned change of the registry took effect");
            inner.relay.look_again();
        }
        seen = now;
    }
}

/// Ends leases whose time is over.
async fn end_leases(inner: Arc<Inner>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut moves = inner.options.clock.moves();
    loop {
        tokio::select! {
            () = inner.closing.cancelled() => return,
            _ = second.tick() => {}
            () = moves.next() => {}
        }
        for place in inner.leases.end_expired(inner.options.clock.steady()) {
            inner.offer_again(&[place]);
        }
    }
}

impl Inner {
    /// Deliveries whose lease ended unsettled are offered again.
    pub(crate) fn offer_again(&self, places: &[ledger::open::Place]) {
        let open = self.ledger.open_deliveries();
        let still: Vec<_> = places
            .iter()
            .filter(|place| {
                open.get(place)
                    .is_some_and(ledger::open::OpenDelivery::is_deliverable)
            })
            .copied()
            .collect();
        drop(open);
        self.relay.ready(&still, &self.ledger.registry());
    }
}

pub(crate) fn refused_commit(error: &CommitError) -> Refusal {
    match error {
        CommitError::Conflict(conflict) => refused_conflict(conflict),
        CommitError::Full => Refusal::new(Name::DiskFull).retry_after(30_000),
        CommitError::Unknown => Refusal::new(Name::OutcomeUnknown).retry_after(5_000),
        CommitError::ReadOnly => Refusal::new(Name::ReadOnly).retry_after(60_000),
        CommitError::Closed => Refusal::new(Name::NotServing).retry_after(5_000),
        CommitError::TooLarge => Refusal::new(Name::TooLarge),
        _ => Refusal::new(Name::Internal),
    }
}

fn refused_conflict(conflict: &Conflict) -> Refusal {
    match conflict {
        Conflict::OtherContent { first, .. } => Refusal::new(Name::Conflict).at(
            "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/DocumentId",
            format!("Gói tin đầu tiên mang mã văn bản này là {first}."),
            format!("The first package with this DocumentId is {first}."),
        ),
        Conflict::DocumentRecalled { by, .. } => Refusal::new(Name::DocumentRecalled).at(
            "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/DocumentId",
            format!("Văn bản đã bị thu hồi bởi gói tin {by}."),
            format!("The document was recalled by package {by}."),
        ),
        Conflict::UnknownDocument { key } => Refusal::new(Name::UnknownDocument).at(
            "edXML/edXMLEnvelope/edXMLHeader/TraceHeaderList/Bussiness/DocumentId",
            format!("Không có văn bản {key:?} nào do cơ quan này gửi qua trục."),
            format!("This sender has sent no document {key:?} through the axis."),
        ),
        Conflict::NotAReceiver { .. } => Refusal::new(Name::NotAReceiver),
        Conflict::WrongState { state } => {
            let word = state
                .as_str_name()
                .trim_start_matches("DELIVERY_STATE_")
                .to_lowercase();
            Refusal::new(Name::WrongState).at(
                "delivery",
                format!("Bản gửi đang ở trạng thái {word}."),
                format!("The delivery is {word}."),
            )
        }
        Conflict::Recalled => Refusal::new(Name::Recalled),
        Conflict::RegistryChanged | Conflict::BytesMissing => {
            Refusal::new(Name::OutcomeUnknown).retry_after(100)
        }
        _ => Refusal::new(Name::NotFound),
    }
}

pub(crate) fn refused_query(error: &QueryError) -> Refusal {
    use journal::ReadError;
    match error {
        QueryError::Read(ReadError::Removed { .. }) => Refusal::new(Name::Removed),
        QueryError::Read(damaged @ (ReadError::PayloadDamaged(_) | ReadError::Damaged(_))) => {
            tracing::error!(error = %damaged, "stored bytes are damaged; run `axis verify`");
            Refusal::new(Name::ContentDamaged)
        }
        other => {
            tracing::error!(error = %other, "a question could not be answered");
            Refusal::new(Name::Internal)
        }
    }
}
