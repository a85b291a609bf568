//! `/healthz` and `/readyz`: for load balancers, supervisors and people.
//!
//! `/healthz` answers as long as the process lives. `/readyz` answers 200 when the axis does
//! what it is for (the ledger is open and writable, the index is ready), else 503; it says what
//! else is wrong (the kinds of alerts that stand) without failing for it, because the axis still
//! serves what it can.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use exchange::Exchange;

pub(crate) fn routes(exchange: &Exchange) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(|| async { text(StatusCode::OK, "ok\n".to_owned()) }),
        )
        .route("/readyz", get(ready))
        .with_state(exchange.clone())
}

async fn ready(State(exchange): State<Exchange>) -> Response {
    let info = exchange.info();
    let serving = exchange.is_serving();
    let mut said = String::new();
    let mut line = |name: &str, state: &str| {
        said.push_str(name);
        said.push_str(": ");
        said.push_str(state);
        said.push('\n');
    };
    line("axis", if serving { "ready" } else { "not ready" });
    line("ledger", if info.read_only { "read-only" } else { "ok" });
    line("index", info.index);
    line("disk", info.space);
    for alert in exchange.standing_alerts() {
        line("alert", &alert.kind);
    }
    let status = if serving {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    text(status, said)
}

fn text(status: StatusCode, body: String) -> Response {
    let plain = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, plain, body).into_response()
}
