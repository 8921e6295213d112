//! Lines on standard error.

use std::fmt;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use log::Level;

use super::priority;

/// Who reads standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stderr {
    /// People: a line has time and level.
    ForPeople,
    /// The journal or its like, which stamps lines itself and takes the level from `<N>` before them.
    ForJournal,
}

impl Stderr {
    /// Writes a line.
    pub(super) fn write(self, level: Level, text: &str) {
        // Nobody is left to be told that the log itself fails.
        let _ = io::stderr()
            .lock()
            .write_all(self.line(level, text).as_bytes());
    }

    fn line(self, level: Level, text: &str) -> String {
        match self {
            Stderr::ForJournal => format!("<{}>{text}\n", priority(level)),
            Stderr::ForPeople => {
                let name = match level {
                    Level::Error => "error",
                    Level::Warn => "warn",
                    Level::Info => "info",
                    Level::Debug | Level::Trace => "debug",
                };
                format!("{} {name:<5} {text}\n", Rfc3339(SystemTime::now()))
            }
        }
    }
}

/// A time as `2026-01-31T23:59:59.123Z`.
pub(crate) struct Rfc3339(pub(crate) SystemTime);

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
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_journal_reads_the_level_before_the_line() {
        let line = |level| Stderr::ForJournal.line(level, "text");
        assert_eq!(line(Level::Error), "<3>text\n");
        assert_eq!(line(Level::Warn), "<4>text\n");
        assert_eq!(line(Level::Info), "<6>text\n");
        assert_eq!(line(Level::Debug), "<7>text\n");
    }

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
}
