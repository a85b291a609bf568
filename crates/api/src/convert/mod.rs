//! From the exchange's values to the messages of axis.v1, and back.

mod alerts;
mod history;
mod package;
mod queues;
mod registry;

pub(crate) use alerts::{alert_page, standing_alerts};
pub(crate) use history::*;
pub(crate) use package::*;
pub(crate) use queues::*;
pub(crate) use registry::*;

use std::fmt::Write as _;

use exchange::refusal::{Name, Refusal};
use exchange::{DeliveryState, Lane, PackageKind, Party};
use ledger::id::{DeliveryId, PackageId};
use ledger::time::Ms;

use crate::v1;

/// Hex digits, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// 32 bytes in hex digits.
pub(crate) fn from_hex(path: &str, text: &str) -> Result<[u8; 32], Refusal> {
    let digits = text.as_bytes();
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        match pair {
            &[high, low] => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(not_hex(path)),
            },
            _ => return Err(not_hex(path)),
        }
    }
    if digits.len() == 64 {
        Ok(bytes)
    } else {
        Err(not_hex(path))
    }
}

fn not_hex(path: &str) -> Refusal {
    let refusal = Refusal::new(Name::BadArgument);
    refusal.at(
        path,
        "Phải gồm 64 chữ số hex (SHA-256).",
        "Must be 64 hex digits (SHA-256).",
    )
}

/// A delivery's id as a client wrote it.
pub(crate) fn delivery_id(text: &str) -> Result<DeliveryId, Refusal> {
    text.parse().map_err(|_| {
        Refusal::argument(
            "delivery_id",
            format!("{:?} không phải mã bản gửi (UUID).", short(text)),
            format!("{:?} is not a delivery id (a UUID).", short(text)),
        )
    })
}

/// A package's id as a client wrote it.
pub(crate) fn package_id(text: &str) -> Result<PackageId, Refusal> {
    text.parse().map_err(|_| {
        Refusal::argument(
            "package_id",
            format!("{:?} không phải mã gói tin (24 chữ số hex).", short(text)),
            format!("{:?} is not a package id (24 hex digits).", short(text)),
        )
    })
}

/// A moment as a client wrote it; empty is none.
pub(crate) fn moment(path: &str, text: &str) -> Result<Option<Ms>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    Ms::parse(text)
        .map(Some)
        .map_err(|_| not_a_time(path, text))
}

/// The end of a span as a client wrote it: a date means the end of that day in Vietnam.
pub(crate) fn end(path: &str, text: &str) -> Result<Option<Ms>, Refusal> {
    const DAY: i64 = 86_400_000;
    let date = text.len() == "2026-07-01".len();
    let end = moment(path, text)?;
    Ok(end.map(|Ms(ms)| {
        if date {
            Ms(ms.saturating_add(DAY))
        } else {
            Ms(ms)
        }
    }))
}

fn not_a_time(path: &str, text: &str) -> Refusal {
    Refusal::argument(
        path,
        format!(
            "{:?} không phải ngày hoặc giờ dạng ISO 8601 (2026-07-01).",
            short(text)
        ),
        format!(
            "{:?} is not a date or time in ISO 8601 (2026-07-01).",
            short(text)
        ),
    )
}

/// What a client wrote, short enough to be told back.
fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

pub(crate) fn agency(party: Party) -> v1::Agency {
    v1::Agency {
        code: party.code,
        main_code: party.main_code,
        name: party.name,
    }
}

pub(crate) const fn kind(kind: PackageKind) -> v1::PackageKind {
    match kind {
        PackageKind::Unspecified => v1::PackageKind::Unspecified,
        PackageKind::Document => v1::PackageKind::Document,
        PackageKind::Status => v1::PackageKind::Status,
    }
}

/// A kind to filter by; unspecified is none.
pub(crate) fn kind_filter(kind: Option<i32>) -> Result<Option<PackageKind>, Refusal> {
    match kind.map(v1::PackageKind::try_from) {
        None | Some(Ok(v1::PackageKind::Unspecified)) => Ok(None),
        Some(Ok(v1::PackageKind::Document)) => Ok(Some(PackageKind::Document)),
        Some(Ok(v1::PackageKind::Status)) => Ok(Some(PackageKind::Status)),
        Some(Err(_)) => Err(Refusal::argument(
            "kind",
            "Loại gói tin không có trong axis.v1.",
            "No such kind of package in axis.v1.",
        )),
    }
}

pub(crate) const fn lane(lane: Lane) -> v1::Lane {
    match lane {
        Lane::Unspecified => v1::Lane::Unspecified,
        Lane::Flash => v1::Lane::Flash,
        Lane::Urgent => v1::Lane::Urgent,
        Lane::Status => v1::Lane::Status,
        Lane::Routine => v1::Lane::Routine,
    }
}

pub(crate) const fn state(state: DeliveryState) -> v1::DeliveryState {
    match state {
        DeliveryState::Unspecified => v1::DeliveryState::Unspecified,
        DeliveryState::Held => v1::DeliveryState::Held,
        DeliveryState::Refused => v1::DeliveryState::Refused,
        DeliveryState::Pending => v1::DeliveryState::Pending,
        DeliveryState::Fetched => v1::DeliveryState::Fetched,
        DeliveryState::Acknowledged => v1::DeliveryState::Acknowledged,
        DeliveryState::Failed => v1::DeliveryState::Failed,
        DeliveryState::Recalled => v1::DeliveryState::Recalled,
        DeliveryState::Forwarding => v1::DeliveryState::Forwarding,
        DeliveryState::Forwarded => v1::DeliveryState::Forwarded,
        DeliveryState::Dead => v1::DeliveryState::Dead,
        DeliveryState::Dropped => v1::DeliveryState::Dropped,
    }
}

/// A status code as axis.v1 writes it: two digits.
pub(crate) fn status_code(code: u32) -> String {
    format!("{code:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enums_have_the_journals_numbers() {
        for n in 0..=2 {
            assert_eq!(kind(PackageKind::try_from(n).unwrap()) as i32, n);
        }
        for n in 0..=4 {
            assert_eq!(lane(Lane::try_from(n).unwrap()) as i32, n);
        }
        for n in 0..=11 {
            assert_eq!(state(DeliveryState::try_from(n).unwrap()) as i32, n);
        }
        // One more number on either side is a state that nobody has mapped.
        assert!(DeliveryState::try_from(12).is_err() && v1::DeliveryState::try_from(12).is_err());
        assert!(Lane::try_from(5).is_err() && v1::Lane::try_from(5).is_err());
        assert!(PackageKind::try_from(3).is_err() && v1::PackageKind::try_from(3).is_err());
    }

    #[test]
    fn hex_reads_back_and_the_rest_is_refused() {
        let bytes: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8).unwrap());
        assert_eq!(from_hex("x", &hex(&bytes)), Ok(bytes));
        assert_eq!(from_hex("x", &hex(&bytes).to_uppercase()), Ok(bytes));
        let good = hex(&bytes);
        let long = format!("{good}0");
        for bad in [
            "",
            "0",
            &good[..63],
            &long,
            &"ế".repeat(64),
            &"+1".repeat(32),
        ] {
            assert_eq!(
                from_hex("pin", bad).unwrap_err().details[0].path,
                "pin",
                "{bad:?}"
            );
        }
    }

    #[test]
    fn ids_and_times_are_refused_with_what_was_written() {
        let refusal = delivery_id("abc").unwrap_err();
        assert_eq!(refusal.name, Name::BadArgument);
        assert!(refusal.details[0].message_en.contains("\"abc\""));
        assert!(package_id(&"a".repeat(25)).is_err());
        assert_eq!(moment("since", ""), Ok(None));
        let day = Ms::parse("2026-07-01").unwrap();
        assert_eq!(moment("since", "2026-07-01"), Ok(Some(day)));
        assert_eq!(
            end("until", "2026-07-01"),
            Ok(Some(Ms::parse("2026-07-02").unwrap()))
        );
        assert_eq!(end("until", "2026-07-01T00:00:00"), Ok(Some(day)));
        assert_eq!(
            end("until", "01/07/2026").unwrap_err().details[0].path,
            "until"
        );
    }

    #[test]
    fn no_kind_is_no_filter() {
        assert_eq!(kind_filter(None), Ok(None));
        assert_eq!(kind_filter(Some(0)), Ok(None));
        assert_eq!(kind_filter(Some(2)), Ok(Some(PackageKind::Status)));
        assert!(kind_filter(Some(9)).is_err());
    }
}
