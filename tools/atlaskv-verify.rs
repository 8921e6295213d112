//! `atlaskv-verify`: says what is sound, torn or damaged in a data directory. Everything is in
//! `atlaskv::cli::verify`.

use std::process::ExitCode;

fn main() -> ExitCode {
    atlaskv::cli::verify::main()
}
