//! One connection to the broker.

use std::fmt;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_compat::Compat;
use futures_util::{Stream, StreamExt};
use lapin::tcp::{AsyncTcpStream, OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::net::TcpStream;

use super::config::AmqpConfig;
use super::fault;
use super::link::Cause;

/// How long a connection may take until it stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long a farewell may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Channels of one connection, over its whole life. The broker's default is 2047; some stay free.
///
/// A number is given to one channel only: lapin 4.12.3 keeps the error with which the broker
/// closed a channel, and the next channel of that number gets it for an answer, or none.
const CHANNELS: u32 = 2_000;

/// A connection. Dropped, it is cut: nothing of it stays behind, whatever the other side does.
pub(super) struct Line {
    connection: Connection,
    /// Places taken now, and ever.
    channels: Arc<AtomicU32>,
    numbered: AtomicU32,
    // Behind the connection: cut after its farewell was put on its way.
    _plug: Plug,
}

/// A channel's place on its connection.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicU32>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A second handle of the connection's socket. lapin's thread waits on the socket without end:
/// this is how it is told that nobody waits for it any more.
#[derive(Default)]
struct Plug(Arc<Mutex<Option<std::net::TcpStream>>>);

impl Drop for Plug {
    fn drop(&mut self) {
        // The dialling closure holds the other copy until lapin's thread ends.
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = socket.take() {
            // It may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Line {
    /// Connects, as `role` beside the configured name.
    ///
    /// # Errors
    /// Why not, within [`CONNECT_WITHIN`].
    pub(super) async fn open(config: &AmqpConfig, role: &str) -> Result<Self, Cause> {
        let unreachable = |said: String| Cause::Unreachable { said };
        let mut uri = config.uri.clone();
        if let Some(password) = &config.password {
            uri.authority.userinfo.password.clone_from(password);
        }
        uri.query.heartbeat = Some(u16::try_from(config.heartbeat.as_secs()).unwrap_or(u16::MAX));
        let runtime =
            lapin::runtime::default_runtime().map_err(|error| unreachable(error.to_string()))?;
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("{} {role}", config.name).into());
        let plug = Plug::default();
        let (socket, tls) = (Arc::clone(&plug.0), tls(config));
        let dial = async move |uri: AMQPUri, _runtime| {
            let stream = dial(&uri, &socket, &tls);
            match tokio::time::timeout(CONNECT_WITHIN, stream).await {
                Ok(stream) => Ok(stream?),
                Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            }
        };
        let connecting = Connection::connector(uri, runtime, dial, properties);
        let connection = match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(fault::cause(&error)),
            Err(_) => {
                let seconds = CONNECT_WITHIN.as_secs();
                return Err(unreachable(format!("no answer within {seconds} s")));
            }
        };
        Ok(Self {
            connection,
            channels: Arc::default(),
            numbered: AtomicU32::new(0),
            _plug: plug,
        })
    }

    /// What happens on it: alarms of the broker, its end. To be asked for once: two listeners
    /// would share the events.
    pub(super) fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + 'static {
        self.connection.events_listener().boxed()
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// A place for one more channel, if there is one.
    pub(super) fn place(&self) -> Option<Place> {
        let most = self.most();
        let numbered = |numbered: u32| (numbered < most).then_some(numbered + 1);
        let taken = self
            .numbered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, numbered);
        taken.ok()?;
        self.channels.fetch_add(1, Ordering::Relaxed);
        Some(Place(Arc::clone(&self.channels)))
    }

    /// Whether nobody uses it and nobody can begin to.
    pub(super) fn is_spent(&self) -> bool {
        self.numbered.load(Ordering::Relaxed) >= self.most()
            && self.channels.load(Ordering::Relaxed) == 0
    }

    /// The channels that it may ever have.
    fn most(&self) -> u32 {
        match self.connection.configuration().channel_max() {
            0 => CHANNELS,
            most => CHANNELS.min(most.into()),
        }
    }

    pub(super) async fn channel(&self) -> lapin::Result<Channel> {
        self.connection.create_channel().await
    }

    /// Says farewell, so that what was sent before is read.
    pub(super) async fn close(&self) {
        let farewell = self.connection.close(200, "the axis closes its bus".into());
        // Gone already, or deaf: it is cut.
        let _ = tokio::time::timeout(CLOSE_WITHIN, farewell).await;
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("up", &self.is_up())
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

async fn dial(
    uri: &AMQPUri,
    plug: &Mutex<Option<std::net::TcpStream>>,
    tls: &OwnedTLSConfig,
) -> std::io::Result<AsyncTcpStream<Compat<TcpStream>>> {
    let host = uri.authority.host.as_str();
    let stream = TcpStream::connect((host, uri.authority.port)).await?;
    // Frames are small and wait for nobody.
    stream.set_nodelay(true)?;
    let second = std::net::TcpStream::from(stream.as_fd().try_clone_to_owned()?);
    *plug.lock().unwrap_or_else(PoisonError::into_inner) = Some(second);
    let stream = AsyncTcpStream::Plain(Compat::new(stream));
    match uri.scheme {
        AMQPScheme::AMQP => Ok(stream),
        AMQPScheme::AMQPS => match stream.into_tls(host, tls.as_ref()).await? {
            // Built without TLS it gives back what it was given, and the password would leave in
            // the clear.
            AsyncTcpStream::Plain(_) => Err(std::io::Error::other(
                "this build has no TLS towards the broker",
            )),
            stream => Ok(stream),
        },
    }
}

fn tls(config: &AmqpConfig) -> OwnedTLSConfig {
    let tls = &config.tls;
    OwnedTLSConfig {
        identity: tls
            .certificate
            .clone()
            .zip(tls.key.clone())
            .map(|(pem, key)| OwnedIdentity::PKCS8 { pem, key }),
        cert_chain: tls.authorities.clone(),
    }
}
