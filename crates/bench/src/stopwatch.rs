//! The plugin that writes down when it was called: built before the run, read after it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::payload::sequence_of;

/// The file the plugin writes into its state directory.
const LOG: &str = "stopwatch.log";

/// Compiles the plugin into this directory with the system's C compiler.
pub(crate) fn build(dir: &Path) -> Result<PathBuf> {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let plugin = dir.join("libwatchpost_stopwatch.so");
    let output = Command::new("cc")
        .args(["-std=c11", "-O2", "-shared", "-fPIC", "-I"])
        .arg(crate_dir.join("../sink-abi/include"))
        .arg("-o")
        .arg(&plugin)
        .arg(crate_dir.join("plugins/stopwatch.c"))
        .output()
        .context("cannot start the C compiler `cc`, which builds the stopwatch plugin: install gcc")?;
    ensure!(
        output.status.success(),
        "the stopwatch plugin does not compile:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(plugin)
}

/// How long each alert took from the wire to the plugin's first call for it.
///
/// `sent_unix_ns` holds the moments of sending by sequence number; alerts that the plugin never saw are an error.
pub(crate) fn read(data_dir: &Path, sent_unix_ns: &[u64]) -> Result<Vec<Duration>> {
    let log = find(data_dir)?.with_context(|| format!("no {LOG} below {}", data_dir.display()))?;
    let mut called = HashMap::new();
    for line in fs::read_to_string(&log)?.lines() {
        let (frame_number, unix_ns) = line.split_once(' ').context("the stopwatch's log is damaged")?;
        if let Some(sequence) = sequence_of(frame_number.parse()?) {
            called.entry(sequence).or_insert(unix_ns.parse::<u64>()?);
        }
    }
    (0..)
        .zip(sent_unix_ns)
        .map(|(sequence, sent)| {
            let called = called.get(&sequence).with_context(|| {
                format!(
                    "the plugin saw {} of {} alerts, not number {sequence}",
                    called.len(),
                    sent_unix_ns.len()
                )
            })?;
            Ok(Duration::from_nanos(called.saturating_sub(*sent)))
        })
        .collect()
}

/// Where a sink's state directory lies is the hub's affair, so the file is looked for.
fn find(dir: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.ends_with(LOG) {
            return Ok(Some(path));
        }
        if path.is_dir()
            && let Some(found) = find(&path)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_matched_with_what_was_sent() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("sinks/stopwatch");
        fs::create_dir_all(&state).unwrap();
        fs::write(
            state.join(LOG),
            "1000000001 2500\n1000000000 1700\n1000000001 9000\n",
        )
        .unwrap();
        let times = read(dir.path(), &[1_000, 2_000]).unwrap();
        assert_eq!(times, [Duration::from_nanos(700), Duration::from_nanos(500)]);
        let missing = read(dir.path(), &[1_000, 2_000, 3_000]).unwrap_err().to_string();
        assert_eq!(missing, "the plugin saw 2 of 3 alerts, not number 2");
    }

    #[test]
    fn the_plugin_compiles() {
        let dir = tempfile::tempdir().unwrap();
        assert!(build(dir.path()).unwrap().exists());
    }
}
