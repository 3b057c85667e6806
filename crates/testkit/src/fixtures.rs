//! Messages and replies captured from a running backend, as the parser's tests use them.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace_root;

/// Where a captured message lies, by its file name such as `6_ping.json` or `rest/login.json`.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    workspace_root().join("crates/visionguard/fixtures").join(name)
}

/// A captured message as it was on the wire.
pub fn text(name: &str) -> Result<String> {
    let path = path(name);
    std::fs::read_to_string(&path).with_context(|| format!("the fixture {} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_message_is_found() {
        let ping: serde_json::Value = serde_json::from_str(&text("6_ping.json").unwrap()).unwrap();
        assert_eq!(ping["type"], "ping");
    }

    #[test]
    fn a_missing_one_is_named() {
        assert!(
            text("no_such.json")
                .unwrap_err()
                .to_string()
                .contains("fixtures/no_such.json")
        );
    }
}
