//! Starting and reaping the child's process. Knows nothing of plugins.
#![allow(unsafe_code, reason = "tokio asks for a promise about descriptors it watches")]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::ioctl_fionbio;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::ExitKind;

/// What a plugin gets of the hub's environment. Secrets may stand in the rest.
const PASSED_ENVIRONMENT: [&str; 10] = [
    "CREDENTIALS_DIRECTORY",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "RUST_BACKTRACE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
];

/// A child with the ends of its channels, none of which blocks.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) process: Process,
    pub(crate) socket: AsyncFd<OwnedFd>,
    pub(crate) stdout: AsyncFd<OwnedFd>,
    pub(crate) stderr: AsyncFd<OwnedFd>,
}

/// Starts `host_binary` with a socket as its stdin. `instance` is for the reader of `ps` only.
pub(crate) fn spawn(host_binary: &Path, instance: &str) -> io::Result<Spawned> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut command = Command::new(host_binary);
    command
        .arg(instance)
        .stdin(theirs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A group of its own: Ctrl-C at a terminal is for the hub, which stops its children in order, and what the
    // plugin has started dies with it.
    command.process_group(0);
    command.env_clear();
    command.envs(
        PASSED_ENVIRONMENT
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    let mut child = command.spawn()?;
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(io::ErrorKind::InvalidData)?;
    // From here on the process is reaped whatever fails.
    let process = Process::new(pid)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    Ok(Spawned {
        process,
        socket: nonblocking(ours, Interest::READABLE | Interest::WRITABLE)?,
        stdout: nonblocking(stdout.into(), Interest::READABLE)?,
        stderr: nonblocking(stderr.into(), Interest::READABLE)?,
    })
}

fn nonblocking(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    ioctl_fionbio(&fd, true)?;
    watch(fd, interest)
}

fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one descriptor, open until it is dropped, which `AsyncFd` does after deregistering.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

/// A child process that is reaped when this is dropped, if it was not before.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl Process {
    fn new(pid: Pid) -> io::Result<Self> {
        let watched = pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|pidfd| watch(pidfd, Interest::READABLE));
        match watched {
            Ok(pidfd) => Ok(Self {
                pid,
                pidfd,
                reaped: false,
            }),
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                Err(error)
            }
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Waits until it is dead. It stays to be reaped.
    pub(crate) async fn exited(&self) {
        // The kernel reports an error only for a descriptor that is not watched, and this one is.
        let _ = self.pidfd.readable().await;
    }

    /// Kills it and all it has started.
    pub(crate) fn kill(&self) {
        // It fails only when no process is left to kill. The number cannot be another's: we have not reaped.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// Reaps it, waiting for its death if need be, and says how it ended.
    pub(crate) fn reap(&mut self) -> ExitKind {
        self.kill();
        self.reaped = true;
        let status = rustix::io::retry_on_intr(|| {
            waitid(WaitId::PidFd(self.pidfd.get_ref().as_fd()), WaitIdOptions::EXITED)
        });
        match status {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitKind::Code(code),
                (None, Some(signal)) => ExitKind::Signal(signal),
                (None, None) => ExitKind::ProtocolViolation("its exit status is of no known kind".into()),
            },
            // Other code in this process has waited for all children.
            Ok(None) | Err(_) => {
                ExitKind::ProtocolViolation("its exit status was taken by other code of this process".into())
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.reap();
        }
    }
}
