//! What a failure of the engine means for the tools that work on a directory.

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
    Failure::new(exit, code, error.to_string())
}
