//! One batch from the queue to the disk, with everybody who waits for it.

use std::sync::Arc;

use actix::Recipient;
use tokio::sync::{broadcast, oneshot};
use watchpost_core::{Alert, AlertId, DeliveryState, HubEvent, UnixMillis};
use watchpost_store::{Arrival, Batch, Committed, DeliveryUpdate};

use super::command::{
    Accept, Answer, Asker, Join, PanicRaised, Receipt, ReceiptToken, RecordOutcomes, Recorded, Released,
    Stored, StoredAs,
};
use crate::clock::Clock;
use crate::live::LiveEvent;
use crate::notifier::{SinkNotifiers, WriteBackNotifier};
use crate::stamp::Stamp;

/// Who waits for the receipt of an alert.
struct PendingReceipt {
    token: ReceiptToken,
    reply: Recipient<Stored>,
}

/// Who waits for an arrival to be on disk.
enum Waiter {
    /// No one: the hub has made it itself.
    NoOne,
    /// Its source, for the receipt.
    Source(PendingReceipt),
    /// The person who has raised a panic.
    Person(Asker),
}

/// A batch that is being committed.
pub(super) struct InHand {
    batch: Batch,
    /// When it was taken in hand. Its alerts are routed at this time, however often the commit is tried.
    at: UnixMillis,
    /// For each arrival of the batch, in the same order.
    waiters: Vec<Waiter>,
    outcome_waiters: Vec<(Recipient<Recorded>, Vec<AlertId>)>,
    release_waiters: Vec<Recipient<Released>>,
    clock_waiter: Option<oneshot::Sender<()>>,
    picture_waiters: Vec<oneshot::Sender<()>>,
}

impl InHand {
    /// Takes in hand what has gathered. `event` makes an alert of an internal event.
    pub(super) fn new(
        joins: Vec<Join>,
        at: UnixMillis,
        stamp: &Stamp,
        event: impl Fn(HubEvent) -> Alert,
    ) -> Self {
        let mut in_hand = Self::empty(at, stamp);
        for join in joins {
            match join {
                Join::Accept(accept) => {
                    let Accept {
                        alert,
                        frame,
                        token,
                        bytes: _,
                        reply,
                    } = *accept;
                    let receipt = PendingReceipt { token, reply };
                    in_hand.arrival(alert, frame, Waiter::Source(receipt), stamp);
                }
                Join::Raise(raised) => in_hand.arrival(event(raised), None, Waiter::NoOne, stamp),
                Join::LinkUp(connection) => in_hand.batch.links_up.push(connection),
                Join::Panic(PanicRaised { alert, asker }) => {
                    in_hand.arrival(*alert, None, Waiter::Person(asker), stamp);
                }
                Join::RecordOutcomes(RecordOutcomes { updates, reply }) => {
                    let alerts = updates.iter().map(|update| update.alert).collect();
                    in_hand.outcome_waiters.push((reply, alerts));
                    in_hand.batch.updates.extend(updates);
                }
                Join::ReleaseRetries { sink, reply } => {
                    in_hand.batch.release.push(sink);
                    in_hand.release_waiters.push(reply);
                }
                Join::Annotate(annotation) => in_hand.batch.annotations.push(annotation),
                Join::Checkpoint(checkpoint) => in_hand.batch.checkpoints.push(checkpoint),
                Join::Picture { result, done } => {
                    in_hand.batch.pictures.push(result);
                    in_hand.picture_waiters.push(done);
                }
                Join::WrittenBack(result) => in_hand.batch.write_backs.push(result),
                // There is one at a time.
                Join::ClockStepped { step, done } => {
                    in_hand.batch.clock_step = Some(step);
                    in_hand.clock_waiter = Some(done);
                }
            }
        }
        in_hand
    }

    /// One alert that the hub has made itself, as it is.
    pub(super) fn of_own(alert: Alert, at: UnixMillis) -> Self {
        let mut in_hand = Self::empty(at, &Stamp::default());
        in_hand.batch.arrivals.push(Arrival { alert, frame: None });
        in_hand.waiters.push(Waiter::NoOne);
        in_hand
    }

    fn empty(at: UnixMillis, stamp: &Stamp) -> Self {
        Self {
            batch: Batch {
                late_after: Some(stamp.late_after()),
                ..Batch::default()
            },
            at,
            waiters: Vec::new(),
            outcome_waiters: Vec::new(),
            release_waiters: Vec::new(),
            clock_waiter: None,
            picture_waiters: Vec::new(),
        }
    }

    /// What is due of what the routing step remembers, and the alerts that say so.
    pub(super) fn due(at: UnixMillis, stamp: &Stamp, alerts: impl Iterator<Item = Alert>) -> Self {
        let mut in_hand = Self::empty(at, stamp);
        in_hand.batch.due = Some(at);
        for alert in alerts {
            in_hand.arrival(alert, None, Waiter::NoOne, stamp);
        }
        in_hand
    }

    fn arrival(&mut self, mut alert: Alert, frame: Option<Vec<u8>>, waiter: Waiter, stamp: &Stamp) {
        stamp.apply(&mut alert);
        self.batch.arrivals.push(Arrival { alert, frame });
        self.waiters.push(waiter);
    }

    pub(super) fn at(&self) -> UnixMillis {
        self.at
    }

    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Its alerts, each with its picture, in their order. Internal events are not among them.
    pub(super) fn alerts(&self) -> impl Iterator<Item = (&Alert, Option<&[u8]>)> {
        let arrivals = self.batch.arrivals.iter().zip(&self.waiters);
        let accepted = arrivals.filter(|(_, waiter)| !matches!(waiter, Waiter::NoOne));
        accepted.map(|(arrival, _)| (&arrival.alert, arrival.frame.as_deref()))
    }

    /// The store cannot be written: no person waits for it any longer.
    pub(super) fn deferred(&mut self) {
        self.answer_persons(|| Answer::Deferred);
    }

    fn answer_persons(&mut self, answer: impl Fn() -> Answer) {
        for waiter in &mut self.waiters {
            if let Waiter::Person(asker) = waiter {
                asker.answer(answer());
            }
        }
    }

    /// It is on disk: sends the receipts and wakes whoever has something to do now.
    pub(super) fn committed(
        mut self,
        committed: &Committed,
        notifiers: &SinkNotifiers,
        write_backs: &WriteBackNotifier,
        live: &broadcast::Sender<LiveEvent>,
        clock: Clock,
    ) {
        if let Some(step) = self.batch.clock_step {
            // Before anything is reported, so that nothing is judged by the old time and the new one.
            if step.millis > 0 {
                clock.follow(step.millis);
            }
            notifiers.notify_all();
        }
        let Committed {
            receipts,
            sinks,
            hushed,
        } = committed;
        if let Some(hushed) = hushed {
            notifiers.hush(hushed);
        }
        for sink in sinks.iter().chain(&self.batch.release) {
            notifiers.notify(sink);
        }
        // A dismissal waits until the backend's record of its alert is known.
        if !self.batch.annotations.is_empty() {
            write_backs.notify();
        }
        let outcomes = receipts.iter().map(|receipt| match receipt {
            watchpost_store::Receipt::Stored => StoredAs::New,
            watchpost_store::Receipt::Duplicate { of } => StoredAs::Duplicate { of: *of },
        });
        self.answer_persons(|| Answer::Recorded(1));
        let pending = self.waiters.into_iter().zip(outcomes);
        send_receipts(pending.filter_map(|(waiter, outcome)| Some((waiter.receipt()?, outcome))));
        for (reply, alerts) in self.outcome_waiters {
            reply.do_send(Recorded { alerts });
        }
        for reply in self.release_waiters {
            reply.do_send(Released);
        }
        for done in self.clock_waiter.into_iter().chain(self.picture_waiters) {
            let _ = done.send(());
        }
        publish(self.batch, receipts, live);
    }

    /// It will not be stored, as the hub stops.
    pub(super) fn lost(self) {
        let pending = self.waiters.into_iter().filter_map(Waiter::receipt);
        send_receipts(pending.map(|receipt| (receipt, StoredAs::Lost)));
    }
}

impl Waiter {
    /// The receipt that a source waits for.
    fn receipt(self) -> Option<PendingReceipt> {
        match self {
            Self::Source(receipt) => Some(receipt),
            Self::NoOne | Self::Person(_) => None,
        }
    }
}

/// Sends each connection one message with all its receipts.
fn send_receipts(outcomes: impl Iterator<Item = (PendingReceipt, StoredAs)>) {
    let mut mail: Vec<(Recipient<Stored>, Vec<Receipt>)> = Vec::new();
    for (PendingReceipt { token, reply }, outcome) in outcomes {
        let receipt = Receipt { token, outcome };
        match mail.iter_mut().find(|(to, _)| *to == reply) {
            Some((_, receipts)) => receipts.push(receipt),
            None => mail.push((reply, vec![receipt])),
        }
    }
    for (to, receipts) in mail {
        to.do_send(Stored { receipts });
    }
}

/// Sends what has happened to whoever watches live.
fn publish(batch: Batch, receipts: &[watchpost_store::Receipt], live: &broadcast::Sender<LiveEvent>) {
    if live.receiver_count() == 0 {
        return;
    }
    for (arrival, receipt) in batch.arrivals.into_iter().zip(receipts) {
        if let watchpost_store::Receipt::Stored = receipt {
            let _ = live.send(LiveEvent::Stored(Arc::new(arrival.alert)));
        }
    }
    for DeliveryUpdate {
        alert, sink, state, ..
    } in batch.updates
    {
        if state != DeliveryState::Pending {
            let _ = live.send(LiveEvent::Finished { alert, sink, state });
        }
    }
}
