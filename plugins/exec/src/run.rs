//! One run of a program: feeds it, reads it, and ends it with all it has started. Knows nothing of alerts.

use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use watchpost_sink::process::end_with_us;

use crate::output::Output;

/// How long a program has to end by itself when it is asked to. The host kills the plugin two seconds after a cancel.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How often a run looks whether it is cancelled.
const TICK: Duration = Duration::from_millis(50);

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 4096;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with this exit code.
    Exited(u8),
    /// By this signal, which was not ours.
    Killed(i32),
    /// By us: it took longer than this.
    TooLong(Duration),
    /// By us: the call was cancelled.
    Cancelled,
}

/// Runs the program until it has ended, and everything in its process group with it.
///
/// # Errors
/// When it cannot be started or watched.
pub(crate) fn run(
    mut command: Command,
    input: &[u8],
    limit: Option<Duration>,
    cancelled: impl Fn() -> bool,
    output: &mut Output<'_>,
) -> io::Result<Ending> {
    let (mut reader, writer) = io::pipe()?;
    command
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    end_with_us(&mut command);
    let mut group = Group::new(command.spawn()?)?;
    // With it goes our end of what it writes to, which would keep the pipe open.
    drop(command);
    ioctl_fionbio(&reader, true)?;
    let mut stdin = group.child.stdin.take();
    if let Some(stdin) = &stdin {
        ioctl_fionbio(stdin, true)?;
    }
    let mut run = Run {
        input,
        open: true,
        started: Instant::now(),
        limit,
        asked: None,
    };
    loop {
        let ended = wait(&group.watch, stdin.as_ref(), run.open.then_some(&reader))?;
        if run.open {
            run.open = drain(&mut reader, output)?;
        }
        if ended {
            break;
        }
        if !feed(&mut stdin, &mut run.input) {
            stdin = None;
        }
        run.end_if_due(&group, &cancelled);
    }
    let status = group.end()?;
    if run.open {
        drain(&mut reader, output)?;
    }
    Ok(match (run.asked, status.code(), status.signal()) {
        (Some((why, _)), ..) => why,
        (None, Some(code), _) => Ending::Exited(code.to_le_bytes()[0]),
        (None, None, signal) => Ending::Killed(signal.unwrap_or_default()),
    })
}

/// What changes while a program runs.
#[derive(Debug)]
struct Run<'a> {
    /// What it has not read yet.
    input: &'a [u8],
    /// Whether anybody can still print.
    open: bool,
    started: Instant,
    limit: Option<Duration>,
    /// Why and when it was asked to end.
    asked: Option<(Ending, Instant)>,
}

impl Run<'_> {
    /// Asks a program to end that takes too long or is not wanted any more, and ends one that does not listen.
    fn end_if_due(&mut self, group: &Group, cancelled: &impl Fn() -> bool) {
        if let Some((_, asked)) = self.asked {
            if asked.elapsed() >= GRACE {
                group.signal(Signal::KILL);
            }
            return;
        }
        let too_long = self.limit.filter(|limit| self.started.elapsed() >= *limit);
        let why = match too_long {
            _ if cancelled() => Ending::Cancelled,
            Some(limit) => Ending::TooLong(limit),
            None => return,
        };
        group.signal(Signal::TERM);
        self.asked = Some((why, Instant::now()));
    }
}

/// A program and all that it starts, ended with this.
#[derive(Debug)]
struct Group {
    child: Child,
    pid: Option<Pid>,
    /// Readable as soon as the program has ended.
    watch: OwnedFd,
}

impl Group {
    fn new(mut child: Child) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let watch = pid
            .ok_or(Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        match watch {
            Ok(watch) => Ok(Self { child, pid, watch }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // Fails when the group has ended, which is what was wanted.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Ends what is left of the group. Until the program is waited for, the group's number belongs to no other process.
    fn end(&mut self) -> io::Result<std::process::ExitStatus> {
        self.signal(Signal::KILL);
        self.pid = None;
        self.child.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.pid.is_some() {
            // Nothing is left to report to.
            let _ = self.end();
        }
    }
}

/// Waits for something to do, one tick at the most. Whether the program has ended.
fn wait(watch: &OwnedFd, stdin: Option<&ChildStdin>, reader: Option<&PipeReader>) -> io::Result<bool> {
    let mut fds = vec![PollFd::new(watch, PollFlags::IN)];
    fds.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
    fds.extend(reader.map(|reader| PollFd::new(reader, PollFlags::IN)));
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: TICK.subsec_nanos().into(),
    };
    match poll(&mut fds, Some(&tick)) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there. Whether more may come.
fn drain(reader: &mut PipeReader, output: &mut Output<'_>) -> io::Result<bool> {
    let mut chunk = [0; CHUNK_BYTES];
    // A program that prints without end must not keep us from looking at the clock.
    for _ in 0..16 {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(read) => output.take(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes what the program takes. Whether there is more to write.
fn feed(stdin: &mut Option<ChildStdin>, input: &mut &[u8]) -> bool {
    let Some(stdin) = stdin else { return false };
    while !input.is_empty() {
        match stdin.write(input) {
            Ok(written) => *input = &input[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It does not want to read it, which is its own affair.
            Err(_) => return false,
        }
    }
    false
}
