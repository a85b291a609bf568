//! A trace as a person reads it: what it is about, what happened, where it stands; in
//! Vietnamese with English beside it.

use std::collections::HashSet;

use api::v1;
use ledger::time::Ms;

use crate::output::{self, Paint, Tone};
use crate::{shape, words};

/// A time of the axis as people write it: `22/11/2026 08:00:05`.
pub(crate) fn clock(iso: &str) -> String {
    let bytes = iso.as_bytes();
    let looks_iso = bytes.len() >= 19
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
        && iso.is_ascii();
    if !looks_iso {
        return iso.to_owned();
    }
    format!(
        "{}/{}/{} {}",
        &iso[8..10],
        &iso[5..7],
        &iso[..4],
        &iso[11..19]
    )
}

/// How long ago a time of the axis was, in two units at most: `45 giây`, `3 giờ 05`. What is no
/// time stays as it is.
pub(crate) fn age(iso: &str, now: Ms) -> String {
    let Ok(at) = Ms::parse(iso) else {
        return iso.to_owned();
    };
    // A clock that was set back makes nothing younger than now.
    let seconds = now.0.saturating_sub(at.0).max(0) / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds} giây"),
        () if hours == 0 => format!("{minutes} phút"),
        () if days == 0 => format!("{hours} giờ {:02}", minutes % 60),
        () => format!("{days} ngày {} giờ", hours % 24),
    }
}

/// An agency by its name and code.
pub(crate) fn agency(agency: Option<&v1::Agency>) -> String {
    let (name, code) = (shape::name(agency), shape::code(agency));
    if name.is_empty() {
        code
    } else {
        format!("{name} ({code})")
    }
}

/// Number and notation (or the status's code), and what the package is about.
pub(crate) fn about(package: &v1::PackageSummary) -> (String, String) {
    if let Some(document) = &package.document {
        let number = match (document.number.as_str(), document.notation.as_str()) {
            (number, "") => number.to_owned(),
            ("", notation) => notation.to_owned(),
            (number, notation) => format!("{number}/{notation}"),
        };
        let about = match document.business {
            0 => document.subject.clone(),
            business => format!("[{}] {}", words::business(business).0, document.subject),
        };
        return (number, about);
    }
    package
        .status
        .as_ref()
        .map_or_else(Default::default, |status| {
            let by = if status.made_by_axis {
                " (do trục lập)"
            } else {
                ""
            };
            (status.code.clone(), format!("{}{by}", status.label))
        })
}

/// Tells a trace.
pub(crate) fn tell(trace: &v1::TraceResponse) -> String {
    tell_with(trace, Paint::for_stdout())
}

fn tell_with(trace: &v1::TraceResponse, paint: Paint) -> String {
    let mut parts = Vec::new();
    let heading = |text: &str| paint.tone(Tone::Strong, text);
    let (documents, statuses): (Vec<_>, Vec<_>) = trace
        .packages
        .iter()
        .partition(|package| package.document.is_some());
    // Beside a document its statuses are what was said about it; alone they are the story.
    if documents.is_empty() {
        parts.extend(statuses.iter().map(|package| head(package, paint)));
    } else {
        parts.extend(documents.iter().map(|package| head(package, paint)));
        if !statuses.is_empty() {
            let table = indent(&status_table(&statuses));
            parts.push(format!(
                "{}\n{table}",
                heading("Trạng thái đã báo (statuses reported)")
            ));
        }
    }
    if !trace.events.is_empty() {
        let aside: HashSet<&str> = if documents.is_empty() {
            HashSet::new()
        } else {
            statuses
                .iter()
                .map(|package| package.package_id.as_str())
                .collect()
        };
        let (told, left_out): (Vec<_>, Vec<_>) = trace.events.iter().partition(|event| {
            !(aside.contains(event.package_id.as_str()) && is_handing_over(event))
        });
        let mut text = format!(
            "{}\n{}",
            heading("Diễn biến (what happened)"),
            events(&told, paint)
        );
        if !left_out.is_empty() {
            text += &format!(
                "\n  và {n} bước giao các trạng thái trên cho bên gửi (and {n} steps of handing these statuses over)",
                n = left_out.len()
            );
        }
        parts.push(text);
    }
    parts.join("\n\n")
}

/// The steps that every delivery takes.
fn is_handing_over(event: &v1::TraceEvent) -> bool {
    matches!(event.kind.as_str(), "fetched" | "acknowledged")
}

fn status_table(statuses: &[&v1::PackageSummary]) -> String {
    let rows = statuses.iter().map(|package| {
        let (code, label) = about(package);
        let note = package
            .status
            .as_ref()
            .filter(|status| !status.made_by_axis);
        [
            clock(&package.accepted_at),
            agency(package.sender.as_ref()),
            format!("{code} {label}"),
            note.map(|status| output::shorten(&status.description, 60))
                .unwrap_or_default(),
        ]
    });
    output::table(
        [
            "Lúc (at)",
            "Cơ quan báo (by)",
            "Trạng thái (status)",
            "Ghi chú (note)",
        ],
        rows,
    )
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a package is, and where each of its deliveries stands.
fn head(package: &v1::PackageSummary, paint: Paint) -> String {
    let (number, about) = about(package);
    let title = match &package.document {
        Some(document) => {
            let (vi, en) = words::business(document.business);
            format!("Văn bản {number}: {vi} ({en})")
        }
        None => format!("Trạng thái {number}: {about} (status)"),
    };
    let mut text = paint.tone(Tone::Strong, title);
    let mut row = |vi: &str, en: &str, value: &str| {
        if !value.is_empty() {
            let pad = 28_usize.saturating_sub(vi.chars().count() + en.chars().count() + 3);
            text += &format!("\n  {vi} ({en}){:pad$}{value}", "");
        }
    };
    if let Some(document) = &package.document {
        row("Trích yếu", "subject", &document.subject);
        row(
            "Mã văn bản",
            "DocumentId",
            document.document_id.as_deref().unwrap_or(""),
        );
        row("Ngày ban hành", "dated", &document.promulgation_date);
        row("Người ký", "signed by", &document.signer);
    }
    if let Some(status) = &package.status {
        row("Về văn bản", "about", &status.document_id);
        row("Ghi chú", "note", &status.description);
    }
    row("Bên gửi", "from", &agency(package.sender.as_ref()));
    row("Trục nhận lúc", "accepted", &clock(&package.accepted_at));
    row(
        "Gói tin",
        "package",
        &format!("{}, {}", package.package_id, output::size(package.size)),
    );
    row("Mã băm", "SHA-256", &package.sha256);
    if !package.deliveries.is_empty() {
        let table = output::table(
            [
                "Bên nhận (to)",
                "Bản gửi (delivery)",
                "Trạng thái (status)",
                "Từ (since)",
            ],
            package.deliveries.iter().map(|delivery| {
                [
                    agency(delivery.receiver.as_ref()),
                    words::state_vi(delivery.state()).to_owned(),
                    if delivery.status.is_empty() {
                        "-".to_owned()
                    } else {
                        status_words(&delivery.status)
                    },
                    clock(&delivery.changed_at),
                ]
            }),
        );
        text += &format!("\n{}", indent(&table));
    }
    text
}

/// A status code with its meaning.
pub(crate) fn status_words(code: &str) -> String {
    match edxml::StatusCode::parse(code) {
        Some(known) if known.is_known() => format!("{code} {}", known.label_vi()),
        _ => code.to_owned(),
    }
}

fn events(events: &[&v1::TraceEvent], paint: Paint) -> String {
    let mut lines = Vec::new();
    for event in events {
        let round = if event.round > 1 {
            format!(" (lượt {0}, round {0})", event.round)
        } else {
            String::new()
        };
        let told = with_agency(
            event,
            if event.detail.is_empty() {
                &event.kind
            } else {
                &event.detail
            },
        );
        lines.push(format!("  {}  {told}{round}", clock(&event.at)));
        if !event.detail_en.is_empty() {
            let told = with_agency(event, &event.detail_en);
            lines.push(format!("  {:19}  {}", "", paint.tone(Tone::Faint, told)));
        }
    }
    lines.join("\n")
}

/// The sentence; one about a status with who reported it, if it does not name them.
fn with_agency(event: &v1::TraceEvent, sentence: &str) -> String {
    let name = shape::name(event.agency.as_ref());
    if event.kind != "status" || name.is_empty() || sentence.contains(name) {
        sentence.to_owned()
    } else {
        format!("{name}: {sentence}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PLAIN;

    fn party(code: &str, name: &str) -> Option<v1::Agency> {
        Some(v1::Agency {
            code: code.to_owned(),
            main_code: code.to_owned(),
            name: name.to_owned(),
        })
    }

    fn sample() -> v1::TraceResponse {
        v1::TraceResponse {
            packages: vec![v1::PackageSummary {
                package_id: "0123456789ab00070000002a".to_owned(),
                kind: v1::PackageKind::Document as i32,
                sender: party("000.00.00.G22", "Văn phòng Chính phủ"),
                accepted_at: "2026-11-22T08:00:05+07:00".to_owned(),
                sha256: "ab".repeat(32),
                size: 7078,
                document: Some(v1::DocumentHeader {
                    document_id: Some("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT".to_owned()),
                    business: 0,
                    number: "7816".to_owned(),
                    notation: "VPCP-TTĐT".to_owned(),
                    subject: "V/v kết nối phần mềm".to_owned(),
                    ..Default::default()
                }),
                status: None,
                level: 0,
                content_removed: false,
                deliveries: vec![v1::DeliverySummary {
                    delivery_id: "d".to_owned(),
                    receiver: party("000.00.00.H41", "UBND Tỉnh Nghệ An"),
                    state: v1::DeliveryState::Acknowledged as i32,
                    round: 1,
                    changed_at: "2026-11-22T08:00:06+07:00".to_owned(),
                    status: "03".to_owned(),
                }],
            }],
            events: vec![v1::TraceEvent {
                at: "2026-11-22T08:00:05+07:00".to_owned(),
                kind: "accepted".to_owned(),
                detail: "Trục đã nhận gói tin".to_owned(),
                detail_en: "The axis accepted the package".to_owned(),
                round: 2,
                ..Default::default()
            }],
        }
    }

    #[test]
    fn a_story_tells_what_it_is_what_happened_and_where_it_stands() {
        let text = tell_with(&sample(), PLAIN);
        let hash = format!("  Mã băm (SHA-256)            {}", "ab".repeat(32));
        let expected = [
            "Văn bản 7816/VPCP-TTĐT: văn bản mới (new document)",
            "  Trích yếu (subject)         V/v kết nối phần mềm",
            "  Mã văn bản (DocumentId)     000.00.00.G22,2015/09/30,7816/VPCP-TTĐT",
            "  Bên gửi (from)              Văn phòng Chính phủ (000.00.00.G22)",
            "  Trục nhận lúc (accepted)    22/11/2026 08:00:05",
            "  Gói tin (package)           0123456789ab00070000002a, 6.9 KiB",
            &hash,
            "  Bên nhận (to)                      Bản gửi (delivery)  Trạng thái (status)  Từ (since)",
            "  UBND Tỉnh Nghệ An (000.00.00.H41)  đã nhận             03 đã tiếp nhận      22/11/2026 08:00:06",
            "",
            "Diễn biến (what happened)",
            "  22/11/2026 08:00:05  Trục đã nhận gói tin (lượt 2, round 2)",
            "                       The axis accepted the package",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn times_are_written_as_people_do() {
        assert_eq!(clock("2026-11-22T08:00:05+07:00"), "22/11/2026 08:00:05");
        assert_eq!(clock(""), "");
        assert_eq!(clock("hôm qua, lúc 08:00:05"), "hôm qua, lúc 08:00:05");
    }
}
