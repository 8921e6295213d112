//! The answers a connection has gathered and not sent yet.
//!
//! Its buffer is lent to a connection that has answers, and given back when they are sent: a connection
//! that is idle has none.

use std::mem;
use std::sync::Arc;

use super::budget::{Budget, FREE_BYTES, Reservation};
use crate::protocol::{ErrorCode, Response};

/// Answers, in the order of their requests, and the memory reserved for the large ones.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// How many of them were sent.
    sent: usize,
    /// What large answers hold until they are sent.
    pub(super) reservation: Reservation,
    max_frame_size: u32,
    /// Answers that were errors, since the last time somebody asked.
    errors: u64,
}

impl Outbox {
    pub(super) fn new(budget: &Arc<Budget>, max_frame_size: u32) -> Outbox {
        Outbox {
            bytes: Vec::new(),
            sent: 0,
            reservation: Reservation::none(budget),
            max_frame_size,
            errors: 0,
        }
    }

    /// Adds an answer.
    pub(super) fn push(&mut self, request_id: u32, response: &Response) {
        self.errors += u64::from(matches!(response, Response::Error { .. }));
        let pushed = response.encode(request_id, self.max_frame_size, &mut self.bytes);
        if let Err(error) = pushed {
            self.push_error(request_id, ErrorCode::AnswerTooLarge, &error.to_string());
        }
    }

    /// Adds an error.
    pub(super) fn push_error(&mut self, request_id: u32, code: ErrorCode, message: &str) {
        self.errors += 1;
        let response = Response::error(code, message);
        // An error's text is far below the smallest frame limit.
        let _ = response.encode(request_id, self.max_frame_size, &mut self.bytes);
    }

    /// Takes a buffer, unless there is one.
    pub(super) fn borrow(&mut self, lent: &mut Vec<Vec<u8>>) {
        if self.bytes.capacity() == 0 {
            self.bytes = lent.pop().unwrap_or_default();
        }
    }

    /// Gives its buffer back when nothing is in it.
    pub(super) fn give_back(&mut self, lent: &mut Vec<Vec<u8>>) {
        if self.bytes.is_empty() && self.bytes.capacity() > 0 {
            lend(mem::take(&mut self.bytes), lent);
        }
    }

    /// What is to be sent.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether so much is gathered that it should be sent before more is.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FREE_BYTES
    }

    /// So many bytes were sent. After the last, memory beyond the free bytes is given back.
    pub(super) fn sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
        if self.sent >= self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            self.bytes.shrink_to(FREE_BYTES);
            self.reservation.release();
        }
    }

    /// The number of errors since the last call.
    pub(super) fn take_errors(&mut self) -> u64 {
        mem::take(&mut self.errors)
    }
}

/// The most buffers of a kind that a worker keeps to lend.
const MAX_LENT: usize = 16;

/// Keeps a buffer to lend, unless there are enough.
pub(super) fn lend(buffer: Vec<u8>, lent: &mut Vec<Vec<u8>>) {
    if lent.len() < MAX_LENT {
        lent.push(buffer);
    }
}
