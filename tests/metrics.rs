//! What a monitoring system sees: the metrics of a real daemon, and that the document, the dashboard and
//! the alert rules name only what is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use atlaskv::client::{BatchOperation, Client, ClientOptions, Expected, ScanOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(120);

/// A daemon with a metrics listener, killed when dropped.
struct Daemon {
    process: Child,
    home: TempDir,
    address: String,
    metrics: String,
}

fn spawn(home: &Path, metrics: &str) -> Child {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_socket = {:?}\n\
         [storage]\ndata_dir = {:?}\n[metrics]\nlisten = {metrics:?}\n",
        home.join("a.sock"),
        home.join("data"),
    );
    fs::write(home.join("atlaskv.toml"), config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_atlaskvd"))
        .arg("--config")
        .arg(home.join("atlaskv.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

impl Daemon {
    fn start() -> Daemon {
        let home = tempfile::tempdir().unwrap();
        let mut process = spawn(home.path(), "127.0.0.1:0");
        let (mut address, mut metrics) = (String::new(), String::new());
        let mut log = BufReader::new(process.stderr.take().unwrap());
        while address.is_empty() {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "not ready");
            if let Some((_, rest)) = line.split_once("metrics on http://") {
                metrics = rest.split('/').next().unwrap().to_owned();
            }
            if let Some((_, rest)) = line.split_once(" ready on ") {
                address = rest.split(',').next().unwrap().to_owned();
            }
        }
        Daemon {
            process,
            home,
            address,
            metrics,
        }
    }

    fn client(&self) -> Client {
        Client::connect(&self.address, options()).unwrap()
    }

    fn admin(&self) -> Client {
        Client::connect_unix(&self.home.path().join("a.sock"), options()).unwrap()
    }

    /// Head and body of an answer.
    fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.metrics).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn metrics(&self) -> String {
        let (head, body) = self.get("/metrics");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let kind = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(head.contains(kind), "{head}");
        body
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn options() -> ClientOptions {
    ClientOptions {
        read_timeout: Some(LONG),
        ..ClientOptions::default()
    }
}

/// Every operation that is measured, once.
fn do_everything(daemon: &Daemon) {
    let (mut client, mut admin) = (daemon.client(), daemon.admin());
    client.put(b"a", b"1").unwrap();
    client.get(b"a").unwrap();
    client.delete(b"a").unwrap();
    client.exists(b"a").unwrap();
    client.multi_get(&[b"a", b"b"]).unwrap();
    let put = |key| BatchOperation::Put { key, value: b"2" };
    client.batch(vec![put(b"b"), put(b"c")]).unwrap();
    client.put_if_absent(b"d", b"1").unwrap();
    client
        .compare_and_swap(b"d", Expected::Value(b"1"), Some(b"2"))
        .unwrap();
    let pages = ScanOptions {
        page_entries: 1,
        ..ScanOptions::default()
    };
    assert_eq!(client.scan(&pages).unwrap().count(), 3);
    client.sync(None).unwrap();
    admin.flush().unwrap();
    admin.compact().unwrap();
}

const OPERATIONS: [&str; 13] = [
    "get",
    "put",
    "delete",
    "exists",
    "multi_get",
    "batch",
    "put_if_absent",
    "compare_and_swap",
    "scan_open",
    "scan_next",
    "sync",
    "flush",
    "compact",
];

/// A metric family as the text describes it.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    unit: String,
    /// Names, labels as they stand there, values.
    samples: Vec<(String, String, f64)>,
}

impl Family {
    /// Its name as rules and the document have it.
    fn listed(&self, name: &str) -> String {
        match self.kind.as_str() {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        }
    }
}

/// Reads OpenMetrics text as strictly as its document has it, for what we use of it.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let text = text.strip_suffix("# EOF\n").expect("ends with # EOF");
    for line in text.lines() {
        if let Some(description) = line.strip_prefix("# ") {
            let mut words = description.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap());
            let told = words.next().unwrap().to_owned();
            if name != current {
                let known = families.insert(name.to_owned(), Family::default());
                assert!(known.is_none(), "{name} comes twice");
                current = name.to_owned();
            }
            let family = families.get_mut(name).unwrap();
            assert!(family.samples.is_empty(), "{line} behind samples");
            match what {
                "HELP" => family.help = told,
                "TYPE" => family.kind = told,
                "UNIT" => family.unit = told,
                _ => panic!("{line}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let family = families.get_mut(&current).unwrap();
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_sum", "_count", "_bucket"],
            "gauge" => &[""],
            kind => panic!("{kind}"),
        };
        assert!(
            suffixes
                .iter()
                .any(|suffix| name == format!("{current}{suffix}")),
            "{line} is no sample of {current}"
        );
        let labels = labels.strip_suffix('}').unwrap().to_owned();
        let value: f64 = value.parse().unwrap();
        family.samples.push((name.to_owned(), labels, value));
    }
    families
}

/// Every `atlaskv_…` name in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    let names = words.filter(|word| word.starts_with("atlaskv_"));
    names.map(str::to_owned).collect()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

/// Runs promtool, from Debian's package prometheus; `None`, with a line, where there is none.
fn promtool(arguments: &[&str]) -> Option<Output> {
    let output = Command::new("promtool").args(arguments).output();
    if output.is_err() {
        eprintln!("not checked by promtool, which is not installed: {arguments:?}");
    }
    output.ok()
}

fn assert_done(output: Option<Output>) {
    if let Some(output) = output {
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_text_is_well_formed_and_named_by_the_conventions() {
    let daemon = Daemon::start();
    do_everything(&daemon);
    let text = daemon.metrics();
    for (name, family) in &parse(&text) {
        assert!(name.starts_with("atlaskv_"), "{name}");
        assert!(family.help.ends_with('.'), "{name}: {}", family.help);
        assert!(!family.samples.is_empty(), "{name} has no sample");
        assert!(
            family.unit.is_empty() || name.ends_with(&format!("_{}", family.unit)),
            "{name} does not end with {}",
            family.unit
        );
        for unit in ["bytes", "seconds"] {
            let has_unit = family.unit == unit || !name.ends_with(&format!("_{unit}"));
            assert!(has_unit, "{name} does not say its unit");
        }
    }
    // promtool reads OpenMetrics strictly only where samples have times.
    let dir = tempfile::tempdir().unwrap();
    let stamped: String = text
        .lines()
        .map(|line| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{line} 1700000000\n"),
        })
        .collect();
    let path = dir.path().join("metrics");
    fs::write(&path, stamped).unwrap();
    let (path, blocks) = (path.to_str().unwrap(), dir.path().join("blocks"));
    let blocks = blocks.to_str().unwrap();
    assert_done(promtool(&[
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        path,
        blocks,
    ]));
}

#[test]
fn every_operation_is_measured_and_its_buckets_add_up() {
    let daemon = Daemon::start();
    let before = parse(&daemon.metrics());
    let name = "atlaskv_request_duration_seconds";
    // Without a sample a family says nothing, and it is valid so.
    assert!(before[name].samples.is_empty());
    do_everything(&daemon);
    let after = parse(&daemon.metrics());
    let samples = &after[name].samples;
    for operation in OPERATIONS {
        let label = format!("operation=\"{operation}\"");
        let of = |suffix: &str| -> Vec<f64> {
            let name = format!("{name}{suffix}");
            let samples = samples
                .iter()
                .filter(|it| it.0 == name && it.1.contains(&label));
            samples.map(|it| it.2).collect()
        };
        let (buckets, count, sum) = (of("_bucket"), of("_count"), of("_sum"));
        assert!(count[0] >= 1.0, "{operation} was not counted");
        assert_eq!(buckets.len(), 22, "{operation}");
        assert!(buckets.is_sorted(), "{operation}: {buckets:?}");
        assert_eq!(buckets.last(), count.first(), "{operation}");
        assert!(sum[0] > 0.0, "{operation} took no time");
    }
    let stats = daemon.client().stats().unwrap();
    for operation in OPERATIONS {
        for figure in ["count", "p50_us", "p90_us", "p99_us", "p999_us", "max_us"] {
            let name = format!("latency.{operation}.{figure}");
            assert!(stats.iter().any(|it| it.0 == name), "no {name}");
        }
    }
}

#[test]
fn the_document_lists_every_metric() {
    let daemon = Daemon::start();
    do_everything(&daemon);
    let mut listed = BTreeMap::new();
    for line in read("docs/monitoring.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", name, kind, _, meaning, ""] = cells[..]
            && name.starts_with("`atlaskv_")
        {
            let name = name.trim_matches('`').to_owned();
            listed.insert(name, (kind.to_owned(), format!("{meaning}.")));
        }
    }
    let families = parse(&daemon.metrics()).into_iter();
    let told: BTreeMap<_, _> = families
        .map(|(name, family)| (family.listed(&name), (family.kind, family.help)))
        .collect();
    assert_eq!(listed, told);
}

#[test]
fn dashboard_and_rules_name_only_what_there_is() {
    let daemon = Daemon::start();
    do_everything(&daemon);
    let families = parse(&daemon.metrics());
    let samples = families.values().flat_map(|family| &family.samples);
    let there: BTreeSet<String> = samples.map(|sample| sample.0.clone()).collect();
    for path in [
        "packaging/monitoring/grafana-dashboard.json",
        "packaging/monitoring/atlaskv.rules.yml",
        "packaging/monitoring/atlaskv.tests.yml",
    ] {
        let named = names(&read(path));
        assert!(!named.is_empty(), "{path} names nothing");
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(missing.is_empty(), "{path} names {missing:?}");
    }
}

#[test]
fn promtool_accepts_the_rules_and_what_the_dashboard_asks() {
    let file = |name: &str| {
        repository("packaging/monitoring")
            .join(name)
            .display()
            .to_string()
    };
    assert_done(promtool(&["check", "rules", &file("atlaskv.rules.yml")]));
    assert_done(promtool(&["test", "rules", &file("atlaskv.tests.yml")]));
    assert_done(promtool(&["check", "config", &file("prometheus.yml")]));

    let dashboard: Value =
        serde_json::from_str(&read("packaging/monitoring/grafana-dashboard.json")).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["type"], "datasource");
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let rules = targets.map(|target| {
        assert_eq!(target["datasource"]["uid"], "${datasource}");
        let expression = target["expr"].as_str().unwrap();
        json!({ "record": "asked", "expr": expression.replace("$__rate_interval", "1m") })
    });
    let rules: Vec<_> = rules.collect();
    assert!(rules.len() > 20, "{rules:?}");
    // JSON is YAML.
    let rules = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dashboard.yml");
    fs::write(&path, rules.to_string()).unwrap();
    assert_done(promtool(&["check", "rules", path.to_str().unwrap()]));
}

#[test]
fn health_is_ok_while_writes_are_taken() {
    let daemon = Daemon::start();
    let (head, body) = daemon.get("/health");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body, "ok\n");
}

#[test]
fn an_address_that_is_taken_is_named_and_keeps_the_daemon_from_starting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = tempfile::tempdir().unwrap();
    let output = spawn(home.path(), &address).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let said = String::from_utf8_lossy(&output.stderr);
    let names_it = said.contains(&format!("cannot listen on {address} for metrics"));
    assert!(names_it && said.contains("[metrics] listen"), "{said}");
}
