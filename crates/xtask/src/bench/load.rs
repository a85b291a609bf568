//! The load: a number of packages in flight for a while, each followed from its push to its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use api::client::{Client, Event, Subscription};
use api::v1;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::package::Packages;

/// Deliveries a stream is ready for: never the bottleneck.
const CREDIT: u32 = 500;

/// A round that makes no progress is broken; this is longer than any works.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers of packages, never used twice in one run.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// What is pushed, and how.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) packages: Packages,
    /// Packages between their push and their end at any time.
    pub(super) in_flight: usize,
    /// In chunks; else in one message.
    pub(super) chunked: bool,
    /// How long packages are pushed; those in flight then are waited for.
    pub(super) lasting: Duration,
}

/// What came of one round. Times in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    pub(super) packages: u64,
    pub(super) elapsed: Duration,
    /// From the push to its receipt.
    pub(super) receipt: Vec<u64>,
    /// From the push to the answer to the receiver's settle.
    pub(super) settled: Vec<u64>,
}

/// Packages pushed whose end has not come yet: since when.
type Started = Arc<Mutex<HashMap<u64, Instant>>>;

/// Pushes to something that only answers.
pub(super) async fn answered(load: &Load, sender: &Client) -> Result<Round> {
    let gate = Arc::new(Semaphore::new(load.in_flight));
    let begun = Instant::now();
    let pushed = push_all(load, sender, &gate, None).await?;
    Ok(Round {
        packages: pushed.len() as u64,
        elapsed: begun.elapsed(),
        receipt: pushed,
        settled: Vec::new(),
    })
}

/// Pushes to the axis while a receiver takes and settles. With `statuses` the axis answers each
/// settled document with a 01, and the round ends when the sender has settled these too.
pub(super) async fn delivered(
    load: &Load,
    sender: &Client,
    taker: &Client,
    statuses: bool,
) -> Result<Round> {
    let gate = Arc::new(Semaphore::new(load.in_flight));
    let came = Arc::new(Semaphore::new(0));
    let started = Started::default();
    let settled = Arc::new(Mutex::new(Vec::new()));

    let mut takers = JoinSet::new();
    let stream = open(taker).await?;
    let (ends, times, done) = (
        Arc::clone(&started),
        Arc::clone(&settled),
        Arc::clone(&gate),
    );
    let size = load.packages.size() as u64;
    let _ = takers.spawn(take(stream, Some(size), move |number| {
        let number = number.context("a delivery that was not pushed here")?;
        let since = lock(&ends).remove(&number);
        let since = since.context("a delivery came twice")?;
        lock(&times).push(micros(since.elapsed()));
        done.add_permits(1);
        Ok(())
    }));
    if statuses {
        let (stream, came) = (open(sender).await?, Arc::clone(&came));
        let _ = takers.spawn(take(stream, None, move |_| {
            came.add_permits(1);
            Ok(())
        }));
    }

    let begun = Instant::now();
    let all = async {
        let receipt = push_all(load, sender, &gate, Some(&started)).await?;
        let packages = receipt.len();
        let every = u32::try_from(load.in_flight)?;
        gate.acquire_many(every).await?.forget();
        if statuses {
            came.acquire_many(u32::try_from(packages)?).await?.forget();
        }
        anyhow::Ok((receipt, begun.elapsed()))
    };
    let (receipt, elapsed) = tokio::select! {
        all = tokio::time::timeout(load.lasting + PATIENCE, all) => {
            all.context("not every package came to its end")??
        }
        Some(ended) = takers.join_next() => {
            ended??;
            bail!("a receiver's stream ended")
        }
    };
    let settled = std::mem::take(&mut *lock(&settled));
    ensure!(settled.len() == receipt.len(), "pushed and settled differ");
    Ok(Round {
        packages: receipt.len() as u64,
        elapsed,
        receipt,
        settled,
    })
}

/// Pushes for the load's time, as many at once as `gate` lets; gives the times to the receipts.
/// With `started` a package's place is given back when it is settled, else with its receipt.
async fn push_all(
    load: &Load,
    sender: &Client,
    gate: &Arc<Semaphore>,
    started: Option<&Started>,
) -> Result<Vec<u64>> {
    let (begun, mut pushes) = (Instant::now(), JoinSet::new());
    let mut times = Vec::new();
    while begun.elapsed() < load.lasting {
        let place = tokio::time::timeout(PATIENCE, Arc::clone(gate).acquire_owned())
            .await
            .context("no package came to its end")??;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = match started {
            None => Some(place),
            Some(started) => {
                place.forget();
                let _ = lock(started).insert(number, Instant::now());
                None
            }
        };
        let (sender, load) = (sender.clone(), load.clone());
        let _ = pushes.spawn(async move {
            let since = Instant::now();
            let size = push(&load, &sender, number).await?;
            ensure!(size == load.packages.size() as u64, "not all bytes arrived");
            drop(place);
            Ok(micros(since.elapsed()))
        });
        while let Some(pushed) = pushes.try_join_next() {
            times.push(pushed??);
        }
    }
    while let Some(pushed) = pushes.join_next().await {
        times.push(pushed??);
    }
    Ok(times)
}

async fn push(load: &Load, sender: &Client, number: u64) -> Result<u64> {
    let options = v1::PushOptions::default();
    let receipt = if load.chunked {
        let (head, tail) = load.packages.pieces(number);
        let source = std::io::Cursor::new(head).chain(std::io::Cursor::new(tail));
        sender.push_stream(source, options).await?.receipt
    } else {
        sender.push(load.packages.whole(number), options).await?
    };
    ensure!(!receipt.duplicate, "a package was taken for another");
    Ok(receipt.size)
}

/// A stream that has nothing left from before.
async fn open(client: &Client) -> Result<Subscription> {
    let mut stream = client.subscribe(CREDIT).await?;
    match stream.next().await? {
        Some(Event::CaughtUp) => Ok(stream),
        other => bail!("something waited before the round began: {other:?}"),
    }
}

/// Takes and settles what comes, of `size` bytes if given; tells `end` the number of each
/// document that the axis says is settled. Ends only with an error.
async fn take(
    mut stream: Subscription,
    size: Option<u64>,
    end: impl Fn(Option<u64>) -> Result<()>,
) -> Result<()> {
    let mut held = HashMap::new();
    let mut owed = 0;
    loop {
        match stream.next().await?.context("the stream ended")? {
            Event::Delivery(header) => {
                let mut came = 0;
                while let Some(bytes) = stream.chunk().await? {
                    came += bytes.len() as u64;
                }
                ensure!(size.is_none_or(|size| size == came), "not all bytes came");
                let number = header
                    .document
                    .as_ref()
                    .and_then(|document| Packages::number_of(document.document_id.as_deref()?));
                let _ = held.insert(header.delivery_id.clone(), number);
                stream.sender().settle(v1::SettleRequest {
                    delivery_id: header.delivery_id,
                    round: header.round,
                    outcome: v1::Outcome::Acknowledged.into(),
                    reason: String::new(),
                    sha256: String::new(),
                });
                owed += 1;
                if owed == CREDIT / 4 {
                    stream.sender().credit(owed);
                    owed = 0;
                }
            }
            Event::Settled(settled) => {
                ensure!(settled.changed, "settled twice");
                let number = held.remove(&settled.delivery_id);
                end(number.context("settled what was not held")?)?;
            }
            Event::SettleRefused(refused) => bail!("a settle was refused: {}", refused.message_en),
            other => bail!("unexpected on a stream: {other:?}"),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
