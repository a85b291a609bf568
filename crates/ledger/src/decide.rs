//! The preconditions: whether a command may be recorded, and as which facts.
//!
//! Decisions read the rows as everything appended so far has made them, synced or not; the
//! sequencer holds the answers back until what they rest on is synced.

use crate::command::{Accept, Accepted, ChangeDelivery, Conflict, Reached, Withdrawal};
use crate::event::{
    Actor, DeliveryChanged, DeliveryState, PackageAccepted, PackageKind, Receiver, ReceiversAdded,
    StatusMatched,
};
use crate::fact::{Change, Fact, Step, step};
use crate::fold::{brought, document_of};
use crate::id::{AgencyId, DeliveryId, PackageId};
use crate::rows::{
    self, CellRow, DeliveryRow, DocumentKey, HolderRow, KeyTextRow, NamesPackageRow, PackageRow,
    View, read,
};
use crate::time::Ms;

/// What to append and what to answer once it is synced.
#[derive(Debug)]
pub(crate) struct Decision<A> {
    /// The transaction; empty if there is nothing to record.
    pub(crate) facts: Vec<Fact>,
    pub(crate) answer: A,
}

/// Accepts a package, or finds that it brings nothing new.
pub(crate) fn accept(view: &dyn View, accept: Accept) -> Result<Decision<Accepted>, Conflict> {
    match (&accept.package.document, &accept.package.status) {
        (Some(facts), _) if facts.business == 0 => document(view, accept.package),
        (Some(_), _) => repeatable(view, accept),
        (None, _) => status(view, accept),
    }
}

/// Accepts statuses together, each about another receiver; one that may not be recorded refuses
/// them all.
pub(crate) fn accept_all(
    view: &dyn View,
    all: Vec<Accept>,
) -> Result<Decision<Vec<Accepted>>, Conflict> {
    let mut together = Decision {
        facts: Vec::new(),
        answer: Vec::with_capacity(all.len()),
    };
    for accept in all {
        let decision = status(view, accept)?;
        together.facts.extend(decision.facts);
        together.answer.push(decision.answer);
    }
    Ok(together)
}

fn document(view: &dyn View, mut package: PackageAccepted) -> Result<Decision<Accepted>, Conflict> {
    let key = document_of(&package).ok_or(Conflict::NotFound)?;
    let id = package_id(&package.id)?;
    let mut reached = Vec::with_capacity(package.receivers.len());
    let mut fresh = Vec::new();
    let mut first: Option<(PackageId, bool)> = None;
    // Most documents are new: one look tells that for all their receivers.
    let known = view.any(&rows::holders(key));
    for receiver in std::mem::take(&mut package.receivers) {
        let to = AgencyId(receiver.agency);
        let holder = rows::holder(key, to);
        let Some(holder) = known.then(|| read::<HolderRow>(view, &holder)).flatten() else {
            fresh.push(receiver);
            continue;
        };
        let held = package_id(&holder.package)?;
        if !holder.recalled_by.is_empty() {
            let by = package_id(&holder.recalled_by)?;
            return Err(Conflict::DocumentRecalled { receiver: to, by });
        }
        let same_bytes = holder.sha256 == package.sha256;
        if !same_bytes && holder.essence != package.essence_sha256 {
            return Err(Conflict::OtherContent {
                first: held,
                receiver: to,
            });
        }
        if first.is_none() || same_bytes {
            first = Some((held, same_bytes));
        }
        reached.push(Reached {
            receiver: to,
            package: held,
            duplicate: true,
        });
    }
    if known && !fresh.is_empty() && !first.is_some_and(|(_, same_bytes)| same_bytes) {
        // Others than those named may have the document too. Other bytes there are no
        // conflict: the key holds the receiver.
        first = like_it(view, key, &package).or(first);
    }
    // New receivers cannot be given bytes that have left.
    let same_bytes = first.is_some_and(|(held, same_bytes)| {
        same_bytes && !read::<PackageRow>(view, &rows::package(held)).is_some_and(|row| row.removed)
    });
    let matched = matched_by(view, key, &package, &fresh);
    let Some((first, _)) = first else {
        let same_number = other_of_number(view, &package);
        reached.extend(fresh.iter().map(|receiver| Reached {
            receiver: AgencyId(receiver.agency),
            package: id,
            duplicate: false,
        }));
        package.receivers = fresh;
        let facts = before(Fact::PackageAccepted(Box::new(package)), matched);
        let mut decision = accepted(facts, id, reached);
        decision.answer.same_number = same_number;
        return Ok(decision);
    };
    if fresh.is_empty() {
        return Ok(accepted(Vec::new(), first, reached));
    }
    if same_bytes {
        reached.extend(fresh.iter().map(|receiver| Reached {
            receiver: AgencyId(receiver.agency),
            package: first,
            duplicate: false,
        }));
        let like = PackageAccepted {
            id: first.as_bytes().to_vec().into(),
            made: bytes::Bytes::new(),
            ..package.clone()
        };
        let added = ReceiversAdded {
            package: first.as_bytes().to_vec().into(),
            receivers: fresh,
            at_ms: package.accepted_at_ms,
            actor: package.actor,
            day: package.day,
            like: Some(like),
        };
        let facts = before(Fact::ReceiversAdded(Box::new(added)), matched);
        return Ok(accepted(facts, first, reached));
    }
    package.follows = first.as_bytes().to_vec().into();
    package.duplicates = reached.iter().map(|reached| reached.receiver.0).collect();
    reached.extend(fresh.iter().map(|receiver| Reached {
        receiver: AgencyId(receiver.agency),
        package: id,
        duplicate: false,
    }));
    package.receivers = fresh;
    let facts = before(Fact::PackageAccepted(Box::new(package)), matched);
    Ok(accepted(facts, id, reached))
}

/// A package of another document of this sender with this number and notation in this year.
fn other_of_number(view: &dyn View, package: &PackageAccepted) -> Option<PackageId> {
    let facts = package.document.as_ref()?;
    if facts.number.trim().is_empty() || facts.year == 0 {
        return None;
    }
    let sender = AgencyId(package.sender);
    let (number, notation) = (&facts.number, &facts.notation);
    let documents = rows::same_number(sender, facts.year, number, notation);
    let own = rows::key_hash(&facts.document_key);
    // Some senders give all they send one number: the latest that repeated it is looked up, the
    // others are not walked.
    let repeated = rows::repeated_number(sender, facts.year, number, notation);
    if let Some(latest) = read::<NamesPackageRow>(view, &repeated) {
        let mine = [documents.as_slice(), &own].concat();
        if read::<NamesPackageRow>(view, &mine).as_ref() != Some(&latest) {
            return PackageId::from_slice(&latest.package);
        }
    }
    view.scan(&documents)
        .into_iter()
        .filter(|(key, _)| !key.ends_with(&own))
        .find_map(|(_, value)| {
            let names: NamesPackageRow = prost::Message::decode(value.as_slice()).ok()?;
            PackageId::from_slice(&names.package)
        })
}

fn before(first: Fact, mut rest: Vec<Fact>) -> Vec<Fact> {
    rest.insert(0, first);
    rest
}

/// The package that brought this document to somebody with the same bytes, or else with
/// bytes that differ only outside its essence; and which of the two.
fn like_it(
    view: &dyn View,
    key: DocumentKey,
    package: &PackageAccepted,
) -> Option<(PackageId, bool)> {
    let mut like = None;
    for (_, value) in view.scan(&rows::holders(key)) {
        let Ok(holder) = <HolderRow as prost::Message>::decode(value.as_slice()) else {
            continue;
        };
        let held = PackageId::from_slice(&holder.package)?;
        if holder.sha256 == package.sha256 {
            return Some((held, true));
        }
        if holder.essence == package.essence_sha256 {
            like.get_or_insert((held, false));
        }
    }
    like
}

/// Statuses that new receivers of this document sent before it came, now matched to their
/// cells.
fn matched_by(
    view: &dyn View,
    key: DocumentKey,
    package: &PackageAccepted,
    fresh: &[Receiver],
) -> Vec<Fact> {
    let Some(facts) = &package.document else {
        return Vec::new();
    };
    let code_key = rows::code_key(
        &format!("{}/{}", facts.number, facts.notation),
        &facts.promulgation_date,
    );
    let by_code = rows::unmatched(rows::key_hash(&code_key));
    let waiting = view.scan(&rows::unmatched(key.hash)).into_iter();
    let waiting = waiting.map(|(_, value)| (value, ""));
    let without_id = view.scan(&by_code).into_iter();
    waiting
        .chain(without_id.map(|(_, value)| (value, code_key.as_str())))
        .filter_map(|(value, waited_as)| {
            let waiting: rows::UnmatchedRow = prost::Message::decode(value.as_slice()).ok()?;
            let is_receiver = fresh.iter().any(|receiver| receiver.agency == waiting.from);
            (waiting.document_sender == package.sender && is_receiver).then(|| {
                Fact::StatusMatched(StatusMatched {
                    package: waiting.package.into(),
                    document_sender: package.sender,
                    document_key: facts.document_key.clone(),
                    cell_receiver: waiting.from,
                    code: waiting.code,
                    at_ms: waiting.at,
                    waited_as: waited_as.to_owned(),
                })
            })
        })
        .collect()
}

/// Recall, update, replacement.
fn repeatable(view: &dyn View, accept: Accept) -> Result<Decision<Accepted>, Conflict> {
    let is_recall = accept.is_recall();
    let Accept {
        mut package,
        own_15,
        withdrawals,
        ..
    } = accept;
    let key = document_of(&package).ok_or(Conflict::NotFound)?;
    let id = package_id(&package.id)?;
    let sender = AgencyId(package.sender);
    let targets: Vec<String> = package
        .document
        .as_ref()
        .map(|facts| facts.targets.clone())
        .unwrap_or_default();
    for target in &targets {
        if !view.any(&rows::holders(DocumentKey::of(sender, target))) {
            return Err(Conflict::UnknownDocument {
                key: target.clone(),
            });
        }
    }
    if targets.is_empty() {
        return Err(Conflict::UnknownDocument { key: String::new() });
    }
    let mut facts = Vec::new();
    let mut reached = Vec::new();
    let mut without = Vec::new();
    let mut fresh = Vec::new();
    for mut receiver in std::mem::take(&mut package.receivers) {
        let to = AgencyId(receiver.agency);
        if let Some(names) = read::<NamesPackageRow>(view, &rows::repeat(key, to, &package.sha256))
        {
            let package = package_id(&names.package)?;
            reached.push(Reached {
                receiver: to,
                package,
                duplicate: true,
            });
            continue;
        }
        if !is_recall
            && let Some(holder) = read::<HolderRow>(view, &rows::holder(key, to))
            && !holder.recalled_by.is_empty()
        {
            let by = package_id(&holder.recalled_by)?;
            return Err(Conflict::DocumentRecalled { receiver: to, by });
        }
        if is_recall {
            let mut copies = Vec::with_capacity(targets.len());
            for target in &targets {
                let document = DocumentKey::of(sender, target);
                if view.get(&rows::holder(document, to)).is_some() {
                    let answer = own_15_for(&own_15, to, (targets.len() > 1).then_some(target));
                    copies.push(recall_copy(view, document, to, &package, answer));
                }
            }
            if copies.is_empty() {
                without.push(to);
                continue;
            }
            if copies.iter().all(|copy| copy.unserved) {
                receiver.state = DeliveryState::Recalled.into();
            }
            facts.extend(copies.into_iter().flat_map(|copy| copy.facts));
        }
        reached.push(Reached {
            receiver: to,
            package: id,
            duplicate: false,
        });
        fresh.push(receiver);
    }
    if fresh.is_empty() {
        let first = reached.first().map_or(id, |reached| reached.package);
        if reached.is_empty() {
            let agency = without.first().copied().unwrap_or(AgencyId(0));
            return Err(Conflict::NotAReceiver { agency });
        }
        let mut decision = accepted(Vec::new(), first, reached);
        decision.answer.without = without;
        return Ok(decision);
    }
    let matched = if is_recall {
        Vec::new()
    } else {
        matched_by(view, key, &package, &fresh)
    };
    facts.extend(matched);
    for withdrawal in withdrawals {
        if is_recall || fresh.iter().any(|r| r.agency == withdrawal.receiver.0) {
            continue;
        }
        facts.extend(withdraw(view, sender, withdrawal));
    }
    package.receivers = fresh;
    let facts = before(Fact::PackageAccepted(Box::new(package)), facts);
    let mut decision = accepted(facts, id, reached);
    decision.answer.without = without;
    Ok(decision)
}

/// Takes a document back from a receiver that its update or replacement leaves out; nothing
/// if the receiver does not hold it, or it was taken back before.
fn withdraw(view: &dyn View, sender: AgencyId, withdrawal: Withdrawal) -> Vec<Fact> {
    let Withdrawal {
        receiver,
        target,
        mut recall,
        own_15,
    } = withdrawal;
    let document = DocumentKey::of(sender, &target);
    let holder = read::<HolderRow>(view, &rows::holder(document, receiver));
    if holder.is_none_or(|holder| !holder.recalled_by.is_empty()) {
        return Vec::new();
    }
    let copy = recall_copy(view, document, receiver, &recall, own_15.as_ref());
    if copy.unserved {
        for receiver in &mut recall.receivers {
            receiver.state = DeliveryState::Recalled.into();
        }
    }
    before(Fact::PackageAccepted(Box::new(recall)), copy.facts)
}

/// The 15 that the axis made for a receiver; of several for one receiver, the one that names
/// `target`.
fn own_15_for<'a>(
    own_15: &'a [(AgencyId, PackageAccepted)],
    receiver: AgencyId,
    target: Option<&String>,
) -> Option<&'a PackageAccepted> {
    let names = |answer: &PackageAccepted, target: &String| {
        let named = answer.status.as_ref().map(|facts| &facts.document_key);
        named == Some(target)
    };
    own_15
        .iter()
        .filter(|(agency, _)| *agency == receiver)
        .map(|(_, answer)| answer)
        .find(|answer| target.is_none_or(|target| names(answer, target)))
}

struct RecalledCopy {
    /// The receiver has never had the content: it hears neither of the document nor of the
    /// recall.
    unserved: bool,
    facts: Vec<Fact>,
}

/// Takes a document's deliveries back from one receiver: those that brought it.
fn recall_copy(
    view: &dyn View,
    document: DocumentKey,
    receiver: AgencyId,
    cause: &PackageAccepted,
    answer: Option<&PackageAccepted>,
) -> RecalledCopy {
    let mut facts = Vec::new();
    let mut unserved = true;
    for (id, row) in brought(view, document, receiver) {
        unserved &= !row.fetched
            && !matches!(
                row.state(),
                DeliveryState::Forwarding | DeliveryState::Forwarded
            );
        let stops = matches!(
            row.state(),
            DeliveryState::Held | DeliveryState::Pending | DeliveryState::Dead
        );
        if stops && let Step::To(to) = step(row.state(), Change::Recalled) {
            facts.push(recalled(id, &row, to, cause));
        }
    }
    if unserved && let Some(answer) = answer {
        facts.push(Fact::PackageAccepted(Box::new(answer.clone())));
    }
    RecalledCopy { unserved, facts }
}

fn recalled(
    delivery: DeliveryId,
    row: &DeliveryRow,
    to: DeliveryState,
    cause: &PackageAccepted,
) -> Fact {
    let changed = DeliveryChanged {
        delivery: delivery.as_bytes().to_vec().into(),
        package: row.package.clone().into(),
        receiver: row.receiver,
        round: row.round,
        at_ms: cause.accepted_at_ms,
        actor: cause.actor.clone(),
        from: row.state,
        to: to.into(),
        day: cause.day,
        cause: cause.id.clone(),
        ..DeliveryChanged::default()
    };
    Fact::Delivery(Change::Recalled, Box::new(changed))
}

fn status(view: &dyn View, accept: Accept) -> Result<Decision<Accepted>, Conflict> {
    let is_recall = accept.is_recall();
    let Accept {
        mut package,
        own_15,
        ..
    } = accept;
    let id = package_id(&package.id)?;
    let from = AgencyId(package.sender);
    let Some(mut facts) = package.status.clone() else {
        return Err(Conflict::NotFound);
    };
    let to = package
        .receivers
        .first()
        .map_or(from, |receiver| AgencyId(receiver.agency));
    // For 13 the sender of the document reports, and the receiver is told.
    let (document_sender, cell_receiver) = if is_recall { (from, to) } else { (to, from) };
    if rows::is_code_key(&facts.document_key) {
        let by_code = rows::by_code(document_sender, &facts.document_key);
        if let Some(named) = read::<KeyTextRow>(view, &by_code) {
            facts.document_key = named.key;
        }
    }
    let document = DocumentKey::of(document_sender, &facts.document_key);
    facts.document_sender = Some(document_sender.0);
    let holder: Option<HolderRow> = read(view, &rows::holder(document, cell_receiver));
    let known = holder.is_some() || view.any(&rows::holders(document));
    if known && holder.is_none() {
        return Err(Conflict::NotAReceiver {
            agency: cell_receiver,
        });
    }
    if !known && is_recall {
        return Err(Conflict::UnknownDocument {
            key: facts.document_key,
        });
    }
    let cell: CellRow = read(view, &rows::cell(document, cell_receiver)).unwrap_or_default();
    if let Some(names) = read::<NamesPackageRow>(view, &rows::status(from, &package.sha256)) {
        let first = package_id(&names.package)?;
        let seen_at =
            read::<PackageRow>(view, &rows::package(first)).map_or(u64::MAX, |row| row.position);
        let answers_anew = matches!(facts.code, 15 | 16) && cell.request > seen_at;
        let asks_anew = facts.code == 13 && cell.answer_code == 16 && cell.answer > seen_at;
        if !answers_anew && !asks_anew {
            let reached = vec![Reached {
                receiver: to,
                package: first,
                duplicate: true,
            }];
            return Ok(accepted(Vec::new(), first, reached));
        }
    }
    facts.cell_receiver = known.then_some(cell_receiver.0);
    let mut more = Vec::new();
    if let Some(holder) = &holder {
        if is_recall {
            let answer = own_15_for(&own_15, to, None);
            let recalled = recall_copy(view, document, to, &package, answer);
            if recalled.unserved
                && let Some(receiver) = package.receivers.first_mut()
            {
                receiver.state = DeliveryState::Recalled.into();
            }
            more = recalled.facts;
        } else if facts.code == 15 && !holder.recalled_by.is_empty() {
            more.extend(agreed(view, document, cell_receiver, &package));
        }
    }
    // The receiver's own 01 after the axis's is recorded and not delivered again.
    let reached = vec![Reached {
        receiver: to,
        package: id,
        duplicate: false,
    }];
    if facts.code == 1 && cell.axis_01 {
        package.receivers.clear();
    }
    package.status = Some(facts);
    more.insert(0, Fact::PackageAccepted(Box::new(package)));
    Ok(accepted(more, id, reached))
}

/// The receiver agreed to a recall: what it fetched of the document ends as recalled.
fn agreed(
    view: &dyn View,
    document: DocumentKey,
    receiver: AgencyId,
    answer: &PackageAccepted,
) -> Vec<Fact> {
    let brought = brought(view, document, receiver).into_iter();
    brought
        .filter_map(
            |(delivery, row)| match step(row.state(), Change::Recalled) {
                Step::To(to) => Some(recalled(delivery, &row, to, answer)),
                _ => None,
            },
        )
        .collect()
}

/// The answer to a change of a delivery: (state, round, changed).
pub(crate) type Changed = (DeliveryState, u32, bool);

/// Changes a delivery, or finds that nothing is to change.
pub(crate) fn change(
    view: &dyn View,
    command: ChangeDelivery,
) -> Result<Decision<Changed>, Conflict> {
    let row: DeliveryRow =
        read(view, &rows::delivery(command.delivery)).ok_or(Conflict::NotFound)?;
    let state = row.state();
    let unchanged = Decision {
        facts: Vec::new(),
        answer: (state, row.round, false),
    };
    if command.round.is_some_and(|round| round != row.round) {
        return Ok(unchanged);
    }
    let serves = matches!(
        command.change,
        Change::Fetched | Change::Redelivered | Change::Released | Change::Retried
    );
    if serves && is_recalled(view, &row) {
        return Err(Conflict::Recalled);
    }
    let to = match step(state, command.change) {
        Step::To(to) => to,
        Step::Same => return Ok(unchanged),
        Step::RefusedRecalled => return Err(Conflict::Recalled),
        Step::RefusedState => return Err(Conflict::WrongState { state }),
    };
    let round = row.round + u32::from(command.change == Change::Redelivered);
    let ChangeDelivery {
        at,
        actor,
        via,
        reason,
        own_01,
        ..
    } = command;
    let mut facts = vec![Fact::Delivery(
        command.change,
        Box::new(DeliveryChanged {
            delivery: command.delivery.as_bytes().to_vec().into(),
            package: row.package.clone().into(),
            receiver: row.receiver,
            round,
            at_ms: at.0,
            actor: Some(actor),
            from: state.into(),
            to: to.into(),
            reason,
            via: via.to_owned(),
            day: at.day(),
            ..DeliveryChanged::default()
        }),
    )];
    // A recall and a status are not answered with 01.
    if command.change == Change::Acknowledged
        && row.asks_for_01()
        && let Some(own_01) = own_01
        && let Some(document) = row.document_key()
    {
        let key = rows::cell(document, AgencyId(row.receiver));
        let cell: CellRow = read(view, &key).unwrap_or_default();
        if !cell.own && !cell.axis_01 {
            facts.push(Fact::PackageAccepted(own_01));
        }
    }
    Ok(Decision {
        facts,
        answer: (to, round, true),
    })
}

/// Whether the delivery's document was recalled from its receiver.
pub(crate) fn is_recalled(view: &dyn View, row: &DeliveryRow) -> bool {
    if row.kind != PackageKind::Document as i32 || row.business == 1 {
        return false;
    }
    row.document_key().is_some_and(|document| {
        read::<HolderRow>(view, &rows::holder(document, AgencyId(row.receiver)))
            .is_some_and(|holder| !holder.recalled_by.is_empty())
    })
}

/// The fact that a payload left, and the position of the record it leaves; nothing if it left
/// before.
pub(crate) fn remove_payload(
    view: &dyn View,
    package: PackageId,
    at: Ms,
    actor: Actor,
    decision: String,
) -> Result<Option<(Fact, u64)>, Conflict> {
    let row: PackageRow = read(view, &rows::package(package)).ok_or(Conflict::NotFound)?;
    if row.made {
        // Its record's payload is that of the package it answers.
        return Err(Conflict::NoPayload);
    }
    if row.removed {
        return Ok(None);
    }
    let fact = Fact::PayloadRemoved(Box::new(crate::event::PayloadRemoved {
        package: package.as_bytes().to_vec().into(),
        position: row.position,
        at_ms: at.0,
        actor: Some(actor),
        decision,
    }));
    Ok(Some((fact, row.position)))
}

fn accepted(facts: Vec<Fact>, package: PackageId, receivers: Vec<Reached>) -> Decision<Accepted> {
    Decision {
        facts,
        answer: Accepted {
            package,
            anchor: None,
            receivers,
            without: Vec::new(),
            same_number: None,
        },
    }
}

fn package_id(bytes: &[u8]) -> Result<PackageId, Conflict> {
    PackageId::from_slice(bytes).ok_or(Conflict::NotFound)
}
