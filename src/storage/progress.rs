//! How far long work is. It is told every few MiB of work and never without any, so that whoever waits
//! can tell slow from stuck.

use super::event::{Event, ReplayStep};
use super::options::{EventSink, MIB};

/// Work is told at least once in so many bytes, give or take one entry.
const STEP: usize = 2 * MIB;

/// Takes note of work while it goes on.
pub(crate) trait Progress {
    /// `work` bytes were read or written, and the end is `nearer` bytes nearer.
    fn note(&mut self, nearer: u64, work: u64);

    /// Whether the work is still wanted.
    fn is_wanted(&self) -> bool {
        true
    }
}

/// How much of a whole is done: it never falls and never passes the whole.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    done: u64,
    total: u64,
    /// Bytes of work since it was last told.
    untold: u64,
}

impl Gauge {
    pub(crate) fn new(total: u64) -> Gauge {
        Gauge {
            total,
            ..Gauge::default()
        }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// As [`Progress::note`]; whether it is time to tell.
    pub(crate) fn note(&mut self, nearer: u64, work: u64) -> bool {
        self.reach(self.done.saturating_add(nearer));
        self.untold = self.untold.saturating_add(work);
        let due = self.untold >= super::disk::count(STEP);
        if due {
            self.untold = 0;
        }
        due
    }

    /// At least so much is done.
    pub(crate) fn reach(&mut self, done: u64) {
        self.done = self.done.max(done.min(self.total));
    }
}

/// How far recovery is with the log.
pub(crate) struct Replaying<'a> {
    events: Option<&'a EventSink>,
    step: ReplayStep,
    segment: u64,
    segments: u64,
    gauge: Gauge,
}

impl<'a> Replaying<'a> {
    pub(crate) fn new(events: Option<&'a EventSink>) -> Replaying<'a> {
        Replaying {
            events,
            step: ReplayStep::Reading,
            segment: 0,
            segments: 0,
            gauge: Gauge::default(),
        }
    }

    /// Begins a step over so many segments, with so many bytes to do.
    pub(crate) fn begin(&mut self, step: ReplayStep, segments: usize, total_bytes: u64) {
        self.step = step;
        self.segment = 0;
        self.segments = super::disk::count(segments);
        self.gauge = Gauge::new(total_bytes);
    }

    /// Begins the next segment.
    pub(crate) fn next_segment(&mut self) {
        self.segment = self.segments.min(self.segment + 1);
        self.tell();
    }

    /// So many bytes of this step are done, at least.
    pub(crate) fn reach(&mut self, bytes: u64) {
        self.gauge.reach(bytes);
        self.tell();
    }

    /// Ends the step.
    pub(crate) fn finish(&mut self) {
        self.segment = self.segments;
        self.reach(self.gauge.total());
    }

    fn tell(&self) {
        if let Some(events) = self.events
            && self.gauge.total() > 0
        {
            events(&Event::Replaying {
                step: self.step,
                segment: self.segment,
                segments: self.segments,
                bytes: self.gauge.done(),
                total_bytes: self.gauge.total(),
            });
        }
    }
}

impl Progress for Replaying<'_> {
    fn note(&mut self, nearer: u64, work: u64) {
        if self.gauge.note(nearer, work) {
            self.tell();
        }
    }
}
