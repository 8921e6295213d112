//! The simulated disk against its own contract.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use atlaskv::storage::{AtlasError, Disk, DiskFile};

use super::{CallKind, Errno, Fault, Loss, SimDisk};

const DIR: &str = "/data";

fn path(name: &str) -> std::path::PathBuf {
    Path::new(DIR).join(name)
}

/// A disk with a durable directory.
fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn make(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.create(&path(name)).unwrap();
    assert_eq!(file.write_at(bytes, 0).unwrap(), bytes.len());
    file
}

fn make_durable(disk: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = make(disk, name, bytes);
    file.sync().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    file
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.files().get(&path(name)).cloned()
}

#[test]
fn a_file_reads_as_it_was_written() {
    let disk = disk();
    let file = make(&disk, "a", b"hello");
    file.write_at(b"!", 7).unwrap();
    let mut buffer = [9; 16];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 8);
    assert_eq!(&buffer[..8], b"hello\0\0!");
    assert_eq!(file.read_at(&mut buffer, 8).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 100).unwrap(), 0);
    assert_eq!(file.length().unwrap(), 8);
    file.preallocate(12).unwrap();
    file.preallocate(4).unwrap();
    assert_eq!(file.length().unwrap(), 12);
    assert_eq!(content(&disk, "a").unwrap(), b"hello\0\0!\0\0\0\0");
}

#[test]
fn names_behave() {
    let disk = disk();
    let held = make(&disk, "a", b"1");
    let exists = disk.create(&path("a")).unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::AlreadyExists);
    let missing = disk.open(&path("b")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(disk.create(Path::new("/none/a")).is_err());
    assert!(disk.list(Path::new("/none")).is_err());
    assert!(disk.sync_dir(Path::new("/none")).is_err());

    make(&disk, "b", b"22");
    disk.rename(&path("a"), &path("b")).unwrap();
    disk.create_dir(&path("sub")).unwrap();
    disk.create_dir(&path("sub")).unwrap();
    let listed: Vec<_> = disk.list(Path::new(DIR)).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|entry| (entry.name.as_str(), entry.length, entry.is_file))
        .collect();
    assert_eq!(listed, [("b", 1, true), ("sub", 0, false)]);

    disk.remove(&path("b")).unwrap();
    assert!(disk.remove(&path("b")).is_err());
    let mut byte = [0];
    assert_eq!(held.read_at(&mut byte, 0).unwrap(), 1, "survives removal");
    assert_eq!(&byte, b"1");
}

#[test]
fn a_read_only_handle_reads_and_syncs_only() {
    let disk = disk();
    make(&disk, "a", b"1");
    let reader = disk.open(&path("a")).unwrap();
    assert!(reader.write_at(b"2", 0).is_err());
    assert!(reader.preallocate(10).is_err());
    reader.sync().unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "a").unwrap(), b"1");
}

#[test]
fn only_what_was_synced_is_left() {
    let disk = disk();
    let file = make_durable(&disk, "a", b"old");
    file.write_at(b"new and longer", 0).unwrap();
    make(&disk, "no-name", b"x").sync().unwrap();
    make(&disk, "no-bytes", b"x");
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "a").unwrap(), b"old");
    assert_eq!(content(&after, "no-name"), None);
    assert_eq!(content(&after, "no-bytes"), None);

    disk.sync_dir(Path::new(DIR)).unwrap();
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "no-name").unwrap(), b"x");
    assert_eq!(content(&after, "no-bytes").unwrap(), b"");
    assert_eq!(content(&disk, "a").unwrap(), b"new and longer");
}

#[test]
fn a_new_directory_has_a_name_to_lose() {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(DIR)).unwrap();
    make_durable(&disk, "a", b"x");
    let after = disk.crash_image(Loss::DropAll, 0);
    assert!(after.files().is_empty());
    disk.sync_dir(Path::new("/")).unwrap();
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "a").unwrap(), b"x");
}

#[test]
fn a_rename_is_old_or_new_until_it_is_synced() {
    let disk = disk();
    make_durable(&disk, "a", b"old");
    make_durable(&disk, "a.tmp", b"new");
    disk.rename(&path("a.tmp"), &path("a")).unwrap();
    let mut seen = [false; 2];
    for seed in 0..50 {
        let after = disk.crash_image(Loss::LostNames, seed);
        let renamed = content(&after, "a").unwrap() == b"new";
        assert_eq!(content(&after, "a.tmp").is_some(), !renamed);
        seen[usize::from(renamed)] = true;
    }
    assert_eq!(seen, [true, true]);
    disk.sync_dir(Path::new(DIR)).unwrap();
    let after = disk.crash_image(Loss::LostNames, 3);
    assert_eq!(content(&after, "a").unwrap(), b"new");
}

#[test]
fn a_rename_between_directories_waits_for_both() {
    let disk = disk();
    disk.create_dir(&path("sub")).unwrap();
    make_durable(&disk, "a", b"x");
    disk.rename(&path("a"), &path("sub/a")).unwrap();
    disk.sync_dir(Path::new(DIR)).unwrap();
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "a").unwrap(), b"x", "never neither");
    disk.sync_dir(&path("sub")).unwrap();
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "a"), None);
    assert_eq!(content(&after, "sub/a").unwrap(), b"x");
}

#[test]
fn a_rename_may_be_kept_and_the_bytes_lost() {
    let disk = disk();
    make(&disk, "a.tmp", &[7; 5000]);
    disk.rename(&path("a.tmp"), &path("a")).unwrap();
    let lost = (0..50).any(|seed| {
        let after = disk.crash_image(Loss::LostNames, seed);
        content(&after, "a").is_some_and(|bytes| bytes.is_empty())
    });
    assert!(lost);
}

#[test]
fn pages_and_sectors_are_kept_or_not_each() {
    for (loss, unit) in [(Loss::RandomPages, 4096), (Loss::TornSectors, 512)] {
        let disk = disk();
        let file = make_durable(&disk, "a", &vec![1; unit * 8]);
        file.write_at(&vec![2; unit * 7], (unit / 2) as u64)
            .unwrap();
        let mut mixed = 0;
        for seed in 0..20 {
            let bytes = content(&disk.crash_image(loss, seed), "a").unwrap();
            assert_eq!(bytes.len(), unit * 8);
            for (number, part) in bytes.chunks(unit).enumerate() {
                let full = (number * unit..(number + 1) * unit)
                    .map(|offset| 1 + u8::from((unit / 2..unit * 15 / 2).contains(&offset)));
                let full: Vec<u8> = full.collect();
                assert!(part == full || part == vec![1; unit], "unit {number}");
            }
            mixed += usize::from(bytes.contains(&1) && bytes.contains(&2));
        }
        assert!(mixed > 10);
    }
}

#[test]
fn a_prefix_has_no_holes() {
    let disk = disk();
    let first = make_durable(&disk, "a", b"");
    let second = make_durable(&disk, "b", b"");
    for place in 0..100 {
        let file = if place % 2 == 0 { &first } else { &second };
        file.write_at(b"xyz", place / 2 * 3).unwrap();
    }
    for seed in 0..50 {
        let after = disk.crash_image(Loss::KeepPrefix, seed);
        let (a, b) = (
            content(&after, "a").unwrap().len(),
            content(&after, "b").unwrap().len(),
        );
        assert!(a.abs_diff(b) <= 3, "{a} {b}");
    }
}

#[test]
fn images_of_one_seed_are_the_same() {
    let disk = disk();
    let file = make_durable(&disk, "a", &[1; 20_000]);
    file.write_at(&[2; 20_000], 0).unwrap();
    make(&disk, "b", b"x");
    for loss in Loss::ALL {
        let left = disk.crash_image(loss, 5);
        let right = disk.crash_image(loss, 5);
        assert_eq!(left.files(), right.files());
        assert_eq!(left.random().unwrap(), right.random().unwrap());
    }
}

#[test]
fn a_failed_sync_may_drop_pages_and_call_them_clean() {
    let disk = disk();
    let file = make_durable(&disk, "a", b"old");
    disk.fail_at(disk.changes() + 1, Fault::SyncDropped);
    file.write_at(&[b'n'; 40_000], 0).unwrap();
    assert!(file.sync().is_err());
    assert_eq!(content(&disk, "a").unwrap().len(), 40_000, "still readable");
    file.sync().unwrap();
    let after = disk.copy().crash_image(Loss::DropAll, 0);
    assert_ne!(content(&after, "a"), content(&disk, "a"), "yet not saved");
    assert_eq!(disk.violations().len(), 1, "{:?}", disk.violations());
}

#[test]
fn a_failed_sync_was_done_or_not() {
    for (fault, saved) in [
        (Fault::Fail(Errno::Io), false),
        (Fault::FailDone(Errno::Io), true),
    ] {
        let disk = disk();
        let file = make_durable(&disk, "a", b"old");
        file.write_at(b"new", 0).unwrap();
        disk.fail_at(disk.changes(), fault);
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
        let after = disk.crash_image(Loss::DropAll, 0);
        assert_eq!(content(&after, "a").unwrap() == b"new", saved);
    }
}

#[test]
fn writing_on_after_a_failed_sync_is_told() {
    let disk = disk();
    let file = make_durable(&disk, "a", b"old");
    make(&disk, "b.tmp", b"");
    assert!(disk.violations().is_empty());
    disk.fail_at(disk.changes(), Fault::Fail(Errno::Io));
    assert!(file.sync().is_err());
    file.write_at(b"x", 0).unwrap();
    disk.remove(&path("b.tmp")).unwrap();
    disk.remove(&path("a")).unwrap();
    assert_eq!(disk.violations().len(), 2, "{:?}", disk.violations());
    assert!(disk.copy().violations().is_empty());
}

#[test]
fn faults_strike_the_call_they_are_for() {
    let disk = disk();
    let file = make(&disk, "a", b"");
    let at = disk.changes();
    disk.fail_at(at, Fault::Fail(Errno::Quota));
    disk.fail_at(at + 1, Fault::Fail(Errno::Interrupted));
    disk.fail_at(at + 2, Fault::Short);
    disk.fail_at(at + 3, Fault::ShortThenFull);
    disk.fail_at(at + 5, Fault::FailHalf(Errno::Io));
    let kind = |result: std::io::Result<usize>| result.unwrap_err().kind();
    assert_eq!(kind(file.write_at(b"1234", 0)), ErrorKind::QuotaExceeded);
    assert_eq!(kind(file.write_at(b"1234", 0)), ErrorKind::Interrupted);
    assert_eq!(file.write_at(b"1234", 0).unwrap(), 2);
    assert_eq!(file.write_at(b"34", 2).unwrap(), 1);
    assert_eq!(kind(file.write_at(b"4", 3)), ErrorKind::StorageFull);
    assert!(file.write_at(b"4567", 3).is_err());
    assert_eq!(content(&disk, "a").unwrap(), b"12345", "half was written");
    assert_eq!(file.write_at(b"4567", 3).unwrap(), 4);
    assert_eq!(disk.fired(), 5);
    assert_eq!(disk.describe(at), format!("change {at}: Write /data/a"));
}

#[test]
fn reads_fail_too() {
    let disk = disk();
    let file = make(&disk, "a", b"1234");
    let mut buffer = [0; 4];
    disk.fail_read_at(0, Fault::Fail(Errno::Io));
    disk.fail_read_at(1, Fault::Short);
    assert!(file.read_at(&mut buffer, 0).is_err());
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 2);
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 4);
    assert_eq!(disk.reads(), 3);
}

#[test]
fn lasting_faults_last_until_they_are_cleared() {
    let disk = disk();
    disk.fail_from(disk.changes(), Fault::Fail(Errno::Full));
    for _ in 0..3 {
        let error = disk.create(&path("a")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
    disk.clear_faults();
    disk.create(&path("a")).unwrap();
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = disk();
    disk.set_capacity(Some(6));
    let file = make(&disk, "a", b"123");
    assert_eq!(file.write_at(b"45678", 3).unwrap(), 3);
    let full = file.write_at(b"78", 6).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert!(file.preallocate(7).is_err());
    assert_eq!(file.write_at(b"abc", 0).unwrap(), 3, "no growth, no room");
    assert_eq!(disk.used(), 6);
    disk.set_capacity(Some(100));
    assert_eq!(file.write_at(b"78", 6).unwrap(), 2);
}

#[test]
fn a_crash_ends_everything_and_frees_the_lock() {
    let disk = disk();
    let file = make_durable(&disk, "a", b"x");
    let lock = disk.lock(Path::new(DIR)).unwrap();
    let second = disk.lock(Path::new(DIR)).err().unwrap();
    assert!(matches!(second, AtlasError::Locked { .. }));
    disk.crash_at(disk.changes());
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, 0).unwrap(), 1, "not yet");
    assert!(file.write_at(b"y", 0).is_err());
    assert!(disk.is_dead());
    assert!(file.read_at(&mut byte, 0).is_err());
    assert!(disk.random().is_err());
    let after = disk.crash_image(Loss::KeepAll, 0);
    assert_eq!(content(&after, "a").unwrap(), b"x");
    drop(after.lock(Path::new(DIR)).unwrap());
    drop(after.lock(Path::new(DIR)).unwrap());
    drop(lock);
}

#[test]
fn a_process_crash_keeps_what_is_unsynced_unsynced() {
    let disk = disk();
    let file = make_durable(&disk, "a", b"x");
    file.write_at(b"y", 0).unwrap();
    let after = disk.crash_image(Loss::KeepAll, 0);
    assert_eq!(content(&after, "a").unwrap(), b"y");
    let later = after.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&later, "a").unwrap(), b"x");
}

#[test]
fn damage_is_durable() {
    let disk = disk();
    make(&disk, "a", b"abc");
    disk.sync_dir(Path::new(DIR)).unwrap();
    disk.edit(&path("a"), |bytes| bytes[1] ^= 1);
    disk.put_file(&path("b"), b"stray");
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "a").unwrap(), b"acc");
    assert_eq!(content(&after, "b").unwrap(), b"stray");
    after.take_file(&path("b"));
    assert_eq!(content(&after, "b"), None);
}

#[test]
fn a_sync_at_the_gate_waits_and_saves_only_what_was_before_it() {
    let disk = disk();
    let file = make_durable(&disk, "wal-1", b"");
    file.write_at(b"1", 0).unwrap();
    disk.close_gate("wal-");
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| file.sync());
        disk.wait_for_call_at_gate();
        file.write_at(b"2", 1).unwrap();
        make(&disk, "b", b"").sync().unwrap();
        disk.open_gate();
        sync.join().unwrap().unwrap();
    });
    let after = disk.crash_image(Loss::DropAll, 0);
    assert_eq!(content(&after, "wal-1").unwrap(), b"1");
}

#[test]
fn calls_are_counted_apart() {
    let disk = disk();
    let (changes, reads) = (disk.changes(), disk.reads());
    disk.clear_trace();
    make(&disk, "a", b"1").length().unwrap();
    disk.list(Path::new(DIR)).unwrap();
    assert_eq!((disk.changes(), disk.reads()), (changes + 2, reads + 2));
    let kinds: Vec<_> = disk.trace().iter().map(|call| call.kind).collect();
    let expected = [
        CallKind::Create,
        CallKind::Write,
        CallKind::Length,
        CallKind::List,
    ];
    assert_eq!(kinds, expected);
}
