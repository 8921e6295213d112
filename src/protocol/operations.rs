//! What the answers to the operator's questions hold: configuration, reload, slow requests.

use bytes::Bytes;

use super::ProtocolError;
use super::field::{Reader, Sink};

/// Bytes of its key that a [`SlowRequest`] keeps.
pub const SLOW_KEY_BYTES: usize = 64;

/// One key of the configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigItem {
    /// Section and key: `server.listen`.
    pub key: String,
    /// Its value, as a configuration file states it.
    pub value: String,
    /// Where the value comes from: `default`, a flag, or a file.
    pub origin: String,
}

/// What a reload of the configuration did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// Keys whose new value is in force.
    pub changed: Vec<String>,
    /// Keys whose new value needs a restart; the old one stays in force until then.
    pub needs_restart: Vec<String>,
}

/// A request that took long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowRequest {
    /// When it was answered, in microseconds since 1970.
    pub unix_us: u64,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// What was asked: an opcode.
    pub opcode: u8,
    /// Bytes of the key; 0 when the request has none.
    pub key_length: u32,
    /// The first bytes of the key, at most [`SLOW_KEY_BYTES`].
    pub key: Bytes,
    /// Bytes of the value, or of all values.
    pub value_bytes: u64,
    /// Who asked: the address of the client, or that it was the Unix socket.
    pub peer: String,
}

/// The lowest rate of a verification, in bytes a second: below it one would take years.
pub const LEAST_VERIFY_RATE: u64 = 1 << 20;

/// How far the latest verification of the store's files is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerificationStatus {
    /// How many were begun since the server started; 0: none, and nothing else means anything.
    pub runs: u64,
    /// Whether it is under way.
    pub running: bool,
    /// When it began, in seconds since 1970.
    pub started_unix_s: u64,
    /// How long it took, or takes already, in milliseconds.
    pub duration_ms: u64,
    /// Bytes that it has read.
    pub bytes: u64,
    /// Bytes that there were to read when it began, about.
    pub total_bytes: u64,
    /// Bytes that it reads in a second, at most.
    pub rate: u64,
    /// Whether it was under way already when [`Request::VerifyStart`](crate::protocol::Request) asked for one.
    pub joined: bool,
    /// What it came to: `sound`, `torn-tail`, `repairable`, `unreadable`, `damaged`, or `failed` when it
    /// could not be done; empty while it is under way.
    pub verdict: String,
    /// What is wrong, a sentence each; of many the first.
    pub findings: Vec<String>,
}

/// The shortest elements of lists, in bytes.
pub(super) const LEAST_ITEM: usize = 4 + 4 + 4;
pub(super) const LEAST_SLOW: usize = 8 + 8 + 1 + 4 + 4 + 8 + 4;
const LEAST_NAME: usize = 4;

impl ConfigItem {
    pub(super) fn write(&self, out: &mut impl Sink) {
        out.text(&self.key);
        out.text(&self.value);
        out.text(&self.origin);
    }

    pub(super) fn read(fields: &mut Reader<'_>) -> Result<ConfigItem, ProtocolError> {
        Ok(ConfigItem {
            key: fields.text("key")?.to_owned(),
            value: fields.text("value")?.to_owned(),
            origin: fields.text("origin")?.to_owned(),
        })
    }
}

impl ReloadReport {
    pub(super) fn write(&self, out: &mut impl Sink) {
        for keys in [&self.changed, &self.needs_restart] {
            out.length(keys.len());
            keys.iter().for_each(|key| out.text(key));
        }
    }

    pub(super) fn read(fields: &mut Reader<'_>) -> Result<ReloadReport, ProtocolError> {
        let mut keys = |field| {
            fields.list(field, LEAST_NAME, |fields| {
                Ok(fields.text(field)?.to_owned())
            })
        };
        Ok(ReloadReport {
            changed: keys("changed")?,
            needs_restart: keys("needs_restart")?,
        })
    }
}

impl SlowRequest {
    pub(super) fn write(&self, out: &mut impl Sink) {
        out.u64(self.unix_us);
        out.u64(self.duration_us);
        out.u8(self.opcode);
        out.u32(self.key_length);
        out.bytes(&self.key);
        out.u64(self.value_bytes);
        out.text(&self.peer);
    }

    pub(super) fn read(fields: &mut Reader<'_>) -> Result<SlowRequest, ProtocolError> {
        Ok(SlowRequest {
            unix_us: fields.u64("unix_us")?,
            duration_us: fields.u64("duration_us")?,
            opcode: fields.u8("opcode")?,
            key_length: fields.u32("key_length")?,
            key: Bytes::copy_from_slice(fields.bytes("key")?),
            value_bytes: fields.u64("value_bytes")?,
            peer: fields.text("peer")?.to_owned(),
        })
    }
}

impl VerificationStatus {
    pub(super) fn write(&self, out: &mut impl Sink) {
        out.u64(self.runs);
        out.bool(self.running);
        out.u64(self.started_unix_s);
        out.u64(self.duration_ms);
        out.u64(self.bytes);
        out.u64(self.total_bytes);
        out.u64(self.rate);
        out.bool(self.joined);
        out.text(&self.verdict);
        out.length(self.findings.len());
        self.findings.iter().for_each(|finding| out.text(finding));
    }

    /// How much of it is done, in percent, about: it also reads what is written meanwhile.
    #[must_use]
    pub fn percent(&self) -> u64 {
        if !self.running {
            return 100;
        }
        let percent = u128::from(self.bytes) * 100 / u128::from(self.total_bytes.max(1));
        u64::try_from(percent).map_or(99, |percent| percent.min(99))
    }

    pub(super) fn read(fields: &mut Reader<'_>) -> Result<VerificationStatus, ProtocolError> {
        Ok(VerificationStatus {
            runs: fields.u64("runs")?,
            running: fields.bool("running")?,
            started_unix_s: fields.u64("started_unix_s")?,
            duration_ms: fields.u64("duration_ms")?,
            bytes: fields.u64("bytes")?,
            total_bytes: fields.u64("total_bytes")?,
            rate: fields.u64("rate")?,
            joined: fields.bool("joined")?,
            verdict: fields.text("verdict")?.to_owned(),
            findings: fields.list("findings", LEAST_NAME, |fields| {
                Ok(fields.text("finding")?.to_owned())
            })?,
        })
    }
}
