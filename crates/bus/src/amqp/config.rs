//! Where the broker is, as whom the axis comes, and its limits.

use std::fmt;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};

/// The largest body that an `amqp` system can ask to be sent inline, in bytes: half of what
/// RabbitMQ 4 takes by default (16 MiB), so that headers and a stricter broker have room.
pub const MAX_INLINE: usize = 8 << 20;

/// How to reach a broker. It is plain data; [`Amqp::open`](super::Amqp::open) connects.
#[derive(Clone)]
#[non_exhaustive]
pub struct AmqpConfig {
    pub(super) uri: AMQPUri,
    /// The password; replaces the one in the URL, if that has one.
    pub password: Option<String>,
    /// PEM files' contents for `amqps://`.
    pub tls: AmqpTls,
    /// Whether the axis makes its queues and exchanges. If not it only looks whether they are
    /// there and says in [`Link::faults`](super::Link::faults) what is missing.
    pub declare: bool,
    /// Heartbeat asked of the broker, in whole seconds; a dead connection is noticed after two.
    pub heartbeat: Duration,
    /// How long the broker may take to confirm a message, and to answer anything else.
    pub confirm_within: Duration,
    /// The longest letter read from `axis.settle` and `axis.ingress`, in bytes; a longer one is
    /// a dead letter.
    pub max_letter: usize,
    /// The name by which the broker's own tools show the connections.
    pub name: String,
}

/// What TLS towards the broker needs: PEM, as read from the files.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct AmqpTls {
    /// The authorities whose certificate the broker must have. Required for `amqps://`: no
    /// authority is trusted unasked.
    pub authorities: Option<String>,
    /// The axis's own certificate chain, if the broker asks for one.
    pub certificate: Option<Vec<u8>>,
    /// Its private key.
    pub key: Option<Vec<u8>>,
}

/// The broker's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AmqpConfigError {
    /// Not `amqp://[user[:password]@]host[:port][/vhost]`.
    #[error("not a broker's address: {reason}; write amqp://user@host:5672/vhost or amqps://…")]
    Url {
        /// What is wrong with it. The address itself may hold a password and is not repeated.
        reason: String,
    },
    /// `amqps://` without an authority.
    #[error("amqps:// needs the authority that signed the broker's certificate")]
    NoAuthority,
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate and its key are given together or not at all")]
    HalfIdentity,
}

impl AmqpConfig {
    /// A broker at `url`: `amqp://` or `amqps://`, `user[:password]@host[:port]/vhost`. Without a
    /// path the vhost is `/`. Query parameters are refused: each has its own setting.
    ///
    /// # Errors
    /// [`AmqpConfigError::Url`].
    pub fn new(url: &str) -> Result<Self, AmqpConfigError> {
        let wrong = |reason: &str| AmqpConfigError::Url {
            reason: reason.to_owned(),
        };
        if url.contains('?') || url.contains('#') {
            return Err(wrong("it has parameters, and there are none"));
        }
        let mut uri: AMQPUri = url.parse().map_err(|reason: String| wrong(&reason))?;
        // lapin takes an IPv6 address for no host at all and would go to localhost.
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        if let Some(v6) = host.strip_prefix('[') {
            let (address, _) = v6.split_once(']').ok_or_else(|| wrong("`[` without `]`"))?;
            uri.authority.host = address.to_owned();
        } else if host.is_empty() || host.starts_with(':') {
            return Err(wrong("it names no host"));
        }
        Ok(Self {
            uri,
            password: None,
            tls: AmqpTls::default(),
            declare: true,
            heartbeat: Duration::from_secs(10),
            confirm_within: Duration::from_secs(20),
            max_letter: 12 << 20,
            name: "axis".to_owned(),
        })
    }

    /// The address without user and password, for logs and health.
    #[must_use]
    pub fn address(&self) -> String {
        let AMQPUri {
            scheme,
            authority,
            vhost,
            ..
        } = &self.uri;
        let host = if authority.host.contains(':') {
            format!("[{}]", authority.host)
        } else {
            authority.host.clone()
        };
        let vhost = vhost.strip_prefix('/').unwrap_or(vhost);
        format!("{scheme}://{host}:{}/{vhost}", authority.port)
    }

    /// The vhost.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// As whom the axis comes.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// Whether what is given fits together.
    ///
    /// # Errors
    /// [`AmqpConfigError`].
    pub fn check(&self) -> Result<(), AmqpConfigError> {
        if self.uri.scheme == AMQPScheme::AMQPS && self.tls.authorities.is_none() {
            return Err(AmqpConfigError::NoAuthority);
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return Err(AmqpConfigError::HalfIdentity);
        }
        Ok(())
    }
}

impl fmt::Debug for AmqpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpConfig")
            .field("address", &self.address())
            .field("user", &self.user())
            .field("declare", &self.declare)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AmqpTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpTls")
            .field("authorities", &self.authorities.is_some())
            .field("certificate", &self.certificate.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> (String, String, String) {
        let config = AmqpConfig::new(url).unwrap();
        (
            config.address(),
            config.user().to_owned(),
            config.vhost().to_owned(),
        )
    }

    #[test]
    fn an_address_is_read_and_shown_without_its_password() {
        assert_eq!(
            read("amqp://axis:s%2Fcret@mq.example:5673/tinh"),
            (
                "amqp://mq.example:5673/tinh".into(),
                "axis".into(),
                "tinh".into()
            )
        );
        assert_eq!(read("amqp://127.0.0.1").2, "/");
        assert_eq!(read("amqp://127.0.0.1").0, "amqp://127.0.0.1:5672/");
        assert_eq!(read("amqps://a@[::1]:5671/v").0, "amqps://[::1]:5671/v");
        let shown = format!("{:?}", AmqpConfig::new("amqp://a:geheim@h/v").unwrap());
        assert!(!shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for url in [
            "http://geheim@h",
            "amqp://",
            "amqp:///v",
            "amqp://a:geheim@h/v?heartbeat=1",
            "x",
        ] {
            let said = AmqpConfig::new(url).unwrap_err().to_string();
            assert!(!said.contains("geheim"), "{said}");
        }
    }

    #[test]
    fn tls_needs_an_authority_and_a_whole_identity() {
        let mut config = AmqpConfig::new("amqps://h/v").unwrap();
        assert!(matches!(config.check(), Err(AmqpConfigError::NoAuthority)));
        config.tls.authorities = Some(String::new());
        config.check().unwrap();
        config.tls.key = Some(Vec::new());
        assert!(matches!(config.check(), Err(AmqpConfigError::HalfIdentity)));
    }
}
