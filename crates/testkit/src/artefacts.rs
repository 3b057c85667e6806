//! The binaries and plugins under test, built by cargo and found in what cargo says about them.
//!
//! Cargo hands a test its own package's binaries only, and no cdylib at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Artifact, CrateType, Message, TargetKind};

use crate::skip::{Need, is_lacking};

/// Everything the workspace builds that is run rather than linked.
#[derive(Clone, Debug)]
pub struct Artefacts {
    binaries: BTreeMap<String, PathBuf>,
    plugins: BTreeMap<String, PathBuf>,
}

impl Artefacts {
    /// The hub's command line.
    pub fn watchpost(&self) -> Result<&Path> {
        self.binary("watchpost")
    }

    /// A binary of the workspace by its name, such as `watchpost-sinkhost`.
    pub fn binary(&self, name: &str) -> Result<&Path> {
        find(&self.binaries, name, "binary")
    }

    /// The shared object of a plugin by its package's name, such as `watchpost-archive`.
    pub fn plugin(&self, package: &str) -> Result<&Path> {
        find(&self.plugins, package, "plugin")
    }

    /// The directory all plugins lie in, as it belongs into `hub.plugin_dirs`.
    pub fn plugin_dir(&self) -> Result<&Path> {
        let plugin = self
            .plugins
            .values()
            .next()
            .context("the workspace built no plugin")?;
        plugin
            .parent()
            .with_context(|| format!("{} has no parent directory", plugin.display()))
    }
}

/// The workspace's root directory: this crate lies at `crates/testkit` below it.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Builds what is missing or stale, once in a test process.
///
/// Test processes that run at the same time wait for each other on cargo's own lock. After a `cargo test --workspace`
/// has compiled its tests, all that is left to do is to link what no package's tests needed.
pub fn artefacts() -> Result<&'static Artefacts> {
    static BUILT: OnceLock<std::result::Result<Artefacts, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// The Python of the tests, with the packages that their servers need. `cargo xtask test` puts it below the target
/// directory.
pub(crate) fn python() -> Result<PathBuf> {
    let python = target_dir()?.join("python/bin/python");
    ensure!(
        python.exists(),
        "{} is missing; `cargo xtask test` installs it",
        python.display()
    );
    Ok(python)
}

fn build() -> Result<Artefacts> {
    let mut command = build_command()?;
    let output = command
        .stderr(Stdio::piped())
        .output()
        .context("cargo did not start")?;
    ensure!(
        output.status.success(),
        "building the binaries and plugins under test failed with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let mut artefacts = Artefacts {
        binaries: BTreeMap::new(),
        plugins: BTreeMap::new(),
    };
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) =
            message.context("cargo wrote something else than JSON")?
        {
            artefacts.add(&artifact);
        }
    }
    Ok(artefacts)
}

/// The same selection, profile and directory as `cargo test --workspace`, so that its results are found fresh.
///
/// Cargo unites the features of all selected packages, and those of their dev-dependencies too once a target is
/// selected that may use them. `--examples` is such a target; without it tokio, and all above it, would be built again.
fn build_command() -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root());
    command.args(["build", "--workspace", "--lib", "--bins", "--examples"]);
    if is_lacking(Need::Alsa) {
        command.arg("--exclude=watchpost-sound");
    }
    command.args(["--message-format", "json-render-diagnostics"]);
    command.args([
        "--profile",
        if cfg!(debug_assertions) { "dev" } else { "release" },
    ]);
    command.arg("--target-dir").arg(target_dir()?);
    forget_caller(&mut command);
    Ok(command)
}

/// Takes away what cargo says about the package under test. Build scripts (that of ring) watch these variables, and all
/// that stands on them, which is nearly everything, would be rebuilt.
fn forget_caller(command: &mut Command) {
    let about_caller = [
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PRIMARY_",
    ];
    for (name, _) in std::env::vars_os() {
        if about_caller
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
}

/// The target directory this test was built into: the nearest one above it that cargo has tagged.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let test = std::env::current_exe().context("cannot find out where this test binary lies")?;
    match test.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists()) {
        Some(dir) => Ok(dir.to_path_buf()),
        None => bail!(
            "{} lies in no cargo target directory (no CACHEDIR.TAG above it)",
            test.display()
        ),
    }
}

impl Artefacts {
    fn add(&mut self, artifact: &Artifact) {
        let name = artifact.target.name.clone();
        if artifact.target.kind.contains(&TargetKind::Bin) {
            self.binaries
                .extend(artifact.executable.iter().map(|path| (name.clone(), path.into())));
        }
        if artifact.target.crate_types.contains(&CrateType::CDyLib) && is_plugin(artifact) {
            let library = artifact
                .filenames
                .iter()
                .find(|path| path.extension() == Some("so"));
            self.plugins
                .extend(library.map(|path| (name.replace('_', "-"), path.into())));
        }
    }
}

/// Proc-macros and dependencies are libraries too; a plugin is one of ours, below `plugins`.
fn is_plugin(artifact: &Artifact) -> bool {
    artifact
        .manifest_path
        .starts_with(workspace_root().join("plugins").to_string_lossy().as_ref())
}

fn find<'a>(among: &'a BTreeMap<String, PathBuf>, name: &str, kind: &str) -> Result<&'a Path> {
    among.get(name).map(PathBuf::as_path).with_context(|| {
        let known: Vec<&str> = among.keys().map(String::as_str).collect();
        format!(
            "the workspace has no {kind} `{name}`; it has {}",
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let among = BTreeMap::from([
            ("watchpost".into(), PathBuf::from("/t/watchpost")),
            ("xtask".into(), "/t/x".into()),
        ]);
        let message = find(&among, "watchpots", "binary").unwrap_err().to_string();
        assert_eq!(
            message,
            "the workspace has no binary `watchpots`; it has watchpost, xtask"
        );
    }

    #[test]
    fn the_package_under_test_is_not_known_to_the_build() {
        assert!(
            std::env::var_os("CARGO_MANIFEST_DIR").is_some(),
            "cargo sets it for tests"
        );
        let command = build_command().unwrap();
        assert!(
            command
                .get_envs()
                .any(|(name, value)| name == "CARGO_MANIFEST_DIR" && value.is_none())
        );
        assert!(
            command
                .get_envs()
                .all(|(name, _)| name != "CARGO" && name != "CARGO_HOME")
        );
    }

    #[test]
    fn the_test_binary_lies_in_the_target_directory() {
        let dir = target_dir().unwrap();
        assert!(
            std::env::current_exe().unwrap().starts_with(&dir),
            "{}",
            dir.display()
        );
    }
}
