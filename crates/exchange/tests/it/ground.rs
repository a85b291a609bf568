//! Three agencies with a system each, and packages for them.

use edxml::write::{DocumentDraft, StatusDraft, document, status};
use edxml::{BusinessKind, Date, Organ, ResponseFor, StatusCode, Timestamp};
use exchange::{
    Credentials, Exchange, FetchFilter, Header, ImportOrder, NewSystem, Operator, Options, Outcome,
    Peer, PushOptions, Receipt, Settle, Settled,
    refusal::{Name, Refusal},
};
use ledger::id::DeliveryId;

pub(crate) const A: &str = "000.00.01.H99";
pub(crate) const B: &str = "000.00.02.H99";
pub(crate) const C: &str = "000.00.03.H99";

pub(crate) struct Ground {
    folder: tempfile::TempDir,
    clock: ledger::time::Clock,
    pub(crate) exchange: Exchange,
    pub(crate) a: Peer,
    pub(crate) b: Peer,
    pub(crate) c: Peer,
    keys: Vec<String>,
    change: Box<dyn Fn(&mut Options)>,
}

/// A list that is taken over by this decision.
pub(crate) fn decided(decision: &str) -> ImportOrder {
    ImportOrder {
        decision: decision.to_owned(),
        ..ImportOrder::default()
    }
}

pub(crate) fn operator() -> Operator {
    Operator {
        uid: 0,
        person: "Lan".to_owned(),
        ..Operator::default()
    }
}

pub(crate) fn options(folder: &std::path::Path) -> Options {
    let mut options = Options::new(folder.join("data"));
    options.segment_size = 4 << 20;
    // Tests leave what they like unsettled, and say so where it counts.
    options.max_unsettled_leases = 0;
    options
}

impl Ground {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other options, also after a restart.
    pub(crate) async fn with(change: impl Fn(&mut Options) + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        change(&mut options);
        let clock = options.clock.clone();
        let exchange = Exchange::open(options, |_, _| {}).await.unwrap();
        let csv = format!(
            "code,code_2020,name,parent\n{A},H99.01,Sở Nội vụ,\n{B},H99.02,Sở Tài chính,\n{C},H99.03,Sở Y tế,\n"
        );
        let imported = exchange
            .import_agencies(&operator(), csv.into(), decided("12/QĐ"))
            .await
            .unwrap();
        assert_eq!(imported.added, 3);
        let mut keys = Vec::new();
        for (id, agency) in [("a", A), ("b", B), ("c", C)] {
            keys.push(add(&exchange, id, agency).await);
        }
        let [a, b, c] = peers(&exchange, &keys);
        Self {
            folder,
            clock,
            exchange,
            a,
            b,
            c,
            keys,
            change: Box::new(change),
        }
    }

    /// Closes and opens again, as a restart does.
    pub(crate) async fn restarted(self) -> Self {
        self.recorded(Vec::new()).await
    }

    /// Closes, lets the ledger itself record what no rule of this build brings about, and opens
    /// again.
    pub(crate) async fn recorded(self, commands: Vec<ledger::Command>) -> Self {
        let Self {
            folder,
            clock,
            exchange,
            keys,
            change,
            ..
        } = self;
        exchange.close().await;
        drop(exchange);
        let mut options = options(folder.path());
        change(&mut options);
        if !commands.is_empty() {
            let mut below = ledger::Options::new(&options.data);
            below.journal.segment_size = options.segment_size;
            let (ledger, _) = ledger::Ledger::open(below, &mut |_, _| {}).unwrap();
            for command in commands {
                ledger.commit(command).await.unwrap();
            }
            let close = tokio::task::spawn_blocking(move || ledger.close());
            close.await.unwrap();
        }
        let exchange = Exchange::open(options, |_, _| {}).await.unwrap();
        let [a, b, c] = peers(&exchange, &keys);
        Self {
            folder,
            clock,
            exchange,
            a,
            b,
            c,
            keys,
            change,
        }
    }

    /// Where the data folder lies.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) const fn clock(&self) -> &ledger::time::Clock {
        &self.clock
    }

    pub(crate) fn key(&self, number: usize) -> &str {
        &self.keys[number]
    }

    pub(crate) async fn push(&self, peer: &Peer, package: Vec<u8>) -> Result<Receipt, Refusal> {
        self.exchange
            .push(peer, package.into(), PushOptions::default())
            .await
    }

    pub(crate) async fn refused(&self, peer: &Peer, package: Vec<u8>) -> Refusal {
        self.push(peer, package).await.expect_err("it was accepted")
    }

    /// The next delivery with its bytes.
    pub(crate) async fn fetch(&self, peer: &Peer) -> Option<(Header, Vec<u8>)> {
        let mut offer = self
            .exchange
            .fetch(peer, &FetchFilter::default())
            .await
            .unwrap()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = offer.content.next_chunk(256 << 10).await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        Some((offer.header, bytes))
    }

    pub(crate) async fn settle(
        &self,
        peer: &Peer,
        delivery: DeliveryId,
        outcome: Outcome,
    ) -> Result<Settled, Refusal> {
        self.exchange
            .settle(
                peer,
                Settle {
                    delivery,
                    round: 0,
                    outcome,
                    reason: "thử".to_owned(),
                    via: "settle",
                    sha256: None,
                },
            )
            .await
    }

    /// Fetches and acknowledges what waits; the codes of statuses, `None` for documents.
    pub(crate) async fn take_all(&self, peer: &Peer) -> Vec<Option<u32>> {
        let mut taken = Vec::new();
        while let Some((header, _)) = self.fetch(peer).await {
            self.settle(peer, header.delivery, Outcome::Acknowledged)
                .await
                .unwrap();
            taken.push(match header.facts {
                exchange::Facts::Document(_) => None,
                exchange::Facts::Status(facts) => Some(facts.code),
            });
        }
        taken
    }
}

fn peers(exchange: &Exchange, keys: &[String]) -> [Peer; 3] {
    [("a", 0), ("b", 1), ("c", 2)].map(|(system, number): (_, usize)| {
        let key = &keys[number];
        exchange
            .authenticate(Credentials::Key { system, key })
            .unwrap()
    })
}

pub(crate) async fn add(exchange: &Exchange, id: &str, agency: &str) -> String {
    let system = NewSystem {
        id: id.to_owned(),
        agencies: vec![agency.to_owned()],
        axis_acknowledges: true,
        with_key: true,
        ..NewSystem::default()
    };
    exchange
        .add_system(&operator(), system)
        .await
        .unwrap()
        .1
        .unwrap()
}

/// A document of `A`'s unless told otherwise.
pub(crate) fn draft(id: &str, to: &[&str]) -> DocumentDraft {
    let to = to.iter().map(|code| Organ::new(*code, None)).collect();
    let date = Date::new(2026, 11, 20).unwrap();
    let mut draft = DocumentDraft::new(Organ::new(A, Some("Sở Nội vụ")), to, "12", "SNV-VP", date);
    draft.document.document_id = Some(id.to_owned());
    draft.document.subject = Some("V/v thử".to_owned());
    draft.attach("a.pdf", "application/pdf", b"%PDF-1.7 thu".to_vec());
    draft
}

pub(crate) fn new(id: &str, to: &[&str]) -> Vec<u8> {
    document(&draft(id, to))
}

pub(crate) fn recall(id: &str, to: &[&str]) -> Vec<u8> {
    let mut draft = draft(id, to);
    draft.document.business.kind = BusinessKind::Recall;
    draft.document.business.reason = Some("Ban hành nhầm".to_owned());
    document(&draft)
}

pub(crate) fn report(code: u8, from: &str, to: &str, id: &str, reason: &str) -> Vec<u8> {
    status(&StatusDraft {
        from: Organ::new(from, None),
        response_for: ResponseFor {
            organ_id: to.into(),
            code: Some("12/SNV-VP".to_owned()),
            promulgation_date: Date::new(2026, 11, 20),
            document_id: Some(id.to_owned()),
        },
        staff: None,
        code: StatusCode::new(code).unwrap(),
        description: (!reason.is_empty()).then(|| reason.to_owned()),
        timestamp: Timestamp::new(2026, 11, 20, 8, 0, 0).unwrap(),
    })
    .unwrap()
}

pub(crate) fn named(refusal: &Refusal) -> (Name, Vec<&str>) {
    let codes = refusal.details.iter().map(|detail| detail.code.as_str());
    (refusal.name, codes.collect())
}
