//! The keys that scan and export cover.

use std::ffi::OsString;

use clap::Args;

use super::Result;
use super::point::bytes;
use crate::client::ScanOptions;

#[derive(Debug, Args)]
pub(super) struct Range {
    /// Only keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// The first key, inclusive.
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// The end, exclusive.
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
}

impl Range {
    /// The scan of these keys, forward and to the end.
    pub(super) fn options(&self, as_hex: bool) -> Result<ScanOptions> {
        let key = |given: &Option<OsString>| {
            let given = given.as_deref();
            given.map(|given| bytes(given, as_hex)).transpose()
        };
        Ok(ScanOptions {
            from: key(&self.from)?,
            to: key(&self.to)?,
            prefix: key(&self.prefix)?.unwrap_or_default(),
            ..ScanOptions::default()
        })
    }
}
