//! The order in which everything stops, with a source, a child and a store that do as the test says.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use std::sync::{Mutex, mpsc};
use std::thread;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{pause, resume};
use watchpost_core::{AlertId, DeliveryState, MonotonicTime};
use watchpost_sinkhost_client::Outcome;

use super::*;
use crate::sink::doubles::{Bench, Shared, until};
use crate::store::{Command, Control};

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
struct Held {
    story: Story,
    finish: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Source for Held {
    fn check(&mut self, _: MonotonicTime) {}

    fn report(&self) -> BoxFuture<'static, ConnectionReport> {
        std::future::pending().boxed()
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.story.note("the source is asked");
        let (story, finish) = (self.story.clone(), self.finish.lock().unwrap().take());
        async move {
            let _ = finish.unwrap().await;
            story.note("the source has stopped");
        }
        .boxed()
    }

    fn end(&self) {}
}

/// A supervisor over a held source, the given sinks of a world and a store that only notes that it is stopped.
fn supervise(
    world: &Shared,
    sinks: Vec<SinkParts>,
    story: &Story,
) -> (Addr<Supervisor>, oneshot::Sender<()>) {
    let (finish, held) = oneshot::channel();
    let source = Held {
        story: story.clone(),
        finish: Mutex::new(Some(held)),
    };
    let (store, commands) = StoreHandle::detached();
    play_store(commands, world.clone(), story.clone());
    let supervisor = Supervisor::new(Clock::start(), Duration::from_secs(10), store, sinks, || {
        vec![Box::new(source)]
    });
    (supervisor.start(), finish)
}

/// Plays the writer thread: notes when it is asked to end, and whether there is still a child.
fn play_store(commands: mpsc::Receiver<Command>, world: Shared, story: Story) {
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
    let (supervisor, finish) = supervise(&bench.world, vec![bench.parts.clone()], &story);
    bench.plan([1]);
    until(|| bench.world.alerts_in_child() == [1]).await;

    let stopping = actix::spawn(supervisor.send(StopAll));
    until(|| story.so_far() == ["the source is asked"]).await;
    bench.plan([2]);
    // While a source still stores what it has, its deliveries are made.
    until(|| bench.world.alerts_in_child() == [1, 2]).await;

    finish.send(()).unwrap();
    until(|| story.so_far().len() > 1).await;
    bench.world.end(Outcome::Ok);
    bench.world.end(Outcome::Ok);
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
async fn the_store_stops_also_when_something_does_not_finish_in_time() {
    pause();
    let story = Story::default();
    let (supervisor, _finish) = supervise(&Shared::default(), Vec::new(), &story);
    let in_time = supervisor.send(StopAll).await.unwrap();
    assert!(!in_time);
    assert_eq!(story.so_far(), ["the source is asked", "the store has stopped"]);
}
