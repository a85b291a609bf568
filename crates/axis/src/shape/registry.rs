//! The objects of the registry: agencies and systems.

use api::v1;
use serde::Serialize;

use super::some;

/// An agency of the registry.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Agency {
    pub(crate) code: String,
    pub(crate) code_2020: Option<String>,
    pub(crate) other_codes: Vec<String>,
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) state: String,
    pub(crate) successors: Vec<String>,
    pub(crate) systems: Vec<String>,
    pub(crate) changed_at: Option<String>,
    pub(crate) changed_by: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) contact: Option<String>,
    pub(crate) centre: Option<String>,
    pub(crate) forwards_to_successor: bool,
    pub(crate) irregular: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) decision: Option<String>,
    pub(crate) effective_from: Option<String>,
    pub(crate) next_change: Option<String>,
    pub(crate) revision: u64,
}

impl From<&v1::AgencyRecord> for Agency {
    fn from(of: &v1::AgencyRecord) -> Self {
        Self {
            code: of.code.clone(),
            code_2020: some(&of.code_2020),
            other_codes: of.other_codes.clone(),
            name: of.name.clone(),
            parent: some(&of.parent),
            state: of.state.clone(),
            successors: of.successors.clone(),
            systems: of.systems.clone(),
            changed_at: some(&of.changed_at),
            changed_by: some(&of.changed_by),
            kind: some(&of.kind),
            level: some(&of.level),
            contact: some(&of.contact),
            centre: some(&of.centre),
            forwards_to_successor: of.forwards_to_successor,
            irregular: some(&of.irregular),
            reason: some(&of.reason),
            decision: some(&of.decision),
            effective_from: some(&of.effective_from),
            next_change: some(&of.next_change),
            revision: of.revision,
        }
    }
}

/// A value that changed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FieldChange {
    pub(crate) field: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

pub(crate) fn fields(of: &[v1::FieldChange]) -> Vec<FieldChange> {
    of.iter()
        .map(|field| FieldChange {
            field: field.field.clone(),
            before: some(&field.before),
            after: some(&field.after),
        })
        .collect()
}

/// One change of one agency.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Change {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) operation: String,
    pub(crate) effective: String,
    pub(crate) recorded: Option<String>,
    pub(crate) by: Option<String>,
    pub(crate) decision: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) planned: bool,
    pub(crate) fields: Vec<FieldChange>,
}

impl From<&v1::AgencyChange> for Change {
    fn from(of: &v1::AgencyChange) -> Self {
        Self {
            code: of.code.clone(),
            name: of.name.clone(),
            number: of.number,
            operation: of.operation.clone(),
            effective: of.effective.clone(),
            recorded: some(&of.recorded),
            by: some(&of.by),
            decision: some(&of.decision),
            why: some(&of.why),
            planned: of.planned,
            fields: fields(&of.fields),
        }
    }
}

/// What became of one agency between two lists or moments.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Difference {
    /// Of another list: the row that says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<u32>,
    pub(crate) what: String,
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) fields: Vec<FieldChange>,
}

impl From<&v1::AgencyDifference> for Difference {
    fn from(of: &v1::AgencyDifference) -> Self {
        Self {
            row: None,
            what: of.what.clone(),
            code: of.code.clone(),
            name: of.name.clone(),
            fields: fields(&of.fields),
        }
    }
}

impl From<&v1::ListDifference> for Difference {
    fn from(of: &v1::ListDifference) -> Self {
        Self {
            row: Some(of.row).filter(|row| *row > 0),
            what: of.what.clone(),
            code: of.code.clone(),
            name: of.name.clone(),
            fields: fields(&of.fields),
        }
    }
}

/// A published version of the list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Publication {
    pub(crate) version: u64,
    pub(crate) at: String,
    pub(crate) by: Option<String>,
    pub(crate) as_of: String,
    pub(crate) note: Option<String>,
    pub(crate) agencies: u32,
    pub(crate) sha256: String,
    pub(crate) sent_on: Option<String>,
    pub(crate) sent_document: Option<String>,
    pub(crate) sent_by: Option<String>,
}

impl From<&v1::Publication> for Publication {
    fn from(of: &v1::Publication) -> Self {
        Self {
            version: of.version,
            at: of.at.clone(),
            by: some(&of.by),
            as_of: of.as_of.clone(),
            note: some(&of.note),
            agencies: of.agencies,
            sha256: of.sha256.clone(),
            sent_on: some(&of.sent_on),
            sent_document: some(&of.sent_document),
            sent_by: some(&of.sent_by),
        }
    }
}

/// A code in traffic that nobody registered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct UnknownCode {
    pub(crate) code: String,
    pub(crate) role: String,
    pub(crate) first_seen: String,
    pub(crate) last_seen: String,
    pub(crate) count: u64,
    pub(crate) senders: Vec<String>,
}

impl From<&v1::UnknownCode> for UnknownCode {
    fn from(of: &v1::UnknownCode) -> Self {
        Self {
            code: of.code.clone(),
            role: of.role.clone(),
            first_seen: of.first_seen.clone(),
            last_seen: of.last_seen.clone(),
            count: of.count,
            senders: of.senders.clone(),
        }
    }
}

/// A connected system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct System {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) agencies: Vec<String>,
    pub(crate) attachment: String,
    pub(crate) suspended: bool,
    pub(crate) reason: Option<String>,
    pub(crate) limits: Limits,
    /// The limits that count: its own, else the axis's.
    pub(crate) in_force: Limits,
    pub(crate) keys: Vec<Key>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) changed_at: Option<String>,
    pub(crate) changed_by: Option<String>,
}

/// Limits of a system. Of its own, `null` = the axis's; of those in force, `null` = none.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Limits {
    pub(crate) max_streams: Option<u32>,
    pub(crate) max_bytes_in_flight: Option<u64>,
    pub(crate) max_pushes_per_second: Option<u32>,
    pub(crate) max_open_deliveries: Option<u64>,
}

impl From<v1::SystemLimits> for Limits {
    fn from(of: v1::SystemLimits) -> Self {
        Self {
            max_streams: Some(of.max_streams).filter(|limit| *limit > 0),
            max_bytes_in_flight: Some(of.max_bytes_in_flight).filter(|limit| *limit > 0),
            max_pushes_per_second: Some(of.max_pushes_per_second).filter(|limit| *limit > 0),
            max_open_deliveries: Some(of.max_open_deliveries).filter(|limit| *limit > 0),
        }
    }
}

/// A key of a system; never its value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Key {
    pub(crate) id: u32,
    pub(crate) added_at: String,
    pub(crate) added_by: String,
    pub(crate) not_after: Option<String>,
}

/// A certificate pinned to a system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pin {
    pub(crate) spki_sha256: String,
    pub(crate) subject: String,
    pub(crate) added_at: String,
    pub(crate) added_by: String,
    pub(crate) not_after: Option<String>,
}

impl From<&v1::SystemRecord> for System {
    fn from(of: &v1::SystemRecord) -> Self {
        Self {
            id: of.id.clone(),
            name: some(&of.name),
            agencies: of.agencies.clone(),
            attachment: of.attachment.clone(),
            suspended: of.suspended,
            reason: some(&of.reason),
            limits: Limits::from(v1::SystemLimits {
                max_streams: of.max_streams,
                max_bytes_in_flight: of.max_bytes_in_flight,
                max_pushes_per_second: of.max_pushes_per_second,
                max_open_deliveries: of.max_open_deliveries,
            }),
            in_force: Limits::from(of.in_force.unwrap_or_default()),
            keys: of
                .keys
                .iter()
                .map(|key| Key {
                    id: key.id,
                    added_at: key.added_at.clone(),
                    added_by: key.added_by.clone(),
                    not_after: some(&key.not_after),
                })
                .collect(),
            pins: of
                .pins
                .iter()
                .map(|pin| Pin {
                    spki_sha256: pin.spki_sha256.clone(),
                    subject: pin.subject.clone(),
                    added_at: pin.added_at.clone(),
                    added_by: pin.added_by.clone(),
                    not_after: some(&pin.not_after),
                })
                .collect(),
            changed_at: some(&of.changed_at),
            changed_by: some(&of.changed_by),
        }
    }
}
