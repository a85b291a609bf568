//! Deliveries as frames: a header, then the content in chunks, the last marked.
//!
//! The streams of Fetch and Download are made frame by frame as the client takes them, so
//! nothing is buffered here, and a stream that is dropped knows exactly what it has not sent.

use exchange::refusal::{Name, Refusal};
use exchange::{Content, Exchange, FetchFilter, Offer, Outcome, Peer, Settle};
use futures_util::stream;
use ledger::id::DeliveryId;
use tonic::Status;
use tonic::codegen::BoxStream;

use super::{Core, DELIVERY_CHUNK_MAX, tell};
use crate::v1::delivery_frame::Frame;
use crate::{convert, v1};

/// One delivery on its way out.
pub(super) struct Frames {
    id: String,
    header: Option<v1::DeliveryHeader>,
    content: Content,
    left: u64,
}

impl Frames {
    pub(super) fn new(offer: Offer) -> Self {
        let Offer { header, content } = offer;
        Self {
            id: header.delivery.to_string(),
            left: header.size,
            header: Some(convert::header(header)),
            content,
        }
    }

    /// The next frame; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<v1::DeliveryFrame>, Refusal> {
        if let Some(header) = self.header.take() {
            return Ok(Some(v1::DeliveryFrame {
                frame: Some(Frame::Header(header)),
            }));
        }
        if self.left == 0 {
            return Ok(None);
        }
        // Less or more content than the header announces is damage, and no last chunk leaves.
        let damaged = || Refusal::new(Name::ContentDamaged);
        let data = self
            .content
            .next_chunk(DELIVERY_CHUNK_MAX)
            .await?
            .ok_or_else(damaged)?;
        self.left = self
            .left
            .checked_sub(data.len() as u64)
            .ok_or_else(damaged)?;
        let chunk = v1::ContentChunk {
            delivery_id: self.id.clone(),
            data,
            last: self.left == 0,
        };
        Ok(Some(v1::DeliveryFrame {
            frame: Some(Frame::Chunk(chunk)),
        }))
    }
}

/// A lease that is given back if the stream ends before the delivery was sent whole.
struct Lease {
    exchange: Exchange,
    peer: Peer,
    delivery: DeliveryId,
    round: u32,
    /// It was sent whole, or cannot be.
    kept: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let settle = Settle {
            delivery: self.delivery,
            round: self.round,
            outcome: Outcome::Released,
            reason: String::new(),
            via: "fetch",
            sha256: None,
        };
        let (exchange, peer) = (self.exchange.clone(), self.peer.clone());
        // Without a runtime the process is ending, and leases end with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(refusal) = exchange.settle(&peer, settle).await {
                    tracing::debug!(%refusal, "a lease was not given back; it will run out");
                }
            });
        }
    }
}

struct Fetch {
    core: Core,
    peer: Peer,
    filter: FetchFilter,
    left: u32,
    current: Option<(Frames, Lease)>,
}

/// What waits now, at most `most` deliveries, each leased as its turn comes.
pub(super) fn fetch(
    core: Core,
    peer: Peer,
    filter: FetchFilter,
    most: u32,
) -> BoxStream<v1::DeliveryFrame> {
    let state = Fetch {
        core,
        peer,
        filter,
        left: most,
        current: None,
    };
    Box::pin(stream::try_unfold(state, |mut state| async move {
        let frame = state.next().await.map_err(tell)?;
        Ok::<_, Status>(frame.map(|frame| (frame, state)))
    }))
}

impl Fetch {
    async fn next(&mut self) -> Result<Option<v1::DeliveryFrame>, Refusal> {
        loop {
            if let Some((frames, lease)) = &mut self.current {
                let frame = frames.next().await;
                if let Ok(Some(frame)) = frame {
                    return Ok(Some(frame));
                }
                // Sent whole; or damaged, and then it must not be the first of the next fetch.
                lease.kept = true;
                self.current = None;
                frame?;
            }
            if self.left == 0 || self.core.drain.is_cancelled() {
                return Ok(None);
            }
            let Some(offer) = self.core.exchange.fetch(&self.peer, &self.filter).await? else {
                return Ok(None);
            };
            self.left -= 1;
            let lease = Lease {
                exchange: self.core.exchange.clone(),
                peer: self.peer.clone(),
                delivery: offer.header.delivery,
                round: offer.header.round,
                kept: false,
            };
            self.current = Some((Frames::new(offer), lease));
        }
    }
}

/// One delivery.
pub(super) fn download(offer: Offer) -> BoxStream<v1::DeliveryFrame> {
    Box::pin(stream::try_unfold(
        Frames::new(offer),
        |mut frames| async move {
            let frame = frames.next().await.map_err(tell)?;
            Ok::<_, Status>(frame.map(|frame| (frame, frames)))
        },
    ))
}
