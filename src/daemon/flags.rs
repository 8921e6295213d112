//! The command line of `atlaskvd`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::config::{Config, SyncPolicy, parse_address};
use crate::exit;

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
    /// Puts what the command line says over a configuration; which keys that are, and by which flag.
    pub(super) fn apply(&self, config: &mut Config) -> Vec<(&'static str, String)> {
        let mut origins = Vec::new();
        let mut by = |key, flag| origins.push((key, format!("flag {flag}")));
        if let Some(data_dir) = &self.data_dir {
            config.storage.data_dir.clone_from(data_dir);
            by("storage.data_dir", "--data-dir");
        }
        if let Some(listen) = self.listen {
            config.server.listen = listen;
            by("server.listen", "--listen");
        }
        if let Some(admin_socket) = &self.admin_socket {
            config.server.admin_socket.clone_from(admin_socket);
            by("server.admin_socket", "--admin-socket");
        }
        if let Some(sync) = self.sync {
            config.storage.sync = sync;
            by("storage.sync", "--sync");
        }
        origins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Flags::command().debug_assert();
    }
}
