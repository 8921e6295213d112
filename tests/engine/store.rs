//! What the engine tests share: small options, whole contents, seeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atlaskv::storage::{
    AtlasError, Engine, KIB, Lsn, Operation, Options, Result, Scan, ScanRange, WalSyncStrategy,
};

use crate::sim_disk::SimDisk;

/// The data directory on the simulated disk.
pub(crate) const DIR: &str = "/srv/data";

/// The three policies; the interval is the test's own, by `maintain`.
pub(crate) const POLICIES: [WalSyncStrategy; 3] = [
    WalSyncStrategy::EveryWrite,
    WalSyncStrategy::Interval { ms: 1 },
    WalSyncStrategy::OsDefault,
];

/// Every key with the LSN and the value of the write that set it.
pub(crate) type Contents = BTreeMap<Vec<u8>, (Lsn, Vec<u8>)>;

/// An entry of a scan: key, value and LSN.
pub(crate) type Scanned = (Vec<u8>, Vec<u8>, Lsn);

/// A change of one key: its new value, or none.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

/// A small store without threads: rotations, flushes and compactions come early.
pub(crate) fn options(sync: WalSyncStrategy) -> Options {
    Options {
        sync,
        max_key_size: KIB,
        max_value_size: 20 * KIB,
        // What is held back for a full disk grows with these two.
        max_batch_size: 24 * KIB,
        max_batch_operations: 200,
        memtable_size: 2 * KIB,
        segment_size: 16 * KIB,
        compaction_trigger: 3,
        max_tables: 8,
        stall_timeout: Duration::ZERO,
        quarantine_size: 1024 * 1024,
        background: false,
        ..Options::default()
    }
}

pub(crate) fn open(disk: &SimDisk, options: &Options) -> Result<Engine> {
    Engine::open(disk.shared(), Path::new(DIR), options.clone())
}

/// The path of a file in the data directory.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// The files of the data directory with this ending, sorted.
pub(crate) fn named(disk: &SimDisk, ending: &str) -> Vec<PathBuf> {
    let all = disk.files().into_keys();
    let ours = all.filter(|path| path.parent() == Some(Path::new(DIR)));
    ours.filter(|path| path.to_string_lossy().ends_with(ending))
        .collect()
}

/// The segments, oldest first.
pub(crate) fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    named(disk, ".log")
}

pub(crate) fn operations(changes: &[Change]) -> Vec<Operation<'_>> {
    changes
        .iter()
        .map(|(key, value)| match value {
            Some(value) => Operation::Put { key, value },
            None => Operation::Delete { key },
        })
        .collect()
}

/// Writes; when flushing does not keep up, does what the threads would have done.
pub(crate) fn write(engine: &Engine, changes: &[Change]) -> Result<Lsn> {
    let operations = operations(changes);
    for _ in 0..20 {
        match engine.write(&operations) {
            Err(AtlasError::Stalled { .. }) => engine.maintain()?,
            outcome => return outcome,
        }
    }
    engine.write(&operations)
}

/// What these changes make of a state.
pub(crate) fn apply(contents: &mut Contents, changes: &[Change], lsn: Lsn) {
    for (key, value) in changes {
        match value {
            Some(value) => contents.insert(key.clone(), (lsn, value.clone())),
            None => contents.remove(key),
        };
    }
}

/// The rest of a scan, in pages of this many entries.
pub(crate) fn drain(scan: &mut Scan, page: usize) -> Result<Vec<Scanned>> {
    let mut entries = Vec::new();
    loop {
        let next = scan.next_page(page, 1 << 20, &mut |_| Ok(()))?;
        assert!(next.entries.len() <= page, "a page is over its limit");
        let owned = next.entries.into_iter();
        entries.extend(owned.map(|(key, value, lsn)| (key.to_vec(), value.to_vec(), lsn)));
        if next.done {
            return Ok(entries);
        }
    }
}

/// The whole contents, by one scan.
pub(crate) fn contents(engine: &Engine) -> Result<Contents> {
    let mut scan = engine.scan(&ScanRange::default())?;
    let entries = drain(&mut scan, 7)?;
    let count = entries.len();
    let contents: Contents = entries
        .into_iter()
        .map(|(key, value, lsn)| (key, (lsn, value)))
        .collect();
    assert_eq!(contents.len(), count, "a scan gave a key twice");
    Ok(contents)
}

/// That gets say the same as these contents, also for keys that are not there.
pub(crate) fn check_gets<'a>(
    engine: &Engine,
    contents: &Contents,
    keys: impl Iterator<Item = &'a Vec<u8>>,
) -> Result<()> {
    for key in keys {
        let found = engine.get(key)?;
        let found = found.map(|found| (found.lsn, found.value.to_vec()));
        let shown = String::from_utf8_lossy(key);
        assert_eq!(found.as_ref(), contents.get(key), "get of {shown}");
    }
    Ok(())
}

/// Two states side by side, only what differs.
pub(crate) fn difference(found: &Contents, expected: &Contents) -> String {
    let mut text = String::new();
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for key in keys {
        let (left, right) = (found.get(key), expected.get(key));
        if left != right {
            let show = |side: Option<&(Lsn, Vec<u8>)>| {
                side.map_or_else(
                    || "nothing".to_owned(),
                    |(lsn, value)| format!("{} bytes at {lsn}", value.len()),
                )
            };
            let key = String::from_utf8_lossy(key);
            text += &format!("{key}: found {}, expected {}; ", show(left), show(right));
        }
    }
    text
}

/// The seeds of a random test: one from the environment, or as many as usual, each new.
pub(crate) fn seeds(usual: u64) -> Vec<u64> {
    if let Some(seed) = variable("ATLASKV_TEST_SEED") {
        return vec![seed];
    }
    let base = fastrand::u64(..) >> 16;
    (base..base + budget(usual)).collect()
}

/// A budget, by the percentage in the environment.
pub(crate) fn budget(usual: u64) -> u64 {
    (usual * variable("ATLASKV_TEST_RUNS").unwrap_or(100) / 100).max(1)
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text}: a number is wanted")),
    )
}

/// Says how to repeat the run, should it fail before this is dropped.
pub(crate) struct Repeat {
    pub(crate) test: &'static str,
    pub(crate) seed: u64,
}

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Repeat { test, seed } = self;
            eprintln!("to repeat: ATLASKV_TEST_SEED={seed} cargo test --test engine {test}");
        }
    }
}
