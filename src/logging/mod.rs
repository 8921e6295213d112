//! The log, one line an event: to the journal with fields, to syslog, or to standard error.
//!
//! Key-values of a line (`log::warn!(message_id = message::DISK_FULL, reason; "…")`) become fields of
//! the journal; elsewhere the text alone is shown, so the text says everything.

mod events;
mod journal;
pub mod message;
mod stderr;
mod syslog;
mod throttle;

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use log::{Level, LevelFilter, Log, Metadata, Record};
use systemd_journal_logger::connected_to_journal;

pub use events::event_sink;
pub(crate) use stderr::Rfc3339;
pub(crate) use throttle::Throttle;

use crate::config::LogTarget;
use journal::Journal;
use stderr::Stderr;
use syslog::Syslog;

/// What the journal and syslog call this program.
const IDENTIFIER: &str = "atlaskvd";
/// The longest line, in bytes: syslog daemons take 8 KiB with what stands before it.
const MAX_LINE: usize = 4096;

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Starts the log of this process. A second call changes the level only.
pub fn start(target: LogTarget, level: LevelFilter) {
    let logger = LOGGER.get_or_init(|| Logger::to(target));
    // An error means that a log is set already: this one by an earlier call, or another's, whose
    // lines then go where it wants them.
    let _ = log::set_logger(logger);
    set_level(level);
}

/// Changes the least important level that is logged.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// Whether standard error is the journal's.
#[must_use]
pub fn is_in_journal() -> bool {
    connected_to_journal()
}

/// Says that the daemon is ready, whatever the level is. Scripts wait for this line on standard error, so
/// there it stands too, except where standard error is the journal and would only repeat it.
pub fn announce(text: fmt::Arguments<'_>) {
    let ready = [("message_id", message::READY)];
    let logger = LOGGER.get_or_init(|| Logger::to(LogTarget::Auto));
    logger.log(
        &Record::builder()
            .args(text)
            .level(Level::Info)
            .target(module_path!())
            .key_values(&ready)
            .build(),
    );
    if !matches!(logger, Logger::Stderr(_)) && !is_in_journal() {
        Stderr::ForPeople.write(Level::Info, &one_line(text));
    }
}

/// Waits, for a bounded time, until what was logged has left the process. To be called before its end.
pub fn flush() {
    log::logger().flush();
}

/// Where lines go.
enum Logger {
    Stderr(Stderr),
    Journal(Journal),
    Syslog(Syslog),
}

impl Logger {
    fn to(target: LogTarget) -> Logger {
        let stderr = if is_in_journal() {
            Stderr::ForJournal
        } else {
            Stderr::ForPeople
        };
        match target {
            LogTarget::Auto if stderr == Stderr::ForPeople => Logger::Stderr(stderr),
            LogTarget::Auto | LogTarget::Journal => match Journal::connect() {
                Ok(journal) => Logger::Journal(journal),
                Err(error) => {
                    let stderr = Stderr::ForJournal;
                    let text = format!(
                        "the journal cannot be reached: {error}; the log goes to standard error"
                    );
                    stderr.write(Level::Warn, &text);
                    Logger::Stderr(stderr)
                }
            },
            LogTarget::Syslog => match Syslog::start(Path::new(syslog::SOCKET), stderr) {
                Ok(syslog) => Logger::Syslog(syslog),
                Err(error) => {
                    let text = format!(
                        "cannot start the thread for syslog: {error}; the log goes to standard error"
                    );
                    stderr.write(Level::Warn, &text);
                    Logger::Stderr(stderr)
                }
            },
            LogTarget::Stderr => Logger::Stderr(stderr),
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    /// The macros of `log` have asked whether the level is wanted; `announce` does not.
    fn log(&self, record: &Record<'_>) {
        let text = one_line(*record.args());
        match self {
            Logger::Stderr(stderr) => stderr.write(record.level(), &text),
            Logger::Journal(journal) => journal.write(record, &text),
            Logger::Syslog(syslog) => syslog.write(record.level(), &text),
        }
    }

    fn flush(&self) {
        if let Logger::Syslog(syslog) = self {
            syslog.flush();
        }
    }
}

/// One line of bounded length, whatever a path or a client's name contains.
fn one_line(text: fmt::Arguments<'_>) -> String {
    let mut line = text.to_string().replace(char::is_control, " ");
    if line.len() > MAX_LINE {
        let whole = |end: &usize| line.is_char_boundary(*end);
        line.truncate((0..=MAX_LINE).rev().find(whole).unwrap_or(0));
        line.push('…');
    }
    line
}

/// The priority of a level, as the journal and syslog number them.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        assert_eq!(one_line(format_args!("a\nb\u{1b}[0m\tc")), "a b [0m c");
        let long = "ä".repeat(MAX_LINE);
        let line = one_line(format_args!("x{long}"));
        assert!(line.len() <= MAX_LINE + '…'.len_utf8() && line.ends_with("ä…"));
    }
}
