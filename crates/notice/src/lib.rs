//! Notices of alerts by mail and webhook. A crate of its own because it needs clients of the
//! network, which the exchange, that raises the alerts, must not know.
//!
//! One task ([`Notices::run`]) looks at the alerts of which nobody was told, waits until they
//! have stood for the hold-off, and sends one message for all that are due; whoever was told
//! of an alert is told of its end. What was told is recorded in the ledger, so a restart
//! repeats nothing and forgets nothing. The exchange never waits for any of this: the task
//! pulls, and the alerts that stand are its queue.

mod mail;
mod reminder;
mod text;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use exchange::{Alert, Exchange};
use tokio_util::sync::CancellationToken;

pub use mail::{MailOptions, MailTls};
pub use text::Notice;
pub use webhook::WebhookOptions;

use mail::Mail;
use reminder::Reminder;
use webhook::Webhook;

/// Alerts in one message, at most; the others go in the next.
const AT_ONCE: usize = 50;

/// How notices are sent.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the axis calls itself in notices: the province, the site.
    pub name: String,
    /// How long an alert stands before anybody is told, and the least time between two
    /// messages: what comes and goes is not told, what comes in numbers is told at once.
    pub hold_off: Duration,
    /// The first pause after a message that could not be sent; the next ones double, up to
    /// [`Options::longest_pause`].
    pub pause: Duration,
    /// The longest pause between two attempts.
    pub longest_pause: Duration,
    /// By mail, if set.
    pub mail: Option<MailOptions>,
    /// By webhook, if set.
    pub webhook: Option<WebhookOptions>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "Axis".to_owned(),
            hold_off: Duration::from_secs(60),
            pause: Duration::from_secs(2),
            longest_pause: Duration::from_secs(300),
            mail: None,
            webhook: None,
        }
    }
}

/// Notices cannot be sent as they are set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no certificate.
    #[error("{0} holds no certificate in PEM form")]
    NoCertificate(PathBuf),
    /// An address is none.
    #[error("{text:?} is no mail address")]
    Address {
        /// As written.
        text: String,
        /// Why.
        source: lettre::address::AddressError,
    },
    /// TLS towards the mail server cannot be set up.
    #[error("TLS towards the mail server cannot be set up")]
    MailTls(#[source] lettre::transport::smtp::Error),
    /// The client of the webhook cannot be set up.
    #[error("the webhook's client cannot be set up")]
    Webhook(#[source] reqwest::Error),
    /// TLS towards the webhook cannot be set up.
    #[error("TLS towards the webhook cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A notice could not be sent by one way; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the mail could not be made: {0}")]
    Message(#[from] lettre::error::Error),
    #[error("the mail server did not take it: {0}")]
    Mail(#[from] lettre::transport::smtp::Error),
    #[error("the webhook did not take it: {0}")]
    Webhook(#[from] reqwest::Error),
    #[error("the notice could not be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Sends notices.
#[derive(Debug)]
pub struct Notices {
    options: Options,
    mail: Option<Mail>,
    webhook: Option<Webhook>,
}

impl Notices {
    /// Reads passwords and authorities; connects to nothing. `None` if no way is set.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(options: Options) -> Result<Option<Self>, SetupError> {
        let mail = options.mail.clone().map(Mail::new).transpose()?;
        let webhook = options.webhook.clone().map(Webhook::new).transpose()?;
        if mail.is_none() && webhook.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            options,
            mail,
            webhook,
        }))
    }

    /// Sends what is due, until `stop`.
    pub async fn run(self, exchange: Exchange, stop: CancellationToken) {
        let work = async {
            let mut changes = exchange.alert_changes();
            loop {
                changes.borrow_and_update();
                let now = exchange.info().now;
                let (due, wait) = self.due(exchange.untold_alerts(), now);
                if due.is_empty() {
                    let patience = wait.unwrap_or(Duration::from_secs(3_600));
                    // Early when something is raised or cleared.
                    let _ = tokio::time::timeout(patience, changes.changed()).await;
                    continue;
                }
                let notice = Notice::of(&self.options.name, &due);
                if self.send(&notice).await {
                    for alert in &due {
                        exchange.alert_told(alert).await;
                    }
                    self.remind(&exchange, &due).await;
                }
                tokio::time::sleep(self.options.hold_off).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    /// Reminds agencies that do not fetch, once an alert: it has been recorded as told.
    async fn remind(&self, exchange: &Exchange, told: &[Alert]) {
        let Some(mail) = self.mail.as_ref().filter(|mail| mail.contacts) else {
            return;
        };
        let retries = ExponentialBuilder::default()
            .with_min_delay(self.options.pause)
            .with_max_delay(self.options.longest_pause)
            .with_jitter()
            .with_max_times(2);
        for alert in told {
            let Some((agency, contact)) = exchange.contact_of(&alert.subject) else {
                continue;
            };
            let code = agency.main_code.clone();
            let Some(reminder) = Reminder::of(&self.options.name, alert, agency, &contact) else {
                continue;
            };
            if let Err(error) = (|| mail.remind(&reminder)).retry(retries).await {
                tracing::warn!(agency = code, %error, "an agency was not reminded by mail; look at its contact in the registry");
            }
        }
    }

    /// What is to be told now, and else how long to wait for the next. What has stood for half
    /// the hold-off goes with what is due: troubles come in company.
    fn due(&self, untold: Vec<Alert>, now: ledger::time::Ms) -> (Vec<Alert>, Option<Duration>) {
        let hold_off = self.options.hold_off;
        let stood = |alert: &Alert| match alert.cleared_at {
            Some(_) => hold_off,
            None => {
                let ms = u64::try_from(now.0 - alert.raised_at.0).unwrap_or(0);
                Duration::from_millis(ms)
            }
        };
        let longest = untold.iter().map(stood).max();
        if longest.is_none_or(|longest| longest < hold_off) {
            return (Vec::new(), longest.map(|longest| hold_off - longest));
        }
        let mut due = untold;
        due.retain(|alert| stood(alert) >= hold_off / 2);
        due.truncate(AT_ONCE);
        (due, None)
    }

    /// Sends by every way; whether one of them took it. A way that fails is tried again and
    /// again, but not for ever while another has taken it.
    async fn send(&self, notice: &Notice) -> bool {
        let retries = ExponentialBuilder::default()
            .with_min_delay(self.options.pause)
            .with_max_delay(self.options.longest_pause)
            .with_jitter()
            .with_max_times(6);
        let failed = |way: &'static str| {
            move |error: &SendError, pause: Duration| {
                tracing::info!(way, %error, ?pause, "a notice could not be sent; it is tried again");
            }
        };
        let mail = async {
            let mail = self.mail.as_ref()?;
            let sent = (|| mail.send(notice))
                .retry(retries)
                .notify(failed("mail"))
                .await;
            Some(told("mail", sent))
        };
        let webhook = async {
            let webhook = self.webhook.as_ref()?;
            let sent = (|| webhook.send(notice))
                .retry(retries)
                .notify(failed("webhook"))
                .await;
            Some(told("webhook", sent))
        };
        let (mail, webhook) = tokio::join!(mail, webhook);
        mail == Some(true) || webhook == Some(true)
    }
}

fn told(way: &str, sent: Result<(), SendError>) -> bool {
    match sent {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(way, %error, "a notice was not sent; look at [notices] in the configuration and at the server it names");
            false
        }
    }
}
