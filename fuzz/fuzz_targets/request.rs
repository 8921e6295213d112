//! `harness::request`, by libFuzzer.
#![no_main]

#[allow(dead_code, reason = "the other targets")]
#[path = "../../tests/corpus/harness/mod.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::request(bytes));
