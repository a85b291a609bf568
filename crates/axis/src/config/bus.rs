//! `[bus]`: the queues between the ledger and the receivers.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bus::amqp::{AmqpConfig, AmqpConfigError};
use serde::{Deserialize, Serialize};

use super::{ConfigError, Environment, within};

/// The queues between the ledger and the receivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bus {
    /// `embedded`, or a broker's address without its password.
    pub(crate) url: String,
    /// The file whose first line is the password.
    pub(crate) password_file: Option<PathBuf>,
    /// Whether the axis makes its queues.
    pub(crate) declare: bool,
    /// Heartbeat of the connections.
    pub(crate) heartbeat_seconds: u64,
    /// How long the broker may take to confirm a message.
    pub(crate) confirm_seconds: u64,
    /// The largest message taken from an `amqp` system.
    pub(crate) max_letter_bytes: usize,
    /// For `amqps://`.
    pub(crate) tls: BusTls,
    /// From `AXIS_BUS_PASSWORD`.
    #[serde(skip)]
    password: Option<Password>,
}

/// TLS towards the broker: PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BusTls {
    /// The authority that signed the broker's certificate.
    pub(crate) ca: Option<PathBuf>,
    /// The axis's own certificate.
    pub(crate) cert: Option<PathBuf>,
    /// Its private key.
    pub(crate) key: Option<PathBuf>,
}

/// A password, shown to nobody.
#[derive(Clone, PartialEq, Eq)]
struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            url: "embedded".to_owned(),
            password_file: None,
            declare: true,
            heartbeat_seconds: 10,
            confirm_seconds: 20,
            max_letter_bytes: 12 << 20,
            tls: BusTls::default(),
            password: None,
        }
    }
}

impl Bus {
    pub(super) fn override_from(
        &mut self,
        environment: Environment<'_>,
    ) -> Result<(), ConfigError> {
        if let Some(url) = environment("AXIS_BUS") {
            check_url("AXIS_BUS", &url)?;
            self.url = url;
        }
        if let Some(password) = environment("AXIS_BUS_PASSWORD") {
            self.password = Some(Password(password));
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_url("bus.url", &self.url)?;
        within("bus.heartbeat_seconds", self.heartbeat_seconds, 1, 600)?;
        within("bus.confirm_seconds", self.confirm_seconds, 1, 600)?;
        within(
            "bus.max_letter_bytes",
            self.max_letter_bytes,
            64 << 10,
            128 << 20,
        )?;
        if self.url.starts_with("amqps://") && self.tls.ca.is_none() {
            return Err(missing(
                "bus.tls.ca",
                "the authority (PEM) that signed the broker's certificate, as bus.url is amqps://",
            ));
        }
        match (&self.tls.cert, &self.tls.key) {
            (Some(_), None) => Err(missing("bus.tls.key", "the private key of bus.tls.cert")),
            (None, Some(_)) => Err(missing("bus.tls.cert", "the certificate of bus.tls.key")),
            _ => Ok(()),
        }
    }

    /// How to reach the broker, with the files read; `None` for the embedded bus.
    ///
    /// # Errors
    /// A file that cannot be read, or that everybody may read.
    pub(crate) fn amqp(&self) -> Result<Option<AmqpConfig>, ConfigError> {
        if self.url == EMBEDDED {
            return Ok(None);
        }
        let mut config = AmqpConfig::new(&self.url).map_err(|error| wrong("bus.url", &error))?;
        config.password = match (&self.password, &self.password_file) {
            (Some(Password(password)), _) => Some(password.clone()),
            (None, Some(file)) => Some(password_of(file)?),
            (None, None) => None,
        };
        config.declare = self.declare;
        config.heartbeat = Duration::from_secs(self.heartbeat_seconds);
        config.confirm_within = Duration::from_secs(self.confirm_seconds);
        config.max_letter = self.max_letter_bytes;
        let BusTls { ca, cert, key } = &self.tls;
        config.tls.authorities = ca.as_deref().map(text_of).transpose()?;
        config.tls.certificate = cert.as_deref().map(bytes_of).transpose()?;
        config.tls.key = key.as_deref().map(bytes_of).transpose()?;
        config.check().map_err(|error| wrong("bus", &error))?;
        Ok(Some(config))
    }
}

const EMBEDDED: &str = "embedded";

fn missing(key: &'static str, allowed: &str) -> ConfigError {
    ConfigError::Value {
        key,
        value: "(none)".to_owned(),
        allowed: allowed.to_owned(),
    }
}

fn wrong(key: &'static str, error: &AmqpConfigError) -> ConfigError {
    ConfigError::Value {
        key,
        value: "(not shown)".to_owned(),
        allowed: format!("\"embedded\" or a broker's address ({error})"),
    }
}

fn check_url(key: &'static str, url: &str) -> Result<(), ConfigError> {
    if url == EMBEDDED {
        return Ok(());
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(ConfigError::Value {
            key,
            value: format!("{url:?}"),
            allowed: "\"embedded\", or amqp://user@host:5672/vhost, or amqps://…".to_owned(),
        });
    };
    // What follows may hold a password.
    let refused = |allowed: String| {
        Err(ConfigError::Value {
            key,
            value: format!("\"{scheme}://…\""),
            allowed,
        })
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
    {
        return refused(
            "an address without its password: that belongs into the file bus.password_file or into AXIS_BUS_PASSWORD".to_owned(),
        );
    }
    match AmqpConfig::new(url) {
        Ok(_) => Ok(()),
        Err(error) => refused(format!("\"embedded\" or a broker's address ({error})")),
    }
}

fn password_of(file: &Path) -> Result<String, ConfigError> {
    let read = |source| ConfigError::Read {
        path: file.to_owned(),
        source,
    };
    let mode = std::fs::metadata(file).map_err(read)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(ConfigError::Value {
            key: "bus.password_file",
            value: format!("{:?}", file.display().to_string()),
            allowed: format!(
                "a file that not everybody may read; type: chmod o= {}",
                file.display()
            ),
        });
    }
    let text = text_of(file)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn text_of(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|source| ConfigError::Read {
        path: file.to_owned(),
        source,
    })
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(file).map_err(|source| ConfigError::Read {
        path: file.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    fn bus(url: &str) -> Bus {
        Bus {
            url: url.to_owned(),
            ..Bus::default()
        }
    }

    #[test]
    fn a_password_stands_in_a_file_or_in_the_environment_and_nowhere_else() {
        let said = bus("amqp://axis:geheim@broker/tinh")
            .check()
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("bus.password_file") && !said.contains("geheim"),
            "{said}"
        );

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let make = |mode| {
            let _ = std::fs::remove_file(&file);
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&file)
                .and_then(|mut file| file.write_all(b"geheim\nand a comment\n"))
                .unwrap();
        };
        let mut given = bus("amqp://axis@broker/tinh");
        given.password_file = Some(file.clone());
        make(0o600);
        let config = given.amqp().unwrap().unwrap();
        assert_eq!(config.password.as_deref(), Some("geheim"));
        make(0o604);
        assert!(given.amqp().unwrap_err().to_string().contains("chmod o="));

        given
            .override_from(&|name| (name == "AXIS_BUS_PASSWORD").then(|| "other".to_owned()))
            .unwrap();
        let config = given.amqp().unwrap().unwrap();
        assert_eq!(config.password.as_deref(), Some("other"));
        assert!(!format!("{given:?}").contains("other"));
    }

    #[test]
    fn tls_needs_its_authority_and_a_whole_identity() {
        let mut given = bus("amqps://axis@broker/tinh");
        assert!(
            given
                .check()
                .unwrap_err()
                .to_string()
                .contains("bus.tls.ca")
        );
        given.tls.ca = Some("ca.pem".into());
        given.check().unwrap();
        given.tls.key = Some("key.pem".into());
        assert!(
            given
                .check()
                .unwrap_err()
                .to_string()
                .contains("bus.tls.cert")
        );
    }

    #[test]
    fn the_embedded_bus_asks_for_nothing() {
        assert!(Bus::default().amqp().unwrap().is_none());
    }
}
