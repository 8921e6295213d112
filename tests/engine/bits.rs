//! Every bit of a small store flipped, every file cut, zeroed and swapped: no wrong value, nothing synced lost
//! in silence, and verify finds it.
//!
//! What CI runs is a sample; `make every-bit` leaves nothing out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use atlaskv::storage::{KIB, Options};

use crate::damage::{self, fill};
use crate::sim_disk::SimDisk;
use crate::specimen::{Outcome, Specimen};
use crate::store::{self, Contents, POLICIES};

/// Copies looked at at the same time. Verify looks again at what it suspects after a pause: the pauses overlap.
const THREADS: usize = 64;
const SECTOR: usize = 512;

/// One damage to one copy of the store.
#[derive(Debug, Clone)]
enum Damage {
    Flip(PathBuf, usize),
    /// Cut to this length.
    Cut(PathBuf, usize),
    /// This sector zeroed.
    Zero(PathBuf, usize),
    Swap(PathBuf, PathBuf),
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Flip(path, bit) => write!(out, "bit {bit} of {} flipped", path.display()),
            Damage::Cut(path, length) => write!(out, "{} cut to {length}", path.display()),
            Damage::Zero(path, number) => {
                write!(out, "sector {number} of {} zeroed", path.display())
            }
            Damage::Swap(one, other) => {
                write!(out, "{} and {} swapped", one.display(), other.display())
            }
        }
    }
}

impl Damage {
    /// How the damage is called in the table of outcomes.
    fn class(&self, specimen: &Specimen) -> String {
        let (path, what) = match self {
            Damage::Flip(path, _) => (path, "bit flipped"),
            Damage::Cut(path, _) => (path, "cut short"),
            Damage::Zero(path, _) => (path, "sector zeroed"),
            Damage::Swap(path, _) => (path, "two swapped"),
        };
        format!("{}, {what}", specimen.kind(path))
    }

    fn check(&self, specimen: &Specimen) -> Outcome {
        let disk = specimen.disk.copy();
        match self {
            Damage::Flip(path, bit) => return specimen.check_flip(path, *bit),
            Damage::Cut(path, length) => disk.edit(path, |bytes| bytes.truncate(*length)),
            Damage::Zero(path, number) => disk.edit(path, |bytes| {
                let end = bytes.len().min((number + 1) * SECTOR);
                bytes[number * SECTOR..end].fill(0);
            }),
            Damage::Swap(one, other) => {
                disk.put_file(one, &damage::bytes(&specimen.disk, other));
                disk.put_file(other, &damage::bytes(&specimen.disk, one));
            }
        }
        specimen.look(&disk).outcome
    }
}

/// Says which damage it was, should a check of it fail, and ends the others' work.
struct Place<'a> {
    damage: &'a Damage,
    next: &'a AtomicUsize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed: {}", self.damage);
            self.next.store(usize::MAX / 2, Ordering::Relaxed);
        }
    }
}

/// How many copies of each class came to each outcome.
type Outcomes = BTreeMap<String, BTreeMap<Outcome, u32>>;

/// Looks at a copy with each damage; any thread that fails fails the test.
fn check_all(specimen: &Specimen, damages: &[Damage]) -> Outcomes {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Outcomes::new());
    let work = || {
        while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
            let _place = Place {
                damage,
                next: &next,
            };
            let outcome = damage.check(specimen);
            let mut outcomes = outcomes.lock().unwrap();
            let class = outcomes.entry(damage.class(specimen)).or_default();
            *class.entry(outcome).or_default() += 1;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    outcomes.into_inner().unwrap()
}

fn every_flip(specimen: &Specimen) -> Vec<Damage> {
    let bits = |(path, bytes): (PathBuf, Vec<u8>)| {
        (0..bytes.len() * 8).map(move |bit| Damage::Flip(path.clone(), bit))
    };
    specimen.disk.files().into_iter().flat_map(bits).collect()
}

/// Every length, or every one that ends with a sector, of what is used and one sector more.
fn every_cut(specimen: &Specimen, step: usize) -> Vec<Damage> {
    let mut cuts = Vec::new();
    for (path, bytes) in specimen.disk.files() {
        let end = bytes.len().min(specimen.used(&path) + SECTOR);
        cuts.extend(
            (0..end)
                .step_by(step)
                .map(|at| Damage::Cut(path.clone(), at)),
        );
    }
    cuts
}

/// Every sector that holds anything.
fn every_sector(specimen: &Specimen) -> Vec<Damage> {
    let mut sectors = Vec::new();
    for (path, bytes) in specimen.disk.files() {
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            if sector.iter().any(|byte| *byte != 0) {
                sectors.push(Damage::Zero(path.clone(), number));
            }
        }
    }
    sectors
}

fn every_swap(specimen: &Specimen) -> Vec<Damage> {
    let mut swaps = Vec::new();
    for files in [
        store::segments(&specimen.disk),
        store::named(&specimen.disk, ".sst"),
    ] {
        for (number, one) in files.iter().enumerate() {
            let others = files[number + 1..].iter();
            swaps.extend(others.map(|other| Damage::Swap(one.clone(), other.clone())));
        }
    }
    swaps
}

#[test]
fn a_flipped_bit_is_never_wrong_data() {
    let specimen = Specimen::new();
    let (all, mut others): (Vec<_>, Vec<_>) = every_flip(&specimen)
        .into_iter()
        .partition(|flip| flip.class(&specimen).starts_with("manifest"));
    for seed in store::seeds(1).into_iter().take(1) {
        let _repeat = store::Repeat {
            test: "a_flipped_bit",
            seed,
        };
        fastrand::Rng::with_seed(seed).shuffle(&mut others);
        // Never so few that a kind of file is left out.
        let sample = others.len().min(store::budget(6000).max(1000) as usize);
        let flips = [&all[..], &others[..sample]].concat();
        let outcomes = check_all(&specimen, &flips);
        // The manifest, tables, sealed segments, the open one, and what is in quarantine.
        assert!(outcomes.len() >= 4, "{outcomes:?}");
    }
}

#[test]
fn files_cut_short_zeroed_or_swapped_are_never_wrong_data() {
    let specimen = Specimen::new();
    let mut damages = every_cut(&specimen, SECTOR);
    damages.extend(every_sector(&specimen));
    let swaps = every_swap(&specimen);
    assert_eq!(swaps.len(), 6);
    damages.extend(swaps);
    check_all(&specimen, &damages);
}

#[test]
#[ignore = "minutes: make every-bit"]
fn every_bit_and_every_length() {
    let started = Instant::now();
    let specimen = Specimen::new();
    let mut damages = every_flip(&specimen);
    damages.extend(every_cut(&specimen, 1));
    damages.extend(every_sector(&specimen));
    damages.extend(every_swap(&specimen));
    let outcomes = check_all(&specimen, &damages);
    let columns = [
        (Outcome::Refused, "refused"),
        (Outcome::ReadError, "read error"),
        (Outcome::TornTail, "torn tail"),
        (Outcome::Repaired, "repaired"),
        (Outcome::NoEffect, "no effect"),
    ];
    let mut table = format!("{:32}", "");
    table.extend(columns.map(|(_, name)| format!("{name:>12}")));
    for (class, counts) in &outcomes {
        table += &format!("\n{class:32}");
        let count = |(outcome, _)| counts.get(&outcome).copied().unwrap_or_default();
        table.extend(columns.map(|column| format!("{:>12}", count(column))));
    }
    let seconds = started.elapsed().as_secs();
    eprintln!(
        "{table}\n{} damaged copies opened, {seconds} s",
        damages.len()
    );
}

/// Bits that flip while the store runs: every read checks what it reads.
#[test]
fn damage_under_a_running_store_is_never_wrong_data() {
    let options = Options {
        max_value_size: 1024 * KIB,
        max_batch_size: 1025 * KIB,
        memtable_size: 4096 * KIB,
        segment_size: 4096 * KIB,
        // So that every read goes to the disk.
        cache_size: 0,
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
    // Entries and sections: what is before and after them was checked when the table was opened.
    let end = damage::entries_end(&sound);
    let bits: Vec<usize> = (16 * 8..end * 8).collect();
    let mut errors = 0;
    for seed in store::seeds(1) {
        let _repeat = store::Repeat {
            test: "damage_under_a_running_store",
            seed,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        for round in 0..store::budget(400) {
            // Half of them outside the two large values.
            let bit = match round % 4 {
                0 => random.choice(&bits).copied().unwrap(),
                1 => random.usize(16 * 8..600 * 8),
                2 => end * 8 - 1 - random.usize(0..600 * 8),
                _ => random.usize(end * 8..(sound.len() - 16) * 8),
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
                // It reads entries alone.
                Ok(found) if bit >= end * 8 => assert!(found == model, "bit {bit}: a scan"),
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
