//! What is done with a store, step by step, in a process that has nothing else to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::keys::{self, Order, PAIR, Values};
use crate::process;
use crate::store::{Holds, Kind, Settings, Store};

/// What a step measured, by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// The store that a process opens, and the data it is asked about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) kind: Kind,
    pub(crate) dir: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) keys: u64,
    pub(crate) seed: u64,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Puts every key once, in random order, in one thread.
    Fill,
    /// Flushes and compacts everything, and waits until nothing is written any more.
    Settle,
    /// Flushes, and waits until nothing is written any more: what the engine compacts by itself.
    Quiesce,
    /// Reads every key once and verifies it.
    Warm,
    /// Gets keys chosen at random, all present or all missing.
    Read {
        hit: bool,
        threads: u64,
        seconds: f64,
    },
    /// Reads every entry in order.
    Scan,
    /// Three readers, and a writer that overwrites as fast as it can, or none.
    ReadBeside { writer: bool, seconds: f64 },
    /// Puts new keys in so many threads; the store was opened to sync each.
    Durable { threads: u64, seconds: f64 },
    /// Puts keys chosen at random, in one thread, so often for each key.
    Overwrite { times: u64 },
    /// Ends the process as a power cut would.
    Die,
}

const READERS: u64 = 3;
/// Nothing written for so long: background work is over.
const QUIET: Duration = Duration::from_millis(1000);
const LOOK: Duration = Duration::from_millis(50);
const LONGEST_QUIESCE: Duration = Duration::from_secs(900);

/// A store at work.
pub(crate) struct Bench {
    job: Job,
    store: Box<dyn Store>,
    order: Order,
    values: Values,
    /// Bytes written when the present phase began, and logical bytes put since.
    written: u64,
    put: u64,
}

impl Bench {
    /// Opens the store; how long that took is the first figure.
    pub(crate) fn open(job: Job) -> (Bench, Figures) {
        let started = Instant::now();
        let store = job.kind.open(&job.dir, job.settings);
        let took = started.elapsed().as_secs_f64();
        let order = Order::new(job.keys, job.seed);
        let values = Values::new(job.seed);
        let bench = Bench {
            job,
            store,
            order,
            values,
            written: 0,
            put: 0,
        };
        (bench, Figures::from([("s".to_owned(), took)]))
    }

    /// Does a step; what it measured.
    pub(crate) fn run(&mut self, step: Step) -> Figures {
        let mut figures = match step {
            Step::Fill => self.fill(),
            Step::Settle => self.settle(true),
            Step::Quiesce => self.settle(false),
            Step::Warm => self.warm(),
            Step::Read {
                hit,
                threads,
                seconds,
            } => self.read(hit, threads, seconds, None),
            Step::Scan => self.scan(),
            Step::ReadBeside { writer, seconds } => {
                let writes = AtomicU64::new(0);
                self.read(true, READERS, seconds, writer.then_some(&writes))
            }
            Step::Durable { threads, seconds } => self.durable(threads, seconds),
            Step::Overwrite { times } => self.overwrite(times),
            Step::Die => process::die(),
        };
        let peak = process::memory_kib(std::process::id(), "VmHWM");
        figures.insert("peak_rss_mib".to_owned(), peak as f64 / 1024.0);
        figures
    }

    fn fill(&mut self) -> Figures {
        self.begin_phase();
        let order = self.order;
        self.puts(self.job.keys, |place| order.at(place))
    }

    fn overwrite(&mut self, times: u64) -> Figures {
        self.begin_phase();
        let keys = self.job.keys;
        let mut random = fastrand::Rng::with_seed(self.job.seed);
        self.puts(times * keys, |_| random.u64(..keys))
    }

    fn begin_phase(&mut self) {
        self.written = process::write_bytes(std::process::id());
        self.put = 0;
    }

    fn puts(&mut self, count: u64, mut number: impl FnMut(u64) -> u64) -> Figures {
        let mut timer = Timer::start();
        for place in 0..count {
            let number = number(place);
            self.store
                .put(&keys::present(number), &self.values.of(number));
            timer.lap();
        }
        self.put += count * PAIR;
        timer.figures()
    }

    /// Write amplification is since the phase began.
    fn settle(&mut self, whole: bool) -> Figures {
        let started = Instant::now();
        if whole {
            self.store.compact();
        } else {
            self.store.flush();
        }
        let busy = until_quiet(started);
        let pid = std::process::id();
        let written = process::write_bytes(pid) - self.written;
        let live = (self.job.keys * PAIR) as f64;
        let bytes = |holds| allocated(&self.job.dir, self.job.kind, holds) as f64;
        let mib = f64::from(1 << 20);
        Figures::from([
            ("s".to_owned(), busy.as_secs_f64()),
            (
                "write_amp".to_owned(),
                written as f64 / self.put.max(1) as f64,
            ),
            ("space_amp".to_owned(), bytes(Holds::Data) / live),
            ("log_mib".to_owned(), bytes(Holds::Log) / mib),
            ("reserve_mib".to_owned(), bytes(Holds::Reserve) / mib),
        ])
    }

    fn warm(&mut self) -> Figures {
        for number in 0..self.job.keys {
            self.get(true, self.order.at(number));
        }
        Figures::new()
    }

    fn get(&self, hit: bool, number: u64) {
        if !hit {
            assert!(!self.store.get(&keys::missing(number), &mut |_| ()));
            return;
        }
        let mut whole = false;
        let seen = &mut |value: &[u8]| whole = keys::belongs(value, number);
        let found = self.store.get(&keys::present(number), seen);
        assert!(found && whole, "{} lost key {number}", self.job.kind.name());
    }

    /// Reads in so many threads; beside a writer, which counts its writes, if there is to be one.
    fn read(&self, hit: bool, threads: u64, seconds: f64, writes: Option<&AtomicU64>) -> Figures {
        let over = &AtomicBool::new(false);
        let started = Instant::now();
        let timers = std::thread::scope(|scope| {
            let reader = move |thread: u64| self.reader(hit, thread, over);
            let readers: Vec<_> = (0..threads)
                .map(|thread| scope.spawn(move || reader(thread)))
                .collect();
            if let Some(writes) = writes {
                scope.spawn(move || self.writer(writes, over));
            }
            std::thread::sleep(Duration::from_secs_f64(seconds));
            over.store(true, Ordering::Relaxed);
            let timers = readers.into_iter().map(|reader| reader.join().unwrap());
            timers.collect::<Vec<_>>()
        });
        let took = started.elapsed().as_secs_f64();
        let mut figures = Timer::merged(timers).figures();
        if let Some(writes) = writes {
            let writes = writes.load(Ordering::Relaxed) as f64;
            figures.insert("writes_per_s".to_owned(), writes / took);
        }
        figures
    }

    fn reader(&self, hit: bool, thread: u64, over: &AtomicBool) -> Timer {
        let mut random = fastrand::Rng::with_seed(self.job.seed + 1 + thread);
        let mut timer = Timer::start();
        while !over.load(Ordering::Relaxed) {
            self.get(hit, random.u64(..self.job.keys));
            timer.lap();
        }
        timer
    }

    fn writer(&self, writes: &AtomicU64, over: &AtomicBool) {
        let mut random = fastrand::Rng::with_seed(self.job.seed);
        while !over.load(Ordering::Relaxed) {
            let number = random.u64(..self.job.keys);
            self.store
                .put(&keys::present(number), &self.values.of(number));
            writes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn scan(&self) -> Figures {
        let (mut entries, mut bytes) = (0_u64, 0);
        let started = Instant::now();
        self.store.scan(&mut |key, value| {
            entries += 1;
            bytes += key.len() + value.len();
        });
        let took = started.elapsed().as_secs_f64();
        assert_eq!(
            (entries, bytes as u64),
            (self.job.keys, self.job.keys * PAIR)
        );
        Figures::from([("per_s".to_owned(), entries as f64 / took)])
    }

    fn durable(&mut self, threads: u64, seconds: f64) -> Figures {
        // Not those of a fill, and others with each number of threads.
        let next = AtomicU64::new(threads << 32);
        let order = Order::new(1 << 40, self.job.seed);
        let started = Instant::now();
        let timers = std::thread::scope(|scope| {
            let writer = || {
                let mut timer = Timer::start();
                while started.elapsed().as_secs_f64() < seconds {
                    let number = order.at(next.fetch_add(1, Ordering::Relaxed));
                    self.store
                        .put(&keys::present(number), &self.values.of(number));
                    timer.lap();
                }
                timer
            };
            let writers: Vec<_> = (0..threads).map(|_| scope.spawn(writer)).collect();
            let timers = writers.into_iter().map(|writer| writer.join().unwrap());
            timers.collect::<Vec<_>>()
        });
        Timer::merged(timers).figures()
    }
}

/// Waits until this process has written nothing for a while; how long it was busy.
fn until_quiet(started: Instant) -> Duration {
    let pid = std::process::id();
    let mut last = (process::write_bytes(pid), Instant::now());
    while last.1.elapsed() < QUIET && started.elapsed() < LONGEST_QUIESCE {
        std::thread::sleep(LOOK);
        let written = process::write_bytes(pid);
        if written != last.0 {
            last = (written, Instant::now());
        }
    }
    last.1 - started
}

/// Bytes allocated for the files of a store that hold this.
fn allocated(dir: &Path, kind: Kind, holds: Holds) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let size = |entry: std::fs::DirEntry| {
        // A file may be removed meanwhile.
        let Ok(metadata) = entry.metadata() else {
            return 0;
        };
        if metadata.is_dir() {
            return allocated(&entry.path(), kind, holds);
        }
        let name = entry.file_name();
        let is_it = kind.holds(&name.to_string_lossy()) == holds;
        if is_it { metadata.blocks() * 512 } else { 0 }
    };
    entries.flatten().map(size).sum()
}

/// Takes the time from each operation's end to the next one's.
struct Timer {
    started: Instant,
    last: Instant,
    nanoseconds: Histogram<u64>,
}

const LONGEST: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;

impl Timer {
    fn start() -> Timer {
        let nanoseconds = Histogram::new_with_max(LONGEST, DIGITS).unwrap();
        let now = Instant::now();
        Timer {
            started: now,
            last: now,
            nanoseconds,
        }
    }

    fn lap(&mut self) {
        let now = Instant::now();
        let took = (now - self.last).as_nanos() as u64;
        self.nanoseconds.saturating_record(took);
        self.last = now;
    }

    /// Of several threads at once: from the first start to the last operation's end.
    fn merged(timers: Vec<Timer>) -> Timer {
        let merged = timers.into_iter().reduce(|mut merged, timer| {
            merged.nanoseconds.add(&timer.nanoseconds).unwrap();
            merged.started = merged.started.min(timer.started);
            merged.last = merged.last.max(timer.last);
            merged
        });
        merged.unwrap_or_else(Timer::start)
    }

    fn figures(&self) -> Figures {
        let took = (self.last - self.started).as_secs_f64();
        let us = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
        let at = |quantile| us(self.nanoseconds.value_at_quantile(quantile));
        Figures::from([
            ("per_s".to_owned(), self.nanoseconds.len() as f64 / took),
            ("p50_us".to_owned(), at(0.5)),
            ("p99_us".to_owned(), at(0.99)),
            ("p999_us".to_owned(), at(0.999)),
            ("max_us".to_owned(), us(self.nanoseconds.max())),
        ])
    }
}
