//! Writes that depend on what the key has: put-if-absent and cas.

use std::ffi::OsString;

use clap::{ArgGroup, Args};
use serde_json::Value;

use super::exit_code::failure;
use super::point::{bytes, told_written, value};
use super::{Plane, Result, Session};
use crate::cli::json::{Object, lsn, set_bytes};
use crate::cli::{Failure, after_help};
use crate::client::{Conditional, Expected, Versioned};
use crate::exit::Exit;
use crate::storage::Lsn;

/// Set a key's value only if it has none; exit with 1 when it has one.
#[derive(Debug, Args)]
#[command(after_help = after_help("  atlaskv-ctl put-if-absent lock host-1"))]
pub(super) struct PutIfAbsent {
    /// The key.
    key: OsString,
    /// The value; `-` takes the bytes of standard input.
    #[arg(allow_negative_numbers = true)]
    value: OsString,
    /// Key and value are in hexadecimal digits (standard input never is).
    #[arg(long)]
    hex: bool,
}

/// Compare and swap: set or remove a value only if the key is as expected; exit with 1 if not.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("expected").required(true).args(["if_value", "if_lsn", "if_absent"]),
    group = ArgGroup::new("new").required(true).args(["value", "delete"]),
    after_help = after_help(
        "  atlaskv-ctl cas counter 2 --if-value 1\n  atlaskv-ctl cas counter 3 --if-lsn 4/1042\n  \
         atlaskv-ctl cas lock --delete --if-value host-1"
    )
)]
pub(super) struct CompareAndSwap {
    /// The key.
    key: OsString,
    /// The new value; `-` takes the bytes of standard input.
    #[arg(allow_negative_numbers = true)]
    value: Option<OsString>,
    /// Remove the value instead of setting one.
    #[arg(long)]
    delete: bool,
    /// Only if the key has exactly this value.
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    if_value: Option<OsString>,
    /// Only if the key's value was set by the write with this LSN.
    #[arg(long, value_name = "LSN")]
    if_lsn: Option<Lsn>,
    /// Only if the key has no value.
    #[arg(long)]
    if_absent: bool,
    /// Key and values are in hexadecimal digits (standard input never is).
    #[arg(long)]
    hex: bool,
}

impl PutIfAbsent {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let key = bytes(&self.key, self.hex)?;
        let mut client = session.connect(Plane::Data)?;
        let value = value(&self.value, self.hex, &client)?;
        let outcome = client.put_if_absent(&key, &value).map_err(failure)?;
        told(session, &key, self.hex, outcome)
    }
}

impl CompareAndSwap {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let key = bytes(&self.key, self.hex)?;
        let if_value = self.if_value.as_deref();
        let if_value = if_value.map(|text| bytes(text, self.hex)).transpose()?;
        let expected = match (&if_value, self.if_lsn) {
            (Some(value), _) => Expected::Value(value),
            (None, Some(lsn)) => Expected::Version(lsn.as_u64()),
            (None, None) => Expected::Absent,
        };
        let mut client = session.connect(Plane::Data)?;
        let new = self.value.as_deref();
        let new = new.map(|text| value(text, self.hex, &client)).transpose()?;
        let outcome = client
            .compare_and_swap(&key, expected, new.as_deref())
            .map_err(failure)?;
        told(session, &key, self.hex, outcome)
    }
}

fn told(session: &mut Session, key: &[u8], as_hex: bool, outcome: Conditional) -> Result<()> {
    match outcome {
        Conditional::Written(lsn) => told_written(session, key, as_hex, lsn),
        Conditional::Refused(current) => Err(not_met(key, as_hex, current)),
    }
}

fn not_met(key: &[u8], as_hex: bool, current: Option<Versioned>) -> Failure {
    let message = match &current {
        Some(current) => format!(
            "condition not met: the key's value is that of LSN {} (bytes: {})",
            lsn(current.lsn),
            current.value.len()
        ),
        None => "condition not met: the key has no value".to_owned(),
    };
    let current = current.map_or(Value::Null, |current| {
        let mut object = Object::new();
        set_bytes(&mut object, "value", &current.value, as_hex);
        object.insert("lsn".to_owned(), lsn(current.lsn).into());
        object.into()
    });
    let mut failure = Failure::new(Exit::No, "condition-not-met", message).with("current", current);
    set_bytes(&mut failure.details, "key", key, as_hex);
    failure
}
