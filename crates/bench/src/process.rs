//! A process under measurement. It is asked to end, and it cannot outlive the run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end when asked to.
const GRACE: Duration = Duration::from_secs(20);

/// How often an exit is looked for.
const POLL: Duration = Duration::from_millis(5);

/// The most of a log that an error repeats, in bytes.
const LOG_TAIL_BYTES: usize = 2_000;

/// A running process with its log.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// When it was started.
    pub(crate) started: Instant,
}

impl Process {
    /// Starts a program; what it says goes into the log file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let output = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
            started,
        })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it said, to explain a failure.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let tail = text
            .get(text.len().saturating_sub(LOG_TAIL_BYTES)..)
            .unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        self.wait_at_most(GRACE)
    }

    /// Asks it to end with SIGTERM; an exit code other than 0 is an error that repeats its log.
    pub(crate) fn terminate(mut self) -> Result<()> {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).context("the process ended before it was asked to")?;
        }
        let status = self.wait_at_most(GRACE)?;
        if !status.success() {
            bail!(
                "the process ended with {status}; its log ends with:\n{}",
                self.log_tail()
            );
        }
        Ok(())
    }

    fn wait_at_most(&mut self, grace: Duration) -> Result<ExitStatus> {
        let asked = Instant::now();
        while asked.elapsed() < grace {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        bail!(
            "the process did not end within {grace:?}; its log ends with:\n{}",
            self.log_tail()
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
