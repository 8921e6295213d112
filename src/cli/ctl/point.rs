//! One key at a time: ping, get, put, delete, exists.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::exit_code::failure;
use super::{Plane, Result, Session};
use crate::cli::json::{Object, lsn, object, set_bytes};
use crate::cli::{Failure, after_help, escape, hex};
use crate::client::Client;
use crate::exit::Exit;

/// Ask whether the daemon answers.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl ping\n  atlaskv-ctl --socket /run/atlaskv/atlaskv.sock ping"))]
pub(super) struct Ping {}

/// Print a key's value and a line end.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl get greeting\n  atlaskv-ctl get --raw picture > picture.png\n  atlaskv-ctl get --hex 00ff"
))]
pub(super) struct Get {
    /// The key.
    key: OsString,
    /// The key is in hexadecimal digits, and the value is printed so.
    #[arg(long)]
    hex: bool,
    /// Print the value's bytes alone, without a line end.
    #[arg(long)]
    raw: bool,
}

/// Set a key's value and print the write's LSN.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl put greeting hello\n  atlaskv-ctl put picture - < picture.png\n  atlaskv-ctl put --hex 00ff cafe"
))]
pub(super) struct Put {
    /// The key.
    key: OsString,
    /// The value; `-` takes the bytes of standard input.
    #[arg(allow_negative_numbers = true)]
    value: OsString,
    /// Key and value are in hexadecimal digits (standard input never is).
    #[arg(long)]
    hex: bool,
}

/// Remove a key's value and print the write's LSN; well also when it had none.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl delete greeting\n  atlaskv-ctl delete --hex 00ff"))]
pub(super) struct Delete {
    /// The key.
    key: OsString,
    /// The key is in hexadecimal digits.
    #[arg(long)]
    hex: bool,
}

/// Print whether a key has a value; exit with 1 when it has none.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl exists greeting && echo there"))]
pub(super) struct Exists {
    /// The key.
    key: OsString,
    /// The key is in hexadecimal digits.
    #[arg(long)]
    hex: bool,
}

impl Ping {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Data)?;
        client.ping().map_err(failure)?;
        let server = client.server();
        let document = object([
            ("server", server.server.clone().into()),
            ("protocol", server.version.into()),
            ("sync", server.sync.clone().into()),
            ("database_id", server.database_id.clone().into()),
        ]);
        session.output.result("pong", document)
    }
}

impl Get {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        if self.raw && session.output.is_json() {
            return Err(Failure::usage("--raw and --format json exclude each other"));
        }
        let key = bytes(&self.key, self.hex)?;
        let mut client = session.connect(Plane::Data)?;
        let found = client.get(&key).map_err(failure)?;
        let found = found.ok_or_else(|| not_found(&key, self.hex))?;
        if self.raw {
            return session.output.write(|out| out.write_all(&found.value));
        }
        if session.output.is_json() {
            let document = crate::cli::json::entry(&key, &found.value, Some(found.lsn), self.hex);
            return session.output.document(document);
        }
        session.output.write(|out| {
            if self.hex {
                out.write_all(hex::encode(&found.value).as_bytes())?;
            } else {
                out.write_all(&found.value)?;
            }
            out.write_all(b"\n")
        })
    }
}

impl Put {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let key = bytes(&self.key, self.hex)?;
        let mut client = session.connect(Plane::Data)?;
        let value = value(&self.value, self.hex, &client)?;
        let written = client.put(&key, &value).map_err(failure)?;
        told_written(session, &key, self.hex, written)
    }
}

impl Delete {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let key = bytes(&self.key, self.hex)?;
        let mut client = session.connect(Plane::Data)?;
        let written = client.delete(&key).map_err(failure)?;
        told_written(session, &key, self.hex, written)
    }
}

impl Exists {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let key = bytes(&self.key, self.hex)?;
        let mut client = session.connect(Plane::Data)?;
        let mut document = Object::new();
        set_bytes(&mut document, "key", &key, self.hex);
        if client.exists(&key).map_err(failure)? {
            document.insert("exists".to_owned(), true.into());
            return session.output.result("true", document);
        }
        if !session.output.is_json() {
            session.output.line("false")?;
        }
        Err(not_found(&key, self.hex).with("exists", false))
    }
}

/// The bytes of an argument, themselves or as hexadecimal digits.
pub(super) fn bytes(argument: &OsStr, as_hex: bool) -> Result<Vec<u8>> {
    let given = argument.as_bytes();
    if !as_hex {
        return Ok(given.to_vec());
    }
    hex::decode(given).map_err(|why| {
        let shown = escape::escape(given);
        Failure::usage(format!("'{shown}' is {why}, as --hex wants"))
    })
}

/// The bytes of a value argument; `-` takes standard input, as much as the server takes.
pub(super) fn value(argument: &OsStr, as_hex: bool, client: &Client) -> Result<Vec<u8>> {
    if argument != "-" {
        return bytes(argument, as_hex);
    }
    let limit = client.server().limits.max_value_size;
    let mut value = Vec::new();
    // One byte over the limit is enough for the server to say so.
    let mut input = io::stdin().lock().take(limit.saturating_add(1));
    input
        .read_to_end(&mut value)
        .map_err(|error| Failure::io("read", Path::new("standard input"), &error))?;
    Ok(value)
}

/// Tells the LSN of a write to one key.
pub(super) fn told_written(
    session: &mut Session,
    key: &[u8],
    as_hex: bool,
    written: u64,
) -> Result<()> {
    let mut document = object([("lsn", json!(lsn(written)))]);
    set_bytes(&mut document, "key", key, as_hex);
    session.output.result(&lsn(written), document)
}

fn not_found(key: &[u8], as_hex: bool) -> Failure {
    let shown = if as_hex {
        hex::encode(key)
    } else {
        escape::escape(key)
    };
    let message = format!("key '{shown}' not found");
    let mut failure = Failure::new(Exit::No, "not-found", message);
    set_bytes(&mut failure.details, "key", key, as_hex);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_bytes() {
        assert_eq!(bytes(OsStr::new("a b"), false).unwrap(), b"a b");
        assert_eq!(bytes(OsStr::from_bytes(b"\xff"), false).unwrap(), b"\xff");
        assert_eq!(bytes(OsStr::new("00fF"), true).unwrap(), b"\x00\xff");
        let failure = bytes(OsStr::new("0"), true).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("'0'"));
    }
}
