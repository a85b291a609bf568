//! Many systems, all streaming over a broker: what it costs to have them, and how long they wait
//! when the broker comes back.
//!
//! Not a matter of speed but of size: a queue, a channel and a consumer for each system, and the
//! design that says "queues are per system" stands or falls with it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use api::client::{Client, Credentials, Event, Options};
use api::v1;
use serde::Serialize;
use testkit::{Axis, Broker, Proc, Vhost};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::package::Packages;

/// Agencies in each of the two shapes.
const AGENCIES: usize = 2_000;
/// Systems that share them.
const SYSTEMS: [usize; 2] = [50, 2_000];
/// How long one step may take before it counts as never.
const NEVER: Duration = Duration::from_secs(600);
/// Systems made, and streams opened, at a time.
const AT_A_TIME: usize = 16;
const SENDER: &str = "000.00.01.H99";
const SIZE: usize = 8 << 10;
const MIB: f64 = 1_048_576.0;

/// What one shape took.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Many {
    agencies: usize,
    systems: usize,
    /// Until every system's stream stood.
    attach_s: f64,
    /// The first document for each agency: from the first push until the last was settled. Each
    /// system's queue is made on the way.
    first_s: f64,
    /// The same again, over queues that are there.
    again_s: f64,
    /// The axis's queues at the broker, `axis.dead` and its like included.
    queues: usize,
    /// From the broker's start, after SIGKILL, until it takes clients.
    broker_boot_s: f64,
    /// From there until the first and the last of what was accepted meanwhile was settled: a
    /// document for each agency.
    first_served_s: f64,
    all_served_s: f64,
    /// Resident memory: before any system was there, with all streaming.
    broker_idle_mib: f64,
    broker_mib: f64,
    axis_idle_mib: f64,
    axis_mib: f64,
    /// The axis's threads and open files with all streaming.
    axis_files: usize,
}

/// Tries both shapes; data under `place`.
pub(super) async fn try_all(place: &Path, quick: bool) -> Result<Vec<Many>> {
    let mut all = Vec::new();
    for systems in SYSTEMS {
        // A quick run shows that the driver works.
        let shrink = if quick { 50 } else { 1 };
        let (agencies, systems) = (AGENCIES / shrink, (systems / shrink).max(2));
        eprintln!("many: {agencies} agencies in {systems} systems");
        let one = try_one(place, agencies, systems);
        all.push(one.await.with_context(|| format!("{systems} systems"))?);
    }
    Ok(all)
}

fn code(number: usize) -> String {
    format!("000.{:02}.{:02}.H99", number / 100 + 1, number % 100)
}

async fn try_one(place: &Path, agencies: usize, systems: usize) -> Result<Many> {
    let mut broker = Broker::start_in(place)?;
    let vhost = broker.vhost("many")?;
    let folder = tempfile::tempdir_in(place).context("cannot make a folder")?;
    let axis = start(&vhost, folder.path())?;
    let broker_idle_mib = mib(&broker.proc()?)?;
    let axis_idle_mib = mib(&axis.proc())?;

    let operator = Client::connect_admin(axis.data(), "bench", Some(NEVER)).await?;
    let (sender, all) = populate(&operator, axis.grpc(), agencies, systems).await?;
    let sender = Client::connect(&sender).await?;

    let (told, mut settled) = mpsc::unbounded_channel();
    let mut streams = JoinSet::new();
    let began = Instant::now();
    attach(all, &told, &mut streams).await?;
    let attach_s = began.elapsed().as_secs_f64();
    eprintln!("  attached after {attach_s:.1} s");

    let mut number = 0;
    let mut round = async || -> Result<f64> {
        let began = Instant::now();
        push(&sender, agencies, number).await?;
        number += agencies as u64;
        wait(&mut settled, &mut streams, agencies).await?;
        Ok(began.elapsed().as_secs_f64())
    };
    let first_s = round().await?;
    let again_s = round().await?;
    eprintln!("  first {first_s:.1} s, again {again_s:.1} s");
    let queues = broker.queues(&vhost.name)?.len();
    let (broker_mib, axis_mib) = (mib(&broker.proc()?)?, mib(&axis.proc())?);
    let files = std::fs::read_dir(format!("/proc/{}/fd", axis.pid()))?.count();

    broker.settle_queues()?;
    broker.kill9()?;
    push(&sender, agencies, number).await?;
    let began = Instant::now();
    // The driver's streams must not stall meanwhile.
    let broker = tokio::task::spawn_blocking(move || broker.restart().map(|()| broker)).await??;
    let broker_boot_s = began.elapsed().as_secs_f64();
    eprintln!("  the broker takes clients after {broker_boot_s:.1} s");
    let began = Instant::now();
    wait(&mut settled, &mut streams, 1).await?;
    let first_served_s = began.elapsed().as_secs_f64();
    wait(&mut settled, &mut streams, agencies - 1).await?;
    let all_served_s = began.elapsed().as_secs_f64();
    eprintln!("  served after {first_served_s:.1} s to {all_served_s:.1} s more");
    drop(streams);
    drop(broker);
    Ok(Many {
        agencies,
        systems,
        attach_s,
        first_s,
        again_s,
        queues,
        broker_boot_s,
        first_served_s,
        all_served_s,
        broker_idle_mib,
        broker_mib,
        axis_idle_mib,
        axis_mib,
        axis_files: files,
    })
}

fn start(vhost: &Vhost, folder: &Path) -> Result<Axis> {
    Axis::builder()
        .data(folder.join("data"))
        .config(format!(
            "[limits]\nmax_pushes_per_second = 1000000\n[bus]\nurl = \"{}\"\n",
            vhost.url
        ))
        .env("AXIS_BUS_PASSWORD", &vhost.password)
        // It is loud about the broker that is killed.
        .expect_log("")
        .start()
}

/// The agencies, and so many systems that share them evenly: how the sender and each of them
/// connects.
async fn populate(
    operator: &Client,
    grpc: std::net::SocketAddr,
    agencies: usize,
    systems: usize,
) -> Result<(Options, Vec<Options>)> {
    let mut csv = format!("code,code_2020,name,parent\n{SENDER},,Sở Nội vụ,\n");
    for number in 0..agencies {
        csv += &format!("{},,Cơ quan {number},\n", code(number));
    }
    let request = v1::ImportAgenciesRequest {
        csv: csv.into(),
        decision: "bench".to_owned(),
        ..v1::ImportAgenciesRequest::default()
    };
    let problems = operator.import_agencies(request).await?.problems;
    ensure!(problems.is_empty(), "{problems:?}");
    let options = |id: String, key: String| {
        let mut options = Options::new(format!("http://{grpc}"));
        options.credentials = Credentials::Key { system: id, key };
        options.timeout = Some(NEVER);
        options
    };
    let add = async |id: String, agencies: Vec<String>| -> Result<Options> {
        let request = v1::AddSystemRequest {
            id: id.clone(),
            agencies,
            no_axis_acknowledgement: true,
            ..v1::AddSystemRequest::default()
        };
        let key = operator.add_system(request).await?.key;
        Ok(options(id, key))
    };
    let sender = add("sender".to_owned(), vec![SENDER.to_owned()]).await?;
    let mut all = Vec::with_capacity(systems);
    for system in 0..systems {
        let own = (system..agencies).step_by(systems).map(code).collect();
        all.push(add(format!("s{system:04}"), own).await?);
    }
    Ok((sender, all))
}

/// Opens every system's stream; each tells what it has settled.
async fn attach(
    all: Vec<Options>,
    told: &mpsc::UnboundedSender<()>,
    streams: &mut JoinSet<Result<()>>,
) -> Result<()> {
    let mut opening = JoinSet::new();
    let mut left = all.into_iter();
    loop {
        while opening.len() < AT_A_TIME
            && let Some(options) = left.next()
        {
            opening.spawn(async move {
                let client = Client::connect(&options).await?;
                let mut stream = client.subscribe(50).await?;
                match stream.next().await? {
                    Some(Event::CaughtUp) => anyhow::Ok((client, stream)),
                    other => bail!("something waited already: {other:?}"),
                }
            });
        }
        let Some(opened) = opening.join_next().await else {
            return Ok(());
        };
        let (client, mut stream) = opened??;
        let told = told.clone();
        streams.spawn(async move {
            let _client = client;
            loop {
                match stream.next().await?.context("a stream ended")? {
                    Event::Delivery(header) => {
                        while stream.chunk().await?.is_some() {}
                        stream.sender().settle(v1::SettleRequest {
                            delivery_id: header.delivery_id,
                            round: header.round,
                            outcome: v1::Outcome::Acknowledged.into(),
                            ..v1::SettleRequest::default()
                        });
                        stream.sender().credit(1);
                    }
                    Event::Settled(settled) => {
                        ensure!(settled.changed, "settled twice");
                        told.send(())?;
                    }
                    Event::CaughtUp => {}
                    other => bail!("unexpected on a stream: {other:?}"),
                }
            }
        });
    }
}

/// A document for each agency.
async fn push(sender: &Client, agencies: usize, from: u64) -> Result<()> {
    let mut pushes = JoinSet::new();
    for agency in 0..agencies {
        let package = Packages::new(SENDER, &code(agency), SIZE)?.whole(from + agency as u64);
        let sender = sender.clone();
        pushes.spawn(async move { sender.push(package, v1::PushOptions::default()).await });
        while pushes.len() >= 64 {
            if let Some(pushed) = pushes.join_next().await {
                let _ = pushed??;
            }
        }
    }
    while let Some(pushed) = pushes.join_next().await {
        let _ = pushed??;
    }
    Ok(())
}

/// Waits until so many more are settled.
async fn wait(
    settled: &mut mpsc::UnboundedReceiver<()>,
    streams: &mut JoinSet<Result<()>>,
    count: usize,
) -> Result<()> {
    for done in 0..count {
        tokio::select! {
            one = tokio::time::timeout(NEVER, settled.recv()) => {
                let one = one.with_context(|| format!("{done} of {count} were settled, and no more"))?;
                one.context("nobody settles")?;
            }
            Some(ended) = streams.join_next() => {
                ended??;
                bail!("a stream ended");
            }
        }
    }
    Ok(())
}

fn mib(of: &Proc) -> Result<f64> {
    Ok(of.resident_bytes()? as f64 / MIB)
}

/// For people.
pub(super) fn table(all: &[Many]) -> String {
    let mut text = String::new();
    for one in all {
        let Many {
            agencies,
            systems,
            attach_s,
            first_s,
            again_s,
            queues,
            broker_boot_s,
            first_served_s,
            all_served_s,
            broker_idle_mib,
            broker_mib,
            axis_idle_mib,
            axis_mib,
            axis_files,
        } = one;
        text += &format!(
            "{agencies} agencies in {systems} systems, all streaming\n\
             \x20 streams attached          {attach_s:>8.1} s\n\
             \x20 first document to each    {first_s:>8.1} s  ({queues} queues at the broker)\n\
             \x20 another to each           {again_s:>8.1} s\n\
             \x20 broker killed: its boot   {broker_boot_s:>8.1} s\n\
             \x20   then the first served   {first_served_s:>8.1} s\n\
             \x20   and all served          {all_served_s:>8.1} s\n\
             \x20 broker's memory           {broker_idle_mib:>8.0} → {broker_mib:.0} MiB\n\
             \x20 axis's memory             {axis_idle_mib:>8.0} → {axis_mib:.0} MiB, {axis_files} files\n",
        );
    }
    text
}
