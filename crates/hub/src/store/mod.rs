//! The way to the store: one writer thread that commits in groups, and a handle to it.
//!
//! Whoever holds the handle sends commands and is told when they are on disk. The queue before the
//! writer has no limit of its own: connections bound it by bytes, sinks by their window.

mod by_hand;
mod readers;
mod recovery;
mod writer;

use std::sync::{Arc, mpsc};

use actix::prelude::*;
use tokio::sync::oneshot;
use watchpost_core::{Alert, AlertId, HubEvent, UnixMillis};
use watchpost_store::{Annotation, DeliveryUpdate, MAX_CHANGED_ROWS, Selection, StoreError};

use crate::notifier::{SinkNotifiers, StopHold, StopRequest};

pub(crate) use self::readers::{CachedReader, Readers};
pub(crate) use self::writer::{StoreState, Writer, WriterParts};

/// An alert on its way into the store.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) alert: Alert,
    pub(crate) frame: Option<Vec<u8>>,
    /// The message that acknowledges it, given back with the receipt; `None` for what did not come over the socket.
    pub(crate) ack: Option<String>,
    /// What it counts for in the connection's buffer, given back with the receipt.
    pub(crate) bytes: usize,
    /// Whom to tell.
    pub(crate) reply: Recipient<Stored>,
}

/// These alerts have been dealt with.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stored {
    pub(crate) receipts: Vec<Receipt>,
}

/// What became of one [`Accept`].
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) ack: Option<String>,
    pub(crate) bytes: usize,
    pub(crate) outcome: StoredAs,
}

/// Whether an alert is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredAs {
    /// It is.
    New,
    /// It was already, as this alert.
    Duplicate {
        /// Which.
        of: AlertId,
    },
    /// It is not, and the hub stops before it could be.
    Lost,
}

/// What became of some deliveries of one sink.
#[derive(Debug)]
pub(crate) struct Settle {
    pub(crate) updates: Vec<DeliveryUpdate>,
    /// Told when the updates are on disk: until then the store still shows the deliveries as pending.
    pub(crate) reply: Recipient<Settled>,
}

/// The store no longer shows these deliveries as they were.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Settled {
    pub(crate) alerts: Vec<AlertId>,
}

/// What waited for a retry is due.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Released;

/// A command to the writer thread.
#[derive(Debug)]
pub(crate) enum Command {
    Accept(Box<Accept>),
    /// Store and route what the hub has to say about itself.
    Raise(HubEvent),
    /// Look through the store: a reader has met damage.
    Examine,
    Settle(Settle),
    /// Everything that waits for a retry at this sink is due now.
    ReleaseRetries {
        sink: String,
        reply: Recipient<Released>,
    },
    /// What has become known of an alert.
    Annotate(Annotation),
    /// The backend's records until then, by its clock, are known. Everything accepted before is on disk no later.
    Horizon {
        connection: String,
        at: UnixMillis,
    },
    /// What became of telling the backend of an alert.
    WrittenBack {
        alert: AlertId,
        again_at: Option<UnixMillis>,
    },
    Dismiss {
        id: AlertId,
        /// The sink where that was done, whose delivery is not given up.
        by: Option<String>,
        hold: StopHold,
        done: oneshot::Sender<Result<bool, StoreError>>,
    },
    Clear {
        hold: StopHold,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Have these deliveries made again, or give them up.
    Change {
        change: Change,
        selection: Selection,
        hold: Option<Arc<StopHold>>,
        done: oneshot::Sender<Result<u64, StoreError>>,
    },
    /// Finish what is queued and end.
    Stop {
        done: oneshot::Sender<()>,
    },
}

/// What an operator wants done with deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Make them again, at once.
    Retry,
    /// Give them up.
    Drop,
}

/// A handle to the writer thread.
#[derive(Clone, Debug)]
pub(crate) struct StoreHandle {
    commands: mpsc::Sender<Command>,
    notifiers: SinkNotifiers,
}

impl StoreHandle {
    /// Hands over an alert. The sender learns its fate from a [`Stored`].
    pub(crate) fn accept(&self, accept: Accept) {
        self.send(Command::Accept(Box::new(accept)));
    }

    /// Has something noted with an alert.
    pub(crate) fn annotate(&self, annotation: Annotation) {
        self.send(Command::Annotate(annotation));
    }

    /// See [`Command::Horizon`].
    pub(crate) fn horizon(&self, connection: &str, at: UnixMillis) {
        let connection = connection.to_owned();
        self.send(Command::Horizon { connection, at });
    }

    /// See [`Command::WrittenBack`].
    pub(crate) fn written_back(&self, alert: AlertId, again_at: Option<UnixMillis>) {
        self.send(Command::WrittenBack { alert, again_at });
    }

    /// Has an event stored and routed, like an alert that nobody waits for.
    pub(crate) fn raise(&self, event: HubEvent) {
        self.send(Command::Raise(event));
    }

    /// Has the store looked through if this error of a reader speaks of damage.
    pub(crate) fn suspect(&self, error: &StoreError) {
        if error.is_ruin() {
            self.send(Command::Examine);
        }
    }

    /// Records outcomes, without hurry: they ride on the next commit.
    pub(crate) fn settle(&self, settle: Settle) {
        self.send(Command::Settle(settle));
    }

    /// See [`Command::ReleaseRetries`].
    pub(crate) fn release_retries(&self, sink: &str, reply: Recipient<Released>) {
        self.send(Command::ReleaseRetries {
            sink: sink.to_owned(),
            reply,
        });
    }

    /// Takes an alert off the live list; whether there was one. `None` when the writer has ended.
    pub(crate) async fn dismiss(&self, id: AlertId) -> Option<Result<bool, StoreError>> {
        let (done, answer) = oneshot::channel();
        let hold = self.notifiers.stop(&StopRequest::Acknowledged(id), None);
        self.send(Command::Dismiss {
            id,
            by: None,
            hold,
            done,
        });
        answer.await.ok()
    }

    /// Takes an alert off the live list, as somebody has seen to it where this sink has delivered it.
    pub(crate) fn acknowledged(&self, id: AlertId, sink: &str) {
        let (done, _) = oneshot::channel();
        let hold = self.notifiers.stop(&StopRequest::Acknowledged(id), Some(sink));
        let by = Some(sink.to_owned());
        self.send(Command::Dismiss { id, by, hold, done });
    }

    /// Empties the live list. `None` when the writer has ended.
    pub(crate) async fn clear(&self) -> Option<Result<(), StoreError>> {
        let (done, answer) = oneshot::channel();
        let hold = self.notifiers.stop(&StopRequest::Cleared, None);
        self.send(Command::Clear { hold, done });
        answer.await.ok()
    }

    /// Changes deliveries, a bounded number at a time; returns how many. `None` when the writer has ended.
    pub(crate) async fn change(
        &self,
        change: Change,
        selection: &Selection,
    ) -> Option<Result<u64, StoreError>> {
        let request = StopRequest::Dropped(selection.clone());
        let hold = (change == Change::Drop).then(|| Arc::new(self.notifiers.stop(&request, None)));
        let mut changed = 0;
        loop {
            let (done, answer) = oneshot::channel();
            self.send(Command::Change {
                change,
                selection: selection.clone(),
                hold: hold.clone(),
                done,
            });
            match answer.await.ok()? {
                Ok(count) => {
                    changed += count;
                    if count < MAX_CHANGED_ROWS {
                        return Some(Ok(changed));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Ends the writer when everything queued is on disk.
    pub(crate) async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        self.send(Command::Stop { done });
        let _ = ended.await;
    }

    fn send(&self, command: Command) {
        // Fails only when the writer has ended, which it does last of all.
        let _ = self.commands.send(command);
    }
}

#[cfg(test)]
impl StoreHandle {
    /// A handle whose commands a test takes instead of a writer.
    pub(crate) fn detached() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel();
        let notifiers = SinkNotifiers::default();
        (Self { commands, notifiers }, receiver)
    }
}
