//! What the tools that work on a directory share: their arguments, and what a failure of the engine
//! means.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use super::failure::Failure;
use super::output::{Format, Output};
use crate::exit::Exit;
use crate::storage::AtlasError;

/// Reads a tool's arguments; or tells what is wrong with them, or the help, and gives the exit code.
pub(super) fn parse<T: Parser>(tool: &'static str, arguments: &[OsString]) -> Result<T, Exit> {
    T::try_parse_from(arguments).map_err(|error| {
        let is_asked_for = matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        );
        if is_asked_for || !asks_for_json(arguments) {
            // A reader that has gone wants no help.
            let _ = error.print();
            return if is_asked_for {
                Exit::Done
            } else {
                Exit::Usage
            };
        }
        let rendered = error.render().to_string();
        let message = rendered.lines().next().unwrap_or_default();
        let failure = Failure::usage(message.trim_start_matches("error: "));
        Output::new(tool, Format::Json).finish(Err(failure))
    })
}

/// Whether arguments that could not be parsed ask for JSON all the same.
fn asks_for_json(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--format=json")
        || arguments
            .windows(2)
            .any(|pair| matches!(pair, [flag, value] if flag == "--format" && value == "json"))
}

/// The failure of a tool whose engine failed.
pub(super) fn failure(error: &AtlasError) -> Failure {
    let exit = Exit::from(error);
    let code = match exit {
        Exit::Usage => "usage",
        Exit::Damaged => "damaged",
        Exit::Locked => "locked",
        Exit::Io => "io-error",
        Exit::NewerFormat => "newer-format",
        _ => "refused",
    };
    Failure::new(exit, code, error.to_string())
}
