//! The names of axis.v1's metadata.

/// On a call: the calling system's id.
pub const SYSTEM: &str = "axis-system";
/// On a call: the calling system's key.
pub const KEY: &str = "axis-key";
/// On a call over the network: the calling person's account; its key stands under [`KEY`].
pub const ACCOUNT: &str = "axis-account";
/// On a call at the admin socket: the person who acts, UTF-8.
pub const BY: &str = "axis-by-bin";
/// On every answer: the axis's time, ISO 8601 with `+07:00`.
pub const TIME: &str = "axis-time";
