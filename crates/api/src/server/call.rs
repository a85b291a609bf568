//! What every call goes through: who calls, its time limit, its span, the axis's time.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exchange::Caller;
use exchange::refusal::{Name, Refusal};
use hyper_util::rt::TokioIo;
use ledger::time::Clock;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::header::HeaderValue;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::body::{Limited, Whole};
use crate::caller::Origin;
use crate::metadata::TIME;
use crate::refused;

/// Calls of people that may take long, because they read the whole journal or a national list:
/// bounded by the client's own deadline.
const LONG: [&str; 3] = [
    "/axis.v1.OperationsService/Verify",
    "/axis.v1.RegistryService/ImportAgencies",
    "/axis.v1.RegistryService/CompareList",
];

/// The methods whose answer or request is a stream: the server sets them no time limit.
const STREAMS: [&str; 7] = [
    "/axis.v1.StatusService/Watch",
    "/axis.v1.ExchangeService/PushStream",
    "/axis.v1.ExchangeService/Subscribe",
    "/axis.v1.ExchangeService/Fetch",
    "/axis.v1.ExchangeService/Download",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// Methods that need no credentials: they tell nothing that is not public.
const OPEN: [&str; 2] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
];

/// Tells who calls, from the connection and the metadata, if they may call the method.
pub(crate) type Admit =
    Arc<dyn Fn(&Origin, &str, &MetadataMap) -> Result<Caller, Refusal> + Send + Sync>;

/// The services behind one listener and the rules in front of them.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) routes: Routes,
    pub(crate) admit: Admit,
    pub(crate) clock: Clock,
    /// Longest time of a call that is no stream.
    pub(crate) deadline: Duration,
}

/// The service of one connection.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(crate) door: Door,
    pub(crate) origin: Origin,
    /// Set once a call of this connection has been let in.
    pub(crate) known: Arc<AtomicBool>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<B> Service<Request<B>> for Calls
where
    B: tonic::codegen::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let calls = self.clone();
        let span = tracing::info_span!(
            "call",
            method = request.uri().path(),
            system = Empty,
            person = Empty,
            remote = Empty,
            uid = Empty,
            package = Empty,
            delivery = Empty,
        );
        let answer = async move {
            let started = Instant::now();
            let clock = calls.door.clock.clone();
            let mut response = match calls.answer(request).await {
                Ok(response) => response,
                Err(status) => status.into_http(),
            };
            if let Ok(now) = HeaderValue::from_str(&clock.now().iso_ms()) {
                response.headers_mut().insert(TIME, now);
            }
            let code = response
                .headers()
                .get("grpc-status")
                .and_then(|code| code.to_str().ok());
            let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(code = code.unwrap_or("0"), ms, "answered");
            Ok(response)
        };
        Box::pin(answer.instrument(span))
    }
}

impl Calls {
    async fn answer<B>(mut self, request: Request<B>) -> Result<Response<Body>, Status>
    where
        B: tonic::codegen::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<tonic::codegen::StdError>,
    {
        let (mut parts, body) = request.into_parts();
        let method = parts.uri.path().to_owned();
        if !OPEN.iter().any(|open| method.starts_with(open)) {
            let metadata = MetadataMap::from_headers(std::mem::take(&mut parts.headers));
            let caller = (self.door.admit)(&self.origin, &method, &metadata);
            parts.headers = metadata.into_headers();
            note(&self.origin, caller.as_ref().ok());
            parts
                .extensions
                .insert(caller.map_err(|refusal| refused::status(&refusal))?);
        }
        self.known.store(true, Ordering::Relaxed);

        let stream = STREAMS.contains(&method.as_str());
        let asked = asked(&parts.headers)?;
        let own = (!stream && !LONG.contains(&method.as_str())).then_some(self.door.deadline);
        let limit = match (asked, own) {
            (Some(asked), Some(own)) => Some(asked.min(own)),
            (limit, None) | (None, limit) => limit,
        };
        let until = limit.map(|limit| tokio::time::Instant::now() + limit);

        let longest = crate::service::longest(&method).unwrap_or(usize::MAX);
        let request = Request::from_parts(parts, Body::new(Whole::new(body, longest)));
        let call = self.door.routes.call(request);
        let response = match until {
            None => call.await,
            Some(until) => match tokio::time::timeout_at(until, call).await {
                Ok(response) => response,
                // The client asked for this limit, or the axis's own is over.
                Err(_) if asked.is_some() && limit == asked => return Err(over()),
                Err(_) => return Err(refused::named(Name::OutcomeUnknown)),
            },
        };
        let response = match response {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if let Some(refusal) = unreadable(response.headers(), &method) {
            return Err(refused::status(&refusal));
        }
        Ok(match until {
            Some(until) if stream => response.map(|body| Body::new(Limited::new(body, until))),
            _ => response,
        })
    }
}

/// Writes into the call's span who calls.
fn note(origin: &Origin, caller: Option<&Caller>) {
    let span = Span::current();
    match origin {
        Origin::Public { remote, .. } => span.record("remote", tracing::field::display(remote)),
        Origin::Admin { uid } => span.record("uid", uid),
    };
    match caller {
        Some(Caller::System(peer)) => span.record("system", peer.system().as_str()),
        Some(Caller::Operator(operator)) => span.record("person", operator.person.as_str()),
        None => &span,
    };
}

/// The client's time limit is over.
pub(super) fn over() -> Status {
    Status::deadline_exceeded("the time that the client gave this call is over")
}

/// The time that the client gives the call: `grpc-timeout`, at most 8 digits and a unit.
fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let parse = || {
        let text = value.to_str().ok()?;
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let fits = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = fits.then(|| digits.parse().ok()).flatten()?;
        Some(match unit {
            "H" => Duration::from_secs(number * 3_600),
            "M" => Duration::from_secs(number * 60),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    };
    let refused = || {
        refused::argument(
            "grpc-timeout",
            "grpc-timeout phải gồm 1 đến 8 chữ số và một đơn vị H, M, S, m, u hoặc n.",
            "grpc-timeout must be 1 to 8 digits and one of the units H, M, S, m, u, n.",
        )
    };
    parse().map(Some).ok_or_else(refused)
}

/// The refusal of a message that the library could not read and answered in its own words:
/// the axis's own refusals always have details, and OUT_OF_RANGE is none of their codes.
fn unreadable(headers: &HeaderMap, method: &str) -> Option<Refusal> {
    let code = headers.get("grpc-status")?.as_bytes();
    if code == b"11" {
        let refusal = Refusal::new(Name::TooLarge);
        return Some(if method.ends_with("/Push") {
            refusal.at(
                "package",
                "Gói tin lớn hơn 4 MiB phải gửi bằng PushStream.",
                "A package of more than 4 MiB goes by PushStream.",
            )
        } else {
            refusal.at("", "Thông điệp quá lớn.", "The message is too large.")
        });
    }
    let foreign = code == b"13" && !headers.contains_key("grpc-status-details-bin");
    (foreign && method.starts_with("/axis.v1.")).then(|| {
        Refusal::argument(
            "",
            "Thông điệp không đọc được theo axis.v1.",
            "The message cannot be read as one of axis.v1.",
        )
    })
}

/// The service of one connection, as hyper wants it.
pub(crate) fn hyper(calls: Calls) -> hyper_util::service::TowerToHyperService<Calls> {
    hyper_util::service::TowerToHyperService::new(calls)
}

/// A connection's stream, as hyper wants it.
pub(crate) fn io<S>(stream: S) -> TokioIo<S> {
    TokioIo::new(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    fn timeout(text: &str) -> Result<Option<Duration>, Status> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_str(text).unwrap());
        asked(&headers)
    }

    #[test]
    fn a_clients_time_limit_is_read_in_every_unit() {
        assert_eq!(asked(&HeaderMap::new()).unwrap(), None);
        for (text, ms) in [
            ("2H", 7_200_000),
            ("1M", 60_000),
            ("30S", 30_000),
            ("250m", 250),
        ] {
            assert_eq!(
                timeout(text).unwrap(),
                Some(Duration::from_millis(ms)),
                "{text}"
            );
        }
        assert_eq!(timeout("5000u").unwrap(), Some(Duration::from_millis(5)));
        assert_eq!(
            timeout("99999999n").unwrap(),
            Some(Duration::from_nanos(99_999_999))
        );
        for bad in ["", "S", "12", "-1S", "+1S", "123456789S", "1s", "1.5S"] {
            let status = timeout(bad).unwrap_err();
            assert_eq!(
                refused::view(&status).unwrap().name,
                "BAD_ARGUMENT",
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_streams_are_those_of_the_contract() {
        let set = prost_types::FileDescriptorSet::decode(crate::v1::DESCRIPTORS).unwrap();
        let mut streams = Vec::new();
        for service in set.file.iter().flat_map(|file| &file.service) {
            for method in &service.method {
                if method.client_streaming() || method.server_streaming() {
                    streams.push(format!("/axis.v1.{}/{}", service.name(), method.name()));
                }
            }
        }
        let mut known: Vec<_> = STREAMS
            .iter()
            .filter(|name| name.starts_with("/axis."))
            .collect();
        known.sort();
        streams.sort();
        assert_eq!(
            streams.iter().map(String::as_str).collect::<Vec<_>>(),
            known.into_iter().copied().collect::<Vec<_>>()
        );
    }
}
