//! Agencies and systems.

use exchange::{
    AccountRecord, ActRecord, AgencyDifference, AgencyFacts, AgencyRecord, ChangeRecord,
    ChildAgencies, Due, ImportOrder, ImportProblem, Imported, NewSystem, OpenDeliveries, Order,
    OwnLimits, Revoke, ServicePeriod, SystemRecord,
};
use ledger::id::SystemId;
use ledger::time::Ms;
use lists::Format;

use super::{from_hex, hex};
use crate::v1;
use exchange::refusal::Refusal;

pub(crate) fn names(systems: Vec<SystemId>) -> Vec<String> {
    systems.iter().map(ToString::to_string).collect()
}

/// A moment, or nothing.
fn iso(at: Option<Ms>) -> String {
    at.map(Ms::iso).unwrap_or_default()
}

/// A moment as a request names it: empty, a day (its first moment in Vietnam), or ISO 8601.
pub(crate) fn moment(path: &str, text: &str) -> Result<Option<Ms>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    Ms::parse(text).map(Some).map_err(|error| {
        Refusal::argument(
            path,
            format!(
                "{text:?} không phải ngày (2026-07-01) hay thời điểm (2026-07-01T08:00:00+07:00)."
            ),
            format!("{error}."),
        )
    })
}

pub(crate) fn order(order: Option<v1::Order>) -> Result<Order, Refusal> {
    let order = order.unwrap_or_default();
    Ok(Order {
        effective: moment("order.effective", &order.effective)?,
        decision: order.decision,
        why: order.why,
        revision: order.revision,
        dry_run: order.dry_run,
    })
}

pub(crate) fn agency_facts(facts: Option<v1::AgencyFacts>) -> AgencyFacts {
    let facts = facts.unwrap_or_default();
    AgencyFacts {
        code: facts.code,
        code_2020: facts.code_2020,
        other_codes: facts.other_codes,
        name: facts.name,
        parent: facts.parent,
        kind: facts.kind,
        level: facts.level,
        contact: facts.contact,
        centre: facts.centre,
        forwards_to_successor: facts.forwards_to_successor,
        irregular: facts.irregular,
    }
}

pub(crate) const fn open_deliveries(deliveries: v1::OpenDeliveries) -> OpenDeliveries {
    match deliveries {
        v1::OpenDeliveries::Unspecified => OpenDeliveries::Unsaid,
        v1::OpenDeliveries::Stay => OpenDeliveries::Stay,
        v1::OpenDeliveries::Move => OpenDeliveries::Move,
    }
}

pub(crate) fn children(close: bool, to: String) -> Result<ChildAgencies, Refusal> {
    match (close, to.is_empty()) {
        (false, true) => Ok(ChildAgencies::Unsaid),
        (true, true) => Ok(ChildAgencies::Close),
        (false, false) => Ok(ChildAgencies::Under(to)),
        (true, false) => Err(Refusal::argument(
            "children_to",
            "Chỉ chọn một: đóng các cơ quan trực thuộc, hoặc chuyển chúng.",
            "Either the agencies under it close, or they move.",
        )),
    }
}

pub(crate) fn act(act: ActRecord) -> v1::ChangeAgencyResponse {
    v1::ChangeAgencyResponse {
        agency: Some(agency_record(act.agency)),
        changes: act.changes.into_iter().map(change).collect(),
        effective: act.effective.iso(),
        planned: act.planned,
    }
}

pub(crate) fn change(change: ChangeRecord) -> v1::AgencyChange {
    v1::AgencyChange {
        agency: change.agency.0,
        code: change.code,
        name: change.name,
        number: u64::from(change.number),
        operation: change.operation.to_owned(),
        effective: change.effective.iso(),
        recorded: change.recorded.iso(),
        by: change.by,
        decision: change.decision,
        why: change.why,
        planned: change.planned,
        fields: change.fields.into_iter().map(field).collect(),
    }
}

pub(crate) fn field((field, before, after): (&'static str, String, String)) -> v1::FieldChange {
    v1::FieldChange {
        field: field.to_owned(),
        before,
        after,
    }
}

pub(crate) fn difference(difference: AgencyDifference) -> v1::AgencyDifference {
    v1::AgencyDifference {
        agency: difference.agency.0,
        code: difference.code,
        name: difference.name,
        what: difference.what.to_owned(),
        fields: difference.fields.into_iter().map(field).collect(),
    }
}

pub(crate) fn period(period: ServicePeriod) -> v1::ServicePeriod {
    v1::ServicePeriod {
        agency: period.agency,
        system: period.system.map(|id| id.to_string()).unwrap_or_default(),
        from: period.from.iso(),
        until: iso(period.until),
        recorded: period.recorded.iso(),
        by: period.by,
        decision: period.decision,
    }
}

pub(crate) fn due(due: Due) -> v1::DueCredential {
    v1::DueCredential {
        system: due.system,
        account: due.account,
        credential: due.credential,
        added_at: due.added_at.iso(),
        age_days: due.age_days,
        not_after: iso(due.not_after),
        why: due.why.to_owned(),
    }
}

pub(crate) fn account(account: AccountRecord) -> v1::Account {
    let (revoked_at, revoked_by, why) = match account.revoked {
        Some((at, by, why)) => (at.iso(), by, why),
        None => Default::default(),
    };
    v1::Account {
        id: account.id,
        person: account.person,
        role: account.role.to_owned(),
        agencies: account.agencies,
        added_at: account.added_at.iso(),
        added_by: account.added_by,
        not_after: iso(account.not_after),
        revoked_at,
        revoked_by,
        why,
    }
}

pub(crate) fn agency_record(agency: AgencyRecord) -> v1::AgencyRecord {
    v1::AgencyRecord {
        id: agency.id.0,
        code: agency.code,
        code_2020: agency.code_2020,
        other_codes: agency.other_codes,
        name: agency.name,
        parent: agency.parent,
        state: agency.state.to_owned(),
        successors: agency.successors,
        systems: names(agency.systems),
        changed_at: agency.changed_at.iso(),
        changed_by: agency.changed_by,
        kind: agency.kind,
        level: agency.level,
        contact: agency.contact,
        centre: agency.centre,
        parent_id: agency.parent_id.map_or(0, |id| id.0),
        successor_ids: agency.successor_ids.iter().map(|id| id.0).collect(),
        forwards_to_successor: agency.forwards_to_successor,
        fetches_nothing_suspended: agency.fetches_nothing_suspended,
        irregular: agency.irregular,
        reason: agency.reason,
        decision: agency.decision,
        effective_from: agency.effective_from.iso(),
        revision: u64::from(agency.revision),
        next_change: iso(agency.next_change),
    }
}

pub(crate) fn imported(imported: Imported) -> v1::ImportAgenciesResponse {
    v1::ImportAgenciesResponse {
        added: imported.added,
        changed: imported.changed,
        unchanged: imported.unchanged,
        problems: problems(imported.problems),
        differences: imported.differences.into_iter().map(difference).collect(),
    }
}

/// A list's bytes, and how it is to be taken over.
pub(crate) fn import_order(
    request: v1::ImportAgenciesRequest,
) -> Result<(bytes::Bytes, ImportOrder), Refusal> {
    let order = ImportOrder {
        deliveries: open_deliveries(request.deliveries()),
        effective: super::moment("effective", &request.effective)?,
        decision: request.decision,
        why: request.why,
        irregular: request.irregular,
        format: format(&request.format)?,
        sheet: request.sheet,
        differences: request.differences as usize,
        dry_run: request.dry_run,
    };
    Ok((request.csv, order))
}

/// The format that a list is said to have; nothing = as its bytes tell.
pub(crate) fn format(word: &str) -> Result<Option<Format>, Refusal> {
    if word.is_empty() {
        return Ok(None);
    }
    match Format::of_word(word) {
        Some(format) => Ok(Some(format)),
        None => Err(Refusal::argument(
            "format",
            format!("Không có định dạng {word:?}; dùng csv, xlsx hoặc json."),
            format!("There is no format {word:?}; it is csv, xlsx or json."),
        )),
    }
}

pub(crate) fn problems(problems: Vec<ImportProblem>) -> Vec<v1::ImportProblem> {
    let problem = |problem: ImportProblem| v1::ImportProblem {
        row: problem.row,
        column: problem.column,
        message: problem.message,
        message_en: problem.message_en,
        cell: problem.cell,
    };
    problems.into_iter().map(problem).collect()
}

pub(crate) fn system_record(system: SystemRecord) -> v1::SystemRecord {
    v1::SystemRecord {
        id: system.id.to_string(),
        name: system.name,
        agencies: system.agencies,
        attachment: system.attachment.to_owned(),
        suspended: system.suspended,
        keys: system
            .keys
            .into_iter()
            .map(|key| v1::SystemKey {
                id: key.id,
                added_at: key.added_at.iso(),
                added_by: key.added_by,
                not_after: iso(key.not_after),
            })
            .collect(),
        pins: system
            .pins
            .into_iter()
            .map(|pin| v1::SystemPin {
                spki_sha256: hex(&pin.spki_sha256),
                subject: pin.subject,
                added_at: pin.added_at.iso(),
                added_by: pin.added_by,
                not_after: iso(pin.not_after),
            })
            .collect(),
        changed_at: system.changed_at.iso(),
        changed_by: system.changed_by,
        reason: system.reason,
        inline_bytes: system.inline_bytes,
        max_open_deliveries: system.limits.max_open_deliveries.unwrap_or(0),
        max_streams: system.limits.max_streams.unwrap_or(0),
        max_bytes_in_flight: system.limits.max_bytes_in_flight.unwrap_or(0),
        max_pushes_per_second: system.limits.max_pushes_per_second.unwrap_or(0),
        in_force: Some(v1::SystemLimits {
            max_streams: system.in_force.max_streams,
            max_bytes_in_flight: system.in_force.max_bytes_in_flight,
            max_pushes_per_second: system.in_force.max_pushes_per_second,
            max_open_deliveries: system.in_force.max_open_deliveries,
        }),
    }
}

/// Of the wire a number; 0 = the axis's.
fn limit<T: Default + PartialEq>(of: T) -> Option<T> {
    (of != T::default()).then_some(of)
}

/// What a request changes of a system's own limits: those that are named.
pub(crate) fn change_of_limits(
    request: &v1::SetSystemLimitsRequest,
) -> Result<impl Fn(OwnLimits) -> OwnLimits + Send + Sync + use<>, Refusal> {
    let v1::SetSystemLimitsRequest {
        max_streams,
        max_bytes_in_flight,
        max_pushes_per_second,
        max_open_deliveries,
        ..
    } = *request;
    let names_none = max_streams.is_none()
        && max_bytes_in_flight.is_none()
        && max_pushes_per_second.is_none()
        && max_open_deliveries.is_none();
    if names_none {
        return Err(Refusal::argument(
            "max_streams",
            "Nêu ít nhất một giới hạn.",
            "Name at least one limit.",
        ));
    }
    Ok(move |own: OwnLimits| OwnLimits {
        max_streams: max_streams.map_or(own.max_streams, limit),
        max_bytes_in_flight: max_bytes_in_flight.map_or(own.max_bytes_in_flight, limit),
        max_pushes_per_second: max_pushes_per_second.map_or(own.max_pushes_per_second, limit),
        max_open_deliveries: max_open_deliveries.map_or(own.max_open_deliveries, limit),
    })
}

pub(crate) fn broker_access(access: &bus::amqp::Access) -> v1::BrokerAccess {
    v1::BrokerAccess {
        vhost: access.vhost.clone(),
        user: access.user.clone(),
        configure: access.configure.clone(),
        write: access.write.clone(),
        read: access.read.clone(),
        commands: access.commands(),
    }
}

pub(crate) fn new_system(request: v1::AddSystemRequest) -> NewSystem {
    NewSystem {
        id: request.id,
        name: request.name,
        agencies: request.agencies,
        attachment: request.attachment,
        axis_acknowledges: !request.no_axis_acknowledgement,
        with_key: !request.without_key,
        inline_bytes: request.inline_bytes,
        limits: OwnLimits {
            max_streams: limit(request.max_streams),
            max_bytes_in_flight: limit(request.max_bytes_in_flight),
            max_pushes_per_second: limit(request.max_pushes_per_second),
            max_open_deliveries: limit(request.max_open_deliveries),
        },
    }
}

/// What to revoke: one key, one pin, or with neither named everything.
pub(crate) fn revoke(key: Option<u32>, pin: Option<&str>) -> Result<Revoke, Refusal> {
    match (key, pin) {
        (None, None) => Ok(Revoke::All),
        (Some(key), None) => Ok(Revoke::Key(key)),
        (None, Some(pin)) => from_hex("spki_sha256", pin).map(Revoke::Pin),
        (Some(_), Some(_)) => Err(Refusal::argument(
            "spki_sha256",
            "Chỉ nêu một: một khóa hoặc một chứng thư.",
            "Name one thing: a key or a pin.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revoking_names_one_thing_or_all() {
        let pin = "ab".repeat(32);
        assert!(matches!(revoke(None, None), Ok(Revoke::All)));
        assert!(matches!(revoke(Some(2), None), Ok(Revoke::Key(2))));
        assert!(matches!(revoke(None, Some(&pin)), Ok(Revoke::Pin(bytes)) if bytes == [0xab; 32]));
        assert!(revoke(Some(2), Some(&pin)).is_err());
        // An empty pin is a mistake, not "all of them".
        assert!(revoke(None, Some("")).is_err());
    }
}
