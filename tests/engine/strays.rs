//! What recovery does with files that are no part of the store, and with what it had to cut.

use std::path::Path;

use atlaskv::storage::verify::{VerifyOptions, verify};
use atlaskv::storage::{AtlasError, Disk, Options};

use crate::damage::{self, check_contents, first, flip, interval, log_of, refusal, with_tables};
use crate::sim_disk::{CallKind, Errno, Fault, Loss, SimDisk};
use crate::store::{self, DIR, path};

#[test]
fn strays_are_kept_and_temporaries_removed() {
    let (disk, model, options) = with_tables();
    let strays = [
        "notes.txt",
        "wal-1.log",
        "MANIFEST.old",
        "000000009999.sst",
        "wal-000000009999.log",
        ".hidden",
    ];
    for round in 1..=2 {
        for stray in strays {
            let text = format!("{stray} in round {round}");
            disk.put_file(&path(stray), text.as_bytes());
        }
        for temporary in ["MANIFEST.tmp", "000000000001.sst.tmp", "x.tmp"] {
            disk.put_file(&path(temporary), b"half");
        }
        disk.create_dir(&path("lost+found")).unwrap();
        let engine = store::open(&disk, &options).unwrap();
        check_contents(&engine, &model, "with strays");
        assert_eq!(engine.recovery_report().quarantined.len(), strays.len());
        let stats = engine.stats();
        assert_eq!(stats.quarantine_files, (strays.len() * round) as u64);
        let after = disk.crash_image(Loss::DropAll, 0);
        let kept: Vec<Vec<u8>> = engine
            .quarantine_list()
            .unwrap()
            .iter()
            .map(|file| damage::bytes(&after, &path("quarantine").join(&file.name)))
            .collect();
        for round in 1..=round {
            for stray in strays {
                let text = format!("{stray} in round {round}").into_bytes();
                assert!(kept.contains(&text), "{stray} of round {round} is gone");
            }
        }
        for file in disk
            .files()
            .keys()
            .filter(|file| file.parent() == Some(Path::new(DIR)))
        {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(
                !strays.contains(&name) && !name.ends_with(".tmp"),
                "{name} stayed"
            );
        }
        disk.list(&path("lost+found")).unwrap();
    }
    let engine = store::open(&disk, &options).unwrap();
    let purged = engine.quarantine_purge().unwrap();
    assert_eq!(purged.len(), strays.len() * 2);
    assert!(engine.quarantine_list().unwrap().is_empty());
    assert_eq!(engine.stats().quarantine_files, 0);
    let after = disk.crash_image(Loss::DropAll, 0);
    assert!(
        !after
            .files()
            .keys()
            .any(|file| file.starts_with(path("quarantine")))
    );
}

#[test]
fn quarantine_has_a_budget() {
    let (disk, model, options) = with_tables();
    let options = Options {
        quarantine_size: 20_000,
        ..options
    };
    disk.put_file(&path("large"), &[1; 30_000]);
    disk.put_file(&path("small"), &[2; 100]);
    for _ in 0..2 {
        let engine = store::open(&disk, &options).unwrap();
        check_contents(&engine, &model, "over the budget");
        let report = engine.recovery_report();
        assert!(
            report.notes.iter().any(|note| note.contains("large")),
            "{report:?}"
        );
        assert_eq!(damage::bytes(&disk, &path("large")), [1; 30_000]);
        assert_eq!(damage::bytes(&disk, &path("quarantine/small")), [2; 100]);
        drop(engine);
    }
}

#[test]
fn a_cut_beyond_the_budget_loses_nothing() {
    let options = Options {
        quarantine_size: 0,
        ..interval()
    };
    let (disk, model) = log_of(&options, 5, 5, 3000);
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    flip(&disk, &segment, entries[6].place.end - 1, 0);
    let before = damage::bytes(&disk, &segment);
    for _ in 0..3 {
        let engine = store::open(&disk, &options).unwrap();
        check_contents(&engine, &first(&model, 6), "no room for what was cut");
        assert_eq!(damage::bytes(&disk, &segment), before, "the segment stays");
    }
}

#[test]
fn a_directory_of_other_things_is_not_taken() {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new(DIR)).unwrap();
    disk.put_file(&path("letter.txt"), b"dear");
    let error = refusal(&disk, &interval(), "a directory of other things");
    assert!(matches!(error, AtlasError::NotAStore { .. }), "{error:?}");
}

/// Recovery that is interrupted at each of its steps in turn, each time going on from there.
#[test]
fn recovery_may_be_interrupted_again_and_again() {
    let (mut disk, model) = log_of(&interval(), 5, 5, 100);
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    flip(&disk, &segment, entries[7].place.end - 1, 0);
    for at in 0..60 {
        disk.crash_at(at);
        drop(store::open(&disk, &interval()));
        disk = disk.crash_image(Loss::KeepAll, at);
    }
    let engine = store::open(&disk, &interval()).unwrap();
    check_contents(&engine, &first(&model, 7), "after many interruptions");
    let kept = path(&format!(
        "quarantine/wal-000000000001.log.from-{}",
        entries[7].place.start
    ));
    assert!(disk.files().contains_key(&kept), "the cut bytes are kept");
}

/// A file with a number that no store reaches is a stranger's: new files do not go on from there, for a
/// manifest that counts so far is refused.
#[test]
fn a_number_that_no_store_reaches_is_not_taken_up() {
    for number in [(1_u64 << 60) - 1, 1 << 60, u64::MAX] {
        let (disk, model, options) = with_tables();
        for name in [format!("{number}.sst"), format!("wal-{number}.log")] {
            disk.put_file(&path(&name), b"a stranger's");
        }
        for _ in 0..2 {
            let engine = store::open(&disk, &options).unwrap();
            check_contents(&engine, &model, "with high numbers");
            engine.put(b"key", b"value").unwrap();
            engine.delete(b"key").unwrap();
            engine.flush().unwrap();
            engine.close().unwrap();
        }
        for file in disk.files().into_keys() {
            let digits = file
                .to_string_lossy()
                .chars()
                .filter(char::is_ascii_digit)
                .count();
            let is_ours = file.parent() == Some(Path::new(DIR));
            assert!(!is_ours || digits <= 12, "{}", file.display());
        }
    }
}

/// On a full disk quarantine may find no room: what gives some is removed before that.
#[test]
fn what_is_obsolete_goes_before_strays_are_moved() {
    let (disk, model) = log_of(&interval(), 5, 5, 100);
    disk.put_file(&path("notes.txt"), b"a stranger's");
    let segments = store::segments(&disk);
    let whole = disk.copy();
    drop(store::open(&whole, &interval()).unwrap());
    let trace = whole.trace();
    let made = trace.iter().find(|call| call.kind == CallKind::CreateDir);
    disk.fail_at(made.unwrap().number, Fault::Fail(Errno::Full));
    let refused = store::open(&disk, &interval());
    assert!(matches!(refused, Err(AtlasError::Io { .. })), "{refused:?}");
    let left = store::segments(&disk);
    assert!(segments.iter().all(|segment| !left.contains(segment)));
    let engine = store::open(&disk, &interval()).unwrap();
    check_contents(&engine, &model, "with room again");
    assert_eq!(engine.quarantine_list().unwrap().len(), 1);
}

/// Verify reads what stands in quarantine too, for the disk's sake, unless it is to be quick.
#[test]
fn quarantine_that_cannot_be_read_is_a_note() {
    let (disk, _, _) = with_tables();
    disk.create_dir(&path("quarantine")).unwrap();
    disk.put_file(&path("quarantine/cut"), b"some bytes");
    let told = |quick: bool| {
        let options = VerifyOptions { quick, threads: 1 };
        let reads = {
            let disk = disk.copy();
            verify(&disk, Path::new(DIR), options).unwrap();
            disk.reads()
        };
        let outcomes = (0..reads).filter_map(|at| {
            let disk = disk.copy();
            disk.fail_read_at(at, Fault::Fail(Errno::Io));
            verify(&disk, Path::new(DIR), options).ok()
        });
        let mut notes = outcomes.flat_map(|report| report.notes);
        notes.any(|note| note.starts_with("quarantine/cut: it cannot be read"))
    };
    assert!(told(false));
    assert!(!told(true));
}

/// Numbers are never given again, so a start must not use up many, however often it is cut off.
#[test]
fn starts_that_are_cut_off_use_up_few_numbers() {
    let (mut disk, _, options) = with_tables();
    let highest = |disk: &SimDisk| {
        let files = disk.files();
        let names = files.keys().filter_map(|file| file.file_name()?.to_str());
        let digits = names.map(|name| name.trim_start_matches("wal-"));
        let numbers = digits.filter_map(|name| name.get(..12)?.parse::<u64>().ok());
        numbers.max().unwrap_or(0)
    };
    let before = highest(&disk);
    let whole = disk.copy();
    let first = whole.changes();
    drop(store::open(&whole, &options).unwrap());
    let starts = whole.changes() - first;
    for start in 0..starts {
        disk.crash_at(disk.changes() + start);
        // The last of them may be done with what it has to do.
        let _ = store::open(&disk, &options);
        disk = disk.crash_image(Loss::KeepAll, 0);
    }
    drop(store::open(&disk, &options).unwrap());
    let after = highest(&disk);
    assert!(
        after <= before + 4 * (starts + 1),
        "{before} became {after} in {starts} starts"
    );
}
