//! One `[[sink]]`: the actor that takes due deliveries from the store, hands them to the plugin's child
//! process, and records what became of them.
//!
//! Memory holds only what is under way; the queue is the store. When to retry is
//! [`watchpost_core::RetryPolicy`]'s to say, and how fast to feed is [`watchpost_core::SinkPace`]'s.

mod feed;
mod fetch;
mod launch;
mod messages;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Notify, oneshot};
use tracing::{error, info, warn};
use watchpost_config::SinkSettings;
use watchpost_core::{
    AlertId, Backoff, BackoffPolicy, DeliveryState, Moment, Outcome, RetryPolicy, SinkPace, UnixMillis,
    Verdict,
};
use watchpost_sinkhost::{Exit, Host};
use watchpost_store::{DeliveryUpdate, Reader, StoreError};

use self::messages::Rung;
pub(crate) use self::messages::{ReportSink, StopSink};
use crate::clock::Clock;
use crate::status::SinkState;
use crate::store::{Settle, StoreHandle};

/// Waits between starts of a child that keeps ending.
const RESTARTS: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    max: Duration::from_secs(60),
    jitter: 0.1,
};

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
    /// Where its reader of the store is opened.
    pub(crate) open_reader: Arc<dyn Fn() -> Result<Reader, StoreError> + Send + Sync>,
    /// Rung when something new is due.
    pub(crate) bell: Arc<Notify>,
    pub(crate) plugin_dirs: Arc<Vec<PathBuf>>,
    pub(crate) host_binary: Arc<PathBuf>,
    /// Directory of the plugin's own, below the data directory.
    pub(crate) state_dir: Arc<PathBuf>,
}

/// The actor. It lives on an arbiter of its own.
pub(crate) struct Sink {
    parts: SinkParts,
    policy: RetryPolicy,
    pace: SinkPace,
    child: Child,
    restarts: Backoff,
    crashes: u64,
    reader: Option<Reader>,
    fetching: bool,
    /// Something changed while a fetch was under way: fetch once more.
    stale: bool,
    under_way: BTreeMap<u64, UnderWay>,
    /// Ended, but not yet so in the store.
    settling: BTreeSet<AlertId>,
    last_call: u64,
    wake: Option<(Moment, SpawnHandle)>,
    last_error: Option<String>,
    stopping: Option<oneshot::Sender<()>>,
}

/// The plugin's process.
enum Child {
    /// None; the next is started at this moment.
    Waiting(Moment),
    /// Being started.
    Starting,
    /// Ready for deliveries.
    Running(Host),
    /// Told to end because its instance has failed; the next is started when it has.
    Ending,
    /// Being stopped, or stopped.
    Stopped,
}

/// A delivery that the child has.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    alert: AlertId,
    received_at: UnixMillis,
    attempt: u32,
    frame_bytes: u64,
}

impl Sink {
    pub(crate) fn new(parts: SinkParts) -> Self {
        let retry = &parts.settings.retry;
        let backoff = BackoffPolicy {
            initial: retry.initial.into(),
            max: retry.max.into(),
            jitter: RESTARTS.jitter,
        };
        Self {
            policy: RetryPolicy {
                backoff,
                give_up_after: retry.give_up_after.map(Into::into),
            },
            pace: SinkPace::new(backoff, fastrand::u64(..)),
            child: Child::Waiting(parts.clock.now()),
            restarts: Backoff::new(RESTARTS, fastrand::u64(..)),
            crashes: 0,
            reader: None,
            fetching: false,
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
        match self.child {
            Child::Waiting(at) if self.parts.clock.now() >= at => self.launch(ctx),
            Child::Waiting(at) => self.wake_at(at, ctx),
            Child::Running(_) if self.fetching => self.stale = true,
            Child::Running(_) => self.fetch(ctx),
            Child::Starting | Child::Ending | Child::Stopped => {}
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
            Err(why) => this.child_failed(why, ctx),
        }));
    }

    /// The child could not be started, or has ended.
    fn child_failed(&mut self, why: String, ctx: &mut Context<Self>) {
        let wait = self.restarts.fail();
        if self.last_error.as_ref() != Some(&why) {
            error!(sink = %self.name(), "{why}. Its alerts are kept; trying again in {:.1} s", wait.as_secs_f64());
        }
        self.last_error = Some(why);
        self.child = Child::Waiting(self.parts.clock.now() + wait);
        self.pump(ctx);
    }

    /// An attempt has ended.
    fn ended(&mut self, call: u64, outcome: &Outcome, ctx: &mut Context<Self>) {
        let Some(UnderWay {
            alert,
            received_at,
            attempt,
            ..
        }) = self.under_way.remove(&call)
        else {
            return;
        };
        let was_down = self.pace.is_down();
        match outcome {
            Outcome::Delivered | Outcome::Refused { .. } => {
                self.restarts.reset();
                if self.pace.answered() {
                    info!(sink = %self.name(), "delivers again");
                    self.parts.store.release_retries(self.name());
                }
            }
            Outcome::Retry { .. } => self.pace.failed(self.parts.clock.now()),
            Outcome::Broken { .. } => {}
        }
        match outcome.error() {
            None => self.last_error = None,
            Some(error) => {
                if !was_down && self.pace.is_down() {
                    error!(sink = %self.name(), "does not deliver, and is probed until it does: {error}");
                } else if !was_down {
                    warn!(sink = %self.name(), %alert, attempt, "not delivered: {error}");
                }
                self.last_error = Some(error.to_owned());
            }
        }
        let now = self.parts.clock.unix();
        let (state, due_at) = match self
            .policy
            .judge(outcome, attempt, received_at, now, fastrand::f64())
        {
            Verdict::Delivered => (DeliveryState::Delivered, now),
            Verdict::RetryAt(at) => (DeliveryState::Pending, at),
            Verdict::Dead(why) => {
                error!(sink = %self.name(), %alert, "given up: {why}");
                (DeliveryState::Dead, now)
            }
        };
        let error = outcome.error().map(str::to_owned);
        let sink = self.name().to_owned();
        self.settle(
            vec![DeliveryUpdate {
                alert,
                sink,
                state,
                attempts: attempt,
                due_at,
                error,
            }],
            ctx,
        );
    }

    fn settle(&mut self, updates: Vec<DeliveryUpdate>, ctx: &mut Context<Self>) {
        self.settling.extend(updates.iter().map(|update| update.alert));
        self.parts.store.settle(Settle {
            updates,
            reply: ctx.address().recipient(),
        });
    }

    /// The plugin says that its instance is of no use any more: ends the child, so that a new one is made.
    fn instance_failed(&mut self, ctx: &mut Context<Self>) {
        match std::mem::replace(&mut self.child, Child::Ending) {
            Child::Running(host) => {
                let stop = async move { host.stop(CHILD_STOP_GRACE).await };
                // What comes of it is the exit, which is an event like any other.
                ctx.spawn(stop.into_actor(self).map(|_, _, _| ()));
            }
            other => self.child = other,
        }
    }

    /// The child is gone. What it was working on counts as tried; what only waited in it does not.
    fn exited(&mut self, exit: &Exit, ctx: &mut Context<Self>) {
        if let Child::Stopped = self.child {
            return;
        }
        self.crashes += 1;
        let note = format!("the plugin {}", exit.how);
        if let Some(call) = exit.blamed {
            self.ended(call, &Outcome::Broken { note: note.clone() }, ctx);
        }
        self.under_way.clear();
        self.child_failed(note, ctx);
    }

    fn wake_at(&mut self, at: Moment, ctx: &mut Context<Self>) {
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
            Child::Waiting(_) | Child::Starting | Child::Ending => ctx.stop(),
            Child::Stopped => {}
        }
    }

    fn state(&self) -> SinkState {
        match self.child {
            Child::Running(_) if self.pace.is_down() => SinkState::Down,
            Child::Running(_) => SinkState::Running,
            Child::Starting if self.restarts.failures() == 0 => SinkState::Starting,
            Child::Starting | Child::Waiting(_) | Child::Ending => SinkState::Failed,
            Child::Stopped => SinkState::Stopped,
        }
    }
}

impl Actor for Sink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let bell = Arc::clone(&self.parts.bell);
        let rings = futures_util::stream::unfold(bell, |bell| async move {
            bell.notified().await;
            Some((Rung, bell))
        });
        ctx.add_message_stream(rings);
        self.pump(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(done) = self.stopping.take() {
            let _ = done.send(());
        }
    }
}
