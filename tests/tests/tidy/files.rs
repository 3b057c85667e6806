//! Which files the rules look at, and the words that may stand in none of them.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;
use watchpost_testkit::workspace_root;

use crate::{Finding, expect_none};

/// Text that people write and read here, by its extension.
const TEXT_EXTENSIONS: [&str; 8] = ["rs", "toml", "md", "c", "cpp", "h", "service", "yml"];

/// Folders with content of others: what was built, and what was captured or recorded.
const FOREIGN_FOLDERS: [&str; 3] = ["target", "fixtures", "corpus"];

/// Notes to oneself; put together here so that this file does not hold them.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// All files with this extension, in a stable order. Hidden folders are left out.
pub(crate) fn with_extension(extension: &str) -> Vec<PathBuf> {
    let ours = WalkDir::new(workspace_root())
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0 || !(name.starts_with('.') || FOREIGN_FOLDERS.contains(&name.as_ref()))
        });
    let found: Vec<PathBuf> = ours
        .filter_map(|entry| entry.map(walkdir::DirEntry::into_path).ok())
        .filter(|path| path.extension().is_some_and(|found| found == extension) && path.is_file())
        .collect();
    found
}

/// A file's text; one that vanished since it was listed reads as empty.
pub(crate) fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

#[test]
fn nothing_is_marked_as_unfinished() {
    let files: Vec<PathBuf> = TEXT_EXTENSIONS
        .iter()
        .flat_map(|extension| with_extension(extension))
        .collect();
    assert!(
        files.iter().any(|file| file.ends_with("tests/tidy/main.rs")),
        "the walk does not find this test"
    );
    let findings: Vec<Finding> = files
        .iter()
        .flat_map(|file| unfinished(file, &read(file)))
        .collect();
    expect_none(&findings);
}

fn unfinished(file: &Path, text: &str) -> Vec<Finding> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for mark in line
            .split(|c| !is_word(c))
            .filter(|word| UNFINISHED.contains(word))
        {
            findings.push(Finding::new(
                file,
                index + 1,
                format!("{mark}: do it, or open an issue"),
            ));
        }
    }
    findings
}

#[test]
fn a_mark_is_found_as_a_word_only() {
    let text = format!(
        "fine\n// {}: later\nMAS{}DON, {}_list",
        UNFINISHED[0], UNFINISHED[0], UNFINISHED[1]
    );
    let lines: Vec<usize> = unfinished(Path::new("a.rs"), &text)
        .iter()
        .map(|finding| finding.line)
        .collect();
    assert_eq!(lines, [2]);
}
