//! The machine's state, and what each event does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{CallId, ChildExit, SinkEffect, SinkEvent, SinkNotice, SinkPolicy, SinkState};
use crate::{
    AfterCrash, AlertId, AlertKind, CircuitBreaker, CrashTracker, DeliveryState, HubEvent, MonotonicTime,
    Now, Outcome, RateLimitedCounter, UnixMillis,
};

/// How long to wait after the store could not be read, or the child took no call.
pub(super) const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// One sink. See the module.
#[derive(Debug)]
pub struct SinkMachine {
    /// For the events it raises.
    pub(super) name: String,
    pub(super) policy: SinkPolicy,
    pub(super) rng: fastrand::Rng,
    pub(super) breaker: CircuitBreaker,
    pub(super) crashes: CrashTracker,
    /// Crashes since the hub started.
    crash_count: u64,
    pub(super) child: Child,
    pub(super) queue: Queue,
    pub(super) in_flight: BTreeMap<CallId, InFlight>,
    /// Ended, but not yet so in the store: not to be fetched again.
    pub(super) unrecorded: BTreeMap<AlertId, DeliveryState>,
    /// Deliveries to be made one at a time, so that the next crash shows whose it is.
    pub(super) serialize_next: usize,
    /// The probe in flight.
    pub(super) probe: Option<CallId>,
    /// Dead letters that are not reported yet, the last of them, and why.
    pub(super) dead: RateLimitedCounter,
    pub(super) last_dead: Option<(AlertId, String)>,
    pub(super) last_error: Option<String>,
    pub(super) last_call: CallId,
    pub(super) last_fetch: u64,
    stopping: bool,
    /// When a child that was asked to end is killed.
    ends_by: Option<MonotonicTime>,
    wake: Option<MonotonicTime>,
    /// Since when it cannot deliver.
    down_since: Option<UnixMillis>,
}

/// The plugin's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    /// None; the next is started at this time.
    Absent(MonotonicTime),
    /// Being started.
    Starting,
    /// Takes calls.
    Serving {
        /// Whether its plugin can be probed.
        probes: bool,
    },
    /// It is ended for this reason as soon as nothing is in flight.
    Draining(Ending),
    /// Asked to end; the next is started when it has.
    Ending(Ending),
    /// Asked to end for good.
    Stopping,
    /// Nothing will come of it any more.
    Stopped,
}

/// Why a child was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The plugin says that its instance cannot be used any more.
    Failed,
    /// It held too much memory.
    Recycled,
    /// It has no access to a file that it was granted: that is another by now.
    Outdated,
}

/// What is known of the queue, and what is done to know more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Something may be due; it is not read before this time.
    Unread(MonotonicTime),
    /// Being read under this number.
    Fetching {
        fetch: u64,
        /// Something changed meanwhile: the answer is not all.
        again: bool,
    },
    /// What waits for a retry is being made due. Nothing newer may go before it, so nothing is read.
    Releasing,
    /// Nothing is due before this time, if ever.
    Empty(Option<MonotonicTime>),
}

/// A delivery that the child has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InFlight {
    pub(super) alert: AlertId,
    pub(super) kind: AlertKind,
    /// How long before `since` it was received.
    pub(super) age: Duration,
    /// When the child got it.
    pub(super) since: MonotonicTime,
    pub(super) attempt: u32,
    pub(super) frame_bytes: u64,
    pub(super) cancel_on_acknowledge: bool,
    /// It was acknowledged or dropped meanwhile: how it ends is not recorded.
    pub(super) cancelled: bool,
}

impl SinkMachine {
    /// A sink whose child is not started yet; `seed` fixes the jitter of its waits. It begins with the first event,
    /// [`SinkEvent::Wake`] for instance.
    pub fn new(name: String, policy: SinkPolicy, now: MonotonicTime, seed: u64) -> Self {
        Self {
            name,
            policy,
            rng: fastrand::Rng::with_seed(seed),
            breaker: CircuitBreaker::new(policy.retry.backoff, seed),
            crashes: CrashTracker::new(policy.crashes, seed),
            crash_count: 0,
            child: Child::Absent(now),
            queue: Queue::Unread(now),
            in_flight: BTreeMap::new(),
            unrecorded: BTreeMap::new(),
            serialize_next: 0,
            probe: None,
            dead: RateLimitedCounter::new(policy.dead_letter_interval),
            last_dead: None,
            last_error: None,
            last_call: 0,
            last_fetch: 0,
            stopping: false,
            ends_by: None,
            wake: None,
            down_since: None,
        }
    }

    /// Takes an event and says what to do.
    pub fn step<J>(&mut self, now: Now, event: SinkEvent<J>) -> Vec<SinkEffect<J>> {
        let mut effects = Vec::new();
        if self.child != Child::Stopped {
            self.take(now, event, &mut effects);
            self.advance(now, &mut effects);
            self.note_state(now.unix);
        }
        effects
    }

    fn note_state(&mut self, now: UnixMillis) {
        match self.state() {
            SinkState::Down | SinkState::Failed => drop(self.down_since.get_or_insert(now)),
            SinkState::Running | SinkState::Stopping | SinkState::Stopped => self.down_since = None,
            // A child that is being restarted has proved nothing.
            SinkState::Starting => {}
        }
    }

    fn take<J>(&mut self, now: Now, event: SinkEvent<J>, effects: &mut Vec<SinkEffect<J>>) {
        match event {
            SinkEvent::Wake => self.wake = None,
            SinkEvent::Notified { stop } => {
                self.cancel(&stop, effects);
                self.queue_changed(now.monotonic);
            }
            SinkEvent::Started { probes } => self.child = Child::Serving { probes },
            SinkEvent::NotStarted { why } => {
                let after = self.crashes.not_started(now.monotonic);
                self.restart(now, why, after, effects);
            }
            SinkEvent::Fetched(fetch, fetched) => self.fetched(now, fetch, fetched, effects),
            SinkEvent::FromMemory(delivery) => self.offered(now, delivery, effects),
            SinkEvent::FetchFailed { fetch, why } => self.fetch_failed(now.monotonic, fetch, why, effects),
            SinkEvent::NotQueued { call, never } => self.not_queued(now, call, never, effects),
            SinkEvent::Ended {
                call,
                outcome,
                instance_failed,
            } => {
                self.ended(now, call, &outcome, effects);
                if instance_failed && matches!(self.child, Child::Serving { .. } | Child::Draining(_)) {
                    self.child = Child::Ending(Ending::Failed);
                    self.end_child(now.monotonic, Duration::ZERO, effects);
                }
            }
            SinkEvent::Acknowledged { call } => {
                if let Some(call) = self.in_flight.get(&call) {
                    effects.push(SinkEffect::Log(SinkNotice::Acknowledged(call.alert)));
                    effects.push(SinkEffect::Acknowledge(call.alert));
                }
            }
            SinkEvent::Exited(exit) => self.exited(now, &exit, effects),
            SinkEvent::Memory(held) => self.measured(held, effects),
            SinkEvent::Replaced { file } => self.replaced(file, effects),
            SinkEvent::Recorded(alerts) => self.recorded(now.monotonic, &alerts),
            SinkEvent::Released => {
                if self.queue == Queue::Releasing {
                    self.queue = Queue::Unread(now.monotonic);
                }
            }
            SinkEvent::Stop => self.stopping = true,
        }
    }

    /// Does whatever can be done now.
    fn advance<J>(&mut self, now: Now, effects: &mut Vec<SinkEffect<J>>) {
        self.report_dead_letters(now.monotonic, effects);
        match self.child {
            _ if self.stopping => self.finish(now.monotonic, effects),
            Child::Absent(at) if now.monotonic >= at => {
                self.child = Child::Starting;
                effects.push(SinkEffect::Start);
            }
            Child::Serving { probes } => self.feed(now.monotonic, probes, effects),
            Child::Draining(why) if self.in_flight.is_empty() && self.probe.is_none() => {
                self.child = Child::Ending(why);
                effects.push(SinkEffect::Log(SinkNotice::Recycling));
                self.end_child(now.monotonic, Duration::ZERO, effects);
            }
            _ => {}
        }
        let wake = self.next_wake(now.monotonic);
        if wake.is_some() && wake != self.wake {
            self.wake = wake;
            effects.extend(wake.map(SinkEffect::WakeAt));
        }
    }

    /// When stopping: ends the child, and is over once all is recorded.
    fn finish<J>(&mut self, now: MonotonicTime, effects: &mut Vec<SinkEffect<J>>) {
        match self.child {
            Child::Serving { .. } | Child::Draining(_) => {
                self.child = Child::Stopping;
                let idle = self.in_flight.is_empty() && self.probe.is_none();
                let finish = if idle {
                    Duration::ZERO
                } else {
                    self.policy.finish_grace
                };
                self.end_child(now, finish, effects);
            }
            Child::Ending(_) => self.child = Child::Stopping,
            Child::Absent(_) | Child::Starting if self.unrecorded.is_empty() => {
                self.child = Child::Stopped;
                effects.push(SinkEffect::Stopped);
            }
            Child::Absent(_) | Child::Starting | Child::Stopping | Child::Stopped => {}
        }
    }

    /// Has the child end. `finish` is for the call that its plugin has begun.
    fn end_child<J>(&mut self, now: MonotonicTime, finish: Duration, effects: &mut Vec<SinkEffect<J>>) {
        let within = finish + self.policy.leave_grace;
        self.ends_by = Some(now + within);
        effects.push(SinkEffect::EndChild { within });
    }

    fn next_wake(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        if self.stopping {
            return None;
        }
        let child = match self.child {
            Child::Absent(at) => Some(at),
            Child::Serving { .. } => self.next_feed(now),
            _ => None,
        };
        child.into_iter().chain(self.dead.due()).min()
    }

    fn restart<J>(&mut self, now: Now, why: String, after: AfterCrash, effects: &mut Vec<SinkEffect<J>>) {
        let AfterCrash { wait, fails } = after;
        if fails || self.last_error.as_ref() != Some(&why) {
            let why = why.clone();
            effects.push(SinkEffect::Log(SinkNotice::Restarting { why, wait }));
        }
        if fails {
            let (sink, why) = (self.name.clone(), why.clone());
            effects.push(SinkEffect::Raise(HubEvent::SinkFailed { sink, why }));
        }
        self.last_error = Some(why);
        self.child = Child::Absent(now.monotonic + wait);
    }

    /// The child is gone. What it was working on counts as tried; what only waited in it does not.
    fn exited<J>(&mut self, now: Now, exit: &ChildExit, effects: &mut Vec<SinkEffect<J>>) {
        self.ends_by = None;
        if self.child == Child::Stopping {
            return self.exited_for_good(now, exit, effects);
        }
        let recycled = matches!(self.child, Child::Ending(Ending::Recycled | Ending::Outdated));
        if self.child == Child::Ending(Ending::Outdated) {
            self.try_again(now.monotonic, effects);
        }
        let note = format!("the plugin {}", exit.how);
        if !recycled {
            self.crash_count += 1;
            match exit.blamed {
                Some(call) => {
                    let outcome = self.blame(call, exit.crashed, note.clone());
                    self.ended(now, call, &outcome, effects);
                }
                None => self.serialize_next = exit.unfinished,
            }
        }
        self.probe = None;
        self.in_flight.clear();
        if self.queue != Queue::Releasing {
            self.queue = Queue::Unread(now.monotonic);
        }
        if recycled {
            self.child = Child::Absent(now.monotonic);
        } else {
            let after = self.crashes.crashed(now.monotonic);
            self.restart(now, note, after, effects);
        }
    }

    /// The child that was to end is gone. What its plugin had not begun is left in the queue as it was.
    fn exited_for_good<J>(&mut self, now: Now, exit: &ChildExit, effects: &mut Vec<SinkEffect<J>>) {
        if let Some(call) = exit.blamed {
            let outcome = self.blame(call, exit.crashed, format!("the plugin {}", exit.how));
            self.ended(now, call, &outcome, effects);
        }
        self.probe = None;
        self.in_flight.clear();
        self.child = Child::Absent(now.monotonic);
    }

    /// Finds out whether it was this alert once too often. What only took too long may work another time.
    fn blame(&mut self, call: CallId, crashed: bool, note: String) -> Outcome {
        let alert = self.in_flight.get(&call).map(|call| call.alert);
        if crashed && alert.is_some_and(|alert| self.crashes.blame(alert)) {
            let times = self.policy.crashes.poison_threshold;
            return Outcome::Poisonous {
                note: format!("{note} over this alert, {times} times"),
            };
        }
        Outcome::Broken { note }
    }

    fn measured<J>(&mut self, held: u64, effects: &mut Vec<SinkEffect<J>>) {
        if held > self.policy.recycle_over && matches!(self.child, Child::Serving { .. }) {
            self.child = Child::Draining(Ending::Recycled);
            effects.push(SinkEffect::Log(SinkNotice::TooLarge { held }));
        }
    }

    fn replaced<J>(&mut self, file: String, effects: &mut Vec<SinkEffect<J>>) {
        if matches!(self.child, Child::Serving { .. }) {
            self.child = Child::Draining(Ending::Outdated);
            effects.push(SinkEffect::Log(SinkNotice::Replaced { file }));
        }
    }

    /// What failed for want of a file may work now.
    fn try_again<J>(&mut self, now: MonotonicTime, effects: &mut Vec<SinkEffect<J>>) {
        self.breaker.try_now(now);
        if self.queue != Queue::Releasing {
            self.queue = Queue::Releasing;
            effects.push(SinkEffect::ReleaseRetries);
        }
    }

    /// Whether nothing new is begun.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The alerts in flight.
    pub fn alerts_in_flight(&self) -> BTreeSet<AlertId> {
        self.in_flight.values().map(|call| call.alert).collect()
    }

    /// Of the deliveries in flight the alert, and whether they are cancelled once that is acknowledged.
    pub fn cancellable(&self) -> impl Iterator<Item = (AlertId, bool)> {
        self.in_flight
            .values()
            .map(|call| (call.alert, call.cancel_on_acknowledge))
    }

    /// Notes what went wrong last.
    pub(super) fn set_error(&mut self, error: String) {
        self.last_error = Some(error);
    }

    /// Where the sink stands.
    pub fn state(&self) -> SinkState {
        match self.child {
            Child::Serving { .. } | Child::Draining(_) if self.breaker.is_down() => SinkState::Down,
            Child::Serving { .. } | Child::Draining(_) => SinkState::Running,
            Child::Ending(Ending::Recycled | Ending::Outdated) => SinkState::Starting,
            Child::Starting if self.crashes.is_clean() => SinkState::Starting,
            Child::Starting | Child::Absent(_) | Child::Ending(Ending::Failed) => SinkState::Failed,
            Child::Stopping => SinkState::Stopping,
            Child::Stopped => SinkState::Stopped,
        }
    }

    /// Since when it cannot deliver, if it cannot: its plugin does not run, or what it delivers to does not answer.
    pub fn down_since(&self) -> Option<UnixMillis> {
        self.down_since
    }

    /// When a sink that cannot deliver is tried next, if that is not now.
    pub fn next_try(&self, now: Now) -> Option<UnixMillis> {
        let at = match self.child {
            Child::Absent(at) => at,
            Child::Serving { .. } if self.breaker.is_down() => self.breaker.opens_at()?,
            _ => return None,
        };
        (at > now.monotonic).then(|| now.unix + at.since(now.monotonic))
    }

    /// When a child that was asked to end for good has ended at the latest.
    pub fn ends_by(&self, now: Now) -> Option<UnixMillis> {
        let at = self.ends_by.filter(|_| self.stopping)?;
        Some(now.unix + at.since(now.monotonic))
    }

    /// How many deliveries are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Crashes of the child since the hub started.
    pub fn crash_count(&self) -> u64 {
        self.crash_count
    }

    /// What went wrong last, unless a delivery has worked since.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}
