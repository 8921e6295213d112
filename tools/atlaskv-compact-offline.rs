//! `atlaskv-compact-offline`: merges all tables of a store that no daemon holds. Everything is in
//! `atlaskv::cli::compact_offline`.

use std::process::ExitCode;

fn main() -> ExitCode {
    atlaskv::cli::compact_offline::main()
}
