//! The values of a configuration that are more than a number or a text.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use serde::de::{self, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::storage::{WalSyncStrategy, disk};

/// A number of bytes: an integer, or text such as `"64 MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 5] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const SIZE_RULE: &str =
    "a size: bytes as a whole number, or text such as \"64 MiB\" (B, KiB, MiB, GiB, TiB)";

impl Size {
    /// So many MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Size {
        Size(count << 20)
    }

    /// A length in memory.
    #[must_use]
    pub fn of(length: usize) -> Size {
        Size(disk::count(length))
    }

    /// As a length in memory; what does not fit is the largest length.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Size> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        let unit = unit.trim_start();
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| unit == *name || (unit.is_empty() && *name == "B"))?;
        number.checked_mul(*factor).map(Size)
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Size, &'static str> {
        Size::parse(text).ok_or(SIZE_RULE)
    }
}

impl fmt::Display for Size {
    /// In the largest unit that divides it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole =
            |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match UNITS.iter().rev().find(whole) {
            Some((unit, factor)) => write!(out, "{} {unit}", self.0 / factor),
            None => write!(out, "{} B", self.0),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Size, D::Error> {
        from.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(SIZE_RULE)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
        let wrong = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
        u64::try_from(number).map(Size).map_err(wrong)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
        Ok(Size(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        Size::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// When a write becomes durable, as the configuration and `--sync` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SyncPolicy {
    /// Before the answer.
    EveryWrite,
    /// In the background, every `sync_interval_ms`.
    Interval,
    /// When the operating system likes, or on request.
    OsDefault,
}

impl SyncPolicy {
    /// The engine's name for it.
    #[must_use]
    pub fn strategy(self, interval_ms: u64) -> WalSyncStrategy {
        match self {
            SyncPolicy::EveryWrite => WalSyncStrategy::EveryWrite,
            SyncPolicy::Interval => WalSyncStrategy::Interval { ms: interval_ms },
            SyncPolicy::OsDefault => WalSyncStrategy::OsDefault,
        }
    }
}

impl fmt::Display for SyncPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            SyncPolicy::EveryWrite => "every-write",
            SyncPolicy::Interval => "interval",
            SyncPolicy::OsDefault => "os-default",
        })
    }
}

impl From<WalSyncStrategy> for SyncPolicy {
    fn from(strategy: WalSyncStrategy) -> SyncPolicy {
        match strategy {
            WalSyncStrategy::EveryWrite => SyncPolicy::EveryWrite,
            WalSyncStrategy::Interval { .. } => SyncPolicy::Interval,
            WalSyncStrategy::OsDefault => SyncPolicy::OsDefault,
        }
    }
}

/// What the daemon does when a sync failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSyncFailure {
    /// Stays up and answers reads; writes are refused.
    ReadOnly,
    /// Exits with code 6, so that whoever supervises it can act.
    Exit,
}

/// The levels of the log, the most important first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// What went wrong.
    Error,
    /// And what may go wrong.
    Warn,
    /// And what was done.
    #[default]
    Info,
    /// And every connection.
    Debug,
}

/// Where the log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogTarget {
    /// To the journal when it is what standard error is connected to, else to standard error.
    #[default]
    Auto,
    /// To the journal, with fields.
    Journal,
    /// To the syslog socket.
    Syslog,
    /// To standard error.
    Stderr,
}

impl From<Level> for log::LevelFilter {
    fn from(level: Level) -> log::LevelFilter {
        match level {
            Level::Error => log::LevelFilter::Error,
            Level::Warn => log::LevelFilter::Warn,
            Level::Info => log::LevelFilter::Info,
            Level::Debug => log::LevelFilter::Debug,
        }
    }
}

/// Reads an address to listen on: an IP address, or `localhost`, and a port. Names are not looked up:
/// what the daemon listens on must not depend on a name server.
///
/// # Errors
/// A text that says what is allowed.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let local = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    local.as_deref().unwrap_or(text).parse().map_err(|_| {
        format!(
            "'{text}' is not an address to listen on: write an IP address and a port, for example \
             127.0.0.1:7390 or [::1]:7390"
        )
    })
}

/// Reads one of a few names, so that another type is refused as "expected a string".
pub(super) fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    let name = String::deserialize(from)?;
    T::deserialize(name.into_deserializer())
}

/// Writes a path as text; bytes that are none are replaced, as wherever a path is shown.
pub(super) fn path<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

/// Addresses as text in the file.
pub(super) mod address {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(address: &SocketAddr, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(address)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
        let text = String::deserialize(from)?;
        super::parse_address(&text).map_err(D::Error::custom)
    }
}

/// Addresses that may be left out: an empty text is none.
pub(super) mod optional_address {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        address: &Option<SocketAddr>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => to.collect_str(address),
            None => to.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        let address = super::parse_address(&text).map_err(D::Error::custom)?;
        Ok(Some(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64 KiB", 64 << 10),
            ("64MiB", 64 << 20),
            (" 1 GiB ", 1 << 30),
            ("17 B", 17),
        ] {
            assert_eq!(Size::parse(text), Some(Size(bytes)), "{text}");
        }
        for text in [
            "",
            "MiB",
            "-1",
            "1.5 MiB",
            "64 MB",
            "64 mib",
            "1 MiB x",
            "99999999 TiB",
        ] {
            assert_eq!(Size::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_divides_them() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1536 B"),
            (3 << 20, "3 MiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn names_are_not_looked_up() {
        assert_eq!(
            parse_address("localhost:1").unwrap(),
            parse_address("127.0.0.1:1").unwrap()
        );
        for text in [
            "",
            "7390",
            "127.0.0.1",
            "example.org:7390",
            ":7390",
            "127.0.0.1:99999",
        ] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }
}
