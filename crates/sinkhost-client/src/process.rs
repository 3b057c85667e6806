//! A child's process: watched, killed with all that it has started, reaped. Knows nothing of plugins.
#![allow(unsafe_code, reason = "tokio asks for a promise about descriptors it watches")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::param::clock_ticks_per_second;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use crate::ExitKind;
use crate::autogroup::Autogroup;
use crate::family::Family;
use crate::share::{Given, Share};

/// How often what a child has started is looked for after its end. Each look kills what it finds.
const SWEEPS: u32 = 50;
/// Between two looks.
const SWEEP_PAUSE: Duration = Duration::from_millis(20);
/// Why the kernel has ended all processes of a cgroup.
const OUT_OF_MEMORY: &str = "its processes together held more than the `memory` of its [sink.sandbox]";
/// How long a process that is dropped is waited for.
const DROP_WAIT: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Killed processes that were not dead when they were last looked at: they wait in the kernel.
static LINGERING: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// A child process that is reaped when this is dropped, if it was not before.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    /// `None` once it is reaped or given to the lingering ones.
    pidfd: Option<AsyncFd<OwnedFd>>,
    /// What it has started.
    family: Family,
    autogroup: Autogroup,
}

impl Process {
    /// Takes over a process that was just started.
    pub(crate) fn new(pid: Pid, family: Family) -> io::Result<Self> {
        reap_lingering();
        let watched = pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|pidfd| watch(pidfd, Interest::READABLE));
        match watched {
            Ok(pidfd) => Ok(Self {
                pid,
                pidfd: Some(pidfd),
                family,
                autogroup: Autogroup::of(pid.as_raw_pid().unsigned_abs()),
            }),
            Err(error) => {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                Err(error)
            }
        }
    }

    /// Moves it into its cgroup, if it has one. On failure its family is found `otherwise`.
    pub(crate) fn enter_cgroup(&mut self, otherwise: Family) -> Result<(), String> {
        if let Family::Grouped(group) = &self.family
            && let Err(why) = group.take_in(self.pid)
        {
            self.family = otherwise;
            return Err(why);
        }
        Ok(())
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// The processor time that it has used: in a cgroup with all that it has started, else by itself. `None` when it is gone.
    pub(crate) fn used(&self) -> Option<Duration> {
        match &self.family {
            Family::Grouped(group) => group.used(),
            Family::Alone | Family::Marked(_) => {
                let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
                used(&stat, clock_ticks_per_second())
            }
        }
    }

    /// Has it get this share of processors that others want too.
    pub(crate) fn give(&self, share: Share) -> Given {
        match &self.family {
            Family::Grouped(group) => group.give(share),
            Family::Alone | Family::Marked(_) => self.autogroup.slow(share == Share::Rest),
        }
    }

    /// Waits until it is dead. It stays to be reaped.
    pub(crate) async fn exited(&self) {
        match &self.pidfd {
            // The kernel reports an error only for a descriptor that is not watched, and this one is.
            Some(pidfd) => drop(pidfd.readable().await),
            None => std::future::pending().await,
        }
    }

    /// Kills it, by the descriptor that no number can be mistaken for, and what is in its group.
    pub(crate) fn kill(&self) {
        self.family.kill_grouped();
        let Some(pidfd) = &self.pidfd else { return };
        // Both fail only when no process is left to kill. The group's number is taken while this one is not reaped.
        let _ = pidfd_send_signal(pidfd.get_ref(), Signal::KILL);
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// Reaps it if it is dead, kills what it has started, and says how it ended. A process that is killed and does not
    /// die waits in the kernel, for a disk or a device; nothing can end that wait, and this does not share it.
    pub(crate) async fn end(&mut self) -> ExitKind {
        self.kill();
        let how = self.reap();
        for _ in 0..SWEEPS {
            if !self.family.kill_all(self.pid) {
                break;
            }
            sleep(SWEEP_PAUSE).await;
        }
        match how {
            ExitKind::Signal(9) if self.family.ran_out_of_memory() => {
                ExitKind::OverLimit(OUT_OF_MEMORY.to_owned())
            }
            how => how,
        }
    }

    fn reap(&mut self) -> ExitKind {
        let taken_by_other =
            || ExitKind::ProtocolViolation("its exit status was taken by other code of this process".into());
        let Some(pidfd) = self.pidfd.take() else {
            return taken_by_other();
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let pidfd = pidfd.into_inner();
        let status = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), options));
        match status {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitKind::Code(code),
                (None, Some(signal)) => ExitKind::Signal(signal),
                (None, None) => ExitKind::ProtocolViolation("its exit status is of no known kind".into()),
            },
            Ok(None) => {
                lingering().push(pidfd);
                ExitKind::Unkillable
            }
            Err(_) => taken_by_other(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(pidfd) = &self.pidfd {
            let mut fds = [PollFd::new(pidfd.get_ref(), PollFlags::IN)];
            let _ = poll(&mut fds, Some(&DROP_WAIT));
            self.reap();
        }
        self.family.kill_all(self.pid);
    }
}

/// Reaps those that have died since.
fn reap_lingering() {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    lingering().retain(|pidfd| matches!(waitid(WaitId::PidFd(pidfd.as_fd()), options), Ok(None)));
}

fn lingering() -> std::sync::MutexGuard<'static, Vec<OwnedFd>> {
    LINGERING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time in user mode and in the kernel in a `/proc/PID/stat`; the name before the state may hold anything.
fn used(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    // `utime` and `stime` are the 14th and 15th field, and the state behind the name is the third: proc_pid_stat(5).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()?.saturating_add(ticks()?);
    Some(Duration::from_millis(
        ticks.saturating_mul(1_000) / ticks_per_second.max(1),
    ))
}

/// Has the reactor watch a descriptor.
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one descriptor, open until it is dropped, which `AsyncFd` does after deregistering.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_as_the_kernel_writes_it() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 1 0 99 1000 10";
        assert_eq!(used(stat, 100), Some(Duration::from_millis(1_750)));
        assert_eq!(used("12 (sh) S 1 12", 100), None);
        assert_eq!(used("", 100), None);
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(used(&own, clock_ticks_per_second()).is_some(), "{own}");
    }
}
