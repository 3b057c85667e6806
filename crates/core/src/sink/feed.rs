//! How the child is fed: what is fetched, how much of it is started, and what is cancelled.

use std::collections::BTreeSet;
use std::time::Duration;

use super::machine::{Child, SinkMachine};
use super::machine::{InFlight, Queue, READ_AGAIN_AFTER};
use super::{CallId, DeliveryResult, DueDelivery, Fetched, SinkEffect, SinkNotice};
use crate::{AlertId, DeliveryState, MonotonicTime, Now, Outcome, UnixMillis};

/// Deliveries that have ended and are not recorded yet, which even a sink that takes one at a time may have: they wait
/// for a commit to piggyback on.
const MIN_UNRECORDED: usize = 32;

impl SinkMachine {
    /// Something in the queue may be new.
    pub(super) fn queue_changed(&mut self, now: MonotonicTime) {
        match &mut self.queue {
            Queue::Empty(_) => self.queue = Queue::Unread(now),
            Queue::Fetching { again, .. } => *again = true,
            Queue::Unread(_) | Queue::Releasing => {}
        }
    }

    /// Probes the sink or fetches what fits into the window, if anything may be due.
    pub(super) fn feed<J>(&mut self, now: MonotonicTime, probes: bool, effects: &mut Vec<SinkEffect<J>>) {
        let due = match self.queue {
            Queue::Unread(at) | Queue::Empty(Some(at)) => now >= at,
            Queue::Fetching { .. } | Queue::Releasing | Queue::Empty(None) => false,
        };
        let room = self.room(now);
        if !due || room == 0 {
            return;
        }
        if probes && self.breaker.wants_probe(now) {
            if self.probe.is_none() {
                self.probe = Some(self.next_call());
                effects.extend(self.probe.map(|call| SinkEffect::Probe { call }));
            }
            return;
        }
        let fetch = self.next_fetch();
        self.queue = Queue::Fetching { fetch, again: false };
        let mut skip = self.alerts_in_flight();
        skip.extend(self.unrecorded.keys());
        effects.push(SinkEffect::Fetch {
            fetch,
            limit: room,
            max_bytes: self.policy.in_flight_bytes - self.bytes_in_flight(),
            skip,
        });
    }

    /// When [`Self::feed`] has something to do that no event announces.
    pub(super) fn next_feed(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        let due = match self.queue {
            Queue::Unread(at) => at,
            Queue::Empty(at) => at?,
            Queue::Fetching { .. } | Queue::Releasing => return None,
        };
        let opens = self.breaker.opens_at().unwrap_or(due);
        let at = due.max(opens);
        (at > now).then_some(at)
    }

    /// How many deliveries more may be taken from the queue.
    fn room(&self, now: MonotonicTime) -> usize {
        // What has ended but is not recorded comes again after a crash, so it is bounded like what is in flight.
        let unrecorded = self.unrecorded.len() >= self.policy.in_flight.max(MIN_UNRECORDED);
        if unrecorded { 0 } else { self.free(now) }
    }

    /// How many deliveries more may be in flight.
    fn free(&self, now: MonotonicTime) -> usize {
        if self.bytes_in_flight() >= self.policy.in_flight_bytes {
            return 0;
        }
        let full = if self.serialize_next > 0 {
            1
        } else {
            self.policy.in_flight
        };
        let window = self.breaker.window(now, full);
        window.saturating_sub(self.in_flight.len())
    }

    fn bytes_in_flight(&self) -> u64 {
        self.in_flight.values().map(|call| call.frame_bytes).sum()
    }

    /// Starts what a fetch has brought, as far as there is still room for it. The rest stays in the queue.
    pub(super) fn fetched<J>(
        &mut self,
        now: Now,
        fetch: u64,
        fetched: Fetched<J>,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        let again = match self.queue {
            Queue::Fetching { fetch: asked, again } if asked == fetch => again,
            // Outdated: something older may be due by now.
            _ => return,
        };
        let Fetched {
            due,
            expired,
            next_due,
            mut more,
        } = fetched;
        if !expired.is_empty() {
            effects.push(SinkEffect::Log(SinkNotice::Expired(expired.len())));
            let results: Vec<_> = expired
                .into_iter()
                .map(|expired| DeliveryResult {
                    alert: expired.alert,
                    state: DeliveryState::Expired,
                    attempts: expired.attempts,
                    due_at: now.unix,
                    error: Some("it grew older than max_age before it could be delivered".to_owned()),
                })
                .collect();
            let states = results.iter().map(|result| (result.alert, result.state));
            self.unrecorded.extend(states);
            effects.push(SinkEffect::Record(results));
        }
        let serving = self.is_serving();
        for delivery in due {
            if !serving || self.room(now.monotonic) == 0 {
                more = true;
                break;
            }
            self.start(now.monotonic, delivery, effects);
        }
        self.queue = if again || more {
            Queue::Unread(now.monotonic)
        } else {
            Queue::Empty(next_due.map(|due| now.monotonic + until(due, now.unix)))
        };
    }

    /// Whether a delivery can be made now that is not in the queue yet. How much is unrecorded does not matter: there are
    /// few of them, and nothing can be recorded.
    pub fn takes_from_memory(&self, now: MonotonicTime) -> bool {
        self.is_serving() && self.free(now) > 0
    }

    /// Makes a delivery that is not in the queue yet, unless it is made already.
    pub(super) fn offered<J>(
        &mut self,
        now: Now,
        delivery: DueDelivery<J>,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        if !self.takes_from_memory(now.monotonic) || self.has(delivery.alert) {
            return;
        }
        if let Queue::Fetching { .. } = self.queue {
            // What it brings may show this one as due.
            self.queue = Queue::Unread(now.monotonic);
        }
        effects.push(SinkEffect::Log(SinkNotice::FromMemory(delivery.alert)));
        self.start(now.monotonic, delivery, effects);
    }

    fn is_serving(&self) -> bool {
        matches!(self.child, Child::Serving { .. }) && !self.is_stopping()
    }

    /// Whether the delivery of this alert is in flight, or has ended and is not recorded.
    fn has(&self, alert: AlertId) -> bool {
        self.unrecorded.contains_key(&alert) || self.in_flight.values().any(|call| call.alert == alert)
    }

    fn start<J>(&mut self, now: MonotonicTime, delivery: DueDelivery<J>, effects: &mut Vec<SinkEffect<J>>) {
        let (call, attempt) = (self.next_call(), delivery.attempts.saturating_add(1));
        let in_flight = InFlight {
            alert: delivery.alert,
            kind: delivery.kind,
            age: delivery.age,
            since: now,
            attempt,
            frame_bytes: delivery.frame_bytes,
            cancel_on_acknowledge: delivery.cancel_on_acknowledge,
            cancelled: false,
        };
        self.in_flight.insert(call, in_flight);
        let payload = delivery.payload;
        effects.push(SinkEffect::Deliver {
            call,
            attempt,
            payload,
        });
    }

    /// The child did not take a call.
    pub(super) fn not_queued<J>(
        &mut self,
        now: Now,
        call: CallId,
        never: Option<String>,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        if let Some(note) = never {
            return self.ended(now, call, &Outcome::Refused { note }, effects);
        }
        // Not tried, so not counted: it stays due.
        self.in_flight.remove(&call);
        self.probe.take_if(|probe| *probe == call);
        if self.queue != Queue::Releasing {
            self.queue = Queue::Unread(now.monotonic + READ_AGAIN_AFTER);
        }
    }

    pub(super) fn fetch_failed<J>(
        &mut self,
        now: MonotonicTime,
        fetch: u64,
        why: String,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        if !matches!(self.queue, Queue::Fetching { fetch: asked, .. } if asked == fetch) {
            return;
        }
        self.queue = Queue::Unread(now + READ_AGAIN_AFTER);
        self.set_error(format!("cannot read the store: {why}"));
        effects.push(SinkEffect::Log(SinkNotice::FetchFailed { why }));
    }

    /// Cancels what is in flight of these alerts.
    pub(super) fn cancel<J>(&mut self, alerts: &BTreeSet<AlertId>, effects: &mut Vec<SinkEffect<J>>) {
        for (&call, delivery) in &mut self.in_flight {
            if alerts.contains(&delivery.alert) && !delivery.cancelled {
                delivery.cancelled = true;
                effects.push(SinkEffect::Log(SinkNotice::Cancelled(delivery.alert)));
                effects.push(SinkEffect::Cancel { call });
            }
        }
    }

    /// The plugin's probe has ended. Only a delivery proves that the sink works again, but a failed probe spares one.
    pub(super) fn probed<J>(
        &mut self,
        now: MonotonicTime,
        outcome: &Outcome,
        effects: &mut Vec<SinkEffect<J>>,
    ) {
        match outcome {
            Outcome::Retry { note, .. } | Outcome::Broken { note } | Outcome::Poisonous { note } => {
                self.breaker.failed(now);
                self.set_error(note.clone());
                let error = note.clone();
                effects.push(SinkEffect::Log(SinkNotice::ProbeFailed { error }));
            }
            // A plugin that cannot tell does not keep alerts from being tried.
            Outcome::Delivered | Outcome::Refused { .. } => self.breaker.probed(),
        }
    }

    fn next_call(&mut self) -> CallId {
        self.last_call += 1;
        self.last_call
    }

    fn next_fetch(&mut self) -> u64 {
        self.last_fetch += 1;
        self.last_fetch
    }
}

fn until(due: UnixMillis, now: UnixMillis) -> Duration {
    Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
}
