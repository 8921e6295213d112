//! What a failure of the engine means for the tools that work on a directory.

use std::path::Path;

use super::failure::Failure;
use crate::exit::Exit;
use crate::storage::AtlasError;

/// The failure of a tool whose engine failed.
pub(super) fn failure(error: &AtlasError) -> Failure {
    let exit = Exit::from(error);
    let code = match exit {
        Exit::Usage => "usage",
        Exit::Damaged => "damaged",
        Exit::Locked => "locked",
        Exit::Io => "io-error",
        Exit::NewerFormat => "newer-format",
        _ => "refused",
    };
    let failure = Failure::new(exit, code, error.to_string());
    match error {
        AtlasError::NoRoom { needed, free, .. } => failure
            .with("bytes_needed", *needed)
            .with("bytes_free", *free),
        _ => failure,
    }
}

/// Refuses what is no directory, in the words of an argument that is wrong.
pub(super) fn check_directory(dir: &Path) -> Result<(), Failure> {
    let wrong = if dir.is_dir() {
        return Ok(());
    } else if dir.exists() {
        "is not a directory"
    } else {
        "does not exist"
    };
    let message = format!(
        "{} {wrong}: give the data directory (data_dir)",
        dir.display()
    );
    Err(Failure::usage(message))
}
