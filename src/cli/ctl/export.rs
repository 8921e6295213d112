//! export: all entries of one state, one in a line.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit_code::failure;
use super::line_format::LineFormat;
use super::range::Range;
use super::{Plane, Result, Session};
use crate::cli::files::NewFile;
use crate::cli::json::{lsn, object};
use crate::cli::progress::{Bar, ProgressArgument};
use crate::cli::words::counted;
use crate::cli::{Failure, after_help};
use crate::client::{Entry, Scan};
use crate::storage::disk::count;

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
    #[command(flatten)]
    progress: ProgressArgument,
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
        // On a terminal the data itself shows how far it is.
        let bar = match to_stdout && io::stdout().is_terminal() {
            true => Bar::none(),
            false => self.progress.start("exporting", None, &session.output),
        };
        let entries = if to_stdout {
            copy(scan, &bar, |entry| {
                let (key, value) = (&entry.key, &entry.value);
                session.output.write(|out| format.write(out, key, value))
            })?
        } else {
            self.to_file(scan, format, &bar)?
        };
        bar.end();
        let line = format!("exported {} as of LSN {state}", counted(entries, "entry"));
        let document = object([("entries", entries.into()), ("lsn", state.into())]);
        session.output.result(&line, document)
    }

    fn to_file(&self, scan: Scan<'_>, format: LineFormat, bar: &Bar) -> Result<u64> {
        let failed = |error: io::Error| Failure::io("write", &self.file, &error);
        let mut file = BufWriter::with_capacity(BUFFER_SIZE, NewFile::create(&self.file)?);
        let count = copy(scan, bar, |entry| {
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
fn copy(scan: Scan<'_>, bar: &Bar, mut write: impl FnMut(&Entry) -> Result<()>) -> Result<u64> {
    let mut entries = 0;
    for entry in scan {
        let entry = entry.map_err(failure)?;
        write(&entry)?;
        entries += 1;
        bar.advance(count(entry.key.len()) + count(entry.value.len()));
    }
    Ok(entries)
}
