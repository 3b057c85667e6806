//! What becomes of a delivery when an attempt at it has ended.

use actix::prelude::*;
use tracing::{error, info, warn};
use watchpost_core::{AlertId, AlertKind, DeliveryState, HubEvent, Outcome, Verdict};
use watchpost_store::DeliveryUpdate;

use super::{Sink, UnderWay};
use crate::store::Settle;

impl Sink {
    /// An attempt has ended.
    pub(super) fn ended(&mut self, call: u64, outcome: &Outcome, ctx: &mut Context<Self>) {
        let Some(under_way) = self.under_way.remove(&call) else {
            return;
        };
        let UnderWay {
            alert,
            kind,
            received_at,
            attempt,
            cancelled,
            ..
        } = under_way;
        self.careful = self.careful.saturating_sub(1);
        if cancelled {
            return;
        }
        let was_down = self.pace.is_down();
        match outcome {
            Outcome::Delivered | Outcome::Refused { .. } => self.answered(alert, ctx),
            Outcome::Retry { .. } => self.pace.failed(self.parts.clock.now()),
            Outcome::Broken { .. } | Outcome::Poisonous { .. } => {}
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
                self.gave_up(alert, kind, why);
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

    /// The plugin and what it delivers to work.
    fn answered(&mut self, alert: AlertId, ctx: &mut Context<Self>) {
        if self.pace.answered() {
            info!(sink = %self.name(), "delivers again");
            // Nothing newer goes before what has failed so far.
            self.releasing = true;
            self.parts
                .store
                .release_retries(self.name(), ctx.address().recipient());
        }
        if self.crashes.answered(alert, self.parts.clock.now()) {
            let sink = self.name().to_owned();
            self.parts.store.raise(HubEvent::SinkRecovered { sink });
        }
    }

    /// Somebody has seen to the alert of a call, as the plugin has noticed.
    pub(super) fn acknowledged(&mut self, call: u64) {
        let Some(call) = self.under_way.get(&call) else {
            return;
        };
        info!(sink = %self.name(), alert = %call.alert, "dismissed where it was delivered");
        self.parts.store.acknowledged(call.alert, self.name());
    }

    fn gave_up(&mut self, alert: AlertId, kind: AlertKind, why: String) {
        error!(sink = %self.name(), %alert, "given up: {why}");
        // A sink that refuses the news of its refusals must not cause more of them.
        if kind != AlertKind::Hub {
            self.dead.add(1);
            self.last_dead = Some((alert, why));
        }
    }

    /// Raises the event of the alerts given up, when it is time for it.
    pub(super) fn tell_dead(&mut self) {
        let Some(count) = self.dead.take(self.parts.clock.now()) else {
            return;
        };
        if let Some((last, why)) = self.last_dead.take() {
            let sink = self.name().to_owned();
            self.parts.store.raise(HubEvent::DeadLetters {
                sink,
                count,
                last,
                why,
            });
        }
    }

    /// Has outcomes recorded. Until they are, the store still shows the deliveries as due.
    pub(super) fn settle(&mut self, updates: Vec<DeliveryUpdate>, ctx: &mut Context<Self>) {
        self.settling.extend(updates.iter().map(|update| update.alert));
        self.parts.store.settle(Settle {
            updates,
            reply: ctx.address().recipient(),
        });
    }
}
