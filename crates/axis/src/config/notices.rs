//! `[notices]`: who is told of alerts.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ConfigError, within};

/// Who is told of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Notices {
    /// How the axis calls itself.
    pub(crate) name: String,
    /// How long an alert stands before anybody is told.
    pub(crate) hold_off_seconds: u64,
    /// By mail.
    pub(crate) mail: Mail,
    /// By webhook.
    pub(crate) webhook: Webhook,
}

impl Default for Notices {
    fn default() -> Self {
        let of = notice::Options::default();
        Self {
            name: of.name,
            hold_off_seconds: of.hold_off.as_secs(),
            mail: Mail::default(),
            webhook: Webhook::default(),
        }
    }
}

/// By mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    /// The mail server; without it no mail is sent.
    pub(crate) server: Option<String>,
    pub(crate) port: u16,
    pub(crate) tls: MailTls,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) from: Option<String>,
    pub(crate) to: Vec<String>,
    pub(crate) contacts: bool,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: None,
            port: 587,
            tls: MailTls::Starttls,
            ca: None,
            user: None,
            password_file: None,
            from: None,
            to: Vec::new(),
            contacts: false,
        }
    }
}

/// How the way to the mail server is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailTls {
    Starttls,
    Tls,
    None,
}

/// By webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhook {
    /// The address; without it nothing is called.
    pub(crate) url: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
}

impl Notices {
    /// As the notices are told.
    pub(crate) fn options(&self) -> notice::Options {
        let mail = self.mail.server.as_ref().map(|server| notice::MailOptions {
            server: server.clone(),
            port: self.mail.port,
            tls: match self.mail.tls {
                MailTls::Starttls => notice::MailTls::Starttls,
                MailTls::Tls => notice::MailTls::Tls,
                MailTls::None => notice::MailTls::None,
            },
            ca: self.mail.ca.clone(),
            user: self.mail.user.clone(),
            password_file: self.mail.password_file.clone(),
            from: self.mail.from.clone().unwrap_or_default(),
            to: self.mail.to.clone(),
            contacts: self.mail.contacts,
        });
        let webhook = self.webhook.url.as_ref().map(|url| notice::WebhookOptions {
            url: url.clone(),
            ca: self.webhook.ca.clone(),
            token_file: self.webhook.token_file.clone(),
        });
        notice::Options {
            name: self.name.clone(),
            hold_off: Duration::from_secs(self.hold_off_seconds),
            mail,
            webhook,
            ..notice::Options::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("notices.hold_off_seconds", self.hold_off_seconds, 0, 86_400)?;
        let refused = |key, value: &str, allowed: &str| {
            Err(ConfigError::Value {
                key,
                value: format!("{value:?}"),
                allowed: allowed.to_owned(),
            })
        };
        let Mail {
            server,
            tls,
            user,
            password_file,
            from,
            to,
            ..
        } = &self.mail;
        if let Some(server) = server {
            if from.is_none() {
                return refused(
                    "notices.mail.from",
                    "",
                    "an address, as notices.mail.server is given",
                );
            }
            if to.is_empty() {
                return refused(
                    "notices.mail.to",
                    "",
                    "at least one address, as notices.mail.server is given",
                );
            }
            if user.is_some() != password_file.is_some() {
                return refused(
                    "notices.mail.password_file",
                    "",
                    "the file with the password of notices.mail.user; both or neither",
                );
            }
            if *tls == MailTls::None && !is_here(server) {
                return refused(
                    "notices.mail.tls",
                    "none",
                    "\"starttls\" or \"tls\" unless the mail server is on this machine",
                );
            }
        }
        if let Some(url) = &self.webhook.url {
            let host = url.strip_prefix("http://");
            let host = host.and_then(|rest| rest.split(['/', ':', '?']).next());
            if !url.starts_with("https://") && !host.is_some_and(is_here) {
                // An address may hold a secret.
                return refused(
                    "notices.webhook.url",
                    "…",
                    "https://…, or http://127.0.0.1…",
                );
            }
        }
        Ok(())
    }
}

fn is_here(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}
