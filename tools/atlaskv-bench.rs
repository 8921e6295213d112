//! `atlaskv-bench`: load for a server, and how it bears it. Everything is in `atlaskv::cli::bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    atlaskv::cli::bench::main()
}
