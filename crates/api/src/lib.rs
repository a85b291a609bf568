//! The axis.v1 gRPC services and a client for them.

mod admin;
mod caller;
mod certificate;
pub mod client;
mod convert;
pub mod metadata;
mod refused;
mod server;
mod service;

pub use admin::{SOCKET, path as admin_socket};
pub use certificate::{Certificate, CertificateError};
pub use client::Client;
pub use refused::DOMAIN;
pub use server::{
    Bound, ConnectionLimits, Listening, Running, ServeError, ServerOptions, TlsError, TlsFiles,
    bind, serve,
};
pub use service::{DELIVERY_CHUNK_MAX, PUSH_CHUNK_MAX, PUSH_MAX};

/// The messages, clients and servers of `proto/axis/v1`, as generated.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::or_fun_call,
    clippy::large_futures
)]
pub mod v1 {
    tonic::include_proto!("axis.v1");

    /// The descriptors of axis.v1, as reflection serves them: a `FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/axis.v1.binpb"));
}
