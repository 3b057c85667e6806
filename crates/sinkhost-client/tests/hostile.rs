//! The hostile plugins, each in a real child: what the hub learns of them, and what they leave behind.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test says what went wrong by panicking, and times real processes"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Running, frame, host_binary, job, launch, lines};
use watchpost_sinkhost_client::{AlertDoc, CANCEL_GRACE, Event, ExitKind, Host, Launch, Outcome, inspect};
use watchpost_testkit::{hostile_plugin, hostile_plugin_ids, panicking_plugin, skip_because};

fn hostile(id: &str) -> Launch {
    launch(&hostile_plugin(id).unwrap())
}

async fn start(launch: Launch) -> Running {
    let (host, events) = Host::start(launch).await.unwrap();
    Running { host, events }
}

/// The sink's configuration and the file it names.
fn recording(id: &str) -> (Launch, PathBuf) {
    let launch = hostile(id);
    let file = launch.state_dir.join("record");
    let config_json = format!(r#"{{"marker": "boom", "file": "{}"}}"#, file.display());
    (
        Launch {
            config_json,
            ..launch
        },
        file,
    )
}

/// Each line of a record as (id, attempt), the time apart.
fn record(file: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(
            matches!(words[..], [_, _, time] if time.parse::<u64>().unwrap() > 1_700_000_000_000),
            "{line}"
        );
        (words[0].to_owned(), words[1].to_owned())
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn each_is_a_plugin_called_as_its_file() {
    for id in hostile_plugin_ids().unwrap() {
        let info = inspect(host_binary(), &hostile_plugin(&id).unwrap())
            .await
            .unwrap();
        assert_eq!(info.id, id);
        assert!(!info.summary.is_empty(), "{id}");
    }
}

#[tokio::test]
async fn the_recorder_has_written_down_what_counts_as_done() {
    let (launch, file) = recording("recorder");
    let mut running = start(launch).await;
    let mut again = job(2, "an alert");
    again.attempt = 3;
    running.deliver(1, "an alert");
    running.host.deliver(again).unwrap();
    for _ in 0..2 {
        assert_eq!(running.done().await.1, Outcome::Ok);
    }
    assert_eq!(
        record(&file),
        [("1".into(), "1".into()), ("2".into(), "3".into())]
    );
    assert_eq!(running.stop().await.0, ExitKind::Stopped);
}

#[tokio::test]
async fn the_recorder_says_what_is_wrong_with_its_configuration() {
    let refused = Host::start(hostile("recorder")).await.unwrap_err().to_string();
    assert!(
        refused.contains("/file: the path of the file to append to is missing"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_death_is_told_with_its_cause() {
    for (id, how) in [
        ("crash", ExitKind::Signal(11)),
        ("abort", ExitKind::Signal(6)),
        ("exit0", ExitKind::Code(0)),
    ] {
        let mut running = start(hostile(id)).await;
        running.deliver(1, "an alert");
        let exit = running.exit().await;
        assert_eq!((exit.how, exit.blamed), (how, Some(1)), "{id}");
    }
}

/// A cgroup of the older kind whose processes are frozen: signals do not wake them, as they do not wake what waits for a disk.
struct Freezer(PathBuf);

impl Freezer {
    fn new() -> std::io::Result<Self> {
        let path = PathBuf::from(format!("/sys/fs/cgroup/freezer/watchpost-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    async fn set(&self, state: &str) {
        fs::write(self.0.join("freezer.state"), state).unwrap();
        while fs::read_to_string(self.0.join("freezer.state")).unwrap().trim() != state {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test]
async fn a_process_that_does_not_die_is_left_behind() {
    let freezer = match Freezer::new() {
        Ok(freezer) => freezer,
        Err(error) => {
            let why = format!("it needs root and the older cgroups' freezer: {error}");
            assert!(skip_because(&why));
            return;
        }
    };
    let (launch, _) = recording("recorder");
    let mut running = start(launch).await;
    let pid = running.host.pid();
    fs::write(freezer.0.join("cgroup.procs"), pid.to_string()).unwrap();
    freezer.set("FROZEN").await;
    running.deliver(1, "an alert");
    running.host.kill("the test wants it".into());
    let exit = running.exit().await;
    assert_eq!((exit.how, exit.unfinished), (ExitKind::Unkillable, vec![1]));
    assert!(
        fs::exists(format!("/proc/{pid}")).unwrap(),
        "it was not left behind"
    );
    let (launch, file) = recording("recorder");
    let mut next = start(launch).await;
    next.deliver(1, "an alert");
    assert_eq!(next.done().await.1, Outcome::Ok);
    assert_eq!(record(&file).len(), 1);
    assert_eq!(next.stop().await.0, ExitKind::Stopped);

    // It dies once it can, and is reaped when the next one is started.
    freezer.set("THAWED").await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while fs::exists(format!("/proc/{pid}")).unwrap() {
        assert!(Instant::now() < deadline, "it lives");
        start(recording("recorder").0).await.stop().await;
    }
}

/// A socket that is full when its child dies is writable for ever afterwards, and must not be waited for: the thread
/// would do nothing else.
#[tokio::test]
async fn a_death_is_heard_of_also_when_the_child_was_told_more_than_it_could_take() {
    for _ in 0..20 {
        let mut running = start(hostile("exit0")).await;
        for call_id in 1..=100 {
            let mut large = job(call_id, "an alert");
            let document = AlertDoc {
                json: format!("{{\"text\":\"{}\"}}", "x".repeat(8_000)),
                ..AlertDoc::clone(&large.alert)
            };
            large.alert = Arc::new(document);
            running.host.deliver(large).unwrap();
        }
        assert_eq!(running.exit().await.how, ExitKind::Code(0));
    }
}

#[tokio::test]
async fn poison_dies_of_the_marked_alert_only() {
    let (launch, file) = recording("poison");
    let mut running = start(launch).await;
    running.deliver(1, "an alert");
    assert_eq!(running.done().await.1, Outcome::Ok);
    running.deliver(2, "a boom in the night");
    let exit = running.exit().await;
    assert_eq!((exit.how, exit.blamed), (ExitKind::Signal(11), Some(2)));
    assert_eq!(record(&file), [("1".into(), "1".into())]);
}

#[tokio::test]
async fn who_hangs_is_killed_after_the_deadline() {
    let mut running = start(hostile("hang")).await;
    let mut short = job(1, "an alert");
    short.timeout = Duration::from_millis(100);
    let begun = Instant::now();
    running.host.deliver(short).unwrap();
    assert_eq!(running.done().await.1, Outcome::TimedOut);
    assert_eq!(running.exit().await.how, ExitKind::TimedOut);
    assert!(begun.elapsed() >= CANCEL_GRACE, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_is_slow_is_waited_for_and_gives_up_when_asked_to() {
    let slow = Launch {
        config_json: r#"{"ms": "20"}"#.into(),
        ..hostile("slow")
    };
    let mut running = start(slow).await;
    running.deliver(1, "an alert");
    assert_eq!(running.done().await.1, Outcome::Ok);
    let _ = running.stop().await;

    let slower = Launch {
        config_json: r#"{"ms": "60000"}"#.into(),
        ..hostile("slow")
    };
    let mut running = start(slower).await;
    running.deliver(1, "an alert");
    // The plugin's own word that it is in the call.
    assert_eq!(running.line().await, "waiting");
    running.host.cancel(1);
    assert_eq!(running.done().await.1, Outcome::Retry { after: None });
}

#[tokio::test]
async fn who_will_not_end_is_killed() {
    let Running { host, .. } = start(hostile("deaf")).await;
    assert_eq!(
        host.stop(Duration::from_millis(100)).await,
        ExitKind::StopTimedOut
    );
}

#[tokio::test]
async fn who_takes_all_the_memory_dies_of_it() {
    let mut launch = hostile("hog");
    launch.grants.memory_bytes = Some(128 << 20);
    let mut running = start(launch).await;
    running.deliver(1, "an alert");
    assert_eq!(running.exit().await.how, ExitKind::Signal(6));
}

#[tokio::test]
async fn who_leaks_descriptors_fails_and_in_the_end_dies() {
    let mut launch = hostile("fdleak");
    launch.grants.open_files = Some(300);
    let mut running = start(launch).await;
    running.deliver(1, "an alert");
    let (_, outcome, notes) = running.done().await;
    assert_eq!(outcome, Outcome::Retry { after: None });
    assert_eq!(notes[0].text, "cannot open another file: Too many open files");
    // A picture is a descriptor, and there is none left to take it in with.
    let mut with_picture = job(2, "an alert");
    with_picture.frames = vec![frame(b"picture")];
    running.host.deliver(with_picture).unwrap();
    let exit = running.exit().await;
    assert_ne!(exit.how, ExitKind::Stopped);
    assert_eq!(exit.unfinished, [2]);
}

#[tokio::test]
async fn a_flood_is_drained_and_mostly_dropped() {
    let mut running = start(hostile("flood")).await;
    running.deliver(1, "an alert");
    let mut events = Vec::new();
    let outcome = loop {
        match running.event().await.unwrap() {
            Event::Done { outcome, .. } => break outcome,
            event => events.push(event),
        }
    };
    assert_eq!(outcome, Outcome::Ok);
    events.extend(running.stop().await.1);
    let logged: usize = lines(&events).iter().map(|line| line.len()).sum();
    assert!(logged > 0 && logged < 4 << 20, "{logged} of 8 MiB were logged");
}

#[tokio::test]
async fn who_reads_its_input_gets_nothing() {
    let mut running = start(hostile("stdin")).await;
    running.deliver(1, "an alert");
    assert_eq!(running.done().await.1, Outcome::Ok);
}

#[tokio::test]
async fn without_the_grant_no_process_can_be_started() {
    let mut running = start(hostile("forkbomb")).await;
    running.deliver(1, "an alert");
    let (_, outcome, notes) = running.done().await;
    assert_eq!(outcome, Outcome::Retry { after: None });
    assert_eq!(notes[0].text, "cannot start a process: Operation not permitted");
}

#[tokio::test]
async fn processes_do_not_outlive_the_plugin() {
    let mut launch = hostile("forkbomb");
    launch.grants.exec = true;
    let mut running = start(launch).await;
    let group = running.host.pid();
    running.deliver(1, "an alert");
    assert_eq!(running.done().await.1, Outcome::Ok);
    let _ = running.stop().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    // The kernel takes a moment to kill a group.
    while !members(group).is_empty() {
        assert!(Instant::now() < deadline, "left behind: {:?}", members(group));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Its first thread has ended and another goes on, in a group and a session of its own.
#[tokio::test]
async fn what_only_looks_dead_does_not_outlive_the_plugin() {
    let mut launch = hostile("ghost");
    launch.grants.exec = true;
    let file = launch.state_dir.join("ghost");
    let mut running = start(launch).await;
    running.deliver(1, "an alert");
    assert_eq!(running.done().await.1, Outcome::Ok);
    let ghost = fs::read_to_string(file).unwrap();
    // The process is there for as long as it has threads.
    let threads = || fs::read_dir(format!("/proc/{ghost}/task")).map_or(0, Iterator::count);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !fs::read_to_string(format!("/proc/{ghost}/stat"))
        .unwrap()
        .contains(") Z ")
    {
        assert!(Instant::now() < deadline, "its first thread goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(threads(), 2);
    let _ = running.stop().await;
    while threads() > 1 {
        assert!(Instant::now() < deadline, "left behind: {ghost}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The processes of a group that are not dead yet.
fn members(group: u32) -> Vec<String> {
    let stats = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    // "pid (name) state parent group …", and the name may hold anything.
    let in_group = |stat: &String| {
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        fields[0] != "Z" && fields[2] == group.to_string()
    };
    stats.filter(in_group).collect()
}

#[tokio::test]
async fn a_panic_is_an_outcome_and_no_death() {
    let library = panicking_plugin().unwrap();
    for (payload, said) in [
        ("text", "the sink panicked: cannot bear `a boom`"),
        ("panics_when_dropped", "the sink panicked: without a message"),
    ] {
        let config_json = format!(r#"{{"marker": "boom", "payload": "{payload}"}}"#);
        let mut running = start(Launch {
            config_json,
            ..launch(&library)
        })
        .await;
        running.deliver(1, "an alert");
        assert_eq!(running.done().await.1, Outcome::Ok);
        running.deliver(2, "a boom");
        let (call_id, outcome, notes) = running.done().await;
        assert_eq!((call_id, outcome), (2, Outcome::Fatal));
        assert_eq!(notes[0].text, said);
        assert_eq!(running.stop().await.0, ExitKind::Stopped);
    }
}
