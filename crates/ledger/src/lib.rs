//! Transactions of events and their meaning.
pub mod id;
pub mod time;

/// The events, as they stand in the journal.
#[allow(missing_docs, missing_debug_implementations, unreachable_pub, clippy::all)]
pub mod event {
    include!(concat!(env!("OUT_DIR"), "/axis.ledger.v1.rs"));
}
