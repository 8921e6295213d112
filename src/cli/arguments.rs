//! The command line of a tool, read or refused.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use super::failure::Failure;
use super::output::{Format, Output};
use crate::exit::Exit;

/// Reads a tool's arguments; or tells what is wrong with them, or the help, and gives the exit code.
pub(super) fn parse<T: Parser>(tool: &'static str, arguments: &[OsString]) -> Result<T, Exit> {
    T::try_parse_from(arguments).map_err(|error| tell(tool, arguments, &error))
}

/// Tells what is wrong with arguments, or the help that was asked for.
pub(super) fn tell(tool: &'static str, arguments: &[OsString], error: &clap::Error) -> Exit {
    let is_asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !is_asked_for && format(arguments) == Format::Json {
        return Output::new(tool, Format::Json).finish(Err(failure(error)));
    }
    // A reader that has gone wants no help.
    let _ = error.print();
    if is_asked_for {
        Exit::Done
    } else {
        Exit::Usage
    }
}

/// What is wrong with arguments.
pub(super) fn failure(error: &clap::Error) -> Failure {
    Failure::usage(match error.kind() {
        // It renders as the help, whose first lines say nothing of what is missing.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "a command is missing: --help lists them".to_owned()
        }
        _ => first_paragraph(&error.render().to_string()),
    })
}

/// What is wrong, in one line and without the usage that stands behind it.
fn first_paragraph(rendered: &str) -> String {
    let lines = rendered.lines().take_while(|line| !line.is_empty());
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// The format that arguments ask for, though they could not be parsed.
pub(super) fn format(arguments: &[OsString]) -> Format {
    let is_json = arguments.iter().any(|argument| argument == "--format=json")
        || arguments
            .windows(2)
            .any(|pair| matches!(pair, [flag, value] if flag == "--format" && value == "json"));
    if is_json { Format::Json } else { Format::Human }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_in_arguments_that_do_not_parse() {
        let arguments = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(format(&arguments("ctl --format json gte")), Format::Json);
        assert_eq!(format(&arguments("ctl gte --format=json")), Format::Json);
        assert_eq!(format(&arguments("ctl get json")), Format::Human);
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        let rendered = "error: these are missing:\n  <KEY>\n  <VALUE>\n\nUsage: tool KEY VALUE\n";
        assert_eq!(
            first_paragraph(rendered),
            "these are missing: <KEY> <VALUE>"
        );
    }
}
