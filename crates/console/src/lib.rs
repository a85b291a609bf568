//! What the axis shows over HTTP: health, metrics, the published list of agencies, later pages.
//!
//! [`router`] puts the parts together; a part is a function that gives a [`Router`] of its own
//! and is merged there. The listener in front of it (TLS, patience, drain) is
//! `api::bind_web`.

mod health;
pub mod metrics;
mod registry;
mod rights;

use axum::Router;
use exchange::Exchange;

pub use crate::metrics::{Build, Metrics, MetricsError};
pub use crate::rights::PUBLIC;

/// Everything that the HTTP listener of an axis answers. A part's routes need a row in
/// [`PUBLIC`] each.
pub fn router(exchange: &Exchange, metrics: &Metrics) -> Router {
    let parts = Router::new()
        .merge(health::routes(exchange))
        .merge(metrics::routes(exchange, metrics))
        .merge(registry::routes(exchange));
    rights::held(parts)
}
