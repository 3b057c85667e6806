//! The plugins that misbehave, below `tests/plugins`, compiled when they are first asked for.
//!
//! Each C file in `hostile` is one plugin, `crash.c` the one called `crash`; `panicking` is a crate of its own.
//! Nothing here knows what they do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace_root;

/// How a plugin is compiled, as an author would do it, and with no warning left.
const FLAGS: &[&str] = &[
    "-std=gnu11",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-shared",
    "-fPIC",
];

/// The directory of all hostile plugins, as it belongs into `hub.plugin_dirs`. Compiles what is missing or older than
/// its sources.
///
/// `cc`, or what `CC` names, is called; several tests may do so at the same time.
pub fn hostile_plugin_dir() -> Result<&'static Path> {
    static BUILT: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build_all().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// The shared object of one hostile plugin by its id, such as `crash`.
pub fn hostile_plugin(id: &str) -> Result<PathBuf> {
    let path = hostile_plugin_dir()?.join(file_name(id));
    if !path.exists() {
        bail!(
            "there is no hostile plugin `{id}`; there is {}",
            hostile_plugin_ids()?.join(", ")
        );
    }
    Ok(path)
}

/// The ids of all hostile plugins, in alphabetical order.
pub fn hostile_plugin_ids() -> Result<Vec<String>> {
    let sources = files(".c")?;
    let ids = sources.iter().filter_map(|path| path.file_stem());
    Ok(ids.map(|id| id.to_string_lossy().into_owned()).collect())
}

/// The shared object of `tests/plugins/panicking`, the one in Rust. Cargo builds it and what it stands on, no more.
pub fn panicking_plugin() -> Result<PathBuf> {
    let target = target_dir()?;
    let (profile, folder) = if cfg!(debug_assertions) {
        ("dev", "debug")
    } else {
        ("release", "release")
    };
    let result = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace_root())
        .args([
            "build",
            "--package",
            "watchpost-panicking",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(&target)
        .output()
        .context("cargo does not start")?;
    let said = String::from_utf8_lossy(&result.stderr);
    ensure!(
        result.status.success(),
        "building the panicking plugin failed:\n{said}"
    );
    Ok(target.join(folder).join(file_name("panicking")))
}

fn build_all() -> Result<PathBuf> {
    let dir = target_dir()?.join("test-plugins");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let include = workspace_root().join("crates/sink-abi/include");
    let mut headers = files(".h")?;
    headers.push(include.join("watchpost_sink.h"));
    for id in hostile_plugin_ids()? {
        let source = source_dir().join(format!("{id}.c"));
        let output = dir.join(file_name(&id));
        if is_stale(&output, headers.iter().chain([&source]))? {
            compile(&source, &include, &output)?;
        }
    }
    Ok(dir)
}

/// Compiles to a name of its own and renames: who looks meanwhile sees the old file or the new one, whole.
fn compile(source: &Path, include: &Path, output: &Path) -> Result<()> {
    let unfinished = output.with_extension(format!("{}.tmp", std::process::id()));
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let result = Command::new(&compiler)
        .args(FLAGS)
        .arg("-I")
        .arg(include)
        .arg("-o")
        .args([&unfinished, source])
        .output()
        .with_context(|| format!("{} does not start; install a C compiler", compiler.display()))?;
    ensure!(
        result.status.success(),
        "compiling {} failed:\n{}",
        source.display(),
        String::from_utf8_lossy(&result.stderr)
    );
    fs::rename(&unfinished, output).with_context(|| format!("cannot rename to {}", output.display()))
}

/// Whether the output is missing or any input is as young.
fn is_stale<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a PathBuf>) -> Result<bool> {
    let Ok(built) = modified(output) else {
        return Ok(true);
    };
    for input in inputs {
        if modified(input)? >= built {
            return Ok(true);
        }
    }
    Ok(false)
}

fn modified(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    metadata.modified().context("this system keeps no times of files")
}

/// The sources or headers, sorted.
fn files(ending: &str) -> Result<Vec<PathBuf>> {
    let dir = source_dir();
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn source_dir() -> PathBuf {
    workspace_root().join("tests/plugins/hostile")
}

/// As the hub looks for it.
fn file_name(id: &str) -> String {
    format!("libwatchpost_{id}.so")
}

/// The nearest directory above this test binary that cargo has tagged as its own.
fn target_dir() -> Result<PathBuf> {
    let test = std::env::current_exe().context("cannot find out where this test binary lies")?;
    let target = test.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists());
    target
        .map(Path::to_path_buf)
        .with_context(|| format!("{} lies in no target directory", test.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_becomes_a_plugin() {
        for id in hostile_plugin_ids().unwrap() {
            assert!(hostile_plugin(&id).unwrap().is_file(), "{id}");
        }
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let message = hostile_plugin("krash").unwrap_err().to_string();
        assert!(
            message.contains("`krash`; there is abort, bomb, crash, "),
            "{message}"
        );
    }

    #[test]
    fn a_younger_source_makes_stale() {
        let dir = tempfile::tempdir().unwrap();
        let [output, source] = ["output", "source"].map(|name| dir.path().join(name));
        fs::write(&source, "").unwrap();
        assert!(is_stale(&output, [&source]).unwrap(), "missing");
        fs::write(&output, "").unwrap();
        let set = |path: &Path, seconds| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        set(&output, 1_000);
        set(&source, 999);
        assert!(!is_stale(&output, [&source]).unwrap(), "older");
        set(&source, 1_001);
        assert!(is_stale(&output, [&source]).unwrap(), "younger");
        assert!(is_stale(&output, [&dir.path().join("gone")]).is_err());
    }
}
