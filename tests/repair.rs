//! `atlaskv-verify --repair` as a program: exit codes, words and documents.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    missing_docs,
    reason = "test code"
)]

mod tools;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use tools::{VERIFY, code, content, file_with, flip, open, stderr, stdout};

fn run(arguments: &[&str], dir: &Path) -> Output {
    tools::run(VERIFY, arguments, dir)
}

fn document(arguments: &[&str], dir: &Path) -> (i32, Value) {
    tools::document(VERIFY, arguments, dir)
}

/// A store with one table of 50 keys and some more in the log.
fn store() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let engine = open(&dir);
    for number in 0..50 {
        engine
            .put(format!("key{number:03}").as_bytes(), &[b'v'; 100])
            .unwrap();
    }
    engine.flush().unwrap();
    for number in 0..5 {
        engine
            .put(format!("log{number}").as_bytes(), b"logged")
            .unwrap();
    }
    (home, dir)
}

#[test]
fn a_sound_directory_needs_nothing() {
    let (_home, dir) = store();
    let before = content(&dir);
    let output = run(&["--repair"], &dir);
    assert_eq!(
        (code(&output), stdout(&output).as_str()),
        (0, "nothing to repair\n")
    );
    let (exit, told) = document(&["--repair"], &dir);
    assert_eq!(
        (exit, &told["plan"]["outcome"]),
        (0, &Value::from("nothing"))
    );
    assert_eq!(content(&dir), before);
}

#[test]
fn what_loses_nothing_is_repaired_at_once_unless_only_shown() {
    let (_home, dir) = store();
    flip(&file_with(&dir, ".sst"), 1);
    let before = content(&dir);
    let (exit, told) = document(&["--repair", "--dry-run"], &dir);
    assert_eq!(
        (exit, &told["plan"]["outcome"]),
        (1, &Value::from("lossless"))
    );
    assert_eq!(content(&dir), before);
    let output = run(&["--repair"], &dir);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(
        stdout(&output).contains("nothing is lost"),
        "{}",
        stdout(&output)
    );
    assert_eq!(code(&run(&[], &dir)), 0, "sound afterwards");
    let engine = open(&dir);
    assert!(engine.get(b"key000").unwrap().is_some() && engine.get(b"log4").unwrap().is_some());
}

#[test]
fn a_loss_is_accepted_as_it_was_named_or_not_at_all() {
    let (_home, dir) = store();
    flip(&file_with(&dir, ".sst"), 3000);
    let before = content(&dir);
    let output = run(&["--repair"], &dir);
    let text = stdout(&output);
    assert_eq!(code(&output), 3, "{text}");
    assert!(
        text.contains("1 of 50 entries") && text.contains("between the keys"),
        "{text}"
    );
    let command = text.lines().last().unwrap().trim();
    let (start, plan) = command.rsplit_once(' ').unwrap();
    assert_eq!(
        start,
        format!("atlaskv-verify {} --repair --accept-loss", dir.display())
    );
    assert_eq!(plan.len(), 8, "{plan}");
    let (exit, told) = document(&["--repair"], &dir);
    assert_eq!(
        (exit, &told["plan"]["fingerprint"]),
        (3, &Value::from(plan))
    );
    assert_eq!(told["plan"]["losses"][0]["entries"], 1);
    assert!(told["plan"]["losses"][0]["keys"][0]["after"].is_string());
    // More has been damaged since: what was accepted is not what would be lost.
    flip(&file_with(&dir, ".sst"), 1500);
    let (exit, told) = document(&["--repair", "--accept-loss", plan], &dir);
    assert_eq!((exit, &told["error"]["code"]), (8, &Value::from("refused")));
    assert_eq!(told["plan"]["losses"][0]["entries"], 2);
    flip(&file_with(&dir, ".sst"), 1500);
    assert_eq!(content(&dir), before, "nothing was changed so far");
    let output = run(&["--repair", "--accept-loss", plan], &dir);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for again in [&["--repair"][..], &["--repair", "--accept-loss", plan]] {
        assert_eq!(stdout(&run(again, &dir)), "nothing to repair\n");
    }
    let engine = open(&dir);
    let left = (0..50).filter(|number| {
        engine
            .get(format!("key{number:03}").as_bytes())
            .unwrap()
            .is_some()
    });
    assert_eq!(left.count(), 49);
}

#[test]
fn what_cannot_be_repaired_is_refused_with_its_code() {
    let (_home, dir) = store();
    let engine = open(&dir);
    let output = run(&["--repair"], &dir);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("is locked by"),
        "{}",
        stderr(&output)
    );
    drop(engine);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(code(&run(&["--repair"], empty.path())), 2);
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
    for wrong in [
        &["--repair", "--quick"][..],
        &["--accept-loss", "01234567"],
        &["--dry-run"],
    ] {
        assert_eq!(code(&run(wrong, &dir)), 2, "{wrong:?}");
    }
}

#[test]
fn a_lost_manifest_is_made_anew_when_what_is_not_known_was_accepted() {
    let (_home, dir) = store();
    // One flipped bit is set right, and nothing is lost for it.
    flip(&dir.join("MANIFEST"), 30);
    let output = run(&["--repair"], &dir);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert!(text.contains("bit 0 of byte 30 is flipped"), "{text}");
    fs::remove_file(dir.join("MANIFEST")).unwrap();
    let before = content(&dir);
    let (exit, told) = document(&["--repair"], &dir);
    assert_eq!(exit, 3, "{told}");
    let loss = &told["plan"]["losses"][0];
    assert_eq!(loss["file"], "MANIFEST");
    let detail = loss["detail"].as_str().unwrap();
    assert!(detail.contains("there is no manifest"), "{detail}");
    assert_eq!(content(&dir), before, "nothing was changed so far");
    let plan = told["plan"]["fingerprint"].as_str().unwrap();
    let output = run(&["--repair", "--accept-loss", plan], &dir);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(code(&run(&[], &dir)), 0, "sound afterwards");
    let engine = open(&dir);
    for number in 0..50 {
        let key = format!("key{number:03}");
        assert!(engine.get(key.as_bytes()).unwrap().is_some(), "{key}");
    }
    assert!(engine.get(b"log4").unwrap().is_some());
}

/// What root repairs in another user's directory is that user's, who could not open it otherwise.
#[test]
fn root_repairs_another_users_directory() {
    const USER: u32 = 65534;
    let (home, dir) = store();
    if fs::metadata(home.path()).unwrap().uid() != 0 {
        eprintln!("skipped: only root can work in another user's directory");
        return;
    }
    let table = file_with(&dir, ".sst");
    let middle = fs::metadata(&table).unwrap().len() / 2;
    flip(&table, usize::try_from(middle).unwrap());
    let own = |path: &Path| std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    own(&dir);
    for entry in fs::read_dir(&dir).unwrap() {
        own(&entry.unwrap().path());
    }
    let (exit, shown) = document(&["--repair"], &dir);
    assert_eq!(exit, 3, "{shown}");
    let plan = shown["plan"]["fingerprint"].as_str().unwrap();
    let (exit, done) = document(&["--repair", "--accept-loss", plan], &dir);
    assert_eq!(exit, 0, "{done}");
    let made: Vec<PathBuf> = content(&dir).into_keys().collect();
    assert!(
        made.iter()
            .any(|path| path.starts_with(dir.join("quarantine")))
    );
    for path in made
        .iter()
        .chain([&dir.join("quarantine"), &dir.join("LOCK")])
    {
        let owner = fs::metadata(path).unwrap().uid();
        assert_eq!(owner, USER, "{}", path.display());
    }
}
