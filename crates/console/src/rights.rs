//! Who may ask what over HTTP: one table, and nobody may ask what is not in it.
//!
//! The listener asks nobody's name, so a row says only that a route is for everybody: health and
//! figures without content, and the list that was published on purpose. What the rows are to be
//! stands apart, in `crates/api/tests/rights.toml`, and is reviewed there; tests walk every row.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

/// The routes that everybody may ask (GET), as they are written in the router.
pub const PUBLIC: &[&str] = &[
    "/healthz",
    "/readyz",
    "/metrics",
    "/registry/v1/agencies.json",
    "/registry/v1/agencies.csv",
    "/registry/v1/agencies/{code}",
    "/registry/v1/versions",
    "/registry/v1/versions/{version}/agencies.json",
    "/registry/v1/versions/{version}/agencies.csv",
];

/// The same routes, each answered only if it has a row.
pub(crate) fn held(routes: Router) -> Router {
    routes.route_layer(middleware::from_fn(hold))
}

async fn hold(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    if route.is_some_and(|route| PUBLIC.contains(&route.as_str())) {
        return next.run(request).await;
    }
    let plain = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let said = "Không được phép (not allowed).\n";
    (StatusCode::FORBIDDEN, plain, said).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn asked(routes: Router, path: &str) -> StatusCode {
        let request = Request::get(path).body(Body::empty()).unwrap();
        held(routes).oneshot(request).await.unwrap().status()
    }

    /// Duty SC-05: a route that nobody gave a row is nobody's.
    #[tokio::test]
    async fn sc_05_a_route_without_a_row_is_nobodys() {
        let routes = Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/registry/v1/agencies/{code}", get(|| async { "one" }))
            .route("/registry/v1/secrets", get(|| async { "no" }));
        for (path, status) in [
            ("/healthz", StatusCode::OK),
            ("/registry/v1/agencies/H99.1", StatusCode::OK),
            ("/registry/v1/secrets", StatusCode::FORBIDDEN),
            ("/registry/v1/nothing", StatusCode::NOT_FOUND),
        ] {
            assert_eq!(asked(routes.clone(), path).await, status, "{path}");
        }
    }

    /// The table is the reviewed one.
    #[test]
    fn sc_05_the_routes_for_everybody_are_those_of_the_reviewed_file() {
        let reviewed: toml::Table = include_str!("../../api/tests/rights.toml").parse().unwrap();
        let mut reviewed: Vec<&str> = reviewed["http"]
            .as_table()
            .unwrap()
            .iter()
            .map(|(route, who)| {
                assert_eq!(who.as_str(), Some("everybody"), "{route}");
                route.strip_prefix("GET ").unwrap()
            })
            .collect();
        let mut own = PUBLIC.to_vec();
        own.sort_unstable();
        reviewed.sort_unstable();
        assert_eq!(own, reviewed);
    }
}
