//! Receiving: deliveries that wait now, and deliveries as they come.

use std::collections::VecDeque;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Streaming};

use super::{Client, Error};
use crate::v1::delivery_frame::Frame;
use crate::v1::subscribe_request::{self, Open};
use crate::v1::subscribe_response::Response;
use crate::{convert, v1};

/// A delivery whose content is coming: what it must be in the end.
#[derive(Debug)]
struct Current {
    delivery_id: String,
    sha256: String,
    left: u64,
    hash: Sha256,
}

impl Current {
    fn new(header: &v1::DeliveryHeader) -> Self {
        Self {
            delivery_id: header.delivery_id.clone(),
            sha256: header.sha256.clone(),
            left: header.size,
            hash: Sha256::new(),
        }
    }

    /// Takes a chunk; tells whether it was the last, and only if all of it is right.
    fn take(&mut self, chunk: &v1::ContentChunk) -> Result<bool, Error> {
        let damaged = || Error::Damaged {
            delivery_id: self.delivery_id.clone(),
        };
        let left = self
            .left
            .checked_sub(chunk.data.len() as u64)
            .ok_or_else(damaged)?;
        self.hash.update(&chunk.data);
        let whole = convert::hex(&self.hash.clone().finalize()) == self.sha256;
        if chunk.delivery_id != self.delivery_id || (chunk.last && !(left == 0 && whole)) {
            return Err(damaged());
        }
        self.left = left;
        Ok(chunk.last)
    }
}

/// The deliveries of one Fetch or Download: [`next`](Self::next) gives a header, then
/// [`chunk`](Self::chunk) its content until `None`.
#[derive(Debug)]
pub struct Deliveries {
    client: Client,
    frames: Streaming<v1::DeliveryFrame>,
    current: Option<Current>,
}

impl Deliveries {
    /// The next delivery's header; `None` after the last. What was not read of the delivery
    /// before is skipped.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn next(&mut self) -> Result<Option<v1::DeliveryHeader>, Error> {
        while self.chunk().await?.is_some() {}
        match self.frame().await? {
            None => Ok(None),
            Some(Frame::Header(header)) => {
                self.current = Some(Current::new(&header));
                Ok(Some(header))
            }
            Some(Frame::Chunk(chunk)) => Err(Error::Damaged {
                delivery_id: chunk.delivery_id,
            }),
        }
    }

    /// The next bytes of the current delivery; `None` when it is whole and its SHA-256 is the
    /// header's.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Damaged`] if the content is not what the header says.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(current) = &self.current else {
            return Ok(None);
        };
        let damaged = Error::Damaged {
            delivery_id: current.delivery_id.clone(),
        };
        let Some(Frame::Chunk(chunk)) = self.frame().await? else {
            return Err(damaged);
        };
        if let Some(current) = &mut self.current
            && current.take(&chunk)?
        {
            self.current = None;
        }
        Ok(Some(chunk.data))
    }

    async fn frame(&mut self) -> Result<Option<Frame>, Error> {
        let message = self.client.within(self.frames.message()).await?;
        Ok(message.and_then(|message| message.frame))
    }
}

/// What comes on a subscription.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A delivery begins; its content is read with [`Subscription::chunk`].
    Delivery(Box<v1::DeliveryHeader>),
    /// All that waited when the stream was opened has come.
    CaughtUp,
    /// A settle of this stream took effect.
    Settled(v1::SettleResponse),
    /// A settle of this stream was refused.
    SettleRefused(v1::SettleRefused),
}

/// An open Subscribe stream. Dropping it gives its leases back.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    responses: Streaming<v1::SubscribeResponse>,
    sender: Sender,
    current: Option<Current>,
    /// Came between the chunks of a delivery.
    between: VecDeque<Event>,
}

/// The sending side of a subscription; can be cloned and used while the stream is read.
#[derive(Debug, Clone)]
pub struct Sender(mpsc::UnboundedSender<v1::SubscribeRequest>);

impl Sender {
    /// Adds credit: 1 to 1,000 deliveries. Says nothing if the stream has ended; reading it
    /// tells why.
    pub fn credit(&self, deliveries: u32) {
        self.send(subscribe_request::Request::Credit(deliveries));
    }

    /// Settles a delivery on the stream; the answer comes as an [`Event`].
    pub fn settle(&self, settle: v1::SettleRequest) {
        self.send(subscribe_request::Request::Settle(settle));
    }

    fn send(&self, request: subscribe_request::Request) {
        let _ = self.0.send(v1::SubscribeRequest {
            request: Some(request),
        });
    }
}

impl Subscription {
    /// What comes next; waits for it without a time limit. `None` if the axis ended the stream
    /// without a word. What was not read of the delivery before is skipped.
    ///
    /// # Errors
    /// [`Error`]: among them the refusal with which the axis cuts the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        while self.chunk().await?.is_some() {}
        if let Some(event) = self.between.pop_front() {
            return Ok(Some(event));
        }
        Ok(match self.response().await? {
            None => None,
            Some(Response::Frame(v1::DeliveryFrame {
                frame: Some(Frame::Header(header)),
            })) => {
                self.current = Some(Current::new(&header));
                Some(Event::Delivery(Box::new(header)))
            }
            Some(other) => Some(event(other)?),
        })
    }

    /// The next bytes of the current delivery; `None` when it is whole and its SHA-256 is the
    /// header's.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Damaged`] if the content is not what the header says.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(current) = &mut self.current {
            let delivery_id = current.delivery_id.clone();
            match self.response().await? {
                Some(Response::Frame(v1::DeliveryFrame {
                    frame: Some(Frame::Chunk(chunk)),
                })) => {
                    if let Some(current) = &mut self.current
                        && current.take(&chunk)?
                    {
                        self.current = None;
                    }
                    return Ok(Some(chunk.data));
                }
                Some(Response::Frame(_)) | None => return Err(Error::Damaged { delivery_id }),
                Some(other) => self.between.push_back(event(other)?),
            }
        }
        Ok(None)
    }

    /// The sending side.
    #[must_use]
    pub const fn sender(&self) -> &Sender {
        &self.sender
    }

    async fn response(&mut self) -> Result<Option<Response>, Error> {
        let message = self.responses.message().await;
        let message = message.map_err(|status| self.client.failed(status))?;
        Ok(message.and_then(|message| message.response))
    }
}

/// What is no part of a delivery, as an event.
fn event(response: Response) -> Result<Event, Error> {
    match response {
        Response::CaughtUp(v1::CaughtUp {}) => Ok(Event::CaughtUp),
        Response::Settled(settled) => Ok(Event::Settled(settled)),
        Response::SettleRefused(refused) => Ok(Event::SettleRefused(refused)),
        // Content of a delivery that was never announced.
        Response::Frame(frame) => {
            let delivery_id = match frame.frame {
                Some(Frame::Chunk(chunk)) => chunk.delivery_id,
                Some(Frame::Header(header)) => header.delivery_id,
                None => String::new(),
            };
            Err(Error::Damaged { delivery_id })
        }
    }
}

impl Client {
    /// What waits now.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn fetch(&self, request: v1::FetchRequest) -> Result<Deliveries, Error> {
        let mut service = self.exchange();
        let frames = self.ask(service.fetch(Request::new(request))).await?;
        Ok(Deliveries {
            client: self.clone(),
            frames,
            current: None,
        })
    }

    /// The content of one delivery again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn download(&self, request: v1::DownloadRequest) -> Result<Deliveries, Error> {
        let mut service = self.exchange();
        let frames = self.ask(service.download(Request::new(request))).await?;
        Ok(Deliveries {
            client: self.clone(),
            frames,
            current: None,
        })
    }

    /// Opens a stream of deliveries, for `credit` of them (1 to 1,000) at first.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn subscribe(&self, credit: u32) -> Result<Subscription, Error> {
        let (sender, messages) = mpsc::unbounded_channel();
        let sender = Sender(sender);
        sender.send(subscribe_request::Request::Open(Open { credit }));
        let mut service = self.exchange();
        let request = Request::new(UnboundedReceiverStream::new(messages));
        let responses = self.ask(service.subscribe(request)).await?;
        Ok(Subscription {
            client: self.clone(),
            responses,
            sender,
            current: None,
            between: VecDeque::new(),
        })
    }
}
