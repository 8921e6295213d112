//! The real daemon: how it starts and stops, what hostile clients can do to it, and what a kill leaves.
//!
//! Each test has a daemon of its own, on a free port, in a temporary directory, killed by its process
//! number when the test ends. `ATLASKV_TEST_SEED` sets the seed of the random ones, which they print,
//! `ATLASKV_KILL_ROUNDS` the number of kills, `ATLASKV_KILL_LEDGER` where what they acknowledge is written down.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::string_slice,
    clippy::too_many_lines,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod activation;
mod crowd;
mod flood;
mod harness;
mod hostile;
mod kill;
mod ledger;
mod life;
mod manager;
mod pipeline;
mod reload;
mod stop;
mod sync_failure;
