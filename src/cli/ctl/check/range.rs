//! Ranges of monitoring plugins: which values are well.
//!
//! | range | alert when the value is |
//! |---|---|
//! | `10` | below 0 or above 10 |
//! | `10:` | below 10 |
//! | `~:10` | above 10 |
//! | `10:20` | below 10 or above 20 |
//! | `@10:20` | from 10 to 20 |

use std::fmt;
use std::str::FromStr;

/// A range, as `-w` and `-c` take it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    start: f64,
    end: f64,
    /// `@`: values inside alert.
    inside: bool,
}

impl Range {
    /// Values up to here are well.
    pub(super) const fn up_to(end: f64) -> Range {
        Range {
            start: 0.0,
            end,
            inside: false,
        }
    }

    /// Values from here on are well.
    pub(super) const fn from(start: f64) -> Range {
        Range {
            start,
            end: f64::INFINITY,
            inside: false,
        }
    }

    pub(super) fn alerts(&self, value: f64) -> bool {
        (self.start <= value && value <= self.end) == self.inside
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let wrong =
            || format!("'{text}' is no range: write N, N:, ~:N, N:M or @N:M, N not above M");
        let number = |text: &str| {
            let number: f64 = text.parse().map_err(|_| wrong())?;
            number.is_finite().then_some(number).ok_or_else(wrong)
        };
        let (inside, bounds) = match text.strip_prefix('@') {
            Some(bounds) => (true, bounds),
            None => (false, text),
        };
        let (start, end) = match bounds.split_once(':') {
            None => (0.0, number(bounds)?),
            Some((start, end)) => {
                let start = match start {
                    "~" => f64::NEG_INFINITY,
                    "" => 0.0,
                    start => number(start)?,
                };
                let end = match end {
                    "" => f64::INFINITY,
                    end => number(end)?,
                };
                (start, end)
            }
        };
        let range = Range { start, end, inside };
        (start <= end).then_some(range).ok_or_else(wrong)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inside {
            out.write_str("@")?;
        }
        if self.start.is_infinite() {
            out.write_str("~:")?;
        } else if self.start != 0.0 || self.end.is_infinite() {
            write!(out, "{}:", self.start)?;
        }
        if self.end.is_finite() {
            write!(out, "{}", self.end)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_alert_as_plugins_do() {
        for (text, well, bad) in [
            ("10", &[0.0, 10.0][..], &[-0.1, 10.1][..]),
            ("10:", &[10.0, 1e9], &[9.9, -1.0]),
            (":10", &[0.0, 10.0], &[-1.0, 11.0]),
            ("~:10", &[-1e9, 10.0], &[10.1]),
            ("10:20", &[10.0, 20.0], &[9.9, 20.1]),
            ("@10:20", &[9.9, 20.1], &[10.0, 20.0]),
            ("@~:0", &[0.1], &[0.0, -5.0]),
            ("0.5", &[0.5], &[0.6]),
        ] {
            let range: Range = text.parse().unwrap();
            assert!(well.iter().all(|value| !range.alerts(*value)), "{text}");
            assert!(bad.iter().all(|value| range.alerts(*value)), "{text}");
        }
    }

    #[test]
    fn ranges_are_shown_as_they_are_written() {
        for text in ["10", "10:", "~:10", "10:20", "@10:20", "@10", "~:", "0:"] {
            let range: Range = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "", "x", "10:x", "20:10", "@", "~", "nan", "inf", "1:2:3", "10:~",
        ] {
            assert!(text.parse::<Range>().is_err(), "{text}");
        }
    }
}
