//! What stands beside a message's body: a few short text pairs.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The delivery's id, as a UUID.
pub const DELIVERY: &str = "axis-delivery";
/// The package's id, 24 hex digits.
pub const PACKAGE: &str = "axis-package";
/// The receiving agency: its code as text.
pub const AGENCY: &str = "axis-agency";
/// The delivery's round, from 1: a settle names it.
pub const ROUND: &str = "axis-round";
/// SHA-256 of the package's bytes, 64 hex digits: a settle names it.
pub const SHA256: &str = "axis-sha256";
/// The package's size in bytes.
pub const SIZE: &str = "axis-size";
/// `document` or `status`.
pub const KIND: &str = "axis-kind";
/// `flash`, `urgent`, `status` or `routine`.
pub const LANE: &str = "axis-lane";
/// The priority level, 0 to 4.
pub const LEVEL: &str = "axis-level";
/// `true` when the delivery was offered before.
pub const REDELIVERED: &str = "axis-redelivered";
/// Why a message lies in `axis.dead`.
pub const REASON: &str = "axis-reason";
/// From which queue a message came to `axis.dead`.
pub const QUEUE: &str = "axis-queue";
/// Who sent a message that lies in `axis.dead`: the user that the broker checked.
pub const USER: &str = "axis-user";
/// W3C trace context (`traceparent`), carried as it came.
pub const TRACEPARENT: &str = "traceparent";

/// A few text pairs beside a message's body: ids, trace context. Empty ones cost a pointer and
/// nothing else; copies share the pairs. A name stands once.
///
/// ```
/// use bus::headers::{self, Headers};
///
/// let headers = Headers::from_iter([(headers::PACKAGE, "0192f0c1a2b30000000000a1")]);
/// assert_eq!(headers.get("axis-package"), Some("0192f0c1a2b30000000000a1"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Pair>>>);

type Pair = (Cow<'static, str>, Box<str>);

impl Headers {
    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(own, value)| (own == name).then_some(value))
    }

    /// Every pair, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|pairs| pairs.iter())
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes of all names and values.
    #[must_use]
    pub fn size(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// These and one more; a pair of the same name is replaced.
    #[must_use]
    pub fn with(self, name: impl Into<Cow<'static, str>>, value: impl Into<Box<str>>) -> Self {
        let (name, value) = (name.into(), value.into());
        let mut pairs = self.0.map(Arc::unwrap_or_clone).unwrap_or_default();
        match pairs.binary_search_by(|(own, _)| own.cmp(&name)) {
            Ok(at) => pairs[at].1 = value,
            Err(at) => pairs.insert(at, (name, value)),
        }
        Self(Some(Arc::new(pairs)))
    }
}

impl<N: Into<Cow<'static, str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        pairs
            .into_iter()
            .fold(Self::default(), |headers, (name, value)| {
                headers.with(name, value)
            })
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once_and_empty_headers_cost_a_pointer() {
        let headers = Headers::from_iter([("b", "2"), ("a", "1"), ("a", "3")]);
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
        assert_eq!(headers.get("c"), None);
        assert_eq!(headers.size(), 4);
        assert!(Headers::default().is_empty() && !headers.is_empty());
        assert_eq!(size_of::<Headers>(), size_of::<usize>());
    }
}
