//! Queues, causes, pauses, dead deliveries.

use exchange::refusal::Refusal;
use exchange::{DeadDelivery, Finding, GroupBy, Lane, Pause, QueueLine, QueuesAsked, Revived, Why};
use ledger::id::DeliveryId;
use ledger::time::Ms;

use super::{agency, delivery_id, kind, lane, names};
use crate::v1;

pub(crate) fn queues_asked(request: v1::QueuesRequest) -> QueuesAsked {
    let by = match request.by() {
        v1::QueuesBy::Unspecified | v1::QueuesBy::Agency => GroupBy::Agency,
        v1::QueuesBy::System => GroupBy::System,
    };
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    QueuesAsked {
        by,
        system: some(request.system),
        agency: some(request.agency),
        all: request.all,
        page_size: request.page_size,
        page_token: request.page_token,
    }
}

fn time(at: Option<Ms>) -> String {
    at.map(Ms::iso_ms).unwrap_or_default()
}

pub(crate) fn queue(line: QueueLine) -> v1::AgencyQueue {
    let lanes = [Lane::Flash, Lane::Urgent, Lane::Status, Lane::Routine];
    let figures = line.figures;
    v1::AgencyQueue {
        agency: line.agency.map(agency),
        systems: names(line.systems),
        pending: figures.pending,
        fetched: figures.fetched,
        held: figures.held,
        dead: figures.dead,
        lanes: lanes
            .into_iter()
            .zip(figures.lanes)
            .map(|(of, depth)| v1::LaneDepth {
                lane: lane(of).into(),
                depth,
            })
            .collect(),
        oldest_at: time(figures.oldest),
        streams: line.streams,
        last_fetch_at: time(line.last_fetch),
        system: line.system.map(|id| id.to_string()).unwrap_or_default(),
        lane: line.lane.map_or(v1::Lane::Unspecified, lane).into(),
        state: line.state.word().to_owned(),
        forwarding: figures.forwarding,
        leased: figures.leased,
        ready: line.ready,
        unacked: line.unacked,
        came_last_minute: figures.came,
        left_last_minute: figures.left,
        paused_at: time(line.paused),
    }
}

pub(crate) fn why(why: Why) -> v1::WhyResponse {
    v1::WhyResponse {
        kind: why.kind.to_owned(),
        id: why.id,
        name: why.name,
        findings: why.findings.into_iter().map(finding).collect(),
        more: why.more,
    }
}

fn finding(finding: Finding) -> v1::why_response::Finding {
    let row = finding.cause.row();
    v1::why_response::Finding {
        cause: row.name.to_owned(),
        turn: row.turn.word().to_owned(),
        turn_vi: row.turn.vi().to_owned(),
        since: time(finding.about.since),
        message: finding.vi(),
        message_en: finding.en(),
        command: finding.command(),
        delivery_id: finding.about.delivery,
        package_id: finding.about.package,
        agency: finding.about.agency,
        system: finding.about.system,
    }
}

pub(crate) fn pause(pause: Pause) -> v1::PauseRecord {
    v1::PauseRecord {
        system: pause.system.map(|id| id.to_string()).unwrap_or_default(),
        agency: pause.agency.map(agency),
        since: pause.since.iso_ms(),
        by: pause.by,
        why: pause.why,
    }
}

pub(crate) fn dead(dead: DeadDelivery) -> v1::DeadDelivery {
    v1::DeadDelivery {
        delivery_id: dead.delivery.to_string(),
        package_id: dead.package.to_string(),
        kind: kind(dead.kind).into(),
        receiver: Some(agency(dead.receiver)),
        systems: names(dead.systems),
        lane: lane(dead.lane).into(),
        round: dead.round,
        accepted_at: dead.accepted_at.iso_ms(),
        since: dead.since.iso_ms(),
        reason: dead.reason,
    }
}

pub(crate) fn delivery_ids(texts: &[String]) -> Result<Vec<DeliveryId>, Refusal> {
    texts.iter().map(|text| delivery_id(text)).collect()
}

/// Those that changed, and those left as they are.
pub(crate) fn revived(revived: Revived) -> (Vec<String>, Vec<v1::SkippedDead>) {
    let done = revived.done.iter().map(DeliveryId::to_string).collect();
    let skipped = revived.skipped.into_iter();
    let skipped = skipped.map(|(delivery, reason)| v1::SkippedDead {
        delivery_id: delivery.to_string(),
        reason: reason.to_owned(),
    });
    (done, skipped.collect())
}
