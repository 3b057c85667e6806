//! What waits for the writer, in the order of arrival. It knows neither channels nor the store.

use std::collections::VecDeque;

use watchpost_core::{Alert, ArmingCommand};
use watchpost_store::{OperatorAct, PictureOutcome};

use super::command::{Answer, Join, OperatorCommand};

/// Operator commands that may wait for a store that cannot be written, and as many panics. More are refused.
const MAX_OPERATOR_COMMANDS: usize = 1_024;

/// How much goes into one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    /// Most alerts, and most outcomes that wait for one.
    pub(super) alerts: usize,
    /// Most bytes of pictures: beyond it a larger batch gains nothing.
    pub(super) bytes: usize,
}

/// Something that waits.
#[derive(Debug)]
enum Waiting {
    Join(Join),
    Operator(OperatorCommand),
}

/// What is to be committed next.
#[derive(Debug)]
pub(super) enum Work {
    /// All that goes into one batch, in order.
    Batch(Vec<Join>),
    /// A transaction of its own.
    Operator(OperatorCommand),
}

/// Whether there is work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Nothing waits.
    Idle,
    /// What waits may wait a little longer, for an alert to piggyback on.
    MayLinger,
    /// The next batch is urgent, and has room left.
    Open,
    /// The next batch is full, or an operator command is behind it.
    Full,
}

/// The queue. What joins a batch is bounded by the connections' buffers and the sinks' windows.
#[derive(Debug)]
pub(super) struct WriteQueue {
    limits: BatchLimits,
    waiting: VecDeque<Waiting>,
    /// The store cannot be written: operator commands are answered at once, and carried out later.
    failing: bool,
}

impl WriteQueue {
    pub(super) fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            failing: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, mut join: Join) {
        if let (Join::Panic(panic), true) = (&mut join, self.failing) {
            let waiting = self.waiting.iter();
            let panics = waiting.filter(|waiting| matches!(waiting, Waiting::Join(Join::Panic(_))));
            if panics.count() >= MAX_OPERATOR_COMMANDS {
                return panic.asker.answer(Answer::Refused);
            }
            panic.asker.answer(Answer::Deferred);
        }
        self.waiting.push_back(Waiting::Join(join));
    }

    pub(super) fn push_operator(&mut self, mut command: OperatorCommand) {
        if self.failing {
            let waiting = || self.operator_commands();
            // To ask for the same once more changes nothing. Its stop goes with the one that waits. To arm and disarm once more
            // does, and so does another wrong code.
            let repeats = !matches!(
                command.act,
                OperatorAct::Arming(_) | OperatorAct::WrongCode { .. }
            );
            if repeats && command.changed == 0 && waiting().any(|other| other.act == command.act) {
                return command.asker.answer(Answer::Deferred);
            }
            if waiting().count() >= MAX_OPERATOR_COMMANDS {
                return command.asker.answer(Answer::Refused);
            }
            command.asker.answer(Answer::Deferred);
        }
        self.waiting.push_back(Waiting::Operator(command));
    }

    /// Notes whether the store can be written. If it cannot, whoever waits for an operator command is answered.
    pub(super) fn set_failing(&mut self, failing: bool) {
        self.failing = failing;
        if failing {
            for waiting in &mut self.waiting {
                match waiting {
                    Waiting::Operator(command) => command.asker.answer(Answer::Deferred),
                    Waiting::Join(Join::Panic(panic)) => panic.asker.answer(Answer::Deferred),
                    Waiting::Join(_) => {}
                }
            }
        }
    }

    /// Whether the store cannot be written.
    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    /// How many alerts a batch has at most, and how many outcomes may wait for one.
    pub(super) fn set_batch_alerts(&mut self, alerts: usize) {
        self.limits.alerts = alerts;
    }

    /// Whether there is work, and whether it may wait. Looks at no more than one batch.
    pub(super) fn readiness(&self) -> Readiness {
        if self.waiting.is_empty() {
            return Readiness::Idle;
        }
        let mut batch = BatchSize::default();
        for waiting in &self.waiting {
            match waiting {
                Waiting::Join(join) if batch.takes(join, self.limits) => {}
                Waiting::Join(_) | Waiting::Operator(_) => return Readiness::Full,
            }
        }
        if batch.is_full(self.limits) {
            Readiness::Full
        } else if batch.urgent {
            Readiness::Open
        } else {
            Readiness::MayLinger
        }
    }

    /// Takes what is to be committed next.
    pub(super) fn next(&mut self) -> Option<Work> {
        if let Some(Waiting::Operator(_)) = self.waiting.front() {
            return match self.waiting.pop_front() {
                Some(Waiting::Operator(command)) => Some(Work::Operator(command)),
                _ => None,
            };
        }
        let (mut batch, limits) = (BatchSize::default(), self.limits);
        let fits = |waiting: &&Waiting| matches!(waiting, Waiting::Join(join) if batch.takes(join, limits));
        let count = self.waiting.iter().take_while(fits).count();
        let joins: Vec<Join> = self
            .waiting
            .drain(..count)
            .filter_map(|waiting| match waiting {
                Waiting::Join(join) => Some(join),
                Waiting::Operator(_) => None,
            })
            .collect();
        (!joins.is_empty()).then_some(Work::Batch(joins))
    }

    /// The alerts that wait, each with its picture, in their order.
    pub(super) fn waiting_alerts(&self) -> impl Iterator<Item = (&Alert, Option<&[u8]>)> {
        self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Join(Join::Accept(accept)) => Some((&accept.alert, accept.frame.as_deref())),
            Waiting::Join(Join::Panic(panic)) => Some((&*panic.alert, None)),
            Waiting::Join(_) | Waiting::Operator(_) => None,
        })
    }

    /// The commands about areas that wait, in their order.
    pub(super) fn waiting_arming(&self) -> impl Iterator<Item = &ArmingCommand> {
        self.operator_commands().filter_map(OperatorCommand::arming)
    }

    fn operator_commands(&self) -> impl Iterator<Item = &OperatorCommand> {
        self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Operator(command) => Some(command),
            Waiting::Join(_) => None,
        })
    }
}

/// How large a batch has become.
#[derive(Clone, Copy, Debug, Default)]
struct BatchSize {
    alerts: usize,
    outcomes: usize,
    bytes: usize,
    /// Something in it waits for nothing: an alert, or the release of retries.
    urgent: bool,
}

impl BatchSize {
    /// Adds what still fits in; whether it did.
    fn takes(&mut self, join: &Join, limits: BatchLimits) -> bool {
        if self.is_full(limits) {
            return false;
        }
        match join {
            Join::Accept(accept) => {
                self.alerts += 1;
                self.bytes += accept.bytes;
                self.urgent = true;
            }
            Join::Raise(_) | Join::Panic(_) => {
                self.alerts += 1;
                self.urgent = true;
            }
            Join::ReleaseRetries { .. } | Join::LinkUp(_) => self.urgent = true,
            Join::Picture { result, .. } => {
                if let PictureOutcome::Fetched { frame, .. } = &result.outcome {
                    self.bytes += frame.len();
                }
                self.urgent = true;
            }
            Join::RecordOutcomes(outcomes) => {
                self.outcomes += outcomes.updates.len();
                self.urgent |= self.outcomes >= limits.alerts;
            }
            Join::ClockStepped { .. } => self.urgent = true,
            Join::Annotate(_) | Join::Checkpoint(_) | Join::WrittenBack(_) => {}
        }
        true
    }

    fn is_full(&self, limits: BatchLimits) -> bool {
        self.alerts >= limits.alerts || self.bytes >= limits.bytes
    }
}

#[cfg(test)]
mod tests {
    use watchpost_core::UnixMillis;
    use watchpost_store::{OperatorAct, ShopCheckpoint};

    use super::super::command::Asker;
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        alerts: 2,
        bytes: 100,
    };

    fn event() -> Join {
        Join::Raise(watchpost_core::HubEvent::SinkRecovered { sink: "mail".into() })
    }

    fn checkpoint(at: i64) -> Join {
        Join::Checkpoint(ShopCheckpoint {
            connection: "shop".into(),
            shop: "s-1".into(),
            at: UnixMillis(at),
        })
    }

    fn clear() -> OperatorCommand {
        OperatorCommand {
            act: OperatorAct::Clear,
            hold: None,
            asker: Asker::default(),
            changed: 0,
            noted: None,
        }
    }

    fn name(work: &Work) -> String {
        match work {
            Work::Batch(joins) => {
                let names = joins.iter().map(|join| match join {
                    Join::Raise(_) => "event".to_owned(),
                    Join::Checkpoint(checkpoint) => checkpoint.at.0.to_string(),
                    other => format!("{other:?}"),
                });
                names.collect::<Vec<_>>().join(" ")
            }
            Work::Operator(command) => format!("{:?}", command.act),
        }
    }

    fn drained(queue: &mut WriteQueue) -> Vec<String> {
        std::iter::from_fn(|| queue.next())
            .map(|work| name(&work))
            .collect()
    }

    #[test]
    fn batches_are_bounded_and_an_operator_command_parts_them() {
        let mut queue = WriteQueue::new(LIMITS);
        queue.push(checkpoint(1));
        queue.push(event());
        queue.push_operator(clear());
        for _ in 0..3 {
            queue.push(event());
        }
        queue.push(checkpoint(2));
        assert_eq!(
            drained(&mut queue),
            ["1 event", "Clear", "event event", "event 2"]
        );
        assert!(queue.is_empty() && queue.next().is_none());
    }

    #[test]
    fn only_what_waits_for_nothing_may_linger() {
        let mut queue = WriteQueue::new(LIMITS);
        assert_eq!(queue.readiness(), Readiness::Idle);
        queue.push(checkpoint(1));
        assert_eq!(queue.readiness(), Readiness::MayLinger);
        queue.push(event());
        assert_eq!(queue.readiness(), Readiness::Open);
        queue.push(event());
        assert_eq!(queue.readiness(), Readiness::Full);
        let mut queue = WriteQueue::new(LIMITS);
        queue.push(checkpoint(1));
        queue.push_operator(clear());
        assert_eq!(queue.readiness(), Readiness::Full, "a person waits");
    }
}
