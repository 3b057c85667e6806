//! Which incoming alerts are handed to the store, what is in flight until it has confirmed them, and how many came.

use std::collections::HashMap;
use std::time::Duration;

use actix::Recipient;
use tokio::sync::oneshot;
use tracing::error;
use watchpost_config::ByteSize;
use watchpost_core::{AlertId, HubEvent, InFlightBudget, MonotonicTime, RateLimitedCounter};

use super::{Counters, IncomingAlert, Origin};
use crate::store::{Accept, Receipt, ReceiptToken, StoreHandle, Stored, StoredAs};

/// Dropped alerts are reported no more often than this.
const DROPPED_INTERVAL: Duration = Duration::from_secs(60);

/// Admits the alerts of one source, of which each has an `A` for its receipt.
pub(crate) struct Admission<A> {
    source: String,
    store: StoreHandle,
    limit: ByteSize,
    budget: InFlightBudget,
    /// What waits for its receipt; the budget bounds it.
    in_flight: HashMap<ReceiptToken, InFlight<A>>,
    /// Alerts handed to the store so far, which makes their tokens.
    offered: u64,
    counters: Counters,
    dropped: RateLimitedCounter,
    warned: bool,
    /// Set once nothing is admitted any more: who waits until nothing is in flight.
    closing: Option<Vec<oneshot::Sender<()>>>,
}

/// An alert that the store has in hand.
struct InFlight<A> {
    alert: AlertId,
    origin: Origin<A>,
    bytes: usize,
}

/// An alert that came by itself and has been dealt with.
pub(crate) struct Confirmed<A> {
    /// What the other side waits for.
    pub(crate) receipt: A,
    /// What became of the alert.
    pub(crate) outcome: StoredAs,
}

impl<A> Admission<A> {
    /// At most `limit` bytes of alerts are in flight.
    pub(crate) fn new(source: String, limit: ByteSize, store: StoreHandle) -> Self {
        Self {
            source,
            store,
            counters: Counters::default(),
            in_flight: HashMap::new(),
            offered: 0,
            budget: InFlightBudget::new(usize::try_from(limit.0).unwrap_or(usize::MAX)),
            limit,
            dropped: RateLimitedCounter::new(DROPPED_INTERVAL),
            warned: false,
            closing: None,
        }
    }

    /// Whether an alert of this size is taken now.
    pub(crate) fn admits(&self, bytes: usize) -> bool {
        self.closing.is_none() && self.budget.admits(bytes)
    }

    /// Hands an alert to the store, which answers `reply`. One that is not admitted is dropped, which is logged the first
    /// time and reported as a sum.
    ///
    /// # Errors
    /// When it was not admitted: gives back what the other side waits for.
    pub(crate) fn offer(
        &mut self,
        incoming: IncomingAlert<A>,
        reply: Recipient<Stored>,
    ) -> Result<(), Origin<A>> {
        let admitted = self.admits(incoming.bytes);
        let IncomingAlert {
            alert,
            frame,
            origin,
            bytes,
        } = incoming;
        if let Origin::Pushed(_) = origin {
            self.counters.received += 1;
            self.counters.without_picture += u64::from(frame.is_none());
        }
        if !admitted {
            self.drop_one();
            return Err(origin);
        }
        self.budget.take(bytes);
        self.offered += 1;
        let token = ReceiptToken::new(self.offered);
        let in_flight = InFlight {
            alert: alert.id,
            origin,
            bytes,
        };
        self.in_flight.insert(token, in_flight);
        self.store.accept(Accept {
            alert,
            frame,
            token,
            bytes,
            reply,
        });
        Ok(())
    }

    /// The alert that a receipt is about.
    pub(crate) fn alert_of(&self, receipt: &Receipt) -> Option<AlertId> {
        self.in_flight
            .get(&receipt.token)
            .map(|in_flight| in_flight.alert)
    }

    /// The store has dealt with an alert. Gives back what its receipt is sent by, if someone waits for it.
    pub(crate) fn confirm(&mut self, receipt: &Receipt) -> Option<Confirmed<A>> {
        let InFlight { origin, bytes, .. } = self.in_flight.remove(&receipt.token)?;
        self.budget.release(bytes);
        let outcome = receipt.outcome;
        let counter = match (outcome, &origin) {
            (StoredAs::New, Origin::Fetched) => &mut self.counters.fetched,
            (StoredAs::New, Origin::Pushed(_)) => &mut self.counters.stored,
            // What was fetched may have been there.
            (StoredAs::Duplicate { .. }, Origin::Fetched) => return None,
            (StoredAs::Duplicate { .. }, Origin::Pushed(_)) => &mut self.counters.duplicates,
            (StoredAs::Lost, _) => &mut self.counters.dropped,
        };
        *counter += 1;
        match origin {
            Origin::Pushed(receipt) => Some(Confirmed { receipt, outcome }),
            Origin::Fetched => None,
        }
    }

    /// A receipt was sent.
    pub(crate) fn receipt_sent(&mut self) {
        self.counters.receipts += 1;
    }

    /// Alerts stored that did not come by themselves.
    pub(crate) fn fetched(&self) -> u64 {
        self.counters.fetched
    }

    /// What came and went.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            unstored: self.in_flight.len() as u64,
            unstored_bytes: self.budget.bytes() as u64,
            ..self.counters.clone()
        }
    }

    fn drop_one(&mut self) {
        self.counters.dropped += 1;
        if self.closing.is_none() && !self.warned {
            self.warned = true;
            error!(
                connection = %self.source,
                "alerts arrive faster than the store can take them: those beyond intake_buffer = {} are dropped without a receipt",
                self.limit
            );
        }
        self.dropped.add(1);
    }

    /// When [`Self::report_dropped`] has something to say.
    pub(crate) fn deadline(&self) -> Option<MonotonicTime> {
        self.dropped.due()
    }

    /// Raises the event of the alerts dropped, when it is time for it. It is stored when the store works again.
    pub(crate) fn report_dropped(&mut self, now: MonotonicTime) {
        if let Some(count) = self.dropped.take(now) {
            let connection = self.source.clone();
            self.store.raise(HubEvent::AlertsDropped { connection, count });
        }
    }

    /// Admits nothing any more. `done` is used when the source has ended.
    pub(crate) fn close(&mut self, done: oneshot::Sender<()>) {
        self.closing.get_or_insert_default().push(done);
    }

    /// Whether nothing is admitted any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.is_some()
    }

    /// Whether nothing is admitted any more, and nothing is in flight.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_closed() && self.budget.is_idle()
    }

    /// The source has ended: tells who waited for it.
    pub(crate) fn ended(&mut self) {
        for done in self.closing.take().into_iter().flatten() {
            let _ = done.send(());
        }
    }
}
