//! One run: sizes in turn, at each of them the contenders in alternation.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use api::client::{Client, Options};
use serde::Serialize;
use testkit::Proc;
use tokio::runtime::Runtime;

use super::Args;
use super::echo::Echo;
use super::figures::{self, Figures, Tally};
use super::ground::{Ground, SENDER};
use super::load::{self, Load};
use super::many::{self, Many};
use super::package::Packages;
use super::raw::{House, Rival, Swept};
use super::surroundings::{Disk, Surroundings};

/// A size of packages and how many are in flight.
struct Size {
    /// As it is shown; without the space as it is asked for.
    name: &'static str,
    bytes: usize,
    in_flight: usize,
    /// Seconds of a round.
    seconds: f64,
    /// Pushed in chunks, each over a stream of its own; the daemon's memory has a bound then.
    chunked: bool,
}

const fn size(name: &'static str, bytes: usize, in_flight: usize, seconds: f64) -> Size {
    Size {
        name,
        bytes,
        in_flight,
        seconds,
        chunked: bytes > api::PUSH_MAX,
    }
}

const SIZES: [Size; 4] = [
    size("8 KiB", 8 << 10, 64, 2.0),
    size("64 KiB", 64 << 10, 64, 2.0),
    size("1 MiB", 1 << 20, 16, 1.5),
    size("20 MiB", 20 << 20, 8, 2.0),
];

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    surroundings: Surroundings,
    rounds: u32,
    fdatasync_us: f64,
    /// What raw did at each of its settings; empty without a broker.
    raw_sweep: Vec<Swept>,
    figures: Vec<Figures>,
}

pub(super) fn run(runtime: &Runtime, args: &Args) -> Result<bool> {
    // The daemon must be that of these sources: built now, not inside a round.
    let _ = testkit::axis_binary()?;
    let place = args.disk.clone().unwrap_or_else(std::env::temp_dir);
    let surroundings = Surroundings::look()?;
    let rounds = if args.quick { 2 } else { args.rounds };
    println!("{surroundings}");
    println!(
        "rounds: {rounds} of each contender, in alternation; data under {}",
        place.display()
    );

    if args.many {
        return try_many(runtime, args, &place, surroundings);
    }
    let mut disk = Disk::under(&place)?;
    let house = args.bus.as_ref().map(|_| House::open(&place)).transpose()?;
    let mut all = Vec::new();
    let mut sweep = Vec::new();
    for size in &SIZES {
        let asked = size.name.replace(' ', "");
        if args.sizes.is_empty() || args.sizes.contains(&asked) {
            let measured = measure(
                runtime,
                args,
                size,
                rounds,
                &place,
                &mut disk,
                house.as_ref(),
            );
            let (figures, swept) = measured.with_context(|| format!("at {}", size.name))?;
            all.extend(figures);
            sweep.extend(swept);
        }
    }
    println!("\n{}", figures::table(&all));
    println!(
        "fdatasync of 64 KiB on this disk: {:.0} µs (median, taken between the rounds)",
        disk.sync_us()
    );
    let missed: Vec<_> = all.iter().flat_map(|figures| &figures.missed).collect();
    for missed in &missed {
        println!("missed: {missed}");
    }
    let good = missed.is_empty();
    if let Some(path) = &args.json {
        let report = Report {
            surroundings,
            rounds,
            fdatasync_us: disk.sync_us(),
            raw_sweep: sweep,
            figures: all,
        };
        write(path, &report)?;
    }
    // Short rounds show nothing about speed.
    Ok(good || args.quick)
}

/// What `--many --json` writes.
#[derive(Serialize)]
struct ManyReport {
    surroundings: Surroundings,
    many: Vec<Many>,
}

fn try_many(
    runtime: &Runtime,
    args: &Args,
    place: &Path,
    surroundings: Surroundings,
) -> Result<bool> {
    let many = runtime.block_on(many::try_all(place, args.quick))?;
    println!("\n{}", many::table(&many));
    if let Some(path) = &args.json {
        write(path, &ManyReport { surroundings, many })?;
    }
    Ok(true)
}

fn write(path: &Path, report: &impl Serialize) -> Result<()> {
    let file =
        std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(serde_json::to_writer_pretty(file, report)?)
}

/// Whose turn it is.
struct Contender {
    name: &'static str,
    proc: Proc,
    /// The broker, if it works for this contender.
    broker: Option<Proc>,
    work: Work,
    tally: Tally,
}

/// What a contender does in its turn.
enum Work {
    /// Echo: nobody takes.
    Answer(Packages, Client),
    /// An axis: who sends, who takes, and whether the axis answers with a 01.
    Deliver(Packages, Client, Client, bool),
    /// A broker alone.
    Raw(Rival),
}

impl Contender {
    async fn axis(
        name: &'static str,
        ground: &Ground,
        answered: bool,
        bytes: usize,
    ) -> Result<Self> {
        Ok(Self {
            name,
            proc: ground.proc(),
            broker: None,
            work: Work::Deliver(
                Packages::new(SENDER, Ground::receiver(answered), bytes)?,
                ground.sender().await?,
                ground.taker(answered).await?,
                answered,
            ),
            tally: Tally::default(),
        })
    }

    async fn round(&mut self, size: &Size, lasting: Duration) -> Result<()> {
        let load = |packages: &Packages| Load {
            packages: packages.clone(),
            in_flight: size.in_flight,
            chunked: size.chunked,
            lasting,
        };
        let own = Proc::own();
        if self.tally.rounds.is_empty() {
            self.proc.reset_peak()?;
            self.tally.idle_bytes = self.proc.resident_bytes()?;
        }
        let (server, driver) = (self.server_cpu_us()?, own.cpu_us()?);
        let round = match &self.work {
            Work::Answer(packages, sender) => load::answered(&load(packages), sender).await?,
            Work::Deliver(packages, sender, taker, statuses) => {
                load::delivered(&load(packages), sender, taker, *statuses).await?
            }
            Work::Raw(rival) => rival.round(lasting).await?,
        };
        self.tally.server_cpu_us += self.server_cpu_us()?.saturating_sub(server);
        self.tally.driver_cpu_us += own.cpu_us()?.saturating_sub(driver);
        self.tally.peak_bytes = self.tally.peak_bytes.max(self.proc.peak_bytes()?);
        self.tally.rounds.push(round);
        Ok(())
    }

    fn server_cpu_us(&self) -> Result<u64> {
        let broker = match &self.broker {
            Some(broker) => broker.cpu_us()?,
            None => 0,
        };
        Ok(self.proc.cpu_us()? + broker)
    }
}

fn measure(
    runtime: &Runtime,
    args: &Args,
    size: &Size,
    rounds: u32,
    place: &Path,
    disk: &mut Disk,
    house: Option<&House>,
) -> Result<(Vec<Figures>, Vec<Swept>)> {
    let echo = Echo::start()?;
    // A daemon for each: what one contender leaves behind must not slow another.
    let plain = Ground::lay(place, false, None)?;
    let statuses = (!size.chunked)
        .then(|| Ground::lay(place, false, None))
        .transpose()?;
    let tls = args
        .tls
        .then(|| Ground::lay(place, true, None))
        .transpose()?;

    // Packages over what a message may carry go by no broker.
    let house = house.filter(|_| !size.chunked);
    let amqp = house
        .map(|house| Ground::lay(place, false, Some(&house.vhost)))
        .transpose()?;

    let (measured, swept) = runtime.block_on(async {
        let mut contenders = vec![
            Contender {
                name: "echo",
                proc: echo.proc(),
                broker: None,
                work: Work::Answer(
                    Packages::new(SENDER, Ground::receiver(false), size.bytes)?,
                    Client::connect(&Options::new(format!("http://{}", echo.at))).await?,
                ),
                tally: Tally::default(),
            },
            Contender::axis("axis", &plain, false, size.bytes).await?,
        ];
        if let Some(statuses) = &statuses {
            contenders.push(Contender::axis("axis, 01 on", statuses, true, size.bytes).await?);
        }
        if let Some(tls) = &tls {
            contenders.push(Contender::axis("axis, TLS", tls, false, size.bytes).await?);
        }
        let lasting = if args.quick { 0.5 } else { size.seconds };
        let mut swept = Vec::new();
        if let (Some(house), Some(amqp)) = (house, &amqp) {
            let packages = Packages::new(SENDER, Ground::receiver(false), size.bytes)?;
            let short = Duration::from_secs_f64(if args.quick { 0.1 } else { 0.5 });
            let (rival, all) =
                Rival::at_its_best(house, size.name, packages, short, size.in_flight).await?;
            swept = all;
            contenders.push(Contender {
                name: "raw",
                proc: house.broker.proc()?,
                broker: None,
                work: Work::Raw(rival),
                tally: Tally::default(),
            });
            let mut axis = Contender::axis("axis, AMQP", amqp, false, size.bytes).await?;
            axis.broker = Some(house.broker.proc()?);
            contenders.push(axis);
        }
        for round in 0..rounds {
            for contender in &mut contenders {
                let _ = disk.try_it();
                let name = contender.name;
                contender
                    .round(size, Duration::from_secs_f64(lasting))
                    .await
                    .with_context(|| format!("{name}, round {}", round + 1))?;
            }
            eprint!(".");
        }
        eprintln!(" {}", size.name);
        anyhow::Ok((contenders, swept))
    })?;
    let tallies = measured.iter();
    let mut figures: Vec<_> = tallies
        .map(|contender| contender.tally.figures(size.name, contender.name))
        .collect();
    let streams = size.chunked.then_some(size.in_flight as u64);
    figures::compare(&mut figures, size.name == "8 KiB", streams);
    figures::compare_to_raw(&mut figures);
    Ok((figures, swept))
}
