//! What the axis shows over HTTP: health, metrics, the published list of agencies, later pages.
//!
//! [`router`] puts the parts together; a part is a function that gives a [`Router`] of its own
//! and is merged there. The listener in front of it (TLS, patience, drain) is
//! `api::bind_web`.

mod health;
pub mod metrics;
mod registry;

use axum::Router;
use exchange::Exchange;

pub use crate::metrics::{Build, Metrics, MetricsError};

/// Everything that the HTTP listener of an axis answers.
pub fn router(exchange: &Exchange, metrics: &Metrics) -> Router {
    Router::new()
        .merge(health::routes(exchange))
        .merge(metrics::routes(exchange, metrics))
        .merge(registry::routes(exchange))
}
