//! `BENCHMARKS.md`: the figures between two marks are replaced, what people wrote around them stays.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --record` -->";
const END: &str = "<!-- end of figures -->";

/// What a file that does not exist yet begins with.
const PREFACE: &str = "# Benchmarks\n\nThe last recorded run of `cargo xtask bench`.\n\n";

/// Writes the machine and the table into the file.
pub(crate) fn write(file: &Path, machine: &str, table: &str) -> Result<()> {
    let old = if file.exists() {
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
    } else {
        format!("{PREFACE}{BEGIN}\n{END}\n")
    };
    let text = replaced(&old, &format!("\n{machine}\n{table}\n"))
        .with_context(|| format!("{} lacks the lines `{BEGIN}` and `{END}`", file.display()))?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn replaced(old: &str, figures: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_figures_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("BENCHMARKS.md");
        write(&file, "machine 1", "| old |").unwrap();
        let text = fs::read_to_string(&file).unwrap() + "\n## What was tried\n";
        fs::write(&file, text).unwrap();
        write(&file, "machine 2", "| new |").unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with(PREFACE) && text.ends_with("## What was tried\n"));
        assert!(text.contains("machine 2\n| new |") && !text.contains("old"));
        fs::write(&file, "nothing").unwrap();
        assert!(
            write(&file, "", "")
                .unwrap_err()
                .to_string()
                .contains("lacks the lines")
        );
    }
}
