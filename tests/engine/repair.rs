//! Repair on the simulated disk: what the plan names is what is missing afterwards, whatever was damaged,
//! wherever the repair was interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use atlaskv::storage::repair::{FileAction, Repair, RepairOutcome, RepairPlan};
use atlaskv::storage::verify::{Verdict, VerifyOptions, verify};
use atlaskv::storage::{AtlasError, Lsn, Options, Result};

use crate::damage::{self, entries, flip, interval};
use crate::sim_disk::{Errno, Fault, Loss, SimDisk};
use crate::store::{self, Change, Contents, DIR};

/// A store with two tables and a log, each write in exactly one file.
pub(crate) struct Store {
    pub(crate) disk: SimDisk,
    pub(crate) options: Options,
    writes: Vec<(Lsn, Change)>,
    /// Where each write stands.
    places: Vec<(PathBuf, Range<usize>, Lsn)>,
    /// Everything up to here is proven to be synced.
    proven: Lsn,
}

impl Store {
    /// What is left without these writes.
    pub(crate) fn without(&self, lost: &BTreeSet<Lsn>) -> Contents {
        let mut contents = Contents::new();
        for (lsn, change) in &self.writes {
            if !lost.contains(lsn) {
                store::apply(&mut contents, std::slice::from_ref(change), *lsn);
            }
        }
        contents
    }

    /// The writes that stand at this byte.
    fn at(&self, path: &Path, byte: usize) -> BTreeSet<Lsn> {
        let hit =
            |place: &&(PathBuf, Range<usize>, Lsn)| place.0 == path && place.1.contains(&byte);
        self.places
            .iter()
            .filter(hit)
            .map(|place| place.2)
            .collect()
    }

    fn in_file(&self, path: &Path) -> BTreeSet<Lsn> {
        let ours = self.places.iter().filter(|place| place.0 == path);
        ours.map(|place| place.2).collect()
    }

    pub(crate) fn copy(&self) -> SimDisk {
        self.disk.copy()
    }
}

pub(crate) fn sample() -> Store {
    let options = interval();
    let disk = SimDisk::new(11);
    let engine = store::open(&disk, &options).unwrap();
    let mut writes = Vec::new();
    let mut tables: Vec<Range<usize>> = Vec::new();
    let write = |writes: &mut Vec<_>, change: Change| {
        let lsn = store::write(&engine, std::slice::from_ref(&change)).unwrap();
        writes.push((lsn, change));
    };
    for round in 0..3_u8 {
        let first = writes.len();
        for key in 0..12_u8 {
            let name = format!("key{:02}", key + round * 6).into_bytes();
            let value = (key % 5 != 3).then(|| vec![round * 50 + key + 1; 40]);
            write(&mut writes, (name, value));
        }
        if round < 2 {
            engine.flush().unwrap();
            tables.push(first..writes.len());
        }
    }
    let proven = engine.sync().unwrap();
    write(
        &mut writes,
        (b"last".to_vec(), Some(b"carries the proof".to_vec())),
    );
    let disk = disk.copy();
    let mut places = Vec::new();
    for (path, range) in store::named(&disk, ".sst").into_iter().zip(tables) {
        let bytes = damage::bytes(&disk, &path);
        let mut at = 16;
        // Keys of a round ascend, so its writes stand in their order.
        for (lsn, _) in &writes[range] {
            let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            places.push((path.clone(), at..at + 8 + length, *lsn));
            at += 8 + length;
        }
        assert_eq!(at, damage::entries_end(&bytes));
    }
    for path in store::segments(&disk) {
        for entry in entries(&damage::bytes(&disk, &path)) {
            places.push((path.clone(), entry.place, entry.lsn));
        }
    }
    assert_eq!(places.len(), writes.len());
    Store {
        disk,
        options,
        writes,
        places,
        proven,
    }
}

pub(crate) fn repair(disk: &SimDisk) -> Result<RepairPlan> {
    let repair = Repair::prepare(disk, Path::new(DIR))?;
    let plan = repair.plan().clone();
    repair.carry_out()?;
    Ok(plan)
}

pub(crate) fn plan(disk: &SimDisk) -> Result<RepairPlan> {
    Ok(Repair::prepare(disk, Path::new(DIR))?.plan().clone())
}

/// The LSNs that the plan names of the log.
fn named_lsns(plan: &RepairPlan) -> BTreeSet<Lsn> {
    let mut named = BTreeSet::new();
    for loss in plan
        .losses
        .iter()
        .filter(|loss| loss.file.ends_with(".log"))
    {
        let span = loss.lsns.unwrap();
        let last = span.last.unwrap_or(span.first);
        named.extend((span.first.as_u64()..=last.as_u64()).map(Lsn::from_u64));
    }
    named
}

/// After a repair: sound, nothing more to do, and exactly these contents.
pub(crate) fn check_repaired(disk: &SimDisk, options: &Options, expected: &Contents, why: &str) {
    let report = verify(disk, Path::new(DIR), VerifyOptions::default()).unwrap();
    let well = matches!(report.verdict, Verdict::Sound | Verdict::TornTail);
    assert!(well, "{why}: {report:#?}");
    assert_eq!(plan(disk).unwrap().outcome, RepairOutcome::Nothing, "{why}");
    let before = disk.files();
    repair(disk).unwrap();
    assert_eq!(
        disk.files(),
        before,
        "{why}: a second repair changed something"
    );
    let engine = store::open(disk, options).unwrap_or_else(|error| panic!("{why}: {error}"));
    damage::check_contents(&engine, expected, why);
    store::check_gets(&engine, expected, expected.keys()).unwrap();
    let highest = expected.values().map(|entry| entry.0).max();
    let lsn = store::write(&engine, &[(b"new".to_vec(), None)]).unwrap();
    assert!(
        highest.is_none_or(|highest| lsn > highest),
        "{why}: {lsn} again"
    );
}

/// Originals are kept: whatever stood in the directory is there still, or in quarantine.
pub(crate) fn check_kept(before: &BTreeMap<PathBuf, Vec<u8>>, disk: &SimDisk, why: &str) {
    let after: BTreeSet<Vec<u8>> = disk.files().into_values().collect();
    for (path, bytes) in before {
        assert!(after.contains(bytes), "{why}: {} is gone", path.display());
    }
}

#[test]
fn a_sound_or_torn_directory_is_left_alone() {
    let store = sample();
    let segment = store::segments(&store.disk).pop().unwrap();
    let last = entries(&damage::bytes(&store.disk, &segment))
        .pop()
        .unwrap();
    let torn = store.copy();
    flip(&torn, &segment, last.place.start + 20, 1);
    for disk in [store.copy(), torn] {
        let before = disk.files();
        assert_eq!(repair(&disk).unwrap().outcome, RepairOutcome::Nothing);
        assert_eq!(disk.files(), before);
    }
}

#[test]
fn the_plan_names_exactly_what_a_flipped_bit_takes() {
    let store = sample();
    for seed in store::seeds(1) {
        let _repeat = store::Repeat {
            test: "the_plan_names_exactly",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let mut outcomes = BTreeMap::new();
        for _ in 0..400 {
            let files: Vec<_> = store.disk.files().into_keys().collect();
            let path = &files[random.usize(..files.len())];
            let bytes = damage::bytes(&store.disk, path);
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            let (at, bit) = (random.usize(..used), random.u8(0..8));
            let disk = store.copy();
            flip(&disk, path, at, bit);
            let why = format!("bit {bit} of byte {at} of {}", path.display());
            let before = disk.files();
            let seen = plan(&disk).unwrap_or_else(|error| panic!("{why}: {error}"));
            assert_eq!(disk.files(), before, "{why}: planning changed something");
            assert_eq!(
                plan(&disk).unwrap(),
                seen,
                "{why}: another plan of the same damage"
            );
            let missing = store.at(path, at);
            let synced: BTreeSet<Lsn> = missing
                .iter()
                .copied()
                .filter(|lsn| *lsn <= store.proven)
                .collect();
            check_named(&store, path, &seen, &synced, &why);
            *outcomes.entry(format!("{:?}", seen.outcome)).or_insert(0) += 1;
            repair(&disk).unwrap_or_else(|error| panic!("{why}: {error}"));
            check_repaired(&disk, &store.options, &store.without(&missing), &why);
            if seen.outcome != RepairOutcome::Nothing {
                check_kept(&before, &repaired_only(&store, path, (at, bit)), &why);
            }
        }
        assert!(
            outcomes.contains_key("Loss") && outcomes.contains_key("Lossless"),
            "{outcomes:?}"
        );
    }
}

/// The same damage and repair, without a start after it.
fn repaired_only(store: &Store, path: &Path, (at, bit): (usize, u8)) -> SimDisk {
    let disk = store.copy();
    flip(&disk, path, at, bit);
    repair(&disk).unwrap();
    disk
}

fn check_named(store: &Store, path: &Path, plan: &RepairPlan, lost: &BTreeSet<Lsn>, why: &str) {
    assert_eq!(
        plan.fingerprint.is_some(),
        !lost.is_empty(),
        "{why}: {plan:#?}"
    );
    if lost.is_empty() {
        assert!(plan.losses.is_empty(), "{why}: {plan:#?}");
        return;
    }
    assert_eq!(plan.losses.len(), 1, "{why}: {plan:#?}");
    let loss = &plan.losses[0];
    assert_eq!(
        Some(loss.file.as_str()),
        path.file_name().unwrap().to_str(),
        "{why}"
    );
    assert_eq!(loss.entries, Some(1), "{why}: {plan:#?}");
    if loss.file.ends_with(".log") {
        assert_eq!(&named_lsns(plan), lost, "{why}");
        return;
    }
    let key_of = |lsn: &Lsn| {
        &store
            .writes
            .iter()
            .find(|write| write.0 == *lsn)
            .unwrap()
            .1
            .0
    };
    let key = key_of(lost.first().unwrap());
    let span = &loss.keys[0];
    assert!(
        span.after.as_ref().is_none_or(|after| after < key),
        "{why}: {span:?}"
    );
    assert!(
        span.before.as_ref().is_none_or(|before| before > key),
        "{why}: {span:?}"
    );
}

#[test]
fn a_file_that_is_gone_is_named_and_the_rest_is_kept() {
    let store = sample();
    for path in store
        .disk
        .files()
        .into_keys()
        .filter(|path| !path.ends_with("MANIFEST"))
    {
        let disk = store.copy();
        disk.take_file(&path);
        let why = format!("{} is gone", path.display());
        let lost = store.in_file(&path);
        let plan = repair(&disk).unwrap();
        assert_eq!(plan.outcome, RepairOutcome::Loss, "{why}");
        if path.extension().unwrap() == "log" {
            let last = plan.losses.last().unwrap();
            assert_eq!(
                last.lsns.unwrap().last,
                None,
                "its end is not known: {plan:#?}"
            );
            let first = plan.losses[0].lsns.unwrap().first;
            assert_eq!(Some(&first), lost.first(), "{why}");
        } else {
            assert_eq!(plan.losses[0].entries, Some(lost.len() as u64), "{why}");
            assert!(
                plan.files
                    .iter()
                    .any(|file| file.action == FileAction::SetAside)
            );
        }
        check_repaired(&disk, &store.options, &store.without(&lost), &why);
    }
}

#[test]
fn of_several_segments_only_what_is_missing_is_lost() {
    let (disk, model, options) = damage::three_segments(true);
    let segments = store::segments(&disk);
    let lsns = |path: &Path| -> BTreeSet<Lsn> {
        let entries = entries(&damage::bytes(&disk, path));
        entries
            .into_iter()
            .filter(|entry| entry.kind == 1)
            .map(|entry| entry.lsn)
            .collect()
    };
    for (place, path) in segments.iter().enumerate() {
        let (gone, headless) = (disk.copy(), disk.copy());
        gone.take_file(path);
        flip(&headless, path, 20, 3);
        let why = format!("segment {place}");
        let lost = lsns(path);
        let plan = repair(&gone).unwrap();
        if place + 1 < segments.len() {
            assert_eq!(named_lsns(&plan), lost, "{why}: {plan:#?}");
        } else {
            // Where the log's last segment ended nobody knows.
            let span = plan.losses[0].lsns.unwrap();
            assert_eq!(
                (Some(&span.first), span.last),
                (lost.first(), None),
                "{why}"
            );
        }
        let mut expected = model.clone();
        expected.retain(|_, (lsn, _)| !lost.contains(lsn));
        check_repaired(&gone, &options, &expected, &why);
        let plan = repair(&headless).unwrap();
        assert_eq!(plan.outcome, RepairOutcome::Lossless, "{why}: {plan:#?}");
        check_repaired(&headless, &options, &model, &why);
    }
}

/// Damage in tables and log together, the losses it has and what is left.
pub(crate) fn battered(store: &Store) -> (SimDisk, Contents) {
    let disk = store.copy();
    let mut lost = BTreeSet::new();
    let tables = store::named(&disk, ".sst");
    let segment = store::segments(&disk).pop().unwrap();
    let places: Vec<_> = store
        .places
        .iter()
        .filter(|place| place.0 == segment)
        .collect();
    for (path, at) in [(&tables[0], 200), (&segment, places[3].1.start + 30)] {
        flip(&disk, path, at, 2);
        lost.extend(store.at(path, at));
    }
    flip(&disk, &tables[1], 1, 2);
    assert_eq!(lost.len(), 2);
    (disk, store.without(&lost))
}

/// The changes of a repair.
pub(crate) fn changes(disk: &SimDisk) -> Range<u64> {
    let disk = disk.copy();
    let first = disk.changes();
    repair(&disk).unwrap();
    first..disk.changes()
}

/// Cuts a repair off before each of its changes, in every loss mode. Which names are lost is drawn, and once is too
/// rarely the one that matters: that is done so many times more. `check` gets what is left, in which every file is
/// kept, and where it was cut.
pub(crate) fn each_interruption(
    damaged: &SimDisk,
    (test, redraws): (&'static str, usize),
    mut check: impl FnMut(&SimDisk, &str),
) {
    let before = damaged.files();
    for seed in store::seeds(1) {
        let _repeat = store::Repeat { test, seed };
        for at in changes(damaged) {
            let names = std::iter::repeat_n(Loss::LostNames, redraws);
            for (draw, loss) in (0..).zip(Loss::ALL.into_iter().chain(names)) {
                let disk = damaged.copy();
                disk.crash_at(at);
                assert!(repair(&disk).is_err() && disk.is_dead());
                let why = format!("{loss:?} before change {at}: {}", disk.describe(at));
                let image = disk.crash_image(loss, seed ^ (at << 8) ^ draw);
                check_kept(&before, &image, &why);
                check(&image, &why);
            }
        }
    }
}

#[test]
fn a_repair_can_be_interrupted_anywhere() {
    let store = sample();
    let (damaged, expected) = battered(&store);
    let fingerprint = plan(&damaged).unwrap().fingerprint;
    let before = damaged.files();
    let mut started = 0;
    each_interruption(
        &damaged,
        ("a_repair_can_be_interrupted", 12),
        |image, why| {
            let again = image.copy();
            let seen = repair(&again).unwrap_or_else(|error| panic!("{why}: {error}"));
            if seen.outcome == RepairOutcome::Loss {
                assert_eq!(seen.fingerprint, fingerprint, "{why}");
            }
            check_kept(&before, &again, why);
            check_repaired(&again, &store.options, &expected, why);
            // Without a second repair it is the old state, which does not start, or the new one.
            if let Ok(engine) = store::open(image, &store.options) {
                damage::check_contents(&engine, &expected, why);
                drop(engine);
                check_kept(&before, image, why);
                started += 1;
            }
        },
    );
    assert!(started > 0, "no crash came after the point of no return");
}

#[test]
fn a_repair_whose_calls_fail_leaves_the_old_state_or_the_new_one() {
    let store = sample();
    let (damaged, expected) = battered(&store);
    let before = damaged.files();
    let faults = [
        Fault::Fail(Errno::Io),
        Fault::Fail(Errno::Full),
        Fault::Fail(Errno::Quota),
        Fault::Fail(Errno::Interrupted),
        Fault::FailDone(Errno::Io),
        Fault::FailHalf(Errno::Full),
        Fault::SyncDropped,
        Fault::Short,
        Fault::ShortThenFull,
    ];
    for at in changes(&damaged) {
        for fault in faults {
            let disk = damaged.copy();
            disk.fail_at(at, fault);
            let outcome = repair(&disk);
            let why = format!("{fault:?} at {}: {outcome:?}", disk.describe(at));
            let violations = disk.violations();
            assert!(violations.is_empty(), "{why}: {violations:?}");
            for loss in [Loss::KeepAll, Loss::DropAll] {
                let image = disk.crash_image(loss, at);
                check_kept(&before, &image, &why);
                repair(&image).unwrap_or_else(|error| panic!("{why}, {loss:?}: {error}"));
                check_repaired(&image, &store.options, &expected, &why);
            }
        }
    }
}

#[test]
fn a_read_that_fails_is_refused_and_changes_nothing() {
    let store = sample();
    let (damaged, _) = battered(&store);
    let reads = {
        let disk = damaged.copy();
        plan(&disk).unwrap();
        disk.reads()
    };
    let before = damaged.files();
    for at in 0..reads {
        let disk = damaged.copy();
        disk.fail_read_at(at, Fault::Fail(Errno::Io));
        let error = repair(&disk).unwrap_err();
        assert!(matches!(error, AtlasError::Io { .. }), "read {at}: {error}");
        assert_eq!(disk.files(), before, "read {at}");
    }
}

#[test]
fn a_repair_can_be_undone_byte_for_byte() {
    let store = sample();
    let (damaged, _) = battered(&store);
    let before = damaged.files();
    repair(&damaged).unwrap();
    let after = damaged.files();
    let record = after
        .keys()
        .find(|path| path.extension().unwrap_or_default() == "json")
        .unwrap();
    let record: serde_json::Value = serde_json::from_slice(&after[record]).unwrap();
    let quarantine = Path::new(DIR).join("quarantine");
    let mut undone: BTreeMap<PathBuf, Vec<u8>> = after
        .iter()
        .filter(|(path, _)| !path.starts_with(&quarantine))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect();
    for made in record["made"].as_array().unwrap() {
        undone.remove(&store::path(made.as_str().unwrap())).unwrap();
    }
    for original in record["originals"].as_array().unwrap() {
        let kept = quarantine.join(original["kept_as"].as_str().unwrap());
        undone.insert(
            store::path(original["name"].as_str().unwrap()),
            after[&kept].clone(),
        );
    }
    let manifest = quarantine.join(record["manifest"].as_str().unwrap());
    undone.insert(store::path("MANIFEST"), after[&manifest].clone());
    assert_eq!(undone, before);
}

/// The record and the originals, which an undoing needs, are as durable as the repair.
#[test]
fn what_undoing_needs_outlives_a_power_cut() {
    let store = sample();
    let (damaged, _) = battered(&store);
    repair(&damaged).unwrap();
    let quarantine = Path::new(DIR).join("quarantine");
    let kept = |disk: &SimDisk| {
        let mut files = disk.files();
        files.retain(|path, _| path.starts_with(&quarantine));
        files
    };
    let before = kept(&damaged);
    assert!(before.len() >= 5, "{:?}", before.keys());
    assert_eq!(kept(&damaged.crash_image(Loss::DropAll, 0)), before);
}

/// Where a failed call leaves open whether the new manifest is durable, the record stays beside it.
#[test]
fn a_repair_that_may_be_done_keeps_its_record() {
    let store = sample();
    let (damaged, expected) = battered(&store);
    let old = damage::bytes(&damaged, &store::path("MANIFEST"));
    let mut done = 0;
    for at in changes(&damaged) {
        for fault in [Fault::Fail(Errno::Io), Fault::FailDone(Errno::Io)] {
            let disk = damaged.copy();
            disk.fail_at(at, fault);
            let outcome = repair(&disk).map(drop);
            if outcome.is_ok() || damage::bytes(&disk, &store::path("MANIFEST")) == old {
                continue;
            }
            let why = format!("{fault:?} at {}: {outcome:?}", disk.describe(at));
            let is_record = |path: &PathBuf| path.extension().is_some_and(|it| it == "json");
            assert!(disk.files().keys().any(is_record), "{why}");
            disk.clear_faults();
            let disk = disk.copy();
            let engine = store::open(&disk, &store.options).unwrap();
            damage::check_contents(&engine, &expected, &why);
            let files = disk.files().into_keys().filter(is_record);
            let kept: Vec<PathBuf> = files.collect();
            assert_eq!(kept.len(), 1, "{why}: {kept:?}");
            assert!(
                kept[0].starts_with(store::path("quarantine")),
                "{why}: {kept:?}"
            );
            done += 1;
        }
    }
    assert!(done > 1, "{done}");
}
