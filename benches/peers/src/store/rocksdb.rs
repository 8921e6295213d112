//! RocksDB, by the crate rocksdb.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, CompactOptions, DB, DBCompressionType,
    Options, WaitForCompactOptions, WriteOptions,
};

use super::{BLOCK, BLOOM_BITS, CACHE, Settings, Store};

struct Rocks {
    db: DB,
    write: WriteOptions,
}

pub(super) fn open(dir: &Path, settings: Settings) -> Box<dyn Store> {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(CACHE));
    table.set_block_size(BLOCK);
    table.set_bloom_filter(f64::from(BLOOM_BITS), false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(settings.memtable);
    options.set_max_write_buffer_number(2);
    options.set_max_background_jobs(4);
    options.set_compression_type(DBCompressionType::None);
    options.set_block_based_table_factory(&table);
    let mut write = WriteOptions::default();
    write.set_sync(settings.durable);
    let db = DB::open(&options, dir).unwrap();
    Box::new(Rocks { db, write })
}

impl Store for Rocks {
    fn put(&self, key: &[u8], value: &[u8]) {
        self.db.put_opt(key, value, &self.write).unwrap();
    }

    fn get(&self, key: &[u8], seen: &mut dyn FnMut(&[u8])) -> bool {
        let found = self.db.get_pinned(key).unwrap();
        found.inspect(|value| seen(value)).is_some()
    }

    fn scan(&self, seen: &mut dyn FnMut(&[u8], &[u8])) {
        let mut entries = self.db.raw_iterator();
        entries.seek_to_first();
        while let Some((key, value)) = entries.item() {
            seen(key, value);
            entries.next();
        }
        entries.status().unwrap();
    }

    fn flush(&self) {
        self.db.flush().unwrap();
    }

    fn compact(&self) {
        self.flush();
        let mut options = CompactOptions::default();
        // Else what is at the bottom already stays as it is.
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.db
            .compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
        self.db
            .wait_for_compact(&WaitForCompactOptions::default())
            .unwrap();
    }
}
