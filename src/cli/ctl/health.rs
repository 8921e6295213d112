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
        let mut client = session
            .target
            .connect_within(Plane::Observation, PATIENCE)?;
        let figures = Figures::ask(&mut client)?;
        if let Some(failure) = refusal(&figures) {
            return Err(failure);
        }
        let (state, reason) = (
            figures.text("engine.state"),
            figures.text("engine.state_reason"),
        );
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

/// What is wrong with a store that takes no writes.
fn refusal(figures: &Figures) -> Option<Failure> {
    let why = figures.refuses_writes()?;
    let state = figures.text("engine.state");
    let exit = match state {
        // It is stopping: soon it answers nobody.
        "closed" => Exit::Unreachable,
        _ => Exit::Refused,
    };
    let failure = Failure::new(exit, state, format!("it serves reads only: {why}"));
    Some(
        failure
            .with("state", state)
            .with("reason", figures.text("engine.state_reason")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::StatValue;

    #[test]
    fn a_store_that_only_reads_is_8_and_one_that_closes_is_5() {
        let ends = |state: &str| {
            let figures = Figures::of(&[("engine.state", StatValue::Text(state.to_owned()))]);
            refusal(&figures).map(|failure| (failure.exit, failure.code))
        };
        assert_eq!(ends("running"), None);
        for state in ["read-only", "disk-full"] {
            assert_eq!(ends(state), Some((Exit::Refused, state.to_owned())));
        }
        assert_eq!(ends("closed").unwrap().0, Exit::Unreachable);
    }
}
