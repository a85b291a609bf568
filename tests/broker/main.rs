//! The bus over a real RabbitMQ: the contract of every bus, and everything that can happen to a
//! broker.
//!
//! A broker takes seconds to start and 150 MB of memory, and nextest runs each test in a process
//! of its own: so the tests here are few, and each runs many cases on its broker, a vhost each.
// All of this is test code, also what stands outside the test functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../../crates/bus/tests/suite/mod.rs"]
#[macro_use]
mod suite;

mod contract;
mod demo;
mod exchange;
mod faults;
mod house;
mod incidents;
mod letters;
mod moments;
mod partners;
mod rules;
mod tls;
mod yard;

// What the rules of the exchange are tested on, over queues in memory.
#[path = "../../crates/exchange/tests/it/ground.rs"]
#[allow(dead_code)] // others use the rest of it
mod ground;
