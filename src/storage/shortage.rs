//! A merge that found no room: what is merged instead, and when it is worth another try.
//!
//! Each try writes all that is free before it fails. So it comes after a pause, which grows, or when what stood in
//! its way is gone; until then only merges of much less are made.

use std::time::{Duration, Instant};

use super::background::{LONGEST_RETRY, RETRY};
use super::core::{Core, lock};
use super::error::AtlasError;

/// How things stand for a merge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// The disk counts as full.
    pub(crate) is_full: bool,
    /// Bytes that are free, if the disk says that.
    pub(crate) free: Option<u64>,
}

/// What is known of a merge that found no room.
#[derive(Debug, Clone)]
pub(crate) struct Shortage {
    /// What it was told.
    pub(crate) reason: String,
    /// Bytes that its tables take.
    bytes: u64,
    /// The most that tables of a merge took for which there was no room since.
    most: u64,
    /// The disk counted as full before it.
    was_full: bool,
    /// Less was free before it than its tables take. After it that says little: some file systems give the room of
    /// a file back a while after it is removed.
    was_short: bool,
    pause: Duration,
    /// When its pause is over.
    again: Instant,
}

impl Shortage {
    /// A merge of tables of so many bytes found no room; how things stood before it.
    pub(crate) fn new(reason: String, bytes: u64, before: Room, pause: Duration) -> Shortage {
        Shortage {
            reason,
            bytes,
            most: bytes,
            was_full: before.is_full,
            was_short: is_short(before, bytes),
            pause,
            again: Instant::now() + pause,
        }
    }

    /// The pause of a merge that finds no room after this one, at most `longest`: only another try of the same
    /// makes it longer.
    pub(crate) fn next_pause(&self, bytes: u64, longest: Duration) -> Duration {
        if bytes < self.bytes {
            return self.pause;
        }
        self.pause.saturating_mul(2).min(longest)
    }

    /// Bytes that the tables of a merge may take now; `None`: it is worth another try, whatever they take.
    pub(crate) fn limit(&self, now: Room) -> Option<u64> {
        if self.again <= Instant::now() {
            return None;
        }
        // A larger one may have failed before it, and would again.
        if self.is_over(now) {
            return now.free;
        }
        // Half at most: with less, each of many a little smaller would fail too.
        let half = self.bytes / 2;
        Some(now.free.map_or(half, |free| free.min(half)))
    }

    /// Whether there is room `now`, where there was none. What did not stand in the way then (a quota hides what
    /// is free, what is merged may take less than it took) says nothing.
    fn is_over(&self, now: Room) -> bool {
        let is_gone = self.was_short || (self.was_full && !now.is_full);
        is_gone && !is_short(now, self.bytes)
    }
}

impl Core {
    /// Whether, and how, the last merge found no room.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        lock(&self.shortage).clone()
    }

    /// Bytes that the tables of a merge may take `now`; `None`: no matter.
    pub(super) fn merge_limit(&self, now: Room) -> Option<u64> {
        self.shortage()?.limit(now)
    }

    /// A merge of tables of so many bytes ended with `error`: there was no room for it, as things stood `before`.
    pub(super) fn note_shortage(&self, bytes: u64, before: Room, error: &AtlasError) {
        let mut shortage = lock(&self.shortage);
        let earlier = shortage.as_ref();
        let pause = earlier.map_or(RETRY, |earlier| earlier.next_pause(bytes, LONGEST_RETRY));
        let most = earlier.map_or(bytes, |earlier| earlier.most.max(bytes));
        let reason = error.reason_of_full();
        *shortage = Some(Shortage {
            most,
            ..Shortage::new(reason, bytes, before, pause)
        });
    }

    /// There was room for a merge of tables of so many bytes: for those that failed too, unless one was larger.
    pub(super) fn end_shortage(&self, bytes: u64) {
        let mut shortage = lock(&self.shortage);
        *shortage = shortage.take().filter(|shortage| bytes < shortage.most);
    }

    pub(super) fn room(&self) -> Room {
        Room {
            is_full: self.disk_full().is_some(),
            free: self.disk.free_space(&self.dir).ok().flatten(),
        }
    }
}

fn is_short(room: Room, bytes: u64) -> bool {
    room.free.is_some_and(|free| free < bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(300);

    fn room(is_full: bool, free: impl Into<Option<u64>>) -> Room {
        let free = free.into();
        Room { is_full, free }
    }

    fn shortage(before: Room) -> Shortage {
        Shortage::new(String::new(), 100, before, LONG)
    }

    #[test]
    fn it_is_over_when_what_stood_in_the_way_is_gone() {
        for before in [
            room(false, 99),
            room(true, 99),
            room(true, 100),
            room(true, None),
        ] {
            let shortage = shortage(before);
            assert!(!shortage.is_over(before), "{before:?}");
            assert!(shortage.is_over(room(false, 100)), "{before:?}");
            // A disk that is not full any more has no room for it yet.
            assert!(!shortage.is_over(room(false, 99)), "{before:?}");
        }
        // A quota was used up while much was free: only what comes of writing tells.
        assert!(!shortage(room(false, 1000)).is_over(room(false, 2000)));
        assert!(!shortage(room(true, 1000)).is_over(room(true, 2000)));
    }

    #[test]
    fn until_then_only_what_is_much_smaller_is_merged() {
        let short = shortage(room(false, 60));
        assert_eq!(short.limit(room(false, 60)), Some(50));
        assert_eq!(short.limit(room(false, 40)), Some(40));
        assert_eq!(short.limit(room(false, None)), None);
        assert_eq!(shortage(room(true, None)).limit(room(true, None)), Some(50));
        let past = Shortage::new(String::new(), 100, room(false, 60), Duration::ZERO);
        assert_eq!(past.limit(room(false, 60)), None);
    }

    /// Room for the last that failed is none for a larger one that failed before.
    #[test]
    fn what_is_larger_than_what_is_free_waits_for_its_pause() {
        let short = shortage(room(false, 60));
        assert_eq!(short.limit(room(false, 100)), Some(100));
        assert_eq!(short.limit(room(false, 150)), Some(150));
        let quota = shortage(room(true, None));
        assert_eq!(quota.limit(room(false, None)), None);
    }

    #[test]
    fn its_pause_grows_with_each_try_and_not_with_smaller_ones() {
        let first = Shortage::new(String::new(), 100, room(true, 60), Duration::from_secs(1));
        assert_eq!(first.next_pause(50, LONG), Duration::from_secs(1));
        assert_eq!(first.next_pause(100, LONG), Duration::from_secs(2));
        assert_eq!(shortage(room(true, 60)).next_pause(100, LONG), LONG);
    }
}
