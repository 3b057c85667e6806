//! What becomes of a call that has ended: what it says of the sink, and what is recorded of its delivery.

use super::machine::{InFlight, Queue, SinkMachine};
use super::{CallId, DeliveryResult, SinkEffect, SinkNotice};
use crate::{AlertId, AlertKind, DeliveryState, HubEvent, MonotonicTime, Now, Outcome, Verdict};

impl SinkMachine {
    /// A call has ended.
    pub(super) fn ended<J>(
        &mut self,
        now: Now,
        call: CallId,
        outcome: &Outcome,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        if self.probe.take_if(|probe| *probe == call).is_some() {
            return self.probed(now.monotonic, outcome, effects);
        }
        let Some(delivery) = self.in_flight.remove(&call) else {
            return;
        };
        self.serialize_next = self.serialize_next.saturating_sub(1);
        if delivery.cancelled {
            // Had it been made due again meanwhile, it was skipped as being in flight.
            return self.queue_changed(now.monotonic);
        }
        let was_down = self.breaker.is_down();
        match outcome {
            Outcome::Delivered | Outcome::Refused { .. } => self.answered(now, delivery.alert, effects),
            Outcome::Retry { .. } => self.breaker.failed(now.monotonic),
            Outcome::Broken { .. } | Outcome::Poisonous { .. } => {}
        }
        self.note_error(&delivery, outcome, was_down, effects);
        self.record(now, &delivery, outcome, effects);
    }

    fn note_error<J>(
        &mut self,
        delivery: &InFlight,
        outcome: &Outcome,
        was_down: bool,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        let Some(error) = outcome.error().map(str::to_owned) else {
            self.last_error = None;
            return;
        };
        self.last_error = Some(error.clone());
        let (alert, attempt) = (delivery.alert, delivery.attempt);
        if was_down {
            return;
        }
        effects.push(SinkEffect::Log(if self.breaker.is_down() {
            SinkNotice::Down { error }
        } else {
            SinkNotice::NotDelivered {
                alert,
                attempt,
                error,
            }
        }));
    }

    /// The plugin and what it delivers to work.
    fn answered<J>(&mut self, now: Now, alert: AlertId, effects: &mut Vec<SinkEffect<J>>) {
        if self.breaker.answered() {
            effects.push(SinkEffect::Log(SinkNotice::DeliversAgain));
            // Nothing newer goes before what has failed so far; a fetch that runs is outdated with it.
            self.queue = Queue::Releasing;
            effects.push(SinkEffect::ReleaseRetries);
        }
        if self.crashes.answered(alert, now.monotonic) {
            let sink = self.name.clone();
            effects.push(SinkEffect::Raise(HubEvent::SinkRecovered { sink }));
        }
    }

    fn record<J>(
        &mut self,
        now: Now,
        delivery: &InFlight,
        outcome: &Outcome,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        let InFlight {
            alert,
            kind,
            age,
            since,
            attempt,
            ..
        } = *delivery;
        let retry = self.policy.retry;
        let age = age.saturating_add(now.monotonic.since(since));
        let (state, due_at) = match retry.judge(outcome, attempt, age, now.unix, self.rng.f64()) {
            Verdict::Delivered => (DeliveryState::Delivered, now.unix),
            Verdict::RetryAt(at) => (DeliveryState::Pending, at),
            Verdict::Dead(why) => {
                let notice = SinkNotice::DeadLettered {
                    alert,
                    why: why.clone(),
                };
                effects.push(SinkEffect::Log(notice));
                // A sink that refuses the news of its refusals must not cause more of them.
                if kind != AlertKind::Hub {
                    self.dead.add(1);
                    self.last_dead = Some((alert, why));
                }
                (DeliveryState::Dead, now.unix)
            }
        };
        self.unrecorded.insert(alert, state);
        effects.push(SinkEffect::Record(vec![DeliveryResult {
            alert,
            state,
            attempts: attempt,
            due_at,
            error: outcome.error().map(str::to_owned),
        }]));
    }

    pub(super) fn recorded(&mut self, now: MonotonicTime, alerts: &[AlertId]) {
        for alert in alerts {
            if self.unrecorded.remove(alert) == Some(DeliveryState::Pending) {
                // Its retry may be the next that is due.
                self.queue_changed(now);
            }
        }
    }

    pub(super) fn report_dead_letters<J>(&mut self, now: MonotonicTime, effects: &mut Vec<SinkEffect<J>>) {
        let Some(count) = self.dead.take(now) else {
            return;
        };
        if let Some((last, why)) = self.last_dead.take() {
            let sink = self.name.clone();
            effects.push(SinkEffect::Raise(HubEvent::DeadLetters {
                sink,
                count,
                last,
                why,
            }));
        }
    }
}
