//! Keys and values: what goes in comes out.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Daemon, ctl, lsns_in, run};

#[test]
fn wrong_use_is_2() {
    let daemon = Daemon::start();
    for arguments in [
        &[][..],
        &["gte"],
        &["get"],
        &["get", ""],
        &["get", "--hex", "0"],
        &["put", "k"],
        &["cas", "k", "v"],
        &["cas", "k", "--if-absent"],
        &["scan", "--limit", "0"],
        &["sync", "1/999"],
        &["sync", "later"],
        &["--timeout", "0", "ping"],
        &["--format", "xml", "ping"],
        &["--format", "json", "get", "--raw", "k"],
        &["batch"],
    ] {
        let run = daemon.run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {run:?}");
    }
}

#[test]
fn values_are_bytes() {
    let daemon = Daemon::start();
    let value: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    let put = daemon.run_with(&["put", "bytes", "-"], &value);
    assert_eq!(put.code, 0, "{put:?}");
    assert_eq!(daemon.run(&["get", "--raw", "bytes"]).stdout, value);
    let with_line_end = [&value[..], b"\n"].concat();
    assert_eq!(daemon.run(&["get", "bytes"]).stdout, with_line_end);
    daemon.well(&["put", "empty", ""]);
    assert_eq!(daemon.well(&["get", "empty"]), "\n");
    assert_eq!(daemon.well(&["get", "--raw", "empty"]), "");
    daemon.well(&["put", "number", "-5"]);
    daemon.well(&["put", "--", "--key", "--value"]);
    assert_eq!(daemon.well(&["get", "--", "--key"]), "--value\n");
    assert_eq!(daemon.well(&["get", "number"]), "-5\n");
}

#[test]
fn a_value_over_the_limit_is_refused() {
    let daemon = Daemon::start();
    let run = daemon.run_with(&["put", "k", "-"], &vec![0; (16 << 20) + 1]);
    assert_eq!(run.code, 8, "{run:?}");
    assert!(run.stderr.contains("max_value_size"), "{run:?}");
    assert_eq!(daemon.run(&["exists", "k"]).code, 1);
    daemon.well(&["ping"]);
}

#[test]
fn scans_cover_what_is_asked() {
    let daemon = Daemon::start();
    for key in ["a", "b:1", "b:2", "c"] {
        daemon.well(&["put", key, "v"]);
    }
    let keys = |arguments: &[&str]| {
        let printed = daemon.well(&[&["scan"], arguments].concat());
        printed.replace("\tv\n", " ").trim_end().to_owned()
    };
    assert_eq!(keys(&[]), "a b:1 b:2 c");
    assert_eq!(keys(&["--prefix", "b:"]), "b:1 b:2");
    assert_eq!(keys(&["--from", "b:1", "--to", "c"]), "b:1 b:2");
    assert_eq!(keys(&["--limit", "2", "--reverse"]), "c b:2");
    assert_eq!(keys(&["--prefix", "x"]), "");
    assert_eq!(daemon.well(&["scan", "--hex", "--from", "63"]), "63\t76\n");
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let daemon = Daemon::start();
    let well = daemon.run_with(&["batch"], b"put\ta\t1\nput\tb\\t\t2\ndelete\ta\n");
    assert_eq!(lsns_in(&well.well()).len(), 1);
    assert_eq!(daemon.well(&["scan"]), "b\\t\t2\n");
    let bad = daemon.run_with(&["batch"], b"put\tc\t3\nput\td\n");
    assert_eq!(bad.code, 2);
    assert!(bad.stderr.contains("line 2 of standard input"), "{bad:?}");
    assert_eq!(daemon.run(&["exists", "c"]).code, 1);
}

/// Entries with every byte, keys in order, as both formats write them.
fn entries() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = (0..5000_u32)
        .map(|number| {
            let byte = number.to_le_bytes()[0];
            let key = [&[byte][..], number.to_string().as_bytes()].concat();
            let value = vec![byte; number as usize % 300];
            (key, value)
        })
        .collect();
    entries.sort();
    entries
}

#[test]
fn what_is_exported_can_be_imported_byte_for_byte() {
    let daemon = Daemon::start();
    let mut tsv = Vec::new();
    for (key, value) in entries() {
        atlaskv::cli::escape::write(&mut tsv, &key).unwrap();
        tsv.push(b'\t');
        atlaskv::cli::escape::write(&mut tsv, &value).unwrap();
        tsv.push(b'\n');
    }
    fs::write(daemon.path("in.tsv"), &tsv).unwrap();
    let imported = daemon.well(&["import", "in.tsv"]);
    assert!(imported.starts_with("imported 5000 entries, durable up to LSN 1/"));
    let exported = daemon.well(&["export", "out.tsv"]);
    assert!(exported.starts_with("exported 5000 entries as of LSN 1/"));
    assert!(fs::read(daemon.path("out.tsv")).unwrap() == tsv);
    assert!(daemon.run(&["export", "-"]).stdout == tsv);
    assert!(daemon.run(&["scan"]).stdout == tsv);
    daemon.well(&["export", "out.jsonl"]);

    let other = Daemon::start();
    let jsonl = fs::read(daemon.path("out.jsonl")).unwrap();
    assert_eq!(jsonl.iter().filter(|byte| **byte == b'\n').count(), 5000);
    let run = other.run_with(&["import", "--input-format", "jsonl", "-"], &jsonl);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(other.run(&["export", "-"]).stdout == tsv);
}

#[test]
fn an_import_that_fails_says_how_far_it_came() {
    let daemon = Daemon::start();
    let mut lines: Vec<u8> = (1..=2000)
        .flat_map(|n| format!("k{n}\tv\n").into_bytes())
        .collect();
    lines.extend_from_slice(b"k2001 v\nk2002\tv\n");
    fs::write(daemon.path("in.tsv"), &lines).unwrap();
    let run = daemon.run(&["import", "in.tsv"]);
    assert_eq!(run.code, 2, "{run:?}");
    for said in ["line 2001 of in.tsv: no tab", "durable (2000)"] {
        assert!(run.stderr.contains(said), "{run:?}");
    }
    assert_eq!(
        daemon
            .run(&["export", "-"])
            .stdout
            .split(|b| *b == b'\n')
            .count(),
        2001
    );

    let large = [b"a\t1\nb\t".as_slice(), &vec![b'x'; 70_000], b"\n"].concat();
    let swapped = [b"a\t1\n".as_slice(), &vec![b'x'; 70_000], b"\t1\nc\t1\n"].concat();
    assert_eq!(daemon.run_with(&["import", "-"], &large).code, 0);
    let run = daemon.run_with(&["--format", "json", "import", "-"], &swapped);
    let document = run.document();
    assert_eq!(run.code, 8, "{document}");
    assert_eq!(document["error"]["code"], "key-too-large");
    assert_eq!(
        (
            &document["line"],
            &document["acknowledged"],
            &document["durable"]
        ),
        (&2.into(), &1.into(), &true.into())
    );
}

#[test]
fn an_export_that_fails_leaves_what_was_there() {
    let daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    fs::write(daemon.path("out"), "old").unwrap();
    let mut nobody = ctl(&["export", "out"]);
    nobody
        .env("ATLASKV_SOCKET", daemon.path("none.sock"))
        .current_dir(daemon.home.path());
    assert_eq!(run(nobody, b"").code, 5);
    assert_eq!(fs::read(daemon.path("out")).unwrap(), b"old");
    let run = daemon.run(&["export", "no/such/dir"]);
    assert_eq!(run.code, 6, "{run:?}");
    daemon.well(&["export", "out"]);
    assert_eq!(fs::read(daemon.path("out")).unwrap(), b"k\tv\n");
    assert_eq!(fs::read_dir(daemon.home.path()).unwrap().count(), 2);
}

#[test]
fn a_reader_that_goes_away_ends_a_scan_quietly() {
    let daemon = Daemon::start();
    for _ in 0..4 {
        let lines = (0..100).map(|n| format!("k{n}\t{}\n", "v".repeat(10_000)));
        let lines: String = lines.collect();
        daemon.run_with(&["import", "-"], lines.as_bytes()).well();
    }
    for arguments in [
        &["scan"][..],
        &["--format", "json", "scan"],
        &["export", "-"],
    ] {
        let mut child = daemon
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut some = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(output.stderr, b"", "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_6() {
    let daemon = Daemon::start();
    daemon.well(&["put", "k", "v"]);
    for arguments in [&["get", "k"][..], &["scan"], &["--format", "json", "stats"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = daemon.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
}

#[test]
fn the_daemon_is_found_by_flag_environment_and_default() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let socket = socket.to_str().unwrap();
    let here = |arguments: &[&str]| {
        let mut command = ctl(arguments);
        command.current_dir(daemon.home.path());
        command
    };
    let address = daemon.address.as_str();
    assert_eq!(run(here(&["--addr", address, "ping"]), b"").code, 0);
    assert_eq!(
        run(here(&["--socket", socket, "put", "k", "v"]), b"").code,
        0
    );
    assert_eq!(run(here(&["--socket", socket, "flush"]), b"").code, 0);
    let wrong = run(here(&["--addr", address, "flush"]), b"");
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("--socket"), "{wrong:?}");
    let mut by_environment = here(&["ping"]);
    by_environment.env("ATLASKV_SOCKET", socket);
    assert_eq!(run(by_environment, b"").code, 0);
    // A daemon that runs as a service would be found first.
    if !Path::new("/run/atlaskv/atlaskv.sock").exists() {
        assert_eq!(run(here(&["flush"]), b"").well(), "flushed\n");
    }
}

#[test]
fn administration_shows_in_the_figures() {
    let daemon = Daemon::start();
    for round in 0..3 {
        daemon.well(&["put", "k", &format!("v{round}")]);
        daemon.well(&["flush"]);
    }
    let stats = |name: &str| {
        let document = daemon.run(&["--format", "json", "stats"]).document();
        document["stats"][name].clone()
    };
    assert_eq!(stats("engine.state"), "running");
    assert_eq!(lsns_in(stats("engine.last_lsn").as_str().unwrap()).len(), 1);
    let report = daemon.run(&["--format", "json", "compact"]).document();
    assert_eq!(
        (&report["tables_after"], &report["entries_after"]),
        (&1.into(), &1.into())
    );
    assert_eq!(stats("engine.tables"), 1);
    let human = daemon.well(&["stats"]);
    let tables = human
        .lines()
        .find(|line| line.starts_with("engine.tables "));
    assert_eq!(
        tables.and_then(|line| line.split_whitespace().nth(1)),
        Some("1")
    );
    assert_eq!(lsns_in(&daemon.well(&["sync", "1/2"])).len(), 1);
    assert_eq!(daemon.well(&["quarantine", "purge"]), "");
}
