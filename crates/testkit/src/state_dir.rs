//! Directories for sinks that are tried in-process, each of which remembers something of its own.

use std::cell::RefCell;
use std::path::PathBuf;

use tempfile::TempDir;

thread_local! {
    /// Those of the running test, removed with its thread.
    static DIRS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

/// A new empty directory, which is removed when the test ends.
///
/// # Panics
/// There is no room for one.
#[must_use]
#[expect(clippy::expect_used, reason = "a test without its directory has failed")]
pub fn state_dir() -> PathBuf {
    let dir = TempDir::new().expect("a temporary directory");
    let path = dir.path().to_owned();
    DIRS.with_borrow_mut(|dirs| dirs.push(dir));
    path
}
