//! The process of a hub whose clock is steered, from outside.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use watchpost_core::UnixMillis;
use watchpost_testkit::{PATIENCE, Process, Signal, artefacts, eventually};

use super::hub;

/// The time on a machine, whether its hub runs or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// What the clock on the wall shows.
    pub(crate) now: UnixMillis,
    /// Time since the machine was started.
    pub(crate) steady: Duration,
}

/// A running hub. Dropping it kills it.
pub(crate) struct Steered {
    process: Process,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Steered {
    /// Starts it. It has its parts and serves, and no time has gone by.
    pub(crate) fn start(dir: &Path, time: Time, backend: u32) -> Result<Self> {
        let socket = hub::steering_socket(dir);
        // That of the process before.
        drop(std::fs::remove_file(&socket));
        let listener = UnixListener::bind(&socket)?;
        listener.set_nonblocking(true)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--exact", hub::TEST, "--nocapture"])
            .env(hub::DIR, dir)
            .env(hub::NOW, time.now.0.to_string())
            .env(hub::STEADY, time.steady.as_millis().to_string())
            .env(hub::SINKHOST, artefacts()?.binary("watchpost-sinkhost")?);
        let mut process = Process::spawn("the steered hub", &mut command)?;
        let accepted = eventually("the hub's start", PATIENCE * 2, || {
            match process.exit_status().map_err(|error| error.to_string())? {
                Some(status) => Ok(Err(status)),
                None => listener.accept().map(Ok).map_err(|error| error.to_string()),
            }
        })?;
        let Ok((orders, _)) = accepted else {
            bail!("the hub has ended: {accepted:?}; it wrote:\n{}", process.log());
        };
        orders.set_nonblocking(false)?;
        let answers = BufReader::new(orders.try_clone()?);
        let mut steered = Self {
            process,
            orders,
            answers,
        };
        steered.watch(backend)?;
        steered.go(Duration::ZERO)?;
        Ok(steered)
    }

    /// The backend is this process now.
    pub(crate) fn watch(&mut self, backend: u32) -> Result<()> {
        self.order(&format!("watch {backend}"))
    }

    /// Lets so much time go by, and what follows happen.
    pub(crate) fn go(&mut self, time: Duration) -> Result<()> {
        self.order(&format!("go {}", time.as_millis()))
    }

    /// Its clock is set by so many milliseconds.
    pub(crate) fn set_by(&mut self, millis: i64) -> Result<()> {
        self.order(&format!("set {millis}"))
    }

    fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(
            answer == "done\n",
            "to `{order}` the hub says `{answer}`; it wrote:\n{}",
            self.process.log()
        );
        Ok(())
    }

    /// Ends it at once, and waits until its children have noticed.
    pub(crate) fn kill(mut self) -> Result<()> {
        let children = children(self.process.pid());
        self.process.signal(Signal::KILL)?;
        self.process.wait(PATIENCE)?;
        eventually("the end of its children", PATIENCE, || {
            let mut left = children.iter();
            match left.find(|child| is_a_process(child)) {
                Some(child) => Err(format!("{child} still runs")),
                None => Ok(()),
            }
        })
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

fn children(process: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Whether it still is one: what has ended and no one has asked for is none any more.
fn is_a_process(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// The file of a clock that shows this.
pub(crate) fn make_clock(dir: &Path, now: UnixMillis) -> Result<File> {
    let file = File::create(super::clock::clock_file(dir)).context("a clock")?;
    super::clock::write_time(&file, now)?;
    Ok(file)
}
