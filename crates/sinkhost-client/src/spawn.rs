//! Starting the child's process, with its channels. Knows nothing of plugins.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::fstat;
use rustix::io::ioctl_fionbio;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::family::Family;
use crate::process::{Process, watch};

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
    /// The number by which the child's end of the socket is known.
    pub(crate) child_socket: u64,
    pub(crate) stdout: AsyncFd<OwnedFd>,
    pub(crate) stderr: AsyncFd<OwnedFd>,
}

/// Starts `host_binary` with a socket as its stdin. `instance` is for the reader of `ps` only. The program makes itself a
/// session of its own: Ctrl-C at a terminal is for the hub, which stops its children in order, and no group of the hub's
/// can be joined from there.
pub(crate) fn spawn(host_binary: &Path, instance: &str, family: Family) -> io::Result<Spawned> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let child_socket = fstat(&theirs)?.st_ino;
    let mut command = Command::new(host_binary);
    command
        .arg(instance)
        .stdin(theirs)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
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
    let process = Process::new(pid, family)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    Ok(Spawned {
        process,
        child_socket,
        socket: nonblocking(ours, Interest::READABLE | Interest::WRITABLE)?,
        stdout: nonblocking(stdout.into(), Interest::READABLE)?,
        stderr: nonblocking(stderr.into(), Interest::READABLE)?,
    })
}

fn nonblocking(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    ioctl_fionbio(&fd, true)?;
    watch(fd, interest)
}
