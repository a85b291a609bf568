//! The commands, one file each.

pub(crate) mod pki;
pub(crate) mod serve;
