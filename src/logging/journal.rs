//! The log in the systemd journal, with fields: `MESSAGE_ID`, `LSN` and what else a line carries as key
//! and value.

use std::io;

use log::{Level, Record};
use systemd_journal_logger::JournalLog;

use super::IDENTIFIER;
use super::stderr::Stderr;

pub(super) struct Journal(JournalLog);

impl Journal {
    /// Fails when the journal's socket cannot be reached.
    pub(super) fn connect() -> io::Result<Journal> {
        let log = JournalLog::empty()?;
        Ok(Journal(log.with_syslog_identifier(IDENTIFIER.to_owned())))
    }

    /// Sends a record with this text in place of its own. Like standard error it waits for a journal that
    /// is behind.
    pub(super) fn write(&self, record: &Record<'_>, text: &str) {
        let mut builder = record.to_builder();
        builder.level(level_for(record.level()));
        let sent = self
            .0
            .journal_send(&builder.args(format_args!("{text}")).build());
        if sent.is_err() {
            Stderr::ForJournal.write(record.level(), text);
        }
    }
}

/// The level that the library sends with the priority which an administrator expects: left alone it
/// makes a notice of info and info of debug.
fn level_for(level: Level) -> Level {
    match level {
        Level::Error | Level::Warn => level,
        Level::Info => Level::Debug,
        Level::Debug | Level::Trace => Level::Trace,
    }
}
