//! How far long work has come, on standard error when that is a terminal; in a pipe, nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use crate::storage::verify;
use crate::storage::{AtlasError, DirEntry, DirLock, Disk, DiskFile, Ownership};

pub(super) use crate::storage::verify::bytes_to_read;

/// With a known end, and without: bytes, then operations.
const WITH_TOTAL: &str =
    "{msg} {bar:24} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
const WITHOUT_TOTAL: &str = "{msg} {spinner}  {bytes}  {bytes_per_sec}  {elapsed}";
const COUNTING_WITH_TOTAL: &str =
    "{msg} {bar:24} {percent:>3} %  {human_pos} of {human_len}  {per_sec}  {eta} left";
const COUNTING_WITHOUT_TOTAL: &str = "{msg} {spinner}  {human_pos}  {per_sec}  {elapsed}";

#[derive(Debug, Args)]
pub(super) struct ProgressArgument {
    /// Show no progress on a terminal (elsewhere there is none).
    #[arg(long)]
    no_progress: bool,
}

/// A bar that goes away when it is dropped.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn none() -> Bar {
        Bar(ProgressBar::hidden())
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// So much is done in all.
    pub(super) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Begins anew, towards `total` bytes.
    pub(super) fn begin(&self, total: u64) {
        self.0.set_length(total);
        self.0.set_position(0);
        self.0.reset_eta();
    }

    /// Takes the bar away: what is written next stands alone.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.end();
    }
}

impl ProgressArgument {
    /// A bar towards `total` bytes, if somebody is there to look at it.
    pub(super) fn start(&self, what: &'static str, total: Option<u64>, output: &Output) -> Bar {
        self.bar(what, total, [WITH_TOTAL, WITHOUT_TOTAL], output)
    }

    /// The same towards `total` operations.
    pub(super) fn start_counting(
        &self,
        what: &'static str,
        total: Option<u64>,
        output: &Output,
    ) -> Bar {
        let templates = [COUNTING_WITH_TOTAL, COUNTING_WITHOUT_TOTAL];
        self.bar(what, total, templates, output)
    }

    fn bar(
        &self,
        what: &'static str,
        total: Option<u64>,
        [with_total, without_total]: [&str; 2],
        output: &Output,
    ) -> Bar {
        if self.no_progress || output.is_json() {
            return Bar::none();
        }
        // It draws on standard error, and only if that is a terminal.
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let template = total.map_or(without_total, |_| with_total);
        // A template that is wrong is seen by the tests; people see a plain bar.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Bar(bar)
    }
}

/// The machine's disk, with every byte that is read from tables and segments told to a bar.
#[derive(Debug)]
pub(super) struct WatchedDisk<D> {
    pub(super) disk: D,
    pub(super) bar: Arc<Bar>,
}

impl<D: Disk> Disk for WatchedDisk<D> {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path)?;
        if !verify::is_read_whole(path) {
            return Ok(file);
        }
        let bar = Arc::clone(&self.bar);
        Ok(Arc::new(WatchedFile { file, bar }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(path)
    }

    fn ownership(&self, path: &Path) -> io::Result<Option<Ownership>> {
        self.disk.ownership(path)
    }

    fn lock(&self, dir: &Path) -> Result<DirLock, AtlasError> {
        self.disk.lock(dir)
    }

    fn random(&self) -> io::Result<u64> {
        self.disk.random()
    }

    fn free_space(&self, dir: &Path) -> io::Result<Option<u64>> {
        self.disk.free_space(dir)
    }
}

#[derive(Debug)]
struct WatchedFile {
    file: Arc<dyn DiskFile>,
    bar: Arc<Bar>,
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        self.bar.advance(crate::storage::disk::count(read));
        Ok(read)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn preallocate(&self, length: u64) -> io::Result<()> {
        self.file.preallocate(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{RealDisk, disk};

    #[test]
    fn the_templates_are_sound() {
        let counting = [COUNTING_WITH_TOTAL, COUNTING_WITHOUT_TOTAL];
        for template in [WITH_TOTAL, WITHOUT_TOTAL].into_iter().chain(counting) {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn what_is_read_of_tables_and_segments_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        for (name, length) in [("1.sst", 100), ("2.log", 50), ("MANIFEST", 25)] {
            let file = RealDisk.create(&dir.path().join(name)).unwrap();
            disk::write_full(&*file, &vec![7; length], 0).unwrap();
        }
        assert_eq!(bytes_to_read(&RealDisk, dir.path()), 150);
        let bar = Arc::new(Bar(ProgressBar::hidden()));
        let watched = WatchedDisk {
            disk: RealDisk,
            bar: Arc::clone(&bar),
        };
        for name in ["1.sst", "2.log", "MANIFEST"] {
            let file = watched.open(&dir.path().join(name)).unwrap();
            disk::read_full(&*file, &mut [0; 1000], 0).unwrap();
        }
        assert_eq!(bar.0.position(), 150);
    }
}
