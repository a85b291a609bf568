//! What every bus promises, run against each of them. A new one needs a factory and a line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers are tests too"
)]

#[macro_use]
mod suite;

mod embedded {
    use std::sync::Arc;

    use bus::{Bus, Embedded};

    async fn open() -> Arc<dyn Bus> {
        Arc::new(Embedded::default())
    }

    contract_tests!(open);
}
