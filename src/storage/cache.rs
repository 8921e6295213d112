//! The block cache: pieces of tables that were read and checked, within a budget of bytes.
//!
//! Only reads of clients fill and use it. What checks the disk (flush, compaction, recovery, verify) reads the disk.
//! Pieces of tables that are gone are not asked for again and make room in their turn: no file number is given
//! twice.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::disk::count;
use super::table::Partition;

/// Bytes that a piece takes besides what it holds: its place, its pointers, the allocator's share.
const OVERHEAD: u64 = 96;
/// Pieces that room is made for before they come, whatever the budget is: how many parts the cache has, each
/// with a lock of its own, follows this number, and a reload that gives it a budget does not change it.
const FORESEEN: usize = 1 << 14;

/// Where a piece stands: number of the table file, and offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) file: u64,
    pub(crate) offset: u64,
}

/// A piece of a table, as it was checked when it was read.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    /// The entries of a span.
    Span(Bytes),
    /// What finds spans.
    Partition(Arc<Partition>),
}

/// What the cache counts. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheFigures {
    pub(crate) capacity: u64,
    pub(crate) used: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// The cache of a store, shared by all that read in it.
pub(crate) struct BlockCache {
    blocks: Cache<Place, Block, Weight, Mix, DefaultLifecycle<Place, Block>>,
}

impl BlockCache {
    /// A cache of at most so many bytes; 0: nothing is kept.
    pub(crate) fn new(capacity: usize) -> Arc<BlockCache> {
        let lifecycle = DefaultLifecycle::default();
        let blocks = Cache::with(FORESEEN, count(capacity), Weight, Mix, lifecycle);
        Arc::new(BlockCache { blocks })
    }

    /// What was kept of this place.
    pub(crate) fn get(&self, place: Place) -> Option<Block> {
        self.blocks.get(&place)
    }

    /// Keeps what stands at a place, if there is room for it.
    pub(crate) fn keep(&self, place: Place, block: Block) {
        self.blocks.insert(place, block);
    }

    /// Changes the budget; what is too much goes at once.
    pub(crate) fn resize(&self, capacity: usize) {
        self.blocks.set_capacity(count(capacity));
    }

    pub(crate) fn figures(&self) -> CacheFigures {
        CacheFigures {
            capacity: self.blocks.capacity(),
            used: self.blocks.weight(),
            hits: self.blocks.hits(),
            misses: self.blocks.misses(),
        }
    }
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.figures().fmt(out)
    }
}

/// Weighs pieces by their bytes.
#[derive(Clone)]
struct Weight;

impl Weighter<Place, Block> for Weight {
    fn weight(&self, _: &Place, block: &Block) -> u64 {
        OVERHEAD
            + match block {
                Block::Span(bytes) => count(bytes.len()),
                Block::Partition(partition) => partition.bytes(),
            }
    }
}

/// Hashes places. Their numbers are ours, so that nobody can choose them to collide: two multiplications do.
#[derive(Clone, Default)]
struct Mix;

impl BuildHasher for Mix {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(0)
    }
}

struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(32) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64) -> Place {
        Place { file: 1, offset }
    }

    fn span(length: usize) -> Block {
        Block::Span(Bytes::from(vec![7; length]))
    }

    #[test]
    fn it_never_holds_more_than_its_budget() {
        let cache = BlockCache::new(1 << 20);
        for offset in 0..2000 {
            cache.keep(place(offset), span(4096));
            assert!(cache.figures().used <= cache.figures().capacity);
        }
        assert!(cache.figures().used > 1 << 19, "{cache:?}");
        cache.resize(1 << 17);
        let figures = cache.figures();
        assert!(figures.used <= figures.capacity && figures.capacity <= (1 << 17) + 1024);
    }

    #[test]
    fn what_was_kept_is_found_at_its_place_alone() {
        let cache = BlockCache::new(1 << 20);
        cache.keep(place(5), span(10));
        assert!(matches!(cache.get(place(5)), Some(Block::Span(bytes)) if bytes.len() == 10));
        assert!(cache.get(place(6)).is_none());
        assert!(cache.get(Place { file: 2, offset: 5 }).is_none());
        let figures = cache.figures();
        assert_eq!((figures.hits, figures.misses), (1, 2));
        assert_eq!(figures.used, 10 + OVERHEAD);
    }

    #[test]
    fn without_a_budget_it_keeps_nothing() {
        let cache = BlockCache::new(0);
        cache.keep(place(5), span(10));
        assert!(cache.get(place(5)).is_none());
        assert_eq!(cache.figures().used, 0);
        cache.resize(1 << 16);
        cache.keep(place(5), span(10));
        assert!(cache.get(place(5)).is_some());
    }
}
