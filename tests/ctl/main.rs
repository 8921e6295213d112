//! The real `atlaskv-ctl` against the real `atlaskvd`.
//!
//! Each test has a daemon of its own, on a free port, in a temporary directory, killed by its process
//! number when the test ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "test code"
)]

mod check;
mod data;
mod document;
mod harness;
mod operate;
mod terminal;
