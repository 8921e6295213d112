//! AtlasKV beside the stores a user would pick instead: RocksDB and fjall in process, Redis over TCP.
//!
//! `make bench` runs it small, `make bench-peers` in full; `docs/performance.md` says what is measured and how.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads and writes files as it likes"
)]

mod bars;
mod child;
mod document;
mod engines;
mod growth;
mod keys;
mod plan;
mod plot;
mod process;
mod report;
mod samples;
mod servers;
mod store;
mod workloads;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use document::Document;
use plan::{Arguments, Part, Plan};
use samples::Samples;

/// Measures AtlasKV beside the stores a user would pick instead.
#[derive(Debug, Parser)]
#[command(name = "atlaskv-peers")]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Debug, Subcommand)]
enum Cmd {
    /// Measures, and reports
    Run {
        #[command(flatten)]
        arguments: Box<Arguments>,
        #[command(flatten)]
        output: Output,
    },
    /// Reports what runs measured before and `--save` or `--format json` kept; several are put together
    Report {
        /// The documents
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// Does everything with a few thousand keys, and fails if a figure is missing
    Check {
        /// Where the data go
        #[arg(long, default_value = ".", value_name = "DIR")]
        dir: PathBuf,
        /// The directory of atlaskvd and atlaskv-bench
        #[arg(long, default_value = "target/release", value_name = "DIR")]
        binaries: PathBuf,
    },
    /// An engine in a process of its own
    #[command(hide = true)]
    Child,
    /// Becomes another program that ends with this one's parent
    #[command(hide = true)]
    Exec {
        /// The program and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
struct Output {
    /// Markdown tables, or everything measured as one JSON document
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Keeps the JSON document here as well
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Draws performance.svg and .png, and performance-growth.svg and .png, here; wants gnuplot
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// Tables that are both read and pasted: Markdown
    #[default]
    Human,
    /// One document
    Json,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("atlaskv-peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Cmd) -> io::Result<()> {
    match command {
        Cmd::Run { arguments, output } => output.tell(&measured(*arguments)?),
        Cmd::Report { files, output } => output.tell(&Document::read(&files)?),
        Cmd::Check { dir, binaries } => check(Arguments::check(dir, binaries)),
        Cmd::Child => child::serve(),
        Cmd::Exec { command } => Err(process::exec(&command)),
    }
}

fn measured(arguments: Arguments) -> io::Result<Document> {
    let (plan, home) = arguments.plan()?;
    process::clean_up_at_signals(plan.home.clone())?;
    process::raise_open_files()?;
    let mut document = Document::begin(&plan)?;
    measure(&plan, &mut document.samples)?;
    document.end();
    home.close()?;
    Ok(document)
}

fn measure(plan: &Plan, samples: &mut Samples) -> io::Result<()> {
    for part in &plan.parts {
        match part {
            Part::Engines => engines::measure(plan, samples)?,
            Part::Servers => servers::measure(plan, samples)?,
            Part::Growth => growth::measure(plan, samples)?,
        }
    }
    Ok(())
}

fn check(arguments: Arguments) -> io::Result<()> {
    let document = measured(arguments)?;
    let missing = bars::missing(&document.samples);
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(io::Error::other(format!("not measured: {missing}")));
    }
    println!(
        "{} values measured, every bar that this build has the peers for",
        document.samples.0.len()
    );
    Ok(())
}

impl Output {
    fn tell(&self, document: &Document) -> io::Result<()> {
        if let Some(file) = &self.save {
            std::fs::write(file, document.json())?;
        }
        if let Some(dir) = &self.plot {
            plot::draw(&document.samples, dir)?;
        }
        match self.format {
            Format::Human => print!("{}", report::tables(document)),
            Format::Json => println!("{}", document.json()),
        }
        Ok(())
    }
}
