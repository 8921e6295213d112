//! SIGTERM, SIGINT and SIGHUP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Wish;
use crate::exit::Exit;
use crate::logging::{self, message};

/// How signals are answered: before the store is open by exiting at once, which recovery allows at every
/// step, afterwards by a graceful stop.
#[derive(Clone, Default)]
pub(super) struct Watch {
    graceful: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Watch {
    /// From now on signals ask for a graceful stop.
    pub(super) fn begin_graceful(&self) {
        self.graceful.store(true, Ordering::Release);
    }

    /// A reload begins: a signal from now on asks for another. Those before it are all answered by it.
    pub(super) fn begin_reload(&self) {
        self.reload.store(false, Ordering::Release);
    }
}

/// Watches for signals in a thread of its own.
pub(super) fn watch(wishes: Sender<Wish>) -> io::Result<Watch> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let watch = Watch::default();
    thread::Builder::new().name("signals".to_owned()).spawn({
        let watch = watch.clone();
        move || {
            for number in signals.forever() {
                let wish = match number {
                    SIGHUP if watch.reload.swap(true, Ordering::AcqRel) => continue,
                    SIGHUP => Wish::Reload,
                    SIGINT => Wish::Stop { signal: "SIGINT" },
                    _ => Wish::Stop { signal: "SIGTERM" },
                };
                if let Wish::Stop { signal } = wish
                    && !watch.graceful.load(Ordering::Acquire)
                {
                    log::info!(
                        message_id = message::STOPPING, signal;
                        "{signal} during the start: stopped, the next start begins anew"
                    );
                    logging::flush();
                    std::process::exit(i32::from(Exit::Done.code()));
                }
                if wishes.send(wish).is_err() {
                    return;
                }
            }
        }
    })?;
    Ok(watch)
}
