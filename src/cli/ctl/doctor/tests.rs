//! The doctor before prepared machines.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare files as they like"
)]

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::host::Host;
use super::*;
use crate::client::StatValue;

/// A machine on which nothing is to be found, and a store that is well.
struct Machine {
    root: TempDir,
    figures: Vec<(&'static str, StatValue)>,
    config: Vec<(&'static str, String)>,
}

const UNIT: &str = "LoadState=loaded\nActiveState=active\nMainPID=42\n\
    FragmentPath=/lib/systemd/system/atlaskv.service\nDropInPaths=\nNeedDaemonReload=no\n\
    LimitNOFILE=65536\nWatchdogUSec=30s\nIPAddressDeny=::/0 0.0.0.0/0\n\
    IPAddressAllow=127.0.0.0/8 ::1/128\n";

impl Machine {
    fn new() -> Machine {
        let machine = Machine {
            root: tempfile::tempdir().unwrap(),
            figures: vec![
                ("engine.state", StatValue::Text("running".to_owned())),
                ("server.max_connections", StatValue::Number(1024)),
            ],
            config: vec![
                ("server.max_connections", "1024".to_owned()),
                ("server.listen", "127.0.0.1:7390".to_owned()),
            ],
        };
        machine.file(
            "proc/self/mountinfo",
            "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n",
        );
        machine.file("proc/sys/vm/overcommit_memory", "0\n");
        machine.file("proc/sys/vm/swappiness", "60\n");
        machine.file(
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never\n",
        );
        machine.file("proc/42/comm", "atlaskvd\n");
        machine.file("proc/42/status", "Name:\tatlaskvd\nVmSwap:\t       0 kB\n");
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files   65536   65536   files\n";
        machine.file("proc/42/limits", limits);
        machine.unit(UNIT);
        machine
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What systemctl says. Another process writes the script: a child that another test forks meanwhile would share
    /// our open file, and what is open for writing cannot be run.
    fn unit(&self, text: &str) {
        self.file("script", &format!("#!/bin/sh\ncat <<'END'\n{text}END\n"));
        let copied = Command::new("install")
            .args(["-m", "0755", "script", "systemctl"])
            .current_dir(self.root.path())
            .status();
        assert!(copied.unwrap().success());
    }

    fn report(&self) -> Report {
        let host = Host::prepared(self.root.path());
        let mut report = Report::default();
        let unit = host.unit("atlaskv.service", &examine::PROPERTIES);
        let config = self.config.iter().map(|(key, value)| ConfigItem {
            key: (*key).to_owned(),
            value: value.clone(),
            origin: "default".to_owned(),
        });
        let mut patient = Patient {
            unit: unit.map_err(|why| report.unseen("unit", why)).ok(),
            host,
            unit_name: "atlaskv.service".to_owned(),
            process: None,
            figures: Some(Figures::of(&self.figures)),
            config: config.collect(),
            data_dir: Some(self.root.path().to_path_buf()),
        };
        patient.process = patient.find_process();
        examine::examine(&patient, &mut report);
        // The space of the machine that runs the tests is its own affair.
        report.findings.retain(|finding| finding.subject != "space");
        report
    }

    /// The one finding there is.
    fn finding(&self) -> Finding {
        let report = self.report();
        assert_eq!(report.findings.len(), 1, "{report:?}");
        report.findings[0].clone()
    }
}

#[test]
fn nothing_is_found_where_everything_is_well() {
    let report = Machine::new().report();
    assert_eq!((report.findings, report.unseen), (vec![], vec![]));
}

#[test]
fn what_the_store_lies_on_is_looked_at() {
    for (line, severity, what) in [
        ("tmpfs tmpfs rw", Severity::Problem, "in memory"),
        ("nfs4 a:/b rw", Severity::Warning, "the other machine"),
        ("overlay overlay rw", Severity::Warning, "container"),
        ("ext4 /dev/sda1 ro", Severity::Problem, "read-only"),
        (
            "ext4 /dev/sda1 rw,nobarrier",
            Severity::Problem,
            "without barriers",
        ),
    ] {
        let machine = Machine::new();
        let table = format!(
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:1 / {} rw - {line}\n",
            machine.root.path().canonicalize().unwrap().display()
        );
        machine.file("proc/self/mountinfo", &table);
        let finding = machine.finding();
        assert_eq!(
            (finding.severity, finding.subject),
            (severity, "file system")
        );
        assert!(finding.what.contains(what), "{finding:?}");
    }
}

#[test]
fn limits_that_are_too_low_are_found() {
    let mut machine = Machine::new();
    machine.figures[1].1 = StatValue::Number(100);
    machine.file("proc/42/limits", "Max open files   256   256   files\n");
    let finding = machine.finding();
    assert_eq!(finding.subject, "open files");
    assert!(
        finding
            .what
            .contains("100 connections (256 open files), not for max_connections = 1024")
    );
    assert!(finding.mend.contains("LimitNOFILE="), "{finding:?}");

    // Of another program's process nothing is said.
    machine.file("proc/42/comm", "other\n");
    machine.figures[1].1 = StatValue::Number(1024);
    let report = machine.report();
    assert_eq!(report.unseen[0].0, "open files", "{report:?}");
}

#[test]
fn memory_settings_are_found() {
    let machine = Machine::new();
    machine.file("proc/sys/vm/overcommit_memory", "2\n");
    assert_eq!(machine.finding().severity, Severity::Warning);

    let machine = Machine::new();
    machine.file(
        "sys/kernel/mm/transparent_hugepage/enabled",
        "[always] madvise never\n",
    );
    assert_eq!(machine.finding().severity, Severity::Note);

    let machine = Machine::new();
    machine.file("proc/42/status", "VmSwap:\t    2048 kB\n");
    let what = machine.finding().what;
    assert!(
        what.contains("2.0 MiB") && what.contains("swappiness = 60"),
        "{what}"
    );
}

#[test]
fn a_unit_that_drifts_is_found() {
    for (from, to, what, mend) in [
        ("=active", "=failed", "has failed", "journalctl"),
        ("=active", "=inactive", "is not started", "systemctl start"),
        (
            "NeedDaemonReload=no",
            "NeedDaemonReload=yes",
            "changed on disk",
            "daemon-reload",
        ),
        (
            "WatchdogUSec=30s",
            "WatchdogUSec=0",
            "watchdog",
            "WatchdogSec=30",
        ),
        (
            "LimitNOFILE=65536",
            "LimitNOFILE=1024",
            "LimitNOFILE=1024",
            "LimitNOFILE=65536",
        ),
        (
            "/lib/systemd/system/",
            "/etc/systemd/system/",
            "packaged unit",
            "revert",
        ),
        (
            "DropInPaths=",
            "DropInPaths=/etc/x.conf",
            "/etc/x.conf",
            "systemctl cat",
        ),
    ] {
        let machine = Machine::new();
        machine.unit(&UNIT.replace(from, to));
        let finding = machine.finding();
        assert_eq!(finding.subject, "unit");
        assert!(finding.what.contains(what), "{finding:?}");
        assert!(finding.mend.contains(mend), "{finding:?}");
    }
}

#[test]
fn a_token_that_is_not_in_force_is_found() {
    let machine = Machine::new();
    machine.file("etc/atlaskv/token", "a new one\n");
    assert_eq!(machine.report().findings, []);
    machine.file("run/credentials/atlaskv.service/token", "none");
    let finding = machine.finding();
    assert_eq!(finding.subject, "token");
    assert_eq!(finding.mend, "systemctl restart atlaskv.service");
    assert!(!finding.what.contains("a new one"), "{finding:?}");
    machine.file("run/credentials/atlaskv.service/token", "a new one\n");
    assert_eq!(machine.report().findings, []);
}

#[test]
fn packets_that_are_dropped_are_found() {
    let mut machine = Machine::new();
    machine.config[1].1 = "0.0.0.0:7390".to_owned();
    let finding = machine.finding();
    assert!(finding.what.contains("IPAddressDeny"), "{finding:?}");
    assert!(finding.mend.contains("network.conf"), "{finding:?}");
    machine.unit(&UNIT.replace("127.0.0.0/8", "10.0.0.0/8"));
    assert_eq!(machine.report().findings, []);
}

#[test]
fn a_store_in_trouble_is_found() {
    let mut machine = Machine::new();
    machine.figures[0].1 = StatValue::Text("read-only".to_owned());
    assert_eq!(machine.finding().severity, Severity::Problem);
    let mut machine = Machine::new();
    machine
        .figures
        .push(("engine.quarantine_files", StatValue::Number(1)));
    let finding = machine.finding();
    assert!(finding.what.starts_with("1 file of 0 B"), "{finding:?}");
}

#[test]
fn without_systemd_it_says_so() {
    let machine = Machine::new();
    fs::remove_file(machine.root.path().join("systemctl")).unwrap();
    let report = machine.report();
    assert_eq!(report.unseen[0].0, "unit", "{report:?}");
    let machine = Machine::new();
    machine.unit("LoadState=not-found\n");
    let unseen = machine.report().unseen;
    assert!(unseen[0].1.contains("is not installed"), "{unseen:?}");
    // The process is then found by the lock of the data directory.
    machine.file("LOCK", "42 atlaskvd\n");
    assert_eq!(machine.report().unseen.len(), 1);
}
