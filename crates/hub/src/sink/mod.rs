//! One `[[sink]]`: the actor that takes due deliveries from the store, hands them to the plugin's child
//! process, and records what became of them.
//!
//! Memory holds only what is under way; the queue is the store. When to retry is
//! [`watchpost_core::RetryPolicy`]'s to say, and how fast to feed is [`watchpost_core::CircuitBreaker`]'s.

mod crash;
mod feed;
mod fetch;
mod launch;
mod memory;
mod messages;
mod outcome;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::info;
use watchpost_config::SinkSettings;
use watchpost_core::{
    AlertId, AlertKind, BackoffPolicy, CircuitBreaker, CrashPolicy, CrashTracker, MonotonicTime,
    RateLimitedCounter, RetryPolicy, UnixMillis,
};
use watchpost_sinkhost::Host;

use self::messages::Wake;
pub(crate) use self::messages::{ReportSink, StopSink};
use crate::clock::Clock;
use crate::notifier::SinkNotifier;
use crate::status::SinkState;
use crate::store::{CachedReader, Readers, StoreHandle};

/// What crashes of the child lead to.
const CRASHES: CrashPolicy = CrashPolicy {
    restarts: BackoffPolicy {
        initial: Duration::from_millis(500),
        max: Duration::from_secs(60),
        jitter: 0.1,
    },
    crashes: 5,
    window: Duration::from_secs(300),
    poison_threshold: 3,
};

/// Alerts given up are told of no more often than this.
const DEAD_LETTER_INTERVAL: Duration = Duration::from_secs(600);

/// How long a child may take to end by itself once it is asked to.
const CHILD_STOP_GRACE: Duration = Duration::from_secs(2);

/// Pictures that may be under way to one child, in bytes.
const MAX_IN_FLIGHT_BYTES: u64 = 16 << 20;

/// Times are told to the timers with a lag, so that they never fire a moment too early.
const TIMER_SLACK: Duration = Duration::from_millis(1);

/// What a sink needs from the rest of the hub.
#[derive(Clone)]
pub(crate) struct SinkParts {
    pub(crate) settings: Arc<SinkSettings>,
    pub(crate) clock: Clock,
    pub(crate) store: StoreHandle,
    /// Where its reader of the store comes from.
    pub(crate) readers: Readers,
    /// Wakes it when something is due, or has to stop.
    pub(crate) notifier: Arc<SinkNotifier>,
    pub(crate) plugin_dirs: Arc<Vec<PathBuf>>,
    pub(crate) host_binary: Arc<PathBuf>,
    /// Directory of the plugin's own, below the data directory.
    pub(crate) state_dir: Arc<PathBuf>,
}

/// The actor. It lives on an arbiter of its own.
pub(crate) struct Sink {
    parts: SinkParts,
    policy: RetryPolicy,
    pace: CircuitBreaker,
    child: Child,
    crashes: CrashTracker,
    /// CrashTracker since the hub started.
    crash_count: u64,
    /// Deliveries to be made one at a time, so that the next crash shows whose it is.
    careful: usize,
    /// The child holds too much memory: it is ended as soon as nothing is under way.
    recycling: bool,
    /// Alerts given up that nobody has been told of.
    dead: RateLimitedCounter,
    /// The last of them, and why.
    last_dead: Option<(AlertId, String)>,
    reader: Option<CachedReader>,
    fetching: bool,
    /// What waits for a retry is being made due: nothing is fetched before.
    releasing: bool,
    /// Something changed while a fetch was under way: fetch once more.
    stale: bool,
    under_way: BTreeMap<u64, UnderWay>,
    /// Ended, but not yet so in the store.
    settling: BTreeSet<AlertId>,
    last_call: u64,
    wake: Option<(MonotonicTime, SpawnHandle)>,
    last_error: Option<String>,
    stopping: Option<oneshot::Sender<()>>,
}

/// The plugin's process.
enum Child {
    /// None; the next is started at this moment.
    Waiting(MonotonicTime),
    /// Being started.
    Starting,
    /// Ready for deliveries.
    Running(Host),
    /// Told to end; the next is started when it has.
    Ending(Ending),
    /// Being stopped, or stopped.
    Stopped,
}

/// Why a child was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The plugin says that its instance is of no use any more.
    Failed,
    /// It held too much memory.
    Recycled,
}

/// A delivery that the child has.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    alert: AlertId,
    kind: AlertKind,
    received_at: UnixMillis,
    attempt: u32,
    frame_bytes: u64,
    /// It was cancelled: how it ends is not recorded.
    cancelled: bool,
}

impl Sink {
    pub(crate) fn new(parts: SinkParts) -> Self {
        let retry = &parts.settings.retry;
        let backoff = BackoffPolicy {
            initial: retry.initial.into(),
            max: retry.max.into(),
            jitter: CRASHES.restarts.jitter,
        };
        Self {
            policy: RetryPolicy {
                backoff,
                give_up_after: retry.give_up_after.map(Into::into),
            },
            pace: CircuitBreaker::new(backoff, fastrand::u64(..)),
            child: Child::Waiting(parts.clock.now()),
            crashes: CrashTracker::new(CRASHES, fastrand::u64(..)),
            crash_count: 0,
            careful: 0,
            recycling: false,
            dead: RateLimitedCounter::new(DEAD_LETTER_INTERVAL),
            last_dead: None,
            reader: None,
            fetching: false,
            releasing: false,
            stale: false,
            under_way: BTreeMap::new(),
            settling: BTreeSet::new(),
            last_call: 0,
            wake: None,
            last_error: None,
            stopping: None,
            parts,
        }
    }

    fn name(&self) -> &str {
        &self.parts.settings.name
    }

    /// Does whatever can be done now: starts the child, or fetches what fits into the window.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.stopping.is_some() {
            return self.finish(ctx);
        }
        self.tell_dead();
        match self.child {
            Child::Waiting(at) if self.parts.clock.now() >= at => self.launch(ctx),
            Child::Waiting(at) => self.wake_at(at, ctx),
            Child::Running(_) if self.recycling => self.recycle(ctx),
            Child::Running(_) if self.releasing => {}
            Child::Running(_) if self.fetching => self.stale = true,
            Child::Running(_) => self.fetch(ctx),
            Child::Starting | Child::Ending(_) | Child::Stopped => {}
        }
    }

    fn launch(&mut self, ctx: &mut Context<Self>) {
        self.child = Child::Starting;
        let start = launch::launch(self.parts.clone());
        ctx.spawn(start.into_actor(self).map(|outcome, this, ctx| match outcome {
            Ok((host, events)) => {
                info!(sink = %this.name(), pid = host.pid(), "the plugin runs");
                this.child = Child::Running(host);
                ctx.add_stream(events);
                this.pump(ctx);
            }
            Err(why) => this.not_started(why, ctx),
        }));
    }

    fn wake_at(&mut self, at: MonotonicTime, ctx: &mut Context<Self>) {
        if let Some((earlier, timer)) = self.wake {
            if earlier <= at {
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(at.since(self.parts.clock.now()) + TIMER_SLACK, |this, ctx| {
            this.wake = None;
            this.pump(ctx);
        });
        self.wake = Some((at, timer));
    }

    /// When stopping: ends the child once nothing is under way, then the actor.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        if !self.under_way.is_empty() || !self.settling.is_empty() {
            return;
        }
        match std::mem::replace(&mut self.child, Child::Stopped) {
            Child::Running(host) => {
                let stop = async move { host.stop(CHILD_STOP_GRACE).await };
                ctx.spawn(stop.into_actor(self).map(|_, _, ctx| ctx.stop()));
            }
            Child::Waiting(_) | Child::Starting | Child::Ending(_) => ctx.stop(),
            Child::Stopped => {}
        }
    }

    fn state(&self) -> SinkState {
        match self.child {
            Child::Running(_) if self.pace.is_down() => SinkState::Down,
            Child::Running(_) => SinkState::Running,
            Child::Ending(Ending::Recycled) => SinkState::Starting,
            Child::Starting if self.crashes.is_clean() => SinkState::Starting,
            Child::Starting | Child::Waiting(_) | Child::Ending(Ending::Failed) => SinkState::Failed,
            Child::Stopped => SinkState::Stopped,
        }
    }
}

impl Actor for Sink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let notifier = Arc::clone(&self.parts.notifier);
        let wakes = futures_util::stream::unfold(notifier, |notifier| async move {
            notifier.notified().await;
            Some((Wake, notifier))
        });
        ctx.add_message_stream(wakes);
        ctx.run_interval(memory::CHECK_INTERVAL, Self::look_after);
        self.pump(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(done) = self.stopping.take() {
            let _ = done.send(());
        }
    }
}
