//! The configuration as it holds for this process, and where each value came from.
//!
//! What wins over what, the strongest first: a socket that systemd handed over, a flag, the file, the
//! default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::Flags;
use super::token;
use crate::config::{Config, ConfigError, Source};
use crate::protocol::{ConfigItem, ReloadReport, Token};

/// Where the daemon keeps its data when it is told nothing at all.
const EMBEDDED_DATA_DIR: &str = "./atlaskv-data";
/// The key under which the token is listed, never with its value.
const TOKEN: &str = "server.token";

/// How this process was started: what stays the same when the file is read again.
#[derive(Debug, Clone, Default)]
pub(super) struct Launch {
    /// The command line.
    pub(super) flags: Flags,
    /// The address of an inherited TCP socket.
    pub(super) listen: Option<SocketAddr>,
    /// The path of an inherited admin socket.
    pub(super) admin_socket: Option<PathBuf>,
    /// systemd's directory of credentials.
    pub(super) credentials: Option<PathBuf>,
}

/// A configuration, checked, with what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Effective {
    pub(super) config: Config,
    /// What TCP clients must present.
    pub(super) token: Option<Token>,
    /// What an administrator should mend, a sentence each.
    pub(super) warnings: Vec<String>,
    /// Every key with its value in force.
    items: Vec<ConfigItem>,
}

impl Launch {
    /// Reads the file and the token, and joins them with flags and inherited sockets.
    ///
    /// # Errors
    /// [`ConfigError`], with file, line, column and key.
    pub(super) fn resolve(&self) -> Result<Effective, ConfigError> {
        let flags = &self.flags;
        let (mut config, source) = match &flags.config {
            Some(path) => Config::load(path)?,
            None => {
                let data_dir = flags.data_dir.as_deref();
                let data_dir = data_dir.unwrap_or(Path::new(EMBEDDED_DATA_DIR));
                (Config::embedded(data_dir), Source::default())
            }
        };
        let mut origins = flags.apply(&mut config);
        let mut warnings = self.inherit(&mut config, &source, &mut origins);
        let found = token::find(&config.server.token_file, self.credentials.as_deref())?;
        let unseen = self.may_have_credential(&found.origin);
        config.check(&source, found.token.is_some() || unseen)?;
        if unseen && config.check(&source, false).is_err() {
            warnings.push(format!(
                "{} is beyond loopback: the daemon starts only if systemd gives it the credential \"token\", \
                 which cannot be seen from here",
                config.server.listen
            ));
        }

        let mut items = items(&config, &source, &origins);
        let set = if found.token.is_some() { "set" } else { "none" };
        items.push(item(TOKEN, set, found.origin.to_string()));
        Ok(Effective {
            config,
            token: found.token,
            warnings: warnings.into_iter().chain(found.warning).collect(),
            items,
        })
    }

    /// Whether the daemon may have a token that a check does not see: systemd names the directory of
    /// credentials to the process that checks before a reload, but shows it only to the one that serves.
    fn may_have_credential(&self, origin: &token::Origin) -> bool {
        self.flags.check_config && *origin == token::Origin::Nowhere
    }

    /// Puts inherited sockets over a configuration; what was configured otherwise, and is not used.
    fn inherit(&self, config: &mut Config, source: &Source, origins: &mut Origins) -> Vec<String> {
        let mut unused = Vec::new();
        let mut over = |key: &'static str, configured: String, inherited: String| {
            let is_set =
                source.place_of(key).is_some() || origins.iter().any(|(name, _)| *name == key);
            if is_set && configured != inherited {
                unused.push(format!(
                    "{key} = {configured:?} is not used: systemd handed over a socket, {inherited}"
                ));
            }
            origins.push((key, "systemd socket".to_owned()));
        };
        if let Some(listen) = self.listen {
            let configured = config.server.listen.to_string();
            over("server.listen", configured, listen.to_string());
            config.server.listen = listen;
        }
        if let Some(path) = &self.admin_socket {
            let configured = config.server.admin_socket.display().to_string();
            over(
                "server.admin_socket",
                configured,
                path.display().to_string(),
            );
            config.server.admin_socket.clone_from(path);
        }
        unused
    }
}

/// Which keys something stronger than the file has set, and what that is; the last of one key holds.
type Origins = Vec<(&'static str, String)>;

/// Every key of the configuration; of several origins the last holds.
fn items(config: &Config, source: &Source, origins: &[(&str, String)]) -> Vec<ConfigItem> {
    let origin = |key: &str| {
        let stronger = origins.iter().rev().find(|(name, _)| *name == key);
        match (stronger, source.place_of(key)) {
            (Some((_, origin)), _) => origin.clone(),
            (None, Some(place)) => format!("file {place}"),
            (None, None) => "default".to_owned(),
        }
    };
    let entries = config.entries().into_iter();
    entries
        .map(|(key, value)| item(&key, &value, origin(&key)))
        .collect()
}

fn item(key: &str, value: &str, origin: String) -> ConfigItem {
    ConfigItem {
        key: key.to_owned(),
        value: value.to_owned(),
        origin,
    }
}

impl Effective {
    /// Every key with its value in force.
    pub(super) fn items(&self) -> &[ConfigItem] {
        &self.items
    }

    /// Checks it once more for a daemon that goes on listening on `listen`: a token that only another
    /// address can do without must not go before that address is in force.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub(super) fn check_at(&self, listen: SocketAddr) -> Result<(), String> {
        let mut config = self.config.clone();
        config.server.listen = listen;
        let checked = config.check(&Source::default(), self.token.is_some());
        checked.map_err(|error| {
            format!("{error}; another address is in force only after a restart, so restart instead")
        })
    }

    /// Takes over a newer configuration, whose values are in force but for the keys of which
    /// `needs_restart` says otherwise.
    pub(super) fn adopt(
        &mut self,
        newer: Effective,
        needs_restart: impl Fn(&str) -> bool,
    ) -> ReloadReport {
        let mut report = ReloadReport::default();
        let new_token = self.token != newer.token;
        let older = std::mem::replace(self, newer);
        for item in &mut self.items {
            let before = older.items.iter().find(|old| old.key == item.key);
            let Some(before) = before else { continue };
            if before.value == item.value && !(item.key == TOKEN && new_token) {
                continue;
            }
            if needs_restart(&item.key) {
                report.needs_restart.push(item.key.clone());
                item.clone_from(before);
            } else {
                report.changed.push(item.key.clone());
            }
        }
        report
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests make the files that are read"
)]
#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::Parser;

    use super::*;
    use crate::config::SyncPolicy;

    fn launch(arguments: &[&str]) -> Launch {
        let program = ["atlaskvd"].iter().chain(arguments);
        Launch {
            flags: Flags::try_parse_from(program).unwrap(),
            ..Launch::default()
        }
    }

    fn resolve(arguments: &[&str]) -> Config {
        launch(arguments).resolve().unwrap().config
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn found<'a>(effective: &'a Effective, key: &str) -> (&'a str, &'a str) {
        let item = effective.items().iter().find(|item| item.key == key);
        let item = item.unwrap();
        (&item.value, &item.origin)
    }

    #[test]
    fn without_a_file_everything_is_in_one_directory() {
        let config = resolve(&[]);
        assert_eq!(config.storage.data_dir, Path::new("./atlaskv-data"));
        assert_eq!(
            config.server.admin_socket,
            Path::new("./atlaskv-data/atlaskv.sock")
        );
        let config = resolve(&["--data-dir", "/tmp/d"]);
        assert_eq!(config.server.admin_socket, Path::new("/tmp/d/atlaskv.sock"));
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = file("[server]\nlisten = \"127.0.0.1:1\"\n[storage]\nsync = \"os-default\"\n");
        let path = file.path().to_str().unwrap();
        let config = resolve(&["--config", path, "--listen", "[::1]:2", "--data-dir", "/d"]);
        assert_eq!(config.server.listen.to_string(), "[::1]:2");
        assert_eq!(config.storage.sync, SyncPolicy::OsDefault);
        assert_eq!(config.storage.data_dir, Path::new("/d"));
        assert_eq!(
            config.server.admin_socket,
            Path::new("/run/atlaskv/atlaskv.sock")
        );
        let config = resolve(&["--config", path, "--sync", "every-write"]);
        assert_eq!(config.storage.sync, SyncPolicy::EveryWrite);
    }

    #[test]
    fn every_value_says_where_it_came_from() {
        let token = file("0123456789abcdef\n");
        let token = token.path().to_str().unwrap();
        let text = format!("[server]\nread_timeout_s = 5\ntoken_file = {token:?}\n");
        let file = file(&text);
        let path = file.path().to_str().unwrap();
        let mut launch = launch(&[
            "--config",
            path,
            "--sync",
            "every-write",
            "--listen",
            "[::1]:2",
        ]);
        launch.listen = Some("192.0.2.1:7390".parse().unwrap());
        let effective = launch.resolve().unwrap();
        for (key, value, origin) in [
            (
                "server.listen",
                "192.0.2.1:7390",
                "systemd socket".to_owned(),
            ),
            ("server.read_timeout_s", "5", format!("file {path}:2")),
            ("server.write_timeout_s", "30", "default".to_owned()),
            ("storage.sync", "every-write", "flag --sync".to_owned()),
            ("server.token", "set", format!("file {token}")),
        ] {
            assert_eq!(found(&effective, key), (value, origin.as_str()), "{key}");
        }
        assert_eq!(
            effective.warnings[0],
            "server.listen = \"[::1]:2\" is not used: systemd handed over a socket, 192.0.2.1:7390"
        );
        // An inherited address is held to the same rule as one that is configured.
        std::fs::write(token, "none").unwrap();
        let refusal = launch.resolve().unwrap_err().to_string();
        assert!(
            refusal.contains("192.0.2.1:7390 is beyond loopback"),
            "{refusal}"
        );
    }

    #[test]
    fn what_needs_a_restart_keeps_its_value() {
        let file = file("[server]\nlisten = \"127.0.0.1:1\"\nread_timeout_s = 5\n");
        let path = file.path().to_str().unwrap();
        let launch = launch(&["--config", path]);
        let mut effective = launch.resolve().unwrap();
        let text = "[server]\nlisten = \"127.0.0.1:2\"\nread_timeout_s = 6\n";
        std::fs::write(path, text).unwrap();
        for changed in [vec!["server.read_timeout_s".to_owned()], vec![]] {
            let newer = launch.resolve().unwrap();
            let report = effective.adopt(newer, |key| key == "server.listen");
            assert_eq!(report.changed, changed);
            assert_eq!(report.needs_restart, ["server.listen"]);
            assert_eq!(found(&effective, "server.listen").0, "127.0.0.1:1");
            assert_eq!(found(&effective, "server.read_timeout_s").0, "6");
        }
    }

    #[test]
    fn the_token_stays_while_the_address_that_needs_it_does() {
        let token = file("0123456789abcdef");
        let text = "[server]\nlisten = \"127.0.0.1:1\"\n";
        let (open, guarded) = (
            file(text),
            file(&format!("{text}token_file = {:?}\n", token.path())),
        );
        let resolve = |file: &tempfile::NamedTempFile| {
            let path = file.path().to_str().unwrap();
            launch(&["--config", path]).resolve().unwrap()
        };
        let (remote, local) = ("192.0.2.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        let refusal = resolve(&open).check_at(remote).unwrap_err();
        assert!(
            refusal.contains("192.0.2.1:1 is beyond loopback"),
            "{refusal}"
        );
        assert!(refusal.contains("restart"), "{refusal}");
        assert_eq!(resolve(&open).check_at(local), Ok(()));
        assert_eq!(resolve(&guarded).check_at(remote), Ok(()));
    }

    #[test]
    fn another_token_is_a_change_though_it_is_not_shown() {
        let token = file("0123456789abcdef");
        let text = format!("[server]\ntoken_file = {:?}\n", token.path());
        let file = file(&text);
        let launch = launch(&["--config", file.path().to_str().unwrap()]);
        let mut effective = launch.resolve().unwrap();
        std::fs::write(token.path(), "0123456789abcdeX").unwrap();
        let report = effective.adopt(launch.resolve().unwrap(), |_| false);
        assert_eq!(report.changed, ["server.token"]);
        assert!(!format!("{effective:?}").contains("0123456789"));
    }
}
