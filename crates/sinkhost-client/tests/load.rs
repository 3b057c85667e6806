//! Files that are no plugins of this host: each refused with its own reason and what to do about it.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::{host_binary, host_binary_without_landlock, launch, plugin, plugin_of, refusal, scratch};
use watchpost_sinkhost_client::sandbox::Part;
use watchpost_sinkhost_client::{Error, Host, LoadFault, Outcome, inspect, plugin_file_name, validate};

async fn fault(path: &Path) -> LoadFault {
    let started = refusal(launch(path)).await;
    match (inspect(host_binary(), path).await, started) {
        (Err(Error::Load { fault: inspected, .. }), Error::Load { fault: started, .. }) => {
            assert_eq!(inspected, started);
            inspected
        }
        (inspected, started) => panic!("{inspected:?} and {started:?}"),
    }
}

fn file(content: &[u8]) -> PathBuf {
    let path = scratch().join("libwatchpost_x.so");
    std::fs::write(&path, content).unwrap();
    path
}

#[tokio::test]
async fn what_is_no_library_is_called_by_its_name() {
    assert_eq!(
        fault(Path::new("/nonexistent/libwatchpost_x.so")).await,
        LoadFault::Missing
    );
    for (content, expected) in [
        (&b"\x89PNG\r\n"[..], "a PNG picture"),
        (b"#!/bin/sh\n", "a script"),
        (b"", "an empty file"),
    ] {
        assert_eq!(
            fault(&file(content)).await,
            LoadFault::NotALibrary {
                what: expected.into()
            }
        );
    }
    assert_eq!(
        fault(&scratch()).await,
        LoadFault::NotALibrary {
            what: "a directory".into()
        }
    );
    let mut foreign = std::fs::read(plugin(&[])).unwrap();
    foreign[18] = 0xF7;
    assert!(matches!(
        fault(&file(&foreign)).await,
        LoadFault::OtherMachine { .. }
    ));
}

#[tokio::test]
async fn a_library_that_is_no_plugin_of_this_version_is_refused() {
    assert_eq!(fault(&plugin_of("int other;")).await, LoadFault::NoSymbol);
    assert_eq!(
        fault(&plugin(&["-DMAGIC=0xdeadbeef"])).await,
        LoadFault::BadMagic { found: 0xdead_beef }
    );
    assert_eq!(
        fault(&plugin(&["-DMAJOR=2"])).await,
        LoadFault::OtherMajor { plugin: 2, host: 1 }
    );
    assert_eq!(
        fault(&plugin(&["-DMIN_MINOR=9"])).await,
        LoadFault::NeedsNewerHost { plugin: 9, host: 0 }
    );
    assert_eq!(
        fault(&plugin(&["-DNO_DESTROY", "-Wno-unused-function"])).await,
        LoadFault::Incomplete {
            missing: "destroy".into()
        }
    );
    let unlinkable = format!("{TABLE} void nowhere_defined(void); void f(void) {{ nowhere_defined(); }}");
    let LoadFault::Unlinkable { reason } = fault(&plugin_of(&unlinkable)).await else {
        panic!()
    };
    assert!(reason.contains("nowhere_defined"), "{reason}");
}

/// The beginning of a plugin.
const TABLE: &str = "#include <stdlib.h>\n#include \"watchpost_sink.h\"\nWP_EXPORT const wp_plugin watchpost_sink_v1 = \
    { .magic = WP_MAGIC, .struct_size = sizeof(wp_plugin), .abi_major = WP_ABI_MAJOR };\n";

const CRASHING: &str = "__attribute__((constructor)) static void f(void) { abort(); }";

#[tokio::test]
async fn what_is_no_plugin_of_this_version_is_refused_before_any_of_its_code_runs() {
    let other = format!("#include <stdlib.h>\n{CRASHING}");
    assert_eq!(fault(&plugin_of(&other)).await, LoadFault::NoSymbol);
    let next = format!("{TABLE}{CRASHING}").replace("WP_ABI_MAJOR", "2");
    assert_eq!(
        fault(&plugin_of(&next)).await,
        LoadFault::OtherMajor { plugin: 2, host: 1 }
    );
    let zeros = format!("#include <stdlib.h>\nchar watchpost_sink_v1[200];\n{CRASHING}");
    assert_eq!(fault(&plugin_of(&zeros)).await, LoadFault::BadMagic { found: 0 });
}

#[tokio::test]
async fn a_constructor_that_crashes_does_so_in_the_child() {
    let crashing = format!("{TABLE}{CRASHING}");
    let error = inspect(host_binary(), &plugin_of(&crashing)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("was killed by SIGABRT (it aborted itself) while loading"),
        "{error}"
    );
}

#[tokio::test]
async fn inspecting_tells_what_the_plugin_is() {
    let info = inspect(host_binary(), &plugin(&["-DFLUSHES"])).await.unwrap();
    assert_eq!(
        (info.id.as_str(), info.version.as_str(), info.abi),
        ("test", "1.2.3", (1, 0))
    );
    assert!(info.flushes && info.probes && info.cancels && info.validates);
    assert_eq!(info.example(), Some(&serde_json::json!({"ok": true})));
    assert_eq!(info.needs(), None);
}

#[tokio::test]
async fn validating_points_to_what_is_wrong() {
    let plugin = plugin(&[]);
    validate(host_binary(), &plugin, "{}", &[]).await.unwrap();
    match validate(host_binary(), &plugin, "{\"servers\":[\"bad\"]}", &[]).await {
        Err(Error::Refused {
            outcome: Outcome::BadConfig,
            notes,
            ..
        }) => {
            let notes: Vec<_> = notes.iter().map(ToString::to_string).collect();
            assert_eq!(notes, ["/servers/0: must not be bad", "see the manual"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_host_binary_that_is_none_is_told_apart() {
    let plugin = plugin(&[]);
    let error = inspect(Path::new("/nonexistent/watchpost-sinkhost"), &plugin)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error:?}");
    let error = inspect(Path::new("/bin/true"), &plugin).await.unwrap_err();
    assert!(matches!(error, Error::HostDied { .. }), "{error:?}");
}

#[test]
fn started_by_hand_it_says_what_it_is() {
    let output = std::process::Command::new(host_binary())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("watchpost check"));
}

#[test]
fn a_plugins_file_is_found_by_its_name() {
    assert_eq!(plugin_file_name("archive"), "libwatchpost_archive.so");
    assert_eq!(plugin_file_name("roof-siren"), "libwatchpost_roof_siren.so");
}

#[tokio::test]
async fn a_grant_that_cannot_be_given_is_named_and_nothing_is_loaded() {
    let mut missing = launch(&plugin(&[]));
    missing.grants.write.push("/nonexistent/archive".into());
    let error = refusal(missing).await;
    assert!(matches!(error, Error::Sandbox { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("grants `/nonexistent/archive` under `write`, which cannot be reached"),
        "{error}"
    );

    // Its own file is not among the grants, so it cannot be read.
    let mut blind = launch(&plugin(&[]));
    blind.grants.read.clear();
    let error = refusal(blind).await;
    assert!(
        matches!(
            error,
            Error::Load {
                fault: LoadFault::Unreadable { .. },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_running_plugin_has_its_walls() {
    let (host, _events) = Host::start(launch(&plugin(&[]))).await.unwrap();
    let in_force = &host.enforced().in_force;
    for part in [Part::Limits, Part::Privileges, Part::Signals] {
        assert!(in_force.contains(&part), "{:?}", host.enforced());
    }
}

#[tokio::test]
async fn what_a_kernel_lacks_is_told_and_refused_where_all_is_required() {
    let on_old_kernel = |require: bool| {
        let mut launch = launch(&plugin(&[]));
        launch.host_binary = host_binary_without_landlock();
        launch.grants.require = require;
        launch
    };
    let (host, _events) = Host::start(on_old_kernel(false)).await.unwrap();
    let gaps = &host.enforced().gaps;
    assert!(gaps.iter().any(|gap| gap.part == Part::Files), "{gaps:?}");

    let error = refusal(on_old_kernel(true)).await.to_string();
    assert!(
        error.contains("is not started: the sandbox lacks limits on files")
            && error.contains("take back `require` (or `require_sandbox`) to run without"),
        "{error}"
    );
}
