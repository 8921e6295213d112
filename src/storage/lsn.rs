//! Log sequence numbers.
//!
//! An [`Lsn`] is 64 bits: the epoch in the high 20, a counter in the low 44. Each start of the
//! store opens a new epoch, so an LSN that was ever answered is never given to another write. The
//! counter of an epoch starts at 1 and is contiguous; counter 0 stands for "before the first".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bits of the counter within an epoch.
const COUNTER_BITS: u32 = 44;
/// The largest counter of an epoch: 1.7e13 writes, half a year at a million a second.
const MAX_COUNTER: u64 = (1 << COUNTER_BITS) - 1;
/// The largest epoch: a million starts.
pub(crate) const MAX_EPOCH: u32 = (1 << (64 - COUNTER_BITS)) - 1;

/// A log sequence number: the place of a write in the one order of all writes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Lsn(u64);

impl Lsn {
    /// Before every write of every epoch.
    pub const ZERO: Lsn = Lsn(0);
    /// After every write; reading "at" it sees everything.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// The place before the first write of `epoch`.
    #[must_use]
    pub fn epoch_start(epoch: u32) -> Lsn {
        Lsn(u64::from(epoch.min(MAX_EPOCH)) << COUNTER_BITS)
    }

    /// The LSN with these 64 bits, as they stand in files and on the wire.
    #[must_use]
    pub const fn from_u64(bits: u64) -> Lsn {
        Lsn(bits)
    }

    /// The 64 bits of this LSN, as they stand in files and on the wire.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The epoch: the number of the start that gave this LSN.
    #[must_use]
    pub fn epoch(self) -> u32 {
        u32::try_from(self.0 >> COUNTER_BITS).unwrap_or(MAX_EPOCH)
    }

    /// The counter within the epoch; 0 is the place before the first write.
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.0 & MAX_COUNTER
    }

    /// The next LSN of the same epoch, or `None` when the epoch's counter is used up.
    #[must_use]
    pub fn next(self) -> Option<Lsn> {
        (self.counter() < MAX_COUNTER).then(|| Lsn(self.0 + 1))
    }

    /// The LSN before this one in the same epoch; the start of the epoch is its own predecessor.
    #[must_use]
    pub fn previous(self) -> Lsn {
        if self.counter() == 0 {
            self
        } else {
            Lsn(self.0 - 1)
        }
    }
}

impl fmt::Display for Lsn {
    /// `epoch/counter`, for example `3/1042`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.epoch(), self.counter())
    }
}

impl FromStr for Lsn {
    type Err = String;

    /// Reads `epoch/counter`, or the 64 bits as one decimal number.
    fn from_str(text: &str) -> Result<Lsn, String> {
        let wrong = || format!("'{text}' is not an LSN: write epoch/counter, for example 3/1042");
        let Some((epoch, counter)) = text.split_once('/') else {
            return text.parse().map(Lsn).map_err(|_| wrong());
        };
        let epoch: u32 = epoch.parse().map_err(|_| wrong())?;
        let counter: u64 = counter.parse().map_err(|_| wrong())?;
        if epoch > MAX_EPOCH || counter > MAX_COUNTER {
            return Err(wrong());
        }
        Ok(Lsn(Lsn::epoch_start(epoch).0 | counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_and_counter_share_the_bits() {
        let first = Lsn::epoch_start(3).next().unwrap();
        assert_eq!((first.epoch(), first.counter()), (3, 1));
        assert_eq!(first.to_string(), "3/1");
        assert_eq!("3/1".parse(), Ok(first));
        assert_eq!(first.as_u64().to_string().parse(), Ok(first));
        assert_eq!(first.previous(), Lsn::epoch_start(3));
        assert_eq!(Lsn::epoch_start(3).previous(), Lsn::epoch_start(3));
    }

    #[test]
    fn a_used_up_epoch_has_no_next() {
        let last = Lsn::from_u64(Lsn::epoch_start(4).as_u64() - 1);
        assert_eq!((last.epoch(), last.next()), (3, None));
        assert_eq!(Lsn::MAX.next(), None);
    }

    #[test]
    fn what_is_no_lsn_is_refused() {
        for text in [
            "",
            "/",
            "1/",
            "/1",
            "-1",
            "1/2/3",
            "1048576/1",
            "0/17592186044416",
        ] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }
}
