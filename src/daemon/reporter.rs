//! What the service manager is told of the daemon's state: readiness, the status line, and that a long
//! start or stop gets on.
//!
//! One thread tells everything, in the order in which it is noted, so that no older status follows a
//! newer one. The engine's threads only leave a note, and never wait for the manager. Without a manager
//! there is no thread, and notes go nowhere.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::serving::Serving;
use crate::storage::{Engine, Event, percent};

/// How often the status of a daemon that serves is looked at.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// What a start or a stop that gets on is given from each sign of it.
const EXTENSION_US: u32 = 30_000_000;
/// The least time between two extensions: signs come every few MiB.
const EXTENSION_INTERVAL: Duration = Duration::from_secs(1);
/// Notes that wait; more of the engine's are dropped.
const MAX_NOTES: usize = 64;
/// A status line is cut here: the manager takes messages of 4096 bytes at most.
const MAX_STATUS: usize = 1000;

/// The last status of a daemon that stopped well.
const STOPPED: &str = "stopped: everything is flushed and synced";

/// Something to be told.
pub(super) enum Note {
    /// A long start or stop gets on; what it does.
    Progress(String),
    /// A memtable was flushed.
    Flushed,
    /// The engine's state has changed: disk full, read-only, or well again.
    State,
    /// The daemon serves.
    Ready {
        /// Whose figures make the status line.
        engine: Arc<Engine>,
        /// The sync policy.
        sync: String,
        /// What the start found.
        recovered: String,
    },
    /// The configuration is being read again.
    Reloading,
    /// It was read again.
    Reloaded {
        /// Why it was refused, if it was.
        refusal: Option<String>,
        /// The sync policy in force.
        sync: String,
    },
    /// The daemon stops.
    Stopping,
    /// The daemon has stopped, and nothing more is to be told.
    End {
        /// Whether it stopped well.
        well: bool,
    },
}

/// Where notes are left.
#[derive(Clone, Default)]
pub(super) struct Notes(Option<SyncSender<Note>>);

impl Notes {
    /// Leaves a note; waits for room.
    pub(super) fn send(&self, note: Note) {
        if let Some(sender) = &self.0 {
            // After the end nobody listens.
            let _ = sender.send(note);
        }
    }

    /// Leaves a note about an event, for the engine's threads: what finds no room is dropped. The state is
    /// looked at again and again, and of progress the next sign comes soon.
    pub(super) fn tell(&self, event: &Event) {
        let note = match event {
            Event::Replaying {
                step,
                segment,
                segments,
                bytes,
                total_bytes,
            } => Note::Progress(format!(
                "recovering: {step} segment {segment} of {segments}, {} %",
                percent(*bytes, *total_bytes)
            )),
            Event::Closing { bytes, total_bytes } => Note::Progress(format!(
                "stopping: final flush, {} %",
                percent(*bytes, *total_bytes)
            )),
            Event::Flushed { .. } => Note::Flushed,
            Event::DiskFull { .. } | Event::WritingStopped { .. } | Event::WritingResumed => {
                Note::State
            }
            _ => return,
        };
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(note);
        }
    }
}

/// The thread that tells.
pub(super) struct Reporter {
    notes: Notes,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    /// Starts it, if there is a service manager.
    ///
    /// # Errors
    /// What the operating system says when the thread cannot be made.
    pub(super) fn start() -> std::io::Result<Reporter> {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Ok(Reporter {
                notes: Notes::default(),
                thread: None,
            });
        }
        let (sender, notes) = sync_channel(MAX_NOTES);
        let thread = thread::Builder::new()
            .name("reporter".to_owned())
            .spawn(move || Story::default().run(&notes))?;
        Ok(Reporter {
            notes: Notes(Some(sender)),
            thread: Some(thread),
        })
    }

    /// Where notes are left.
    pub(super) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Waits until everything noted so far is told; notes that come later go nowhere.
    pub(super) fn finish(self, well: bool) {
        self.notes.send(Note::End { well });
        if let Some(thread) = self.thread {
            // It cannot panic, and if it has, the daemon ends anyway.
            let _ = thread.join();
        }
    }
}

/// What has been told, and what it is made of.
#[derive(Default)]
struct Story {
    serving: Option<Serving>,
    recovered: String,
    refusal: Option<String>,
    told: String,
    extended: Option<Instant>,
    unheard: bool,
}

impl Story {
    /// Tells until the end.
    fn run(mut self, notes: &Receiver<Note>) {
        self.tell(&[], "starting");
        let mut look = Instant::now() + STATUS_INTERVAL;
        loop {
            match notes.recv_timeout(look.saturating_duration_since(Instant::now())) {
                Ok(Note::End { well: true }) => return self.tell(&[], STOPPED),
                Ok(Note::End { .. }) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(note) => self.take(note),
                Err(RecvTimeoutError::Timeout) => {
                    look = Instant::now() + STATUS_INTERVAL;
                    if let Some(serving) = &mut self.serving {
                        serving.measure();
                    }
                    self.tell_serving(&[]);
                }
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            // It is of the start, or of the stop: what was left before the other is out of date.
            Note::Progress(line) if self.serving.is_none() => self.progress(&line),
            Note::Progress(_) | Note::End { .. } => {}
            Note::Flushed => {
                if let Some(serving) = &mut self.serving {
                    serving.flushed();
                }
            }
            Note::State => self.tell_serving(&[]),
            Note::Ready {
                engine,
                sync,
                recovered,
            } => {
                self.recovered = recovered;
                self.serving = Some(Serving::new(engine, sync));
                self.tell_serving(&[NotifyState::Ready]);
            }
            Note::Reloading => match NotifyState::monotonic_usec_now() {
                Ok(now) => self.tell_serving(&[NotifyState::Reloading, now]),
                Err(error) => log::warn!("the clock cannot be read: {error}"),
            },
            Note::Reloaded { refusal, sync } => {
                self.refusal = refusal;
                if let Some(serving) = &mut self.serving {
                    serving.set_sync(sync);
                }
                self.tell_serving(&[NotifyState::Ready]);
            }
            Note::Stopping => {
                self.serving = None;
                // The stop's first sign is told whenever the start's last one was.
                self.extended = None;
                let mut states = vec![NotifyState::Stopping];
                if sd_notify::watchdog_enabled().is_some() {
                    // The engine that closes cannot be probed, and a sync of a large table is one silent
                    // call: from here on the manager's stop timeout alone judges.
                    states.push(NotifyState::WatchdogUsec(u32::MAX));
                }
                self.tell(&states, "stopping: waiting for requests under way");
            }
        }
    }

    /// Tells that a long start or stop gets on, at most once a second.
    fn progress(&mut self, line: &str) {
        let due = |last: Instant| last.elapsed() >= EXTENSION_INTERVAL;
        if !self.extended.is_none_or(due) {
            return;
        }
        self.extended = Some(Instant::now());
        self.tell(&[NotifyState::ExtendTimeoutUsec(EXTENSION_US)], line);
    }

    /// Tells `states`, and what the daemon that serves is doing if that has changed.
    fn tell_serving(&mut self, states: &[NotifyState<'_>]) {
        let Some(serving) = &self.serving else { return };
        let mut line = serving.line();
        if let Some(refusal) = &self.refusal {
            line.push_str(&format!("; reload refused: {refusal}"));
        }
        line.push_str(&format!("; {}", self.recovered));
        self.tell(states, &line);
    }

    /// Tells `states`, and the status line if it has changed, in one message.
    fn tell(&mut self, states: &[NotifyState<'_>], line: &str) {
        let line = line.replace(char::is_control, " ");
        let line: String = line.chars().take(MAX_STATUS).collect();
        let mut states = states.to_vec();
        if line != self.told {
            states.push(NotifyState::Status(&line));
        }
        if states.is_empty() {
            return;
        }
        match sd_notify::notify(&states) {
            Ok(()) => self.told = line,
            Err(error) if !self.unheard => {
                log::warn!("the service manager cannot be told of this daemon's state: {error}");
                self.unheard = true;
            }
            Err(_) => {}
        }
    }
}

/// Tells the manager why the daemon ends, as its last status.
pub(super) fn tell_failure(failure: &str) {
    let line: String = failure
        .replace(char::is_control, " ")
        .chars()
        .take(MAX_STATUS)
        .collect();
    let status = format!("failed: {line}");
    // It is in the log too.
    let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
}
