//! The calls of `RegistryService` about lists: export, publications, comparison, unknown codes.

use exchange::{Compared, Edition};
use ledger::publication::{Published, UnknownCode};
use ledger::time::Ms;
use lists::{Difference, Entry};
use tonic::{Request, Response, Status};

use super::{Core, answer, asked, tell};
use crate::{convert, refused, v1};

type Answer<T> = Result<Response<T>, Status>;

/// Differences told of one comparison of lists.
const DIFFERENCES: usize = 10_000;

fn edition(as_of: &str) -> Result<Edition, Status> {
    let at = convert::moment("as_of", as_of).map_err(tell)?;
    Ok(at.map_or(Edition::Now, Edition::At))
}

pub(super) async fn export(
    core: &Core,
    request: Request<v1::ExportAgenciesRequest>,
) -> Answer<v1::ExportAgenciesResponse> {
    let v1::ExportAgenciesRequest {
        format,
        as_of,
        publication,
        closed,
    } = request.into_inner();
    let format = convert::format(&format).map_err(tell)?.ok_or_else(|| {
        refused::argument(
            "format",
            "Nêu định dạng: csv, xlsx hoặc json.",
            "Name the format: csv, xlsx or json.",
        )
    })?;
    let edition = match publication {
        Some(version) => Edition::Version(version),
        None => edition(&as_of)?,
    };
    let exported = core.exchange.export(format, edition, closed).await;
    answer(
        exported.map(|(file, sha256, agencies)| v1::ExportAgenciesResponse {
            file,
            sha256: convert::hex(&sha256),
            agencies: u32::try_from(agencies).unwrap_or(u32::MAX),
        }),
    )
}

pub(super) async fn publish(
    core: &Core,
    request: Request<v1::PublishRequest>,
) -> Answer<v1::Publication> {
    let (operator, v1::PublishRequest { note, as_of }) = asked(request)?;
    let as_of = convert::moment("as_of", &as_of).map_err(tell)?;
    let published = core.exchange.publish(&operator, &note, as_of).await;
    answer(published.map(publication))
}

pub(super) async fn publications(
    core: &Core,
    _: Request<v1::ListPublicationsRequest>,
) -> Answer<v1::ListPublicationsResponse> {
    let all = core.exchange.publications().await;
    answer(all.map(|all| v1::ListPublicationsResponse {
        publications: all.into_iter().map(publication).collect(),
    }))
}

pub(super) async fn mark_sent(
    core: &Core,
    request: Request<v1::MarkSentRequest>,
) -> Answer<v1::Publication> {
    let (
        operator,
        v1::MarkSentRequest {
            version,
            on,
            document,
        },
    ) = asked(request)?;
    let day = on.parse().map_err(|_| {
        refused::argument(
            "on",
            "Ngày gửi phải có dạng 2026-07-01.",
            "The day is written 2026-07-01.",
        )
    })?;
    let sent = core
        .exchange
        .mark_sent(&operator, version, day, &document)
        .await;
    answer(sent.map(publication))
}

pub(super) async fn difference(
    core: &Core,
    request: Request<v1::DiffPublicationsRequest>,
) -> Answer<v1::DiffRegistryResponse> {
    let v1::DiffPublicationsRequest { from, to } = request.into_inner();
    let to = (to != 0).then_some(to);
    let found = core.exchange.publication_difference(from, to).await;
    answer(found.map(|found| v1::DiffRegistryResponse {
        agencies: differences(found),
        next_page_token: String::new(),
    }))
}

pub(super) async fn compare(
    core: &Core,
    request: Request<v1::CompareListRequest>,
) -> Answer<v1::CompareListResponse> {
    let v1::CompareListRequest {
        list,
        format,
        sheet,
    } = request.into_inner();
    let format = convert::format(&format).map_err(tell)?;
    let compared = core.exchange.compare_list(list, format, sheet).await;
    answer(compared.map(comparison))
}

pub(super) async fn unknown(
    core: &Core,
    _: Request<v1::ListUnknownRequest>,
) -> Answer<v1::ListUnknownResponse> {
    let codes = core.exchange.unknown_codes().await;
    answer(codes.map(|codes| v1::ListUnknownResponse {
        codes: codes.into_iter().map(unknown_code).collect(),
    }))
}

fn publication(about: Published) -> v1::Publication {
    let sent = about.sent;
    let (sent_on, sent_document, sent_by) = sent.map_or_else(Default::default, |sent| {
        let on = Ms(i64::from(sent.day) * 86_400_000).iso();
        (on[..10].to_owned(), sent.document, sent.by)
    });
    v1::Publication {
        version: about.version,
        at: about.at.iso(),
        by: about.by,
        note: about.note,
        sha256: convert::hex(&about.sha256),
        agencies: about.agencies,
        sent_on,
        sent_document,
        sent_by,
        as_of: about.as_of.iso(),
    }
}

fn unknown_code(seen: UnknownCode) -> v1::UnknownCode {
    v1::UnknownCode {
        code: seen.code,
        first_seen: seen.first.iso(),
        last_seen: seen.last.iso(),
        count: seen.count,
        senders: seen.senders,
        role: if seen.as_sender { "sender" } else { "receiver" }.to_owned(),
    }
}

fn fields(fields: Vec<(lists::Column, String, String)>) -> Vec<v1::FieldChange> {
    let change = |(column, before, after): (lists::Column, String, String)| v1::FieldChange {
        field: column.id().to_owned(),
        before,
        after,
    };
    fields.into_iter().map(change).collect()
}

/// Added, removed, changed; the ids of agencies stand in no list.
fn differences(found: Difference) -> Vec<v1::AgencyDifference> {
    let whole = |what: &'static str| {
        move |entry: Entry| v1::AgencyDifference {
            agency: 0,
            code: entry.main_code().to_owned(),
            name: entry.name,
            what: what.to_owned(),
            fields: Vec::new(),
        }
    };
    let changed = found
        .changed
        .into_iter()
        .map(|changed| v1::AgencyDifference {
            agency: 0,
            code: changed.code,
            name: changed.name,
            what: "changed".to_owned(),
            fields: fields(changed.fields),
        });
    let added = found.added.into_iter().map(whole("added"));
    let removed = found.removed.into_iter().map(whole("removed"));
    added.chain(changed).chain(removed).collect()
}

fn comparison(compared: Compared) -> v1::CompareListResponse {
    let found = compared.found;
    let one = |what: &'static str, row: u32, entry: Entry| v1::ListDifference {
        what: what.to_owned(),
        code: entry.main_code().to_owned(),
        name: entry.name,
        row,
        fields: Vec::new(),
    };
    let pair = |what: &'static str, pair: lists::Pair| v1::ListDifference {
        fields: fields(pair.fields),
        ..one(what, pair.national.number, pair.own)
    };
    let missing_there = found
        .missing_there
        .into_iter()
        .map(|e| one("missing_there", 0, e));
    let missing_here = found
        .missing_here
        .into_iter()
        .map(|row| one("missing_here", row.number, row.entry));
    let differs = found.different.into_iter().map(|p| pair("differs", p));
    let closed_there = found
        .closed_there
        .into_iter()
        .map(|p| pair("closed_there", p));
    let closed_here = found
        .closed_here
        .into_iter()
        .map(|p| pair("closed_here", p));
    v1::CompareListResponse {
        differences: missing_there
            .chain(closed_there)
            .chain(closed_here)
            .chain(differs)
            .chain(missing_here)
            .take(DIFFERENCES)
            .collect(),
        problems: convert::problems(compared.problems),
        same: u32::try_from(found.alike).unwrap_or(u32::MAX),
    }
}
