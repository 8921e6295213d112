//! The daemon beside Redis: both at once, asked in turn by one generator, `atlaskv-bench`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atlaskv::client::{Client, ClientOptions};
use serde_json::Value;

use crate::plan::Plan;
use crate::process::{self, Owned};
use crate::samples::Samples;
use crate::workloads::Figures;

/// Policies that promise the same: AtlasKV's, Redis', and as the figures are named.
const POLICIES: [(&str, &str); 3] = [
    ("interval", "everysec"),
    ("every-write", "always"),
    ("os-default", "no"),
];
const IDLE: usize = 1000;
const START: Duration = Duration::from_secs(30);
const SETTLES: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// All rounds of the part `server`; without redis-server of the daemon alone.
pub(crate) fn measure(plan: &Plan, samples: &mut Samples) -> io::Result<()> {
    let has_redis = redis_version().is_some();
    if !has_redis {
        plan.tell("redis-server is not installed: the daemon is measured alone");
    }
    for round in 0..plan.rounds {
        for policy in POLICIES {
            plan.tell(&format!(
                "round {} of {}: {} beside Redis {}",
                round + 1,
                plan.rounds,
                policy.0,
                policy.1
            ));
            let pair = Pair::start(plan, policy, round, has_redis)?;
            pair.load()?;
            match policy.0 {
                "interval" => interval(&pair, samples)?,
                "every-write" => every_write(&pair, samples)?,
                _ => os_default(&pair, samples)?,
            }
        }
        let pair = Pair::start(plan, POLICIES[0], round, has_redis)?;
        pair.idle_memory(samples)?;
    }
    Ok(())
}

/// The version of the redis-server that would be started.
pub(crate) fn redis_version() -> Option<String> {
    let output = Command::new("redis-server")
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    Some(version.to_owned())
}

fn interval(pair: &Pair<'_>, samples: &mut Samples) -> io::Result<()> {
    for (connections, pipeline) in [(50, 1), (50, 16)] {
        pair.ask("overwrite", connections, pipeline, samples)?;
        pair.ask("read-random", connections, pipeline, samples)?;
    }
    for connections in pair.plan.connections.iter().filter(|count| **count != 50) {
        pair.ask("read-random", *connections, 1, samples)?;
    }
    Ok(())
}

fn every_write(pair: &Pair<'_>, samples: &mut Samples) -> io::Result<()> {
    for (connections, pipeline) in [(50, 1), (50, 16), (500, 1)] {
        pair.ask("overwrite", connections, pipeline, samples)?;
    }
    pair.ask("read-random", 500, 1, samples)
}

fn os_default(pair: &Pair<'_>, samples: &mut Samples) -> io::Result<()> {
    for pipeline in [1, 16] {
        pair.ask("overwrite", 50, pipeline, samples)?;
    }
    Ok(())
}

/// What speaks which protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Atlaskv,
    Redis,
}

impl Dialect {
    fn name(self) -> &'static str {
        match self {
            Dialect::Atlaskv => "AtlasKV",
            Dialect::Redis => "Redis",
        }
    }

    /// As the generator names it.
    fn argument(self) -> &'static str {
        match self {
            Dialect::Atlaskv => "atlaskv",
            Dialect::Redis => "redis",
        }
    }
}

/// What the generator is told. A fill ends when every key had its turn, all else after the time of a workload.
#[derive(Debug, Clone, Copy)]
struct Load<'a> {
    workload: &'a str,
    connections: u64,
    pipeline: u64,
}

const FILL: &str = "fill-random";

/// A server at work.
struct Server {
    dialect: Dialect,
    address: SocketAddr,
    process: Owned,
}

/// Both servers under policies that promise the same, in this round's order. Their data go with them.
struct Pair<'a> {
    plan: &'a Plan,
    policy: &'static str,
    round: u64,
    servers: Vec<Server>,
    _home: tempfile::TempDir,
}

impl<'a> Pair<'a> {
    fn start(
        plan: &'a Plan,
        policy: (&'static str, &str),
        round: u64,
        has_redis: bool,
    ) -> io::Result<Pair<'a>> {
        let home = tempfile::Builder::new()
            .prefix("servers")
            .tempdir_in(&plan.home)?;
        let mut servers = vec![start_atlaskvd(plan, home.path(), policy.0)?];
        if has_redis {
            servers.push(start_redis(home.path(), policy.1)?);
        }
        if round % 2 == 1 {
            servers.reverse();
        }
        for server in &servers {
            server.wait_until_it_answers()?;
        }
        Ok(Pair {
            plan,
            policy: policy.0,
            round,
            servers,
            _home: home,
        })
    }

    /// Puts every key.
    fn load(&self) -> io::Result<()> {
        for server in &self.servers {
            server.generate(
                self.plan,
                Load {
                    workload: FILL,
                    connections: 50,
                    pipeline: 16,
                },
            )?;
        }
        Ok(())
    }

    fn ask(
        &self,
        workload: &str,
        connections: u64,
        pipeline: u64,
        samples: &mut Samples,
    ) -> io::Result<()> {
        let what = if workload == "overwrite" {
            "set"
        } else {
            "get"
        };
        let name = format!("server.{}.{what}-c{connections}-p{pipeline}", self.policy);
        for server in &self.servers {
            let load = Load {
                workload,
                connections,
                pipeline,
            };
            let figures = server.generate(self.plan, load)?;
            samples.add(&name, server.dialect.name(), self.round, figures);
        }
        Ok(())
    }

    /// Memory that so many connections take that asked once and then nothing.
    fn idle_memory(&self, samples: &mut Samples) -> io::Result<()> {
        for server in &self.servers {
            let before = server.resident_mib();
            let connections: Vec<_> = (0..IDLE)
                .map(|_| server.ping())
                .collect::<io::Result<_>>()?;
            std::thread::sleep(SETTLES);
            let more = server.resident_mib() - before;
            drop(connections);
            let figures = Figures::from([("more_mib".to_owned(), more)]);
            samples.add(
                "server.idle-1000",
                server.dialect.name(),
                self.round,
                figures,
            );
        }
        Ok(())
    }
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        // Before their directory goes.
        self.servers.clear();
    }
}

fn start_atlaskvd(plan: &Plan, home: &Path, policy: &str) -> io::Result<Server> {
    let binary = plan.binaries.join("atlaskvd").canonicalize();
    let binary = binary.map_err(|error| not_built(plan, "atlaskvd", &error))?;
    let address = free_address()?;
    let dir = home.join("atlaskv");
    let command = process::bound(&binary.to_string_lossy())?;
    // The socket's name is short wherever the directory is.
    let arguments = [
        "--data-dir",
        "data",
        "--admin-socket",
        "admin",
        "--sync",
        policy,
    ];
    let command = with_listen(command, &arguments, "--listen", &address.to_string());
    start(Dialect::Atlaskv, address, &dir, command)
}

fn start_redis(home: &Path, policy: &str) -> io::Result<Server> {
    let address = free_address()?;
    let command = process::bound("redis-server")?;
    let arguments = [
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        policy,
        "--auto-aof-rewrite-percentage",
        "0",
        "--maxclients",
        "4000",
    ];
    let command = with_listen(command, &arguments, "--port", &address.port().to_string());
    start(Dialect::Redis, address, &home.join("redis"), command)
}

fn with_listen(mut command: Command, arguments: &[&str], flag: &str, listen: &str) -> Command {
    command.args(arguments).args([flag, listen]);
    command
}

fn start(
    dialect: Dialect,
    address: SocketAddr,
    dir: &Path,
    mut command: Command,
) -> io::Result<Server> {
    std::fs::create_dir_all(dir)?;
    let log = File::create(dir.join("log"))?;
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let process = Owned::start(&mut command)?;
    Ok(Server {
        dialect,
        address,
        process,
    })
}

/// An address that nobody listens at; somebody may begin to before the server does, which then ends.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

fn not_built(plan: &Plan, name: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!(
        "no {name} in {}: {error}; build it (make build) or say where (--binaries)",
        plan.binaries.display()
    ))
}

/// A connection that has had an answer.
enum Idle {
    Atlaskv(#[expect(dead_code, reason = "held open")] Box<Client>),
    Redis(#[expect(dead_code, reason = "held open")] TcpStream),
}

impl Server {
    fn wait_until_it_answers(&self) -> io::Result<()> {
        let started = Instant::now();
        loop {
            match self.ping() {
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > START => {
                    let name = self.dialect.name();
                    return Err(io::Error::other(format!("{name} does not answer: {error}")));
                }
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    fn ping(&self) -> io::Result<Idle> {
        if self.dialect == Dialect::Atlaskv {
            let address = self.address.to_string();
            let client = Client::connect(&address, ClientOptions::default());
            let mut client = client.map_err(io::Error::other)?;
            client.ping().map_err(io::Error::other)?;
            return Ok(Idle::Atlaskv(Box::new(client)));
        }
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(START))?;
        stream.write_all(PING)?;
        let mut answer = [0; PONG.len()];
        stream.read_exact(&mut answer)?;
        if answer != PONG {
            return Err(io::Error::other(format!("an answer of {answer:?}")));
        }
        Ok(Idle::Redis(stream))
    }

    fn resident_mib(&self) -> f64 {
        process::memory_kib(self.process.pid(), "VmRSS") as f64 / 1024.0
    }

    /// Lets the generator load the server; what it measured.
    fn generate(&self, plan: &Plan, load: Load<'_>) -> io::Result<Figures> {
        let binary = plan.binaries.join("atlaskv-bench").canonicalize();
        let binary = binary.map_err(|error| not_built(plan, "atlaskv-bench", &error))?;
        let mut command = process::bound(&binary.to_string_lossy())?;
        let mut options = vec![
            ("--workload", load.workload.to_owned()),
            ("--addr", self.address.to_string()),
            ("--dialect", self.dialect.argument().to_owned()),
            ("--keys", plan.keys.to_string()),
            ("--connections", load.connections.to_string()),
            ("--pipeline", load.pipeline.to_string()),
            ("--threads", "2".to_owned()),
            ("--seed", plan.seed.to_string()),
            ("--format", "json".to_owned()),
        ];
        if load.workload != FILL {
            let seconds = plan.seconds.ceil().max(1.0);
            options.push(("--duration", seconds.to_string()));
        }
        for (option, value) in options {
            command.args([option, &value]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut generator = Owned::start(&mut command)?;
        let mut text = String::new();
        let mut output = generator.0.stdout.take().unwrap();
        output.read_to_string(&mut text)?;
        figures(&text).ok_or_else(|| {
            io::Error::other(format!(
                "{} on {}: {text}",
                load.workload,
                self.dialect.name()
            ))
        })
    }
}

/// What the generator measured; nothing if it refused or failed.
fn figures(text: &str) -> Option<Figures> {
    let document: Value = serde_json::from_str(text).ok()?;
    let ran = document["workloads"].get(0)?;
    if document["ok"] != true || ran["errors"] != 0 {
        return None;
    }
    let latency = |name: &str| ran["latency_us"][name].as_f64();
    Some(Figures::from([
        ("per_s".to_owned(), ran["ops_per_second"].as_f64()?),
        ("p50_us".to_owned(), latency("p50")?),
        ("p99_us".to_owned(), latency("p99")?),
        ("p999_us".to_owned(), latency("p999")?),
        ("max_us".to_owned(), latency("max")?),
    ]))
}
