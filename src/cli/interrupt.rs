//! SIGINT and SIGTERM for a tool that can stop at the next piece of its work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;

/// What asked for the end, if anything did.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

const SIGNALS: [(i32, usize, &str, Exit); 2] = [
    (SIGINT, 1, "SIGINT", Exit::Interrupted),
    (SIGTERM, 2, "SIGTERM", Exit::Terminated),
];

impl Interrupt {
    /// From now on the first signal asks for the end, and a second one ends the process at once.
    pub(super) fn watch() -> io::Result<Interrupt> {
        let interrupt = Interrupt::default();
        for (signal, place, _, exit) in SIGNALS {
            // In this order: the first signal finds the flag down.
            let code = i32::from(exit.code());
            flag::register_conditional_shutdown(signal, code, Arc::clone(&interrupt.asked))?;
            flag::register_usize(signal, Arc::clone(&interrupt.signal), place)?;
            flag::register(signal, Arc::clone(&interrupt.asked))?;
        }
        Ok(interrupt)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// The signal that asked: its name, and the code with which the process ends.
    pub(super) fn signal(&self) -> (&'static str, Exit) {
        let place = self.signal.load(Ordering::Acquire);
        let found = SIGNALS.iter().find(|signal| signal.1 == place);
        found.map_or(("SIGTERM", Exit::Terminated), |found| (found.2, found.3))
    }
}
