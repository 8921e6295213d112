//! What a connection has received and not handled yet.
//!
//! The buffer holds as many requests as came together, up to [`FREE_BYTES`]. For a larger request it
//! grows to exactly that request, after its bytes are reserved, and only as they arrive. It is lent to a
//! connection that has something to read: one that is idle has none.

use std::mem;

use super::budget::FREE_BYTES;
use super::outbox::lend;

/// A large request's memory is touched in steps of this size, as its bytes arrive.
const STEP: usize = 256 * 1024;

/// A buffer that is filled at its end and emptied at its head.
#[derive(Debug)]
pub(super) struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How far the buffer may grow.
    limit: usize,
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        Inbox {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            limit: FREE_BYTES,
        }
    }

    /// Takes a buffer, unless there is one.
    pub(super) fn borrow(&mut self, lent: &mut Vec<Vec<u8>>) {
        if self.buffer.is_empty() {
            self.buffer = lent.pop().unwrap_or_default();
        }
    }

    /// Gives its buffer back when nothing is in it.
    pub(super) fn give_back(&mut self, lent: &mut Vec<Vec<u8>>) {
        if self.is_empty() && self.limit == FREE_BYTES && !self.buffer.is_empty() {
            lend(mem::take(&mut self.buffer), lent);
        }
    }

    /// What was received and not handled yet.
    pub(super) fn received(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether the buffer may hold a request of `length` bytes.
    pub(super) fn may_hold(&self, length: usize) -> bool {
        length <= self.limit
    }

    /// Lets the buffer grow to one request of `length` bytes, the one at its head.
    pub(super) fn allow(&mut self, length: usize) {
        self.move_to_front();
        self.limit = length.max(FREE_BYTES);
        self.buffer
            .reserve_exact(self.limit.saturating_sub(self.buffer.len()));
    }

    /// Where to put what comes next; never empty while the request at the head is not complete.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.end == self.buffer.len() {
            self.move_to_front();
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; FREE_BYTES];
        }
        if self.end == self.buffer.len() {
            let grown = self.buffer.len().saturating_add(STEP).min(self.limit);
            self.buffer.resize(grown.max(self.buffer.len()), 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were put into the room.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.buffer.len());
    }

    /// The first `count` bytes were handled.
    pub(super) fn handled(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.limit > FREE_BYTES {
                *self = Inbox::new();
            }
        }
    }

    fn move_to_front(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(inbox: &mut Inbox, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = inbox.room();
            let count = room.len().min(rest.len());
            assert!(count > 0);
            room[..count].copy_from_slice(&rest[..count]);
            inbox.filled(count);
            rest = &rest[count..];
        }
    }

    #[test]
    fn what_is_received_comes_out_in_order() {
        let mut inbox = Inbox::new();
        let bytes: Vec<u8> = (0..200_000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let mut seen = Vec::new();
        for piece in bytes.chunks(40_000) {
            put(&mut inbox, piece);
            // A part is left behind each time, so that the head moves through the buffer.
            let take = inbox.received().len() - 7;
            seen.extend_from_slice(&inbox.received()[..take]);
            inbox.handled(take);
        }
        seen.extend_from_slice(inbox.received());
        assert_eq!(seen, bytes);
    }

    #[test]
    fn a_large_request_grows_the_buffer_for_itself_alone() {
        let mut inbox = Inbox::new();
        let large = vec![7; 3 * STEP + 5];
        put(&mut inbox, &large[..FREE_BYTES]);
        assert!(inbox.room().is_empty());
        assert!(!inbox.may_hold(large.len()));
        inbox.allow(large.len());
        put(&mut inbox, &large[FREE_BYTES..]);
        assert_eq!(inbox.received(), large);
        assert!(inbox.room().is_empty());
        inbox.handled(large.len());
        assert_eq!(inbox.buffer.capacity(), 0);
    }

    #[test]
    fn an_empty_buffer_is_given_back_and_lent_again() {
        let mut lent = Vec::new();
        let mut inbox = Inbox::new();
        put(&mut inbox, b"abc");
        inbox.give_back(&mut lent);
        assert!(lent.is_empty(), "what was received is in it");
        inbox.handled(3);
        inbox.give_back(&mut lent);
        assert_eq!((lent.len(), inbox.buffer.capacity()), (1, 0));
        inbox.borrow(&mut lent);
        assert_eq!((lent.len(), inbox.room().len()), (0, FREE_BYTES));
    }
}
