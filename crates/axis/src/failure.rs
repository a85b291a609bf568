//! Why a command did not do what it was asked to, and the exit code that tells scripts so.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The end of a command that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Everything that is to be said has been said on stdout: exit 1.
    Told,
    /// Refused, not found, damaged, or a fault of this machine: exit 1.
    Refused(String),
    /// Wrong use, also of the configuration: exit 2.
    Usage(String),
    /// The axis cannot be reached, or did not answer in time: exit 3.
    Unreachable(String),
}

impl Failure {
    /// Refused, in words that say what to do next.
    pub(crate) fn refused(text: impl fmt::Display) -> Self {
        Self::Refused(text.to_string())
    }

    /// Refused because of an error, told with its causes: what the system said stands deepest.
    pub(crate) fn caused_by(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let more = cause.to_string();
            if !text.contains(&more) {
                text += &format!(": {more}");
            }
            source = cause.source();
        }
        Self::Refused(text)
    }

    /// Wrong use, in words that say what is right.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::Usage(text.to_string())
    }

    /// An error of the file system, with the file that it is about.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::Refused(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// What is said of it; empty if all has been said.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Told => "",
            Self::Refused(text) | Self::Usage(text) | Self::Unreachable(text) => text,
        }
    }

    /// Prints the failure to stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self {
            Self::Told | Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        };
        if !matches!(self, Self::Told) {
            eprintln!("axis: {}", self.text());
        }
        ExitCode::from(code)
    }
}

impl From<io::Error> for Failure {
    /// For what is written to stdout: a reader that left needs no message.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Told
        } else {
            Self::Refused(error.to_string())
        }
    }
}
