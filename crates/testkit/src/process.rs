//! A child process whose output is collected and which cannot outlive its test.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::wait::eventually;

/// Where programs of the system lie that are not on the path of every user.
const SYSTEM_DIRS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A program by its name, also where only root looks for it.
pub(crate) fn program(name: &str) -> PathBuf {
    let mut there = SYSTEM_DIRS.iter().map(|dir| Path::new(dir).join(name));
    there.find(|path| path.exists()).unwrap_or_else(|| name.into())
}

/// Whether the tests run as root, who may do what others may not.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

/// What a process has written so far, from both of its streams, by line.
#[derive(Debug, Default)]
struct Output {
    state: Mutex<OutputState>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct OutputState {
    lines: Vec<String>,
    closed_streams: usize,
}

/// Standard output and standard error.
const STREAMS: usize = 2;

impl Process {
    /// Starts a program with no input; `name` is what errors call it.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| {
            format!(
                "{name}: {} did not start",
                command.get_program().to_string_lossy()
            )
        })?;
        let output = Arc::new(Output::default());
        let stdout = child.stdout.take().context("standard output is piped above")?;
        let stderr = child.stderr.take().context("standard error is piped above")?;
        collect(stdout, Arc::clone(&output));
        collect(stderr, Arc::clone(&output));
        Ok(Self {
            name: name.into(),
            child,
            output,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far, both streams, in the order in which it was read.
    #[must_use]
    pub fn log(&self) -> String {
        self.output.lock().lines.join("\n")
    }

    /// Waits for a line for which `pick` has an answer. Ends early when the process has closed its output.
    pub fn line<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + deadline;
        let mut state = self.output.lock();
        let mut seen = 0;
        loop {
            if let Some(found) = state.lines[seen..].iter().find_map(|line| pick(line)) {
                return Ok(found);
            }
            seen = state.lines.len();
            let left = end.saturating_duration_since(Instant::now());
            if state.closed_streams == STREAMS {
                bail!(
                    "{} ended without {what}; it wrote:\n{}",
                    self.name,
                    state.lines.join("\n")
                );
            }
            if left.is_zero() {
                bail!(
                    "{}: no {what} within {deadline:?}; it wrote:\n{}",
                    self.name,
                    state.lines.join("\n")
                );
            }
            state = self
                .output
                .grown
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Sends a signal. A process that has ended already is an error.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.exit_status()? {
            bail!(
                "{} has ended already, with {status}; it wrote:\n{}",
                self.name,
                self.log()
            );
        }
        // Not reaped yet, so the number still is this process and no other.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("{} is no process id", self.child.id()))?;
        kill_process(pid, signal).with_context(|| format!("{}: {signal:?} was not sent", self.name))
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("{}: its state cannot be read", self.name))
    }

    /// Waits until it has ended and all it wrote is collected.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let output = Arc::clone(&self.output);
        eventually(&format!("the end of {name}"), deadline, || {
            match self.exit_status() {
                Ok(Some(status)) if output.lock().closed_streams == STREAMS => Ok(status),
                Ok(Some(status)) => Err(format!("{status}, its output still held open")),
                Ok(None) => Err(format!("running, it wrote:\n{}", output.lock().lines.join("\n"))),
                Err(error) => Err(error.to_string()),
            }
        })
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr, reason = "the test harness shows it with the failure")]
    fn drop(&mut self) {
        // Both fail only for a process that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- {} (pid {}) wrote:\n{}",
                self.name,
                self.child.id(),
                self.log()
            );
        }
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, OutputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a stream to its end on a thread of its own, so that the process never waits for its reader.
fn collect(stream: impl Read + Send + 'static, output: Arc<Output>) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        // An unreadable pipe is treated as closed.
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            output.lock().lines.push(text);
            output.grown.notify_all();
            line.clear();
        }
        output.lock().closed_streams += 1;
        output.grown.notify_all();
    });
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::PATIENCE;

    fn shell(script: &str) -> Process {
        Process::spawn("the shell", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn output_of_both_streams_is_collected() {
        let mut process = shell("echo out; echo err >&2; exit 3");
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(3));
        let log = process.log();
        let mut lines: Vec<_> = log.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_line_is_waited_for_and_picked_apart() {
        let process = shell("echo starting; echo port=4711; exec tail -f /dev/null");
        let port = process
            .line("port", PATIENCE, |line| {
                line.strip_prefix("port=").map(String::from)
            })
            .unwrap();
        assert_eq!(port, "4711");
    }

    #[test]
    fn a_process_that_ends_early_says_what_it_wrote() {
        let process = shell("echo cannot open the database");
        let error = process.line("port", PATIENCE, |line| {
            line.strip_prefix("port=").map(String::from)
        });
        let message = error.unwrap_err().to_string();
        assert_eq!(
            message,
            "the shell ended without port; it wrote:\ncannot open the database"
        );
    }

    #[test]
    fn signals_arrive_and_a_dead_process_takes_none() {
        let mut process = shell("exec tail -f /dev/null");
        process.signal(Signal::TERM).unwrap();
        assert_eq!(
            process.wait(PATIENCE).unwrap().signal(),
            Some(Signal::TERM.as_raw())
        );
        assert!(
            process
                .signal(Signal::TERM)
                .unwrap_err()
                .to_string()
                .contains("has ended already")
        );
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let process = shell("exec tail -f /dev/null");
        let proc_entry = format!("/proc/{}", process.pid());
        assert!(std::path::Path::new(&proc_entry).exists());
        drop(process);
        assert!(!std::path::Path::new(&proc_entry).exists());
    }
}
