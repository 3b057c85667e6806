//! The order in which parts start and stop, with a source, a child and a store that do as the test says.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{pause, resume, sleep};
use watchpost_config::Settings;
use watchpost_core::{AlertId, AlertIds, Changes, DeliveryState, MonotonicTime};
use watchpost_sinkhost_client::{Cgroups, ExitKind, Outcome};

use super::*;
use crate::arming::LiveAreas;
use crate::clock::Clock;
use crate::crew::Running;
use crate::current::CurrentSettings;
use crate::guard::Deaths;
use crate::health::Health;
use crate::notifier::SinkNotifiers;
use crate::platform::{Machine, Threads};
use crate::sink::SinkParts;
use crate::sink::doubles::{Bench, Shared, until};
use crate::source::inbound::InboundHandles;
use crate::store::{Command, Control, PolicyChange, Readers, StoreHandle};

/// A hub with one source and these sinks, whose plugins are not there.
fn settings(sinks: &[&str]) -> Settings {
    let sinks: Vec<_> = sinks
        .iter()
        .map(|name| json!({"name": name, "plugin": "nowhere.so"}))
        .collect();
    serde_json::from_value(json!({
        "connection": [{"name": "yard", "kind": "inbound", "token": {"inline": "secret"}}],
        "sink": sinks,
    }))
    .unwrap()
}

/// A supervisor without parts, and the commands that its store gets.
fn without_parts() -> (Supervisor, Receiver<Command>) {
    let (store, commands) = StoreHandle::detached();
    let supervisor = Supervisor::new(Wiring {
        clock: Clock::start(),
        settings: CurrentSettings::default(),
        store,
        readers: Readers::new(Arc::new(|| panic!("nothing here reads the store")), Threads::Own),
        areas: LiveAreas::new(),
        codes: Arc::new(Semaphore::new(1)),
        platform: Arc::new(Machine),
        ids: Arc::new(AlertIds::after(None)),
        notifiers: SinkNotifiers::default(),
        inbound: InboundHandles::default(),
        unstored: crate::source::Unstored::default(),
        host_binary: Arc::new(PathBuf::from("/nowhere")),
        cgroups: Cgroups::none("a test"),
        health: Health::default(),
        deaths: Deaths::default(),
    });
    (supervisor, commands)
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<Vec<&'static str>>>);

impl Story {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn so_far(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// A source that has stopped when the test says so.
#[derive(Clone)]
struct Held {
    story: Story,
    finish: Arc<Mutex<Option<oneshot::Receiver<()>>>>,
}

impl Source for Held {
    fn report(&self) -> BoxFuture<'static, ConnectionReport> {
        std::future::pending().boxed()
    }
}

impl Running for Held {
    fn check(&mut self, _: MonotonicTime) -> Option<MonotonicTime> {
        None
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let (story, finish) = (self.story.clone(), self.finish.lock().unwrap().take());
        async move {
            story.note("the source is asked");
            let _ = finish.unwrap().await;
            story.note("the source has stopped");
        }
        .boxed()
    }

    fn end(&self) {}
}

/// A supervisor over a held source, the given sink of a world and a store that only notes that it is stopped.
fn supervise(
    world: &Shared,
    sink: Option<SinkParts>,
    story: &Story,
) -> (Addr<Supervisor>, oneshot::Sender<()>) {
    let (finish, held) = oneshot::channel();
    let source = Held {
        story: story.clone(),
        finish: Arc::new(Mutex::new(Some(held))),
    };
    let (mut supervisor, commands) = without_parts();
    play_store(commands, world.clone(), story.clone());
    let plans = Blueprint::new(settings(&["siren"])).unwrap();
    supervisor
        .sources
        .want(plans.connections, |_| Box::new(source.clone()));
    if let Some(mut sink) = sink {
        sink.deaths = supervisor.wiring.deaths.clone();
        supervisor
            .sinks
            .want(plans.sinks, |_| RunningSink::start(sink.clone()));
    }
    (supervisor.start(), finish)
}

/// Plays the writer thread: notes when it is asked to end, and whether there is still a child.
fn play_store(commands: Receiver<Command>, world: Shared, story: Story) {
    thread::spawn(move || {
        for command in commands {
            if let Command::Control(Control::Stop(done)) = command {
                let childless = world.lock().events.is_none();
                story.note(if childless {
                    "the store has stopped"
                } else {
                    "the store has stopped before a child"
                });
                let _ = done.send(());
            }
        }
    });
}

#[actix::test]
async fn sources_stop_before_sinks_and_the_store_last() {
    let bench = Bench::new(3);
    // The sink has a thread of its own, which no paused clock reaches.
    resume();
    let story = Story::default();
    let (supervisor, finish) = supervise(&bench.world, Some(bench.parts.clone()), &story);
    bench.plan([1]);
    until(|| bench.world.alerts_in_child() == [1]).await;
    bench.world.lock().finishes_first = true;

    let stopping = actix::spawn(supervisor.send(StopAll));
    until(|| story.so_far() == ["the source is asked"]).await;
    bench.plan([2]);
    // While a source still stores what it has, its deliveries are made.
    until(|| bench.world.alerts_in_child() == [1, 2]).await;

    finish.send(()).unwrap();
    until(|| bench.world.lock().ends_within.is_some()).await;
    bench.world.end(Outcome::Ok);
    bench.world.end(Outcome::Ok);
    bench.world.exit(ExitKind::Stopped);
    assert!(stopping.await.unwrap().unwrap(), "all of it within the grace");

    let delivered = [1, 2].map(|alert| (AlertId(alert), DeliveryState::Delivered));
    assert_eq!(bench.world.lock().recorded, delivered, "before the store stopped");
    assert_eq!(
        story.so_far(),
        [
            "the source is asked",
            "the source has stopped",
            "the store has stopped"
        ]
    );
}

#[actix::test]
async fn a_sink_whose_actor_died_is_started_again() {
    let bench = Bench::new(1);
    resume();
    bench.world.lock().panics = true;
    bench.plan([1]);
    let story = Story::default();
    let (_supervisor, _finish) = supervise(&bench.world, Some(bench.parts.clone()), &story);
    until(|| bench.world.alerts_in_child() == [1]).await;
    assert_eq!(bench.world.lock().launches, 2);
}

#[actix::test]
async fn the_store_stops_also_when_something_does_not_finish_in_time() {
    pause();
    let story = Story::default();
    let (supervisor, _finish) = supervise(&Shared::default(), None, &story);
    let in_time = supervisor.send(StopAll).await.unwrap();
    assert!(!in_time);
    assert_eq!(story.so_far(), ["the source is asked", "the store has stopped"]);
}

/// A supervisor with the test in the writer's place. Its sinks never run: there is no program for them.
struct Rig {
    supervisor: Addr<Supervisor>,
    commands: Receiver<Command>,
    settings: CurrentSettings,
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl Rig {
    fn new() -> Self {
        let (supervisor, commands) = without_parts();
        Self {
            settings: supervisor.wiring.settings.clone(),
            supervisor: supervisor.start(),
            commands,
        }
    }

    /// Has these sinks wanted. Returns the policy that the writer gets, and the answer once that has dealt with it.
    async fn apply(&self, sinks: &[&str]) -> (PolicyChange, JoinHandle<Option<Applied>>) {
        let blueprint = Blueprint::new(settings(sinks)).unwrap();
        let sent = self.supervisor.send(Apply(blueprint));
        let answer = actix::spawn(async { sent.await.unwrap() });
        loop {
            let policies = self.commands.try_iter().filter_map(|command| match command {
                Command::Control(Control::SetPolicy(change)) => Some(change),
                _ => None,
            });
            if let Some(change) = policies.last() {
                return (change, answer);
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// The sinks there are; an exclamation mark behind those that have been asked to end.
    async fn sinks(&self) -> Vec<String> {
        let reports = self.supervisor.send(Report).await.unwrap();
        let shown = |sink: SinkReport| format!("{}{}", sink.name, if sink.retiring { "!" } else { "" });
        reports.sinks.into_iter().map(shown).collect()
    }

    async fn until_sinks(&self, expected: &[&str]) {
        while self.sinks().await != expected {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[actix::test]
async fn a_new_sink_is_there_before_alerts_are_routed_to_it_and_an_old_one_until_none_is() {
    let rig = Rig::new();
    let (change, answer) = rig.apply(&["mail", "siren"]).await;
    drop(change.in_force());
    let applied = answer.await.unwrap().unwrap();
    assert_eq!(applied.sinks.added, names(&["mail", "siren"]));
    assert_eq!(applied.connections.added, names(&["yard"]));

    // The writer is in the middle of a commit that it cannot make.
    let (change, answer) = rig.apply(&["hook", "mail"]).await;
    assert_eq!(rig.sinks().await, ["hook", "mail", "siren"]);
    let change = change.defer();
    let applied = answer.await.unwrap().unwrap();
    let changes = Changes {
        added: names(&["hook"]),
        changed: Vec::new(),
        removed: names(&["siren"]),
    };
    assert_eq!((applied.sinks, applied.deferred), (changes, true));
    assert!(applied.connections.is_empty());
    assert_eq!(
        rig.sinks().await,
        ["hook", "mail", "siren"],
        "none has been asked to end"
    );
    drop(change.in_force());
    rig.until_sinks(&["hook", "mail"]).await;
    assert_eq!(rig.settings.get().sink.len(), 2);
}

#[actix::test]
async fn the_same_once_more_changes_nothing() {
    let rig = Rig::new();
    for _ in 0..2 {
        let (change, answer) = rig.apply(&["mail"]).await;
        drop(change.in_force());
        drop(answer.await);
    }
    let (change, answer) = rig.apply(&["mail"]).await;
    drop(change.in_force());
    assert_eq!(answer.await.unwrap(), Some(Applied::default()));
    assert_eq!(rig.sinks().await, ["mail"]);
}
