//! `atlaskv-ctl`: talks to a running daemon.
//!
//! Each verb is a struct of its arguments with a `run`; this file chooses one.

mod admin;
mod batch;
mod conditional;
mod exit_code;
mod export;
mod import;
mod line_format;
mod point;
mod range;
mod scan;
mod stats;
mod target;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::arguments;
use super::failure::Failure;
use super::output::{Format, Output};
use crate::client::Client;
use crate::exit::{self, Exit};
use target::{Plane, Target};

/// The tool's name, in messages.
const TOOL: &str = "atlaskv-ctl";

type Result<T> = std::result::Result<T, Failure>;

const EXAMPLES: &str = "Examples:
  atlaskv-ctl put greeting hello
  atlaskv-ctl get greeting
  atlaskv-ctl scan --prefix user: --limit 10
  atlaskv-ctl export backup.tsv
  atlaskv-ctl --format json stats";

fn help() -> String {
    format!("{EXAMPLES}\n\n{}", exit::table())
}

/// Talks to a running atlaskvd.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, after_help = help(), max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    target: Target,

    /// Text for people, or one JSON document, errors included.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    format: Format,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ping(point::Ping),
    Get(point::Get),
    Put(point::Put),
    Delete(point::Delete),
    Exists(point::Exists),
    PutIfAbsent(conditional::PutIfAbsent),
    Cas(conditional::CompareAndSwap),
    Scan(scan::Scan),
    Batch(batch::Batch),
    Import(import::Import),
    Export(export::Export),
    Stats(stats::Stats),
    Sync(admin::Sync),
    Flush(admin::Flush),
    Compact(admin::Compact),
    Quarantine(admin::Quarantine),
}

/// What a verb works with.
#[derive(Debug)]
struct Session {
    target: Target,
    output: Output,
}

impl Session {
    /// A connection for data, or for administration.
    fn connect(&self, plane: Plane) -> Result<Client> {
        self.target.connect(plane)
    }
}

/// The tool's command line.
pub(super) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the tool with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    run(&arguments).into()
}

fn run(arguments: &[OsString]) -> Exit {
    let parsed: Arguments = match arguments::parse(TOOL, arguments) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let mut session = Session {
        target: parsed.target,
        output: Output::new(TOOL, parsed.format),
    };
    let result = match parsed.command {
        Command::Ping(ping) => ping.run(&mut session),
        Command::Get(get) => get.run(&mut session),
        Command::Put(put) => put.run(&mut session),
        Command::Delete(delete) => delete.run(&mut session),
        Command::Exists(exists) => exists.run(&mut session),
        Command::PutIfAbsent(put) => put.run(&mut session),
        Command::Cas(swap) => swap.run(&mut session),
        Command::Scan(scan) => scan.run(&mut session),
        Command::Batch(batch) => batch.run(&mut session),
        Command::Import(import) => import.run(&mut session),
        Command::Export(export) => export.run(&mut session),
        Command::Stats(stats) => stats.run(&mut session),
        Command::Sync(sync) => sync.run(&mut session),
        Command::Flush(flush) => flush.run(&mut session),
        Command::Compact(compact) => compact.run(&mut session),
        Command::Quarantine(quarantine) => quarantine.run(&mut session),
    };
    session.output.finish(result)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_of_everything_has_examples_and_ends_with_the_exit_codes() {
        fn check(command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{help}");
            assert!(
                help.trim_end().ends_with(exit::table().trim_end()),
                "{help}"
            );
            for verb in command.get_subcommands_mut() {
                if verb.get_name() != "help" {
                    check(verb);
                }
            }
        }
        check(&mut Arguments::command());
    }
}
