//! Plays a scenario on a thread of its own, on which nothing is left of another.

use std::cell::Cell;
use std::panic;
use std::sync::Once;
use std::thread;

use tokio::runtime::Builder;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::run::{self, Run};
use crate::scenario::Scenario;
use crate::story::{HubLog, NoStory, Story};

thread_local! {
    /// Panics on this thread: the hub catches those of its parts.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Counts panics beside what is done about them.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            usual(info);
        }));
    });
}

/// Has each event ask its thread whether it is wanted. Otherwise tracing remembers that no thread wants it, if it is first met on
/// a thread without a story while another one begins its own.
fn ask_each_thread() {
    static ASK: Once = Once::new();
    ASK.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(NoStory);
        tracing::subscriber::set_global_default(subscriber).expect("there is no other one");
    });
}

/// Plays it; `wanted` says whether its story is.
pub fn play(scenario: &Scenario, wanted: bool) -> Run {
    let (mut run, panics) = in_virtual_time(wanted, async |story| run::play(scenario, story).await);
    if panics > 0 {
        run.findings.push("the hub has panicked".to_owned());
    }
    run
}

/// Runs a world on a thread of its own, in virtual time. Returns what comes of it, and how often something panicked. `wanted` says
/// whether its story is.
pub fn in_virtual_time<T: Send>(wanted: bool, world: impl AsyncFnOnce(Story) -> T + Send) -> (T, u32) {
    count_panics();
    ask_each_thread();
    let lived = || {
        let system = actix_rt::System::with_tokio_rt(|| {
            let runtime = Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build();
            runtime.expect("a runtime without I/O")
        });
        system.block_on(async {
            let story = Story::begin(wanted);
            let log = story.is_wanted().then(|| {
                let subscriber = tracing_subscriber::registry().with(HubLog(story.clone()));
                tracing::subscriber::set_default(subscriber)
            });
            let outcome = world(story).await;
            drop(log);
            (outcome, PANICS.get())
        })
    };
    thread::scope(|scope| {
        scope
            .spawn(lived)
            .join()
            .expect("the world itself does not panic")
    })
}
