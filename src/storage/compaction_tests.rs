//! The policy by simulation, and merging against a model.
#![allow(clippy::disallowed_methods, reason = "tests damage files by hand")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "test code"
)]

use std::collections::BTreeMap;

use fastrand::Rng;

use super::*;
use crate::storage::Lsn;
use crate::storage::cache::BlockCache;
use crate::storage::disk::RealDisk;
use crate::storage::table::tests::{Model, build, drain, open, random_model, runs, seed};

const KEY: u64 = 24;
const VALUE: u64 = 100;

/// A table of the simulation: its keys, and which are tombstones.
type Simulated = BTreeMap<u64, bool>;

fn info(table: &Simulated) -> TableInfo {
    let tombstones = table.values().filter(|is_tombstone| **is_tombstone).count() as u64;
    let entries = table.len() as u64;
    TableInfo {
        number: 1,
        file_id: 1,
        size: 32 + entries * KEY + (entries - tombstones) * VALUE,
        checksum: 0,
        entries,
        tombstones,
        min_key: Vec::new(),
        max_key: Vec::new(),
        min_lsn: Lsn::ZERO,
        max_lsn: Lsn::ZERO,
    }
}

/// Many flushes with compaction after each, on paper.
#[derive(Default)]
struct Simulation {
    /// Newest first.
    tables: Vec<Simulated>,
    flushed: u64,
    compacted: u64,
    most_tables: usize,
}

impl Simulation {
    fn flush(&mut self, memtable: Simulated, trigger: usize, max_tables: usize) {
        if memtable.is_empty() {
            return;
        }
        self.flushed += info(&memtable).size;
        self.tables.insert(0, memtable);
        loop {
            let infos: Vec<TableInfo> = self.tables.iter().map(info).collect();
            self.most_tables = self.most_tables.max(infos.len());
            let Some(range) = choose(&infos, (trigger, max_tables), u64::MAX) else {
                return;
            };
            assert!(
                range.len() >= 2 || infos.len() == 1,
                "a merge of one table gains nothing"
            );
            let is_oldest = range.end == self.tables.len();
            let mut merged = Simulated::new();
            for table in self.tables.drain(range.clone()).rev() {
                merged.extend(table);
            }
            if is_oldest {
                merged.retain(|_, is_tombstone| !*is_tombstone);
            }
            if !merged.is_empty() {
                self.compacted += info(&merged).size;
                self.tables.insert(range.start, merged);
            }
        }
    }

    /// Bytes stored for each byte that is live.
    fn space(&self) -> f64 {
        let mut live = Simulated::new();
        for table in self.tables.iter().rev() {
            live.extend(table);
        }
        live.retain(|_, is_tombstone| !*is_tombstone);
        if live.is_empty() {
            assert!(
                self.tables.is_empty(),
                "nothing is live, yet tables are kept"
            );
            return 1.0;
        }
        let stored: u64 = self.tables.iter().map(|table| info(table).size).sum();
        stored as f64 / info(&live).size as f64
    }

    fn check(&mut self, what: &str) {
        let sizes = self.tables.iter().map(|table| info(table).size);
        let ratio = sizes.clone().max().unwrap_or(1) / sizes.min().unwrap_or(1).max(1);
        let bound = 3 * (ratio.ilog2() as usize + 2);
        assert!(
            self.tables.len() <= bound,
            "{what}: {} tables",
            self.tables.len()
        );
        let space = self.space();
        assert!(
            space <= 2.6,
            "{what}: {space:.2} bytes stored for a live one"
        );
    }
}

fn random_memtable(rng: &mut Rng, entries: u64, keys: u64, deletions: f64) -> Simulated {
    (0..entries)
        .map(|_| (rng.u64(0..keys), rng.f64() < deletions))
        .collect()
}

#[test]
fn tables_and_space_stay_bounded_under_every_kind_of_load() {
    let mut rng = Rng::with_seed(seed());
    for (what, deletions, keys) in [
        ("overwriting", 0.0, 1500),
        ("mostly inserting", 0.0, 1_000_000),
        ("deleting half", 0.5, 1500),
        ("deleting nearly all", 0.95, 1500),
        ("a handful of keys", 0.1, 50),
    ] {
        let mut simulation = Simulation::default();
        for _ in 0..runs(150) {
            simulation.flush(random_memtable(&mut rng, 100, keys, deletions), 4, 32);
            simulation.check(what);
        }
        assert!(
            simulation.most_tables <= 13,
            "{what}: {} tables",
            simulation.most_tables
        );
        let written = simulation.compacted as f64 / simulation.flushed as f64;
        println!(
            "{what}: {written:.1} bytes written again, at most {} tables",
            simulation.most_tables
        );
        assert!(
            written < 12.0,
            "{what}: {written:.1} bytes written again for each flushed"
        );
    }
}

#[test]
fn flushes_of_very_different_sizes_stay_bounded() {
    let mut rng = Rng::with_seed(seed());
    for trigger in [2, 4, 10] {
        let mut simulation = Simulation::default();
        for _ in 0..runs(150) {
            let entries = 1 << rng.u32(0..9);
            simulation.flush(random_memtable(&mut rng, entries, 20_000, 0.1), trigger, 32);
            assert!(simulation.tables.len() <= 32);
            assert!(simulation.space() <= 2.6);
        }
    }
}

#[test]
fn deleting_everything_leaves_nothing() {
    let mut simulation = Simulation::default();
    simulation.flush((0..10_000).map(|key| (key, false)).collect(), 4, 32);
    for part in 0..20 {
        simulation.flush(
            (part * 500..(part + 1) * 500)
                .map(|key| (key, true))
                .collect(),
            4,
            32,
        );
        simulation.check("deleting in order");
    }
    assert!(simulation.tables.is_empty());
}

#[test]
fn the_most_tables_force_a_merge() {
    // Doubling sizes towards the oldest: no run, and no waste.
    let tables: Vec<TableInfo> = (0..40)
        .map(|place| TableInfo {
            size: 3_u64.pow(place),
            entries: 4_u64.pow(place.min(30)),
            ..info(&Simulated::new())
        })
        .collect();
    assert_eq!(choose(&tables[..30], (4, 32), u64::MAX), None);
    assert_eq!(choose(&tables[..31], (4, 31), u64::MAX), Some(0..4));
}

/// Tables of these sizes, newest first, of which none wastes space.
fn of_sizes(sizes: &[u64]) -> Vec<TableInfo> {
    let oldest = sizes.len() - 1;
    let table = |(place, size): (usize, &u64)| TableInfo {
        size: *size,
        entries: if place == oldest { 1 << 30 } else { 1 },
        ..info(&Simulated::new())
    };
    sizes.iter().enumerate().map(table).collect()
}

#[test]
fn a_run_is_merged_as_soon_as_it_is_long_enough() {
    let chosen = |sizes: &[u64]| choose(&of_sizes(sizes), (4, 32), u64::MAX);
    assert_eq!(chosen(&[1, 1, 1, 1000]), None);
    assert_eq!(chosen(&[1, 1, 1, 1, 1000]), Some(0..4));
    // No larger than twice the largest newer one, which need not be the one before it.
    assert_eq!(chosen(&[1, 2, 4, 8, 1000]), Some(0..4));
    assert_eq!(chosen(&[1, 2, 4, 9, 1000]), None);
    assert_eq!(chosen(&[100, 8, 4, 3, 1, 1000]), Some(0..5));
    assert_eq!(chosen(&[1, 100, 100, 100, 100, 1000]), Some(1..5));
}

#[test]
fn where_there_may_be_no_more_tables_than_a_merge_takes_all_are_merged() {
    let tables = of_sizes(&[1, 3, 9, 27]);
    assert_eq!(choose(&tables, (4, 5), u64::MAX), None);
    assert_eq!(choose(&tables, (4, 4), u64::MAX), Some(0..4));
}

fn open_all(dir: &Path, models: &[Model]) -> Vec<Arc<Table>> {
    let table = |(number, model)| open(dir, &build(dir, number, number * 7, model).0);
    (1_u64..).zip(models).map(table).collect()
}

#[test]
fn merging_keeps_the_newest_of_every_key() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(seed());
    for run in 0..runs(6) {
        let dir = dir.path().join(run.to_string());
        std::fs::create_dir(&dir).unwrap();
        let models: Vec<Model> = (0..rng.u32(1..5))
            .map(|_| random_model(&mut rng, 800))
            .collect();
        let inputs = open_all(&dir, &models);
        for drop_tombstones in [false, true] {
            let mut wanted = Model::new();
            for (key, entry) in models.iter().flatten() {
                let newest = wanted.entry(key.clone()).or_insert_with(|| entry.clone());
                if newest.0 < entry.0 {
                    newest.clone_from(entry);
                }
            }
            if drop_tombstones {
                wanted.retain(|_, (_, value)| value.is_some());
            }
            let number = 100 + u64::from(drop_tombstones);
            let plan = MergePlan {
                inputs: &inputs,
                number,
                file_id: 9,
                drop_tombstones,
            };
            let merged = merge_tables(&RealDisk, &dir, &plan, &|| true).unwrap();
            let given: u64 = inputs.iter().map(|table| table.info().entries).sum();
            let dropped = merged.tombstones + merged.shadowed;
            assert!(drop_tombstones || merged.tombstones == 0);
            let (info, index) = merged.table.unwrap();
            assert_eq!(given, info.entries + dropped);
            std::fs::rename(
                temporary_path(&dir, number),
                dir.join(format!("{number:012}.sst")),
            )
            .unwrap();
            let table = Table::open_cached(
                &RealDisk,
                &dir,
                &info,
                (&BlockCache::new(1 << 20), Some(index)),
            )
            .unwrap();
            let entries = drain(&mut TableCursor::all(&table).unwrap()).unwrap();
            assert!(entries == wanted.into_iter().collect::<Vec<_>>());
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| name(entry).unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_merge_that_comes_to_nothing_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::with_seed(1);
    let models = [random_model(&mut rng, 500), random_model(&mut rng, 500)];
    let inputs = open_all(dir.path(), &models);
    let before = names(dir.path());
    let plan = MergePlan {
        inputs: &inputs,
        number: 50,
        file_id: 9,
        drop_tombstones: true,
    };
    let stopped = merge_tables(&RealDisk, dir.path(), &plan, &|| false).unwrap_err();
    assert!(matches!(stopped, AtlasError::Closed));
    assert_eq!(names(dir.path()), before);

    let path = dir.path().join("000000000002.sst");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = merge_tables(&RealDisk, dir.path(), &plan, &|| true).unwrap_err();
    assert!(matches!(damaged, AtlasError::Corrupt { .. }), "{damaged}");
    assert_eq!(names(dir.path()), before);

    let deletions: Model = [(b"k".to_vec(), (Lsn::from_u64(1), None))].into();
    let inputs = vec![open(dir.path(), &build(dir.path(), 3, 3, &deletions).0)];
    let plan = MergePlan {
        inputs: &inputs,
        ..plan
    };
    let merged = merge_tables(&RealDisk, dir.path(), &plan, &|| true).unwrap();
    assert!(merged.table.is_none());
    assert_eq!((merged.tombstones, merged.shadowed), (1, 0));
    assert_eq!(names(dir.path()).len(), before.len() + 1);
}
