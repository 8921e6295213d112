//! The reservation of memory for the values of a large answer, before the engine reads them from tables.
//! (Values in memtables are shared and not copied.)
//!
//! The engine asks in the middle of a read, where nobody may wait. So the asking never waits: when there
//! is no room the read is given up, the room is waited for outside the engine, and the read done again.

use std::time::Instant;

use super::budget::Reservation;
use crate::storage::{AtlasError, Result};

/// The memory of one answer.
pub(super) struct Admission<'a> {
    reservation: &'a mut Reservation,
    /// What the answers gathered before this one hold.
    base: u64,
    /// Bytes of values that this answer may have at most.
    most: u64,
    asked: u64,
    short: Option<u64>,
}

/// What became of an answer.
pub(super) enum Admitted<T> {
    /// It is there.
    Answer(T),
    /// It would be larger than a frame may be.
    TooLarge,
}

impl<'a> Admission<'a> {
    /// `most`: bytes of the largest answer.
    pub(super) fn new(reservation: &'a mut Reservation, most: u64) -> Admission<'a> {
        let base = reservation.bytes();
        Admission {
            reservation,
            base,
            most,
            asked: 0,
            short: None,
        }
    }

    /// Runs `read` with something to ask for memory, again when there was none at first.
    pub(super) fn run<T>(
        mut self,
        deadline: Instant,
        mut read: impl FnMut(&mut dyn FnMut(u64) -> Result<()>) -> Result<T>,
    ) -> Result<Admitted<T>> {
        loop {
            self.asked = 0;
            self.short = None;
            let result = read(&mut |bytes| self.ask(bytes));
            match (result, self.short) {
                (Err(AtlasError::OverBudget { .. }), _) if self.asked > self.most => {
                    return Ok(Admitted::TooLarge);
                }
                (Err(AtlasError::OverBudget { .. }), Some(short)) => {
                    let raised = self.reservation.raise(short, deadline);
                    raised.map_err(|busy| over_budget(busy.bytes, busy.limit))?;
                }
                (result, _) => return result.map(Admitted::Answer),
            }
        }
    }

    fn ask(&mut self, bytes: u64) -> Result<()> {
        self.asked = self.asked.saturating_add(bytes);
        if self.asked > self.most {
            return Err(over_budget(self.asked, self.most));
        }
        let needed = self.base.saturating_add(self.asked);
        self.reservation.try_raise(needed).map_err(|busy| {
            self.short = Some(needed);
            over_budget(busy.bytes, busy.limit)
        })
    }
}

fn over_budget(bytes: u64, limit: u64) -> AtlasError {
    AtlasError::OverBudget { bytes, limit }
}
