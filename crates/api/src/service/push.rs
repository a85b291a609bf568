//! A push in chunks: each goes on to the exchange as it comes, so memory does not grow with
//! the package. Whatever ends the stream early drops the upload, which leaves nothing behind.

use std::time::Duration;

use exchange::refusal::{Name, Refusal};
use exchange::{Peer, Receipt, Upload};
use tonic::{Code, Status, Streaming};

use super::{Core, PUSH_CHUNK_MAX, tell};
use crate::{convert, refused, v1};

pub(super) async fn stream(
    core: &Core,
    peer: &Peer,
    mut messages: Streaming<v1::PushStreamRequest>,
) -> Result<Receipt, Status> {
    let first = next(&mut messages, core.silence).await?;
    let (options, chunk) = match first {
        Some(v1::PushStreamRequest { options, chunk }) => (options, chunk),
        None => Default::default(),
    };
    let options = convert::push_options(options);
    let mut upload = core.exchange.upload(peer, options).await.map_err(tell)?;
    write(&mut upload, chunk).await?;
    while let Some(message) = next(&mut messages, core.silence).await? {
        if message.options.is_some() {
            return Err(refused::argument(
                "options",
                "Tùy chọn chỉ được nêu ở thông điệp đầu.",
                "Options stand in the first message only.",
            ));
        }
        write(&mut upload, message.chunk).await?;
    }
    upload.finish().await.map_err(tell)
}

async fn write(upload: &mut Upload, chunk: bytes::Bytes) -> Result<(), Status> {
    match chunk.len() {
        0 => Ok(()),
        1..=PUSH_CHUNK_MAX => upload.write(chunk).await.map_err(tell),
        long => Err(convert::long_chunk(long, PUSH_CHUNK_MAX)),
    }
}

/// The next message; `None` if the client has ended the stream in good order.
async fn next(
    messages: &mut Streaming<v1::PushStreamRequest>,
    silence: Duration,
) -> Result<Option<v1::PushStreamRequest>, Status> {
    let incomplete = || tell(Refusal::new(Name::Incomplete));
    match tokio::time::timeout(silence, messages.message()).await {
        Ok(Ok(message)) => Ok(message),
        // A message that the library found too large, before it was read.
        Ok(Err(status)) if status.code() == Code::OutOfRange => Err(status),
        Ok(Err(status)) => {
            tracing::debug!(%status, "the push was cut off");
            Err(incomplete())
        }
        Err(_) => Err(incomplete()),
    }
}
