//! `atlaskv-ctl`: talks to a running atlaskvd. Everything is in `atlaskv::cli::ctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    atlaskv::cli::ctl::main()
}
