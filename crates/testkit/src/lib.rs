//! Agencies, packages and process control for tests and benches.
