//! The manifest of one step before the last comes back: it lists what that step has made as not needed, and what it
//! was made of is gone.

use std::ops::Range;
use std::path::{Path, PathBuf};

use atlaskv::storage::Disk;
use atlaskv::storage::repair::{FileAction, RepairOutcome, RepairPlan};
use atlaskv::storage::verify::{FileKind, Verdict, VerifyOptions, VerifyReport, verify};

use crate::damage::{self, fill, flip};
use crate::repair::{changes, check_kept, plan, repair};
use crate::sim_disk::{Loss, SimDisk};
use crate::store::{self, Contents, DIR};

/// A step that makes a table of what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Flush,
    Merge,
    Start,
}

/// A store up to this step, and writes behind it; with `crash_at` it ends before that change of the step. What was
/// written, and the changes that the step makes: the same each time.
fn run(disk: &SimDisk, step: Step, crash_at: Option<u64>) -> (Contents, Range<u64>) {
    let options = damage::interval();
    let mut model = Contents::new();
    let engine = store::open(disk, &options).unwrap();
    if step == Step::Merge {
        fill(&engine, &mut model, 0..10, 40);
        engine.flush().unwrap();
    }
    fill(&engine, &mut model, 5..20, 40);
    engine.sync().unwrap();
    if step == Step::Merge {
        engine.flush().unwrap();
    }
    let first = disk.changes();
    if let Some(at) = crash_at {
        disk.crash_at(at);
    }
    let outcome = match step {
        Step::Flush => engine.flush().map(|()| engine),
        Step::Merge => engine.compact().map(|_| engine),
        Step::Start => {
            drop(engine);
            store::open(disk, &options)
        }
    };
    let end = disk.changes();
    assert_eq!(outcome.is_err(), crash_at.is_some());
    if let Ok(engine) = outcome {
        fill(&engine, &mut model, 15..30, 40);
        engine.sync().unwrap();
    }
    (model, first..end)
}

fn report(disk: &SimDisk) -> VerifyReport {
    verify(disk, Path::new(DIR), VerifyOptions::default()).unwrap()
}

/// A store that has done this step, with the manifest before the one that made it true.
struct Announced {
    disk: SimDisk,
    model: Contents,
    /// What the step has made.
    table: PathBuf,
    /// The store as it was when that had got its name.
    before: SimDisk,
}

fn announced(step: Step) -> Announced {
    let new = || SimDisk::new(41);
    let disk = new();
    let (model, changes) = run(&disk, step, None);
    let disk = disk.copy();
    // What the step was made of is gone for good.
    disk.sync_dir(Path::new(DIR)).unwrap();
    let found = changes.into_iter().find_map(|at| {
        let crashed = new();
        run(&crashed, step, Some(at));
        let before = crashed.copy();
        let files = report(&before).files.into_iter();
        let mut tables = files.filter(|file| file.name.ends_with(".sst"));
        let table = tables.find(|file| file.kind == FileKind::Obsolete)?;
        Some((before, store::path(&table.name)))
    });
    let (before, table) = found.expect("no table is announced before it has its name");
    assert_eq!(store::named(&disk, ".sst"), std::slice::from_ref(&table));
    let manifest = store::path("MANIFEST");
    disk.put_file(&manifest, &damage::bytes(&before, &manifest));
    Announced {
        disk,
        model,
        table,
        before,
    }
}

const STEPS: [Step; 3] = [Step::Flush, Step::Merge, Step::Start];

fn is_told_as_older(plan: &RepairPlan) -> bool {
    let mut losses = plan.losses.iter();
    losses.any(|loss| loss.file == "MANIFEST" && loss.detail.contains("older than the data"))
}

/// What a repair names as lost may stand in a file that the manifest lists as not needed.
#[test]
fn what_is_not_needed_is_kept_where_something_is_lost() {
    let options = damage::interval();
    for step in STEPS {
        let Announced { disk, table, .. } = announced(step);
        // Not whole, so it does not take the place of what is gone.
        flip(&disk, &table, 40, 1);
        let bytes = damage::bytes(&disk, &table);
        damage::refusal(&disk, &options, "the manifest of a step before");
        let seen = repair(&disk).unwrap();
        assert_eq!(seen.outcome, RepairOutcome::Loss, "{step:?}");
        let name = table.file_name().unwrap().to_str().unwrap();
        for _ in 0..2 {
            drop(store::open(&disk, &options).unwrap());
            let mut files = disk.files().into_iter();
            let kept = files
                .any(|(path, kept)| path.starts_with(store::path("quarantine")) && kept == bytes);
            assert!(kept, "{step:?}: {name} is gone");
        }
        let told = seen.files.iter().find(|file| file.name == name).unwrap();
        assert_ne!(told.action, FileAction::Keep, "{step:?}");
        assert!(!told.detail.contains("holds no data"), "{told:?}");
        assert_eq!(report(&disk).verdict, Verdict::Sound, "{step:?}");
    }
}

/// Interrupted anywhere, by the process alone or by a power cut, the repair and the starts after it keep it.
#[test]
fn what_is_not_needed_outlives_an_interrupted_repair() {
    let options = damage::interval();
    let Announced { disk, table, .. } = announced(Step::Merge);
    flip(&disk, &table, 40, 1);
    let before = disk.files();
    let bytes = &before[&table];
    for at in changes(&disk) {
        let crashed = disk.copy();
        crashed.crash_at(at);
        assert!(repair(&crashed).is_err() && crashed.is_dead());
        for loss in [Loss::KeepAll, Loss::DropAll] {
            let image = crashed.crash_image(loss, at);
            let why = format!("{loss:?} before change {at}: {}", crashed.describe(at));
            check_kept(&before, &image, &why);
            // Once the new manifest is durable, a start takes it.
            if store::open(&image, &options).is_err() {
                repair(&image).unwrap();
                drop(store::open(&image, &options).unwrap());
            }
            assert!(image.files().values().any(|kept| kept == bytes), "{why}");
        }
    }
}

#[test]
fn a_table_that_was_not_needed_yet_takes_the_place_of_what_is_gone() {
    let options = damage::interval();
    for step in STEPS {
        let Announced { disk, model, .. } = announced(step);
        damage::refusal(&disk, &options, "the manifest of a step before");
        assert_eq!(report(&disk).verdict, Verdict::Damaged, "{step:?}");
        let seen = repair(&disk).unwrap();
        assert!(is_told_as_older(&seen), "{step:?}: {seen:#?}");
        let engine = store::open(&disk, &options).unwrap();
        damage::check_contents(&engine, &model, &format!("{step:?}"));
    }
}

/// A start has not yet removed the log that it has replayed, and its own has writes.
#[test]
fn a_segment_of_a_later_epoch_tells_that_the_manifest_is_older() {
    let options = damage::interval();
    let Announced {
        disk,
        model,
        before,
        ..
    } = announced(Step::Start);
    for path in store::segments(&before) {
        disk.put_file(&path, &damage::bytes(&before, &path));
    }
    damage::refusal(&disk, &options, "the log of a later epoch");
    let seen = report(&disk);
    let mut files = seen.files.iter();
    let told = files.find(|file| file.kind == FileKind::Manifest).unwrap();
    let is_older = |text: &str| text.contains("older than the data");
    assert!(
        told.findings
            .iter()
            .any(|finding| is_older(&finding.detail)),
        "{:?}",
        told.findings
    );
    assert!(is_told_as_older(&repair(&disk).unwrap()));
    let engine = store::open(&disk, &options).unwrap();
    damage::check_contents(&engine, &model, "the log of a later epoch");
}

/// While nothing is gone, what is listed as not needed is just that: the step was never done.
#[test]
fn a_step_that_was_never_done_is_no_sign_of_age() {
    for step in STEPS {
        let Announced { before, .. } = announced(step);
        assert_eq!(report(&before).verdict, Verdict::Sound, "{step:?}");
        assert_eq!(plan(&before).unwrap().outcome, RepairOutcome::Nothing);
    }
}
