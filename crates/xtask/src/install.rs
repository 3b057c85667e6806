//! Gets what the tests need: from Debian's packages where that takes no question, from PyPI, and a virtual machine.
//!
//! What cannot be had here is said, and the tests that need it are skipped; only without a C compiler there is nothing
//! to run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::needs::{self, COMPILER, GPIO_MACHINE, Need, PYTHON};
use crate::{cargo, gpio_machine, python};

/// What tests can be told to do without, and why.
#[derive(Debug, Default)]
pub(crate) struct Lacking(Vec<(&'static str, String)>);

impl Lacking {
    /// Whether what has this name is missing.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(lacking, _)| *lacking == name)
    }

    /// As the test kit reads it: `name=why`, one a line.
    pub(crate) fn for_the_tests(&self) -> String {
        let lines = self.0.iter().map(|(name, why)| format!("{name}={why}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn add(&mut self, name: &'static str, why: String) {
        if !self.has(name) {
            self.0.push((name, why));
        }
    }
}

/// Looks what is missing, installs it where that is possible, and says what still is.
///
/// Fails only without a C compiler, with the command that installs one.
pub(crate) fn everything() -> Result<Lacking> {
    let mut obstacle = None;
    let missing = needs::missing();
    if !needs::packages(&missing, 0).is_empty() {
        obstacle = install(&missing).err();
    }
    let missing = needs::missing();
    if !missing.is_empty() {
        print!("{}", needs::explain(&missing));
    }
    if let Some(obstacle) = &obstacle {
        println!("not installed by itself: {obstacle:#}");
    }
    if missing.iter().any(|need| need.name == COMPILER) {
        bail!("nothing can be built without {COMPILER}");
    }
    let mut lacking = Lacking::default();
    for need in missing {
        lacking.add(need.name, why(need));
    }
    make(&mut lacking, PYTHON, python::ensure_servers);
    make(&mut lacking, GPIO_MACHINE, gpio_machine::ensure_made);
    Ok(lacking)
}

fn why(need: &Need) -> String {
    match need.sign {
        needs::Sign::Root => "it takes root".to_owned(),
        needs::Sign::Runs(program, _) | needs::Sign::Program(program) | needs::Sign::File(program) => {
            format!("{program} is not installed")
        }
    }
}

/// Makes what stands on packages, unless these are missing already.
fn make(lacking: &mut Lacking, name: &'static str, make: impl FnOnce() -> Result<()>) {
    if lacking.has(name) {
        return;
    }
    if let Err(error) = make() {
        println!("{name} could not be made: {error:#}");
        let why = format!("{error:#}");
        lacking.add(name, why.lines().next().unwrap_or_default().to_owned());
    }
}

/// Installs with apt-get; a failure says why it was not possible.
fn install(needs: &[&Need]) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("this system has no apt-get");
    }
    let packages = needs::packages(needs, 0);
    println!("    installing {}", packages.join(", "));
    let install = || -> Result<()> {
        let mut command = apt_get()?;
        command.args(["install", "--yes", "--no-install-recommends"]);
        cargo::run(command.args(&packages))
    };
    install().or_else(|_| {
        // A fresh container has no package lists, a stale one points to versions that are gone.
        cargo::run(apt_get()?.arg("update"))?;
        install()
    })
}

/// `apt-get` as root, or through a sudo that asks no questions.
fn apt_get() -> Result<Command> {
    let mut command = if needs::effective_user_is_root() {
        Command::new("apt-get")
    } else if needs::runs("sudo", &["-n", "true"]) {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!("it takes root, or a sudo that works without a password")
    };
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_once_with_its_first_reason() {
        let mut lacking = Lacking::default();
        lacking.add("nginx", "nginx is not installed".to_owned());
        lacking.add("nginx", "another reason".to_owned());
        make(&mut lacking, "nginx", || {
            panic!("nothing is made without its packages")
        });
        make(&mut lacking, PYTHON, || bail!("no network\nand more"));
        assert_eq!(
            lacking.for_the_tests(),
            "nginx=nginx is not installed\npython=no network"
        );
    }
}
