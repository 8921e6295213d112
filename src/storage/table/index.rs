//! What finds a key in a table: the directory of its sections, or, where it has none, a sparse index that is made
//! in memory only.

use super::HEADER_LENGTH;
use super::sections::Directory;
use crate::storage::disk::count;

/// Entries are indexed about once in so many bytes, while the limits allow it.
const SPACING: u64 = 16 * 1024;

/// What an index may hold; beyond it every second point goes, and the spacing doubles.
#[derive(Debug, Clone, Copy)]
struct Limits {
    points: usize,
    /// Bytes of all points' keys together.
    key_bytes: usize,
}

const LIMITS: Limits = Limits {
    points: 64 * 1024,
    key_bytes: 4 * 1024 * 1024,
};

/// The first entry of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    /// Above every key before the span, and not above its first: as short as that allows.
    separator: Box<[u8]>,
    /// Offset of the span in the file.
    offset: u64,
}

/// What a look-up in a table begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Index {
    /// Of a table without sections.
    Sparse(SparseIndex),
    /// Of a table with sections.
    Sections(Directory),
}

impl Index {
    /// Where the last entry ends.
    pub(super) fn end(&self) -> u64 {
        match self {
            Index::Sparse(index) => index.end,
            Index::Sections(directory) => directory.entries_end,
        }
    }
}

/// A sparse index: the table's entries in spans of at least the spacing's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SparseIndex {
    points: Vec<Point>,
    /// Where the last entry ends.
    end: u64,
}

impl SparseIndex {
    /// Where the last span begins that is before `end`, at which one ends.
    pub(super) fn start_before(&self, end: u64) -> u64 {
        let before = self.points.partition_point(|point| point.offset < end);
        self.span(before.saturating_sub(1)).0
    }

    /// Begin and end of the one span in which `key` stands if it is in the table.
    pub(super) fn span_of(&self, key: &[u8]) -> (u64, u64) {
        self.span(self.find(key))
    }

    /// Begin and end of a span, by its place.
    fn span(&self, place: usize) -> (u64, u64) {
        let offset = |place: usize| {
            self.points
                .get(place)
                .map_or(self.end, |point| point.offset)
        };
        (offset(place), offset(place.saturating_add(1)))
    }

    /// The place of the one span in which `key` stands if it is in the table.
    fn find(&self, key: &[u8]) -> usize {
        let after = self
            .points
            .partition_point(|point| &*point.separator <= key);
        // The first separator is empty, so nothing is before it.
        after.saturating_sub(1)
    }
}

/// Makes an index while entries pass by in order.
#[derive(Debug)]
pub(super) struct IndexBuilder {
    points: Vec<Point>,
    key_bytes: usize,
    spacing: u64,
    next_at: u64,
    limits: Limits,
}

impl IndexBuilder {
    pub(super) fn new() -> IndexBuilder {
        IndexBuilder::limited(LIMITS)
    }

    fn limited(limits: Limits) -> IndexBuilder {
        let next_at = count(HEADER_LENGTH);
        IndexBuilder {
            points: Vec::new(),
            key_bytes: 0,
            spacing: SPACING,
            next_at,
            limits,
        }
    }

    /// Takes notice of the entry at `offset`; `previous` is the key before, empty when there is none.
    pub(super) fn note(&mut self, previous: &[u8], key: &[u8], offset: u64) {
        if offset < self.next_at {
            return;
        }
        let separator: Box<[u8]> = if self.points.is_empty() {
            Box::default()
        } else {
            separator(previous, key).into()
        };
        self.key_bytes += separator.len();
        self.points.push(Point { separator, offset });
        if self.points.len() > self.limits.points || self.key_bytes > self.limits.key_bytes {
            self.thin();
        }
        self.next_at = self.points.last().map_or(0, |point| point.offset) + self.spacing;
    }

    /// The index of all entries noted; the last one ends at `end`.
    pub(super) fn finish(mut self, end: u64) -> SparseIndex {
        self.points.shrink_to_fit();
        SparseIndex {
            points: self.points,
            end,
        }
    }

    fn thin(&mut self) {
        let mut keep = false;
        self.points.retain(|_| {
            keep = !keep;
            keep
        });
        self.key_bytes = self.points.iter().map(|point| point.separator.len()).sum();
        self.spacing = self.spacing.saturating_mul(2);
    }
}

/// The shortest beginning of `key` that is above `previous`, which is below `key`.
pub(super) fn separator<'a>(previous: &[u8], key: &'a [u8]) -> &'a [u8] {
    let common = previous
        .iter()
        .zip(key)
        .take_while(|(left, right)| left == right)
        .count();
    key.get(..=common).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_separates() {
        assert_eq!(separator(b"apple", b"apricot"), b"apr");
        assert_eq!(separator(b"app", b"apple"), b"appl");
        assert_eq!(separator(b"", b"a"), b"a");
        assert_eq!(separator(b"a", b"b"), b"b");
    }

    #[test]
    fn the_index_stays_within_its_limits_and_finds_every_span() {
        for limits in [
            Limits {
                points: 8,
                key_bytes: 1 << 20,
            },
            Limits {
                points: 1000,
                key_bytes: 40,
            },
        ] {
            let mut builder = IndexBuilder::limited(limits);
            let key = |number: u64| format!("{number:08}").into_bytes();
            let offset = |number: u64| count(HEADER_LENGTH) + number * 5000;
            for number in 0..1000 {
                let previous = if number == 0 {
                    Vec::new()
                } else {
                    key(number - 1)
                };
                builder.note(&previous, &key(number), offset(number));
                assert!(
                    builder.points.len() <= limits.points && builder.key_bytes <= limits.key_bytes
                );
            }
            let index = builder.finish(offset(1000));
            assert!(index.points.len() > 2);
            for number in 0..1000 {
                let (start, end) = index.span(index.find(&key(number)));
                assert!((start..end).contains(&offset(number)), "{number}");
            }
            assert_eq!(index.find(b""), 0);
            assert_eq!(index.span(index.find(b"z")).1, index.end);
            let mut end = index.end;
            for place in (0..index.points.len()).rev() {
                assert_eq!(index.span(place), (index.start_before(end), end));
                end = index.start_before(end);
            }
            assert_eq!(end, offset(0));
        }
    }
}
