//! Where results and messages go.

use std::io::{self, BufWriter, StdoutLock, Write};

use clap::ValueEnum;
use serde_json::Value;

use super::failure::{Failure, Telling};
use super::json::Object;
use crate::exit::Exit;

/// What a tool writes: text for people, or one JSON document for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document, errors included.
    Json,
}

/// Standard output and standard error, in one format.
#[derive(Debug)]
pub struct Output {
    tool: &'static str,
    format: Format,
    /// Whether standard output is data, so that lines and documents go to standard error.
    on_stderr: bool,
    stdout: BufWriter<StdoutLock<'static>>,
}

type Result<T> = std::result::Result<T, Failure>;

impl Output {
    /// The process's own streams. `tool` begins each message.
    #[must_use]
    pub fn new(tool: &'static str, format: Format) -> Output {
        Output {
            tool,
            format,
            on_stderr: false,
            stdout: BufWriter::with_capacity(64 * 1024, io::stdout().lock()),
        }
    }

    /// Whether the result is one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// From now on standard output is for data written with `write`; results go to standard error.
    pub(super) fn tell_on_stderr(&mut self) {
        self.on_stderr = true;
    }

    /// Writes to standard output.
    ///
    /// # Errors
    /// When standard output fails; quietly when its reader has gone.
    pub fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
    ) -> Result<()> {
        write(&mut self.stdout).map_err(|error| Failure::stdout(&error))
    }

    /// Writes a line of the result.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn line(&mut self, line: &str) -> Result<()> {
        if self.on_stderr {
            // What is said of the data is said when the data is out.
            self.flush()?;
            // Nobody is left to be told that standard error failed.
            let _ = writeln!(io::stderr(), "{line}");
            return Ok(());
        }
        self.write(|out| writeln!(out, "{line}"))
    }

    /// Writes a result: the line, or the document with `"ok": true`.
    pub(super) fn result(&mut self, line: &str, document: Object) -> Result<()> {
        if self.is_json() {
            self.document(document)
        } else {
            self.line(line)
        }
    }

    /// Writes the document of a success.
    pub(super) fn document(&mut self, mut document: Object) -> Result<()> {
        document.insert("ok".to_owned(), true.into());
        self.line(&Value::from(document).to_string())
    }

    /// Says something that is no part of the result, to people only.
    pub(super) fn message(&self, message: &str) {
        if !self.is_json() {
            self.to_stderr(message);
        }
    }

    fn to_stderr(&self, message: &str) {
        // Nobody is left to be told that standard error failed.
        let _ = writeln!(io::stderr(), "{}: {message}", self.tool);
    }

    /// Ends the run: hands out what is still kept, tells a failure, gives the exit code.
    #[must_use]
    pub fn finish(mut self, result: Result<()>) -> Exit {
        let Err(failure) = result.and_then(|()| self.flush()) else {
            return Exit::Done;
        };
        let told = match (self.format, failure.telling) {
            (_, Telling::Told) => self.flush(),
            (Format::Json, Telling::Due) => self.tell_document(&failure),
            (Format::Human, Telling::Due) | (_, Telling::Stderr) => {
                let flushed = self.flush();
                self.to_stderr(&failure.message);
                flushed
            }
        };
        if let Err(second) = told
            && second.telling == Telling::Stderr
            && failure.telling == Telling::Due
        {
            self.to_stderr(&second.message);
        }
        failure.exit
    }

    fn tell_document(&mut self, failure: &Failure) -> Result<()> {
        self.line(&failure.document().to_string())?;
        self.flush()
    }

    /// Hands out what is still kept.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.write(Write::flush)
    }
}
