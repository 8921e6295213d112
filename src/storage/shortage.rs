//! A compaction that found no room: when it is worth another try before its pause is over.

/// How things stand for such a compaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shortage {
    /// The disk counts as full.
    is_full: bool,
    /// Less is free than what is to be merged takes.
    is_short: bool,
}

impl Shortage {
    /// Of bytes: what is free, if the disk says that, and what the tables take that are `wanted`.
    pub(crate) fn new(is_full: bool, free: Option<u64>, wanted: u64) -> Shortage {
        Shortage {
            is_full,
            is_short: free.is_some_and(|free| free < wanted),
        }
    }

    /// Whether there is room `now`, where there was none. What did not stand in the way then (a quota hides what
    /// is free, what is merged may take less than it took) says nothing.
    pub(crate) fn is_over(self, now: Shortage) -> bool {
        (self.is_full && !now.is_full) || (self.is_short && !now.is_short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_what_stood_in_the_way_is_gone() {
        let of = |is_full, free| Shortage::new(is_full, free, 100);
        let before = [
            of(false, Some(99)),
            of(true, Some(99)),
            of(true, Some(100)),
            of(true, None),
        ];
        for before in before {
            assert!(!before.is_over(before), "{before:?}");
            assert!(before.is_over(of(false, Some(100))), "{before:?}");
        }
        // A quota was used up while much was free: only what comes of writing tells.
        let quota = of(false, Some(1000));
        assert!(!quota.is_over(of(false, Some(2000))));
        assert!(!of(true, Some(1000)).is_over(of(true, Some(2000))));
    }
}
