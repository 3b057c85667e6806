//! Every plugin looks the same from outside, so that whoever knows one finds his way in all.

use std::path::PathBuf;

use toml::Table;
use watchpost_testkit::workspace_root;

use crate::files::read;
use crate::{Finding, expect_none};

/// What each plugin's folder holds.
const PLUGIN_FILES: [&str; 4] = ["Cargo.toml", "README.md", "src/config.rs", "src/lib.rs"];

fn folders(of: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace_root().join(of)).expect("a folder of crates");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

#[test]
fn plugins_hold_the_same_files() {
    let plugins = folders("plugins");
    assert!(!plugins.is_empty(), "no plugin found");
    let files = plugins
        .iter()
        .flat_map(|plugin| PLUGIN_FILES.map(|name| plugin.join(name)));
    let missing: Vec<Finding> = files
        .filter(|file| !file.is_file())
        .map(|file| Finding::new(&file, 1, "every plugin has this file"))
        .collect();
    expect_none(&missing);
}

#[test]
fn plugins_are_named_after_their_folder_and_built_as_shared_objects() {
    let mut findings = Vec::new();
    for plugin in folders("plugins") {
        let manifest = plugin.join("Cargo.toml");
        let table: Table = read(&manifest).parse().expect("a manifest");
        let wanted = format!(
            "watchpost-{}",
            plugin.file_name().unwrap_or_default().to_string_lossy()
        );
        if table["package"]["name"].as_str() != Some(&wanted) {
            findings.push(Finding::new(
                &manifest,
                1,
                format!("the package has to be named {wanted}"),
            ));
        }
        let types = table
            .get("lib")
            .and_then(|lib| lib.get("crate-type"))
            .and_then(toml::Value::as_array);
        if !types.is_some_and(|types| types.iter().any(|kind| kind.as_str() == Some("cdylib"))) {
            findings.push(Finding::new(&manifest, 1, "a plugin has crate-type cdylib"));
        }
    }
    expect_none(&findings);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut findings = Vec::new();
    let crates = folders("crates")
        .into_iter()
        .chain(folders("plugins"))
        .chain([workspace_root().join("tests")]);
    for manifest in crates
        .map(|folder| folder.join("Cargo.toml"))
        .filter(|manifest| manifest.is_file())
    {
        let table: Table = read(&manifest).parse().expect("a manifest");
        let taken = table
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if taken != Some(true) {
            findings.push(Finding::new(&manifest, 1, "needs [lints] workspace = true"));
        }
    }
    expect_none(&findings);
}
