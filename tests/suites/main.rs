//! End-to-end suites: real processes, real faults.
//!
//! Each module is one suite; a test's name is a sentence that holds for the axis as it is run.
//! Daemons come from [`testkit::Axis`] on free ports and temporary folders, so that all tests may
//! run side by side; nextest starts two of them at once (`.config/nextest.toml`).
// All of this is test code, also what stands outside the test functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

/// Arguments of a command: texts and paths alike.
macro_rules! args {
    ($($arg:expr),* $(,)?) => {
        Vec::from([$(std::ffi::OsString::from(&$arg)),*])
    };
}

mod house;

mod asking;
mod bad_calls;
mod bad_packages;
mod bad_setup;
mod checking;
mod connector;
mod delivering;
mod demo;
mod durable;
mod duties;
mod feedback;
mod full_disk;
mod keeping;
mod lists;
mod observing;
mod operators;
mod racing;
mod receiving;
mod registrar;
mod sending;
mod serving;
mod smoke;
mod top;
mod verifying;
mod vxp;
