//! The log: one line an event on standard error, with time and level.
//!
//! Under systemd standard error is the journal, which stamps lines itself: the time is then left out.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::storage::{Event, EventSink};

/// What can happen again and again is logged this often.
const THROTTLE_INTERVAL: Duration = Duration::from_secs(5);

/// Starts the log of this process. A second call changes the level only.
pub fn start(level: LevelFilter) {
    let logger = StderrLog {
        stamped: !is_journal(),
    };
    // An error means that a log is set already: then its lines go where it wants them.
    let _ = log::set_boxed_logger(Box::new(logger));
    log::set_max_level(level);
}

/// Writes a line whatever the level is: for what scripts wait for.
pub fn announce(text: fmt::Arguments<'_>) {
    let logger = StderrLog {
        stamped: !is_journal(),
    };
    logger.write(Level::Info, text);
}

/// Takes the engine's events into the log.
#[must_use]
pub fn event_sink() -> EventSink {
    // A long replay says now and then how far it is, not with every segment; writers that wait say so
    // once and not each of them.
    let (replay, stall) = (Throttle::default(), Throttle::default());
    Arc::new(move |event| {
        let due = match event {
            Event::Replaying { .. } | Event::Closing { .. } => replay.is_due(),
            Event::Stalled { .. } => stall.is_due(),
            _ => true,
        };
        if !due {
            return;
        }
        let level = match event {
            failure if failure.is_failure() => Level::Error,
            Event::Stalled { .. } => Level::Warn,
            _ => Level::Info,
        };
        log::log!(target: "atlaskv::storage", level, "{event}");
    })
}

/// Lets a line through at most every five seconds, so that what clients do again and again does not
/// fill the log.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Option<Instant>>);

impl Throttle {
    /// Whether a line may be written now.
    pub(crate) fn is_due(&self) -> bool {
        // Who finds it locked has company that logs.
        let Ok(mut last) = self.0.try_lock() else {
            return false;
        };
        let due = last.is_none_or(|last| last.elapsed() >= THROTTLE_INTERVAL);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// Whether standard error is the journal's: systemd names the socket's device and inode.
fn is_journal() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stat| stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino)))
}

struct StderrLog {
    stamped: bool,
}

impl StderrLog {
    fn write(&self, level: Level, text: fmt::Arguments<'_>) {
        let name = match level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug | Level::Trace => "debug",
        };
        // One line, whatever a path or a client's name contains.
        let text = text.to_string().replace(char::is_control, " ");
        let line = if self.stamped {
            let time = Rfc3339(SystemTime::now());
            format!("{time} {name:<5} {text}\n")
        } else {
            format!("{name:<5} {text}\n")
        };
        // Nobody is left to be told that the log itself fails.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.write(record.level(), *record.args());
        }
    }

    fn flush(&self) {}
}

/// A time as `2026-01-31T23:59:59.123Z`.
struct Rfc3339(SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (year, month, day) = date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = since.subsec_millis();
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// The date of a day since 1970 in the Gregorian calendar. Years are counted from March, so that the
/// leap day is a year's last and months have a regular pattern (H. Hinnant, "chrono-compatible
/// low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    /// Days from 0000-03-01 to 1970-01-01, and of 400 years.
    const SHIFT: u64 = 719_468;
    const ERA: u64 = 146_097;
    let days = days + SHIFT;
    let (era, day_of_era) = (days / ERA, days % ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_date_prints() {
        // From `date -u -d @N +%FT%TZ`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(Rfc3339(time).to_string(), text);
        }
    }

    #[test]
    fn what_is_throttled_is_logged_now_and_then() {
        let throttle = Throttle::default();
        assert!(throttle.is_due());
        assert!(!throttle.is_due());
        *throttle.0.lock().unwrap() = Instant::now().checked_sub(THROTTLE_INTERVAL);
        assert!(throttle.is_due());
    }
}
