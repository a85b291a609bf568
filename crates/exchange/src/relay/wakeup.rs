//! The message that an `amqp` system gets: ids and facts in headers, the package in the body if
//! the system asked for that and the package is small enough.

use std::sync::Arc;

use bus::Message;
use bus::headers::{self, Headers};
use bytes::BytesMut;
use ledger::event::{Actor, PackageKind};
use ledger::id::{DeliveryId, PackageId, SystemId};

use super::bus_lane;
use super::outlet::Terms;
use crate::admission::hex;
use crate::delivery::{Content, is_its_own};
use crate::refusal::{Name, Refusal};
use crate::service::Inner;
use crate::types::{DeliveryState, Header};

/// Makes the message of one delivery, marked if it was published before; `None` if it is not to
/// be published after all.
pub(super) async fn make(
    inner: &Arc<Inner>,
    system: &SystemId,
    terms: Terms,
    id: DeliveryId,
    again: bool,
) -> Result<Option<Message>, Refusal> {
    let Some((row, package)) = inner.told(id).await? else {
        return Ok(None);
    };
    let receiver = row.receiver;
    let again = again || row.state() == DeliveryState::Fetched;
    let inlined = terms.inline > 0 && package.facts.size <= terms.inline;
    let (header, body) = if inlined {
        let actor = Actor {
            system: system.to_string(),
            ..Actor::default()
        };
        match inner.serve(row.clone(), id, actor, "amqp").await {
            Ok((row, package, content)) => {
                let header = inner.header(id, &row, &package, u32::from(again), None);
                match whole(content, package.facts.size).await {
                    Ok(body) => (header, body),
                    // It is offered without content: whoever downloads it is told why not.
                    Err(refusal) if is_its_own(refusal.name) => (header, bytes::Bytes::new()),
                    Err(refusal) => return Err(refusal),
                }
            }
            Err(refusal)
                if matches!(
                    refusal.name,
                    Name::Recalled | Name::WrongState | Name::NotFound
                ) =>
            {
                return Ok(None);
            }
            Err(refusal) if is_its_own(refusal.name) => (
                inner.header(id, &row, &package, u32::from(again), None),
                bytes::Bytes::new(),
            ),
            Err(refusal) => return Err(refusal),
        }
    } else {
        let header = inner.header(id, &row, &package, u32::from(again), None);
        (header, bytes::Bytes::new())
    };
    Ok(Some(Message {
        id: *id.as_bytes(),
        agency: receiver,
        body,
        headers: told(&header),
    }))
}

/// The whole content, checked against its hash.
async fn whole(mut content: Content, size: u64) -> Result<bytes::Bytes, Refusal> {
    const PIECE: usize = 256 << 10;
    let mut bytes = BytesMut::with_capacity(usize::try_from(size).unwrap_or(PIECE));
    while let Some(piece) = content.next_chunk(PIECE).await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

fn told(header: &Header) -> Headers {
    let kind = match header.kind {
        PackageKind::Status => "status",
        _ => "document",
    };
    let mut pairs: Vec<(&'static str, String)> = vec![
        (headers::DELIVERY, header.delivery.to_string()),
        (headers::PACKAGE, header.package.to_string()),
        (headers::AGENCY, header.receiver.code.clone()),
        (headers::ROUND, header.round.to_string()),
        (headers::SHA256, hex(&header.sha256)),
        (headers::SIZE, header.size.to_string()),
        (headers::KIND, kind.to_owned()),
        (headers::LANE, bus_lane(header.lane).as_str().to_owned()),
        (headers::LEVEL, header.level.to_string()),
        (
            headers::TRACEPARENT,
            traceparent(header.package, header.delivery, header.round),
        ),
    ];
    if header.redelivered {
        pairs.push((headers::REDELIVERED, "true".to_owned()));
    }
    pairs.into_iter().collect()
}

/// A W3C trace context that the ids give: all messages of a package are of one trace, each
/// round of a delivery is a span of it. The trace id is `41584953` ("AXIS") and the package id.
fn traceparent(package: PackageId, delivery: DeliveryId, round: u32) -> String {
    let mut span: [u8; 8] = [0; 8];
    for (at, byte) in delivery.as_bytes().iter().enumerate() {
        span[at % 8] ^= byte;
    }
    // The low bytes: rounds are few. A span id is not all zeros.
    for (own, round) in span.iter_mut().rev().zip(round.to_le_bytes()) {
        *own ^= round;
    }
    if span == [0; 8] {
        span[0] = 1;
    }
    format!("00-41584953{package}-{}-01", hex(&span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::id::AgencyId;

    #[test]
    fn a_trace_is_of_the_package_and_a_span_of_the_round() {
        let package = PackageId::from_parts(1, 2, 3);
        let delivery = DeliveryId::of(package, AgencyId(1));
        let first = traceparent(package, delivery, 1);
        let parts: Vec<&str> = first.split('-').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [2, 32, 16, 2]
        );
        assert!(parts[1].ends_with(&package.to_string()));
        let second = traceparent(package, delivery, 2);
        assert!(first != second && first[..36] == second[..36]);
    }
}
