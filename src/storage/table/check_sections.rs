//! Comparing the sections of a table with its entries, while these pass by.

use std::sync::Arc;

use super::filter;
use super::frame::TableFile;
use super::sections::{Directory, Partition, Span};
use super::walk::{Entry, Walk};
use crate::storage::error::{AtlasError, Result};

/// Goes beside a walk over all entries. It holds the directory and one partition.
#[derive(Debug)]
pub(super) struct SectionsCheck {
    file: Arc<TableFile>,
    /// `None`: the table has no partitions.
    directory: Option<Directory>,
    /// The present partition, its place, and the place of the present span in it.
    partition: Option<(Partition, usize, usize)>,
    /// The present span.
    span: Option<Span>,
}

impl SectionsCheck {
    /// # Errors
    /// `Corrupt` when the locator or the directory are damaged; `Io`.
    pub(super) fn new(file: &Arc<TableFile>) -> Result<SectionsCheck> {
        let locator = file.locator()?;
        let directory = locator.map(|locator| Directory::load(file, &locator));
        Ok(SectionsCheck {
            file: Arc::clone(file),
            directory: directory.transpose()?,
            partition: None,
            span: None,
        })
    }

    /// The next entry of the walk, after it was compared with what the sections say.
    ///
    /// # Errors
    /// What the walk says; `Corrupt` when a section is damaged or says what is not so.
    pub(super) fn step(&mut self, walk: &mut Walk) -> Result<Option<Entry>> {
        if self.directory.is_none() {
            return walk.step();
        }
        let begins_span = match self.span {
            Some(span) if walk.offset() < span.end => false,
            _ => self.next_span(walk)?,
        };
        let Some(entry) = walk.step()? else {
            return Ok(None);
        };
        let Some((partition, _, place)) = &self.partition else {
            return Err(self.differs("an entry stands in no partition"));
        };
        let separator = partition.separator(*place).unwrap_or_default();
        let separates = walk.previous() < separator || separator.is_empty();
        if begins_span && !(separates && separator <= walk.key()) {
            return Err(self.differs("a separator does not stand between the keys beside it"));
        }
        if !partition.may_have(filter::hash(self.file.file_id, walk.key())) {
            return Err(self.differs("the filter does not have a key that is there"));
        }
        Ok(Some(entry))
    }

    /// Whether there is a directory.
    pub(super) fn has_directory(&self) -> bool {
        self.directory.is_some()
    }

    /// The directory, for look-ups.
    pub(super) fn into_directory(self) -> Option<Directory> {
        self.directory
    }

    /// Compares the span that ends here, and goes to the one that begins; `false`: the entries end.
    fn next_span(&mut self, walk: &mut Walk) -> Result<bool> {
        let checksum = walk.begin_run();
        if let Some(span) = self.span {
            if walk.offset() != span.end {
                return Err(self.differs("a span does not end where an entry does"));
            }
            if checksum != Some(span.checksum) {
                return Err(self.differs("the checksum of a span differs"));
            }
        }
        let Some(directory) = &self.directory else {
            return Ok(false);
        };
        if walk.offset() >= directory.entries_end {
            self.span = None;
            return Ok(false);
        }
        let next = match self.partition.take() {
            Some((partition, place, span)) if partition.end() > walk.offset() => {
                (partition, place, span + 1)
            }
            before => {
                let place = before.map_or(0, |(_, place, _)| place + 1);
                (directory.load_partition(&self.file, place)?, place, 0)
            }
        };
        self.span = next.0.span(next.2);
        self.partition = Some(next);
        Ok(true)
    }

    /// A section that checks, and yet says what is not so of the entries.
    fn differs(&self, what: &str) -> AtlasError {
        let place = self.partition.as_ref().map_or(0, |(_, place, _)| *place);
        let listed = self
            .directory
            .as_ref()
            .and_then(|it| it.partitions.get(place));
        let offset = listed.map_or(0, |listed| listed.offset);
        let which = place.saturating_add(1);
        let at = self.span.map_or(0, |span| span.start);
        self.file.corrupt(
            offset,
            format!("partition {which} in the table's sections, span at offset {at}: {what}"),
        )
    }
}
