//! What root makes in another user's directory is that user's, and no link leads root elsewhere.
#![allow(clippy::print_stderr, reason = "test code")]
#![expect(clippy::disallowed_methods, reason = "tests see files as they are")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use super::*;
use crate::storage::disk::write_full;

/// A user and a group that nobody here is.
const USER: u32 = 65_533;
const GROUP: u32 = 65_532;

/// A directory that another user owns when root runs this, and a place outside of it.
struct Place {
    _home: tempfile::TempDir,
    dir: PathBuf,
    outside: PathBuf,
}

fn place() -> Place {
    let home = tempfile::tempdir().unwrap();
    let (dir, outside) = (home.path().join("data"), home.path().join("outside"));
    fs::create_dir(&dir).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&dir, Some(USER), Some(GROUP)).unwrap();
    }
    Place {
        _home: home,
        dir,
        outside,
    }
}

impl Place {
    fn disk(&self) -> OwnersDisk {
        OwnersDisk::of(&self.dir).unwrap()
    }

    /// What stands outside is as it was.
    fn check_outside(&self, when: &str) {
        let secret = self.outside.join("secret");
        assert_eq!(fs::read(&secret).unwrap(), b"secret", "{when}");
        let owner = fs::metadata(&secret).unwrap().uid();
        assert_eq!(owner, rustix::process::geteuid().as_raw(), "{when}");
        assert_eq!(fs::read_dir(&self.outside).unwrap().count(), 1, "{when}");
    }
}

/// Whether root runs this; a test that needs it says that it was skipped.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can make files for another user");
    }
    root
}

fn owner_and_mode(path: &Path) -> (u32, u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid(), found.permissions().mode() & 0o777)
}

#[test]
fn what_root_makes_belongs_to_the_directorys_owner() {
    if !is_root() {
        return;
    }
    let place = place();
    let disk = place.disk();
    let held = disk.lock(&place.dir).unwrap();
    let quarantine = place.dir.join("quarantine");
    disk.create_dir(&quarantine).unwrap();
    disk.create_dir(&quarantine).unwrap();
    for file in [place.dir.join("a.tmp"), quarantine.join("b.tmp")] {
        write_full(&*disk.create(&file).unwrap(), b"bytes", 0).unwrap();
        assert_eq!(owner_and_mode(&file), (USER, GROUP, FILE_MODE));
    }
    disk.rename(&place.dir.join("a.tmp"), &quarantine.join("a"))
        .unwrap();
    disk.sync_dir(&quarantine).unwrap();
    assert_eq!(fs::read(quarantine.join("a")).unwrap(), b"bytes");
    assert_eq!(owner_and_mode(&quarantine), (USER, GROUP, DIR_MODE));
    let lock = place.dir.join(file_name::LOCK);
    assert_eq!(owner_and_mode(&lock), (USER, GROUP, FILE_MODE));
    drop(held);
    // One that root left there once is given back.
    chown(&lock, Some(0), Some(0)).unwrap();
    drop(disk.lock(&place.dir).unwrap());
    assert_eq!(owner_and_mode(&lock), (USER, GROUP, FILE_MODE));
}

#[test]
fn a_link_in_a_files_place_leads_nowhere() {
    let place = place();
    let disk = place.disk();
    let secret = place.outside.join("secret");
    for name in [file_name::LOCK, "MANIFEST", "a.tmp"] {
        symlink(&secret, place.dir.join(name)).unwrap();
    }
    symlink(place.outside.join("new"), place.dir.join("b.tmp")).unwrap();
    let locked = disk.lock(&place.dir).unwrap_err();
    assert!(locked.to_string().contains("it is a link"), "{locked}");
    let read = disk.open(&place.dir.join("MANIFEST")).unwrap_err();
    assert!(read.to_string().contains("it is a link"), "{read}");
    for name in ["a.tmp", "b.tmp"] {
        let made = disk.create(&place.dir.join(name)).unwrap_err();
        assert_eq!(made.kind(), io::ErrorKind::AlreadyExists, "{name}");
    }
    disk.remove(&place.dir.join("a.tmp")).unwrap();
    place.check_outside("links in the places of files");
}

#[test]
fn a_link_in_a_directorys_place_leads_nowhere() {
    let place = place();
    let disk = place.disk();
    let quarantine = place.dir.join("quarantine");
    symlink(&place.outside, &quarantine).unwrap();
    fs::write(place.dir.join("stray"), "stray").unwrap();
    disk.create_dir(&quarantine).unwrap_err();
    disk.create_dir(&quarantine.join("deeper")).unwrap_err();
    disk.list(&quarantine).unwrap_err();
    disk.sync_dir(&quarantine).unwrap_err();
    disk.create(&quarantine.join("new")).unwrap_err();
    disk.open(&quarantine.join("secret")).unwrap_err();
    disk.remove(&quarantine.join("secret")).unwrap_err();
    disk.rename(&place.dir.join("stray"), &quarantine.join("stray"))
        .unwrap_err();
    disk.rename(&quarantine.join("secret"), &place.dir.join("taken"))
        .unwrap_err();
    for path in [place.outside.join("new"), place.dir.join("../outside/new")] {
        let made = disk.create(&path).unwrap_err();
        assert_eq!(
            made.kind(),
            io::ErrorKind::InvalidInput,
            "{}",
            path.display()
        );
    }
    place.check_outside("a link in the place of the quarantine");
}

#[test]
fn another_name_of_a_strangers_file_is_not_taken_and_a_pipe_is_no_file() {
    if !is_root() {
        return;
    }
    let place = place();
    let disk = place.disk();
    let secret = place.outside.join("secret");
    for name in [file_name::LOCK, "MANIFEST"] {
        fs::hard_link(&secret, place.dir.join(name)).unwrap();
    }
    disk.lock(&place.dir).unwrap_err();
    disk.open(&place.dir.join("MANIFEST")).unwrap_err();
    // The owner's own files may have more names: a copy of the directory may be made of such.
    let (table, copy) = (place.dir.join("1.sst"), place.dir.join("copy"));
    fs::write(&table, "table").unwrap();
    chown(&table, Some(USER), None).unwrap();
    fs::hard_link(&table, &copy).unwrap();
    disk.open(&table).unwrap();
    let pipe = place.dir.join("2.sst");
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
    let read = disk.open(&pipe).unwrap_err();
    assert_eq!(read.to_string(), "it is no file");
    place.check_outside("hard links");
}

#[test]
fn a_strangers_file_that_was_moved_here_is_not_taken_for_the_lock() {
    const STRANGER: u32 = 65_531;
    if !is_root() {
        return;
    }
    let place = place();
    let disk = place.disk();
    let lock = place.dir.join(file_name::LOCK);
    fs::write(&lock, "a stranger's").unwrap();
    chown(&lock, Some(STRANGER), Some(STRANGER)).unwrap();
    let locked = disk.lock(&place.dir).unwrap_err();
    let told = locked.to_string();
    assert!(told.contains("it is a file of another user"), "{told}");
    assert_eq!(owner_and_mode(&lock).0, STRANGER);
    assert_eq!(fs::read(&lock).unwrap(), b"a stranger's");
}

#[test]
fn a_directory_that_took_the_place_of_the_one_made_is_not_given() {
    if !is_root() {
        return;
    }
    let place = place();
    let disk = place.disk();
    let other = place.dir.join("other");
    fs::create_dir(&other).unwrap();
    let open = || disk.directory(&other).unwrap();
    disk.give_made(&open()).unwrap();
    assert_eq!(owner_and_mode(&other).0, USER);
    // Not ours: it would be given to its owner's neighbour.
    chown(&other, Some(USER - 5), None).unwrap();
    disk.give_made(&open()).unwrap_err();
    assert_eq!(owner_and_mode(&other).0, USER - 5);
    chown(&other, Some(0), None).unwrap();
    fs::write(other.join("file"), "root's").unwrap();
    disk.give_made(&open()).unwrap_err();
    assert_eq!(owner_and_mode(&other).0, 0);
}

#[test]
fn who_holds_the_directory_is_named() {
    let place = place();
    let disk = place.disk();
    let _held = disk.lock(&place.dir).unwrap();
    let locked = disk.lock(&place.dir).unwrap_err();
    let process = format!("process {}", std::process::id());
    assert!(matches!(locked, AtlasError::Locked { .. }), "{locked}");
    assert!(locked.to_string().contains(&process), "{locked}");
}

/// The owner of the directory may have put another of its own files under the lock's name.
#[test]
fn a_lock_under_another_name_of_a_file_is_refused() {
    let place = place();
    let theirs = place.dir.join("theirs");
    fs::write(&theirs, "kept").unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&theirs, Some(USER), Some(GROUP)).unwrap();
    }
    fs::hard_link(&theirs, place.dir.join(file_name::LOCK)).unwrap();
    let refused = place.disk().lock(&place.dir).unwrap_err();
    assert!(matches!(refused, AtlasError::Io { .. }), "{refused}");
    assert_eq!(fs::read(&theirs).unwrap(), b"kept");
}
