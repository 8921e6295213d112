//! The scans that a connection has open. They go with it.

use std::collections::HashMap;

use crate::storage::{AtlasError, Result, Scan};

/// Open scans of one connection.
const MAX_SCANS: usize = 16;

/// A connection's scans by the number the client knows them by.
#[derive(Debug, Default)]
pub(super) struct Scans {
    last: u64,
    open: HashMap<u64, Scan>,
}

impl Scans {
    /// Whether one more may be opened.
    ///
    /// # Errors
    /// [`AtlasError::TooManyScans`].
    pub(super) fn check_room(&self) -> Result<()> {
        if self.open.len() < MAX_SCANS {
            return Ok(());
        }
        Err(AtlasError::TooManyScans {
            limit: u64::try_from(MAX_SCANS).unwrap_or(u64::MAX),
        })
    }

    /// Keeps a scan under a number, from 1, that this connection has not used before.
    pub(super) fn keep(&mut self, scan: Scan) -> u64 {
        self.last += 1;
        self.open.insert(self.last, scan);
        self.last
    }

    /// Takes a scan out, to ask it for a page.
    ///
    /// # Errors
    /// [`AtlasError::ScanEnded`] when there is none of this number.
    pub(super) fn take(&mut self, number: u64) -> Result<Scan> {
        self.open.remove(&number).ok_or(AtlasError::ScanEnded {
            reason: "the connection has no scan of this number",
        })
    }

    /// Puts back a scan that `take` gave.
    pub(super) fn put_back(&mut self, number: u64, scan: Scan) {
        self.open.insert(number, scan);
    }

    /// Closes a scan; well also when it is not open.
    pub(super) fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }
}
