//! What a write does and what a read finds.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Lsn;

/// No key of any store is longer: the upper end of the option `max_key_size`.
pub(crate) const LONGEST_KEY: usize = 1 << 20;

/// One change to one key. Encoded in the log: variants in this order, fields in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation<'a> {
    /// The key has this value from now on.
    Put {
        /// The key.
        #[serde(borrow, with = "serde_bytes")]
        key: &'a [u8],
        /// Its value.
        #[serde(borrow, with = "serde_bytes")]
        value: &'a [u8],
    },
    /// The key has no value from now on; well also when it had none.
    Delete {
        /// The key.
        #[serde(borrow, with = "serde_bytes")]
        key: &'a [u8],
    },
}

impl<'a> Operation<'a> {
    /// The key that is changed.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        match *self {
            Operation::Put { key, .. } | Operation::Delete { key } => key,
        }
    }

    /// The new value; `None` for a deletion.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        match *self {
            Operation::Put { value, .. } => Some(value),
            Operation::Delete { .. } => None,
        }
    }
}

/// A value and the LSN of the write that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The value.
    pub value: Bytes,
    /// The LSN of the write that set it.
    pub lsn: Lsn,
}

/// What must hold of a key for a conditional write to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// The key has no value.
    Absent,
    /// The key has exactly this value.
    Value(&'a [u8]),
    /// The key's value was set by the write with this LSN.
    Version(Lsn),
}

/// The outcome of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conditional {
    /// The condition held and the write was done.
    Done(Lsn),
    /// The condition did not hold: what the key has instead (`None`: no value).
    Refused(Option<Versioned>),
}
