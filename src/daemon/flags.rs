//! The command line of `atlaskvd`, and how it joins the configuration file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::config::{Config, ConfigError, Source, SyncPolicy, parse_address};
use crate::exit;

/// Where the daemon keeps its data when it is told nothing at all.
const EMBEDDED_DATA_DIR: &str = "./atlaskv-data";

/// The AtlasKV daemon: a durable, ordered key-value store.
///
/// Runs in the foreground and logs to standard error. A flag wins over the configuration file. Without
/// --config it keeps everything in ./atlaskv-data and needs no root.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "atlaskvd", version, after_help = exit::table())]
pub struct Flags {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The TCP address; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    pub listen: Option<SocketAddr>,
    /// The path of the Unix socket for administration
    #[arg(long, value_name = "PATH")]
    pub admin_socket: Option<PathBuf>,
    /// When a write is durable
    #[arg(long, value_enum, value_name = "POLICY")]
    pub sync: Option<SyncPolicy>,
    /// Check the configuration and exit
    #[arg(long)]
    pub check_config: bool,
}

impl Flags {
    /// The configuration that these flags and their file make, checked.
    ///
    /// # Errors
    /// [`ConfigError`], with file, line, column and key.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        let (mut config, source) = match &self.config {
            Some(path) => Config::load(path)?,
            None => {
                let data_dir = self.data_dir.as_deref();
                let data_dir = data_dir.unwrap_or(Path::new(EMBEDDED_DATA_DIR));
                (Config::embedded(data_dir), Source::default())
            }
        };
        if let Some(data_dir) = &self.data_dir {
            config.storage.data_dir.clone_from(data_dir);
        }
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        if let Some(admin_socket) = &self.admin_socket {
            config.server.admin_socket.clone_from(admin_socket);
        }
        if let Some(sync) = self.sync {
            config.storage.sync = sync;
        }
        config.check(&source, false)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn resolve(arguments: &[&str]) -> Config {
        let program = ["atlaskvd"].iter().chain(arguments);
        Flags::try_parse_from(program).unwrap().resolve().unwrap()
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
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = "[server]\nlisten = \"127.0.0.1:1\"\n[storage]\nsync = \"os-default\"\n";
        file.write_all(text.as_bytes()).unwrap();
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
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Flags::command().debug_assert();
    }
}
