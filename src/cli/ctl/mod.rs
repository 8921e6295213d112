//! `atlaskv-ctl`: talks to a running daemon.
//!
//! Each verb is a struct of its arguments with a `run`; this file chooses one.

mod admin;
mod batch;
mod check;
mod conditional;
mod config;
mod doctor;
mod exit_code;
mod export;
mod figures;
mod health;
mod import;
mod latency;
mod line_format;
mod point;
mod range;
mod scan;
mod slowlog;
mod stats;
mod target;
mod verify;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::arguments;
use super::failure::Failure;
use super::output::{Format, Output};
use crate::client::Client;
#[doc(hidden)]
pub use line_format::rewrite_line;
use target::{Plane, Target};

/// The tool's name, in messages.
const TOOL: &str = "atlaskv-ctl";

type Result<T> = std::result::Result<T, Failure>;

const EXAMPLES: &str = "  atlaskv-ctl put greeting hello
  atlaskv-ctl get greeting
  atlaskv-ctl scan --prefix user: --limit 10
  atlaskv-ctl export backup.tsv
  atlaskv-ctl --format json stats";

/// Talks to a running atlaskvd.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, after_help = super::after_help(EXAMPLES), max_term_width = 100)]
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
    Latency(latency::Latency),
    Slowlog(slowlog::Slowlog),
    Health(health::Health),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Config(config::Config),
    Sync(admin::Sync),
    Flush(admin::Flush),
    Compact(admin::Compact),
    Reload(admin::Reload),
    Quarantine(admin::Quarantine),
    Verify(verify::Verify),
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
    run(&arguments)
}

fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() && is_check(arguments) => {
            let mut output = Output::new(TOOL, arguments::format(arguments));
            return check::refuse(&arguments::failure(&error), &mut output);
        }
        Err(error) => return arguments::tell(TOOL, arguments, &error).into(),
    };
    let mut session = Session {
        target: parsed.target,
        output: Output::new(TOOL, parsed.format),
    };
    let result = match parsed.command {
        Command::Check(check) => return check.run(&mut session),
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
        Command::Latency(latency) => latency.run(&mut session),
        Command::Slowlog(slowlog) => slowlog.run(&mut session),
        Command::Health(health) => health.run(&mut session),
        Command::Doctor(doctor) => doctor.run(&mut session),
        Command::Config(config) => config.run(&mut session),
        Command::Sync(sync) => sync.run(&mut session),
        Command::Flush(flush) => flush.run(&mut session),
        Command::Compact(compact) => compact.run(&mut session),
        Command::Reload(reload) => reload.run(&mut session),
        Command::Quarantine(quarantine) => quarantine.run(&mut session),
        Command::Verify(verify) => verify.run(&mut session),
    };
    session.output.finish(result).into()
}

/// Whether arguments that could not be parsed are those of `check`, whose caller knows no exit codes
/// but a plugin's.
fn is_check(arguments: &[OsString]) -> bool {
    let lenient = Arguments::command().ignore_errors(true);
    let found = lenient.try_get_matches_from(arguments);
    found.is_ok_and(|found| found.subcommand_name() == Some("check"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    #[test]
    fn check_is_found_in_arguments_that_do_not_parse() {
        let is = |text: &str| {
            let arguments: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            is_check(&arguments)
        };
        assert!(is("ctl check --of nothing"));
        assert!(is("ctl --format json check -w"));
        assert!(is("ctl --addr check check -w x"));
        assert!(!is("ctl get check --what"));
        assert!(!is("ctl --addr check get"));
    }

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_help_of_everything_has_examples_and_ends_with_the_exit_codes() {
        fn check(command: &mut clap::Command) {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{help}");
            let is_plugin = help.contains("  3  UNKNOWN");
            let codes = if is_plugin {
                check::EXIT_CODES.to_owned()
            } else {
                exit::table()
            };
            assert!(help.trim_end().ends_with(codes.trim_end()), "{help}");
            for verb in command.get_subcommands_mut() {
                if verb.get_name() != "help" {
                    check(verb);
                }
            }
        }
        check(&mut Arguments::command());
    }
}
