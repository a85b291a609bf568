//! The crate's tests from outside.

mod golden;
