//! The server that a tool talks to: its address, and the token that it wants.

use std::io::Read;
use std::path::Path;

use super::failure::Failure;
use super::files;
use crate::client::Token;
use crate::protocol::MAX_TOKEN_SIZE;

/// Where `atlaskvd` listens unless it is told otherwise.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:7390";

type Result<T> = std::result::Result<T, Failure>;

/// Reads the token in a file. Standard input is none: values and imports are read from it.
pub(super) fn read_token(path: &Path) -> Result<Token> {
    if path == Path::new("-") {
        return Err(Failure::usage(
            "the token is not read from standard input: name a file (--token-file)",
        ));
    }
    let mut contents = Vec::new();
    // A line end, and one byte more to see that it is too long.
    let most = MAX_TOKEN_SIZE + "\r\n".len() + 1;
    files::reader(path)?
        .take(u64::try_from(most).unwrap_or(u64::MAX))
        .read_to_end(&mut contents)
        .map_err(|error| Failure::io("read", path, &error))?;
    Token::from_file(&contents)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// Whether it is a host and a port: what it is not would else be told as a daemon that is not there.
pub(super) fn check_address(address: &str) -> Result<()> {
    let parts = address.rsplit_once(':');
    if parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "'{address}' is no address: write HOST:PORT, for example {DEFAULT_ADDRESS}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn an_address_that_is_none_is_wrong_use() {
        for address in ["localhost:1", "[::1]:7390", "127.0.0.1:65535"] {
            assert!(check_address(address).is_ok(), "{address}");
        }
        for address in [
            "",
            "localhost",
            ":7390",
            "host:",
            "127.0.0.1:99999",
            "::1:x",
        ] {
            let failure = check_address(address).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{address}");
            assert!(failure.message.contains("HOST:PORT"));
        }
    }
}
