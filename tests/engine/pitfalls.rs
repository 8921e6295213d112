//! Bugs that other stores have had: files that are missing, and a log that is written on after a failure.

use atlaskv::storage::{AtlasError, Options, WalSyncStrategy};

use crate::damage::fill;
use crate::script;
use crate::sim_disk::{Call, CallKind, Errno, Fault, Loss, SimDisk};
use crate::store::{self, Contents, DIR, POLICIES, path};

/// Files that are not of the store, or that a crash left.
const STRAYS: [&str; 4] = [
    "notes",
    "MANIFEST.tmp",
    "000000000099.sst.tmp",
    "quarantine/kept",
];

/// A store with tables and a log, and files that nothing needs; then a flush and a compaction until their
/// change `at`, where the process dies.
fn interrupted(options: &Options, at: u64) -> (SimDisk, Contents, bool) {
    let disk = SimDisk::new(11);
    let engine = store::open(&disk, options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..8, 50);
    engine.flush().unwrap();
    fill(&engine, &mut model, 4..12, 50);
    for stray in STRAYS {
        let stray = path(stray);
        if let Some(dir) = stray.parent().filter(|dir| *dir != path("")) {
            atlaskv::storage::Disk::create_dir(&disk, dir).unwrap();
        }
        disk.put_file(&stray, b"not needed");
    }
    disk.crash_at(disk.changes() + at);
    let done = engine.flush().and_then(|()| engine.compact()).is_ok();
    (disk.crash_image(Loss::KeepAll, 0), model, done)
}

/// Starts three times, and writes each time: everything is there each time.
fn check_three_starts(disk: &SimDisk, options: &Options, mut model: Contents, place: &str) {
    for round in 0..3 {
        let engine = store::open(disk, options)
            .unwrap_or_else(|error| panic!("{place}, start {round}: {error}"));
        let found = store::contents(&engine).unwrap();
        let difference = store::difference(&found, &model);
        assert!(
            difference.is_empty(),
            "{place}, start {round}: {difference}"
        );
        fill(&engine, &mut model, 100 + round..101 + round, 50);
    }
}

/// Of a store at any moment of a flush and a compaction one file is deleted: it was needed, and the start is
/// refused, or it was not, and nothing is lost, then or two starts later.
#[test]
fn a_deleted_file_is_missed_at_once_or_never() {
    let options = store::options(WalSyncStrategy::EveryWrite);
    let (mut refused, mut optional) = (0, 0);
    for at in 0.. {
        let (image, model, done) = interrupted(&options, at);
        let mut files: Vec<_> = image.files().into_keys().collect();
        files.push(path("LOCK"));
        for file in files {
            let place = format!("crash before change {at}, then {} deleted", file.display());
            let disk = image.copy();
            disk.take_file(&file);
            let before = disk.files();
            match store::open(&disk, &options) {
                Ok(engine) => {
                    drop(engine);
                    check_three_starts(&disk, &options, model.clone(), &place);
                    optional += 1;
                }
                Err(AtlasError::MissingFile { .. } | AtlasError::MissingManifest { .. }) => {
                    let name = file.strip_prefix(DIR).unwrap().to_str().unwrap();
                    assert!(!STRAYS.contains(&name) && name != "LOCK", "{place}");
                    assert!(before == disk.files(), "{place}: refused, and changed");
                    refused += 1;
                }
                Err(error) => panic!("{place}: {error:?}"),
            }
        }
        if done {
            break;
        }
    }
    assert!(
        refused > 0 && optional > STRAYS.len(),
        "{refused} {optional}"
    );
}

/// What stands in a segment behind a failed write is not known, so nothing is put behind it: whatever the
/// error, and also after room was made and after restarts.
#[test]
fn after_a_failed_write_of_the_log_its_file_is_left_alone() {
    let faults = [
        Fault::Fail(Errno::Io),
        Fault::Fail(Errno::Full),
        Fault::Fail(Errno::Quota),
        Fault::FailHalf(Errno::Io),
        Fault::FailHalf(Errno::Full),
        Fault::FailHalf(Errno::Quota),
        Fault::FailDone(Errno::Io),
    ];
    let mut went_on = 0;
    for sync in POLICIES {
        let options = store::options(sync);
        let sound = SimDisk::new(7);
        script::play(&sound, &options, &mut |_| {});
        let mut writes = sound.trace();
        // A segment is made under a temporary name; the handle keeps it.
        let is_log = |call: &Call| call.path.to_string_lossy().contains(".log");
        writes.retain(|call| call.kind == CallKind::Write && is_log(call));
        assert!(writes.len() > 40, "{} writes of the log", writes.len());
        for failing in &writes {
            for fault in faults {
                let disk = SimDisk::new(7);
                disk.fail_at(failing.number, fault);
                let played = script::play(&disk, &options, &mut |_| {});
                assert!(disk.fired() > 0, "{fault:?} did not strike {failing}");
                let mut later = disk.trace();
                later.retain(|call| call.kind == CallKind::Write);
                later.retain(|call| call.number > failing.number);
                went_on += u32::from(!later.is_empty());
                let again = later.iter().find(|call| call.path == failing.path);
                assert!(
                    again.is_none(),
                    "{sync:?}, {fault:?} at {failing}: {again:?}"
                );
                drop(played);
            }
        }
    }
    assert!(went_on > 0, "nothing was written after a failure");
}
