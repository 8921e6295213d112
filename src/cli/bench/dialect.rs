//! How operations are said to a server, and what its answers mean: AtlasKV's protocol, and the part of Redis'
//! (RESP 2) that a comparison needs.

use std::io::Write;

use clap::ValueEnum;
use memchr::memchr;

use super::workload::PREFIX;
use crate::protocol::opcode::status;
use crate::protocol::{CONNECTION_ID, DEFAULT_MAX_FRAME_SIZE, Request, Response, frame};

/// Bytes of an LSN and of a length, before the bytes of a value.
const VALUE_HEAD: usize = 12;
/// The longest line of a Redis answer that is waited for.
const MOST_LINE: usize = 64 * 1024;

/// A server's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Dialect {
    /// An atlaskvd
    #[default]
    Atlaskv,
    /// A Redis, or a server that speaks as it does, to compare with; without scans
    Redis,
}

/// What a server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Get { key: &'a [u8] },
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
    Scan { from: &'a [u8], entries: u32 },
    CloseScan { scan: u64 },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    /// A value of so many bytes.
    Found(usize),
    Missing,
    /// So many entries, and the scan to close if it has more.
    Entries(usize, Option<u64>),
    /// An error, by its name.
    Refused(String),
}

impl Dialect {
    /// Appends the bytes that ask for an operation. In words why that cannot be asked.
    pub(super) fn encode(
        self,
        id: u32,
        operation: Operation<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        match self {
            Dialect::Atlaskv => request(operation)
                .encode(id, DEFAULT_MAX_FRAME_SIZE, out)
                .map_err(|error| error.to_string()),
            Dialect::Redis => command(operation, out),
        }
    }

    /// Reads the answer at the head of `received` and how many bytes it takes; `None` while it is not all
    /// there. In words why the bytes are no answer.
    pub(super) fn decode(self, received: &[u8]) -> Result<Option<(Answer, usize)>, String> {
        match self {
            Dialect::Atlaskv => answer(received),
            Dialect::Redis => reply(received),
        }
    }
}

fn request(operation: Operation<'_>) -> Request<'_> {
    match operation {
        Operation::Get { key } => Request::Get { key },
        Operation::Put { key, value } => Request::Put { key, value },
        Operation::Delete { key } => Request::Delete { key },
        Operation::Scan { from, entries } => Request::ScanOpen {
            from: Some(from),
            to: None,
            prefix: PREFIX,
            reverse: false,
            limit: u64::from(entries),
            max_entries: entries,
            max_bytes: 0,
        },
        Operation::CloseScan { scan } => Request::ScanClose { scan },
    }
}

/// The frequent answers are told by their status: a load generator has better things to do than to copy values.
fn answer(received: &[u8]) -> Result<Option<(Answer, usize)>, String> {
    let decoded =
        frame::decode(received, DEFAULT_MAX_FRAME_SIZE).map_err(|error| error.to_string())?;
    let Some((frame, used)) = decoded else {
        return Ok(None);
    };
    let answer = match frame.code {
        status::WRITTEN | status::DONE => Answer::Done,
        status::NOT_FOUND => Answer::Missing,
        status::VALUE => Answer::Found(frame.payload.len().saturating_sub(VALUE_HEAD)),
        _ => match Response::decode(&frame).map_err(|error| error.to_string())? {
            Response::ScanPage {
                scan,
                entries,
                done,
                ..
            } => Answer::Entries(entries.len(), (!done).then_some(scan)),
            Response::Error { code, message } if frame.request_id == CONNECTION_ID => {
                return Err(format!("{code}: {message}"));
            }
            Response::Error { code, .. } => Answer::Refused(code.to_string()),
            Response::Hello(_) => Answer::Done,
            _ => {
                return Err(format!(
                    "status {:#04x} answers nothing that was asked",
                    frame.code
                ));
            }
        },
    };
    Ok(Some((answer, used)))
}

fn command(operation: Operation<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let mut say = |words: &[&[u8]]| {
        // Writing to memory does not fail.
        let _ = write!(out, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(out, "${}\r\n", word.len());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
    };
    match operation {
        Operation::Get { key } => say(&[b"GET", key]),
        Operation::Put { key, value } => say(&[b"SET", key, value]),
        Operation::Delete { key } => say(&[b"DEL", key]),
        Operation::Scan { .. } | Operation::CloseScan { .. } => {
            return Err("Redis has no scan by key order".to_owned());
        }
    }
    Ok(())
}

fn reply(received: &[u8]) -> Result<Option<(Answer, usize)>, String> {
    let Some(end) = memchr(b'\n', received) else {
        if received.len() > MOST_LINE {
            return Err("a line that does not end".to_owned());
        }
        return Ok(None);
    };
    let line = received.get(..end).unwrap_or_default().trim_ascii_end();
    let (answer, used) = match line.split_first() {
        Some((b'+' | b':', _)) => (Answer::Done, end + 1),
        Some((b'-', error)) => {
            let error = String::from_utf8_lossy(error);
            let name = error.split_whitespace().next().unwrap_or("ERR");
            (Answer::Refused(name.to_owned()), end + 1)
        }
        Some((b'$', b"-1")) => (Answer::Missing, end + 1),
        Some((b'$', length)) => {
            let digits = std::str::from_utf8(length).ok();
            let length = digits.and_then(|digits| digits.parse::<u32>().ok());
            let length = length.and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or("a value whose length is no number")?;
            (Answer::Found(length), end + 1 + length + 2)
        }
        _ => return Err("bytes that are no answer of a Redis".to_owned()),
    };
    Ok((used <= received.len()).then_some((answer, used)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ErrorCode;

    #[test]
    fn redis_answers_are_read_whole_or_waited_for() {
        let cases: [(&[u8], Answer); 5] = [
            (b"+OK\r\n", Answer::Done),
            (b":1\r\n", Answer::Done),
            (b"$-1\r\n", Answer::Missing),
            (b"$3\r\na\nb\r\n", Answer::Found(3)),
            (b"-OOM no memory\r\n", Answer::Refused("OOM".to_owned())),
        ];
        for (bytes, expected) in cases {
            for length in 0..bytes.len() {
                assert_eq!(Dialect::Redis.decode(&bytes[..length]), Ok(None));
            }
            let whole = Dialect::Redis.decode(bytes).unwrap();
            assert_eq!(whole, Some((expected, bytes.len())));
        }
        assert!(Dialect::Redis.decode(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(Dialect::Redis.decode(b"$x\r\n").is_err());
    }

    #[test]
    fn redis_commands_are_arrays_of_words() {
        let mut out = Vec::new();
        let put = Operation::Put {
            key: b"k",
            value: b"vw",
        };
        Dialect::Redis.encode(1, put, &mut out).unwrap();
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvw\r\n");
        let scan = Operation::Scan {
            from: b"k",
            entries: 1,
        };
        assert!(Dialect::Redis.encode(1, scan, &mut out).is_err());
    }

    fn said(response: &Response, id: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        response
            .encode(id, DEFAULT_MAX_FRAME_SIZE, &mut bytes)
            .unwrap();
        bytes
    }

    #[test]
    fn our_answers_are_read() {
        let value = Response::Value {
            lsn: 1,
            value: b"abc".to_vec().into(),
        };
        let bytes = said(&value, 1);
        assert_eq!(
            Dialect::Atlaskv.decode(&bytes).unwrap(),
            Some((Answer::Found(3), bytes.len()))
        );
        let busy = |id| {
            said(
                &Response::Error {
                    code: ErrorCode::Busy,
                    message: "m".to_owned(),
                },
                id,
            )
        };
        let refused = Dialect::Atlaskv.decode(&busy(1)).unwrap().unwrap().0;
        assert_eq!(refused, Answer::Refused("busy".to_owned()));
        let closing = Dialect::Atlaskv.decode(&busy(CONNECTION_ID));
        assert_eq!(closing, Err("busy: m".to_owned()));
    }
}
