//! The two doors of an axis: over the network as a system or as a person with an account, over
//! the admin socket in the data folder as its operator.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::client::{Client, Credentials, Error, Options, Pem};

use exchange::refusal::Name;

use crate::failure::Failure;
use crate::refusal;

/// Where the data folder is looked for if nothing else is said.
const DATA: &str = "axis-data";

/// An axis that is reached over the network.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Over the network")]
pub(crate) struct RemoteArgs {
    /// The axis: http://HOST:PORT (loopback) or https://HOST:PORT
    #[arg(long, env = "AXIS_SERVER", value_name = "URL")]
    server: Option<String>,
    /// The authority of the axis's certificate, PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The file with the key of the system or account; without it the key is taken from AXIS_KEY
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// As a system.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "As a system")]
pub(crate) struct SystemArgs {
    /// The system's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
    /// The system's id
    #[arg(long, env = "AXIS_SYSTEM", value_name = "ID")]
    system: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// As the operator.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "As the operator")]
pub(crate) struct OperatorArgs {
    /// The data folder of the axis [default: ./axis-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Who does this, for the record [default: the login name, else the uid]
    #[arg(long, value_name = "PERSON")]
    by: Option<String>,
}

/// As a person with an account (axis access), from wherever the axis is reached.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "As a person with an account")]
pub(crate) struct AccountArgs {
    /// The account, by --server; its key is taken as a system's. What it does is recorded under
    /// its person's name
    #[arg(long = "as", env = "AXIS_ACCOUNT", value_name = "ACCOUNT")]
    account: Option<String>,
}

/// As a person: with an account over the network, else as the operator of the data folder.
#[derive(Debug, clap::Args)]
pub(crate) struct PersonArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    patience: Patience,
}

impl PersonArgs {
    /// What is asked next reads a list.
    pub(crate) fn for_a_list(&mut self) {
        self.patience.for_a_list();
    }

    /// Connects: `--data` wins over an account, which wins over the default data folder.
    ///
    /// # Errors
    /// Wrong arguments, a key that cannot be read, or no axis there.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        match &self.account.account {
            Some(_) if self.operator.by.is_some() && self.operator.data.is_none() => {
                Err(Failure::usage(
                    "--by names who sits at the axis's own machine; an account is its person's",
                ))
            }
            Some(account) if self.operator.data.is_none() => {
                self.remote.connect_as(account, self.patience).await
            }
            _ => self.operator.connect(self.patience).await,
        }
    }
}

/// As the operator, only looking: nothing is recorded, so nobody is named.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "As the operator")]
pub(crate) struct LookArgs {
    /// The data folder of the axis [default: ./axis-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl LookArgs {
    /// Connects to the daemon that runs on the data folder.
    ///
    /// # Errors
    /// No axis there.
    pub(crate) async fn connect(self, patience: Patience) -> Result<Client, Failure> {
        let operator = OperatorArgs {
            data: self.data,
            by: None,
        };
        operator.connect(patience).await
    }
}

/// How long to wait.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Patience {
    /// Seconds to wait for an answer; then exit code 3 [default: 30; 600 while a list is taken over
    /// or compared]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,
}

impl Patience {
    /// As a duration.
    pub(crate) const fn limit(self) -> Duration {
        Duration::from_secs(match self.timeout {
            Some(seconds) => seconds,
            None => 30,
        })
    }

    /// The national list has 120,000 rows.
    fn for_a_list(&mut self) {
        self.timeout.get_or_insert(600);
    }
}

/// Any door: with an account if one is named, as a system if a server is, else as the operator
/// of the data folder.
#[derive(Debug, clap::Args)]
pub(crate) struct EitherArgs {
    #[command(flatten)]
    system: SystemArgs,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(flatten)]
    patience: Patience,
}

impl EitherArgs {
    /// What is asked next reads a list.
    pub(crate) fn for_a_list(&mut self) {
        self.patience.for_a_list();
    }

    /// Connects: `--data` wins over `--as` and `--server`, which win over the default data
    /// folder.
    ///
    /// # Errors
    /// Wrong arguments, or no axis there.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let remote = &self.system.remote;
        match &self.account.account {
            _ if self.operator.data.is_some() => self.operator.connect(self.patience).await,
            Some(account) => remote.connect_as(account, self.patience).await,
            None if remote.server.is_some() => self.system.connect(self.patience).await,
            None => self.operator.connect(self.patience).await,
        }
    }
}

impl RemoteArgs {
    /// Connects as the person with this account.
    async fn connect_as(&self, account: &str, patience: Patience) -> Result<Client, Failure> {
        let server = self.server()?;
        let credentials = Credentials::Account {
            account: account.to_owned(),
            key: self.key(&format!("account {account}"))?,
        };
        self.connect(server, credentials, patience).await
    }

    fn server(&self) -> Result<&str, Failure> {
        let server = self.server.as_deref();
        server.ok_or_else(|| Failure::usage("which axis? Give --server URL, or set AXIS_SERVER"))
    }

    async fn connect(
        &self,
        server: &str,
        credentials: Credentials,
        patience: Patience,
    ) -> Result<Client, Failure> {
        let options = Options {
            server: server.to_owned(),
            credentials,
            ca: self.ca.as_deref().map(pem).transpose()?,
            timeout: Some(patience.limit()),
        };
        Client::connect(&options).await.map_err(Failure::from)
    }

    /// The key of `whom`, from the file or the environment.
    fn key(&self, whom: &str) -> Result<String, Failure> {
        let key = match &self.key_file {
            Some(file) => fs::read_to_string(file)
                .map_err(|error| Failure::file("read the key", file, &error))?,
            None => std::env::var("AXIS_KEY").map_err(|_| {
                Failure::usage(format!(
                    "the key of {whom} is missing: give --key-file FILE, or set AXIS_KEY"
                ))
            })?,
        };
        Ok(key.trim().to_owned())
    }
}

impl SystemArgs {
    /// Connects as the system.
    ///
    /// # Errors
    /// Wrong arguments, a key or certificate that cannot be read, or no axis there.
    pub(crate) async fn connect(&self, patience: Patience) -> Result<Client, Failure> {
        let server = self.remote.server()?;
        let credentials = self.credentials()?;
        self.remote.connect(server, credentials, patience).await
    }

    fn credentials(&self) -> Result<Credentials, Failure> {
        if let (Some(cert), Some(key)) = (&self.cert, &self.cert_key) {
            return Ok(Credentials::Certificate {
                chain: pem(cert)?,
                key: pem(key)?,
            });
        }
        let Some(system) = &self.system else {
            return Err(Failure::usage(
                "who calls? Give --system ID with --key-file FILE (or AXIS_SYSTEM with AXIS_KEY), --cert FILE with --cert-key FILE, or --as ACCOUNT",
            ));
        };
        Ok(Credentials::Key {
            system: system.clone(),
            key: self.remote.key(&format!("system {system}"))?,
        })
    }
}

impl OperatorArgs {
    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.data.as_deref().unwrap_or_else(|| Path::new(DATA))
    }

    /// Connects to the daemon that runs on the data folder.
    ///
    /// # Errors
    /// No daemon runs there.
    pub(crate) async fn connect(&self, patience: Patience) -> Result<Client, Failure> {
        self.connect_within(Some(patience.limit())).await.map_err(|error| match error {
            error if error.is_unreachable() => {
                let data = self.data().display();
                Failure::Unreachable(format!("no axis runs on the data folder {data} ({error}). Start it: axis serve --data {data}"))
            }
            error => error.into(),
        })
    }

    /// The same with a time limit of one's own, or none, and the error as it is.
    ///
    /// # Errors
    /// As the client has them.
    pub(crate) async fn connect_within(&self, limit: Option<Duration>) -> Result<Client, Error> {
        let by = self.by.clone().unwrap_or_else(person);
        Client::connect_admin(self.data(), &by, limit).await
    }
}

fn pem(path: &Path) -> Result<Pem, Failure> {
    let bytes = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(Pem {
        name: path.to_owned(),
        bytes,
    })
}

/// Who sits at the keyboard: the login's name also under sudo, else what the environment says,
/// else the uid.
fn person() -> String {
    let login = fs::read_to_string("/proc/self/loginuid")
        .ok()
        .and_then(|uid| {
            let users = fs::read_to_string("/etc/passwd").ok()?;
            name_of(uid.trim(), &users).map(str::to_owned)
        });
    let variable = |name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    };
    login
        .or_else(|| variable("LOGNAME"))
        .or_else(|| variable("USER"))
        .unwrap_or_else(|| rustix::process::getuid().as_raw().to_string())
}

/// The name of a uid in the text of a passwd file.
fn name_of<'a>(uid: &str, users: &'a str) -> Option<&'a str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            // It is starting or stopping: for a script, the same as one that is not there.
            Error::Refused(refusal) if refusal.name == Name::NotServing.as_str() => {
                Self::Unreachable(refusal::tell(&refusal))
            }
            Error::Refused(refusal) => Self::Refused(refusal::tell(&refusal)),
            Error::Protocol {
                ref target,
                ref status,
            } if not_offered(status) => Self::Refused(format!(
                "the axis at {target} does not offer this to systems; ask as its operator: --data DIR"
            )),
            Error::Protocol { .. } => Self::Unreachable(error.to_string()),
            error if error.is_unreachable() => Self::Unreachable(format!(
                "{error}. Does the axis run, and is the address right?"
            )),
            Error::Options { name, reason } => Self::Usage(format!("--{name}: {reason}")),
            other => Self::refused(other),
        }
    }
}

/// Whether an axis said that it has no such call, not some other server that knows no gRPC.
fn not_offered(status: &tonic::Status) -> bool {
    status.code() == tonic::Code::Unimplemented && !status.message().contains("header missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_named_by_its_uid() {
        let users = "root:x:0:0:root:/root:/bin/sh\nlan:x:1001:1001::/srv/lan:/bin/sh\nbroken\n";
        assert_eq!(name_of("1001", users), Some("lan"));
        assert_eq!(name_of("4294967295", users), None);
    }
}
