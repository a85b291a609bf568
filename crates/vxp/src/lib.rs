//! The protocol of the national axis (Trục liên thông văn bản quốc gia, product family VXP), as
//! the official Java SDK 2.0.1 speaks it: signed headers, operations, bodies, answers. A client
//! half ([`client`]) and a server half ([`server`]); no storage.
//!
//! Nothing official is public; the facts come from the SDK's own behaviour, and what is assumed
//! is said where it stands. In short:
//!
//! * Every request carries its parameters as headers `XroadVnpt-<name>` and, in
//!   `XroadVnpt-sign-header`, the same once more as one line of JSON, over which
//!   `XroadVnpt-hash-header` is an HMAC-SHA256 ([`signature`]). There is no session.
//! * A package goes as the raw body of `sendEdoc`, with a CR LF behind it that is not the
//!   file's, or as base64 ([`package`]); `hash-file` is its SHA-256 in hex without zero padding
//!   ([`hash`]).
//! * Answers are JSON with `status`, `ErrorCode`, `ErrorDesc` ([`answer`]); lists may have more
//!   than a hundred thousand rows and are written and read as streams ([`list`]).
//!
//! ```
//! use vxp::signature::{Claim, Parameters};
//! use axum::http::HeaderMap;
//!
//! let mut parameters = Parameters::new();
//! parameters.set("timestamp", "22112026T045914+0625");
//! parameters.set("systemid", "so-noi-vu");
//! let headers: HeaderMap = parameters.sign(b"the secret").unwrap();
//! let claim = Claim::read(&headers).unwrap();
//! assert!(claim.is_signed_with(b"the secret"));
//! assert!(!claim.is_signed_with(b"another"));
//! ```

pub mod answer;
pub mod client;
mod date;
pub mod fault;
pub mod hash;
pub mod list;
mod operation;
pub mod package;
pub mod server;
pub mod signature;
mod timestamp;

pub use date::Window;
pub use fault::Fault;
pub use operation::{MessageType, Operation, Progress};
pub use timestamp::{NotATimestamp, Timestamp};
