//! The exchange: admission, delivery, status feedback, recall, the registry, and what
//! operators ask. It knows rules, not protocols: gRPC, VXP and the command line stand in
//! front of it.
//!
//! What it promises:
//!
//! * A [`Receipt`] is true: the package is durable, each receiver has its delivery.
//! * A refusal has a name from one closed table ([`refusal::Name`]), says what, where and what
//!   to do, and leaves nothing of the package behind.
//! * Content leaves only for the receiver's system, after `fetched` is durable, and never
//!   after a recall; bytes that do not match their hash do not leave.
//! * The same push answers alike, however often it comes.
//!
//! ```
//! use exchange::{Credentials, Exchange, ImportOrder, Operator, Options};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let mut options = Options::new(folder.path().join("data"));
//! # options.segment_size = 1 << 20;
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let exchange = Exchange::open(options, |_, _| {}).await?;
//! let operator = Operator { person: "Lan".to_owned(), ..Operator::default() };
//! let csv = "code,code_2020,name,parent\n000.00.01.H99,H99.01,Sở Nội vụ,\n";
//! let imported = exchange.import_agencies(&operator, csv.into(), ImportOrder::default()).await?;
//! assert_eq!(imported.added, 1);
//! exchange.close().await;
//! # Ok(())
//! # })
//! # }
//! ```

mod accounts;
mod admission;
mod agencies;
mod agency_list;
mod alerts;
pub mod calendar;
mod cause;
mod changes;
mod clocks;
mod closing;
mod dead;
mod delivery;
mod depth;
mod draft;
mod gauges;
mod history;
mod idle;
mod keys;
mod lease;
mod limit;
mod made;
mod operations;
mod oversight;
mod pause;
mod publications;
mod push;
mod queues;
mod reasons;
mod recall;
pub mod refusal;
mod registrar;
mod relay;
mod reminders;
mod removal;
mod requests;
mod rotation;
mod rules;
mod secrecy;
mod service;
mod sought;
mod status;
mod subscription;
mod systems;
mod types;
mod unknown;
mod waiting;
mod watch;
mod why;
mod withdrawal;

pub use accounts::{AccountRecord, NewAccount, Role};
pub use alerts::{
    Alert, AlertLimits, AlertPage, Backlog, Kind as AlertKind, LaneBacklog, Severity,
    SystemBacklog, Told, Words,
};
pub use cause::{About, Cause, CauseRow, Turn};
pub use changes::ChangeRecord;
pub use clocks::ClockLimits;
pub use closing::{ChildAgencies, Closing, OpenDeliveries};
pub use dead::{DeadDelivery, Revival, Revived};
pub use delivery::{Content, Offer};
pub use gauges::{BusState, Gauges};
pub use idle::IdleAgency;
pub use keys::KeyFileError;
pub use limit::Turn as RequestTurn;
pub use oversight::{NumberSearch, NumberedDocument, RepeatedNumber, UnmatchedStatus};
pub use pause::Pause;
pub use publications::{Compared, Edition, Publication};
pub use push::Upload;
pub use queues::{Figures, GroupBy, QueueLine, QueueState, QueuesAsked};
pub use reasons::{CLASSES as REASON_CLASSES, ReasonClass, ReasonOptions, reason_word};
pub use recall::{Recall, Recalled};
pub use registrar::{ActRecord, AgencyEdit, AgencyFacts, Order, Successor};
pub use reminders::{Owing, Remind, Reminded, Reminder};
pub use removal::Removal;
pub use rules::RuleOptions;
pub use secrecy::{SecrecyField, SecrecyOptions};
pub use service::{Caller, Credentials, Exchange, OpenError, Operator, Peer, Proof};
pub use subscription::{CreditHandle, Next, Subscription};
pub use types::*;
pub use waiting::{Waiting, WaitingAsked, WaitingList};
pub use watch::{StatusWatch, Watched, WatchedStatus};
pub use why::{Finding, Why};
