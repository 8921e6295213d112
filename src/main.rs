//! `atlaskvd`, the daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    atlaskv::daemon::main()
}
