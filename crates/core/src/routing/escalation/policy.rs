//! A policy: who is to hear of an alert after whom, until a person acknowledges it. It is a plain value and remembers nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whose acknowledgement ends an escalation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// Anyone's.
    #[default]
    Any,
    /// One at each sink that got the alert; that of the operator or in the backend counts for all.
    All,
}

/// Who is to hear of an alert, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// The steps, at least one.
    pub steps: Vec<PolicyStep>,
    /// How often all of them are gone through once more.
    pub loops: u32,
    /// How long the last step is left for an acknowledgement.
    pub wait: Duration,
    /// Whose acknowledgement ends it.
    pub require: Require,
    /// How long an acknowledgement counts, after which it begins again unless the alert was dismissed; for ever where it is `None`.
    pub ack_timeout: Option<Duration>,
}

/// A step of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStep {
    /// How long after the step before; of the first one, after the alert.
    pub after: Duration,
    /// Names of its sinks.
    pub sinks: Vec<String>,
    /// That its message is sent more than once.
    pub repeat: Option<Repeat>,
}

/// How often the message of a step is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// How long after one the next.
    pub every: Duration,
    /// How many in all.
    pub max: u32,
}

/// A message of a policy, counted from 0. That behind the last step stands for the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The time that all steps are gone through.
    pub round: u32,
    /// The step.
    pub step: usize,
    /// The message of the step.
    pub sending: u32,
}

impl Policy {
    /// The step of a position; `None` at the end.
    pub(super) fn step(&self, at: Position) -> Option<&PolicyStep> {
        self.steps.get(at.step)
    }

    /// The number of the first step that names a sink, counted from 1.
    pub(super) fn step_of(&self, sink: &str) -> Option<usize> {
        let mut steps = self.steps.iter();
        steps
            .position(|step| step.sinks.iter().any(|name| name == sink))
            .map(|step| step + 1)
    }

    /// How long after the alert a step comes, counted from 1, if none before it is skipped.
    pub(super) fn time_to(&self, step: usize) -> Duration {
        let repeated = |step: &PolicyStep| {
            step.repeat
                .map_or(Duration::ZERO, |repeat| repeat.every * (repeat.max - 1))
        };
        let before: Duration = self.steps.iter().take(step - 1).map(repeated).sum();
        before
            + self
                .steps
                .iter()
                .take(step)
                .map(|step| step.after)
                .sum::<Duration>()
    }

    /// What comes first in a round, and how long after what was before.
    pub(super) fn first(&self, round: u32) -> (Position, Duration) {
        let after = self.steps.first().map_or(Duration::ZERO, |step| step.after);
        let position = Position {
            round,
            ..Position::default()
        };
        (position, after)
    }

    /// What comes after a message that was sent, and how long after it.
    pub(super) fn then(&self, sent: Position) -> (Position, Duration) {
        let repeat = self.step(sent).and_then(|step| step.repeat);
        if let Some(Repeat { every, .. }) = repeat.filter(|repeat| sent.sending + 1 < repeat.max) {
            let sending = sent.sending + 1;
            return (Position { sending, ..sent }, every);
        }
        match self.steps.get(sent.step + 1) {
            Some(next) => (sent.to_step(sent.step + 1), next.after),
            None => self.end_of_round(sent.round, self.wait),
        }
    }

    /// What comes after a step that no one was to get, or that no one could get: the next one, at once.
    pub(super) fn skip(&self, at: Position) -> (Position, Duration) {
        match at.step + 1 < self.steps.len() {
            true => (at.to_step(at.step + 1), Duration::ZERO),
            false => self.end_of_round(at.round, Duration::ZERO),
        }
    }

    /// All is gone through once more, or it is the end. `wait` is how long the last message is left for an acknowledgement.
    fn end_of_round(&self, round: u32, wait: Duration) -> (Position, Duration) {
        if round < self.loops {
            let (first, after) = self.first(round + 1);
            // Not at once, also where no step was for anyone: it would go round and round.
            return (first, self.wait + after);
        }
        let end = Position {
            round,
            step: self.steps.len(),
            sending: 0,
        };
        (end, wait)
    }
}

impl Position {
    fn to_step(self, step: usize) -> Self {
        let sending = 0;
        Self {
            step,
            sending,
            ..self
        }
    }
}
