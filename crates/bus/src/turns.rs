//! Whose turn it is among the lanes.

use crate::Lane;

/// How many messages of each lane a round serves, in the order of [`Lane::ALL`].
pub(crate) const SHARES: [u32; 4] = [8, 4, 2, 1];

/// The turns of the lanes: in the order of serving, with a share for the lower ones.
///
/// A round serves at most 8, 4, 2 and 1 messages of flash, urgent, status and routine. Within a
/// round the first lane that has a message and some of its share left is served; when only
/// lanes without share have messages, a new round begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns {
    left: [u32; 4],
}

impl Default for Turns {
    fn default() -> Self {
        Self { left: SHARES }
    }
}

impl Turns {
    /// The lanes in the order in which they are to be asked now: those with share left, then
    /// the others.
    #[must_use]
    pub fn order(&self) -> [Lane; 4] {
        let mut order = Lane::ALL;
        // Stable: within both groups by rank.
        order.sort_by_key(|lane| self.left[*lane as usize] == 0);
        order
    }

    /// A message of this lane was served; of a lane without share, the first of a new round.
    pub const fn served(&mut self, lane: Lane) {
        let at = lane as usize;
        if self.left[at] == 0 {
            self.left = SHARES;
        }
        self.left[at] -= 1;
    }

    /// No lane has anything: nobody has been passed over, and what comes first is served by
    /// rank, not by old debts.
    pub const fn rest(&mut self) {
        self.left = SHARES;
    }
}
