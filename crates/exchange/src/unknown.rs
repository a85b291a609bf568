//! Codes in packages that nobody registered (duty RG-09): the first time told at once, then
//! counted and summarised each minute, so that a sender with a wrong list fills no journal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use edxml::Package;
use ledger::Fact;
use ledger::event::UnknownSeen;
use ledger::publication::UnknownCode;
use ledger::registry::{Registry, canonical_code};
use ledger::time::Ms;

use crate::admission::{Admitted, Candidate};
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Peer};

/// Pairs of code and sender that are counted between two summaries; more are let go, as their
/// refusals are recorded anyway.
const COUNTED: usize = 4_096;

/// What was seen since the start, by role, code and sender.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<HashMap<Seen, Count>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Seen {
    as_sender: bool,
    /// As it is looked up.
    code: String,
    from: String,
}

/// Seen and not yet recorded.
#[derive(Debug, Clone, Copy)]
struct Count {
    first: Ms,
    last: Ms,
    count: u32,
}

impl Strangers {
    /// Counts one; what is to be recorded now, if it is new.
    fn see(&self, as_sender: bool, code: &str, from: &str, now: Ms) -> Option<UnknownSeen> {
        let short: String = code.trim().chars().take(64).collect();
        let seen = Seen {
            as_sender,
            code: canonical_code(&short),
            from: from.chars().take(64).collect(),
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&seen) {
            if count.count == 0 {
                count.first = now;
            }
            count.last = now;
            count.count = count.count.saturating_add(1);
            return None;
        }
        if counts.len() >= COUNTED {
            counts.retain(|_, count| count.count > 0);
            if counts.len() >= COUNTED {
                return None;
            }
        }
        let told = told(&seen, short, now, now, 1);
        let none = Count {
            first: now,
            last: now,
            count: 0,
        };
        counts.insert(seen, none);
        Some(told)
    }

    /// What was counted since it was last asked.
    fn counted(&self) -> Vec<UnknownSeen> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = counts.iter_mut().filter(|(_, count)| count.count > 0);
        waiting
            .map(|(seen, count)| {
                let Count { first, last, count } =
                    std::mem::replace(count, Count { count: 0, ..*count });
                told(seen, seen.code.clone(), first, last, count)
            })
            .collect()
    }
}

fn told(seen: &Seen, code: String, first: Ms, last: Ms, count: u32) -> UnknownSeen {
    UnknownSeen {
        code,
        as_sender: seen.as_sender,
        from: seen.from.clone(),
        first_ms: first.0,
        last_ms: last.0,
        count,
    }
}

impl Inner {
    /// Counts the codes of a package that made its admission fail, or were left out of it.
    pub(crate) fn see_unknown(
        &self,
        peer: &Peer,
        registry: &Registry,
        candidate: &Candidate,
        admitted: &Result<Admitted, Refusal>,
    ) {
        let concerns = match admitted {
            Ok(admitted) => !admitted.omitted.is_empty(),
            Err(refusal) => {
                let receiver = Name::UnknownReceiver.as_str();
                refusal.name == Name::ForeignSender
                    || refusal.name == Name::UnknownReceiver
                    || refusal.details.iter().any(|detail| detail.code == receiver)
            }
        };
        let Some(package) = candidate.reading.package.as_ref().filter(|_| concerns) else {
            return;
        };
        let now = self.now();
        let from = package.from().id.as_str();
        let is_unknown = |code: &str| !code.trim().is_empty() && registry.resolve(code).is_none();
        let mut seen = Vec::new();
        if is_unknown(from) {
            seen.extend(self.strangers.see(true, from, peer.system().as_str(), now));
        } else if let Package::Document(document) = package {
            let to = document.to.iter().map(|organ| organ.id.as_str());
            for code in to.filter(|code| is_unknown(code)) {
                seen.extend(self.strangers.see(false, code, from, now));
            }
        }
        self.record_unknown(seen);
    }

    /// Records what was counted since the last time.
    pub(crate) fn record_counted_unknown(&self) {
        self.record_unknown(self.strangers.counted());
    }

    fn record_unknown(&self, seen: Vec<UnknownSeen>) {
        for seen in seen {
            if !self.ledger.note(Fact::UnknownSeen(Box::new(seen))) {
                tracing::debug!("too much waits for the journal; an unknown code was not recorded");
            }
        }
    }
}

impl Exchange {
    /// The codes that were seen in packages and are not registered to this day, the most
    /// frequent first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn unknown_codes(&self) -> Result<Vec<UnknownCode>, Refusal> {
        let registry = self.inner.ledger.registry();
        let mut codes = self.inner.ask(|query| Ok(query.unknown_codes())).await?;
        codes.retain(|seen| registry.resolve(&seen.code).is_none());
        codes.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        Ok(codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_in_sum() {
        let strangers = Strangers::default();
        let told = strangers.see(false, " h99.77", "H99.1", Ms(1)).unwrap();
        assert_eq!((told.code.as_str(), told.count), ("h99.77", 1));
        assert_eq!(strangers.see(false, "H99.77", "H99.1", Ms(2)), None);
        assert_eq!(strangers.see(false, "H99.77", "H99.1", Ms(9)), None);
        let sum = strangers.counted();
        assert_eq!(
            (sum.len(), sum[0].count, sum[0].first_ms, sum[0].last_ms),
            (1, 2, 2, 9)
        );
        assert!(strangers.counted().is_empty());
        assert!(
            strangers.see(false, "H99.77", "H99.2", Ms(10)).is_some(),
            "another sender"
        );
        assert!(
            strangers.see(true, "H99.77", "H99.1", Ms(10)).is_some(),
            "another role"
        );
    }

    #[test]
    fn a_flood_of_codes_is_bounded() {
        let strangers = Strangers::default();
        for at in 0..COUNTED + 100 {
            let code = format!("H99.{at}");
            strangers.see(false, &code, "H99.1", Ms(1));
            strangers.see(false, &code, "H99.1", Ms(1));
        }
        assert_eq!(strangers.0.lock().unwrap().len(), COUNTED);
    }
}
