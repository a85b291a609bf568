//! What happened: lists, and the story of a package, a delivery or a document.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::event::{Actor, PackageAccepted, PackageKind};
use ledger::id::{AgencyId, DeliveryId, PackageId};
use ledger::registry::Registry;
use ledger::time::Ms;
use ledger::{By, Fact, Query, QueryError, StoredPackage};

use crate::admission::document_key;
use crate::agencies::not_registered;
use crate::delivery::{facts_of, sha256_of};
use crate::refusal::{Name, Refusal};
use crate::service::{Caller, Exchange, party};
use crate::sought::{Sought, is_overdue};
use crate::types::{
    DeliverySummary, PackageSummary, Page, RefusalSummary, Search, Trace, TraceEvent,
};

/// Packages looked at for one page before the page ends early.
const LOOKED_AT: usize = 10_000;
/// Deliveries on one page before the page ends early: pages stay under gRPC's 4 MiB.
const DELIVERIES: usize = 5_000;

impl Exchange {
    /// Packages, the newest first.
    ///
    /// # Errors
    /// BAD_ARGUMENT with the argument's name; NOT_FOUND for an unknown agency.
    pub async fn search(
        &self,
        caller: &Caller,
        search: Search,
    ) -> Result<Page<PackageSummary>, Refusal> {
        let registry = self.inner.ledger.registry();
        let by = by(&registry, &search)?;
        let cursor = cursor(&search.page_token)?;
        let size = page_size(search.page_size);
        let mine = own_agencies(&registry, caller);
        let sought = Sought::of(&search);
        let now = self.inner.now();
        let agency = search
            .agency
            .as_deref()
            .and_then(|code| registry.resolve(code));
        self.inner
            .ask(move |query| {
                let wanted = |package: &StoredPackage| {
                    let facts = &package.facts;
                    let at = Ms(facts.accepted_at_ms);
                    let concerns = |agencies: &[AgencyId]| {
                        concerns(query, &package.facts, package.id, agencies)
                    };
                    search.kind.is_none_or(|kind| facts.kind == kind as i32)
                        && sought.fits(facts)
                        && (!search.overdue || is_overdue(query, package, now))
                        && search.until.is_none_or(|until| at < until)
                        && agency.is_none_or(|agency| concerns(&[agency]))
                        && mine.as_deref().is_none_or(concerns)
                };
                let mut items = Vec::new();
                let mut at = cursor;
                let mut looked_at = 0;
                let mut deliveries = 0;
                loop {
                    let rows = query.newest(&by, &at, size)?;
                    let last = rows.len() < size;
                    for (id, key) in rows {
                        at = key;
                        looked_at += 1;
                        let Some(package) = query.package(id)? else {
                            continue;
                        };
                        if search
                            .since
                            .is_some_and(|since| Ms(package.facts.accepted_at_ms) < since)
                        {
                            return Ok(Page {
                                items,
                                next: String::new(),
                            });
                        }
                        if wanted(&package) {
                            let item = summary(
                                query,
                                &registry,
                                &package,
                                Sight::of(mine.as_deref(), &package),
                            );
                            deliveries += item.deliveries.len();
                            items.push(item);
                        }
                        if items.len() == size || looked_at >= LOOKED_AT || deliveries >= DELIVERIES
                        {
                            return Ok(Page {
                                items,
                                next: URL_SAFE_NO_PAD.encode(&at),
                            });
                        }
                    }
                    if last {
                        return Ok(Page {
                            items,
                            next: String::new(),
                        });
                    }
                }
            })
            .await
    }

    /// Refused pushes, the newest first: an operator sees all, a system its own.
    ///
    /// # Errors
    /// BAD_ARGUMENT with the argument's name.
    pub async fn search_refused(
        &self,
        caller: &Caller,
        search: Search,
    ) -> Result<Page<RefusalSummary>, Refusal> {
        let mut at = cursor(&search.page_token)?;
        let size = page_size(search.page_size);
        let system = match caller {
            Caller::System(peer) => Some(peer.system().to_string()),
            Caller::Operator(_) => None,
        };
        self.inner
            .ask(move |query| {
                let mut items = Vec::new();
                for _ in 0..LOOKED_AT.div_ceil(size) {
                    let rows = query.refused(&at, size)?;
                    let last = rows.len() < size;
                    for (refused, key) in rows {
                        at = key;
                        let by = refused.actor.map(|actor| actor.system).unwrap_or_default();
                        let when = Ms(refused.at_ms);
                        if search.since.is_some_and(|since| when < since) {
                            return Ok(Page {
                                items,
                                next: String::new(),
                            });
                        }
                        if system.as_ref().is_some_and(|system| *system != by)
                            || search.until.is_some_and(|until| when >= until)
                        {
                            continue;
                        }
                        items.push(RefusalSummary {
                            at: when,
                            system: by,
                            code: refused.code,
                            sender_code: refused.sender_code,
                            sha256: refused.sha256,
                            size: refused.size,
                            path: refused.path,
                            count: refused.count,
                        });
                        if items.len() == size {
                            return Ok(Page {
                                items,
                                next: URL_SAFE_NO_PAD.encode(&at),
                            });
                        }
                    }
                    if last {
                        return Ok(Page {
                            items,
                            next: String::new(),
                        });
                    }
                }
                Ok(Page {
                    items,
                    next: URL_SAFE_NO_PAD.encode(&at),
                })
            })
            .await
    }

    /// The story of a package, of a delivery, or of a document (by its edXML DocumentId).
    ///
    /// # Errors
    /// NOT_FOUND, also for what the caller may not see.
    pub async fn trace(&self, caller: &Caller, id: &str) -> Result<Trace, Refusal> {
        let registry = self.inner.ledger.registry();
        let mine = own_agencies(&registry, caller);
        let given = id.trim().to_owned();
        let not_found = Refusal::new(Name::NotFound).at(
            "id",
            format!("Không có gói tin, bản gửi hay văn bản nào mang mã {given:?}."),
            format!("No package, delivery or document has the id {given:?}."),
        );
        let trace = self
            .inner
            .ask(move |query| {
                let (ids, only) = named(query, &given)?;
                let mut packages = Vec::new();
                for id in ids {
                    if let Some(package) = query.package(id)?
                        && mine
                            .as_deref()
                            .is_none_or(|mine| concerns(query, &package.facts, id, mine))
                    {
                        packages.push(package);
                    }
                }
                let mut events = Vec::new();
                for package in &packages {
                    let sight = Sight::of(mine.as_deref(), package);
                    story(query, &registry, package, only, sight, &mut events)?;
                }
                for package in &packages {
                    if only.is_none() {
                        links(query, package, mine.as_deref(), &registry, &mut events)?;
                    }
                }
                events.sort_by_key(|(position, _): &(u64, TraceEvent)| *position);
                let summaries = packages.iter().map(|package| {
                    summary(
                        query,
                        &registry,
                        package,
                        Sight::of(mine.as_deref(), package),
                    )
                });
                Ok(Trace {
                    packages: summaries.collect(),
                    events: events.into_iter().map(|(_, event)| event).collect(),
                })
            })
            .await?;
        if trace.packages.is_empty() {
            Err(not_found)
        } else {
            Ok(trace)
        }
    }
}

pub(crate) fn page_size(asked: u32) -> usize {
    match asked {
        0 => 100,
        asked => asked.min(1_000) as usize,
    }
}

pub(crate) fn cursor(token: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    if !token.is_empty() && bytes.len() != 12 {
        return Err(Refusal::argument(
            "page_token",
            "Mã trang không hợp lệ; dùng mã mà trang trước trả về.",
            "The page token is not valid; use the one that the page before gave.",
        ));
    }
    Ok(bytes)
}

pub(crate) fn own_agencies(registry: &Registry, caller: &Caller) -> Option<Vec<AgencyId>> {
    let Caller::System(peer) = caller else {
        return None;
    };
    Some(registry.served_by(peer.system()).collect())
}

fn by(registry: &Registry, search: &Search) -> Result<By, Refusal> {
    if let Some(id) = &search.document_id {
        return Ok(By::DocumentId(document_key(id)));
    }
    if let Some(number) = &search.number {
        let (number, notation) = number.split_once('/').unwrap_or((number, ""));
        return Ok(By::Number(number.to_owned(), notation.to_owned()));
    }
    let Some(code) = &search.agency else {
        return Ok(By::Time);
    };
    let agency = registry
        .resolve(code)
        .ok_or_else(|| not_registered(code, "agency"))?;
    Ok(By::Agency(agency))
}

/// Whether one of the agencies sent or receives a package. One that became a receiver later
/// does not stand in the facts and has a delivery all the same.
fn concerns(query: &Query, facts: &PackageAccepted, id: PackageId, agencies: &[AgencyId]) -> bool {
    agencies.iter().any(|agency| {
        agency.0 == facts.sender
            || facts
                .receivers
                .iter()
                .any(|receiver| receiver.agency == agency.0)
            || facts.duplicates.contains(&agency.0)
    }) || agencies
        .iter()
        .any(|agency| query.delivery(DeliveryId::of(id, *agency)).is_some())
}

/// The packages that an id names, and the one delivery if it names one.
fn named(query: &Query, id: &str) -> Result<(Vec<PackageId>, Option<DeliveryId>), QueryError> {
    if let Ok(delivery) = id.parse::<DeliveryId>()
        && let Some(package) = query.delivery(delivery).and_then(|row| row.package_id())
    {
        return Ok((vec![package], Some(delivery)));
    }
    if let Ok(package) = id.parse::<PackageId>()
        && query.package(package)?.is_some()
    {
        return Ok((vec![package], None));
    }
    Ok((query.by_document_id(&document_key(id)), None))
}

fn receivers_of(query: &Query, package: &StoredPackage) -> Vec<(AgencyId, String)> {
    let mut receivers: Vec<(AgencyId, String)> = package
        .facts
        .receivers
        .iter()
        .map(|r| (AgencyId(r.agency), r.code.clone()))
        .collect();
    // Receivers that were added later stand in their own events.
    if let Ok(records) = query.events(package.id) {
        for fact in records.iter().flat_map(|record| &record.facts) {
            if let Fact::ReceiversAdded(added) = fact
                && added.package == package.id.as_bytes()[..]
            {
                receivers.extend(
                    added
                        .receivers
                        .iter()
                        .map(|r| (AgencyId(r.agency), r.code.clone())),
                );
            }
        }
    }
    receivers
}

/// What of a package a caller sees: its sender's side and operators all of it, a receiver its
/// own delivery.
#[derive(Clone, Copy)]
struct Sight<'a>(Option<&'a [AgencyId]>);

impl<'a> Sight<'a> {
    fn of(mine: Option<&'a [AgencyId]>, package: &StoredPackage) -> Self {
        let is_sender = |mine: &[AgencyId]| mine.iter().any(|id| id.0 == package.facts.sender);
        Self(mine.filter(|mine| !is_sender(mine)))
    }

    fn covers(self, receiver: AgencyId) -> bool {
        self.0.is_none_or(|mine| mine.contains(&receiver))
    }
}

fn summary(
    query: &Query,
    registry: &Registry,
    package: &StoredPackage,
    sight: Sight<'_>,
) -> PackageSummary {
    let facts = &package.facts;
    let document = package
        .document_key()
        .filter(|_| facts.kind == PackageKind::Document as i32);
    let deliveries = receivers_of(query, package)
        .into_iter()
        .filter(|(agency, _)| sight.covers(*agency))
        .filter_map(|(agency, code)| {
            let delivery = DeliveryId::of(package.id, agency);
            let row = query.delivery(delivery)?;
            Some(DeliverySummary {
                delivery,
                receiver: party(registry, agency, &code),
                state: row.state(),
                round: row.round,
                changed_at: Ms(row.changed_at),
                status: document.and_then(|document| query.cell(document, agency).current()),
            })
        })
        .collect();
    PackageSummary {
        package: package.id,
        kind: facts.kind(),
        sender: party(registry, AgencyId(facts.sender), &facts.sender_code),
        accepted_at: Ms(facts.accepted_at_ms),
        sha256: sha256_of(&facts.sha256),
        size: facts.size,
        level: u8::try_from(facts.level).unwrap_or_default(),
        content_removed: query.is_removed(package.id),
        facts: facts_of(package),
        deliveries,
    }
}

/// What a document recalls, updates or replaces, and what does so to it, where that is another
/// document: a chain is told from both its ends.
fn links(
    query: &Query,
    package: &StoredPackage,
    mine: Option<&[AgencyId]>,
    registry: &Registry,
    events: &mut Vec<(u64, TraceEvent)>,
) -> Result<(), QueryError> {
    let (Some(facts), Some(document)) = (&package.facts.document, package.document_key()) else {
        return Ok(());
    };
    let sender = AgencyId(package.facts.sender);
    let step = |at: &StoredPackage, detail: String, detail_en: String| {
        let event = TraceEvent {
            at: Ms(at.facts.accepted_at_ms),
            kind: "linked",
            package: package.id,
            delivery: None,
            actor: actor(at.facts.actor.as_ref()),
            via: String::new(),
            detail,
            detail_en,
            agency: Some(party(registry, sender, &at.facts.sender_code)),
            sha256: None,
            round: 0,
            anchor: at.anchor.to_string(),
        };
        (at.anchor.position, event)
    };
    for target in facts
        .targets
        .iter()
        .filter(|key| **key != facts.document_key)
    {
        let (vi, en) = doing(facts.business);
        events.push(step(
            package,
            format!("{vi} văn bản {target}"),
            format!("{en} the document {target}"),
        ));
    }
    if facts.business != 0 {
        return Ok(());
    }
    for id in query.linked(document) {
        let Some(other) = query.package(id)? else {
            continue;
        };
        let Some(by) = &other.facts.document else {
            continue;
        };
        let seen = mine.is_none_or(|mine| concerns(query, &other.facts, id, mine));
        if !seen || by.document_key == facts.document_key {
            continue;
        }
        let (vi, en) = doing(by.business);
        let key = &by.document_key;
        events.push(step(
            &other,
            format!(
                "được {} bởi văn bản {key} (gói tin {id})",
                vi.to_lowercase()
            ),
            format!("the document {key} (package {id}) {en} it"),
        ));
    }
    Ok(())
}

const fn doing(business: u32) -> (&'static str, &'static str) {
    match business {
        1 => ("Thu hồi", "recalls"),
        2 => ("Cập nhật", "updates"),
        _ => ("Thay thế", "replaces"),
    }
}

fn story(
    query: &Query,
    registry: &Registry,
    package: &StoredPackage,
    only: Option<DeliveryId>,
    sight: Sight<'_>,
    events: &mut Vec<(u64, TraceEvent)>,
) -> Result<(), QueryError> {
    for record in query.events(package.id)? {
        let position = record.anchor.position;
        let anchor = record.anchor.to_string();
        for fact in &record.facts {
            if matches!(fact, Fact::Delivery(_, changed) if !sight.covers(AgencyId(changed.receiver)))
            {
                continue;
            }
            if let Some(event) = told(registry, package, fact, &anchor)
                && only.is_none_or(|only| event.delivery.is_none_or(|delivery| delivery == only))
            {
                events.push((position, event));
            }
        }
    }
    Ok(())
}

/// One fact as a step of the package's story; `None` if it is not part of it.
fn told(
    registry: &Registry,
    package: &StoredPackage,
    fact: &Fact,
    anchor: &str,
) -> Option<TraceEvent> {
    let id = package.id.as_bytes().as_slice();
    let step =
        |at: i64, kind: &'static str, by: Option<&Actor>, agency: u32, vi: String, en: String| {
            TraceEvent {
                at: Ms(at),
                kind,
                package: package.id,
                delivery: None,
                actor: actor(by),
                via: String::new(),
                detail: vi,
                detail_en: en,
                agency: (agency != 0).then(|| party(registry, AgencyId(agency), "")),
                sha256: None,
                round: 0,
                anchor: anchor.to_owned(),
            }
        };
    match fact {
        Fact::PackageAccepted(accepted) if accepted.id == id => {
            let names = |receivers: &[ledger::event::Receiver]| {
                let names = receivers
                    .iter()
                    .map(|r| party(registry, AgencyId(r.agency), &r.code).name);
                names.collect::<Vec<_>>().join("; ")
            };
            let to = names(&accepted.receivers);
            let (kind, vi, en) = match &accepted.status {
                None => (
                    "accepted",
                    format!(
                        "Trục đã ghi bền vững văn bản và tạo {} bản gửi: {to}",
                        accepted.receivers.len()
                    ),
                    format!(
                        "durable; {} deliveries made: {to}",
                        accepted.receivers.len()
                    ),
                ),
                Some(status) => {
                    let code = u8::try_from(status.code).unwrap_or_default();
                    let label = edxml::StatusCode::new(code);
                    let (vi, en) =
                        label.map_or(("", ""), |label| (label.label_vi(), label.label_en()));
                    let (by, by_en) = if status.made_by_axis {
                        (" (do trục phát hành)".to_owned(), " (issued by the axis)")
                    } else if status.description.is_empty() {
                        (String::new(), "")
                    } else {
                        (format!(": {}", status.description), "")
                    };
                    (
                        "status",
                        format!("Trạng thái {code:02} – {vi}{by}"),
                        format!("status {code:02} – {en}{by_en}"),
                    )
                }
            };
            let mut event = step(
                accepted.accepted_at_ms,
                kind,
                accepted.actor.as_ref(),
                accepted.sender,
                vi.trim_end().to_owned(),
                en.trim_end().to_owned(),
            );
            event.sha256 = Some(sha256_of(&accepted.sha256));
            Some(event)
        }
        Fact::Delivery(change, changed) if changed.package == id => {
            let receiver = party(registry, AgencyId(changed.receiver), "").name;
            let (vi, en) = change_told(*change, &receiver, changed.round);
            let reason = |text: String| {
                if changed.reason.is_empty() {
                    text
                } else {
                    format!("{text}: {}", changed.reason)
                }
            };
            let mut event = step(
                changed.at_ms,
                change.word(),
                changed.actor.as_ref(),
                changed.receiver,
                reason(vi),
                reason(en),
            );
            event.delivery = DeliveryId::from_slice(&changed.delivery);
            event.via = changed.via.clone();
            event.round = changed.round;
            event.sha256 = Some(sha256_of(&package.facts.sha256));
            Some(event)
        }
        Fact::ReceiversAdded(added) if added.package == id => {
            let codes: Vec<_> = added
                .receivers
                .iter()
                .map(|receiver| receiver.code.as_str())
                .collect();
            let codes = codes.join(", ");
            Some(step(
                added.at_ms,
                "receivers-added",
                added.actor.as_ref(),
                0,
                format!("Thêm bên nhận: {codes}"),
                format!("receivers added: {codes}"),
            ))
        }
        Fact::StatusMatched(matched) if matched.package == id => Some(step(
            matched.at_ms,
            "matched",
            None,
            matched.cell_receiver,
            "Trạng thái đến trước, nay đã khớp với văn bản".to_owned(),
            "the status came first and is matched to its document now".to_owned(),
        )),
        Fact::PayloadRemoved(removed) if removed.package == id => Some(step(
            removed.at_ms,
            "payload-removed",
            removed.actor.as_ref(),
            0,
            format!("Nội dung được xóa theo quyết định {}", removed.decision),
            format!("content removed by decision {}", removed.decision),
        )),
        _ => None,
    }
}

fn change_told(change: ledger::Change, receiver: &str, round: u32) -> (String, String) {
    use ledger::Change as C;
    let (vi, en) = match change {
        C::Fetched => ("đã lấy gói tin về", "fetched the package"),
        C::Acknowledged => (
            "xác nhận đã lưu an toàn",
            "acknowledged: it has the package durably",
        ),
        C::Failed => ("báo không đọc được", "reported that it cannot read it"),
        C::Recalled => ("bản gửi được thu hồi", "delivery recalled"),
        C::Redelivered => ("được gửi lại", "is delivered again"),
        C::Released => ("bản gửi được cho đi tiếp", "delivery released"),
        C::Refused => ("bản gửi bị từ chối", "delivery refused"),
        C::Dead => (
            "bản gửi dừng sau nhiều lần không xác nhận",
            "delivery given up after many leases",
        ),
        C::Retried => ("bản gửi được thử lại", "delivery retried"),
        C::Dropped => ("bản gửi bị bỏ", "delivery dropped"),
        C::Forwarding => (
            "đang chuyển lên trục quốc gia",
            "going to the national axis",
        ),
        C::Forwarded => ("đã chuyển lên trục quốc gia", "at the national axis"),
    };
    let turn = |word: &str| {
        if round > 1 {
            format!(" ({word} {round})")
        } else {
            String::new()
        }
    };
    (
        format!("{receiver} {vi}{}", turn("lần")),
        format!("{receiver} {en}{}", turn("round")),
    )
}

pub(crate) fn actor(actor: Option<&Actor>) -> String {
    match actor {
        None => "axis".to_owned(),
        Some(actor) if actor.axis => "axis".to_owned(),
        Some(actor) if !actor.system.is_empty() => actor.system.clone(),
        Some(actor) if !actor.person.is_empty() => actor.person.clone(),
        Some(actor) => actor
            .uid
            .map_or_else(|| "axis".to_owned(), |uid| format!("uid {uid}")),
    }
}
