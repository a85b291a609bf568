//! The rules of the exchange, on a real ledger in a temporary folder.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

mod alerts;
mod broker;
mod chains;
mod duplicates;
mod ground;
mod lists_out;
mod main_job;
mod moody;
mod operators;
mod priority;
mod recall;
mod receivers;
mod redelivery;
mod registry;
mod reminders;
mod removal;
mod rules;
mod sick;
mod statuses;
mod streams;
mod systems;
mod why;
