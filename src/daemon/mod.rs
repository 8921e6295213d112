//! The daemon.
mod flags;
pub use flags::Flags;
