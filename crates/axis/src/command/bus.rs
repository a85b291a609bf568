//! `axis bus`: what the broker team sets up for the AMQP bus. Both commands print and change
//! nothing.

use std::path::PathBuf;

use ::bus::amqp::{Access, AmqpConfig, definitions};
use api::v1;
use clap::Subcommand;

use crate::config::Config;
use crate::door::{OperatorArgs, Patience};
use crate::failure::Failure;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The axis's queues and exchanges as RabbitMQ definitions (`rabbitmqctl import_definitions`)
    Definitions {
        /// With the lanes of this system; may be given more than once
        #[arg(long = "system", value_name = "ID", conflicts_with = "all_systems")]
        systems: Vec<String>,
        /// With the lanes of every system that the running axis knows
        #[arg(long)]
        all_systems: bool,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        operator: OperatorArgs,
        #[command(flatten)]
        patience: Patience,
    },
    /// The broker user of an `amqp` system and what it may do, as commands to type
    Access {
        /// The system
        id: String,
        /// As one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The vhost [default: the one of bus.url, else /]
    #[arg(long, value_name = "NAME")]
    vhost: Option<String>,
    /// The daemon's configuration, for bus.url
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    fn vhost(&self) -> Result<String, Failure> {
        if let Some(vhost) = &self.vhost {
            return Ok(vhost.clone());
        }
        let config = Config::load(self.config.as_deref(), None, &|name| {
            std::env::var(name).ok()
        })
        .map_err(Failure::usage)?;
        Ok(AmqpConfig::new(&config.bus.url)
            .map_or_else(|_| "/".to_owned(), |amqp| amqp.vhost().to_owned()))
    }
}

/// Runs `axis bus`.
///
/// # Errors
/// A configuration that cannot be used; no axis to ask for its systems.
pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Definitions {
            mut systems,
            all_systems,
            place,
            operator,
            patience,
        } => {
            let vhost = place.vhost()?;
            if all_systems {
                let known = operator
                    .connect(patience)
                    .await?
                    .list_systems(v1::ListSystemsRequest {})
                    .await?
                    .systems;
                systems.extend(known.into_iter().map(|system| system.id));
            }
            let definitions = definitions(&vhost, &systems);
            output::line(serde_json::to_string_pretty(&definitions).map_err(Failure::refused)?)?;
        }
        Command::Access { id, json, place } => {
            let access = Access::of(&id, &place.vhost()?);
            if json {
                output::json(&access)?;
            } else {
                for command in access.commands() {
                    output::line(command)?;
                }
            }
        }
    }
    Ok(())
}
