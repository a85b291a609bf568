//! The VXP endpoint: the national axis's HTTP interface over the same exchange as axis.v1, so
//! that a system that uses the national SDK connects by changing its address.
//!
//! The protocol is the crate `vxp`'s; what its operations mean here is `hub`'s; who may call
//! from where is decided in `guard`.

mod guard;
mod hub;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use exchange::Exchange;
use exchange::refusal::Refusal;
use ipnet::IpNet;
use vxp::Fault;

use self::hub::Endpoint;
use crate::server::Remote;

/// How the endpoint answers.
#[derive(Debug, Clone)]
pub struct VxpOptions {
    /// From where plain HTTP is taken. Default: this machine.
    pub plain_http_from: Vec<IpNet>,
    /// From where a system may call, for the systems that are named; others from anywhere.
    pub addresses: BTreeMap<String, Vec<IpNet>>,
    /// How far a system's timestamps may be from the axis's clock, for the systems that are
    /// named. The SDK sends hours-old ones, so there is none by default.
    pub tolerance: BTreeMap<String, Duration>,
    /// Rows of one answer to getReceivedEdocList and getSentEdocList. Default 1,000.
    pub list_limit: usize,
    /// Whether fromDate and toDate narrow getReceivedEdocList and the counts. Default no: the
    /// SDK sends those of an earlier call again, and what they hide would never be fetched.
    pub date_filter: bool,
    /// Whether a request that reads is refused when its signature has come from another address
    /// before. Default yes.
    pub reads_from_one_address: bool,
    /// Longest silence of a client in the middle of a package. Default 60 s.
    pub silence: Duration,
}

impl Default for VxpOptions {
    fn default() -> Self {
        Self {
            plain_http_from: guard::loopback(),
            addresses: BTreeMap::new(),
            tolerance: BTreeMap::new(),
            list_limit: 1_000,
            date_filter: false,
            reads_from_one_address: true,
            silence: Duration::from_secs(60),
        }
    }
}

/// The longest head of a request: a `to` of a thousand receivers stands in it twice.
pub const HEAD_BYTES: usize = 256 << 10;

/// Everything that the endpoint answers, for [`bind_web`](crate::bind_web)'s listener.
pub fn router(exchange: &Exchange, options: VxpOptions) -> Router {
    let endpoint = Arc::new(Endpoint::new(exchange.clone(), options));
    Router::new().fallback(answer).with_state(endpoint)
}

async fn answer(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response<Body> {
    let Some(Remote { address, tls }) = request.extensions().get().copied() else {
        // The listener tells it of every request.
        return refused_connection("the connection is not known");
    };
    let from = address.ip().to_canonical();
    if !tls && !guard::lies_in(from, &endpoint.options.plain_http_from) {
        metrics::counter!("axis_vxp_requests_total", "operation" => "none", "outcome" => "PLAIN_HTTP")
            .increment(1);
        tracing::info!(remote = %from, "plain HTTP from an address outside vxp.plain_http_from was refused");
        return refused_connection(
            "Chi nhan HTTP khong ma hoa tu cac mang trong vxp.plain_http_from; hay dung HTTPS \
             (plain HTTP is not taken from this address: use HTTPS)",
        );
    }
    let operation = vxp::Operation::of_path(request.uri().path());
    let name = operation.map_or("none", vxp::Operation::name);
    let response = vxp::server::answer(&*endpoint, from, request, endpoint.options.silence).await;
    let outcome = if response.status().is_success() {
        "answered"
    } else {
        "refused"
    };
    metrics::counter!("axis_vxp_requests_total", "operation" => name, "outcome" => outcome)
        .increment(1);
    response
}

fn refused_connection(text: &str) -> Response<Body> {
    let fault = Fault::new(
        vxp::fault::number::CREDENTIALS,
        "PERMISSION_DENIED",
        403,
        text,
    );
    let mut response = vxp::server::json(&vxp::answer::Sent {
        envelope: vxp::answer::Envelope::fail(&fault),
        doc_id: String::new(),
    });
    *response.status_mut() = axum::http::StatusCode::FORBIDDEN;
    response
}

/// Longest `ErrorDesc`, in characters.
const DESCRIPTION: usize = 2_000;

/// A refusal of the exchange in the protocol's terms, by the one table.
fn fault(refusal: &Refusal) -> Fault {
    let row = refusal.name.row();
    let mut text = format!("{}: {}", row.name, row.vi);
    for detail in &refusal.details {
        text.push(' ');
        if detail.line > 0 {
            text.push_str(&format!("[{}:{}] ", detail.line, detail.column));
        }
        text.push_str(&detail.message);
    }
    let text = match text.char_indices().nth(DESCRIPTION) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    let mut fault = Fault::new(row.vxp, row.name, row.http, text);
    fault.retry_after_ms = refusal.retry_after_ms;
    fault
}
