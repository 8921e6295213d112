//! fjall 3: one keyspace.

use std::path::Path;

use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{BLOCK, BLOOM_BITS, CACHE, Settings, Store};

/// What fjall keeps of journals by default; a fill of a larger log is given as much as its memtable.
const JOURNALS: u64 = 512 << 20;

struct Fjall {
    db: Database,
    keyspace: Keyspace,
    durable: bool,
}

pub(super) fn open(dir: &Path, settings: Settings) -> Box<dyn Store> {
    let journals = JOURNALS.max(2 * settings.memtable as u64);
    let db = Database::builder(dir)
        .cache_size(CACHE as u64)
        .max_journaling_size(journals)
        .open()
        .unwrap();
    let bloom = BloomConstructionPolicy::BitsPerKey(BLOOM_BITS);
    let options = || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(settings.memtable as u64)
            .data_block_size_policy(BlockSizePolicy::all(BLOCK as u32))
            .data_block_compression_policy(CompressionPolicy::disabled())
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(bloom)))
    };
    let keyspace = db.keyspace("measured", options).unwrap();
    Box::new(Fjall {
        db,
        keyspace,
        durable: settings.durable,
    })
}

impl Store for Fjall {
    fn put(&self, key: &[u8], value: &[u8]) {
        self.keyspace.insert(key, value).unwrap();
        if self.durable {
            self.db.persist(PersistMode::SyncData).unwrap();
        }
    }

    fn get(&self, key: &[u8], seen: &mut dyn FnMut(&[u8])) -> bool {
        let found = self.keyspace.get(key).unwrap();
        found.inspect(|value| seen(value)).is_some()
    }

    fn scan(&self, seen: &mut dyn FnMut(&[u8], &[u8])) {
        for entry in self.keyspace.iter() {
            let (key, value) = entry.into_inner().unwrap();
            seen(&key, &value);
        }
    }

    fn flush(&self) {
        self.keyspace.rotate_memtable_and_wait().unwrap();
    }

    fn compact(&self) {
        self.flush();
        self.keyspace.major_compact().unwrap();
    }
}
