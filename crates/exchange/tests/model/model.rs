//! The exchange in memory, so plain that it can be read against design sections 5 to 7: maps
//! and vectors, no journal, no index, nothing concurrent.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use exchange::DeliveryState as S;
use exchange::Outcome;
use exchange::refusal::Name;

/// An agency: a number in [`SERVED_BY`].
pub(crate) type Agency = usize;
/// A system: a number in [`ACKNOWLEDGES`].
pub(crate) type System = usize;
/// A package: its number in the order of the journal.
pub(crate) type PackageNo = usize;
/// A delivery: package and receiver.
pub(crate) type DeliveryNo = (PackageNo, Agency);
/// A document: its sender and its DocumentId.
pub(crate) type Document = (Agency, String);

/// Which system serves each agency.
pub(crate) const SERVED_BY: [System; 4] = [0, 1, 2, 2];
/// Whether the axis acknowledges for a system.
pub(crate) const ACKNOWLEDGES: [bool; 3] = [true, true, false];
/// How long a lease lasts, in milliseconds.
pub(crate) const LEASE: u64 = 300_000;
/// What a round serves of each lane.
const SHARES: [u32; 4] = [8, 4, 2, 1];

pub(crate) const FLASH: usize = 0;
pub(crate) const STATUS: usize = 2;

/// The lane of a document of a level.
pub(crate) const fn lane(level: u8) -> usize {
    match level {
        0 => 3,
        1 | 2 => 1,
        _ => FLASH,
    }
}

/// What a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Document {
        document: Document,
        /// 0 to 3: new, recall, update, replacement.
        business: u8,
    },
    Status {
        document: Document,
        code: u8,
        by_axis: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) sender: Agency,
    pub(crate) what: What,
    pub(crate) lane: usize,
    pub(crate) level: u8,
    /// As sent; `None` if the axis made it.
    pub(crate) bytes: Option<Bytes>,
    /// When it came.
    seq: u64,
}

/// Lane, level turned round, when it came, number within the transaction, receiver.
type Place = (usize, u8, u64, u32, Agency);

#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) state: S,
    pub(crate) round: u32,
    /// The receiver has had the content.
    had: bool,
    place: Place,
}

/// What a receiver holds of a document.
#[derive(Debug, Clone)]
struct Copy {
    package: PackageNo,
    bytes: Bytes,
    essence: String,
    recalled: bool,
}

/// Document x receiver.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    seen: BTreeSet<u8>,
    /// When the latest request came, and whether it was a 13.
    request: (u64, bool),
    /// When the latest answer came, and its code.
    answer: (u64, u8),
    own: bool,
    axis_01: bool,
    events: Vec<(u8, bool)>,
}

impl Cell {
    /// The codes in the order in which they came, and whether the axis made them.
    pub(crate) fn events(&self) -> &[(u8, bool)] {
        &self.events
    }

    /// The status that stands.
    pub(crate) fn current(&self) -> Option<u8> {
        if self.answer.1 == 15 && self.answer.0 >= self.request.0 {
            return Some(15);
        }
        if self.request.1 && self.request.0 > self.answer.0 {
            return Some(13);
        }
        [2, 6, 5, 4, 3, 1]
            .into_iter()
            .find(|code| self.seen.contains(code))
    }
}

#[derive(Debug, Clone)]
struct Lease {
    system: System,
    /// When it ends; `None` for a stream's.
    until: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct Tried {
    leases: u32,
    unsettled: u32,
}

/// A status whose document has not come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Early {
    pub(crate) document: Document,
    pub(crate) from: Agency,
    pub(crate) code: u8,
}

/// A document package to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    pub(crate) from: Agency,
    /// Its own DocumentId.
    pub(crate) id: String,
    /// What it recalls, updates or replaces.
    pub(crate) target: Option<String>,
    pub(crate) business: u8,
    pub(crate) to: Vec<Agency>,
    /// Whom an update takes off the list.
    pub(crate) off: Vec<Agency>,
    pub(crate) level: u8,
    /// All that makes two packages the same but for To and TraceHeaderList.
    pub(crate) essence: String,
    pub(crate) bytes: Bytes,
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) package: PackageNo,
    pub(crate) duplicate: bool,
    /// Receiver, the package that it has or gets, whether it had it.
    pub(crate) reached: Vec<(Agency, PackageNo, bool)>,
    /// Warned of: a recall for one who never got the document.
    pub(crate) without: usize,
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) delivery: DeliveryNo,
    pub(crate) round: u32,
    pub(crate) redelivered: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// Unsettled leases after which a delivery is dead.
    unsettled: u32,
    pub(crate) packages: Vec<Package>,
    pub(crate) deliveries: BTreeMap<DeliveryNo, Delivery>,
    copies: BTreeMap<(Document, Agency), Copy>,
    /// Packages of types 1 to 3 under a DocumentId of their own, by receiver.
    repeats: BTreeMap<(Document, Agency), Vec<(PackageNo, Bytes)>>,
    cells: BTreeMap<(Document, Agency), Cell>,
    statuses: BTreeMap<(Agency, Bytes), PackageNo>,
    pub(crate) early: Vec<Early>,
    pub(crate) paused_agencies: BTreeSet<Agency>,
    pub(crate) paused_systems: BTreeSet<System>,
    /// Counts transactions, and deliveries within one.
    seq: u64,
    number: u32,
    // What a crash ends.
    leases: BTreeMap<DeliveryNo, Lease>,
    tried: BTreeMap<DeliveryNo, Tried>,
    turns: [Option<[u32; 4]>; 3],
    pub(crate) streams: [bool; 3],
    now: u64,
}

impl Model {
    /// Before anything was sent, with so many leases until a delivery is dead.
    pub(crate) fn new(unsettled: u32) -> Self {
        Self {
            unsettled,
            ..Self::default()
        }
    }

    fn begin(&mut self) {
        self.seq += 1;
        self.number = 0;
    }

    fn add(
        &mut self,
        sender: Agency,
        what: What,
        lane: usize,
        level: u8,
        bytes: Option<Bytes>,
    ) -> PackageNo {
        self.packages.push(Package {
            sender,
            what,
            lane,
            level,
            bytes,
            seq: self.seq,
        });
        self.packages.len() - 1
    }

    fn deliver(&mut self, package: PackageNo, to: Agency, state: S) {
        let of = &self.packages[package];
        let place = (of.lane, 255 - of.level, self.seq, self.number, to);
        self.number += 1;
        let delivery = Delivery {
            state,
            round: 1,
            had: false,
            place,
        };
        self.deliveries.insert((package, to), delivery);
    }

    fn is_known(&self, document: &Document) -> bool {
        self.copies.keys().any(|(of, _)| of == document)
    }

    /// The documents that somebody holds.
    pub(crate) fn documents(&self) -> BTreeSet<&Document> {
        self.copies.keys().map(|(document, _)| document).collect()
    }

    /// Who holds a document, with the package that brought it and the cell; whether it was taken
    /// back and what was said to that.
    pub(crate) fn holders(
        &self,
        document: &Document,
    ) -> Vec<(Agency, PackageNo, Cell, Option<&'static str>)> {
        let copies = self.copies.iter().filter(|((of, _), _)| of == document);
        copies
            .map(|((_, agency), copy)| {
                let cell = self.cells.get(&(document.clone(), *agency));
                let cell = cell.cloned().unwrap_or_default();
                let answer = match cell.answer {
                    (0, _) => "asked",
                    (at, _) if at < cell.request.0 => "asked",
                    (_, 15) => "agreed",
                    _ => "refused",
                };
                (*agency, copy.package, cell, copy.recalled.then_some(answer))
            })
            .collect()
    }

    /// The delivery that brought a document to somebody.
    pub(crate) fn copy_at(&self, document: &Document, to: Agency) -> Option<DeliveryNo> {
        let copy = self.copies.get(&(document.clone(), to))?;
        Some((copy.package, to))
    }

    /// The document of a delivery that a recall can take back.
    fn document_of(&self, package: PackageNo) -> Option<&Document> {
        match &self.packages[package].what {
            What::Document { document, business } if *business != 1 => Some(document),
            _ => None,
        }
    }

    fn is_recalled(&self, delivery: DeliveryNo) -> bool {
        let document = self.document_of(delivery.0).cloned();
        document
            .and_then(|document| self.copies.get(&(document, delivery.1)))
            .is_some_and(|copy| copy.recalled)
    }

    /// Everything that brought a document to a receiver: the package, and updates under the same
    /// DocumentId.
    fn brought(&self, document: &Document, to: Agency) -> Vec<DeliveryNo> {
        let at = (document.clone(), to);
        let mut packages: Vec<PackageNo> = vec![self.copies[&at].package];
        for (package, _) in self.repeats.get(&at).into_iter().flatten() {
            if self.document_of(*package).is_some() && !packages.contains(package) {
                packages.push(*package);
            }
        }
        packages.into_iter().map(|package| (package, to)).collect()
    }

    /// Whether a receiver has had none of it.
    fn is_unserved(&self, document: &Document, to: Agency) -> bool {
        let mut brought = self.brought(document, to).into_iter();
        !brought.any(|delivery| self.deliveries[&delivery].had)
    }

    fn see_status(&mut self, document: &Document, receiver: Agency, code: u8, by_axis: bool) {
        let at = (document.clone(), receiver);
        let cell = self.cells.entry(at.clone()).or_default();
        cell.seen.insert(code);
        match code {
            13 => cell.request = (self.seq, true),
            15 | 16 => cell.answer = (self.seq, code),
            _ => {}
        }
        cell.axis_01 |= code == 1 && by_axis;
        cell.own |= code != 13 && !by_axis;
        cell.events.push((code, by_axis));
        if code == 13
            && let Some(copy) = self.copies.get_mut(&at)
        {
            copy.recalled = true;
        }
    }

    /// A status that the axis makes in somebody's name.
    fn own_status(&mut self, from: Agency, to: Agency, document: &Document, code: u8, state: S) {
        let lane = if code == 13 { FLASH } else { STATUS };
        let receiver = if code == 13 { to } else { from };
        let what = What::Status {
            document: document.clone(),
            code,
            by_axis: true,
        };
        let package = self.add(from, what, lane, 0, None);
        self.see_status(document, receiver, code, true);
        self.deliver(package, to, state);
    }

    /// What waits is taken back; the axis agrees for one who has had nothing.
    fn take_back(&mut self, document: &Document, from: Agency, unserved: bool) {
        for delivery in self.brought(document, from) {
            let delivery = self.deliveries.get_mut(&delivery).unwrap();
            if matches!(delivery.state, S::Pending | S::Dead) {
                delivery.state = S::Recalled;
            }
        }
        if unserved {
            self.own_status(from, document.0, document, 15, S::Pending);
        }
    }

    fn match_early(&mut self, document: &Document, from: Agency) {
        let early = std::mem::take(&mut self.early);
        for waiting in early {
            if waiting.document == *document && waiting.from == from {
                self.see_status(document, from, waiting.code, false);
            } else {
                self.early.push(waiting);
            }
        }
    }

    /// A document of any type is sent.
    pub(crate) fn send(&mut self, sending: &Sending) -> Result<Receipt, Name> {
        match sending.business {
            0 => self.send_new(sending),
            1 => self.recall(sending),
            _ => self.amend(sending),
        }
    }

    fn add_document(&mut self, sending: &Sending) -> PackageNo {
        let what = What::Document {
            document: (sending.from, sending.id.clone()),
            business: sending.business,
        };
        let lane = if sending.business == 1 {
            FLASH
        } else {
            lane(sending.level)
        };
        let bytes = Some(sending.bytes.clone());
        self.add(sending.from, what, lane, sending.level, bytes)
    }

    fn hold(&mut self, sending: &Sending, package: PackageNo, to: Agency) {
        let at = ((sending.from, sending.id.clone()), to);
        self.copies.entry(at).or_insert_with(|| Copy {
            package,
            bytes: sending.bytes.clone(),
            essence: sending.essence.clone(),
            recalled: false,
        });
    }

    fn send_new(&mut self, sending: &Sending) -> Result<Receipt, Name> {
        let document = (sending.from, sending.id.clone());
        let (mut reached, mut fresh) = (Vec::new(), Vec::new());
        let mut first: Option<(PackageNo, bool)> = None;
        for to in &sending.to {
            let Some(copy) = self.copies.get(&(document.clone(), *to)) else {
                fresh.push(*to);
                continue;
            };
            if copy.recalled {
                return Err(Name::DocumentRecalled);
            }
            let same = copy.bytes == sending.bytes;
            if !same && copy.essence != sending.essence {
                return Err(Name::Conflict);
            }
            if first.is_none() || same {
                first = Some((copy.package, same));
            }
            reached.push((*to, copy.package, true));
        }
        if let (true, Some((package, _))) = (fresh.is_empty(), first) {
            return Ok(Receipt {
                package,
                duplicate: true,
                reached,
                without: 0,
            });
        }
        self.begin();
        // New receivers get the package that is there if the bytes are the same.
        let same = self
            .copies
            .iter()
            .find(|((of, _), copy)| *of == document && copy.bytes == sending.bytes);
        let package = match same.map(|(_, copy)| copy.package) {
            Some(package) => package,
            None => self.add_document(sending),
        };
        for to in fresh {
            self.deliver(package, to, S::Pending);
            self.hold(sending, package, to);
            self.match_early(&document, to);
            reached.push((to, package, false));
        }
        Ok(Receipt {
            package,
            duplicate: false,
            reached,
            without: 0,
        })
    }

    /// The package of these bytes that a receiver has under a DocumentId.
    fn repeated(&self, document: &Document, to: Agency, bytes: &Bytes) -> Option<PackageNo> {
        let repeats = self.repeats.get(&(document.clone(), to))?;
        let same = repeats.iter().find(|(_, had)| had == bytes);
        same.map(|(package, _)| *package)
    }

    fn repeat(&mut self, sending: &Sending, package: PackageNo, to: Agency) {
        let at = ((sending.from, sending.id.clone()), to);
        let repeats = self.repeats.entry(at).or_default();
        repeats.push((package, sending.bytes.clone()));
    }

    fn recall(&mut self, sending: &Sending) -> Result<Receipt, Name> {
        let own = (sending.from, sending.id.clone());
        let target = (sending.from, sending.target.clone().unwrap());
        if !self.is_known(&target) {
            return Err(Name::UnknownDocument);
        }
        let (mut reached, mut fresh, mut without) = (Vec::new(), Vec::new(), 0);
        let new = self.packages.len();
        for to in &sending.to {
            if let Some(package) = self.repeated(&own, *to, &sending.bytes) {
                reached.push((*to, package, true));
            } else if self.copies.contains_key(&(target.clone(), *to)) {
                reached.push((*to, new, false));
                fresh.push((*to, self.is_unserved(&target, *to)));
            } else {
                without += 1;
            }
        }
        let Some((_, first, _)) = reached.first().copied() else {
            return Err(Name::NotAReceiver);
        };
        let duplicate = fresh.is_empty();
        let package = if duplicate { first } else { new };
        if !duplicate {
            self.begin();
            self.add_document(sending);
        }
        for (to, unserved) in &fresh {
            let state = if *unserved { S::Recalled } else { S::Pending };
            self.deliver(package, *to, state);
            self.repeat(sending, package, *to);
            let at = (target.clone(), *to);
            self.cells.entry(at.clone()).or_default().request = (self.seq, false);
            self.copies.get_mut(&at).unwrap().recalled = true;
        }
        for (to, unserved) in fresh {
            self.take_back(&target, to, unserved);
        }
        Ok(Receipt {
            package,
            duplicate,
            reached,
            without,
        })
    }

    /// Who is left out by an update or replacement.
    pub(crate) fn left_out(&self, sending: &Sending) -> Vec<Agency> {
        let Some(target) = &sending.target else {
            return Vec::new();
        };
        let target = (sending.from, target.clone());
        let named: Vec<Agency> = match sending.business {
            2 => sending.off.clone(),
            3 => self
                .holders(&target)
                .iter()
                .map(|holder| holder.0)
                .collect(),
            _ => Vec::new(),
        };
        let held = |agency: &Agency| {
            let copy = self.copies.get(&(target.clone(), *agency));
            copy.is_some_and(|copy| !copy.recalled)
        };
        named
            .into_iter()
            .filter(|agency| !sending.to.contains(agency) && held(agency))
            .collect()
    }

    fn amend(&mut self, sending: &Sending) -> Result<Receipt, Name> {
        let own = (sending.from, sending.id.clone());
        let target = (sending.from, sending.target.clone().unwrap());
        if !self.is_known(&target) {
            return Err(Name::UnknownDocument);
        }
        let (mut reached, mut fresh) = (Vec::new(), Vec::new());
        let new = self.packages.len();
        for to in &sending.to {
            if let Some(package) = self.repeated(&own, *to, &sending.bytes) {
                reached.push((*to, package, true));
                continue;
            }
            if self
                .copies
                .get(&(own.clone(), *to))
                .is_some_and(|copy| copy.recalled)
            {
                return Err(Name::DocumentRecalled);
            }
            reached.push((*to, new, false));
            fresh.push(*to);
        }
        if fresh.is_empty() {
            let package = reached[0].1;
            return Ok(Receipt {
                package,
                duplicate: true,
                reached,
                without: 0,
            });
        }
        let left_out = self.left_out(sending);
        self.begin();
        let package = self.add_document(sending);
        for to in fresh {
            self.deliver(package, to, S::Pending);
            self.hold(sending, package, to);
            self.repeat(sending, package, to);
            let cell = self.cells.entry((target.clone(), to)).or_default();
            cell.request = (self.seq, false);
            self.match_early(&own, to);
        }
        for agency in left_out {
            let unserved = self.is_unserved(&target, agency);
            let state = if unserved { S::Recalled } else { S::Pending };
            self.own_status(sending.from, agency, &target, 13, state);
            self.take_back(&target, agency, unserved);
        }
        Ok(Receipt {
            package,
            duplicate: false,
            reached,
            without: 0,
        })
    }

    /// A status of a system's: `to` is ResponseFor/OrganId.
    pub(crate) fn report(
        &mut self,
        from: Agency,
        to: Agency,
        id: &str,
        code: u8,
        bytes: &Bytes,
    ) -> Result<Receipt, Name> {
        let asks = code == 13;
        let (sender, receiver) = if asks { (from, to) } else { (to, from) };
        let document = (sender, id.to_owned());
        let known = self.is_known(&document);
        let copy = self.copies.get(&(document.clone(), receiver)).cloned();
        match (known, &copy) {
            (true, None) => return Err(Name::NotAReceiver),
            (false, _) if asks => return Err(Name::UnknownDocument),
            _ => {}
        }
        let cell = self.cells.get(&(document.clone(), receiver)).cloned();
        let cell = cell.unwrap_or_default();
        if let Some(first) = self.statuses.get(&(from, bytes.clone())).copied() {
            let came = self.packages[first].seq;
            let answers_anew = matches!(code, 15 | 16) && cell.request.0 > came;
            let asks_anew = asks && cell.answer.1 == 16 && cell.answer.0 > came;
            if !answers_anew && !asks_anew {
                return Ok(Receipt {
                    package: first,
                    duplicate: true,
                    reached: vec![(to, first, true)],
                    without: 0,
                });
            }
        }
        let unserved = asks && self.is_unserved(&document, receiver);
        self.begin();
        let lane = if asks { FLASH } else { STATUS };
        let what = What::Status {
            document: document.clone(),
            code,
            by_axis: false,
        };
        let package = self.add(from, what, lane, 0, Some(bytes.clone()));
        self.statuses.insert((from, bytes.clone()), package);
        if known {
            self.see_status(&document, receiver, code, false);
        } else {
            self.early.push(Early {
                document: document.clone(),
                from,
                code,
            });
        }
        // After the axis's own 01 the receiver's is recorded and not delivered.
        if !(code == 1 && cell.axis_01) {
            let state = if unserved { S::Recalled } else { S::Pending };
            self.deliver(package, to, state);
        }
        if asks {
            self.take_back(&document, receiver, unserved);
        }
        if code == 15 && copy.is_some_and(|copy| copy.recalled) {
            for delivery in self.brought(&document, from) {
                let delivery = self.deliveries.get_mut(&delivery).unwrap();
                if matches!(
                    delivery.state,
                    S::Pending | S::Fetched | S::Failed | S::Dead
                ) {
                    delivery.state = S::Recalled;
                }
            }
        }
        Ok(Receipt {
            package,
            duplicate: false,
            reached: vec![(to, package, false)],
            without: 0,
        })
    }

    fn is_paused(&self, agency: Agency) -> bool {
        self.paused_agencies.contains(&agency) || self.paused_systems.contains(&SERVED_BY[agency])
    }

    /// What waits for an agency, by lane, and whether it is in somebody's hands.
    pub(crate) fn waits(&self, delivery: DeliveryNo) -> bool {
        matches!(self.deliveries[&delivery].state, S::Pending | S::Fetched)
            && !self.is_recalled(delivery)
    }

    pub(crate) fn is_leased(&self, delivery: DeliveryNo) -> bool {
        self.leases.contains_key(&delivery)
    }

    /// What may be offered to a system now, in the order of serving.
    pub(crate) fn on_offer(&self, system: System, only: Option<Agency>) -> Vec<DeliveryNo> {
        let all = self.deliveries.iter();
        let mut found: Vec<(Place, DeliveryNo)> = all
            .filter(|((_, to), _)| {
                SERVED_BY[*to] == system
                    && only.is_none_or(|only| only == *to)
                    && !self.is_paused(*to)
            })
            .filter(|(delivery, _)| self.waits(**delivery) && !self.is_leased(**delivery))
            .map(|(number, delivery)| (delivery.place, *number))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, number)| number).collect()
    }

    pub(crate) fn lane_of(&self, delivery: DeliveryNo) -> usize {
        self.packages[delivery.0].lane
    }

    /// Where it stands in its lane: by level, then by when it came.
    pub(crate) fn came(&self, delivery: DeliveryNo) -> (u8, u64) {
        let place = self.deliveries[&delivery].place;
        (place.1, place.2)
    }

    /// It goes out: leased, and fetched.
    pub(crate) fn offer(&mut self, number: DeliveryNo, until: Option<u64>) -> Offered {
        let system = SERVED_BY[number.1];
        self.leases.insert(number, Lease { system, until });
        let tried = self.tried.entry(number).or_default();
        tried.leases += 1;
        let leases = tried.leases;
        self.begin();
        let delivery = self.deliveries.get_mut(&number).unwrap();
        let redelivered = leases > 1 || delivery.state == S::Fetched;
        delivery.state = S::Fetched;
        delivery.had = true;
        Offered {
            delivery: number,
            round: delivery.round,
            redelivered,
        }
    }

    pub(crate) fn fetch(&mut self, system: System, only: Option<Agency>) -> Option<Offered> {
        let on_offer = self.on_offer(system, only);
        let first = |lane| {
            on_offer
                .iter()
                .find(|number| self.lane_of(**number) == lane)
        };
        let left = self.turns[system].unwrap_or(SHARES);
        let with = (0..4).filter(|lane| left[*lane] > 0);
        let order: Vec<usize> = with.chain((0..4).filter(|lane| left[*lane] == 0)).collect();
        let Some((lane, number)) = order
            .into_iter()
            .find_map(|lane| Some((lane, *first(lane)?)))
        else {
            self.turns[system] = None;
            return None;
        };
        let left = self.turns[system].get_or_insert(SHARES);
        if left[lane] == 0 {
            *left = SHARES;
        }
        left[lane] -= 1;
        Some(self.offer(number, Some(self.now + LEASE)))
    }

    /// A lease ends unsettled.
    fn end_lease(&mut self, number: DeliveryNo) {
        self.leases.remove(&number);
        let tried = self.tried.entry(number).or_default();
        tried.unsettled += 1;
        if tried.unsettled >= self.unsettled {
            self.tried.remove(&number);
            let delivery = self.deliveries.get_mut(&number).unwrap();
            if matches!(delivery.state, S::Pending | S::Fetched) {
                delivery.state = S::Dead;
            }
        }
    }

    /// The round is over.
    fn forget(&mut self, number: DeliveryNo) {
        self.leases.remove(&number);
        self.tried.remove(&number);
    }

    /// The state after it, and whether it changed.
    pub(crate) fn settle(
        &mut self,
        number: DeliveryNo,
        system: System,
        outcome: Outcome,
        round: u32,
    ) -> Result<(S, bool), Name> {
        if SERVED_BY[number.1] != system {
            return Err(Name::ForeignDelivery);
        }
        let delivery = self.deliveries.get_mut(&number).unwrap();
        let before = delivery.state;
        if outcome == Outcome::Released {
            if self.is_leased(number) {
                self.end_lease(number);
            }
            return Ok((before, false));
        }
        if round != 0 && round != delivery.round {
            return Ok((before, false));
        }
        let end = if outcome == Outcome::Acknowledged {
            S::Acknowledged
        } else {
            S::Failed
        };
        match before {
            S::Pending | S::Fetched => {}
            same if same == end => {
                self.forget(number);
                return Ok((end, false));
            }
            S::Recalled => return Err(Name::Recalled),
            _ => return Err(Name::WrongState),
        }
        delivery.state = end;
        delivery.had = true;
        self.begin();
        self.forget(number);
        let document = self.document_of(number.0).cloned();
        if let (S::Acknowledged, Some(document), true) = (end, document, ACKNOWLEDGES[system]) {
            let cell = self.cells.get(&(document.clone(), number.1));
            if !cell.is_some_and(|cell| cell.own || cell.axis_01) {
                self.own_status(number.1, document.0, &document, 1, S::Pending);
            }
        }
        Ok((end, true))
    }

    pub(crate) fn extend(&mut self, number: DeliveryNo, system: System) -> Result<(), Name> {
        let until = self.now + LEASE;
        let lease = self.leases.get_mut(&number);
        let lease = lease.filter(|lease| lease.system == system);
        let lease = lease.ok_or(Name::NotFound)?;
        lease.until = lease.until.map(|before| before.max(until));
        Ok(())
    }

    pub(crate) fn download(&mut self, number: DeliveryNo, system: System) -> Result<u32, Name> {
        if SERVED_BY[number.1] != system {
            return Err(Name::ForeignDelivery);
        }
        let (paused, recalled) = (self.is_paused(number.1), self.is_recalled(number));
        let delivery = self.deliveries.get_mut(&number).unwrap();
        match delivery.state {
            S::Pending if paused => return Err(Name::WrongState),
            S::Recalled => return Err(Name::Recalled),
            _ if recalled => return Err(Name::Recalled),
            S::Pending => {
                delivery.state = S::Fetched;
                delivery.had = true;
                self.seq += 1;
            }
            S::Fetched | S::Acknowledged => {}
            _ => return Err(Name::WrongState),
        }
        Ok(self.deliveries[&number].round)
    }

    /// A new round of every settled delivery of a package: how many were opened.
    pub(crate) fn redeliver(&mut self, package: PackageNo) -> usize {
        let mut opened = 0;
        for to in 0..SERVED_BY.len() {
            let number = (package, to);
            let recalled = self.deliveries.contains_key(&number) && self.is_recalled(number);
            let Some(delivery) = self.deliveries.get_mut(&number) else {
                continue;
            };
            if recalled || !matches!(delivery.state, S::Acknowledged | S::Failed) {
                continue;
            }
            delivery.state = S::Pending;
            delivery.round += 1;
            self.seq += 1;
            self.forget(number);
            opened += 1;
        }
        opened
    }

    /// Whether a dead delivery was retried or dropped.
    pub(crate) fn revive(&mut self, number: DeliveryNo, retry: bool) -> bool {
        let recalled = self.is_recalled(number);
        let delivery = self.deliveries.get_mut(&number).unwrap();
        if delivery.state != S::Dead || (retry && recalled) {
            return false;
        }
        delivery.state = if retry { S::Pending } else { S::Dropped };
        self.seq += 1;
        self.forget(number);
        true
    }

    pub(crate) fn detach(&mut self, system: System) {
        self.streams[system] = false;
        let held = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.system == system && lease.until.is_none());
        let held: Vec<DeliveryNo> = held.map(|(number, _)| *number).collect();
        held.into_iter().for_each(|number| self.end_lease(number));
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now += ms;
        let now = self.now;
        let over = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.until.is_some_and(|until| until <= now));
        let over: Vec<DeliveryNo> = over.map(|(number, _)| *number).collect();
        over.into_iter().for_each(|number| self.end_lease(number));
    }

    /// The process ends, one way or another: what lives in memory only is gone.
    pub(crate) fn end(&mut self) {
        self.leases.clear();
        self.tried.clear();
        self.turns = [None; 3];
        self.streams = [false; 3];
    }

    /// What is in somebody's hands.
    pub(crate) fn leased(&self) -> impl Iterator<Item = DeliveryNo> {
        self.leases.keys().copied()
    }
}
