//! What the protocol's operations mean on this axis.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use exchange::refusal::{Name, Refusal};
use exchange::{
    AgencyFacts, Caller, Credentials, Exchange, Outcome, PackageKind, Peer, PushOptions,
    RequestTurn, Search, Settle, WaitingAsked,
};
use futures_util::stream;
use ledger::id::{DeliveryId, PackageId};
use ledger::time::{Clock, Ms};
use vxp::answer::{Agency2020Row, AgencyRow, Received, Registration, SentCopy, UnitRow};
use vxp::server::{Content, Hub, Incoming, Listing, Rows, Sending};
use vxp::signature::Claim;
use vxp::{Fault, MessageType, Operation, Progress, Window};

use super::guard::{Seen, Signature, lies_in};
use super::{VxpOptions, fault, rows};
use crate::service::DELIVERY_CHUNK_MAX;

/// Without a window and without an id, getSentEdocList tells of the last days.
const DAYS_BACK: i64 = 7;
const DAY_MS: i64 = 86_400_000;

/// The axis as VXP clients see it.
#[derive(Debug)]
pub(super) struct Endpoint {
    exchange: Exchange,
    pub(super) options: VxpOptions,
    reads: Seen,
    clock: Clock,
}

/// A system, and its place among its requests at once.
#[derive(Debug)]
pub(super) struct System {
    peer: Peer,
    turn: RequestTurn,
}

impl Endpoint {
    pub(super) fn new(exchange: Exchange, options: VxpOptions) -> Self {
        Self {
            exchange,
            options,
            reads: Seen::default(),
            clock: Clock::system(),
        }
    }

    /// The timestamp of a system for which a tolerance is set.
    fn is_in_time(&self, claim: &Claim) -> Result<(), Fault> {
        let Some(tolerance) = self.options.tolerance.get(claim.system()) else {
            return Ok(());
        };
        let at = claim.timestamp().map(|at| at.ms());
        let now = self.clock.now().0;
        let off = at.map(|at| Duration::from_millis(now.abs_diff(at)));
        if off.is_some_and(|off| off <= *tolerance) {
            return Ok(());
        }
        Err(Fault::unauthenticated(format!(
            "timestamp lệch quá {} giây so với giờ của trục, hoặc không đúng dạng ddMMyyyyTHHmmss+SSSS; tạo lại yêu cầu với giờ hiện tại (the timestamp is too far off).",
            tolerance.as_secs()
        )))
    }

    fn asked(&self, asked: Listing) -> WaitingAsked {
        let window = if self.options.date_filter {
            asked.window
        } else {
            Window::default()
        };
        WaitingAsked {
            kind: match asked.message_type {
                MessageType::Edoc => PackageKind::Document,
                MessageType::Status => PackageKind::Status,
            },
            since: window.from_ms.map(Ms),
            until: window.to_ms.map(Ms),
        }
    }

    /// `from` must be an agency of the caller's. The package's own From decides who the sender
    /// is; this tells at once, before the package is read, that something is wrong.
    fn is_own(&self, peer: &Peer, from: &str) -> Result<(), Fault> {
        let registry = self.exchange.registry(None);
        let agency = registry.resolve(from);
        if agency.is_some_and(|agency| registry.systems_of(agency).contains(peer.system())) {
            return Ok(());
        }
        Err(fault(&Refusal::new(Name::ForeignSender).at(
            "from",
            format!(
                "Mã đơn vị gửi {from:?} không khớp với hệ thống đã đăng ký {:?}.",
                peer.system().as_str()
            ),
            format!("{from:?} is not an agency of the system {}.", peer.system()),
        )))
    }

    /// What the caller's agencies sent: one package, or those of a window.
    async fn packages(
        &self,
        peer: &Peer,
        doc_id: Option<&str>,
        window: Window,
    ) -> Result<Vec<SentCopy>, Refusal> {
        let caller = Caller::System(peer.clone());
        let registry = self.exchange.registry(None);
        let own = |code: &str| {
            let agency = registry.resolve(code);
            agency.is_some_and(|agency| registry.systems_of(agency).contains(peer.system()))
        };
        if let Some(doc_id) = doc_id {
            let unknown = || no_such(doc_id);
            let id: PackageId = doc_id.parse().map_err(|_| unknown())?;
            let trace = self.exchange.trace(&caller, &id.to_string()).await?;
            let mut packages = trace.packages.iter();
            let package = packages.find(|found| found.package == id && own(&found.sender.code));
            return Ok(rows::sent(package.ok_or_else(unknown)?));
        }
        let week_ago = self.clock.now().0 - DAYS_BACK * DAY_MS;
        let mut search = Search {
            since: Some(Ms(window.from_ms.unwrap_or(week_ago))),
            until: window.to_ms.map(|to| Ms(to.saturating_add(1))),
            page_size: 200,
            ..Search::default()
        };
        let mut copies = Vec::new();
        loop {
            let page = self.exchange.search(&caller, search.clone()).await?;
            let sent = page.items.iter().filter(|item| own(&item.sender.code));
            for package in sent {
                copies.extend(rows::sent(package));
            }
            if copies.len() >= self.options.list_limit {
                copies.truncate(self.options.list_limit);
                return Ok(copies);
            }
            if page.next.is_empty() {
                return Ok(copies);
            }
            search.page_token = page.next;
        }
    }
}

impl Hub for Endpoint {
    type Caller = System;

    fn admit(&self, claim: &Claim, operation: Operation, from: IpAddr) -> Result<System, Fault> {
        let unknown = || fault(&Refusal::new(Name::Unauthenticated));
        let credentials = Credentials::Signed {
            system: claim.system(),
            proof: &Signature(claim),
        };
        let peer = self
            .exchange
            .authenticate(credentials)
            .map_err(|refusal| fault(&refusal))?;
        let networks = self.options.addresses.get(claim.system());
        if networks.is_some_and(|networks| !lies_in(from, networks)) {
            tracing::info!(system = %peer.system(), remote = %from, "a call from an address that is not the system's was refused");
            return Err(unknown());
        }
        self.is_in_time(claim)?;
        let reads = !operation.writes() && self.options.reads_from_one_address;
        if reads && !self.reads.may_come(claim.fingerprint(), from) {
            tracing::info!(system = %peer.system(), remote = %from, operation = operation.name(), "a request that reads came again from another address and was refused");
            return Err(Fault::unauthenticated(
                "Yêu cầu này đã được gửi từ địa chỉ khác; tạo lại yêu cầu với timestamp mới (this very request has come from another address: sign a new one).",
            ));
        }
        let turn = self
            .exchange
            .begin_request(&peer)
            .map_err(|refusal| fault(&refusal))?;
        Ok(System { peer, turn })
    }

    async fn send(
        &self,
        caller: &System,
        asked: Sending,
        package: &mut Incoming,
    ) -> Result<String, Fault> {
        self.is_own(&caller.peer, &asked.from)?;
        let refused = |refusal| fault(&refusal);
        let upload = self.exchange.upload(&caller.peer, PushOptions::default());
        let mut upload = upload.await.map_err(refused)?;
        while let Some(bytes) = package.next().await? {
            upload.write(bytes).await.map_err(refused)?;
        }
        let receipt = upload.finish().await.map_err(refused)?;
        Ok(receipt.package.to_string())
    }

    async fn received(&self, caller: &System, asked: Listing) -> Result<Rows<Received>, Fault> {
        let list = self
            .exchange
            .waiting(&caller.peer, self.asked(asked), self.options.list_limit)
            .map_err(|refusal| fault(&refusal))?;
        let state = (list, VecDeque::new(), caller.turn.clone());
        Ok(Box::pin(stream::try_unfold(
            state,
            |(mut list, mut page, turn)| async move {
                if page.is_empty() {
                    let rows = list.next_page().await.map_err(|refusal| fault(&refusal))?;
                    page = VecDeque::from(rows);
                }
                let row = page.pop_front().map(|waiting| rows::received(&waiting));
                Ok::<_, Fault>(row.map(|row| (row, (list, page, turn))))
            },
        )))
    }

    async fn count(&self, caller: &System, asked: Listing) -> Result<u64, Fault> {
        self.exchange
            .count_waiting(&caller.peer, self.asked(asked))
            .map_err(|refusal| fault(&refusal))
    }

    async fn content(&self, caller: &System, doc_id: &str) -> Result<Content, Fault> {
        let delivery = delivery(doc_id)?;
        let offer = self
            .exchange
            .download_by(&caller.peer, delivery, "vxp")
            .await
            .map_err(|refusal| fault(&refusal))?;
        let state = (offer.content, caller.turn.clone());
        let chunks = stream::try_unfold(state, |(mut content, turn)| async move {
            let chunk = content.next_chunk(DELIVERY_CHUNK_MAX).await;
            let chunk = chunk.map_err(|refusal| fault(&refusal))?;
            Ok::<_, Fault>(chunk.map(|chunk| (chunk, (content, turn))))
        });
        Ok(Content {
            size: offer.header.size,
            chunks: Box::pin(chunks),
        })
    }

    async fn update(
        &self,
        caller: &System,
        doc_id: &str,
        progress: Progress,
        description: &str,
    ) -> Result<(), Fault> {
        let delivery = delivery(doc_id)?;
        let (outcome, reason) = match progress {
            Progress::Processing => {
                let noted = self.exchange.note_progress(&caller.peer, delivery).await;
                return noted.map_err(|refusal| fault(&refusal));
            }
            Progress::Done => (Outcome::Acknowledged, String::new()),
            // The protocol leaves the reason to the client.
            Progress::Fail if description.is_empty() => (
                Outcome::Failed,
                "Hệ thống nhận báo fail, không kèm lý do".to_owned(),
            ),
            Progress::Fail => (Outcome::Failed, description.to_owned()),
        };
        let settle = Settle {
            delivery,
            round: 0,
            outcome,
            reason,
            sha256: None,
            via: "vxp",
        };
        match self.exchange.settle(&caller.peer, settle).await {
            Ok(_) => Ok(()),
            Err(refusal) => Err(fault(&refusal)),
        }
    }

    async fn sent(
        &self,
        caller: &System,
        doc_id: Option<&str>,
        window: Window,
    ) -> Result<Rows<SentCopy>, Fault> {
        let copies = self
            .packages(&caller.peer, doc_id, window)
            .await
            .map_err(|refusal| fault(&refusal))?;
        Ok(Box::pin(stream::iter(copies.into_iter().map(Ok))))
    }

    fn agencies(&self, caller: &System) -> Result<Rows<AgencyRow>, Fault> {
        Ok(self.registry(caller, rows::agency))
    }

    fn agencies_2020(
        &self,
        caller: &System,
        _level: Option<&str>,
    ) -> Result<Rows<Agency2020Row>, Fault> {
        // What a level is nobody has told; all of them hold those of any level.
        Ok(self.registry(caller, rows::agency_2020))
    }

    fn units(&self, caller: &System) -> Result<Rows<UnitRow>, Fault> {
        Ok(self.registry(caller, rows::unit))
    }

    async fn register(&self, caller: &System, agency: Registration) -> Result<(), Fault> {
        let needed = [
            ("code", &agency.code),
            ("name", &agency.name),
            ("mail", &agency.mail),
        ];
        for (name, value) in needed {
            if value.trim().is_empty() {
                return Err(Fault::argument(format!(
                    "Thiếu {name} của cơ quan ({name} is missing)."
                )));
            }
        }
        if !is_mail(agency.mail.trim()) {
            return Err(Fault::argument(format!(
                "mail = {:?}: không phải địa chỉ thư điện tử (no mail address).",
                agency.mail
            )));
        }
        let contact = [&agency.mail, &agency.mobile, &agency.fax];
        let contact: Vec<&str> = contact
            .into_iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        let facts = AgencyFacts {
            code: agency.code.trim().to_owned(),
            name: agency.name.trim().to_owned(),
            parent: agency.pcode.trim().to_owned(),
            contact: contact.join(", "),
            ..AgencyFacts::default()
        };
        self.exchange
            .request_agency(&caller.peer, &facts)
            .await
            .map_err(|refusal| fault(&refusal))
    }

    async fn delete(&self, caller: &System, code: &str) -> Result<(), Fault> {
        self.exchange
            .request_closing(&caller.peer, code)
            .await
            .map_err(|refusal| fault(&refusal))
    }
}

impl Endpoint {
    fn registry<R: Send + 'static>(
        &self,
        caller: &System,
        row: fn(
            &ledger::registry::Registry,
            ledger::id::AgencyId,
            &ledger::registry::Agency,
        ) -> Option<R>,
    ) -> Rows<R> {
        let turn = caller.turn.clone();
        let rows = rows::each(self.exchange.registry(None), row).map(move |row| {
            let _under_way = &turn;
            Ok(row)
        });
        Box::pin(stream::iter(rows))
    }
}

fn delivery(doc_id: &str) -> Result<DeliveryId, Fault> {
    doc_id.parse().map_err(|_| fault(&no_such(doc_id)))
}

fn no_such(doc_id: &str) -> Refusal {
    let told: String = doc_id.chars().take(80).collect();
    Refusal::new(Name::NotFound).at(
        "docId",
        format!("Không có gói tin nào mang docId {told:?}."),
        format!("There is no docId {told:?}."),
    )
}

/// Whether a text looks like an address of mail, as the SDK checks it.
fn is_mail(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !text.contains(char::is_whitespace)
    })
}
