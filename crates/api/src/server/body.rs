//! Bodies of calls: one that tells a cut-off request from a finished one, one with a deadline.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::StdError;

/// A request's body that ends only if the client ended it.
///
/// A client that resets its stream half-way would otherwise look like one that has sent
/// everything: hyper ends such a body, and tonic takes a cancelled one for a finished one. A
/// package cut off behind its last element would then be accepted with bytes missing.
#[derive(Debug)]
pub(super) struct Whole<B> {
    body: B,
    /// Bytes that may still come.
    left: usize,
}

impl<B> Whole<B> {
    /// A request's body of at most so many bytes.
    pub(super) const fn new(body: B, longest: usize) -> Self {
        Self {
            body,
            left: longest,
        }
    }
}

impl<B> HttpBody for Whole<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let cut_off = || Some(Err(Status::unavailable("the request was cut off")));
        Pin::new(&mut self.body)
            .poll_frame(cx)
            .map(|frame| match frame {
                Some(Ok(frame)) => {
                    let size = frame.data_ref().map_or(0, Bytes::len);
                    match self.left.checked_sub(size) {
                        Some(left) => {
                            self.left = left;
                            Some(Ok(frame))
                        }
                        // As the library tells it of a message that is too long.
                        None => Some(Err(Status::out_of_range("the request is too long"))),
                    }
                }
                Some(Err(_)) => cut_off(),
                None if self.body.is_end_stream() => None,
                None => cut_off(),
            })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body that ends with DEADLINE_EXCEEDED when its time is over.
#[derive(Debug)]
pub(super) struct Limited {
    body: Body,
    until: Pin<Box<Sleep>>,
    over: bool,
}

impl Limited {
    pub(super) fn new(body: Body, until: Instant) -> Self {
        Self {
            body,
            until: Box::pin(tokio::time::sleep_until(until)),
            over: false,
        }
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.until.as_mut().poll(cx).is_ready() {
            self.over = true;
            // What the answer held (a lease, an open file) is given back at once.
            self.body = Body::empty();
            let trailers = super::call::over().into_http::<()>().into_parts().0.headers;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }
}
