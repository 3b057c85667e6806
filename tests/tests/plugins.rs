//! Plugins that cannot be used: each is a clear error, and the hub and the other sinks go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use watchpost_testkit::{Backend, HubSetup, PATIENCE, artefacts, toml, workspace_root};

/// Builds a shared library from C.
fn library(dir: &Path, name: &str, source: &str) -> Result<PathBuf> {
    let (c, so) = (dir.join(format!("{name}.c")), dir.join(format!("{name}.so")));
    fs::write(&c, source)?;
    let include = workspace_root().join("crates/sink-abi/include");
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-I"])
        .arg(include)
        .arg("-o")
        .arg(&so)
        .arg(&c)
        .status();
    ensure!(
        status.context("cc did not start")?.success(),
        "cc failed on {name}"
    );
    Ok(so)
}

#[test]
fn an_unusable_plugin_is_a_clear_error_and_harms_nobody() -> Result<()> {
    let backend = Backend::start(&["--count", "10", "--rate", "inf", "--wait-for-client"])?;
    let mut setup = HubSetup::new()?.connection("shop", &backend)?;
    let dir = setup.dir().to_owned();
    let text = dir.join("text.so");
    fs::write(&text, "this is no library")?;
    let empty = library(&dir, "empty", "int nothing;\n")?;
    let next = library(
        &dir,
        "next",
        "#include \"watchpost_sink.h\"\nWP_EXPORT const wp_plugin watchpost_sink_v1 = {\n\
         .magic = WP_MAGIC, .struct_size = sizeof(wp_plugin), .abi_major = 2 };\n",
    )?;
    let wrong = [
        ("missing", dir.join("missing.so"), "there is no such file"),
        ("text", text, "it is a text file, not a shared library"),
        ("empty", empty, "does not export `watchpost_sink_v1`"),
        ("next", next, "made for version 2 of the plugin contract"),
        ("typo", PathBuf::from("archiv"), "Did you mean `archive`?"),
    ];
    for (name, plugin, _) in &wrong {
        let plugin = plugin.display().to_string();
        setup = setup.sink(name, &plugin, toml::Table::new());
    }
    let archive = dir.join("archive").display().to_string();
    let setup = setup.sink("archive", "archive", toml! { dir = archive });
    setup.write()?;

    let check = Command::new(artefacts()?.watchpost()?)
        .args(["check", "--config"])
        .arg(setup.config_path())
        .output()?;
    let said = String::from_utf8_lossy(&check.stderr).replace("\n  │ ", " ");
    assert_eq!(check.status.code(), Some(3), "{said}");
    assert!(said.contains("watchpost.toml:"), "no place: {said}");
    let words: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, _, expected) in &wrong {
        assert!(
            words.contains(expected),
            "check says nothing like `{expected}` of {name}: {words}"
        );
    }

    let hub = setup.start()?;
    let status = hub.until("the archive working and the others failed", PATIENCE, |status| {
        let sinks = status["sinks"].as_array();
        sinks.is_some_and(|sinks| {
            sinks.iter().all(|sink| match sink["name"].as_str() {
                Some("archive") => sink["deliveries"]["delivered"] == json!(10),
                _ => sink["last_error"].is_string() && sink["deliveries"]["pending"] == json!(10),
            })
        })
    })?;
    for (sink, (name, _, expected)) in status["sinks"].as_array().context("a list")?.iter().zip(&wrong) {
        let error = sink["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "the status of {name} says: {error}");
        assert_eq!(sink["state"], "failed");
    }
    Ok(())
}

#[test]
fn a_wrong_plugin_configuration_is_shown_at_its_place() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?;
    let setup = setup.sink(
        "archive",
        "archive",
        toml! {
            dir = "/tmp"
            kep_for = "30d"
        },
    );
    setup.write()?;
    let check = Command::new(artefacts()?.watchpost()?)
        .args(["check", "--config"])
        .arg(setup.config_path())
        .output()?;
    let said = String::from_utf8_lossy(&check.stderr);
    assert_eq!(check.status.code(), Some(3), "{said}");
    assert!(
        said.contains("kep_for") && said.contains("watchpost.toml:"),
        "{said}"
    );
    Ok(())
}
