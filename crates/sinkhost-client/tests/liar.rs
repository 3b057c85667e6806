//! A child that lies: the parent believes nothing it is sent, ends the child with the reason, and pays little for it.
//!
//! This program is both sides. Started by a person it runs the tests; each test starts it again in place of
//! `watchpost-sinkhost`, to speak the protocol as no honest child does. What it sends is what a plugin can send that
//! finds the socket of its process.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test says what went wrong by panicking, and stops itself by a bare call"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::fs::{FileType, MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use watchpost_sinkhost_client::sandbox::{Enforced, Grants};
use watchpost_sinkhost_client::{
    AlertDoc, Cgroups, Conduct, Event, ExitKind, Host, Job, Launch, LogLevel, Note, Outcome, PluginInfo,
    Severity, Stage,
};
use watchpost_sinkhost_protocol::{
    ArmAct, ArmRequest, Code, FIRST_OWN_CALL, Outgoing, Receiver, ToChild, ToParent, decode_to_child,
    encode_to_parent,
};

const MIB: usize = 1 << 20;
/// A test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a liar is given to do; a flush is of at most 64.
const CALLS: usize = 60;
/// What a lie may cost the parent at its peak, in KiB.
const MAX_COST_KIB: u64 = 16 << 10;

/// Files that the kernel lets one packet have.
const MAX_FILES: usize = 253;

/// What the liar does once the parent believes that it runs, or instead of that; and the words its end is told with.
const LIES: &[(&str, &str)] = &[
    ("huge-note", "a message is too large"),
    ("huge-log", "a message is too large"),
    ("long-note", "a note of 9000 bytes"),
    ("many-notes", "500 notes"),
    ("long-line", "a log line of 70000 bytes"),
    ("log-flood", "more log lines"),
    ("log-before-plugin", "a log line out of order"),
    ("answer-first", "the outcome of its start out of order"),
    ("answer-twice", "the outcome of its start out of order"),
    ("sandbox-twice", "its sandbox out of order"),
    ("load-twice", "a loaded plugin out of order"),
    ("call-before-start", "the beginning of a call out of order"),
    ("begun-flood", "call 1, which it does not have"),
    ("begun-unknown", "call 77, which it does not have"),
    ("begun-last-first", "begins call 2 out of turn"),
    ("begun-next-at-once", "begins call 2 out of turn"),
    ("flush-of-nothing", "out of turn"),
    ("done-unknown", "call 77, which it does not have"),
    ("done-not-begun", "call 1, which it does not have"),
    ("done-twice", "call 1, which it does not have"),
    ("done-of-many", "which it does not have"),
    ("done-of-none", "which it does not have"),
    ("timed-out", "only its parent gives"),
    ("acknowledge-ungranted", "does not let it"),
    ("acknowledge-other", "call 2, which it does not have"),
    ("acknowledge-twice", "twice"),
    ("acknowledge-done", "call 1, which it does not have"),
    ("ask-ungranted", "does not let it"),
    ("ask-out-of-turn", "number 7, which is out of turn"),
    ("ask-twice", "number 1, which is out of turn"),
    ("ask-flood", "more often than its limit"),
    ("ask-long-area", "the name of an area of 1000 bytes"),
    ("ask-long-code", "a code of 1000 bytes"),
    ("pong-unasked", "a ping that was not sent"),
    ("files", "1 open files"),
    ("files-with-begun", "1 open files"),
    ("nine-files", "9 open files"),
    ("many-files", "a packet did not fit"),
    ("files-beside-message", "8 open files"),
    ("endless-file", "no sealed memory"),
    ("silent-pipe", "no sealed memory"),
    ("unsealed-memory", "no sealed memory"),
    ("garbage", "the fingerprint of its protocol"),
    ("empty-kind", "unknown kind"),
    ("tiny-flood", "ends within its header"),
    ("empty-packet", "closed the socket"),
    ("close-socket", "closed the socket"),
];

fn main() {
    if fstat(rustix::stdio::stdin())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
    {
        Liar::new().live(&std::env::args().nth(1).unwrap_or_default());
    }
    // One after the other: what a lie costs is seen at the peak of the process.
    let arguments = Arguments {
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    let mut trials: Vec<Trial> = LIES
        .iter()
        .map(|(lie, words)| trial(lie, move || block_on(found_out(lie, words))))
        .collect();
    trials.push(trial("stopped", || block_on(a_stopped_child_is_found())));
    trials.push(trial("never-begins", || {
        block_on(a_child_that_never_begins_is_found())
    }));
    trials.push(trial("begins-one-a-second", || {
        block_on(beginning_again_gains_no_time())
    }));
    trials.push(trial("late-spill", || block_on(what_comes_late_costs_no_more())));
    trials.push(trial("half-closed", || block_on(a_half_closed_socket_is_found())));
    trials.push(trial("talks-while-ending", || {
        block_on(what_is_said_while_it_ends_is_checked())
    }));
    trials.push(trial("heir", || block_on(an_heir_is_not_listened_to_for_long())));
    trials.push(trial("busy", || block_on(a_busy_child_gets_what_others_leave())));
    trials.push(trial("session", || {
        block_on(what_one_child_did_counts_for_the_next())
    }));
    trials.push(trial("honest", || block_on(an_honest_child_is_believed())));
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok::<(), Failed>(())
    })
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

fn launch(lie: &str) -> Launch {
    // The parent looks at the file before it starts the child; this program is no library, but the C library is.
    let plugin = [
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/aarch64-linux-gnu/libc.so.6",
        "/lib64/libc.so.6",
    ]
    .into_iter()
    .find(|path| std::path::Path::new(path).exists())
    .expect("a C library");
    Launch {
        host_binary: std::env::current_exe().unwrap(),
        plugin: plugin.into(),
        instance: lie.into(),
        state_dir: std::env::temp_dir(),
        config_json: "{}".into(),
        hub_version: "0".into(),
        grants: Grants {
            acknowledge: !lie.contains("ungranted"),
            arm: !lie.contains("ungranted"),
            ..Grants::default()
        },
        create_timeout: Duration::from_secs(5),
        cgroups: Cgroups::none("a test"),
        conduct: Conduct::default(),
    }
}

fn job(call_id: u64, timeout: Duration) -> Job {
    Job {
        call_id,
        attempt: 1,
        timeout,
        alert: Arc::new(AlertDoc {
            id: "1".into(),
            severity: Severity::High,
            title: "Anomaly".into(),
            text: String::new(),
            json: "{}".into(),
            unix_ms: 0,
            utc_offset_s: 0,
        }),
        frames: Vec::new(),
    }
}

/// Starts a liar with calls to do, and waits for its end, or the refusal of its start.
async fn end_of(lie: &str, timeout: Duration) -> (String, Vec<Event>) {
    let (host, mut events) = match Host::start(launch(lie)).await {
        Ok(started) => started,
        Err(error) => return (error.to_string(), Vec::new()),
    };
    for call_id in 1..=CALLS as u64 {
        // It may have been found out already.
        let _ = host.deliver(job(call_id, timeout));
    }
    let mut came = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, events.next())
            .await
            .expect("an end")
        {
            Some(Event::Exited(exit)) => return (exit.how.to_string(), came),
            Some(event) => came.push(event),
            None => panic!("the last event is the exit"),
        }
    }
}

async fn found_out(lie: &str, words: &str) {
    let before = peak_kib();
    let (how, _) = end_of(lie, Duration::from_secs(30)).await;
    assert!(
        how.contains("violated the protocol") && how.contains(words),
        "{lie}: {how}"
    );
    let cost = peak_kib().saturating_sub(before);
    assert!(cost < MAX_COST_KIB, "{lie} cost {cost} KiB");
}

async fn a_stopped_child_is_found() {
    let (host, mut events) = Host::start(launch("stop")).await.unwrap();
    let event = tokio::time::timeout(PATIENCE, events.next())
        .await
        .expect("an end");
    let Some(Event::Exited(exit)) = event else {
        panic!("{event:?}")
    };
    assert!(matches!(exit.how, ExitKind::Unresponsive(_)), "{}", exit.how);
    // After how long is tested without a clock.
    drop(host);
}

async fn a_child_that_never_begins_is_found() {
    let (how, _) = end_of("never-begin", Duration::from_secs(3600)).await;
    assert!(how.contains("did not begin call 1"), "{how}");
}

/// The deadline of a run is no later for what begins in it: the child is ended before it has begun all that it has.
async fn beginning_again_gains_no_time() {
    let (how, events) = end_of("begin-slowly", Duration::from_millis(200)).await;
    assert!(how.contains("missed its deadline"), "{how}");
    let begun = events
        .iter()
        .filter(|event| matches!(event, Event::Begun { .. }))
        .count();
    assert!((2..CALLS).contains(&begun), "{begun} of {CALLS} begun");
}

/// Once it was asked to return, or was about to be killed.
async fn what_comes_late_costs_no_more() {
    let before = peak_kib();
    let mut how = ExitKind::TimedOut.to_string();
    // One that gets no processor in its last seconds is killed before it has said anything.
    for _ in 0..20 {
        if how == ExitKind::TimedOut.to_string() {
            (how, _) = end_of("late-spill", Duration::from_millis(100)).await;
        }
    }
    assert!(how.contains("a message is too large"), "{how}");
    let cost = peak_kib().saturating_sub(before);
    assert!(cost < MAX_COST_KIB, "it cost {cost} KiB");
}

/// Nothing can be sent to it any more, and it is silent.
async fn a_half_closed_socket_is_found() {
    let (how, _) = end_of("half-closed", Duration::from_secs(3600)).await;
    assert!(
        how.contains("sign of life") || how.contains("did not begin call 1"),
        "{how}"
    );
}

async fn what_is_said_while_it_ends_is_checked() {
    let (host, _events) = Host::start(launch("talks-while-ending")).await.unwrap();
    let how = host.stop(PATIENCE).await.to_string();
    assert!(how.contains("call 77, which it does not have"), "{how}");
}

/// A process that a child has left behind has its socket, and goes on in its name.
async fn an_heir_is_not_listened_to_for_long() {
    let (how, events) = end_of("heir", PATIENCE).await;
    assert_eq!(how, ExitKind::Code(0).to_string());
    let lines = events.iter().filter(|event| matches!(event, Event::Log { .. }));
    let lines = lines.count();
    assert!(lines < 2_000, "{lines} lines");
}

/// By the scheduler's group of its session, for it has no cgroup here.
async fn a_busy_child_gets_what_others_leave() {
    if !std::fs::exists("/proc/self/autogroup").unwrap() {
        let _ = watchpost_testkit::skip_because("this kernel has no autogroups");
        return;
    }
    // Empty for a process of the first session, which has no group of its own.
    let own = || std::fs::read_to_string("/proc/self/autogroup").unwrap();
    let before = own();
    let (host, mut events) = Host::start(launch("busy")).await.unwrap();
    host.deliver(job(1, PATIENCE * 2)).unwrap();
    // On a machine that leaves it nothing it is let go before it is slowed down again and that is said.
    loop {
        match tokio::time::timeout(PATIENCE, events.next()).await {
            Ok(Some(Event::Begun { .. })) => {}
            Ok(Some(Event::Log {
                level: LogLevel::Warn,
                text,
            })) if text.contains("processors busy") => break,
            other => panic!("{other:?}"),
        }
    }
    until_slowed_down(host.pid()).await;
    assert_eq!(host.stop(PATIENCE).await, ExitKind::Stopped);
    assert_eq!(own(), before);
}

/// One that had to be killed leaves that to the child that takes its place.
async fn what_one_child_did_counts_for_the_next() {
    if !std::fs::exists("/proc/self/autogroup").unwrap() {
        let _ = watchpost_testkit::skip_because("this kernel has no autogroups");
        return;
    }
    let first = launch("session");
    let second = Launch {
        conduct: first.conduct.clone(),
        ..launch("session")
    };
    let (host, mut events) = Host::start(first).await.unwrap();
    host.kill("of this test".into());
    while !matches!(events.next().await, Some(Event::Exited(_))) {}
    let (host, _events) = Host::start(second).await.unwrap();
    until_slowed_down(host.pid()).await;
    assert_eq!(host.stop(PATIENCE).await, ExitKind::Stopped);
}

/// Who is not root may have to try for a while, in the meantime.
async fn until_slowed_down(pid: u32) {
    let file = format!("/proc/{pid}/autogroup");
    let slowed = tokio::task::spawn_blocking(move || {
        watchpost_testkit::eventually("its niceness", PATIENCE, || {
            let group = std::fs::read_to_string(&file).unwrap();
            let is_least = group.trim().ends_with("nice 19");
            is_least.then_some(()).ok_or(group)
        })
    });
    slowed.await.unwrap().unwrap();
}

async fn an_honest_child_is_believed() {
    let (host, mut events) = Host::start(launch("honest")).await.unwrap();
    for call_id in 1..=30 {
        host.deliver(job(call_id, PATIENCE)).unwrap();
    }
    let mut done = 0;
    while done < 30 {
        match tokio::time::timeout(PATIENCE, events.next())
            .await
            .expect("an event")
        {
            Some(Event::Done { outcome, .. }) => {
                assert_eq!(outcome, Outcome::Ok);
                done += 1;
            }
            Some(Event::Begun { .. } | Event::Acknowledged { .. } | Event::Asked(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(host.stop(PATIENCE).await, ExitKind::Stopped);
}

/// The most memory this process has held. The kernel keeps account by processor, and so it may be a little less later.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The child's side.
struct Liar {
    socket: OwnedFd,
    receiver: Receiver,
}

impl Liar {
    fn new() -> Self {
        Self {
            socket: rustix::io::dup(rustix::stdio::stdin()).unwrap(),
            receiver: Receiver::new(64 * MIB),
        }
    }

    fn send(&self, message: &ToParent) {
        self.send_bytes(encode_to_parent(message));
    }

    fn send_bytes(&self, bytes: Vec<u8>) {
        // It may be found out before it has said all.
        let _ = Outgoing::new(bytes, Vec::new()).and_then(|packet| packet.send(&self.socket));
    }

    fn receive(&mut self) -> ToChild<'static> {
        match self.receiver.receive(&self.socket) {
            Ok(Some(packet)) => decode_to_child(&packet.message).unwrap(),
            _ => std::process::exit(0),
        }
    }

    /// Waits for the parent to end it.
    fn wait(&mut self) -> ! {
        loop {
            if self.receive() == ToChild::Stop {
                std::process::exit(0);
            }
        }
    }

    /// The start of a child that runs, up to this many steps.
    fn start(&mut self, steps: usize) {
        self.receive();
        let all = [
            ToParent::Reached(Stage::Starting),
            ToParent::Confined(Enforced::default()),
            ToParent::Reached(Stage::Loading),
            ToParent::Loaded(Box::new(info()), None),
            ToParent::Reached(Stage::Creating),
            ToParent::Answer(Outcome::Ok, Vec::new()),
        ];
        all.iter().take(steps).for_each(|step| self.send(step));
    }

    fn deliveries(&mut self, count: usize) -> Vec<u64> {
        let mut calls = Vec::new();
        while calls.len() < count {
            match self.receive() {
                ToChild::Deliver { call_id, .. } => calls.push(call_id),
                ToChild::Ping => self.send(&ToParent::Pong),
                ToChild::Stop => std::process::exit(0),
                _ => {}
            }
        }
        calls
    }

    fn begin(&self, call_id: u64) {
        self.send(&ToParent::Begun { call_id });
    }

    fn done(&self, call_ids: Vec<u64>, outcome: Outcome, notes: Vec<Note>) {
        self.send(&ToParent::Done {
            call_ids,
            outcome,
            notes,
        });
    }

    /// A packet of this kind with a file that should be the message.
    fn send_file(&self, kind: u8, message: &[u8], file: impl AsFd) {
        self.send_files(kind, message, &[file.as_fd()]);
    }

    /// The same with so many files.
    fn send_files(&self, kind: u8, message: &[u8], files: &[BorrowedFd<'_>]) {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(files)));
        let kind = [kind];
        let parts = [io::IoSlice::new(&kind), io::IoSlice::new(message)];
        let _ = sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL);
    }

    fn live(&mut self, lie: &str) -> ! {
        let steps = match lie {
            "answer-first" => 2,
            "log-before-plugin" | "load-twice" => 4,
            "call-before-start" => 5,
            _ => 6,
        };
        self.start(steps);
        match lie {
            "honest" => self.honest(),
            "session" => {
                rustix::process::setsid().unwrap();
            }
            "busy" => {
                rustix::process::setsid().unwrap();
                std::thread::spawn(|| {
                    loop {
                        std::hint::spin_loop();
                    }
                });
                let calls = self.deliveries(1);
                self.begin(calls[0]);
            }
            "stop" => {
                // SAFETY: no memory is passed.
                let _ = unsafe { libc::raise(libc::SIGSTOP) };
            }
            "never-begin" => drop(self.deliveries(1)),
            "begin-slowly" => self.begin_slowly(),
            "late-spill" => {
                self.deliveries(2);
                self.begin(1);
                while !matches!(self.receive(), ToChild::Cancel { call_id: 1 }) {}
                self.lie("huge-log");
            }
            "half-closed" => {
                rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read).unwrap();
                std::thread::park_timeout(PATIENCE);
            }
            "talks-while-ending" => {
                while self.receive() != ToChild::Stop {}
                self.begin(77);
                std::thread::park_timeout(PATIENCE);
            }
            "heir" => {
                self.deliveries(2);
                // SAFETY: this process has one thread, and the new one goes on with a copy of all that is its own.
                if unsafe { libc::fork() } != 0 {
                    std::process::exit(0);
                }
                self.lie("log-flood");
                std::process::exit(0);
            }
            "close-socket" => {
                let null = File::open("/dev/null").unwrap();
                rustix::stdio::dup2_stdin(&null).unwrap();
                self.socket = null.into();
                // Until it is killed.
                std::thread::park_timeout(PATIENCE);
            }
            _ => self.lie(lie),
        }
        self.answer_pings()
    }

    fn answer_pings(&mut self) -> ! {
        loop {
            self.deliveries(usize::MAX);
        }
    }

    fn honest(&mut self) {
        for _ in 0..30 {
            let calls = self.deliveries(1);
            self.begin(calls[0]);
            self.send(&ToParent::Acknowledged { call_id: calls[0] });
            self.begin(FIRST_OWN_CALL + calls[0]);
            self.done(calls, Outcome::Ok, Vec::new());
        }
        self.wait()
    }

    fn begin_slowly(&mut self) {
        for call_id in self.deliveries(CALLS) {
            self.begin(call_id);
            // The pace of this child, which its parent has to bear: before one call would have been cancelled for long
            // enough, the next one begins.
            std::thread::park_timeout(Duration::from_secs(1));
        }
    }

    fn lie(&mut self, lie: &str) {
        let text = |bytes: usize| "x".repeat(bytes);
        let notes = |count: usize, bytes: usize| vec![Note::new(text(bytes)); count];
        match lie {
            "huge-note" => {
                let calls = self.deliveries(30);
                self.begin(1);
                self.done(calls, Outcome::Ok, notes(1, 60 * MIB));
            }
            "huge-log" => (0..25).for_each(|_| self.send(&ToParent::Log(LogLevel::Info, text(60 * MIB)))),
            "long-note" | "many-notes" => {
                self.deliveries(1);
                self.begin(1);
                let (count, bytes) = if lie == "long-note" {
                    (1, 9_000)
                } else {
                    (500, 1_000)
                };
                self.done(vec![1], Outcome::Ok, notes(count, bytes));
            }
            "long-line" => self.send(&ToParent::Log(LogLevel::Info, text(70_000))),
            "log-flood" => (0..100_000).for_each(|_| self.send(&ToParent::Log(LogLevel::Info, text(60)))),
            "log-before-plugin" => self.send(&ToParent::Log(LogLevel::Info, text(1))),
            "answer-first" | "answer-twice" => self.send(&ToParent::Answer(Outcome::Ok, Vec::new())),
            "sandbox-twice" => self.send(&ToParent::Confined(Enforced::default())),
            "load-twice" => self.send(&ToParent::Loaded(Box::new(info()), None)),
            "call-before-start" => self.begin(1),
            "flush-of-nothing" => self.begin(FIRST_OWN_CALL + 1),
            "pong-unasked" => self.send(&ToParent::Pong),
            "garbage" => self.send_bytes(vec![7; 100]),
            "tiny-flood" => (0..100_000).for_each(|_| self.send_bytes(Vec::new())),
            "empty-packet" => {
                let _ = rustix::net::send(&self.socket, &[], SendFlags::NOSIGNAL);
                std::thread::park_timeout(PATIENCE);
            }
            "empty-kind" => drop(rustix::net::send(&self.socket, &[9, 9], SendFlags::NOSIGNAL)),
            _ => self.lie_about_files(lie),
        }
    }

    fn lie_about_files(&mut self, lie: &str) {
        let log = encode_to_parent(&ToParent::Log(LogLevel::Info, "x".into()));
        let null = File::open("/dev/null").unwrap();
        let of = |count: usize| vec![null.as_fd(); count];
        match lie {
            "files-with-begun" => {
                let calls = self.deliveries(1);
                let begun = encode_to_parent(&ToParent::Begun { call_id: calls[0] });
                self.send_files(0, &begun, &of(1));
            }
            "nine-files" => self.send_files(0, &log, &of(9)),
            "many-files" => self.send_files(0, &log, &of(MAX_FILES)),
            "files-beside-message" => {
                let memory = memfd_create("m", MemfdFlags::ALLOW_SEALING).unwrap();
                rustix::io::write(&memory, &log).unwrap();
                fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SHRINK).unwrap();
                let mut files = of(8);
                files.insert(0, memory.as_fd());
                self.send_files(1, &[], &files);
            }
            "files" => self.send_file(0, &log, File::open("/dev/null").unwrap()),
            "endless-file" => self.send_file(1, &[], File::open("/dev/zero").unwrap()),
            "silent-pipe" => {
                let (reader, writer) = rustix::pipe::pipe().unwrap();
                self.send_file(1, &[], reader);
                std::mem::forget(writer);
            }
            "unsealed-memory" => {
                let memory = memfd_create("m", MemfdFlags::ALLOW_SEALING).unwrap();
                fcntl_add_seals(&memory, SealFlags::GROW).unwrap();
                self.send_file(1, &[], memory);
            }
            _ => self.lie_about_calls(lie),
        }
    }

    fn lie_about_calls(&mut self, lie: &str) {
        self.deliveries(2);
        let done = |ids: &[u64]| self.done(ids.to_vec(), Outcome::Ok, Vec::new());
        let acknowledge = |call_id: u64| self.send(&ToParent::Acknowledged { call_id });
        let ask = |ticket: u64| self.send(&ToParent::Asked(wish(ticket)));
        match lie {
            "ask-ungranted" => ask(1),
            "ask-out-of-turn" => ask(7),
            "ask-twice" => [1, 1].into_iter().for_each(ask),
            "ask-flood" => (1..100).for_each(ask),
            "ask-long-area" => self.send(&ToParent::Asked(ArmRequest {
                area: "x".repeat(1_000),
                ..wish(1)
            })),
            "ask-long-code" => self.send(&ToParent::Asked(ArmRequest {
                code: Code("1".repeat(1_000)),
                ..wish(1)
            })),
            "begun-flood" => (0..100_000).for_each(|_| self.begin(1)),
            "begun-unknown" => self.begin(77),
            "begun-last-first" => self.begin(2),
            // Of a plugin that does not flush.
            "begun-next-at-once" => {
                self.begin(1);
                self.begin(2);
            }
            "done-unknown" => done(&[77]),
            "done-not-begun" => done(&[1]),
            "done-twice" => {
                self.begin(1);
                done(&[1]);
                done(&[1]);
            }
            "done-of-many" => {
                self.begin(1);
                self.done((0..500_000).collect(), Outcome::Ok, Vec::new());
            }
            "done-of-none" => done(&[]),
            "timed-out" => {
                self.begin(1);
                self.done(vec![1], Outcome::TimedOut, Vec::new());
            }
            _ => {
                self.begin(1);
                match lie {
                    "acknowledge-other" => acknowledge(2),
                    "acknowledge-done" => {
                        done(&[1]);
                        acknowledge(1);
                    }
                    "acknowledge-ungranted" => acknowledge(1),
                    "acknowledge-twice" => [1, 1].into_iter().for_each(acknowledge),
                    _ => panic!("no lie is called {lie}"),
                }
            }
        }
    }
}

fn wish(ticket: u64) -> ArmRequest {
    ArmRequest {
        ticket,
        act: ArmAct::Disarm,
        area: String::new(),
        code: Code(String::new()),
    }
}

fn info() -> PluginInfo {
    let lie = std::env::args().nth(1).unwrap_or_default();
    PluginInfo {
        id: "liar".into(),
        name: "Liar".into(),
        version: "1".into(),
        summary: String::new(),
        sdk: String::new(),
        abi: (1, 0),
        flushes: lie != "begun-next-at-once",
        probes: false,
        cancels: false,
        validates: false,
        description: None,
    }
}
