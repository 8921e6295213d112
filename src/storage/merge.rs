//! Merging sorted sources of entries into one: of entries with the same key the newest wins.

use std::cmp::Ordering;
use std::fmt;
use std::io;

use bytes::Bytes;

use super::Lsn;
use super::error::{AtlasError, Result};

/// Asked, with a value's length in bytes, before memory for a value of more than 64 KiB is taken.
pub(crate) type Admit<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// Entries in key order, ascending or descending, each key once. A source stands at an entry, or past
/// the last one.
///
/// After `advance` has failed a source shows no entry, and every further `advance` fails as well: the
/// end is never mistaken for a failure, nor a failure for the end.
pub(crate) trait Source: Send {
    /// The key of the present entry; `None` past the last one.
    fn key(&self) -> Option<&[u8]>;
    /// The LSN of the present entry.
    fn lsn(&self) -> Lsn;
    /// Whether the present entry is a tombstone.
    fn is_tombstone(&self) -> bool;
    /// Bytes of the present entry's value; 0 for a tombstone.
    fn value_length(&self) -> u64;
    /// The present entry's value; empty for a tombstone. `admit` is asked, with the value's length,
    /// before memory for a value of more than 64 KiB is taken. The source stays where it is, also after
    /// an error.
    ///
    /// # Errors
    /// What reading can meet; what `admit` says.
    fn value(&mut self, admit: Admit<'_>) -> Result<Bytes>;
    /// Goes to the next entry.
    ///
    /// # Errors
    /// What reading can meet.
    fn advance(&mut self) -> Result<()>;
    /// Gives back memory that is only there to read ahead, until the source is used again.
    fn park(&mut self) {}
}

/// A merge of several sources that all go in the same direction. Entries that a newer one shadows are
/// passed over; tombstones are shown.
pub(crate) struct Merge {
    /// All sources that are not at their end; the last is the present one: its key comes first, and
    /// among those with the same key it is the newest.
    sources: Vec<Ranked>,
    reverse: bool,
    /// Entries passed over because a newer one has the same key.
    shadowed: u64,
    /// The first failure; the merge ends with it for good.
    failure: Option<AtlasError>,
    /// The key that is left behind.
    left: Vec<u8>,
}

struct Ranked {
    source: Box<dyn Source>,
    /// The source's place as given: on equal LSNs the first wins.
    rank: usize,
}

impl fmt::Debug for Merge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Merge")
            .field("sources", &self.sources.len())
            .field("reverse", &self.reverse)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Merge {
    /// Merges sources; all must be ascending, or all descending with `reverse`.
    pub(crate) fn new(sources: Vec<Box<dyn Source>>, reverse: bool) -> Merge {
        let mut sources: Vec<Ranked> = sources
            .into_iter()
            .enumerate()
            .map(|(rank, source)| Ranked { source, rank })
            .filter(|ranked| ranked.source.key().is_some())
            .collect();
        sources.sort_by(|left, right| order(right, left, reverse));
        Merge {
            sources,
            reverse,
            shadowed: 0,
            failure: None,
            left: Vec::new(),
        }
    }

    /// The key of the present entry; `None` past the last one, or after a failure.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.present()?.key()
    }

    /// The LSN of the present entry.
    pub(crate) fn lsn(&self) -> Lsn {
        self.present().map_or(Lsn::ZERO, Source::lsn)
    }

    /// Whether the present entry is a tombstone.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.present().is_some_and(Source::is_tombstone)
    }

    /// Bytes of the present entry's value.
    pub(crate) fn value_length(&self) -> u64 {
        self.present().map_or(0, Source::value_length)
    }

    /// Entries passed over so far because a newer one had the same key.
    pub(crate) fn shadowed(&self) -> u64 {
        self.shadowed
    }

    /// The present entry's value. The merge stays where it is, also after an error.
    ///
    /// # Errors
    /// What reading can meet; what `admit` says; the failure that ended the merge.
    pub(crate) fn value(&mut self, admit: Admit<'_>) -> Result<Bytes> {
        self.check()?;
        match self.sources.last_mut() {
            Some(present) => present.source.value(admit),
            None => Ok(Bytes::new()),
        }
    }

    /// Goes to the next key.
    ///
    /// # Errors
    /// What reading can meet. The merge has then ended for good: it shows no entry, and each further
    /// call fails in the same way.
    pub(crate) fn advance(&mut self) -> Result<()> {
        self.check()?;
        let mut left = std::mem::take(&mut self.left);
        left.clear();
        left.extend_from_slice(self.key().unwrap_or_default());
        let outcome = self.leave(&left);
        self.left = left;
        if let Err(failure) = &outcome {
            self.failure = Some(repeat(failure));
        }
        outcome
    }

    /// Gives back memory that is only there to read ahead: for a scan that waits for its client.
    pub(crate) fn park(&mut self) {
        for ranked in &mut self.sources {
            ranked.source.park();
        }
    }

    /// Advances every source that stands at the key `left`.
    fn leave(&mut self, left: &[u8]) -> Result<()> {
        let mut first = true;
        while let Some(mut present) = self
            .sources
            .pop_if(|ranked| ranked.source.key() == Some(left))
        {
            self.shadowed += u64::from(!first);
            first = false;
            present.source.advance()?;
            if present.source.key().is_some() {
                let reverse = self.reverse;
                let place = self
                    .sources
                    .partition_point(|other| order(other, &present, reverse) == Ordering::Greater);
                self.sources.insert(place, present);
            }
        }
        Ok(())
    }

    fn present(&self) -> Option<&dyn Source> {
        if self.failure.is_some() {
            return None;
        }
        self.sources.last().map(|ranked| &*ranked.source)
    }

    fn check(&self) -> Result<()> {
        self.failure
            .as_ref()
            .map_or(Ok(()), |failure| Err(repeat(failure)))
    }
}

/// Which of two sources comes first: by key in the direction, then the newer, then by rank.
fn order(left: &Ranked, right: &Ranked, reverse: bool) -> Ordering {
    let keys = left.source.key().cmp(&right.source.key());
    let keys = if reverse { keys.reverse() } else { keys };
    keys.then_with(|| right.source.lsn().cmp(&left.source.lsn()))
        .then_with(|| left.rank.cmp(&right.rank))
}

/// The same failure once more, for a caller that asks again.
pub(crate) fn repeat(failure: &AtlasError) -> AtlasError {
    match failure {
        AtlasError::Io {
            operation,
            path,
            source,
        } => AtlasError::io(
            operation,
            path,
            io::Error::new(source.kind(), source.to_string()),
        ),
        AtlasError::Corrupt {
            path,
            offset,
            detail,
        } => AtlasError::corrupt(path, *offset, detail.clone()),
        // Sources meet nothing else while they read.
        _ => AtlasError::ScanEnded {
            reason: "reading failed before",
        },
    }
}

#[cfg(test)]
#[allow(clippy::as_conversions, reason = "test code")]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use fastrand::Rng;

    use super::*;
    use crate::storage::table::tests::{runs, seed};

    /// Entries in memory; fails instead of advancing beyond so many.
    struct Listed {
        entries: Vec<(Vec<u8>, Lsn, Option<Vec<u8>>)>,
        place: usize,
        fails_after: usize,
        parked: Arc<AtomicUsize>,
    }

    impl Source for Listed {
        fn park(&mut self) {
            self.parked.fetch_add(1, Relaxed);
        }
        fn key(&self) -> Option<&[u8]> {
            self.entries.get(self.place).map(|entry| entry.0.as_slice())
        }
        fn lsn(&self) -> Lsn {
            self.entries[self.place].1
        }
        fn is_tombstone(&self) -> bool {
            self.entries[self.place].2.is_none()
        }
        fn value_length(&self) -> u64 {
            self.entries[self.place]
                .2
                .as_ref()
                .map_or(0, |value| value.len() as u64)
        }
        fn value(&mut self, _: Admit<'_>) -> Result<Bytes> {
            Ok(self.entries[self.place]
                .2
                .clone()
                .unwrap_or_default()
                .into())
        }
        fn advance(&mut self) -> Result<()> {
            if self.place >= self.fails_after {
                return Err(AtlasError::corrupt(Path::new("listed"), 7, "for the test"));
            }
            self.place += 1;
            Ok(())
        }
    }

    fn listed(mut entries: Vec<(Vec<u8>, Lsn, Option<Vec<u8>>)>, reverse: bool) -> Listed {
        entries.sort();
        if reverse {
            entries.reverse();
        }
        Listed {
            entries,
            place: 0,
            fails_after: usize::MAX,
            parked: Arc::default(),
        }
    }

    #[test]
    fn a_merge_that_is_parked_parks_its_sources() {
        let one = |key: u8| listed(vec![(vec![key], Lsn::from_u64(1), None)], false);
        let (first, second) = (one(1), one(2));
        let parked = [&first, &second].map(|source| Arc::clone(&source.parked));
        let mut merge = Merge::new(vec![Box::new(first), Box::new(second)], false);
        merge.park();
        assert_eq!(parked.map(|count| count.load(Relaxed)), [1, 1]);
    }

    #[test]
    fn of_every_key_the_newest_entry_is_shown() {
        let mut rng = Rng::with_seed(seed());
        for _ in 0..runs(300) {
            let reverse = rng.bool();
            let mut model = BTreeMap::new();
            let mut sources: Vec<Box<dyn Source>> = Vec::new();
            let mut given = 0;
            // LSNs are not in the order of the sources: only they decide.
            let mut lsns: Vec<u64> = (1..500).collect();
            rng.shuffle(&mut lsns);
            for _ in 0..rng.usize(0..8) {
                let mut entries = BTreeMap::new();
                for _ in 0..rng.usize(0..40) {
                    let key = vec![rng.u8(0..30); rng.usize(1..3)];
                    let value = (!rng.bool()).then(|| vec![rng.u8(..)]);
                    entries.insert(key, (Lsn::from_u64(lsns.pop().unwrap()), value));
                }
                given += entries.len() as u64;
                for (key, entry) in &entries {
                    let newest = model.entry(key.clone()).or_insert_with(|| entry.clone());
                    if newest.0 < entry.0 {
                        newest.clone_from(entry);
                    }
                }
                let entries = entries
                    .into_iter()
                    .map(|(key, (lsn, value))| (key, lsn, value));
                sources.push(Box::new(listed(entries.collect(), reverse)));
            }
            let mut merge = Merge::new(sources, reverse);
            let mut shown = Vec::new();
            while let Some(key) = merge.key().map(<[u8]>::to_vec) {
                let value = merge.value(&mut |_| Ok(())).unwrap().to_vec();
                assert_eq!(merge.value_length(), value.len() as u64);
                shown.push((key, (merge.lsn(), (!merge.is_tombstone()).then_some(value))));
                merge.advance().unwrap();
            }
            assert_eq!(given, shown.len() as u64 + merge.shadowed());
            let mut wanted: Vec<_> = model.into_iter().collect();
            if reverse {
                wanted.reverse();
            }
            assert_eq!(shown, wanted);
            merge.advance().unwrap();
            assert_eq!(merge.key(), None);
        }
    }

    #[test]
    fn a_failed_source_ends_the_merge_for_good() {
        let entry = |key: u8, lsn| (vec![key], Lsn::from_u64(lsn), Some(vec![key]));
        let mut failing = listed(vec![entry(1, 1), entry(2, 2), entry(4, 4)], false);
        failing.fails_after = 1;
        let sound = listed(vec![entry(2, 5), entry(3, 3)], false);
        let mut merge = Merge::new(vec![Box::new(failing), Box::new(sound)], false);
        merge.advance().unwrap();
        assert_eq!(merge.key(), Some(&[2][..]));
        for _ in 0..3 {
            let error = merge.advance().unwrap_err();
            assert!(
                matches!(error, AtlasError::Corrupt { offset: 7, .. }),
                "{error}"
            );
            assert_eq!(merge.key(), None);
            assert!(merge.value(&mut |_| Ok(())).is_err());
        }
    }
}
