//! `raw` in the bench: a bare AMQP publisher and consumer, at the setting at which they are
//! fastest. What is compared with it must not profit from a badly set rival.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use testkit::{Broker, Raw, RawRound, Setting, Vhost};

use super::figures::median;
use super::load::Round;
use super::package::Packages;

const CHANNELS: [usize; 3] = [1, 2, 4];
const PREFETCHES: [u16; 3] = [16, 64, 256];
const WINDOWS: [usize; 3] = [16, 64, 256];

/// Numbers of messages, never used twice in one run.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// How fast one setting was.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Swept {
    size: &'static str,
    channels: usize,
    prefetch: u16,
    window: usize,
    rate: f64,
}

/// The rival at its best.
#[derive(Debug)]
pub(super) struct Rival {
    raw: Raw,
    setting: Setting,
    packages: Packages,
}

/// The broker of a bench and its vhost.
#[derive(Debug)]
pub(super) struct House {
    pub(super) broker: Broker,
    pub(super) vhost: Vhost,
}

impl House {
    /// Its data lies under `place`, as the axis's does: each syncs to the same disk.
    pub(super) fn open(place: &Path) -> Result<Self> {
        let broker = Broker::start_in(place)?;
        let vhost = broker.vhost("bench")?;
        Ok(Self { broker, vhost })
    }

    fn url(&self) -> String {
        let Vhost { name, password, .. } = &self.vhost;
        format!(
            "amqp://{name}:{password}@127.0.0.1:{}/{name}",
            self.broker.port()
        )
    }
}

impl Rival {
    /// Tries every setting for a while, in three rounds, and takes the one with the best median.
    pub(super) async fn at_its_best(
        house: &House,
        size: &'static str,
        packages: Packages,
        lasting: Duration,
        most_in_flight: usize,
    ) -> Result<(Self, Vec<Swept>)> {
        let mut swept = Vec::new();
        let mut best: Option<(f64, Setting)> = None;
        for channels in CHANNELS {
            for prefetch in PREFETCHES {
                for window in WINDOWS {
                    // Large messages: what is in flight is bounded for the axis, too.
                    if window > most_in_flight * 4 {
                        continue;
                    }
                    let setting = Setting {
                        channels,
                        prefetch,
                        window,
                    };
                    let raw = Raw::open(&house.url(), "sweep", setting)
                        .await
                        .context("raw cannot connect")?;
                    let mut rates = Vec::new();
                    for _ in 0..3 {
                        let round = one(&raw, setting, lasting, &packages).await?;
                        rates.push(round.messages as f64 / round.elapsed.as_secs_f64());
                    }
                    let rate = median(&rates);
                    swept.push(Swept {
                        size,
                        channels,
                        prefetch,
                        window,
                        rate,
                    });
                    if best.is_none_or(|(fastest, _)| rate > fastest) {
                        best = Some((rate, setting));
                    }
                }
            }
        }
        let (_, setting) = best.context("no setting was tried")?;
        let raw = Raw::open(&house.url(), "rival", setting).await?;
        eprintln!("raw at {size}: {setting:?}");
        Ok((
            Self {
                raw,
                setting,
                packages,
            },
            swept,
        ))
    }

    pub(super) async fn round(&self, lasting: Duration) -> Result<Round> {
        let round = one(&self.raw, self.setting, lasting, &self.packages).await?;
        Ok(Round {
            packages: round.messages,
            elapsed: round.elapsed,
            receipt: round.confirmed,
            settled: round.acked,
        })
    }
}

async fn one(
    raw: &Raw,
    setting: Setting,
    lasting: Duration,
    packages: &Packages,
) -> Result<RawRound> {
    let first = NUMBER.load(Ordering::Relaxed);
    let round = raw
        .round(setting, lasting, first, |number| packages.whole(number))
        .await?;
    NUMBER.fetch_add(round.messages, Ordering::Relaxed);
    Ok(round)
}
