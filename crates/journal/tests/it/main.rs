//! The journal's promises, tested from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod crash;
mod damage;
mod model;
mod real;
mod space;
mod world;
