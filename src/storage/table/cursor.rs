//! Cursors over a table, in both directions.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::check::PASS_CHUNK;
use super::reader::Table;
use super::walk::{Entry, Walk, read_value};
use crate::storage::Lsn;
use crate::storage::error::{AtlasError, Result};
use crate::storage::merge::{Admit, Source, repeat};

/// A cursor over the entries of one table between two bounds.
pub(crate) struct TableCursor {
    table: Arc<Table>,
    way: Way,
    /// The bound at which the cursor ends.
    until: Bound<Vec<u8>>,
    /// Set past the last entry, and after a failure.
    done: bool,
    failure: Option<AtlasError>,
}

enum Way {
    Forward(Walk),
    Backward(Backward),
}

/// Going backward: some spans at a time, their entries in memory, without large values.
struct Backward {
    /// The entries of the present spans that are still to come, in key order; the present one is last.
    entries: Vec<Held>,
    /// Where the spans end that were not read yet.
    end: u64,
}

struct Held {
    key: Vec<u8>,
    entry: Entry,
    /// `None`: a large value, to be read when it is wanted.
    value: Option<Bytes>,
}

impl fmt::Debug for TableCursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TableCursor")
            .field("table", &self.table)
            .field("key", &self.key())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl TableCursor {
    /// A cursor over all entries, for merging: it reads ahead, and at the end has proven the count.
    pub(crate) fn all(table: &Arc<Table>) -> Result<TableCursor> {
        let walk = Walk::all(Arc::clone(table.file()), PASS_CHUNK);
        TableCursor::start(table, Way::Forward(walk), Bound::Unbounded)
    }

    pub(super) fn forward(
        table: &Arc<Table>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<TableCursor> {
        let file = Arc::clone(table.file());
        let walk = match from {
            Bound::Unbounded => Walk::all(file, super::walk::WINDOW),
            Bound::Included(key) | Bound::Excluded(key) => {
                let (start, _) = table.span_of(key)?;
                Walk::span(file, start, table.index()?.end())
            }
        };
        let mut cursor = TableCursor::start(table, Way::Forward(walk), to.map(<[u8]>::to_vec))?;
        while cursor
            .key()
            .is_some_and(|key| is_beyond(key, from, Ordering::Less))
        {
            cursor.advance()?;
        }
        Ok(cursor)
    }

    pub(super) fn backward(
        table: &Arc<Table>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<TableCursor> {
        let end = match to {
            Bound::Unbounded => table.index()?.end(),
            Bound::Included(key) | Bound::Excluded(key) => table.span_of(key)?.1,
        };
        let way = Way::Backward(Backward {
            entries: Vec::new(),
            end,
        });
        let mut cursor = TableCursor::start(table, way, from.map(<[u8]>::to_vec))?;
        while cursor
            .key()
            .is_some_and(|key| is_beyond(key, to, Ordering::Greater))
        {
            cursor.advance()?;
        }
        Ok(cursor)
    }

    /// Stands at the first entry that the way shows.
    fn start(table: &Arc<Table>, way: Way, until: Bound<Vec<u8>>) -> Result<TableCursor> {
        let table = Arc::clone(table);
        let mut cursor = TableCursor {
            table,
            way,
            until,
            done: false,
            failure: None,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    /// Whether the present entry is beyond the bound at which the cursor ends.
    fn is_past_the_end(&self) -> bool {
        let side = match self.way {
            Way::Forward(_) => Ordering::Greater,
            Way::Backward(_) => Ordering::Less,
        };
        let until = self.until.as_ref().map(Vec::as_slice);
        self.key().is_none_or(|key| is_beyond(key, until, side))
    }

    fn entry(&self) -> Option<Entry> {
        if self.done {
            return None;
        }
        match &self.way {
            Way::Forward(walk) => walk.entry(),
            Way::Backward(back) => back.entries.last().map(|held| held.entry),
        }
    }
}

impl Source for TableCursor {
    fn key(&self) -> Option<&[u8]> {
        if self.done {
            return None;
        }
        match &self.way {
            Way::Forward(walk) => walk.entry().map(|_| walk.key()),
            Way::Backward(back) => back.entries.last().map(|held| held.key.as_slice()),
        }
    }

    fn lsn(&self) -> Lsn {
        self.entry().map_or(Lsn::ZERO, |entry| entry.lsn)
    }

    fn is_tombstone(&self) -> bool {
        self.entry()
            .is_some_and(|entry| entry.value_length.is_none())
    }

    fn value_length(&self) -> u64 {
        self.entry()
            .and_then(|entry| entry.value_length)
            .unwrap_or(0)
    }

    fn value(&mut self, admit: Admit<'_>) -> Result<Bytes> {
        if self.done {
            return self
                .failure
                .as_ref()
                .map_or(Ok(Bytes::new()), |failure| Err(repeat(failure)));
        }
        match &self.way {
            Way::Forward(walk) => walk.value(admit),
            Way::Backward(back) => match back.entries.last() {
                Some(Held {
                    value: Some(value), ..
                }) => Ok(value.clone()),
                Some(held) => read_value(self.table.file(), &held.entry, admit),
                None => Ok(Bytes::new()),
            },
        }
    }

    fn advance(&mut self) -> Result<()> {
        if let Some(failure) = &self.failure {
            return Err(repeat(failure));
        }
        if self.done {
            return Ok(());
        }
        let outcome = match &mut self.way {
            Way::Forward(walk) => walk.step().map(drop),
            Way::Backward(back) => back.step(&self.table),
        };
        if let Err(failure) = &outcome {
            self.failure = Some(repeat(failure));
        }
        self.done = outcome.is_err() || self.is_past_the_end();
        outcome
    }

    fn park(&mut self) {
        if let Way::Forward(walk) = &mut self.way {
            walk.park();
        }
    }
}

impl Backward {
    fn step(&mut self, table: &Table) -> Result<()> {
        self.entries.pop();
        while self.entries.is_empty() && self.end > table.file().entries_at() {
            self.load(table)?;
        }
        Ok(())
    }

    /// Reads all entries of the spans before.
    fn load(&mut self, table: &Table) -> Result<()> {
        let start = table.stretch_before(self.end)?;
        let mut walk = Walk::span(Arc::clone(table.file()), start, self.end);
        self.end = start;
        while let Some(entry) = walk.step()? {
            let value = walk.small_value();
            self.entries.push(Held {
                key: walk.key().to_vec(),
                entry,
                value,
            });
        }
        Ok(())
    }
}

/// Whether `key` lies on the given side of the bound, outside of what it encloses.
fn is_beyond(key: &[u8], bound: Bound<&[u8]>, side: Ordering) -> bool {
    match bound {
        Bound::Unbounded => false,
        Bound::Included(bound) => key.cmp(bound) == side,
        Bound::Excluded(bound) => key == bound || key.cmp(bound) == side,
    }
}
