#![no_main]

#[path = "../../tests/fuzz/bodies.rs"]
#[allow(dead_code)] // the other bodies have targets of their own
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::body(bytes));
