//! A listener for browsers, metrics and what else speaks plain HTTP: the same accept loop, the
//! same rules of TLS and of patience as the gRPC listener's, in front of any router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connection::Connections;
use super::{ConnectionLimits, ServeError, TlsFiles, tls};

/// How the listener is set up.
#[derive(Debug, Clone)]
pub struct WebOptions {
    /// Where it listens; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Its TLS. `None` is allowed on loopback addresses only.
    pub tls: Option<TlsFiles>,
    /// What connections may take.
    pub limits: ConnectionLimits,
    /// How long requests under way may go on after the stop.
    pub grace: Duration,
    /// Bytes of a request's head over HTTP/1.1, at most. Default 64 KiB.
    pub head_bytes: usize,
    /// The router refuses plain HTTP from where it must not come; the listener may then be
    /// elsewhere than on loopback and without TLS. Default no.
    pub plain_elsewhere: bool,
}

/// Who called, beside every request that the router gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote {
    /// The peer's address.
    pub(crate) address: SocketAddr,
    /// Whether the connection is under TLS.
    pub(crate) tls: bool,
}

impl WebOptions {
    /// The defaults.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            limits: ConnectionLimits {
                connections: 128,
                ..ConnectionLimits::default()
            },
            grace: Duration::from_secs(5),
            head_bytes: 64 << 10,
            plain_elsewhere: false,
        }
    }
}

/// The listener, bound and not yet served.
#[derive(Debug)]
pub struct WebListening {
    options: WebOptions,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<tls::Current>>,
}

/// Reads the TLS files and binds the listener.
///
/// # Errors
/// [`ServeError::PlainListener`], [`ServeError::Tls`], [`ServeError::Bind`].
pub async fn bind_web(options: WebOptions) -> Result<WebListening, ServeError> {
    let files = options.tls.as_ref();
    let (listener, address, tls) = super::listen(
        options.listen,
        files,
        &[b"h2", b"http/1.1"],
        options.plain_elsewhere,
    )
    .await?;
    Ok(WebListening {
        options,
        listener,
        address,
        tls,
    })
}

impl WebListening {
    /// The address of the listener.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves a router until `stop` is cancelled.
    #[must_use]
    pub fn serve(self, router: Router, stop: CancellationToken) -> WebRunning {
        let connections = Connections::new(self.options.limits);
        if let Some(tls) = &self.tls {
            let keep = Arc::clone(tls).keep(tls::RELOAD, connections.drain.clone());
            connections.keep_tls(keep);
        }
        connections.accept_web(self.listener, self.tls, router, self.options.head_bytes);
        let grace = self.options.grace;
        let task = tokio::spawn(async move {
            stop.cancelled().await;
            connections.end(grace).await;
        });
        WebRunning {
            address: self.address,
            task,
        }
    }
}

/// A running listener; it ends with the token given to [`WebListening::serve`].
#[derive(Debug)]
pub struct WebRunning {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl WebRunning {
    /// Its address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has stopped: after the token is cancelled, at most the grace and a moment.
    pub async fn stopped(self) {
        // The task does not panic; if it did, the listener is as stopped as it can be.
        let _ = self.task.await;
    }
}
