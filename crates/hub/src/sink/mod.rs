//! One `[[sink]]`: the actor that owns its plugin's child process and its way to the store.
//!
//! What to do when is [`watchpost_core::SinkMachine`]'s to say. The actor passes on what happens and performs the
//! effects, all of them in [`Sink::perform`].

mod backlog;
mod child;
#[cfg(test)]
pub(crate) mod doubles;
mod fetch;
mod granted;
mod launch;
mod log;
mod memory;
mod messages;
mod panel;
mod probe;
mod quota;
mod running;
mod state_dir;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tracing::info;
use watchpost_config::SinkSettings;
use watchpost_core::{
    AlertId, BackoffPolicy, CallId, CrashPolicy, Fetched, MonotonicTime, RetryPolicy, SinkEffect, SinkEvent,
    SinkMachine, SinkPolicy, SinkState,
};
use watchpost_sinkhost_client::{ArmRequest, CANCEL_GRACE, Job, NotQueued};

pub(crate) use self::backlog::{Backlog, StoreBacklog, Wanted};
pub use self::child::{Child, Events, Launched, Launcher, Processes};
pub(crate) use self::fetch::{Payload, copied};
use self::granted::GrantedFiles;
pub(crate) use self::launch::PluginLauncher;
use self::messages::{RemindToCheck, RemindToMeasure, ReportSink, StopSink, Wake};
pub(crate) use self::panel::Panel;
pub use self::probe::{Probe, probe_sink};
pub(crate) use self::running::RunningSink;
use crate::clock::Clock;
use crate::guard::Deaths;
use crate::health::{Health, Part};
use crate::notifier::SinkNotifier;
use crate::platform::Threads;

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

/// Dead letters are reported no more often than this.
const DEAD_LETTER_INTERVAL: Duration = Duration::from_secs(600);

/// How long a child whose plugin works on nothing may take to end by itself once it is asked to.
const LEAVE_GRACE: Duration = Duration::from_secs(2);

/// A plugin that is to end for good finishes the call that it has begun, which is cancelled after this time at the latest: who
/// changes a sink waits for the new one, and what is cancelled is delivered by that.
const MAX_FINISH: Duration = Duration::from_secs(60);

/// Pictures that may be in flight to one child, in bytes.
const MAX_IN_FLIGHT_BYTES: u64 = 16 << 20;

/// Timers are set a little late, so that they never fire a moment too early.
const TIMER_SLACK: Duration = Duration::from_millis(1);

/// What a sink needs from the rest of the hub.
#[derive(Clone)]
pub(crate) struct SinkParts {
    pub(crate) settings: Arc<SinkSettings>,
    pub(crate) clock: Clock,
    /// Its queue, which is the store.
    pub(crate) backlog: Arc<dyn Backlog>,
    /// Its part in arming, if it has any.
    pub(crate) panel: Option<Arc<Panel>>,
    /// What starts its plugin.
    pub(crate) launcher: Arc<dyn Launcher>,
    /// Wakes it when something is due, or has to stop.
    pub(crate) notifier: Arc<SinkNotifier>,
    /// Where it does what may block.
    pub(crate) threads: Threads,
    /// Learns how it is.
    pub(crate) health: Health,
    /// Learns of its death.
    pub(crate) deaths: Deaths,
}

/// What happened, with what the child gets.
type Event = SinkEvent<Payload>;

/// The actor. It lives on an arbiter of its own.
pub(crate) struct Sink {
    parts: SinkParts,
    machine: SinkMachine,
    /// The plugin's process, while it takes calls.
    child: Option<Box<dyn Child>>,
    /// What the last child was granted.
    granted: GrantedFiles,
    /// Whether its plugin's file is another by now.
    plugin_replaced: bool,
    /// What its plugin was shown of areas last.
    shown: String,
    /// How it was when that was last reported.
    reported: SinkState,
    timer: Option<SpawnHandle>,
    /// Used when everything is over.
    stopping: Vec<oneshot::Sender<()>>,
}

impl Sink {
    pub(crate) fn new(parts: SinkParts) -> Self {
        let settings = &parts.settings;
        let machine = SinkMachine::new(
            settings.name.clone(),
            policy(settings),
            parts.clock.now(),
            fastrand::u64(..),
        );
        Self {
            parts,
            machine,
            child: None,
            granted: GrantedFiles::default(),
            plugin_replaced: false,
            shown: String::new(),
            reported: SinkState::Starting,
            timer: None,
            stopping: Vec::new(),
        }
    }

    fn name(&self) -> &str {
        &self.parts.settings.name
    }

    /// Tells the machine what happened and performs what it says.
    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front().or_else(|| self.next_from_memory()) {
            for effect in self.machine.step(self.parts.clock.both(), event) {
                events.extend(self.perform(effect, ctx));
            }
        }
        self.set_health();
    }

    /// Says whether it can deliver. What has just been started is not worth a word.
    fn set_health(&mut self) {
        let state = self.machine.state();
        if std::mem::replace(&mut self.reported, state) == state {
            return;
        }
        let why = match state {
            SinkState::Down => Some("what it delivers to does not answer"),
            SinkState::Failed => Some("its plugin cannot be run"),
            SinkState::Stopped => Some("it has stopped"),
            SinkState::Starting | SinkState::Running | SinkState::Stopping => None,
        };
        let part = Part::Sink(self.name().to_owned());
        self.parts.health.set(part, why.map(str::to_owned));
    }

    /// Performs one effect. Returns what is known of it at once.
    fn perform(&mut self, effect: SinkEffect<Payload>, ctx: &mut Context<Self>) -> Option<Event> {
        let backlog = &self.parts.backlog;
        match effect {
            SinkEffect::Start => self.launch(ctx),
            SinkEffect::Fetch {
                fetch,
                limit,
                max_bytes,
                skip,
            } => {
                let wanted = Wanted {
                    now: self.parts.clock.unix(),
                    limit,
                    max_bytes,
                    skip,
                    stops: self.parts.notifier.begin_fetch(),
                };
                self.fetch(fetch, wanted, ctx);
            }
            SinkEffect::Deliver {
                call,
                attempt,
                payload,
            } => {
                let job = Job {
                    call_id: call,
                    attempt,
                    timeout: self.parts.settings.timeout().into(),
                    alert: payload.document,
                    frames: payload.frames,
                };
                return self.call(call, |child| child.deliver(job));
            }
            SinkEffect::Probe { call } => {
                let timeout = self.parts.settings.timeout().into();
                return self.call(call, |child| child.probe(call, timeout));
            }
            SinkEffect::Cancel { call } => {
                if let Some(child) = &self.child {
                    child.cancel(call);
                }
            }
            SinkEffect::Record(results) => backlog.record(results, ctx.address().recipient()),
            SinkEffect::ReleaseRetries => backlog.release_retries(ctx.address().recipient()),
            SinkEffect::Acknowledge(alert) => backlog.acknowledge(alert),
            SinkEffect::Raise(event) => backlog.raise(event),
            SinkEffect::EndChild { within } => {
                if let Some(child) = &self.child {
                    child.end(within);
                }
            }
            SinkEffect::WakeAt(at) => self.wake_at(at, ctx),
            SinkEffect::Log(notice) => log::log(self.name(), &notice),
            SinkEffect::Stopped => ctx.stop(),
        }
        None
    }

    fn launch(&mut self, ctx: &mut Context<Self>) {
        let launch = self.parts.launcher.launch().into_actor(self);
        ctx.spawn(launch.map(|launched, this, ctx| match launched {
            Ok(Launched {
                child,
                events,
                granted,
            }) => {
                info!(sink = %this.name(), pid = child.pid(), "the plugin runs");
                let probes = child.probes();
                this.child = Some(child);
                (this.granted, this.plugin_replaced) = (granted, false);
                this.shown.clear();
                this.show_areas();
                ctx.add_stream(events);
                this.step(SinkEvent::Started { probes }, ctx);
            }
            Err(why) => this.step(SinkEvent::NotStarted { why }, ctx),
        }));
    }

    /// Shows the plugin how the areas are armed, if that is its business and another thing than it was shown last.
    fn show_areas(&mut self) {
        let (Some(panel), Some(child)) = (&self.parts.panel, &self.child) else {
            return;
        };
        let document = panel.document();
        if document != self.shown {
            child.show_areas(document.clone());
            self.shown = document;
        }
    }

    /// Does what a person wants of areas at the plugin, and answers.
    fn ask(&self, request: ArmRequest, ctx: &mut Context<Self>) {
        let (Some(panel), Some(child)) = (self.parts.panel.clone(), &self.child) else {
            return;
        };
        let (pid, ticket) = (child.pid(), request.ticket);
        let asked = async move { panel.ask(request).await };
        ctx.spawn(asked.into_actor(self).map(move |(outcome, text), this, _| {
            let child = this.child.as_ref().filter(|child| child.pid() == pid);
            if let Some(child) = child {
                child.answer(ticket, outcome, text);
            }
        }));
    }

    fn fetch(&mut self, fetch: u64, wanted: Wanted, ctx: &mut Context<Self>) {
        let fetching = self.parts.backlog.fetch(wanted).into_actor(self);
        ctx.spawn(fetching.map(move |fetched, this, ctx| {
            let event = match fetched {
                Ok(fetched) => SinkEvent::Fetched(fetch, this.startable(fetched)),
                Err(why) => SinkEvent::FetchFailed { fetch, why },
            };
            this.step(event, ctx);
        }));
    }

    /// The next delivery that does not wait for the store, if one can be made now, without what has been asked to stop.
    fn next_from_memory(&self) -> Option<Event> {
        while self.machine.takes_from_memory(self.parts.clock.now()) {
            let offered = self.parts.notifier.take_offered()?;
            let stops = self.parts.notifier.stops();
            if !stops.cover(offered.alert.id, offered.cancel_on_acknowledge)
                && let Some(delivery) = self.parts.backlog.load_offered(offered, self.parts.clock.unix())
            {
                return Some(SinkEvent::FromMemory(delivery));
            }
        }
        None
    }

    /// Without what has been asked to stop while the fetch ran.
    fn startable(&self, mut fetched: Fetched<Payload>) -> Fetched<Payload> {
        let stops = self.parts.notifier.stops();
        fetched
            .due
            .retain(|due| !stops.cover(due.alert, due.cancel_on_acknowledge));
        fetched
    }

    /// The alerts in flight that have to stop.
    fn covered(&self) -> impl Iterator<Item = AlertId> {
        let stops = self.parts.notifier.stops();
        let in_flight = self.machine.cancellable();
        in_flight
            .filter(move |&(alert, cancel_on_acknowledge)| stops.cover(alert, cancel_on_acknowledge))
            .map(|(alert, _)| alert)
    }

    /// Looks whether the child still has access to what it was granted, beside everything else: a disk that does not answer
    /// must not hold up a delivery.
    fn check_granted(&self, ctx: &mut Context<Self>) {
        let granted = self.granted.clone();
        let check = self.parts.threads.run(move || {
            let replaced = granted.replaced().map(|path| path.display().to_string());
            let plugin_replaced = granted.plugin_replaced();
            (granted, replaced, plugin_replaced)
        });
        ctx.spawn(check.into_actor(self).map(|checked, this, ctx| {
            if let Ok((granted, replaced, plugin_replaced)) = checked
                && granted.is(&this.granted)
            {
                if plugin_replaced && !this.plugin_replaced {
                    log::plugin_replaced(this.name());
                }
                this.plugin_replaced = plugin_replaced;
                if let Some(file) = replaced {
                    this.step(SinkEvent::Replaced { file }, ctx);
                }
            }
            ctx.notify_later(RemindToCheck, granted::CHECK_INTERVAL);
        }));
    }

    /// Looks how much the sink keeps on the disk, beside everything else.
    fn measure_disk(&self, child: &dyn Child, ctx: &mut Context<Self>) {
        let launcher = Arc::clone(&self.parts.launcher);
        let (pid, processes) = (child.pid(), child.processes());
        let measure = self.parts.threads.run(move || launcher.over_quota(&processes));
        ctx.spawn(measure.into_actor(self).map(move |measured, this, _| {
            let child = this.child.as_ref().filter(|child| child.pid() == pid);
            if let (Ok(Some(why)), Some(child)) = (measured, child) {
                child.kill(why);
            }
        }));
    }

    fn call(&self, call: CallId, make: impl FnOnce(&dyn Child) -> Result<(), NotQueued>) -> Option<Event> {
        let made = self.child.as_deref().map_or(Err(NotQueued::Gone), make);
        let never = match made.err()? {
            NotQueued::Gone | NotQueued::Full => None,
            never => Some(never.to_string()),
        };
        Some(SinkEvent::NotQueued { call, never })
    }

    fn wake_at(&mut self, at: MonotonicTime, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let wait = at.since(self.parts.clock.now()) + TIMER_SLACK;
        self.timer = Some(ctx.run_later(wait, |this, ctx| {
            this.timer = None;
            this.step(SinkEvent::Wake, ctx);
        }));
    }
}

fn policy(settings: &SinkSettings) -> SinkPolicy {
    let retry = &settings.retry;
    SinkPolicy {
        in_flight: settings.in_flight,
        in_flight_bytes: MAX_IN_FLIGHT_BYTES,
        recycle_over: settings.recycle_over.0,
        leave_grace: LEAVE_GRACE,
        finish_grace: Duration::from(settings.timeout()).min(MAX_FINISH) + CANCEL_GRACE,
        retry: RetryPolicy {
            backoff: BackoffPolicy {
                initial: retry.initial.into(),
                max: retry.max.into(),
                jitter: CRASHES.restarts.jitter,
            },
            give_up_after: retry.give_up_after.map(Into::into),
        },
        crashes: CRASHES,
        dead_letter_interval: DEAD_LETTER_INTERVAL,
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
        if let Some(panel) = &self.parts.panel {
            ctx.add_message_stream(panel.changes());
        }
        ctx.notify_later(RemindToMeasure, memory::CHECK_INTERVAL);
        ctx.notify_later(RemindToCheck, granted::CHECK_INTERVAL);
        self.step(SinkEvent::Wake, ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        for done in self.stopping.drain(..) {
            let _ = done.send(());
        }
    }
}
