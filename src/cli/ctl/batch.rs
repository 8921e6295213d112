//! batch: the changes of standard input as one atomic write.

use std::path::Path;

use clap::Args;

use super::exit_code::failure;
use super::line_format::{LineFormat, fields};
use super::{Plane, Result, Session};
use crate::cli::json::{lsn, object};
use crate::cli::lines::Lines;
use crate::cli::{Failure, after_help};
use crate::client::{BatchOperation, Limits};
use crate::exit::Exit;

/// Do all changes of standard input, or none, as one write, and print its LSN.
///
/// A change is a line: put, tab, key, tab, value; or delete, tab, key. Keys and values are escaped as
/// scan and export do.
#[derive(Debug, Args)]
#[command(after_help = after_help("  printf 'put\\tapple\\tred\\ndelete\\tpear\\n' | atlaskv-ctl batch"))]
pub(super) struct Batch {}

/// A change read from a line.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

impl Batch {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let mut client = session.connect(Plane::Data)?;
        let changes = read_all(&client.server().limits)?;
        let operations = changes.iter().map(Change::operation).collect();
        let written = client.batch(operations).map_err(failure)?;
        let document = object([
            ("lsn", lsn(written).into()),
            ("operations", changes.len().into()),
        ]);
        session.output.result(&lsn(written), document)
    }
}

/// Reads all changes, which must be kept until the last one is known to be well: no more of them than
/// the server takes.
fn read_all(limits: &Limits) -> Result<Vec<Change>> {
    let pair = limits.max_key_size.saturating_add(limits.max_value_size);
    let mut lines = Lines::open(Path::new("-"), LineFormat::longest_line(pair))?;
    let (mut changes, mut bytes) = (Vec::new(), 0_u64);
    let most = usize::try_from(limits.max_batch_operations).unwrap_or(usize::MAX);
    while let Some(read) = lines.next()?.map(Change::read) {
        let change = read.map_err(|why| lines.bad(&why))?;
        bytes = bytes.saturating_add(change.bytes());
        changes.push(change);
        if bytes > limits.max_batch_size {
            let why = format!("over {} bytes (max_batch_size)", limits.max_batch_size);
            return Err(too_much("batch-too-large", &why));
        }
        if changes.len() > most {
            let why = format!("over {most} operations (max_batch_operations)");
            return Err(too_much("too-many-operations", &why));
        }
    }
    if changes.is_empty() {
        return Err(Failure::usage("the batch has no operations"));
    }
    Ok(changes)
}

fn too_much(code: &str, why: &str) -> Failure {
    Failure::new(Exit::Refused, code, format!("the batch is {why}"))
}

impl Change {
    /// Reads a line; in words why it is no change.
    fn read(line: &[u8]) -> std::result::Result<Change, String> {
        let fields = fields(line)?;
        let [verb, rest @ ..] = fields.as_slice() else {
            return Err("it is empty".to_owned());
        };
        let change = match (verb.as_slice(), rest) {
            (b"put", [key, value]) => Change::Put(key.clone(), value.clone()),
            (b"delete", [key]) => Change::Delete(key.clone()),
            _ => {
                let wanted = "it must be put, tab, key, tab, value; or delete, tab, key";
                return Err(wanted.to_owned());
            }
        };
        if change.operation().key().is_empty() {
            return Err("the key is empty".to_owned());
        }
        Ok(change)
    }

    fn operation(&self) -> BatchOperation<'_> {
        match self {
            Change::Put(key, value) => BatchOperation::Put { key, value },
            Change::Delete(key) => BatchOperation::Delete { key },
        }
    }

    fn bytes(&self) -> u64 {
        let length = match self {
            Change::Put(key, value) => key.len().saturating_add(value.len()),
            Change::Delete(key) => key.len(),
        };
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_and_unescaped() {
        let put = Change::Put(br"a\tb".to_vec(), b"".to_vec());
        assert_eq!(Change::read(br"put	a\\tb	"), Ok(put));
        let delete = Change::Delete(b"a b".to_vec());
        assert_eq!(Change::read(b"delete\ta b"), Ok(delete));
    }

    #[test]
    fn lines_that_are_no_change_are_refused() {
        for wrong in [
            "",
            "put",
            "put\ta",
            "put\t\tv",
            "delete\ta\tb",
            "delete\t",
            "PUT\ta\tb",
        ] {
            assert!(Change::read(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
