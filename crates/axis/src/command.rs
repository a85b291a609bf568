//! The commands, one file each, and the kinds of argument that several of them take.

pub(crate) mod access;
pub(crate) mod alerts;
pub(crate) mod bus;
pub(crate) mod calendar;
pub(crate) mod check;
pub(crate) mod dead;
pub(crate) mod demo;
pub(crate) mod duplicates;
pub(crate) mod history;
pub(crate) mod index;
pub(crate) mod pause;
pub(crate) mod pki;
pub(crate) mod queues;
pub(crate) mod recall;
pub(crate) mod receive;
pub(crate) mod redeliver;
pub(crate) mod registry;
pub(crate) mod remind;
pub(crate) mod remove;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod system;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod unmatched;
pub(crate) mod verify;
pub(crate) mod why;

use api::v1::PackageKind;
use clap::ValueEnum;
use ledger::time::Ms;

/// A kind of package as an argument.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KindArg {
    /// Documents, recalls, updates, replacements
    Document,
    /// Processing statuses
    Status,
}

impl From<KindArg> for PackageKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Document => Self::Document,
            KindArg::Status => Self::Status,
        }
    }
}

/// A date or time, checked here so that a wrong one is wrong use, and passed on as written.
fn time_argument(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    Ms::parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// The size of the next page, if so many are still wanted: the axis gives 1,000 at most.
fn page_of(left: usize) -> u32 {
    u32::try_from(left).unwrap_or(u32::MAX).min(1_000)
}
