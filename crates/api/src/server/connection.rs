//! The accept loops, and each connection from handshake to drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::call::{self, Calls, Door};
use super::tls::Current;
use super::{ConnectionLimits, Remote};
use crate::caller::Origin;
use crate::certificate;

/// HTTP/2 windows: what a client may send before it is read. Together they bound what one
/// connection can make the axis buffer.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// After an accept failed for want of descriptors: until when to wait for some.
const BREATH: Duration = Duration::from_millis(100);

/// How often the log says that nobody else gets in.
const CROWDED: Duration = Duration::from_secs(60);

/// Open connections of the admin socket, at most.
const OPERATORS: usize = 64;

/// What all connections of a server share.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) limits: ConnectionLimits,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    /// No new connections; open ones finish their calls.
    pub(crate) drain: CancellationToken,
    /// Open ones are cut.
    cut: CancellationToken,
}

impl Connections {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.connections)),
            limits,
            tracker: TaskTracker::new(),
            drain: CancellationToken::new(),
            cut: CancellationToken::new(),
        }
    }

    /// Runs what keeps the TLS files read, with the connections it is for.
    pub(crate) fn keep_tls(&self, keep: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(keep);
    }

    /// Starts taking connections of the public listener.
    pub(crate) fn accept_public(&self, from: TcpListener, tls: Option<Arc<Current>>, door: Door) {
        let connections = self.clone();
        self.tracker.spawn(async move {
            while let Some(((stream, remote), place)) = connections.next(|| from.accept()).await {
                let (connections, tls, door) = (connections.clone(), tls.clone(), door.clone());
                connections.tracker.clone().spawn(async move {
                    connections.public(stream, remote, tls, door).await;
                    drop(place);
                });
            }
        });
    }

    /// Starts taking connections of the admin socket.
    pub(crate) fn accept_admin(&self, from: UnixListener, door: Door) {
        // The operator gets in however crowded the public listener is.
        let places = Arc::new(Semaphore::new(OPERATORS));
        let connections = Self {
            places,
            ..self.clone()
        };
        self.tracker.spawn(async move {
            while let Some(((stream, _), place)) = connections.next(|| from.accept()).await {
                let (connections, door) = (connections.clone(), door.clone());
                connections.tracker.clone().spawn(async move {
                    connections.admin(stream, door).await;
                    drop(place);
                });
            }
        });
    }

    /// A place for one more connection.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let mut say = tokio::time::interval(CROWDED);
        let place = Arc::clone(&self.places).acquire_owned();
        let mut place = std::pin::pin!(place);
        loop {
            tokio::select! {
                biased;
                place = &mut place => return place.ok(),
                _ = say.tick() => tracing::warn!(
                    connections = self.limits.connections,
                    "as many connections are open as may be: whoever comes waits until one \
                     leaves; grpc.max_connections allows more"
                ),
            }
        }
    }

    /// The next connection and its place; `None` when the server drains. Nothing is done here
    /// that a peer could make last.
    async fn next<T, F>(&self, accept: impl Fn() -> F) -> Option<(T, OwnedSemaphorePermit)>
    where
        F: Future<Output = io::Result<T>>,
    {
        loop {
            let accepted = async {
                // `None` if the semaphore were closed; it never is.
                let place = self.place().await?;
                Some((accept().await, place))
            };
            let accepted = tokio::select! {
                () = self.drain.cancelled() => return None,
                accepted = accepted => accepted?,
            };
            match accepted {
                (Ok(connection), place) => return Some((connection, place)),
                (Err(error), _) => match error.kind() {
                    // The peer left before it was taken.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
                    _ => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(BREATH).await;
                    }
                },
            }
        }
    }

    async fn admin(&self, stream: UnixStream, door: Door) {
        match stream.peer_cred() {
            Ok(peer) => {
                self.serve(stream, door, Origin::Admin { uid: peer.uid() })
                    .await
            }
            Err(error) => tracing::warn!(%error, "the kernel does not tell who calls"),
        }
    }

    async fn public(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        tls: Option<Arc<Current>>,
        door: Door,
    ) {
        // Small answers must not wait for more; a failure here costs time only.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            let origin = Origin::Public {
                remote,
                certificate: None,
            };
            return self.serve(stream, door, origin).await;
        };
        // Before the handshake: what is read again while it lasts counts for it as well.
        let mut changes = tls.changes();
        let Some(stream) = self.handshake(stream, remote, tls.config().into()).await else {
            return;
        };
        let chain: Vec<_> = stream
            .get_ref()
            .1
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        let leaf = chain.first();
        let certificate = match leaf.map(certificate::spki_sha256).transpose() {
            Ok(certificate) => certificate,
            Err(error) => return tracing::debug!(%remote, %error, "unreadable certificate"),
        };
        let origin = Origin::Public {
            remote,
            certificate,
        };
        let refused = async {
            while changes.changed().await.is_ok() {
                if !tls.accepts(&chain) {
                    return;
                }
            }
            // Nobody reads the files any more: the server ends.
            std::future::pending().await
        };
        tokio::select! {
            () = self.serve(stream, door, origin) => {}
            () = refused => {
                tracing::info!(%remote, "a connection was cut: its certificate is accepted no more");
            }
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        tls: TlsAcceptor,
    ) -> Option<TlsStream<TcpStream>> {
        let handshake = tokio::time::timeout(self.limits.handshake, tls.accept(stream));
        let done = tokio::select! {
            () = self.drain.cancelled() => return None,
            done = handshake => done,
        };
        match done {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%remote, "TLS handshake not done in time"),
        }
        None
    }

    /// Starts taking connections of web browsers and their like: HTTP/1.1 and HTTP/2.
    pub(crate) fn accept_web(
        &self,
        from: TcpListener,
        tls: Option<Arc<Current>>,
        router: Router,
        head: usize,
    ) {
        let connections = self.clone();
        self.tracker.spawn(async move {
            while let Some(((stream, remote), place)) = connections.next(|| from.accept()).await {
                let (connections, tls) = (connections.clone(), tls.clone());
                let router = router.clone();
                connections.tracker.clone().spawn(async move {
                    let _ = stream.set_nodelay(true);
                    match tls {
                        None => {
                            let remote = Remote {
                                address: remote,
                                tls: false,
                            };
                            connections.serve_web(stream, router, remote, head).await;
                        }
                        Some(tls) => {
                            let tls = tls.config().into();
                            if let Some(stream) = connections.handshake(stream, remote, tls).await {
                                let remote = Remote {
                                    address: remote,
                                    tls: true,
                                };
                                connections.serve_web(stream, router, remote, head).await;
                            }
                        }
                    }
                    drop(place);
                });
            }
        });
    }

    async fn serve_web<S>(&self, stream: S, router: Router, remote: Remote, head: usize)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.handshake)
            .max_buf_size(head);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(self.limits.header_bytes)
            .keep_alive_interval(self.limits.keep_alive)
            .keep_alive_timeout(self.limits.handshake);
        let known = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&known);
        let service = tower::util::MapRequest::new(router, move |mut request: Request<_>| {
            seen.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(remote);
            request
        });
        let service = TowerToHyperService::new(service);
        let connection = builder.serve_connection(call::io(stream), service);
        self.drive(connection, &known).await;
    }

    /// Serves HTTP/2 on a stream until it ends, is drained, or is cut.
    async fn serve<S>(&self, stream: S, door: Door, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(TokioExecutor::new()).http2_only();
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(self.limits.streams)
            .max_header_list_size(self.limits.header_bytes)
            .keep_alive_interval(self.limits.keep_alive)
            .keep_alive_timeout(self.limits.handshake);
        let known = Arc::new(AtomicBool::new(false));
        let calls = Calls {
            door,
            origin,
            known: Arc::clone(&known),
        };
        let connection = builder.serve_connection(call::io(stream), call::hyper(calls));
        self.drive(connection, &known).await;
    }

    /// Lets a connection run until it ends, is drained, or is cut.
    async fn drive<C>(&self, connection: C, known: &AtomicBool)
    where
        C: GracefulConnection,
        C::Error: std::fmt::Display,
    {
        tokio::pin!(connection);
        // Who opens a connection and shows nothing gives the place back.
        let patience = tokio::time::sleep(self.limits.patience);
        tokio::pin!(patience);
        let (mut draining, mut judged) = (false, false);
        loop {
            tokio::select! {
                done = connection.as_mut() => {
                    if let Err(error) = done {
                        tracing::debug!(%error, "connection ended");
                    }
                    return;
                }
                () = self.cut.cancelled() => return,
                () = self.drain.cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut patience, if !judged => {
                    judged = true;
                    if !known.load(Ordering::Relaxed) {
                        return tracing::debug!("a connection without a single call was closed");
                    }
                }
            }
        }
    }

    /// Ends all connections: calls under way have `grace` to finish, then they are cut. Always
    /// bounded: hyper's graceful shutdown may wait for ever for an idle peer.
    pub(crate) async fn end(&self, grace: Duration) {
        self.drain.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait())
            .await
            .is_err()
        {
            tracing::info!(connections = self.tracker.len(), "cutting connections");
            self.cut.cancel();
            self.tracker.wait().await;
        }
    }
}
