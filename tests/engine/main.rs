//! The engine on a simulated disk: model, crashes, faults, damage, threads.
//!
//! Every random test prints its seed. `ATLASKV_TEST_SEED` repeats one run of it, `ATLASKV_TEST_RUNS`
//! multiplies the budget (100: as usual).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::big_endian_bytes,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stderr,
    missing_docs,
    reason = "test code"
)]

mod announced;
mod bits;
mod calls;
mod compact_offline;
mod crash;
mod damage;
mod faults;
mod full_start;
#[cfg(atlaskv_shuttle)]
mod interleavings;
mod limits;
mod metamorphic;
mod model;
mod pitfalls;
mod probe;
mod progress;
mod rebuild;
mod reconfigure;
mod recovery;
mod repair;
mod repair_log;
mod repair_review;
mod reserve;
mod review;
mod script;
mod shortage;
mod sim_disk;
mod specimen;
mod stall;
mod store;
mod strays;
mod tail;
mod threads;
