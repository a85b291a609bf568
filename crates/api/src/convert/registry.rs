//! Agencies and systems.

use exchange::{AgencyRecord, ImportProblem, Imported, NewSystem, Revoke, SystemRecord};
use ledger::id::SystemId;

use super::{from_hex, hex};
use crate::v1;
use exchange::refusal::{Name, Refusal};

pub(crate) fn names(systems: Vec<SystemId>) -> Vec<String> {
    systems.iter().map(ToString::to_string).collect()
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
        ..v1::AgencyRecord::default()
    }
}

pub(crate) fn imported(imported: Imported) -> v1::ImportAgenciesResponse {
    v1::ImportAgenciesResponse {
        added: imported.added,
        changed: imported.changed,
        unchanged: imported.unchanged,
        problems: problems(imported.problems),
        differences: Vec::new(),
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
            .map(|(id, at, by)| v1::SystemKey {
                id,
                added_at: at.iso(),
                added_by: by,
                not_after: String::new(),
            })
            .collect(),
        pins: system
            .pins
            .into_iter()
            .map(|(spki_sha256, subject, at, by)| v1::SystemPin {
                spki_sha256: hex(&spki_sha256),
                subject,
                added_at: at.iso(),
                added_by: by,
                not_after: String::new(),
            })
            .collect(),
        changed_at: system.changed_at.iso(),
        changed_by: system.changed_by,
        reason: String::new(),
        inline_bytes: system.inline_bytes,
    }
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
    }
}

/// What to revoke: one key, one pin, or with neither named everything.
pub(crate) fn revoke(key: Option<u32>, pin: Option<&str>) -> Result<Revoke, Refusal> {
    match (key, pin) {
        (None, None) => Ok(Revoke::All),
        (Some(key), None) => Ok(Revoke::Key(key)),
        (None, Some(pin)) => from_hex("spki_sha256", pin).map(Revoke::Pin),
        (Some(_), Some(_)) => Err(Refusal::new(Name::BadArgument).at(
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
