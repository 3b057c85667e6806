//! Where commands reach the writer thread. It takes note of them and touches no store, so that it can go on doing so
//! while a commit is retried.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use tokio::sync::oneshot;
use watchpost_core::{Alert, ArmingCommand, HubEvent, MonotonicTime};

use super::command::{Command, Control, Join, OperatorCommand, PolicyChange};
use super::queue::{BatchLimits, Readiness, Work, WriteQueue};
use crate::clock::Clock;

/// How long outcomes may wait for a commit to piggyback on. If the hub dies before, the delivery is repeated. Each commit
/// of their own that they are spared is a write that an SD card is spared.
const OUTCOME_LINGER: Duration = Duration::from_millis(200);

/// Whether the writer has something to do.
pub(super) enum Next {
    /// It has: this work, if it is work.
    Go(Option<Work>),
    /// Not before then, unless a command comes.
    WaitUntil(MonotonicTime),
}

/// What comes in, and what waits.
pub(super) struct Intake {
    commands: Receiver<Command>,
    queue: WriteQueue,
    clock: Clock,
    /// Until then outcomes that wait alone may wait for an alert.
    linger_until: MonotonicTime,
    /// A reader has met damage since the integrity was last checked.
    check_asked: bool,
    /// The policies that are to be gone by, oldest first.
    policies: Vec<PolicyChange>,
    /// Who waits for the end.
    stopping: Vec<oneshot::Sender<()>>,
    /// All handles are gone.
    closed: bool,
}

impl Intake {
    pub(super) fn new(commands: Receiver<Command>, limits: BatchLimits, clock: Clock) -> Self {
        Self {
            commands,
            queue: WriteQueue::new(limits),
            clock,
            linger_until: clock.now(),
            check_asked: false,
            policies: Vec::new(),
            stopping: Vec::new(),
            closed: false,
        }
    }

    /// Takes what has gathered, if there is work: while nothing else waits an alert is committed at once, and while a
    /// commit runs the next batch gathers behind it. At `deadline` the writer has something else to do.
    pub(super) fn next(&mut self, deadline: MonotonicTime) -> Next {
        while self.queue.readiness() != Readiness::Full && self.try_note() {}
        let now = self.clock.now();
        match self.queue.readiness() {
            Readiness::Open | Readiness::Full => Next::Go(self.queue.next()),
            Readiness::MayLinger | Readiness::Idle if !self.policies.is_empty() => Next::Go(None),
            Readiness::MayLinger if self.is_ending() || now >= self.linger_until => {
                Next::Go(self.queue.next())
            }
            Readiness::MayLinger => Next::WaitUntil(self.linger_until),
            Readiness::Idle if self.is_ending() || self.check_asked || now >= deadline => Next::Go(None),
            Readiness::Idle => Next::WaitUntil(deadline),
        }
    }

    /// Takes note of all that has come.
    pub(super) fn note_all(&mut self) {
        while self.try_note() {}
    }

    /// Waits for the next command, but no longer than until then, and takes note of it.
    pub(super) fn wait_until(&mut self, at: MonotonicTime) {
        match self.commands.recv_timeout(at.since(self.clock.now())) {
            Ok(command) => self.note(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.closed = true,
        }
    }

    /// Takes note of a command that has come, if there is one.
    fn try_note(&mut self) -> bool {
        match self.commands.try_recv() {
            Ok(command) => {
                self.note(command);
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Disconnected) => {
                self.closed = true;
                false
            }
        }
    }

    fn note(&mut self, command: Command) {
        match command {
            Command::Join(join) => self.join(join),
            Command::Operator(mut command) => {
                command.noted = Some(self.clock.now());
                self.queue.push_operator(command);
            }
            Command::Control(Control::CheckIntegrity) => self.check_asked = true,
            Command::Control(Control::SetPolicy(change)) => {
                let change = match self.queue.is_failing() {
                    true => change.defer(),
                    false => change,
                };
                self.policies.push(change);
            }
            Command::Control(Control::Stop(done)) => self.stopping.push(done),
        }
    }

    fn join(&mut self, join: Join) {
        if self.queue.is_empty() {
            self.linger_until = self.clock.now() + OUTCOME_LINGER;
        }
        self.queue.push(join);
    }

    /// Raises an event, in its turn.
    pub(super) fn raise(&mut self, event: HubEvent) {
        self.join(Join::Raise(event));
    }

    /// Has what is left of a large change carried out in its turn.
    pub(super) fn again(&mut self, command: OperatorCommand) {
        self.queue.push_operator(command);
    }

    /// The alerts that wait, each with its picture, in their order. Internal events are not among them.
    pub(super) fn waiting_alerts(&self) -> impl Iterator<Item = (&Alert, Option<&[u8]>)> {
        self.queue.waiting_alerts()
    }

    /// The commands about areas that wait, in their order.
    pub(super) fn waiting_arming(&self) -> impl Iterator<Item = &ArmingCommand> {
        self.queue.waiting_arming()
    }

    /// Notes whether the store can be written.
    pub(super) fn set_failing(&mut self, failing: bool) {
        self.queue.set_failing(failing);
        if failing {
            let policies = std::mem::take(&mut self.policies);
            self.policies = policies.into_iter().map(PolicyChange::defer).collect();
        }
    }

    /// The policies that have come since this was last called, oldest first.
    pub(super) fn take_policies(&mut self) -> Vec<PolicyChange> {
        std::mem::take(&mut self.policies)
    }

    /// How many alerts a batch has at most.
    pub(super) fn set_batch_alerts(&mut self, alerts: usize) {
        self.queue.set_batch_alerts(alerts);
    }

    /// Whether a check of the store's integrity was asked for since this was last called.
    pub(super) fn take_check(&mut self) -> bool {
        std::mem::take(&mut self.check_asked)
    }

    /// Whether the thread is to end when nothing waits any more.
    pub(super) fn is_ending(&self) -> bool {
        self.closed || !self.stopping.is_empty()
    }

    /// Whether the thread is to end now.
    pub(super) fn has_ended(&self) -> bool {
        self.is_ending() && self.queue.is_empty()
    }

    /// Who waits for the end.
    pub(super) fn take_stopping(&mut self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut self.stopping)
    }
}
