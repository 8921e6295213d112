//! `atlaskv-bench`: load for a server over its connections, and how the server bears it.

mod connection;
mod dialect;
mod figures;
mod load;
mod report;
mod workload;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;

use super::arguments;
use super::failure::Failure;
use super::interrupt::Interrupt;
use super::json::object;
use super::output::{Format, Output};
use super::progress::{Bar, ProgressArgument};
use super::server;
use super::words::counted;
use crate::client::Token;
use crate::exit::Exit;
use connection::Endpoint;
use dialect::Dialect;
use load::{Limit, Load, Task};
use report::Ran;
use workload::{Data, Distribution, LEAST_KEY_SIZE, PREFIX, Workload};

/// The tool's name, in messages.
const TOOL: &str = "atlaskv-bench";
/// How long a workload runs that has no end of its own.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
const MOST_CONNECTIONS: u64 = 10_000;
const MOST_THREADS: u64 = 64;
const MOST_PIPELINE: u64 = 10_000;
const MOST_VALUE: usize = 16 << 20;

type Result<T> = std::result::Result<T, Failure>;

const EXAMPLES: &str = "  atlaskv-bench
  atlaskv-bench --keys 1000000 --connections 50 --pipeline 16 --workload read-random
  atlaskv-bench --keys 1000000 --rate 20000 --duration 60 --workload mixed
  atlaskv-bench --keys 1000000 --workload delete
  atlaskv-bench --dialect redis --addr 127.0.0.1:6379";

/// Loads a server and tells how many operations it did in a second and how long each took.
///
/// The workloads run one after another: without any, fill-random and read-random. Keys begin with 'bench:',
/// so that other data is left alone; what was filled stays there until the workload delete takes it away. At
/// the end of each: operations, operations per second, and the latencies that 50, 99 and 99.9 percent of them
/// did not exceed, and the longest. With --rate a latency counts from the moment at which the operation was
/// to be sent, so that a server that stalls cannot hide it. SIGINT (Ctrl-C) and SIGTERM end the run with what
/// was measured by then, and exit code 130 and 143.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, after_help = super::after_help(EXAMPLES), max_term_width = 100)]
struct Arguments {
    /// What to do; several are done one after another
    #[arg(value_enum, long = "workload", value_name = "NAME", default_values = ["fill-random", "read-random"])]
    workloads: Vec<Workload>,

    /// The server's TCP address
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "ATLASKV_ADDR",
        default_value = "127.0.0.1:7390"
    )]
    addr: String,

    /// The server's Unix socket, instead of TCP
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The file with the token that the daemon wants over TCP; it goes there in the clear
    #[arg(
        long,
        value_name = "FILE",
        env = "ATLASKV_TOKEN_FILE",
        conflicts_with = "socket"
    )]
    token_file: Option<PathBuf>,

    /// What the server speaks
    #[arg(long, value_enum, default_value_t, value_name = "DIALECT")]
    dialect: Dialect,

    /// Keys that the workloads are about
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,

    /// Bytes of a key
    #[arg(long, default_value_t = 16, value_name = "BYTES", value_parser = key_size)]
    key_size: usize,

    /// Bytes of a value, or from and to, as 100-1000
    #[arg(long, default_value = "100", value_name = "BYTES", value_parser = value_sizes)]
    value_size: (usize, usize),

    /// Which keys are chosen by all but fills and delete
    #[arg(long, value_enum, default_value_t, value_name = "DISTRIBUTION")]
    distribution: Distribution,

    /// Of the operations of mixed, so many percent are gets
    #[arg(long, default_value_t = 90, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    reads: u8,

    /// Entries of a scan
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    scan_entries: u32,

    /// Connections to the server
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_CONNECTIONS))]
    connections: u64,

    /// Requests in flight on each connection
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_PIPELINE))]
    pipeline: u64,

    /// Threads that drive the connections
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_THREADS))]
    threads: u64,

    /// Operations in a second, of all connections together [default: as many as are answered]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,

    /// Operations of each workload [default: fills and delete: one for each key; the others run for 10 s]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    ops: Option<u64>,

    /// Seconds after which a workload ends, if it has not before
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    duration: Option<u64>,

    /// How long an answer is waited for
    #[arg(long, default_value_t = 90, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,

    /// The seed of keys and values: with the same one the same is asked
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,

    /// Text for people, or one JSON document, errors included
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    progress: ProgressArgument,
}

fn key_size(text: &str) -> std::result::Result<usize, String> {
    let size: usize = text
        .parse()
        .map_err(|_| "not a number of bytes".to_owned())?;
    if (LEAST_KEY_SIZE..=1024).contains(&size) {
        return Ok(size);
    }
    Err(format!("keys have {LEAST_KEY_SIZE} to 1024 bytes"))
}

fn value_sizes(text: &str) -> std::result::Result<(usize, usize), String> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let sizes = least.trim().parse().ok().zip(most.trim().parse().ok());
    let (least, most) = sizes.ok_or("write a number of bytes, or two as 100-1000")?;
    if least > most || most > MOST_VALUE {
        return Err(format!(
            "from 0 to {MOST_VALUE} bytes, the smaller number first"
        ));
    }
    Ok((least, most))
}

/// The tool's command line.
pub(super) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the tool with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    run(&arguments).into()
}

fn run(arguments: &[OsString]) -> Exit {
    let parsed: Arguments = match arguments::parse(TOOL, arguments) {
        Ok(parsed) => parsed,
        Err(exit) => return exit,
    };
    let mut output = Output::new(TOOL, parsed.format);
    let result = tell(&parsed, &mut output);
    output.finish(result)
}

fn tell(arguments: &Arguments, output: &mut Output) -> Result<()> {
    arguments.check()?;
    let load = arguments.load()?;
    let interrupt = Interrupt::watch().map_err(|error| {
        Failure::new(
            Exit::Io,
            "io-error",
            format!("cannot watch signals: {error}"),
        )
    })?;
    let mut connections = load::connect(&load).map_err(|why| unreachable(&why))?;
    let mut ran = Vec::new();
    for (place, workload) in arguments.workloads.iter().enumerate() {
        if interrupt.is_asked() {
            break;
        }
        let bar = arguments.bar(*workload, output);
        let mut told = |answered| {
            bar.set(answered);
            !interrupt.is_asked()
        };
        let task = arguments.task(*workload);
        let figures = load::run(&load, task, &mut connections, &mut told);
        bar.end();
        let figures = figures.map_err(|why| {
            unreachable(&format!("{}: {why}", workload.name())).with("workloads", documents(&ran))
        })?;
        let workload = *workload;
        let done = Ran { workload, figures };
        if !output.is_json() {
            output.write(|out| {
                if place == 0 {
                    report::head(out)?;
                }
                done.human(out)
            })?;
            // Each stands there as soon as it is over.
            output.flush()?;
        }
        ran.push(done);
    }
    conclude(arguments, &ran, &interrupt, output)
}

fn unreachable(why: &str) -> Failure {
    Failure::new(Exit::Unreachable, "unreachable", why)
}

fn documents(ran: &[Ran]) -> Value {
    ran.iter().map(Ran::document).collect()
}

/// The document, and what did not go as it should.
fn conclude(
    arguments: &Arguments,
    ran: &[Ran],
    interrupt: &Interrupt,
    output: &mut Output,
) -> Result<()> {
    if interrupt.is_asked() {
        let (signal, exit) = interrupt.signal();
        let message = format!("stopped by {signal}: the last workload is not whole");
        return Err(Failure::new(exit, "interrupted", message).with("workloads", documents(ran)));
    }
    let refused: u64 = ran
        .iter()
        .flat_map(|ran| ran.figures.refused.values())
        .sum();
    if refused > 0 {
        let message = format!("the server refused {}", counted(refused, "operation"));
        let failure = Failure::new(Exit::Refused, "refused", message);
        return Err(failure.with("workloads", documents(ran)));
    }
    if output.is_json() {
        return output.document(object([("workloads", documents(ran))]));
    }
    let mut written = ran.iter().map(|ran| ran.workload);
    let written = written.rfind(|workload| !workload.only_reads());
    if written.is_none_or(|workload| workload == Workload::Delete) {
        return Ok(());
    }
    let prefix = String::from_utf8_lossy(PREFIX);
    let (keys, size) = (arguments.keys, arguments.key_size);
    output.line(&format!(
        "\nThe keys that begin with '{prefix}' stay in the server: {TOOL} --keys {keys} --key-size {size} \
         --workload delete takes them away."
    ))
}

impl Arguments {
    fn check(&self) -> Result<()> {
        let most = workload::most_keys(self.key_size);
        if self.keys > most {
            return Err(Failure::usage(format!(
                "{} keys of {} bytes cannot be told apart: at most {most}; --key-size gives more",
                self.keys, self.key_size
            )));
        }
        if self.dialect == Dialect::Redis && self.workloads.contains(&Workload::Scan) {
            return Err(Failure::usage("Redis has no scan by key order"));
        }
        if self.workloads.contains(&Workload::ReadWhileWriting) && self.connections < 2 {
            return Err(Failure::usage(
                "read-while-writing needs two connections: one of them writes",
            ));
        }
        Ok(())
    }

    fn task(&self, workload: Workload) -> Task {
        let (least_value, most_value) = self.value_size;
        let data = Data {
            keys: self.keys,
            key_size: self.key_size,
            least_value,
            most_value,
            distribution: self.distribution,
            reads: self.reads,
            scan_entries: self.scan_entries,
            seed: self.seed,
        };
        let limit = self.limit(workload);
        Task {
            workload,
            data,
            limit,
        }
    }

    fn load(&self) -> Result<Load> {
        let endpoint = match &self.socket {
            Some(path) => Endpoint::Unix(path.clone()),
            None => {
                server::check_address(&self.addr)?;
                Endpoint::Tcp(self.addr.clone())
            }
        };
        let length = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Load {
            endpoint,
            dialect: self.dialect,
            token: self.token()?,
            connections: length(self.connections),
            threads: length(self.threads),
            pipeline: length(self.pipeline),
            rate: self.rate,
            timeout: Duration::from_secs(self.timeout),
        })
    }

    fn token(&self) -> Result<Option<Token>> {
        let file = self
            .token_file
            .as_deref()
            .filter(|_| self.dialect == Dialect::Atlaskv);
        file.map(server::read_token).transpose()
    }

    fn limit(&self, workload: Workload) -> Limit {
        let operations = self.ops.or_else(|| {
            (self.duration.is_none() && workload.takes_every_key_once()).then_some(self.keys)
        });
        let duration = self.duration.map(Duration::from_secs);
        Limit {
            operations,
            duration: duration.or_else(|| operations.is_none().then_some(DEFAULT_DURATION)),
        }
    }

    fn bar(&self, workload: Workload, output: &Output) -> Bar {
        let total = self.limit(workload).operations;
        self.progress.start_counting(workload.name(), total, output)
    }
}
