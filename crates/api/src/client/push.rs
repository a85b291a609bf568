//! Pushing from a source that need not fit into memory.

use std::future::pending;

use bytes::BytesMut;
use futures_util::stream;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tonic::Request;

use super::{Client, Error};
use crate::v1;

/// Bytes a message.
const CHUNK: usize = 256 << 10;

/// What came of a streamed push.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pushed {
    /// The axis's receipt.
    pub receipt: v1::Receipt,
    /// SHA-256 of what was read here, to compare with the receipt's.
    pub sha256: [u8; 32],
    /// Bytes read here.
    pub size: u64,
}

impl Client {
    /// Pushes a package of any size from `source`, in chunks. If the source fails half-way the
    /// axis keeps nothing.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Source`] if reading fails.
    pub async fn push_stream(
        &self,
        source: impl AsyncRead + Unpin,
        options: v1::PushOptions,
    ) -> Result<Pushed, Error> {
        // `None` ends the stream. A channel that closes without it does not: leaving early
        // must reset the call, never look like the end of the package.
        let (sender, receiver) = mpsc::channel::<Option<v1::PushStreamRequest>>(2);
        let messages = stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Some(Some(message)) => Some((message, receiver)),
                Some(None) => None,
                None => pending().await,
            }
        });
        let mut request = Request::new(messages);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        let mut service = self.exchange();
        let call = self.ask(service.push_stream(request));
        let feed = feed(source, options, &sender);
        tokio::pin!(call, feed);
        tokio::select! {
            // A refusal may come before everything is sent.
            receipt = &mut call => {
                let receipt = receipt?;
                // A receipt comes behind the whole package, so the feed has just ended.
                let (sha256, size) = feed.await.map_err(Error::Source)?;
                Ok(Pushed { receipt, sha256, size })
            }
            fed = &mut feed => {
                let (sha256, size) = fed.map_err(Error::Source)?;
                Ok(Pushed { receipt: call.await?, sha256, size })
            }
        }
    }
}

async fn feed(
    mut source: impl AsyncRead + Unpin,
    options: v1::PushOptions,
    sender: &mpsc::Sender<Option<v1::PushStreamRequest>>,
) -> std::io::Result<([u8; 32], u64)> {
    let (mut hash, mut size, mut options) = (Sha256::new(), 0, Some(options));
    loop {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        while buffer.len() < CHUNK && source.read_buf(&mut buffer).await? > 0 {}
        let chunk = buffer.freeze();
        if chunk.is_empty() && options.is_none() {
            break;
        }
        hash.update(&chunk);
        size += chunk.len() as u64;
        let message = v1::PushStreamRequest {
            options: options.take(),
            chunk,
        };
        if sender.send(Some(message)).await.is_err() {
            // The call has ended and says why.
            return pending().await;
        }
    }
    if sender.send(None).await.is_err() {
        return pending().await;
    }
    Ok((hash.finalize().into(), size))
}
