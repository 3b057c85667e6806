//! A program that the demo starts and ends with itself.

use std::path::PathBuf;
use std::process::{Child, Command};

use actix_rt::time::{Instant, sleep};
use anyhow::Context as _;

use super::{LOOK_INTERVAL, PATIENCE};

/// A child process. It is killed when this is dropped before it has ended.
pub(super) struct ChildProcess {
    name: &'static str,
    child: Child,
}

impl ChildProcess {
    /// Starts it out of the reach of Ctrl-C, which is for the demo: it stops its children in order.
    pub(super) fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;

        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", PathBuf::from(command.get_program()).display()))?;
        Ok(Self { name, child })
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let name = self.name;
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(status.success(), "{name} ended with {status}");
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{name} does not stop");
            sleep(LOOK_INTERVAL / 8).await;
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
