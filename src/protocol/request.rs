//! Requests: what a client asks.

use super::field::{Counter, Reader, Sink};
use super::frame::{self, Frame};
use super::opcode::request as opcode;
use super::{COUNTED_HEADER, ProtocolError, Token};

/// A request. Keys and values are borrowed from the frame. LSNs are 64 bits, as in answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Is anybody there.
    Ping,
    /// Who asks, and the newest version it speaks; answered with the server's version and limits.
    Hello {
        /// Name and version of the client, for logs.
        client: &'a str,
        /// The newest protocol version that the client speaks.
        max_version: u8,
        /// The secret that the server may want; `None`: the field is not there.
        token: Option<Token>,
    },
    /// Wait until a write and all before it are durable.
    Sync {
        /// The write's LSN; `None`: everything written so far.
        lsn: Option<u64>,
    },
    /// The store's figures.
    Stats,
    /// A key's value.
    Get {
        /// The key.
        key: &'a [u8],
    },
    /// Set a key's value.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its value from now on.
        value: &'a [u8],
    },
    /// Remove a key's value; well also when it had none.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// Whether a key has a value.
    Exists {
        /// The key.
        key: &'a [u8],
    },
    /// The values of several keys, all of one state.
    MultiGet {
        /// The keys; the answer has their order.
        keys: Vec<&'a [u8]>,
    },
    /// Several changes, all or none, with one LSN; done in order.
    Batch {
        /// The changes.
        operations: Vec<BatchOperation<'a>>,
    },
    /// Set a value where there is none.
    PutIfAbsent {
        /// The key.
        key: &'a [u8],
        /// Its value from now on.
        value: &'a [u8],
    },
    /// Set or remove a value if it is as expected.
    CompareAndSwap {
        /// The key.
        key: &'a [u8],
        /// What must hold.
        expected: Expected<'a>,
        /// The value from now on; `None`: removed.
        new: Option<&'a [u8]>,
    },
    /// Open a scan of the present state; answered with its first page.
    ScanOpen {
        /// The first key, inclusive; `None`: from the first of all.
        from: Option<&'a [u8]>,
        /// The end, exclusive; `None`: to the last of all.
        to: Option<&'a [u8]>,
        /// Only keys that begin so; empty: all.
        prefix: &'a [u8],
        /// From the last key to the first.
        reverse: bool,
        /// At most this many entries in all pages; 0: no limit.
        limit: u64,
        /// At most this many entries in a page; 0: the server's choice.
        max_entries: u32,
        /// About this many bytes of keys and values in a page; 0: the server's choice.
        max_bytes: u32,
    },
    /// The next page of a scan.
    ScanNext {
        /// The scan, from the page before.
        scan: u64,
        /// As for `ScanOpen`.
        max_entries: u32,
        /// As for `ScanOpen`.
        max_bytes: u32,
    },
    /// Close a scan before its end; well also when it has ended.
    ScanClose {
        /// The scan.
        scan: u64,
    },
    /// Administrative: write what is in memory to tables.
    Flush,
    /// Administrative: merge all tables into one.
    Compact,
    /// Administrative: the files in quarantine.
    QuarantineList,
    /// Administrative: remove the files in quarantine; answered with what was removed.
    QuarantinePurge,
    /// Administrative: the configuration in force.
    Config,
    /// Administrative: read the configuration again and apply what can change while the server runs.
    Reload,
    /// Administrative: requests that took long, the latest first.
    Slowlog {
        /// At most this many; 0: all that are kept.
        limit: u32,
    },
    /// Administrative: begin to verify the store's files, unless that is under way.
    VerifyStart {
        /// At most so many bytes in a second; 0: the server's rate, which is the highest.
        rate: u64,
    },
    /// Administrative: how far the latest verification is.
    VerifyStatus,
}

/// One change of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOperation<'a> {
    /// Set a key's value. Kind 1.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// Remove a key's value. Kind 2.
    Delete {
        /// The key.
        key: &'a [u8],
    },
}

/// What must hold of a key for a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// It has no value. Kind 0.
    Absent,
    /// It has exactly this value. Kind 1.
    Value(&'a [u8]),
    /// Its value was set by the write with this LSN. Kind 2.
    Version(u64),
}

/// Kinds of [`BatchOperation`].
const BATCH_PUT: u8 = 1;
const BATCH_DELETE: u8 = 2;
/// Kinds of [`Expected`].
const EXPECT_ABSENT: u8 = 0;
const EXPECT_VALUE: u8 = 1;
const EXPECT_VERSION: u8 = 2;
/// The shortest key in a list, an empty one: its length alone.
const LEAST_KEY: usize = 4;
/// The shortest operation in a batch: kind and an empty key.
const LEAST_OPERATION: usize = 1 + LEAST_KEY;

impl<'a> Request<'a> {
    /// The opcode.
    #[must_use]
    pub fn opcode(&self) -> u8 {
        match self {
            Request::Ping => opcode::PING,
            Request::Hello { .. } => opcode::HELLO,
            Request::Sync { .. } => opcode::SYNC,
            Request::Stats => opcode::STATS,
            Request::Get { .. } => opcode::GET,
            Request::Put { .. } => opcode::PUT,
            Request::Delete { .. } => opcode::DELETE,
            Request::Exists { .. } => opcode::EXISTS,
            Request::MultiGet { .. } => opcode::MULTI_GET,
            Request::Batch { .. } => opcode::BATCH,
            Request::PutIfAbsent { .. } => opcode::PUT_IF_ABSENT,
            Request::CompareAndSwap { .. } => opcode::COMPARE_AND_SWAP,
            Request::ScanOpen { .. } => opcode::SCAN_OPEN,
            Request::ScanNext { .. } => opcode::SCAN_NEXT,
            Request::ScanClose { .. } => opcode::SCAN_CLOSE,
            Request::Flush => opcode::FLUSH,
            Request::Compact => opcode::COMPACT,
            Request::QuarantineList => opcode::QUARANTINE_LIST,
            Request::QuarantinePurge => opcode::QUARANTINE_PURGE,
            Request::Config => opcode::CONFIG,
            Request::Reload => opcode::RELOAD,
            Request::Slowlog { .. } => opcode::SLOWLOG,
            Request::VerifyStart { .. } => opcode::VERIFY_START,
            Request::VerifyStatus => opcode::VERIFY_STATUS,
        }
    }

    /// Whether only the Unix socket may carry it.
    #[must_use]
    pub fn is_administrative(&self) -> bool {
        matches!(
            self,
            Request::Flush
                | Request::Compact
                | Request::QuarantineList
                | Request::QuarantinePurge
                | Request::Config
                | Request::Reload
                | Request::Slowlog { .. }
                | Request::VerifyStart { .. }
                | Request::VerifyStatus
        )
    }

    /// Whether it can change a key's value.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Request::Put { .. }
                | Request::Delete { .. }
                | Request::Batch { .. }
                | Request::PutIfAbsent { .. }
                | Request::CompareAndSwap { .. }
        )
    }

    /// The length field of this request's frame, in bytes.
    #[must_use]
    pub fn frame_length(&self) -> u64 {
        let mut counter = Counter::default();
        self.write(&mut counter);
        counter.0.saturating_add(u64::from(COUNTED_HEADER))
    }

    /// Appends the request's frame.
    ///
    /// # Errors
    /// [`ProtocolError::FrameTooLarge`] when it is over `limit`; nothing is appended then.
    pub fn encode(
        &self,
        request_id: u32,
        limit: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let mut counter = Counter::default();
        self.write(&mut counter);
        frame::encode_header(self.opcode(), request_id, counter.0, limit, out)?;
        self.write(out);
        Ok(())
    }

    fn write(&self, out: &mut impl Sink) {
        match self {
            Request::Ping
            | Request::Stats
            | Request::Flush
            | Request::Compact
            | Request::QuarantineList
            | Request::QuarantinePurge
            | Request::Config
            | Request::Reload
            | Request::VerifyStatus => {}
            Request::VerifyStart { rate } => out.u64(*rate),
            Request::Slowlog { limit } => out.u32(*limit),
            Request::Hello {
                client,
                max_version,
                token,
            } => {
                out.text(client);
                out.u8(*max_version);
                if let Some(token) = token {
                    out.bytes(token.as_bytes());
                }
            }
            Request::Sync { lsn } => {
                out.bool(lsn.is_some());
                if let Some(lsn) = lsn {
                    out.u64(*lsn);
                }
            }
            Request::Get { key } | Request::Delete { key } | Request::Exists { key } => {
                out.bytes(key);
            }
            Request::Put { key, value } | Request::PutIfAbsent { key, value } => {
                out.bytes(key);
                out.bytes(value);
            }
            Request::MultiGet { keys } => {
                out.length(keys.len());
                keys.iter().for_each(|key| out.bytes(key));
            }
            Request::Batch { operations } => {
                out.length(operations.len());
                operations.iter().for_each(|operation| operation.write(out));
            }
            Request::CompareAndSwap { key, expected, new } => {
                out.bytes(key);
                expected.write(out);
                out.option_bytes(*new);
            }
            Request::ScanOpen { .. } | Request::ScanNext { .. } | Request::ScanClose { .. } => {
                self.write_scan(out);
            }
        }
    }

    fn write_scan(&self, out: &mut impl Sink) {
        match self {
            Request::ScanOpen {
                from,
                to,
                prefix,
                reverse,
                limit,
                max_entries,
                max_bytes,
            } => {
                out.option_bytes(*from);
                out.option_bytes(*to);
                out.bytes(prefix);
                out.bool(*reverse);
                out.u64(*limit);
                out.u32(*max_entries);
                out.u32(*max_bytes);
            }
            Request::ScanNext {
                scan,
                max_entries,
                max_bytes,
            } => {
                out.u64(*scan);
                out.u32(*max_entries);
                out.u32(*max_bytes);
            }
            Request::ScanClose { scan } => out.u64(*scan),
            _ => {}
        }
    }

    /// Reads a request from its frame. `max_operations` bounds the operations of a batch and the keys
    /// of a multi-get before memory is taken for them.
    ///
    /// # Errors
    /// Any [`ProtocolError`] that is not about the frame: the connection can go on after it.
    pub fn decode(frame: &Frame<'a>, max_operations: u64) -> Result<Request<'a>, ProtocolError> {
        let mut fields = Reader::new(frame.payload);
        let request = match frame.code {
            opcode::PING => Request::Ping,
            opcode::HELLO => Request::Hello {
                client: fields.text("client")?,
                max_version: fields.u8("max_version")?,
                token: fields.last_if_any(|fields| Token::new(fields.bytes("token")?))?,
            },
            opcode::SYNC => Request::Sync {
                lsn: fields.option("lsn", |fields| fields.u64("lsn"))?,
            },
            opcode::STATS => Request::Stats,
            opcode::GET..=opcode::COMPARE_AND_SWAP => {
                Request::read_data(frame.code, &mut fields, max_operations)?
            }
            opcode::SCAN_OPEN..=opcode::SCAN_CLOSE => Request::read_scan(frame.code, &mut fields)?,
            opcode::FLUSH => Request::Flush,
            opcode::COMPACT => Request::Compact,
            opcode::QUARANTINE_LIST => Request::QuarantineList,
            opcode::QUARANTINE_PURGE => Request::QuarantinePurge,
            opcode::CONFIG => Request::Config,
            opcode::RELOAD => Request::Reload,
            opcode::SLOWLOG => Request::Slowlog {
                limit: fields.u32("limit")?,
            },
            opcode::VERIFY_START => Request::VerifyStart {
                rate: fields.u64("rate")?,
            },
            opcode::VERIFY_STATUS => Request::VerifyStatus,
            opcode => return Err(ProtocolError::UnknownOpcode { opcode }),
        };
        fields.finish()?;
        Ok(request)
    }

    fn read_data(
        opcode: u8,
        fields: &mut Reader<'a>,
        max_operations: u64,
    ) -> Result<Request<'a>, ProtocolError> {
        if opcode == opcode::MULTI_GET {
            let count = operations(fields, LEAST_KEY, max_operations)?;
            let keys = (0..count).map(|_| fields.bytes("key"));
            return Ok(Request::MultiGet {
                keys: keys.collect::<Result<_, _>>()?,
            });
        }
        if opcode == opcode::BATCH {
            let count = operations(fields, LEAST_OPERATION, max_operations)?;
            if count == 0 {
                return Err(ProtocolError::EmptyBatch);
            }
            let operations = (0..count).map(|_| BatchOperation::read(fields));
            return Ok(Request::Batch {
                operations: operations.collect::<Result<_, _>>()?,
            });
        }
        let key = fields.bytes("key")?;
        Ok(match opcode {
            opcode::GET => Request::Get { key },
            opcode::DELETE => Request::Delete { key },
            opcode::EXISTS => Request::Exists { key },
            opcode::PUT => Request::Put {
                key,
                value: fields.bytes("value")?,
            },
            opcode::PUT_IF_ABSENT => Request::PutIfAbsent {
                key,
                value: fields.bytes("value")?,
            },
            opcode::COMPARE_AND_SWAP => Request::CompareAndSwap {
                key,
                expected: Expected::read(fields)?,
                new: fields.option("new", |fields| fields.bytes("new"))?,
            },
            opcode => return Err(ProtocolError::UnknownOpcode { opcode }),
        })
    }

    fn read_scan(opcode: u8, fields: &mut Reader<'a>) -> Result<Request<'a>, ProtocolError> {
        Ok(match opcode {
            opcode::SCAN_OPEN => Request::ScanOpen {
                from: fields.option("from", |fields| fields.bytes("from"))?,
                to: fields.option("to", |fields| fields.bytes("to"))?,
                prefix: fields.bytes("prefix")?,
                reverse: fields.bool("reverse")?,
                limit: fields.u64("limit")?,
                max_entries: fields.u32("max_entries")?,
                max_bytes: fields.u32("max_bytes")?,
            },
            opcode::SCAN_NEXT => Request::ScanNext {
                scan: fields.u64("scan")?,
                max_entries: fields.u32("max_entries")?,
                max_bytes: fields.u32("max_bytes")?,
            },
            opcode::SCAN_CLOSE => Request::ScanClose {
                scan: fields.u64("scan")?,
            },
            opcode => return Err(ProtocolError::UnknownOpcode { opcode }),
        })
    }
}

/// The count of a batch or multi-get, within the limit and the bytes at hand.
fn operations(
    fields: &mut Reader<'_>,
    least: usize,
    max_operations: u64,
) -> Result<usize, ProtocolError> {
    let count = fields.count("count", least)?;
    let asked = u64::try_from(count).unwrap_or(u64::MAX);
    if asked > max_operations {
        return Err(ProtocolError::TooManyOperations {
            count: asked,
            limit: max_operations,
        });
    }
    Ok(count)
}

impl<'a> BatchOperation<'a> {
    /// The key that is changed.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        match *self {
            BatchOperation::Put { key, .. } | BatchOperation::Delete { key } => key,
        }
    }

    fn write(&self, out: &mut impl Sink) {
        match self {
            BatchOperation::Put { key, value } => {
                out.u8(BATCH_PUT);
                out.bytes(key);
                out.bytes(value);
            }
            BatchOperation::Delete { key } => {
                out.u8(BATCH_DELETE);
                out.bytes(key);
            }
        }
    }

    fn read(fields: &mut Reader<'a>) -> Result<BatchOperation<'a>, ProtocolError> {
        let field = "operation kind";
        match fields.u8(field)? {
            BATCH_PUT => Ok(BatchOperation::Put {
                key: fields.bytes("key")?,
                value: fields.bytes("value")?,
            }),
            BATCH_DELETE => Ok(BatchOperation::Delete {
                key: fields.bytes("key")?,
            }),
            value => Err(ProtocolError::BadValue { field, value }),
        }
    }
}

impl<'a> Expected<'a> {
    fn write(&self, out: &mut impl Sink) {
        match self {
            Expected::Absent => out.u8(EXPECT_ABSENT),
            Expected::Value(value) => {
                out.u8(EXPECT_VALUE);
                out.bytes(value);
            }
            Expected::Version(lsn) => {
                out.u8(EXPECT_VERSION);
                out.u64(*lsn);
            }
        }
    }

    fn read(fields: &mut Reader<'a>) -> Result<Expected<'a>, ProtocolError> {
        let field = "expected kind";
        match fields.u8(field)? {
            EXPECT_ABSENT => Ok(Expected::Absent),
            EXPECT_VALUE => Ok(Expected::Value(fields.bytes("expected value")?)),
            EXPECT_VERSION => Ok(Expected::Version(fields.u64("expected version")?)),
            value => Err(ProtocolError::BadValue { field, value }),
        }
    }
}
