//! Scans.

use std::vec;

use super::Result;
use super::connection::Connection;
use crate::protocol::{Entry, Request, Response};

/// Which keys a scan covers, in which order, and how they are fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanOptions {
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
    /// Entries fetched at once; 0: the server's choice.
    pub page_entries: u32,
    /// Bytes fetched at once, about; 0: the server's choice.
    pub page_bytes: u32,
}

/// An open scan: an iterator over entries that all belong to one state of the store.
///
/// ```
/// # use atlaskv::client::{Client, ClientError, ClientOptions};
/// use atlaskv::client::ScanOptions;
///
/// # fn main() -> Result<(), ClientError> {
/// # let home = tempfile::tempdir().expect("a directory");
/// # let server = atlaskv::example::serve(home.path()).expect("a server");
/// # let mut client = Client::connect(&server.address().to_string(), ClientOptions::default())?;
/// let options = ScanOptions {
///     prefix: b"user:".to_vec(),
///     ..ScanOptions::default()
/// };
/// client.put(b"user:1", b"ann")?;
/// client.put(b"zebra", b"striped")?;
/// let entries = client.scan(&options)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(entries.len(), 1);
/// assert_eq!(entries[0].value, "ann");
/// # Ok(())
/// # }
/// ```
///
/// Dropping it before its end closes it on the server, without waiting. After an error it ends.
#[derive(Debug)]
pub struct Scan<'c> {
    connection: &'c mut Connection,
    /// The server's number; 0 when the scan has ended there.
    scan: u64,
    lsn: u64,
    page: vec::IntoIter<Entry>,
    page_entries: u32,
    page_bytes: u32,
}

impl<'c> Scan<'c> {
    pub(super) fn open(connection: &'c mut Connection, options: &ScanOptions) -> Result<Scan<'c>> {
        let answer = connection.ask(&Request::ScanOpen {
            from: options.from.as_deref(),
            to: options.to.as_deref(),
            prefix: &options.prefix,
            reverse: options.reverse,
            limit: options.limit,
            max_entries: options.page_entries,
            max_bytes: options.page_bytes,
        })?;
        let mut scan = Scan {
            connection,
            scan: 0,
            lsn: 0,
            page: Vec::new().into_iter(),
            page_entries: options.page_entries,
            page_bytes: options.page_bytes,
        };
        scan.take_page(answer)?;
        Ok(scan)
    }

    /// The LSN of the state that the scan sees.
    #[must_use]
    pub fn lsn(&self) -> u64 {
        self.lsn
    }

    fn take_page(&mut self, answer: Response) -> Result<()> {
        match answer {
            Response::ScanPage {
                scan,
                lsn,
                entries,
                done,
            } => {
                self.scan = if done { 0 } else { scan };
                self.lsn = lsn;
                self.page = entries.into_iter();
                Ok(())
            }
            other => Err(self.connection.unexpected(&other)),
        }
    }

    fn next_page(&mut self) -> Result<()> {
        let answer = self.connection.ask(&Request::ScanNext {
            scan: self.scan,
            max_entries: self.page_entries,
            max_bytes: self.page_bytes,
        })?;
        self.take_page(answer)
    }

    /// Asks the server to close the scan, without waiting for the answer.
    fn close(&mut self) {
        let scan = std::mem::take(&mut self.scan);
        if scan != 0 && self.connection.submit(&Request::ScanClose { scan }).is_ok() {
            self.connection.forget_pending();
            self.connection.send_now();
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            if self.scan == 0 {
                return None;
            }
            if let Err(error) = self.next_page() {
                self.close();
                return Some(Err(error));
            }
        }
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.close();
    }
}
