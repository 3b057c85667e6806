//! One sink as a state machine: when its plugin is started, fed, probed and ended, and what is recorded of its
//! deliveries.
//!
//! The queue is the store, so memory holds only what is in flight. Whoever owns the child process and the store
//! performs the effects and reports what came of them. It knows neither.

mod feed;
mod machine;
#[cfg(test)]
mod model;
mod outcome;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::machine::SinkMachine;
use crate::{
    AlertId, AlertKind, CrashPolicy, DeliveryState, HubEvent, MonotonicTime, Outcome, RetryPolicy, UnixMillis,
};

/// The limits and waits of a sink.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SinkPolicy {
    /// Most deliveries in flight.
    pub in_flight: usize,
    /// No more is fetched once the pictures in flight have this size in bytes.
    pub in_flight_bytes: u64,
    /// A child that holds more memory than this, in bytes, is recycled.
    pub recycle_over: u64,
    /// What a child that works on nothing has for ending.
    pub leave_grace: Duration,
    /// What a child that is to end for good has, before that, for the call that its plugin has begun.
    pub finish_grace: Duration,
    /// When a failed delivery is tried again.
    pub retry: RetryPolicy,
    /// What crashes of the plugin lead to.
    pub crashes: CrashPolicy,
    /// Dead letters are reported no more often than this.
    pub dead_letter_interval: Duration,
}

/// Number of a call to the plugin.
pub type CallId = u64;

/// What happened.
#[derive(Debug)]
pub enum SinkEvent<J> {
    /// The time that [`SinkEffect::WakeAt`] named has come.
    Wake,
    /// There may be something new in the queue, and what is in flight of these alerts has to stop.
    Notified {
        /// Acknowledged, or dropped by the operator.
        stop: BTreeSet<AlertId>,
    },
    /// The child runs.
    Started {
        /// Whether its plugin can be probed.
        probes: bool,
    },
    /// The child could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// What [`SinkEffect::Fetch`] of this number brought, without what must not be started.
    Fetched(u64, Fetched<J>),
    /// A delivery that the store cannot take now, and that does not wait for it. It is made at once, or not before the store
    /// has it; its outcome is recorded like any other.
    FromMemory(DueDelivery<J>),
    /// The fetch of this number failed.
    FetchFailed {
        /// As the effect named it.
        fetch: u64,
        /// Why.
        why: String,
    },
    /// The child did not take a call.
    NotQueued {
        /// Which.
        call: CallId,
        /// Why it never will, if the call itself is at fault.
        never: Option<String>,
    },
    /// A call is over.
    Ended {
        /// Which.
        call: CallId,
        /// How.
        outcome: Outcome,
        /// The plugin says that its instance cannot be used any more.
        instance_failed: bool,
    },
    /// The plugin noticed that a person has acknowledged the alert of this call.
    Acknowledged {
        /// Which.
        call: CallId,
    },
    /// The child is gone.
    Exited(ChildExit),
    /// The memory that the child holds, in bytes.
    Memory(u64),
    /// A file that the child was granted when it started is another by now, or there only now: it has no access to it.
    Replaced {
        /// Which.
        file: String,
    },
    /// These outcomes are in the store.
    Recorded(Vec<AlertId>),
    /// What waited for a retry is due.
    Released,
    /// Begin nothing new, finish what the plugin has begun, end the child. What it has not begun stays in the queue.
    Stop,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildExit {
    /// In words that follow "the plugin": `was killed by SIGSEGV`.
    pub how: String,
    /// It was the child's own doing, not a missed deadline or a wanted end.
    pub crashed: bool,
    /// The one call the plugin was working on, if it was just one.
    pub blamed: Option<CallId>,
    /// How many calls had begun or waited in the child.
    pub unfinished: usize,
}

/// Due deliveries out of the queue.
#[derive(Debug)]
pub struct Fetched<J> {
    /// Those to be made, oldest first.
    pub due: Vec<DueDelivery<J>>,
    /// Those that grew older than `max_age`.
    pub expired: Vec<Expired>,
    /// When the next is due, if nothing is due now.
    pub next_due: Option<UnixMillis>,
    /// There may be more that is due now.
    pub more: bool,
}

/// A delivery that is due.
#[derive(Debug)]
pub struct DueDelivery<J> {
    /// Of which alert.
    pub alert: AlertId,
    /// Of which kind that is.
    pub kind: AlertKind,
    /// How long ago that was received.
    pub age: Duration,
    /// Attempts before this one.
    pub attempts: u32,
    /// Whether it is cancelled once its alert is acknowledged.
    pub cancel_on_acknowledge: bool,
    /// Size of its pictures.
    pub frame_bytes: u64,
    /// What the child gets.
    pub payload: J,
}

/// A delivery that grew older than `max_age` before it could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Of which alert.
    pub alert: AlertId,
    /// Attempts so far.
    pub attempts: u32,
}

/// What the owner of the child and the store must do now, in this order.
#[derive(Debug, PartialEq)]
pub enum SinkEffect<J> {
    /// Start a child. Answered by [`SinkEvent::Started`] or [`SinkEvent::NotStarted`].
    Start,
    /// Take due deliveries out of the queue. Answered by [`SinkEvent::Fetched`] or [`SinkEvent::FetchFailed`].
    Fetch {
        /// To be given back with the answer.
        fetch: u64,
        /// Most deliveries.
        limit: usize,
        /// Stop when their pictures have reached this size in bytes.
        max_bytes: u64,
        /// In flight or unrecorded.
        skip: BTreeSet<AlertId>,
    },
    /// Have the child make this delivery. Ends with [`SinkEvent::Ended`], or [`SinkEvent::Exited`].
    Deliver {
        /// Its number.
        call: CallId,
        /// Number of this attempt, from 1.
        attempt: u32,
        /// What the child gets.
        payload: J,
    },
    /// Have the child's plugin try whether a delivery would work. Ends like a delivery.
    Probe {
        /// Its number.
        call: CallId,
    },
    /// Ask the child to stop this call. It still ends.
    Cancel {
        /// Which.
        call: CallId,
    },
    /// Have outcomes recorded. Answered by [`SinkEvent::Recorded`]; until then the store shows the deliveries as due.
    Record(Vec<DeliveryResult>),
    /// Make everything due that waits for a retry. Answered by [`SinkEvent::Released`].
    ReleaseRetries,
    /// A person has acknowledged this alert at the sink.
    Acknowledge(AlertId),
    /// Tell the child to begin no other call, and to end. Answered by [`SinkEvent::Exited`], before which the call ends that
    /// its plugin has begun.
    EndChild {
        /// When this time is over it is killed.
        within: Duration,
    },
    /// Report [`SinkEvent::Wake`] at this time, instead of one asked for before.
    WakeAt(MonotonicTime),
    /// Raise an event.
    Raise(HubEvent),
    /// Log this.
    Log(SinkNotice),
    /// Everything is over.
    Stopped,
}

/// What becomes of a delivery, for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryResult {
    /// Of which alert.
    pub alert: AlertId,
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is due again, if it is pending.
    pub due_at: UnixMillis,
    /// What went wrong, if anything did.
    pub error: Option<String>,
}

/// What a sink has to say in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkNotice {
    /// The child ended or did not start, and is restarted.
    Restarting {
        /// What happened.
        why: String,
        /// After this wait.
        wait: Duration,
    },
    /// The child holds too much memory.
    TooLarge {
        /// So much, in bytes.
        held: u64,
    },
    /// A file that the child was granted was replaced.
    Replaced {
        /// Which.
        file: String,
    },
    /// The child is ended, to be restarted.
    Recycling,
    /// One attempt failed.
    NotDelivered {
        /// At which alert.
        alert: AlertId,
        /// Which attempt.
        attempt: u32,
        /// What went wrong.
        error: String,
    },
    /// With this failure the circuit breaker opened.
    Down {
        /// What went wrong.
        error: String,
    },
    /// The plugin's own probe failed.
    ProbeFailed {
        /// What went wrong.
        error: String,
    },
    /// The sink delivers again.
    DeliversAgain,
    /// A delivery was dead-lettered.
    DeadLettered {
        /// Of which alert.
        alert: AlertId,
        /// Why.
        why: String,
    },
    /// So many deliveries expired.
    Expired(usize),
    /// The alert is delivered from memory, as the store cannot take it.
    FromMemory(AlertId),
    /// The call for this alert is cancelled: it was acknowledged, or its delivery dropped by the operator.
    Cancelled(AlertId),
    /// The alert was acknowledged by the sink.
    Acknowledged(AlertId),
    /// The store could not be read.
    FetchFailed {
        /// Why.
        why: String,
    },
}

/// Where a sink stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkState {
    /// Its child is being started.
    Starting,
    /// Ready.
    Running,
    /// Its plugin answers, but what it delivers to does not: it is probed now and then.
    Down,
    /// Its plugin cannot be loaded or refuses its configuration, or its child keeps dying; it is tried
    /// again after a wait.
    Failed,
    /// It was asked to end for good, and finishes what its plugin has begun.
    Stopping,
    /// Stopped for good, or its actor does not answer.
    Stopped,
}
