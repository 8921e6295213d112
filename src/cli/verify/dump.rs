//! `atlaskv-verify --dump`: shows one segment or one table, entry by entry.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::Result;
use crate::cli::escape::escape;
use crate::cli::failure::Failure;
use crate::cli::json::{Object, object, set_bytes};
use crate::cli::output::Output;
use crate::cli::words::counted;
use crate::cli::{hex, local};
use crate::exit::Exit;
use crate::storage::disk::count;
use crate::storage::dump::{Dumped, Header, Part, dump};
use crate::storage::{Disk, Operation, OwnersDisk, RealDisk};

/// Bytes of a value that are shown to people.
const SHOWN_VALUE: usize = 64;

/// Shows the file: text, or JSON lines of which the last is the outcome.
pub(super) fn run(dir: Option<&Path>, file: &Path, output: &mut Output) -> Result<()> {
    let (path, home) = find(dir, file)?;
    // Of a data directory no link is followed, as elsewhere; a file that was named alone may be one.
    let owners = home.map(OwnersDisk::of).transpose();
    let owners = owners.map_err(|error| local::failure(&error))?;
    let disk: &dyn Disk = match &owners {
        Some(disk) => disk,
        None => &RealDisk,
    };
    let mut written = Ok(());
    let dumped = dump(disk, &path, &mut |part| {
        written = show(&path, part, output);
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    // A reader that has gone wants no more: what was not read is not judged.
    written?;
    let dumped = dumped.map_err(|error| local::failure(&error))?;
    finish(dumped, output)
}

/// The file, and the directory if it is in that: a bare name is looked for there first.
fn find<'a>(dir: Option<&'a Path>, file: &Path) -> Result<(PathBuf, Option<&'a Path>)> {
    if let Some(dir) = dir {
        local::check_directory(dir)?;
    }
    let mut components = file.components();
    let is_bare = matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(_)), None)
    );
    let within = dir.filter(|_| is_bare).map(|dir| dir.join(file));
    let (path, home) = match within {
        Some(path) if path.exists() => (path, dir),
        _ => (file.to_path_buf(), None),
    };
    let wrong = match (path.is_file(), path.exists()) {
        (true, _) => return Ok((path, home)),
        (false, true) => "is not a file",
        (false, false) => "does not exist",
    };
    let message = format!("{} {wrong}: give a segment or a table", path.display());
    Err(Failure::usage(message))
}

fn finish(dumped: Dumped, output: &mut Output) -> Result<()> {
    let entries = counted(dumped.entries, "entry");
    let places = counted(dumped.damaged_places, "damaged place");
    if !output.is_json() {
        output.line(&format!("{entries}, {places}"))?;
    }
    if dumped.damaged_places > 0 {
        let failure = Failure::new(Exit::Damaged, "damaged", places);
        return Err(failure
            .with("entries", dumped.entries)
            .with("damaged_places", dumped.damaged_places));
    }
    if output.is_json() {
        return output.document(object([
            ("entries", dumped.entries.into()),
            ("damaged_places", 0.into()),
        ]));
    }
    Ok(())
}

fn show(path: &Path, part: &Part<'_>, output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.line(&Value::from(line(path, part)).to_string());
    }
    output.write(|out| human(path, part, out))
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The JSON object of a part.
fn line(path: &Path, part: &Part<'_>) -> Object {
    match *part {
        Part::Header(header) => header_line(path, header),
        Part::LogEntry {
            offset,
            lsn,
            kind,
            durable_lsn,
            operations,
        } => object([
            ("type", "entry".into()),
            ("offset", offset.into()),
            ("lsn", lsn.to_string().into()),
            ("kind", kind.into()),
            ("durable_lsn", durable_lsn.to_string().into()),
            (
                "operations",
                operations.iter().map(operation).collect::<Vec<_>>().into(),
            ),
        ]),
        Part::TableEntry {
            offset,
            lsn,
            key,
            value,
        } => {
            let mut line = change(key, value);
            line.extend(object([
                ("type", "entry".into()),
                ("offset", offset.into()),
                ("lsn", lsn.to_string().into()),
                ("tombstone", value.is_none().into()),
            ]));
            line
        }
        Part::Damage {
            offset,
            end,
            detail,
        } => object([
            ("type", "damage".into()),
            ("offset", offset.into()),
            ("to", end.into()),
            ("detail", detail.into()),
        ]),
        Part::Rest {
            offset,
            end,
            is_torn,
        } => object([
            ("type", "rest".into()),
            ("offset", offset.into()),
            ("to", end.into()),
            ("torn", is_torn.into()),
        ]),
    }
}

fn header_line(path: &Path, header: Header) -> Object {
    match header {
        Header::Segment {
            bytes,
            version,
            database_id,
            number,
            nonce,
            first_lsn,
        } => object([
            ("type", "segment".into()),
            ("name", name(path).into()),
            ("bytes", bytes.into()),
            ("version", version.into()),
            ("database_id", hex::encode(&database_id).into()),
            ("number", number.into()),
            ("nonce", format!("{nonce:016x}").into()),
            ("first_lsn", first_lsn.to_string().into()),
        ]),
        Header::Table {
            bytes,
            version,
            file_id,
            entries,
        } => object([
            ("type", "table".into()),
            ("name", name(path).into()),
            ("bytes", bytes.into()),
            ("version", version.into()),
            ("file_id", format!("{file_id:016x}").into()),
            ("entries", entries.into()),
        ]),
    }
}

fn change(key: &[u8], value: Option<&[u8]>) -> Object {
    let mut object = Object::new();
    set_bytes(&mut object, "key", key, false);
    if let Some(value) = value {
        set_bytes(&mut object, "value", value, false);
    }
    object
}

fn operation(operation: &Operation<'_>) -> Value {
    let mut object = change(operation.key(), operation.value());
    object.insert("operation".to_owned(), json!(verb(operation)));
    object.into()
}

fn verb(operation: &Operation<'_>) -> &'static str {
    match operation {
        Operation::Put { .. } => "put",
        Operation::Delete { .. } => "delete",
    }
}

fn human(path: &Path, part: &Part<'_>, out: &mut dyn Write) -> io::Result<()> {
    match *part {
        Part::Header(header) => human_header(path, header, out),
        Part::LogEntry {
            offset,
            lsn,
            kind,
            durable_lsn,
            operations,
        } => {
            writeln!(
                out,
                "offset {offset}, LSN {lsn}, {kind}, durable LSN {durable_lsn}"
            )?;
            operations.iter().try_for_each(|operation| {
                let (key, value) = (escape(operation.key()), shown(operation.value()));
                writeln!(out, "  {} \"{key}\"{value}", verb(operation))
            })
        }
        Part::TableEntry {
            offset,
            lsn,
            key,
            value,
        } => {
            let what = value.map_or(", tombstone".to_owned(), |value| shown(Some(value)));
            writeln!(out, "offset {offset}, LSN {lsn}, \"{}\"{what}", escape(key))
        }
        Part::Damage {
            offset,
            end,
            detail,
        } => {
            let to = end.map_or_else(String::new, |end| format!(" to {end}"));
            writeln!(out, "DAMAGE at offset {offset}{to}: {detail}")
        }
        Part::Rest {
            offset,
            end,
            is_torn,
        } => {
            let what = match is_torn {
                true => "a torn end: no valid entry, and none follows in this file",
                false => "zeros to the end",
            };
            writeln!(out, "offset {offset} to {end}: {what}")
        }
    }
}

fn human_header(path: &Path, header: Header, out: &mut dyn Write) -> io::Result<()> {
    match header {
        Header::Segment {
            bytes,
            version,
            database_id,
            number,
            nonce,
            first_lsn,
        } => writeln!(
            out,
            "segment {}: {}, version {version}, database {}, number {number}, nonce {nonce:016x}, \
             first LSN {first_lsn}",
            name(path),
            counted(bytes, "byte"),
            hex::encode(&database_id),
        ),
        Header::Table {
            bytes,
            version,
            file_id,
            entries,
        } => {
            let entries = entries.map_or_else(String::new, |entries| {
                format!(", {}", counted(entries, "entry"))
            });
            let (name, bytes) = (name(path), counted(bytes, "byte"));
            writeln!(
                out,
                "table {name}: {bytes}, version {version}, file id {file_id:016x}{entries}"
            )
        }
    }
}

/// A value behind its key, shortened when it is long.
fn shown(value: Option<&[u8]>) -> String {
    let Some(value) = value else {
        return String::new();
    };
    match value.get(..SHOWN_VALUE) {
        Some(part) if part.len() < value.len() => {
            let length = counted(count(value.len()), "byte");
            format!(" = \"{}…\" ({length})", escape(part))
        }
        _ => format!(" = \"{}\"", escape(value)),
    }
}
