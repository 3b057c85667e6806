//! The sink on the bench, with real programs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sink::testing::{Bench, TestAlert, TestFrame, alert};
use watchpost_sink::{Fail, Outcome};

use crate::Exec;

/// A sink that runs a script of the shell, with `more` in its configuration.
fn script(dir: &TempDir, script: &str, more: Value) -> Bench<Exec> {
    let mut config = json!({ "command": ["/bin/sh", "-c", script, "sh", "{id}", "{picture}"] });
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    Bench::create(&config.to_string(), dir.path()).unwrap()
}

fn run(text: &str, more: Value) -> Result<(), Fail> {
    let dir = TempDir::new().unwrap();
    script(&dir, text, more).deliver(&alert("7"))
}

fn with_picture(bytes: Vec<u8>) -> TestAlert {
    let frame = TestFrame {
        mime: "image/jpeg".into(),
        name: "frame.jpg".into(),
        bytes,
        width: 1,
        height: 1,
    };
    TestAlert {
        frames: vec![frame],
        ..alert("7")
    }
}

fn refused(config: Value) -> String {
    let error = Bench::<Exec>::check(&config.to_string()).unwrap_err();
    assert_eq!(error.outcome(), Outcome::BadConfig);
    error.to_string()
}

/// Whether a process is there that is not merely waiting to be waited for.
fn is_alive(pid: &str) -> bool {
    fs::read_to_string(Path::new("/proc").join(pid).join("stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

#[test]
fn the_exit_code_decides() {
    run("exit 0", json!({})).unwrap();
    for (code, more, expected) in [
        (75, json!({}), Outcome::Retry),
        (1, json!({}), Outcome::Permanent),
        (255, json!({}), Outcome::Permanent),
        (0, json!({ "done": [3] }), Outcome::Permanent),
        (4, json!({ "retry": [4, 5] }), Outcome::Retry),
    ] {
        let error = run(&format!("echo first; echo last words >&2; exit {code}"), more).unwrap_err();
        assert_eq!(error.outcome(), expected, "{error}");
        let said = error.to_string();
        assert!(said.ends_with(&format!("exit code {code}: last words")), "{said}");
    }
    run("exit 3", json!({ "done": [3] })).unwrap();
    let error = run("kill -SEGV $$", json!({})).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Retry);
    assert!(error.to_string().contains("killed by signal 11"), "{error}");
}

#[test]
fn the_program_gets_document_and_picture() {
    let dir = TempDir::new().unwrap();
    let mut sink = script(
        &dir,
        r#"cat > document; cp "$2" picture; echo "$1 $WATCHPOST_SEVERITY $WATCHPOST_TITLE $WATCHPOST_PICTURE $2" > words"#,
        json!({}),
    );
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut sent = with_picture(bytes.clone());
    // Larger than a pipe.
    sent.json = format!("{{\"text\":\"{}\"}}", "ä".repeat(200_000));
    sink.deliver(&sent).unwrap();
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert!(read("document") == sent.json.as_bytes());
    assert!(read("picture") == bytes);
    let path = dir.path().join("pictures/1.jpg");
    let expected = format!("7 high Abnormal behaviour {0} {0}\n", path.display());
    assert_eq!(String::from_utf8(read("words")).unwrap(), expected);
    assert!(!path.exists(), "the picture is left behind");

    let mut sink = script(&dir, r#"test -z "$2" -a -z "$WATCHPOST_PICTURE""#, json!({}));
    sink.deliver(&alert("8")).unwrap();
}

#[test]
fn the_environment_is_clean() {
    let dir = TempDir::new().unwrap();
    let mut sink = script(&dir, "env > words", json!({ "env": { "COLOUR": "red" } }));
    let odd = TestAlert {
        title: "a\0b".into(),
        text: "ü".repeat(100_000),
        ..alert("7")
    };
    sink.deliver(&odd).unwrap();
    let words = fs::read_to_string(dir.path().join("words")).unwrap();
    let names: Vec<&str> = words
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name))
        .filter(|name| !name.starts_with("WATCHPOST_") && !["PWD", "_", "SHLVL", "OLDPWD"].contains(name))
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["COLOUR", "HOME", "LANG", "PATH", "TMPDIR"]);
    assert!(words.contains("WATCHPOST_TITLE=a\u{fffd}b\n"));
}

#[test]
fn a_program_that_reads_nothing_is_no_failure() {
    let dir = TempDir::new().unwrap();
    let mut sink = script(&dir, "exec <&-; exit 0", json!({}));
    let large = TestAlert {
        json: format!("\"{}\"", "x".repeat(1 << 20)),
        ..alert("7")
    };
    sink.deliver(&large).unwrap();
}

#[test]
fn what_is_printed_is_logged_within_bounds() {
    let dir = TempDir::new().unwrap();
    let mut sink = script(&dir, "seq 1 2000; printf '%0100000d' 7", json!({}));
    sink.deliver(&alert("7")).unwrap();
    let log = sink.log();
    assert_eq!(log[0], "1");
    assert_eq!(log.len(), 51);
    assert_eq!(log[50], "the program printed 1951 lines more");
}

#[test]
fn too_long_a_run_is_ended_with_all_it_started() {
    let dir = TempDir::new().unwrap();
    let stubborn = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 1000; done' & \
                    while :; do sleep 1000; done";
    let mut sink = script(&dir, stubborn, json!({ "timeout": "300ms" }));
    let error = sink.deliver(&alert("7")).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Retry);
    assert!(error.to_string().contains("did not end within 300ms"), "{error}");
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    // Killed, but perhaps not dead yet.
    while is_alive(pid.trim()) {
        std::thread::yield_now();
    }

    let mut sink = script(
        &dir,
        "trap 'echo bye; exit 0' TERM; sleep 1000 & wait",
        json!({ "timeout": "300ms" }),
    );
    let error = sink.deliver(&alert("8")).unwrap_err();
    assert!(error.to_string().ends_with("was ended: bye"), "{error}");
}

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    let dir = TempDir::new().unwrap();
    let mut sink = script(&dir, "sleep 1000 & echo $! > pid", json!({}));
    sink.deliver(&alert("7")).unwrap();
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    while is_alive(pid.trim()) {
        std::thread::yield_now();
    }
}

#[test]
fn a_cancelled_run_ends() {
    let dir = TempDir::new().unwrap();
    let mut sink = script(&dir, "exec sleep 1000", json!({}));
    sink.cancel_next();
    let error = sink.deliver(&alert("7")).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Retry);
    assert!(error.to_string().contains("the sink is to stop"), "{error}");
}

#[test]
fn a_program_that_is_not_there_is_explained() {
    let dir = TempDir::new().unwrap();
    let config = json!({ "command": ["/nowhere/lamp"] });
    let mut sink = Bench::<Exec>::create(&config.to_string(), dir.path()).unwrap();
    for error in [sink.probe().unwrap_err(), sink.deliver(&alert("7")).unwrap_err()] {
        assert_eq!(error.outcome(), Outcome::Retry);
        assert!(
            error.to_string().contains("/nowhere/lamp cannot be started"),
            "{error}"
        );
    }
    let config = json!({ "command": ["/etc/passwd"] });
    let mut sink = Bench::<Exec>::create(&config.to_string(), dir.path()).unwrap();
    let error = sink.deliver(&alert("7")).unwrap_err().to_string();
    assert!(error.contains("it has to be executable"), "{error}");
    script(&dir, "", json!({})).probe().unwrap();
}

#[test]
fn mistakes_are_explained() {
    for (config, expected) in [
        (json!({ "command": [] }), "/command: is empty"),
        (
            json!({ "command": ["lamp"] }),
            "/command/0: `lamp` is no absolute path",
        ),
        (json!({ "command": ["/l", "a\0"] }), "/command/1: a NUL character"),
        (
            json!({ "command": ["/l"], "env": { "WATCHPOST_ID": "1" } }),
            "/env/WATCHPOST_ID: the variables WATCHPOST_",
        ),
        (
            json!({ "command": ["/l"], "env": { "a=b": "1" } }),
            "/env/a=b: a variable",
        ),
        (
            json!({ "command": ["/l"], "directory": "here" }),
            "/directory: has to be",
        ),
        (
            json!({ "command": ["/l"], "retry": [9, 0] }),
            "/retry/1: 0 stands in `done` too",
        ),
        (
            json!({ "command": ["/l"], "timeout": "soon" }),
            "/timeout: `soon` is not a duration",
        ),
        (
            json!({ "command": ["/l"], "timeout": "0s" }),
            "/timeout: `0s` is not a duration",
        ),
        (json!({ "command": ["/l"], "retry": [256] }), "/retry/0"),
        (json!({ "comand": ["/l"] }), "unknown field `comand`"),
    ] {
        let error = refused(config);
        assert!(error.contains(expected), "{error} should say {expected}");
    }
}

#[test]
fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "command": ["/bin/sh", "-c", "cat >/dev/null"] });
    let findings = watchpost_sink::testing::conformance::<Exec>(&config, dir.path());
    assert_eq!(findings, [""; 0]);
}
