//! Builds plugins with the C compiler and runs the real child with them.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "each test file uses its part, and a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use watchpost_sinkhost_client::sandbox::Grants;
use watchpost_sinkhost_client::{
    AlertDoc, Cgroups, Conduct, Error, Event, EventStream, Exit, ExitKind, FrameFd, FrameMeta, Host, Job,
    Launch, Note, Outcome, Severity,
};

/// A test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The real program.
pub(crate) fn host_binary() -> &'static Path {
    watchpost_testkit::artefacts()
        .unwrap()
        .binary("watchpost-sinkhost")
        .unwrap()
}

/// Builds `tests/plugins/test_sink.c` with these flags into a file of its own and returns its path.
pub(crate) fn plugin(flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/test_sink.c");
    build(&source, flags)
}

/// Builds a C source given as text.
pub(crate) fn plugin_of(text: &str) -> PathBuf {
    let source = scratch().join("plugin.c");
    std::fs::write(&source, text).unwrap();
    build(&source, &[])
}

/// The real program on a kernel that has never heard of Landlock: a filter answers for it.
pub(crate) fn host_binary_without_landlock() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/without_landlock.c");
    let output = scratch().join("watchpost-sinkhost");
    let program = format!("-DPROGRAM=\"{}\"", host_binary().display());
    let result = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", &program, "-o"])
        .args([&output, &source])
        .output()
        .unwrap_or_else(|error| panic!("cc: {error}: install a C compiler"));
    assert!(
        result.status.success(),
        "cc: {}",
        String::from_utf8_lossy(&result.stderr)
    );
    output
}

fn build(source: &Path, flags: &[&str]) -> PathBuf {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sink-abi/include");
    let output = scratch().join("libwatchpost_test.so");
    let result = Command::new("cc")
        .args([
            "-std=c11",
            "-D_GNU_SOURCE",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-missing-field-initializers",
        ])
        .args(["-shared", "-fPIC", "-I"])
        .arg(include)
        .args(flags)
        .arg(source)
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap_or_else(|error| panic!("cc: {error}: install a C compiler"));
    assert!(
        result.status.success(),
        "cc: {}",
        String::from_utf8_lossy(&result.stderr)
    );
    output
}

/// A directory no other test has.
pub(crate) fn scratch() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}", std::process::id());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// A launch of this plugin.
pub(crate) fn launch(plugin: &Path) -> Launch {
    let state_dir = scratch();
    Launch {
        host_binary: host_binary().to_owned(),
        plugin: plugin.to_owned(),
        instance: "test".into(),
        grants: Grants::for_sink(plugin, &state_dir),
        state_dir,
        config_json: "{}".into(),
        hub_version: "0.1.0".into(),
        create_timeout: Duration::from_secs(10),
        cgroups: Cgroups::none("a test"),
        conduct: Conduct::default(),
    }
}

/// A delivery whose title tells the plugin what to do.
pub(crate) fn job(call_id: u64, title: &str) -> Job {
    Job {
        call_id,
        attempt: 1,
        timeout: Duration::from_secs(10),
        alert: Arc::new(AlertDoc {
            id: call_id.to_string(),
            severity: Severity::High,
            title: title.into(),
            text: "A person climbs the fence.".into(),
            json: "{}".into(),
            unix_ms: 1_767_225_600_000,
            utc_offset_s: 0,
        }),
        frames: Vec::new(),
    }
}

/// A picture of these bytes.
pub(crate) fn frame(bytes: &[u8]) -> FrameFd {
    let meta = FrameMeta {
        mime: "image/jpeg".into(),
        name: "frame.jpg".into(),
        width: 640,
        height: 480,
    };
    FrameFd::from_bytes(meta, bytes).unwrap()
}

/// A running plugin and what it has said.
pub(crate) struct Running {
    pub(crate) host: Host,
    pub(crate) events: EventStream,
}

impl Running {
    pub(crate) async fn start(plugin: &Path) -> Self {
        let (host, events) = Host::start(launch(plugin)).await.unwrap();
        Self { host, events }
    }

    pub(crate) fn deliver(&self, call_id: u64, title: &str) {
        self.host.deliver(job(call_id, title)).unwrap();
    }

    pub(crate) async fn event(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.events.next())
            .await
            .expect("no event came")
    }

    /// The outcome of the next call to end, with its number.
    pub(crate) async fn done(&mut self) -> (u64, Outcome, Vec<Note>) {
        loop {
            match self.event().await {
                Some(Event::Done {
                    call_id,
                    outcome,
                    notes,
                }) => return (call_id, outcome, notes.to_vec()),
                Some(Event::Begun { .. } | Event::Log { .. }) => {}
                other => panic!("{other:?} instead of an outcome"),
            }
        }
    }

    /// The next line of the log.
    pub(crate) async fn line(&mut self) -> String {
        loop {
            match self.event().await {
                Some(Event::Log { text, .. }) => return text,
                Some(Event::Begun { .. } | Event::Done { .. }) => {}
                other => panic!("{other:?} instead of a line"),
            }
        }
    }

    /// All there is to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }

    /// How it ended.
    pub(crate) async fn exit(&mut self) -> Exit {
        match self.rest().await.pop() {
            Some(Event::Exited(exit)) => exit,
            other => panic!("the last event is {other:?}"),
        }
    }

    pub(crate) async fn stop(self) -> (ExitKind, Vec<Event>) {
        let Self { host, mut events } = self;
        let how = host.stop(Duration::from_secs(10)).await;
        let mut rest = Vec::new();
        while let Some(event) = events.next().await {
            rest.push(event);
        }
        (how, rest)
    }
}

/// The lines of the log among these events.
pub(crate) fn lines(events: &[Event]) -> Vec<&str> {
    let mut lines = Vec::new();
    for event in events {
        if let Event::Log { text, .. } = event {
            lines.push(text.as_str());
        }
    }
    lines
}

/// The error of a start that must fail.
pub(crate) async fn refusal(launch: Launch) -> Error {
    match Host::start(launch).await {
        Ok(_) => panic!("it must not start"),
        Err(error) => error,
    }
}
