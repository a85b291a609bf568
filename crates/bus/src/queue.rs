//! Which queue: a system and a lane.

use std::fmt;
use std::sync::Arc;

/// A priority class (design §5). The order of the variants is the order of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Levels 4 and 3, and recalls.
    Flash,
    /// Levels 2 and 1.
    Urgent,
    /// Status packages.
    Status,
    /// Level 0.
    Routine,
}

impl Lane {
    /// Every lane, in the order of serving.
    pub const ALL: [Self; 4] = [Self::Flash, Self::Urgent, Self::Status, Self::Routine];

    /// Its name, as it ends a queue's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flash => "flash",
            Self::Urgent => "urgent",
            Self::Status => "status",
            Self::Routine => "routine",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One queue: what goes to one system in one lane.
///
/// Its text is the queue's name on a broker: `axis.system.<percent-encoded id>.<lane>`. All
/// but ASCII letters, digits, `-`, `_` and `~` is encoded, the dot too: else a broker's
/// permission for `axis.system.a.*` would open the queues of the system `a.b`.
///
/// ```
/// use bus::{Lane, Queue};
///
/// let queue = Queue::new("so-noi-vu.1", Lane::Status);
/// assert_eq!(queue.to_string(), "axis.system.so-noi-vu%2E1.status");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Queue {
    /// The id of the system that consumes it.
    pub system: Arc<str>,
    /// Its lane.
    pub lane: Lane,
}

impl Queue {
    /// The queue of `system` in `lane`.
    pub fn new(system: impl Into<Arc<str>>, lane: Lane) -> Self {
        Self {
            system: system.into(),
            lane,
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.{}", Encoded(&self.system), self.lane)
    }
}

/// What the names of all systems' queues begin with.
pub(crate) const PREFIX: &str = "axis.system.";

/// An id as it stands in names on a broker: see [`Queue`].
pub(crate) struct Encoded<'a>(pub(crate) &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The system and the lane that a name tells.
    fn read(name: &str) -> Option<(String, String)> {
        let (system, lane) = name.strip_prefix("axis.system.")?.split_once('.')?;
        let mut bytes = Vec::new();
        let mut rest = system.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let pair = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
            } else {
                bytes.push(byte);
            }
        }
        Some((String::from_utf8(bytes).ok()?, lane.to_owned()))
    }

    #[test]
    fn lanes_are_served_in_their_order() {
        assert!(Lane::ALL.is_sorted());
        assert_eq!(
            Lane::ALL.map(Lane::as_str),
            ["flash", "urgent", "status", "routine"]
        );
    }

    #[test]
    fn a_name_keeps_what_is_plain_and_encodes_the_rest() {
        assert_eq!(
            Queue::new("eoffice-2", Lane::Flash).to_string(),
            "axis.system.eoffice-2.flash"
        );
        assert_eq!(
            Queue::new("sở/1", Lane::Routine).to_string(),
            "axis.system.s%E1%BB%9F%2F1.routine"
        );
    }

    proptest! {
        #[test]
        fn a_name_tells_its_system_and_lane(system in ".{0,40}", lane in prop::sample::select(&Lane::ALL[..])) {
            let name = Queue::new(system.as_str(), lane).to_string();
            prop_assert!(name.is_ascii());
            prop_assert_eq!(read(&name), Some((system, lane.to_string())));
        }
    }
}
