//! What is measured: a daemon of its own with its systems, reached plain or by TLS.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use api::client::{Client, Credentials, Options, Pem};
use tempfile::TempDir;
use testkit::{Axis, Cli, Proc, Vhost};

/// Agencies' codes: the sender, and one receiver for each way to settle.
pub(super) const SENDER: &str = "000.00.01.H99";
const PLAIN: &str = "000.00.02.H99";
const ANSWERED: &str = "000.00.03.H99";

/// A daemon, an agency that sends and two that receive.
#[derive(Debug)]
pub(super) struct Ground {
    axis: Axis,
    /// Its data, away when it is dropped.
    _folder: TempDir,
    authority: Option<Pem>,
    sender: Credentials,
    plain: Credentials,
    answered: Credentials,
}

impl Ground {
    /// Starts a daemon on an empty folder under `place`. Limits that exist to protect it from
    /// one system are out of the way; everything else is as shipped.
    pub(super) fn lay(place: &Path, tls: bool, broker: Option<&Vhost>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("axis-bench-")
            .tempdir_in(place)
            .context("cannot make a folder for the daemon's data")?;
        let mut config = "[limits]\nmax_pushes_per_second = 1000000\n".to_owned();
        let mut authority = None;
        if tls {
            let pki = folder.path().join("pki");
            let words: [&std::ffi::OsStr; 3] = ["pki".as_ref(), "init".as_ref(), pki.as_ref()];
            let _ = Cli::new().run(words)?.ok()?;
            let path = |name: &str| toml::Value::from(pki.join(name).to_string_lossy().as_ref());
            config += &format!(
                "[grpc.tls]\ncert = {}\nkey = {}\n",
                path("server.pem"),
                path("server.key")
            );
            let name = pki.join("ca.pem");
            authority = Some(Pem {
                bytes: std::fs::read(&name)?,
                name,
            });
        }
        let mut axis = Axis::builder().data(folder.path().join("data"));
        if let Some(vhost) = broker {
            config += &format!("[bus]\nurl = \"{}\"\n", vhost.url);
            axis = axis.env("AXIS_BUS_PASSWORD", &vhost.password);
        }
        let axis = axis.config(config).start()?;

        let list = folder.path().join("agencies.csv");
        let mut csv = "code,code_2020,name,parent\n".to_owned();
        for (code, name) in [
            (SENDER, "Sở Nội vụ"),
            (PLAIN, "Sở Tài chính"),
            (ANSWERED, "Sở Y tế"),
        ] {
            csv += &format!("{code},,{name},\n");
        }
        File::create(&list)?.write_all(csv.as_bytes())?;
        let list = list.to_string_lossy();
        let _ = axis.operate(["registry", "import", &list])?.ok()?;
        let add = |id: &str, agency: &str, more: &[&str]| -> Result<Credentials> {
            let words = [&["system", "add", id, "--agency", agency, "--json"], more].concat();
            let said = axis.operate(words)?.ok()?.json()?;
            let key = said
                .first()
                .and_then(|said| said.get("key")?.as_str())
                .context("`axis system add` gave no key")?;
            Ok(Credentials::Key {
                system: id.to_owned(),
                key: key.to_owned(),
            })
        };
        let silent: &[&str] = &["--no-axis-acknowledgement"];
        Ok(Self {
            sender: add("sender", SENDER, silent)?,
            plain: add("plain", PLAIN, silent)?,
            answered: add("answered", ANSWERED, &[])?,
            axis,
            _folder: folder,
            authority,
        })
    }

    /// What it costs.
    pub(super) fn proc(&self) -> Proc {
        self.axis.proc()
    }

    /// The agency that receives, with the axis's 01 or without.
    pub(super) fn receiver(answered: bool) -> &'static str {
        if answered { ANSWERED } else { PLAIN }
    }

    /// A connection of the sender's.
    pub(super) async fn sender(&self) -> Result<Client> {
        self.connect(&self.sender).await
    }

    /// A connection of the receiver's, with the axis's 01 or without.
    pub(super) async fn taker(&self, answered: bool) -> Result<Client> {
        self.connect(if answered {
            &self.answered
        } else {
            &self.plain
        })
        .await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Client> {
        let at = self.axis.grpc();
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        let mut options = Options::new(format!("{scheme}://{at}"));
        options.credentials = credentials.clone();
        options.ca = self.authority.clone();
        Client::connect(&options).await.context("cannot connect")
    }
}
