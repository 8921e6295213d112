//! Showing what stands in one segment or one table, without a manifest and without a lock. It changes
//! nothing, and judges only what the file alone can say.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;

use super::disk::{self, Disk};
use super::error::{AtlasError, Result};
use super::file_name::{self, FileName};
use super::table::{self, TablePart, TableParts};
use super::wal::reader::SegmentReader;
use super::wal::{self, Kind};
use super::{Lsn, Operation};

/// Bytes of a file's begin that tell what it is.
const HEAD: usize = 16;

/// What stands in a file, in the file's order: its header first.
#[derive(Debug)]
pub enum Part<'a> {
    /// What the header says.
    Header(Header),
    /// An entry of a segment.
    LogEntry {
        /// Where it begins.
        offset: u64,
        /// Its LSN.
        lsn: Lsn,
        /// What it is: `operations`, `durable-mark` or `clean-mark`.
        kind: &'static str,
        /// Everything up to here was synced when it was written.
        durable_lsn: Lsn,
        /// Its changes, in order.
        operations: &'a [Operation<'a>],
    },
    /// An entry of a table.
    TableEntry {
        /// Where it begins.
        offset: u64,
        /// The LSN of the write that made it.
        lsn: Lsn,
        /// The key.
        key: &'a [u8],
        /// The value; `None`: a tombstone.
        value: Option<&'a [u8]>,
    },
    /// Bytes that should be something and are not.
    Damage {
        /// Where they begin.
        offset: u64,
        /// Where reading goes on, if the damage has an end.
        end: Option<u64>,
        /// What is wrong.
        detail: &'a str,
    },
    /// What stands behind the last entry of a segment.
    Rest {
        /// Where it begins.
        offset: u64,
        /// The end of the file.
        end: u64,
        /// Whether some of it is not zero: a torn write, or a damaged last one.
        is_torn: bool,
    },
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The header of a segment.
    Segment {
        /// Bytes of the file.
        bytes: u64,
        /// The format version.
        version: u32,
        /// The store's identity.
        database_id: [u8; 16],
        /// The file number.
        number: u64,
        /// What every entry of this segment carries.
        nonce: u64,
        /// The LSN of the first entry.
        first_lsn: Lsn,
    },
    /// The header of a table, and what its footer says.
    Table {
        /// Bytes of the file.
        bytes: u64,
        /// The format version.
        version: u32,
        /// The file's identity, which the manifest names too.
        file_id: u64,
        /// Entries, if the footer is sound.
        entries: Option<u64>,
    },
}

/// What a dump came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Valid entries.
    pub entries: u64,
    /// Damaged places.
    pub damaged_places: u64,
}

/// Takes each part; `Break` ends the dump.
pub type Sink<'a> = &'a mut dyn FnMut(&Part<'_>) -> ControlFlow<()>;

/// Shows each part of the segment or table at `path` to `sink`. Damage is a part, not an error. Memory is
/// bounded by the largest entry.
///
/// # Errors
/// `InvalidOption` when the file is neither by name nor by content; `NewerFormat`; `Corrupt` when a segment
/// ends within its header; `MissingFile`; `Io`.
pub fn dump(disk: &dyn Disk, path: &Path, sink: Sink<'_>) -> Result<Dumped> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let name = file_name::parse(name);
    let file = disk
        .open(path)
        .map_err(|error| AtlasError::io("open", path, error))?;
    let io = |error| AtlasError::io("read", path, error);
    let mut head = vec![0; HEAD];
    let read = disk::read_full(&*file, &mut head, 0).map_err(io)?;
    head.truncate(read);
    let bytes = file.length().map_err(io)?;
    let mut dump = Dump {
        sink,
        dumped: Dumped::default(),
    };
    // By content first: a file that was copied has any name. A damaged magic leaves the name.
    let is_segment = match (
        wal::stated_version(&head),
        table::stated_version(&head),
        &name,
    ) {
        (Some(_), _, _) | (None, None, FileName::Segment(_)) => true,
        (None, Some(_), _) | (None, None, FileName::Table(_)) => false,
        (None, None, _) => return Err(neither(path)),
    };
    // Whether the sink wanted all of it is the sink's affair.
    let _ended = match is_segment {
        true => dump.segment(disk, path, (bytes, name))?,
        false => dump.table(disk, path, bytes)?,
    };
    Ok(dump.dumped)
}

fn neither(path: &Path) -> AtlasError {
    AtlasError::InvalidOption {
        option: "the file",
        value: path.display().to_string(),
        rule: "it is neither a segment of the log nor a table".to_owned(),
    }
}

/// A dump under way. `Break` comes from the sink, and ends it without an error.
struct Dump<'a> {
    sink: Sink<'a>,
    dumped: Dumped,
}

type Flow = Result<ControlFlow<()>>;

impl Dump<'_> {
    fn show(&mut self, part: &Part<'_>) -> ControlFlow<()> {
        match part {
            Part::LogEntry { .. } | Part::TableEntry { .. } => self.dumped.entries += 1,
            Part::Damage { .. } => self.dumped.damaged_places += 1,
            Part::Header(_) | Part::Rest { .. } => {}
        }
        (self.sink)(part)
    }

    fn damage(&mut self, offset: u64, end: Option<u64>, detail: &str) -> ControlFlow<()> {
        self.show(&Part::Damage {
            offset,
            end,
            detail,
        })
    }

    fn table(&mut self, disk: &dyn Disk, path: &Path, bytes: u64) -> Flow {
        let mut parts = TableParts::open(disk, path)?;
        let (version, file_id) = parts.header();
        let mut flow = self.show(&Part::Header(Header::Table {
            bytes,
            version,
            file_id,
            entries: parts.stated_entries(),
        }));
        while flow.is_continue() {
            flow = match parts.next()? {
                None => break,
                Some(TablePart::Entry {
                    offset,
                    lsn,
                    key,
                    value,
                }) => self.show(&Part::TableEntry {
                    offset,
                    lsn,
                    key: &key,
                    value: value.as_deref(),
                }),
                Some(TablePart::Damage {
                    offset,
                    end,
                    detail,
                }) => self.damage(offset, end, &detail),
            };
        }
        Ok(flow)
    }

    fn segment(&mut self, disk: &dyn Disk, path: &Path, (bytes, name): (u64, FileName)) -> Flow {
        let (mut reader, damage) = SegmentReader::find(disk, path)?;
        let header = *reader.header();
        let mut flow = self.show(&Part::Header(Header::Segment {
            bytes,
            version: wal::VERSION,
            database_id: header.database_id,
            number: header.number,
            nonce: header.nonce,
            first_lsn: header.first_lsn,
        }));
        if let (Some(detail), ControlFlow::Continue(())) = (&damage, flow) {
            flow = self.damage(0, Some(reader.offset()), detail);
        } else if let (FileName::Segment(named), ControlFlow::Continue(())) = (name, flow)
            && named != header.number
        {
            let detail = format!("its header has file number {}", header.number);
            flow = self.damage(0, None, &detail);
        }
        // A damaged header does not say which LSN comes first.
        let mut expected = damage.is_none().then_some(header.first_lsn);
        while flow.is_continue() {
            flow = self.log_entry(&mut reader, &mut expected)?;
        }
        Ok(flow)
    }

    /// Shows what stands at the reader's place; `Break` at the end of the segment too.
    fn log_entry(&mut self, reader: &mut SegmentReader, expected: &mut Option<Lsn>) -> Flow {
        let offset = reader.offset();
        let Some(entry) = reader.next_any()? else {
            return self.no_entry(reader, expected);
        };
        if let Some(expected) = expected.replace(entry.lsn).filter(|it| *it != entry.lsn) {
            let detail = format!("LSN {}, where {expected} should stand", entry.lsn);
            if self.damage(offset, Some(offset), &detail).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        *expected = entry.lsn.next();
        Ok(self.show(&Part::LogEntry {
            offset,
            lsn: entry.lsn,
            kind: match entry.kind {
                Kind::Operations => "operations",
                Kind::DurableMark => "durable-mark",
                Kind::CleanMark => "clean-mark",
            },
            durable_lsn: entry.durable_lsn,
            operations: &entry.operations,
        }))
    }

    fn no_entry(&mut self, reader: &mut SegmentReader, expected: &mut Option<Lsn>) -> Flow {
        let offset = reader.offset();
        if let Some(next) = reader.find_entry(offset.saturating_add(1))? {
            reader.seek(next);
            *expected = None;
            return Ok(self.damage(
                offset,
                Some(next),
                "no valid entry, and a valid one follows",
            ));
        }
        let is_torn = reader.look_ahead(offset, &mut |_| {})?.used_to.is_some();
        let end = reader.end();
        if offset < end {
            let _ = self.show(&Part::Rest {
                offset,
                end,
                is_torn,
            });
        }
        Ok(ControlFlow::Break(()))
    }
}
