//! The rows of the endpoint's lists, out of what the exchange tells.

use exchange::{DeliveryState, Facts, PackageKind, PackageSummary, Waiting};
use ledger::event::AgencyState;
use ledger::id::AgencyId;
use ledger::registry::{Agency, Registry};
use vxp::MessageType;
use vxp::answer::{Agency2020Row, AgencyRow, Received, SentCopy, UnitRow};

const SERVICE: &str = "eDoc";

/// What the protocol calls a kind of package.
pub(super) fn message_type(kind: PackageKind) -> &'static str {
    let known = if kind == PackageKind::Status {
        MessageType::Status
    } else {
        MessageType::Edoc
    };
    known.word()
}

/// What waits. Its state is always `initial`: one that was fetched and not settled must not look
/// as if it were done.
pub(super) fn received(waiting: &Waiting) -> Received {
    let at = waiting.accepted_at.edxml();
    let fetched = waiting.state == DeliveryState::Fetched;
    Received {
        doc_id: waiting.delivery.to_string(),
        service_type: SERVICE.to_owned(),
        message_type: message_type(waiting.kind).to_owned(),
        created_time: at.clone(),
        updated_time: at,
        from: waiting.sender.code.clone(),
        to: waiting.receiver.code.clone(),
        status: "initial".to_owned(),
        status_desc: if fetched {
            "Đã lấy, chưa xác nhận"
        } else {
            "Chờ lấy"
        }
        .to_owned(),
    }
}

/// The copies of a sent package.
pub(super) fn sent(package: &PackageSummary) -> Vec<SentCopy> {
    let (title, notation) = match &package.facts {
        Facts::Document(document) => (
            document.subject.clone(),
            format!("{}/{}", document.number, document.notation),
        ),
        Facts::Status(status) => (String::new(), status.document_code.clone()),
    };
    let copies = package.deliveries.iter().map(|delivery| {
        let (state, told) = state(delivery.state);
        let came = !matches!(
            delivery.state,
            DeliveryState::Held | DeliveryState::Pending | DeliveryState::Forwarding
        );
        SentCopy {
            service_type: SERVICE.to_owned(),
            message_type: message_type(package.kind).to_owned(),
            sender_doc_id: package.package.to_string(),
            receiver_doc_id: delivery.delivery.to_string(),
            from_code: package.sender.code.clone(),
            to_code: delivery.receiver.code.clone(),
            title: title.clone(),
            notation: notation.clone(),
            sent_time: package.accepted_at.edxml(),
            received_time: if came {
                delivery.changed_at.edxml()
            } else {
                String::new()
            },
            send_status: "done".to_owned(),
            send_status_desc: "Trục đã nhận".to_owned(),
            receive_status: state.to_owned(),
            receive_status_desc: told.to_owned(),
        }
    });
    copies.collect()
}

/// A delivery's state in the words of `updateStatus`, and for people.
const fn state(state: DeliveryState) -> (&'static str, &'static str) {
    match state {
        DeliveryState::Acknowledged => ("done", "Bên nhận đã xác nhận"),
        DeliveryState::Fetched => ("processing", "Bên nhận đã lấy, chưa xác nhận"),
        DeliveryState::Failed => ("fail", "Bên nhận báo không đọc được"),
        DeliveryState::Refused => ("fail", "Bị từ chối"),
        DeliveryState::Recalled => ("recalled", "Đã thu hồi"),
        DeliveryState::Held => ("initial", "Đang được giữ lại"),
        DeliveryState::Dead => ("initial", "Bên nhận lấy nhiều lần không xác nhận"),
        DeliveryState::Dropped => ("fail", "Đã dừng giao"),
        DeliveryState::Forwarding => ("initial", "Đang chuyển lên trục quốc gia"),
        DeliveryState::Forwarded => ("done", "Đã chuyển lên trục quốc gia"),
        _ => ("initial", "Bên nhận chưa lấy"),
    }
}

/// Every agency that can be written to, or is closed, by id: a snapshot, made row by row.
pub(super) fn each<R>(
    registry: Registry,
    row: impl Fn(&Registry, AgencyId, &Agency) -> Option<R>,
) -> impl Iterator<Item = R> {
    let end = registry.next_agency().0;
    (1..end)
        .map(AgencyId)
        .filter_map(move |id| row(&registry, id, registry.agency(id)?))
}

const fn is_listed(agency: &Agency) -> bool {
    matches!(agency.state, AgencyState::Active | AgencyState::Suspended)
}

/// What of a contact is an address of mail.
fn mail(agency: &Agency) -> String {
    let mut words = agency
        .contact
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>'));
    let mail = words.find(|word| word.contains('@'));
    mail.unwrap_or_default().to_owned()
}

fn parent(agency: &Agency) -> String {
    agency
        .parent
        .map(|parent| parent.to_string())
        .unwrap_or_default()
}

/// A row of `getAgenciesList`.
pub(super) fn agency(_: &Registry, id: AgencyId, agency: &Agency) -> Option<AgencyRow> {
    is_listed(agency).then(|| AgencyRow {
        id: id.to_string(),
        pid: parent(agency),
        code: agency.code.to_string(),
        name: agency.name.to_string(),
        mail: mail(agency),
        old_code: agency
            .other_codes
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
    })
}

/// A row of `getAgenciesListQD20`: agencies that have a code of that form.
pub(super) fn agency_2020(_: &Registry, id: AgencyId, agency: &Agency) -> Option<Agency2020Row> {
    let is_2016 =
        |code: &str| edxml::AgencyCode::new(code).form() == edxml::identifier::Form::Form2016;
    let (code, code102) = match (&*agency.code_2020, &*agency.code) {
        ("", main) if is_2016(main) => return None,
        ("", main) => (main, ""),
        (code, main) => (code, main),
    };
    is_listed(agency).then(|| Agency2020Row {
        id: id.to_string(),
        code: code.to_owned(),
        name: agency.name.to_string(),
        mail: mail(agency),
        code102: code102.to_owned(),
    })
}

/// A row of `getSynchronizeUnit`: closed ones as well, marked.
pub(super) fn unit(registry: &Registry, id: AgencyId, agency: &Agency) -> Option<UnitRow> {
    let deleted = agency.state == AgencyState::Closed;
    let version = registry.version_of(id);
    (deleted || is_listed(agency)).then(|| UnitRow {
        id: id.to_string(),
        pid: parent(agency),
        code: agency.code.to_string(),
        name: agency.name.to_string(),
        mail: mail(agency),
        version: registry.life(id).map_or(0, |life| life.revision().into()),
        center_code: agency.centre.to_string(),
        deleted,
        modify_date: version
            .map(|version| version.from.edxml())
            .unwrap_or_default(),
        is_agency: true,
    })
}
