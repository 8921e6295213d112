//! A server in this process, for the examples of the documentation, which run.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use crate::config::Config;
use crate::daemon;
use crate::protocol::Token;
use crate::server::{Listeners, NoControl, Server};
use crate::storage::{Engine, RealDisk};

/// Connections that an example may have.
const MAX_CONNECTIONS: usize = 8;

/// Serves a new store in `dir` on a free port of the loopback, until the process ends.
///
/// # Errors
/// What the start of a daemon can meet.
pub fn serve(dir: &Path) -> Result<Server, Box<dyn Error>> {
    serve_with_token(dir, None)
}

/// As [`serve`], and TCP clients must present the token.
///
/// # Errors
/// As [`serve`].
pub fn serve_with_token(dir: &Path, token: Option<Token>) -> Result<Server, Box<dyn Error>> {
    let mut config = Config::embedded(dir);
    config.server.listen.set_port(0);
    let engine = Engine::open(RealDisk::shared(), dir, config.options())?;
    let listeners = Listeners::bind(config.server.listen, &config.server.admin_socket)?;
    let settings = daemon::settings(&config, MAX_CONNECTIONS, token);
    let control = Arc::new(NoControl);
    Ok(Server::start(
        Arc::new(engine),
        listeners,
        settings,
        control,
    )?)
}
