//! The rules of the exchange: admission, delivery, status feedback.
mod facade;
pub mod refusal;

pub use facade::*;
