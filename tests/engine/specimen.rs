//! A store as small as it can be with a file of every kind, and what a look at a damaged copy must find.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atlaskv::storage::verify::{Severity, Verdict, VerifyOptions, verify};
use atlaskv::storage::{AtlasError, Engine, KIB, Lsn, Options, ScanRange};

use crate::damage;
use crate::sim_disk::SimDisk;
use crate::store::{self, Change, Contents, DIR, POLICIES};

/// Two merged and newly flushed tables over each other, two sealed segments, an open one, the manifest
/// and a file in quarantine; overwrites and tombstones in tables and log.
pub(crate) struct Specimen {
    pub(crate) disk: SimDisk,
    pub(crate) options: Options,
    /// The state after each write, beginning with none.
    states: Vec<(Lsn, Contents)>,
    /// Writes that are synced, with proof of it in the log.
    proven: usize,
    /// Every key that was ever there, and one that never was.
    keys: BTreeSet<Vec<u8>>,
}

/// What a start and reads of everything came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It did not start, and changed nothing.
    Refused,
    /// It started, and reads of what is damaged fail.
    ReadError,
    /// It started without writes that nothing proves to have been synced.
    TornTail,
    /// It started with everything; the damage is told and gone.
    Repaired,
    /// It started with everything, and there is nothing to tell.
    NoEffect,
}

/// What a look at a damaged copy found.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) outcome: Outcome,
    /// Writes that were recovered; all where it did not start.
    recovered: usize,
    /// The files of which verify tells something worse than a note.
    told: BTreeSet<String>,
}

fn put(key: &str, letter: u8, length: usize) -> Change {
    (key.as_bytes().to_vec(), Some(vec![letter; length]))
}

fn delete(key: &str) -> Change {
    (key.as_bytes().to_vec(), None)
}

impl Specimen {
    pub(crate) fn new() -> Specimen {
        let mut specimen = Specimen {
            disk: SimDisk::new(9),
            options: Options {
                memtable_size: 1024 * KIB,
                segment_size: 8 * KIB,
                max_sealed_memtables: 4,
                ..store::options(POLICIES[1])
            },
            states: vec![(Lsn::ZERO, Contents::new())],
            proven: 0,
            keys: [b"never".to_vec()].into(),
        };
        specimen.fill_tables();
        let disk = specimen.disk.copy();
        // Not finished with: recovery moves it to quarantine.
        disk.put_file(&store::path("notes"), b"a stray file");
        specimen.disk = disk;
        specimen.fill_log();
        specimen.disk = specimen.disk.copy();
        specimen.check_kinds();
        specimen
    }

    fn write(&mut self, engine: &Engine, changes: &[Change]) {
        let lsn = store::write(engine, changes).unwrap();
        let mut state = self.states.last().unwrap().1.clone();
        store::apply(&mut state, changes, lsn);
        self.keys.extend(changes.iter().map(|(key, _)| key.clone()));
        self.states.push((lsn, state));
    }

    /// A merged table and two newer ones, with older values and deleted keys below.
    fn fill_tables(&mut self) {
        let engine = store::open(&self.disk, &self.options).unwrap();
        self.write(&engine, &[put("a", 1, 9), put("b", 1, 9), put("c", 1, 9)]);
        engine.flush().unwrap();
        self.write(&engine, &[put("b", 2, 9), put("d", 2, 9), put("e", 2, 9)]);
        engine.compact().unwrap();
        assert_eq!(store::named(&self.disk, ".sst").len(), 1);
        self.write(&engine, &[put("b", 3, 9), delete("c")]);
        engine.flush().unwrap();
        self.write(&engine, &[put("a", 4, 9), delete("d"), put("f", 4, 9)]);
        engine.flush().unwrap();
    }

    /// Two sealed segments and an open one, whose last group nothing proves to be synced.
    fn fill_log(&mut self) {
        let engine = store::open(&self.disk, &self.options).unwrap();
        let mut letter = 10;
        while store::segments(&self.disk).len() < 3 {
            letter += 1;
            self.write(&engine, &[put("a", letter, 1200), delete("b")]);
            self.write(&engine, &[put("b", letter, 60), put("g", letter, 60)]);
        }
        self.write(&engine, &[delete("f"), put("e", 5, 60)]);
        engine.sync().unwrap();
        self.proven = self.states.len() - 1;
        // The first carries the proof, and no sector is in all three.
        self.write(&engine, &[put("h", 6, 600), delete("a")]);
        self.write(&engine, &[put("g", 7, 600), delete("e")]);
    }

    /// What it holds.
    pub(crate) fn contents(&self) -> &Contents {
        &self.states.last().unwrap().1
    }

    fn check_kinds(&self) {
        assert_eq!(store::segments(&self.disk).len(), 3);
        assert_eq!(store::named(&self.disk, ".sst").len(), 3);
        assert_eq!(self.all_of_kind("quarantine").len(), 1);
        let bytes: usize = self.disk.files().values().map(Vec::len).sum();
        assert!(bytes < 32 * KIB, "{bytes} bytes: too many to flip each bit");
        let look = self.look(&self.disk.copy());
        assert_eq!(look.outcome, Outcome::NoEffect);
        assert_eq!(look.recovered, self.states.len() - 1);
    }

    pub(crate) fn all_of_kind(&self, wanted: &str) -> Vec<PathBuf> {
        let all = self.disk.files().into_keys();
        all.filter(|path| kind(path) == wanted).collect()
    }

    /// How many bytes of a file some reader uses: all of the manifest and of a table, for one checksum
    /// covers the whole file; of a segment the header with the zeros that fill it up, and the entries. The
    /// preallocated zeros behind the last entry stand for nothing: what flips there looks like the
    /// first bytes of a write that was never finished, or is behind the end that the manifest names.
    /// What is in quarantine is no data of the store.
    pub(crate) fn used(&self, path: &Path) -> usize {
        let bytes = damage::bytes(&self.disk, path);
        match kind(path) {
            "quarantine" => 0,
            "sealed segment" | "open segment" => {
                let last = damage::entries(&bytes).pop();
                last.map_or(damage::HEADER, |entry| entry.place.end)
            }
            _ => bytes.len(),
        }
    }

    /// What `kind` says, the open segment told from the sealed ones.
    pub(crate) fn kind(&self, path: &Path) -> &'static str {
        let is_open = store::segments(&self.disk)
            .last()
            .is_some_and(|last| last == path);
        if is_open { "open segment" } else { kind(path) }
    }

    /// A bit flipped: verify names the file, where the bit is of use to anybody; where it is not, nothing
    /// is lost.
    pub(crate) fn check_flip(&self, path: &Path, bit: usize) -> Outcome {
        let flipped = self.disk.copy();
        damage::flip(&flipped, path, bit / 8, (bit % 8) as u8);
        let look = self.look(&flipped);
        let name = path.file_name().unwrap().to_str().unwrap();
        if bit / 8 < self.used(path) {
            assert!(look.told.contains(name), "not told: {look:?}");
        } else {
            let harmless = match look.outcome {
                Outcome::TornTail => self.kind(path) == "open segment",
                outcome => outcome == Outcome::NoEffect,
            };
            assert!(harmless, "a bit without use: {look:?}");
            assert_eq!(look.recovered, self.states.len() - 1, "{look:?}");
        }
        look.outcome
    }

    /// Verifies a damaged store, starts it and reads everything: no wrong value, nothing lost in silence
    /// but what nothing proves to have been synced, no file removed, and verify knew all of it before.
    pub(crate) fn look(&self, disk: &SimDisk) -> Look {
        let before = disk.files();
        let report = verify(disk, Path::new(DIR), VerifyOptions::default()).unwrap();
        assert!(before == disk.files(), "verify changed the disk");
        let is_bad = |severity| severity > Severity::Note;
        let bad = report.files.iter().filter(|file| {
            let mut findings = file.findings.iter();
            findings.any(|finding| is_bad(finding.severity))
        });
        let mut look = Look {
            outcome: Outcome::Refused,
            recovered: self.states.len() - 1,
            told: bad.map(|file| file.name.clone()).collect(),
        };
        let verdict = report.verdict;
        assert_eq!(look.told.is_empty(), verdict == Verdict::Sound, "{look:?}");
        let Ok(engine) = store::open(disk, &self.options) else {
            assert!(before == disk.files(), "refused, yet the disk changed");
            let is_told = !matches!(verdict, Verdict::Sound | Verdict::TornTail);
            assert!(is_told, "refused, yet verify says {verdict:?}");
            return look;
        };
        look.recovered = self.check_recovered(&engine, disk);
        check_files_stay(&before, disk, &engine);
        let is_torn = engine.recovery_report().cut_from.is_some();
        let failures = self.check_reads(&engine, look.recovered);
        look.outcome = match (failures > 0, is_torn, verdict) {
            (true, _, _) => Outcome::ReadError,
            (false, true, _) => Outcome::TornTail,
            (false, false, Verdict::Sound) => Outcome::NoEffect,
            (false, false, _) => Outcome::Repaired,
        };
        let expected = match verdict {
            Verdict::Sound => look.outcome == Outcome::NoEffect,
            Verdict::TornTail => look.outcome == Outcome::TornTail,
            // What finds the entries of a table is damaged: they are whole, and reads fail until it is made anew.
            Verdict::Repairable | Verdict::Unreadable => {
                matches!(look.outcome, Outcome::Repaired | Outcome::ReadError)
            }
            Verdict::Damaged => look.outcome == Outcome::ReadError,
        };
        assert!(expected, "verify says {verdict:?}: {look:?}");
        look
    }

    /// How many writes were recovered: all that are proven to be synced, and all when nothing was cut.
    fn check_recovered(&self, engine: &Engine, disk: &SimDisk) -> usize {
        let report = engine.recovery_report();
        let known = |(lsn, _): &(Lsn, Contents)| *lsn <= report.last_lsn;
        let recovered = self.states.iter().rposition(known).unwrap();
        let least = match report.cut_from {
            Some(_) => self.proven,
            None => self.states.len() - 1,
        };
        assert!(
            recovered >= least,
            "lost in silence: {recovered} writes of {least}"
        );
        if report.cut_from.is_some() {
            assert!(!report.quarantined.is_empty(), "what was cut is not kept");
            let again = verify(disk, Path::new(DIR), VerifyOptions::default()).unwrap();
            assert_eq!(again.verdict, Verdict::Sound, "after the cut");
        }
        recovered
    }

    /// Every key by get, and all by a scan: the truth or an error. Returns how many reads failed.
    fn check_reads(&self, engine: &Engine, recovered: usize) -> u32 {
        let expected = &self.states[recovered].1;
        let mut failures = 0;
        for key in &self.keys {
            match engine.get(key) {
                Ok(found) => {
                    let found = found.map(|found| (found.lsn, found.value.to_vec()));
                    let shown = key.escape_ascii();
                    assert!(found.as_ref() == expected.get(key), "{shown}: wrong data");
                }
                Err(error) => failures += read_failure(&error),
            }
        }
        let mut scan = match engine.scan(&ScanRange::default()) {
            Ok(scan) => scan,
            Err(error) => return failures + read_failure(&error),
        };
        let mut rest = expected.iter();
        loop {
            let page = match scan.next_page(2, 1 << 20, &mut |_| Ok(())) {
                Ok(page) => page,
                Err(error) => return failures + read_failure(&error),
            };
            for (key, value, lsn) in page.entries {
                let found = (key.to_vec(), (lsn, value.to_vec()));
                let next = rest.next().map(|(key, entry)| (key.clone(), entry.clone()));
                assert!(Some(found) == next, "a scan: wrong data");
            }
            if page.done {
                assert!(rest.next().is_none(), "a scan left keys out");
                return failures;
            }
        }
    }
}

/// What kind of file this is; segments apart from the open one.
fn kind(path: &Path) -> &'static str {
    let name = path.file_name().unwrap().to_str().unwrap();
    if path.parent() != Some(Path::new(DIR)) {
        "quarantine"
    } else if name == "MANIFEST" {
        "manifest"
    } else if name.ends_with(".sst") {
        "table"
    } else {
        "sealed segment"
    }
}

fn read_failure(error: &AtlasError) -> u32 {
    let is_told = matches!(
        error,
        AtlasError::Corrupt { .. } | AtlasError::MissingFile { .. }
    );
    assert!(is_told, "a read failed with {error:?}");
    1
}

/// That a start removed no file but the segments that it replayed into tables or keeps in quarantine.
fn check_files_stay(before: &BTreeMap<PathBuf, Vec<u8>>, disk: &SimDisk, engine: &Engine) {
    let after = disk.files();
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        assert_eq!(kind(path), "sealed segment", "{} is gone", path.display());
    }
    assert!(
        engine.recovery_report().segments > 0,
        "nothing was replayed"
    );
}
