//! How a tool's run can end badly: an exit code, a name for programs, words for people.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::json::Object;
use crate::exit::Exit;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    pub(super) exit: Exit,
    /// For programs, kebab-case: a name of `docs/protocol.md`, or one of `docs/ctl.md`.
    pub(super) code: String,
    pub(super) message: String,
    /// What else stands in the JSON document.
    pub(super) details: Object,
    pub(super) telling: Telling,
}

/// How a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// In the format asked for.
    Due,
    /// On standard error, whatever the format: standard output has failed.
    Stderr,
    /// It was told already, or is nothing to tell: a reader that has gone.
    Told,
}

impl Failure {
    /// A failure with its exit code, its name and its words.
    pub fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            code: code.into(),
            message: message.into(),
            details: Object::new(),
            telling: Telling::Due,
        }
    }

    /// Wrong arguments.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, "usage", message)
    }

    /// A file or stream of the operator's failed.
    #[must_use]
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Failure {
        let message = format!("cannot {what} {}: {error}", path.display());
        Failure::new(Exit::Io, "io-error", message)
    }

    /// Standard output failed. A reader that has gone is no failure: the rest is not wanted.
    #[must_use]
    pub fn stdout(error: &io::Error) -> Failure {
        let gone = error.kind() == io::ErrorKind::BrokenPipe;
        let exit = if gone { Exit::Done } else { Exit::Io };
        let message = format!("cannot write to standard output: {error}");
        Failure {
            telling: if gone { Telling::Told } else { Telling::Stderr },
            ..Failure::new(exit, "io-error", message)
        }
    }

    /// Adds a field to the JSON document.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Failure {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Puts words before the message.
    #[must_use]
    pub fn because(mut self, before: &str) -> Failure {
        self.message = format!("{before}: {}", self.message);
        self
    }

    /// The code with which the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The `error` of the JSON document.
    pub(super) fn error(&self) -> Value {
        json!({"exit": self.exit.code(), "code": self.code, "message": self.message})
    }

    /// The whole JSON document.
    pub(super) fn document(&self) -> Value {
        let mut document = self.details.clone();
        document.insert("ok".to_owned(), false.into());
        document.insert("error".to_owned(), self.error());
        document.into()
    }
}
