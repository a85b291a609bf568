//! The server: binding, TLS, the two doors, drain.

mod body;
pub(crate) mod call;
mod connection;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod web;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exchange::Exchange;
use ledger::time::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

pub use tls::{TlsError, TlsFiles};
pub(crate) use web::Remote;
pub use web::{WebListening, WebOptions, WebRunning, bind_web};

use self::call::{Admit, Door};
use self::connection::Connections;
use crate::{admin, caller, rights, service};

/// How the doors are set up.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where systems call; port 0 picks a free one.
    pub listen: SocketAddr,
    /// TLS of that listener. `None` is allowed on loopback addresses only.
    pub tls: Option<TlsFiles>,
    /// The data folder: the admin socket is made in it.
    pub data: PathBuf,
    /// What connections may take.
    pub limits: ConnectionLimits,
    /// Longest time of a call that is no stream.
    pub deadline: Duration,
    /// Longest silence of a client in the middle of a streamed push.
    pub silence: Duration,
    /// How long calls under way may go on after the stop.
    pub grace: Duration,
    /// The axis's version and build, as Info tells them.
    pub version: String,
    /// The commit it was built from.
    pub build: String,
    /// The clock of `axis-time`.
    pub clock: Clock,
    /// The roles of further user ids at the admin socket; root and the axis's own account are
    /// operators.
    pub roles: BTreeMap<u32, exchange::Role>,
    /// How often the TLS files are looked at for a change. Default 10 s.
    pub tls_reload: Duration,
}

impl ServerOptions {
    /// The defaults, for a listener and a data folder.
    #[must_use]
    pub fn new(listen: SocketAddr, data: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            tls: None,
            data: data.into(),
            limits: ConnectionLimits::default(),
            deadline: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            version: String::new(),
            build: String::new(),
            clock: Clock::system(),
            roles: BTreeMap::new(),
            tls_reload: tls::RELOAD,
        }
    }
}

/// What connections may take. The defaults fit a province.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open connections of the public listener; further ones wait, and the log says so. Default
    /// 4,096.
    pub connections: usize,
    /// Calls at once on one connection. Default 256.
    pub streams: u32,
    /// Bytes of one call's metadata. Default 16 KiB.
    pub header_bytes: u32,
    /// Time for the TLS handshake, and for the answer to a keepalive ping. Default 10 s.
    pub handshake: Duration,
    /// Between keepalive pings. Default 30 s.
    pub keep_alive: Duration,
    /// A connection without a call that was let in is closed after this. Default 60 s.
    pub patience: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            streams: 256,
            header_bytes: 16 << 10,
            handshake: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            patience: Duration::from_secs(60),
        }
    }
}

/// The doors could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener is reachable from elsewhere and has no TLS.
    #[error(
        "{0} is not a loopback address and needs TLS: set the certificate and key files \
         (`axis pki init` makes them), or listen on 127.0.0.1"
    )]
    PlainListener(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The admin socket cannot be made.
    #[error("cannot make the admin socket {path}: {source}")]
    Admin {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The descriptors that reflection serves are damaged.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Where a running server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The public listener.
    pub grpc: SocketAddr,
    /// The admin socket.
    pub admin: PathBuf,
}

/// The public listener, bound and not yet served: an address in use is told before the
/// exchange is opened.
#[derive(Debug)]
pub struct Listening {
    options: ServerOptions,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<tls::Current>>,
}

/// Binds a listener and reads its TLS files, if it has any; one that is not on loopback must,
/// unless it asks each caller's address itself.
async fn listen(
    asked: SocketAddr,
    files: Option<&TlsFiles>,
    protocols: &'static [&'static [u8]],
    plain_elsewhere: bool,
) -> Result<(TcpListener, SocketAddr, Option<Arc<tls::Current>>), ServeError> {
    let needs_tls = !plain_elsewhere && !asked.ip().to_canonical().is_loopback();
    if files.is_none() && needs_tls {
        return Err(ServeError::PlainListener(asked));
    }
    let tls = files
        .map(|files| tls::Current::read(files, protocols))
        .transpose()?;
    let refused = |source| ServeError::Bind {
        address: asked,
        source,
    };
    let listener = TcpListener::bind(asked).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address, tls))
}

/// Reads the TLS files and binds the public listener.
///
/// # Errors
/// [`ServeError::PlainListener`], [`ServeError::Tls`], [`ServeError::Bind`].
pub async fn bind(options: ServerOptions) -> Result<Listening, ServeError> {
    let files = options.tls.as_ref();
    let (listener, address, tls) = listen(options.listen, files, &[b"h2"], false).await?;
    Ok(Listening {
        options,
        listener,
        address,
        tls,
    })
}

/// [`bind`] and [`Listening::serve`] in one.
///
/// # Errors
/// As these.
pub async fn serve(
    options: ServerOptions,
    exchange: Exchange,
    stop: CancellationToken,
) -> Result<Running, ServeError> {
    bind(options).await?.serve(exchange, stop)
}

impl Listening {
    /// The address of the public listener.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves an open exchange at both doors until `stop` is cancelled.
    ///
    /// # Errors
    /// [`ServeError::Admin`].
    pub fn serve(self, exchange: Exchange, stop: CancellationToken) -> Result<Running, ServeError> {
        let admit: Admit = {
            let exchange = exchange.clone();
            let roles = self.options.roles.clone();
            Arc::new(move |origin, method, metadata| {
                let caller = caller::caller(&exchange, &roles, origin, metadata)?;
                let offered = matches!(origin, caller::Origin::Admin { .. })
                    || !rights::is_for_the_socket(method);
                // What is not offered at this door is told so by the door itself.
                if offered {
                    rights::check(method, caller.role())?;
                }
                Ok(caller)
            })
        };
        let connections = Connections::new(self.options.limits);
        let (health, health_service) = tonic_health::server::health_reporter();
        let core = service::Core {
            exchange: exchange.clone(),
            version: self.options.version.clone(),
            build: self.options.build.clone(),
            silence: self.options.silence,
            drain: connections.drain.clone(),
        };
        let public = service::public(&core, health_service.clone())?;
        let admin = service::admin(&core, health_service)?;
        let healthy = Box::new(move || exchange.is_serving());
        let doors = Doors {
            public,
            admin,
            admit,
            health,
            healthy,
            connections,
        };
        self.serve_routes(doors, stop)
    }

    /// Serves any services: the part that knows nothing of the exchange.
    fn serve_routes(self, doors: Doors, stop: CancellationToken) -> Result<Running, ServeError> {
        let Doors {
            public,
            admin,
            admit,
            health,
            healthy,
            connections,
        } = doors;
        let path = admin::path(&self.options.data);
        let refused = |source| ServeError::Admin {
            path: path.clone(),
            source,
        };
        let mut socket = admin::Socket::bind(&self.options.data).map_err(refused)?;
        let operators = socket.listener().map_err(refused)?;
        let door = |routes: Routes| Door {
            routes: routes.prepare(),
            admit: Arc::clone(&admit),
            clock: self.options.clock.clone(),
            deadline: self.options.deadline,
        };
        if let Some(tls) = &self.tls {
            let every = self.options.tls_reload;
            connections.keep_tls(Arc::clone(tls).keep(every, connections.drain.clone()));
        }
        connections.accept_public(self.listener, self.tls, door(public));
        connections.accept_admin(operators, door(admin));
        let grace = self.options.grace;
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                tell_health(&health, &*healthy, &stop).await;
                connections.end(grace).await;
                drop(socket);
            }
        });
        Ok(Running {
            bound: Bound {
                grpc: self.address,
                admin: path,
            },
            stop,
            task,
        })
    }
}

/// The services of both doors and what stands in front of them.
struct Doors {
    public: Routes,
    admin: Routes,
    admit: Admit,
    health: HealthReporter,
    /// Whether the axis does what it is for.
    healthy: Box<dyn Fn() -> bool + Send + Sync>,
    connections: Connections,
}

/// How often health looks whether something has changed.
const HEALTH: Duration = Duration::from_secs(1);

/// Keeps health true until the stop, and says NOT_SERVING then.
async fn tell_health(
    health: &HealthReporter,
    healthy: &(dyn Fn() -> bool + Send + Sync),
    stop: &CancellationToken,
) {
    let mut told = None;
    loop {
        let serving = healthy() && !stop.is_cancelled();
        if told != Some(serving) {
            told = Some(serving);
            let status = if serving {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            for name in service::NAMES {
                health.set_service_status(name, status).await;
            }
        }
        if stop.is_cancelled() {
            return;
        }
        // Early at the stop, and then once more around.
        let _ = tokio::time::timeout(HEALTH, stop.cancelled()).await;
    }
}

/// A running server. Dropping it neither stops nor detaches anything: cancel the token, then
/// wait.
#[derive(Debug)]
pub struct Running {
    bound: Bound,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it is reached.
    #[must_use]
    pub const fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Waits until the server has stopped: after the token is cancelled, at most the grace and
    /// a moment.
    pub async fn stopped(self) {
        // The task does not panic; if it did, the server is as stopped as it can be.
        let _ = self.task.await;
    }

    /// Stops the server and waits.
    pub async fn stop(self) {
        self.stop.cancel();
        self.stopped().await;
    }
}
