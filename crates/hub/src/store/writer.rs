//! The writer thread: the only one that writes to the store.
//!
//! It commits in groups. While nothing else waits, an alert is committed at once; while a commit runs,
//! the next group gathers behind it. Outcomes of deliveries wait a little for an alert to ride with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use actix::Recipient;
use tokio::sync::{broadcast, oneshot};
use tracing::{error, info, warn};
use watchpost_core::{AlertId, AlertIds, DeliveryState, HubEvent, MonotonicTime, Router};
use watchpost_store::{Arrival, Batch, DeliveryUpdate, Store};

use super::{Accept, Command, Readers, Receipt, Released, Settle, Settled, StoreHandle, Stored, StoredAs};
use crate::clock::Clock;
use crate::live::LiveEvent;
use crate::notifier::SinkNotifiers;
use crate::stamp::Stamp;

/// Pictures that one commit may hold, in bytes: beyond it a larger group gains nothing.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// How long outcomes may wait for a commit to ride on. If the hub dies before, the delivery is repeated. Each commit of
/// their own that they are spared is a write that an SD card is spared.
const SETTLE_LINGER: Duration = Duration::from_millis(200);

/// How often retention is looked after.
const RETENTION_INTERVAL: Duration = Duration::from_secs(10);

/// What the writer is made of.
pub(crate) struct WriterParts {
    pub(crate) store: Store,
    /// Most alerts in one commit.
    pub(crate) group_commit: usize,
    pub(crate) router: Router,
    /// What every alert gets before it is routed.
    pub(crate) stamp: Stamp,
    /// Woken when there is something due for the sink of that name.
    pub(crate) notifiers: SinkNotifiers,
    pub(crate) live: broadcast::Sender<LiveEvent>,
    /// For the alerts that the hub raises itself.
    pub(crate) ids: Arc<AlertIds>,
    pub(crate) readers: Readers,
    /// Connections whose backend is told what is dismissed here.
    pub(crate) write_back: Vec<String>,
    /// Sinks that are not told of an alert once it is dismissed.
    pub(crate) until_dismissed: Vec<String>,
    pub(crate) clock: Clock,
}

/// How the store is, shared with whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreState(Arc<Mutex<Option<String>>>);

impl StoreState {
    /// What keeps it from storing.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, trouble: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Who waits for an arrival.
struct Sender {
    ack: Option<String>,
    bytes: usize,
    reply: Recipient<Stored>,
}

/// The thread's own state.
pub(crate) struct Writer {
    pub(super) parts: WriterParts,
    pub(super) state: StoreState,
    pub(super) commands: Receiver<Command>,
    /// What has gathered for the next commit.
    batch: Batch,
    batch_bytes: usize,
    /// Who waits for each arrival of the batch, in the same order; nobody for the hub's own.
    senders: Vec<Option<Sender>>,
    /// Who waits for updates of the batch.
    settlers: Vec<(Recipient<Settled>, Vec<AlertId>)>,
    /// Who waits for the releases of the batch.
    releasers: Vec<Recipient<Released>>,
    pub(super) stopping: Vec<oneshot::Sender<()>>,
    /// Until then the outcomes of the batch may wait for an alert.
    linger_until: MonotonicTime,
    /// When retention is due.
    retain_at: MonotonicTime,
    /// When the store was last looked through because a reader had met damage.
    pub(super) examined: Option<MonotonicTime>,
}

impl Writer {
    /// Starts the thread. It ends with [`StoreHandle::stop`], or when all handles are gone.
    pub(crate) fn start(parts: WriterParts) -> std::io::Result<(StoreHandle, StoreState)> {
        let (sender, commands) = mpsc::channel();
        let state = StoreState::default();
        let notifiers = parts.notifiers.clone();
        let writer = Self {
            linger_until: parts.clock.now(),
            retain_at: parts.clock.now(),
            parts,
            state: state.clone(),
            commands,
            batch: Batch::default(),
            batch_bytes: 0,
            senders: Vec::new(),
            settlers: Vec::new(),
            releasers: Vec::new(),
            stopping: Vec::new(),
            examined: None,
        };
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                    // A hub that cannot store must not look alive. What is on disk is whole; the service
                    // manager starts us again.
                    error!("the store's writer died of a bug: ending the process");
                    std::process::abort();
                }
            })?;
        Ok((
            StoreHandle {
                commands: sender,
                notifiers,
            },
            state,
        ))
    }

    fn run(mut self) {
        loop {
            let open = self.gather();
            self.commit();
            self.retain();
            if (!open || !self.stopping.is_empty()) && self.batch.is_empty() {
                break;
            }
        }
        let stopping = std::mem::take(&mut self.stopping);
        // Closed before anybody hears of it: the process may end with the answer.
        drop(self);
        for done in stopping {
            let _ = done.send(());
        }
    }

    /// Waits for something to do and takes what has gathered, up to one group. Returns whether anybody
    /// can still send.
    fn gather(&mut self) -> bool {
        if self.batch.is_empty() {
            match self
                .commands
                .recv_timeout(self.retain_at.since(self.parts.clock.now()))
            {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.batch.arrivals.len() < self.parts.group_commit && self.batch_bytes < MAX_BATCH_BYTES {
            let next = if self.may_linger() {
                let wait = self.linger_until.since(self.parts.clock.now());
                self.commands.recv_timeout(wait).ok()
            } else {
                self.commands.try_recv().ok()
            };
            match next {
                Some(command) => self.take(command),
                None => return true,
            }
        }
        true
    }

    /// Outcomes alone wait a little for an alert to ride with; an alert never waits for anything.
    fn may_linger(&self) -> bool {
        self.batch.arrivals.is_empty()
            && !self.batch.is_empty()
            && self.batch.updates.len() < self.parts.group_commit
            && self.batch.release.is_empty()
            && self.stopping.is_empty()
    }

    pub(super) fn take(&mut self, command: Command) {
        match command {
            Command::Accept(accept) => {
                let Accept {
                    mut alert,
                    frame,
                    ack,
                    bytes,
                    reply,
                } = *accept;
                self.parts.stamp.apply(&mut alert);
                let deliveries = self.parts.router.plan(&alert);
                self.batch.arrivals.push(Arrival {
                    alert,
                    frame,
                    deliveries,
                });
                self.batch_bytes += bytes;
                self.senders.push(Some(Sender { ack, bytes, reply }));
            }
            Command::Raise(event) => self.raise(event),
            Command::Examine => self.examine(),
            Command::Settle(Settle { updates, reply }) => {
                self.linger();
                self.settlers
                    .push((reply, updates.iter().map(|update| update.alert).collect()));
                self.batch.updates.extend(updates);
            }
            Command::ReleaseRetries { sink, reply } => {
                self.batch.release.push(sink);
                self.releasers.push(reply);
            }
            Command::Annotate(annotation) => {
                self.linger();
                self.batch.annotations.push(annotation);
            }
            Command::Horizon { connection, at } => {
                self.linger();
                self.batch.horizons.push((connection, at));
            }
            Command::WrittenBack { alert, again_at } => {
                if let Err(e) = self.parts.store.written_back(alert, again_at) {
                    warn!("the backend may be told once more of alert {alert}: {e}");
                }
            }
            Command::Dismiss { id, by, hold, done } => {
                let outcome = self.dismiss(id, by.as_deref());
                drop(hold);
                let _ = done.send(outcome);
            }
            Command::Clear { hold, done } => {
                let outcome = self.clear();
                drop(hold);
                let _ = done.send(outcome);
            }
            Command::Change {
                change,
                selection,
                hold,
                done,
            } => {
                let outcome = self.change(change, &selection);
                drop(hold);
                let _ = done.send(outcome);
            }
            Command::Stop { done } => self.stopping.push(done),
        }
    }

    /// Lets what has gathered wait for an alert, if nothing waits already.
    fn linger(&mut self) {
        if self.batch.is_empty() {
            self.linger_until = self.parts.clock.now() + SETTLE_LINGER;
        }
    }

    /// Makes an alert of an event, which goes with the next commit.
    pub(super) fn raise(&mut self, event: HubEvent) {
        let now = self.parts.clock.unix();
        let mut alert = event.into_alert(self.parts.ids.next(now), now);
        self.parts.stamp.apply(&mut alert);
        warn!("{}: {}", alert.title, alert.text);
        let deliveries = self.parts.router.plan(&alert);
        self.batch.arrivals.push(Arrival {
            alert,
            frame: None,
            deliveries,
        });
        self.senders.push(None);
    }

    /// Puts what has gathered on disk and tells everybody, however long it takes. Meanwhile the commands
    /// queue up, and the connections' buffers bound them.
    pub(super) fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        self.batch_bytes = 0;
        let (senders, settlers, releasers) = (
            std::mem::take(&mut self.senders),
            std::mem::take(&mut self.settlers),
            std::mem::take(&mut self.releasers),
        );
        let Some(receipts) = self.commit_at_last(&batch) else {
            return tell_connections(
                senders
                    .into_iter()
                    .flatten()
                    .map(|sender| (sender, StoredAs::Lost)),
            );
        };
        self.notify_sinks(&batch);
        let outcomes = receipts.iter().map(|receipt| match receipt {
            watchpost_store::Receipt::Stored => StoredAs::New,
            watchpost_store::Receipt::Duplicate { of } => StoredAs::Duplicate { of: *of },
        });
        let waiting = senders.into_iter().zip(outcomes);
        tell_connections(waiting.filter_map(|(sender, outcome)| Some((sender?, outcome))));
        for (reply, alerts) in settlers {
            reply.do_send(Settled { alerts });
        }
        for reply in releasers {
            reply.do_send(Released);
        }
        self.publish(batch, &receipts);
    }

    /// Wakes the sinks that have something new to do.
    fn notify_sinks(&self, batch: &Batch) {
        let planned = batch
            .arrivals
            .iter()
            .flat_map(|arrival| &arrival.deliveries)
            .map(|planned| &planned.sink);
        for sink in planned.chain(&batch.release) {
            if let Some(notifier) = self.parts.notifiers.get(sink) {
                notifier.notify();
            }
        }
    }

    /// Tells whoever watches live.
    fn publish(&self, batch: Batch, receipts: &[watchpost_store::Receipt]) {
        if self.parts.live.receiver_count() == 0 {
            return;
        }
        for (arrival, receipt) in batch.arrivals.into_iter().zip(receipts) {
            if let watchpost_store::Receipt::Stored = receipt {
                let _ = self.parts.live.send(LiveEvent::Stored(Arc::new(arrival.alert)));
            }
        }
        for DeliveryUpdate {
            alert, sink, state, ..
        } in batch.updates
        {
            if state != DeliveryState::Pending {
                let _ = self.parts.live.send(LiveEvent::Settled { alert, sink, state });
            }
        }
    }

    /// Removes what is too old or too much, a bounded part of it at a time, so that no alert waits long.
    fn retain(&mut self) {
        let now = self.parts.clock.now();
        if now < self.retain_at {
            return;
        }
        self.retain_at = now + RETENTION_INTERVAL;
        match self.parts.store.retain(self.parts.clock.unix()) {
            Ok(report) => {
                if report.alerts > 0 {
                    info!("retention removed {} alerts", report.alerts);
                }
                if report.more {
                    self.retain_at = now;
                }
            }
            Err(e) => warn!("retention failed, which is tried again: {e}"),
        }
    }
}

/// Sends each connection one message with all its receipts.
fn tell_connections(outcomes: impl Iterator<Item = (Sender, StoredAs)>) {
    let mut mail: Vec<(Recipient<Stored>, Vec<Receipt>)> = Vec::new();
    for (Sender { ack, bytes, reply }, outcome) in outcomes {
        let receipt = Receipt { ack, bytes, outcome };
        match mail.iter_mut().find(|(to, _)| *to == reply) {
            Some((_, receipts)) => receipts.push(receipt),
            None => mail.push((reply, vec![receipt])),
        }
    }
    for (to, receipts) in mail {
        to.do_send(Stored { receipts });
    }
}
