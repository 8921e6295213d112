//! AtlasKV: a durable, ordered key-value store that runs as a Linux service.
//!
//! The rooms, and who may know whom (arrows point down only; `tests/house.rs` proves it):
//!
//! ```text
//! main ─▶ daemon ─▶ server ─▶ dispatch ─▶ storage ─▶ log, table, manifest ─▶ codec ─▶ disk
//!                      └────▶ protocol ◀── client ◀── tools/atlaskv-ctl
//! tools/atlaskv-verify, tools/atlaskv-compact-offline ─▶ storage
//! ```
//!
//! - [`storage`] is the engine: it knows no network, no configuration file and no log daemon.
//! - [`protocol`] is pure bytes and types: no socket, no clock.
//! - [`server`] owns sockets and threads; only `server::dispatch` sees a request and the engine.
//! - [`metrics`] answers a monitoring system with the figures of a server.
//! - [`client`] is a blocking client, used by `atlaskv-ctl` and by the tests.

pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
#[doc(hidden)]
pub mod example;
pub mod exit;
pub mod logging;
pub mod metrics;
pub mod protocol;
pub mod server;
pub mod storage;
