//! An engine in a process of its own, so that memory and written bytes are its own: one step a line on its standard
//! input, what it measured a line on its standard output. It ends at the end of its input.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crate::process::{self, Owned};
use crate::workloads::{Bench, Figures, Job, Step};

/// The side that asks.
pub(crate) struct Child {
    process: Owned,
    steps: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of opening the store.
    pub(crate) opened: Figures,
}

impl Child {
    pub(crate) fn start(job: &Job) -> io::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("child")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Owned::start(&mut command)?;
        let steps = process.0.stdin.take().unwrap();
        let answers = BufReader::new(process.0.stdout.take().unwrap());
        let mut child = Child {
            process,
            steps,
            answers,
            opened: Figures::new(),
        };
        child.send(job)?;
        child.opened = child.receive()?;
        Ok(child)
    }

    pub(crate) fn run(&mut self, step: Step) -> io::Result<Figures> {
        self.send(&step)?;
        self.receive()
    }

    /// Lets the process kill itself.
    pub(crate) fn die(mut self) -> io::Result<()> {
        self.send(&Step::Die)?;
        self.process.0.wait().map(drop)
    }

    fn send(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.steps, line)?;
        self.steps.write_all(b"\n")?;
        self.steps.flush()
    }

    fn receive(&mut self) -> io::Result<Figures> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            let status = self.process.0.wait()?;
            return Err(io::Error::other(format!(
                "an engine's process ended: {status}"
            )));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// The side that is asked.
pub(crate) fn serve() -> io::Result<()> {
    process::end_with_parent()?;
    let mut lines = io::stdin().lines();
    let mut answers = io::stdout();
    let Some(job) = lines.next() else {
        return Ok(());
    };
    let (mut bench, mut figures) = Bench::open(serde_json::from_str(&job?)?);
    loop {
        serde_json::to_writer(&mut answers, &figures)?;
        answers.write_all(b"\n")?;
        answers.flush()?;
        let Some(step) = lines.next() else {
            // Nothing is to be kept, so nothing is closed.
            std::process::exit(0);
        };
        figures = bench.run(serde_json::from_str(&step?)?);
    }
}
