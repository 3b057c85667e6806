//! The programs that are installed beside this one.

use std::path::PathBuf;

use anyhow::Context as _;
use watchpost_config::KnownFile;

/// The programs of a running hub, as their files were when it started.
#[derive(Clone, Debug)]
pub(crate) struct Programs(Vec<KnownFile>);

impl Programs {
    /// This program and the one that runs plugins, as they are now.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let files = [own()?, sinkhost_binary()?];
        Ok(Self(files.map(KnownFile::now).into()))
    }

    /// Those whose file is another by now.
    pub(crate) fn replaced(&self) -> Vec<String> {
        let replaced = self.0.iter().filter(|file| file.is_changed());
        replaced.map(|file| file.path().display().to_string()).collect()
    }
}

/// The program that runs plugins.
pub(crate) fn sinkhost_binary() -> anyhow::Result<PathBuf> {
    beside("watchpost-sinkhost", "it runs the plugins")
}

/// The program that plays a backend.
pub(crate) fn simulator_binary() -> anyhow::Result<PathBuf> {
    beside("watchpost-simulator", "it is the simulated backend")
}

fn beside(name: &str, purpose: &str) -> anyhow::Result<PathBuf> {
    let binary = own()?.with_file_name(name);
    anyhow::ensure!(
        binary.exists(),
        "{} is missing: {purpose} and must be installed beside watchpost",
        binary.display()
    );
    Ok(binary)
}

fn own() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find out where this program is")
}
