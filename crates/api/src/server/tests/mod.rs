//! The doors without an exchange behind them: a stand-in service, real sockets.

mod tls;

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use exchange::Operator;
use exchange::refusal::{Name, Refusal};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tonic::codegen::BoxStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::*;
use crate::caller::Origin;
use crate::client::{Client, Credentials, Error, Options};
use crate::v1;
use crate::v1::exchange_service_server::{ExchangeService, ExchangeServiceServer};

/// Nothing here takes long; what hangs fails.
const SOON: Duration = Duration::from_secs(10);

// ---------- the stand-in ----------

/// How a streamed push ended at the service.
#[derive(Debug, PartialEq)]
enum Ended {
    Whole(usize),
    Broken,
}

#[derive(Clone)]
struct StandIn {
    ended: mpsc::UnboundedSender<Ended>,
}

#[tonic::async_trait]
impl ExchangeService for StandIn {
    async fn push(
        &self,
        request: Request<v1::PushRequest>,
    ) -> Result<Response<v1::Receipt>, Status> {
        let size = request.get_ref().package.len() as u64;
        Ok(Response::new(v1::Receipt {
            size,
            ..Default::default()
        }))
    }

    async fn push_stream(
        &self,
        request: Request<Streaming<v1::PushStreamRequest>>,
    ) -> Result<Response<v1::Receipt>, Status> {
        let mut messages = request.into_inner();
        let mut size = 0;
        loop {
            match messages.message().await {
                Ok(Some(message)) => size += message.chunk.len(),
                Ok(None) => break,
                Err(status) => {
                    let _ = self.ended.send(Ended::Broken);
                    return Err(status);
                }
            }
        }
        let _ = self.ended.send(Ended::Whole(size));
        Ok(Response::new(v1::Receipt {
            size: size as u64,
            ..Default::default()
        }))
    }

    type SubscribeStream = BoxStream<v1::SubscribeResponse>;

    async fn subscribe(
        &self,
        _: Request<Streaming<v1::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::pending())))
    }

    type FetchStream = BoxStream<v1::DeliveryFrame>;

    async fn fetch(
        &self,
        _: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::pending())))
    }

    async fn settle(
        &self,
        _: Request<v1::SettleRequest>,
    ) -> Result<Response<v1::SettleResponse>, Status> {
        Err(crate::refused::named(Name::ForeignDelivery))
    }

    async fn extend(
        &self,
        _: Request<v1::ExtendRequest>,
    ) -> Result<Response<v1::ExtendResponse>, Status> {
        std::future::pending().await
    }

    type DownloadStream = BoxStream<v1::DeliveryFrame>;

    async fn download(
        &self,
        _: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }
}

// ---------- a server around it ----------

struct Server {
    running: Running,
    data: TempDir,
    origins: Arc<Mutex<Vec<Origin>>>,
    ended: mpsc::UnboundedReceiver<Ended>,
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn server(change: impl FnOnce(&mut ServerOptions)) -> Server {
    let data = tempfile::tempdir().unwrap();
    let mut options = ServerOptions::new(loopback(), data.path());
    options.grace = Duration::from_millis(300);
    change(&mut options);
    let listening = bind(options).await.unwrap();
    let origins = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&origins);
    let admit: Admit = Arc::new(move |origin, _, metadata| {
        seen.lock().unwrap().push(origin.clone());
        if metadata.get("axis-key").is_some_and(|key| key == "wrong") {
            return Err(Refusal::new(Name::Unauthenticated));
        }
        Ok(exchange::Caller::Operator(Operator {
            uid: 0,
            person: String::new(),
            ..Operator::default()
        }))
    });
    let (sender, ended) = mpsc::unbounded_channel();
    let (health, health_service) = tonic_health::server::health_reporter();
    let service = ExchangeServiceServer::new(StandIn { ended: sender })
        .max_decoding_message_size(crate::PUSH_MAX + 1024);
    let routes = Routes::new(service).add_service(health_service);
    let connections = Connections::new(listening.options.limits);
    let doors = Doors {
        healthy: Box::new(|| true),
        public: routes.clone(),
        admin: routes,
        admit,
        health,
        connections,
    };
    let running = listening
        .serve_routes(doors, CancellationToken::new())
        .unwrap();
    Server {
        running,
        data,
        origins,
        ended,
    }
}

impl Server {
    fn url(&self) -> String {
        format!("http://{}", self.running.bound().grpc)
    }

    async fn client(&self) -> Client {
        Client::connect(&Options::new(self.url())).await.unwrap()
    }
}

/// Of an error, the refusal's name.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result
        .unwrap_err()
        .refusal()
        .expect("a refusal")
        .name
        .clone()
}

fn receipt_of(size: usize) -> v1::PushRequest {
    v1::PushRequest {
        package: Bytes::from(vec![b'x'; size]),
        options: None,
    }
}

// ---------- the listener ----------

#[tokio::test]
async fn a_plain_listener_is_for_loopback_alone() {
    for elsewhere in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let options = ServerOptions::new(elsewhere.parse().unwrap(), "unused");
        let refused = bind(options).await.unwrap_err();
        assert!(
            matches!(refused, ServeError::PlainListener(_)),
            "{elsewhere}: {refused}"
        );
    }
    let bound = bind(ServerOptions::new(loopback(), "unused"))
        .await
        .unwrap();
    assert_ne!(bound.address().port(), 0);
    let taken = bind(ServerOptions::new(bound.address(), "unused"))
        .await
        .unwrap_err();
    assert!(matches!(taken, ServeError::Bind { .. }) && taken.to_string().contains("in use"));
}

#[tokio::test]
async fn a_connection_that_asks_nothing_gives_its_place_back() {
    let server = server(|options| {
        options.limits.connections = 2;
        options.limits.patience = Duration::from_millis(300);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(
            TcpStream::connect(server.running.bound().grpc)
                .await
                .unwrap(),
        );
    }
    // All places are taken; this one waits until the silent ones are closed.
    assert!(server.client().await.serving().await.unwrap());
    for mut stream in silent {
        // What was left unread is the server's settings.
        let mut rest = Vec::new();
        tokio::time::timeout(SOON, stream.read_to_end(&mut rest))
            .await
            .unwrap()
            .ok();
    }
}

#[tokio::test]
async fn an_oversized_push_is_refused_by_name() {
    let server = server(|_| {}).await;
    let client = server.client().await;
    let push = async |size| {
        client
            .push(receipt_of(size).package, v1::PushOptions::default())
            .await
    };
    assert_eq!(
        push(crate::PUSH_MAX).await.unwrap().size,
        crate::PUSH_MAX as u64
    );
    let error = push(crate::PUSH_MAX + 64 * 1024).await.unwrap_err();
    let view = error.refusal().expect("a refusal");
    assert_eq!(view.name, "TOO_LARGE");
    assert!(view.details[0].message_en.contains("PushStream"));
}

#[tokio::test]
async fn metadata_beyond_the_limit_is_refused() {
    let server = server(|_| {}).await;
    let mut options = Options::new(server.url());
    options.credentials = Credentials::Key {
        system: "a".into(),
        key: "k".repeat(20 << 10),
    };
    let client = Client::connect(&options).await.unwrap();
    client
        .push(Bytes::new(), v1::PushOptions::default())
        .await
        .unwrap_err();
    assert!(server.origins.lock().unwrap().is_empty());
}

#[tokio::test]
async fn calls_beyond_the_limit_of_a_connection_wait_their_turn() {
    let server = server(|options| options.limits.streams = 1).await;
    let client = server.client().await;
    // The server's limit has reached the client with the first answer.
    client.serving().await.unwrap();
    let stream = client.subscribe(1).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(200), client.serving()).await;
    assert!(waiting.is_err(), "a second stream was let in");
    // Another connection is not affected.
    assert!(server.client().await.serving().await.unwrap());
    drop(stream);
    assert!(client.serving().await.unwrap());
}

#[tokio::test]
async fn a_message_that_is_none_is_refused_by_name() {
    let server = server(|_| {}).await;
    let channel = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
    let mut grpc = tonic::client::Grpc::new(channel.connect().await.unwrap());
    grpc.ready().await.unwrap();
    // Its first field is a number; that of a push is bytes.
    let other = v1::AgencyRecord {
        id: 7,
        ..Default::default()
    };
    let path = "/axis.v1.ExchangeService/Push".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<v1::AgencyRecord, v1::Receipt>::default();
    let status = grpc
        .unary(Request::new(other), path, codec)
        .await
        .unwrap_err();
    assert_eq!(
        crate::refused::view(&status).expect("a refusal").name,
        "BAD_ARGUMENT"
    );
}

// ---------- every call ----------

#[tokio::test]
async fn every_answer_tells_the_axis_time() {
    let clock = Clock::standing_at(ledger::time::Ms::parse("2026-11-22T08:00:00").unwrap());
    let server = server(|options| options.clock = clock).await;
    let channel = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = v1::exchange_service_client::ExchangeServiceClient::new(channel);
    let time = |metadata: &tonic::metadata::MetadataMap| {
        metadata
            .get("axis-time")
            .map(|time| time.to_str().unwrap().to_owned())
    };
    let expected = Some("2026-11-22T08:00:00.000+07:00".to_owned());
    let answer = client.push(receipt_of(1)).await.unwrap();
    assert_eq!(time(answer.metadata()), expected);
    let refused = client
        .settle(v1::SettleRequest::default())
        .await
        .unwrap_err();
    assert_eq!(time(refused.metadata()), expected);
    let mut request = Request::new(receipt_of(1));
    request
        .metadata_mut()
        .insert("axis-key", "wrong".parse().unwrap());
    let unknown = client.push(request).await.unwrap_err();
    assert_eq!(
        (unknown.code(), time(unknown.metadata())),
        (Code::Unauthenticated, expected)
    );
}

#[tokio::test]
async fn health_needs_no_credentials_and_everything_else_does() {
    let server = server(|_| {}).await;
    let mut options = Options::new(server.url());
    options.credentials = Credentials::Key {
        system: "a".into(),
        key: "wrong".into(),
    };
    let client = Client::connect(&options).await.unwrap();
    assert!(client.serving().await.unwrap());
    assert!(server.origins.lock().unwrap().is_empty());
    let push = client.push(Bytes::new(), v1::PushOptions::default()).await;
    assert_eq!(refused(push), "UNAUTHENTICATED");
    // What is not served is not told to strangers either.
    let info = client.info(v1::InfoRequest {}).await;
    assert_eq!(refused(info), "UNAUTHENTICATED");
}

#[tokio::test]
async fn the_time_limit_of_the_client_holds_and_so_does_the_axis_own() {
    let server = server(|options| options.deadline = Duration::from_millis(150)).await;
    let channel = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = v1::exchange_service_client::ExchangeServiceClient::new(channel);
    // As clients do that leave the limit to the server.
    let ask = |limit: &'static str| {
        let mut request = Request::new(v1::ExtendRequest::default());
        if !limit.is_empty() {
            request
                .metadata_mut()
                .insert("grpc-timeout", limit.parse().unwrap());
        }
        request
    };
    for limit in ["", "30S"] {
        let status = client.extend(ask(limit)).await.unwrap_err();
        let view = crate::refused::view(&status).expect("a refusal");
        assert_eq!(view.name, "OUTCOME_UNKNOWN", "{limit:?}");
    }
    let status = client.extend(ask("50m")).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    let status = client.extend(ask("never")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_stream_ends_with_the_clients_time_limit_and_has_none_of_the_axis() {
    let server = server(|options| options.deadline = Duration::from_millis(50)).await;
    let channel = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = v1::exchange_service_client::ExchangeServiceClient::new(channel);
    let mut request = Request::new(v1::FetchRequest::default());
    request
        .metadata_mut()
        .insert("grpc-timeout", "400m".parse().unwrap());
    let started = std::time::Instant::now();
    let mut frames = client.fetch(request).await.unwrap().into_inner();
    let status = tokio::time::timeout(SOON, frames.message())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(started.elapsed() >= Duration::from_millis(400));
}

// ---------- pushes that are cut off ----------

#[tokio::test]
async fn a_whole_stream_is_told_from_one_that_was_cut_off() {
    let mut server = server(|_| {}).await;
    let client = server.client().await;
    let package = vec![b'x'; 700_000];
    let pushed = client
        .push_stream(Cursor::new(&package), v1::PushOptions::default())
        .await
        .unwrap();
    assert_eq!((pushed.size, pushed.receipt.size), (700_000, 700_000));
    assert_eq!(
        pushed.sha256[..],
        sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix(&package))[..]
    );
    assert_eq!(server.ended.recv().await, Some(Ended::Whole(700_000)));
    let empty = client
        .push_stream(tokio::io::empty(), v1::PushOptions::default())
        .await
        .unwrap();
    assert_eq!(empty.size, 0);
    assert_eq!(server.ended.recv().await, Some(Ended::Whole(0)));

    // The source fails after some chunks.
    let failing = tokio_util::io::StreamReader::new(futures_util::stream::iter([
        Ok(Bytes::from(vec![b'x'; 300_000])),
        Err(std::io::Error::other("the disk is gone")),
    ]));
    let error = client
        .push_stream(failing, v1::PushOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Source(_)), "{error:?}");
    broken_or_dropped(&mut server).await;
}

/// The stand-in saw the break, or was dropped before it could; it never saw an end.
async fn broken_or_dropped(server: &mut Server) {
    // Another call on the same server shows that the former is over.
    let client = server.client().await;
    client
        .push_stream(Cursor::new(b"after"), v1::PushOptions::default())
        .await
        .unwrap();
    loop {
        match server.ended.recv().await.unwrap() {
            Ended::Broken => {}
            Ended::Whole(size) => return assert_eq!(size, 5, "a cut-off push looked whole"),
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_a_push_half_way_never_looks_finished() {
    let mut server = server(|_| {}).await;
    for how in [
        "the call is dropped",
        "the time is over",
        "the connection is dropped",
    ] {
        let mut options = Options::new(server.url());
        if how == "the time is over" {
            options.timeout = Some(Duration::from_millis(300));
        }
        let client = Client::connect(&options).await.unwrap();
        // Some bytes, then silence.
        let (mut near, far) = tokio::io::duplex(1 << 20);
        tokio::io::AsyncWriteExt::write_all(&mut near, &vec![b'x'; 600_000])
            .await
            .unwrap();
        let push = client.push_stream(far, v1::PushOptions::default());
        let left = tokio::time::timeout(Duration::from_millis(400), push).await;
        match how {
            "the time is over" => assert!(matches!(left, Ok(Err(Error::TimedOut { .. })))),
            _ => assert!(left.is_err()),
        }
        if how == "the connection is dropped" {
            drop(client);
        }
        broken_or_dropped(&mut server).await;
    }
}

// ---------- the admin door ----------

#[tokio::test]
async fn operators_come_by_the_socket_and_are_known_by_their_uid() {
    let server = server(|_| {}).await;
    let client = Client::connect_admin(server.data.path(), "Nguyễn Văn A", Some(SOON))
        .await
        .unwrap();
    client
        .push(Bytes::new(), v1::PushOptions::default())
        .await
        .unwrap();
    let own = rustix::process::geteuid().as_raw();
    let origins = server.origins.lock().unwrap();
    assert!(matches!(origins[..], [Origin::Admin { uid }] if uid == own));
}

#[tokio::test]
async fn an_axis_that_does_not_run_is_told_as_such() {
    let data = tempfile::tempdir().unwrap();
    let absent = Client::connect_admin(data.path(), "", Some(SOON))
        .await
        .unwrap_err();
    assert!(
        absent.is_unreachable() && absent.to_string().contains("admin.sock"),
        "{absent}"
    );
    let listener = bind(ServerOptions::new(loopback(), "unused"))
        .await
        .unwrap();
    let address = listener.address();
    drop(listener);
    let refused = Client::connect(&Options::new(format!("http://{address}")))
        .await
        .unwrap_err();
    assert!(
        refused.is_unreachable() && refused.to_string().contains("refused"),
        "{refused}"
    );
    for bad in [
        "127.0.0.1:1",
        "ftp://x:1",
        "http://127.0.0.1",
        "http://x:1/path",
        "https://",
    ] {
        let error = Client::connect(&Options::new(bad)).await.unwrap_err();
        assert!(
            matches!(error, Error::Options { name: "server", .. }),
            "{bad}: {error}"
        );
    }
}

// ---------- stopping ----------

#[tokio::test]
async fn a_stop_says_so_and_ends_though_clients_stay() {
    let server = server(|_| {}).await;
    let (idle, busy) = (server.client().await, server.client().await);
    assert!(idle.serving().await.unwrap());
    let mut health = {
        use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
        let endpoint = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
        let mut health = HealthClient::new(endpoint.connect().await.unwrap());
        health
            .watch(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner()
    };
    let serving = async |health: &mut Streaming<tonic_health::pb::HealthCheckResponse>| {
        use tonic_health::pb::health_check_response::ServingStatus::Serving;
        health.message().await.unwrap().unwrap().status() == Serving
    };
    assert!(serving(&mut health).await);
    // A stream and a call that would never end by themselves.
    let mut stream = busy.subscribe(1).await.unwrap();
    let stuck =
        tokio::spawn(async move { busy.extend(v1::ExtendRequest::default()).await.unwrap_err() });
    let socket = server.running.bound().admin.clone();
    let address = server.running.bound().grpc;
    assert!(socket.exists());
    let stop = tokio::time::timeout(SOON, server.running.stop());
    let (stopped, still) = tokio::join!(stop, serving(&mut health));
    stopped.expect("the stop is bounded");
    assert!(!still, "health says so before the end");
    assert!(!socket.exists());
    assert!(TcpStream::connect(address).await.is_err());
    assert!(stuck.await.unwrap().is_unreachable());
    assert!(stream.next().await.is_err());
    assert!(idle.serving().await.is_err());
}
