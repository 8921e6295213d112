//! The answers a connection has gathered and not sent yet.

use std::sync::Arc;

use super::budget::{Budget, FREE_BYTES, Reservation};
use crate::protocol::{ErrorCode, Response};

/// Answers, in the order of their requests, and the memory reserved for the large ones.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
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

    /// What is to be sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether so much is gathered that it should be sent before more is.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= FREE_BYTES
    }

    /// Everything was sent: memory beyond the free bytes is given back.
    pub(super) fn sent(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(FREE_BYTES);
        self.reservation.release();
    }

    /// The number of errors since the last call.
    pub(super) fn take_errors(&mut self) -> u64 {
        std::mem::take(&mut self.errors)
    }
}
