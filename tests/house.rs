//! The rules of the house that no compiler checks: who may know whom, and how long things may be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::string_slice,
    missing_docs,
    reason = "test code"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file.
const FILE_LINES: usize = 700;
/// The most lines of code of a function.
const FUNCTION_LINES: usize = 70;
/// A tool's `main` is thin: its work is in the library.
const TOOL_LINES: usize = 30;

/// Which other rooms of the crate a room may name. Rooms that are not listed may name all.
const ARROWS: [(&str, &[&str]); 6] = [
    ("src/storage", &[]),
    ("src/protocol", &[]),
    ("src/client", &["protocol"]),
    ("src/exit", &["storage", "client", "protocol"]),
    ("src/server", &["protocol", "storage", "logging"]),
    ("src/metrics", &["server", "storage", "logging"]),
];

/// Words that a room must not use in code, with the one file that may.
const WORDS: [(&str, &str, &str); 15] = [
    ("src/storage", "std::fs", "src/storage/disk.rs"),
    ("src/storage", "std::net", ""),
    ("src/storage", "println!", ""),
    ("src/storage", "log::error!", ""),
    ("src/storage", "log::warn!", ""),
    ("src/storage", "log::info!", ""),
    ("src/storage", "log::debug!", ""),
    ("src", "bincode::", "src/storage/codec.rs"),
    ("src", "crc32fast::", "src/storage/codec.rs"),
    ("src/protocol", "std::net", ""),
    ("src/protocol", "std::fs", ""),
    ("src/protocol", "std::time", ""),
    ("src/protocol", "std::thread", ""),
    ("tools", "std::fs", ""),
    ("tools", "std::net", ""),
];

struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Whether it is a file of tests beside the code.
    fn is_tests(&self) -> bool {
        self.path.starts_with("src/") && self.path.ends_with("tests.rs")
    }

    fn is_in(&self, room: &str) -> bool {
        self.path == format!("{room}.rs") || self.path.starts_with(&format!("{room}/"))
    }

    /// Its lines without comments and without the tests at its end, numbered from 1.
    fn code(&self) -> Vec<(usize, &str)> {
        let whole: Vec<&str> = self.text.lines().collect();
        let tests = whole.windows(2).position(|pair| {
            pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod ")
        });
        let end = if self.is_tests() {
            0
        } else {
            tests.unwrap_or(whole.len())
        };
        let lines = whole[..end].iter().enumerate();
        lines
            .map(|(number, line)| (number + 1, without_comment(line)))
            .collect()
    }

    /// Whether its code has this word, whole.
    fn mentions(&self, word: &str) -> bool {
        self.code().iter().any(|(_, line)| has_word(line, word))
    }
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split_once(" // ").map_or(line, |(code, _)| code)
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
    line.match_indices(word).any(|(place, _)| {
        let ends_open = word.ends_with([':', '!']);
        let after = line[place + word.len()..].chars().next();
        !is_part(line[..place].chars().next_back()) && (ends_open || !is_part(after))
    })
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository below `dir`, by path from the root; what tools make is left out.
fn files(dir: &str) -> Vec<String> {
    let made = ["target", ".git", "artifacts", "atlaskv-data"];
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root().join(dir)) else {
        return found;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = Path::new(dir).join(&name).to_string_lossy().into_owned();
        if made.contains(&name.as_str()) || path == "fuzz/corpus" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources(dirs: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    for dir in dirs {
        for path in files(dir).into_iter().filter(|path| path.ends_with(".rs")) {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            sources.push(Source { path, text });
        }
    }
    assert!(!sources.is_empty(), "no sources in {dirs:?}");
    sources
}

fn check(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// The crate's rooms that a line of code names: `crate::room`, `crate::{room::…, room}`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (place, start) in code.match_indices("crate::") {
        let rest = &code[place + start.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => rooms.extend(first_name(&std::mem::take(&mut name))),
                    _ if depth == 0 => name.push(letter),
                    _ => {}
                }
            }
            rooms.extend(first_name(&name));
        } else {
            rooms.extend(first_name(rest));
        }
    }
    rooms
}

fn first_name(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    let name = &text[..end.unwrap_or(text.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

#[test]
fn rooms_are_found_in_every_kind_of_use() {
    let named = |code| rooms_named(code).into_iter().collect::<Vec<_>>();
    assert_eq!(named("use crate::storage::{Engine, Lsn};"), ["storage"]);
    assert_eq!(
        named("use crate::{client::{A, B}, config, server::*};"),
        ["client", "config", "server"]
    );
    assert_eq!(
        named("let x = crate::exit::DONE + crate::a();"),
        ["a", "exit"]
    );
    assert!(named("use std::fs;").is_empty());
    assert!(has_word("use std::fs;", "std::fs") && has_word("std::fs::read", "std::fs"));
    assert!(!has_word("use std::fsx;", "std::fs") && has_word("log::info!()", "log::"));
    assert!(!has_word("Requests", "Request") && !has_word("catalog::x", "log::"));
}

#[test]
fn arrows_point_down() {
    let mut broken = Vec::new();
    for source in sources(&["src"]) {
        for (room, may_name) in ARROWS.iter().filter(|(room, _)| source.is_in(room)) {
            let own = room.rsplit('/').next().unwrap();
            let code: Vec<&str> = source.code().into_iter().map(|(_, line)| line).collect();
            for named in rooms_named(&code.join(" ")) {
                if named != own && !may_name.contains(&named.as_str()) {
                    broken.push(format!("{}: {own} must not know {named}", source.path));
                }
            }
        }
    }
    check(&broken);
}

#[test]
fn rooms_keep_to_their_words() {
    let mut broken = Vec::new();
    for source in sources(&["src", "tools"]) {
        for (room, word, home) in WORDS {
            if source.is_in(room)
                && !source.is_tests()
                && source.path != home
                && source.mentions(word)
            {
                broken.push(format!("{}: {room} must not use {word}", source.path));
            }
        }
    }
    check(&broken);
}

#[test]
fn only_dispatch_sees_a_request_and_the_engine() {
    let mut broken = Vec::new();
    for source in sources(&["src/server"]) {
        let both = source.mentions("Request") && source.mentions("Engine");
        if both && !source.is_in("src/server/dispatch") {
            broken.push(format!("{} sees Request and Engine", source.path));
        }
    }
    check(&broken);
}

#[test]
fn tools_are_thin_and_use_the_public_library() {
    let mut broken = Vec::new();
    for source in sources(&["tools"]) {
        let lines = source.text.lines().count();
        if lines >= TOOL_LINES {
            broken.push(format!("{} has {lines} lines: {TOOL_LINES}", source.path));
        }
        if !source.mentions("atlaskv::") {
            broken.push(format!("{} does not use the library", source.path));
        }
    }
    check(&broken);
}

#[test]
fn every_file_says_what_it_is() {
    let mut broken = Vec::new();
    for source in sources(&["src", "tools", "tests", "benches", "fuzz"]) {
        if !source.text.starts_with("//! ") {
            broken.push(format!("{} does not begin with //!", source.path));
        }
    }
    check(&broken);
}

#[test]
fn files_are_short() {
    let mut broken = Vec::new();
    for source in sources(&["src", "tools", "tests", "benches", "fuzz"]) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            broken.push(format!("{} has {lines} lines: {FILE_LINES}", source.path));
        }
    }
    check(&broken);
}

#[test]
fn functions_fit_a_screen() {
    let mut broken = Vec::new();
    for source in sources(&["src", "tools"]) {
        let code = source.code();
        for (place, (number, line)) in code.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            if source.is_tests() || !is_function(line) {
                continue;
            }
            let end = format!("{}}}", " ".repeat(indent));
            let whole = code[place..].iter().map(|(_, line)| *line);
            let mut body = whole.skip_while(|line| !line.ends_with([';', '{', '}']));
            let has_body = body.next().is_some_and(|line| line.ends_with('{'));
            let body = body.take_while(|line| *line != end);
            let lines = body.filter(|line| !line.trim().is_empty()).count();
            if has_body && lines > FUNCTION_LINES {
                broken.push(format!("{}:{number}: {lines} lines", source.path));
            }
        }
    }
    check(&broken);
}

/// Whether a function begins on this line.
fn is_function(line: &str) -> bool {
    let Some((before, _)) = line.split_once("fn ") else {
        return false;
    };
    let mut words = before.split_whitespace();
    words.all(|word| word.starts_with("pub") || word == "const")
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("db", "g!("),
    ];
    let places = [
        concat!("/work", "/"),
        concat!("/tmp", "/wt"),
        concat!("/tmp", "/brief"),
        concat!("/far", "m/"),
    ];
    let mut broken = Vec::new();
    for path in files("") {
        // Binary fixtures say nothing.
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let word = words.iter().find(|word| has_word(line, word));
            let place = places.iter().find(|place| line.contains(*place));
            if let Some(found) = word.or(place) {
                broken.push(format!("{path}:{}: {found}", number + 1));
            }
        }
    }
    check(&broken);
}
