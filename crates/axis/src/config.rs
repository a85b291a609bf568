//! The configuration: one TOML file, every key optional, a few `AXIS_…` variables on top.
//!
//! It is plain data; reading it binds nothing and creates nothing. A wrong key or value is
//! refused with the key, the value and what is allowed. `deploy/axis.toml` explains each key;
//! a test holds the two together.

mod alerts;
mod bus;
mod notices;
mod vxp;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ledger::time::Clock;
use serde::{Deserialize, Deserializer, Serialize};
use tracing_subscriber::EnvFilter;

pub(crate) use self::alerts::Alerts;
pub(crate) use self::bus::Bus;
pub(crate) use self::notices::Notices;
pub(crate) use self::vxp::Vxp;
use crate::cli::VERSION;

/// Everything `axis serve` can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Where the truth lies.
    pub(crate) data: Data,
    /// The gRPC listener.
    pub(crate) grpc: Grpc,
    /// The HTTP listener: health and metrics.
    pub(crate) console: Console,
    /// The listener for systems that use the national SDK.
    pub(crate) vxp: Vxp,
    /// What one system may ask for.
    pub(crate) limits: Limits,
    /// Leases and windows.
    pub(crate) delivery: Delivery,
    /// The queues.
    pub(crate) bus: Bus,
    /// The journal.
    pub(crate) journal: Journal,
    /// From when on something is an alert.
    pub(crate) alerts: Alerts,
    /// Who is told of alerts.
    pub(crate) notices: Notices,
    /// The daemon's own log.
    pub(crate) log: Log,
    /// The working calendar.
    pub(crate) calendar: rules::Calendar,
    /// The marks of state secrets.
    pub(crate) secrecy: rules::Secrecy,
    /// Senders' clocks.
    pub(crate) clocks: rules::Clocks,
    /// The reasons of refusals.
    pub(crate) reasons: rules::Reasons,
    /// The roles of user ids at the admin socket, beside root and the axis's own account.
    pub(crate) roles: BTreeMap<String, String>,
}

/// Where the truth lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Data {
    /// The data folder; `--data` overrides it.
    pub(crate) dir: PathBuf,
    /// The file that seals the systems' keys; beside the data folder if absent.
    pub(crate) key_file: Option<PathBuf>,
    /// This node's number inside package ids.
    pub(crate) node: u16,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("axis-data"),
            key_file: None,
            node: 0,
        }
    }
}

/// The gRPC listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Grpc {
    /// Address and port; port 0 picks a free one.
    #[serde(deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    /// How long calls in flight may take to end after SIGTERM.
    pub(crate) drain_seconds: u64,
    /// Open connections at a time.
    pub(crate) max_connections: usize,
    /// TLS; a listener that is not on loopback must have it.
    pub(crate) tls: Tls,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7401)),
            drain_seconds: 20,
            max_connections: api::ConnectionLimits::default().connections,
            tls: Tls::default(),
        }
    }
}

/// The HTTP listener: health and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Console {
    /// Address and port; port 0 picks a free one.
    #[serde(deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    /// TLS; a listener that is not on loopback must have it.
    pub(crate) tls: Tls,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7402)),
            tls: Tls::default(),
        }
    }
}

/// TLS of a listener: PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// The server's certificate chain.
    pub(crate) cert: Option<PathBuf>,
    /// Its private key.
    pub(crate) key: Option<PathBuf>,
    /// The authority whose client certificates are accepted.
    pub(crate) client_ca: Option<PathBuf>,
    /// Revocation lists of that authority, PEM; read again when the file changes.
    pub(crate) client_crl: Option<PathBuf>,
}

impl Tls {
    /// As the listeners take it.
    fn files(&self) -> Option<api::TlsFiles> {
        let pair = self.cert.clone().zip(self.key.clone());
        pair.map(|(certificate, key)| api::TlsFiles {
            certificate,
            key,
            client_ca: self.client_ca.clone(),
            client_crl: self.client_crl.clone(),
        })
    }
}

/// What one system may ask for at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The largest package.
    pub(crate) max_package_bytes: u64,
    /// Open streams of one system.
    pub(crate) max_streams: u32,
    /// Bytes of one system's pushes in flight.
    pub(crate) max_bytes_in_flight: u64,
    /// Pushes a second of one system.
    pub(crate) max_pushes_per_second: u32,
    /// Open deliveries that wait for one system.
    pub(crate) max_open_deliveries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let of = exchange::Limits::default();
        Self {
            max_package_bytes: of.max_package,
            max_streams: of.max_streams,
            max_bytes_in_flight: of.max_bytes_in_flight,
            max_pushes_per_second: of.max_pushes_per_second,
            max_open_deliveries: of.max_open_deliveries,
        }
    }
}

/// Leases and windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    /// How long a delivery is leased before it is offered again.
    pub(crate) lease_seconds: u64,
    /// Leases that may end unsettled before a delivery is dead; 0 = any number.
    pub(crate) max_unsettled_leases: u32,
    /// Deliveries published per system and lane and not yet leased.
    pub(crate) window: usize,
    /// After how long what an `amqp` system took and did not settle is published again.
    pub(crate) settle_seconds: u64,
    /// In which time every queue of a broker is looked at once.
    pub(crate) check_seconds: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            lease_seconds: 300,
            max_unsettled_leases: 20,
            window: 1_000,
            settle_seconds: 900,
            check_seconds: 10,
        }
    }
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    /// Size of a segment file.
    pub(crate) segment_bytes: u64,
    /// A file outside the data folder to which anchors are written.
    pub(crate) anchors: Option<PathBuf>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            anchors: None,
        }
    }
}

/// The daemon's own log, on stderr.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// What is logged.
    pub(crate) filter: String,
    /// How a line looks.
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people and for the system's journal.
    Text,
    /// One JSON object a line.
    Json,
}

/// The configuration cannot be used; exit code 2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML, a key is unknown, or a value is of the wrong kind.
    #[error("{}: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its range.
    #[error("{key} = {value}: must be {allowed}")]
    Value {
        /// The key as written in the file, or the variable.
        key: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        allowed: String,
    },
}

/// Reads a variable of the environment; a test gives its own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// The defaults, then the file if one is named, then the `AXIS_…` variables, checked.
    ///
    /// # Errors
    /// The first thing wrong, with its key, its value and what is allowed.
    pub(crate) fn load(
        file: Option<&Path>,
        data: Option<&Path>,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let mut config = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
                    path: path.to_owned(),
                    source,
                })?;
                Self::parse(&text).map_err(|source| ConfigError::Syntax {
                    path: path.to_owned(),
                    source: Box::new(source),
                })?
            }
            None => Self::default(),
        };
        if let Some(dir) = data {
            config.data.dir = dir.to_owned();
        }
        config.override_from(environment)?;
        config.check()?;
        Ok(config)
    }

    /// What the server is told of it.
    pub(crate) fn server_options(&self) -> api::ServerOptions {
        let mut options = api::ServerOptions::new(self.grpc.listen, &self.data.dir);
        options.tls = self.grpc.tls.files();
        options.grace = Duration::from_secs(self.grpc.drain_seconds);
        options.limits.connections = self.grpc.max_connections;
        // Checked when the configuration was loaded.
        options.roles = self.roles().unwrap_or_default();
        options.version = env!("CARGO_PKG_VERSION").to_owned();
        options.build = env!("AXIS_COMMIT").to_owned();
        options
    }

    /// The certificates of the listeners.
    pub(crate) fn certificates(&self) -> Vec<PathBuf> {
        let files = [&self.grpc.tls, &self.console.tls, &self.vxp.tls];
        let mut files: Vec<_> = files
            .into_iter()
            .flat_map(|tls| [tls.cert.clone(), tls.client_crl.clone()])
            .flatten()
            .collect();
        files.dedup();
        files
    }

    /// What the HTTP listener is told of it.
    pub(crate) fn web_options(&self) -> api::WebOptions {
        let mut options = api::WebOptions::new(self.console.listen);
        options.tls = self.console.tls.files();
        options
    }

    /// What the VXP listener is told of it.
    pub(crate) fn vxp_web_options(&self) -> api::WebOptions {
        self.vxp
            .web_options(Duration::from_secs(self.grpc.drain_seconds))
    }

    /// What the exchange is told of it.
    pub(crate) fn exchange_options(&self) -> exchange::Options {
        exchange::Options {
            data: self.data.dir.clone(),
            key_file: self.data.key_file.clone(),
            node: self.data.node,
            clock: Clock::system(),
            limits: exchange::Limits {
                max_package: self.limits.max_package_bytes,
                max_streams: self.limits.max_streams,
                max_bytes_in_flight: self.limits.max_bytes_in_flight,
                max_pushes_per_second: self.limits.max_pushes_per_second,
                max_open_deliveries: self.limits.max_open_deliveries,
                max_requests: self.vxp.max_requests,
                max_requests_per_second: self.vxp.max_requests_per_second,
            },
            lease: Duration::from_secs(self.delivery.lease_seconds),
            max_unsettled_leases: self.delivery.max_unsettled_leases,
            window: self.delivery.window,
            settle: Duration::from_secs(self.delivery.settle_seconds),
            check_queues: Duration::from_secs(self.delivery.check_seconds),
            bus: None,
            vhost: String::new(),
            segment_size: self.journal.segment_bytes,
            anchors: self.journal.anchors.clone(),
            alerts: self.alerts.limits(),
            rules: exchange::RuleOptions {
                calendar: self.calendar.options(),
                secrecy: self.secrecy.options(),
                clocks: self.clocks.limits(),
                reasons: self.reasons.options(),
            },
            version: VERSION.to_owned(),
            ..exchange::Options::new(&self.data.dir)
        }
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    fn override_from(&mut self, environment: Environment<'_>) -> Result<(), ConfigError> {
        if let Some(listen) = listen_variable(environment, "AXIS_GRPC_LISTEN")? {
            self.grpc.listen = listen;
        }
        if let Some(listen) = listen_variable(environment, "AXIS_CONSOLE_LISTEN")? {
            self.console.listen = listen;
        }
        if let Some(listen) = listen_variable(environment, "AXIS_VXP_LISTEN")? {
            self.vxp.listen = listen;
        }
        self.bus.override_from(environment)?;
        if let Some(filter) = environment("AXIS_LOG") {
            check_filter("AXIS_LOG", &filter)?;
            self.log.filter = filter;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        within("grpc.drain_seconds", self.grpc.drain_seconds, 1, 300)?;
        within("grpc.max_connections", self.grpc.max_connections, 1, 60_000)?;
        within(
            "limits.max_package_bytes",
            self.limits.max_package_bytes,
            4 << 10,
            1 << 30,
        )?;
        within("limits.max_streams", self.limits.max_streams, 1, 10_000)?;
        within(
            "limits.max_bytes_in_flight",
            self.limits.max_bytes_in_flight,
            self.limits.max_package_bytes,
            64 << 30,
        )?;
        within(
            "limits.max_pushes_per_second",
            self.limits.max_pushes_per_second,
            1,
            1_000_000,
        )?;
        within(
            "limits.max_open_deliveries",
            self.limits.max_open_deliveries,
            1,
            100_000_000,
        )?;
        within(
            "delivery.lease_seconds",
            self.delivery.lease_seconds,
            1,
            86_400,
        )?;
        within(
            "delivery.max_unsettled_leases",
            self.delivery.max_unsettled_leases,
            0,
            1_000_000,
        )?;
        within("delivery.window", self.delivery.window, 1, 100_000)?;
        within(
            "delivery.settle_seconds",
            self.delivery.settle_seconds,
            1,
            86_400,
        )?;
        within(
            "delivery.check_seconds",
            self.delivery.check_seconds,
            1,
            600,
        )?;
        within(
            "journal.segment_bytes",
            self.journal.segment_bytes,
            1 << 20,
            1 << 30,
        )?;
        if !self.journal.segment_bytes.is_multiple_of(4096) {
            let value = self.journal.segment_bytes.to_string();
            return Err(ConfigError::Value {
                key: "journal.segment_bytes",
                value,
                allowed: "a multiple of 4096".to_owned(),
            });
        }
        self.alerts.check()?;
        self.bus.check()?;
        self.notices.check()?;
        self.vxp.check()?;
        check_filter("log.filter", &self.log.filter)?;
        self.check_places()?;
        self.check_tls()
    }

    /// What would be lost together must not lie together.
    fn check_places(&self) -> Result<(), ConfigError> {
        let outside = |key: &'static str, path: Option<&PathBuf>| match path {
            Some(path) if path.starts_with(&self.data.dir) => Err(ConfigError::Value {
                key,
                value: format!("{:?}", path.display().to_string()),
                allowed: format!("a file outside the data folder {}", self.data.dir.display()),
            }),
            _ => Ok(()),
        };
        outside("journal.anchors", self.journal.anchors.as_ref())?;
        outside("data.key_file", self.data.key_file.as_ref())
    }

    /// The roles of further user ids at the admin socket.
    fn roles(&self) -> Result<BTreeMap<u32, exchange::Role>, ConfigError> {
        let read = |(uid, word): (&String, &String)| {
            let role = exchange::Role::of_word(word).filter(|role| *role != exchange::Role::System);
            let uid = uid.parse().ok();
            uid.zip(role).ok_or_else(|| ConfigError::Value {
                key: "roles",
                value: format!("{word:?}"),
                allowed: "a user id with operator, registrar, auditor, agency_admin or office, as in 1005 = \"registrar\"".to_owned(),
            })
        };
        self.roles.iter().map(read).collect()
    }

    fn check_tls(&self) -> Result<(), ConfigError> {
        let grpc = [
            "grpc.listen",
            "grpc.tls.cert",
            "grpc.tls.key",
            "the server's certificate, as grpc.tls.key or grpc.tls.client_ca is given",
            "the private key of grpc.tls.cert",
            "on loopback (127.0.0.1, ::1) unless grpc.tls.cert and grpc.tls.key are given; `axis pki init` makes them",
        ];
        let console = [
            "console.listen",
            "console.tls.cert",
            "console.tls.key",
            "the server's certificate, as console.tls.key or console.tls.client_ca is given",
            "the private key of console.tls.cert",
            "on loopback (127.0.0.1, ::1) unless console.tls.cert and console.tls.key are given; `axis pki init` makes them",
        ];
        self.roles()?;
        check_listener(self.grpc.listen, &self.grpc.tls, grpc)?;
        check_listener(self.console.listen, &self.console.tls, console)
    }
}

/// A listener has certificate and key, or neither and is on loopback. The words: three keys,
/// and what is allowed when each of them is wrong.
fn check_listener(
    listen: SocketAddr,
    tls: &Tls,
    [
        listen_key,
        cert_key,
        key_key,
        needs_cert,
        needs_key,
        needs_tls,
    ]: [&'static str; 6],
) -> Result<(), ConfigError> {
    let refused = |key, value: String, allowed: &str| {
        Err(ConfigError::Value {
            key,
            value,
            allowed: allowed.to_owned(),
        })
    };
    let none = || "(none)".to_owned();
    if tls.cert.is_some() && tls.key.is_none() {
        return refused(key_key, none(), needs_key);
    }
    if tls.cert.is_none() && (tls.key.is_some() || tls.client_ca.is_some()) {
        return refused(cert_key, none(), needs_cert);
    }
    if let (Some(crl), None) = (&tls.client_crl, &tls.client_ca) {
        let allowed = "together with client_ca, the authority whose certificates it takes back";
        return refused(
            "grpc.tls.client_crl",
            format!("{:?}", crl.display()),
            allowed,
        );
    }
    if tls.cert.is_none() && !listen.ip().is_loopback() {
        return refused(listen_key, format!("\"{listen}\""), needs_tls);
    }
    Ok(())
}

fn within<N: PartialOrd + fmt::Display>(
    key: &'static str,
    value: N,
    least: N,
    most: N,
) -> Result<(), ConfigError> {
    if (&least..=&most).contains(&&value) {
        return Ok(());
    }
    Err(ConfigError::Value {
        key,
        value: value.to_string(),
        allowed: format!("from {least} to {most}"),
    })
}

fn check_filter(key: &'static str, filter: &str) -> Result<(), ConfigError> {
    match EnvFilter::try_new(filter) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConfigError::Value {
            key,
            value: format!("{filter:?}"),
            allowed: format!(
                "a level (error, warn, info, debug, trace) or a list such as \"info,exchange=debug\" ({error})"
            ),
        }),
    }
}

fn listen_variable(
    environment: Environment<'_>,
    key: &'static str,
) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(value) = environment(key) else {
        return Ok(None);
    };
    match SocketAddr::from_str(&value) {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(ConfigError::Value {
            key,
            value: format!("{value:?}"),
            allowed: ADDRESS.to_owned(),
        }),
    }
}

const ADDRESS: &str = "an address and port such as 127.0.0.1:7401 or [::1]:7401";

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| serde::de::Error::custom(format!("listen = {text:?}: must be {ADDRESS}")))
}

mod rules;
#[cfg(test)]
mod tests;
