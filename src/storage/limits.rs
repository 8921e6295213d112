//! What one request may hold, checked before memory is taken.

use super::disk::count;
use super::error::{AtlasError, Result};
use super::wal::MARK_SIZE;
use super::{Operation, Options};

/// Bytes that the log needs for an operation besides key and value, at most.
const OPERATION_OVERHEAD: usize = 24;

impl Options {
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<()> {
        let limit = self.max_key_size;
        match key.len() {
            0 => Err(AtlasError::EmptyKey),
            length if length > limit => Err(AtlasError::KeyTooLarge {
                length: count(length),
                limit: count(limit),
            }),
            _ => Ok(()),
        }
    }

    /// Checks the limits; returns about how many bytes the write takes in the log.
    pub(crate) fn check_operations(&self, operations: &[Operation<'_>]) -> Result<usize> {
        self.check_count(operations.len())?;
        let mut bytes = 0;
        for operation in operations {
            self.check_key(operation.key())?;
            let length = operation.value().map_or(0, <[u8]>::len);
            let limit = self.max_value_size;
            if length > limit {
                let (length, limit) = (count(length), count(limit));
                return Err(AtlasError::ValueTooLarge { length, limit });
            }
            bytes += operation.key().len() + length;
        }
        let limit = self.max_batch_size;
        if bytes > limit {
            return Err(AtlasError::BatchTooLarge {
                length: count(bytes),
                limit: count(limit),
            });
        }
        Ok(MARK_SIZE + bytes + operations.len() * OPERATION_OVERHEAD)
    }

    /// Checks a number of operations or keys.
    pub(crate) fn check_count(&self, operations: usize) -> Result<()> {
        let limit = self.max_batch_operations;
        if operations > limit {
            let (count, limit) = (count(operations), count(limit));
            return Err(AtlasError::TooManyOperations { count, limit });
        }
        Ok(())
    }
}
