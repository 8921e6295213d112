//! export: all entries of one state, one in a line.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit_code::failure;
use super::line_format::LineFormat;
use super::range::Range;
use super::{Plane, Result, Session};
use crate::cli::files::NewFile;
use crate::cli::json::{lsn, object};
use crate::cli::{Failure, after_help};
use crate::client::{Entry, Scan};

const BUFFER_SIZE: usize = 256 * 1024;

/// Write every entry of one state of the store to a file, in key order.
///
/// The file appears when it is whole, in place of one that was there.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl export backup.tsv\n  atlaskv-ctl export --prefix user: - | gzip > users.tsv.gz\n  \
     atlaskv-ctl export --output-format jsonl -"
))]
pub(super) struct Export {
    /// The file; `-` writes standard output.
    file: PathBuf,
    /// How entries stand in lines [default: by the file's name, .jsonl or else tsv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    output_format: Option<LineFormat>,
    #[command(flatten)]
    range: Range,
}

impl Export {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let format = LineFormat::choose(self.output_format, &self.file);
        let to_stdout = self.file == Path::new("-");
        if to_stdout {
            session.output.tell_on_stderr();
        }
        let options = self.range.options(false)?;
        let mut client = session.connect(Plane::Data)?;
        let scan = client.scan(&options).map_err(failure)?;
        let state = lsn(scan.lsn());
        let count = if to_stdout {
            copy(scan, |entry| {
                let (key, value) = (&entry.key, &entry.value);
                session.output.write(|out| format.write(out, key, value))
            })?
        } else {
            self.to_file(scan, format)?
        };
        let line = format!("exported {count} entries as of LSN {state}");
        let document = object([("entries", count.into()), ("lsn", state.into())]);
        session.output.result(&line, document)
    }

    fn to_file(&self, scan: Scan<'_>, format: LineFormat) -> Result<u64> {
        let failed = |error: std::io::Error| Failure::io("write", &self.file, &error);
        let mut file = BufWriter::with_capacity(BUFFER_SIZE, NewFile::create(&self.file)?);
        let count = copy(scan, |entry| {
            format
                .write(&mut file, &entry.key, &entry.value)
                .map_err(failed)
        })?;
        file.flush().map_err(failed)?;
        let file = file.into_inner().map_err(|error| failed(error.into()))?;
        file.finish()?;
        Ok(count)
    }
}

/// Hands every entry to `write`; returns how many there were.
fn copy(scan: Scan<'_>, mut write: impl FnMut(&Entry) -> Result<()>) -> Result<u64> {
    let mut count = 0;
    for entry in scan {
        write(&entry.map_err(failure)?)?;
        count += 1;
    }
    Ok(count)
}
