//! What is fuzzed and what must hold, for `cargo test --test corpus` and for the targets of `fuzz/` alike:
//! each target is a function that takes bytes and panics when a property does not hold.
//!
//! - Nothing panics, whatever the bytes.
//! - Memory is bounded by the input: [`memory::bounded`].
//! - What was read is written so that it is read as the same again.
//! - A store never changes on a refusal or by being verified, and what verify calls sound opens: [`store`].

mod disk;
mod memory;
mod store;

use std::path::Path;

use atlaskv::cli::ctl::rewrite_line;
use atlaskv::config::{Config, Source};
use atlaskv::protocol::{DEFAULT_MAX_FRAME_SIZE, Frame, HEADER_SIZE, Request, Response, frame};
use atlaskv::storage::fuzzing::rewrite_manifest;

use memory::bounded;
#[allow(unused_imports, reason = "only the test writes seeds")]
pub(crate) use store::seeds;

/// A fuzz target: its name, and the function.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Every target.
#[allow(dead_code, reason = "each binary of fuzz/ has one target only")]
pub(crate) const TARGETS: [Target; 8] = [
    ("segment", segment),
    ("table", table),
    ("manifest", manifest),
    ("request", request),
    ("response", response),
    ("configuration", configuration),
    ("import_tsv", import_tsv),
    ("import_jsonl", import_jsonl),
];

const LIMIT: u32 = DEFAULT_MAX_FRAME_SIZE;
const MAX_OPERATIONS: u64 = 100_000;
/// What may be reserved for a list before its elements are read: serde's bound. A manifest has four lists.
const LIST_AHEAD: usize = 1024 * 1024;

/// The first byte says how the others are put into a store: even as they are, odd with checksums that hold.
fn with_mode(bytes: &[u8], sealed: fn(&[u8]), raw: fn(&[u8])) {
    match bytes.split_first() {
        Some((mode, bytes)) if mode % 2 == 1 => sealed(bytes),
        Some((_, bytes)) => raw(bytes),
        None => {}
    }
}

/// A segment of the log, recovered: as it is, or its entries behind a header, sealed.
pub(crate) fn segment(bytes: &[u8]) {
    with_mode(bytes, store::sealed_segment, store::raw_segment);
}

/// A table, opened and read: as it is, or sealed and described by the manifest as it is.
pub(crate) fn table(bytes: &[u8]) {
    with_mode(bytes, store::sealed_table, store::raw_table);
}

/// A manifest, read alone and beside the files of a store: as it is, or sealed.
pub(crate) fn manifest(bytes: &[u8]) {
    with_mode(bytes, sealed_manifest, raw_manifest);
}

fn sealed_manifest(bytes: &[u8]) {
    raw_manifest(&store::seal_manifest(bytes));
}

fn raw_manifest(bytes: &[u8]) {
    let rewrite = || rewrite_manifest(bytes).ok();
    if let Some(written) = bounded("a manifest", bytes, (64, 5 * LIST_AHEAD), rewrite) {
        let again = rewrite_manifest(&written).expect("what was written is read");
        assert_eq!(again, written, "a manifest changes by being written");
    }
    store::with_manifest(bytes);
}

/// A stream of frames, each a request.
pub(crate) fn request(bytes: &[u8]) {
    frames(bytes, |frame| {
        let Ok(request) = Request::decode(frame, MAX_OPERATIONS) else {
            return;
        };
        let mut written = Vec::new();
        let encoded = request.encode(frame.request_id, LIMIT, &mut written);
        encoded.expect("what came in a frame fits one");
        let (again, used) = frame::decode(&written, LIMIT)
            .expect("a frame")
            .expect("whole");
        assert_eq!(used, written.len());
        assert_eq!(Request::decode(&again, MAX_OPERATIONS), Ok(request));
    });
}

/// A stream of frames, each an answer.
pub(crate) fn response(bytes: &[u8]) {
    frames(bytes, |frame| {
        let Ok(response) = Response::decode(frame) else {
            return;
        };
        let mut written = Vec::new();
        let encoded = response.encode(frame.request_id, LIMIT, &mut written);
        encoded.expect("what came in a frame fits one");
        let (again, used) = frame::decode(&written, LIMIT)
            .expect("a frame")
            .expect("whole");
        assert_eq!(used, written.len());
        assert_eq!(Response::decode(&again), Ok(response));
    });
}

/// Reads frames until there is no whole one; a frame's own bytes are its encoding.
fn frames(bytes: &[u8], each: impl Fn(&Frame<'_>)) {
    bounded("frames", bytes, (64, 64 * 1024), || {
        let mut rest = bytes;
        while let Ok(Some((frame, used))) = frame::decode(rest, LIMIT) {
            let (whole, following) = rest.split_at(used);
            assert_eq!(&whole[HEADER_SIZE..], frame.payload);
            each(&frame);
            rest = following;
        }
    });
}

/// A configuration file.
pub(crate) fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    bounded("a configuration", bytes, (1024, 1024 * 1024), || {
        let source = Source::new(Path::new("atlaskv.toml"), text);
        let config = match Config::parse(&source) {
            Ok(config) => config,
            Err(refusal) => {
                assert!(!refusal.to_string().is_empty());
                return;
            }
        };
        let _refused = config.check(&source, false);
        for (key, _) in config.entries() {
            let _line = source.place_of(&key);
        }
        let written = toml::to_string(&config).expect("a configuration is written");
        let again = Config::parse(&Source::new(Path::new("again.toml"), &written));
        assert_eq!(again.expect("what was written is read"), config);
    });
}

/// Lines of an import, as `export` writes them.
pub(crate) fn import_tsv(bytes: &[u8]) {
    import(false, bytes);
}

/// Lines of an import in JSON.
pub(crate) fn import_jsonl(bytes: &[u8]) {
    import(true, bytes);
}

fn import(is_json: bool, bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let read = || rewrite_line(is_json, line).ok();
        let Some(mut written) = bounded("a line", line, (64, 64 * 1024), read) else {
            continue;
        };
        assert_eq!(written.pop(), Some(b'\n'));
        assert!(!written.contains(&b'\n'), "an entry is one line");
        let mut again = rewrite_line(is_json, &written).expect("what was written is read");
        again.pop();
        assert_eq!(again, written, "a line changes by being written");
    }
}
