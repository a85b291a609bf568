//! Where the demo plays: an axis in a temporary folder, reached through its public API only, the
//! agencies with a system each, and their folders.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::client::{Client, Credentials, Event, Options};
use api::{Running, WebRunning, v1};
use bus::amqp::{Cause, Link, LinkState};
use exchange::Exchange;
use tempfile::{NamedTempFile, TempDir};
use tokio_util::sync::CancellationToken;

use super::sdk;
use crate::command::serve::open_broker;
use crate::config::Config;
use crate::failure::Failure;

/// A connected agency.
#[derive(Debug)]
pub(crate) struct Actor {
    /// The agency's code.
    pub(crate) code: String,
    /// Its name.
    pub(crate) name: String,
    /// Its system.
    pub(crate) system: String,
    /// The file with the system's key.
    pub(crate) key_file: PathBuf,
    /// Where its deliveries become files.
    pub(crate) inbox: PathBuf,
    /// Its connection.
    pub(crate) client: Client,
    /// It receives by a stream, over the queues, not by Fetch.
    streams: bool,
    /// It receives as the national SDK does, over VXP.
    vxp: Option<vxp::client::Client>,
}

/// The running axis and everybody on it.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Everything lies in here and goes with it.
    folder: TempDir,
    exchange: Exchange,
    running: Running,
    vxp: WebRunning,
    /// The operator's connection.
    pub(crate) operator: Client,
    /// The agencies.
    pub(crate) actors: Vec<Actor>,
}

/// The registry of an invented province: the lists of two as they were, and their merger, with
/// the day from which each is true and its decision.
const PROVINCE: [(&[u8], &str, &str); 3] = [
    (
        include_bytes!("../../../../../docs/examples/province/lam-hai-2024.csv"),
        "2024-01-01",
        "01/QĐ-UBND",
    ),
    (
        include_bytes!("../../../../../docs/examples/province/son-binh-2024.csv"),
        "2024-01-01",
        "02/QĐ-UBND",
    ),
    (
        include_bytes!("../../../../../docs/examples/province/sap-nhap-2025-07-01.csv"),
        "2025-07-01",
        "1/NQ-LH",
    ),
];

/// Longest time for an answer: everything is on this machine.
const PATIENCE: Duration = Duration::from_secs(30);

impl Stage {
    /// Starts the axis and connects the agencies.
    ///
    /// # Errors
    /// If the axis cannot start or refuses an agency, or the broker is not there.
    pub(crate) async fn open(
        agencies: &[(String, String)],
        bus: Option<&str>,
    ) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("axis-demo-").tempdir()?;
        // Of the environment only what belongs to the broker: the story is the same everywhere.
        let environment = |name: &str| match name {
            "AXIS_BUS" => bus.map(str::to_owned),
            "AXIS_BUS_PASSWORD" => std::env::var(name).ok(),
            _ => None,
        };
        let data = folder.path().join("axis-data");
        let mut config = Config::load(None, Some(&data), &environment).map_err(Failure::usage)?;
        config.grpc.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.vxp.listen = config.grpc.listen;
        let listening = api::bind(config.server_options())
            .await
            .map_err(Failure::refused)?;
        let vxp = api::bind_web(config.vxp_web_options())
            .await
            .map_err(Failure::refused)?;
        let mut options = config.exchange_options();
        if let Some((amqp, vhost)) = open_broker(&config)? {
            let mut link = amqp.link();
            let answered = link.wait_for(|link| link.is_up() || refusal(link).is_some());
            // Whether it answered or not: how it stands now tells.
            let _ = tokio::time::timeout(PATIENCE, answered).await;
            let now = link.borrow().clone();
            if !now.is_up() {
                let said = match now.state {
                    LinkState::Away { cause } => cause.to_string(),
                    LinkState::Blocked { reason } => reason,
                    _ => String::new(),
                };
                return Err(Failure::Unreachable(format!("--bus: {said}")));
            }
            options.bus = Some(amqp);
            options.vhost = vhost;
        }
        let exchange = Exchange::open(options, |_, _| {})
            .await
            .map_err(Failure::refused)?;
        let stop = CancellationToken::new();
        let running = listening
            .serve(exchange.clone(), stop.clone())
            .map_err(Failure::refused)?;
        let vxp = vxp.serve(api::vxp::router(&exchange, config.vxp.options()), stop);
        let operator = Client::connect_admin(&config.data.dir, "demo", Some(PATIENCE)).await?;
        let mut stage = Self {
            folder,
            exchange,
            running,
            vxp,
            operator,
            actors: Vec::new(),
        };
        stage.found_province().await?;
        stage.register(agencies).await?;
        for (code, name) in agencies {
            let mut actor = stage.connect(code, name).await?;
            actor.streams = bus.is_some();
            stage.actors.push(actor);
        }
        Ok(stage)
    }

    /// The invented province, before it and beside it nothing.
    async fn found_province(&self) -> Result<(), Failure> {
        for (list, effective, decision) in PROVINCE {
            let request = v1::ImportAgenciesRequest {
                csv: bytes::Bytes::from_static(list),
                effective: effective.to_owned(),
                decision: decision.to_owned(),
                ..v1::ImportAgenciesRequest::default()
            };
            self.import(request).await?;
        }
        Ok(())
    }

    /// Those that the samples name.
    async fn register(&self, agencies: &[(String, String)]) -> Result<(), Failure> {
        let mut csv = String::from("code,code_2020,name,parent\n");
        for (code, name) in agencies {
            csv += &format!("{code},,\"{}\",\n", name.replace('"', "\"\""));
        }
        let request = v1::ImportAgenciesRequest {
            csv: csv.into(),
            dry_run: false,
            decision: "demo".to_owned(),
            irregular: "as in the sample packages".to_owned(),
            ..v1::ImportAgenciesRequest::default()
        };
        self.import(request).await
    }

    async fn import(&self, request: v1::ImportAgenciesRequest) -> Result<(), Failure> {
        let imported = self.operator.import_agencies(request).await?;
        match imported.problems.first() {
            Some(problem) => Err(Failure::refused(format!(
                "row {}: {}",
                problem.row, problem.message_en
            ))),
            None => Ok(()),
        }
    }

    async fn connect(&self, code: &str, name: &str) -> Result<Actor, Failure> {
        let system = format!("qlvb.{code}");
        let request = v1::AddSystemRequest {
            id: system.clone(),
            name: format!("Phần mềm QLVB, {name}"),
            agencies: vec![code.to_owned()],
            ..v1::AddSystemRequest::default()
        };
        let key = self.operator.add_system(request).await?.key;
        let key_file = self
            .folder
            .path()
            .join("keys")
            .join(format!("{system}.key"));
        let vxp = (code == sdk::AGENCY)
            .then(|| sdk::connect(format!("http://{}", self.vxp.address()), &system, &key))
            .transpose()?;
        save_key(&key_file, &key).map_err(|error| Failure::file("write", &key_file, &error))?;
        let options = Options {
            server: self.server(),
            credentials: Credentials::Key {
                system: system.clone(),
                key,
            },
            ca: None,
            timeout: Some(PATIENCE),
        };
        let client = Client::connect(&options).await?;
        let inbox = self.folder.path().join("received").join(code);
        Ok(Actor {
            code: code.to_owned(),
            name: name.to_owned(),
            system,
            key_file,
            inbox,
            client,
            streams: false,
            vxp,
        })
    }

    /// The axis's address as clients take it.
    pub(crate) fn server(&self) -> String {
        format!("http://{}", self.running.bound().grpc)
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        self.running
            .bound()
            .admin
            .parent()
            .unwrap_or_else(|| self.folder.path())
    }

    /// The agency with this code.
    ///
    /// # Errors
    /// If the samples do not name it.
    pub(crate) fn actor(&self, code: &str) -> Result<&Actor, Failure> {
        let found = self.actors.iter().find(|actor| actor.code == code);
        found.ok_or_else(|| Failure::refused(format!("no agency {code} is connected")))
    }

    /// The receivers' folders by code.
    pub(crate) fn inboxes(&self) -> BTreeMap<String, PathBuf> {
        self.actors
            .iter()
            .map(|actor| (actor.code.clone(), actor.inbox.clone()))
            .collect()
    }

    /// Stops the axis; the folder goes.
    pub(crate) async fn close(self) {
        let Self {
            folder,
            exchange,
            running,
            vxp,
            operator,
            actors,
        } = self;
        // Open connections would be waited for.
        drop((operator, actors));
        running.stop().await;
        vxp.stopped().await;
        exchange.close().await;
        drop(folder);
    }
}

/// What waiting does not mend.
fn refusal(link: &Link) -> Option<&Cause> {
    match &link.state {
        LinkState::Away { cause } => match cause {
            Cause::Login { .. }
            | Cause::Vhost { .. }
            | Cause::Untrusted { .. }
            | Cause::Unwelcome { .. } => Some(cause),
            _ => None,
        },
        _ => None,
    }
}

fn save_key(path: &Path, key: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(key.as_bytes())
}

impl Actor {
    /// How it receives.
    pub(crate) const fn way(&self) -> &'static str {
        match (&self.vxp, self.streams) {
            (Some(_), _) => "VXP (SDK quốc gia)",
            (None, true) => "Subscribe",
            (None, false) => "Fetch",
        }
    }

    /// Receives what waits: each delivery becomes a new file, then it is settled. Returns the
    /// headers. A delivery that came twice would be two files.
    ///
    /// # Errors
    /// What the axis refuses, or the disk.
    pub(crate) async fn receive(&self) -> Result<Vec<v1::DeliveryHeader>, Failure> {
        if let Some(client) = &self.vxp {
            return sdk::receive(self, client).await;
        }
        if self.streams {
            return self.receive_by_stream().await;
        }
        self.fetch().await
    }

    /// Fetches all that waits, the most urgent first whatever carries the queues.
    pub(crate) async fn fetch(&self) -> Result<Vec<v1::DeliveryHeader>, Failure> {
        fs::create_dir_all(&self.inbox)?;
        let mut received = Vec::new();
        let request = v1::FetchRequest {
            max_deliveries: 100,
            ..v1::FetchRequest::default()
        };
        loop {
            let before = received.len();
            let mut deliveries = self.client.fetch(request.clone()).await?;
            while let Some(header) = deliveries.next().await? {
                let mut file = self.new_file(&header)?;
                while let Some(bytes) = deliveries.chunk().await? {
                    file.write_all(&bytes)?;
                }
                self.keep(file, &header).await?;
                received.push(header);
            }
            if received.len() == before {
                return Ok(received);
            }
        }
    }

    /// The same over the queues: a stream, until all that waited has come.
    async fn receive_by_stream(&self) -> Result<Vec<v1::DeliveryHeader>, Failure> {
        fs::create_dir_all(&self.inbox)?;
        let mut received = Vec::new();
        let mut stream = self.client.subscribe(100).await?;
        while let Some(event) = stream.next().await? {
            match event {
                Event::Delivery(header) => {
                    let mut file = self.new_file(&header)?;
                    while let Some(bytes) = stream.chunk().await? {
                        file.write_all(&bytes)?;
                    }
                    self.keep(file, &header).await?;
                    stream.sender().credit(1);
                    received.push(*header);
                }
                Event::CaughtUp => break,
                _ => {}
            }
        }
        Ok(received)
    }

    pub(super) fn new_file(&self, header: &v1::DeliveryHeader) -> std::io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .prefix(&header.package_id)
            .suffix(".edxml")
            .tempfile_in(&self.inbox)
    }

    /// Durable first, settled then.
    async fn keep(&self, file: NamedTempFile, header: &v1::DeliveryHeader) -> Result<(), Failure> {
        file.as_file().sync_all()?;
        file.keep().map_err(|error| Failure::from(error.error))?;
        let settle = v1::SettleRequest {
            delivery_id: header.delivery_id.clone(),
            round: header.round,
            outcome: v1::Outcome::Acknowledged as i32,
            reason: String::new(),
            sha256: header.sha256.clone(),
        };
        self.client.settle(settle).await?;
        Ok(())
    }
}
