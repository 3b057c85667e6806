//! What the children of sinks call of the kernel, in the machine with GPIO lines: `strace` is put in front of
//! `watchpost-sinkhost`. `cargo xtask syscalls` makes of it what the sandbox's filter is held against.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::gpio_machine::{GpioMachine, libraries_of};

/// The environment variable that names a directory for traces; without it nothing is traced.
const TRACES: &str = "WATCHPOST_TRACES";

const STRACE: &str = "/usr/bin/strace";

/// What stands in place of the program that runs plugins. It keeps its process, which the hub knows. Arguments are numbers in
/// place of names, as a filter sees them.
const IN_FRONT: &str = r#"#!/bin/sh
exec /usr/bin/strace -DD -f -e raw='!openat,execve' -e signal=none -o /tmp/traces/$$ /bin/watchpost-sinkhost.traced "$@"
"#;

/// The directory that traces are wanted in, if they are.
#[must_use]
pub fn traces_wanted() -> Option<PathBuf> {
    std::env::var_os(TRACES).map(PathBuf::from)
}

/// What a machine has to be given to trace: see [`GpioMachine::boot`].
pub fn tracing_files() -> Result<Vec<PathBuf>> {
    let mut files = libraries_of(Path::new(STRACE))?;
    files.push(PathBuf::from(STRACE));
    Ok(files)
}

impl GpioMachine {
    /// Has all children of sinks traced that are started from now on.
    pub fn trace_sinks(&mut self) -> Result<()> {
        self.run("mkdir /tmp/traces")?;
        self.run("mv /bin/watchpost-sinkhost /bin/watchpost-sinkhost.traced")?;
        self.write("/bin/watchpost-sinkhost", IN_FRONT)?;
        self.run("chmod +x /bin/watchpost-sinkhost")?;
        Ok(())
    }

    /// Puts the traces into this directory, one for each child with all that it has started.
    pub fn take_traces(&mut self, dir: &Path) -> Result<()> {
        for name in self.run("ls /tmp/traces")?.lines() {
            let packed = self.run(&format!("gzip -c /tmp/traces/{name} | base64"))?;
            let to = dir.join(name);
            let mut unpack = Command::new("sh");
            unpack
                .args(["-c", "base64 -d | gzip -d"])
                .stdin(Stdio::piped())
                .stdout(fs::File::create(&to).with_context(|| to.display().to_string())?);
            let mut unpack = unpack.spawn().context("sh")?;
            let mut input = unpack.stdin.take().context("its input")?;
            std::io::Write::write_all(&mut input, packed.as_bytes())?;
            drop(input);
            ensure!(unpack.wait()?.success(), "the trace {name} came damaged");
        }
        Ok(())
    }
}
