//! config: the configuration in a file, the one in force, and how they differ.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit_code::failure;
use super::{Plane, Result, Session};
use crate::cli::json::{Object, object};
use crate::cli::words::counted;
use crate::cli::{Failure, after_help};
use crate::client::ConfigItem;
use crate::daemon::{self, Flags};
use crate::exit::Exit;

/// Where the packages put it.
const DEFAULT_FILE: &str = "/etc/atlaskv/atlaskv.toml";

/// Check a configuration file, show the configuration in force, or compare the two.
///
/// A file is judged as atlaskvd itself judges it.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl config check\n  atlaskv-ctl config show\n  atlaskv-ctl config diff && echo the file is in force"
))]
pub(super) struct Config {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check a file as atlaskvd --check-config does, and give advice; exit with 2 when it is refused.
    ///
    /// Where the token is a credential of systemd, name its directory in the environment:
    /// CREDENTIALS_DIRECTORY=/run/credentials/atlaskv.service.
    #[command(after_help = after_help("  atlaskv-ctl config check\n  atlaskv-ctl config check ./atlaskv.toml"))]
    Check {
        /// The file.
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Print every key with its value and where that comes from: of the daemon, or of a file.
    #[command(after_help = after_help(
        "  atlaskv-ctl config show\n  atlaskv-ctl config show --file ./atlaskv.toml\n  \
         atlaskv-ctl --format json config show | jq '.config.\"storage.sync\".value'"
    ))]
    Show {
        /// Of this file, and not of the daemon.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print what a reload or a restart with this file would change; exit with 1 when that is something.
    ///
    /// What the daemon was told by flags or by systemd stays, whatever the file says.
    #[command(after_help = after_help("  atlaskv-ctl config diff\n  atlaskv-ctl config diff ./atlaskv.toml"))]
    Diff {
        /// The file.
        #[arg(default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
}

/// A key whose value in a file is not the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) key: String,
    in_force: String,
    in_file: String,
    needs_restart: bool,
}

impl Config {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        match self.verb {
            Verb::Check { file } => check(&file, session),
            Verb::Show { file: Some(file) } => show(&read(&file)?.0, session),
            Verb::Show { file: None } => show(&in_force(session)?, session),
            Verb::Diff { file } => diff(&file, session),
        }
    }
}

/// What a daemon with this file would run with, and what should be mended all the same.
pub(super) fn read(file: &Path) -> Result<(Vec<ConfigItem>, Vec<String>)> {
    let flags = Flags {
        config: Some(file.to_path_buf()),
        // A check: systemd may give the daemon a token that cannot be seen from here.
        check_config: true,
        ..Flags::default()
    };
    daemon::resolve(flags)
        .map_err(|error| Failure::new(Exit::Usage, "invalid-configuration", error.to_string()))
}

fn in_force(session: &Session) -> Result<Vec<ConfigItem>> {
    let mut client = session.connect(Plane::Administration)?;
    client.config().map_err(failure)
}

fn check(file: &Path, session: &mut Session) -> Result<()> {
    let (items, mut advice) = read(file)?;
    advice.extend(advise(&items));
    if session.output.is_json() {
        let file = file.display().to_string();
        let document = object([("file", file.into()), ("advice", advice.into())]);
        return session.output.document(document);
    }
    let line = format!("the configuration {} is valid", file.display());
    session.output.line(&line)?;
    let mut advice = advice.iter();
    advice.try_for_each(|sentence| session.output.line(&format!("advice: {sentence}")))
}

/// What is allowed and yet may not be what was meant.
fn advise(items: &[ConfigItem]) -> Vec<String> {
    let value = |key: &str| {
        let found = items.iter().find(|item| item.key == key);
        found.map_or("", |item| item.value.as_str())
    };
    let mut advice = Vec::new();
    if is_beyond_loopback(value("server.listen")) {
        advice.push(
            "server.listen is beyond loopback: the packaged unit drops packets from other hosts until \
             its drop-in network.conf is installed (atlaskv-ctl doctor looks)"
                .to_owned(),
        );
        let open =
            value("server.token") != "set" && value("server.allow_unauthenticated") == "true";
        advice.push(if open {
            "clients need no token: whoever reaches the port reads and writes everything".to_owned()
        } else {
            "the token and all data go over the network in the clear".to_owned()
        });
    }
    if value("storage.sync") == "os-default" {
        advice.push(
            "storage.sync is os-default: a power cut loses what the operating system has not written, \
             up to half a minute of answered writes"
                .to_owned(),
        );
    }
    advice
}

/// Whether other hosts can reach this address.
pub(super) fn is_beyond_loopback(address: &str) -> bool {
    let address = address.parse::<std::net::SocketAddr>();
    address.is_ok_and(|address| !address.ip().is_loopback())
}

fn show(items: &[ConfigItem], session: &mut Session) -> Result<()> {
    if session.output.is_json() {
        let config: Object = items
            .iter()
            .map(|item| {
                let shown = json!({"value": item.value, "origin": item.origin});
                (item.key.clone(), shown)
            })
            .collect();
        return session.output.document(object([("config", config.into())]));
    }
    let widest = |text: fn(&ConfigItem) -> &str| items.iter().map(|item| text(item).len()).max();
    let key_width = widest(|item| &item.key).unwrap_or(0);
    let value_width = widest(|item| shown(&item.value)).unwrap_or(0);
    items
        .iter()
        .try_for_each(|ConfigItem { key, value, origin }| {
            let value = shown(value);
            let line = format!("{key:<key_width$}  {value:<value_width$}  {origin}");
            session.output.line(&line)
        })
}

fn diff(file: &Path, session: &mut Session) -> Result<()> {
    let differences = differences(&in_force(session)?, &read(file)?.0);
    if !session.output.is_json() {
        for it in &differences {
            let when = if it.needs_restart {
                "restart"
            } else {
                "reload"
            };
            let (key, old, new) = (&it.key, shown(&it.in_force), shown(&it.in_file));
            session
                .output
                .line(&format!("{key}: {old} -> {new} ({when})"))?;
        }
    }
    if differences.is_empty() {
        let document = object([("differences", Value::Array(Vec::new()))]);
        return session.output.result("no difference", document);
    }
    let count = u64::try_from(differences.len()).unwrap_or(u64::MAX);
    let differ = if count == 1 { "differs" } else { "differ" };
    let message = format!(
        "{} {differ} between the file and the daemon",
        counted(count, "key")
    );
    let list: Vec<Value> = differences.iter().map(Difference::json).collect();
    Err(Failure::new(Exit::No, "different", message).with("differences", list))
}

/// A value for people: one that is empty can be seen.
fn shown(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// The keys whose value would be another with the file, if it were read again.
pub(super) fn differences(in_force: &[ConfigItem], in_file: &[ConfigItem]) -> Vec<Difference> {
    let of_file = |key: &str| in_file.iter().find(|item| item.key == key);
    let differs = |item: &&ConfigItem| {
        let stronger = ["flag ", "systemd ", "credential "];
        !stronger.iter().any(|begin| item.origin.starts_with(begin))
    };
    in_force
        .iter()
        .filter(differs)
        .filter_map(|item| {
            let new = of_file(&item.key)?;
            (new.value != item.value).then(|| Difference {
                key: item.key.clone(),
                in_force: item.value.clone(),
                in_file: new.value.clone(),
                needs_restart: daemon::waits_for_restart(&item.key),
            })
        })
        .collect()
}

impl Difference {
    fn json(&self) -> Value {
        json!({
            "key": self.key,
            "in_force": self.in_force,
            "in_file": self.in_file,
            "needs_restart": self.needs_restart,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn item(key: &str, value: &str, origin: &str) -> ConfigItem {
        ConfigItem {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: origin.to_owned(),
        }
    }

    #[test]
    fn what_a_flag_says_is_no_difference() {
        let in_force = [
            item("server.listen", "127.0.0.1:1", "flag --listen"),
            item("server.admin_socket", "/a", "default"),
            item("log.level", "info", "default"),
            item("storage.sync", "interval", "file /a:1"),
        ];
        let in_file = [
            item("server.listen", "127.0.0.1:2", "file /a:1"),
            item("server.admin_socket", "/b", "file /a:2"),
            item("log.level", "debug", "file /a:3"),
            item("storage.sync", "interval", "default"),
        ];
        let found = differences(&in_force, &in_file);
        let found: Vec<(&str, bool)> = found
            .iter()
            .map(|it| (it.key.as_str(), it.needs_restart))
            .collect();
        assert_eq!(found, [("server.admin_socket", true), ("log.level", false)]);
    }

    /// systemd's token is for the daemon alone: without it a file is not wrong.
    #[test]
    fn a_token_that_only_the_daemon_sees_may_be_there() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[server]\nlisten = \"192.0.2.1:1\"\n")
            .unwrap();
        let (items, advice) = read(file.path()).unwrap();
        assert!(advice[0].contains("credential \"token\""), "{advice:?}");
        let advice = advise(&items).join(" ");
        assert!(!advice.contains("no token"), "{advice}");
    }

    #[test]
    fn advice_is_given_for_what_is_open() {
        let open = [
            item("server.listen", "0.0.0.0:1", "default"),
            item("server.token", "none", "default"),
            item("server.allow_unauthenticated", "true", "file /a:1"),
        ];
        let advice = advise(&open).join(" ");
        assert!(
            advice.contains("network.conf") && advice.contains("no token"),
            "{advice}"
        );
        assert!(advise(&[item("server.listen", "[::1]:1", "default")]).is_empty());
    }
}
