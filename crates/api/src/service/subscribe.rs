//! Subscribe: deliveries as they come, settles on the same stream.
//!
//! One task a stream, with two halves that do not wait for each other: one reads (credit and
//! settles), one writes (deliveries in order). Between it and the client stands a channel of
//! two messages, so a slow client holds at most what [`AHEAD_BYTES`] says.

use std::future::pending;
use std::time::Duration;

use exchange::refusal::{Name, Refusal};
use exchange::{Next, Peer, Subscription};
use futures_util::StreamExt;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::{BoxFuture, BoxStream};
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::frames::Frames;
use super::{Core, DELIVERY_CHUNK_MAX, tell};
use crate::v1::subscribe_request::{Open, Request};
use crate::v1::subscribe_response::Response;
use crate::{convert, refused, v1};

/// Credit that one message may give.
const CREDIT_MAX: u32 = 1_000;
/// Until when the opening message is awaited.
const OPENING: Duration = Duration::from_secs(30);
/// Deliveries, and bytes of their content, that are made ready while an earlier one is sent:
/// their durable `fetched` marks then share a sync.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 1 << 20;
/// Settles of one stream under way at once.
const SETTLES: usize = 256;

type Out = mpsc::Sender<Result<v1::SubscribeResponse, Status>>;

/// Starts the stream.
pub(super) fn stream(
    core: Core,
    peer: Peer,
    messages: Streaming<v1::SubscribeRequest>,
) -> BoxStream<v1::SubscribeResponse> {
    let (out, answers) = mpsc::channel(2);
    let task = async move {
        let served = tokio::select! {
            served = serve(&core, &peer, messages, &out) => served,
            // Content that is being sent is cut, and offered again: the axis is stopping.
            () = core.drain.cancelled() => Err(refused::named(Name::NotServing)),
            // The client is gone: leases go back with the subscription.
            () = out.closed() => return,
        };
        if let Err(status) = served {
            // Nobody left to tell is as good as told.
            let _ = out.send(Err(status)).await;
        }
    };
    tokio::spawn(task.in_current_span());
    Box::pin(ReceiverStream::new(answers))
}

async fn serve(
    core: &Core,
    peer: &Peer,
    mut messages: Streaming<v1::SubscribeRequest>,
    out: &Out,
) -> Result<(), Status> {
    let first = tokio::time::timeout(OPENING, messages.message()).await;
    let first = first.map_err(|_| not_opened())??;
    let Some(Request::Open(Open { credit })) = first.and_then(|first| first.request) else {
        return Err(not_opened());
    };
    let subscription = core
        .exchange
        .subscribe(peer, within(credit)?)
        .await
        .map_err(tell)?;
    let (added, credit) = watch::channel(0);
    tokio::select! {
        read = read(core, peer, messages, out, &added) => read,
        written = write(subscription, credit, out) => written,
    }
}

fn not_opened() -> Status {
    refused::argument(
        "open",
        "Thông điệp đầu tiên phải là open kèm credit.",
        "The first message must be open with a credit.",
    )
}

/// The credit, if it is one that a message may give.
fn within(credit: u32) -> Result<u32, Status> {
    if (1..=CREDIT_MAX).contains(&credit) {
        return Ok(credit);
    }
    Err(refused::argument(
        "credit",
        format!("Từ 1 đến {CREDIT_MAX}."),
        format!("From 1 to {CREDIT_MAX}."),
    ))
}

/// The reading half: ends only if the client breaks the stream or the rules.
async fn read(
    core: &Core,
    peer: &Peer,
    mut messages: Streaming<v1::SubscribeRequest>,
    out: &Out,
    added: &watch::Sender<u64>,
) -> Result<(), Status> {
    let mut settles = FuturesUnordered::new();
    let mut open = true;
    loop {
        let room = settles.len() < SETTLES;
        tokio::select! {
            Some(settled) = settles.next() => send(out, settled).await?,
            message = messages.message(), if open && room => match message? {
                // The client has no more to say here and goes on receiving.
                None => open = false,
                Some(v1::SubscribeRequest { request }) => match request {
                    Some(Request::Settle(request)) => settles.push(settle(core, peer, request)),
                    Some(Request::Credit(credit)) => {
                        let credit = within(credit)?;
                        added.send_modify(|sum| *sum += u64::from(credit));
                    }
                    Some(Request::Open(_)) => return Err(refused::argument(
                        "open",
                        "Luồng đã mở.",
                        "The stream is open already.",
                    )),
                    None => return Err(refused::argument(
                        "request",
                        "Thông điệp trống.",
                        "An empty message.",
                    )),
                },
            },
            // Nothing under way and nothing to come: the writing half goes on alone.
            else => return pending().await,
        }
    }
}

async fn settle(core: &Core, peer: &Peer, request: v1::SettleRequest) -> Response {
    let delivery_id = request.delivery_id.clone();
    let settled = match convert::settle(request, "subscribe") {
        Ok(settle) => core.exchange.settle(peer, settle).await,
        Err(refusal) => Err(refusal),
    };
    match settled {
        Ok(settled) => Response::Settled(convert::settled(&settled)),
        Err(refusal) => Response::SettleRefused(convert::settle_refused(delivery_id, &refusal)),
    }
}

/// Something on its way out, in order.
enum Ready {
    Delivery(Box<Frames>),
    /// It was recalled since it was leased: as if it had never waited.
    Skipped,
    CaughtUp,
}

/// The writing half: ends only when the subscription is cut or content is damaged.
async fn write(
    mut subscription: Subscription,
    mut credit: watch::Receiver<u64>,
    out: &Out,
) -> Result<(), Status> {
    let mut ahead: FuturesOrdered<BoxFuture<(usize, Ready), Refusal>> = FuturesOrdered::new();
    let mut ahead_bytes = 0;
    let mut given = 0;
    loop {
        let room = ahead.len() < AHEAD && ahead_bytes < AHEAD_BYTES;
        tokio::select! {
            changed = credit.changed() => {
                // The reading half has ended; it tells why.
                if changed.is_err() {
                    return pending().await;
                }
                let sum = *credit.borrow_and_update();
                subscription.add_credit(u32::try_from(sum - given).unwrap_or(u32::MAX));
                given = sum;
            }
            next = subscription.next(), if room => match next {
                Next::Offer(offer) => {
                    let size = usize::try_from(offer.header.size).unwrap_or(usize::MAX);
                    let bytes = size.min(DELIVERY_CHUNK_MAX);
                    ahead_bytes += bytes;
                    ahead.push_back(Box::pin(async move {
                        match Frames::open(*offer).await {
                            Ok(frames) => Ok((bytes, Ready::Delivery(Box::new(frames)))),
                            Err(refusal) if refusal.name == Name::Recalled => {
                                Ok((bytes, Ready::Skipped))
                            }
                            Err(refusal) => Err(refusal),
                        }
                    }));
                }
                Next::CaughtUp => {
                    ahead.push_back(Box::pin(async { Ok((0, Ready::CaughtUp)) }));
                }
                Next::Cut(refusal) => return Err(tell(refusal)),
            },
            Some(ready) = ahead.next() => {
                let (bytes, ready) = ready.map_err(tell)?;
                ahead_bytes -= bytes;
                match ready {
                    Ready::Skipped => {}
                    Ready::CaughtUp => send(out, Response::CaughtUp(v1::CaughtUp {})).await?,
                    Ready::Delivery(mut frames) => {
                        while let Some(frame) = frames.next().await.map_err(tell)? {
                            send(out, Response::Frame(frame)).await?;
                        }
                    }
                }
            }
        }
    }
}

/// Hands a message on; waits while the client is slow.
async fn send(out: &Out, response: Response) -> Result<(), Status> {
    let message = v1::SubscribeResponse {
        response: Some(response),
    };
    // Closed: the client is gone, and the task ends by that.
    let gone = |_| Status::cancelled("the client is gone");
    out.send(Ok(message)).await.map_err(gone)
}
