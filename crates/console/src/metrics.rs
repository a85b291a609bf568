//! `/metrics`, for Prometheus.
//!
//! What happens (pushes, settles, syncs) is counted where it happens, through the `metrics`
//! facade; how things stand (what waits, what stands open) is read at the scrape, so that no
//! series outlives what it tells of. The table [`METRICS`] is closed: names, kinds, labels, and
//! what a high value means and what to do. `docs/operations.md` is generated from it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use exchange::{AlertKind, BusState, Exchange};
use metrics::gauge;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub use table::{Kind, METRICS, Metric, markdown};

mod table;

/// The lanes' words, in serving order.
const LANES: [&str; 4] = ["flash", "urgent", "status", "routine"];
/// How often a folder's size is asked for anew.
const SIZES: Duration = Duration::from_secs(30);
/// How often histograms are drained: until then every value waits in memory.
const UPKEEP: Duration = Duration::from_secs(5);
/// Bounds of durations, in seconds: from a fast disk to one that hangs.
const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Bounds of the records in a batch.
const RECORDS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 2_000.0];

/// The metrics of this process could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The bounds of a histogram are refused.
    #[error("the metrics cannot be set up")]
    Build(#[from] BuildError),
    /// This process counts for somebody else already.
    #[error("the metrics of this process were set up before")]
    Twice,
}

/// What this process is, for `axis_build_info`.
#[derive(Debug, Clone)]
pub struct Build {
    /// The version.
    pub version: String,
    /// The commit.
    pub commit: String,
}

/// The metrics of this process. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    counted: PrometheusHandle,
    build: Build,
    data: PathBuf,
    sizes: Arc<Mutex<Option<(Instant, Sizes)>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    journal: u64,
    payloads: u64,
    index: u64,
    free: u64,
    size: u64,
}

impl Metrics {
    /// Sets up what this process counts. Once in a process, before anything is counted;
    /// `data` is the data folder.
    ///
    /// # Errors
    /// See [`MetricsError`].
    pub fn install(build: Build, data: &Path) -> Result<Self, MetricsError> {
        let recorder = builder()?.build_recorder();
        let counted = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Twice)?;
        table::begin();
        Ok(Self {
            counted,
            build,
            data: data.to_owned(),
            sizes: Arc::default(),
        })
    }

    /// Drains what histograms have gathered, until `stop`: without it their memory grows from
    /// scrape to scrape, and for ever where nobody scrapes.
    pub async fn upkeep(self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(UPKEEP);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.counted.run_upkeep(),
            }
        }
    }

    /// All metrics in Prometheus's text form.
    pub async fn render(&self, exchange: &Exchange) -> String {
        let sizes = self.sizes().await;
        // A recorder for this answer alone: what is gone leaves no series behind.
        let Ok(builder) = builder() else {
            return self.counted.render();
        };
        let recorder = builder.build_recorder();
        metrics::with_local_recorder(&recorder, || {
            table::describe(Some(true));
            self.sample(exchange, sizes);
        });
        let mut text = self.counted.render();
        text.push_str(&recorder.handle().render());
        text
    }

    /// The sizes on disk; asking for them may take a while.
    async fn sizes(&self) -> Sizes {
        let known = *self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, sizes)) = known
            && at.elapsed() < SIZES
        {
            return sizes;
        }
        let data = self.data.clone();
        let asked = tokio::task::spawn_blocking(move || Sizes::of(&data)).await;
        let sizes = asked.unwrap_or_default();
        *self.sizes.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), sizes));
        sizes
    }

    fn sample(&self, exchange: &Exchange, sizes: Sizes) {
        let now = exchange.gauges();
        let Build { version, commit } = self.build.clone();
        gauge!("axis_build_info", "version" => version, "commit" => commit).set(1.0);
        gauge!("axis_start_time_seconds").set(seconds(now.started_at.0));
        gauge!("axis_ready").set(yes(now.serving));
        gauge!("axis_read_only").set(yes(now.read_only));
        gauge!("axis_journal_position").set(number(now.position));
        gauge!("axis_journal_bytes").set(number(sizes.journal));
        gauge!("axis_payload_bytes").set(number(sizes.payloads));
        gauge!("axis_index_bytes").set(number(sizes.index));
        gauge!("axis_index_lag_rows").set(number(now.index_lag as u64));
        gauge!("axis_disk_free_bytes").set(number(sizes.free));
        gauge!("axis_disk_size_bytes").set(number(sizes.size));
        gauge!("axis_disk_reserve").set(yes(now.reserve));
        gauge!("axis_leases").set(number(now.leases as u64));
        gauge!("axis_agencies").set(number(now.agencies as u64));
        gauge!("axis_systems").set(number(now.systems as u64));
        let bus = match now.bus {
            BusState::Embedded | BusState::Up => (true, false),
            BusState::Blocked => (true, true),
            BusState::Away => (false, false),
        };
        gauge!("axis_bus_up").set(yes(bus.0));
        gauge!("axis_bus_blocked").set(yes(bus.1));
        gauge!("axis_bus_connections").set(number(now.bus_connections));
        let streams: u32 = now.streams.iter().map(|(_, streams)| streams).sum();
        gauge!("axis_streams").set(f64::from(streams));
        let backlog = &now.backlog;
        for state in ["held", "pending", "fetched", "forwarding", "dead"] {
            let count = backlog.states.get(state).copied().unwrap_or_default();
            gauge!("axis_deliveries_open", "state" => state).set(number(count));
        }
        let mut oldest = [None; 4];
        for (system, waits) in &backlog.systems {
            let name = system.as_ref().map_or("", |system| system.as_str());
            for (lane, word) in waits.lanes.iter().zip(LANES) {
                let name = name.to_owned();
                gauge!("axis_deliveries_waiting", "system" => name, "lane" => word)
                    .set(number(lane.waiting));
            }
            for (lane, oldest) in waits.offered.iter().zip(&mut oldest) {
                *oldest = [*oldest, lane.oldest].into_iter().flatten().min();
            }
        }
        for (word, oldest) in LANES.iter().zip(oldest) {
            let age = oldest.map_or(0, |at| (now.now.0 - at.0).max(0));
            gauge!("axis_oldest_waiting_seconds", "lane" => *word).set(seconds(age));
        }
        let alerts = exchange.standing_alerts();
        for kind in AlertKind::ALL {
            let told = kind.told();
            let standing = alerts
                .iter()
                .filter(|alert| alert.kind == told.name)
                .count();
            let severity = told.severity.as_str();
            gauge!("axis_alerts", "kind" => told.name, "severity" => severity)
                .set(number(standing as u64));
        }
        for (file, not_after) in exchange.watched_certificates() {
            gauge!("axis_certificate_end_timestamp_seconds", "file" => file)
                .set(seconds(not_after.0));
        }
        for (system, not_after) in &now.key_ends {
            gauge!("axis_key_end_timestamp_seconds", "system" => system.clone())
                .set(seconds(not_after.0));
        }
        metrics_process::Collector::default().collect();
    }
}

impl Sizes {
    fn of(data: &Path) -> Self {
        let disk = rustix::fs::statvfs(data).ok();
        let of = |name: &str| folder(&data.join(name));
        Self {
            journal: of("journal"),
            payloads: of("payloads"),
            index: of("index"),
            free: disk
                .as_ref()
                .map_or(0, |disk| disk.f_bavail * disk.f_frsize),
            size: disk
                .as_ref()
                .map_or(0, |disk| disk.f_blocks * disk.f_frsize),
        }
    }
}

/// Bytes of the files in a folder and below; what vanishes meanwhile counts nothing.
fn folder(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(of) if of.is_dir() => folder(&entry.path()),
        Ok(of) => of.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), &RECORDS)
}

const fn yes(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

#[allow(clippy::cast_precision_loss)] // Prometheus has no other numbers
const fn number(count: u64) -> f64 {
    count as f64
}

/// Milliseconds as seconds.
#[allow(clippy::cast_precision_loss)] // exact until the year 287396
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

pub(crate) fn routes(exchange: &Exchange, metrics: &Metrics) -> Router {
    Router::new()
        .route("/metrics", get(answer))
        .with_state((exchange.clone(), metrics.clone()))
}

async fn answer(State((exchange, metrics)): State<(Exchange, Metrics)>) -> impl IntoResponse {
    let form = "text/plain; version=0.0.4; charset=utf-8";
    (
        [
            (header::CONTENT_TYPE, form),
            (header::CACHE_CONTROL, "no-store"),
        ],
        metrics.render(&exchange).await,
    )
}
