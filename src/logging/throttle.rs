//! What can happen again and again is logged now and then.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often.
const INTERVAL: Duration = Duration::from_secs(5);

/// Lets a line through at most every five seconds, so that what clients do again and again does not
/// fill the log.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Option<Instant>>);

impl Throttle {
    /// Whether a line may be written now.
    pub(crate) fn is_due(&self) -> bool {
        // Who finds it locked has company that logs.
        let Ok(mut last) = self.0.try_lock() else {
            return false;
        };
        let due = last.is_none_or(|last| last.elapsed() >= INTERVAL);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    /// Lets nothing through for the next five seconds.
    pub(crate) fn restart(&self) {
        if let Ok(mut last) = self.0.try_lock() {
            *last = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_throttled_is_logged_now_and_then() {
        let throttle = Throttle::default();
        assert!(throttle.is_due());
        assert!(!throttle.is_due());
        *throttle.0.lock().unwrap() = Instant::now().checked_sub(INTERVAL);
        assert!(throttle.is_due());
    }

    #[test]
    fn after_a_restart_nothing_is_logged_for_a_while() {
        let throttle = Throttle::default();
        throttle.restart();
        assert!(!throttle.is_due());
    }
}
