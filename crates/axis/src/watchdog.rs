//! The service manager's watchdog, fed by proof: a ping is sent only when the ledger has
//! committed something since the last one. The axis writes a heartbeat each minute, so an idle
//! axis proves itself too, and one whose commits hang is restarted.

use std::time::Duration;

use exchange::{Exchange, Info};
use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Feeds the watchdog until `stop`, if the service manager asked for it.
pub(crate) async fn feed(exchange: Exchange, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval((limit / 10).max(Duration::from_millis(100)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut proof = Proof::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if proof.renewed_by(&exchange.info()) {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

/// Tells the service manager something. Without one this does nothing.
pub(crate) fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// What was last seen of the ledger.
#[derive(Debug, Default)]
struct Proof {
    position: u64,
}

impl Proof {
    /// Whether the axis is as it should be: the ledger has moved, or it stands still on purpose
    /// (read-only after a disk fault, which a restart alone does not mend; the disk full).
    fn renewed_by(&mut self, info: &Info) -> bool {
        let moved = info.position > self.position;
        self.position = info.position;
        moved || info.read_only || info.space != "ok"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::time::Ms;

    fn info(position: u64, space: &'static str, read_only: bool) -> Info {
        Info {
            started_at: Ms(0),
            now: Ms(0),
            position,
            anchor: String::new(),
            index: "trusted",
            space,
            read_only,
            pauses: Vec::new(),
        }
    }

    #[test]
    fn only_a_ledger_that_moves_or_rests_on_purpose_feeds_the_watchdog() {
        let mut proof = Proof::default();
        assert!(proof.renewed_by(&info(5, "ok", false)));
        assert!(
            !proof.renewed_by(&info(5, "ok", false)),
            "a commit that hangs"
        );
        assert!(proof.renewed_by(&info(6, "ok", false)));
        assert!(proof.renewed_by(&info(6, "reserve", false)));
        assert!(proof.renewed_by(&info(6, "ok", true)));
    }
}
