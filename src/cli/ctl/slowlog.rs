//! slowlog: the latest requests that took long.

use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;

use super::exit_code::failure;
use super::{Plane, Result, Session};
use crate::cli::json::{Object, object, set_bytes};
use crate::cli::words::{duration_us, size};
use crate::cli::{after_help, escape};
use crate::client::SlowRequest;
use crate::logging::Rfc3339;
use crate::protocol::opcode::request as opcode;

/// Print the latest requests that took at least slow_request_ms, the latest first.
///
/// A line has the time, how long it took, what was asked, the key (its first 64 bytes, escaped), the
/// size of the value or of all values, and who asked.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl slowlog\n  atlaskv-ctl slowlog --limit 10"))]
pub(super) struct Slowlog {
    /// At most so many [default: all that are kept]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Slowlog {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Administration)?;
        let requests = client.slowlog(self.limit.unwrap_or(0)).map_err(failure)?;
        if session.output.is_json() {
            let requests: Vec<Value> = requests.iter().map(|it| json(it).into()).collect();
            let document = object([("requests", requests.into())]);
            return session.output.document(document);
        }
        requests
            .iter()
            .try_for_each(|request| session.output.line(&line(request)))
    }
}

fn line(request: &SlowRequest) -> String {
    let key = escape::escape(&request.key);
    let rest = if is_cut(request) { "..." } else { "" };
    [
        time(request),
        duration_us(request.duration_us),
        name(request.opcode),
        format!("{key}{rest}"),
        size(request.value_bytes),
        request.peer.clone(),
    ]
    .join("\t")
}

fn json(request: &SlowRequest) -> Object {
    let mut object = object([
        ("time", time(request).into()),
        ("duration_us", request.duration_us.into()),
        ("operation", name(request.opcode).into()),
        ("key_length", request.key_length.into()),
        ("key_is_cut", is_cut(request).into()),
        ("value_bytes", request.value_bytes.into()),
        ("peer", request.peer.clone().into()),
    ]);
    set_bytes(&mut object, "key", &request.key, false);
    object
}

/// Whether the key is longer than what is kept of it.
fn is_cut(request: &SlowRequest) -> bool {
    usize::try_from(request.key_length).is_ok_and(|length| length > request.key.len())
}

fn time(request: &SlowRequest) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_micros(request.unix_us));
    time.map_or_else(String::new, |time| Rfc3339(time).to_string())
}

/// What was asked, in the words of `latency`.
fn name(code: u8) -> String {
    match code {
        opcode::GET => "get",
        opcode::PUT => "put",
        opcode::DELETE => "delete",
        opcode::EXISTS => "exists",
        opcode::MULTI_GET => "multi_get",
        opcode::BATCH => "batch",
        opcode::PUT_IF_ABSENT => "put_if_absent",
        opcode::COMPARE_AND_SWAP => "compare_and_swap",
        opcode::SCAN_OPEN => "scan_open",
        opcode::SCAN_NEXT => "scan_next",
        opcode::SYNC => "sync",
        opcode::FLUSH => "flush",
        opcode::COMPACT => "compact",
        other => return format!("opcode 0x{other:02x}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_line_and_an_object() {
        let request = SlowRequest {
            unix_us: 0,
            duration_us: 150_000,
            opcode: opcode::PUT,
            key_length: 4,
            key: b"a\tb".as_slice().into(),
            value_bytes: 2048,
            peer: "127.0.0.1:1".to_owned(),
        };
        assert_eq!(
            line(&request),
            "1970-01-01T00:00:00.000Z\t150.0 ms\tput\ta\\tb...\t2.0 KiB\t127.0.0.1:1"
        );
        let object = json(&request);
        assert_eq!(object["key"], "a\tb");
        assert_eq!(object["key_is_cut"], true);
        assert_eq!(name(0x7f), "opcode 0x7f");
    }
}
