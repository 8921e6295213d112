//! What a run leaves: the machine, the settings and every value.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bars::BARS;
use crate::plan::Plan;
use crate::samples::Samples;
use crate::servers;

/// `TMPFS_MAGIC`: a file system in memory, where a sync does nothing.
const TMPFS: i64 = 0x0102_1994;
/// The versions of the peers stand there.
const LOCK: &str = include_str!("../Cargo.lock");

/// One run, or several put together.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    /// How each run was made, a line each.
    pub(crate) runs: Vec<String>,
    pub(crate) samples: Samples,
}

impl Document {
    /// # Errors
    /// Where a sync costs nothing there is nothing to measure.
    pub(crate) fn begin(plan: &Plan) -> io::Result<Document> {
        if rustix::fs::statfs(&plan.home)?.f_type == TMPFS {
            let home = plan.home.display();
            let why = format!(
                "{home} is in memory (tmpfs), where syncs cost nothing: --dir says where else"
            );
            return Err(io::Error::other(why));
        }
        let run = format!(
            "{}; {}; {}; load before: {}",
            plan.line(),
            machine(),
            versions(),
            load()
        );
        plan.tell(&run);
        Ok(Document {
            runs: vec![run],
            samples: Samples::default(),
        })
    }

    /// Notes what else the machine had to do.
    pub(crate) fn end(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.push_str(&format!(", after: {}", load()));
        }
    }

    /// Reads documents and puts them together. Rounds stay those of their run, for ratios are within a round.
    pub(crate) fn read(files: &[PathBuf]) -> io::Result<Document> {
        let mut whole = Document {
            runs: Vec::new(),
            samples: Samples::default(),
        };
        for file in files {
            let text = std::fs::read_to_string(file)
                .map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
            let mut one: Document = serde_json::from_str(&text)?;
            let last = whole.samples.0.iter().map(|sample| sample.round + 1).max();
            for sample in &mut one.samples.0 {
                sample.round += last.unwrap_or(0);
            }
            whole.samples.0.append(&mut one.samples.0);
            whole.runs.append(&mut one.runs);
        }
        Ok(whole)
    }

    /// One JSON document: every value, and the bars.
    pub(crate) fn json(&self) -> String {
        let bars = BARS.iter().filter_map(|bar| {
            let measured = bar.measured(&self.samples)?;
            Some(json!({
                "figure": bar.figure, "title": bar.title, "peer": bar.peer(), "at_least": bar.least,
                "aim": bar.aim, "ratio": measured.ratio, "met": measured.verdict,
            }))
        });
        let bars: Vec<_> = bars.collect();
        let document = json!({"runs": self.runs, "bars": bars, "samples": self.samples});
        format!("{document:#}")
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let memory = read("/proc/meminfo");
    let kib = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok());
    let gib = kib.unwrap_or(0_u64) >> 20;
    format!("{cores} cores, {gib} GiB, Linux {}", kernel.trim())
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

fn versions() -> String {
    let mut git = Command::new("git");
    git.args([
        "-C",
        env!("CARGO_MANIFEST_DIR"),
        "rev-parse",
        "--short=10",
        "HEAD",
    ]);
    let commit = git.output().ok().filter(|output| output.status.success());
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let commit = commit.unwrap_or_else(|| "of an unknown commit".to_owned());
    let mut versions = vec![format!("AtlasKV {commit}")];
    for name in ["rocksdb", "fjall"] {
        let version = locked(name).unwrap_or("unknown");
        versions.push(format!("{name} {version}"));
    }
    let redis = servers::redis_version().unwrap_or_else(|| "not installed".to_owned());
    versions.push(format!("redis {redis}"));
    versions.join(", ")
}

/// The version of a crate in the lock file.
fn locked(name: &str) -> Option<&'static str> {
    let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    rest.split('"').next()
}
