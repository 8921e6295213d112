//! Scans.

use bytes::Bytes;

use super::Lsn;
use super::error::Result;

/// Which keys a scan covers, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanRange {
    /// The first key, inclusive; `None`: from the first of all.
    pub from: Option<Vec<u8>>,
    /// The end, exclusive; `None`: to the last of all.
    pub to: Option<Vec<u8>>,
    /// Only keys that begin with these bytes; empty: all.
    pub prefix: Vec<u8>,
    /// From the last key to the first.
    pub reverse: bool,
    /// At most this many entries in all; 0: no limit.
    pub limit: u64,
}

/// A part of a scan's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Key, value and LSN of each entry, in the scan's order.
    pub entries: Vec<(Bytes, Bytes, Lsn)>,
    /// Whether this was the last page.
    pub done: bool,
}

/// An open scan: it sees one state from its first entry to its last, and holds no lock between pages.
/// Dropping it closes it.
#[derive(Debug)]
pub struct Scan {}

impl Scan {
    /// The LSN of the state that the scan sees.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        Lsn::ZERO
    }

    /// The next entries: at most `max_entries`, and about `max_bytes` of keys and values (one entry is
    /// always given, however large). `admit` is asked before memory for a value of more than
    /// 64 KiB is taken.
    ///
    /// # Errors
    /// `ScanEnded` when a limit closed the scan; whatever reading can meet.
    pub fn next_page(
        &mut self,
        _max_entries: usize,
        _max_bytes: usize,
        _admit: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Page> {
        Ok(Page::default())
    }
}
