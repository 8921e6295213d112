//! The one table of exit codes, for the daemon and every tool.

use std::process::ExitCode;

use crate::storage::AtlasError;

/// How a program of AtlasKV ends. The numbers are a contract with scripts and units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, and well (a torn tail that recovery cuts by itself is well, and is said).
    Done = 0,
    /// The answer is no: key not found, condition not met, damage found that can be repaired.
    No = 1,
    /// Wrong use: flags, arguments, configuration.
    Usage = 2,
    /// Damage that cannot be repaired without loss.
    Damaged = 3,
    /// The directory is locked.
    Locked = 4,
    /// The daemon cannot be reached or did not answer in time.
    Unreachable = 5,
    /// An input or output error, the port taken among them.
    Io = 6,
    /// The data's format is newer than this program.
    NewerFormat = 7,
    /// Refused: read-only, disk full, over a limit, not permitted.
    Refused = 8,
    /// Stopped by SIGINT, as a shell tells it; only by tools that say so in their manual.
    Interrupted = 130,
    /// Stopped by SIGTERM, likewise.
    Terminated = 143,
}

/// The exit codes of every program with their meaning, as `--help` and the manual state them.
pub const EXIT_CODES: [(Exit, &str); 9] = [
    (Exit::Done, "done, and well"),
    (
        Exit::No,
        "the answer is no: key not found, condition not met, repairable damage found",
    ),
    (Exit::Usage, "wrong use: flags, arguments, configuration"),
    (Exit::Damaged, "damage that cannot be repaired without loss"),
    (Exit::Locked, "the directory is locked by another process"),
    (
        Exit::Unreachable,
        "the daemon cannot be reached or did not answer in time",
    ),
    (
        Exit::Io,
        "an input or output error, the port taken among them",
    ),
    (
        Exit::NewerFormat,
        "the data's format is newer than this program",
    ),
    (
        Exit::Refused,
        "refused: read-only, disk full, over a limit, not permitted",
    ),
];

impl Exit {
    /// The number the operating system is given.
    #[must_use]
    pub const fn code(self) -> u8 {
        #[expect(
            clippy::as_conversions,
            reason = "repr(u8): the discriminant is the code"
        )]
        let code = self as u8;
        code
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl From<&AtlasError> for Exit {
    fn from(error: &AtlasError) -> Exit {
        match error {
            // What the operating system refuses for want of room or of leave to write is no fault.
            error if error.is_refusal() => Exit::Refused,
            AtlasError::Io { .. } | AtlasError::OutcomeUnknown { .. } => Exit::Io,
            AtlasError::Corrupt { .. }
            | AtlasError::SyncedDataDamaged { .. }
            | AtlasError::MissingFile { .. }
            | AtlasError::MissingManifest { .. }
            | AtlasError::LsnLost { .. } => Exit::Damaged,
            AtlasError::NewerFormat { .. } => Exit::NewerFormat,
            AtlasError::Locked { .. } => Exit::Locked,
            AtlasError::InvalidOption { .. }
            | AtlasError::NotAStore { .. }
            | AtlasError::EmptyKey
            | AtlasError::LsnNotAssigned { .. } => Exit::Usage,
            _ => Exit::Refused,
        }
    }
}

/// The table as text, for the end of each `--help`.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, meaning) in EXIT_CODES {
        text.push_str(&format!("  {}  {meaning}\n", exit.code()));
    }
    text
}
