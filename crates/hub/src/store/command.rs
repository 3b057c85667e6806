//! What the writer thread is asked for, in three kinds.
//!
//! What **joins a batch** waits for nothing but its commit. What an **operator** wants is a transaction of its own,
//! between two commits. What **controls** the thread touches no data. While a commit is retried the thread only takes
//! note of what comes in ([`super::intake`]): none of the three can make it commit something else meanwhile.

use actix::prelude::*;
use tokio::sync::oneshot;
use watchpost_core::{
    Alert, AlertId, ArmingCommand, ClockStep, CommandRefused, HubEvent, MonotonicTime, Now, Router,
    UnixMillis,
};
use watchpost_store::{
    Annotation, DeliveryUpdate, OperatorAct, PictureResult, ShopCheckpoint, StoreError, StorePolicy,
    WriteBackResult,
};

use crate::notifier::StopHold;
use crate::stamp::StampPolicy;

/// A command to the writer thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// Goes with the next commit.
    Join(Join),
    /// Is carried out between two commits, in its turn.
    Operator(OperatorCommand),
    /// Concerns the thread itself.
    Control(Control),
}

/// What goes into a batch. Everything accepted before it is on disk no later.
#[derive(Debug)]
pub(crate) enum Join {
    /// Store and route an alert.
    Accept(Box<Accept>),
    /// Store and route an internal event.
    Raise(HubEvent),
    /// The connection of this name is up, for the first time since its source was started.
    LinkUp(String),
    /// Store and route a panic, which a person has raised.
    Panic(PanicRaised),
    /// Record what became of deliveries.
    RecordOutcomes(RecordOutcomes),
    /// Everything that waits for a retry at this sink is due now.
    ReleaseRetries {
        /// Its name.
        sink: String,
        /// Informed when that is on disk.
        reply: Recipient<Released>,
    },
    /// What has become known of an alert.
    Annotate(Annotation),
    /// How far the records of a shop are known.
    Checkpoint(ShopCheckpoint),
    /// What became of an attempt to fetch a picture.
    Picture {
        /// What.
        result: PictureResult,
        /// Used when that is on disk.
        done: oneshot::Sender<()>,
    },
    /// What became of an attempt to report a dismissal to the backend.
    WrittenBack(WriteBackResult),
    /// The wall clock was set. `done` is used when what is stored has been moved along, and the hub goes by the new time.
    ClockStepped {
        /// How.
        step: ClockStep,
        /// Who waits for it.
        done: oneshot::Sender<()>,
    },
}

/// An alert on its way into the store.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) alert: Alert,
    pub(crate) frame: Option<Vec<u8>>,
    /// By which its source knows the receipt.
    pub(crate) token: ReceiptToken,
    /// What it counts for in the size of a batch.
    pub(crate) bytes: usize,
    /// Who waits for the receipt.
    pub(crate) reply: Recipient<Stored>,
}

/// A panic on its way into the store.
#[derive(Debug)]
pub(crate) struct PanicRaised {
    pub(crate) alert: Box<Alert>,
    pub(crate) asker: Asker,
}

/// Who waits for an [`Answer`]; no one once it was given.
#[derive(Debug, Default)]
pub(crate) struct Asker(Option<oneshot::Sender<Answer>>);

impl Asker {
    /// One who gets the answer here.
    pub(crate) fn new(done: oneshot::Sender<Answer>) -> Self {
        Self(Some(done))
    }

    /// Answers, if nothing was answered yet.
    pub(crate) fn answer(&mut self, answer: Answer) {
        if let Some(done) = self.0.take() {
            // Who asked may have gone.
            let _ = done.send(answer);
        }
    }
}

/// Names one [`Accept`] of one source, and means nothing to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReceiptToken(u64);

impl ReceiptToken {
    /// The source sees to it that it uses no number twice.
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }
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
    pub(crate) token: ReceiptToken,
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

impl StoredAs {
    /// Whether its receipt may be sent.
    pub(crate) fn is_on_disk(self) -> bool {
        self != Self::Lost
    }
}

/// What became of some deliveries of one sink.
#[derive(Debug)]
pub(crate) struct RecordOutcomes {
    pub(crate) updates: Vec<DeliveryUpdate>,
    /// Informed when the updates are on disk: until then the store still shows the deliveries as pending.
    pub(crate) reply: Recipient<Recorded>,
}

/// The store no longer shows these deliveries as they were.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Recorded {
    pub(crate) alerts: Vec<AlertId>,
}

/// What waited for a retry is due.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Released;

/// What an operator wants done, or a person at a device.
#[derive(Debug)]
pub(crate) struct OperatorCommand {
    pub(crate) act: OperatorAct,
    /// Keeps what it covers from being delivered until it is recorded.
    pub(crate) hold: Option<StopHold>,
    /// Who wants it.
    pub(crate) asker: Asker,
    /// Rows changed by the transactions so far: a large change takes several.
    pub(crate) changed: u64,
    /// When the writer has taken note of it, which may be long before the store can be written.
    pub(crate) noted: Option<MonotonicTime>,
}

/// What became of an [`OperatorCommand`].
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is on disk. So many alerts or deliveries were changed.
    Recorded(u64),
    /// What had to stop is stopped. It is recorded when the store can be written.
    Deferred,
    /// It cannot be recorded.
    Failed(StoreError),
    /// Too many commands wait for a store that cannot be written.
    Refused,
    /// It is not done, for this reason.
    NotDone(CommandRefused),
}

impl OperatorCommand {
    /// The command about areas that it is, if it is one.
    pub(crate) fn arming(&self) -> Option<&ArmingCommand> {
        match &self.act {
            OperatorAct::Arming(command) => Some(command),
            _ => None,
        }
    }

    /// At which time it is carried out. A silence is meant from when it was asked for, and so is its end.
    pub(crate) fn carried_out_at(&self, now: Now) -> UnixMillis {
        match (&self.act, self.noted) {
            (OperatorAct::Silence(_), Some(noted)) => now.unix - now.monotonic.since(noted),
            _ => now.unix,
        }
    }
}

/// What concerns the writer thread itself.
#[derive(Debug)]
pub(crate) enum Control {
    /// A reader has met damage: check the integrity of the store.
    CheckIntegrity,
    /// Go by another policy: between two commits, so that each alert is routed by one of them as a whole.
    SetPolicy(PolicyChange),
    /// Commit what is queued and end. The sender is used when that is done.
    Stop(oneshot::Sender<()>),
}

/// All that the thread takes from the configuration.
#[derive(Debug)]
pub(crate) struct WriterPolicy {
    pub(crate) router: Router,
    /// What every alert gets before it is routed.
    pub(crate) stamp: StampPolicy,
    /// Most alerts in one batch.
    pub(crate) batch_alerts: usize,
    pub(crate) store: StorePolicy,
}

/// A new policy, and who waits for it to be in force.
#[derive(Debug)]
pub(crate) struct PolicyChange {
    pub(crate) policy: Box<WriterPolicy>,
    waiting: PolicyWaiter,
}

#[derive(Debug)]
enum PolicyWaiter {
    Unanswered(oneshot::Sender<PolicyAnswer>),
    Deferred(oneshot::Sender<()>),
}

/// What becomes of a [`PolicyChange`].
#[derive(Debug)]
pub(crate) enum PolicyAnswer {
    /// It is in force: everything that was routed by the policy before is on disk.
    InForce,
    /// A commit is retried, because the store cannot be written. What is received when it ends tells that the policy is
    /// in force.
    Deferred(oneshot::Receiver<()>),
}

impl PolicyChange {
    pub(super) fn new(policy: WriterPolicy) -> (Self, oneshot::Receiver<PolicyAnswer>) {
        let (answer, answered) = oneshot::channel();
        let change = Self {
            policy: Box::new(policy),
            waiting: PolicyWaiter::Unanswered(answer),
        };
        (change, answered)
    }

    /// It has to wait for a store that cannot be written.
    pub(crate) fn defer(self) -> Self {
        let Self { policy, waiting } = self;
        let waiting = match waiting {
            PolicyWaiter::Unanswered(answer) => {
                let (done, in_force) = oneshot::channel();
                let _ = answer.send(PolicyAnswer::Deferred(in_force));
                PolicyWaiter::Deferred(done)
            }
            deferred => deferred,
        };
        Self { policy, waiting }
    }

    /// It is in force. Gives the policy to whoever goes by it.
    pub(crate) fn in_force(self) -> WriterPolicy {
        match self.waiting {
            PolicyWaiter::Unanswered(answer) => drop(answer.send(PolicyAnswer::InForce)),
            PolicyWaiter::Deferred(done) => drop(done.send(())),
        }
        *self.policy
    }
}
