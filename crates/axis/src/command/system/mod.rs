//! `axis system`: the connected systems, their keys and certificates, and whom they serve.

mod due;
mod limits;
mod service;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use api::client::Client;
use api::v1;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::door::PersonArgs;
use crate::failure::Failure;
use crate::{output, shape};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register a system and give it a key
    Add {
        /// 1 to 64 letters, digits, `.`, `_`, `-`
        id: String,
        /// An agency that the system serves (any of its codes); may be given more than once
        #[arg(long = "agency", value_name = "CODE", required = true, num_args = 1..)]
        agencies: Vec<String>,
        /// A name for people
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// How it takes its deliveries
        #[arg(long, value_enum, default_value_t = Attachment::Direct)]
        attachment: Attachment,
        /// Put packages up to this size into the messages of an amqp system [default: none]
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        inline_bytes: u64,
        #[command(flatten)]
        limits: limits::LimitArgs,
        /// The axis makes no status 01 for what this system settles
        #[arg(long = "no-axis-acknowledgement")]
        no_axis_acknowledgement: bool,
        /// No key: the system comes by certificate only
        #[arg(long, requires = "cert")]
        no_key: bool,
        /// Pin this client certificate (PEM or DER) to the system
        #[arg(long, value_name = "FILE")]
        cert: Option<PathBuf>,
        #[command(flatten)]
        secret: SecretArgs,
        #[command(flatten)]
        common: Common,
    },
    /// Have a system serve agencies, from a moment on; what waits for them follows
    Serve(service::ServeArgs),
    /// Who serves an agency, from when to when, also planned
    Served(service::ServedArgs),
    /// Keep a system out for a while: its next call is refused, its open streams are cut
    Suspend(service::SuspendArgs),
    /// Let a suspended system in again
    Resume(service::ResumeArgs),
    /// Keys, certificates and accounts that are old, or end soon
    Due(due::DueArgs),
    /// The systems
    List {
        #[command(flatten)]
        common: Common,
    },
    /// All that is known of one system: whom it serves, its limits, keys and certificates
    Show {
        /// The system
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Give a system limits of its own, or the axis's again
    Limits(limits::SetArgs),
    /// Give a system another key (the old ones stay valid), or pin a certificate
    Key {
        /// The system
        id: String,
        /// The keys (or certificates) before end so many seconds from now
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u64>,
        /// Pin this client certificate (PEM or DER) in place of making a key
        #[arg(long, value_name = "FILE")]
        cert: Option<PathBuf>,
        #[command(flatten)]
        secret: SecretArgs,
        #[command(flatten)]
        common: Common,
    },
    /// Revoke keys and certificates of a system: all, or one; its open streams are cut
    Revoke {
        /// The system
        id: String,
        /// Only the key with this number (`axis system list`)
        #[arg(long, value_name = "N", conflicts_with = "pin")]
        key: Option<u32>,
        /// Only the certificate with this public key hash
        #[arg(long, value_name = "SHA256")]
        pin: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct SecretArgs {
    /// Write the key to this new file, mode 0600, in place of showing it
    #[arg(long, value_name = "FILE")]
    save_key: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// One JSON object a line on stdout
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    door: PersonArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Attachment {
    /// Subscribe, Fetch and VXP
    Direct,
    /// Queues of the AMQP bus
    Amqp,
}

/// What `--json` prints of a new system or key. `key` is shown once, never again.
#[derive(Debug, Serialize)]
struct Added<'a> {
    system: &'a str,
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spki_sha256: Option<String>,
    /// Of an amqp system.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<Broker<'a>>,
}

/// What an amqp system is to be allowed on the broker.
#[derive(Debug, Serialize)]
struct Broker<'a> {
    vhost: &'a str,
    user: &'a str,
    configure: &'a str,
    write: &'a str,
    read: &'a str,
    commands: &'a [String],
}

impl<'a> From<&'a v1::BrokerAccess> for Broker<'a> {
    fn from(of: &'a v1::BrokerAccess) -> Self {
        Self {
            vhost: &of.vhost,
            user: &of.user,
            configure: &of.configure,
            write: &of.write,
            read: &of.read,
            commands: &of.commands,
        }
    }
}

/// Runs `axis system`.
///
/// # Errors
/// A refusal, or no axis there.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Add {
            id,
            agencies,
            name,
            attachment,
            inline_bytes,
            limits,
            no_axis_acknowledgement,
            no_key,
            cert,
            secret,
            common,
        } => {
            let certificate = cert.as_deref().map(read).transpose()?;
            secret.refuse_existing()?;
            let client = common.connect().await?;
            let request = v1::AddSystemRequest {
                id: id.clone(),
                name: name.unwrap_or_default(),
                agencies,
                attachment: match attachment {
                    Attachment::Direct => "direct",
                    Attachment::Amqp => "amqp",
                }
                .to_owned(),
                no_axis_acknowledgement,
                without_key: no_key,
                inline_bytes,
                max_streams: limits.max_streams.unwrap_or(0),
                max_bytes_in_flight: limits.max_bytes_in_flight.unwrap_or(0),
                max_pushes_per_second: limits.max_pushes_per_second.unwrap_or(0),
                max_open_deliveries: limits.max_open_deliveries.unwrap_or(0),
            };
            let answer = client.add_system(request).await?;
            let key = (!answer.key.is_empty()).then_some(answer.key);
            // The key first: it is shown once, and a refused certificate must not lose it.
            if let (Some(key), Some(file)) = (&key, &secret.save_key) {
                save(file, key)?;
            }
            let pinned = match certificate {
                Some(certificate) => match pin(&client, &id, certificate, None).await {
                    Ok(pinned) => Some(pinned),
                    Err(failure) => {
                        show(
                            &Added {
                                system: &id,
                                key: key.as_deref(),
                                key_id: None,
                                spki_sha256: None,
                                broker: answer.broker.as_ref().map(Broker::from),
                            },
                            &secret,
                            common.json,
                        )?;
                        eprintln!(
                            "axis: system {id} was added, but its certificate was not pinned; try: axis system key {id} --cert FILE"
                        );
                        return Err(failure);
                    }
                },
                None => None,
            };
            show(
                &Added {
                    system: &id,
                    key: key.as_deref(),
                    key_id: None,
                    spki_sha256: pinned,
                    broker: answer.broker.as_ref().map(Broker::from),
                },
                &secret,
                common.json,
            )
        }
        Command::Serve(args) => service::serve(args).await,
        Command::Served(args) => service::served(args).await,
        Command::Suspend(args) => service::suspend(args).await,
        Command::Resume(args) => service::resume(args).await,
        Command::Due(args) => due::due(args).await,
        Command::List { common } => list(&common).await,
        Command::Show { id, common } => limits::show(id, &common).await,
        Command::Limits(args) => limits::set(args).await,
        Command::Key {
            id,
            overlap,
            cert: Some(cert),
            common,
            ..
        } => {
            let certificate = read(&cert)?;
            let pinned = pin(&common.connect().await?, &id, certificate, overlap).await?;
            show(
                &Added {
                    system: &id,
                    key: None,
                    key_id: None,
                    spki_sha256: Some(pinned),
                    broker: None,
                },
                &SecretArgs { save_key: None },
                common.json,
            )
        }
        Command::Key {
            id,
            overlap,
            cert: None,
            secret,
            common,
        } => {
            secret.refuse_existing()?;
            let answer = common
                .connect()
                .await?
                .add_system_key(v1::AddSystemKeyRequest {
                    id: id.clone(),
                    overlap_seconds: overlap,
                })
                .await?;
            if let Some(file) = &secret.save_key {
                save(file, &answer.key)?;
            }
            show(
                &Added {
                    system: &id,
                    key: Some(&answer.key),
                    key_id: Some(answer.key_id),
                    spki_sha256: None,
                    broker: None,
                },
                &secret,
                common.json,
            )
        }
        Command::Revoke {
            id,
            key,
            pin,
            common,
        } => revoke(id, key, pin, &common).await,
    }
}

impl Common {
    /// Connects as the operator.
    ///
    /// # Errors
    /// No axis there.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        self.door.connect().await
    }
}

impl SecretArgs {
    /// Asked before the key is made: a key that cannot be kept would be lost.
    fn refuse_existing(&self) -> Result<(), Failure> {
        refuse_existing(self.save_key.as_deref())
    }
}

/// Refuses to write a key over a file that is there.
///
/// # Errors
/// It is there.
pub(crate) fn refuse_existing(file: Option<&Path>) -> Result<(), Failure> {
    match file {
        Some(file) if file.symlink_metadata().is_ok() => Err(Failure::refused(format!(
            "{} is there already; nothing was changed. Take another name",
            file.display()
        ))),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::file("read", path, &error))
}

/// Writes a key to a new file, mode 0600.
///
/// # Errors
/// It cannot be written.
pub(crate) fn save(path: &Path, key: &str) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(key.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        });
    written.map_err(|error| {
        Failure::refused(format!(
            "cannot write the key to {}: {error}. It exists all the same and nobody has it: revoke it and make another \
             (axis system list, axis system revoke ID --key N, axis system key ID)",
            path.display()
        ))
    })
}

async fn pin(
    client: &Client,
    id: &str,
    certificate: Vec<u8>,
    overlap: Option<u64>,
) -> Result<String, Failure> {
    let request = v1::PinCertificateRequest {
        id: id.to_owned(),
        certificate: certificate.into(),
        overlap_seconds: overlap,
    };
    Ok(client.pin_certificate(request).await?.spki_sha256)
}

fn show(added: &Added<'_>, secret: &SecretArgs, json: bool) -> Result<(), Failure> {
    if json {
        output::json(added)?;
        return Ok(());
    }
    let system = added.system;
    if let Some(pinned) = &added.spki_sha256 {
        output::line(format!(
            "Chứng thư đã gắn với hệ thống {system} (certificate pinned): {pinned}"
        ))?;
    }
    match (added.key, &secret.save_key) {
        (Some(_), Some(file)) => output::line(format!(
            "Khóa của hệ thống {system} nằm trong {file} (the key is there and nowhere else).\n\
             Gọi trục (calling the axis):  --system {system} --key-file {file}",
            file = file.display()
        ))?,
        (Some(key), None) => output::line(format!(
            "Khóa của hệ thống {system}, chỉ hiện một lần (the key, shown once):\n\
             \n    {key}\n\n\
             Gọi trục (calling the axis):  AXIS_KEY=…  --system {system}"
        ))?,
        (None, _) => {}
    }
    if let Some(broker) = &added.broker {
        output::line(format!(
            "\nHệ thống {system} nhận từ RabbitMQ với người dùng {user}; nhóm quản trị broker chạy\n\
             (it receives from RabbitMQ as the user {user}; the broker's team types):\n\n    {commands}",
            user = broker.user,
            commands = broker.commands.join("\n    ")
        ))?;
    }
    Ok(())
}

async fn list(common: &Common) -> Result<(), Failure> {
    let systems = common
        .connect()
        .await?
        .list_systems(v1::ListSystemsRequest {})
        .await?
        .systems;
    let systems: Vec<_> = systems.iter().map(shape::System::from).collect();
    if common.json {
        for system in &systems {
            output::json(system)?;
        }
        return Ok(());
    }
    if systems.is_empty() {
        output::line("Chưa có hệ thống nào (no systems yet): axis system add ID --agency CODE")?;
        return Ok(());
    }
    let rows = systems.into_iter().map(|system| {
        [
            system.id,
            system.name.unwrap_or_default(),
            system.agencies.join(", "),
            system.attachment,
            if system.suspended {
                "tạm dừng"
            } else {
                "hoạt động"
            }
            .to_owned(),
            system
                .keys
                .iter()
                .map(|key| key.id.to_string())
                .collect::<Vec<_>>()
                .join(", "),
            system
                .pins
                .iter()
                .map(|pin| output::shorten(&pin.spki_sha256, 13))
                .collect::<Vec<_>>()
                .join(", "),
        ]
    });
    output::line(output::table(
        [
            "Hệ thống",
            "Tên",
            "Cơ quan",
            "Kết nối",
            "Tình trạng",
            "Khóa",
            "Chứng thư",
        ],
        rows,
    ))?;
    Ok(())
}

/// What `--json` prints of a revocation.
#[derive(Debug, Serialize)]
struct Revoked<'a> {
    system: &'a str,
    keys: u32,
    pins: u32,
    streams_cut: u32,
}

async fn revoke(
    id: String,
    key: Option<u32>,
    pin: Option<String>,
    common: &Common,
) -> Result<(), Failure> {
    let request = v1::RevokeSystemRequest {
        id: id.clone(),
        key_id: key,
        spki_sha256: pin,
    };
    let answer = common.connect().await?.revoke_system(request).await?;
    if common.json {
        output::json(&Revoked {
            system: &id,
            keys: answer.keys,
            pins: answer.pins,
            streams_cut: answer.streams_cut,
        })?;
    } else {
        output::line(format!(
            "Hệ thống {id}: đã thu hồi {keys} khóa, {pins} chứng thư, ngắt {streams} kết nối \
             ({keys} keys and {pins} certificates revoked, {streams} streams cut).",
            keys = answer.keys,
            pins = answer.pins,
            streams = answer.streams_cut
        ))?;
    }
    Ok(())
}
