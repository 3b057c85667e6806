//! Calling cargo on this workspace, wherever xtask was started from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The workspace's root directory: xtask lies at `crates/xtask` below it.
pub(crate) fn workspace_root() -> PathBuf {
    // Cargo sets the variable for `cargo run`, so a moved checkout is found; the built-in path serves a bare binary.
    let manifest_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest_dir = PathBuf::from(manifest_dir);
    manifest_dir
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// A cargo command that runs in the workspace's root, with the cargo that started xtask.
pub(crate) fn command() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(workspace_root());
    forget_caller(&mut command);
    command
}

/// Takes away what `cargo run` says about xtask's own package. Build scripts (that of ring) watch these variables, and
/// all that stands on them would be rebuilt whenever cargo is called by xtask after it was called by hand.
fn forget_caller(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if is_about_caller(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
}

fn is_about_caller(variable: &str) -> bool {
    [
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PRIMARY_",
    ]
    .iter()
    .any(|prefix| variable.starts_with(prefix))
}

/// The directory that all profiles share: the one above that which cargo put xtask into.
///
/// Asking the running binary spares a second reading of `CARGO_TARGET_DIR` and cargo's configuration.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let xtask = std::env::current_exe().context("cannot tell where xtask itself lies")?;
    let dir = xtask.ancestors().nth(2);
    let dir = dir.with_context(|| format!("{} lies in no target directory", xtask.display()))?;
    Ok(dir.to_path_buf())
}

/// Runs a command to its end; an exit code other than zero is an error that repeats the command line.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command
        .status()
        .with_context(|| format!("`{line}` did not start"))?;
    ensure!(status.success(), "`{line}` failed with {status}");
    Ok(())
}

/// A command as one would type it, the program without its directory.
pub(crate) fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_package_is_forgotten_and_the_users_settings_are_not() {
        assert!(
            std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
            "cargo sets it for tests"
        );
        let command = command();
        let removed: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).collect();
        assert!(
            removed.iter().any(|(name, _)| *name == "CARGO_MANIFEST_DIR"),
            "{removed:?}"
        );
        for kept in [
            "CARGO",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_TERM_COLOR",
            "CARGO_PROFILE_DEV_DEBUG",
        ] {
            assert!(!is_about_caller(kept), "{kept}");
        }
    }
}
