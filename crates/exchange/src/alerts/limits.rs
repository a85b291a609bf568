//! From when on something is an alert.

use std::time::Duration;

/// From when on something is an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertLimits {
    /// How often the task looks around.
    pub every: Duration,
    /// How long a delivery may wait, by lane in serving order: flash, urgent, status, routine.
    pub oldest: [Duration; 4],
    /// How long deliveries may wait for a system that neither streams nor fetches.
    pub unattended: Duration,
    /// Working time after which an agency that has not fetched what waits for it is reminded of.
    pub unfetched: Duration,
    /// Working time after which a receiver that has not answered a recall is reminded of.
    pub unanswered: Duration,
    /// Working time after which a recall that its receiver has had and has not answered is
    /// delivered once more by the axis itself, and again each time it has passed; `None` =
    /// only an operator reminds.
    pub remind: Option<Duration>,
    /// Times the limit of its lane after which what waits in the lanes `flash` and `urgent` is
    /// told again, one step higher each time.
    pub escalate: Vec<u32>,
    /// How long a status may wait for its document.
    pub unmatched: Duration,
    /// How long before the hour of a document of hỏa tốc hẹn giờ it is said that it is not
    /// settled yet.
    pub due_lead: Duration,
    /// Free space of the data folder's disk, in percent, below which it is filling.
    pub disk_free_percent: u8,
    /// A write and sync of the journal that takes longer is slow.
    pub sync: Duration,
    /// Rows that may wait for the index.
    pub index_lag: usize,
    /// How long before its end a certificate, a revocation list or a key is said to be ending.
    pub ending: Duration,
    /// How far the wall clock may move against the time that passed.
    pub clock: Duration,
    /// How long after its last jump the wall clock is steady again.
    pub steady: Duration,
    /// How long the broker has been there again before it counts as back: what is shorter is one
    /// fault that comes in steps.
    pub bus_steady: Duration,
    /// How long the connection outlives a queue before that counts as deleted: a vhost that is
    /// deleted takes its queues first, one after the other.
    pub bus_outlived: Duration,
    /// After how long without another an alert about something that happened, and does not last,
    /// ends by itself: junk on the bus, a deleted queue.
    pub quiet: Duration,
}

impl Default for AlertLimits {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const DAY: u64 = 24 * 60 * MINUTE;
        Self {
            every: Duration::from_secs(5),
            oldest: [
                Duration::from_secs(10 * MINUTE),
                Duration::from_secs(30 * MINUTE),
                Duration::from_secs(4 * 60 * MINUTE),
                Duration::from_secs(DAY),
            ],
            unattended: Duration::from_secs(15 * MINUTE),
            unfetched: Duration::from_secs(8 * 60 * MINUTE),
            unanswered: Duration::from_secs(8 * 60 * MINUTE),
            remind: Some(Duration::from_secs(8 * 60 * MINUTE)),
            escalate: vec![2, 4],
            unmatched: Duration::from_secs(DAY),
            due_lead: Duration::from_secs(2 * 60 * MINUTE),
            disk_free_percent: 10,
            sync: Duration::from_secs(1),
            index_lag: 500_000,
            ending: Duration::from_secs(30 * DAY),
            clock: Duration::from_secs(5),
            steady: Duration::from_secs(60 * MINUTE),
            bus_steady: Duration::from_secs(3),
            bus_outlived: Duration::from_secs(10),
            quiet: Duration::from_secs(60 * MINUTE),
        }
    }
}
