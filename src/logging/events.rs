//! The engine's events in the log.

use std::sync::Arc;

use super::message;
use super::throttle::Throttle;
use crate::storage::{Event, EventSink};

/// The room that they come from.
const TARGET: &str = "atlaskv::storage";

/// Takes the engine's events into the log.
#[must_use]
pub fn event_sink() -> EventSink {
    // Work that takes long says now and then how far it is, what is soon done nothing; writers that wait
    // say so once and not each of them.
    let (progress, stall) = (Throttle::default(), Throttle::default());
    Arc::new(move |event| {
        let due = match event {
            Event::Replaying { bytes: 0, .. } | Event::Closing { bytes: 0, .. } => {
                progress.restart();
                false
            }
            Event::Replaying { .. } | Event::Closing { .. } => progress.is_due(),
            Event::Stalled { .. } => stall.is_due(),
            _ => true,
        };
        if due {
            log_event(event);
        }
    })
}

fn log_event(event: &Event) {
    match event {
        Event::BackgroundFailed { task, error } => {
            log::error!(target: TARGET, message_id = message::TASK_FAILED, task, reason = error.as_str(); "{event}");
        }
        Event::WritingStopped { reason } => {
            log::error!(target: TARGET, message_id = message::WRITING_STOPPED, reason = reason.as_str(); "{event}");
        }
        Event::DiskFull { reason } => {
            log::error!(target: TARGET, message_id = message::DISK_FULL, reason = reason.as_str(); "{event}");
        }
        Event::WritingResumed => {
            log::info!(target: TARGET, message_id = message::WRITING_RESUMED; "{event}");
        }
        Event::Stalled { cause } => {
            log::warn!(target: TARGET, message_id = message::STALLED, reason = cause; "{event}");
        }
        Event::Replaying { bytes, segment, .. } => {
            log::info!(target: TARGET, segment, bytes; "{event}");
        }
        Event::Flushed { bytes, lsn, .. } => {
            log::info!(target: TARGET, lsn:% = lsn, bytes; "{event}");
        }
        _ => log::info!(target: TARGET, "{event}"),
    }
}
