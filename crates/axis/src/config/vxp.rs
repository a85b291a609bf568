//! The VXP listener: who may speak the national axis's protocol to this axis, and from where.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use api::vxp::VxpOptions;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Tls, address, within};

/// The VXP listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Vxp {
    /// Address and port; port 0 picks a free one.
    #[serde(deserialize_with = "address")]
    pub(crate) listen: SocketAddr,
    /// From where plain HTTP is taken.
    pub(crate) plain_http_from: Vec<IpNet>,
    /// Open connections.
    pub(crate) max_connections: usize,
    /// Requests of one system at once.
    pub(crate) max_requests: u32,
    /// Requests of one system in a second.
    pub(crate) max_requests_per_second: u32,
    /// Rows of one list.
    pub(crate) list_rows: usize,
    /// Whether fromDate and toDate narrow the list of what waits.
    pub(crate) date_filter: bool,
    /// Whether what reads must come from the address that its signature came from first.
    pub(crate) reads_from_one_address: bool,
    /// Longest silence in the middle of a package.
    pub(crate) silence_seconds: u64,
    /// TLS.
    pub(crate) tls: Tls,
    /// From where a system may call.
    pub(crate) addresses: BTreeMap<String, Vec<IpNet>>,
    /// How far a system's timestamps may be off.
    pub(crate) timestamp_tolerance_seconds: BTreeMap<String, u64>,
}

impl Default for Vxp {
    fn default() -> Self {
        let of = VxpOptions::default();
        let limits = exchange::Limits::default();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7403)),
            plain_http_from: of.plain_http_from,
            max_connections: 256,
            max_requests: limits.max_requests,
            max_requests_per_second: limits.max_requests_per_second,
            list_rows: of.list_limit,
            date_filter: of.date_filter,
            reads_from_one_address: of.reads_from_one_address,
            silence_seconds: of.silence.as_secs(),
            tls: Tls::default(),
            addresses: of.addresses,
            timestamp_tolerance_seconds: BTreeMap::new(),
        }
    }
}

impl Vxp {
    /// What the listener is told of it.
    pub(super) fn web_options(&self, grace: Duration) -> api::WebOptions {
        let mut options = api::WebOptions::new(self.listen);
        options.tls = self.tls.files();
        options.limits.connections = self.max_connections;
        options.grace = grace;
        options.head_bytes = api::vxp::HEAD_BYTES;
        options.plain_elsewhere = true;
        options
    }

    /// What the endpoint is told of it.
    pub(crate) fn options(&self) -> VxpOptions {
        let tolerance = self.timestamp_tolerance_seconds.iter();
        VxpOptions {
            plain_http_from: self.plain_http_from.clone(),
            addresses: self.addresses.clone(),
            tolerance: tolerance
                .map(|(system, seconds)| (system.clone(), Duration::from_secs(*seconds)))
                .collect(),
            list_limit: self.list_rows,
            date_filter: self.date_filter,
            reads_from_one_address: self.reads_from_one_address,
            silence: Duration::from_secs(self.silence_seconds),
        }
    }

    /// Whether it takes plain HTTP from other machines.
    pub(crate) fn is_plain_elsewhere(&self) -> bool {
        self.tls.cert.is_none()
            && self
                .plain_http_from
                .iter()
                .any(|from| !is_this_machine(from))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("vxp.max_connections", self.max_connections, 1, 100_000)?;
        within("vxp.max_requests", self.max_requests, 1, 10_000)?;
        let rate = self.max_requests_per_second;
        within("vxp.max_requests_per_second", rate, 1, 1_000_000)?;
        within("vxp.list_rows", self.list_rows, 1, 100_000)?;
        within("vxp.silence_seconds", self.silence_seconds, 1, 3_600)?;
        for seconds in self.timestamp_tolerance_seconds.values() {
            within("vxp.timestamp_tolerance_seconds", *seconds, 1, 31_536_000)?;
        }
        let listen = [
            "vxp.listen",
            "vxp.tls.cert",
            "vxp.tls.key",
            "the server's certificate, as vxp.tls.key or vxp.tls.client_ca is given",
            "the private key of vxp.tls.cert",
            "on loopback (127.0.0.1, ::1) unless vxp.tls.cert and vxp.tls.key are given, or vxp.plain_http_from names the networks that plain HTTP may come from",
        ];
        let plain = self.is_plain_elsewhere();
        let asked = if plain {
            SocketAddr::from(([127, 0, 0, 1], 0))
        } else {
            self.listen
        };
        super::check_listener(asked, &self.tls, listen)
    }
}

fn is_this_machine(network: &IpNet) -> bool {
    network.network().is_loopback() && network.broadcast().is_loopback()
}
