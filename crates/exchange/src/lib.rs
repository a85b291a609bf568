//! The rules of the exchange: admission, delivery, status feedback.
