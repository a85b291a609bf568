//! The ledger as its users see it, and the bytes it leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod alerts;
mod disk;
mod golden;
mod kept;
mod stories;
#[path = "../world/mod.rs"]
mod world;
