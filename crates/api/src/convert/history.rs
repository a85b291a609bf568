//! What happened and what waits.

use exchange::refusal::Refusal;
use exchange::{
    Cell, DeliverySummary, Info, Matrix, PackageSummary, Redelivered, RefusalSummary, Reminded,
    Reminder, Removal, RepeatedNumber, Search, StatusEvent, Trace, TraceEvent, UnmatchedStatus,
    Verified, WatchedStatus,
};

use super::package::{facts, label, reason_class};
use super::{agency, end, hex, kind, kind_filter, moment, state, status_code};
use crate::v1;

/// Packages on a page, at most and when nothing is said.
const PAGE: u32 = 1_000;
const USUAL_PAGE: u32 = 100;

/// The size of a page as asked: 0 is the usual one.
pub(crate) fn page_size(asked: u32, usual: u32) -> Result<u32, Refusal> {
    match asked {
        0 => Ok(usual),
        1..=PAGE => Ok(asked),
        _ => Err(Refusal::argument(
            "page_size",
            format!("Tối đa {PAGE}."),
            format!("At most {PAGE}."),
        )),
    }
}

pub(crate) fn search(request: v1::SearchRequest) -> Result<Search, Refusal> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(Search {
        agency: request.agency.and_then(some),
        document_id: some(request.document_id),
        number: some(request.number),
        since: moment("since", &request.since)?,
        until: end("until", &request.until)?,
        kind: kind_filter(request.kind)?,
        text: some(request.text),
        level: request.level.map(level).transpose()?,
        paper: request.paper,
        overdue: request.overdue,
        page_size: page_size(request.page_size, USUAL_PAGE)?,
        page_token: request.page_token,
    })
}

/// A level of urgency.
fn level(asked: u32) -> Result<u8, Refusal> {
    u8::try_from(asked)
        .ok()
        .filter(|level| *level <= 4)
        .ok_or_else(|| Refusal::argument("level", "Độ khẩn từ 0 đến 4.", "A level is 0 to 4."))
}

pub(crate) fn package_summary(package: PackageSummary) -> v1::PackageSummary {
    let (document, status) = facts(package.facts);
    v1::PackageSummary {
        package_id: package.package.to_string(),
        kind: kind(package.kind).into(),
        sender: Some(agency(package.sender)),
        accepted_at: package.accepted_at.iso_ms(),
        sha256: hex(&package.sha256),
        size: package.size,
        level: package.level.into(),
        content_removed: package.content_removed,
        document,
        status,
        deliveries: package
            .deliveries
            .into_iter()
            .map(delivery_summary)
            .collect(),
    }
}

fn delivery_summary(delivery: DeliverySummary) -> v1::DeliverySummary {
    v1::DeliverySummary {
        delivery_id: delivery.delivery.to_string(),
        receiver: Some(agency(delivery.receiver)),
        state: state(delivery.state).into(),
        round: delivery.round,
        changed_at: delivery.changed_at.iso_ms(),
        status: cell_status(delivery.status),
    }
}

fn cell_status(status: Option<u8>) -> String {
    status
        .map(|code| status_code(code.into()))
        .unwrap_or_default()
}

pub(crate) fn refusal_summary(refusal: RefusalSummary) -> v1::RefusalSummary {
    v1::RefusalSummary {
        at: refusal.at.iso_ms(),
        system: refusal.system,
        code: refusal.code,
        sender_code: refusal.sender_code,
        sha256: hex(&refusal.sha256),
        size: refusal.size,
        path: refusal.path,
        count: refusal.count,
    }
}

pub(crate) fn trace(trace: Trace) -> v1::TraceResponse {
    v1::TraceResponse {
        packages: trace.packages.into_iter().map(package_summary).collect(),
        events: trace.events.into_iter().map(trace_event).collect(),
    }
}

fn trace_event(event: TraceEvent) -> v1::TraceEvent {
    v1::TraceEvent {
        at: event.at.iso_ms(),
        kind: event.kind.to_owned(),
        package_id: event.package.to_string(),
        delivery_id: event.delivery.map(|id| id.to_string()).unwrap_or_default(),
        actor: event.actor,
        via: event.via,
        detail: event.detail,
        detail_en: event.detail_en,
        agency: event.agency.map(agency),
        sha256: event.sha256.map(|sha256| hex(&sha256)).unwrap_or_default(),
        round: event.round,
        anchor: event.anchor,
    }
}

pub(crate) fn watched(status: WatchedStatus) -> v1::WatchResponse {
    v1::WatchResponse {
        token: status.token,
        change: Some(v1::StatusChange {
            package_id: status.package.to_string(),
            document_id: status.document_id,
            sender: Some(agency(status.sender)),
            receiver: Some(agency(status.receiver)),
            code: cell_status(Some(status.code)),
            label: label(status.code.into()),
            at: status.at.iso_ms(),
            description: status.description,
            made_by_axis: status.made_by_axis,
        }),
    }
}

pub(crate) fn unmatched(status: UnmatchedStatus) -> v1::UnmatchedStatus {
    v1::UnmatchedStatus {
        package_id: status.package.to_string(),
        sender: Some(agency(status.from)),
        document_sender: Some(agency(status.document_sender)),
        code: cell_status(Some(status.code)),
        label: label(status.code.into()),
        at: status.at.iso_ms(),
        document_id: status.document_id,
        document_code: status.document_code,
        promulgation_date: status.promulgation_date,
        description: status.description,
    }
}

pub(crate) fn duplicate_number(number: RepeatedNumber) -> v1::DuplicateNumber {
    let documents = number.documents.into_iter();
    v1::DuplicateNumber {
        agency: Some(agency(number.agency)),
        year: number.year,
        number: number.number,
        documents: documents
            .map(|document| v1::NumberedDocument {
                package_id: document.package.to_string(),
                document_id: document.document_id,
                promulgation_date: document.promulgation_date,
                subject: document.subject,
                accepted_at: document.accepted_at.iso_ms(),
            })
            .collect(),
    }
}

pub(crate) fn matrix(matrix: Matrix) -> v1::MatrixResponse {
    let counts = matrix.counts();
    v1::MatrixResponse {
        counts: Some(v1::MatrixCounts {
            receivers: counts.receivers,
            waiting: counts.waiting,
            received: counts.received,
            finished: counts.finished,
            refused: counts.refused,
            recalled: counts.recalled,
            failed: counts.failed,
            overdue: counts.overdue,
        }),
        level: matrix.level.into(),
        due_at: matrix.due_at.map(|at| at.iso()).unwrap_or_default(),
        document_id: matrix.document_id,
        sender: Some(agency(matrix.sender)),
        cells: matrix.cells.into_iter().map(cell).collect(),
    }
}

fn cell(cell: Cell) -> v1::Cell {
    v1::Cell {
        receiver: Some(agency(cell.receiver)),
        delivery_id: cell.delivery.to_string(),
        delivery_state: state(cell.state).into(),
        round: cell.round,
        status: cell_status(cell.status),
        status_label: cell
            .status
            .map(|code| label(code.into()))
            .unwrap_or_default(),
        overdue: cell.overdue,
        recall: cell.recall.map(|recall| v1::RecallState {
            answer: recall.answer.word().to_owned(),
            request_package_id: recall.request.to_string(),
            asked_at: recall.asked_at.iso_ms(),
            reason: recall.reason,
        }),
        events: cell.events.into_iter().map(status_event).collect(),
    }
}

fn status_event(event: StatusEvent) -> v1::StatusEvent {
    v1::StatusEvent {
        package_id: event.package.to_string(),
        code: status_code(event.code.into()),
        label: label(event.code.into()),
        at: event.at.iso_ms(),
        reason_class: reason_class(event.reason_class),
        description: event.description,
        staff: event.staff,
        timestamp: event.timestamp,
        made_by_axis: event.made_by_axis,
    }
}

pub(crate) fn reminder(reminder: Reminder) -> v1::Reminder {
    v1::Reminder {
        owing: reminder.owing.word().to_owned(),
        agency: Some(agency(reminder.agency)),
        sender: reminder.sender.map(agency),
        document_id: reminder.document_id,
        package_id: reminder
            .package
            .map(|package| package.to_string())
            .unwrap_or_default(),
        since: reminder.since.iso(),
        count: reminder.count,
    }
}

pub(crate) fn reminded(reminded: Reminded) -> v1::RemindResponse {
    let sent = reminded.sent.into_iter();
    let skipped = reminded.skipped.into_iter();
    v1::RemindResponse {
        sent: sent
            .map(
                |(receiver, delivery, package, round)| v1::remind_response::Sent {
                    receiver: Some(agency(receiver)),
                    delivery_id: delivery.to_string(),
                    package_id: package.to_string(),
                    round,
                },
            )
            .collect(),
        skipped: skipped
            .map(
                |(receiver, delivery, reason)| v1::remind_response::Skipped {
                    receiver: Some(agency(receiver)),
                    delivery_id: delivery.to_string(),
                    reason: reason.to_owned(),
                },
            )
            .collect(),
    }
}

pub(crate) fn removals(removals: Vec<Removal>) -> v1::RemoveResponse {
    let left = removals.iter().filter(|removal| removal.removed);
    v1::RemoveResponse {
        removed_bytes: left.map(|removal| removal.size).sum(),
        removals: removals
            .into_iter()
            .map(|removal| v1::remove_response::Removal {
                package_id: removal.package.to_string(),
                size: removal.size,
                removed: removal.removed,
            })
            .collect(),
    }
}

pub(crate) fn redelivered(redelivered: Redelivered) -> v1::RedeliverResponse {
    v1::RedeliverResponse {
        deliveries: redelivered
            .opened
            .into_iter()
            .map(
                |(delivery, package, round)| v1::redeliver_response::DeliverySummary {
                    delivery_id: delivery.to_string(),
                    package_id: package.to_string(),
                    round,
                },
            )
            .collect(),
        skipped: redelivered
            .skipped
            .into_iter()
            .map(|(delivery, reason)| v1::redeliver_response::Skipped {
                delivery_id: delivery.to_string(),
                reason: reason.to_owned(),
            })
            .collect(),
    }
}

pub(crate) fn verified(verified: Verified) -> v1::VerifyResponse {
    v1::VerifyResponse {
        sound: verified.sound,
        records: verified.records,
        payloads: verified.payloads,
        payload_bytes: verified.payload_bytes,
        segments: verified.segments,
        anchor: verified.anchor,
        damage: verified.damage.map(|(segment, offset, reason)| v1::Damage {
            segment,
            offset,
            reason,
        }),
        torn_tail: verified.torn_tail,
    }
}

pub(crate) fn info(info: Info, version: &str, build: &str) -> v1::InfoResponse {
    v1::InfoResponse {
        version: version.to_owned(),
        build: build.to_owned(),
        started_at: info.started_at.iso(),
        now: info.now.iso_ms(),
        position: info.position,
        anchor: info.anchor,
        index: info.index.to_owned(),
        space: info.space.to_owned(),
        read_only: info.read_only,
        pauses: info.pauses.into_iter().map(super::pause).collect(),
    }
}

pub(crate) fn idle_agency(idle: exchange::IdleAgency) -> v1::IdleAgency {
    v1::IdleAgency {
        agency: Some(agency(idle.agency)),
        last_at: idle.last.map(ledger::time::Ms::iso).unwrap_or_default(),
        served: idle.is_served,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_reads_its_bounds_and_leaves_empty_ones_out() {
        let read = search(v1::SearchRequest::default()).unwrap();
        assert_eq!(
            (read.page_size, read.agency, read.since),
            (USUAL_PAGE, None, None)
        );
        let asked = |page_size| v1::SearchRequest {
            page_size,
            ..Default::default()
        };
        assert_eq!(search(asked(1_000)).unwrap().page_size, 1_000);
        assert_eq!(
            search(asked(1_001)).err().unwrap().details[0].path,
            "page_size"
        );
        let bad = v1::SearchRequest {
            since: "hôm qua".into(),
            ..Default::default()
        };
        assert_eq!(search(bad).err().unwrap().details[0].path, "since");
    }
}
