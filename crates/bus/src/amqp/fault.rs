//! What a broker's error means to us.

use std::error::Error as _;

use lapin::ErrorKind;

use crate::{ConsumeError, PublishError, QueueError, Source};

use super::link::Cause;

/// What came of asking the broker for something.
#[derive(Debug)]
pub(super) enum Fault {
    /// It could not be asked, or did not answer: try again.
    Away(Source),
    /// What was named is not there.
    Missing(String),
    /// It is there, and not given: permission, other arguments.
    Refused(String),
}

impl Fault {
    pub(super) fn no_answer() -> Self {
        Self::Away("the broker gave no answer in time".into())
    }

    /// What an operator reads.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Away(source) => source.to_string(),
            Self::Missing(said) | Self::Refused(said) => said.clone(),
        }
    }
}

/// The code and the text of the broker's own refusal.
fn refusal(error: &lapin::Error) -> Option<(u16, String)> {
    match error.kind() {
        ErrorKind::ProtocolError(said) => Some((said.get_id(), said.get_message().to_string())),
        _ => None,
    }
}

impl From<lapin::Error> for Fault {
    fn from(error: lapin::Error) -> Self {
        match refusal(&error) {
            Some((404, said)) => Self::Missing(said),
            // Access refused, locked, made otherwise.
            Some((403 | 405 | 406, said)) => Self::Refused(said),
            _ => Self::Away(Box::new(error)),
        }
    }
}

impl From<Fault> for PublishError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away(source) => Self::Unavailable { source },
            Fault::Missing(reason) | Fault::Refused(reason) => Self::Refused { reason },
        }
    }
}

impl From<Fault> for ConsumeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away(source) => Self::Unavailable { source },
            Fault::Missing(reason) | Fault::Refused(reason) => Self::Refused { reason },
        }
    }
}

impl From<Fault> for QueueError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away(source) => Self::Unavailable { source },
            Fault::Missing(_) => Self::Missing,
            Fault::Refused(reason) => Self::Refused { reason },
        }
    }
}

/// Why a connection could not be made.
pub(super) fn cause(error: &lapin::Error) -> Cause {
    match refusal(error) {
        Some((403, said)) => Cause::Login { said },
        Some((530, said)) => Cause::Vhost { said },
        _ => {
            let said = told(error);
            // What TLS says comes as an error of reading or writing, and only its text tells.
            if said.contains("invalid peer certificate") {
                Cause::Untrusted { said }
            } else if said.contains("received fatal alert") {
                Cause::Unwelcome { said }
            } else {
                Cause::Unreachable { said }
            }
        }
    }
}

/// An error with what lies under it, as one line.
pub(super) fn told(error: &lapin::Error) -> String {
    if let Some((_, said)) = refusal(error) {
        return said;
    }
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
