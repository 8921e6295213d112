//! The workers, all together: how many there are, and who gets a connection.

use std::io;
use std::sync::Arc;
use std::thread;

use super::Shared;
use super::aside::Aside;
use super::commits::Commits;
use super::connection::Connection;
use super::worker::{Desk, Worker};

/// At least two, so that one connection's turn never holds up all others.
const LEAST: usize = 2;
const MOST: usize = 16;

/// The desks of all workers.
#[derive(Debug, Clone)]
pub(super) struct Workers {
    desks: Vec<Arc<Desk>>,
}

impl Workers {
    /// Starts as many as the machine has processors, within bounds.
    ///
    /// # Errors
    /// What the operating system says when a thread cannot be made.
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Workers> {
        let processors = thread::available_parallelism().map_or(LEAST, usize::from);
        let commits = Arc::new(Commits::start(shared)?);
        let aside = Arc::new(Aside::new());
        let mut workers = Workers { desks: Vec::new() };
        for _ in 0..processors.clamp(LEAST, MOST) {
            // Those that were started would otherwise wait for ever.
            let desk = Worker::start(&aside, &commits).inspect_err(|_| workers.stop())?;
            workers.desks.push(desk);
        }
        Ok(workers)
    }

    /// Gives a connection to the worker that has the fewest.
    pub(super) fn give(&self, connection: Connection) {
        if let Some(desk) = self.desks.iter().min_by_key(|desk| desk.connections()) {
            desk.accept(connection);
        }
    }

    /// Lets every worker end when its last connection has. Nothing may be given from now on.
    pub(super) fn stop(&self) {
        self.desks.iter().for_each(|desk| desk.stop());
    }
}
