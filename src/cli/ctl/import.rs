//! import: entries of a file, put one after another without waiting for each.

use std::fs::Metadata;
use std::path::PathBuf;

use clap::Args;

use super::exit_code::failure;
use super::line_format::LineFormat;
use super::{Plane, Result, Session};
use crate::cli::json::{lsn, object};
use crate::cli::lines::Lines;
use crate::cli::progress::{Bar, ProgressArgument};
use crate::cli::words::counted;
use crate::cli::{Failure, after_help};
use crate::client::{Client, Pipeline};
use crate::exit::Exit;
use crate::protocol::{Request, Response};
use crate::storage::disk::count;

/// Put every entry of a file, and make them durable.
///
/// A line is an entry, as export writes it. The first line that fails ends the import; the message
/// says how many lines before it are acknowledged, and whether they are durable.
#[derive(Debug, Args)]
#[command(after_help = after_help(
    "  atlaskv-ctl import backup.tsv\n  zcat backup.jsonl.gz | atlaskv-ctl import --input-format jsonl -"
))]
pub(super) struct Import {
    /// The file; `-` reads standard input.
    file: PathBuf,
    /// How entries stand in lines [default: by the file's name, .jsonl or else tsv]
    #[arg(long, value_enum, value_name = "FORMAT")]
    input_format: Option<LineFormat>,
    #[command(flatten)]
    progress: ProgressArgument,
}

/// How far the import has come. Each line is one request, so lines and answers count alike.
#[derive(Debug, Default)]
struct Progress {
    /// Lines sent.
    sent: u64,
    /// Lines acknowledged, all those before the first that was not.
    acknowledged: u64,
    /// The LSN of the last line acknowledged.
    lsn: u64,
    /// Whether a line was not acknowledged.
    failed: bool,
}

impl Import {
    pub(super) fn run(self, session: &mut Session) -> Result<()> {
        let format = LineFormat::choose(self.input_format, &self.file);
        let mut client = session.connect(Plane::Data)?;
        let limits = client.server().limits;
        let pair = limits.max_key_size.saturating_add(limits.max_value_size);
        let mut lines = Lines::open(&self.file, LineFormat::longest_line(pair))?;
        let file = self.file.metadata().ok().filter(Metadata::is_file);
        let total = file.map(|file| file.len());
        let bar = self.progress.start("importing", total, &session.output);
        let mut progress = Progress::default();
        let imported = progress.import(&mut client, &mut lines, (format, &bar));
        bar.end();
        let durable = progress.make_durable(&mut client);
        if let Err(failure) = imported {
            return Err(progress.told_in(failure, durable.is_ok()));
        }
        durable.map_err(|failure| progress.told_in(failure, false))?;
        let line = format!(
            "imported {}, durable up to LSN {}",
            counted(progress.acknowledged, "entry"),
            lsn(progress.lsn)
        );
        let document = object([
            ("acknowledged", progress.acknowledged.into()),
            ("durable", true.into()),
            ("lsn", lsn(progress.lsn).into()),
        ]);
        session.output.result(&line, document)
    }
}

impl Progress {
    fn import(
        &mut self,
        client: &mut Client,
        lines: &mut Lines,
        reading: (LineFormat, &Bar),
    ) -> Result<()> {
        let mut pipeline = client.pipeline();
        let fed = self.feed(&mut pipeline, lines, reading);
        // A line that could not be read says nothing of those before it: their answers still come,
        // and the first that is bad is the one to tell.
        while !self.failed && pipeline.pending() > 0 {
            self.take(&mut pipeline, lines)?;
        }
        fed
    }

    fn feed(
        &mut self,
        pipeline: &mut Pipeline<'_>,
        lines: &mut Lines,
        (format, bar): (LineFormat, &Bar),
    ) -> Result<()> {
        loop {
            if lines.may_wait() {
                pipeline.flush();
            }
            let Some(line) = lines.next()? else {
                return Ok(());
            };
            bar.advance(count(line.len()) + 1);
            let entry = format.read(line);
            let entry = entry.map_err(|why| lines.bad(&why))?;
            while pipeline.is_full() {
                self.take(pipeline, lines)?;
            }
            let (key, value) = (&entry.key, &entry.value);
            pipeline
                .send(&Request::Put { key, value })
                .map_err(|error| at_line(failure(error), lines.number(), lines))?;
            self.sent += 1;
        }
    }

    /// Takes the next answer.
    fn take(&mut self, pipeline: &mut Pipeline<'_>, lines: &Lines) -> Result<()> {
        let failed = match pipeline.receive() {
            Ok(Some(Response::Written { lsn })) => {
                self.acknowledged += 1;
                self.lsn = lsn;
                return Ok(());
            }
            Ok(_) => Failure::new(
                Exit::Unreachable,
                "protocol-error",
                "the server broke the protocol: a put was answered with something else",
            ),
            Err(error) => failure(error),
        };
        self.failed = true;
        Err(at_line(failed, self.acknowledged + 1, lines))
    }

    fn make_durable(&self, client: &mut Client) -> Result<()> {
        if self.acknowledged == 0 {
            return Ok(());
        }
        client.sync(Some(self.lsn)).map(drop).map_err(failure)
    }

    /// The failure, with how far the import has come.
    fn told_in(&self, mut failure: Failure, durable: bool) -> Failure {
        let acknowledged = self.acknowledged;
        failure.message += &match (acknowledged, durable) {
            (0, _) => "; no line before it is acknowledged".to_owned(),
            (lines, true) => {
                format!("; the lines before it are acknowledged and durable ({lines})")
            }
            (lines, false) => {
                format!("; the lines before it are acknowledged, but may not be durable ({lines})")
            }
        };
        if self.failed && self.sent > acknowledged + 1 {
            let (first, last) = (acknowledged + 2, self.sent);
            failure.message += &format!("; lines {first} to {last} were sent and may be stored");
        }
        failure
            .with("acknowledged", acknowledged)
            .with("sent", self.sent)
            .with("durable", durable)
    }
}

fn at_line(failure: Failure, number: u64, lines: &Lines) -> Failure {
    let place = format!("line {number} of {}", lines.name());
    failure.because(&place).with("line", number)
}
