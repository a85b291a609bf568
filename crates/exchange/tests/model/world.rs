//! The real exchange, on a disk in memory that is taken away under it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exchange::{
    Caller, Credentials, DocumentRef, Exchange, Facts, GroupBy, ImportOrder, NewSystem, Offer,
    Operator, Options, Peer, QueuesAsked, RecallAnswer, Search, Subscription,
};
use journal::disk::Disk;
use journal::disk::sim::{Replay, SimDisk};
use ledger::id::{AgencyId, DeliveryId, PackageId};
use ledger::time::{Clock, Ms};

use crate::event::CODES;
use crate::model::{
    ACKNOWLEDGES, Agency, DeliveryNo, Document, Early, LEASE, Model, PackageNo, SERVED_BY, System,
    What,
};

/// A morning in Vietnam.
const MORNING: Ms = Ms(1_795_309_200_000);
/// How long after that a case begins: nobody sets the clock back so far.
const LATER: i64 = 30 * 86_400_000;
/// How long anything may take to come about.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Why a case fails.
pub(crate) type Wrong = String;

/// All that can be seen of the exchange, in words that the model can say as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Picture {
    packages: Vec<PackageSeen>,
    cells: BTreeMap<(Document, Agency), CellSeen>,
    queues: Vec<QueueSeen>,
    early: Vec<Early>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PackageSeen {
    sender: Agency,
    what: What,
    /// Receiver, state, round.
    deliveries: Vec<(Agency, exchange::DeliveryState, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CellSeen {
    delivery: DeliveryNo,
    state: exchange::DeliveryState,
    round: u32,
    status: Option<u8>,
    recall: Option<&'static str>,
    /// The codes in the order in which they came, and whether the axis made them.
    events: Vec<(u8, bool)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct QueueSeen {
    pending: u64,
    fetched: u64,
    dead: u64,
    lanes: [u64; 4],
    leased: u64,
    paused: bool,
}

impl Picture {
    /// What the model says.
    pub(crate) fn of(model: &Model) -> Self {
        use exchange::DeliveryState as S;
        let deliveries = |package: PackageNo| {
            let of = model.deliveries.range((package, 0)..(package + 1, 0));
            of.map(|((_, to), delivery)| (*to, delivery.state, delivery.round))
                .collect()
        };
        let packages = model.packages.iter().enumerate();
        let packages = packages.map(|(number, package)| PackageSeen {
            sender: package.sender,
            what: package.what.clone(),
            deliveries: deliveries(number),
        });
        let mut cells = BTreeMap::new();
        for document in model.documents() {
            for (agency, package, cell, recall) in model.holders(document) {
                let delivery = &model.deliveries[&(package, agency)];
                let seen = CellSeen {
                    delivery: (package, agency),
                    state: delivery.state,
                    round: delivery.round,
                    status: cell.current(),
                    recall,
                    events: cell.events().to_vec(),
                };
                cells.insert((document.clone(), agency), seen);
            }
        }
        let mut queues = vec![QueueSeen::default(); CODES.len()];
        for (number, delivery) in &model.deliveries {
            let queue = &mut queues[number.1];
            match delivery.state {
                S::Pending => queue.pending += 1,
                S::Fetched => queue.fetched += 1,
                S::Dead => queue.dead += 1,
                _ => {}
            }
            if model.waits(*number) {
                queue.lanes[model.lane_of(*number)] += 1;
            }
        }
        for number in model.leased() {
            queues[number.1].leased += 1;
        }
        for agency in &model.paused_agencies {
            queues[*agency].paused = true;
        }
        let mut early = model.early.clone();
        early.sort();
        Self {
            packages: packages.collect(),
            cells,
            queues,
            early,
        }
    }

    /// The first thing in which they differ.
    pub(crate) fn difference(&self, model: &Self) -> Option<Wrong> {
        if self == model {
            return None;
        }
        for (number, (found, expected)) in self.packages.iter().zip(&model.packages).enumerate() {
            if found != expected {
                return Some(format!("package {number} is {found:?}, not {expected:?}"));
            }
        }
        if self.packages.len() != model.packages.len() {
            let (found, expected) = (self.packages.len(), model.packages.len());
            let last = self
                .packages
                .get(expected)
                .or_else(|| model.packages.get(found));
            return Some(format!("{found} packages, not {expected}: {last:?}"));
        }
        for (at, expected) in &model.cells {
            let found = self.cells.get(at);
            if found != Some(expected) {
                return Some(format!("the cell {at:?} is {found:?}, not {expected:?}"));
            }
        }
        for (agency, (found, expected)) in self.queues.iter().zip(&model.queues).enumerate() {
            if found != expected {
                return Some(format!(
                    "the queue of {agency} is {found:?}, not {expected:?}"
                ));
            }
        }
        Some(format!("{:?} is not {:?}", self.early, model.early))
    }
}

/// A province as it is before anything was sent: copied for each case.
pub(crate) struct Start {
    folder: tempfile::TempDir,
    disk: SimDisk,
    keys: Vec<String>,
}

fn operator() -> Operator {
    Operator {
        person: "Lan".to_owned(),
        ..Operator::default()
    }
}

pub(crate) fn anybody() -> (Operator, Caller) {
    (operator(), Caller::Operator(operator()))
}

/// Everything that was written is there.
fn whole(now: &Replay) -> SimDisk {
    let newest: Vec<usize> = now.choices().iter().map(|choices| choices - 1).collect();
    now.crash(&newest)
}

impl Start {
    pub(crate) async fn new() -> Self {
        // The index is a real database: memory makes its syncs cheap.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = folder.unwrap();
        let disk = SimDisk::new();
        let mut above: VecDeque<&Path> = folder.path().ancestors().collect();
        while let Some(path) = above.pop_back() {
            if let Some(parent) = path.parent() {
                disk.make_folder(path).unwrap();
                disk.sync_folder(parent).unwrap();
            }
        }
        let clock = Clock::standing_at(MORNING);
        let options = options(folder.path(), &disk, &clock, 0);
        let exchange = Exchange::open(options, |_, _| {}).await.unwrap();
        let mut csv = "code,code_2020,name,parent\n".to_owned();
        for (number, code) in CODES.iter().enumerate() {
            csv += &format!("{code},H99.0{number},Sở {number},\n");
        }
        let imported = exchange
            .import_agencies(&operator(), csv.into(), ImportOrder::default())
            .await
            .unwrap();
        assert_eq!(imported.added, 4);
        let mut keys = Vec::new();
        for (system, axis_acknowledges) in ACKNOWLEDGES.into_iter().enumerate() {
            let served = CODES.iter().zip(SERVED_BY);
            let agencies = served.filter(|(_, by)| *by == system);
            let new = NewSystem {
                id: name(system),
                agencies: agencies.map(|(code, _)| (*code).to_owned()).collect(),
                axis_acknowledges,
                with_key: true,
                ..NewSystem::default()
            };
            let (_, key) = exchange.add_system(&operator(), new).await.unwrap();
            keys.push(key.unwrap());
        }
        exchange.close().await;
        Self { folder, disk, keys }
    }
}

/// A system's id.
pub(crate) fn name(system: System) -> String {
    format!("he-thong-{system}")
}

fn options(folder: &Path, disk: &SimDisk, clock: &Clock, unsettled: u32) -> Options {
    let mut options = Options::new(folder.join("data"));
    options.disk = Arc::new(disk.clone());
    options.clock = clock.clone();
    options.segment_size = 320 << 10;
    options.max_unsettled_leases = unsettled;
    options.lease = Duration::from_millis(LEASE);
    options.limits.max_pushes_per_second = 0;
    options
}

/// One life after the other of one province.
pub(crate) struct World<'s> {
    start: &'s Start,
    unsettled: u32,
    pub(crate) disk: SimDisk,
    pub(crate) clock: Clock,
    exchange: Option<Exchange>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) streams: [Option<Subscription>; 3],
    /// The packages in the order of the journal, as far as they were seen.
    pub(crate) ids: Vec<PackageId>,
}

impl<'s> World<'s> {
    /// A province of its own, where a delivery is dead after so many unsettled leases.
    pub(crate) async fn new(start: &'s Start, unsettled: u32) -> Result<Self, Wrong> {
        let mut world = Self {
            start,
            unsettled,
            disk: whole(&start.disk.now()),
            clock: Clock::standing_at(Ms(MORNING.0 + LATER)),
            exchange: None,
            peers: Vec::new(),
            streams: [None, None, None],
            ids: Vec::new(),
        };
        world.lose_index();
        world.open().await?;
        Ok(world)
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        self.exchange.as_ref().expect("it is open between lives")
    }

    async fn open(&mut self) -> Result<(), Wrong> {
        let folder = self.start.folder.path();
        let options = options(folder, &self.disk, &self.clock, self.unsettled);
        let opened = Exchange::open(options, |_, _| {}).await;
        let exchange = opened.map_err(|error| format!("it does not open: {error:?}"))?;
        self.peers.clear();
        for (system, key) in self.start.keys.iter().enumerate() {
            let system = name(system);
            let peer = exchange.authenticate(Credentials::Key {
                system: &system,
                key,
            });
            self.peers
                .push(peer.map_err(|refusal| refusal.to_string())?);
        }
        self.exchange = Some(exchange);
        Ok(())
    }

    fn lose_index(&self) {
        let index = self.start.folder.path().join("data").join("index");
        if index.exists() {
            std::fs::remove_dir_all(index).unwrap();
        }
    }

    /// Ends what runs, in good order as far as its own disk goes.
    pub(crate) async fn close(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.close().await;
        }
        self.streams = [None, None, None];
    }

    /// A stop in good order, and a start.
    pub(crate) async fn restart(&mut self) -> Result<(), Wrong> {
        self.close().await;
        self.open().await
    }

    /// Killed: what was written stands, and the index as it is.
    pub(crate) async fn kill(&mut self) -> Result<(), Wrong> {
        // From here on nothing more is recorded: the next write fails.
        loop {
            self.disk.fail_write(0, std::io::ErrorKind::Other);
            let probe = self.exchange().add_key(&operator(), &name(0), None).await;
            if probe.is_err() {
                break;
            }
        }
        let disk = whole(&self.disk.now());
        self.close().await;
        self.disk = disk;
        self.open().await
    }

    /// A power cut: the index is gone, and of what was not synced, `survive` says what stands.
    pub(crate) async fn cut(&mut self, survive: u64) -> Result<(), Wrong> {
        let now = self.disk.now();
        let mut random = survive;
        let picks = now.choices().into_iter().map(|choices| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(random >> 33).unwrap_or(0) % choices
        });
        let disk = now.crash(&picks.collect::<Vec<_>>());
        self.close().await;
        self.disk = disk;
        self.lose_index();
        self.open().await
    }

    /// The number of a package; of one not seen yet, the next.
    pub(crate) fn number(&self, id: PackageId) -> PackageNo {
        let known = self.ids.iter().position(|known| *known == id);
        known.unwrap_or(self.ids.len())
    }

    pub(crate) fn delivery(&self, (package, to): DeliveryNo) -> DeliveryId {
        DeliveryId::of(self.ids[package], agency_id(to))
    }

    /// The packages in the order of the journal; from here on they have numbers.
    pub(crate) async fn packages(&mut self) -> Result<Vec<exchange::PackageSummary>, Wrong> {
        let (_, everybody) = anybody();
        let all = Search {
            page_size: 1_000,
            ..Search::default()
        };
        let found = self.exchange().search(&everybody, all).await;
        let mut found = found.map_err(|refusal| refusal.to_string())?.items;
        found.reverse();
        let ids: Vec<PackageId> = found.iter().map(|package| package.package).collect();
        if !ids.starts_with(&self.ids) {
            return Err(format!("packages are lost: {:?}, now {ids:?}", self.ids));
        }
        self.ids = ids;
        Ok(found)
    }

    /// All that can be seen.
    pub(crate) async fn picture(&mut self, model: &Model) -> Result<Picture, Wrong> {
        let (_, everybody) = anybody();
        let told = |refusal: exchange::refusal::Refusal| refusal.to_string();
        let found = self.packages().await?;
        let exchange = self.exchange().clone();
        let mut packages = Vec::with_capacity(found.len());
        for package in found {
            let what = match &package.facts {
                Facts::Document(facts) => What::Document {
                    document: (
                        agency(&package.sender.main_code)?,
                        facts.document_key.clone(),
                    ),
                    business: u8::try_from(facts.business).unwrap(),
                },
                Facts::Status(facts) => What::Status {
                    document: (
                        facts.document_sender.unwrap_or(1) as usize - 1,
                        facts.document_key.clone(),
                    ),
                    code: u8::try_from(facts.code).unwrap(),
                    by_axis: facts.made_by_axis,
                },
            };
            let mut deliveries = Vec::new();
            for delivery in &package.deliveries {
                let to = agency(&delivery.receiver.main_code)?;
                deliveries.push((to, delivery.state, delivery.round));
            }
            deliveries.sort_unstable_by_key(|(to, ..)| *to);
            packages.push(PackageSeen {
                sender: agency(&package.sender.main_code)?,
                what,
                deliveries,
            });
        }
        let mut cells = BTreeMap::new();
        for document in model.documents() {
            let asked = DocumentRef::Document {
                sender: CODES[document.0].to_owned(),
                document_id: document.1.clone(),
            };
            // After a crash it may not be there.
            let Ok(matrix) = exchange.matrix(&everybody, asked).await else {
                continue;
            };
            for cell in matrix.cells {
                let at = agency(&cell.receiver.main_code)?;
                let mut packages = 0..self.ids.len();
                let package = packages.find(|no| self.delivery((*no, at)) == cell.delivery);
                let recall = cell.recall.map(|recall| match recall.answer {
                    RecallAnswer::Asked | RecallAnswer::NoAnswer => "asked",
                    RecallAnswer::Agreed => "agreed",
                    RecallAnswer::Refused => "refused",
                });
                let seen = CellSeen {
                    delivery: (package.unwrap_or(usize::MAX), at),
                    state: cell.state,
                    round: cell.round,
                    status: cell.status,
                    recall,
                    events: cell
                        .events
                        .iter()
                        .map(|event| (event.code, event.made_by_axis))
                        .collect(),
                };
                cells.insert((document.clone(), at), seen);
            }
        }
        let asked = QueuesAsked {
            by: GroupBy::Agency,
            all: true,
            ..QueuesAsked::default()
        };
        let mut queues = vec![QueueSeen::default(); CODES.len()];
        for line in exchange.queues(&everybody, &asked).map_err(told)?.items {
            let Some(party) = line.agency else { continue };
            let figures = line.figures;
            queues[agency(&party.main_code)?] = QueueSeen {
                pending: figures.pending,
                fetched: figures.fetched,
                dead: figures.dead,
                lanes: figures.lanes,
                leased: figures.leased,
                paused: false,
            };
        }
        for pause in exchange.pauses() {
            if let Some(party) = pause.agency {
                queues[agency(&party.main_code)?].paused = true;
            }
        }
        let unmatched = exchange.unmatched(&everybody, 0, "").await.map_err(told)?;
        let mut early = Vec::new();
        for status in unmatched.items {
            early.push(Early {
                document: (
                    agency(&status.document_sender.main_code)?,
                    status.document_id,
                ),
                from: agency(&status.from.main_code)?,
                code: status.code,
            });
        }
        early.sort();
        Ok(Picture {
            packages,
            cells,
            queues,
            early,
        })
    }

    /// Waits until the exchange is as the model says: what was begun ends in its own time.
    pub(crate) async fn becomes(&mut self, model: &Model) -> Result<(), Wrong> {
        let expected = Picture::of(model);
        let begun = Instant::now();
        loop {
            let seen = self.picture(model).await?;
            let Some(difference) = seen.difference(&expected) else {
                return Ok(());
            };
            if begun.elapsed() > PATIENCE {
                return Err(format!("it does not become so: {difference}"));
            }
            tokio::task::yield_now().await;
        }
    }

    /// That it is as the model says.
    pub(crate) async fn agrees(&mut self, model: &Model) -> Result<(), Wrong> {
        let seen = self.picture(model).await?;
        seen.difference(&Picture::of(model)).map_or(Ok(()), Err)
    }

    /// The bytes of an offer are those that were sent, or a package of the axis's.
    pub(crate) async fn has_content(
        &self,
        model: &Model,
        package: PackageNo,
        offer: &mut Offer,
    ) -> Result<(), Wrong> {
        let mut bytes = Vec::new();
        loop {
            match offer.content.next_chunk(64 << 10).await {
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(refusal) => return Err(format!("content of package {package}: {refusal}")),
            }
        }
        match &model.packages[package].bytes {
            Some(sent) if *sent == bytes => Ok(()),
            Some(_) => Err(format!("package {package} has other bytes than were sent")),
            None => {
                let reading = edxml::read(bytes.as_slice(), &edxml::Limits::default());
                match reading.refusal() {
                    None => Ok(()),
                    Some(_) => Err(format!("package {package} of the axis cannot be read")),
                }
            }
        }
    }
}

/// The agency of a code.
pub(crate) fn agency(code: &str) -> Result<Agency, Wrong> {
    let number = CODES.iter().position(|known| *known == code);
    number.ok_or_else(|| format!("an agency {code:?} that nobody knows"))
}

fn agency_id(agency: Agency) -> AgencyId {
    AgencyId(u32::try_from(agency).unwrap() + 1)
}
