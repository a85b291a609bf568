//! The crate's tests from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test cannot do fails it"
)]

mod golden;
