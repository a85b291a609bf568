//! `axis serve`: the daemon, from its arguments to its end.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{Listening, Running, ServeError, WebRunning};
use bus::Amqp;
use exchange::Exchange;
use sd_notify::NotifyState;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::VERSION;
use crate::config::{Config, LogFormat};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::watchdog::{self, tell};
use crate::{certificates, descriptors, log, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The data folder; made at the first start [default: data.dir of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration; deploy/axis.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON line on stdout when ready
    #[arg(long)]
    json: bool,
    /// The log as JSON objects
    #[arg(long)]
    log_json: bool,
}

/// What `--json` prints when the axis is ready.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    grpc: String,
    vxp: String,
    console: String,
    admin: String,
}

/// Runs `axis serve`.
///
/// # Errors
/// A configuration that cannot be used (exit 2); a port, a data folder or a disk that does not
/// let the axis run (exit 1).
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let config = Config::load(args.config.as_deref(), args.data.as_deref(), &|name| {
        std::env::var(name).ok()
    })
    .map_err(Failure::usage)?;
    log::start(
        &config.log.filter,
        if args.log_json {
            LogFormat::Json
        } else {
            config.log.format
        },
    )?;
    log::abort_on_panic();
    let mut signals = Signals::take()?;
    tracing::info!(version = VERSION, data = %config.data.dir.display(), "starting");

    let build = console::Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: env!("AXIS_COMMIT").to_owned(),
    };
    let metrics = console::Metrics::install(build, &config.data.dir)
        .map_err(|error| Failure::caused_by(&error))?;
    let notices =
        notice::Notices::new(config.notices.options()).map_err(
            |error| match Failure::caused_by(&error) {
                Failure::Refused(text) => Failure::usage(format!("[notices]: {text}")),
                other => other,
            },
        )?;
    let mut server = config.server_options();
    server.limits.connections = descriptors::room_for(server.limits.connections);
    let listening = api::bind(server).await.map_err(refused_to_serve)?;
    let web = api::bind_web(config.web_options())
        .await
        .map_err(|error| refused_listener("console", error))?;
    let vxp = api::bind_web(config.vxp_web_options())
        .await
        .map_err(|error| refused_listener("vxp", error))?;
    let broker = open_broker(&config)?;
    let mut options = config.exchange_options();
    if let Some((amqp, vhost)) = &broker {
        options.bus = Some(Arc::<Amqp>::clone(amqp));
        options.vhost.clone_from(vhost);
    }
    let exchange = tokio::select! {
        opened = Exchange::open(options, progress()) => opened.map_err(|error| Failure::caused_by(&error))?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting; nothing had been accepted");
            return Ok(());
        }
    };
    let stop = CancellationToken::new();
    let running = start(listening, &exchange, &stop).await?;
    let web = web.serve(console::router(&exchange, &metrics), stop.clone());
    if config.vxp.is_plain_elsewhere() {
        let from = &config.vxp.plain_http_from;
        tracing::info!(
            ?from,
            "VXP takes plain HTTP from these networks: what passes there can be read on the way"
        );
    }
    let vxp = vxp.serve(
        api::vxp::router(&exchange, config.vxp.options()),
        stop.clone(),
    );
    let upkeep = tokio::spawn(metrics.upkeep(stop.clone()));
    let certificates = tokio::spawn(certificates::watch(
        exchange.clone(),
        config.certificates(),
        stop.clone(),
    ));
    let notices = notices.map(|notices| tokio::spawn(notices.run(exchange.clone(), stop.clone())));
    announce(&running, vxp.address(), web.address(), args.json)?;
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
    let watchdog = tokio::spawn(watchdog::feed(exchange.clone(), stop.clone()));
    let letters = broker.map(|(amqp, _)| {
        let letters = amqp.inlet(LETTERS);
        tokio::spawn(api::letters::serve(exchange.clone(), letters, stop.clone()))
    });

    let signal = signals.next().await;
    tracing::info!(signal, "stopping: calls in flight may end");
    tell(&[NotifyState::Stopping]);
    stop.cancel();
    let drained = drain(
        running,
        [vxp, web],
        letters,
        &exchange,
        Duration::from_secs(config.grpc.drain_seconds),
    );
    tokio::select! {
        () = drained => tracing::info!("stopped"),
        signal = signals.next() => {
            tracing::warn!(signal, "stopped at once; every receipt given stands");
            std::process::exit(1);
        }
    }
    // They end with the token; a panic in one would have ended the process.
    let _ = tokio::join!(watchdog, upkeep, certificates);
    if let Some(notices) = notices {
        let _ = notices.await;
    }
    Ok(())
}

/// Letters of `amqp` systems in hand at a time, settles and packages each.
// The compiler unwraps.
const LETTERS: NonZeroU16 = NonZeroU16::new(64).unwrap();

/// The broker, if the configuration names one, and its vhost. It may be away: the connection is
/// made in the background.
///
/// # Errors
/// A configuration that cannot be used.
pub(crate) fn open_broker(config: &Config) -> Result<Option<(Arc<Amqp>, String)>, Failure> {
    let Some(broker) = config.bus.amqp().map_err(Failure::usage)? else {
        return Ok(None);
    };
    let vhost = broker.vhost().to_owned();
    tracing::info!(broker = broker.address(), "the queues are on a broker");
    let amqp = Amqp::open(broker).map_err(|error| Failure::usage(format!("bus: {error}")))?;
    Ok(Some((amqp, vhost)))
}

/// Says now and then how far the reading of the journal is.
fn progress() -> impl FnMut(u64, u64) + Send {
    const BETWEEN: Duration = Duration::from_secs(2);
    let mut told = Instant::now();
    move |position, last| {
        if told.elapsed() >= BETWEEN {
            told = Instant::now();
            tracing::info!(position, last, "reading the journal; not serving yet");
            tell(&[NotifyState::Status(&format!(
                "reading the journal: {position} of {last}"
            ))]);
        }
    }
}

async fn start(
    listening: Listening,
    exchange: &Exchange,
    stop: &CancellationToken,
) -> Result<Running, Failure> {
    match listening.serve(exchange.clone(), stop.clone()) {
        Ok(running) => Ok(running),
        Err(error) => {
            exchange.close().await;
            Err(refused_to_serve(error))
        }
    }
}

/// Lets the calls in flight end, then closes the exchange, each within a bound: a drain that
/// hangs must not keep the process.
async fn drain(
    running: Running,
    webs: [WebRunning; 2],
    letters: Option<JoinHandle<()>>,
    exchange: &Exchange,
    grace: Duration,
) {
    const CLOSE: Duration = Duration::from_secs(30);
    if tokio::time::timeout(grace + Duration::from_secs(5), running.stopped())
        .await
        .is_err()
    {
        tracing::warn!("some calls did not end in time and are cut");
    }
    // Health has told of the stop meanwhile.
    for web in webs {
        if tokio::time::timeout(grace, web.stopped()).await.is_err() {
            tracing::warn!("some requests did not end in time and are cut");
        }
    }
    if let Some(letters) = letters
        && tokio::time::timeout(grace, letters).await.is_err()
    {
        tracing::warn!("some letters were not finished in time; they stay in their queue");
    }
    if tokio::time::timeout(CLOSE, exchange.close()).await.is_err() {
        tracing::warn!("the ledger could not be closed in time; the next start reads its journal");
    }
}

fn announce(
    running: &Running,
    vxp: SocketAddr,
    console: SocketAddr,
    json: bool,
) -> Result<(), Failure> {
    let bound = running.bound();
    let admin = std::path::absolute(&bound.admin).unwrap_or_else(|_| bound.admin.clone());
    tracing::info!(grpc = %bound.grpc, %vxp, %console, admin = %admin.display(), "ready");
    if json {
        output::json(&Ready {
            ready: true,
            grpc: bound.grpc.to_string(),
            vxp: vxp.to_string(),
            console: console.to_string(),
            admin: admin.display().to_string(),
        })?;
    } else {
        output::line(format!(
            "Trục đã sẵn sàng (the axis is ready): gRPC {}, VXP {vxp}, HTTP {console}, {}",
            bound.grpc,
            admin.display()
        ))?;
    }
    Ok(())
}

fn refused_to_serve(error: ServeError) -> Failure {
    refused_listener("grpc", error)
}

/// What is wrong with the configuration is wrong use; the rest is this machine's.
fn refused_listener(section: &str, error: ServeError) -> Failure {
    match error {
        ServeError::PlainListener(_) => Failure::usage(format!("{section}.listen: {error}")),
        ServeError::Tls(_) => Failure::usage(format!("{section}.tls: {error}")),
        ServeError::Bind { .. } => Failure::refused(format!(
            "{section}.listen: {error}. Another program may use the port; port 0 picks a free one"
        )),
        error => Failure::caused_by(&error),
    }
}
