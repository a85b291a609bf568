//! What the axis shows over HTTP: health, metrics, later pages.
//!
//! [`router`] puts the parts together; a part is a function that gives a [`Router`] of its own
//! and is merged there. The listener in front of it (TLS, patience, drain) is
//! `api::bind_web`.

mod health;

use axum::Router;
use exchange::Exchange;

/// Everything that the HTTP listener of an axis answers.
pub fn router(exchange: &Exchange) -> Router {
    Router::new().merge(health::routes(exchange))
}
