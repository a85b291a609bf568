//! By mail, over SMTP.

use std::path::PathBuf;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use crate::reminder::Reminder;
use crate::{Notice, SendError, SetupError};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the way to the mail server is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Begun by STARTTLS, and nothing is sent if the server has none (port 587).
    Starttls,
    /// From the first byte (port 465).
    Tls,
    /// Not at all: for a mail server on this machine.
    None,
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct MailOptions {
    /// The server's name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// TLS.
    pub tls: MailTls,
    /// The authority of the server's certificate, PEM; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// The user, if the server asks for one.
    pub user: Option<String>,
    /// The file with the user's password.
    pub password_file: Option<PathBuf>,
    /// From whom.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// Whether an agency that does not fetch is reminded, too, if its contact in the registry
    /// names a mail address (duty EX-12).
    pub contacts: bool,
}

#[derive(Debug)]
pub(crate) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Whether agencies are reminded themselves.
    pub(crate) contacts: bool,
}

impl Mail {
    pub(crate) fn new(options: MailOptions) -> Result<Self, SetupError> {
        let address = |text: &String| -> Result<Mailbox, SetupError> {
            text.parse().map_err(|source| SetupError::Address {
                text: text.clone(),
                source,
            })
        };
        let from = address(&options.from)?;
        let to = options.to.iter().map(address).collect::<Result<_, _>>()?;
        let tls = || -> Result<TlsParameters, SetupError> {
            let mut builder = TlsParameters::builder(options.server.clone());
            if let Some(ca) = &options.ca {
                let pem = crate::webhook::read(ca)?;
                let root = Certificate::from_pem(&pem).map_err(SetupError::MailTls)?;
                builder = builder.add_root_certificate(root);
            }
            builder.build().map_err(SetupError::MailTls)
        };
        let tls = match options.tls {
            MailTls::Starttls => Tls::Required(tls()?),
            MailTls::Tls => Tls::Wrapper(tls()?),
            MailTls::None => Tls::None,
        };
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.server.clone())
                .port(options.port)
                .tls(tls)
                .timeout(Some(PATIENCE));
        if let (Some(user), Some(file)) = (&options.user, &options.password_file) {
            let password = crate::webhook::secret(file)?;
            builder = builder.credentials(Credentials::new(user.clone(), password.to_string()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
            to,
            contacts: options.contacts,
        })
    }

    pub(crate) async fn send(&self, notice: &Notice) -> Result<(), SendError> {
        self.post(&self.to, notice.subject(), notice.body()).await
    }

    /// Sends one letter to others than those who are told of alerts.
    pub(crate) async fn remind(&self, reminder: &Reminder) -> Result<(), SendError> {
        let to = Mailbox::new(None, reminder.to.clone());
        self.post(&[to], reminder.subject(), reminder.body()).await
    }

    async fn post(&self, to: &[Mailbox], subject: String, body: String) -> Result<(), SendError> {
        let mut builder = Message::builder().from(self.from.clone());
        for to in to {
            builder = builder.to(to.clone());
        }
        let message = builder
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body)?;
        self.transport.send(message).await?;
        Ok(())
    }
}
