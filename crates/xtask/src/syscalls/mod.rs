//! `cargo xtask syscalls`: records what the bundled plugins, with their real counterparts, and the libraries of other
//! languages call of the kernel, for the sandbox's filter to be held against.
//!
//! It knows how to trace and to read traces. It refuses to know what the filter allows: that is tested beside it, in
//! `crates/sinkhost/src/sandbox/syscalls/tests/recorded.rs`, which also prints it.

mod trace;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{cargo, install};
use trace::Recorded;

/// Where what was recorded is kept.
const RECORDED: &str = "crates/sinkhost/src/sandbox/syscalls/recorded.txt";

/// The tests that hold the filter against it.
const JUDGE: &str = "sandbox::syscalls::tests::recorded";

/// The variable by which the test of all sinks learns where traces are wanted; see `crates/testkit/src/traces.rs`.
const TRACES: &str = "WATCHPOST_TRACES";

/// A program that has a library do what a plugin may have it do.
struct Example {
    who: &'static str,
    file: &'static str,
    source: &'static str,
    /// The compiler with its options, and the package that brings it on Debian.
    compiler: &'static [&'static str],
    package: &'static str,
}

const EXAMPLES: [Example; 3] = [
    Example {
        who: "c++",
        file: "runtime.cc",
        source: include_str!("runtime.cc"),
        compiler: &["c++", "-std=c++17", "-O1", "-pthread", "-o"],
        package: "g++",
    },
    Example {
        who: "go",
        file: "runtime.go",
        source: include_str!("runtime.go"),
        compiler: &["go", "build", "-o"],
        package: "golang-go",
    },
    Example {
        who: "resolver",
        file: "resolver.c",
        source: include_str!("resolver.c"),
        compiler: &["cc", "-O1", "-o"],
        package: "gcc",
    },
];

/// Records all of it, writes it down, and prints how the filter stands to it.
pub(crate) fn run() -> Result<()> {
    install::everything()?;
    let work = cargo::target_dir()?.join("syscalls");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("{} is in the way", work.display()))?;
    }
    let mut recorded = Recorded::default();
    for example in EXAMPLES {
        let trace = trace_example(&example, &work)?;
        recorded.of_program(example.who, &trace);
    }
    for trace in trace_plugins(&work)? {
        recorded.of_plugin(&trace)?;
    }
    let to = cargo::workspace_root().join(RECORDED);
    fs::write(&to, recorded.to_string()).with_context(|| format!("{} was not written", to.display()))?;
    println!("==> written: {RECORDED}");
    cargo::run(&mut workspace_test(&["--lib", JUDGE, "--", "--nocapture"]))
}

fn trace_example(example: &Example, work: &Path) -> Result<String> {
    let dir = work.join(example.who);
    fs::create_dir_all(dir.join("files"))?;
    fs::write(dir.join(example.file), example.source)?;
    let (program, trace) = (dir.join("program"), dir.join("trace"));
    let mut compile = Command::new(example.compiler[0]);
    compile
        .args(&example.compiler[1..])
        .args([program.as_path(), &dir.join(example.file)])
        .current_dir(&dir);
    cargo::run(&mut compile)
        .with_context(|| format!("Debian's package {} has the compiler", example.package))?;
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-e", "raw=!openat,execve", "-e", "signal=none", "-o"])
        .args([trace.as_path(), &program, &dir.join("files")]);
    cargo::run(&mut traced).context("Debian's package strace has the tracer")?;
    read(&trace)
}

/// One trace for each child of a sink.
fn trace_plugins(work: &Path) -> Result<Vec<String>> {
    let dir = work.join("plugins");
    fs::create_dir_all(&dir)?;
    cargo::run(workspace_test(&["--test", "all_sinks"]).env(TRACES, &dir))?;
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&dir)? {
        files.push(entry?.path());
    }
    ensure!(!files.is_empty(), "no child of a sink was traced");
    files.iter().map(|file| read(file)).collect()
}

/// With the features of the whole workspace: with those of one package its dependencies would be built once more.
fn workspace_test(args: &[&str]) -> Command {
    let mut test = cargo::command();
    test.args(["test", "--workspace"]).args(args);
    test
}

fn read(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
