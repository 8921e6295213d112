//! health: one line and an exit code, for scripts and for whoever waits for a start.

use std::time::Duration;

use clap::Args;

use super::figures::Figures;
use super::{Plane, Result, Session};
use crate::cli::json::object;
use crate::cli::words::duration_s;
use crate::cli::{Failure, after_help};
use crate::exit::Exit;

/// Whoever asks how a daemon is does not wait long: late is an answer too.
const PATIENCE: Duration = Duration::from_secs(2);

/// Print whether the daemon serves: exit with 0 when it does, 8 when it takes no writes, 5 when it
/// cannot be reached within 2 seconds (--timeout).
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl health\n  until atlaskv-ctl health; do sleep 1; done\n  atlaskv-ctl --timeout 10 health"
))]
pub(super) struct Health {}

impl Health {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.target.connect_within(Plane::Data, PATIENCE)?;
        let figures = Figures::ask(&mut client)?;
        let (state, reason) = (
            figures.text("engine.state"),
            figures.text("engine.state_reason"),
        );
        if let Some(why) = figures.refuses_writes() {
            // What is closed answers nobody for long.
            let exit = match state {
                "closed" => Exit::Unreachable,
                _ => Exit::Refused,
            };
            let message = format!("it serves reads only: {why}");
            return Err(Failure::new(exit, state, message)
                .with("state", state)
                .with("reason", reason));
        }
        let uptime = figures.number("server.uptime_s").unwrap_or(0);
        let line = format!("healthy: {state}, up {}", duration_s(uptime));
        let document = object([
            ("state", state.into()),
            ("reason", reason.into()),
            ("uptime_s", uptime.into()),
        ]);
        session.output.result(&line, document)
    }
}
