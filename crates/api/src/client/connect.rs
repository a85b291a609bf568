//! Reaching an axis: plain or TLS over TCP, or the admin socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::{Credentials, Error, Options};
use crate::admin;
use crate::server::tls;

/// A broken connection is noticed after a ping and this long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Windows that let content flow on fast lines.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to a server's public listener.
pub(super) async fn tcp(options: &Options) -> Result<Channel, Error> {
    let server = options.server.as_str();
    let refused = |reason: &str| Error::Options {
        name: "server",
        reason: format!("{reason}; it is written http://host:port or https://host:port"),
    };
    let uri: Uri = server
        .parse()
        .map_err(|_| refused(&format!("{server:?} is not a URL")))?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(refused(&format!("{server:?} is not an http or https URL"))),
    };
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri
        .port_u16()
        .ok_or_else(|| refused(&format!("{server:?} names no port")))?;
    if host.is_empty() || !matches!(uri.path(), "" | "/") {
        return Err(refused(&format!(
            "{server:?} is not the address of an axis"
        )));
    }
    let tls = if secure {
        let name = ServerName::try_from(host.clone())
            .map_err(|_| refused(&format!("{host:?} is not a host name")))?;
        Some((TlsConnector::from(config(options)?), name))
    } else if options.ca.is_some() || matches!(options.credentials, Credentials::Certificate { .. })
    {
        return Err(refused("certificates need an https URL"));
    } else {
        None
    };

    let connector = service_fn(move |_: Uri| {
        let (host, tls) = (host.clone(), tls.clone());
        async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Stream> = match tls {
                None => Box::new(stream),
                Some((tls, name)) => Box::new(tls.connect(name, stream).await?),
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // TLS is the connector's business; tonic would want its own for an https URI.
    let authority = uri
        .authority()
        .map_or("axis", |authority| authority.as_str());
    let endpoint = endpoint(&format!("http://{authority}"), options.timeout)
        .map_err(|error| refused(&error.to_string()))?;
    let connected = endpoint.connect_with_connector(connector).await;
    connected.map_err(|error| failed(server, options.timeout, error))
}

/// Connects to the admin socket of a data folder.
pub(super) async fn socket(data: &Path, timeout: Option<Duration>) -> Result<Channel, Error> {
    let target = admin::path(data).display().to_string();
    let data: PathBuf = data.to_owned();
    let connector = service_fn(move |_: Uri| {
        let data = data.clone();
        async move { admin::connect(&data).await.map(TokioIo::new) }
    });
    let endpoint =
        endpoint("http://axis", timeout).map_err(|error| Error::unreachable(&target, error))?;
    let connected = endpoint.connect_with_connector(connector).await;
    connected.map_err(|error| failed(&target, timeout, error))
}

fn endpoint(uri: &str, timeout: Option<Duration>) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(uri.to_owned())?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(64 << 10);
    Ok(match timeout {
        Some(timeout) => endpoint.connect_timeout(timeout),
        None => endpoint,
    })
}

/// A connection that did not come about.
fn failed(target: &str, timeout: Option<Duration>, error: tonic::transport::Error) -> Error {
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        if let (Some(io::ErrorKind::TimedOut), Some(after)) = (kind, timeout) {
            return Error::TimedOut {
                target: target.to_owned(),
                after,
            };
        }
        source = cause.source();
    }
    Error::unreachable(target, error)
}

fn config(options: &Options) -> Result<Arc<ClientConfig>, Error> {
    let ca = options.ca.as_ref().ok_or_else(|| Error::Options {
        name: "ca",
        reason: "an https server needs the authority's certificate (a PEM file)".to_owned(),
    })?;
    let roots = tls::authorities(&ca.bytes, &ca.name)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(tls::TlsError::from)?
        .with_root_certificates(roots);
    let mut config = match &options.credentials {
        Credentials::Certificate { chain, key } => {
            let chain = tls::certificates(&chain.bytes, &chain.name)?;
            let key = tls::private_key(&key.bytes, &key.name)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(tls::TlsError::from)?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
