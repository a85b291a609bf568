//! The crate's tests from outside: a real exchange in a temporary folder, real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test cannot do fails it"
)]

mod asking;
mod errors_page;
mod following;
mod golden;
mod house;
mod pushing;
mod receiving;
mod rights;
mod streaming;
mod who;
