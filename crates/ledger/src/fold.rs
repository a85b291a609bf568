//! The fold: from the rows before a transaction to the rows after it.
//!
//! One pure function for live and rebuild. It reads no clock and no configuration: what
//! depended on them was resolved before the append and stands in the event.

use std::collections::BTreeSet;

use crate::alert;
use crate::event::{
    DeliveryChanged, DeliveryState, PackageAccepted, PayloadRemoved, Receiver, ReceiversAdded,
    StatusFacts, StatusMatched,
};
use crate::fact::{Change, Fact};
use crate::id::{AgencyId, DeliveryId, PackageId};
use crate::layer::Layer;
use crate::owed;
use crate::publication;
use crate::rows::{
    self, CellEventRow, CellRow, DeliveryRow, DocumentKey, HolderRow, KeyTextRow, NamesPackageRow,
    PackageRow, PointerRow, UnmatchedRow, View, WatchRow, read,
};

/// The fold's version; another one in the index means a rebuild.
pub const FOLD_VERSION: u32 = 7;

/// Lays a transaction's state rows over `layer`. `position` is the record's.
pub(crate) fn apply(layer: &mut Layer<'_>, position: u64, facts: &[Fact]) {
    let mut number = 0;
    for (fact_number, fact) in (0_u32..).zip(facts) {
        match fact {
            Fact::PackageAccepted(package) => {
                accept(layer, position, fact_number, &mut number, package);
            }
            Fact::ReceiversAdded(added) => {
                add_receivers(layer, position, fact_number, &mut number, added);
            }
            Fact::Delivery(change, changed) => {
                change_delivery(layer, *change, changed);
                if *change == Change::Acknowledged && !facts.iter().any(is_own_01) {
                    settle(layer, changed);
                }
            }
            Fact::StatusMatched(matched) => match_status(layer, position, fact_number, matched),
            Fact::PayloadRemoved(removed) => remove_payload(layer, removed),
            Fact::AlertRaised(_) | Fact::AlertCleared(_) | Fact::AlertTold(_) => {
                alert::apply(layer, position, fact_number, fact);
            }
            Fact::ListPublished(_) | Fact::ListSent(_) | Fact::UnknownSeen(_) => {
                publication::apply(layer, fact_number, fact);
            }
            _ => {}
        }
    }
}

/// Whether it is the 01 that the axis makes with an acknowledgement.
fn is_own_01(fact: &Fact) -> bool {
    let Fact::PackageAccepted(package) = fact else {
        return false;
    };
    let status = package.status.as_ref();
    status.is_some_and(|status| status.made_by_axis && status.code == 1)
}

/// Settled without a 01 of the axis's: the receiver is to say that the document arrived.
fn settle(layer: &mut Layer<'_>, changed: &DeliveryChanged) {
    let row = DeliveryId::from_slice(&changed.delivery)
        .and_then(|id| read::<DeliveryRow>(layer, &rows::delivery(id)));
    let Some(row) = row.filter(DeliveryRow::asks_for_01) else {
        return;
    };
    if let Some(document) = row.document_key() {
        owed::settled(layer, document, AgencyId(row.receiver), row.accepted_at);
    }
}

fn remove_payload(layer: &mut Layer<'_>, removed: &PayloadRemoved) {
    let Some(key) = PackageId::from_slice(&removed.package).map(rows::package) else {
        return;
    };
    if let Some(mut row) = read::<PackageRow>(layer, &key) {
        row.removed = true;
        layer.put(key, &row);
    }
}

/// Lays the rows that point into the journal, which need the record's location.
pub(crate) fn place(layer: &mut Layer<'_>, position: u64, location: u64, facts: &[Fact]) {
    let pointer = PointerRow { location };
    let mut touched = BTreeSet::new();
    for (fact_number, fact) in (0_u32..).zip(facts) {
        let package = match fact {
            Fact::PackageAccepted(package) => {
                let Some(id) = PackageId::from_slice(&package.id) else {
                    continue;
                };
                let key = rows::package(id);
                if let Some(row) = read::<PackageRow>(layer, &key) {
                    layer.put(key, &PackageRow { location, ..row });
                }
                Some(id)
            }
            Fact::PackageRefused(_) => {
                layer.put(
                    rows::at(vec![rows::REFUSED], position, fact_number),
                    &pointer,
                );
                None
            }
            Fact::AlertRaised(_) => {
                alert::place(layer, position, fact_number, location);
                None
            }
            Fact::ListPublished(published) => {
                publication::place(layer, location, published.version);
                None
            }
            Fact::Delivery(_, changed) => PackageId::from_slice(&changed.package),
            Fact::ReceiversAdded(added) => PackageId::from_slice(&added.package),
            Fact::StatusMatched(matched) => PackageId::from_slice(&matched.package),
            Fact::PayloadRemoved(removed) => PackageId::from_slice(&removed.package),
            _ => None,
        };
        if let Some(id) = package
            && touched.insert(id)
        {
            layer.put(rows::at(rows::events(id), position, 0), &pointer);
        }
    }
}

/// The document a package is about: (its sender, the hash of its key text).
#[must_use]
pub fn document_of(package: &PackageAccepted) -> Option<DocumentKey> {
    if let Some(document) = &package.document {
        return Some(DocumentKey::of(
            AgencyId(package.sender),
            &document.document_key,
        ));
    }
    let status = package.status.as_ref()?;
    let sender = AgencyId(status.document_sender?);
    Some(DocumentKey::of(sender, &status.document_key))
}

fn accept(
    layer: &mut Layer<'_>,
    position: u64,
    fact_number: u32,
    number: &mut u32,
    package: &PackageAccepted,
) {
    let names = NamesPackageRow::of(&package.id);
    let sender = AgencyId(package.sender);
    if let Some(id) = PackageId::from_slice(&package.id) {
        // Where it stands is known once it is written: `place`.
        let row = PackageRow {
            location: 0,
            position,
            fact: fact_number,
            made: !package.made.is_empty(),
            removed: false,
        };
        layer.put(rows::package(id), &row);
    }
    layer.put(rows::at(vec![rows::BY_TIME], position, fact_number), &names);
    layer.put(
        rows::at(rows::by_agency(sender), position, fact_number),
        &names,
    );
    let document = document_of(package);
    if let Some(document) = document {
        layer.put(rows::about(document, position, fact_number), &names);
    }
    if let Some(facts) = &package.document {
        let by_id = rows::by_document_id(rows::key_hash(&facts.document_key));
        layer.put(rows::at(by_id, position, fact_number), &names);
        let by_number = rows::by_number(&facts.number, &facts.notation);
        layer.put(rows::at(by_number, position, fact_number), &names);
        if facts.business == 0 {
            number_document(layer, sender, facts, &names);
        }
        for target in &facts.targets {
            let links = rows::links(DocumentKey::of(sender, target));
            layer.put(rows::at(links, position, fact_number), &names);
        }
    }
    if let (Some(facts), None) = (&package.status, &package.document) {
        layer.put(rows::status(sender, &package.sha256), &names);
        let by_id = rows::by_document_id(rows::key_hash(&facts.document_key));
        layer.put(rows::at(by_id, position, fact_number), &names);
        match (document, facts.cell_receiver) {
            (Some(document), Some(receiver)) => {
                let at = Place {
                    position,
                    number: fact_number,
                };
                see_status(layer, at, document, AgencyId(receiver), facts, package);
            }
            // Under the document's key as far as it is known: ResponseFor names the sender.
            _ => {
                let row = UnmatchedRow {
                    package: package.id.to_vec(),
                    from: package.sender,
                    document_sender: facts.document_sender.unwrap_or_default(),
                    code: facts.code,
                    at: package.accepted_at_ms,
                };
                let waits = rows::unmatched(rows::key_hash(&facts.document_key));
                layer.put(rows::at(waits, position, fact_number), &row);
            }
        }
    }
    for receiver in &package.receivers {
        add_delivery(layer, position, fact_number, *number, package, receiver);
        owed::due(layer, package, AgencyId(receiver.agency));
        *number += 1;
    }
    if let (Some(facts), Some(document)) = (&package.document, document) {
        for receiver in &package.receivers {
            let receiver = AgencyId(receiver.agency);
            if facts.business == 0 {
                let row = HolderRow {
                    package: package.id.to_vec(),
                    sha256: package.sha256.to_vec(),
                    essence: package.essence_sha256.to_vec(),
                    recalled_by: Vec::new(),
                };
                layer.put(rows::holder(document, receiver), &row);
            } else {
                layer.put(rows::repeat(document, receiver, &package.sha256), &names);
                let key = rows::holder(document, receiver);
                if facts.business != 1 && layer_has_not(layer, &key) {
                    let row = HolderRow {
                        package: package.id.to_vec(),
                        sha256: package.sha256.to_vec(),
                        essence: package.essence_sha256.to_vec(),
                        recalled_by: Vec::new(),
                    };
                    layer.put(key, &row);
                }
                request(layer, position, receiver, package, facts);
            }
        }
    }
}

/// A new document under its number: so that a status without DocumentId finds it, and
/// another document under the same number in the year is seen.
fn number_document(
    layer: &mut Layer<'_>,
    sender: AgencyId,
    facts: &crate::event::DocumentFacts,
    names: &NamesPackageRow,
) {
    let (number, notation) = (&facts.number, &facts.notation);
    let code_key = rows::code_key(&format!("{number}/{notation}"), &facts.promulgation_date);
    let by_code = rows::by_code(sender, &code_key);
    if facts.document_key.len() <= rows::KEY_TEXT && layer_has_not(layer, &by_code) {
        let key = facts.document_key.clone();
        layer.put(by_code, &KeyTextRow { key });
    }
    if number.trim().is_empty() || facts.year == 0 {
        return;
    }
    let documents = rows::same_number(sender, facts.year, number, notation);
    let mut own = documents.clone();
    own.extend(rows::key_hash(&facts.document_key));
    if !layer_has_not(layer, &own) {
        return;
    }
    if rows::View::any(layer, &documents) {
        let repeated = rows::repeated_number(sender, facts.year, number, notation);
        layer.put(repeated, names);
    }
    layer.put(own, names);
}

fn layer_has_not(layer: &Layer<'_>, key: &[u8]) -> bool {
    rows::View::get(layer, key).is_none()
}

/// An update, replacement or recall asks each receiver for a 15 or 16; a recall also marks
/// the receiver's copy.
fn request(
    layer: &mut Layer<'_>,
    position: u64,
    receiver: AgencyId,
    package: &PackageAccepted,
    facts: &crate::event::DocumentFacts,
) {
    for target in &facts.targets {
        let document = DocumentKey::of(AgencyId(package.sender), target);
        let key = rows::cell(document, receiver);
        let mut cell: CellRow = read(layer, &key).unwrap_or_default();
        cell.request = position;
        cell.request_code = 0;
        layer.put(key, &cell);
        if facts.business == 1 {
            mark_recalled(layer, document, receiver, &package.id);
            let at = package.accepted_at_ms;
            owed::ask(layer, document, receiver, &package.id, at);
        }
    }
}

/// Names the recall on the receiver's copy.
fn mark_recalled(layer: &mut Layer<'_>, document: DocumentKey, receiver: AgencyId, by: &[u8]) {
    let key = rows::holder(document, receiver);
    let Some(mut holder) = read::<HolderRow>(layer, &key) else {
        return;
    };
    owed::ended(layer, document, receiver);
    owed::confirmed(layer, document, receiver);
    holder.recalled_by = by.to_vec();
    layer.put(key, &holder);
    for (delivery, row) in brought(layer, document, receiver) {
        let recalled = DeliveryRow {
            recalled: true,
            ..row
        };
        layer.put(rows::delivery(delivery), &recalled);
    }
}

/// The deliveries that brought a document to a receiver: of the package that it holds, and of
/// updates under the same DocumentId. Recalls bring nothing.
pub(crate) fn brought(
    view: &dyn View,
    document: DocumentKey,
    receiver: AgencyId,
) -> Vec<(DeliveryId, DeliveryRow)> {
    let Some(holder) = read::<HolderRow>(view, &rows::holder(document, receiver)) else {
        return Vec::new();
    };
    let mut packages: Vec<PackageId> = PackageId::from_slice(&holder.package).into_iter().collect();
    for (_, value) in view.scan(&rows::repeats(document, receiver)) {
        let names = <NamesPackageRow as prost::Message>::decode(value.as_slice());
        let package = names
            .ok()
            .and_then(|names| PackageId::from_slice(&names.package));
        if let Some(package) = package
            && !packages.contains(&package)
        {
            packages.push(package);
        }
    }
    packages
        .into_iter()
        .filter_map(|package| {
            let delivery = DeliveryId::of(package, receiver);
            let row = read::<DeliveryRow>(view, &rows::delivery(delivery))?;
            (row.business != 1).then_some((delivery, row))
        })
        .collect()
}

/// A place in the journal: the record, and the fact's number in it.
#[derive(Clone, Copy)]
struct Place {
    position: u64,
    number: u32,
}

fn see_status(
    layer: &mut Layer<'_>,
    at: Place,
    document: DocumentKey,
    receiver: AgencyId,
    facts: &StatusFacts,
    package: &PackageAccepted,
) {
    let key = rows::cell(document, receiver);
    let mut cell: CellRow = read(layer, &key).unwrap_or_default();
    cell.seen |= 1_u64.checked_shl(facts.code).unwrap_or(0);
    match facts.code {
        13 => {
            cell.request = at.position;
            cell.request_code = 13;
            mark_recalled(layer, document, receiver, &package.id);
            let at = package.accepted_at_ms;
            owed::ask(layer, document, receiver, &package.id, at);
        }
        15 | 16 => {
            cell.answer = at.position;
            cell.answer_code = facts.code;
            owed::answered(layer, document, receiver);
        }
        1 if facts.made_by_axis => cell.axis_01 = true,
        _ => {}
    }
    if !facts.made_by_axis && facts.code != 13 {
        cell.own = true;
    }
    if cell.own || cell.axis_01 {
        owed::confirmed(layer, document, receiver);
    }
    if cell.current().is_some_and(owed::ends) {
        owed::ended(layer, document, receiver);
    }
    layer.put(key, &cell);
    let row = CellEventRow {
        package: package.id.to_vec(),
        code: facts.code,
        at: package.accepted_at_ms,
        made_by_axis: facts.made_by_axis,
    };
    layer.put(
        rows::at(
            rows::cell_events(document, receiver),
            at.position,
            at.number,
        ),
        &row,
    );
    let row = WatchRow {
        package: package.id.to_vec(),
        sender: document.sender.0,
        document: document.hash.to_vec(),
        receiver: receiver.0,
        code: facts.code,
        at: package.accepted_at_ms,
        made_by_axis: facts.made_by_axis,
    };
    layer.put(rows::at(vec![rows::WATCHED], at.position, at.number), &row);
}

fn match_status(layer: &mut Layer<'_>, position: u64, fact_number: u32, matched: &StatusMatched) {
    let document = DocumentKey::of(AgencyId(matched.document_sender), &matched.document_key);
    let waited = if matched.waited_as.is_empty() {
        document.hash
    } else {
        rows::key_hash(&matched.waited_as)
    };
    for (key, value) in rows::View::scan(layer, &rows::unmatched(waited)) {
        let waits = <UnmatchedRow as prost::Message>::decode(value.as_slice());
        if waits.is_ok_and(|waits| waits.package == matched.package) {
            layer.remove(key);
        }
    }
    let package = PackageAccepted {
        id: matched.package.clone(),
        accepted_at_ms: matched.at_ms,
        ..PackageAccepted::default()
    };
    let facts = StatusFacts {
        code: matched.code,
        ..StatusFacts::default()
    };
    let at = Place {
        position,
        number: fact_number,
    };
    see_status(
        layer,
        at,
        document,
        AgencyId(matched.cell_receiver),
        &facts,
        &package,
    );
}

fn add_delivery(
    layer: &mut Layer<'_>,
    position: u64,
    fact_number: u32,
    number: u32,
    package: &PackageAccepted,
    receiver: &Receiver,
) {
    let Some(id) = PackageId::from_slice(&package.id) else {
        return;
    };
    let to = AgencyId(receiver.agency);
    let document = document_of(package);
    let row = DeliveryRow {
        package: package.id.to_vec(),
        receiver: receiver.agency,
        state: receiver.state,
        round: 1,
        lane: package.lane,
        level: package.level,
        position,
        number,
        accepted_at: package.accepted_at_ms,
        changed_at: package.accepted_at_ms,
        sender: document.map_or(package.sender, |document| document.sender.0),
        document: document
            .map(|document| document.hash.to_vec())
            .unwrap_or_default(),
        kind: package.kind,
        business: package.document.as_ref().map_or(0, |facts| facts.business),
        fetched: false,
        recalled: false,
    };
    layer.put(rows::delivery(DeliveryId::of(id, to)), &row);
    if to.0 != package.sender {
        let names = NamesPackageRow::of(&package.id);
        layer.put(rows::at(rows::by_agency(to), position, fact_number), &names);
    }
}

fn add_receivers(
    layer: &mut Layer<'_>,
    position: u64,
    fact_number: u32,
    number: &mut u32,
    added: &ReceiversAdded,
) {
    let Some(id) = PackageId::from_slice(&added.package) else {
        return;
    };
    let Some(like) = added.like.as_ref() else {
        return;
    };
    for receiver in &added.receivers {
        let to = AgencyId(receiver.agency);
        add_delivery(layer, position, fact_number, *number, like, receiver);
        owed::due(layer, like, to);
        *number += 1;
        let Some(document) = document_of(like) else {
            continue;
        };
        let row = HolderRow {
            package: id.as_bytes().to_vec(),
            sha256: like.sha256.to_vec(),
            essence: like.essence_sha256.to_vec(),
            recalled_by: Vec::new(),
        };
        layer.put(rows::holder(document, to), &row);
    }
}

fn change_delivery(layer: &mut Layer<'_>, change: Change, changed: &DeliveryChanged) {
    let Some(id) = DeliveryId::from_slice(&changed.delivery) else {
        return;
    };
    let key = rows::delivery(id);
    let Some(mut row) = read::<DeliveryRow>(layer, &key) else {
        return;
    };
    row.state = changed.to;
    row.round = changed.round;
    row.changed_at = changed.at_ms;
    row.fetched |= matches!(
        change,
        Change::Fetched | Change::Acknowledged | Change::Failed
    );
    layer.put(key, &row);
}

/// Whether a delivery in this state still needs something from somebody.
#[must_use]
pub const fn is_open(state: DeliveryState) -> bool {
    matches!(
        state,
        DeliveryState::Held
            | DeliveryState::Pending
            | DeliveryState::Fetched
            | DeliveryState::Forwarding
            | DeliveryState::Dead
    )
}
