//! Watch: statuses as they come. A channel of a few messages stands between the axis and the
//! client; a client that does not read for a minute is cut, and resumes with its last token.

use std::time::Duration;

use exchange::refusal::{Name, Refusal};
use exchange::{StatusWatch, Watched};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::codegen::BoxStream;
use tracing::Instrument;

use super::{Core, tell};
use crate::{convert, refused, v1};

/// Messages that wait for the client.
const WAITING: usize = 16;
/// How long a client may leave them unread.
const SLOW: Duration = Duration::from_secs(60);

type Out = mpsc::Sender<Result<v1::WatchResponse, Status>>;

/// Starts the stream.
pub(super) fn stream(core: Core, watch: StatusWatch) -> BoxStream<v1::WatchResponse> {
    let (out, answers) = mpsc::channel(WAITING);
    let task = async move {
        let ended = tokio::select! {
            ended = tell_all(watch, &out, SLOW) => ended,
            () = core.drain.cancelled() => refused::named(Name::NotServing),
            () = out.closed() => return,
        };
        // Behind what is still unread; nobody left to tell is as good as told.
        let _ = tokio::time::timeout(SLOW, out.send(Err(ended))).await;
    };
    tokio::spawn(task.in_current_span());
    Box::pin(ReceiverStream::new(answers))
}

async fn tell_all(mut watch: StatusWatch, out: &Out, slow: Duration) -> Status {
    loop {
        let message = match watch.next().await {
            Ok(Watched::Status(status)) => convert::watched(*status),
            Ok(Watched::CaughtUp(token)) => v1::WatchResponse {
                token,
                change: None,
            },
            Err(refusal) => return tell(refusal),
        };
        if tokio::time::timeout(slow, out.send(Ok(message)))
            .await
            .is_err()
        {
            return tell(too_slow());
        }
    }
}

fn too_slow() -> Refusal {
    Refusal::new(Name::LimitReached)
        .at(
            "token",
            "Bên nhận không đọc luồng trong một phút; nối lại với mã tiếp tục cuối cùng đã nhận.",
            "The stream was not read for a minute; resume with the last token received.",
        )
        .retry_after(1_000)
}
