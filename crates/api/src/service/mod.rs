//! The services of axis.v1 over an exchange: one file a service, one for each way of streaming.

mod access_service;
mod exchange_service;
mod frames;
mod history_service;
mod lists;
mod operations_service;
mod push;
mod registry_service;
mod status_service;
mod subscribe;
mod watch;

use std::time::Duration;

use ::exchange::refusal::{Name, Refusal};
use ::exchange::{Exchange, Operator};
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Status, body::Body};

use crate::caller;
use crate::refused;
use crate::v1::access_service_server::AccessServiceServer;
use crate::v1::exchange_service_server::ExchangeServiceServer;
use crate::v1::history_service_server::HistoryServiceServer;
use crate::v1::operations_service_server::OperationsServiceServer;
use crate::v1::registry_service_server::RegistryServiceServer;
use crate::v1::status_service_server::StatusServiceServer;

/// Longest package of a unary push, in bytes.
pub const PUSH_MAX: usize = 4 << 20;
/// Longest chunk of a streamed push, in bytes.
pub const PUSH_CHUNK_MAX: usize = 1 << 20;
/// Longest content chunk of a delivery, in bytes.
pub const DELIVERY_CHUNK_MAX: usize = 256 << 10;

/// What a push message may have around its package.
const SLACK: usize = 64 << 10;
/// Longest message of the asking services.
const QUESTION: usize = 64 << 10;
/// Longest list of agencies that a registrar imports or compares.
const LIST: usize = 32 << 20;
/// The methods of the registry that take a list.
const LISTS: [&str; 2] = [
    "/axis.v1.RegistryService/ImportAgencies",
    "/axis.v1.RegistryService/CompareList",
];
/// The frame around a message.
const FRAME: usize = 5;

/// Longest request of a method, in bytes, where its service takes longer ones of others.
pub(crate) fn longest(method: &str) -> Option<usize> {
    let asks = method.starts_with("/axis.v1.RegistryService/") && !LISTS.contains(&method);
    asks.then_some(QUESTION + FRAME)
}

/// The services whose health is told by name; the empty name is the whole.
pub(crate) const NAMES: [&str; 6] = [
    "",
    "axis.v1.ExchangeService",
    "axis.v1.StatusService",
    "axis.v1.RegistryService",
    "axis.v1.AccessService",
    "axis.v1.HistoryService",
];

/// What the services stand on.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) exchange: Exchange,
    pub(crate) version: String,
    pub(crate) build: String,
    /// Longest silence in the middle of a streamed push.
    pub(crate) silence: Duration,
    /// Cancelled when the server drains.
    pub(crate) drain: CancellationToken,
}

/// A service that routes take.
pub(crate) trait Grpc:
    Service<
        Request<Body>,
        Response = Response<Body>,
        Error = std::convert::Infallible,
        Future: Send,
    > + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Grpc for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = std::convert::Infallible,
            Future: Send,
        > + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// What systems reach: everything but operations.
pub(crate) fn public(
    core: &Core,
    health: impl Grpc,
) -> Result<Routes, tonic_reflection::server::Error> {
    shared(core, health)
}

/// What operators reach: everything.
pub(crate) fn admin(
    core: &Core,
    health: impl Grpc,
) -> Result<Routes, tonic_reflection::server::Error> {
    let operations = OperationsServiceServer::new(core.clone()).max_decoding_message_size(QUESTION);
    Ok(shared(core, health)?.add_service(operations))
}

fn shared(core: &Core, health: impl Grpc) -> Result<Routes, tonic_reflection::server::Error> {
    let exchange =
        ExchangeServiceServer::new(core.clone()).max_decoding_message_size(PUSH_MAX + SLACK);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(crate::v1::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Ok(Routes::new(exchange)
        .add_service(StatusServiceServer::new(core.clone()).max_decoding_message_size(QUESTION))
        .add_service(RegistryServiceServer::new(core.clone()).max_decoding_message_size(LIST))
        .add_service(AccessServiceServer::new(core.clone()).max_decoding_message_size(QUESTION))
        .add_service(HistoryServiceServer::new(core.clone()).max_decoding_message_size(QUESTION))
        .add_service(health)
        .add_service(reflection))
}

/// Tells a refusal to the caller; the axis's own faults are told to the log as well.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn tell(refusal: Refusal) -> Status {
    match refusal.name {
        Name::Internal | Name::ContentDamaged => tracing::error!(%refusal, "fault"),
        _ => tracing::debug!(%refusal, "refused"),
    }
    refused::status(&refusal)
}

/// The operator who calls, and what is asked; a system is refused.
pub(crate) fn asked<T>(request: tonic::Request<T>) -> Result<(Operator, T), Status> {
    let operator = caller::operator_of(request.extensions()).map_err(tell)?;
    let operator = operator.clone();
    Ok((operator, request.into_inner()))
}

/// An answer, or the refusal told.
pub(crate) fn answer<T>(result: Result<T, Refusal>) -> Result<tonic::Response<T>, Status> {
    result.map(tonic::Response::new).map_err(tell)
}
