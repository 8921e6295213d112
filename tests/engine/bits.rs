//! Every bit of a small store flipped: no wrong value, nothing synced lost in silence.

use std::path::{Path, PathBuf};

use atlaskv::storage::verify::{Verdict, VerifyOptions, verify};
use atlaskv::storage::{KIB, Options};

use crate::damage::{self, fill};
use crate::sim_disk::SimDisk;
use crate::store::{self, Contents, POLICIES};

/// A store with tables, sealed segments and an open one, all of it synced but the last group; and
/// how many keys are proven to be synced.
fn small_store() -> (SimDisk, Contents, usize, Options) {
    let options = Options {
        memtable_size: 1024 * KIB,
        segment_size: 8 * KIB,
        max_sealed_memtables: 4,
        ..store::options(POLICIES[1])
    };
    let disk = SimDisk::new(9);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..30, 20);
    engine.flush().unwrap();
    fill(&engine, &mut model, 30..60, 20);
    engine.flush().unwrap();
    fill(&engine, &mut model, 60..75, 300);
    engine.sync().unwrap();
    let proven = model.len();
    fill(&engine, &mut model, 75..85, 300);
    assert!(store::segments(&disk).len() > 1);
    assert!(store::named(&disk, ".sst").len() > 1);
    (disk.copy(), model, proven, options)
}

/// Looks at a store with one flipped bit.
fn check_flip(disk: &SimDisk, model: &Contents, proven: usize, options: &Options, place: &str) {
    let before = disk.files();
    let engine = match store::open(disk, options) {
        Ok(engine) => engine,
        Err(_) => {
            assert!(
                before == disk.files(),
                "{place}: refused, yet the disk changed"
            );
            return;
        }
    };
    for (number, (key, (lsn, value))) in model.iter().enumerate() {
        match engine.get(key) {
            Ok(Some(found)) => {
                assert!(
                    found.lsn == *lsn && found.value == value,
                    "{place}: a wrong value"
                );
            }
            Ok(None) => {
                assert!(
                    number >= proven,
                    "{place}: key {number} was lost in silence"
                );
            }
            Err(_) => {}
        }
    }
    if let Ok(found) = store::contents(&engine) {
        assert!(found.len() >= proven, "{place}: a scan left keys out");
        let expected = damage::first(model, found.len());
        assert_eq!(store::difference(&found, &expected), "", "{place}");
    }
    let after = disk.files();
    for path in before
        .keys()
        .filter(|path| path.to_string_lossy().ends_with(".sst"))
    {
        assert!(
            after.contains_key(path),
            "{place}: {} is gone",
            path.display()
        );
    }
}

/// That verify calls no store sound whose start is refused or cuts a tail.
fn check_verify(disk: &SimDisk, options: &Options, place: &str) {
    let report = verify(disk, Path::new(store::DIR), VerifyOptions::default());
    let verdict = report.ok().map(|report| report.verdict);
    let is_told = match store::open(&disk.copy(), options) {
        Ok(engine) => {
            engine.recovery_report().cut_from.is_none() || verdict != Some(Verdict::Sound)
        }
        Err(_) => !matches!(verdict, Some(Verdict::Sound | Verdict::TornTail)),
    };
    assert!(is_told, "{place}: verify says {verdict:?}");
}

#[test]
fn a_flipped_bit_is_never_wrong_data() {
    let (disk, model, proven, options) = small_store();
    let files: Vec<(PathBuf, Vec<u8>)> = disk.files().into_iter().collect();
    let mut places: Vec<(PathBuf, usize)> = Vec::new();
    for (path, bytes) in &files {
        // Of the zeros after the last entry some will do.
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let end = (used + 64).min(bytes.len()) * 8;
        places.extend((0..end).map(|bit| (path.clone(), bit)));
    }
    let all = places.len() as u64;
    let budget = store::budget(20_000).min(all);
    for seed in store::seeds(1) {
        let _repeat = store::Repeat {
            test: "a_flipped_bit",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut places);
        for (path, bit) in &places[..budget as usize] {
            let flipped = disk.copy();
            damage::flip(&flipped, path, bit / 8, (bit % 8) as u8);
            let place = format!("bit {bit} of {}", path.display());
            check_flip(&flipped, &model, proven, &options, &place);
        }
    }
}

#[test]
fn files_cut_short_or_zeroed_are_never_wrong_data() {
    let (disk, model, proven, options) = small_store();
    for (path, bytes) in disk.files() {
        for sector in 0..bytes.len().div_ceil(512) {
            let (start, end) = (sector * 512, ((sector + 1) * 512).min(bytes.len()));
            let place = format!("sector {sector} of {}", path.display());
            let zeroed = disk.copy();
            zeroed.edit(&path, |bytes| bytes[start..end].fill(0));
            if zeroed.files() != disk.files() {
                check_flip(
                    &zeroed,
                    &model,
                    proven,
                    &options,
                    &format!("{place} zeroed"),
                );
            }
            let cut = disk.copy();
            cut.edit(&path, |bytes| bytes.truncate(start));
            check_verify(&cut, &options, &format!("{place}: cut before"));
            check_flip(
                &cut,
                &model,
                proven,
                &options,
                &format!("{place}: cut before"),
            );
        }
    }
}

#[test]
fn files_swapped_are_never_wrong_data() {
    let (disk, model, proven, options) = small_store();
    let mut pairs = 0;
    for files in [store::segments(&disk), store::named(&disk, ".sst")] {
        for (number, one) in files.iter().enumerate() {
            for other in &files[number + 1..] {
                let swapped = disk.copy();
                swapped.put_file(one, &damage::bytes(&disk, other));
                swapped.put_file(other, &damage::bytes(&disk, one));
                let place = format!("{} and {} swapped", one.display(), other.display());
                check_verify(&swapped, &options, &place);
                check_flip(&swapped, &model, proven, &options, &place);
                pairs += 1;
            }
        }
    }
    assert!(pairs >= 2, "{pairs} pairs");
}

/// Bits that flip while the store runs: every read checks what it reads.
#[test]
fn damage_under_a_running_store_is_never_wrong_data() {
    let options = Options {
        memtable_size: 4096 * KIB,
        segment_size: 4096 * KIB,
        ..store::options(POLICIES[1])
    };
    let disk = SimDisk::new(9);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..20, 20);
    fill(&engine, &mut model, 20..22, 100_000);
    fill(&engine, &mut model, 22..40, 20);
    engine.flush().unwrap();
    let table = store::named(&disk, ".sst")[0].clone();
    let sound = damage::bytes(&disk, &table);
    // The entries: what is before and after them was checked when the table was opened.
    let bits: Vec<usize> = (16 * 8..(sound.len() - 16) * 8).collect();
    let mut errors = 0;
    for seed in store::seeds(1) {
        let _repeat = store::Repeat {
            test: "damage_under_a_running_store",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        for round in 0..store::budget(400) {
            // Half of them outside the two large values.
            let bit = match round % 3 {
                0 => random.choice(&bits).copied().unwrap(),
                1 => random.usize(16 * 8..600 * 8),
                _ => (sound.len() - 16) * 8 - 1 - random.usize(0..600 * 8),
            };
            damage::flip(&disk, &table, bit / 8, (bit % 8) as u8);
            for (key, (lsn, value)) in &model {
                match engine.get(key) {
                    Ok(found) => {
                        let found = found.unwrap_or_else(|| panic!("bit {bit}: a key vanished"));
                        assert_eq!(found.lsn, *lsn, "bit {bit}");
                        assert!(found.value == value, "bit {bit}: a wrong value");
                    }
                    Err(_) => errors += 1,
                }
            }
            match store::contents(&engine) {
                Ok(_) => panic!("bit {bit}: a scan of everything did not notice"),
                Err(error) => {
                    let found = matches!(error, atlaskv::storage::AtlasError::Corrupt { .. });
                    assert!(found, "bit {bit}: {error:?}");
                }
            }
            damage::flip(&disk, &table, bit / 8, (bit % 8) as u8);
        }
    }
    assert!(errors > 0);
    damage::check_contents(&engine, &model, "the bits flipped back");
}
