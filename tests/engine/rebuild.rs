//! A manifest that is gone, damaged or not the right one: repair makes it anew from the files, and what cannot
//! be told from them is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use atlaskv::storage::repair::{Loss, RepairOutcome, RepairPlan};
use atlaskv::storage::verify::{FileKind, Verdict, VerifyOptions, verify};
use atlaskv::storage::{Engine, Options};

use crate::damage;
use crate::repair::{
    Store, battered, changes, check_kept, check_repaired, each_interruption, plan, repair, sample,
};
use crate::sim_disk::{Errno, Fault, Loss as Lost, SimDisk};
use crate::specimen::Specimen;
use crate::store::{self, Contents, DIR};

const SECTOR: usize = 512;
/// Damages that are looked at side by side.
const THREADS: usize = 8;

fn manifest() -> PathBuf {
    Path::new(DIR).join("MANIFEST")
}

/// What may become of a manifest.
#[derive(Debug, Clone, Copy)]
enum Ruin {
    Bit(usize),
    /// All bits of a byte.
    Byte(usize),
    Cut(usize),
    Sector(usize),
    Gone,
}

impl Ruin {
    fn on(self, disk: &SimDisk) -> SimDisk {
        let disk = disk.copy();
        match self {
            Ruin::Bit(bit) => damage::flip(&disk, &manifest(), bit / 8, (bit % 8) as u8),
            Ruin::Byte(at) => disk.edit(&manifest(), |bytes| bytes[at] ^= 0xFF),
            Ruin::Cut(length) => disk.edit(&manifest(), |bytes| bytes.truncate(length)),
            Ruin::Sector(number) => disk.edit(&manifest(), |bytes| {
                let end = bytes.len().min((number + 1) * SECTOR);
                bytes[number * SECTOR..end].fill(0);
            }),
            Ruin::Gone => disk.take_file(&manifest()),
        }
        disk
    }
}

fn every_ruin(disk: &SimDisk) -> Vec<Ruin> {
    let length = damage::bytes(disk, &manifest()).len();
    let mut all = vec![Ruin::Gone];
    all.extend((0..length * 8).map(Ruin::Bit));
    all.extend((0..length).map(Ruin::Byte));
    all.extend((0..length).map(Ruin::Cut));
    all.extend((0..length.div_ceil(SECTOR)).map(Ruin::Sector));
    all
}

fn told_of_manifest(plan: &RepairPlan) -> bool {
    plan.losses.iter().any(|loss| loss.file == "MANIFEST")
}

/// Repaired: every write that is in a file is there, and what the files do not tell was named.
fn check_ruin(ruin: Ruin, disk: &SimDisk, options: &Options, expected: &Contents) {
    let ruined = ruin.on(disk);
    let why = format!("{ruin:?}");
    let before = ruined.files();
    let seen = plan(&ruined).unwrap_or_else(|error| panic!("{why}: {error}"));
    assert_eq!(ruined.files(), before, "{why}: planning changed something");
    assert_eq!(
        plan(&ruined).unwrap(),
        seen,
        "{why}: another plan of the same damage"
    );
    // A single bit can be set right for certain; anything else is told from the files.
    let is_bit = matches!(ruin, Ruin::Bit(_));
    let outcome = if is_bit {
        RepairOutcome::Lossless
    } else {
        RepairOutcome::Loss
    };
    assert_eq!(seen.outcome, outcome, "{why}: {seen:#?}");
    assert_eq!(told_of_manifest(&seen), !is_bit, "{why}: {seen:#?}");
    repair(&ruined).unwrap_or_else(|error| panic!("{why}: {error}"));
    check_kept(&before, &ruined, &why);
    check_repaired(&ruined, options, expected, &why);
}

fn check_ruins(ruins: &[Ruin], disk: &SimDisk, options: &Options, expected: &Contents) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(ruin) = ruins.get(next.fetch_add(1, Ordering::Relaxed)) {
            check_ruin(*ruin, disk, options, expected);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
}

#[test]
fn a_damaged_manifest_is_made_anew() {
    let specimen = Specimen::new();
    let store = sample();
    for seed in store::seeds(1).into_iter().take(1) {
        let _repeat = store::Repeat {
            test: "a_damaged_manifest",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        for (disk, options, expected) in [
            (&specimen.disk, &specimen.options, specimen.contents()),
            (
                &store.disk,
                &store.options,
                &store.without(&BTreeSet::new()),
            ),
        ] {
            let mut ruins = every_ruin(disk);
            random.shuffle(&mut ruins);
            let sample = ruins.len().min(store::budget(300) as usize);
            ruins.truncate(sample);
            ruins.push(Ruin::Gone);
            check_ruins(&ruins, disk, options, expected);
        }
    }
}

#[test]
#[ignore = "minutes: make every-bit"]
fn every_bit_of_the_manifest_can_be_repaired() {
    let specimen = Specimen::new();
    let ruins = every_ruin(&specimen.disk);
    check_ruins(
        &ruins,
        &specimen.disk,
        &specimen.options,
        specimen.contents(),
    );
    eprintln!("{} damaged manifests made anew", ruins.len());
}

/// Tables that a compaction has merged come back from the dead: deleted keys do not, or it was said.
#[test]
fn what_a_compaction_has_merged_does_not_come_back_in_silence() {
    let options = damage::interval();
    let disk = SimDisk::new(21);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    let write = |model: &mut Contents, key: &str, value: Option<&str>| {
        let change = (
            key.as_bytes().to_vec(),
            value.map(|value| value.as_bytes().to_vec()),
        );
        let lsn = store::write(&engine, std::slice::from_ref(&change)).unwrap();
        store::apply(model, &[change], lsn);
    };
    // All of the first table is deleted, some of the second is not.
    write(&mut model, "a", Some("old"));
    engine.flush().unwrap();
    write(&mut model, "b", Some("stays"));
    write(&mut model, "c", Some("goes"));
    engine.flush().unwrap();
    write(&mut model, "a", None);
    write(&mut model, "c", None);
    write(&mut model, "d", Some("stays"));
    engine.flush().unwrap();
    let inputs: Vec<_> = store::named(&disk, ".sst")
        .into_iter()
        .map(|path| (damage::bytes(&disk, &path), path))
        .collect();
    assert_eq!(inputs.len(), 3);
    engine.compact().unwrap();
    let sound = disk.copy();
    assert_eq!(store::named(&sound, ".sst").len(), 1);
    for (place, (bytes, path)) in inputs.iter().enumerate() {
        let why = format!("input {place}");
        let name = path.file_name().unwrap().to_str().unwrap();
        let disk = sound.copy();
        disk.put_file(path, bytes);
        // As long as the manifest can be read a little, it names what is live.
        let damaged = Ruin::Byte(9).on(&disk);
        repair(&damaged).unwrap();
        if place > 0 {
            check_repaired(&damaged, &options, &model, &why);
        }
        let gone = Ruin::Gone.on(&disk);
        let seen = repair(&gone).unwrap();
        let is_named = |loss: &Loss| loss.file == name || loss.detail.contains(name);
        assert!(seen.losses.iter().any(is_named), "{why}: {seen:#?}");
        let engine = store::open(&gone, &options).unwrap();
        let found = store::contents(&engine).unwrap();
        if place > 0 {
            // It shares LSNs with the merged table, so it is told for what it is.
            assert_eq!(found, model, "{why}");
        }
    }
}

/// A compaction that left nothing, and of what it merged a table that was not removed.
#[test]
fn a_table_beside_nothing_is_doubted() {
    let options = damage::interval();
    let disk = SimDisk::new(23);
    let engine = store::open(&disk, &options).unwrap();
    store::write(&engine, &[(b"a".to_vec(), Some(b"old".to_vec()))]).unwrap();
    engine.flush().unwrap();
    let path = store::named(&disk, ".sst").pop().unwrap();
    let bytes = damage::bytes(&disk, &path);
    store::write(&engine, &[(b"a".to_vec(), None)]).unwrap();
    engine.flush().unwrap();
    engine.compact().unwrap();
    drop(engine);
    assert!(store::named(&disk, ".sst").is_empty());
    let disk = disk.copy();
    disk.put_file(&path, &bytes);
    let seen = plan(&Ruin::Gone.on(&disk)).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let is_named = |loss: &Loss| loss.detail.contains(name);
    assert!(seen.losses.iter().any(is_named), "{seen:#?}");
    // A manifest that can be read a little lists it as one to be removed.
    let damaged = Ruin::Byte(9).on(&disk);
    let seen = repair(&damaged).unwrap();
    assert!(
        seen.losses.iter().any(|loss| loss.file == name),
        "{seen:#?}"
    );
    let engine = store::open(&damaged, &options).unwrap();
    assert!(store::contents(&engine).unwrap().is_empty());
}

/// A start interrupted anywhere, and then the manifest is lost: everything is there.
#[test]
fn a_manifest_lost_after_a_crash_of_a_start_loses_nothing() {
    let store = sample();
    let starting = |disk: &SimDisk| store::open(disk, &store.options).map(drop);
    let everything = store.without(&BTreeSet::new());
    let mut synced = everything.clone();
    synced.remove(&b"last"[..]).unwrap();
    for seed in store::seeds(1) {
        let _repeat = store::Repeat {
            test: "a_manifest_lost_after_a_crash_of_a_start",
            seed,
        };
        lost_after_crashes(&store.disk, (&starting, seed), &mut |gone, _, why| {
            // The last write was not synced: a power cut may have taken it.
            let engine = store::open(&gone.copy(), &store.options).unwrap();
            let is_cut = engine.get(b"last").unwrap().is_none();
            assert!(!is_cut || !why.starts_with("KeepAll"), "{why}");
            let expected = if is_cut { &synced } else { &everything };
            check_repaired(gone, &store.options, expected, why);
        });
    }
}

/// A compaction interrupted anywhere, and then the manifest is lost: everything is there, and what comes back
/// of deleted keys was named before.
#[test]
fn a_manifest_lost_after_a_crash_of_a_compaction_brings_nothing_back_in_silence() {
    let specimen = Specimen::new();
    let merging = |disk: &SimDisk| {
        let engine = store::open(disk, &specimen.options)?;
        engine.compact().map(|_| ())
    };
    let expected = specimen.contents();
    let mut returned = 0;
    for seed in store::seeds(1) {
        let _repeat = store::Repeat {
            test: "a_manifest_lost_after_a_crash_of_a_compaction",
            seed,
        };
        lost_after_crashes(&specimen.disk, (&merging, seed), &mut |gone, seen, why| {
            let engine = store::open(gone, &specimen.options).unwrap();
            let mut found = store::contents(&engine).unwrap();
            for (key, entry) in expected {
                assert_eq!(found.remove(key).as_ref(), Some(entry), "{why}: {seen:#?}");
            }
            let is_doubt = |loss: &Loss| loss.detail.contains("keys that were deleted come back");
            if !found.is_empty() {
                assert!(seen.losses.iter().any(is_doubt), "{why}: {seen:#?}");
                returned += 1;
            }
        });
    }
    println!("{returned} times a deleted key came back, as was said");
}

type Work<'a> = &'a dyn Fn(&SimDisk) -> atlaskv::storage::Result<()>;

fn lost_after_crashes(
    base: &SimDisk,
    (work, seed): (Work<'_>, u64),
    check: &mut dyn FnMut(&SimDisk, &RepairPlan, &str),
) {
    let whole = base.copy();
    let first = whole.changes();
    work(&whole).unwrap();
    for at in first..whole.changes() {
        let names = std::iter::repeat_n(Lost::LostNames, 4);
        for (draw, loss) in (0..).zip(Lost::ALL.into_iter().chain(names)) {
            let disk = base.copy();
            disk.crash_at(at);
            let _ = work(&disk);
            let why = format!("{loss:?} before change {at}: {}", disk.describe(at));
            let image = disk.crash_image(loss, seed ^ (at << 8) ^ draw);
            let gone = Ruin::Gone.on(&image);
            let mut before = gone.files();
            before.retain(|path, _| path.extension().is_none_or(|ending| ending != "tmp"));
            let seen = repair(&gone).unwrap_or_else(|error| panic!("{why}: {error}"));
            check_kept(&before, &gone, &why);
            check(&gone, &seen, &why);
        }
    }
}

/// The store whose tables and log are damaged too.
fn ruined() -> (Store, Vec<SimDisk>, Contents) {
    let store = sample();
    let (damaged, expected) = battered(&store);
    let ruined = [Ruin::Gone, Ruin::Byte(30)].map(|ruin| ruin.on(&damaged));
    (store, ruined.into(), expected)
}

#[test]
fn making_a_manifest_anew_can_be_interrupted_anywhere() {
    let (store, ruined, expected) = ruined();
    for damaged in ruined {
        let fingerprint = plan(&damaged).unwrap().fingerprint;
        let before = damaged.files();
        each_interruption(&damaged, ("making_a_manifest_anew", 8), |image, why| {
            // With a removal undone that was never durable it is another directory.
            let is_same = store::segments(image) == store::segments(&damaged);
            let seen = repair(image).unwrap_or_else(|error| panic!("{why}: {error}"));
            if seen.outcome == RepairOutcome::Loss && is_same {
                assert_eq!(seen.fingerprint, fingerprint, "{why}: {seen:#?}");
            }
            check_kept(&before, image, why);
            check_repaired(image, &store.options, &expected, why);
        });
    }
}

#[test]
fn a_rebuild_whose_calls_fail_leaves_the_old_state_or_the_new_one() {
    let (store, ruined, expected) = ruined();
    let faults = [
        Fault::Fail(Errno::Io),
        Fault::FailDone(Errno::Io),
        Fault::FailHalf(Errno::Full),
        Fault::SyncDropped,
        Fault::Short,
    ];
    for damaged in ruined {
        let before = damaged.files();
        let fingerprint = plan(&damaged).unwrap().fingerprint;
        for at in changes(&damaged) {
            for fault in faults {
                let disk = damaged.copy();
                disk.fail_at(at, fault);
                let outcome = repair(&disk).map(|_| ());
                let why = format!("{fault:?} at {}: {outcome:?}", disk.describe(at));
                let violations = disk.violations();
                assert!(violations.is_empty(), "{why}: {violations:?}");
                for loss in [Lost::KeepAll, Lost::DropAll] {
                    let image = disk.crash_image(loss, at);
                    check_kept(&before, &image, &why);
                    let seen = repair(&image).unwrap_or_else(|error| panic!("{why}: {error}"));
                    if seen.outcome == RepairOutcome::Loss {
                        assert_eq!(seen.fingerprint, fingerprint, "{why}");
                    }
                    check_repaired(&image, &store.options, &expected, &why);
                }
            }
        }
    }
}

/// The manifest of an older copy of the directory beside the data of today.
#[test]
fn a_manifest_older_than_the_data_is_not_believed() {
    let options = damage::interval();
    let disk = SimDisk::new(22);
    let mut model = Contents::new();
    let open = || -> Engine { store::open(&disk, &options).unwrap() };
    let engine = open();
    damage::fill(&engine, &mut model, 0..10, 40);
    drop(engine);
    let older = damage::bytes(&disk, &manifest());
    let engine = open();
    damage::fill(&engine, &mut model, 10..30, 40);
    engine.sync().unwrap();
    damage::fill(&engine, &mut model, 30..31, 40);
    drop(engine);
    let disk = disk.copy();
    disk.put_file(&manifest(), &older);
    assert!(store::open(&disk, &options).is_err(), "it starts on it");
    // The newer segment is nobody's to it, so verify must tell as well.
    let report = verify(&disk, Path::new(DIR), VerifyOptions::default()).unwrap();
    assert_eq!(report.verdict, Verdict::Damaged);
    let mut files = report.files.iter();
    let told = files.find(|file| file.kind == FileKind::Manifest).unwrap();
    let told = &told.findings[0];
    assert!(told.detail.contains("older than the data"), "{told:?}");
    assert!(told.detail.contains("--repair"), "{told:?}");
    let seen = repair(&disk).unwrap();
    assert!(told_of_manifest(&seen), "{seen:#?}");
    assert!(
        seen.losses[0].detail.contains("older than the data"),
        "{seen:#?}"
    );
    check_repaired(&disk, &options, &model, "an older manifest");
}

/// Whole manifests under other names are found in quarantine in the end, wherever the repair was interrupted.
#[test]
fn left_manifests_outlive_an_interrupted_repair() {
    let store = sample();
    let damaged = Ruin::Gone.on(&store.disk);
    let lefts = ["MANIFEST.tmp", "repair-77.MANIFEST"];
    let whole = damage::bytes(&store.disk, &manifest());
    let another = {
        let disk = store.copy();
        drop(store::open(&disk, &store.options).unwrap());
        damage::bytes(&disk, &manifest())
    };
    // The last write was not synced: here it is.
    for path in store::segments(&damaged) {
        damaged.edit(&path, |_| {});
    }
    for (left, bytes) in lefts.into_iter().zip([&whole, &another]) {
        damaged.put_file(&store::path(left), bytes);
    }
    let before = damaged.files();
    let expected = store.without(&BTreeSet::new());
    each_interruption(&damaged, ("left_manifests_outlive", 8), |image, why| {
        repair(image).unwrap_or_else(|error| panic!("{why}: {error}"));
        check_kept(&before, image, why);
        let files = image.files();
        for bytes in [&whole, &another] {
            let in_quarantine = files
                .iter()
                .any(|(path, kept)| path.starts_with(store::path("quarantine")) && kept == bytes);
            assert!(in_quarantine, "{why}");
        }
        for left in lefts {
            assert!(!files.contains_key(&store::path(left)), "{why}: {left}");
        }
        check_repaired(image, &store.options, &expected, why);
    });
}
