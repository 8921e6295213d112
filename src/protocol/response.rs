//! Responses: what a server answers.

use bytes::Bytes;

use super::field::{Counter, Reader, Sink};
use super::frame::{self, Frame};
use super::opcode::status;
use super::operations::{
    ConfigItem, LEAST_ITEM, LEAST_SLOW, ReloadReport, SlowRequest, VerificationStatus,
};
use super::{COUNTED_HEADER, ErrorCode, ProtocolError};

/// An answer. LSNs are 64 bits: the epoch in the high 20, the counter in the low 44.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// To ping.
    Pong,
    /// To hello.
    Hello(ServerInfo),
    /// The key's value.
    Value {
        /// The LSN of the write that set it.
        lsn: u64,
        /// The value.
        value: Bytes,
    },
    /// The key has no value.
    NotFound,
    /// The write was done.
    Written {
        /// Its LSN.
        lsn: u64,
    },
    /// Whether the key has a value.
    Exists {
        /// Whether it has.
        exists: bool,
    },
    /// The values of several keys in the order asked, each with the LSN of the write that set it.
    Values(Vec<Option<(u64, Bytes)>>),
    /// The condition was not met and nothing was written.
    Refused {
        /// What the key has instead, with its LSN; `None`: no value.
        current: Option<(u64, Bytes)>,
    },
    /// A page of a scan.
    ScanPage {
        /// The scan to ask for the next page; 0 when this was the last.
        scan: u64,
        /// The LSN of the state that the scan sees.
        lsn: u64,
        /// The entries in the scan's order.
        entries: Vec<Entry>,
        /// Whether this was the last page; the scan is then closed.
        done: bool,
    },
    /// Everything up to here is durable.
    Synced {
        /// The durable LSN.
        lsn: u64,
    },
    /// The store's figures, each with its name.
    Stats(Vec<(String, StatValue)>),
    /// Done, and nothing to say.
    Done,
    /// What a compaction did.
    Compacted(CompactionReport),
    /// Files of the quarantine: name and bytes.
    Quarantine(Vec<(String, u64)>),
    /// The configuration in force.
    Config(Vec<ConfigItem>),
    /// What a reload did.
    Reloaded(ReloadReport),
    /// Requests that took long, the latest first.
    Slowlog(Vec<SlowRequest>),
    /// How far the latest verification is.
    Verification(VerificationStatus),
    /// The request failed.
    Error {
        /// What kind of failure.
        code: ErrorCode,
        /// What, where and what to do, for people.
        message: String,
    },
}

/// A server's version and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// The protocol version that the connection goes on with.
    pub version: u8,
    /// Name and version of the server.
    pub server: String,
    /// Its limits.
    pub limits: Limits,
    /// When a write becomes durable: `every-write`, `interval` or `os-default`.
    pub sync: String,
    /// The store's identity, 32 hexadecimal digits.
    pub database_id: String,
}

/// What a server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest key, in bytes.
    pub max_key_size: u64,
    /// The largest value, in bytes.
    pub max_value_size: u64,
    /// The most bytes of keys and values in one batch.
    pub max_batch_size: u64,
    /// The most operations in one batch, and keys in one multi-get.
    pub max_batch_operations: u64,
    /// The largest frame, as its length field says it, in bytes. Answers keep to it too.
    pub max_frame_size: u32,
}

/// An entry of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// The LSN of the write that set it.
    pub lsn: u64,
}

/// One of the store's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatValue {
    /// A count, bytes, or an LSN. Kind 0.
    Number(u64),
    /// A name. Kind 1.
    Text(String),
}

/// What a compaction of everything did. Sizes are in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// Tables before.
    pub tables_before: u64,
    /// Tables after.
    pub tables_after: u64,
    /// Bytes of tables before.
    pub bytes_before: u64,
    /// Bytes of tables after.
    pub bytes_after: u64,
    /// Entries before, shadowed ones and tombstones included.
    pub entries_before: u64,
    /// Entries after.
    pub entries_after: u64,
}

/// Kinds of [`StatValue`].
const STAT_NUMBER: u8 = 0;
const STAT_TEXT: u8 = 1;
/// The shortest elements of lists, in bytes: an absent value; an entry of an empty key and value with
/// its LSN; a figure with an empty name and text; a file with an empty name.
const LEAST_VALUE: usize = 1;
const LEAST_ENTRY: usize = 4 + 4 + 8;
const LEAST_STAT: usize = 4 + 1 + 4;
const LEAST_FILE: usize = 4 + 8;

impl Response {
    /// An error of this code.
    #[must_use]
    pub fn error(code: ErrorCode, message: impl Into<String>) -> Response {
        Response::Error {
            code,
            message: message.into(),
        }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Response::Pong => status::PONG,
            Response::Hello(_) => status::HELLO,
            Response::Value { .. } => status::VALUE,
            Response::NotFound => status::NOT_FOUND,
            Response::Written { .. } => status::WRITTEN,
            Response::Exists { .. } => status::EXISTS,
            Response::Values(_) => status::VALUES,
            Response::Refused { .. } => status::REFUSED,
            Response::ScanPage { .. } => status::SCAN_PAGE,
            Response::Synced { .. } => status::SYNCED,
            Response::Stats(_) => status::STATS,
            Response::Done => status::DONE,
            Response::Compacted(_) => status::COMPACTED,
            Response::Quarantine(_) => status::QUARANTINE,
            Response::Config(_) => status::CONFIG,
            Response::Reloaded(_) => status::RELOADED,
            Response::Slowlog(_) => status::SLOWLOG,
            Response::Verification(_) => status::VERIFICATION,
            Response::Error { .. } => status::ERROR,
        }
    }

    /// The length field of this answer's frame, in bytes.
    #[must_use]
    pub fn frame_length(&self) -> u64 {
        let mut counter = Counter::default();
        self.write(&mut counter);
        counter.0.saturating_add(u64::from(COUNTED_HEADER))
    }

    /// Appends the answer's frame; each value is copied once.
    ///
    /// # Errors
    /// [`ProtocolError::FrameTooLarge`] when it is over `limit`; nothing is appended then, and the
    /// request must be answered with [`ErrorCode::AnswerTooLarge`] instead.
    pub fn encode(
        &self,
        request_id: u32,
        limit: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let mut counter = Counter::default();
        self.write(&mut counter);
        frame::encode_header(self.status(), request_id, counter.0, limit, out)?;
        self.write(out);
        Ok(())
    }

    fn write(&self, out: &mut impl Sink) {
        match self {
            Response::Pong | Response::NotFound | Response::Done => {}
            Response::Hello(info) => info.write(out),
            Response::Value { lsn, value } => write_versioned(*lsn, value, out),
            Response::Written { lsn } | Response::Synced { lsn } => out.u64(*lsn),
            Response::Exists { exists } => out.bool(*exists),
            Response::Values(values) => {
                out.length(values.len());
                values.iter().for_each(|value| write_optional(value, out));
            }
            Response::Refused { current } => write_optional(current, out),
            Response::ScanPage {
                scan,
                lsn,
                entries,
                done,
            } => {
                out.u64(*scan);
                out.u64(*lsn);
                out.bool(*done);
                out.length(entries.len());
                entries.iter().for_each(|entry| entry.write(out));
            }
            Response::Stats(figures) => {
                out.length(figures.len());
                figures.iter().for_each(|(name, value)| {
                    out.text(name);
                    value.write(out);
                });
            }
            Response::Compacted(report) => report.write(out),
            Response::Quarantine(files) => {
                out.length(files.len());
                files.iter().for_each(|(name, bytes)| {
                    out.text(name);
                    out.u64(*bytes);
                });
            }
            Response::Config(items) => {
                out.length(items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Response::Reloaded(report) => report.write(out),
            Response::Slowlog(requests) => {
                out.length(requests.len());
                requests.iter().for_each(|request| request.write(out));
            }
            Response::Verification(verification) => verification.write(out),
            Response::Error { code, message } => {
                out.u16(code.number());
                out.text(message);
            }
        }
    }

    /// Reads an answer from its frame. Values are copied, so that keeping one keeps no page alive.
    ///
    /// # Errors
    /// Any [`ProtocolError`] that is not about the frame.
    pub fn decode(frame: &Frame<'_>) -> Result<Response, ProtocolError> {
        let mut fields = Reader::new(frame.payload);
        let response = match frame.code {
            status::PONG => Response::Pong,
            status::HELLO => Response::Hello(ServerInfo::read(&mut fields)?),
            status::VALUE => {
                let (lsn, value) = read_versioned(&mut fields)?;
                Response::Value { lsn, value }
            }
            status::NOT_FOUND => Response::NotFound,
            status::WRITTEN => Response::Written {
                lsn: fields.u64("lsn")?,
            },
            status::EXISTS => Response::Exists {
                exists: fields.bool("exists")?,
            },
            status::VALUES => Response::Values(fields.list("count", LEAST_VALUE, read_optional)?),
            status::REFUSED => Response::Refused {
                current: read_optional(&mut fields)?,
            },
            status::SCAN_PAGE => Response::read_page(&mut fields)?,
            status::SYNCED => Response::Synced {
                lsn: fields.u64("lsn")?,
            },
            status::STATS => Response::Stats(fields.list("count", LEAST_STAT, |fields| {
                Ok((fields.text("name")?.to_owned(), StatValue::read(fields)?))
            })?),
            status::DONE => Response::Done,
            status::COMPACTED => Response::Compacted(CompactionReport::read(&mut fields)?),
            status::QUARANTINE => {
                Response::Quarantine(fields.list("count", LEAST_FILE, |fields| {
                    Ok((fields.text("name")?.to_owned(), fields.u64("bytes")?))
                })?)
            }
            status::CONFIG => {
                Response::Config(fields.list("count", LEAST_ITEM, ConfigItem::read)?)
            }
            status::RELOADED => Response::Reloaded(ReloadReport::read(&mut fields)?),
            status::SLOWLOG => {
                Response::Slowlog(fields.list("count", LEAST_SLOW, SlowRequest::read)?)
            }
            status::VERIFICATION => Response::Verification(VerificationStatus::read(&mut fields)?),
            status::ERROR => Response::Error {
                code: ErrorCode::from_number(fields.u16("error code")?),
                message: fields.text("message")?.to_owned(),
            },
            status => return Err(ProtocolError::UnknownStatus { status }),
        };
        fields.finish()?;
        Ok(response)
    }

    fn read_page(fields: &mut Reader<'_>) -> Result<Response, ProtocolError> {
        Ok(Response::ScanPage {
            scan: fields.u64("scan")?,
            lsn: fields.u64("lsn")?,
            done: fields.bool("done")?,
            entries: fields.list("count", LEAST_ENTRY, Entry::read)?,
        })
    }
}

/// A value behind its LSN.
fn write_versioned(lsn: u64, value: &[u8], out: &mut impl Sink) {
    out.u64(lsn);
    out.bytes(value);
}

fn write_optional(value: &Option<(u64, Bytes)>, out: &mut impl Sink) {
    out.bool(value.is_some());
    if let Some((lsn, value)) = value {
        write_versioned(*lsn, value, out);
    }
}

fn read_versioned(fields: &mut Reader<'_>) -> Result<(u64, Bytes), ProtocolError> {
    let lsn = fields.u64("lsn")?;
    Ok((lsn, Bytes::copy_from_slice(fields.bytes("value")?)))
}

fn read_optional(fields: &mut Reader<'_>) -> Result<Option<(u64, Bytes)>, ProtocolError> {
    fields.option("present", read_versioned)
}

impl ServerInfo {
    fn write(&self, out: &mut impl Sink) {
        out.u8(self.version);
        out.text(&self.server);
        out.u64(self.limits.max_key_size);
        out.u64(self.limits.max_value_size);
        out.u64(self.limits.max_batch_size);
        out.u64(self.limits.max_batch_operations);
        out.u32(self.limits.max_frame_size);
        out.text(&self.sync);
        out.text(&self.database_id);
    }

    fn read(fields: &mut Reader<'_>) -> Result<ServerInfo, ProtocolError> {
        Ok(ServerInfo {
            version: fields.u8("version")?,
            server: fields.text("server")?.to_owned(),
            limits: Limits {
                max_key_size: fields.u64("max_key_size")?,
                max_value_size: fields.u64("max_value_size")?,
                max_batch_size: fields.u64("max_batch_size")?,
                max_batch_operations: fields.u64("max_batch_operations")?,
                max_frame_size: fields.u32("max_frame_size")?,
            },
            sync: fields.text("sync")?.to_owned(),
            database_id: fields.text("database_id")?.to_owned(),
        })
    }
}

impl Entry {
    fn write(&self, out: &mut impl Sink) {
        out.bytes(&self.key);
        out.u64(self.lsn);
        out.bytes(&self.value);
    }

    fn read(fields: &mut Reader<'_>) -> Result<Entry, ProtocolError> {
        let key = Bytes::copy_from_slice(fields.bytes("key")?);
        let (lsn, value) = read_versioned(fields)?;
        Ok(Entry { key, value, lsn })
    }
}

impl StatValue {
    fn write(&self, out: &mut impl Sink) {
        match self {
            StatValue::Number(number) => {
                out.u8(STAT_NUMBER);
                out.u64(*number);
            }
            StatValue::Text(text) => {
                out.u8(STAT_TEXT);
                out.text(text);
            }
        }
    }

    fn read(fields: &mut Reader<'_>) -> Result<StatValue, ProtocolError> {
        let field = "figure kind";
        match fields.u8(field)? {
            STAT_NUMBER => Ok(StatValue::Number(fields.u64("number")?)),
            STAT_TEXT => Ok(StatValue::Text(fields.text("text")?.to_owned())),
            value => Err(ProtocolError::BadValue { field, value }),
        }
    }
}

impl CompactionReport {
    fn write(&self, out: &mut impl Sink) {
        out.u64(self.tables_before);
        out.u64(self.tables_after);
        out.u64(self.bytes_before);
        out.u64(self.bytes_after);
        out.u64(self.entries_before);
        out.u64(self.entries_after);
    }

    fn read(fields: &mut Reader<'_>) -> Result<CompactionReport, ProtocolError> {
        Ok(CompactionReport {
            tables_before: fields.u64("tables_before")?,
            tables_after: fields.u64("tables_after")?,
            bytes_before: fields.u64("bytes_before")?,
            bytes_after: fields.u64("bytes_after")?,
            entries_before: fields.u64("entries_before")?,
            entries_after: fields.u64("entries_after")?,
        })
    }
}
