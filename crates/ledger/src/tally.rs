//! Counts beside the open deliveries: per receiver and lane, kept with each change, so that a
//! question costs what it asks for and never a walk over what waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::event::DeliveryState;
use crate::id::AgencyId;
use crate::open::{OpenDelivery, Place};
use crate::time::Ms;

/// Lanes of a tally, in serving order: flash, urgent, status, routine.
pub const LANES: usize = 4;

/// Events of the last minute, in steps of ten seconds, by the times that the events carry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    /// The newest step counted: tens of seconds since 1970.
    step: i64,
    /// Events of that step, the one before it, …
    counts: [u32; Rate::STEPS],
}

impl Rate {
    const STEPS: usize = 6;
    const STEP_MS: i64 = 10_000;

    fn add(&mut self, at: Ms) {
        let step = at.0.div_euclid(Self::STEP_MS);
        let ahead = step.saturating_sub(self.step);
        match usize::try_from(ahead) {
            Ok(0) => self.counts[0] += 1,
            Ok(ahead) => {
                if ahead < Self::STEPS {
                    self.counts.rotate_right(ahead);
                    self.counts[..ahead].fill(0);
                } else {
                    self.counts.fill(0);
                }
                self.counts[0] = 1;
                self.step = step;
            }
            // A little late; or the clock went back, and what was counted says nothing now.
            Err(_) => match usize::try_from(ahead.saturating_neg()) {
                Ok(behind) if behind < Self::STEPS => self.counts[behind] += 1,
                _ => {
                    self.counts.fill(0);
                    self.counts[0] = 1;
                    self.step = step;
                }
            },
        }
    }

    /// How many there were in the minute up to `now`, to ten seconds.
    #[must_use]
    pub fn last_minute(&self, now: Ms) -> u64 {
        let ahead = now.0.div_euclid(Self::STEP_MS).saturating_sub(self.step);
        let gone = usize::try_from(ahead).unwrap_or(0).min(Self::STEPS);
        let counts = &self.counts[..Self::STEPS - gone];
        counts.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Open deliveries of one receiver in one lane.
#[derive(Debug, Clone, Default)]
pub struct LaneTally {
    /// Held with a reason.
    pub held: u64,
    /// Not fetched yet.
    pub pending: u64,
    /// Fetched and not settled; also those whose recall awaits its answer.
    pub fetched: u64,
    /// On their way to another axis.
    pub forwarding: u64,
    /// Given up after too many leases.
    pub dead: u64,
    /// Those that may be offered: pending or fetched, and not recalled.
    pub waiting: u64,
    /// Seconds of acceptance of those that wait, with how many each.
    accepted: BTreeMap<i64, u32>,
    /// Deliveries that became open.
    pub came: Rate,
    /// Deliveries that ended.
    pub left: Rate,
}

impl LaneTally {
    /// When the oldest that waits was accepted, to the second below.
    #[must_use]
    pub fn oldest(&self) -> Option<Ms> {
        let (second, _) = self.accepted.first_key_value()?;
        Some(Ms(second.saturating_mul(1_000)))
    }

    /// All that are open.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.held + self.pending + self.fetched + self.forwarding + self.dead
    }

    fn of_state(&mut self, state: DeliveryState) -> Option<&mut u64> {
        match state {
            DeliveryState::Held => Some(&mut self.held),
            DeliveryState::Pending => Some(&mut self.pending),
            DeliveryState::Fetched => Some(&mut self.fetched),
            DeliveryState::Forwarding => Some(&mut self.forwarding),
            DeliveryState::Dead => Some(&mut self.dead),
            _ => None,
        }
    }

    fn add(&mut self, open: &OpenDelivery) {
        if let Some(count) = self.of_state(open.state()) {
            *count += 1;
        }
        if open.is_deliverable() {
            self.waiting += 1;
            *self.accepted.entry(second(open)).or_default() += 1;
        }
    }

    fn take(&mut self, open: &OpenDelivery) {
        if let Some(count) = self.of_state(open.state()) {
            *count = count.saturating_sub(1);
        }
        if open.is_deliverable() {
            self.waiting = self.waiting.saturating_sub(1);
            if let Some(count) = self.accepted.get_mut(&second(open)) {
                *count -= 1;
                if *count == 0 {
                    self.accepted.remove(&second(open));
                }
            }
        }
    }

    fn counts(&self) -> [u64; 6] {
        [
            self.held,
            self.pending,
            self.fetched,
            self.forwarding,
            self.dead,
            self.waiting,
        ]
    }
}

/// The same counts; how fast they moved is no state.
impl PartialEq for LaneTally {
    fn eq(&self, other: &Self) -> bool {
        self.counts() == other.counts() && self.accepted == other.accepted
    }
}

const fn second(open: &OpenDelivery) -> i64 {
    open.accepted_at.0.div_euclid(1_000)
}

/// Open deliveries of one receiver, by lane in serving order.
pub type Tally = [LaneTally; LANES];

/// The counts of all receivers, and which deliveries are dead.
#[derive(Debug, Default, Clone)]
pub struct Tallies {
    by_receiver: HashMap<AgencyId, Box<Tally>>,
    dead: BTreeSet<Place>,
}

impl Tallies {
    /// Of one receiver; `None` if nothing was ever open for it.
    #[must_use]
    pub fn of(&self, receiver: AgencyId) -> Option<&Tally> {
        self.by_receiver.get(&receiver).map(|tally| &**tally)
    }

    /// Of every receiver that something was ever open for, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (AgencyId, &Tally)> {
        self.by_receiver.iter().map(|(id, tally)| (*id, &**tally))
    }

    /// The places of dead deliveries after `after`, in order.
    pub fn dead(&self, after: Option<Place>) -> impl Iterator<Item = &Place> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.dead.range((from, Unbounded))
    }

    /// A delivery stands at a place instead of what stood there. `at` is the time of the
    /// change; `None` for a state that is only taken over.
    pub(crate) fn changed(
        &mut self,
        place: Place,
        before: Option<&OpenDelivery>,
        now: Option<&OpenDelivery>,
        at: Option<Ms>,
    ) {
        if before.is_none() && now.is_none() {
            return;
        }
        let tally = self.by_receiver.entry(place.receiver).or_default();
        let lane = &mut tally[place.lane_number()];
        if let Some(before) = before {
            lane.take(before);
        }
        if let Some(now) = now {
            lane.add(now);
        }
        match (before, now, at) {
            (None, Some(_), Some(at)) => lane.came.add(at),
            (Some(_), None, Some(at)) => lane.left.add(at),
            _ => {}
        }
        let is_dead = |open: &OpenDelivery| open.state() == DeliveryState::Dead;
        match (before.is_some_and(is_dead), now.is_some_and(is_dead)) {
            (false, true) => {
                self.dead.insert(place);
            }
            (true, false) => {
                self.dead.remove(&place);
            }
            _ => {}
        }
    }
}

impl PartialEq for Tallies {
    fn eq(&self, other: &Self) -> bool {
        let none = Tally::default();
        let within = |one: &Self, two: &Self| {
            one.iter()
                .all(|(id, tally)| tally == two.of(id).unwrap_or(&none))
        };
        self.dead == other.dead && within(self, other) && within(other, self)
    }
}

impl Eq for Tallies {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets_after_a_minute_and_survives_a_clock_that_jumps() {
        let mut rate = Rate::default();
        let at = |seconds: i64| Ms(1_795_000_000_000 + seconds * 1_000);
        for second in [0, 5, 15, 59] {
            rate.add(at(second));
        }
        assert_eq!(rate.last_minute(at(59)), 4);
        assert_eq!(rate.last_minute(at(60)), 2);
        assert_eq!(rate.last_minute(at(75)), 1);
        assert_eq!(rate.last_minute(at(1_000)), 0);
        // A little late: into its own step.
        rate.add(at(41));
        assert_eq!(rate.last_minute(at(59)), 5);
        // A day back: what was counted is gone, and nothing is counted for ever.
        rate.add(at(-86_400));
        assert_eq!(rate.last_minute(at(-86_400)), 1);
        rate.add(at(0));
        assert_eq!(rate.last_minute(at(0)), 1);
    }
}
