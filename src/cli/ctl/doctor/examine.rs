//! What is judged, and how: a function for each subject.

use std::path::PathBuf;

use super::host::{Host, Mount, Unit};
use super::{Patient, Report, Severity};
use crate::cli::ctl::config;
use crate::cli::words::{counted, size};

/// What systemd is asked of the unit.
pub(super) const PROPERTIES: [&str; 10] = [
    "LoadState",
    "ActiveState",
    "MainPID",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "LimitNOFILE",
    "WatchdogUSec",
    "IPAddressDeny",
    "IPAddressAllow",
];

/// File systems whose contents end with the machine's run.
const VOLATILE: [&str; 2] = ["tmpfs", "ramfs"];
/// File systems on another machine: a sync and a lock are as good as that machine keeps them.
const REMOTE: [&str; 8] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "ceph",
    "fuse.glusterfs",
    "fuse.sshfs",
];
/// Options that take the meaning from a sync.
const WITHOUT_BARRIERS: [&str; 2] = ["nobarrier", "barrier=0"];

/// Free space below these parts of a file system, in per cent.
const SCARCE: u64 = 10;
const NEARLY_NONE: u64 = 5;

pub(super) fn examine(patient: &Patient, report: &mut Report) {
    store(patient, report);
    file_system(patient, report);
    space(patient, report);
    open_files(patient, report);
    memory(patient, report);
    configuration(patient, report);
    token(patient, report);
    if let Some(unit) = &patient.unit {
        self::unit(patient, unit, report);
    }
}

fn store(patient: &Patient, report: &mut Report) {
    let Some(figures) = &patient.figures else {
        return;
    };
    if let Some(why) = figures.refuses_writes() {
        let mend = match figures.text("engine.state") {
            "disk-full" => "df -h; writing resumes by itself when there is room".to_owned(),
            _ => format!("systemctl restart {}", patient.unit_name),
        };
        let what = format!("writes are refused: {why}");
        report.add(Severity::Problem, "store", what, mend);
    }
    let files = figures.number("engine.quarantine_files").unwrap_or(0);
    if files > 0 {
        let bytes = size(figures.number("engine.quarantine_bytes").unwrap_or(0));
        let what = format!(
            "{} of {bytes}, which a start has set aside",
            counted(files, "file")
        );
        let mend = "atlaskv-ctl quarantine list; atlaskv-ctl quarantine purge".to_owned();
        report.add(Severity::Warning, "quarantine", what, mend);
    }
    let failures = figures.number("engine.background_failures").unwrap_or(0);
    if failures > 0 {
        let what = format!(
            "flushing or compacting has failed {}",
            counted(failures, "time")
        );
        let mend = format!("journalctl -u {} -p err", patient.unit_name);
        report.add(Severity::Warning, "store", what, mend);
    }
}

fn file_system(patient: &Patient, report: &mut Report) {
    let subject = "file system";
    let Some(dir) = &patient.data_dir else {
        report.unseen(subject, "no data directory found: name it with --data-dir");
        return;
    };
    let Some(mount) = patient.host.mount_of(dir) else {
        report.unseen(subject, "the table of mounts cannot be read");
        return;
    };
    let Mount { point, kind, .. } = &mount;
    let dir = dir.display();
    let kind_is = |names: &[&str]| names.contains(&kind.as_str());
    let move_it = "set data_dir to a directory on a local disk, then restart".to_owned();
    if kind_is(&VOLATILE) {
        let what = format!("{dir} is in memory ({kind}): everything is lost when the machine ends");
        report.add(Severity::Problem, subject, what, move_it);
    } else if kind_is(&REMOTE) {
        let what =
            format!("{dir} is on {kind}: a sync is worth what the other machine makes of it");
        report.add(Severity::Warning, subject, what, move_it);
    } else if kind == "overlay" {
        let what = format!("{dir} is in a container's own layer and ends with the container");
        report.add(
            Severity::Warning,
            subject,
            what,
            "mount a volume there".to_owned(),
        );
    }
    if mount.has("ro") {
        let what = format!("{point} is mounted read-only");
        let mend = format!("mount -o remount,rw {point}");
        report.add(Severity::Problem, subject, what, mend);
    }
    if WITHOUT_BARRIERS.iter().any(|option| mount.has(option)) {
        let what = format!("{point} is mounted without barriers: a power cut loses synced writes");
        let mend = format!("mount -o remount,barrier=1 {point}");
        report.add(Severity::Problem, subject, what, mend);
    }
}

fn space(patient: &Patient, report: &mut Report) {
    let Some(dir) = &patient.data_dir else {
        return;
    };
    let Some(space) = patient.host.space(dir) else {
        report.unseen("space", format!("{} cannot be looked at", dir.display()));
        return;
    };
    let per_cent = u128::from(space.free) * 100 / u128::from(space.total.max(1));
    let tables = patient.figures.as_ref();
    let tables = tables.and_then(|figures| figures.number("engine.table_bytes"));
    let needed = tables.unwrap_or(0);
    let (free, total) = (size(space.free), size(space.total));
    let severity = if per_cent < u128::from(NEARLY_NONE) {
        Severity::Problem
    } else if per_cent < u128::from(SCARCE) || space.free < needed {
        Severity::Warning
    } else {
        return;
    };
    let what = format!(
        "{free} of {total} free; merging all tables takes up to {} for a while",
        size(needed)
    );
    let mend = format!("du -xsh {0}/*; df -h {0}", dir.display());
    report.add(severity, "space", what, mend);
}

fn open_files(patient: &Patient, report: &mut Report) {
    let subject = "open files";
    let wanted: Option<u64> = patient
        .config("server.max_connections")
        .and_then(|value| value.parse().ok());
    let figures = patient.figures.as_ref();
    let granted = figures.and_then(|figures| figures.number("server.max_connections"));
    let limit = patient.process.and_then(|process| {
        let limits = patient
            .host
            .field(&format!("/proc/{process}/limits"), "Max open files");
        limits?.split_whitespace().next()?.parse::<u64>().ok()
    });
    let mend = format!(
        "systemctl edit {0}  # [Service] LimitNOFILE=65536, then: systemctl restart {0}",
        patient.unit_name
    );
    match (wanted, granted, limit) {
        (Some(wanted), Some(granted), _) if granted < wanted => {
            let limit = limit.map_or_else(String::new, |limit| format!(" ({limit} open files)"));
            let what = format!(
                "the process's limits leave room for {granted} connections{limit}, not for \
                 max_connections = {wanted}"
            );
            report.add(Severity::Warning, subject, what, mend);
        }
        (_, Some(granted), Some(limit)) if limit <= granted => {
            let what = format!("the limit is {limit}, with up to {granted} connections");
            report.add(Severity::Warning, subject, what, mend);
        }
        (_, None, None) => report.unseen(subject, "no running daemon found"),
        (_, _, None) => report.unseen(subject, "the daemon's process cannot be found"),
        _ => {}
    }
}

fn memory(patient: &Patient, report: &mut Report) {
    let host = &patient.host;
    match host.read("/proc/sys/vm/overcommit_memory") {
        None => report.unseen("overcommit", "the kernel's settings cannot be read"),
        Some(mode) if mode.trim() == "2" => {
            let what = "the kernel promises no more memory than it has: the stacks of many \
                        connections are refused long before memory is used up";
            let mend = "sysctl -w vm.overcommit_memory=0  # to keep it: /etc/sysctl.d/atlaskv.conf";
            report.add(
                Severity::Warning,
                "overcommit",
                what.to_owned(),
                mend.to_owned(),
            );
        }
        Some(_) => {}
    }
    let pages = host.read("/sys/kernel/mm/transparent_hugepage/enabled");
    if pages.is_some_and(|modes| modes.contains("[always]")) {
        let what = "transparent huge pages are always used: memory may swell, and gathering pages \
                    makes single requests slow";
        let mend = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
        report.add(
            Severity::Note,
            "huge pages",
            what.to_owned(),
            mend.to_owned(),
        );
    }
    let Some(process) = patient.process else {
        return;
    };
    let swapped = host.field(&format!("/proc/{process}/status"), "VmSwap");
    let kilobytes = swapped.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    if let Some(kilobytes) = kilobytes.filter(|kilobytes| *kilobytes > 0) {
        let swappiness = host.read("/proc/sys/vm/swappiness").unwrap_or_default();
        let what = format!(
            "{} of the daemon are swapped out (vm.swappiness = {}): reading them back takes \
             milliseconds",
            size(kilobytes.saturating_mul(1024)),
            swappiness.trim()
        );
        let mend = "sysctl -w vm.swappiness=1  # or MemorySwapMax=0 in the unit".to_owned();
        report.add(Severity::Note, "swap", what, mend);
    }
}

/// A file that says something else than what is in force, or that the daemon would not start with.
fn configuration(patient: &Patient, report: &mut Report) {
    let subject = "configuration";
    let (Some(process), false) = (patient.process, patient.config.is_empty()) else {
        return;
    };
    let Some(file) = config_file(&patient.host, process) else {
        return;
    };
    let shown = file.display();
    let read = config::read(&file);
    match read {
        Err(failure) if failure.message.starts_with("cannot read") => {
            report.unseen(subject, failure.message);
        }
        Err(failure) => {
            let what = format!("the daemon would not start again: {}", failure.message);
            let mend = format!("atlaskv-ctl config check {shown}");
            report.add(Severity::Problem, subject, what, mend);
        }
        Ok((in_file, _)) => {
            let found = config::differences(&patient.config, &in_file);
            let keys: Vec<String> = found.into_iter().map(|it| it.key).collect();
            if !keys.is_empty() {
                let what = format!("{shown} is not in force: {}", keys.join(", "));
                let mend = format!(
                    "atlaskv-ctl config diff {shown}; systemctl reload {}",
                    patient.unit_name
                );
                report.add(Severity::Warning, subject, what, mend);
            }
        }
    }
}

/// A token that was written or changed since the start: systemd hands it over then only, so whoever
/// reloads may believe that it is wanted. Root alone sees both.
fn token(patient: &Patient, report: &mut Report) {
    let name = &patient.unit_name;
    let base = name.trim_end_matches(".service");
    let file = match base.split_once('@') {
        Some((_, instance)) => format!("/etc/atlaskv/{instance}.token"),
        None => "/etc/atlaskv/token".to_owned(),
    };
    let handed_over = format!("/run/credentials/{name}/token");
    let [file_says, in_force] = [&file, &handed_over].map(|path| patient.host.read(path));
    let (Some(file_says), Some(in_force)) = (file_says, in_force) else {
        return;
    };
    if file_says.trim_end() != in_force.trim_end() {
        let what = format!("{file} is not in force: systemd hands a token over at a start only");
        let mend = format!("systemctl restart {name}");
        report.add(Severity::Warning, "token", what, mend);
    }
}

/// The file that a process was given with --config.
fn config_file(host: &Host, process: u32) -> Option<PathBuf> {
    let line = host.read(&format!("/proc/{process}/cmdline"))?;
    let mut words = line.split('\0');
    while let Some(word) = words.next() {
        match word.strip_prefix("--config") {
            Some("") => return words.next().map(PathBuf::from),
            Some(rest) if rest.starts_with('=') => return rest.get(1..).map(PathBuf::from),
            _ => {}
        }
    }
    None
}

fn unit(patient: &Patient, unit: &Unit, report: &mut Report) {
    let (name, subject) = (&patient.unit_name, "unit");
    let restart = format!("systemctl daemon-reload && systemctl restart {name}");
    match unit.get("ActiveState") {
        "failed" => {
            let what = format!("{name} has failed");
            let mend = format!("systemctl status {name}; journalctl -x -u {name} -e");
            report.add(Severity::Problem, subject, what, mend);
        }
        "inactive" => {
            let what = format!("{name} is not started");
            let mend = format!("systemctl start {name}");
            report.add(Severity::Warning, subject, what, mend);
        }
        _ => {}
    }
    if unit.get("NeedDaemonReload") == "yes" {
        let what = format!("{name} was changed on disk, and systemd has not read it again");
        report.add(Severity::Warning, subject, what, restart.clone());
    }
    let fragment = unit.get("FragmentPath");
    if fragment.starts_with("/etc/") {
        let what = format!("{fragment} stands in for the packaged unit: upgrades do not reach it");
        let mend = format!("systemd-delta --type=overridden; systemctl revert {name}");
        report.add(Severity::Warning, subject, what, mend);
    }
    let drop_ins = unit.get("DropInPaths");
    if !drop_ins.is_empty() {
        let what = format!("it is changed by {drop_ins}");
        report.add(
            Severity::Note,
            subject,
            what,
            format!("systemctl cat {name}"),
        );
    }
    if unit.get("WatchdogUSec") == "0" {
        let what = "the watchdog is off: a daemon that hangs is not restarted".to_owned();
        let mend = format!("systemctl edit {name}  # [Service] WatchdogSec=30, then: {restart}");
        report.add(Severity::Warning, subject, what, mend);
    }
    limit_of_unit(patient, unit, report);
    addresses(patient, unit, &restart, report);
}

fn limit_of_unit(patient: &Patient, unit: &Unit, report: &mut Report) {
    let wanted = patient.config("server.max_connections");
    let wanted = wanted.and_then(|value| value.parse::<u64>().ok());
    let limit = unit.get("LimitNOFILE").parse::<u64>().ok();
    if let (Some(wanted), Some(limit)) = (wanted, limit)
        && limit <= wanted
    {
        let name = &patient.unit_name;
        let what = format!("LimitNOFILE={limit} does not suffice for max_connections = {wanted}");
        let mend = format!(
            "systemctl edit {name}  # [Service] LimitNOFILE={}, then: systemctl restart {name}",
            wanted.saturating_mul(2).max(65_536)
        );
        report.add(Severity::Warning, "unit", what, mend);
    }
}

/// A unit that drops packets from other hosts, and a daemon that listens to them.
fn addresses(patient: &Patient, unit: &Unit, restart: &str, report: &mut Report) {
    let Some(listen) = patient.config("server.listen") else {
        return;
    };
    let denies = unit.get("IPAddressDeny").contains("/0");
    let allowed = unit.get("IPAddressAllow").split_whitespace();
    let only_local = allowed.into_iter().all(|range| {
        let local = ["127.", "::1", "localhost"];
        local.iter().any(|begin| range.starts_with(begin))
    });
    if config::is_beyond_loopback(listen) && denies && only_local {
        let what = format!(
            "the daemon listens on {listen}, and IPAddressDeny= drops packets from other hosts"
        );
        let mend = format!(
            "install -D -m 0644 /usr/share/doc/atlaskv/examples/network.conf \
             /etc/systemd/system/{}.d/network.conf && {restart}",
            patient.unit_name
        );
        report.add(Severity::Warning, "unit", what, mend);
    }
}
