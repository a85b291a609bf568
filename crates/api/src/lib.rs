//! The door of the axis: the gRPC services of `proto/axis/v1` over an [`exchange::Exchange`],
//! and a typed client for them.
//!
//! What it promises:
//!
//! * Two doors. The public listener is for systems: TLS 1.2 or 1.3 with an optional client
//!   certificate, plain only on loopback. The admin socket in the data folder is for operators:
//!   mode 0600 from its first moment, root and the axis's own account only.
//! * Every call but health and reflection has a known caller before a byte of it is read.
//! * Nobody holds up others: handshakes, silent connections, calls, metadata, messages and
//!   streams are bounded, and so is the stop.
//! * A refusal keeps its name, places and both languages on the way to the client
//!   ([`client::RefusalView`]); whatever answers carries the axis's time
//!   ([`metadata::TIME`]).
//! * A push that is cut off never looks like a whole one.
//! * axis.v1 only grows: a committed descriptor set fails every breaking change.
//!
//! ```no_run
//! use api::client::{Client, Credentials, Options};
//! use api::v1;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut options = Options::new("http://127.0.0.1:7070");
//! options.credentials = Credentials::Key { system: "so-noi-vu".into(), key: "…".into() };
//! let client = Client::connect(&options).await?;
//!
//! // A receipt is true even if the power fails next.
//! let package = tokio::fs::File::open("new.edxml").await?;
//! let pushed = client.push_stream(package, v1::PushOptions::default()).await?;
//! println!("{} {}", pushed.receipt.package_id, pushed.receipt.accepted_at);
//!
//! // What waits for the system's agencies.
//! let mut waiting = client.fetch(v1::FetchRequest::default()).await?;
//! while let Some(header) = waiting.next().await? {
//!     while let Some(_bytes) = waiting.chunk().await? { /* write them durably */ }
//!     client
//!         .settle(v1::SettleRequest {
//!             delivery_id: header.delivery_id,
//!             round: header.round,
//!             outcome: v1::Outcome::Acknowledged.into(),
//!             reason: String::new(),
//!             // What was received, so that a damaged copy settles nothing.
//!             sha256: header.sha256,
//!         })
//!         .await?;
//! }
//! # Ok(())
//! # }
//! ```

mod admin;
mod caller;
mod certificate;
pub mod client;
mod convert;
pub mod letters;
pub mod metadata;
mod refused;
mod rights;
mod server;
mod service;
pub mod vxp;

pub use admin::{SOCKET, path as admin_socket};
pub use certificate::{Certificate, CertificateError};
pub use client::Client;
pub use refused::DOMAIN;
pub use server::{
    Bound, ConnectionLimits, Listening, Running, ServeError, ServerOptions, TlsError, TlsFiles,
    WebListening, WebOptions, WebRunning, bind, bind_web, serve,
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
