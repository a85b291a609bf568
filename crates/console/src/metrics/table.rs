//! The closed table of metrics.

use std::fmt::Write as _;

use exchange::refusal::Name;
use metrics::Unit;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at 0 with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counted in buckets.
    Histogram,
}

/// One metric, as operators read it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, with the unit at the end.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels, each from a closed list or the registry's systems.
    pub labels: &'static str,
    /// What it is, what a high value means and what to do.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($kind:ident $name:literal [$labels:literal] $help:literal;)*) => {
        /// Every metric of the axis, beside `process_*`.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: Kind::$kind, labels: $labels, help: $help },)*
        ];
    };
}

metrics! {
    Gauge "axis_build_info" ["version, commit"] "Always 1; the labels say what runs.";
    Gauge "axis_start_time_seconds" [""] "When the ledger was opened, seconds since 1970. It changes with each start: look for crashes if it changes unasked.";
    Gauge "axis_ready" [""] "1 while the axis does what it is for; 0 while it is read-only or stopping. See /readyz.";
    Gauge "axis_read_only" [""] "1 after a failed write or sync of the journal: nothing is accepted until a restart. Look for disk errors.";
    Counter "axis_pushes_total" ["outcome"] "Pushes by outcome: accepted, duplicate, or the refusal's name (docs/errors.md). Many refusals of one name: call the sender.";
    Counter "axis_pushed_bytes_total" [""] "Bytes of the packages that were taken.";
    Counter "axis_unauthenticated_total" [""] "Calls with a wrong or revoked key or certificate. A rise: a system's key has ended, or somebody tries keys.";
    Counter "axis_served_total" ["via"] "Deliveries whose content was opened for a receiver: by subscribe, fetch, download, vxp, amqp.";
    Counter "axis_vxp_requests_total" ["operation, outcome"] "Requests of the VXP endpoint: answered (also where the answer is FAIL), refused (by HTTP status), PLAIN_HTTP (plain HTTP from a network that is not named: somebody is configured wrongly, or looks around).";
    Counter "axis_served_bytes_total" [""] "Bytes of the packages that were opened for receivers.";
    Counter "axis_settles_total" ["outcome"] "Settles: acknowledged, failed (the receiver cannot read it: call it), released, unchanged (settled before).";
    Counter "axis_statuses_total" ["code"] "Status packages accepted, by code 01 to 16.";
    Histogram "axis_journal_sync_seconds" [""] "Write and fdatasync of one batch. Every receipt waits for one: above 0.1 s look at the disk.";
    Histogram "axis_journal_batch_records" [""] "Records in one batch. It grows with load and with slow syncs; that is its purpose.";
    Gauge "axis_journal_position" [""] "The last synced record. It stands still only when nothing happens for a minute.";
    Gauge "axis_journal_bytes" [""] "Bytes of the journal's segments, the prepared one included.";
    Gauge "axis_payload_bytes" [""] "Bytes of large packages kept in files.";
    Gauge "axis_index_bytes" [""] "Bytes of the index. Much more than the journal's heads: `axis index rebuild` while the axis is stopped.";
    Gauge "axis_index_lag_rows" [""] "Rows that wait for the index. High for long: the disk is too slow; memory grows and the next start takes longer.";
    Gauge "axis_disk_free_bytes" [""] "Free bytes of the data folder's disk. At 0 nothing new is accepted.";
    Gauge "axis_disk_size_bytes" [""] "Size of the data folder's disk.";
    Gauge "axis_disk_reserve" [""] "1 while only the reserve is left: new packages are refused, the rest goes on. Add space.";
    Gauge "axis_deliveries_open" ["state"] "Open deliveries by state: held, pending, fetched, forwarding, dead. dead: `axis dead list`.";
    Gauge "axis_deliveries_waiting" ["system, lane"] "Deliveries that may be offered, by system and lane; an empty system stands for agencies that no system serves. Growing: `axis why SYSTEM`.";
    Gauge "axis_oldest_waiting_seconds" ["lane"] "Age of the oldest delivery that waits, by lane; 0 if none does; without what a pause keeps back. High in flash or urgent: call the receiver.";
    Gauge "axis_leases" [""] "Deliveries in a receiver's hands, not settled. High and standing: a receiver does not settle.";
    Gauge "axis_streams" [""] "Subscribe streams attached. A fall: receivers were cut off.";
    Gauge "axis_agencies" [""] "Agencies in the registry.";
    Gauge "axis_systems" [""] "Systems in the registry.";
    Gauge "axis_bus_up" [""] "1 while the bus is there; with queues in memory always. 0: packages are accepted, delivery by the broker waits.";
    Gauge "axis_bus_blocked" [""] "1 while the broker takes nothing because of its memory or disk alarm. Free the broker's memory or disk.";
    Gauge "axis_bus_connections" [""] "Connections to the broker made since the start. Growing: the network or the broker is not steady.";
    Counter "axis_bus_publishes_total" ["outcome"] "Messages published into receivers' queues: confirmed, refused (the broker has no such queue, or does not permit it: `axis alerts`), unavailable (away, or no confirm in time: sent again). Always 0 with queues in memory.";
    Histogram "axis_bus_confirm_seconds" [""] "From a publish to the broker's confirm. High: the broker's disk is slow or its queues are busy; receivers by the bus wait, admission does not.";
    Gauge "axis_alerts" ["kind, severity"] "Alerts that stand, by kind. `axis alerts` tells of what, and what to do.";
    Gauge "axis_certificate_end_timestamp_seconds" ["file"] "When a certificate of a listener ends, seconds since 1970.";
    Gauge "axis_key_end_timestamp_seconds" ["system"] "When the first key of a system ends, of the keys that have an end.";
}

/// Says what each metric is; `sampled`: only those that are read at the scrape, or only those
/// that are counted where they happen.
pub(super) fn describe(sampled: Option<bool>) {
    for metric in METRICS {
        let is_sampled = metric.kind == Kind::Gauge;
        if sampled.is_some_and(|sampled| sampled != is_sampled) {
            continue;
        }
        let unit = match metric.name {
            name if name.ends_with("_seconds") => Unit::Seconds,
            name if name.ends_with("_bytes") || name.ends_with("_bytes_total") => Unit::Bytes,
            _ => Unit::Count,
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
    if sampled == Some(true) {
        metrics_process::Collector::default().describe();
    }
}

/// Describes what is counted, and begins each series of a known outcome at 0: a rate needs a
/// first value, and a rule that watches something rare must not find nothing.
pub(super) fn begin() {
    describe(Some(false));
    for outcome in ["accepted", "duplicate"] {
        metrics::counter!("axis_pushes_total", "outcome" => outcome).absolute(0);
    }
    for name in Name::ALL {
        metrics::counter!("axis_pushes_total", "outcome" => name.as_str()).absolute(0);
    }
    for via in ["subscribe", "fetch", "download", "vxp", "amqp"] {
        metrics::counter!("axis_served_total", "via" => via).absolute(0);
    }
    for outcome in ["answered", "refused", "PLAIN_HTTP"] {
        metrics::counter!("axis_vxp_requests_total", "operation" => "none", "outcome" => outcome)
            .absolute(0);
    }
    for outcome in ["acknowledged", "failed", "released", "unchanged"] {
        metrics::counter!("axis_settles_total", "outcome" => outcome).absolute(0);
    }
    for outcome in ["confirmed", "refused", "unavailable"] {
        metrics::counter!("axis_bus_publishes_total", "outcome" => outcome).absolute(0);
    }
    let _ = metrics::histogram!("axis_bus_confirm_seconds");
    for code in 1..=16 {
        metrics::counter!("axis_statuses_total", "code" => format!("{code:02}")).absolute(0);
    }
    for name in [
        "axis_pushed_bytes_total",
        "axis_unauthenticated_total",
        "axis_served_bytes_total",
    ] {
        metrics::counter!(name).absolute(0);
    }
}

/// The table for `docs/operations.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text =
        String::from("| Metric | Labels | What it says, and what to do |\n|---|---|---|\n");
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| `{}` ({kind}) | {} | {} |",
            metric.name, metric.labels, metric.help
        );
    }
    text
}
