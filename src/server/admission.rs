//! The reservation of memory for a large answer.
//!
//! The engine asks before it reads a large value from a table, in the middle of a read, where nobody may
//! wait. So the asking never waits: when there is no room the read is given up, the room is waited for
//! outside the engine, and the read is done again. The same for the copy of the values in the answer:
//! what was read is let go during the wait. A value in a memtable is shared, but whoever holds it keeps
//! it in memory after its flush: a thousand connections that wait must not hold one each.

use std::time::Instant;

use super::budget::{FREE_BYTES, Reservation};
use crate::protocol::Response;
use crate::storage::disk::count;
use crate::storage::{AtlasError, Result};

/// Asked before memory for a large value is taken, with its bytes.
pub(super) type Admit<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// The memory of one answer.
pub(super) struct Admission<'a> {
    reservation: &'a mut Reservation,
    /// What the answers gathered before this one hold.
    base: u64,
    /// Bytes that an answer may have at most.
    most: u64,
    /// Bytes that this read has asked for.
    asked: u64,
    /// What would have had to be held for it to go on.
    short: Option<u64>,
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

    /// Reserves what the answer is expected to take, besides what is asked for.
    ///
    /// # Errors
    /// `OverBudget` when there is no room until `deadline`.
    pub(super) fn expect(&mut self, bytes: u64, deadline: Instant) -> Result<()> {
        self.wait(self.base.saturating_add(bytes), deadline)
    }

    /// Runs a read that can be done again, until its answer has its memory.
    ///
    /// # Errors
    /// What the read says; `OverBudget` when there is no room until `deadline`.
    pub(super) fn read(
        mut self,
        deadline: Instant,
        mut read: impl FnMut(Admit<'_>) -> Result<Response>,
    ) -> Result<Option<Response>> {
        loop {
            let Some(response) = self.admitted(deadline, &mut read)? else {
                return Ok(None);
            };
            match self.reserve_copy(&response) {
                Ok(()) => return Ok(Some(response)),
                Err(needed) => {
                    drop(response);
                    self.wait(needed, deadline)?;
                }
            }
        }
    }

    /// Runs a read that cannot be done again once it has succeeded; `None` also when there is no room
    /// for the copy of what it read.
    ///
    /// # Errors
    /// As [`Admission::read`].
    pub(super) fn read_once(
        mut self,
        deadline: Instant,
        mut read: impl FnMut(Admit<'_>) -> Result<Response>,
    ) -> Result<Option<Response>> {
        let response = self.admitted(deadline, &mut read)?;
        Ok(response.filter(|response| self.reserve_copy(response).is_ok()))
    }

    /// Runs a read until nothing that it asks for is refused; `None`: it asks for more than an answer
    /// may have.
    fn admitted(
        &mut self,
        deadline: Instant,
        read: &mut impl FnMut(Admit<'_>) -> Result<Response>,
    ) -> Result<Option<Response>> {
        loop {
            self.asked = 0;
            self.short = None;
            match (read(&mut |bytes| self.ask(bytes)), self.short) {
                (Err(AtlasError::OverBudget { .. }), _) if self.asked > self.most => {
                    return Ok(None);
                }
                (Err(AtlasError::OverBudget { .. }), Some(short)) => self.wait(short, deadline)?,
                (result, _) => return result.map(Some),
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

    /// Reserves the copy of an answer without waiting; returns what would have to be held. An answer
    /// over the limit is never copied.
    fn reserve_copy(&mut self, response: &Response) -> std::result::Result<(), u64> {
        let copy = response.frame_length();
        if copy <= count(FREE_BYTES) || copy > self.most {
            return Ok(());
        }
        let needed = self.base.saturating_add(self.asked).saturating_add(copy);
        self.reservation.try_raise(needed).map_err(|_| needed)
    }

    /// Waits until so much is held. What is held so far is given back before: of several that have a
    /// part each, none would ever get the rest.
    fn wait(&mut self, needed: u64, deadline: Instant) -> Result<()> {
        self.reservation.lower(self.base);
        let raised = self.reservation.raise(needed, deadline);
        raised.map_err(|busy| over_budget(busy.bytes, busy.limit))
    }
}

fn over_budget(bytes: u64, limit: u64) -> AtlasError {
    AtlasError::OverBudget { bytes, limit }
}
