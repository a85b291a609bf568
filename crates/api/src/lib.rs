//! The axis.v1 gRPC services and a client for them.
