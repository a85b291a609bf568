//! A durable log of records and payload files.
