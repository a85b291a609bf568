//! Receiving: what is offered, its content, and how it is settled.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use journal::{PayloadReader, ReadError};
use ledger::event::{Actor, PackageKind};
use ledger::id::{AgencyId, DeliveryId, PackageId, SystemId};
use ledger::open::{OpenDelivery, Place};
use ledger::rows::DeliveryRow;
use ledger::time::Ms;
use ledger::{AtHand, Change, ChangeDelivery, Command, Committed, PackageBytes, StoredPackage};

use crate::admission::hex;
use crate::lease::{End, Holder};
use crate::made;
use crate::refusal::{Name, Refusal};
use crate::relay::ledger_lane;
use crate::service::{Exchange, Inner, Peer, refused_query};
use crate::types::{DeliveryState, Facts, FetchFilter, Header, Lane, Outcome, Settle, Settled};

/// How long a delivery that turned out not to be servable is not looked at again.
const ASIDE: Duration = Duration::from_secs(1);
/// Content up to this size is read at once when it is offered.
const AT_ONCE: u64 = 64 << 10;

/// A delivery on its way to its receiver: `fetched` is durable.
#[derive(Debug)]
pub struct Offer {
    /// What is told before the content.
    pub header: Header,
    /// The content.
    pub content: Content,
}

/// A package's bytes, checked against their SHA-256 as they are read.
#[derive(Debug)]
pub struct Content {
    source: Source,
    /// Of a leased delivery: what is put aside when its content turns out damaged, so that it
    /// does not hold up the others.
    leased: Option<(Weak<Inner>, DeliveryId)>,
    /// Of content that is read from disk while it is sent: whose it is.
    stored: Option<(Weak<Inner>, PackageId)>,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Stream(Box<PayloadReader>),
    Ended,
}

impl Content {
    /// The next bytes, at most `max`; `None` after the last.
    ///
    /// # Errors
    /// CONTENT_DAMAGED before the last bytes leave if they do not match their hash; REMOVED.
    pub async fn next_chunk(&mut self, max: usize) -> Result<Option<Bytes>, Refusal> {
        match std::mem::replace(&mut self.source, Source::Ended) {
            Source::Ended => Ok(None),
            Source::Whole(mut bytes) => {
                if bytes.len() > max {
                    let rest = bytes.split_off(max);
                    self.source = Source::Whole(rest);
                }
                Ok((!bytes.is_empty()).then_some(bytes))
            }
            Source::Stream(mut reader) => {
                let read = tokio::task::spawn_blocking(move || {
                    let chunk = reader.next_chunk(max);
                    (reader, chunk)
                });
                let Ok((reader, chunk)) = read.await else {
                    return Err(Refusal::new(Name::Internal));
                };
                match chunk {
                    Ok(Some(bytes)) => {
                        self.source = Source::Stream(reader);
                        Ok(Some(bytes))
                    }
                    Ok(None) => {
                        self.read(true);
                        Ok(None)
                    }
                    Err(error) => {
                        let refusal = refused_query(&error.into());
                        if refusal.name == Name::ContentDamaged {
                            self.read(false);
                        }
                        if refusal.name == Name::ContentDamaged
                            && let Some((inner, delivery)) = &self.leased
                            && let Some(inner) = inner.upgrade()
                        {
                            inner.leases.put_aside(delivery, inner.lease_end());
                        }
                        Err(refusal)
                    }
                }
            }
        }
    }
}

impl Content {
    /// Stored content was read, whole or not: an alert rises or falls.
    fn read(&self, whole: bool) {
        if let Some((inner, package)) = &self.stored
            && let Some(inner) = inner.upgrade()
        {
            inner.alerts.read(*package, whole);
        }
    }
}

fn content(bytes: PackageBytes) -> Result<Content, ReadError> {
    let source = match bytes {
        PackageBytes::Made(bytes) => Source::Whole(bytes),
        PackageBytes::Payload(mut reader) if reader.len() <= AT_ONCE => {
            let max = usize::try_from(AT_ONCE).unwrap_or(usize::MAX);
            let whole = reader.next_chunk(max)?.unwrap_or_default();
            // The hash is checked before the last chunk; this is the last.
            Source::Whole(whole)
        }
        PackageBytes::Payload(reader) => Source::Stream(Box::new(reader)),
    };
    Ok(Content {
        source,
        leased: None,
        stored: None,
    })
}

impl Exchange {
    /// Leases the next waiting delivery of the system's agencies, if there is one.
    ///
    /// # Errors
    /// NOT_FOUND for an agency that is not the system's; what the disk brings.
    pub async fn fetch(&self, peer: &Peer, filter: &FetchFilter) -> Result<Option<Offer>, Refusal> {
        let inner = &self.inner;
        inner.takes_directly(peer)?;
        loop {
            if inner.closing.is_cancelled() {
                return Err(Refusal::new(Name::NotServing).retry_after(5_000));
            }
            inner.still_valid(peer)?;
            let Some((place, delivery, before, until)) = inner.lease_next(peer.system(), filter)?
            else {
                return Ok(None);
            };
            let lease = LeaseGuard::new(inner, delivery.id(&place), peer.system());
            match inner
                .prepare(peer, place, delivery, before, Some(until.told), "fetch")
                .await
            {
                Ok(Some(offer)) => {
                    inner.leases.offered(&delivery.id(&place));
                    lease.keep();
                    return Ok(Some(offer));
                }
                // It was recalled or settled meanwhile: the next one.
                Ok(None) => {
                    inner.leases.put_aside(&delivery.id(&place), inner.aside());
                    lease.keep();
                }
                Err(refusal) => {
                    if is_its_own(refusal.name) {
                        // Put aside for the time of the lease: the next fetch gets another one.
                        lease.keep();
                    }
                    return Err(refusal);
                }
            }
        }
    }

    /// Settles a delivery: acknowledged, failed, or given back.
    ///
    /// # Errors
    /// NOT_FOUND, FOREIGN_DELIVERY, WRONG_HASH, WRONG_STATE, RECALLED, REASON_MISSING, or the
    /// ledger's.
    pub async fn settle(&self, peer: &Peer, settle: Settle) -> Result<Settled, Refusal> {
        let inner = &self.inner;
        inner.still_valid(peer)?;
        let delivery = settle.delivery;
        let row = inner.own_delivery(peer.system(), delivery).await?;
        if let Some(claimed) = settle.sha256 {
            inner.has_bytes(&row, claimed).await?;
        }
        let now = inner.now();
        let state = row.state();
        if settle.outcome == Outcome::Released {
            if let Some(place) = inner.leases.release(&delivery, peer.system()) {
                inner.offer_again(&[place]);
            }
            inner.relay.given_back(peer.system(), &delivery);
            settled("released");
            return Ok(Settled {
                delivery,
                state,
                at: now,
                changed: false,
            });
        }
        if settle.outcome == Outcome::Failed && settle.reason.trim().is_empty() {
            return Err(Refusal::new(Name::ReasonMissing).at(
                "reason",
                "Báo lỗi nhận (failed) phải kèm lý do.",
                "A delivery that failed needs a reason.",
            ));
        }
        let (change, own_01) = match settle.outcome {
            Outcome::Acknowledged => (
                Change::Acknowledged,
                inner.own_01(&row, peer.system(), now).await?,
            ),
            _ => (Change::Failed, None),
        };
        let committed = inner
            .commit(Command::Change(Box::new(ChangeDelivery {
                delivery,
                change,
                round: (settle.round != 0).then_some(settle.round),
                at: now,
                actor: peer.actor(),
                via: settle.via,
                reason: settle.reason,
                own_01,
            })))
            .await?;
        let Committed::Changed {
            state,
            round,
            changed,
        } = committed
        else {
            return Err(Refusal::new(Name::Internal));
        };
        if settle.round == 0 || settle.round == round {
            inner.leases.settled(&delivery);
            inner.relay.settled(peer.system(), &delivery);
        }
        settled(match (change, changed) {
            (_, false) => "unchanged",
            (Change::Acknowledged, true) => "acknowledged",
            _ => "failed",
        });
        Ok(Settled {
            delivery,
            state,
            at: now,
            changed,
        })
    }

    /// A receiver says that it is at a delivery: known, noted in the log, nothing changes.
    ///
    /// # Errors
    /// NOT_FOUND, FOREIGN_DELIVERY.
    pub async fn note_progress(&self, peer: &Peer, delivery: DeliveryId) -> Result<(), Refusal> {
        let inner = &self.inner;
        inner.still_valid(peer)?;
        inner.own_delivery(peer.system(), delivery).await?;
        tracing::info!(system = %peer.system(), %delivery, "the receiver is at it");
        Ok(())
    }

    /// Makes a fetch's lease last longer, counted from now; says until when.
    ///
    /// # Errors
    /// NOT_FOUND if the system has no lease on it.
    pub fn extend(&self, peer: &Peer, delivery: DeliveryId) -> Result<Ms, Refusal> {
        let until = self.inner.lease_end();
        self.inner.leases.extend(&delivery, peer.system(), until).ok_or_else(|| {
            Refusal::new(Name::NotFound).at(
                "delivery_id",
                "Hệ thống không giữ bản gửi này (đã hết hạn giữ, đã kết thúc, hoặc chưa nhận).",
                "The system has no lease on this delivery (it ended, was settled, or was never fetched).",
            )
        })?;
        Ok(until.told)
    }

    /// The content of one delivery, by its id; not a lease.
    ///
    /// # Errors
    /// NOT_FOUND, FOREIGN_DELIVERY, RECALLED, REMOVED, WRONG_STATE while it is held.
    pub async fn download(&self, peer: &Peer, delivery: DeliveryId) -> Result<Offer, Refusal> {
        self.download_by(peer, delivery, "download").await
    }

    /// The same by another way than axis.v1: `via` stands in the history.
    ///
    /// # Errors
    /// As [`Exchange::download`].
    pub async fn download_by(
        &self,
        peer: &Peer,
        delivery: DeliveryId,
        via: &'static str,
    ) -> Result<Offer, Refusal> {
        let inner = &self.inner;
        inner.still_valid(peer)?;
        let row = inner.own_delivery(peer.system(), delivery).await?;
        inner.may_leave(peer.system(), &row)?;
        let (row, package, content) = inner.serve(row, delivery, peer.actor(), via).await?;
        let header = inner.header(delivery, &row, &package, 0, None);
        Ok(Offer { header, content })
    }
}

/// Gives a lease back unless the offer was made.
struct LeaseGuard<'a> {
    inner: &'a Arc<Inner>,
    delivery: DeliveryId,
    system: &'a SystemId,
    kept: bool,
}

impl<'a> LeaseGuard<'a> {
    fn new(inner: &'a Arc<Inner>, delivery: DeliveryId, system: &'a SystemId) -> Self {
        Self {
            inner,
            delivery,
            system,
            kept: false,
        }
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for LeaseGuard<'_> {
    fn drop(&mut self) {
        if !self.kept
            && let Some(place) = self.inner.leases.release(&self.delivery, self.system)
        {
            self.inner.offer_again(&[place]);
        }
    }
}

impl Inner {
    /// When a lease taken now ends.
    pub(crate) fn lease_end(&self) -> End {
        self.after(self.options.lease)
    }

    /// Until when a delivery that turned out not to be servable is not looked at again.
    pub(crate) fn aside(&self) -> End {
        self.after(ASIDE)
    }

    fn after(&self, time: Duration) -> End {
        let now = self.options.clock.steady();
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        End {
            // A time beyond what the clock can tell is no time at all.
            at: now.checked_add(time).unwrap_or(now),
            told: Ms(self.now().0.saturating_add(ms)),
        }
    }

    /// The first delivery in serving order that nobody has, leased.
    fn lease_next(
        &self,
        system: &SystemId,
        filter: &FetchFilter,
    ) -> Result<Option<(Place, OpenDelivery, u32, End)>, Refusal> {
        let registry = self.ledger.registry();
        let mut agencies: Vec<AgencyId> = registry.served_by(system).collect();
        if let Some(code) = &filter.agency {
            let wanted = registry
                .resolve(code)
                .filter(|agency| agencies.contains(agency));
            let Some(wanted) = wanted else {
                return Err(Refusal::new(Name::NotFound).at(
                    "agency",
                    format!("Cơ quan {code:?} không thuộc hệ thống đang gọi."),
                    format!("The agency {code:?} is not of the calling system."),
                ));
            };
            agencies = vec![wanted];
        }
        agencies.retain(|agency| {
            registry.may_receive(*agency) && registry.pauses().between(system, *agency).is_none()
        });
        let until = self.lease_end();
        let open = self.ledger.open_deliveries();
        loop {
            let fits = |place: &Place, delivery: &OpenDelivery| {
                delivery.is_deliverable()
                    && filter.kind.is_none_or(|kind| kind == delivery.kind())
                    && !self.leases.is_held(&delivery.id(place))
            };
            let first_of = |lane: bus::Lane| {
                let first = agencies.iter().filter_map(|agency| {
                    open.of_lane(*agency, ledger_lane(lane))
                        .find(|(place, delivery)| fits(place, delivery))
                });
                first.min_by_key(|(place, _)| place.order())
            };
            // Lower lanes have their share of what is fetched, as of what a stream is served.
            let Some((place, delivery)) = self.leases.turn(system, first_of) else {
                return Ok(None);
            };
            let id = delivery.id(place);
            let holder = Holder::Until(until);
            if let Some(before) = self.leases.take(id, *place, system, holder, self.now()) {
                return Ok(Some((*place, *delivery, before, until)));
            }
        }
    }

    /// Makes an offer of a leased delivery; `None` if it may no longer be served.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        peer: &Peer,
        place: Place,
        delivery: OpenDelivery,
        before: u32,
        until: Option<Ms>,
        via: &'static str,
    ) -> Result<Option<Offer>, Refusal> {
        let id = delivery.id(&place);
        let Some(row) = self.delivery(id).await? else {
            return Ok(None);
        };
        // After a restart the count of offers is gone; the state tells that there was one.
        let before = before + u32::from(row.state() == DeliveryState::Fetched);
        match self.serve(row, id, peer.actor(), via).await {
            Ok((row, package, mut content)) => {
                content.leased = Some((Arc::downgrade(self), id));
                self.fetched_now(AgencyId(row.receiver), self.now());
                let header = self.header(id, &row, &package, before, until);
                Ok(Some(Offer { header, content }))
            }
            Err(refusal)
                if matches!(
                    refusal.name,
                    Name::Recalled | Name::WrongState | Name::NotFound
                ) =>
            {
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Records `fetched` if it is not yet, and opens the content. What was recalled is not
    /// served, whatever its state.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        mut row: DeliveryRow,
        delivery: DeliveryId,
        actor: Actor,
        via: &'static str,
    ) -> Result<(DeliveryRow, Arc<StoredPackage>, Content), Refusal> {
        let committed = self
            .commit(Command::Change(Box::new(ChangeDelivery {
                delivery,
                change: Change::Fetched,
                round: None,
                at: self.now(),
                actor,
                via,
                reason: String::new(),
                own_01: None,
            })))
            .await?;
        if let Committed::Changed { state, round, .. } = committed {
            row.state = state.into();
            row.round = round;
        }
        let package_id = row
            .package_id()
            .ok_or_else(|| Refusal::new(Name::Internal))?;
        let at_hand = self.ledger.query().package_at_hand(package_id);
        if let Some(AtHand {
            package,
            bytes: Some(made),
        }) = at_hand
        {
            let content = Content {
                source: Source::Whole(made),
                leased: None,
                stored: None,
            };
            served(via, package.facts.size);
            return Ok((row, package, content));
        }
        let opened = self
            .ask(move |query| {
                let package = match at_hand {
                    Some(at_hand) => at_hand.package,
                    None => match query.package(package_id)? {
                        Some(package) => Arc::new(package),
                        None => return Ok(None),
                    },
                };
                let content = content(query.bytes(&package)?)?;
                Ok(Some((package, content)))
            })
            .await;
        let opened = opened.inspect_err(|refusal| {
            if refusal.name == Name::ContentDamaged {
                self.alerts.read(package_id, false);
            }
        });
        let (package, mut content) = opened?.ok_or_else(|| Refusal::new(Name::NotFound))?;
        match content.source {
            Source::Stream(_) => content.stored = Some((Arc::downgrade(self), package_id)),
            Source::Whole(_) | Source::Ended => self.alerts.read(package_id, true),
        }
        served(via, package.facts.size);
        Ok((row, package, content))
    }

    /// Refuses what was never fetched while delivery is paused.
    fn may_leave(&self, system: &SystemId, row: &DeliveryRow) -> Result<(), Refusal> {
        let registry = self.ledger.registry();
        let paused = registry.pauses().between(system, AgencyId(row.receiver));
        match paused.filter(|_| row.state() == DeliveryState::Pending) {
            None => Ok(()),
            Some(paused) => Err(Refusal::new(Name::WrongState).at(
                "delivery_id",
                format!(
                    "Việc giao đang tạm dừng từ {}; lấy lại sau.",
                    Ms(paused.at_ms).iso()
                ),
                format!(
                    "Delivery is paused since {}; come again later.",
                    Ms(paused.at_ms).iso()
                ),
            )),
        }
    }

    /// A delivery's row: from memory if it changed a moment ago, else from the index.
    async fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryRow>, Refusal> {
        match self.ledger.query().delivery_at_hand(delivery) {
            Some(row) => Ok(Some(row)),
            None => self.ask(move |query| Ok(query.delivery(delivery))).await,
        }
    }

    /// A delivery's row and what its package says.
    pub(crate) async fn told(
        &self,
        delivery: DeliveryId,
    ) -> Result<Option<(DeliveryRow, Arc<StoredPackage>)>, Refusal> {
        let Some(row) = self.delivery(delivery).await? else {
            return Ok(None);
        };
        let package = self.package_of(&row).await?;
        Ok(package.map(|package| (row, package)))
    }

    /// Refuses a receiver that has other bytes than were accepted.
    async fn has_bytes(&self, row: &DeliveryRow, claimed: [u8; 32]) -> Result<(), Refusal> {
        let package = self.package_of(row).await?;
        let package = package.ok_or_else(|| Refusal::new(Name::NotFound))?;
        let own = sha256_of(&package.facts.sha256);
        if own == claimed {
            return Ok(());
        }
        Err(Refusal::new(Name::WrongHash).at(
            "sha256",
            format!(
                "Gói tin có SHA-256 {}, bên nhận báo {}.",
                hex(&own),
                hex(&claimed)
            ),
            format!(
                "The package has the SHA-256 {}, the receiver says {}.",
                hex(&own),
                hex(&claimed)
            ),
        ))
    }

    async fn package_of(&self, row: &DeliveryRow) -> Result<Option<Arc<StoredPackage>>, Refusal> {
        let package_id = row
            .package_id()
            .ok_or_else(|| Refusal::new(Name::Internal))?;
        if let Some(AtHand { package, .. }) = self.ledger.query().package_at_hand(package_id) {
            return Ok(Some(package));
        }
        let package = self.ask(move |query| query.package(package_id)).await?;
        Ok(package.map(Arc::new))
    }

    /// A delivery for an agency of the system.
    pub(crate) async fn own_delivery(
        &self,
        system: &SystemId,
        delivery: DeliveryId,
    ) -> Result<DeliveryRow, Refusal> {
        let row = self.delivery(delivery).await?.ok_or_else(|| {
            Refusal::new(Name::NotFound).at(
                "delivery_id",
                format!("Không có bản gửi {delivery}."),
                format!("There is no delivery {delivery}."),
            )
        })?;
        if !self.serves(system, AgencyId(row.receiver)) {
            return Err(Refusal::new(Name::ForeignDelivery));
        }
        Ok(row)
    }

    pub(crate) fn header(
        &self,
        delivery: DeliveryId,
        row: &DeliveryRow,
        package: &StoredPackage,
        before: u32,
        leased_until: Option<Ms>,
    ) -> Header {
        let facts = &package.facts;
        let registry = self.ledger.registry();
        let written = facts
            .receivers
            .iter()
            .find(|receiver| receiver.agency == row.receiver);
        let code = written.map_or("", |receiver| receiver.code.as_str());
        Header {
            delivery,
            package: package.id,
            kind: facts.kind(),
            sender: crate::service::party(&registry, AgencyId(facts.sender), &facts.sender_code),
            receiver: crate::service::party(&registry, AgencyId(row.receiver), code),
            lane: Lane::try_from(row.lane).unwrap_or_default(),
            level: u8::try_from(row.level).unwrap_or_default(),
            round: row.round,
            redelivered: before > 0,
            sha256: sha256_of(&facts.sha256),
            size: facts.size,
            accepted_at: Ms(facts.accepted_at_ms),
            leased_until,
            facts: facts_of(package),
        }
    }

    /// The 01 that the axis makes when a document is settled, unless the receiver's system
    /// does it itself or a status of the receiver's is there already.
    async fn own_01(
        &self,
        row: &DeliveryRow,
        system: &SystemId,
        now: Ms,
    ) -> Result<Option<Box<ledger::event::PackageAccepted>>, Refusal> {
        let registry = self.ledger.registry();
        let acknowledges = registry
            .system(system.as_str())
            .is_some_and(|system| system.facts.axis_acknowledges);
        if !acknowledges || row.kind != PackageKind::Document as i32 || row.business == 1 {
            return Ok(None);
        }
        let (Some(document), Some(package_id)) = (row.document_key(), row.package_id()) else {
            return Ok(None);
        };
        let receiver = AgencyId(row.receiver);
        let stored = match self.ledger.query().package_at_hand(package_id) {
            // A receiver has hardly answered what just came. If it has, the ledger leaves the
            // 01 out.
            Some(at_hand) => Some(at_hand.package),
            None => {
                self.ask(move |query| {
                    let cell = query.cell(document, receiver);
                    if cell.own || cell.axis_01 {
                        return Ok(None);
                    }
                    Ok(query.package(package_id)?.map(Arc::new))
                })
                .await?
            }
        };
        Ok(stored.and_then(|stored| {
            let id = self.ledger.next_package_id();
            made::arrived(&registry, &stored.facts, receiver, id, now).map(Box::new)
        }))
    }
}

/// Content was opened for a receiver.
fn served(via: &'static str, size: u64) {
    metrics::counter!("axis_served_total", "via" => via).increment(1);
    metrics::counter!("axis_served_bytes_total").increment(size);
}

fn settled(outcome: &'static str) {
    metrics::counter!("axis_settles_total", "outcome" => outcome).increment(1);
}

/// Whether a refusal lies in the delivery itself, so that it would hold up the others if it came
/// first again at once.
pub(crate) const fn is_its_own(name: Name) -> bool {
    matches!(name, Name::ContentDamaged | Name::Removed | Name::Internal)
}

pub(crate) fn facts_of(package: &StoredPackage) -> Facts {
    match (&package.facts.document, &package.facts.status) {
        (Some(document), _) => Facts::Document(Box::new(document.clone())),
        (None, status) => Facts::Status(status.clone().unwrap_or_default()),
    }
}

pub(crate) fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_default()
}
