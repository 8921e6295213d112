//! AtlasKV, with its defaults: a memtable of 64 MiB, compression off.

use std::path::Path;

use atlaskv::storage::{Engine, Options, RealDisk, ScanRange, WalSyncStrategy};

use super::{Settings, Store};

const PAGE_ENTRIES: usize = 4096;
const PAGE_BYTES: usize = 1 << 20;

struct Atlaskv(Engine);

pub(super) fn open(dir: &Path, settings: Settings) -> Box<dyn Store> {
    let options = Options {
        sync: if settings.durable {
            WalSyncStrategy::EveryWrite
        } else {
            WalSyncStrategy::OsDefault
        },
        memtable_size: settings.memtable,
        segment_size: settings.memtable,
        ..Options::default()
    };
    Box::new(Atlaskv(
        Engine::open(RealDisk::shared(), dir, options).unwrap(),
    ))
}

impl Store for Atlaskv {
    fn put(&self, key: &[u8], value: &[u8]) {
        self.0.put(key, value).unwrap();
    }

    fn get(&self, key: &[u8], seen: &mut dyn FnMut(&[u8])) -> bool {
        let found = self.0.get(key).unwrap();
        found.inspect(|found| seen(&found.value)).is_some()
    }

    fn scan(&self, seen: &mut dyn FnMut(&[u8], &[u8])) {
        let mut scan = self.0.scan(&ScanRange::default()).unwrap();
        loop {
            let page = scan.next_page(PAGE_ENTRIES, PAGE_BYTES, &mut |_| Ok(()));
            let page = page.unwrap();
            page.entries
                .iter()
                .for_each(|(key, value, _)| seen(key, value));
            if page.done {
                break;
            }
        }
    }

    fn flush(&self) {
        self.0.flush().unwrap();
    }

    fn compact(&self) {
        self.0.compact().unwrap();
    }
}
