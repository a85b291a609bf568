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
    pub(crate) keys: Vec<Key>,
    pub(crate) pins: Vec<Pin>,
    pub(crate) changed_at: Option<String>,
    pub(crate) changed_by: Option<String>,
}

/// A key of a system; never its value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Key {
    pub(crate) id: u32,
    pub(crate) added_at: String,
    pub(crate) added_by: String,
}

/// A certificate pinned to a system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pin {
    pub(crate) spki_sha256: String,
    pub(crate) subject: String,
    pub(crate) added_at: String,
    pub(crate) added_by: String,
}

impl From<&v1::SystemRecord> for System {
    fn from(of: &v1::SystemRecord) -> Self {
        Self {
            id: of.id.clone(),
            name: some(&of.name),
            agencies: of.agencies.clone(),
            attachment: of.attachment.clone(),
            suspended: of.suspended,
            keys: of
                .keys
                .iter()
                .map(|key| Key {
                    id: key.id,
                    added_at: key.added_at.clone(),
                    added_by: key.added_by.clone(),
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
                })
                .collect(),
            changed_at: some(&of.changed_at),
            changed_by: some(&of.changed_by),
        }
    }
}
