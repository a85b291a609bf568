//! The objects of the operators' eyes: queues, causes, pauses, dead deliveries.

use api::v1;
use serde::Serialize;

use super::{code, name, some};
use crate::words;

/// What waits: for one agency, or in one lane of a system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Queue {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lane: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) systems: Vec<String>,
    pub(crate) state: String,
    pub(crate) pending: u64,
    pub(crate) fetched: u64,
    pub(crate) held: u64,
    pub(crate) dead: u64,
    pub(crate) forwarding: u64,
    pub(crate) leased: u64,
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    pub(crate) lanes: Lanes,
    pub(crate) oldest_at: Option<String>,
    pub(crate) in_per_minute: u64,
    pub(crate) out_per_minute: u64,
    pub(crate) streams: u32,
    pub(crate) last_fetch_at: Option<String>,
    pub(crate) paused_at: Option<String>,
}

/// Pending and fetched deliveries by lane.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Lanes {
    pub(crate) flash: u64,
    pub(crate) urgent: u64,
    pub(crate) status: u64,
    pub(crate) routine: u64,
}

impl From<&v1::AgencyQueue> for Queue {
    fn from(of: &v1::AgencyQueue) -> Self {
        let mut lanes = Lanes::default();
        for lane in &of.lanes {
            match lane.lane() {
                v1::Lane::Flash => lanes.flash += lane.depth,
                v1::Lane::Urgent => lanes.urgent += lane.depth,
                v1::Lane::Status => lanes.status += lane.depth,
                v1::Lane::Routine | v1::Lane::Unspecified => lanes.routine += lane.depth,
            }
        }
        let by_system = of.agency.is_none();
        Self {
            system: by_system.then(|| of.system.clone()),
            lane: by_system.then(|| words::lane(of.lane())),
            agency: (!by_system).then(|| code(of.agency.as_ref())),
            name: some(name(of.agency.as_ref())),
            systems: of.systems.clone(),
            state: of.state.clone(),
            pending: of.pending,
            fetched: of.fetched,
            held: of.held,
            dead: of.dead,
            forwarding: of.forwarding,
            leased: of.leased,
            ready: of.ready,
            unacked: of.unacked,
            lanes,
            oldest_at: some(&of.oldest_at),
            in_per_minute: of.came_last_minute,
            out_per_minute: of.left_last_minute,
            streams: of.streams,
            last_fetch_at: some(&of.last_fetch_at),
            paused_at: some(&of.paused_at),
        }
    }
}

/// Why something has not arrived.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Why {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) more: u64,
}

/// One cause.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) cause: String,
    pub(crate) turn: String,
    #[serde(skip)]
    pub(crate) turn_vi: String,
    pub(crate) since: Option<String>,
    pub(crate) message: String,
    pub(crate) message_en: String,
    pub(crate) command: Option<String>,
    pub(crate) delivery: Option<String>,
    pub(crate) package: Option<String>,
    pub(crate) agency: Option<String>,
    pub(crate) system: Option<String>,
}

impl From<v1::WhyResponse> for Why {
    fn from(of: v1::WhyResponse) -> Self {
        let finding = |of: v1::why_response::Finding| Finding {
            cause: of.cause,
            turn: of.turn,
            turn_vi: of.turn_vi,
            since: some(&of.since),
            message: of.message,
            message_en: of.message_en,
            command: some(&of.command),
            delivery: some(&of.delivery_id),
            package: some(&of.package_id),
            agency: some(&of.agency),
            system: some(&of.system),
        };
        Self {
            kind: of.kind,
            id: of.id,
            name: some(&of.name),
            findings: of.findings.into_iter().map(finding).collect(),
            more: of.more,
        }
    }
}

/// A pause, or one that is over.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Pause {
    pub(crate) system: Option<String>,
    pub(crate) agency: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) since: String,
    pub(crate) by: String,
    pub(crate) why: String,
}

impl From<v1::PauseRecord> for Pause {
    fn from(of: v1::PauseRecord) -> Self {
        Self {
            system: some(&of.system),
            agency: of.agency.as_ref().map(|agency| code(Some(agency))),
            name: some(name(of.agency.as_ref())),
            since: of.since,
            by: of.by,
            why: of.why,
        }
    }
}

/// A delivery that was given up.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Dead {
    pub(crate) delivery: String,
    pub(crate) package: String,
    pub(crate) kind: &'static str,
    pub(crate) receiver: String,
    pub(crate) receiver_name: Option<String>,
    pub(crate) systems: Vec<String>,
    pub(crate) lane: &'static str,
    pub(crate) round: u32,
    pub(crate) accepted_at: String,
    pub(crate) since: String,
    pub(crate) reason: String,
}

impl From<&v1::DeadDelivery> for Dead {
    fn from(of: &v1::DeadDelivery) -> Self {
        Self {
            delivery: of.delivery_id.clone(),
            package: of.package_id.clone(),
            kind: words::kind(of.kind()),
            receiver: code(of.receiver.as_ref()),
            receiver_name: some(name(of.receiver.as_ref())),
            systems: of.systems.clone(),
            lane: words::lane(of.lane()),
            round: of.round,
            accepted_at: of.accepted_at.clone(),
            since: of.since.clone(),
            reason: of.reason.clone(),
        }
    }
}
