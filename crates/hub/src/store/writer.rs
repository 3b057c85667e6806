//! The writer thread: the only one that writes to the store.
//!
//! It commits in batches. While nothing else waits, an alert is committed at once; while a commit runs, the next batch
//! gathers behind it. What an operator wants takes its turn between two commits. So everything is committed in the order
//! of its arrival, also while the disk is full.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;
use tracing::{error, info, warn};
use watchpost_core::{Alert, AlertIds, HubEvent, MonotonicTime, Router, RoutingEvent, RoutingState};
use watchpost_store::{Held, OperatorAct, Performed, StoreError};

use super::command::{Answer, OperatorCommand, WriterPolicy};
use super::disk::{Attempt, Disk};
use super::in_hand::InHand;
use super::intake::{Intake, Next};
use super::queue::Work;
use super::relay::Relay;
use super::state::StoreState;
use crate::arming::LiveAreas;
use crate::clock::Clock;
use crate::health::Health;
use crate::live::LiveEvent;
use crate::notifier::{SinkNotifiers, WriteBackNotifier};
use crate::stamp::Stamp;

/// How often retention is looked after.
const RETENTION_INTERVAL: Duration = Duration::from_secs(10);

/// The same while nothing is written, when only its age can make an alert one too many.
const IDLE_RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// What the writer needs of the rest of the hub.
#[derive(Clone)]
pub(crate) struct WriterParts {
    pub(crate) router: Router,
    /// Whether that is one of a configuration, and not what stands there until the first one.
    pub(crate) has_policy: bool,
    /// What every alert gets before it is routed.
    pub(crate) stamp: Stamp,
    /// Wakes the sinks that have something to do.
    pub(crate) notifiers: SinkNotifiers,
    /// Wakes the connections that have something to report to their backend.
    pub(crate) write_backs: WriteBackNotifier,
    pub(crate) live: broadcast::Sender<LiveEvent>,
    /// Where the areas stand, for who shows it.
    pub(crate) areas: LiveAreas,
    /// What is wrong on the site, which may keep areas from being armed.
    pub(crate) health: Health,
    /// For internal events.
    pub(crate) ids: Arc<AlertIds>,
    pub(crate) clock: Clock,
}

/// What a turn of the writer has come to.
enum Turn {
    /// There may be more to do.
    Again,
    /// There is nothing to do before then, unless a command comes.
    WaitUntil(MonotonicTime),
    /// It was asked to stop, and everything is on disk. These wait for that.
    Ended(Vec<oneshot::Sender<()>>),
}

/// What is being committed.
enum InProgress {
    Batch(Box<InHand>),
    Operator(OperatorCommand),
}

/// The thread's own state. It survives the thread: another one goes on with what this one had in hand.
pub(super) struct Writer {
    parts: WriterParts,
    state: StoreState,
    disk: Disk,
    intake: Intake,
    in_progress: Option<InProgress>,
    /// What of it, and of what waits behind it, is delivered from memory while the store fails.
    relay: Relay,
    /// When retention is due.
    retain_at: MonotonicTime,
    /// When it is due although nothing was written.
    retain_by: MonotonicTime,
    /// Whether anything was written since it was last looked after, or its limits are others.
    changed: bool,
    /// Whether what routing remembers is to be looked at by the policy, which is another one.
    look_again: bool,
}

impl Writer {
    pub(super) fn new(parts: WriterParts, state: StoreState, disk: Disk, intake: Intake) -> Self {
        parts.areas.publish(&disk.routing_state().areas);
        Self {
            retain_at: parts.clock.now(),
            retain_by: parts.clock.now(),
            changed: true,
            parts,
            state,
            disk,
            intake,
            in_progress: None,
            relay: Relay::default(),
            look_again: false,
        }
    }

    /// Works until it is asked to stop, on a thread of its own. Returns who waits for that: to be informed when the store
    /// is closed.
    pub(super) fn run(&mut self) -> Vec<oneshot::Sender<()>> {
        loop {
            match self.turn() {
                Turn::Again => {}
                Turn::WaitUntil(at) => self.intake.wait_until(at),
                Turn::Ended(stopping) => return stopping,
            }
        }
    }

    /// The same as a task among others, which `commands` wakes.
    pub(super) async fn run_as_task(&mut self, commands: &Notify) -> Vec<oneshot::Sender<()>> {
        loop {
            match self.turn() {
                Turn::Again => yield_now().await,
                Turn::WaitUntil(at) => {
                    let wait = at.since(self.parts.clock.now());
                    let _ = timeout(wait, commands.notified()).await;
                }
                Turn::Ended(stopping) => return stopping,
            }
        }
    }

    /// Does what there is to do, at most one transaction. It waits for nothing but the disk.
    fn turn(&mut self) -> Turn {
        if self.in_progress.is_none() {
            self.in_progress = self.begin_what_is_due();
        }
        if self.in_progress.is_none() {
            let work = match self.intake.next(self.wake_at()) {
                Next::Go(work) => work,
                Next::WaitUntil(at) => return Turn::WaitUntil(at),
            };
            self.adopt_policies();
            self.in_progress = work.map(|work| self.begin(work));
        }
        if let Some(retry_at) = self.carry_out() {
            return Turn::WaitUntil(retry_at);
        }
        if self.intake.take_check() {
            self.disk.check_integrity(&mut self.intake);
        }
        self.retain();
        if self.intake.has_ended() {
            return Turn::Ended(self.intake.take_stopping());
        }
        Turn::Again
    }

    /// Prepares the store for going on after the thread died of a bug: what it was doing may have left the connection to
    /// the database in any state.
    pub(super) fn reopen(&mut self) {
        self.relay.end(&self.parts.notifiers);
        self.disk.reopen(&mut self.intake);
    }

    /// Goes by the newest policy from now on. All that was routed by the one before is on disk.
    fn adopt_policies(&mut self) {
        for change in self.intake.take_policies() {
            let WriterPolicy {
                router,
                stamp,
                batch_alerts,
                store,
            } = change.in_force();
            (self.parts.router, self.parts.has_policy) = (router, true);
            self.parts.stamp.set_policy(stamp);
            self.intake.set_batch_alerts(batch_alerts);
            self.disk.set_policy(store);
            self.retain_at = self.parts.clock.now();
            (self.changed, self.look_again) = (true, true);
        }
    }

    /// When there is something to do although nothing has come.
    fn wake_at(&self) -> MonotonicTime {
        let (clock, state) = (self.parts.clock, self.disk.routing_state());
        let now = clock.both();
        let due = [state.next_digest(), self.parts.router.next_due(state)];
        let due = due.into_iter().filter(|_| self.parts.has_policy);
        // Looked at as often as retention at least, which is enough for a clock that is set.
        due.flatten()
            .map(|at| now.monotonic + now.unix.until(at))
            .fold(self.retain_at, MonotonicTime::min)
    }

    /// Begins what is due by itself. Without a policy it is not known who is to hear of it.
    fn begin_what_is_due(&mut self) -> Option<InProgress> {
        if !self.parts.has_policy {
            return None;
        }
        let due = self.due_digest().or_else(|| self.due_step());
        due.or_else(|| self.begin_due())
    }

    /// The alert that stands for alerts which were held long enough. Nothing changes what is remembered of them until it
    /// is on disk.
    fn due_digest(&self) -> Option<InProgress> {
        let now = self.parts.clock.unix();
        let due = self.disk.routing_state().due_digest(now)?;
        let (sink, id) = (due.key.sink.clone(), self.parts.ids.next(now));
        let alert = self.parts.stamp.digest(due, id, now);
        info!("{}: one message to {sink}", alert.title);
        Some(InProgress::Batch(Box::new(InHand::of_own(alert, now))))
    }

    /// The message of a policy that is due. It says itself what comes next when it is on disk.
    fn due_step(&self) -> Option<InProgress> {
        let now = self.parts.clock.unix();
        let due = self.parts.router.due_step(now, self.disk.routing_state())?;
        let (policy, id) = (due.policy().to_owned(), self.parts.ids.next(now));
        let alert = self.parts.stamp.step(due, id, now);
        info!("{}: the next step of policy {policy}", alert.title);
        Some(InProgress::Batch(Box::new(InHand::of_own(alert, now))))
    }

    /// Begins what is due of what the routing step remembers, with what it says of that.
    fn begin_due(&mut self) -> Option<InProgress> {
        let (now, state) = (self.parts.clock.unix(), self.disk.routing_state());
        let look_again = std::mem::take(&mut self.look_again);
        let due = self.parts.router.next_due(state);
        if !look_again && due.is_none_or(|due| due > now) {
            return None;
        }
        let effects = self.parts.router.step(now, state, RoutingEvent::Due);
        effects.state?;
        let said = effects.events;
        let alerts = said.into_iter().map(|event| self.internal(event));
        let in_hand = InHand::due(now, &self.parts.stamp, alerts);
        Some(InProgress::Batch(Box::new(in_hand)))
    }

    fn begin(&self, work: Work) -> InProgress {
        match work {
            Work::Batch(joins) => {
                let now = self.parts.clock.unix();
                let in_hand = InHand::new(joins, now, &self.parts.stamp, |event| self.internal(event));
                InProgress::Batch(Box::new(in_hand))
            }
            Work::Operator(command) => InProgress::Operator(command),
        }
    }

    /// Makes an alert of an internal event.
    fn internal(&self, event: HubEvent) -> Alert {
        let now = self.parts.clock.unix();
        let alert = event.into_alert(self.parts.ids.next(now), now);
        warn!("{}: {}", alert.title, alert.text);
        alert
    }

    /// Tries to put on disk what is in progress. If that fails it returns when to try again. Until it is on disk it stays in
    /// progress, so that it is not lost with this thread.
    fn carry_out(&mut self) -> Option<MonotonicTime> {
        let retry_at = match self.in_progress {
            None => return None,
            Some(InProgress::Batch(_)) => self.commit(),
            Some(InProgress::Operator(_)) => self.perform(),
        };
        if retry_at.is_none() {
            self.changed = true;
            self.relay.end(&self.parts.notifiers);
            self.parts.areas.publish(&self.disk.routing_state().areas);
        }
        retry_at
    }

    fn commit(&mut self) -> Option<MonotonicTime> {
        let Some(InProgress::Batch(in_hand)) = &self.in_progress else {
            return None;
        };
        let (parts, now) = (&self.parts, in_hand.at());
        let (router, relay, faults) = (&parts.router, &mut self.relay, parts.health.proven());
        let step =
            |state: &RoutingState, event: RoutingEvent<'_>| router.step_amid(now, &faults, state, event);
        let attempt = self.disk.attempt(
            &mut self.intake,
            |_| false,
            |storage| storage.commit(in_hand.batch(), &step),
            |storage, intake| {
                let alerts = in_hand.alerts().chain(intake.waiting_alerts());
                relay.offer(parts, storage, intake.waiting_arming(), alerts);
            },
        );
        let committed = match attempt {
            Attempt::Again(retry_at) => {
                if let Some(InProgress::Batch(in_hand)) = &mut self.in_progress {
                    in_hand.deferred();
                }
                return Some(retry_at);
            }
            Attempt::Ended(committed) => committed.ok(),
            Attempt::GivenUp => None,
        };
        let Some(InProgress::Batch(in_hand)) = self.in_progress.take() else {
            return None;
        };
        if let Some(committed) = committed {
            let WriterParts {
                notifiers,
                write_backs,
                live,
                clock,
                ..
            } = &self.parts;
            in_hand.committed(&committed, notifiers, write_backs, live, *clock);
        } else {
            error!(
                "{} alerts in hand are lost: the hub stops and the store cannot take them",
                in_hand.batch().arrivals.len()
            );
            in_hand.lost();
        }
        None
    }

    fn perform(&mut self) -> Option<MonotonicTime> {
        let Some(InProgress::Operator(command)) = &mut self.in_progress else {
            return None;
        };
        let (parts, act) = (&self.parts, command.act.clone());
        let now = command.carried_out_at(parts.clock.both());
        let (router, relay, faults) = (&parts.router, &mut self.relay, parts.health.faults());
        let step =
            |state: &RoutingState, event: RoutingEvent<'_>| router.step_amid(now, &faults, state, event);
        let attempt = self.disk.attempt(
            &mut self.intake,
            |error| !error.is_transient(),
            |storage| storage.perform(&act, now, &step),
            |storage, intake| {
                command.asker.answer(Answer::Deferred);
                let arming = command.arming().into_iter().chain(intake.waiting_arming());
                relay.offer(parts, storage, arming, intake.waiting_alerts());
            },
        );
        let performed = match attempt {
            Attempt::Again(retry_at) => return Some(retry_at),
            Attempt::Ended(performed) => Some(performed),
            Attempt::GivenUp => None,
        };
        if let Some(InProgress::Operator(command)) = self.in_progress.take() {
            self.performed(command, performed);
        }
        None
    }

    fn performed(&mut self, mut command: OperatorCommand, outcome: Option<Result<Performed, StoreError>>) {
        match outcome {
            Some(Ok(Performed {
                refused: Some(refused),
                ..
            })) => command.asker.answer(Answer::NotDone(refused)),
            Some(Ok(Performed {
                changed,
                rest,
                hushed,
                ..
            })) => {
                command.changed += changed;
                if let Some(hushed) = hushed {
                    self.parts.notifiers.hush(&hushed);
                }
                self.notify(&command.act);
                match rest {
                    // In its turn, so that no alert waits for all of it.
                    Some(rest) => {
                        command.act = rest;
                        self.intake.again(command);
                    }
                    None => {
                        // What was stopped is recorded: the sinks look at the store again.
                        drop(command.hold.take());
                        let changed = command.changed;
                        command.asker.answer(Answer::Recorded(changed));
                    }
                }
            }
            Some(Err(error)) => command.asker.answer(Answer::Failed(error)),
            None => error!(
                "what an operator wanted is not recorded, as the hub stops and the store cannot be written: {:?}",
                command.act
            ),
        }
    }

    fn notify(&self, act: &OperatorAct) {
        match act {
            OperatorAct::Retry(_) => self.parts.notifiers.notify_all(),
            OperatorAct::Acknowledge { .. } | OperatorAct::Dismiss { .. } | OperatorAct::Clear => {
                self.parts.write_backs.notify();
            }
            OperatorAct::Drop(_)
            | OperatorAct::Cancel(_)
            | OperatorAct::Silence(_)
            | OperatorAct::Arming(_)
            | OperatorAct::WrongCode { .. } => {}
        }
    }

    /// Removes what is too old or too much, a bounded part of it at a time, so that no alert waits long.
    fn retain(&mut self) {
        let now = self.parts.clock.now();
        if now < self.retain_at {
            return;
        }
        self.retain_at = now + RETENTION_INTERVAL;
        if !std::mem::take(&mut self.changed) && now < self.retain_by {
            return;
        }
        self.retain_by = now + IDLE_RETENTION_INTERVAL;
        match self.disk.retain(self.parts.clock.unix()) {
            Ok(report) => {
                if report.alerts > 0 {
                    info!("retention removed {} alerts", report.alerts);
                }
                if report.undelivered > 0 {
                    warn!(
                        "retention removed {} deliveries that waited for sinks that are no longer configured",
                        report.undelivered
                    );
                }
                if report.more {
                    (self.retain_at, self.changed) = (now, true);
                } else if !report.resting {
                    self.held(report.held);
                }
            }
            Err(e) => {
                self.changed = true;
                warn!("retention failed, which is tried again: {e}");
            }
        }
    }

    /// Reports what retention had to leave, once for the same sinks.
    fn held(&self, held: Option<Held>) {
        if self.state.set_held(held.clone())
            && let Some(Held { alerts, sinks }) = held
        {
            warn!(
                "{alerts} alerts beyond the limits of [store] are kept, because they are still to be delivered to {}. \
                 `watchpost deliveries drop --sink NAME` gives their space back.",
                sinks.join(", ")
            );
        }
    }
}
