//! The machine, as far as it can be looked at without rights: /proc, /sys and systemd.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::files::{self, Space};

/// The most that is read of a file of the kernel's; mount tables are the longest.
const MAX_FILE: usize = 4 * 1024 * 1024;

/// Where to look. Tests look at a prepared tree.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    systemctl: PathBuf,
}

/// Where a directory lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: String,
    pub(super) kind: String,
    /// Options of the mount and of the file system.
    pub(super) options: Vec<String>,
}

/// What systemd says of a unit, by property.
#[derive(Debug, Clone, Default)]
pub(super) struct Unit(BTreeMap<String, String>);

impl Host {
    pub(super) fn here() -> Host {
        Host {
            root: "/".into(),
            systemctl: "systemctl".into(),
        }
    }

    #[cfg(test)]
    pub(super) fn prepared(root: &Path) -> Host {
        Host {
            root: root.to_path_buf(),
            systemctl: root.join("systemctl"),
        }
    }

    /// A text of the kernel's; none when it is not there or not for us.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        files::read_text(&self.root.join(path.trim_start_matches('/')), MAX_FILE).ok()
    }

    /// The value in a table of `name: value` or `name   value`.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        let text = self.read(path)?;
        let found = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(found.trim_start_matches(':').trim().to_owned())
    }

    /// Whether a process runs this program.
    pub(super) fn runs(&self, process: u32, program: &str) -> bool {
        let name = self.read(&format!("/proc/{process}/comm"));
        name.is_some_and(|name| name.trim() == program)
    }

    /// The mount on which a directory lies: the longest point above it, the last where several are.
    pub(super) fn mount_of(&self, dir: &Path) -> Option<Mount> {
        let table = self.read("/proc/self/mountinfo")?;
        let mounts = table.lines().filter_map(Mount::read);
        let above = mounts.filter(|mount| dir.starts_with(&mount.point));
        above.max_by_key(|mount| mount.point.len())
    }

    pub(super) fn space(&self, dir: &Path) -> Option<Space> {
        files::space(dir).ok()
    }

    /// Asks systemd, which answers or gives up by itself; in words why it cannot be asked.
    pub(super) fn unit(&self, name: &str, properties: &[&str]) -> Result<Unit, String> {
        let asked = Command::new(&self.systemctl)
            .args(["show", "--no-pager", "--property"])
            .arg(properties.join(","))
            .args(["--", name])
            .stdin(Stdio::null())
            .output();
        let answered = asked.map_err(|error| format!("systemctl cannot be run: {error}"))?;
        if !answered.status.success() {
            let said = String::from_utf8_lossy(&answered.stderr);
            let said = said.lines().next().unwrap_or("it failed");
            return Err(format!("systemctl: {said}"));
        }
        let text = String::from_utf8_lossy(&answered.stdout);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let unit: BTreeMap<String, String> = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        match unit.get("LoadState").map(String::as_str) {
            Some("not-found") | None => Err(format!("{name} is not installed")),
            Some(_) => Ok(Unit(unit)),
        }
    }
}

impl Mount {
    /// A line of mountinfo: `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/x rw,errors=...`.
    fn read(line: &str) -> Option<Mount> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ');
        let point = unescape(left.nth(4)?);
        let mut right = right.split(' ');
        let kind = right.next()?.to_owned();
        let options = left.next()?.split(',');
        let options = options.chain(right.nth(1).unwrap_or_default().split(','));
        Some(Mount {
            point,
            kind,
            options: options.map(str::to_owned).collect(),
        })
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|found| found == option)
    }
}

/// The kernel writes blanks and the like as `\040`.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        plain.push_str(before);
        let code = behind.get(..3).map(|digits| u8::from_str_radix(digits, 8));
        match (code, behind.get(3..)) {
            (Some(Ok(byte)), Some(after)) => {
                plain.push(char::from(byte));
                rest = after;
            }
            _ => {
                plain.push('\\');
                rest = behind;
            }
        }
    }
    plain + rest
}

impl Unit {
    /// A property; empty when it is not set.
    pub(super) fn get(&self, property: &str) -> &str {
        self.0.get(property).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_lies_on_the_longest_mount_above_it() {
        let line = r"36 35 98:0 / /mnt/a\040b rw,noatime shared:1 - ext4 /dev/sda rw,nobarrier";
        let mount = Mount::read(line).unwrap();
        assert_eq!(
            (mount.point.as_str(), mount.kind.as_str()),
            ("/mnt/a b", "ext4")
        );
        assert!(mount.has("noatime") && mount.has("nobarrier") && !mount.has("ro"));
        assert_eq!(Mount::read("nonsense"), None);
        assert_eq!(unescape(r"a\b\040c\"), "a\\b c\\");
    }
}
