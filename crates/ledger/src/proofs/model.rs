//! The ledger against a model so plain that it can be seen to be right: maps in memory, no
//! layers, no index, nothing pure. And its derived state, however it was made.

use std::collections::{BTreeMap, BTreeSet};

use journal::disk::Disk;
use proptest::prelude::*;
use proptest::sample::select;

use super::world::{
    acknowledge, agency, change, delivery, document, document_key, id, recall, status, system,
    typed,
};
use super::{Answer, Desk};
use crate::checkpoint;
use crate::command::{Command, CommitError, Committed, Conflict};
use crate::event::{AgencyState, DeliveryState as S};
use crate::fact::{Change, Step, step};
use crate::id::{AgencyId, PackageId};
use crate::index::Index;
use crate::registry::Registry;
use crate::rows::{self, CellRow, HolderRow, View, read};
use crate::time::Ms;

/// What somebody wants; small numbers, so that things meet.
#[derive(Debug, Clone)]
enum Want {
    Document {
        sender: u32,
        key: u8,
        to: BTreeSet<u32>,
        bytes: u8,
        shown: u8,
    },
    Update {
        sender: u32,
        key: u8,
        to: BTreeSet<u32>,
        bytes: u8,
    },
    Recall {
        sender: u32,
        key: u8,
        to: BTreeSet<u32>,
        again: u8,
    },
    Status {
        from: u32,
        to: u32,
        key: u8,
        code: u32,
        bytes: u8,
    },
    Change {
        package: usize,
        to: u32,
        change: Change,
        round: Option<u32>,
        answers: bool,
    },
    Agency {
        agency: u32,
        code: u8,
        state: AgencyState,
    },
    System {
        system: u8,
        agencies: BTreeSet<u32>,
    },
}

fn want() -> impl Strategy<Value = Want> {
    let who = || 1_u32..4;
    let to = || prop::collection::btree_set(1_u32..6, 1..4);
    let states = || select(vec![AgencyState::Active, AgencyState::Closed]);
    let changes = select(Change::ALL.to_vec());
    prop_oneof![
        4 => (who(), 0_u8..4, to(), 0_u8..3, 0_u8..2).prop_map(|(sender, key, to, bytes, shown)| {
            Want::Document { sender, key, to, bytes, shown }
        }),
        1 => (who(), 0_u8..4, to(), 0_u8..2)
            .prop_map(|(sender, key, to, bytes)| Want::Update { sender, key, to, bytes }),
        1 => (who(), 0_u8..4, to(), 0_u8..2)
            .prop_map(|(sender, key, to, again)| Want::Recall { sender, key, to, again }),
        3 => (1_u32..6, who(), 0_u8..4, select(vec![1_u32, 2, 3, 5, 6, 15, 16]), 0_u8..2)
            .prop_map(|(from, to, key, code, bytes)| Want::Status { from, to, key, code, bytes }),
        8 => (0_usize..40, 1_u32..6, changes, prop::option::weighted(0.3, 1_u32..3), any::<bool>())
            .prop_map(|(package, to, change, round, answers)| {
                Want::Change { package, to, change, round, answers }
            }),
        1 => (1_u32..6, 0_u8..4, states())
            .prop_map(|(agency, code, state)| Want::Agency { agency, code, state }),
        1 => (0_u8..3, to()).prop_map(|(system, agencies)| Want::System { system, agencies }),
    ]
}

type Document = (u32, u8);

#[derive(Debug, Clone, PartialEq)]
struct Delivery {
    state: S,
    round: u32,
    had: bool,
    about: Option<(u32, u8)>,
    recall: bool,
}

/// A receiver's copy of a document.
#[derive(Debug, Clone)]
struct Copy {
    package: PackageId,
    bytes: String,
    recalled: bool,
    /// Packages of later types under the same key: all, and the SHA-256 texts.
    more: Vec<(PackageId, String)>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Cell {
    seen: BTreeSet<u32>,
    own: bool,
    axis_01: bool,
}

#[derive(Default)]
struct Model {
    deliveries: BTreeMap<(PackageId, u32), Delivery>,
    copies: BTreeMap<(Document, u32), Copy>,
    cells: BTreeMap<(Document, u32), Cell>,
    recalls: BTreeMap<(u32, String, u32), PackageId>,
    statuses: BTreeMap<(u32, String), PackageId>,
    /// (document, from, code)
    early: Vec<(Document, u32, u32)>,
    /// For the newest-request rule of 15 and 16: when the cell was asked, when the status came.
    asked: BTreeMap<(Document, u32), usize>,
    came: BTreeMap<(u32, String), usize>,
    now: usize,
    agencies: BTreeMap<u32, (u8, AgencyState)>,
    systems: BTreeMap<u8, BTreeSet<u32>>,
    serves: BTreeMap<u32, u8>,
    packages: BTreeSet<PackageId>,
}

fn key(key: u8) -> String {
    format!("K{key}")
}

fn essence(bytes: &str) -> &str {
    bytes.split('|').next().unwrap()
}

impl Model {
    fn deliver(&mut self, package: PackageId, to: u32, about: Option<Document>, recall: bool) {
        let delivery = Delivery {
            state: S::Pending,
            round: 1,
            had: false,
            about,
            recall,
        };
        self.deliveries.insert((package, to), delivery);
    }

    fn match_early(&mut self, document: Document, to: u32) {
        let (found, early): (Vec<_>, Vec<_>) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(|(early, from, _)| *early == document && *from == to);
        self.early = early;
        for (_, _, code) in found {
            let cell = self.cells.entry((document, to)).or_default();
            cell.seen.insert(code);
            cell.own = true;
        }
    }

    fn document(
        &mut self,
        id: PackageId,
        document: Document,
        to: &BTreeSet<u32>,
        bytes: &str,
    ) -> Result<bool, &'static str> {
        for to in to {
            let Some(copy) = self.copies.get(&(document, *to)) else {
                continue;
            };
            if copy.recalled {
                return Err("recalled");
            }
            if essence(&copy.bytes) != essence(bytes) {
                return Err("other");
            }
        }
        let fresh: Vec<u32> = to
            .iter()
            .copied()
            .filter(|to| !self.copies.contains_key(&(document, *to)))
            .collect();
        if fresh.is_empty() {
            return Ok(false);
        }
        let same = self
            .copies
            .iter()
            .find(|((of, _), copy)| *of == document && copy.bytes == bytes)
            .map(|(_, copy)| copy.package);
        let package = same.unwrap_or(id);
        self.packages.insert(package);
        for to in fresh {
            self.deliver(package, to, Some(document), false);
            let copy = Copy {
                package,
                bytes: bytes.to_owned(),
                recalled: false,
                more: Vec::new(),
            };
            self.copies.insert((document, to), copy);
            self.match_early(document, to);
        }
        Ok(true)
    }

    fn update(
        &mut self,
        id: PackageId,
        document: Document,
        to: &BTreeSet<u32>,
        bytes: &str,
    ) -> Result<bool, &'static str> {
        if !self.copies.keys().any(|(of, _)| *of == document) {
            return Err("unknown");
        }
        let mut fresh = Vec::new();
        for to in to {
            let copy = self.copies.get(&(document, *to));
            if copy.is_some_and(|copy| copy.more.iter().any(|(_, had)| had == bytes)) {
                continue;
            }
            if copy.is_some_and(|copy| copy.recalled) {
                return Err("recalled");
            }
            fresh.push(*to);
        }
        if fresh.is_empty() {
            return Ok(false);
        }
        self.packages.insert(id);
        for to in fresh {
            self.deliver(id, to, Some(document), false);
            let copy = self.copies.entry((document, to)).or_insert_with(|| Copy {
                package: id,
                bytes: bytes.to_owned(),
                recalled: false,
                more: Vec::new(),
            });
            copy.more.push((id, bytes.to_owned()));
            self.asked.insert((document, to), self.now);
            self.match_early(document, to);
        }
        Ok(true)
    }

    fn recall(
        &mut self,
        id: PackageId,
        own: u32,
        document: Document,
        to: &BTreeSet<u32>,
        bytes: &str,
    ) -> Result<bool, &'static str> {
        if !self.copies.keys().any(|(of, _)| *of == document) {
            return Err("unknown");
        }
        let mut new = false;
        let mut reached = false;
        for (to, own) in to.iter().zip(own..) {
            if self
                .recalls
                .contains_key(&(document.0, bytes.to_owned(), *to))
            {
                reached = true;
                continue;
            }
            let Some(copy) = self.copies.get_mut(&(document, *to)) else {
                continue;
            };
            (new, reached) = (true, true);
            copy.recalled = true;
            self.recalls.insert((document.0, bytes.to_owned(), *to), id);
            let mut packages = vec![copy.package];
            packages.extend(copy.more.iter().map(|(package, _)| *package));
            let mut had = false;
            for package in packages {
                let delivery = self.deliveries.get_mut(&(package, *to)).unwrap();
                had |= delivery.had || matches!(delivery.state, S::Forwarding | S::Forwarded);
                if matches!(delivery.state, S::Held | S::Pending | S::Dead) {
                    delivery.state = S::Recalled;
                }
            }
            self.asked.insert((document, *to), self.now);
            self.deliver(id, *to, None, true);
            if !had {
                self.deliveries.get_mut(&(id, *to)).unwrap().state = S::Recalled;
                self.cells
                    .entry((document, *to))
                    .or_default()
                    .seen
                    .insert(15);
                let own = super::world::id(own);
                self.packages.insert(own);
                self.deliver(own, document.0, None, true);
            }
        }
        if new {
            self.packages.insert(id);
        } else if !reached {
            return Err("not a receiver");
        }
        Ok(new)
    }

    fn status(
        &mut self,
        id: PackageId,
        from: u32,
        document: Document,
        code: u32,
        bytes: &str,
    ) -> Result<bool, &'static str> {
        let known = self.copies.keys().any(|(of, _)| *of == document);
        let copy = self.copies.get(&(document, from)).cloned();
        if known && copy.is_none() {
            return Err("not a receiver");
        }
        let name = (from, bytes.to_owned());
        if let Some(came) = self.came.get(&name) {
            let asked = self.asked.get(&(document, from)).copied().unwrap_or(0);
            if !(matches!(code, 15 | 16) && asked > *came) {
                return Ok(false);
            }
        }
        self.came.insert(name.clone(), self.now);
        self.statuses.insert(name, id);
        self.packages.insert(id);
        let after_axis = self
            .cells
            .get(&(document, from))
            .is_some_and(|cell| cell.axis_01);
        if !(code == 1 && after_axis) {
            self.deliver(id, document.0, None, true);
        }
        if !known {
            self.early.push((document, from, code));
            return Ok(true);
        }
        let cell = self.cells.entry((document, from)).or_default();
        cell.seen.insert(code);
        cell.own = true;
        if let Some(copy) = copy.filter(|copy| code == 15 && copy.recalled) {
            let more = copy.more.iter().map(|(package, _)| *package);
            for package in std::iter::once(copy.package).chain(more) {
                let delivery = self.deliveries.get_mut(&(package, from)).unwrap();
                if let Step::To(to) = step(delivery.state, Change::Recalled) {
                    delivery.state = to;
                }
            }
        }
        Ok(true)
    }

    fn change(
        &mut self,
        package: PackageId,
        to: u32,
        change: Change,
        round: Option<u32>,
        own: Option<u32>,
    ) -> Result<bool, &'static str> {
        let Some(delivery) = self.deliveries.get_mut(&(package, to)) else {
            return Err("not found");
        };
        if round.is_some_and(|round| round != delivery.round) {
            return Ok(false);
        }
        let recalled = delivery
            .about
            .and_then(|about| self.copies.get(&(about, to)))
            .is_some_and(|copy| copy.recalled);
        let serves = [
            Change::Fetched,
            Change::Redelivered,
            Change::Released,
            Change::Retried,
        ];
        if serves.contains(&change) && recalled {
            return Err("delivery recalled");
        }
        match step(delivery.state, change) {
            Step::To(state) => delivery.state = state,
            Step::Same => return Ok(false),
            Step::RefusedRecalled => return Err("delivery recalled"),
            Step::RefusedState => return Err("state"),
        }
        delivery.round += u32::from(change == Change::Redelivered);
        delivery.had |= [Change::Fetched, Change::Acknowledged, Change::Failed].contains(&change);
        if change == Change::Acknowledged
            && let (Some(own), Some(document), false) = (own, delivery.about, delivery.recall)
        {
            let cell = self.cells.entry((document, to)).or_default();
            if !cell.own && !cell.axis_01 {
                cell.axis_01 = true;
                cell.seen.insert(1);
                let own = super::world::id(own);
                self.packages.insert(own);
                self.deliver(own, document.0, None, true);
            }
        }
        Ok(true)
    }
}

/// The command for a want, and what the model says to it.
fn put(
    model: &mut Model,
    registry: &Registry,
    want: &Want,
    n: u32,
) -> (Command, Result<bool, &'static str>) {
    let (new, own) = (id(n * 10), n * 10 + 1);
    model.now += 1;
    match want {
        Want::Document {
            sender,
            key: k,
            to,
            bytes,
            shown,
        } => {
            let text = format!("document {sender} {k} {bytes}|{shown}");
            let list: Vec<u32> = to.iter().copied().collect();
            let accept = document(new, *sender, &key(*k), &list, &text);
            let said = model.document(new, (*sender, *k), to, &text);
            (Command::Accept(Box::new(accept)), said)
        }
        Want::Update {
            sender,
            key: k,
            to,
            bytes,
        } => {
            let text = format!("update {sender} {k} {bytes}");
            let list: Vec<u32> = to.iter().copied().collect();
            let name = key(*k);
            let accept = typed(new, *sender, &name, &list, &text, 2, &[&name]);
            let said = model.update(new, (*sender, *k), to, &text);
            (Command::Accept(Box::new(accept)), said)
        }
        Want::Recall {
            sender,
            key: k,
            to,
            again,
        } => {
            let list: Vec<u32> = to.iter().copied().collect();
            let name = format!("R{k}-{again}");
            let accept = recall(new, *sender, &name, &key(*k), &list, own);
            let said = model.recall(new, own, (*sender, *k), to, &name);
            (Command::Accept(Box::new(accept)), said)
        }
        Want::Status {
            from,
            to,
            key: k,
            code,
            bytes,
        } => {
            let text = format!("status {from} {to} {k} {code} {bytes}");
            let accept = status(new, *from, *to, &key(*k), *code, &text);
            let said = model.status(new, *from, (*to, *k), *code, &text);
            (Command::Accept(Box::new(accept)), said)
        }
        Want::Change {
            package,
            to,
            change: what,
            round,
            answers,
        } => {
            let known = model.deliveries.keys().copied().collect::<Vec<_>>();
            let (package, to) = match known.get(package % (known.len() + 1)) {
                Some(known) => *known,
                None => (new, *to),
            };
            let about = model.deliveries.get(&(package, to)).and_then(|d| d.about);
            let own = about.filter(|_| *answers).map(|_| own);
            let mut command = match (what, own, about) {
                (Change::Acknowledged, Some(own), Some((sender, k))) => {
                    acknowledge(package, to, sender, &key(k), own)
                }
                _ => change(delivery(package, to), *what),
            };
            command.round = *round;
            let said = model.change(package, to, *what, *round, own);
            (Command::Change(Box::new(command)), said)
        }
        Want::Agency {
            agency: a,
            code,
            state,
        } => {
            model.agencies.insert(*a, (*code, *state));
            let facts = vec![agency(*a, &format!("c{code}"), *state)];
            (
                Command::Register {
                    version: registry.version(),
                    facts,
                },
                Ok(true),
            )
        }
        Want::System {
            system: s,
            agencies,
        } => {
            let before = model
                .systems
                .insert(*s, agencies.clone())
                .unwrap_or_default();
            // One at a time: who is named newly serves from now on.
            for agency in before.difference(agencies) {
                if model.serves.get(agency) == Some(s) {
                    model.serves.remove(agency);
                }
            }
            model
                .serves
                .extend(agencies.difference(&before).map(|agency| (*agency, *s)));
            let list: Vec<u32> = agencies.iter().copied().collect();
            let facts = vec![system(&format!("s{s}"), &list)];
            (
                Command::Register {
                    version: registry.version(),
                    facts,
                },
                Ok(true),
            )
        }
    }
}

fn agrees(answer: &Answer, said: Result<bool, &'static str>) -> bool {
    match (answer, said) {
        (Ok(Committed::Accepted(accepted)), Ok(new)) => accepted.anchor.is_some() == new,
        (Ok(Committed::Changed { changed, .. }), Ok(new)) => *changed == new,
        (Ok(Committed::Recorded), Ok(true)) => true,
        (Err(CommitError::Conflict(conflict)), Err(said)) => {
            said == match conflict {
                Conflict::OtherContent { .. } => "other",
                Conflict::DocumentRecalled { .. } => "recalled",
                Conflict::UnknownDocument { .. } => "unknown",
                Conflict::NotAReceiver { .. } => "not a receiver",
                Conflict::NotFound => "not found",
                Conflict::WrongState { .. } => "state",
                Conflict::Recalled => "delivery recalled",
                _ => "?",
            }
        }
        _ => false,
    }
}

/// The counts are those of somebody who counts everything anew.
fn check_tallies(open: &crate::open::Open) {
    let mut naive: BTreeMap<(AgencyId, usize), ([u64; 6], Option<i64>)> = BTreeMap::new();
    let mut dead = Vec::new();
    for (place, delivery) in open.iter() {
        let (counts, oldest) = naive
            .entry((place.receiver, place.lane_number()))
            .or_default();
        match delivery.state() {
            S::Held => counts[0] += 1,
            S::Pending => counts[1] += 1,
            S::Fetched => counts[2] += 1,
            S::Forwarding => counts[3] += 1,
            S::Dead => {
                counts[4] += 1;
                dead.push(*place);
            }
            other => panic!("{other:?} is not open"),
        }
        if delivery.is_deliverable() {
            counts[5] += 1;
            let at = delivery.accepted_at.0.div_euclid(1_000) * 1_000;
            *oldest = Some(oldest.map_or(at, |oldest: i64| oldest.min(at)));
        }
    }
    let mut kept = BTreeMap::new();
    for (receiver, tally) in open.tallies().iter() {
        for (lane, of) in tally.iter().enumerate().filter(|(_, of)| of.open() > 0) {
            let counts = [
                of.held,
                of.pending,
                of.fetched,
                of.forwarding,
                of.dead,
                of.waiting,
            ];
            kept.insert(
                (receiver, lane),
                (counts, of.oldest().map(|oldest| oldest.0)),
            );
        }
    }
    assert_eq!(kept, naive);
    assert!(open.tallies().dead(None).eq(dead.iter()));
    for (number, place) in dead.iter().enumerate() {
        assert_eq!(crate::open::Place::from_token(&place.token()), Some(*place));
        let rest = open.tallies().dead(Some(*place));
        assert!(rest.eq(dead[number + 1..].iter()));
    }
}

/// The rows, the open deliveries and the registry are what the model says.
fn check(desk: &Desk, model: &Model) {
    let view = &desk.state;
    let rows = view.scan(b"D");
    assert_eq!(rows.len(), model.deliveries.len());
    let mut open = BTreeSet::new();
    for ((package, to), expected) in &model.deliveries {
        let row: rows::DeliveryRow = read(view, &rows::delivery(delivery(*package, *to))).unwrap();
        let found = (row.state(), row.round, row.fetched);
        assert_eq!(
            found,
            (expected.state, expected.round, expected.had),
            "{package} to {to}"
        );
        if crate::fold::is_open(expected.state) {
            open.insert((*to, *package, expected.state, expected.round));
        }
    }
    let found: BTreeSet<_> = view
        .open()
        .iter()
        .map(|(place, open)| {
            (
                place.receiver.0,
                open.package,
                open.state(),
                u32::from(open.round),
            )
        })
        .collect();
    assert_eq!(found, open);
    check_tallies(&view.open());
    let packages: Vec<_> = view
        .scan(b"P")
        .into_iter()
        .map(|(key, _)| key[1..].to_vec())
        .collect();
    let expected: Vec<_> = model
        .packages
        .iter()
        .map(|id| id.as_bytes().to_vec())
        .collect();
    assert_eq!(packages, expected);
    for (((sender, k), to), copy) in &model.copies {
        let document = document_key(*sender, &key(*k));
        let holder: HolderRow = read(view, &rows::holder(document, AgencyId(*to))).unwrap();
        assert_eq!(holder.package, copy.package.as_bytes());
        assert_eq!(!holder.recalled_by.is_empty(), copy.recalled);
    }
    assert_eq!(view.scan(b"H").len(), model.copies.len());
    for (((sender, k), to), expected) in &model.cells {
        let document = document_key(*sender, &key(*k));
        let cell: CellRow = read(view, &rows::cell(document, AgencyId(*to))).unwrap_or_default();
        let found = Cell {
            seen: (0..64)
                .filter(|code| cell.seen & (1 << code) != 0)
                .collect(),
            own: cell.own,
            axis_01: cell.axis_01,
        };
        assert_eq!(&found, expected, "cell of {sender} {k} at {to}");
    }
    assert_eq!(view.scan(b"M").len(), model.early.len());
    let registry = view.registry();
    for code in 0..4 {
        let claims = model.agencies.iter().filter(|(_, (of, _))| *of == code);
        let best = claims.min_by_key(|(id, (_, state))| (*state == AgencyState::Closed, **id));
        assert_eq!(
            registry.resolve(&format!("C{code}")),
            best.map(|(id, _)| AgencyId(*id))
        );
    }
    for agency in 1..6 {
        let of = registry
            .systems_of(AgencyId(agency))
            .iter()
            .map(ToString::to_string);
        let systems = model.serves.get(&agency);
        let expected: Vec<_> = systems.iter().map(|s| format!("s{s}")).collect();
        assert_eq!(of.collect::<Vec<_>>(), expected);
    }
}

/// All that is derived.
type Derived = (
    BTreeMap<rows::Key, Vec<u8>>,
    crate::open::Open,
    crate::event::RegistrySaved,
    u32,
    Option<journal::Anchor>,
);

fn derived(desk: &Desk) -> Derived {
    let registry = desk.state.registry();
    (
        desk.dump(),
        desk.state.open().clone(),
        registry.saved(),
        registry.last_agency(),
        desk.state.last(),
    )
}

fn write_checkpoint(desk: &Desk) {
    let (state, last) = (&desk.state, desk.state.last().unwrap());
    let bytes = checkpoint::encode(last, &state.open(), &state.registry(), None, Ms(1));
    checkpoint::write(&desk.disk, desk.folder.path(), &bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_state_is_what_a_naive_model_says_however_it_was_made(
        wants in prop::collection::vec(want(), 20..120),
        batch in 1_usize..9,
        write_at in 0_usize..120,
        save_at in 0_usize..120,
    ) {
        let mut desk = Desk::new();
        let mut model = Model::default();
        let mut n = 0;
        for (number, wants) in wants.chunks(batch).enumerate() {
            let (mut commands, mut said) = (Vec::new(), Vec::new());
            // A change of the registry rests on its version: one in a batch.
            let registry = desk.state.registry();
            let mut registered = false;
            for want in wants {
                if matches!(want, Want::Agency { .. } | Want::System { .. })
                    && std::mem::replace(&mut registered, true)
                {
                    continue;
                }
                n += 1;
                let (command, expected) = put(&mut model, &registry, want, n);
                commands.push(command);
                said.push(expected);
            }
            for (answer, said) in desk.run(commands).iter().zip(said) {
                prop_assert!(agrees(answer, said), "{answer:?}, expected {said:?}");
            }
            if number == write_at / batch {
                desk.state.write_index().unwrap();
            }
            if number == save_at / batch && desk.state.last().is_some() {
                write_checkpoint(&desk);
            }
        }
        check(&desk, &model);
        let live = derived(&desk);
        let root = desk.folder.path().to_owned();

        // After the end of the process: index and checkpoint are where they were.
        let mut desk = desk.reopen();
        prop_assert_eq!(&derived(&desk), &live);
        check(&desk, &model);
        // Everything from the journal alone.
        for from_index in [false, true] {
            let disk = desk.disk.clone();
            drop_derived(&disk, &root, !from_index);
            desk = desk.reopen();
            prop_assert_eq!(desk.start.index_trusted, from_index && live.4.is_some());
            prop_assert!(!desk.start.checkpoint_used);
            prop_assert_eq!(&derived(&desk), &live);
        }
        // A checkpoint ahead of an index that is gone.
        if live.4.is_some() {
            write_checkpoint(&desk);
            Index::distrust(&desk.disk, &root).unwrap();
            desk = desk.reopen();
            prop_assert!(desk.start.checkpoint_used && !desk.start.index_trusted);
            prop_assert_eq!(&derived(&desk), &live);
        }
    }
}

fn drop_derived(disk: &dyn Disk, root: &std::path::Path, index: bool) {
    let _ = disk.remove(&root.join("checkpoint"));
    if index {
        Index::distrust(disk, root).unwrap();
    }
}
