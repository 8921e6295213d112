//! No store at all: records appended to a preallocated file, each synced. What the disk gives at most.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use rustix::fs::{FallocateFlags, fallocate};

use super::Store;

const SIZE: u64 = 64 << 20;
/// A record of AtlasKV's log for a key of 16 bytes and a value of 100, about.
const RECORD: [u8; 136] = [0x5a; 136];

struct Bare {
    file: File,
    end: Mutex<u64>,
}

pub(super) fn open(dir: &Path) -> Box<dyn Store> {
    std::fs::create_dir_all(dir).unwrap();
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(true).write(true);
    let file = file.open(dir.join("bare.log")).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, SIZE).unwrap();
    file.sync_all().unwrap();
    Box::new(Bare {
        file,
        end: Mutex::new(0),
    })
}

impl Store for Bare {
    fn put(&self, _: &[u8], _: &[u8]) {
        let mut end = self.end.lock().unwrap();
        self.file.write_all_at(&RECORD, *end).unwrap();
        self.file.sync_data().unwrap();
        *end = (*end + RECORD.len() as u64) % (SIZE - RECORD.len() as u64);
    }

    fn get(&self, _: &[u8], _: &mut dyn FnMut(&[u8])) -> bool {
        unimplemented!("a bare log is only written")
    }

    fn scan(&self, _: &mut dyn FnMut(&[u8], &[u8])) {
        unimplemented!("a bare log is only written")
    }

    fn flush(&self) {}

    fn compact(&self) {}
}
