//! To whom files belong and what others may do with them. A wrong owner keeps the daemon from its data,
//! a wide mode shows it to others; neither is damage, so all of it is notes, with the command that mends.

use std::path::Path;

use super::report::{FileReport, Finding, Severity};
use crate::storage::disk::Disk;
use crate::storage::file_name;

/// What nobody but the owner has on a file of ours.
const OTHERS: u32 = 0o077;
/// What may not be had on a directory: its group may list it, as the service manager sets it up.
const DIR_OTHERS: u32 = 0o027;

/// Notes on the files, in their findings, and on the directories, as sentences.
pub(super) fn check(disk: &dyn Disk, dir: &Path, files: &mut [FileReport]) -> Vec<String> {
    let Ok(Some(home)) = disk.ownership(dir) else {
        return Vec::new();
    };
    for file in files {
        let path = dir.join(&file.name);
        // A name that has vanished belongs to nobody.
        let Ok(Some(found)) = disk.ownership(&path) else {
            continue;
        };
        if found.owner != home.owner {
            file.findings.push(owner(&path, home.owner, found.owner));
        }
        if found.mode & OTHERS != 0 {
            file.findings.push(mode(&path, "600", found.mode));
        }
    }
    let mut notes = Vec::new();
    let quarantine = file_name::quarantine(dir);
    for path in [dir, &quarantine] {
        let Ok(Some(found)) = disk.ownership(path) else {
            continue;
        };
        if found.owner != home.owner {
            notes.push(owner(path, home.owner, found.owner));
        }
        if found.mode & DIR_OTHERS != 0 {
            notes.push(mode(path, "700", found.mode));
        }
    }
    let sentences = notes.into_iter().map(|note| note.detail);
    sentences.collect()
}

fn owner(path: &Path, expected: u32, found: u32) -> Finding {
    let detail = format!(
        "{} belongs to user {found}, the data directory to user {expected}: the daemon may not be able \
         to open it; chown {expected} {}",
        path.display(),
        path.display()
    );
    Finding::whole(Severity::Note, detail).comparing(expected, found)
}

fn mode(path: &Path, expected: &str, found: u32) -> Finding {
    let detail = format!(
        "{} has mode {found:03o}: others than its owner may use it; chmod {expected} {}",
        path.display(),
        path.display()
    );
    Finding::whole(Severity::Note, detail).comparing(expected, format!("{found:03o}"))
}
