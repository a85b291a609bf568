//! What can go wrong for a client.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use tonic::{Code, Status};

use crate::refused::{self, RefusalView};
use crate::server::TlsError;

/// A call did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The axis refused it, and says why.
    #[error("{0}")]
    Refused(Box<RefusalView>),
    /// The axis could not be reached, or the connection broke.
    #[error("cannot reach {target}: {reason}")]
    Unreachable {
        /// Where the call went.
        target: String,
        /// Why, with its causes.
        reason: String,
        /// The error itself.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// No answer within the time limit. Whether the call took effect is not known; sending a
    /// package again is safe.
    #[error("{target} has not answered within {after:?}")]
    TimedOut {
        /// Where the call went.
        target: String,
        /// The time limit.
        after: Duration,
    },
    /// The options cannot be used.
    #[error("{name}: {reason}")]
    Options {
        /// Which option: `server`, `ca`, `key`, `by`.
        name: &'static str,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The certificates given cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What was to be pushed could not be read; nothing was kept of it.
    #[error("cannot read what is to be pushed: {0}")]
    Source(#[source] io::Error),
    /// The content that came is not what its header says.
    #[error("the content of delivery {delivery_id} is damaged: its SHA-256 or size differs")]
    Damaged {
        /// The delivery.
        delivery_id: String,
    },
    /// An answer that axis.v1 does not have: something else answers there.
    #[error("{target} does not answer as an axis: {status}")]
    Protocol {
        /// Where the call went.
        target: String,
        /// The answer.
        status: Box<Status>,
    },
}

impl Error {
    /// Whether the axis was not reached or did not answer in time.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&RefusalView> {
        match self {
            Self::Refused(view) => Some(view),
            _ => None,
        }
    }

    pub(super) fn unreachable(
        target: &str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        let reason = reason(&*source);
        Self::Unreachable {
            target: target.to_owned(),
            reason,
            source,
        }
    }

    /// What a status means that came instead of an answer.
    pub(super) fn from_status(target: &str, limit: Option<Duration>, status: Status) -> Self {
        if let Some(view) = refused::view(&status) {
            return Self::Refused(Box::new(view));
        }
        // A status with a source was made on this side of the wire.
        let local = status.source().is_some();
        match (status.code(), limit) {
            (Code::DeadlineExceeded, Some(after)) => Self::TimedOut {
                target: target.to_owned(),
                after,
            },
            (Code::Cancelled, Some(after)) if status.message().contains("Timeout") => {
                Self::TimedOut {
                    target: target.to_owned(),
                    after,
                }
            }
            (Code::Unavailable, _) => Self::unreachable(target, status),
            _ if local => Self::unreachable(target, status),
            _ => Self::Protocol {
                target: target.to_owned(),
                status: Box::new(status),
            },
        }
    }
}

/// An error's text with those of its causes that say something new.
fn reason(error: &(dyn StdError + 'static)) -> String {
    // A status's own text repeats its code and metadata.
    let mut text = match error.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => error.to_string(),
    };
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    text
}
