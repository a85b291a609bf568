//! `/healthz` and `/readyz`: for load balancers, supervisors and people.
//!
//! `/healthz` answers as long as the process lives. `/readyz` answers 200 when the axis does
//! what it is for (the ledger is open and writable, the index is ready), else 503; it says what
//! else is wrong (the alerts that stand) and on purpose (pauses) without failing for it, because the axis still
//! serves what it can.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use exchange::{Exchange, Info};

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
    let alerts = exchange.standing_alerts().into_iter();
    let alerts = alerts.map(|alert| format!("{} ({})", alert.kind, alert.subject));
    let (status, said) = readiness(exchange.is_serving(), &exchange.info(), alerts);
    text(status, said)
}

fn readiness(
    serving: bool,
    info: &Info,
    alerts: impl Iterator<Item = String>,
) -> (StatusCode, String) {
    let serving = serving && !info.read_only;
    let axis = if serving { "ready" } else { "not ready" };
    let ledger = if info.read_only { "read-only" } else { "ok" };
    let mut said = format!(
        "axis: {axis}\nledger: {ledger}\nindex: {}\ndisk: {}\n",
        info.index, info.space
    );
    for alert in alerts {
        said.push_str(&format!("alert: {alert}\n"));
    }
    for pause in &info.pauses {
        let system = pause.system.as_ref().map(|system| system.as_str());
        let agency = pause
            .agency
            .as_ref()
            .map(|agency| agency.main_code.as_str());
        let whom = system.or(agency).unwrap_or_default();
        said.push_str(&format!("paused: {whom} since {}\n", pause.since.iso()));
    }
    let status = if serving {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, said)
}

fn text(status: StatusCode, body: String) -> Response {
    let plain = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, plain, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::Pause;
    use ledger::time::Ms;

    #[test]
    fn ready_is_said_only_of_an_axis_that_accepts() {
        let pause = Pause {
            system: Some("so-b".parse().unwrap()),
            agency: None,
            since: Ms(1_795_309_200_000),
            by: "Lan".to_owned(),
            why: "chuyển máy chủ".to_owned(),
        };
        let info = |read_only| Info {
            started_at: Ms(0),
            now: Ms(0),
            position: 1,
            anchor: String::new(),
            index: "trusted",
            space: "ok",
            read_only,
            pauses: vec![pause.clone()],
        };
        let ready = |serving, read_only| {
            let alerts = ["bus-away (bus)".to_owned()].into_iter();
            readiness(serving, &info(read_only), alerts)
        };
        let (status, said) = ready(true, false);
        // What is wrong elsewhere is said, and fails nothing.
        assert_eq!(status, StatusCode::OK);
        assert!(
            said.contains("axis: ready") && said.contains("alert: bus-away"),
            "{said}"
        );
        // Whom and since when; who and why is for operators (`axis why`).
        assert!(
            said.ends_with("paused: so-b since 2026-11-22T08:00:00+07:00\n"),
            "{said}"
        );
        let (status, said) = ready(true, true);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            said.contains("axis: not ready") && said.contains("ledger: read-only"),
            "{said}"
        );
        assert_eq!(ready(false, false).0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
