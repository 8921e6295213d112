//! Which calls of the disk things take, and in which order.

use atlaskv::storage::{Operation, WalSyncStrategy};

use crate::damage::{roomy, with_tables};
use crate::sim_disk::{Call, CallKind, SimDisk};
use crate::store::{self, POLICIES};

/// What is done to the disk meanwhile, as kinds and names.
fn calls(disk: &SimDisk, act: impl FnOnce()) -> Vec<(CallKind, String)> {
    disk.clear_trace();
    act();
    let told = |call: Call| {
        let name = call.path.file_name().unwrap_or_default();
        (call.kind, name.to_string_lossy().into_owned())
    };
    disk.trace().into_iter().map(told).collect()
}

fn kinds(calls: &[(CallKind, String)]) -> Vec<CallKind> {
    calls.iter().map(|call| call.0).collect()
}

#[test]
fn a_write_is_one_write_and_under_every_write_one_sync() {
    for sync in POLICIES {
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &roomy(store::options(sync))).unwrap();
        for number in 0..3_u8 {
            let seen = calls(&disk, || {
                engine.put(&[number + 1], b"value").unwrap();
            });
            let mut expected = vec![CallKind::Write];
            if sync == WalSyncStrategy::EveryWrite {
                expected.push(CallKind::Sync);
            }
            assert_eq!(kinds(&seen), expected, "{sync:?}");
        }
        let seen = calls(&disk, || {
            engine.sync().unwrap();
        });
        let expected = usize::from(sync != WalSyncStrategy::EveryWrite);
        assert_eq!(seen.len(), expected, "{seen:?}");
        let again = calls(&disk, || {
            engine.sync().unwrap();
        });
        assert!(again.is_empty(), "nothing to sync: {again:?}");
        let read = calls(&disk, || drop(engine.get(&[1]).unwrap()));
        assert!(read.is_empty(), "from memory: {read:?}");
    }
}

#[test]
fn whether_a_write_would_wait_is_told_without_a_sync() {
    for sync in POLICIES {
        let waits = sync == WalSyncStrategy::EveryWrite;
        let disk = SimDisk::new(1);
        let engine = store::open(&disk, &roomy(store::options(sync))).unwrap();
        let put = |key| Operation::Put { key, value: b"v" };
        let lsn = engine.try_submit(&[put(b"key")]).unwrap().unwrap();
        let seen = calls(&disk, || {
            let outcome = engine.try_settle(lsn);
            assert_eq!(outcome.is_none(), waits, "{sync:?}: {outcome:?}");
        });
        assert!(seen.is_empty(), "{seen:?}");
        engine.settle(lsn).unwrap();
        assert!(matches!(engine.try_settle(lsn), Some(Ok(()))), "{sync:?}");
        assert_eq!(engine.answers_at_once(), !waits);
    }
}

#[test]
fn recovery_first_syncs_the_manifest_and_its_directory() {
    let (disk, _, options) = with_tables();
    let seen = calls(&disk, || drop(store::open(&disk, &options).unwrap()));
    let changes: Vec<_> = seen
        .iter()
        .filter(|call| call.0.is_change() && call.0 != CallKind::Lock)
        .collect();
    assert_eq!(*changes[0], (CallKind::Sync, "MANIFEST".to_owned()));
    assert_eq!(*changes[1], (CallKind::SyncDir, "data".to_owned()));
}

#[test]
fn a_start_makes_its_deletions_durable() {
    let (disk, _, options) = with_tables();
    let seen = calls(&disk, || drop(store::open(&disk, &options).unwrap()));
    let is_removal =
        |call: &(CallKind, String)| call.0 == CallKind::Remove && call.1.ends_with(".log");
    let last = seen.iter().rposition(is_removal).unwrap();
    assert_eq!(seen[last + 1], (CallKind::SyncDir, "data".to_owned()));
}

#[test]
fn a_flush_deletes_only_after_the_manifest_and_its_directory_are_synced() {
    let disk = SimDisk::new(1);
    let engine = store::open(&disk, &roomy(store::options(POLICIES[1]))).unwrap();
    engine.put(b"key", b"value").unwrap();
    let seen = calls(&disk, || engine.flush().unwrap());
    let removed =
        |call: &&(CallKind, String)| call.0 == CallKind::Remove && call.1.ends_with("log");
    assert_eq!(seen.iter().filter(removed).count(), 1, "{seen:?}");
    let in_order = [
        (CallKind::Sync, ".sst.tmp"),
        (CallKind::Read, ".sst.tmp"),
        (CallKind::Rename, ".sst.tmp"),
        (CallKind::SyncDir, "data"),
        (CallKind::Sync, "MANIFEST.tmp"),
        (CallKind::Rename, "MANIFEST.tmp"),
        (CallKind::SyncDir, "data"),
        (CallKind::Remove, ".log"),
    ];
    let mut rest = seen.iter();
    for (kind, ending) in in_order {
        let found = rest.any(|call| call.0 == kind && call.1.ends_with(ending));
        assert!(found, "{kind:?} of {ending} is not in its place: {seen:#?}");
    }
}
