//! SIGTERM and SIGINT.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Wish;
use crate::exit::Exit;

/// How signals are answered: before the store is open by exiting at once, which recovery allows at every
/// step, afterwards by a graceful stop.
pub(super) struct Watch {
    graceful: Arc<AtomicBool>,
}

impl Watch {
    /// From now on signals ask for a graceful stop.
    pub(super) fn begin_graceful(&self) {
        self.graceful.store(true, Ordering::Release);
    }
}

/// Watches for signals in a thread of its own.
pub(super) fn watch(wishes: Sender<Wish>) -> io::Result<Watch> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let graceful = Arc::new(AtomicBool::new(false));
    let watch = Watch {
        graceful: Arc::clone(&graceful),
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for number in signals.forever() {
                let signal = if number == SIGINT {
                    "SIGINT"
                } else {
                    "SIGTERM"
                };
                if !graceful.load(Ordering::Acquire) {
                    log::info!("{signal} during the start: stopped, the next start begins anew");
                    std::process::exit(i32::from(Exit::Done.code()));
                }
                if wishes.send(Wish::Stop { signal }).is_err() {
                    return;
                }
            }
        })?;
    Ok(watch)
}
