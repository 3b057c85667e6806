//! The files in `config/` are true.

use std::fs;
use std::path::Path;

use expect_test::expect_file;
use watchpost_config::{load_with, reference};

/// The example as it is, and with every key that is commented out put to use: it must stay right.
#[test]
fn the_example_works_also_with_its_comments_removed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/watchpost.toml");
    let loaded = load_with(&path, Vec::new()).unwrap_or_else(|e| panic!("{:#?}", e.errors()));
    assert_eq!(
        (loaded.settings.connection.len(), loaded.settings.sink.len()),
        (1, 1)
    );
    assert_eq!(loaded.settings.sink[0].plugin, "archive");

    // `#key = value` and `#[table]` are settings; `# words` are words.
    let text = fs::read_to_string(path).unwrap();
    let is_setting = |line: &str| {
        line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase() || c == '[')
    };
    let full: Vec<&str> = text
        .lines()
        .map(|line| if is_setting(line) { &line[1..] } else { line })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let full_path = dir.path().join("watchpost.toml");
    fs::write(&full_path, full.join("\n")).unwrap();
    let full = load_with(&full_path, Vec::new()).unwrap_or_else(|e| panic!("{:#?}", e.errors()));
    assert!(full.settings.store.keep_for.is_some() && full.settings.route.len() == 3);
}

/// The sites in `config/sites`, each with a table of cases that `watchpost routes test` runs.
#[test]
fn the_sites_are_right_and_each_has_its_cases() {
    let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/sites");
    for name in ["shop", "warehouse", "home"] {
        let path = sites.join(format!("{name}.toml"));
        let loaded = load_with(&path, Vec::new()).unwrap_or_else(|e| panic!("{name}: {:#?}", e.errors()));
        assert!(!loaded.settings.area.is_empty() && !loaded.settings.route.is_empty());
        assert!(sites.join(format!("{name}.cases.toml")).exists());
    }
}

#[test]
fn the_reference_is_what_the_types_say() {
    expect_file!["../../../../config/reference.md"].assert_eq(&reference());
}
