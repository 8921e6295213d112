//! What the command-line tools are made of. Their `main` functions are thin.
//!
//! Results go to standard output, messages to standard error. With `--format json` everything, errors
//! included, is one document on standard output; `docs/ctl.md` describes it.

mod arguments;
pub mod bench;
pub mod compact_offline;
pub mod ctl;
pub mod escape;
mod failure;
mod files;
pub mod hex;
mod interrupt;
mod json;
mod lines;
mod local;
mod output;
mod progress;
mod server;
pub mod verify;
mod words;

pub use failure::Failure;
pub use output::{Format, Output};

use crate::exit;

/// The end of a command's `--help`: its examples, then the table of exit codes.
#[must_use]
pub fn after_help(examples: &str) -> String {
    format!("Examples:\n{}\n\n{}", examples.trim_end(), exit::table())
}

/// The command lines of the daemon and of every tool, for the manual and the shell completions.
#[doc(hidden)]
#[must_use]
pub fn commands() -> [clap::Command; 5] {
    use clap::CommandFactory;
    [
        bench::command(),
        compact_offline::command(),
        ctl::command(),
        verify::command(),
        crate::daemon::Flags::command(),
    ]
}
