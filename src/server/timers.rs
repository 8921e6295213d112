//! When connections run out of time, without a look at all of them.
//!
//! A connection's deadline moves with every request, and mostly later. So its timer stays where it is
//! until it fires; whoever asked for it then looks at the deadline that holds, and sets it anew. A timer
//! is moved only to an earlier time, and what is left behind of it, or of a connection that has ended, is
//! ignored when its time comes, and forgotten before when it is much.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Timers that may be left behind, besides one for each connection.
const SPARE: usize = 1024;

/// Timers of numbered connections.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    /// Sees to it that the timer of connection `number`, which is set to `set`, fires no later than
    /// `until`.
    pub(super) fn set(&mut self, number: usize, set: &mut Option<Instant>, until: Option<Instant>) {
        let Some(until) = until else {
            return;
        };
        if set.is_none_or(|set| set > until) {
            *set = Some(until);
            self.heap.push(Reverse((until, number)));
        }
    }

    /// Forgets timers that nobody waits for any more, when there are many more of them than connections.
    pub(super) fn tidy(&mut self, connections: usize, is_set: impl Fn(Instant, usize) -> bool) {
        if self.heap.len() > SPARE + 2 * connections {
            self.heap
                .retain(|Reverse((when, number))| is_set(*when, *number));
        }
    }

    /// When the next timer fires.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((when, _))| *when)
    }

    /// A timer whose time has come: when it was to fire, and whose it is. One that is not what its
    /// connection's is set to is to be ignored.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, usize)> {
        self.next().filter(|when| *when <= now)?;
        self.heap.pop().map(|Reverse(due)| due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_timer_moves_to_earlier_times_alone() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut set = None;
        timers.set(7, &mut set, None);
        assert_eq!(timers.next(), None);
        for seconds in [10, 20, 30] {
            timers.set(7, &mut set, at(seconds));
        }
        assert_eq!((set, timers.heap.len()), (at(10), 1));
        timers.set(7, &mut set, at(5));
        assert_eq!((set, timers.next()), (at(5), at(5)));
        assert_eq!(timers.due(start), None);
        let late = start + Duration::from_secs(60);
        assert_eq!(timers.due(late), Some((start + Duration::from_secs(5), 7)));
        assert_eq!(timers.due(late), Some((start + Duration::from_secs(10), 7)));
        assert_eq!(timers.due(late), None);
    }

    #[test]
    fn what_is_left_behind_is_bounded() {
        let (mut timers, start) = (Timers::default(), Instant::now());
        let until = Some(start + Duration::from_secs(600));
        for _ in 0..10 * SPARE {
            // One connection after another, each ended at once.
            timers.set(0, &mut None, until);
            timers.tidy(1, |_, _| false);
            assert!(timers.heap.len() <= SPARE + 2);
        }
        timers.set(0, &mut None, until);
        for _ in 0..2 * SPARE {
            timers.set(0, &mut None, until);
            timers.tidy(1, |_, _| true);
        }
        assert!(timers.heap.len() > 2 * SPARE, "what is set is kept");
    }
}
