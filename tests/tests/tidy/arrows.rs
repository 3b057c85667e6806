//! Which crate may depend on which: the architecture's arrows, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use watchpost_testkit::workspace_root;

/// Every crate of the workspace but the plugins, with the crates of the workspace it may use.
/// What is not listed is refused, so a new arrow is drawn here, in sight of the others.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "watchpost-bench",
        &["watchpost-core", "watchpost-store", "watchpost-testkit"],
    ),
    // For the words a route matches on; they are defined once.
    ("watchpost-config", &["watchpost-core", "watchpost-units"]),
    ("watchpost-core", &[]),
    ("watchpost-dial", &[]),
    (
        "watchpost-hub",
        &[
            "watchpost-config",
            "watchpost-core",
            "watchpost-dial",
            "watchpost-sinkhost-client",
            "watchpost-store",
            "watchpost-visionguard",
        ],
    ),
    ("watchpost-scenarios", &["watchpost-config", "watchpost-core"]),
    // An own reading of the protocol: shared code would share its mistakes.
    // A plugin that misbehaves for the tests; it stands on the SDK as any other.
    ("watchpost-panicking", &["watchpost-sink"]),
    ("watchpost-simulator", &[]),
    (
        "watchpost-sink",
        &["watchpost-dial", "watchpost-sink-abi", "watchpost-units"],
    ),
    ("watchpost-sink-abi", &[]),
    (
        "watchpost-sinkhost",
        &["watchpost-sink-abi", "watchpost-sinkhost-protocol"],
    ),
    ("watchpost-sinkhost-client", &["watchpost-sinkhost-protocol"]),
    ("watchpost-sinkhost-protocol", &["watchpost-sink-abi"]),
    ("watchpost-store", &["watchpost-core"]),
    ("watchpost-testkit", &[]),
    (
        "watchpost-tests",
        &[
            // For a hub whose clock is steered.
            "watchpost-config",
            "watchpost-core",
            "watchpost-hub",
            // For the tables.
            "watchpost-scenarios",
            "watchpost-store",
            "watchpost-testkit",
            "watchpost-web",
            // For what happens in an hour of a seed.
            "watchpost-world",
        ],
    ),
    ("watchpost-units", &[]),
    // For the one type that hides passwords and tokens.
    ("watchpost-visionguard", &["watchpost-core"]),
    (
        "watchpost-web",
        &["watchpost-core", "watchpost-hub", "watchpost-store"],
    ),
    (
        "watchpost-world",
        &[
            "watchpost-config",
            "watchpost-core",
            "watchpost-hub",
            "watchpost-scenarios",
            "watchpost-sinkhost-client",
            "watchpost-store",
        ],
    ),
    (
        "watchpost",
        &[
            "watchpost-config",
            "watchpost-core",
            "watchpost-hub",
            "watchpost-store",
            "watchpost-visionguard",
            "watchpost-web",
        ],
    ),
    ("xtask", &[]),
];

/// What a plugin may use: the SDK, as anyone's plugin would.
const PLUGIN_MAY_USE: &[&str] = &["watchpost-sink"];

/// What a plugin's tests may use besides.
const PLUGIN_TESTS_MAY_USE: &[&str] = &["watchpost-sink", "watchpost-testkit"];

/// The only crates that know actix; the bench compares the hub with a bare loop over the same client.
const ACTIX_USERS: &[&str] = &[
    "watchpost",
    "watchpost-bench",
    "watchpost-hub",
    "watchpost-simulator",
    // It runs the hub on a clock that is steered.
    "watchpost-tests",
    "watchpost-web",
    // It serves what the hub's client asks, over streams in memory.
    "watchpost-world",
];

/// By crate: what may be nowhere below it, and why.
const NOT_BELOW: &[(&str, &[&str])] = &[
    // It has no clock, no I/O and no runtime.
    (
        "watchpost-core",
        &["actix", "actix-rt", "awc", "mio", "rusqlite", "rustix", "tokio"],
    ),
    // The process of a plugin is small and has no thread but those it means to have.
    (
        "watchpost-sinkhost",
        &["actix", "actix-rt", "mio", "rusqlite", "tokio"],
    ),
    // The hub loads no foreign code and does not look into it.
    ("watchpost-sinkhost-client", &["libloading", "object"]),
    // Both ends stand on it.
    ("watchpost-sinkhost-protocol", &["libloading", "object", "tokio"]),
];

fn metadata(options: &[&str]) -> Metadata {
    let mut command = MetadataCommand::new();
    command.current_dir(workspace_root());
    command.other_options(
        options
            .iter()
            .map(|option| String::from(*option))
            .collect::<Vec<_>>(),
    );
    command.exec().expect("cargo metadata")
}

/// The dependencies among our own crates, by kind of use.
fn ours<'a>(package: &'a Package, kinds: &[DependencyKind]) -> BTreeSet<&'a str> {
    let local = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.path.is_some());
    local
        .filter(|dependency| kinds.contains(&dependency.kind))
        .map(|dependency| dependency.name.as_str())
        .collect()
}

fn is_plugin(package: &Package) -> bool {
    package
        .manifest_path
        .starts_with(workspace_root().join("plugins").to_string_lossy().as_ref())
}

fn forbidden<'a>(used: &BTreeSet<&'a str>, allowed: &[&str]) -> Vec<&'a str> {
    used.iter()
        .copied()
        .filter(|name| !allowed.contains(name))
        .collect()
}

#[test]
fn crates_use_only_what_the_architecture_lets_them() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let metadata = metadata(&["--no-deps"]);
    let mut problems = Vec::new();
    for package in metadata.packages.iter().filter(|package| !is_plugin(package)) {
        let name = package.name.as_str();
        let Some(allowed) = arrows.get(name) else {
            problems.push(format!("{name} has no line in ARROWS: say there what it may use"));
            continue;
        };
        // A test crate has nothing but tests; all it uses counts. Elsewhere tests may reach further than the code.
        let kinds: &[DependencyKind] = match name {
            "watchpost-tests" => &[
                DependencyKind::Normal,
                DependencyKind::Build,
                DependencyKind::Development,
            ],
            _ => &[DependencyKind::Normal, DependencyKind::Build],
        };
        for used in forbidden(&ours(package, kinds), allowed) {
            problems.push(format!("{name} uses {used}, which ARROWS does not let it"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_arrow_belongs_to_a_crate() {
    let metadata = metadata(&["--no-deps"]);
    let names: BTreeSet<&str> = metadata
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let stale: Vec<&str> = ARROWS
        .iter()
        .flat_map(|(name, allowed)| std::iter::once(name).chain(allowed.iter()))
        .copied()
        .filter(|name| !names.contains(name))
        .collect();
    assert!(
        stale.is_empty(),
        "ARROWS names crates that do not exist: {stale:?}"
    );
}

#[test]
fn plugins_use_the_sdk_and_nothing_else_of_ours() {
    let metadata = metadata(&["--no-deps"]);
    let plugins: Vec<&Package> = metadata
        .packages
        .iter()
        .filter(|package| is_plugin(package))
        .collect();
    assert!(!plugins.is_empty(), "no plugin found below plugins");
    for plugin in plugins {
        let used = ours(plugin, &[DependencyKind::Normal, DependencyKind::Build]);
        assert_eq!(
            forbidden(&used, PLUGIN_MAY_USE),
            [""; 0],
            "{} uses these",
            plugin.name
        );
        let used = ours(plugin, &[DependencyKind::Development]);
        assert_eq!(
            forbidden(&used, PLUGIN_TESTS_MAY_USE),
            [""; 0],
            "the tests of {} use these",
            plugin.name
        );
    }
}

#[test]
fn actix_is_known_to_few() {
    let metadata = metadata(&["--no-deps"]);
    let mut problems = Vec::new();
    for package in metadata
        .packages
        .iter()
        .filter(|package| !ACTIX_USERS.contains(&package.name.as_str()))
    {
        let of_actix = |name: &str| name == "awc" || name == "actix" || name.starts_with("actix-");
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| of_actix(&dependency.name))
        {
            problems.push(format!(
                "{} uses {}; only {ACTIX_USERS:?} may",
                package.name, dependency.name
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn some_crates_stand_on_no_runtime_and_no_loader() {
    let metadata = metadata(&["--filter-platform", &host()]);
    for (name, forbidden) in NOT_BELOW {
        let below = normal_closure(&metadata, name);
        assert!(
            below.contains("serde"),
            "the closure of {name} is {below:?}, which lacks even serde"
        );
        let wrong: Vec<&&str> = forbidden.iter().filter(|name| below.contains(**name)).collect();
        assert!(wrong.is_empty(), "{name} stands on {wrong:?}");
    }
}

/// The platform this test was built for; other platforms' dependencies need not even be downloaded.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc)
        .arg("-vV")
        .output()
        .expect("rustc -vV");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.expect("rustc -vV has a line for the host").to_owned()
}

/// The names of all packages that code of `root` is compiled with, tests and build scripts apart.
fn normal_closure<'a>(metadata: &'a Metadata, root: &str) -> BTreeSet<&'a str> {
    let names: BTreeMap<&PackageId, &str> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.as_str()))
        .collect();
    let nodes = &metadata
        .resolve
        .as_ref()
        .expect("metadata with dependencies has a resolve graph")
        .nodes;
    let uses: BTreeMap<&PackageId, _> = nodes.iter().map(|node| (&node.id, &node.deps)).collect();
    let mut waiting: Vec<&PackageId> = names
        .iter()
        .filter(|(_, name)| **name == root)
        .map(|(id, _)| *id)
        .collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        for dependency in uses[id] {
            let normal = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind == DependencyKind::Normal);
            if normal && found.insert(&dependency.pkg) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    found.into_iter().map(|id| names[id]).collect()
}
