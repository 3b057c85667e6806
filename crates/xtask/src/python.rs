//! What the tests need from PyPI: an environment of its own below the target directory.
//!
//! It holds servers that the tests talk to; the product needs no Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cargo;

/// The packages, each in the one version that the tests are known to work with.
const PACKAGES: [&str; 1] = [
    // The mail server of the email sink's tests.
    "aiosmtpd==1.4.6",
];

/// Makes the environment, and installs what it lacks.
pub(crate) fn ensure_installed() -> Result<()> {
    let home = cargo::target_dir()?.join("python");
    // Written last, so that an installation that was interrupted is made again.
    let list = home.join("installed.txt");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) && works(&python(&home)) {
        return Ok(());
    }
    println!("    installing {} in {}", PACKAGES.join(", "), home.display());
    cargo::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let mut pip = Command::new(python(&home));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES);
    cargo::run(&mut pip).context("the tests need these packages from PyPI")?;
    std::fs::write(&list, wanted).with_context(|| format!("{} was not written", list.display()))
}

/// Whether the interpreter still starts: the system's Python, on which the environment stands, may have been replaced.
fn works(python: &Path) -> bool {
    let status = Command::new(python)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Where the test kit looks for it too.
fn python(home: &Path) -> PathBuf {
    home.join("bin").join("python")
}
