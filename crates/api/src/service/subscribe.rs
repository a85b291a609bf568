//! Subscribe: deliveries as they come, settles on the same stream.
//!
//! One task a stream, with two halves that do not wait for each other: one reads (credit and
//! settles), one writes (deliveries in order). Between it and the client stands a channel of
//! two messages: a slow client makes the axis hold no more than these.

use std::future::pending;
use std::time::Duration;

use exchange::refusal::Name;
use exchange::{Next, Peer, Subscription};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::frames::Frames;
use super::{Core, tell};
use crate::v1::subscribe_request::{Open, Request};
use crate::v1::subscribe_response::Response;
use crate::{convert, refused, v1};

/// Credit that one message may give.
const CREDIT_MAX: u32 = 1_000;
/// Until when the opening message is awaited.
const OPENING: Duration = Duration::from_secs(30);
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
    let credit = subscription.credit();
    tokio::select! {
        read = read(core, peer, messages, out, |more| credit.add(more)) => read,
        written = write(subscription, out) => written,
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
    add: impl Fn(u32),
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
                    Some(Request::Credit(credit)) => add(within(credit)?),
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

/// The writing half: ends only when the subscription is cut or content is damaged.
async fn write(mut subscription: Subscription, out: &Out) -> Result<(), Status> {
    loop {
        match subscription.next().await {
            Next::Offer(offer) => {
                let mut frames = Frames::new(*offer);
                while let Some(frame) = frames.next().await.map_err(tell)? {
                    send(out, Response::Frame(frame)).await?;
                }
            }
            Next::CaughtUp => send(out, Response::CaughtUp(v1::CaughtUp {})).await?,
            Next::Cut(refusal) => return Err(tell(refusal)),
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
