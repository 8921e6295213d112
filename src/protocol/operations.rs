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
