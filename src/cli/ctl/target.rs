//! Which daemon to talk to, and how.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::Result;
use super::exit_code::failure;
use crate::cli::Failure;
use crate::cli::server::{DEFAULT_ADDRESS, check_address, read_token};
use crate::client::{Client, ClientError, ClientOptions};
use crate::exit::Exit;

/// Where its socket is as a service, and as `make run` starts it.
const DEFAULT_SOCKETS: [&str; 2] = [SERVICE_SOCKET, "./atlaskv-data/atlaskv.sock"];
const SERVICE_SOCKET: &str = "/run/atlaskv/atlaskv.sock";
/// Seconds to wait for an answer unless told otherwise: longer than the 60 s for which a server lets a
/// write wait for its disk.
const DEFAULT_TIMEOUT: u64 = 90;

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    /// Data: TCP, or the Unix socket when only that is named.
    Data,
    /// Administration, or something else that can take long: its answer is waited for as long as it
    /// takes, unless a time is named.
    PatientData,
    /// What is asked of the daemon about itself: as data, but where nothing is named the service's Unix
    /// socket comes first for those who may use it. It wants no token, and a full server answers there.
    Observation,
    /// Administration: the Unix socket.
    Administration,
}

#[derive(Debug, Args)]
pub(super) struct Target {
    /// The daemon's TCP address, for data commands [env: ATLASKV_ADDR] [default: 127.0.0.1:7390]; of
    /// stats, latency, health and check first the service's socket, where it may be used
    #[arg(long, global = true, value_name = "HOST:PORT")]
    addr: Option<String>,

    /// The daemon's Unix socket, for administration, and for data when no address is given
    /// [env: ATLASKV_SOCKET] [default: /run/atlaskv/atlaskv.sock, ./atlaskv-data/atlaskv.sock]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The file with the token that the daemon wants over TCP; it goes there in the clear
    /// [env: ATLASKV_TOKEN_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// How long to wait for an answer [default: 90; doctor 5; check 10; health 2; flush, compact,
    /// reload and sync: as long as it takes]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

/// One way to a daemon.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Tcp(String),
    Unix(PathBuf),
}

/// What the environment names; an empty variable names nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Environment {
    address: Option<String>,
    socket: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

impl Environment {
    fn read() -> Environment {
        let path = |name| {
            let value = env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        Environment {
            address: env::var("ATLASKV_ADDR")
                .ok()
                .filter(|text| !text.is_empty()),
            socket: path("ATLASKV_SOCKET"),
            token_file: path("ATLASKV_TOKEN_FILE"),
        }
    }
}

impl Target {
    pub(super) fn connect(&self, plane: Plane) -> Result<Client> {
        self.connect_with(plane, self.options(plane))
    }

    /// As `connect`, for a question whose answer is worth nothing when it is late.
    pub(super) fn connect_within(&self, plane: Plane, patience: Duration) -> Result<Client> {
        let timeout = self.timeout.map_or(patience, Duration::from_secs);
        let options = ClientOptions {
            connect_timeout: timeout,
            read_timeout: Some(timeout),
            write_timeout: Some(timeout),
            ..self.options(plane)
        };
        self.connect_with(plane, options)
    }

    fn connect_with(&self, plane: Plane, mut options: ClientOptions) -> Result<Client> {
        let environment = Environment::read();
        if plane == Plane::Observation && self.names_nothing(&environment) {
            match Client::connect_unix(Path::new(SERVICE_SOCKET), options.clone()) {
                // There is none, or not for us.
                Err(ClientError::Unreachable { .. }) => {}
                connected => return connected.map_err(failure),
            }
        }
        let connected = match self.way(plane, environment.clone())? {
            Way::Tcp(address) => {
                check_address(&address)?;
                let file = self.token_file.clone().or(environment.token_file);
                options.token = file.as_deref().map(read_token).transpose()?;
                Client::connect(&address, options)
            }
            Way::Unix(path) => Client::connect_unix(&path, options),
        };
        connected.map_err(failure)
    }

    fn options(&self, plane: Plane) -> ClientOptions {
        let timeout = Duration::from_secs(self.timeout.unwrap_or(DEFAULT_TIMEOUT));
        let patient =
            matches!(plane, Plane::PatientData | Plane::Administration) && self.timeout.is_none();
        ClientOptions {
            connect_timeout: timeout.min(ClientOptions::default().connect_timeout),
            read_timeout: (!patient).then_some(timeout),
            write_timeout: Some(timeout),
            name: concat!("atlaskv-ctl/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..ClientOptions::default()
        }
    }

    /// Whether it is left to us which daemon it is, and how to reach it.
    fn names_nothing(&self, environment: &Environment) -> bool {
        self.addr.is_none()
            && self.socket.is_none()
            && self.token_file.is_none()
            && *environment == Environment::default()
    }

    fn way(&self, plane: Plane, environment: Environment) -> Result<Way> {
        match plane {
            Plane::Data | Plane::PatientData | Plane::Observation => {
                Ok(self.data_way(environment.address, environment.socket))
            }
            Plane::Administration => self.administration_way(environment, &DEFAULT_SOCKETS),
        }
    }

    /// A flag wins over the environment, an address over a socket.
    fn data_way(&self, address: Option<String>, socket: Option<PathBuf>) -> Way {
        let flags = [
            self.addr.clone().map(Way::Tcp),
            self.socket.clone().map(Way::Unix),
        ];
        let environment = [address.map(Way::Tcp), socket.map(Way::Unix)];
        let named = flags.into_iter().chain(environment).flatten().next();
        named.unwrap_or_else(|| Way::Tcp(DEFAULT_ADDRESS.to_owned()))
    }

    /// A socket that is named, or the first default that is there; of none that we may see, the first that
    /// is hidden from us, which is refused then with advice. An address alone may be another daemon's than
    /// the default socket, so it is refused.
    fn administration_way(&self, environment: Environment, defaults: &[&str]) -> Result<Way> {
        if let Some(path) = self.socket.clone().or(environment.socket) {
            return Ok(Way::Unix(path));
        }
        if self.addr.is_some() || environment.address.is_some() {
            return Err(Failure::usage(
                "administration needs the daemon's Unix socket: an address is named, so name the socket \
                 too (--socket, ATLASKV_SOCKET)",
            ));
        }
        let is_there = |path: &&&str| Path::new(path).exists();
        let is_hidden = |path: &&&str| {
            let error = Path::new(path).try_exists().err();
            error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let found = defaults.iter().find(is_there);
        let found = found.or_else(|| defaults.iter().find(is_hidden));
        found.map(|path| Way::Unix(path.into())).ok_or_else(|| {
            let tried = defaults.join(" nor ");
            Failure::new(
                Exit::Unreachable,
                "unreachable",
                format!(
                    "no socket of atlaskvd found: neither --socket nor ATLASKV_SOCKET is given, and \
                     neither {tried} exists; is atlaskvd running?"
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(addr: Option<&str>, socket: Option<&str>) -> Target {
        Target {
            addr: addr.map(str::to_owned),
            socket: socket.map(PathBuf::from),
            token_file: None,
            timeout: None,
        }
    }

    fn tcp(address: &str) -> Way {
        Way::Tcp(address.to_owned())
    }

    fn unix(path: &str) -> Way {
        Way::Unix(path.into())
    }

    #[test]
    fn data_goes_over_tcp_unless_only_a_socket_is_named() {
        let address = || Some("env:1".to_owned());
        let socket = || Some(PathBuf::from("/env"));
        assert_eq!(
            target(None, None).data_way(None, None),
            tcp(DEFAULT_ADDRESS)
        );
        assert_eq!(target(None, None).data_way(None, socket()), unix("/env"));
        assert_eq!(
            target(None, None).data_way(address(), socket()),
            tcp("env:1")
        );
        let flag = target(None, Some("/flag"));
        assert_eq!(flag.data_way(address(), socket()), unix("/flag"));
        let both = target(Some("flag:1"), Some("/flag"));
        assert_eq!(both.data_way(address(), socket()), tcp("flag:1"));
    }

    #[test]
    fn administration_goes_over_the_socket_that_is_named_or_found() {
        let socket = || Environment {
            socket: Some(PathBuf::from("/env")),
            ..Environment::default()
        };
        let named = target(Some("flag:1"), Some("/flag"));
        assert_eq!(
            named.administration_way(socket(), &[]).unwrap(),
            unix("/flag")
        );
        let none = target(None, None);
        assert_eq!(
            none.administration_way(socket(), &[]).unwrap(),
            unix("/env")
        );
        let found = none.administration_way(Environment::default(), &["/no/such", "/"]);
        assert_eq!(found.unwrap(), unix("/"));
    }

    #[test]
    fn the_service_is_observed_over_its_socket_only_when_nothing_else_is_named() {
        let nothing = Environment::default();
        assert!(target(None, None).names_nothing(&nothing));
        assert!(!target(Some("flag:1"), None).names_nothing(&nothing));
        assert!(!target(None, Some("/flag")).names_nothing(&nothing));
        let with_token = Target {
            token_file: Some(PathBuf::from("/token")),
            ..target(None, None)
        };
        assert!(!with_token.names_nothing(&nothing));
        let address = Environment {
            address: Some("env:1".to_owned()),
            ..Environment::default()
        };
        assert!(!target(None, None).names_nothing(&address));
        let way = target(None, None).way(Plane::Observation, nothing);
        assert_eq!(way.unwrap(), tcp(DEFAULT_ADDRESS));
    }

    #[test]
    fn without_a_socket_administration_says_what_was_tried() {
        let failure = target(None, None)
            .administration_way(Environment::default(), &["/no/such", "/nor/such"])
            .unwrap_err();
        assert_eq!(failure.exit, Exit::Unreachable);
        for tried in ["--socket", "ATLASKV_SOCKET", "/no/such", "/nor/such"] {
            assert!(failure.message.contains(tried), "{}", failure.message);
        }
        let nothing = Environment::default();
        let failure = target(Some("flag:1"), None).administration_way(nothing, &["/"]);
        assert_eq!(failure.unwrap_err().exit, Exit::Usage);
        let address = Environment {
            address: Some("env:1".to_owned()),
            ..Environment::default()
        };
        let failure = target(None, None).administration_way(address, &["/"]);
        assert_eq!(failure.unwrap_err().exit, Exit::Usage);
    }
}
