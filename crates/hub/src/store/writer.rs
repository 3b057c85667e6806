//! The writer thread: the only one that writes to the store.
//!
//! It commits in groups. While nothing else waits, an alert is committed at once; while a commit runs,
//! the next group gathers behind it. Outcomes of deliveries wait a little for an alert to ride with.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use actix::Recipient;
use tokio::sync::{Notify, broadcast, oneshot};
use tracing::{error, info, warn};
use watchpost_core::{AlertId, DeliveryState, Moment, Router};
use watchpost_store::{Arrival, Batch, DeliveryUpdate, Store};

use super::{Accept, Command, Receipt, Settle, Settled, StoreHandle, Stored, StoredAs};
use crate::clock::Clock;
use crate::live::LiveEvent;

/// Pictures that one commit may hold, in bytes: beyond it a larger group gains nothing.
const MAX_BATCH_BYTES: usize = 8 << 20;

/// How long outcomes may wait for a commit to ride on. If the hub dies before, the delivery is repeated.
const SETTLE_LINGER: Duration = Duration::from_millis(20);

/// How often retention is looked after.
const RETENTION_INTERVAL: Duration = Duration::from_secs(10);

/// How long to wait before a failed commit is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// What the writer is made of.
pub(crate) struct WriterParts {
    pub(crate) store: Store,
    /// Most alerts in one commit.
    pub(crate) group_commit: usize,
    pub(crate) router: Router,
    /// Woken when there is something due for the sink of that name.
    pub(crate) bells: HashMap<String, Arc<Notify>>,
    pub(crate) live: broadcast::Sender<LiveEvent>,
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

    fn set(&self, trouble: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Who waits for an arrival.
struct Sender {
    ack: String,
    bytes: usize,
    reply: Recipient<Stored>,
}

/// The thread's own state.
pub(crate) struct Writer {
    parts: WriterParts,
    state: StoreState,
    commands: Receiver<Command>,
    /// What has gathered for the next commit.
    batch: Batch,
    batch_bytes: usize,
    /// Who waits for each arrival of the batch, in the same order.
    senders: Vec<Sender>,
    /// Who waits for updates of the batch.
    settlers: Vec<(Recipient<Settled>, Vec<AlertId>)>,
    stopping: Vec<oneshot::Sender<()>>,
    /// When retention is due.
    retain_at: Moment,
}

impl Writer {
    /// Starts the thread. It ends with [`StoreHandle::stop`], or when all handles are gone.
    pub(crate) fn start(parts: WriterParts) -> std::io::Result<(StoreHandle, StoreState)> {
        let (sender, commands) = mpsc::channel();
        let state = StoreState::default();
        let writer = Self {
            retain_at: parts.clock.now(),
            parts,
            state: state.clone(),
            commands,
            batch: Batch::default(),
            batch_bytes: 0,
            senders: Vec::new(),
            settlers: Vec::new(),
            stopping: Vec::new(),
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
        Ok((StoreHandle { commands: sender }, state))
    }

    fn run(mut self) {
        loop {
            let open = self.gather();
            self.commit();
            self.retain();
            if !open || !self.stopping.is_empty() {
                break;
            }
        }
        for done in std::mem::take(&mut self.stopping) {
            let _ = done.send(());
        }
    }

    /// Waits for something to do and takes what has gathered, up to one group. Returns whether anybody
    /// can still send.
    fn gather(&mut self) -> bool {
        match self
            .commands
            .recv_timeout(self.retain_at.since(self.parts.clock.now()))
        {
            Ok(command) => self.take(command),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while self.batch.arrivals.len() < self.parts.group_commit && self.batch_bytes < MAX_BATCH_BYTES {
            let next = if self.may_linger() {
                self.commands.recv_timeout(SETTLE_LINGER).ok()
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
            && !self.batch.updates.is_empty()
            && self.batch.updates.len() < self.parts.group_commit
            && self.batch.release.is_empty()
            && self.stopping.is_empty()
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Accept(accept) => {
                let Accept {
                    alert,
                    frame,
                    ack,
                    bytes,
                    reply,
                } = *accept;
                let deliveries = self.parts.router.plan(&alert);
                self.batch.arrivals.push(Arrival {
                    alert,
                    frame,
                    deliveries,
                });
                self.batch_bytes += bytes;
                self.senders.push(Sender { ack, bytes, reply });
            }
            Command::Settle(Settle { updates, reply }) => {
                self.settlers
                    .push((reply, updates.iter().map(|update| update.alert).collect()));
                self.batch.updates.extend(updates);
            }
            Command::ReleaseRetries { sink } => self.batch.release.push(sink),
            Command::Dismiss { id, done } => {
                let _ = done.send(self.parts.store.dismiss(id, self.parts.clock.unix()));
            }
            Command::Clear { done } => {
                let _ = done.send(self.parts.store.clear(self.parts.clock.unix()));
            }
            Command::Stop { done } => self.stopping.push(done),
        }
    }

    /// Puts what has gathered on disk and tells everybody, however long it takes. Meanwhile the commands
    /// queue up, and the connections' buffers bound them.
    fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.arrivals.is_empty() && batch.updates.is_empty() && batch.release.is_empty() {
            return;
        }
        self.batch_bytes = 0;
        let (senders, settlers) = (
            std::mem::take(&mut self.senders),
            std::mem::take(&mut self.settlers),
        );
        let Some(receipts) = self.commit_at_last(&batch) else {
            return tell_connections(senders.into_iter().map(|sender| (sender, StoredAs::Lost)));
        };
        self.ring(&batch);
        let outcomes = receipts.iter().map(|receipt| match receipt {
            watchpost_store::Receipt::Stored => StoredAs::New,
            watchpost_store::Receipt::Duplicate { .. } => StoredAs::Duplicate,
        });
        tell_connections(senders.into_iter().zip(outcomes));
        for (reply, alerts) in settlers {
            reply.do_send(Settled { alerts });
        }
        self.publish(batch, &receipts);
    }

    /// Tries until it works, since a full disk is emptied and a read-only one mounted again some day. What
    /// has been accepted waits here; only when the hub is told to stop is it given up, unacknowledged.
    fn commit_at_last(&mut self, batch: &Batch) -> Option<Vec<watchpost_store::Receipt>> {
        loop {
            match self.parts.store.commit(batch) {
                Ok(receipts) => {
                    if self.state.trouble().is_some() {
                        info!("the store works again");
                        self.state.set(None);
                    }
                    return Some(receipts);
                }
                Err(e) => {
                    let trouble = e.to_string();
                    if self.state.trouble().as_ref() != Some(&trouble) {
                        error!("alerts cannot be stored and are not acknowledged: {trouble}");
                        self.state.set(Some(trouble));
                    }
                }
            }
            if !self.stopping.is_empty() {
                error!(
                    "{} alerts in hand are lost: the hub stops and the store cannot take them",
                    batch.arrivals.len()
                );
                return None;
            }
            match self.commands.recv_timeout(RETRY_INTERVAL) {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Wakes the sinks that have something new to do.
    fn ring(&self, batch: &Batch) {
        let planned = batch
            .arrivals
            .iter()
            .flat_map(|arrival| &arrival.deliveries)
            .map(|planned| &planned.sink);
        for sink in planned.chain(&batch.release) {
            if let Some(bell) = self.parts.bells.get(sink) {
                bell.notify_one();
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
